"""What conditions evolve by themselves -> the rows that make it continuous between cells and across starts of slabs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial

import torch
from torch import Tensor

from pinnsolve.assembly.cell_rows import CellPoints, Side
from pinnsolve.assembly.continuity import ContinuityRows
from pinnsolve.assembly.cut_rows import boundary_in_cells, points_of_cut_faces
from pinnsolve.assembly.evolving import Evolving, evolving
from pinnsolve.assembly.faces import START
from pinnsolve.bases.piecewise.cut_quadrature import cut_points
from pinnsolve.bases.piecewise.mesh import NEAR, Cells
from pinnsolve.bases.piecewise.space import Space
from pinnsolve.compiler.terms import CompiledProblem
from pinnsolve.geometry.regions import Piece
from pinnsolve.geometry.sampling import Points
from pinnsolve.geometry.subdomains import where_function
from pinnsolve.language.symbols import MultiIndex, coordinate_symbol


def evolving_continuity(problem: CompiledProblem, space: Space) -> list[ContinuityRows]:
    """Rows at the faces between cells of one material, where these meet the pieces of such conditions."""
    result = []
    for one in evolving(problem):
        chosen = _cells_of(space, one)
        i, j = space.cells.contacts(one.axis, chosen, chosen)
        for at in _between(space, one, i, j) if len(i) else ():
            name = f"continuity in {problem.coordinates[one.axis]} on the boundary"
            result.append(ContinuityRows(name, space, one.derivatives, _narrowed(at, space, one, problem)))
    return result


def evolving_starts(
    problem: CompiledProblem, space: Space, axis: int, before: Callable[[Tensor, MultiIndex], Tensor]
) -> list[ContinuityRows]:
    """Rows at the start of a slab that follows another; `before` as of `start_rows`."""
    low, result = float(space.cells.box[0][axis]), []
    for one in evolving(problem):
        for at in _at_start(space, one, low) if one.axis == axis else ():
            at = _narrowed(at, space, one, problem)
            result.append(ContinuityRows(START, space, one.derivatives, at).starting_from(before))
    return result


def _cells_of(space: Space, one: Evolving) -> Tensor:
    """The cells that the piece lies in, or at the side of."""
    if one.piece.part is not None:
        found = [on.cells for on in boundary_in_cells(space, one.piece)]
        return torch.unique(torch.cat(found)) if found else torch.zeros(0, dtype=torch.long)
    return _holding(space.cells, one.piece.fixed)


def _holding(cells: Cells, fixed: Sequence[tuple[int, float]]) -> Tensor:
    here = torch.ones(cells.count, dtype=torch.bool)
    for axis, value in fixed:
        touching = torch.zeros_like(here)
        touching[cells.touching(axis, value)] = True
        here &= touching
    return here.nonzero()[:, 0]


def _between(space: Space, one: Evolving, i: Tensor, j: Tensor) -> list[CellPoints]:
    """Points of the faces between cells i and j: where these meet a flat piece, else all of the face."""
    share, cells = space.cells.volume / space.cells.volume.sum(), space.cells
    if one.piece.part is not None:
        at = points_of_cut_faces(space, one.axis, i, j)
        return [] if at is None else [at]
    held = dict(one.piece.fixed)
    axes = [0.0 if a == one.axis or a in held else space.points_per_axis(a) for a in range(cells.dimension)]
    unit, weights, _ = space.shared(axes)
    lower, upper = torch.maximum(cells.lower[i], cells.lower[j]), torch.minimum(cells.upper[i], cells.upper[j])
    x = 0.5 * ((1 - unit) * lower[:, None] + (1 + unit) * upper[:, None])
    x[..., one.axis] = cells.upper[i, one.axis][:, None]
    for axis, value in held.items():
        x[..., axis] = value
    sides = tuple(Side(c, space.tables(cells.reference(x, c))) for c in (i, j))
    weights = weights.expand(len(i), -1)
    if cells.parts is not None:  # another material may be there; on the boundary itself that cannot be told
        middle = 0.5 * (lower + upper)[:, None]
        weights = weights * cells.parts.within.inside(x + NEAR * (middle - x), cells.material[i])
    return [CellPoints(sides, weights, torch.minimum(share[i], share[j]), _points(x, _normals(one.piece, x)))]


def _at_start(space: Space, one: Evolving, low: float) -> list[CellPoints]:
    """Points of the piece at the start of a slab, of whole cells and of those that a boundary cuts."""
    cells, share = space.cells, space.cells.volume / space.cells.volume.sum()
    fixed = ((one.axis, low), *one.piece.fixed)
    if one.piece.part is not None:
        found = boundary_in_cells(space, replace(one.piece, fixed=fixed))
        return [
            CellPoints(
                (Side(on.cells, space.tables(on.reference)),), on.weights, share[on.cells], _points(on.x, on.normals)
            )
            for on in found
        ]
    chosen, held = _holding(cells, fixed), dict(fixed)
    cut, result = cells.cut[chosen], []
    axes = [0.0 if a in held else space.points_per_axis(a) for a in range(cells.dimension)]
    for some, points in (
        (chosen[~cut], lambda _: space.shared(axes)),
        (chosen[cut], partial(cut_points, space, fixed=held)),
    ):
        if len(some):
            unit, weights, *_ = points(some)
            x = cells.physical(unit, some)
            for axis, value in fixed:
                x[..., axis] = value
            side = Side(some, space.tables(cells.reference(x, some)))
            result.append(
                CellPoints((side,), weights.expand(len(some), -1), share[some], _points(x, _normals(one.piece, x)))
            )
    return result


def _points(x: Tensor, normals: Tensor | None = None) -> Points:
    return Points(x.flatten(0, 1)[None], normals, {})


def _normals(piece: Piece, x: Tensor) -> Tensor | None:
    """(N, d) of a face at its points x (G, m, d); None for other pieces."""
    if piece.outward is None:
        return None
    axis, sign = piece.outward
    normals = torch.zeros_like(x).flatten(0, 1)
    normals[:, axis] = sign
    return normals


def _narrowed(at: CellPoints, space: Space, one: Evolving, problem: CompiledProblem) -> CellPoints:
    """Without weight where the condition does not hold."""
    inside, points = where_function(one.where, problem.coordinates), at.points
    normals = {coordinate_symbol(f"n_{c}") for c in problem.coordinates}
    if inside is None or (points.normals is None and one.where.free_symbols & normals):
        return at
    keep = inside(points.x[0], points.normals).reshape(at.members, -1)
    return replace(at, quadrature=at.quadrature * keep)
