"""An equation -> its divergence form: the flux along every coordinate, and what is left, which holds no derivatives.

Input: a residual, and the derivatives that are written in it. Output: F and s with residual = sum_a D(F_a, a) + s. What
a person writes as a derivative of something is that: of D(k*D(u, x), x) the flux is k*D(u, x). The rest is put together
from the highest derivative down: u*D(u, x) is D(u**2/2, x), and c*D(u, x, x) is D(c*D(u, x), x) less what that has too
much. No array library.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import sympy as sp

from pinnsolve.language.derivatives import partial_derivative
from pinnsolve.language.from_sympy import to_text
from pinnsolve.language.symbols import FeatureSymbol, coordinate_symbol, features_of, total_derivative
from pinnsolve.language.to_sympy import Fluxes

MOST = 40  # derivatives that are put into a flux one after another


class NoDivergence(ValueError):
    """The equation has no divergence form; the message is the part of it that has none, in our language."""


@dataclass(frozen=True)
class Divergence:
    """The residual is the divergence of the `flux`, by coordinate, plus the `source`, which holds no derivatives."""

    flux: tuple[sp.Expr, ...]
    source: sp.Expr


def divergence_form(residual: sp.Expr, written: Fluxes, coordinates: Sequence[str]) -> Divergence:
    """The divergence form of a residual; `written`: its derivatives as (axis, coefficient, what is differentiated).

    Raises `NoDivergence`.
    """
    flux: list[sp.Expr] = [sp.S.Zero] * len(coordinates)
    for axis, coefficient, inner in written:
        along = coordinate_symbol(coordinates[axis])
        if not features_of(coefficient) and along not in coefficient.free_symbols:
            flux[axis] += coefficient * inner
    divergence = sp.Add(*(total_derivative(f, axis, coordinates) for axis, f in enumerate(flux)))
    summands = sp.Add.make_args(residual)
    source = sp.Add(*(a for a in summands if _highest(a) is None))  # as it is written
    rest = _expanded(residual - source - divergence)
    for _ in range(MOST):
        symbol = _highest(rest)
        if symbol is None:
            return Divergence(tuple(flux), source + rest)
        coefficient = partial_derivative(rest, symbol)
        found = _flux_of(symbol, coefficient)
        if found is None:
            raise NoDivergence(to_text(coefficient * symbol, coordinates))
        axis, part = found
        flux[axis] += part
        rest = _expanded(rest - total_derivative(part, axis, coordinates))
    raise NoDivergence(to_text(rest, coordinates))


def _expanded(expression: sp.Expr) -> sp.Expr:
    """Products multiplied out, so that equal ones cancel; powers stay, whose parts may be beyond all numbers."""
    return sp.expand(expression, power_exp=False, power_base=False, log=False)


def _highest(expression: sp.Expr) -> FeatureSymbol | None:
    """The derivative of the highest order; None without any."""
    symbols = [s for s in expression.free_symbols if isinstance(s, FeatureSymbol) and s.feature.order]
    return max(symbols, key=lambda s: (s.feature.order, s.feature.sort_key()), default=None)


def _flux_of(symbol: FeatureSymbol, coefficient: sp.Expr) -> tuple[int, sp.Expr] | None:
    """The axis and the flux whose derivative holds `coefficient` times the symbol; None where there is none."""
    feature = symbol.feature
    axis = max(a for a, k in enumerate(feature.alpha) if k)
    lower = tuple(k - (a == axis) for a, k in enumerate(feature.alpha))
    below = FeatureSymbol(replace(feature, alpha=lower))
    others = [s for s in coefficient.free_symbols if isinstance(s, FeatureSymbol) and s != below]
    if others or feature.operator is not None:
        return None
    if below not in coefficient.free_symbols:
        return axis, coefficient * below
    return (axis, sp.integrate(coefficient, below)) if coefficient.is_polynomial(below) else None
