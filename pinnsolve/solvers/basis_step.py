"""Coefficients on a basis: one least-squares solve, or a damped Gauss-Newton step where a term is nonlinear.

A step solves min ||A c - (A c_0 - r)|| for the state c itself, and moves along c - c_0. Where A has dependent columns
the solution is the one of least norm, so whatever a starting state holds in directions that A does not see is left
behind; a correction of least norm would keep it, and its rounding with it.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from pinnsolve.assembly.row_source import State, stacked
from pinnsolve.assembly.rows import Assembly, losses
from pinnsolve.bases.base import Basis
from pinnsolve.errors import ResourceError
from pinnsolve.least_squares import Solved, StreamingQR, solve_dense
from pinnsolve.runtime import memory_available

SMALLEST_STEP = 2.0**-12


@dataclass(frozen=True)
class Step:
    """A state with its loss, the quality of the solve and the length of the damped step that led there."""

    state: State
    loss: float
    terms: Mapping[str, float]
    solved: Solved
    length: float


def correction(
    assembly: Assembly, basis: Basis, state: State, memory_gb: float | None = None, parameters: bool = True
) -> Solved:
    """The full Gauss-Newton step at a state: `x` is c - c_0, from all rows at once if they fit, else from a stream.

    Without `parameters`, the unknown parameters are held. Raises ResourceError when not even the triangle of the stream
    fits into `memory_gb`.
    """
    columns = state.coefficients.numel() + (state.parameters.numel() if parameters else 0)
    here = state.vector()[:columns]
    item = state.coefficients.element_size()
    dense, streaming = 3 * item * assembly.row_count * columns, 5 * item * columns**2
    available = memory_available() if memory_gb is None else memory_gb * 1e9
    if dense <= min(available, 4e9):
        A, r = stacked(assembly.blocks(basis, state))
        return solution_step(A[:, :columns], r, here)
    if streaming > available:
        raise ResourceError(
            f"{columns} coefficients need {streaming / 1e9:.2g} GB, and {available / 1e9:.2g} GB may be taken; "
            "lower basis.width or raise limits.memory_gb"
        )
    stream = StreamingQR(columns)
    for block in assembly.blocks(basis, state, rows=max(256, columns // 2)):
        A = block.A[:, :columns]
        stream.add(A, A @ here - block.r[0])
    solved = stream.solve()
    return replace(solved, x=solved.x - here)


def solution_step(A: Tensor, r: Tensor, here: Tensor) -> Solved:
    """The step c - c_0 from c_0 = `here` (n,) with rows A (m, n) and residuals r (m,)."""
    solved = solve_dense(A, A @ here - r)
    return replace(solved, x=solved.x - here)


def bounded_step(assembly: Assembly, A: Tensor, r: Tensor, state: State) -> tuple[State, Solved]:
    """The solution of a linear problem from its rows at `state`, with unknown parameters held to their bounds.

    Where a bound holds a parameter, the coefficients are solved anew for it.
    """
    solved = solution_step(A, r, state.vector())
    free = state.moved(solved.x)
    held = within_bounds(assembly, free).parameters
    if torch.equal(held, free.parameters):
        return free, solved
    n = state.coefficients.numel()
    change = held - state.parameters
    x = solution_step(A[:, :n], r + A[:, n:] @ change, state.vector()[:n]).x
    return State(state.moved(torch.cat([x, change])).coefficients, held), solved


def within_bounds(assembly: Assembly, state: State) -> State:
    """Unknown parameters are held to their bounds."""
    if not assembly.problem.unknown_parameters:
        return state
    low = state.parameters.new_tensor([p.bounds[0] for p in assembly.problem.unknown_parameters])
    high = state.parameters.new_tensor([p.bounds[1] for p in assembly.problem.unknown_parameters])
    return State(state.coefficients, torch.minimum(torch.maximum(state.parameters, low), high))


def evaluate(assembly: Assembly, basis: Basis, state: State) -> tuple[float, dict[str, float]]:
    """Loss and weighted loss per term at a state."""
    terms = losses(assembly.residual_parts(basis, state))
    return math.fsum(terms.values()), terms


def newton_step(assembly: Assembly, basis: Basis, state: State, loss: float, memory_gb: float | None = None) -> Step:
    """One damped Gauss-Newton step from a state of the given loss (inf to accept whatever the full step gives).

    The step is halved until the loss falls (Armijo with a small constant); a linear problem takes the full step. Where
    parameters are unknown, a trial is judged with coefficients solved anew for its parameters (variable projection), so
    that the equations' large weight does not shorten steps along the curve on which they hold.
    """
    solved = correction(assembly, basis, state, memory_gb)
    length = 1.0
    while True:
        trial = within_bounds(assembly, state.moved(solved.x, length))
        if assembly.problem.unknown_parameters:
            held = correction(assembly, basis, trial, memory_gb, parameters=False)
            trial = State(trial.moved(_padded(held.x, trial)).coefficients, trial.parameters)
        trial_loss, terms = evaluate(assembly, basis, trial)
        falls = trial_loss <= loss * (1.0 - 1e-4 * length)
        if assembly.problem.linear or falls or not math.isfinite(loss):
            return Step(trial, trial_loss, terms, solved, length)
        length /= 2.0
        if length < SMALLEST_STEP:
            unchanged, terms = evaluate(assembly, basis, state)
            return Step(state, unchanged, terms, solved, 0.0)


def _padded(x: Tensor, state: State) -> Tensor:
    return torch.cat([x, torch.zeros_like(state.parameters)])


def rank_info(solved: Solved, columns: int) -> dict:
    return {"rank": solved.rank, "columns": columns, "condition": solved.condition}


def as_leaf(hidden: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Hidden parameters as fresh leaves for autograd."""
    return {name: value.detach().clone().requires_grad_(True) for name, value in hidden.items()}
