"""`lsgd`: Algorithm 1 of the talk, hybrid least squares / gradient descent.

    xi^L = LS(xi^H); repeat { one gradient step on xi^H; xi^L = LS(xi^H) }

Because xi^L is optimal, the gradient on xi^H at fixed xi^L is that of the reduced functional (envelope theorem), and
one assembly of the rows serves both the solve and the gradient. For a nonlinear problem LS is a few damped
Gauss-Newton steps from the coefficients before (Cyr, Gulian, Patel, Perego & Trask, MSML 2020, take one): were the
coefficients not settled, their share of the gradient would drive the hidden parameters.

With a penalty it is one phase of Algorithm 2 (two-phase LSGD): LS then minimizes loss + lambda |c|^2, and lambda is
multiplied by rho whenever that sum has not fallen below its least for n_stag steps. Small windows need large
coefficients, so the penalty keeps the windows of a partition from collapsing.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from pinnsolve.assembly.row_source import State, stacked
from pinnsolve.assembly.rows import Assembly, losses
from pinnsolve.bases.base import Basis
from pinnsolve.least_squares import Solved
from pinnsolve.solvers.base import Iterate, Solver
from pinnsolve.solvers.basis_step import as_leaf, bounded_step, newton_step, rank_info, solution_step, within_bounds
from pinnsolve.solvers.optimizers import make_optimizer

NEWTON_STEPS = 6  # most per step, on the functions at hand, of which none is evaluated again
SETTLED = 0.99  # ratio of losses before and after a Newton step at which the coefficients are settled


@dataclass(frozen=True)
class Penalty:
    """lambda = `size` at first, times rho = `factor` after n_stag = `stagnation` steps without progress."""

    size: float = 0.1
    factor: float = 0.9
    stagnation: int = 100


@dataclass
class _Memory:
    """Leaves that the optimizer moves, with gradients at the iterate; the optimizer and its moments; the last solve.

    `penalty`: lambda; `least`: the least sum of loss and penalty since lambda changed, `since` steps ago.
    """

    hidden: dict[str, torch.Tensor]
    optimizer: torch.optim.Optimizer
    solved: Solved | None = None
    loss: torch.Tensor | None = None
    penalty: float = 0.0
    least: float = math.inf
    since: int = 0


@dataclass(frozen=True)
class LSGD(Solver):
    """`enough`: the loss below which the rows hold nothing but rounding; the loop ends there."""

    steps: int = 500
    optimizer: str = "adam"
    learning_rate: float = 0.005
    enough: float = 1e-30
    newton_steps_at_start: int = 20
    penalty: Penalty | None = None
    name: str = "lsgd"

    def init(self, assembly: Assembly, basis: Basis, state: State) -> Iterate:
        hidden = as_leaf(basis.hidden)
        memory = _Memory(hidden, make_optimizer(self.optimizer, list(hidden.values()), self.learning_rate))
        memory.penalty = self.penalty.size if self.penalty else 0.0
        if not assembly.problem.linear:  # so that the first gradient is that of a reduced functional
            state = _settle(assembly, basis, state, self.newton_steps_at_start)
        return self._solved(assembly, basis, state, memory, 0)

    def step(self, assembly: Assembly, iterate: Iterate) -> Iterate:
        memory, state = iterate.memory, iterate.state
        fresh = True

        def closure():
            nonlocal fresh
            if fresh:  # the iterate's own gradient is there already
                fresh = False
                return memory.loss
            _reduced_gradient(assembly, iterate.basis, state, memory)
            return memory.loss

        memory.optimizer.step(closure)
        basis = iterate.basis.with_hidden({name: value.detach().clone() for name, value in memory.hidden.items()})
        return self._solved(assembly, basis, state, memory, iterate.step + 1)

    def _solved(self, assembly: Assembly, basis: Basis, state: State, memory: _Memory, step: int) -> Iterate:
        state, terms = _reduced_gradient(assembly, basis, state, memory)
        loss = math.fsum(terms.values())
        info = rank_info(memory.solved, memory.solved.x.numel())
        if self.penalty:
            info["penalty"] = memory.penalty
            self._relax(memory, loss + memory.penalty * float(state.coefficients.square().sum()))
        return Iterate(basis, state, loss, terms, step, info, memory)

    def _relax(self, memory: _Memory, total: float) -> None:
        """The stagnation rule of Algorithm 2."""
        memory.since += 1
        if total < memory.least:
            memory.least, memory.since = total, 0
        if memory.since >= self.penalty.stagnation:
            memory.penalty, memory.least, memory.since = memory.penalty * self.penalty.factor, math.inf, 0

    def finished(self, iterate: Iterate) -> bool:
        return iterate.step >= self.steps or iterate.loss <= self.enough


def _settle(assembly: Assembly, basis: Basis, state: State, steps: int) -> State:
    loss = math.inf
    for _ in range(steps):
        result = newton_step(assembly, basis, state, loss)
        if not result.loss < SETTLED * loss:
            return result.state if result.loss < loss else state
        state, loss = result.state, result.loss
    return state


def _reduced_gradient(
    assembly: Assembly, basis: Basis, state: State, memory: _Memory
) -> tuple[State, dict[str, float]]:
    """Least squares at the hidden parameters, then the loss there and the gradient of the reduced functional.

    Returns the new state and the loss per term; loss, gradients and solve stay in `memory`.
    """
    memory.optimizer.zero_grad(set_to_none=True)
    matrices = [t.matrices(basis, memory.hidden) for t in assembly.terms]
    with torch.no_grad():
        detached = [{f: m.detach() for f, m in term.items()} for term in matrices]
        state, memory.solved, rest = _solved_for(assembly, detached, state, memory.penalty)
    parts = _parts(assembly, matrices, state)
    residual = torch.cat([r.reshape(-1) for r in parts.values()])
    if residual.requires_grad:
        (2.0 * (residual.detach() if rest is None else rest) @ residual).backward()
    memory.loss = residual.detach().square().sum()
    return state, losses(parts)


def _parts(assembly: Assembly, matrices: list, state: State) -> dict[str, torch.Tensor]:
    return {
        t.term.name: t.residuals(t.values(m, state), state) * t.scale
        for t, m in zip(assembly.terms, matrices, strict=True)
    }


def _solved_for(
    assembly: Assembly, matrices: list, state: State, penalty: float
) -> tuple[State, Solved, torch.Tensor | None]:
    """Least squares with the basis functions of `matrices`: one solve, or Gauss-Newton steps until the loss settles.

    Of a nonlinear problem the third part is what the rows leave of the residual: the gradient is taken with that
    (Kaufman 1975), since coefficients whose loss is within a hundredth of the least may still be far from the best.
    """
    settled = False
    for step in range(NEWTON_STEPS + 1):
        blocks = [t.rows(m, state) for t, m in zip(assembly.terms, matrices, strict=True)]
        A, r = stacked(blocks)
        rows = len(r)
        A, r = _penalized(A, r, state, penalty)
        if assembly.problem.linear:
            return *bounded_step(assembly, A, r, state), None
        solved = solution_step(A, r, state.vector())
        if settled or step == NEWTON_STEPS:
            break
        before = float(r.square().sum())
        state, loss = _accepted(assembly, matrices, state, solved, before, penalty)
        settled = not loss < SETTLED * before
    return state, solved, (r + A @ solved.x)[:rows]


def _penalized(A: Tensor, r: Tensor, state: State, penalty: float) -> tuple[Tensor, Tensor]:
    """The rows (m, n) and residuals (m,) with those of lambda |c|^2 below; unknown parameters are not penalized."""
    if penalty == 0.0:
        return A, r
    c = state.coefficients.reshape(-1)
    own = torch.eye(len(c), A.shape[1], dtype=A.dtype, device=A.device)
    return torch.cat([A, math.sqrt(penalty) * own]), torch.cat([r, math.sqrt(penalty) * c])


def _accepted(
    assembly: Assembly, matrices: list, state: State, solved: Solved, before: float, penalty: float
) -> tuple[State, float]:
    """The state after the correction, halved while loss and penalty would rise, and their sum."""
    length = 1.0
    for _ in range(8):
        trial = within_bounds(assembly, state.moved(solved.x, length))
        loss = math.fsum(losses(_parts(assembly, matrices, trial)).values())
        loss += penalty * float(trial.coefficients.square().sum())
        if loss <= before:
            return trial, loss
        length /= 2.0
    return state, before
