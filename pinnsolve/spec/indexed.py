"""Indexed coordinates of a problem file: `coordinates: {x: {count: 10, interval: [-1, 1]}}` makes x1 ... x10.

Input: the plain values of a file. Output: the same with plain coordinates in their place, how many components each
indexed one has, and what is wrong with them. No sympy.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pinnsolve.errors import Diagnostic
from pinnsolve.language.indices import component
from pinnsolve.spec.located_errors import Places
from pinnsolve.spec.names import MAX_COORDINATES

KEYS = ("count", "interval")


def with_components(data: Mapping[str, Any], places: Places) -> tuple[dict[str, Any], dict[str, int], list[Diagnostic]]:
    """The file with the components of indexed coordinates; `{name: count}`; an error for each that is wrong.

    Where a `domain` gives the shape, components have no intervals, and the coordinates become a list of names.
    """
    listed = data.get("coordinates")
    found: dict[str, int] = {}
    if not isinstance(listed, Mapping) or not any(isinstance(item, Mapping) for item in listed.values()):
        return dict(data), found, []
    problems: list[Diagnostic] = []
    shaped, plain = data.get("domain") is not None, {}
    for name, item in listed.items():
        if not isinstance(item, Mapping):
            plain[name] = item
            continue
        problems += _problems(name, item, shaped, places)
        found[name] = count = _count(item) or 1
        plain |= {component(name, k): item.get("interval", [0, 1]) for k in range(1, count + 1)}
    coordinates: Any = plain
    if shaped and all(isinstance(item, Mapping) for item in listed.values()):
        time = data.get("time")
        coordinates = [*(time if isinstance(time, Mapping) else ()), *plain]
    return {**data, "coordinates": coordinates}, found, problems


def ranges(intervals: Mapping[str, tuple[float, float]], counts: Mapping[str, int]) -> dict[str, tuple[float, float]]:
    """Coordinates and intervals as people read them: `x1 to x10` for the components of an indexed one."""
    return {
        f"{component(name, 1)} to {component(name, counts[name])}" if name in counts else name: ends
        for name, ends in {
            key: value["interval"] if isinstance(value, Mapping) else value
            for key, value in joined(intervals, counts).items()
        }.items()
    }


def _count(item: Mapping[str, Any]) -> int | None:
    count = item.get("count")
    whole = isinstance(count, int) and not isinstance(count, bool) and 1 <= count <= MAX_COORDINATES
    return count if whole else None


def _problems(name: Any, item: Mapping[str, Any], shaped: bool, places: Places) -> list[Diagnostic]:
    path, example = ("coordinates", name), "as in `x: {count: 10, interval: [-1, 1]}`"
    found = [places.diagnostic((*path, key), f"`{key}` is not a key here", example) for key in item if key not in KEYS]
    if _count(item) is None:
        message = f"a `count` from 1 to {MAX_COORDINATES} is expected"
        found.append(places.diagnostic((*path, "count") if "count" in item else path, message, example))
    if shaped and "interval" in item:
        message = "the shape of `domain` tells where the coordinates lie"
        found.append(places.diagnostic((*path, "interval"), message, "leave the interval out"))
    if not shaped and "interval" not in item:
        found.append(places.diagnostic(path, f"the interval of `{name}` is missing", example))
    return found


def joined(intervals: Mapping[str, Any], counts: Mapping[str, int]) -> dict[str, Any]:
    """Coordinates as the file writes them: components of an indexed one together again."""
    result, inside = {}, {component(name, k): name for name, count in counts.items() for k in range(1, count + 1)}
    for coordinate, ends in intervals.items():
        if coordinate not in inside:
            result[coordinate] = ends
        elif inside[coordinate] not in result:
            name = inside[coordinate]
            result[name] = {"count": counts[name], **({} if ends is None else {"interval": ends})}
    return result
