"""The texts of one problem, each parsed once.

Input: texts and numbers as a file gives them. Output: their syntax trees, and the values of constant ones. To check,
evaluate or build from a text a second time gets the same tree. Standard library only.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from pinnsolve.errors import ExpressionError
from pinnsolve.language.constants import Value
from pinnsolve.language.expansion import as_text, tree_value
from pinnsolve.language.syntax import Node, parse, parse_equation


class ParsedTexts:
    """Trees by text. A text that is no expression raises the same error each time."""

    def __init__(self) -> None:
        self._found: dict[tuple[Callable, str], Any] = {}

    def expression(self, text: str) -> Node:
        """The tree of an expression or comparison. Raises `ExpressionError`."""
        return self._once(parse, text)

    def equation(self, text: str) -> tuple[Node, Node]:
        """Both sides of an equation. Raises `ExpressionError`."""
        return self._once(parse_equation, text)

    def value(self, text: str | int | float, values: Mapping[str, Value]) -> Value:
        """The value of a constant expression of named `values`. Raises `ExpressionError`."""
        return tree_value(self.expression(as_text(text)), values)

    def _once(self, parser: Callable[[str], Any], text: str) -> Any:
        key = (parser, text)
        if key not in self._found:
            try:
                self._found[key] = parser(text)
            except ExpressionError as error:
                self._found[key] = error
        found = self._found[key]
        if isinstance(found, ExpressionError):
            raise ExpressionError(found.message, found.offset, found.hint)
        return found
