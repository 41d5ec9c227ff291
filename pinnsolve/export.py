"""A solution on a regular grid of its box, in files that other programs read.

Input: a `Solution`, a path whose ending says the format. Output: CSV, NPZ, VTU (PVD for a series in time) or XDMF.
"""

from __future__ import annotations

import csv
import io
import itertools
import math
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any
from xml.sax.saxutils import quoteattr

import numpy as np

from pinnsolve.errors import PinnsolveError
from pinnsolve.solution import Solution
from pinnsolve.storage import replace_file
from pinnsolve.views import time_axis
from pinnsolve.vocabulary import close_match

POINTS_PER_AXIS = {1: 100, 2: 100}  # by the number of space coordinates
POINTS_OTHERWISE = 40
TIME_LEVELS = 51
MOST_POINTS = 2e6  # of a grid nobody asked for
MOST_ASKED = 1e8  # of any grid
CELLS = {1: "line", 2: "quad", 3: "hexahedron"}

Arrays = dict[str, np.ndarray]


class ExportError(PinnsolveError):
    """The solution cannot be written as asked."""


def export(solution: Solution, path: Path, points: int | None = None) -> str:
    """Write the solution by the ending of `path`, with `points` per space axis; a sentence on what was written.

    Raises `ExportError` for an unknown ending, and where the format cannot hold the solution.
    """
    write = _writer(solution, path)
    time = time_axis(solution)
    axes = axes_of(solution, points)
    last_only = path.suffix.lower() == ".vtu" and time is not None
    if last_only:
        axes[solution.time] = axes[solution.time][-1:]
    size = " x ".join(str(len(axis)) for axis in axes.values())
    write(path, axes, sample(solution, axes), solution.time if time is not None else None)
    written = f"wrote {path}: {size} points in {', '.join(axes)}"
    if last_only:
        written += f"; only the last time, {solution.time} = {axes[solution.time][0]:g} (a .pvd file has all)"
    return written


def axes_of(solution: Solution, points: int | None = None) -> Arrays:
    """The values of each coordinate on the grid, by its name, both ends of each interval included."""
    time = time_axis(solution)
    space = len(solution.coordinates) - (time is not None)
    levels = 1 if time is None else TIME_LEVELS
    if points is None:
        most = int((MOST_POINTS / levels) ** (1 / max(space, 1)))
        count = max(2, min(POINTS_PER_AXIS.get(space, POINTS_OTHERWISE), most))
    else:
        count = points
        if space == 0:  # of an ordinary differential equation: time is the only axis there is
            levels = points
    if count < 2:
        raise ExportError(f"a grid has at least 2 points per axis, not {count}")
    if levels * count**space > MOST_ASKED:
        grid = f"{levels * count**space:.1e} points ({count} per axis in {space} dimensions)"
        raise ExportError(f"the grid would have {grid}; use fewer --points, or `evaluate` at points of your own")
    counts = [levels if axis == time else count for axis in range(len(solution.coordinates))]
    sides = zip(solution.coordinates, solution.intervals, counts, strict=True)
    return {name: np.linspace(*interval, n) for name, interval, n in sides}


def sample(solution: Solution, axes: Mapping[str, np.ndarray]) -> Arrays:
    """Each unknown on the grid, shaped (n_axis0, n_axis1, ...)."""
    meshes = np.meshgrid(*axes.values(), indexing="ij")
    values = solution(**dict(zip(axes, meshes, strict=True)))
    return values if isinstance(values, dict) else {solution.unknowns[0]: values}


# -- which format -----------------------------------------------------------------------------------------------


def _writer(solution: Solution, path: Path) -> Callable[..., None]:
    ending = path.suffix.lower()
    if ending not in WRITERS:
        found = f"ends in {path.suffix!r}" if path.suffix else "has no ending"
        near = close_match(ending, WRITERS)
        raise ExportError(
            f"{path} {found}; the ending says the format: {', '.join(WRITERS)}"
            + (f" (did you mean {near}?)" if near else "")
        )
    space = len(solution.coordinates) - (time_axis(solution) is not None)
    if ending in MESH_ENDINGS and space not in CELLS:
        what = f"it has {space} space dimensions" if space else "it depends on time only"
        raise ExportError(f"{ending} cannot hold this solution, as {what}; use .csv or .npz")
    if not path.absolute().parent.is_dir():
        raise ExportError(f"{path}: there is no folder {path.parent}")
    return WRITERS[ending]


# -- tables and arrays ------------------------------------------------------------------------------------------


def _write_csv(path: Path, axes: Arrays, values: Arrays, time: str | None) -> None:
    def write(file: Any) -> None:
        text = io.TextIOWrapper(file, encoding="utf-8", newline="")
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow([*axes, *values])
        places = itertools.product(*(map(repr, axis.tolist()) for axis in axes.values()))
        columns = zip(*(array.ravel().tolist() for array in values.values()), strict=True)
        writer.writerows([*place, *map(repr, row)] for place, row in zip(places, columns, strict=True))
        text.detach()  # writes what is left; the file is closed by its owner

    replace_file(path, write)


def _write_npz(path: Path, axes: Arrays, values: Arrays, time: str | None) -> None:
    def write(file: Any) -> None:  # `numpy.savez` has no room for an unknown called `file`
        with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
            for name, array in {**axes, **values}.items():
                with archive.open(f"{name}.npy", "w", force_zip64=True) as member:
                    np.lib.format.write_array(member, array, allow_pickle=False)

    replace_file(path, write)


# -- meshes -----------------------------------------------------------------------------------------------------


def mesh_of(axes: list[np.ndarray]) -> tuple[np.ndarray, list[tuple[str, np.ndarray]]]:
    """Points (N, 3), padded with zeros, and lines, quadrilaterals or hexahedra between them."""
    dimension, shape = len(axes), tuple(map(len, axes))
    numbers = np.arange(math.prod(shape)).reshape(shape)
    points = np.zeros((numbers.size, 3))
    points[:, :dimension] = np.stack([m.ravel() for m in np.meshgrid(*axes, indexing="ij")], axis=1)
    round_trip = [(0,), (1,)] if dimension == 1 else [(0, 0), (1, 0), (1, 1), (0, 1)]  # VTK's order of corners
    corners = round_trip if dimension < 3 else [(*corner, k) for k in (0, 1) for corner in round_trip]
    cells = [numbers[tuple(slice(c, n - 1 + c) for c, n in zip(corner, shape, strict=True))] for corner in corners]
    return points, [(CELLS[dimension], np.stack([c.ravel() for c in cells], axis=1))]


def _frames(axes: Arrays, values: Arrays, time: str | None) -> list[tuple[float, Arrays]]:
    """Each time with the unknowns at the points of the mesh; a steady solution is one frame at 0."""
    if time is None:
        return [(0.0, {name: array.ravel() for name, array in values.items()})]
    axis = list(axes).index(time)
    return [
        (float(t), {name: array.take(i, axis).ravel() for name, array in values.items()})
        for i, t in enumerate(axes[time])
    ]


def _space(axes: Arrays, time: str | None) -> list[np.ndarray]:
    return [axis for name, axis in axes.items() if name != time]


def _write_vtu(path: Path, axes: Arrays, values: Arrays, time: str | None) -> None:
    import meshio  # only needed here

    points, cells = mesh_of(_space(axes, time))
    _, data = _frames(axes, values, time)[-1]
    mesh = meshio.Mesh(points, cells, point_data=data)
    replace_file(path, lambda file: meshio.write(file.name, mesh, "vtu"))


def _write_pvd(path: Path, axes: Arrays, values: Arrays, time: str | None) -> None:
    import meshio

    points, cells = mesh_of(_space(axes, time))
    lines = ['<?xml version="1.0"?>', '<VTKFile type="Collection" version="0.1">', "  <Collection>"]
    for i, (t, data) in enumerate(_frames(axes, values, time)):
        mesh = meshio.Mesh(points, cells, point_data=data)
        frame = path.with_name(f"{path.stem}_{i:04d}.vtu")
        replace_file(frame, lambda file, mesh=mesh: meshio.write(file.name, mesh, "vtu"))
        lines.append(f'    <DataSet timestep="{t!r}" part="0" file={quoteattr(frame.name)}/>')
    lines += ["  </Collection>", "</VTKFile>", ""]
    replace_file(path, lambda file: file.write("\n".join(lines).encode()))


def _write_xdmf(path: Path, axes: Arrays, values: Arrays, time: str | None) -> None:
    from meshio.xdmf import TimeSeriesWriter

    with TimeSeriesWriter(path, data_format="XML") as writer:  # the other formats need h5py or more files
        writer.write_points_cells(*mesh_of(_space(axes, time)))
        for t, data in _frames(axes, values, time):
            writer.write_data(t, point_data=data)


WRITERS = {".csv": _write_csv, ".npz": _write_npz, ".vtu": _write_vtu, ".pvd": _write_pvd, ".xdmf": _write_xdmf}
MESH_ENDINGS = {".vtu", ".pvd", ".xdmf"}
