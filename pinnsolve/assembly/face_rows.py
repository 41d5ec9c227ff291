"""CompiledProblem, cells -> the groups of rows: where every term and every continuity condition meets the partition."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import torch
from torch import Tensor

from pinnsolve.assembly.cell_rows import JumpGroup, Side, StartGroup, TermGroup
from pinnsolve.assembly.collocation import measured_points, where_function
from pinnsolve.assembly.cut_rows import OnBoundary, boundary_in_cells, cut_jumps, interface_in_cells, packed
from pinnsolve.bases.piecewise.cut_quadrature import cut_points
from pinnsolve.bases.piecewise.mesh import Cells
from pinnsolve.bases.piecewise.space import Space
from pinnsolve.compiler.terms import CompiledProblem, Term
from pinnsolve.geometry.regions import Piece
from pinnsolve.geometry.sampling import Points


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
            groups += [g for g in _piece_groups(term, piece, problem, space, weight) if g is not None]
    return groups


def _piece_groups(term: Term, piece: Piece, problem: CompiledProblem, space: Space, weight: float):
    """The groups of a piece, some of which may be None."""
    cells = space.cells
    if piece.partner is not None:
        return _partner_groups(term, piece, problem, space, weight)
    if piece.part is not None:
        return [_boundary_group(term, problem, space, weight, on) for on in boundary_in_cells(space, piece)]
    chosen = _in_group(problem, cells, piece.region, _holding(cells, piece.fixed))
    cut = cells.cut[chosen]
    return [
        make(term, piece, problem, space, weight, some)
        for make, some in ((_whole_group, chosen[~cut]), (_cut_group, chosen[cut]))
        if len(some)
    ]


def _cut_group(term: Term, piece: Piece, problem, space: Space, weight: float, chosen: Tensor) -> TermGroup | None:
    """The part of cut cells that is inside."""
    points, weights = cut_points(space, chosen, dict(piece.fixed))
    x = space.cells.physical(points, chosen)
    for axis, value in piece.fixed:
        x[..., axis] = value
    return _group(term, piece, problem, space, [Side(chosen, space.tables(points))], [x], weights, weight)


def _boundary_group(term: Term, problem, space: Space, weight: float, *on: OnBoundary) -> TermGroup | None:
    """Points on a part of a shape's boundary, cell by cell, at every time or at the one that is fixed.

    Of an interface, `on` has two sides.
    """
    sides = [Side(one.cells, space.tables(one.reference)) for one in on]
    x = [one.x for one in on]
    return _group(term, None, problem, space, sides, x, on[0].weights, weight, normals=on[0].normals)


def interface_groups(problem: CompiledProblem, space: Space) -> list[TermGroup]:
    """What holds between materials."""
    groups = []
    inner = [i for i in problem.interfaces if i.axis is None]
    for interface in inner if space.cells.parts is not None else ():
        found = interface_in_cells(space, interface.sides)
        if found is not None:
            groups.append(_boundary_group(interface.term, problem, space, 1.0, *found))
    return groups


def _whole_group(term: Term, piece: Piece, problem, space: Space, weight: float, chosen: Tensor) -> TermGroup | None:
    cells, fixed = space.cells, dict(piece.fixed)
    axes = [
        _end(cells, chosen, a, fixed[a]) if a in fixed else space.points_per_axis(a) for a in range(cells.dimension)
    ]
    if None not in axes:
        points, weights, tables = space.shared(axes)
    else:  # a plane inside the cells, at a place of its own in each
        points, weights = _inner_points(space, chosen, fixed)
        tables = space.tables(points)
    x = cells.physical(points, chosen)
    for axis, value in piece.fixed:
        x[..., axis] = value
    return _group(term, piece, problem, space, [Side(chosen, tables)], [x], weights, weight)


def _group(
    term,
    piece: Piece | None,
    problem,
    space,
    sides: list[Side],
    x: list[Tensor],
    quadrature: Tensor,
    weight: float,
    columns=None,
    keep=None,
    normals=None,
):
    """The group with `where` taken care of; None where it leaves no point."""
    flat = torch.stack([part.flatten(0, 1) for part in x])
    inside = where_function(term.region.where, problem.coordinates)
    if inside is not None:
        keep = inside(flat[0]).reshape(x[0].shape[:2])
        if not bool(keep.any()):
            return None
    if piece is not None and piece.outward is not None:
        normals = torch.zeros_like(flat[0])
        normals[:, piece.outward[0]] = piece.outward[1]
    share = space.cells.volume[sides[0].cells] / space.cells.volume.sum()
    points = Points(flat, normals, columns or {})
    return TermGroup(term, problem, space, sides, points, quadrature, share, keep, weight)


def _holding(cells: Cells, fixed) -> Tensor:
    """The cells that hold a piece."""
    chosen = torch.ones(cells.count, dtype=torch.bool)
    for axis, value in fixed:
        here = torch.zeros_like(chosen)
        here[cells.touching(axis, value)] = True
        chosen &= here
    return chosen.nonzero()[:, 0]


def _in_group(problem: CompiledProblem, cells: Cells, name: str | None, chosen: Tensor) -> Tensor:
    """Those cells chosen whose material lies in a group of a mesh."""
    if name is None:
        return chosen
    holds = torch.tensor([name in material.within for material in problem.materials])
    return chosen[holds[cells.material[chosen]]]


def _end(cells: Cells, chosen: Tensor, axis: int, value: float) -> float | None:
    """-1 or 1 where the value is the lower or upper end of every cell chosen, else None."""
    s = _reference(cells, chosen, axis, value)
    for end in (-1.0, 1.0):
        if float((s - end).abs().max()) < 1e-9:
            return end
    return None


def _reference(cells: Cells, chosen: Tensor, axis: int, value: float) -> Tensor:
    lower, upper = (corner[chosen, axis] for corner in cells.frame)
    return (2 * value - lower - upper) / (upper - lower)


def _inner_points(space: Space, chosen: Tensor, fixed: Mapping[int, float]) -> tuple[Tensor, Tensor]:
    """Points (G, m, d) of a plane inside the cells, and quadrature weights (1, m)."""
    axes = [0.0 if a in fixed else space.points_per_axis(a) for a in range(space.cells.dimension)]
    points, weights, _ = space.shared(axes)
    points = points.repeat(len(chosen), 1, 1)
    for axis, value in fixed.items():
        points[:, :, axis] = _reference(space.cells, chosen, axis, value)[:, None]
    return points, weights


def contact_sides(space: Space, axis: int, i: Tensor, j: Tensor, low_end: float, high_end: float, shift: float = 0.0):
    """The sides of the faces shared by cells i (at `high_end`) and j (at `low_end`) with their points, and weights.

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
            axes = [end if a == axis else space.points_per_axis(a) for a in range(d)]
            points, weights, tables = space.shared(axes)
            result.append((Side(cell, tables), points))
        return *result, weights
    unit, weights, _ = space.shared([0.0 if a == axis else space.points_per_axis(a) for a in range(d)])
    lower = torch.maximum(cells.lower[i], cells.lower[j])[:, None]
    upper = torch.minimum(cells.upper[i], cells.upper[j])[:, None]
    x = 0.5 * ((1 - unit) * lower + (1 + unit) * upper)
    result = []
    for cell, end in ((i, high_end), (j, low_end)):
        points = cells.reference(x, cell)
        points[..., axis] = end
        result.append((Side(cell, space.tables(points)), points))
    return *result, weights


def _partner_groups(term: Term, piece: Piece, problem: CompiledProblem, space: Space, weight: float):
    """A periodic pair: side 0 at the fixed face, side 1 at the partner. Different materials meet as at an interface."""
    cells = space.cells
    (axis, value), (_, partner) = piece.fixed[0], piece.partner
    first, second = cells.touching(axis, value), cells.touching(axis, partner)
    if not len(first) or not len(second):
        return []
    j, i = first, second  # the face at the lower end of j meets that at the upper end of i
    low, high = (value, partner) if value < partner else (partner, value)
    if value > partner:
        i, j = j, i
    i, j = cells.contacts(axis, i, j, shift=low - high, across=True)
    pairs = torch.stack([cells.material[i], cells.material[j]], dim=1)
    same = pairs[:, 0] == pairs[:, 1]
    found = [_pair_group(term, piece, problem, space, weight, i[same], j[same])] if bool(same.any()) else []
    for seam in (s for s in problem.interfaces if s.axis == axis):
        here = (pairs == torch.tensor(seam.sides)).all(dim=1)
        if bool(here.any()):
            ends = Piece(((axis, high),), (axis, 1), (axis, low))
            named = replace(seam.term, name=term.name)
            found.append(_pair_group(named, ends, problem, space, weight, i[here], j[here]))
    return found


def _pair_group(term: Term, piece: Piece, problem: CompiledProblem, space: Space, weight: float, i: Tensor, j: Tensor):
    """The upper ends of cells i and the lower ends of cells j, at the fixed face and its partner."""
    cells = space.cells
    (axis, value), (_, partner) = piece.fixed[0], piece.partner
    (upper, upper_points), (lower, lower_points), weights = contact_sides(space, axis, i, j, -1.0, 1.0)
    pair = [(lower, lower_points), (upper, upper_points)]
    if value > partner:
        pair.reverse()
    x = []
    for (side, points), fixed in zip(pair, (value, partner), strict=True):
        here = cells.physical(points, side.cells)
        here[..., axis] = fixed
        x.append(here)
    return _group(term, piece, problem, space, [side for side, _ in pair], x, weights, weight)


def _data_groups(term: Term, problem: CompiledProblem, space: Space, weight: float) -> list[TermGroup]:
    """Measured points, cell by cell; those of a cell with fewer are filled up with points that do not count."""
    points = measured_points(term, problem)
    x = points.x[0]
    low, high = space.cells.box
    inside = ((x >= low - 1e-9 * (high - low)) & (x <= high + 1e-9 * (high - low))).all(dim=1)
    if not bool(inside.any()):
        return []
    points = points.select(inside.nonzero()[:, 0])
    chosen, index, keep = packed(space.cells.locate(points.x[0])[:, None])
    chosen, most, count = chosen[:, 0], index.shape[1], points.count
    points = points.select(index.reshape(-1))
    reference = space.cells.reference(points.x[0].reshape(len(chosen), most, -1), chosen)
    x = points.x[0].reshape(len(chosen), most, -1)
    side = Side(chosen, space.tables(reference))
    even = torch.full((1, most), 1.0 / most, dtype=torch.float64)
    group = _group(term, None, problem, space, [side], [x], even, weight, points.columns, keep)
    # every measurement counts the same, however many share its cell
    group.share = torch.full_like(group.share, most / count)
    return [group]


def jump_groups(problem: CompiledProblem, space: Space, orders: list | None = None) -> list[JumpGroup]:
    """Continuity across all inner faces of a material, below the `orders` of the equations or those given."""
    orders = highest_orders(problem) if orders is None else orders
    everything = torch.arange(space.cells.count)
    share = space.cells.volume / space.cells.volume.sum()
    groups = []
    for axis in range(space.cells.dimension):
        wanted = [order[axis] for order in orders]
        if not any(wanted):
            continue
        i, j = space.cells.contacts(axis, everything, everything)
        name = f"continuity in {problem.coordinates[axis]}"
        cut = space.cells.cut[i] | space.cells.cut[j]
        if bool(cut.any()):
            groups += cut_jumps(name, space, axis, i[cut], j[cut], wanted)
            i, j = i[~cut], j[~cut]
        for select in _alike(space.cells, axis, i, j):
            (below, _), (above, _), weights = contact_sides(space, axis, i[select], j[select], -1.0, 1.0)
            portion = torch.minimum(share[i[select]], share[j[select]])
            groups.append(JumpGroup(name, space, axis, below, above, wanted, weights, portion))
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


def start_groups(problem: CompiledProblem, space: Space, axis: int) -> list[StartGroup]:
    """The start of a slab that follows another: of its whole cells and of those that a boundary cuts."""
    orders = [order[axis] for order in highest_orders(problem)]
    cells, low = space.cells, float(space.cells.box[0][axis])
    chosen = cells.touching(axis, low)
    cut = cells.cut[chosen]
    share = cells.volume / cells.volume.sum()
    groups = []
    if bool((~cut).any()):
        some = chosen[~cut]
        axes = [-1.0 if a == axis else space.points_per_axis(a) for a in range(cells.dimension)]
        points, weights, tables = space.shared(axes)
        groups.append(StartGroup(space, axis, Side(some, tables), points, orders, weights, share[some]))
    if bool(cut.any()):
        some = chosen[cut]
        points, weights = cut_points(space, some, {axis: low})
        side = Side(some, space.tables(points))
        groups.append(StartGroup(space, axis, side, points, orders, weights, share[some]))
    return groups
