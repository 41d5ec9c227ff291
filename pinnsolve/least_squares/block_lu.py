"""LU factorization of a sparse matrix of dense blocks that is not symmetric, real or complex, in batches of fronts.

The blocks are as in `block_cholesky`: cells are block rows, cells that share rows are neighbours. Pivots are sought
within what a front eliminates, which is enough for matrices near those of a least squares.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from pinnsolve.least_squares.block_cholesky import scaled_and_padded
from pinnsolve.least_squares.fronts import Batch, Couplings, Front, batches, in_blocks

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
            target = in_blocks(F, self.n)
            for children in batch.children:
                rows, columns = children.places[:, :, None], children.places[:, None]
                size = children.places.shape[1]
                given = in_blocks(updates[children.batch], self.n)[children.fronts, :size, :size]
                target[children.into[:, None, None], rows, columns] += given
            for done in batch.last_of:
                del updates[done]
            if batch.border.shape[1]:
                updates[number] = self._eliminated(F, batch)
            else:
                self._eliminated(F, batch)

    def _filled(self, batch: Batch, blocks: Sequence[Tensor]) -> Tensor:
        """The fronts' own rows and columns of the scaled matrix."""
        diagonal, upper, lower = blocks
        size, scale = batch.size * self.n, self.scale
        F = diagonal.new_zeros(len(batch.own), size, size)
        target = in_blocks(F, self.n)
        front, place, cell = batch.real
        target[front, place, place] = scale[cell][:, :, None] * diagonal[cell] * scale[cell][:, None]
        on_diagonal = torch.diagonal(F, dim1=1, dim2=2).unflatten(1, (-1, self.n))
        on_diagonal[:, : batch.own.shape[1]] += TINY
        on_diagonal[batch.missing[0], batch.missing[1]] = 1.0
        self._couple(target, batch.straight, upper, lower)
        self._couple(target, batch.turned, lower, upper)
        return F

    def _couple(self, target: Tensor, at: Couplings, below: Tensor, above: Tensor) -> None:
        if len(at.pairs):
            row, column = self.scale[at.row_cells], self.scale[at.column_cells]
            target[at.fronts, at.rows, at.columns] = row[:, :, None] * below[at.pairs] * column[:, None]
            target[at.fronts, at.columns, at.rows] = column[:, :, None] * above[at.pairs] * row[:, None]

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
