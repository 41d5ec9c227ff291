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
from pinnsolve.errors import ProblemError
from pinnsolve.files.text import printable
from pinnsolve.problem.problem import Problem
from pinnsolve.process import processors
from pinnsolve.spec.source import find_problem
from pinnsolve.sweeps.plan import Plan, SweepError, make_plan
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
    over: str | Iterable[str] | Mapping[str, float | Sequence[float]] = (),
    samples: Path | None = None,
    workers: int | None = None,
    cluster: str | None = None,
    at: Path | None = None,
    grid: str | None = None,
    settings: Iterable[str] = (),
    operators: Iterable[str] = (),
) -> Swept:
    """Solve a problem file for many values of its parameters, side by side.

    `over`: a text such as `nu=0.01:1:20log`, several, or a map from names to values; `samples`: a CSV file of draws;
    `workers`: processes, or `cluster`: the address of a Dask scheduler; `at`, `grid`: where all solutions go into one
    array; `settings` as `--set` takes them. The same call again solves only what is not solved. A member that fails is
    a row.
    Raises `SweepError` and `ProblemError`.
    """
    if not isinstance(file, (str, Path)):
        hint = "`Path('problem.yaml').write_text(problem.spec.to_yaml())` makes one"
        raise SweepError(f"a sweep takes a problem file or the name of one, not {type(file).__name__}: {hint}")
    path = str(find_problem(file).absolute())
    given = tuple(settings)
    stated = problem or pipeline.load(path, given)
    if isinstance(over, Mapping):
        over = [_listed(name, values) for name, values in over.items()]
    over = [over] if isinstance(over, str) else over
    plan = make_plan(over, samples, stated.spec.parsed.values)
    _check_members(path, given, plan)
    points = points_of(stated, at, grid, len(plan.members))
    scripts = tuple(str(Path(text).absolute()) for text in operators)
    whole = Sweep(path, stated, plan, Path(out), given, scripts, points)
    with _bar() as bar:
        line = bar.add_task("solving", total=len(plan.members))
        rows = run_sweep(
            whole, workers or processors(), cluster, lambda done, of: bar.update(line, completed=done, total=of)
        )
    return Swept(whole.folder, tuple(rows))


def _check_members(path: str, given: Sequence[str], plan: Plan) -> None:
    """Say at once what is wrong with all members: raise the `ProblemError` that the first and the last have."""
    try:
        pipeline.load(path, (*given, *plan.overrides(plan.members[0])))
    except ProblemError:
        pipeline.load(path, (*given, *plan.overrides(plan.members[-1])))


def _listed(name: str, values: Any) -> str:
    """`nu=1.0,2.0` of numbers, or of one. Raises `SweepError` where they are none."""
    try:
        numbers = [float(v) for v in (values if isinstance(values, Iterable) else [values])]
    except (TypeError, ValueError):
        raise SweepError(f"`over` has values for `{name}` that are no numbers: {values!r}") from None
    if not numbers:
        raise SweepError(f"`over` has no values for `{name}`")
    return f"{name}={','.join(map(repr, numbers))}"


def _bar() -> Progress:
    console = Console(file=sys.stderr)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    return Progress(*columns, console=console, transient=True, disable=not console.is_terminal)
