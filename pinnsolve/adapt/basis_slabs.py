"""Slabs in time on any basis: each starts from the end of the one before, and is refined until its own error is small.

Input: a basis of which one over the whole time does not do. The initial conditions of a slab are the values, and the
lower derivatives in time, of the slab before. The error at its end is carried along: what estimates the error of a slab
starts from the corrected solution of the one before. `time_marching` does the same for polynomials on cells, faster.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial

import torch
from torch import Tensor

from pinnsolve.adapt.context import SEARCH_POINTS, Result, SolveContext, least_error
from pinnsolve.adapt.growing_width import Successors, refined
from pinnsolve.assembly.evolving import evolving
from pinnsolve.assembly.row_source import State
from pinnsolve.assembly.system import shared, units
from pinnsolve.assembly.term_rows import held_at, highest_orders
from pinnsolve.bases.base import Basis
from pinnsolve.bases.time_slabs import TimeSlabs
from pinnsolve.compiler.linearization import linearize
from pinnsolve.compiler.terms import CompiledProblem, Term
from pinnsolve.estimate.defect_correction import Approximation, Estimate, doubted
from pinnsolve.geometry.regions import Piece, Region
from pinnsolve.language.symbols import MultiIndex, coordinate_symbol, feature_symbol
from pinnsolve.solvers.follow import Outcome, follow


@dataclass(frozen=True)
class SlabTuning:
    """The numbers of a march with any basis."""

    first: float = 0.5  # of the time: the first slab
    shortest: float = 1 / 64  # of the time: a slab that short is taken as it is
    local: float = 0.3  # of the tolerance is what a slab's own error may reach
    most: int = 1000  # coefficients of a slab before it is halved
    marches: int = 3  # with ever smaller errors
    sharper: tuple[float, float] = (1e-4, 0.3)  # factor between the local errors of two marches, least and most


TUNING = SlabTuning()


@dataclass(frozen=True)
class BasisSlab:
    """A slab: its result, the correction of its solution, and the norms (U,) of error and solution, squared, times
    the length in time."""

    result: Result
    correction: Approximation | None
    error: Tensor
    size: Tensor

    def derivative(self, unknown: int, alpha: MultiIndex, corrected: bool, x: Tensor) -> Tensor:
        """(N,) a derivative of the solution, or of the corrected one, at points (N, d)."""
        parts = [self.result.approximation]
        if corrected and self.correction is not None:
            parts.append(self.correction)
        return sum(p.basis.combined(x, [alpha], p.state.coefficients)[alpha][unknown] for p in parts)


def can_march_with(problem: CompiledProblem) -> bool:
    """Whether slabs of any basis may follow each other: no data, no operators over all of time, nothing narrowed."""
    plain = all(t.region.where is None and all(f.operator is None for f in t.features) for t in problem.terms)
    return plain and not problem.unknown_parameters and all(t.data_file is None for t in problem.terms)


def basis_marches(
    context: SolveContext, make: Callable[[SolveContext], Basis], axis: int, tolerance: float
) -> Iterator[Result | Outcome]:
    """Marches of ever smaller errors; `make`: the first basis of a slab, on the box of a context."""
    aim = TUNING.local * tolerance
    for _ in range(TUNING.marches):
        marching = _march(context, make, axis, aim)
        found = follow(marching, context.clock, lambda slabs: -len(slabs))
        if found.best is not None:
            result = joined(context, found.best, axis)
            yield result
        if found.best is None or found.status != "finished":
            yield replace(found, best=None)
        factor = 0.3 * tolerance / max(result.worst, 1e-300)
        aim *= min(max(factor, TUNING.sharper[0]), TUNING.sharper[1])


def _march(
    context: SolveContext, make: Callable[[SolveContext], Basis], axis: int, aim: float
) -> Iterator[tuple[BasisSlab, ...]]:
    """Slab after slab, halved where the basis does not do; yields all slabs so far."""
    low, high = context.problem.intervals[axis]
    slabs: tuple[BasisSlab, ...] = ()
    time, length = low, TUNING.first * (high - low)
    while time < high - 1e-9 * (high - low):
        end = min(time + length, high)
        end = high if high - end < 1e-6 * (high - low) else end
        before = slabs[-1] if slabs else None
        inside = slab_context(context, axis, (time, end), before, corrected=False)
        family = Successors(inside, make(inside), None, TUNING.most)
        results = refined(inside, aim, family)
        found = follow(results, context.clock, least_error, lambda result: result.meets(aim))
        found.raised("interrupted", "time_limit", "no_memory")
        fine = found.best is not None and found.best.meets(aim)
        if not fine and length > TUNING.shortest * (high - low):
            length *= 0.5
            continue
        if found.best is None or found.best.estimate is None:
            yield Outcome(None, "stalled", f"the march in time stalled at {time:.4g}, where the basis gives nothing")
        inside = slab_context(context, axis, (time, end), before, corrected=True)
        slabs = (*slabs, _corrected(inside, family, found.best, end - time))
        yield slabs
        time = end


def slab_context(
    context: SolveContext, axis: int, ends: tuple[float, float], before: BasisSlab | None, corrected: bool
) -> SolveContext:
    """The solve of one slab, which starts from the end of the slab `before`, or from its `corrected` solution."""
    lower, upper = context.lower.clone(), context.upper.clone()
    lower[axis], upper[axis] = ends
    problem = context.problem
    intervals = (*problem.intervals[:axis], ends, *problem.intervals[axis + 1 :])
    if before is None:
        return replace(context, problem=replace(problem, intervals=intervals), lower=lower, upper=upper)
    start = held_at(problem, axis, problem.intervals[axis][0])
    kept = tuple(term for term in problem.terms if term not in start)
    columns: dict[str, Callable[[Tensor], Tensor]] = {}
    terms = []
    for i, orders in enumerate(highest_orders(problem)):
        for k in range(orders[axis]):
            alpha = tuple(k if a == axis else 0 for a in range(len(orders)))
            name = f"start of slab, {problem.unknowns[i]}{' rate' * k}"
            columns[name] = partial(before.derivative, i, alpha, corrected)
            terms.append(_given(problem.unknowns[i], alpha, name, Piece(((axis, ends[0]),))))
    for number, one in enumerate(evolving(problem)):
        if one.axis != axis:
            continue
        piece = replace(one.piece, fixed=tuple(sorted((*one.piece.fixed, (axis, ends[0])))))
        for i, alphas in enumerate(one.derivatives):
            for alpha in alphas:
                name = f"start of slab, condition {number}, {problem.unknowns[i]} {alpha}"
                columns[name] = partial(before.derivative, i, alpha, corrected)
                terms.append(_given(problem.unknowns[i], alpha, name, piece))
    inside = replace(problem, intervals=intervals, terms=(*kept, *terms))
    return replace(context, problem=inside, lower=lower, upper=upper, columns=columns)


def _given(unknown: str, alpha: MultiIndex, name: str, piece: Piece) -> Term:
    """A derivative of an unknown is what the column of that name says."""
    residual = feature_symbol(unknown, alpha) - coordinate_symbol(name)
    return Term(name, "condition", Region(name, (piece,)), (residual,), (linearize(residual, ()),), True)


def _corrected(inside: SolveContext, family: Successors, result: Result, length: float) -> BasisSlab:
    """The slab with its error, that at its start carried along: `inside` starts from the corrected solution."""
    solution = result.approximation
    inside = replace(inside, term_weights=result.term_weights)
    raw = inside.estimate(solution, family.corrections(solution.basis))
    estimate = doubted(raw, solution, inside.check_assembly(SEARCH_POINTS, 1)).at_least(result.estimate.relative)
    size = shared(solution.values(inside.check_points()).square().mean(dim=1).sqrt(), inside.problem.groups)
    relative = size.new_tensor([estimate.relative[name] for name in inside.problem.unknowns])
    unit = units(size, relative * size)
    result = replace(result, estimate=estimate, assembly=None)
    return BasisSlab(result, raw.error, (relative * unit) ** 2 * length, size**2 * length)


def joined(context: SolveContext, slabs: Sequence[BasisSlab], axis: int) -> Result:
    """The slabs as one solution. Where they do not reach the end, its last values go on, and the error is all of it."""
    results = [slab.result for slab in slabs]
    bases = [result.approximation.basis for result in results]
    c = torch.cat([result.approximation.state.coefficients for result in results], dim=1)
    size = torch.stack([slab.size for slab in slabs]).sum(dim=0).sqrt()
    error = torch.stack([slab.error for slab in slabs]).sum(dim=0).sqrt()
    relative = error / units(size, error)
    if float(bases[-1].upper[axis]) < float(context.upper[axis]):
        relative = torch.ones_like(relative)
    left = max(result.estimate.residual_left for result in results)
    return Result(
        Approximation(TimeSlabs(bases, axis, context.lower, context.upper), State(c, c.new_zeros(0))),
        Estimate(dict(zip(context.problem.unknowns, relative.tolist(), strict=True)), {}, left),
        "time slabs, least_squares",
        _summed([result.points for result in results]),
        results[0].term_weights,
    )


def _summed(counts: Sequence[Mapping[str, int]]) -> dict[str, int]:
    total: dict[str, int] = {}
    for name, count in [item for one in counts for item in one.items()]:
        total[name] = total.get(name, 0) + count
    return total
