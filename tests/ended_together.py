"""`pinnsolve run` in one of several processes, which ends itself by a signal at a step of the solver.

Input, in the environment: ENDING, the name of the signal; AT, the step; IN, the number of the process that it comes to,
or all. Arguments are those of the command. Checkpoints are written at once, and nothing is drawn.
"""

from __future__ import annotations

import os
import signal

from pinnsolve.cli import main
from pinnsolve.results import checkpoints, run_folders
from pinnsolve.solvers import LSGD, recorded

checkpoints.EVERY = run_folders.LOGGED = recorded.EVERY = 0.0
checkpoints.SHARE = 1e9
step = LSGD.step


def stepped(self, assembly, iterate):
    """The step, and the signal where it is its turn."""
    after = step(self, assembly, iterate)
    chosen = os.environ.get("IN") in ("all", os.environ.get("RANK", "0"))
    if chosen and after.step == int(os.environ.get("AT", "-1")):
        os.kill(os.getpid(), getattr(signal, os.environ["ENDING"]))
    return after


LSGD.step = stepped
main()
