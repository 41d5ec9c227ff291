"""The members of a sweep: which values its parameters take.

Input: texts such as `nu=0.01:1:20log` and `k=1,2,3`, and a CSV file of draws. Output: names, and a tuple of numbers for
each member: every combination of the values of `--over`, or the rows of the file, or both combined.
"""

from __future__ import annotations

import itertools
import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from pinnsolve.errors import ExpressionError, PinnsolveError
from pinnsolve.language.constants import Value
from pinnsolve.language.expansion import constant_value
from pinnsolve.language.vocabulary import close_match

MOST_MEMBERS = 100_000
_SPAN = re.compile(r"(?P<low>[^:]+):(?P<high>[^:]+):\s*(?P<count>[0-9]+)\s*(?P<log>log)?")


class SweepError(PinnsolveError):
    """The sweep that is asked for cannot be made; the message says why."""


@dataclass(frozen=True)
class Plan:
    """`names` of parameters, or dotted keys of settings, and the values that each of the `members` gives them."""

    names: tuple[str, ...]
    members: tuple[tuple[float, ...], ...]

    def overrides(self, member: Sequence[float]) -> tuple[str, ...]:
        """What a member sets, as `--set` takes it."""
        keys = (name if "." in name else f"parameters.{name}" for name in self.names)
        return tuple(f"{key}={_shown(value)}" for key, value in zip(keys, member, strict=True))


def _shown(value: float) -> str:
    return str(int(value)) if value.is_integer() and abs(value) < 1e15 else repr(value)


def make_plan(over: Iterable[str], samples: Path | None, parameters: Mapping[str, Value]) -> Plan:
    """The plan of a sweep over `parameters` of a problem, which have these values. Raises `SweepError`."""
    spans = [_span(text, parameters) for text in over]
    names = [name for name, _ in spans]
    rows: list[tuple[float, ...]] = [()]
    if samples is not None:
        drawn, rows = _rows(samples)
        names = [*drawn, *names]
    if not names:
        raise SweepError("there is nothing to sweep over: give `--over NAME=LOW:HIGH:COUNT` or `--samples FILE.csv`")
    _check(names, parameters)
    count = len(rows) * math.prod(len(values) for _, values in spans)
    if count > MOST_MEMBERS:
        raise SweepError(f"the sweep has {count} members, and at most {MOST_MEMBERS} are solved at a time")
    combined = itertools.product(rows, itertools.product(*(values for _, values in spans)))
    return Plan(tuple(names), tuple((*row, *rest) for row, rest in combined))


def _check(names: Sequence[str], parameters: Mapping[str, Value]) -> None:
    for name in names:
        if names.count(name) > 1:
            raise SweepError(f"`{name}` is swept over twice")
        if "." in name or name in parameters:
            continue
        near = close_match(name, parameters)
        known = f"did you mean `{near}`?" if near else f"its parameters are {', '.join(parameters) or 'none'}"
        raise SweepError(f"`{name}` is not a parameter of the problem; {known}")


def _span(text: str, parameters: Mapping[str, Value]) -> tuple[str, list[float]]:
    """`nu=0.01:1:20log`, `nu=0:1:5` or `nu=1,2,4`."""
    name, equals, values = (part.strip() for part in text.partition("="))
    if not equals or not name or not values:
        raise SweepError(f"`--over {text}` is not of the form `nu=0.01:1:20`, `nu=0.01:1:20log` or `nu=1,2,4`")
    try:
        if match := _SPAN.fullmatch(values):
            low, high = (constant_value(match[key], parameters) for key in ("low", "high"))
            return name, _between(text, low, high, int(match["count"]), match["log"] is not None)
        return name, [constant_value(value, parameters) for value in values.split(",")]
    except ExpressionError as error:
        raise SweepError(f"`--over {text}`: {error.message}") from None


def _between(text: str, low: float, high: float, count: int, log: bool) -> list[float]:
    if count < 1 or count > MOST_MEMBERS:
        raise SweepError(f"`--over {text}`: the number of values is from 1 to {MOST_MEMBERS}")
    if log and not (low > 0 and high > 0):
        raise SweepError(f"`--over {text}`: both ends are positive for values spaced by their logarithm")
    if count == 1:
        return [low]
    shares = [i / (count - 1) for i in range(count)]
    if log:
        inner = [low * (high / low) ** s for s in shares]
    else:
        inner = [low + (high - low) * s for s in shares]
    return [low, *inner[1:-1], high]  # the ends as they are stated


def _rows(path: Path) -> tuple[list[str], list[tuple[float, ...]]]:
    from pinnsolve.files.data_files import DataFileError, data_path
    from pinnsolve.files.tables import read_columns

    try:
        columns = read_columns(data_path(path.parent, path.name), "samples")
    except DataFileError as error:
        raise SweepError(f"{path}: {error.message}") from None
    return [*columns], [tuple(map(float, row)) for row in zip(*columns.values(), strict=True)]
