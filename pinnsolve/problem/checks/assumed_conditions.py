"""Conditions assumed where an elliptic system has too few, and the warnings that say so.

Input: a `StatedProblem`. Output: `AssumedConditions`, alike ones together, and diagnostics. No array library.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import sympy as sp

from pinnsolve.errors import Diagnostic, ExpressionError
from pinnsolve.geometry.regions import Piece, Region
from pinnsolve.language.from_sympy import to_text
from pinnsolve.language.substitution import substituted
from pinnsolve.problem.checks.findings import quoted, warning
from pinnsolve.problem.checks.missing_conditions import Missing, missing_conditions
from pinnsolve.problem.checks.natural_conditions import FluxesOf, Normal, natural_conditions, with_derivatives

if TYPE_CHECKING:
    from pinnsolve.problem.stated import StatedProblem

STATE = "state it, or what holds instead"
NATURAL, MOST_TEXT = "the natural condition", 200  # in place of longer equations
OPEN = "the solution is not unique: say what holds there"


@dataclass(frozen=True)
class AssumedCondition:
    """Residuals that hold in `region` besides what is stated there."""

    region: Region
    residuals: tuple[sp.Expr, ...]


@dataclass(frozen=True)
class AssumedConditions:
    """The conditions that are assumed, and the warnings about every place.

    `decided` is whether it could be told what is missing; `incomplete`, whether something is missing for which nothing
    is assumed.
    """

    decided: bool
    conditions: tuple[AssumedCondition, ...] = ()
    warnings: tuple[Diagnostic, ...] = ()

    @property
    def incomplete(self) -> bool:
        return len(self.warnings) > len(self.conditions)


UNDECIDED = AssumedConditions(False)


def assumed_conditions(problem: StatedProblem, fluxes: FluxesOf) -> AssumedConditions:
    """The conditions that are missing on the boundary of a problem, and those that complete it."""
    missing = missing_conditions(problem)
    if missing is None:
        return UNDECIDED
    pieces = (piece for statement in problem.of_kind("condition") for piece in statement.region.pieces)
    nothing_stated = not any(_is_boundary(piece, problem) for piece in pieces)  # then nothing is clear
    assumed, warnings = [], []
    for residuals, several in _alike([(_natural(problem, m, fluxes, nothing_stated), m) for m in missing]):
        first = several[0]
        found = f"too few conditions: {_places(several)} {_given(first)}, and the equations need {first.needed}"
        if not residuals:
            warnings.append(warning(problem, "conditions", found, OPEN))
            continue
        label = ", ".join(m.label for m in several)
        region = Region(label, tuple(m.piece for m in several), first.where)
        assumed.append(AssumedCondition(region, tuple(with_derivatives(problem, r) for r in residuals)))
        verb = "is" if len(residuals) == 1 else "are"
        found += f"; {_words(problem, residuals)} {verb} assumed there"
        warnings.append(warning(problem, "conditions", found, STATE))
    return AssumedConditions(True, tuple(assumed), tuple(warnings))


def _is_boundary(piece: Piece, problem: StatedProblem) -> bool:
    """Whether a piece is more of the boundary in space than a point or an edge."""
    faces = (piece.outward, piece.partner)
    return piece.part is not None or any(face is not None and face[0] in problem.space_axes for face in faces)


def _natural(problem: StatedProblem, missing: Missing, fluxes: FluxesOf, nothing_stated: bool) -> tuple[sp.Expr, ...]:
    return () if nothing_stated or not missing.clear else natural_conditions(problem, missing, fluxes)


def _alike(found: Sequence[tuple[tuple, Missing]]) -> list[tuple[tuple, list[Missing]]]:
    """The assumed residuals, each with the places that share them and the stated conditions."""
    groups: dict[object, tuple[tuple, list[Missing]]] = {}
    for residuals, m in found:
        stated = tuple(c.statement.name for c in m.conditions)
        groups.setdefault((residuals, stated, m.where, m.given, m.needed), (residuals, []))[1].append(m)
    return list(groups.values())


# -- words --------------------------------------------------------------------------------------------------------


def _words(problem: StatedProblem, residuals: Sequence[sp.Expr]) -> str:
    """Residuals as equations of the language: `Dn(v) = 0`."""
    texts = []
    for residual in residuals:
        names = {s: sp.Symbol("Dn(" * s.order + s.unknown + ")" * s.order) for s in residual.atoms(Normal)}
        try:
            text = f"`{to_text(substituted(residual, names), problem.coordinates)} = 0`"
        except ExpressionError:
            text = NATURAL
        texts.append(text if len(text) <= MOST_TEXT else NATURAL)
    return " and ".join(texts)


def _places(several: Sequence[Missing]) -> str:
    """`on the faces x = 0 and y = 1`"""
    first, *more = places = [m.place for m in several]
    start = first.removesuffix(several[0].label)
    if more and start.endswith("face ") and all(place.startswith(start) for place in places):
        first, *more = (m.label for m in several)
        first = f"the faces {first}"
    return f"on {', '.join([first, *more[:-1]])} and {more[-1]}" if more else f"on {first}"


def _given(missing: Missing) -> str:
    names = list(dict.fromkeys(c.statement.name for c in missing.conditions))
    by = f" ({quoted(names)})" if names else ""
    words = {0: "there is no condition", 1: f"there is 1 condition{by}"}
    return words.get(missing.given, f"there are {missing.given} conditions{by}")
