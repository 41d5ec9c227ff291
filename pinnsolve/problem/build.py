"""Spec -> Problem, and other settings for a problem that is built.

Input: a `Spec`, or a `Problem` and settings. Output: a frozen `Problem`. No array library.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from pinnsolve.errors import ProblemError
from pinnsolve.problem.checks import settings_errors
from pinnsolve.problem.problem import Problem
from pinnsolve.problem.statements import stated_problem
from pinnsolve.spec.spec import Spec, spec_with_settings


def build_problem(spec: Spec) -> Problem:
    """The problem of a spec; see `stated_problem`. Raises `ProblemError` with all errors found."""
    return Problem(**vars(stated_problem(spec)))


def by_guess(problem: Problem) -> tuple[Problem, ...]:
    """The problem once for every first guess that it states, each with that alone."""
    spec = problem.spec
    guesses = zip((problem.guess, *problem.other_guesses), (spec.guess, *spec.other_guesses), strict=True)
    return tuple(
        replace(problem, guess=guess, other_guesses=(), spec=replace(spec, guess=written, other_guesses=()))
        for guess, written in guesses
    )


def with_settings(problem: Problem, settings: Mapping[str, Any]) -> Problem:
    """The same problem with settings of its `solve` section replaced; nothing else is read or checked again.

    Raises `ProblemError` with everything that is wrong with them.
    """
    changed = replace(problem, spec=spec_with_settings(problem.spec, settings))
    errors = list(settings_errors(changed))
    if errors:
        raise ProblemError(errors)
    return changed
