"""A sweep from the plan to its folder: members that are solved already are kept, the others are solved.

DIR/sweep.csv       a row for each member: what it sets, status, estimates, errors, seconds
DIR/members/00001   the run folder of a member, without figures
DIR/solutions.npz   with points: all unknowns of all members there, for training
DIR/plan.json       what was swept; a sweep with another plan needs another folder
"""

from __future__ import annotations

import csv
import io
import itertools
import json
import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from pinnsolve.files.data_files import DataFileError, data_path
from pinnsolve.files.tables import read_columns
from pinnsolve.problem.problem import Problem
from pinnsolve.processes.workers import in_processes, on_cluster
from pinnsolve.results.storage import RESULT_FILE, replace_file, to_json
from pinnsolve.sweeps.member import VALUES, Task, failed, row_of, solve_member, values_of
from pinnsolve.sweeps.plan import Plan, SweepError

TABLE, PLAN, SOLUTIONS, MEMBERS = "sweep.csv", "plan.json", "solutions.npz", "members"
WRITTEN_EVERY = 10  # members, at most, that the table is behind
MOST_NUMBERS = 2e9  # of the array of all solutions


@dataclass(frozen=True)
class Sweep:
    """What is swept, and where it goes. `problem` is that of the file, `settings` those of all members."""

    file: str
    problem: Problem
    plan: Plan
    folder: Path
    settings: tuple[str, ...] = ()
    operators: tuple[str, ...] = ()
    points: np.ndarray | None = None  # (N, d)

    def member(self, number: int) -> Path:
        """The run folder of a member, numbered from 1."""
        return self.folder / MEMBERS / f"{number:05d}"


def run_sweep(
    sweep: Sweep, workers: int, cluster: str | None = None, progress: Callable[[int, int], None] | None = None
) -> list[dict[str, Any]]:
    """Solve what is not solved yet, write the table and the array, and return the rows.

    `progress` is told how many members are done, and of how many. Raises `SweepError` for a folder that holds anything
    else. Interrupted, the table has what was done, and the same sweep goes on from there.
    """
    _claim(sweep)
    count = len(sweep.plan.members)
    rows = {number: row for number in range(1, count + 1) if (row := _solved(sweep, number)) is not None}
    tasks = [_task(sweep, number) for number in range(1, count + 1) if number not in rows]
    tell = progress or (lambda done, of: None)
    tell(len(rows), count)
    try:
        for row in _rows(tasks, workers, cluster):
            rows[row["member"]] = row
            tell(len(rows), count)
            if len(rows) % WRITTEN_EVERY == 0:
                _write_table(sweep, rows)
    finally:
        _write_table(sweep, rows)
    if sweep.points is not None:
        _write_solutions(sweep, rows)
    return [rows[number] for number in sorted(rows)]


def _rows(tasks: Sequence[Task], workers: int, cluster: str | None) -> Iterator[dict[str, Any]]:
    if not tasks:
        return iter(())
    if cluster:
        return on_cluster(tasks, cluster, solve_member, failed)
    return in_processes(tasks, min(workers, len(tasks)), solve_member, failed)


def _task(sweep: Sweep, number: int) -> Task:
    settings = (*sweep.settings, *sweep.plan.overrides(sweep.plan.members[number - 1]))
    folder = str(sweep.member(number).absolute())
    return Task(number, sweep.file, settings, sweep.operators, folder, sweep.points)


# -- the folder -----------------------------------------------------------------------------------------------------


def _claim(sweep: Sweep) -> None:
    """Make the folder, or see that it holds this very sweep."""
    stated = {
        "problem": sweep.problem.spec.to_yaml(),
        "settings": list(sweep.settings),
        "names": list(sweep.plan.names),
        "members": [list(member) for member in sweep.plan.members],
    }
    path = sweep.folder / PLAN
    if path.is_file():
        try:
            known = json.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            raise SweepError(f"{path} is damaged; give another folder") from None
        if known != stated:
            raise SweepError(f"{sweep.folder} holds another sweep, or one of the file as it was; give another folder")
        return
    if sweep.folder.exists() and (not sweep.folder.is_dir() or any(sweep.folder.iterdir())):
        raise SweepError(f"--out {sweep.folder} is neither empty nor a sweep, so nothing is written there")
    sweep.folder.mkdir(parents=True, exist_ok=True)
    replace_file(path, lambda file: file.write(to_json(stated).encode()))


def _solved(sweep: Sweep, number: int) -> dict[str, Any] | None:
    """The row of a member that is solved already; None for one that is not, or that was cut off."""
    folder = sweep.member(number)
    try:
        result = json.loads((folder / RESULT_FILE).read_text(encoding="utf-8"))
        row = row_of(number, result)
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None
    if sweep.points is not None and not _has_values(sweep, folder):
        from pinnsolve.results.solution import load_solution

        np.save(folder / VALUES, values_of(load_solution(folder), sweep.points))
    return row


def _has_values(sweep: Sweep, folder: Path) -> bool:
    try:
        shape = np.load(folder / VALUES, mmap_mode="r").shape
    except (OSError, ValueError):
        return False
    return shape == (len(sweep.problem.unknowns), len(sweep.points))


def _write_table(sweep: Sweep, rows: Mapping[int, Mapping[str, Any]]) -> None:
    columns = list(dict.fromkeys(itertools.chain.from_iterable(rows[number] for number in sorted(rows))))
    first, rest = [c for c in columns if c == "member"], [c for c in columns if c not in ("member", "message")]
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow([*first, *sweep.plan.names, *rest, "message"])
    for number in sorted(rows):
        row, values = rows[number], sweep.plan.members[number - 1]
        cells = [number, *map(repr, values), *(_cell(row.get(column)) for column in rest), row.get("message", "")]
        writer.writerow(cells)
    replace_file(sweep.folder / TABLE, lambda file: file.write(out.getvalue().encode()))


def _cell(value: Any) -> str:
    return "" if value is None else repr(value) if isinstance(value, float) else str(value)


def _write_solutions(sweep: Sweep, rows: Mapping[int, Mapping[str, Any]]) -> None:
    """`solutions.npz`: an array (members, N) per unknown, NaN where there is none, with points and parameters."""
    unknowns, count = sweep.problem.unknowns, len(sweep.plan.members)
    values = np.full((len(unknowns), count, len(sweep.points)), np.nan)
    for number in rows:
        if _has_values(sweep, sweep.member(number)):
            values[:, number - 1] = np.load(sweep.member(number) / VALUES)
    arrays: dict[str, Any] = dict(zip(unknowns, values, strict=True))
    arrays |= {name: sweep.points[:, i] for i, name in enumerate(sweep.problem.coordinates)}
    swept = np.array(sweep.plan.members).T
    arrays |= {name: column for name, column in zip(sweep.plan.names, swept, strict=True) if name not in arrays}
    replace_file(sweep.folder / SOLUTIONS, lambda file: np.savez(file, **arrays))


# -- where solutions are evaluated -----------------------------------------------------------------------------------


def points_of(problem: Problem, at: Path | None, grid: str | None, members: int) -> np.ndarray | None:
    """(N, d): the rows of a CSV file, or a regular grid such as `64x64` with the ends of every interval."""
    if at is not None and grid is not None:
        raise SweepError("both --at and --grid are given; one of them says where solutions are evaluated")
    if at is None and grid is None:
        return None
    points = _from_file(problem, at) if at is not None else _on_grid(problem, str(grid))
    if points.shape[0] * members * len(problem.unknowns) > MOST_NUMBERS:
        raise SweepError(f"the array of all solutions would have more than {MOST_NUMBERS:.0e} numbers")
    return points


def _from_file(problem: Problem, at: Path) -> np.ndarray:
    try:
        columns = read_columns(data_path(at.parent, at.name), "at")
    except DataFileError as error:
        raise SweepError(f"{at}: {error.message}") from None
    missing = [name for name in problem.coordinates if name not in columns]
    if missing:
        raise SweepError(f"{at} has no column for the coordinate `{missing[0]}`")
    points = np.stack([columns[name] for name in problem.coordinates], axis=1)
    for name, column, (low, high) in zip(problem.coordinates, points.T, problem.intervals, strict=True):
        outside = np.flatnonzero((column < low) | (column > high))
        if outside.size:
            raise SweepError(f"{at}: `{name}` lies outside [{low:g}, {high:g}] in data row {outside[0] + 1}")
    return points


def _on_grid(problem: Problem, grid: str) -> np.ndarray:
    counts: list[str] = grid.split("x")
    if len(counts) != len(problem.coordinates) or not all(c.isdecimal() and 0 < int(c) <= 100_000 for c in counts):
        example = "x".join(["64"] * len(problem.coordinates))
        names = ", ".join(problem.coordinates)
        raise SweepError(f"--grid {grid} is not a number of points for each of {names}, as in `--grid {example}`")
    if math.prod(map(int, counts)) > MOST_NUMBERS:
        raise SweepError(f"--grid {grid} has too many points")
    axes: Iterable[np.ndarray] = (
        np.linspace(low, high, int(c)) for c, (low, high) in zip(counts, problem.intervals, strict=True)
    )
    return np.stack([a.ravel() for a in np.meshgrid(*axes, indexing="ij")], axis=1)
