"""The problem that a command is about.

Input: a file, settings put over it, and files of operators. Output: a `Problem`, with its warnings on standard error.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pinnsolve.errors import ProblemError
from pinnsolve.output.console import say

if TYPE_CHECKING:
    from pinnsolve.problem.problem import Problem


def load(file: str, overrides: list[str] | None, operators: list[str] | None) -> Problem:
    """Read a problem and say its warnings. Raises `ProblemError` with everything that is wrong."""
    from pinnsolve.spec.operator_files import run_operators

    run_operators(operators or ())
    from pinnsolve import pipeline
    from pinnsolve.processes import launch

    problem = pipeline.load(file, overrides or ())
    for warning in problem.warnings if launch.rank() == 0 else ():
        say(warning)
    return problem


def refuse_tables(problem: Problem) -> None:
    """Raise ProblemError for values in files that a solve would stop at."""
    from pinnsolve.output.tables_check import table_errors

    errors = list(table_errors(problem))
    if errors:
        raise ProblemError(errors)
