"""Products of many dense matrices, in parts side by side, by the faster of two libraries.

Of a batch of real matrices times a few columns each, torch's library on the processor takes two to six times as long
as numpy's, which calls its product for every matrix. They differ in nothing else.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from pinnsolve.threads import FAST, in_parts

FASTER = (torch.float64, torch.float32)  # by numpy; of complex numbers it is the other way round


def times(A: Tensor, x: Tensor) -> Tensor:
    """A x, for A (..., m, n) and x (..., n, k) on any device; gradients go through it."""
    if not (_plain(A) and _plain(x) and A.dtype is x.dtype):
        return A @ x
    left, right = _by_rows_or_columns(A).numpy(), _by_rows_or_columns(x).numpy()
    if not (left.ndim == right.ndim == 3 and len(left) == len(right)):
        return torch.from_numpy(np.matmul(left, right))
    found = A.new_empty(len(left), left.shape[1], right.shape[2])
    result = found.numpy()

    def multiply(some: slice) -> None:
        np.matmul(left[some], right[some], out=result[some])

    in_parts(multiply, len(left), left.size * max(1.0, right.shape[2] / FAST))
    return found


def solved_triangular(R: Tensor, b: Tensor, *, upper: bool, left: bool = True) -> Tensor:
    """R^-1 b, or b R^-1, for triangular R (K, n, n) and b (K, n, k), or (K, k, n)."""
    found = torch.empty_like(b, memory_format=torch.contiguous_format)

    def solve(some: slice) -> None:
        found[some] = torch.linalg.solve_triangular(R[some], b[some], upper=upper, left=left)

    in_parts(solve, len(R), max(R.numel(), b.numel() * R.shape[1] / FAST))
    return found


def _plain(A: Tensor) -> bool:
    return A.device.type == "cpu" and A.dtype in FASTER and not A.requires_grad


def _by_rows_or_columns(A: Tensor) -> Tensor:
    """A, whose rows or columns are in one piece: the library of others is not asked."""
    return A if A.stride(-1) == 1 or A.stride(-2) == 1 else A.contiguous()
