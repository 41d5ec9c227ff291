"""The stages of one step by simplified Newton: corrections with a linearization that is kept while they contract.

A linearization, with the factorization of every mode, serves many corrections and steps. It is renewed at the stages as
they are where it contracts too slowly; where a new one does so, too, the step is too long (Hairer & Wanner, Solving
Ordinary Differential Equations II, section IV.8).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from pinnsolve.adapt.anderson import Anderson
from pinnsolve.adapt.stage_system import StageSystem
from pinnsolve.assembly.system import units
from pinnsolve.least_squares.stages_together import REDUCED

STEADY_CORRECTIONS, MOST_CORRECTIONS = 4, 8
SHRINKS = 0.5  # of a steady linear problem corrections are repeated while each is this much smaller than the last
DIVERGES = 0.8  # contraction from which on corrections are given up
DIVERGES_AT_FIRST = 2.0  # the same of the second correction, which nothing has sped up yet
RENEW = 0.5  # contraction from which on the next step takes a new linearization
RENEWALS = 3  # linearizations that one step may take
INEXACT, MOST_INEXACT = 0.2, 0.05  # of the contraction, that corrections may leave of residuals: linearizations of
# other states leave more of them (inexact Newton methods: Dembo, Eisenstat & Steihaug, SIAM J. Numer. Anal. 19 (1982)
# 400-408); and the most
OF_ACCURACY, LEAST_LEFT = 0.1, 1e-9  # of residuals, by the first correction of a steady linear problem
SAFE = 10.0  # times the contraction of one step of a steady problem is that of others
ROUNDING = 1e-11  # relative size of corrections that need not contract


class NotConverged(ArithmeticError):
    """Corrections do not contract: the step is too long."""


@dataclass(frozen=True)
class Around:
    """Where a linearization was taken: derivatives in time of order 0, 1, ..., (C, U, n) each, and the time."""

    derivatives: Sequence[Tensor]
    time: float


class SimplifiedNewton:
    """Solves for stages on one space, step after step. `around`: the linearization now; `contraction`: the last one;
    `fresh`: whether the last step took a new linearization."""

    def __init__(self, system: StageSystem, check: Callable[[], None]):
        self.system, self.check = system, check
        self.around: Around | None = None
        self.contraction = 1.0
        self.fresh = False
        self._renew = bool(system.stated.changing)

    def of_system(self, system: StageSystem) -> SimplifiedNewton:
        """Of a steady linear problem for steps of another length."""
        other = SimplifiedNewton(system, self.check)
        other.contraction = self.contraction
        return other

    def standing(self) -> dict[str, Any]:
        """What decides how the next step is solved."""
        around = self.around
        taken = None if around is None else {"derivatives": list(around.derivatives), "time": around.time}
        return {"around": taken, "contraction": self.contraction, "renew": self._renew}

    def stand(self, standing: Mapping[str, Any]) -> None:
        """As after steps that left this."""
        taken = standing["around"]
        if taken is not None:
            self.around = Around(taken["derivatives"], taken["time"])
            self.system.linearize(self.around.derivatives, self.around.time)
        self.contraction, self._renew = standing["contraction"], standing["renew"]

    def solve(self, guess: Tensor, start: Tensor, time: float, accuracy: float) -> Tensor:
        """The stages (1, s, C, U, n) of a step from `start`, from a guess on.

        Their unknowns have errors of relative size `accuracy`. Raises NotConverged.
        """
        stages, self.fresh = guess, False
        for _ in range(RENEWALS + 1):
            if self._renew:
                self._linearize(stages, start, time)
            stages, contracts = self._iterated(stages, start, time, accuracy)
            if contracts is None:
                return stages
            if self._renew and not contracts:
                break
            stages = stages if contracts else guess
            self._renew = True
        raise NotConverged("the stages of a step are not found: it is too long")

    def _linearize(self, stages: Tensor, start: Tensor, time: float) -> None:
        """Anew, around the middle of the step."""
        self.around, self.fresh = self.middle(stages, start, time), True
        self.system.linearize(self.around.derivatives, self.around.time)

    def middle(self, stages: Tensor, start: Tensor, time: float) -> Around:
        """The stage next to the middle of the step."""
        nodes = self.system.method.nodes
        middle = int((nodes - 0.5).abs().argmin())
        derivatives = [d[0, middle] for d in self.system.derivatives(stages, start)]
        return Around(derivatives, time + self.system.dt * float(nodes[middle]))

    def _iterated(self, stages: Tensor, start: Tensor, time: float, accuracy: float) -> tuple[Tensor, bool | None]:
        """Corrected stages, and None where they are found; else whether corrections contract at all."""
        steady = not self.system.stated.changing
        most = STEADY_CORRECTIONS if steady else MOST_CORRECTIONS
        before, faster = math.inf, Anderson()
        first = 0 if steady else 1  # correction before the one from which on the contraction says how it goes on
        for number in range(most):
            self.check()
            left = min(max(INEXACT * self.contraction, REDUCED), MOST_INEXACT)
            if steady:  # the first is the only one, but where the next ones show how good it is
                left = MOST_INEXACT if number else min(max(OF_ACCURACY * accuracy, LEAST_LEFT), REDUCED)
            delta = self.system.correction(self.system.residuals(stages, start, time), left)
            stages = stages + delta if steady else faster.next(stages, delta)
            size = self._size(delta, stages)
            if not math.isfinite(size):
                if steady:
                    raise ArithmeticError("the stages of a step are not finite")
                return stages, False
            contraction = size / before if number else max(self.contraction, self.system.remains)
            if number == 1:
                self.contraction = SAFE * contraction if steady else max(contraction, 1e-2 * self.contraction)
            if steady:
                shrinks = min(contraction + left, SHRINKS) if number else contraction
                found = size * shrinks <= accuracy or size > SHRINKS * before
                found |= number == most - 1
            else:
                found = size * min(contraction / max(1.0 - contraction, 1e-3), 1.0) <= accuracy or size <= ROUNDING
            if found:
                self._renew = not steady and self.contraction > RENEW
                return stages, None
            if number and contraction > (DIVERGES if number > 1 or steady else DIVERGES_AT_FIRST):
                return stages, False
            if number > first and size * contraction ** (most - 1 - number) > accuracy:
                return stages, True
            before = size
        return stages, True

    def _size(self, delta: Tensor, stages: Tensor) -> float:
        """Of corrections, relative to the stages: the largest of all unknowns."""
        # coefficients in cut cells may be large where functions are small
        delta, stages = (self.system.space.orthonormal(x) for x in (delta, stages))
        if not self.system.stated.changing:
            return float(delta.norm() / stages.norm().clamp_min(1e-300))
        moved, size = (x[0].movedim(2, 0).flatten(1).norm(dim=1) for x in (delta, stages))
        return float((moved / units(size, moved)).max())
