"""Steps in time end with the time, and are as long as errors of their order let them be."""

from __future__ import annotations

import pytest

from pinnsolve.adapt.step_length import FIRST_PARTS, NOT_FOUND, REFUSED_AGAIN, StepLength

SMALL = 1e-12


def of(free: bool, dt: float = 0.25, order: int = 4, shared: bool = False) -> StepLength:
    return StepLength(1.0, 5.0, dt, free, order, shared)


@pytest.mark.parametrize("free", [False, True])
def test_steps_end_with_the_time_however_their_length_changes(free):
    length, steps = of(free, 4.0 / FIRST_PARTS), 0
    for error in (0.3, SMALL, 7.0, 0.2, SMALL, 40.0, SMALL, SMALL):
        if error > 1.0:
            length.shorten_for(error, None, steps)
            continue
        length.taken()
        steps += 1
        length.lengthen(error, steps)
    while length.left:
        length.taken()
    assert length.time == 5.0
    assert of(free).time == 1.0


def test_lengths_that_serve_many_factorizations_are_the_time_over_powers_of_two():
    length = of(False)
    length.shorten_for(3.0, None, 0)
    assert length.dt == 0.125
    length.shorten_for(1000.0, None, 0)  # three halvings, of a fourth order
    assert length.dt == 0.125 / 8
    length.taken()
    assert not length.lengthen(SMALL, 1)  # from the middle of a longer one
    length.taken()
    assert length.lengthen(SMALL, 2) and length.dt == 0.125 / 4


def test_free_lengths_follow_the_error_and_its_order():
    length = of(True)
    length.shorten_for(8.0, None, 0)  # to a half of what is allowed
    assert length.dt == pytest.approx(0.125, rel=0.05)
    length.taken()
    assert not length.lengthen(0.4, 1)  # hardly longer
    assert length.lengthen(0.5 / 1.8**4, 1) and length.dt == pytest.approx(0.225, rel=0.05)
    assert length.lengthen(SMALL, 1) and length.dt <= 2.0 * 0.225 * 1.05


def test_lengths_that_share_a_factorization_are_tried_until_one_is_refused():
    length = of(False, 4.0 / 64, shared=True)
    length.taken()
    assert length.lengthen(0.5 / 1.8**2, 1)  # of half the order
    assert length.dt == pytest.approx(1.8 * 4.0 / 64, rel=0.05)
    assert length.back(1) and length.dt == 4.0 / 64
    for number in range(20):
        length.taken()
        assert not length.lengthen(0.5 / 1.4**4, 2 + number)
    assert length.lengthen(0.5 / 1.8**4, 22)  # of the order


@pytest.mark.parametrize("free", [False, True])
def test_a_length_that_was_refused_is_not_tried_again_at_once(free):
    length = of(free, 4.0 / 64)
    length.taken()
    length.taken()
    before = length.dt
    while length.lengthen(SMALL, 2):
        refused = length.dt
        length.back(2)
        assert length.dt == before
    assert before < refused <= 2.0 * before * 1.01
    assert length.lengthen(SMALL, 2 + REFUSED_AGAIN)


def test_errors_that_fall_slowly_ask_for_much_shorter_steps():
    smooth, kinked = of(False), of(False)
    smooth.shorten_for(20.0, None, 0)
    kinked.shorten_for(20.0, (40.0, 0.5), 0)  # only half of that of a step twice as long
    assert kinked.dt < smooth.dt


def test_steps_that_newton_does_not_find_are_shortened_less_once_others_were():
    first, later = of(True), of(True)
    first.fails(0)
    later.fails(3)
    assert first.dt == 0.125 and later.dt == pytest.approx(0.25 / NOT_FOUND)
    assert not first.too_short
    for _ in range(20):
        first.fails(0)
    assert first.too_short
