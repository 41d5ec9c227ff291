"""Cholesky factorization of a sparse matrix of dense blocks, in batches of fronts along a tree of separators."""

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
from pinnsolve.threads import in_parts, side_by_side

UPDATE_COLUMNS = 512  # of a front's update made at a time
LARGE = 1024  # columns of fronts whose factors are made block by block
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
        self._factors: list[tuple[Tensor, Tensor]] = []  # per batch L (K, o, o), and transposed what is below
        updates: dict[int, Tensor] = {}
        memory = memory_of(self._batches, matrix.diagonal)
        for number, batch in enumerate(self._batches):
            check()
            count, own, size = len(batch.own), batch.own.shape[1] * n, batch.size * n
            F = zeros(batch, n, memory)
            self._fill(F, batch, matrix, shift)
            for children in batch.children:
                add_updates(F, updates[children.batch], children, n, lower=True)
            for done in batch.last_of:
                del updates[done]
            update = torch.empty_like(F[:, own:, own:], memory_format=torch.contiguous_format)
            L, below = F.new_empty(count, own, own).mT, F.new_empty(count, own, size - own)
            if not all(in_parts(partial(_eliminate, F, L, below, update, check), count, F.numel())):
                return False
            self._factors.append((L, below))
            if size > own:
                updates[number] = update
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
        for (L, _), batch in zip(self._factors, self._batches, strict=True):
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
        steps = list(zip(self._factors, self._batches, strict=True))
        for factors, batch in steps:
            numbers = sum(one.numel() for one in factors)
            changes = in_parts(partial(self._forward, y, batch, *factors), len(batch.own), numbers)
            take_off_borders(y, batch, changes)
        for factors, batch in reversed(steps):
            numbers = sum(one.numel() for one in factors)
            in_parts(partial(self._backward, y, batch, *factors), len(batch.own), numbers)
        return (y[:-1] * self.scale[:, :, None]).reshape(b.shape)

    def _forward(self, y: Tensor, batch: Batch, L: Tensor, below: Tensor, some: slice) -> Tensor:
        """Solves for the own columns of some fronts; returns what that changes in their borders, (k, b, columns)."""
        own = batch.own[some]
        part = torch.linalg.solve_triangular(L[some], y[own].flatten(1, 2), upper=False)
        y[own] = part.unflatten(1, (-1, self.n))
        return times(below[some].mT, part)

    def _backward(self, y: Tensor, batch: Batch, L: Tensor, below: Tensor, some: slice) -> None:
        own = batch.own[some]
        part = y[own].flatten(1, 2)
        if below.shape[2]:
            part = part - times(below[some], y[batch.border[some]].flatten(1, 2))
        y[own] = torch.linalg.solve_triangular(L[some].mT, part, upper=True).unflatten(1, (-1, self.n))


def _eliminate(
    F: Tensor, L: Tensor, below: Tensor, update: Tensor, check: Callable[[], None], some: slice
) -> bool:  # fmt: skip
    """Eliminates the own columns of some of the fronts F; the others take what is found, `update` what they leave to
    their parents. Returns whether they are positive."""
    F, own = F[some], L.shape[1]
    found = _cholesky(F[:, :own, :own])
    if found is None:
        return False
    L[some] = found
    if below.shape[2]:
        check()
        _solve(found, F[:, own:, :own].mT, below[some])
        check()
        _lower_update(F[:, own:, own:], below[some], update[some])
    return True


def _cholesky(A: Tensor) -> Tensor | None:
    """L (K, o, o) of A, whose part above the diagonal may be anything; of large ones block by block. None where A is
    not positive."""
    o = A.shape[1]
    if o <= LARGE:
        L, info = torch.linalg.cholesky_ex(A)
        return L if not bool(info.any()) and bool(torch.isfinite(L[:, -1, -1]).all()) else None
    L = torch.zeros_like(A, memory_format=torch.contiguous_format)
    for j in range(0, o, UPDATE_COLUMNS):
        end = min(j + UPDATE_COLUMNS, o)
        corner = _cholesky(A[:, j:end, j:end])
        if corner is None:
            return None
        L[:, j:end, j:end] = corner
        if end < o:
            right = A.new_empty(len(A), end - j, o - end)
            _solve(corner, A[:, end:, j:end].mT, right)
            L[:, end:, j:end] = right.mT
            _lower_update(A[:, end:, end:], right, A[:, end:, end:])
    return L


def _solve(L: Tensor, b: Tensor, result: Tensor) -> None:
    """Puts L^-1 b, (K, o, k), there."""

    def solve(some: slice) -> None:
        result[:, :, some] = torch.linalg.solve_triangular(L, b[:, :, some], upper=False)

    in_parts(solve, b.shape[2], b.numel())


def _lower_update(F: Tensor, below: Tensor, result: Tensor) -> None:
    """Puts F - below^T below, (K, B, B), there, which may be F, on and below the diagonal alone, but for whole blocks
    of columns."""
    if F.shape[1] <= UPDATE_COLUMNS:
        torch.sub(F, times(below.mT, below), out=result)
        return

    def columns(k: int, j: int) -> None:
        some = slice(j, j + UPDATE_COLUMNS)
        torch.addmm(F[k, j:, some], below[k, :, j:].T, below[k, :, some], alpha=-1.0, out=result[k, j:, some])

    side_by_side([partial(columns, k, j) for k in range(len(F)) for j in range(0, F.shape[1], UPDATE_COLUMNS)])
