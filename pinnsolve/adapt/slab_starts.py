"""Where Newton's method starts in a slab, when the solution before it, prolonged, does not lead to one.

A line that leaves the domain of a root or a logarithm before the slab ends is replaced by the value at its start. An
equation that is nonlinear in the derivative by time has several solutions from one value (u_t**2 = u goes up or down):
at the start of time both directions are tried, later slabs prolong the one that was taken.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import replace

import torch
from torch import Tensor

from pinnsolve.adapt.first_guess import differ, several, solves
from pinnsolve.assembly.row_source import State
from pinnsolve.assembly.system import CellSystem
from pinnsolve.assembly.term_rows import highest_orders
from pinnsolve.compiler.terms import CompiledProblem
from pinnsolve.language.symbols import FeatureSymbol
from pinnsolve.solvers.gauss_newton import Iterate, Iteration, gauss_newton

RISE = 1.5  # by what factor a step from such a start may raise the root of the loss
RATES = tuple(10.0**k for k in (-2, -1, 0, 1, 2, 3))  # change over the whole time, relative to the start


def has_branches(problem: CompiledProblem, axis: int) -> bool:
    """Whether an equation is nonlinear in the highest derivative by time of an unknown: values alone do not tell how
    they go on."""
    orders = dict(zip(problem.unknowns, (order[axis] for order in highest_orders(problem)), strict=True))

    def highest(symbol) -> bool:
        f = getattr(symbol, "feature", None)
        return isinstance(symbol, FeatureSymbol) and 0 < f.alpha[axis] == orders[f.unknown]

    return any(
        feature.alpha[axis] == orders[feature.unknown] > 0 and any(map(highest, coefficient.free_symbols))
        for term in problem.terms
        if term.kind == "equation"
        for linearization in term.linearizations
        for feature, coefficient in linearization.features
    )


def is_defined(system: CellSystem, c: Tensor, parameters: Tensor) -> bool:
    """Whether all functions of the equations are defined at a guess (C, U, n)."""
    return math.isfinite(system.loss(State(c, parameters)))


def along_branches(
    system: CellSystem, start: Callable[[Tensor], Tensor], ends: tuple[int, float, float], how: Iteration
) -> Iterate | None:
    """The solution that goes on from `start`; None where none was found.

    `start`: (N, d) -> (U, N), what is stated at the start; `ends`: the axis of time, its start and its whole length.
    Solutions that decay are preferred to those that grow.
    """
    found: list[Iterate] = []
    for sign in (-1.0, 1.0):
        guess = _steepest_fit(system, start, ends, sign)
        if guess is not None:
            state = State(guess, guess.new_zeros(0))
            one = gauss_newton(system.scaled_at(state), state, replace(how, rise=RISE, strict=False))
            found += [one] if solves(one) else []
    if not found:
        return None
    several_found = len(found) > 1 and differ(system, found[0], found[1])
    return replace(found[0], doubts=(several(),)) if several_found else found[0]


def _steepest_fit(system: CellSystem, start, ends: tuple[int, float, float], sign: float) -> Tensor | None:
    """Of the lines from the start with slopes of one sign, the one with the least residual."""
    best, least = None, math.inf
    for guess in _lines(system, start, ends, sign):
        loss = system.loss(State(guess, guess.new_zeros(0)))
        if loss < least:
            best, least = guess, loss
    return best


def _lines(system: CellSystem, start, ends: tuple[int, float, float], sign: float) -> Iterator[Tensor]:
    axis, low, length = ends

    def line(rate: float) -> Callable[[Tensor], Tensor]:
        def values(x: Tensor) -> Tensor:
            here = start(x)
            size = here.abs().amax(dim=1, keepdim=True)
            grows = torch.where(size > 0, here, torch.ones_like(here))
            return here + sign * rate * grows * (x[:, axis] - low) / length

        return values

    for rate in RATES:
        yield system.space.project(line(rate), system.unknowns)
