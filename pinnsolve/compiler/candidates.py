"""Unknown parameters taken away: the same problem where some of them are zero. No array library."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace

import sympy as sp

from pinnsolve.compiler.linearization import is_linear
from pinnsolve.compiler.terms import CompiledProblem, Linearization, Term
from pinnsolve.language.substitution import substituted
from pinnsolve.language.symbols import coordinate_symbol


def without(problem: CompiledProblem, names: Collection[str]) -> CompiledProblem:
    """The problem without these unknown parameters, and without what they stand before."""
    nothing = {coordinate_symbol(name): sp.S.Zero for name in names}
    left = tuple(p for p in problem.unknown_parameters if p.name not in names)
    symbols = tuple(coordinate_symbol(p.name) for p in left)
    terms = tuple(_without(term, nothing, symbols) for term in problem.terms)
    return replace(problem, terms=terms, unknown_parameters=left)


def _without(term: Term, nothing: dict[sp.Symbol, sp.Expr], left: tuple[sp.Symbol, ...]) -> Term:
    if not any(r.free_symbols & nothing.keys() for r in term.residuals):
        return term
    residuals = tuple(substituted(residual, nothing) for residual in term.residuals)
    linearizations = tuple(_left(one, nothing) for one in term.linearizations)
    linear = all(is_linear(r, one, left) for r, one in zip(residuals, linearizations, strict=True))
    return replace(term, residuals=residuals, linearizations=linearizations, linear=linear)


def _left(linearization: Linearization, nothing: dict[sp.Symbol, sp.Expr]) -> Linearization:
    gone = {symbol.name for symbol in nothing}
    features = ((feature, substituted(e, nothing)) for feature, e in linearization.features)
    parameters = ((name, substituted(e, nothing)) for name, e in linearization.parameters if name not in gone)
    return Linearization(tuple((f, e) for f, e in features if e != 0), tuple(parameters))
