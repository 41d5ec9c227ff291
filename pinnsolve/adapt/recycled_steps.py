"""Steppers of all lengths on a space that have one factorization and one Krylov space, which grows from step to step.

What a step finds depends on the steps before, in its last digits. So the space begins afresh every few steps, and where
steps are known from before, those since then are taken once more, for a march that is taken up to go on as it would
have.
"""

from __future__ import annotations

from collections.abc import Callable

from pinnsolve.adapt.collocation_step import Blame, SettingOut, Step, Stepper
from pinnsolve.adapt.simplified_newton import NotConverged
from pinnsolve.bases.piecewise.space import Space

AFRESH = 16  # steps


class Recycled:
    """`make(space, dt)` gives the stepper that others share the factorization of."""

    def __init__(self, make: Callable[[Space, float], Stepper]):
        self._make = make
        self._space: Space | None = None
        self._suited = 0.0  # the length that the factorization was made for
        self._steppers: dict[float, Stepper] = {}  # if there are any, one of that length
        self._passed: list[tuple[float, SettingOut]] = []  # steps since the Krylov space began
        self._found = 0  # how many of them it has seen

    def __len__(self) -> int:
        return min(len(self._steppers), 1)

    def of_length(self, space: Space, dt: float) -> Stepper:
        """The stepper, as it is."""
        self._turn_to(space, dt)
        if not self._steppers:
            self._steppers[self._suited] = self._make(space, self._suited)
        if dt not in self._steppers:
            self._steppers[dt] = self._steppers[self._suited].of_length(dt)
        return self._steppers[dt]

    def passes(self, space: Space, dt: float, setting_out: SettingOut) -> None:
        """Notes a step that is known."""
        self._turn_to(space, dt)
        if len(self._passed) == AFRESH:
            self._passed.clear()
            self._found = 0
            if self._steppers:
                first = self._steppers[self._suited]
                first.begin_afresh()
                self._steppers = {self._suited: first}
        self._passed.append((dt, setting_out))

    def step(self, space: Space, dt: float, setting_out: SettingOut) -> tuple[Step, Blame]:
        """See `Stepper.step`."""
        self.passes(space, dt, setting_out)
        for length, where in self._passed[self._found : -1]:
            try:
                self.of_length(space, length).step(where)
            except NotConverged:  # as it was then
                continue
        self._found = len(self._passed)
        return self.of_length(space, dt).step(setting_out)

    def _turn_to(self, space: Space, dt: float) -> None:
        """Gives up what serves another space, or other lengths."""
        if space is not self._space or not Stepper.serves(self._suited, dt):
            self._space, self._suited = space, dt
            self._steppers.clear()
            self._passed.clear()
            self._found = 0
