"""The refinement of a whole problem, level by level, or one least squares on the cells that a file asks for.

Input: what a solve shares, a tolerance, the first space. Output: the results of all levels, as they come, and how the
refinement ended where it ended by itself.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

import torch
from torch import Tensor

from pinnsolve import defaults
from pinnsolve.adapt import recorded_levels
from pinnsolve.adapt.context import Result, SolveContext, least_error
from pinnsolve.adapt.contradicted import Suspicions
from pinnsolve.adapt.energy_levels import with_error
from pinnsolve.adapt.exact_levels import space_that_holds
from pinnsolve.adapt.hp_refinement import (
    Level,
    blind,
    carried_over,
    corrected,
    doubted,
    enlarged,
    first_space,
    make_system,
    newton,
    solve_level,
    state_at,
    without_parameters,
)
from pinnsolve.adapt.level_trust import believed, no_solution, why_no_solution
from pinnsolve.adapt.named_tolerances import counted
from pinnsolve.adapt.near_guess import far_from_guess, found_parameters
from pinnsolve.adapt.next_space import next_space
from pinnsolve.adapt.uniqueness import freedom
from pinnsolve.assembly.row_source import State
from pinnsolve.assembly.system import CellSystem, points_of, weights_of
from pinnsolve.assembly.term_rows import table_orders
from pinnsolve.bases.legendre import forget_tables, functions_of
from pinnsolve.bases.piecewise.basis import PouCells
from pinnsolve.bases.piecewise.mesh import uniform_cells
from pinnsolve.bases.piecewise.space import Space
from pinnsolve.compiler.terms import CompiledProblem
from pinnsolve.estimate.defect_correction import Approximation, Estimate
from pinnsolve.estimate.enriched_space import enriched_space
from pinnsolve.runtime import bytes_available
from pinnsolve.solvers.follow import Outcome, follow, out_of_time
from pinnsolve.solvers.journal import digest
from pinnsolve.solvers.memory import bytes_needed, check_memory, check_work, refuse_blocks

MOST_LEVELS = 30
MOST_OPERATIONS = 2e12  # of a factorization that is worth it without a time limit (minutes)
ROUNDED, ROUNDED_LEVELS = 1e-11, 3  # estimates below it that so many levels do not make smaller are rounding


def on_given_cells(
    context: SolveContext, partitions: Sequence[int], degrees: Sequence[int], tolerance: float
) -> Outcome[Result]:
    """One least squares on equal cells, so many per axis, of these degrees; its error estimated, nothing refined."""
    weights = context.weights_at(defaults.widths(context.dimension)[0]) or {}
    orders, available = table_orders(context.problem), bytes_available(context.memory_gb)

    def results() -> Iterator[Result]:
        refuse_blocks(available, math.prod(partitions), len(context.problem.unknowns) * functions_of(degrees))
        space = Space(uniform_cells(context.lower, context.upper, partitions), tuple(degrees), orders)
        system = make_system(context.problem, enriched_space(space), weights)
        check_memory(system, available)
        c = _first_coefficients(context, space)
        level = solve_level(context.problem, space, c, weights, newton(tolerance))
        yield level_result(context, level)
        level = corrected(level, context.problem, weights, context.clock.check)
        level = doubted(level) if blind(level, tolerance) else level
        record_level(context, f"{space.cells.count} cells", 0, level)
        yield replace(level_result(context, level), freedom=freedom(context, level, tolerance))

    with torch.no_grad():
        return follow(results(), context.clock, least_error)


def _first_coefficients(context: SolveContext, space: Space) -> Tensor:
    """(C, U, n): the guess that is stated, else zero."""
    unknowns = len(context.problem.unknowns)
    if context.guess is not None:
        return space.project(context.guess, unknowns)
    return torch.zeros(space.cells.count, unknowns, space.functions, dtype=torch.float64)


def levels_of(
    context: SolveContext,
    tolerance: float,
    weights: Mapping[str, float],
    refinements: int | None,
    start: tuple[Space, Tensor] | None,
) -> Iterator[Result | Outcome]:
    """Refined cells over all of the problem; the first also before its error is estimated.

    Without any answer the first level may take a little longer than the time limit.
    """
    if start is not None:
        space, c = start
    else:
        space = first_space(context.problem, context.clock.check_late)
        c = _first_coefficients(context, space)
    most = MOST_LEVELS if refinements is None else refinements + 1
    refinement, begin = (
        _Refinement(context, tolerance, weights, most, Suspicions(context, tolerance)),
        state_at(context.problem, c),
    )
    for number in range(most):
        level = refinement.solved(number, space, begin)
        if number == 0:  # which may be all that there is time for
            yield level_result(context, level)
        level, ended = refinement.corrected(number, level)
        result = refinement.result(level)
        yield result
        if refinement.suspicions.confirmed:
            return
        if ended:
            yield Outcome(None, "stationary", ended)
        if context.clock.expired():
            yield out_of_time(context.clock)
        if _slow(refinement.estimates, level, tolerance):
            yield Outcome(None, "stalled", "the error falls too slowly from level to level to meet the tolerance")
        # the error of a quantity falls at least as those of the unknowns
        aim = tolerance * level.worst / result.worst if result.estimate.quantities else tolerance
        del result
        space, begin = refinement.next(level, aim)


@dataclass
class _Refinement:
    """The levels so far, of `most`, their `estimates`, and what speaks against those that met the tolerance."""

    context: SolveContext
    tolerance: float
    weights: Mapping[str, float]
    most: int
    suspicions: Suspicions
    levels: list[Level] = field(default_factory=list)
    estimates: list[float] = field(default_factory=list)

    def solved(self, number: int, space: Space, begin: State) -> Level:
        """A level before its error is estimated."""
        context, problem, tolerance = self.context, self.context.problem, self.tolerance
        check = context.clock.check if number else context.clock.check_late
        before = self.levels[-1].worst if self.levels and not problem.unknown_parameters else 0.0
        operations = MOST_OPERATIONS if context.clock.limit is None else math.inf

        def solve() -> Level:
            fine = make_system(problem, enriched_space(space), self.weights, check)
            check_work(fine, bytes_available(context.memory_gb), operations)
            return solve_level(problem, space, begin, self.weights, newton(tolerance, before), check)

        def system() -> CellSystem:
            made = make_system(problem, space, self.weights, check).scaled_at(begin)
            made.rows(begin, matrix=False)  # which finds their units
            return made

        level = recorded_levels.solved(context.journal, space, solve, system, tolerance, digest(begin.vector()))
        said = () if not self.levels else self.levels[-1].doubts
        # whoever states a guess knows of other solutions
        doubts = () if context.guess is not None else tuple(dict.fromkeys((*said, *level.doubts)))
        return replace(level, doubts=doubts)

    def corrected(self, number: int, level: Level) -> tuple[Level, str]:
        """The level with its error, kept and recorded; and why there is no solution, where that is known."""
        context, problem, tolerance = self.context, self.context.problem, self.tolerance

        def correct(level: Level) -> Level:
            return corrected(level, problem, self.weights, context.clock.check)

        level = recorded_levels.corrected(context.journal, level, correct, tolerance)
        ended = why_no_solution(problem, level, self.levels, tolerance)
        level = believed(problem, level, self.levels, tolerance) if self.most > 1 else level
        self.levels.append(level)
        record_level(context, f"level {number}: {level.space.cells.count} cells", number, level)
        return level, ended

    def result(self, level: Level) -> Result:
        """The result of a level; of one that meets the tolerance, and ends it, with what speaks against it."""
        result = counted(self.context.problem, level_result(self.context, level))
        self.estimates.append(result.worst)
        if result.meets(self.tolerance):
            result = replace(result, freedom=freedom(self.context, level, self.tolerance))
            if not result.freedom.sentence:
                result = replace(result, missed=self.suspicions.missed_by(result))
        return result

    def next(self, level: Level, aim: float) -> tuple[Space, State]:
        """The space of the next level and its start; what this one needed memory for is given up."""
        finer = space_that_holds(self.context.problem, level) if self.suspicions.missed else None
        before = self.levels[-2] if len(self.levels) > 1 else None
        space = finer or self._within_memory(level.space, next_space(level, aim, before))
        begin = State(carried_over(level, space), level.correction.state.parameters)
        self.levels[-1] = level.lightened()
        forget_tables()
        return space, begin

    def _within_memory(self, before: Space, space: Space) -> Space:
        """The space of a level, or where the same cells got more degrees than fit, fewer; one more is left to fail."""
        while space.cells is before.cells and not self._fits(space):
            pairs = tuple(zip(before.degrees, space.degrees, strict=True))
            if all(new <= old + 1 for old, new in pairs):
                break
            space = Space(space.cells, tuple(max(old, new - 1) for old, new in pairs), space.orders)
        return space

    def _fits(self, space: Space) -> bool:
        fine = make_system(self.context.problem, enriched_space(space), self.weights, self.context.clock.check)
        return bytes_needed(fine) <= bytes_available(self.context.memory_gb)


def _slow(estimates: list[float], level: Level, tolerance: float) -> bool:
    """Whether the estimates would need very many levels more, once levels have become large, or are but rounding."""
    if len(estimates) > ROUNDED_LEVELS and min(estimates[:-ROUNDED_LEVELS]) < ROUNDED:
        return min(estimates[-ROUNDED_LEVELS:]) >= min(estimates[:-ROUNDED_LEVELS])
    if len(estimates) < 6 or level.correction.delta.numel() < 20_000:
        return False
    rate = min((estimates[-1] / estimates[-5]) ** 0.25, estimates[-1] / estimates[-2])
    return rate >= 1 or math.log(tolerance / estimates[-1]) / math.log(rate) > 12


def record_level(context: SolveContext, phase: str, number: int, level: Level) -> None:
    """Adds a level to the history."""
    context.record(phase, number, level.loss, level.terms, estimate=level.worst, **level.rank)


def level_result(context: SolveContext, level: Level) -> Result:
    """The result of a level; without an estimate before it is corrected."""
    names = context.problem.unknowns
    answer = on_cells_of(context, level.space, level.c)
    answer = replace(answer, state=replace(answer.state, parameters=level.parameters))
    estimate = corrected = inverse = None
    if level.correction is not None:
        inverse = found_parameters(context.problem, level.parameters, level.correction.moved)
        fine, parameters = level.correction.space, level.correction.state.parameters
        if level.answers_corrected:
            answer, further = on_cells_of(context, fine, level.correction.c), with_error(level)
        else:  # as far as the errors of the unknowns go; of an iteration that ended early, it is but one more step
            times = level.amplification * enlarged(level.correction, level.space)
            further = level.correction.c + (times - 1.0) * level.correction.delta
        found = on_cells_of(context, fine, further)
        corrected = replace(found, state=replace(found.state, parameters=parameters))
        estimate = Estimate(dict(zip(names, level.relative.tolist(), strict=True)), {}, level.correction.left)
    return Result(
        answer,
        estimate,
        _method(level),
        points_of(level.system),
        weights_of(level.system),
        note=_note(context.problem, level),
        doubts=(*level.doubts, *far_from_guess(context.problem, level.parameters)),
        corrected=corrected,
        inverse=inverse,
    )


def _method(level: Level) -> str:
    if level.system.tested:
        return "least energy"
    return "least_squares, by continuation" if level.continued else "least_squares"


def _note(problem: CompiledProblem, level: Level) -> str:
    if level.unsolved:
        return no_solution(problem, level.unsolved)
    return "" if level.converged else "Newton's method did not converge on the last cells"


def on_cells_of(context: SolveContext, space: Space, c: Tensor, slabs: int = 0) -> Approximation:
    """Coefficients (C, U, n) of functions on cells as an approximation."""
    basis = PouCells(space.cells, space.degrees, context.lower, context.upper, slabs)
    return Approximation(basis, without_parameters(c.transpose(0, 1).reshape(c.shape[1], -1)))
