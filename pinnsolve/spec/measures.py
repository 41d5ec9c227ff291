"""Integrals and equations of a file in polar, cylindrical and spherical coordinates.

Input: checked trees, their places, and the system. Output: trees with the size of space in them, and equations that are
finite on the axis; what is wrong goes to the reader. No sympy.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

from pinnsolve.errors import ExpressionError
from pinnsolve.language.axis import regular_sides
from pinnsolve.language.systems import System
from pinnsolve.language.vectors import measured
from pinnsolve.spec.expression_reader import ExpressionReader
from pinnsolve.spec.located_errors import KeyPath
from pinnsolve.spec.names import Names
from pinnsolve.spec.parsed import ParsedEquation, ParsedExpression, Place

MEAN, INTEGRAL = "mean", "integral"


class MeasureReader:
    """Puts the system of a file's coordinates into what is not said by operators."""

    def __init__(self, names: Names, reader: ExpressionReader):
        self.names, self.reader = names, reader
        self.system = System(names.system, names.coordinates.space)

    def check(self) -> None:
        """Says so where a radius or a polar angle is beyond the axis."""
        for name in () if self.system.is_cartesian else self.system.names:
            role, (low, high) = self.system.roles[self.system.names.index(name)], self._ends(name)
            path = self.names.interval_paths.get(name, ("coordinates", name))
            if role == "r" and low < 0:
                self.reader.problem(path, f"a radius is not below 0, and `{name}` is", f"write `{name}: [0, {high:g}]`")
            if role == "p" and (low < 0 or high > math.pi * (1 + 1e-9)):
                message = f"the angle `{name}` from the axis goes from 0 to pi"
                self.reader.problem(path, message, f"write `{name}: [0, pi]`")

    def regular(self, equation: ParsedEquation) -> ParsedEquation:
        """The equation with finite coefficients where the system has its axis."""
        if self.system.is_cartesian:
            return equation
        ends = {name: self.system.ends_on_the_axis(name, self._ends(name)) for name in self.system.names}
        return replace(equation, sides=regular_sides(equation.sides, self.system, ends))

    def measured(
        self, path: KeyPath, kind: str, found: ParsedExpression | None, places: Sequence[Place]
    ) -> ParsedExpression | None:
        """What is integrated over places, with the size of space; None, and an error, for a mean."""
        if found is None or self.system.is_cartesian or kind not in (MEAN, INTEGRAL):
            return found
        if kind == MEAN:
            hint = "state the integral; a mean is that over the size of the place"
            self.reader.problem(path, f"means are not known in {self.system.kind} coordinates", hint)
            return None
        boundary = [not self._fills_space(place) for place in places]
        if any(boundary) and not all(boundary):
            self.reader.problem(path, "places of different dimension have no common size", "give each by itself")
            return None
        return replace(found, tree=measured(found.tree, self.system, any(boundary)))

    def _fills_space(self, place: Place) -> bool:
        """Whether a place is one in space, at some time or at all."""
        in_time = place.kind == "point" and {*place.fixed} <= {self.names.coordinates.time}
        return in_time or place.kind in ("domain", "region", "group")

    def _ends(self, name: str) -> tuple[float, float]:
        """The interval of a coordinate; of one that a shape gives, or that is wrong, with the axis."""
        stated = self.names.intervals.get(name)
        try:
            low, high = (self.reader.number(end) for end in stated or (0, 1))
        except (ExpressionError, TypeError, ValueError):
            return (0.0, 1.0)
        return low, high
