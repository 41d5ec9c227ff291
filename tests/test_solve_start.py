"""Where solves begin and how they end: solutions to go on from, Ctrl-C outside any solver, results without numbers."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch

import pinnsolve as ps
from pinnsolve.adapt import context, growing_width
from pinnsolve.errors import PinnsolveError

SMALL = {"basis": {"width": 12, "activation": "tanh"}, "method": "varpro", "optimizer": {"steps": 3}}


def decay(rate: float = 1.0, **changes) -> ps.Problem:
    statement = {
        "name": "decay",
        "domain": ps.Box(t=(0, 2)),
        "unknowns": "u",
        "equations": {"decay": f"D(u, t) = -{rate}*u"},
        "conditions": {"start": ps.Condition(on="t = 0", equation="u = 1")},
        "exact": {"u": f"exp(-{rate}*t)"},
    }
    return ps.Problem(**{**statement, **changes})


# -- solutions to go on from --------------------------------------------------------------------------------


def test_a_solution_of_other_unknowns_is_refused():
    first = ps.solve(decay(), **SMALL)
    pair = decay(
        unknowns=["u", "v"],
        equations={"a": "D(u, t) = v", "b": "D(v, t) = -u"},
        conditions={"start": ps.Condition(on="t = 0", equations=["u = 0", "v = 1"])},
        exact=None,
    )
    with pytest.raises(PinnsolveError, match="a solve of u, v of t cannot start from a solution for u of t"):
        ps.solve(pair, start=first, **SMALL)
    with pytest.raises(PinnsolveError, match="cannot start from a solution for u of t"):
        ps.solve(decay(domain=ps.Box(t=(0, 2), x=(0, 1)), exact=None), start=first, **SMALL)


@pytest.mark.parametrize(("before", "after"), [("float32", "float64"), ("float64", "float32")])
def test_a_solution_of_another_precision_is_converted(before, after):
    first = ps.solve(decay(), precision=before, **SMALL)
    second = ps.solve(decay(), precision=after, start=first, **SMALL)
    kind = getattr(torch, after)
    tensors = [second.coefficients, second.basis.lower, second.basis.upper, *second.basis.hidden.values()]
    assert {t.dtype for t in tensors} == {kind}
    assert second.history[-1]["loss"] <= 2 * first.history[-1]["loss"] + 1e-8
    assert all(torch.equal(v, first.basis.hidden[n].to(v)) for n, v in second.basis.hidden.items()) or (
        second.history[-1]["loss"] < second.history[0]["loss"]
    )


# -- Ctrl-C -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("settings", [{"method": "least_squares"}, SMALL], ids=["growing", "fixed"])
@pytest.mark.parametrize("where", ["estimate_error", "residual_norm"])
def test_an_interrupt_between_two_solves_keeps_what_there_is(settings, where, monkeypatch):
    if settings is SMALL and where == "residual_norm":
        where = "doubted"

    def pressed(*arguments):
        raise KeyboardInterrupt

    monkeypatch.setattr(context if where == "estimate_error" else growing_width, where, pressed)
    solution = ps.solve(decay(), **settings)
    assert solution.result["status"] == "interrupted" and solution.result["estimated_error"] is None
    assert solution.result["relative_l2_error"]["u"] < 0.1
    assert abs(float(solution(t=0.0)) - 1) < 0.1


# -- results ------------------------------------------------------------------------------------------------


def test_what_is_no_number_is_none_in_the_result_as_in_its_file(tmp_path):
    solution = ps.solve(decay(equations={"decay": "D(u, t) = log(t - 9)"}, exact=None), **SMALL)
    assert solution.result["status"] == "diverged"
    assert solution.result["terms"]["decay"]["rms_residual"] is None
    solution.save(tmp_path)
    assert json.loads((tmp_path / "result.json").read_text()) == solution.result == solution.result.copy()
    assert np.isfinite(solution(t=np.linspace(0, 2, 5))).all()


def test_term_weights_that_depend_on_the_width_are_those_of_the_first_basis():
    problem = decay(rate=40.0)
    widths = []

    def told(record):
        widths.append(record.get("columns", 0))

    growing = {"method": "least_squares", "tolerance": 1e-12}
    solution = ps.solve(problem, progress=told, term_weights={"decay": "1/W"}, **growing)
    assert max(widths) > 64  # it has grown
    assert solution.result["terms"]["decay"]["weight"] == pytest.approx(1 / 64)
    again = ps.solve(problem, basis={"width": 50, "activation": "sin"}, term_weights={"decay": "1/W"})
    assert again.result["terms"]["decay"]["weight"] == pytest.approx(1 / 50)
