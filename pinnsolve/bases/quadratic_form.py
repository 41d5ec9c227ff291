"""Differential operators of order two at points, as the coefficients of what they differentiate.

Input: a coefficient per multi-index. Output: the operator sorted by axes, and what it is on a product with a known
factor.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from pinnsolve.language.symbols import MultiIndex


@dataclass(frozen=True)
class SecondOrder:
    """L v = c v + sum_i b_i v_i + sum_i a_ii v_ii + sum_{i<j} a_ij v_ij.

    `zeroth`: c (N,); `first`, `second`: b and a_ii (N, d); `mixed`: a_ij (N,) by the axes (i, j).
    """

    zeroth: Tensor
    first: Tensor
    second: Tensor
    mixed: Mapping[tuple[int, int], Tensor]

    def of_product(self, g: Tensor, slope: Tensor, bend: Tensor) -> SecondOrder:
        """The operator v -> L(g v), for a factor g (N,) with gradient and unmixed second derivatives (N, d) alone."""
        zeroth = self.zeroth * g + (self.first * slope + self.second * bend).sum(dim=1)
        first = self.first * g[:, None] + 2 * self.second * slope
        mixed = {}
        for (i, j), a in self.mixed.items():
            first[:, i] += a * slope[:, j]
            first[:, j] += a * slope[:, i]
            mixed[(i, j)] = a * g
        return SecondOrder(zeroth, first, self.second * g[:, None], mixed)


def operator_of(coefficients: Mapping[MultiIndex, Tensor | float], points: Tensor) -> SecondOrder:
    """The operator sum c_alpha D^alpha at points (N, d), of multi-indices of order two at most."""
    zeroth = points.new_zeros(len(points))
    first, second = torch.zeros_like(points), torch.zeros_like(points)
    mixed: dict[tuple[int, int], Tensor] = {}
    for alpha, c in coefficients.items():
        axes = [axis for axis, order in enumerate(alpha) for _ in range(order)]
        if not axes:
            zeroth = zeroth + c
        elif len(axes) == 1:
            first[:, axes[0]] += c
        elif axes[0] == axes[1]:
            second[:, axes[0]] += c
        else:
            mixed[(axes[0], axes[1])] = torch.zeros_like(zeroth) + c
    return SecondOrder(zeroth, first, second, mixed)
