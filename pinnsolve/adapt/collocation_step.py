"""One step in time: stages on a space, their correction in a richer space with one stage more, the error carried on.

The correction starts where the step starts, and so is the error of this step alone: of space, where its functions are
not those of the step's space, and of time, where they are of the degree that the step's stages do not have. With the
same factorizations the difference of the two solutions before is carried through the step.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from copy import copy
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor

from pinnsolve.adapt.anderson import Anderson
from pinnsolve.adapt.radau import MOST_STAGES, Radau, lagrange, radau
from pinnsolve.adapt.simplified_newton import SHRINKS, Around, NotConverged, SimplifiedNewton
from pinnsolve.adapt.space_changes import on_space
from pinnsolve.adapt.space_problem import SpaceProblem
from pinnsolve.adapt.stage_system import StageSystem, norms
from pinnsolve.assembly.system import shared, units
from pinnsolve.bases.piecewise.space import Space
from pinnsolve.estimate.enriched_space import MOST_LEFT, blame, enriched_space

STAGES = {2: MOST_STAGES - 1}  # by axes of space; many modes are not worth their factorizations in more
STAGES_BEYOND = 4
LEAST_CHANGING, MOST_CHANGING = 3, 5  # stages where factorizations serve few steps
KEPT_CORRECTIONS = 4  # in the richer space, with a linearization of earlier steps
OTHER_LENGTH = 16.0  # times as long, or as short, steps are solved well by a factorization
LARGE = 10.0  # times the accuracy of the least squares: about what the error of a step may be
ONCE, FINE_CORRECTIONS = 0.1, 3  # contraction below which one correction in the richer space is enough; else so many


@dataclass(frozen=True)
class Moment:
    """Where a step starts: `c` (L, C, U, n), values and, of second order, derivatives, and `e` (L, C, U, n) on the
    richer space, what the solution lacks there."""

    c: Tensor
    e: Tensor


@dataclass(frozen=True)
class Step:
    """A step of the solution: values (s + 1, C, U, n) at the start and at the nodes of its stages; `corrected`:
    (s + 2, C, U, n) those of the solution in the richer space, with one stage more.

    `error`, `size`: (U,) rms of the carried correction and of the solution; `loss`: that of the solution in the
    richer space; `end`: where the next step starts.
    """

    space: Space
    time: float
    dt: float
    values: Tensor
    corrected: Tensor
    error: Tensor
    size: Tensor
    loss: float
    end: Moment


@dataclass(frozen=True)
class SettingOut:
    """Where and how a step sets out: at `time` from the `moment` that ends the step `before`, its least squares solved
    to a relative `accuracy`; `size`: (U,) of the solution so far."""

    moment: Moment
    time: float
    accuracy: float
    size: Tensor | None = None
    before: Step | None = None


@dataclass(frozen=True)
class Blame:
    """The error of a step alone, relative to the solution: over the step, and at its end; what time and (C, d) what
    cells and axes of space are to blame for."""

    inside: float
    at_end: float
    in_time: float
    in_space: Tensor


def stages_of(stated: SpaceProblem, accuracy: float) -> int:
    """How many stages steps have whose relative error may be `accuracy`."""
    most = STAGES.get(len(stated.problem.coordinates), STAGES_BEYOND)
    if not stated.changing:
        return most
    return min(max(round(-math.log10(accuracy) - 1.0), LEAST_CHANGING), MOST_CHANGING, most)


class Stepper:
    """Steps of one length on one space, with so many `stages`, these `apart` or not; see `StageSystem`."""

    def __init__(
        self, stated: SpaceProblem, space: Space, weights: Mapping[str, float], dt: float, stages: int,
        check: Callable[[], None], apart: bool = False,
    ):  # fmt: skip
        self.stated, self.space, self.dt, self.check = stated, space, dt, check
        self.fine = enriched_space(space)
        self.method, self.richer = radau(stages), radau(stages + 1)
        self.coarse_system = StageSystem(stated, space, weights, self.method, dt, check, apart)
        self.fine_system = StageSystem(stated, self.fine, weights, self.richer, dt, check, apart)
        self._newton = SimplifiedNewton(self.coarse_system, check)
        self._fine_around: Around | None = None  # where the richer one is linearized
        self._fine_beside: Around | None = None  # and the other one, if one correction does with both
        self._algebraic = [u for u, order in enumerate(stated.evolving) if order == 0]

    @staticmethod
    def serves(made_for: float, dt: float) -> bool:
        """Whether factorizations for steps of one length do for another."""
        return made_for > 0.0 and max(dt / made_for, made_for / dt) <= OTHER_LENGTH

    def of_length(self, dt: float) -> Stepper:
        """Steps of another length with the factorizations of these, which are of one shift."""
        other = copy(self)
        other.dt = dt
        other.coarse_system, other.fine_system = (one.of_length(dt) for one in (self.coarse_system, self.fine_system))
        other._newton = self._newton.of_system(other.coarse_system)
        return other

    def begin_afresh(self) -> None:
        """Forgets what steps so far have found, but for the factorizations."""
        self._newton = SimplifiedNewton(self.coarse_system, self.check)
        self._begin_spaces_afresh()

    def _begin_spaces_afresh(self) -> None:
        for system in (self.coarse_system, self.fine_system):
            system.begin_afresh()

    def standing(self) -> dict[str, Any]:
        """What the steps so far leave behind, factorizations aside."""
        newton, fine = self._newton, self._fine_around
        kept = fine and {"derivatives": list(fine.derivatives), "time": fine.time}
        return {**newton.standing(), "fine": kept, "beside": self._fine_beside is newton.around}

    def stand(self, standing: Mapping[str, Any]) -> None:
        """As after steps that left this; with the factorizations that they had."""
        self._newton.stand(standing)
        fine = standing["fine"]
        if fine is not None:
            self._linearize_richer(Around(fine["derivatives"], fine["time"]))
            self._fine_beside = self._newton.around if standing["beside"] else None

    def step(self, setting_out: SettingOut) -> tuple[Step, Blame]:
        """The step from there. Raises NotConverged where Newton's method fails, and NotTogether where stages must be
        solved apart."""
        system = self.coarse_system
        if self.stated.changing:  # for a march that is taken up to go on with the same numbers
            self._begin_spaces_afresh()
        start, time, size = setting_out.moment, setting_out.time, setting_out.size
        guess = self._guess(start.c[None], setting_out.before)
        found = self._newton.solve(guess, start.c[None], time, setting_out.accuracy)
        stages = found[0]
        values = self._from_stages(torch.cat([start.c[:1], stages]), self.method)
        now = shared(self._rms(self.space, stages, self.method.weights), self.stated.problem.groups)
        size = now if size is None else torch.maximum(size, now)
        middle = self._newton.middle(found, start.c[None], time)
        refuses = partial(self._refuses, size, setting_out.accuracy)
        local, carried, left = self._corrected(start, values, time, middle, refuses)
        enlargement = 1.0 / math.sqrt(1.0 - min(left[1] / max(left[0], 1e-300), MOST_LEFT) ** 2)
        weights = self.richer.weights
        error = self._rms(self.fine, enlargement * local + carried, weights)
        end = system.end(stages[None], start.c[None])[0]
        e = self.fine_system.end(torch.stack([local, carried]), torch.stack([0 * start.e, start.e]))
        corrected = self._corrected_values(values, start, local + carried)
        moment = Moment(end, e.sum(dim=0))
        step = Step(self.space, time, self.dt, values, corrected, error, now, left[0] ** 2, moment)
        return step, self._blame(enlargement * local, enlargement * e[0, 0], units(size, error))

    def crude(self, start: Moment, time: float, count: int) -> Tensor:
        """(U,) the largest size of so many steps of a linear problem, with one correction each and no estimate."""
        c, largest = start.c[None], torch.zeros(len(self.stated.evolving), dtype=torch.float64)
        for number in range(count):
            stages = self._extrapolated(c, self.method.nodes)
            residuals = self.coarse_system.residuals(stages, c, time + number * self.dt)
            stages = stages + self.coarse_system.correction(residuals)
            c = self.coarse_system.end(stages, c)
            largest = torch.maximum(largest, self._rms(self.space, stages[0], self.method.weights))
        return largest

    def _guess(self, start: Tensor, before: Step | None) -> Tensor:
        """(1, s, C, U, n): where stages begin: the polynomial of the step before goes on."""
        if before is None or not self.stated.changing:
            return self._extrapolated(start, self.method.nodes)
        places = 1.0 + self.method.nodes * (self.dt / before.dt)
        goes_on = torch.einsum("ij,jcun->icun", radau(len(before.values) - 1).at(places), before.values)
        return (goes_on if before.space is self.space else on_space(before.space, self.space, goes_on))[None]

    def _from_stages(self, values: Tensor, method: Radau) -> Tensor:
        """The values (s + 1, C, U, n) at the start and at the nodes of a method.

        Where an unknown has no derivative in time, the start is none of its polynomial, which goes through the stages.
        """
        if self._algebraic:
            zero = torch.zeros(1, dtype=torch.float64)
            chosen = values[:, :, self._algebraic]
            at_start = torch.einsum("ij,jcun->icun", lagrange(method.nodes, zero), chosen[1:])
            values = values.clone()
            values[:1, :, self._algebraic] = at_start
        return values

    def _on_richer_nodes(self, values: Tensor) -> Tensor:
        """(s + 1, C, U, n): values of a step (s + 1, C, U, n) in the richer space, at the nodes of one stage more."""
        known = torch.stack([self.space.widened(one, self.fine) for one in values])
        return torch.einsum("ij,jcun->icun", self.method.at(self.richer.nodes), known)

    def _corrected_values(self, values: Tensor, start: Moment, added: Tensor) -> Tensor:
        """(s + 2, C, U, n): the corrected solution at the start and at the nodes, where it is so much `added`."""
        at_start = self.space.widened(start.c[0], self.fine) + start.e[0]
        return self._from_stages(torch.cat([at_start[None], self._on_richer_nodes(values) + added]), self.richer)

    def _extrapolated(self, start: Tensor, nodes: Tensor) -> Tensor:
        """(R, s, C, U, n): where stages begin, from values and derivatives at the start (R, L, C, U, n)."""
        result = start[:, 0, None].expand(-1, len(nodes), -1, -1, -1)
        if start.shape[1] > 1:
            known = torch.tensor(self.stated.evolving)[:, None] > 1
            result = result + self.dt * nodes[:, None, None, None] * torch.where(known, start[:, 1, None], 0.0)
        return result

    def _corrected(
        self, start: Moment, values: Tensor, time: float, middle: Around, refuses: Callable[[Tensor], bool]
    ) -> tuple[Tensor, Tensor, list[float]]:
        """(s, C, U, n) each: what the richer space and one stage more add, and what becomes of the error so far; the
        roots of the losses before and after."""
        system = self.fine_system
        self.check()
        c = torch.stack([self.space.widened(one, self.fine) for one in start.c])
        known = self._on_richer_nodes(values)
        starts = torch.stack([c, start.e])
        stages = torch.stack([known, self._extrapolated(start.e[None], system.method.nodes)[0]])
        if self.stated.changing:
            return self._solved_in_richer(stages, starts, time, middle, refuses)
        residuals = system.residuals(stages, starts, time)
        delta = system.correction(residuals)
        after = system.residuals(stages[:1] + delta[:1], starts[:1], time)
        return delta[0], stages[1] + delta[1], [float(norms(r)[0]) for r in (residuals, after)]

    def _solved_in_richer(
        self, stages: Tensor, starts: Tensor, time: float, middle: Around, refuses: Callable[[Tensor], bool]
    ) -> tuple[Tensor, Tensor, list[float]]:
        """The same where differences of solutions solve nothing: what starts with the error so far, and without it,
        are solutions. The linearization is kept for as long as it contracts; a new one is taken in the `middle` of the
        stages that were found, which is nearer to these than what the stages were found with."""
        starts, known = torch.stack([starts[0], starts[0] + starts[1]]), stages[0]
        stages = torch.stack([known, known + stages[1]])
        few = 1 if self._newton.contraction < ONCE else FINE_CORRECTIONS
        if self._fine_around is not None:
            enough = few if self._fine_beside is self._newton.around else KEPT_CORRECTIONS
            found = self._corrected_in_richer(stages, starts, time, enough, refuses)
            if found is not None:
                return found
        self._linearize_richer(middle)
        found = self._corrected_in_richer(stages, starts, time, few)
        if found is None:
            raise NotConverged("the correction of a step is not found: it is too long")
        return found

    def _refuses(self, size: Tensor, accuracy: float, local: Tensor) -> bool:
        """Whether a correction is one that refuses the step."""
        error = torch.maximum(self._rms(self.fine, local, self.richer.weights), self.fine.rms(local[-1]))
        return float((error / units(size, error)).max()) > LARGE * accuracy

    def _linearize_richer(self, around: Around) -> None:
        widened = [self.space.widened(one, self.fine) for one in around.derivatives]
        self.fine_system.linearize(widened, around.time)
        self._fine_around, self._fine_beside = around, self._newton.around

    def _corrected_in_richer(
        self, stages: Tensor, starts: Tensor, time: float, enough: int, refuses: Callable[[Tensor], bool] | None = None
    ) -> tuple[Tensor, Tensor, list[float]] | None:
        """With the linearization there is; None where corrections do not contract.

        So many are `enough`; of a linearization of other steps there are more where these would refuse the step, since
        they say little of what is missing.
        """
        system, known, sizes = self.fine_system, stages[0], [math.inf]
        residuals = system.residuals(stages, starts, time)
        losses, faster = [float(norms(residuals)[0])] * 2, Anderson()
        for number in range(1, (KEPT_CORRECTIONS if refuses else enough) + 1):
            self.check()
            delta = system.correction(residuals)
            sizes.append(float(delta.norm()))
            if not sizes[-1] < SHRINKS * sizes[-2]:
                return None
            stages = faster.next(stages, delta)
            residuals = system.residuals(stages, starts, time)
            losses[1] = float(norms(residuals)[0])
            if sizes[-1] < ONCE * sizes[1]:
                if refuses:  # it does for this step: one correction will for the next
                    self._fine_beside = self._newton.around
                break
            if number >= enough and not (refuses and refuses(stages[0] - known)):
                break
        return stages[0] - known, stages[1] - stages[0], losses

    def _rms(self, space: Space, stages: Tensor, weights: Tensor) -> Tensor:
        """(U,) over the step."""
        return torch.sqrt((weights[:, None] * space.rms(stages) ** 2).sum(dim=0))

    def _blame(self, local: Tensor, at_end: Tensor, unit: Tensor) -> Blame:
        fine, method = self.fine, self.richer
        inside = float((self._rms(fine, local, method.weights) / unit).max())
        parts = self._from_stages(torch.cat([torch.zeros_like(local[:1]), local / unit[:, None]]), method)
        modal = torch.einsum("ij,jcun->icun", method.modal(), parts)  # in time
        share = (fine.cells.volume / fine.cells.volume.sum())[:, None]
        in_space = torch.sqrt(blame(modal.movedim(0, 1).flatten(1, 2), fine, self.space.degrees) * share)
        in_time = math.sqrt(float((fine.orthonormal(modal[-1]) ** 2).sum(dim=(1, 2)) @ share[:, 0]))
        factor = inside / max(math.hypot(in_time, float(in_space.norm())), 1e-300)
        # what has no derivative in time hands nothing on
        handed = torch.tensor([order > 0 for order in self.stated.evolving])
        return Blame(inside, float((fine.rms(at_end) / unit)[handed].max()), factor * in_time, factor * in_space)
