"""Pairs of steps by exponentials, polynomials in time by values and derivatives at three times; marches of them."""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from torch import Tensor

from pinnsolve.adapt.march_watch import Marched
from pinnsolve.assembly.system import units
from pinnsolve.bases.legendre import legendre
from pinnsolve.runtime import cached_by_device

FIRST_PARTS = 64  # of the time, the first pair is one
OF_STEPS = 1.0 / 7  # of the error of steps is what steps half as long leave: as of third order, which long ones fall to
MOST_RATIO = 0.9  # by which coefficients are taken to fall, at least
TIMES = (0.0, 0.5, 1.0)  # of a pair, where its values and derivatives are known


@dataclass(frozen=True)
class Pair:
    """Two steps from `time` on, `dt` both: `values` (6, U, q_1, ..., q_d) in plain functions of space, at `TIMES`, then
    `dt` times the derivatives; of the `lifted` function, too, where there is one.

    `error`, `size`: (U,) rms of the difference to the other solution, and of this one. `added`, `last`: (U,) squares of
    what the other one has in the degrees that this one lacks, and this one in as many before. `loss`: that of step.
    """

    time: float
    dt: float
    values: Tensor
    lifted: Tensor | None
    error: Tensor
    size: Tensor
    added: Tensor
    last: Tensor
    loss: float


@dataclass
class ExponentialMarch(Marched):
    """What was reached, in `steps`, and how it went: see `collocation_march.March`. `degrees` to begin with, and of how
    many `parts` of the time the first pair is one."""

    degrees: tuple[int, ...]
    parts: int = FIRST_PARTS
    steps: list[Pair] = field(default_factory=list)
    status: str = "finished"
    foreseen: Tensor | None = None

    def relative(self) -> Tensor:
        """(U,): the difference of the two solutions, and what the other one lacks itself: of steps half as long, and of
        degrees beyond its own. Coefficients of these fall on by the ratio by which they fell before."""
        error, size = self.rms_over_time()
        added, last = (torch.sqrt(self._summed(torch.stack([getattr(s, name) for s in self.steps])))
                       for name in ("added", "last"))  # fmt: skip
        ratio = (added / units(last, added)).clamp_max(MOST_RATIO)
        beyond = added * ratio / (1.0 - ratio)
        return ((1.0 + OF_STEPS) * error + beyond) / units(size, error)

    def _summed(self, values: Tensor) -> Tensor:
        dt = torch.tensor([s.dt for s in self.steps], dtype=values.dtype, device=values.device)
        return torch.tensordot(dt, values, 1)


def in_pair(*places: float) -> Tensor:
    """(N, 6): what makes the values of a pair those at places of it, from 0 to 1: of Hermite's polynomial."""
    at = torch.tensor(places, dtype=torch.float64)
    return legendre(2.0 * at - 1.0, 2 * len(TIMES) - 1, 0)[0] @ modal()


@cached_by_device(1)
def modal() -> Tensor:
    """(6, 6): the values of a pair -> Legendre coefficients in time."""
    values, slopes = legendre(2.0 * torch.tensor(TIMES, dtype=torch.float64) - 1.0, 2 * len(TIMES) - 1, 1)
    return torch.linalg.inv(torch.cat([values, 2.0 * slopes]))
