"""`gd`: gradient descent on coefficients and hidden parameters jointly, the baseline that others use.

Kept so that the method can be compared with what it replaces [Gulian, Hybrid least squares/gradient
descent].
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import torch

from pinnsolve.assembly.linear_system import Bounds
from pinnsolve.assembly.row_source import State
from pinnsolve.assembly.rows import Assembly, losses
from pinnsolve.bases.base import Basis
from pinnsolve.solvers.base import Iterate, Solver
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


@dataclass
class _Memory:
    """Leaves that the optimizer moves, with gradients at the iterate; the optimizer and its moments; the loss."""

    hidden: dict[str, torch.Tensor]
    state: State
    optimizer: torch.optim.Optimizer
    loss: torch.Tensor | None = None


@dataclass(frozen=True)
class GD(Solver):
    """Coefficients start uniform in +-1/sqrt(W), as a last layer commonly does, unless a state is given."""

    steps: int = 5000
    optimizer: str = "adam"
    learning_rate: float = 0.005
    seed: int = 0
    name: str = "gd"

    @classmethod
    def from_settings(cls, settings: SolveSettings) -> GD:
        name, rate = descent_of(settings)
        return cls(steps_of(settings, "gd"), name, rate, settings.seed)

    def init(self, assembly: Assembly, basis: Basis, state: State) -> Iterate:
        coefficients = state.coefficients
        if not bool(coefficients.any()):
            generator = torch.Generator().manual_seed(self.seed)
            random = torch.rand(coefficients.shape, generator=generator, dtype=torch.float64)
            coefficients = ((2 * random - 1) / math.sqrt(basis.width)).to(coefficients)
        return self._evaluated(assembly, basis, self._memory(basis, State(coefficients, state.parameters)), 0)

    def _memory(self, basis: Basis, state: State) -> _Memory:
        leaves = as_leaf({"coefficients": state.coefficients, "parameters": state.parameters})
        state = State(leaves["coefficients"], leaves["parameters"])
        hidden = as_leaf(basis.hidden)
        moved = [*hidden.values(), state.coefficients, *([state.parameters] if state.parameters.numel() else [])]
        return _Memory(hidden, state, make_optimizer(self.optimizer, moved, self.learning_rate))

    def kept(self, iterate: Iterate) -> Mapping[str, Any]:
        return {"loss": iterate.memory.loss.detach(), "optimizer": optimizer_values(iterate.memory.optimizer)}

    def taken_up(self, assembly: Assembly, iterate: Iterate, kept: Mapping[str, Any]) -> Iterate:
        memory = self._memory(iterate.basis, iterate.state)
        restore_optimizer(memory.optimizer, kept["optimizer"])
        memory.loss = kept["loss"]
        return replace(iterate, memory=memory)

    def step(self, assembly: Assembly, iterate: Iterate) -> Iterate:
        memory = iterate.memory
        fresh = True

        def closure():
            nonlocal fresh
            if not fresh:  # the iterate's own gradient is there already
                _gradient(assembly, iterate.basis, memory)
            fresh = False
            return memory.loss

        memory.optimizer.step(closure)
        with torch.no_grad():
            bounds = Bounds.of(assembly.problem, memory.state.parameters)
            memory.state.parameters.copy_(bounds.hold(memory.state.parameters))
        return self._evaluated(assembly, iterate.basis, memory, iterate.step + 1)

    @staticmethod
    def _evaluated(assembly: Assembly, basis: Basis, memory: _Memory, step: int) -> Iterate:
        """Where the leaves are now, with the gradient there for the next step."""
        terms = _gradient(assembly, basis, memory)
        moved = basis.with_hidden({name: value.detach().clone() for name, value in memory.hidden.items()})
        return Iterate(moved, _plain(memory.state), math.fsum(terms.values()), terms, step, memory=memory)


def _gradient(assembly: Assembly, basis: Basis, memory: _Memory) -> dict[str, float]:
    """The loss and its gradient at the leaves, both left in `memory`; returns the loss per term."""
    memory.optimizer.zero_grad(set_to_none=True)
    parts = assembly.residual_parts(basis, memory.state, memory.hidden)
    loss = torch.stack([(r**2).sum() for r in parts.values()]).sum()
    loss.backward()
    reduce_gradients(memory.optimizer, assembly.among)
    memory.loss = assembly.among.summed(loss.detach())
    return losses(parts, assembly.among)


def _plain(state: State) -> State:
    return State(state.coefficients.detach().clone(), state.parameters.detach().clone())
