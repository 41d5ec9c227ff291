"""Follows a march in steps: records them, the clock, and whether the error is beyond the tolerance for good."""

from __future__ import annotations

import math
from typing import Protocol

import torch
from torch import Tensor

from pinnsolve.adapt.context import SolveContext


class MarchedStep(Protocol):
    """What is known of a step: its time, (U,) rms of the error carried on and of the solution, and its loss."""

    time: float
    dt: float
    error: Tensor
    size: Tensor
    loss: float


class Marched(Protocol):
    """A march so far; `foreseen`: (U,) the size of a solution that is nothing at first, if it is known."""

    @property
    def steps(self) -> list[MarchedStep]: ...

    foreseen: Tensor | None

    @property
    def time(self) -> float: ...

    def error(self) -> float: ...


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
