"""The output of `pinnsolve explain` on a terminal: the compiled loss as a table of mathematics, and its numbers.

Input: an `Explanation`. Output: rich renderables. No array library.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from rich.box import SIMPLE_HEAD
from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from pinnsolve.files.text import printable
from pinnsolve.output.explanation import LOSS, ExplainedNumber, ExplainedTerm, Explanation


def shown(explanation: Explanation) -> Group:
    """The loss, its terms, the differentials of those that are not linear, and where numbers come from."""
    title = f"  {printable(explanation.title)}" if explanation.title else ""
    parts: list[RenderableType] = [
        Text.assemble((printable(explanation.name), "bold"), title),
        Padding(_text(f"minimized over {', '.join(explanation.unknowns)}:  {LOSS}"), (0, 0, 1, 2)),
        _terms(explanation.terms),
    ]
    differentials = [term for term in explanation.terms if term.differentials]
    if differentials:
        parts.append(_heading("not linear; a Newton step takes the differential of r_k"))
        parts.append(_differentials(differentials))
    parts += [_heading("where N_k and epsilon_k come from"), *_origins(explanation.terms)]
    for heading, numbers in explanation.numbers.items():
        if numbers:
            parts += [_heading(heading), _numbers(numbers)]
    return Group(*parts)


def _text(value: object, style: str = "") -> Text:
    return Text(printable(value), style=style)


def _heading(words: str) -> Padding:
    return Padding(_text(words, "bold"), (1, 0, 0, 0))


def _table(*columns: str) -> Table:
    table = Table(box=SIMPLE_HEAD, pad_edge=False, show_edge=False, header_style="dim")
    for name in columns:
        table.add_column(name, justify="right" if name in ("k", "N_k") else "left", overflow="fold")
    return table


def _terms(terms: Sequence[ExplainedTerm]) -> Table:
    table = _table("k", "term", "r_k, which should vanish", "on", "N_k", "\N{GREEK SMALL LETTER EPSILON}_k", "stated")
    for k, term in enumerate(terms, 1):
        residuals = "\n".join(term.residuals)
        cells = (k, term.name, residuals, term.region, term.points, term.weight, term.stated_at)
        table.add_row(*map(_text, cells))
    return table


def _differentials(terms: Sequence[ExplainedTerm]) -> Padding:
    table = Table.grid(padding=(0, 2))
    for term in terms:
        table.add_row(_text(term.name), _text("\n".join(differential_text(pairs) for pairs in term.differentials)))
    return Padding(table, (0, 0, 0, 2), expand=False)


def differential_text(pairs: Sequence[tuple[str, str]]) -> str:
    """`δu_t + u*δu_x + u_x*δu` of pairs of a coefficient and what is varied."""
    text = ""
    for factor, name in pairs:
        varied = f"\N{GREEK SMALL LETTER DELTA}{name}"
        sign, factor = (" - ", factor[1:]) if factor.startswith("-") and not _is_sum(factor[1:]) else (" + ", factor)
        times = "" if factor == "1" else f"({factor})*" if _is_sum(factor) else f"{factor}*"
        text += f"{sign}{times}{varied}"
    return f"-{text[3:]}" if text.startswith(" -") else text[3:]


def _is_sum(factor: str) -> bool:
    """Whether a text has a plus or minus outside of parentheses."""
    depth = 0
    for i, letter in enumerate(factor):
        depth += (letter in "([") - (letter in ")]")
        if not depth and i and letter in "+-" and factor[i - 1] == " ":
            return True
    return False


def _origins(terms: Sequence[ExplainedTerm]) -> Iterator[Padding]:
    """Terms whose numbers come from the same place share a line."""
    for heading, kind in (("N_k", "points_from"), ("\N{GREEK SMALL LETTER EPSILON}_k", "weight_from")):
        table = Table.grid(padding=(0, 2))
        by_origin: dict[str, list[str]] = {}
        for term in terms:
            by_origin.setdefault(getattr(term, kind), []).append(term.name)
        for i, (words, names) in enumerate(by_origin.items()):
            named = "all terms" if len(by_origin) == 1 else ", ".join(names)
            table.add_row(_text(heading if i == 0 else "", "dim"), _text(named), _text(words))
        yield Padding(table, (0, 0, 0, 2), expand=False)


def _numbers(numbers: Sequence[ExplainedNumber]) -> Padding:
    table = Table.grid(padding=(0, 2))
    for number in numbers:
        value = f"{number.text} = {number.value}" if number.text else number.value
        table.add_row(_text(number.name), _text(value), _text(number.origin, "dim"))
    return Padding(table, (0, 0, 0, 2), expand=False)
