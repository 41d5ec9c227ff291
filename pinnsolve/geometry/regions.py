"""Parts of a domain on which a term holds, as values: all of it, faces, slices, points, periodic pairs, data.

Input: the words of `on`, `at`, `periodic` (docs/problem-file.md, conditions), parsed. Output: `Region`s. Points on
them are made by `sampling`. No array library.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import sympy as sp

Intervals = tuple[tuple[float, float], ...]


@dataclass(frozen=True)
class Piece:
    """The slice of the domain in which the coordinates `fixed` (axis, value) are held; the others are free.

    `outward` (axis, sign) is the outward unit normal where the piece is a face of the box. `partner`
    (axis, value) gives the twin piece on the opposite face of a periodic pair. Where the domain is a shape, `part` is a
    named part of its boundary ("" all of it), narrowed by `plane` (axis, value) to what lies in that plane; `fixed`
    then holds time at most. `region` names a group of cells of a mesh, and the piece is what of it they fill.
    """

    fixed: tuple[tuple[int, float], ...] = ()
    outward: tuple[int, int] | None = None
    partner: tuple[int, float] | None = None
    part: str | None = None
    plane: tuple[int, float] | None = None
    region: str | None = None

    @property
    def fills(self) -> bool:
        """Tell whether the piece has the dimension of the domain."""
        return not self.fixed and self.part is None

    @property
    def held(self) -> int:
        """The number of dimensions that it lacks, compared with the domain."""
        return len(self.fixed) + (self.part is not None)

    def free_axes(self, dimension: int) -> tuple[int, ...]:
        held = {axis for axis, _ in self.fixed}
        return tuple(i for i in range(dimension) if i not in held)


@dataclass(frozen=True)
class Region:
    """A union of pieces of equal dimension, narrowed by `where` (a sympy condition on the coordinates).

    `label` is what a reader sees. A region of measured data has no pieces.
    """

    label: str
    pieces: tuple[Piece, ...]
    where: sp.Basic | None = None

    def narrowed(self, where: sp.Basic | None, label: str) -> Region:
        """What of it a condition leaves, beside one that it has already."""
        if where is None:
            return self
        both = where if self.where is None else sp.And(self.where, where)
        return replace(self, where=both, label=f"{self.label} where {label}")

    def __str__(self) -> str:
        return self.label


@dataclass(frozen=True)
class Subdomain:
    """A part of the domain that may be known by a name: where `holds` is true, or the `groups` of cells of a mesh."""

    label: str
    holds: sp.Basic = sp.true
    groups: tuple[str, ...] = ()


def domain() -> Region:
    """Return the region that is the whole domain."""
    return Region("domain", (Piece(),))


def face(axis: int, value: float, sign: int) -> Piece:
    """Return the face where a coordinate has a value; `sign` is that of its outward normal."""
    return Piece(((axis, value),), (axis, sign))


def whole_boundary(intervals: Intervals, axes: tuple[int, ...]) -> Region:
    """All faces of the axes given (those of space)."""
    pieces = tuple(face(axis, intervals[axis][side], sign) for axis in axes for side, sign in ((0, -1), (1, 1)))
    return Region("boundary", pieces)


def part(name: str, label: str, plane: tuple[int, float] | None = None) -> Region:
    """A part of the boundary of a shape; all of it for an empty name."""
    return Region(label, (Piece(part=name, plane=plane),))


def mesh_region(name: str) -> Region:
    """The cells of a group of a mesh."""
    return Region(name, (Piece(region=name),))


def plane(axis: int, value: float, intervals: Intervals, label: str) -> Region | None:
    """The face `axis = value`, or the slice inside the box; None where the box has no such points."""
    low, high = intervals[axis]
    near = 1e-12 * (high - low)
    if abs(value - low) <= near:
        return Region(label, (face(axis, low, -1),))
    if abs(value - high) <= near:
        return Region(label, (face(axis, high, 1),))
    if low < value < high:
        return Region(label, (Piece(((axis, value),)),))
    return None


def point(fixed: dict[int, float], label: str) -> Region:
    """The coordinates given are held; those left out stay free (a pressure held at a point for all times)."""
    return Region(label, (Piece(tuple(sorted(fixed.items()))),))


def periodic_pair(axis: int, intervals: Intervals, label: str) -> Region:
    """Return the region that ties both ends of an axis together."""
    low, high = intervals[axis]
    return Region(label, (Piece(((axis, low),), None, (axis, high)),))


def union(regions: list[Region]) -> Region:
    """Join the pieces of several regions into one."""
    if len(regions) == 1:
        return regions[0]
    return Region(", ".join(r.label for r in regions), tuple(p for r in regions for p in r.pieces))
