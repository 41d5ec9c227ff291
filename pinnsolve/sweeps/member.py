"""One member of a sweep, solved in whatever process: a task in, a row of the table out.

Nothing is raised for a member that cannot be solved: its row says why, and the others go on.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

FAILED = "failed"
VALUES = "values.npy"  # of a member, at the points asked for


@dataclass(frozen=True)
class Task:
    """The problem `file` with `settings` put over it goes to `folder`; `operators` are Python files to run before.

    `points`: (N, d) where all unknowns are evaluated for the array of all members; None for nowhere.
    """

    number: int
    file: str
    settings: tuple[str, ...]
    operators: tuple[str, ...]
    folder: str
    points: np.ndarray | None = None


def solve_member(task: Task) -> dict[str, Any]:
    """Solve, write the run folder, and give the row: status, message, seconds, estimates, errors where known."""
    from pinnsolve import pipeline
    from pinnsolve.errors import PinnsolveError

    try:
        _register(task.operators)
        problem = pipeline.load(task.file, task.settings)
        solution = pipeline.solve(problem)
        folder = Path(task.folder)
        if task.points is not None:
            folder.mkdir(parents=True, exist_ok=True)
            np.save(folder / VALUES, values_of(solution, task.points))
        solution.save(folder)
    except (PinnsolveError, OSError, MemoryError) as error:
        return failed(task, str(error).splitlines()[0] if str(error) else type(error).__name__)
    except Exception as error:  # a fault of ours is one member's, not the sweep's
        return failed(task, f"{type(error).__name__}: {error}")
    return row_of(task.number, solution.result)


def _register(operators: Sequence[str]) -> None:
    """Run the files that register operators, once in a process."""
    import runpy

    for file in operators:
        if file not in _REGISTERED:
            runpy.run_path(file)
            _REGISTERED.add(file)


_REGISTERED: set[str] = set()


def values_of(solution: Any, points: np.ndarray) -> np.ndarray:
    """(unknowns, N)"""
    return np.stack([solution.values(points, name) for name in solution.unknowns])


def row_of(number: int, result: dict[str, Any]) -> dict[str, Any]:
    """The row of a member from its result; a reference in a file is for the values stated there alone."""
    estimates, errors = result.get("estimated_error") or {}, result.get("relative_l2_error") or {}
    errors = errors if result.get("reference") == "exact" else {}
    return {
        "member": number,
        "status": result["status"],
        "seconds": result["wall_time_s"],
        **{f"estimate_{name}": value for name, value in estimates.items()},
        **{f"error_{name}": value for name, value in errors.items()},
        "message": result.get("message", ""),
    }


def failed(task: Task, why: str) -> dict[str, Any]:
    """The row of a member that gave no solution."""
    return {"member": task.number, "status": FAILED, "seconds": None, "message": why}
