"""A shape's boundary and the faces between cut cells -> points, cell by cell, for the groups of rows there."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from pinnsolve.bases.legendre import chebyshev_points, tensor_points
from pinnsolve.bases.space import Space
from pinnsolve.bases.within import boundary_points
from pinnsolve.geometry.regions import Piece
from pinnsolve.grid.rows import JumpGroup, Side

SEGMENTS = {2: 0.55, 3: 0.5}  # of the boundary per edge of a cell and degree, 4 points each, or 3 x 3
FACE_SAMPLES = {1: 48, 2: 16}  # per axis of a face, for which part of it is inside
PLANE = 1e-9  # of the size of the cells: how near a boundary point lies to a plane it is said to lie in


def boundary_in_cells(space: Space, piece: Piece):
    """(cells (G,), reference points (G, m, d), x (G, m, d), normals (G m, d), weights (G, m)); None where none lie.

    Weights are arc length, or area, over that of the cell. Cells with fewer points are filled up at weight zero.
    """
    cells = space.cells
    within, axes = cells.parts.within, list(cells.parts.within.axes)
    degree = max(space.degrees[a] for a in axes) + 1
    boundary, number, cell = boundary_points(cells, SEGMENTS[len(axes)] * degree)
    here = torch.ones(len(boundary.x), dtype=torch.bool)
    if piece.part:
        here &= boundary.part == within.shape.parts.index(piece.part)
    if piece.plane is not None:
        axis, value = axes.index(piece.plane[0]), piece.plane[1]
        size = float((within.shape.upper - within.shape.lower).max())
        here &= ((boundary.x[:, axis] - value).abs() <= PLANE * size) & (boundary.normals[:, axis].abs() > 1 - PLANE)
    here = here[number]
    number, cell = number[here], cell[here]
    if not len(cell):
        return None
    chosen, index, keep = _packed(cell)
    x_space, normal = boundary.x[number][index], boundary.normals[number][index]  # (G, m, k)
    size = cells.size[chosen][:, axes].amax(dim=1) ** (len(axes) - 1)
    weights = torch.where(keep, boundary.weights[number][index] / size[:, None], 0.0)
    x, normals, weights = _with_time(space, chosen, axes, dict(piece.fixed), x_space, normal, weights)
    return chosen, cells.reference(x, chosen), x, normals.flatten(0, 1), weights


def _packed(cell: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Members grouped by cell: the cells (G,), (G, m) which members, repeated where a cell has fewer, and (G, m) which
    of these are not repeated."""
    order = torch.sort(cell, stable=True).indices
    chosen, counts = torch.unique(cell, return_counts=True)
    start = torch.cumsum(counts, 0) - counts
    slot = torch.arange(int(counts.max()))
    keep = slot[None] < counts[:, None]
    return chosen, order[start[:, None] + torch.minimum(slot[None], counts[:, None] - 1)], keep


def _with_time(space: Space, chosen: Tensor, axes, fixed, x_space: Tensor, normal: Tensor, weights: Tensor):
    """Points and normals (G, m, d) in all coordinates: at the Chebyshev points of those that the shape leaves free."""
    cells, d = space.cells, space.cells.dimension
    G, m, _ = x_space.shape
    free = [a for a in range(d) if a not in axes]
    unit, share, _ = space.shared([1.0 if a in axes or a in fixed else space.points_per_axis(a) for a in range(d)])
    times = cells.physical(unit, chosen)  # (G, k, d)
    for axis, value in fixed.items():
        times[..., axis] = value
    count = times.shape[1]
    x = torch.zeros(G, m, count, d, dtype=torch.float64)
    normals = torch.zeros_like(x)
    x[..., free] = times[:, None][..., free].expand(G, m, count, len(free))
    x[..., axes], normals[..., axes] = x_space[:, :, None], normal[:, :, None]
    weights = weights[:, :, None] * share[0]
    return x.flatten(1, 2), normals.flatten(1, 2), weights.flatten(1, 2)


def cut_jumps(name: str, space: Space, axis: int, i: Tensor, j: Tensor, orders: Sequence[int]) -> list[JumpGroup]:
    """Continuity across the faces of cells i (below) and j, at least one of them cut, where these are inside."""
    x, weights = _face_points(space, axis, i, j)
    some = (weights > 0).any(dim=1)
    i, j, x, weights = i[some], j[some], x[some], weights[some]
    if not len(i):
        return []
    cells = space.cells
    sides = []
    for cell, end in ((i, 1.0), (j, -1.0)):
        points = cells.reference(x, cell)
        whole = ~cells.cut[cell]
        points[whole, :, axis] = end
        sides.append(Side(cell, space.tables(points)))
    share = cells.volume / cells.volume.sum()
    return [JumpGroup(name, space, axis, *sides, orders, weights, torch.minimum(share[i], share[j]))]


def _face_points(space: Space, axis: int, i: Tensor, j: Tensor) -> tuple[Tensor, Tensor]:
    """Points (G, m, d) of the faces that are inside, and weights (G, m): their area over that of the smaller cell."""
    cells, within = space.cells, space.cells.parts.within
    lower, upper = torch.maximum(cells.lower[i], cells.lower[j]), torch.minimum(cells.upper[i], cells.upper[j])
    lower[:, axis] = upper[:, axis] = cells.upper[i, axis]
    along = [a for a in within.axes if a != axis]
    if axis in within.axes:
        lower, upper = _inside_box(within, along, lower, upper)
    unit, weights, _ = space.shared([0.0 if a == axis else space.points_per_axis(a) for a in range(cells.dimension)])
    x = 0.5 * ((1 - unit) * lower[:, None] + (1 + unit) * upper[:, None])
    weights = weights * within.inside(x)
    cross = torch.minimum(*(cells.size[c][:, along].prod(dim=1) for c in (i, j)))
    area = (upper - lower)[:, along].prod(dim=1)
    return x, weights * (area / cross).clamp(max=1.0)[:, None]


def _inside_box(within, along: Sequence[int], lower: Tensor, upper: Tensor) -> tuple[Tensor, Tensor]:
    """The corners of the smallest boxes, in the axes `along`, round what of the faces is inside."""
    count = FACE_SAMPLES.get(len(along), 1)
    grid = [
        chebyshev_points(count) if a in along else torch.zeros(1, dtype=torch.float64) for a in range(lower.shape[1])
    ]
    unit = tensor_points(grid)[None]
    x = 0.5 * ((1 - unit) * lower[:, None] + (1 + unit) * upper[:, None])
    inside = within.inside(x)
    low = torch.where(inside[..., None], x, torch.inf).amin(dim=1)
    high = torch.where(inside[..., None], x, -torch.inf).amax(dim=1)
    nothing = ~inside.any(dim=1)
    low[nothing], high[nothing] = lower[nothing], lower[nothing]
    result = lower.clone(), upper.clone()
    for a in along:
        result[0][:, a], result[1][:, a] = low[:, a], high[:, a]
    return result
