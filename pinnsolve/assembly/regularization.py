"""Smoothness as rows: the seminorm of an unknown function, the integral of all its derivatives of one order squared.

The derivatives are those along the unit box onto which the domain is mapped, so that a weight has no unit but that of
the unknown (Tikhonov regularization; Engl, Hanke & Neubauer, Regularization of Inverse Problems, chapter 8).
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from pinnsolve.assembly.row_source import RowBlock, RowSource, State
from pinnsolve.bases.legendre import exponents
from pinnsolve.bases.piecewise.space import Space
from pinnsolve.language.symbols import MultiIndex
from pinnsolve.runtime import cached_by_device


class RegularizationRows(RowSource):
    """sqrt(weight) R c of one unknown in all cells, where |R c|^2 is the integral of its derivatives of an `order`."""

    kind = "regularization"

    def __init__(self, name: str, space: Space, unknown: int, unknowns: int, order: int, weight: float):
        cells = space.cells
        self.name, self.space, self.unknown, self.unknowns, self.weight = name, space, unknown, unknowns, weight
        self.cells = [torch.arange(cells.count)]
        sizes, kind = torch.unique(cells.size, dim=0, return_inverse=True)
        low, high = cells.box
        extent = tuple((high - low).tolist())
        roots = [
            seminorm_root(space.degrees, space.apart, space.ball, order, tuple(size), extent) for size in sizes.tolist()
        ]
        share = cells.volume / cells.volume.sum()
        self._roots = torch.stack(roots)[kind] * share.sqrt()[:, None, None]  # (C, M, n)
        self.row_count = cells.count * self._roots.shape[1]

    def rows(self, state: State, matrix: bool = True) -> RowBlock:
        n, root, c = self.space.functions, math.sqrt(self.weight), state.coefficients
        A = root * self._roots
        r = A.new_zeros(A.shape[:2]) if c is None else (A @ c[:, self.unknown, :, None])[..., 0]
        if not matrix:
            return RowBlock(self.name, r)
        block = A.new_zeros(*A.shape[:2], self.unknowns * n)
        block[:, :, self.unknown * n : (self.unknown + 1) * n] = A
        return RowBlock(self.name, r, [(self.cells[0], block)])


@cached_by_device(64)
def seminorm_root(
    degrees: tuple[int, ...], apart: int | None, ball: bool, order: int, size: tuple[float, ...],
    extent: tuple[float, ...],
) -> Tensor:  # fmt: skip
    """R (M, n) of a cell of that size in a box of that extent: |R c|^2 is the mean over the cell of the squares of all
    derivatives of an order, of functions as `exponents` has them.

    Derivatives are functions of the same kind, of lower degree, whose squares orthonormality adds up. There are several
    times as many of them as functions: the triangle of their QR factorization says the same.
    """
    of = exponents(degrees, apart, ball)
    steps = legendre_derivative(max(degrees))
    A = []
    for alpha in derivatives_of_order(len(size), order):
        repeated = math.factorial(order) / math.prod(math.factorial(k) for k in alpha)
        D = torch.full((len(of), len(of)), math.sqrt(repeated), dtype=torch.float64)
        for axis, k in enumerate(alpha):
            chain = (2.0 * extent[axis] / size[axis]) ** k
            D *= chain * torch.linalg.matrix_power(steps, k)[of[:, axis, None], of[None, :, axis]]
        A.append(D)
    return torch.linalg.qr(torch.cat(A), mode="r").R


def legendre_derivative(degree: int) -> Tensor:
    """(p + 1, p + 1): the derivatives of sqrt(2 k + 1) P_k in these, by P_k' = (2 k - 1) P_(k-1) + (2 k - 5) P_(k-3) +
    ..."""
    root = torch.sqrt(2.0 * torch.arange(degree + 1, dtype=torch.float64) + 1.0)
    apart = torch.arange(degree + 1) - torch.arange(degree + 1)[:, None]  # the column's degree less the row's
    return torch.where((apart > 0) & (apart % 2 == 1), root[:, None] * root, 0.0)


def derivatives_of_order(dimension: int, order: int) -> list[MultiIndex]:
    """All multi-indices of that order, the first coordinate's highest derivative first."""
    grid = exponents((order,) * min(dimension, 2)).tolist() if dimension < 3 else _all_exponents(dimension, order)
    return sorted((tuple(int(k) for k in alpha) for alpha in grid if sum(alpha) == order), reverse=True)


def _all_exponents(dimension: int, order: int) -> list[list[int]]:
    if dimension == 0:
        return [[]]
    return [[k, *rest] for k in range(order + 1) for rest in _all_exponents(dimension - 1, order - k)]
