"""Jets against derivatives that sympy takes."""

from __future__ import annotations

import numpy as np
import pytest
import sympy as sp
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from pinnsolve.bases import jets
from pinnsolve.bases.networks.activations import ACTIVATIONS, activation
from pinnsolve.errors import PinnsolveError

SYMBOLS = sp.symbols("x y z", real=True)
Y = sp.Symbol("y", real=True)
FUNCTIONS = {
    "tanh": (activation("tanh").function, sp.tanh),
    "sin": (activation("sin").function, sp.sin),
    "gaussian": (activation("gaussian").function, lambda y: sp.exp(-(y**2))),
    "softplus": (activation("softplus").function, lambda y: sp.log(1 + sp.exp(y))),
    "exp": (jets.EXPONENTIAL, sp.exp),
    "reciprocal": (jets.RECIPROCAL, lambda y: 1 / y),
}
INNER = {
    1: 2 + SYMBOLS[0] ** 3 - SYMBOLS[0] / 2,
    2: 2 + SYMBOLS[0] * SYMBOLS[1] ** 2 - SYMBOLS[1] / 3 + sp.sin(SYMBOLS[0]),
    3: 2 + SYMBOLS[0] * SYMBOLS[1] * SYMBOLS[2] - SYMBOLS[2] ** 2 / 3 + SYMBOLS[0] / 5,
}


def points_in(dimension: int, count: int = 6) -> torch.Tensor:
    generator = torch.Generator().manual_seed(dimension)
    return torch.rand(count, dimension, generator=generator, dtype=torch.float64)


def sympy_jet(expression: sp.Expr, points: torch.Tensor, alphas: jets.Indices) -> jets.Jet:
    """Derivatives by sympy, those that vanish identically left out."""
    symbols = SYMBOLS[: points.shape[1]]
    result = {}
    for alpha in alphas:
        derivative = expression
        for symbol, times in zip(symbols, alpha, strict=True):
            derivative = sp.diff(derivative, symbol, times)
        if derivative != 0:
            values = sp.lambdify(symbols, derivative, "numpy")(*points.T.numpy())
            result[alpha] = torch.as_tensor(np.broadcast_to(values, points.shape[:1]).copy())
    return result


def assert_same_jet(found: jets.Jet, expected: jets.Jet, tolerance: float = 1e-12) -> None:
    for alpha in {*found, *expected}:
        left = found.get(alpha, torch.zeros((), dtype=torch.float64))
        right = expected.get(alpha, torch.zeros((), dtype=torch.float64))
        size = 1 + right.abs().max()
        assert (left - right).abs().max() <= tolerance * size, alpha


def test_closure_is_downward_closed():
    assert jets.closure(((1, 1),)) == ((0, 0), (1, 0), (0, 1), (1, 1))
    assert jets.closure(((2, 0), (0, 2))) == ((0, 0), (1, 0), (0, 1), (2, 0), (0, 2))
    assert len(jets.indices_to_order(3, 4)) == 35  # C(3 + 4, 4)


@given(st.lists(st.tuples(*[st.integers(0, 3)] * 3), min_size=1, max_size=4))
@settings(max_examples=50, deadline=None)
def test_closure_property(alphas):
    closed = jets.closure(tuple(alphas))
    assert set(alphas) <= set(closed)
    assert len(closed) == len(set(closed))
    for alpha in closed:
        assert any(all(a <= b for a, b in zip(alpha, top, strict=True)) for top in alphas)
        for axis in range(3):
            if alpha[axis]:
                assert tuple(a - (i == axis) for i, a in enumerate(alpha)) in closed


@pytest.mark.parametrize("name", FUNCTIONS)
def test_univariate_derivatives(name):
    function, symbolic = FUNCTIONS[name]
    y = torch.linspace(-3, 3, 13, dtype=torch.float64)
    y = y[y != 0]  # the reciprocal has a pole there
    shapes = function.shapes(y, tuple(range(5)))
    for k in range(function.smoothness + 1):
        expected = sp.lambdify(Y, sp.diff(symbolic(Y), Y, k), "numpy")(y.numpy())
        np.testing.assert_allclose(function.factors[k] * shapes[k].numpy(), expected, rtol=1e-11, atol=1e-14)


@pytest.mark.parametrize("name", FUNCTIONS)
@pytest.mark.parametrize("k", range(5))
def test_univariate_orders_can_be_asked_for_alone(name, k):
    function, _ = FUNCTIONS[name]
    y = torch.linspace(0.1, 2, 5, dtype=torch.float64)
    torch.testing.assert_close(function.shapes(y, (k,))[k], function.shapes(y, tuple(range(5)))[k])


def test_softplus_far_out():
    far = torch.tensor([-50.0, -21.0, 21.0, 35.0, 45.0, 800.0], dtype=torch.float64)
    value = activation("softplus").function.shapes(far, (0,))[0]
    expected = torch.maximum(far, torch.zeros_like(far)) + torch.log1p(torch.exp(-far.abs()))
    torch.testing.assert_close(value, expected, rtol=1e-15, atol=0)


def test_relu():
    function = activation("relu").function
    y = torch.tensor([-1.5, 0.0, 2.0], dtype=torch.float64)
    shapes = function.shapes(y, (0, 1))
    assert shapes[0].tolist() == [0.0, 0.0, 2.0]
    assert shapes[1].tolist() == [0.0, 0.0, 1.0]
    with pytest.raises(PinnsolveError, match="relu has derivatives to order 1, not 2"):
        jets.compose_affine(function, y[:, None], torch.ones(1, 1, dtype=torch.float64), ((2,),))


@pytest.mark.parametrize("dimension", INNER)
@pytest.mark.parametrize("name", FUNCTIONS)
def test_composition(name, dimension):
    function, symbolic = FUNCTIONS[name]
    alphas = jets.indices_to_order(dimension, 4)
    if dimension == 3:  # sympy is slow: the mixed ones of order four, and some others
        alphas = jets.closure(((2, 1, 1), (0, 0, 4), (1, 2, 0)))
    points = points_in(dimension)
    inner = sympy_jet(INNER[dimension], points, alphas)
    found = jets.compose(function, inner, alphas)
    assert_same_jet(found, sympy_jet(symbolic(INNER[dimension]), points, alphas), 1e-10)


def test_composition_of_some_targets_and_plus():
    points, alphas = points_in(2), jets.indices_to_order(2, 4)
    function, _ = FUNCTIONS["tanh"]
    inner = sympy_jet(INNER[2], points, alphas)
    other = sympy_jet(sp.cos(SYMBOLS[0] + 2 * SYMBOLS[1]), points, alphas)
    full = jets.compose(function, inner, alphas)
    some = ((1, 3), (0, 2))
    found = jets.compose(function, inner, some, plus=other)
    assert tuple(found) == some
    for alpha in some:
        torch.testing.assert_close(found[alpha], full[alpha] + other[alpha], rtol=1e-13, atol=1e-13)


def test_compose_affine_is_compose():
    points = points_in(2)
    slopes = torch.tensor([[1.5, -0.7, 2.0], [-0.3, 0.9, 0.1]], dtype=torch.float64)
    value = points @ slopes + 0.2
    alphas = jets.indices_to_order(2, 4)
    affine = {(0, 0): value, (1, 0): slopes[0].expand_as(value), (0, 1): slopes[1].expand_as(value)}
    for name in ("tanh", "gaussian", "exp"):
        function, _ = FUNCTIONS[name]
        found = jets.compose_affine(function, value, slopes, alphas)
        assert_same_jet(found, jets.compose(function, affine, alphas))


@pytest.mark.parametrize("dimension", INNER)
def test_product(dimension):
    points, alphas = points_in(dimension), jets.indices_to_order(dimension, 4)
    left, right = INNER[dimension], sp.exp(SYMBOLS[0] - SYMBOLS[dimension - 1] ** 2)
    found = jets.multiply(sympy_jet(left, points, alphas), sympy_jet(right, points, alphas), alphas)
    assert_same_jet(found, sympy_jet(left * right, points, alphas))


exponents = st.lists(st.tuples(st.integers(0, 1), st.integers(0, 3), st.integers(0, 3)), min_size=1, max_size=3)


def jet_of_polynomial(monomials: list[tuple[int, int, int]], points: torch.Tensor, alphas: jets.Indices) -> jets.Jet:
    """sum of (c + 1) x^a y^b by products of the coordinates' jets."""
    x = jets.coordinates(points)
    total: jets.Jet = {}
    for c, a, b in monomials:
        power = {(0, 0): points.new_full(points.shape[:1], c + 1.0)}
        for factor in (x[0],) * a + (x[1],) * b:
            power = jets.multiply(power, factor, alphas)
        total = jets.add(total, power)
    return total


@given(exponents)
@settings(max_examples=25, deadline=None)
def test_polynomials_from_coordinates(monomials):
    points, alphas = points_in(2, 3), jets.indices_to_order(2, 4)
    expression = sum((c + 1) * SYMBOLS[0] ** a * SYMBOLS[1] ** b for c, a, b in monomials)
    assert_same_jet(jet_of_polynomial(monomials, points, alphas), sympy_jet(sp.sympify(expression), points, alphas))


@given(exponents, exponents)
@settings(max_examples=25, deadline=None)
def test_exponential_of_a_sum_is_the_product(first, second):
    points, alphas = points_in(2, 3), jets.indices_to_order(2, 4)
    u, v = (jets.scale(jet_of_polynomial(m, points, alphas), 0.1) for m in (first, second))
    together = jets.compose(jets.EXPONENTIAL, jets.add(u, v), alphas)
    apart = jets.multiply(*(jets.compose(jets.EXPONENTIAL, jet, alphas) for jet in (u, v)), alphas)
    assert_same_jet(together, apart, 1e-11)


def test_reciprocal_undoes_the_product():
    points, alphas = points_in(2), jets.indices_to_order(2, 4)
    u = sympy_jet(INNER[2], points, alphas)
    one = jets.multiply(u, jets.compose(jets.RECIPROCAL, u, alphas), alphas)
    assert_same_jet(one, {(0, 0): torch.ones(6, dtype=torch.float64)}, 1e-12)


def test_every_activation_is_tested_here():
    assert set(ACTIVATIONS) == {*FUNCTIONS, "relu"} - {"exp", "reciprocal"}
