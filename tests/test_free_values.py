"""Unknowns of which a constant is free at every time: given with mean zero, and compared so."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import pinnsolve as ps
from pinnsolve.estimate.free_values import in_groups, less_free

RING = {
    "domain": ps.Box(t=(0, 1), x=(0, "2*pi")),
    "unknowns": ["u", "q"],
    "equations": {"heat": "D(u, t) = D(u, x, x)", "primitive": "D(q, x) = 3*u"},
    "conditions": {"start": ps.Condition(on="t = 0", equation="u = cos(x)"), "ring": ps.Condition(periodic="x")},
}


@pytest.mark.parametrize(("at", "determined"), [({"t": 0, "x": 0}, False), ({"x": 0}, True)])
def test_a_value_at_one_time_determines_nothing_at_others(at, determined):
    held = {**RING["conditions"], "gauge": ps.Condition(at=at, equation="q = 0")}
    problem = ps.Problem(name="ring", **{**RING, "conditions": held})
    found = [warning.message for warning in problem.warnings]
    assert determined is not any("single values of t" in message for message in found)


@pytest.mark.parametrize("level", ["0", "5*sin(9*t)"])
def test_a_potential_on_a_ring(level):
    problem = ps.Problem(name="ring", **RING, exact={"u": "cos(x)*exp(-t)", "q": f"3*sin(x)*exp(-t) + {level}"})
    (warning,) = problem.warnings
    assert "`q` is determined only up to a constant at every t" in warning.message
    assert "{at: {x: 0}" in warning.hint
    solution = ps.solve(problem)
    result = solution.result
    assert result["status"] == "converged" and result["relative_l2_error"]["q"] < 1e-6
    assert result["relative_l2_error"]["q"] < 5 * result["estimated_error"]["q"]
    x = 2 * np.pi * np.arange(24) / 24
    for t in (0.0, 0.3, 0.77, 1.0):
        assert abs(solution(t=np.full_like(x, t), x=x)["q"].mean()) < 1e-8


def test_a_condition_at_a_point_of_space_fixes_it_at_all_times():
    conditions = {**RING["conditions"], "level": ps.Condition(at={"x": 0}, equation="q = t")}
    exact = {"u": "cos(x)*exp(-t)", "q": "3*sin(x)*exp(-t) + t"}
    problem = ps.Problem(name="ring", **{**RING, "conditions": conditions}, exact=exact)
    assert not problem.warnings
    result = ps.solve(problem).result
    assert result["status"] == "converged" and result["relative_l2_error"]["q"] < 1e-6


def test_groups_of_points_lose_what_is_a_function_of_their_free_coordinates():
    x = torch.rand(4000, 2, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    problem = ps.Problem(name="ring", **RING)
    moved = in_groups(x, problem.statements, ["q"])
    assert len(torch.unique(moved[:, 0])) == 40 and torch.equal(moved[:, 1], x[:, 1])
    free = torch.exp(3 * moved[:, 0])
    assert float(less_free(free, moved, (0,)).abs().max()) < 1e-12
    assert float(less_free(free + moved[:, 1], moved, (0,)).std()) > 0.2
