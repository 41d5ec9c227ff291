"""LU factorization of a sparse matrix of dense blocks that is not symmetric, real or complex, in batches of fronts.

The blocks are as in `block_cholesky`: cells are block rows, cells that share rows are neighbours. Pivots are sought
within what a front eliminates, which is enough for matrices near those of a least squares.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

import torch
from torch import Tensor

from pinnsolve.least_squares.front_batches import (
    Batch,
    Couplings,
    add_updates,
    batches,
    in_blocks,
    memory_of,
    put_own,
    scaled,
    scaled_and_padded,
    take_off_borders,
    zeros,
)
from pinnsolve.least_squares.fronts import Front
from pinnsolve.least_squares.products import times
from pinnsolve.threads import in_parts

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
        self._factors: list[tuple[Tensor, Tensor, Tensor, Tensor]] = []  # per batch LU, pivots, left, right
        updates: dict[int, Tensor] = {}
        memory = memory_of(self._batches, blocks[0])
        for number, batch in enumerate(self._batches):
            check()
            F = self._filled(batch, blocks, memory)
            for children in batch.children:
                add_updates(F, updates[children.batch], children, self.n, lower=False)
            for done in batch.last_of:
                del updates[done]
            count, own = len(F), batch.own.shape[1] * self.n
            size = F.shape[1] - own
            factors = (  # as the library gives them, and as products read them fastest
                F.new_empty(count, own, own).mT, torch.empty(count, own, dtype=torch.int32, device=F.device),
                F.new_empty(count, size, own), F.new_empty(count, own, size),
            )  # fmt: skip
            update = F.new_empty(count, size, size)
            in_parts(partial(_eliminate, F, *factors, update), count, F.numel())
            self._factors.append(factors)
            if update.numel():
                updates[number] = update

    def _filled(self, batch: Batch, blocks: Sequence[Tensor], memory: Tensor) -> Tensor:
        """The fronts' own rows and columns of the scaled matrix, in a part of the memory."""
        diagonal, upper, lower = blocks
        F = zeros(batch, self.n, memory)
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

    def solve(self, b: Tensor) -> Tensor:
        """x: (C, n, k) with (matrix) x = b."""
        y = scaled_and_padded(b, self.scale)
        steps = list(zip(self._factors, self._batches, strict=True))
        for factors, batch in steps:
            changes = in_parts(partial(self._forward, y, batch, *factors[:3]), len(batch.own), factors[0].numel())
            take_off_borders(y, batch, changes)
        for (*_, right), batch in reversed(steps):
            if batch.border.shape[1]:
                in_parts(partial(self._backward, y, batch, right), len(batch.own), right.numel())
        return (y[:-1] * self.scale[:, :, None]).reshape(b.shape)

    def _forward(self, y: Tensor, batch: Batch, LU: Tensor, pivots: Tensor, left: Tensor, some: slice) -> Tensor:
        """Solves for the own columns of some fronts; returns what that changes in their borders, (k, b, columns)."""
        own = batch.own[some]
        part = torch.linalg.lu_solve(LU[some], pivots[some], y[own].flatten(1, 2))
        y[own] = part.unflatten(1, (-1, self.n))
        return times(left[some], part)

    def _backward(self, y: Tensor, batch: Batch, right: Tensor, some: slice) -> None:
        change = times(right[some], y[batch.border[some]].flatten(1, 2))
        y[batch.own[some]] -= change.unflatten(1, (-1, self.n))


def _eliminate(
    F: Tensor, LU: Tensor, pivots: Tensor, left: Tensor, right: Tensor, update: Tensor, some: slice
) -> None:  # fmt: skip
    """Eliminates the own columns of some of the fronts F; the others take what is found, `update` what they leave to
    their parents."""
    F, own = F[some], LU.shape[1]
    factor, order, info = torch.linalg.lu_factor_ex(F[:, :own, :own])
    whole = torch.view_as_real(factor) if factor.is_complex() else factor
    if bool(info.any()) or not bool(torch.isfinite(whole).all()):
        raise ArithmeticError("the matrix of the stages is not finite, or singular")
    LU[some], pivots[some], left[some] = factor, order, F[:, own:, :own]
    right[some] = torch.linalg.lu_solve(factor, order, F[:, :own, own:])  # F_oo^-1 F_ob
    torch.sub(F[:, own:, own:], times(left[some], right[some]), out=update[some])
