"""Are limits kept, and do runs leave each other alone?

    python scripts/limits.py [--seconds 2] [--only WORD ...] [--portion SECONDS] [--json FILE]
    python scripts/limits.py --together [--only NAME ...]

Output of the first: for every file of `problems/` the seconds of a solve that may take `--seconds`, of the clock and of
the processor, and the list of those that took more than a tenth and 2 s beyond it; 1 if there is one. With
`--json FILE` rows are kept, and a later call goes on with the files that are left; no run begins after `--portion`
seconds.

Of the second: for a few problems the seconds of one run alone, with one thread and with as many as libraries take by
themselves, and of two at once; 1 where two at once take more than 2.2 times the time of one.
"""

from __future__ import annotations

import argparse
import math
import os
import resource
import subprocess
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))

from measured import PROBLEMS, OverTime, keep_row, kept_rows, measure, reason, solved

TIMES, BESIDE = 1.1, 2.0  # what is asked: so many times the limit, and seconds beside
TOGETHER = 2.2  # times the seconds of one run alone that two at once may take
THREE = ("burgers", "helmholtz-2d", "cooling-fin")
THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")


def row_of(problem: str, overrides: tuple[str, ...], limit: float | None, settings: dict) -> dict:
    """The row of one solve with a limit, in a process of its own."""
    began, processor = time.perf_counter(), time.process_time()
    try:
        solution, _ = solved(problem, overrides, limit, **settings)
        said = {"status": solution.result["status"], "message": solution.result["message"]}
    except (Exception, OverTime) as failure:  # whatever it is, the table goes on
        said = {"status": "failed", "message": reason(failure)}
    return {**said, "seconds": time.perf_counter() - began, "processor": time.process_time() - processor}


def limited(arguments: argparse.Namespace) -> int:
    """The table of all files with a limit."""
    rows = {row["problem"]: row for row in kept_rows(arguments.json)}
    ends, left = time.monotonic() + arguments.portion, []
    for file in sorted(PROBLEMS.glob("*.yaml")):
        if arguments.only and not any(word in file.stem for word in arguments.only):
            continue
        if file.stem in rows:
            continue
        if time.monotonic() > ends:
            left.append(file.stem)
            continue
        row = {**measure(file.stem, limit=arguments.seconds, make_row=row_of), "problem": file.stem}
        rows[file.stem] = row
        print(shown(row), flush=True)
        keep_row(arguments.json, row)
    most = TIMES * arguments.seconds + BESIDE
    late = [row for row in rows.values() if min(row["seconds"], row["processor"]) > most]
    print(f"\n{len(rows)} files; solves that took more than {most:.1f} s: {'none' if not late else ''}")
    for row in late:
        print(shown(row))
    print(f"left: {', '.join(left) or 'none'}")
    return 1 if late else 0


def shown(row: dict) -> str:
    processor = row.get("processor", math.nan)
    return f"{row['problem']:36s} {row['seconds']:6.1f} s, processor {processor:6.1f} s  {row['status']}: " + " ".join(
        row["message"].split()
    )


def runs(name: str, count: int, threads: int | None) -> tuple[float, float]:
    """Seconds of the clock and of the processor, for so many runs of a problem at once."""
    environment = {key: value for key, value in os.environ.items() if key not in THREADS}
    if threads is not None:
        environment |= dict.fromkeys(THREADS, str(threads))
    code = f"import sys; sys.path.insert(0, {str(Path(__file__).parent)!r}); import measured; measured.solved({name!r})"
    before, began = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    children = [subprocess.Popen([sys.executable, "-c", code], env=environment) for _ in range(count)]
    for child in children:
        if child.wait():
            raise SystemExit(f"{name} did not run")
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    processor = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return time.perf_counter() - began, processor


def together(names: list[str]) -> int:
    """The table of runs alone and two at once, whole processes."""
    worst = 0.0
    for name in names:
        one, alone, two = runs(name, 1, 1), runs(name, 1, None), runs(name, 2, None)
        worst = max(worst, two[0] / alone[0])
        print(
            f"{name:30s} one thread {one[0]:.1f} s (processor {one[1]:.1f}), default threads {alone[0]:.1f} s "
            f"({alone[1]:.1f}), two at once {two[0]:.1f} s ({two[1]:.1f}): {two[0] / alone[0]:.2f} times",
            flush=True,
        )
    return 1 if worst > TOGETHER else 0


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=2.0, help="the limit of each solve")
    parser.add_argument("--only", nargs="*", default=[], help="words in names of problems")
    parser.add_argument("--portion", type=float, default=math.inf, help="begin no run after so many seconds")
    parser.add_argument("--json", type=Path, help="a file with a line of JSON for each run, appended to")
    parser.add_argument("--together", action="store_true", help="two runs at once, each against its time alone")
    arguments = parser.parse_args()
    return together(arguments.only or list(THREE)) if arguments.together else limited(arguments)


if __name__ == "__main__":
    sys.exit(main())
