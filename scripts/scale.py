"""Measures how a solve grows with the machine: prints a table, writes JSON, and goes on where it was ended.

    python scripts/scale.py [--json scale.json] [--seconds 450] [--only processes | threads | card ...] [--full]

Groups of rows:

- `processes`: one least squares on a wide network, by one process with one thread and by two processes; `--full` takes
  4000 functions on 200,000 rows, which is minutes, instead of 1500 on 30,000.
- `threads`: the same by one process, on one thread and on two.
- `card`: polynomials on cells by two threads of the processor, and on a card where there is one: Poisson's equation in
  a cube with 100,000 coefficients, and the Navier-Stokes equations in the plane with time; the network of the first
  group there, too. On a machine without a card, the rows of the processor alone.

`processor_seconds` are those of the busiest process, which other programs of the machine hardly disturb; `model` is
what `scale_model.py` foretells of them.

Every row is a process of its own, which has what is left of `--seconds` at most. Rows that are in the file are not
measured again: so a run that was ended, or one on a machine that is lent for minutes, is gone on with.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scale_model import CARD, CORE, cost, seconds_on_cells

from pinnsolve.process import WAITING

HERE = Path(__file__).resolve().parent
SMALL, FULL = (1500, 30_000), (4000, 200_000)  # functions of the network, and rows
THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")
COMPARED = (
    "width", "rows", "seconds", "processor_seconds", "model", "memory_gb", "coefficients", "error", "difference", "why",
)  # fmt: skip


@dataclass(frozen=True)
class Row:
    """One measurement: a script of this folder with arguments, started so often, with so many threads each."""

    name: str
    group: str
    script: str
    arguments: tuple[str, ...]
    processes: int = 1
    threads: int = 1
    beside: str = ""  # the row whose solution this one's should be


def rows(full: bool, card: bool) -> Iterator[Row]:
    """All rows: first what others are held against, then those of a card, whose machine may be lent for minutes."""
    width, count = (str(number) for number in (FULL if full else SMALL))
    network = ("scale_network.py", (width, count))
    yield Row("network, 1 process", "processes", *network)
    if card:
        yield Row("network, cuda", "card", network[0], (*network[1], "--device", "cuda"), beside="network, 1 process")
    for place in ("cuda", "cpu") if card else ("cpu",):
        for kind in ("poisson", "navier-stokes"):
            yield Row(f"{kind}, {place}", "card", "scale_cells.py", (kind, place), threads=2)
    yield Row("network, 2 processes", "processes", *network, processes=2, beside="network, 1 process")
    yield Row("network, 2 threads", "threads", *network, threads=2, beside="network, 1 process")


def measured(row: Row, folder: Path, limit: float) -> dict:
    """What a row's script writes, or a reason why there is nothing."""
    out = folder / row.name.replace(", ", "-").replace(" ", "-")
    arguments = row.arguments
    if row.script == "scale_network.py":
        arguments = (*arguments[:2], str(row.threads), str(out), *arguments[2:])
    else:
        arguments = (*arguments, str(row.threads), str(out))
    launched = ["-m", "torch.distributed.run", "--nproc-per-node", str(row.processes)] if row.processes > 1 else []
    command = [sys.executable, *launched, str(HERE / row.script), *arguments]
    paths = os.pathsep.join([str(HERE.parent), *filter(None, [os.environ.get("PYTHONPATH")])])
    environment = {**WAITING, **os.environ, **dict.fromkeys(THREADS, str(row.threads)), "PYTHONPATH": paths}
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=limit, env=environment)
    except subprocess.TimeoutExpired:
        return {"why": f"not done after {limit:.0f} s"}
    result = out.with_name(out.name + ".json")
    if done.returncode or not result.exists():
        return {"why": (done.stderr.strip().splitlines() or ["nothing was said"])[-1][:200]}
    found = json.loads(result.read_text(encoding="utf-8"))
    if "width" in found:
        machine = CARD if "cuda" in row.arguments else CORE
        found["model"] = cost(found["width"], found["rows"], row.processes, machine).seconds
    elif "multiplications" in found:
        machine = CARD if "cuda" in row.arguments else CORE
        found["model"] = seconds_on_cells(found["coefficients"], found["multiplications"], machine)
    other = folder / (row.beside.replace(", ", "-").replace(" ", "-") + ".npy")
    if row.beside and other.exists():
        one, expected = np.load(out.with_name(out.name + ".npy")), np.load(other)
        found["difference"] = float(np.abs(one - expected).max() / np.abs(expected).max())
    return found


def shown(name: str, found: dict) -> str:
    """A line of the table."""
    parts = [f"{key} {found[key]:.3g}" if isinstance(found[key], float) else f"{key} {found[key]}" for key in COMPARED
             if key in found]  # fmt: skip
    return f"{name:24s}" + ", ".join(parts)


def summary(found: dict[str, dict]) -> Iterator[str]:
    """How many times as fast rows are as those that they are held against."""
    pairs = [("network, 1 process", other) for other in ("network, 2 processes", "network, 2 threads", "network, cuda")]
    pairs += [(f"{kind}, cpu", f"{kind}, cuda") for kind in ("poisson", "navier-stokes")]
    for slow, fast in pairs:
        times = [found.get(name, {}).get("seconds") for name in (slow, fast)]
        if all(times):
            yield f"{fast}: {times[0] / times[1]:.2f} times as fast as {slow}"


def card_there() -> bool:
    """Whether torch finds a card, asked of a process of its own: this one is to hold none."""
    code = "import torch, sys; sys.exit(not torch.cuda.is_available())"
    return subprocess.run([sys.executable, "-c", code]).returncode == 0


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", type=Path, default=Path("scale.json"))
    parser.add_argument("--seconds", type=float, default=450.0)
    parser.add_argument("--only", action="append", choices=("processes", "threads", "card"))
    parser.add_argument("--full", action="store_true")
    asked = parser.parse_args(arguments)
    end = time.monotonic() + asked.seconds
    found = json.loads(asked.json.read_text(encoding="utf-8")) if asked.json.exists() else {}
    kept = asked.json.with_suffix(".solutions")
    kept.mkdir(parents=True, exist_ok=True)
    left = 0
    for row in rows(asked.full, card_there()):
        if asked.only and row.group not in asked.only:
            continue
        if "seconds" not in found.get(row.name, {}):
            limit = end - time.monotonic()
            if limit < 5.0:
                left += 1
                continue
            found[row.name] = measured(row, kept, limit)
            with tempfile.NamedTemporaryFile("w", dir=asked.json.resolve().parent, delete=False) as file:
                json.dump(found, file, indent=2)
            os.replace(file.name, asked.json)
        print(shown(row.name, found[row.name]), flush=True)
    for line in summary(found):
        print(line)
    if left:
        print(f"{left} rows are left; the same command goes on with them")
    return 1 if left else 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
