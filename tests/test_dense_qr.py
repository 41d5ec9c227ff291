"""Least squares by QR of all rows: what weak directions keep, and the same answers as the factorization in blocks."""

from __future__ import annotations

import pytest
import torch

from pinnsolve.least_squares.dense_qr import DenseQR


def matrix(rows: int, columns: int, smallest: float) -> torch.Tensor:
    """With singular values from 1 down to `smallest`, evenly in their logarithm."""
    generator = torch.Generator().manual_seed(0)
    U, V = (
        torch.linalg.qr(torch.randn(n, columns, generator=generator, dtype=torch.float64)).Q for n in (rows, columns)
    )
    return U * torch.logspace(0, torch.log10(torch.tensor(smallest)).item(), columns, dtype=torch.float64) @ V.T


def test_weak_directions_are_kept_where_normal_equations_lose_them():
    A = matrix(60, 24, 1e-9)
    x = torch.linspace(-1, 2, 24, dtype=torch.float64)[:, None]
    found = DenseQR(A, 3).least(A @ x).reshape(24, 1)
    assert float((found - x).norm() / x.norm()) < 1e-5
    shifted = A.T @ A + 1e-14 * torch.eye(24, dtype=torch.float64)
    assert float((torch.linalg.solve(shifted, A.T @ (A @ x)) - x).norm() / x.norm()) > 1e-2


def test_solves_and_determinants_are_those_of_the_normal_equations():
    A = matrix(40, 12, 1e-2)
    factor = DenseQR(A, 2)
    g = torch.arange(24, dtype=torch.float64).reshape(2, 6, 2)
    exact = torch.linalg.solve(A.T @ A, g.reshape(12, 2)).reshape(2, 6, 2)
    torch.testing.assert_close(factor.solve(g), exact)
    assert factor.log_determinant == pytest.approx(float(torch.logdet(A.T @ A)))
    assert factor.rank_info()["rank"] == 12


def test_dependent_columns_stay_bounded_and_what_is_not_finite_is_an_error():
    A = matrix(40, 12, 1e-1)
    A[:, 3] = A[:, 4]
    factor = DenseQR(A, 1)
    assert factor.rank_info()["rank"] == 11
    assert bool(torch.isfinite(factor.least(A.sum(dim=1, keepdim=True))).all())
    A[0, 0] = float("nan")
    with pytest.raises(ArithmeticError, match="not finite"):
        DenseQR(A, 1)
