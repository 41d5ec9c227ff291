"""The tools of the checks: expressions at single points, points worth a look, quadrature."""

from __future__ import annotations

import pytest
import sympy as sp

from pinnsolve.language.symbols import coordinate_symbol
from pinnsolve.language.to_sympy import Scope
from pinnsolve.language.to_sympy import expression as parsed
from pinnsolve.problem.checks.neumann import gauss_legendre
from pinnsolve.problem.checks.pointwise import function_of, holds_at, landmarks, scattered, value_at


@pytest.mark.parametrize(
    "expression",
    [
        "x**2 - 3*x*y + 1/7",
        "sin(x)*cosh(y) + atan2(y, x) - erf(x)",
        "max(x, y, 0) + min(x, 2) + abs(x - y) + sign(y) + floor(3*x) + heaviside(x - y)",
        "where(x < y and y > 0, x, where(not (x == y), 7, 8))",
        "bessel_j(2, 3*x) + sqrt(x) + log(y) + exp(-y) + pi*e",
    ],
)
def test_values_at_points_are_those_of_sympy(expression):
    e = parsed(expression, Scope(coordinates=("x", "y")))
    x, y = coordinate_symbol("x"), coordinate_symbol("y")
    for at in scattered(5, [(0.1, 2.0), (0.1, 2.0)]):
        exact = e.subs({x: sp.Float(at[0], 30), y: sp.Float(at[1], 30)}).evalf()
        assert value_at(function_of(e), dict(zip((x, y), at, strict=True))) == pytest.approx(float(exact), rel=1e-13)


@pytest.mark.parametrize("expression", ["1/x", "log(x)", "sqrt(x - 1)", "exp(1000 + x)", "x*z", "(x - 1)**(1/3)"])
def test_an_expression_without_a_value(expression):
    x, z = coordinate_symbol("x"), coordinate_symbol("z")
    e = sp.sympify(expression, {"x": x, "z": z})  # of a text of ours
    assert value_at(function_of(e), {x: 0.0}) is None
    assert not holds_at(function_of(e > 1), {x: 0.0})


def test_landmarks_are_the_corners_and_more():
    points = list(landmarks([(0, 1), (2, 4)]))
    assert points[0] == (0.5, 3.0) and {(0, 2), (0, 4), (1, 2), (1, 4)} < set(points)
    assert list(landmarks([])) == [()]
    spread = list(scattered(64, [(0, 1), (0, 1)]))
    quarters = {(a < 0.25, b < 0.25) for a, b in spread}
    assert len(quarters) == 4 and all(0 < v < 1 for p in spread for v in p)


@pytest.mark.parametrize("n", [1, 2, 5, 16])
def test_gauss_legendre_is_exact_for_polynomials(n):
    for degree in range(2 * n):
        exact = (1 - (-1) ** (degree + 1)) / (degree + 1)
        assert sum(w * x**degree for x, w in gauss_legendre(n)) == pytest.approx(exact, abs=1e-13)
