"""Reads the texts of one file: parses each once, checks it in its scope, collects what is wrong.

Input: texts with the key paths where they stand, and the scope of each. Output: checked trees, and located diagnostics.
No sympy.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pinnsolve.errors import Diagnostic, ExpressionError
from pinnsolve.language.constants import Value
from pinnsolve.language.expansion import ANY, MAX_WORK, Budget, resolve, tree_value
from pinnsolve.language.indices import more_for
from pinnsolve.language.other_notations import EQUATION, FileNames, rewritten
from pinnsolve.language.parsed_texts import ParsedTexts
from pinnsolve.language.syntax import Node
from pinnsolve.language.vectors import equations_of
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
        found = self._read(path, text, scope, kind)
        return None if found is None else ParsedExpression(text, path, found[0])

    def equation(self, path: KeyPath, text: str, scope: Scope) -> tuple[ParsedEquation, ...]:
        """The checked equation, one between vectors by its components; none where something is wrong with it."""
        found = self._read(path, text, scope, EQUATION)
        if found is None:
            return ()
        sides = equations_of(*found, scope.space)
        return tuple(ParsedEquation(text, path, (left, right), component) for component, left, right in sides)

    def constant(self, tree: Node) -> float:
        """The value of a tree of numbers and parameters. Raises `ExpressionError`."""
        return float(tree_value(tree, self.values))

    def number(self, value: str | int | float) -> float:
        """The number that a value of the file stands for. Raises `ExpressionError`."""
        return float(self.texts.value(value, self.values))

    def _read(self, path: KeyPath, text: str, scope: Scope, kind: str) -> tuple[Node, ...] | None:
        """The checked tree of a text, or those of both sides of an equation; None, and what is wrong with it."""
        if self.exhausted:
            return None
        trees, errors = self._checked(text, scope, kind)
        if not errors:
            return trees
        ours = rewritten(text, names_of(scope), kind) if self.reliable else text
        if ours != text:
            trees, remaining = self._checked(ours, scope, kind)
            told = {error.message for error in remaining}
            mended = [error for error in errors if error.message not in told]
            if trees is not None and mended:
                self.wrong(path, ExpressionError(mended[0].message, mended[0].offset, f"write `{ours}`"), text)
                text, errors = ours, remaining
        for error in errors:
            self.wrong(path, error, text)
        return None

    def _checked(self, text: str, scope: Scope, kind: str) -> tuple[tuple[Node, ...] | None, list[ExpressionError]]:
        """The checked trees of a text, None where names cannot be judged; and what is wrong."""
        try:
            parsed = self.texts.equation(text) if kind == EQUATION else (self.texts.expression(text),)
        except ExpressionError as error:
            return None, [error]
        if not self.reliable:
            return None, []
        of_sides = ANY if kind == EQUATION else kind
        checked = [resolve(tree, scope, of_sides, self.values, self.budget) for tree in parsed]
        trees, found = tuple(tree for tree, _ in checked), [error for _, errors in checked for error in errors]
        if kind == EQUATION and not found:
            try:
                equations_of(*trees, scope.space)
            except ExpressionError as error:
                found = [error]
        return trees, found


def names_of(scope: Scope) -> FileNames:
    """The names of a file, as its texts may use them."""
    called = (*(name for name, d in scope.macros.items() if d.arguments), *scope.functions, *scope.operators)
    known = (*scope.symbols, *scope.unknowns, *scope.macros, *scope.functions, *scope.operators, *scope.constants)
    return FileNames(scope.unknowns, scope.coordinates, scope.space, frozenset(known), frozenset(called))
