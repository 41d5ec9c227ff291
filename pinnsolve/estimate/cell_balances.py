"""The balance of every cell of a solution, and what flows through the boundary, for the equations that ask for it.

Input: a compiled problem, a solution on cells. Output: entries of the report.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from pinnsolve.assembly.balance_rows import Functionals
from pinnsolve.assembly.control_volumes import Volumes
from pinnsolve.assembly.exactness import volumes_of
from pinnsolve.assembly.row_source import State
from pinnsolve.assembly.term_rows import table_orders
from pinnsolve.bases.piecewise.basis import PouCells
from pinnsolve.bases.piecewise.space import Space
from pinnsolve.compiler.terms import Balance, CompiledProblem
from pinnsolve.estimate.defect_correction import Approximation

ROUNDING = 1e-10  # of what flows through, is the most that rounding leaves of a balance


def measured_balances(problem: CompiledProblem, solution: Approximation) -> dict[str, dict[str, Any]]:
    """The entry of the report, by the name of a balance.

    `worst_cell`: the largest sum of the fluxes out of a cell and its sources; `boundaries`: what flows out of the
    domain through each place; `sources`: of all cells, on the left side of the equation; `sum`: of these and all
    boundaries; `through_flow`: half of all that flows in or out of the domain or comes from sources, to which
    `worst_cell` and `sum` are relative.
    """
    if not problem.balances or not isinstance(solution.basis, PouCells):
        return {}
    given = solution.basis.space
    space = replace(given, orders=table_orders(problem))
    c = solution.state.coefficients
    c = c.reshape(len(problem.unknowns), space.cells.count, -1).transpose(0, 1)
    state = replace(solution.state, coefficients=c)
    volumes = volumes_of(problem, space)
    return {one.name: _measured(one, problem, space, volumes, state) for one in problem.balances}


def _measured(balance: Balance, problem: CompiledProblem, space: Space, volumes: Volumes, state: State) -> dict:
    flux, source = (Functionals(problem, space, terms) for terms in (balance.through, balance.sources))
    total = torch.zeros(space.cells.count, dtype=torch.float64)
    for one, two in volumes.inner:
        shared = 0.5 * (flux.integrals(one, state, False)[0] + flux.integrals(two, state, False)[0])
        total.index_add_(0, one.cells, shared)
        total.index_add_(0, two.cells, -shared)
    boundaries: dict[str, float] = {}
    flows = 0.0
    for place, rule in volumes.outer:
        through, _ = flux.integrals(rule, state, False)
        total.index_add_(0, rule.cells, through)
        boundaries[place] = boundaries.get(place, 0.0) + float(through.sum())
        flows += float(through.abs().sum())
    given = _sources(source, volumes, state, torch.zeros_like(total))
    total += given
    through_flow = 0.5 * (flows + float(given.abs().sum()))
    unit = through_flow if through_flow > 0 else 1.0
    return {
        "worst_cell": float(total.abs().max()) / unit,
        "boundaries": boundaries,
        "sources": float(given.sum()),
        "sum": abs(sum(boundaries.values()) + float(given.sum())) / unit,
        "through_flow": through_flow,
    }


def _sources(source: Functionals, volumes: Volumes, state: State, result: Tensor) -> Tensor:
    """(C,) the integrals of the source, with its sign on the left side of the equation."""
    for rule in volumes.inside:
        result.index_add_(0, rule.cells, source.integrals(rule, state, False)[0])
    return result


def unbalanced(found: Mapping[str, Mapping[str, Any]]) -> Iterator[str]:
    """A sentence on every balance that does not hold to rounding."""
    for name, one in found.items():
        if not one["worst_cell"] <= ROUNDING:
            yield f"`{name}` is to balance every cell, and one lacks {one['worst_cell']:.1e} of what flows through"
