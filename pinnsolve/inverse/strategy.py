"""Inverse problems on cells, from a problem to a result: the best of its starts, refined, with what noise leaves
open."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from pinnsolve import defaults
from pinnsolve.adapt.context import Result, Work
from pinnsolve.assembly.linear_system import Bounds
from pinnsolve.assembly.measurements import Measurements
from pinnsolve.bases.piecewise.space import Space
from pinnsolve.compiler.terms import CompiledProblem, Regularization
from pinnsolve.errors import ResourceError
from pinnsolve.estimate.enriched_space import enriched_space
from pinnsolve.inverse.all_at_once import levels
from pinnsolve.inverse.fit import LIGHT, Answer, is_explained
from pinnsolve.inverse.reduced_space import steps
from pinnsolve.inverse.regularization_choice import FIRST_WEIGHT, Smoothness
from pinnsolve.inverse.report import result_of
from pinnsolve.inverse.sensitivities import Marches, marching_axis
from pinnsolve.inverse.statement import InverseProblem
from pinnsolve.runtime import threads_for
from pinnsolve.solvers.budget import INTERRUPTED
from pinnsolve.solvers.memory import bytes_available, check_work

SEMINORM = 3  # of unknowns of which the file says nothing
MOST_OPERATIONS = 5e11  # of a factorization that is worth it without a time limit
FIRST_LEVELS = 3  # after which starts are compared
SMALL_REFINED, SMALL_OPERATIONS = 1, 1e8  # of problems that are solved all at once before a march would be
FALLBACK_OPERATIONS = 1e10  # of a factorization that is worth it where marches do not explain the data


def is_inverse(work: Work) -> bool:
    """Tell whether parameters are unknown or values were measured."""
    return work.measured or bool(work.problem.unknown_parameters)


def inverse_on_cells(work: Work, tolerance: float, refinements: int | None, starts: int = 1) -> Result | None:
    """The result on cells, from the best of so many `starts`; None where nothing was computed."""
    weights = work.weights_at(defaults.widths(work.dimension)[0]) or {}
    with torch.no_grad(), threads_for(1):
        statement = InverseProblem(
            work.problem, weights, Measurements.of(work.problem), Bounds.of(work.problem), work.floating,
            tuple(smoothness_of(work.problem)),
        )  # fmt: skip
        axis, guesses = marching_axis(statement), _starts(statement, starts, work.seed)
        if axis is None:
            found = _at_once(work, statement, tolerance, refinements, guesses)
        else:
            found = _by_marches(work, statement, axis, tolerance, refinements, guesses)
        if found.answer is None and found.status == "interrupted":
            raise KeyboardInterrupt
        if found.answer is None:
            return None
        work.best = replace(result_of(work, statement, found.answer, tolerance), status=found.status)
        return replace(work.best, message=found.message or work.best.message)


def smoothness_of(problem: CompiledProblem) -> list[Smoothness]:
    """What the file says of the smoothness of unknowns, and the default of those that it leaves out.

    None is needed where no unknown is left to data alone: where there are as many equations as unknowns, and the file
    says nothing.
    """
    equations = sum(len(t.residuals) for t in problem.terms if t.kind == "equation")
    if not problem.regularization and equations >= len(problem.unknowns):
        return []
    asked = {r.unknown: r for r in problem.regularization}
    result = []
    for i, name in enumerate(problem.unknowns):
        one = asked.get(name, Regularization(name, SEMINORM, "auto"))
        if isinstance(one.weight, str):
            result.append(Smoothness(i, one.order, FIRST_WEIGHT, "gcv" if one.weight == "auto" else one.weight))
        else:
            result.append(Smoothness(i, one.order, one.weight, None))
    return result


def _best_start(work: Work, statement: InverseProblem, tolerance: float, starts: Sequence[Tensor]) -> Tensor:
    """The values from which the data are met best after a few levels."""
    best, least = statement.guess, math.inf
    for start in starts if len(starts) > 1 else ():
        try:
            *_, answer = itertools.islice(levels(replace(statement, start=start), tolerance), FIRST_LEVELS)
        except ArithmeticError:
            continue
        if answer.fit.noise < least and not work.clock.expired():
            best, least = start, answer.fit.noise
    return best


def _starts(statement: InverseProblem, count: int, seed: int) -> list[Tensor]:
    """The guess, and others at random: within the bounds, or where there are none, one decade up or down."""
    generator = torch.Generator().manual_seed(seed)
    guess, bounds = statement.guess, statement.bounds
    result = [guess]
    while len(guess) and len(result) < count:
        random = torch.rand(len(guess), generator=generator, dtype=torch.float64)
        inside = bounds.low + random * (bounds.high - bounds.low)
        result.append(torch.where(inside.isfinite(), inside, guess * 10.0 ** (2.0 * random - 1.0)))
    return result


@dataclass(frozen=True)
class _Followed:
    """The best of the answers that came, and how it ended."""

    answer: Answer | None
    status: str = "finished"
    message: str = ""


def _follow(
    work: Work, answers: Iterator[Answer], tolerance: float, most: int | None, rank: Callable[[Answer], float],
    regularized: bool = False,
) -> _Followed:  # fmt: skip
    """Takes answers, `most` of them, until one is good enough; the best has the smallest `rank`."""
    best: Answer | None = None
    status, message, done = "finished", "", False
    names = [p.name for p in work.problem.unknown_parameters]
    try:
        for number, answer in enumerate(answers):
            found = dict(zip(names, answer.parameters.tolist(), strict=True))
            work.record(answer.phase, number, answer.loss, answer.terms, parameters=found, **answer.rank)
            done = answer.finished(tolerance, regularized)
            if best is None or done or rank(answer) <= rank(best):
                best = answer
            if done or number + 1 == most:
                break
            if work.clock.expired():
                break
    except ResourceError as error:
        message = str(error)
    except ArithmeticError as error:
        message = f"{error}; the best answer before is kept"
    except KeyboardInterrupt:
        status, message = "interrupted", INTERRUPTED
    if status == "finished" and not done and work.clock.expired():
        status, message = "time_limit", work.clock.message()
    return _Followed(best, status, message)


# -- all of space and time at once ----------------------------------------------------------------------------------


def _at_once(
    work: Work, statement: InverseProblem, tolerance: float, refinements: int | None, starts: Sequence[Tensor],
    operations: float | None = None,
) -> _Followed:  # fmt: skip
    """Levels over all of space and time from the best start, with factorizations of so many `operations` at most."""
    statement = replace(statement, start=_best_start(work, statement, tolerance, starts))

    def check(space: Space) -> None:
        limit = operations or (MOST_OPERATIONS if work.clock.limit is None else math.inf)
        check_work(statement.system(enriched_space(space)), bytes_available(work.memory_gb), limit)

    found = levels(statement, tolerance, check)
    most = None if refinements is None else refinements + 1
    return _follow(work, found, tolerance, most, _rank, bool(statement.smoothness))


def _rank(answer: Answer) -> float:
    """How far from right a level may be: the larger of its errors, each relative."""
    noise = answer.fit.noise if answer.fit.weight > LIGHT else 0.0  # which the solution still follows
    return max(answer.worst, answer.parameters_off, noise)


# -- marches --------------------------------------------------------------------------------------------------------


def _by_marches(
    work: Work,
    statement: InverseProblem,
    axis: int,
    tolerance: float,
    refinements: int | None,
    starts: Sequence[Tensor],
) -> _Followed:
    """Gauss-Newton over the parameters of a march; where it does not explain the data, all of space and time at once,
    and then again from the parameters found there.

    Small problems need neither: their first levels are good enough.
    """

    def good(one: _Followed) -> bool:
        found = one.answer
        return found is not None and found.converged and is_explained(found, statement.measurements, tolerance)

    few = SMALL_REFINED if refinements is None else min(SMALL_REFINED, refinements)
    small = _at_once(work, statement, tolerance, few, starts[:1], SMALL_OPERATIONS)
    if small.status != "finished" or (good(small) and small.answer.finished(tolerance)):
        return small
    guesses = [] if small.answer is None else [small.answer.parameters]
    marched = _marched(work, statement, axis, tolerance, refinements, [*starts, *guesses])
    if good(marched):
        return marched
    if marched.status != "finished":
        return _least(small, marched)
    operations = None if marched.answer is None else FALLBACK_OPERATIONS
    whole = _at_once(work, statement, tolerance, refinements, starts, operations)
    if whole.status != "finished" or whole.answer is None:
        return _least(whole, marched)
    again = _marched(work, statement, axis, tolerance, refinements, [whole.answer.parameters])
    return again if good(again) else _least(whole, marched, again)


def _marched(work: Work, statement: InverseProblem, axis: int, tolerance: float, refinements, guesses) -> _Followed:
    found = steps(_marches(work, statement, axis), guesses, tolerance, refinements)
    return _follow(work, found, tolerance, None, lambda answer: 0.0)  # from step to step the data's residual falls


def _marches(work: Work, statement: InverseProblem, axis: int) -> Marches:
    return Marches(statement, axis, bytes_available(work.memory_gb), work.clock)


def _least(*found: _Followed) -> _Followed:
    """The one that leaves least of the data; those that still follow their noise come last."""

    def order(one: _Followed) -> tuple[bool, bool, float]:
        answer = one.answer
        return answer is None, answer is not None and answer.fit.weight > LIGHT, answer.fit.spread if answer else 0.0

    best = min(found, key=order)
    ended = next((one for one in found if one.status != "finished"), best)
    return replace(best, status=ended.status, message=ended.message)
