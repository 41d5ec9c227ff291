"""The coordinates of a problem: their names, in order, and the role of each.

Input: names and roles. Output: a frozen value that answers which coordinates are those of space and which is time.
Standard library only.
"""

from __future__ import annotations

from dataclasses import dataclass

SPACE, TIME, PARAMETER = "space", "time", "parameter"  # roles


@dataclass(frozen=True)
class Coordinate:
    """One coordinate. A `role` is `space`, `time` or `parameter`; nothing is differentiated by a parameter."""

    name: str
    role: str = SPACE


@dataclass(frozen=True)
class Coordinates:
    """The coordinates in their order."""

    listed: tuple[Coordinate, ...] = ()

    @classmethod
    def of(cls, names: tuple[str, ...], time: str | None) -> Coordinates:
        """Coordinates of space, and one of time if `time` names it."""
        return cls(tuple(Coordinate(name, TIME if name == time else SPACE) for name in names))

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(c.name for c in self.listed)

    @property
    def space(self) -> tuple[str, ...]:
        """The names of the coordinates of space."""
        return tuple(c.name for c in self.listed if c.role == SPACE)

    @property
    def space_axes(self) -> tuple[int, ...]:
        """The positions of the coordinates of space."""
        return self._axes(SPACE)

    @property
    def time(self) -> str | None:
        """The name of the coordinate of time, if there is one."""
        return next((c.name for c in self.listed if c.role == TIME), None)

    @property
    def time_axis(self) -> int | None:
        """The position of the coordinate of time, if there is one."""
        return next(iter(self._axes(TIME)), None)

    def _axes(self, role: str) -> tuple[int, ...]:
        return tuple(i for i, c in enumerate(self.listed) if c.role == role)
