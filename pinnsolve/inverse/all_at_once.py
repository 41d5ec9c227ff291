"""Inverse problems on cells: coefficients and unknown parameters from equations, conditions and data together.

All of space and time is one least squares (data may say something of any time), refined from level to level as forward
problems are. On the first level the weight of the data falls from that of the equations to far below it: so the first
answer follows the data, and the last the equations (parameter cascading: Ramsay, Hooker, Campbell & Cao, J. R. Stat.
Soc. B 69 (2007) 741-796).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial

import torch
from torch import Tensor

from pinnsolve.adapt.hp_refinement import Level, carried_over, without_constants
from pinnsolve.adapt.next_space import next_space
from pinnsolve.assembly.linear_system import Bounds
from pinnsolve.assembly.measurements import WEIGHT
from pinnsolve.assembly.row_source import State
from pinnsolve.assembly.schur_complement import products
from pinnsolve.assembly.system import points_of, shared, weights_of
from pinnsolve.bases.piecewise.space import Space
from pinnsolve.estimate.enriched_space import Correction, correct, enriched_space
from pinnsolve.inverse.fit import Answer, Fit, fit_of, residuals_of
from pinnsolve.inverse.open_starts import RESOLVED, OpenStart, loosely
from pinnsolve.inverse.regularization_choice import chosen
from pinnsolve.inverse.statement import InverseProblem, data_rows, first_fit, leaves_start_open
from pinnsolve.inverse.uncertainty import drawn
from pinnsolve.runtime import go_on
from pinnsolve.solvers.follow import unless_late
from pinnsolve.solvers.gauss_newton import Iterate, Iteration, gauss_newton

# weights of the data before functions are found that only data determine, and steps with each of them
CASCADE, FEW_STEPS = (1.0, 0.3, 0.1, 0.03, 0.01, 3e-3, 1e-3), 4
LATE_STEPS = 1  # of a first level that begins when the time is up
LOOSE = 0.03  # of the error of the level before is how well the next is solved
MOST_LEVELS = 30
RIPE, ANEW = 0.05, 0.03  # estimated error at which cells are made anew, and by how much they are to be better
FLOOR = 5.0  # times what equations miss by is what the weight of the data is above the residual of the data
MOST_ANEW, FEW = 2.5, 2000  # times the coefficients of the level before, or so many, are spent on new cells
MOVED = 0.2  # relative change of a parameter since cells were made anew after which they are so again
# coefficients up to which weights are chosen anew, and how well these are solved: criteria of neighbouring weights are
# often a thousandth apart
MOST_CHOSEN, ROUGH = 2000, 1e-4
STUCK = 3  # levels on new cells, of which the last must be better than half of the one before the last


def solving(accuracy: float) -> Iteration:
    """How Gauss-Newton goes on: steps must lower the loss, and may lower it after the coefficients were corrected."""
    return Iteration(accuracy, rise=1 + 1e-9, corrections=2)


def cascade(statement: InverseProblem, space: Space, start: State) -> tuple[InverseProblem, State]:
    """The state on this space as the data's weight falls, as far as these cells let the equations hold.

    Before weights of smoothness are chosen, starts that are left open are smoother than they may be: noise that has
    faded with time is followed at the start by what these cells cannot hold, and equations would seem not to hold.
    """
    state, last = start, statement.measurements.weight
    open_start = leaves_start_open(statement.problem)
    for weight in [w for w in CASCADE if w <= last]:
        trial = statement.with_weight(weight)
        system = (trial.smoother() if open_start else trial).system(space).scaled_at(state)
        few_steps = partial(gauss_newton, system, state, replace(solving(LOOSE), most=FEW_STEPS), statement.bounds)
        found = unless_late(few_steps, lambda: None)
        if found is None:  # the level is solved from where this has come
            break
        if FLOOR * floor_of(trial, found) > weight < CASCADE[0]:  # the equations can be met no better
            break
        state, statement = found.state, trial
    return statement, state


def floor_of(statement: InverseProblem, found: Iterate) -> float:
    """The rms residual of equations over that of the data, both in the unit of the unknowns."""
    squares: dict[str, float] = {}
    for source, block in zip(found.system.sources, found.rows, strict=True):
        squares[source.kind] = squares.get(source.kind, 0.0) + block.loss
    noise = squares.pop("data", 0.0)
    squares.pop("regularization", None)
    return math.sqrt(sum(squares.values()) / max(noise, 1e-300)) * statement.measurements.weight


# -- levels -------------------------------------------------------------------------------------------------------


def solve_inverse_level(
    statement: InverseProblem,
    space: Space,
    start: State,
    accuracy: float,
    most: int = Iteration.most,
    checked: InverseProblem | None = None,
) -> tuple[Level, Iterate]:
    """Gauss-Newton on one space, with so many steps at most, and the correction of what it gives; with the iterate that
    statistics need.

    Where there must be an answer, whose work no time limit ends, its correction keeps to the limit of `checked`:
    without one, all of the answer may be wrong.
    """
    system = statement.system(space).scaled_at(start)
    bounds = Bounds.held(start.parameters) if statement.held else statement.bounds
    found = gauss_newton(system, start, replace(solving(accuracy), most=most), bounds)
    if most > LATE_STEPS or found.reduced is None:  # else the factorization of the last step is near enough
        found = found.linearized()
    c = found.state.coefficients
    size = shared(space.rms(without_constants(c, space, statement.problem)), statement.problem.groups)

    def corrected() -> tuple[Correction, Tensor, Tensor]:
        correction, lacking = _correct(checked or statement, space, found)
        fine = correction.space
        error = correction.enlargement * fine.rms(without_constants(correction.delta, fine, statement.problem))
        return correction, lacking, error

    if checked is None:  # there is an answer before
        correction, lacking, error = corrected()
    else:
        correction, lacking, error = unless_late(corrected, lambda: (_unknown(space, found), torch.zeros_like(c), size))
    level = Level(
        space, c, replace(correction, delta=lacking), error, size, found.converged, found.steps, found.loss,
        found.terms, found.system, found.reduced.rank_info(), False,
    )  # fmt: skip
    return level, found


def _data_moved(statement: InverseProblem, correction: Correction) -> float:
    """The rms change of the data's residuals by the correction, in standard deviations."""
    measurements = statement.measurements
    moves = sum(
        float(((a.r - b.r) ** 2).sum())
        for a, b in zip(correction.rows, correction.first, strict=True)
        if a.name in measurements.names
    )
    return math.sqrt(moves / measurements.count) / measurements.unit


def _correct(statement: InverseProblem, space: Space, found: Iterate) -> tuple[Correction, Tensor]:
    """The correction in higher degrees, and what cells lack (C, U, n) with the parameters held: moving those changes
    the solution everywhere.

    What is left of the residual is that of equations and conditions; as far as noise causes it, nothing is left over.
    """
    fine = enriched_space(space)
    start = State(space.widened(found.state.coefficients, fine), found.state.parameters)
    system = statement.system(fine).scaled_at(start).reweighed(start)
    bounds = Bounds.held(start.parameters) if statement.held else statement.bounds
    correction = correct(system, start, bounds=bounds)
    lacking = correction.reduced.coefficients(correction.first)
    names = statement.measurements.names
    before, after = (
        math.sqrt(sum(block.loss for block in rows if block.name not in names))
        for rows in (correction.first, correction.rows)
    )
    noise = math.sqrt(sum(block.loss for block in correction.rows if block.name in names))
    left = 0.0 if after <= statement.measurements.weight * noise else after / max(before, 1e-300)
    return replace(correction, left=left), lacking


def _unknown(space: Space, found: Iterate) -> Correction:
    """The correction of an answer of which there is no time to find one: nothing, but parameters may be all wrong."""
    state = found.state
    nothing = torch.zeros_like(state.coefficients)
    return Correction(space, state, nothing, state.parameters, 1.0, found.rows, found.rows, found.reduced)


def answer_of(statement: InverseProblem, now: Level, found: Iterate, number: int) -> Answer:
    """What a level says."""
    space, reduced, correction = now.space, found.reduced, now.correction
    missing = correction.enlargement * (correction.c - space.widened(now.c, correction.space))
    data = data_rows(now.system)
    sensitivity = reduced.sensitivity()
    return Answer(
        space=space,
        c=now.c,
        error=now.error,
        size=now.size,
        parameters=found.state.parameters,
        parameter_error=now.correction.moved.abs(),
        fit=_fit(statement, found),
        smoothness=statement.smoothness,
        data=data,
        data_moved=_data_moved(statement, now.correction),
        residuals=lambda: residuals_of(statement.problem, data, found.state),
        left=now.correction.left,
        sensitivity=sensitivity,
        drawn=lambda seed: _drawn(statement, now, found, seed),
        converged=now.converged,
        loss=now.loss,
        terms=now.terms,
        rank=now.rank,
        points=points_of(now.system),
        weights=weights_of(now.system),
        method="least_squares over coefficients and parameters" if len(sensitivity) else "least_squares",
        phase=f"level {number}: {space.cells.count} cells",
        discretization=(correction.space, missing),
    )


def _drawn(statement: InverseProblem, now: Level, found: Iterate, seed: int) -> tuple[Tensor, float]:
    """The `drawn` of an answer."""
    functions, freedom = drawn(now.system, found.reduced, statement.measurements.unit, seed)
    if any(one.least is not None for one in statement.smoothness):
        functions = loosely(statement, now.space, found.state, seed)
    return functions, freedom


def _fit(statement: InverseProblem, found: Iterate) -> Fit:
    measurements, unit = statement.measurements, statement.measurements.unit
    measured = [block.name in measurements.names for block in found.rows]
    noise = sum(block.loss for block in found.rows if block.name in measurements.names)
    Q, S = found.reduced.Q, found.reduced.S
    information = products(Q, Q, measured) / unit**2 if Q else S
    prior = statement.prior if statement.loose is None else statement.loose
    prior = None if prior is None else prior.T @ prior
    fit = fit_of(measurements, statement.bounds, noise / unit**2, information, prior)
    whole = torch.diagonal(S) / unit**2
    # constants of functions are as many as cells can tell apart, and some always more than the data can
    named = [not p.function for p in statement.problem.unknown_parameters]
    shares = (torch.diagonal(information) / whole.clamp_min(1e-300))[named]
    share = float(shares.min()) if len(shares) else 1.0
    return replace(fit, share=share, floor=floor_of(statement, found))


def levels(
    statement: InverseProblem,
    tolerance: float,
    check: Callable[[Space], None] = lambda space: None,
    begun: tuple[Space, State] | None = None,
) -> Iterator[Answer]:
    """Levels of refinement until errors of discretization are below the tolerance, or far below what noise causes.

    Until parameters are nearly right, the data count as much as the equations; then cells are made anew. Where the way
    is `begun`, on cells that are good enough for a state that is nearly right, it goes on from there.
    """
    if begun is None:
        space = statement.first_space()
        state, rebuilt_at = State(first_fit(statement, space), statement.guess), None
        statement = statement.with_weight(1.0)
    else:
        space, state = begun
        rebuilt_at = state.parameters
    before, heaviest = 1.0, 1.0 if begun is None else max(statement.measurements.weight, WEIGHT)
    opened = OpenStart.of(statement)
    for number in range(MOST_LEVELS):
        check(space)
        if statement.smoothness and statement.measurements.weight > WEIGHT:
            statement, state = cascade(statement, space, state)
        few = state.coefficients.numel() <= MOST_CHOSEN
        if few and opened.tells_weights(statement, space) and statement.measurements.weight <= RESOLVED:
            statement = choose(statement, space, state)
        # without any answer the first level is solved, however long it takes
        solvable, most = (statement, Iteration.most) if number else _at_any_time(statement)
        checked = None if number else statement
        now, found = solve_inverse_level(solvable, space, state, max(0.03 * tolerance, LOOSE * before), most, checked)
        answer = answer_of(statement, now, found, number)
        answer, richer = opened.judged(statement, answer, tolerance)
        yield answer
        fit = answer.fit
        before = now.worst
        parameters = found.state.parameters
        if answer.finished(tolerance, bool(statement.smoothness)):
            return
        if rebuilt_at is not None:  # so far the cells have been made for these parameters
            statement = statement.with_weight(min(max(FLOOR * fit.floor, WEIGHT), heaviest))
        anew = begun is None and not statement.smoothness and now.worst < RIPE
        if anew and (rebuilt_at is None or _changed(parameters, rebuilt_at)):
            rebuilt_at = parameters
            target = max(0.1 * tolerance, ANEW * now.worst, fit.visible)
            fresh, found = rebuilt(statement, now, parameters, target)
            space, state, before = fresh.space, found.state, fresh.worst
            floor = floor_of(statement.with_weight(WEIGHT), found)
            statement = statement.with_weight(min(max(FLOOR * floor, WEIGHT), 1.0))
            continue
        if richer is not None and replace(answer, settled=True).finished(tolerance, True):
            space, state = richer, State(space.widened(now.c, richer), parameters)
            continue
        space = next_space(now, min(tolerance, 0.5 * now.worst))
        state = State(carried_over(now, space), parameters)


def _at_any_time(statement: InverseProblem) -> tuple[InverseProblem, int]:
    """The statement for a level that no time limit ends, and how many steps it may take: few when the time is up."""

    def in_time() -> bool:
        statement.check()
        return True

    most = Iteration.most if unless_late(in_time, lambda: False) else LATE_STEPS
    return replace(statement, check=go_on), most


def choose(statement: InverseProblem, space: Space, state: State) -> InverseProblem:
    """With the weights of the smoothness that the data choose, on this space."""

    def solved(smoothness, before: Iterate | None) -> Iterate:
        system = replace(statement, smoothness=tuple(smoothness)).system(space)
        start = state if before is None else before.state
        system = system.scaled_at(start)
        return gauss_newton(system, start, solving(ROUGH), statement.bounds).linearized()

    open_start = leaves_start_open(statement.problem)
    found = unless_late(
        lambda: chosen(statement.smoothness, solved, statement.measurements.unit, open_start),
        lambda: statement.smoothness,
    )
    return replace(statement, smoothness=found)


def _changed(parameters: Tensor, before: Tensor) -> bool:
    return bool(((parameters - before).abs() > MOVED * parameters.abs()).any())


def rebuilt(statement: InverseProblem, level: Level, parameters: Tensor, target: float) -> tuple[Level, Iterate]:
    """The level on cells for the solution at parameters that are nearly right: from one cell on, with the parameters
    held.

    While parameters were wrong, equations and data disagreed, which split cells that the solution does not need.
    """
    held = replace(statement.with_weight(WEIGHT), held=True)
    space, zero, old = statement.first_space(), (0,) * len(level.space.degrees), level
    most = max(MOST_ANEW * level.c.numel(), FEW)
    state = State(space.project(lambda x: old.space.values(old.c, x, zero), level.c.shape[1]), parameters)
    errors: list[float] = []
    while True:
        level, found = solve_inverse_level(held, space, state, max(0.03 * target, LOOSE * level.worst))
        errors.append(level.worst)
        stuck = len(errors) > STUCK and min(errors) < RIPE and errors[-1] > 0.5 * errors[-3]
        if level.worst <= target or stuck or level.c.numel() > most:
            return level, found
        space = next_space(level, target)
        state = State(carried_over(level, space), parameters)
