"""A linear problem of second order -> the quadratic energy whose least value is at its solution, where there is one.

The equations are put in the form div sigma_a + q_a = 0, one for every unknown u_a, with fluxes sigma_ai = sum
C_aibj d_j u_b, symmetric in (ai) and (bj), and what holds on every face of a box tells, for each unknown, its value or
its flux. Then the solution has the least of 1/2 sigma : grad u - q u - t u over the domain and its faces, of all
functions with these values (Ritz: Ciarlet, The Finite Element Method for Elliptic Problems, section 1.2).

Equations alone leave open how the coefficient of a mixed derivative is divided between C_aibj and C_ajbi; the fluxes
that conditions state tell. No array library.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

import sympy as sp

from pinnsolve.compiler.energy_parts import Energy, NoEnergy, Wall
from pinnsolve.compiler.linearization import linearize
from pinnsolve.compiler.terms import Interface, Term
from pinnsolve.geometry import regions
from pinnsolve.geometry.regions import Intervals, Piece, Region
from pinnsolve.geometry.shapes import Box, ShapeTree, may_have_face, primitives, with_boxes
from pinnsolve.language.symbols import Feature, coordinate_symbol, feature_symbol

PLACES = (0.2113, 0.5471, 0.8347)  # of an interval, at which coefficients are compared
ALIKE = 1e-9  # relative, of coefficients that are the same
SOME = (0.48, 0.6, 0.64)  # a direction, for what holds normals
NEAR = 1e-9  # of the size: how near to a plane a flat face lies in it
Index = tuple[int, int, int, int]  # unknown and axis of a flux, unknown and axis of a slope


@dataclass(frozen=True)
class _Line:
    """A residual: coefficients by feature, and what it is where all features are zero."""

    factors: Mapping[Feature, sp.Expr]
    rest: sp.Expr


@dataclass
class EnergyFinder:
    """The search for the energy of a problem; `C` as it becomes known."""

    terms: tuple[Term, ...]
    unknowns: tuple[str, ...]
    coordinates: tuple[str, ...]
    intervals: Intervals
    shape: ShapeTree | None = None
    C: dict[Index, sp.Expr] = field(default_factory=dict)

    @property
    def d(self) -> int:
        return len(self.coordinates)

    @property
    def x(self) -> list[sp.Symbol]:
        return [coordinate_symbol(name) for name in self.coordinates]

    @property
    def normals(self) -> list[sp.Symbol]:
        return [coordinate_symbol(f"n_{name}") for name in self.coordinates]

    def energy(self) -> Energy:
        equations = self._equations()
        walls = list(self._walls())
        self._fill(equations, walls)
        sign = self._sign()
        self.C = {index: sign * value for index, value in self.C.items()}
        self._check(equations, sign)
        n = len(self.unknowns)
        fluxes = [self._flux(a, i) for a in range(n) for i in range(self.d)]
        sources = [sign * self._source(equations[a]) for a in range(n)]
        names = tuple(term.name for term in self.terms if term.kind == "equation")
        name = ", ".join(names)
        given = tuple(self._wall(piece, lines) for piece, lines in walls)
        return Energy(names, self._term(name, fluxes), self._term(name, sources), given)

    # -- what is stated -----------------------------------------------------------------------------------------------

    def _equations(self) -> list[_Line]:
        """The equation of every unknown: the one that holds all of its pure second derivatives."""
        found: dict[int, _Line] = {}
        for term in self.terms:
            if term.kind != "equation":
                continue
            if term.region.where is not None or any(not piece.fills or piece.region for piece in term.region.pieces):
                raise NoEnergy
            for line in _lines(term):
                if any(f.order > 2 or f.operator or f.side for f in line.factors):
                    raise NoEnergy
                own = [a for a in range(len(self.unknowns)) if self._elliptic_in(line, a)]
                if len(own) != 1 or own[0] in found:
                    raise NoEnergy
                found[own[0]] = line
        if len(found) != len(self.unknowns):
            raise NoEnergy
        return [found[a] for a in range(len(self.unknowns))]

    def _elliptic_in(self, line: _Line, a: int) -> bool:
        return all(line.factors.get(self._feature(a, i, i), 0) != 0 for i in range(self.d))

    def _walls(self) -> Iterator[tuple[Piece, list[tuple[_Line, Term]]]]:
        """All of the boundary, piece by piece, with what conditions say there."""
        stated: dict[Piece, list[tuple[_Line, Term]]] = {}
        for term in self.terms:
            if term.kind == "equation":
                continue
            for piece in term.region.pieces:
                if not self._is_boundary(piece) or term.region.where is not None:
                    raise NoEnergy
                for line in _lines(term):
                    stated.setdefault(piece, []).append((self._on_face(line, piece), term))
        if self.shape is None:
            for axis, (low, high) in enumerate(self.intervals):
                for value, sign in ((low, -1), (high, 1)):
                    piece = regions.face(axis, value, sign)
                    yield piece, stated.get(piece, [])
            return
        if list(stated) != [Piece(part="")]:
            self._check_parts(with_boxes(self.shape), list(stated))
        yield from stated.items()

    def _check_parts(self, shape: ShapeTree, stated: Sequence[Piece]) -> None:
        """Raises `NoEnergy` unless every place on the boundary of the shape is in one piece: every named part is, and
        of boxes without a name every face, none of which a part with a name may lie in."""
        named = {leaf.name for leaf in primitives(shape) if leaf.name}
        planes = {piece.plane for piece in stated if not piece.part and piece.plane is not None}
        if {piece.part for piece in stated if piece.part} != named or len(stated) != len(named) + len(planes):
            raise NoEnergy
        near = NEAR * max(high - low for low, high in self.intervals)
        for leaf in primitives(shape):
            if leaf.name:
                if any(may_have_face(leaf, axis, value, near) for axis, value in planes):
                    raise NoEnergy
            elif not isinstance(leaf, Box) or not _faces(leaf) <= planes:
                raise NoEnergy

    def _is_boundary(self, piece: Piece) -> bool:
        if self.shape is None:
            return piece.outward is not None and len(piece.fixed) == 1
        plain = piece.part is not None and not piece.fixed and piece.region is None
        return plain and not (piece.part and piece.plane)

    def _on_face(self, line: _Line, piece: Piece) -> _Line:
        """With the normal of a face of a box."""
        if piece.outward is None:
            return line
        axis, sign = piece.outward
        normal = {n: sp.Integer(sign * int(i == axis)) for i, n in enumerate(self.normals)}
        factors = {f: value.xreplace(normal) for f, value in line.factors.items()}
        return _Line({f: v for f, v in factors.items() if v != 0}, line.rest.xreplace(normal))

    # -- the coefficients ---------------------------------------------------------------------------------------------

    def _fill(self, equations: Sequence[_Line], walls) -> None:
        """C, from the equations, and where these leave it open from the fluxes that are stated."""
        n, d = len(self.unknowns), self.d
        for a in range(n):
            for b in range(n):
                for i in range(d):
                    self.C[a, i, b, i] = equations[a].factors.get(self._feature(b, i, i), sp.S.Zero)
        for piece, lines in walls:
            for line, _ in lines:
                slopes = self._slopes(line, piece)
                a = self._flux_of(slopes)
                if a is not None:
                    for i in sorted({i for i, _, _ in slopes}):
                        own = slopes[i, a, i]
                        for b, j in ((b, j) for b in range(n) for j in range(d) if j != i):
                            factor = slopes.get((i, b, j), sp.S.Zero)
                            self.C.setdefault((a, i, b, j), self.C[a, i, a, i] * factor / own)
        for a in range(n):
            for b in range(n):
                for i in range(d):
                    for j in (j for j in range(d) if j != i):
                        self._divide(equations[a].factors.get(self._feature(b, i, j), sp.S.Zero), (a, i, b, j))

    def _divide(self, whole: sp.Expr, index: Index) -> None:
        """The coefficient of a mixed derivative, between the two fluxes that give it."""
        if index in self.C:
            return
        a, i, b, j = index
        known = [self.C[k] for k in ((b, j, a, i),) if k in self.C]
        known += [whole - self.C[k] for k in ((a, j, b, i), (b, i, a, j)) if k in self.C]
        self.C[index] = known[0] if known else whole / 2

    def _slopes(self, line: _Line, piece: Piece) -> dict[tuple[int, int, int], sp.Expr]:
        """What a condition holds of slopes: factors by component of the normal, unknown and axis."""
        if any(f.order > 1 or f.operator or f.side for f in line.factors):
            raise NoEnergy
        found: dict[tuple[int, int, int], sp.Expr] = {}
        for f, value in line.factors.items():
            if not f.order:
                continue
            b, j = self.unknowns.index(f.unknown), f.alpha.index(1)
            if piece.outward is not None:
                found[piece.outward[0], b, j] = value
                continue
            value = sp.expand(value)
            parts = {i: value.coeff(n) for i, n in enumerate(self.normals)}
            if sp.expand(value - sp.Add(*(n * parts[i] for i, n in enumerate(self.normals)))) != 0:
                raise NoEnergy
            if any(part.has(*self.normals) for part in parts.values()):
                raise NoEnergy
            found |= {(i, b, j): part for i, part in parts.items() if part != 0}
        return found

    def _flux_of(self, slopes: Mapping[tuple[int, int, int], sp.Expr]) -> int | None:
        """The unknown whose flux through the boundary a condition tells: the only one that it holds all slopes along
        the normal of."""
        if not slopes:
            return None
        axes = {i for i, _, _ in slopes}
        found = [a for a in range(len(self.unknowns)) if all((i, a, i) in slopes for i in axes)]
        if len(found) != 1 or (self.shape is not None and len(axes) != self.d):
            raise NoEnergy
        return found[0]

    def _sign(self) -> int:
        """That which makes the energy positive."""
        value = self._numbers(self.C[0, 0, 0, 0])[0]
        return 1 if value > 0 else -1

    def _check(self, equations: Sequence[_Line], sign: int) -> None:
        """Raises `NoEnergy` unless the equations are those of a symmetric and positive energy with these fluxes."""
        n, d = len(self.unknowns), self.d
        pairs = [(a, i) for a in range(n) for i in range(d)]
        for a, i in pairs:
            for b, j in pairs:
                self._same(self.C[a, i, b, j], self.C[b, j, a, i])
                stated = equations[a].factors.get(self._feature(b, i, j), sp.S.Zero)
                made = self.C[a, i, b, j] + (self.C[a, j, b, i] if i != j else 0)
                self._same(sign * stated, made)
            for b in range(n):
                made = sp.Add(*(sp.diff(self.C[a, j, b, i], self.x[j]) for j in range(d)))
                self._same(sign * equations[a].factors.get(self._feature(b, i), sp.S.Zero), made)
        for a in range(n):
            for b in range(n):
                one, other = (equations[k].factors.get(self._feature(m), sp.S.Zero) for k, m in ((a, b), (b, a)))
                self._same(one, other)
        self._positive([[self.C[(*p, *q)] for q in pairs] for p in pairs])
        self._positive([[-sign * equations[a].factors.get(self._feature(b), sp.S.Zero) for b in range(n)]
                        for a in range(n)])  # fmt: skip

    def _positive(self, matrix: Sequence[Sequence[sp.Expr]]) -> None:
        """Raises `NoEnergy` unless a symmetric matrix has no negative eigenvalue, at a few places."""
        values = [[self._numbers(entry) for entry in row] for row in matrix]
        for place in range(len(PLACES)):
            here = sp.Matrix([[entry[place] for entry in row] for row in values])
            size = max(abs(v) for v in here)
            if size and not (here + ALIKE * size * sp.eye(here.rows)).is_positive_definite:
                raise NoEnergy

    def _same(self, one: sp.Expr, other: sp.Expr) -> None:
        for a, b in zip(self._numbers(one), self._numbers(other), strict=True):
            if not abs(a - b) <= ALIKE * max(abs(a), abs(b), 1e-300):
                raise NoEnergy

    def _numbers(self, expression: sp.Expr) -> list[float]:
        """What an expression is at a few places of the domain. Raises `NoEnergy` where that is no number."""
        found = []
        for k in range(len(PLACES)):
            at = {x: low + (high - low) * PLACES[(k + i) % len(PLACES)]
                  for i, (x, (low, high)) in enumerate(zip(self.x, self.intervals, strict=True))}  # fmt: skip
            at |= {n: part / math.sqrt(sum(v * v for v in SOME)) for n, part in zip(self.normals, SOME, strict=False)}
            value = sp.sympify(expression).subs(at).evalf()
            if not value.is_number or not value.is_real or not value.is_finite:
                raise NoEnergy
            found.append(float(value))
        return found

    # -- terms --------------------------------------------------------------------------------------------------------

    def _flux(self, a: int, i: int) -> sp.Expr:
        every = range(len(self.unknowns))
        return sp.Add(*(self.C[a, i, b, j] * self._symbol(b, j) for b in every for j in range(self.d)))

    def _source(self, line: _Line) -> sp.Expr:
        """What an equation holds beside the divergence of the fluxes."""
        return line.rest + sp.Add(*(value * feature_symbol(f.unknown, f.alpha) for f, value in line.factors.items()
                                    if not f.order))  # fmt: skip

    def _wall(self, piece: Piece, lines: Sequence[tuple[_Line, Term]]) -> Wall:
        """What the lines say of every unknown on a piece of the boundary. Raises `NoEnergy` unless it is one thing of
        each."""
        held: dict[int, bool] = {}
        given: dict[int, sp.Expr] = {}
        for line, _ in lines:
            slopes = self._slopes(line, piece)
            a = self._flux_of(slopes)
            values = [f for f in line.factors if not f.order]
            if a is None:
                if len(values) != 1 or line.factors[values[0]].has(*self.normals):
                    raise NoEnergy
                number = self.unknowns.index(values[0].unknown)
                found = self._symbol(number) + line.rest / line.factors[values[0]]
            else:
                number = a
                if any(f.unknown != self.unknowns[a] for f in values):
                    raise NoEnergy
                found = self._stated_flux(line, a, slopes, piece)
            if number in given:
                raise NoEnergy
            held[number], given[number] = a is None, found
        if len(given) != len(self.unknowns):
            raise NoEnergy
        names = tuple(dict.fromkeys(term.name for _, term in lines))
        every = range(len(self.unknowns))
        region = regions.Region(", ".join(names), (piece,))
        term = self._term(region.label, [given[a] for a in every], region)
        return Wall(piece, tuple(held[a] for a in every), names, term)

    def _stated_flux(
        self, line: _Line, a: int, slopes: Mapping[tuple[int, int, int], sp.Expr], piece: Piece
    ) -> sp.Expr:
        """The flux of an unknown out of the domain. Raises `NoEnergy` unless it is that of the energy, and no source
        that grows with the unknown."""
        at, sign, axes = {}, 1, sorted({i for i, _, _ in slopes})
        if piece.outward is not None:
            ((axis, value),), sign = piece.fixed, piece.outward[1]
            at = {self.x[axis]: sp.Float(value) if value % 1 else sp.Integer(int(value))}
        to_flux = self.C[a, axes[0], a, axes[0]] / slopes[axes[0], a, axes[0]]
        for i in axes:
            for b in range(len(self.unknowns)):
                for j in range(self.d):
                    stated = to_flux * slopes.get((i, b, j), sp.S.Zero)
                    self._same(stated.subs(at), sp.sympify(self.C[a, i, b, j]).subs(at))
        beta = sign * to_flux * line.factors.get(self._feature(a), sp.S.Zero)
        if min(self._numbers(beta.subs(at))) < 0:
            raise NoEnergy
        return -beta * self._symbol(a) - sign * to_flux * line.rest

    def _feature(self, a: int, *axes: int) -> Feature:
        return Feature(self.unknowns[a], self._alpha(axes))

    def _symbol(self, a: int, *axes: int) -> sp.Symbol:
        return feature_symbol(self.unknowns[a], self._alpha(axes))

    def _alpha(self, axes: Sequence[int]) -> tuple[int, ...]:
        return tuple(axes.count(i) for i in range(self.d))

    def _term(self, name: str, residuals: Sequence[sp.Expr], region: Region | None = None) -> Term:
        lines = tuple(linearize(r, ()) for r in residuals)
        kind, region = "condition" if region else "equation", region or regions.domain()
        return Term(name, kind, region, tuple(residuals), lines, True)


def _lines(term: Term) -> Iterator[_Line]:
    for residual, linearization in zip(term.residuals, term.linearizations, strict=True):
        nothing = {feature_symbol(f.unknown, f.alpha, f.operator, f.side): sp.S.Zero for f, _ in linearization.features}
        if linearization.parameters:
            raise NoEnergy
        yield _Line(dict(linearization.features), residual.xreplace(nothing))


def _faces(box: Box) -> set[tuple[int, float]]:
    """The axes and values of its faces."""
    return {(i, v) for i, ends in enumerate(zip(box.lower, box.upper, strict=True)) for v in ends}


def check_interface(interface: Interface, sides: Sequence[EnergyFinder]) -> None:
    """Raises `NoEnergy` unless unknowns and their fluxes go on from one material to the other, and these meet in a
    plane across an axis."""
    first = sides[0]
    if interface.axis is not None:
        raise NoEnergy
    continued: set[tuple[int, bool]] = set()
    for line in _lines(interface.term):
        if sp.expand(line.rest) != 0:
            raise NoEnergy
        parts = [_Line({replace(f, side=0): v for f, v in line.factors.items() if f.side == side}, sp.S.Zero)
                 for side in (0, 1)]  # fmt: skip
        slopes = [finder._slopes(part, Piece()) for finder, part in zip(sides, parts, strict=True)]
        a = first._flux_of(slopes[0])
        values = [[f for f in part.factors if not f.order] for part in parts]
        if a is None:
            if slopes[1] or any(len(one) != 1 for one in values) or values[0] != values[1]:
                raise NoEnergy
            number = first.unknowns.index(values[0][0].unknown)
            first._same(parts[0].factors[values[0][0]], -parts[1].factors[values[0][0]])
        else:
            number = a
            if any(values):
                raise NoEnergy
            ratio = first.C[a, 0, a, 0] / slopes[0][0, a, 0]
            for sign, finder, one in zip((1, -1), sides, slopes, strict=True):
                for i, b, j in itertools.product(range(first.d), range(len(first.unknowns)), range(first.d)):
                    first._same(sign * ratio * one.get((i, b, j), sp.S.Zero), finder.C[a, i, b, j])
        continued.add((number, a is None))
    if len(continued) != 2 * len(first.unknowns):
        raise NoEnergy
