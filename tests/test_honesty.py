"""Estimated errors of whole solves against true ones, where bases, points or data are least able to tell."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

import pinnsolve as ps
from pinnsolve import method
from pinnsolve.assembly.collocation import zero_state
from pinnsolve.compiler.compiler import compile_problem
from pinnsolve.defaults import Collocation
from pinnsolve.estimate.defect_correction import Approximation, Estimate, doubted, estimate_error
from pinnsolve.estimate.measured_errors import true_error
from pinnsolve.problem.build import build_problem
from pinnsolve.solvers import LeastSquares
from pinnsolve.spec.spec import spec_from_dict

LINES = {
    "decay": ("D(u, x) = -3*u", "u = 1", "exp(-3*x)"),
    "kink": ("D(u, x) = sign(x - 0.37)", "u = 0", "abs(x - 0.37) - 0.37"),
    "logistic": ("D(u, x) = 5*u*(1 - u)", "u = 0.1", "1/(1 + 9*exp(-5*x))"),
    "wave": ("D(u, x) = 6*cos(6*x)", "u = 0", "sin(6*x)"),
}


def line(name: str) -> ps.Problem:
    """A problem on [0, 1] with its exact solution."""
    equation, start, exact = LINES[name]
    conditions = {"start": ps.Condition(on="x = 0", equation=start)}
    return ps.Problem(
        name=name,
        domain=ps.Box(x=(0, 1)),
        unknowns="u",
        equations={"e": equation},
        conditions=conditions,
        exact={"u": exact},
    )


def errors(solution: ps.Solution) -> tuple[float, float]:
    """Estimated, and true."""
    return tuple(solution.result[key]["u"] for key in ("estimated_error", "relative_l2_error"))


# -- functions with kinks -----------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["decay", "kink", "logistic"])
@pytest.mark.parametrize("seed", range(3))
def test_a_jump_that_moved_kinks_hide_between_the_points_is_seen(name, seed):
    settings = {"method": "lsgd", "basis": {"width": 32, "activation": "relu"}, "optimizer": {"steps": 150}}
    solution = ps.solve(line(name), **settings, seed=seed)
    estimated, true = errors(solution)
    assert estimated > true / 4
    assert solution.result["status"] == "tolerance_not_reached" and true > 1e-6


def test_an_estimate_is_enlarged_by_the_residual_that_was_left():
    problem = line("decay")
    work = method.solve_context(problem, compile_problem(problem), None)
    basis = work.basis({"width": 20, "activation": "tanh"})
    work = work.weighted(basis)
    check = work.check_assembly(200)
    coefficients = torch.linspace(-1, 1, 20, dtype=torch.float64)[None]
    solution = Approximation(basis, replace(zero_state(work.problem, basis), coefficients=coefficients))
    for left, factor in [(0.01, 1), (0.5, 1), (0.75, 4), (0.89, 1 / 0.11)]:
        found = doubted(Estimate({"u": 1e-3}, {}, left), solution, check)
        assert found.relative["u"] == pytest.approx(1e-3 * factor)
    for left in (0.95, 1.0, 1.2):  # coefficients without sense: all of it may be wrong
        assert doubted(Estimate({"u": 1e-9}, {}, left), solution, check).relative["u"] == 1.0


# -- points and functions of the estimate -------------------------------------------------------------------


def solved_on_few(name: str, width: int, seed: int, **settings) -> tuple[method.SolveContext, Approximation, float]:
    """The work and the least-squares solution on a few smooth functions, and its true error."""
    problem = line(name)
    work = method.solve_context(problem, compile_problem(problem), None)
    work = replace(work, seed=seed)
    basis = work.basis(work.default_settings(width, 2.0))
    work = work.weighted(basis)
    best = work.drive(LeastSquares(), work.assembly(width), basis, zero_state(work.problem, basis), "a few").best
    solution = Approximation(basis, best.state)
    return work, solution, true_error(problem, solution, work.check_points(), ())[0]["u"]


@pytest.mark.parametrize("name", ["decay", "wave"])
@pytest.mark.parametrize("width", [6, 10, 16])
@pytest.mark.parametrize("seed", range(3))
def test_the_error_of_a_narrow_basis_on_a_line_is_seen(name, width, seed):
    work, solution, true = solved_on_few(name, width, seed)
    assert 0.4 < work.estimate(solution, work.independent(width, (2.0, 4.0))).worst / true < 4


@pytest.mark.parametrize("asked", [Collocation(5, 1, "uniform"), None, Collocation(4000, 50, "grid")])
def test_an_estimate_has_points_of_its_own(asked, monkeypatch):
    """At least three for each of its functions, however few the file has for the solve."""
    work, solution, true = solved_on_few("decay", 8, 0)
    work = replace(work, collocation=asked)
    seen = []

    def watched(*arguments):
        seen.append(arguments[2])
        return estimate_error(*arguments)

    monkeypatch.setattr("pinnsolve.adapt.context.estimate_error", watched)
    estimate = work.estimate(solution, work.independent(8, (2.0,)))
    assert seen[0].points["e"].count >= max(3 * 16, asked.interior if asked else 0)
    assert estimate.worst == pytest.approx(true, rel=0.3)


def test_a_basis_that_misses_the_data_by_far_more_than_their_noise_is_no_solution(tmp_path):
    """The equation pulls a coarse basis to zero, where it holds, and the data say otherwise."""
    t = np.linspace(0, 10, 60)
    rows = "\n".join(f"{a:.6f},{b:.6f}" for a, b in zip(t, np.cos(2 * t), strict=True))
    (tmp_path / "seen.csv").write_text(f"t,seen\n{rows}\n")
    spec = {
        "name": "coarse",
        "coordinates": {"t": [0, 10]},
        "unknowns": "u",
        "equations": {"motion": "D(u, t, t) + 4*u = 0"},
        "data": {"readings": {"file": "seen.csv", "equation": "u = seen", "noise": 0.05}},
        "solve": {"tolerance": 5e-2, "basis": {"kind": "pou_grid", "partitions": 4, "degree": 3}},
    }
    problem = build_problem(spec_from_dict(spec, tmp_path))
    result = ps.solve(problem, method="least_squares").result
    assert result["status"] != "converged"
    assert "`readings` are missed by" in result["message"]
    fine = {"kind": "pou_grid", "partitions": 8, "degree": 8}
    assert ps.solve(problem, method="least_squares", basis=fine).result["status"] == "converged"
