"""Systems of several stages that differ by shifts, solved together with the factorization of one real shift.

With M_0, M_1 from W^T A = M_0 + z M_1 and P = M_0 + M_1 = W^T W, which is symmetric and positive, stages X (N, s) whose
derivatives in time are X T solve M_0 X + M_1 X T = g, or X + B X (T - 1) = P^-1 g with B = P^-1 M_1. Where eigenvalues
of B lie between 0 and 1, those of the whole lie on the lines from 1 to those of T, so that a small Krylov space does.

It is one of all stages: to read a factorization takes as long as to apply it to a few columns, and what one stage finds
serves the others (block Krylov spaces: O'Leary, Linear Algebra Appl. 29 (1980) 293-322). Its least squares are those of
the stages themselves, since modes would enlarge what is left of them by the condition of their eigenvectors. The
factorization is a tenth of the complex ones of all modes.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from pinnsolve.least_squares.products import times
from pinnsolve.least_squares.separate_modes import Factor

REDUCED, MOST_STEPS = 2e-3, 15  # what is left of a residual, if nothing else is said; steps of the space
DEPENDENT = 1e-12  # relative squares: of columns that say nothing that others do not


class SparseBlocks:
    """A matrix of blocks (C, n, n) on the diagonal and, for pairs (i, j), upper ones in row i, lower ones in row j."""

    def __init__(
        self, diagonal: Tensor, upper: Tensor | None = None, lower: Tensor | None = None,
        pairs: Sequence[tuple[int, int]] = (),
    ):  # fmt: skip
        self.diagonal, self.upper, self.lower = diagonal, upper, lower
        self.first, self.second = torch.tensor(pairs, dtype=torch.long).reshape(-1, 2).unbind(1)

    def times(self, x: Tensor) -> Tensor:
        """(C, n, k)"""
        y = times(self.diagonal, x)
        if len(self.first):
            y.index_add_(0, self.first, times(self.upper, x[self.second]))
            y.index_add_(0, self.second, times(self.lower, x[self.first]))
        return y


class StagesTogether:
    """The systems of stages with `rates` T^T (s, s) in units of the shift of `factor`, that of P; `moved`: M_1."""

    def __init__(self, rates: Tensor, factor: Factor, moved: SparseBlocks, unknowns: int, check: Callable[[], None]):
        self.factor, self.moved, self.unknowns, self.check = factor, moved, unknowns, check
        self._excess = rates.T - torch.eye(len(rates), dtype=rates.dtype)

    def solve(self, g: Tensor, left: float = REDUCED) -> Tensor:
        """X (C, n, R, s) for as many right-hand sides, each up to a residual of which so much is `left`, relative."""
        Y = self.factor.solve(g.flatten(2))
        if not bool(torch.isfinite(Y).all()):  # for whoever corrects to see
            return Y.reshape(g.shape)
        # residuals count beside the size of their unknown: else those of velocities are lost beside pressures
        unit = Y.unflatten(1, (self.unknowns, -1)).square().sum(dim=(0, 2, 3)).sqrt().clamp_min(1e-300)
        unit = unit.repeat_interleave(Y.shape[1] // self.unknowns)[:, None]
        Y = (Y / unit).flatten(0, 1)  # (N, R s)
        sizes = Y.norm(dim=0).clamp_min(1e-300)
        new, known = _orthonormal(Y / sizes)
        if not len(known):
            return torch.zeros_like(g)
        known = (known * sizes).unflatten(1, g.shape[2:])  # (q, R, s): Y in the first columns
        V, H = [new], new.new_zeros(len(known), 0)  # B V = [V, what comes next] H
        for _ in range(MOST_STEPS):
            self.check()
            moved = self.moved.times(new.reshape(*g.shape[:2], -1) * unit)
            rest, parts = (self.factor.solve(moved) / unit).flatten(0, 1), []
            for one in V:
                parts.append(one.mT @ rest)
                rest = rest - one @ parts[-1]
            new, last = _orthonormal(rest)
            H = torch.cat([torch.cat([H, torch.cat(parts)], dim=1), _padded(last, H.shape[1])])
            c, remains = self._least(H, known)
            if remains < left or not len(last):
                break
            V.append(new)
        return (torch.cat(V, dim=1)[:, : len(c)] @ c.flatten(1)).reshape(g.shape) * unit[..., None]

    def _least(self, H: Tensor, known: Tensor) -> tuple[Tensor, float]:
        """c (k, R, s) for which c + H c (T - 1) is nearest to what is `known` in the first columns, and the largest of
        what is left of a right-hand side, relative."""
        E, k, (q, _, s) = self._excess, H.shape[1], known.shape
        mixed = torch.einsum("jl,cb->jblc", H[:k], E)
        matrix = torch.einsum("jl,bc->jblc", torch.eye(k, dtype=H.dtype), torch.eye(s, dtype=H.dtype))
        matrix = matrix + mixed + mixed.permute(2, 3, 0, 1) + torch.einsum("jl,bc->jblc", H.mT @ H, E @ E.mT)
        side = torch.einsum("ij,irb->jbr", H[:q], known @ E.mT)
        side[:q] += known.mT
        side = side.flatten(0, 1)  # (k s, R)
        c, _ = torch.linalg.solve_ex(matrix.reshape(k * s, k * s), side)
        size = known.square().sum(dim=(0, 2)).clamp_min(1e-300)
        left = (1.0 - (side * c).sum(dim=0) / size).clamp_min(0.0).sqrt()
        return c.reshape(k, s, -1).mT, float(torch.where(size > 1e-300, left, 0.0).max())


def _orthonormal(X: Tensor) -> tuple[Tensor, Tensor]:
    """Orthonormal columns Q (N, q) that span those of X (N, k), but for what others nearly hold, and Q^T X."""
    values, vectors = torch.linalg.eigh(X.mT @ X)
    kept = values > (DEPENDENT * values[-1:]).clamp_min(1e-300)
    root, vectors = values[kept].sqrt(), vectors[:, kept]
    return X @ (vectors / root), root[:, None] * vectors.mT


def _padded(last: Tensor, columns: int) -> Tensor:
    """With so many columns of zeros before."""
    return torch.cat([last.new_zeros(len(last), columns), last], dim=1)
