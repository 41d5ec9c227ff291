"""Is `converged` to be believed? Runs every problem whose truth is known, at two tolerances, and judges each run.

    python scripts/trust.py [--only WORD ...] [--folder DIR ...] [--seconds 30] [--portion SECONDS] [--json FILE]
                            [--workers 1] [--strict]

Input: the files of `problems/` and `tests/corpus/`, and of each folder given; beside files without `exact` or
`reference`, `expectations.yaml` says what is right. Each run is a process of its own with a limit of seconds. The
tolerances are that of the file and one looser: 1e-3, or ten times the file's where that is more. The looser one comes
first; where time ends it before it converges, the tighter one, which needs more, is skipped and named.

Output: a line for each run as it ends, then the share of runs that reach their tolerance or say no for the right
reason, the share of estimates within a factor 5 of the truth, and every run that says `converged` and is not. With
`--json FILE` each run is one line of JSON, appended; what stands there already, of the same file, is not run again.
`--portion SECONDS` begins no run after so many seconds, and the next call with the same FILE goes on from there.
Exits with 1 if a run is falsely `converged`. A true error beyond the tolerance by less than the factor that estimates
may be off is listed as narrow; it is not right, but it is false only with `--strict`.
"""

from __future__ import annotations

import argparse
import hashlib
import math
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import groupby
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent))

from measured import (
    FACTOR,
    PROBLEMS,
    OverTime,
    keep_row,
    kept_rows,
    largest,
    measure,
    reason,
    register_operators,
    say,
    shown,
    solved,
)
from verdicts import judged, shares, values_of

CORPUS = PROBLEMS.parent / "tests" / "corpus"
RIGHT_ASKED, GOOD_ASKED = 0.97, 0.95
LOOSE, TIMES = 1e-3, 10  # the second tolerance, and how far it is above that of the file
LOOSEST = 0.3


@dataclass(frozen=True)
class Run:
    """A file, the tolerance it is run at, and what is known of it."""

    file: Path
    tolerance: float
    expectation: dict[str, Any] = field(default_factory=dict)
    accuracy: float = 0.0
    named: dict[str, float] = field(default_factory=dict)  # tolerances of the file by unknown or quantity, if any

    @property
    def asked(self) -> float | dict[str, float]:
        """What the solve is asked for: tolerances by name, the smallest of which is that of the run, or just that."""
        least = min(self.named.values(), default=1.0)
        return {name: one * self.tolerance / least for name, one in self.named.items()} or self.tolerance

    @property
    def key(self) -> tuple[str, float, str]:
        digest = hashlib.sha256(self.file.read_bytes()).hexdigest()[:12]
        return f"{self.file.parent.name}/{self.file.stem}", self.tolerance, digest


def runs_of(folder: Path, only: list[str]) -> Iterator[Run]:
    """The runs of a folder; files that need a truth and have none are told and left out."""
    import pinnsolve as ps
    from pinnsolve.files.yaml_reader import load_yaml

    beside = folder / "expectations.yaml"
    expectations = load_yaml(beside).data if beside.exists() else {}
    for file in sorted(folder.glob("*.yaml")):
        if file == beside or (only and not any(word in f"{folder.name}/{file.stem}" for word in only)):
            continue
        expectation = expectations.get(file.stem, {})
        try:
            register_operators(file.stem)
            problem = ps.load(name_of(file))
        except ps.PinnsolveError:
            yield Run(file, 0.0, expectation)  # refused before any solve, whatever the tolerance
            continue
        if not (problem.exact or problem.reference or expectation):
            say(f"  left out, no truth is known: {file.stem}")
            continue
        tightest, named = float(problem.settings.tolerance), getattr(problem.settings.tolerance, "by_name", {})
        for tolerance in (min(LOOSEST, max(LOOSE, TIMES * tightest)), tightest):
            yield Run(file, tolerance, expectation, accuracy_of(problem), named)


def accuracy_of(problem) -> float:
    """That of the reference, where the truth is one."""
    import numpy as np

    if problem.exact or not problem.reference or problem.reference.suffix != ".npz":
        return 0.0
    with np.load(problem.reference) as file:
        return float(file["accuracy"])


def name_of(file: Path) -> str:
    """Problems that come with pinnsolve by their names: some have operators of their own."""
    return file.stem if file.parent == PROBLEMS else str(file)


def row_of(problem: str, overrides: tuple[str, ...], limit: float | None, settings: dict) -> dict:
    """The row of one solve, in a process of its own. What a file is refused for is its message."""
    import pinnsolve as ps

    began, points = time.perf_counter(), settings.pop("points")
    if not settings["tolerance"]:
        settings.pop("tolerance")
    row: dict[str, Any] = {"error": None, "estimated_error": None, "warnings": [], "seconds": 0.0}
    try:
        register_operators(problem)
        warnings = [warning.message for warning in ps.load(problem).warnings]
        solution, seconds = solved(problem, overrides, limit, **settings)
        result = solution.result
        values = [{name: value_at(solution, name, at) for name in names} for at, names in points]
    except ps.PinnsolveError as refusal:
        return {**row, "status": "refused", "message": str(refusal), "seconds": time.perf_counter() - began}
    except (Exception, OverTime) as failure:  # whatever it is, the table goes on
        return {**row, "status": "failed", "message": reason(failure), "seconds": time.perf_counter() - began}
    asked = settings.get("tolerance")
    return {
        "error": largest(those_asked_for(result.get("relative_l2_error"), asked)),
        "estimated_error": largest(those_asked_for(result.get("estimated_error"), asked)),
        "errors": result.get("relative_l2_error"),
        "estimates": result.get("estimated_error"),
        "warnings": [*warnings, *(result.get("warnings") or ())],
        "values": values,
        "limited_by": result.get("limited_by"),
        "seconds": seconds,
        **{key: result[key] for key in ("status", "message", "method", "basis")},
    }


def those_asked_for(values: dict[str, float] | None, asked: Any) -> dict[str, float] | None:
    """The values of what has a tolerance of its own, where tolerances are by name; all, if that is of none of them."""
    if not values or not isinstance(asked, dict):
        return values
    return {name: value for name, value in values.items() if name in asked} or values


def value_at(solution, name: str, at: dict[str, float]) -> float:
    """The unknown, or a derivative of it such as `D(u, x)`, at a point."""
    if name.startswith("D("):
        unknown, *by = [part.strip() for part in name[2:-1].split(",")]
        return float(solution.derivative(unknown, *by)(**at))
    found = solution(**at)
    return float(found[name] if isinstance(found, dict) else found)


def points_of(expectation: dict[str, Any]) -> list[tuple[dict[str, float], list[str]]]:
    """Points at which values are known, each with the names of what is known there."""
    beside = ("at", "accuracy", "scale")
    return [(dict(one["at"]), [name for name in one if name not in beside]) for one in values_of(expectation)]


def done(run: Run, limit: float) -> dict:
    points = points_of(run.expectation)
    row = measure(name_of(run.file), limit=limit, make_row=row_of, tolerance=run.asked, points=points)
    name, tolerance, digest = run.key
    return {**row, "problem": name, "tolerance": tolerance, "digest": digest}


def judge(run: Run, row: dict) -> dict:
    known = max((float(one.get("accuracy", 0.0)) for one in values_of(run.expectation)), default=0.0)
    return judged(row, run.expectation, run.tolerance or 1e-6, max(run.accuracy, known))


def print_row(row: dict) -> None:
    good = {True: "good", False: "OFF", None: ""}[row["estimate_good"]]
    print(
        f"{row['problem']:44s} {row['tolerance']:8.0e} {shown(row['error']):>8s} {shown(row['estimated_error']):>8s} "
        f"{good:5s} {row['seconds']:6.1f} s  {row['verdict']:8s} {row['status']}: "
        f"{' '.join(row['message'].split())[:150]}",
        flush=True,
    )


def print_shares(rows: list[dict]) -> None:
    found = shares(rows)
    print(f"\n{found['runs']} runs in {found['seconds']:.0f} s: {found['verdicts']}")
    print(f"tolerance reached, or no said for the right reason: {found['right']:.1%} (asked: {RIGHT_ASKED:.0%})")
    print(
        f"estimate within a factor {FACTOR} of the true error: {found['estimate_good']:.1%} of {found['estimates']} "
        f"(asked: {GOOD_ASKED:.0%})"
    )
    for verdict, words in (("narrow", "beyond the tolerance within the factor"), ("FALSE", "falsely converged")):
        named = [f"{row['problem']} at {row['tolerance']:.0e}" for row in rows if row["verdict"] == verdict]
        print(f"{words}: {'none' if not named else ''}")
        for one in named:
            print(f"    {one}")


def read_lines(file: Path | None) -> dict[tuple[str, float, str], dict]:
    """Rows that an earlier call wrote, by what they are of."""
    return {(row["problem"], row["tolerance"], row["digest"]): row for row in kept_rows(file)}


@dataclass
class Sweep:
    """Runs one after the other, or several at a time, within a portion of time; rows that a file has are not run."""

    limit: float
    ends: float
    before: dict[tuple[str, float, str], dict]
    kept: Path | None = None
    left: list[str] = field(default_factory=list)  # runs for the next portion
    skipped: list[str] = field(default_factory=list)  # tighter ones of files whose looser run time has ended

    def rows_of(self, pair: tuple[Run, ...]) -> list[dict]:
        """The judged rows of a file, the loosest tolerance first."""
        rows: list[dict] = []
        for run in pair:
            shown = f"{run.key[0]} at {run.tolerance:.0e}"
            if rows and ended_by_time(rows[-1]):
                self.skipped.append(shown)
            elif run.key not in self.before and time.monotonic() > self.ends:
                self.left.append(shown)
            else:
                rows.append(judge(run, self.row_of(run)))
        return rows

    def row_of(self, run: Run) -> dict:
        if run.key in self.before:
            return self.before[run.key]
        found = done(run, self.limit)
        keep_row(self.kept, found)
        return found


def ended_by_time(row: dict) -> bool:
    return row["status"] == "time_limit" or (row["status"] == "failed" and "OverTime" in row["message"])


def main() -> int:
    """Runs what the command line asks for; 1 if a run is falsely converged."""
    arguments = parsed()
    ends = time.monotonic() + arguments.portion
    sweep = Sweep(arguments.seconds, ends, read_lines(arguments.json), arguments.json)
    folders = [PROBLEMS, CORPUS, *(folder.resolve() for folder in arguments.folder)]
    runs = [run for folder in folders for run in runs_of(folder, arguments.only)]
    pairs = [tuple(of_file) for _, of_file in groupby(runs, key=lambda run: run.file)]
    rows = []
    with ThreadPoolExecutor(arguments.workers) as pool:
        for found in pool.map(sweep.rows_of, pairs):
            rows += found
            for row in found:
                print_row(row)
    print_shares(rows)
    for words, named in (("skipped, for lack of time at the looser tolerance", sweep.skipped), ("left", sweep.left)):
        print(f"{words}: {', '.join(named) or 'none'}")
    wrong = {"FALSE", "narrow"} if arguments.strict else {"FALSE"}
    return 1 if any(row["verdict"] in wrong for row in rows) else 0


def parsed() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", nargs="*", default=[], help="words in names such as corpus/heat-fin-robin")
    parser.add_argument("--folder", nargs="*", type=Path, default=[], help="more folders of problem files")
    parser.add_argument("--seconds", type=float, default=30, help="the limit of each run")
    parser.add_argument("--portion", type=float, default=math.inf, help="begin no run after so many seconds")
    parser.add_argument("--json", type=Path, help="a file with a line of JSON for each run, appended to")
    parser.add_argument("--workers", type=int, default=1, help="runs at the same time")
    parser.add_argument("--strict", action="store_true", help="narrow counts as false")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
