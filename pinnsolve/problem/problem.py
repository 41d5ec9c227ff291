"""The problem as a person states it and the solver takes it: from keywords of Python, or built from a file.

Input: the keywords of `python_words.StatedInPython`. Output: a frozen `Problem`. No array library.
"""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, overload

import sympy as sp

from pinnsolve.problem import python_words as words
from pinnsolve.problem.python_api import spec_from_sympy
from pinnsolve.problem.stated import StatedProblem
from pinnsolve.problem.statements import stated_problem
from pinnsolve.spec.spec import Spec


@dataclass(frozen=True, init=False, repr=False)
class Problem(StatedProblem):
    """A boundary value problem, the same whether it comes from a file or from Python.

    From a file it is built by `build_problem`; in Python, `Problem(name=..., domain=..., unknowns=[u], ...)` states
    one with the keywords of `python_words.StatedInPython`, and raises `ProblemError` with everything that is wrong.
    """

    @overload
    def __init__(
        self,
        *,
        name: str,
        domain: words.Box | words.Shape | Mapping[Any, Any],
        unknowns: words.Unknowns,
        regions: Mapping[str, Any] | None = None,
        equations: Mapping[str, words.Statement | Sequence[words.Statement] | Mapping[str, Any]] | None = None,
        conditions: Mapping[str, words.Condition | Mapping[str, Any]] | None = None,
        data: Mapping[str, words.Data | Mapping[str, Any]] | None = None,
        exact: Mapping[Any, Any] | words.Text | None = None,
        guess: Mapping[Any, Any] | Sequence[Any] | words.Text | None = None,
        parameters: Mapping[Any, words.Text | words.Range] | None = None,
        unknown_parameters: Mapping[Any, Mapping[str, Any]] | None = None,
        discover: Mapping[str, Any] | None = None,
        regularization: Mapping[Any, Any] | None = None,
        eigenvalues: words.eigenvalues | Mapping[str, Any] | None = None,
        functions: Mapping[str, words.Table | Mapping[str, Any]] | None = None,
        quantities: Mapping[str, words.quantity | Mapping[str, Any]] | None = None,
        definitions: Mapping[str, words.Text] | None = None,
        time: str | sp.Symbol | None = None,
        solve: Mapping[str, Any] | None = None,
        title: str | None = None,
        description: str | None = None,
        cite: str | Sequence[str] = (),
        reference: str | Path | Mapping[str, Any] | None = None,
        output: Mapping[str, Any] | None = None,
        folder: str | Path | None = None,
    ) -> None: ...

    @overload
    def __init__(self, *, spec: Spec, **fields: Any) -> None: ...

    def __init__(self, **statement: Any):
        # with a `spec`, these are the fields themselves: so `build_problem` and `dataclasses.replace` make problems
        if "spec" not in statement:
            statement = vars(stated_problem(spec_from_sympy(**statement)))
        vars(self).update(statement)


# what `help` and notebooks show
Problem.__signature__ = inspect.signature(words.StatedInPython)  # type: ignore[attr-defined]
