"""Jumps of a solution between its cells, where it should be continuous: a kink may hide there from every equation."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor

from pinnsolve.assembly.rows import Assembly
from pinnsolve.bases.piecewise.basis import PouCells
from pinnsolve.bases.piecewise.space import Space
from pinnsolve.compiler.terms import CompiledProblem
from pinnsolve.estimate.fresh_points import FacePoints, points_on_faces
from pinnsolve.estimate.independent_look import Look, Missed, looked_at
from pinnsolve.estimate.interfaces import between_materials
from pinnsolve.language.symbols import MultiIndex


def all_missed(look: Look, check: Assembly) -> list[Missed]:
    """What a solution misses of terms and, on cells, of continuity, within a material and between two."""
    found, basis = looked_at(look, check), look.solution.basis
    if isinstance(basis, PouCells) and basis.space.cells.count > 1:
        found += discontinuities(look, basis)
        found += between_materials(look, basis)
    return found


def discontinuities(look: Look, basis: PouCells) -> Iterator[Missed]:
    """Jumps of every unknown and of its derivatives along an axis below the highest one that any term asks for.

    The k-th derivative is judged by the one above it, of whose integral its jumps are a part.
    """
    problem = look.problem
    orders = [[_order(problem, unknown, a) for unknown in problem.unknowns] for a in range(len(problem.coordinates))]
    above = [_along(a, k + 1, len(orders)) for a, own in enumerate(orders) for k in range(max(own))]
    look.averages_of(above)  # of all at once
    for axis, own in enumerate(orders):
        at = points_on_faces(basis, axis, problem) if any(own) else None
        if at is None:
            continue
        jumps = _jumps(look, basis.space, at, [_along(axis, k, len(orders)) for k in range(max(own))])
        for k, jump in enumerate(jumps):
            yield from _missed(look, basis.space, at, axis, k, jump, [k < order for order in own])


def _along(axis: int, k: int, dimension: int) -> MultiIndex:
    return tuple(k if a == axis else 0 for a in range(dimension))


def _jumps(look: Look, space: Space, at: FacePoints, alphas: Sequence[MultiIndex]) -> list[Tensor]:
    """(U, N) per derivative: how much it jumps."""
    c = look.solution.state.coefficients
    c = c.reshape(len(c), space.cells.count, -1).transpose(0, 1)
    sides, x = torch.cat([at.below, at.above]), torch.cat([at.x, at.x])
    values = space.combined_in(sides, c, x, alphas)
    return [(values[alpha][:, : len(at.x)] - values[alpha][:, len(at.x) :]).abs() for alpha in alphas]


def _missed(
    look: Look, space: Space, at: FacePoints, axis: int, k: int, jump: Tensor, held: Sequence[bool]
) -> Iterator[Missed]:
    """What jumps (U, N) of the k-th derivative mean, of the unknowns of which it is `held`."""
    problem, above = look.problem, _along(axis, k + 1, len(look.problem.coordinates))
    h = torch.minimum(space.cells.size[at.below, axis], space.cells.size[at.above, axis])
    noise = torch.finfo(jump.dtype).eps * (2.0 * space.degrees[axis] ** 2 / h) ** k  # as `Look` has it
    mean, volume = look.averages_of([above])[above], space.cells.volume.sum()
    for number in range(len(jump)):
        if not held[number]:
            continue
        size = float(mean[number]) + look.least(number, above)
        sums = [(at.area * part).sum() / volume for part in (jump[number], noise * look.sizes[number])]
        share, rounding = (0.0 if part == 0 else float(part) / max(size, 1e-300) for part in sums)
        unknown, coordinate = problem.unknowns[number], problem.coordinates[axis]
        name = f"the continuity of {'a derivative of ' if k else ''}`{unknown}` in {coordinate}"
        place = tuple(at.x[int((at.area * jump[number]).argmax())].tolist())
        yield Missed(name, "continuity", k, share, place, rounding, size)


def _order(problem: CompiledProblem, unknown: str, axis: int) -> int:
    """The highest derivative of an unknown along an axis in any term: below it, there must be no jumps."""
    features = [f for term in problem.terms for f in term.features if f.unknown == unknown and f.operator is None]
    return max((f.alpha[axis] for f in features), default=0)
