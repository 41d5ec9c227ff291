"""LU factorization of a sparse matrix of dense blocks that is not symmetric, real or complex, in batches of fronts.

The blocks are as in `block_cholesky`: cells are block rows, cells that share rows are neighbours. Pivots are sought
within what a front eliminates, which is enough for matrices near those of a least squares.
"""

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

TINY = 1e-14  # shift of the scaled diagonal, so that dependent columns stay bounded


class BlockLU:
    """The factorization of `blocks`: (C, n, n) on the diagonal, and the upper and lower ones of neighbours.

    For pairs (i, j), `upper` (P, n, n) are in row i and column j, `lower` in row j and column i. `scale`: (C, n) of
    rows and columns.
    """

    def __init__(
        self, blocks: Sequence[Tensor], pairs: Sequence[tuple[int, int]], scale: Tensor, tree: Sequence[Front],
        check: Callable[[], None] = lambda: None,
    ):  # fmt: skip
        self.n, self.scale = blocks[0].shape[1], scale
        self._batches = batches(tree, pairs, blocks[0])
        self._factors: list[tuple[Tensor, Tensor, Tensor, Tensor]] = []
        updates: dict[int, Tensor] = {}
        for number, batch in enumerate(self._batches):
            check()
            F = self._filled(batch, blocks)
            for children in batch.children:
                add_updates(F, updates[children.batch], children, self.n, lower=False)
            for done in batch.last_of:
                del updates[done]
            update = self._eliminated(F, batch)
            if batch.border.shape[1]:
                updates[number] = update

    def _filled(self, batch: Batch, blocks: Sequence[Tensor]) -> Tensor:
        """The fronts' own rows and columns of the scaled matrix."""
        diagonal, upper, lower = blocks
        size = batch.size * self.n
        F = diagonal.new_zeros(len(batch.own), size, size)
        put_own(F, batch, diagonal, self.scale, TINY)
        target = in_blocks(F, self.n)
        self._couple(target, batch.straight, upper, lower)
        self._couple(target, batch.turned, lower, upper)
        return F

    def _couple(self, target: Tensor, at: Couplings, below: Tensor, above: Tensor) -> None:
        if len(at.pairs):
            rows, columns = at.row_cells, at.column_cells
            target[at.fronts, at.rows, at.columns] = scaled(below[at.pairs], self.scale, rows, columns)
            target[at.fronts, at.columns, at.rows] = scaled(above[at.pairs], self.scale, columns, rows)

    def _eliminated(self, F: Tensor, batch: Batch) -> Tensor:
        """Appends the factors of fronts; returns what they leave to their parents."""
        own = batch.own.shape[1] * self.n
        LU, pivots, info = torch.linalg.lu_factor_ex(F[:, :own, :own])
        if bool(info.any()) or not bool(torch.isfinite(torch.view_as_real(LU) if LU.is_complex() else LU).all()):
            raise ArithmeticError("the matrix of the stages is not finite, or singular")
        right = torch.linalg.lu_solve(LU, pivots, F[:, :own, own:])  # F_oo^-1 F_ob
        left = F[:, own:, :own].clone()
        self._factors.append((LU, pivots, left, right))
        return F[:, own:, own:] - left @ right

    def solve(self, b: Tensor) -> Tensor:
        """x: (C, n, k) with (matrix) x = b."""
        y = scaled_and_padded(b, self.scale)
        for (LU, pivots, left, _), batch in zip(self._factors, self._batches, strict=True):
            part = torch.linalg.lu_solve(LU, pivots, y[batch.own].flatten(1, 2))
            y[batch.own] = part.unflatten(1, (-1, self.n))
            if left.shape[1]:
                change = (left @ part).reshape(-1, *y.shape[1:])
                y.index_add_(0, batch.border.flatten(), change, alpha=-1)
        for (*_, right), batch in zip(reversed(self._factors), reversed(self._batches), strict=True):
            if right.shape[2]:
                change = right @ y[batch.border].flatten(1, 2)
                y[batch.own] -= change.unflatten(1, (-1, self.n))
        return (y[:-1] * self.scale[:, :, None]).reshape(b.shape)
