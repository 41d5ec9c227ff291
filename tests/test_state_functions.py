"""Unknown functions of the state: found with a deviation, kept positive or monotone, and what is refused."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
import torch

import pinnsolve as ps
from pinnsolve.compiler.compiler import compile_problem
from pinnsolve.compiler.terms import StateFunction
from pinnsolve.errors import PinnsolveError, ProblemError
from pinnsolve.inverse.function_bases import SplineBasis, is_sought, with_bases
from pinnsolve.inverse.function_smoothness import FunctionSmoothness, deviance, likeliest, loosened
from pinnsolve.inverse.held_out import Linearized
from pinnsolve.language.tabulated import Tabulated

NOISE = 0.005


def cooling(folder: Path, **changes) -> ps.Problem:
    """Readings of u' = -u^2/(0.2 + u) from 1, by Runge-Kutta's method on fine steps, with noise of 0.005."""
    t, u = np.linspace(0, 4, 401), [1.0]
    for _ in t[1:]:
        k = []
        for share in (0, 0.5, 0.5, 1):
            k.append(-rate(u[-1] + 0.01 * share * (k[-1] if k else 0)))
        u.append(u[-1] + 0.01 * (k[0] + 2 * k[1] + 2 * k[2] + k[3]) / 6)
    measured = np.array(u)[::5] + NOISE * np.random.default_rng(0).standard_normal(81)
    table = np.column_stack([t[::5], measured])
    np.savetxt(folder / "cooling.csv", table, delimiter=",", header="t,m", comments="")
    statement = {
        "name": "cooling",
        "domain": ps.Box(t=(0, 4)),
        "unknowns": {"u": "real", "f": {"of": "u"}},
        "equations": {"loss": "D(u, t) = -f"},
        "conditions": {"start": ps.Condition(on="t = 0", equation="u = 1")},
        "data": {"readings": ps.Data(file="cooling.csv", equation="u = m", noise=NOISE)},
        "folder": folder,
        "solve": {"tolerance": 1e-2},
    }
    return ps.Problem(**{**statement, **changes})


def rate(u):
    return u**2 / (0.2 + u)


def test_a_function_of_the_state_is_found_within_its_deviation(tmp_path):
    solution = ps.solve(cooling(tmp_path))
    assert solution.result["status"] == "converged" and solution.result["parameters"] == {}
    f = solution.functions["f"]
    (low, high), measured = f.ranges["u"], np.loadtxt(tmp_path / "cooling.csv", delimiter=",", skiprows=1)[:, 1]
    assert low == pytest.approx(measured.min(), abs=0.02) and high == pytest.approx(measured.max(), abs=0.02)
    u = np.linspace(low, high, 50)
    error = np.abs(f(u) - rate(u))
    assert np.sqrt((error**2).mean()) < 0.03 * rate(u).max()
    assert (error < 2 * f.deviation(u=u)).mean() > 0.9
    assert math.isnan(f(2.0))  # the state does not go there
    solution.save(tmp_path / "run")
    assert (tmp_path / "run" / "f.csv").read_text().startswith("u,f,standard_deviation\n")
    again = ps.load_solution(tmp_path / "run")
    assert again.functions["f"](0.5) == f(0.5)
    assert ps.solve(cooling(tmp_path), start=again).functions["f"](0.5) == f(0.5)


def test_a_constant_beside_a_function_is_found_with_it(tmp_path):
    """What is known of the function's shape is what tells the two apart."""
    stated = cooling(tmp_path, unknown_parameters={"c": {"guess": 1}}, data={
        "readings": ps.Data(file="cooling.csv", equation="c*u = m", noise=NOISE)})  # fmt: skip
    assert ps.solve(stated).parameters["c"]["value"] == pytest.approx(1.0, abs=0.02)


@pytest.mark.parametrize("known", [{"positive": True}, {"monotone": "increasing"}])
def test_what_is_known_of_a_function_holds(known, tmp_path):
    stated = cooling(tmp_path, unknowns={"u": "real", "f": {"of": "u", **known}})
    assert stated.spec.state_functions["f"].of == ("u",) and next(iter(known)) in stated.spec.to_yaml()
    f = ps.solve(stated).functions["f"]
    assert (f.values >= 0).all() if "positive" in known else (np.diff(f.values) >= -1e-12).all()
    assert np.abs(f.values - rate(f.at["u"])).max() < 0.1 * f.values.max()


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"unknowns": {"u": "real", "f": {"of": ["u", "t", "f"]}}}, "one or two arguments"),
        ({"unknowns": {"u": {"positive": True}, "f": {"of": "u"}}}, "said of functions of the state"),
        ({"unknowns": {"u": "real", "f": {"of": ["u", "t"], "monotone": "increasing"}}}, "one of one argument"),
        ({"unknowns": {"u": "real", "f": {"of": "v"}}}, "`f` takes arguments"),
        ({"data": None}, "`f` is found from data, and there are none"),
    ],
)
def test_functions_that_make_no_sense_are_refused(tmp_path, changes, words):
    with pytest.raises(ProblemError) as caught:
        cooling(tmp_path, **changes)
    assert words in str(caught.value)


def test_a_method_that_cannot_find_functions_is_refused(tmp_path):
    with pytest.raises(PinnsolveError, match="functions of the state are found from data by polynomials on cells"):
        ps.solve(cooling(tmp_path), method="varpro")


# -- their splines ----------------------------------------------------------------------------------------------------

KINDS = [StateFunction("f", ("u",)), StateFunction("f", ("u",), monotone="increasing"),
         StateFunction("f", ("u",), True, "decreasing")]  # fmt: skip


@pytest.mark.parametrize("kind", KINDS)
def test_splines_hold_cubics_and_their_seminorms(kind):
    basis = SplineBasis(kind, (0.5,), (2.5,))
    x = np.linspace(0.5, 2.5, 30)
    constants = basis.constants_for(lambda x: x**3 - x)
    for order, true in enumerate((x**3 - x, 3 * x**2 - 1, 6 * x)):
        np.testing.assert_allclose(basis.design((order,), x) @ constants, true, atol=1e-9)
    outside = basis.design((0,), np.array([3.5])) @ constants
    assert outside == pytest.approx(2.5**3 - 2.5 + (3 * 2.5**2 - 1))  # with the slope at the end
    np.testing.assert_allclose(basis.design((0,), x) @ basis.constant, 1.0)
    squares = (basis.seminorm(3).numpy() @ constants) ** 2
    assert squares.sum() == pytest.approx((6 * 2**3) ** 2)


def test_splines_of_two_arguments():
    basis = SplineBasis(StateFunction("f", ("u", "v")), (0.0, -1.0), (1.0, 1.0))
    constants = basis.constants_for(lambda u, v: u * v**2)
    u, v = np.random.default_rng(0).random((2, 20))
    np.testing.assert_allclose(basis.design((1, 1), u, v) @ constants, 2 * v, atol=1e-9)
    assert ((basis.seminorm(3).numpy() @ constants) ** 2).sum() == pytest.approx(3 * (2 * 2**2) ** 2)


def test_functions_become_sums_of_splines(tmp_path):
    compiled = compile_problem(cooling(tmp_path, equations={"loss": "D(u, t) = -D(f(u**2), t)"}))
    found = with_bases(compiled, {"f": SplineBasis(compiled.state_functions[0], (0.0,), (1.0,))})
    (residual,) = found.terms[0].residuals
    assert len(found.unknown_parameters) == 15 and not any(map(is_sought, residual.atoms(Tabulated)))
    assert len(found.terms[0].linearizations[0].parameters) == 15


def of_readings(f, count: int = 200, noise: float = 0.05):
    """The least squares of readings of f(x) itself."""
    random = np.random.default_rng(0)
    x = random.random(count)
    basis = SplineBasis(KINDS[0], (0.0,), (1.0,))
    A = torch.from_numpy(basis.design((0,), x)) / noise
    y = torch.from_numpy(f(x) + noise * random.standard_normal(count)) / noise
    around = Linearized(A.T @ A, A.T @ y, A, -y, torch.zeros(basis.size).double(), 0.0, count, [])
    return {"f": FunctionSmoothness(basis, 0, 3, 1e-4, 1.0)}, around


def test_weights_of_smoothness_follow_the_data():
    straight, around = of_readings(lambda x: 1 + x)
    found = likeliest(straight, around)
    assert found["f"].weight >= 1  # nothing speaks against a parabola
    waves, around = of_readings(lambda x: np.sin(8 * x))
    chosen = likeliest(waves, around)
    assert chosen["f"].weight < 1e-3
    loose = loosened(chosen, around)
    assert loose["f"].weight < chosen["f"].weight and deviance(loose, around) <= deviance(chosen, around) + 2.0


def test_a_function_of_a_coordinate_is_found_too(tmp_path):
    """What is linear in the unknowns and holds a function that is sought has no values to begin with."""
    x = np.linspace(0, 1, 40)
    np.savetxt(tmp_path / "bar.csv", np.column_stack([x, np.log1p(x)]), delimiter=",", header="x,m", comments="")
    stated = ps.Problem(
        name="bar", domain=ps.Box(x=(0, 1)), unknowns={"u": "real", "k": {"of": "x"}}, folder=tmp_path,
        equations={"flow": "D(k(x)*D(u, x), x) = 0"},
        conditions={"left": ps.Condition(on="x = 0", equation="u = 0"),
                    "right": ps.Condition(on="x = 1", equation="k(x)*D(u, x) = 1")},
        data={"readings": ps.Data(file="bar.csv", equation="u = m", noise=1e-3)}, solve={"tolerance": 1e-2},
    )  # fmt: skip
    assert ps.solve(stated).functions["k"](0.5) == pytest.approx(1.5, rel=0.02)
