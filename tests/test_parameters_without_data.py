"""Unknown parameters that no data determine: eigenvalues are found, and what nothing determines is said."""

from __future__ import annotations

import math

import pytest

import pinnsolve as ps
from pinnsolve.problem.build import build_problem
from pinnsolve.spec.spec import spec_from_dict

EIGENVALUE = {
    "name": "string",
    "coordinates": {"x": [0, 1]},
    "unknowns": "u",
    "unknown_parameters": {"eigenvalue": {"guess": 9}},
    "equations": {"vibration": "D(u, x, x) + eigenvalue*u = 0"},
    "conditions": {
        "ends": {"on": ["x = 0", "x = 1"], "equation": "u = 0"},
        "normalization": {"on": "x = 0", "equation": "D(u, x) = 1"},
    },
}


def test_an_eigenvalue_is_a_parameter_found_without_data():
    stated = build_problem(spec_from_dict(EIGENVALUE))
    assert stated.warnings == ()
    result = ps.solve(stated).result
    assert result["status"] == "converged" and result["basis"].startswith("mlp")
    assert result["parameters"]["eigenvalue"]["value"] == pytest.approx(math.pi**2, rel=1e-6)
    assert result["why"].startswith("a network, because unknown parameters without data")


def test_a_parameter_that_nothing_determines_gets_a_warning():
    free = {**EIGENVALUE, "conditions": {"ends": EIGENVALUE["conditions"]["ends"]}}
    (warning,) = build_problem(spec_from_dict(free)).warnings
    assert "nothing determines the unknown parameters `eigenvalue`" in warning.message
    assert warning.key == "unknown_parameters" and "3 conditions are needed (here 2)" in warning.hint
    unused = {**EIGENVALUE, "unknown_parameters": {**EIGENVALUE["unknown_parameters"], "k": {"guess": 1}}}
    first, _ = build_problem(spec_from_dict(unused)).warnings
    assert "`k` occurs in no equation, condition or data" in first.message
