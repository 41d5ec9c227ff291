"""The problem as a person states it and the solver takes it: from keywords of Python, or built from a file.

Input: the keywords of `python_words.StatedInPython`. Output: a frozen `Problem`. No array library.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from pinnsolve.problem.python_api import spec_from_sympy
from pinnsolve.problem.stated import StatedProblem
from pinnsolve.problem.statements import stated_problem


@dataclass(frozen=True, init=False, repr=False)
class Problem(StatedProblem):
    """A boundary value problem, the same whether it comes from a file or from Python.

    From a file it is built by `build_problem`; in Python, `Problem(name=..., domain=..., unknowns=[u], ...)` states
    one with the keywords of `python_words.StatedInPython`, and raises `ProblemError` with everything that is wrong.
    """

    def __init__(self, **statement: Any):
        # with a `spec`, these are the fields themselves: so `build_problem` and `dataclasses.replace` make problems
        if "spec" not in statement:
            statement = vars(stated_problem(spec_from_sympy(**statement)))
        vars(self).update(statement)
