"""A solution at the nodes of a mesh.

Input: a `Solution` and a meshio mesh, or the path of one. Output: a mesh with the unknowns as point data.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from pinnsolve.errors import SolutionError
from pinnsolve.results.expressions import Expressions

if TYPE_CHECKING:
    import meshio

    from pinnsolve.results.solution import Solution

PLANE = 1e-9  # relative to the size of a mesh: how far from a plane the nodes of a plane mesh may be


def on_mesh(solution: Solution, mesh: meshio.Mesh | str | Path, **time: Any) -> meshio.Mesh:
    """See `Solution.on`."""
    import meshio  # only needed here

    if not isinstance(mesh, meshio.Mesh):
        mesh = _read(Path(mesh))
    points = with_time(solution, _places(solution, mesh.points), _moment(solution, time))
    data = {**mesh.point_data, **node_values(solution, points)}
    more = {key: getattr(mesh, key) for key in ("cell_data", "field_data", "point_sets", "cell_sets")}
    return meshio.Mesh(mesh.points, mesh.cells, point_data=data, **more)


def node_values(
    solution: Solution,
    points: np.ndarray,
    expressions: Expressions | None = None,
    in_domain: np.ndarray | None = None,
) -> dict[str, np.ndarray]:
    """Each unknown and each of the expressions at points (N, d), NaN outside of the domain: (N,) by name.

    Unknowns that are the components of a vector are there a second time, as that vector: (N, 3). `in_domain` (N,) marks
    the points of the domain where that is known already.
    """
    inside = ~solution.outside(points).any(axis=1)
    found = solution.columns(points[inside], inside=None if in_domain is None else in_domain[inside])
    if expressions is not None:
        found |= expressions.at(points[inside])
    values = {}
    for name, column in found.items():
        values[name] = np.full(len(points), np.nan)
        values[name][inside] = column
    for name, components in solution.vectors.items():
        values[name] = np.zeros((len(points), 3))
        values[name][:, : len(components)] = np.stack([values[component] for component in components], axis=1)
    return values


def with_time(solution: Solution, places: np.ndarray, moment: float | None) -> np.ndarray:
    """Points (N, coordinates) from places (N, space) and a time."""
    points = np.empty((len(places), len(solution.coordinates)))
    space = [i for i, name in enumerate(solution.coordinates) if name != solution.time]
    points[:, space] = places
    if moment is not None:
        points[:, solution.coordinates.index(solution.time)] = moment
    return points


def _read(path: Path) -> meshio.Mesh:
    import meshio

    if not path.is_file():
        raise SolutionError(f"There is no mesh file {path}.")
    try:
        return meshio.read(path)
    except (meshio.ReadError, OSError, ValueError, KeyError, IndexError, SystemExit) as error:
        raise SolutionError(f"{path} cannot be read as a mesh: {error or 'its format is not known'}.") from None


def _places(solution: Solution, nodes: np.ndarray) -> np.ndarray:
    """The columns of the nodes that are coordinates of space; further ones must be constant."""
    space = [name for name in solution.coordinates if name != solution.time]
    given = nodes.shape[1]
    if not space or len(space) > given:
        raise SolutionError(
            f"The mesh has {given} coordinates, but the solution depends on {len(space)} coordinates of space."
        )
    rest = nodes[:, len(space) :]
    if rest.size and np.ptp(rest, axis=0).max() > PLANE * np.ptp(nodes, axis=0).max():
        raise SolutionError(
            f"The solution depends on {', '.join(space)} only, but the mesh extends beyond these directions."
        )
    return np.asarray(nodes[:, : len(space)], dtype=float)


def _moment(solution: Solution, time: dict[str, Any]) -> float | None:
    if solution.time is None:
        if time:
            raise SolutionError(f"This solution does not depend on time; remove the argument {', '.join(time)}.")
        return None
    if set(time) != {solution.time}:
        raise SolutionError(f"Give the time and nothing else: solution.on(mesh, {solution.time}=...).")
    try:
        moment = float(time[solution.time])
    except (TypeError, ValueError):
        raise SolutionError(f"The time {solution.time} must be a number, not {time[solution.time]!r}.") from None
    axis = solution.coordinates.index(solution.time)
    if solution.outside(np.full((1, len(solution.coordinates)), moment))[0, axis]:
        raise SolutionError(solution.describe_outside(axis, moment))
    return moment
