"""Are there enough conditions on the faces of the box for the order of the equations?

For each unknown and coordinate, m is the highest order of derivative in the equations. Time needs m conditions where it
starts; a coordinate of space needs m on its two faces together (as many as a two-point boundary value problem, and what
the standard problems of second and fourth order have). A first-order equation needs its condition where characteristics
enter (Evans, Partial Differential Equations, section 3.2). Counts on this rule are no proof, so it only warns.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import sympy as sp

from pinnsolve.errors import Diagnostic
from pinnsolve.geometry.regions import Piece
from pinnsolve.geometry.shapes import part_names
from pinnsolve.language.derivatives import SizeError, partial_derivative
from pinnsolve.language.substitution import substituted
from pinnsolve.language.symbols import FeatureSymbol, coordinate_symbol, feature_symbol, features_of
from pinnsolve.language.systems import System
from pinnsolve.problem.checks.counts import replaces_conditions
from pinnsolve.problem.checks.findings import constants, plane_text, quoted, warning
from pinnsolve.problem.checks.pointwise import function_of, holds_at, scattered, value_at

if TYPE_CHECKING:
    from pinnsolve.problem.stated import StatedProblem, StatedTerm

SAMPLES = 16  # places on a face at which conditions are counted, since `where` may restrict them
Point = Mapping[sp.Symbol, float]


def too_few_conditions(problem: StatedProblem, in_space: bool = True) -> dict[str, list[Diagnostic]]:
    """Warnings by unknown. None where data or a condition on the domain can stand in for what is missing.

    Without `in_space`, only conditions in time are counted.
    """
    if replaces_conditions(problem) or not problem.of_kind("equation"):
        return {}
    counter = _Counter(problem)
    boxed = in_space and problem.shape is None
    axes = [a for a in range(len(problem.coordinates)) if boxed or a not in problem.space_axes]
    found = {name: [w for axis in axes for w in counter.warnings(name, axis)] for name in problem.unknowns}
    if in_space and problem.shape is not None:
        for name in (u for u in problem.unknowns if u not in problem.homes):
            found[name] += counter.bare_parts(name)
    return {name: warnings for name, warnings in found.items() if warnings}


def on_face(piece: Piece, residual: sp.Basic, problem: StatedProblem) -> sp.Basic:
    """A residual, or a `where`, with the normal of a face put in."""
    if piece.outward is None:
        return residual
    axis, sign = piece.outward
    normal = {coordinate_symbol(f"n_{c}"): sp.Integer(sign * (i == axis)) for i, c in enumerate(problem.coordinates)}
    return substituted(residual, normal)


def held_on_pieces(statement: StatedTerm, problem: StatedProblem) -> Iterator[tuple[Piece, sp.Expr, Callable | None]]:
    """The residuals of a condition on every piece that has no partner, with what its `where` says."""
    for piece in statement.region.pieces:
        if piece.partner is None:
            where = where_on(piece, statement, problem)
            for residual in statement.residuals:
                yield piece, on_face(piece, residual, problem), where


def where_on(piece: Piece, statement: StatedTerm, problem: StatedProblem) -> Callable | None:
    """What the `where` of a condition says on a piece; None for everywhere, or if the normal of a curve decides."""
    if statement.region.where is None:
        return None
    test = on_face(piece, statement.region.where, problem)
    normals = {coordinate_symbol(f"n_{c}") for c in problem.coordinates}
    return None if normals & test.free_symbols else function_of(test)


@dataclass(frozen=True)
class _Held:
    """One residual on one piece of its condition's region. `key` is the same for residuals that hold the same thing."""

    piece: Piece
    unknowns: frozenset[str]
    key: object
    where: Callable | None


class _Counter:
    """Counts the conditions that hold an unknown on the faces across a coordinate, at points along them."""

    def __init__(self, problem: StatedProblem):
        self.problem = problem
        self.symbols = [coordinate_symbol(c) for c in problem.coordinates]
        known = constants(problem)
        points = scattered(SAMPLES, problem.intervals)
        self.points: list[Point] = [{**known, **dict(zip(self.symbols, p, strict=True))} for p in points]
        self.held = list(self._residuals())
        self.faces = {(axis, side): self._on(axis, side) for axis in range(len(self.symbols)) for side in (0, 1)}
        self.periodic = {p.partner[0] for s in problem.statements for p in s.region.pieces if p.partner is not None}

    def _residuals(self) -> Iterator[_Held]:
        for statement in self.problem.of_kind("condition"):
            for piece, residual, where in held_on_pieces(statement, self.problem):
                features = features_of(residual)
                key = features[0] if len(features) == 1 else residual
                yield _Held(piece, frozenset(f.unknown for f in features), key, where)

    def _on(self, axis: int, side: int) -> list[_Held]:
        """The values held on a face, whether it was given by `on` or by `at`; planes are at the very end or inside."""
        return [h for h in self.held if h.piece.fixed == ((axis, self.problem.intervals[axis][side]),)]

    def warnings(self, unknown: str, axis: int) -> Iterator[Diagnostic]:
        order = max((f.alpha[axis] for f in self._features(unknown)), default=0)
        if not order or axis in self.periodic:
            return
        problem = self.problem
        if len(problem.coordinates) == 1:
            yield from self._in_one_coordinate(unknown, order)
        elif axis == problem.axes.time_axis:
            yield from self._in_time(unknown, axis, order)
        elif unknown in problem.homes:  # what holds where it ends inside is not counted
            return
        elif order > 1:
            yield from self._in_space(unknown, axis, order)
        elif len(problem.unknowns) == 1:  # in a system, who needs a condition is not for each equation to say
            yield from self._first_order(unknown, axis)

    def _features(self, unknown: str):
        residuals = [r for s in self.problem.of_kind("equation") for r in s.residuals]
        return {f for r in residuals for f in features_of(r) if f.unknown == unknown and f.operator is None}

    # -- counts --

    def count(self, unknown: str, axis: int, side: int, point: Point) -> int:
        """Conditions of an unknown on a face at the point moved there."""
        at = {**point, self.symbols[axis]: self.problem.intervals[axis][side]}
        held = (h for h in self.faces[axis, side] if unknown in h.unknowns)
        return len({h.key for h in held if holds_at(h.where, at)})

    def counts(self, unknown: str, axis: int) -> list[tuple[int, int]]:
        """On the face where the coordinate starts and on the one where it ends, at points along them."""
        points = self._at_home(unknown)
        return [(self.count(unknown, axis, 0, p), self.count(unknown, axis, 1, p)) for p in points]

    def _at_home(self, unknown: str) -> list[Point]:
        """The points where an unknown lives; all of them where none can be told to be."""
        home = self.problem.homes.get(unknown)
        if home is None or home.groups:
            return self.points
        lives = function_of(home.holds)
        return [p for p in self.points if holds_at(lives, p)] or self.points

    # -- rules --

    def _in_one_coordinate(self, unknown: str, order: int) -> Iterator[Diagnostic]:
        """Wherever they are, an ordinary differential equation of order m needs m conditions."""
        given = len({(h.piece, h.key) for h in self.held if unknown in h.unknowns})
        between = (r for b in self.problem.between for r in b.residuals)
        given += sum(unknown in {f.unknown for f in features_of(r)} for r in between)
        order -= self._singular_ends(unknown, order)
        if given < order:
            start = "" if self.problem.time is None else f", say at {self._face(0, 0)}"
            message = f"`{unknown}` has {_conditions(given)} and needs {order}{start}"
            if not start:
                counts = self.counts(unknown, 0)[0]
                faces = [self._face(0, side) for side in (0, 1) if counts[side] == min(counts)]
                message += f"; fewest are on the face{'s' * (len(faces) > 1)} {' and '.join(faces)}"
            yield self._warning(unknown, 0, order, message)

    def _singular_ends(self, unknown: str, order: int) -> int:
        """At how many ends the leading coefficient is zero: there, that the solution stays finite is a condition."""
        if self._on_the_axis(0):
            return self._on_the_axis(0)
        leading = self._coefficient(unknown, (order,)) if len(self.problem.unknowns) == 1 else None
        ends = None if leading is None else self._on_faces(leading, 0, self.points[0])
        return 0 if ends is None else sum(value == 0 for value in ends)

    def _on_the_axis(self, axis: int) -> int:
        """At how many ends of a coordinate its system degenerates, as at r = 0: there are no conditions to state."""
        spec, name = self.problem.spec, self.problem.coordinates[axis]
        system = System(spec.system, spec.axes.space)
        return 0 if name == self.problem.time else system.ends_on_the_axis(name, self.problem.intervals[axis])

    def _in_time(self, unknown: str, axis: int, order: int) -> Iterator[Diagnostic]:
        counts = self.counts(unknown, axis)
        first, last = (min(c[side] for c in counts) for side in (0, 1))
        if first >= order:
            return
        start, end = self._face(axis, 0), self._face(axis, 1)
        if order == 1 and last:
            if self._diffuses_forward(unknown, axis):
                message = f"`{unknown}` has its condition at {end}, and diffusion runs forward from {start}"
                yield warning(self.problem, "conditions", message, "backward in time the problem is ill-posed")
            return
        message = f"`{unknown}` has {_conditions(first)} on the face {start} and needs {order} there"
        yield self._warning(unknown, axis, order, message)

    def _in_space(self, unknown: str, axis: int, order: int) -> Iterator[Diagnostic]:
        low, high = min(self.counts(unknown, axis), key=sum)
        order -= self._on_the_axis(axis)
        if low + high >= order:
            return
        faces = [self._face(axis, side) for side, n in enumerate((low, high)) if n == min(low, high)]
        both = f"{self._face(axis, 0)} and {self._face(axis, 1)} together"
        few = f"fewest are on the face{'s' * (len(faces) > 1)} {' and '.join(faces)}"
        message = f"`{unknown}` has {_conditions(low + high)} on the faces {both} and needs {order}; {few}"
        yield self._warning(unknown, axis, order, message)

    def bare_parts(self, unknown: str) -> Iterator[Diagnostic]:
        """Parts of the boundary of a shape without a condition on an unknown of second order or more."""
        space = self.problem.space_axes
        order = max((sum(f.alpha[a] for a in space) for f in self._features(unknown)), default=0)
        places = {(h.piece.part, h.piece.plane is None) for h in self.held if unknown in h.unknowns}
        if order < 2 or ("", True) in places or any(not whole for _, whole in places):
            return  # what lies in a plane may be any part
        held = {part for part, _ in places if part}
        bare = [part for part in part_names(self.problem.shape) if part not in held]
        if bare or not held:
            where = f"the part{'s' * (len(bare) > 1)} {quoted(bare)} of the boundary" if bare else "the boundary"
            message = f"too few conditions: `{unknown}` has no condition on {where}"
            yield warning(self.problem, "conditions", message, "equations of second order need one all around")

    def _first_order(self, unknown: str, axis: int) -> Iterator[Diagnostic]:
        counts = self.counts(unknown, axis)
        faces = [self._face(axis, side) for side in (0, 1)]
        speeds = self._speeds(unknown, axis)
        if speeds is None:  # which way signals go depends on the solution, or there is no time to tell
            if min(map(sum, counts)) == 0:
                message = f"`{unknown}` has no condition on the face {faces[0]} nor on {faces[1]}, and needs one"
                yield self._warning(unknown, axis, 1, message)
            return
        for side, sign in ((0, 1), (1, -1)):
            if any(sign * speed[side] > 0 and not count[side] for speed, count in zip(speeds, counts, strict=True)):
                message = f"`{unknown}` has no condition on the face {faces[side]}, where signals enter"
                yield self._warning(unknown, axis, 1, message)

    # -- coefficients --

    def _speeds(self, unknown: str, axis: int) -> list[tuple[float, float]] | None:
        """Speeds of a transport equation on the two faces, at points along them; None where they cannot be told."""
        features, time = self._features(unknown), self.problem.time
        if any(f.order > 1 for f in features):
            return None
        across = self._coefficient(unknown, self._first(axis))
        along = 1 if time is None else self._coefficient(unknown, self._first(self.problem.coordinates.index(time)))
        if across is None or along is None:
            return None
        inside = function_of(across / along)
        speeds = [self._on_faces(across / along, axis, p) for p in self.points]
        if None in speeds:
            return None
        rounding = 1e-12 * max(abs(value_at(inside, p) or 0) for p in self.points)
        speeds = [tuple(0.0 if abs(v) <= rounding else v for v in pair) for pair in speeds]
        # without time, all that can be told is that nothing moves across
        return None if time is None and any(map(any, speeds)) else speeds

    def _first(self, axis: int, order: int = 1) -> tuple[int, ...]:
        return tuple(order * (i == axis) for i in range(len(self.problem.coordinates)))

    def _coefficient(self, unknown: str, alpha: tuple[int, ...]) -> sp.Expr | None:
        """The coefficient of a derivative in the only equation, where it holds no unknown."""
        residuals = [r for s in self.problem.of_kind("equation") for r in s.residuals]
        if len(residuals) != 1:
            return None
        try:
            coefficient = partial_derivative(residuals[0], feature_symbol(unknown, alpha))
        except SizeError:
            return None
        return None if coefficient == 0 or coefficient.atoms(FeatureSymbol) else coefficient

    def _on_faces(self, expression: sp.Expr, axis: int, point: Point) -> tuple[float, float] | None:
        function = function_of(expression)
        values = [value_at(function, {**point, self.symbols[axis]: end}) for end in self.problem.intervals[axis]]
        return None if None in values else tuple(values)

    def _diffuses_forward(self, unknown: str, axis: int) -> bool:
        """Whether a second derivative in space has the sign that the heat equation's has, somewhere."""
        along = self._coefficient(unknown, self._first(axis))
        for other in self.problem.space_axes:
            across = self._coefficient(unknown, self._first(other, 2))
            if along is not None and across is not None:
                function = function_of(across / along)
                if any((value_at(function, p) or 0) < 0 for p in self.points):
                    return True
        return False

    # -- words --

    def _face(self, axis: int, side: int) -> str:
        return plane_text(self.problem, axis, self.problem.intervals[axis][side])

    def _warning(self, unknown: str, axis: int, order: int, message: str) -> Diagnostic:
        ordinal = {1: "first", 2: "second", 3: "third", 4: "fourth"}[order]
        hint = f"the equations are of {ordinal} order in {self.problem.coordinates[axis]} for `{unknown}`"
        return warning(self.problem, "conditions", f"too few conditions: {message}", hint)


def _conditions(count: int) -> str:
    return {0: "no condition", 1: "1 condition"}.get(count, f"{count} conditions")
