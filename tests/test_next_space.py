"""Which cells are halved, how often, and which degrees cells keep where levels take long."""

from __future__ import annotations

import pytest
import torch

from pinnsolve.adapt.hp_refinement import BULK, _degree_after_halving, _halvings


def errors(*values: float) -> torch.Tensor:
    return torch.tensor(values, dtype=torch.float64)


def test_in_the_plane_the_largest_errors_are_halved_once():
    times = _halvings(errors(1.0, 0.2, 0.05, 1e-6), 1e-8, 6, 2)
    assert times.tolist() == [1, 1, 0, 0]


def test_where_levels_are_dear_one_large_error_does_not_hide_the_others():
    error = torch.cat([errors(1.0), torch.full((60,), 0.02, dtype=torch.float64), torch.full((60,), 1e-5).double()])
    times = _halvings(error, 1e-8, 6, 3)
    assert int((times[:61] > 0).sum()) >= 55 and not bool(times[61:].any())
    left = float(error[times == 0].norm())
    assert left <= BULK * float(error.norm())


def test_cells_are_halved_twice_only_where_once_cannot_do():
    per_cell = 0.3 / 2**0.5
    assert _halvings(errors(1.0, 1.0), 1.0 / 100 / per_cell, 6, 3).tolist() == [1, 1]
    assert _halvings(errors(1.0, 1.0), 1.0 / 200 / per_cell, 6, 3).tolist() == [2, 2]


def test_cells_whose_errors_may_stay_are_left():
    error = torch.cat([errors(1e-2), torch.full((99,), 2e-4, dtype=torch.float64)])
    assert _halvings(error, 5e-3, 6, 3).tolist() == [1] + [0] * 99
    assert _halvings(errors(1e-9, 2e-9), 1.0, 6, 3).tolist() == [0, 1]  # the largest, whatever is asked


@pytest.mark.parametrize("rate", [0.2, 0.5])
def test_degrees_after_halving_meet_the_tolerance_of_a_smooth_function(rate):
    error, degree, tolerance = 1e-8, 12, 1e-10
    wanted = _degree_after_halving(error, rate, degree, tolerance)
    size = error / rate**degree
    assert size * (0.5 * rate) ** wanted <= 0.3 * tolerance
    assert size * (0.5 * rate) ** (wanted - 1) > 0.3 * tolerance
