"""Periodic cells of two materials: the effective conductivity of a square array of cylinders (Rayleigh 1892)."""

from __future__ import annotations

import numpy as np
import pytest

import pinnsolve as ps

CONDUCTIVITY = 1.60294  # with as many multipoles as it takes: contrast 10, radius 0.3
ARRAYS = {  # the cylinder in the middle, and cut by the faces at x = 0 and x = 1
    "inside": "where((x - 1/2)**2 + (y - 1/2)**2 < 0.09, 10, 1)",
    "across": "where(min(x**2 + (y - 1/2)**2, (x - 1)**2 + (y - 1/2)**2) < 0.09, 10, 1)",
}


@pytest.mark.parametrize("place", ARRAYS)
def test_effective_conductivity_of_cylinders(place):
    problem = ps.Problem(
        name="cylinders",
        domain=ps.Box(x=(0, 1), y=(0, 1)),
        unknowns="w",
        definitions={"k": ARRAYS[place]},
        equations={"cell": "div([k*(D(w, x) + 1), k*D(w, y)]) = 0"},
        conditions={
            "ring": ps.Condition(periodic=["x", "y"]),
            "level": ps.Condition(at={"x": 0.1, "y": 0.1}, equation="w = 0"),
        },
        solve={"tolerance": 1e-4},
    )
    solution = ps.solve(problem)
    assert solution.result["status"] == "converged"
    nodes, weights = np.polynomial.legendre.leggauss(40)
    x, step, y = (0.08 if place == "inside" else 0.5), 1e-3, 0.5 + 0.5 * nodes  # where k is 1
    rise = solution(x=np.full_like(y, x + step), y=y) - solution(x=np.full_like(y, x - step), y=y)
    assert 0.5 * weights @ (rise / (2 * step) + 1) == pytest.approx(CONDUCTIVITY, abs=2e-4)
