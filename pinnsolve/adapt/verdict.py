"""The last word on a solution: its status, with a sentence, and an estimate that nothing contradicts any more.

Input: how a solve ended, what an independent look found (see `independent_look`), and what the checks said of the
problem. Output: a `Verdict`. `converged` is a promise: it takes an estimate below the tolerance, residuals at fresh
points that bear it out, a problem that has a solution, and only one.

A residual holds derivatives of the error, which may be larger than the error itself. If the error is smooth to twice
the order of the equations, its derivatives of their order are at most about the square root of its size (interpolation
inequality of Gagliardo and Nirenberg, for relative quantities): a residual above the root of both estimate and
tolerance contradicts them.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from pinnsolve.adapt.context import Result
from pinnsolve.bases.piecewise.basis import PouCells
from pinnsolve.compiler.energies import energies_to_minimize
from pinnsolve.compiler.terms import CompiledProblem
from pinnsolve.estimate.balances import balances
from pinnsolve.estimate.defect_correction import Estimate
from pinnsolve.estimate.independent_look import Missed
from pinnsolve.estimate.unresolved import too_much_to_look_at, unresolved
from pinnsolve.language.components import by_unknown
from pinnsolve.problem.checks.neumann import says_no_solution
from pinnsolve.solvers import Outcome
from pinnsolve.solvers.budget import sentence

LEAST_ALLOWED = 1e-6  # share that may be missed, however small the tolerance
KINKED = 0.2  # share of a jump of derivatives between cells, which singularities have in small ones
STANDS, EXACT = 0.99, 1e-13  # share of the residual that stays; error from which on nothing needs to be left of it
STUCK, DERIVED = 0.95, 2.0  # share left of what no space meets, as a rule; times the error are residuals elsewhere
SLIGHT = 0.01  # share that data may contradict each other by, as numbers of two digits do
IN_THE_MEAN, MOST_IN_THE_MEAN = 5.0, 0.15  # times what is allowed of least squares, and the most of that
SMOOTH = 10.0  # times the error are residuals of a solution that cells hold well
MOST_ROUNDING = 0.1  # share that is never rounding
NAMED = 3  # of what is missed
BESIDE = 0.1  # of the largest share, from which on something is named, too
NOT_ESTIMATED = ", and its error was not estimated"
PUBLIC = ("interrupted", "time_limit", "diverged")  # statuses of an outcome that are those of the solution

BELOW_ROUNDING = (
    "the tolerance {tolerance:g} is below what rounding allows: numbers of this precision hold the solution to "
    "{least:.1e}; the estimated error is {estimate:.1e}"
)


@dataclass(frozen=True)
class Verdict:
    """`estimate`: of the result, or larger; None where there is none. `warnings`: messages for the report.

    `contradicted`: whether residuals say that the estimate of the result is wrong.
    """

    status: str
    message: str
    estimate: Estimate | None
    warnings: tuple[str, ...] = ()
    contradicted: bool = False


@dataclass(frozen=True)
class Seen:
    """What is seen of a solution: what it misses, what `rounding` makes of the error per unknown, the report of each
    of the `terms`."""

    missed: Sequence[Missed]
    rounding: Mapping[str, float]
    terms: Mapping
    doubts: Sequence[str] = ()  # sentences that each keep it from being the solution
    least: Mapping[str, float] = field(default_factory=dict)  # errors of unknowns that are known to be no smaller


def judge(problem: CompiledProblem, said: Sequence[str], outcome: Outcome[Result], seen: Seen) -> Verdict:
    """The verdict on the best result of an outcome; `said`: warnings of the checks."""
    result, freedom = outcome.best, outcome.best.freedom
    # what a time limit left without an estimate claims nothing that a long look could contradict
    claims = result.estimate is not None or outcome.status != "time_limit"
    missed = contradicting(problem, result, seen.missed, problem.settings.tolerance) if claims else []
    compromise = bool(result.missed) and not missed and outcome.status not in PUBLIC  # finer cells do not help
    if compromise:
        missed = beyond_estimate(problem, result, seen.missed) or sorted(seen.missed, key=lambda one: -one.share)[:1]
    doubts = [says_no_solution(said), _missed_sentence(problem, missed) if missed else "", *seen.doubts]
    doubts += unresolved(problem, result.approximation.basis, result.points)
    if freedom.sentence and not freedom.harmless:
        apart = (
            ""
            if missed or says_no_solution([freedom.sentence])
            else f"; apart from that, the estimated error is {result.worst:.1e}"
        )
        doubts.append(freedom.sentence + apart)
    doubts = [doubt for doubt in doubts if doubt]
    if result.estimate is not None:
        estimate = result.estimate.at_least(seen.rounding).at_least(seen.least)
        if missed:
            share = 1.0 if compromise else min(max(one.share for one in missed), 1.0)
            estimate = estimate.at_least(dict.fromkeys(problem.unknowns, share))
        estimate = estimate.at_least(dict.fromkeys(freedom.unknowns, 1.0))
        result = replace(result, estimate=estimate)
    status, message = _status(problem, replace(outcome, best=result), seen)
    if doubts and status in ("converged", "tolerance_not_reached"):  # and the doubts are the reason
        status, message = "tolerance_not_reached", "; ".join(doubts)
    elif doubts:
        message = "; ".join([message, *doubts])
    warnings = tuple(dict.fromkeys([*said, *too_much_to_look_at(problem), *filter(None, [freedom.sentence])]))
    return Verdict(status, message, result.estimate, warnings, bool(missed))


def contradicting(problem: CompiledProblem, result: Result, looked: Sequence[Missed], tolerance: float) -> list[Missed]:
    """What is missed by more than the estimate and the tolerance allow, the worst first.

    Of what looks so, integrals over cells are what counts: see `balances`.
    """
    known = [value for value in (result.estimate.relative.values() if result.estimate else ()) if math.isfinite(value)]
    error = max([tolerance, *known])
    allowed = max(math.sqrt(error), LEAST_ALLOWED)
    if _stands(result):
        allowed = min(allowed, max(SMOOTH * error, LEAST_ALLOWED))
    if isinstance(result.approximation.basis, PouCells) and energies_to_minimize(problem):
        # equations and fluxes of a least energy hold in the mean, and its error is felt less than that of its slopes
        allowed = max(allowed, min(IN_THE_MEAN * allowed, MOST_IN_THE_MEAN))
    if result.kinks:  # whose derivatives in cells of any size are as large as their jumps
        allowed = max(allowed, KINKED)
    return _beyond(problem, result, looked, allowed)


def beyond_estimate(problem: CompiledProblem, result: Result, looked: Sequence[Missed]) -> list[Missed]:
    """What is missed by more than the estimate, and not slightly, the worst first: of a solution it is no more than
    its derivatives explain, of a compromise between conditions that contradict each other it is what they lack."""
    known = [value for value in (result.estimate.relative.values() if result.estimate else ()) if math.isfinite(value)]
    times = 1.0 if left_of(result) > STUCK else DERIVED
    return _beyond(problem, result, looked, max([SLIGHT, *(times * one for one in known)]))


def left_of(result: Result) -> float:
    """The share of the residual that a richer space leaves; all of it where there is nothing to take away."""
    estimate = result.estimate
    return 1.0 if estimate is None or estimate.worst < EXACT else estimate.residual_left


def _beyond(problem: CompiledProblem, result: Result, looked: Sequence[Missed], allowed: float) -> list[Missed]:
    found = [one for one in looked if not one.share <= _allowed(one, allowed)]
    balanced = balances(problem, result.approximation, {one.name for one in found}) if found else {}
    for i, one in enumerate(found):
        if one.kind != "continuity" and (one.name, one.number) in balanced:
            found[i] = replace(one, share=min(one.share, balanced[one.name, one.number] / max(one.size, 1e-300)))
    found = [one for one in found if not one.share <= _allowed(one, allowed)]
    return sorted(found, key=lambda one: one.share, reverse=True)


def _stands(result: Result) -> bool:
    """Whether a richer space takes next to nothing of the residual on cells away: as if no function met it all."""
    estimate, basis = result.estimate, result.approximation.basis
    if estimate is None or not isinstance(basis, PouCells) or basis.slabs:
        return False
    return estimate.residual_left > STANDS or estimate.worst < EXACT


def _allowed(one: Missed, allowed: float) -> float:
    if one.kind == "continuity" and one.number:
        allowed = max(allowed, KINKED)
    return allowed + min(one.rounding, MOST_ROUNDING)


def _missed_sentence(problem: CompiledProblem, missed: Sequence[Missed]) -> str:
    """Which equations and conditions are missed, where, by how much, and why that may be."""
    names: dict[str, Missed] = {}
    for one in missed:
        names.setdefault(one.name if one.kind == "continuity" else f"`{one.name}`", one)
    worst = missed[0].share
    named = [item for item in names.items() if item[1].share >= BESIDE * worst][:NAMED]
    parts = [f"{name} by {_percent(one.share)} ({_place(problem, one)})" for name, one in named]
    listed = ", ".join(parts[:-1]) + (" and " if parts[:-1] else "") + parts[-1]
    return (
        "this does not solve the problem: at points that no solve has used, it misses "
        f"{listed} of what {'they are' if len(parts) > 1 else 'it is'} made of; {_reason(problem, names)}"
    )


def _reason(problem: CompiledProblem, names: Mapping[str, Missed]) -> str:
    conditions = [name for name, one in names.items() if one.kind == "condition"]
    contradiction = "the equations and conditions contradict each other"
    if conditions:
        contradiction += f" (look at {', '.join(conditions[:NAMED])})"
    if problem.linear:
        return f"{contradiction}, or the solution has a kink or a jump that the file does not announce"
    return f"Newton's method stopped short of a solution, or {contradiction}"


def _percent(share: float) -> str:
    return f"{100 * share:.2g} %" if share < 0.995 else "100 %" if share < 1.5 else f"{share:.1e} times the size"


def _place(problem: CompiledProblem, one: Missed) -> str:
    return "most at " + ", ".join(f"{c} = {x:.3g}" for c, x in zip(problem.coordinates, one.place, strict=True))


def _because(outcome: Outcome[Result]) -> str:
    """What ended the refinement, where that is known."""
    reason = outcome.message or outcome.best.note
    return f": {reason}" if reason else ""


def _by_name(problem: CompiledProblem, estimate: Estimate, tolerances: Mapping[str, float]) -> str:
    """The errors that are asked for, each with its tolerance."""
    errors = {**by_unknown(estimate.relative, problem.complex_unknowns), **estimate.quantities}
    return ", ".join(f"`{name}` {errors[name]:.1e} ({tolerance:g})" for name, tolerance in tolerances.items())


def _status(problem: CompiledProblem, outcome: Outcome[Result], seen: Seen) -> tuple[str, str]:
    """The status word and a sentence with the next step."""
    result, tolerance = outcome.best, problem.settings.tolerance
    if outcome.status in PUBLIC:
        unknown = "" if result.estimate is not None or outcome.status != "time_limit" else NOT_ESTIMATED
        return outcome.status, outcome.message + unknown
    if not math.isfinite(result.worst):
        return "diverged", sentence("diverged")
    by_name = getattr(tolerance, "by_name", None)
    if by_name and result.estimate is not None:
        met = result.meets(tolerance)
        words = _by_name(problem, result.estimate, by_name)
        said = f"the estimated errors {'meet' if met else 'do not meet'} the tolerances: {words}"
        return ("converged", said) if met else ("tolerance_not_reached", f"{said}{_because(outcome)}")
    if result.meets(tolerance):
        return "converged", sentence("converged", estimate=result.worst, tolerance=tolerance)
    least = max(seen.rounding.values())
    if tolerance < least:
        return "tolerance_not_reached", BELOW_ROUNDING.format(tolerance=tolerance, least=least, estimate=result.worst)
    missed = sentence("tolerance_not_reached", estimate=result.worst, tolerance=tolerance)
    if (result.inverse or {}).get("limited_by") == "noise":
        return "tolerance_not_reached", (
            f"{missed} because of noise in the data; "
            "finer cells would not help, only more or better data, or a larger solve.tolerance"
        )
    if because := _because(outcome):
        return "tolerance_not_reached", f"{missed}{because}"
    largest = max(seen.terms, key=lambda name: seen.terms[name]["rms_residual"])
    return "tolerance_not_reached", (
        f"{missed}; the largest residual is that of `{largest}`. See whether a warning names a cause (a corner, a "
        "missing condition); else loosen solve.tolerance, or try another solve.basis and more solve.collocation points"
    )
