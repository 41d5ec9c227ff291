"""Which slices of the box a figure shows, and the points on them.

Input: a `Solution` (only its coordinates, intervals and time are looked at). Output: `View`s with one or two free axes.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from pinnsolve.figures.labels import equation

if TYPE_CHECKING:
    from pinnsolve.figures.drawable import Drawable

TIMES_OF_IMAGES = 4
MOST_SLICES = 6
COARSER = 4  # pixels by which an outline is looked for
EIGHT = np.ones((3, 3), dtype=bool)  # the neighbours of a pixel, corners included


@dataclass(frozen=True)
class View:
    """A slice of the box along one or two free axes (the horizontal one first), with the others held."""

    axes: tuple[int, ...]
    held: tuple[tuple[int, float], ...] = ()

    def grid(self, solution: Drawable, count: int) -> np.ndarray:
        """Points (count^axes, d): the centres of pixels for two axes, both ends included for one."""
        points = np.empty((count ** len(self.axes), len(solution.coordinates)))
        for axis, value in self.held:
            points[:, axis] = value
        sides = [side(*solution.intervals[axis], count, ends=len(self.axes) == 1) for axis in self.axes]
        for axis, mesh in zip(self.axes, np.meshgrid(*sides, indexing="ij"), strict=True):
            points[:, axis] = mesh.ravel()
        return points

    def outline(self, solution: Drawable, count: int) -> np.ndarray | None:
        """Which of count x count pixels, fine ones, are in the domain: booleans; None where all of the box is.

        Tested coarsely first, and finely only where neighbours differ.
        """
        if solution.shape is None or len(self.axes) < 2:
            return None
        from scipy.ndimage import binary_dilation, binary_erosion  # slow to import, and only shapes need it

        rough = solution.in_domain(self.grid(solution, count // COARSER)).reshape(count // COARSER, -1)
        found = rough.repeat(COARSER, axis=0).repeat(COARSER, axis=1)
        unsure = binary_dilation(rough, EIGHT) & ~binary_erosion(rough, EIGHT)
        index = np.flatnonzero(unsure.repeat(COARSER, axis=0).repeat(COARSER, axis=1))
        found.ravel()[index] = solution.in_domain(self.grid(solution, count)[index])
        return found

    def words(self, solution: Drawable, only: Collection[int]) -> str:
        """Those of the held coordinates, e.g. `t = 0.5, z = 0`."""
        return ", ".join(equation(solution.coordinates[a], value) for a, value in self.held if a in only)

    def extent(self, solution: Drawable) -> tuple[float, ...]:
        """Left, right, bottom and top of an image."""
        return (*solution.intervals[self.axes[0]], *solution.intervals[self.axes[1]])

    def is_space(self, solution: Drawable) -> bool:
        return time_axis(solution) not in self.axes


def side(low: float, high: float, count: int, ends: bool) -> np.ndarray:
    """`count` values of an interval, from end to end or at the centres of as many cells."""
    if ends:
        return np.linspace(low, high, count)
    return low + (high - low) * (np.arange(count) + 0.5) / count


def time_axis(solution: Drawable) -> int | None:
    return solution.coordinates.index(solution.time) if solution.time in solution.coordinates else None


def views_of(solution: Drawable) -> list[View]:
    """The slices that show a field best: the whole box up to two coordinates, else slices through its centre.

    Slices have the first two directions of space and several times, or, without time, several pairs of coordinates.
    """
    dimension, time = len(solution.coordinates), time_axis(solution)
    space = [a for a in range(dimension) if a != time]
    centre = {a: sum(solution.intervals[a]) / 2 for a in range(dimension)}
    if dimension <= 2:
        return [View(tuple(range(dimension)) if time != 1 else (1, 0))]
    if time is not None:
        rest = tuple((a, centre[a]) for a in space[2:])
        times = np.linspace(*solution.intervals[time], TIMES_OF_IMAGES)
        return [View(tuple(space[:2]), ((time, float(t)), *rest)) for t in times]
    pairs = [(a, b) for i, a in enumerate(space) for b in space[i + 1 :]]
    most = MOST_SLICES if len(solution.unknowns) == 1 else 3
    if len(pairs) > most:
        pairs = [(a, space[(i + 1) % len(space)]) for i, a in enumerate(space)][:most]
    return [View(pair, tuple((a, centre[a]) for a in space if a not in pair)) for pair in pairs]
