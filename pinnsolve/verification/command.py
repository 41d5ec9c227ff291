"""`pinnsolve verify` and `ps.verify`: the order of convergence of a problem, by one call."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from pinnsolve.errors import Diagnostic, ProblemError
from pinnsolve.problem.problem import Problem
from pinnsolve.verification.manufactured import why_not, with_manufactured
from pinnsolve.verification.orders import DEGREES, TOLERANCES, CellRow, ToleranceRow, Verification
from pinnsolve.verification.orders import verify as measured

LEAST_TOLERANCE = 1e-12


def verify(
    problem: Problem,
    manufactured: bool | Mapping[str, str] = False,
    degrees: Sequence[int] = DEGREES,
    tolerances: Sequence[float] = TOLERANCES,
    told: Callable[[CellRow | ToleranceRow], None] = lambda row: None,
) -> Verification:
    """How fast the errors of a problem fall: on equal cells of these degrees, and with these tolerances.

    Against its exact solution where it states one; else, or where it is asked for, against a `manufactured` one: True
    for functions of our choice, or a text for each unknown. Raises `ProblemError` where there is no truth to compare
    with, and for numbers that make no sense.
    """
    wrong = [d for d in degrees if not 1 <= d <= 20] + [t for t in tolerances if not LEAST_TOLERANCE <= t < 1]
    if wrong:
        hint = f"degrees are whole numbers from 1 to 20, tolerances numbers from {LEAST_TOLERANCE:g} to 1"
        raise ProblemError([Diagnostic(f"{wrong[0]:g} makes no sense here", hint=hint)])
    texts = dict(manufactured) if isinstance(manufactured, Mapping) else None
    if manufactured or not problem.exact:
        against = "a manufactured solution"
        if not manufactured and why_not(problem) is not None:
            message = f"there is no exact solution, and none can be manufactured: {why_not(problem)}"
            raise ProblemError([Diagnostic(message, hint="state `exact` in the file")])
        return measured(with_manufactured(problem, texts), against, degrees, tolerances, told)
    return measured(problem, "the exact solution", degrees, tolerances, told)


def read_manufactured(texts: Sequence[str], problem: Problem) -> dict[str, str]:
    """`u=sin(x)` by unknown. Raises `ProblemError` for a text without an unknown where there are several."""
    found = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if not equals and len(problem.spec.unknowns) == 1:
            name, value = problem.spec.unknowns[0], text
        elif not equals:
            hint = f"write `--manufactured {problem.spec.unknowns[0]}=...`"
            raise ProblemError([Diagnostic("there are several unknowns", text=text, hint=hint)])
        found[name.strip()] = value
    return found


def numbers(text: str, kind: type) -> list:
    """The numbers of a text such as `3,5`. Raises `ProblemError`."""
    try:
        return [kind(part) for part in text.split(",")]
    except ValueError:
        hint = "separate them by commas, as in `1e-2,1e-6`" if kind is float else "separate them by commas, as in `3,5`"
        raise ProblemError([Diagnostic("numbers are expected", text=text, hint=hint)]) from None
