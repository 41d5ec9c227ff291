"""Pictures of a problem, of its solution and of the solve."""

FILES = (  # of a run
    "solution.png", "uncertainty.png", "estimated.png", "error.png", "functions.png", "residual.png", "history.png",
)  # fmt: skip
DOTS_PER_INCH = 160
