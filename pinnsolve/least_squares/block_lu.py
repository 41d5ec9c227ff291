"""LU factorization of a sparse matrix of dense blocks that is not symmetric, real or complex, along a tree of fronts.

The blocks are as in `block_cholesky`, whose trees serve: cells are block rows, cells that share rows are neighbours.
Pivots are sought within what a front eliminates, which is enough for matrices near those of a least squares.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from pinnsolve.least_squares.block_cholesky import Front

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
        diagonal, upper, lower = blocks
        self.n, self.scale = diagonal.shape[1], scale
        self._coupling: dict[int, list[tuple[int, Tensor, Tensor]]] = {}
        for k, (i, j) in enumerate(pairs):
            self._coupling.setdefault(i, []).append((j, upper[k], lower[k]))
            self._coupling.setdefault(j, []).append((i, lower[k], upper[k]))
        self._factors: list[tuple[Tensor, Tensor, Tensor, Tensor]] = []
        self._indices: list[tuple[Tensor, Tensor]] = []
        updates: list[Tensor | None] = []
        for front in tree:
            check()
            F = self._filled(front, diagonal)
            for child in front.children:
                index = self._columns_in(front, tree[child].border)
                F[index[:, None], index] += updates[child]
                updates[child] = None
            updates.append(self._eliminated(F, front))
        self._coupling = {}

    def _filled(self, front: Front, diagonal: Tensor) -> Tensor:
        """The front's own rows and columns of the scaled matrix."""
        n, cells = self.n, front.own + front.border
        position = {cell: k * n for k, cell in enumerate(cells)}
        F = diagonal.new_zeros(len(cells) * n, len(cells) * n)
        for cell in front.own:
            k, scale = position[cell], self.scale[cell]
            F[k : k + n, k : k + n] = scale[:, None] * diagonal[cell] * scale
            F[k : k + n, k : k + n].diagonal().add_(TINY)
            for other, right, left in self._coupling.get(cell, ()):
                m = position.get(other, -1)
                if m >= 0:
                    F[k : k + n, m : m + n] = scale[:, None] * right * self.scale[other]
                    F[m : m + n, k : k + n] = self.scale[other][:, None] * left * scale
        return F

    def _columns_in(self, front: Front, cells: Sequence[int]) -> Tensor:
        position = {cell: k for k, cell in enumerate(front.own + front.border)}
        return _columns([position[cell] for cell in cells], self.n)

    def _eliminated(self, F: Tensor, front: Front) -> Tensor | None:
        """Appends the factors of a front; returns what it leaves to its parent."""
        own = len(front.own) * self.n
        LU, pivots, info = torch.linalg.lu_factor_ex(F[:own, :own])
        if int(info) or not bool(torch.isfinite(torch.view_as_real(LU) if LU.is_complex() else LU).all()):
            raise ArithmeticError("the matrix of the stages is not finite, or singular")
        right = torch.linalg.lu_solve(LU, pivots, F[:own, own:])  # F_oo^-1 F_ob
        left = F[own:, :own].clone()
        self._factors.append((LU, pivots, left, right))
        self._indices.append((_columns(front.own, self.n), _columns(front.border, self.n)))
        return F[own:, own:] - left @ right if len(front.border) else None

    def solve(self, b: Tensor) -> Tensor:
        """x: (C, n, k) with (matrix) x = b."""
        scale = self.scale.reshape(-1, 1)
        y = b.reshape(scale.shape[0], -1) * scale
        for (LU, pivots, left, _), (own, border) in zip(self._factors, self._indices, strict=True):
            part = torch.linalg.lu_solve(LU, pivots, y[own])
            y[own] = part
            if len(border):
                y[border] -= left @ part
        for (*_, right), (own, border) in zip(reversed(self._factors), reversed(self._indices), strict=True):
            if len(border):
                y[own] -= right @ y[border]
        return (y * scale).reshape(b.shape)


def _columns(cells: Sequence[int], n: int) -> Tensor:
    """The columns of these block rows, (len(cells) * n,)."""
    start = torch.as_tensor(cells, dtype=torch.long) * n
    return (start[:, None] + torch.arange(n)).reshape(-1)
