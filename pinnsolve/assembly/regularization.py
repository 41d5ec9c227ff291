"""Smoothness as rows: the seminorm of an unknown function, the integral of all its derivatives of one order squared.

The derivatives are those along the unit box onto which the domain is mapped, so that a weight has no unit but that of
the unknown (Tikhonov regularization; Engl, Hanke & Neubauer, Regularization of Inverse Problems, chapter 8).
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from pinnsolve.assembly.cell_rows import Rows, Side
from pinnsolve.bases.legendre import exponents
from pinnsolve.bases.piecewise.space import Space, chain_factors
from pinnsolve.language.symbols import MultiIndex


class SmoothnessGroup:
    """sqrt(weight) times the derivatives of `order` of one unknown at points of all cells."""

    def __init__(self, name: str, space: Space, unknown: int, unknowns: int, order: int):
        cells, d = space.cells, space.cells.dimension
        self.name, self.space, self.unknown, self.unknowns = name, space, unknown, unknowns
        self.alphas = derivatives_of_order(d, order)
        space = Space(cells, space.degrees, tuple(max(o, order) for o in space.orders))
        _, spread, tables = space.shared([space.points_per_axis(a) for a in range(d)])
        low, high = cells.box
        everything = torch.arange(cells.count)
        self.side = Side(everything, tables)
        self.members, self.cells_of_sides = cells.count, [everything]
        self.row_count = cells.count * len(self.alphas) * tables.points
        self.share = cells.volume / cells.volume.sum()
        self.factors = []
        for alpha in self.alphas:
            mapped = float(((high - low) ** torch.tensor(alpha)).prod())
            repeated = math.factorial(order) / math.prod(math.factorial(k) for k in alpha)
            size = chain_factors(cells, everything, alpha) * mapped * math.sqrt(repeated)
            self.factors.append(size[:, None] * self.share.sqrt()[:, None] * spread[0].sqrt())  # (C, m)
        self.weight = 1.0

    def rows(self, c: Tensor, parameters: Tensor, with_matrix: bool = True) -> Rows:
        n, root = self.space.functions, math.sqrt(self.weight)
        r, A = [], []
        for alpha, factor in zip(self.alphas, self.factors, strict=True):
            table = self.side.tables.table(alpha)  # (1, m, n)
            r.append((c[:, self.unknown] @ table[0].T) * factor * root)
            if with_matrix:
                block = table.new_zeros(self.members, table.shape[1], self.unknowns * n)
                block[:, :, self.unknown * n : (self.unknown + 1) * n] = (root * factor)[:, :, None] * table
                A.append(block)
        rows = Rows(self.name, torch.cat(r, dim=1))
        if with_matrix:
            rows.sides = [(self.cells_of_sides[0], torch.cat(A, dim=1))]
        return rows


def derivatives_of_order(dimension: int, order: int) -> list[MultiIndex]:
    """All multi-indices of that order, the first coordinate's highest derivative first."""
    grid = exponents((order,) * min(dimension, 2)).tolist() if dimension < 3 else _all_exponents(dimension, order)
    return sorted((tuple(int(k) for k in alpha) for alpha in grid if sum(alpha) == order), reverse=True)


def _all_exponents(dimension: int, order: int) -> list[list[int]]:
    if dimension == 0:
        return [[]]
    return [[k, *rest] for k in range(order + 1) for rest in _all_exponents(dimension - 1, order - k)]
