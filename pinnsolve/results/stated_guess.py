"""The first guess that a problem states -> a function of points: expressions, or the solution of an earlier run."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor

from pinnsolve.errors import PinnsolveError
from pinnsolve.language.symbols import coordinate_symbol
from pinnsolve.language.to_torch import Evaluator
from pinnsolve.problem.problem import Problem
from pinnsolve.results.solution import Solution, load_solution

Guess = Callable[[Tensor], Tensor]  # (N, d) -> (unknowns, N)


def stated_guess(problem: Problem) -> Guess | None:
    """The guess of a problem; None where it states none. Unknowns that it leaves out are zero.

    Raises `SolutionError` for a run that cannot be read and `PinnsolveError` for one of other unknowns.
    """
    if problem.guess:
        return _of_expressions(problem)
    run = problem.spec.guess.get("run")
    return None if run is None else _of_solution(problem, load_solution(Path(run)))


def _of_expressions(problem: Problem) -> Guess:
    evaluate = Evaluator(list(problem.guess.values()))
    rows = [problem.unknowns.index(name) for name in problem.guess]

    def values(x: Tensor) -> Tensor:
        result = x.new_zeros(len(problem.unknowns), len(x))
        found = evaluate({coordinate_symbol(c): x[:, i] for i, c in enumerate(problem.coordinates)})
        for row, value in zip(rows, found, strict=True):
            result[row] = value
        return result

    return values


def _of_solution(problem: Problem, before: Solution) -> Guess:
    """The solution of a run; beyond its box, the values at the nearest point of it."""
    if before.coordinates != problem.coordinates or not set(before.unknowns) & set(problem.unknowns):
        theirs, ours = (f"{', '.join(p.unknowns)} of {', '.join(p.coordinates)}" for p in (before, problem))
        raise PinnsolveError(f"a guess for {ours} cannot be taken from a run for {theirs}")
    low, high = (torch.tensor([ends[i] for ends in before.intervals], dtype=torch.float64) for i in (0, 1))
    pairs = [(i, before.unknowns.index(name)) for i, name in enumerate(problem.unknowns) if name in before.unknowns]

    def values(x: Tensor) -> Tensor:
        zero = (0,) * x.shape[1]
        inside = torch.minimum(torch.maximum(x, low), high)
        found = before.basis.combined(inside, [zero], before.coefficients)[zero]
        result = x.new_zeros(len(problem.unknowns), len(x))
        for row, theirs in pairs:
            result[row] = found[theirs]
        return result

    return values
