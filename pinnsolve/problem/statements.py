"""Spec -> StatedProblem: every text becomes mathematics, every statement gets its region, all errors come at once.

Input: a `Spec`, whose texts are parsed, whose names are known and whose places are resolved. Output: a frozen
`StatedProblem`, completed by conditions that are clear from those stated. Only what sympy or the shape of the domain
can tell is found here. Mathematical checks that only warn live in `checks`. No array library.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from typing import Any, TypeVar

import sympy as sp

from pinnsolve.errors import Diagnostic, ExpressionError, ProblemError
from pinnsolve.geometry import regions
from pinnsolve.geometry.regions import Intervals, Region
from pinnsolve.geometry.shapes import Box, ShapeTree, bounds, may_have_face
from pinnsolve.language import operators
from pinnsolve.language.complex_numbers import PartsError, parts
from pinnsolve.language.components import component_names, real_names
from pinnsolve.language.substitution import substituted
from pinnsolve.language.symbols import (
    FeatureSymbol,
    IntegralSymbol,
    UnknownParameter,
    coordinate_symbol,
    feature_symbol,
    integrals_of,
)
from pinnsolve.language.systems import CARTESIAN
from pinnsolve.language.tabulated import jumping_tables
from pinnsolve.language.to_sympy import Fluxes, Scope, fluxes, from_tree, real_from_tree, residuals
from pinnsolve.problem.checks import AssumedCondition, assumed_conditions, check_problem
from pinnsolve.problem.discovery import candidate_parameters
from pinnsolve.problem.divergence import Divergence, NoDivergence, divergence_form
from pinnsolve.problem.domain import ShapeReader
from pinnsolve.problem.eigenvalues import read_eigenvalues
from pinnsolve.problem.functions import domain_beyond, read_functions
from pinnsolve.problem.places import PlaceMaker, meeting_errors, narrowed, nothing_elsewhere, subdomain
from pinnsolve.problem.ranges import range_diagnostics
from pinnsolve.problem.stated import StatedBetween, StatedProblem, StatedQuantity, StatedTerm
from pinnsolve.spec.located_errors import KeyPath
from pinnsolve.spec.parsed import COMBINATION, ParsedExpression, ParsedTerm, Place
from pinnsolve.spec.places import outside
from pinnsolve.spec.spec import ConditionSpec, Spec

Made = TypeVar("Made")
FLAT = 1e-9  # relative to an interval: boundary this near a plane lies in it


def stated_problem(spec: Spec) -> StatedProblem:
    """Make the mathematics of a spec and check it.

    Raises `ProblemError` with all errors found; warnings are kept on the problem, and conditions that are missing and
    clear from those stated are added to it.
    """
    builder = _Builder(spec)
    problem = builder.build()
    assumed = assumed_conditions(problem, lambda: builder.fluxes)
    found = check_problem(problem, assumed)
    found += [spec.diagnostic(path, message, hint) for path, message, hint in meeting_errors(problem)]
    found += builder.warnings
    if problem.ranges:
        found += range_diagnostics(replace(problem, warnings=tuple(found)), stated_problem)
    if any(d.severity == "error" for d in found):
        raise ProblemError(found)
    statements = (*problem.statements, *_assumed(problem, assumed.conditions))
    return replace(problem, statements=statements, warnings=tuple(found))


def _assumed(problem: StatedProblem, assumed: Sequence[AssumedCondition]) -> Iterator[StatedTerm]:
    """Conditions that the file does not state and the equations need; a warning tells of each."""
    names = {statement.name for statement in problem.statements}
    for item in assumed:
        name = f"assumed on {item.region.label}"
        while name in names:
            name += "'"
        names.add(name)
        yield StatedTerm(name, "condition", item.residuals, item.region, key="conditions")


def _compares(statement: StatedTerm) -> bool:
    """Whether it holds in a part of the domain, or says different things in different parts."""
    region = statement.region
    in_part = region.where is not None or any(piece.region is not None for piece in region.pieces)
    return in_part or any(r.has(sp.Piecewise, sp.Heaviside, sp.sign) or jumping_tables(r) for r in statement.residuals)


class _Builder:
    """Collects the errors of all parts before raising, so that a file is corrected in one go."""

    def __init__(self, spec: Spec):
        self.spec, self.parsed = spec, spec.parsed
        self.errors: list[Diagnostic] = []
        self.coordinates, self.space = spec.axes.names, spec.axes.space_axes
        self.unknowns = real_names(spec.unknowns, spec.complex_unknowns)
        self.intervals: Intervals = tuple(self.parsed.intervals.values())
        self.constants: dict[sp.Symbol, Any] = {}
        self.places: dict[str, Region] = {}  # of integrals in conditions, by label

    def build(self) -> StatedProblem:
        """The problem. Raises `ProblemError`."""
        spec = self.spec
        parameters = self._parameters()
        self.functions = read_functions(spec, self._error)
        self.shape = self._shape()
        self._stop_on_errors()  # without a domain there are no places
        self._read_places()
        self._stop_on_errors()
        equations = self._equations()
        statements = (*equations, *self._conditions(equations), *self._data())
        quantities = tuple(self._quantities())
        integrals = self._integrals(statements)
        eigenvalues = read_eigenvalues(self.spec, statements, self._error)
        exact, guess = (self._known(texts) for texts in (self.parsed.exact, self.parsed.guess))
        other_guesses = tuple(self._known(texts) for texts in self.parsed.other_guesses)
        intervals = dict(zip(self.coordinates, self.intervals, strict=True))
        for path, message, hint in domain_beyond(statements, spec, intervals):
            self._error(path, message, hint)
        self._stop_on_errors()
        return StatedProblem(
            name=spec.name,
            axes=spec.axes,
            intervals=self.intervals,
            unknowns=self.unknowns,
            complex_unknowns=spec.complex_unknowns,
            parameters=parameters,
            unknown_parameters=(
                *(UnknownParameter(name, p.guess, p.bounds) for name, p in self.parsed.unknown_parameters.items()),
                *(p for name in self.parsed.discover for p in candidate_parameters(name, self.spec)),
            ),
            statements=statements,
            exact=exact,
            reference=spec.folder / spec.reference.file if spec.reference else None,
            spec=spec,
            shape=self.shape,
            quantities=quantities,
            eigenvalues=eigenvalues,
            integrals=integrals,
            guess=guess,
            homes=self.homes,
            between=tuple(self.between),
            other_guesses=other_guesses,
        )

    # -- parameters and domain -------------------------------------------------------------------------

    def _parameters(self) -> dict[str, float]:
        """The values of parameters; in conditions on coordinates they stand exactly, as `constants`."""
        values: dict[str, float] = {}
        for name, text in self.parsed.parameters.items():
            value = self._expression(text, Scope(parameters=tuple(values)))
            if value is not None:
                self.constants[coordinate_symbol(name)] = value.xreplace(self.constants)
                values[name] = float(self.parsed.values[name])
        return values

    def _shape(self) -> ShapeTree | None:
        """The shape of the domain, which gives the intervals of space; a box stays a box, whatever its name."""
        if self.parsed.domain is None:
            return None
        space = self.spec.axes.space
        intervals = dict(zip(self.coordinates, self.intervals, strict=True))
        reader = ShapeReader(space, intervals, self.spec.folder, self._condition, self._error)
        shape = reader.domain(self.parsed.domain)
        if shape is None:
            return None
        for name, *ends in zip(space, *bounds(shape), strict=True):
            intervals[name] = tuple(ends)
        self.intervals = tuple(intervals.values())
        return None if isinstance(shape, Box) else shape

    def _read_places(self) -> None:
        """The regions, and where unknowns live."""
        axes, intervals = self.spec.axes, dict(zip(self.coordinates, self.intervals, strict=True))
        reader = ShapeReader(axes.space, intervals, self.spec.folder, self._condition, self._error)
        maker = PlaceMaker(axes, self.intervals, reader, self._condition, self._error)
        self.regions, told = maker.regions(self.parsed)
        self.warnings = [replace(self.spec.diagnostic(*item), severity="warning") for item in told]
        self.homes = maker.homes(self.parsed, self.regions, self.spec.complex_unknowns)
        self.between: list[StatedBetween] = []

    def _condition(self, text: ParsedExpression, normals: bool = False) -> sp.Basic | None:
        """A comparison of coordinates, and of `normals` on a boundary, with parameters folded in."""
        condition = self._expression(text, self.scope(normals=normals))
        return None if condition is None else substituted(condition, self.constants)

    # -- statements ------------------------------------------------------------------------------------

    def scope(self, columns: Sequence[str] = (), normals: bool = False) -> Scope:
        spec = self.spec
        sought = () if spec.eigenvalues is None else (spec.eigenvalues.name,)
        return Scope(
            coordinates=self.coordinates,
            time=spec.time,
            unknowns=tuple(spec.unknowns),
            complex_unknowns=spec.complex_unknowns,
            parameters=(*spec.parameters, *spec.unknown_parameters, *sought),
            complex_parameters=sought if spec.complex_unknowns else (),
            columns=tuple(columns),
            functions=self.functions,
            normals=normals,
            operators=tuple(operators.OPERATORS),
        )

    def _equations(self) -> list[StatedTerm]:
        statements = []
        for name, term in self.parsed.equations.items():
            region = self._narrow(self._filled(term.places), term.where)
            residuals = self._completed(name, self._residuals(term, self.scope()))
            written = term.equations[0].path[1] if term.equations else name
            balances = self._balances(written, term, residuals) if self.spec.equations[written].conservative else ()
            stated = StatedTerm(name, "equation", residuals, region, key=f"equations.{written}", balances=balances)
            statements.extend(narrowed(stated, self.homes, self._error))
        if self.errors or not any(map(_compares, statements)):
            return statements
        found = iter(self.fluxes)
        statements = [replace(s, fluxes=tuple(next(found) for _ in s.residuals)) for s in statements]
        return [*statements, *nothing_elsewhere(self.homes, len(self.coordinates), self.shape)]

    def _balances(self, name: str, term: ParsedTerm, residuals: Sequence[sp.Expr]) -> tuple[Divergence, ...]:
        """The divergence forms of an equation that is conservative."""
        path = ("equations", name)
        if self.spec.system != CARTESIAN:
            message = f"in {self.spec.system} coordinates, fluxes through the faces of cells are not known"
            self._error((*path, "conservative"), message, "state the problem in x and y, or leave `conservative` out")
            return ()
        if term.where is not None or subdomain(term.places, self.regions) is not None:
            self._error((*path, "conservative"), "an equation balances every cell only where it holds in all of them")
            return ()
        if any(integrals_of(residual) for residual in residuals):
            self._error((*path, "conservative"), "the balance of a cell cannot hold integrals over all others")
            return ()
        written = [flux for e in term.equations for flux in fluxes(e.sides, self.scope())]
        try:
            pairs = zip(residuals, written, strict=True)
            return tuple(divergence_form(residual, flux, self.coordinates) for residual, flux in pairs)
        except NoDivergence as error:
            message = f"the equation has no divergence form: `{error}` is the derivative of nothing"
            hint = "write it as `div([...]) = ...`, or as a sum of `D(..., x)`; leave `conservative` out otherwise"
            self._error((*path, "conservative"), message, hint)
        return ()

    def _completed(self, name: str, residuals: tuple[sp.Expr, ...]) -> tuple[sp.Expr, ...]:
        """The residual of an equation with its candidates on the right side, each times a constant."""
        texts = self.parsed.discover.get(name, ())
        terms = [self._expression(text, self.scope()) for text in texts]
        if None in terms or len(residuals) != 1 or not terms:
            return residuals
        constants = (coordinate_symbol(p.name) for p in candidate_parameters(name, self.spec))
        return (residuals[0] - sum(c * term for c, term in zip(constants, terms, strict=True)),)

    @cached_property
    def fluxes(self) -> list[Fluxes]:
        """The fluxes of every residual of an equation."""
        scope = self.scope()
        stated = (e for term in self.parsed.equations.values() for e in term.equations)
        return [of_residual for e in stated for of_residual in fluxes(e.sides, scope)]

    def _conditions(self, equations: Sequence[StatedTerm]) -> Iterator[StatedTerm]:
        scope, specs = self.scope(normals=True), self.spec.conditions
        equations_of = {n: t for n, t in self.parsed.conditions.items() if not specs[n].periodic and t.integral is None}
        stated = {n: self._residuals(t, scope) for n, t in equations_of.items()}
        all_residuals = [r for s in equations for r in s.residuals] + [r for some in stated.values() for r in some]
        for name, term in self.parsed.conditions.items():
            path, item = ("conditions", name), specs[name]
            if item.exactly:
                self._check_exactly(term, path)
            if item.periodic:
                yield from self._periodic(name, item, term.where, all_residuals)
                continue
            if term.integral is not None:
                yield from self._integral_condition(name, term, scope)
                continue
            residuals = stated[name]
            if any(place.kind == "between" for place in term.places):
                self._between(name, term, residuals)
                continue
            places = [self._place(place, path) for place in term.places]
            if None in places:
                continue
            if len({piece.held for place in places for piece in place.pieces}) > 1:
                self._error(path, "places of different dimension need conditions of their own")
                continue
            region = self._narrow(regions.union(places), term.where, normals=True)
            self._need_normals((*residuals, region.where), region, path)
            statement = StatedTerm(name, "condition", residuals, region, key=f"conditions.{name}", exactly=item.exactly)
            yield from narrowed(statement, self.homes, self._error)

    def _check_exactly(self, term: ParsedTerm, path: KeyPath) -> None:
        """Where an equation can hold to rounding: where values of polynomials are those of fewer coordinates."""
        if term.integral is None and any(place.kind in ("domain", "region", "group") for place in term.places):
            hint = "`exactly` is for boundaries, starts, points, periodic faces and integrals"
            self._error((*path, "exactly"), "no polynomials meet an equation everywhere in a domain exactly", hint)
        if any(place.kind == "between" for place in term.places):
            self._error((*path, "exactly"), "what holds where two regions meet cannot be asked for exactly")

    def _between(self, name: str, term: ParsedTerm, residuals: tuple[sp.Expr, ...]) -> None:
        """What holds where two regions meet."""
        path = ("conditions", name)
        if term.where is not None or any(place.kind != "between" for place in term.places):
            message = "where two regions meet needs a condition of its own, without `where`"
            self._error(path, message, "give the other places a condition of their own")
        for place in term.places:
            if place.kind == "between":
                sides = tuple(
                    self.regions.get(name) or regions.Subdomain(name, groups=(name,))
                    for name in (place.part, place.other)
                )
                self.between.append(StatedBetween(name, residuals, sides, f"conditions.{name}"))

    def _integral_condition(self, name: str, term: ParsedTerm, scope: Scope) -> Iterator[StatedTerm]:
        """An integral, or a mean, over the places of a condition equals something: the same everywhere in space."""
        path, said = ("conditions", name), term.integral
        value = self._expression(said.expression, scope)
        equals = self._expression(said.equals, self.scope())
        places = [self._place(place, path) for place in term.places]
        if value is None or equals is None or None in places:
            return
        region = self._narrow(regions.union(places), term.where, normals=True)
        if len({piece.held for piece in region.pieces}) > 1:
            self._error(path, "places of different dimension have no common size; give each a condition of its own")
            return
        if any(piece.held == len(self.coordinates) for piece in region.pieces) and len(self.space) > 1:
            self._error(path, "an integral is taken over a place that has a size, not a point")
            return
        if any(piece.region is not None for piece in region.pieces):
            self._error(path, "integrals over a group of cells are not supported; narrow the domain by `where`")
            return
        time = self.spec.axes.time_axis
        if any(time == axis for piece in region.pieces for axis, _ in piece.fixed):
            self._error(path, "an integral is over space, at every time; its place cannot be a time")
            return
        self._need_normals((value, region.where), region, path)
        place = "" if region.label == "domain" else region.label
        symbol = IntegralSymbol(said.kind, value, place, self.spec.axes.space)
        self.places[symbol.place] = region
        label = f"{'mean' if said.kind == 'mean' else 'integral'} over {region.label}"
        whole = replace(regions.domain(), label=label)
        exactly = self.spec.conditions[name].exactly
        yield StatedTerm(name, "condition", (symbol - equals,), whole, key=f"conditions.{name}", exactly=exactly)

    def _integrals(self, statements: Sequence[StatedTerm]) -> dict[IntegralSymbol, Region]:
        """The integrals of all residuals, those inside others first, and where they are taken."""
        found = [symbol for s in statements for r in s.residuals for symbol in integrals_of(r)]
        return {symbol: self.places.get(symbol.place) or self._named_place(symbol.place) for symbol in found}

    def _named_place(self, name: str) -> Region:
        """The region of a name that integrals in expressions give."""
        if name in ("", "domain"):
            return regions.domain()
        return self._place(Place("boundary", name, "" if name == "boundary" else name), ("equations",))

    def _need_normals(self, expressions: Sequence[sp.Basic | None], region: Region, path: KeyPath) -> None:
        normals = {coordinate_symbol(f"n_{c}") for c in self.coordinates}
        uses = any(normals & e.free_symbols for e in expressions if e is not None)
        if uses and not all(self._is_boundary(piece) for piece in region.pieces):
            self._error(path, f"normals and Dn(..) need a boundary in space, and `{region.label}` is none")

    def _is_boundary(self, piece: regions.Piece) -> bool:
        """Whether a piece is boundary in space, so that it has normals."""
        return piece.part is not None or (piece.outward is not None and piece.outward[0] in self.space)

    def _periodic(
        self, name: str, item: ConditionSpec, where: ParsedExpression | None, stated: Sequence[sp.Expr]
    ) -> Iterator[StatedTerm]:
        """Every unknown and as many derivatives as need be for what is `stated` agree on a pair of faces."""
        key = f"conditions.{name}"
        for coordinate in item.periodic:
            axis = self.coordinates.index(coordinate)
            if self.shape is not None and axis in self.space:
                hint = "give the domain as a box, or what holds on each part of the boundary"
                message = "periodic coordinates of space need a box, and the domain is a shape"
                self._error(("conditions", name), message, hint)
                continue
            pair = regions.periodic_pair(axis, self.intervals, f"periodic in {coordinate}")
            full = f"{name}_{coordinate}" if len(item.periodic) > 1 else name
            residuals = self._periodic_residuals(axis, stated)
            region = self._narrow(pair, where)
            yield StatedTerm(full, "condition", residuals, region, key=key, exactly=item.exactly)

    def _periodic_residuals(self, axis: int, stated: Sequence[sp.Expr]) -> tuple[sp.Expr, ...]:
        orders = dict.fromkeys(self.unknowns, 1)
        for symbol in {s for r in stated for s in r.free_symbols}:
            if isinstance(symbol, FeatureSymbol):
                f = symbol.feature
                orders[f.unknown] = max(orders[f.unknown], f.alpha[axis])
        residuals = []
        for unknown, order in orders.items():
            for k in range(order):
                alpha = tuple(k * (i == axis) for i in range(len(self.coordinates)))
                residuals.append(feature_symbol(unknown, alpha) - feature_symbol(unknown, alpha, side=1))
        return tuple(residuals)

    def _data(self) -> Iterator[StatedTerm]:
        for name, term in self.parsed.data.items():
            item = self.spec.data[name]
            columns = [c for c in item.columns if c not in self.coordinates]
            yield StatedTerm(
                name,
                "data",
                self._residuals(term, self.scope(columns=columns)),
                Region(f"{item.file}", ()),
                self.spec.folder / item.file,
                item.noise,
                f"data.{name}",
                robust=item.loss == "huber",
            )

    def _quantities(self) -> Iterator[StatedQuantity]:
        for name, item in self.parsed.quantities.items():
            path = ("quantities", name)
            scope = self.scope(normals=True)
            if item.kind == COMBINATION:
                scope = replace(
                    scope, parameters=(*scope.parameters, *(q for q in self.parsed.quantities if q != name))
                )
            value = self._expression(item.expression, scope, "a quantity")
            places = [self._place(place, path) for place in item.places]
            if value is None or None in places:
                continue
            inside = subdomain(item.places, self.regions) is not None
            region = self._narrow(
                regions.union(places) if places and not inside else self._filled(item.places), item.where
            )
            self._need_normals([value], region, path)
            integrals = {symbol: self._named_place(symbol.place) for symbol in integrals_of(value)}
            yield StatedQuantity(name, item.kind, value, region, integrals)

    def _known(self, texts: Mapping[str, ParsedExpression]) -> dict[str, sp.Expr]:
        """By real unknown, expressions in the coordinates, with parameters folded in."""
        found: dict[str, sp.Expr] = {}
        for unknown, text in texts.items():
            if unknown in self.spec.complex_unknowns:
                both = self._made(lambda t=text: parts(from_tree(t.tree, self.scope())), text.path, text.text)
                found |= dict(zip(component_names(unknown), both or (), strict=False))
            elif (value := self._expression(text, self.scope())) is not None:
                found[unknown] = value
        return {unknown: substituted(e, self.constants) for unknown, e in found.items()}

    # -- places ----------------------------------------------------------------------------------------

    def _region(self, place: Place) -> Region:
        """The region in which an equation holds."""
        if place.kind == "region":
            known = self.regions[place.part]
            return replace(regions.domain(), where=known.holds, label=known.label)
        return regions.domain() if place.kind == "domain" else regions.mesh_region(place.part)

    def _filled(self, places: Sequence[Place]) -> Region:
        """The union of regions, each of the dimension of the domain; without places, the domain."""
        found = subdomain(places, self.regions)
        if found is not None and not found.groups:
            return replace(regions.domain(), where=found.holds, label=found.label)
        return regions.union([self._region(place) for place in places] or [regions.domain()])

    def _place(self, place: Place, path: KeyPath) -> Region | None:
        """The region in which a condition holds; None outside the domain."""
        if place.kind == "point":
            return self._point(place, path)
        if place.kind != "boundary":
            return self._region(place)
        if self.shape is not None:
            return regions.part(place.part, place.label)
        return replace(regions.whole_boundary(self.intervals, self.space), label=place.label)

    def _point(self, place: Place, path: KeyPath) -> Region | None:
        """A face, a slice, or a point."""
        fixed = {self.coordinates.index(name): value for name, value in place.fixed.items()}
        if len(fixed) == 1 and self._has_face(*next(iter(fixed.items()))):
            return regions.part("", place.label, next(iter(fixed.items())))
        for axis, value in fixed.items():
            low, high = self.intervals[axis]
            message = outside(self.coordinates[axis], value, (low, high))
            if message is not None:
                self._error(path, message, text=place.label)
                return None
            fixed[axis] = min(max(value, low), high)
        if len(fixed) == 1:
            return regions.plane(*next(iter(fixed.items())), self.intervals, place.label)
        return regions.point(fixed, place.label)

    def _has_face(self, axis: int, value: float) -> bool:
        """Whether the boundary of a shape may lie in a plane."""
        if self.shape is None or axis not in self.space:
            return False
        low, high = self.intervals[axis]
        near = FLAT * (high - low)
        inside = low - near <= value <= high + near
        return inside and may_have_face(self.shape, self.space.index(axis), value, near)

    def _narrow(self, region: Region, where: ParsedExpression | None, normals: bool = False) -> Region:
        return region if where is None else region.narrowed(self._condition(where, normals), where.text)

    # -- trees and errors ------------------------------------------------------------------------------

    def _residuals(self, term: ParsedTerm, scope: Scope) -> tuple[sp.Expr, ...]:
        found = (self._made(lambda e=e: residuals(e.sides, scope), e.path, e.text) for e in term.equations)
        return tuple(r for some in found for r in some or ())

    def _expression(self, text: ParsedExpression, scope: Scope, what: str = "what stands here") -> sp.Basic | None:
        return self._made(lambda: real_from_tree(text.tree, scope, what), text.path, text.text)

    def _made(self, make: Callable[[], Made], path: KeyPath, text: str) -> Made | None:
        """The result of `make`; None, and an error, where sympy finds no value."""
        try:
            return make()
        except ExpressionError as error:
            self._error(path, error.message, error.hint, text=text, offset=error.offset)
        except PartsError as error:
            self._error(path, str(error), text=text)
        return None

    def _error(self, path: KeyPath, message: str, hint: str | None = None, **details: Any) -> None:
        self.errors.append(self.spec.diagnostic(path, message, hint, **details))

    def _stop_on_errors(self) -> None:
        if self.errors:
            raise ProblemError(self.errors)
