"""Systems that differ by a shift, real or complex, solved with the factorization of one real shift.

With M_0, M_1 from W^T A = M_0 + z M_1 and P = M_0 + M_1 = W^T W, which is symmetric and positive, the system of the
shift z is P (1 + (z - 1) P^-1 M_1). What stands in brackets has its eigenvalues between 1 and z where those of
P^-1 M_1 lie between 0 and 1, so that a few steps of GMRES do (Saad & Schultz, SIAM J. Sci. Stat. Comput. 7 (1986)
856-869). The factorization is a tenth of the complex ones of all modes.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

import torch
from torch import Tensor

REDUCED, MOST_STEPS = 3e-3, 15  # what is left of a residual: whoever solves takes it into account; steps of GMRES


class Factor(Protocol):
    """A factorization."""

    def solve(self, b: Tensor) -> Tensor:
        """x: (C, n, k) with (matrix) x = b."""


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
        y = self.diagonal @ x
        if len(self.first):
            y.index_add_(0, self.first, self.upper @ x[self.second])
            y.index_add_(0, self.second, self.lower @ x[self.first])
        return y


class ShiftedModes:
    """The systems P + (z - 1) M_1 for shifts z in units of that of `P`; `moved`: M_1.

    All are solved at the same time, since reading a factorization takes as long as applying it to a few columns.
    """

    def __init__(self, shifts: Sequence[complex], factor: Factor, moved: SparseBlocks, check: Callable[[], None]):
        self.shifts, self.factor, self.moved, self.check = shifts, factor, moved, check

    def solve(self, sides: Sequence[Tensor]) -> list[Tensor]:
        """Per mode x (C, n, k) with (matrix) x = b, complex, up to a residual of the size `REDUCED`, relative."""
        b = torch.cat([one.to(torch.complex128) for one in sides], dim=2)
        z = torch.cat([torch.full((one.shape[2],), complex(z)) for z, one in zip(self.shifts, sides, strict=True)])
        x = self._solved(b, z.to(torch.complex128))
        return list(x.split([one.shape[2] for one in sides], dim=2))

    def _solved(self, b: Tensor, z: Tensor) -> Tensor:
        """GMRES for all columns (C, n, k), each with a shift of its own, (k,)."""
        start = self._real(self.factor.solve, b)
        size = _norms(start).clamp_min(1e-300)
        basis = [start / size]
        k = b.shape[2]
        H = torch.zeros(k, MOST_STEPS + 1, MOST_STEPS, dtype=b.dtype)
        first = torch.zeros(k, MOST_STEPS + 1, 1, dtype=b.dtype)
        first[:, 0, 0] = 1.0
        y = None
        for j in range(MOST_STEPS):
            self.check()
            w = basis[j] + (z - 1.0) * self._real(self._moved, basis[j])
            for i, v in enumerate(basis):
                H[:, i, j] = (v.conj() * w).sum(dim=(0, 1))
                w = w - H[:, i, j] * v
            length = _norms(w)
            H[:, j + 1, j] = length.to(b.dtype)
            basis.append(w / length.clamp_min(1e-300))
            here = H[:, : j + 2, : j + 1]
            y = torch.linalg.pinv(here) @ first[:, : j + 2]
            left = (first[:, : j + 2] - here @ y).abs().square().sum(dim=(1, 2)).sqrt()
            if float(left.max()) < REDUCED:
                break
        return sum(v * (y[:, i, 0] * size) for i, v in enumerate(basis[:-1]))

    def _moved(self, x: Tensor) -> Tensor:
        return self.factor.solve(self.moved.times(x))

    @staticmethod
    def _real(operator: Callable[[Tensor], Tensor], x: Tensor) -> Tensor:
        """A real operator on complex vectors."""
        real, imaginary = operator(torch.cat([x.real, x.imag], dim=2)).chunk(2, dim=2)
        return torch.complex(real, imaginary)


class SeparateModes:
    """The systems of the modes, each with a factorization of its own."""

    def __init__(self, factors: Sequence[Factor]):
        self.factors = factors

    def solve(self, sides: Sequence[Tensor]) -> list[Tensor]:
        """Per mode x (C, n, k) with (matrix) x = b."""
        return [factor.solve(b) for factor, b in zip(self.factors, sides, strict=True)]


def _norms(x: Tensor) -> Tensor:
    """(k,) of vectors (C, n, k), real."""
    return x.abs().square().sum(dim=(0, 1)).sqrt()
