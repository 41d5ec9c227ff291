"""Whether what a problem asks for exactly can hold to rounding: on cells, whose coefficients can be constrained."""

from __future__ import annotations

from collections.abc import Iterator

from pinnsolve.compiler.applicability import why_not_cells, why_not_own_cells
from pinnsolve.compiler.terms import CompiledProblem
from pinnsolve.errors import Diagnostic
from pinnsolve.problem.problem import Problem


def exactness_errors(problem: Problem, compiled: CompiledProblem) -> list[Diagnostic]:
    """An error for everything that is asked for exactly, where no solve could hold it."""
    asked = list(dict.fromkeys(_asked(problem)))
    reason = _why_not(problem, compiled) or _why_no_balances(problem, compiled) if asked else None
    if reason is None:
        return []
    return [
        problem.spec.diagnostic(
            path, f"{name} can hold exactly on cells alone, and {reason}", f"leave `{path[-1]}` out, or change that"
        )
        for path, name in asked
    ]


def _asked(problem: Problem) -> Iterator[tuple[tuple[str, ...], str]]:
    """The key paths of what is asked for exactly, and what each is."""
    for statement in problem.statements:
        if statement.exactly:
            path = tuple(statement.key.split(".", 1))
            yield (*path, "exactly"), f"the condition `{path[-1]}`"
        if statement.balances:
            path = tuple(statement.key.split(".", 1))
            yield (*path, "conservative"), f"the balance of `{path[-1]}`"


def _why_not(problem: Problem, compiled: CompiledProblem) -> str | None:
    """The reason, in words, why a solve would not be on cells whose coefficients can be constrained; None for none."""
    if (reason := why_not_cells(compiled)) is not None:
        return reason
    if (reason := why_not_own_cells(problem.settings)) is not None:
        return reason
    if problem.unknown_parameters or any(term.data_file is not None for term in compiled.terms):
        return "the solution is sought together with what data or unknown parameters say"
    if problem.eigenvalues is not None:
        return "there are eigenvalues to find"
    if problem.ranges:
        return "solutions are interpolated between values of a parameter"
    if problem.homes:
        return "some unknowns live in one region"
    return None


def _why_no_balances(problem: Problem, compiled: CompiledProblem) -> str | None:
    """The reason why fluxes through the faces of cells would not be known; None without balances."""
    space, boxes = len(problem.axes.space), compiled.shape is None and not compiled.materials
    if not compiled.balances or boxes or space < 2:
        return None
    if space > 2:
        return "faces of cells that a shape or materials cut are known in the plane alone"
    if problem.time is not None:
        return "in time, cells are not to be cut by a shape or by materials"
    return None
