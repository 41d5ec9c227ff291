"""Files of columns: measured data and references. CSV with a header line, or NPZ with equal-length arrays.

Input: a path that the spec has already held to the problem's folder. Output: float64 columns by name. Values that are
missing or not finite are refused with their row numbers.
"""

from __future__ import annotations

import csv
import zipfile
from pathlib import Path

import numpy as np

from pinnsolve.errors import Diagnostic, ProblemError

MOST_ROWS_NAMED = 8


def read_columns(path: Path, key: str) -> dict[str, np.ndarray]:
    """All columns (N,) by name; single values of an NPZ (such as `accuracy`) are repeated.

    Raises ProblemError naming the file, and the rows for values that are no finite numbers.
    """
    try:
        columns = _read_npz(path) if path.suffix.lower() == ".npz" else _read_csv(path)
    except (OSError, ValueError, zipfile.BadZipFile, KeyError, csv.Error, UnicodeDecodeError) as error:
        raise _wrong(path, key, f"cannot be read: {error}") from error
    lengths = {name: c.size for name, c in columns.items() if c.ndim}
    if len(set(lengths.values())) > 1:
        raise _wrong(path, key, f"columns differ in length: {lengths}")
    rows = next(iter(lengths.values()), 1 if columns else 0)
    if rows == 0:
        raise _wrong(path, key, "has no rows of data")
    columns = {name: c.ravel() if c.ndim else np.full(rows, c) for name, c in columns.items()}
    for name, column in columns.items():
        bad = np.flatnonzero(~np.isfinite(column))
        if bad.size:
            named = ", ".join(str(i + 1) for i in bad[:MOST_ROWS_NAMED]) + (
                " ..." if bad.size > MOST_ROWS_NAMED else ""
            )
            raise _wrong(path, key, f"column `{name}` holds no finite number in data rows {named}")
    return columns


def _read_npz(path: Path) -> dict[str, np.ndarray]:
    """Arrays as they are, single values with no axis."""
    if not zipfile.is_zipfile(path):
        raise ValueError("not an NPZ file")
    with np.load(path, allow_pickle=False) as data:
        return {name: _real(name, data[name]) for name in data.files}


def _real(name: str, array) -> np.ndarray:
    if not isinstance(array, np.ndarray) or array.dtype.kind not in "biuf":
        raise ValueError(f"`{name}` holds no real numbers")
    return array.astype(np.float64)


def _read_csv(path: Path) -> dict[str, np.ndarray]:
    with open(path, newline="", encoding="utf-8-sig") as file:
        rows = csv.reader(line for line in file if line.strip() and not line.lstrip().startswith("#"))
        header = [name.strip() for name in next(rows, [])]
        values = [[_number(cell) for cell in row] for row in rows]
    ragged = [i + 1 for i, row in enumerate(values) if len(row) != len(header)]
    if ragged:
        raise ValueError(f"data rows {ragged[:MOST_ROWS_NAMED]} do not have {len(header)} cells")
    table = np.array(values, dtype=np.float64).reshape(len(values), len(header))
    return {name: table[:, i] for i, name in enumerate(header)}


def _number(cell: str) -> float:
    try:
        return float(cell)
    except ValueError:
        return float("nan")


def _wrong(path: Path, key: str, message: str) -> ProblemError:
    return ProblemError([Diagnostic(f"`{path.name}` {message}", "error", str(path), None, key)])
