"""Where a level vanishes: its roots on a line, and the small parts of its zero set in the plane and in space.

Boxes in which bounds leave room for a zero are halved until the level grows or falls throughout in some direction, so
that its zeros are a graph there, or until they are tiny. So no zero set is missed because it lies between samples.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from pinnsolve.language.intervals import BoundsEvaluator

TINY = 1e-6  # of an interval: no box is halved below
FIRST = 8  # pieces of an interval to begin with
MOST_BOXES = 20_000  # looked at for one level
SAME = 1e-12  # of an interval: roots nearer to each other are one
BESIDE = 1e-9  # of a piece: how far from its ends, where other functions jump, it is looked at
RING = 8.0  # sizes of a box: the distance at which the zero set is looked at from far
RING_POINTS = 129
THIN = 0.12  # part of the ring: what is narrower is a small part of the zero set


class GaveUp(Exception):
    """There are too many boxes to look at."""


def roots(level: BoundsEvaluator, pieces: Sequence[tuple[float, float]]) -> list[float]:
    """Where a level of one coordinate changes its sign within the `pieces` of an interval. Raises GaveUp."""
    span = pieces[-1][1] - pieces[0][0]
    low = torch.cat([_steps(a, b)[:-1] for a, b in pieces])
    high = torch.cat([_steps(a, b)[1:] for a, b in pieces])
    done, looked = [], 0
    while len(low):
        looked += len(low)
        if looked > MOST_BOXES:
            raise GaveUp
        b = level(low[:, None], high[:, None])
        may = (b.low <= 0) & (b.high >= 0)
        ready = may & ((b.below[:, 0] > 0) | (b.above[:, 0] < 0) | (high - low <= TINY * span))
        done.append(torch.stack([low[ready], high[ready]]))
        low, high = low[may & ~ready], high[may & ~ready]
        middle = 0.5 * (low + high)
        low, high = torch.cat([low, middle]), torch.cat([middle, high])
    low, high = torch.cat(done, dim=1)
    return _distinct(_bisected(level, low, high), SAME * span)


def _steps(a: float, b: float) -> Tensor:
    beside = BESIDE * (b - a)
    return torch.linspace(a + beside, b - beside, FIRST + 1, dtype=torch.float64)


def _sign(level: BoundsEvaluator, x: Tensor) -> Tensor:
    """Whether the level is negative at points (N,)."""
    return level(x[:, None], x[:, None]).high < 0


def _bisected(level: BoundsEvaluator, low: Tensor, high: Tensor) -> list[float]:
    first = _sign(level, low)
    changes = first != _sign(level, high)
    low, high, first = low[changes], high[changes], first[changes]
    for _ in range(60 if len(low) else 0):
        middle = 0.5 * (low + high)
        same = _sign(level, middle) == first
        low, high = torch.where(same, middle, low), torch.where(same, high, middle)
    return (0.5 * (low + high)).tolist()


def _distinct(places: Sequence[float], near: float) -> list[float]:
    result: list[float] = []
    for place in sorted(places):
        if not result or place - result[-1] > near:
            result.append(place)
    return result


def small_parts(level: BoundsEvaluator, lower: Tensor, upper: Tensor, coarse: float) -> tuple[Tensor, Tensor]:
    """Boxes (S, k) that hold parts of the zero set in a box (k,) smaller than `coarse` of it. Raises GaveUp.

    They are about as large as the bends of these parts: small closed ones, and thin ones. What can be seen from far,
    because a large part of a ring round it is on either side, is left out.
    """
    low, high, looked, done = lower[None], upper[None], 0, []
    span = upper - lower
    while len(low):
        looked += len(low)
        if looked > MOST_BOXES:
            raise GaveUp
        b = level(low, high)
        may = (b.low <= 0) & (b.high >= 0)
        ready = may & (((b.below > 0) | (b.above < 0)).any(dim=1) | ((high - low) <= TINY * span).all(dim=1))
        done.append((low[ready], high[ready]))
        low, high = halved(low[may & ~ready], high[may & ~ready], ((high - low) / span)[may & ~ready])
    low, high = (torch.cat(side) for side in zip(*done, strict=True))
    small = ((high - low) <= coarse * span).any(dim=1)
    low, high = low[small], high[small]
    thin = torch.tensor([_is_thin(level, a, b, lower, upper) for a, b in zip(low, high, strict=True)], dtype=torch.bool)
    return low[thin], high[thin]


def halved(low: Tensor, high: Tensor, size: Tensor) -> tuple[Tensor, Tensor]:
    """Both halves of boxes (N, k), along the axes of the largest `size` (N, k)."""
    if not len(low):
        return low, high
    axis = size.argmax(dim=1, keepdim=True)
    middle = 0.5 * (low + high).gather(1, axis)
    return torch.cat([low, low.scatter(1, axis, middle)]), torch.cat([high.scatter(1, axis, middle), high])


def _is_thin(level: BoundsEvaluator, low: Tensor, high: Tensor, lower: Tensor, upper: Tensor) -> bool:
    """Whether on a ring round the box nearly everything is on one side of the level."""
    middle, reach = 0.5 * (low + high), RING * (high - low)
    ring = _surface(len(low))
    x = torch.minimum(torch.maximum(middle + reach * ring, lower), upper)
    share = float(_negative(level, x).to(torch.float64).mean())
    return min(share, 1.0 - share) < THIN


def _negative(level: BoundsEvaluator, x: Tensor) -> Tensor:
    return level(x, x).high < 0


def _surface(dimension: int) -> Tensor:
    """(N, k) points of the faces of the box [-1, 1]^k."""
    count = RING_POINTS if dimension == 2 else 17
    along = torch.linspace(-1, 1, count, dtype=torch.float64)
    faces = []
    for axis in range(dimension):
        for end in (-1.0, 1.0):
            end_at = torch.tensor([end], dtype=torch.float64)
            faces.append(torch.cartesian_prod(*(end_at if a == axis else along for a in range(dimension))))
    return torch.cat(faces)
