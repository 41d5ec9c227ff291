"""Everything wrong with the shape of a problem file, at once and in words.

Input: the plain values of a file and the places they came from. Output: diagnostics, and what remains of the file when
wrong parts are mended (a misspelt key is taken for the one that was meant) or left out, so that its expressions can be
checked in the same go. No sympy.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from pinnsolve import extensions
from pinnsolve.errors import Diagnostic, ExpressionError, ProblemError
from pinnsolve.language.vocabulary import close_match
from pinnsolve.spec.schema import schema, shapes, solve
from pinnsolve.spec.schema.output import OutputInput
from pinnsolve.spec.schema.places import UnknownInput
from pinnsolve.spec.schema.ranges import RangeInput
from pinnsolve.spec.schema.types import MAX_ITEMS, Context, Strict

KeyPath = tuple[str | int, ...]
Model = TypeVar("Model", bound=BaseModel)
MAX_ERRORS = 100


@dataclass(frozen=True)
class Places:
    """The origin of the values of a file: lines of the file, or a `--set` of the command line.

    `data` are the values as mended, and `renamed` maps key paths in them to those in the file.
    """

    file: str | None = None
    lines: Mapping[KeyPath, int] = field(default_factory=dict)
    overrides: Mapping[KeyPath, str] = field(default_factory=dict)
    data: Any = None
    renamed: Mapping[KeyPath, KeyPath] = field(default_factory=dict)

    def diagnostic(
        self, path: KeyPath, message: str, hint: str | None = None, text: str | None = None, offset: int | None = None
    ) -> Diagnostic:
        """An error at a key path, with control characters made visible."""
        path = self.written(path)
        key = printable(".".join(map(str, path)))
        key = key if len(key) <= 120 else key[:117] + "..."
        file, line = self.file, self.line(path)
        for overridden, setting in self.overrides.items():
            if path[: len(overridden)] == overridden:
                file, line = f"--set {printable(setting)[:200]}", None
        text = None if text is None else printable(text)
        hint = None if hint is None else printable(hint)
        return Diagnostic(printable(message), "error", file, line, key or None, text, offset, hint)

    def expression(self, path: KeyPath, error: ExpressionError, text: Any) -> Diagnostic:
        """An error inside the text of an expression."""
        return self.diagnostic(path, error.message, error.hint, str(text), error.offset)

    def written(self, path: KeyPath) -> KeyPath:
        """The part of a key path that is in the file: below a text that stands for a list or map there is nothing."""
        node = self.data
        for depth, part in enumerate(path):
            if isinstance(node, list) and isinstance(part, int) and part < len(node):
                node = node[part]
            elif isinstance(node, dict):
                node = node.get(part)
            elif node is not None:
                path = path[:depth]
                break
        for length in range(len(path), 0, -1):
            if original := self.renamed.get(path[:length]):
                return (*original, *path[length:])
        return path

    def line(self, path: KeyPath) -> int | None:
        while path and path not in self.lines:
            path = path[:-1]
        return self.lines.get(path)


def printable(text: str) -> str:
    """The text with each control character replaced, so that a message cannot steer a terminal."""
    return "".join(c if c.isprintable() or c in "\n\t" else "\N{REPLACEMENT CHARACTER}" for c in text)


# -- keys -------------------------------------------------------------------------------------------------

_MODELS: dict[tuple[str, ...], type[Strict]] = {
    (): schema.ProblemFile,
    ("equations", "*"): schema.EquationInput,
    ("conditions", "*"): schema.ConditionInput,
    ("parameters", "*"): RangeInput,
    ("data", "*"): schema.DataInput,
    ("unknown_parameters", "*"): schema.UnknownParameterInput,
    ("functions", "*"): schema.FunctionInput,
    ("quantities", "*"): schema.QuantityInput,
    ("eigenvalues",): schema.EigenvaluesInput,
    ("unknowns", "*"): UnknownInput,
    ("regularization", "*"): schema.RegularizationInput,
    ("reference",): schema.ReferenceInput,
    ("output",): OutputInput,
    ("solve",): solve.SolveSettings,
    ("solve", "basis"): solve.BasisSpec,
    ("solve", "collocation"): solve.CollocationSpec,
    ("solve", "optimizer"): solve.OptimizerSpec,
    ("solve", "optimizer", "first_phase"): solve.FirstPhaseSpec,
    ("solve", "limits"): solve.LimitsSpec,
}


def mend_keys(data: dict[str, Any], places: Places) -> tuple[dict[str, Any], Places, list[Diagnostic]]:
    """The file with unknown keys renamed to what was meant or removed, its places, and an error for each of them."""
    mended, found, renamed = copy.deepcopy(data), [], dict(places.renamed)
    for pattern, model in _MODELS.items():
        for path, node in _matching(mended, pattern, ()):
            if pattern == ("solve", "basis") and _is_custom(node):
                continue
            found += _mend(node, model.keys(), path, replace(places, renamed=renamed), renamed)
    found += _mend_shapes(mended.get("domain"), places, renamed)
    return mended, replace(places, data=mended, renamed=renamed), found


def _mend_shapes(domain: Any, places: Places, renamed: dict[KeyPath, KeyPath]) -> list[Diagnostic]:
    """A tree of shapes is mended from the outside in, so that a misspelt `union` does not hide what is below it."""
    found = []
    if shapes.too_large(domain):
        return found
    for path, shape in shapes.raw_shapes(domain):
        found += _mend(shape, shapes.ShapeInput.keys(), path, replace(places, renamed=renamed), renamed)
        for key, model in shapes.SHAPE_MODELS.items():
            if isinstance(shape.get(key), dict):
                inner = replace(places, renamed=renamed)
                found += _mend(shape[key], model.keys(), (*path, key), inner, renamed)
    return found


def _is_custom(node: dict) -> bool:
    kind = node.get("kind")
    return isinstance(kind, str) and kind in extensions.BASES and kind not in extensions.BUILT_IN_BASES


def _matching(node: Any, pattern: tuple[str, ...], path: KeyPath) -> Iterator[tuple[KeyPath, dict]]:
    """The maps at key paths of a pattern, in which `*` stands for any key."""
    if not isinstance(node, dict):
        return
    if not pattern:
        yield path, node
        return
    for key in list(node) if pattern[0] == "*" else [pattern[0]]:
        if key in node:
            yield from _matching(node[key], pattern[1:], (*path, key))


def _mend(
    node: dict, allowed: tuple[str, ...], path: KeyPath, places: Places, renamed: dict[KeyPath, KeyPath]
) -> list[Diagnostic]:
    found = []
    for key in [key for key in node if key not in allowed]:
        meant = close_match(key, allowed)
        hint = f"did you mean `{meant}`?" if meant else f"the keys here are {', '.join(allowed)}"
        found.append(places.diagnostic((*path, key), "unknown key", hint))
        value = node.pop(key)
        if meant and meant not in node:
            node[meant] = value
            renamed[(*path, meant)] = places.written((*path, key))
    return found


def refuse_large(data: Mapping[str, Any], places: Places) -> None:
    """Raise `ProblemError` for a file with more entries than anyone writes, before time is spent on each."""
    large = [
        places.diagnostic((key,), f"too many entries: {len(value)}, at most {MAX_ITEMS}")
        for key, value in data.items()
        if isinstance(value, dict | list) and len(value) > MAX_ITEMS
    ]
    if large or len(data) > MAX_ITEMS:
        raise ProblemError(large or [places.diagnostic((), f"too many keys: {len(data)}")])


# -- values -----------------------------------------------------------------------------------------------

_NOT_NEEDED = ("where", "noise")  # keys that nothing else in their map depends on


def validate(
    data: dict[str, Any], context: Context, places: Places, model: type[Model]
) -> tuple[Model | None, list[Diagnostic]]:
    """The validated file without its wrong parts, and every error of its shape; None if nothing of it remains.

    `model` is that of a whole file, or of its settings.
    """
    remaining, found, dropped = copy.deepcopy(data), [], set()
    for _ in range(8):  # each round removes what the last one found, which may bring out more
        try:
            return model.model_validate(remaining, context=context), found
        except ValidationError as error:
            bad = [_Error.of(item, remaining) for item in error.errors(include_url=False, include_input=False)]
        for item in bad:
            if not any(path[: len(item.path)] == item.path for path in dropped):
                found.append(item.diagnostic(places))
        for item in sorted(bad, key=lambda item: _sortable(item.path), reverse=True):
            if item.path and item.path[-1] not in _NOT_NEEDED:
                dropped.add(item.path)
            _remove(remaining, item)
    return None, found


@dataclass(frozen=True)
class _Error:
    """One of pydantic's errors, with its place in the file as written."""

    path: KeyPath
    kind: str
    message: str
    details: Mapping[str, Any]

    @staticmethod
    def of(item: Mapping[str, Any], data: Any) -> _Error:
        path: list[str | int] = []
        node = data
        for part in item["loc"]:
            if isinstance(node, list) and not isinstance(part, int):
                break
            if not isinstance(node, dict | list):
                break  # a short form: one text where the model has a list or a map
            if isinstance(node, dict) and part not in node and item["type"] != "missing":
                break
            path.append(part)
            node = node[part] if not isinstance(node, dict) else node.get(part)
        return _Error(tuple(path), item["type"], item["msg"], item.get("ctx", {}))

    def diagnostic(self, places: Places) -> Diagnostic:
        if self.kind == "missing":
            return places.diagnostic(self.path, "the key is missing", _MISSING.get(str(self.path[-1])))
        details = self.details if self.kind == "problem" else {}
        return places.diagnostic(
            self.path, self.message, details.get("hint"), details.get("text"), details.get("offset")
        )


_MISSING = {
    "name": "give the problem a short name: `name: heat`",
    "unknowns": "name the unknown functions: `unknowns: u`, or `unknowns: [u, v]`",
    "file": "name a CSV or NPZ file beside the problem file",
    "range": "give its ends: `{range: [0.01, 1], spacing: log}`",
    "guess": "say where to start: `{guess: 1}`",
    "center": "give the point in the middle: `center: [0, 0]`",
    "radius": "give it as a number above 0: `radius: 1`",
    "radii": "give the two half-axes: `radii: [2, 1]`",
    "ends": "give the centers of both ends: `ends: [[0, 0, 0], [0, 0, 1]]`",
    "normal": "give the direction out of the half-plane: `normal: [1, 0]`",
}


def _sortable(path: KeyPath) -> tuple[tuple[bool, Any], ...]:
    return tuple((isinstance(part, str), part) for part in path)


def _remove(data: dict[str, Any], item: _Error) -> None:
    """Leave the wrong part out; a part that the file cannot do without is replaced by a stand-in."""
    path = item.path
    if path in (("name",), ("unknowns",)) or path[:1] == ("unknowns",):
        data[str(path[0])] = "unnamed"
        return
    if item.kind == "missing":
        path = path[:-1]  # the map is of no use without the key
    parent: Any = data
    for part in path[:-1]:
        if not isinstance(parent, dict | list) or (isinstance(parent, dict) and part not in parent):
            return
        parent = parent[part]
    if not path:
        return
    if isinstance(parent, dict):
        parent.pop(path[-1], None)
    elif isinstance(parent, list) and isinstance(path[-1], int) and path[-1] < len(parent):
        del parent[path[-1]]
