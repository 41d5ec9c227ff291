"""The tree of exceptions, and the located messages that they carry.

Everything a user can get wrong raises a `PinnsolveError`; a solve that does not converge is a status
of the solution, not an exception.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True)
class Diagnostic:
    """One thing to tell the user, with its place.

    `key` is the dotted path in the file (`equations.momentum`); `line` counts from 1; `text` is the
    expression as written, with `offset` (from 0) where the caret belongs; `hint` says what would be right.
    """

    message: str
    severity: str = "error"  # or "warning"
    file: str | None = None
    line: int | None = None
    key: str | None = None
    text: str | None = None
    offset: int | None = None
    hint: str | None = None

    def __str__(self) -> str:
        place = ":".join(str(part) for part in (self.file, self.line) if part is not None)
        head = ": ".join(part for part in (place, self.severity, self.key and f"`{self.key}`", self.message) if part)
        lines = [head]
        if self.text is not None:
            lines += _excerpt(self.text, self.offset)
        if self.hint:
            lines.append(f"    {self.hint}")
        return "\n".join(lines)


def _excerpt(text: str, offset: int | None, width: int = 100) -> list[str]:
    """The text on one line with a caret under `offset`, cut to about `width` characters around it."""
    flat = "".join(c if c.isprintable() else " " for c in text)
    if offset is None:
        return ["    " + (flat if len(flat) <= width else flat[:width] + " ...")]
    start = max(0, offset - width // 2)
    piece = flat[start : start + width]
    lead = "... " if start else ""
    tail = " ..." if start + width < len(flat) else ""
    return ["    " + lead + piece + tail, "    " + " " * (len(lead) + offset - start) + "^"]


class PinnsolveError(Exception):
    """Base of every exception that pinnsolve raises on purpose."""


class ProblemError(PinnsolveError):
    """The problem (a file or its Python form) is wrong; `diagnostics` lists everything found."""

    def __init__(self, diagnostics: Iterable[Diagnostic]):
        self.diagnostics = tuple(diagnostics)
        super().__init__("\n".join(str(d) for d in self.diagnostics))


class ExpressionError(PinnsolveError):
    """A text is not an expression of our grammar: `message`, the `offset` of the spot, and a `hint`."""

    def __init__(self, message: str, offset: int | None = None, hint: str | None = None):
        self.message, self.offset, self.hint = message, offset, hint
        super().__init__(message)


class ResourceError(PinnsolveError):
    """The solve would need more memory than it may take; the message states the size."""


class SolutionError(PinnsolveError):
    """A run folder or solution file cannot be read, or is asked for something it does not hold."""


class SaidElsewhere(PinnsolveError):
    """An error that another process of the same run says to the person."""


class OthersLost(PinnsolveError):
    """Of several processes that solve together, another has ended, or this one cannot go on with them."""
