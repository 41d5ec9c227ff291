"""The intermediate form: what the symbolic half hands to the numerical half.

A `Feature` is anything linear that a basis can be asked for at a point: a derivative of an unknown by
multi-index, or a custom operator of it. In expressions a feature stands as a real sympy symbol whose name
the grammar cannot produce, so that derivatives with respect to it are ordinary partial derivatives
(the Frechet differential, Gelfand & Fomin, Calculus of Variations, section 1.3).

Input: names of coordinates and unknowns. Output: symbols, total derivatives, terms. No array library.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import sympy as sp

from pinnsolve import registry
from pinnsolve.derivatives import partial_derivative
from pinnsolve.geometry.regions import Intervals, Region
from pinnsolve.geometry.shape_tree import ShapeTree

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
    operator = registry.OPERATORS.get(feature.operator)
    return max(feature.order, operator.order if operator else 0)


class FeatureSymbol(sp.Symbol):
    """A real sympy symbol that stands for a `Feature`."""

    __slots__ = ("feature",)

    def __new__(cls, feature: Feature):
        alpha = ",".join(map(str, feature.alpha))
        name = f"{feature.unknown}{{{alpha};{feature.operator or ''};{feature.side}}}"
        symbol = sp.Symbol.__xnew__(cls, name, real=True)
        symbol.feature = feature
        return symbol

    def __getnewargs_ex__(self):
        return (self.feature,), {}


def coordinate_symbol(name: str) -> sp.Symbol:
    """The sympy symbol of a coordinate, parameter or data column of that name."""
    return sp.Symbol(name, real=True)


def feature_symbol(unknown: str, alpha: MultiIndex, operator: str | None = None, side: int = 0) -> FeatureSymbol:
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
    result = partial_derivative(expression, coordinate_symbol(coordinates[axis]))
    for symbol in sorted((s for s in expression.free_symbols if isinstance(s, FeatureSymbol)), key=lambda s: s.name):
        feature = symbol.feature
        if feature.operator is not None:
            raise DerivativeError(f"derivatives of the custom operator `{feature.operator}` are not known")
        alpha = tuple(a + (i == axis) for i, a in enumerate(feature.alpha))
        if sum(alpha) > MAX_ORDER:
            raise DerivativeError(f"derivatives beyond order {MAX_ORDER} are not supported")
        result += partial_derivative(expression, symbol) * feature_symbol(feature.unknown, alpha, side=feature.side)
    return drop_impulses(result)


@dataclass(frozen=True)
class Linearization:
    """The Frechet differential of one residual: a coefficient per feature and per unknown parameter."""

    features: tuple[tuple[Feature, sp.Expr], ...]
    parameters: tuple[tuple[str, sp.Expr], ...]


@dataclass(frozen=True)
class Term:
    """One named term of the loss: residuals that should vanish on a region, and their linearizations.

    `residuals` are expressions in coordinates, features, unknown parameters, normals and data columns, with
    every known parameter folded in. The term is `linear` when its linearizations hold no feature and no
    unknown parameter. `data_file` names measured points, which replace points sampled on the region.
    """

    name: str
    kind: str  # "equation", "condition" or "data"
    region: Region
    residuals: tuple[sp.Expr, ...]
    linearizations: tuple[Linearization, ...]
    linear: bool
    data_file: Path | None = None
    noise: float | None = None
    robust: bool = False  # outliers count by their size, not its square

    @property
    def features(self) -> tuple[Feature, ...]:
        return tuple(sorted({f for r in self.residuals for f in features_of(r)}, key=Feature.sort_key))

    @property
    def order(self) -> int:
        """The highest order of derivative in the term, as registered for custom operators."""
        return max(map(order_of, self.features), default=0)


@dataclass(frozen=True)
class Material:
    """A part of the domain in which all coefficients are smooth: where levels are negative or not, as `signs` say.

    `within`: the groups of cells of a mesh that it lies in, of those that equations name.
    """

    shape: ShapeTree
    signs: tuple[tuple[sp.Expr, bool], ...]
    within: tuple[str, ...] = ()


def _one_side(expression: sp.Expr) -> dict[sp.Symbol, sp.Symbol]:
    symbols = (s for s in expression.free_symbols if isinstance(s, FeatureSymbol) and s.feature.side)
    return {s: FeatureSymbol(replace(s.feature, side=0)) for s in symbols}


@dataclass(frozen=True)
class Interface:
    """What holds between two materials, numbers `sides`: a term whose features are of side 0 and 1.

    The normal points out of the first. `axis`: of periodic faces across which the two meet, the first at the upper one.
    """

    sides: tuple[int, int]
    term: Term
    axis: int | None = None

    @property
    def kinks(self) -> bool:
        """Whether smooth functions miss what holds: it says something of them where both sides are the same."""
        same = (r.xreplace(_one_side(r)) for r in self.term.residuals)
        return any(sp.expand(r) != 0 for r in same)


@dataclass(frozen=True)
class CompiledProblem:
    """The weighted K-term loss before weights: what `assembly` needs, and nothing of the file it came from.

    `shape` is the domain in space where it is no box; `intervals` then span a box around it, and time. Where
    coefficients jump, `materials` are the parts in which they do not, and `interfaces` what holds between these.
    """

    coordinates: tuple[str, ...]
    intervals: Intervals
    time: str | None
    unknowns: tuple[str, ...]
    unknown_parameters: tuple[UnknownParameter, ...]
    terms: tuple[Term, ...]
    shape: ShapeTree | None = None
    materials: tuple[Material, ...] = ()
    interfaces: tuple[Interface, ...] = ()
    regularization: tuple[Regularization, ...] = ()

    @property
    def linear(self) -> bool:
        return all(term.linear for term in self.terms)

    @property
    def order(self) -> int:
        return max(term.order for term in self.terms)


@dataclass(frozen=True)
class Regularization:
    """The seminorm of an unknown function that should be small: of derivatives of that order, with that weight.

    The weight is a number, or the name of the criterion that chooses it.
    """

    unknown: str
    order: int
    weight: float | str


@dataclass(frozen=True)
class UnknownParameter:
    """A constant to find: its name, where to start and the bounds that hold it."""

    name: str
    guess: float
    bounds: tuple[float, float]
