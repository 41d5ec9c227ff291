"""The intermediate form: what the symbolic half hands to the numerical half.

Input: symbols of features, see `language.symbols`. Output: terms and the compiled problem. No array library.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

import sympy as sp

from pinnsolve.geometry.regions import Intervals, Region, Subdomain
from pinnsolve.geometry.shapes import ShapeTree
from pinnsolve.language.components import by_component, groups_of
from pinnsolve.language.coordinates import Coordinates
from pinnsolve.language.symbols import Feature, FeatureSymbol, UnknownParameter, features_of, is_integral, order_of
from pinnsolve.problem.stated import Eigenvalues
from pinnsolve.spec.parsed import TermWeights
from pinnsolve.spec.schema.solve import SolveSettings


@dataclass(frozen=True)
class Linearization:
    """The Frechet differential of one residual: a coefficient per feature, and per unknown parameter or integral."""

    features: tuple[tuple[Feature, sp.Expr], ...]
    parameters: tuple[tuple[str, sp.Expr], ...]

    @property
    def held_value(self) -> tuple[str, sp.Expr] | None:
        """The unknown whose value alone a residual holds, and the number before it; None where it holds more."""
        if len(self.features) != 1 or self.parameters:
            return None
        ((feature, factor),) = self.features
        plain = not feature.order and feature.operator is None and not feature.side
        return (feature.unknown, factor) if plain and factor.is_number and factor != 0 else None


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
    exactly: bool = False  # holds to rounding

    @property
    def features(self) -> tuple[Feature, ...]:
        return tuple(sorted({f for r in self.residuals for f in features_of(r)}, key=Feature.sort_key))

    @property
    def integrals(self) -> tuple[str, ...]:
        """The names of the integrals that its residuals hold."""
        held = {name for linearization in self.linearizations for name, _ in linearization.parameters}
        return tuple(sorted(name for name in held if is_integral(name)))

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
    """The conditions between two materials, numbers `sides`: a term whose features are of side 0 and 1.

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
class Between:
    """Conditions where two subdomains meet: residuals, whose normal points out of the first."""

    name: str
    residuals: tuple[sp.Expr, ...]
    sides: tuple[Subdomain, Subdomain]


@dataclass(frozen=True)
class CompiledProblem:
    """The weighted K-term loss before weights: what `assembly` needs, and nothing of the file it came from.

    `shape` is the domain in space where it is no box; `intervals` then span a box around it, and time. Where
    coefficients jump, `materials` are the parts in which they do not, and `interfaces` what holds between these.
    `homes` are where unknowns live that do not live everywhere, and `between` what the file states where regions meet.
    `settings` say how to solve it; `undetermined_constants` are unknowns determined up to a constant.
    """

    axes: Coordinates
    intervals: Intervals
    unknowns: tuple[str, ...]
    unknown_parameters: tuple[UnknownParameter, ...]
    terms: tuple[Term, ...]
    shape: ShapeTree | None = None
    materials: tuple[Material, ...] = ()
    interfaces: tuple[Interface, ...] = ()
    homes: Mapping[str, Subdomain] = field(default_factory=dict)
    between: tuple[Between, ...] = ()
    regularization: tuple[Regularization, ...] = ()
    quantities: tuple[Quantity, ...] = ()
    integrals: tuple[Integral, ...] = ()
    balances: tuple[Balance, ...] = ()
    eigenvalues: Eigenvalues | None = None
    settings: SolveSettings = field(default_factory=SolveSettings)
    term_weights: TermWeights | None = None
    undetermined_constants: tuple[str, ...] = ()
    complex_unknowns: tuple[str, ...] = ()
    vectors: tuple[tuple[str, ...], ...] = ()  # the components of each
    state_functions: tuple[StateFunction, ...] = ()

    @property
    def candidates(self) -> tuple[UnknownParameter, ...]:
        """The constants before terms that may be no part of their equation."""
        return tuple(p for p in self.unknown_parameters if p.candidate is not None)

    @property
    def groups(self) -> tuple[tuple[int, ...], ...]:
        """The places of unknowns that are one thing: the parts of a complex one, the components of a vector."""
        return groups_of(self.unknowns, self.complex_unknowns, self.vectors)

    def weights_at(self, width: int) -> dict[str, float] | None:
        """The term weights that the file asks for, for a basis of that width; None where they are `auto`."""
        return None if self.term_weights is None else self.term_weights.at(width)

    @property
    def coordinates(self) -> tuple[str, ...]:
        """The names of the coordinates."""
        return self.axes.names

    @property
    def time(self) -> str | None:
        """The name of the coordinate of time, if there is one."""
        return self.axes.time

    @property
    def counts(self) -> dict[str, float]:
        """How much errors count against `settings.tolerance`, the least one, where the file gives tolerances by name:
        of unknowns and quantities; nothing of those that it does not name. Empty where all unknowns count alike."""
        asked = getattr(self.settings.tolerance, "by_name", None)
        if asked is None:
            return {}
        least = min(asked.values())
        names = (*self.unknowns, *(quantity.name for quantity in self.quantities))
        asked = by_component(asked, self.complex_unknowns)
        return {name: least / asked[name] if name in asked else 0.0 for name in names}

    @property
    def unknown_counts(self) -> tuple[float, ...]:
        """The same by unknown, for a refinement; all count where quantities are to be exact, which depend on all."""
        counts = self.counts
        quantities = any(counts.get(quantity.name) for quantity in self.quantities)
        return tuple(1.0 if quantities else counts.get(name, 1.0) for name in self.unknowns)

    @property
    def linear(self) -> bool:
        return all(term.linear for term in (*self.terms, *(i.term for i in self.interfaces)))

    @property
    def exactly(self) -> bool:
        """Whether something is to hold to rounding."""
        return bool(self.balances) or any(term.exactly for term in self.terms)

    @property
    def order(self) -> int:
        return max(term.order for term in self.terms)


@dataclass(frozen=True)
class Balance:
    """That of every cell for an equation div F + s = 0, by its `name`: terms for every material, or one without any.

    `through`: F times the normal, along all coordinates; `sources`: s, None where it is zero.
    """

    name: str
    through: tuple[Term, ...]
    sources: tuple[Term | None, ...]

    @property
    def linear(self) -> bool:
        """Whether flux and source are linear in the unknowns."""
        return all(term.linear for term in (*self.through, *self.sources) if term is not None)


@dataclass(frozen=True)
class StateFunction:
    """A function to find: in terms, `Tabulated` of that name without a table. `of`: what its arguments are called."""

    name: str
    of: tuple[str, ...]
    positive: bool = False
    monotone: str | None = None  # "increasing" or "decreasing"


@dataclass(frozen=True)
class Quantity:
    """A number to report, or with time free a series: `kind` is `integral`, `mean`, `maximum`, `minimum`, `value`, or
    `combination`, whose expression is one of other quantities. `inner`: the integrals that the expression holds by
    their names; those inside others come first."""

    name: str
    kind: str
    expression: sp.Expr
    region: Region
    inner: tuple[Quantity, ...] = ()


@dataclass(frozen=True)
class Integral:
    """A number that terms hold by its `name`, with time one at every time: the integral of an expression over a region
    in space, or its `mean`.

    `by_features`, `by_integrals`: its linearization; integrals inside come before it.
    """

    name: str
    mean: bool
    expression: sp.Expr
    region: Region
    by_features: tuple[tuple[Feature, sp.Expr], ...]
    by_integrals: tuple[tuple[str, sp.Expr], ...]
    linear: bool


@dataclass(frozen=True)
class Regularization:
    """The seminorm of an unknown function that should be small: of derivatives of that order, with that weight.

    The weight is a number, or the name of the criterion that chooses it.
    """

    unknown: str
    order: int
    weight: float | str
