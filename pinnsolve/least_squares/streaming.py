"""Least squares on rows that come in blocks: memory is bounded by the square of the number of columns.

Keeps the triangle [R, Q'b] of the rows seen so far and folds each new block into it by a QR factorization of the
two stacked (sequential TSQR; Demmel, Grigori, Hoemmen & Langou 2012). As stable as factorizing all rows at once.
"""

from __future__ import annotations

import torch
from torch import Tensor

from pinnsolve.least_squares.dense import Solved, solve_triangle


class StreamingQR:
    """Takes blocks of rows by `add`, gives the solution by `solve` at any time.

    Small blocks are gathered until there are as many rows as columns: folding costs the same for one row
    as for that many.
    """

    def __init__(self, columns: int):
        self.columns = columns
        self._triangle: Tensor | None = None
        self._waiting: list[Tensor] = []
        self._waiting_rows = 0

    def add(self, A: Tensor, b: Tensor) -> None:
        """A: (rows, columns), b: (rows,)."""
        self._waiting.append(torch.cat([A, b[:, None]], dim=1))
        self._waiting_rows += A.shape[0]
        if self._waiting_rows >= self.columns + 1:
            self._fold()

    def _fold(self) -> None:
        stacked = self._waiting if self._triangle is None else [self._triangle, *self._waiting]
        rows = torch.cat(stacked)
        del stacked  # at most five triangles are there at a time
        self._waiting, self._triangle = [], None
        self._triangle = torch.linalg.qr(rows, mode="r")[1] if rows.shape[0] > self.columns + 1 else rows
        self._waiting_rows = 0

    def solve(self, tolerance: float | None = None) -> Solved:
        """The minimum-norm solution for all rows added. Raises ValueError before the first one."""
        if self._waiting:
            self._fold()
        if self._triangle is None:
            raise ValueError("no rows were added")
        return solve_triangle(self._triangle, tolerance)
