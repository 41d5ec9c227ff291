"""What a solve leaves: the solution as a function, on disk and at points."""
