"""Inverse problems on cells, from a problem to a result: the best of its starts, refined, with what noise leaves
open."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

import torch
from torch import Tensor

from pinnsolve import defaults
from pinnsolve.adapt.context import Result, SolveContext
from pinnsolve.assembly.linear_system import Bounds
from pinnsolve.assembly.measurements import Measurements
from pinnsolve.assembly.row_source import State
from pinnsolve.bases.piecewise.space import Space
from pinnsolve.compiler.terms import CompiledProblem, Regularization
from pinnsolve.estimate.enriched_space import enriched_space
from pinnsolve.inverse.all_at_once import levels
from pinnsolve.inverse.discovery import discovered
from pinnsolve.inverse.fit import LIGHT, Answer, is_explained
from pinnsolve.inverse.layer_answer import LayersFound, function_of_layers, graded, on_space, whole_answer
from pinnsolve.inverse.layer_search import LayerSearch
from pinnsolve.inverse.reduced_space import steps
from pinnsolve.inverse.regularization_choice import FIRST_WEIGHT, Smoothness
from pinnsolve.inverse.report import result_of, with_discovered
from pinnsolve.inverse.sensitivities import Marches, marching_axis
from pinnsolve.inverse.statement import InverseProblem, leaves_start_open
from pinnsolve.problem.problem import Problem
from pinnsolve.problem.rough_functions import RoughFunction
from pinnsolve.runtime import bytes_available, random_tensor
from pinnsolve.solvers.follow import Outcome, follow, out_of_time
from pinnsolve.solvers.memory import check_work

SEMINORM = 3  # of unknowns of which the file says nothing
MOST_OPERATIONS = 5e11  # of a factorization that is worth it without a time limit
FIRST_LEVELS = 3  # after which starts are compared
SMALL_REFINED, SMALL_OPERATIONS = 1, 1e8  # of problems that are solved all at once before a march would be
FALLBACK_OPERATIONS = 1e10  # of a factorization that is worth it where marches do not explain the data


def inverse_on_cells(
    context: SolveContext, tolerance: float, refinements: int | None, starts: int = 1
) -> Outcome[Result]:
    """The result on cells, from the best of so many `starts`, and how the way there ended."""
    weights = context.weights_at(defaults.widths(context.dimension)[0]) or {}
    with torch.no_grad():
        statement = InverseProblem(
            context.problem, weights, Measurements.of(context.problem), Bounds.of(context.problem),
            tuple(smoothness_of(context.problem)), check=context.clock.check,
        )  # fmt: skip
        if context.problem.candidates or context.problem.state_functions:
            return _by_discovery(context, statement, tolerance, refinements)
        axis, guesses = marching_axis(statement), _starts(statement, starts, context.seed)
        if axis is None:
            found = _at_once(context, statement, tolerance, refinements, guesses)
        else:
            found = _by_marches(context, statement, axis, tolerance, refinements, guesses)
        if found.best is None:
            return found
        return replace(found, best=result_of(context, statement, found.best, tolerance))


def smoothness_of(problem: CompiledProblem) -> list[Smoothness]:
    """What the file says of the smoothness of unknowns, and the default of those that it leaves out.

    None is needed where no function is left to data alone: where there are as many equations as unknowns, the start is
    given, and the file says nothing.
    """
    equations = sum(len(t.residuals) for t in problem.terms if t.kind == "equation")
    asked = {r.unknown: r for r in problem.regularization if r.unknown in problem.unknowns}
    if not asked and equations >= len(problem.unknowns) and not leaves_start_open(problem):
        return []
    result = []
    for i, name in enumerate(problem.unknowns):
        one = asked.get(name, Regularization(name, SEMINORM, "auto"))
        if isinstance(one.weight, str):
            result.append(Smoothness(i, one.order, FIRST_WEIGHT, "likelihood" if one.weight == "auto" else one.weight))
        else:
            result.append(Smoothness(i, one.order, one.weight, None))
    return result


def _best_start(context: SolveContext, statement: InverseProblem, tolerance: float, starts: Sequence[Tensor]) -> Tensor:
    """The values from which the data are met best after a few levels."""
    best, least = statement.guess, math.inf
    for start in starts if len(starts) > 1 else ():
        first = itertools.islice(levels(replace(statement, start=start), tolerance), FIRST_LEVELS)
        found = follow(first, context.clock, lambda answer: 0.0).raised("interrupted", "no_memory")  # the last of them
        if found.status == "finished" and found.best.fit.noise < least and not context.clock.expired():
            best, least = start, found.best.fit.noise
    return best


def _starts(statement: InverseProblem, count: int, seed: int) -> list[Tensor]:
    """The guess, and others at random: within the bounds, or where there are none, one decade up or down."""
    generator = torch.Generator().manual_seed(seed)
    guess, bounds = statement.guess, statement.bounds
    result = [guess]
    while len(guess) and len(result) < count:
        random = random_tensor(torch.rand, len(guess), generator=generator, dtype=torch.float64)
        inside = bounds.low + random * (bounds.high - bounds.low)
        result.append(torch.where(inside.isfinite(), inside, guess * 10.0 ** (2.0 * random - 1.0)))
    return result


def _follow(
    context: SolveContext, answers: Iterator[Answer], tolerance: float, rank: Callable[[Answer], float],
    regularized: bool = False,
) -> Outcome[Answer]:  # fmt: skip
    """Takes answers until one is good enough or the time is up; the best has the smallest `rank`."""
    names, number = [p.name for p in context.problem.unknown_parameters], itertools.count()

    def told(answers: Iterator[Answer]) -> Iterator[Answer | Outcome]:
        for answer in answers:
            found = dict(zip(names, answer.parameters.tolist(), strict=True))
            more = {"parameters": found, "estimate": max(answer.worst, answer.parameters_off), **answer.rank}
            context.record(answer.phase, next(number), answer.loss, answer.terms, **more)
            yield answer
            if context.clock.expired():
                break
        if context.clock.expired():
            yield out_of_time(context.clock)

    def order(answer: Answer) -> tuple[bool, float]:
        return not answer.finished(tolerance, regularized), rank(answer)

    return follow(told(answers), context.clock, order, lambda answer: answer.finished(tolerance, regularized))


# -- all of space and time at once ----------------------------------------------------------------------------------


def _at_once(
    context: SolveContext,
    statement: InverseProblem,
    tolerance: float,
    refinements: int | None,
    starts: Sequence[Tensor],
    operations: float | None = None,
) -> Outcome[Answer]:
    """Levels over all of space and time from the best start, with factorizations of so many `operations` at most."""
    statement = replace(statement, start=_best_start(context, statement, tolerance, starts))
    check = _work_check(context, statement, operations)
    found = itertools.islice(levels(statement, tolerance, check), None if refinements is None else refinements + 1)
    return _follow(context, found, tolerance, _rank, bool(statement.smoothness))


def _work_check(
    context: SolveContext, statement: InverseProblem, operations: float | None = None
) -> Callable[[Space], None]:
    """What raises ResourceError for a space whose least squares, and that of its error, are too much work."""

    def check(space: Space) -> None:
        limit = operations or (MOST_OPERATIONS if context.clock.limit is None else math.inf)
        check_work(statement.system(enriched_space(space)), bytes_available(context.memory_gb), limit)

    return check


def _by_discovery(
    context: SolveContext, statement: InverseProblem, tolerance: float, refinements: int | None
) -> Outcome[Result]:
    """The terms that equations have, first, and then the solution with these, all of space and time at once."""
    check = _work_check(context, statement)
    first = follow((discovered(statement, tolerance, check) for _ in range(1)), context.clock, lambda found: 0.0)
    if first.best is None:
        return first
    found = first.best
    context = replace(context, problem=found.statement.problem)
    answers = levels(found.statement, tolerance, _work_check(context, found.statement), found.begun)
    answers = itertools.islice(answers, None if refinements is None else refinements + 1)
    outcome = _follow(context, answers, tolerance, _rank, bool(statement.smoothness))
    if outcome.best is None:
        return outcome
    result = result_of(context, found.statement, outcome.best, tolerance)
    return replace(outcome, best=with_discovered(result, context.problem, found.dropped))


def layers_on_cells(
    stated: Problem, rough: RoughFunction, context: SolveContext, tolerance: float, refinements: int | None
) -> Outcome[Result]:
    """The result of a problem with a function of small total variation: its layers first, then all else as usual."""
    weights = context.weights_at(defaults.widths(context.dimension)[0]) or {}

    def work_check(statement: InverseProblem) -> Callable[[Space], None]:
        return _work_check(context, statement)

    with torch.no_grad():
        search = LayerSearch(stated, rough, weights, tolerance, context.clock.check, work_check)
        first = follow((search.found() for _ in range(1)), context.clock, lambda found: 0.0)
        if first.best is None:
            return first
        found = LayersFound.of(rough, first.best, context.problem.unknowns)
        fit = first.best.fit
        axis = fit.statement.problem.coordinates.index(rough.coordinate)
        begun = fit.answer.space, State(fit.answer.c, fit.answer.parameters)
        answers = levels(fit.statement, tolerance, work_check(fit.statement), begun)
        answers = itertools.islice(answers, None if refinements is None else refinements + 1)
        outcome = _follow(replace(context, problem=fit.statement.problem), answers, tolerance, _rank)
        if outcome.best is None:
            return outcome
        answer = on_space(outcome.best, graded(outcome.best.space, found, axis))
        statement, answer = whole_answer(fit.statement, answer, found)
        context = replace(context, problem=statement.problem)
        result = result_of(context, statement, answer, tolerance)
        result = with_discovered(result, statement.problem, ())
        entry = function_of_layers(found, statement, answer)
        return replace(outcome, best=replace(result, inverse={**result.inverse, "functions": {rough.name: entry}}))


def _rank(answer: Answer) -> float:
    """How far from right a level may be: the larger of its errors, each relative."""
    noise = answer.fit.noise if answer.fit.weight > LIGHT else 0.0  # which the solution still follows
    return max(answer.worst, answer.parameters_off, noise)


# -- marches --------------------------------------------------------------------------------------------------------


def _by_marches(
    context: SolveContext,
    statement: InverseProblem,
    axis: int,
    tolerance: float,
    refinements: int | None,
    starts: Sequence[Tensor],
) -> Outcome[Answer]:
    """Gauss-Newton over the parameters of a march; where it does not explain the data, all of space and time at once,
    and then again from the parameters found there.

    Small problems need neither: their first levels are good enough.
    """

    def good(one: Outcome[Answer]) -> bool:
        found = one.best
        return found is not None and found.converged and is_explained(found, statement.measurements, tolerance)

    few = SMALL_REFINED if refinements is None else min(SMALL_REFINED, refinements)
    small = _at_once(context, statement, tolerance, few, starts[:1], SMALL_OPERATIONS)
    if small.ends_all or (good(small) and small.best.finished(tolerance)):
        return small
    guesses = [] if small.best is None else [small.best.parameters]
    marched = _marched(context, statement, axis, tolerance, refinements, [*starts, *guesses])
    if good(marched):
        return marched
    if marched.ends_all:
        return _least(small, marched)
    operations = None if marched.best is None else FALLBACK_OPERATIONS
    whole = _at_once(context, statement, tolerance, refinements, starts, operations)
    if whole.ends_all or whole.best is None:
        return _least(whole, marched)
    again = _marched(context, statement, axis, tolerance, refinements, [whole.best.parameters])
    return again if good(again) else _least(whole, marched, again)


def _marched(
    context: SolveContext, statement: InverseProblem, axis: int, tolerance: float, refinements, guesses
) -> Outcome[Answer]:
    found = steps(_marches(context, statement, axis), guesses, tolerance, refinements)
    return _follow(context, found, tolerance, lambda answer: 0.0)  # from step to step the data's residual falls


def _marches(context: SolveContext, statement: InverseProblem, axis: int) -> Marches:
    return Marches(statement, axis, bytes_available(context.memory_gb), context.clock)


def _least(*found: Outcome[Answer]) -> Outcome[Answer]:
    """The one that leaves least of the data; those that still follow their noise come last."""

    def order(one: Outcome[Answer]) -> tuple[bool, bool, float]:
        answer = one.best
        return answer is None, answer is not None and answer.fit.weight > LIGHT, answer.fit.spread if answer else 0.0

    best = min(found, key=order)
    ended = next((one for one in found if one.ends_all), best)
    return replace(ended, best=best.best)
