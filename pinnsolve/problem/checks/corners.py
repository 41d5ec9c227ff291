"""Do conditions contradict each other where their places meet?

Two conditions that fix the value of the same unknown are compared at points of every intersection of their places: a
lid that moves beside walls that do not, a start that does not meet the walls, a face given twice. A start is also
compared with itself on the two ends of a periodic coordinate.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING

import sympy as sp

from pinnsolve.errors import Diagnostic
from pinnsolve.geometry.regions import Piece
from pinnsolve.geometry.shapes import Ball
from pinnsolve.language.derivatives import SizeError, partial_derivative
from pinnsolve.language.substitution import substituted
from pinnsolve.language.symbols import FeatureSymbol, coordinate_symbol
from pinnsolve.problem.checks.faces import on_face, where_on
from pinnsolve.problem.checks.findings import constants, error, point_text, warning
from pinnsolve.problem.checks.pointwise import function_of, holds_at, landmarks, value_at

if TYPE_CHECKING:
    from pinnsolve.problem.stated import StatedProblem, StatedTerm

Junction = tuple[Mapping[int, float], Collection[Piece]]  # coordinates by axis, and the places that meet there

RELATIVE = 1e-9  # to the larger of the two values
MAX_PLACES, MAX_POINTS = 300, 20_000  # looked at in one problem, so that none takes long
ROUNDING = 1e-12  # to the size of the values elsewhere on their places: sin(pi) is not quite 0
LOOSE = 1e-5  # the same on shapes, whose points are known to rounding: next to 0, roots make much of it
HINT = (
    "the two values differ at this point, so the solution is singular there and accuracy is limited; "
    "make the conditions agree if that is intended"
)
HINT_EXACTLY = "nothing holds both exactly at this point; leave `exactly` out of one of them"


@dataclass(frozen=True)
class _Fixed:
    """The value that a condition gives to an unknown on one piece of its region."""

    statement: StatedTerm
    unknown: str
    residual: int  # its position in the statement
    piece: Piece
    value: Callable
    where: Callable | None
    size: float  # of the values on the piece


def contradictions(problem: StatedProblem) -> Iterator[Diagnostic]:
    """Warnings, one per pair of terms, with the place and the two values; errors of two that are to hold exactly."""
    if problem.shape is not None:
        yield from _contradictions_at_junctions(problem, _junctions(problem))
        return
    fixed = list(islice(_fixed_values(problem), MAX_PLACES))
    told, budget = set(), iter(range(MAX_POINTS))
    for i, a in enumerate(fixed):
        for b in fixed[:i]:
            pair = (b.statement.name, a.statement.name)
            different = (a.statement.name, a.residual) != (b.statement.name, b.residual)
            if a.unknown != b.unknown or not different or pair in told:
                continue
            if found := _contradiction(problem, b, a, budget):
                told.add(pair)
                yield _told(problem, a, pair, *found)
    yield from _periodic_contradictions(problem, fixed)


def _junctions(problem: StatedProblem) -> Iterable[Junction]:
    """Points where the places of conditions on the boundary of a shape meet."""
    pieces = tuple(dict.fromkeys(p for s in problem.statements for p in s.region.pieces if p.part is not None))
    if not pieces or (isinstance(problem.shape, Ball) and len(problem.shape.center) > 3):
        return ()  # a sphere has no edges
    from pinnsolve.geometry.junctions import meetings  # samples the boundary, for which torch is loaded

    return meetings(problem.shape, pieces, problem.space_axes)


def _contradictions_at_junctions(problem: StatedProblem, meetings: Iterable[Junction]) -> Iterator[Diagnostic]:
    """The same for a shape, from points (axis to value) and the places on its boundary that meet there.

    Places that do not lie on the boundary, such as the start, are everywhere.
    """
    fixed = list(islice(_fixed_values(problem), MAX_PLACES))
    told, budget = set(), iter(range(MAX_POINTS))
    for spot, pieces in meetings:
        here = [f for f in fixed if f.piece in pieces or _at_a_time(f.piece, problem)]
        for i, a in enumerate(here):
            for b in here[:i]:
                pair = (b.statement.name, a.statement.name)
                if a.unknown != b.unknown or pair in told or (a.statement.name, a.residual) == (pair[0], b.residual):
                    continue
                if found := _contradiction(problem, b, a, budget, spot):
                    told.add(pair)
                    yield _told(problem, a, pair, *found)


def _at_a_time(piece: Piece, problem: StatedProblem) -> bool:
    return piece.part is None and bool(piece.fixed) and all(axis not in problem.space_axes for axis, _ in piece.fixed)


def _told(problem: StatedProblem, a: _Fixed, pair: tuple[str, str], spot, first: float, second: float) -> Diagnostic:
    who = f"`{pair[0]}` contradicts itself" if pair[0] == pair[1] else f"contradicts `{pair[0]}`"
    values = f"there {a.unknown} = {first:.6g}, here {a.unknown} = {second:.6g}"
    exactly = all(statement.exactly for statement in problem.statements if statement.name in pair)
    tell, hint = (error, HINT_EXACTLY) if exactly else (warning, HINT)
    return tell(problem, a.statement.key, f"{who} at {point_text(problem, spot)}: {values}", hint)


def _fixed_values(problem: StatedProblem) -> Iterator[_Fixed]:
    known = set(constants(problem)) - {coordinate_symbol(p.name) for p in problem.unknown_parameters}
    known |= {coordinate_symbol(c) for c in problem.coordinates}
    for statement in problem.of_kind("condition"):
        for i, residual in enumerate(statement.residuals):
            for piece in statement.region.pieces:
                where = where_on(piece, statement, problem)
                found = None if piece.partner else value_fixed_by(on_face(piece, residual, problem))
                if found is None or not found[1].free_symbols <= known:
                    continue
                value = function_of(found[1])
                sizes = [abs(value_at(value, at) or 0) for at in _points(problem, dict(piece.fixed))]
                yield _Fixed(statement, found[0], i, piece, value, where, max(sizes))


def value_fixed_by(residual: sp.Expr) -> tuple[str, sp.Expr] | None:
    """Unknown and value, where the residual is c*(u - value) with c and value free of unknowns."""
    symbols = [s for s in residual.free_symbols if isinstance(s, FeatureSymbol)]
    if len(symbols) != 1 or symbols[0].feature.operator is not None or symbols[0].feature.order:
        return None
    try:
        factor = partial_derivative(residual, symbols[0])
    except SizeError:
        return None
    if factor == 0 or factor.atoms(FeatureSymbol):
        return None
    rest = substituted(residual, {symbols[0]: sp.S.Zero})
    return symbols[0].feature.unknown, -rest / factor


def _contradiction(
    problem: StatedProblem, a: _Fixed, b: _Fixed, budget: Iterator, spot: Mapping[int, float] | None = None
) -> tuple[Mapping[int, float], float, float] | None:
    """The first point (axis to value) at which two values differ, and the values; each point is a step of `budget`.

    With a `spot` in space, only there.
    """
    common = _intersection(problem, a.piece, b.piece)
    if common is None:
        return None
    if spot is not None:
        common |= spot  # what is not on the boundary lies at a time, or in a plane inside that is left out before
    for at, _ in zip(_points(problem, common), budget, strict=False):
        if holds_at(a.where, at) and holds_at(b.where, at):
            values = value_at(a.value, at), value_at(b.value, at)
            size = max(a.size, b.size)
            if (
                None not in values
                and _differ(*values, size)
                and (not spot or abs(values[0] - values[1]) > LOOSE * size)
            ):
                spot = {i: at[coordinate_symbol(c)] for i, c in enumerate(problem.coordinates)}
                return spot, *values
    return None


def _differ(a: float, b: float, size: float) -> bool:
    return abs(a - b) > RELATIVE * max(abs(a), abs(b)) + ROUNDING * size


def _intersection(problem: StatedProblem, a: Piece, b: Piece) -> dict[int, float] | None:
    """The intersection of two pieces, axis to value; None where they do not meet."""
    common = dict(a.fixed)
    for axis, value in b.fixed:
        low, high = problem.intervals[axis]
        if abs(common.setdefault(axis, value) - value) > 1e-12 * (high - low):
            return None
    return common


def _points(problem: StatedProblem, fixed: Mapping[int, float]) -> Iterator[dict[sp.Symbol, float]]:
    """Values of coordinates and parameters at landmarks of the slice in which the axes `fixed` are held."""
    free = [i for i in range(len(problem.coordinates)) if i not in fixed]
    symbols = [coordinate_symbol(c) for c in problem.coordinates]
    held = {**constants(problem), **{symbols[i]: value for i, value in fixed.items()}}
    moving = [symbols[i] for i in free]
    for point in landmarks([problem.intervals[i] for i in free]):
        yield {**held, **dict(zip(moving, point, strict=True))}


def _periodic_contradictions(problem: StatedProblem, fixed: list[_Fixed]) -> Iterator[Diagnostic]:
    """Values given on a slice across a periodic coordinate that differ between its two ends."""
    for statement in problem.of_kind("condition"):
        for piece in statement.region.pieces:
            for f in fixed if piece.partner else ():
                axis, end = piece.partner
                if statement.region.where is not None or f.where is not None or axis in dict(f.piece.fixed):
                    continue
                for at in _points(problem, {**dict(f.piece.fixed), axis: piece.fixed[0][1]}):
                    there = {**at, coordinate_symbol(problem.coordinates[axis]): end}
                    values = value_at(f.value, at), value_at(f.value, there)
                    if None not in values and _differ(*values, f.size):
                        name = problem.coordinates[axis]
                        message = f"`{f.statement.name}` is not periodic in {name} as `{statement.name}` asks: "
                        message += f"{f.unknown} = {values[0]:.6g} at {name} = {piece.fixed[0][1]:.6g}, "
                        message += f"{f.unknown} = {values[1]:.6g} at {name} = {end:.6g}"
                        yield warning(problem, f.statement.key, message, HINT)
                        break
