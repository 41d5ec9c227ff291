"""The coordinates of a file in the words of other tools: which key says what of them.

Input: the plain values of a file, and its keys by what they are about. Output: `coordinates`, or a `domain` and its
time, in our words, and the keys that say so. No sympy.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pinnsolve.spec.other_tools import intervals
from pinnsolve.spec.schema.schema import ProblemFile
from pinnsolve.spec.schema.shapes import ShapeInput

_KEYS = tuple(ProblemFile.model_fields)
_SHAPES = tuple(ShapeInput.model_fields)
_BY_TIME = re.compile(r"\w_t\b|/\s*[d∂]t\b|,\s*t\s*[),\]]|\bDt\(|partial t\b")
MAX_TEXT = 4_000  # characters of one value that are looked at


@dataclass(frozen=True)
class Found:
    """Keys and values in our words, the keys that they come from, and what is to be said beside them."""

    parts: dict[str, Any]
    sources: list[str]
    more: str


@dataclass(frozen=True)
class CoordinateReader:
    """Reads coordinates. `about`: the keys of other tools by what they are about; `texts`: all equations."""

    data: Mapping[str, Any]
    about: Mapping[str, Sequence[str]]
    texts: str

    def read(self) -> Found | None:
        """What the file says of coordinates in the words of other tools; None where it says nothing."""
        stated: dict[str, Any] = {}
        shape, sources = None, [key for key in self.about.get("coordinates", ()) if self.names_in(self.data[key])]
        names = self.names_in(self.data.get("coordinates")) + [n for k in sources for n in self.names_in(self.data[k])]
        for key in [*(k for k in ("coordinates", "domain") if k in self.data), *self.about.get("coordinates", ())]:
            value = self.data[key]
            if self._is_ours(key, value) or key in sources or len(str(value)) > MAX_TEXT:
                continue
            found = intervals.named_intervals(value)
            if key == "coordinates" and isinstance(value, Mapping) and len(found) < len(value):
                continue  # what is wrong with the others is said where they are checked
            bare = intervals.bare_intervals(value) if not found else []
            shape = intervals.disk_of(value) or shape
            spare = [n for n in names if n not in stated] or self._letters(len(bare), key)
            found = found or dict(zip(spare, bare, strict=False))
            if found or (shape is not None and intervals.disk_of(value)):
                sources.append(key)
                stated |= found
        time = self._time(stated, sources)
        for key in [k for k in self.data if k not in _KEYS and k not in self.about.get("coordinates", ())]:
            name = re.fullmatch(r"([a-z])(?:_?(?:range|lim|span|interval|domain))?", str(key))
            ends = intervals.interval_of(self.data[key]) if name else None
            if name and ends is not None:
                stated[name[1]] = ends
                sources.append(key)
        guessed = {name: [0, 1] for name in names if name not in {**time, **stated}} if sources else {}
        return self._found({**time, **stated, **guessed}, shape, sources, bool(guessed)) if sources else None

    def names_in(self, value: Any) -> list[str]:
        """The names of coordinates that a value lists without intervals; none where they are unknowns."""
        listed = value.split(",") if isinstance(value, str) else value if isinstance(value, list) else []
        names = [name.strip() for name in listed if isinstance(name, str)]
        usual = all(re.fullmatch(r"[a-z]|theta|phi", name) for name in names)
        differentiated = any(
            re.search(rf"\b{name}_[a-z]|[d∂][2-4²^]*{name}\s*/", self.texts) for name in names if usual
        )
        return names if usual and len(names) == len(listed) and not differentiated else []

    def _is_ours(self, key: str, value: Any) -> bool:
        """Whether the value of `coordinates` or `domain` is in our words."""
        if key == "domain" and isinstance(value, Mapping):
            stated = "type" in value or any(map(intervals.interval_of, value.values()))
            return not stated or any(k in _SHAPES for k in value)
        if key != "coordinates" or value is None:
            return False
        if isinstance(value, list):
            return all(isinstance(name, str) and name.isidentifier() for name in value)
        plain_ends = (list | tuple, Mapping)
        if not isinstance(value, Mapping):
            return not isinstance(value, str)
        odd = (k for k, item in value.items() if not isinstance(item, plain_ends) or intervals.interval_of(item))
        return all(isinstance(value[k], list) and len(value[k]) == 2 for k in odd)

    def _time(self, stated: dict[str, Any], sources: list[str]) -> dict[str, Any]:
        """`time: [0, 1]` and other words for it: the interval of `t`."""
        found = {}
        for key in [*(k for k in ("time",) if k in self.data), *self.about.get("time", ())]:
            value = self.data[key]
            if key == "time" and (isinstance(value, str | Mapping)) and value:
                named = value if isinstance(value, str) and value.isidentifier() else None
                if named or (isinstance(value, Mapping) and all(isinstance(i, list) for i in value.values())):
                    continue
            ends = intervals.named_intervals(value) or {"t": intervals.interval_of(value)}
            if None not in ends.values():
                found |= ends
                sources.append(key)
        return {name: ends for name, ends in found.items() if name not in stated}

    def _letters(self, count: int, key: str) -> list[str]:
        """Names for coordinates that have none: that in the derivatives of the file, else x, y, z."""
        text = self.texts
        used = {m[1] or m[2] for m in re.finditer(r"\b[a-z]_([a-z])\1?\b|/\s*[d∂]([a-z])", text)} - {"t"}
        if count == 1 and not used and re.search(r"\bt\b", text) and not re.search(r"\bx\b", text):
            return ["t"]
        return [next(iter(used))] if count == 1 and len(used) == 1 else ["x", "y", "z"]

    def _found(self, stated: dict[str, Any], shape: Any, sources: list[str], guessed: bool) -> Found:
        kept = self.data.get("coordinates")
        whole = {**(kept if isinstance(kept, Mapping) and "coordinates" not in sources else {}), **stated}
        more = ", with your own intervals" if guessed else ""
        if shape is not None:
            time = {name: ends for name, ends in stated.items() if name == "t"}
            parts = {"domain": shape, **({"time": time} if time else {})}
        else:
            no_time = "t" not in whole and not isinstance(self.data.get("time"), str) and _BY_TIME.search(self.texts)
            whole = {"t": [0, 1], **whole} if no_time else whole
            parts = {"coordinates": whole}
            more = ", with the interval of `t`, which is not stated" if no_time else more
        return Found(parts, sources, more)
