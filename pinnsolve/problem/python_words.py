"""What a person writes to state a problem in Python: symbols, domains, conditions, data, quantities.

Input: names, numbers, sympy, texts of our language. Output: plain values, which `python_api` turns into the text of a
problem file. No array library.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import sympy as sp

from pinnsolve.errors import Diagnostic, ProblemError
from pinnsolve.language.indices import component
from pinnsolve.language.symbols import coordinate_symbol
from pinnsolve.language.vocabulary import RESERVED
from pinnsolve.spec.schema.types import IDENTIFIER

Text = str | int | float | sp.Basic  # an expression: a text of our language, a number, or sympy
Statement = str | sp.Basic  # an equation: a text, or `sp.Eq`
Unknowns = str | sp.Expr | Sequence[str | sp.Expr] | Mapping[Any, Any]


def coordinates(names: str, count: int | None = None) -> sp.Symbol | tuple[sp.Symbol, ...]:
    """Real sympy symbols for the names given, as in `x, y = coordinates("x y")`; a single symbol for a single name.

    With a `count`, the components of an indexed coordinate: `x = coordinates("x", count=10)` are x1 to x10.
    """
    if count is not None:
        names = " ".join(component(name, k) for name in re.split(r"[\s,]+", names.strip()) for k in range(1, count + 1))
    symbols = tuple(coordinate_symbol(name) for name in re.split(r"[\s,]+", names.strip()))
    for symbol in symbols:
        _check_name(symbol.name)
    return symbols if len(symbols) > 1 or count is not None else symbols[0]


def unknown(name: str, *arguments: sp.Symbol, complex: bool = False) -> sp.Expr:
    """An unknown function of the coordinates: a real sympy function, or a `complex` one, applied to them."""
    _check_name(name)
    return sp.Function(name, **({"complex": True} if complex else {"real": True}))(*arguments)


def _check_name(name: str) -> None:
    if not IDENTIFIER.fullmatch(name) or name in RESERVED:
        why = "is part of the language" if name in RESERVED else "is no name"
        raise ProblemError([Diagnostic(f"`{name}` {why}", hint="letters, digits and `_`, as in `x` or `x_1`")])


def integral(expression: Any, over: str | None = None) -> sp.Expr:
    """The integral of an expression over space at the same time, or over the part of the boundary of that name."""
    return _integral("integral", expression, over)


def mean(expression: Any, over: str | None = None) -> sp.Expr:
    """The mean of an expression over space at the same time, or over the part of the boundary of that name."""
    return _integral("mean", expression, over)


def _integral(kind: str, expression: Any, over: str | None) -> sp.Expr:
    if over is not None and not IDENTIFIER.fullmatch(over):
        hint = "name it, as in `Shape({...}, boundary=...)`; quantities and conditions may be `on` `x = 0`"
        raise ProblemError([Diagnostic(f"{kind} over {over!r}: a part of the boundary has a name here", hint=hint)])
    place = () if over is None else (sp.Symbol(over, real=True),)
    return sp.Function(kind, real=True)(sp.sympify(expression, strict=True), *place)


@dataclass(frozen=True, init=False)
class Box:
    """A box: `Box(t=(0, 1), x=(0, 2*sp.pi))`, coordinate to its interval, in the order of the coordinates.

    `Box(x={"count": 10, "interval": (-1, 1)})` has the coordinates x1 to x10, and `Box(r=(0, 1), system="polar")` is a
    disk: `laplacian`, `grad`, ... in texts are those of the system, and `u.diff(r)` is the derivative by r alone.
    """

    intervals: Mapping[str, Any]

    def __init__(self, **intervals: Any):
        vars(self)["intervals"] = intervals


@dataclass(frozen=True, init=False)
class Shape:
    """A domain that is no box: `Shape({"disk": {"center": [0, 0], "radius": 1}, "boundary": "rim"}, "x y")`.

    `tree` says what stands under `domain` in a problem file; its numbers may be sympy, and `implicit` a sympy
    comparison. `coordinates` of space are symbols or names, or with an implicit shape a map to the intervals of a box
    around it. `time` is a map from its coordinate to its interval, as in `time={t: (0, 3)}`.
    """

    tree: Mapping[str, Any]
    coordinates: Any
    time: Mapping[Any, tuple[Text, Text]] | None

    def __init__(self, tree: Mapping[str, Any], coordinates: Any, time: Mapping | None = None):
        names = re.split(r"[\s,]+", coordinates.strip()) if isinstance(coordinates, str) else coordinates
        vars(self).update(tree=tree, coordinates=names, time=time)


@dataclass(frozen=True, kw_only=True)
class Condition:
    """Equations that hold in a place.

    The place is one of `on` (`"boundary"`, `"x = 0"`, `sp.Eq(x, 0)`, or a list), `at` (a point `{x: 0, y: 0}`, or a
    list) and `periodic` (a coordinate, or a list). `equation` is an `sp.Eq` or a text, `equations` a list of them;
    `where` narrows the place. Instead of an equation, the `integral` or the `mean` of an expression over the place
    `equals` something. `exactly=True`: it holds to rounding.
    """

    on: Any = None
    at: Any = None
    periodic: Any = None
    equation: Any = None
    equations: Any = None
    integral: Any = None
    mean: Any = None
    equals: Any = None
    where: Any = None
    exactly: Any = None


@dataclass(frozen=True, kw_only=True)
class Data:
    """Measurements, and how unknowns and their columns belong together: `sp.Eq(u, sp.Symbol("measured"))`.

    They are in a CSV or NPZ `file`, or are `columns`: a map from names (or coordinates) to arrays, a data frame, or a
    structured array, with a column for each coordinate.
    """

    file: str | Path | None = None
    columns: Any = None
    equation: Any = None
    equations: Any = None
    noise: Text | None = None
    loss: str | None = None


@dataclass(frozen=True, kw_only=True)
class Table:
    """A function by a table: `functions={"k": Table(file="k.csv", of=[x, y])}`, in equations `sp.Function("k")(x, y)`.

    `columns` instead of a file: a map from names to arrays, a data frame or a structured array. `of`: its arguments,
    coordinates or names of columns; `column`: that of its values; `interpolation`: `"cubic"`, `"linear"` or
    `"nearest"`; `outside` of the table: `"error"`, `"hold"` or a number.
    """

    file: str | Path | None = None
    columns: Any = None
    of: Any
    column: str | None = None
    interpolation: str | None = None
    outside: Any = None


class Range(dict):
    """All values of a parameter from `low` to `high`: `parameters={nu: Range(0.01, 1, spacing="log")}`."""

    def __init__(self, low: Text, high: Text, spacing: str = "auto"):
        super().__init__(range=[low, high], spacing=spacing)


class eigenvalues(dict):
    """What `eigenvalues` of a problem says: `eigenvalues(lam, count=6, near=0)` with a symbol or a name."""

    def __init__(self, name: Any, count: int = 6, near: Text | complex = 0):
        if isinstance(near, sp.Expr) and near.is_number:
            near = complex(near) if near.has(sp.I) else near
        if isinstance(near, complex):
            near = f"{near.real!r} + {near.imag!r}*i" if near.imag else near.real
        super().__init__(name=getattr(name, "name", name), count=count, near=near)


@dataclass(frozen=True, kw_only=True)
class quantity:
    """A number to report: one of `integral`, `mean`, `maximum`, `minimum` on a place, or a `value` at a point."""

    on: Any = None
    at: Any = None
    integral: Any = None
    mean: Any = None
    maximum: Any = None
    minimum: Any = None
    value: Any = None
    where: Any = None


@dataclass(frozen=True, kw_only=True)
class StatedInPython:
    """The keywords that state a problem in Python; they are the keys of a problem file.

    `domain`: a `Box` or a `Shape`. `unknowns`: applied functions `u = unknown("u", x, y)`, or names, or a map that says
    of each whether it is `"real"` or `"complex"`, or which region it lives in: `{p: "fluid", psi: "complex"}`; with
    complex ones, `sp.I` is the imaginary unit in equations. `regions`: name to a tree as of a `Shape`, or to a
    comparison of the coordinates. `equations`: term
    name to `sp.Eq`, text, or `{"equation": ..., "where": ...}`. `conditions`, `data`: term name to `Condition`, `Data`.
    `exact`, `guess`, `parameters`: expressions by unknown and by name; a parameter may be a `Range`;
    `guess={"run": folder}` starts from a run.
    `discover`: by equation, terms that it may have. `functions`: name to `Table`. `output`:
    `{"times": [0, 1], "grid": 64}`. `folder`: where data files lie.
    """

    name: str
    domain: Box | Shape | Mapping[Any, Any]
    unknowns: Unknowns
    regions: Mapping[str, Any] | None = None
    equations: Mapping[str, Statement | Sequence[Statement] | Mapping[str, Any]] | None = None
    conditions: Mapping[str, Condition | Mapping[str, Any]] | None = None
    data: Mapping[str, Data | Mapping[str, Any]] | None = None
    exact: Mapping[Any, Any] | Text | None = None
    guess: Mapping[Any, Any] | Sequence[Any] | Text | None = None
    parameters: Mapping[Any, Text | Range] | None = None
    unknown_parameters: Mapping[Any, Mapping[str, Any]] | None = None
    discover: Mapping[str, Any] | None = None
    regularization: Mapping[Any, Any] | None = None
    eigenvalues: eigenvalues | Mapping[str, Any] | None = None
    functions: Mapping[str, Table | Mapping[str, Any]] | None = None
    quantities: Mapping[str, quantity | Mapping[str, Any]] | None = None
    definitions: Mapping[str, Text] | None = None
    time: str | sp.Symbol | None = None
    solve: Mapping[str, Any] | None = None
    title: str | None = None
    description: str | None = None
    cite: str | Sequence[str] = ()
    reference: str | Path | Mapping[str, Any] | None = None
    output: Mapping[str, Any] | None = None
    folder: str | Path | None = None
