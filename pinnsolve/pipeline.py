"""From a problem file to a run folder, stage by stage; read this file first.

    load     a problem file -> Spec -> Problem      folders spec, problem: texts parsed once, mathematics checked
    compile  Problem -> CompiledProblem             folder compiler: terms with their linearizations, settings
    solve    CompiledProblem -> Solution            method.py, which chooses; from there bases, assembly, solvers and on
                                                    (folder ranges where parameters have ranges: many of these solves)
    write    Solution -> run folder                 folders results, figures, output

Each stage is a function that leaves its input as it was, and each can be called by itself. The stages before `solve`
run without torch; the others are imported when they begin.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pinnsolve.compiler.compiler import compile_problem
from pinnsolve.errors import PinnsolveError
from pinnsolve.problem.build import build_problem, by_guess, with_settings
from pinnsolve.problem.problem import Problem
from pinnsolve.spec.spec import load_spec

if TYPE_CHECKING:
    from pinnsolve.figures.samples import Draw
    from pinnsolve.processes.communicator import Communicator
    from pinnsolve.results.solution import Solution
    from pinnsolve.solvers.journal import Journal


def load(path_or_name: str | Path, overrides: Iterable[str] = ()) -> Problem:
    """The problem in a file, or the one of that name that comes with pinnsolve.

    `overrides` are settings such as `solve.tolerance=1e-8`. Raises `ProblemError` with everything that is wrong.
    """
    spec = load_spec(path_or_name, overrides)
    return build_problem(spec)


def solve(
    problem: Problem | str | Path,
    *,
    progress: Callable[[dict], None] | None = None,
    start: Solution | None = None,
    journal: Journal | None = None,
    among: Communicator | None = None,
    **settings: Any,
) -> Solution:
    """Solve a problem, or that in a file; `settings` replace those of its `solve` section, e.g. `tolerance=1e-8,
    method="lsgd"`.

    `progress` is called with each history record; `start` is a solution to go on from: one of the same problem is never
    replaced by a worse one. `journal`: pieces of a solve that was ended, and who keeps those of this one. `among`: the
    processes that divide the rows, all of which call this. Not converging is a status of the solution, not an
    exception. Where the problem states several guesses, the solutions that the others lead to are `others` of the
    first. Raises `ProblemError` for settings that are wrong and `ResourceError` where the memory would not do.
    """
    if isinstance(problem, str | Path):
        problem = load(problem)
    if not isinstance(problem, Problem):
        raise PinnsolveError(
            f"`solve` takes a problem, or the path of a problem file, and not {type(problem).__name__}"
        )
    stated = with_settings(problem, settings) if settings else problem
    compiled = compile_problem(stated)
    from pinnsolve.method import solve_compiled
    from pinnsolve.processes.communicator import ALONE  # and with it torch
    from pinnsolve.solvers.journal import NOTHING

    def solved(one: Problem, start: Solution | None, journal: Journal) -> Solution:
        if one.ranges:
            from pinnsolve.ranges.solve import solve_over_ranges

            return solve_over_ranges(one, compiled, progress, start)
        return solve_compiled(one, compiled, progress, start, journal, among or ALONE)

    if not stated.other_guesses:
        return solved(stated, start, journal or NOTHING)
    from pinnsolve.results.several import with_others

    first, *others = by_guess(stated)
    found = solved(first if stated.ranges else stated, start, journal or NOTHING)
    return with_others(found, [solved(one, None, NOTHING) for one in others])


def write(solution: Solution, problem: Problem, folder: Path, draw: Draw | None) -> Sequence[str]:
    """Write the run folder: the solution, the files that the problem names, figures by `draw`, if any, and the report.

    The solution comes first, so that nothing that happens to the others can lose it. Returns a sentence on each of the
    others that failed.
    """
    solution.save(folder)
    return illustrate(solution, problem, folder, draw)


def illustrate(solution: Solution, problem: Problem, folder: Path, draw: Draw | None) -> Sequence[str]:
    """What `write` does once the solution is saved."""
    from pinnsolve.output import terminal

    return terminal.illustrate(solution, problem, folder, truth(problem), draw)


def truth(problem: Problem) -> Callable[[Any], Mapping[str, Any]] | None:
    """The exact solution as a function of points (N, d) -> {unknown: (N,)}; None where it is not known."""
    if not problem.exact:
        return None
    if problem.ranges:
        from pinnsolve.ranges.solution import range_truth

        return range_truth(problem)
    from pinnsolve.estimate.measured_errors import exact_values

    return lambda points: exact_values(problem, points)
