"""Systems that differ by a shift, by the factorization of one: against dense solves."""

import torch

from pinnsolve.least_squares.block_cholesky import BlockCholesky, BlockMatrix
from pinnsolve.least_squares.fronts import fronts
from pinnsolve.least_squares.shifted_modes import REDUCED, ShiftedModes, SparseBlocks

PAIRS = [(0, 1), (1, 2), (0, 3)]
CELLS, N = 4, 3


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


def test_shifted_systems_are_solved_by_the_factorization_of_another():
    generator = torch.Generator().manual_seed(3)
    stiff, mass = rows(generator), rows(generator)
    W = stiff + mass
    still, moved = W.T @ stiff, W.T @ mass
    diagonal, upper, _ = blocks(still + moved)
    tree = fronts(torch.arange(CELLS, dtype=torch.float64)[:, None], PAIRS, N)
    factor = BlockCholesky(BlockMatrix(diagonal, PAIRS, upper), tree)
    shifts = [1.0, 0.6, 0.7 + 0.9j]
    modes = ShiftedModes(shifts, factor, SparseBlocks(*blocks(moved), PAIRS), lambda: None)
    sides = [torch.randn(CELLS, N, 2, generator=generator, dtype=torch.float64) for _ in shifts]
    sides[2] = torch.complex(sides[2], sides[1])
    for z, b, x in zip(shifts, sides, modes.solve(sides), strict=True):
        exact = torch.linalg.solve(still + z * moved + 0j, b.flatten(0, 1) + 0j)
        assert float((x.flatten(0, 1) - exact).norm() / exact.norm()) < 30 * REDUCED
