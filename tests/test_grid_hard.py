"""Problems that are hard on cells: no zero to start from, stiff, a pressure free at every time, no solution.

Each of the tests that are expected to fail states a defect that is known; it passes as soon as that is gone.
"""

from __future__ import annotations

import numpy as np
import pytest

import pinnsolve as ps


def start(*equations: str) -> ps.Condition:
    return ps.Condition(on="t = 0", equations=list(equations))


@pytest.mark.parametrize(
    ("rate", "first", "exact"),
    [("sqrt(u)", "1", "(1 + t/2)**2"), ("1/u", "1", "sqrt(1 + 2*t)"), ("-u*log(u)", "1/10", "10**(-exp(-t))")],
)
def test_rates_that_zero_does_not_have(rate, first, exact):
    problem = ps.Problem(
        name="rate",
        domain=ps.Box(t=(0, 3)),
        unknowns="u",
        equations={"rate": f"D(u, t) = {rate}"},
        conditions={"start": start(f"u = {first}")},
        exact={"u": exact},
    )
    result = ps.solve(problem).result
    assert result["status"] == "converged" and result["relative_l2_error"]["u"] < 1e-6


@pytest.mark.parametrize(
    "rate",
    [100, 1000, 100_000],
)
def test_stiff_equations(rate):
    """A fast start, and a slow solution after."""
    problem = ps.Problem(
        name="stiff",
        domain=ps.Box(t=(0, 1)),
        unknowns="u",
        equations={"rate": f"D(u, t) = -{rate}*(u - cos(t)) - sin(t)"},
        conditions={"start": start("u = 0")},
        exact={"u": f"cos(t) - exp(-{rate}*t)"},
    )
    result = ps.solve(problem, tolerance=1e-5, limits={"seconds": 2}).result
    assert result["status"] == "converged" and result["relative_l2_error"]["u"] < 1e-5


def test_a_pressure_that_is_free_at_every_time():
    """Taylor's vortices in a periodic box; the pressure is compared without its mean at every time."""
    problem = ps.Problem(
        name="vortices",
        domain=ps.Box(t=(0, 1), x=(0, "2*pi"), y=(0, "2*pi")),
        unknowns=["u", "v", "p"],
        equations={
            "momentum_x": "D(u, t) + advect([u, v], u) + D(p, x) = laplacian(u)/10",
            "momentum_y": "D(v, t) + advect([u, v], v) + D(p, y) = laplacian(v)/10",
            "mass": "D(u, x) + D(v, y) = 0",
        },
        conditions={
            "start": start("u = sin(x)*cos(y)", "v = -cos(x)*sin(y)"),
            "around": ps.Condition(periodic=["x", "y"]),
        },
        exact={
            "u": "sin(x)*cos(y)*exp(-t/5)",
            "v": "-cos(x)*sin(y)*exp(-t/5)",
            "p": "(cos(2*x) + cos(2*y))/4*exp(-2*t/5)",
        },
    )
    solution = ps.solve(problem, tolerance=1e-2)
    x, y = np.meshgrid(*2 * [2 * np.pi * (np.arange(20) + 0.5) / 20])
    means = []
    for t in (0.05, 0.35, 0.65, 0.95):
        p = solution(t=t, x=x, y=y)["p"]
        true = (np.cos(2 * x) + np.cos(2 * y)) / 4 * np.exp(-0.4 * t)
        means.append(p.mean())
        assert np.abs(p - p.mean() - true).max() < 0.02
    assert solution.result["status"] == "converged"
    assert solution.result["relative_l2_error"]["p"] < 0.05
    assert np.ptp(means) < 0.02


def test_no_solution_is_no_convergence():
    """It grows beyond all bounds at t = 1."""
    problem = ps.Problem(
        name="explosion",
        domain=ps.Box(t=(0, 1.5)),
        unknowns="u",
        equations={"rate": "D(u, t) = u**2"},
        conditions={"start": start("u = 1")},
    )
    assert ps.solve(problem, tolerance=1e-2, limits={"seconds": 15}).result["status"] != "converged"
