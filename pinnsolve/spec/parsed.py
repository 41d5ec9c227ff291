"""The parsed form of a problem file: checked trees, resolved places, and values.

`Spec` keeps these beside the texts, each with the key path where it stands, so that the problem is built from them and
no text is parsed or checked a second time. Definitions are put into the trees. No sympy.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any

from pinnsolve.language.constants import Value, evaluate
from pinnsolve.language.syntax import Node
from pinnsolve.spec.located_errors import KeyPath
from pinnsolve.spec.output import Output
from pinnsolve.spec.ranges import ParameterRange

Interval = tuple[float, float]
COMBINATION = "combination"  # the kind of a quantity that is made of others


@dataclass(frozen=True)
class ParsedExpression:
    """An expression or comparison, and where it stands."""

    text: str
    path: KeyPath
    tree: Node


@dataclass(frozen=True)
class ParsedEquation:
    """An equation by its left and right side, and where it stands; of an equation between vectors, a `component`."""

    text: str
    path: KeyPath
    sides: tuple[Node, Node]
    component: str = ""


@dataclass(frozen=True)
class Place:
    """The place in which a condition or an equation holds.

    `kind` is `domain`; `boundary`, all of it or the `part` of that name; `group`, the group of cells `part` of a mesh;
    `region`, the region `part`; `between`, where the regions `part` and `other` meet; or `point`, where the coordinates
    in `fixed` have these values and the others are free.
    """

    kind: str
    label: str
    part: str = ""
    other: str = ""
    fixed: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class ParsedIntegral:
    """What a condition says of an integral, or of a mean (`kind`): that of an expression `equals` another one."""

    kind: str
    expression: ParsedExpression
    equals: ParsedExpression


@dataclass(frozen=True)
class ParsedTerm:
    """The equations of a term, the comparison that narrows its region, and its places; a condition may have an
    `integral` over these in the place of equations."""

    equations: tuple[ParsedEquation, ...]
    where: ParsedExpression | None = None
    places: tuple[Place, ...] = ()
    integral: ParsedIntegral | None = None


@dataclass(frozen=True)
class ParsedQuantity:
    """A quantity to report: what becomes of an expression (`kind`), where; without places, in the domain.

    The expression of a `COMBINATION` is one of other quantities.
    """

    kind: str
    expression: ParsedExpression
    places: tuple[Place, ...] = ()
    where: ParsedExpression | None = None


@dataclass(frozen=True)
class ParsedHome:
    """Where an unknown lives: in `places`, or where a comparison holds."""

    places: tuple[Place, ...] = ()
    where: ParsedExpression | None = None


@dataclass(frozen=True)
class ParsedUnknownParameter:
    """The start of the search for a constant, and its bounds."""

    guess: float
    bounds: Interval


@dataclass(frozen=True)
class ParsedEigenvalues:
    """Eigenvalues to find: their name, how many, and the number that they are nearest to."""

    name: str
    count: int
    near: complex  # a float where unknowns are real


@dataclass(frozen=True)
class TermWeights:
    """The epsilon_k that a file asks for: by term a tree that may hold the width `W`; `values` are the parameters'."""

    trees: Mapping[str, Node] = field(default_factory=dict)
    values: Mapping[str, Value] = field(default_factory=dict)

    def at(self, width: int) -> dict[str, float]:
        """The weights as numbers for a basis of that width."""
        values = {**self.values, "W": Fraction(width)}
        return {name: float(evaluate(tree, values)) for name, tree in self.trees.items()}


@dataclass(frozen=True)
class ParsedFile:
    """Everything that was read of one file.

    `parameters` are trees, `values` their values, each by those before it; of `ranges`, these are the middle.
    `intervals` are None where the shape of the
    domain tells; `domain` is the tree of shapes with numbers in the place of texts, and a `ParsedExpression` in that of
    the text of an implicit shape; `regions` are such trees, too, or comparisons; `homes` of the unknowns with one.
    """

    parameters: Mapping[str, ParsedExpression]
    values: Mapping[str, Value]
    intervals: Mapping[str, Interval | None]
    domain: Any
    equations: Mapping[str, ParsedTerm]
    conditions: Mapping[str, ParsedTerm]
    data: Mapping[str, ParsedTerm]
    unknown_parameters: Mapping[str, ParsedUnknownParameter]
    discover: Mapping[str, tuple[ParsedExpression, ...]]
    exact: Mapping[str, ParsedExpression]
    quantities: Mapping[str, ParsedQuantity]
    eigenvalues: ParsedEigenvalues | None
    guess: Mapping[str, ParsedExpression]
    regions: Mapping[str, Any]
    homes: Mapping[str, ParsedHome]
    term_weights: TermWeights | None  # None for weights chosen by the solver
    other_guesses: tuple[Mapping[str, ParsedExpression], ...] = ()
    ranges: Mapping[str, ParameterRange] = field(default_factory=dict)
    output: Output = field(default_factory=Output)
