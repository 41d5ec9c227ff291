"""The natural conditions that are assumed where the stated ones leave some open.

Where nothing is stated, second-order equations i have the natural condition that their flux through the boundary
vanishes, sum_j L_ij(n) Dn^(o_ij - 1) u_j = 0 with the principal part L of orders o_ij and the normal n: Dn(u) = 0 for
the Laplacian, Dn(u)/Re = p*n for the velocity of a flow. A stated condition on u_j takes the place of the natural one
in the direction L_.j(n) of the equations, and what is left is orthogonal to all of these: beside p = 0, the velocity
along the boundary no longer changes across it. Of one equation of order 2k, a condition on the derivative of order q
across the boundary takes the place of order 2k - 1 - q, or its own (Lions & Magenes, Non-Homogeneous Boundary Value
Problems and Applications I, chapter 2, section 2).

Input: a place that misses conditions. Output: residuals that complete it. No array library.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import product
from math import prod
from typing import TYPE_CHECKING

import sympy as sp

from pinnsolve.geometry.regions import Piece
from pinnsolve.language.substitution import substituted
from pinnsolve.language.symbols import coordinate_symbol, feature_symbol
from pinnsolve.language.to_sympy import Fluxes
from pinnsolve.problem.checks.ellipticity import Linear, linear_part
from pinnsolve.problem.checks.missing_conditions import Condition, Missing
from pinnsolve.problem.checks.pointwise import function_of, value_at

if TYPE_CHECKING:
    from pinnsolve.problem.stated import StatedProblem

FluxesOf = Callable[[], Sequence[Fluxes]]  # of all residuals of equations, in order
Entries = Mapping[tuple[int, int], sp.Expr]
MOST_NODES = 300  # of an expression in which common factors are looked for
PROBES, ROUNDING = (0.0, 0.29, 0.71), 1e-12  # where it is tested whether expressions vanish, and what counts as zero


class Normal(sp.Symbol):
    """Stands for the derivative of some order of an unknown across the boundary."""

    __slots__ = ("order", "unknown")

    def __new__(cls, unknown: str, order: int):
        symbol = sp.Symbol.__xnew__(cls, f"{unknown};{order}", real=True)
        symbol.unknown, symbol.order = unknown, order
        return symbol

    def __getnewargs_ex__(self):
        return (self.unknown, self.order), {}


def with_derivatives(problem: StatedProblem, residual: sp.Expr) -> sp.Expr:
    """A residual with its `Normal`s written out as derivatives along the axes."""
    return substituted(residual, {s: _across_boundary(problem, s) for s in residual.atoms(Normal)})


def _across_boundary(problem: StatedProblem, symbol: Normal) -> sp.Expr:
    """(n . grad)^order of an unknown."""
    total = sp.S.Zero
    for axes in product(problem.space_axes, repeat=symbol.order):
        alpha = tuple(axes.count(a) for a in range(len(problem.coordinates)))
        factor = prod((coordinate_symbol(f"n_{problem.coordinates[a]}") for a in axes), start=sp.S.One)
        total += factor * feature_symbol(symbol.unknown, alpha)
    return total


def natural_conditions(problem: StatedProblem, missing: Missing, fluxes: FluxesOf) -> tuple[sp.Expr, ...]:
    """Residuals in features and `Normal`s; none where it cannot be told which."""
    orders, wanted = missing.principal.orders, missing.needed - missing.given
    if len(problem.unknowns) == 1 and orders[0, 0] > 2:
        return _of_one_unknown(problem, missing, orders[0, 0] // 2)
    second = sorted({i for (i, _), order in orders.items() if order == 2})
    if len(second) != missing.needed or max(orders.values()) > 2:
        return ()
    normal = _normal(problem, missing.piece)
    entries = {key: _entry(problem, missing, *key, normal) for key in orders if key[0] in second}
    taken = [_direction(problem, c, entries, second, normal) for c in missing.conditions]
    taken = [column for column in dict.fromkeys(taken) if any(column)]
    rows = _complement(taken, len(second))
    if rows is None or len(taken) != missing.given or len(second) - len(taken) != wanted:
        return ()
    through = [_flux(problem, missing, i, entries, normal, fluxes) for i in second]
    return tuple(_without_factor(_combined(row, through)) for row in rows)


def _of_one_unknown(problem: StatedProblem, missing: Missing, half: int) -> tuple[sp.Expr, ...]:
    """The orders from half to 2 half - 1 that no stated condition replaces."""
    left = list(range(half, 2 * half))
    for condition in missing.conditions:
        order = max((sum(f.alpha[a] for a in problem.space_axes) for f in condition.linear), default=0)
        place = order if order >= half else 2 * half - 1 - order
        if place in left:
            left.remove(place)
    if len(left) != missing.needed - missing.given:
        return ()
    return tuple(Normal(problem.unknowns[0], order) for order in left)


def _normal(problem: StatedProblem, piece: Piece) -> dict[int, sp.Expr]:
    """The components of the normal: numbers on faces, zero along a plane."""
    if piece.outward is not None:
        axis, sign = piece.outward
        return {a: sp.Integer(sign * (a == axis)) for a in problem.space_axes}
    along = problem.space_axes if piece.plane is None else piece.plane[:1]
    symbols = {a: coordinate_symbol(f"n_{problem.coordinates[a]}") for a in problem.space_axes}
    return {a: symbol if a in along else sp.S.Zero for a, symbol in symbols.items()}


def _power(normal: Mapping[int, sp.Expr], alpha: Sequence[int]) -> sp.Expr:
    return prod((n ** alpha[a] for a, n in normal.items()), start=sp.S.One)


def _of_order(linear: Linear, unknown: str, order: int) -> dict[tuple[int, ...], sp.Expr]:
    """The coefficients of one unknown's derivatives of that order."""
    return {f.alpha: c for f, (c, _) in linear.items() if (f.unknown, f.order) == (unknown, order)}


def _entry(problem: StatedProblem, missing: Missing, i: int, j: int, normal: Mapping[int, sp.Expr]) -> sp.Expr:
    """L_ij(n), without its powers of the imaginary unit; the square of the normal is one."""
    order, name = missing.principal.orders[i, j], problem.unknowns[j]
    parts = {
        f.alpha: c for f, (c, _) in missing.principal.equations[i].items() if (f.unknown, f.order) == (name, order)
    }
    whole = sp.S.Zero
    pure = [parts.get(tuple(2 * (b == a) for b in range(len(problem.coordinates))), sp.S.Zero) for a in normal]
    if order == 2 and all(_vanishes(c - pure[0]) for c in pure):
        whole, parts = pure[0], {alpha: c for alpha, c in parts.items() if max(alpha) < 2}
    return whole + sum((c * _power(normal, alpha) for alpha, c in parts.items()), sp.S.Zero)


def _direction(
    problem: StatedProblem, condition: Condition, entries: Entries, second: Sequence[int], normal: Mapping[int, sp.Expr]
) -> tuple[sp.Expr, ...]:
    """The direction among the second-order equations in which a condition takes the place of the natural one."""
    highest = {f.unknown: max(g.order for g in condition.linear if g.unknown == f.unknown) for f in condition.linear}
    column = [sp.S.Zero] * len(second)
    for f, (coefficient, _) in condition.linear.items():
        if f.order == highest[f.unknown]:
            for k, i in enumerate(second):
                entry = entries.get((i, problem.unknowns.index(f.unknown)), sp.S.Zero)
                column[k] += coefficient * _power(normal, f.alpha) * entry
    column = [sp.S.Zero if _vanishes(entry) else entry for entry in column]
    if sum(entry != 0 for entry in column) == 1:
        return tuple(sp.Integer(entry != 0) for entry in column)
    return tuple(column)


def _complement(taken: Sequence[tuple[sp.Expr, ...]], size: int) -> list[list[sp.Expr]] | None:
    """Rows that span what is orthogonal to columns, in polynomials of their entries; None where that is not simple."""
    alone = [column for column in taken if sum(entry != 0 for entry in column) == 1]
    free = [k for k in range(size) if not any(column[k] for column in alone)]
    others = [column for column in taken if column not in alone]
    if not others:
        return [[sp.Integer(k == m) for k in range(size)] for m in free]
    column = others[0]
    if len(others) > 1 or any(column[k] != 0 for k in range(size) if k not in free):
        return None
    if len(free) == 2:
        one, two = free
        return [[{one: column[two], two: -column[one]}.get(k, sp.S.Zero) for k in range(size)]]
    square = sum(column[k] ** 2 for k in free)
    return [[square * int(k == m) - column[k] * column[m] for k in range(size)] for m in free]


def _flux(
    problem: StatedProblem, missing: Missing, i: int, entries: Entries, normal: Mapping[int, sp.Expr], fluxes: FluxesOf
) -> sp.Expr:
    """The principal part of an equation's flux through the boundary: of div(k grad u), k Dn(u).

    It is what the equation takes derivatives of, as it is written; where that is not all of it, L_ij(n) Dn^(o_ij - 1).
    """
    principal = missing.principal
    written: dict[str, dict[tuple[int, ...], list[sp.Expr]]] = {name: {} for name in problem.unknowns}
    for axis, c, inner in fluxes()[principal.numbers[i]]:
        for f, (factor, _) in (linear_part(inner) or {}).items() if axis in normal else ():
            if f.order == principal.orders.get((i, problem.unknowns.index(f.unknown)), 0) - 1:
                shares = written[f.unknown].setdefault(f.alpha, [sp.S.Zero] * len(problem.coordinates))
                shares[axis] += c * factor
    total = sp.S.Zero
    for j, name in enumerate(problem.unknowns):
        order = principal.orders.get((i, j), 0)
        if order > 0:
            here = _of_order(principal.equations[i], name, order)
            total += _through(name, order - 1, written[name], here, entries[i, j], normal)
    return total


def _through(
    name: str,
    order: int,
    written: Mapping[tuple[int, ...], Sequence[sp.Expr]],
    principal: Mapping[tuple[int, ...], sp.Expr],
    entry: sp.Expr,
    normal: Mapping[int, sp.Expr],
) -> sp.Expr:
    """The part of a flux that one unknown has: `written` are, per derivative, the factors of its fluxes by axis."""
    rest = dict(principal)  # what the equation holds besides the divergence of what is written
    for alpha, shares in written.items():
        for axis, share in enumerate(shares):
            beta = tuple(k + (a == axis) for a, k in enumerate(alpha))
            rest[beta] = rest.get(beta, sp.S.Zero) - share
    if not written or not all(map(_vanishes, rest.values())):
        return entry * Normal(name, order)
    parts = {alpha: sum(shares[a] * n for a, n in normal.items()) for alpha, shares in written.items()}
    for alpha, c in parts.items():
        power = _power(normal, alpha)
        factor = c / power if power != 0 else sp.S.Zero
        if factor != 0 and _is_across(parts, factor, order, normal):
            return factor * Normal(name, order)
    return sum((c * feature_symbol(name, alpha) for alpha, c in parts.items()), sp.S.Zero)


def _is_across(parts: Mapping, factor: sp.Expr, order: int, normal: Mapping[int, sp.Expr]) -> bool:
    """Whether derivatives of first order or none add up to a multiple of the one across the boundary."""
    size = len(next(iter(parts)))
    alphas = [tuple(order * (b == a) for b in range(size)) for a in normal]
    return all(_vanishes(parts.get(alpha, sp.S.Zero) - factor * _power(normal, alpha)) for alpha in alphas)


def _combined(row: Sequence[sp.Expr], fluxes: Sequence[sp.Expr]) -> sp.Expr:
    return sp.Add(*(w * part for w, flux in zip(row, fluxes, strict=True) for part in sp.Add.make_args(flux)))


def _without_factor(residual: sp.Expr) -> sp.Expr:
    """A residual without the factor that all its parts have in common."""
    if any(k > MOST_NODES for k, _ in enumerate(sp.preorder_traversal(residual))):
        return residual
    factored = sp.factor_terms(residual)
    kept = [a for a in sp.Mul.make_args(factored) if a.atoms(Normal) or linear_part(a)]
    return sp.Mul(*kept)


def _vanishes(expression: sp.Expr) -> bool:
    """Whether an expression is zero whatever its symbols are, found out by numbers: expanding could take forever."""
    if expression == 0 or expression.is_number:
        return expression == 0
    symbols = sorted(expression.free_symbols, key=lambda s: s.name)
    functions = [function_of(part) for part in sp.Add.make_args(expression)]
    for shift in PROBES:
        at = {s: 0.4 + (shift + 0.618 * (i + 1)) % 1.0 for i, s in enumerate(symbols)}
        values = [value_at(function, at) for function in functions]
        if None in values or abs(sum(values)) > ROUNDING * sum(map(abs, values)):
            return False
    return True
