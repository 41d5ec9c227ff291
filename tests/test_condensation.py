"""Cells eliminated before their faces: the same solutions as of the whole matrix."""

import pytest
import torch

from pinnsolve.least_squares.condensation import Condensed, FaceGraph, Faces, traces, worth_condensing
from pinnsolve.least_squares.fronts import fronts

SIDE, N, POINTS, RANK = 3, 12, 7, 3
C = SIDE**2


def random(*shape, seed):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def centres():
    return torch.cartesian_prod(torch.arange(SIDE), torch.arange(SIDE)).double()


def between(axis, shared):
    """Rows between neighbours along an axis, whose points are more than what they see of a cell."""
    at = centres()
    ends = [(i, j) for i in range(C) for j in range(C) if bool((at[j] - at[i] == torch.eye(2)[axis]).all())]
    sides = []
    for k in range(2):
        cells = torch.tensor([pair[k] for pair in ends])
        seen = random(1 if shared else len(cells), RANK, N, seed=10 * axis + k)
        sides.append((cells, random(POINTS, RANK, seed=5) @ seen))
    return sides


def whole_matrix(own, blocks):
    matrix = torch.block_diag(*own)
    for sides in blocks:
        for g in range(len(sides[0][0])):
            row = torch.zeros(POINTS, C, N, dtype=torch.float64)
            for cells, A in sides:
                row[:, cells[g]] += A[0 if len(A) == 1 else g]
            matrix = matrix + row.flatten(1).T @ row.flatten(1)
    return matrix


@pytest.mark.parametrize("shared", [True, False])
def test_traces_say_the_same_in_as_few_rows_as_there_are_functions(shared):
    sides = between(0, shared)
    (_, A), (_, B) = sides
    (_, S), (_, T) = traces(sides)
    assert S.shape[1] == T.shape[1] == RANK
    for one, two, of in ((A, A, (S, S)), (A, B, (S, T)), (B, B, (T, T))):
        assert torch.allclose(one.mT @ two, of[0].mT @ of[1], atol=1e-10)


def test_a_value_is_kept_beside_a_flux_a_million_times_as_large():
    (i, A), (j, B) = between(0, True)
    small = random(1, 2, N, seed=8)
    sides = [(cells, torch.cat([1e6 * X, part], dim=1)) for (cells, X), part in (((i, A), small), ((j, B), -small))]
    (_, S), (_, T) = traces(sides)
    assert S.shape[1] == RANK + 2
    held = torch.linalg.pinv(torch.cat([S, T], dim=2)[0], rtol=1e-12)
    whole = torch.cat([small, -small], dim=2)[0]
    assert torch.allclose(whole @ held @ torch.cat([S, T], dim=2)[0], whole, atol=1e-8)


@pytest.mark.parametrize("kind", ["positive", "real", "complex"])
def test_the_solution_is_that_of_the_whole_matrix(kind):
    rows = random(C, 9, N, seed=1)  # fewer than columns: only the neighbours determine the rest
    own = rows.mT @ rows
    if kind != "positive":
        own = own + 0.1 * random(C, N, N, seed=2)
    if kind == "complex":
        own = torch.complex(own, 0.3 * random(C, N, N, seed=3))
    blocks = [between(0, True), between(1, False)]
    scale = 0.5 + torch.rand(C, N, generator=torch.Generator().manual_seed(4), dtype=torch.float64)
    faces = Faces([traces(sides) for sides in blocks], scale, centres())
    b = random(C, N, 2, seed=6).to(own.dtype)
    x = Condensed(own, faces, kind == "positive").solve(b)
    exact = torch.linalg.solve(whole_matrix(own, blocks), b.flatten(0, 1))
    assert torch.allclose(x.flatten(0, 1), exact, rtol=1e-6, atol=1e-8)


def test_condensing_pays_where_faces_have_fewer_rows_than_cells():
    side = 6
    at = torch.cartesian_prod(torch.arange(side), torch.arange(side)).double()
    near = torch.cdist(at, at) == 1
    pairs = [pair for pair in near.nonzero().tolist() if pair[0] < pair[1]]
    first, second = torch.tensor(pairs).T
    for columns, rows, worth in ((100, 20, True), (20, 30, False)):
        tree = fronts(at, pairs, columns)
        assert worth_condensing(tree, columns, FaceGraph(first, second, at, rows)) is worth
