"""`least_squares`: coefficients only, hidden parameters as they were initialized.

Linear problems take one solve; nonlinear ones damped Gauss-Newton steps until the loss no longer falls.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from pinnsolve.assembly.basis_system import BasisSystem
from pinnsolve.assembly.row_source import State
from pinnsolve.assembly.rows import Assembly
from pinnsolve.bases.base import Basis
from pinnsolve.solvers.base import Iterate, Solver
from pinnsolve.solvers.gauss_newton import Iterate as GaussNewtonIterate
from pinnsolve.solvers.gauss_newton import Iteration, next_iterate
from pinnsolve.solvers.optimizers import steps_of

if TYPE_CHECKING:
    from pinnsolve.spec.schema.solve import SolveSettings

FORETOLD = 1e-3  # of the loss: by as much a step may miss what it foretold for no other to be worth its factorization
FALL = 1e-4  # of the loss, relative to it, by which a step must lower it (Armijo's constant)


def newton(system: BasisSystem, most: int, stagnation: float, leaves: bool = True) -> Iteration:
    """Gauss-Newton on a basis, whose rows are factorized anew for every step: coefficients of nearly dependent
    functions are large and never settle, so it ends by the loss.

    Where the loss is mostly noise, a small share of it is much of what is to be found, so steps are taken to the end.
    Where parameters are unknown, a step is judged with coefficients solved anew for its parameters (variable
    projection), so that the equations' large weight does not shorten steps along the curve on which they hold.
    """
    problem = system.assembly.problem
    corrections = 1 if problem.unknown_parameters else 0
    noisy = problem.unknown_parameters or any(term.data_file is not None for term in problem.terms)
    return Iteration(
        most=most, stagnation=stagnation, leaves=leaves, rise=math.sqrt(1 - FALL), corrections=corrections,
        chord=0.0, strict=False, foretold=0.0 if noisy else FORETOLD,
    )  # fmt: skip


@dataclass(frozen=True)
class LeastSquares(Solver):
    """`steps`: most Newton steps; `stagnation`: relative fall of the loss by a full step that still counts as progress.

    Where the basis holds the solution, Newton converges quadratically; a slow fall means that it does not.
    """

    steps: int = 60
    stagnation: float = 0.1
    memory_gb: float | None = None
    name: str = "least_squares"

    @classmethod
    def from_settings(cls, settings: SolveSettings) -> LeastSquares:
        return cls(steps=steps_of(settings, "least_squares"), memory_gb=settings.limits.memory_gb)

    def init(self, assembly: Assembly, basis: Basis, state: State) -> Iterate:
        system = BasisSystem(assembly, basis, self.memory_gb)
        at = GaussNewtonIterate(system, state, system.rows(state, matrix=False), None)
        return Iterate(basis, state, at.loss, at.terms, memory=at)

    def step(self, assembly: Assembly, iterate: Iterate) -> Iterate:
        before = iterate.memory
        at = next_iterate(before, newton(before.system, self.steps, self.stagnation), before.system.bounds)
        lost = not math.isfinite(at.size)
        info = {**at.reduced.rank_info(), "damping": at.length}
        ended = at.ended or assembly.problem.linear
        memory = replace(at, reduced=None, fresh=True, ended=ended)  # of which nothing large is kept
        return Iterate(iterate.basis, at.state, math.nan if lost else at.loss, at.terms, iterate.step + 1, info, memory)

    def kept(self, iterate: Iterate) -> Mapping[str, Any]:
        return {"ended": iterate.memory.ended}

    def taken_up(self, assembly: Assembly, iterate: Iterate, kept: Mapping[str, Any]) -> Iterate:
        at = self.init(assembly, iterate.basis, iterate.state).memory
        return replace(iterate, memory=replace(at, steps=iterate.step, ended=kept["ended"]))

    def most_steps(self, assembly: Assembly) -> int:
        return 1 if assembly.problem.linear else self.steps

    def finished(self, iterate: Iterate) -> bool:
        return iterate.step >= self.steps or iterate.memory.ended
