"""Substitution of values for symbols without sympy's automatic re-evaluation.

Input: an expression and what stands for some of its symbols. Output: the same expression with these put in. sympy's own
`xreplace` builds every node anew as if typed in, and asks of each `max`, `abs` and comparison whether it can be
decided, which takes it seconds for nested ones.
"""

from __future__ import annotations

from collections.abc import Mapping

import sympy as sp
from sympy.core.relational import Relational
from sympy.functions.elementary.piecewise import ExprCondPair

_ASKING = (sp.Max, sp.Min, sp.Abs, Relational)  # decided only where they are about numbers


def substituted(expression: sp.Basic, values: Mapping[sp.Basic, sp.Basic]) -> sp.Basic:
    """The expression with `values` in place of the symbols (or numbers) that are its keys."""
    return _substituted(expression, values, {})


def _substituted(e: sp.Basic, values: Mapping[sp.Basic, sp.Basic], known: dict) -> sp.Basic:
    if e in values:
        return values[e]
    if not e.args:
        return e
    if e not in known:
        arguments = [_substituted(a, values, known) for a in e.args]
        same = all(a is b for a, b in zip(arguments, e.args, strict=True))
        known[e] = e if same else _built(e, arguments)
    return known[e]


def _built(e: sp.Basic, arguments: list[sp.Basic]) -> sp.Basic:
    if isinstance(e, sp.Max | sp.Min):
        arguments = list(dict.fromkeys(arguments))
        if len(arguments) == 1:
            return arguments[0]
    if isinstance(e, _ASKING) and not all(a.is_number for a in arguments):
        return e.func(*arguments, evaluate=False)
    if isinstance(e, sp.Piecewise):
        return _piecewise(arguments)
    return e.func(*arguments)


def _piecewise(branches: list[ExprCondPair]) -> sp.Expr:
    """Without the branches that cannot be; a single one left is the value itself."""
    kept = []
    for value, condition in branches:
        if condition != sp.false:
            kept.append((value, condition))
        if condition == sp.true:
            break
    return kept[0][0] if kept and kept[0][1] == sp.true else sp.Piecewise(*kept, evaluate=False)
