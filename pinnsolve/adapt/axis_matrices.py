"""What is applied to coefficients along one axis after another: matrices, by products or, as they are, faster.

All have `times(c, axis)`, which a plain tensor stands for as well (`applied`).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor


class AxisMatrix(Protocol):
    """A matrix (m, n) that is not held as such."""

    def times(self, c: Tensor, axis: int) -> Tensor:
        """(..., m, ...) of (..., n, ...), along an axis."""
        ...


Matrix = Tensor | AxisMatrix


def applied(matrices: Sequence[Matrix], c: Tensor) -> Tensor:
    """(..., m_1, ..., m_d): coefficients (..., n_1, ..., n_d) times a matrix (m_a, n_a) of every axis."""
    for axis, matrix in enumerate(matrices, start=c.dim() - len(matrices)):
        c = product(matrix, c, axis) if isinstance(matrix, Tensor) else matrix.times(c, axis)
    return c


def product(matrix: Tensor, c: Tensor, axis: int) -> Tensor:
    """(..., m, ...): a matrix (m, n) times coefficients (..., n, ...), along an axis."""
    before, after = c.shape[:axis], c.shape[axis + 1 :]
    if not after:
        return c @ matrix.mT
    return (matrix @ c.reshape(math.prod(before), c.shape[axis], -1)).reshape(*before, len(matrix), *after)


@dataclass(frozen=True)
class AtMirrored:
    """The matrix that makes values at points and at those that mirror them of `even` functions and `odd` ones, (m / 2,
    n_e) and (m / 2, n_o) at the first: with half the work. `sign`: 1.0; of slopes, which are odd and even, -1.0."""

    even: Tensor
    odd: Tensor
    sign: float

    def times(self, c: Tensor, axis: int) -> Tensor:
        """Along an axis of n_e + n_o."""
        n = self.even.shape[1]
        one = product(self.even, c.narrow(axis, 0, n), axis)
        other = product(self.odd, c.narrow(axis, n, c.shape[axis] - n), axis)
        return torch.cat([one + other, self.sign * (one - other)], dim=axis)


@dataclass(frozen=True)
class TestMirrored:
    """The matrix that tests with such functions what has values at such points: (n_e, m / 2) and (n_o, m / 2)."""

    even: Tensor
    odd: Tensor

    def times(self, values: Tensor, axis: int) -> Tensor:
        """Along an axis of m."""
        half = values.shape[axis] // 2
        first, mirrored = values.narrow(axis, 0, half), values.narrow(axis, half, half)
        sums = product(self.even, first + mirrored, axis), product(self.odd, first - mirrored, axis)
        return torch.cat(sums, dim=axis)


@dataclass(frozen=True)
class AtWaves:
    """The matrix that makes values at `count` equal places of a period, half a distance from its end on, of a constant
    and of cosines and sines, K each, as of `wall_functions`: by a fast transform. `factors` (K + 1,): of each, see
    `wave_matrices`."""

    factors: Tensor
    count: int

    def times(self, c: Tensor, axis: int) -> Tensor:
        """Along an axis of 2 K + 1."""
        waves = len(self.factors)
        z = torch.empty([waves if a == axis else n for a, n in enumerate(c.shape)], dtype=self.factors.dtype)
        z.real.copy_(c.narrow(axis, 0, waves))
        z.imag.narrow(axis, 0, 1).zero_()
        torch.neg(c.narrow(axis, waves, waves - 1), out=z.imag.narrow(axis, 1, waves - 1))
        z.mul_(along(self.factors, axis, c.dim()))
        return torch.fft.irfft(z, n=self.count, dim=axis, norm="forward")


@dataclass(frozen=True)
class TestWaves:
    """The matrix that tests with such functions what has values at such places."""

    factors: Tensor

    def times(self, values: Tensor, axis: int) -> Tensor:
        """Along an axis of places."""
        waves = len(self.factors)
        z = torch.fft.rfft(values, dim=axis, norm="forward").narrow(axis, 0, waves)
        z = z * along(self.factors, axis, values.dim())
        return torch.cat([z.real, z.imag.narrow(axis, 1, waves - 1).neg()], dim=axis)


@dataclass(frozen=True)
class Reordered:
    """The matrix that puts coefficients in another order."""

    order: Tensor

    def times(self, c: Tensor, axis: int) -> Tensor:
        return c.index_select(axis, self.order)


def wave_matrices(waves: int, count: int, scale: float) -> tuple[AtWaves, AtWaves, TestWaves]:
    """Of wave numbers 0, ..., `waves` at `count` places of [-1, 1]: what makes values and slopes, which are `scale`
    times those in this interval, and what tests.

    A wave a cos(pi k s) + b sin(pi k s) is the real part of (a - i b) exp(i pi k s), its height sqrt(2).
    """
    k = torch.arange(waves + 1, dtype=torch.float64)
    shift = torch.polar(torch.ones_like(k), -torch.pi * k * (1.0 - 1.0 / count))  # exp(i pi k s) at the first place
    height = torch.sqrt(k.clamp_max(1.0) + 1.0)
    values = shift * torch.where(k > 0, 0.5 * height, 1.0)  # the transform takes each wave twice
    return (
        AtWaves(values, count),
        AtWaves(values * (torch.pi * scale * k) * 1j, count),
        TestWaves((shift * height).conj().resolve_conj()),
    )


def along(values: Tensor, axis: int, dimension: int) -> Tensor:
    """Those of an axis (n,), which broadcast over all."""
    return values.reshape([-1 if a == axis else 1 for a in range(dimension)])
