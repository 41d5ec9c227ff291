"""The content of a run's figures as plain arrays.

Input: a `Solution`, and `truth(points (N, d)) -> {unknown: (N,)}` where an exact or reference solution is known.
Output: `Samples`, which another process can draw, and `Drawn`, its answer. Nothing here imports matplotlib.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from pinnsolve.figures.film import Film, film_of
from pinnsolve.figures.slices import View, map_view, outline, shown_times, time_axis, views_of
from pinnsolve.language.components import as_columns, component_names
from pinnsolve.spec.output import Output

PIXELS, LINE_POINTS = 181, 801  # per side of an image, along a line
ERROR_PIXELS = 61  # per side of an image of the estimated error
TIMES_OF_LINES, MOST_LINES = 5, 8  # by default; of those that a file asks for
MOST_OF_MODES = 6  # panels of the functions of eigenvalues
OF_MODE = ", mode "  # between the name of an unknown and the number of its mode

Truth = Callable[[np.ndarray], Mapping[str, np.ndarray]]
Fields = Mapping[str, Sequence[np.ndarray]]  # of each unknown an array per view: (n,) along a line, (n, n) of an image


class Drawable(Protocol):
    """The part of `results.solution.Solution` that figures need; see there."""

    name: str
    coordinates: tuple[str, ...]
    intervals: tuple[tuple[float, float], ...]
    time: str | None
    ranges: tuple[str, ...]
    unknowns: tuple[str, ...]
    result: dict
    history: Sequence[dict]
    diagnostics: Mapping[str, Any]
    shape: Any
    output: Output
    basis: Any
    vectors: Mapping[str, tuple[str, ...]]

    @property
    def names(self) -> tuple[str, ...]:
        """The unknowns as the problem names them, complex ones included."""

    def columns(
        self, points: np.ndarray, names: Iterable[str] | None = None, inside: np.ndarray | None = None
    ) -> dict[str, np.ndarray]:
        """Unknowns at points (N, d), by name (N,)."""

    def in_domain(self, points: np.ndarray) -> np.ndarray:
        """Mark the points (N, d) that lie in the domain, (N,) bool."""


@dataclass(frozen=True)
class Samples:
    """A solution where the figures show it.

    `views` are images or one line, with `values` and `exact` there; `profiles` are the lines beside an image over time,
    with `profile_values` and `profile_exact`. What is exact is empty where no truth is known. `residuals` are those of
    each term at its `points` (N, d). `measured` are values of unknowns with points, (N, d + 1); `estimated` errors and
    standard `deviations` by noise of data are known for some solutions; `vectors` have components by their names.
    `outlines` say which fine pixels are in the domain, by the view without its time; `film` is there where asked for.
    """

    name: str
    coordinates: tuple[str, ...]
    intervals: tuple[tuple[float, float], ...]
    time: str | None
    ranges: tuple[str, ...]
    unknowns: tuple[str, ...]
    result: Mapping
    history: Sequence[Mapping]
    points: Mapping[str, np.ndarray]
    residuals: Mapping[str, np.ndarray]
    views: Sequence[View]
    values: Fields
    exact: Fields
    profiles: Sequence[View]
    profile_values: Fields
    profile_exact: Fields
    outlines: Mapping[View, np.ndarray]
    film: Film | None = None
    vectors: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    measured: Mapping[str, np.ndarray] = field(default_factory=dict)
    estimated: Fields = field(default_factory=dict)
    deviations: Fields = field(default_factory=dict)
    profile_deviations: Fields = field(default_factory=dict)

    def outline(self, view: View) -> np.ndarray | None:
        """Mark the fine pixels of a view that are in the domain, (n, n) bool; None where all of the box is."""
        return self.outlines.get(view.in_space(self))


@dataclass(frozen=True)
class Drawn:
    """The pictures that were written, the frames of a film as PNG with their times, and a sentence on each failure."""

    pictures: tuple[Path, ...] = ()
    failures: tuple[str, ...] = ()
    film: tuple[tuple[float, bytes], ...] = ()


Draw = Callable[[Samples, Path], Drawn]  # what draws samples into a folder


def sample(solution: Drawable, truth: Truth | None = None, film: bool = False) -> Samples:
    """Evaluate a solution and the truth, once, at all points that the figures of a run show.

    With `film`, also those of its frames.
    """
    views = views_of(solution)
    profiles = _profiles(solution, views)
    grids = [view.grid(solution, view.resolution(PIXELS, LINE_POINTS)) for view in (*views, *profiles)]
    points = np.concatenate(grids)
    values, profile_values = _split(values_at(solution, points), grids, len(views))
    known = {} if truth is None else _known(truth(points), values)
    exact, profile_exact = _split(known, grids, len(views))
    deviations, profile_deviations = _split(_deviations(solution, points), grids, len(views))
    checked, residuals = (_arrays(solution.diagnostics.get(key) or {}) for key in ("points", "residuals"))
    names = [name for name, found in residuals.items() if name in checked and len(found)]
    maps = [map_view(solution, checked[name]) for name in names]
    outlines = _outlines(solution, [*views, *(view for view in maps if view is not None)])
    return Samples(
        name=solution.name,
        coordinates=solution.coordinates,
        intervals=solution.intervals,
        time=solution.time,
        ranges=solution.ranges,
        unknowns=solution.unknowns,
        result=solution.result,
        history=solution.history,
        points={name: checked[name] for name in names},
        residuals={name: residuals[name] for name in names},
        views=views,
        values=values,
        exact=exact,
        profiles=profiles,
        profile_values=profile_values,
        profile_exact=profile_exact,
        outlines=outlines,
        film=film_of(solution, values_at, outlines=outlines) if film else None,
        vectors=solution.vectors,
        measured=_measured(solution),
        estimated=_estimated(solution, views),
        deviations=deviations,
        profile_deviations=profile_deviations,
    )


def _deviations(solution: Drawable, points: np.ndarray) -> dict[str, np.ndarray]:
    """The standard deviation of each real unknown at points, (N,); nothing where none is known."""
    if getattr(solution, "deviations", None) is None:
        return {}
    at = {name: points[:, i] for i, name in enumerate(solution.coordinates)}
    return {name: solution.standard_deviation(name)(**at) for name in solution.unknowns}


def _measured(solution: Drawable) -> dict[str, np.ndarray]:
    """Points with measured values, (N, d + 1), by unknown."""
    found = solution.diagnostics.get("measured") or {}
    return {name: np.concatenate([np.asarray(t) for t in tables.values()]) for name, tables in found.items() if tables}


def _estimated(solution: Drawable, views: Sequence[View]) -> dict[str, list[np.ndarray]]:
    """The estimated error in each view, as far as it was kept."""
    sizes = [view.resolution(ERROR_PIXELS, LINE_POINTS) ** len(view.axes) for view in views]
    found = _arrays(solution.diagnostics.get("estimated") or {})
    whole = {
        name: np.split(values, np.cumsum(sizes)[:-1]) for name, values in found.items() if len(values) == sum(sizes)
    }
    return {name: [_squared(part) for part in parts] for name, parts in whole.items()}


def _profiles(solution: Drawable, views: Sequence[View]) -> list[View]:
    """Lines beside an image over time, across it at a few times."""
    time = time_axis(solution)
    if time is None or len(views) > 1 or len(views[0].axes) != 2 or time not in views[0].axes:
        return []
    other = next(axis for axis in views[0].axes if axis != time)
    times = shown_times(solution, TIMES_OF_LINES, MOST_LINES)
    return [View((other,), ((time, float(t)), *views[0].held)) for t in times]


def values_at(solution: Drawable, points: np.ndarray, inside: np.ndarray | None = None) -> Mapping[str, np.ndarray]:
    """What is shown of a solution at points (N, d), by name: (N,) each; `inside` marks those in the domain."""
    modes = getattr(solution, "modes", None)
    if modes is None:
        return _of(solution, points, inside)
    first = _of(solution, points)
    numbers = range(1, 1 + max(1, min(len(modes), MOST_OF_MODES // len(first))))
    of_modes = ((k, first if k == 1 else _of(solution.mode(k), points)) for k in numbers)
    return {f"{name}{OF_MODE}{k}": array for k, found in of_modes for name, array in found.items()}


def _of(solution: Drawable, points: np.ndarray, inside: np.ndarray | None = None) -> dict[str, np.ndarray]:
    found = solution.columns(points, solution.names, inside)
    vectors = solution.vectors if len(found) > 1 else {}
    speeds = {f"|{name}|": np.sqrt(sum(found[c] ** 2 for c in parts)) for name, parts in vectors.items()}
    return {**speeds, **_with_modulus(found)}


def _with_modulus(values: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Values by unknown; of a complex one its real part, its imaginary part and its modulus."""
    found: dict[str, np.ndarray] = {}
    for name, array in values.items():
        found |= as_columns({name: array})
        if array.dtype.kind == "c":
            found[f"|{name}|"] = np.abs(array)
    return found


def _known(truth: Mapping[str, np.ndarray], values: Fields) -> dict[str, np.ndarray]:
    """The truth of everything that is shown: of complex unknowns it is known by both parts."""
    found = dict(truth)
    for name in values:
        one, two = component_names(name.strip("|"))  # of a vector, there are no such names
        if name.startswith("|") and one in truth and two in truth:
            found[name] = np.hypot(truth[one], truth[two])
    return found


def _split(values: Mapping[str, np.ndarray], grids: Sequence[np.ndarray], views: int) -> tuple[Fields, Fields]:
    """Values at the points of all grids, (N,), by grid: those of the first `views` grids, and those of the others."""
    ends = np.cumsum([len(grid) for grid in grids])[:-1]
    parts = {name: [_squared(part) for part in np.split(found, ends)] for name, found in values.items()}
    return {name: p[:views] for name, p in parts.items()}, {name: p[views:] for name, p in parts.items()}


def _squared(values: np.ndarray) -> np.ndarray:
    side = {PIXELS**2: PIXELS, ERROR_PIXELS**2: ERROR_PIXELS}.get(len(values))
    return values if side is None else values.reshape(side, side)


def _arrays(found: Mapping[str, Any]) -> dict[str, np.ndarray]:
    return {name: np.asarray(values, dtype=float) for name, values in found.items()}


def _outlines(solution: Drawable, views: Sequence[View]) -> dict[View, np.ndarray]:
    """The outline of each view with two axes of space; the domain is the same at all times."""
    if solution.shape is None:
        return {}
    places = dict.fromkeys(view.in_space(solution) for view in views if len(view.axes) == 2)
    return {place: outline(solution, place) for place in places}
