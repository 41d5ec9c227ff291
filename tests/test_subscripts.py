"""Derivatives by subscripts: `u_xx` where no name of the file says otherwise."""

from __future__ import annotations

import pytest

from pinnsolve.language.subscripts import directions_in
from pinnsolve.language.to_sympy import Scope, equation, expression
from pinnsolve.problem.build import build_problem
from pinnsolve.spec.spec import spec_from_dict

SCOPE = Scope(
    coordinates=("t", "x", "theta"),
    time="t",
    unknowns=("u", "v_x"),
    parameters=("u_t", "k"),
    definitions={"flux": "k*u_x", "second(w)": "w_xx", "bare(u)": "u_x"},
)


@pytest.mark.parametrize(
    ("short", "long"),
    [
        ("u_xx", "D(u, x, x)"),
        ("u_xtheta", "D(u, x, theta)"),
        ("u*u_x - k*u_xxx", "u*D(u, x) - k*D(u, x, 3)"),
        ("v_x_t", "D(v_x, t)"),
        ("flux_x", "k*D(u, x, x)"),
        ("second(u)", "D(u, x, x)"),
        ("bare(u*x)", "D(u*x, x)"),
        ("D(u_x, t)", "D(u, x, t)"),
    ],
)
def test_a_subscript_is_a_derivative(short, long):
    assert expression(short, SCOPE) - expression(long, SCOPE) == 0


def test_names_of_the_file_come_first():
    assert expression("u_t", SCOPE).name == "u_t"
    assert expression("v_x", SCOPE).feature.alpha == (0, 0, 0)
    assert equation("v_x = u_t", SCOPE).free_symbols == {expression("v_x", SCOPE), expression("u_t", SCOPE)}


def test_letters_are_read_in_one_way_or_not_at_all():
    assert directions_in("xtheta", ("t", "x", "theta")) == ("x", "theta")
    assert directions_in("rst", ("r", "s", "t", "st")) == ()
    assert directions_in("xz", ("x", "y")) == directions_in("", ("x",)) == ()


def test_a_file_with_subscripts_is_the_file_with_derivatives():
    keys = {"name": "test", "coordinates": {"t": [0, 1], "x": [0, 1]}, "unknowns": "u"}
    walls = {"conditions": {"walls": {"on": "boundary", "equation": "u = 0"}}}
    short, long = (
        build_problem(spec_from_dict({**keys, **walls, "equations": {"heat": text}}))
        for text in ("u_t = 2*u_xx", "D(u, t) = 2*D(u, x, x)")
    )
    assert short.statements == long.statements
