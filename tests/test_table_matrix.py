"""Matrices that are applied by tables, against those that are made."""

import pytest
import torch

from pinnsolve.adapt.stage_blocks import add_products, add_table_products
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


def test_the_columns_of_an_unknown_are_made_for_some_cells():
    matrix, whole = TableMatrix(CELLS, U, RESIDUALS), made()
    for unknown in range(U):
        torch.testing.assert_close(matrix.of_cells(slice(3, 9), unknown), whole[3:9, :, unknown], rtol=0, atol=1e-12)


def test_cells_are_alike_where_all_factors_are():
    entries = [Entry(0, FACTOR[:1], random(M, N)), Entry(1, random(1, 1).expand(G, 1), random(M, N))]
    assert TableMatrix(CELLS, 2, [entries]).alike
    assert not TableMatrix(CELLS, 2, [[*entries, Entry(0, FACTOR, random(M, N))]]).alike


@pytest.mark.parametrize("levels", [2, 4])
def test_blocks_of_rows_that_tables_give_are_those_of_their_matrices(levels):
    unknowns = U // levels
    matrix = TableMatrix(CELLS, U, RESIDUALS)
    own, expected = (torch.zeros(levels, unknowns, unknowns, C, N, N, dtype=torch.float64) for _ in range(2))
    add_table_products(own, matrix, matrix.of_tests(unknowns))
    columns, tests = made().unbind(2), made(unknowns).unbind(2)
    add_products(expected, CELLS, tests, columns, range(levels))
    torch.testing.assert_close(own, expected, rtol=0, atol=1e-11)
