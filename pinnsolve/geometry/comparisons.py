"""Shapes as comparisons of the coordinates, which hold inside.

Input: a shape tree. Output: sympy conditions, whose levels are linear or quadratic where the shape allows. No array
library.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import sympy as sp
from sympy.core.relational import Relational

from pinnsolve.geometry.shapes import (
    Ball,
    Box,
    Cylinder,
    Difference,
    Disk,
    Ellipse,
    HalfPlane,
    Implicit,
    Intersection,
    Point,
    Polygon,
    ShapeTree,
    Union,
)

SAME = 1e-12  # relative to an interval: a plane this near an end of it is its end


def as_comparison(tree: ShapeTree, symbols: Sequence[sp.Symbol]) -> sp.Basic:
    """What holds of the coordinates `symbols` in a shape. Raises `TypeError` for a mesh."""
    match tree:
        case Box(lower, upper):
            ends = zip(symbols, lower, upper, strict=True)
            return sp.And(*(c for x, a, b in ends for c in (x > _number(a), x < _number(b))))
        case Disk(center, radius) | Ball(center, radius):
            return _square(symbols, center) < _number(radius) ** 2
        case Ellipse(center, (a, b), angle):
            return _of_ellipse(symbols, center, (a, b), angle)
        case HalfPlane(point, normal):
            return _across(symbols, point, normal) < 0
        case Polygon(points):
            return _of_polygon(symbols, points)
        case Cylinder():
            return _of_cylinder(symbols, tree)
        case Implicit(level, own):
            return sp.Lt(level.xreplace(dict(zip(own, symbols, strict=True))), 0)
        case Union(shapes):
            return sp.Or(*(as_comparison(s, symbols) for s in shapes))
        case Intersection(shapes):
            return sp.And(*(as_comparison(s, symbols) for s in shapes))
        case Difference(first, others):
            return sp.And(as_comparison(first, symbols), *(sp.Not(as_comparison(s, symbols)) for s in others))
    raise TypeError(tree)


def canonical(holds: sp.Basic) -> sp.Basic:
    """The same but on the boundary, with the same comparison wherever the same level is compared, `level < 0` or not.

    So sympy sees that a region and what is beside it have nothing in common.
    """
    return holds.xreplace({relation: _canonical(relation) for relation in holds.atoms(Relational)})


def _canonical(relation: Relational) -> sp.Basic:
    level = sp.expand(sp.N(relation.lts - relation.gts))  # negative where the comparison holds
    if level.could_extract_minus_sign():
        return sp.Ge(sp.expand(-level), 0)
    return sp.Lt(level, 0)


def within_box(holds: sp.Basic, ends: Mapping[sp.Symbol, tuple[float, float]]) -> sp.Basic:
    """The same in a box, where comparisons of a single coordinate that its ends decide are true or false."""
    decided = {}
    for relation in holds.atoms(Relational):
        level = relation.lts - relation.gts  # negative where the comparison holds
        for x, (low, high) in ends.items():
            if level.free_symbols == {x} and sp.Poly(level, x).degree() == 1 if level.is_polynomial(x) else False:
                decided |= _decided(relation, level, x, (low, high))
    return holds.xreplace(decided)


def _decided(relation: Relational, level: sp.Expr, x: sp.Symbol, ends: tuple[float, float]) -> dict:
    slack = SAME * (ends[1] - ends[0])
    at = [float(level.subs(x, end)) for end in (ends[0] + slack, ends[1] - slack)]
    slope = abs(float(level.diff(x))) * 2 * slack
    if max(at) <= slope:
        return {relation: sp.true}
    return {relation: sp.false} if min(at) >= -slope else {}


def _number(value: float) -> sp.Number:
    """Whole numbers and short decimals stay as they were written."""
    return sp.Integer(int(value)) if float(value).is_integer() else sp.Float(value)


def _square(symbols: Sequence[sp.Symbol], center: Point) -> sp.Expr:
    return sp.Add(*((x - _number(c)) ** 2 for x, c in zip(symbols, center, strict=True)))


def _across(symbols: Sequence[sp.Symbol], point: Point, normal: Point) -> sp.Expr:
    return sp.Add(*(_number(n) * (x - _number(p)) for x, p, n in zip(symbols, point, normal, strict=True)))


def _of_ellipse(symbols: Sequence[sp.Symbol], center: Point, radii: tuple[float, float], angle: float) -> sp.Basic:
    x, y = (s - _number(c) for s, c in zip(symbols, center, strict=True))
    c, s = _number(math.cos(angle)), _number(math.sin(angle))
    return ((c * x + s * y) / _number(radii[0])) ** 2 + ((c * y - s * x) / _number(radii[1])) ** 2 < 1


def _of_cylinder(symbols: Sequence[sp.Symbol], tree: Cylinder) -> sp.Basic:
    along = [b - a for a, b in zip(tree.start, tree.end, strict=True)]
    length = math.hypot(*along)
    height = _across(symbols, tree.start, tuple(v / length for v in along))
    around = _square(symbols, tree.start) - height**2 < _number(tree.radius) ** 2
    return sp.And(height > 0, height < _number(length), sp.expand(around.lhs) < around.rhs)


def _of_polygon(symbols: Sequence[sp.Symbol], points: Sequence[Point]) -> sp.Basic:
    """A convex part less what fills the dents: the convex hull, and without each dent, which is a polygon again."""
    hull = _hull(points)
    sides = zip(hull, (*hull[1:], hull[0]), strict=True)
    holds = sp.And(*(_across(symbols, a, _outward(a, b)) < 0 for a, b in sides))
    dents = (_dent(points, a, b) for a, b in zip(hull, (*hull[1:], hull[0]), strict=True))
    return sp.And(holds, *(sp.Not(_of_polygon(symbols, dent)) for dent in dents if len(dent) > 2))


def _outward(a: Point, b: Point) -> Point:
    length = math.dist(a, b)
    return ((b[1] - a[1]) / length, -(b[0] - a[0]) / length)


def _hull(points: Sequence[Point]) -> list[Point]:
    """The convex hull, counterclockwise (the monotone chain of Andrew, 1979)."""

    def half(ordered: Sequence[Point]) -> list[Point]:
        chain: list[Point] = []
        for p in ordered:
            while len(chain) > 1 and turn(chain[-2], chain[-1], p) <= 0:
                chain.pop()
            chain.append(p)
        return chain[:-1]

    ordered = sorted(points)
    return half(ordered) + half(ordered[::-1])


def turn(a: Point, b: Point, c: Point) -> float:
    """Twice the area of a triangle of the plane, positive where its corners are counterclockwise."""
    return (b[0] - a[0]) * (c[1] - a[1]) - (b[1] - a[1]) * (c[0] - a[0])


def _dent(points: Sequence[Point], a: Point, b: Point) -> list[Point]:
    """What lies between the side from a to b of the hull and the polygon, counterclockwise."""
    i, j = points.index(a), points.index(b)
    between = [*points[i : j + 1]] if i <= j else [*points[i:], *points[: j + 1]]
    return between[::-1]
