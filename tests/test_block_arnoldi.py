"""Arnoldi's method with blocks beside eigenvalues that are known."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from pinnsolve.eigen.block_arnoldi import Aim, largest_eigenvalues


def start(size, columns, kind=torch.float64):
    return torch.from_numpy(np.random.default_rng(0).standard_normal((size, columns))).to(kind)


def with_values(values, kind=torch.float64, seed=1):
    """A matrix that is not normal, with these eigenvalues."""
    generator = np.random.default_rng(seed)
    S = np.eye(len(values)) + 0.3 * generator.standard_normal((len(values), len(values))) / np.sqrt(len(values))
    return torch.from_numpy(S @ np.diag(values) @ np.linalg.inv(S)).to(kind)


def residual(A, values, vectors):
    return float((A.to(torch.complex128) @ vectors - vectors * values).norm(dim=0).max())


def test_multiple_eigenvalues_are_found_as_often_as_they_are_there():
    A = with_values(np.concatenate([[3, 2, 2, 2], 1 / np.arange(1.0, 97)]))
    values, vectors = largest_eigenvalues(lambda v: A @ v, start(100, 6), Aim(5))
    np.testing.assert_allclose(values[:5], [3, 2, 2, 2, 1], atol=1e-10)
    assert residual(A, values[:5], vectors[:, :5]) < 1e-10
    assert np.linalg.matrix_rank(vectors[:, :4].numpy(), tol=1e-6) == 4


def test_a_real_operator_has_complex_pairs():
    A = torch.zeros(40, 40, dtype=torch.float64)
    A[:2, :2] = torch.tensor([[1.0, 2.0], [-2.0, 1.0]])
    A[2:, 2:] = torch.diag(torch.linspace(1.5, 0.1, 38, dtype=torch.float64))
    values, vectors = largest_eigenvalues(lambda v: A @ v, start(40, 4), Aim(2))
    assert sorted(values[:2].imag.tolist()) == pytest.approx([-2, 2])
    assert residual(A, values, vectors) < 1e-6


def test_a_complex_operator():
    truth = np.array([2 + 1j, 1 - 1.5j, *(0.9j ** np.arange(1, 59))])
    A = with_values(truth, torch.complex128)
    values, _ = largest_eigenvalues(lambda v: A @ v, start(60, 3, torch.complex128), Aim(2))
    np.testing.assert_allclose(values[:2], truth[:2], atol=1e-10)


def test_a_good_start_needs_few_products():
    A = with_values(np.concatenate([[3, 2], 1 / np.arange(1.0, 199)]))
    counts = []
    _, vectors = largest_eigenvalues(lambda v: A @ v, start(200, 4), Aim(2))
    for begin in (start(200, 4), vectors.real.contiguous()):
        calls = []
        largest_eigenvalues(lambda v, calls=calls: (calls.append(1), A @ v)[1], begin, Aim(2))
        counts.append(len(calls))
    assert counts[1] < counts[0] / 2


def test_what_is_not_finite_is_refused():
    with pytest.raises(ArithmeticError, match="not finite"):
        largest_eigenvalues(lambda v: v * torch.nan, start(20, 2), Aim(1))
