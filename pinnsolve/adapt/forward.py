"""The path of `auto` where it can go: polynomials on cells, refined until the estimated error meets the tolerance.

Problems that evolve march in slabs (`time_marching`), the others are refined as a whole (`hp_refinement`). Either way
what comes back is the solution whose error was estimated, not the correction that estimated it.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace

import torch
from torch import Tensor

from pinnsolve import defaults
from pinnsolve.adapt.context import Result, Work
from pinnsolve.adapt.hp_refinement import (
    Level,
    carried_over,
    first_space,
    make_system,
    next_space,
    solve_level,
    without_parameters,
)
from pinnsolve.adapt.time_marching import March, can_march, march
from pinnsolve.adapt.time_slab import LOCAL, Slab
from pinnsolve.assembly.row_source import State
from pinnsolve.assembly.system import points_of, units, weights_of
from pinnsolve.assembly.term_rows import held_at, highest_orders, table_orders, term_rows
from pinnsolve.bases.piecewise.basis import PouCells
from pinnsolve.bases.piecewise.initial_mesh import space_cells
from pinnsolve.bases.piecewise.mesh import Cells, joined, uniform_cells
from pinnsolve.bases.piecewise.space import Space
from pinnsolve.compiler.terms import CompiledProblem
from pinnsolve.errors import ResourceError
from pinnsolve.estimate.defect_correction import Approximation, Estimate
from pinnsolve.estimate.enriched_space import enriched_space
from pinnsolve.runtime import threads_for
from pinnsolve.solvers.budget import INTERRUPTED, OutOfTime
from pinnsolve.solvers.memory import bytes_available, check_memory, check_work

MOST_LEVELS, MOST_MARCHES = 30, 6
MOST_OPERATIONS = 2e12  # of a factorization that is worth it without a time limit (minutes)
SMOOTH, MARGIN = 0.1, 0.7  # residual left of a smooth solution; part of the tolerance that others are refined to
LOST = 0.03  # estimated error from which on the error no longer grows as its linearization says: a march is given up
LEAST_DEGREE = 5  # in space, beyond the order of the equations; lower ones need many more cells
MANY_CELLS, LOW_DEGREE = 100, 3  # first cells of a shape, and degree beyond the order then
FIRST_SLAB = 0.2  # of the time
FIRST_CELLS = {2: 2, 3: 1, 4: 1}  # per axis of space; more where the conditions at the start need them


def on_cells(work: Work, tolerance: float, refinements: int | None) -> Result | None:
    """The result of the path on cells; None where nothing was computed (no memory for the first level)."""
    weights = work.weights_at(defaults.widths(work.dimension)[0]) or {}
    axis = can_march(work.problem)
    with torch.no_grad(), threads_for(1):
        if axis is not None:
            result = _marches(work, axis, tolerance, weights, refinements)
            if result is not None and result.status != "stalled":
                return result
            if result is None and work.clock.expired():
                return None
            if work.problem.linear and work.problem.order <= 1:
                return result
        result = _levels(work, tolerance, weights, refinements)
    if result is not None and axis is not None and result.estimate is not None:
        # a solution that grows beyond all bounds makes everything small that went before
        missed = _start_missed(work, axis, result, weights)
        result = replace(result, estimate=result.estimate.at_least(dict.fromkeys(work.problem.unknowns, missed)))
    return result


def _start_missed(work: Work, axis: int, result: Result, weights: Mapping[str, float]) -> float:
    """By how much a solution misses the conditions at the start, relative to what they ask for."""
    problem, space = work.problem, result.approximation.basis.space
    low = problem.intervals[axis][0]
    held = held_at(problem, axis, low)
    c = result.approximation.state.coefficients
    c = c.reshape(len(c), space.cells.count, -1).transpose(0, 1).contiguous()
    state = without_parameters(c)
    sources = [rows.scaled_at(state) for rows in term_rows(replace(problem, terms=held), space, weights)]
    missed = sum(source.rows(state, False).loss for source in sources)
    asked = sum(source.rows(State(None, state.parameters), False).loss for source in sources)
    return math.sqrt(missed / asked) if asked > 0 else 0.0


def on_given_cells(work: Work, partitions: Sequence[int], degrees: Sequence[int], tolerance: float) -> Result:
    """One least squares on equal cells, so many per axis, of these degrees; its error estimated, nothing refined.

    Raises ResourceError for one that does not fit into memory.
    """
    problem = work.problem
    weights = work.weights_at(defaults.widths(work.dimension)[0]) or {}
    space = Space(uniform_cells(work.lower, work.upper, partitions), tuple(degrees), table_orders(problem))
    c = torch.zeros(space.cells.count, len(problem.unknowns), space.functions, dtype=torch.float64)
    with torch.no_grad(), threads_for(1):
        check_memory(make_system(problem, enriched_space(space), weights), bytes_available(work.memory_gb))
        level = solve_level(problem, space, c, weights, tolerance, work.floating, work.clock.check, patient=True)
    _record(work, f"{space.cells.count} cells", 0, level)
    return _level_result(work, level, weights)


# -- whole problems -----------------------------------------------------------------------------------------------


def _levels(work: Work, tolerance: float, weights: Mapping[str, float], refinements: int | None) -> Result | None:
    problem = work.problem
    space = first_space(problem)
    c = torch.zeros(space.cells.count, len(problem.unknowns), space.functions, dtype=torch.float64)
    best: Result | None = None
    estimates: list[float] = []
    most = MOST_LEVELS if refinements is None else refinements + 1
    for number in range(most):
        check = work.clock.check if best else _no_check
        try:
            refusal = _refusal(work, problem, enriched_space(space), weights, check)
            if refusal is not None:
                return best and replace(best, message=refusal)
            # without any answer the first level is solved, however long it takes
            level = solve_level(
                problem, space, c, weights, tolerance, work.floating, work.clock.check, patient=best is None
            )
        except OutOfTime:
            return replace(best, status="time_limit", message=work.clock.message())
        except ArithmeticError as error:
            return best and replace(best, message=f"{error}; the best answer before is kept")
        result = _level_result(work, level, weights)
        _record(work, f"level {number}: {space.cells.count} cells", number, level)
        if result.estimate is None:
            return result
        if best is None or result.estimate.worst <= best.estimate.worst:
            best = work.best = result
        estimates.append(level.worst)
        # where the correction leaves much of the residual, as at kinks and corners, it is a little too small
        if best.estimate.worst <= (tolerance if best.estimate.residual_left < SMOOTH else MARGIN * tolerance):
            break
        if work.clock.expired():
            return replace(best, status="time_limit", message=work.clock.message())
        if _slow(estimates, level, tolerance):
            return replace(best, message="the error falls too slowly from level to level to meet the tolerance")
        space = next_space(level, tolerance)
        c = carried_over(level, space)
    return best


def _slow(estimates: list[float], level: Level, tolerance: float) -> bool:
    """Whether the estimates would need very many levels more, once levels have become large."""
    if len(estimates) < 6 or level.correction.delta.numel() < 20_000:
        return False
    rate = (estimates[-1] / estimates[-5]) ** 0.25
    return rate >= 1 or math.log(tolerance / estimates[-1]) / math.log(rate) > 12


def _no_check() -> None:
    """Lets everything go on."""


def _refusal(work: Work, problem: CompiledProblem, space: Space, weights, check) -> str | None:
    """A sentence where the next least squares would take more memory than there is, or unreasonably long."""
    most = MOST_OPERATIONS if work.clock.limit is None else math.inf
    try:
        check_work(make_system(problem, space, weights, check), bytes_available(work.memory_gb), most)
    except ResourceError as error:
        return str(error)
    return None


def _record(work: Work, phase: str, number: int, level: Level) -> None:
    estimate = None if level.correction is None else level.worst
    work.record(phase, number, level.loss, level.terms, estimate=estimate, **level.rank)


def _level_result(work: Work, level: Level, weights) -> Result:
    basis = PouCells(level.space.cells, level.space.degrees, work.lower, work.upper)
    c = level.c.transpose(0, 1).reshape(len(work.problem.unknowns), -1)
    relative = dict(zip(work.problem.unknowns, level.relative.tolist(), strict=True))
    message = "" if level.converged else "Newton's method did not converge on the last cells"
    how = "least_squares, by continuation" if level.continued else "least_squares"
    estimate, status = None, "finished"
    if level.correction is None:
        status, message = "time_limit", f"{work.clock.message()}, and its error was not estimated"
    else:
        estimate = Estimate(relative, {}, level.correction.left)
    return Result(
        Approximation(basis, State(c, torch.zeros(0, dtype=c.dtype))),
        None,
        estimate,
        status,
        message,
        how,
        points_of(level.system),
        weights_of(level.system),
    )


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


def _marches(work: Work, axis: int, tolerance: float, weights, refinements: int | None) -> Result | None:
    problem = work.problem
    low, high = problem.intervals[axis]
    order = max((k for ks in highest_orders(problem) for a, k in enumerate(ks) if a != axis), default=0)
    length = FIRST_SLAB * (high - low)
    cells = space_cells(problem, axis, FIRST_CELLS.get(work.dimension, 1))
    aim, best = tolerance, None
    most = MOST_MARCHES if refinements is None else refinements + 1
    for number in range(most):
        degrees = degrees_for(LOCAL * aim, work.dimension, axis, order, cells.count >= MANY_CELLS)
        watch = _Watch(work, axis, tolerance, number, last=number == most - 1)
        try:
            found = march(
                problem,
                axis,
                cells,
                degrees,
                aim,
                weights,
                length,
                bytes_available(work.memory_gb),
                watch,
                watch.before,
                work.clock.check,
            )
        except OutOfTime:
            found = watch.march
            found.status = "time_limit"
        except KeyboardInterrupt:
            found = watch.march
            if found is None or not found.slabs:
                if best is None:
                    raise
                return replace(best, status="interrupted", message=INTERRUPTED)
            found.status = "interrupted"
        except ArithmeticError:
            return best
        except ResourceError as error:
            if best is None and watch.march.slabs:
                best = work.best = _march_result(work, axis, degrees, watch.march)
            return best and replace(best, message=str(error))
        if not found.slabs and found.status == "time_limit":
            return best
        if found.slabs:
            result = _march_result(work, axis, degrees, found)
            if best is None or (result.estimate is not None and result.estimate.worst <= best.estimate.worst):
                best = work.best = result
        if found.status in ("interrupted", "time_limit") and best is not None:
            message = INTERRUPTED if found.status == "interrupted" else work.clock.message()
            return replace(best, status=found.status, message=f"{message}{_until(found, axis, high)}")
        if found.status == "stalled":
            return best and replace(best, status="stalled")
        if found.status == "finished" and best.estimate.worst <= tolerance:
            return best
        aim *= min(max(0.3 * tolerance / watch.foreseen(found), 1e-6), 0.3)
        length = found.slabs[0].length(axis) if found.slabs else length
    return best


def _until(found: March, axis: int, high: float) -> str:
    """What a march that did not reach the end holds there."""
    reached = float(found.slabs[-1].space.cells.box[1][axis]) if found.slabs else high
    return "" if reached >= high else f"; beyond {reached:.4g} the last values are repeated"


class _Watch:
    """Follows a march: records, the clock, and whether the carried error has left the tolerance for good."""

    def __init__(self, work: Work, axis: int, tolerance: float, number: int, last: bool):
        self.work, self.axis, self.tolerance, self.number, self.last = work, axis, tolerance, number, last
        self.march: March | None = None
        self.errors: list[tuple[float, float]] = []  # (time, error so far)

    def before(self, march: March) -> str | None:
        """Before a slab is solved: the status that ends the march, or None."""
        self.march = march
        return "time_limit" if self.work.clock.expired() else None

    def __call__(self, march: March, time: float) -> bool:
        low, high = self.work.problem.intervals[self.axis]
        done = (time - low) / (high - low)
        seconds = self.work.clock.seconds()
        slab = march.slabs[-1]
        self.work.record(
            f"march {self.number + 1}", len(march.slabs), slab.loss, slab.terms,
            **slab.rank, time_left=seconds * (1 - done) / done if self.number == 0 else None,
        )  # fmt: skip
        self.errors.append((time, self.error(march)))
        # of a linear problem, errors are what their linearization says, however large
        return self.last or self.work.problem.linear or self.errors[-1][1] < max(LOST, 100 * self.tolerance)

    def foreseen(self, march: March) -> float:
        """The error at the end: as it is, or growing on at the rate of the second half of what was marched."""
        if march.status == "finished":
            return self.error(march)
        time, error = self.errors[-1]
        low, high = self.work.problem.intervals[self.axis]
        middle, then = min(self.errors, key=lambda pair: abs(pair[0] - 0.5 * (low + time)))
        rate = max(math.log(error / then), 0.0) / max(time - middle, 1e-12 * (high - low)) if then > 0 else 0.0
        return error * math.exp(min(rate * (high - time), 10.0))

    def error(self, march: March) -> float:
        """The estimated relative error over the whole time, from the slabs so far."""
        volume = torch.stack([slab.space.cells.volume.sum() for slab in march.slabs])
        error = torch.sqrt((torch.stack([s.error for s in march.slabs]) ** 2 * volume[:, None]).sum(dim=0))
        size = torch.sqrt((torch.stack([s.size for s in march.slabs]) ** 2 * volume[:, None]).sum(dim=0))
        return float((error / units(size, error)).max())


def _march_result(work: Work, axis: int, degrees, found: March) -> Result:
    problem, slabs = work.problem, found.slabs
    cells = joined([s.space.cells for s in slabs])
    c = torch.cat([s.c for s in slabs])
    high = problem.intervals[axis][1]
    reached = float(cells.upper[:, axis].max())
    complete = reached >= high - 1e-9 * (high - problem.intervals[axis][0])
    if not complete:
        beyond, more = _prolonged(slabs[-1], degrees, axis, high)
        cells, c = joined([cells, beyond]), torch.cat([c, more])
    basis = PouCells(cells, degrees, work.lower, work.upper, len(slabs))
    state = State(c.transpose(0, 1).reshape(len(problem.unknowns), -1), torch.zeros(0, dtype=c.dtype))
    volume = torch.stack([s.space.cells.volume.sum() for s in slabs])[:, None]
    error = torch.sqrt((torch.stack([s.error for s in slabs]) ** 2 * volume).sum(dim=0))
    size = torch.sqrt((torch.stack([s.size for s in slabs]) ** 2 * volume).sum(dim=0))
    relative = error / units(size, error)
    if not complete:
        relative = torch.ones_like(relative)  # what lies beyond is not known at all
    points: dict[str, int] = {}
    for slab in slabs:
        for name, count in slab.points.items():
            points[name] = points.get(name, 0) + count
    estimate = Estimate(dict(zip(problem.unknowns, relative.tolist(), strict=True)), {}, max(s.left for s in slabs))
    return Result(
        Approximation(basis, state), None, estimate, "finished", "",
        "time slabs, least_squares", points, slabs[0].weights,
    )  # fmt: skip


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
