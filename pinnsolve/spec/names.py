"""The names that a problem file gives to things, and whether they can stand side by side.

Input: the plain values of a file, right or wrong. Output: `Names`, read as leniently as possible so that one wrong
value does not make every expression wrong, and an error for each name that is no name, reserved, or given twice.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pinnsolve.errors import Diagnostic, ExpressionError
from pinnsolve.files.data_files import DataFileError, mesh_path
from pinnsolve.files.mesh_file import read_mesh
from pinnsolve.language import operators
from pinnsolve.language.components import component_names
from pinnsolve.language.coordinates import Coordinates
from pinnsolve.language.vocabulary import COMPLEX_FUNCTIONS, IMAGINARY_UNIT, RESERVED, close_match, signature
from pinnsolve.spec.located_errors import KeyPath, Places
from pinnsolve.spec.schema import shapes
from pinnsolve.spec.schema.types import IDENTIFIER, TERM_NAME

MAX_COORDINATES = 200
TERM_KINDS = ("equations", "conditions", "data")


@dataclass(frozen=True)
class Names:
    """The names of a file.

    `intervals` maps each coordinate to its interval, whatever the file says there, or to None where a shape tells.

    `reliable` is false where coordinates or unknowns could not be read: then nothing can be said about names.
    """

    coordinates: Coordinates
    intervals: dict[str, Any]
    interval_paths: dict[str, KeyPath]
    unknowns: tuple[str, ...]
    complex_unknowns: tuple[str, ...]
    parameters: dict[str, Any]
    definitions: dict[str, Any]
    unknown_parameters: tuple[str, ...]
    eigenvalue: str | None  # the name of eigenvalues that are sought
    functions: dict[str, tuple[str, ...]]  # those of tables: name to arguments
    terms_of: dict[str, tuple[str, ...]]  # by kind: equations, conditions, data
    reliable: bool
    domain: Any = None  # the plain tree of shapes, if there is one
    regions: dict[str, Any] = field(default_factory=dict)  # name to the plain tree
    vectors: tuple[str, ...] = ()  # whose components are among the unknowns
    system: str = "cartesian"  # of the coordinates of space
    state_functions: tuple[str, ...] = ()  # those of the functions that are sought, and have no table
    problems: tuple[Diagnostic, ...] = field(default=())

    @property
    def terms(self) -> tuple[str, ...]:
        """The names of equations, conditions and data."""
        return tuple(dict.fromkeys(name for kind in TERM_KINDS for name in self.terms_of[kind]))


def read_names(
    data: Mapping[str, Any], places: Places, folder: Path, vectors: tuple[str, ...] = (), system: str = "cartesian"
) -> Names:
    """The names of a file, with every problem they have. `vectors`: those whose components stand in their place."""
    reader = _Reader(data, places, folder)
    intervals, paths = reader.intervals()
    unknowns, complex_unknowns = _unknowns(data.get("unknowns"))
    states = state_functions(data.get("unknowns"))
    if "eigenvalues" in data and (complex_unknowns or has_imaginary_unit(data)):
        complex_unknowns = unknowns
    definitions, functions = _map(data, "definitions"), _map(data, "functions")
    names = Names(
        coordinates=Coordinates.of(tuple(intervals), reader.time(intervals)),
        intervals=intervals,
        interval_paths=paths,
        unknowns=unknowns,
        complex_unknowns=complex_unknowns,
        parameters=_map(data, "parameters"),
        definitions=definitions,
        unknown_parameters=tuple(_map(data, "unknown_parameters")),
        eigenvalue=next(iter(_words(_map(data, "eigenvalues").get("name"))), None),
        functions={
            **{name: _words(item.get("of")) if isinstance(item, dict) else () for name, item in functions.items()},
            **states,
        },
        state_functions=tuple(states),
        terms_of={kind: tuple(_map(data, kind)) for kind in TERM_KINDS},
        reliable=bool(intervals and unknowns) and isinstance(data.get("definitions"), dict | None),
        domain=data.get("domain"),
        regions=_map(data, "regions"),
        vectors=vectors,
        system=system,
    )
    reader.check_names(names)
    reader.check_terms()
    return Names(**{**names.__dict__, "problems": tuple(reader.problems)})


def _map(data: Mapping[str, Any], key: str) -> dict[str, Any]:
    value = data.get(key)
    return dict(value) if isinstance(value, dict) else {}


def _words(value: Any) -> tuple[str, ...]:
    items = value if isinstance(value, list | tuple) else [value]
    return tuple(item for item in items if isinstance(item, str))


def _unknowns(value: Any) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The unknowns, and those of them that are complex."""
    if not isinstance(value, dict):
        return _words(value), ()
    functions = state_functions(value)
    named = [name for name in value if name not in functions]
    return _words(named), tuple(name for name in named if _is_complex(value[name]))


def state_functions(value: Any) -> dict[str, tuple[str, ...]]:
    """The unknown functions of the state, and what they are functions of."""
    items = value if isinstance(value, dict) else {}
    functions = {name: item for name, item in items.items() if isinstance(item, dict) and "of" in item}
    return {name: _words(item["of"]) for name, item in functions.items() if isinstance(name, str)}


def _is_complex(item: Any) -> bool:
    return (item.get("values") if isinstance(item, dict) else item) == "complex"


def has_imaginary_unit(data: Mapping[str, Any]) -> bool:
    """Whether eigenvalues are sought near a complex number: all unknowns are complex then."""
    near = _map(data, "eigenvalues").get("near")
    return isinstance(near, str) and bool(_UNIT.search(near)) and IMAGINARY_UNIT not in _map(data, "parameters")


_UNIT = re.compile(rf"(?<![A-Za-z0-9_]){IMAGINARY_UNIT}(?![A-Za-z0-9_])")


def _is_box(domain: Any) -> bool:
    return isinstance(domain, dict) and isinstance(domain.get("box"), dict)


class _Reader:
    def __init__(self, data: Mapping[str, Any], places: Places, folder: Path):
        self.data, self.places, self.folder = data, places, folder
        self.problems: list[Diagnostic] = []

    def problem(self, path: KeyPath, message: str, hint: str | None = None) -> None:
        self.problems.append(self.places.diagnostic(path, message, hint))

    # -- coordinates --

    def intervals(self) -> tuple[dict[str, Any], dict[str, KeyPath]]:
        """Coordinate to interval, from `coordinates`, or from the box of `domain` and the interval of `time`.

        The intervals of other shapes follow from their numbers: they are None here.
        """
        found, paths = {}, {}
        coordinates, domain = self.data.get("coordinates"), self.data.get("domain")
        for source, path in (
            (coordinates, ("coordinates",)),
            (self.space_of(domain), ("domain", "box") if _is_box(domain) else ("domain",)),
            (self.data.get("time"), ("time",)),
        ):
            if not isinstance(source, dict) or (path == ("domain",) and isinstance(coordinates, dict)):
                continue
            for name, interval in source.items():
                if name in found and path == ("time",):
                    self.problem(path, f"the interval of `{name}` is given twice", f"write `time: {name}`")
                    continue
                found[name], paths[name] = interval, path if path == ("domain",) else (*path, name)
        self.check_sources(coordinates, domain, tuple(found))
        time = self.data.get("time")
        if isinstance(coordinates, list):
            order = [name for name in coordinates if isinstance(name, str) and name in found]
        elif isinstance(time, dict):  # time comes first, as in `coordinates: {t: ..., x: ...}`
            order = [*time]
        else:
            order = []
        return {name: found[name] for name in dict.fromkeys((*order, *found))}, paths

    def space_of(self, domain: Any) -> dict[str, Any] | None:
        """The coordinates of space of a shape: those listed, those that a box in it names, else x, y, z."""
        if not isinstance(domain, dict):
            return None
        if _is_box(domain):
            return domain["box"]
        listed, time = self.data.get("coordinates"), self.data.get("time")
        if isinstance(listed, list | tuple):
            times = time if isinstance(time, dict) else ("t",) if time is None else (time,)
            return dict.fromkeys(name for name in listed if isinstance(name, str) and name not in times)
        box = shapes.raw_box(domain)
        dimension = shapes.raw_dimension(domain) or self.mesh_dimension(domain)
        names = [*box] if box and len(box) == dimension else ["x", "y", "z"][:dimension]
        return dict.fromkeys(name for name in names if isinstance(name, str))

    def mesh_dimension(self, domain: Any) -> int:
        """The dimension of the first readable mesh; the check of shapes reports the others."""
        for _, file in shapes.raw_files(domain):
            try:
                return read_mesh(mesh_path(self.folder, file)).dimension
            except DataFileError:
                continue
        return 2

    def check_sources(self, coordinates: Any, domain: Any, found: tuple[str, ...]) -> None:
        implicit = shapes.holds(domain, "implicit")
        if coordinates is None and domain is None:
            self.problem((), "the key `coordinates` is missing", "give the box: `coordinates: {x: [0, 1]}`")
        elif isinstance(coordinates, dict) and domain is not None and not implicit:
            self.problem(("domain",), "both `coordinates` with intervals and `domain` are given", "one of them will do")
        elif implicit and not isinstance(coordinates, dict):
            hint = "as in `coordinates: {x: [-1, 1], y: [-1, 1]}`"
            self.problem(("coordinates",), "an `implicit` shape needs the intervals of a box around it", hint)
        elif isinstance(coordinates, list | tuple):
            if domain is None:
                hint = "write `coordinates: {x: [0, 1]}`; a plain list needs a `domain`"
                self.problem(("coordinates",), "the coordinates have no intervals", hint)
            elif missing := [name for name in coordinates if name not in found]:
                hint = "give its interval in the box, or as `time: {t: [0, 3]}`"
                self.problem(("coordinates",), f"`{missing[0]}` has no interval", hint)
            elif missing := [name for name in found if name not in coordinates]:
                self.problem(("coordinates",), f"`{missing[0]}` is not in the list of coordinates")
        elif isinstance(coordinates, dict) and not coordinates:
            self.problem(("coordinates",), "there are no coordinates", "give the box: `coordinates: {x: [0, 1]}`")
        if len(found) > MAX_COORDINATES:
            self.problem(("coordinates",), f"{len(found)} coordinates: at most {MAX_COORDINATES} are supported")

    def time(self, intervals: Mapping[str, Any]) -> str | None:
        time = self.data.get("time")
        if isinstance(time, dict):
            return next(iter(time), None)
        if isinstance(time, str):
            if time in intervals:
                return time
            close = close_match(time, intervals)
            hint = f"did you mean `{close}`?" if close else f"the coordinates are {', '.join(intervals)}"
            if self.data.get("domain") is not None:
                hint = f"with `domain`, give its interval: `time: {{{time}: [0, 1]}}`"
            self.problem(("time",), f"`{time}` is not a coordinate", hint)
        return "t" if "t" in intervals else None

    # -- names --

    def named(self, names: Names) -> Iterator[tuple[str, str, KeyPath]]:
        """Every name with what it is and where it is given."""
        for name in names.intervals:
            yield name, "a coordinate", names.interval_paths[name]
        for name in names.unknowns:
            yield name, "an unknown", ("unknowns",)
        for name in names.vectors:
            yield name, "a vector", ("unknowns",)
        for name in names.complex_unknowns:
            for component, what in zip(component_names(name), ("real", "imaginary"), strict=True):
                yield component, f"the {what} part of `{name}`", ("unknowns",)
        for name in names.parameters:
            yield name, "a parameter", ("parameters", name)
        for name in names.unknown_parameters:
            yield name, "an unknown parameter", ("unknown_parameters", name)
        if names.eigenvalue is not None:
            yield names.eigenvalue, "an eigenvalue", ("eigenvalues", "name")
            for component in component_names(names.eigenvalue) if names.complex_unknowns else ():
                yield component, f"a part of `{names.eigenvalue}`", ("eigenvalues", "name")
        for name in names.functions:
            if name not in names.state_functions:
                yield name, "a function", ("functions", name)
        for name in names.state_functions:
            yield name, "an unknown function", ("unknowns", name)
        for name in names.regions:
            yield name, "a region", ("regions", name)
        for key in names.definitions:
            try:
                yield signature(key)[0], "a definition", ("definitions", key)
            except ExpressionError:
                continue  # reported with the definition

    def check_names(self, names: Names) -> None:
        taken = dict.fromkeys(operators.OPERATORS, "a custom operator")
        if names.complex_unknowns:
            taken |= dict.fromkeys(COMPLEX_FUNCTIONS, "a function of complex numbers")
            taken[IMAGINARY_UNIT] = "the imaginary unit, where an unknown is complex,"
        taken |= {f"n_{name}": f"the normal in direction {name}" for name in names.coordinates.space}
        for name, what, path in self.named(names):
            if not IDENTIFIER.fullmatch(name):
                hint = "a name is a letter, then letters a-z, A-Z, digits and `_`, 60 characters at most"
                self.problem(path, f"`{name[:80]}` cannot be a name", hint)
            elif name in RESERVED:
                meaning = {"e": "Euler's number", "pi": "the number 3.14...", "W": "the width of the basis"}
                self.problem(
                    path, f"`{name}` is taken: it is {meaning.get(name, 'part of the language')}", "use another name"
                )
            elif name in taken:
                same = "given twice" if taken[name] == what else f"{taken[name]} already"
                self.problem(path, f"`{name}` is {same}", "every name stands for one thing")
            else:
                taken[name] = what

    def check_terms(self) -> None:
        """Terms of all kinds share their names, since reports and weights go by them."""
        first: dict[str, str] = {}
        for kind in TERM_KINDS:
            for name in _map(self.data, kind):
                if not TERM_NAME.fullmatch(name):
                    hint = "letters, digits, `_`, `-` and spaces within, 60 characters at most"
                    self.problem((kind, name), f"`{name[:80]}` cannot be the name of a term", hint)
                elif name in first:
                    self.problem(
                        (kind, name), f"there is a term `{name}` in `{first[name]}` already", "choose another name"
                    )
                else:
                    first[name] = kind
