"""The output of `pinnsolve diff` on a terminal.

Input: a `Difference` and the names of the two runs. Output: rich renderables.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from pinnsolve.files.text import printable, scientific
from pinnsolve.output.difference import Change, Difference, UnknownDifference

LONGEST = 72  # letters of a value that are shown


def shown(found: Difference, names: tuple[str, str]) -> Group:
    """What differs, in three tables, and in the end whether the solutions agree."""
    parts: list[RenderableType] = []
    for heading, changes in (("problem file", found.problem), ("report", found.report)):
        words = heading if changes else f"{heading}: no difference"
        parts += [Text(words, style="bold"), *([_changes(changes, names)] if changes else [])]
    if found.unknowns:
        parts += [Text("solutions", style="bold"), _unknowns(found.unknowns)]
    return Group(*parts, Text(printable(sentence(found)), style="bold green" if found.agrees else "bold yellow"))


def sentence(found: Difference) -> str:
    """Whether the solutions agree, and if not, where they are farthest from it."""
    if found.incomparable:
        return f"the solutions cannot be compared: {found.incomparable}"
    if found.agrees:
        return "the solutions agree up to their estimated errors"
    unknown = next(u for u in found.unknowns if not u.agrees)
    if unknown.estimates is None:
        return f"the solutions differ in {unknown.name}, and not both have an estimated error to compare that with"
    return (
        f"the solutions differ: {unknown.name} by {scientific(unknown.relative_rms)} in the root mean square, and the "
        f"estimated errors allow {scientific(unknown.estimates)}"
    )


def _table(*columns: str) -> Table:
    table = Table(box=SIMPLE_HEAD, pad_edge=False, show_edge=False, header_style="dim")
    for i, name in enumerate(columns):
        table.add_column(Text(printable(name)), justify="left" if i == 0 else "right", overflow="fold")
    return table


def _changes(changes: Sequence[Change], names: tuple[str, str]) -> Padding:
    table = _table("key", *names)
    for key, one, other in changes:
        table.add_row(Text(printable(key)), _value(one), _value(other))
    return Padding(table, (0, 0, 1, 2), expand=False)


def _value(value: Any) -> Text:
    text = f"{value:.6g}" if isinstance(value, float) else printable(value)
    return Text(text if len(text) <= LONGEST else text[: LONGEST - 1] + "…")


def _unknowns(unknowns: Sequence[UnknownDifference]) -> Padding:
    table = _table("unknown", "rms difference", "relative", "largest", "at", "estimates together")
    for u in unknowns:
        at = ", ".join(f"{name} = {value:.4g}" for name, value in u.at.items())
        numbers = (scientific(u.rms), scientific(u.relative_rms), scientific(u.largest))
        table.add_row(Text(printable(u.name)), *numbers, Text(printable(at)), scientific(u.estimates))
    return Padding(table, (0, 0, 1, 2), expand=False)
