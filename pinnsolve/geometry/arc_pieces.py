"""The boundary of a plane shape in pieces that lie in one box of a grid each, with Gauss points on every piece.

Input: a shape, the lines of a grid. Output: `ArcPieces`. Where an arc crosses a line is found to rounding, so pieces
that meet there end at the same point.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from pinnsolve.geometry.plane_shapes import PlaneShape
from pinnsolve.geometry.sampled_shape import Spacing

SAME = 1e-12  # relative to the size of the shape: how near to a line a point lies on it
STEPS = 14  # of false position, which gains digits faster and faster
MOST_CUTS = 40  # of one segment by lines of either axis


@dataclass(frozen=True)
class ArcPieces:
    """S pieces: `x`, `normals` (S, q, 2) at Gauss points, outward, `weights` (S, q) of length; `middle` (S, 2) and its
    `normal` (S, 2); `ends` (S, 2, 2); `part` (S,) of the boundary."""

    x: Tensor
    normals: Tensor
    weights: Tensor
    middle: Tensor
    normal: Tensor
    ends: Tensor
    part: Tensor

    def select(self, chosen: Tensor) -> ArcPieces:
        """Some of the pieces."""
        return ArcPieces(*(value[chosen] for value in vars(self).values()))


def arc_pieces(shape: PlaneShape, lines: Sequence[Tensor], spacing: Spacing, rule: tuple[Tensor, Tensor]) -> ArcPieces:
    """The pieces of a boundary, no longer than about `spacing`, cut at the `lines` of both axes (sorted values).

    `rule`: points in [0, 1] and weights.
    """
    segments = shape.segments(spacing)
    arc, a, b = segments.arc, segments.a, segments.b
    for axis, values in enumerate(lines):
        arc, a, b = _cut(shape, axis, values, (arc, a, b))
    unit, share = rule
    s = a[:, None] + (b - a)[:, None] * unit
    x, normals, speed = shape.points_at(arc[:, None].expand_as(s).reshape(-1), s.reshape(-1))
    weights = (b - a)[:, None] * share * speed.reshape(s.shape)
    middle, normal, _ = shape.points_at(arc, 0.5 * (a + b))
    ends = torch.stack([shape.points_at(arc, end)[0] for end in (a, b)], dim=1)
    names = torch.tensor([shape.parts.index(one.curve.name) for one in shape.arcs], dtype=torch.long)
    grid = (*s.shape, 2)
    return ArcPieces(x.reshape(grid), normals.reshape(grid), weights, middle, normal, ends, names[arc])


def _cut(
    shape: PlaneShape, axis: int, values: Tensor, pieces: tuple[Tensor, Tensor, Tensor]
) -> tuple[Tensor, Tensor, Tensor]:
    """Pieces (arc, a, b), cut wherever they cross a line of the axis."""
    near, done = SAME * shape.size, []
    arc, a, b = pieces
    for _ in range(MOST_CUTS):
        at_a, at_b = (shape.points_at(arc, s)[0][:, axis] for s in (a, b))
        low, high = torch.minimum(at_a, at_b) + near, torch.maximum(at_a, at_b) - near
        first = torch.searchsorted(values, low.contiguous(), right=True)
        line = values[first.clamp(max=len(values) - 1)]
        crossed = (first < len(values)) & (line < high)
        done.append((arc[~crossed], a[~crossed], b[~crossed]))
        arc, a, b, line = arc[crossed], a[crossed], b[crossed], line[crossed]
        if not len(arc):
            break
        middle = _crossing(shape, axis, line, (arc, a, b))
        arc, a, b = arc.repeat(2), torch.cat([a, middle]), torch.cat([middle, b])
    done.append((arc, a, b))
    arc, a, b = (torch.cat(column) for column in zip(*done, strict=True))
    return arc, a, b


def _crossing(shape: PlaneShape, axis: int, line: Tensor, pieces: tuple[Tensor, Tensor, Tensor]) -> Tensor:
    """The parameters at which pieces cross a line each, by the Illinois rule of false position.

    Dowell & Jarratt, BIT 11 (1971) 168-174.
    """
    arc, a, b = pieces

    def height(s: Tensor) -> Tensor:
        return shape.points_at(arc, s)[0][:, axis] - line

    f, g = height(a), height(b)
    s = b
    for _ in range(STEPS):
        apart = g - f
        s = torch.where(apart != 0, b - g * (b - a) / torch.where(apart != 0, apart, 1.0), b)
        h = height(s)
        other = h * g < 0  # on the other side than the newest end
        a, f = torch.where(other, b, a), torch.where(other, g, 0.5 * f)
        b, g = s, h
    return s
