"""Gegenbauer polynomials on [-1, 1], orthonormal in the mean of their weight, with two derivatives.

The weight (1 - z^2)^(lambda - 1/2) is that of a coordinate in a ball of d dimensions for lambda = d/2, and constant, as
in a box, for lambda = 1/2 (Legendre).
"""

from __future__ import annotations

import torch
from torch import Tensor


def orthonormal(z: Tensor, parameters: Tensor, degree: int, orders: int = 2) -> Tensor:
    """(orders + 1, m, degree + 1, N): values and derivatives, two at most, at z (m, N), by row of its own lambda (m,).

    From z p_n = b_{n+1} p_{n+1} + b_n p_{n-1} and its derivatives, with b_n^2 = n (n + 2 lambda - 1) / (4 (n + lambda)
    (n + lambda - 1)) (Abramowitz & Stegun 22.7.3, normalized).
    """
    n = torch.arange(1, degree + 2).to(z)[:, None]
    b = (n * (n + 2 * parameters - 1) / (4 * (n + parameters) * (n + parameters - 1))).sqrt()[..., None]
    zero = torch.zeros_like(z)  # b: (degree + 1, m, 1)
    before, here = [zero] * 3, [torch.ones_like(z), zero, zero]
    columns = [here]
    for k in range(degree):
        below = b[k - 1] if k else torch.zeros_like(b[0])
        after = []
        for order in range(orders + 1):
            lower = order * here[order - 1] if order else zero
            after.append((lower + z * here[order] - below * before[order]) / b[k])
        before, here = here, after
        columns.append(here)
    return torch.stack([torch.stack([column[order] for column in columns], dim=1) for order in range(orders + 1)])
