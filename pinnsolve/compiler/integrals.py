"""The integrals in equations and conditions -> names by which terms hold them, and their linearizations.

Input: a stated problem. Output: `Integral`s, those inside others first. No array library.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import sympy as sp

from pinnsolve.compiler.linearization import is_linear, linearize
from pinnsolve.compiler.terms import Integral, Quantity
from pinnsolve.language.substitution import substituted
from pinnsolve.language.symbols import INTEGRAL, IntegralSymbol, coordinate_symbol, is_integral
from pinnsolve.problem.problem import Problem
from pinnsolve.problem.stated import StatedQuantity


def compiled_quantity(stated: StatedQuantity, parameters: Mapping[sp.Symbol, Any]) -> Quantity:
    """The quantity with known parameters folded in, its integrals as quantities of their own."""
    names: dict[IntegralSymbol, sp.Symbol] = {}
    inner = []
    for number, (symbol, region) in enumerate(stated.integrals.items(), 1):
        integrand = substituted(symbol.integrand.xreplace(names), parameters)
        names[symbol] = coordinate_symbol(f"{INTEGRAL}{number} of {stated.name}")
        inner.append(Quantity(names[symbol].name, symbol.kind, integrand, region))
    expression = substituted(stated.expression.xreplace(names), parameters)
    return Quantity(stated.name, stated.kind, expression, stated.region, tuple(inner))


def integral_names(problem: Problem) -> dict[IntegralSymbol, sp.Symbol]:
    """What stands for every integral in compiled terms."""
    return {symbol: coordinate_symbol(f"{INTEGRAL}{number}") for number, symbol in enumerate(problem.integrals)}


def compiled_integrals(
    problem: Problem,
    names: Mapping[IntegralSymbol, sp.Symbol],
    parameters: Mapping[sp.Symbol, sp.Expr],
    unknown_parameters: tuple[sp.Symbol, ...],
) -> tuple[Integral, ...]:
    """The integrals of a problem, with parameters folded in. Raises `SizeError`."""
    found: list[Integral] = []
    for symbol, region in problem.integrals.items():
        expression = substituted(symbol.integrand, {**parameters, **names})
        inside = tuple(coordinate_symbol(one.name) for one in found)
        linearization = linearize(expression, (*unknown_parameters, *inside))
        nonlinear = {coordinate_symbol(one.name) for one in found if not one.linear}
        linear = is_linear(expression, linearization, (*unknown_parameters, *inside))
        found.append(
            Integral(
                names[symbol].name,
                symbol.kind == "mean",
                expression,
                region,
                linearization.features,
                tuple((name, slope) for name, slope in linearization.parameters if is_integral(name)),
                linear and not nonlinear & expression.free_symbols,
            )
        )
    return tuple(found)
