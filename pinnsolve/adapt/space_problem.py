"""A problem in space and time -> the problem in space alone that every stage of a collocation in time is.

Of every unknown there are as many as it has derivatives in time, one after another: u, u_t, u_tt, each divided by a
power of the `shift`, which makes them as large as u is. Time and shift are unknown parameters, given with the state. So
rows, scales and continuity are those of any problem in space.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import sympy as sp

from pinnsolve.assembly.term_rows import held_at, highest_orders
from pinnsolve.compiler.terms import CompiledProblem, Linearization, Term
from pinnsolve.geometry.regions import Piece
from pinnsolve.language.coordinates import Coordinates
from pinnsolve.language.symbols import Feature, FeatureSymbol, UnknownParameter, coordinate_symbol
from pinnsolve.problem.checks import undetermined_constants

SHIFT = "1/dt"  # a name that no problem file can give
MOST_ORDER = 2  # of derivatives in time


@dataclass(frozen=True)
class SpaceProblem:
    """`problem`: in space, its unknowns those of the file for every order in time below `levels`; `start`: its terms at
    the start; `evolving`: per unknown of the file, its order in time; `continuous`: per unknown of `problem` and axis,
    the order below which it is; `moving`: names of the terms that hold the time; `changing`: of those whose operator
    changes with time or with the solution; `free`: per unknown of the file, whether it is determined up to a constant
    at every time, as pressures may be; `constraints`: the terms that hold at the start, too, where some unknown has no
    derivative in time: those of the others alone, without any."""

    problem: CompiledProblem
    start: CompiledProblem
    levels: int
    evolving: tuple[int, ...]
    continuous: tuple[tuple[int, ...], ...]
    moving: frozenset[str]
    changing: frozenset[str] = frozenset()
    free: tuple[bool, ...] = ()
    constraints: tuple[Term, ...] = ()

    @property
    def shares_factors(self) -> bool:
        """Whether all modes may be solved with one real factorization: those of first order in time."""
        return self.levels == 2


def can_collocate(problem: CompiledProblem, axis: int) -> bool:
    """Whether stages in space do: of equations of first or second order in time, in one material, none of them exact.

    In one coordinate of space slabs are small. Unknowns without a derivative in time, such as pressures, may be free up
    to a constant at every time.
    """
    name = coordinate_symbol(problem.coordinates[axis])
    timeless = all(t.region.where is None or name not in t.region.where.free_symbols for t in problem.terms)
    plain = not problem.integrals and not problem.unknown_parameters and not problem.regularization
    plain &= not problem.materials and not problem.homes and not problem.exactly
    plain &= all(t.data_file is None and not t.robust for t in problem.terms)
    features = [f for t in problem.terms for f in t.features]
    orders = dict(zip(problem.unknowns, (order[axis] for order in highest_orders(problem)), strict=True))
    known = all(f.operator is None and f.alpha[axis] <= orders[f.unknown] for f in features)
    between = [t for t in problem.terms if any(piece.partner is not None for piece in t.region.pieces)]
    known &= all(not f.alpha[axis] for t in between for f in t.features)  # faces have no stages of their own
    low = problem.intervals[axis][0]
    known &= all(
        f.alpha[axis] < max(orders[f.unknown], 1) for t in held_at(problem, axis, low) for f in t.features
    )  # what stages start from
    known &= 1 <= max(orders.values()) <= MOST_ORDER
    known &= len(problem.axes.space) == len(problem.coordinates) - 1 > 1
    return timeless and plain and known


def in_space(problem: CompiledProblem, axis: int) -> SpaceProblem:
    """The problem in space of one that `can_collocate`."""
    evolving = tuple(order[axis] for order in highest_orders(problem))
    levels = max(evolving) + 1
    low, high = problem.intervals[axis]
    started = held_at(problem, axis, low)
    stated = [_Restated(problem, axis, low).term(t) for t in problem.terms if t not in started]
    start = [_Restated(problem, axis, low).term(t) for t in started]
    without = replace(
        problem,
        axes=Coordinates.of(_less(problem.coordinates, axis), None),
        intervals=_less(problem.intervals, axis),
        unknowns=tuple(_name(u, k) for k in range(levels) for u in problem.unknowns),
        unknown_parameters=(
            UnknownParameter(problem.coordinates[axis], low, (low, high)),
            UnknownParameter(SHIFT, 1.0, (0.0, 1e300)),
        ),
        terms=tuple(stated),
    )
    now = [_less(order, axis) for order in highest_orders(problem)]
    none = (0,) * len(without.coordinates)
    time = coordinate_symbol(problem.coordinates[axis])
    moving = frozenset(t.name for t in stated if any(time in r.free_symbols for r in t.residuals))
    changing = frozenset(t.name for t in stated if not t.linear or time in _operator_symbols(t))
    continuous = tuple(now) + (none,) * (len(without.unknowns) - len(now))
    loose = undetermined_constants(stated)
    free = tuple(order == 0 and u in loose for u, order in zip(problem.unknowns, evolving, strict=True))
    started = replace(without, terms=tuple(start))
    evolve = {u for u, order in zip(problem.unknowns, evolving, strict=True) if order}
    bound = tuple(t for t in stated if all(f.unknown in evolve for f in t.features)) if 0 in evolving else ()
    return SpaceProblem(without, started, levels, evolving, continuous, moving, changing, free, bound)


def _operator_symbols(term: Term) -> set[sp.Basic]:
    return set().union(*(c.free_symbols for l in term.linearizations for _, c in l.features))


@dataclass(frozen=True)
class _Restated:
    """Terms of a problem whose coordinate `axis`, which begins at `low`, is time, as terms in space."""

    problem: CompiledProblem
    axis: int
    low: float

    def term(self, term: Term) -> Term:
        normal = {coordinate_symbol(f"n_{self.problem.coordinates[self.axis]}"): sp.Integer(0)}
        replaced = {FeatureSymbol(f): self._factor(f) * FeatureSymbol(self._feature(f)) for f in term.features} | normal
        linearizations = tuple(
            Linearization(
                tuple((self._feature(f), self._factor(f) * c.xreplace(replaced)) for f, c in l.features), l.parameters
            )
            for l in term.linearizations
        )
        pieces = tuple(self._piece(piece) for piece in term.region.pieces)
        return replace(
            term, region=replace(term.region, pieces=pieces), linearizations=linearizations,
            residuals=tuple(r.xreplace(replaced) for r in term.residuals),
        )  # fmt: skip

    def _feature(self, f: Feature) -> Feature:
        return replace(f, unknown=_name(f.unknown, f.alpha[self.axis]), alpha=_less(f.alpha, self.axis))

    def _factor(self, f: Feature) -> sp.Expr:
        return coordinate_symbol(SHIFT) ** f.alpha[self.axis]

    def _piece(self, piece: Piece) -> Piece:
        fixed = tuple(self._moved(pair) for pair in piece.fixed if pair[0] != self.axis)
        kept = (pair if pair and pair[0] != self.axis else None for pair in (piece.outward, piece.partner, piece.plane))
        outward, partner, plane = (pair and self._moved(pair) for pair in kept)
        return replace(piece, fixed=fixed, outward=outward, partner=partner, plane=plane)

    def _moved(self, pair: tuple) -> tuple:
        return pair[0] - (pair[0] > self.axis), pair[1]


def _name(unknown: str, order: int) -> str:
    return unknown + "'" * order


def _less(values: tuple, axis: int) -> tuple:
    return values[:axis] + values[axis + 1 :]
