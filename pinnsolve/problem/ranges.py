"""Problems with ranges of parameters: their members, and what has to hold for all of them.

A member is the problem at one value of each range. Its text is that of the file with numbers in the place of ranges,
so that it is read and checked as if it had been written so. No array library.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace

from pinnsolve.errors import Diagnostic, ProblemError
from pinnsolve.problem.stated import StatedProblem
from pinnsolve.spec.spec import Spec, spec_with_parameters

MOST_RANGES = 6
NOT_OVER_RANGES = {  # keys of a file that ask for something else than a function of ranges
    "state_functions": "functions are found from data for one value of the parameters",
    "discover": "terms are found from data for one value of the parameters",
    "data": "data are measured at one value of the parameters",
    "eigenvalues": "eigenvalues are found for one value of the parameters",
    "reference": "a reference is a solution for one value of the parameters",
}


def range_diagnostics(problem: StatedProblem, build: Callable[[Spec], StatedProblem]) -> Iterator[Diagnostic]:
    """What is wrong with a problem as one over its ranges, or doubtful at their ends and not in their middle."""
    spec = problem.spec
    for key, why in NOT_OVER_RANGES.items():
        if getattr(spec, key):
            hint = f"give `{next(iter(problem.ranges))}` one value; `pinnsolve sweep` solves a file for many"
            yield spec.diagnostic((key,), f"`{key}` does not go with ranges of parameters: {why}", hint)
    if problem.homes:
        yield spec.diagnostic(("unknowns",), "unknowns that live in a part of the domain do not go with ranges yet")
    if len(problem.ranges) > MOST_RANGES:
        yield spec.diagnostic(("parameters",), f"{len(problem.ranges)} ranges: at most {MOST_RANGES} are supported")
        return
    moved = False
    known = {d.key for d in problem.warnings}
    for share in (0.0, 1.0):
        values = {name: spanned.value(share) for name, spanned in problem.ranges.items()}
        words = ", ".join(f"{name} = {value:.6g}" for name, value in values.items())
        try:
            end = build(spec_with_parameters(spec, values))
        except ProblemError as error:
            yield from (replace(d, message=f"where {words}: {d.message}") for d in error.diagnostics)
            continue
        yield from (replace(d, message=f"where {words}: {d.message}") for d in end.warnings if d.key not in known)
        moved = moved or (problem.intervals, problem.shape) != (end.intervals, end.shape)
    if moved:
        yield _moved(problem)


def _moved(problem: StatedProblem) -> Diagnostic:
    """The error where the domain is another one at the end of a range: members are functions on the same domain."""
    key = "coordinates" if problem.shape is None else "domain"
    names = " and ".join(f"`{name}`" for name in problem.ranges)
    hint = "state the problem in coordinates divided by the size of the domain"
    return problem.spec.diagnostic((key,), f"the domain changes with the range of {names}", hint)
