"""`gd`: gradient descent on coefficients and hidden parameters jointly, the baseline that others use.

Kept so that the method can be compared with what it replaces (the talk, section on hybrid least squares/gradient
descent).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch

from pinnsolve.assembly import Assembly, State, losses
from pinnsolve.bases.base import Basis
from pinnsolve.solvers.base import Iterate, Solver
from pinnsolve.solvers.hidden_step import make_optimizer
from pinnsolve.solvers.newton import as_leaf, evaluate, within_bounds


@dataclass
class _Memory:
    hidden: dict[str, torch.Tensor]
    state: State
    optimizer: torch.optim.Optimizer


@dataclass(frozen=True)
class GD(Solver):
    """Coefficients start uniform in +-1/sqrt(W), as a last layer commonly does, unless a state is given."""

    steps: int = 5000
    optimizer: str = "adam"
    learning_rate: float = 0.005
    seed: int = 0
    name: str = "gd"

    def init(self, assembly: Assembly, basis: Basis, state: State) -> Iterate:
        coefficients = state.coefficients
        if not bool(coefficients.any()):
            generator = torch.Generator().manual_seed(self.seed)
            random = torch.rand(coefficients.shape, generator=generator, dtype=torch.float64)
            coefficients = ((2 * random - 1) / math.sqrt(basis.width)).to(coefficients)
        leaves = as_leaf({"coefficients": coefficients, "parameters": state.parameters})
        state = State(leaves["coefficients"], leaves["parameters"])
        hidden = as_leaf(basis.hidden)
        moved = [*hidden.values(), state.coefficients, *([state.parameters] if state.parameters.numel() else [])]
        memory = _Memory(hidden, state, make_optimizer(self.optimizer, moved, self.learning_rate))
        with torch.no_grad():
            loss, terms = evaluate(assembly, basis, state)
        return Iterate(basis, _plain(state), loss, terms, memory=memory)

    def step(self, assembly: Assembly, iterate: Iterate) -> Iterate:
        memory = iterate.memory
        seen: list[tuple[dict, State, dict]] = []  # the point at which the loss was evaluated first

        def closure():
            memory.optimizer.zero_grad(set_to_none=True)
            parts = assembly.residual_parts(iterate.basis, memory.state, memory.hidden)
            loss = sum((r**2).sum() for r in parts.values())
            if not seen:
                hidden = {name: value.detach().clone() for name, value in memory.hidden.items()}
                seen.append((hidden, _plain(memory.state), losses(parts)))
            loss.backward()
            return loss

        memory.optimizer.step(closure)
        with torch.no_grad():
            memory.state.parameters.copy_(within_bounds(assembly, memory.state).parameters)
        hidden, state, terms = seen[0]
        loss = math.fsum(terms.values())
        return Iterate(iterate.basis.with_hidden(hidden), state, loss, terms, iterate.step + 1, memory=memory)


def _plain(state: State) -> State:
    return State(state.coefficients.detach().clone(), state.parameters.detach().clone())
