"""The folder of a run, from before the solve to its end: a new one by default, so that no result is lost.

Input: the problem's name and the options of the command line. Output: a folder with the problem as resolved, the log
and the checkpoints of the solve that is under way, or a `FolderError` before the solve begins rather than after it. The
solution and its result are written by `storage`.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
import shutil
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pinnsolve.errors import PinnsolveError
from pinnsolve.files.data_files import digests
from pinnsolve.files.yaml_reader import parse_yaml
from pinnsolve.results.names import ABOUT_FILE, CHECKPOINTS, HISTORY_FILE, PROBLEM_FILE, RESULT_FILE, SOLUTION_FILE
from pinnsolve.version import version

if TYPE_CHECKING:
    from pinnsolve.problem.problem import Problem
    from pinnsolve.processes.communicator import Communicator
    from pinnsolve.results.checkpoints import Checkpoints
    from pinnsolve.results.solution import Solution
    from pinnsolve.solvers.journal import Journal

RUNS = "runs"
LOGGED = 0.5  # seconds from one write of the log to the next


class FolderError(PinnsolveError):
    """The output folder cannot be used, or there is nothing to resume."""


def choose_folder(name: str, out: Path | None, resume: bool) -> Path:
    """Choose the folder of a run: `out`, or `runs/NAME`, numbered if that is taken; with `resume`, the last of these.

    The folder is made: of two runs at once, each gets one of its own. An `out` that is empty, or not there, has nothing
    to resume yet: a run that was killed in its first second leaves no more. Raises `FolderError` for an `out` that
    holds something else, or when nothing can be resumed.
    """
    if out is not None:
        folder = _given(out)
    elif resume:
        runs = [folder for _, folder in _numbered(name) if _holds_run_of(folder, name)]
        folder = runs[-1] if runs else Path(RUNS) / name
    else:
        return _new(name)
    if resume and out is None and not holds_a_run(folder):
        raise FolderError(f"there is no run to resume in {folder}; leave --resume out to start one")
    _check_writable(folder)
    _made(folder, exist_ok=True)
    return folder


def is_run_folder(folder: Path) -> bool:
    """Say whether a folder holds a saved solution."""
    return (folder / SOLUTION_FILE).is_file() and (folder / RESULT_FILE).is_file()


def is_unfinished(folder: Path) -> bool:
    """Say whether a folder holds what a solve that was ended leaves."""
    return (folder / CHECKPOINTS / ABOUT_FILE).is_file()


def holds_a_run(folder: Path) -> bool:
    """Say whether there is something in a folder to go on from."""
    return is_run_folder(folder) or is_unfinished(folder)


def _new(name: str) -> Path:
    """Make `runs/NAME`, or the next number that nobody has."""
    _check_writable(Path(RUNS))
    while True:
        taken = [number for number, _ in _numbered(name)]
        folder = Path(RUNS) / (f"{name}-{max(taken) + 1}" if taken else name)
        try:
            _made(folder, exist_ok=False)
        except FileExistsError:  # another run was quicker
            continue
        return folder


def _made(folder: Path, exist_ok: bool) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=exist_ok)
    except FileExistsError:
        raise
    except OSError as error:
        raise FolderError(f"{folder} cannot be made: {error.strerror}") from None


def _given(out: Path) -> Path:
    if out.exists() and not out.is_dir():
        raise FolderError(f"--out {out} is a file; give a folder")
    if out.is_dir() and any(out.iterdir()) and not holds_a_run(out):
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
    for path in (folder / RESULT_FILE, folder / CHECKPOINTS / ABOUT_FILE):
        try:
            return json.loads(path.read_text(encoding="utf-8")).get("problem") == name
        except FileNotFoundError:
            continue
        except (OSError, ValueError, AttributeError, RecursionError):
            return False
    return False


def _check_writable(folder: Path) -> None:
    above = folder.absolute()
    while not above.exists():
        above = above.parent
    if not above.is_dir():
        raise FolderError(f"{folder} cannot be made: {above} is a file")
    if not os.access(above, os.W_OK | os.X_OK):
        raise FolderError(f"{folder} cannot be written: no permission in {above}")


# -- a solve under way ------------------------------------------------------------------------------------------------


class RunUnderWay:
    """What a run folder holds while its problem is solved: the problem, the log, and checkpoints to go on from.

    In a folder with a complete run, all of it stands beside that run until there is something better. `say` is told
    what goes wrong with it; the solve goes on.
    """

    def __init__(self, folder: Path, problem: Problem, resume: bool, say: Callable[[str], None], code: str = ""):
        self.folder, self.problem, self._say = folder, problem, say
        self._key = key_of(problem, code)
        self._kept = folder / CHECKPOINTS
        self._checkpoints: Checkpoints | None = None
        self._goes_on = resume and _key_at(self._kept) == self._key
        self._begin()

    def _begin(self) -> None:
        try:
            if not self._goes_on:
                shutil.rmtree(self._kept, ignore_errors=True)
                self._kept.mkdir()
                about = {"problem": self.problem.name, "key": self._key}
                (self._kept / ABOUT_FILE).write_text(json.dumps(about), encoding="utf-8")
            place = self._kept if is_run_folder(self.folder) else self.folder
            (place / PROBLEM_FILE).write_text(self.problem.spec.to_yaml(), encoding="utf-8")
            self._log = (place / HISTORY_FILE).open("w", encoding="utf-8")
        except OSError as error:
            self.abandon()
            raise FolderError(f"{self.folder} cannot be written: {error.strerror}") from None
        self._logged = time.monotonic()

    def journal(self, among: Communicator) -> Journal:
        """The pieces of the solve that was ended, if this one goes on from there, and who keeps more.

        Other processes that take part are told of the pieces.
        """
        from pinnsolve.results.checkpoints import Checkpoints
        from pinnsolve.solvers.journal import Journal

        self._checkpoints = kept = Checkpoints(self._kept, self._say)
        recorded = kept.recorded() if self._goes_on else iter(())
        return Journal(among.told(list(recorded)) if among.size > 1 else recorded, kept.keep, kept.cut)

    def log(self, record: Mapping[str, Any]) -> None:
        """Add a record to the log, which reaches the disk twice a second."""
        from pinnsolve.results.storage import to_json

        if self._log.closed:
            return
        try:
            self._log.write(to_json(record) + "\n")
            if time.monotonic() - self._logged > LOGGED:
                self._log.flush()
                self._logged = time.monotonic()
        except OSError as error:
            self._say(f"warning: the log in {self.folder} cannot be written: {error.strerror}")
            self._close()

    def _close(self) -> None:
        with contextlib.suppress(OSError, ValueError, AttributeError):
            self._log.close()

    def pause(self) -> None:
        """Write what is not written yet, before the answer so far is."""
        self._close()
        if self._checkpoints is not None:
            self._checkpoints.flush()

    def complete(self, ended: bool) -> None:
        """The solution is written; where the solve `ended` by itself, there is nothing to go on from."""
        if ended:
            shutil.rmtree(self._kept, ignore_errors=True)

    def abandon(self) -> None:
        """Leave no folder in which nothing was found."""
        self._close()
        if any(self._kept.glob("*.npz")):
            return
        shutil.rmtree(self._kept, ignore_errors=True)
        if is_run_folder(self.folder):
            return
        for name in (PROBLEM_FILE, HISTORY_FILE):
            with contextlib.suppress(OSError):
                (self.folder / name).unlink(missing_ok=True)
        for path in (self.folder, self.folder.parent):
            with contextlib.suppress(OSError):  # there is something else in it
                path.rmdir()


def key_of(problem: Problem, code: str) -> str:
    """A text that is another one for whatever changes the pieces of a solve, which limits and output do not.

    `code`: of operators.
    """
    text = problem.spec.to_yaml()
    try:
        data = parse_yaml(text).data
    except PinnsolveError:  # longer than a problem file may be, with all defaults
        data = {"text": text}
    solve = {key: value for key, value in (data.get("solve") or {}).items() if key != "limits"}
    told = json.dumps([{**data, "solve": solve, "output": None}, digests(problem.files()), version(), code])
    return hashlib.sha256(told.encode()).hexdigest()


def _key_at(folder: Path) -> str | None:
    try:
        return json.loads((folder / ABOUT_FILE).read_text(encoding="utf-8"))["key"]
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return None


def save_anywhere(solution: Solution, folder: Path) -> None:
    """Write the solution; where the folder cannot be written, to another one, so that nothing is lost.

    Raises `PinnsolveError` where it was another one.
    """
    try:
        solution.save(folder)
    except OSError as error:
        reason = f"{folder} cannot be written: {error.strerror or error}"
        try:
            other = solution.save(tempfile.mkdtemp(prefix=f"pinnsolve-{solution.name}-"))
        except OSError:
            raise PinnsolveError(f"{reason}; the solution is lost, since there is no other place for it") from None
        raise PinnsolveError(f"{reason}; the solution was saved in {other} instead") from None
