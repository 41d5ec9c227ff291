"""A solution at the points of a CSV file, with any expressions of its unknowns and their derivatives.

Input: a `Solution`, a CSV file with a column per coordinate, expressions such as `u*D(u, x, x)`. Output: a CSV text
with the coordinate columns, one per unknown and one per expression, in full precision.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch

from pinnsolve.assembly.rows import apply_features
from pinnsolve.errors import ExpressionError, PinnsolveError, SolutionError
from pinnsolve.files.yaml_reader import parse_yaml
from pinnsolve.language.complex_numbers import PartsError, parts
from pinnsolve.language.expansion import exact_value
from pinnsolve.language.operators import OPERATORS
from pinnsolve.language.symbols import Feature, FeatureSymbol, coordinate_symbol
from pinnsolve.language.to_sympy import Scope, expression
from pinnsolve.language.to_torch import Evaluator
from pinnsolve.language.vocabulary import close_match

if TYPE_CHECKING:
    from pinnsolve.results.solution import Solution

MODE = "mode"  # the column that says which function of an eigenvalue problem
POINTS_AT_ONCE = 10_000  # that an operator is applied at: it answers with a number for every function of the basis
MOST_ERRORS = 10  # rows that are named before the rest is only counted


class PointsError(PinnsolveError):
    """The points of a CSV file cannot be used; the message names each row."""


def evaluate_csv(solution: Solution, points: Path, expressions: Sequence[str] = ()) -> str:
    """The CSV text for the points of a CSV file. Raises `PointsError` and `SolutionError`.

    Of eigenvalue problems, the file may have a column `mode` (1, 2, ...); else it is the first one everywhere.
    """
    given = solution.coordinates if solution.modes is None else (*solution.coordinates, MODE)
    header, texts, lines = _read(points, solution.coordinates, given)
    used = [name for name in header if name in given]
    table = _numbers(solution, points, texts, lines)
    if MODE in used and MODE not in solution.coordinates:
        columns = _of_modes(solution, points, table, [row[-1] for row in texts], lines, expressions)
    else:
        columns = _columns(solution, table, expressions)
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow([*used, *columns])
    place = [given.index(name) for name in used]
    for row, values in zip(texts, zip(*columns.values(), strict=True), strict=True):
        writer.writerow([*(row[i] for i in place), *(repr(float(v)) for v in values)])
    return out.getvalue()


def _columns(solution: Solution, table: np.ndarray, expressions: Sequence[str]) -> dict[str, np.ndarray]:
    """(N,) by column: the unknowns and the expressions at points (N, d)."""
    columns = {name: solution.values(table, name) for name in solution.unknowns}
    return columns | expression_columns(solution, table, expressions)


def expression_columns(solution: Solution, points: np.ndarray, expressions: Sequence[str]) -> dict[str, np.ndarray]:
    """(N,) by column: expressions of everything the problem file names, at points (N, d); two of a complex one.

    Raises `SolutionError` for what is no expression of these names.
    """
    columns: dict[str, np.ndarray] = {}
    for text in expressions:
        columns |= _evaluate(solution, points, text)
    return columns


def _of_modes(
    solution: Solution, path: Path, table: np.ndarray, modes: list[str], lines: list[int], expressions: Sequence[str]
) -> dict[str, np.ndarray]:
    """The columns, each row of the mode that it asks for."""
    known = [str(number + 1) for number in range(len(solution.modes))]
    wrong = [(line, text) for line, text in zip(lines, modes, strict=True) if text not in known]
    if wrong:
        shown = [f"{path}, line {line}: there is no mode {text!r}, only 1 to {len(known)}" for line, text in wrong]
        raise PointsError("\n".join(shown[:MOST_ERRORS]))
    columns: dict[str, np.ndarray] = {}
    for mode in dict.fromkeys(modes):
        rows = np.array([text == mode for text in modes])
        for name, values in _columns(solution.mode(int(mode)), table[rows], expressions).items():
            columns.setdefault(name, np.full(len(modes), np.nan))[rows] = values
    return columns or _columns(solution, table, expressions)


def _read(
    path: Path, coordinates: tuple[str, ...], given: tuple[str, ...]
) -> tuple[list[str], list[list[str]], list[int]]:
    """The header, the texts of the columns `given`, as far as there are any, and each row's line."""
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.reader(file, skipinitialspace=True)
            rows = [(reader.line_num, [cell.strip() for cell in row]) for row in reader if any(map(str.strip, row))]
    except OSError as error:
        raise PointsError(f"{path} cannot be read: {error.strerror}") from None
    except (UnicodeDecodeError, csv.Error) as error:
        raise PointsError(f"{path} is not a CSV file: {error}") from None
    if not rows:
        raise PointsError(f"{path} is empty; its first line should name the columns {', '.join(coordinates)}")
    header = rows[0][1]
    _check_header(path, header, coordinates)
    place = [header.index(name) for name in given if name in header]
    texts = [[row[i] if i < len(row) else "" for i in place] for _, row in rows[1:]]
    return header, texts, [line for line, _ in rows[1:]]


def _check_header(path: Path, header: list[str], coordinates: tuple[str, ...]) -> None:
    problems = []
    for name in coordinates:
        if header.count(name) > 1:
            problems.append(f"the column {name} is there {header.count(name)} times")
        elif name not in header:
            near = close_match(name, header)
            problems.append(f"there is no column {name}" + (f" (but {near})" if near else ""))
    if problems:
        found = ", ".join(header) if len(header) <= 20 else f"{len(header)} columns"
        raise PointsError(f"{path}, line 1: {'; '.join(problems)}. The header has {found}")


def _numbers(solution: Solution, path: Path, texts: list[list[str]], lines: list[int]) -> np.ndarray:
    """The points (N, d), every one a number inside the box; else an error that names the rows."""
    table = np.full((len(texts), len(solution.coordinates)), np.nan)
    problems: list[tuple[int, str]] = []
    for i, row in enumerate(texts):
        for axis, text in enumerate(row[: len(solution.coordinates)]):
            try:
                table[i, axis] = float(text)
            except ValueError:
                what = f"{text!r} is not a number" if text else "there is no value"
                problems.append((i, f"{solution.coordinates[axis]}: {what}"))
    bad = {i for i, _ in problems}
    for i, axis in np.argwhere(solution.outside(table)):
        if i not in bad:
            problems.append((int(i), solution.describe_outside(int(axis), float(table[i, axis]))))
    if problems:
        problems.sort()
        shown = [f"{path}, line {lines[i]}: {words}" for i, words in problems[:MOST_ERRORS]]
        more = len(problems) - len(shown)
        raise PointsError("\n".join([*shown, *([f"and {more} more"] if more else [])]))
    return table


def _evaluate(solution: Solution, points: np.ndarray, text: str) -> dict[str, np.ndarray]:
    """An expression of everything the problem file names, at points (N, d): (N,) by column, two if it is complex."""
    constants, definitions = _names_of_file(solution.problem_text)
    constants |= {name: float(found["value"]) for name, found in solution.parameters.items()}
    scope = Scope(
        coordinates=solution.coordinates,
        time=solution.time,
        unknowns=(*solution.names, *solution.unknowns),
        complex_unknowns=solution.complex_unknowns,
        parameters=tuple(constants),
        definitions=definitions,
        operators=tuple(OPERATORS),
    )
    try:
        both = parts(expression(text, scope))
    except ExpressionError as error:
        raise SolutionError("\n".join(_explained(text, error))) from None
    except PartsError as error:
        raise SolutionError(f"--derivative {text}: {error}") from None
    found = {text: both[0]} if both[1] == 0 else {f"re({text})": both[0], f"im({text})": both[1]}
    evaluator = Evaluator(list(found.values()))
    columns = (torch.from_numpy(column.copy()) for column in points.T)
    values: dict = {coordinate_symbol(name): c for name, c in zip(solution.coordinates, columns, strict=True)}
    values |= {coordinate_symbol(name): value for name, value in constants.items()}
    for symbol in evaluator.symbols:
        if isinstance(symbol, FeatureSymbol):
            values[symbol] = torch.from_numpy(_feature_values(solution, points, symbol.feature))
    results = (torch.as_tensor(result, dtype=torch.float64) for result in evaluator(values))
    return {name: result.expand(len(points)).numpy() for name, result in zip(found, results, strict=True)}


def _feature_values(solution: Solution, points: np.ndarray, feature: Feature) -> np.ndarray:
    """A derivative of an unknown, or what an operator registered through Python makes of it, at points: (N,)."""
    if feature.operator is None:
        return solution.values(points, feature.unknown, feature.alpha)
    asked, found = (feature.alpha, feature.operator), np.full(len(points), np.nan)
    coefficients = solution.coefficients[solution.unknowns.index(feature.unknown)]
    inside = np.flatnonzero(solution.in_domain(points))
    for start in range(0, len(inside), POINTS_AT_ONCE):
        some = inside[start : start + POINTS_AT_ONCE]
        x = torch.as_tensor(points[some]).to(coefficients)
        with torch.no_grad():
            found[some] = (apply_features(solution.basis, x, [asked], None)[asked] @ coefficients).cpu().numpy()
    return found


def _names_of_file(problem_text: str) -> tuple[dict[str, float], dict[str, str]]:
    """Parameters and definitions of a resolved problem file."""
    data = parse_yaml(problem_text).data if problem_text.strip() else {}
    exact: dict = {}
    definitions = {key: str(text) for key, text in (data.get("definitions") or {}).items()}
    for name, text in (data.get("parameters") or {}).items():
        if isinstance(text, dict):  # a range: a coordinate of the solution
            continue
        try:
            exact[name] = exact_value(text, exact)
        except ExpressionError:  # it depends on one
            definitions[name] = str(text)
    return {name: float(value) for name, value in exact.items()}, definitions


def _explained(text: str, error: ExpressionError) -> Iterator[str]:
    yield f"--derivative: {error.message}"
    yield f"    {text}"
    if error.offset is not None:
        yield "    " + " " * error.offset + "^"
    if error.hint:
        yield f"    {error.hint}"
