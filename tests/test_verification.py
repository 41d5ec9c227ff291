"""Orders of convergence, and manufactured solutions."""

from __future__ import annotations

import json

import pytest
import sympy as sp
from typer.testing import CliRunner

import pinnsolve as ps
from pinnsolve.cli import app
from pinnsolve.errors import ProblemError
from pinnsolve.problem.build import build_problem
from pinnsolve.spec.spec import spec_from_dict
from pinnsolve.verification.manufactured import with_manufactured
from pinnsolve.verification.orders import ToleranceRow, Verification

FLOW = {
    "name": "flow",
    "coordinates": {"t": [0, 0.5], "x": [0, 2]},
    "unknowns": ["u", "v"],
    "equations": {"u": "D(u, t) + u*D(u, x) = 0.1*D(u, x, x) + v", "v": "D(v, t) = D(v, x, x) - u**2"},
    "conditions": {
        "start": {"on": "t = 0", "equations": ["u = 1", "v = 0"]},
        "around": {"periodic": "x"},
    },
}


def problem(**changed):
    return build_problem(spec_from_dict({**FLOW, **changed}))


def test_cells_reach_the_order_of_their_degree():
    found = ps.verify(ps.load("poisson-2d"), degrees=(2, 4), tolerances=(1e-4,))
    assert found.against == "the exact solution" and not found.failures
    last = {row.degree: row.order for row in found.cells if row.order is not None}
    assert last[2] == pytest.approx(2, abs=0.5) and last[4] == pytest.approx(5, abs=0.5)
    assert found.tolerances[0].error <= 1e-4


def test_a_manufactured_solution_solves_the_problem_with_its_sources():
    made = with_manufactured(problem(), {"v": "cos(pi*x)*exp(-t)"})
    t, x = (sp.Symbol(name, real=True) for name in "tx")
    assert made.exact["v"] == sp.cos(sp.pi * x) * sp.exp(-t)
    ends = made.exact["u"].subs({x: 0, t: 0.3}) - made.exact["u"].subs({x: 2, t: 0.3})
    assert float(ends) == pytest.approx(0, abs=1e-12)  # periodic, as the problem is
    solution = ps.solve(made, tolerance=1e-6)
    assert solution.result["status"] == "converged"
    assert max(solution.result["relative_l2_error"].values()) < 1e-6


def test_a_system_without_exact_solution_is_verified():
    found = ps.verify(problem(), degrees=(3,), tolerances=(1e-3,))
    assert found.against == "a manufactured solution"
    assert not found.failures


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"equations": {"u": "D(u, t) = D(u, x, x)"}}, "an unknown has no equation"),
        (
            {"equations": {"u": "D(u, t) = D(where(x < 1, 1, 2)*D(u, x), x)", "v": "D(v, t) = D(v, x, x)"}},
            "coefficients jump",
        ),
    ],
)
def test_what_has_no_manufactured_solution_is_refused(changed, said):
    with pytest.raises(ProblemError, match=said):
        ps.verify(problem(**changed))


def test_numbers_and_unknowns_that_make_no_sense_are_refused():
    with pytest.raises(ProblemError, match="makes no sense"):
        ps.verify(problem(), degrees=(0,))
    with pytest.raises(ProblemError, match="`w` is not an unknown"):
        ps.verify(problem(), manufactured={"w": "x"})


def test_what_is_not_as_it_should_be_is_said():
    rows = (ToleranceRow(1e-3, 2e-3, 1e-4, "converged", 1.0), ToleranceRow(1e-6, 1e-5, 1e-5, "time_limit", 1.0))
    found = Verification("x", "the exact solution", (), rows, "there are none")
    assert len(found.failures) == 2 and "the error is 2.0e-03" in found.failures[0]


def test_the_command_writes_table_and_figure(tmp_path):
    arguments = ["verify", "logistic", "--out", str(tmp_path / "v"), "--tolerances", "1e-3", "--degrees", "4"]
    done = CliRunner().invoke(app, arguments)
    assert done.exit_code == 0, done.output
    content = json.loads((tmp_path / "v" / "verify.json").read_text())
    assert content["failures"] == [] and content["cells"][-1]["degree"] == 4
    assert (tmp_path / "v" / "verify.png").stat().st_size > 5000
