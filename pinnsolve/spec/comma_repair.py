"""Texts that YAML cut at a comma: in `{equation: D(u, x) = 0}` the value is `D(u`, and `x) = 0` is a key.

Input: the plain values of a file. Output: the values with such pieces put together again, so that the file is checked
as it was meant, and an error for each text. No sympy.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import takewhile
from typing import Any

from pinnsolve.errors import Diagnostic
from pinnsolve.files.yaml_reader import GIVEN_TWICE
from pinnsolve.spec.located_errors import KeyPath, Places

WORDS = ("name", "title", "description", "cite")  # keys of texts in which a parenthesis may stay open
MOST_PIECES = 20  # of one text that are looked for


def mend_commas(
    data: dict[str, Any], places: Places, problems: Sequence[Diagnostic]
) -> tuple[dict[str, Any], list[Diagnostic]]:
    """The file with its texts whole, and its problems: those found before, and an error for each text that was cut."""
    mender = _Mender(places, problems)
    mended = {key: value if key in WORDS else mender.node(value, (key,)) for key, value in data.items()}
    kept = [p for p in problems if p.message != GIVEN_TWICE or p.key not in mender.pieces]
    return mended, [*kept, *mender.found]


def _open(text: Any) -> bool:
    """Whether a text ends within parentheses."""
    return isinstance(text, str) and text.count("(") > text.count(")")


class _Mender:
    def __init__(self, places: Places, problems: Sequence[Diagnostic]):
        self.places, self.found = places, []
        self.twice = {p.key for p in problems if p.message == GIVEN_TWICE}
        self.pieces: set[str] = set()  # dotted paths of keys that are no keys

    def node(self, node: Any, path: KeyPath) -> Any:
        if isinstance(node, dict):
            return self.map(node, path)
        return self.list(node, path) if isinstance(node, list) else node

    def map(self, node: Mapping[str, Any], path: KeyPath) -> dict[str, Any]:
        result: dict[str, Any] = {}
        items, i = list(node.items()), 0
        while i < len(items):
            key, value = items[i]
            i += 1
            if value is None and _open(key):  # the name of a definition, `g(a, b): a + b`
                count = self.closing(key, [k for k, _ in items[i : i + MOST_PIECES]])
                if count and all(v is None for _, v in items[i : i + count - 1]):
                    key = self.told(path, [key, *(k for k, _ in items[i : i + count])])
                    i, value = i + count, items[i + count - 1][1]
            if _open(value):
                after = [k for k, _ in takewhile(lambda item: item[1] is None, items[i : i + MOST_PIECES])]
                value, count = self.value(key, value, after, path)
                i += count
            result[key] = self.node(value, (*path, key))
        return result

    def value(self, key: str, value: str, after: list[str], path: KeyPath) -> tuple[str, int]:
        """The whole of a text that was cut, and of how many keys after it it is put together."""
        above = ".".join(map(str, path)) + "."
        again = [t.removeprefix(above) for t in sorted(self.twice) if t.startswith(above)]
        # a piece that stood in the map before was dropped the second time
        count = self.closing(value, after) or self.closing(value, [*after, *again])
        if not count:
            return value, 0
        taken = [*after, *again][:count]
        self.pieces |= {above + piece for piece in taken}
        lost = any(above + piece in self.twice for piece in taken)
        return self.told((*path, key), [value, *taken], f"{key}: ", lost), min(count, len(after))

    def list(self, node: Sequence[Any], path: KeyPath) -> list[Any]:
        result: list[Any] = []
        i = 0
        while i < len(node):
            item = node[i]
            i += 1
            if _open(item):
                texts = [*takewhile(lambda text: isinstance(text, str), node[i : i + MOST_PIECES])]
                if count := self.closing(item, texts):
                    item = self.told((*path, len(result)), [item, *texts[:count]])
                    i += count
            result.append(self.node(item, (*path, len(result))))
        return result

    @staticmethod
    def closing(text: str, pieces: Sequence[str]) -> int:
        """The number of pieces that close the parentheses of a text; 0 if they do not."""
        for count, piece in enumerate(pieces, 1):
            text += piece
            if not _open(text):
                return count
        return 0

    def told(self, path: KeyPath, pieces: Sequence[str], before: str = "", lost: bool = False) -> str:
        """Puts pieces together, and keeps an error that says how they should have been written."""
        text = ", ".join(pieces)
        shown = f"{pieces[0]}, ..." if lost else text
        what = "equation" if "=" in text else "expression"
        hint = f'put the {what} in quotes: `{before}"{shown}"`'
        self.found.append(self.places.diagnostic(path, "the text is cut at a comma", hint))
        return text
