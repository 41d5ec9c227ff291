"""Lines of a problem file as a message shows them, and names in it.

Input: a key and plain values. Output: one line of YAML; entries under names that are all different. Standard library
only.
"""

from __future__ import annotations

import re
from collections.abc import Container, Mapping
from typing import Any


def unique(name: str, taken: Container[str]) -> str:
    """The name, with a number where it is taken."""
    number, new = 1, name
    while new in taken:
        number += 1
        new = f"{name}_{number}"
    return new


def joined(entries: list[tuple[str, dict[str, Any]]]) -> dict[str, Any]:
    """Entries by name, those of one place together."""
    result: dict[str, Any] = {}
    for name, item in entries:
        same = next((n for n, other in result.items() if other.get("on") == item.get("on") is not None), None)
        if same is not None and "equation" in item:
            other = result[same]
            several = other.pop("equations", None) or [other.pop("equation")]
            result[same] = {**other, "equations": [*several, item["equation"]]}
            continue
        result[unique(name, result)] = item
    return result


def line(key: str, value: Any) -> str:
    """A line of a problem file, in one line."""
    return f"{key}: {_flow(value, key)}"


def _flow(value: Any, key: str = "") -> str:
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{_key(k)}: {_flow(v, str(k))}" for k, v in value.items()) + "}"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(_flow(item) for item in value) + "]"
    text = str(value)
    bare = not isinstance(value, str) or re.fullmatch(r"[A-Za-z0-9_.*/+()-][A-Za-z0-9_.*/+() -]*", text)
    return text if bare else '"' + text.replace('"', "'") + '"'


def _key(key: Any) -> str:
    return str(key) if re.fullmatch(r"[\w-]+", str(key)) else f'"{key}"'
