"""Which step a march takes, where steps of several lengths were tried."""

from types import SimpleNamespace

import pytest
import torch

from pinnsolve.adapt.aim import Aim
from pinnsolve.adapt.collocation_march import BORNE, March, Marcher, _Progress
from pinnsolve.adapt.collocation_step import Blame, Moment, Step
from pinnsolve.adapt.step_length import StepLength

TOLERANCE = 1e-2
NOTHING = torch.zeros(1, 1, 1, 1, dtype=torch.float64)


class Scripted:
    """Steps whose error of time is so many times what is allowed, in the order in which they are tried."""

    def __init__(self, inside: float, *excess: float):
        self.left, self.inside, self.tried = list(excess), inside, []

    def step(self, space, dt, setting_out):
        self.tried.append(dt)
        in_time = self.left.pop(0) * self.inside
        one = torch.ones(1, dtype=torch.float64)
        end = Moment(NOTHING, NOTHING)
        step = Step(space, setting_out.time, dt, NOTHING, NOTHING, in_time * one, one, 0.0, end)
        return step, Blame(in_time, 0.0, in_time, torch.zeros(1, 2, dtype=torch.float64))


def march(*excess: float) -> tuple[March, Scripted]:
    """Of one unit of time, by steps of a quarter at first; ends when the script does."""
    marcher = object.__new__(Marcher)
    marcher.aim = Aim.first(TOLERANCE)
    marcher.stated = SimpleNamespace(changing={}, constraints=("continuity",))
    marcher.low, marcher.high, marcher._stages = 0.0, 1.0, 3
    marcher._steppers = script = Scripted(marcher.aim.inside, *excess)
    reached = March(SimpleNamespace(ball=False), 0.25)
    at = _Progress(Moment(NOTHING, NOTHING), StepLength(0.0, 1.0, 0.25, True, 4))
    while script.left:
        marcher._next(reached, at, lambda _: None)
    return reached, script


@pytest.mark.parametrize("longer, shorter", [(1.2, 1.4), (1.9, 1.5)])
def test_where_shorter_steps_are_no_better_the_better_one_is_taken(longer, shorter):
    reached, script = march(longer, shorter)
    assert len(script.tried) == 2 and script.tried[1] < script.tried[0]
    (step,) = reached.steps
    assert step.dt == script.tried[0 if longer < shorter else 1]
    assert float(step.error) == pytest.approx(min(longer, shorter) * script.inside)


def test_after_the_longer_step_the_next_one_begins_where_it_ended():
    reached, _ = march(1.2, 1.4, 0.3)
    first, second = reached.steps
    assert second.time == pytest.approx(first.time + first.dt) == pytest.approx(0.25)


def test_shorter_steps_that_are_better_are_taken_themselves():
    reached, script = march(BORNE, 0.5)
    assert [step.dt for step in reached.steps] == script.tried[1:]
