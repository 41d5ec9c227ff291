"""A condition whose `where` no point of the cells meets: the answer is written, and does not claim to be right."""

from __future__ import annotations

import pinnsolve as ps


def test_a_condition_that_no_point_meets_is_named():
    small = "x > 0.61234 and x < 0.61235"
    problem = ps.Problem(
        name="strip",
        domain=ps.Box(x=(0, 1), y=(0, 1)),
        unknowns="u",
        equations={"laplace": "laplacian(u) = 0"},
        conditions={
            "spot": ps.Condition(on="y = 0", equation="u = 1", where=small),
            "below": ps.Condition(on="y = 0", equation="u = 0", where=f"not ({small})"),
            "others": ps.Condition(on=["y = 1", "x = 0", "x = 1"], equation="u = 0"),
        },
        solve={"tolerance": 1e-2},
    )
    result = ps.solve(problem).result
    if result["terms"]["spot"]["points"] == 0:
        assert result["status"] != "converged" and "`spot`" in result["message"]
        assert result["estimated_error"]["u"] >= 1
    else:  # it was found
        assert result["terms"]["spot"]["rms_residual"] < 0.1


def test_a_march_tells_of_a_start_of_flux_that_it_never_meets():
    problem = ps.Problem(
        name="switch",
        domain=ps.Box(t=(0, 1), x=(0, 1)),
        unknowns="u",
        equations={"heat": "D(u, t) = D(u, x, x)"},
        conditions={
            "start": ps.Condition(on="t = 0", equation="u = sin(pi*x)"),
            "left": ps.Condition(on="x = 0", equation="u = 0"),
            "never": ps.Condition(on="x = 1", equation="u = 5", where="t > 2"),
            "right": ps.Condition(on="x = 1", equation="u = 0"),
        },
        solve={"tolerance": 1e-3},
    )
    result = ps.solve(problem).result
    assert result["status"] != "converged" and "`never`" in result["message"]
