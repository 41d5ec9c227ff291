"""Least squares over coefficients and unknown parameters: parameter columns beside the block-sparse matrix.

With rows [C P] for coefficients and parameters, C^T C is factorized in blocks and the coefficients are eliminated:
X = C^+ P, and what is left of the parameter columns is Q = P - C X, so that S = Q^T Q is the Schur complement and
Q^T r the gradient of the reduced problem (variable projection: Golub & Pereyra, SIAM J. Numer. Anal. 10 (1973)
413-432). Q is formed row by row, which keeps the digits that P^T P - P^T C X would lose.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from pinnsolve.assembly.row_source import RowBlock
from pinnsolve.assembly.system import LinearSystem

REFINED = 3  # times X is refined with residuals taken row by row
WEAK = 1e-12  # eigenvalues of the scaled Schur complement below this, relative to the largest, are no information
ROUNDING = 3e-15

Columns = list[Tensor]  # (G, M, k) per block of rows


def applied(matrices: Sequence[RowBlock], x: Tensor) -> Columns:
    """C x for x (C, U n, k)."""
    return [block.times(x) for block in matrices]


def adjoint(matrices: Sequence[RowBlock], v: Columns, like: Tensor) -> Tensor:
    """C^T v, (C, U n, k), for v (G, M, k) per block; `like`: (C, U n, ...)."""
    g = like.new_zeros(*like.shape[:2], v[0].shape[2])
    for block, part in zip(matrices, v, strict=True):
        for cells, A in block.sides:
            g.index_add_(0, cells, A.mT @ part)
    return g


def products(one: Columns, two: Columns, chosen: Sequence[bool] | None = None) -> Tensor:
    """one^T two, (k, l), over the blocks chosen."""
    total = one[0].new_zeros(one[0].shape[2], two[0].shape[2])
    for i, (a, b) in enumerate(zip(one, two, strict=True)):
        if chosen is None or chosen[i]:
            total += a.flatten(0, 1).T @ b.flatten(0, 1)
    return total


@dataclass(frozen=True)
class Bounds:
    """`low`, `high`: (P,) what holds the parameters, and their typical `size`, to compare them with each other."""

    low: Tensor
    high: Tensor
    size: Tensor

    @classmethod
    def held(cls, parameters: Tensor) -> Bounds:
        """Those that hold parameters (P,) where they are."""
        return cls(parameters, parameters, torch.ones_like(parameters))

    def step(self, at: Tensor, S: Tensor, gradient: Tensor) -> Tensor:
        """The minimizer of d^T S d / 2 + gradient^T d within the bounds, by an active set."""
        free = torch.ones_like(at, dtype=torch.bool)
        moved = torch.zeros_like(at)
        for _ in range(2 * len(at) + 1):
            rest = gradient + S @ torch.where(free, torch.zeros_like(moved), moved)
            moved = torch.where(free, self._least(S, rest, free), moved)
            outside = free & ((at + moved < self.low) | (at + moved > self.high))
            if not bool(outside.any()):
                break
            moved = torch.where(outside, (at + moved).clamp(self.low, self.high) - at, moved)
            free &= ~outside
        return moved

    def _least(self, S: Tensor, gradient: Tensor, free: Tensor) -> Tensor:
        scale = torch.where(free, self.size, 0.0)
        values, vectors = torch.linalg.eigh(scale[:, None] * S * scale)
        known = values > WEAK * values.max().clamp_min(1e-300)
        inverse = torch.where(known, 1.0 / torch.where(known, values, 1.0), 0.0)
        return -scale * (vectors @ (inverse * (vectors.T @ (scale * gradient))))


class ReducedSystem:
    """The rows at a state, factorized, and the least squares in the parameters that is left.

    `matrices`: the rows; `factor`: of C^T C; `X` (C, U n, P), `Q` by block and `S` (P, P) as at the head of this file.
    """

    def __init__(self, system: LinearSystem, matrices: Sequence[RowBlock], parameters: int = 0):
        self.matrices, self.factor, self.count = matrices, system.factorize(matrices), parameters
        self.X = torch.zeros(system.space.cells.count, system.columns, parameters, dtype=torch.float64)
        P = [
            torch.zeros(*block.r.shape, parameters, dtype=torch.float64)
            if block.parameters is None
            else block.parameters
            for block in (matrices if parameters else ())
        ]
        self.Q = P
        for _ in range(REFINED if parameters else 0):
            self.X = self.X + self.factor.solve(adjoint(matrices, self.Q, self.X))
            self.Q = [p - q for p, q in zip(P, applied(matrices, self.X), strict=True)]
        self.S = products(self.Q, self.Q) if parameters else torch.zeros(0, 0, dtype=torch.float64)

    def coefficients(self, system: LinearSystem, rows: Sequence[RowBlock]) -> Tensor:
        """(C, U, n): the correction with the parameters held."""
        return system.step(self.factor, rows, self.matrices)

    def step(
        self, system: LinearSystem, rows: Sequence[RowBlock], at: Tensor, bounds: Bounds | None
    ) -> tuple[Tensor, Tensor]:
        """The corrections of coefficients (C, U, n) and of parameters (P,), which are at `at`, within the bounds."""
        delta = self.coefficients(system, rows)
        if not self.count:
            return delta, torch.zeros_like(at)
        gradient = products(self.Q, [block.r[:, :, None] for block in rows])[:, 0]
        moved = bounds.step(at, self.S, gradient)
        return delta - system.space.back((self.X @ moved).reshape(delta.shape)), moved

    def sensitivity(self, system: LinearSystem) -> Tensor:
        """(P, C, U, n): the derivatives of the solution by the parameters."""
        X = self.X.reshape(len(self.X), system.unknowns, system.space.functions, self.count).permute(3, 0, 1, 2)
        return -torch.stack([system.space.back(x) for x in X]) if len(X) else X

    def carried(self, system: LinearSystem, columns: Columns) -> Tensor:
        """(k, C, U, n): the least-squares solutions for right-hand sides (G, M, k) per block of rows."""
        x = self.factor.solve(adjoint(self.matrices, columns, self.X))
        x = x.reshape(len(x), system.unknowns, system.space.functions, -1).permute(3, 0, 1, 2)
        return torch.stack([system.space.back(one) for one in x])


def inverse(information: Tensor, size: Tensor) -> Tensor:
    """The inverse of a Schur complement (P, P), parameters scaled by their `size` (P,); what it lacks is large."""
    if not len(size):
        return information
    values, vectors = torch.linalg.eigh(size[:, None] * information * size)
    values = values.clamp_min(max(ROUNDING * float(values.max()), 1e-300))
    return size[:, None] * (vectors / values) @ vectors.T * size
