"""What a solver is, and the one loop that drives any of them.

A solver is three small parts: `init` makes the first iterate, `step` the next, `finished` says when it is done. The
loop keeps the best iterate so far, records history, and turns a lost iterate (NaN, divergence), a time limit or
Ctrl-C into a status with a sentence; nothing that was computed is lost.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import torch

from pinnsolve.assembly.row_source import State
from pinnsolve.assembly.rows import Assembly
from pinnsolve.bases.base import Basis
from pinnsolve.solvers.budget import Clock
from pinnsolve.solvers.follow import Outcome, follow, out_of_time

if TYPE_CHECKING:
    from pinnsolve.spec.schema.solve import SolveSettings

Progress = Callable[[dict], None]


@dataclass(frozen=True)
class Iterate:
    """A basis with its hidden parameters, a state, and the loss they reach, infinite before a solver has looked.

    `terms`: weighted loss by term name; `info`: rank, condition and the like, for the history; `memory` belongs to
    the solver (moments, damping) and means nothing to anyone else.
    """

    basis: Basis
    state: State
    loss: float = math.inf
    terms: Mapping[str, float] = field(default_factory=dict)
    step: int = 0
    info: Mapping[str, Any] = field(default_factory=dict)
    memory: Any = None


class Solver(ABC):
    """Minimizes the loss of an assembly over coefficients and, if it moves them, hidden parameters."""

    name: str
    steps: int

    @abstractmethod
    def init(self, assembly: Assembly, basis: Basis, state: State) -> Iterate:
        """The first iterate."""

    @abstractmethod
    def step(self, assembly: Assembly, iterate: Iterate) -> Iterate:
        """The next iterate; `loss` may be NaN, which ends the loop."""

    def kept(self, iterate: Iterate) -> Mapping[str, Any] | None:
        """What the solver remembers at an iterate, in numbers, texts and tensors: what `taken_up` needs to go on from
        there; None where it cannot."""
        return None

    def taken_up(self, assembly: Assembly, iterate: Iterate, kept: Mapping[str, Any]) -> Iterate:
        """An iterate of a solve that was ended, with the memory that makes the next step the same; see `kept`."""
        return iterate

    @classmethod
    @abstractmethod
    def from_settings(cls, settings: SolveSettings) -> Solver:
        """The solver with the numbers that the `solve` section of a problem file gives it."""

    def most_steps(self, assembly: Assembly) -> int:
        """How many steps the loop takes at most on this problem, for those who wait."""
        return self.steps

    def finished(self, iterate: Iterate) -> bool:
        """Whether further steps would not help; the loop also ends after `steps`."""
        return iterate.step >= self.steps


def drive(
    solver: Solver,
    assembly: Assembly,
    start: Iterate,
    clock: Clock,
    progress: Progress | None = None,
    phase: str | None = None,
) -> Outcome[Iterate]:
    """Runs a solver from a basis and a state to its end. Never raises for a solve that goes wrong; see `Outcome`."""
    history: list[dict] = []
    phase, steps = phase or solver.name, solver.most_steps(assembly)

    def told(iterate: Iterate) -> None:
        history.append(
            {
                "step": iterate.step,
                "steps": steps,
                "seconds": clock.seconds(),
                "phase": phase,
                "loss": iterate.loss,
                "terms": dict(iterate.terms),
                **iterate.info,
            }
        )
        if progress is not None:
            progress(history[-1])

    iterates = _iterates(solver, assembly, start, clock, told)
    outcome = follow(iterates, clock, lambda one: (one.loss, one.step, one is not start)).raised("no_memory")
    message = outcome.message or f"{solver.name} ended after {history[-1]['step']} steps"
    return replace(outcome, best=replace(outcome.best, memory=None), message=message, history=tuple(history))


def _iterates(
    solver: Solver, assembly: Assembly, start: Iterate, clock: Clock, told: Callable[[Iterate], None]
) -> Iterator[Iterate | Outcome]:
    """The start and the iterates, then how they end. Each is told of once the next is asked for: then it is kept."""
    yield start
    iterate = before = solver.init(assembly, start.basis, start.state)
    while True:
        yield iterate
        told(iterate)
        if not math.isfinite(iterate.loss):
            begun = before if math.isfinite(before.loss) else start
            yield Outcome(None, "diverged", lost_message(assembly, iterate, begun))
        if solver.finished(iterate):
            return
        if iterate.step and clock.expired():  # a limit too short for anything still gets one step
            yield out_of_time(clock)
        iterate, before = solver.step(assembly, iterate), iterate


def lost_message(assembly: Assembly, iterate: Iterate, begun: Iterate) -> str:
    """Which term is to blame for a loss that is not finite, and what to try.

    `begun` is where the lost step began. A term with rows that are not finite there comes first: one such term spoils
    the coefficients, and with them all others.
    """
    with torch.no_grad():
        rows = assembly.blocks(begun.basis, begun.state)
        lost = [b.name for b in rows if not bool(b.A.isfinite().all() and b.r.isfinite().all())]
    lost = [name for names in assembly.among.told_all(lost) for name in names]
    lost += [name for name, value in iterate.terms.items() if not math.isfinite(value)]
    blame = f"term `{lost[0]}` is not finite" if lost else "the loss is not finite"
    return (
        f"{blame} at step {iterate.step}; try a smaller optimizer.learning_rate, another starting point, or check the "
        "term's coefficients (a division by zero, a root or logarithm of a negative number)"
    )
