"""The choice of the folder that a run is written to: a new one by default, so that no result is lost.

Input: the problem's name and the options of the command line. Output: a folder, or a `FolderError` before the solve
begins rather than after it.
"""

from __future__ import annotations

import json
import os
import re
from pathlib import Path

from pinnsolve.errors import PinnsolveError

RUNS = "runs"


class FolderError(PinnsolveError):
    """The output folder cannot be used, or there is nothing to resume."""


def choose_folder(name: str, out: Path | None, resume: bool) -> Path:
    """Choose the folder of a run: `out`, or `runs/NAME`, numbered if that is taken; with `resume`, the last of these.

    Nothing is created. Raises `FolderError` for an `out` that holds something else, or when nothing can be resumed.
    """
    if out is not None:
        folder = _given(out)
    elif resume:
        runs = [folder for _, folder in _numbered(name) if _holds_run_of(folder, name)]
        folder = runs[-1] if runs else Path(RUNS) / name
    else:
        taken = [number for number, _ in _numbered(name)]
        folder = Path(RUNS) / (f"{name}-{max(taken) + 1}" if taken else name)
    if resume and not is_run_folder(folder):
        raise FolderError(f"there is no run to resume in {folder}; leave --resume out to start one")
    _check_writable(folder)
    return folder


def is_run_folder(folder: Path) -> bool:
    """Say whether a folder holds a saved solution."""
    return (folder / "solution.npz").is_file() and (folder / "result.json").is_file()


def _given(out: Path) -> Path:
    if out.exists() and not out.is_dir():
        raise FolderError(f"--out {out} is a file; give a folder")
    if out.is_dir() and any(out.iterdir()) and not is_run_folder(out):
        raise FolderError(f"--out {out} is neither empty nor a run folder, so nothing is written there")
    return out


def _numbered(name: str) -> list[tuple[int, Path]]:
    """Find the paths `runs/NAME`, `runs/NAME-2`, `runs/NAME-3` ..., in that order, with their numbers."""
    pattern = re.compile(re.escape(name) + r"(?:-([1-9][0-9]*))?")
    found = []
    for path in Path(RUNS).iterdir() if Path(RUNS).is_dir() else ():
        if match := pattern.fullmatch(path.name):
            found.append((int(match[1] or 1), path))
    return sorted(found)


def _holds_run_of(folder: Path, name: str) -> bool:
    """Say whether a folder holds a run of this problem, and not of one whose name ends in a number."""
    if not is_run_folder(folder):
        return False
    try:
        return json.loads((folder / "result.json").read_text(encoding="utf-8")).get("problem") == name
    except (OSError, ValueError, AttributeError):
        return False


def _check_writable(folder: Path) -> None:
    above = folder.absolute()
    while not above.exists():
        above = above.parent
    if not above.is_dir():
        raise FolderError(f"{folder} cannot be made: {above} is a file")
    if not os.access(above, os.W_OK | os.X_OK):
        raise FolderError(f"{folder} cannot be written: no permission in {above}")
