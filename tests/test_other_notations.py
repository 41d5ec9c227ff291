"""Expressions in the notations of other tools: what they are in ours, and what is left alone."""

from __future__ import annotations

import random

import pytest

from pinnsolve.errors import ProblemError
from pinnsolve.language.other_notations import FileNames, rewritten
from pinnsolve.spec.other_tools.intervals import bare_intervals, disk_of, interval_of, named_intervals
from pinnsolve.spec.other_tools.words import ABOUT, SETTINGS, setting_hint
from pinnsolve.spec.spec import spec_from_dict

NAMES = FileNames(("u", "v"), ("t", "x"), ("x",), frozenset({"u", "v", "t", "x", "nu", "k"}))
ONE = FileNames(("y",), ("x",), ("x",), frozenset({"y", "x"}))

EQUATIONS = [
    ("∂u/∂t = nabla^2 u + sin pi x", "D(u, t) = laplacian(u) + sin(pi*x)"),
    ("D[u[t,x],t] == D[u[t,x],{x,2}]", "D(u, t) = D(u, x, 2)"),
    ("du/dt = nu*d2u/dx2", "D(u, t) = nu*D(u, x, x)"),
    ("d^2u/(dx dt)", "D(u, x, t) = 0"),
    (r"\frac{\partial u}{\partial t} = \nu \frac{\partial^2 u}{\partial x^2}", "D(u, t) = nu*D(u, x, x)"),
    ("Dt(u(t,x)) ~ Dxx(u(t,x))", "D(u, t) = D(u, x, x)"),
    ("ut = nu uxx", "D(u, t) = nu*D(u, x, x)"),
    ("u_t + u u_x = nu u_xx", "u_t + u*u_x = nu*u_xx"),
    ("∇·(k∇u) = 0", "div(k*grad(u)) = 0"),
    ("d/dx(k du/dx) = 0", "D(k*D(u, x), x) = 0"),
    ("d(k*d(u,x),x) = 1", "D(k*D(u, x), x) = 1"),
    ("u.dx(1) = 3x", "D(u, x) = 3*x"),
    ("du/dt = u(1 - v)", "D(u, t) = u*(1 - v)"),
    ("u = past(u)", "u = past(u)"),
    ("-Δu = 1", "-laplacian(u) = 1"),
]


@pytest.mark.parametrize(("text", "ours"), EQUATIONS)
def test_equations(text, ours):
    assert rewritten(text, NAMES, "equation") == ours
    assert rewritten(ours, NAMES, "equation") == ours


@pytest.mark.parametrize(
    ("text", "ours"),
    [
        ("2pi", "2*pi"),
        ("10^-3", "10**-3"),
        ("x(1-x)", "x*(1-x)"),
        ("Sin[2 Pi x]", "sin(2*pi*x)"),
        ("sin x cos x", "sin(x)*cos(x)"),
        ("tf.exp(-np.pi*x)", "exp(-pi*x)"),
        ("x**2 t", "x**2*t"),
        ("x.^2 .* t", "x**2 * t"),
        ("unheard_of + 1", "unheard_of + 1"),
    ],
)
def test_expressions(text, ours):
    assert rewritten(text, NAMES) == ours


def test_normal_derivatives():
    assert rewritten("∂u/∂n = 0", NAMES, "equation") == rewritten("u_n = 0", NAMES, "equation") == "Dn(u) = 0"
    taken = FileNames(("u",), ("x",), ("x",), frozenset({"u", "x", "u_n"}))
    assert rewritten("u^2 = u_n", taken, "equation") == "u**2 = u_n"


def test_primes_are_derivatives_where_it_is_clear_by_what():
    assert rewritten("y'' + 4y = 0", ONE, "equation") == "D(y, x, x) + 4*y = 0"
    plane = FileNames(("u",), ("x", "y"), ("x", "y"), frozenset("uxy"))
    assert rewritten("u'' = 0", plane, "equation") == "u'' = 0"


def test_intervals_in_many_forms():
    for form in ([0, 1], "[0, 1]", "0..1", "0 to 1", "(0, 1)", {"min": 0, "max": 1}, "Interval(0, 1)", [0, 1, 50]):
        assert interval_of(form) == [0, 1], form
    for form in ("x in [0, 2]", "0 <= x <= 2", ["x ∈ [0, 2]"], {"x": "[0, 2]"}, "{x, 0, 2}"):
        assert named_intervals(form) == {"x": [0, 2]}, form
    for form in ("Rectangle([0, 0], [1, 2])", [[0, 1], [0, 2]]):
        assert bare_intervals(form) == [[0, 1], [0, 2]], form
    assert disk_of({"type": "circle", "radius": 2}) == {"disk": {"center": [0, 0], "radius": 2}}
    assert interval_of("x") is interval_of({"x": [0, 1]}) is None and named_intervals(3) == {}


def test_settings_take_the_values_of_the_file():
    assert "{width: 30, depth: 2}" in setting_hint("layers", [2, 30, 30, 1]).replace("kind: mlp, ", "")
    assert "steps: 500" in setting_hint("Epochs", 500)
    assert setting_hint("tol", 1e-8) == "write `solve: {tolerance: 1e-8}`"
    assert setting_hint("colour", 1) is None


def test_whatever_stands_under_these_words_is_answered_and_nothing_else():
    values = [
        None,
        0,
        True,
        "",
        [],
        {},
        "u(0",
        "= =",
        [[1]],
        {"left": {"right": {"x": 0}}},
        {"type": None},
        "lambda x:",
    ]
    values += [
        "d/dx(",
        "D[",
        "x in [",
        "DirichletBC()",
        {"on": [None, "left"], "u": 0},
        {1: 2},
        "sin sin",
        "frac{" * 99,
    ]
    keys = [*ABOUT, *SETTINGS, "coordinates", "domain", "time", "unknowns", "equations", "conditions", "exact", "solve"]
    draw = random.Random(0)
    for _ in range(400):
        with pytest.raises(ProblemError):
            spec_from_dict({"nam": "a", **{draw.choice(keys): draw.choice(values) for _ in range(3)}})
