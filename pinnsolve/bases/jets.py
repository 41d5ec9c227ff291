"""Truncated Taylor arithmetic: every derivative to order 4 of a composed function in one forward pass.

A jet of a function u at points holds one tensor D^alpha u per multi-index alpha of a downward-closed set; an
index that is missing stands for a derivative that is zero. Products are truncated Leibniz sums, and a
univariate function of a jet is composed from its derivatives at the constant part (Faa di Bruno's formula in
the powers of the non-constant part; Griewank & Walther, Evaluating Derivatives, chapter 13).

Input: tensors of values. Output: tensors of derivatives, not divided by factorials. Which terms are summed depends on
the multi-indices alone and is worked out once, so that autograd and `torch.func` go through every function here.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import product
from math import comb, factorial, prod

import torch
from torch import Tensor

from pinnsolve.errors import PinnsolveError
from pinnsolve.language.symbols import MAX_ORDER, MultiIndex

Jet = dict[MultiIndex, Tensor]
Indices = tuple[MultiIndex, ...]


@dataclass(frozen=True)
class Univariate:
    """A function f of one variable with its derivatives: f^(k)(y) = factors[k] * shapes(y, orders)[k], factors[0] = 1.

    The factor is kept apart because it then costs no pass over a large tensor. `shapes(y, orders)` returns at least
    the orders asked for and shares what they have in common. `smoothness` is the highest order with a meaning.
    """

    name: str
    smoothness: int
    factors: tuple[float, ...]
    shapes: Callable[[Tensor, Collection[int]], Mapping[int, Tensor]]


def _exponential_shapes(y: Tensor, orders: Collection[int]) -> Mapping[int, Tensor]:
    return dict.fromkeys(orders, torch.exp(y))


def _reciprocal_shapes(y: Tensor, orders: Collection[int]) -> Mapping[int, Tensor]:
    inverse = torch.reciprocal(y)
    return {k: inverse ** (k + 1) for k in orders}


EXPONENTIAL = Univariate("exp", MAX_ORDER, (1.0,) * (MAX_ORDER + 1), _exponential_shapes)
RECIPROCAL = Univariate(
    "reciprocal", MAX_ORDER, tuple(float((-1) ** k * factorial(k)) for k in range(MAX_ORDER + 1)), _reciprocal_shapes
)


# --- multi-indices ---------------------------------------------------------------------------------------


@lru_cache(maxsize=1024)
def closure(alphas: Indices) -> Indices:
    """The smallest downward-closed set that holds `alphas`, by order: with (1, 1) come (0, 0), (1, 0), (0, 1)."""
    below = {beta for alpha in alphas for beta in product(*(range(a + 1) for a in alpha))}
    return tuple(sorted(below, key=lambda alpha: (sum(alpha), tuple(-a for a in alpha))))


def indices_to_order(dimension: int, order: int) -> Indices:
    """All multi-indices of that many coordinates with sum at most `order`."""
    return closure(tuple(alpha for alpha in product(range(order + 1), repeat=dimension) if sum(alpha) == order))


def _minus(alpha: MultiIndex, beta: MultiIndex) -> MultiIndex:
    return tuple(a - b for a, b in zip(alpha, beta, strict=True))


def _choose(alpha: MultiIndex, beta: MultiIndex) -> int:
    return prod(comb(a, b) for a, b in zip(alpha, beta, strict=True))


# --- arithmetic ------------------------------------------------------------------------------------------


def coordinates(points: Tensor) -> list[Jet]:
    """The jet of each coordinate. `points`: (N, d); the tensors are (N,) and, for the derivative, a scalar one."""
    dimension = points.shape[-1]
    one = points.new_ones(())
    return [
        {(0,) * dimension: points[..., axis], tuple(int(i == axis) for i in range(dimension)): one}
        for axis in range(dimension)
    ]


def add(left: Jet, right: Jet) -> Jet:
    """The jet of u + v."""
    total = dict(left)
    for alpha, value in right.items():
        total[alpha] = total[alpha] + value if alpha in total else value
    return total


def scale(jet: Jet, factor: Tensor | float) -> Jet:
    """The jet of c u, for a factor c that does not depend on the coordinates."""
    return {alpha: value * factor for alpha, value in jet.items()}


def multiply(left: Jet, right: Jet, targets: Sequence[MultiIndex]) -> Jet:
    """The jet of u v at the multi-indices `targets`.

    D^alpha(u v) = sum over beta <= alpha of C(alpha, beta) D^beta u D^(alpha - beta) v. `left` and `right` must hold
    every derivative below the targets that is not zero; a target without terms is left out.
    """
    plan = _product_plan(frozenset(left), frozenset(right), tuple(targets))
    zero = next(iter(left.values())).new_zeros(())
    return {alpha: _sum_of_products(left, right, terms, zero) for alpha, terms in plan}


def compose(function: Univariate, jet: Jet, targets: Sequence[MultiIndex], plus: Jet | None = None) -> Jet:
    """The jet of f(u) at the multi-indices `targets`, for a univariate f; with `plus`, of f(u) + that.

    With u = u_0 + delta around a point, D^alpha f(u) = sum over k of f^(k)(u_0) / k! D^alpha(delta^k). `jet` must hold
    every derivative below the targets that is not zero; a target that gets no term (and is not in `plus`) is left out.
    Raises `PinnsolveError` beyond the smoothness of f.
    """
    powers_plan, sums_plan, orders = _compose_plan(frozenset(jet), tuple(targets))
    _check_smoothness(function, orders)
    value = jet[(0,) * len(next(iter(jet)))]
    shapes = function.shapes(value, orders)
    zero = value.new_zeros(())
    powers: list[Jet] = [{}, jet, {}, {}, {}]
    for k, i, j, alpha, terms in powers_plan:
        powers[k][alpha] = _sum_of_products(powers[i], powers[j], terms, zero)
    result = {}
    for alpha, terms in sums_plan:
        total = plus.get(alpha) if plus else None
        for k, multiple in terms:
            if k == 0:
                total = shapes[0] if total is None else total + shapes[0]
            else:
                start = zero if total is None else total
                total = torch.addcmul(start, shapes[k], powers[k][alpha], value=multiple * function.factors[k])
        if total is not None:
            result[alpha] = total
    return result


def compose_affine(function: Univariate, value: Tensor, gradient: Tensor, targets: Sequence[MultiIndex]) -> Jet:
    """The jet of f(y) for y an affine function of the coordinates: D^alpha f(y) = f^(|alpha|)(y) prod gradient^alpha.

    `value`: (N, W), y at the points. `gradient`: (d, W), the constant derivatives of y. Only the targets are computed.
    Raises `PinnsolveError` beyond the smoothness of f.
    """
    monomials_plan, orders = _monomials_plan(tuple(targets))
    _check_smoothness(function, orders)
    shapes = function.shapes(value, orders)
    rows = gradient.unbind(0)
    monomials: dict[MultiIndex, Tensor] = {}
    for alpha, below, axis in monomials_plan:
        monomials[alpha] = rows[axis] if below is None else monomials[below] * rows[axis]
    result = {}
    for alpha in targets:
        k = sum(alpha)
        if k == 0:
            result[alpha] = shapes[0]
        else:
            factor = function.factors[k]
            result[alpha] = shapes[k] * (monomials[alpha] if factor == 1 else monomials[alpha] * factor)
    return result


def _check_smoothness(function: Univariate, orders: tuple[int, ...]) -> None:
    if orders[-1] > function.smoothness:
        raise PinnsolveError(f"{function.name} has derivatives to order {function.smoothness}, not {orders[-1]}")


def _sum_of_products(left: Jet, right: Jet, terms: tuple, zero: Tensor) -> Tensor:
    """sum of multiple * left[beta] * right[gamma] over (beta, gamma, multiple), one pass per term."""
    total = None
    for beta, gamma, multiple in terms:
        if total is None and multiple == 1:
            total = left[beta] * right[gamma]
        else:
            total = torch.addcmul(zero if total is None else total, left[beta], right[gamma], value=multiple)
    return total


# --- which terms are summed: depends on the multi-indices alone ------------------------------------------


@lru_cache(maxsize=1024)
def _product_plan(left: frozenset, right: frozenset, targets: Indices) -> tuple:
    plan = []
    for alpha in targets:
        terms = _leibniz_terms(alpha, left, right)
        if terms:
            plan.append((alpha, terms))
    return tuple(plan)


def _leibniz_terms(alpha: MultiIndex, left: Collection[MultiIndex], right: Collection[MultiIndex]) -> tuple:
    pairs = ((beta, _minus(alpha, beta)) for beta in product(*(range(a + 1) for a in alpha)))
    return tuple((beta, gamma, _choose(alpha, beta)) for beta, gamma in pairs if beta in left and gamma in right)


def _square_terms(alpha: MultiIndex, indices: Collection[MultiIndex]) -> tuple:
    """As `_leibniz_terms` for a square, each unordered pair once."""
    both = _leibniz_terms(alpha, indices, indices)
    return tuple((b, c, w if b == c else 2 * w) for b, c, w in both if b <= c)


@lru_cache(maxsize=1024)
def _compose_plan(present: frozenset, targets: Indices) -> tuple:
    """The steps that build delta^2 = delta delta, delta^3 = delta^2 delta, delta^4 = delta^2 delta^2, and sum them.

    Returns (k, i, j, alpha, terms) per derivative of delta^k = delta^i delta^j, (alpha, ((k, multiple), ...)) per
    target, and the orders of f that are needed.
    """
    wanted = closure(targets)
    zero = (0,) * len(wanted[0])
    supports: list[set[MultiIndex]] = [set(), {a for a in present if a != zero}, set(), set(), set()]
    steps = []
    for k, i, j in ((2, 1, 1), (3, 2, 1), (4, 2, 2)):
        for alpha in wanted:
            if sum(alpha) < k:
                continue
            if i == j:
                terms = _square_terms(alpha, supports[i])
            else:
                terms = _leibniz_terms(alpha, supports[i], supports[j])
            if terms:
                supports[k].add(alpha)
                steps.append((k, i, j, alpha, terms))
    sums = []
    for alpha in targets:
        orders = (0,) if alpha == zero else tuple(k for k in range(1, MAX_ORDER + 1) if alpha in supports[k])
        sums.append((alpha, tuple((k, 1 / factorial(k)) for k in orders)))
    return _needed(steps, sums), tuple(sums), tuple(sorted({k for _, terms in sums for k, _ in terms}))


def _needed(steps: list, sums: list) -> tuple:
    """The steps whose result is used, in order."""
    used = {(k, alpha) for alpha, terms in sums for k, _ in terms}
    kept = []
    for k, i, j, alpha, terms in reversed(steps):
        if (k, alpha) in used:
            used |= {(i, beta) for beta, _, _ in terms} | {(j, gamma) for _, gamma, _ in terms}
            kept.append((k, i, j, alpha, terms))
    return tuple(reversed(kept))


@lru_cache(maxsize=1024)
def _monomials_plan(targets: Indices) -> tuple:
    """(alpha, index below it or None, axis) for each power of the gradient needed, and the orders of f needed."""
    known: dict[MultiIndex, tuple] = {}

    def visit(alpha: MultiIndex) -> None:
        if sum(alpha) == 0 or alpha in known:
            return
        axis = max(i for i, a in enumerate(alpha) if a)
        below = tuple(a - (i == axis) for i, a in enumerate(alpha))
        visit(below)
        known[alpha] = (alpha, below if sum(below) else None, axis)

    for alpha in targets:
        visit(alpha)
    return tuple(known.values()), tuple(sorted({sum(alpha) for alpha in targets}))
