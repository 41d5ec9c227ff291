"""Symbols for what a basis can be asked for at a point, and total derivatives by them.

A `Feature` is anything linear that a basis can be asked for at a point: a derivative of an unknown by
multi-index, or a custom operator of it. In expressions a feature stands as a real sympy symbol whose name
the grammar cannot produce, so that derivatives with respect to it are ordinary partial derivatives
(the Frechet differential, Gelfand & Fomin, Calculus of Variations, section 1.3).

Input: names of coordinates and unknowns. Output: symbols and total derivatives. No array library.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import sympy as sp

from pinnsolve.language import operators
from pinnsolve.language.derivatives import partial_derivative, summands_with_symbols

MultiIndex = tuple[int, ...]
MAX_ORDER = 4  # of derivatives of an unknown: the jets are truncated there


@dataclass(frozen=True)
class Feature:
    """A linear functional of an unknown at a point.

    `alpha` is the multi-index of the derivative (over all coordinates, time included); with `operator`, the
    custom operator of that name is applied instead and `alpha` is zero. `side` is 0, or 1 for the partner
    point of a periodic pair.
    """

    unknown: str
    alpha: MultiIndex
    operator: str | None = None
    side: int = 0

    @property
    def order(self) -> int:
        return sum(self.alpha)

    def sort_key(self) -> tuple:
        return self.unknown, self.alpha, self.operator or "", self.side

    def label(self, coordinates: tuple[str, ...]) -> str:
        """As a reader would write it: `u`, `u_x`, `u_tt`, `memory(u)`."""
        name = f"{self.operator}({self.unknown})" if self.operator else self.unknown
        letters = "".join(c * a for c, a in zip(coordinates, self.alpha, strict=True))
        return name + (f"_{letters}" if letters else "") + ("'" if self.side else "")


def order_of(feature: Feature) -> int:
    """The order of a feature's derivative; for a custom operator, the one it was registered with."""
    operator = operators.OPERATORS.get(feature.operator)
    return max(feature.order, operator.order if operator else 0)


class FeatureSymbol(sp.Symbol):
    """A sympy symbol that stands for a `Feature`; real but while a complex unknown is turned into text."""

    __slots__ = ("feature",)

    def __new__(cls, feature: Feature, real: bool = True):
        alpha = ",".join(map(str, feature.alpha))
        name = f"{feature.unknown}{{{alpha};{feature.operator or ''};{feature.side}}}"
        symbol = sp.Symbol.__xnew__(cls, name, **({"real": True} if real else {"complex": True}))
        symbol.feature = feature
        return symbol

    def __getnewargs_ex__(self):
        return (self.feature, bool(self.is_real)), {}


class IntegralSymbol(sp.Symbol):
    """A real sympy symbol for the integral, or the mean, of an expression over a place in space at the same time.

    `kind`: `integral` or `mean`; `place`: the name of a place, empty for the domain; `space`: the names of the
    coordinates that are integrated over.
    """

    __slots__ = ("integrand", "kind", "place", "space")

    def __new__(cls, kind: str, integrand: sp.Expr, place: str, space: tuple[str, ...]):
        symbol = sp.Symbol.__xnew__(cls, f"{kind}{{{integrand}; {place}}}", real=True)
        symbol.kind, symbol.integrand, symbol.place, symbol.space = kind, integrand, place, space
        return symbol

    def __getnewargs_ex__(self):
        return (self.kind, self.integrand, self.place, self.space), {}

    def of(self, integrand: sp.Expr) -> sp.Expr:
        """The same of another integrand; zero of zero."""
        return sp.S.Zero if integrand == 0 else IntegralSymbol(self.kind, integrand, self.place, self.space)


INTEGRAL = "integral "  # begins the names of integrals in compiled terms, which no problem file can give


def is_integral(name: str) -> bool:
    """Whether the name in a linearization is that of an integral; else it is that of an unknown parameter."""
    return name.startswith(INTEGRAL)


def integrals_of(expression: sp.Basic) -> tuple[IntegralSymbol, ...]:
    """The integrals that an expression holds, those inside others first."""
    found: dict[IntegralSymbol, None] = {}
    here = (s for s in expression.free_symbols if isinstance(s, IntegralSymbol))
    for symbol in sorted(here, key=lambda s: s.name):
        found |= dict.fromkeys(integrals_of(symbol.integrand))
        found[symbol] = None
    return tuple(found)


def coordinate_symbol(name: str) -> sp.Symbol:
    """The sympy symbol of a coordinate, parameter or data column of that name."""
    return sp.Symbol(name, real=True)


def feature_symbol(unknown: str, alpha: MultiIndex, operator: str | None = None, side: int = 0) -> FeatureSymbol:
    """Return the symbol of a derivative, or of an operator, of an unknown."""
    return FeatureSymbol(Feature(unknown, tuple(alpha), operator, side))


def features_of(expression: sp.Basic) -> tuple[Feature, ...]:
    """The features an expression holds, sorted."""
    found = (s.feature for s in expression.free_symbols if isinstance(s, FeatureSymbol))
    return tuple(sorted(found, key=Feature.sort_key))


def drop_impulses(expression: sp.Expr) -> sp.Expr:
    """Derivatives of abs, sign, max, heaviside are taken almost everywhere: impulses at their jumps are dropped."""
    if not expression.has(sp.DiracDelta):
        return expression
    return expression.replace(sp.DiracDelta, lambda *_: sp.Integer(0))


class DerivativeError(ValueError):
    """A derivative that cannot be formed; the message says why."""


def total_derivative(expression: sp.Expr, axis: int, coordinates: tuple[str, ...]) -> sp.Expr:
    """D(expression, coordinate) by the chain rule through every feature.

    `axis` is the coordinate's position in `coordinates`. Raises `DerivativeError` beyond order `MAX_ORDER`
    and for custom operators, of which nobody knows the derivative.
    """
    parts, coordinate = summands_with_symbols(expression), coordinate_symbol(coordinates[axis])
    result = partial_derivative(parts.get(coordinate, sp.S.Zero), coordinate)
    for symbol in sorted((s for s in parts if isinstance(s, FeatureSymbol)), key=lambda s: s.name):
        feature = symbol.feature
        if feature.operator is not None:
            raise DerivativeError(f"derivatives of the custom operator `{feature.operator}` are not known")
        alpha = tuple(a + (i == axis) for i, a in enumerate(feature.alpha))
        if sum(alpha) > MAX_ORDER:
            raise DerivativeError(f"derivatives beyond order {MAX_ORDER} are not supported")
        moved = FeatureSymbol(replace(feature, alpha=alpha), real=bool(symbol.is_real))
        result += partial_derivative(parts[symbol], symbol) * moved
    for symbol in sorted((s for s in expression.free_symbols if isinstance(s, IntegralSymbol)), key=lambda s: s.name):
        if coordinates[axis] not in symbol.space:  # places do not move, so the derivative in time goes inside
            inner = symbol.of(total_derivative(symbol.integrand, axis, coordinates))
            result += partial_derivative(expression, symbol) * inner
    return drop_impulses(result)


@dataclass(frozen=True)
class UnknownParameter:
    """A constant to find: its name, where to start and the bounds that hold it.

    `candidate`: of one that stands before a term which may be no part of an equation, that equation and the term, as
    the file writes it; `function`: the unknown function that it is a constant of.
    """

    name: str
    guess: float
    bounds: tuple[float, float]
    candidate: tuple[str, str] | None = None
    function: str = ""


CANDIDATE = " in "  # stands in the names of constants before candidates, and in no name of a problem file


def is_candidate(symbol: sp.Symbol) -> bool:
    """Whether a symbol is the constant before a candidate."""
    return type(symbol) is sp.Symbol and CANDIDATE in symbol.name
