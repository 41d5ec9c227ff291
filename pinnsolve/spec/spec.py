"""Problem file -> Spec: the file has the right shape, and every name and expression in it makes sense.

Input: the path of a YAML file, the name of a problem that comes with pinnsolve, or a dict; and settings that replace
values in it. Output: a frozen `Spec` in one form, whichever of the forms the file uses; or a `ProblemError` with
everything that is wrong. No sympy and no array library.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from pinnsolve.errors import Diagnostic, ProblemError
from pinnsolve.files.data_files import columns, data_path
from pinnsolve.files.yaml_writer import write_yaml
from pinnsolve.language import operators
from pinnsolve.language.coordinates import Coordinates
from pinnsolve.language.parsed_texts import ParsedTexts
from pinnsolve.language.systems import CARTESIAN, System
from pinnsolve.language.vocabulary import signature
from pinnsolve.spec.comma_repair import mend_commas
from pinnsolve.spec.expression_reader import ExpressionReader
from pinnsolve.spec.file_reader import FileReader, check_tolerance, item_equations, parameter_values, run_of
from pinnsolve.spec.functions import value_column
from pinnsolve.spec.indexed import joined, with_components
from pinnsolve.spec.located_errors import MAX_ERRORS, KeyPath, Places, mend_keys, refuse_large, validate
from pinnsolve.spec.names import Names, read_names
from pinnsolve.spec.parsed import ParsedFile
from pinnsolve.spec.parts import (
    ConditionSpec,
    DataSpec,
    EigenvaluesSpec,
    EquationSpec,
    FunctionSpec,
    HomeSpec,
    Number,
    OutputSpec,
    QuantitySpec,
    RangeSpec,
    ReferenceSpec,
    RegularizationSpec,
    StateFunctionSpec,
    UnknownParameterSpec,
)
from pinnsolve.spec.schema.ranges import RangeInput
from pinnsolve.spec.schema.schema import ProblemFile, SettingsFile
from pinnsolve.spec.schema.shapes import ShapeInput, as_lists
from pinnsolve.spec.schema.solve import BasisSpec, CollocationSpec, LimitsSpec, OptimizerSpec, SolveSettings, Tolerance
from pinnsolve.spec.schema.types import Context
from pinnsolve.spec.source import Source, file_source, plain, with_overrides
from pinnsolve.spec.term_weights import read_term_weights
from pinnsolve.spec.vectors import joined_unknowns, system_problems, with_system, with_vectors

__all__ = [
    "BasisSpec",
    "CollocationSpec",
    "ConditionSpec",
    "DataSpec",
    "EquationSpec",
    "LimitsSpec",
    "OptimizerSpec",
    "ReferenceSpec",
    "RegularizationSpec",
    "SolveSettings",
    "Spec",
    "UnknownParameterSpec",
    "json_schema",
    "load_spec",
    "spec_from_dict",
    "spec_with_settings",
]


@dataclass(frozen=True)
class Spec:
    """A problem file in one form. Maps keep the order of the file.

    `coordinates` maps each coordinate to its interval, or to None where it follows from the shape `domain` (a tree as
    the file writes it; None for a box without a name), and `axes` tells their roles; `definitions` maps `name` or
    `name(args)` to its text; `regions` are trees of shapes, or a `where`, and `homes` those of unknowns that have one;
    `guess` holds expressions, or the absolute path of a `run`, and `other_guesses` those that follow it. `folder` is
    where data files lie, `file` the problem file if there is one. `parsed` is what the texts say, and `places` where
    they stand.
    """

    name: str
    coordinates: Mapping[str, tuple[Number, Number] | None]
    axes: Coordinates
    unknowns: tuple[str, ...]
    parsed: ParsedFile = field(repr=False, compare=False)
    complex_unknowns: tuple[str, ...] = ()
    vectors: tuple[str, ...] = ()  # whose components are among the unknowns
    system: str = CARTESIAN  # of the coordinates of space
    domain: Mapping[str, Any] | None = None
    regions: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    homes: Mapping[str, HomeSpec] = field(default_factory=dict)
    components: Mapping[str, int] = field(default_factory=dict)  # how many, of indexed coordinates
    title: str | None = None
    description: str | None = None
    cite: tuple[str, ...] = ()
    parameters: Mapping[str, Number | RangeSpec] = field(default_factory=dict)
    functions: Mapping[str, FunctionSpec] = field(default_factory=dict)
    state_functions: Mapping[str, StateFunctionSpec] = field(default_factory=dict)
    definitions: Mapping[str, str] = field(default_factory=dict)
    equations: Mapping[str, EquationSpec] = field(default_factory=dict)
    conditions: Mapping[str, ConditionSpec] = field(default_factory=dict)
    data: Mapping[str, DataSpec] = field(default_factory=dict)
    unknown_parameters: Mapping[str, UnknownParameterSpec] = field(default_factory=dict)
    discover: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    eigenvalues: EigenvaluesSpec | None = None
    regularization: Mapping[str, RegularizationSpec] = field(default_factory=dict)
    quantities: Mapping[str, QuantitySpec] = field(default_factory=dict)
    exact: Mapping[str, str] = field(default_factory=dict)
    guess: Mapping[str, str] = field(default_factory=dict)
    other_guesses: tuple[Mapping[str, str], ...] = ()
    reference: ReferenceSpec | None = None
    output: OutputSpec | None = None
    solve: SolveSettings = field(default_factory=SolveSettings)
    file: Path | None = None
    folder: Path = field(default_factory=Path)
    places: Places = field(default_factory=Places, repr=False, compare=False)

    @property
    def time(self) -> str | None:
        """The name of the coordinate of time, if there is one."""
        return self.axes.time

    def place(self, key: str) -> int | None:
        """The line of a dotted key path (`equations.momentum`), or of the nearest key above it."""
        return self.places.line(tuple(key.split(".")))

    def diagnostic(self, path: KeyPath, message: str, hint: str | None = None, **details: Any) -> Diagnostic:
        """An error at a key path of the file."""
        return self.places.diagnostic(path, message, hint, **details)

    def to_yaml(self) -> str:
        """The problem as a file, defaults of `solve` included; loading it gives the same spec."""
        return write_yaml(_as_file(self))


# -- in -----------------------------------------------------------------------------------------------------


def load_spec(path_or_name: str | Path, overrides: Iterable[str] = ()) -> Spec:
    """Read a problem file, or the problem of that name that comes with pinnsolve.

    `overrides` are settings such as `solve.tolerance=1e-8`, a key path and a YAML value, put in before all checks.
    Raises `ProblemError` with everything that is wrong, each with file, line, key and what would be right.
    """
    return _spec(with_overrides(file_source(path_or_name), overrides))


def spec_from_dict(data: Mapping[str, Any], folder: str | Path | None = None) -> Spec:
    """A spec from the keys and values of a problem file; data files are looked for in `folder`, here by default.

    Raises `ProblemError` with everything that is wrong.
    """
    return _spec(Source(plain(data), Places(), Path(folder or "."), None))


def spec_with_settings(spec: Spec, settings: Mapping[str, Any]) -> Spec:
    """The spec with settings of its `solve` section replaced, e.g. `{"tolerance": 1e-8}`; nothing else is read again.

    Raises `ProblemError` with everything that is wrong with them.
    """
    stated = {"solve": plain({**_settings(spec.solve), **settings})}
    texts, values = ParsedTexts(spec.components), spec.parsed.values
    data, places, found = mend_keys(stated, Places())
    file, wrong_shape = validate(data, Context(values, texts=texts), places, SettingsFile)
    found = [*found, *wrong_shape]
    if file is not None:
        reader = ExpressionReader(texts, values, places)
        terms = (*spec.equations, *spec.parsed.equations, *spec.conditions, *spec.data)
        known = (*spec.coordinates, *spec.unknowns, *spec.parameters, *spec.unknown_parameters, *operators.OPERATORS)
        weights = read_term_weights(file.solve.term_weights, terms, known, reader)
        check_tolerance(file.solve.tolerance, (*spec.unknowns, *spec.quantities), reader)
        found += reader.problems
    if found:
        raise ProblemError(_in_order(found))
    return replace(spec, solve=file.solve, parsed=replace(spec.parsed, term_weights=weights))


def spec_with_parameters(spec: Spec, values: Mapping[str, float]) -> Spec:
    """The spec with numbers in the place of parameters, read again as if the file stated them.

    Raises `ProblemError` with everything that is wrong then, where it stands in the file.
    """
    data = _as_file(spec)
    data["parameters"] = {**data.get("parameters", {}), **values}
    return _spec(Source(plain(data), spec.places, spec.folder, spec.file))


def json_schema() -> dict[str, Any]:
    """JSON Schema of problem files, for editors."""
    from pinnsolve.spec.schema.json_schema import published

    return published(ProblemFile)


def _spec(source: Source) -> Spec:
    refuse_large(source.data, source.places)
    whole, problems = mend_commas(source.data, source.places, source.problems)
    spec, found = _read(replace(source, data=whole, problems=tuple(problems)))
    if spec is not None:
        return spec
    from pinnsolve.spec.other_tools.mend import mend_other_tools  # of no use to a file that is right

    translated, places, foreign = mend_other_tools(whole, source.places)
    if foreign:
        _, found = _read(replace(source, data=translated, places=places, problems=(*problems, *foreign)))
    raise ProblemError(_in_order(found))


def _read(source: Source) -> tuple[Spec | None, list[Diagnostic]]:
    """The spec that a source states; None, and what is wrong with it."""
    data, places, found = mend_keys(source.data, source.places)
    data, counts, wrong_counts = with_components(data, places)
    data, system, wrong_system = with_system(data, places)
    data, places, vectors, wrong_vectors = with_vectors(data, places, source.folder)
    names, texts = read_names(data, places, source.folder, vectors, system), ParsedTexts(counts)
    found_system = System(system, names.coordinates.space)
    told = [places.diagnostic(*item) for item in system_problems(found_system, names.domain)]
    names = replace(names, system=CARTESIAN) if told else names
    wrong_counts += [*wrong_system, *wrong_vectors, *told]
    values, wrong_values = parameter_values(names, texts, places)
    file, wrong_shape = validate(data, Context(values, not wrong_values, texts), places, ProblemFile)
    found = [*source.problems, *found, *names.problems, *wrong_counts, *wrong_values, *wrong_shape]
    parsed = None
    if file is not None:
        reader = FileReader(names, values, texts, places, source.folder)
        parsed = reader.read(file, _shape(file.domain), complete=not found)
        found += reader.problems
    if found:
        return None, found
    return replace(_normalized(file, names, parsed, replace(source, places=places)), components=counts), []


def _in_order(found: list[Diagnostic]) -> list[Diagnostic]:
    """In the order of the file, each once, at most `MAX_ERRORS`."""
    unique = sorted(dict.fromkeys(found), key=lambda d: d.line or 0)
    more = len(unique) - MAX_ERRORS
    return unique if more <= 0 else [*unique[:MAX_ERRORS], Diagnostic(f"and {more} more", file=unique[0].file)]


def _normalized(file: ProblemFile, names: Names, parsed: ParsedFile, source: Source) -> Spec:
    return Spec(
        name=file.name,
        title=file.title,
        description=file.description,
        cite=file.cite or (),
        coordinates={k: None if interval is None else tuple(interval) for k, interval in names.intervals.items()},
        domain=_shape(file.domain),
        axes=names.coordinates,
        unknowns=file.unknown_names,
        complex_unknowns=names.complex_unknowns,
        vectors=names.vectors,
        system=names.system,
        regions={k: _region(v) for k, v in (file.regions or {}).items()},
        homes=_homes(file),
        parsed=parsed,
        parameters={k: _parameter(v) for k, v in (file.parameters or {}).items()},
        functions={k: _function(k, v, source.folder) for k, v in (file.functions or {}).items()},
        state_functions={
            k: StateFunctionSpec(v.of, v.positive, v.monotone) for k, v in file.unknowns.items() if v.of is not None
        },
        definitions={_signature_text(key): text for key, text in (file.definitions or {}).items()},
        equations={
            k: EquationSpec(_equations(v), v.where, v.on or (), v.conservative)
            for k, v in (file.equations or {}).items()
        },
        conditions={k: _condition(v) for k, v in (file.conditions or {}).items()},
        data={k: _data(v, source.folder) for k, v in (file.data or {}).items()},
        unknown_parameters={
            k: UnknownParameterSpec(v.guess, v.bounds) for k, v in (file.unknown_parameters or {}).items()
        },
        discover=dict(file.discover or {}),
        eigenvalues=None if (e := file.eigenvalues) is None else EigenvaluesSpec(e.name, e.count, e.near),
        regularization={k: RegularizationSpec(v.seminorm, v.weight) for k, v in (file.regularization or {}).items()},
        quantities={k: _quantity(v) for k, v in (file.quantities or {}).items()},
        exact={unknown or file.unknown_names[0]: text for unknown, text in (file.exact or {}).items()},
        guess=_guess((file.guess or [{}])[0], file.unknown_names, source.folder),
        other_guesses=tuple(_guess(one, file.unknown_names, source.folder) for one in (file.guess or [])[1:]),
        reference=ReferenceSpec(file.reference.file) if file.reference else None,
        output=None if (o := file.output) is None else OutputSpec(o.times, o.grid),
        solve=file.solve,
        file=source.file,
        folder=source.folder,
        places=source.places,
    )


def _shape(domain: ShapeInput | None) -> dict[str, Any] | None:
    """The plain tree; a box without a name is said by its coordinates."""
    tree = None if domain is None else as_lists(domain.model_dump(exclude_none=True))
    return None if tree is None or set(tree) == {"box"} else tree


def _region(item: Any) -> dict[str, Any]:
    return as_lists(item.model_dump(exclude_none=True))


def _homes(file: ProblemFile) -> dict[str, HomeSpec]:
    return {name: HomeSpec(v.within or (), v.where) for name, v in file.unknowns.items() if v.within or v.where}


def _signature_text(key: str) -> str:
    name, arguments = signature(key)
    return name if arguments is None else f"{name}({', '.join(arguments)})"


def _equations(item: Any) -> tuple[str, ...]:
    return tuple(text for _, text in item_equations(item))


def _condition(item: Any) -> ConditionSpec:
    places = item.on or (), item.at or (), item.periodic or ()
    return ConditionSpec(*places, _equations(item), item.where, item.integral, item.mean, item.equals, item.exactly)


def _function(name: str, item: Any, folder: Path) -> FunctionSpec:
    column = value_column(name, item, columns(data_path(folder, item.file)))
    return FunctionSpec(item.file, item.of, column or name, item.interpolation, item.outside)


def _parameter(item: Any) -> Number | RangeSpec:
    return RangeSpec(tuple(item.range), item.spacing) if isinstance(item, RangeInput) else item


def _quantity(item: Any) -> QuantitySpec:
    return QuantitySpec(item.kind, getattr(item, item.kind), item.on or (), item.at or (), item.where)


def _guess(guess: Mapping[str, str], unknowns: tuple[str, ...], folder: Path) -> dict[str, str]:
    run = run_of(guess, unknowns)
    if run is not None:
        return {"run": str((folder / str(run)).resolve())}
    return {unknown or unknowns[0]: text for unknown, text in guess.items()}


def _data(item: Any, folder: Path) -> DataSpec:
    return DataSpec(item.file, _equations(item), item.noise, columns(data_path(folder, item.file)), item.loss)


# -- out ----------------------------------------------------------------------------------------------------


def _as_file(spec: Spec) -> dict[str, Any]:
    """The keys and values of a problem file, without empty ones."""
    whole = {
        "name": spec.name,
        "title": spec.title,
        "description": spec.description,
        "cite": list(spec.cite),
        **_with_system(_domain_out(spec), spec),
        "regions": {k: dict(v) for k, v in spec.regions.items()},
        "unknowns": _unknowns_out(spec),
        "parameters": {k: _parameter_out(v) for k, v in spec.parameters.items()},
        "unknown_parameters": {
            k: _filled({"guess": v.guess, "bounds": list(v.bounds or ())}) for k, v in spec.unknown_parameters.items()
        },
        "discover": {k: list(v) for k, v in spec.discover.items()},
        "functions": {k: _function_out(v) for k, v in spec.functions.items()},
        "definitions": dict(spec.definitions),
        "equations": {k: _equation_out(v) for k, v in spec.equations.items()},
        "conditions": {k: _condition_out(v) for k, v in spec.conditions.items()},
        "data": {
            k: _filled({"file": v.file, **_equations_out(v.equations), "noise": v.noise, "loss": v.loss})
            for k, v in spec.data.items()
        },
        "eigenvalues": None if spec.eigenvalues is None else dict(vars(spec.eigenvalues)),
        "regularization": {k: {"seminorm": v.seminorm, "weight": v.weight} for k, v in spec.regularization.items()},
        "quantities": {k: _quantity_out(v) for k, v in spec.quantities.items()},
        "guess": [dict(one) for one in (spec.guess, *spec.other_guesses)] if spec.other_guesses else dict(spec.guess),
        "exact": dict(spec.exact),
        "reference": {"file": spec.reference.file} if spec.reference else None,
        "output": None if spec.output is None else _output_out(spec.output),
        "solve": _settings(spec.solve),
    }
    return _filled(whole)


def _domain_out(spec: Spec) -> dict[str, Any]:
    """`coordinates`, `domain` and `time`; with a domain, intervals stand only where it needs them."""
    intervals = {name: None if ends is None else list(ends) for name, ends in spec.coordinates.items()}
    if spec.components and spec.domain is not None:
        space = {name: None for name in intervals if name != spec.time}
        time = None if spec.time is None else {spec.time: intervals[spec.time]}
        return {"coordinates": joined(space, spec.components), "domain": spec.domain, "time": time}
    intervals = joined(intervals, spec.components)
    listed = spec.domain is not None and ("box" in spec.domain or any(ends is None for ends in intervals.values()))
    if not listed:
        return {"coordinates": intervals, "domain": spec.domain, "time": spec.time}
    time = None if spec.time is None else {spec.time: intervals[spec.time]}
    return {"coordinates": [*intervals], "domain": spec.domain, "time": time}


def _with_system(keys: dict[str, Any], spec: Spec) -> dict[str, Any]:
    if spec.system == CARTESIAN:
        return keys
    stated = keys["coordinates"]
    listed = stated if isinstance(stated, Mapping) else dict.fromkeys(name for name in stated if name != spec.time)
    return {**keys, "coordinates": {**listed, "system": spec.system}}


def _unknowns_out(spec: Spec) -> Any:
    if not spec.homes and not spec.complex_unknowns and not spec.vectors and not spec.state_functions:
        return _one_or_list(spec.unknowns)
    found = {name: _unknown_out(name, spec) for name in spec.unknowns}
    found = joined_unknowns(found, spec.vectors, spec.axes.space)
    for name, item in spec.state_functions.items():
        found[name] = _filled({"of": list(item.of), "positive": item.positive or None, "monotone": item.monotone})
    return found


def _unknown_out(name: str, spec: Spec) -> Any:
    values, home = "complex" if name in spec.complex_unknowns else "real", spec.homes.get(name)
    if home is None:
        return values
    within = _one_or_list(home.within) if home.within else None
    return _filled({"in": within, "where": home.where, "values": None if values == "real" else values})


def _filled(mapping: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in mapping.items() if value is not None and value != [] and value != {}}


def _one_or_list(items: tuple[Any, ...]) -> Any:
    return items[0] if len(items) == 1 else list(items)


def _equations_out(texts: tuple[str, ...]) -> dict[str, Any]:
    return {"equation": texts[0]} if len(texts) == 1 else {"equations": list(texts)}


def _parameter_out(item: Number | RangeSpec) -> Any:
    return {"range": list(item.ends), "spacing": item.spacing} if isinstance(item, RangeSpec) else item


def _equation_out(item: EquationSpec) -> Any:
    if len(item.equations) == 1 and item.where is None and not item.on and not item.conservative:
        return item.equations[0]
    on = _one_or_list(item.on) if item.on else None
    conservative = item.conservative or None
    return _filled({"on": on, **_equations_out(item.equations), "where": item.where, "conservative": conservative})


def _condition_out(item: ConditionSpec) -> dict[str, Any]:
    places = {"on": item.on, "at": tuple(dict(point) for point in item.at), "periodic": item.periodic}
    place = {key: _one_or_list(value) for key, value in places.items() if value}
    said = _equations_out(item.equations) if item.equations else {}
    said |= {key: getattr(item, key) for key in ("integral", "mean", "equals")}
    return _filled({**place, **said, "where": item.where, "exactly": item.exactly or None})


def _quantity_out(item: QuantitySpec) -> dict[str, Any]:
    places = {"on": item.on, "at": tuple(dict(point) for point in item.at)}
    place = {key: _one_or_list(value) for key, value in places.items() if value}
    return _filled({**place, item.kind: item.expression, "where": item.where})


def _function_out(item: FunctionSpec) -> dict[str, Any]:
    whole = {"file": item.file, "of": _one_or_list(item.of), "column": item.column}
    return {**whole, "interpolation": item.interpolation, "outside": item.outside}


def _output_out(item: OutputSpec) -> dict[str, Any]:
    times = list(item.times) if isinstance(item.times, tuple) else item.times
    return _filled({"times": times, "grid": dict(item.grid) if isinstance(item.grid, Mapping) else item.grid})


def _settings(solve: SolveSettings) -> dict[str, Any]:
    """The settings of `solve`, without those left to the solver."""
    return _said(solve)


def _said(model: BaseModel) -> dict[str, Any]:
    parts = {key: getattr(model, key) for key in type(model).model_fields}
    return _filled({key: _value_out(value) for key, value in parts.items()})


def _value_out(value: Any) -> Any:
    if isinstance(value, Tolerance):
        return dict(value.by_name)
    return _said(value) if isinstance(value, BaseModel) else value
