"""The page `report.html`, which shows a run and opens anywhere, without a network and without a script; what
depends on time has a slider, whose marks are buttons of which one is chosen.

Input: a `Solution`, its `Problem` and the figures of the run folder. Output: one HTML file with the problem, the
solution and its errors, and the method. The numbers are those of `result.json`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pinnsolve.files.text import STATUS, duration, eigenvalue_text, terms_found
from pinnsolve.language import to_mathml
from pinnsolve.output.html import parts as html
from pinnsolve.output.html.history import history
from pinnsolve.output.html.problem import statement
from pinnsolve.problem.problem import Problem
from pinnsolve.results.storage import replace_file

if TYPE_CHECKING:
    from pinnsolve.figures.samples import Drawn
    from pinnsolve.results.solution import Solution

FILE = "report.html"
PICTURE_BYTES = 2_000_000  # of all pictures, which take a third more in a page
_PICTURES = {
    "solution.png": "The solution",
    "uncertainty.png": "The standard deviation that noise of the data leaves",
    "estimated.png": "The estimated error, on a logarithmic scale",
    "error.png": "The error, on a logarithmic scale",
    "functions.png": "Functions found from data, with twice their deviation",
    "residual.png": "The residual of each term at points that the solve did not use",
}

Result = Mapping[str, Any]


def write_report(solution: Solution, problem: Problem, folder: Path, drawn: Drawn | None = None) -> Path:
    """Write `report.html` into a run folder and return its path; `drawn` are pictures to show in it."""
    text = report_page(solution, problem, drawn)
    replace_file(folder / FILE, lambda file: file.write(text.encode()))
    return folder / FILE


def report_page(solution: Solution, problem: Problem, drawn: Drawn | None = None) -> str:
    """The page as text."""
    result, pictures = solution.result, () if drawn is None else drawn.pictures
    contents = {path.name: path.read_bytes() for path in pictures if path.name in _PICTURES}
    frames = () if drawn is None else drawn.film
    taken = sum(len(content) for _, content in frames)
    widths = {name: html.pixels_wide(content) for name, content in contents.items()}
    contents = html.within(contents, PICTURE_BYTES - taken)
    shown = {name: html.picture(content, _PICTURES[name], widths[name]) for name, content in contents.items()}
    film = html.film(frames, solution.time) if frames else ""
    body = [
        _head(result, problem),
        _warnings(result, problem),
        html.section(
            "Solution",
            _errors(result),
            _found(result),
            *(shown.get(name, "") for name in ("functions.png", "solution.png")),
            film,
            *(shown.get(name, "") for name in ("uncertainty.png", "estimated.png", "error.png")),
        ),
        html.section("Problem", statement(problem)),
        html.section("Terms", _terms(result), shown.get("residual.png", "")),
        html.section("How it was solved", _method(result), history(solution.history)),
        html.section("To cite", _citations(result.get("cite") or ())),
        html.section("Problem file", html.folded("As it was solved, with every default", _file(solution))),
    ]
    return html.page(problem.spec.title or problem.name, body)


def _head(result: Result, problem: Problem) -> str:
    status = str(result.get("status"))
    words = STATUS.get(status, status).capitalize()
    title = problem.spec.title or problem.name
    name = f'<p class="faint">{html.text(problem.name)}</p>' if problem.spec.title else ""
    kind = status if status in ("converged", "diverged") else ""
    message = result.get("message")
    sentence = f"<b>{html.text(words)}</b>" + (f": {html.text(message)}." if message else ".")
    return f'<header><h1>{html.text(title)}</h1>{name}\n<p class="status {kind}">{sentence}</p></header>'


# -- its accuracy ---------------------------------------------------------------------------------------------


def _errors(result: Result) -> str:
    errors, estimates = result.get("relative_l2_error") or {}, result.get("estimated_error") or {}
    names = list(dict.fromkeys((*errors, *estimates)))
    if not names:
        return "<p>No error is known or estimated.</p>"
    columns = ["unknown", *(["estimated error"] if estimates else []), *(["true error"] if errors else [])]
    rows = [
        [to_mathml.symbol(name)]
        + ([html.magnitude(estimates.get(name))] if estimates else [])
        + ([html.magnitude(errors.get(name))] if errors else [])
        for name in names
    ]
    return html.table(columns, rows) + f'\n<p class="faint">{html.text(_compared(result))}</p>'


def _compared(result: Result) -> str:
    words = "Errors are relative, in the root mean square over points that the solve did not use"
    reference = result.get("reference")
    against = {"exact": "the exact solution"}.get(reference, reference)
    return f"{words}; compared with {against}." if against else f"{words}."


def _found(result: Result) -> str:
    """Parameters found from data, their correlation, and the noise of the data."""
    found = result.get("parameters") or {}
    by_grid = any("discretization_error" in value for value in found.values())
    rows = [
        [to_mathml.symbol(name), html.number(value.get("value"), 7), html.magnitude(value.get("standard_error"))]
        + ([html.magnitude(value.get("discretization_error"))] if by_grid else [])
        for name, value in found.items()
    ]
    columns = ["parameter found", "value", "standard error", *(["error of discretization"] if by_grid else [])]
    parts = [
        _eigenvalues(result.get("eigenvalues") or ()),
        _quantities(result.get("quantities") or {}),
        _members(result),
        html.table(columns, rows) if rows else "",
        _discovered(result.get("discovered") or {}),
        _correlation(result.get("correlation") or {}),
    ]
    noise = [
        [html.text(name), html.number(value.get("estimated")), html.number(value.get("stated"))]
        for name, value in (result.get("noise") or {}).items()
    ]
    parts.append(html.table(["noise of", "as found", "as stated"], noise) if noise else "")
    return "\n".join(part for part in parts if part)


def _discovered(discovered: Mapping[str, Any]) -> str:
    """The terms found, by equation, and those dropped."""
    rows = [
        [html.text(t), html.text(e), html.number(found.get("value"), 7), html.magnitude(found.get("standard_error"))]
        for e, t, found in terms_found(discovered)
    ]
    dropped = html.text(", ".join(discovered.get("dropped") or ()))
    parts = [html.table(["term found", "in", "value", "standard error"], rows)] if rows else []
    parts += [f"<p>Dropped, because the data do not support them: {dropped}.</p>"] if dropped else []
    return "".join(parts)


def _eigenvalues(eigenvalues: Sequence[Mapping]) -> str:
    rows = [
        [html.number(number), html.text(eigenvalue_text(found["value"])), html.magnitude(found.get("estimated_error"))]
        for number, found in enumerate(eigenvalues, 1)
    ]
    return html.table(["mode", "eigenvalue", "estimated error"], rows) if rows else ""


def _quantities(quantities: Mapping[str, Mapping[str, float]]) -> str:
    rows = [
        [html.text(name), html.number(found.get("value"), 10), html.magnitude(found.get("estimated_error"))]
        for name, found in quantities.items()
    ]
    return html.table(["quantity", "value", "estimated error"], rows) if rows else ""


def _members(result: Result) -> str:
    """What a solution over ranges of parameters is made of."""
    members = result.get("members") or ()
    if not members:
        return ""
    parts = result.get("estimated_parts") or {}
    worst = [
        f"{name} {html.magnitude(max((v for v in part.values() if v is not None), default=None))}"
        for name, part in parts.items()
    ]
    names = list(members[0]["parameters"])
    rows = [
        [
            *(html.number(member["parameters"][name], 6) for name in names),
            html.text(member["use"]),
            html.text(STATUS.get(member["status"], member["status"])),
            html.magnitude(max((member.get("estimated_error") or {"": None}).values(), default=None)),
            duration(member["wall_time_s"]) if member.get("wall_time_s") is not None else html.DASH,
        ]
        for member in sorted(members, key=lambda m: tuple(m["parameters"].values()))
    ]
    table = html.table([*map(to_mathml.symbol, names), "member is", "status", "estimated error", "time"], rows)
    return f'<p class="faint">The estimate adds up of {", ".join(worst)}.</p>\n' + html.folded("Members", table)


def _correlation(correlation: Mapping[str, Mapping[str, float]]) -> str:
    """The correlation of two or more parameters: near 1 or -1, the data do not determine each of them alone."""
    if len(correlation) < 2:
        return ""
    rows = [
        [to_mathml.symbol(name), *(html.number(row.get(other), 2) for other in correlation)]
        for name, row in correlation.items()
    ]
    return html.table(["correlation", *correlation], rows)


def _warnings(result: Result, problem: Problem) -> str:
    messages = [warning.message for warning in problem.warnings] + list(result.get("warnings") or ())
    items = "".join(f"<li>{html.text(message)}</li>" for message in dict.fromkeys(messages))
    return f'<ul class="warnings">{items}</ul>' if items else ""


def _terms(result: Result) -> str:
    rows = [
        [
            html.text(name),
            html.number(term.get("weight"), 4),
            html.number(term.get("points")),
            html.magnitude(term.get("rms_residual")),
        ]
        for name, term in (result.get("terms") or {}).items()
    ]
    return html.table(["term", "weight", "points", "rms residual"], rows) if rows else ""


# -- the method ----------------------------------------------------------------------------------------------


def _tolerance(value: Any) -> str:
    """The tolerance, or several by name."""
    if isinstance(value, Mapping):
        return ", ".join(f"{html.text(name)}: {html.number(one)}" for name, one in value.items())
    return html.number(value) if value is not None else ""


def _method(result: Result) -> str:
    seconds, tolerance = result.get("wall_time_s"), result.get("tolerance")
    plain = ("method", "basis", "why")
    pairs = [(name, html.text(result[name]) if result.get(name) else "") for name in plain]
    pairs += [
        ("coefficients", html.number(count) if (count := result.get("unknown_coefficients")) is not None else ""),
        ("tolerance", _tolerance(tolerance)),
        ("time", duration(seconds) if seconds is not None else ""),
        ("seed", html.number(seed) if (seed := result.get("seed")) is not None else ""),
        ("version", f"pinnsolve {html.text(version)}" if (version := result.get("version")) else ""),
        ("with", html.text(", ".join(f"{name} {v}" for name, v in (result.get("versions") or {}).items()))),
        ("machine", html.text(result.get("machine") or "")),
        ("date", html.text(result.get("date") or "")),
    ]
    return html.facts(pairs)


def _citations(citations: Sequence[str]) -> str:
    items = "".join(f"<li>{html.text(citation)}</li>" for citation in citations)
    return f"<ol>{items}</ol>" if items else ""


def _file(solution: Solution) -> str:
    return f"<pre>{html.text(solution.problem_text)}</pre>"
