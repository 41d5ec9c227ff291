"""`pinnsolve sweep` and `ps.sweep`: many solves of one problem file, by one call.

Input: a problem file, what varies, a folder. Output: `Swept`, the rows of the table; the folder holds the rest.
"""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console, Group
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.text import Text

from pinnsolve import pipeline
from pinnsolve.files.text import printable
from pinnsolve.problem.problem import Problem
from pinnsolve.process import processors
from pinnsolve.spec.source import find_problem
from pinnsolve.sweeps.plan import make_plan
from pinnsolve.sweeps.sweep import TABLE, Sweep, points_of, run_sweep

SHOWN = 5  # members that did not converge, by name


@dataclass(frozen=True)
class Swept:
    """The rows of a sweep, in the order of its members; `folder` holds `sweep.csv` and the members' run folders."""

    folder: Path
    rows: tuple[Mapping[str, Any], ...]

    @property
    def all_converged(self) -> bool:
        return all(row["status"] == "converged" for row in self.rows)

    def summary(self) -> Group:
        """How many members ended how, and the first that did not reach their tolerance."""
        counts = Counter(row["status"] for row in self.rows)
        words = ", ".join(f"{count} {status}" for status, count in counts.most_common())
        lines = [Text.assemble((f"{len(self.rows)} members: ", "bold"), words)]
        missed = [row for row in self.rows if row["status"] != "converged"]
        for row in missed[:SHOWN]:
            lines.append(Text(printable(f"  member {row['member']}: {row['status']}: {row['message']}")))
        if len(missed) > SHOWN:
            lines.append(Text(f"  and {len(missed) - SHOWN} more"))
        return Group(*lines, Text(printable(f"files  {self.folder / TABLE}")))


def sweep(
    file: str | Path,
    problem: Problem | None = None,
    out: str | Path = "sweep",
    *,
    over: Iterable[str] | Mapping[str, Sequence[float]] = (),
    samples: Path | None = None,
    workers: int | None = None,
    cluster: str | None = None,
    at: Path | None = None,
    grid: str | None = None,
    settings: Iterable[str] = (),
    operators: Iterable[str] = (),
) -> Swept:
    """Solve a problem file for many values of its parameters, side by side.

    `over`: texts such as `nu=0.01:1:20log`, or a map from names to values; `samples`: a CSV file of draws; `workers`:
    processes, or `cluster`: the address of a Dask scheduler; `at`, `grid`: where all solutions go into one array;
    `settings` as `--set` takes them. The same call again solves only what is not solved. A member that fails is a row.
    Raises `SweepError` and `ProblemError`.
    """
    path = str(find_problem(file).absolute())
    given = tuple(settings)
    stated = problem or pipeline.load(path, given)
    if isinstance(over, Mapping):
        over = [f"{name}={','.join(repr(float(v)) for v in values)}" for name, values in over.items()]
    plan = make_plan(over, samples, stated.spec.parsed.values)
    pipeline.load(path, (*given, *plan.overrides(plan.members[0])))  # what is wrong with all is said at once
    points = points_of(stated, at, grid, len(plan.members))
    scripts = tuple(str(Path(text).absolute()) for text in operators)
    whole = Sweep(path, stated, plan, Path(out), given, scripts, points)
    with _bar() as bar:
        line = bar.add_task("solving", total=len(plan.members))
        rows = run_sweep(
            whole, workers or processors(), cluster, lambda done, of: bar.update(line, completed=done, total=of)
        )
    return Swept(whole.folder, tuple(rows))


def _bar() -> Progress:
    console = Console(file=sys.stderr)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    return Progress(*columns, console=console, transient=True, disable=not console.is_terminal)
