"""Arrays and data frames as data files: what is given in Python takes the way that files go.

Input: a map from names to arrays, a data frame or a structured array. Output: an NPZ file in a folder of this process,
which is removed when the process ends. pandas and its like are never imported: a frame is what lists its columns.
"""

from __future__ import annotations

import atexit
import shutil
import tempfile
import zipfile
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from pinnsolve.errors import PinnsolveError


def columns_of(source: Any, name_of: Callable[[Any], Any] = str) -> dict[str, np.ndarray]:
    """The columns (N,) by name. Raises `PinnsolveError` for what holds no columns of numbers of one length.

    `name_of` gives the name of a key, which may be a symbol.
    """
    if isinstance(source, Mapping):
        named = dict(source)
    elif hasattr(source, "columns") and hasattr(source, "__getitem__"):
        named = {name: source[name] for name in source.columns}
    elif getattr(getattr(source, "dtype", None), "names", None):
        named = {name: source[name] for name in source.dtype.names}
    else:
        raise PinnsolveError("a map from names to arrays, a data frame or a structured array is expected")
    found = {str(name_of(name)): _numbers(str(name_of(name)), values) for name, values in named.items()}
    lengths = {name: values.size for name, values in found.items()}
    if not found or len(set(lengths.values())) > 1:
        raise PinnsolveError(f"columns differ in length: {lengths}" if found else "there are no columns")
    return found


def _numbers(name: str, values: Any) -> np.ndarray:
    array = np.asarray(values.to_numpy() if hasattr(values, "to_numpy") else values)
    if array.dtype.kind not in "biuf":
        raise PinnsolveError(f"the column `{name}` holds no real numbers, but {array.dtype}")
    if array.ndim > 1 and array.size != max(array.shape):
        raise PinnsolveError(f"the column `{name}` has the shape {array.shape}, and one number is needed for each row")
    return array.astype(np.float64).ravel()


def write_columns(path: Path, columns: Mapping[str, np.ndarray]) -> None:
    """Write columns (N,) to an NPZ file."""
    with zipfile.ZipFile(path, "w") as archive:  # `numpy.savez` cannot write a column called `file`
        for name, values in columns.items():
            with archive.open(f"{name}.npy", "w") as stream:
                np.lib.format.write_array(stream, values)


def own_folder() -> Path:
    """A new folder, which is removed when the process ends."""
    folder = Path(tempfile.mkdtemp(prefix="pinnsolve-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder


def gather(names: Iterable[str], source: Path, target: Path) -> None:
    """Copy those of the named files that there are from one folder to another."""
    for name in names:
        path = source / name
        if path.is_file() and path.resolve().is_relative_to(source.resolve()):
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, target / name)
