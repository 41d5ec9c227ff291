"""How smooth unknown functions of the state are: rows for their constants, with weights that the data choose.

A weight is that under which the data are most likely, functions being normally distributed with that seminorm, and what
it does not penalize equally likely everywhere (Wahba, Annals of Statistics 13 (1985) 1378-1402); all of it in the
parameters alone, where the least squares is linearized.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from pinnsolve.inverse.function_bases import SplineBasis
from pinnsolve.inverse.held_out import Linearized

SEMINORM = 3  # of functions of which the file says nothing
FIRST_WEIGHT = 1e-6
WEIGHTS = tuple(10.0**k for k in range(-12, 5))  # that are tried, and factors of those near the best
FINER = (0.1, 1 / 3, 3.0)
SWEEPS = 6
STRICTEST = 0.03  # weight in deviations: it lets third derivatives be six times the size of the function
UNLIKELY, LOOSEST = 2.0, 1e-6  # rise of the deviance of weights that are about as likely, and how much less they may be
LOOSE = 1e-3  # a constant is held to a thousand times the size of its function, which is next to nothing
POSITIVE = 1e-10  # eigenvalues beside the largest that count


@dataclass(frozen=True)
class FunctionSmoothness:
    """The seminorm of derivatives of `order` of one function, whose constants are those from `first` on.

    `size`: about that of the function; `weight`: relative to it, chosen by the data unless it is `given`.
    """

    basis: SplineBasis
    first: int
    order: int
    weight: float
    size: float
    given: bool = False

    def rows(self, count: int) -> Tensor:
        """(R, P) of all P = `count` parameters: what is of size one, as far as is known before the data."""
        K, size = self.basis.size, self.size
        loose = LOOSE * torch.eye(K, dtype=torch.float64)
        mine = torch.cat([math.sqrt(self.weight) * self.basis.seminorm(self.order), loose]) / size
        rows = torch.zeros(len(mine), count, dtype=torch.float64)
        rows[:, self.first : self.first + K] = mine
        return rows


def prior_of(smoothness: Mapping[str, FunctionSmoothness], count: int) -> Tensor | None:
    """(R, P) the rows of all functions; None where there are none."""
    return torch.cat([one.rows(count) for one in smoothness.values()]) if smoothness else None


def likeliest(smoothness: Mapping[str, FunctionSmoothness], around: Linearized) -> dict[str, FunctionSmoothness]:
    """With the weights under which the data are most likely: one function after another, along powers of ten, and of
    three about the best.

    `around` knows nothing of any smoothness.
    """
    best, value = dict(smoothness), deviance(smoothness, around)
    for _ in range(SWEEPS):
        before = value
        for name, one in best.items():
            weights = () if one.given else (*WEIGHTS, *(one.weight * f for f in FINER))
            for weight in weights:
                trial = {**best, name: replace(one, weight=weight)}
                now = deviance(trial, around)
                if now < value:
                    best, value = trial, now
        if value == before:
            break
    return best


def loosened(smoothness: Mapping[str, FunctionSmoothness], around: Linearized) -> dict[str, FunctionSmoothness]:
    """With the least weights, all by one factor, that are about as likely as those at hand.

    What data leave open is as large as such weights let it be; with those that are likeliest, deviations would hold no
    doubt about the smoothness itself. None is so strict that it allows no more than a parabola: that data do not speak
    against one is no reason to be sure of it.
    """
    best, factor = deviance(smoothness, around), 1.0
    free = {name: replace(one, weight=min(one.weight, STRICTEST)) for name, one in smoothness.items() if not one.given}
    loose = {**smoothness, **free}
    while free and factor > LOOSEST:
        factor /= FINER[-1]
        trial = {**smoothness, **{name: replace(one, weight=factor * one.weight) for name, one in free.items()}}
        if deviance(trial, around) > best + UNLIKELY:
            break
        loose = trial
    return loose


def deviance(smoothness: Mapping[str, FunctionSmoothness], around: Linearized) -> float:
    """Minus twice the logarithm of the likelihood, up to a constant, where the noise is whatever fits best."""
    rows = prior_of(smoothness, len(around.parameters))
    K = rows.T @ rows
    whole = around.S + K
    scale = 1.0 / torch.diagonal(whole).clamp_min(1e-300).sqrt()
    values, vectors = torch.linalg.eigh(scale[:, None] * whole * scale)
    values = values.clamp_min(1e-14 * float(values.max()))
    theta = scale * (vectors @ ((vectors.T @ (scale * around.b)) / values))
    left = around.r + around.Q @ (theta - around.parameters)
    loss = float((left**2).sum() + (rows @ theta).square().sum())
    determinant = float(values.log().sum() - 2.0 * scale.log().sum())
    count, known = around.count - around.freedom - len(around.parameters), 0.0
    for one in smoothness.values():
        mine = one.rows(len(around.parameters))[:, one.first : one.first + one.basis.size]
        spectrum = torch.linalg.eigvalsh(mine.T @ mine)
        count += len(spectrum)
        known += float(spectrum.clamp_min(1e-300).log().sum())
    return count * math.log(max(loss, 1e-300)) + determinant - known
