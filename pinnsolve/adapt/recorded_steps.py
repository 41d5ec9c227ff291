"""Steps by collocation that a journal knows from before, which are not solved again."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields
from typing import Any

from torch import Tensor

from pinnsolve.adapt.collocation_step import Blame, Moment, SettingOut, Step, Stepper
from pinnsolve.adapt.recycled_steps import Recycled
from pinnsolve.adapt.simplified_newton import NotConverged
from pinnsolve.adapt.stage_system import NotTogether
from pinnsolve.bases.piecewise.space import Space
from pinnsolve.solvers.journal import Journal, Values, digest

STEP_FIELDS = tuple(f.name for f in fields(Step) if f.name not in ("space", "end"))
BLAME_FIELDS = tuple(f.name for f in fields(Blame))


@dataclass
class _Known:
    """A stepper on a space, None while the journal knows its steps; and what these left behind, as of
    `Stepper.standing`."""

    space: Space
    stepper: Stepper | None = None
    standing: Values | None = None


class Steppers:
    """Steppers by the length of their steps, made when they have to take one; the last few on a space, `kept`, stay.

    `recycles`: whether all lengths share a factorization.
    """

    def __init__(self, make: Callable[[Space, float], Stepper], journal: Journal, kept: int, recycles: bool):
        self._make, self._journal, self._kept = make, journal, kept
        self._known: dict[float, _Known] = {}
        self._recycled = Recycled(make) if recycles else None

    def __len__(self) -> int:
        """How many hold factorizations."""
        if self._recycled is not None:
            return len(self._recycled)
        return sum(known.stepper is not None for known in self._known.values())

    def take_apart(self) -> None:
        """From here on every length has factorizations of its own."""
        self._recycled = None

    def step(self, space: Space, dt: float, setting_out: SettingOut) -> tuple[Step, Blame]:
        """See `Stepper.step`; with the stepper for steps of length `dt` on a space."""
        about = (
            setting_out.time,
            dt,
            setting_out.accuracy,
            list(space.degrees),
            digest(space.cells.lower, space.cells.upper),
        )
        values = self._journal.found("step", *about)
        if self._recycled is not None:
            return self._next_recycled(self._recycled, space, dt, setting_out, about, values)
        self._known = {length: one for length, one in self._known.items() if one.space is space}  # others serve no more
        known = self._known.pop(dt, None) or _Known(space)
        try:
            if values is not None:
                return self._restored(known, values)
            return self._taken(known, dt, about, setting_out)
        finally:
            self._known[dt] = known
            for old in list(self._known)[: -self._kept]:
                del self._known[old]

    def crude(self, space: Space, dt: float, start: Moment, time: float, count: int) -> Tensor:
        """(U,) the largest size of so many steps, whose errors are not looked at."""
        if self._recycled is not None:
            return self._recycled.of_length(space, dt).crude(start, time, count)
        stepper = self._known[dt].stepper if dt in self._known and self._known[dt].space is space else None
        if stepper is None:
            stepper = self._make(space, dt)
            self._known[dt] = _Known(space, stepper)
        return stepper.crude(start, time, count)

    def _next_recycled(
        self, recycled: Recycled, space: Space, dt: float, setting_out: SettingOut, about: tuple, values: Values | None
    ) -> tuple[Step, Blame]:
        if values is not None:
            recycled.passes(space, dt, setting_out)
            return _found(space, values)
        try:
            found = recycled.step(space, dt, setting_out)
        except (NotConverged, NotTogether) as event:
            self._keep(about, None, {"apart": isinstance(event, NotTogether)})
            raise
        self._keep(about, found, {})
        return found

    def _restored(self, known: _Known, values: Values) -> tuple[Step, Blame]:
        standing = values["standing"]
        if standing["around"] is True:  # that of the step before
            standing = {**standing, "around": known.standing["around"]}
        known.standing = standing
        return _found(known.space, values)

    def _taken(self, known: _Known, dt: float, about: tuple, setting_out: SettingOut) -> tuple[Step, Blame]:
        if known.stepper is None:
            known.stepper = self._make(known.space, dt)
            if known.standing is not None:
                known.stepper.stand(known.standing)
        before = known.stepper.standing()["around"]
        try:
            found = known.stepper.step(setting_out)
        except NotConverged:
            self._add(known, about, before, None)
            raise
        self._add(known, about, before, found)
        return found

    def _add(self, known: _Known, about: tuple, before: Any, found: tuple[Step, Blame] | None) -> None:
        now = known.stepper.standing()
        same = before is not None and now["around"] is not None and before["time"] == now["around"]["time"]
        self._keep(about, found, {"standing": {**now, "around": True if same else now["around"]}})

    def _keep(self, about: tuple, found: tuple[Step, Blame] | None, more: dict[str, Any]) -> None:
        if not self._journal.keeps:
            return
        values: dict[str, Any] = {**more, "step": None}
        if found is not None:
            step, blame = found
            values["step"] = {name: getattr(step, name) for name in STEP_FIELDS}
            values["blame"] = {name: getattr(blame, name) for name in BLAME_FIELDS}
            values["end"] = {"c": step.end.c, "e": step.end.e}
        self._journal.add("step", *about, values=values)


def _found(space: Space, values: Values) -> tuple[Step, Blame]:
    """What the journal has of a step."""
    if values["step"] is None:
        raise NotTogether if values.get("apart") else NotConverged
    end = Moment(values["end"]["c"], values["end"]["e"])
    return Step(space=space, end=end, **values["step"]), Blame(**values["blame"])
