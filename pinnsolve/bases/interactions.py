"""Sums of functions of few coordinates: the basis for problems in many.

A function is a product of one, two or three factors, each a polynomial of one argument: a coordinate of space, time,
or the radial argument log(1 + |x - c|^2 / l^2). So the basis is the analysis-of-variance decomposition cut after
interactions of order two (Hoeffding 1948; Rabitz & Alis, J. Math. Chem. 25 (1999) 197), with radial functions beside
it. Polynomials are orthonormal for the measure that a coordinate has in the domain: Legendre in a box, Gegenbauer in a
ball, where coordinates crowd about zero. In a ball whose sphere holds u = 0 all are multiplied by 1 - |x - c|^2/R^2.

Operators up to order two are applied by structure: of a product only its own factors are differentiated, and the factor
1 - |x|^2/R^2 changes the coefficients of the operator, not the functions. A Laplacian in 100 coordinates costs as much
as six tables of the functions.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import combinations, permutations
from typing import Any, final

import torch
from torch import Tensor

from pinnsolve.bases.base import Basis, check_alphas
from pinnsolve.bases.gegenbauer import orthonormal
from pinnsolve.bases.quadratic_form import SecondOrder, operator_of
from pinnsolve.errors import PinnsolveError
from pinnsolve.language.symbols import MultiIndex

PAIRS = ("none", "neighbours", "all")
FACTORS = 3  # of a function, at most
MOST_FUNCTIONS = 20_000
AT_ONCE, LEAST_AT_ONCE = 200_000, 32  # values of functions, points: that fit into the processor's own memory
DEFAULTS = {"degree": 4, "pairs": "neighbours", "radial": 0, "ball": False, "vanishing": False, "time": None}


@final
@dataclass(frozen=True, eq=False)
class Interactions(Basis):
    """`degree`: total degree of the polynomials; `pairs`: which coordinates interact, `none`, `neighbours` or `all`, or
    a list of pairs of numbers; `radial`: degree in the radial argument, whose unit of length is `length`.

    `ball`: the box is that around a ball; `vanishing`: functions are zero on its sphere; `time`: the axis of time.
    """

    kind = "interactions"
    degree: int
    pairs: str | tuple[tuple[int, int], ...]
    radial: int
    length: float
    ball: bool
    vanishing: bool
    time: int | None
    lower: Tensor
    upper: Tensor
    smoothness: int = 2
    by_operator = True

    @property
    def hidden(self) -> Mapping[str, Tensor]:
        """None: nothing moves."""
        return {}

    # -- which functions -------------------------------------------------------------------------------

    @cached_property
    def space(self) -> tuple[int, ...]:
        """The axes of space."""
        return tuple(axis for axis in range(self.dimension) if axis != self.time)

    @cached_property
    def factors(self) -> Tensor:
        """(W, 3, 2): axis and degree of every factor; the axis after the last is the radial one, degree 0 is 1."""
        found = [()]
        found += [((axis, n),) for axis in self.space for n in range(1, self.degree + 1)]
        pairs = [(self.space[i], self.space[j]) for i, j in self.listed_pairs()]
        powers = [(a, b) for a in range(1, self.degree) for b in range(1, self.degree + 1 - a)]
        found += [((i, a), (j, b)) for i, j in pairs for a, b in powers]
        radial = [((self.dimension, n),) for n in range(1, self.radial + 1)]
        if self.time is not None:
            degrees = range(1, max(self.degree, self.radial) + 1)
            radial += [(*one, (self.time, n)) for one in radial for n in degrees if one[0][1] + n <= self.radial]
            by_time = range(1, self.degree + 1)
            found += [
                (*one, (self.time, n)) for one in found for n in by_time if n + sum(k for _, k in one) <= self.degree
            ]
            found += [((self.time, n),) for n in degrees if n > self.degree]
        found += radial
        filled = [[*one, *([(0, 0)] * (FACTORS - len(one)))] for one in found]
        return torch.tensor(filled, dtype=torch.long, device=self.lower.device).reshape(-1, FACTORS, 2)

    def listed_pairs(self) -> list[tuple[int, int]]:
        """Numbers of the coordinates of space that interact."""
        count = len(self.space)
        if isinstance(self.pairs, tuple):
            return list(self.pairs)
        if self.pairs == "all":
            return list(combinations(range(count), 2))
        return [(i, i + 1) for i in range(count - 1)] if self.pairs == "neighbours" else []

    @cached_property
    def width(self) -> int:
        """W."""
        return len(self.factors)

    # -- values ----------------------------------------------------------------------------------------

    def derivatives(
        self, points: Tensor, alphas: Sequence[MultiIndex], hidden: Mapping[str, Tensor] | None = None
    ) -> dict[MultiIndex, Tensor]:
        check_alphas(tuple(alphas), self.dimension, self.smoothness, "a basis of interactions")
        return {alpha: self.applied(points, {alpha: 1.0}) for alpha in alphas}

    def applied(self, points: Tensor, coefficients: Mapping[MultiIndex, Tensor | float]) -> Tensor:
        result = points.new_empty(len(points), self.width)
        for chunk, table in self._applied(points, coefficients):
            result[chunk] = table.T
        return result

    def _applied(
        self, points: Tensor, coefficients: Mapping[MultiIndex, Tensor | float]
    ) -> Iterator[tuple[slice, Tensor]]:
        """What an operator makes of all functions, (W, n) for a few points at a time: products of tables that are
        larger than the processor's own memory would take as long as it takes to read them."""
        check_alphas(tuple(coefficients), self.dimension, self.smoothness, "a basis of interactions")
        operator = operator_of(coefficients, points)
        if self.vanishing:
            operator = operator.of_product(*self._vanishing(points))
        operator = self._with_radial(operator, points)
        plain = not any(map(sum, coefficients))  # no derivatives
        p, axes = self._polynomials(points, 0 if plain else 2), self._layout[0]
        tables = [p[0]] if plain else [p[0], operator.first.T[axes] * p[1] + operator.second.T[axes] * p[2]]
        step = max(AT_ONCE // self.width, LEAST_AT_ONCE)
        for start in range(0, len(points), step):
            chunk = slice(start, min(start + step, len(points)))
            value, *changes = (self._by_factor(one[:, chunk]) for one in tables)
            zeroth = operator.zeroth[None, chunk]
            if plain:
                yield chunk, _product(value[1:], zeroth * value[0])
                continue
            (change,) = changes
            result, before = zeroth * value[0] + change[0], value[0]
            for one, moved_one in zip(value[1:], change[1:], strict=True):
                result = result * one + before * moved_one
                before = before * one
            for (i, j), coefficient in operator.mixed.items():
                result = result + coefficient[None, chunk] * self._mixed(p[:, :, chunk], value, i, j)
            yield chunk, result

    def combined(self, points: Tensor, alphas: Sequence[MultiIndex], coefficients: Tensor) -> dict[MultiIndex, Tensor]:
        """All derivatives from one pass over the functions; see `Basis.combined`."""
        check_alphas(tuple(alphas), self.dimension, self.smoothness, "a basis of interactions")
        if len(alphas) <= 2:
            one = {alpha: [self.applied_to(points, {alpha: 1.0}, c) for c in coefficients] for alpha in alphas}
            return {alpha: torch.stack(values) for alpha, values in one.items()}
        p = self._polynomials(points)
        values = [self._by_factor(table) for table in p]
        jets = [self._jet(p, values, c, points) for c in coefficients]
        if len(jets) == 1:
            return {alpha: jets[0].derivative(alpha)[None] for alpha in alphas}
        return {alpha: torch.stack([jet.derivative(alpha) for jet in jets]) for alpha in alphas}

    def applied_to(self, points: Tensor, operator: Mapping[MultiIndex, Tensor | float], c: Tensor) -> Tensor:
        parts = [c @ table for _, table in self._applied(points, operator)]
        return torch.cat(parts) if parts else c.new_zeros(0)

    def _jet(self, p: Tensor, values: list[list[Tensor]], c: Tensor, points: Tensor) -> Jet:
        """The value and all derivatives up to order two, mixed ones by need, of the function with coefficients (W,)."""
        slots = range(len(values[0]))
        products = [_product([values[0][other] for other in slots if other != slot], c[:, None]) for slot in slots]
        value = (values[0][0] * products[0]).sum(dim=0)
        tables = []
        for order in (1, 2):
            table = points.new_zeros(self.dimension + 1, len(points))
            for slot in slots:
                table.index_add_(0, self.factors[:, slot, 0], values[order][slot] * products[slot])
            tables.append(table.T)

        def mixed(i: int, j: int) -> Tensor:
            return c @ self._mixed(p, values[0], i, j)

        return Jet(self, points, value, tables[0], tables[1], mixed)

    def _mixed(self, p: Tensor, value: list[Tensor], i: int, j: int) -> Tensor:
        """(W, N): the derivative by the two different axes i and j."""
        axes, result = self.factors[:, :, 0], torch.zeros_like(value[0])
        for a, b in permutations(range(len(value)), 2):
            chosen = (axes[:, a] == i) & (axes[:, b] == j) & (self.factors[:, [a, b], 1] > 0).all(dim=1)
            if bool(chosen.any()):
                product = _product([value[k][chosen] for k in range(len(value)) if k not in (a, b)], result.new_ones(1))
                for slot in (a, b):
                    product = product * p[1].index_select(0, self._columns[slot][chosen])
                result[chosen] = product
        return result

    def _by_factor(self, table: Tensor) -> list[Tensor]:
        """The rows (W, N) of a table of polynomials (C, N) that each factor of every function means."""
        return [table.index_select(0, columns) for columns in self._columns]

    @cached_property
    def _columns(self) -> list[Tensor]:
        """(W,) per factor that any function has: its row in a table of polynomials."""
        used = [slot for slot in range(FACTORS) if slot == 0 or bool((self.factors[:, slot, 1] > 0).any())]
        return [self._layout[1][self.factors[:, slot, 0]] + self.factors[:, slot, 1] for slot in used]

    @cached_property
    def _layout(self) -> tuple[Tensor, Tensor]:
        """Of a table of polynomials: the axis of every row (C,), and where each axis begins (d + 1,)."""
        degrees = dict.fromkeys(self.space, self.degree)
        if self.time is not None:
            degrees[self.time] = max(self.degree, self.radial)
        degrees[self.dimension] = self.radial
        axes, begins = [], [0] * (self.dimension + 1)
        for axis, degree in degrees.items():
            begins[axis] = len(axes)
            axes += [axis] * (degree + 1)
        return tuple(torch.tensor(one, device=self.lower.device) for one in (axes, begins))

    def _polynomials(self, points: Tensor, orders: int = 2) -> Tensor:
        """(orders + 1, C, N): polynomials of every argument, with derivatives by it; rows as in `_layout`."""
        half, space = (self.upper - self.lower) / 2, list(self.space)
        z = ((points - (self.upper + self.lower) / 2) / half).T.contiguous()
        legendre = points.new_full((1,), 0.5)
        weight = points.new_full((len(space),), len(space) / 2) if self.ball else legendre
        tables = [self._scaled(orthonormal(z[space], weight, self.degree, orders), half[space])]
        if self.time is not None:
            of_time, most = [self.time], max(self.degree, self.radial)
            tables.append(self._scaled(orthonormal(z[of_time], legendre, most, orders), half[of_time]))
        r, _, _ = self._radius(points)
        last = self._argument(half[space[0]] ** 2 if self.ball else (half[space] ** 2).sum())
        radial = orthonormal((2 * r / last - 1)[None], legendre, self.radial, orders)
        return torch.cat([*tables, self._scaled(radial, last[None] / 2)], dim=1)

    @staticmethod
    def _scaled(table: Tensor, lengths: Tensor) -> Tensor:
        """(k, rows, N): polynomials (k, m, degrees, N) of arguments divided by lengths (m,), with derivatives."""
        scale = torch.stack([lengths**-order for order in range(len(table))])
        return (table * scale[:, :, None, None]).flatten(1, 2)

    # -- the radial argument and the factor ----------------------------------------------------------------

    def _argument(self, square: Tensor) -> Tensor:
        return torch.log1p(square / self.length**2)

    def _radius(self, points: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """The radial argument (N,), and its first and second derivative by |x - c|^2."""
        square = (self._from_center(points) ** 2).sum(dim=1)
        below = self.length**2 + square
        return self._argument(square), 1 / below, -(below**-2)

    def _from_center(self, points: Tensor) -> Tensor:
        """(N, d): x - c, zero in time."""
        moved = points - (self.upper + self.lower) / 2
        if self.time is not None:
            moved = moved * (torch.arange(self.dimension, device=points.device) != self.time)
        return moved

    def _in_space(self, like: Tensor) -> Tensor:
        """(d,): 1 for the axes of space, 0 for time."""
        inside = torch.ones(self.dimension).to(like)
        if self.time is not None:
            inside[self.time] = 0.0
        return inside

    def _vanishing(self, points: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """1 - |x - c|^2/R^2 (N,), its gradient (N, d) and its second derivatives (N, d), of which none is mixed."""
        square = ((self.upper - self.lower) / 2)[self.space[0]] ** 2
        x = self._from_center(points)
        inside = self._in_space(points)
        return 1 - (x**2).sum(dim=1) / square, -2 * x / square, (-2 * inside / square).expand_as(x)

    def radial_derivatives(self, points: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Gradient (N, d) of the radial argument, its unmixed second derivatives, and 4 times its second by |x|^2."""
        _, one, two = self._radius(points)
        x = self._from_center(points)
        gradient = 2 * x * one[:, None]
        return gradient, 2 * one[:, None] * self._in_space(points) + 4 * two[:, None] * x**2, 4 * two

    def _with_radial(self, operator: SecondOrder, points: Tensor) -> SecondOrder:
        """The operator on functions of the coordinates and of the radial argument, by the chain rule."""
        gradient, unmixed, twice = self.radial_derivatives(points)
        first = (operator.first * gradient + operator.second * unmixed).sum(dim=1)
        second = (operator.second * gradient**2).sum(dim=1)
        x, mixed = self._from_center(points), dict(operator.mixed)
        for (i, j), coefficient in operator.mixed.items():
            first = first + coefficient * twice * x[:, i] * x[:, j]
            second = second + coefficient * gradient[:, i] * gradient[:, j]
            if self.time in (i, j):  # radial functions are multiplied by those of time alone
                other = j if i == self.time else i
                key = (self.time, self.dimension)
                mixed[key] = mixed.get(key, 0.0) + coefficient * gradient[:, other]
        if self.radial == 0:
            first, second = torch.zeros_like(first), torch.zeros_like(second)
        return SecondOrder(
            operator.zeroth,
            torch.cat([operator.first, first[:, None]], dim=1),
            torch.cat([operator.second, second[:, None]], dim=1),
            mixed,
        )

    def widened(self, coefficients: Tensor, other: Basis) -> Tensor | None:
        """Coefficients (U, W) of the same functions in another basis, None where that does not hold all of its own."""
        if not isinstance(other, Interactions):
            return None
        same = ("length", "ball", "vanishing", "time")
        if any(getattr(self, name) != getattr(other, name) for name in same):
            return None
        place = {tuple(row): k for k, row in enumerate(other.factors.flatten(1).tolist())}
        places = [place.get(tuple(row)) for row in self.factors.flatten(1).tolist()]
        if None in places:
            return None
        wide = coefficients.new_zeros(len(coefficients), other.width)
        wide[:, places] = coefficients
        return wide

    # -- settings ------------------------------------------------------------------------------------------

    def settings(self) -> dict[str, Any]:
        pairs = self.pairs if isinstance(self.pairs, str) else [list(pair) for pair in self.pairs]
        asked = {"degree": self.degree, "pairs": pairs, "radial": self.radial, "length": self.length}
        return {"kind": self.kind, **asked, "ball": self.ball, "vanishing": self.vanishing, "time": self.time}

    def describe(self) -> str:
        some = {"none": "no pairs", "neighbours": "pairs of neighbours", "all": "all pairs"}
        pairs = some[self.pairs] if isinstance(self.pairs, str) else f"{len(self.pairs)} pairs"
        radial = f", radial functions of degree {self.radial}" if self.radial else ""
        sphere = ", zero on the sphere" if self.vanishing else ""
        return f"interactions, degree {self.degree}, {pairs}{radial}{sphere}, {self.width} functions"

    @classmethod
    def create(cls, settings: Mapping[str, Any], lower: Tensor, upper: Tensor, seed: int) -> Interactions:
        unknown = set(settings) - {"kind", "length", *DEFAULTS}
        asked = {**DEFAULTS, **settings}
        pairs = asked["pairs"]
        if unknown:
            raise PinnsolveError(f"a basis of interactions has no `{min(unknown)}`")
        if not isinstance(pairs, str):
            pairs = tuple((int(i), int(j)) for i, j in pairs)
        elif pairs not in PAIRS:
            raise PinnsolveError(f"`pairs` is one of {', '.join(PAIRS)}, not {pairs!r}")
        degree, radial = int(asked["degree"]), int(asked["radial"])
        if degree < 0 or radial < 0 or degree + radial < 1:
            raise PinnsolveError("a basis of interactions has a degree of 1 or more")
        space = [axis for axis in range(len(lower)) if axis != asked["time"]]
        length = float(settings.get("length") or (upper - lower)[space].max() / 2)
        ball, vanishing = bool(asked["ball"]), bool(asked["vanishing"])
        basis = cls(degree, pairs, radial, length, ball, vanishing, asked["time"], lower, upper)
        if basis.width > MOST_FUNCTIONS:
            raise PinnsolveError(f"{basis.width} functions are too many: at most {MOST_FUNCTIONS}")
        return basis

    @classmethod
    def restore(
        cls, settings: Mapping[str, Any], hidden: Mapping[str, Tensor], lower: Tensor, upper: Tensor
    ) -> Interactions:
        return cls.create(settings, lower, upper, 0)


def _product(tables: Sequence[Tensor], first: Tensor) -> Tensor:
    for table in tables:
        first = first * table
    return first


@dataclass(frozen=True)
class Jet:
    """A function v(x, r(x)) of the coordinates and the radial argument, at points, times the factor of its basis.

    `value` (N,); `first`, `second`: (N, d + 1) by each argument; `mixed`: of two axes, the mixed derivative (N,).
    """

    basis: Interactions
    points: Tensor
    value: Tensor
    first: Tensor
    second: Tensor
    mixed: Any

    @cached_property
    def _whole(self) -> tuple[Tensor, Tensor]:
        """First and unmixed second derivatives (N, d) by the coordinates, without the factor."""
        gradient, unmixed, _ = self.basis.radial_derivatives(self.points)
        first = self.first[:, :-1] + self.first[:, -1:] * gradient
        second = self.second[:, :-1] + self.second[:, -1:] * gradient**2 + self.first[:, -1:] * unmixed
        return first, second

    def derivative(self, alpha: MultiIndex) -> Tensor:
        """(N,): the derivative by a multi-index of order two at most."""
        axes = [axis for axis, order in enumerate(alpha) for _ in range(order)]
        if len(axes) == 2 and axes[0] != axes[1]:
            return self._crossed(*axes)
        table = self._times_factor[len(axes)]
        return table[:, axes[0]] if axes else table

    @cached_property
    def _times_factor(self) -> tuple[Tensor, Tensor, Tensor]:
        """The value (N,), first and unmixed second derivatives (N, d), with the factor of the basis."""
        v, (first, second) = self.value, self._whole
        if not self.basis.vanishing:
            return v, first, second
        g, slope, bend = self._factor
        once = slope * v[:, None]
        return g * v, g[:, None] * first + once, g[:, None] * second + 2 * slope * first + bend * v[:, None]

    @cached_property
    def _factor(self) -> tuple[Tensor, Tensor, Tensor]:
        return self.basis._vanishing(self.points)

    def _crossed(self, i: int, j: int) -> Tensor:
        basis, (first, _) = self.basis, self._whole
        gradient, _, twice = basis.radial_derivatives(self.points)
        x, last = basis._from_center(self.points), basis.dimension
        result = self.mixed(i, j) + self.second[:, -1] * gradient[:, i] * gradient[:, j]
        result = result + self.first[:, -1] * twice * x[:, i] * x[:, j]
        if basis.time in (i, j):
            other = j if i == basis.time else i
            result = result + self.mixed(basis.time, last) * gradient[:, other]
        if not basis.vanishing:
            return result
        g, slope, _ = self._factor
        return g * result + slope[:, i] * first[:, j] + slope[:, j] * first[:, i]
