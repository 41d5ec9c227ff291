"""Stages that are solved together, by the factorization of one shift, and apart: against dense solves."""

import torch

from pinnsolve.adapt.radau import radau
from pinnsolve.least_squares.block_cholesky import BlockCholesky, BlockMatrix
from pinnsolve.least_squares.fronts import fronts
from pinnsolve.least_squares.separate_modes import SeparateModes
from pinnsolve.least_squares.stages_together import REDUCED, Shifted, SparseBlocks, StagesTogether

PAIRS = [(0, 1), (1, 2), (0, 3)]
CELLS, N = 4, 4
STAGES, TYPICAL = 3, 3.9


def rows(generator):
    """A matrix whose rows couple the cells of a pair, (rows, CELLS N)."""
    parts = [torch.zeros(8, CELLS, N, dtype=torch.float64) for _ in PAIRS]
    for part, pair in zip(parts, PAIRS, strict=True):
        part[:, list(pair)] = torch.randn(8, 2, N, generator=generator, dtype=torch.float64)
    return torch.cat(parts).flatten(1)


def blocks(matrix):
    B = matrix.reshape(CELLS, N, CELLS, N).transpose(1, 2)
    diagonal = torch.stack([B[i, i] for i in range(CELLS)])
    return diagonal, *(torch.stack([B[i, j] for i, j in pairs]) for pairs in (PAIRS, [p[::-1] for p in PAIRS]))


class Dense:
    def __init__(self, matrix):
        self.matrix = matrix

    def solve(self, b):
        return torch.linalg.solve(self.matrix.to(b.dtype), b.flatten(0, 1)).reshape(b.shape)


def systems(seed):
    """W^T A of the order in time 0 and 1, and right-hand sides, of which two depend on each other."""
    generator = torch.Generator().manual_seed(seed)
    stiff, mass = rows(generator), rows(generator)
    W = stiff + mass
    g = torch.randn(CELLS, N, 2, STAGES, generator=generator, dtype=torch.float64)
    g[:, :, 1, 0] = 2.0 * g[:, :, 0, 0]
    return W.T @ stiff, W.T @ mass, g


def exact(still, moved, g):
    """X with still X + moved X T = g."""
    one = torch.eye(STAGES, dtype=torch.float64)
    whole = torch.kron(still, one) + torch.kron(moved, radau(STAGES).rate / TYPICAL)
    sides = g.movedim(2, 3).reshape(CELLS * N * STAGES, -1)
    return torch.linalg.solve(whole, sides).reshape(CELLS, N, STAGES, -1).movedim(3, 2)


def test_stages_are_solved_by_the_factorization_of_one_shift():
    still, moved, g = systems(3)
    diagonal, upper, _ = blocks(still + moved)
    tree = fronts(torch.arange(CELLS, dtype=torch.float64)[:, None], PAIRS, N)
    factor = BlockCholesky(BlockMatrix(diagonal, PAIRS, upper), tree)
    rates = radau(STAGES).rate / TYPICAL
    for unknowns in (1, 2):
        stages = StagesTogether(rates, Shifted(factor, SparseBlocks(*blocks(moved), PAIRS), unknowns, lambda: None))
        expected = exact(still, moved, g)
        assert float((stages.solve(g) - expected).norm() / expected.norm()) < 30 * REDUCED


class Counted(Dense):
    """That counts the columns it is applied to."""

    columns = 0

    def solve(self, b):
        self.columns += b.shape[2]
        return super().solve(b)


def test_what_was_found_for_some_sides_serves_the_next_ones_and_steps_of_any_length():
    still, moved, g = systems(5)
    counted = Counted(still + moved)
    shifted = Shifted(counted, SparseBlocks(*blocks(moved), PAIRS), 1, lambda: None)
    first = StagesTogether(radau(STAGES).rate / TYPICAL, shifted)
    expected = exact(still, moved, g)
    assert float((first.solve(g, 1e-10) - expected).norm() / expected.norm()) < 1e-8
    assert first.remains < 1e-10
    made, counted.columns = counted.columns, 0
    first.solve(0.5 * g, 1e-10)
    assert counted.columns <= g[0, 0].numel() < made
    longer = StagesTogether(radau(STAGES).rate / (3.0 * TYPICAL), shifted)
    expected = exact(still, moved / 3.0, g)
    assert float((longer.solve(g, 1e-10) - expected).norm() / expected.norm()) < 1e-8


def test_stages_that_are_all_the_same_are_solved_as_one():
    still, moved, g = systems(6)
    counted = Counted(still + moved)
    stages = StagesTogether(
        radau(STAGES).rate / TYPICAL, Shifted(counted, SparseBlocks(*blocks(moved), PAIRS), 1, lambda: None)
    )
    same = g[..., :1].expand(-1, -1, -1, STAGES)
    expected = exact(still, moved, same)
    assert float((stages.solve(same, 1e-10) - expected).norm() / expected.norm()) < 1e-8
    counted.columns = 0
    stages.solve(same, 1e-10)
    assert counted.columns < g[0, 0].numel()


def test_a_right_hand_side_of_nothing_has_no_stages():
    still, moved, g = systems(3)
    rates = radau(STAGES).rate / TYPICAL
    stages = StagesTogether(rates, Shifted(Dense(still + moved), SparseBlocks(*blocks(moved), PAIRS), 1, lambda: None))
    g[:, :, 1] = 0.0
    assert float(stages.solve(g)[:, :, 1].norm()) == 0.0
    assert float(stages.solve(0.0 * g).norm()) == 0.0


def test_stages_are_solved_mode_by_mode():
    still, moved, g = systems(4)
    method = radau(STAGES)
    paired = [shift.imag != 0 for shift in method.shifts]
    factors = [
        Dense(still + (z if pair else z.real) / TYPICAL * moved) for z, pair in zip(method.shifts, paired, strict=True)
    ]
    found = SeparateModes(factors, paired, method.into, method.out_of).solve(g)
    expected = exact(still, moved, g)
    assert float((found - expected).norm() / expected.norm()) < 1e-9
