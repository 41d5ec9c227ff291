"""Legendre polynomials on the reference interval [-1, 1], orthonormal in the mean, with derivatives; reference points.

P~_k = sqrt(2k + 1) P_k has mean square 1 over the interval, so the sum of squared coefficients is the mean square of a
function over its cell, and the size of the last coefficients tells what the degree does not hold.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from pinnsolve.language.symbols import MultiIndex
from pinnsolve.runtime import cached_by_device

ROWS = 512  # of a table made at a time: what lies between stays in the cache


def legendre(s: Tensor, degree: int, orders: int) -> Tensor:
    """(orders + 1, ..., degree + 1): the k-th derivatives of P~_0 .. P~_degree at s, for k = 0 .. orders.

    Recurrences of Abramowitz & Stegun 8.5.3 and, for derivatives, P'_{n+1} = P'_{n-1} + (2n + 1) P_n.
    """
    tables = _recurrences(s, degree, orders)
    norms = torch.sqrt(2 * torch.arange(degree + 1, dtype=s.dtype, device=s.device) + 1)
    return torch.stack([torch.stack(t[: degree + 1], dim=-1) for t in tables]) * norms


def legendre_rows(s: Tensor, degree: int, order: int) -> Tensor:
    """(degree + 1, N): the derivatives of one order of P~_0 .. P~_degree at s (N,), as `legendre` has them."""
    norms = torch.sqrt(2 * torch.arange(degree + 1, dtype=s.dtype, device=s.device) + 1)
    return torch.stack(_recurrences(s, degree, order)[order][: degree + 1]).mul_(norms[:, None])


def _recurrences(s: Tensor, degree: int, orders: int) -> list[list[Tensor]]:
    """By order the derivatives of P_0, P_1, ..., not normalized."""
    tables = [[torch.ones_like(s), s]]
    for n in range(1, degree):
        low, high = tables[0][n - 1 :]
        tables[0].append(((2 * n + 1) * s * high - n * low) / (n + 1))
    for _ in range(orders):
        below, here = tables[-1], [torch.zeros_like(s), tables[-1][0]]
        for n in range(1, degree):
            here.append(here[n - 1] + (2 * n + 1) * below[n])
        tables.append(here)
    return tables


@cached_by_device(64)
def gauss_rule(count: int) -> tuple[Tensor, Tensor]:
    """Points (count,) of Gauss in [0, 1] and their weights, one in all."""
    points, weights = np.polynomial.legendre.leggauss(count)
    return torch.as_tensor(0.5 * (points + 1)), torch.as_tensor(0.5 * weights)


@cached_by_device(256)
def chebyshev_points(count: int) -> Tensor:
    """(count,) zeros of the Chebyshev polynomial of that degree: dense towards the ends, never on them."""
    k = torch.arange(count, dtype=torch.float64)
    return -torch.cos(math.pi * (k + 0.5) / count)


@cached_by_device(256)
def chebyshev_weights(count: int) -> Tensor:
    """(count,) quadrature weights at `chebyshev_points` for the mean over the interval (Fejer's first rule)."""
    theta = math.pi * (torch.arange(count, dtype=torch.float64) + 0.5) / count
    j = torch.arange(1, count // 2 + 1, dtype=torch.float64)
    return (1.0 - 2.0 * (torch.cos(2.0 * j * theta[:, None]) / (4.0 * j**2 - 1.0)).sum(dim=1)) / count


def tensor_points(axes: Sequence[Tensor]) -> Tensor:
    """(N, d): the tensor grid of the coordinates given per axis, the last running fastest; one point of no axes."""
    if not axes:
        return torch.zeros(1, 0, dtype=torch.float64)
    return torch.stack(torch.meshgrid(*axes, indexing="ij"), dim=-1).reshape(-1, len(axes))


BALL = 3  # variables from which on degrees fill a ball


def functions_of(degrees: Sequence[int]) -> int:
    """About how many `exponents` there are, without making them."""
    whole = math.prod(p + 1 for p in degrees)
    return whole if len(degrees) < BALL else max(1, whole // 2 ** (len(degrees) - 1))


def fill_ball(variables: int, ball: bool) -> bool:
    """Whether degrees fill a ball: in three variables and more, and where they are to."""
    return ball or variables >= BALL


def held(k: Tensor, degrees: Sequence[int], ball: bool = False) -> Tensor:
    """(n,) bool: which products of Legendre polynomials of degrees k (n, d) there are among those up to `degrees`."""
    shares = (k / k.new_tensor([max(p, 1) for p in degrees], dtype=torch.float64)) ** 2
    return (shares.sum(dim=1) if fill_ball(len(degrees), ball) else shares.amax(dim=1)) <= 1 + 1e-12


@cached_by_device(64)
def exponents(degrees: tuple[int, ...], apart: int | None = None, ball: bool = False) -> Tensor:
    """(n, d): products of Legendre polynomials: all up to the degrees in one or two variables, the last fastest.

    In three and four variables, and where they are to fill a `ball`, those with sum_a (k_a / p_a)^2 <= 1. The variable
    number `apart` does not count among them: each of its powers stands with all products of the others.
    Of a smooth function in several variables the coefficients fall equally fast in all directions, so a ball of degrees
    holds as much as the whole tensor product, with half its functions in three dimensions (Trefethen, Multivariate
    polynomial approximation in the hypercube, Proc. AMS 145 (2017) 4837-4844).
    """
    grid = tensor_points([torch.arange(p + 1) for p in degrees])
    counted = [axis for axis in range(len(degrees)) if axis != apart]
    if not fill_ball(len(counted), ball):
        return grid
    return grid[held(grid[:, counted], [degrees[axis] for axis in counted], ball)]


@cached_by_device(64)
def tensor_index(degrees: tuple[int, ...], apart: int | None = None, ball: bool = False) -> Tensor:
    """(n,): where the functions of `exponents` stand in the whole tensor product."""
    strides = [1]
    for p in reversed(degrees[1:]):
        strides.append(strides[-1] * (p + 1))
    return exponents(degrees, apart, ball) @ torch.tensor(strides[::-1])


class ReferenceTables:
    """Derivatives of the basis of a cell at reference points: `table(alpha)` is (G, m, n), in the order of `exponents`.

    `points`: (G, m, d) in [-1, 1]^d, with G = 1 where all cells share them. Derivatives are with respect to the
    reference coordinates.
    """

    def __init__(
        self, points: Tensor, degrees: Sequence[int], orders: Sequence[int], apart: int | None = None,
        ball: bool = False,
    ):  # fmt: skip
        self._axes = [
            legendre(points[..., a], p, k) for a, (p, k) in enumerate(zip(degrees, orders, strict=True))
        ]  # each (orders + 1, G, m, p + 1)
        self.shared = points.shape[0] == 1
        self.points = points.shape[1]
        self._index = tensor_index(tuple(degrees), apart, ball)
        self._tables: dict[MultiIndex, Tensor] = {}

    def table(self, alpha: MultiIndex) -> Tensor:
        if alpha not in self._tables:
            self._tables[alpha] = self._made(alpha)
        return self._tables[alpha]

    def _made(self, alpha: MultiIndex) -> Tensor:
        axes = [axis[k].flatten(0, 1) for axis, k in zip(self._axes, alpha, strict=True)]  # (G m, p + 1)
        result = axes[0].new_empty(len(axes[0]), len(self._index))
        for i in range(0, len(result), ROWS):
            _products([axis[i : i + ROWS] for axis in axes], self._index, result[i : i + ROWS])
        return result.reshape(-1, self.points, len(self._index))

    def forget(self) -> None:
        """Gives up the tables made so far, unless they are shared by all cells; they are made again when asked for."""
        if not self.shared:
            self._tables.clear()


class GridTables(ReferenceTables):
    """The same at a tensor grid of points (m_a,) per axis, the first axis slowest, that all cells share."""

    def __init__(
        self, axes: Sequence[Tensor], degrees: Sequence[int], orders: Sequence[int], apart: int | None, ball: bool
    ):
        of_axes = zip(axes, degrees, orders, strict=True)
        self._axes = [legendre(points, p, k) for points, p, k in of_axes]  # each (orders + 1, m_a, p + 1)
        self.shared, self.points = True, math.prod(map(len, axes))
        self._exponents = exponents(tuple(degrees), apart, ball)
        self._tables = {}

    def _made(self, alpha: MultiIndex) -> Tensor:
        axes = [axis[k][:, e] for axis, k, e in zip(self._axes, alpha, self._exponents.unbind(1), strict=True)]
        result = axes[0]  # (m_0, n), and so on
        for axis in axes[1:]:
            result = (result[:, None] * axis).flatten(0, 1)
        return result[None]


def _products(axes: Sequence[Tensor], index: Tensor, out: Tensor) -> None:
    """Fills `out` (N, n) with those of the products of one function per axis, (N, p + 1) each, that `index` names."""
    result = axes[0]
    for axis in axes[1:]:
        result = (result[:, :, None] * axis[:, None, :]).flatten(1)
    if result.shape[1] == len(index) or result.requires_grad:  # `out=` knows no derivatives
        out.copy_(result if result.shape[1] == len(index) else result.index_select(1, index))
    else:
        torch.index_select(result, 1, index, out=out)


@cached_by_device(64)
def shared_tables(
    axes: tuple[int | float, ...], degrees: tuple[int, ...], orders: tuple[int, ...], apart: int | None = None,
    ball: bool = False,
) -> ReferenceTables:  # fmt: skip
    """Tables at a tensor grid that all cells share; per axis the number of Chebyshev points, or -1.0, 1.0 at an end."""
    return GridTables([_on_axis(a) for a in axes], degrees, orders, apart, ball)


def forget_tables() -> None:
    """Gives up the tables that are kept: cells of other degrees need others."""
    shared_tables.cache_clear()


@cached_by_device(64)
def shared_points(axes: tuple[int | float, ...]) -> Tensor:
    """(m, d): see `shared_tables`."""
    return tensor_points([_on_axis(a) for a in axes])


def _on_axis(a: int | float) -> Tensor:
    return chebyshev_points(a) if isinstance(a, int) else torch.tensor([a], dtype=torch.float64)


@cached_by_device(64)
def shared_weights(axes: tuple[int | float, ...]) -> Tensor:
    """(m,) quadrature weights at `shared_points`, one in all."""
    values = [chebyshev_weights(a) if isinstance(a, int) else torch.ones(1, dtype=torch.float64) for a in axes]
    return tensor_points(values).prod(dim=1) if values else torch.ones(1, dtype=torch.float64)
