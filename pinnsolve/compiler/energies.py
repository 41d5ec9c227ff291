"""A linear problem of second order -> the quadratic energy whose least value is at its solution, where there is one.

The equations are put in the form div sigma_a + q_a = 0, one for every unknown u_a, with fluxes sigma_ai = sum
C_aibj d_j u_b, symmetric in (ai) and (bj), and what holds on every face of a box tells, for each unknown, its value or
its flux. Then the solution has the least of 1/2 sigma : grad u - q u - t u over the domain and its faces, of all
functions with these values (Ritz: Ciarlet, The Finite Element Method for Elliptic Problems, section 1.2).

Equations alone leave open how the coefficient of a mixed derivative is divided between C_aibj and C_ajbi; the fluxes
that conditions state tell. No array library.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache

import sympy as sp

from pinnsolve.compiler.applicability import why_not_own_cells
from pinnsolve.compiler.linearization import linearize
from pinnsolve.compiler.terms import CompiledProblem, Term
from pinnsolve.geometry import regions
from pinnsolve.geometry.regions import Intervals, Region
from pinnsolve.language.derivatives import SizeError
from pinnsolve.language.symbols import Feature, coordinate_symbol, feature_symbol

PLACES = (0.2113, 0.5471, 0.8347)  # of an interval, at which coefficients are compared
ALIKE = 1e-9  # relative, of coefficients that are the same
Index = tuple[int, int, int, int]  # unknown and axis of a flux, unknown and axis of a slope


@dataclass(frozen=True)
class Wall:
    """What holds on the face of the box where coordinate `axis` has this `value`; `sign`: of its outward normal.

    `names`: of the conditions; `given`: a term with a residual for every unknown u_a: u_a - g where it is `held`, else
    the flux out of the face that is stated, h - beta u_a.
    """

    axis: int
    value: float
    sign: int
    held: tuple[bool, ...]
    names: tuple[str, ...]
    given: Term


@dataclass(frozen=True)
class Energy:
    """`names`: of the equations; `fluxes`: a term with the residuals sigma_ai, unknown by unknown; `sources`: one with
    q_a; `walls`: all faces."""

    names: tuple[str, ...]
    fluxes: Term
    sources: Term
    walls: tuple[Wall, ...]

    @property
    def couples(self) -> bool:
        """Whether the flux of an unknown holds slopes of another, as in elastic bodies."""
        return any(len({f.unknown for f, _ in line.features}) > 1 for line in self.fluxes.linearizations)


class _NoEnergy(Exception):
    """The problem has no energy, or one that is not known here."""


def energy_to_minimize(problem: CompiledProblem) -> Energy | None:
    """The energy that a solve of its own choice minimizes in place of squares of residuals, or None.

    Elastic bodies bend for next to no energy, so that least squares see little of what infinite stresses at corners do;
    in three coordinates solutions are steep along whole edges. Elsewhere in the plane least squares do better.
    """
    if len(problem.coordinates) < 2 or why_not_own_cells(problem.settings) is not None:
        return None
    energy = energy_of(problem)
    return energy if energy is not None and (energy.couples or len(problem.coordinates) > 2) else None


def energy_of(problem: CompiledProblem) -> Energy | None:
    """The energy of a problem in a box, of one material; None where it has none of this form."""
    simple = problem.linear and problem.shape is None and problem.time is None and not problem.materials
    others = (
        problem.unknown_parameters, problem.integrals, problem.homes, problem.between, problem.regularization,
        problem.undetermined_constants, problem.candidates, problem.state_functions, problem.eigenvalues,
    )  # fmt: skip
    if not simple or any(others) or problem.exactly or problem.term_weights is not None:
        return None
    if any(term.data_file is not None for term in problem.terms):
        return None
    return _found(problem.terms, problem.unknowns, problem.coordinates, problem.intervals)


@lru_cache(maxsize=16)  # the same problem is asked about on every level
def _found(
    terms: tuple[Term, ...], unknowns: tuple[str, ...], coordinates: tuple[str, ...], intervals: Intervals
) -> Energy | None:
    try:
        return _Finder(terms, unknowns, coordinates, intervals).energy()
    except (_NoEnergy, SizeError):
        return None


@dataclass(frozen=True)
class _Line:
    """A residual: coefficients by feature, and what it is where all features are zero."""

    factors: Mapping[Feature, sp.Expr]
    rest: sp.Expr


@dataclass
class _Finder:
    """The search for the energy of a problem; `C` as it becomes known."""

    terms: tuple[Term, ...]
    unknowns: tuple[str, ...]
    coordinates: tuple[str, ...]
    intervals: Intervals
    C: dict[Index, sp.Expr] = field(default_factory=dict)

    @property
    def d(self) -> int:
        return len(self.coordinates)

    @property
    def x(self) -> list[sp.Symbol]:
        return [coordinate_symbol(name) for name in self.coordinates]

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
        given = tuple(self._wall(wall, lines) for wall, lines in walls)
        return Energy(names, self._term(name, fluxes), self._term(name, sources), given)

    # -- what is stated -----------------------------------------------------------------------------------------------

    def _equations(self) -> list[_Line]:
        """The equation of every unknown: the one that holds all of its pure second derivatives."""
        found: dict[int, _Line] = {}
        for term in self.terms:
            if term.kind != "equation":
                continue
            if term.region.where is not None or any(not piece.fills or piece.region for piece in term.region.pieces):
                raise _NoEnergy
            for line in _lines(term):
                if any(f.order > 2 or f.operator or f.side for f in line.factors):
                    raise _NoEnergy
                own = [a for a in range(len(self.unknowns)) if self._elliptic_in(line, a)]
                if len(own) != 1 or own[0] in found:
                    raise _NoEnergy
                found[own[0]] = line
        if len(found) != len(self.unknowns):
            raise _NoEnergy
        return [found[a] for a in range(len(self.unknowns))]

    def _elliptic_in(self, line: _Line, a: int) -> bool:
        return all(line.factors.get(self._feature(a, i, i), 0) != 0 for i in range(self.d))

    def _walls(self) -> Iterator[tuple[tuple[int, float, int], list[tuple[_Line, Term]]]]:
        """All faces of the box, by axis, value and sign of the normal, with what conditions say there."""
        stated: dict[tuple[int, int], list[tuple[_Line, Term]]] = {}
        for term in self.terms:
            if term.kind == "equation":
                continue
            for piece in term.region.pieces:
                if piece.outward is None or len(piece.fixed) != 1 or term.region.where is not None:
                    raise _NoEnergy
                axis, sign = piece.outward
                normal = {coordinate_symbol(f"n_{c}"): sp.Integer(sign * int(i == axis))
                          for i, c in enumerate(self.coordinates)}  # fmt: skip
                for line in _lines(term):
                    factors = {f: value.xreplace(normal) for f, value in line.factors.items()}
                    here = _Line({f: v for f, v in factors.items() if v != 0}, line.rest.xreplace(normal))
                    stated.setdefault(piece.outward, []).append((here, term))
        for axis, (low, high) in enumerate(self.intervals):
            for value, sign in ((low, -1), (high, 1)):
                yield (axis, value, sign), stated.get((axis, sign), [])

    # -- the coefficients ---------------------------------------------------------------------------------------------

    def _fill(self, equations: Sequence[_Line], walls) -> None:
        """C, from the equations, and where these leave it open from the fluxes that are stated."""
        n, d = len(self.unknowns), self.d
        for a in range(n):
            for b in range(n):
                for i in range(d):
                    self.C[a, i, b, i] = equations[a].factors.get(self._feature(b, i, i), sp.S.Zero)
        for (axis, _, _), lines in walls:
            for line, _ in lines:
                a = self._flux_of(line, axis)
                if a is not None:
                    own = line.factors[self._feature(a, axis)]
                    for b in range(n):
                        for j in (j for j in range(d) if j != axis):
                            factor = line.factors.get(self._feature(b, j), sp.S.Zero)
                            self.C.setdefault((a, axis, b, j), self.C[a, axis, a, axis] * factor / own)
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

    def _flux_of(self, line: _Line, axis: int) -> int | None:
        """The unknown whose flux through a face a condition tells: the only one with a derivative along the normal."""
        if any(f.order > 1 or f.operator or f.side for f in line.factors):
            raise _NoEnergy
        slopes = [f for f in line.factors if f.order]
        normal = [f for f in slopes if f.alpha[axis]]
        if slopes and len(normal) != 1:
            raise _NoEnergy
        return self.unknowns.index(normal[0].unknown) if normal else None

    def _sign(self) -> int:
        """That which makes the energy positive."""
        value = self._numbers(self.C[0, 0, 0, 0])[0]
        return 1 if value > 0 else -1

    def _check(self, equations: Sequence[_Line], sign: int) -> None:
        """Raises `_NoEnergy` unless the equations are those of a symmetric and positive energy with these fluxes."""
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
        """Raises `_NoEnergy` unless a symmetric matrix has no negative eigenvalue, at a few places."""
        values = [[self._numbers(entry) for entry in row] for row in matrix]
        for place in range(len(PLACES)):
            here = sp.Matrix([[entry[place] for entry in row] for row in values])
            size = max(abs(v) for v in here)
            if size and not (here + ALIKE * size * sp.eye(here.rows)).is_positive_definite:
                raise _NoEnergy

    def _same(self, one: sp.Expr, other: sp.Expr) -> None:
        for a, b in zip(self._numbers(one), self._numbers(other), strict=True):
            if not abs(a - b) <= ALIKE * max(abs(a), abs(b), 1e-300):
                raise _NoEnergy

    def _numbers(self, expression: sp.Expr) -> list[float]:
        """What an expression is at a few places of the domain. Raises `_NoEnergy` where that is no number."""
        found = []
        for k in range(len(PLACES)):
            at = {x: low + (high - low) * PLACES[(k + i) % len(PLACES)]
                  for i, (x, (low, high)) in enumerate(zip(self.x, self.intervals, strict=True))}  # fmt: skip
            value = sp.sympify(expression).subs(at).evalf()
            if not value.is_number or not value.is_real or not value.is_finite:
                raise _NoEnergy
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

    def _wall(self, place: tuple[int, float, int], lines: Sequence[tuple[_Line, Term]]) -> Wall:
        """What the lines say of every unknown at a face. Raises `_NoEnergy` unless it is one thing of each."""
        axis, value, sign = place
        held: dict[int, bool] = {}
        given: dict[int, sp.Expr] = {}
        for line, _ in lines:
            a = self._flux_of(line, axis)
            values = [f for f in line.factors if not f.order]
            if a is None:
                if len(values) != 1:
                    raise _NoEnergy
                a = self.unknowns.index(values[0].unknown)
                found = self._symbol(a) + line.rest / line.factors[values[0]]
            else:
                if any(f.unknown != self.unknowns[a] for f in values):
                    raise _NoEnergy
                found = self._stated_flux(line, a, place)
            if a in given:
                raise _NoEnergy
            held[a], given[a] = self._flux_of(line, axis) is None, found
        if len(given) != len(self.unknowns):
            raise _NoEnergy
        names = tuple(dict.fromkeys(term.name for _, term in lines))
        every = range(len(self.unknowns))
        region = regions.Region(", ".join(names), (regions.face(axis, value, sign),))
        term = self._term(region.label, [given[a] for a in every], region)
        return Wall(axis, value, sign, tuple(held[a] for a in every), names, term)

    def _stated_flux(self, line: _Line, a: int, place: tuple[int, float, int]) -> sp.Expr:
        """The flux of an unknown out of a face. Raises `_NoEnergy` unless it is that of the energy, and no source that
        grows with the unknown."""
        axis, value, sign = place
        own = line.factors[self._feature(a, axis)]
        to_flux = self.C[a, axis, a, axis] / own
        at = {self.x[axis]: sp.Float(value) if value % 1 else sp.Integer(int(value))}
        for b in range(len(self.unknowns)):
            for j in range(self.d):
                stated = to_flux * line.factors.get(self._feature(b, j), sp.S.Zero)
                self._same(stated.subs(at), sp.sympify(self.C[a, axis, b, j]).subs(at))
        beta = sign * to_flux * line.factors.get(self._feature(a), sp.S.Zero)
        if min(self._numbers(beta.subs(at))) < 0:
            raise _NoEnergy
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
            raise _NoEnergy
        yield _Line(dict(linearization.features), residual.xreplace(nothing))
