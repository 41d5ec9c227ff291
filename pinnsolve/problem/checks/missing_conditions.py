"""On which parts of the boundary are there fewer conditions than an elliptic system needs?

Input: a `StatedProblem`. Output: the places where conditions are `Missing`, or None where that cannot be told (see
`ellipticity`). On the faces of a box conditions are counted at points, since `where` may restrict them. The boundary of
a shape is known by names and planes only, so a place of it counts as bare only where nothing else can hold there. No
array library.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import sympy as sp

from pinnsolve.geometry.regions import Piece, face
from pinnsolve.geometry.shapes import Box, Difference, MeshFile, bounds, may_have_face, part_names, primitives
from pinnsolve.language.symbols import Feature, FeatureSymbol, coordinate_symbol
from pinnsolve.problem.checks.counts import replaces_conditions
from pinnsolve.problem.checks.ellipticity import Equations, Linear, Principal, linear_part
from pinnsolve.problem.checks.faces import held_on_pieces, on_face
from pinnsolve.problem.checks.findings import constants, plane_text, point_text
from pinnsolve.problem.checks.pointwise import holds_at, scattered, value_at

if TYPE_CHECKING:
    from pinnsolve.problem.stated import StatedProblem, StatedTerm

SAMPLES = 16  # points of a place at which conditions are counted
SAME = 1e-9  # relative: a combination of conditions this small says nothing new
Point = Mapping[sp.Symbol, float]


class Undecided(Exception):
    """The conditions that a problem needs cannot be determined."""


@dataclass(frozen=True)
class Condition:
    """One residual of a condition, with the normal of its face put in, and its coefficients."""

    statement: StatedTerm
    residual: sp.Expr
    linear: Linear
    where: Callable | None


@dataclass(frozen=True)
class Missing:
    """A place with fewer conditions than needed: `given` of `needed`.

    `label` is the place as problem files have it, `place` as a sentence has it. `conditions` hold there; it is narrowed
    by `where`. `clear` tells whether nothing else can hold there.
    """

    piece: Piece
    label: str
    place: str
    where: sp.Basic | None
    conditions: tuple[Condition, ...]
    given: int
    needed: int
    principal: Principal
    clear: bool = True


def missing_conditions(problem: StatedProblem) -> list[Missing] | None:
    """The places, in order; None where it cannot be told.

    None as well where some place has more conditions than needed, or a plane inside has any: these may stand in for
    those that are missing elsewhere, as in Cauchy's problem.
    """
    if replaces_conditions(problem) or not problem.of_kind("equation") or len(problem.coordinates) < 2:
        return None
    try:
        counter = _Counter(problem)
        return list(counter.on_shape() if problem.shape is not None else counter.on_box())
    except Undecided:
        return None


class _Counter:
    def __init__(self, problem: StatedProblem):
        self.problem, self.equations = problem, Equations(problem)
        self.symbols = [coordinate_symbol(c) for c in problem.coordinates]
        self.points = self._points()
        self.held = [(piece, c) for s in problem.of_kind("condition") for piece, c in self._conditions(s)]
        if any(self._inside(piece) for piece, _ in self.held):
            raise Undecided

    def _points(self) -> list[dict[sp.Symbol, float]]:
        """Coordinates, constants, and some values for the unknowns, their derivatives and normals."""
        problem = self.problem
        symbols = {s for st in problem.statements for r in st.residuals for s in r.free_symbols}
        features = sorted((s for s in symbols if isinstance(s, FeatureSymbol)), key=lambda s: s.name)
        normals = [coordinate_symbol(f"n_{problem.coordinates[a]}") for a in problem.space_axes]
        known = constants(problem)
        result = []
        for k, x in enumerate(scattered(SAMPLES, problem.intervals)):
            state = {s: 0.4 + (0.618 * (k + 1) * (i + 1) + 0.2 * i) % 1.0 for i, s in enumerate(features)}
            unit = {n: (1.0 + 0.3 * i) / sum((1.0 + 0.3 * j) ** 2 for j in range(len(normals))) ** 0.5
                    for i, n in enumerate(normals)}  # fmt: skip
            result.append({**known, **state, **unit, **dict(zip(self.symbols, x, strict=True))})
        return result

    def _conditions(self, statement: StatedTerm) -> Iterator[tuple[Piece, Condition]]:
        for piece, residual, where in held_on_pieces(statement, self.problem):
            linear = linear_part(residual)
            if linear is None:
                raise Undecided
            yield piece, Condition(statement, residual, linear, where)

    def _inside(self, piece: Piece) -> bool:
        """Whether a piece is a plane inside, across a coordinate of space."""
        axes = [axis for axis, _ in piece.fixed if axis in self.problem.space_axes]
        return piece.part is None and len(piece.fixed) == len(axes) == 1 and piece.outward is None

    # -- boxes --

    def on_box(self) -> Iterator[Missing]:
        periodic = {p.partner[0] for s in self.problem.statements for p in s.region.pieces if p.partner is not None}
        for axis in self.problem.space_axes:
            for end, sign in zip(self.problem.intervals[axis], (-1, 1), strict=True):
                if axis not in periodic:
                    yield from self._on_face(face(axis, end, sign))

    def _on_face(self, piece: Piece) -> list[Missing]:
        """The parts of a face that `where` tells apart, if there are too few conditions on them."""
        ((axis, end),) = piece.fixed
        here = [c for other, c in self.held if other.fixed == piece.fixed]
        patterns: dict[tuple[bool, ...], dict] = {}
        for at in self._moved(axis, end):
            patterns.setdefault(tuple(holds_at(c.where, at) for c in here), at)
        label, found = plane_text(self.problem, axis, end), []
        for pattern, at in patterns.items():
            conditions = tuple(c for c, holds in zip(here, pattern, strict=True) if holds)
            place, where = f"the face {label}", None
            if len(patterns) > 1:
                spot = {i: at[s] for i, s in enumerate(self.symbols) if i != axis}
                place = f"the part of {place} around {point_text(self.problem, spot)}"
                where = self._region_of(piece, here, pattern)
            found.append(self._missing(piece, (label, place), where, conditions, at))
        return [m for m in found if m is not None]

    def _region_of(self, piece: Piece, conditions: list[Condition], pattern: tuple[bool, ...]) -> sp.Basic | None:
        """The region of a face in which just these conditions hold; None for everywhere."""
        tests = {}
        for condition, holds in zip(conditions, pattern, strict=True):
            if condition.where is not None:
                test = on_face(piece, condition.statement.region.where, self.problem)
                tests[test] = test if holds else sp.Not(test)
        return sp.And(*tests.values()) if tests else None

    def _moved(self, axis: int, value: float) -> list[dict[sp.Symbol, float]]:
        """The points, in a plane."""
        return [{**point, self.symbols[axis]: value} for point in self.points]

    # -- shapes --

    def on_shape(self) -> Iterator[Missing]:
        """Parts with a name, planes with a condition, and what no condition is about."""
        planes = dict.fromkeys(p for p, _ in self.held if p.plane is not None)
        planes |= dict.fromkeys(self._faces_without_name() if planes else ())
        parts = [Piece(part=name) for name in part_names(self.problem.shape)]
        whole = [Piece(part="")] if not planes and not parts else []
        for piece in (*planes, *parts, *whole):
            always = [p for p in (piece, Piece(part="")) if p in (q for q, _ in self.held)]
            certain = [c for p, c in self.held if p in always and self._holds_somewhere(c, piece)]
            maybe = [c for p, c in self.held if p not in always and p.part is not None and self._may_meet(p, piece)]
            clear = not maybe and all(self._holds_everywhere(c, piece) for c in certain)
            at = dict(self.points[0])
            if piece.plane is not None:
                at[self.symbols[piece.plane[0]]] = piece.plane[1]
                label = plane_text(self.problem, *piece.plane)
                place = f"the boundary {label}"
            else:
                label, place = piece.part or "boundary", "the boundary"
                place = f"the part `{piece.part}` of the boundary" if piece.part else place
            missing = self._missing(piece, (label, place), None, (*certain, *maybe), at, clear)
            if missing is not None:
                yield missing

    def _holds_somewhere(self, condition: Condition, piece: Piece) -> bool:
        """Whether the `where` of a condition leaves something of a place; of curved ones it may."""
        return piece.plane is None or any(holds_at(condition.where, at) for at in self._moved(*piece.plane))

    def _holds_everywhere(self, condition: Condition, piece: Piece) -> bool:
        if condition.where is None:
            return True
        return piece.plane is not None and all(holds_at(condition.where, at) for at in self._moved(*piece.plane))

    def _faces_without_name(self) -> Iterator[Piece]:
        """The faces of a box of which the shapes cut from it leave something."""
        if not isinstance(self.problem.shape, Difference) or not isinstance(self.problem.shape.first, Box):
            return
        box, cut = self.problem.shape.first, [bounds(other) for other in self.problem.shape.others]
        if box.name or any(piece.part == "" and piece.plane is None for piece, _ in self.held):
            return
        space = self.problem.space_axes
        for k, axis in enumerate(space):
            others = [m for m in range(len(space)) if m != k]
            for value in (box.lower[k], box.upper[k]):
                covers = (
                    low[k] <= value <= high[k]
                    and all(low[m] <= box.lower[m] and high[m] >= box.upper[m] for m in others)
                    for low, high in cut
                )
                if not any(covers):
                    yield Piece(part="", plane=(axis, value))

    def _may_meet(self, one: Piece, other: Piece) -> bool:
        """Whether two places of the boundary can have more than corners in common."""
        if one.plane is not None and other.plane is not None:
            return False
        if one.plane is None and other.plane is None:
            return one.part == other.part
        flat, named = (one, other) if one.plane is not None else (other, one)
        axis = self.problem.space_axes.index(flat.plane[0])
        low, high = self.problem.intervals[flat.plane[0]]
        leaves = [leaf for leaf in primitives(self.problem.shape) if _bears(leaf, named.part)]
        return any(may_have_face(leaf, axis, flat.plane[1], 1e-9 * (high - low)) for leaf in leaves)

    # -- counts --

    def _missing(self, piece, words: tuple[str, str], where, conditions, at: Point, clear=True) -> Missing | None:
        principal = self.equations.principal_at(at)
        if principal is None:
            raise Undecided
        rows, needed = self._rows(conditions, at), principal.degree // 2
        given = _rank(rows)
        for columns, degree in principal.blocks if clear else ():
            names = {self.problem.unknowns[j] for j in columns}
            mine = [{f: v for f, v in row.items() if f.unknown in names} for row in rows]
            if _rank(mine) > degree // 2:
                raise Undecided
        if given >= needed:
            return None
        return Missing(piece, *words, where, tuple(conditions), given, needed, principal, clear)

    def _rows(self, conditions: tuple[Condition, ...], at: Point) -> list[dict[Feature, float]]:
        """The coefficients of conditions as numbers."""
        rows = []
        for condition in conditions:
            row = {f: value_at(function, at) for f, (_, function) in condition.linear.items()}
            if None in row.values():
                raise Undecided
            rows.append(row)
        return rows


def _bears(leaf, name: str) -> bool:
    return leaf.name == name or (isinstance(leaf, MeshFile) and name in leaf.parts)


def _rank(rows: list[dict]) -> int:
    """The rank, by elimination, of a matrix given by rows from column to value."""
    rank, rest = 0, [{f: v for f, v in row.items() if v} for row in rows]
    while rest := [row for row in rest if row]:
        pivot, *rest = sorted(rest, key=len)
        column = max(pivot, key=lambda f: abs(pivot[f]))
        rank += 1
        for row in rest:
            if column in row:
                factor, size = row[column] / pivot[column], max(map(abs, row.values()))
                for f, v in pivot.items():
                    row[f] = row.get(f, 0.0) - factor * v
                for f in [f for f, v in row.items() if abs(v) <= SAME * size or f == column]:
                    del row[f]
    return rank
