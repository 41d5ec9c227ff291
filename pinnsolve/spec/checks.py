"""The expressions of a problem file: syntax, names, places and constants, every error at once.

Input: the validated parts of a file and its names. Output: diagnostics. No sympy and no array library: a wrong or
hostile file is answered before any of them is imported.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Any

from pinnsolve.errors import Diagnostic, ExpressionError
from pinnsolve.files.data_files import DataFileError, columns, data_path
from pinnsolve.language import operators
from pinnsolve.language.constants import Value, evaluate
from pinnsolve.language.expansion import Budget, constant_value, definition_problems, exact_value, resolve
from pinnsolve.language.syntax import Name, Node, parse, parse_equation
from pinnsolve.language.vocabulary import RESERVED, Scope, close_match, definition, signature
from pinnsolve.spec.located_errors import MAX_ERRORS, KeyPath, Places
from pinnsolve.spec.names import Names
from pinnsolve.spec.schema.schema import ConditionInput, ProblemFile
from pinnsolve.spec.schema.shapes import raw_files, raw_names, raw_shapes
from pinnsolve.spec.shapes import inner_names, mesh_names, shape_problems

_SAMPLE_WIDTHS = (1, 64, 4096)  # at which term weights are tried


def parameter_values(names: Names, places: Places) -> tuple[dict[str, Value], list[Diagnostic]]:
    """The value of each parameter, an expression of those before it; a wrong one is taken as 1 from there on."""
    values: dict[str, Value] = {}
    found = []
    for name, text in names.parameters.items():
        values[name] = exact_value(1)
        if isinstance(text, bool) or not isinstance(text, str | int | float):
            continue  # the schema says so
        try:
            values[name] = exact_value(text, {k: v for k, v in values.items() if k != name})
        except ExpressionError as error:
            later = [other for other in names.parameters if other not in values and f"`{other}`" in error.message]
            hint = f"`{later[0]}` is given below; move it up" if later else error.hint
            if f"unknown name `{name}`" == error.message:
                hint = "a parameter cannot be given by itself"
            found.append(places.diagnostic(("parameters", name), error.message, hint, str(text), error.offset))
    return values, found


class ExpressionChecks:
    """Checks the expressions of one file; `problems` collects what is found."""

    def __init__(self, names: Names, values: Mapping[str, Value], places: Places, folder: Path):
        self.names, self.values, self.places, self.folder = names, values, places, folder
        self.problems: list[Diagnostic] = []
        self.columns: dict[str, tuple[str, ...]] = {}
        self.budget = Budget()
        self.exhausted = False
        known = (*names.intervals, *names.unknowns, *names.parameters, *names.unknown_parameters)
        self.base = Scope(
            coordinates=names.coordinates,
            time=names.time,
            unknowns=names.unknowns,
            parameters=(*names.parameters, *names.unknown_parameters),
            operators=tuple(operators.OPERATORS),
            elsewhere=(*known, *operators.OPERATORS),
        )

    def check(self, file: ProblemFile) -> None:
        """Everything that the file says in expressions."""
        self.data_files(file)
        self.definitions()
        self.shapes(file)
        for name, item in (file.equations or {}).items():
            self.term(("equations", name), item, self.base)
            self.regions(("equations", name, "on"), item.on or ())
        for name, item in (file.conditions or {}).items():
            self.term(("conditions", name), item, replace(self.base, normals=True))
            self.place(("conditions", name), item)
        for name, item in (file.data or {}).items():
            extra = tuple(c for c in self.columns.get(name, ()) if c not in self.names.intervals)
            if name in self.columns:
                self.term(("data", name), item, replace(self.base, columns=extra))
        self.exact(file.exact or {})
        self.reference(file)
        self.term_weights(file.solve.term_weights)
        if not any((file.equations, file.conditions, file.data)) and not self.names.terms:
            self.problem((), "there is nothing to solve", "give `equations` and `conditions`, or `data`")

    # -- one text --

    def problem(self, path: KeyPath, message: str, hint: str | None = None, **details: Any) -> None:
        self.problems.append(self.places.diagnostic(path, message, hint, **details))

    def text(self, path: KeyPath, text: str, scope: Scope, parser: Callable = parse, kind: str = "number") -> None:
        """One expression or equation, by its parser."""
        if self.exhausted:
            return
        try:
            parsed = parser(text)
        except ExpressionError as error:
            self.problems.append(self.places.expression(path, error, text))
            return
        if not self.names.reliable:
            return
        for tree in parsed if isinstance(parsed, tuple) else (parsed,):
            if not self.exhausted:
                for error in resolve(tree, scope, kind, self.values, self.budget)[1]:
                    self.problems.append(self.places.expression(path, error, text))
                self.note_exhaustion()

    def note_exhaustion(self) -> None:
        """Stop where the file is too much, or too wrong."""
        self.exhausted = self.budget.left < 0 or len(self.problems) > MAX_ERRORS

    def term(self, path: KeyPath, item: Any, scope: Scope) -> None:
        """The equations of a term, and its `where`."""
        for inner, text in item_equations(item):
            self.text((*path, *inner), text, scope, parse_equation)
        where = getattr(item, "where", None)
        if where is not None:
            narrow = replace(self.base, unknowns=(), parameters=tuple(self.names.parameters), operators=())
            self.text((*path, "where"), where, narrow, kind="boolean")

    # -- definitions --

    def definitions(self) -> None:
        """Check each definition, and keep the right ones for the scope; a wrong one stands as 0 from there on."""
        texts = {key: str(text) for key, text in self.names.definitions.items() if isinstance(text, str | int | float)}
        sound: dict[str, str] = {}
        for key, text in texts.items():
            try:
                definition(key, text)
                sound[key] = text
            except ExpressionError as error:
                path, hint = ("definitions", key), error.hint
                if error.offset is None:
                    self.problem(path, error.message, hint)
                    continue
                self.problems.append(self.places.expression(path, error, text))
                sound[key] = "0"
        extra = tuple(
            dict.fromkeys(c for found in self.columns.values() for c in found if c not in self.names.intervals)
        )
        scope = replace(self.base, definitions=sound, normals=True, columns=extra)
        for key, text in sound.items() if self.names.reliable else ():
            if self.exhausted:
                break
            self.check_arguments(key, sound)
            errors = definition_problems(key, text, scope, self.values, self.budget)
            for error in errors:
                self.problems.append(self.places.expression(("definitions", key), error, text))
            if errors:
                scope = replace(scope, definitions={**scope.definitions, key: "0"})
            self.note_exhaustion()
        self.base = replace(self.base, definitions=scope.definitions)

    def check_arguments(self, key: str, definitions: Iterable[str]) -> None:
        others = {signature(other)[0] for other in definitions}
        for argument in signature(key)[1] or ():
            if argument in RESERVED or argument in others:
                what = "a definition" if argument in others else "part of the language"
                self.problem(("definitions", key), f"the argument `{argument}` is {what}", "use another name")

    # -- shapes --

    def shapes(self, file: ProblemFile) -> None:
        """The shapes of the domain, and the expressions of implicit ones, in coordinates of space and parameters."""
        if file.domain is None or not self.names.reliable:
            return
        domain = self.names.domain  # with its wrong parts, which are told already
        for found in shape_problems(domain, self.base.space, self.folder):
            self.problem(found.path, found.message, found.hint, text=found.text)
        scope = replace(
            self.base, coordinates=self.base.space, time=None, unknowns=(), parameters=tuple(self.names.parameters)
        )
        for path, shape in raw_shapes(domain):
            if isinstance(shape.get("implicit"), str):
                self.text((*path, "implicit"), shape["implicit"], replace(scope, operators=()), kind="boolean")

    def regions(self, path: KeyPath, names: Iterable[str]) -> None:
        """The places of an equation are groups of cells."""
        found = mesh_names(self.names.domain, self.folder)
        for name in names if found is not None else ():
            if name in (*found[1], "domain"):
                continue
            close = close_match(name, found[1])
            known = f"the groups of cells are {', '.join(found[1])}" if found[1] else "there is no mesh that names any"
            hint = f"did you mean `{close}`?" if close else f"{known}; what holds on a boundary is a condition"
            self.problem(path, f"`{name[:60]}` is no region in which an equation can hold", hint)

    @cached_property
    def named_places(self) -> tuple[str, ...] | None:
        """The parts and regions that shapes and meshes name; None where a mesh cannot be read, which is told of."""
        found = mesh_names(self.names.domain, self.folder)
        return None if found is None else (*raw_names(self.names.domain), *found[0], *found[1])

    # -- data --

    def file(self, path: KeyPath, name: str, needed: Iterable[str], what: str) -> tuple[str, ...] | None:
        """The columns of a data file, which must have those needed; None where it cannot be used."""
        try:
            found = columns(data_path(self.folder, name))
        except DataFileError as error:
            self.problem(path, error.message, error.hint, text=name)
            return None
        missing = [column for column in needed if column not in found]
        if missing and self.names.reliable:
            hint = f"its columns are {', '.join(found[:20])}"
            self.problem(path, f"the file has no column for the {what} `{missing[0]}`", hint, text=name)
        return found

    def data_files(self, file: ProblemFile) -> None:
        for name, item in (file.data or {}).items():
            path = ("data", name, "file")
            found = self.file(path, item.file, self.names.coordinates, "coordinate")
            if found is None:
                continue
            self.columns[name] = tuple(c for c in found if c.isidentifier() and c.isascii())
            taken = {*self.names.unknowns, *self.names.parameters, *self.names.unknown_parameters, *RESERVED}
            for column in self.columns[name]:
                if column in taken and column not in self.names.intervals:
                    hint = "rename the column in the file, for instance to `measured`"
                    self.problem(path, f"the column `{column}` has the name of something else", hint, text=item.file)

    def reference(self, file: ProblemFile) -> None:
        if file.reference is not None:
            needed = (*self.names.coordinates, *self.names.unknowns)
            self.file(("reference", "file"), file.reference.file, needed, "coordinate or unknown")

    # -- places --

    def place(self, path: KeyPath, item: ConditionInput) -> None:
        if not self.names.reliable:
            return
        for index, text in enumerate(item.on or ()):
            self.on((*path, "on", index) if len(item.on or ()) > 1 else (*path, "on"), text)
        for name in item.periodic or ():
            self.coordinate((*path, "periodic"), name)
        points = item.at or ()
        for index, point in enumerate(points):
            inner = (*path, "at", index) if len(points) > 1 else (*path, "at")
            for name, value in point.items():
                if self.coordinate((*inner, name), name):
                    self.inside((*inner, name), name, constant_value(value, self.values), str(value))

    def on(self, path: KeyPath, text: str) -> None:
        """`boundary`, `domain`, a named part, or a face such as `x = 0`."""
        space, named = self.base.space, self.named_places
        if text == "domain" or text in (named or ()):
            return
        if text == "boundary":
            if not space:
                self.problem(path, "there is no boundary: time is the only coordinate", f"write {self.faces()}")
            return
        if "=" not in text:
            if named is None:
                return
            if text in inner_names(self.names.domain, self.folder):
                message = f"`{text[:60]}` lies inside the mesh, and conditions hold on its boundary"
                hint = "between groups of cells, unknowns and fluxes are continuous; see the equations' `on`"
                self.problem(path, message, hint)
                return
            close = close_match(text, ("boundary", "domain", *named))
            known = ", ".join(f"`{name}`" for name in ("boundary", "domain", *named))
            hint = f"did you mean `{close}`?" if close else f"a place is {known}, or a face: {self.faces()}"
            if not named and raw_files(self.names.domain):
                hint = "the mesh has no groups that name parts of its boundary; `boundary` is all of it"
            self.problem(path, f"`{text[:60]}` is not a place of this problem", hint)
            return
        try:
            left, right = parse_equation(text)
            if isinstance(left, Name) and left.name in self.names.intervals:
                self.inside(path, left.name, self.constant(right), text)
            else:
                name = left.name if isinstance(left, Name) else "the left side"
                self.problem(
                    path, f"{name} is not a coordinate", f"a face is one of {self.faces()}", text=text, offset=0
                )
        except ExpressionError as error:
            self.problems.append(self.places.expression(path, error, text))

    def constant(self, node: Node) -> float:
        node, problems = resolve(node, Scope(parameters=tuple(self.values)), values=self.values)
        if problems:
            raise problems[0]
        value = evaluate(node, self.values)
        if value is None:
            raise ExpressionError("not a constant number", node.offset)
        return float(value)

    def coordinate(self, path: KeyPath, name: str) -> bool:
        if name in self.names.intervals:
            return True
        close = close_match(name, self.names.intervals)
        hint = f"did you mean `{close}`?" if close else f"the coordinates are {', '.join(self.names.intervals)}"
        self.problem(path, f"`{name[:60]}` is not a coordinate", hint)
        return False

    def inside(self, path: KeyPath, name: str, value: float, text: str) -> None:
        try:
            low, high = (constant_value(end, self.values) for end in self.names.intervals[name])
        except (ExpressionError, TypeError, ValueError):
            return  # the interval is wrong and reported
        slack = 1e-12 * (high - low)
        if low < high and not low - slack <= value <= high + slack:
            self.problem(path, f"{name} = {value:g} lies outside its interval [{low:g}, {high:g}]", text=text)

    def faces(self) -> str:
        ends = ((c, ends) for c, ends in self.names.intervals.items() if isinstance(ends, list | tuple))
        return ", ".join(f'"{c} = {end}"' for c, pair in ends for end in pair) or f'"{self.names.coordinates[0]} = 0"'

    # -- the rest --

    def exact(self, exact: Mapping[str, str]) -> None:
        scope = replace(self.base, unknowns=(), parameters=tuple(self.names.parameters), operators=())
        for unknown, text in exact.items():
            if unknown == "":
                path: KeyPath = ("exact",)
                if len(self.names.unknowns) > 1:
                    self.problem(
                        path, "there are several unknowns", f"write `exact: {{{self.names.unknowns[0]}: ...}}`"
                    )
            else:
                path = ("exact", unknown)
                if unknown not in self.names.unknowns and self.names.reliable:
                    close = close_match(unknown, self.names.unknowns)
                    hint = f"did you mean `{close}`?" if close else f"the unknowns are {', '.join(self.names.unknowns)}"
                    self.problem(path, f"`{unknown[:60]}` is not an unknown", hint)
            self.text(path, text, scope)

    def term_weights(self, weights: Mapping[str, Any] | str) -> None:
        scope = Scope(width=True, parameters=tuple(self.names.parameters), elsewhere=self.base.elsewhere)
        for name, text in weights.items() if isinstance(weights, dict) else ():
            path = ("solve", "term_weights", name)
            if name not in self.names.terms:
                close = close_match(name, self.names.terms)
                hint = f"did you mean `{close}`?" if close else f"the terms are {', '.join(self.names.terms)}"
                self.problem(path, f"there is no term `{name[:60]}`", hint)
            before = len(self.problems)
            self.text(path, str(text), scope)
            if len(self.problems) == before:
                self.positive(path, str(text))

    def positive(self, path: KeyPath, text: str) -> None:
        for width in _SAMPLE_WIDTHS:
            try:
                value = self.constant_of(parse(text), {**self.values, "W": exact_value(width)})
            except ExpressionError as error:
                self.problem(path, f"{error.message}, for W = {width}", text=text, offset=error.offset)
                return
            if value is None or value <= 0:
                self.problem(path, "a term weight is positive", f"this one is {value:g} for W = {width}", text=text)
                return

    @staticmethod
    def constant_of(node: Node, values: Mapping[str, Value]) -> float | None:
        value = evaluate(node, values)
        return None if value is None else float(value)


def item_equations(item: Any) -> list[tuple[tuple[str | int, ...], str]]:
    """The equations of a term with their key paths below it."""
    if item.equation is not None:
        return [(("equation",), item.equation)]
    texts = item.equations or ()
    return [(("equations", index), text) for index, text in enumerate(texts)]
