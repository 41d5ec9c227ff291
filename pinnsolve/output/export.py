"""A solution on a regular grid of its box, or on cells that fill its shape, in files that other programs read.

Input: a `Solution`, a path whose ending says the format. Output: CSV, NPZ, VTU (PVD for a series in time) or XDMF.
"""

from __future__ import annotations

import csv
import io
import itertools
import math
import zipfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from xml.sax.saxutils import quoteattr

import numpy as np

from pinnsolve.errors import PinnsolveError
from pinnsolve.figures.slices import time_axis
from pinnsolve.geometry.factory import make_shape
from pinnsolve.language.vocabulary import close_match
from pinnsolve.results.expressions import Expressions
from pinnsolve.results.frames import has_views
from pinnsolve.results.grids import Arrays, axes_of, sample
from pinnsolve.results.mesh_values import node_values, with_time
from pinnsolve.results.solution import Solution
from pinnsolve.results.storage import replace_file

VALUES_FILE = "values.csv"  # of a run folder
MOST_ROWS = 1_000_000  # of it; more are no table for people
CELLS = {1: "line", 2: "quad", 3: "hexahedron"}
SIMPLICES = {2: "triangle", 3: "tetra"}

Frames = Iterator[tuple[float, Arrays]]


@dataclass(frozen=True)
class Places:
    """The mesh that a solution is written on: points (N, 3), padded with zeros, blocks of cells, and times, if any."""

    points: np.ndarray
    cells: list[tuple[str, np.ndarray]]
    times: np.ndarray | None


class ExportError(PinnsolveError):
    """The solution cannot be written as asked."""


def export(
    solution: Solution,
    path: Path,
    points: int | None = None,
    times: Sequence[float] | None = None,
    expressions: Sequence[str] = (),
) -> str:
    """Write the solution in the format that `path` ends in, and say what was written.

    `points` per space axis and `times` are those of the file's `output` where they are left out; `expressions` such as
    `D(u, x)` are written beside the unknowns. Raises `ExportError` for an unknown ending, and where the format cannot
    hold the solution.
    """
    ending = _ending(solution, path)
    if ending in FILMS:
        return _film(solution, path, times)
    if ending in PICTURES:
        return _picture(solution, path, times)
    axes = axes_of(solution, points, times)
    last_only = ending == ".vtu" and len(axes.get(solution.time, ())) > 1
    if last_only:
        axes[solution.time] = axes[solution.time][-1:]
    written = (_write_table if ending in TABLES else _write_mesh)(solution, path, axes, expressions)
    if last_only:
        written += f"; at {solution.time} = {axes[solution.time][0]:g} (a .pvd file has all times)"
    return f"wrote {path}: {written}"


def write_values(solution: Solution, folder: Path) -> tuple[str, ...]:
    """Write `values.csv` into a run folder where the file says of which times and grid; returns what is in the way."""
    path = folder / VALUES_FILE
    path.unlink(missing_ok=True)  # of an earlier run in this folder
    if not solution.output.is_stated:
        return ()
    axes = axes_of(solution)
    if math.prod(map(len, axes.values())) > MOST_ROWS:
        return (f"{VALUES_FILE} would have {_size(axes)}, and was left out; `pinnsolve export` writes any format",)
    _write_table(solution, path, axes, ())
    return ()


def read_times(text: str) -> tuple[float, ...]:
    """The times in a text such as `0,0.5,1`. Raises `ExportError`."""
    try:
        return tuple(float(part) for part in text.split(","))
    except ValueError:
        raise ExportError(f"--times takes numbers with commas between them, `0,0.5,1`, not {text!r}") from None


def _film(solution: Solution, path: Path, times: Sequence[float] | None) -> str:
    axis = axes_of(solution, None, times)[solution.time]
    solution.animate(path, axis.tolist())
    return f"wrote {path}: {len(axis)} times from {solution.time} = {axis[0]:g} to {axis[-1]:g}"


def _picture(solution: Solution, path: Path, times: Sequence[float] | None) -> str:
    """Surfaces of equal value in space where pyvista is, else the figure of a run."""
    space = [c for c in solution.coordinates if c not in (solution.time, *solution.ranges)]
    if len(space) == 3 and has_views():
        solution.plot_volume(path, time=None if not times else times[-1])
        return f"wrote {path}: surfaces of equal {solution.names[0]}"
    solution.plot(path)
    more = "; with `pip install pyvista`, surfaces in space" if len(space) == 3 else ""
    return f"wrote {path}: the figure of a run{more}"


def _size(axes: Arrays) -> str:
    return f"{' x '.join(str(len(axis)) for axis in axes.values())} points in {', '.join(axes)}"


def _write_table(solution: Solution, path: Path, axes: Arrays, expressions: Sequence[str]) -> str:
    values = sample(solution, axes, expressions)
    shaped = solution.shape is not None
    inside = ~np.all([np.isnan(v) for v in values.values()], axis=0).ravel() if shaped else None
    TABLES[path.suffix.lower()](path, axes, values, inside)
    return _size(axes) + (f", of which {np.count_nonzero(inside)} are in the domain" if shaped else "")


def _write_mesh(solution: Solution, path: Path, axes: Arrays, expressions: Sequence[str]) -> str:
    places = places_of(solution, axes)
    MESHES[path.suffix.lower()](path, places, frames(solution, places, expressions))
    if solution.shape is None:
        return _size(axes)
    ((kind, cells),) = places.cells
    times = f" at {len(places.times)} times" if places.times is not None and len(places.times) > 1 else ""
    return f"{len(places.points)} points and {len(cells)} cells ({kind}){times}"


# -- which format -----------------------------------------------------------------------------------------------


def _ending(solution: Solution, path: Path) -> str:
    """Find the format that the path ends in, and check that it can hold the solution."""
    ending = path.suffix.lower()
    if ending not in ENDINGS:
        found = f"ends in {path.suffix!r}" if path.suffix else "has no ending"
        near = close_match(ending, ENDINGS)
        raise ExportError(
            f"{path} {found}; the ending says the format: {', '.join(ENDINGS)}"
            + (f" (did you mean {near}?)" if near else "")
        )
    space = len(solution.coordinates) - (time_axis(solution) is not None)
    if ending in FILMS and (time_axis(solution) is None or not space):
        what = "depends on time only" if not space else "does not depend on time"
        raise ExportError(f"{path}: a film shows how a solution changes, and this one {what}")
    if ending in MESHES and solution.ranges:
        raise ExportError(f"{ending} cannot hold a solution over a range of {solution.ranges[0]}; use .csv or .npz")
    if ending in MESHES and space not in CELLS:
        what = f"it has {space} space dimensions" if space else "it depends on time only"
        raise ExportError(f"{ending} cannot hold this solution, as {what}; use .csv or .npz")
    if not path.absolute().parent.is_dir():
        raise ExportError(f"{path}: there is no folder {path.parent}")
    return ending


# -- tables and arrays ------------------------------------------------------------------------------------------


def _write_csv(path: Path, axes: Arrays, values: Arrays, inside: np.ndarray | None) -> None:
    """A row per point of the grid, or of those `inside` the domain."""

    def write(file: Any) -> None:
        text = io.TextIOWrapper(file, encoding="utf-8", newline="")
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow([*axes, *values])
        places = itertools.product(*(map(repr, axis.tolist()) for axis in axes.values()))
        columns = zip(*(array.ravel().tolist() for array in values.values()), strict=True)
        rows = ([*place, *map(repr, row)] for place, row in zip(places, columns, strict=True))
        writer.writerows(rows if inside is None else itertools.compress(rows, inside))
        text.detach()  # writes what is left; the file is closed by its owner

    replace_file(path, write)


def _write_npz(path: Path, axes: Arrays, values: Arrays, inside: np.ndarray | None) -> None:
    def write(file: Any) -> None:  # `numpy.savez` has no room for an unknown called `file`
        with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
            for name, array in {**axes, **values}.items():
                with archive.open(f"{name}.npy", "w", force_zip64=True) as member:
                    np.lib.format.write_array(member, array, allow_pickle=False)

    replace_file(path, write)


# -- meshes -----------------------------------------------------------------------------------------------------


def places_of(solution: Solution, axes: Arrays) -> Places:
    """The grid as cells, or of a shape, cells about as large that fill it up to its boundary."""
    space = [axis for name, axis in axes.items() if name != solution.time]
    times = axes.get(solution.time)
    if solution.shape is None:
        return Places(*mesh_of(space), times)
    from pinnsolve.geometry.triangulation import mesh_of_shape

    spacing = np.array([axis[1] - axis[0] for axis in space])
    points, cells = mesh_of_shape(make_shape(solution.shape), spacing)
    padded = np.zeros((len(points), 3))
    padded[:, : points.shape[1]] = points
    return Places(padded, [(SIMPLICES[points.shape[1]], cells)], times)


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


def frames(solution: Solution, places: Places, expressions: Sequence[str] = ()) -> Frames:
    """Each time with the unknowns and expressions at the points of the mesh; a steady solution is one frame at 0."""
    nodes = places.points[:, : len(solution.coordinates) - (places.times is not None)]
    compiled, in_domain = Expressions.of(solution, expressions), None
    for t in (0.0,) if places.times is None else places.times:
        points = with_time(solution, nodes, None if places.times is None else float(t))
        if in_domain is None and solution.shape is not None:  # the same at all times
            in_domain = solution.in_domain(points)
        yield float(t), node_values(solution, points, compiled, in_domain)


def _write_vtu(path: Path, places: Places, shown: Frames) -> None:
    import meshio  # only needed here

    ((_, data),) = shown
    mesh = meshio.Mesh(places.points, places.cells, point_data=data)
    replace_file(path, lambda file: meshio.write(file.name, mesh, "vtu"))


def _write_pvd(path: Path, places: Places, shown: Frames) -> None:
    lines = ['<?xml version="1.0"?>', '<VTKFile type="Collection" version="0.1">', "  <Collection>"]
    for i, (t, data) in enumerate(shown):
        frame = path.with_name(f"{path.stem}_{i:04d}.vtu")
        _write_vtu(frame, places, iter([(t, data)]))
        lines.append(f'    <DataSet timestep="{t!r}" part="0" file={quoteattr(frame.name)}/>')
    lines += ["  </Collection>", "</VTKFile>", ""]
    replace_file(path, lambda file: file.write("\n".join(lines).encode()))


def _write_xdmf(path: Path, places: Places, shown: Frames) -> None:
    from meshio.xdmf import TimeSeriesWriter

    with TimeSeriesWriter(path, data_format="XML") as writer:  # the other formats need h5py or more files
        writer.write_points_cells(places.points, places.cells)
        for t, data in shown:
            writer.write_data(t, point_data=data)


TABLES = {".csv": _write_csv, ".npz": _write_npz}
MESHES = {".vtu": _write_vtu, ".pvd": _write_pvd, ".xdmf": _write_xdmf}
FILMS = (".gif", ".mp4")
PICTURES = (".png",)
ENDINGS = (*TABLES, *MESHES, *FILMS, *PICTURES)
