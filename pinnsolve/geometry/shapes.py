"""Shapes as values: primitives with their numbers, put together by union, intersection and difference.

Input: numbers with parameters folded in. Output: a tree that can be hashed and compared, with what can be said of it
without points: dimension, bounding box, names of boundary parts, flat faces. Points come from `shapes`. No array
library.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import sympy as sp

Point = tuple[float, ...]
Bounds = tuple[Point, Point]  # lower and upper corner; infinite for what is unbounded
INTERFACE = "(interface)"  # the name of the boundary between materials: no file can use it


@dataclass(frozen=True)
class Box:
    """The product of intervals, (d,) each. `name` is that of the boundary, here and below; "" where it has none."""

    lower: Point
    upper: Point
    name: str = ""


@dataclass(frozen=True)
class Disk:
    """A disk of the plane."""

    center: Point
    radius: float
    name: str = ""


@dataclass(frozen=True)
class Ball:
    """A ball of space."""

    center: Point
    radius: float
    name: str = ""


@dataclass(frozen=True)
class Ellipse:
    """Half-axes `radii`; the first is turned by `angle` (radians) from the x axis."""

    center: Point
    radii: tuple[float, float]
    angle: float = 0.0
    name: str = ""


@dataclass(frozen=True)
class Polygon:
    """Simple, its points (n, 2) counterclockwise."""

    points: tuple[Point, ...]
    name: str = ""


@dataclass(frozen=True)
class Cylinder:
    """A circular one, between the centers of its two ends."""

    start: Point
    end: Point
    radius: float
    name: str = ""


@dataclass(frozen=True)
class HalfPlane:
    """The points x with (x - point).normal <= 0, in the plane or in space; `normal` (d,) is of unit length."""

    point: Point
    normal: Point
    name: str = ""


@dataclass(frozen=True)
class Implicit:
    """The set where `level`, in the coordinates `symbols`, is negative, within the box from `lower` to `upper`."""

    level: sp.Expr
    symbols: tuple[sp.Symbol, ...]
    lower: Point
    upper: Point
    name: str = ""


@dataclass(frozen=True)
class MeshFile:
    """The cells of a mesh. `parts`: names of groups on its boundary; `regions`: names of groups of cells.

    Only cells that are in all groups `within` and in none of the groups `without`.
    """

    path: Path
    lower: Point
    upper: Point
    parts: tuple[str, ...] = ()
    regions: tuple[str, ...] = ()
    name: str = ""
    within: tuple[str, ...] = ()
    without: tuple[str, ...] = ()


@dataclass(frozen=True)
class Union:
    """The points that lie in at least one of the shapes."""

    shapes: tuple[ShapeTree, ...]


@dataclass(frozen=True)
class Intersection:
    """The points that lie in all of the shapes."""

    shapes: tuple[ShapeTree, ...]


@dataclass(frozen=True)
class Difference:
    """The points that lie in the first shape and in none of the others."""

    first: ShapeTree
    others: tuple[ShapeTree, ...]


Primitive = Box | Disk | Ball | Ellipse | Polygon | Cylinder | HalfPlane | Implicit | MeshFile
ShapeTree = Primitive | Union | Intersection | Difference


def children(tree: ShapeTree) -> tuple[ShapeTree, ...]:
    """Return the shapes that a tree is put together from, none of a primitive."""
    match tree:
        case Union(shapes) | Intersection(shapes):
            return shapes
        case Difference(first, others):
            return (first, *others)
    return ()


def primitives(tree: ShapeTree) -> Iterator[Primitive]:
    """The leaves, in order."""
    inner = children(tree)
    if not inner:
        yield tree
    for child in inner:
        yield from primitives(child)


def dimension(tree: ShapeTree) -> int:
    """The dimension of the first primitive; in a checked tree, all have the same."""
    first = next(primitives(tree))
    return len(bounds(first)[0])


def part_names(tree: ShapeTree) -> tuple[str, ...]:
    """Names of the parts of the boundary, in order; the part without a name is left out."""
    found: list[str] = []
    for leaf in primitives(tree):
        found += [*leaf.parts, leaf.name] if isinstance(leaf, MeshFile) else [leaf.name]
    return tuple(dict.fromkeys(name for name in found if name))


def region_names(tree: ShapeTree) -> tuple[str, ...]:
    """Names of the groups of cells of a mesh that is the whole domain."""
    return tree.regions if isinstance(tree, MeshFile) else ()


def with_boxes(shape: ShapeTree) -> ShapeTree:
    """Implicit shapes cut by the box that they are given in."""
    match shape:
        case Implicit(_, _, lower, upper, name):
            return Intersection((shape, Box(lower, upper, name)))
        case Union(shapes):
            return Union(tuple(map(with_boxes, shapes)))
        case Intersection(shapes):
            return Intersection(tuple(map(with_boxes, shapes)))
        case Difference(first, others):
            return Difference(with_boxes(first), tuple(map(with_boxes, others)))
    return shape


# -- bounds -----------------------------------------------------------------------------------------------------


def bounds(tree: ShapeTree) -> Bounds:
    """A box around the shape: tight for primitives, and for a difference that of its first shape."""
    match tree:
        case Box(lower, upper) | Implicit(_, _, lower, upper) | MeshFile(_, lower, upper):
            return lower, upper
        case Disk(center, radius) | Ball(center, radius):
            return _around(center, [radius] * len(center))
        case Ellipse(center, (a, b), angle):
            c, s = math.cos(angle), math.sin(angle)
            return _around(center, [math.hypot(a * c, b * s), math.hypot(a * s, b * c)])
        case Polygon(points):
            columns = tuple(zip(*points, strict=True))
            return tuple(map(min, columns)), tuple(map(max, columns))
        case Cylinder(start, end, radius):
            return _of_cylinder(start, end, radius)
        case HalfPlane():
            return _of_half_plane(tree)
        case Union(shapes):
            return _combined([bounds(s) for s in shapes], min, max)
        case Intersection(shapes):
            return _combined([bounds(s) for s in shapes], max, min)
        case Difference(first):
            return bounds(first)
    raise TypeError(tree)


def _around(center: Point, reach: list[float]) -> Bounds:
    pairs = list(zip(center, reach, strict=True))
    return tuple(c - r for c, r in pairs), tuple(c + r for c, r in pairs)


def _of_cylinder(start: Point, end: Point, radius: float) -> Bounds:
    along = [b - a for a, b in zip(start, end, strict=True)]
    length = math.hypot(*along)
    reach = [radius * math.sqrt(max(0.0, 1 - (v / length) ** 2)) for v in along]  # of a disk across the axis
    ends = list(zip(start, end, reach, strict=True))
    return tuple(min(a, b) - r for a, b, r in ends), tuple(max(a, b) + r for a, b, r in ends)


def _of_half_plane(tree: HalfPlane) -> Bounds:
    d = len(tree.normal)
    lower, upper = [-math.inf] * d, [math.inf] * d
    axis = axis_along(tree.normal)
    if axis is not None:
        (upper if tree.normal[axis] > 0 else lower)[axis] = tree.point[axis]
    return tuple(lower), tuple(upper)


def _combined(boxes: list[Bounds], of_lower, of_upper) -> Bounds:
    lowers, uppers = zip(*boxes, strict=True)
    return tuple(map(of_lower, *lowers)), tuple(map(of_upper, *uppers))


# -- flat faces -------------------------------------------------------------------------------------------------


def axis_along(normal: Point) -> int | None:
    """The axis that a vector is along, to rounding; None for one that is oblique."""
    length = math.hypot(*normal)
    return next((i for i, v in enumerate(normal) if abs(abs(v) - length) <= 1e-15 * length), None)


def may_have_face(tree: ShapeTree, axis: int, value: float, near: float) -> bool:
    """Tell whether boundary may lie in the plane where a coordinate has a value; free shapes cannot tell."""
    return any(_may_have_face(leaf, axis, value, near) for leaf in primitives(tree))


def _may_have_face(leaf: Primitive, axis: int, value: float, near: float) -> bool:
    match leaf:
        case Box(lower, upper):
            flat = [lower[axis], upper[axis]]
        case Polygon(points):
            sides = zip(points, (*points[1:], points[0]), strict=True)
            flat = [a[axis] for a, b in sides if abs(a[axis] - b[axis]) <= near]
        case Cylinder(start, end):
            along = axis_along([b - a for a, b in zip(start, end, strict=True)])
            flat = [start[axis], end[axis]] if along == axis else []
        case HalfPlane(point, normal):
            flat = [point[axis]] if axis_along(normal) == axis else []
        case Implicit() | MeshFile():
            return True
        case _:
            flat = []
    return any(abs(f - value) <= near for f in flat)


# -- words ------------------------------------------------------------------------------------------------------

_WORDS = {"halfplane": "half-plane", "meshfile": "mesh", "implicit": "implicit shape"}


def describe(tree: ShapeTree) -> str:
    """Describe the tree in words: `box less 4 disks`."""
    match tree:
        case Union(shapes):
            return f"union of {_listed(shapes)}"
        case Intersection(shapes):
            return f"intersection of {_listed(shapes)}"
        case Difference(first, others):
            return f"{describe(first)} less {_listed(others)}"
    word = type(tree).__name__.lower()
    return _WORDS.get(word, word)


def _listed(trees: tuple[ShapeTree, ...]) -> str:
    counts: dict[str, int] = {}
    for tree in trees:
        text = describe(tree) if not children(tree) else f"({describe(tree)})"
        counts[text] = counts.get(text, 0) + 1
    words = [text if n == 1 else f"{n} {_plural(text)}" for text, n in counts.items()]
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}"


def _plural(word: str) -> str:
    return word + ("es" if word.endswith(("box", "sh")) else "s")
