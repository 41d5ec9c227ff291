"""Cholesky factorization of a sparse matrix of dense blocks, in batches of fronts along a tree of separators."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from pinnsolve.least_squares.front_batches import (
    Batch,
    Couplings,
    add_updates,
    batches,
    in_blocks,
    put_own,
    scaled,
    scaled_and_padded,
)
from pinnsolve.least_squares.fronts import Front

UPDATE_COLUMNS = 512  # of a front's update made at a time
FIRST_SHIFT, LAST_SHIFT = 1e-14, 1e-8  # added to the unit diagonal, so that dependent columns stay bounded


class BlockMatrix:
    """A symmetric matrix of (C, n, n) diagonal blocks and (P, n, n) blocks for pairs (i, j) of neighbours."""

    def __init__(self, diagonal: Tensor, pairs: Sequence[tuple[int, int]], blocks: Tensor):
        self.diagonal, self.pairs, self.blocks = diagonal, tuple(pairs), blocks


class BlockCholesky:
    """The factorization of a `BlockMatrix`, scaled to unit diagonal and shifted by `shift`.

    `check()` is called several times per batch, and ends the factorization by raising what it likes.
    """

    def __init__(self, matrix: BlockMatrix, tree: Sequence[Front], check: Callable[[], None] = lambda: None):
        d = torch.diagonal(matrix.diagonal, dim1=1, dim2=2)
        self.scale = torch.where(d > 0, d, 1.0).rsqrt()  # (C, n)
        self.n = matrix.diagonal.shape[1]
        self._batches = batches(tree, matrix.pairs, matrix.diagonal)
        shift = FIRST_SHIFT
        while not self._factorize(matrix, shift, check):
            shift *= 100.0
            if shift > LAST_SHIFT:
                raise ArithmeticError("the matrix of the least squares is not finite, or far from positive")
        self.shift = shift

    def _factorize(self, matrix: BlockMatrix, shift: float, check: Callable[[], None]) -> bool:
        n = self.n
        self.factors: list[tuple[Tensor, Tensor | None]] = []
        updates: dict[int, Tensor] = {}
        # one piece of memory for all fronts: fresh pages for each would take longer than the arithmetic
        memory = matrix.diagonal.new_empty(max(batch.numbers for batch in self._batches) * n**2)
        for number, batch in enumerate(self._batches):
            check()
            count, own, size = len(batch.own), batch.own.shape[1] * n, batch.size * n
            F = memory[: count * size**2].view(count, size, size).zero_()
            self._fill(F, batch, matrix, shift)
            for children in batch.children:
                add_updates(F, updates[children.batch], children, n, lower=True)
            for done in batch.last_of:
                del updates[done]
            L, info = torch.linalg.cholesky_ex(F[:, :own, :own])
            if bool(info.any()) or not bool(torch.isfinite(L[:, -1, -1]).all()):
                return False
            below = None
            if size > own:
                check()
                below = torch.linalg.solve_triangular(L, F[:, own:, :own].mT, upper=False)  # (K, own, border)
                check()
                updates[number] = _lower_update(F[:, own:, own:], below)
            self.factors.append((L, below))
        return True

    def _fill(self, F: Tensor, batch: Batch, matrix: BlockMatrix, shift: float) -> None:
        """The fronts' own columns of the scaled matrix, on and below the diagonal."""
        put_own(F, batch, matrix.diagonal, self.scale, shift)
        blocks = in_blocks(F, self.n)
        self._couple(blocks, batch.straight, matrix.blocks)
        self._couple(blocks, batch.turned, matrix.blocks.mT)

    def _couple(self, blocks: Tensor, at: Couplings, given: Tensor) -> None:
        if len(at.pairs):
            below = scaled(given[at.pairs], self.scale, at.row_cells, at.column_cells)
            blocks[at.fronts, at.rows, at.columns] = below

    @property
    def pivots(self) -> Tensor:
        """Diagonal of the factor; small where columns are nearly dependent (1 is an independent column)."""
        found = []
        for (L, _), batch in zip(self.factors, self._batches, strict=True):
            found.append(torch.diagonal(L, dim1=1, dim2=2).unflatten(1, (-1, self.n))[batch.real[0], batch.real[1]])
        return torch.cat(found).flatten()

    def rank_info(self) -> dict[str, float | int]:
        """`rank`, `columns` and `condition`, the last from the pivots, an estimate from below.

        A pivot is the share of a column that the columns before do not hold; in the matrix A^T A, the smallest that can
        be told from zero is the root of the shift.
        """
        pivots = self.pivots
        held = pivots > 3.0 * self.shift**0.5
        return {
            "rank": int(held.sum()),
            "columns": len(pivots),
            "condition": float(pivots.max() / pivots[held].min()) if bool(held.any()) else float("inf"),
        }

    def solve(self, b: Tensor) -> Tensor:
        """x: (C, n) or (C, n, k) with (matrix) x = b."""
        y = scaled_and_padded(b, self.scale)
        for (L, below), batch in zip(self.factors, self._batches, strict=True):
            part = torch.linalg.solve_triangular(L, y[batch.own].flatten(1, 2), upper=False)
            y[batch.own] = part.unflatten(1, (-1, self.n))
            if below is not None:
                change = (below.mT @ part).reshape(-1, *y.shape[1:])
                y.index_add_(0, batch.border.flatten(), change, alpha=-1)
        for (L, below), batch in zip(reversed(self.factors), reversed(self._batches), strict=True):
            part = y[batch.own].flatten(1, 2)
            if below is not None:
                part = part - below @ y[batch.border].flatten(1, 2)
            y[batch.own] = torch.linalg.solve_triangular(L.mT, part, upper=True).unflatten(1, (-1, self.n))
        return (y[:-1] * self.scale[:, :, None]).reshape(b.shape)


def _lower_update(F: Tensor, below: Tensor) -> Tensor:
    """F - below^T below, (K, B, B), on and below the diagonal alone, but for whole blocks of columns."""
    update = torch.empty_like(F, memory_format=torch.contiguous_format)
    if F.shape[1] <= UPDATE_COLUMNS:
        return torch.baddbmm(F, below.mT, below, alpha=-1.0, out=update)
    for one, here, result in zip(F, below, update, strict=True):
        for j in range(0, len(one), UPDATE_COLUMNS):
            columns = slice(j, j + UPDATE_COLUMNS)
            torch.addmm(one[j:, columns], here[:, j:].T, here[:, columns], alpha=-1.0, out=result[j:, columns])
    return update
