"""One solve, measured: what the scripts that print tables have in common.

Input: a problem's name, settings put over its file. Output: a row (a dict) with seconds, error and estimate; a solve
that fails is a row, too, with the reason. Seconds are those of `solve` after import; errors are against the exact
solution or the reference, at points the solver never used.
"""

from __future__ import annotations

import importlib
import json
import math
import multiprocessing
import os
import runpy
import signal
import sys
import threading
import time
from contextlib import contextmanager
from pathlib import Path
from typing import Any

PROBLEMS = Path(__file__).resolve().parents[1] / "problems"
FACTOR = 5  # an estimate within this factor of the true error is a good one


class OverTime(BaseException):  # no `except Exception` on the way swallows it
    """A solve went on long after its limit."""


def import_all() -> None:
    """Everything a solve may import, so that no table measures that."""
    import torch

    import pinnsolve

    importlib.import_module("scipy.linalg")  # by what is called, not by the heads of modules
    torch.zeros(1, dtype=torch.float64)
    folder = Path(pinnsolve.__file__).parent
    for path in sorted(folder.rglob("*.py")):
        parts = path.relative_to(folder).with_suffix("").parts
        if parts[-1] not in ("__init__", "__main__") and "problems" not in parts:
            importlib.import_module(".".join(("pinnsolve", *parts)))


@contextmanager
def at_most(seconds: float | None):
    """Raises OverTime in the block after `seconds`; does nothing without a limit or where there are no alarms."""
    usable = seconds and hasattr(signal, "SIGALRM") and threading.current_thread() is threading.main_thread()
    if not usable:
        yield
        return

    def ring(*_):
        raise OverTime(f"stopped after {seconds:.0f} s")

    before = signal.signal(signal.SIGALRM, ring)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def register_operators(problem: str) -> None:
    """The custom operators that a problem file comes with, if any."""
    file = PROBLEMS / "operators" / f"{problem}.py"
    if file.exists():
        runpy.run_path(str(file))


def solved(problem: str, overrides: tuple[str, ...] = (), limit: float | None = None, **settings: Any):
    """(Solution, seconds) of one solve. `limit` is that of the file; twice that and 10 s ends it in any case."""
    import pinnsolve as ps

    register_operators(problem)
    if limit:
        settings["limits"] = {**settings.get("limits", {}), "seconds": limit}
    stated = ps.load(problem, overrides)
    with at_most(2 * limit + 10 if limit else None):
        began = time.perf_counter()
        solution = ps.solve(stated, **settings)
        return solution, time.perf_counter() - began


def measure(
    problem: str, overrides: tuple[str, ...] = (), limit: float | None = None, make_row=None, **settings: Any
) -> dict:
    """The row of one solve: error and estimate are the largest over the unknowns, None where there is none.

    It runs in a fresh process, so that the table survives whatever happens there, and with no more memory than is free.
    (A forked one would inherit the locks of threads that it does not have, and wait for them.)
    """
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe(duplex=False)
    began = time.perf_counter()
    worker = context.Process(target=_send_row, args=(theirs, make_row or _row, problem, overrides, limit, settings))
    worker.start()
    theirs.close()
    try:
        return ours.recv()
    except EOFError:
        worker.join()
        return failed(problem, f"the process ended with status {worker.exitcode}", time.perf_counter() - began)
    finally:
        worker.join()


def _send_row(pipe, make_row, problem: str, overrides: tuple[str, ...], limit: float | None, settings: dict) -> None:
    try:
        import resource

        free = os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
        resource.setrlimit(resource.RLIMIT_DATA, (free, resource.RLIM_INFINITY))
        Path("/proc/self/oom_score_adj").write_text("1000")  # if memory runs out all the same, this process goes first
    except (ImportError, OSError, ValueError):
        pass
    import_all()
    pipe.send(make_row(problem, overrides, limit, settings))


def _row(problem: str, overrides: tuple[str, ...], limit: float | None, settings: dict) -> dict:
    began = time.perf_counter()
    try:
        solution, seconds = solved(problem, overrides, limit, **settings)
    except (Exception, OverTime) as failure:  # whatever it is, the table goes on
        return failed(problem, reason(failure), time.perf_counter() - began)
    result = solution.result
    return {
        "problem": problem,
        "error": largest(result.get("relative_l2_error")),
        "estimated_error": largest(result.get("estimated_error")),
        "errors": result.get("relative_l2_error"),
        "estimates": result.get("estimated_error"),
        "seconds": seconds,
        "status": result["status"],
        "message": result["message"],
        "method": result["method"],
        "basis": result["basis"],
        "coefficients": result["unknown_coefficients"],
        "memory_mb": most_memory(),
    }


def most_memory() -> float | None:
    """The most memory that this process has held so far, in MB; None where the system does not say."""
    try:
        import resource
    except ImportError:
        return None
    unit = 1 if sys.platform == "darwin" else 1024  # bytes there, kilobytes elsewhere
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 2**20


def reason(failure: BaseException) -> str:
    """Why a solve failed, in a line."""
    return f"{type(failure).__name__}: {failure}".splitlines()[0]


def failed(problem: str, reason: str, seconds: float) -> dict:
    row = {"error": None, "estimated_error": None, "seconds": seconds, "status": "failed", "message": reason}
    return {"problem": problem, **row, "method": "-", "basis": "-", "coefficients": None}


def largest(values: dict[str, float] | None) -> float | None:
    """The largest value, None for none or where one is not finite."""
    values = list((values or {}).values())
    return max(values) if values and all(math.isfinite(v) for v in values) else None


def effectivity(row: dict) -> float | None:
    """Estimate over true error of a row."""
    known = row["error"] and row["estimated_error"] is not None
    return row["estimated_error"] / row["error"] if known else None


def shown(value: float | None, form: str = ".1e") -> str:
    return "-" if value is None else format(value, form)


def kept_rows(file: Path | None) -> list[dict]:
    """Rows of JSON that earlier calls have kept, one a line; a line cut off by the end of a call is left out."""
    if not file or not file.exists():
        return []
    found, text = [], file.read_text(encoding="utf-8")
    if text and not text.endswith("\n"):
        file.write_text(text[: text.rfind("\n") + 1], encoding="utf-8")
    for line in text.splitlines():
        try:
            found.append(json.loads(line))
        except json.JSONDecodeError:
            continue
    return found


def keep_row(file: Path | None, row: dict) -> None:
    """Appends a row to those that are kept; nothing without a file."""
    if file:
        with file.open("a", encoding="utf-8") as kept:
            kept.write(json.dumps(row) + "\n")


def write_json(path: Path | None, figures: dict) -> None:
    if path:
        path.write_text(json.dumps(figures, indent=2), encoding="utf-8")


def say(text: str) -> None:
    """Progress, beside the table."""
    print(text, file=sys.stderr, flush=True)
