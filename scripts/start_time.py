"""How long the command line takes from its start to its end.

Input: names of problems, and seconds asked for. Output: rows (dicts), each of a command that ran several times as a
process of its own; the first run, which fills caches, is not counted. Where other programs keep the machine busy, the
least time is the one that says something about this program.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

RUNS = 7
ROOT = Path(__file__).resolve().parents[1]


def run_start(problem: str, seconds: float, runs: int = RUNS) -> dict:
    """The row of `pinnsolve run` of a problem file."""
    with tempfile.TemporaryDirectory() as folder:
        command = ["run", str(ROOT / "problems" / f"{problem}.yaml"), "--out", str(Path(folder, "run"))]
        times = [_seconds(command) for _ in range(runs + 1)][1:]
    least, median = min(times), statistics.median(times)
    row = {"case": f"pinnsolve run {problem}", "seconds": least, "median": median, "seconds_asked": seconds}
    return {**row, "load": os.getloadavg()[0] if hasattr(os, "getloadavg") else None, "met": least <= seconds}


def _seconds(command: list[str]) -> float:
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    environment.pop("PYTHONDONTWRITEBYTECODE", None)  # an installed program is compiled
    began = time.perf_counter()
    subprocess.run(
        [sys.executable, "-m", "pinnsolve", *command], env=environment, stdout=subprocess.DEVNULL, check=True
    )
    return time.perf_counter() - began


def print_start(rows: list[dict]) -> None:
    """Rows under a header, aligned."""
    print(f"\n{'whole process':34s} {'seconds':>8s} {'median':>7s} {'asked':>6s}  met  load of the machine")
    for row in rows:
        load = "-" if row["load"] is None else f"{row['load']:.1f}"
        print(
            f"{row['case']:34s} {row['seconds']:8.2f} {row['median']:7.2f} {row['seconds_asked']:6.1f}  "
            f"{'yes' if row['met'] else 'NO':3s}  {load}"
        )
