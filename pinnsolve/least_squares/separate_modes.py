"""Stages of a step in time apart from each other: a system per mode of the method, with a factorization of its own."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Protocol

import torch
from torch import Tensor

from pinnsolve.threads import all_at_each


class Factor(Protocol):
    """A factorization."""

    def solve(self, b: Tensor) -> Tensor:
        """x: (C, n, k) with (matrix) x = b."""


class SeparateModes:
    """The systems of the modes: per mode its factor, whether it is one of a pair of conjugates, (s,) `into` it and
    (s,) `out_of` it, as of `Radau`."""

    def __init__(self, factors: Sequence[Factor], paired: Sequence[bool], into: Sequence[Tensor], out_of):
        modes = zip(factors, paired, into, out_of, strict=True)
        self.modes = sorted(modes, key=lambda mode: not mode[1])  # those that take longest first

    def solve(self, g: Tensor, left: float = 0.0) -> Tensor:
        """Stages X (C, n, R, s) from the right-hand sides of all, up to rounding, whatever may be `left` of these."""

        def of_mode(factor: Factor, paired: bool, into: Tensor, out_of: Tensor) -> Tensor:
            if not paired:
                return factor.solve(g @ into.real)[..., None] * out_of.real
            y = factor.solve(torch.complex(g @ into.real, g @ into.imag))[..., None]
            return y.real * out_of.real - y.imag * out_of.imag

        total, *others = all_at_each([partial(of_mode, *mode) for mode in self.modes])
        for one in others:
            total += one
        return total
