"""The places of conditions: faces, points, parts of a boundary, groups of cells.

Input: what a condition says under `on`, `at` and `periodic`, and the names of the file. Output: resolved places, or
diagnostics with a close match. No sympy.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import cached_property
from pathlib import Path

from pinnsolve.errors import ExpressionError
from pinnsolve.language.syntax import Name
from pinnsolve.language.vocabulary import close_match
from pinnsolve.spec.expression_reader import ExpressionReader
from pinnsolve.spec.located_errors import KeyPath
from pinnsolve.spec.names import Names
from pinnsolve.spec.parsed import Interval, Place
from pinnsolve.spec.schema.schema import ConditionInput, QuantityInput
from pinnsolve.spec.schema.shapes import boundary_names, is_mesh, raw_files
from pinnsolve.spec.shapes import inner_names, mesh_names

SLACK = 1e-12  # relative to an interval: how far outside it a place still counts as on its end


def outside(name: str, value: float, interval: Interval) -> str | None:
    """Says that a coordinate lies outside its interval, or None where it does not."""
    low, high = interval
    slack = SLACK * (high - low)
    if low - slack <= value <= high + slack:
        return None
    return f"{name} = {value:g} lies outside its interval [{low:g}, {high:g}]"


class PlaceReader:
    """Reads places; what is wrong goes to the `reader`."""

    def __init__(self, names: Names, reader: ExpressionReader, folder: Path):
        self.names, self.reader, self.folder = names, reader, folder

    def places(self, path: KeyPath, item: ConditionInput | QuantityInput) -> tuple[Place, ...]:
        """The places of a condition or a quantity; those that are wrong are left out.

        Periodic coordinates are only checked.
        """
        if not self.names.reliable:
            return ()
        texts, points = item.on or (), item.at or ()
        found = [self.on(_numbered(path, "on", i, texts), text) for i, text in enumerate(texts)]
        for name in getattr(item, "periodic", None) or ():
            self.coordinate((*path, "periodic"), name)
        found += [self.point(_numbered(path, "at", i, points), point) for i, point in enumerate(points)]
        return tuple(place for place in found if place is not None)

    def groups(self, path: KeyPath, texts: Iterable[str]) -> tuple[Place, ...]:
        """The places of an equation: groups of cells, or the domain."""
        known = mesh_names(self.names.domain, self.folder)
        found = []
        for text in texts if known is not None else ():
            if text in self.names.regions:
                found.append(Place("region", text, text))
            elif text in known[1]:
                found.append(Place("group", text, text))
            elif text == "domain":
                found.append(Place("domain", text))
            else:
                self._no_group(path, text, (*self.names.regions, *known[1]))
        return tuple(found)

    def _no_group(self, path: KeyPath, text: str, groups: tuple[str, ...]) -> None:
        close = close_match(text, groups)
        nothing = "there are no `regions`, and there is no mesh that names any"
        known = f"the regions are {', '.join(groups)}" if groups else nothing
        hint = f"did you mean `{close}`?" if close else f"{known}; what holds on a boundary is a condition"
        self.reader.problem(path, f"`{text[:60]}` is no region in which an equation can hold", hint)

    # -- one place --

    def on(self, path: KeyPath, text: str) -> Place | None:
        """`boundary`, `domain`, a named part, a group of cells, or a face such as `x = 0`."""
        if text == "domain":
            return Place("domain", text)
        if text in self.parts:
            return Place("boundary", text, text)
        if text in self.names.regions:
            return Place("region", text, text)
        if text in self.cell_groups:
            return Place("group", text, text)
        if "/" in text and "=" not in text:
            return self.between(path, text)
        if text == "boundary":
            if not self.names.coordinates.space:
                message = "there is no boundary: time is the only coordinate"
                self.reader.problem(path, message, f"write {self.faces()}")
            return Place("boundary", text)
        if "=" in text:
            return self.face(path, text)
        if self.mesh is not None:  # else what is wrong with the mesh is said already
            self._no_place(path, text)
        return None

    def _no_place(self, path: KeyPath, text: str) -> None:
        if text in inner_names(self.names.domain, self.folder):
            message = f"`{text[:60]}` lies inside the mesh, and conditions hold on its boundary"
            hint = "between groups of cells, unknowns and fluxes are continuous; see the equations' `on`"
            self.reader.problem(path, message, hint)
            return
        named = (*self.parts, *self.names.regions, *self.cell_groups)
        close = close_match(text, ("boundary", "domain", *named))
        known = ", ".join(f"`{name}`" for name in ("boundary", "domain", *named))
        hint = f"did you mean `{close}`?" if close else f"a place is {known}, or a face: {self.faces()}"
        if not named and raw_files(self.names.domain):
            hint = "the mesh has no groups that name parts of its boundary; `boundary` is all of it"
        self.reader.problem(path, f"`{text[:60]}` is not a place of this problem", hint)

    def between(self, path: KeyPath, text: str) -> Place | None:
        """`fluid/solid`, where two regions meet."""
        regions, two = (*self.names.regions, *self.cell_groups), [part.strip() for part in text.split("/")]
        wrong = [name for name in two if name not in regions]
        if len(two) == 2 and not wrong and two[0] != two[1]:
            return Place("between", text, two[0], two[1])
        close = close_match(wrong[0], regions) if wrong else None
        known = f"the regions are {', '.join(regions)}" if regions else "state them under `regions`"
        hint = f"did you mean `{close}`?" if close else f"write `on: fluid/solid`; {known}"
        self.reader.problem(path, f"`{text[:60]}` is not where two regions meet", hint)
        return None

    def face(self, path: KeyPath, text: str) -> Place | None:
        """`x = 0`, also where it cuts through the domain."""
        try:
            left, right = self.reader.texts.equation(text)
            if isinstance(left, Name) and left.name in self.names.intervals:
                value = self.reader.constant(right)
                self.inside(path, left.name, value, text)
                return Place("point", text, fixed={left.name: value})
            name = left.name if isinstance(left, Name) else "the left side"
            message = f"{name} is not a coordinate"
            hint = f"a face is one of {self.faces()}"
            if isinstance(self.names.domain, dict) and "box" not in self.names.domain:
                hint = "write `on: boundary` for all of the boundary of the shape, and `where` for a part of it"
            self.reader.problem(path, message, hint, text=text, offset=0)
        except ExpressionError as error:
            self.reader.wrong(path, error, text)
        return None

    def point(self, path: KeyPath, point: dict) -> Place | None:
        """`{x: 0, y: 0}`; coordinates left out stay free."""
        fixed = {}
        for name, value in point.items():
            if self.coordinate((*path, name), name):
                fixed[name] = self.reader.number(value)
                self.inside((*path, name), name, fixed[name], str(value))
        return Place("point", ", ".join(f"{name} = {value}" for name, value in point.items()), fixed=fixed)

    def coordinate(self, path: KeyPath, name: str) -> bool:
        """Whether a name is that of a coordinate; says so where it is not."""
        if name in self.names.intervals:
            return True
        close = close_match(name, self.names.intervals)
        hint = f"did you mean `{close}`?" if close else f"the coordinates are {', '.join(self.names.intervals)}"
        self.reader.problem(path, f"`{name[:60]}` is not a coordinate", hint)
        return False

    def inside(self, path: KeyPath, name: str, value: float, text: str) -> None:
        """Says so where a coordinate lies outside its interval; one that a shape gives is not known yet."""
        try:
            low, high = (self.reader.number(end) for end in self.names.intervals[name])
        except (ExpressionError, TypeError, ValueError):
            return  # the interval is wrong and reported
        message = outside(name, value, (low, high)) if low < high else None
        if message is not None:
            self.reader.problem(path, message, text=text)

    # -- names --

    @cached_property
    def mesh(self) -> tuple[tuple[str, ...], tuple[str, ...]] | None:
        """The parts and groups that meshes name; None where a mesh cannot be read."""
        return mesh_names(self.names.domain, self.folder)

    @cached_property
    def parts(self) -> tuple[str, ...]:
        """The names of parts of the boundary."""
        return (*boundary_names(self.names.domain), *(self.mesh[0] if self.mesh else ()))

    @cached_property
    def cell_groups(self) -> tuple[str, ...]:
        """The groups of cells, where a mesh is all of the domain."""
        return self.mesh[1] if self.mesh and is_mesh(self.names.domain) else ()

    @property
    def named(self) -> tuple[str, ...]:
        """The places that have a name, over which an integral in an expression may be taken."""
        return ("domain", "boundary", *self.parts) if self.names.reliable else ("domain",)

    def faces(self) -> str:
        """The faces of the box as a hint lists them."""
        ends = ((c, ends) for c, ends in self.names.intervals.items() if isinstance(ends, list | tuple))
        listed = ", ".join(f'"{c} = {end}"' for c, pair in ends for end in pair)
        return listed or f'"{self.names.coordinates.names[0]} = 0"'


def _numbered(path: KeyPath, key: str, index: int, several: tuple) -> KeyPath:
    return (*path, key, index) if len(several) > 1 else (*path, key)
