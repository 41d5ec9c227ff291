"""`least_squares`: coefficients only, hidden parameters as they were initialized.

Linear problems take one solve; nonlinear ones damped Gauss-Newton steps until the loss no longer falls.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from pinnsolve.assembly.row_source import State
from pinnsolve.assembly.rows import Assembly
from pinnsolve.bases.base import Basis
from pinnsolve.solvers.base import Iterate, Solver
from pinnsolve.solvers.basis_step import evaluate, newton_step, rank_info


@dataclass(frozen=True)
class LeastSquares(Solver):
    """`steps`: most Newton steps; `stagnation`: relative fall of the loss by a full step that still counts as progress.

    Where the basis holds the solution, Newton converges quadratically; a slow fall means that it does not.
    """

    steps: int = 60
    stagnation: float = 0.1
    memory_gb: float | None = None
    name: str = "least_squares"

    def init(self, assembly: Assembly, basis: Basis, state: State) -> Iterate:
        loss, terms = evaluate(assembly, basis, state)
        return Iterate(basis, state, loss, terms)

    def step(self, assembly: Assembly, iterate: Iterate) -> Iterate:
        # a starting state is a guess, often zero, where the loss may be small for the wrong reason: leave it in full
        loss = iterate.loss if iterate.step else math.inf
        result = newton_step(assembly, iterate.basis, iterate.state, loss, self.memory_gb)
        columns = result.solved.x.numel()
        falls = result.loss < (1 - self.stagnation * result.length) * iterate.loss
        progress = not assembly.problem.linear and (iterate.step == 0 or (result.length > 0 and falls))
        return Iterate(
            iterate.basis,
            result.state,
            result.loss,
            result.terms,
            iterate.step + 1,
            {**rank_info(result.solved, columns), "damping": result.length},
            memory=progress,
        )

    def most_steps(self, assembly: Assembly) -> int:
        return 1 if assembly.problem.linear else self.steps

    def finished(self, iterate: Iterate) -> bool:
        if iterate.step >= self.steps:
            return True
        return iterate.step > 0 and not iterate.memory
