"""Inverse problems on cells: parameters, fields, uncertainty, and what is refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

import pinnsolve as ps
from pinnsolve.assembly.linear_system import Bounds
from pinnsolve.assembly.measurements import Measurements
from pinnsolve.assembly.regularization import derivatives_of_order
from pinnsolve.assembly.row_source import State
from pinnsolve.assembly.schur_complement import adjoint, applied
from pinnsolve.compiler.compiler import compile_problem
from pinnsolve.errors import ProblemError
from pinnsolve.inverse.statement import InverseProblem

DECAY = {"equations": {"decay": "D(u, t) = -rate*u"}, "conditions": None, "unknowns": "u"}


def written(folder: Path, **columns) -> Path:
    table = np.column_stack(list(columns.values()))
    np.savetxt(folder / "data.csv", table, delimiter=",", header=",".join(columns), comments="", fmt="%.17g")
    return folder


def decay(folder: Path, **changes) -> ps.Problem:
    """u' = -rate u on [0, 2], from readings of u."""
    statement = {
        "name": "decay",
        "domain": ps.Box(t=(0, 2)),
        **DECAY,
        "unknown_parameters": {"rate": {"guess": 1, "bounds": [0, 5]}},
        "data": {"readings": ps.Data(file="data.csv", equation="u = m")},
        "folder": folder,
    }
    return ps.Problem(**{**statement, **changes})


def readings(rate=1.7, noise=0.0, count=60, seed=0) -> dict:
    t = np.linspace(0, 2, count)
    return {"t": t, "m": 2.0 * np.exp(-rate * t) + noise * np.random.default_rng(seed).standard_normal(count)}


def test_exact_data_give_exact_parameters(tmp_path):
    result = ps.solve(decay(written(tmp_path, **readings()))).result
    assert result["status"] == "converged"
    assert result["parameters"]["rate"]["value"] == pytest.approx(1.7, rel=1e-6)
    assert result["basis"].startswith("pou_grid")


def test_standard_errors_are_those_of_the_classical_fit(tmp_path):
    """Nonlinear least squares of a exp(-rate t): the same estimate, the same standard error."""
    data = readings(noise=0.05)
    t, m = data["t"], data["m"]
    theta = np.array([2.0, 1.7])
    for _ in range(20):
        f = theta[0] * np.exp(-theta[1] * t)
        J = np.stack([f / theta[0], -t * f], axis=1)
        theta = theta + np.linalg.lstsq(J, m - f, rcond=None)[0]
    sigma = np.sqrt(((m - theta[0] * np.exp(-theta[1] * t)) ** 2).sum() / (len(t) - 2))
    error = sigma * np.sqrt(np.linalg.inv(J.T @ J)[1, 1])
    found = ps.solve(decay(written(tmp_path, **data)), tolerance=1e-3)
    rate = found.parameters["rate"]
    assert abs(rate["value"] - theta[1]) < 0.05 * error
    assert rate["standard_error"] == pytest.approx(error, rel=0.1)
    assert found.result["noise"]["readings"]["estimated"] == pytest.approx(sigma, rel=0.05)
    at_start = theta[0] + 0 * found(t=0.0)
    assert abs(found(t=0.0) - at_start) < 0.05 * sigma
    deviation = sigma * np.sqrt(np.linalg.inv(J.T @ J)[0, 0])
    assert found.standard_deviation("u")(t=0.0) == pytest.approx(deviation, rel=0.6)  # from a few draws


def test_deviations_are_saved(tmp_path):
    found = ps.solve(decay(written(tmp_path, **readings(noise=0.05))), tolerance=1e-2)
    again = ps.load_solution(found.save(tmp_path / "run"))
    t = np.linspace(0, 2, 7)
    np.testing.assert_array_equal(again.standard_deviation("u")(t=t), found.standard_deviation("u")(t=t))
    forward = ps.solve(ps.load("logistic"), tolerance=1e-3)
    with pytest.raises(ps.SolutionError, match="does not rest on measured data"):
        forward.standard_deviation("u")


def test_bounds_hold_and_are_reported(tmp_path):
    bounded = {"rate": {"guess": 1, "bounds": [0, 1.5]}}
    result = ps.solve(decay(written(tmp_path, **readings()), unknown_parameters=bounded), tolerance=1e-2).result
    assert result["parameters"]["rate"]["value"] == 1.5
    assert any("ended at its bound" in text for text in result["warnings"])


def test_combinations_that_data_do_not_determine_are_named(tmp_path):
    changes = {
        "equations": {"decay": "D(u, t) = -(p + q)*u"},
        "unknown_parameters": {"p": {"guess": 1}, "q": {"guess": 0.5}},
    }
    result = ps.solve(decay(written(tmp_path, **readings(noise=0.02)), **changes), tolerance=1e-2).result
    assert result["parameters"]["p"]["value"] + result["parameters"]["q"]["value"] == pytest.approx(1.7, rel=0.05)
    assert any("p" in text and "q" in text and "hardly determine" in text for text in result["warnings"])


def test_outliers_count_less_with_a_robust_loss(tmp_path):
    data = readings(noise=0.01)
    data["m"][::10] += 1.0
    folder = written(tmp_path, **data)
    errors = {}
    for loss in ("squares", "huber"):
        terms = {"readings": ps.Data(file="data.csv", equation="u = m", noise=0.01, loss=loss)}
        errors[loss] = abs(ps.solve(decay(folder, data=terms), tolerance=1e-2).parameters["rate"]["value"] - 1.7)
    assert errors["huber"] < 0.2 * errors["squares"]


def test_a_derivative_is_observed(tmp_path):
    data = readings()
    terms = {"slopes": ps.Data(file="data.csv", equation="D(u, t) = m")}
    start = {"start": ps.Condition(on="t = 0", equation="u = 2")}
    folder = written(tmp_path, t=data["t"], m=-1.7 * data["m"])
    assert ps.solve(decay(folder, data=terms, conditions=start)).parameters["rate"]["value"] == pytest.approx(
        1.7, rel=1e-5
    )


def test_a_field_is_found(tmp_path):
    """-(a u')' = f with a = 1 + x: u alone, and a at one end, determine a."""
    x = np.linspace(0, 1, 80)
    problem = ps.Problem(
        name="field",
        domain=ps.Box(x=(0, 1)),
        unknowns=["u", "a"],
        equations={"flux": "-D(a*D(u, x), x) = pi**2*(1 + x)*sin(pi*x) - pi*cos(pi*x)"},
        conditions={"end": ps.Condition(on="x = 0", equation="a = 1")},
        data={"u": ps.Data(file="data.csv", equation="u = m")},
        regularization={"a": {"seminorm": 2, "weight": "gcv"}},
        exact={"u": "sin(pi*x)", "a": "1 + x"},
        folder=written(tmp_path, x=x, m=np.sin(np.pi * x) + 1e-4 * np.random.default_rng(0).standard_normal(80)),
    )
    result = ps.solve(problem, tolerance=1e-2).result
    assert result["relative_l2_error"]["a"] < 2e-2
    assert result["regularization"]["a"]["weight"] > 0


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"regularization": {"v": "auto"}}, "`v` is not an unknown"),
        ({"regularization": {"u": "lots"}}, "or auto or gcv or discrepancy is expected, not `lots`"),
        ({"regularization": {"u": {"seminorm": 9}}}, "beyond order 4"),
        ({"data": None, "regularization": {"u": "auto"}}, "regularization is for unknowns that data determine"),
    ],
)
def test_regularization_that_makes_no_sense_is_refused(tmp_path, changes, words):
    folder = written(tmp_path, **readings())
    with pytest.raises(ProblemError) as caught:
        decay(folder, unknown_parameters=None, equations={"decay": "D(u, t) = -u"}, **changes)
    assert words in str(caught.value)


def test_bounds_by_an_active_set():
    """min (d - 3)^2 + (e - 3)^2 + (d + e - 6)^2 / 2 with d at most 1: e follows."""
    S = torch.tensor([[3.0, 1.0], [1.0, 3.0]], dtype=torch.float64)
    gradient = -S @ torch.tensor([3.0, 3.0], dtype=torch.float64)
    zero = torch.zeros(2, dtype=torch.float64)
    bounds = Bounds(torch.tensor([-9.0, -9.0]).double(), torch.tensor([1.0, 9.0]).double(), torch.ones(2).double())
    moved = bounds.step(zero, S, gradient)
    assert moved[0] == 1.0
    assert moved[1] == pytest.approx(3 + 2 / 3)


def test_the_bordered_step_is_that_of_all_columns_together(tmp_path):
    compiled = compile_problem(decay(written(tmp_path, **readings())))
    free = Bounds(torch.tensor([-torch.inf]).double(), torch.tensor([torch.inf]).double(), torch.ones(1).double())
    statement = InverseProblem(compiled, {}, Measurements.of(compiled), free).with_weight(0.3)
    space = statement.first_space()
    system = statement.system(space)
    rows = system.rows(State(space.project(lambda x: 2 * torch.exp(-x.T), 1), statement.guess))
    _, reduced = system.factorized(State(system.zero(), statement.guess), rows, parameters=True)
    delta, moved = reduced.step(rows, statement.guess, free)
    identity = torch.eye(space.functions, dtype=torch.float64)[None]
    A = torch.cat([part.flatten(0, 1) for part in applied(rows, identity)])
    P = torch.cat([g.parameters.flatten(0, 1) for g in rows if g.parameters is not None])
    whole = torch.cat([A, torch.cat([P, A.new_zeros(len(A) - len(P), 1)])], dim=1)
    r = torch.cat([g.r.flatten() for g in rows])
    step = torch.linalg.lstsq(whole, -r[:, None], driver="gelsd").solution[:, 0]
    torch.testing.assert_close(torch.cat([delta.flatten(), moved]), step, rtol=1e-6, atol=1e-8)
    back = adjoint(rows, [g.r[:, :, None] for g in rows], reduced.X)
    torch.testing.assert_close(back.flatten(), A.T @ r)


@pytest.mark.parametrize(("dimension", "order", "count"), [(1, 3, 1), (2, 3, 4), (3, 2, 6), (4, 1, 4)])
def test_derivatives_of_one_order(dimension, order, count):
    found = derivatives_of_order(dimension, order)
    assert len(found) == len(set(found)) == count
    assert all(sum(alpha) == order for alpha in found)


def faded(folder: Path, time: float, start: dict[int, float], noise: float, seed: int) -> ps.Problem:
    """A rod whose start, a sum of sines, is sought from readings at the end."""
    x = np.linspace(0.03, 0.97, 40)
    readings = sum(a * np.sin(k * np.pi * x) * np.exp(-((k * np.pi) ** 2) * time) for k, a in start.items())
    readings = readings + noise * np.random.default_rng(seed).standard_normal(40)
    modes = " + ".join(f"{a}*sin({k}*pi*x)*exp(-({k}*pi)**2*t)" for k, a in start.items())
    return ps.Problem(
        name="faded",
        domain=ps.Box(t=(0, time), x=(0, 1)),
        unknowns="v",
        equations={"heat": "D(v, t) = D(v, x, x)"},
        conditions={"ends": ps.Condition(on=["x = 0", "x = 1"], equation="v = 0")},
        data={"late": ps.Data(file="data.csv", equation="v = m", noise=noise)},
        exact={"v": modes},
        folder=written(folder, t=np.full(40, time), x=x, m=readings),
    )


def test_a_start_that_no_condition_gives_is_found_as_far_as_data_tell(tmp_path):
    start = {1: 1.0, 2: -0.4}
    found = ps.solve(faded(tmp_path, 0.06, start, 1e-3, 3), tolerance=0.3)
    x = np.linspace(0.01, 0.99, 99)
    off = np.abs(found(t=0.0, x=x) - sum(a * np.sin(k * np.pi * x) for k, a in start.items()))
    assert np.mean(off <= 2 * found.standard_deviation("v")(t=0.0, x=x)) > 0.9
    assert found.result["relative_l2_error"]["v"] < 0.05  # without smoothness, the second mode is lost
    assert found.result["regularization"]["v"]["weight"] > 0


def test_what_has_faded_from_the_data_stays_open(tmp_path):
    """Of the third mode, nothing is left above the noise: the estimate must not pretend to know that."""
    result = ps.solve(faded(tmp_path, 0.1, {1: 1.0, 3: 0.5}, 1e-3, 1), tolerance=0.05).result
    error, estimate = result["relative_l2_error"]["v"], result["estimated_error"]["v"]
    assert error > 0.1
    assert estimate > error / 5 and result["status"] != "converged"


def test_a_curve_through_noise_is_smooth(tmp_path):
    """A regression alone: better than the noise, with an estimate that holds, whatever the unit of the axis."""
    T = np.linspace(-40, 400, 70)
    true = 3 + T / 40 + 2 * np.sin(T / 90)
    m = true + 0.4 * np.random.default_rng(5).standard_normal(70)
    curve = ps.Problem(
        name="curve",
        domain=ps.Box(T=(-40, 400)),
        unknowns="s",
        data={"readings": ps.Data(file="data.csv", equation="s = m", noise=0.4)},
        exact={"s": "3 + T/40 + 2*sin(T/90)"},
        folder=written(tmp_path, T=T, m=m),
    )
    found = ps.solve(curve, tolerance=0.05)
    off = np.sqrt(np.mean((found(T=T) - true) ** 2))
    assert off < 0.4 * 0.4
    result = found.result
    assert result["status"] == "converged"
    assert 0.2 < result["estimated_error"]["s"] / result["relative_l2_error"]["s"] < 5
    assert result["noise"]["readings"]["estimated"] == pytest.approx(0.4, rel=0.2)


def test_a_steep_coefficient_is_not_surer_than_it_should_be(tmp_path):
    """-(f u')' = 1 with a step in f: the weight by the likelihood of the data, not one that is much too large."""
    x = np.linspace(0, 1, 2001)
    f = 1.5 - 0.8 * np.tanh((x - 0.55) / 0.06)
    mean = np.trapezoid if hasattr(np, "trapezoid") else np.trapz
    constant = mean(x / f, x) / mean(1 / f, x)
    u = np.concatenate([[0], np.cumsum(np.diff(x) * 0.5 * (((constant - x) / f)[1:] + ((constant - x) / f)[:-1]))])
    chosen = np.arange(20, 2000, 20)
    noisy = u[chosen] + 2e-4 * np.random.default_rng(2).standard_normal(len(chosen))
    bar = ps.Problem(
        name="bar",
        domain=ps.Box(x=(0, 1)),
        unknowns=["u", "f"],
        equations={"bar": "-D(f*D(u, x), x) = 1"},
        conditions={"ends": ps.Condition(on="boundary", equation="u = 0")},
        data={"sensors": ps.Data(file="data.csv", equation="u = m")},
        regularization={"f": "auto"},
        exact={"f": "1.5 - 0.8*tanh((x - 0.55)/0.06)"},
        folder=written(tmp_path, x=x[chosen], m=noisy),
    )
    result = ps.solve(bar, tolerance=0.15).result
    assert 0.2 < result["estimated_error"]["f"] / result["relative_l2_error"]["f"] < 5
    assert result["relative_l2_error"]["f"] < 0.2


def test_constants_of_layers_are_found_with_fluxes_that_go_on(tmp_path):
    """Of k u' = 1 in three layers, from readings with noise: u is continuous, its slope is not."""
    x = np.linspace(0, 1, 80)
    u = np.interp(x, [0, 0.4, 0.6, 1], np.cumsum([0, 0.4, 0.2 / 3, 0.4]))
    written(tmp_path, x=x, m=u + 0.004 * np.random.default_rng(0).standard_normal(80))
    stated = ps.Problem(
        name="layers", domain=ps.Box(x=(0, 1)), unknowns="u", folder=tmp_path,
        unknown_parameters={"k1": {"guess": 1}, "k2": {"guess": 1}},
        definitions={"k": "where(abs(x - 0.5) < 0.1, k2, k1)"},
        equations={"flow": "D(k*D(u, x), x) = 0"},
        conditions={
            "left": ps.Condition(on="x = 0", equation="u = 0"),
            "right": ps.Condition(on="x = 1", equation="k1*D(u, x) = 1"),
        },
        data={"readings": ps.Data(file="data.csv", equation="u = m", noise=0.004)}, solve={"tolerance": 2e-2},
    )  # fmt: skip
    assert len(compile_problem(stated).interfaces) == 1
    result = ps.solve(stated).result
    assert result["status"] == "converged"
    for name, true in {"k1": 1.0, "k2": 3.0}.items():
        found = result["parameters"][name]
        assert abs(found["value"] - true) < 3 * found["standard_error"] < 0.3 * true
