"""A shape's boundary and the faces between cut cells -> points, cell by cell, for the groups of rows there."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from pinnsolve.assembly.cell_rows import CellPoints, Side
from pinnsolve.bases.legendre import chebyshev_points, tensor_points
from pinnsolve.bases.piecewise.cut_cells import boundary_points, cells_at
from pinnsolve.bases.piecewise.mesh import NEAR
from pinnsolve.bases.piecewise.space import Space
from pinnsolve.geometry.regions import Piece
from pinnsolve.geometry.sampling import Points
from pinnsolve.geometry.shapes import INTERFACE

SEGMENTS = {1: 1.0, 2: 0.55, 3: 0.5}  # of the boundary per edge of a cell and degree, 4 points each, or 3 x 3
FACE_SAMPLES = {1: 48, 2: 16}  # per axis of a face, for which part of it is inside
BEYOND = 1e-7  # of the size of a material: a step across its boundary
PLANE = 1e-9  # of the size of the cells: how near a boundary point lies to a plane it is said to lie in


@dataclass(frozen=True)
class OnBoundary:
    """Points of cells (G,): `reference` and `x` (G, m, d), `normals` (G m, d), `weights` (G, m).

    Weights are arc length, or area, over that of the cell. Cells with fewer points are filled up at weight zero.
    """

    cells: Tensor
    reference: Tensor
    x: Tensor
    normals: Tensor
    weights: Tensor

    def select(self, members: Tensor) -> OnBoundary:
        """Some of the members."""
        normals = self.normals.reshape(*self.x.shape)[members].flatten(0, 1)
        return OnBoundary(self.cells[members], self.reference[members], self.x[members], normals, self.weights[members])


def boundary_in_cells(space: Space, piece: Piece) -> list[OnBoundary]:
    """Where a piece of the boundary lies in cells, by material."""
    materials = torch.unique(space.cells.material).tolist()
    found = [_of_material(space, piece, material) for material in materials]
    return [one for one in found if one is not None]


def _of_material(space: Space, piece: Piece, material: int) -> OnBoundary | None:
    cells = space.cells
    within, axes = cells.parts.within, list(cells.parts.within.axes)
    shape = within.shapes[material]
    boundary, number, cell = boundary_points(cells, segments_per_edge(space), material)
    here = torch.ones(len(boundary.x), dtype=torch.bool)
    if INTERFACE in shape.parts:
        here &= boundary.part != shape.parts.index(INTERFACE)
    if piece.part:
        here &= boundary.part == (shape.parts.index(piece.part) if piece.part in shape.parts else -1)
    if piece.plane is not None:
        axis, value = axes.index(piece.plane[0]), piece.plane[1]
        size = float((shape.upper - shape.lower).max())
        here &= ((boundary.x[:, axis] - value).abs() <= PLANE * size) & (boundary.normals[:, axis].abs() > 1 - PLANE)
    here = here[number]
    number, cell = number[here], cell[here]
    if not len(cell):
        return None
    chosen, index, keep = packed(cell[:, None])
    chosen = chosen[:, 0]
    x_space, normal = boundary.x[number][index], boundary.normals[number][index]  # (G, m, k)
    size = cells.size[chosen][:, axes].amax(dim=1) ** (len(axes) - 1)
    weights = torch.where(keep, boundary.weights[number][index] / size[:, None], 0.0)
    x, normals, weights = _with_time(space, chosen, dict(piece.fixed), x_space, normal, weights)
    return OnBoundary(chosen, cells.reference(x, chosen), x, normals.flatten(0, 1), weights)


def segments_per_edge(space: Space) -> float:
    """Of the boundary, so that its points suffice for the degrees."""
    axes = space.cells.parts.within.axes
    return SEGMENTS[len(axes)] * (max(space.degrees[a] for a in axes) + 1)


def interface_in_cells(
    space: Space, sides: tuple[int, int], denser: float = 1.0
) -> tuple[OnBoundary, OnBoundary] | None:
    """The boundary between two materials, as points of the cells of each, member by member.

    Normals point out of the first. `denser`: times as many pieces of boundary as rows have.
    """
    cells, within = space.cells, space.cells.parts.within
    one, two = sides
    if not bool((cells.material == one).any()) or not bool((cells.material == two).any()):
        return None
    axes, shape = list(within.axes), within.shapes[one]
    boundary, number, first = boundary_points(cells, denser * segments_per_edge(space), one)
    step = BEYOND * float((shape.upper - shape.lower).max())
    beyond = torch.zeros(len(boundary.x), cells.dimension, dtype=torch.float64)
    beyond[:, axes] = boundary.x + step * boundary.normals
    here = (boundary.part == shape.parts.index(INTERFACE)) & (within.materials(beyond) == two)
    kept = here[number]
    number, first = number[kept], first[kept]
    if not len(number):
        return None
    among = (cells.material == two).nonzero()[:, 0]
    other, second = cells_at(cells, boundary.x[number], among)
    if not torch.equal(other, torch.arange(len(number))):  # at several times: pairs of cells that exist together
        number, first = number[other], first[other]
        free = [a for a in range(cells.dimension) if a not in axes]
        together = torch.minimum(cells.upper[first], cells.upper[second]) - torch.maximum(
            cells.lower[first], cells.lower[second]
        )
        alive = (together[:, free] > 0).all(dim=1)
        number, first, second = number[alive], first[alive], second[alive]
    pairs, index, keep = packed(torch.stack([first, second], dim=1))
    x_space, normal = boundary.x[number][index], boundary.normals[number][index]
    size = cross_section(space, pairs)
    weights = torch.where(keep, boundary.weights[number][index] / size[:, None], 0.0)
    # at the times of the cell that ends sooner, which is the smaller one in time
    x, normals, weights = _with_time(space, pairs[:, 0], {}, x_space, normal, weights)
    normals = normals.flatten(0, 1)
    return tuple(OnBoundary(p, cells.reference(x, p), x, normals, weights) for p in (pairs[:, 0], pairs[:, 1]))


def cross_section(space: Space, pairs: Tensor) -> Tensor:
    """(G,): the length, or area, that weights at an interface between pairs of cells (G, 2) are relative to."""
    return space.cells.size[pairs].amax(dim=2).amin(dim=1) ** (len(space.cells.parts.within.axes) - 1)


def packed(cell: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Members (P, s) grouped by cell, or pair of cells: the cells (G, s), (G, m) which members, repeated where a cell
    has fewer, and (G, m) which of these are not repeated."""
    chosen, which, counts = torch.unique(cell, dim=0, return_inverse=True, return_counts=True)
    order = torch.sort(which, stable=True).indices
    start = torch.cumsum(counts, 0) - counts
    slot = torch.arange(int(counts.max()))
    keep = slot[None] < counts[:, None]
    return chosen, order[start[:, None] + torch.minimum(slot[None], counts[:, None] - 1)], keep


def _with_time(space: Space, chosen: Tensor, fixed, x_space: Tensor, normal: Tensor, weights: Tensor):
    """Points and normals (G, m, d) in all coordinates: at the Chebyshev points of those that the shape leaves free."""
    cells, d = space.cells, space.cells.dimension
    axes = list(cells.parts.within.axes)
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


def points_of_cut_faces(space: Space, axis: int, i: Tensor, j: Tensor) -> CellPoints | None:
    """The faces of cells i (below) and j, at least one of them cut, where these are inside; None where none is."""

    def inside(x: Tensor) -> Tensor:
        return space.cells.parts.within.inside(x, space.cells.material[i])

    x, weights = _face_points(space, axis, i, j, inside)
    some = (weights > 0).any(dim=1)
    i, j, x, weights = i[some], j[some], x[some], weights[some]
    if not len(i):
        return None
    cells = space.cells
    sides = []
    for cell, end in ((i, 1.0), (j, -1.0)):
        points = cells.reference(x, cell)
        whole = ~cells.cut[cell]
        points[whole, :, axis] = end
        sides.append(Side(cell, space.tables(points)))
    share = cells.volume / cells.volume.sum()
    at = Points(x.flatten(0, 1)[None], None, {})
    return CellPoints(tuple(sides), weights, torch.minimum(share[i], share[j]), at)


def periodic_cut_sides(space: Space, axis: int, i: Tensor, j: Tensor) -> tuple | None:
    """The sides of cells i, at the upper end of a periodic axis, and j, at its lower end, where both have material.

    Each is given with its reference points, and both with quadrature weights, as by `contact_sides`. None where no
    pair has any.
    """
    cells = space.cells
    low, high = (float(end[axis]) for end in cells.box)
    inwards = NEAR * (high - low)  # on the boundary of the domain itself, inside is a matter of rounding

    def inside(x: Tensor) -> Tensor:
        at_end, at_start = x.clone(), x.clone()
        at_end[..., axis], at_start[..., axis] = high - inwards, low + inwards
        within = cells.parts.within
        return within.inside(at_end, cells.material[i]) & within.inside(at_start, cells.material[j])

    x, weights = _face_points(space, axis, i, j, inside)
    some = (weights > 0).any(dim=1)
    if not bool(some.any()):
        return None
    x, weights, sides = x[some], weights[some], []
    for cell, end in ((i[some], high), (j[some], low)):
        here = x.clone()
        here[..., axis] = end
        points = cells.reference(here, cell)
        sides.append((Side(cell, space.tables(points)), points))
    return *sides, weights


def _face_points(space: Space, axis: int, i: Tensor, j: Tensor, inside) -> tuple[Tensor, Tensor]:
    """Points (G, m, d) of the upper faces of cells i that are `inside` (of points G, m, d), and weights (G, m).

    These are their area over that of the smaller cell.
    """
    cells, within = space.cells, space.cells.parts.within
    lower, upper = torch.maximum(cells.lower[i], cells.lower[j]), torch.minimum(cells.upper[i], cells.upper[j])
    lower[:, axis] = upper[:, axis] = cells.upper[i, axis]
    along = [a for a in within.axes if a != axis]
    if axis in within.axes:
        lower, upper = _inside_box(inside, along, lower, upper)
    unit, weights, _ = space.shared([0.0 if a == axis else space.points_per_axis(a) for a in range(cells.dimension)])
    x = 0.5 * ((1 - unit) * lower[:, None] + (1 + unit) * upper[:, None])
    weights = weights * inside(x)
    cross = torch.minimum(*(cells.size[c][:, along].prod(dim=1) for c in (i, j)))
    area = (upper - lower)[:, along].prod(dim=1)
    return x, weights * (area / cross).clamp(max=1.0)[:, None]


def _inside_box(inside_of, along: Sequence[int], lower: Tensor, upper: Tensor) -> tuple[Tensor, Tensor]:
    """The corners of the smallest boxes, in the axes `along`, round what of the faces is inside."""
    count = FACE_SAMPLES.get(len(along), 1)
    grid = [
        chebyshev_points(count) if a in along else torch.zeros(1, dtype=torch.float64) for a in range(lower.shape[1])
    ]
    unit = tensor_points(grid)[None]
    x = 0.5 * ((1 - unit) * lower[:, None] + (1 + unit) * upper[:, None])
    inside = inside_of(x)
    low = torch.where(inside[..., None], x, torch.inf).amin(dim=1)
    high = torch.where(inside[..., None], x, -torch.inf).amax(dim=1)
    nothing = ~inside.any(dim=1)
    low[nothing], high[nothing] = lower[nothing], lower[nothing]
    result = lower.clone(), upper.clone()
    for a in along:
        result[0][:, a], result[1][:, a] = low[:, a], high[:, a]
    return result
