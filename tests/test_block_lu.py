"""LU in blocks along a tree of fronts, beside a dense solve."""

import pytest
import torch

from pinnsolve.least_squares.block_lu import BlockLU
from pinnsolve.least_squares.fronts import fronts


@pytest.mark.parametrize("dtype", [torch.float64, torch.complex128])
def test_the_solution_is_that_of_the_whole_matrix(dtype):
    torch.manual_seed(0)
    side, n = 4, 40
    centres = torch.cartesian_prod(torch.arange(side), torch.arange(side)).double()
    C = len(centres)
    pairs = [(i, j) for i in range(C) for j in range(i) if float((centres[i] - centres[j]).abs().sum()) == 1.0]
    pairs = sorted((j, i) for i, j in pairs)
    diagonal = torch.randn(C, n, n, dtype=dtype) + 4 * n * torch.eye(n, dtype=dtype)
    upper, lower = (torch.randn(len(pairs), n, n, dtype=dtype) for _ in range(2))
    whole = torch.block_diag(*diagonal).reshape(C, n, C, n)
    for k, (i, j) in enumerate(pairs):
        whole[i, :, j], whole[j, :, i] = upper[k], lower[k]
    scale = torch.rand(C, n, dtype=torch.float64) + 0.5
    b = torch.randn(C, n, 3, dtype=dtype)
    x = BlockLU((diagonal, upper, lower), pairs, scale, fronts(centres, pairs, n)).solve(b)
    assert torch.allclose(whole.reshape(C * n, C * n) @ x.reshape(C * n, 3), b.reshape(C * n, 3), atol=1e-10)
