"""Cells of a shape: which boxes of a grid hold some of it, and how much.

A box that the boundary cuts keeps the part inside as its cell (the finite cell method's unfitted grid: Parvizian,
Duester & Rank, Comput. Mech. 41 (2007) 121-133), with polynomials on the frame of that part. Slivers are left to the
neighbours, whose polynomials reach a little farther. Where materials meet, every one has cells of its own.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from pinnsolve.bases.legendre import tensor_points
from pinnsolve.bases.piecewise.material_map import MaterialMap
from pinnsolve.bases.piecewise.mesh import NEAR, Cells, Parts, joined

if TYPE_CHECKING:
    from pinnsolve.geometry.factory import Boundary, Shape

SAMPLES = {1: 64, 2: 24, 3: 10}  # per axis of a box, for how much of it is inside
SLIVER = 0.02  # of a box: less is left to its neighbours; of a material, more is no sliver
SLIM = 16.0  # ratio of the edges of a box from which on the longest tells how fine its boundary is
BOUNDARY_SEGMENTS = 8  # per edge of a box, for where the boundary goes


@dataclass(frozen=True, eq=False)
class Within:
    """Shapes in the coordinates `axes`, one, or one for each material; other coordinates are free.

    Once a problem is solved, its shapes are not needed any more, only the `materials`, which tell them apart.
    """

    shapes: tuple[Shape, ...]
    axes: tuple[int, ...]
    materials: MaterialMap | None = None

    def extruded(self, axis: int) -> Within:
        """The same with another free coordinate, number `axis`."""
        axes = tuple(a + (a >= axis) for a in self.axes)
        return Within(self.shapes, axes, self.materials and replace(self.materials, axes=axes))

    def inside(self, x: Tensor, material: Tensor) -> Tensor:
        """(G, m) bool for points (G, m, d) of cells of these materials (G,)."""
        places = x[..., list(self.axes)]
        result = torch.zeros(x.shape[:2], dtype=torch.bool)
        for number in torch.unique(material).tolist():
            here = material == number
            result[here] = self.shapes[number].inside(places[here].flatten(0, 1)).reshape(-1, x.shape[1])
        return result

    def cells(self, lower: Tensor, upper: Tensor, material: Tensor) -> Cells:
        """The boxes (C, d) that hold some of their material (C,); slivers are left out."""
        parts = []
        for number in torch.unique(material).tolist():
            here = material == number
            cells = self._of_material(lower[here], upper[here], number)
            if cells.count:
                parts.append(cells)
        return joined(parts)

    def losing(self, boxes: Cells) -> Tensor:
        """(C,): boxes in space whose slivers are much of their material, so that they must not be left out."""
        lost = torch.zeros(boxes.count, dtype=torch.bool)
        for shape in self.shapes:
            share = _sampled(shape, boxes)[1].to(torch.float64).mean(dim=1)
            pieces = share * boxes.volume
            lost |= (share < SLIVER) & (pieces > SLIVER * pieces.sum())
        return lost

    def _of_material(self, lower: Tensor, upper: Tensor, number: int) -> Cells:
        axes, shape = list(self.axes), self.shapes[number]
        count = SAMPLES[len(axes)]
        boxes = Cells(lower[:, axes], upper[:, axes])
        x, inside = _sampled(shape, boxes)
        share = inside.to(torch.float64).mean(dim=1)
        kept = share >= SLIVER
        lower, upper, boxes = lower[kept], upper[kept], Cells(boxes.lower[kept], boxes.upper[kept])
        x, inside, share = x[kept], inside[kept], share[kept]
        cut, low, high = _where_cut(shape, boxes)
        half = (boxes.upper - boxes.lower) / (2 * count)
        inner_low = torch.where(inside[..., None], x, torch.inf).amin(dim=1) - half
        inner_high = torch.where(inside[..., None], x, -torch.inf).amax(dim=1) + half
        low = torch.where(cut[:, None], torch.minimum(low, torch.maximum(inner_low, boxes.lower)), boxes.lower)
        high = torch.where(cut[:, None], torch.maximum(high, torch.minimum(inner_high, boxes.upper)), boxes.upper)
        frame_lower, frame_upper = lower.clone(), upper.clone()
        frame_lower[:, axes], frame_upper[:, axes] = low, high
        share = torch.where(cut, share, 1.0)
        material = torch.full((len(lower),), number)
        return Cells(lower, upper, Parts(self, frame_lower, frame_upper, share, cut, material))


def _sampled(shape: Shape, boxes: Cells) -> tuple[Tensor, Tensor]:
    """Evenly spread points (C, m, k) of boxes, and (C, m) which of them are inside a shape."""
    count, k = SAMPLES[boxes.dimension], boxes.dimension
    unit = (2 * torch.arange(count, dtype=torch.float64) + 1) / count - 1
    x = boxes.physical(tensor_points([unit] * k)[None])
    return x, shape.inside(x.flatten(0, 1)).reshape(x.shape[:2])


def _where_cut(shape: Shape, boxes: Cells) -> tuple[Tensor, Tensor, Tensor]:
    """(C,) whether the boundary goes through the inside of the boxes, and (C, k) corners of the boundary there.

    Boundary in boxes that were left out counts to the nearest.
    """
    if not boxes.count:
        return torch.zeros(0, dtype=torch.bool), boxes.lower, boxes.upper
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
    """The local spacing (N, k) -> (N,) that has so many segments per shortest edge of a box; fewer in slim ones."""
    size = boxes.upper - boxes.lower
    shortest = torch.maximum(size.amin(dim=1), size.amax(dim=1) / SLIM) / segments
    return lambda x: shortest[boxes.locate(x)]


@lru_cache(maxsize=8)  # every condition on a boundary asks for the same
def boundary_points(cells: Cells, segments: float, material: int = 0) -> tuple[Boundary, Tensor, Tensor]:
    """Points on the boundary of a material, with (P,) numbers of points and (P,) of the cells they belong to.

    A point belongs to one cell at every time: where cells end at different times, to several.
    """
    within, axes = cells.parts.within, list(cells.parts.within.axes)
    of_material = (cells.material == material).nonzero()[:, 0]
    boxes = Cells(cells.lower[of_material][:, axes], cells.upper[of_material][:, axes])
    boundary = within.shapes[material].boundary(spacing_of(boxes, segments))
    return boundary, *cells_at(cells, boundary.x, of_material)


def cells_at(cells: Cells, x: Tensor, among: Tensor) -> tuple[Tensor, Tensor]:
    """For points x (N, k) in space: (P,) numbers of points and (P,) of the cells they are in or nearest to.

    Only the cells `among` count.
    """
    axes = list(cells.parts.within.axes)
    boxes = Cells(cells.lower[among][:, axes], cells.upper[among][:, axes])
    free = [a for a in range(cells.dimension) if a not in axes]
    if not free:
        return torch.arange(len(x)), among[boxes.locate(x)]
    pairs = []
    for start in torch.unique(cells.lower[:, free], dim=0):
        alive = ((cells.lower[among][:, free] <= start + NEAR) & (cells.upper[among][:, free] > start + NEAR)).all(1)
        alive = alive.nonzero()[:, 0]
        pairs.append(among[alive[Cells(boxes.lower[alive], boxes.upper[alive]).locate(x)]])
    numbers = torch.arange(len(x)).repeat(len(pairs))
    unique = torch.unique(torch.stack([torch.cat(pairs), numbers], dim=1), dim=0)
    return unique[:, 1], unique[:, 0]
