"""The boundary value problem as mathematics: a frozen value whose statements hold sympy residuals on regions.

It is made from a spec by `statements`, and looked at by `checks`. No array library.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import sympy as sp

from pinnsolve.errors import Diagnostic
from pinnsolve.geometry.regions import Intervals, Region, Subdomain
from pinnsolve.geometry.shapes import MeshFile, ShapeTree, primitives
from pinnsolve.language.components import component_names
from pinnsolve.language.coordinates import Coordinates
from pinnsolve.language.symbols import IntegralSymbol, UnknownParameter
from pinnsolve.language.to_sympy import Fluxes
from pinnsolve.language.vectors import component_of
from pinnsolve.problem.divergence import Divergence
from pinnsolve.spec.output import Output
from pinnsolve.spec.ranges import ParameterRange
from pinnsolve.spec.spec import SolveSettings, Spec


@dataclass(frozen=True)
class StatedTerm:
    """A named equation, condition or data term: residuals (left minus right side) that vanish on a region.

    `fluxes` are, of equations some of which hold in a part or compare, what they take derivatives of; `exactly`:
    whether a condition holds to rounding; `balances`: of an equation that every cell is to balance, its divergence form
    by residual.
    """

    name: str
    kind: str  # "equation", "condition" or "data"
    residuals: tuple[sp.Expr, ...]
    region: Region
    data_file: Path | None = None
    noise: float | None = None
    key: str = ""
    fluxes: tuple[Fluxes, ...] = ()
    robust: bool = False
    exactly: bool = False
    balances: tuple[Divergence, ...] = ()


@dataclass(frozen=True)
class StatedBetween:
    """Conditions where two subdomains meet: residuals, whose normal points out of the first."""

    name: str
    residuals: tuple[sp.Expr, ...]
    sides: tuple[Subdomain, Subdomain]
    key: str = ""


@dataclass(frozen=True)
class StatedQuantity:
    """A quantity to report: an expression of unknowns, what becomes of it (`kind`), and on which region; where the
    `integrals` in the expression are taken."""

    name: str
    kind: str
    expression: sp.Expr
    region: Region
    integrals: Mapping[IntegralSymbol, Region] = field(default_factory=dict)


@dataclass(frozen=True)
class Eigenvalues:
    """Eigenvalues to find, the `count` of them nearest to `near`; equations hold them to the power `degree`.

    Where unknowns are complex, `near` is, and equations hold the eigenvalue by its two parts, the `symbols`.
    """

    name: str
    count: int
    near: complex
    degree: int = 1

    @property
    def is_complex(self) -> bool:
        """Whether unknowns are complex."""
        return isinstance(self.near, complex)

    @property
    def symbols(self) -> tuple[str, ...]:
        """The names by which equations hold the eigenvalue."""
        return component_names(self.name) if self.is_complex else (self.name,)


@dataclass(frozen=True, repr=False)
class StatedProblem:
    """A boundary value problem by its parts.

    `unknowns` are real: for each of the `complex_unknowns` there are two, see `language.components`.
    `shape` is the domain in space where it is no box, and `intervals` then span a box around it. `exact` maps unknowns
    to expressions in the coordinates, and `guess` to those that a solve starts from; `integrals` are those of the
    statements, those inside others first, and where they are taken; `homes` maps unknowns that do not live everywhere
    to where they do, and `between` holds where regions meet; `warnings` are what the checks found.
    """

    name: str
    axes: Coordinates
    intervals: Intervals
    unknowns: tuple[str, ...]
    parameters: Mapping[str, float]
    unknown_parameters: tuple[UnknownParameter, ...]
    statements: tuple[StatedTerm, ...]
    exact: Mapping[str, sp.Expr]
    reference: Path | None
    spec: Spec
    shape: ShapeTree | None = None
    quantities: tuple[StatedQuantity, ...] = ()
    eigenvalues: Eigenvalues | None = None
    integrals: Mapping[IntegralSymbol, Region] = field(default_factory=dict)
    guess: Mapping[str, sp.Expr] = field(default_factory=dict)
    complex_unknowns: tuple[str, ...] = ()
    homes: Mapping[str, Subdomain] = field(default_factory=dict)
    between: tuple[StatedBetween, ...] = ()
    other_guesses: tuple[Mapping[str, sp.Expr], ...] = ()
    warnings: tuple[Diagnostic, ...] = field(default=(), compare=False)

    def __repr__(self) -> str:
        functions = ", ".join(f"{unknown}({', '.join(self.coordinates)})" for unknown in self.spec.unknowns)
        terms = ", ".join(statement.name for statement in self.statements)
        return f"<{type(self).__name__} {self.name!r}: {functions}; {terms}>"

    @property
    def coordinates(self) -> tuple[str, ...]:
        """The names of the coordinates."""
        return self.axes.names

    @property
    def time(self) -> str | None:
        """The name of the coordinate of time, if there is one."""
        return self.axes.time

    @property
    def space_axes(self) -> tuple[int, ...]:
        """The positions of the coordinates of space."""
        return self.axes.space_axes

    @property
    def settings(self) -> SolveSettings:
        """The settings of the solve."""
        return self.spec.solve

    @property
    def vectors(self) -> tuple[tuple[str, ...], ...]:
        """The components of each vector among the unknowns."""
        return tuple(tuple(component_of(v, c) for c in self.axes.space) for v in self.spec.vectors)

    def files(self) -> dict[str, Path]:
        """The files that the problem file names, as it names them, and where they lie."""
        spec = self.spec
        names = [item.file for item in (*spec.data.values(), *spec.functions.values())]
        names += [spec.reference.file] if spec.reference else []
        found = {name: spec.folder / name for name in names}
        for leaf in primitives(self.shape) if self.shape is not None else ():
            if isinstance(leaf, MeshFile):
                found[leaf.path.relative_to(spec.folder.resolve()).as_posix()] = leaf.path
        return found

    @property
    def ranges(self) -> Mapping[str, ParameterRange]:
        """The parameters of which the solution is a function, too; in `parameters` is the middle of each."""
        return self.spec.parsed.ranges

    @property
    def output(self) -> Output:
        """The times and the grid that tables, exports and figures should have."""
        return self.spec.parsed.output

    def of_kind(self, kind: str) -> tuple[StatedTerm, ...]:
        return tuple(s for s in self.statements if s.kind == kind)
