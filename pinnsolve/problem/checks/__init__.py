"""Problem -> what is wrong or doubtful about it, found by mathematics before any solving.

Input: a `StatedProblem` whose parts are well formed. Output: diagnostics; an error where no solve can make sense, a
warning where one is likely not to. It takes well below a second, and an array library only where parts of the boundary
of a shape meet.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pinnsolve.errors import Diagnostic
from pinnsolve.problem.checks.assumed_conditions import (
    UNDECIDED,
    AssumedCondition,
    AssumedConditions,
    assumed_conditions,
)
from pinnsolve.problem.checks.corners import contradictions
from pinnsolve.problem.checks.counts import (
    empty_statements,
    equation_count,
    incomplete_exact,
    settings_errors,
    undetermined_parameters,
    unheld_unknowns,
)
from pinnsolve.problem.checks.faces import too_few_conditions
from pinnsolve.problem.checks.magnitudes import too_large_numbers
from pinnsolve.problem.checks.neumann import constant_warnings, undetermined_constants
from pinnsolve.problem.checks.overlaps import overlaps
from pinnsolve.problem.checks.weak_solutions import weak_solutions

if TYPE_CHECKING:
    from pinnsolve.problem.stated import StatedProblem

__all__ = [
    "AssumedCondition",
    "AssumedConditions",
    "assumed_conditions",
    "check_problem",
    "settings_errors",
    "undetermined_constants",
]


def check_problem(problem: StatedProblem, assumed: AssumedConditions = UNDECIDED) -> list[Diagnostic]:
    """All errors and warnings of a problem, with those of the conditions that are assumed.

    Where there are errors, nothing else is checked.
    """
    errors = [*unheld_unknowns(problem), *settings_errors(problem), *too_large_numbers(problem)]
    errors += [] if errors else empty_statements(problem)
    if errors:
        return errors
    missing = too_few_conditions(problem, in_space=not assumed.decided)
    return [
        *equation_count(problem),
        *assumed.warnings,
        *(finding for findings in missing.values() for finding in findings),
        # an unknown without conditions floats; once is enough
        *constant_warnings(problem, assumed.conditions, problem.unknowns if assumed.incomplete else tuple(missing)),
        *contradictions(problem),
        *overlaps(problem),
        *incomplete_exact(problem),
        *undetermined_parameters(problem),
        *weak_solutions(problem),
    ]
