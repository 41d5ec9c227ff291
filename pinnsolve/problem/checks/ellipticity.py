"""How many conditions do the equations need all along the boundary in space?

At a point, the equations linearized about some state have a matrix of polynomials in the covariable xi, one row per
equation and one column per unknown. With weights s_i + t_j that bound the orders of its entries and whose sum m is as
small as can be, the entries of exactly these orders are the principal part. Where its determinant, of degree m, has no
real zero but xi = 0, the system is elliptic and needs m/2 conditions: the Laplacian 1, the Stokes equations in d
dimensions d, the biharmonic equation 2 (Agmon, Douglis & Nirenberg, Comm. Pure Appl. Math. 17 (1964) 35-92; the weights
by Volevich's assignment problem). Of problems that evolve the part in space counts. Where a system is not elliptic,
nothing is said.

Input: a `StatedProblem` and values of its symbols. Output: the principal part there, or None. No array library.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from itertools import combinations, product
from typing import TYPE_CHECKING

import sympy as sp

from pinnsolve.language.derivatives import SizeError, partial_derivative, summands_with_symbols
from pinnsolve.language.symbols import Feature, FeatureSymbol
from pinnsolve.problem.checks.pointwise import function_of, holds_at, value_at

if TYPE_CHECKING:
    from pinnsolve.problem.stated import StatedProblem, StatedTerm

Linear = Mapping[Feature, tuple[sp.Expr, Callable]]  # a residual's coefficients, also as functions of points
MOST_UNKNOWNS = 8
MOST_CIRCLES = 6  # coordinates of which all pairs of directions are looked at
DIRECTIONS = 24  # on a half circle of covariables
REFINED = 40  # steps towards the direction in which a determinant is smallest
NEARLY_ZERO = 1e-12  # relative to the largest value of a determinant
IMPOSSIBLE = -math.inf  # the order of an entry that is zero


def linear_part(residual: sp.Expr) -> Linear | None:
    """The coefficients of a residual's features; None for custom operators, and where they would be too large."""
    parts = summands_with_symbols(residual)
    symbols = [s for s in parts if isinstance(s, FeatureSymbol)]
    if any(s.feature.operator is not None for s in symbols):
        return None
    try:
        coefficients = {s.feature: partial_derivative(parts[s], s) for s in symbols}
    except SizeError:
        return None
    return {f: (c, function_of(c)) for f, c in coefficients.items() if c != 0}


@dataclass(frozen=True)
class Principal:
    """The principal part at a point: `degree` m, and `orders` (i, j) of the entries that belong to it.

    `blocks` are the unknowns that its entries tie together, and the degrees of their parts of the determinant.
    `equations` are the coefficients of the residuals that hold at the point, `numbers` which ones of all these are.
    """

    degree: int
    orders: Mapping[tuple[int, int], int]
    blocks: tuple[tuple[frozenset[int], int], ...]
    equations: tuple[Linear, ...]
    numbers: tuple[int, ...]


class Equations:
    """The equations of a problem, linearized once for all points."""

    def __init__(self, problem: StatedProblem):
        self.problem = problem
        self.space = problem.space_axes
        self._known: dict[object, tuple[int, Mapping, tuple] | None] = {}
        self._parts = list(self._linear_parts())

    def _linear_parts(self) -> Iterator[tuple[Callable | None, Linear | None]]:
        for statement in self.problem.of_kind("equation"):
            where = None if statement.region.where is None else function_of(statement.region.where)
            for residual in statement.residuals:
                yield where, self._in_space(statement, linear_part(residual))

    def _in_space(self, statement: StatedTerm, part: Linear | None) -> Linear | None:
        """Without derivatives in time; None where these are of derivatives in space, and in groups of mesh cells."""
        if part is None or any(piece.region is not None for piece in statement.region.pieces):
            return None
        spatial = {f: sum(f.alpha[a] for a in self.space) for f in part}
        if any(0 < order < f.order for f, order in spatial.items()):
            return None
        return {f: c for f, c in part.items() if spatial[f] == f.order}

    def principal_at(self, at: Mapping[sp.Symbol, float]) -> Principal | None:
        """The principal part where symbols (those of features, too) have these values; None unless it is elliptic."""
        numbers = tuple(k for k, (where, _) in enumerate(self._parts) if holds_at(where, at))
        here, unknowns = [self._parts[k][1] for k in numbers], self.problem.unknowns
        if None in here or len(here) != len(unknowns) or len(unknowns) > MOST_UNKNOWNS:
            return None
        entries: dict[tuple[int, int, tuple[int, ...]], float] = {}
        for i, part in enumerate(here):
            for f, (_, function) in part.items():
                value = value_at(function, at)
                if value is None:
                    return None
                alpha = tuple(f.alpha[a] for a in self.space)
                if value:
                    entries[i, unknowns.index(f.unknown), alpha] = value
        key = tuple(sorted(entries.items()))
        if key not in self._known:
            self._known[key] = _elliptic(entries, len(unknowns), len(self.space))
        found = self._known[key]
        return None if found is None else Principal(*found, tuple(here), numbers)


def _elliptic(entries: Mapping, size: int, dimension: int) -> tuple[int, Mapping, tuple] | None:
    """Degree of the determinant, orders of the principal entries, blocks; None where it is zero in some direction."""
    orders = [[IMPOSSIBLE] * size for _ in range(size)]
    for i, j, alpha in entries:
        orders[i][j] = max(orders[i][j], sum(alpha))
    weights = _weights(orders)
    if weights is None:
        return None
    s, t = weights
    degree = sum(s) + sum(t)
    principal = {
        (i, j): s[i] + t[j] for i, j in product(range(size), repeat=2) if orders[i][j] == s[i] + t[j] != IMPOSSIBLE
    }
    if degree < 2 or degree % 2 or (dimension == 1 and any(order % 2 for order in principal.values())):
        return None  # in one dimension, directions do not tell transport from diffusion, but orders do
    terms = [(i, j, alpha, v) for (i, j, alpha), v in entries.items() if principal.get((i, j)) == sum(alpha)]

    def determinant(xi: tuple[float, ...]) -> float:
        matrix = [[0.0] * size for _ in range(size)]
        for i, j, alpha, value in terms:
            matrix[i][j] += value * math.prod(x**k for x, k in zip(xi, alpha, strict=True))
        return _determinant(matrix)

    if size == 1 and degree == 2 and dimension > MOST_CIRCLES:
        elliptic = _definite({alpha: value for _, _, alpha, value in terms}, dimension)
    else:
        elliptic = _never_zero(determinant, dimension)
    return (degree, principal, _blocks(principal, s, t)) if elliptic else None


def _definite(form: Mapping[tuple[int, ...], float], dimension: int) -> bool:
    """Whether a quadratic form is well away from zero in all directions: the pivots of its matrix have one sign."""
    matrix = [[0.0] * dimension for _ in range(dimension)]
    for alpha, value in form.items():
        axes = [axis for axis, order in enumerate(alpha) for _ in range(order)]
        matrix[axes[0]][axes[1]] += value / 2
        matrix[axes[1]][axes[0]] += value / 2
    for k in range(dimension):
        for i in range(k + 1, dimension):
            factor = matrix[i][k] / matrix[k][k] if matrix[i][k] else 0.0
            for j in range(k + 1, dimension) if factor else ():
                matrix[i][j] -= factor * matrix[k][j]
        if not matrix[k][k]:
            return False
    pivots = [matrix[k][k] for k in range(dimension)]
    return min(pivots) * max(pivots) > 0 and min(map(abs, pivots)) > NEARLY_ZERO * max(map(abs, pivots))


def _blocks(principal: Mapping[tuple[int, int], int], s: list[int], t: list[int]) -> tuple:
    """The columns that rows tie together, with the sums of the weights of both."""
    number = list(range(len(t)))  # of the block of a column
    for i in range(len(s)):
        tied = {number[j] for row, j in principal if row == i}
        number = [min(tied) if k in tied else k for k in number]
    rows = {i: number[j] for i, j in principal}
    return tuple(
        (
            frozenset(j for j, k in enumerate(number) if k == block),
            sum(t[j] for j, k in enumerate(number) if k == block) + sum(s[i] for i, k in rows.items() if k == block),
        )
        for block in sorted(set(number))
    )


def _weights(orders: list[list[float]]) -> tuple[list[int], list[int]] | None:
    """Whole numbers s_i, t_j with s_i + t_j >= orders, equal along some permutation; None where there is none."""
    size = len(orders)
    best: dict[int, tuple[float, tuple[int, ...]]] = {0: (0.0, ())}  # columns taken by the first rows
    for i in range(size):
        grown: dict[int, tuple[float, tuple[int, ...]]] = {}
        for taken, (total, chosen) in best.items():
            for j in range(size):
                new = total + orders[i][j]
                if not taken >> j & 1 and new > grown.get(taken | 1 << j, (IMPOSSIBLE,))[0]:
                    grown[taken | 1 << j] = new, (*chosen, j)
        best = grown
    if not best:
        return None
    ((_, chosen),) = best.values()
    t = [0] * size
    for _ in range(size):  # longest paths: t_j >= orders_ij - orders_i,chosen(i) + t_chosen(i)
        for i, j in product(range(size), repeat=2):
            if orders[i][j] > IMPOSSIBLE:
                t[j] = max(t[j], int(orders[i][j] - orders[i][chosen[i]]) + t[chosen[i]])
    return [int(orders[i][chosen[i]]) - t[chosen[i]] for i in range(size)], t


def _determinant(matrix: list[list[float]]) -> float:
    """The determinant by elimination with pivots, which overwrites the matrix."""
    result, size = 1.0, len(matrix)
    for k in range(size):
        pivot = max(range(k, size), key=lambda i: abs(matrix[i][k]))
        if matrix[pivot][k] == 0.0:
            return 0.0
        if pivot != k:
            matrix[k], matrix[pivot], result = matrix[pivot], matrix[k], -result
        result *= matrix[k][k]
        for i in range(k + 1, size):
            factor = matrix[i][k] / matrix[k][k]
            for j in range(k + 1, size):
                matrix[i][j] -= factor * matrix[k][j]
    return result


def _never_zero(determinant: Callable, dimension: int) -> bool:
    """Whether it keeps its sign, and well away from zero, on circles of covariables."""
    if dimension == 1:
        return determinant((1.0,)) != 0.0
    for one, other in combinations(_directions(dimension), 2):

        def on_circle(angle: float, one=one, other=other) -> float:
            c, s = math.cos(angle), math.sin(angle)
            return determinant(tuple(c * a + s * b for a, b in zip(one, other, strict=True)))

        angles = [math.pi * k / DIRECTIONS for k in range(DIRECTIONS)]
        values = [on_circle(angle) for angle in angles]
        least = min(range(DIRECTIONS), key=lambda k: abs(values[k]))
        if min(values) * max(values) <= 0 or _least(on_circle, angles[least]) <= NEARLY_ZERO * max(map(abs, values)):
            return False
    return True


def _directions(dimension: int) -> list[tuple[float, ...]]:
    """The axes, and where there are more than two a few directions between them."""
    axes = [tuple(float(a == b) for b in range(dimension)) for a in range(dimension)]
    between = [tuple(1.0 + 0.37 * ((a * b + a) % 3) for b in range(dimension)) for a in (1, 2)]
    return axes if dimension == 2 else [*axes, *between]


def _least(function: Callable[[float], float], start: float) -> float:
    """The least absolute value near `start`, by golden sections."""
    low, high = start - math.pi / DIRECTIONS, start + math.pi / DIRECTIONS
    golden = (math.sqrt(5) - 1) / 2
    for _ in range(REFINED):
        one, two = high - golden * (high - low), low + golden * (high - low)
        if abs(function(one)) < abs(function(two)):
            high = two
        else:
            low = one
    return abs(function(0.5 * (low + high)))
