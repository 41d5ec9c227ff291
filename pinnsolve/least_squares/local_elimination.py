"""Least squares on many cells by local elimination: what the equation determines in a cell is not coupled directly.

The rows of the equation inside a cell hold most of its functions; only those that nearly solve the homogeneous equation
are tied to the neighbours (an adaptive basis that the problem itself makes). So the functions of a cell are divided by
the share mu of their squared rows that is due to rows inside the cell, an eigenvalue of E v = mu D v with the cell's
own normal matrix D, of which E is the part of those rows (coarse spaces are chosen by such eigenproblems: Spillane et
al., Numer. Math. 126 (2014) 741-770). Functions with a small mu are free: their Galerkin system over all cells is
factorized in fronts, which are smaller by the share of free functions, so that memory falls by its square and
operations by its cube. Conjugate gradients on the unchanged normal equations take the difference away in a few steps,
preconditioned by the determined functions cell by cell, the free ones together, and the determined ones again.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from pinnsolve.least_squares.block_cholesky import BlockCholesky, BlockMatrix
from pinnsolve.least_squares.fronts import Front, fronts, operations

FREE, SURELY_FREE = 0.5, 0.02  # share of the equation below which functions are free: in most cells, in every cell
MOST_CELLS = 0.95
SHIFT = 1e-13  # of the unit diagonal of a cell, so that dependent functions stay bounded
ACCURACY = 1e-4  # of solutions that whoever asks for them refines, with residuals taken row by row
EXACT = 1e-11  # of those that are taken as they are
MOST_STEPS = 60
SHARE = 0.5  # of the functions that are free, as is known beforehand
DIVISION, STEPS, GAIN = 16.0, 30.0, 2.0  # operations of a cell per n^3; passes over all blocks, 8 each; least gain


class LocalElimination:
    """The preconditioner of a `BlockMatrix`, and conjugate gradients with it.

    `equations`: (C, n, n), the parts of the diagonal blocks that stand for rows inside one cell; `centres`: (C, d) of
    the cells; `accuracy`: of solutions, in the norm of the residual. The blocks of the matrix are taken over and
    changed. `check()` is called now and then, and ends the factorization by raising what it likes.
    """

    def __init__(
        self, matrix: BlockMatrix, equations: Tensor, centres: Tensor, check: Callable[[], None] = lambda: None,
        accuracy: float = ACCURACY,
    ):  # fmt: skip
        d = torch.diagonal(matrix.diagonal, dim1=1, dim2=2)
        self.scale = torch.where(d > 0, d, 1.0).rsqrt()  # (C, n)
        self.check, self.accuracy = check, accuracy
        pairs = torch.tensor(matrix.pairs, dtype=torch.long).reshape(-1, 2)
        self._first, self._second = pairs[:, 0], pairs[:, 1]
        self.diagonal = _scaled(matrix.diagonal, self.scale, self.scale)
        self.blocks = _scaled(matrix.blocks, self.scale[self._first], self.scale[self._second])
        share, functions = self._divided(equations)
        self.free_count = _free_count(share)
        self.free, self.held = functions[..., : self.free_count], functions[..., self.free_count :]
        diagonal = self.free.mT @ self.diagonal @ self.free
        blocks = self.free[self._first].mT @ self.blocks @ self.free[self._second]
        check()
        tree = fronts(centres, matrix.pairs, self.free_count)
        self.coupled = BlockCholesky(BlockMatrix(diagonal, matrix.pairs, blocks), tree, check)

    def _divided(self, equations: Tensor) -> tuple[Tensor, Tensor]:
        """(C, n) the shares mu, growing, and (C, n, n) their functions, orthonormal in the cell's own matrix."""
        n = equations.shape[1]
        shares, functions = torch.empty_like(self.scale), torch.empty_like(equations)
        for cell, D in enumerate(self.diagonal):
            self.check()
            E = self.scale[cell, :, None] * equations[cell] * self.scale[cell]
            L = torch.linalg.cholesky(D + SHIFT * n * torch.eye(n, dtype=D.dtype, device=D.device))
            K = torch.linalg.solve_triangular(L, torch.linalg.solve_triangular(L, E, upper=False).mT, upper=False)
            shares[cell], W = torch.linalg.eigh(K)
            functions[cell] = torch.linalg.solve_triangular(L.mT, W, upper=True)
        return shares, functions

    def solve(self, b: Tensor) -> Tensor:
        """x: (C, n) or (C, n, k) with (matrix) x = b up to the accuracy."""
        shape = b.shape
        r = b.reshape(*self.scale.shape, -1) * self.scale[..., None]
        x = torch.zeros_like(r)
        z = self._preconditioned(r)
        direction, product = z, _dots(r, z)
        wanted = self.accuracy**2 * product
        for _ in range(MOST_STEPS):
            if not bool((product > wanted).any()):
                break
            self.check()
            image = self._times(direction)
            step = _quotient(product, _dots(direction, image))
            x, r = x + step * direction, r - step * image
            z = self._preconditioned(r)
            before, product = product, _dots(r, z)
            direction = z + _quotient(product, before) * direction
        return (x * self.scale[..., None]).reshape(shape)

    def _times(self, x: Tensor) -> Tensor:
        y = self.diagonal @ x
        y.index_add_(0, self._first, self.blocks @ x[self._second])
        return y.index_add_(0, self._second, self.blocks.mT @ x[self._first])

    def _preconditioned(self, r: Tensor) -> Tensor:
        """(C, n, k): determined functions, free ones, determined ones, each on what is left of the residual."""
        z = self._by_cells(r)
        z = z + self.free @ self.coupled.solve(self.free.mT @ (r - self._times(z)))
        return z + self._by_cells(r - self._times(z))

    def _by_cells(self, r: Tensor) -> Tensor:
        return self.held @ (self.held.mT @ r)

    def rank_info(self) -> dict[str, float | int]:
        """As of `BlockCholesky`, for the free functions; the determined ones are independent."""
        info = self.coupled.rank_info()
        held = self.held.shape[0] * self.held.shape[2]
        return {**info, "rank": info["rank"] + held, "columns": info["columns"] + held}


def _scaled(blocks: Tensor, left: Tensor, right: Tensor) -> Tensor:
    """The blocks (K, n, n), their rows and columns multiplied by (K, n) each, in place: there are not two of them."""
    return blocks.mul_(left[:, :, None]).mul_(right[:, None, :])


def _free_count(shares: Tensor) -> int:
    """How many functions are free in every cell: enough for most, and for none far too few."""
    counts = (shares < FREE).sum(dim=1).sort().values
    most = int(counts[int(MOST_CELLS * (len(counts) - 1))])
    return max(1, most, int((shares < SURELY_FREE).sum(dim=1).max()))


def _dots(a: Tensor, b: Tensor) -> Tensor:
    """(k,) the products of the columns of (C, n, k)."""
    return (a * b).sum(dim=(0, 1))


def _quotient(a: Tensor, b: Tensor) -> Tensor:
    """a / b, zero where b is not positive: a column that is solved stays."""
    return torch.where(b > 0, a / torch.where(b > 0, b, 1.0), 0.0)


def operations_eliminated(tree: Sequence[Front], cells: int, pairs: int, n: int) -> float:
    """The same with local elimination, and those of the steps that a solution takes."""
    return operations(tree, n) * SHARE**3 + DIVISION * cells * n**3 + 8 * STEPS * (cells + 2 * pairs) * n**2


def worth_eliminating(tree: Sequence[Front], cells: int, pairs: int, n: int) -> bool:
    """Whether local elimination takes fewer operations than fronts of all functions."""
    return operations(tree, n) > GAIN * operations_eliminated(tree, cells, pairs, n)
