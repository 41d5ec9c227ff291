"""A solution in the hands of other packages: an xarray Dataset, a pandas DataFrame, views in space by pyvista.

Input: a `Solution`. Output: objects of these packages, or files by them. They are imported here and nowhere else; where
one is missing, a `SolutionError` says how to get it.
"""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from pinnsolve.errors import SolutionError
from pinnsolve.language.components import component_names
from pinnsolve.results.grids import Arrays, axes_of, sample
from pinnsolve.version import version

if TYPE_CHECKING:
    from pinnsolve.results.solution import Solution

KEPT = ("status", "message", "method", "basis", "wall_time_s")  # of a result, as attributes of a Dataset


def to_xarray(solution: Solution, points: int | None, times: Sequence[float] | None, expressions: Sequence[str]) -> Any:
    """See `Solution.to_xarray`."""
    xarray = needed("xarray")
    axes = axes_of(solution, points, times)
    columns = _whole(solution, sample(solution, axes, expressions))
    result = solution.result
    variables = {name: (tuple(axes), values, _errors(result, name)) for name, values in columns.items()}
    about = {key: value for key in KEPT if (value := result.get(key)) is not None}
    return xarray.Dataset(variables, axes, {"problem": solution.name, **about, "version": f"pinnsolve {version()}"})


def to_dataframe(
    solution: Solution, points: int | None, times: Sequence[float] | None, expressions: Sequence[str]
) -> Any:
    """See `Solution.to_dataframe`."""
    pandas = needed("pandas")
    axes = axes_of(solution, points, times)
    columns = sample(solution, axes, expressions)
    places = dict(zip(axes, np.meshgrid(*axes.values(), indexing="ij"), strict=True))
    table = pandas.DataFrame({name: values.ravel() for name, values in {**places, **columns}.items()})
    if solution.shape is None:
        return table
    inside = ~np.all([np.isnan(values.ravel()) for values in columns.values()], axis=0)
    return table[inside].reset_index(drop=True)


def plot_volume(solution: Solution, path: Path, unknown: str, kind: str, time: float | None) -> Path:
    """See `Solution.plot_volume`."""
    from pinnsolve.figures.volumes import KINDS, draw_volume, volume_of

    if kind not in KINDS:
        raise SolutionError(f"a view in space shows {' or '.join(KINDS)}, not {kind!r}")
    volume = volume_of(solution, unknown, time)
    if volume is None:
        raise SolutionError("a view in space needs three coordinates of space; `plot` draws any solution")
    return draw_volume(needed("pyvista"), volume, path, kind)


def has_views() -> bool:
    """Whether there is pyvista, without importing it."""
    return importlib.util.find_spec("pyvista") is not None


def needed(package: str) -> Any:
    """The package, imported. Raises `SolutionError` where it is not installed."""
    try:
        return importlib.import_module(package)
    except ImportError:
        extra = EXTRAS[package]
        raise SolutionError(
            f"this needs the package {package}, which is not installed: `pip install {package}`, or "
            f"`pip install 'pinnsolve[{extra}]'` for all of its kind"
        ) from None


EXTRAS = {"xarray": "tables", "pandas": "tables", "pyvista": "views"}  # in pyproject.toml


def _whole(solution: Solution, columns: Arrays) -> Arrays:
    """Complex unknowns by one array of complex numbers instead of two of their parts."""
    first = {component_names(name)[0]: name for name in solution.complex_unknowns}
    second = {component_names(name)[1] for name in solution.complex_unknowns}
    whole = {one: columns[one] + 1j * columns[component_names(name)[1]] for one, name in first.items()}
    return {first.get(key, key): whole.get(key, value) for key, value in columns.items() if key not in second}


def _errors(result: dict, name: str) -> dict[str, float]:
    """What is known of the error of an unknown, relative in the root mean square."""
    keys = ("estimated_error", "relative_l2_error")
    return {key: error for key in keys if (error := (result.get(key) or {}).get(name)) is not None}
