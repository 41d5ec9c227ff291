"""Classical methods for single problems, to compare with: each is made for its equation and its box, and fast there.

A specialist gives a ladder of resolutions and a solver: resolution and levels of time -> a function from points (N, d)
to the values of the unknowns there. What it computes before the points come is what is timed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

Values = dict[str, np.ndarray]
Field = Callable[[np.ndarray], Values]  # points (N, d) -> the unknowns there, each (N,)


def at_levels(fields: Mapping[float, Any], unknowns: Sequence[str], values: Callable) -> Field:
    """A field of what is known at levels of time: `values(known, points)` of one of them gives the unknowns, each (n,),
    at points (n, d)."""

    def at(points: np.ndarray) -> Values:
        found = {name: np.empty(len(points)) for name in unknowns}
        for t, known in fields.items():
            here = points[:, 0] == t
            for name, own in zip(unknowns, values(known, points[here]), strict=True):
                found[name][here] = own
        return found

    return at


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
