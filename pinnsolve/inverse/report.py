"""What an inverse problem ends with, as a result: parameters with their errors, correlation, noise, warnings."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from pinnsolve import defaults
from pinnsolve.adapt.context import Result, SolveContext
from pinnsolve.adapt.whole_levels import on_cells_of
from pinnsolve.assembly.measurements import Measurements
from pinnsolve.assembly.row_source import State
from pinnsolve.assembly.system import units
from pinnsolve.bases.piecewise.basis import PouCells
from pinnsolve.bases.piecewise.space import Space
from pinnsolve.compiler.terms import CompiledProblem
from pinnsolve.estimate.defect_correction import Approximation, Estimate
from pinnsolve.inverse.fit import NOISIER, Answer, is_explained
from pinnsolve.inverse.function_report import functions_found
from pinnsolve.inverse.statement import InverseProblem
from pinnsolve.inverse.uncertainty import ENOUGH, Uncertainty, uncertainty, weak_combinations

SPARE = 0.1  # share of the readings that a function must leave over, to be judged by them
DROPPED = "dropped"  # the key of the candidates that the data do not support, beside the equations


def result_of(context: SolveContext, statement: InverseProblem, answer: Answer, tolerance: float) -> Result:
    """The answer with what noise leaves open."""
    unknowns, space, measurements = context.problem.unknowns, answer.space, statement.measurements
    found = uncertainty(measurements, answer, context.seed)
    basis = PouCells(space.cells, space.degrees, context.lower, context.upper, answer.slabs)
    c = answer.c.transpose(0, 1).reshape(len(unknowns), -1)
    spread = deviation(found.deviations, space, len(unknowns))
    size = units(answer.size, answer.error)
    relative = torch.sqrt(answer.relative**2 + (defaults.DEVIATIONS * spread / size) ** 2)
    untold = few_readings(context.problem, measurements, found)
    relative = relative.clamp_min(1.0) if untold else relative
    measured = {g.name: 1.0 / measurements.sigma[g.name] ** 2 for g in answer.data}
    largest = max(measured.values(), default=1.0)
    measured = {name: answer.fit.weight**2 * value / largest for name, value in measured.items()}
    error = None if answer.discretization is None else on_cells_of(context, *answer.discretization)
    report = _report(statement, answer, found, spread)
    report["warnings"] += _doubts(measurements, answer, found, tolerance) + untold
    return Result(
        Approximation(basis, State(c, answer.parameters)),
        Estimate(dict(zip(unknowns, relative.tolist(), strict=True)), {}, answer.left, error),
        answer.method,
        answer.points,
        {**answer.weights, **measured},
        note="" if answer.converged else "Gauss-Newton did not converge on the last cells",
        inverse={**report, "limited_by": _limit(answer.relative, relative)},
        deviations=found.deviations,
    )


def with_discovered(result: Result, problem: CompiledProblem, dropped: Sequence[tuple[str, str]]) -> Result:
    """The result of a problem that was found with its solution: terms have their own place in the report.

    `dropped`: equations and the candidates that the data do not support.
    """
    report = dict(result.inverse or {})
    if not problem.candidates and not dropped:
        return replace(result, solved=problem, method=f"functions found from data, {result.method}")
    parameters = dict(report["parameters"])
    found: dict[str, Any] = {equation: {} for equation, _ in dropped}
    for one in problem.candidates:
        equation, text = one.candidate
        found.setdefault(equation, {})[text] = parameters.pop(one.name)
    found[DROPPED] = [f"{text} in {equation}" for equation, text in dropped]
    report |= {"parameters": parameters, "discovered": found}
    return replace(result, inverse=report, solved=problem, method=f"terms found from data, {result.method}")


def few_readings(problem: CompiledProblem, measurements: Measurements, found: Uncertainty) -> list[str]:
    """A sentence where a function rests on readings alone, and they are met by what takes as many degrees of freedom:
    then nothing tells how wrong it is between them."""
    if any(term.kind == "equation" for term in problem.terms):
        return []
    count = measurements.count
    if count >= ENOUGH and count - found.freedom >= min(ENOUGH, SPARE * count):
        return []
    return [
        f"{count} readings are met by a function of {found.freedom:.2g} degrees of freedom: nothing tells how wrong it "
        "is between them; more readings would"
    ]


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


def _report(statement: InverseProblem, answer: Answer, found: Uncertainty, spread: Tensor) -> dict:
    """The entries of `result.json` that are about what was unknown: parameters, correlation, noise, warnings."""
    problem, measurements = statement.problem, statement.measurements
    values, errors, correlation = answer.parameters, found.standard_errors, found.correlation
    named = {p.name: i for i, p in enumerate(problem.unknown_parameters) if not p.function}
    parameters = {
        name: {
            "value": float(values[i]),
            "standard_error": float(errors[i]),
            "discretization_error": float(answer.parameter_error[i]),
        }
        for name, i in named.items()
    }
    chosen = [*named.values()]
    covariance, size = found.covariance[chosen][:, chosen], statement.bounds.size[chosen]
    warnings = weak_combinations([*named], values[chosen], size, covariance) if named else []
    for i, p in enumerate(problem.unknown_parameters):
        if p.function:
            continue
        if float(values[i]) in p.bounds:
            warnings.append(
                f"`{p.name}` ended at its bound {float(values[i]):g}: its standard error does not hold there"
            )
    noise = {}
    for term in measurements.terms:
        noise[term.name] = {"estimated": measurements.sigma[term.name] * found.spread, "stated": term.noise}
    return {
        "parameters": parameters,
        "correlation": {a: {b: float(correlation[i, j]) for b, j in named.items()} for a, i in named.items()},
        **({"functions": functions_found(statement, values, found.covariance)} if statement.functions else {}),
        "noise": noise,
        "regularization": {
            problem.unknowns[one.unknown]: {"seminorm": one.order, "weight": one.weight} for one in answer.smoothness
        },
        "standard_deviation": dict(zip(problem.unknowns, spread.tolist(), strict=True)),
        "data_freedom": found.freedom,
        "warnings": warnings,
    }


def _doubts(measurements: Measurements, answer: Answer, found: Uncertainty, tolerance: float) -> list[str]:
    """Warnings where what is left of the data is more than noise."""
    warnings = []
    for term in measurements.terms:
        if term.noise is not None and found.spread > NOISIER:
            warnings.append(
                f"the residual of `{term.name}` is {found.spread:.2g} times the noise stated: the equations may not "
                "hold, or the noise is larger"
            )
    if not warnings and not is_explained(answer, measurements, tolerance):
        warnings.append(
            "what is left of the data is alike at neighbouring points, as noise is not: the equations may not hold, or "
            "other values of the parameters may do better; try another guess, or solve.starts"
        )
    return warnings
