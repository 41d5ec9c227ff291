"""Inverse problems on cells, from a problem to a result: the best of its starts, refined, with what noise leaves
open."""

from __future__ import annotations

import itertools
import math
from dataclasses import replace

import torch
from torch import Tensor

from pinnsolve import defaults
from pinnsolve.assembly import State
from pinnsolve.bases.pou_cells import PouCells
from pinnsolve.bases.space import Space
from pinnsolve.errors import ResourceError
from pinnsolve.estimate import Approximation, Estimate
from pinnsolve.grid.correction import enriched_space
from pinnsolve.grid.data import Measurements
from pinnsolve.grid.inverse import LIGHT, Fit, InverseLevel, Statement, bounds_of, data_groups, finished, levels
from pinnsolve.grid.memory import bytes_available, check_work
from pinnsolve.grid.smoothness import FIRST_WEIGHT, Smoothness
from pinnsolve.grid.system import points_of, weights_of
from pinnsolve.grid.uncertainty import NOISIER, Uncertainty, uncertainty, weak_combinations
from pinnsolve.strategies import Result, Work
from pinnsolve.terms import CompiledProblem, Regularization
from pinnsolve.threads import threads_for

SEMINORM = 3  # of unknowns of which the file says nothing
MOST_OPERATIONS = 5e11  # of a factorization that is worth it without a time limit
FIRST_LEVELS = 3  # after which starts are compared
DEVIATIONS = 2.0  # standard deviations that count as the error which noise makes


def is_inverse(work: Work) -> bool:
    return work.measured or bool(work.problem.unknown_parameters)


def inverse_on_cells(work: Work, tolerance: float, refinements: int | None, starts: int = 1) -> Result | None:
    """The result of Gauss-Newton on cells, from the best of so many `starts`; None where nothing was computed."""
    weights = work.weights_at(defaults.widths(work.dimension)[0]) or {}
    with torch.no_grad(), threads_for(1):
        statement = Statement(
            work.problem, weights, Measurements(work.problem), bounds_of(work.problem), work.floating,
            smoothness_of(work.problem),
        )  # fmt: skip
        if starts > 1 and work.problem.unknown_parameters:
            statement.start = _best_start(work, statement, tolerance, starts)
        return _refined(work, statement, tolerance, refinements)


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


def _best_start(work: Work, statement: Statement, tolerance: float, starts: int) -> Tensor:
    """Of the guess and others at random, the values from which the data are met best after a few levels."""
    generator = torch.Generator().manual_seed(work.seed)
    guess, bounds = statement.guess, statement.bounds
    best, least = guess, math.inf
    for number in range(starts):
        random = torch.rand(len(guess), generator=generator, dtype=torch.float64)
        inside = bounds.low + random * (bounds.high - bounds.low)
        around = guess * 10.0 ** (2.0 * random - 1.0)  # one decade up or down where there are no bounds
        values = torch.where(inside.isfinite(), inside, around) if number else guess
        statement.start = values
        try:
            *_, (_, fit) = itertools.islice(levels(statement, tolerance), FIRST_LEVELS)
        except ArithmeticError:
            continue
        if fit.noise < least and not work.clock.expired():
            best, least = values, fit.noise
    return best


def _refined(work: Work, statement: Statement, tolerance: float, refinements: int | None) -> Result | None:
    best: tuple[InverseLevel, Fit] | None = None
    status, message = "finished", ""

    def check(space) -> None:
        most = MOST_OPERATIONS if work.clock.limit is None else math.inf
        check_work(statement.system(enriched_space(space)), bytes_available(work.memory_gb), most)

    try:
        for number, (level, fit) in enumerate(levels(statement, tolerance, check)):
            _record(work, number, level)
            if best is None or _rank(level, fit) <= _rank(*best):
                best = level, fit
            if finished(level, fit, tolerance, bool(statement.smoothness)):
                best = level, fit
                break
            if work.clock.expired():
                status, message = "time_limit", work.clock.message()
                break
            if refinements is not None and number >= refinements:
                break
    except ResourceError as error:
        message = str(error)
    except ArithmeticError as error:
        message = f"{error}; the best answer before is kept"
    except KeyboardInterrupt:
        if best is None:
            raise
        status, message = "interrupted", "stopped; the best answer so far is kept"
    if best is None:
        return None
    level, fit = best
    found = uncertainty(statement, level, fit, work.seed)
    result = _result(work, statement, level, fit, found)
    work.best = replace(result, status=status, message=message)
    return work.best


def _rank(level: InverseLevel, fit: Fit) -> float:
    """How far from right a level may be: the larger of its errors, each relative."""
    parameters = level.found.point.parameters
    relative = level.parameter_error / parameters.abs().clamp_min(1e-300)
    noise = fit.noise if fit.weight > LIGHT else 0.0  # which the solution still follows
    return max(level.level.worst, float(relative.max()) if len(parameters) else 0.0, noise)


def _record(work: Work, number: int, level: InverseLevel) -> None:
    now = level.level
    names = [p.name for p in work.problem.unknown_parameters]
    found = dict(zip(names, level.found.point.parameters.tolist(), strict=True))
    work.record(
        f"level {number}: {now.space.cells.count} cells", number, now.loss, now.terms, parameters=found, **now.rank
    )


def _result(work: Work, statement: Statement, level: InverseLevel, fit: Fit, found: Uncertainty) -> Result:
    now, problem = level.level, work.problem
    unknowns = problem.unknowns
    basis = PouCells(now.space.cells, now.space.degrees, work.lower, work.upper)
    c = now.c.transpose(0, 1).reshape(len(unknowns), -1)
    parameters = level.found.point.parameters
    spread = deviation(found.deviations, now.space, len(unknowns))
    size = torch.where(now.size > 0, now.size, 1.0)
    relative = torch.sqrt(now.relative**2 + (DEVIATIONS * spread / size) ** 2)
    groups = data_groups(now.system)
    counts = {**points_of(now.system), **{g.name: g.points for g in groups}}
    exact = weights_of(now.system)
    weight = statement.measurements.weight
    measured = {g.name: weight**2 / statement.measurements.sigma[g.name] ** 2 for g in groups}
    largest = max(measured.values(), default=1.0)
    measured = {name: weight**2 * value / largest for name, value in measured.items()}
    return Result(
        Approximation(basis, State(c, parameters)),
        None,
        Estimate(dict(zip(unknowns, relative.tolist(), strict=True)), {}, now.correction.left),
        "finished",
        "" if now.converged else "Gauss-Newton did not converge on the last cells",
        "least_squares over coefficients and parameters" if len(parameters) else "least_squares",
        counts,
        {**exact, **measured},
        inverse={**_report(statement, level, found, spread), "limited_by": _limit(now.relative, relative)},
        deviations=found.deviations,
    )


def _limit(discretization: Tensor, whole: Tensor) -> str:
    """What most of the estimated error is owed to."""
    worst = int(whole.argmax())
    return "noise" if float(discretization[worst]) < 0.5 * float(whole[worst]) else "discretization"


def deviation(deviations: Tensor, space: Space, unknowns: int) -> Tensor:
    """(U,) root mean square over the domain of the solution's standard deviation."""
    total = torch.zeros(unknowns, dtype=torch.float64)
    for one in deviations:
        total += space.rms(one.reshape(unknowns, space.cells.count, -1).transpose(0, 1)) ** 2
    return total.sqrt()


def _report(statement: Statement, level: InverseLevel, found: Uncertainty, spread: Tensor) -> dict:
    """The entries of `result.json` that are about what was unknown: parameters, correlation, noise, warnings."""
    problem, measurements = statement.problem, statement.measurements
    values, names = level.found.point.parameters, [p.name for p in problem.unknown_parameters]
    errors, correlation = found.standard_errors, found.correlation
    parameters = {
        name: {
            "value": float(values[i]),
            "standard_error": float(errors[i]),
            "discretization_error": float(level.parameter_error[i]),
        }
        for i, name in enumerate(names)
    }
    warnings = weak_combinations(names, values, statement.bounds.size, found) if names else []
    for i, p in enumerate(problem.unknown_parameters):
        if float(values[i]) in p.bounds:
            warnings.append(
                f"`{p.name}` ended at its bound {float(values[i]):g}: its standard error does not hold there"
            )
    noise = {}
    for term in measurements.terms:
        noise[term.name] = {"estimated": measurements.sigma[term.name] * found.spread, "stated": term.noise}
        if term.noise is not None and found.spread > NOISIER:
            warnings.append(
                f"the residual of `{term.name}` is {found.spread:.2g} times the noise stated: the equations may "
                f"not hold, "
                "or the noise is larger"
            )
    return {
        "parameters": parameters,
        "correlation": {a: {b: float(correlation[i, j]) for j, b in enumerate(names)} for i, a in enumerate(names)},
        "noise": noise,
        "regularization": {
            problem.unknowns[one.unknown]: {"seminorm": one.order, "weight": one.weight} for one in statement.smoothness
        },
        "standard_deviation": dict(zip(problem.unknowns, spread.tolist(), strict=True)),
        "data_freedom": found.freedom,
        "warnings": warnings,
    }
