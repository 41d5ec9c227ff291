"""Everything that a problem file says in expressions, read and checked in one go.

Input: the validated parts of a file and its names. Output: what was parsed, or every error at once. No sympy and no
array library: a wrong or hostile file is answered before any of them is imported.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

from pinnsolve.errors import Diagnostic, ExpressionError
from pinnsolve.files.data_files import DataFileError, columns, data_path
from pinnsolve.language import operators
from pinnsolve.language.components import real_names
from pinnsolve.language.constants import Value
from pinnsolve.language.expansion import as_text, definition_problems
from pinnsolve.language.parsed_texts import ParsedTexts
from pinnsolve.language.vectors import component_of
from pinnsolve.language.vocabulary import RESERVED, Definition, NamedFunction, Scope, close_match, signature
from pinnsolve.spec.discovery import candidates
from pinnsolve.spec.expression_reader import ExpressionReader
from pinnsolve.spec.functions import function_problems
from pinnsolve.spec.located_errors import KeyPath, Places
from pinnsolve.spec.measures import MeasureReader
from pinnsolve.spec.names import Names
from pinnsolve.spec.output_reader import read_output
from pinnsolve.spec.parsed import (
    ParsedEigenvalues,
    ParsedExpression,
    ParsedFile,
    ParsedHome,
    ParsedIntegral,
    ParsedTerm,
    ParsedUnknownParameter,
    Place,
)
from pinnsolve.spec.places import PlaceReader
from pinnsolve.spec.quantities import QuantityReader
from pinnsolve.spec.ranges import ParameterRange, is_range, read_range
from pinnsolve.spec.regions import RegionReader, numbers_in
from pinnsolve.spec.schema.schema import ProblemFile
from pinnsolve.spec.term_weights import read_term_weights


def parameter_values(names: Names, texts: ParsedTexts, places: Places) -> tuple[dict[str, Value], list[Diagnostic]]:
    """The value of each parameter, an expression of those before it; a wrong one is taken as 1 from there on.

    A range has the value in its middle.
    """
    values: dict[str, Value] = {}
    found = []
    for name, text in names.parameters.items():
        before = dict(values)
        values[name] = Fraction(1)
        if is_range(text):
            try:
                spanned = read_range(text, texts, before)
            except ExpressionError:
                continue  # the schema says so
            values[name] = Fraction(1) if spanned is None else spanned.middle
            continue
        if isinstance(text, bool) or not isinstance(text, str | int | float):
            continue  # the schema says so
        try:
            values[name] = texts.value(text, before)
        except ExpressionError as error:
            later = [other for other in names.parameters if other not in values and f"`{other}`" in error.message]
            hint = f"`{later[0]}` is given below; move it up" if later else error.hint
            if f"unknown name `{name}`" == error.message:
                hint = "a parameter cannot be given by itself"
            found.append(places.diagnostic(("parameters", name), error.message, hint, str(text), error.offset))
    return values, found


def check_tolerance(tolerance: float, known: Iterable[str], reader: ExpressionReader) -> None:
    """Tolerances by name are those of unknowns and quantities."""
    names = tuple(known)
    for name in getattr(tolerance, "by_name", ()):
        if name not in names:
            close = close_match(name, names)
            hint = f"did you mean `{close}`?" if close else f"there are {', '.join(names)}"
            path = ("solve", "tolerance", name)
            reader.problem(path, f"`{name[:60]}` is neither an unknown nor a quantity", hint)


SOLUTION_FILE = "solution.npz"  # of a run folder


class FileReader:
    """Reads the expressions of one file; `problems` holds what is wrong."""

    def __init__(self, names: Names, values: Mapping[str, Value], texts: ParsedTexts, places: Places, folder: Path):
        self.names, self.values, self.folder = names, values, folder
        self.reader = ExpressionReader(texts, values, places, names.reliable, len(names.intervals))
        self.place_reader = PlaceReader(names, self.reader, folder)
        self.measures = MeasureReader(names, self.reader)
        self.columns: dict[str, tuple[str, ...]] = {}
        sought = () if names.eigenvalue is None else (names.eigenvalue,)
        known = (*names.intervals, *names.unknowns, *names.parameters, *names.unknown_parameters, *sought)
        self.base = Scope(
            coordinates=names.coordinates.names,
            time=names.coordinates.time,
            unknowns=names.unknowns,
            complex_unknowns=names.complex_unknowns,
            parameters=(*names.parameters, *names.unknown_parameters, *sought),
            functions={name: NamedFunction(arguments) for name, arguments in names.functions.items()},
            operators=tuple(operators.OPERATORS),
            places=self.place_reader.named,
            vectors=names.vectors,
            system=names.system,
            elsewhere=(*known, *operators.OPERATORS),
        )

    @property
    def problems(self) -> list[Diagnostic]:
        return self.reader.problems

    def read(self, file: ProblemFile, domain: Mapping[str, Any] | None, complete: bool) -> ParsedFile | None:
        """Everything that the file says in expressions; None with anything wrong, or if the file is not `complete`.

        `domain` is the plain tree of shapes.
        """
        self.measures.check()
        self._data_files(file)
        self._functions(file)
        self._definitions()
        implicit = self._shapes(file)
        regions, homes = self._regions(file), self._homes(file)
        equations = self._equations(file)
        conditions = {name: self._condition(name, item) for name, item in (file.conditions or {}).items()}
        data = {name: self._data(name, item) for name, item in (file.data or {}).items() if name in self.columns}
        quantity_reader = QuantityReader(self.names, self.reader, self.place_reader, self.measures, self.base)
        quantities = quantity_reader.read(file.quantities or {}, self._known_scope())
        discover = candidates(file, self.names, self.reader, self.base, equations)
        exact = self._of_unknowns(("exact",), file.exact or {})
        guesses = self._guesses(file.guess or [{}])
        self._reference(file)
        self._regularization(file)
        output = read_output(file.output, self.names, self.reader)
        if self.names.reliable:
            check_tolerance(file.solve.tolerance, (*self.names.unknowns, *(file.quantities or ())), self.reader)
        terms = tuple(dict.fromkeys((*self.names.terms, *equations)))
        weights = read_term_weights(file.solve.term_weights, terms, self.base.elsewhere, self.reader)
        if not any((file.equations, file.conditions, file.data)) and not self.names.terms:
            self.reader.problem((), "there is nothing to solve", "give `equations` and `conditions`, or `data`")
        if self.problems or not complete:
            return None
        return ParsedFile(
            parameters={name: self._parameter(name, text) for name, text in self.names.parameters.items()},
            values=self.values,
            ranges=self._ranges(),
            intervals={name: self._interval(ends) for name, ends in self.names.intervals.items()},
            domain=numbers_in(domain, ("domain",), self.reader.number, implicit),
            regions=regions,
            homes=homes,
            equations=equations,
            conditions=conditions,
            data=data,
            unknown_parameters=self._unknown_parameters(file),
            discover=discover,
            eigenvalues=self._eigenvalues(file),
            exact=exact,
            quantities=quantities,
            guess=guesses[0],
            other_guesses=guesses[1:],
            term_weights=weights,
            output=output,
        )

    # -- terms --

    def _equations(self, file: ProblemFile) -> dict[str, ParsedTerm]:
        """The equations by name; one between vectors has a name for each component, `momentum_x`."""
        result: dict[str, ParsedTerm] = {}
        for name, item in (file.equations or {}).items():
            path = ("equations", name)
            term = self._term(path, item, self.base)
            term = replace(term, places=self.place_reader.groups((*path, "on"), item.on or ()))
            term = replace(term, equations=tuple(map(self.measures.regular, term.equations)))
            for component in dict.fromkeys(e.component for e in term.equations) or [""]:
                one = component_of(name, component) if component else name
                if component and one in self.names.terms:
                    message = f"the component `{one}` has the name of another term"
                    self.reader.problem(path, message, "choose another name")
                kept = tuple(e for e in term.equations if e.component == component)
                result[one] = replace(term, equations=kept)
        return result

    def _condition(self, name: str, item: Any) -> ParsedTerm:
        path = ("conditions", name)
        term = self._term(path, item, replace(self.base, normals=True))
        places = self.place_reader.places(path, item)
        return replace(term, places=places, integral=self._integral(path, item, places))

    def _integral(self, path: KeyPath, item: Any, places: Sequence[Place]) -> ParsedIntegral | None:
        """What a condition says of an integral or a mean over places."""
        kind = "mean" if item.mean is not None else "integral"
        text = getattr(item, kind)
        if text is None:
            return None
        if not self.names.coordinates.space and self.names.reliable:
            self.reader.problem((*path, kind), "integrals are over space, and there is only time")
            return None
        over = replace(self.base, normals=True, operators=())
        # the same number everywhere in space
        time = tuple(c for c in self.base.coordinates if c == self.base.time)
        known = replace(self.base, coordinates=time, unknowns=(), operators=())
        found = self.measures.measured((*path, kind), kind, self.reader.expression((*path, kind), text, over), places)
        equals = self.reader.expression((*path, "equals"), item.equals, known)
        return None if found is None or equals is None else ParsedIntegral(kind, found, equals)

    def _data(self, name: str, item: Any) -> ParsedTerm:
        extra = tuple(c for c in self.columns[name] if c not in self.names.intervals)
        return self._term(("data", name), item, replace(self.base, columns=extra, places=()))

    def _term(self, path: KeyPath, item: Any, scope: Scope) -> ParsedTerm:
        """The equations of a term, and its `where`."""
        several = (self.reader.equation((*path, *inner), text, scope) for inner, text in item_equations(item))
        found = [equation for equations in several for equation in equations]
        where, text = None, getattr(item, "where", None)
        if text is not None:
            where = self.reader.expression(
                (*path, "where"), text, replace(self._known_scope(), normals=scope.normals), "boolean"
            )
        return ParsedTerm(tuple(found), where)

    def _known_scope(self) -> Scope:
        """For what is known before the solve: coordinates and parameters."""
        return replace(self.base, unknowns=(), parameters=tuple(self.names.parameters), operators=(), places=())

    def _guesses(self, guesses: Sequence[Mapping[str, str]]) -> tuple[dict[str, ParsedExpression | None], ...]:
        """What each of several guesses says."""
        several = len(guesses) > 1
        return tuple(self._guess(("guess", k) if several else ("guess",), one) for k, one in enumerate(guesses))

    def _guess(self, at: KeyPath, guess: Mapping[str, str]) -> dict[str, ParsedExpression | None]:
        """The expressions of a guess; those of a run folder are none."""
        run = run_of(guess, self.names.unknowns)
        if run is None:
            return self._of_unknowns(at, guess)
        path = (*at, "run")
        if len(guess) > 1:
            self.reader.problem(at, "both a run and expressions are given", "one of them will do")
        if not (self.folder / str(run) / SOLUTION_FILE).is_file():
            hint = "give the folder of a run, relative to the problem file"
            self.reader.problem(path, f"`{str(run)[:60]}` holds no solution", hint, text=str(run))
        return {}

    def _of_unknowns(self, at: KeyPath, texts: Mapping[str, str]) -> dict[str, ParsedExpression | None]:
        """By unknown, expressions in what is known before the solve."""
        scope, unknowns, found = self._known_scope(), self.names.unknowns, {}
        for unknown, text in texts.items():
            path: KeyPath = (*at, unknown) if unknown else at
            if not unknown and len(unknowns) > 1:
                self.reader.problem(path, "there are several unknowns", f"write `{at[0]}: {{{unknowns[0]}: ...}}`")
            if unknown:
                self._unknown(path, unknown)
            found[unknown or next(iter(unknowns), "")] = self.reader.expression(path, text, scope)
        return found

    def _regularization(self, file: ProblemFile) -> None:
        for name in file.regularization or ():
            if name not in self.names.state_functions:
                self._unknown(("regularization", name), name)
        if file.regularization and not self.names.terms_of["data"]:
            message = "regularization is for unknowns that data determine, and there are none"
            self.reader.problem(("regularization",), message)

    def _unknown(self, path: KeyPath, name: str) -> None:
        """A key that must be the name of an unknown."""
        unknowns = self.names.unknowns
        if name in unknowns or not self.names.reliable:
            return
        close = close_match(name, unknowns)
        hint = f"did you mean `{close}`?" if close else f"the unknowns are {', '.join(unknowns)}"
        self.reader.problem(path, f"`{name[:60]}` is not an unknown", hint)

    # -- definitions --

    def _definitions(self) -> None:
        """Read each definition, and keep the right ones for the scope; a wrong one stands as 0 from there on."""
        texts = {key: str(text) for key, text in self.names.definitions.items() if isinstance(text, str | int | float)}
        sound = {key: d for key, text in texts.items() if (d := self._definition(key, text)) is not None}
        found = (c for columns_ in self.columns.values() for c in columns_ if c not in self.names.intervals)
        scope = replace(self.base, definitions=sound, normals=True, columns=tuple(dict.fromkeys(found)))
        for key, defined in sound.items() if self.names.reliable else ():
            if self.reader.exhausted:
                break
            self._check_arguments(key, defined, sound.values())
            errors = definition_problems(defined, scope, self.values, self.reader.budget)
            for error in errors:
                self.reader.wrong(("definitions", key), error, texts[key])
            if errors:
                scope = replace(scope, definitions={**scope.definitions, key: self._nothing(defined)})
        self.base = replace(self.base, definitions=scope.definitions)

    def _definition(self, key: str, text: str) -> Definition | None:
        """The parsed definition; None for one without a name."""
        path = ("definitions", key)
        try:
            name, arguments = signature(key)
        except ExpressionError as error:
            self.reader.problem(path, error.message, error.hint)
            return None
        defined = Definition(name, arguments, self.reader.texts.expression("0"))
        try:
            return replace(defined, body=self.reader.texts.expression(text))
        except ExpressionError as error:
            self.reader.wrong(path, error, text)
            return defined

    def _nothing(self, defined: Definition) -> Definition:
        return replace(defined, body=self.reader.texts.expression("0"))

    def _check_arguments(self, key: str, defined: Definition, definitions: Iterable[Definition]) -> None:
        others = {other.name for other in definitions}
        for argument in defined.arguments or ():
            if argument in RESERVED or argument in others:
                what = "a definition" if argument in others else "part of the language"
                self.reader.problem(("definitions", key), f"the argument `{argument}` is {what}", "use another name")

    # -- shapes --

    def _shapes(self, file: ProblemFile) -> dict[KeyPath, ParsedExpression]:
        """The shapes of the domain; the comparisons of implicit ones, in coordinates of space and parameters."""
        if file.domain is None or not self.names.reliable:
            return {}
        domain = self.names.domain  # with its wrong parts, which are told already
        return self._region_reader().implicit(domain, ("domain",))

    def _region_reader(self) -> RegionReader:
        return RegionReader(self.reader, self._space_scope(), self.folder)

    def _regions(self, file: ProblemFile) -> dict[str, Any]:
        """By name, the comparison of a region or its shape with numbers in the place of texts."""
        if not self.names.reliable:
            return {}
        reader = self._region_reader()
        return {name: reader.region(("regions", name), item) for name, item in (file.regions or {}).items()}

    def _homes(self, file: ProblemFile) -> dict[str, ParsedHome]:
        """Where unknowns live, of those that do not live everywhere."""
        found = {}
        for name, item in file.unknowns.items():
            path: KeyPath = ("unknowns", name)
            if item.within is not None:
                found[name] = ParsedHome(self.place_reader.groups((*path, "in"), item.within))
            elif item.where is not None:
                where = self.reader.expression((*path, "where"), item.where, self._space_scope(), "boolean")
                found[name] = ParsedHome(where=where)
        return found

    def _space_scope(self) -> Scope:
        """For comparisons of the coordinates of space."""
        return replace(self._known_scope(), coordinates=self.names.coordinates.space, time=None)

    # -- files --

    def _columns(self, path: KeyPath, name: str, needed: Iterable[str], what: str) -> tuple[str, ...] | None:
        """The columns of a data file, which must have those needed; None where it cannot be used."""
        try:
            found = columns(data_path(self.folder, name))
        except DataFileError as error:
            self.reader.problem(path, error.message, error.hint, text=name)
            return None
        missing = [column for column in needed if column not in found]
        if missing and self.names.reliable:
            hint = f"its columns are {', '.join(found[:20])}"
            self.reader.problem(path, f"the file has no column for the {what} `{missing[0]}`", hint, text=name)
        return found

    def _data_files(self, file: ProblemFile) -> None:
        taken = {*self.names.unknowns, *self.names.parameters, *self.names.unknown_parameters, *RESERVED}
        for name, item in (file.data or {}).items():
            path = ("data", name, "file")
            found = self._columns(path, item.file, self.names.coordinates.names, "coordinate")
            if found is None:
                continue
            self.columns[name] = tuple(c for c in found if c.isidentifier() and c.isascii())
            for column in self.columns[name]:
                if column in taken and column not in self.names.intervals:
                    message = f"the column `{column}` has the name of something else"
                    hint = "rename the column in the file, for instance to `measured`"
                    self.reader.problem(path, message, hint, text=item.file)

    def _functions(self, file: ProblemFile) -> None:
        if self.names.state_functions and not self.names.terms_of["data"]:
            message = f"`{self.names.state_functions[0]}` is found from data, and there are none"
            hint = "state `data`; a function of some coordinates alone is an unknown with an equation, as `D(p, x) = 0`"
            self.reader.problem(("unknowns",), message, hint)
        for name, item in (file.functions or {}).items():
            found = self._columns(("functions", name, "file"), item.file, item.of, "argument")
            for problem in function_problems(name, item, found) if found is not None else ():
                self.reader.problem(problem.path, problem.message, problem.hint)

    def _reference(self, file: ProblemFile) -> None:
        if file.reference is not None:
            needed = (*self.names.coordinates.names, *real_names(self.names.unknowns, self.names.complex_unknowns))
            self._columns(("reference", "file"), file.reference.file, needed, "coordinate or unknown")

    # -- numbers of a file without mistakes --

    def _ranges(self) -> dict[str, ParameterRange]:
        stated = {name: item for name, item in self.names.parameters.items() if is_range(item)}
        found = {name: read_range(item, self.reader.texts, self.values) for name, item in stated.items()}
        return {name: spanned for name, spanned in found.items() if spanned is not None}

    def _parameter(self, name: str, stated: Any) -> ParsedExpression:
        text = self.values[name] if is_range(stated) else stated
        return ParsedExpression(as_text(text), ("parameters", name), self.reader.texts.expression(as_text(text)))

    def _interval(self, ends: Any) -> tuple[float, float] | None:
        return None if ends is None else tuple(map(self.reader.number, ends))

    def _unknown_parameters(self, file: ProblemFile) -> dict[str, ParsedUnknownParameter]:
        free, number = (float("-inf"), float("inf")), self.reader.number
        return {
            name: ParsedUnknownParameter(number(v.guess), tuple(map(number, v.bounds)) if v.bounds else free)
            for name, v in (file.unknown_parameters or {}).items()
        }

    def _eigenvalues(self, file: ProblemFile) -> ParsedEigenvalues | None:
        item = file.eigenvalues
        if item is None:
            return None
        near = self.reader.texts.complex_value(item.near, self.values)
        return ParsedEigenvalues(item.name, item.count, near if self.names.complex_unknowns else near.real)


def run_of(guess: Mapping[str, str] | None, unknowns: Iterable[str]) -> str | None:
    """The run folder that a guess names; None where it has expressions."""
    return None if not guess or "run" in unknowns else guess.get("run")


def item_equations(item: Any) -> list[tuple[tuple[str | int, ...], str]]:
    """The equations of a term with their key paths below it."""
    if item.equation is not None:
        return [(("equation",), item.equation)]
    texts = item.equations or ()
    return [(("equations", index), text) for index, text in enumerate(texts)]
