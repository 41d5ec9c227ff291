"""Matrices that are applied by tables, against those that are made."""

import torch

from pinnsolve.assembly.table_matrix import Entry, TableMatrix

G, M, N, C, U = 40, 9, 5, 50, 4
GENERATOR = torch.Generator().manual_seed(2)


def random(*shape):
    return torch.randn(*shape, generator=GENERATOR, dtype=torch.float64)


CELLS = torch.randperm(C, generator=GENERATOR)[:G]
FACTOR = random(G, M)
RESIDUALS = [
    [Entry(0, FACTOR, random(M, N)), Entry(0, 3.0 * FACTOR, random(M, N)), Entry(2, random(G, 1), random(M, N))],
    [Entry(1, random(1, 1), random(M, N)), Entry(0, random(G, M), random(M, N)), Entry(3, 0.0 * FACTOR, random(M, N))],
]


def made(unknowns=U):
    A = torch.zeros(G, 2, M, unknowns, N, dtype=torch.float64)
    for number, entries in enumerate(RESIDUALS):
        for one in entries:
            A[:, number, :, one.unknown % unknowns] += one.factor[..., None] * one.table
    return A.flatten(1, 2)


def test_products_are_those_of_the_matrix():
    matrix, z = TableMatrix(CELLS, U, RESIDUALS), random(C, U, N, 700)
    expected = torch.einsum("gmun,gunk->gmk", made(), z[CELLS])
    torch.testing.assert_close(matrix.times(z), expected, rtol=0, atol=1e-11)


def test_products_with_its_adjoint_are_those_of_the_transposed_matrix():
    matrix, v = TableMatrix(CELLS, U, RESIDUALS), random(G, 2 * M, 3)
    torch.testing.assert_close(matrix.adjoint(v), torch.einsum("gmun,gmk->gunk", made(), v), rtol=0, atol=1e-11)


def test_tests_are_sums_over_orders_in_time():
    tests, v = TableMatrix(CELLS, U, RESIDUALS).of_tests(2), random(G, 2 * M, 3)
    torch.testing.assert_close(tests.adjoint(v), torch.einsum("gmun,gmk->gunk", made(2), v), rtol=0, atol=1e-11)


def test_proportional_factors_take_one_table():
    matrix = TableMatrix(CELLS, U, RESIDUALS)
    assert [len(entries) for entries in matrix.residuals] == [2, 3]
