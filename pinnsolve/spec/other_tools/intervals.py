"""Where a problem is stated, in the forms that other tools have: `[0, 1]`, `Rectangle([0, 0], [1, 1])`, `x in [0, 1]`.

Input: the value of `domain`, `geometry`, `time`, ... Output: coordinates with their intervals, or a shape; nothing
where it is not clear. Standard library only.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from pinnsolve.language.other_notations import FileNames, rewritten

_ENDS = (("min", "max"), ("start", "end"), ("from", "to"), ("lower", "upper"), ("low", "high"), ("left", "right"),
         ("begin", "end"), ("a", "b"), ("start", "stop"), ("l", "r"), ("lb", "ub"))  # fmt: skip
_END = r"[^\[\](),;<>=]+?"
_NUMBERS = r"\(?\[?\s*([^\[\](),]+?)\s*,\s*([^\[\](),]+?)\s*\]?\)?"
_RANGES = (
    re.compile(rf"^\s*[\[(]\s*({_END})\s*,\s*({_END})\s*[\])]\s*$"),
    re.compile(rf"^\s*({_END})\s*(?:\.\.|:|\bto\b|–)\s*({_END})\s*$"),
    re.compile(r"^\s*(-?[\d.]+)\s+(-?[\d.]+)\s*$"),
)
_NAMED = (
    re.compile(rf"\b([A-Za-z]\w*)(?:\s+in\s+|\s*(?:∈|=|:|\\in)\s*)[\[(]\s*({_END})\s*,\s*({_END})\s*[\])]"),
    re.compile(rf"\b([A-Za-z]\w*)(?:\s+in\s+|\s*(?:∈|\\in)\s*)Interval\(\s*({_END})\s*,\s*({_END})\s*\)"),
    re.compile(rf"\{{\s*([A-Za-z]\w*)\s*,\s*({_END})\s*,\s*({_END})\s*\}}"),
)
_BETWEEN = re.compile(rf"({_END})\s*<=?\s*([A-Za-z]\w*)\s*<=?\s*({_END})(?:\s*(?:,|;|and|&&?)\s*|$)")
_RECTANGLE = re.compile(
    rf"(?:Rectangle|Box|RectangleMesh|BoxMesh|Cuboid|Square)\w*\(\s*(?:Point)?{_NUMBERS}\s*,\s*(?:Point)?{_NUMBERS}"
)
_INTERVAL = re.compile(
    rf"(?:Interval|TimeDomain|IntervalMesh|Line)\w*\((?:\s*\d+\s*,(?=[^,]*,))?\s*({_END})\s*,\s*({_END})\s*\)"
)
_DISK = re.compile(
    rf"(?:Disk|Circle|Ball)\(\s*[\[(]\s*({_END})\s*,\s*({_END})\s*[\])]\s*,\s*({_END})\s*\)", re.IGNORECASE
)
_UNIT = {
    "unitinterval": 1,
    "unitintervalmesh": 1,
    "unitsquare": 2,
    "unitsquaremesh": 2,
    "unitcube": 3,
    "unitcubemesh": 3,
}


def number(text: Any) -> Any:
    """A number for a text that is one; an expression in our notation for any other."""
    if isinstance(text, str):
        text = text.strip()
        for kind in (int, float):
            try:
                return kind(text)
            except ValueError:
                continue
        return rewritten(text, FileNames())
    return text


def _is_end(value: Any) -> bool:
    return isinstance(value, str | int | float) and not isinstance(value, bool)


def interval_of(value: Any) -> list[Any] | None:
    """The two ends that a value states; None where it is no interval."""
    if isinstance(value, list | tuple) and len(value) in (2, 3) and all(map(_is_end, value)):
        named = any(isinstance(end, str) and re.search(r"[=<>]|\bin\b|∈", end) for end in value)
        return None if named else [number(end) for end in value[:2]]
    if isinstance(value, Mapping):
        for low, high in _ENDS:
            if low in value and high in value:
                return [number(value[low]), number(value[high])]
    if isinstance(value, str):
        for form in _RANGES:
            if match := form.match(value):
                return [number(match[1]), number(match[2])]
        if match := _INTERVAL.search(value):
            return [number(match[1]), number(match[2])]
    return None


def named_intervals(value: Any) -> dict[str, Any]:
    """Coordinates with intervals, where a value names them; empty where it does not."""
    if isinstance(value, Mapping):
        found = {str(key).strip(): interval_of(item) for key, item in value.items()}
        kept = {key: ends for key, ends in found.items() if ends is not None and key.isidentifier()}
        if kept or not value:
            return kept
        inner = {key: item for key, item in value.items() if isinstance(item, Mapping | list | str)}
        return next((ends for item in inner.values() if (ends := named_intervals(item))), {})
    if isinstance(value, list | tuple):
        merged: dict[str, Any] = {}
        for item in value:
            merged |= named_intervals(item) if isinstance(item, str | Mapping) else {}
        return merged
    if not isinstance(value, str):
        return {}
    named = {m[1]: [number(m[2]), number(m[3])] for form in _NAMED for m in form.finditer(value)}
    return named or {m[2]: [number(m[1]), number(m[3])] for m in _BETWEEN.finditer(value)}


def bare_intervals(value: Any) -> list[list[Any]]:
    """The intervals of a domain whose coordinates are not named, in their order; empty where there are none."""
    one = interval_of(value)
    if one is not None:
        return [one]
    if isinstance(value, list | tuple):
        several = [interval_of(item) for item in value]
        return [ends for ends in several if ends is not None] if several and None not in several else []
    if isinstance(value, Mapping):
        return next((ends for item in value.values() if (ends := bare_intervals(item))), [])
    if isinstance(value, str):
        if match := _RECTANGLE.search(value):
            return [[number(match[1]), number(match[3])], [number(match[2]), number(match[4])]]
        unit = re.match(r"[A-Za-z_]*", value.strip())
        return [[0, 1]] * _UNIT.get(unit[0].replace("_", "").lower() if unit else "", 0)
    return []


def disk_of(value: Any) -> dict[str, Any] | None:
    """The shape of a disk."""
    if isinstance(value, str) and (match := _DISK.search(value)):
        x, y, radius = map(number, match.groups())
        return {"disk": {"center": [x, y], "radius": radius}}
    if isinstance(value, Mapping) and str(value.get("type", "")).lower() in ("disk", "circle"):
        center = value.get("center", [0, 0])
        return {"disk": {"center": center, "radius": value.get("radius", 1)}}
    return None
