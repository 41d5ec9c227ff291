"""One step in time: stages on a space, their correction in a richer space with one stage more, the error carried on.

The correction starts where the step starts, and so is the error of this step alone: of space, where its functions are
not those of the step's space, and of time, where they are of the degree that the step's stages do not have. With the
same factorizations the difference of the two solutions before is carried through the step.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from pinnsolve.adapt.radau import MOST_STAGES, radau
from pinnsolve.adapt.space_problem import SpaceProblem
from pinnsolve.adapt.stage_system import StageSystem, norms
from pinnsolve.assembly.system import units
from pinnsolve.bases.piecewise.space import Space
from pinnsolve.estimate.enriched_space import MOST_LEFT, blame, enriched_space

STAGES = {2: MOST_STAGES - 1}  # by axes of space; many modes are not worth their factorizations in more
STAGES_BEYOND = 4
MOST_CORRECTIONS = 4
SHRINKS = 0.5  # corrections are repeated while each is this much smaller than the one before


@dataclass(frozen=True)
class Moment:
    """Where a step starts: `c` (L, C, U, n), values and, of second order, derivatives, and `e` (L, C, U, n) on the
    richer space, what the solution lacks there."""

    c: Tensor
    e: Tensor


@dataclass(frozen=True)
class Step:
    """A step of the solution: values (s + 1, C, U, n) at the start and at the nodes of its stages.

    `error`, `size`: (U,) rms of the carried correction and of the solution; `loss`: that of the solution in the
    richer space; `end`: where the next step starts.
    """

    space: Space
    time: float
    dt: float
    values: Tensor
    error: Tensor
    size: Tensor
    loss: float
    end: Moment


@dataclass(frozen=True)
class Blame:
    """The error of a step alone, relative to the solution: over the step, and at its end; what time and (C, d) what
    cells and axes of space are to blame for."""

    inside: float
    at_end: float
    in_time: float
    in_space: Tensor


def stages_of(dimension: int) -> int:
    """How many stages steps have, with so many axes of space."""
    return STAGES.get(dimension, STAGES_BEYOND)


class Stepper:
    """Steps of one length on one space."""

    def __init__(
        self, stated: SpaceProblem, space: Space, weights: Mapping[str, float], dt: float, check: Callable[[], None]
    ):
        self.stated, self.space, self.dt, self.check = stated, space, dt, check
        self.fine = enriched_space(space)
        self.method, self.richer = (radau(stages_of(space.cells.dimension) + more) for more in (0, 1))
        self.coarse_system = StageSystem(stated, space, weights, self.method, dt, check)
        self.fine_system = StageSystem(stated, self.fine, weights, self.richer, dt, check)
        self._shrinks = 1.0  # by what the second correction of a step was smaller than the first

    def step(self, start: Moment, time: float, accuracy: float, size: Tensor | None) -> tuple[Step, Blame]:
        """The step from `start` at `time`; `accuracy`, relative, of its least squares; `size`: (U,) so far."""
        system = self.coarse_system
        stages = self._solved(start.c[None], time, accuracy)
        values = torch.cat([start.c[:1], stages])
        now = self._rms(self.space, stages, self.method.weights)
        local, carried, left = self._corrected(start, values, time)
        enlargement = 1.0 / math.sqrt(1.0 - min(left[1] / max(left[0], 1e-300), MOST_LEFT) ** 2)
        weights = self.richer.weights
        error = self._rms(self.fine, enlargement * local + carried, weights)
        size = now if size is None else torch.maximum(size, now)
        end = system.end(stages[None], start.c[None])[0]
        e = self.fine_system.end(torch.stack([local, carried]), torch.stack([0 * start.e, start.e]))
        step = Step(self.space, time, self.dt, values, error, now, left[0] ** 2, Moment(end, e.sum(dim=0)))
        return step, self._blame(enlargement * local, enlargement * e[0, 0], units(size, error))

    def _solved(self, start: Tensor, time: float, accuracy: float) -> Tensor:
        """The stages (s, C, U, n)."""
        system = self.coarse_system
        stages = self._extrapolated(start, system.method.nodes)
        before, first = math.inf, 0.0
        for number in range(MOST_CORRECTIONS):
            self.check()
            delta = system.correction(system.residuals(stages, start, time))
            stages = stages + delta
            size = float(delta.norm() / stages.norm().clamp_min(1e-300))
            if not math.isfinite(size):
                raise ArithmeticError("the stages of a step are not finite")
            if number == 1:
                self._shrinks = max(size / max(first, 1e-300), 1e-2 * self._shrinks)
            first = first or size
            if size * (self._shrinks if number == 0 else SHRINKS) <= accuracy or size > SHRINKS * before:
                break
            before = size
        return stages[0]

    def _extrapolated(self, start: Tensor, nodes: Tensor) -> Tensor:
        """(R, s, C, U, n): where stages begin, from values and derivatives at the start (R, L, C, U, n)."""
        result = start[:, 0, None].expand(-1, len(nodes), -1, -1, -1)
        if start.shape[1] > 1:
            result = result + self.dt * nodes[:, None, None, None] * start[:, 1, None]
        return result

    def _corrected(self, start: Moment, values: Tensor, time: float) -> tuple[Tensor, Tensor, list[float]]:
        """(s, C, U, n) each: what the richer space and one stage more add, and what becomes of the error so far; the
        roots of the losses before and after."""
        system = self.fine_system
        self.check()
        c = torch.stack([self.space.widened(one, self.fine) for one in start.c])
        known = torch.stack([self.space.widened(one, self.fine) for one in values])
        known = torch.einsum("ij,jcun->icun", self.method.at(system.method.nodes), known)
        starts = torch.stack([c, start.e])
        stages = torch.stack([known, self._extrapolated(start.e[None], system.method.nodes)[0]])
        residuals = system.residuals(stages, starts, time)
        delta = system.correction(residuals)
        losses = [float(norms(r)[0]) for r in (residuals, system.residuals(stages + delta, starts, time))]
        return delta[0], stages[1] + delta[1], losses

    def _rms(self, space: Space, stages: Tensor, weights: Tensor) -> Tensor:
        """(U,) over the step."""
        squares = torch.stack([space.rms(one) ** 2 for one in stages])
        return torch.sqrt((weights[:, None] * squares).sum(dim=0))

    def _blame(self, local: Tensor, at_end: Tensor, unit: Tensor) -> Blame:
        fine, method = self.fine, self.richer
        inside = float((self._rms(fine, local, method.weights) / unit).max())
        modal = torch.einsum("ij,jcun->icun", method.modal()[:, 1:], local / unit[:, None])  # in time
        share = (fine.cells.volume / fine.cells.volume.sum())[:, None]
        in_space = torch.sqrt(blame(modal.movedim(0, 1).flatten(1, 2), fine, self.space.degrees) * share)
        in_time = math.sqrt(float((fine.orthonormal(modal[-1]) ** 2).sum(dim=(1, 2)) @ share[:, 0]))
        factor = inside / max(math.hypot(in_time, float(in_space.norm())), 1e-300)
        return Blame(inside, float((fine.rms(at_end) / unit).max()), factor * in_time, factor * in_space)
