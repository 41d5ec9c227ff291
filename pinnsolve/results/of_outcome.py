"""The outcome of a solve -> a `Solution`: what was measured of it, the verdict, and the report.

Input: a problem, what its solve shared, and how that ended. Output: a `Solution`, whose `result` is what `result.json`
holds. Everything is measured at points that no solve has used.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

import torch

from pinnsolve.adapt.context import Result, SolveContext
from pinnsolve.adapt.named_tolerances import counted
from pinnsolve.adapt.verdict import Seen, Verdict, judge
from pinnsolve.bases.base import Basis
from pinnsolve.bases.piecewise.basis import PouCells
from pinnsolve.compiler.terms import CompiledProblem
from pinnsolve.estimate.cell_balances import measured_balances, unbalanced
from pinnsolve.estimate.defect_correction import Approximation
from pinnsolve.estimate.degenerate import lost_totals
from pinnsolve.estimate.independent_look import Missed
from pinnsolve.estimate.integrals import with_integrals
from pinnsolve.estimate.measured_errors import parameter_report, term_report, true_error
from pinnsolve.estimate.missed_data import missed_data
from pinnsolve.estimate.missed_exactly import inexact
from pinnsolve.estimate.quantities import TIMES, Measured, measured_quantities, series_table
from pinnsolve.estimate.table_ranges import left_tables
from pinnsolve.files.data_files import digests
from pinnsolve.language.components import by_unknown
from pinnsolve.problem.problem import Problem
from pinnsolve.problem.vectors import vectors_of
from pinnsolve.results.shown import measured_values, with_estimated_error
from pinnsolve.results.solution import Solution
from pinnsolve.results.storage import plain
from pinnsolve.solvers import Outcome
from pinnsolve.version import machine, version, versions

KINKS_MISSED = "; this basis knows nothing of what holds where coefficients jump, so fluxes are wrong there"


@dataclass(frozen=True)
class _Found:
    """What is found of the best result: the `terms` with their residuals, `errors` against the truth and what that is,
    `estimates` by unknown as the file names them, quantities, the corrected solution or the error itself, and the rest
    of the report."""

    approximation: Approximation
    verdict: Verdict
    terms: Mapping[str, dict]
    diagnostics: Mapping[str, Any]
    errors: Mapping[str, float] | None
    against: str
    estimates: Mapping[str, float] | None
    quantities: Mapping[str, Measured]
    corrected: Approximation | None
    error: Approximation | None
    more: Mapping[str, Any]


def solution_of(problem: Problem, context: SolveContext, outcome: Outcome[Result]) -> Solution:
    """The solution that a solve ended with, and its report."""
    context = replace(context, problem=outcome.best.solved or context.problem)
    outcome = replace(outcome, best=counted(context.problem, outcome.best))
    with torch.no_grad():
        found = _found(problem, context, outcome)
    report = plain(_report(problem, context, outcome.best, found))  # numbers that JSON cannot say are None here, too
    solution = Solution(
        name=problem.name,
        coordinates=problem.coordinates,
        intervals=problem.intervals,
        time=problem.time,
        unknowns=problem.unknowns,
        complex_unknowns=problem.complex_unknowns,
        basis=found.approximation.basis,
        coefficients=found.approximation.state.coefficients,
        parameters=report["parameters"],
        result=report,
        history=tuple(context.history),
        problem_text=problem.spec.to_yaml(),
        diagnostics=found.diagnostics,
        shape=problem.shape,
        deviations=outcome.best.deviations,
        modes=outcome.best.modes,
        series=series_table(found.quantities, problem.time or "", _series_times(problem)),
        output=problem.output,
        vectors=vectors_of(problem),
        homes=problem.homes,
    )
    with torch.no_grad():
        return with_estimated_error(solution, found.corrected, found.error)


def _found(problem: Problem, context: SolveContext, outcome: Outcome[Result]) -> _Found:
    result, compiled = outcome.best, context.problem
    approximation = with_integrals(compiled, result.approximation)
    # a term that no point of the solve has met has no weight
    weights = dict.fromkeys((term.name for term in compiled.terms), 0.0) | dict(result.term_weights)
    context = replace(context, term_weights=weights)
    check, x = context.look_assembly(), context.check_points()
    terms, diagnostics = term_report(check, approximation, result.points)
    looked = context.looked_at(approximation)
    _add_shares(looked.seen, terms)
    balances = measured_balances(compiled, approximation)
    lost = () if result.estimate is None else (*lost_totals(compiled, approximation, result.estimate.relative, check),)
    doubts = (
        *left_tables(compiled, approximation, x), *missed_data(compiled, terms), *inexact(compiled, looked.seen),
        *unbalanced(balances), *(one.sentence for one in lost),
    )  # fmt: skip
    said = [warning.message for warning in problem.warnings]
    shares = {one.unknown: one.share for one in lost}
    verdict = judge(compiled, said, outcome, Seen(looked.seen, looked.look.rounding, terms, doubts, shares))
    measured = true_error(problem, approximation, x, compiled.undetermined_constants)
    relative = None if verdict.estimate is None else verdict.estimate.relative
    corrected = None if verdict.contradicted else result.corrected
    more = dict(result.inverse or {})
    if result.assembly:
        more["parameters"] = parameter_report(result.assembly, approximation)
    return _Found(
        approximation=approximation,
        verdict=verdict,
        terms=terms,
        diagnostics={**diagnostics, "measured": measured_values(check, approximation)},
        errors=None if measured is None else _determined(by_unknown(measured[0], problem.complex_unknowns), result),
        against="" if measured is None else measured[1],
        estimates=None if relative is None else by_unknown(relative, problem.complex_unknowns),
        quantities=measured_quantities(compiled, approximation, corrected, relative, _series_times(problem)),
        corrected=corrected,
        error=None if verdict.contradicted or verdict.estimate is None else verdict.estimate.error,
        more=more | ({"balances": balances} if balances else {}),
    )


def _determined(errors: Mapping[str, float], result: Result) -> Mapping[str, float]:
    """The errors against the truth, without those of unknowns that are not unique where that does no harm: one truth of
    many says nothing of them."""
    free = result.freedom.unknowns if result.freedom.harmless else ()
    return {name: error for name, error in errors.items() if name not in free}


def _series_times(problem: Problem) -> Sequence[float] | None:
    """The times of series that the file asks for; None where it asks for none."""
    if problem.output.times is None:
        return None
    low, high = problem.intervals[problem.axes.time_axis]
    return problem.output.times_between(low, high, TIMES)


def _add_shares(looked: Sequence[Missed], terms: Mapping[str, dict]) -> None:
    """Adds to the reports of `terms` their shares of what is missed at fresh points."""
    for one in looked:
        if one.kind != "continuity":  # which is of no term
            terms[one.name]["relative_residual"] = max(one.share, terms[one.name].get("relative_residual", 0.0))


def _report(problem: Problem, context: SolveContext, result: Result, found: _Found) -> dict[str, Any]:
    """The content of `result.json`."""
    more, basis, message = dict(found.more), found.approximation.basis, found.verdict.message
    if _misses_kinks(context.problem, basis):
        message += KINKS_MISSED
    errors, estimates = found.errors, found.estimates
    return {
        "problem": problem.name,
        "status": found.verdict.status,
        "message": message,
        **({"relative_l2_error": errors, "reference": found.against} if errors is not None else {}),
        "estimated_error": estimates,
        **({"effectivity": _effectivity(estimates, errors)} if errors and estimates else {}),
        "tolerance": getattr(problem.settings.tolerance, "by_name", problem.settings.tolerance),
        "wall_time_s": context.clock.seconds(),
        "unknown_coefficients": found.approximation.state.coefficients.numel(),
        **({"quantities": {name: m.last for name, m in found.quantities.items()}} if found.quantities else {}),
        "terms": found.terms,
        "warnings": [*found.verdict.warnings, *result.doubts, *more.pop("warnings", ())],
        "parameters": more.pop("parameters", {}),
        **more,
        "method": result.method,
        "basis": basis.describe(),
        **({"why": result.why} if result.why else {}),
        **provenance(problem),
    }


def provenance(problem: Problem) -> dict[str, Any]:
    """The end of every report: what else than the problem file the numbers come from, and whom to cite."""
    return {
        **({"files": files} if (files := digests(problem.files())) else {}),
        "seed": problem.settings.seed,
        "version": version(),
        "versions": versions(),
        "machine": machine(),
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "cite": list(problem.spec.cite),
    }


def _misses_kinks(problem: CompiledProblem, basis: Basis) -> bool:
    """Whether solutions have kinks between materials, and the basis has no cells of each."""
    has_cells = isinstance(basis, PouCells) and basis.space.cells.parts is not None
    return not has_cells and any(interface.kinks for interface in problem.interfaces)


def _effectivity(estimates: Mapping[str, float], errors: Mapping[str, float]) -> dict[str, float | None]:
    """Estimated over true error, per unknown whose truth is known."""
    return {name: estimates[name] / error if error > 0 else None for name, error in errors.items()}
