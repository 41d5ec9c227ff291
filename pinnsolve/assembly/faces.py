"""Cells -> the faces they share, and the rows that make unknowns continuous there and across the start of a slab."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from pinnsolve.assembly.cell_rows import CellPoints, Side
from pinnsolve.assembly.continuity import ContinuityRows
from pinnsolve.assembly.cut_rows import points_of_cut_faces
from pinnsolve.bases.piecewise.cut_quadrature import cut_points
from pinnsolve.bases.piecewise.mesh import Cells
from pinnsolve.bases.piecewise.space import Space
from pinnsolve.geometry.sampling import Points
from pinnsolve.language.symbols import MultiIndex

START = "start of slab"  # the name of its rows


def continuity_rows(space: Space, coordinates: Sequence[str], orders: Sequence[Sequence[int]]) -> list[ContinuityRows]:
    """Continuity across all inner faces of a material; `orders`: per unknown and axis, the order below which it is."""
    everything = torch.arange(space.cells.count)
    share = space.cells.volume / space.cells.volume.sum()
    result = []
    for axis in range(space.cells.dimension):
        wanted = [order[axis] for order in orders]
        if not any(wanted):
            continue
        i, j = space.cells.contacts(axis, everything, everything)
        cut = space.cells.cut[i] | space.cells.cut[j]
        faces = []
        if bool(cut.any()):
            at = points_of_cut_faces(space, axis, i[cut], j[cut])
            faces += [at] if at is not None else []
            i, j = i[~cut], j[~cut]
        for select in _alike(space.cells, axis, i, j):
            (below, _), (above, _), weights = contact_sides(space, axis, i[select], j[select])
            faces.append(CellPoints((below, above), weights, torch.minimum(share[i[select]], share[j[select]])))
        name = f"continuity in {coordinates[axis]}"
        below = below_orders(wanted, axis, space.cells.dimension)
        result += [ContinuityRows(name, space, below, at) for at in faces]
    return result


def below_orders(orders: Sequence[int], axis: int, dimension: int) -> list[list[MultiIndex]]:
    """Per unknown, the derivatives along an axis below its order."""
    return [[tuple(k if a == axis else 0 for a in range(dimension)) for k in range(order)] for order in orders]


def start_rows(
    space: Space, axis: int, orders: Sequence[int], before: Callable[[Tensor, MultiIndex], Tensor]
) -> list[ContinuityRows]:
    """The start of a slab that follows another: of its whole cells and of those that a boundary cuts.

    `orders`: per unknown, the order in time; `before(x (N, d), alpha) -> (unknowns, N)`: the solution so far.
    """
    cells, low = space.cells, float(space.cells.box[0][axis])
    chosen = cells.touching(axis, low)
    cut = cells.cut[chosen]
    share = cells.volume / cells.volume.sum()
    found = []
    if not any(orders):
        return []
    if bool((~cut).any()):
        axes = [-1.0 if a == axis else space.points_per_axis(a) for a in range(cells.dimension)]
        found.append((chosen[~cut], *space.shared(axes)))
    if bool(cut.any()):
        points, weights = cut_points(space, chosen[cut], {axis: low})
        found.append((chosen[cut], points, weights, space.tables(points)))
    result = []
    for some, points, weights, tables in found:
        x = Points(cells.physical(points, some).flatten(0, 1)[None], None, {})
        at = CellPoints((Side(some, tables),), weights, share[some], x)
        result.append(
            ContinuityRows(START, space, below_orders(orders, axis, cells.dimension), at).starting_from(before)
        )
    return result


def contact_sides(space: Space, axis: int, i: Tensor, j: Tensor) -> tuple[tuple[Side, Tensor], tuple, Tensor]:
    """The sides of the faces at the upper end of cells i and the lower end of cells j: each with its reference points,
    and the quadrature weights.

    Where faces match, all share their points; else the points fill the common part of each pair.
    """
    cells, d = space.cells, space.cells.dimension
    others = [a for a in range(d) if a != axis]
    ends = ((i, 1.0), (j, -1.0))
    same = all(
        bool(((cells.lower[i, a] - cells.lower[j, a]).abs() < 1e-9 * cells.size[i, a]).all())
        and bool(((cells.upper[i, a] - cells.upper[j, a]).abs() < 1e-9 * cells.size[i, a]).all())
        for a in others
    )
    result = []
    if same:
        for cell, end in ends:
            axes = [end if a == axis else space.points_per_axis(a) for a in range(d)]
            points, weights, tables = space.shared(axes)
            result.append((Side(cell, tables), points))
        return *result, weights
    unit, weights, _ = space.shared([0.0 if a == axis else space.points_per_axis(a) for a in range(d)])
    lower = torch.maximum(cells.lower[i], cells.lower[j])[:, None]
    upper = torch.minimum(cells.upper[i], cells.upper[j])[:, None]
    x = 0.5 * ((1 - unit) * lower + (1 + unit) * upper)
    for cell, end in ends:
        points = cells.reference(x, cell)
        points[..., axis] = end
        result.append((Side(cell, space.tables(points)), points))
    return *result, weights


def _alike(cells: Cells, axis: int, i: Tensor, j: Tensor) -> list[Tensor]:
    """The contacts whose faces match, which share their points, and the others."""
    if not len(i):
        return []
    match = torch.ones(len(i), dtype=torch.bool)
    for a in range(cells.dimension):
        if a != axis:
            size = cells.size[i, a]
            match &= (cells.lower[i, a] - cells.lower[j, a]).abs() < 1e-9 * size
            match &= (cells.upper[i, a] - cells.upper[j, a]).abs() < 1e-9 * size
    return [s.nonzero()[:, 0] for s in (match, ~match) if bool(s.any())]
