"""An equation of first order as transport: speeds that depend on what is transported, and what it starts from.

A scalar equation u_t + a_1(u) u_x + a_2(u) u_y = 0 carries values along straight lines of speed a(u). With a start g,
they cross at the time 1/max(-div a(g)), and where g jumps so that speeds fall along their own axis they cross at once
(Evans, Partial Differential Equations, section 3.4; Dafermos, Hyperbolic Conservation Laws in Continuum Physics,
section 1.4). No array library.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice, product
from typing import TYPE_CHECKING

import sympy as sp

from pinnsolve.language.derivatives import SizeError, partial_derivative
from pinnsolve.language.substitution import substituted
from pinnsolve.language.symbols import FeatureSymbol, coordinate_symbol, feature_symbol
from pinnsolve.problem.checks.corners import value_fixed_by
from pinnsolve.problem.checks.findings import constants
from pinnsolve.problem.checks.pointwise import function_of, holds_at, value_at

if TYPE_CHECKING:
    from pinnsolve.problem.stated import StatedProblem

Point = tuple[float, ...]
POINTS = {1: 1000, 2: 30}  # intervals per axis at which a start is looked at, by the number of axes
FEW = 10  # the same for more axes
MOST_LINES = 20_000  # along one axis
DIFFERENCE = 1e-6  # of an interval: steps of differences
BISECTIONS, LOOKED_AT = 50, 6  # of the steepest intervals of a line, and how many of these
JUMP = 1e-6  # relative to the range of values: a difference between neighbours that is a jump


@dataclass(frozen=True)
class Transport:
    """Coefficients of the derivatives in space of equations of first order that evolve.

    `carried`: the unknowns that stand in these coefficients, which makes the equations nonlinear; `name`: of the first
    equation with one. Of one equation for one unknown alone, `speeds` by axis of space, functions of the unknown and
    perhaps of coordinates; `straight`: whether lines of constant values are straight: neither sources nor coordinates.
    """

    name: str
    carried: tuple[str, ...]
    speeds: Mapping[int, sp.Expr] | None = None
    straight: bool = False


def transport_of(problem: StatedProblem) -> Transport | None:
    """What equations transport, where they are nonlinear in that way, of first order, and evolve; None elsewhere."""
    if problem.time is None:
        return None
    axis = problem.coordinates.index(problem.time)
    residuals = [(s.name, r) for s in problem.of_kind("equation") for r in s.residuals]
    carried: dict[str, None] = {}
    first = None
    for name, residual in residuals:
        symbols = [s for s in residual.free_symbols if isinstance(s, FeatureSymbol)]
        if any(s.feature.operator is not None or s.feature.order > 1 for s in symbols):
            return None
        for s in symbols:
            if s.feature.order and not s.feature.alpha[axis]:
                held = _unknowns_in(residual, s)
                first = first or (name if held else None)
                carried |= dict.fromkeys(held)
    evolves = {s.feature.unknown for _, r in residuals for s in r.atoms(FeatureSymbol) if s.feature.alpha[axis]}
    if not carried or not evolves >= set(carried):
        return None
    speeds, straight = _speeds(problem, axis, residuals) or (None, False)
    return Transport(first, tuple(carried), speeds, straight)


def _unknowns_in(residual: sp.Expr, symbol: FeatureSymbol) -> list[str]:
    try:
        coefficient = partial_derivative(residual, symbol)
    except SizeError:
        return []
    return [s.feature.unknown for s in coefficient.atoms(FeatureSymbol)]


def _speeds(problem: StatedProblem, axis: int, residuals) -> tuple[dict[int, sp.Expr], bool] | None:
    """The speeds of one equation for one unknown that is linear in derivatives, and whether lines are straight."""
    if len(residuals) != 1 or len(problem.unknowns) != 1:
        return None
    residual, d, (unknown,) = residuals[0][1], len(problem.coordinates), problem.unknowns
    symbols = [feature_symbol(unknown, tuple(int(a == i) for a in range(d))) for i in range(d)]
    try:
        coefficients = [partial_derivative(residual, s) for s in symbols]
    except SizeError:
        return None
    if any(c.has(*symbols) for c in coefficients) or coefficients[axis] == 0:
        return None
    speeds = {i: sp.cancel(c / coefficients[axis]) for i, c in enumerate(coefficients) if i != axis}
    source = sp.expand(substituted(residual, dict.fromkeys(symbols, sp.S.Zero)))
    coordinates = {coordinate_symbol(c) for c in problem.coordinates}
    bent = any(speed.free_symbols & coordinates for speed in speeds.values())
    return speeds, source == 0 and not bent


class Profile:
    """A function of some coordinates: a value that conditions give where one of them is held."""

    def __init__(self, problem: StatedProblem, unknown: str, axis: int, at: float):
        self.axes = tuple(i for i in range(len(problem.coordinates)) if i != axis)
        self.intervals = [problem.intervals[i] for i in self.axes]
        self._symbols = [coordinate_symbol(problem.coordinates[i]) for i in self.axes]
        self._held = {**constants(problem), coordinate_symbol(problem.coordinates[axis]): at}
        self._pieces: list[tuple[Callable, Callable | None]] = []
        for statement in problem.of_kind("condition"):
            for residual in statement.residuals:
                found = value_fixed_by(residual)
                places = [p for p in statement.region.pieces if p.fixed == ((axis, at),) and p.partner is None]
                if found is not None and found[0] == unknown and places:
                    where = statement.region.where
                    self._pieces.append((function_of(found[1]), None if where is None else function_of(where)))

    @property
    def known(self) -> bool:
        """Whether any condition gives a value."""
        return bool(self._pieces)

    def at(self, point: Point) -> dict[sp.Symbol, float]:
        """The values of all symbols at a point of the free coordinates."""
        return {**self._held, **dict(zip(self._symbols, point, strict=True))}

    def __call__(self, point: Point) -> float | None:
        """The value; None where there is none."""
        at = self.at(point)
        for value, where in self._pieces:
            if holds_at(where, at):
                return value_at(value, at)
        return None

    def lines(self, number: int) -> Iterator[list[Point]]:
        """Lines of points along the free axis of that number."""
        count = POINTS.get(len(self.axes), FEW)
        grids = [_between(low, high, count) for low, high in self.intervals]
        others = [grid if i != number else [0.0] for i, grid in enumerate(grids)]
        for point in islice(product(*others), MOST_LINES):
            yield [(*point[:number], s, *point[number + 1 :]) for s in grids[number]]


def _between(low: float, high: float, count: int) -> list[float]:
    """Points inside an interval, of which none is likely to be one that a file names."""
    return [low + (high - low) * (k + 0.4871) / count for k in range(count)]


def jumps(function: Callable[[Point], float | None], line: Sequence[Point]) -> Iterator[tuple[Point, float, float]]:
    """The jumps of a function along a line of points: where, and the values before and after."""
    values = [function(point) for point in line]
    known = [v for v in values if v is not None]
    span = max(known) - min(known) if known else 0.0
    pairs = [i for i in range(len(line) - 1) if None not in (values[i], values[i + 1])]
    steepest = sorted(pairs, key=lambda i: -abs(values[i + 1] - values[i]))[:LOOKED_AT]
    for i in steepest:
        a, b, before, after = line[i], line[i + 1], values[i], values[i + 1]
        if abs(after - before) <= JUMP * span:
            break
        for _ in range(BISECTIONS):
            middle = tuple(0.5 * (p + q) for p, q in zip(a, b, strict=True))
            here = function(middle)
            if here is None or middle in (a, b):
                break
            if abs(here - before) >= abs(after - here):
                b, after = middle, here
            else:
                a, before = middle, here
        if abs(after - before) > JUMP * span:
            scale = max(abs(line[0][k]) + abs(line[-1][k]) for k in range(len(b)))
            yield tuple(0.0 if abs(x) < 1e-12 * scale else x for x in b), before, after
