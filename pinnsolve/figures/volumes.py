"""Views of a solution in space: surfaces of equal value and planes that cut it.

Input: a solution that depends on three coordinates of space. Output: PNG files, by pyvista where that is installed;
it is imported here and nowhere else.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from pinnsolve.figures.slices import time_axis
from pinnsolve.geometry.factory import make_shape
from pinnsolve.geometry.triangulation import mesh_of_shape

POINTS = 48  # per axis
SURFACES = 5  # of equal value, between the least and the largest one
WINDOW = (1100, 850)  # pixels
CELLS = 30  # per axis of a shape
OPACITY, SKIN, AMBIENT = 0.45, 0.08, 0.35  # of surfaces, of the boundary of a domain; light from everywhere
BAR = {"color": "black", "vertical": True, "position_x": 0.88, "position_y": 0.2, "height": 0.6, "fmt": "%.3g"}
SIGN_MATTERS = 0.05  # share of the largest value that the largest of the other sign has
SIGNED, POSITIVE = "RdBu_r", "viridis"  # maps of colours, as in the other figures
KINDS = ("surfaces", "planes")


@dataclass(frozen=True)
class Volume:
    """An unknown in space: `values` (N,) at `points` (N, 3), on a regular grid of `shape`, or on tetrahedra `cells`
    (K, 4) that fill a domain up to its boundary."""

    name: str
    coordinates: tuple[str, ...]
    points: np.ndarray
    values: np.ndarray
    shape: tuple[int, ...] | None
    cells: np.ndarray | None = None


def volume_of(solution: Any, unknown: str, time: float | None) -> Volume | None:
    """The values of an unknown in space at a `time`, the last one by default; None without three coordinates of space.

    Parameters with a range are in their middle. Of a complex unknown, the modulus.
    """
    axis = time_axis(solution)
    own = [i for i, name in enumerate(solution.coordinates) if name not in solution.ranges and i != axis]
    if len(own) != 3:
        return None
    intervals = np.array([solution.intervals[i] for i in own])
    if solution.shape is None:
        sides = np.meshgrid(*(np.linspace(*ends, POINTS) for ends in intervals), indexing="ij")
        places, cells = np.stack([side.ravel(order="F") for side in sides], axis=1), None  # x runs fastest
    else:
        places, cells = mesh_of_shape(make_shape(solution.shape), np.ptp(intervals, axis=1) / CELLS)
    points = np.tile([0.5 * (low + high) for low, high in solution.intervals], (len(places), 1))
    points[:, own] = places
    if axis is not None:
        points[:, axis] = solution.intervals[axis][1] if time is None else time
    values = solution.values(points, unknown)
    values = np.abs(values) if np.iscomplexobj(values) else values
    shape = (POINTS,) * 3 if cells is None else None
    return Volume(unknown, tuple(solution.coordinates[i] for i in own), places, values, shape, cells)


def draw_volume(pyvista: Any, volume: Volume, path: Path, kind: str = "surfaces") -> Path:
    """Write a picture of `surfaces` of equal value, or of three `planes` through the middle."""
    grid = _grid(pyvista, volume)
    low, high, colours = _limits(volume.values)
    look = {"cmap": colours, "clim": (low, high), "scalar_bar_args": {**BAR, "title": volume.name}}
    plotter = pyvista.Plotter(off_screen=True, window_size=list(WINDOW))
    try:
        plotter.set_background("white")
        if kind == "planes":
            plotter.add_mesh(grid.slice_orthogonal(), scalars=volume.name, lighting=False, **look)
        else:
            levels = np.linspace(low, high, SURFACES + 2)[1:-1]
            surfaces = grid.contour(levels, scalars=volume.name)
            if surfaces.n_points:  # of a constant there are none
                plotter.add_mesh(surfaces, scalars=volume.name, opacity=OPACITY, ambient=AMBIENT, **look)
            if volume.cells is not None:
                plotter.add_mesh(grid.extract_geometry(), color="gray", opacity=SKIN)
        plotter.add_mesh(grid.outline(), color="gray")
        names = dict(zip(("xtitle", "ytitle", "ztitle"), volume.coordinates, strict=True))
        plotter.show_bounds(color="black", location="outer", n_xlabels=3, n_ylabels=3, n_zlabels=3, **names)
        path.parent.mkdir(parents=True, exist_ok=True)
        plotter.screenshot(str(path))
    finally:
        plotter.close()
    return path


def _grid(pyvista: Any, volume: Volume) -> Any:
    if volume.cells is None:
        low, high = volume.points.min(axis=0), volume.points.max(axis=0)
        spacing = (high - low) / (np.array(volume.shape) - 1)
        grid = pyvista.ImageData(dimensions=volume.shape, origin=tuple(low), spacing=tuple(spacing))
    else:
        grid = pyvista.UnstructuredGrid({pyvista.CellType.TETRA: volume.cells}, volume.points)
    grid.point_data[volume.name] = volume.values
    return grid


def _limits(values: np.ndarray) -> tuple[float, float, str]:
    """The least and the largest value, and colours; where both signs matter, with zero in the middle."""
    known = values[np.isfinite(values)]
    low, high = (float(known.min()), float(known.max())) if known.size else (0.0, 1.0)
    if low < 0 < high and min(-low, high) > SIGN_MATTERS * max(-low, high):
        return -max(-low, high), max(-low, high), SIGNED
    return low, high if high > low else low + 1.0, POSITIVE
