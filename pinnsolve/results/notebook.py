"""A solution as a notebook shows it: its status, a table of its errors, its figure.

Input: a `Solution`. Output: HTML that needs nothing but itself; whatever comes from a file is escaped.
"""

from __future__ import annotations

import base64
from collections.abc import Iterable, Mapping
from html import escape
from typing import TYPE_CHECKING, Any

from pinnsolve.files.text import STATUS, duration, eigenvalue_text, printable, scientific

if TYPE_CHECKING:
    from pinnsolve.results.solution import Solution

SIGNS = {"converged": "\N{CHECK MARK}"}
COLUMNS = {"estimated_error": "estimated error", "relative_l2_error": "true error"}


def as_html(solution: Solution) -> str:
    """The status, errors, quantities, parameters, and the figure where one can be drawn."""
    result = solution.result
    status = str(result.get("status", "no status"))
    message = result.get("message")
    words = f"{SIGNS.get(status, '')} {STATUS.get(status, status)}".strip()
    head = f"<p><b>{_text(solution.name)}</b> {_text(words)}{': ' + _text(message) if message else ''}</p>"
    return "\n".join(["<div>", head, *_tables(result, solution.names), *_facts(result), _picture(solution), "</div>"])


def _tables(result: Mapping[str, Any], names: Iterable[str]) -> Iterable[str]:
    errors = {words: result[key] for key, words in COLUMNS.items() if result.get(key)}
    if errors:
        rows = [[name, *(scientific(found.get(name)) for found in errors.values())] for name in names]
        yield _table(["unknown", *errors], rows)
    for key, words, error in (
        ("quantities", "quantity", "estimated_error"),
        ("parameters", "parameter", "standard_error"),
    ):
        found = result.get(key) or {}
        rows = [[name, _value(one.get("value")), scientific(one.get(error))] for name, one in found.items()]
        if rows:
            yield _table([words, "value", error.replace("_", " ")], rows)
    values = [
        [str(k), eigenvalue_text(one["value"]), scientific(one.get("estimated_error"))]
        for k, one in enumerate(result.get("eigenvalues") or (), 1)
    ]
    if values:
        yield _table(["mode", "eigenvalue", "estimated error"], values)


def _facts(result: Mapping[str, Any]) -> Iterable[str]:
    seconds = result.get("wall_time_s")
    count = result.get("unknown_coefficients")
    facts = [result.get("basis"), None if count is None else f"{count} coefficients"]
    facts.append(None if seconds is None else duration(seconds))
    said = "; ".join(str(fact) for fact in facts if fact)
    if said:
        yield f"<p><small>{_text(said)}</small></p>"


def _value(value: float | None) -> str:
    return "\N{EN DASH}" if value is None else f"{value:.8g}"


def _table(columns: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    head = "".join(f"<th>{_text(name)}</th>" for name in columns)
    body = "".join("<tr>" + "".join(f"<td>{_text(cell)}</td>" for cell in row) + "</tr>" for row in rows)
    return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


def _text(value: object) -> str:
    return escape(printable(value))


def _picture(solution: Solution) -> str:
    try:
        figure = solution.plot()
    except Exception as error:  # a notebook shows the rest
        return f"<p>No figure could be drawn: {_text(f'{type(error).__name__}: {error}')}</p>"
    content = base64.b64encode(figure._repr_png_()).decode("ascii")
    return f'<img alt="The solution" style="max-width: 100%" src="data:image/png;base64,{content}">'
