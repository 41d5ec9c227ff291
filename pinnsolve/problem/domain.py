"""The `domain` of a spec -> the shape tree, with parameters folded in, or every reason why it is no domain.

Input: the plain tree of a checked spec, its numbers evaluated. Output: a `ShapeTree`. No array library.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from typing import Any

import sympy as sp

from pinnsolve.files.data_files import mesh_path
from pinnsolve.files.mesh_file import read_mesh
from pinnsolve.geometry import shapes as tree
from pinnsolve.geometry.comparisons import turn
from pinnsolve.geometry.shapes import Point, ShapeTree
from pinnsolve.language.symbols import coordinate_symbol
from pinnsolve.spec.located_errors import KeyPath
from pinnsolve.spec.parsed import ParsedExpression

THIN = 1e-12  # relative to its size: a polygon of less area is none


@dataclass(frozen=True)
class ShapeReader:
    """Makes shapes. `condition` builds the comparison of an implicit one, None where it is wrong; `error` tells."""

    space: tuple[str, ...]
    intervals: Mapping[str, tuple[float, float] | None]  # of the coordinates, where the file gives them
    folder: Path
    condition: Callable[[ParsedExpression], sp.Basic | None]
    error: Callable[..., None]

    def domain(self, plain: Mapping[str, Any]) -> ShapeTree | None:
        """The shape of a domain: bounded, and not empty as far as bounds tell. None where something is wrong."""
        shape = self.shape(plain, ("domain",), "")
        if shape is None:
            return None
        lower, upper = tree.bounds(shape)
        for name, low, high in zip(self.space, lower, upper, strict=True):
            if not (math.isfinite(low) and math.isfinite(high)):
                hint = "put the half-planes into an `intersection` with a shape that is bounded"
                self.error(("domain",), f"the domain has no end in {name}", hint)
                return None
            if low >= high:
                self.error(("domain",), f"the domain is empty: its shapes have no {name} in common")
                return None
        return shape

    def shape(self, plain: Mapping[str, Any], path: KeyPath, name: str) -> ShapeTree | None:
        """One shape; without a name of its own it has that of the shape around it."""
        name = plain.get("boundary", name)
        kind = next(k for k in plain if k != "boundary")
        read = getattr(self, kind)
        if kind in ("union", "intersection", "difference"):
            inner = [self.shape(item, (*path, kind, i), name) for i, item in enumerate(plain[kind])]
            return None if None in inner else read(tuple(inner))
        return read(plain[kind], (*path, kind), name)

    # -- put together ----------------------------------------------------------------------------------

    def union(self, shapes: tuple) -> ShapeTree:
        return shapes[0] if len(shapes) == 1 else tree.Union(shapes)

    def intersection(self, shapes: tuple) -> ShapeTree:
        return shapes[0] if len(shapes) == 1 else tree.Intersection(shapes)

    def difference(self, shapes: tuple) -> ShapeTree:
        return shapes[0] if len(shapes) == 1 else tree.Difference(shapes[0], shapes[1:])

    # -- primitives ------------------------------------------------------------------------------------

    def box(self, box: Mapping, path: KeyPath, name: str) -> ShapeTree:
        return tree.Box(*zip(*(box[c] for c in self.space), strict=True), name)

    def disk(self, plain: Mapping, path: KeyPath, name: str) -> ShapeTree:
        center = plain["center"]
        center = tuple(center) if isinstance(center, list | tuple) else (center,) * len(self.space)
        return (tree.Disk if len(center) == 2 else tree.Ball)(center, plain["radius"], name)

    ball = disk

    def ellipse(self, plain: Mapping, path: KeyPath, name: str) -> ShapeTree:
        return tree.Ellipse(tuple(plain["center"]), tuple(plain["radii"]), plain.get("angle", 0.0), name)

    def cylinder(self, plain: Mapping, path: KeyPath, name: str) -> ShapeTree:
        start, end = (tuple(p) for p in plain["ends"])
        return tree.Cylinder(start, end, plain["radius"], name)

    def half_plane(self, plain: Mapping, path: KeyPath, name: str) -> ShapeTree:
        normal = plain["normal"]
        length = math.hypot(*normal)
        return tree.HalfPlane(tuple(plain["point"]), tuple(v / length for v in normal), name)

    def polygon(self, plain: Any, path: KeyPath, name: str) -> ShapeTree | None:
        points = [tuple(p) for p in plain]
        if points[0] == points[-1]:
            points = points[:-1]  # closed by hand
        if wrong := _not_simple(points):
            self.error(path, wrong, "give the points in order along the boundary, each once")
            return None
        return tree.Polygon(tuple(points if _area(points) > 0 else reversed(points)), name)

    def implicit(self, inside: ParsedExpression, path: KeyPath, name: str) -> ShapeTree | None:
        relation = self.condition(inside)
        if relation is None:
            return None
        if not isinstance(relation, sp.core.relational.Relational):
            self.error(path, "the comparison says the same everywhere", text=inside.text)
            return None
        symbols = tuple(coordinate_symbol(c) for c in self.space)
        lower, upper = zip(*(self.intervals[c] for c in self.space), strict=True)
        return tree.Implicit(relation.lts - relation.gts, symbols, lower, upper, name)

    def mesh(self, file: str, path: KeyPath, name: str) -> ShapeTree:
        found = mesh_path(self.folder, file)
        header = read_mesh(found)
        return tree.MeshFile(found, header.lower, header.upper, header.parts, tuple(header.regions), name)


# -- polygons ---------------------------------------------------------------------------------------------------


def _area(points: list[Point]) -> float:
    """Positive for points in counterclockwise order (the shoelace formula)."""
    following = [*points[1:], points[0]]
    return math.fsum(a[0] * b[1] - a[1] * b[0] for a, b in zip(points, following, strict=True)) / 2


def _not_simple(points: list[Point]) -> str | None:
    """Why the points are no polygon, or None."""
    if len(points) < 3 or len(set(points)) < len(points):
        return "a point is given twice" if len(set(points)) < len(points) else "a polygon has three points at least"
    size = max(math.dist(points[0], p) for p in points)
    sides = list(zip(points, [*points[1:], points[0]], strict=True))
    for (i, (a, b)), (j, (c, d)) in combinations(enumerate(sides), 2):
        apart = 1 < j - i < len(sides) - 1
        if apart and _touch(a, b, c, d):
            return f"sides {i + 1} and {j + 1} of the polygon meet"
    if abs(_area([(p[0] - points[0][0], p[1] - points[0][1]) for p in points])) <= THIN * size**2:
        return "the polygon has no area"
    return None


def _touch(a: Point, b: Point, c: Point, d: Point) -> bool:
    """Whether the segments ab and cd have a point in common."""
    turns = [turn(a, b, c), turn(a, b, d), turn(c, d, a), turn(c, d, b)]
    if turns[0] * turns[1] < 0 and turns[2] * turns[3] < 0:
        return True
    ends = [(a, b, c), (a, b, d), (c, d, a), (c, d, b)]
    return any(t == 0 and _between(*e) for t, e in zip(turns, ends, strict=True))


def _between(a: Point, b: Point, c: Point) -> bool:
    return all(min(p, q) <= r <= max(p, q) for p, q, r in zip(a, b, c, strict=True))
