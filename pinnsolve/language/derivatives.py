"""Derivatives almost everywhere, on a budget.

Input: a sympy expression of real symbols and one of them. Output: the partial derivative, with `abs`, `sign`, `max`,
`min`, `floor`, `heaviside` and `where` differentiated almost everywhere: the measure that sits on their kinks is left
out, since residuals are sampled at points. sympy's own `diff` brings in DiracDelta and unevaluated derivatives there,
and has no limit.
"""

from __future__ import annotations

from collections.abc import Callable

import sympy as sp
from sympy.functions.elementary.piecewise import ExprCondPair

MAX_SIZE = 60_000  # nodes of a derivative as it is first formed


class SizeError(ValueError):
    """The derivative would be too large."""


def partial_derivative(expression: sp.Expr, symbol: sp.Symbol) -> sp.Expr:
    """The partial derivative of an expression by one of its symbols. Raises `SizeError` before it grows too large."""
    sizes: dict[sp.Basic, tuple[int, int]] = {}
    if _measure(expression, symbol, sizes)[1] > MAX_SIZE:
        raise SizeError("the derivative is too large: more than a second's work")
    return _derivative(expression, symbol, sizes, {})


def summands_with_symbols(expression: sp.Expr) -> dict[sp.Symbol, sp.Expr]:
    """For each symbol of an expression the sum of the summands that hold it: all that its derivative needs.

    Of hundreds of summands in hundreds of symbols, each of which holds few.
    """
    found: dict[sp.Symbol, list[sp.Expr]] = {}
    for summand in sp.Add.make_args(expression):
        for symbol in summand.free_symbols:
            found.setdefault(symbol, []).append(summand)
    return {symbol: sp.Add(*summands) for symbol, summands in found.items()}


def _measure(expression: sp.Basic, symbol: sp.Symbol, sizes: dict) -> tuple[int, int]:
    """Nodes of an expression, and of its derivative before sympy simplifies: none where the symbol does not occur."""
    if expression in sizes:
        return sizes[expression]
    parts = [_measure(argument, symbol, sizes) for argument in expression.args]
    size = 1 + sum(s for s, _ in parts)
    if not parts:
        derived = int(expression == symbol)
    elif not any(d for _, d in parts):
        derived = 0
    elif expression.is_Add or isinstance(expression, sp.Piecewise | ExprCondPair):
        derived = 1 + sum(d for _, d in parts)
    else:
        derived = 1 + sum(d + size for _, d in parts if d)
    sizes[expression] = (size, derived)
    return size, derived


def _derivative(f: sp.Expr, x: sp.Symbol, sizes: dict, known: dict) -> sp.Expr:
    if f == x:
        return sp.S.One
    if not sizes[f][1]:
        return sp.S.Zero
    if f not in known:
        known[f] = _rule(f, lambda g: _derivative(g, x, sizes, known))
    return known[f]


def _rule(f: sp.Expr, derivative: Callable[[sp.Expr], sp.Expr]) -> sp.Expr:
    """The derivative of an expression from those of its arguments."""
    args = f.args
    if f.is_Add:
        return sp.Add(*map(derivative, args))
    if f.is_Mul:
        return sp.Add(*(_product_term(args, i, derivative(a)) for i, a in enumerate(args)))
    if isinstance(f, sp.Piecewise):
        return sp.Piecewise(*((derivative(value), condition) for value, condition in args), evaluate=False)
    return sp.Add(*(_outer(f, i) * d for i, a in enumerate(args) if (d := derivative(a)) != 0))


def _product_term(factors: tuple[sp.Expr, ...], place: int, derived: sp.Expr) -> sp.Expr:
    return sp.S.Zero if derived == 0 else sp.Mul(*factors[:place], derived, *factors[place + 1 :])


def _outer(f: sp.Expr, place: int) -> sp.Expr:
    """The derivative of a function or power by its argument at `place`."""
    args = f.args
    if isinstance(f, sp.Pow):
        base, exponent = args
        return exponent * base ** (exponent - 1) if place == 0 else sp.log(base) * f
    if isinstance(f, sp.exp):
        return f
    if isinstance(f, sp.Abs):
        return sp.sign(args[0])
    if isinstance(f, sp.sign | sp.floor | sp.ceiling | sp.Heaviside | sp.DiracDelta):
        return sp.S.Zero
    if isinstance(f, sp.Max | sp.Min):
        rest = args[:place] + args[place + 1 :]
        other = f.func(*rest, evaluate=False) if len(rest) > 1 else rest[0]
        lead = args[place] - other
        return sp.Heaviside(lead if isinstance(f, sp.Max) else -lead)
    if isinstance(f, sp.besselj):
        order, argument = args
        return (sp.besselj(order - 1, argument) - sp.besselj(order + 1, argument)) / 2
    return f.fdiff(place + 1)
