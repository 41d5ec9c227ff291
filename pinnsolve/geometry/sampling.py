"""Regions -> points. Uniform grids, Chebyshev grids, Sobol and uniform random points on the pieces of a domain.

In a shape, points are drawn in the box around it and those outside are left out; on its boundary they are spread by
length or area. Points are float64 tensors on the CPU; a seed is an argument. Counts are what the caller asked for where
the kind of sampling allows it (a grid takes the nearest equal number per axis).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial

import torch
from torch import Tensor

from pinnsolve.geometry.balls import BallShape
from pinnsolve.geometry.factory import Shape
from pinnsolve.geometry.regions import Intervals, Piece, Region
from pinnsolve.runtime import random_tensor

SAMPLINGS = ("grid", "sobol", "uniform", "chebyshev")
MOST_DRAWN = 400  # points drawn per point asked for, where a condition leaves few


@dataclass(frozen=True)
class Points:
    """Points of one term.

    `x`: (sides, N, d), where sides is 2 on a periodic pair and 1 elsewhere; `normals`: (N, d) on faces, else
    None; `columns`: measured values by name, (N,) each.
    """

    x: Tensor
    normals: Tensor | None = None
    columns: dict[str, Tensor] = field(default_factory=dict)

    @property
    def count(self) -> int:
        return self.x.shape[1]

    def select(self, index: Tensor | slice) -> Points:
        return Points(
            self.x[:, index],
            None if self.normals is None else self.normals[index],
            {name: column[index] for name, column in self.columns.items()},
        )


@dataclass(frozen=True)
class Space:
    """The shape of a domain in space, and which axes of all coordinates are those of space."""

    shape: Shape
    axes: tuple[int, ...]

    def inside(self, x: Tensor) -> Tensor:
        """Return which of the points (N, coordinates) lie in the shape."""
        return self.shape.inside(x[:, list(self.axes)])

    def test(self, piece: Piece) -> Callable[..., Tensor] | None:
        """Return the test that the points of a piece have to pass; points of the boundary need none."""
        if piece.part is not None or isinstance(self.shape, BallShape):
            return None  # such points are drawn inside
        if piece.region is None:
            return lambda x, normals=None: self.inside(x)
        return lambda x, normals=None: self.shape.in_region(x[:, list(self.axes)], piece.region)


@dataclass(frozen=True)
class Narrowing:
    """What narrows a region: the shape of a `space`, and its `where`, which makes (N,) bool of points and their normals
    (N, d), or None where there are none."""

    where: Callable[..., Tensor] | None = None
    space: Space | None = None

    def tests(self, piece: Piece) -> list[Callable[..., Tensor]]:
        """The tests that the points of a piece have to pass."""
        shape = None if self.space is None else self.space.test(piece)
        return [test for test in (self.where, shape) if test is not None]


def sample_region(
    region: Region, intervals: Intervals, count: int, sampling: str, seed: int, narrowing: Narrowing = Narrowing()
) -> Points:
    """About `count` points on each piece of the region.

    Where it is narrowed, points are drawn anew at a finer density until about `count` remain. Raises ValueError where
    no point of the region is found.
    """
    pieces = []
    for i, piece in enumerate(region.pieces):
        draw = partial(sample_piece, piece, intervals, sampling=sampling, seed=seed + 7919 * i, space=narrowing.space)
        pieces.append(_narrowed(draw, count, narrowing.tests(piece)))
    points = _join(pieces)
    if points.count == 0:
        raise ValueError(f"no point of `{region.label}` found")
    return points


def _narrowed(draw: Callable[..., Points], count: int, tests: Sequence[Callable[..., Tensor]]) -> Points:
    """About `count` of the points that `draw(count=...)` gives, those that pass all tests."""
    wanted = count
    for _ in range(8):
        points = draw(count=wanted)
        drawn = points.count
        for test in tests:
            points = points.select(test(points.x[0], points.normals))
        if not tests or points.count >= 0.7 * count or wanted == MOST_DRAWN * count or drawn <= 1:
            break
        share = max(points.count / drawn, 0.05 * count / wanted)
        wanted = min(math.ceil(count / share), MOST_DRAWN * count)
    return points


def _join(pieces: Sequence[Points]) -> Points:
    x = torch.cat([p.x for p in pieces], dim=1)
    with_normals = all(p.normals is not None for p in pieces)
    return Points(x, torch.cat([p.normals for p in pieces]) if with_normals else None)


def sample_piece(
    piece: Piece, intervals: Intervals, count: int, sampling: str, seed: int, space: Space | None = None
) -> Points:
    """About `count` points of a piece; in a `space` that is a ball, inside of it."""
    if piece.part is not None:
        return _sample_part(piece, intervals, count, sampling, seed, space)
    d = len(intervals)
    free = piece.free_axes(d)
    ball = space is not None and isinstance(space.shape, BallShape)
    if ball and sampling not in ("sobol", "uniform"):
        sampling = "sobol"
    unit = unit_points(len(free) + ball, count, sampling, seed)  # (N, free), and a radius
    x = torch.empty(unit.shape[0], d, dtype=torch.float64)
    for column, axis in enumerate(free):
        low, high = intervals[axis]
        share = unit[:, column]
        x[:, axis] = (low * (1.0 - share) + high * share).clamp(low, high)  # ends exactly on the faces
    if ball:
        places = torch.cat([unit[:, [free.index(axis) for axis in space.axes]], unit[:, -1:]], dim=1)
        x[:, list(space.axes)] = space.shape.points(places, sampling == "sobol")
    return on_piece(piece, x)


def on_piece(piece: Piece, x: Tensor) -> Points:
    """Points (N, d) whose `fixed` coordinates are set to those of a piece along the axes, with partners and normals."""
    for axis, value in piece.fixed:
        x[:, axis] = value
    sides = [x]
    if piece.partner is not None:
        twin = x.clone()
        twin[:, piece.partner[0]] = piece.partner[1]
        sides.append(twin)
    normals = None
    if piece.outward is not None:
        normals = torch.zeros_like(x)
        normals[:, piece.outward[0]] = piece.outward[1]
    return Points(torch.stack(sides), normals)


def _sample_part(piece: Piece, intervals: Intervals, count: int, sampling: str, seed: int, space: Space) -> Points:
    """Points of the boundary of a shape, times those of time."""
    d, axes = len(intervals), list(space.axes)
    held = dict(piece.fixed)
    free = [i for i in range(d) if i not in held and i not in axes]
    across = space.shape.dimension - 1
    if across > 2 and sampling not in ("sobol", "uniform"):
        sampling = "sobol"
    # the first coordinates choose the place on the boundary, of which a surface takes one more to choose a patch
    unit = unit_points(across + len(free), count, sampling, seed)
    chooser = unit_points(1, len(unit), "uniform", seed + 1) if across > 1 else unit[:, :0]
    plane = None if piece.plane is None else (axes.index(piece.plane[0]), piece.plane[1])
    place = torch.cat([unit[:, :across], chooser], dim=1)
    on, normals, kept = space.shape.spread(place, piece.part, plane)
    x, outward = unit.new_zeros(len(on), d), unit.new_zeros(len(on), d)
    x[:, axes], outward[:, axes] = on, normals
    for column, axis in enumerate(free):
        low, high = intervals[axis]
        x[:, axis] = low + (high - low) * unit[kept, across + column]
    for axis, value in held.items():
        x[:, axis] = value
    return Points(x[None], outward)


def unit_points(dimension: int, count: int, sampling: str, seed: int) -> Tensor:
    """(N, dimension) points of the unit box."""
    if dimension == 0:
        return torch.zeros(1, 0, dtype=torch.float64)
    if sampling == "uniform":
        generator = torch.Generator().manual_seed(seed)
        return random_tensor(torch.rand, count, dimension, generator=generator, dtype=torch.float64)
    if sampling == "sobol":
        with torch.device("cpu"):  # of which its numbers are
            engine = torch.quasirandom.SobolEngine(dimension, scramble=True, seed=seed)
            unit = engine.draw(count, dtype=torch.float64)
        return unit.to(torch.get_default_device())
    per_axis = max(2, round(count ** (1.0 / dimension)))
    if sampling == "grid":
        axis = torch.linspace(0.0, 1.0, per_axis, dtype=torch.float64)
    else:  # Chebyshev points of the second kind: dense towards the ends, as polynomials need
        axis = 0.5 - 0.5 * torch.cos(torch.linspace(0.0, math.pi, per_axis, dtype=torch.float64))
    return torch.stack(torch.meshgrid(*[axis] * dimension, indexing="ij"), dim=-1).reshape(-1, dimension)
