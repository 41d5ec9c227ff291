"""Marches in steps: what they may take, how far they have come, and whether they are worth going on."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from pinnsolve.adapt.context import SolveContext
from pinnsolve.solvers.journal import NOTHING, Journal


class Marched(ABC):
    """A march so far: its steps; `foreseen`: (U,) the size of a solution that is nothing at first, if it is known."""

    steps: list
    foreseen: Tensor | None

    @property
    def time(self) -> float:
        """Where it has come to."""
        return self.steps[-1].time + self.steps[-1].dt

    def reaches(self, high: float) -> bool:
        """Whether its steps, of which there are some, end there."""
        return self.time >= high - 1e-9 * (high - self.steps[0].time)

    def error(self) -> float:
        """The estimated relative error over the time so far."""
        return float(self.relative().max())

    @abstractmethod
    def relative(self) -> Tensor:
        """(U,)"""

    def rms_over_time(self) -> tuple[Tensor, Tensor]:
        """(U,) each: the error carried on and the size, times the root of the time."""
        dt = torch.tensor([s.dt for s in self.steps], dtype=torch.float64)[:, None]
        error = torch.sqrt((torch.stack([s.error for s in self.steps]) ** 2 * dt).sum(dim=0))
        size = torch.sqrt((torch.stack([s.size for s in self.steps]) ** 2 * dt).sum(dim=0))
        return error, size


@dataclass(frozen=True)
class Means:
    """What a march may take: `check` raises once there is no time left; bytes of memory; who keeps its steps; the least
    width of what is known to happen between two times."""

    check: Callable[[], None]
    memory: float = math.inf
    journal: Journal = NOTHING
    narrowest: Callable[[float, float], float] = lambda start, end: math.inf


class MarchWatch:
    """Of march `number`, from 0; that of the `last` is not given up."""

    def __init__(self, context: SolveContext, tolerance: float, number: int, interval: tuple[float, float], last: bool):
        self.context, self.tolerance, self.number, self.last = context, tolerance, number, last
        self.low, self.high = interval

    def __call__(self, march: Marched) -> str | None:
        """After a step: the status that ends the march, if any."""
        step = march.steps[-1]
        if len(march.steps) == 1:  # the first one, or the first again
            self._errors = self._sizes = torch.zeros_like(step.error)
        done = (march.time - self.low) / (self.high - self.low)
        seconds = self.context.clock.seconds()
        left = seconds * (1 - done) / done if self.number == 0 else None
        self.context.record(f"march {self.number + 1}", len(march.steps), step.loss, {}, time_left=left)
        self.context.clock.check()
        self._errors = self._errors + step.error**2 * step.dt
        self._sizes = torch.maximum(self._sizes, step.size if march.foreseen is None else march.foreseen)
        # even if nothing more were added
        beyond = self._errors > (self.tolerance * self._sizes) ** 2 * (self.high - self.low)
        return "missed" if bool(beyond.any()) and not self.last and done < 1 else None

    def foreseen(self, march: Marched) -> float:
        """The error of the whole time: as it is, or growing on, but less than it did where a march ended early."""
        return march.error() * math.sqrt((self.high - self.low) / (march.time - self.low))
