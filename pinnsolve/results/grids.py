"""A solution on a regular grid of its box: where its points are, and the values there.

Input: a `Solution`, and how many points or which times if not those that its file asks for. Output: arrays by name.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from pinnsolve.errors import SolutionError
from pinnsolve.figures.slices import time_axis
from pinnsolve.language.components import as_columns
from pinnsolve.results.expressions import Expressions

if TYPE_CHECKING:
    from pinnsolve.results.solution import Solution

POINTS_PER_AXIS = {1: 100, 2: 100}  # by the number of space coordinates
POINTS_OTHERWISE = 40
TIME_LEVELS = 51
MOST_POINTS = 2e6  # of a grid nobody asked for
MOST_ASKED = 1e8  # of any grid
LEAST = 2  # an axis has two ends

Arrays = dict[str, np.ndarray]


def axes_of(solution: Solution, points: int | None = None, times: Sequence[float] | None = None) -> Arrays:
    """The values of each coordinate on the grid, by its name, both ends of each interval included.

    `points` per axis of space and `times` are those of the problem file's `output` where they are left out. Raises
    `SolutionError` for too few or too many points, and for times outside of the solution.
    """
    if points is not None and points < LEAST:
        raise SolutionError(f"a grid has at least {LEAST} points per axis, not {points}")
    axis = time_axis(solution)
    along_time = None if axis is None else _times(solution, points, times)
    if times is not None and axis is None:
        raise SolutionError("this solution does not depend on time, so there are no times to choose")
    levels = 1 if along_time is None else len(along_time)
    counts = _counts(solution, points, levels)
    size = levels * math.prod(counts.values())
    if size > MOST_ASKED:
        grid = f"{size:.1e} points ({' x '.join(map(str, counts.values()))} in {', '.join(counts)})"
        raise SolutionError(f"the grid would have {grid}; use fewer --points, or `evaluate` at points of your own")
    sides = zip(solution.coordinates, solution.intervals, strict=True)
    return {name: np.linspace(*ends, counts[name]) if name in counts else along_time for name, ends in sides}


def _times(solution: Solution, points: int | None, times: Sequence[float] | None) -> np.ndarray:
    low, high = solution.intervals[time_axis(solution)]
    if times is None:
        only_time = len(solution.coordinates) == 1  # of an ordinary differential equation: the axis of `points`
        if only_time and points is not None:
            return np.linspace(low, high, points)
        return np.array(solution.output.times_between(low, high, TIME_LEVELS))
    found = np.unique(np.asarray(times, dtype=float))
    for value in found:
        if not low <= value <= high:  # so is what is no number
            raise SolutionError(solution.describe_outside(time_axis(solution), float(value)))
    return found


def _counts(solution: Solution, points: int | None, levels: int) -> dict[str, int]:
    """Points along each coordinate but time."""
    names = [name for name in solution.coordinates if name != solution.time]
    if points is not None:
        return dict.fromkeys(names, points)
    most = int((MOST_POINTS / levels) ** (1 / max(len(names), 1)))
    default = max(LEAST, min(POINTS_PER_AXIS.get(len(names), POINTS_OTHERWISE), most))
    return {name: solution.output.count_along(name, default) for name in names}


def sample(solution: Solution, axes: Mapping[str, np.ndarray], expressions: Sequence[str] = ()) -> Arrays:
    """Each unknown and each expression on the grid, shaped (n_axis0, n_axis1, ...); of what is complex, both parts."""
    meshes = np.meshgrid(*axes.values(), indexing="ij")
    values = solution(**dict(zip(axes, meshes, strict=True)))
    found = as_columns(values if isinstance(values, dict) else {solution.names[0]: values})
    if expressions:
        points = np.stack([mesh.ravel() for mesh in meshes], axis=1)
        columns = Expressions.of(solution, expressions).at(points)
        found |= {name: column.reshape(meshes[0].shape) for name, column in columns.items()}
    return found
