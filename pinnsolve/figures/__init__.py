"""Pictures of a problem, of its solution and of the solve."""

FILES = ("solution.png", "error.png", "functions.png", "residual.png", "history.png")  # of a run
DOTS_PER_INCH = 160
