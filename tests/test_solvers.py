"""Every solver on every small problem: one contract. Gradients and Jacobians against finite differences."""

from __future__ import annotations

import math
from dataclasses import replace
from itertools import pairwise
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from small_problems import HAT, STATEMENTS, assembled, basis_for, compiled, random_state

from pinnsolve.assembly import Assembly, State, losses
from pinnsolve.defaults import Collocation
from pinnsolve.discretization import sample_problem, zero_state
from pinnsolve.errors import PinnsolveError, ResourceError
from pinnsolve.solvers import GD, LSGD, SOLVERS, Clock, Iterate, LeastSquares, Outcome, Solver, VarPro, drive
from pinnsolve.solvers import newton as newton_module
from pinnsolve.solvers.newton import correction, evaluate, newton_step
from pinnsolve.solvers.varpro import jacobian

solvers = pytest.mark.parametrize("kind", SOLVERS)
names = pytest.mark.parametrize("name", STATEMENTS)
STEPS = 12


def loss_of(assembly: Assembly, basis, state: State) -> float:
    return float(assembly.residual_vector(basis, state).square().sum())


def reduced(assembly: Assembly, basis, hidden=None) -> float:
    """The loss with the best coefficients, by numpy: of linear problems without unknown parameters."""
    zero = zero_state(assembly.problem, basis)
    blocks = list(assembly.blocks(basis, zero, hidden))
    A, r = torch.cat([b.A for b in blocks]).detach().numpy(), torch.cat([b.r for b in blocks]).detach().numpy()
    return float(np.square(A @ np.linalg.lstsq(A, -r)[0] + r).sum())


@pytest.fixture
def arranged(name, tmp_path):
    problem = compiled(name, tmp_path)
    basis = basis_for(problem, width=10)
    return assembled(problem), basis, zero_state(problem, basis)


# -- the contract -------------------------------------------------------------------------------------------


@names
@solvers
def test_the_contract(kind, arranged):
    assembly, basis, state = arranged
    hidden = {name: value.clone() for name, value in basis.hidden.items()}
    told = []
    solver = SOLVERS[kind](steps=STEPS)
    outcome = drive(solver, assembly, basis, state, Clock(), told.append)
    assert outcome.status == "finished" and kind in outcome.message
    assert list(outcome.history) == told
    assert [record["step"] for record in told] == list(range(len(told)))
    assert told[-1]["step"] <= STEPS and solver.name == kind
    seconds = [record["seconds"] for record in told]
    assert seconds == sorted(seconds) and seconds[0] > 0
    for record in told:
        assert record["phase"] == kind and record["steps"] == STEPS
        assert set(record["terms"]) == {t.name for t in assembly.problem.terms}
        assert record["loss"] == pytest.approx(math.fsum(record["terms"].values()), rel=1e-12)
    best = outcome.best
    assert best.loss == min(record["loss"] for record in told) <= told[0]["loss"]
    rounding = max(1e-8, 1e-16 * best.info.get("condition", 1.0))
    assert best.loss == pytest.approx(loss_of(assembly, best.basis, best.state), rel=rounding, abs=1e-18)
    by_term = losses(assembly.residual_parts(best.basis, best.state))
    assert dict(best.terms) == pytest.approx(by_term, rel=10 * rounding, abs=rounding * best.loss)
    # what was given is as it was
    assert all(torch.equal(basis.hidden[name], hidden[name]) for name in hidden)
    assert torch.equal(state.vector(), zero_state(assembly.problem, basis).vector())
    assert not any(t.requires_grad for t in (best.state.vector(), *best.basis.hidden.values()))


@names
@pytest.mark.parametrize("kind", ["lsgd", "varpro", "gd"])
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_solvers_that_move_the_hidden_parameters_get_further_than_their_start(kind, arranged, seed):
    assembly, _, _ = arranged
    basis = basis_for(assembly.problem, width=10, seed=seed)
    outcome = drive(SOLVERS[kind](steps=15), assembly, basis, zero_state(assembly.problem, basis), Clock())
    losses_found = [record["loss"] for record in outcome.history]
    assert outcome.best.loss < losses_found[0]
    if kind == "varpro":
        assert losses_found == sorted(losses_found, reverse=True)


@solvers
@pytest.mark.parametrize("name", ["burgers"])
def test_the_same_again(kind, arranged):
    assembly, basis, state = arranged
    first, again = (drive(SOLVERS[kind](steps=6), assembly, basis, state, Clock()) for _ in range(2))
    assert [r["loss"] for r in first.history] == [r["loss"] for r in again.history]
    assert torch.equal(first.best.state.vector(), again.best.state.vector())


class Interrupted:
    """A progress callback that presses Ctrl-C at a step."""

    def __init__(self, step: int):
        self.step, self.losses = step, []

    def __call__(self, record: dict) -> None:
        self.losses.append(record["loss"])
        if record["step"] == self.step:
            raise KeyboardInterrupt


@solvers
@pytest.mark.parametrize("step", [0, 1, 4])
@pytest.mark.parametrize("name", ["system"])
def test_an_interrupt_keeps_the_best_answer(kind, step, arranged):
    assembly, basis, state = arranged
    pressed = Interrupted(step)
    outcome = drive(SOLVERS[kind](steps=STEPS), assembly, basis, state, Clock(), pressed)
    assert outcome.status == "interrupted" and "kept" in outcome.message
    assert len(outcome.history) == len(pressed.losses) == step + 1
    assert outcome.best.loss == min(pressed.losses)
    assert loss_of(assembly, outcome.best.basis, outcome.best.state) == pytest.approx(outcome.best.loss, rel=1e-8)


@solvers
@pytest.mark.parametrize("name", ["system"])
def test_the_time_limit_stops(kind, arranged):
    assembly, basis, state = arranged
    clock = Clock(limit=3600.0)

    def hours_pass(record: dict) -> None:
        if record["step"] == 3:
            clock.start -= 3600.0

    outcome = drive(SOLVERS[kind](steps=STEPS), assembly, basis, state, clock, hours_pass)
    assert outcome.status == "time_limit"
    assert outcome.history[-1]["step"] == 3
    assert "3600 s" in outcome.message
    assert outcome.best.loss == min(r["loss"] for r in outcome.history)


def test_a_clock_without_limit_never_expires():
    assert not Clock().expired() and not Clock(limit=60.0).expired() and Clock(limit=0.0).expired()


LOST = {
    "a residual": {"good": "D(u, x) = 0", "bad": "u = log(x - 3)"},
    "a coefficient": {"good": "D(u, x) = 0", "bad": "log(x - 3)*u = 1"},
    "a nonlinear residual": {"good": "D(u, x) = 1", "bad": "D(u, x) = log(u)"},
}


@solvers
@pytest.mark.parametrize("equations", LOST.values(), ids=LOST)
def test_what_is_not_finite_is_blamed_by_name(kind, equations):
    problem = compiled("poisson", equations=equations, conditions={})
    basis = basis_for(problem)
    outcome = drive(SOLVERS[kind](steps=STEPS), assembled(problem), basis, zero_state(problem, basis), Clock())
    assert outcome.status == "diverged"
    assert "term `bad` is not finite" in outcome.message
    assert "learning_rate" in outcome.message and "logarithm" in outcome.message
    assert outcome.best.state.vector().isfinite().all()


@pytest.mark.parametrize("kind", ["lsgd", "gd"])
@pytest.mark.parametrize("name", ["burgers"])
def test_steps_that_are_too_long_end_with_the_best_so_far(kind, arranged):
    assembly, basis, state = arranged
    outcome = drive(SOLVERS[kind](steps=STEPS, learning_rate=1e300), assembly, basis, state, Clock())
    assert outcome.status == "diverged" and "smaller optimizer.learning_rate" in outcome.message
    assert outcome.best.loss == outcome.history[0]["loss"] and math.isfinite(outcome.best.loss)
    assert loss_of(assembly, outcome.best.basis, outcome.best.state) == pytest.approx(outcome.best.loss, rel=1e-8)
    assert not math.isfinite(outcome.history[-1]["loss"])


class Scripted(Solver):
    """Losses as written, to see what the loop makes of them."""

    name, steps = "scripted", 99

    def __init__(self, found):
        self.found = found

    def init(self, assembly, basis, state):
        return Iterate(basis, state, self.found[0], {"a": self.found[0]}, memory="mine")

    def step(self, assembly, iterate):
        loss = self.found[iterate.step + 1]
        return replace(iterate, loss=loss, terms={"a": loss}, step=iterate.step + 1)

    def finished(self, iterate):
        return iterate.step == len(self.found) - 1


@pytest.mark.parametrize("name", ["poisson"])
def test_the_loop_keeps_the_best_iterate_not_the_last(arranged):
    outcome = drive(Scripted([3.0, 1.0, 2.0]), *arranged, Clock(), phase="a phase")
    assert (outcome.best.step, outcome.best.loss, outcome.best.memory) == (1, 1.0, None)
    assert [r["phase"] for r in outcome.history] == ["a phase"] * 3
    lost = drive(Scripted([3.0, math.nan, 0.0]), *arranged, Clock())
    assert isinstance(lost, Outcome) and lost.status == "diverged" and lost.best.loss == 3.0
    assert "term `a`" in lost.message and "step 1" in lost.message


# -- least squares and Newton -------------------------------------------------------------------------------


@names
def test_a_linear_problem_takes_one_solve(name, arranged):
    assembly, basis, state = arranged
    outcome = drive(LeastSquares(), assembly, basis, state, Clock())
    if assembly.problem.linear:
        assert [r["step"] for r in outcome.history] == [0, 1]
        assert outcome.best.loss == pytest.approx(reduced(assembly, basis), rel=1e-10)
        assert outcome.history[1]["rank"] == outcome.history[1]["columns"] == 10
        assert outcome.history[1]["condition"] > 1
    else:
        assert len(outcome.history) > 2


@pytest.mark.parametrize("name", ["poisson", "periodic"])
def test_one_solve_leads_to_the_same_from_any_state(arranged):
    assembly, basis, _ = arranged
    one, other = (
        drive(LeastSquares(), assembly, basis, random_state(assembly.problem, basis, seed, 100.0), Clock())
        for seed in (1, 2)
    )
    torch.testing.assert_close(one.best.state.vector(), other.best.state.vector(), rtol=1e-9, atol=1e-9)


def test_what_the_rows_do_not_see_is_left_behind():
    problem = compiled("poisson", conditions={})  # any harmonic function may be added
    basis = basis_for(problem, width=10)
    twice = basis.with_hidden({name: torch.cat([v[:5], v[:5]]) for name, v in basis.hidden.items()})
    assembly = assembled(problem)
    state = random_state(problem, twice, size=1e6)
    result = newton_step(assembly, twice, state, math.inf)
    assert result.solved.rank == 5
    torch.testing.assert_close(result.state.coefficients[:, :5], result.state.coefficients[:, 5:], rtol=1e-6, atol=1e-6)


ODE = {"domain": {"x": (0, 1.2)}, "equations": {"ode": "D(u, x) = 1 + u**2"}, "unknowns": "u"}


def nonlinear_ode(width: int = 24, interior: int = 80) -> tuple[Assembly, object]:
    """u' = 1 + u^2, u(0) = 0, with tan(x) the solution."""
    start = {"start": {"on": "x = 0", "equation": "u = 0"}}
    problem = compiled("poisson", **ODE, conditions=start)
    return assembled(problem, interior, sampling="chebyshev"), basis_for(problem, width, activation="sin", scale=3.0)


def test_newton_converges_quadratically():
    assembly, basis = nonlinear_ode()
    state, loss, changes = zero_state(assembly.problem, basis), math.inf, []
    for _ in range(9):
        step = newton_step(assembly, basis, state, loss)
        x = torch.linspace(0, 1.2, 50, dtype=torch.float64)[:, None]
        phi = basis.derivatives(x, [(0,)])[(0,)]
        changes.append(float((phi @ (step.state.coefficients - state.coefficients)[0]).abs().max()))
        state, loss = step.state, step.loss
        if step.length == 0:
            break
    error = phi @ state.coefficients[0] - torch.tan(x[:, 0])
    assert float(error.abs().max()) < 1e-7
    middle = [c for c in changes if c > 1e-8]
    assert len(middle) >= 4 and middle[-1] < 1e-5
    for before, after in pairwise(middle):
        assert after < 2 * before**2


def test_the_solver_itself_stops_when_newton_has_converged():
    assembly, basis = nonlinear_ode()
    outcome = drive(LeastSquares(), assembly, basis, zero_state(assembly.problem, basis), Clock())
    assert outcome.best.loss < 1e-12
    assert len(outcome.history) < 12


def test_a_step_that_would_raise_the_loss_is_shortened():
    problem = compiled("poisson", domain={"x": (0, 1)}, equations={"e": "atan(u) = 0"}, conditions={})
    basis = basis_for(problem, width=8)
    assembly = assembled(problem)
    phi = basis.derivatives(assembly.points["e"].x[0], [(0,)])[(0,)]
    far = torch.linalg.lstsq(phi, torch.full((len(phi), 1), 3.0, dtype=torch.float64)).solution.T  # u = 3: Newton leaps
    state = State(far, zero_state(problem, basis).parameters)
    loss, _ = evaluate(assembly, basis, state)
    full = state.moved(correction(assembly, basis, state).x)
    assert evaluate(assembly, basis, full)[0] > loss
    step = newton_step(assembly, basis, state, loss)
    assert 0 < step.length < 1 and step.loss < loss
    assert newton_step(assembly, basis, state, math.inf).length == 1.0
    outcome = drive(LeastSquares(), assembly, basis, step.state, Clock())
    assert outcome.best.loss < 1e-10


@names
def test_rows_in_a_stream_give_the_same_correction(arranged, monkeypatch):
    assembly, basis, _ = arranged
    state = random_state(assembly.problem, basis)
    dense = correction(assembly, basis, state)
    streams = []

    class Watched(newton_module.StreamingQR):
        def __init__(self, columns):
            streams.append(self)
            super().__init__(columns)

    monkeypatch.setattr(newton_module, "StreamingQR", Watched)
    columns = dense.x.numel()
    room = 5.5 * 8 * columns**2 / 1e9  # for a triangle, not for all rows
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


@pytest.mark.parametrize("kind", [k for k in SOLVERS if k != "varpro"])
@pytest.mark.parametrize("slope", ["D(u, x) = kappa", "D(u, x) = kappa + 0.01*u**2"], ids=["linear", "nonlinear"])
def test_unknown_parameters_keep_to_their_bounds(kind, slope):
    problem = compiled("poisson", **BOUNDED | {"equations": {"slope": slope}})
    basis, assembly = basis_for(problem, width=14), assembled(problem)
    values = []
    solver = SOLVERS[kind](steps=60)
    iterate = solver.init(assembly, basis, zero_state(problem, basis))
    while not solver.finished(iterate):
        values.append(float(iterate.state.parameters))
        iterate = solver.step(assembly, iterate)
    values.append(float(iterate.state.parameters))
    assert min(values) >= 0 and max(values) <= 0.2
    if kind != "gd":
        assert values[-1] > 0.19
    if kind == "least_squares":  # the coefficients are those for the parameter at its bound
        fixed = compiled(
            "poisson", **BOUNDED | {"unknown_parameters": None, "equations": {"slope": slope.replace("kappa", "0.2")}}
        )
        best = drive(LeastSquares(), assembled(fixed), basis, zero_state(fixed, basis), Clock()).best
        assert iterate.loss == pytest.approx(best.loss, rel=1e-3)


# -- LSGD ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["poisson", "neumann", "periodic"])
def test_the_gradient_of_lsgd_is_that_of_the_reduced_functional(arranged):
    assembly, basis, state = arranged
    iterate = LSGD().init(assembly, basis, state)
    assert iterate.loss == pytest.approx(reduced(assembly, basis), rel=1e-10)
    for name, value in basis.hidden.items():
        direction = torch.randn(value.shape, generator=torch.Generator().manual_seed(5), dtype=torch.float64)
        there, back = (reduced(assembly, basis, {**basis.hidden, name: value + h * direction}) for h in (1e-5, -1e-5))
        expected = (there - back) / 2e-5
        found = float((iterate.memory.hidden[name].grad * direction).sum())
        assert found == pytest.approx(expected, rel=1e-5, abs=1e-8)


def settled(assembly: Assembly, basis, state: State) -> float:
    """The loss when Newton has nothing left to gain."""
    loss = loss_of(assembly, basis, state)
    for _ in range(30):
        step = newton_step(assembly, basis, state, loss)
        if step.length == 0:
            break
        state, loss = step.state, step.loss
    return loss


@pytest.mark.parametrize("name", ["system", "burgers"])
@pytest.mark.parametrize("steps", [0, 15, 40])
def test_it_stays_so_along_the_way_of_a_nonlinear_problem(arranged, steps):
    assembly, _, state = arranged
    basis, solver = basis_for(assembly.problem, width=10, seed=1), LSGD(learning_rate=1e-3)
    iterate = solver.init(assembly, basis, state)
    for _ in range(steps):
        iterate = solver.step(assembly, iterate)
    gradient = {name: leaf.grad for name, leaf in iterate.memory.hidden.items()}
    length = math.sqrt(sum(float(g.square().sum()) for g in gradient.values()))
    there, back = (
        settled(
            assembly,
            iterate.basis.with_hidden({n: v + h / length * gradient[n] for n, v in iterate.basis.hidden.items()}),
            iterate.state,
        )
        for h in (1e-4, -1e-4)
    )
    assert length == pytest.approx((there - back) / 2e-4, rel=0.1)


@pytest.mark.parametrize("name", ["poisson"])
def test_a_step_of_lsgd_is_a_gradient_step_and_a_solve(arranged):
    assembly, basis, state = arranged
    solver = LSGD(optimizer="sgd", learning_rate=1e-4)
    first = solver.init(assembly, basis, state)
    moved = {name: value - 1e-4 * first.memory.hidden[name].grad for name, value in basis.hidden.items()}
    second = solver.step(assembly, first)
    for name, value in moved.items():
        torch.testing.assert_close(second.basis.hidden[name], value)
    assert second.loss == pytest.approx(reduced(assembly, basis.with_hidden(moved)), rel=1e-10)
    assert second.loss < first.loss


def advection() -> tuple[Assembly, object]:
    """The hat of the talk: ReLU, W = 32, a 33 x 33 grid."""
    statement = {
        "domain": {"t": (0, 1), "x": (0, 1)},
        "definitions": HAT,
        "equations": {"transport": "D(u, t) + D(u, x) = 0"},
        "conditions": {
            "start": {"on": "t = 0", "equation": "u = hat(x)"},
            "inflow": {"on": "x = 0", "equation": "u = 0"},
        },
    }
    problem = compiled("poisson", **statement)
    basis = basis_for(problem, 32, seed=0, activation="relu", scale=1.0)
    points = sample_problem(problem, Collocation(33 * 33, 33, "grid"), 0, basis.lower)
    return Assembly(problem, points, {t.name: 1.0 for t in problem.terms}), basis


def hat_error(outcome: Outcome) -> float:
    t, x = torch.rand(2, 2000, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    true = torch.clamp(1 - (x - t - 0.25).abs() / 0.15, min=0)
    phi = outcome.best.basis.derivatives(torch.stack([t, x], dim=1), [(0, 0)])[(0, 0)]
    return float((phi @ outcome.best.state.coefficients[0] - true).norm() / true.norm())


def test_lsgd_finds_the_kinks_of_the_hat_and_gd_does_not():
    assembly, basis = advection()
    state = zero_state(assembly.problem, basis)
    outcome = drive(LSGD(steps=500, learning_rate=0.005), assembly, basis, state, Clock())
    assert hat_error(outcome) <= 1e-8
    assert hat_error(drive(LeastSquares(), assembly, basis, state, Clock())) > 1e-2
    assert hat_error(drive(GD(steps=100, learning_rate=0.005), assembly, basis, state, Clock())) > 0.1


def test_a_basis_without_hidden_parameters_is_refused_in_words():
    with pytest.raises(PinnsolveError, match="no hidden parameters to move; use method: least_squares"):
        LSGD().init(None, SimpleNamespace(hidden={}), None)


# -- variable projection ------------------------------------------------------------------------------------


@names
@pytest.mark.parametrize("depth", [1, 2])
def test_the_jacobian_is_that_of_finite_differences(arranged, depth):
    assembly, _, _ = arranged
    basis = basis_for(assembly.problem, width=4, depth=depth)
    state = random_state(assembly.problem, basis)
    found = torch.cat([jacobian(term, basis, state) for term in assembly.terms])
    columns = []
    for name in sorted(basis.hidden):
        value = basis.hidden[name]
        for i in range(value.numel()):
            unit = torch.zeros(value.numel(), dtype=torch.float64)
            unit[i] = 1e-6
            there, back = (
                assembly.residual_vector(basis, state, {**basis.hidden, name: value + s * unit.reshape(value.shape)})
                for s in (1, -1)
            )
            columns.append((there - back) / 2e-6)
    expected = torch.stack(columns, dim=1)
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-7 * float(expected.abs().max()))


@pytest.mark.parametrize("name", ["poisson", "periodic", "burgers"])
def test_variable_projection_beats_gradient_descent_step_for_step(arranged):
    assembly, basis, state = arranged
    found = {kind: drive(SOLVERS[kind](steps=STEPS), assembly, basis, state, Clock()).best.loss for kind in SOLVERS}
    assert found["varpro"] < 0.7 * found["least_squares"]
    assert found["varpro"] < found["lsgd"] < found["gd"]


@pytest.mark.parametrize("name", ["poisson"])
def test_varpro_solves_for_the_best_coefficients(arranged):
    assembly, basis, state = arranged
    best = drive(VarPro(steps=5), assembly, basis, state, Clock()).best
    assert best.loss == pytest.approx(reduced(assembly, best.basis), rel=1e-8)


def test_varpro_finds_functions_of_its_own_kind():
    """With the right projection the residual vanishes at a rate that grows; without it, in thousands of steps."""
    target = "u = 1.5*tanh(2*x - 1) - tanh(7*x - 3)"
    problem = compiled("poisson", domain={"x": (0, 1)}, equations={"e": target}, conditions={})
    near = {"layer0.slopes": [[2.5], [6.0]], "layer0.offsets": [-1.2, -2.4]}
    basis = basis_for(problem, 2).with_hidden({n: torch.tensor(v, dtype=torch.float64) for n, v in near.items()})
    outcome = drive(VarPro(steps=20), assembled(problem, 60), basis, zero_state(problem, basis), Clock())
    assert outcome.best.loss < 1e-20
    slopes = sorted(outcome.best.basis.hidden["layer0.slopes"].flatten().tolist())
    assert slopes == pytest.approx([2, 7], rel=1e-6)
