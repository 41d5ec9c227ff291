"""Files of columns: measured data and references. CSV with a header line, or NPZ with equal-length arrays.

Input: a path that the spec has already held to the problem's folder. Output: float64 columns by name. Values that are
missing or not finite are refused with their row numbers.
"""

from __future__ import annotations

import csv
import math
import zipfile
from collections.abc import Sequence
from functools import lru_cache
from itertools import chain
from pathlib import Path
from tokenize import TokenError

import numpy as np

from pinnsolve.errors import Diagnostic, ProblemError

MOST_ROWS_NAMED = 8
KEPT = 4  # files whose columns stay in memory


def read_columns(path: Path, key: str) -> dict[str, np.ndarray]:
    """All columns (N,) by name, not to be changed; single values of an NPZ (such as `accuracy`) are repeated.

    Raises ProblemError naming the file, and the rows for values that are no finite numbers. A solve asks for the same
    columns many times: those read last are kept, as long as their file is the same.
    """
    try:
        about = path.stat()
    except OSError as error:
        raise _wrong(path, key, f"cannot be read: {error.strerror}") from error
    return dict(_columns(path, key, about.st_mtime_ns, about.st_size))


@lru_cache(maxsize=KEPT)
def _columns(path: Path, key: str, time: int, size: int) -> dict[str, np.ndarray]:
    """`time` and `size` of the file are those of what was read."""
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


def measured_columns(
    path: Path, key: str, coordinates: Sequence[str], intervals: Sequence[tuple[float, float]]
) -> dict[str, np.ndarray]:
    """The columns of measured data. Raises ProblemError for missing coordinates and for points outside the box."""
    columns = read_columns(path, key)
    missing = [c for c in coordinates if c not in columns]
    if missing:
        raise _wrong(path, key, f"has no column `{missing[0]}`; its columns are {', '.join(columns)}")
    for name, (low, high) in zip(coordinates, intervals, strict=True):
        slack = 1e-9 * (high - low)
        outside = np.flatnonzero((columns[name] < low - slack) | (columns[name] > high + slack))
        if outside.size:
            rows = ", ".join(str(i + 1) for i in outside[:MOST_ROWS_NAMED])
            message = f"`{path.name}`: `{name}` lies outside [{low:g}, {high:g}] in data rows {rows}"
            raise ProblemError([Diagnostic(message, "error", str(path), None, key)])
    return columns


def reference_columns(
    path: Path, coordinates: Sequence[str], unknowns: Sequence[str]
) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
    """The columns of a reference: all, and those of unknowns. Raises ProblemError where what it needs is missing."""
    columns = read_columns(path, "reference")
    known = {name: columns[name] for name in unknowns if name in columns}
    if not known or any(c not in columns for c in coordinates):
        hint = f"it needs the coordinates {', '.join(coordinates)} and at least one unknown"
        message = f"`{path.name}` has the columns {', '.join(columns)}"
        raise ProblemError([Diagnostic(message, file=str(path), key="reference", hint=hint)])
    return columns, known


def _read_npz(path: Path) -> dict[str, np.ndarray]:
    """Arrays as they are, single values with no axis."""
    if not zipfile.is_zipfile(path):
        raise ValueError("not an NPZ file")
    with zipfile.ZipFile(path) as archive:
        for member in archive.infolist():
            _check_header(archive, member)
    with np.load(path, allow_pickle=False) as data:
        return {name: _real(name, data[name]) for name in data.files}


def _check_header(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> None:
    """Raises ValueError where an array is not as large as its header says, which numpy would make room for."""
    name = member.filename.removesuffix(".npy")
    with archive.open(member) as stream:
        try:
            newer = np.lib.format.read_magic(stream) > (1, 0)
            read = np.lib.format.read_array_header_2_0 if newer else np.lib.format.read_array_header_1_0
            shape, _, dtype = read(stream)
            held = member.file_size - stream.tell()
        except (ValueError, TypeError, SyntaxError, TokenError, RecursionError, MemoryError):  # of a literal of Python
            raise ValueError(f"`{name}` is no array of numbers") from None
    if not dtype.hasobject and math.prod(shape) * dtype.itemsize != held:
        raise ValueError(f"`{name}` is damaged: it does not hold the {math.prod(shape):.3g} numbers that it names")


def _real(name: str, array) -> np.ndarray:
    if not isinstance(array, np.ndarray) or array.dtype.kind not in "biuf":
        raise ValueError(f"`{name}` holds no real numbers")
    return array.astype(np.float64)


def _read_csv(path: Path) -> dict[str, np.ndarray]:
    with open(path, newline="", encoding="utf-8-sig") as file:
        lines = (line for line in file if line.strip() and not line.lstrip().startswith("#"))
        header = [name.strip() for name in next(csv.reader(lines), [])]
        first = next(lines, None)
        if first is None:
            return dict.fromkeys(header, np.empty(0))
        try:  # in a tenth of the time
            table = np.loadtxt(chain([first], lines), delimiter=",", comments=None, dtype=np.float64, ndmin=2)
        except ValueError:
            table = None
    if table is None or table.shape[1] != len(header):
        table = _with_gaps(path, header)
    return {name: table[:, i] for i, name in enumerate(header)}


def _with_gaps(path: Path, header: list[str]) -> np.ndarray:
    """The table (N, columns), NaN where a cell holds no number. Raises ValueError for rows of another length."""
    with open(path, newline="", encoding="utf-8-sig") as file:
        rows = csv.reader(line for line in file if line.strip() and not line.lstrip().startswith("#"))
        next(rows)
        values = [[_number(cell) for cell in row] for row in rows]
    ragged = [i + 1 for i, row in enumerate(values) if len(row) != len(header)]
    if ragged:
        raise ValueError(f"data rows {ragged[:MOST_ROWS_NAMED]} do not have {len(header)} cells")
    return np.array(values, dtype=np.float64).reshape(len(values), len(header))


def _number(cell: str) -> float:
    try:
        return float(cell)
    except ValueError:
        return float("nan")


def _wrong(path: Path, key: str, message: str) -> ProblemError:
    return ProblemError([Diagnostic(f"`{path.name}` {message}", "error", str(path), None, key)])
