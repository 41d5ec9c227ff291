"""What a solver is, and the one loop that drives any of them.

A solver is three small parts: `init` makes the first iterate, `step` the next, `finished` says when it is done. The
loop keeps the best iterate so far, records history, and turns a lost iterate (NaN, divergence), a time limit or
Ctrl-C into a status with a sentence; nothing that was computed is lost.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import torch

from pinnsolve.assembly.row_source import State
from pinnsolve.assembly.rows import Assembly
from pinnsolve.bases.base import Basis
from pinnsolve.solvers.budget import INTERRUPTED, Clock

if TYPE_CHECKING:
    from pinnsolve.spec.schema.solve import SolveSettings

Progress = Callable[[dict], None]


@dataclass(frozen=True)
class Iterate:
    """A basis with its hidden parameters, a state, and the loss they reach.

    `terms`: weighted loss by term name; `info`: rank, condition and the like, for the history; `memory` belongs to
    the solver (moments, damping) and means nothing to anyone else.
    """

    basis: Basis
    state: State
    loss: float
    terms: Mapping[str, float]
    step: int = 0
    info: Mapping[str, Any] = field(default_factory=dict)
    memory: Any = None


@dataclass(frozen=True)
class Outcome:
    """`status`: `finished`, `time_limit`, `interrupted` or `diverged`; `message` says what happened and what to try."""

    best: Iterate
    status: str
    message: str
    history: tuple[dict, ...]

    @property
    def reason(self) -> str:
        """What ended it early, if anything did."""
        return "" if self.status == "finished" else self.message


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
    basis: Basis,
    state: State,
    clock: Clock,
    progress: Progress | None = None,
    phase: str | None = None,
) -> Outcome:
    """Runs a solver to its end. Never raises for a solve that goes wrong; see `Outcome`."""
    history: list[dict] = []
    best = Iterate(basis, state, math.inf, {})
    phase, steps = phase or solver.name, solver.most_steps(assembly)

    def record(iterate: Iterate) -> None:
        entry = {
            "step": iterate.step,
            "steps": steps,
            "seconds": clock.seconds(),
            "phase": phase,
            "loss": iterate.loss,
            "terms": dict(iterate.terms),
            **iterate.info,
        }
        history.append(entry)
        if progress is not None:
            progress(entry)

    def outcome(status: str, message: str) -> Outcome:
        return Outcome(best, status, message, tuple(history))

    try:
        iterate = before = solver.init(assembly, basis, state)
        while True:
            if iterate.loss < best.loss:  # before anyone is told, who may interrupt
                best = replace(iterate, memory=None)
            record(iterate)
            if not math.isfinite(iterate.loss):
                begun = before if math.isfinite(before.loss) else best  # which is the start, where it was lost at once
                return outcome("diverged", lost_message(assembly, iterate, begun))
            if solver.finished(iterate):
                return outcome("finished", f"{solver.name} ended after {iterate.step} steps")
            if iterate.step and clock.expired():  # a limit too short for anything still gets one step
                return outcome("time_limit", clock.message())
            iterate, before = solver.step(assembly, iterate), iterate
    except KeyboardInterrupt:
        return outcome("interrupted", INTERRUPTED)


def lost_message(assembly: Assembly, iterate: Iterate, begun: Iterate) -> str:
    """Which term is to blame for a loss that is not finite, and what to try.

    `begun` is where the lost step began. A term with rows that are not finite there comes first: one such term spoils
    the coefficients, and with them all others.
    """
    with torch.no_grad():
        rows = assembly.blocks(begun.basis, begun.state)
        lost = [b.name for b in rows if not bool(b.A.isfinite().all() and b.r.isfinite().all())]
    lost += [name for name, value in iterate.terms.items() if not math.isfinite(value)]
    blame = f"term `{lost[0]}` is not finite" if lost else "the loss is not finite"
    return (
        f"{blame} at step {iterate.step}; try a smaller optimizer.learning_rate, another starting point, or check the "
        "term's coefficients (a division by zero, a root or logarithm of a negative number)"
    )
