"""What the error of a slab does to all that follow: they start from its end.

Where the operator does not change in time, the slab's own factorization carries the error through slabs of its length,
which tells how fast it fades; elsewhere it is taken to stay.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import Tensor

from pinnsolve.assembly.row_source import RowSource
from pinnsolve.assembly.schur_complement import BlockFactorization
from pinnsolve.bases.legendre import chebyshev_points, chebyshev_weights, legendre
from pinnsolve.bases.piecewise.space import Space

CARRIED = 2  # slabs through which an error is carried


def handed_on(delta: Tensor, space: Space, axis: int, evolving: Sequence[int]) -> Tensor:
    """(C, U, n): functions that start where `delta` ends: their Taylor polynomials there, in time.

    `evolving`: the orders in time of the unknowns; derivatives below them are handed on.
    """
    spread = space.spread(delta).movedim(axis + 2, -1)  # (C, U, ..., p + 1)
    result = torch.zeros_like(spread)
    for k in range(min(max(evolving), spread.shape[-1])):
        held = torch.tensor([float(k < order) for order in evolving], dtype=delta.dtype)
        derivative = _at_end(spread, k)
        derivative = derivative * held.reshape(1, -1, *[1] * (derivative.dim() - 2))
        result[..., : k + 1] += derivative[..., None] * _power(k)
    return space.gather(result.movedim(-1, axis + 2))


def _at_end(spread: Tensor, order: int) -> Tensor:
    """(C, U, ...): a derivative at the end of functions (C, U, ..., p + 1), by the reference coordinate of the last."""
    one = torch.ones(1, dtype=spread.dtype)
    return torch.tensordot(spread, legendre(one, spread.shape[-1] - 1, order)[order, 0], dims=1)


def _power(k: int) -> Tensor:
    """(k + 1,): (1 + s)^k / k! in orthonormal Legendre polynomials."""
    points, weights = chebyshev_points(2 * k + 1), chebyshev_weights(2 * k + 1)
    values = legendre(points, max(k, 1), 0)[0][:, : k + 1]
    return (weights * (1 + points) ** k / math.factorial(k)) @ values


def size_at_end(delta: Tensor, space: Space, axis: int, evolving: Sequence[int]) -> Tensor:
    """(U,) rms of what is handed on, with derivatives per half a slab, as the rows have them."""
    spread = space.spread(delta).movedim(axis + 2, -1)
    total = torch.zeros(delta.shape[1], dtype=delta.dtype)
    for k in range(max(evolving)):
        constant = torch.zeros_like(spread)
        constant[..., 0] = _at_end(spread, k)
        rms = space.rms(space.gather(constant.movedim(-1, axis + 2)))
        held = torch.tensor([k < order for order in evolving])
        total = torch.hypot(total, torch.where(held, rms, 0.0))
    return total


def fading(
    sources: Sequence[RowSource],
    reduced: BlockFactorization,
    delta: Tensor,
    unit: Tensor,
    axis: int,
    evolving: Sequence[int],
) -> list[float]:
    """How large an error (C, U, n) at the end of a slab is in the slabs that follow, relative to itself at the end.

    `sources`, `reduced`: the rows of the slab and their factorization, of which those at its start take what is handed
    on; `unit`: (U,).
    """
    space = reduced.space
    first = float((size_at_end(delta, space, axis, evolving) / unit).max())
    low = float(space.cells.box[0][axis])
    starts = [source.lies_at(axis, low) for source in sources]
    result = []
    for _ in range(CARRIED if first > 0 else 0):
        start = space.orthonormal(handed_on(delta, space, axis, evolving)).flatten(1)
        rows = [
            replace(block, r=-block.times(start) if here else torch.zeros_like(block.r))
            for block, here in zip(reduced.matrices, starts, strict=True)
        ]
        delta = reduced.coefficients(rows)
        result.append(float((space.rms(delta) / unit).max()) / first)
    return result


def lasting(ratios: Sequence[float], dt: float, remaining: float) -> float:
    """The integral over the time that remains of the square of an error that is 1 at the end of a slab of length dt.

    It goes on fading at the last rate; where nothing is known of that (no `ratios`), it stays.
    """
    slabs = remaining / dt
    if not ratios:
        return remaining
    one, two = (ratio**2 for ratio in ratios)
    if slabs <= 1:
        return remaining * one
    rate = two / one if 0 < two < one else float(two > 0)
    later = slabs - 1 if rate == 1 else (1 - rate ** (slabs - 1)) / (1 - rate)
    return dt * (one + two * later)
