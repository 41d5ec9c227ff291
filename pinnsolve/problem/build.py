"""Spec -> Problem: every expression parsed, every statement placed, all errors at once.

Input: a `Spec` (the file's shape is right, its names are known). Output: a frozen `Problem`, completed by conditions
that are clear from those stated. Mathematical checks that only warn live in `checks`. No array library.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import sympy as sp

from pinnsolve.errors import Diagnostic, ExpressionError, ProblemError
from pinnsolve.geometry import regions
from pinnsolve.geometry.regions import Intervals, Region
from pinnsolve.geometry.shapes import (
    Box,
    ShapeTree,
    bounds,
    may_have_face,
    part_names,
    region_names,
)
from pinnsolve.language import operators
from pinnsolve.language.substitution import substituted
from pinnsolve.language.symbols import FeatureSymbol, UnknownParameter, coordinate_symbol, feature_symbol
from pinnsolve.language.to_sympy import Fluxes, Scope, boolean, equation, expression, fluxes
from pinnsolve.problem.checks import Assumed, check_problem, completion
from pinnsolve.problem.domain import ShapeReader
from pinnsolve.problem.problem import Problem, Statement
from pinnsolve.spec.spec import Spec

FLAT = 1e-9  # relative to an interval: boundary this near a plane lies in it


def build_problem(spec: Spec) -> Problem:
    """Parse every expression of the spec and check the mathematics.

    Raises `ProblemError` with all errors found; warnings are kept on the problem, and conditions that are missing and
    clear from those stated are added to it.
    """
    builder = _Builder(spec)
    problem = builder.build()
    completed = completion(problem, builder.fluxes)
    found = check_problem(problem, completed)
    if any(d.severity == "error" for d in found):
        raise ProblemError(found)
    statements = (*problem.statements, *_assumed(problem, completed.assumed))
    return replace(problem, statements=statements, warnings=tuple(found))


def _assumed(problem: Problem, assumed: Sequence[Assumed]) -> Iterator[Statement]:
    """Conditions that the file does not state and the equations need; a warning tells of each."""
    names = {statement.name for statement in problem.statements}
    for item in assumed:
        name = f"assumed on {item.region.label}"
        while name in names:
            name += "'"
        names.add(name)
        yield Statement(name, "condition", item.residuals, item.region, key="conditions")


def _compares(statement: Statement) -> bool:
    """Whether it holds in a part of the domain, or says different things in different parts."""
    region = statement.region
    in_part = region.where is not None or any(piece.region is not None for piece in region.pieces)
    return in_part or any(r.has(sp.Piecewise) for r in statement.residuals)


class _Builder:
    """Collects the errors of all parts before raising, so that a file is corrected in one go."""

    def __init__(self, spec: Spec):
        self.spec = spec
        self.errors: list[Diagnostic] = []
        self.coordinates = tuple(spec.coordinates)
        self.constants: dict[sp.Symbol, Any] = {}

    def build(self) -> Problem:
        spec = self.spec
        parameters = self._parameters()
        axes = range(len(self.coordinates))
        self.space = tuple(i for i in axes if self.coordinates[i] != spec.time)
        self.intervals = self._intervals()
        self._stop_on_errors()  # without numbers for the box nothing else means anything
        self.parts: tuple[str, ...] = ()
        self.shape = self._shape()
        self._stop_on_errors()
        statements = [*self._equations(), *self._conditions(), *self._data()]
        exact = self._exact()
        self._check_regularization()
        unknown_parameters = self._unknown_parameters()
        self._stop_on_errors()
        return Problem(
            name=spec.name,
            coordinates=self.coordinates,
            intervals=self.intervals,
            time=spec.time,
            unknowns=tuple(spec.unknowns),
            parameters=parameters,
            unknown_parameters=unknown_parameters,
            statements=tuple(statements),
            exact=exact,
            reference=spec.folder / spec.reference.file if spec.reference else None,
            spec=spec,
            shape=self.shape,
        )

    # -- numbers ---------------------------------------------------------------------------------------

    def _parameters(self) -> dict[str, float]:
        values: dict[str, float] = {}
        for name, text in self.spec.parameters.items():
            scope = Scope(coordinates=(), parameters=tuple(values))
            value = self._parse(lambda t=text, s=scope: expression(str(t), s), f"parameters.{name}", text)
            if value is None:
                continue
            value = value.xreplace(self.constants)
            self.constants[coordinate_symbol(name)] = value
            values[name] = self._float(value, f"parameters.{name}", text)
        return values

    def _intervals(self) -> Intervals:
        result = []
        for name, ends in self.spec.coordinates.items():
            if ends is None:
                result.append(None)  # the shape tells
                continue
            low, high = (self.number(end, f"coordinates.{name}") for end in ends)
            if low is not None and high is not None and not low < high:
                message = f"the interval of `{name}` is empty: {ends[0]} is not below {ends[1]}"
                self._error(message, f"coordinates.{name}")
            result.append((low, high))
        return tuple(result)

    def _shape(self) -> ShapeTree | None:
        """The shape of the domain, which gives the intervals of space; a box stays a box, whatever its name."""
        if self.spec.domain is None:
            return None
        space = tuple(self.coordinates[i] for i in self.space)
        intervals = dict(zip(self.coordinates, self.intervals, strict=True))
        reader = ShapeReader(space, intervals, self.spec.folder, self.number, self._inside, self._error)
        shape = reader.domain(self.spec.domain)
        if shape is None:
            return None
        self.parts = part_names(shape)
        for name, *ends in zip(space, *bounds(shape), strict=True):
            intervals[name] = tuple(ends)
        self.intervals = tuple(intervals.values())
        return None if isinstance(shape, Box) else shape

    def _inside(self, text: str, key: str) -> sp.Basic | None:
        """The condition of an implicit shape, in coordinates of space."""
        scope = Scope(
            coordinates=tuple(self.coordinates[i] for i in self.space),
            parameters=tuple(self.spec.parameters),
            definitions=dict(self.spec.definitions),
        )
        condition = self._parse(lambda: boolean(text, scope), key, text)
        return None if condition is None else substituted(condition, self.constants)

    def number(self, text: str | float, key: str) -> float | None:
        """A number of the file: an expression of parameters, as a float."""
        scope = Scope(coordinates=(), parameters=tuple(self.spec.parameters))
        value = self._parse(lambda: expression(str(text), scope), key, text)
        return None if value is None else self._float(value.xreplace(self.constants), key, text)

    def _float(self, value: sp.Expr, key: str, text) -> float | None:
        try:
            number = float(value)
        except (TypeError, OverflowError, ValueError):
            number = float("nan")
        if number - number != 0:
            self._error("is not a finite real number", key, str(text))
            return None
        return number

    # -- statements ------------------------------------------------------------------------------------

    def scope(self, columns: Sequence[str] = (), normals: bool = False) -> Scope:
        spec = self.spec
        return Scope(
            coordinates=self.coordinates,
            time=spec.time,
            unknowns=tuple(spec.unknowns),
            parameters=(*spec.parameters, *spec.unknown_parameters),
            definitions=dict(spec.definitions),
            columns=tuple(columns),
            normals=normals,
            operators=tuple(operators.OPERATORS),
        )

    def _equations(self) -> list[Statement]:
        statements = []
        for name, item in self.spec.equations.items():
            key = f"equations.{name}"
            residuals = self._residuals(item.equations, key, self.scope())
            places = [regions.domain() if name == "domain" else regions.mesh_region(name) for name in item.on]
            region = self._narrow(regions.union(places or [regions.domain()]), item.where, key)
            statements.append(Statement(name, "equation", residuals, region, key=key))
        if self.errors or not any(map(_compares, statements)):
            return statements
        found = iter(self.fluxes())
        return [replace(s, fluxes=tuple(next(found) for _ in s.residuals)) for s in statements]

    def fluxes(self) -> list[Fluxes]:
        """What every residual of an equation takes derivatives of."""
        return [fluxes(text, self.scope()) for item in self.spec.equations.values() for text in item.equations]

    def _conditions(self):
        for name, item in self.spec.conditions.items():
            key = f"conditions.{name}"
            if item.periodic:
                yield from self._periodic(name, item, key)
                continue
            residuals = self._residuals(item.equations, key, self.scope(normals=True))
            places = [self._on(place, key) for place in item.on] + [self._at(place, key) for place in item.at]
            if any(place is None for place in places):
                continue
            dimensions = {piece.held for place in places for piece in place.pieces}
            if len(dimensions) > 1:
                self._error("places of different dimension need conditions of their own", key)
                continue
            region = self._narrow(regions.union(places), item.where, key)
            self._need_normals(residuals, region, key)
            yield Statement(name, "condition", residuals, region, key=key)

    def _need_normals(self, residuals, region: Region, key: str) -> None:
        normals = {coordinate_symbol(f"n_{c}") for c in self.coordinates}
        uses = any(normals & r.free_symbols for r in residuals)
        if uses and not all(self._is_boundary(piece) for piece in region.pieces):
            self._error(f"normals and Dn(..) need a boundary in space, and `{region.label}` is none", key)

    def _is_boundary(self, piece: regions.Piece) -> bool:
        """Of space, so that it has normals."""
        return piece.part is not None or (piece.outward is not None and piece.outward[0] in self.space)

    def _periodic(self, name: str, item, key: str):
        """Every unknown and as many derivatives as the equations need agree on a pair of faces."""
        for coordinate in item.periodic:
            if coordinate not in self.coordinates:
                self._error(f"`{coordinate}` is not a coordinate", key, hint=self._coordinates_hint())
                continue
            axis = self.coordinates.index(coordinate)
            if self.shape is not None and axis in self.space:
                hint = "give the domain as a box, or what holds on each part of the boundary"
                self._error("periodic coordinates of space need a box, and the domain is a shape", key, hint=hint)
                continue
            region = regions.periodic_pair(axis, self.intervals, f"periodic in {coordinate}")
            many = len(item.periodic) > 1
            yield Statement(
                f"{name}_{coordinate}" if many else name,
                "condition",
                self._periodic_residuals(axis),
                self._narrow(region, item.where, key),
                key=key,
            )

    def _periodic_residuals(self, axis: int) -> tuple[sp.Expr, ...]:
        orders = dict.fromkeys(self.spec.unknowns, 1)
        for name, item in self.spec.equations.items():
            for residual in self._residuals(item.equations, f"equations.{name}", self.scope(), quiet=True):
                for symbol in residual.free_symbols:
                    if isinstance(symbol, FeatureSymbol):
                        f = symbol.feature
                        orders[f.unknown] = max(orders[f.unknown], f.alpha[axis])
        residuals = []
        for unknown, order in orders.items():
            for k in range(order):
                alpha = tuple(k * (i == axis) for i in range(len(self.coordinates)))
                residuals.append(feature_symbol(unknown, alpha) - feature_symbol(unknown, alpha, side=1))
        return tuple(residuals)

    def _data(self):
        for name, item in self.spec.data.items():
            key = f"data.{name}"
            columns = [c for c in item.columns if c not in self.coordinates]
            residuals = self._residuals(item.equations, key, self.scope(columns=columns))
            region = Region(f"{item.file}", ())
            yield Statement(
                name,
                "data",
                residuals,
                region,
                self.spec.folder / item.file,
                item.noise,
                key,
                robust=item.loss == "huber",
            )

    def _check_regularization(self) -> None:
        for name in self.spec.regularization:
            if name not in self.spec.unknowns:
                self._error(f"`{name}` is not an unknown", f"regularization.{name}", hint=", ".join(self.spec.unknowns))
        if self.spec.regularization and not self.spec.data:
            self._error("regularization is for unknowns that data determine, and there are none", "regularization")

    def _exact(self) -> dict[str, sp.Expr]:
        result = {}
        scope = self.scope()
        for unknown, text in self.spec.exact.items():
            value = self._parse(lambda t=text: expression(str(t), scope), f"exact.{unknown}", text)
            if value is not None:
                if any(isinstance(s, FeatureSymbol) for s in value.free_symbols):
                    self._error("the exact solution may not hold unknowns", f"exact.{unknown}", str(text))
                result[unknown] = substituted(value, self.constants)
        return result

    def _unknown_parameters(self) -> tuple[UnknownParameter, ...]:
        result = []
        for name, item in self.spec.unknown_parameters.items():
            key = f"unknown_parameters.{name}"
            guess = self.number(item.guess, key)
            low, high = (self.number(b, key) for b in item.bounds) if item.bounds else (float("-inf"), float("inf"))
            if None in (guess, low, high):
                continue
            if not low <= guess <= high:
                self._error(f"the guess {guess:g} lies outside the bounds [{low:g}, {high:g}]", key)
            result.append(UnknownParameter(name, guess, (low, high)))
        return tuple(result)

    # -- places ----------------------------------------------------------------------------------------

    def _on(self, text: str, key: str) -> Region | None:
        if text == "domain":
            return regions.domain()
        if text == "boundary" or text in self.parts:
            if self.shape is not None:
                return regions.part("" if text == "boundary" else text, text)
            return replace(regions.whole_boundary(self.intervals, self.space), label=text)
        if self.shape is not None and text in region_names(self.shape):
            return regions.mesh_region(text)
        left, _, right = text.partition("=")
        name = left.strip()
        if not right or name not in self.coordinates:
            self._error(
                f"`{text}` is not a place of this problem",
                key,
                hint=f"a place is `domain`, `boundary` or a face such as {self._faces_hint()}",
            )
            return None
        value = self.number(right.strip(), key)
        if value is None:
            return None
        region = self._plane(self.coordinates.index(name), value, text)
        if region is None:
            self._error(f"`{text}` lies outside the box", key, hint=f"its faces are {self._faces_hint()}")
        return region

    def _plane(self, axis: int, value: float, label: str) -> Region | None:
        """Of a shape: the boundary that lies in the plane, where there may be some, else a slice."""
        if self.shape is not None and axis in self.space:
            low, high = self.intervals[axis]
            near = FLAT * (high - low)
            if low - near <= value <= high + near and may_have_face(self.shape, self.space.index(axis), value, near):
                return regions.part("", label, (axis, value))
        return regions.plane(axis, value, self.intervals, label)

    def _at(self, place: Mapping[str, Any], key: str) -> Region | None:
        fixed = {}
        for name, text in place.items():
            if name not in self.coordinates:
                self._error(f"`{name}` is not a coordinate", key, hint=self._coordinates_hint())
                return None
            value = self.number(text, f"{key}.at.{name}")
            if value is None:
                return None
            axis = self.coordinates.index(name)
            low, high = self.intervals[axis]
            if regions.plane(axis, value, self.intervals, "") is None:
                self._error(f"the point `{name} = {text}` lies outside [{low:g}, {high:g}]", key)
                return None
            fixed[axis] = min(max(value, low), high)
        label = ", ".join(f"{c} = {v}" for c, v in place.items())
        if len(fixed) == 1:  # the same as `on` that plane: a face where there is one
            return self._plane(axis, value, label)
        return regions.point(fixed, label)

    def _narrow(self, region: Region, where: str | None, key: str) -> Region:
        if where is None:
            return region
        scope = Scope(
            coordinates=self.coordinates,
            time=self.spec.time,
            parameters=tuple(self.spec.parameters),
            definitions=dict(self.spec.definitions),
        )
        condition = self._parse(lambda: boolean(where, scope), f"{key}.where", where)
        return region if condition is None else region.narrowed(substituted(condition, self.constants), where)

    # -- errors ----------------------------------------------------------------------------------------

    def _residuals(self, texts: Sequence[str], key: str, scope: Scope, quiet: bool = False) -> tuple[sp.Expr, ...]:
        parsed = [self._parse(lambda t=text: equation(t, scope), key, text, quiet) for text in texts]
        return tuple(r for r in parsed if r is not None)

    def _parse(self, parse, key: str, text, quiet: bool = False):
        try:
            return parse()
        except ExpressionError as error:
            if not quiet:
                self._error(error.message, key, str(text), error.offset, error.hint)
            return None

    def _error(self, message: str, key: str, text=None, offset=None, hint=None) -> None:
        spec = self.spec
        file = str(spec.file) if spec.file else None
        self.errors.append(Diagnostic(message, "error", file, spec.place(key), key, text, offset, hint))

    def _stop_on_errors(self) -> None:
        if self.errors:
            raise ProblemError(self.errors)

    def _faces_hint(self) -> str:
        return ", ".join(f"`{c} = {end:g}`" for c, ends in self._named_intervals() for end in ends)

    def _named_intervals(self):
        return zip(self.coordinates, self.intervals, strict=True)

    def _coordinates_hint(self) -> str:
        return f"the coordinates are {', '.join(self.coordinates)}"
