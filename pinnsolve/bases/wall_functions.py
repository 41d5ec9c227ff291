"""Functions of one coordinate that meet what holds at both ends, and are eigenfunctions of its second derivative.

Where the ends are one they are those of Fourier. Else combinations of three Legendre polynomials each meet homogeneous
conditions of values and slopes (Shen, Efficient spectral-Galerkin method I, SIAM J. Sci. Comput. 15 (1994) 1489-1505),
and of all that have a degree those are taken whose second derivative is, tested with all of them, a multiple of
themselves: in them diffusion is diagonal.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from pinnsolve.bases.legendre import gauss_rule, legendre
from pinnsolve.runtime import cached_by_device

VALUE, SLOPE, PERIODIC, FREE = "value", "slope", "periodic", "free"
SINE, COSINE = "sine", "cosine"  # where values or slopes vanish, and what lies beyond a wall mirrors what is inside
Walls = tuple[str, str]  # what vanishes at the lower and the upper end; nothing where they are free
PLAIN = (PERIODIC, SINE, COSINE)  # kinds whose functions are plain ones; those of all others are made of polynomials


@dataclass(frozen=True)
class WallFunctions:
    """`rates` (n,): minus the eigenvalues of the second derivative on [-1, 1]; `plain` (n, q): the functions in those
    by whose coefficients one sees how well a function is held: Legendre polynomials up to a degree or, where the ends
    are one or walls are mirrors, those of Fourier. All are orthonormal in the mean. `even`: how many are even, which
    come first, if all others are odd; None where the ends differ."""

    rates: Tensor
    plain: Tensor
    even: int | None


@cached_by_device(32)
def wall_functions(degree: int, walls: Walls) -> WallFunctions:
    """Those of a degree, of at least 3, or half of it the highest wave number; where the ends are free, all
    polynomials, as of what does not diffuse."""
    if walls[0] in (*PLAIN, FREE):
        waves = torch.zeros(degree + 1, dtype=torch.float64) if walls[0] == FREE else _waves(degree, walls[0])
        number = torch.arange(len(waves))
        even = (number % 2 == 1) | (number == 0) if walls[0] == PERIODIC else number % 2 == 0
        order = torch.cat([number[even], number[~even]])
        rates = (torch.pi * waves) ** 2
        return WallFunctions(rates[order], torch.eye(len(waves), dtype=torch.float64)[order], int(even.sum()))
    basis = _meeting(walls, torch.arange(degree + 1, dtype=torch.float64))
    if walls[0] != walls[1]:
        return WallFunctions(*_diagonal(basis), None)
    # to be told apart by more than rounding, however close their rates
    even, odd = (_diagonal(basis[first::2]) for first in (0, 1))
    return WallFunctions(torch.cat([even[0], odd[0]]), torch.cat([even[1], odd[1]]), len(even[0]))


def _diagonal(basis: Tensor) -> tuple[Tensor, Tensor]:
    """(n,) and (n, q): rates, ascending, and functions among those that `basis` (n, q) spans."""
    k = torch.arange(basis.shape[1]).to(basis)
    least = torch.minimum(k[:, None], k)
    same = (k[:, None] + k) % 2 == 0
    norms = torch.sqrt(2.0 * k + 1.0)
    # the mean of products of slopes; that of P_i' P_j' is m (m + 1) / 2, m the lesser of i and j, if i + j is even
    energy = torch.where(same, norms[:, None] * norms * least * (least + 1.0) / 2.0, 0.0)
    mass = basis @ basis.T
    both = basis @ energy @ basis.T + mass
    # with the sum scaled to be almost the identity, low rates are as exact as numbers are, however high the degree
    scale = torch.rsqrt(both.diagonal())
    mass, both = (scale[:, None] * one * scale for one in (mass, both))
    L = torch.linalg.cholesky(both)
    half = torch.linalg.solve_triangular(L, mass, upper=False)
    shares, y = torch.linalg.eigh(torch.linalg.solve_triangular(L, half.mT, upper=False))
    shares, y = shares.flip(0), y.flip(1)  # 1 / (1 + rate), descending
    found = (scale[:, None] * torch.linalg.solve_triangular(L.mT, y, upper=True)).mT @ basis
    q, r = torch.linalg.qr(found.mT)  # the first ones stay as they are
    return (1.0 / shares - 1.0).clamp_min(0.0), (q * torch.sign(r.diagonal())).mT.contiguous()


def _meeting(walls: Walls, k: Tensor) -> Tensor:
    """(n, degree + 1): combinations of three neighbours each that meet both conditions."""
    norms, sign = torch.sqrt(2.0 * k + 1.0), 1.0 - 2.0 * (k % 2)
    value = {-1: sign * norms, 1: norms}
    slope = {-1: -sign * norms * k * (k + 1.0) / 2.0, 1: norms * k * (k + 1.0) / 2.0}
    rows = [{VALUE: value, SLOPE: slope}[wall][side] for wall, side in zip(walls, (-1, 1), strict=True)]
    first, second = (torch.stack([row[:-2], row[1:-1], row[2:]], dim=1) for row in rows)
    across = torch.linalg.cross(first, second)
    across = across / torch.linalg.vector_norm(across, dim=1, keepdim=True)
    basis = k.new_zeros(len(across), len(k))
    at = torch.arange(len(across))
    for i in range(3):
        basis[at, at + i] = across[:, i]
    return basis


# -- plain functions --------------------------------------------------------------------------------------------------


def plain_values(degree: int, kind: str, s: Tensor) -> tuple[Tensor, Tensor]:
    """(m, q) each: the plain functions of a kind at places s (m,) in [-1, 1], and their derivatives."""
    if kind not in PLAIN:
        return tuple(legendre(s, degree, 1))
    waves = _waves(degree, kind)
    sine = (torch.arange(len(waves)) % 2 == 0) if kind == PERIODIC else torch.full_like(waves > 0, kind == SINE)
    height = torch.where(waves > 0, math.sqrt(2.0), torch.ones_like(waves))
    from_here = s if kind == PERIODIC else s + 1.0
    angle = torch.pi * waves * from_here[:, None] - 0.5 * torch.pi * (sine & (waves > 0)).to(waves)
    return height * torch.cos(angle), -torch.pi * waves * height * torch.sin(angle)


def plain_rule(degree: int, kind: str, oversampling: float) -> tuple[Tensor, Tensor]:
    """Points (m,) in [-1, 1], at least so many per function, and weights of a mean: of Gauss, those above zero before
    those that mirror them, in the same order; or equal ones in a period, as many as transforms are fast for."""
    half = math.ceil(0.5 * (oversampling * (degree + 1) + 1.0))
    if kind == PERIODIC:
        count = 2 * _next_fast(half)
        points = (2.0 * torch.arange(count, dtype=torch.float64) + 1.0) / count - 1.0
        return points, torch.full_like(points, 1.0 / count)
    if kind in PLAIN:
        above = (torch.arange(half, dtype=torch.float64) + 0.5) / half
        weights = torch.full_like(above, 0.5 / half)
    else:
        points, weights = gauss_rule(2 * half)
        above, weights = 2.0 * points[half:] - 1.0, weights[half:]
    return torch.cat([above, -above]), torch.cat([weights, weights])


def _next_fast(count: int) -> int:
    """The next number without prime factors above 7."""
    while True:
        left = count
        for prime in (2, 3, 5, 7):
            while left % prime == 0:
                left //= prime
        if left == 1:
            return count
        count += 1


def _waves(degree: int, kind: str) -> Tensor:
    """(q,) the wave numbers 0, 1, 1, 2, 2, ..., of a cosine, then a sine; of sines or cosines alone, all halves."""
    if kind != PERIODIC:
        return 0.5 * torch.arange(kind == SINE, degree + 1, dtype=torch.float64)
    return torch.div(torch.arange(2 * (degree // 2) + 1) + 1, 2, rounding_mode="floor").to(torch.float64)
