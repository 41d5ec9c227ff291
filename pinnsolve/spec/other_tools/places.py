"""Places in the words of other tools: `left`, `x == 0`, `on_boundary`, `t=0`.

Input: a word, and what is known of the file. Output: the place in our words. Standard library only.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pinnsolve.language.other_notations import FileNames
from pinnsolve.spec.other_tools.words import END, SIDES, START, WHOLE, plain

INITIAL, BOUNDARY = "initial", "boundary"  # kinds of conditions


@dataclass(frozen=True)
class Facts:
    """What is known of a file: intervals of its coordinates, which of them is time, unknowns, parts of the boundary."""

    intervals: Mapping[str, Any]
    time: str | None
    unknowns: tuple[str, ...]
    parts: tuple[str, ...] = ()
    known: frozenset[str] = frozenset()

    @property
    def space(self) -> tuple[str, ...]:
        return tuple(c for c in self.intervals if c != self.time)

    @property
    def names(self) -> FileNames:
        """The names for other notations."""
        coordinates = tuple(self.intervals)
        known = self.known | {*coordinates, *self.unknowns}
        return FileNames(self.unknowns, coordinates, self.space, known)

    def end(self, coordinate: str, which: int) -> Any:
        """An end of an interval; 0 or 1 where it is not known."""
        ends = self.intervals.get(coordinate)
        return ends[which] if isinstance(ends, list | tuple) and len(ends) == 2 else which


def place_of(word: Any, facts: Facts) -> str | None:
    """The place in our words, for `left`, `x == 0`, `on_boundary`, `t=0`; None where it is none that is known."""
    if word is True:
        return "boundary"
    if not isinstance(word, str):
        return None
    text = word.strip().strip("\"'")
    if text in facts.parts or text in ("boundary", "domain"):
        return text
    if match := re.fullmatch(r"(?:near\()?([A-Za-z]\w*)(?:\[(\d)\])?\s*(?:={1,2}|,)\s*([-\w.*/]+)\)?", text):
        letters = tuple(facts.intervals)
        name = letters[int(match[2])] if match[2] and int(match[2]) < len(letters) else match[1]
        return f"{name} = {match[3]}" if name in facts.intervals else None
    key = plain(text)
    if key in SIDES and SIDES[key][0] < len(facts.space):
        coordinate, which = facts.space[SIDES[key][0]], SIDES[key][1]
        return f"{coordinate} = {facts.end(coordinate, which)}"
    if key in WHOLE or text in WHOLE:
        return "boundary"
    return _time_end(key, facts)


def place_in_words(place: Any, facts: Facts) -> list[str] | None:
    """Places in our words for one or several that are not; None where they are already, or are none."""
    if not isinstance(place, str) or place in facts.parts or re.fullmatch(r"\s*[A-Za-z]\w*\s*=\s*[^=]+", place):
        return None
    pieces = re.split(r"\s*(?:,|;|\band\b|\bor\b)\s*", place.strip())
    found = [place_of(piece, facts) for piece in pieces]
    known = [piece for piece in found if piece is not None]
    return known if len(known) == len(pieces) and known != [place] else None


def _time_end(key: str, facts: Facts) -> str | None:
    if facts.time is not None and key in (*START, *END):
        return f"{facts.time} = {facts.end(facts.time, int(key in END))}"
    return None


def usual_place(kind: str, facts: Facts) -> str:
    """Where a condition of the kind holds if nothing is said: all of the boundary, or the first time."""
    if kind == INITIAL or not facts.space:
        coordinate = facts.time or next(iter(facts.intervals), "t")
        return f"{coordinate} = {facts.end(coordinate, 0)}"
    return "boundary"
