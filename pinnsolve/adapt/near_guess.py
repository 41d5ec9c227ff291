"""Unknown parameters that equations alone determine, as eigenvalues are: the value that is nearest to the guess.

Such parameters have many values, and Newton's method may end at any of them. So the search is held in a window round
the guess first, which is widened while nothing is found inside; a parameter at the edge of its window is not found.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from torch import Tensor

from pinnsolve.adapt.context import Result, SolveContext, least_error
from pinnsolve.adapt.growing_width import Networks, refined
from pinnsolve.compiler.terms import CompiledProblem
from pinnsolve.language.symbols import FeatureSymbol
from pinnsolve.solvers.follow import Outcome, follow

WINDOWS = (0.25, 0.75)  # half widths, relative to the guess
EDGE = 0.01  # of the half width: nearer to the edge, a parameter is held by it
MOST_HELD = 2  # levels with a parameter at the edge, after which a window is given up
FAR = 0.3  # change, relative to the guess, that a warning tells of


def is_sought(problem: CompiledProblem) -> bool:
    """Whether no data tell of the parameters, which have no bounds and multiply unknowns."""
    parameters = problem.unknown_parameters
    free = all(p.guess and p.bounds == (float("-inf"), float("inf")) for p in parameters)
    equations_alone = all(term.data_file is None for term in problem.terms)
    return bool(parameters) and free and equations_alone and _multiplies(problem)


def _multiplies(problem: CompiledProblem) -> bool:
    return any(
        isinstance(symbol, FeatureSymbol)
        for term in problem.terms
        for linearization in term.linearizations
        for _, coefficient in linearization.parameters
        for symbol in coefficient.free_symbols
    )


def near_guess(context: SolveContext, tolerance: float, refinements: int | None) -> Outcome[Result]:
    """The best result on growing networks in the first window that holds one which meets the tolerance, else without
    any window."""
    for width in WINDOWS:
        window = _Window(context.problem, width)
        inside = replace(context, problem=window.problem)
        results = window.inside(refined(inside, tolerance, Networks(inside, {}, refinements)))
        found = follow(results, context.clock, least_error, lambda result: result.meets(tolerance))
        best = found.best
        met = best is not None and best.meets(tolerance) and not window.holds(best)
        if met or found.ends_all:
            return _doubted(context.problem, found)
    results = refined(context, tolerance, Networks(context, {}, refinements))
    found = follow(results, context.clock, least_error, lambda result: result.meets(tolerance))
    return _doubted(context.problem, found)


def _doubted(problem: CompiledProblem, found: Outcome[Result]) -> Outcome[Result]:
    if found.best is None:
        return found
    doubts = far_from_guess(problem, found.best.approximation.state.parameters)
    return replace(found, best=replace(found.best, doubts=(*found.best.doubts, *doubts)))


class _Window:
    """The problem with parameters held near their guesses."""

    def __init__(self, problem: CompiledProblem, width: float):
        self.width = width
        parameters = tuple(
            replace(p, bounds=(p.guess - width * abs(p.guess), p.guess + width * abs(p.guess)))
            for p in problem.unknown_parameters
        )
        self.problem = replace(problem, unknown_parameters=parameters)

    def inside(self, results: Iterator[Result | Outcome]) -> Iterator[Result | Outcome]:
        """The results of levels, until parameters have been at the edge on several."""
        held = 0
        for result in results:
            yield result
            if isinstance(result, Result) and result.estimate is not None:  # a level is done
                held = held + 1 if self.holds(result) else 0
            if held >= MOST_HELD:
                return

    def holds(self, result: Result) -> bool:
        """Whether a parameter is at the edge."""
        values = result.approximation.state.parameters.tolist()
        pairs = zip(values, self.problem.unknown_parameters, strict=True)
        return any(min(v - p.bounds[0], p.bounds[1] - v) < EDGE * self.width * abs(p.guess) for v, p in pairs)


def found_parameters(problem: CompiledProblem, values: Tensor, moved: Tensor) -> dict | None:
    """Entries of the report: parameters (P,), and by how much a correction moved them (P,), which is their error."""
    if not problem.unknown_parameters:
        return None
    found = zip(problem.unknown_parameters, values.tolist(), moved.abs().tolist(), strict=True)
    return {"parameters": {p.name: {"value": value, "standard_error": error} for p, value, error in found}}


def far_from_guess(problem: CompiledProblem, values: Tensor) -> tuple[str, ...]:
    """What is to be said of parameters that lie far from their guesses; those of a linear problem do not depend on
    these."""
    if problem.linear:
        return ()
    return tuple(
        f"`{p.name}` = {value:.6g} is far from its guess {p.guess:g}: equations alone may hold for several values, as "
        "for eigenvalues, and one that is nearer may have been missed; give `bounds` round the one that is meant"
        for value, p in zip(values.tolist(), problem.unknown_parameters, strict=True)
        if abs(value - p.guess) > FAR * abs(p.guess)
    )
