"""The triangular factor of rows on one block, by Householder reflections on the rows themselves.

Where one matrix is all there is, R need not come from A^T A, whose condition number is the square of that of A: with R
from the rows, corrections by the seminormal equations R^T R x = A^T b shrink as long as A itself can be told from a
singular matrix (Bjorck, Linear Algebra Appl. 88/89 (1987) 31-48). That is what slow solutions of stiff equations need.
"""

from __future__ import annotations

import torch
from torch import Tensor

DEPENDENT = 1e-11  # pivots below this, relative to their column: directions that the rows do not determine


class OneBlock:
    """R of A = Q R, columns scaled to norm one; with `solve` and `rank_info` as `BlockCholesky` has them."""

    def __init__(self, A: Tensor):
        norms = A.norm(dim=0)
        self.scale = torch.where(norms > 0, 1.0 / norms, 1.0)
        self.R = torch.linalg.qr(A * self.scale, mode="r").R

    @property
    def pivots(self) -> Tensor:
        """The share of every column that the columns before do not hold."""
        return torch.diagonal(self.R).abs()

    @property
    def determines_all(self) -> bool:
        """Whether no column depends on the others; without that, `solve` gives nothing of use."""
        pivots = self.pivots
        return len(self.R) == self.R.shape[1] and bool((pivots > DEPENDENT).all()) and bool(pivots.isfinite().all())

    def rank_info(self) -> dict[str, float | int]:
        """`rank`, `columns` and `condition`, the last from the pivots, an estimate from below."""
        pivots = self.pivots
        return {"rank": len(pivots), "columns": len(pivots), "condition": float(pivots.max() / pivots.min())}

    def solve(self, b: Tensor) -> Tensor:
        """x: (1, n) or (1, n, k) with A^T A x = b."""
        y = b.reshape(len(self.scale), -1) * self.scale[:, None]
        y = torch.linalg.solve_triangular(self.R.T, y, upper=False)
        return (torch.linalg.solve_triangular(self.R, y, upper=True) * self.scale[:, None]).reshape(b.shape)
