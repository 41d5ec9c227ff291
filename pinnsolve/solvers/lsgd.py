"""`lsgd`: [Gulian, Algorithm 1], hybrid least squares / gradient descent.

    xi^L = LS(xi^H); repeat { one gradient step on xi^H; xi^L = LS(xi^H) }

Because xi^L is optimal, the gradient on xi^H at fixed xi^L is that of the reduced functional (envelope theorem), and
one assembly of the rows serves both the solve and the gradient. For a nonlinear problem LS is a few damped
Gauss-Newton steps from the coefficients before (Cyr, Gulian, Patel, Perego & Trask 2020 take one): were the
coefficients not settled, their share of the gradient would drive the hidden parameters.

With a penalty it is one phase of Algorithm 2 (two-phase LSGD): LS then minimizes loss + lambda |c|^2, and lambda is
multiplied by rho whenever that sum has not fallen below its least for n_stag steps. Small windows need large
coefficients, so the penalty keeps the windows of a partition from collapsing.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from pinnsolve.assembly.basis_system import BasisSystem, DenseFactorization
from pinnsolve.assembly.row_source import State
from pinnsolve.assembly.rows import Assembly, losses
from pinnsolve.bases.base import Basis
from pinnsolve.solvers.base import Iterate, Solver
from pinnsolve.solvers.gauss_newton import gauss_newton
from pinnsolve.solvers.least_squares import newton
from pinnsolve.solvers.optimizers import (
    as_leaf,
    descent_of,
    make_optimizer,
    optimizer_values,
    reduce_gradients,
    restore_optimizer,
    steps_of,
)

if TYPE_CHECKING:
    from pinnsolve.spec.schema.solve import SolveSettings

NEWTON_STEPS = 6  # most per step, on the functions at hand, of which none is evaluated again
SETTLED = 0.01  # fall of the loss by a Newton step, relative to it, below which the coefficients are settled


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
    solved: dict = field(default_factory=dict)  # rank and condition of the last solve
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

    @classmethod
    def from_settings(cls, settings: SolveSettings) -> LSGD:
        name, rate = descent_of(settings)
        return cls(steps_of(settings, "lsgd"), name, rate)

    @classmethod
    def first_phase(cls, settings: SolveSettings) -> LSGD | None:
        """The phase with a penalty that the file asks for before the method proper, if it does."""
        if settings.optimizer is None or settings.optimizer.first_phase is None:
            return None
        phase = settings.optimizer.first_phase
        name, rate = descent_of(settings)
        penalty = Penalty(phase.penalty, phase.factor, phase.stagnation)
        return cls(phase.steps, name, rate, penalty=penalty, name="first phase")

    def init(self, assembly: Assembly, basis: Basis, state: State) -> Iterate:
        hidden = as_leaf(basis.hidden)
        memory = _Memory(hidden, make_optimizer(self.optimizer, list(hidden.values()), self.learning_rate))
        memory.penalty = self.penalty.size if self.penalty else 0.0
        if not assembly.problem.linear:  # so that the first gradient is that of a reduced functional
            system = BasisSystem(assembly, basis)
            how = newton(system, self.newton_steps_at_start, SETTLED)
            state = gauss_newton(system, state, how, system.bounds).state
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
        info = memory.solved
        if self.penalty:
            info["penalty"] = memory.penalty
            self._relax(memory, loss + memory.penalty * float(state.coefficients.square().sum()))
        return Iterate(basis, state, loss, terms, step, info, memory)

    def kept(self, iterate: Iterate) -> Mapping[str, Any]:
        memory = iterate.memory
        numbers = {name: getattr(memory, name) for name in ("loss", "penalty", "least", "since")}
        return {**numbers, "solved": dict(memory.solved), "optimizer": optimizer_values(memory.optimizer)}

    def taken_up(self, assembly: Assembly, iterate: Iterate, kept: Mapping[str, Any]) -> Iterate:
        hidden = as_leaf(iterate.basis.hidden)
        optimizer = make_optimizer(self.optimizer, list(hidden.values()), self.learning_rate)
        restore_optimizer(optimizer, kept["optimizer"])
        numbers = {name: value for name, value in kept.items() if name != "optimizer"}
        return replace(iterate, memory=_Memory(hidden, optimizer, **numbers))

    def _relax(self, memory: _Memory, total: float) -> None:
        """The stagnation rule of Algorithm 2."""
        memory.since += 1
        if total < memory.least:
            memory.least, memory.since = total, 0
        if memory.since >= self.penalty.stagnation:
            memory.penalty, memory.least, memory.since = memory.penalty * self.penalty.factor, math.inf, 0

    def finished(self, iterate: Iterate) -> bool:
        return iterate.step >= self.steps or iterate.loss <= self.enough


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
        system = BasisSystem(assembly, basis, tables=detached, penalty=memory.penalty)
        state, reduced, rest = _solved_for(system, state)
        memory.solved = reduced.rank_info()
    parts = _parts(assembly, matrices, state)
    residual = torch.cat([r.reshape(-1) for r in parts.values()])
    if residual.requires_grad:
        (2.0 * (residual.detach() if rest is None else rest) @ residual).backward()
    reduce_gradients(memory.optimizer, assembly.among)
    memory.loss = assembly.among.summed(residual.detach().square().sum())
    return state, losses(parts, assembly.among)


def _parts(assembly: Assembly, matrices: list, state: State) -> dict[str, torch.Tensor]:
    return {
        t.term.name: t.residuals(t.values(m, state), state) * t.scale
        for t, m in zip(assembly.terms, matrices, strict=True)
    }


def _solved_for(system: BasisSystem, state: State) -> tuple[State, DenseFactorization, Tensor | None]:
    """Least squares with the basis functions at hand: one solve, or Gauss-Newton steps until the loss settles.

    Of a nonlinear problem the third part is what the rows leave of the residual: the gradient is taken with that
    (Kaufman 1975), since coefficients whose loss is within a hundredth of the least may still be far from the best.
    """
    if not system.linear:
        how = newton(system, NEWTON_STEPS, SETTLED, leaves=False)
        state = gauss_newton(system, state, how, system.bounds).state
    rows, reduced = system.factorized(state, (), parameters=True)
    delta, moved = reduced.step(rows, state.parameters, system.bounds)
    if system.linear:
        return State(state.coefficients + delta, state.parameters + moved), reduced, None
    return state, reduced, reduced.left(reduced.solved.x)[: system.assembly.own_rows]
