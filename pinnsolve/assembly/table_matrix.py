"""Matrices of rows on equal cells that are applied without being made.

Where cells share their points, a row is a sum of rows of tables that all cells share, times factors of its own: to read
these and multiply by the tables takes a fraction of the time of reading matrices of every cell.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from pinnsolve.threads import FAST, few_at_a_time

AT_ONCE = 2**15  # numbers of values at points that stay in the cache
PROPORTIONAL = 1e-13  # relative difference of factors that are one times a number


@dataclass(frozen=True)
class Entry:
    """What a row has of one unknown: `factor` (G or 1, m or 1) times a `table` (m, n)."""

    unknown: int
    factor: Tensor
    table: Tensor

    def joined(self, other: Entry) -> Entry | None:
        """Both as one, where their factors are proportional."""
        if self.unknown != other.unknown or self.factor.shape != other.factor.shape:
            return None
        at = self.factor.abs().argmax()
        if self.factor.flatten()[at] == 0.0:
            return None
        ratio = other.factor.flatten()[at] / self.factor.flatten()[at]
        same = (other.factor - ratio * self.factor).abs().max() <= PROPORTIONAL * other.factor.abs().max()
        return replace(self, table=self.table + ratio * other.table) if bool(same) else None


class TableMatrix:
    """The matrix (G, M, U n) of rows in `cells` (G,), for every residual its entries; M is that of all residuals."""

    def __init__(self, cells: Tensor, unknowns: int, residuals: Sequence[Sequence[Entry]]):
        self.cells, self.unknowns, self.residuals = cells, unknowns, [_fewest(entries) for entries in residuals]
        self.points, self.functions = residuals[0][0].table.shape

    @property
    def seen(self) -> set[int]:
        """The unknowns that stand in the rows."""
        return {one.unknown for entries in self.residuals for one in entries}

    @property
    def alike(self) -> bool:
        """Whether all cells have the same rows."""
        return all(alike(one.factor) for entries in self.residuals for one in entries)

    def of_cells(self, some: slice, unknown: int) -> Tensor:
        """(g, M, n): the columns of one unknown in the rows of some cells."""
        residuals = ([one for one in entries if one.unknown == unknown] for entries in self.residuals)
        return joined([self._sum(entries, some) for entries in residuals], 1)

    def _sum(self, entries: Sequence[Entry], some: slice) -> Tensor:
        """(g, m, n)"""
        count = len(self.cells[some])
        if not entries:
            return self.residuals[0][0].table.new_zeros(count, self.points, self.functions)
        first, *others = entries
        result = _of(first.factor, some).mT * first.table
        for one in others:
            result = torch.addcmul(result, _of(one.factor, some).mT, one.table)
        return result.expand(count, -1, -1)

    def of_tests(self, unknowns: int) -> TableMatrix:
        """The sum of the matrices of unknowns whose numbers differ by multiples of so many."""
        residuals = [[replace(one, unknown=one.unknown % unknowns) for one in entries] for entries in self.residuals]
        return TableMatrix(self.cells, unknowns, residuals)

    def times(self, z: Tensor) -> Tensor:
        """(G, M, k) of coefficients (C, U, n, k)."""
        k, m = z.shape[3], self.points
        result = z.new_empty(len(self.cells), k, len(self.residuals) * m)

        def find(some: slice) -> None:
            cells = self.cells[some]
            own = {u: z[cells, u].mT.reshape(-1, self.functions) for u in self.seen}
            for number, entries in enumerate(self.residuals):
                target = result[some, :, number * m : (number + 1) * m]
                for place, one in enumerate(entries):
                    values, factor = (own[one.unknown] @ one.table.T).view(len(cells), k, m), _of(one.factor, some)
                    target.addcmul_(values, factor) if place else torch.mul(values, factor, out=target)

        self._by_parts(find, k)
        return result.mT

    def adjoint(self, v: Tensor) -> Tensor:
        """(G, U, n, k): the transposed matrices times v (G, M, k)."""
        k, m = v.shape[2], self.points
        result = v.new_zeros(len(self.cells), self.unknowns, k, self.functions)

        def find(some: slice) -> None:
            for number, entries in enumerate(self.residuals):
                given = v[some, number * m : (number + 1) * m].mT
                for one in entries:
                    product = (given * _of(one.factor, some)).reshape(-1, m) @ one.table
                    result[some, one.unknown] += product.view(-1, k, self.functions)

        self._by_parts(find, k)
        return result.mT

    def _by_parts(self, work: Callable[[slice], None], columns: int) -> None:
        """Does `work` for some cells after others."""
        count, few = len(self.cells), max(1, AT_ONCE // (columns * self.points))
        few_at_a_time(work, count, few, count * columns * self.functions * self.points / FAST)


def alike(factor: Tensor) -> bool:
    """Whether the rows (G, m) are equal up to rounding."""
    return bool(((factor - factor[:1]).abs() <= 1e-12 * factor[:1].abs()).all())


def joined(parts: Sequence[Tensor], axis: int) -> Tensor:
    """Without a copy where there is nothing to join."""
    return torch.cat(list(parts), dim=axis) if len(parts) > 1 else parts[0]


def _fewest(entries: Sequence[Entry]) -> list[Entry]:
    """As few as there can be."""
    result: list[Entry] = []
    for entry in entries:
        found = ((k, both) for k, one in enumerate(result) if (both := one.joined(entry)) is not None)
        place, both = next(found, (len(result), entry))
        result[place : place + 1] = [both]
    return result


def _of(factor: Tensor, some: slice) -> Tensor:
    """(g or 1, 1, m or 1)"""
    return (factor[some] if len(factor) > 1 else factor)[:, None]
