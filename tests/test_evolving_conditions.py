"""Conditions that evolve by themselves: no equation in the domain keeps their unknowns continuous there."""

from __future__ import annotations

import pytest

import pinnsolve as ps
from pinnsolve.assembly.evolving import evolving, orders_along
from pinnsolve.compiler.compiler import compile_problem

FACTOR = 5.0  # within which the estimate is of the true error


def start(*equations: str) -> ps.Condition:
    return ps.Condition(on="t = 0", equations=list(equations))


EVOLVING = {
    "a bath at the end of a rod": {
        "domain": ps.Box(t=(0, 3), x=(1, 3)),
        "unknowns": ["T", "B"],
        "equations": {
            "rod": "D(T, t) = D(T, x, x)/2 + (9*cos(3*x)/2 - 2*cos(3*x))*exp(-2*t)",
            "bath": "D(B, x) = 0",
        },
        "conditions": {
            "start": start("T = cos(3*x)", "B = cos(9)"),
            "cold": ps.Condition(on="x = 1", equation="T = cos(3)*exp(-2*t)"),
            "contact": ps.Condition(
                on="x = 3", equations=["T = B", "D(B, t) + 2*D(T, x) = -(2*cos(9) + 6*sin(9))*exp(-2*t)"]
            ),
        },
        "exact": {"T": "cos(3*x)*exp(-2*t)", "B": "cos(9)*exp(-2*t)"},
    },
    "a mass on a string without mass": {
        "domain": ps.Box(t=(0, 5), z=(-1, 1)),
        "unknowns": "w",
        "equations": {"string": "D(w, z, z) = 0"},
        "conditions": {
            "start": start("w = z + 1", "D(w, t) = 0"),
            "held": ps.Condition(on="z = -1", equation="w = 0"),
            "mass": ps.Condition(on="z = 1", equation="D(w, t, t) + 8*D(w, z) = 0"),
        },
        "exact": {"w": "(z + 1)*cos(2*t)"},
    },
    "a slope that evolves": {
        "domain": ps.Box(t=(0, 4), y=(0, 2)),
        "unknowns": "p",
        "equations": {"straight": "D(p, y, y) = 0"},
        "conditions": {
            "start": start("p = 2 + y"),
            "below": ps.Condition(on="y = 0", equation="p = 2"),
            "above": ps.Condition(on="y = 2", equation="D(p, t, y) + 3*D(p, y) = 0"),
        },
        "exact": {"p": "2 + y*exp(-3*t)"},
    },
    "what lives on an edge": {
        "domain": ps.Box(a=(0, 4), b=(-1, 1)),
        "unknowns": ["v", "q"],
        "equations": {"laplace": "laplacian(v) = 0", "along": "D(q, b) = 0"},
        "conditions": {
            "floor": ps.Condition(on="b = -1", equation="v = 0"),
            "ends": ps.Condition(on=["a = 0", "a = 4"], equations=["v = 0", "q = 0"]),
            "lid": ps.Condition(on="b = 1", equations=["v = sin(2*pi*a)", "D(q, a, a) = D(v, b)"]),
        },
        "exact": {"v": "sin(2*pi*a)*sinh(2*pi*(b + 1))/sinh(4*pi)", "q": "-sin(2*pi*a)/tanh(4*pi)/(2*pi)"},
    },
    "what lives on an edge round a ring": {
        "domain": ps.Box(x=(0, "2*pi"), y=(0, 1)),
        "unknowns": ["u", "s"],
        "equations": {"laplace": "laplacian(u) = 0", "along": "D(s, y) = 0"},
        "conditions": {
            "around": ps.Condition(periodic="x"),
            "below": ps.Condition(on="y = 0", equation="u = 0"),
            "above": ps.Condition(on="y = 1", equations=["u = sin(2*x)", "D(s, x, x) - s = D(u, y)"]),
        },
        "exact": {"u": "sin(2*x)*sinh(2*y)/sinh(2)", "s": "-2*sin(2*x)/tanh(2)/5"},
    },
}


@pytest.mark.parametrize("name", EVOLVING)
def test_conditions_that_evolve_are_solved_to_the_tolerance(name):
    result = ps.solve(ps.Problem(name="evolving", **EVOLVING[name])).result
    assert result["status"] == "converged"
    for unknown, error in result["relative_l2_error"].items():
        assert error < 1e-6 and error < FACTOR * max(result["estimated_error"][unknown], 1e-10)


def test_on_the_rim_of_a_disk():
    problem = ps.Problem(
        name="rim",
        domain=ps.Shape({"disk": {"center": [0, 0], "radius": 1}}, coordinates="x y", time={"t": (0, 2)}),
        unknowns="u",
        equations={"laplace": "laplacian(u) = 0"},
        conditions={
            "start": start("u = x**2 - y**2"),
            "rim": ps.Condition(on="boundary", equation="D(u, t) + Dn(u) = 0"),
        },
        exact={"u": "(x**2 - y**2)*exp(-2*t)"},
        solve={"tolerance": 1e-4},
    )
    result = ps.solve(problem).result
    assert result["status"] == "converged" and result["relative_l2_error"]["u"] < 1e-4


def compiled(name: str):
    return compile_problem(ps.Problem(name="evolving", **EVOLVING[name]))


def test_only_what_no_equation_evolves_is_held_on_the_boundary():
    (bath,) = evolving(compiled("a bath at the end of a rod"))
    assert bath.axis == 0 and dict(bath.piece.fixed) == {1: 3.0} and bath.derivatives == ((), ((0, 0),))
    (mass,) = evolving(compiled("a mass on a string without mass"))
    assert mass.derivatives == (((0, 0), (1, 0)),)
    (slope,) = evolving(compiled("a slope that evolves"))
    assert slope.derivatives == (((0, 1),),)
    (edge,) = evolving(compiled("what lives on an edge"))
    assert edge.axis == 0 and edge.derivatives == ((), ((0, 0), (1, 0)))
    assert orders_along(compiled("a bath at the end of a rod"), 0) == [1, 1]
