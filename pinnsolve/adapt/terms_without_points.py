"""Terms that hold at no point of the cells: a solution that leaves them out is none, however small its error looks."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from pinnsolve.adapt.context import Result
from pinnsolve.compiler.terms import CompiledProblem
from pinnsolve.solvers.follow import Outcome

UNKNOWN = 1.0  # relative error of what a left out term would change
LEFT_OUT = (
    "no point of the cells lies where {names} holds, so it took no part; its `where` names a very small place "
    "or none; see that it is right"
)


def with_all_terms(problem: CompiledProblem, results: Iterator[Result | Outcome], tolerance: float):
    """The results, those that leave out a term with an error that says so; none follow what would have been enough."""
    for result in results:
        names = [] if isinstance(result, Outcome) else _left_out(problem, result)
        if isinstance(result, Outcome) or not names or result.estimate is None:
            yield result
            continue
        estimate = result.estimate.at_least(dict.fromkeys(problem.unknowns, UNKNOWN))
        message = LEFT_OUT.format(names=", ".join(f"`{name}`" for name in names))
        yield replace(result, estimate=estimate, note=message)
        if result.meets(tolerance):
            yield Outcome(None, "left_out", message)


def _left_out(problem: CompiledProblem, result: Result) -> list[str]:
    return [term.name for term in problem.terms if not result.points.get(term.name)]
