"""Conditions at points and on planes inside the domain: what holds an unknown there makes a derivative jump."""

from __future__ import annotations

import numpy as np
import pytest

import pinnsolve as ps
from pinnsolve.compiler.compiler import compile_problem
from pinnsolve.compiler.held_inside import held_planes


def ends(*equations: str) -> ps.Condition:
    return ps.Condition(on="boundary", equations=list(equations))


HELD = {
    "a string held at two points": {
        "domain": ps.Box(x=(0, 2)),
        "unknowns": "u",
        "equations": {"straight": "D(u, x, x) = 0"},
        "conditions": {"ends": ends("u = 0"), "held": ps.Condition(at=[{"x": 0.3}, {"x": 1.1}], equation="u = 1 + x")},
        "exact": {"u": "where(x < 0.3, 13*x/3, where(x < 1.1, 1 + x, 2.1*(2 - x)/0.9))"},
    },
    "a membrane held along a line": {
        "domain": ps.Box(x=(0, 2), y=(0, 1)),
        "unknowns": "u",
        "equations": {"laplace": "laplacian(u) = 0"},
        "conditions": {"rim": ends("u = 0"), "held": ps.Condition(on="x = 0.7", equation="u = sin(pi*y)")},
        "exact": {"u": "sin(pi*y)*where(x < 0.7, sinh(pi*x)/sinh(0.7*pi), sinh(pi*(2 - x))/sinh(1.3*pi))"},
    },
    "held on a ring": {
        "domain": ps.Box(x=(0, 1)),
        "unknowns": "u",
        "equations": {"straight": "D(u, x, x) = 2"},
        "conditions": {"ring": ps.Condition(periodic="x"), "held": ps.Condition(at={"x": 0.25}, equation="u = 0")},
        "exact": {"u": "where(x < 0.25, (x + 0.75)*(x - 0.25), (x - 0.25)*(x - 1.25))"},
    },
}


@pytest.mark.parametrize("name", HELD)
def test_what_is_held_inside_is_an_interface(name):
    result = ps.solve(ps.Problem(name="held", **HELD[name])).result
    assert result["status"] == "converged" and result["relative_l2_error"]["u"] < 1e-6
    assert result["relative_l2_error"]["u"] < 5 * max(result["estimated_error"]["u"], 1e-12)


def test_heat_at_a_thermostat_marches():
    problem = ps.Problem(
        name="thermostat",
        domain=ps.Box(t=(0, 1), z=(0, 3)),
        unknowns="T",
        equations={"heat": "D(T, t) = D(T, z, z)"},
        conditions={
            "start": ps.Condition(on="t = 0", equation="T = sin(pi*z)"),
            "ends": ends("T = 0"),
            "held": ps.Condition(on="z = 1", equation="T = t"),
        },
        solve={"tolerance": 1e-5},
    )
    solution = ps.solve(problem)
    assert solution.result["status"] == "converged"
    z, T = np.linspace(0, 1, 11), solution(t=np.full(11, 1.0), z=np.linspace(0, 1, 11))
    k = np.arange(1, 400)[:, None]  # T = z t + the decay of the start and what z t lacks
    series = 2 * (-1.0) ** k / (np.pi * k) ** 3 * (1 - np.exp(-((np.pi * k) ** 2))) * np.sin(np.pi * k * z)
    expected = z + series.sum(axis=0) + np.sin(np.pi * z) * np.exp(-(np.pi**2))
    assert np.abs(T - expected).max() < 1e-4


@pytest.mark.parametrize("clamped", [False, True])
def test_a_beam_on_three_supports(clamped):
    place, inside = 0.37, ["w = 0", "D(w, x) = 0"] if clamped else ["w = 0"]
    problem = ps.Problem(
        name="beam",
        domain=ps.Box(x=(0, 1)),
        unknowns="w",
        equations={"bending": "D(w, x, 4) = 1"},
        conditions={"ends": ends("w = 0", "D(w, x, x) = 0"), "middle": ps.Condition(at={"x": place}, equations=inside)},
    )
    solution = ps.solve(problem)
    assert solution.result["status"] == "converged"
    x = np.linspace(0, 1, 41)
    expected = beam(x, place, clamped)
    assert np.abs(solution(x=x) - expected).max() < 1e-6 * np.abs(expected).max()


def beam(x: np.ndarray, place: float, clamped: bool) -> np.ndarray:
    """x^4/24 and a cubic on either side of the support: eight numbers from eight conditions."""

    def row(at: float, order: int) -> np.ndarray:
        factor = np.array([np.prod([p - i for i in range(order)]) for p in range(4)])
        return np.array([f * at ** max(p - order, 0) for p, f in enumerate(factor)])

    def load(at: float, order: int) -> float:
        return float(np.prod([4 - i for i in range(order)]) * at ** (4 - order) / 24)

    zero = np.zeros(4)
    rows = [np.r_[row(0, k), zero] for k in (0, 2)] + [np.r_[zero, row(1, k)] for k in (0, 2)]
    values = [-load(0, k) for k in (0, 2)] + [-load(1, k) for k in (0, 2)]
    for side in (0, 1):
        for k in (0, 1) if clamped else (0,):
            rows.append(np.r_[row(place, k), zero] if side == 0 else np.r_[zero, row(place, k)])
            values.append(-load(place, k))
    for k in () if clamped else (1, 2):
        rows.append(np.r_[row(place, k), -row(place, k)])
        values.append(0.0)
    c = np.linalg.solve(np.array(rows), values)
    powers = x[:, None] ** np.arange(4)
    return x**4 / 24 + np.where(x < place, powers @ c[:4], powers @ c[4:])


def planes(equation: str, conditions: dict, **more):
    stated = {"domain": ps.Box(x=(0, 1)), "unknowns": "u", "equations": {"e": equation}, **more}
    return held_planes(compile_problem(ps.Problem(name="held", conditions=conditions, **stated)))


def test_conditions_that_stand_in_for_those_at_the_ends_are_no_interface():
    middle = ps.Condition(at={"x": 0.5}, equation="u = 1")
    assert planes("D(u, x, x) = 1", {"left": ps.Condition(on="x = 0", equation="u = 0"), "middle": middle}) == []
    assert planes("D(u, x) = u", {"middle": middle}) == []
    (plane,) = planes("D(u, x, x) = 1", {"ends": ends("u = 0"), "middle": middle})
    assert plane.value == 0.5 and plane.jumping == {("u", 1)}
    parameters = {"unknown_parameters": {"a": {"guess": 1}}}
    assert compile_problem(
        ps.Problem(
            name="held", domain=ps.Box(x=(0, 1)), unknowns="u", equations={"e": "D(u, x, x) = a"},
            conditions={"ends": ends("u = 0"), "middle": middle}, **parameters,
        )
    ).materials == ()  # fmt: skip
