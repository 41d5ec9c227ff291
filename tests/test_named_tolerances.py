"""Tolerances by name: of unknowns and quantities; what is not named may have any error."""

from __future__ import annotations

import json

import pytest

import pinnsolve as ps
from pinnsolve.problem.build import build_problem
from pinnsolve.spec.spec import load_spec, spec_from_dict

DUCT = {
    "name": "duct",
    "coordinates": {"x": [0, 1], "y": [0, 1]},
    "unknowns": "u",
    "equations": {"flow": "laplacian(u) = -1"},
    "conditions": {"walls": {"on": "boundary", "equation": "u = 0"}},
    "quantities": {"rate": {"on": "domain", "integral": "u"}},
}
RATE = 0.035144253738788  # by its series
TWO = {
    "name": "two",
    "coordinates": {"x": [0, 1]},
    "unknowns": ["u", "v"],
    "equations": {"smooth": "D(u, x, x) = -u", "steep": "0.0001*D(v, x, x) = v - 1"},
    "conditions": {"ends": {"on": "boundary", "equations": ["u = cos(x)", "v = 0"]}},
    "exact": {"u": "cos(x)"},
}


def solved(data: dict, **tolerances):
    return ps.solve(build_problem(spec_from_dict({**data, "solve": {"tolerance": tolerances}})))


def test_a_quantity_is_as_exact_as_asked():
    result = solved(DUCT, rate=1e-6, u=1e-2).result
    assert result["status"] == "converged" and result["tolerance"] == {"rate": 1e-6, "u": 1e-2}
    assert abs(result["quantities"]["rate"]["value"] / RATE - 1) < 1e-6
    assert result["quantities"]["rate"]["estimated_error"] < 1e-6 * RATE
    assert "`rate`" in result["message"] and "(1e-06)" in result["message"]


def test_what_is_not_named_may_have_any_error():
    result = solved(TWO, u=1e-8).result
    assert result["status"] == "converged"
    assert result["relative_l2_error"]["u"] < 1e-8 and result["estimated_error"]["v"] > 1e-4


def test_of_several_the_least_is_met_in_its_unit():
    result = solved(TWO, u=1e-8, v=1e-3).result
    assert result["status"] == "converged" and 1e-8 < result["estimated_error"]["v"] < 1e-3


def test_names_are_those_of_unknowns_and_quantities():
    with pytest.raises(ps.ProblemError) as error:
        solved(DUCT, rat=1e-4)
    assert "`rat` is neither an unknown nor a quantity" in str(error.value) and "`rate`" in str(error.value)
    with pytest.raises(ps.ProblemError):
        solved(DUCT, rate=-1)
    with pytest.raises(ps.ProblemError):
        ps.solve(build_problem(spec_from_dict(DUCT)), tolerance={"p": 1})


def test_tolerances_are_written_as_they_were_read(tmp_path):
    problem = build_problem(spec_from_dict({**DUCT, "solve": {"tolerance": {"rate": 1e-6, "u": 0.01}}}))
    file = tmp_path / "duct.yaml"
    file.write_text(problem.spec.to_yaml())
    again = load_spec(file)
    assert again.solve.tolerance == 1e-6 and again.solve.tolerance.by_name == {"rate": 1e-6, "u": 0.01}
    assert json.dumps(again.solve.tolerance.by_name)
