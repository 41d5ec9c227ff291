"""Polynomials on cells: the space of functions that a partition into cells and degrees span.

On every cell stand products of Legendre polynomials up to the degrees, nothing outside it: the sharp limit of a
partition of unity. Continuity is a matter of the least squares.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import torch
from torch import Tensor

from pinnsolve.bases.legendre import (
    ReferenceTables,
    exponents,
    legendre_rows,
    shared_points,
    shared_tables,
    shared_weights,
    tensor_index,
)
from pinnsolve.bases.piecewise.cut_quadrature import Metric, cut_points, metric_of
from pinnsolve.bases.piecewise.mesh import Cells
from pinnsolve.language.symbols import MultiIndex

OVERSAMPLING = {1: 1.5, 2: 1.4, 3: 1.1}  # points per degree and axis, by the number of axes
FEW_POINTS, LARGE = 4, 4000  # of a cell, for which a product of its own does not pay, unless it has more functions
MOST_POINTS = 16_384  # whose polynomials of every axis are made at a time
AT_ONCE = 2048  # points of a cell: what lies between stays in the cache
BLOCK_NUMBERS = 4e6  # of a table of values at points of their own


@dataclass(frozen=True)
class Space:
    """Cells and what stands on each: polynomials of the `degrees` per axis (see `exponents`), one set per unknown.

    A function is a tensor of coefficients (C, unknowns, n). `apart`: the axis of time, where functions are polynomials
    in time for every function of space. `ball`: whether the degrees fill a ball in two variables, as they do in three.
    """

    cells: Cells
    degrees: tuple[int, ...]
    orders: tuple[int, ...]  # the highest derivative asked for, per axis
    apart: int | None = None
    ball: bool = False

    @property
    def exponents(self) -> Tensor:
        """(n, d): the degrees of the functions."""
        return exponents(self.degrees, self.apart, self.ball)

    @property
    def functions(self) -> int:
        return len(self.exponents)

    @property
    def _is_whole(self) -> bool:
        """Whether it holds the whole tensor product, in the order of which its functions stand."""
        return self.functions == math.prod(p + 1 for p in self.degrees)

    def points_per_axis(self, axis: int) -> int:
        p = self.degrees[axis]
        return max(p + 2, round(OVERSAMPLING[min(len(self.degrees), 3)] * (p + 1)))

    def tables(self, points: Tensor) -> ReferenceTables:
        return ReferenceTables(points, self.degrees, self.orders, self.apart, self.ball)

    def shared(self, axes: Sequence[int | float]) -> tuple[Tensor, Tensor, ReferenceTables]:
        """Points (1, m, d), quadrature weights (1, m) and tables shared by all cells; see `shared_tables`."""
        axes = tuple(axes)
        tables = shared_tables(axes, self.degrees, self.orders, self.apart, self.ball)
        return shared_points(axes)[None], shared_weights(axes)[None], tables

    @cached_property
    def metric(self) -> Metric | None:
        """The changes of basis that make the functions of cut cells orthonormal; None where all cells are whole.

        Spaces with the same functions on the same cells share one, for as long as any of them is there.
        """
        key = self.degrees, self.apart, self.ball
        found = self.cells.metrics.get(key)
        if found is None:
            found = metric_of(self)
            if found is not None:
                self.cells.metrics[key] = found
        return found

    def moved(self, cells: Cells) -> Space:
        """The same functions on cells that lie elsewhere along an axis on which no boundary depends."""
        other = replace(self, cells=cells)
        if "metric" in self.__dict__:
            other.__dict__["metric"] = self.metric  # the cached value
        return other

    def orthonormal(self, c: Tensor) -> Tensor:
        """(..., C, U, n): coefficients of functions orthonormal, in the mean, on what counts of their cells."""
        if self.metric is None:
            return c
        C, U, n = c.shape[-3:]
        z = self.metric.orthonormal(c.reshape(-1, C, U, n).transpose(0, 1).reshape(C, -1, n))  # all at once
        return z.reshape(C, -1, U, n).transpose(0, 1).reshape(c.shape)

    def back(self, z: Tensor) -> Tensor:
        """The inverse of `orthonormal`."""
        return z if self.metric is None else self.metric.back(z)

    def rms(self, c: Tensor) -> Tensor:
        """(..., U) root mean squares of functions (..., C, U, n)."""
        volume = self.cells.volume
        squares = self.orthonormal(c).square().sum(dim=-1)
        return torch.sqrt((squares * volume[:, None]).sum(dim=-2) / volume.sum())

    def means(self, c: Tensor) -> Tensor:
        """(U,) means of functions (C, U, n)."""
        volume = self.cells.volume
        return (self.orthonormal(c)[:, :, 0] * volume[:, None]).sum(dim=0) / volume.sum()

    def values(self, c: Tensor, x: Tensor, alpha: MultiIndex) -> Tensor:
        """(unknowns, N): a derivative of the function c (C, unknowns, n) at points (N, d)."""
        return self.combined(c, x, [alpha])[alpha]

    def combined(self, c: Tensor, x: Tensor, alphas: Sequence[MultiIndex]) -> dict[MultiIndex, Tensor]:
        """(unknowns, N) per derivative of the function c (C, unknowns, n) at points (N, d)."""
        return self.combined_in(self.cells.locate(x), c, x, alphas)

    def combined_in(self, cell: Tensor, c: Tensor, x: Tensor, alphas: Sequence[MultiIndex]) -> dict[MultiIndex, Tensor]:
        """The same of the functions of given cells (N,), which may be one of several at a point on a face."""
        if not len(x):
            return {alpha: c.new_zeros(c.shape[1], 0) for alpha in alphas}
        cell, order = torch.sort(cell)
        back = torch.argsort(order)
        few = len(x) <= FEW_POINTS * len(torch.unique_consecutive(cell)) and self.functions <= LARGE
        values = self._one_by_one if few else self._in_cells
        most = max(1, int(BLOCK_NUMBERS // self.functions)) if few else MOST_POINTS
        results: dict[MultiIndex, list[Tensor]] = {alpha: [] for alpha in alphas}
        for part, own in zip(x[order].split(most), cell.split(most), strict=True):
            for alpha, found in values(c, part, own, alphas).items():
                results[alpha].append(found * chain_factors(self.cells, own, alpha))
        return {alpha: torch.cat(pieces, dim=1)[:, back] for alpha, pieces in results.items()}

    def _one_by_one(self, c: Tensor, x: Tensor, cell: Tensor, alphas: Sequence[MultiIndex]) -> dict[MultiIndex, Tensor]:
        """As `_in_cells`, by a table of all functions at all points."""
        orders = tuple(max(a[axis] for a in alphas) for axis in range(x.shape[1]))
        tables = replace(self, orders=orders).tables(self.cells.reference(x[:, None], cell))
        own = [c[cell, u] for u in range(c.shape[1])]
        return {a: torch.stack([(tables.table(a)[:, 0] * one).sum(dim=1) for one in own]) for a in alphas}

    def _in_cells(self, c: Tensor, x: Tensor, cell: Tensor, alphas: Sequence[MultiIndex]) -> dict[MultiIndex, Tensor]:
        """(unknowns, N) per derivative in reference coordinates, at points (N, d) in order of their cells (N,)."""
        chosen, counts = torch.unique_consecutive(cell, return_counts=True)
        places = self.cells.reference(x[:, None], cell)[:, 0].T.contiguous()
        axes = {
            (axis, k): legendre_rows(places[axis], self.degrees[axis], k)
            for axis in range(len(places))
            for k in {alpha[axis] for alpha in alphas}
        }
        pieces = {key: table.split(counts.tolist(), dim=1) for key, table in axes.items()}
        results: dict[MultiIndex, list[Tensor]] = {alpha: [] for alpha in alphas}
        for number, own in enumerate(self._spread_one_by_one(c, chosen)):
            tables = {key: tables[number] for key, tables in pieces.items()}
            for alpha, found in zip(alphas, _contracted(own, tables, alphas), strict=True):
                results[alpha].append(found)
        return {alpha: torch.cat(found, dim=1) for alpha, found in results.items()}

    def _spread_one_by_one(self, c: Tensor, chosen: Tensor) -> Iterator[Tensor]:
        """Those of some cells, as of `spread`."""
        if self._is_whole:
            shape = [p + 1 for p in self.degrees]
            yield from (c[cell].reshape(-1, *shape) for cell in chosen.tolist())
            return
        for some in chosen.split(max(1, int(BLOCK_NUMBERS // (self.functions * c.shape[1])))):
            yield from self.spread(c[some])

    def spread(self, c: Tensor) -> Tensor:
        """(C, U, p_1 + 1, ..., p_d + 1): the coefficients in the whole tensor product, zeros where there are none."""
        shape = [p + 1 for p in self.degrees]
        if self._is_whole:
            return c.reshape(*c.shape[:2], *shape)
        result = c.new_zeros(*c.shape[:2], math.prod(shape))
        result[..., tensor_index(self.degrees, self.apart, self.ball)] = c
        return result.reshape(*c.shape[:2], *shape)

    def gather(self, tensor: Tensor) -> Tensor:
        """The inverse of `spread`; what the space does not hold is dropped."""
        flat = tensor.flatten(2)
        return flat if self._is_whole else flat[..., tensor_index(self.degrees, self.apart, self.ball)]

    def dropped(self, tensor: Tensor) -> Tensor:
        """(C, U): the sums of squares of what `gather` drops."""
        if self._is_whole:
            return tensor.new_zeros(tensor.shape[:2])
        beyond = torch.ones(math.prod(p + 1 for p in self.degrees), dtype=torch.bool)
        beyond[tensor_index(self.degrees, self.apart, self.ball)] = False
        return tensor.flatten(2)[..., beyond].square().sum(dim=2)

    def widened(self, c: Tensor, other: Space) -> Tensor:
        """The same function in a space of the same cells and other degrees: padded with zeros, or cut off."""
        result = c.new_zeros(*c.shape[:2], *(p + 1 for p in other.degrees))
        common = (..., *(slice(0, min(p, q) + 1) for p, q in zip(self.degrees, other.degrees, strict=True)))
        result[common] = self.spread(c)[common]
        return other.gather(result)

    def project(self, function: Callable[[Tensor], Tensor], unknowns: int) -> Tensor:
        """(C, unknowns, n): discrete least squares of a function (N, d) -> (unknowns, N) cell by cell."""
        zero = (0,) * self.cells.dimension
        points, weights, tables = self.shared([self.points_per_axis(a) for a in range(self.cells.dimension)])
        cut = self.cells.cut
        whole = (~cut).nonzero()[:, 0]
        result = torch.zeros(self.cells.count, unknowns, self.functions, dtype=torch.float64)
        table = tables.table(zero)[0]
        tested = (weights.T * table).T
        # the functions are nearly orthonormal at the points, so that their products lose nothing
        inverse = torch.linalg.solve(tested @ table, tested)  # (n, m)
        x = self.cells.physical(points, whole)
        values = function(x.flatten(0, 1)).reshape(unknowns, *x.shape[:2])
        result[whole] = (values @ inverse.T).transpose(0, 1)
        if self.metric is not None:
            result[cut] = self._project_cut(function, unknowns)
        return result

    def _project_cut(self, function, unknowns: int) -> Tensor:
        metric = self.metric
        points, weights = cut_points(self, metric.cut)
        x = self.cells.physical(points, metric.cut)
        values = function(x.flatten(0, 1)).reshape(unknowns, *x.shape[:2]).permute(1, 2, 0)  # (K, m, U)
        table = self.tables(points).table((0,) * self.cells.dimension)[..., metric.order]
        Q = torch.linalg.solve_triangular(metric.R, torch.sqrt(weights)[..., None] * table, upper=True, left=False)
        z = Q.mT @ torch.where(weights[..., None] > 0, torch.sqrt(weights)[..., None] * values, 0.0)
        c = torch.linalg.solve_triangular(metric.R, z, upper=True).mT  # (K, U, n)
        result = torch.empty_like(c)
        result[..., metric.order] = c
        return result


def _contracted(tensor: Tensor, axes: Mapping[tuple[int, int], Tensor], alphas: Sequence[MultiIndex]) -> list[Tensor]:
    """(U, m) per derivative: coefficients (U, p_1 + 1, ..., p_d + 1) of one cell times the polynomials of each axis, or
    their derivatives, `axes[axis, order]` (p_a + 1, m).

    Axis by axis, so that no table of the products is made, and once for all that share the orders of the last ones.
    """
    d = tensor.dim() - 1
    m = axes[d - 1, alphas[0][-1]].shape[1]
    parts: list[list[Tensor]] = [[] for _ in alphas]
    for here in range(0, m, AT_ONCE):
        known: dict[MultiIndex, Tensor] = {}
        for axis in reversed(range(d)):
            for tail in dict.fromkeys(alpha[axis:] for alpha in alphas):
                piece = axes[axis, tail[0]][:, here : here + AT_ONCE]
                if axis == d - 1:
                    known[tail] = tensor.flatten(0, -2) @ piece
                else:
                    known[tail] = (known[tail[1:]].reshape(-1, *piece.shape) * piece).sum(dim=1)
        for found, alpha in zip(parts, alphas, strict=True):
            found.append(known[alpha])
    return [found[0] if len(found) == 1 else torch.cat(found, dim=1) for found in parts]


def chain_factors(cells: Cells, index: Tensor | slice, alpha: MultiIndex) -> Tensor:
    """(G,): what turns reference derivatives into those of the cells chosen."""
    size = cells.size[index]
    factor = torch.ones_like(size[:, 0])
    for axis, k in enumerate(alpha):
        if k:
            factor = factor * (2.0 / size[:, axis]) ** k
    return factor
