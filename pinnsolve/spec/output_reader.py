"""Reads the `output` of a problem file: the times and the grid of tables, exports and figures.

Input: its validated values, and what is known of the coordinates. Output: an `Output`, and what is wrong with it. No
sympy and no array library.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from pinnsolve.errors import ExpressionError
from pinnsolve.language.vocabulary import close_match
from pinnsolve.spec.expression_reader import ExpressionReader
from pinnsolve.spec.names import Names
from pinnsolve.spec.output import Output
from pinnsolve.spec.ranges import is_range

ROUNDING = 1e-12  # of the length of the interval of time: `0.1 + 0.2` may be its end 0.3


def read_output(item: Any, names: Names, reader: ExpressionReader) -> Output:
    """The output that a file asks for; what is wrong with it is among the problems of the reader."""
    if item is None or not names.reliable:
        return Output()
    return Output(
        _times(item.times, names, reader),
        _grid(item.grid, names, reader) if isinstance(item.grid, dict) else {},
        _points(item.grid, names, reader) if not isinstance(item.grid, dict) else None,
    )


def _times(stated: Any, names: Names, reader: ExpressionReader) -> tuple[float, ...] | int | None:
    if stated is None:
        return None
    path, time = ("output", "times"), names.coordinates.time
    if time is None:
        reader.problem(path, "nothing depends on time", "remove it, or say `time:` which coordinate is time")
        return None
    if not isinstance(stated, tuple):
        return stated
    low, high = _interval(time, names, reader)
    slack = ROUNDING * (high - low) if math.isfinite(high - low) else 0.0
    found: list[float] = []
    for number, text in enumerate(stated):
        value = reader.number(text)
        if not low - slack <= value <= high + slack:
            message = f"{time} = {value:g} lies outside [{low:g}, {high:g}]"
            reader.problem((*path, number), message, text=str(text))
            continue
        if found and value <= found[-1]:
            reader.problem((*path, number), f"the times do not rise: {value:g} follows {found[-1]:g}", text=str(text))
        found.append(min(max(value, low), high))
    return tuple(found)


def _interval(time: str, names: Names, reader: ExpressionReader) -> tuple[float, float]:
    """The interval of time; all numbers where its ends are wrong, which is told already."""
    try:
        low, high = map(reader.number, names.intervals[time])
    except (ExpressionError, TypeError, ValueError):
        return -math.inf, math.inf
    return low, high


def _grid(stated: Mapping[str, int], names: Names, reader: ExpressionReader) -> dict[str, int]:
    known = _axes(names)
    for name in stated:
        path = ("output", "grid", name)
        if name == names.coordinates.time:
            reader.problem(path, f"`{name}` is time", "say at which times under `times`")
        elif name not in known:
            close = close_match(str(name), known)
            hint = f"did you mean `{close}`?" if close else f"there are {', '.join(known) or 'none'}"
            reader.problem(path, f"`{str(name)[:60]}` is not a coordinate of space", hint)
    return dict(stated)


def _points(stated: int | None, names: Names, reader: ExpressionReader) -> int | None:
    if stated is not None and not _axes(names):
        reader.problem(("output", "grid"), "there is no coordinate of space", "say at which times under `times`")
    return stated


def _axes(names: Names) -> tuple[str, ...]:
    """The coordinates that a grid has points along, besides time."""
    return (*names.coordinates.space, *(name for name, item in names.parameters.items() if is_range(item)))
