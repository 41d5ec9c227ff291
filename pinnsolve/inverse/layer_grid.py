"""Where a function of small total variation jumps, about: a constant in each of many equal layers, from the data.

The least squares has lambda times the total variation beside the squares of the data (Rudin, Osher & Fatemi, Physica D
60 (1992) 259-268), as squares whose weights are made anew from step to step (lagged diffusivity: Vogel & Oman, SIAM J.
Sci. Comput. 17 (1996) 227-238). Lambda is chosen by generalized cross-validation of the linearized least squares.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from pinnsolve.assembly.linear_system import Bounds
from pinnsolve.assembly.row_source import State
from pinnsolve.bases.piecewise.space import Space
from pinnsolve.inverse.all_at_once import solving
from pinnsolve.inverse.held_out import Linearized, linearized
from pinnsolve.inverse.regularization_choice import COUNTED
from pinnsolve.inverse.statement import InverseProblem, first_fit
from pinnsolve.solvers.gauss_newton import gauss_newton

MOST_ROUNDS, STEPS = 10, 4  # of weights, and of Gauss-Newton with each
SWEEPS = 30  # of weights in a linearized least squares
WEIGHTS = tuple(10.0 ** (k / 2) for k in range(-8, 9))  # lambda, the function being of size one
FLAT = 1e-3  # jumps beside the size of the function that are none
SETTLED = 0.01  # change beside the size of the function
SHARE = 0.05  # of the total variation that a jump is worth looking at
MOST_JUMPS = 6
LEAST_LEFT = 0.1  # share of the values that must be left over to judge a fit by


@dataclass(frozen=True)
class Jumps:
    """Between values of layers: the places, and the `values` of the layers that they leave."""

    edges: tuple[float, ...]
    values: tuple[float, ...]


def grid_values(statement: InverseProblem, layers: Sequence[int]) -> Tensor:
    """(M,) the values in the layers, whose constants are the parameters of these numbers, from near to far."""
    space = statement.first_space()
    state = with_parameters_held(statement, space, State(first_fit(statement, space), statement.guess))
    layers, before, weight = list(layers), None, None
    for _ in range(MOST_ROUNDS):
        if weight is not None:
            values = state.parameters[layers]
            rows = math.sqrt(weight) * _variation(values)
            prior = torch.zeros(len(rows), len(state.parameters), dtype=torch.float64)
            prior[:, layers] = rows
            statement = replace(statement, prior=prior)
        bounds = statement.bounds
        if weight is None:  # one value for all
            one = torch.zeros(len(layers) - 1, len(state.parameters), dtype=torch.float64)
            one[:, layers] = _differences(len(layers)) / FLAT
            statement = replace(statement, prior=one)
        system = statement.system(space).scaled_at(state)
        found = gauss_newton(system, state, replace(solving(FLAT), most=STEPS), bounds).linearized()
        state = found.state
        around = linearized(statement, found)
        known = statement.prior
        around = replace(around, S=around.S - known.T @ known)
        weight, _ = chosen(around, layers)
        values = state.parameters[layers]
        if before is not None and float((values - before).abs().max()) <= SETTLED * float(values.abs().max()):
            break
        before = values
    return state.parameters[layers]


def with_parameters_held(statement: InverseProblem, space: Space, state: State) -> State:
    """The state with the solution that goes with its parameters: where both begin to move together."""
    system = statement.system(space).scaled_at(state)
    return gauss_newton(system, state, solving(FLAT), Bounds.held(state.parameters)).state


def _differences(count: int) -> Tensor:
    return torch.diff(torch.eye(count, dtype=torch.float64), dim=0)


def _variation(values: Tensor) -> Tensor:
    """(M - 1, M) rows whose squares add up to about the total variation of values (M,), of functions of size one."""
    size = values.abs().max().clamp_min(1e-300)
    D = _differences(len(values)) / size
    return D / torch.sqrt((D @ values).abs() + FLAT)[:, None]


def chosen(around: Linearized, layers: Sequence[int]) -> tuple[float, Tensor]:
    """The weight of the total variation by generalized cross-validation, and the parameters (P,) with it."""
    layers, best = list(layers), (math.inf, WEIGHTS[-1], around.parameters)
    theta = around.parameters
    for weight in reversed(WEIGHTS):
        for _ in range(SWEEPS):
            rows = math.sqrt(weight) * _variation(theta[layers])
            S = around.S.clone()
            penalty = rows.T @ rows
            for i, row in zip(layers, penalty, strict=True):
                S[i, layers] += row
            inverse = torch.linalg.pinv(S, hermitian=True)
            theta, last = inverse @ around.b, theta
            if float((theta - last).abs().max()) <= FLAT * float(theta.abs().max()):
                break
        left = around.r + around.Q @ (theta - around.parameters)
        freedom = around.freedom + float(torch.trace(inverse @ (around.Q.T @ around.Q)))
        rest = around.count - COUNTED * freedom
        value = float(left @ left) / rest**2 if rest > LEAST_LEFT * around.count else math.inf
        if value < best[0]:
            best = value, weight, theta
    return best[1], best[2]


def jumps_of(values: Tensor, low: float, high: float) -> Jumps:
    """The jumps of values (M,) in equal layers between `low` and `high`: neighbouring ones of one sign are one."""
    steps = torch.diff(values)
    places = torch.linspace(low, high, len(values) + 1, dtype=torch.float64)[1:-1]
    worth = steps.abs() > SHARE * float(steps.abs().sum()) / 2
    groups: list[list[int]] = []
    for k in worth.nonzero()[:, 0].tolist():
        near = groups and k - groups[-1][-1] == 1 and bool((steps[k] > 0) == (steps[groups[-1][-1]] > 0))
        if near:
            groups[-1].append(k)
        else:
            groups.append([k])
    groups = sorted(groups, key=lambda g: -float(steps[g].sum().abs()))[:MOST_JUMPS]
    edges = sorted(float((places[g] * steps[g].abs()).sum() / steps[g].abs().sum()) for g in groups)
    ends = torch.tensor([low, *edges, high])
    middle = 0.5 * (places[:-1] + places[1:])
    middle = torch.cat([0.5 * (low + places[:1]), middle, 0.5 * (places[-1:] + high)])
    found = []
    for a, b in zip(ends[:-1].tolist(), ends[1:].tolist(), strict=True):
        inside = (middle >= a) & (middle < b)
        found.append(float(values[inside].median()) if bool(inside.any()) else float(values.median()))
    return Jumps(tuple(edges), tuple(found))
