"""The parts of a `Spec`, each in one form, whichever of the forms a problem file uses. No sympy."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

Number = str | int | float  # a text is a constant expression


@dataclass(frozen=True)
class EquationSpec:
    """Equations that hold in the domain, in its regions `on` if there are any, or where `where` says. `conservative`:
    whether every cell balances."""

    equations: tuple[str, ...]
    where: str | None = None
    on: tuple[str, ...] = ()
    conservative: bool = False


@dataclass(frozen=True)
class HomeSpec:
    """Where an unknown lives: in regions by name, or where a comparison holds."""

    within: tuple[str, ...] = ()
    where: str | None = None


@dataclass(frozen=True)
class ConditionSpec:
    """Equations that hold in a place: one of `on`, `at` and `periodic` is not empty; or an `integral` or a `mean` over
    the places `on`, and what it `equals`. `exactly`: whether it holds to rounding."""

    on: tuple[str, ...] = ()
    at: tuple[dict[str, Number], ...] = ()
    periodic: tuple[str, ...] = ()
    equations: tuple[str, ...] = ()
    where: str | None = None
    integral: str | None = None
    mean: str | None = None
    equals: str | None = None
    exactly: bool = False


@dataclass(frozen=True)
class DataSpec:
    """Measurements in a file of the problem's folder; `columns` are all of them, `noise` is a standard deviation."""

    file: str
    equations: tuple[str, ...]
    noise: float | None = None
    columns: tuple[str, ...] = ()
    loss: str = "squares"


@dataclass(frozen=True)
class FunctionSpec:
    """A function by a table in a file of the problem's folder: of the columns `of`, its values in `column`."""

    file: str
    of: tuple[str, ...]
    column: str
    interpolation: str = "cubic"
    outside: Number = "error"


@dataclass(frozen=True)
class StateFunctionSpec:
    """An unknown function of the state: what it is a function of, and what is known of it."""

    of: tuple[str, ...]
    positive: bool = False
    monotone: str | None = None


@dataclass(frozen=True)
class RangeSpec:
    """A parameter that takes all values between its `ends`, spaced linearly or by their logarithm (`log`)."""

    ends: tuple[Number, Number]
    spacing: str = "auto"


@dataclass(frozen=True)
class QuantitySpec:
    """A number to report: `kind` (integral, mean, maximum, minimum, value) of the text `expression`, and where."""

    kind: str
    expression: str
    on: tuple[str, ...] = ()
    at: tuple[dict[str, Number], ...] = ()
    where: str | None = None


@dataclass(frozen=True)
class EigenvaluesSpec:
    """Eigenvalues to find, by name: the `count` of them that are nearest to `near`."""

    name: str
    count: int = 6
    near: Number = 0


@dataclass(frozen=True)
class OutputSpec:
    """Where the solution is wanted: `times`, or how many; points of the `grid` for all axes of space, or by name."""

    times: tuple[Number, ...] | int | None = None
    grid: Mapping[str, int] | int | None = None


@dataclass(frozen=True)
class ReferenceSpec:
    """A file of the problem's folder with a solution of known accuracy."""

    file: str


@dataclass(frozen=True)
class RegularizationSpec:
    """The seminorm that an unknown function should be small in, by the order of its derivatives or by name, and its
    weight: a number, or how it is chosen."""

    seminorm: int | str
    weight: float | str


@dataclass(frozen=True)
class UnknownParameterSpec:
    """A constant to find."""

    guess: Number
    bounds: tuple[Number, Number] | None = None
