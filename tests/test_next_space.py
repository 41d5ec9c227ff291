"""Which cells are halved, how often, and which degrees cells keep where levels take long."""

from __future__ import annotations

import pytest
import torch

import pinnsolve as ps
from pinnsolve.adapt.next_space import BULK, _degree_after_halving, _halvings, singular_corners
from pinnsolve.bases.piecewise.mesh import uniform_cells
from pinnsolve.problem.build import build_problem
from pinnsolve.spec.spec import spec_from_dict


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


def test_a_singular_point_is_where_all_cells_are_halved_again():
    cells = uniform_cells(torch.zeros(2), torch.ones(2), [4, 4])
    at_corner, all_round = torch.zeros(16, dtype=torch.bool), torch.zeros(16, dtype=torch.bool)
    at_corner[0] = True
    all_round[[5, 6, 9, 10]] = True  # the four at the middle
    along = torch.arange(16) < 4  # a layer
    assert singular_corners(cells, at_corner).tolist() == [[0.0, 0.0]]
    assert singular_corners(cells, all_round).tolist() == [[0.5, 0.5]]
    assert len(singular_corners(cells, along)) == 0


def test_cells_of_a_square_root_are_halved_towards_its_root():
    """laplacian(u) = 0 with u = Re sqrt(z) about a corner of the square: few levels, small cells there alone."""
    root = "sqrt((sqrt(x**2 + y**2) + x)/2)"
    stated = {
        "name": "root",
        "coordinates": {"x": [0, 1], "y": [0, 1]},
        "unknowns": "u",
        "equations": {"laplace": "laplacian(u) = 0"},
        "conditions": {"walls": {"on": "boundary", "equation": f"u = {root}"}},
        "exact": {"u": root},
        "solve": {"tolerance": 1e-6},
    }
    solution = ps.solve(build_problem(spec_from_dict(stated)))
    assert solution.result["status"] == "converged"
    assert solution.result["relative_l2_error"]["u"] < 2e-6
    cells = solution.basis.space.cells
    smallest = (cells.upper - cells.lower).amin(dim=1)
    assert float(cells.centres[smallest.argmin()].norm()) < 5e-3
    assert sum("level" in h["phase"] for h in solution.history) <= 8
