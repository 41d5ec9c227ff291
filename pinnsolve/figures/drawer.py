"""A second process that draws the figures of a run.

Input: `Samples` and a folder. Output: PNG files. The process imports matplotlib while this one imports torch and
solves, and ends with this one: it reads its work from a pipe, and shares it with a copy of itself. Where there is no
such process, this one draws.
"""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING

from pinnsolve import process

if TYPE_CHECKING:
    from pinnsolve.figures.samples import Drawn, Samples


class Drawer:
    """Use it as `with Drawer() as drawer: ...; drawer.draw(samples, folder)`, once."""

    def __init__(self):
        paths = os.pathsep.join(path for path in sys.path if path)
        single = dict.fromkeys(process.THREADS, "1")  # a copy of the process has no other threads
        try:
            self._process = subprocess.Popen(
                [sys.executable, "-P", "-m", __name__],  # finds modules where this process does, nowhere else
                env={**os.environ, **single, "PYTHONPATH": paths},
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                start_new_session=True,  # Ctrl-C ends the solve, not the drawing of what the solve found
            )
        except OSError:
            self._process = None

    def __enter__(self) -> Drawer:
        return self

    def __exit__(self, kind: type | None, value: BaseException | None, trace: TracebackType | None) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            for pipe in (self._process.stdin, self._process.stdout):
                with suppress(OSError):  # what was not written has nobody to go to
                    pipe.close()

    def draw(self, samples: Samples, folder: Path) -> Drawn:
        """Draw what can be drawn into a folder; see `figures.save_figures`."""
        answer = b"" if self._process is None else self._answered(pickle.dumps((samples, folder.absolute())))
        if answer:
            return pickle.loads(answer)
        from pinnsolve.figures.figures import save_figures

        return save_figures(samples, folder)

    def _answered(self, work: bytes) -> bytes:
        """What the other process says to its work; nothing where it is gone. It reads all before it says anything."""
        try:
            with self._process.stdin as pipe:
                pipe.write(work)  # `communicate` would write half a kilobyte at a time
            answer = self._process.stdout.read()
        except OSError:
            return b""
        return answer if self._process.wait() == 0 else b""


def main() -> None:
    """Import what drawing takes, wait for samples on standard input, and answer on standard output."""
    process.pause_garbage_collection()
    from pinnsolve.figures import style
    from pinnsolve.figures.figures import save_figures
    from pinnsolve.figures.side_by_side import in_two

    style.practise()
    work = sys.stdin.buffer.read()
    if work:
        sys.stdout.buffer.write(pickle.dumps(save_figures(*pickle.loads(work), in_two)))
    process.leave(0)


if __name__ == "__main__":
    main()
