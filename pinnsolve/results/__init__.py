"""The result of a solve: the solution as a function, on disk and at points."""
