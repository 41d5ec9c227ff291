"""Cholesky by blocks against dense solves, whatever the graph; dependent columns stay bounded."""

from __future__ import annotations

import itertools

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from pinnsolve.least_squares import fronts as front_orders
from pinnsolve.least_squares.block_cholesky import BlockCholesky, BlockMatrix
from pinnsolve.least_squares.fronts import Front, fronts

Pairs = list[tuple[int, int]]


def chain(count: int) -> tuple[Tensor, Pairs]:
    centres = torch.arange(count, dtype=torch.float64)[:, None]
    return centres, [(i, i + 1) for i in range(count - 1)]


def ring(count: int) -> tuple[Tensor, Pairs]:
    centres, pairs = chain(count)
    return centres, [*pairs, (0, count - 1)]


def grid(*counts: int) -> tuple[Tensor, Pairs]:
    places = list(itertools.product(*map(range, counts)))
    number = {place: k for k, place in enumerate(places)}
    pairs = []
    for place in places:
        for axis in range(len(counts)):
            other = tuple(p + (a == axis) for a, p in enumerate(place))
            if other in number:
                pairs.append((number[place], number[other]))
    return torch.tensor(places, dtype=torch.float64), pairs


def scattered(count: int, links: int, seed: int = 0) -> tuple[Tensor, Pairs]:
    """Neighbours that have nothing to do with distance, and parts that do not touch."""
    generator = torch.Generator().manual_seed(seed)
    drawn = torch.randint(count, (links, 2), generator=generator).tolist()
    centres = torch.rand(count, 2, generator=generator, dtype=torch.float64)
    return centres, sorted({(min(i, j), max(i, j)) for i, j in drawn if i != j})


GRAPHS = {
    "one": chain(1),
    "chain": chain(17),
    "ring": ring(13),
    "square": grid(6, 5),
    "cube": grid(3, 3, 3),
    "loose": (torch.rand(7, 2, dtype=torch.float64), []),
    "scattered": scattered(14, 20),
    "one place": (torch.zeros(5, 2, dtype=torch.float64), chain(5)[1]),
}
graphs = pytest.mark.parametrize("name", GRAPHS)


def matrix_on(centres: Tensor, pairs: Pairs, n: int, seed: int = 0) -> tuple[BlockMatrix, Tensor]:
    """A^T A of random rows on every pair and every cell, as blocks and as a dense matrix."""
    generator = torch.Generator().manual_seed(seed)
    count = len(centres)
    dense = torch.zeros(count * n, count * n, dtype=torch.float64)
    for cells in [*pairs, *((i,) for i in range(count))]:
        A = torch.zeros(n + 1, count * n, dtype=torch.float64)
        for i in cells:
            A[:, i * n : (i + 1) * n] = torch.randn(n + 1, n, generator=generator, dtype=torch.float64)
        dense += A.T @ A
    scale = 10.0 ** torch.randint(-4, 5, (count * n,), generator=generator).double()
    dense = scale[:, None] * dense * scale  # columns of very different sizes
    tiles = dense.reshape(count, n, count, n).permute(0, 2, 1, 3)
    diagonal = tiles[range(count), range(count)]
    blocks = torch.stack([tiles[i, j] for i, j in pairs]) if pairs else torch.zeros(0, n, n, dtype=torch.float64)
    return BlockMatrix(diagonal, pairs, blocks), dense


def assert_solves(matrix: BlockMatrix, dense: Tensor, tree, columns: int = 1) -> None:
    C, n = matrix.diagonal.shape[:2]
    generator = torch.Generator().manual_seed(5)
    b = dense @ torch.randn(C * n, columns, generator=generator, dtype=torch.float64)
    x = BlockCholesky(matrix, tree).solve(b.reshape(C, n, columns)).reshape(C * n, columns)
    scale = torch.diagonal(dense).sqrt()
    expected = torch.linalg.solve(dense / (scale[:, None] * scale), b / scale[:, None])
    torch.testing.assert_close(x * scale[:, None], expected, rtol=1e-7, atol=1e-7 * float(expected.abs().max()))


# -- solving ----------------------------------------------------------------------------------------------------------


@graphs
@pytest.mark.parametrize("n", [1, 3])
@pytest.mark.parametrize("columns", [64, 10_000])
def test_the_solution_is_that_of_the_dense_matrix(name, n, columns):
    """Whether fronts are many and small or few and large."""
    centres, pairs = GRAPHS[name]
    matrix, dense = matrix_on(centres, pairs, n)
    assert_solves(matrix, dense, fronts(centres, pairs, columns), columns=2)


def test_one_right_hand_side_may_be_flat():
    centres, pairs = GRAPHS["square"]
    matrix, _ = matrix_on(centres, pairs, 2)
    factor = BlockCholesky(matrix, fronts(centres, pairs, 2))
    b = torch.ones(30, 2, dtype=torch.float64)
    kept = b.clone()
    assert factor.solve(b).shape == (30, 2)
    torch.testing.assert_close(factor.solve(b), factor.solve(b[..., None])[..., 0])
    assert torch.equal(b, kept)


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 18), st.integers(0, 40), st.integers(0, 10_000), st.sampled_from([1, 2, 40, 200]))
def test_any_graph_is_solved(count, links, seed, columns):
    centres, pairs = scattered(count, links, seed)
    matrix, dense = matrix_on(centres, pairs, 2, seed)
    assert_solves(matrix, dense, fronts(centres, pairs, columns))


def test_long_borders_are_added_at_once():
    """More than sixteen cells in a border take another way into their parent."""
    centres, pairs = grid(20, 20)
    matrix, dense = matrix_on(centres, pairs, 1)
    tree = fronts(centres, pairs, 128)
    assert max(len(front.border) for front in tree) > 16
    assert_solves(matrix, dense, tree)


# -- fronts -----------------------------------------------------------------------------------------------------------


def assert_tree(tree: tuple[Front, ...], count: int, pairs: Pairs) -> None:
    assert sorted(cell for front in tree for cell in front.own) == list(range(count))
    when = {cell: k for k, front in enumerate(tree) for cell in front.own}
    together = {(i, j) for i, j in pairs} | {(j, i) for i, j in pairs}
    for k, front in enumerate(tree):
        assert not set(front.own) & set(front.border)
        assert all(when[cell] > k for cell in front.border)
        assert all(child < k for child in front.children)
        for child in front.children:
            assert set(tree[child].border) <= set(front.own) | set(front.border)
        for i in front.own:  # every neighbour is here, or was before
            assert all(j in front.own or j in front.border or when[j] < k for a, j in together if a == i)
    parents = [child for front in tree for child in front.children]
    assert len(parents) == len(set(parents))  # one each
    for k, front in enumerate(tree):
        assert not front.border or k in parents  # what is handed on is taken up


@graphs
@pytest.mark.parametrize("columns", [2, 60, 128, 10_000])
def test_fronts_are_a_tree_of_eliminations(name, columns):
    centres, pairs = GRAPHS[name]
    assert_tree(fronts(centres, pairs, columns), len(centres), pairs)


@settings(max_examples=30, deadline=None)
@given(st.integers(1, 30), st.integers(0, 60), st.integers(0, 10_000))
def test_any_graph_has_fronts(count, links, seed):
    centres, pairs = scattered(count, links, seed)
    assert_tree(fronts(centres, pairs, 128), count, pairs)


def test_a_chain_becomes_a_band():
    centres, pairs = chain(200)
    tree = fronts(centres, pairs, 128)
    assert max(len(front.border) for front in tree) <= 2


def test_dissection_keeps_fronts_small():
    """Of a grid with n^2 cells the largest front is of order n, and the work of order n^3."""
    work = {}
    for n in (8, 16, 32):
        tree = fronts(*grid(n, n), 128)
        assert max(len(f.own) + len(f.border) for f in tree) <= 5 * n
        work[n] = front_orders.operations(tree)
    assert work[32] < 12 * work[16]


# -- matrices that are not positive -----------------------------------------------------------------------------------


def test_dependent_columns_stay_bounded():
    """A singular matrix that is consistent with its right-hand side: one of its solutions, of moderate size."""
    centres, pairs = chain(6)
    n, count = 3, 6
    generator = torch.Generator().manual_seed(2)
    A = torch.zeros(0, count * n, dtype=torch.float64)
    for i, j in pairs:
        rows = torch.zeros(4, count * n, dtype=torch.float64)
        for cell in (i, j):
            rows[:, cell * n : cell * n + n] = torch.randn(4, n, generator=generator, dtype=torch.float64)
        A = torch.cat([A, rows])
    A[:, 5] = A[:, 4]  # two columns alike
    A[:, 9] = 0.0  # and one of zeros
    dense = A.T @ A
    tiles = dense.reshape(count, n, count, n).permute(0, 2, 1, 3)
    blocks = torch.stack([tiles[i, j] for i, j in pairs])
    factor = BlockCholesky(BlockMatrix(tiles[range(count), range(count)], pairs, blocks), fronts(centres, pairs, n))
    truth = torch.randn(count * n, generator=generator, dtype=torch.float64)
    b = dense @ truth
    x = factor.solve(b.reshape(count, n)).reshape(-1)
    assert float(x.norm()) < 100 * float(truth.norm())
    torch.testing.assert_close(dense @ x, b, rtol=1e-4, atol=1e-4 * float(b.abs().max()))
    assert x[9] == 0
    pivots = factor.pivots
    assert pivots.shape == (count * n,) and float(pivots.min()) < 1e-5 and 0.1 < float(pivots.max()) <= 1.01


@pytest.mark.parametrize("wrong", [float("nan"), float("inf")])
def test_what_is_not_finite_is_refused(wrong):
    centres, pairs = chain(4)
    matrix, _ = matrix_on(centres, pairs, 2)
    matrix.diagonal[2, 0, 0] = wrong
    with pytest.raises(ArithmeticError, match="not finite"):
        BlockCholesky(matrix, fronts(centres, pairs, 2))


def test_what_is_far_from_positive_is_refused():
    centres, pairs = chain(2)
    eye = torch.eye(2, dtype=torch.float64)
    matrix = BlockMatrix(torch.stack([eye, eye]), pairs, torch.stack([3 * eye]))
    with pytest.raises(ArithmeticError, match="far from positive"):
        BlockCholesky(matrix, fronts(centres, pairs, 2))


@pytest.mark.parametrize("careful", [False, True])
@pytest.mark.parametrize("name", [name for name, (centres, _) in GRAPHS.items() if len(centres) > 2])
def test_a_cut_leaves_two_parts_without_a_pair_between_them(name, careful):
    centres, pairs = GRAPHS[name]
    neighbours = [{b for pair in pairs if i in pair for b in pair if b != i} for i in range(len(centres))]
    left, right, separator = front_orders._cut(list(range(len(centres))), centres, neighbours, careful)
    assert sorted([*left, *right, *separator]) == list(range(len(centres)))
    assert not any({i, j} & set(left) and {i, j} & set(right) for i, j in pairs)


def test_the_smallest_separator_of_pairs_is_a_cover_of_least_size():
    neighbours = [set() for _ in range(9)]
    for i, j in [(0, 5), (0, 6), (0, 7), (1, 8), (2, 8), (3, 8)]:  # by one side three or four, by both two
        neighbours[i].add(j)
        neighbours[j].add(i)
    assert front_orders._smallest({0, 1, 2, 3, 4}, set(range(9)), neighbours) == {0, 8}


def test_care_is_taken_where_it_pays(monkeypatch):
    centres = torch.cat([grid(6, 6)[0], 0.02 * grid(6, 6)[0] + 4.0])  # cells of two sizes that hang together at one
    pairs = [*grid(6, 6)[1], *((i + 36, j + 36) for i, j in grid(6, 6)[1]), (28, 36)]
    quick = fronts(centres, pairs, 2)
    monkeypatch.setattr(front_orders, "WORTH_CARE", 0.0)
    slow = fronts(centres, pairs, 2)
    assert front_orders.operations(slow) <= front_orders.operations(quick)
    generator = torch.Generator().manual_seed(3)
    A = torch.zeros(144, 144, dtype=torch.float64)
    diagonal = torch.eye(2, dtype=torch.float64).repeat(72, 1, 1) * 20
    blocks = torch.rand(len(pairs), 2, 2, generator=generator, dtype=torch.float64)
    for k in range(72):
        A[2 * k : 2 * k + 2, 2 * k : 2 * k + 2] = diagonal[k]
    for (i, j), block in zip(pairs, blocks, strict=True):
        A[2 * i : 2 * i + 2, 2 * j : 2 * j + 2], A[2 * j : 2 * j + 2, 2 * i : 2 * i + 2] = block, block.T
    b = torch.rand(72, 2, generator=generator, dtype=torch.float64)
    x = BlockCholesky(BlockMatrix(diagonal, pairs, blocks), slow).solve(b)
    torch.testing.assert_close(A @ x.flatten(), b.flatten())
