"""Conditions that hold where the normal of the boundary says, such as inflow."""

from __future__ import annotations

import pytest

import pinnsolve as ps

PLACES = {
    "box": ps.Box(x=(-1, 1), y=(-1, 2)),
    "disk": ps.Shape({"disk": {"center": [0, 0], "radius": 1}}, coordinates="x y"),
}


@pytest.mark.parametrize("place", PLACES)
def test_a_part_of_the_boundary_is_named_by_its_normal(place):
    problem = ps.Problem(
        name="sides",
        domain=PLACES[place],
        unknowns="u",
        equations={"laplace": "laplacian(u) = 0"},
        conditions={
            "given": ps.Condition(on="boundary", equation="u = x*y + 2*x", where="n_x + n_y/2 > 0"),
            "flux": ps.Condition(on="boundary", equation="Dn(u) = n_x*(y + 2) + n_y*x", where="n_x + n_y/2 <= 0"),
        },
        exact={"u": "x*y + 2*x"},
    )
    solution = ps.solve(problem)
    assert solution.result["status"] == "converged" and solution.result["relative_l2_error"]["u"] < 1e-9


def test_inflow_of_a_wind_that_turns_meets_no_warning(recwarn):
    problem = ps.Problem(
        name="wind",
        domain=ps.Box(x=(0, 1), y=(0, 1)),
        unknowns="c",
        equations={"transport": "D(c, x) + (x - 1/2)*D(c, y) = 0"},
        conditions={
            "inflow": ps.Condition(on="boundary", equation="c = y - x*(x - 1)/2", where="n_x + (x - 1/2)*n_y < 0")
        },
        exact={"c": "y - x*(x - 1)/2"},
    )
    result = ps.solve(problem).result
    assert result["status"] == "converged" and result["relative_l2_error"]["c"] < 1e-6


def test_normals_need_a_boundary():
    with pytest.raises(ps.ProblemError, match="need a boundary in space"):
        ps.Problem(
            name="inside",
            domain=ps.Box(x=(0, 1), y=(0, 1)),
            unknowns="u",
            equations={"laplace": "laplacian(u) = 0"},
            conditions={"slice": ps.Condition(on="x = 1/2", equation="u = 0", where="n_x > 0")},
        )
