"""The compiled loss of a problem, and where each of its numbers comes from.

Input: a `Problem`. Output: an `Explanation`, plain texts that the terminal and a page show. No array library.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel

from pinnsolve import defaults
from pinnsolve.compiler.compiler import compile_problem
from pinnsolve.compiler.energies import energies_to_minimize
from pinnsolve.compiler.term_table import collocation_of, first_width, left_side, plan, short_text
from pinnsolve.compiler.terms import CompiledProblem, Linearization, Term
from pinnsolve.problem.problem import Problem
from pinnsolve.problem.stated import StatedTerm
from pinnsolve.spec.schema.solve import Tolerance

LOSS = "sum over the terms k of  \N{GREEK SMALL LETTER EPSILON}_k * (1/N_k) * sum over i of r_k(x_i)**2"
DEFAULT = "default"
BY_CELL = "chosen by the solve: Chebyshev points in every cell, about one and a half per degree and axis"
CELL_WEIGHTS = (
    "chosen by the solve, cell by cell: 1 over the square of the largest coefficient of the linearization, each times "
    "(2/h)**order in a cell of size h"
)
BY_ENERGY = "chosen by the solve: Gauss points in every cell, two more per axis than the degree"
ENERGY_WEIGHTS = "what is least is the energy of which these are the equations, not the squares of residuals"
BASIS_WEIGHTS = (
    "chosen by the solve: 1 over the mean square of what the linearization makes of the functions of the first basis, "
    "the largest being 1"
)


@dataclass(frozen=True)
class ExplainedTerm:
    """A term of the loss: what the file says, the residuals, their differentials where they are not linear, where it
    holds, N_k and epsilon_k, each with where it comes from.

    A differential is a list of pairs: a coefficient, and what is varied.
    """

    name: str
    kind: str
    stated: tuple[str, ...]
    stated_at: str
    residuals: tuple[str, ...]
    differentials: tuple[tuple[tuple[str, str], ...], ...]
    region: str
    points: str
    points_from: str
    weight: str
    weight_from: str


@dataclass(frozen=True)
class ExplainedNumber:
    """A number, or several that belong together: the text that the file gives for it (if that is no number), its value,
    and where it comes from."""

    name: str
    text: str
    value: str
    origin: str


@dataclass(frozen=True)
class Explanation:
    """The loss, term by term, and the numbers in it and around it, in groups by heading."""

    name: str
    title: str | None
    unknowns: tuple[str, ...]
    terms: tuple[ExplainedTerm, ...]
    numbers: Mapping[str, tuple[ExplainedNumber, ...]]


def explained(problem: Problem) -> Explanation:
    """The explanation of a problem, as it would be solved."""
    compiled = compile_problem(problem)
    rows = plan(problem, compiled)
    pairs = zip(compiled.terms, problem.statements, rows, strict=False)  # conditions between regions come after these
    terms = [_term(term, statement, row, problem, compiled) for term, statement, row in pairs]
    terms += [_between(row, problem) for row in rows[len(terms) :]]
    groups = {
        "the problem": (*_coordinates(problem), *_parameters(problem), *_sought(problem)),
        "the solve": tuple(_settings(problem)),
    }
    return Explanation(problem.name, problem.spec.title, problem.spec.unknowns, tuple(terms), groups)


def origin(problem: Problem, *path: str | int) -> str:
    """Where a key of the file gets its value: its line, a `--set`, or the default."""
    places = problem.spec.places
    for overridden, setting in places.overrides.items():
        if path[: len(overridden)] == overridden:
            return f"--set {setting}"
    line = places.lines.get(places.written(path))
    if line is None:
        return DEFAULT
    name = problem.spec.file.name if problem.spec.file is not None else "the file"
    return f"{name}, line {line}"


# -- terms ----------------------------------------------------------------------------------------------------------


def _term(
    term: Term, statement: StatedTerm, row: Mapping[str, Any], problem: Problem, compiled: CompiledProblem
) -> ExplainedTerm:
    stated, at = _stated(statement, problem)
    return ExplainedTerm(
        name=term.name,
        kind=term.kind,
        stated=stated,
        stated_at=at,
        residuals=tuple(left_side(r, problem.coordinates) for r in statement.residuals),
        differentials=() if term.linear else tuple(_differential(d, problem) for d in term.linearizations),
        region=row["region"],
        points=str(row["points"]),
        points_from=_points_from(term, problem, compiled),
        weight=_weight_text(row["weight"]),
        weight_from=_weight_from(statement, problem, compiled),
    )


def _between(row: Mapping[str, Any], problem: Problem) -> ExplainedTerm:
    item = problem.spec.conditions.get(row["name"])
    return ExplainedTerm(
        name=row["name"],
        kind=row["kind"],
        stated=() if item is None else item.equations,
        stated_at=origin(problem, "conditions", row["name"]),
        residuals=(row["operator"],),
        differentials=(),
        region=row["region"],
        points="by cell",
        points_from=BY_CELL,
        weight="auto",
        weight_from=CELL_WEIGHTS,
    )


def _stated(statement: StatedTerm, problem: Problem) -> tuple[tuple[str, ...], str]:
    """What the file says of a term, and where."""
    section, _, name = statement.key.partition(".")
    item = getattr(problem.spec, section, {}).get(name) if name else None
    if item is None:
        return (), "assumed, since the file states too few conditions there"
    at = origin(problem, section, name)
    if getattr(item, "periodic", ()):
        return (f"periodic: {', '.join(item.periodic)}",), at
    for kind in ("integral", "mean"):
        if getattr(item, kind, None) is not None:
            return (f"{kind}({getattr(item, kind)}) = {item.equals}",), at
    return item.equations, at


def _differential(linearization: Linearization, problem: Problem) -> tuple[tuple[str, str], ...]:
    names = problem.coordinates
    varied = [(feature.label(names), factor) for feature, factor in linearization.features]
    varied += list(linearization.parameters)
    return tuple((short_text(factor, names), name) for name, factor in varied)


def _points_from(term: Term, problem: Problem, compiled: CompiledProblem) -> str:
    if term.data_file is not None:
        return f"the rows of {term.data_file.name}"
    counts = collocation_of(problem, compiled)
    if counts is None:
        return BY_ENERGY if energies_to_minimize(compiled) else BY_CELL
    key = "interior" if any(piece.fills for piece in term.region.pieces) else "boundary"
    asked = problem.settings.collocation
    if asked is not None and getattr(asked, key) is not None:
        words = f"`solve.collocation.{key}`: {origin(problem, 'solve', 'collocation', key)}"
    else:
        width, _ = first_width(problem, compiled.order)
        words = f"about {defaults.POINTS_PER_FUNCTION:g} per function of the first basis, {width} if it is a network"
        words += "" if key == "interior" else ", shared by the faces"
        words += f"; at least {defaults.LEAST_BOUNDARY}" if key == "boundary" else ""
    return f"{words}; {counts.sampling}"


def _weight_text(weight: float | str) -> str:
    return f"{weight:g}" if isinstance(weight, int | float) else str(weight)


def _weight_from(statement: StatedTerm, problem: Problem, compiled: CompiledProblem) -> str:
    asked = problem.settings.term_weights
    if not isinstance(asked, str):
        name = statement.name if statement.name in asked else statement.key.partition(".")[2]
        if name in asked:
            return f"`solve.term_weights.{name}`: {origin(problem, 'solve', 'term_weights', name)}"
        return "1, since the file gives weights and none for this term"
    if collocation_of(problem, compiled) is not None:
        return BASIS_WEIGHTS
    return ENERGY_WEIGHTS if energies_to_minimize(compiled) else CELL_WEIGHTS


# -- numbers --------------------------------------------------------------------------------------------------------


def _coordinates(problem: Problem) -> Iterator[ExplainedNumber]:
    for name, (low, high) in zip(problem.coordinates, problem.intervals, strict=True):
        ends = problem.spec.coordinates.get(name)
        text = "" if ends is None else f"[{ends[0]}, {ends[1]}]"
        value = f"[{low:.6g}, {high:.6g}]"
        at = origin(problem, "coordinates", name) if ends is not None else origin(problem, "domain")
        at = origin(problem, "coordinates") if at == DEFAULT else at
        yield ExplainedNumber(name, "" if text == value else text, value, at)


def _parameters(problem: Problem) -> Iterator[ExplainedNumber]:
    for name, value in problem.parameters.items():
        at = origin(problem, "parameters", name)
        if name in problem.ranges:
            yield ExplainedNumber(name, "", problem.ranges[name].words(), at)
            continue
        text, shown = str(problem.spec.parameters[name]), f"{value:.10g}"
        yield ExplainedNumber(name, "" if text == shown else text, shown, at)


def _sought(problem: Problem) -> Iterator[ExplainedNumber]:
    """What is found with the solution, and the noise of data."""
    for p in problem.unknown_parameters:
        low, high = p.bounds
        bounds = f", in [{low:g}, {high:g}]" if (low, high) != (float("-inf"), float("inf")) else ""
        at = origin(problem, "unknown_parameters", p.name)
        yield ExplainedNumber(p.name, "", f"sought from {p.guess:g}{bounds}", at)
    if problem.eigenvalues is not None:
        e = problem.eigenvalues
        yield ExplainedNumber(e.name, "", f"{e.count} sought, nearest to {e.near:g}", origin(problem, "eigenvalues"))
    for name, item in problem.spec.data.items():
        stated = item.noise is not None
        value = f"{item.noise:g}" if stated else "estimated from the residuals"
        at = origin(problem, "data", name, "noise") if stated else DEFAULT
        yield ExplainedNumber(f"noise of {name}", "", value, at)
    for name, item in problem.spec.regularization.items():
        value = "total variation, weight by cross-validation, then layers"
        if isinstance(item.seminorm, int):
            value = f"weight {item.weight}, derivatives of order {item.seminorm}"
        yield ExplainedNumber(f"regularization of {name}", "", value, origin(problem, "regularization", name))


def _settings(problem: Problem) -> Iterator[ExplainedNumber]:
    """Everything under `solve`, as it is taken."""
    yield from _fields(problem, ("solve",), problem.settings)


def _fields(problem: Problem, path: tuple[str, ...], model: BaseModel) -> Iterator[ExplainedNumber]:
    for key in type(model).model_fields:
        value, here = getattr(model, key), (*path, key)
        if isinstance(value, BaseModel):
            yield from _fields(problem, here, value)
        elif isinstance(value, Tolerance):
            for name, one in value.by_name.items():
                yield ExplainedNumber(f"{'.'.join(here)}.{name}", "", f"{one:g}", origin(problem, *here, name))
        elif not isinstance(value, Mapping):  # term weights stand beside their terms
            said = "chosen by the problem" if value is None else str(value)
            if value is not None or path == ("solve",):
                yield ExplainedNumber(".".join(here), "", said, origin(problem, *here))
