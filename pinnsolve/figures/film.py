"""A solution at many times, as plain arrays: the frames of an animation, and of the slider in a report.

Input: a solution that depends on time. Output: a `Film`, which another process can draw. Nothing here imports
matplotlib.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from pinnsolve.figures.slices import View, outline, space_view, thinned, time_axis

if TYPE_CHECKING:
    from pinnsolve.figures.samples import Drawable

FRAMES, MOST_FRAMES = 21, 41  # by default; of those that a file asks for, in a report
PIXELS, LINE_POINTS = 101, 401  # per side of an image, along a line
WORK = 1e8  # values of functions of the basis, at all points of all frames: about a second
ValuesAt = Callable[["Drawable", np.ndarray, np.ndarray], Mapping[str, np.ndarray]]
LEAST_PIXELS, LEAST_FRAMES = 45, 9  # below which nothing can be seen


@dataclass(frozen=True)
class Film:
    """`values` of each unknown at `times` on a line, (frames, n), or an image, (frames, n, n), at other coordinates as
    `view` holds them; `inside` marks the fine pixels of an image that are in the domain, None where all are."""

    name: str
    coordinates: tuple[str, ...]
    intervals: tuple[tuple[float, float], ...]
    time: str
    times: tuple[float, ...]
    view: View
    values: Mapping[str, np.ndarray]
    inside: np.ndarray | None


def film_of(
    solution: Drawable,
    values_at: ValuesAt,
    times: Sequence[float] | None = None,
    outlines: Mapping[View, np.ndarray] | None = None,
) -> Film | None:
    """The film of a solution at `times`, at those its file asks for, or at equal distances; None where nothing moves.

    `values_at(solution, points, inside)` gives what is shown by name, at points (N, d) of which the mask says whether
    they are in the domain. Without `times`, frames and pixels are as many as can be computed in about a second.
    `outlines` are those of views that are known already.
    """
    axis = time_axis(solution)
    if axis is None or getattr(solution, "modes", None) is not None or len(solution.coordinates) < 2:
        return None
    view = space_view(solution)
    if view is None:
        return None
    stated = solution.output.times_between(*solution.intervals[axis], FRAMES)
    chosen = list(stated if times is None else times)
    most = WORK / max(1, solution.basis.active)  # points
    pixels = LINE_POINTS
    if len(view.axes) == 2:
        pixels = int(np.clip(np.sqrt(most / len(chosen)), LEAST_PIXELS, PIXELS))
    if times is None:
        chosen = thinned(chosen, int(np.clip(most / pixels ** len(view.axes), LEAST_FRAMES, MOST_FRAMES)))
    if len(chosen) < 2:
        return None
    return Film(
        name=solution.name,
        coordinates=solution.coordinates,
        intervals=solution.intervals,
        time=solution.time,
        times=tuple(map(float, chosen)),
        view=view,
        values=_frames(solution, values_at, view, chosen, pixels),
        inside=_inside(solution, view, outlines or {}),
    )


def _inside(solution: Drawable, view: View, outlines: Mapping[View, np.ndarray]) -> np.ndarray | None:
    """The fine pixels of an image that are in the domain; None where all are, and of a line."""
    if solution.shape is None or len(view.axes) != 2:
        return None
    return outlines[view] if view in outlines else outline(solution, view)


def _frames(
    solution: Drawable, values_at: ValuesAt, view: View, times: Sequence[float], pixels: int
) -> dict[str, np.ndarray]:
    grid, shape = view.grid(solution, pixels), (pixels,) * len(view.axes)
    inside = solution.in_domain(grid)  # the same at all times
    all_inside = np.ones(np.count_nonzero(inside), dtype=bool)
    found: dict[str, list[np.ndarray]] = {}
    for t in times:
        points = grid[inside]
        points[:, time_axis(solution)] = t
        for name, values in values_at(solution, points, all_inside).items():
            if name.strip("|") in solution.vectors:  # whose components are there
                continue
            whole = np.full(len(grid), np.nan)
            whole[inside] = values
            found.setdefault(name, []).append(whole.reshape(shape))
    return {name: np.stack(arrays) for name, arrays in found.items()}
