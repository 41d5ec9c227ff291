"""Coefficients for a basis that stays: one solve, or Newton; damping, streams, bounds of unknown parameters."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import pytest
import torch
from small_problems import STATEMENTS, assembled, basis_for, compiled, random_state, reduced

from pinnsolve import extensions
from pinnsolve.adapt.hp_refinement import first_space, make_system, state_at
from pinnsolve.assembly import basis_system as newton_module
from pinnsolve.assembly.basis_system import BasisSystem
from pinnsolve.assembly.collocation import zero_state
from pinnsolve.assembly.row_source import State, residual_norm
from pinnsolve.assembly.rows import Assembly
from pinnsolve.errors import ResourceError
from pinnsolve.solvers import Clock, Iterate, LeastSquares, VarPro, drive
from pinnsolve.solvers.gauss_newton import Iteration, first_iterate, gauss_newton, next_iterate
from pinnsolve.solvers.least_squares import newton

names = pytest.mark.parametrize("name", STATEMENTS)


@pytest.fixture
def arranged(name, tmp_path):
    problem = compiled(name, tmp_path)
    basis = basis_for(problem, width=10)
    return assembled(problem), basis, zero_state(problem, basis)


@names
def test_a_linear_problem_takes_one_solve(name, arranged):
    assembly, basis, state = arranged
    outcome = drive(LeastSquares(), assembly, Iterate(basis, state), Clock())
    if assembly.problem.linear:
        assert [(r["step"], r["steps"]) for r in outcome.history] == [(0, 1), (1, 1)]
        assert outcome.best.loss == pytest.approx(reduced(assembly, basis), rel=1e-10)
        assert outcome.history[1]["rank"] == outcome.history[1]["columns"] == 10
        assert outcome.history[1]["condition"] > 1
    else:
        assert len(outcome.history) > 2 and outcome.history[0]["steps"] == 60


@pytest.mark.parametrize("name", ["poisson", "periodic"])
def test_one_solve_leads_to_the_same_from_any_state(arranged):
    assembly, basis, _ = arranged
    one, other = (
        drive(LeastSquares(), assembly, Iterate(basis, random_state(assembly.problem, basis, seed, 100.0)), Clock())
        for seed in (1, 2)
    )
    torch.testing.assert_close(one.best.state.vector(), other.best.state.vector(), rtol=1e-9, atol=1e-9)


def test_what_the_rows_do_not_see_is_left_behind():
    problem = compiled("poisson", conditions={})  # any harmonic function may be added
    basis = basis_for(problem, width=10)
    twice = basis.with_hidden({name: torch.cat([v[:5], v[:5]]) for name, v in basis.hidden.items()})
    assembly = assembled(problem)
    state = random_state(problem, twice, size=1e6)
    result = step_from(assembly, twice, state, leaves=True)
    assert result.reduced.rank_info()["rank"] == 5
    torch.testing.assert_close(result.state.coefficients[:, :5], result.state.coefficients[:, 5:], rtol=1e-6, atol=1e-6)


def step_from(assembly: Assembly, basis, state: State, leaves: bool = False, corrections: int = 1):
    """One Gauss-Newton step."""
    system = BasisSystem(assembly, basis)
    how = replace(newton(system, 1, 0.0, leaves), corrections=corrections)
    return next_iterate(first_iterate(system, state), how, system.bounds)


def correction(assembly: Assembly, basis, state: State, memory_gb: float | None = None, parameters: bool = True):
    """The whole step at a state, as its least squares has it."""
    return BasisSystem(assembly, basis, memory_gb).factorized(state, (), parameters)[1].solved


ODE = {"domain": {"x": (0, 1.2)}, "equations": {"ode": "D(u, x) = 1 + u**2"}, "unknowns": "u"}


def nonlinear_ode(width: int = 24, interior: int = 80) -> tuple[Assembly, object]:
    """u' = 1 + u^2, u(0) = 0, with tan(x) the solution."""
    start = {"start": {"on": "x = 0", "equation": "u = 0"}}
    problem = compiled("poisson", **ODE, conditions=start)
    return assembled(problem, interior, sampling="chebyshev"), basis_for(problem, width, activation="sin", scale=3.0)


def test_newton_converges_quadratically():
    assembly, basis = nonlinear_ode()
    state, changes = zero_state(assembly.problem, basis), []
    for number in range(9):
        step = step_from(assembly, basis, state, leaves=number == 0)
        x = torch.linspace(0, 1.2, 50, dtype=torch.float64)[:, None]
        phi = basis.derivatives(x, [(0,)])[(0,)]
        changes.append(float((phi @ (step.state.coefficients - state.coefficients)[0]).abs().max()))
        state = step.state
        if step.length == 0:
            break
    error = phi @ state.coefficients[0] - torch.tan(x[:, 0])
    assert float(error.abs().max()) < 1e-7
    middle = [c for c in changes if c > 1e-8]
    assert len(middle) >= 4 and middle[-1] < 1e-5
    for before, after in pairwise(middle):
        assert after < 2 * before**2 + 1e-7  # the basis is ill conditioned: the last change may be rounding


def test_the_solver_itself_stops_when_newton_has_converged():
    assembly, basis = nonlinear_ode()
    outcome = drive(LeastSquares(), assembly, Iterate(basis, zero_state(assembly.problem, basis)), Clock())
    assert outcome.best.loss < 1e-12
    assert len(outcome.history) < 12


def test_a_step_that_would_raise_the_loss_is_shortened():
    problem = compiled("poisson", domain={"x": (0, 1)}, equations={"e": "atan(u) = 0"}, conditions={})
    basis = basis_for(problem, width=8)
    assembly = assembled(problem)
    phi = basis.derivatives(assembly.points["e"].x[0], [(0,)])[(0,)]
    far = torch.linalg.lstsq(phi, torch.full((len(phi), 1), 3.0, dtype=torch.float64)).solution.T  # u = 3: Newton leaps
    state = State(far, zero_state(problem, basis).parameters)
    loss = residual_norm(BasisSystem(assembly, basis).rows(state, matrix=False)) ** 2
    full = step_from(assembly, basis, state, leaves=True)
    assert full.length == 1.0 and full.loss > loss
    step = step_from(assembly, basis, state, corrections=0)
    assert 0 < step.length < 1 and step.loss < loss
    assert step_from(assembly, basis, state).loss < loss
    outcome = drive(LeastSquares(), assembly, Iterate(basis, step.state), Clock())
    assert outcome.best.loss < 1e-10


@names
def test_rows_in_a_stream_give_the_same_correction(arranged, monkeypatch):
    assembly, basis, _ = arranged
    state = random_state(assembly.problem, basis)
    dense = correction(assembly, basis, state)
    streams = []

    class Watched(newton_module.StreamingQR):
        def __init__(self, *arguments):
            streams.append(self)
            super().__init__(*arguments)

    monkeypatch.setattr(newton_module, "StreamingQR", Watched)
    columns = dense.x.numel()
    room = 1.05 * newton_module.TRIANGLES * 8 * columns**2 / 1e9  # for a triangle, not for all rows
    streamed = correction(assembly, basis, state, memory_gb=room)
    assert len(streams) == (3 * assembly.row_count > 5.5 * columns)
    torch.testing.assert_close(streamed.x, dense.x, rtol=1e-7, atol=1e-8 * float(dense.x.abs().max()))
    assert streamed.rank == dense.rank
    with pytest.raises(ResourceError, match=f"{columns} coefficients need .* GB.*width"):
        correction(assembly, basis, state, memory_gb=room / 2)


@pytest.mark.parametrize("name", ["inverse"])
def test_held_parameters_stay(arranged):
    assembly, basis, _ = arranged
    state = random_state(assembly.problem, basis)
    held = correction(assembly, basis, state, parameters=False)
    assert held.x.shape == (10,)
    free = correction(assembly, basis, state)
    assert free.residual_norm < held.residual_norm


BOUNDED = {
    "domain": {"x": (0, 1)},
    "equations": {"slope": "D(u, x) = kappa"},
    "conditions": {"ends": {"on": ["x = 0", "x = 1"], "equation": "u = x"}},
    "unknown_parameters": {"kappa": {"guess": 0.1, "bounds": [0, 0.2]}},
}


def test_a_bound_counts_from_the_first_solve_of_varpro_on():
    problem = compiled("poisson", **BOUNDED)
    basis, assembly = basis_for(problem, width=14), assembled(problem)
    first = VarPro().init(assembly, basis, zero_state(problem, basis))
    assert float(first.state.parameters) == 0.2
    held = drive(LeastSquares(), assembly, Iterate(basis, zero_state(problem, basis)), Clock()).best
    assert first.loss == pytest.approx(held.loss, rel=1e-9)


@pytest.mark.parametrize("kind", extensions.SOLVERS)
@pytest.mark.parametrize("slope", ["D(u, x) = kappa", "D(u, x) = kappa + 0.01*u**2"], ids=["linear", "nonlinear"])
def test_unknown_parameters_keep_to_their_bounds(kind, slope):
    problem = compiled("poisson", **BOUNDED | {"equations": {"slope": slope}})
    basis, assembly = basis_for(problem, width=14), assembled(problem)
    values = []
    solver = extensions.solver_class(kind)(steps=60)
    iterate = solver.init(assembly, basis, zero_state(problem, basis))
    while not solver.finished(iterate):
        values.append(float(iterate.state.parameters))
        iterate = solver.step(assembly, iterate)
    values.append(float(iterate.state.parameters))
    assert min(values) >= 0 and max(values) <= 0.2
    if kind not in ("gd", "varpro"):  # functions that varpro bends between the points fit any slope
        assert values[-1] > 0.19
    if kind == "least_squares":  # the coefficients are those for the parameter at its bound
        fixed = compiled(
            "poisson", **BOUNDED | {"unknown_parameters": None, "equations": {"slope": slope.replace("kappa", "0.2")}}
        )
        best = drive(LeastSquares(), assembled(fixed), Iterate(basis, zero_state(fixed, basis)), Clock()).best
        assert iterate.loss == pytest.approx(best.loss, rel=1e-3)


def test_a_small_step_that_leaves_what_it_foretold_is_the_last():
    problem = compiled("burgers")
    assembly, basis = assembled(problem), basis_for(problem, width=10)
    first = drive(LeastSquares(stagnation=1e-6), assembly, Iterate(basis, zero_state(problem, basis)), Clock()).best
    near = replace(first.state, coefficients=first.state.coefficients * (1.0 + 1e-4))
    again = drive(LeastSquares(), assembly, Iterate(basis, near), Clock())
    assert len(again.history) == 2 and again.best.loss == pytest.approx(first.loss, rel=1e-3)
    far = drive(LeastSquares(), assembly, Iterate(basis, random_state(problem, basis)), Clock())
    assert len(far.history) > 2


def test_an_iteration_that_ends_early_says_how_far_it_still_had_to_go():
    equations = {"bent": "exp(-u) = 0", "other": "u = -1"}  # no solution: corrections shrink by a factor
    problem = compiled("poisson", domain={"x": (0, 1)}, equations=equations, conditions={})
    space = first_space(problem)
    start = state_at(problem, torch.ones(1, 1, space.functions, dtype=torch.float64))
    system = make_system(problem, space, {}).scaled_at(start)
    end = gauss_newton(system, start, Iteration(1e-13, most=200, chord=0.0)).state.coefficients
    early = gauss_newton(system, start, Iteration(1e-13, most=5, chord=0.0))
    assert not early.converged and 0.1 < early.ratio < 1.0
    left = float((end - early.state.coefficients).norm() / end.norm())
    assert left < early.still_to_come(1e-13) < 2 * left / early.ratio  # the last correction is counted, too
