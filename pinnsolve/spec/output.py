"""Where a problem file wants its solution: the times and the grid of tables, exports and figures.

Input: what `output_reader` read, or what a run folder keeps. Output: a frozen `Output`. No sympy, no array library.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Output:
    """`times`: these, or so many at equal distances; `grid`: points by coordinate of space, `points` along the rest."""

    times: tuple[float, ...] | int | None = None
    grid: Mapping[str, int] = field(default_factory=dict)
    points: int | None = None

    def times_between(self, low: float, high: float, otherwise: int) -> list[float]:
        """The times of an interval: those stated, or so many at equal distances, `otherwise` by default."""
        if isinstance(self.times, tuple):
            return list(self.times)
        count = self.times or otherwise
        return [low + (high - low) * k / (count - 1) for k in range(count - 1)] + [high]

    def count_along(self, name: str, otherwise: int) -> int:
        """How many points a grid has along a coordinate of space."""
        return self.grid.get(name, self.points or otherwise)

    @property
    def is_stated(self) -> bool:
        """Whether the file says anything of it."""
        return self != Output()

    def as_plain(self) -> dict[str, Any]:
        """As lists and maps, which `from_plain` reads."""
        return {"times": self.times, "grid": dict(self.grid), "points": self.points}

    @classmethod
    def from_plain(cls, stated: Mapping[str, Any] | None) -> Output:
        """The value that `as_plain` wrote; nothing stated where there is none."""
        if not stated:
            return cls()
        times = stated.get("times")
        return cls(tuple(times) if isinstance(times, list) else times, stated.get("grid") or {}, stated.get("points"))
