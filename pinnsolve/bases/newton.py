"""Sparse interpolation by nested points: Leja points, Newton polynomials on them, and sets of multi-indices.

On [-1, 1] each Leja point maximizes the product of the distances to those before it, so that the Newton polynomial
h_k(y) = prod_{i<k} (y - y_i) / (y_k - y_i) is at most one in size: a coefficient is the most that its polynomial
contributes. In several variables, products of these with multi-indices from a set that holds all those below each
of its own (a downward closed set) interpolate at as many points (Chkifa, Cohen & Schwab, High-dimensional adaptive
sparse polynomial interpolation and applications to parametric PDEs, Found. Comput. Math. 14 (2014) 601-633).
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from functools import lru_cache

import torch
from torch import Tensor

CANDIDATES = 20_001  # among which the next Leja point is sought
Index = tuple[int, ...]


@lru_cache(maxsize=8)
def leja_points(count: int) -> Tensor:
    """(count,) the first Leja points of [-1, 1]: the middle, the ends, and so on, nested."""
    y = torch.cos(math.pi * torch.arange(CANDIDATES, dtype=torch.float64) / (CANDIDATES - 1))
    y[(CANDIDATES - 1) // 2] = 0.0
    found, product = [0.0], y.abs().log()
    while len(found) < count:
        found.append(float(y[product.argmax()]))
        product = product + (y - found[-1]).abs().log()
    return torch.tensor(found[:count], dtype=torch.float64)


def newton_polynomials(y: Tensor, count: int, orders: int) -> Tensor:
    """(orders + 1, count, N): the k-th derivatives of h_0 .. h_{count - 1} at y (N,), for k = 0 .. orders."""
    table = y.new_zeros(orders + 1, count, len(y))
    table[0, 0] = 1.0
    for j, (point, scale) in enumerate(_factors(count)[: count - 1], 1):
        torch.mul(table[:, j - 1], (y - point) * scale, out=table[:, j])
        for k in range(1, orders + 1):
            table[k, j] += k * scale * table[k - 1, j - 1]
    return table


@lru_cache(maxsize=64)
def _factors(count: int) -> list[tuple[float, float]]:
    """By j the numbers (p, s) in h_{j + 1} = h_j (y - p) s."""
    points = leja_points(max(count, 2)).tolist()
    products = [math.prod(at - before for before in points[:j]) for j, at in enumerate(points)]
    return [(points[j], products[j] / products[j + 1]) for j in range(count - 1)]


def sparse_products(y: Tensor, indices: Sequence[Index], alpha: Index) -> Tensor:
    """(K, N): the derivative `alpha` of the products of Newton polynomials with the multi-indices, at points (N, r)."""
    result = None
    for axis, order in enumerate(alpha):
        wanted = [index[axis] for index in indices]
        table = newton_polynomials(y[:, axis].contiguous(), max(wanted) + 1, order)[order]
        factor = table if wanted == list(range(len(table))) else table[wanted]
        result = factor if result is None else result * factor
    return result


def points_of(indices: Sequence[Index]) -> Tensor:
    """(K, r): the interpolation points of multi-indices in [-1, 1]^r."""
    points = leja_points(max(2, 1 + max(max(index) for index in indices)))
    return points[torch.tensor(indices, dtype=torch.long)]


def interpolation_matrix(indices: Sequence[Index]) -> Tensor:
    """(K, K): turns values at the points of the indices into coefficients of the products of Newton polynomials.

    The inverse of the products at the points, which is triangular where no index comes before those below it.
    """
    zero = (0,) * len(indices[0])
    at_points = sparse_products(points_of(indices), indices, zero).T
    one = torch.eye(len(indices), dtype=torch.float64)
    return torch.linalg.solve_triangular(at_points, one, upper=False, unitriangular=True)


def neighbours_below(index: Index) -> list[Index]:
    """The multi-indices that are one less in one place."""
    return [(*index[:a], k - 1, *index[a + 1 :]) for a, k in enumerate(index) if k > 0]


def margin(indices: Iterable[Index]) -> list[Index]:
    """The multi-indices that may be added to a downward closed set one at a time, in order."""
    present = set(indices)
    above = {(*i[:a], i[a] + 1, *i[a + 1 :]) for i in present for a in range(len(i))} - present
    return sorted(index for index in above if all(below in present for below in neighbours_below(index)))
