"""The path of `auto` where it can go: polynomials on cells, refined until the estimated error meets the tolerance.

Problems that evolve march in slabs (`time_marching`), the others are refined as a whole (`hp_refinement`). Either way
what comes back is the solution whose error was estimated, not the correction that estimated it.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial

import torch
from torch import Tensor

from pinnsolve import defaults
from pinnsolve.adapt.context import Result, SolveContext, least_error
from pinnsolve.adapt.contradicted import Suspicions
from pinnsolve.adapt.crossing import WEAK, characteristics_of
from pinnsolve.adapt.free_values import with_mean_zero
from pinnsolve.adapt.hp_refinement import (
    without_parameters,
)
from pinnsolve.adapt.instant_unknowns import LEVELS, instant, said, without_instant
from pinnsolve.adapt.named_tolerances import counted
from pinnsolve.adapt.space_problem import can_collocate
from pinnsolve.adapt.start_alone import start_alone
from pinnsolve.adapt.terms_without_points import with_all_terms
from pinnsolve.adapt.time_collocation import BEYOND, collocations
from pinnsolve.adapt.time_exponentials import exponential, exponentials
from pinnsolve.adapt.time_marching import March, can_march, march
from pinnsolve.adapt.time_problem import TimeProblem
from pinnsolve.adapt.time_slab import LOCAL, Slab, SlabSolver
from pinnsolve.adapt.whole_levels import levels_of, on_cells_of
from pinnsolve.assembly.row_source import State
from pinnsolve.assembly.system import units
from pinnsolve.assembly.term_rows import held_at, highest_orders, term_rows
from pinnsolve.bases.piecewise.basis import PouCells
from pinnsolve.bases.piecewise.initial_mesh import detail_mesh, space_cells
from pinnsolve.bases.piecewise.mesh import Cells, joined
from pinnsolve.bases.piecewise.space import Space
from pinnsolve.compiler.terms import CompiledProblem
from pinnsolve.estimate.defect_correction import Approximation, Estimate
from pinnsolve.runtime import bytes_available
from pinnsolve.solvers.follow import Outcome, attempt, follow

MOST_MARCHES = 6
STEPPED = 0.5  # residual left of a smooth solution of steps, one of which may well hold less than the others
SMOOTH, MARGIN = 0.1, 0.5  # residual left of a smooth solution; part of the tolerance that others are refined to
LOST = 0.03  # estimated error from which on the error no longer grows as its linearization says: a march is given up
LEAST_DEGREE = 5  # in space, beyond the order of the equations; lower ones need many more cells
MANY_CELLS, LOW_DEGREE = 100, 3  # first cells of a shape, and degree beyond the order then
FIRST_SLAB = 0.2  # of the time
FIRST_CELLS = {2: 2, 3: 1, 4: 1}  # per axis of space; more where the conditions at the start need them


def on_cells(
    context: SolveContext, tolerance: float, refinements: int | None, start: tuple[Space, Tensor] | None = None
) -> Outcome[Result]:
    """The best result on cells, and how the way there ended; `start`: cells on which a refinement of the whole begins,
    with coefficients (C, U, n), instead of few.

    A march that does not reach the end is kept, and all of space and time is tried at once.
    """
    weights = context.weights_at(defaults.widths(context.dimension)[0]) or {}
    axis = can_march(context.problem)
    with torch.no_grad():
        if axis is None:
            return _followed(context, levels_of(context, tolerance, weights, refinements, start), tolerance)
        found = _marched(context, axis, tolerance, weights, refinements, start)
        if found.best is not None or found.status in ("interrupted", "broken"):
            return found
        alone = attempt(partial(start_alone, context, axis, weights), context.clock)
        return found if isinstance(alone, Outcome) else replace(found, best=alone)


def _marched(
    context: SolveContext, axis: int, tolerance: float, weights: Mapping[str, float], refinements: int | None,
    start: tuple[Space, Tensor] | None,
) -> Outcome[Result]:  # fmt: skip
    """The best result of a march by exponentials, or on cells."""
    stated = exponential(context.problem, axis, tolerance)
    if stated is None:
        return _marched_on_cells(context, axis, tolerance, weights, refinements, start)
    # all of a box by products with one matrix per axis: far less work than factorizations, where it is enough
    results = exponentials(context, stated, axis, tolerance, refinements)
    found = _followed(context, _doubted(context, results, tolerance), tolerance, STEPPED)
    if found.ends_all or (found.best is not None and found.best.meets(tolerance)):
        return found
    return better(found, _marched_on_cells(context, axis, tolerance, weights, refinements, start))


def _marched_on_cells(
    context: SolveContext, axis: int, tolerance: float, weights: Mapping[str, float], refinements: int | None,
    start: tuple[Space, Tensor] | None,
) -> Outcome[Result]:  # fmt: skip
    """The best result of a march in steps or in slabs, or of all of space and time at once."""
    problem = context.problem
    if (
        can_collocate(problem, axis) and not detail_mesh(problem, axis).in_time
    ):  # steps in space alone are far smaller than slabs
        results = collocations(context, axis, tolerance, weights, refinements)
        stepped = _followed(context, _doubted(context, results, tolerance), tolerance, STEPPED)
        if stepped.best is not None or stepped.ends_all:
            return stepped
    marches = _doubted(context, _marches(context, axis, tolerance, weights, refinements), tolerance)
    marched = _followed(context, marches, tolerance, STEPPED)
    travelling = problem.linear and problem.order <= 1  # kinks that cells do not hold, at once or in slabs
    settled = marched.best is not None and marched.status != "stalled"
    if settled or marched.ends_all or travelling or marched.status == "broken":
        return marched
    if marched.status == "stalled" and characteristics_of(problem, axis) is not None:
        # slabs became tiny where signals meet; functions of all the time at once would hide that
        return replace(marched, status="broken", message=f"{marched.message}; {WEAK}")
    if marched.status == "stalled" and (alone := without_instant(context, axis)) is not None:
        evolved = _followed(alone, _marches(alone, axis, tolerance, weights, refinements), tolerance, STEPPED)
        if evolved.ends_all:
            return better(marched, evolved)
        if (known := said(evolved, instant(context, axis), tolerance)) is not None:
            levels = LEVELS if refinements is None else min(refinements, LEVELS)
            return better(known, _followed(context, levels_of(context, tolerance, weights, levels, start), tolerance))
    whole = _followed(context, levels_of(context, tolerance, weights, refinements, start), tolerance)
    if whole.best is not None and whole.best.estimate is not None:
        # a solution that grows beyond all bounds makes everything small that went before
        missed = dict.fromkeys(problem.unknowns, _start_missed(context, axis, whole.best, weights))
        whole = replace(whole, best=replace(whole.best, estimate=whole.best.estimate.at_least(missed)))
    return better(marched, whole)


def better(first: Outcome[Result], second: Outcome[Result]) -> Outcome[Result]:
    """The one whose best result has the smaller error; the second where that ends the solve without a result."""
    if first.best is None or (second.best is not None and least_error(second.best) < least_error(first.best)):
        return second
    return replace(second, best=first.best) if second.ends_all else first


def _followed(
    context: SolveContext, results: Iterator[Result | Outcome], tolerance: float, smooth: float = SMOOTH
) -> Outcome[Result]:
    """The best of the results until one meets the tolerance, or a part of it where more than `smooth` is left of the
    residual."""

    def enough(result: Result) -> bool:
        # where the correction leaves much of the residual, as at kinks and corners, it is a little too small
        whole = result.estimate is None or result.estimate.residual_left < smooth
        return result.meets(tolerance if whole else MARGIN * tolerance) and not result.missed

    results = (one if isinstance(one, Outcome) else counted(context.problem, one) for one in results)
    results = with_all_terms(context.problem, results, tolerance)
    if context.problem.undetermined_constants:
        fixed = partial(with_mean_zero, context.problem)
        results = (one if isinstance(one, Outcome) else fixed(one) for one in results)
    return follow(results, context.clock, least_error, enough)


def _doubted(
    context: SolveContext, results: Iterator[Result | Outcome], tolerance: float
) -> Iterator[Result | Outcome]:
    """The results, those that meet the tolerance with what speaks against them, until finer ones are in vain."""
    suspicions = Suspicions(context, tolerance)
    for one in results:
        if not isinstance(one, Outcome) and (judged := counted(context.problem, one)).meets(tolerance):
            one = replace(one, missed=suspicions.missed_by(judged))
        yield one
        if suspicions.confirmed:
            return


def _start_missed(context: SolveContext, axis: int, result: Result, weights: Mapping[str, float]) -> float:
    """By how much a solution misses the conditions at the start, relative to what they ask for."""
    problem, space = context.problem, result.approximation.basis.space
    low = problem.intervals[axis][0]
    held = held_at(problem, axis, low)
    c = result.approximation.state.coefficients
    c = c.reshape(len(c), space.cells.count, -1).transpose(0, 1).contiguous()
    state = without_parameters(c)
    sources = [rows.scaled_at(state) for rows in term_rows(replace(problem, terms=held), space, weights)]
    missed = sum(source.rows(state, False).loss for source in sources)
    asked = sum(source.rows(State(None, state.parameters), False).loss for source in sources)
    return math.sqrt(missed / asked) if asked > 0 else 0.0


# -- slabs --------------------------------------------------------------------------------------------------------


def degrees_for(local: float, dimension: int, axis: int, order: int = 2, many: bool = False) -> tuple[int, ...]:
    """Degrees of slabs with local errors of that size: more digits, more degrees; fewer in more dimensions.

    Equations of high order in space lose as many degrees to their derivatives. Where a shape calls for `many` cells
    anyway, lower degrees may do.
    """
    digits = -math.log10(local)
    if dimension == 1:
        return (min(max(round(4 + digits), 8), 20),)
    space = {2: 4.5 + digits, 3: 3.0 + 0.9 * digits, 4: 2.0 + 0.7 * digits}[dimension]
    in_space = min(max(round(space), (LOW_DEGREE if many else LEAST_DEGREE) + order), {2: 16, 3: 12, 4: 8}[dimension])
    in_time = max(3, round({2: 0.6, 3: 0.55, 4: 0.5}[dimension] * in_space))
    return tuple(in_time if a == axis else in_space for a in range(dimension))


def _marches(
    context: SolveContext, axis: int, tolerance: float, weights: Mapping[str, float], refinements: int | None
) -> Iterator[Result | Outcome]:
    """Marches of ever smaller errors, each as far as it comes."""
    problem, memory = context.problem, bytes_available(context.memory_gb)
    low, high = problem.intervals[axis]
    order = max((k for ks in highest_orders(problem) for a, k in enumerate(ks) if a != axis), default=0)
    length = FIRST_SLAB * (high - low)
    cells = space_cells(problem, axis, FIRST_CELLS.get(context.dimension, 1))
    aim, most = tolerance, MOST_MARCHES if refinements is None else refinements + 1
    whole = False  # whether one has come to the end, so that what others hold beyond theirs is nobody's answer
    for number in range(most):
        degrees = degrees_for(LOCAL * aim, context.dimension, axis, order, cells.count >= MANY_CELLS)
        watch = _Watch(context, axis, tolerance, number, last=number == most - 1)
        stated = TimeProblem(problem, axis, weights, guess=context.guess)
        solver = SlabSolver(stated, degrees, memory, context.clock.check)
        slabs_so_far = march(solver, cells, aim, length, context.journal)
        found = follow(slabs_so_far, context.clock, lambda one: -len(one.slabs), watch.given_up)
        slabs = found.best.slabs if found.best is not None else ()
        if slabs:
            yield _march_result(context, axis, slabs)
            whole = whole or _complete(problem, slabs, axis)
        if found.status != "finished" or not slabs:
            beyond = "" if whole or not slabs else BEYOND.format(time=_reached(slabs, axis))
            yield replace(found, best=None, message=found.message + beyond)
        aim *= min(max(0.3 * tolerance / watch.foreseen(slabs), 1e-6), 0.3)
        length = slabs[0].length(axis)


def _reached(slabs: Sequence[Slab], axis: int) -> float:
    return float(slabs[-1].space.cells.box[1][axis])


def _complete(problem: CompiledProblem, slabs: Sequence[Slab], axis: int) -> bool:
    """Whether the slabs reach the end of the time."""
    low, high = problem.intervals[axis]
    return _reached(slabs, axis) >= high - 1e-9 * (high - low)


class _Watch:
    """Follows a march: records, and whether the carried error has left the tolerance for good."""

    def __init__(self, context: SolveContext, axis: int, tolerance: float, number: int, last: bool):
        self.context, self.axis, self.tolerance, self.number, self.last = context, axis, tolerance, number, last
        self.errors: list[tuple[float, float]] = []  # (time, error so far)

    def given_up(self, march: March) -> bool:
        """Records the last slab; whether the march is not worth going on."""
        low, high = self.context.problem.intervals[self.axis]
        done = (march.time - low) / (high - low)
        seconds = self.context.clock.seconds()
        slab = march.slabs[-1]
        self.context.record(
            f"march {self.number + 1}", len(march.slabs), slab.loss, slab.terms,
            **slab.rank, time_left=seconds * (1 - done) / done if self.number == 0 else None,
        )  # fmt: skip
        counts = torch.tensor(self.context.problem.unknown_counts, dtype=torch.float64)
        self.errors.append((march.time, float((counts * relative_error(march.slabs)).max())))
        # of a linear problem, errors are what their linearization says, however large
        lost = self.errors[-1][1] >= max(LOST, 100 * self.tolerance)
        return lost and not self.last and not self.context.problem.linear

    def foreseen(self, slabs: Sequence[Slab]) -> float:
        """The error at the end: as it is, or growing on at the rate of the second half of what was marched."""
        time, error = self.errors[-1]
        low, high = self.context.problem.intervals[self.axis]
        if _complete(self.context.problem, slabs, self.axis):
            return error
        middle, then = min(self.errors, key=lambda pair: abs(pair[0] - 0.5 * (low + time)))
        rate = max(math.log(error / then), 0.0) / max(time - middle, 1e-12 * (high - low)) if then > 0 else 0.0
        return error * math.exp(min(rate * (high - time), 10.0))


def over_time(slabs: Sequence[Slab]) -> tuple[Tensor, Tensor]:
    """(U,) and (U,): the error and the size of the unknowns over all slabs, squared and integrated."""
    volume = torch.stack([slab.space.cells.volume.sum() for slab in slabs])[:, None]
    error, size = (torch.stack(part) ** 2 for part in ([s.error for s in slabs], [s.size for s in slabs]))
    return (error * volume).sum(dim=0), (size * volume).sum(dim=0)


def relative_error(slabs: Sequence[Slab]) -> Tensor:
    """(U,) the estimated relative errors over all slabs."""
    error, size = (torch.sqrt(part) for part in over_time(slabs))
    return error / units(size, error)


def _march_result(context: SolveContext, axis: int, slabs: Sequence[Slab]) -> Result:
    """The slabs as one solution. Where they do not reach the end, its last values go on, and the error is all of it."""
    problem, degrees = context.problem, slabs[0].space.degrees
    cells = joined([s.space.cells for s in slabs])
    c, relative = torch.cat([s.c for s in slabs]), relative_error(slabs)
    fine = slabs[0].fine
    whole = Space(joined([s.fine.cells for s in slabs]), fine.degrees, fine.orders)
    corrected = on_cells_of(context, whole, torch.cat([s.w for s in slabs]), len(slabs))
    if not _complete(problem, slabs, axis):
        beyond, more = _prolonged(slabs[-1], degrees, axis, problem.intervals[axis][1])
        cells, c, relative = joined([cells, beyond]), torch.cat([c, more]), torch.ones_like(relative)
    basis = PouCells(cells, degrees, context.lower, context.upper, len(slabs))
    points: dict[str, int] = {}
    for name, count in [item for slab in slabs for item in slab.points.items()]:
        points[name] = points.get(name, 0) + count
    return Result(
        Approximation(basis, without_parameters(c.transpose(0, 1).reshape(len(problem.unknowns), -1))),
        Estimate(dict(zip(problem.unknowns, relative.tolist(), strict=True)), {}, max(s.left for s in slabs)),
        "time slabs, least_squares",
        points,
        slabs[0].weights,
        corrected=corrected,
        doubts=slabs[0].doubts,
    )


def _prolonged(last: Slab, degrees, axis: int, high: float) -> tuple[Cells, Tensor]:
    """One slab more to the end of time, with the values at the end of the last."""
    at_end = float(last.space.cells.box[1][axis])
    cells = last.space.cells.moved(axis, at_end, high)
    longer = Space(cells, degrees, last.space.orders)

    def values(x: Tensor) -> Tensor:
        x = x.clone()
        x[:, axis] = at_end
        return last.space.values(last.c, x, (0,) * len(degrees))

    return cells, longer.project(values, last.c.shape[1])
