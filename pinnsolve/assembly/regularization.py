"""Smoothness as rows: the seminorm of an unknown function, the integral of all its derivatives of one order squared.

The derivatives are those along the unit box onto which the domain is mapped, so that a weight has no unit but that of
the unknown (Tikhonov regularization; Engl, Hanke & Neubauer, Regularization of Inverse Problems, chapter 8).
"""

from __future__ import annotations

import math

import torch

from pinnsolve.assembly.row_source import RowBlock, RowSource, State
from pinnsolve.bases.legendre import exponents
from pinnsolve.bases.piecewise.space import Space, chain_factors
from pinnsolve.language.symbols import MultiIndex


class RegularizationRows(RowSource):
    """sqrt(weight) times the derivatives of `order` of one unknown at points of all cells."""

    kind = "regularization"

    def __init__(self, name: str, space: Space, unknown: int, unknowns: int, order: int, weight: float):
        cells, d = space.cells, space.cells.dimension
        self.name, self.space, self.unknown, self.unknowns, self.weight = name, space, unknown, unknowns, weight
        self._alphas = derivatives_of_order(d, order)
        space = Space(cells, space.degrees, tuple(max(o, order) for o in space.orders))
        _, quadrature, self._tables = space.shared([space.points_per_axis(a) for a in range(d)])
        low, high = cells.box
        everything = torch.arange(cells.count)
        self.cells = [everything]
        self.row_count = cells.count * len(self._alphas) * self._tables.points
        share = cells.volume / cells.volume.sum()
        self._factors = []
        for alpha in self._alphas:
            mapped = float(((high - low) ** torch.tensor(alpha)).prod())
            repeated = math.factorial(order) / math.prod(math.factorial(k) for k in alpha)
            size = chain_factors(cells, everything, alpha) * mapped * math.sqrt(repeated)
            self._factors.append(size[:, None] * share.sqrt()[:, None] * quadrature[0].sqrt())  # (C, m)

    def rows(self, state: State, matrix: bool = True) -> RowBlock:
        n, root, c = self.space.functions, math.sqrt(self.weight), state.coefficients
        r, A = [], []
        for alpha, factor in zip(self._alphas, self._factors, strict=True):
            table = self._tables.table(alpha)  # (1, m, n)
            r.append(torch.zeros_like(factor) if c is None else (c[:, self.unknown] @ table[0].T) * factor * root)
            if matrix:
                block = table.new_zeros(self.space.cells.count, table.shape[1], self.unknowns * n)
                block[:, :, self.unknown * n : (self.unknown + 1) * n] = (root * factor)[:, :, None] * table
                A.append(block)
        return RowBlock(self.name, torch.cat(r, dim=1), [(self.cells[0], torch.cat(A, dim=1))] if matrix else ())


def derivatives_of_order(dimension: int, order: int) -> list[MultiIndex]:
    """All multi-indices of that order, the first coordinate's highest derivative first."""
    grid = exponents((order,) * min(dimension, 2)).tolist() if dimension < 3 else _all_exponents(dimension, order)
    return sorted((tuple(int(k) for k in alpha) for alpha in grid if sum(alpha) == order), reverse=True)


def _all_exponents(dimension: int, order: int) -> list[list[int]]:
    if dimension == 0:
        return [[]]
    return [[k, *rest] for k in range(order + 1) for rest in _all_exponents(dimension - 1, order - k)]
