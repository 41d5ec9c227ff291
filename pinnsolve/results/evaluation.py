"""A solution at the points of a CSV file, with any expressions of its unknowns and their derivatives.

Input: a `Solution`, a CSV file with a column per coordinate, expressions such as `u*D(u, x, x)`. Output: a CSV text
with the coordinate columns, one per unknown and one per expression, in full precision.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from pinnsolve.errors import PinnsolveError
from pinnsolve.language.vocabulary import close_match
from pinnsolve.results.expressions import Expressions

if TYPE_CHECKING:
    from pinnsolve.results.solution import Solution

MODE = "mode"  # the column that says which function of an eigenvalue problem
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
    return solution.columns(table) | Expressions.of(solution, expressions).at(table)


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
