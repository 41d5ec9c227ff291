"""What a problem needs to know of a mesh file before any point is made: dimension, bounds, names of groups.

Input: a path that was held to the problem's folder. Output: a `MeshHeader`; `DataFileError` for a file that cannot be
used. meshio, and numpy with it, is imported when a mesh is named. No array library.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from pinnsolve.data_columns import DataFileError


@dataclass(frozen=True)
class MeshHeader:
    """`dimension` of space, bounds (d,), names of the groups of boundary cells and of those of full dimension."""

    dimension: int
    lower: tuple[float, ...]
    upper: tuple[float, ...]
    parts: tuple[str, ...]
    regions: tuple[str, ...]


def mesh_header(path: Path) -> MeshHeader:
    """The header of a mesh file. Raises `DataFileError`."""
    raise DataFileError("meshes are not supported yet")
