"""Solutions that are not unique: what is asked for may be known all the same, and a sentence says what is free."""

from __future__ import annotations

import math

import numpy as np

import pinnsolve as ps
from pinnsolve.problem.build import build_problem
from pinnsolve.spec.spec import spec_from_dict

RING = {
    "name": "square-of-current",
    "coordinates": {"x": [0, 1], "y": [0, 1]},
    "unknowns": ["a", "b", "B"],
    "equations": {
        "potential": "B = D(b, x) - D(a, y)",
        "current": {"equations": ["D(B, y) = -pi*sin(pi*y)", "D(B, x) = 0"]},
    },
    "conditions": {"floor": {"on": "y = 0", "equation": "B = 1"}},
    "quantities": {
        "energy": {"on": "domain", "integral": "B**2/2"},
        "middle": {"at": {"x": 0.3, "y": 0.5}, "value": "D(a, x)"},
    },
}


def solved(tolerance):
    return ps.solve(build_problem(spec_from_dict({**RING, "solve": {"tolerance": tolerance}})))


def test_a_field_is_known_though_its_potential_is_not():
    solution = solved({"B": 1e-6, "energy": 1e-6})
    result = solution.result
    assert result["status"] == "converged"
    (said,) = [text for text in result["warnings"] if "not unique" in text]
    assert "functions of `a` and `b` free" in said and "`B` and `energy`, does not depend on that" in said
    assert result["estimated_error"]["a"] == 1.0  # nothing is claimed
    y = np.linspace(0.05, 0.95, 7)
    assert np.abs(solution.B(x=0.4, y=y) - np.cos(math.pi * y)).max() < 1e-6
    curl = solution.derivative("b", "x")(x=0.4, y=y) - solution.derivative("a", "y")(x=0.4, y=y)
    assert np.abs(curl - np.cos(math.pi * y)).max() < 1e-4


def test_what_depends_on_the_potential_is_not_known():
    for tolerance in (1e-6, {"B": 1e-6, "a": 1e-6}, {"middle": 1e-6}):
        result = solved(tolerance).result
        assert result["status"] == "tolerance_not_reached"
        assert "not unique" in result["message"]


def test_a_ring_of_current():
    result = ps.solve(ps.load("magnetic-ring")).result
    assert result["status"] == "converged"
    assert set(result["relative_l2_error"]) == {"B"}  # one potential of many is no measure of another
    assert result["relative_l2_error"]["B"] < 1e-6
