"""The texts of one problem, each parsed once.

Input: texts and numbers as a file gives them. Output: their syntax trees, and the values of constant ones. To check,
evaluate or build from a text a second time gets the same tree. Standard library only.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from fractions import Fraction
from typing import Any

from pinnsolve.errors import ExpressionError
from pinnsolve.language.constants import Value
from pinnsolve.language.expansion import as_text, tree_value
from pinnsolve.language.indices import written_out
from pinnsolve.language.other_notations import FileNames, rewritten
from pinnsolve.language.syntax import Node, parse, parse_equation
from pinnsolve.language.vocabulary import IMAGINARY_UNIT


class ParsedTexts:
    """Trees by text. A text that is no expression raises the same error each time."""

    def __init__(self, counts: Mapping[str, int] | None = None) -> None:
        self._found: dict[tuple[str, str], Any] = {}
        self.counts = dict(counts or {})  # of components, by indexed coordinate

    def expression(self, text: str) -> Node:
        """The tree of an expression or comparison. Raises `ExpressionError`."""
        return self._once(self._expression, text)

    def equation(self, text: str) -> tuple[Node, Node]:
        """Both sides of an equation. Raises `ExpressionError`."""
        return self._once(self._equation, text)

    def value(self, text: str | int | float, values: Mapping[str, Value]) -> Value:
        """The value of a constant expression of named `values`. Raises `ExpressionError`."""
        return tree_value(self.expression(as_text(text)), values)

    def complex_value(self, text: str | int | float, values: Mapping[str, Value]) -> complex:
        """The value of `a + b*i`, where `i` is the imaginary unit unless it has a value. Raises `ExpressionError`."""
        if IMAGINARY_UNIT in values:
            return complex(self.value(text, values))
        one, two, three = (float(self.value(text, {**values, IMAGINARY_UNIT: Fraction(i)})) for i in (0, 1, -2))
        if abs(three - one + 2 * (two - one)) > 1e-9 * max(abs(one), abs(two), abs(three)):
            raise ExpressionError("not of the form `a + b*i`", None, "write a complex number as `0.2 + 0.1*i`")
        return complex(one, two - one)

    def _expression(self, text: str) -> Node:
        return written_out(parse(text), self.counts)

    def _equation(self, text: str) -> tuple[Node, Node]:
        left, right = parse_equation(text)
        return written_out(left, self.counts), written_out(right, self.counts)

    def _once(self, parser: Callable[[str], Any], text: str) -> Any:
        key = (parser.__name__, text)
        if key not in self._found:
            try:
                self._found[key] = parser(text)
            except ExpressionError as error:
                self._found[key] = ExpressionError(error.message, error.offset, _proposal(parser, text) or error.hint)
        found = self._found[key]
        if isinstance(found, ExpressionError):
            raise ExpressionError(found.message, found.offset, found.hint)
        return found


def _proposal(parser: Callable[[str], Any], text: str) -> str | None:
    """What to write in the place of a text that is in the notation of another tool; None where that is not clear."""
    ours = rewritten(text, FileNames())
    if ours == text:
        return None
    try:
        parser(ours)
    except ExpressionError:
        return None
    return f"write `{ours}`"
