"""The slices of the box that figures show, the points on them, and the outline of the domain there.

Input: a solution or its samples (only coordinates, intervals and time are looked at, and the shape for an outline).
Output: `View`s with one or two free axes, and arrays.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

import numpy as np

from pinnsolve.figures.labels import equation

if TYPE_CHECKING:
    from pinnsolve.figures.samples import Drawable, Samples

Item = TypeVar("Item")
TIMES_OF_IMAGES, MOST_IMAGES = 4, 6  # by default; of those that a file asks for
MOST_SLICES = 6
OUTLINE_PIXELS = 720  # per side of the outline of a shape: finer than a printer's dots
COARSER = 4  # pixels by which an outline is looked for
EIGHT = np.ones((3, 3), dtype=bool)  # the neighbours of a pixel, corners included


@dataclass(frozen=True)
class View:
    """A slice of the box along one or two free axes (the horizontal one first), at fixed values of the others."""

    axes: tuple[int, ...]
    held: tuple[tuple[int, float], ...] = ()

    def resolution(self, pixels: int, line_points: int) -> int:
        """The number of points on an axis: few for each of the two axes of an image, many along a line."""
        return line_points if len(self.axes) == 1 else pixels

    def grid(self, solution: Drawable | Samples, count: int) -> np.ndarray:
        """Points (count^axes, d): the centres of pixels for two axes, both ends included for one.

        Coordinates that are neither free nor held are at their lower ends.
        """
        points = np.tile([low for low, _ in solution.intervals], (count ** len(self.axes), 1)).astype(float)
        for axis, value in self.held:
            points[:, axis] = value
        sides = [side(*solution.intervals[axis], count, ends=len(self.axes) == 1) for axis in self.axes]
        for axis, mesh in zip(self.axes, np.meshgrid(*sides, indexing="ij"), strict=True):
            points[:, axis] = mesh.ravel()
        return points

    def in_space(self, solution: Drawable | Samples) -> View:
        """The view without the time it is held at."""
        return View(self.axes, tuple((a, value) for a, value in self.held if a != time_axis(solution)))

    def words(self, solution: Drawable | Samples, only: Collection[int]) -> str:
        """The held coordinates in words, e.g. `t = 0.5, z = 0`; `only` names the axes to mention."""
        return ", ".join(equation(solution.coordinates[a], value) for a, value in self.held if a in only)

    def extent(self, solution: Drawable | Samples) -> tuple[float, ...]:
        """Left, right, bottom and top of an image."""
        return (*solution.intervals[self.axes[0]], *solution.intervals[self.axes[1]])

    def is_space(self, solution: Drawable | Samples) -> bool:
        return time_axis(solution) not in self.axes


def outline(solution: Drawable, view: View) -> np.ndarray:
    """The fine pixels of a view that are in the domain: booleans (n, n).

    Coarse ones are tested first, and fine ones only where neighbours differ.
    """
    from scipy.ndimage import binary_dilation, binary_erosion  # slow to import, and only shapes need it

    coarse = OUTLINE_PIXELS // COARSER
    rough = solution.in_domain(view.grid(solution, coarse)).reshape(coarse, coarse)
    found = rough.repeat(COARSER, axis=0).repeat(COARSER, axis=1)
    unsure = binary_dilation(rough, EIGHT) & ~binary_erosion(rough, EIGHT)
    index = np.flatnonzero(unsure.repeat(COARSER, axis=0).repeat(COARSER, axis=1))
    found.ravel()[index] = solution.in_domain(view.grid(solution, OUTLINE_PIXELS)[index])
    return found


def map_view(solution: Drawable | Samples, points: np.ndarray) -> View | None:
    """The view of points (N, d) that fill two coordinates, time first; None for others."""
    faces = faces_of(solution, points)
    free = free_axes(solution, points)
    if len(faces) != 1 or len(free) != 2:
        return None
    held = tuple((a, float(points[0, a])) for a in range(points.shape[1]) if a not in free)
    return View(tuple(sorted(free, key=lambda axis: axis != time_axis(solution))), held)


def free_axes(solution: Drawable | Samples, points: np.ndarray) -> list[int]:
    """The coordinates in which points (N, d) differ."""
    lower, upper = np.array(solution.intervals).T
    return [int(a) for a in np.flatnonzero(np.ptp(points, axis=0) > 1e-9 * (upper - lower))]


def faces_of(solution: Drawable | Samples, points: np.ndarray) -> list[tuple[str, np.ndarray]]:
    """The points by the face of the box they lie on, largest first; one nameless group if some lie on none."""
    everything = [("", np.arange(len(points)))]
    remaining = np.ones(len(points), dtype=bool)
    masks = {}
    for axis, (low, high) in enumerate(solution.intervals):
        for value in (low, high):
            masks[axis, value] = np.abs(points[:, axis] - value) <= 1e-9 * (high - low)
    found = []
    while remaining.any():
        (axis, value), mask = max(masks.items(), key=lambda item: np.count_nonzero(item[1] & remaining))
        index = np.flatnonzero(mask & remaining)
        if not len(index):
            return everything
        found.append((equation(solution.coordinates[axis], value), index))
        remaining &= ~mask
    return found


def side(low: float, high: float, count: int, ends: bool) -> np.ndarray:
    """`count` values of an interval, from end to end or at the centres of as many cells."""
    if ends:
        return np.linspace(low, high, count)
    return low + (high - low) * (np.arange(count) + 0.5) / count


def time_axis(solution: Drawable | Samples) -> int | None:
    """Return the axis of time, or None where nothing depends on time."""
    return solution.coordinates.index(solution.time) if solution.time in solution.coordinates else None


def shown_times(solution: Drawable | Samples, otherwise: int, most: int) -> list[float]:
    """The times that a figure shows: those that the file asks for, thinned to at most `most`, or `otherwise` many."""
    times = solution.output.times_between(*solution.intervals[time_axis(solution)], otherwise)
    return thinned(times, most)


def thinned(items: Sequence[Item], most: int) -> list[Item]:
    """At most so many of them, evenly chosen, the first and the last always among them."""
    if len(items) <= most:
        return list(items)
    return [items[round(k * (len(items) - 1) / (most - 1))] for k in range(most)]


def views_of(solution: Drawable | Samples) -> list[View]:
    """The slices that show a field best: the whole box up to two coordinates, else slices through its centre.

    Slices have the first two directions of space and several times, or, without time, several pairs of coordinates. Of
    a solution over ranges of parameters, a few members; over one coordinate, an image of it and the first parameter.
    """
    own = [a for a, name in enumerate(solution.coordinates) if name not in solution.ranges]
    if not solution.ranges:
        return _views(solution, own)
    first, middle = len(own), {a: _middle(solution, a) for a in range(len(own), len(solution.coordinates))}
    if len(own) == 1:
        return [View((0, first), tuple((a, value) for a, value in middle.items() if a != first))]
    low, high = solution.intervals[first]
    shown = (low, middle[first], high) if len(own) == 2 else (middle[first],)
    members = [tuple({**middle, first: value}.items()) for value in shown]
    return [View(view.axes, (*view.held, *member)) for member in members for view in _views(solution, own)]


def _views(solution: Drawable | Samples, own: Sequence[int]) -> list[View]:
    """The slices by coordinates of space and time, the axes `own`."""
    time = time_axis(solution)
    space = [a for a in own if a != time]
    centre = {a: sum(solution.intervals[a]) / 2 for a in own}
    if len(own) <= 2:
        return [View(tuple(own) if time != 1 else (1, 0))]
    if time is not None:
        rest = tuple((a, centre[a]) for a in space[2:])
        times = shown_times(solution, TIMES_OF_IMAGES, MOST_IMAGES)
        return [View(tuple(space[:2]), ((time, float(t)), *rest)) for t in times]
    pairs = [(a, b) for i, a in enumerate(space) for b in space[i + 1 :]]
    most = MOST_SLICES if len(solution.unknowns) == 1 else 3
    if len(pairs) > most:
        pairs = [(a, space[(i + 1) % len(space)]) for i, a in enumerate(space)][:most]
    return [View(pair, tuple((a, centre[a]) for a in space if a not in pair)) for pair in pairs]


def _middle(solution: Drawable | Samples, axis: int) -> float:
    """The middle of a range, as its values are spaced."""
    low, high = solution.intervals[axis]
    about = (solution.result.get("ranges") or {}).get(solution.coordinates[axis]) or {}
    return float(np.sqrt(low * high)) if about.get("log") else 0.5 * (low + high)


def space_view(solution: Drawable | Samples) -> View | None:
    """The first two directions of space, or the only one, the others held in their middle; None without any."""
    time = time_axis(solution)
    own = [a for a, name in enumerate(solution.coordinates) if name not in solution.ranges and a != time]
    if not own:
        return None
    rest = tuple((a, _middle(solution, a)) for a in range(len(solution.coordinates)) if a not in (*own[:2], time))
    return View(tuple(own[:2]), rest)


def varied_axes(views: Sequence[View]) -> set[int]:
    """The axes that all views hold, at different values."""
    held = [dict(view.held) for view in views]
    common = set.intersection(*(set(values) for values in held))
    return {axis for axis in common if len({values[axis] for values in held}) > 1}
