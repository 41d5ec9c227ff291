"""What differs between two runs: their problem files, their reports, and the solutions themselves.

Input: two solutions. Output: a `Difference` of plain values, which the terminal shows or JSON holds.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from pinnsolve.files.yaml_reader import parse_yaml
from pinnsolve.results.solution import Solution

POINTS = 20_000  # at random, at which solutions are compared
REPORTED = (
    "status", "message", "tolerance", "method", "basis", "unknown_coefficients", "wall_time_s", "estimated_error",
    "relative_l2_error", "quantities", "parameters", "eigenvalues", "seed", "version", "machine", "date",
)  # fmt: skip
NOWHERE = "\N{EN DASH}"  # in the place of what one of the two does not have

Change = tuple[str, Any, Any]  # a key, and what stands there in the one and in the other


@dataclass(frozen=True)
class UnknownDifference:
    """How far an unknown is apart: root mean square and largest, in its own units and relative to the root mean square
    of the first; where it is farthest apart; and the sum of both estimated errors, None where one is missing."""

    name: str
    rms: float
    largest: float
    relative_rms: float | None
    relative_largest: float | None
    at: Mapping[str, float]
    estimates: float | None

    @property
    def agrees(self) -> bool:
        """Whether it is no more than the errors of both."""
        if self.rms == 0:
            return True
        return None not in (self.estimates, self.relative_rms) and self.relative_rms <= self.estimates


@dataclass(frozen=True)
class Difference:
    """`problem` and `report`: what differs, by key; `unknowns`: how far those are apart that both have, and why there
    are none, if so, `incomparable`."""

    problem: tuple[Change, ...]
    report: tuple[Change, ...]
    unknowns: tuple[UnknownDifference, ...]
    incomparable: str | None = None

    @property
    def agrees(self) -> bool:
        """Whether the solutions are the same, up to their errors."""
        return self.incomparable is None and all(unknown.agrees for unknown in self.unknowns)

    def as_plain(self) -> dict[str, Any]:
        """Lists and maps for JSON."""
        return {"agrees": self.agrees, **asdict(self)}


def difference(one: Solution, other: Solution) -> Difference:
    """Everything that differs between two solutions."""
    problems = [parse_yaml(s.problem_text).data if s.problem_text.strip() else {} for s in (one, other)]
    reports = [{key: s.result[key] for key in REPORTED if s.result.get(key) is not None} for s in (one, other)]
    words = _incomparable(one, other)
    unknowns = () if words else tuple(_apart(one, other))
    if not words and not unknowns:
        words = "no point is in the domains of both"
    return Difference(tuple(_changes(*problems)), tuple(_changes(*reports)), unknowns, words)


def _changes(one: Mapping[str, Any], other: Mapping[str, Any]) -> Iterator[Change]:
    """By dotted key, what is not the same, in the order of the first."""
    flat, second = dict(_flat(one)), dict(_flat(other))
    for key in dict.fromkeys((*flat, *second)):
        a, b = flat.get(key, NOWHERE), second.get(key, NOWHERE)
        if a != b:
            yield key, a, b


def _flat(value: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """The leaves of nested maps by their dotted keys; a list is a leaf."""
    if isinstance(value, Mapping) and value:
        for key, item in value.items():
            yield from _flat(item, f"{path}.{key}" if path else str(key))
    elif path:
        yield path, value


# -- the solutions --------------------------------------------------------------------------------------------------


def _incomparable(one: Solution, other: Solution) -> str | None:
    """Why two solutions are no functions on a common domain, in words, or None."""
    if set(one.coordinates) != set(other.coordinates):
        return f"one depends on {', '.join(one.coordinates)}, the other on {', '.join(other.coordinates)}"
    if not set(one.names) & set(other.names):
        return f"one has the unknowns {', '.join(one.names)}, the other {', '.join(other.names)}"
    for name, (low, high) in _common(one, other).items():
        if low >= high:
            return f"their intervals of {name} have nothing in common"
    return None


def _common(one: Solution, other: Solution) -> dict[str, tuple[float, float]]:
    """The interval of each coordinate in which both solutions are defined, in the order of the first."""
    second = dict(zip(other.coordinates, other.intervals, strict=True))
    pairs = ((name, ends, second[name]) for name, ends in zip(one.coordinates, one.intervals, strict=True))
    return {name: (max(a[0], b[0]), min(a[1], b[1])) for name, a, b in pairs}


def _apart(one: Solution, other: Solution) -> Iterator[UnknownDifference]:
    box = _common(one, other)
    lower, upper = np.array(list(box.values())).T
    points = lower + (upper - lower) * np.random.default_rng(0).random((POINTS, len(box)))
    place = [list(box).index(name) for name in other.coordinates]
    names = [name for name in one.names if name in other.names]
    ours, theirs = one.columns(points, names), other.columns(points[:, place], names)
    for name in names:
        first, second = ours[name], theirs[name]
        known = np.isfinite(first) & np.isfinite(second)
        if known.any():
            farthest = points[known][np.abs(first - second)[known].argmax()]
            at = dict(zip(box, map(float, farthest), strict=True))
            yield _measured(name, first[known], second[known], at, (one, other))


def _measured(
    name: str, first: np.ndarray, second: np.ndarray, at: Mapping[str, float], both: Sequence[Solution]
) -> UnknownDifference:
    apart = np.abs(first - second)
    rms, size = (float(np.sqrt(np.mean(np.abs(v) ** 2))) for v in (apart, first))
    errors = [(s.result.get("estimated_error") or {}).get(name) for s in both]
    known = all(error is not None and math.isfinite(error) for error in errors)
    largest = float(apart.max())
    return UnknownDifference(
        name=name,
        rms=rms,
        largest=largest,
        relative_rms=rms / size if size > 0 else None,
        relative_largest=largest / size if size > 0 else None,
        at=at,
        estimates=sum(errors) if known else None,
    )
