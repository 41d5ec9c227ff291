"""Least squares on rows that come in blocks: memory is bounded by the square of the number of columns.

Keeps the triangle [R, Q'b] of the rows seen so far and folds each new block into it by a QR factorization of the
two stacked (sequential TSQR; Demmel, Grigori, Hoemmen & Langou 2012). As stable as factorizing all rows at once.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from pinnsolve.least_squares.dense import Solved
from pinnsolve.least_squares.tall_skinny import solve_reduced, triangle_of
from pinnsolve.processes.communicator import ALONE, Communicator
from pinnsolve.runtime import go_on

# triangles of rows that are gathered before they are folded in: with k, a row costs (2 + 4/(3 k)) W^2 operations
FOLDED = 3


class StreamingQR:
    """Takes blocks of rows by `add`, gives the solution by `solve` at any time.

    Small blocks are gathered until there are several times as many rows as columns: folding costs the same for one row
    as for as many as there are columns. Of rows that are divided `among` processes, each adds its own.
    """

    def __init__(self, columns: int, among: Communicator = ALONE, check: Callable[[], None] = go_on):
        self.columns, self.among = columns, among
        self.check = check if among.size == 1 else go_on
        self._triangle: Tensor | None = None
        self._waiting: list[Tensor] = []
        self._waiting_rows = 0

    def add(self, A: Tensor, b: Tensor) -> None:
        """A: (rows, columns), b: (rows,)."""
        self._waiting.append(torch.cat([A, b[:, None]], dim=1))
        self._waiting_rows += A.shape[0]
        if self._waiting_rows >= FOLDED * (self.columns + 1):
            self._fold()

    def _fold(self) -> None:
        stacked = self._waiting if self._triangle is None else [self._triangle, *self._waiting]
        rows = torch.cat(stacked)
        del stacked  # at most 2 FOLDED + 3 triangles are there at a time
        self._waiting, self._triangle = [], None
        self._triangle = triangle_of(rows, self.check)
        self._waiting_rows = 0

    def solve(self, tolerance: float | None = None) -> Solved:
        """The minimum-norm solution for all rows added, of all processes. Raises ValueError before the first one."""
        if self._waiting:
            self._fold()
        if self._triangle is None:
            raise ValueError("no rows were added")
        return solve_reduced(self._triangle, tolerance, self.among, self.check)
