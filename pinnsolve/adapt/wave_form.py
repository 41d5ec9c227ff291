"""Problems in periodic boxes whose linear part has constant coefficients: waves evolve one by one but for the rest.

D(u, t) = L u + N(x, t, u, ...) or D(u, t, 2) = L u + c D(u, t) + N, of any order and for any number of unknowns, where
N holds derivatives of lower order than L. One unknown without derivatives in time may keep a linear combination of
derivatives of others zero, as a pressure does.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import chain

import sympy as sp
import torch

from pinnsolve.adapt.evolving_form import MET, PLACES, ROUGH, AnotherForm, Reading, demand, without
from pinnsolve.bases.wall_functions import PERIODIC, Walls
from pinnsolve.compiler.terms import CompiledProblem
from pinnsolve.language.symbols import Feature, FeatureSymbol, MultiIndex, features_of
from pinnsolve.language.to_torch import Evaluator

Operator = Mapping[MultiIndex, float]  # coefficients of derivatives in space
Entry = tuple[int, int]  # number of an unknown, and order of its derivative in time
MOST_IN_TIME = 2  # the highest derivative in time
FAST = 50.0  # times over which what couples entries passes, in all of the time, so that the rest is not to hold it


@dataclass(frozen=True)
class Multiplier:
    """The unknown of number `unknown`, which no derivative in time is taken of: by evolving entry what it adds to the
    derivative in time, its `gradient`, and the `divergence`, the sum of which it keeps zero; `level`: where in space
    its value is given, that and its derivative in time; `rest_rates`: by entry the derivative in time of the rest."""

    unknown: int
    gradient: Mapping[int, Operator]
    divergence: Mapping[int, Operator]
    level: tuple[tuple[float, ...], sp.Expr, sp.Expr] | None
    rest_rates: tuple[sp.Expr, ...]


@dataclass(frozen=True)
class WaveForm:
    """What evolves, the `entries`: unknowns and, of those of second order in time, their derivatives; `groups` of them
    that the `linear` part couples, which is given by entry whose derivative it is part of, and entry that it takes; by
    entry the `rest` and the `start`.

    Of expressions, features and coordinates are those of the problem.
    """

    unknowns: int
    dimension: int
    entries: tuple[Entry, ...]
    groups: tuple[tuple[int, ...], ...]
    linear: Mapping[tuple[int, int], Operator]
    rest: tuple[sp.Expr, ...]
    start: tuple[sp.Expr, ...]
    multiplier: Multiplier | None

    @property
    def walls(self) -> tuple[tuple[Walls, ...], ...]:
        return (((PERIODIC, PERIODIC),) * self.dimension,) * self.unknowns

    @property
    def plain(self) -> tuple[str, ...]:
        return (PERIODIC,) * self.dimension


def wave_form(problem: CompiledProblem, axis: int) -> WaveForm | None:
    """The problem that marches along `axis` in that form; None of any other."""
    try:
        return _Reading(problem, axis).read()
    except AnotherForm:
        return None


class _Reading(Reading):
    def read(self) -> WaveForm:
        problem = self.problem
        demand(max(self.orders.values()) <= MOST_IN_TIME)
        self.entries = tuple((i, k) for i, u in enumerate(problem.unknowns) for k in range(self.orders[u]))
        multipliers = [u for u in problem.unknowns if not self.orders[u]]
        demand(len(multipliers) <= 1)
        level = self._read_conditions(multipliers)
        linear, gradient, rest = self._parted(self._rates(multipliers))
        groups = self._groups(linear)
        self._leave_weak_coupling(linear, groups, rest)
        self._check_orders(linear, groups, rest)
        multiplier = None
        if multipliers:
            self._check_constraint(linear, groups, gradient)
            rates = tuple(self._along_solutions(one) for one in rest)
            place = None if level is None else (*level, sp.diff(level[1], self.names[self.axis]))
            number = problem.unknowns.index(multipliers[0])
            multiplier = Multiplier(number, gradient, self.divergence, place, rates)
        start = tuple(self.starts[problem.unknowns[i], k] for i, k in self.entries)
        counts = len(problem.unknowns), len(self.space)
        return WaveForm(*counts, self.entries, groups, linear, tuple(rest), start, multiplier)

    # -- equations -----------------------------------------------------------------------------------------------------

    def _rates(self, multipliers: Sequence[str]) -> list[sp.Expr]:
        """By entry, its derivative in time; finds the divergence, too."""
        found: dict[int, sp.Expr] = {}
        self.divergence: dict[int, Operator] = {}
        for residual in (one for term in self.equations for one in term.residuals):
            leading = self.leading(residual)
            if leading is None:
                demand(bool(multipliers) and not self.divergence and without(residual) == 0)
                for f in self.only(residual, len(features_of(residual))):
                    demand(f.unknown not in multipliers and not f.alpha[self.axis])
                    own = self.divergence.setdefault(self._entry(f), {})
                    demand(any(self.in_space(f)))
                    own[self.in_space(f)] = float(sp.diff(residual, FeatureSymbol(f)))
                continue
            entry = self.entries.index((self.problem.unknowns.index(leading.unknown), leading.order - 1))
            demand(entry not in found)
            found[entry] = self.solved(residual, leading)
        demand(bool(multipliers) == bool(self.divergence))
        for number, (i, k) in enumerate(self.entries):
            if k + 1 < self.orders[self.problem.unknowns[i]]:  # the next entry is its derivative
                found[number] = self.in_time(self.problem.unknowns[i], k + 1)
        demand(len(found) == len(self.entries))
        return [found[number] for number in range(len(self.entries))]

    def _entry(self, f: Feature) -> int:
        return self.entries.index((self.problem.unknowns.index(f.unknown), f.alpha[self.axis]))

    def _parted(self, rates: Sequence[sp.Expr]):
        """The linear part, what the multiplier adds, and the rest of derivatives in time."""
        linear: dict[tuple[int, int], dict[MultiIndex, float]] = {}
        gradient: dict[int, dict[MultiIndex, float]] = {}
        rest = []
        for row, rate in enumerate(rates):
            left = []
            for summand in sp.Add.make_args(rate):
                factors = {f: sp.diff(summand, FeatureSymbol(f)) for f in features_of(summand)}
                if not factors or without(summand) != 0 or not all(c.is_number for c in factors.values()):
                    left.append(summand)
                    continue
                for f, c in factors.items():
                    evolves = self.orders[f.unknown] > 0
                    part = linear.setdefault((row, self._entry(f)), {}) if evolves else gradient.setdefault(row, {})
                    part[self.in_space(f)] = part.get(self.in_space(f), 0.0) + float(c)
            rest.append(sp.Add(*left))
        return linear, gradient, rest

    def _groups(self, linear: Mapping[tuple[int, int], Operator]) -> tuple[tuple[int, ...], ...]:
        """Entries that derivatives in space or in time couple, or what is fast beside all of the time; a constraint
        holds for entries one by one."""
        group = list(range(len(self.entries)))
        low, high = self.problem.intervals[self.axis]
        most = FAST / (high - low) if all(self.orders.values()) else math.inf
        for (row, column), operator in linear.items():
            of_one = self.entries[row][0] == self.entries[column][0]
            if of_one or any(any(alpha) or abs(c) > most for alpha, c in operator.items()):
                group = [group[row] if g == group[column] else g for g in group]
        return tuple(tuple(i for i, g in enumerate(group) if g == own) for own in dict.fromkeys(group))

    def _leave_weak_coupling(self, linear: dict, groups, rest: list[sp.Expr]) -> None:
        """Moves to the rest what couples groups, without derivatives."""
        of = {entry: number for number, entries in enumerate(groups) for entry in entries}
        for row, column in [pair for pair in linear if of[pair[0]] != of[pair[1]]]:
            ((_, factor),) = linear.pop((row, column)).items()
            i, k = self.entries[column]
            rest[row] += sp.Float(factor) * self.in_time(self.problem.unknowns[i], k)

    def _check_orders(self, linear, groups, rest: Sequence[sp.Expr]) -> None:
        """Raises AnotherForm where the rest holds derivatives of as high an order as the linear part."""
        orders = {}
        for entries in groups:
            parts = [operator for (row, _), operator in linear.items() if row in entries]
            orders |= dict.fromkeys(entries, max((sum(alpha) for one in parts for alpha in one), default=0))
        for f in chain.from_iterable(features_of(one) for one in rest):
            demand(bool(self.orders[f.unknown]) and f.alpha[self.axis] < self.orders[f.unknown])
            order = sum(self.in_space(f))
            demand(not order or order < orders[self._entry(f)])

    # -- a constraint --------------------------------------------------------------------------------------------------

    def _check_constraint(self, linear, groups, gradient) -> None:
        """Raises AnotherForm unless what is constrained evolves by one and the same operator, and starts within."""
        entries = sorted({*gradient, *self.divergence})
        demand(bool(gradient) and all((entry,) in groups for entry in entries))
        demand(all(self.entries[entry][1] == 0 for entry in entries))
        demand(all(linear.get((entry, entry)) == linear.get((entries[0], entries[0])) for entry in entries))
        parts = []
        for entry, operator in self.divergence.items():
            start = self.starts[self.problem.unknowns[self.entries[entry][0]], 0]
            demand(not any(start.has(kind) for kind in ROUGH))
            names = [self.names[a] for a in self.space]
            for alpha, c in operator.items():
                parts.append(c * sp.diff(start, *((name, k) for name, k in zip(names, alpha, strict=True) if k)))
        values = Evaluator(parts)(self.somewhere())
        found = torch.stack([torch.as_tensor(v, dtype=torch.float64).expand(PLACES) for v in values])
        demand(float(found.sum(dim=0).abs().max()) <= MET * max(float(found.abs().max()), 1e-300))

    def _along_solutions(self, expression: sp.Expr) -> sp.Expr:
        """Its derivative in time along a solution."""
        result = sp.diff(expression, self.names[self.axis])
        for f in features_of(expression):
            later = tuple(k + (a == self.axis) for a, k in enumerate(f.alpha))
            result += sp.diff(expression, FeatureSymbol(f)) * FeatureSymbol(Feature(f.unknown, later))
        return result

    # -- conditions ----------------------------------------------------------------------------------------------------

    def _read_conditions(self, multipliers: Sequence[str]) -> tuple[tuple[float, ...], sp.Expr] | None:
        """Where the value of a multiplier is given, and what that is; all others say that ends are one."""
        same: dict[tuple[str, int], set[int]] = {}
        level = None
        for term, piece in ((one, place) for one in self.conditions for place in one.region.pieces):
            demand(piece.part is None and all(axis != self.axis for axis, _ in piece.fixed))
            for residual in term.residuals:
                if piece.partner is not None and len(piece.fixed) == 1:
                    f, axis = self.both_ends(residual, piece), piece.fixed[0][0]
                    demand(f.order not in same.setdefault((f.unknown, axis), set()))
                    same[f.unknown, axis].add(f.order)
                    continue
                demand(piece.partner is None and len(piece.fixed) == len(self.space) and level is None)
                (f,) = self.only(residual, 1)
                demand(f.unknown in multipliers and f.order == 0)
                place = {self.names[axis]: sp.Float(value) for axis, value in piece.fixed}
                given = (-without(residual) / sp.diff(residual, FeatureSymbol(f))).xreplace(place)
                level = tuple(float(dict(piece.fixed)[axis]) for axis in self.space), given
        for unknown in self.problem.unknowns:
            for axis in self.space:
                orders = same.get((unknown, axis), set())
                demand(bool(orders) and orders == set(range(len(orders))))
        return level
