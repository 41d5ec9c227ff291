"""Quantities of a file, read: numbers to report, of unknowns in some place, or made of other quantities.

Input: validated quantities. Output: what a `ParsedFile` keeps of them; what is wrong goes to the reader. No sympy.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from pinnsolve.language.vocabulary import Scope
from pinnsolve.spec.expression_reader import ExpressionReader
from pinnsolve.spec.located_errors import KeyPath
from pinnsolve.spec.measures import MeasureReader
from pinnsolve.spec.names import Names
from pinnsolve.spec.parsed import COMBINATION, ParsedQuantity
from pinnsolve.spec.places import PlaceReader
from pinnsolve.spec.schema.schema import QuantityInput
from pinnsolve.spec.schema.types import TERM_NAME

NEITHER = "a `value` is taken `at` one point, or made of other quantities, and this is neither"


@dataclass(frozen=True)
class QuantityReader:
    """`base`: what expressions of a file may name."""

    names: Names
    reader: ExpressionReader
    places: PlaceReader
    measures: MeasureReader
    base: Scope

    def read(self, items: Mapping[str, QuantityInput], known: Scope) -> dict[str, ParsedQuantity]:
        """The quantities by name; `known`: what is known before the solve."""
        whole = [name for name, item in items.items() if not item.is_combination]
        found = {}
        for name, item in items.items():
            path = ("quantities", name)
            if not TERM_NAME.fullmatch(name) or name in self.names.unknowns:
                words = "is an unknown" if name in self.names.unknowns else "cannot be the name of a quantity"
                self.reader.problem(path, f"`{name[:60]}` {words}", "choose another name")
            found[name] = self._combination(path, item, whole) if item.is_combination else self._of(path, item, known)
        return found

    def _of(self, path: KeyPath, item: QuantityInput, known: Scope) -> ParsedQuantity:
        """A quantity of unknowns."""
        scope = replace(self.base, normals=True, operators=())
        found = self.reader.expression((*path, item.kind), getattr(item, item.kind), scope)
        where = None
        if item.where is not None:
            where = self.reader.expression((*path, "where"), item.where, known, "boolean")
        places = self.places.places(path, item)
        found = self.measures.measured((*path, item.kind), item.kind, found, places)
        return ParsedQuantity(item.kind, found, places, where)

    def _combination(self, path: KeyPath, item: QuantityInput, whole: Sequence[str]) -> ParsedQuantity:
        """One made of others, which are no combinations themselves, of parameters, and of time."""
        usable = tuple(name for name in whole if name not in (*self.base.symbols, *self.base.definitions))
        if not any(re.search(rf"\b{re.escape(name)}\b", str(item.value)) for name in usable):
            self.reader.problem((*path, "value"), NEITHER, "`{at: {x: 0, y: 1}, value: u}`, or `{value: drag/lift}`")
        time = tuple(name for name in self.base.coordinates if name == self.base.time)
        scope = replace(self.base, coordinates=time, unknowns=(), vectors=(), operators=(), places=())
        scope = replace(scope, parameters=(*scope.parameters, *usable))
        return ParsedQuantity(COMBINATION, self.reader.expression((*path, "value"), item.value, scope))
