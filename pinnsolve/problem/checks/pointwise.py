"""Expressions at single points, in plain floats, without an array library and without generated code.

Input: a sympy expression or condition of our language. Output: a function of `{symbol: value}`; and points of a box at
which it is worth a look.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import islice, product
from typing import Any

import mpmath
import sympy as sp

MOST_CORNERS = 64  # of a box that are looked at
Values = Mapping[sp.Symbol, float]
UNDEFINED = (ArithmeticError, ValueError, TypeError, KeyError)  # what a function raises where it has no value

_FUNCTIONS: dict[type, Callable[..., float]] = {
    **{getattr(sp, name): getattr(math, name) for name in ("sin", "cos", "tan", "asin", "acos", "atan", "atan2")},
    **{getattr(sp, name): getattr(math, name) for name in ("sinh", "cosh", "tanh", "exp", "log", "erf", "floor")},
    sp.besselj: lambda order, a: float(mpmath.besselj(order, a)),
    sp.Abs: abs,
    sp.Max: max,
    sp.Min: min,
    sp.sign: lambda a: (a > 0) - (a < 0),
    sp.Heaviside: lambda a, at_zero=0.5: at_zero if a == 0 else float(a > 0),
}
_RELATIONS = {"<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge, "==": operator.eq}
_RELATIONS["!="] = operator.ne


def function_of(expression: sp.Basic) -> Callable[[Values], Any]:
    """The expression as a function of the values of its symbols. It raises one of `UNDEFINED` where it has no value."""
    if isinstance(expression, sp.Expr) and expression.is_number:
        return _constant(expression)
    if expression in (sp.true, sp.false):
        truth = expression == sp.true
        return lambda at: truth
    if expression.is_Symbol:
        return lambda at: at[expression]
    if isinstance(expression, sp.Piecewise):
        return _piecewise(expression)
    parts = [function_of(argument) for argument in expression.args]
    if expression.is_Add:
        return lambda at: math.fsum(part(at) for part in parts)
    if expression.is_Mul:
        return lambda at: math.prod(part(at) for part in parts)
    if isinstance(expression, sp.And):
        return lambda at: all(part(at) for part in parts)
    if isinstance(expression, sp.Or):
        return lambda at: any(part(at) for part in parts)
    if isinstance(expression, sp.Not):
        return lambda at: not parts[0](at)
    if isinstance(expression, sp.core.relational.Relational):
        function = _RELATIONS[expression.rel_op]
    else:
        function = math.pow if expression.is_Pow else _FUNCTIONS.get(expression.func) or _by_sympy(expression)
    return lambda at: function(*(part(at) for part in parts))


def _constant(expression: sp.Expr) -> Callable[[Values], float]:
    try:
        value = float(expression)
    except (TypeError, OverflowError):
        value = math.nan

    def constant(at: Values) -> float:
        return value

    return constant


def _piecewise(expression: sp.Piecewise) -> Callable[[Values], float]:
    branches = [(function_of(condition), function_of(value)) for value, condition in expression.args]

    def chosen(at: Values) -> float:
        for condition, value in branches:
            if condition(at):
                return value(at)
        raise ValueError("no branch")

    return chosen


def _by_sympy(expression: sp.Expr) -> Callable[..., float]:
    return lambda *values: float(expression.func(*values).evalf())


def value_at(function: Callable[[Values], Any], at: Values) -> float | None:
    """The value of a function made by `function_of`; None where it has none, or no finite one."""
    try:
        value = float(function(at))
    except UNDEFINED:
        return None
    return value if math.isfinite(value) else None


def holds_at(condition: Callable[[Values], Any] | None, at: Values) -> bool:
    """Whether a `where` holds; without one, everywhere."""
    try:
        return condition is None or bool(condition(at))
    except UNDEFINED:
        return False


# -- points -------------------------------------------------------------------------------------------------


def scattered(count: int, intervals: Sequence[tuple[float, float]]) -> Iterator[tuple[float, ...]]:
    """Points (d,) spread evenly over a box, none of them on a plane a person would name.

    The additive recurrence with powers of the root of r**(d+1) = r + 1 (M. Roberts, The unreasonable effectiveness of
    quasirandom sequences, 2018).
    """
    d = len(intervals)
    root = 1.5
    for _ in range(60):
        root = (1 + root) ** (1 / (d + 1))
    for k in range(1, count + 1):
        shares = ((0.5 + k * root ** -(i + 1)) % 1 for i in range(d))
        yield tuple(low + share * (high - low) for share, (low, high) in zip(shares, intervals, strict=True))


def landmarks(intervals: Sequence[tuple[float, float]]) -> Iterator[tuple[float, ...]]:
    """The midpoint of a box, corners (all of few coordinates), and a few points (d,) where nothing is symmetric."""
    yield tuple((low + high) / 2 for low, high in intervals)
    if intervals:
        yield from islice(product(*intervals), MOST_CORNERS)
        yield from scattered(3, intervals)
