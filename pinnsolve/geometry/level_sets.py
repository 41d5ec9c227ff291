"""Shapes -> level functions: negative inside, positive outside, about the distance to the boundary near it.

Input: a tree of shapes. Output: functions (N, d) -> (N,) of float64 tensors. Of shapes put together the level is a
minimum or maximum of levels (A. Ricci, A constructive geometry for computer graphics, Computer Journal 16 (1973) 157).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import reduce

import torch
from torch import Tensor

from pinnsolve.geometry import shapes as tree
from pinnsolve.geometry.shapes import ShapeTree
from pinnsolve.language.to_torch import Evaluator

Level = Callable[[Tensor], Tensor]
BLOCK = 4_000_000  # of a (points, sides) table at a time


def level_of(shape: ShapeTree, of_primitive: Callable[[ShapeTree], Level]) -> Level:
    """The level of a tree from those of its primitives."""
    inner = [level_of(child, of_primitive) for child in tree.children(shape)]
    match shape:
        case tree.Union():
            return lambda x: reduce(torch.minimum, (level(x) for level in inner))
        case tree.Intersection():
            return lambda x: reduce(torch.maximum, (level(x) for level in inner))
        case tree.Difference():
            return lambda x: reduce(torch.maximum, (-level(x) for level in inner[1:]), inner[0](x))
    return of_primitive(shape)


def primitive_level(shape: ShapeTree) -> Level:
    """The level of one primitive; meshes have theirs in `meshes`."""
    match shape:
        case tree.Box(lower, upper):
            return _box(_tensor(lower), _tensor(upper))
        case tree.Disk(center, radius) | tree.Ball(center, radius):
            middle = _tensor(center)
            return lambda x: (x - middle).norm(dim=1) - radius
        case tree.Ellipse():
            return _ellipse(shape)
        case tree.Polygon(points):
            return _polygon(_tensor(points))
        case tree.Cylinder():
            return _cylinder(shape)
        case tree.HalfPlane(point, normal):
            p, n = _tensor(point), _tensor(normal)
            return lambda x: (x - p) @ n
        case tree.Implicit():
            return Gradient(shape).level
    raise TypeError(shape)


@dataclass(frozen=True)
class Pieces:
    """A level that is put together of smooth ones: calling it gives the `level`, and its zeros are on the zeros of
    those, the first of which, `flat` of them, are planes."""

    level: Level
    surfaces: tuple[Level, ...]
    flat: int = 0

    def __call__(self, x: Tensor) -> Tensor:
        return self.level(x)


def in_pieces(shape: ShapeTree, level: Level) -> Pieces:
    """The level of a tree of shapes in space with the surfaces that its boundary lies on."""
    planes: list[Level] = []
    curved: list[Level] = []
    for primitive in tree.primitives(shape):
        match primitive:
            case tree.Box(lower, upper):
                planes += [_plane(a, v) for a, ends in enumerate(zip(lower, upper, strict=True)) for v in ends]
            case tree.HalfPlane():
                planes.append(primitive_level(primitive))
            case tree.Cylinder(start, end, radius):
                side, caps = _cylinder_surfaces(_tensor(start), _tensor(end), radius)
                planes += caps
                curved.append(side)
            case _:
                curved.append(primitive_level(primitive))
    return Pieces(level, (*planes, *curved), len(planes))


def _cylinder_surfaces(start: Tensor, end: Tensor, radius: float) -> tuple[Level, list[Level]]:
    along = (end - start) / (end - start).norm()

    def side(x: Tensor) -> Tensor:
        return (x - start - ((x - start) @ along)[:, None] * along).norm(dim=1) - radius

    return side, [lambda x: (x - start) @ along, lambda x: (x - end) @ along]


def _plane(axis: int, value: float) -> Level:
    return lambda x: x[:, axis] - value


def beside_plane(shape: ShapeTree, axis: int, value: float, side: int, near: float) -> Level:
    """The level of what lies just beside the plane where a coordinate has a value, above it for `side` 1, below it for
    -1, at points in the plane. What is flat in the plane, nearer than `near`, is no zero of it, but on one side."""
    return level_of(shape, lambda primitive: _beside(primitive, axis, value, side, near))


def _beside(shape: ShapeTree, axis: int, value: float, side: int, near: float) -> Level:
    level = primitive_level(shape)
    match shape:
        case tree.Box(lower, upper):
            ends = lower[axis], upper[axis]
        case tree.Cylinder(start, end) if tree.axis_along([b - a for a, b in zip(start, end, strict=True)]) == axis:
            ends = tuple(sorted((start[axis], end[axis])))
        case tree.HalfPlane(point, normal) if tree.axis_along(normal) == axis and abs(point[axis] - value) <= near:
            within = side * normal[axis] < 0
            return lambda x: x.new_full((len(x),), -1.0 if within else 1.0) * (1.0 + x.abs().amax())
        case _:
            return level
    if min(abs(end - value) for end in ends) > near:
        return level
    if (abs(ends[0] - value) <= near) != (side > 0):
        return lambda x: x.new_full((len(x),), ends[1] - ends[0])
    middle = 0.5 * (ends[0] + ends[1])

    def inside(x: Tensor) -> Tensor:
        x = x.clone()
        x[:, axis] = middle
        return level(x)

    return inside


def _tensor(values) -> Tensor:
    return torch.tensor(values, dtype=torch.float64)


def _box(lower: Tensor, upper: Tensor) -> Level:
    return lambda x: torch.maximum(lower - x, x - upper).amax(dim=1)


def _ellipse(shape: tree.Ellipse) -> Level:
    center, radii, turn = _tensor(shape.center), _tensor(shape.radii), rotation(shape.angle)
    return lambda x: (((x - center) @ turn / radii).norm(dim=1) - 1.0) * min(shape.radii)


def rotation(angle: float) -> Tensor:
    """(2, 2), its columns the directions of the turned axes."""
    c, s = torch.cos(torch.tensor(angle, dtype=torch.float64)), torch.sin(torch.tensor(angle, dtype=torch.float64))
    return torch.stack([torch.stack([c, -s]), torch.stack([s, c])])


def _cylinder(shape: tree.Cylinder) -> Level:
    start, end = _tensor(shape.start), _tensor(shape.end)
    length = (end - start).norm()
    along = (end - start) / length

    def level(x: Tensor) -> Tensor:
        height = (x - start) @ along
        across = (x - start - height[:, None] * along).norm(dim=1) - shape.radius
        return torch.maximum(across, torch.maximum(-height, height - length))

    return level


def _polygon(points: Tensor) -> Level:
    following = points.roll(-1, dims=0)

    def level(x: Tensor) -> Tensor:
        blocks = x.split(max(1, BLOCK // len(points)))
        return torch.cat([signed_distance(block, points, following) for block in blocks])

    return level


def signed_distance(x: Tensor, a: Tensor, b: Tensor) -> Tensor:
    """The distance of points (N, 2) to closed chains of sides from a to b (S, 2), negative inside (even-odd rule)."""
    along = b - a
    t = ((x[:, None] - a) * along).sum(-1) / (along * along).sum(-1)
    distance = (x[:, None] - a - t.clamp(0, 1)[..., None] * along).norm(dim=-1).amin(dim=1)
    spans = (a[:, 1] <= x[:, 1:]) != (b[:, 1] <= x[:, 1:])
    rise = torch.where(along[:, 1] == 0, 1.0, along[:, 1])
    left = x[:, :1] < a[:, 0] + (x[:, 1:] - a[:, 1]) / rise * along[:, 0]
    inside = (spans & left).sum(dim=1) % 2 == 1
    return torch.where(inside, -distance, distance)


class Gradient:
    """The expression of an implicit shape with its gradient, at points (N, d)."""

    def __init__(self, shape: tree.Implicit):
        self.symbols = shape.symbols
        self.size = float((_tensor(shape.upper) - _tensor(shape.lower)).norm())
        slopes = [shape.level.diff(s) for s in shape.symbols]
        self._evaluate = Evaluator([shape.level, *slopes])

    def __call__(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Values (N,) and gradients (N, d)."""
        values = self._evaluate({s: x[:, i] for i, s in enumerate(self.symbols)})
        full = [torch.as_tensor(v, dtype=torch.float64).expand(len(x)) for v in values]
        return full[0], torch.stack(full[1:], dim=1)

    def level(self, x: Tensor) -> Tensor:
        """Near the boundary its distance, to first order; where the expression has no value, outside."""
        g, slope = self(x)
        level = g / torch.hypot(slope.norm(dim=1), g.abs() / self.size).clamp_min(1e-300)
        return torch.where(level.isfinite(), level, self.size)
