"""Every solver on every small problem: one contract. Gradients and Jacobians against finite differences."""

from __future__ import annotations

import math
from dataclasses import replace
from types import SimpleNamespace

import pytest
import torch
from small_problems import HAT, STATEMENTS, assembled, basis_for, compiled, random_state, reduced

import pinnsolve as ps
from pinnsolve import extensions
from pinnsolve.assembly.basis_system import BasisSystem
from pinnsolve.assembly.collocation import sample_problem, zero_state
from pinnsolve.assembly.row_source import State
from pinnsolve.assembly.rows import Assembly, losses
from pinnsolve.bases.base import Basis
from pinnsolve.defaults import Collocation
from pinnsolve.errors import PinnsolveError
from pinnsolve.solvers import GD, LSGD, Clock, Iterate, LeastSquares, Outcome, Solver, VarPro, drive
from pinnsolve.solvers.gauss_newton import gauss_newton
from pinnsolve.solvers.least_squares import newton
from pinnsolve.solvers.varpro import jacobian

SOLVERS = {method: extensions.solver_class(method) for method in extensions.SOLVERS}
solvers = pytest.mark.parametrize("kind", SOLVERS)
names = pytest.mark.parametrize("name", STATEMENTS)
STEPS = 12


def loss_of(assembly: Assembly, basis, state: State) -> float:
    return float(assembly.residual_vector(basis, state).square().sum())


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
    outcome = drive(solver, assembly, Iterate(basis, state), Clock(), told.append)
    assert outcome.status == "finished" and kind in outcome.message
    assert list(outcome.history) == told
    assert [record["step"] for record in told] == list(range(len(told)))
    assert told[-1]["step"] <= STEPS and solver.name == kind
    seconds = [record["seconds"] for record in told]
    assert seconds == sorted(seconds) and seconds[0] > 0
    for record in told:
        assert record["phase"] == kind and record["steps"] == solver.most_steps(assembly)
        assert set(record["terms"]) == {t.name for t in assembly.problem.terms}
        assert record["loss"] == pytest.approx(math.fsum(record["terms"].values()), rel=1e-12)
    best = outcome.best
    assert best.loss == min(record["loss"] for record in told) <= told[0]["loss"]
    rounding = max(1e-8, 2e-15 * best.info.get("condition", 1.0))
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
    outcome = drive(SOLVERS[kind](steps=15), assembly, Iterate(basis, zero_state(assembly.problem, basis)), Clock())
    losses_found = [record["loss"] for record in outcome.history]
    assert outcome.best.loss < losses_found[0]
    if kind == "varpro":
        assert losses_found == sorted(losses_found, reverse=True)


@solvers
@pytest.mark.parametrize("name", ["burgers"])
def test_the_same_again(kind, arranged):
    assembly, basis, state = arranged
    first, again = (drive(SOLVERS[kind](steps=6), assembly, Iterate(basis, state), Clock()) for _ in range(2))
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
    outcome = drive(SOLVERS[kind](steps=STEPS), assembly, Iterate(basis, state), Clock(), pressed)
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

    outcome = drive(SOLVERS[kind](steps=STEPS), assembly, Iterate(basis, state), clock, hours_pass)
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
    outcome = drive(SOLVERS[kind](steps=STEPS), assembled(problem), Iterate(basis, zero_state(problem, basis)), Clock())
    assert outcome.status == "diverged"
    assert "term `bad` is not finite" in outcome.message
    assert "learning_rate" in outcome.message and "logarithm" in outcome.message
    assert outcome.best.state.vector().isfinite().all()


@pytest.mark.parametrize("kind", ["lsgd", "gd"])
@pytest.mark.parametrize("name", ["burgers"])
def test_steps_that_are_too_long_end_with_the_best_so_far(kind, arranged):
    assembly, basis, state = arranged
    outcome = drive(SOLVERS[kind](steps=STEPS, learning_rate=1e300), assembly, Iterate(basis, state), Clock())
    assert outcome.status == "diverged" and "smaller optimizer.learning_rate" in outcome.message
    assert outcome.best.loss == outcome.history[0]["loss"] and math.isfinite(outcome.best.loss)
    assert loss_of(assembly, outcome.best.basis, outcome.best.state) == pytest.approx(outcome.best.loss, rel=1e-8)
    assert not math.isfinite(outcome.history[-1]["loss"])


class Scripted(Solver):
    """Losses as written, to see what the loop makes of them."""

    name, steps = "scripted", 99

    def __init__(self, found):
        self.found = found

    @classmethod
    def from_settings(cls, settings):
        raise NotImplementedError("made by tests")

    def init(self, assembly, basis, state):
        return Iterate(basis, state, self.found[0], {"a": self.found[0]}, memory="mine")

    def step(self, assembly, iterate):
        loss = self.found[iterate.step + 1]
        return replace(iterate, loss=loss, terms={"a": loss}, step=iterate.step + 1)

    def finished(self, iterate):
        return iterate.step == len(self.found) - 1


@pytest.mark.parametrize("name", ["poisson"])
def test_the_loop_keeps_the_best_iterate_not_the_last(arranged):
    assembly, *rest = arranged
    start = Iterate(*rest)
    outcome = drive(Scripted([3.0, 1.0, 2.0]), assembly, start, Clock(), phase="a phase")
    assert (outcome.best.step, outcome.best.loss, outcome.best.memory) == (1, 1.0, None)
    assert [r["phase"] for r in outcome.history] == ["a phase"] * 3
    lost = drive(Scripted([3.0, math.nan, 0.0]), assembly, start, Clock())
    assert isinstance(lost, Outcome) and lost.status == "diverged" and lost.best.loss == 3.0
    assert "term `a`" in lost.message and "step 1" in lost.message


# -- from outside -------------------------------------------------------------------------------------------

LINE = {
    "name": "line",
    "domain": ps.Box(x=(0, 1)),
    "unknowns": "u",
    "equations": {"e": "D(u, x, x) = -u"},
    "conditions": {"ends": ps.Condition(on="boundary", equation="u = cos(x)")},
}


class Searching(LeastSquares):
    """A solver as one from outside might be."""

    @classmethod
    def from_settings(cls, settings):
        return cls(steps=settings.optimizer.steps, name="searching")


@pytest.fixture
def searching(monkeypatch):
    monkeypatch.setattr(extensions, "SOLVERS", dict(extensions.SOLVERS))
    ps.register_solver("searching", Searching)


def test_a_solver_from_outside_is_a_method(searching):
    problem = ps.Problem(**LINE, solve={"method": "searching", "basis": {"width": 40}, "optimizer": {"steps": 7}})
    solution = ps.solve(problem)
    assert solution.result["method"] == "searching" and solution.result["status"] == "converged"
    assert {record["steps"] for record in solution.history} == {1}  # a linear problem
    assert "method: searching" in problem.spec.to_yaml()


def test_a_method_nobody_registered_is_refused(searching):
    with pytest.raises(ps.ProblemError, match=r"(?s)`lsg` is not one of auto, .*, searching.*did you mean `lsgd`"):
        ps.Problem(**LINE, solve={"method": "lsg"})
    with pytest.raises(PinnsolveError, match="unknown method 'lsg'"):
        extensions.solver_class("lsg")
    with pytest.raises(PinnsolveError, match="`auto` picks"):
        ps.register_solver("auto", Searching)


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
    system = BasisSystem(assembly, basis)
    return min(
        loss_of(assembly, basis, state),
        gauss_newton(system, state, newton(system, 30, 0.0, leaves=False), system.bounds).loss,
    )


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
    outcome = drive(LSGD(steps=500, learning_rate=0.005), assembly, Iterate(basis, state), Clock())
    assert hat_error(outcome) <= 1e-8
    assert hat_error(drive(LeastSquares(), assembly, Iterate(basis, state), Clock())) > 1e-2
    assert hat_error(drive(GD(steps=100, learning_rate=0.005), assembly, Iterate(basis, state), Clock())) > 0.1


def test_a_basis_without_hidden_parameters_is_refused_in_words():
    with pytest.raises(PinnsolveError, match="no hidden parameters to move; use method: least_squares"):
        LSGD().init(None, SimpleNamespace(hidden={}), None)


# -- gradient descent ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["burgers"])
@pytest.mark.parametrize("optimizer", ["adam", "sgd", "lbfgs"])
def test_every_record_of_gradient_descent_is_a_step_further(optimizer, arranged):
    assembly, basis, state = arranged
    rate = 1.0 if optimizer == "lbfgs" else 1e-5
    outcome = drive(GD(steps=4, optimizer=optimizer, learning_rate=rate), assembly, Iterate(basis, state), Clock())
    found = [record["loss"] for record in outcome.history]
    assert len(found) == 5 and found == sorted(set(found), reverse=True)


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
    start = Iterate(basis, state)
    found = {kind: drive(SOLVERS[kind](steps=STEPS), assembly, start, Clock()).best.loss for kind in SOLVERS}
    assert found["varpro"] < 0.7 * found["least_squares"]
    assert found["varpro"] < found["lsgd"] < found["gd"]


class Still(Basis):
    """The functions of another basis, of which none moves."""

    kind = "still"

    def __init__(self, inner: Basis):
        self.inner, self.lower, self.upper, self.hidden, self.width = inner, inner.lower, inner.upper, {}, inner.width

    def derivatives(self, points, alphas, hidden=None):
        return self.inner.derivatives(points, alphas)

    def settings(self):
        return {"kind": self.kind}

    def describe(self):
        return self.kind

    create = restore = None


@names
def test_varpro_on_functions_that_do_not_move_is_least_squares(arranged):
    assembly, basis, state = arranged
    still = Still(basis)
    outcome = drive(VarPro(), assembly, Iterate(still, state), Clock())
    expected = drive(LeastSquares(), assembly, Iterate(basis, state), Clock()).best.loss
    assert outcome.status == "finished" and outcome.best.basis is still
    assert outcome.best.loss <= expected * (1 + 1e-6)
    assert len(outcome.history) == 2 or not assembly.problem.linear


@pytest.mark.parametrize("name", ["poisson"])
def test_varpro_solves_for_the_best_coefficients(arranged):
    assembly, basis, state = arranged
    best = drive(VarPro(steps=5), assembly, Iterate(basis, state), Clock()).best
    assert best.loss == pytest.approx(reduced(assembly, best.basis), rel=1e-8)


def test_varpro_finds_functions_of_its_own_kind():
    """With the right projection the residual vanishes at a rate that grows; without it, in thousands of steps."""
    target = "u = 1.5*tanh(2*x - 1) - tanh(7*x - 3)"
    problem = compiled("poisson", domain={"x": (0, 1)}, equations={"e": target}, conditions={})
    near = {"layer0.slopes": [[2.5], [6.0]], "layer0.offsets": [-1.2, -2.4]}
    basis = basis_for(problem, 2).with_hidden({n: torch.tensor(v, dtype=torch.float64) for n, v in near.items()})
    outcome = drive(VarPro(steps=20), assembled(problem, 60), Iterate(basis, zero_state(problem, basis)), Clock())
    assert outcome.best.loss < 1e-20
    slopes = sorted(outcome.best.basis.hidden["layer0.slopes"].flatten().tolist())
    assert slopes == pytest.approx([2, 7], rel=1e-6)
