"""Regions -> points. Uniform grids, Chebyshev grids, Sobol and uniform random points on the pieces of a box.

Points are float64 tensors on the CPU; a seed is an argument. Counts are what the caller asked for where the
kind of sampling allows it (a grid takes the nearest equal number per axis).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from pinnsolve.geometry.regions import Intervals, Piece, Region

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


def sample_region(
    region: Region,
    intervals: Intervals,
    count: int,
    sampling: str,
    seed: int,
    inside: Callable[[Tensor], Tensor] | None = None,
) -> Points:
    """About `count` points on each piece of the region; `inside` (N, d) -> (N,) bool narrows it (its `where`).

    With `inside`, points are drawn anew at a finer density until about `count` remain. Raises ValueError where
    no point of the region satisfies it.
    """
    wanted = count
    for _ in range(8):
        pieces = [_sample_piece(p, intervals, wanted, sampling, seed + 7919 * i) for i, p in enumerate(region.pieces)]
        points = _join(pieces)
        if inside is None:
            return points
        kept = points.select(inside(points.x[0]))
        if kept.count >= 0.7 * count * len(region.pieces) or wanted == MOST_DRAWN * count:
            break
        share = max(kept.count / points.count, 0.05 * count / wanted)
        wanted = min(math.ceil(count / share), MOST_DRAWN * count)
    if kept.count == 0:
        raise ValueError(f"no point of `{region.label}` found")
    return kept


def _join(pieces: Sequence[Points]) -> Points:
    x = torch.cat([p.x for p in pieces], dim=1)
    with_normals = all(p.normals is not None for p in pieces)
    return Points(x, torch.cat([p.normals for p in pieces]) if with_normals else None)


def _sample_piece(piece: Piece, intervals: Intervals, count: int, sampling: str, seed: int) -> Points:
    d = len(intervals)
    free = piece.free_axes(d)
    unit = _unit_points(len(free), count, sampling, seed)  # (N, free)
    x = torch.empty(unit.shape[0], d, dtype=torch.float64)
    for column, axis in enumerate(free):
        low, high = intervals[axis]
        share = unit[:, column]
        x[:, axis] = (low * (1.0 - share) + high * share).clamp(low, high)  # ends exactly on the faces
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


def _unit_points(dimension: int, count: int, sampling: str, seed: int) -> Tensor:
    """(N, dimension) points of the unit box."""
    if dimension == 0:
        return torch.zeros(1, 0, dtype=torch.float64)
    if sampling == "uniform":
        generator = torch.Generator().manual_seed(seed)
        return torch.rand(count, dimension, generator=generator, dtype=torch.float64)
    if sampling == "sobol":
        engine = torch.quasirandom.SobolEngine(dimension, scramble=True, seed=seed)
        return engine.draw(count, dtype=torch.float64)
    per_axis = max(2, round(count ** (1.0 / dimension)))
    if sampling == "grid":
        axis = torch.linspace(0.0, 1.0, per_axis, dtype=torch.float64)
    else:  # Chebyshev points of the second kind: dense towards the ends, as polynomials need
        axis = 0.5 - 0.5 * torch.cos(torch.linspace(0.0, math.pi, per_axis, dtype=torch.float64))
    return torch.stack(torch.meshgrid(*[axis] * dimension, indexing="ij"), dim=-1).reshape(-1, dimension)
