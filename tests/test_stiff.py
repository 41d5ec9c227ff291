"""Stiff equations and long times: steps over many orders of magnitude, digits of slow solutions, honest estimates."""

from __future__ import annotations

import numpy as np
import torch
from scipy.integrate import solve_ivp

import pinnsolve as ps
from pinnsolve.least_squares.one_block import OneBlock


def test_rows_on_one_block_keep_the_digits_that_their_normal_equations_lose():
    """Vandermonde rows: corrections from their own R go on to the solution."""
    x = torch.linspace(0, 1, 40, dtype=torch.float64)
    A = x[:, None] ** torch.arange(12)
    truth = torch.ones(12, dtype=torch.float64)
    block, found = OneBlock(A), torch.zeros(12, dtype=torch.float64)
    assert block.determines_all and block.rank_info()["condition"] > 1e5
    for _ in range(3):
        found = found + block.solve((A.T @ (A @ truth - A @ found))[None])[0]
    assert float((found - truth).norm()) < 1e-7
    assert not OneBlock(torch.cat([A, A[:, :1]], dim=1)).determines_all
    assert not OneBlock(A[:5]).determines_all


def kinetics(names: str, fast: float, end: float) -> ps.Problem:
    a, b, c = names.split()
    return ps.Problem(
        name="kinetics",
        domain=ps.Box(t=(0, end)),
        time="t",
        unknowns=[a, b, c],
        equations={
            "one": f"D({a}, t) = 1e3*{b}*{c} - 0.1*{a}",
            "two": f"D({b}, t) = 0.1*{a} - 1e3*{b}*{c} - {fast}*{b}**2",
            "three": f"D({c}, t) = {fast}*{b}**2",
        },
        conditions={"start": ps.Condition(on="t = 0", equations=[f"{a} = 2", f"{b} = 0", f"{c} = 0"])},
        solve={"tolerance": 1e-5},
    )


def test_steps_grow_over_many_orders_of_magnitude():
    """The layer at the start lasts a ten-thousandth of one of 1e7 units of time, and is solved and evaluated."""
    end, fast = 1e7, 1e8
    solution = ps.solve(kinetics("z y x", fast, end))
    assert solution.result["status"] == "converged"
    t = np.unique(np.concatenate([np.linspace(0, end, 500), np.logspace(-6, 7, 1000)]))

    def velocity(_, y):
        one, three = 1e3 * y[1] * y[2] - 0.1 * y[0], fast * y[1] ** 2
        return one, -one - three, three

    truth = solve_ivp(velocity, (0, end), (2, 0, 0), "Radau", t, rtol=1e-9, atol=1e-18).y
    values, lengths = solution(t=t), np.gradient(t)
    for name, y in zip("zyx", truth, strict=True):
        error = np.sqrt((lengths * (np.asarray(values[name]) - y) ** 2).sum() / (lengths * y**2).sum())
        assert error < min(1e-5, 5 * solution.result["estimated_error"][name] + 1e-8)


def test_a_slow_manifold_is_followed_after_a_fast_start():
    """A linear equation far from its slow solution at first (Prothero & Robinson, Math. Comp. 28 (1974) 145-162)."""
    problem = ps.Problem(
        name="fast-start",
        domain=ps.Box(s=(1, 400)),
        time="s",
        unknowns="w",
        equations={"pull": "D(w, s) = -1e7*(w - sin(s/30)) + cos(s/30)/30"},
        conditions={"start": ps.Condition(on="s = 1", equation="w = 3")},
        solve={"tolerance": 1e-7},
    )
    solution = ps.solve(problem)
    assert solution.result["status"] == "converged"
    s = np.linspace(1.001, 400, 500)
    np.testing.assert_allclose(np.asarray(solution(s=s)).ravel(), np.sin(s / 30), atol=1e-6)
