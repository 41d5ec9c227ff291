"""Work that a process shares with a copy of itself."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


def test_work_shared_with_a_copy_of_the_process():
    """In a process of its own, because this one may have threads."""
    code = (
        "import os, sys\nfrom pinnsolve.figures import side_by_side\n"
        "side_by_side.processors = lambda: 2\nparent = os.getpid()\n"
        "def work(number):\n"
        "    if number == 5 and os.getpid() != parent and len(sys.argv) > 1: os._exit(1)\n"
        "    return number**2\n"
        "print(side_by_side.in_two(work, 9))\n"
    )
    for arguments in ((), ("dies",)):  # what a copy that died has not said is done again
        done = subprocess.run([sys.executable, "-c", code, *arguments], capture_output=True, text=True, cwd=ROOT)
        assert done.returncode == 0, done.stderr
        assert done.stdout.strip() == str([number**2 for number in range(9)])
