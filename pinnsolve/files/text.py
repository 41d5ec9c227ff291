"""Numbers, times and texts as a person reads them on a terminal.

Input: plain values. Output: short texts without control characters.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any

STATUS = {  # how a run ended, after the problem's name
    "converged": "converged",
    "tolerance_not_reached": "did not reach its tolerance",
    "diverged": "diverged",
    "interrupted": "was interrupted",
    "time_limit": "ran into its time limit",
}


def scientific(value: float | None) -> str:
    """`2.1e-07`; a dash where there is no number."""
    return f"{value:.1e}" if value is not None and math.isfinite(value) else "\N{EN DASH}"


def duration(seconds: float) -> str:
    """`4.2 s`, `3 min 05 s`, `2 h 10 min`."""
    if seconds < 99.95:
        return f"{seconds:.2f} s" if seconds < 0.995 else f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest:02d} s"
    return f"{minutes // 60} h {minutes % 60:02d} min"


def printable(text: object) -> str:
    """Text that cannot move the cursor or change colours, whatever file it comes from; lines are kept."""
    return "".join(_printable(c) for c in str(text))


def _printable(c: str) -> str:
    if c.isprintable() or c == "\n":
        return c
    return " " if c.isspace() else "\N{REPLACEMENT CHARACTER}"


def eigenvalue_text(value: float | Mapping[str, float] | None) -> str:
    """An eigenvalue, by its parts `re` and `im` where it is complex: `2.5`, `-1 + 2.978i`."""
    if value is None:
        return "\N{EN DASH}"
    if not isinstance(value, Mapping):
        return f"{value:.12g}"
    sign = "-" if value["im"] < 0 else "+"
    return f"{value['re']:.10g} {sign} {abs(value['im']):.10g}i"


def terms_found(discovered: Mapping[str, Any]) -> Iterator[tuple[str, str, Mapping[str, Any]]]:
    """Of the `discovered` of a result: equation, term, and what was found of the constant before it."""
    for equation, terms in discovered.items():
        if isinstance(terms, Mapping):
            yield from ((equation, term, found) for term, found in terms.items())


def functions_text(functions: Mapping[str, Mapping[str, Any]]) -> str:
    """Of the `functions` of a result: where each is known, its deviation in the middle of all, and where it jumps."""
    words = []
    for name, found in functions.items():
        ends = ", ".join(f"{a} from {low:.4g} to {high:.4g}" for a, (low, high) in found["range"].items())
        deviation = sorted(found["standard_deviation"])[len(found["value"]) // 2]
        jumps = [f"{jump['at']:.4g} \u00b1 {scientific(jump['standard_error'])}" for jump in found.get("jumps", ())]
        where = f", jumps at {' and '.join(jumps)}" if jumps else ""
        words.append(f"{name}({', '.join(found['of'])}), {ends}, deviation {scientific(deviation)}{where}")
    return "; ".join(words)
