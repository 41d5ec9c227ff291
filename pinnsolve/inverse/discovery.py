"""Which terms an equation has, found from data: candidates that the data do not support are dropped.

First all candidates are fitted together, on cells that are refined until what noise hides is all that is missing. There
the least squares, linearized, tells of every size the set of candidates that leaves least of the data, and how well it
foretells data that were held out. The smallest set that does so about as well as any is fitted in its turn, and asked
the same, until it is chosen again: where all candidates stand, next to nothing determines each of them, and dropping
them one by one would now and then drop a term of the equation for the sum of several that are like it on these data.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from pinnsolve.assembly.linear_system import Bounds
from pinnsolve.assembly.row_source import State
from pinnsolve.assembly.system import CellSystem
from pinnsolve.assembly.term_rows import table_orders
from pinnsolve.bases.piecewise.space import Space
from pinnsolve.compiler.candidates import without
from pinnsolve.inverse.all_at_once import solving
from pinnsolve.inverse.best_sets import best_sets
from pinnsolve.inverse.held_out import Linearized, linearized
from pinnsolve.inverse.joint_fit import joint_fit
from pinnsolve.inverse.statement import InverseProblem
from pinnsolve.solvers.gauss_newton import Iterate, gauss_newton

WORSE = 1.5  # standard errors by which data held out must be foretold worse for a set to be too small
MOST_CHOICES = 8
ACCURATE = 1e-3  # of refits


@dataclass(frozen=True)
class Discovered:
    """The problem with the candidates that are left, where its solution begins, and those `dropped`, each with its
    equation."""

    statement: InverseProblem  # without those dropped
    begun: tuple[Space, State]
    dropped: tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class _Choice:
    """A set of parameters, fitted: the iterate, its least squares in the parameters, and how it foretells data."""

    chosen: tuple[int, ...]
    found: Iterate
    around: Linearized

    def held_out(self) -> Tensor:
        return self.around.held_out(self.chosen)


def discovered(statement: InverseProblem, tolerance: float, check: Callable[[Space], None]) -> Discovered:
    """The problem with those candidates that the data support, and its unknown functions as splines."""
    fit = joint_fit(statement, tolerance, check)
    statement, space = fit.statement, fit.space
    parameters = statement.problem.unknown_parameters
    candidates = [i for i, p in enumerate(parameters) if p.candidate]
    if not candidates:
        begun = replace(statement, start=fit.state.parameters)
        return Discovered(begun, (space, fit.state), ())
    best = _chosen(statement, space, fit.state, candidates)
    dropped = [parameters[i] for i in candidates if i not in best.chosen]
    left = torch.tensor([i for i in range(len(parameters)) if parameters[i] not in dropped], dtype=torch.long)
    problem = without(statement.problem, [p.name for p in dropped])
    bounds = Bounds(*(v[left] for v in (statement.bounds.low, statement.bounds.high, statement.bounds.size)))
    state = best.found.state
    start = state.parameters[left]
    size = torch.where(bounds.size == 1.0, start.abs().clamp_min(1e-300), bounds.size)
    prior, loose = (None if known is None else known[:, left] for known in (statement.prior, statement.loose))
    found = replace(statement, problem=problem, bounds=replace(bounds, size=size), start=start)
    found = replace(found, prior=prior, loose=loose)
    orders = tuple(max(k) for k in zip(table_orders(problem), *found.orders, strict=True))
    begun = Space(space.cells, space.degrees, orders), State(state.coefficients, start)
    return Discovered(found, begun, tuple(p.candidate for p in dropped))


# -- which of them ----------------------------------------------------------------------------------------------------


def _chosen(statement: InverseProblem, space: Space, state: State, candidates: list[int]) -> _Choice:
    """The set that is chosen again from its own fit, or else the smallest that foretells data as well as any."""
    system = statement.system(space).scaled_at(state)
    fitted: dict[tuple[int, ...], _Choice] = {}
    chosen = tuple(range(len(state.parameters)))
    while chosen not in fitted and len(fitted) < MOST_CHOICES:
        fitted[chosen] = choice = _refitted(statement, system, state, chosen)
        state, around = choice.found.state, choice.around
        kept = [i for i in range(len(state.parameters)) if i not in candidates]
        sets = [(*kept, *one) for one in best_sets(around.S, around.b, candidates)]
        held_out = [around.held_out(one) for one in sets]
        chosen = tuple(sorted(sets[smallest(held_out)]))
    if chosen in fitted and fitted[chosen] is choice:
        return choice
    tried = sorted(fitted.values(), key=lambda one: len(one.chosen))
    return tried[smallest([one.held_out() for one in tried])]


def smallest(held_out: list[Tensor]) -> int:
    """The first of the sets whose squares (G,) of residuals held out are not clearly larger than those of the best."""
    best = min(held_out, key=lambda squares: float(squares.sum()))
    for number, squares in enumerate(held_out):
        more = squares - best
        if float(more.mean()) <= WORSE * float(more.std()) / math.sqrt(len(more)):
            return number
    return len(held_out) - 1


def _refitted(statement: InverseProblem, system: CellSystem, state: State, chosen: tuple[int, ...]) -> _Choice:
    """The least squares in which all parameters but those chosen are zero."""
    free = torch.zeros(len(state.parameters), dtype=torch.bool)
    free[list(chosen)] = True
    nothing, bounds = torch.zeros_like(state.parameters), statement.bounds
    bounds = Bounds(torch.where(free, bounds.low, nothing), torch.where(free, bounds.high, nothing), bounds.size)
    start = State(state.coefficients, torch.where(free, state.parameters, nothing))
    found = gauss_newton(system, start, solving(ACCURATE), bounds).linearized()
    return _Choice(chosen, found, linearized(statement, found))
