"""The functions of exponentials that exponential integrators are made of, of numbers and of small matrices.

phi_0(z) = exp(z), phi_k(z) = int_0^1 exp((1 - s) z) s^(k - 1) / (k - 1)! ds (Hochbruck & Ostermann, Exponential
integrators, Acta Numerica 19 (2010) 209-286).
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

TERMS = 18  # of series near zero
Phi = tuple[Tensor, Tensor, Tensor, Tensor]


def phi(z: Tensor) -> Phi:
    """phi_k of numbers (...) for k = 0, 1, 2, 3.

    By series near zero, else by phi_(k + 1) = (phi_k - 1 / k!) / z.
    """
    near = z.abs() < 1.0
    small, large = torch.where(near, z, 0.0), torch.where(near, 1.0, z)
    one = torch.expm1(large) / large
    two = (one - 1.0) / large
    three = (two - 0.5) / large
    series = []
    for k in (1, 2, 3):
        total = torch.zeros_like(z)
        for j in reversed(range(TERMS)):
            total = total * small + 1.0 / math.factorial(j + k)
        series.append(total)
    rest = (torch.where(near, s, direct) for s, direct in zip(series, (one, two, three), strict=True))
    return (torch.exp(z), *rest)


def phi_of_matrices(z: Tensor) -> Phi:
    """The same of matrices (b, b, ...), one for each of many.

    By series of z / 2^s, then by doubling: phi_1(2 z) = phi_1 + z phi_1^2 / 2, phi_2(2 z) = (phi_1^2 + 2 phi_2) / 4,
    phi_3(2 z) = (phi_1 phi_2 + phi_2 + 2 phi_3) / 8. Other than exp(z), phi_1 loses nothing where z is small.
    """
    largest = float(z.abs().sum(dim=1).max())
    doublings = max(0, math.ceil(math.log2(largest))) if largest > 0 else 0
    z = z / 2.0**doublings
    unit = torch.eye(len(z), dtype=z.dtype).reshape(*z.shape[:2], *[1] * (z.dim() - 2))
    found = []
    for k in (1, 2, 3):
        total = torch.zeros_like(z)
        for j in reversed(range(TERMS)):
            total = product(z, total) + unit / math.factorial(j + k)
        found.append(total)
    one, two, three = found
    for _ in range(doublings):
        square = product(one, one)
        three = (product(one, two) + two + 2.0 * three) / 8.0
        two = (square + 2.0 * two) / 4.0
        one = one + product(z, square) / 2.0
        z = 2.0 * z
    return unit + product(z, one), one, two, three


def product(a: Tensor, b: Tensor) -> Tensor:
    """(b, b, ...): of two matrices each."""
    return torch.stack([sum(a[i, j] * b[j] for j in range(len(b))) for i in range(len(a))])


def acting(factor: Tensor, c: Tensor) -> Tensor:
    """Numbers (...) times as many, or matrices (b, b, ...) times vectors (b, ...)."""
    return (factor * c).sum(dim=1) if factor.dim() > c.dim() else factor * c
