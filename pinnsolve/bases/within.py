"""Cells of a shape: which boxes of a grid hold some of it, and how much.

A box that the boundary cuts keeps the part inside as its cell (the finite cell method's unfitted grid: Parvizian,
Duester & Rank, Comput. Mech. 41 (2007) 121-133), with polynomials on the frame of that part. Slivers are left to the
neighbours, whose polynomials reach a little farther.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from pinnsolve.bases.cells import NEAR, Cells, Parts
from pinnsolve.bases.legendre import tensor_points

if TYPE_CHECKING:
    from pinnsolve.geometry.shapes import Boundary, Shape

SAMPLES = {1: 64, 2: 24, 3: 10}  # per axis of a box, for how much of it is inside
SLIVER = 0.02  # of a box: less is left to its neighbours
BOUNDARY_SEGMENTS = 8  # per edge of a box, for where the boundary goes


@dataclass(frozen=True, eq=False)
class Within:
    """A shape in the coordinates `axes`; the others, if any, are free."""

    shape: Shape
    axes: tuple[int, ...]

    def extruded(self, axis: int) -> Within:
        """The same with another free coordinate, number `axis`."""
        return Within(self.shape, tuple(a + (a >= axis) for a in self.axes))

    def inside(self, x: Tensor) -> Tensor:
        """(...,) bool for points (..., d)."""
        places = x[..., list(self.axes)]
        return self.shape.inside(places.reshape(-1, len(self.axes))).reshape(places.shape[:-1])

    def cells(self, lower: Tensor, upper: Tensor) -> Cells:
        """The boxes (C, d) that hold some of the shape; slivers are left out."""
        axes = list(self.axes)
        count = SAMPLES[len(axes)]
        unit = (2 * torch.arange(count, dtype=torch.float64) + 1) / count - 1
        places = tensor_points([unit] * len(axes))
        boxes = Cells(lower[:, axes], upper[:, axes])
        x = boxes.physical(places[None])  # (C, m, k)
        inside = self.shape.inside(x.flatten(0, 1)).reshape(x.shape[:2])
        share = inside.to(torch.float64).mean(dim=1)
        kept = share >= SLIVER
        lower, upper, boxes = lower[kept], upper[kept], Cells(boxes.lower[kept], boxes.upper[kept])
        x, inside, share = x[kept], inside[kept], share[kept]
        cut, low, high = _where_cut(self.shape, boxes)
        half = (boxes.upper - boxes.lower) / (2 * count)
        inner_low = torch.where(inside[..., None], x, torch.inf).amin(dim=1) - half
        inner_high = torch.where(inside[..., None], x, -torch.inf).amax(dim=1) + half
        low = torch.where(cut[:, None], torch.minimum(low, torch.maximum(inner_low, boxes.lower)), boxes.lower)
        high = torch.where(cut[:, None], torch.maximum(high, torch.minimum(inner_high, boxes.upper)), boxes.upper)
        frame_lower, frame_upper = lower.clone(), upper.clone()
        frame_lower[:, axes], frame_upper[:, axes] = low, high
        share = torch.where(cut, share, 1.0)
        return Cells(lower, upper, Parts(self, frame_lower, frame_upper, share, cut))


def _where_cut(shape: Shape, boxes: Cells) -> tuple[Tensor, Tensor, Tensor]:
    """(C,) whether the boundary goes through the inside of the boxes, and (C, k) corners of the boundary there.

    Boundary in boxes that were left out counts to the nearest.
    """
    boundary = shape.boundary(spacing_of(boxes, BOUNDARY_SEGMENTS))
    cell = boxes.locate(boundary.x)
    size = boxes.upper - boxes.lower
    near = NEAR * 1e3 * size[cell]
    inner = ((boundary.x > boxes.lower[cell] + near) & (boundary.x < boxes.upper[cell] - near)).all(dim=1)
    outside = ((boundary.x < boxes.lower[cell] - near) | (boundary.x > boxes.upper[cell] + near)).any(dim=1)
    cut = torch.zeros(boxes.count, dtype=torch.bool)
    cut[cell[inner | outside]] = True
    index = cell[:, None].expand_as(boundary.x)
    low = torch.full_like(boxes.lower, torch.inf).scatter_reduce(0, index, boundary.x, "amin")
    high = torch.full_like(boxes.lower, -torch.inf).scatter_reduce(0, index, boundary.x, "amax")
    return cut, low, high


def spacing_of(boxes: Cells, segments: float) -> Callable[[Tensor], Tensor]:
    """The local spacing (N, k) -> (N,) that has so many segments per shortest edge of a box."""
    shortest = (boxes.upper - boxes.lower).amin(dim=1) / segments
    return lambda x: shortest[boxes.locate(x)]


def boundary_points(cells: Cells, segments: float) -> tuple[Boundary, Tensor, Tensor]:
    """Points on the boundary of the cells' shape, with (P,) numbers of points and (P,) of the cells they belong to.

    A point belongs to one cell at every time: where cells end at different times, to several.
    """
    within = cells.parts.within
    axes = list(within.axes)
    boxes = Cells(cells.lower[:, axes], cells.upper[:, axes])
    boundary = within.shape.boundary(spacing_of(boxes, segments))
    free = [a for a in range(cells.dimension) if a not in axes]
    if not free:
        return boundary, torch.arange(len(boundary.x)), boxes.locate(boundary.x)
    starts = torch.unique(cells.lower[:, free], dim=0)
    pairs = []
    for start in starts:
        alive = ((cells.lower[:, free] <= start + NEAR) & (cells.upper[:, free] > start + NEAR)).all(dim=1)
        alive = alive.nonzero()[:, 0]
        pairs.append(alive[Cells(boxes.lower[alive], boxes.upper[alive]).locate(boundary.x)])
    numbers = torch.arange(len(boundary.x)).repeat(len(pairs))
    unique = torch.unique(torch.stack([torch.cat(pairs), numbers], dim=1), dim=0)
    return boundary, unique[:, 1], unique[:, 0]
