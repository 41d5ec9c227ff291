"""The guard: a few solves, three minutes in all, compared with stored figures.

Input: the file of stored figures. Output: a table, and whether nothing became worse: no error ten times the stored one,
no time 1.5 times the stored one, and no `converged` that was one before lost. Times are compared as multiples of a
yardstick, a fixed piece of linear algebra that is timed before and after each case in the same run, so that a slower
machine makes both longer. Both are counted in seconds of the processor, of which other programs take none. `--store`
stores what is measured in place of what is there.
"""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from measured import largest, measure, most_memory, say, shown, solved

STORED = Path(__file__).resolve().parent / "stored" / "quick.json"
WORSE, SLOWER = 10.0, 1.5  # what fails
EXACT = 1e-12  # errors below are rounding, and not compared
REPEATS, WHILE = 3, 3.0  # solves of a case: two at least, and more as long as they took fewer seconds than that
SIZE, BATCH, BLOCK = 700, 400, 24  # of the yardstick: one matrix, and many small ones
YARDSTICKS = 5


@dataclass(frozen=True)
class Quick:
    """A problem and the tolerance it is solved to."""

    problem: str
    tolerance: float

    @property
    def name(self) -> str:
        return f"{self.problem} to {self.tolerance:.0e}"


# one or two of each way through the program: dense, cells, steps, slabs, shapes, systems, many coordinates, data
CASES = (
    Quick("poisson-2d", 1e-10),
    Quick("helmholtz-2d", 1e-10),
    Quick("poisson-3d", 1e-8),
    Quick("wave-1d", 1e-9),
    Quick("burgers", 1e-6),
    Quick("sine-gordon", 1e-8),
    Quick("heat-2d-multiscale", 1e-4),
    Quick("taylor-green", 1e-4),
    Quick("poisson-four-holes", 1e-3),
    Quick("layered-wall", 1e-6),
    Quick("kovasznay", 1e-6),
    Quick("poisson-5d", 1e-5),
    Quick("find-lorenz", 1e-6),
)


def yardstick() -> float:
    """Seconds of the processor for the fixed piece, the least of a few: one matrix solved with, and many small ones."""
    import torch

    generator = torch.Generator().manual_seed(0)
    large = torch.randn(SIZE, SIZE, generator=generator, dtype=torch.float64)
    small = torch.randn(BATCH, BLOCK, BLOCK, generator=generator, dtype=torch.float64)
    found = []
    for _ in range(YARDSTICKS):
        began = time.process_time()
        square = large @ large.T + SIZE * torch.eye(SIZE, dtype=torch.float64)
        torch.cholesky_solve(large, torch.linalg.cholesky(square))
        for _ in range(10):
            torch.linalg.qr(small)
            small @ small.mT
        found.append(time.process_time() - began)
    return min(found)


def repeated(problem: str, overrides: tuple[str, ...], limit: float | None, settings: dict) -> dict:
    """The row of a case: least seconds over a few solves, in multiples of the yardstick around them. The first one
    fills caches."""
    before, seconds, busy = yardstick(), [], []
    while len(seconds) < 2 or (len(seconds) < REPEATS and sum(busy) < WHILE):
        began = time.process_time()
        solution, one = solved(problem, overrides, limit, **settings)
        busy.append(time.process_time() - began)
        seconds.append(one)
    unit = min(before, yardstick())
    result = solution.result
    row = {"error": largest(result.get("relative_l2_error")), "seconds": min(seconds), "yardstick": unit}
    row |= {"estimated_error": largest(result.get("estimated_error")), "memory_mb": most_memory()}
    return {**row, "status": result["status"], "units": min(busy) / unit}


def faults(row: dict, stored: dict | None) -> list[str]:
    """What became worse, in words."""
    if stored is None:
        return []
    found = []
    if row["status"] != stored["status"] and stored["status"] == "converged":
        found.append(f"ended with `{row['status']}`, which was `converged`")
    if stored["error"] is not None:
        if row["error"] is None:
            found.append("has no error, and had one")
        elif row["error"] > WORSE * max(stored["error"], EXACT):
            found.append(f"an error of {row['error']:.1e}, which was {stored['error']:.1e}")
    if row.get("units") is not None and row["units"] > SLOWER * stored["units"]:
        found.append(f"{row['units']:.0f} yardsticks long, which was {stored['units']:.0f}")
    return found


def run_guard(path: Path | None, store: bool, seed: int, only: Sequence[str] = ()) -> bool:
    """Measure, print and compare the cases whose names hold one of the words; whether nothing became worse.

    Where figures are stored, those of other cases stay.
    """
    path = path or STORED
    stored = json.loads(path.read_text(encoding="utf-8"))["cases"] if path.exists() else {}
    if not stored and not store:
        say(f"there are no stored figures in {path}: nothing to compare with; --store writes them")
        return False
    rows = {name: row for name, row in stored.items() if name in {case.name for case in CASES}}
    fine = True
    print(f"{'case':28s} {'error':>8s} {'stored':>8s} {'seconds':>8s} {'units':>7s} {'stored':>7s}")
    for case in CASES:
        if only and not any(word in case.name for word in only):
            continue
        row = measure(case.problem, make_row=repeated, seed=seed, tolerance=case.tolerance)
        before = None if store else stored.get(case.name)
        worse = faults(row, before)
        fine = fine and not worse
        rows[case.name] = row
        _print_case(case, row, before, worse)
    if store:
        path.parent.mkdir(parents=True, exist_ok=True)
        ordered = {case.name: rows[case.name] for case in CASES if case.name in rows}
        path.write_text(json.dumps({"cases": ordered}, indent=1) + "\n", encoding="utf-8")
    return fine


def _print_case(case: Quick, row: dict, before: dict | None, worse: Sequence[str]) -> None:
    units = [shown(r.get("units"), ".1f") if r else "-" for r in (row, before)]
    errors = [shown(r["error"]) if r else "-" for r in (row, before)]
    numbers = f"{errors[0]:>8s} {errors[1]:>8s} {row['seconds']:8.2f} {units[0]:>7s} {units[1]:>7s}"
    print(f"{case.name:28s} {numbers}" + "".join(f"  WORSE: {fault}" for fault in worse), flush=True)
