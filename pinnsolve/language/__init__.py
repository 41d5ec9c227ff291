"""Text <-> mathematics: the grammar of problem files, its names, and the symbols that stand for derivatives."""
