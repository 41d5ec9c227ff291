"""The divergence forms of conservative equations -> terms for fluxes and sources, in every material.

Input: a stated problem, its compiled form with materials. Output: `Balance`s. No array library.
"""

from __future__ import annotations

from collections.abc import Mapping

import sympy as sp

from pinnsolve.compiler.linearization import is_linear, linearize
from pinnsolve.compiler.materials import decided
from pinnsolve.compiler.terms import Balance, CompiledProblem, Term
from pinnsolve.geometry import regions
from pinnsolve.language.substitution import substituted
from pinnsolve.language.symbols import coordinate_symbol
from pinnsolve.problem.problem import Problem


def compiled_balances(
    problem: Problem, compiled: CompiledProblem, parameters: Mapping[sp.Symbol, sp.Expr]
) -> tuple[Balance, ...]:
    """The balances that a problem asks for; those of an equation with several residuals are numbered."""
    found = []
    for statement in problem.statements:
        for number, form in enumerate(statement.balances, 1):
            name = statement.name if len(statement.balances) == 1 else f"{statement.name} {number}"
            normals = (coordinate_symbol(f"n_{c}") for c in problem.coordinates)
            flux = substituted(sp.Add(*(f * n for f, n in zip(form.flux, normals, strict=True))), parameters)
            source = substituted(form.source, parameters)
            materials = compiled.materials or (None,)
            through, sources = (tuple(e if m is None else decided(e, m) for m in materials) for e in (flux, source))
            found.append(
                Balance(
                    name,
                    tuple(_term(name, e) for e in through),
                    tuple(None if e == 0 else _term(name, e) for e in sources),
                )
            )
    return tuple(found)


def _term(name: str, expression: sp.Expr) -> Term:
    linearization = linearize(expression, ())
    linear = is_linear(expression, linearization, ())
    return Term(name, "equation", regions.domain(), (expression,), (linearization,), linear)
