"""The output of `pinnsolve check`: the problem, and the table of compiled terms.

Input: a `Problem`. Output: rich renderables, or JSON. No array library.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict

from rich.box import SIMPLE_HEAD
from rich.console import Group
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from pinnsolve.compiler.compiler import compile_problem
from pinnsolve.compiler.term_table import plan
from pinnsolve.errors import Diagnostic
from pinnsolve.files.text import printable
from pinnsolve.language.systems import CARTESIAN
from pinnsolve.problem.problem import Problem
from pinnsolve.spec.indexed import ranges
from pinnsolve.spec.schema.solve import Tolerance

COLUMNS = ("name", "kind", "operator", "region", "points", "weight", "linear")


def found_as_json(
    diagnostics: Iterable[Diagnostic], problem: Problem | None = None, shape: Mapping[str, object] | None = None
) -> str:
    """Write `{"problem", "ok", "diagnostics", "terms"}` as JSON; without a problem, only the diagnostics say something.

    `shape` describes a domain that is no box by measurements at points; it is written under the key `domain`.
    """
    found = [{key: value for key, value in asdict(d).items() if value is not None} for d in diagnostics]
    rows = plan(problem, compile_problem(problem)) if problem is not None else []
    name = problem.name if problem is not None else None
    content = {"problem": name, "ok": problem is not None, "diagnostics": found, "terms": rows}
    if shape is not None:
        content["domain"] = shape
    return json.dumps(content, indent=2, ensure_ascii=False)


def summary(problem: Problem, shape: Mapping[str, str] | None = None) -> Group:
    """The problem in a few lines, and its terms; `shape` describes its domain in words."""
    return Group(_headline(problem), _facts(problem, shape or {}), Padding(_terms(problem), (1, 0, 0, 0), expand=False))


def _headline(problem: Problem) -> Text:
    title = problem.spec.title
    return Text.assemble((printable(problem.name), "bold"), f"  {printable(title)}" if title else "")


def _facts(problem: Problem, shape: Mapping[str, str]) -> Padding:
    spec = problem.spec
    box = [
        f"{name} in [{low:g}, {high:g}]" + (" (time)" if name == problem.time else "")
        for name, (low, high) in ranges(
            dict(zip(problem.coordinates, problem.intervals, strict=True)), problem.spec.components
        ).items()
    ]
    facts = {
        "coordinates": ", ".join(box) + ("" if spec.system == CARTESIAN else f" ({spec.system})"),
        **shape,
        "unknowns": ", ".join(
            f"{name} (complex)" if name in problem.complex_unknowns else name for name in problem.spec.unknowns
        ),
        "functions to find": ", ".join(f"{n}({', '.join(f.of)})" for n, f in problem.spec.state_functions.items()),
        "parameters": ", ".join(_parameter(problem, name) for name in problem.parameters),
        "to find": ", ".join(f"{p.name} (from {p.guess:g})" for p in problem.unknown_parameters if not p.candidate),
        "exactly": ", ".join(_exactly(problem)),
        "candidates": "; ".join(f"{name}: {', '.join(texts)}" for name, texts in problem.spec.discover.items()),
        "guess": "; ".join(_guess(one) for one in (problem.spec.guess, *problem.spec.other_guesses)),
        "exact": "known" if problem.exact else "",
        "reference": problem.reference.name if problem.reference else "",
        "tolerance": _tolerance(problem.settings.tolerance),
    }
    table = Table.grid(padding=(0, 2))
    table.add_column(style="dim")
    for name, value in facts.items():
        if value:
            table.add_row(name, Text(printable(value)))
    return Padding(table, (0, 0, 0, 2), expand=False)


def _parameter(problem: Problem, name: str) -> str:
    if name in problem.ranges:
        return f"{name} from {problem.ranges[name].words()}"
    return f"{name} = {problem.parameters[name]:.6g}"


def _exactly(problem: Problem) -> Iterator[str]:
    """What holds to rounding: conditions, and the balances of cells."""
    for statement in problem.statements:
        if statement.exactly:
            yield statement.name
        if statement.balances:
            yield f"{statement.name} in every cell"


def _terms(problem: Problem) -> Table:
    table = Table(box=SIMPLE_HEAD, pad_edge=False, show_edge=False, header_style="dim")
    for name in ("term", *COLUMNS[1:]):
        table.add_column(name, justify="right" if name in ("points", "weight") else "left", overflow="fold")
    for row in plan(problem, compile_problem(problem)):
        linear = row["linear"]
        words = ("yes" if linear else "no") if isinstance(linear, bool) else linear
        cells = [*(row[name] for name in COLUMNS[:-1]), words]
        table.add_row(*(Text(printable(cell)) for cell in cells))
    return table


def _guess(guess: Mapping[str, str]) -> str:
    return ", ".join(f"{name} = {text}" for name, text in guess.items())


def _tolerance(tolerance: float) -> str:
    """One number, or several by name."""
    if isinstance(tolerance, Tolerance):
        return ", ".join(f"{name}: {value:g}" for name, value in tolerance.by_name.items())
    return f"{tolerance:g}"
