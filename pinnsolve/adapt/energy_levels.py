"""Levels of the least energy: where their error comes from, and how much of it a correction sees.

Of solutions that are infinitely steep at edges and corners, the least energy of functions that do not hold this is too
large by the square of what they lack in the norm of the energy, and all of the solution feels that: an elastic beam is
as much too stiff. So cells are marked by the energy of the correction, and not by its size (Doerfler, SIAM J. Numer.
Anal. 33 (1996) 1106-1124), along the axes to blame for it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from pinnsolve.adapt.foreseen_energies import MARKED, halvings, left_by_halving, split_for
from pinnsolve.bases.piecewise.space import Space
from pinnsolve.estimate.enriched_space import decay_rates, shares_of_axes

if TYPE_CHECKING:
    from pinnsolve.adapt.hp_refinement import Level

DEGREES = (4, 8)  # of cells that are split, least and most: one for every digit that is asked for
WITHIN = 0.7  # of the tolerance, what is aimed at
LOCAL = 0.5  # power of the energy with which errors fall that are local
BLAMED = 0.1  # of the energy along an axis that is to blame most, from which on others are, too
MOST_UNSEEN = 0.85  # share of the error that a correction is taken to miss at most
TOLD = 2 / 3  # share of the error that a correction sees, below which levels tell what it leaves of that


def energies(level: Level) -> Tensor:
    """(C, d): by cell and axis, the energy of what the correction adds beyond the degrees of the level, but for the
    coefficients of the equations, which are taken to be alike."""
    space, fine = level.space, level.correction.space
    squares = (fine.orthonormal(level.correction.delta) ** 2).sum(dim=1)  # (C, n)
    slopes = (fine.exponents.double() / space.cells.size[:, None]).square().sum(dim=2)
    return (squares * slopes) @ shares_of_axes(fine, space.degrees) * space.cells.volume[:, None]


def calls_for_cells(level: Level, fast: float) -> bool:
    """Whether smaller cells do more than higher degrees: few of the cells are to blame, or in the one to blame most
    coefficients fall slower than by a factor `fast` per degree along an axis to blame."""
    energy = energies(level)
    if 2 * int(halvings(energy, MARKED).any(dim=1).sum()) <= len(energy):
        return True
    cell = int(energy.sum(dim=1).argmax())
    blamed = energy[cell] >= BLAMED * energy[cell].max()
    return bool((decay_rates(level.correction.c, level.correction.space)[cell, blamed] > fast).any())


def split_by_energy(level: Level, tolerance: float, before: Level | None = None) -> Space:
    """The cells that hold most of the energy of the correction, halved along the axes to blame; fewer where that is
    foreseen to meet the tolerance, and more than once where the level `before` tells how fast the energy falls."""
    cells, energy, left = level.space.cells, energies(level), None
    goal = WITHIN * tolerance / max(level.worst, 1e-300)
    if before is not None and before.space.degrees == level.space.degrees:
        old = energies(before)
        left = left_by_halving(before.space.cells, old, cells, energy)
        goal = goal ** (1.0 / _order(before, level, float(energy.sum() / old.sum())))
    cells = split_for(cells, energy, goal, left)
    return Space(cells, (degree_for(tolerance),) * len(level.space.degrees), level.space.orders)


def degree_for(tolerance: float) -> int:
    """Of cells that are split."""
    return min(max(round(-math.log10(tolerance)), DEGREES[0]), DEGREES[1])


def _order(before: Level, level: Level, fell: float) -> float:
    """The power of the energy, which `fell` by a factor, with which the error falls: one where all of the solution
    feels what is lacking, half where errors are as local as the energy."""
    if not 0.0 < fell < 1.0:
        return 1.0
    return min(max(math.log(level.worst / before.worst) / math.log(fell), LOCAL), 1.0)


def _in(space: Space, level: Level) -> Tensor:
    """The solution of a level in a space of as small cells and as high degrees."""
    if space.cells is level.space.cells:
        return level.space.widened(level.c, space)
    zero = (0,) * len(space.degrees)
    return space.project(lambda x: level.space.values(level.c, x, zero), level.c.shape[1])


def as_levels_tell(level: Level, before: Sequence[Level]) -> Level:
    """The level with an error that is enlarged by what its correction does not see of it; where that is much, with the
    error of the corrected solution, which then is the answer.

    Energies come from above, so that errors are of one sign and add up. If all corrections see the same share 1 - q of
    the error, those of two levels, a and b, and the distance D from the first solution to the second, corrected, tell
    it: D = (a - q b)/(1 - q). What a correction leaves is taken to be no smaller than the correction itself.
    """
    if not before:
        return level
    last, fine = before[-1], level.correction.space
    old = _in(fine, last)
    distance = fine.rms(level.correction.c - old)
    a, b = last.correction.space.rms(last.correction.delta), fine.rms(level.correction.delta)
    unseen = torch.where(distance > torch.maximum(a, b), (distance - a) / (distance - b), 0.0).clamp(0.0, MOST_UNSEEN)
    error = torch.maximum(level.error, b / (1.0 - unseen))
    seen = 1.0 - float(unseen.max())
    # a change of degrees changes the share, by which what is left is off more than the whole
    told = seen < TOLD and last.space.degrees == level.space.degrees
    error = torch.maximum(b, error - b) if told else error
    return replace(level, error=error, correction=replace(level.correction, seen=seen), answers_corrected=told)


def with_error(level: Level) -> Tensor:
    """(C, U, n): the corrected solution of a level and its error, which is taken to be like the correction."""
    delta = level.correction.delta
    times = level.error / level.correction.space.rms(delta).clamp_min(1e-300)
    return level.correction.c + float(times.max()) * delta
