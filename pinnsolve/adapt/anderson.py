"""Corrections x -> x + f(x) that are repeated, sped up by what the ones before did: Anderson acceleration.

The next iterate is the one that the last corrections, taken to be linear in x, would leave least of. For linear f that
is GMRES (Walker & Ni, SIAM J. Numer. Anal. 49 (2011) 1715-1735, algorithm AA).
"""

from __future__ import annotations

import torch
from torch import Tensor

DEPTH = 5  # corrections that are remembered
DEPENDENT = 1e-10  # relative: changes of corrections that say nothing that others do not


class Anderson:
    """For tensors (R, ...), each of the R on its own."""

    def __init__(self) -> None:
        self._last: tuple[Tensor, Tensor] | None = None
        self._moves: list[Tensor] = []  # of x and f together
        self._changes: list[Tensor] = []  # of f

    def next(self, x: Tensor, f: Tensor) -> Tensor:
        """The iterate after x, whose correction is f."""
        if self._last is not None:
            change = f - self._last[1]
            self._changes = [*self._changes, change][-DEPTH:]
            self._moves = [*self._moves, x - self._last[0] + change][-DEPTH:]
        self._last = (x, f)
        result = x + f
        if not self._changes:
            return result
        F = torch.stack([change.flatten(1) for change in self._changes], dim=2)  # (R, N, m)
        gram, side = F.mT @ F, F.mT @ f.flatten(1)[..., None]
        share = torch.linalg.pinv(gram, rtol=DEPENDENT, hermitian=True) @ side  # (R, m, 1)
        for k, move in enumerate(self._moves):
            result = result - share[:, k].reshape(-1, *[1] * (x.ndim - 1)) * move
        return result
