"""Numbers whose squares double precision cannot hold: least squares of them is not defined.

Input: a `StatedProblem`. Output: an error for every statement that holds one, other than in comparisons.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

import sympy as sp
from sympy.logic.boolalg import Boolean

from pinnsolve.errors import Diagnostic
from pinnsolve.language.symbols import coordinate_symbol
from pinnsolve.problem.checks.findings import error
from pinnsolve.problem.checks.pointwise import UNDEFINED

if TYPE_CHECKING:
    from pinnsolve.problem.stated import StatedProblem

LARGEST = 1e140  # the square of a sum of a million of these is a number still


def too_large_numbers(problem: StatedProblem) -> Iterator[Diagnostic]:
    """An error for every statement with a number that is larger than `LARGEST`."""
    values = {coordinate_symbol(name): value for name, value in problem.parameters.items()}
    for statement in problem.statements:
        for residual in statement.residuals:
            found = next((n for n in _numbers(residual, values) if not abs(n) <= LARGEST), None)
            if found is not None:
                hint = "state the problem in units in which its numbers are near 1: u = c*v with a constant c"
                message = (
                    f"`{statement.name}` holds the number {abs(found):.3g}, whose square is beyond double precision"
                )
                yield error(problem, statement.key, message, hint)
                break


def _numbers(expression: sp.Basic, values: Mapping[sp.Symbol, float]) -> Iterator[float]:
    """The largest parts of an expression that are numbers, and the parameters in it."""
    if expression in values:
        yield values[expression]
    elif isinstance(expression, sp.Expr) and expression.is_number:
        yield _value(expression)
    elif not isinstance(expression, Boolean):
        for argument in expression.args:
            yield from _numbers(argument, values)


def _value(expression: sp.Expr) -> float:
    try:
        return float(expression)
    except OverflowError:
        return float("inf")
    except UNDEFINED:  # no real number: others say so
        return 0.0
