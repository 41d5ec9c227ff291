"""The columns of data files, and where such files may lie.

Input: the folder of a problem file and the name of a CSV or NPZ file in it. Output: the path, and the names of the
columns, read from the header without reading the data. A file outside the folder is refused, whichever way the name
leads there.
Standard library only.
"""

from __future__ import annotations

import csv
import hashlib
import re
import stat
import zipfile
from collections.abc import Mapping
from pathlib import Path

from pinnsolve.errors import PinnsolveError

MAX_BYTES = 2 * 10**9  # of a data file, and of what is packed in an NPZ
MESHES = (".msh", ".vtu", ".vtk", ".xdmf", ".stl", ".ply", ".obj", ".off", ".mesh", ".su2")
MAX_HEADER = 65_536
MAX_MEMBERS = 1_000  # of an NPZ
MAX_RATIO, MAX_UNPACKED = 50, 5 * 10**7  # of an NPZ beside its size; bytes up to which that does not matter


class DataFileError(PinnsolveError):
    """A data file that cannot be used: `message` and `hint`."""

    def __init__(self, message: str, hint: str | None = None):
        self.message, self.hint = message, hint
        super().__init__(message)


def data_path(folder: Path, file: str) -> Path:
    """The path of a data file in the problem's folder or below. Raises `DataFileError`."""
    return _path(folder, file, (".csv", ".npz"), "not a CSV or NPZ file", "its name ends in .csv or .npz")


def mesh_path(folder: Path, file: str) -> Path:
    """The path of a mesh file in the problem's folder or below. Raises `DataFileError`."""
    return _path(folder, file, MESHES, "not a mesh file", f"its name ends in {', '.join(MESHES)}")


def digests(files: Mapping[str, Path]) -> dict[str, str]:
    """What the files hold, each as a short text that is another one for other contents."""
    found = {}
    for name, path in sorted(files.items()):
        try:
            with path.open("rb") as file:
                found[name] = hashlib.file_digest(file, "sha256").hexdigest()[:16]
        except OSError:  # gone since it was read
            found[name] = ""
    return found


def _path(folder: Path, file: str, endings: tuple[str, ...], refusal: str, hint: str) -> Path:
    name = Path(file)
    outside = "data lie beside the problem file, or in a folder below it"
    if name.is_absolute() or ".." in name.parts or re.match(r"[A-Za-z]:|\\|~", file):
        raise DataFileError("the file lies outside the problem's folder", outside)
    if name.suffix.lower() not in endings:
        raise DataFileError(refusal, hint)
    try:
        path = (folder / name).resolve()
        if not path.is_relative_to(folder.resolve()):
            raise DataFileError("the file lies outside the problem's folder: a link leads out of it", outside)
        status = path.stat()
    except FileNotFoundError:
        raise DataFileError("there is no such file", f"it is looked for in {folder}") from None
    except (OSError, ValueError, RuntimeError) as error:
        reason = getattr(error, "strerror", None) or "not a file name"
        raise DataFileError(f"the file cannot be read: {reason}") from None
    if not stat.S_ISREG(status.st_mode):
        raise DataFileError("that is not a file")
    if status.st_size > MAX_BYTES:
        raise DataFileError(f"the file is too large: at most {MAX_BYTES // 10**9} GB")
    return path


def columns(path: Path) -> tuple[str, ...]:
    """The names of the columns: the header of a CSV, the members of an NPZ. Raises `DataFileError`."""
    try:
        found = _npz_members(path) if path.suffix.lower() == ".npz" else _csv_header(path)
    except (OSError, UnicodeDecodeError, csv.Error, zipfile.BadZipFile, NotImplementedError) as error:
        reason = getattr(error, "strerror", None) or "not a file of that kind"
        raise DataFileError(f"the file cannot be read: {reason}") from None
    repeated = [name for name in found if found.count(name) > 1]
    if repeated:
        raise DataFileError(f"two columns are named `{repeated[0][:60]}`")
    return found


def _csv_header(path: Path) -> tuple[str, ...]:
    """The first line that is neither empty nor a comment (`#`)."""
    with path.open("rb") as stream:
        raw = stream.read(MAX_HEADER)
    text = raw.decode("utf-8-sig", errors="ignore" if len(raw) == MAX_HEADER else "strict")
    lines = (line for line in text.splitlines() if line.strip() and not line.lstrip().startswith("#"))
    header = next(lines, None)
    if header is None:
        raise DataFileError("the file is empty", "the first line names the columns: t,x,measured")
    names = tuple(name.strip() for name in next(csv.reader([header], skipinitialspace=True)))
    if len(names) > MAX_MEMBERS:
        raise DataFileError(f"too many columns: at most {MAX_MEMBERS}")
    if any(re.fullmatch(r"[-+0-9.eE]*", name) for name in names):
        raise DataFileError(
            "the first line does not name the columns", "write a line such as t,x,measured, with commas"
        )
    return names


def _npz_members(path: Path) -> tuple[str, ...]:
    with path.open("rb") as stream:
        size = stream.seek(0, 2)
        stream.seek(max(0, size - MAX_HEADER))
        tail = stream.read()
        end = tail.rfind(b"PK\x05\x06")  # the end record holds the size of the directory, which zipfile reads whole
        if end < 0 or int.from_bytes(tail[end + 12 : end + 16], "little") > 200 * MAX_MEMBERS:
            raise DataFileError("the file cannot be read: not an NPZ file")
    with zipfile.ZipFile(path) as archive:
        members = archive.infolist()
    unpacked = sum(member.file_size for member in members)
    if len(members) > MAX_MEMBERS or unpacked > MAX_BYTES:
        raise DataFileError(f"the file is too large: at most {MAX_BYTES // 10**9} GB unpacked")
    if unpacked > max(MAX_RATIO * size, MAX_UNPACKED):
        raise DataFileError(
            f"the file is packed too tightly: {unpacked / 1e6:.0f} MB come out of {size / 1e6:.1g} MB",
            "save it by `numpy.savez`, which does not pack",
        )
    return tuple(member.filename.removesuffix(".npy") for member in members)
