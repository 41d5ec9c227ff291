"""Least squares over coefficients and unknown parameters: parameter columns beside the block-sparse matrix.

With rows [C P] for coefficients and parameters, C^T C is factorized in blocks and the coefficients are eliminated:
X = C^+ P, and what is left of the parameter columns is Q = P - C X, so that S = Q^T Q is the Schur complement and
Q^T r the gradient of the reduced problem (variable projection: Golub & Pereyra, SIAM J. Numer. Anal. 10 (1973)
413-432). Q is formed row by row, which keeps the digits that P^T P - P^T C X would lose.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import Tensor

from pinnsolve.assembly.linear_system import Bounds, Factorization
from pinnsolve.assembly.row_source import RowBlock, State
from pinnsolve.bases.piecewise.space import Space
from pinnsolve.least_squares.block_cholesky import BlockCholesky
from pinnsolve.least_squares.condensation import Condensed
from pinnsolve.least_squares.coupled import Coupled
from pinnsolve.least_squares.dense_qr import DenseQR
from pinnsolve.least_squares.local_elimination import LocalElimination
from pinnsolve.least_squares.one_block import OneBlock
from pinnsolve.least_squares.products import times

REFINED = 3  # times X is refined with residuals taken row by row
ROUNDING = 3e-15

MOST_STEPS, EXHAUSTED = 40, 1e-26  # of the iteration for exact rows; what is left of its first square

Columns = list[Tensor]  # (G, M, k) per block of rows
Factor = BlockCholesky | Condensed | Coupled | DenseQR | LocalElimination | OneBlock


def applied(matrices: Sequence[RowBlock], x: Tensor) -> Columns:
    """C x for x (C, U n, k)."""
    return [block.times(x) for block in matrices]


def gradient(rows: Sequence[RowBlock], matrices: Sequence[RowBlock], like: Tensor) -> Tensor:
    """A^T r, (C, U n), with residuals from `rows` and matrices from `matrices`; `like`: (C, U n, ...)."""
    g = like.new_zeros(like.shape[:2])
    for residual, matrix in zip(rows, matrices, strict=True):
        if matrix.tested and len(matrix.sides) == 2:
            for cells, A in matrix.sides:
                g.index_add_(0, cells, -times(residual.r[:, None], A)[:, 0])
            continue
        if matrix.tested:
            ((cells, _),) = matrix.sides
            g.index_add_(0, cells, residual.r)
            continue
        for cells, A in matrix.sides:
            g.index_add_(0, cells, residual.r @ A[0] if A.shape[0] == 1 else times(residual.r[:, None], A)[:, 0])
        if matrix.by_integrals is not None:
            slope = torch.einsum("gmk,gm->k", matrix.by_integrals, residual.r)
            g += torch.einsum("cku,k->cu", matrix.functionals, slope)
    return g


def adjoint(matrices: Sequence[RowBlock], v: Columns, like: Tensor) -> Tensor:
    """C^T v, (C, U n, k), for v (G, M, k) per block; `like`: (C, U n, ...)."""
    g = like.new_zeros(*like.shape[:2], v[0].shape[2])
    for block, part in zip(matrices, v, strict=True):
        for cells, A in block.sides:
            g.index_add_(0, cells, times(A.mT, part))
        if block.by_integrals is not None:
            slope = torch.einsum("gmk,gml->kl", block.by_integrals, part)
            g += torch.einsum("cku,kl->cul", block.functionals, slope)
    return g


def products(one: Columns, two: Columns, chosen: Sequence[bool] | None = None) -> Tensor:
    """one^T two, (k, l), over the blocks chosen."""
    total = one[0].new_zeros(one[0].shape[2], two[0].shape[2])
    for i, (a, b) in enumerate(zip(one, two, strict=True)):
        if chosen is None or chosen[i]:
            total += a.flatten(0, 1).T @ b.flatten(0, 1)
    return total


def dense(matrices: Sequence[RowBlock], blocks: int, columns: int) -> Tensor:
    """(rows, blocks * columns): all rows as one matrix, in the order of `stacked`."""
    parts = []
    for block in matrices:
        whole = torch.zeros(*block.r.shape, blocks, columns, dtype=torch.float64)
        member = torch.arange(len(block.r))
        for cells, A in block.sides:
            whole[member, :, cells] += A.expand(len(cells), *A.shape[1:])
        if block.by_integrals is not None:
            whole += torch.einsum("gmk,cku->gmcu", block.by_integrals, block.functionals)
        parts.append(whole.flatten(0, 1).flatten(1))
    return torch.cat(parts)


def stacked(columns: Columns) -> Tensor:
    """(rows, k) from (G, M, k) per block."""
    return torch.cat([part.flatten(0, 1) for part in columns])


def held_exactly(
    factor: Factor, matrices: Sequence[RowBlock], residuals: Sequence[Tensor | float], x: Tensor
) -> Tensor:
    """x (C, U n), moved as little as may be so that the exact rows among `matrices` vanish: B x + r = 0, with their
    `residuals` r.

    Conjugate gradients for min |B x + r|, preconditioned by the factorization of H = A^T A + B^T B: so the change is
    the smallest in the norm of H, and of all that let B x + r vanish, the least squares of the other rows are least.
    Since H holds B with a large weight, the steps are few. Rows that contradict or repeat others do no harm (CGLS:
    Bjorck, Numerical Methods for Least Squares Problems, section 7.4).
    """
    held = [block for block in matrices if block.exact]
    if not held:
        return x
    left = [-block.times(x) - r for block, r in zip(held, residuals, strict=True)]  # (G, M) each

    def slope() -> tuple[Tensor, Tensor, float]:
        s = gradient([replace(block, r=r) for block, r in zip(held, left, strict=True)], held, x[..., None])
        z = factor.solve(s)
        return s, z, float((s * z).sum())

    _, p, size = slope()
    first = size
    for _ in range(MOST_STEPS):
        if not size > EXHAUSTED * first:
            break
        image = [block.times(p) for block in held]
        length = size / max(sum(float((q * q).sum()) for q in image), 1e-300)
        x = x + length * p
        left = [r - length * q for r, q in zip(left, image, strict=True)]
        before = size
        _, z, size = slope()
        p = z + (size / before) * p
    return x


class BlockFactorization(Factorization):
    """The rows of cells at a state, factorized, and the least squares in the parameters that is left.

    `matrices`: the rows; `factor`: of C^T C; `X` (C, U n, P), `Q` by block and `S` (P, P) as at the head of this file.
    """

    def __init__(
        self,
        space: Space,
        unknowns: int,
        factor: Factor,
        matrices: Sequence[RowBlock],
        count: int,
    ):
        self.space, self.unknowns, self.factor, self.matrices, self.count = space, unknowns, factor, matrices, count
        self.X = torch.zeros(space.cells.count, unknowns * space.functions, count, dtype=torch.float64)
        P = [
            torch.zeros(*block.r.shape, count, dtype=torch.float64) if block.parameters is None else block.parameters
            for block in (matrices if count else ())
        ]
        self.Q = P
        for _ in range(REFINED if count else 0):
            self.X = self.X + self.least(self.Q)
            self.Q = [p - q for p, q in zip(P, applied(matrices, self.X), strict=True)]
        self.S = products(self.Q, self.Q) if count else torch.zeros(0, 0, dtype=torch.float64)

    def coefficients(self, rows: Sequence[RowBlock], matrices: Sequence[RowBlock] | None = None) -> Tensor:
        """(C, U, n): the correction with the parameters held; `matrices` of the rows, where these are not all."""
        if matrices is None and isinstance(self.factor, DenseQR):
            x = self.factor.least(stacked([block.r[:, :, None] for block in rows]))[:, :, 0]
        else:
            x = self.factor.solve(gradient(rows, self.matrices if matrices is None else matrices, self.X))
        x = held_exactly(self.factor, self.matrices, self._residuals(rows, matrices), -x)
        return self.space.back(x.reshape(len(x), self.unknowns, -1))

    def _residuals(self, rows: Sequence[RowBlock], matrices: Sequence[RowBlock] | None) -> list[Tensor | float]:
        """Those of all exact rows: from `rows`, which belong to `matrices`, and zero of what is not among these."""
        pairs = zip(self.matrices if matrices is None else matrices, rows, strict=True)
        known = {id(matrix): block.r for matrix, block in pairs}
        return [known.get(id(block), 0.0) for block in self.matrices if block.exact]

    def least(self, columns: Columns) -> Tensor:
        """(C, U n, k): the least-squares solutions for right-hand sides (G, M, k) per block of rows."""
        if isinstance(self.factor, DenseQR):
            return self.factor.least(stacked(columns))
        return self.factor.solve(adjoint(self.matrices, columns, self.X))

    def corrected(self, state: State, rows: Sequence[RowBlock]) -> State:
        return State(state.coefficients + self.coefficients(rows), state.parameters)

    def restored(self, state: State, rows: Sequence[RowBlock]) -> State:
        """The state nearest to this one whose exact rows vanish, as far as the linearization tells; `rows`: there."""
        nothing = torch.zeros_like(state.coefficients).flatten(1)
        x = held_exactly(self.factor, self.matrices, self._residuals(rows, None), nothing)
        return replace(state, coefficients=state.coefficients + self.space.back(x.reshape(state.coefficients.shape)))

    def step(self, rows: Sequence[RowBlock], at: Tensor, bounds: Bounds | None) -> tuple[Tensor, Tensor]:
        delta = self.coefficients(rows)
        if not self.count:
            return delta, torch.zeros_like(at)
        slope = products(self.Q, [block.r[:, :, None] for block in rows])[:, 0]
        moved = bounds.step(at, self.S, slope)
        return delta - self.space.back((self.X @ moved).reshape(delta.shape)), moved

    def rank_info(self) -> dict[str, float | int]:
        return self.factor.rank_info()

    def sensitivity(self) -> Tensor:
        """(P, C, U, n): the derivatives of the solution by the parameters."""
        return -self._functions(self.X)

    def carried(self, columns: Columns) -> Tensor:
        """(k, C, U, n): the least-squares solutions for right-hand sides (G, M, k) per block of rows."""
        return self._functions(self.least(columns))

    def _functions(self, x: Tensor) -> Tensor:
        """(k, C, U, n) from (C, U n, k)."""
        x = x.reshape(len(x), self.unknowns, self.space.functions, x.shape[2]).permute(3, 0, 1, 2)
        return torch.stack([self.space.back(one) for one in x]) if len(x) else x


def inverse(information: Tensor, size: Tensor) -> Tensor:
    """The inverse of a Schur complement (P, P), parameters scaled by their `size` (P,); what it lacks is large."""
    if not len(size):
        return information
    values, vectors = torch.linalg.eigh(size[:, None] * information * size)
    values = values.clamp_min(max(ROUNDING * float(values.max()), 1e-300))
    return size[:, None] * (vectors / values) @ vectors.T * size
