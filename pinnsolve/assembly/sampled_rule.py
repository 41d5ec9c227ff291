"""Points and weights of an integral in more coordinates of space than products of rules have room for.

Input: a compiled problem, a region, a time. Output: a `Rule` of several independent quasi-random samples (scrambled
Sobol points), whose spread tells how wrong their mean is (Owen, SIAM J. Numer. Anal. 34 (1997) 1884-1910).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from pinnsolve.assembly.collocation import space_of
from pinnsolve.compiler.terms import CompiledProblem
from pinnsolve.geometry.balls import BallShape
from pinnsolve.geometry.regions import Piece, Region
from pinnsolve.geometry.sampling import Points, sample_piece, unit_points
from pinnsolve.geometry.subdomains import where_function

MOST_AXES = 3  # of space, up to which products of rules serve
SAMPLES, POINTS, SEED = 8, 4096, 40_000_003  # of one rule, of one sample, and what tells them from points of solves


@dataclass(frozen=True)
class Rule:
    """`x`: (N, d) points, `weights`: (N,), `normals`: (N, d) outward ones, None inside; `samples`: (N,) the number of
    the sample that a point is in, None where the rule is none of samples."""

    x: Tensor
    weights: Tensor
    normals: Tensor | None = None
    samples: Tensor | None = None


def sampled_rule(problem: CompiledProblem, region: Region, time: float | None) -> Rule:
    """The rule of a region in a box or a ball, at a time where that is free."""
    parts = []
    for number, piece in enumerate(region.pieces):
        held = dict(piece.fixed)
        if time is not None and problem.axes.time_axis is not None:
            held.setdefault(problem.axes.time_axis, time)
        at = replace(piece, fixed=tuple(sorted(held.items())))
        parts += [_sample(problem, at, held, number, sample) for sample in range(SAMPLES)]
    x, weights, samples = (torch.cat([getattr(p, name) for p in parts]) for name in ("x", "weights", "samples"))
    known = [p.normals for p in parts if p.normals is not None]
    normals = torch.cat(known) if len(known) == len(parts) else None
    inside = where_function(region.where, problem.coordinates)
    if inside is not None:
        kept = inside(x, normals)
        x, weights, samples = x[kept], weights[kept], samples[kept]
        normals = None if normals is None else normals[kept]
    return Rule(x, weights, normals, samples)


def _sample(problem: CompiledProblem, piece: Piece, held: Mapping[int, float], number: int, sample: int) -> Rule:
    """One sample of a piece, whose weights add up to the size of it."""
    points, size = _drawn(problem, piece, held, SEED + 7919 * number + 104_729 * sample)
    x = points.x[0]
    weights = torch.full((len(x),), size / max(len(x), 1), dtype=torch.float64)
    return Rule(x, weights, points.normals, torch.full((len(x),), sample))


def _drawn(problem: CompiledProblem, piece: Piece, held: Mapping[int, float], seed: int) -> tuple[Points, float]:
    """Points of a piece, and its size."""
    space, intervals = space_of(problem), problem.intervals
    free = [a for a in range(len(intervals)) if a not in held]
    count = POINTS if free or piece.part is not None else 1
    if space is None:
        size = math.prod(intervals[a][1] - intervals[a][0] for a in free)
        return sample_piece(piece, intervals, count, "sobol", seed), size
    if not isinstance(space.shape, BallShape):
        raise ValueError("quantities in more than three coordinates of space are those of boxes and balls")
    if piece.part is not None:
        return sample_piece(piece, intervals, count, "sobol", seed, space), space.shape.surface()
    if not free:
        return sample_piece(piece, intervals, count, "sobol", seed), 1.0
    x = torch.zeros(count, len(intervals), dtype=torch.float64)
    x[:, list(space.axes)] = space.shape.points(unit_points(len(space.axes) + 1, count, "sobol", seed))
    for axis, value in held.items():
        x[:, axis] = value
    return Points(x[None]), space.shape.measure()
