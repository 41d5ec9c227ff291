"""Least squares against numpy, from all rows at once and from blocks of any sizes."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from threadpoolctl import threadpool_info, threadpool_limits

from pinnsolve.least_squares import Solved, StreamingQR, range_basis, solve_dense, tall_skinny
from pinnsolve.solvers.budget import OutOfTime


def draw(rows: int, columns: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal((rows, columns))


def deficient(rows: int, columns: int, rank: int, seed: int = 0) -> np.ndarray:
    return draw(rows, rank, seed) @ draw(rank, columns, seed + 1)


def streamed(A: torch.Tensor, b: torch.Tensor, sizes: list[int]) -> Solved:
    stream, start = StreamingQR(A.shape[1]), 0
    for size in sizes:
        stream.add(A[start : start + size], b[start : start + size])
        start += size
    if start < len(A):
        stream.add(A[start:], b[start:])
    return stream.solve()


def by_numpy(A: np.ndarray, b: np.ndarray) -> tuple[np.ndarray, int]:
    """The solution of least norm after column scaling, and the rank."""
    norms = np.linalg.norm(A, axis=0)
    norms[norms == 0] = 1
    z, _, rank, _ = np.linalg.lstsq(A / norms, b, rcond=1e-13)
    return z / norms, rank


MATRICES = {
    "full": draw(60, 12),
    "barely tall": draw(13, 12),
    "square": draw(12, 12),
    "one column": draw(60, 1),
    "one row": draw(1, 5),
    "deficient": deficient(60, 12, 7),
    "rank one": deficient(60, 12, 1),
    "a column twice": np.hstack([draw(60, 5), draw(60, 5)[:, :2]]),
    "a column of zeros": np.hstack([draw(60, 5), np.zeros((60, 1))]),
    "badly scaled": draw(60, 12) * 10.0 ** np.linspace(-12, 12, 12),
    "deficient, badly scaled": deficient(60, 12, 7) * 10.0 ** np.linspace(-8, 8, 12),
    "underdetermined": draw(5, 12),
    "underdetermined, deficient": deficient(8, 12, 4),
    "underdetermined, badly scaled": draw(5, 12) * 10.0 ** np.linspace(-8, 8, 12),
}
matrices = pytest.mark.parametrize("name", MATRICES)
ways = pytest.mark.parametrize("way", [solve_dense, lambda A, b: streamed(A, b, [7] * 8)], ids=["dense", "streaming"])


@ways
@matrices
def test_the_solution_is_that_of_numpy(name, way):
    A = MATRICES[name]
    b = draw(len(A), 1, 9)[:, 0]
    found = way(torch.from_numpy(A), torch.from_numpy(b))
    x, rank = by_numpy(A, b)
    norms = np.linalg.norm(A, axis=0)
    np.testing.assert_allclose(found.x.numpy() * norms, x * norms, rtol=1e-9, atol=1e-10 * np.abs(x * norms).max())
    assert found.rank == rank
    assert found.x.dtype == torch.float64
    residual = np.linalg.norm(A @ x - b)
    assert found.residual_norm == pytest.approx(residual, rel=1e-9, abs=1e-12 * np.linalg.norm(b))


@ways
@matrices
def test_a_system_that_has_a_solution_leaves_no_residual(name, way):
    A = MATRICES[name]
    b = A @ draw(A.shape[1], 1, 9)[:, 0]
    found = way(torch.from_numpy(A), torch.from_numpy(b))
    scale = np.linalg.norm(b)
    assert found.residual_norm < 1e-12 * scale
    assert np.linalg.norm(A @ found.x.numpy() - b) < 1e-12 * scale


def test_the_condition_tells_good_from_bad():
    b = torch.ones(60, dtype=torch.float64)
    good = solve_dense(torch.from_numpy(MATRICES["full"]), b)
    assert 1.0 <= good.condition < 5
    scaled = solve_dense(torch.from_numpy(MATRICES["badly scaled"]), b)
    assert scaled.condition == pytest.approx(good.condition, rel=1e-6)  # columns are scaled first
    near = draw(60, 12)
    near[:, 3] = near[:, 4] + 1e-7 * draw(60, 1, 3)[:, 0]
    found = solve_dense(torch.from_numpy(near), b)
    assert found.rank == 12
    true = np.linalg.cond(near / np.linalg.norm(near, axis=0))
    assert true / 20 < found.condition < 2 * true


def test_dependence_within_rounding_is_dependence():
    near = draw(60, 12)
    near[:, 3] = near[:, 4] * (1 + 1e-15)
    assert solve_dense(torch.from_numpy(near), torch.ones(60, dtype=torch.float64)).rank == 11


def test_the_tolerance_decides_the_rank():
    A = torch.diag(torch.tensor([1.0, 1.0, 1.0], dtype=torch.float64))
    A[0, 1] = 1e3  # after scaling, the second column is the first but for 1e-3
    b = torch.ones(3, dtype=torch.float64)
    stream = StreamingQR(3)
    stream.add(A, b)
    for solve in (lambda t: solve_dense(A, b, t), stream.solve):
        assert solve(None).rank == solve(1e-4).rank == 3
        assert solve(1e-2).rank == 2


def test_a_basis_of_the_range_has_the_directions_that_the_solve_keeps():
    A, b = torch.from_numpy(deficient(60, 12, 7)), torch.from_numpy(draw(60, 1)[:, 0])
    Q, solved = range_basis(A), solve_dense(A, b)
    assert Q.shape == (60, solved.rank)
    torch.testing.assert_close(Q.T @ Q, torch.eye(7, dtype=torch.float64))
    torch.testing.assert_close(Q @ (Q.T @ b), A @ solved.x)


@ways
def test_no_rows_that_say_anything(way):
    found = way(torch.zeros(4, 3, dtype=torch.float64), torch.ones(4, dtype=torch.float64))
    assert found.x.tolist() == [0, 0, 0]
    assert (found.rank, found.residual_norm) == (0, 2.0)


def test_a_stream_without_rows_has_no_solution():
    with pytest.raises(ValueError, match="no rows"):
        StreamingQR(3).solve()


# -- blocks -------------------------------------------------------------------------------------------------


@settings(max_examples=80, deadline=None)
@given(
    st.integers(1, 8),
    st.lists(st.integers(1, 25), min_size=1, max_size=8),
    st.integers(0, 8),
    st.integers(-6, 6),
    st.integers(0, 1000),
)
def test_a_stream_gives_the_same_however_the_rows_are_split(columns, sizes, dependent, decades, seed):
    rows = sum(sizes)
    rank = max(1, columns - dependent)
    A = deficient(rows, columns, rank, seed) if dependent else draw(rows, columns, seed)
    A = torch.from_numpy(A * 10.0 ** np.linspace(0, decades, columns))
    b = torch.from_numpy(draw(rows, 1, seed + 5)[:, 0])
    dense, split = solve_dense(A, b), streamed(A, b, sizes)
    norms = torch.linalg.vector_norm(A, dim=0)
    assert split.rank == dense.rank
    if dense.condition < 1e6:  # else both are right, and differ
        torch.testing.assert_close(split.x * norms, dense.x * norms, rtol=1e-8, atol=1e-8)
        assert dense.condition / 3 < split.condition < 3 * dense.condition  # an estimate: columns of a size may swap
    assert split.residual_norm == pytest.approx(dense.residual_norm, rel=1e-8, abs=1e-10)


def test_a_stream_may_be_asked_before_its_end():
    A, b = torch.from_numpy(draw(60, 4)), torch.from_numpy(draw(60, 1, 3)[:, 0])
    stream = StreamingQR(4)
    for stop in (20, 40, 60):
        stream.add(A[stop - 20 : stop], b[stop - 20 : stop])
        torch.testing.assert_close(stream.solve().x, solve_dense(A[:stop], b[:stop]).x)


def test_a_stream_keeps_no_more_than_a_triangle():
    stream = StreamingQR(4)
    for _ in range(50):
        stream.add(torch.from_numpy(draw(9, 4)), torch.ones(9, dtype=torch.float64))
    held = sum(t.numel() for t in [stream._triangle, *stream._waiting])
    assert held <= (4 + 1) ** 2 + 2 * 9 * (4 + 1)


# -- what is not finite, and single precision ---------------------------------------------------------------


@ways
@pytest.mark.parametrize("bad", [float("nan"), float("inf"), -float("inf")])
@pytest.mark.parametrize(("row", "column"), [(0, 0), (37, 2), (59, 4)])
def test_what_is_not_finite_is_flagged(way, bad, row, column):
    table = torch.from_numpy(draw(60, 5))
    table[row, column] = bad  # the last column is the right-hand side
    found = way(table[:, :4].contiguous(), table[:, 4].contiguous())
    assert found.x.isnan().all() and found.x.shape == (4,)
    assert found.rank == 0 and found.condition == float("inf") and np.isnan(found.residual_norm)


@ways
def test_an_underdetermined_system_that_is_not_finite_is_flagged(way):
    A = torch.from_numpy(draw(3, 5))
    A[1, 1] = float("nan")
    assert way(A, torch.ones(3, dtype=torch.float64)).x.isnan().all()


@ways
@pytest.mark.parametrize("name", ["full", "deficient", "underdetermined", "a column twice"])
def test_single_precision(name, way):
    A = MATRICES[name]
    b = draw(len(A), 1, 9)[:, 0]
    found = way(torch.from_numpy(A).float(), torch.from_numpy(b).float())
    x, rank = by_numpy(A, b)
    assert found.x.dtype == torch.float32
    assert found.rank == rank  # with a tolerance of its own: rounding is no rank
    np.testing.assert_allclose(found.x.numpy(), x, atol=2e-4 * np.abs(x).max())


def test_rank_is_decided_on_as_many_threads_as_torch_takes(monkeypatch):
    """Also by a library that was loaded after a solve had told the others how many to take."""
    from scipy import linalg

    def counted(*args, **kwargs):
        seen.append({one["num_threads"] for one in threadpool_info() if one["user_api"] == "blas"})
        return whole(*args, **kwargs)

    seen, whole, before = [], linalg.qr_multiply, torch.get_num_threads()
    monkeypatch.setattr(linalg, "qr_multiply", counted)
    A = torch.from_numpy(np.random.default_rng(1).standard_normal((9, 4)))
    A[:, 3] = A[:, 0]  # pivots are looked for where columns depend on others
    try:
        torch.set_num_threads(1)
        with threadpool_limits(limits=2, user_api="blas"):
            solve_dense(A, A[:, 0])
            after = {one["num_threads"] for one in threadpool_info() if one["user_api"] == "blas"}
    finally:
        torch.set_num_threads(before)
    assert seen == [{1}]
    assert after == {2}


def test_panels_give_the_triangle_and_let_a_clock_end_them(monkeypatch):
    monkeypatch.setattr(tall_skinny, "LONG", 0.0)
    monkeypatch.setattr(tall_skinny, "PANEL", 0.0)
    rows = torch.randn(400, 150, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    rows[:, 70] = rows[:, 3]
    asked = []
    triangle = tall_skinny.triangle_of(rows, lambda: asked.append(1))
    assert len(asked) == 3
    torch.testing.assert_close(triangle.mT @ triangle, rows.mT @ rows)
    assert bool((triangle == triangle.triu()).all())

    def ring():
        raise OutOfTime

    with pytest.raises(OutOfTime):
        solve_dense(rows[:, :-1], rows[:, -1], check=ring)
