"""The shapes of a domain and of the regions that a problem file names, read; regions may be comparisons, too.

Input: plain trees of shapes, validated regions. Output: what a `ParsedFile` keeps of them; what is wrong goes to the
reader. No sympy.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from pinnsolve.language.vocabulary import Scope
from pinnsolve.spec.expression_reader import ExpressionReader
from pinnsolve.spec.located_errors import KeyPath
from pinnsolve.spec.parsed import ParsedExpression
from pinnsolve.spec.schema.places import ComparisonInput
from pinnsolve.spec.schema.shapes import ShapeInput, as_lists, raw_shapes
from pinnsolve.spec.shapes import comparison_problem, shape_problems


class RegionReader:
    """Reads shapes and regions; what is wrong goes to the `reader`. `scope`: what their comparisons may name."""

    def __init__(self, reader: ExpressionReader, scope: Scope, folder: Path):
        self.reader, self.scope, self.folder = reader, scope, folder

    def region(self, path: KeyPath, item: ShapeInput | ComparisonInput) -> Any:
        """The comparison, or the plain tree of the shape."""
        if isinstance(item, ComparisonInput):
            return self.reader.expression((*path, "where"), item.where, self.scope, "boolean")
        plain = as_lists(item.model_dump(exclude_none=True))
        for outer, shape in raw_shapes(plain, path):
            if "mesh" in shape:
                message = "a region is no mesh: its groups of cells are regions by their names"
                self.reader.problem((*outer, "mesh"), message, "give the mesh as `domain`")
        implicit = self.implicit(plain, path)
        return None if self.reader.problems else numbers_in(plain, path, self.reader.number, implicit)

    def implicit(self, plain: Any, path: KeyPath) -> dict[KeyPath, ParsedExpression]:
        """The comparisons of the implicit shapes in a plain tree, by their key paths; the shapes are checked, too."""
        for found in shape_problems(plain, self.scope.coordinates, self.folder, path):
            self.reader.problem(found.path, found.message, found.hint, text=found.text)
        comparisons = {}
        for outer, shape in raw_shapes(plain, path):
            where, text = (*outer, "implicit"), shape.get("implicit")
            comparison = self.reader.expression(where, text, self.scope, "boolean") if isinstance(text, str) else None
            if comparison is None:
                continue
            comparisons[where] = comparison
            problem = comparison_problem(where, comparison)
            if problem is not None:
                self.reader.problem(problem.path, problem.message, problem.hint, text=text)
        return comparisons


def numbers_in(
    node: Any, path: KeyPath, number: Callable[[Any], float], implicit: Mapping[KeyPath, ParsedExpression]
) -> Any:
    """A plain tree of shapes with its numbers evaluated, and trees in the place of comparisons."""
    if isinstance(node, dict):
        return {key: numbers_in(value, (*path, key), number, implicit) for key, value in node.items()}
    if isinstance(node, list):
        return [numbers_in(value, (*path, index), number, implicit) for index, value in enumerate(node)]
    if path in implicit:
        return implicit[path]
    is_name = node is None or path[-1] in ("boundary", "mesh")
    return node if is_name else number(node)
