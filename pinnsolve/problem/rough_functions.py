"""Functions that jump, which are sought with a small total variation: which one a problem asks for, along what.

Input: a problem. Output: a `RoughFunction`, or what is wrong. No array library.
"""

from __future__ import annotations

from dataclasses import dataclass

from pinnsolve.errors import ProblemError
from pinnsolve.problem.problem import Problem
from pinnsolve.spec.schema.schema import TOTAL_VARIATION


@dataclass(frozen=True)
class RoughFunction:
    """The function that is sought, of one `coordinate` between its ends; `unknown`: whether it is one of the unknowns,
    or else a function that is called."""

    name: str
    coordinate: str
    low: float
    high: float
    unknown: bool

    @property
    def length(self) -> float:
        return self.high - self.low


def rough_function(problem: Problem) -> RoughFunction | None:
    """The function of small total variation that a problem asks for; None where there is none.

    Raises `ProblemError` where it is a function of something that layers are not known for.
    """
    spec = problem.spec
    names = [name for name, asked in spec.regularization.items() if asked.seminorm == TOTAL_VARIATION]
    if not names:
        return None
    name, space = names[0], problem.axes.space
    called = spec.state_functions.get(name)
    of = tuple(space) if called is None else called.of
    message = hint = None
    if len(spec.regularization) > 1 or len(spec.state_functions) > (called is not None) or spec.discover:
        message = "a function of small total variation is found by itself, and not beside others that data determine"
        hint = "leave the others out"
    elif len(of) != 1 or of[0] not in space or problem.shape is not None:
        message = f"`{name}` must be a function of one coordinate of a box, along which it jumps"
        hint = f"write `unknowns: {{..., {name}: {{of: {space[0]}}}}}`" if len(of) > 1 else None
    elif name in problem.complex_unknowns or name in spec.homes or any(name in v for v in problem.vectors):
        message = f"`{name}` must be real, and live in all of the domain"
    if message is not None:
        raise ProblemError([spec.diagnostic(("regularization", name), message, hint)])
    low, high = problem.intervals[problem.coordinates.index(of[0])]
    return RoughFunction(name, of[0], low, high, called is None)
