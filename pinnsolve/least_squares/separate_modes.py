"""Stages of a step in time apart from each other: a system per mode of the method, with a factorization of its own."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import torch
from torch import Tensor


class Factor(Protocol):
    """A factorization."""

    def solve(self, b: Tensor) -> Tensor:
        """x: (C, n, k) with (matrix) x = b."""


class SeparateModes:
    """The systems of the modes: per mode its factor, whether it is one of a pair of conjugates, (s,) `into` it and
    (s,) `out_of` it, as of `Radau`."""

    def __init__(self, factors: Sequence[Factor], paired: Sequence[bool], into: Sequence[Tensor], out_of):
        self.modes = list(zip(factors, paired, into, out_of, strict=True))

    def solve(self, g: Tensor, left: float = 0.0) -> Tensor:
        """Stages X (C, n, R, s) from the right-hand sides of all, up to rounding, whatever may be `left` of these."""
        total = torch.zeros_like(g)
        for factor, paired, into, out_of in self.modes:
            if paired:
                y = factor.solve(torch.complex(g @ into.real, g @ into.imag))[..., None]
                total += y.real * out_of.real - y.imag * out_of.imag
            else:
                total += factor.solve(g @ into.real)[..., None] * out_of.real
        return total
