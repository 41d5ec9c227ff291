"""The report of a result: a table for people, and the run folder with files and figures.

Input: a `Solution`. Output: rich renderables, files. The numbers are those of `result.json`; nothing is computed here.
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.box import SIMPLE_HEAD
from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from pinnsolve.figures import FILES
from pinnsolve.files.text import STATUS, duration, eigenvalue_text, functions_text, printable, scientific, terms_found

if TYPE_CHECKING:
    from pinnsolve.figures.samples import Draw, Drawn, Truth
    from pinnsolve.problem.problem import Problem
    from pinnsolve.results.solution import Solution

COLOURS = {"converged": "bold green", "diverged": "bold red"}
FIGURES = "figures"


def illustrate(
    solution: Solution,
    problem: Problem,
    folder: Path,
    truth: Truth | None,
    draw: Draw | None,
) -> Sequence[str]:
    """Add to the folder of a saved solution what a reader wants, and return a sentence on each thing that failed.

    Figures, by `draw` if there is one, a table of values where the file asks for it, the report, and copies of the
    files that the problem names, which make the folder complete by itself.
    """
    from pinnsolve.output.html import report

    failures = []
    for name, source in problem.files().items():
        try:
            _copy(source, folder / name)
        except OSError as error:
            failures.append(f"{name} could not be copied into the run folder: {error.strerror}")
    failures += _values(solution, folder)
    try:
        for name in FILES:  # of an earlier run in this folder
            (folder / FIGURES / name).unlink(missing_ok=True)
        drawn = _figures(solution, folder / FIGURES, truth, draw)
        failures += drawn.failures
        report.write_report(solution, problem, folder, drawn)
    except Exception as error:  # the solution is saved, and can do without
        failures.append(f"The report could not be written: {type(error).__name__}: {error}")
    return failures


def _values(solution: Solution, folder: Path) -> Sequence[str]:
    """Write the table of values at the times and on the grid that the file asks for, and say what is in the way."""
    from pinnsolve.output.export import write_values

    try:
        return write_values(solution, folder)
    except Exception as error:  # the solution is saved, and holds all values
        return (f"The table of values could not be written: {type(error).__name__}: {error}",)


def _figures(solution: Solution, folder: Path, truth: Truth | None, draw: Draw | None) -> Drawn:
    """The pictures of a solution, and what went wrong with the others."""
    from pinnsolve.figures.samples import Drawn, sample
    from pinnsolve.threads import one_thread_each

    if draw is None:
        return Drawn()
    try:
        with one_thread_each():
            samples = sample(solution, truth, film=True)
        return draw(samples, folder)
    except Exception as error:  # the solution is saved, and the report can do without figures
        return Drawn(failures=(f"No figure could be drawn: {type(error).__name__}: {error}",))


def _copy(source: Path, target: Path) -> None:
    if target.exists() and target.samefile(source):  # the problem file of a run folder, solved again into it
        return
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(source, target)


def report(result: Mapping[str, Any], folder: Path | None = None) -> Group:
    """The result as renderables: status, errors, terms, unknown parameters, how, where, what to cite."""
    parts: list[RenderableType] = [_status(result), _errors(result)]
    if result.get("eigenvalues"):
        parts.append(_eigenvalues(result["eigenvalues"]))
    if result.get("quantities"):
        parts.append(_quantities(result["quantities"]))
    if result.get("balances"):
        parts.append(_balances(result["balances"]))
    if result.get("parameters"):
        parts.append(_parameters(result["parameters"]))
    if result.get("discovered"):
        parts.append(_discovered(result["discovered"]))
    parts += [Text(f"  warning: {printable(text)}", style="yellow") for text in result.get("warnings") or ()]
    if result.get("terms"):
        parts.append(_terms(result["terms"]))
    parts.append(_facts(result, folder))
    if result.get("cite"):
        parts.append(_citations(result["cite"]))
    return Group(*parts)


def _status(result: Mapping[str, Any]) -> Text:
    status = str(result.get("status"))
    words = Text.assemble(
        (printable(result.get("problem", "the problem")), "bold"),
        " ",
        (STATUS.get(status, status), COLOURS.get(status, "bold yellow")),
    )
    message = printable(result.get("message") or "")
    return words.append(f"\n{message}" if message else "")


def _table(*columns: str) -> Table:
    table = Table(box=SIMPLE_HEAD, pad_edge=False, show_edge=False, header_style="dim")
    for i, name in enumerate(columns):
        table.add_column(name, justify="left" if i == 0 else "right", overflow="fold")
    return table


def _text(value: object) -> Text:
    """Text in which rich looks for no markup."""
    return Text(printable(value))


def _padded(table: Table) -> Padding:
    return Padding(table, (1, 0, 0, 2), expand=False)


def _errors(result: Mapping[str, Any]) -> RenderableType:
    errors, estimates = result.get("relative_l2_error") or {}, result.get("estimated_error") or {}
    if not errors and not estimates:
        return Text("  no error is known or estimated", style="dim")
    table = _table("unknown", *(["relative L2 error"] if errors else []), *(["estimated"] if estimates else []))
    for unknown in dict.fromkeys((*errors, *estimates)):
        row: list[RenderableType] = [_text(unknown)]
        row += [scientific(errors.get(unknown))] if errors else []
        row += [scientific(estimates.get(unknown))] if estimates else []
        table.add_row(*row)
    return _padded(table)


def _parameters(parameters: Mapping[str, Mapping[str, Any]]) -> RenderableType:
    table = _table("parameter", "value", "standard error")
    for name, found in parameters.items():
        table.add_row(_text(name), _plain_number(found.get("value")), scientific(found.get("standard_error")))
    return _padded(table)


def _discovered(discovered: Mapping[str, Any]) -> RenderableType:
    """The terms found, by equation, and those dropped."""
    table = _table("term found", "in", "value", "standard error")
    for equation, term, found in terms_found(discovered):
        number = _plain_number(found.get("value"))
        table.add_row(_text(term), _text(equation), number, scientific(found.get("standard_error")))
    dropped = Text(f"dropped: {printable(', '.join(discovered.get('dropped') or ['none']))}", style="dim")
    return Padding(Group(table, dropped), (1, 0, 0, 2), expand=False)


def _eigenvalues(eigenvalues: Sequence[Mapping[str, Any]]) -> RenderableType:
    table = _table("mode", "eigenvalue", "estimated error")
    for number, found in enumerate(eigenvalues, 1):
        table.add_row(str(number), eigenvalue_text(found["value"]), scientific(found.get("estimated_error")))
    return _padded(table)


def _quantities(quantities: Mapping[str, Mapping[str, Any]]) -> RenderableType:
    table = _table("quantity", "value", "estimated error")
    for name, found in quantities.items():
        table.add_row(_text(name), _plain_number(found.get("value"), 10), scientific(found.get("estimated_error")))
    return _padded(table)


def _balances(balances: Mapping[str, Mapping[str, Any]]) -> RenderableType:
    """What flows out through every part of the boundary, what sources take, and what the worst cell lacks."""
    table = _table("balance", "through", "flux outwards")
    for name, found in balances.items():
        for place, flux in (found.get("boundaries") or {}).items():
            table.add_row(_text(name), _text(place), _plain_number(flux, 10))
        table.add_row(_text(name), "sources", _plain_number(found.get("sources"), 10))
        table.add_row(_text(name), "worst cell, of the flow", scientific(found.get("worst_cell")))
    return _padded(table)


def _terms(terms: Mapping[str, Mapping[str, Any]]) -> RenderableType:
    table = _table("term", "weight", "points", "rms residual")
    for name, term in terms.items():
        points = term.get("points")
        table.add_row(
            _text(name),
            _plain_number(term.get("weight"), 4),
            "\N{EN DASH}" if points is None else str(points),
            scientific(term.get("rms_residual")),
        )
    return _padded(table)


def _plain_number(value: float | None, digits: int = 7) -> str:
    return "\N{EN DASH}" if value is None else f"{value:.{digits}g}"


def _facts(result: Mapping[str, Any], folder: Path | None) -> RenderableType:
    table = Table.grid(padding=(0, 2))
    table.add_column(style="dim")
    table.add_column(overflow="fold")
    count = result.get("unknown_coefficients")
    seconds = result.get("wall_time_s")
    facts = {
        "method": result.get("method"),
        "basis": result.get("basis"),
        "ranges": _ranges(result),
        "coefficients": None if count is None else str(count),
        "noise found": _noise(result.get("noise") or {}),
        "functions found": functions_text(result.get("functions") or {}) or None,
        "compared with": {"exact": "the exact solution"}.get(result.get("reference"), result.get("reference")),
        "time": None if seconds is None else duration(seconds),
        "files": folder,
    }
    for name, value in facts.items():
        if value is not None:
            table.add_row(name, _text(value))
    return Padding(table, (1, 0, 0, 2), expand=False)


def _ranges(result: Mapping[str, Any]) -> str | None:
    """The ranges of parameters, and how many members were solved."""
    if not result.get("ranges"):
        return None
    words = [f"{name} from {r['low']:.6g} to {r['high']:.6g}" for name, r in result["ranges"].items()]
    used = [member.get("use") for member in result.get("members") or ()]
    checks = used.count("held out")
    return f"{', '.join(words)}: {len(used) - checks} members interpolated, {checks} to check"


def _noise(noise: Mapping[str, Mapping[str, Any]]) -> str | None:
    """The standard deviation of the data's residuals, by term."""
    words = [f"{name} {_plain_number(found.get('estimated'), 3)}" for name, found in noise.items()]
    return ", ".join(words) or None


def _citations(citations: list[str]) -> RenderableType:
    lines = [Text(f"[{i}] {printable(text)}", style="dim") for i, text in enumerate(citations, 1)]
    return Padding(Group(Text("to cite", style="dim"), *lines), (1, 0, 0, 2), expand=False)
