"""A solution to go on from: as a result that others are compared with, and as cells on which a refinement begins.

Its estimate holds for the problem that it solves and for no other: only where the problem is the same may it stand
beside new results.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from pinnsolve.adapt.context import Result, SolveContext
from pinnsolve.assembly.row_source import State
from pinnsolve.assembly.term_rows import table_orders
from pinnsolve.bases.piecewise.basis import PouCells
from pinnsolve.bases.piecewise.initial_mesh import first_cells
from pinnsolve.bases.piecewise.mesh import Cells
from pinnsolve.bases.piecewise.space import Space
from pinnsolve.errors import PinnsolveError
from pinnsolve.estimate.defect_correction import Approximation, Estimate
from pinnsolve.files.yaml_reader import parse_yaml
from pinnsolve.language.components import by_component
from pinnsolve.language.symbols import UnknownParameter

if TYPE_CHECKING:
    from pinnsolve.results.solution import Solution

ASKED = ("solve", "title", "description", "cite", "output")  # keys of a file that do not change what is solved
FOUND = ("correlation", "noise", "regularization", "standard_deviation", "data_freedom", "parameters", "discovered",
         "functions")  # fmt: skip


def solves(start: Solution, problem_text: str, files: Mapping[str, str]) -> bool:
    """Whether a solution is one of the problem that a text states, however that was to be solved; `files`: what those
    that it names hold, see `files.data_files.digests`."""
    if (start.result.get("files") or {}) != files:
        return False
    try:
        one, two = (parse_yaml(text).data for text in (start.problem_text, problem_text))
    except PinnsolveError:
        return False
    return all(one.get(key) == two.get(key) for key in {*one, *two}.difference(ASKED))


def known_result(start: Solution, approximation: Approximation, said: Sequence[str]) -> Result:
    """A solution of the same problem as a result, with the error that was estimated when it was found, and what was
    doubtful about it beyond what is `said` of the problem."""
    report = start.result
    stated = by_component(report.get("estimated_error") or {}, start.complex_unknowns)
    relative = {name: math.inf if e is None else float(e) for name, e in stated.items()}
    terms = report.get("terms") or {}
    inverse = {key: report[key] for key in FOUND if key in report}
    return Result(
        approximation,
        Estimate(relative, {}, 0.0) if relative else None,
        str(report.get("method", "")),
        {name: term["points"] for name, term in terms.items() if term.get("points") is not None},
        {name: term["weight"] for name, term in terms.items() if term.get("weight") is not None},
        doubts=tuple(text for text in report.get("warnings") or () if text not in said),
        why=str(report.get("why", "")),
        inverse=inverse if start.deviations is not None or report.get("noise") else None,
        deviations=start.deviations,
    )


def start_on_cells(context: SolveContext, start: Solution) -> tuple[Space, Tensor] | None:
    """The cells of a solution, with its coefficients (C, U, n) on them; None where it has none that fit the problem."""
    problem, basis = context.problem, start.basis
    if not isinstance(basis, PouCells) or basis.slabs or basis.space.apart is not None:
        return None
    cells, first = basis.space.cells, first_cells(problem)
    low, high = cells.box
    box = zip(first.box, (low, high), strict=True)
    if any(not torch.allclose(ours, theirs, rtol=1e-9, atol=0.0) for ours, theirs in box):
        return None
    own: Cells = first.like(cells.lower, cells.upper, cells.material)
    if own.count != cells.count or not torch.equal(own.lower, cells.lower):
        return None
    space = Space(own, basis.space.degrees, table_orders(problem))
    c = start.coefficients.to(torch.float64).reshape(len(problem.unknowns), own.count, -1).transpose(0, 1)
    return (space, c.contiguous()) if c.shape[2] == space.functions else None


def _found(start: Solution, parameter: UnknownParameter) -> float:
    """The value of a parameter in a solution; zero of terms that it lacks, the guess of those it does not know."""
    if parameter.candidate is None:
        return start.parameters.get(parameter.name, {}).get("value", parameter.guess)
    equation, text = parameter.candidate
    return (start.result.get("discovered") or {}).get(equation, {}).get(text, {}).get("value", 0.0)


def approximation_of(context: SolveContext, start: Solution) -> Approximation:
    """The solution in the precision and on the device of this solve."""
    problem, basis, like = context.problem, start.basis, context.lower
    if (start.unknowns, start.coordinates) != (problem.unknowns, problem.coordinates):
        theirs, ours = (f"{', '.join(p.unknowns)} of {', '.join(p.coordinates)}" for p in (start, problem))
        raise PinnsolveError(
            f"a solve of {ours} cannot start from a solution for {theirs}: give one of the same problem"
        )
    if basis.lower.dtype != like.dtype or basis.lower.device != like.device:
        hidden = {name: value.to(like) for name, value in basis.hidden.items()}
        basis = basis.restore(basis.settings(), hidden, basis.lower.to(like), basis.upper.to(like))
    values = [_found(start, p) for p in problem.unknown_parameters]
    return Approximation(basis, State(start.coefficients.to(like), like.new_tensor(values)))
