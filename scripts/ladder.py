"""The ladder: our time and error beside those that were published, and those of other solvers run here and now.

Input: rungs (`published.RUNGS`), which peers, and a budget of seconds. Output: a row for each rung with our solves at
the paper's error and a tenth of it (and a tenth of the least error known elsewhere), and at the error that a peer ends
with, each with time, error, estimate and memory; the published figures with their sources; and for each peer that is
installed its errors against time. Rows go into a JSON file, in which a later run replaces those it has and keeps the
others.
"""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from measured import FACTOR, measure, say, shown
from peers import PEERS, installed, run_peer
from published import RUNGS, Rung

STORED = Path(__file__).resolve().parent / "stored" / "ladder.json"
SECONDS = 180.0  # that each solve may take
SHARE = 0.5  # of what was asked for is asked for next, where the error is just above it
COARSEST = 0.5  # that a tolerance may be, where a peer ends with more
FASTER = 100.0  # times that we are to reach a peer's error earlier


def accuracy_of(rung: Rung) -> float:
    """That of the reference, 0 where the solution is known."""
    import pinnsolve as ps

    reference = ps.load(rung.problem).reference
    if reference is None:
        return 0.0
    with np.load(reference) as file:
        return float(file["accuracy"])


def tolerances(rung: Rung) -> tuple[float, ...]:
    """What is asked for: the paper's error, a tenth of it, and a tenth of the least one elsewhere."""
    elsewhere = (rung.elsewhere.error / 10,) if rung.elsewhere and rung.elsewhere.error < rung.paper else ()
    return (rung.paper, rung.asked, *elsewhere)


def our_solves(rung: Rung, seed: int, limit: float) -> list[dict]:
    """One row for each tolerance; those after one that failed, or took half the time, are left out: they ask for more.
    What a tenth asks for is tried in any case, and half of it where that was missed."""
    rows: list[dict] = []
    waiting = list(tolerances(rung))
    while waiting:
        tolerance = waiting.pop(0)
        row = _solve(rung, tolerance, seed, limit)
        rows.append(row)
        over = row["status"] != "converged" or row["seconds"] > limit / 2
        if over and tolerance <= rung.asked:
            break
        missed = row["error"] is not None and row["error"] > tolerance
        if tolerance == rung.asked and missed:  # an estimate may be off by a little, as users find who know the truth
            waiting.insert(0, SHARE * tolerance)
    return rows


def meeting_solves(row: dict, rung: Rung, seed: int) -> list[dict]:
    """Our solves asked for no more than what each peer ends with, as one would who is content with that."""
    known = {solve["tolerance"] for solve in row["ours"]}
    wanted = {final(theirs)["error"] for theirs in row["peers"].values() if theirs["points"]}
    wanted = {min(COARSEST, error) for error in wanted if error > max(known)}
    return [_solve(rung, tolerance, seed, SECONDS) for tolerance in sorted(wanted, reverse=True)]


def _solve(rung: Rung, tolerance: float, seed: int, limit: float) -> dict:
    row = measure(rung.problem, limit=limit, seed=seed, tolerance=tolerance)
    kept = ("error", "errors", "estimated_error", "seconds", "memory_mb", "status", "message", "method", "basis")
    say(f"  {rung.name} to {tolerance:.1e}: {shown(row['error'])} in {row['seconds']:.1f} s, {row['status']}")
    return {"tolerance": tolerance, **{key: row.get(key) for key in kept}}


def final(theirs: dict) -> dict:
    """The point that a peer ends with: its error may have been smaller on the way, which nobody sees who does not know
    the solution."""
    return theirs["points"][-1]


def narrow(solve: dict, accuracy: float) -> bool:
    """Whether a solve says `converged` and is not, beyond what the reference can tell."""
    wrong = solve["error"] is None or solve["error"] > solve["tolerance"] + accuracy
    return solve["status"] == "converged" and wrong


def false(solve: dict, accuracy: float) -> bool:
    """Whether it is so by more than the factor that estimates may be off by, as in `verdicts.py`."""
    far = solve["error"] is None or solve["error"] > FACTOR * solve["tolerance"] + accuracy
    return far and narrow(solve, accuracy)


def judged(row: dict) -> dict:
    """The row with whether it shows what it is to show: an error of a tenth of the paper's best one, or of the
    reference, within the time; and how much earlier we reach the error that each peer ends with."""
    enough = max(row["asked"], row["accuracy"])
    found = [s for s in row["ours"] if s["error"] is not None and s["error"] <= enough]
    met = any(s["seconds"] <= SECONDS for s in found)
    honest = not any(false(s, row["accuracy"]) for s in row["ours"])
    ahead = {}
    for peer, theirs in row["peers"].items():
        if theirs["points"]:
            last = final(theirs)
            reached = [s["seconds"] for s in row["ours"] if s["error"] is not None and s["error"] <= last["error"]]
            ahead[peer] = last["seconds"] / min(reached) if reached else None
    return {**row, "met": met and honest, "honest": honest, "ahead": ahead}


def run_rung(rung: Rung, peers: Sequence[str], budget: float, seed: int, before: dict | None) -> dict:
    """The row of one problem. `before`: that of an earlier run, whose peers are kept where they do not run now."""
    kept = (before or {}).get("peers", {})
    published = {"error": rung.best.error, "source": rung.best.source, "paper": rung.paper}
    row = {"name": rung.name, "problem": rung.problem, "published": published, "asked": rung.asked}
    row |= {"accuracy": accuracy_of(rung), "ours": our_solves(rung, seed, SECONDS), "peers": dict(kept)}
    for peer in peers:
        if installed(peer):
            row["peers"][peer] = {**run_peer(peer, rung.problem, budget), "budget": budget}
            points = row["peers"][peer]["points"]
            best = f"{min(p['error'] for p in points):.1e}" if points else row["peers"][peer]["message"]
            say(f"  {rung.name} by {peer}: {best}")
    row["ours"] = [*meeting_solves(row, rung, seed), *row["ours"]]
    return judged(row)


def machine() -> dict[str, str]:
    """What the figures were measured on."""
    import torch

    threads = os.environ.get("OMP_NUM_THREADS") or str(torch.get_num_threads())
    versions = {"python": platform.python_version(), "torch": torch.__version__, "numpy": np.__version__}
    return {"architecture": platform.machine(), "threads": threads, **versions}


def chosen(only: Sequence[str]) -> list[Rung]:
    """The rungs whose names, or those of their problems, hold one of the words; all without words."""
    words = [word.lower() for word in only]
    return [r for r in RUNGS if not words or any(w in r.name.lower() or w in r.problem for w in words)]


def run_ladder(only: Sequence[str], peers: Sequence[str], budget: float, seed: int, path: Path | None) -> bool:
    """Climb it, print the table, write JSON; whether every row that ran shows what it is to show."""
    unknown = [peer for peer in peers if peer not in PEERS]
    if unknown:
        raise SystemExit(f"--peers: {', '.join(unknown)} is not among {', '.join(PEERS)}")
    missing = [peer for peer in peers if not installed(peer)]
    if missing:
        say(f"not installed, and left out: {', '.join(missing)}")
    path = path or STORED
    stored = read_rows(path)
    for rung in chosen(only):
        if rung.missing:
            say(f"  {rung.name} is not there: {rung.missing}")
            continue
        stored[rung.name] = run_rung(rung, peers, budget, seed, stored.get(rung.name))
        write_rows(path, stored)
    ran = [stored[rung.name] for rung in chosen(only) if rung.name in stored]
    print_rows(ran)
    return all(row["met"] for row in ran)


def read_rows(path: Path) -> dict[str, dict]:
    """Rows by name, of a file that may not be there yet."""
    if not path.exists():
        return {}
    return {row["name"]: row for row in json.loads(path.read_text(encoding="utf-8"))["rows"]}


def write_rows(path: Path, rows: dict[str, dict]) -> None:
    """Write rows in the order of the rungs."""
    path.parent.mkdir(parents=True, exist_ok=True)
    ordered = [rows[rung.name] for rung in RUNGS if rung.name in rows]
    path.write_text(json.dumps({"machine": machine(), "rows": ordered}, indent=1) + "\n", encoding="utf-8")


def shown_solve(row: dict) -> dict:
    """The solve that a table shows: the first one that is exact enough, or else the most exact one."""
    known = [s for s in row["ours"] if s["error"] is not None]
    enough = max(row["asked"], row["accuracy"])
    within = [s for s in known if s["error"] <= enough]
    return within[0] if within else min(known, key=lambda s: s["error"], default=row["ours"][-1])


def print_rows(rows: Sequence[dict]) -> None:
    """Rows under a header, aligned."""
    numbers = f"{'asked':>8s} {'error':>8s} {'estimate':>8s} {'seconds':>8s} {'MB':>6s}"
    print(f"{'problem':14s} {'published':>9s} {numbers}  met")
    for row in rows:
        solve = shown_solve(row)
        peers = "; ".join(_peer_text(peer, row) for peer in row["peers"])
        memory = f"{solve['memory_mb']:.0f}" if solve.get("memory_mb") else "-"
        print(
            f"{row['name']:14s} {row['published']['paper']:9.1e} {row['asked']:8.1e} {shown(solve['error']):>8s} "
            f"{shown(solve['estimated_error']):>8s} {solve['seconds']:8.1f} {memory:>6s}  "
            f"{'yes' if row['met'] else 'NO':3s} {solve['status']}  {peers}"
        )


def _peer_text(peer: str, row: dict) -> str:
    points = row["peers"][peer]["points"]
    if not points:
        return f"{peer}: {row['peers'][peer]['message']}"
    best, ahead = final(row["peers"][peer]), row["ahead"].get(peer)
    return f"{peer}: {best['error']:.1e} in {best['seconds']:.0f} s" + (f", x{ahead:.0f}" if ahead else "")
