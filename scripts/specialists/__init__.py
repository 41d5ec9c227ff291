"""Classical methods for single problems, to compare with: each is made for its equation and its box, and fast there.

A specialist gives a ladder of resolutions and a solver: resolution and levels of time -> a function from points (N, d)
to the values of the unknowns there. What it computes before the points come is what is timed.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

Values = dict[str, np.ndarray]
Field = Callable[[np.ndarray], Values]  # points (N, d) -> the unknowns there, each (N,)


@dataclass(frozen=True)
class Specialist:
    """A classical method for one problem.

    `method`: in words. `ladder`: resolutions, from cheap to dear. `solve(resolution, times)`: the solution, to be asked
    for at those times only. `levels`: the points to compare at lie on that many levels of time (0: there is none).
    `unknowns`: those compared.
    """

    method: str
    ladder: tuple
    solve: Callable[..., Field]
    levels: int = 0
    unknowns: tuple[str, ...] = ("u",)
