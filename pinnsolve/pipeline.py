"""The way through, in order; read this first.

    problem.yaml or sympy -> Spec -> Problem -> CompiledProblem -> LinearSystem rows -> Solution -> run folder

Each stage is one function that leaves its input as it was and can be stopped at. The symbolic stages run without torch;
the numerical ones are imported when a solve begins.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pinnsolve.compiler.compiler import compile_problem
from pinnsolve.problem.build import build_problem, with_settings
from pinnsolve.problem.problem import Problem
from pinnsolve.spec.spec import load_spec

if TYPE_CHECKING:
    from pinnsolve.results.solution import Solution


def load(path_or_name: str | Path, overrides: Iterable[str] = ()) -> Problem:
    """The problem in a file, or the one of that name that comes with pinnsolve.

    `overrides` are settings such as `solve.tolerance=1e-8`. Raises `ProblemError` with everything that is wrong.
    """
    return build_problem(load_spec(path_or_name, overrides))


def solve(
    problem: Problem,
    *,
    progress: Callable[[dict], None] | None = None,
    start: Solution | None = None,
    **settings: Any,
) -> Solution:
    """Solve a problem; `settings` replace those of its `solve` section, e.g. `tolerance=1e-8, method="lsgd"`.

    `progress` is called with each history record; `start` is a solution of the same problem to go on from. Not
    converging is a status of the solution, not an exception. Raises `ProblemError` for settings that are wrong and
    `ResourceError` where the memory would not do.
    """
    if settings:
        problem = with_settings(problem, settings)
    from pinnsolve.method import solve_compiled

    return solve_compiled(problem, compile_problem(problem), progress, start)


def truth(problem: Problem) -> Callable[[Any], Mapping[str, Any]] | None:
    """The exact solution as a function of points (N, d) -> {unknown: (N,)}; None where it is not known."""
    if not problem.exact:
        return None
    from pinnsolve.estimate.measured_errors import exact_values

    return lambda points: exact_values(problem, points)
