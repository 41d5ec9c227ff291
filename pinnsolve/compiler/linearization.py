"""A residual -> its Frechet differential by features and unknown parameters, and whether it is linear.

Input and output are sympy expressions. No array library.
"""

from __future__ import annotations

import sympy as sp

from pinnsolve.compiler.terms import Linearization
from pinnsolve.language.derivatives import partial_derivative, summands_with_symbols
from pinnsolve.language.symbols import FeatureSymbol

_STEPS = (sp.sign, sp.floor, sp.ceiling, sp.Heaviside)  # their derivative is 0, and they are not constant


def linearize(residual: sp.Expr, unknown_parameters: tuple[sp.Symbol, ...]) -> Linearization:
    """The derivatives of a residual by each feature and unknown parameter it holds. Raises `SizeError`."""
    parts = summands_with_symbols(residual)
    symbols = (s for s in parts if isinstance(s, FeatureSymbol))
    held = [p for p in unknown_parameters if p in parts]
    features = [(s.feature, partial_derivative(parts[s], s)) for s in sorted(symbols, key=_place)]
    return Linearization(tuple(features), tuple((p.name, partial_derivative(parts[p], p)) for p in held))


def _place(symbol: FeatureSymbol) -> tuple:
    return symbol.feature.sort_key()


def is_linear(residual: sp.Expr, linearization: Linearization, unknown_parameters: tuple[sp.Symbol, ...]) -> bool:
    """Linear, or refused by default: a coefficient that holds any feature or unknown parameter is not constant."""

    def holds_unknowns(expression: sp.Expr) -> bool:
        return any(isinstance(s, FeatureSymbol) or s in unknown_parameters for s in expression.free_symbols)

    coefficients = [c for _, c in linearization.features + linearization.parameters]
    return not any(map(holds_unknowns, [*coefficients, *residual.atoms(*_STEPS)]))
