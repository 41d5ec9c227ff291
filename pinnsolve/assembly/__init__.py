"""Terms, trial functions and points -> rows of the least squares, block by block."""
