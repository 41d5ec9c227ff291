"""The fit of members -> the `Solution` over the ranges: one basis for all members, the verdict, the report."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from pinnsolve.adapt.context import SolveContext
from pinnsolve.assembly.system import units
from pinnsolve.bases.base import Basis
from pinnsolve.bases.over_ranges import OverRanges
from pinnsolve.estimate.defect_correction import relative_norms
from pinnsolve.estimate.measured_errors import exact_values
from pinnsolve.language.components import by_unknown, groups_of
from pinnsolve.problem.build import build_problem
from pinnsolve.problem.problem import Problem
from pinnsolve.problem.vectors import vectors_of
from pinnsolve.ranges.common_cells import common_cells
from pinnsolve.ranges.fit import SEED, Fit, all_converged
from pinnsolve.ranges.member import SolvedMember
from pinnsolve.results.of_outcome import provenance
from pinnsolve.results.solution import Series, Solution
from pinnsolve.results.storage import plain
from pinnsolve.solvers.budget import sentence
from pinnsolve.solvers.follow import Outcome
from pinnsolve.spec.spec import spec_with_parameters

COMMON_SHARE = 0.1  # of the tolerance, that putting members on common cells may cost
MOST_COMMON = 0.15  # what it may cost at most; else every member keeps its own
MEASURED = 20  # values of the ranges at which the error is measured where the exact solution is known
MOST_WARNINGS = 10


def range_solution(problem: Problem, context: SolveContext, outcome: Outcome[Fit], failed: Sequence[str]) -> Solution:
    """The best fit as a solution, which is written and called as any other."""
    fit = outcome.best
    basis, coefficients, missed = _joined(problem, context, fit)
    parts = {"members": fit.of_members, "interpolation": fit.of_interpolation, "common cells": missed}
    estimate = torch.stack(list(parts.values())).sum(dim=0)
    names = problem.unknowns
    status, message = _verdict(problem, outcome, float(estimate.max()), failed)
    first = fit.members[0].solution
    ranges = tuple(problem.ranges)
    solution = Solution(
        name=problem.name,
        coordinates=(*problem.coordinates, *ranges),
        intervals=(*problem.intervals, *((r.low, r.high) for r in problem.ranges.values())),
        time=problem.time,
        unknowns=names,
        complex_unknowns=problem.complex_unknowns,
        basis=basis,
        coefficients=coefficients,
        history=tuple(context.history),
        problem_text=problem.spec.to_yaml(),
        shape=problem.shape,
        series=_quantities(fit, ranges),
        ranges=ranges,
        output=problem.output,
        vectors=vectors_of(problem),
    )
    measured = _measured(problem, context, solution)

    def by_name(errors: Tensor) -> dict[str, float]:
        return by_unknown(dict(zip(names, errors.tolist(), strict=True)), problem.complex_unknowns)

    said = [warning.message for warning in problem.warnings]
    report = {
        "problem": problem.name,
        "status": status,
        "message": message,
        **({"relative_l2_error": measured, "reference": "exact"} if measured else {}),
        "estimated_error": by_name(estimate),
        "estimated_parts": {part: by_name(value) for part, value in parts.items()},
        **({"held_out_error": by_name(torch.stack(found).amax(dim=0))} if (found := fit.of_held_out()) else {}),
        "tolerance": problem.settings.tolerance,
        "wall_time_s": context.clock.seconds(),
        "unknown_coefficients": coefficients.numel(),
        "ranges": {n: {"low": r.low, "high": r.high, "log": r.log} for n, r in problem.ranges.items()},
        "members": [*_rows(fit.members, "interpolated"), *_rows([m for m, _ in fit.held_out], "held out")],
        "terms": _terms(fit.members),
        "warnings": [*said, *_doubts(fit, said), *failed][:MOST_WARNINGS],
        "parameters": {},
        "method": f"members at {len(fit.indices)} points of {_listed(ranges)}; {first.result['method']}",
        "basis": basis.describe(),
        **provenance(problem),
    }
    return replace(solution, result=plain(report))


def _joined(problem: Problem, context: SolveContext, fit: Fit) -> tuple[Basis, Tensor, Tensor]:
    """The basis of all members, its coefficients, and the relative error (U,) that this costs."""
    solutions = [member.solution for member in fit.members]
    ranges = [(r.low, r.high, r.log) for r in problem.ranges.values()]
    sizes = torch.stack([units(size, torch.zeros_like(size)) for size in map(fit.sizes, fit.values)])  # (K, U)
    allowed = COMMON_SHARE * problem.settings.tolerance * sizes
    found = common_cells(context.problem, solutions, allowed)
    if found is not None:
        missed = (found.missed / sizes).amax(dim=0)
        if float(missed.max()) <= MOST_COMMON * problem.settings.tolerance:
            return OverRanges([found.basis], fit.indices, ranges), found.coefficients, missed
    basis = OverRanges([solution.basis for solution in solutions], fit.indices, ranges)
    return basis, torch.cat([s.coefficients for s in solutions], dim=1), torch.zeros_like(sizes[0])


def _verdict(problem: Problem, outcome: Outcome[Fit], worst: float, failed: Sequence[str]) -> tuple[str, str]:
    """The status word and its sentence."""
    fit, tolerance = outcome.best, problem.settings.tolerance
    if outcome.status in ("interrupted", "time_limit", "no_memory"):
        count = len(fit.indices)
        return outcome.status, f"{outcome.message}: {count} member{'s' * (count != 1)}, estimated error {worst:.1e}"
    doubtful = [m for m in (*fit.members, *(m for m, _ in fit.held_out)) if not all_converged([m])]
    if worst <= tolerance and fit.held_out and not failed and not doubtful:
        return "converged", sentence("converged", estimate=worst, tolerance=tolerance)
    reasons = [sentence("tolerance_not_reached", estimate=worst, tolerance=tolerance)] if worst > tolerance else []
    reasons += [outcome.message] if outcome.message else []
    for member in doubtful[:1]:
        words = ", ".join(f"{name} = {value:.4g}" for name, value in member.task.values.items())
        many = f"{len(doubtful)} members did not converge, the first" if len(doubtful) > 1 else "the member"
        reasons.append(f"{many} at {words}: {member.solution.result.get('message')}")
    reasons += failed[:1]
    return "tolerance_not_reached", "; ".join(reasons) or "the interpolation was not checked"


def _terms(members: Sequence[SolvedMember]) -> dict[str, dict]:
    """The report of each term, with the largest residual of all members."""
    terms: dict[str, dict] = {}
    for member in members:
        for name, term in (member.solution.result.get("terms") or {}).items():
            worst = max(terms.get(name, {}).get("rms_residual") or 0.0, term.get("rms_residual") or 0.0)
            terms[name] = {**term, **terms.get(name, {}), "rms_residual": worst}
    return terms


def _rows(members: Sequence[SolvedMember], use: str) -> Iterator[dict[str, Any]]:
    """What is reported of each member."""
    for member in members:
        result = member.solution.result
        yield {
            "parameters": dict(member.task.values),
            "use": use,
            **{key: result.get(key) for key in ("status", "estimated_error", "wall_time_s")},
            **({"quantities": numbers} if (numbers := _numbers(member)) else {}),
        }


def _numbers(member: SolvedMember) -> dict[str, dict[str, Any]]:
    """What was found beside the unknowns: parameters that equations and conditions determine, and quantities."""
    result = member.solution.result
    found = {
        name: {"value": item["value"], "estimated_error": item.get("standard_error")}
        for name, item in (result.get("parameters") or {}).items()
    }
    return {**found, **(result.get("quantities") or {})}


def _doubts(fit: Fit, said: Sequence[str]) -> list[str]:
    """Warnings of members that are none of the whole problem, each once, with the first member that has it."""
    found: dict[str, str] = {}
    for member in fit.members:
        words = ", ".join(f"{name} = {value:.4g}" for name, value in member.task.values.items())
        for text in member.solution.result.get("warnings") or ():
            found.setdefault(text, words)
    return [f"where {words}: {text}" for text, words in found.items() if text not in said]


def _quantities(fit: Fit, ranges: Sequence[str]) -> Series | None:
    """A table of the quantities by the parameters, a row per member; None where none are asked for."""
    found = [(m.task.values, _numbers(m)) for m in fit.members]
    names = list(found[0][1])
    if not names:
        return None
    header = [*ranges, *(column for name in names for column in (name, f"{name}_error"))]
    rows = []
    for values, quantities in found:
        cells = [[q.get("value"), q.get("estimated_error")] for q in (quantities.get(name, {}) for name in names)]
        rows.append([*values.values(), *(np.nan if v is None else v for pair in cells for v in pair)])
    return header, np.array(sorted(rows), dtype=float)


def _measured(problem: Problem, context: SolveContext, solution: Solution) -> dict[str, float] | None:
    """The largest relative error per unknown at values of the ranges that are drawn; None where no truth is known."""
    if not problem.exact:
        return None
    truth, worst = range_truth(problem), dict.fromkeys(problem.exact, 0.0)
    x = context.check_points().cpu().numpy()
    shares = np.random.default_rng(SEED + problem.settings.seed).random((MEASURED, len(problem.ranges)))
    for row in shares:
        values = [r.value(float(s)) for r, s in zip(problem.ranges.values(), row, strict=True)]
        points = np.concatenate([x, np.tile(values, (len(x), 1))], axis=1)
        known = truth(points)
        exact = torch.as_tensor(np.stack(list(known.values())))
        errors = torch.as_tensor(np.stack([solution.values(points, name) for name in known])) - exact
        groups = groups_of(tuple(known), problem.complex_unknowns, context.problem.vectors)
        for name, error in relative_norms(tuple(known), errors, exact, groups).items():
            worst[name] = max(worst[name], error)
    return by_unknown(worst, problem.complex_unknowns)


def range_truth(problem: Problem) -> Callable[[Any], Mapping[str, np.ndarray]]:
    """The exact solution as a function of points (N, d + r), whose last columns are the parameters with a range."""
    d = len(problem.coordinates)

    def values(points: Any) -> Mapping[str, np.ndarray]:
        points = np.asarray(points, dtype=float)
        different, which = np.unique(points[:, d:], axis=0, return_inverse=True)
        result = {name: np.empty(len(points)) for name in problem.exact}
        for number, row in enumerate(different):
            here = np.flatnonzero(which.ravel() == number)
            parameters = dict(zip(problem.ranges, row.tolist(), strict=True))
            member = build_problem(spec_with_parameters(problem.spec, parameters))
            for name, found in exact_values(member, points[here][:, :d]).items():
                result[name][here] = found
        return result

    return values


def _listed(names: Sequence[str]) -> str:
    return " and ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names)
