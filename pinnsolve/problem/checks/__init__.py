"""Problem -> what is wrong or doubtful about it, found by mathematics before any solving.

Input: a `StatedProblem` whose parts are well formed. Output: diagnostics; an error where no solve can make sense, a
warning where one is likely not to. It takes well below a second, and an array library only where parts of the boundary
of a shape meet.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pinnsolve.errors import Diagnostic
from pinnsolve.problem.checks.assumed_conditions import UNDECIDED, Assumed, Completion, completion
from pinnsolve.problem.checks.corners import contradictions
from pinnsolve.problem.checks.counts import (
    equation_count,
    incomplete_exact,
    settings_errors,
    undetermined_parameters,
    unheld_unknowns,
)
from pinnsolve.problem.checks.faces import too_few_conditions
from pinnsolve.problem.checks.neumann import floating_unknowns, undetermined_constants

if TYPE_CHECKING:
    from pinnsolve.problem.stated import StatedProblem

__all__ = [
    "Assumed",
    "Completion",
    "check_problem",
    "completion",
    "floating_unknowns",
    "settings_errors",
]


def check_problem(problem: StatedProblem, completed: Completion = UNDECIDED) -> list[Diagnostic]:
    """All errors and warnings of a problem, with those of its completion. With errors, nothing else is looked at."""
    errors = [*unheld_unknowns(problem), *settings_errors(problem)]
    if errors:
        return errors
    missing = too_few_conditions(problem, in_space=not completed.decided)
    return [
        *equation_count(problem),
        *completed.warnings,
        *(finding for findings in missing.values() for finding in findings),
        # an unknown without conditions floats; once is enough
        *undetermined_constants(problem, completed.assumed, problem.unknowns if completed.open else tuple(missing)),
        *contradictions(problem),
        *incomplete_exact(problem),
        *undetermined_parameters(problem),
    ]
