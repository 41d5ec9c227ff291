"""Reads the texts of one file: parses each once, checks it in its scope, collects what is wrong.

Input: texts with the key paths where they stand, and the scope of each. Output: checked trees, and located diagnostics.
No sympy.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from pinnsolve.errors import Diagnostic, ExpressionError
from pinnsolve.language.constants import Value
from pinnsolve.language.expansion import MAX_WORK, Budget, resolve, tree_value
from pinnsolve.language.indices import more_for
from pinnsolve.language.parsed_texts import ParsedTexts
from pinnsolve.language.syntax import Node
from pinnsolve.language.vocabulary import Scope
from pinnsolve.spec.located_errors import MAX_ERRORS, KeyPath, Places
from pinnsolve.spec.parsed import ParsedEquation, ParsedExpression


class ExpressionReader:
    """Reads expressions and equations; `problems` collects what is found.

    What they may come to together grows with the number of `coordinates`. `values` are those of the
    parameters. Unless `reliable`, names are unknown and only the grammar is checked.
    """

    def __init__(
        self,
        texts: ParsedTexts,
        values: Mapping[str, Value],
        places: Places,
        reliable: bool = True,
        coordinates: int = 0,
    ):
        self.texts, self.values, self.places, self.reliable = texts, values, places, reliable
        self.problems: list[Diagnostic] = []
        self.budget = Budget(MAX_WORK * more_for(coordinates))

    @property
    def exhausted(self) -> bool:
        """Whether the file is too much, or too wrong, to go on."""
        return self.budget.left < 0 or len(self.problems) > MAX_ERRORS

    def problem(self, path: KeyPath, message: str, hint: str | None = None, **details: Any) -> None:
        self.problems.append(self.places.diagnostic(path, message, hint, **details))

    def wrong(self, path: KeyPath, error: ExpressionError, text: Any) -> None:
        """An error inside the text of an expression."""
        self.problems.append(self.places.expression(path, error, text))

    def expression(self, path: KeyPath, text: str, scope: Scope, kind: str = "number") -> ParsedExpression | None:
        """The checked expression, or comparison for the `kind` boolean; None where something is wrong with it."""
        tree = self._parsed(path, text, self.texts.expression)
        checked = None if tree is None else self._checked(path, text, tree, scope, kind)
        return None if checked is None else ParsedExpression(text, path, checked)

    def equation(self, path: KeyPath, text: str, scope: Scope) -> ParsedEquation | None:
        """The checked equation; None where something is wrong with it."""
        sides = self._parsed(path, text, self.texts.equation)
        checked = tuple(self._checked(path, text, side, scope) for side in sides or ())
        return ParsedEquation(text, path, checked) if checked and None not in checked else None

    def constant(self, tree: Node) -> float:
        """The value of a tree of numbers and parameters. Raises `ExpressionError`."""
        return float(tree_value(tree, self.values))

    def number(self, value: str | int | float) -> float:
        """The number that a value of the file stands for. Raises `ExpressionError`."""
        return float(self.texts.value(value, self.values))

    def _parsed(self, path: KeyPath, text: str, parse: Callable[[str], Any]) -> Any:
        if self.exhausted:
            return None
        try:
            return parse(text)
        except ExpressionError as error:
            self.wrong(path, error, text)
            return None

    def _checked(self, path: KeyPath, text: str, tree: Node, scope: Scope, kind: str = "number") -> Node | None:
        if not self.reliable or self.exhausted:
            return None
        checked, errors = resolve(tree, scope, kind, self.values, self.budget)
        for error in errors:
            self.wrong(path, error, text)
        return None if errors else checked
