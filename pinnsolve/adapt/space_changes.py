"""Functions on another space, and cells that are merged between steps where fronts have gone.

Of two halves the best polynomial of the whole is known from their coefficients, and so is what it lacks.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial

import numpy as np
import torch
from numpy.polynomial import legendre as series
from torch import Tensor

from pinnsolve.bases.piecewise.space import Space
from pinnsolve.runtime import cached_by_device

WORTH = 0.15  # of the cells that must go for a new factorization to be worth it


def on_space(before: Space, after: Space, c: Tensor) -> Tensor:
    """Functions (L, C, U, n) on another space of the same domain."""
    if before.cells is after.cells:
        return torch.stack([before.widened(one, after) for one in c])
    zero = (0,) * before.cells.dimension
    return torch.stack([after.project(partial(before.values, one, alpha=zero), one.shape[1]) for one in c])


def to_blame(parts: Tensor, left: float) -> Tensor:
    """(C, d) or (C,) bool: of errors by cell and axis, or by cell, the fewest without which the others together are at
    most `left` in the mean square (bulk chasing: Doerfler, SIAM J. Numer. Anal. 33 (1996) 1106-1124)."""
    squares, order = torch.sort(parts.flatten() ** 2)
    few = torch.empty_like(order, dtype=torch.bool)
    few[order] = torch.cumsum(squares, dim=0) > left**2
    return few.reshape(parts.shape)


def adapted(space: Space, c: Tensor, unit: Tensor, allowed: float, bad: Tensor) -> Space:
    """The space for the next step: cells halved along the axes that are `bad` (C, d), and others merged as in
    `with_merged_cells`."""
    marked = bad.any(dim=1)
    if not bool(marked.any()):
        return with_merged_cells(space, c, unit, allowed)
    merged = with_merged_cells(space, c, unit, allowed, marked, worth=0.0)
    here = _numbers(space, merged)
    return replace(space, cells=merged.cells.split(marked[here], bad[here]))


def _numbers(space: Space, other: Space) -> Tensor:
    """(C,): the cells of a space in which the middles of those of the other are."""
    return space.cells.locate(other.cells.centres)


def with_merged_cells(
    space: Space, c: Tensor, unit: Tensor, allowed: float, stay: Tensor | None = None, worth: float = WORTH
) -> Space:
    """The space with pairs of equal cells merged, as many as functions c (C, U, n) allow: what they lose together is
    at most `allowed` in the mean square, in the units (U,) of the unknowns. Cells that `stay` (C,) are left alone.
    Itself where not more than the share `worth` of the cells would go."""
    left, count = allowed**2, space.cells.count
    low, high = space.cells.box
    result = space
    for axis in range(len(space.degrees)):
        cut = result.cells.cut.tolist()  # where functions are orthonormal on a part alone
        pairs = result.cells.siblings(axis, (float(low[axis]), float(high[axis])))
        if stay is not None:
            cut = (result.cells.cut | stay[_numbers(space, result)]).tolist()
        pairs = [pair for pair in pairs if not any(cut[cell] for cell in pair)]
        if not pairs:
            continue
        lost, whole = _merged(result, c / unit[:, None], pairs, axis)
        share = 2.0 * result.cells.volume[[i for i, _ in pairs]] / result.cells.volume.sum()
        order = torch.argsort(lost)
        sums = torch.cumsum((lost * share)[order], dim=0)
        kept = [int(k) for k in order[sums <= left]]
        if not kept:
            continue
        left -= float(sums[len(kept) - 1])
        result, c = _replaced(result, c, [pairs[k] for k in kept], whole[kept] * unit[:, None])
    return result if result.cells.count <= (1.0 - worth) * count else space


def _merged(space: Space, c: Tensor, pairs: Sequence[tuple[int, int]], axis: int) -> tuple[Tensor, Tensor]:
    """(P,) the mean squares of what pairs lose, all unknowns together, and (P, U, n) what they keep."""
    first, second = (torch.tensor([pair[k] for pair in pairs]) for k in range(2))
    spread = space.spread(c)
    total = 0.0
    for cells, table in zip((first, second), _halves(space.degrees[axis]), strict=True):
        moved = spread[cells].movedim(axis + 2, -1) @ table.to(c).T
        total = total + 0.5 * moved.movedim(-1, axis + 2)
    whole = space.gather(total)
    before = 0.5 * ((c[first] ** 2).sum(dim=(1, 2)) + (c[second] ** 2).sum(dim=(1, 2)))
    return (before - (whole**2).sum(dim=(1, 2))).clamp_min(0.0), whole


def _replaced(space: Space, c: Tensor, pairs: Sequence[tuple[int, int]], whole: Tensor) -> tuple[Space, Tensor]:
    """The space with the pairs merged, and the functions on it: `whole` (P, U, n) on what was merged."""
    cells = space.cells.merged(pairs)
    at = space.cells.locate(cells.centres)
    here = {pair[k]: number for number, pair in enumerate(pairs) for k in range(2)}
    new = torch.stack([whole[here[k]] if k in here else c[k] for k in at.tolist()])
    return replace(space, cells=cells), new


@cached_by_device(32)
def _halves(degree: int) -> tuple[Tensor, Tensor]:
    """(p + 1, p + 1) each: mean products of the orthonormal polynomials of an interval with those of its two halves."""
    points, weights = series.leggauss(degree + 1)
    root = np.sqrt(2 * np.arange(degree + 1) + 1)
    own = series.legvander(points, degree) * root
    tables = []
    for shift in (-1.0, 1.0):
        of_whole = series.legvander(0.5 * (points + shift), degree) * root
        tables.append(torch.as_tensor(of_whole.T @ (0.5 * weights[:, None] * own)))
    return tables[0], tables[1]
