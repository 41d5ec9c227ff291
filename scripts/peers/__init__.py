"""Other solvers, run unmodified on our problems: each in a process of its own, with as many threads as we have.

A peer is a module here with `solve(stated, budget, record)`: it states the problem in its own words (from the terms of
the compiled problem), trains or solves with the settings of its own examples for at most `budget` seconds, and calls
`record(values)` with a function from points (N, d) to the unknowns (U, N) whenever there is something to judge. The
clock stands still while it is judged. `python -m peers PEER PROBLEM SECONDS`, from this folder's parent, prints what
came of it as JSON on the last line.
"""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path

SCRIPTS = Path(__file__).resolve().parents[1]
GRACE = 60.0  # seconds beyond the budget: imports, sampling, the last judgement


# what must be installed for each, the name in tables, and its module here
PEERS = {
    "deepxde": ("deepxde", "DeepXDE"),
    "pina": ("pina", "PINA"),
    "classical": ("skfem", "a classical code"),
}


def installed(peer: str) -> bool:
    return importlib.util.find_spec(PEERS[peer][0]) is not None


def title(peer: str) -> str:
    return PEERS[peer][1]


def run_peer(peer: str, problem: str, budget: float) -> dict:
    """What a peer reaches: a row with `points`, each of seconds and error, or with the reason why there are none."""
    row = {"solver": peer, "problem": problem, "points": [], "message": ""}
    if not installed(peer):
        return {**row, "message": "not installed"}
    command = [sys.executable, "-m", "peers", peer, problem, str(budget)]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(SCRIPTS), str(SCRIPTS.parent)])}
    try:
        done = subprocess.run(
            command, cwd=SCRIPTS, env=environment, capture_output=True, text=True, timeout=budget + GRACE, check=False
        )
    except subprocess.TimeoutExpired:
        return {**row, "message": f"went on after {budget + GRACE:.0f} s and was stopped"}
    lines = done.stdout.strip().splitlines()
    if done.returncode or not lines:
        said = (done.stderr.strip().splitlines() or ["no reason given"])[-1]
        return {**row, "message": f"ended with status {done.returncode}: {said[:200]}"}
    return {**row, **json.loads(lines[-1])}
