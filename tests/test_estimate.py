"""Estimated errors against true ones, and the spread that noise gives against that of solving again and again."""

from __future__ import annotations

import math
from functools import cache

import numpy as np
import pytest
import torch
from small_problems import basis_for, box

from pinnsolve.assembly.collocation import sample_problem, term_weights, zero_state
from pinnsolve.assembly.row_source import State
from pinnsolve.assembly.rows import Assembly
from pinnsolve.bases import make_basis
from pinnsolve.compiler.compiler import compile_problem
from pinnsolve.defaults import Collocation
from pinnsolve.estimate import defect_correction as estimate_module
from pinnsolve.estimate.defect_correction import (
    Approximation,
    Estimate,
    estimate_error,
    noise_spread,
    relative_norms,
    residual_norm,
)
from pinnsolve.estimate.measured_errors import parameter_report, true_error
from pinnsolve.geometry.regions import domain
from pinnsolve.geometry.sampling import Points, sample_region
from pinnsolve.problem.problem import Problem
from pinnsolve.solvers import Clock, Iterate, LeastSquares, drive

KNOWN = {
    "poisson": {
        "domain": {"x": (0, 1), "y": (0, 1)},
        "unknowns": "u",
        "equations": {"e": "laplacian(u) = -2*pi**2*sin(pi*x)*sin(pi*y)"},
        "conditions": {"walls": {"on": "boundary", "equation": "u = 0"}},
        "exact": {"u": "sin(pi*x)*sin(pi*y)"},
    },
    "advection": {
        "domain": {"t": (0, 1), "x": (0, "2*pi")},
        "unknowns": "u",
        "equations": {"e": "D(u, t) + D(u, x) = 0"},
        "conditions": {"start": {"on": "t = 0", "equation": "u = exp(sin(x))"}, "ring": {"periodic": "x"}},
        "exact": {"u": "exp(sin(x - t))"},
    },
    "burgers": {
        "domain": {"t": (0, 1), "x": (0, 1)},
        "unknowns": "u",
        "definitions": {"wave": "1 - 0.5*tanh((x - t)/0.4)"},
        "equations": {"e": "D(u, t) + u*D(u, x) = 0.1*D(u, x, x)"},
        "conditions": {
            "start": {"on": "t = 0", "equation": "u = wave"},
            "walls": {"on": ["x = 0", "x = 1"], "equation": "u = wave"},
        },
        "exact": {"u": "wave"},
    },
    "ode": {
        "domain": {"x": (0, 1.2)},
        "unknowns": "u",
        "equations": {"e": "D(u, x) = 1 + u**2"},
        "conditions": {"start": {"on": "x = 0", "equation": "u = 0"}},
        "exact": {"u": "tan(x)"},
    },
    "layer": {
        "domain": {"x": (0, 1)},
        "unknowns": "u",
        "equations": {"e": "D(u, x) - 0.05*D(u, x, x) = 1"},
        "conditions": {"ends": {"on": "boundary", "equation": "u = 0"}},
        "exact": {"u": "x - (exp((x - 1)/0.05) - exp(-1/0.05))/(1 - exp(-1/0.05))"},
    },
    "system": {
        "domain": {"t": (0, 6)},
        "unknowns": ["u", "v"],
        "equations": {"a": "D(u, t) = v", "b": "D(v, t) = -u"},
        "conditions": {"start": {"on": "t = 0", "equations": ["u = 0", "v = 1"]}},
        "exact": {"u": "sin(t)", "v": "cos(t)"},
    },
}
WIDTHS = {1: (9, 13, 20), 2: (40, 80, 160)}
CASES = [(name, width) for name in KNOWN for width in WIDTHS[len(KNOWN[name]["domain"])]]


@cache
def solved(name: str, width: int, seed: int = 3):
    """Problem, solution and points: the least-squares solution of a known problem on a basis of that width."""
    problem = Problem(name=name, **KNOWN[name])
    compiled = compile_problem(problem)
    one = len(compiled.coordinates) == 1
    basis = basis_for(compiled, width, seed, activation="sin" if one else "tanh", scale=2.0)
    assembly = sampled(compiled, width, seed, "sobol", basis=basis)
    outcome = drive(LeastSquares(), assembly, Iterate(basis, zero_state(compiled, basis)), Clock())
    x = sample_region(domain(), compiled.intervals, 1000, "uniform", 77).x[0]
    return problem, Approximation(basis, outcome.best.state), assembly, x


def sampled(compiled, width: int, seed: int, sampling: str, weights=None, basis=None) -> Assembly:
    counts = Collocation(3 * width, max(33, 3 * width // (2 * len(compiled.coordinates))), sampling)
    points = sample_problem(compiled, counts, seed, box(compiled)[0])
    return Assembly(compiled, points, weights or term_weights(compiled, None, points, basis))


def estimated(name: str, width: int, **options) -> tuple[Estimate, dict[str, float]]:
    """The estimate on independent bases of twice the width, and the true relative errors."""
    problem, solution, assembly, x = solved(name, width)
    compiled, weights = assembly.problem, assembly.term_weights
    corrections = [
        make_basis({"kind": "mlp", "width": 2 * width, "activation": "sin", "scale": scale}, *box(compiled), 100 + i)
        for i, scale in enumerate((2.0, 4.0, 8.0))
    ]
    solve = sampled(compiled, 2 * width, 55, "sobol", weights)
    check = sampled(compiled, 170, 66, "uniform", weights)
    return estimate_error(solution, corrections, solve, check, x, **options), true_error(problem, solution, x, ())[0]


@pytest.mark.parametrize(("name", "width"), CASES)
def test_the_estimate_is_within_a_factor_of_the_truth(name, width):
    estimate, true = estimated(name, width)
    assert set(estimate.relative) == set(true)
    for unknown, error in true.items():
        assert 1 / 3 < estimate.relative[unknown] / error < 3
    assert estimate.worst == max(estimate.relative.values())
    assert estimate.residual_left > 0


@pytest.mark.parametrize("name", KNOWN)
def test_the_cases_are_of_several_accuracies(name):
    errors = [max(estimated(name, w)[1].values()) for n, w in CASES if n == name]
    assert max(errors) > 100 * min(errors) and max(errors) < 0.5


def test_of_several_bases_the_one_that_sees_the_error_is_taken():
    problem, solution, assembly, x = solved("ode", 20)
    compiled, weights = assembly.problem, assembly.term_weights
    blind, able = basis_for(compiled, 2, 9), basis_for(compiled, 40, 9, activation="sin", scale=4.0)
    solve, check = sampled(compiled, 40, 55, "sobol", weights), sampled(compiled, 170, 66, "uniform", weights)
    assert estimate_error(solution, [blind], solve, check, x).residual_left > 0.9
    estimate = estimate_error(solution, [blind, able, blind], solve, check, x)
    assert estimate.residual_left < 0.3
    true = true_error(problem, solution, x, ())[0]["u"]
    assert estimate.relative["u"] == pytest.approx(true, rel=0.2)


def test_rows_in_a_stream_give_the_same_estimate(monkeypatch):
    expected, _ = estimated("burgers", 40)
    monkeypatch.setattr(estimate_module, "DENSE_BYTES", 0)
    found, _ = estimated("burgers", 40)
    assert found.relative["u"] == pytest.approx(expected.relative["u"], rel=1e-4)
    assert found.residual_left == pytest.approx(expected.residual_left, rel=1e-4)


def test_an_unknown_that_floats_is_compared_without_its_mean():
    problem = Problem(
        name="floats",
        domain={"x": (0, 1)},
        unknowns="u",
        equations={"e": "D(u, x, x) = -9*sin(3*x)"},
        conditions={"flux": {"on": "boundary", "equation": "Dn(u) = n_x*3*cos(3*x)"}},
        exact={"u": "sin(3*x)"},
    )
    compiled = compile_problem(problem)
    basis = basis_for(compiled, 7, activation="sin")
    assembly = sampled(compiled, 7, 0, "chebyshev", basis=basis)
    best = drive(LeastSquares(), assembly, Iterate(basis, zero_state(compiled, basis)), Clock()).best
    x = torch.linspace(0, 1, 100, dtype=torch.float64)[:, None]
    phi = basis.derivatives(x, [(0,)])[(0,)]
    one = torch.linalg.lstsq(phi, torch.ones_like(phi[:, :1])).solution.T
    raised = State(best.state.coefficients + 10 * one, best.state.parameters)
    solution = Approximation(basis, raised)
    solve, check = (sampled(compiled, 40, seed, "uniform", assembly.term_weights) for seed in (2, 3))
    corrections = [basis_for(compiled, 40, 8, activation="sin", scale=4.0)]
    assert compiled.undetermined_constants == ("u",)
    estimate = estimate_error(solution, corrections, solve, check, x)
    true = true_error(problem, solution, x, ["u"])[0]["u"]
    assert 1e-8 < true < 0.1
    assert estimate.relative["u"] == pytest.approx(true, rel=0.1)
    assert true_error(problem, solution, x, [])[0]["u"] > 10  # the constant is anyone's


# -- parts --------------------------------------------------------------------------------------------------


def test_norms_are_relative_to_the_unknown_or_to_the_largest_if_it_vanishes():
    values = torch.tensor([[3.0, 4.0], [0.0, 0.0], [6.0, 8.0]], dtype=torch.float64)
    errors = torch.tensor([[0.3, 0.4], [0.6, 0.8], [0.0, 0.0]], dtype=torch.float64)
    assert relative_norms(["u", "v", "w"], errors, values) == pytest.approx({"u": 0.1, "v": 0.1, "w": 0.0})
    nothing = torch.zeros(1, 2, dtype=torch.float64)
    assert relative_norms(["u"], nothing, nothing) == {"u": 0.0}
    assert relative_norms(["u"], nothing + 1, nothing) == {"u": math.inf}


def test_estimates_are_combined():
    estimate = Estimate({"u": 3.0, "v": 1.0}, {"kappa": 4.0}, 0.2)
    noisy = estimate.with_noise({"u": 4.0, "v": 0.0}, {"kappa": 3.0})
    assert noisy == Estimate({"u": 5.0, "v": 1.0}, {"kappa": 5.0}, 0.2)
    assert estimate.at_least({"u": 1.0, "v": 2.0}) == Estimate({"u": 3.0, "v": 2.0}, {"kappa": 4.0}, 0.2)
    assert estimate.worst == 3.0


def test_values_of_an_approximation_are_those_of_its_functions():
    _, solution, _, x = solved("system", 9)
    expected = solution.basis.derivatives(x, [(0,)])[(0,)] @ solution.state.coefficients.T
    assert solution.values(x).shape == (2, 1000)
    torch.testing.assert_close(solution.values(x), expected.T)
    many = x.repeat(20, 1)
    torch.testing.assert_close(solution.values(many), expected.T.repeat(1, 20))


def test_the_residual_norm_is_the_root_of_the_loss():
    _, solution, assembly, _ = solved("burgers", 40)
    r = assembly.residual_vector(solution.basis, solution.state)
    assert residual_norm(assembly, solution) == pytest.approx(float(r.norm()), rel=1e-12)


# -- noise of data ------------------------------------------------------------------------------------------

SIGMA, SAMPLES = 0.05, 120


def decay(folder, noise: float | None):
    """u' = -kappa u, u(0) = 1 with kappa = 2, from 60 readings without noise: a basis and an assembly."""
    t = np.random.default_rng(0).random(60)
    table = np.column_stack([t, np.exp(-2 * t)])
    np.savetxt(folder / "probes.csv", table, delimiter=",", header="t,measured", comments="", fmt="%.17g")
    probes = {"file": "probes.csv", "equation": "u = measured", **({"noise": noise} if noise else {})}
    problem = Problem(
        name="decay",
        domain={"t": (0, 1)},
        unknowns="u",
        unknown_parameters={"kappa": {"guess": 1, "bounds": [0, 10]}},
        equations={"decay": "D(u, t) = -kappa*u"},
        conditions={"start": {"on": "t = 0", "equation": "u = 1"}},
        data={"probes": probes},
        folder=folder,
    )
    compiled = compile_problem(problem)
    basis = basis_for(compiled, 12, activation="sin")
    points = sample_problem(compiled, Collocation(36, 1, "chebyshev"), 0, basis.lower)
    weights = term_weights(compiled, None, points, basis)
    return basis, Assembly(compiled, points, weights if noise else {**weights, "probes": 1e-6})


def noisy(assembly: Assembly, basis, seed: int) -> tuple[Assembly, Approximation]:
    """The assembly with noise added to its readings, and its solution."""
    generator = torch.Generator().manual_seed(seed)
    readings = assembly.points["probes"]
    random = torch.randn(readings.count, generator=generator, dtype=torch.float64)
    measured = {"measured": readings.columns["measured"] + SIGMA * random}
    points = {**assembly.points, "probes": Points(readings.x, None, measured)}
    again = Assembly(assembly.problem, points, assembly.term_weights)
    best = drive(LeastSquares(), again, Iterate(basis, zero_state(assembly.problem, basis)), Clock()).best
    return again, Approximation(basis, best.state)


@pytest.mark.parametrize("stated", [SIGMA, None], ids=["stated", "from the residual"])
def test_the_spread_of_noise_is_that_of_solving_again_and_again(tmp_path, stated):
    basis, assembly = decay(tmp_path, stated)
    x = torch.linspace(0, 1, 50, dtype=torch.float64)[:, None]
    answers = [noisy(assembly, basis, seed)[1] for seed in range(SAMPLES)]
    kappa = np.array([float(a.state.parameters) for a in answers])
    assert abs(kappa.mean() - 2) < 4 * kappa.std() / math.sqrt(SAMPLES)
    true = torch.exp(-2 * x[:, 0])
    u = torch.stack([a.values(x)[0] for a in answers])
    spread = float((u - true).square().mean(dim=0).sum().sqrt() / true.norm())

    again, solution = noisy(assembly, basis, 1000)
    relative, parameters = noise_spread(solution, again, x, seed=3, draws=200)
    assert relative["u"] == pytest.approx(spread, rel=0.25)
    assert parameters["kappa"] == pytest.approx(kappa.std(), rel=0.25)
    report = parameter_report(again, solution)["kappa"]
    assert report["standard_error"] == pytest.approx(kappa.std(), rel=0.3)
    assert report["value"] == float(solution.state.parameters)


def test_a_few_draws_give_the_same_for_the_same_seed(tmp_path):
    basis, assembly = decay(tmp_path, SIGMA)
    again, solution = noisy(assembly, basis, 0)
    x = torch.linspace(0, 1, 50, dtype=torch.float64)[:, None]
    few = [noise_spread(solution, again, x, seed)[1]["kappa"] for seed in (3, 3, 4)]
    assert few[0] == few[1] != few[2]
    many = noise_spread(solution, again, x, 3, draws=200)[1]["kappa"]
    assert 1 / 3 < few[0] / many < 3


def test_a_problem_without_unknown_parameters_reports_none():
    _, solution, assembly, _ = solved("system", 9)
    assert parameter_report(assembly, solution) == {}
