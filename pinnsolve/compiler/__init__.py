"""Problem -> CompiledProblem: a tuple of terms with their linearizations. No array library."""
