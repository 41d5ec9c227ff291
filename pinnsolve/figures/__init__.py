"""Pictures of a problem, of its solution and of the solve."""
