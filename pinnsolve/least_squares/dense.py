"""Rank-revealing dense least squares: min ||A x - b||, the solution of least norm after column scaling.

An unpivoted QR factorization reduces the rows to a triangle (`tall_skinny`), whose columns are scaled to unit norm.
Where its columns are plainly independent, it is solved as it is. Else it is factorized with column pivoting (Businger &
Golub 1965), truncated where the diagonal falls below `tolerance`, and completed to the minimum-norm solution (complete
orthogonal decomposition, Golub & Van Loan, section 5.5). All of the rank work is on a W x W triangle, so it costs the
same however many rows there were.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from types import ModuleType

import numpy as np
import torch
from threadpoolctl import ThreadpoolController
from torch import Tensor

# Columns whose new direction is smaller than this, relative to the largest, are dependent in float64.
RANK_TOLERANCE = 1e-14
# reciprocal condition number from which on no column is near to the others: pivoting, at the speed of memory,
# would change nothing
INDEPENDENT = 1e-10


@dataclass(frozen=True)
class Solved:
    """A least-squares solution and what is known of its quality.

    `x`: (n,) or (n, k) for several right-hand sides; `rank` of n; `condition`: an estimate from below of the condition
    number after column scaling, where columns are dependent the ratio of the largest to the smallest kept pivot;
    `residual_norm`: ||A x - b||.
    """

    x: Tensor
    rank: int
    condition: float
    residual_norm: float


def reachable(R: Tensor) -> Tensor:
    """Orthonormal columns (k, rank), on the processor, that span what `solve_triangle` can reach with R (k, n)."""
    with _scipy_linalg() as linalg:
        triangle, tolerance = R.detach().cpu().numpy(), _tolerance(R)
        if len(R) == R.shape[1] and R.dtype == torch.float64:
            inverse = _inverse_condition(linalg, np.asfortranarray(triangle))
            if inverse > _surely(len(R), tolerance):
                return torch.eye(len(R), dtype=R.dtype)
        Q, T, _ = linalg.qr(triangle, mode="economic", pivoting=True, check_finite=False)
    return torch.as_tensor(Q[:, : _rank(T, tolerance)].copy())


def solve_triangle(triangle: Tensor, tolerance: float | None = None) -> Solved:
    """min ||A x - b|| from the triangle [R, Q'b] of a QR factorization of [A, b], (k, n + 1).

    float32 input is solved in float32 with a matching tolerance.
    """
    if tolerance is None:
        tolerance = _tolerance(triangle)
    data = triangle.detach().cpu().numpy()
    R, rhs = data[:, :-1], data[:, -1]
    if not np.isfinite(data).all():
        n = R.shape[1]
        return Solved(triangle.new_full((n,), float("nan")), 0, float("inf"), float("nan"))
    norms = np.sqrt(np.einsum("ij,ij->j", R, R))
    norms[norms == 0.0] = 1.0
    with _scipy_linalg() as linalg:
        x, rank, condition, residual = _minimum_norm(linalg, R / norms, rhs, tolerance)
    solution = torch.as_tensor(x / norms, dtype=triangle.dtype, device=triangle.device)
    return Solved(solution, rank, condition, residual)


def _tolerance(A: Tensor) -> float:
    return RANK_TOLERANCE if A.dtype == torch.float64 else 1e-6


def _rank(T: np.ndarray, tolerance: float) -> int:
    """The number of pivots of a pivoted triangle T that are above `tolerance`, relative to the first."""
    diagonal = np.abs(np.diag(T))
    return int((diagonal > tolerance * diagonal[0]).sum()) if diagonal.size else 0


@contextmanager
def _scipy_linalg() -> Iterator[ModuleType]:
    """scipy.linalg on as many threads as torch: its library may be loaded after a solve has told others how many."""
    from scipy import linalg  # slow to import, and solves on cells do without it

    with _libraries().limit(limits=torch.get_num_threads()):
        yield linalg


@cache
def _libraries() -> ThreadpoolController:
    """All that are loaded when scipy.linalg is; to look for them takes a millisecond."""
    return ThreadpoolController()


def _minimum_norm(
    linalg: ModuleType, R: np.ndarray, rhs: np.ndarray, tolerance: float
) -> tuple[np.ndarray, int, float, float]:
    independent = _independent(linalg, R, rhs, tolerance) if R.dtype == np.float64 else None
    if independent is not None:
        return independent
    Qb, T, pivots = linalg.qr_multiply(R, rhs, mode="right", pivoting=True, conjugate=False)
    n = R.shape[1]
    rank = _rank(T, tolerance)
    x = np.zeros(n, dtype=R.dtype)
    if rank == 0:
        return x, 0, float("inf"), float(np.linalg.norm(rhs))
    y = Qb[:rank]
    if rank == n:
        z = linalg.solve_triangular(T[:n, :n], y)
    else:  # [T11 T12] z = y of least norm, by QR of the transpose
        Q2, L = linalg.qr(T[:rank].T, mode="economic")
        z = Q2 @ linalg.solve_triangular(L, y, trans="T")
    x[pivots] = z
    return x, rank, float(abs(T[0, 0] / T[rank - 1, rank - 1])), float(np.linalg.norm(R @ x - rhs))


def _inverse_condition(linalg: ModuleType, square: np.ndarray) -> float:
    """An estimate of the reciprocal condition number of a triangle (n, n), in the 1-norm."""
    return float(linalg.get_lapack_funcs("trcon", (square,))(square)[0]) if len(square) else 1.0


def _surely(columns: int, tolerance: float) -> float:
    """The reciprocal condition number from which on none of so many columns depends on others."""
    return max(INDEPENDENT, columns * tolerance)


def _independent(
    linalg: ModuleType, R: np.ndarray, rhs: np.ndarray, tolerance: float
) -> tuple[np.ndarray, int, float, float] | None:
    """The same where R (n or n + 1, n) is a triangle whose columns are plainly independent; None where not.

    Condition numbers are estimated as by Higham, SIAM Review 29 (1987) 575-596, in the 1-norm: n times the other one at
    most.
    """
    n = R.shape[1]
    if len(R) < n or not n or np.tril(R, -1).any():
        return None
    square = np.asfortranarray(R[:n])
    inverse = _inverse_condition(linalg, square)
    if not inverse > _surely(n, tolerance):
        return None
    x = linalg.solve_triangular(square, rhs[:n], check_finite=False)
    return x, n, float(max(1.0 / (n * inverse), 1.0)), float(np.linalg.norm(R @ x - rhs))
