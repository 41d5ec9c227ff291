"""Shape trees as plain values, so that a run folder holds the domain of its solution.

Input: a `ShapeTree`. Output: maps, lists, texts and numbers that JSON can say, and the tree read back from them. Mesh
files are told by their names alone and lie beside what is stored.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any

from pinnsolve.geometry import shapes as tree
from pinnsolve.geometry.shapes import ShapeTree
from pinnsolve.language.from_sympy import to_text
from pinnsolve.language.symbols import coordinate_symbol
from pinnsolve.language.to_sympy import Scope, expression

_KINDS = {
    kind.__name__: kind
    for kind in (
        tree.Box,
        tree.Disk,
        tree.Ball,
        tree.Ellipse,
        tree.Polygon,
        tree.Cylinder,
        tree.HalfPlane,
        tree.Implicit,
        tree.MeshFile,
        tree.Union,
        tree.Intersection,
        tree.Difference,
    )
}


def to_plain(shape: ShapeTree) -> dict[str, Any]:
    """The tree as plain values."""
    values = {f.name: getattr(shape, f.name) for f in fields(shape)}
    if isinstance(shape, tree.Implicit):
        names = tuple(s.name for s in shape.symbols)
        values |= {"level": to_text(shape.level, names), "symbols": names}
    elif isinstance(shape, tree.MeshFile):
        values["path"] = shape.path.name
    return {"kind": type(shape).__name__, **{name: _plain(value) for name, value in values.items()}}


def _plain(value: Any) -> Any:
    if type(value).__name__ in _KINDS:
        return to_plain(value)
    return [_plain(item) for item in value] if isinstance(value, tuple) else value


def from_plain(plain: Mapping[str, Any], folder: Path) -> ShapeTree:
    """The tree again; mesh files lie in `folder`. Raises KeyError, TypeError or ValueError for anything else."""
    values = {name: _value(value, folder) for name, value in plain.items() if name != "kind"}
    if plain["kind"] == "Implicit":
        values["level"] = expression(values["level"], Scope(coordinates=values["symbols"]))
        values["symbols"] = tuple(coordinate_symbol(name) for name in values["symbols"])
    elif plain["kind"] == "MeshFile":
        values["path"] = folder / Path(values["path"]).name
    return _KINDS[plain["kind"]](**values)


def _value(value: Any, folder: Path) -> Any:
    if isinstance(value, Mapping):
        return from_plain(value, folder)
    return tuple(_value(item, folder) for item in value) if isinstance(value, list) else value


def mesh_files(shape: ShapeTree) -> tuple[Path, ...]:
    """The mesh files that a tree is read from."""
    return tuple(leaf.path for leaf in tree.primitives(shape) if isinstance(leaf, tree.MeshFile))
