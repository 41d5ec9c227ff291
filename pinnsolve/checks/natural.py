"""What is assumed where conditions are missing: the natural conditions that the stated ones leave open.

Where nothing is stated, second-order equations i have the natural condition that their flux through the boundary
vanishes, sum_j L_ij(n) Dn^(o_ij - 1) u_j = 0 with the principal part L of order o_ij and the normal n: Dn(u) = 0 for the
Laplacian, Dn(u)/Re = p*n for the velocity of a flow. A stated condition on u_j takes the place of the natural one in the
direction L_.j(n) of the equations; what is left is orthogonal to all of these. So beside p = 0, the velocity along the
boundary no longer changes across it. Of one equation of order 2k, a condition on the derivative of order q across the
boundary takes the place of order 2k - 1 - q, or its own (Lions & Magenes, Non-Homogeneous Boundary Value Problems and
Applications I, chapter 2, section 2).

Input: the places that miss conditions. Output: residuals that complete them, as statements, and warnings. No array
library.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import product
from math import prod
from typing import TYPE_CHECKING

import sympy as sp

from pinnsolve.checks.findings import quoted, warning
from pinnsolve.checks.places import Missing, missing_conditions
from pinnsolve.errors import Diagnostic, ExpressionError
from pinnsolve.geometry.regions import Piece, Region
from pinnsolve.printing import to_text
from pinnsolve.terms import coordinate_symbol, feature_symbol
from pinnsolve.terms_folding import substituted

if TYPE_CHECKING:
    from pinnsolve.problem import Problem

HINT = "state it, or what holds instead"
NO_HINT = "the solution is not unique: say what holds there"


@dataclass(frozen=True)
class Assumed:
    """Residuals that hold in `region` besides what is stated there, and the same in words."""

    region: Region
    residuals: tuple[sp.Expr, ...]
    words: str


@dataclass(frozen=True)
class Completion:
    """What is assumed, and the warnings about every place; `decided` is whether it could be told what is missing."""

    decided: bool
    assumed: tuple[Assumed, ...] = ()
    warnings: tuple[Diagnostic, ...] = ()


def completion(problem: Problem) -> Completion:
    """What is missing on the boundary of a problem, and what completes it."""
    missing = missing_conditions(problem)
    if missing is None:
        return Completion(False)
    pieces = (piece for statement in problem.of_kind("condition") for piece in statement.region.pieces)
    bare = not any(_is_boundary(piece, problem) for piece in pieces)
    assumed, warnings = [], []
    for residuals, several in _alike(problem, missing, bare):
        first = several[0]
        found = f"too few conditions: {_places(several)} {_given(first)}, and {_needed(first)}"
        if not residuals:
            warnings.append(warning(problem, "conditions", found, NO_HINT))
            continue
        label = ", ".join(m.place.removeprefix("the ").removeprefix("face ") for m in several)
        region = Region(label, tuple(m.piece for m in several), first.where)
        words = _words(problem, residuals)
        assumed.append(Assumed(region, tuple(_with_derivatives(problem, r) for r in residuals), words))
        verb = "is" if len(residuals) == 1 else "are"
        warnings.append(warning(problem, "conditions", f"{found}; {words} {verb} assumed there", HINT))
    return Completion(True, tuple(assumed), tuple(warnings))


def _is_boundary(piece: Piece, problem: Problem) -> bool:
    return piece.part is not None or any(axis in problem.space_axes for axis, _ in piece.fixed)


# -- the natural conditions ---------------------------------------------------------------------------------------


class Normal(sp.Symbol):
    """Stands for the derivative of some order of an unknown across the boundary."""

    __slots__ = ("order", "unknown")

    def __new__(cls, unknown: str, order: int):
        symbol = sp.Symbol.__xnew__(cls, f"{unknown};{order}", real=True)
        symbol.unknown, symbol.order = unknown, order
        return symbol

    def __getnewargs_ex__(self):
        return (self.unknown, self.order), {}


def _natural(problem: Problem, missing: Missing) -> tuple[sp.Expr, ...]:
    """Residuals in `Normal`s; none where it cannot be told which."""
    orders, wanted = missing.principal.orders, missing.needed - missing.given
    if len(problem.unknowns) == 1:
        return _of_one_unknown(problem, missing, orders[0, 0] // 2)
    second = sorted({i for (i, _), order in orders.items() if order == 2})
    if len(second) != missing.needed or max(orders.values()) > 2:
        return ()
    normal = _normal(problem, missing.piece)
    symbols = {key: _symbol(problem, missing, *key, normal) for key in orders if key[0] in second}
    taken = [_direction(problem, missing, c, symbols, second) for c in missing.conditions]
    taken = [column for column in dict.fromkeys(taken) if any(entry != 0 for entry in column)]
    rows = _complement(taken, len(second))
    if rows is None or len(second) - len(taken) != wanted or len(taken) != missing.given:
        return ()
    fluxes = [
        sum(
            symbols[i, j] * Normal(name, orders[i, j] - 1)
            for j, name in enumerate(problem.unknowns)
            if orders.get((i, j), 0) > 0
        )
        for i in second
    ]
    combined = [sp.expand(sum(w * flux for w, flux in zip(row, fluxes, strict=True))) for row in rows]
    return tuple(map(_without_factor, combined))


def _of_one_unknown(problem: Problem, missing: Missing, half: int) -> tuple[sp.Expr, ...]:
    """Of the orders half to 2 half - 1, those that no stated condition takes the place of."""
    left = list(range(half, 2 * half))
    for condition in missing.conditions:
        order = max((sum(f.alpha[a] for a in problem.space_axes) for f in condition.linear), default=0)
        place = order if order >= half else 2 * half - 1 - order
        if place in left:
            left.remove(place)
    if len(left) != missing.needed - missing.given:
        return ()
    return tuple(Normal(problem.unknowns[0], order) for order in left)


def _normal(problem: Problem, piece: Piece) -> dict[int, sp.Expr]:
    """The components of the normal: numbers on faces, zero across the axis of a plane."""
    if piece.outward is not None:
        axis, sign = piece.outward
        return {a: sp.Integer(sign * (a == axis)) for a in problem.space_axes}
    along = problem.space_axes if piece.plane is None else piece.plane[:1]
    symbols = {a: coordinate_symbol(f"n_{problem.coordinates[a]}") for a in problem.space_axes}
    return {a: symbol if a in along else sp.S.Zero for a, symbol in symbols.items()}


def _symbol(problem: Problem, missing: Missing, i: int, j: int, normal: dict[int, sp.Expr]) -> sp.Expr:
    """L_ij(n), without its powers of the imaginary unit."""
    order, name = missing.principal.orders[i, j], problem.unknowns[j]
    return sum(
        (
            coefficient * prod(n ** f.alpha[a] for a, n in normal.items())
            for f, (coefficient, _) in missing.principal.equations[i].items()
            if f.unknown == name and f.order == order
        ),
        sp.S.Zero,
    )


def _direction(problem: Problem, missing: Missing, condition, symbols, second: Sequence[int]) -> tuple[sp.Expr, ...]:
    """The direction among the second-order equations in which a condition takes the place of the natural one."""
    highest = {f.unknown: max(g.order for g in condition.linear if g.unknown == f.unknown) for f in condition.linear}
    normal = _normal(problem, missing.piece)
    column = [sp.S.Zero] * len(second)
    for f, (coefficient, _) in condition.linear.items():
        if f.order < highest[f.unknown]:
            continue
        across = prod(n ** f.alpha[a] for a, n in normal.items()) if f.order else sp.S.One
        for k, i in enumerate(second):
            column[k] += coefficient * across * symbols.get((i, problem.unknowns.index(f.unknown)), sp.S.Zero)
    column = [sp.expand(entry) for entry in column]
    if sum(entry != 0 for entry in column) == 1:
        return tuple(sp.Integer(entry != 0) for entry in column)
    return tuple(column)


def _complement(taken: Sequence[tuple[sp.Expr, ...]], size: int) -> list[list[sp.Expr]] | None:
    """Rows that span what is orthogonal to columns, in polynomials of their entries; None where that is not simple."""
    whole = [column for column in taken if sum(entry != 0 for entry in column) == 1]
    free = [k for k in range(size) if not any(column[k] for column in whole)]
    others = [column for column in taken if column not in whole]
    if not others:
        return [[sp.Integer(k == free_k) for k in range(size)] for free_k in free]
    if len(others) > 1 or any(others[0][k] != 0 for k in range(size) if k not in free):
        return None
    column = others[0]
    if len(free) == 2:
        return [[column[free[1]] * (k == free[0]) - column[free[0]] * (k == free[1]) for k in range(size)]]
    square = sum(column[k] ** 2 for k in free)
    return [[square * (k == m) - column[k] * column[m] * (k in free) for k in range(size)] for m in free]


def _without_factor(residual: sp.Expr) -> sp.Expr:
    """A residual of one derivative without its coefficient."""
    normals = residual.atoms(Normal)
    return next(iter(normals)) if len(normals) == 1 else residual


# -- in words, and as statements ----------------------------------------------------------------------------------


def _with_derivatives(problem: Problem, residual: sp.Expr) -> sp.Expr:
    """A residual with the derivatives across the boundary written out."""
    return substituted(residual, {s: _across_boundary(problem, s) for s in residual.atoms(Normal)})


def _across_boundary(problem: Problem, symbol: Normal) -> sp.Expr:
    """(n . grad)^order of an unknown."""
    total = sp.S.Zero
    for axes in product(problem.space_axes, repeat=symbol.order):
        alpha = tuple(axes.count(a) for a in range(len(problem.coordinates)))
        factor = prod((coordinate_symbol(f"n_{problem.coordinates[a]}") for a in axes), start=sp.S.One)
        total += factor * feature_symbol(symbol.unknown, alpha)
    return total


def _words(problem: Problem, residuals: Sequence[sp.Expr]) -> str:
    """Residuals as equations of the language: `Dn(v) = 0`."""
    texts = []
    for residual in residuals:
        names = {s: sp.Symbol(_name(s)) for s in residual.atoms(Normal)}
        try:
            texts.append(f"{to_text(substituted(residual, names), problem.coordinates)} = 0")
        except ExpressionError:
            texts.append(f"a relation of {', '.join(map(str, names.values()))}")
    return " and ".join(f"`{text}`" for text in texts)


def _name(symbol: Normal) -> str:
    return symbol.unknown if not symbol.order else "Dn(" * symbol.order + symbol.unknown + ")" * symbol.order


def _alike(problem: Problem, missing: Sequence[Missing], bare: bool) -> list[tuple[tuple, list[Missing]]]:
    """What is assumed, and the places for which that is the same beside the same conditions."""
    groups: dict[object, tuple[tuple, list[Missing]]] = {}
    for m in missing:
        residuals = () if bare or not m.clear else _natural(problem, m)
        stated = tuple(c.statement.name for c in m.conditions)
        groups.setdefault((residuals, stated, m.where, m.given, m.needed), (residuals, []))[1].append(m)
    return list(groups.values())


def _places(several: Sequence[Missing]) -> str:
    places = [m.place for m in several]
    return "on " + (places[0] if len(places) == 1 else f"{', '.join(places[:-1])} and {places[-1]}")


def _given(missing: Missing) -> str:
    names = list(dict.fromkeys(c.statement.name for c in missing.conditions))
    by = f" ({quoted(names)})" if names else ""
    return {0: "there is no condition", 1: f"there is 1 condition{by}"}.get(
        missing.given, f"there are {missing.given} conditions{by}"
    )


def _needed(missing: Missing) -> str:
    return f"the equations need {missing.needed}"
