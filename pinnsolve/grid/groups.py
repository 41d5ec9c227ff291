"""CompiledProblem, cells -> the groups of rows: where every term and every continuity condition meets the partition."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from pinnsolve.bases.cells import Cells
from pinnsolve.bases.legendre import chebyshev_points, tensor_points
from pinnsolve.bases.space import Space
from pinnsolve.discretization import measured_points, where_function
from pinnsolve.geometry.regions import Piece
from pinnsolve.geometry.sampling import Points
from pinnsolve.grid.rows import JumpGroup, Side, StartGroup, TermGroup
from pinnsolve.terms import CompiledProblem, Term


def highest_orders(problem: CompiledProblem) -> list[tuple[int, ...]]:
    """Per unknown and axis, the highest order of derivative in the equations: continuity holds below it."""
    result = []
    for unknown in problem.unknowns:
        alphas = [
            f.alpha for term in problem.terms if term.kind == "equation" for f in term.features if f.unknown == unknown
        ]
        result.append(tuple(max((a[i] for a in alphas), default=0) for i in range(len(problem.coordinates))))
    return result


def table_orders(problem: CompiledProblem) -> tuple[int, ...]:
    """Per axis, the highest derivative that any term asks for."""
    return tuple(
        max((f.alpha[i] for term in problem.terms for f in term.features), default=0)
        for i in range(len(problem.coordinates))
    )


def term_groups(problem: CompiledProblem, space: Space, weights: Mapping[str, float]) -> list[TermGroup]:
    """The groups of every term that holds somewhere on these cells."""
    groups = []
    for term in problem.terms:
        weight = weights.get(term.name, 1.0)
        if term.data_file is not None:
            groups += _data_groups(term, problem, space, weight)
            continue
        for piece in term.region.pieces:
            group = _piece_group(term, piece, problem, space, weight)
            if group is not None:
                groups.append(group)
    return groups


def _piece_group(term: Term, piece: Piece, problem: CompiledProblem, space: Space, weight: float) -> TermGroup | None:
    cells = space.cells
    chosen = _holding(cells, piece.fixed)
    if piece.partner is not None:
        return _partner_group(term, piece, problem, space, weight)
    if not len(chosen):
        return None
    fixed = dict(piece.fixed)
    axes = [
        _end(cells, chosen, a, fixed[a]) if a in fixed else space.points_per_axis(a) for a in range(cells.dimension)
    ]
    if None not in axes:
        points, tables = space.shared(axes)
    else:  # a plane inside the cells, at a place of its own in each
        points = _inner_points(space, chosen, fixed)
        tables = space.tables(points)
    x = cells.physical(points, chosen)
    for axis, value in piece.fixed:
        x[..., axis] = value
    return _group(term, piece, problem, space, [Side(chosen, tables)], [x], weight)


def _group(
    term,
    piece: Piece | None,
    problem,
    space,
    sides: list[Side],
    x: list[Tensor],
    weight: float,
    columns=None,
    keep=None,
):
    """The group with `where` taken care of; None where it leaves no point."""
    flat = torch.stack([part.flatten(0, 1) for part in x])
    inside = where_function(term.region.where, problem.coordinates)
    if inside is not None:
        keep = inside(flat[0]).reshape(x[0].shape[:2])
        if not bool(keep.any()):
            return None
    normals = None
    if piece is not None and piece.outward is not None:
        normals = torch.zeros_like(flat[0])
        normals[:, piece.outward[0]] = piece.outward[1]
    share = space.cells.volume[sides[0].cells] / space.cells.volume.sum()
    return TermGroup(term, problem, space, sides, Points(flat, normals, columns or {}), share, keep, weight)


def _holding(cells: Cells, fixed) -> Tensor:
    """The cells that hold a piece."""
    chosen = torch.ones(cells.count, dtype=torch.bool)
    for axis, value in fixed:
        here = torch.zeros_like(chosen)
        here[cells.touching(axis, value)] = True
        chosen &= here
    return chosen.nonzero()[:, 0]


def _end(cells: Cells, chosen: Tensor, axis: int, value: float) -> float | None:
    """-1 or 1 where the value is the lower or upper end of every cell chosen, else None."""
    size = cells.size[chosen, axis]
    s = (2 * value - cells.lower[chosen, axis] - cells.upper[chosen, axis]) / size
    for end in (-1.0, 1.0):
        if float((s - end).abs().max()) < 1e-9:
            return end
    return None


def _inner_points(space: Space, chosen: Tensor, fixed: Mapping[int, float]) -> Tensor:
    cells = space.cells
    d = cells.dimension
    grid = [
        torch.zeros(1, dtype=torch.float64) if a in fixed else chebyshev_points(space.points_per_axis(a))
        for a in range(d)
    ]
    points = tensor_points(grid)[None].repeat(len(chosen), 1, 1)
    for axis, value in fixed.items():
        s = (2 * value - cells.lower[chosen, axis] - cells.upper[chosen, axis]) / cells.size[chosen, axis]
        points[:, :, axis] = s[:, None]
    return points


def contact_sides(space: Space, axis: int, i: Tensor, j: Tensor, low_end: float, high_end: float, shift: float = 0.0):
    """The two sides of the faces shared by cells i (at `high_end`) and j (at `low_end`), and the points of each.

    Where faces match, all share their reference points; else the points fill the common part of each pair.
    """
    cells, d = space.cells, space.cells.dimension
    others = [a for a in range(d) if a != axis]
    same = all(
        bool(((cells.lower[i, a] - cells.lower[j, a]).abs() < 1e-9 * cells.size[i, a]).all())
        and bool(((cells.upper[i, a] - cells.upper[j, a]).abs() < 1e-9 * cells.size[i, a]).all())
        for a in others
    )
    if same:
        result = []
        for cell, end in ((i, high_end), (j, low_end)):
            points, tables = space.shared([end if a == axis else space.points_per_axis(a) for a in range(d)])
            result.append((Side(cell, tables), points))
        return result
    grid = [
        torch.zeros(1, dtype=torch.float64) if a == axis else chebyshev_points(space.points_per_axis(a))
        for a in range(d)
    ]
    lower = torch.maximum(cells.lower[i], cells.lower[j])[:, None]
    upper = torch.minimum(cells.upper[i], cells.upper[j])[:, None]
    unit = tensor_points(grid)[None]
    x = 0.5 * ((1 - unit) * lower + (1 + unit) * upper)
    result = []
    for cell, end in ((i, high_end), (j, low_end)):
        points = cells.reference(x, cell)
        points[..., axis] = end
        result.append((Side(cell, space.tables(points)), points))
    return result


def _partner_group(term: Term, piece: Piece, problem: CompiledProblem, space: Space, weight: float):
    """A periodic pair: side 0 at the fixed face, side 1 at the partner."""
    cells = space.cells
    (axis, value), (_, partner) = piece.fixed[0], piece.partner
    first, second = cells.touching(axis, value), cells.touching(axis, partner)
    if not len(first) or not len(second):
        return None
    j, i = first, second  # the face at the lower end of j meets that at the upper end of i
    low, high = (value, partner) if value < partner else (partner, value)
    if value > partner:
        i, j = j, i
    i, j = cells.contacts(axis, i, j, shift=low - high)
    (upper, upper_points), (lower, lower_points) = contact_sides(space, axis, i, j, -1.0, 1.0)
    pair = [(lower, lower_points), (upper, upper_points)]
    if value > partner:
        pair.reverse()
    x = []
    for (side, points), fixed in zip(pair, (value, partner), strict=True):
        here = cells.physical(points, side.cells)
        here[..., axis] = fixed
        x.append(here)
    return _group(term, piece, problem, space, [side for side, _ in pair], x, weight)


def _data_groups(term: Term, problem: CompiledProblem, space: Space, weight: float) -> list[TermGroup]:
    """Measured points, cell by cell; those of a cell with fewer are filled up with points that do not count."""
    points = measured_points(term, problem)
    x = points.x[0]
    low, high = space.cells.box
    inside = ((x >= low - 1e-9 * (high - low)) & (x <= high + 1e-9 * (high - low))).all(dim=1)
    if not bool(inside.any()):
        return []
    points = points.select(inside.nonzero()[:, 0])
    cell = space.cells.locate(points.x[0])
    order = torch.sort(cell, stable=True).indices
    chosen, counts = torch.unique(cell, return_counts=True)
    most = int(counts.max())
    start = torch.cumsum(counts, 0) - counts
    slot = torch.arange(most)
    keep = slot[None] < counts[:, None]  # (G, most)
    index = order[(start[:, None] + torch.minimum(slot[None], counts[:, None] - 1)).reshape(-1)]
    points = points.select(index)
    reference = space.cells.reference(points.x[0].reshape(len(chosen), most, -1), chosen)
    x = points.x[0].reshape(len(chosen), most, -1)
    side = Side(chosen, space.tables(reference))
    group = _group(term, None, problem, space, [side], [x], weight, points.columns, keep)
    # every measurement counts the same, however many share its cell
    group.share = torch.full_like(group.share, most / float(counts.sum()))
    return [group]


def jump_groups(problem: CompiledProblem, space: Space, orders: list | None = None) -> list[JumpGroup]:
    """Continuity across all inner faces, below the `orders` of the equations or those given."""
    orders = highest_orders(problem) if orders is None else orders
    everything = torch.arange(space.cells.count)
    share = space.cells.volume / space.cells.volume.sum()
    groups = []
    for axis in range(space.cells.dimension):
        wanted = [order[axis] for order in orders]
        if not any(wanted):
            continue
        i, j = space.cells.contacts(axis, everything, everything)
        for select in _alike(space.cells, axis, i, j):
            (below, _), (above, _) = contact_sides(space, axis, i[select], j[select], -1.0, 1.0)
            portion = torch.minimum(share[i[select]], share[j[select]])
            groups.append(
                JumpGroup(f"continuity in {problem.coordinates[axis]}", space, axis, below, above, wanted, portion)
            )
    return groups


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


def start_group(problem: CompiledProblem, space: Space, axis: int) -> StartGroup:
    """The start of a slab that follows another."""
    orders = [order[axis] for order in highest_orders(problem)]
    low = float(space.cells.box[0][axis])
    chosen = space.cells.touching(axis, low)
    axes = [-1.0 if a == axis else space.points_per_axis(a) for a in range(space.cells.dimension)]
    points, tables = space.shared(axes)
    share = space.cells.volume[chosen] / space.cells.volume.sum()
    return StartGroup(space, axis, Side(chosen, tables), points, orders, share)
