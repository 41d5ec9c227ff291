"""Expressions evaluated by torch against Python's math and scipy, at points drawn here."""

from __future__ import annotations

import math

import pytest
import scipy.special
import sympy as sp
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from pinnsolve.language.symbols import coordinate_symbol
from pinnsolve.language.to_sympy import Scope, boolean, expression
from pinnsolve.language.to_torch import Evaluator, tensor_function
from pinnsolve.language.vocabulary import FUNCTIONS

SCOPE = Scope(coordinates=("x", "y"))
X, Y = coordinate_symbol("x"), coordinate_symbol("y")
PLACES = [(-0.83, 0.41), (-0.29, -0.67), (0.0, 0.13), (0.37, 0.37), (0.91, -0.05), (1 / 3, 2.5)]


def evaluate(*texts: str, dtype=torch.float64) -> list[torch.Tensor]:
    """The texts at PLACES, together, each (6,)."""
    columns = torch.tensor(PLACES, dtype=dtype).T
    results = Evaluator([expression(text, SCOPE) for text in texts])({X: columns[0], Y: columns[1]})
    return [torch.as_tensor(r, dtype=dtype).expand(len(PLACES)) for r in results]


def expected(function) -> torch.Tensor:
    return torch.tensor([function(x, y) for x, y in PLACES], dtype=torch.float64)


def sign(a: float) -> float:
    return float((a > 0) - (a < 0))


def heaviside(a: float) -> float:
    return 0.5 * (1 + sign(a))


# each function of the language, by Python; the arguments lie where it is defined
BY_PYTHON = {
    "sin(2*x)": lambda x, y: math.sin(2 * x),
    "cos(x - y)": lambda x, y: math.cos(x - y),
    "tan(x)": lambda x, y: math.tan(x),
    "asin(x)": lambda x, y: math.asin(x),
    "acos(x)": lambda x, y: math.acos(x),
    "atan(3*y)": lambda x, y: math.atan(3 * y),
    "sinh(y)": lambda x, y: math.sinh(y),
    "cosh(y)": lambda x, y: math.cosh(y),
    "tanh(y)": lambda x, y: math.tanh(y),
    "exp(-y)": lambda x, y: math.exp(-y),
    "log(1 + abs(y))": lambda x, y: math.log(1 + abs(y)),
    "sqrt(1 + x)": lambda x, y: math.sqrt(1 + x),
    "abs(x)": lambda x, y: abs(x),
    "sign(x)": lambda x, y: sign(x),
    "floor(5*y)": lambda x, y: math.floor(5 * y),
    "erf(y)": lambda x, y: math.erf(y),
    "heaviside(x)": lambda x, y: heaviside(x),
    "atan2(y, x)": lambda x, y: math.atan2(y, x),
    "bessel_j(0, 3*y)": lambda x, y: scipy.special.jv(0, 3 * y),
    "bessel_j(2, y)": lambda x, y: scipy.special.jv(2, y),
    "max(x, y)": max,
    "min(x, y)": min,
    # with numbers
    "max(x, 1/3, y)": lambda x, y: max(x, 1 / 3, y),
    "min(0.1, x)": lambda x, y: min(0.1, x),
    "max(0, 1 - abs(x - 0.25)/0.15)": lambda x, y: max(0, 1 - abs(x - 0.25) / 0.15),
    "max(1, 2)*x": lambda x, y: 2 * x,
    "atan2(1, x)": lambda x, y: math.atan2(1, x),
    "atan2(y, -2)": lambda x, y: math.atan2(y, -2),
    "where(x < 0.5, 1/3, 0.1)": lambda x, y: 1 / 3 if x < 0.5 else 0.1,
    "where(x < 0, 1, 0)/3": lambda x, y: (x < 0) / 3,
    "log(where(x < 0.5, 2, 3))": lambda x, y: math.log(2 if x < 0.5 else 3),
    "heaviside(where(x < 0, 1, 0))": lambda x, y: 1.0 if x < 0 else 0.5,
    # what sympy makes of them
    "tan(y + pi/2)": lambda x, y: math.tan(y + math.pi / 2),
    "where(where(x < 0, 1, 0) > 0.5, x, y)": lambda x, y: x if x < 0 else y,
    "where(where(x < 0, y, x) < 0.2, x, y)": lambda x, y: x if (y if x < 0 else x) < 0.2 else y,
    "where(x < 0, x, where(y < 0, y, 7))": lambda x, y: x if x < 0 else (y if y < 0 else 7),
    "where(x < y < 0.5 or not (y < 0.2 and x > 0.1), x, y)": lambda x, y: (
        x if x < y < 0.5 or not (y < 0.2 and x > 0.1) else y
    ),
    "where(x == 0, 4, x)": lambda x, y: 4 if x == 0 else x,
    "where(x != 0, x, 4)": lambda x, y: 4 if x == 0 else x,
    "where(pi - 3*y < x - pi, x, y)": lambda x, y: x if math.pi - 3 * y < x - math.pi else y,  # sympy: no end
    "abs(x)**x": lambda x, y: abs(x) ** x,
    "1/sqrt(2 + x)": lambda x, y: 1 / math.sqrt(2 + x),
    "(1 + x)**(-7/3)": lambda x, y: (1 + x) ** (-7 / 3),
    "2**y": lambda x, y: 2**y,
    # numbers that sympy keeps exact, inside functions and shared between summands
    "sin(sqrt(2))*x + sqrt(2)*y + exp(sqrt(2))": lambda x, y: (
        math.sin(math.sqrt(2)) * x + math.sqrt(2) * y + math.exp(math.sqrt(2))
    ),
    "cos(sin(1/3))*x + sin(1/3)": lambda x, y: math.cos(math.sin(1 / 3)) * x + math.sin(1 / 3),
    "max(x, sin(1/3)) + sin(1/3)": lambda x, y: max(x, math.sin(1 / 3)) + math.sin(1 / 3),
    "bessel_j(0, sqrt(2))*x + sqrt(2)": lambda x, y: scipy.special.jv(0, math.sqrt(2)) * x + math.sqrt(2),
    "10**30*x": lambda x, y: 1e30 * x,
    "pi*e": lambda x, y: math.pi * math.e,
    "2/3": lambda x, y: 2 / 3,
    "7": lambda x, y: 7,
}


def test_every_function_of_the_language_is_here():
    assert {name for name in FUNCTIONS if not any(f"{name}(" in text for text in BY_PYTHON)} == set()


@pytest.mark.parametrize("text", BY_PYTHON)
def test_a_function_is_what_python_says(text):
    (found,) = evaluate(text)
    assert found.dtype == torch.float64
    torch.testing.assert_close(found, expected(BY_PYTHON[text]), rtol=1e-13, atol=1e-15)


@pytest.mark.parametrize("text", BY_PYTHON)
def test_single_precision_stays_single(text):
    x, y = torch.tensor(PLACES, dtype=torch.float32).T
    (found,) = Evaluator([expression(text, SCOPE)])({X: x, Y: y})
    if isinstance(found, torch.Tensor):
        assert found.dtype == torch.float32


@pytest.mark.parametrize("text", BY_PYTHON)
def test_symbols_may_be_numbers(text):
    e = expression(text, SCOPE)
    for x, y in PLACES[:2]:
        for values in ({X: x, Y: y}, {X: torch.tensor(x, dtype=torch.float64), Y: y}):
            found = float(Evaluator([e])(values)[0])
            assert found == pytest.approx(BY_PYTHON[text](x, y), rel=1e-13)


def test_expressions_that_share_parts_are_evaluated_together_as_they_are_alone():
    texts = [t for t in BY_PYTHON if "where" not in t]
    texts += [f"({t})*sin(x*y)**2 + exp(sin(x*y))/sqrt(2)" for t in texts]
    for alone, together in zip((evaluate(t)[0] for t in texts), evaluate(*texts), strict=True):
        torch.testing.assert_close(together, alone, rtol=1e-13, atol=1e-15)


def test_parts_are_shared():
    shared = expression("sin(x*y)**2 + sin(x*y)", SCOPE)
    calls = []

    class Counted(torch.Tensor):
        @classmethod
        def __torch_function__(cls, func, types, args=(), kwargs=None):
            calls.append(func)
            return super().__torch_function__(func, types, args, kwargs or {})

    x = torch.linspace(0, 1, 3, dtype=torch.float64).as_subclass(Counted)
    tensor_function([shared], [X, Y])(x, x)
    assert calls.count(torch.sin) == 1


@pytest.mark.parametrize(
    ("text", "by_python"),
    [
        ("x <= 0.5", lambda x, y: x <= 0.5),
        ("x <= 0.5 and y > 0 and x > -0.5", lambda x, y: x <= 0.5 and y > 0 and x > -0.5),
        ("x <= 0.5 or y > 0 or x*y > 1", lambda x, y: x <= 0.5 or y > 0 or x * y > 1),
        ("not (x < 0 and not y < 0)", lambda x, y: not (x < 0 and not y < 0)),
        ("-0.5 < x < y", lambda x, y: -0.5 < x < y),
        ("x**2 + y**2 < sqrt(2)/2", lambda x, y: x**2 + y**2 < math.sqrt(2) / 2),
        ("where(x < 0, 1, 0) == 1", lambda x, y: x < 0),
    ],
)
def test_conditions(text, by_python):
    x, y = torch.tensor(PLACES, dtype=torch.float64).T
    (found,) = Evaluator([boolean(text, SCOPE)])({X: x, Y: y})
    assert found.dtype == torch.bool
    assert found.tolist() == [by_python(*place) for place in PLACES]


def test_bessel_functions_are_differentiable():
    values = torch.linspace(-3.0, 4.0, 6, dtype=torch.float64, requires_grad=True)
    for order in (0, 3):
        evaluator = Evaluator([sp.besselj(order, X)])
        assert torch.autograd.gradcheck(lambda v, f=evaluator: f({X: v})[0], (values,))


# -- any expression -------------------------------------------------------------------------------------------


class Tie(Exception):
    """A jump so near that rounding decides the side."""


def apart(a: float) -> float:
    if abs(a) < 1e-9:
        raise Tie
    return a


def floor(a: float) -> float:
    apart(a - round(a))
    return math.floor(a)


LEAVES = st.one_of(
    st.just(("x", lambda x, y: x)),
    st.just(("y", lambda x, y: y)),
    st.just(("pi", lambda x, y: math.pi)),
    st.integers(0, 9).map(lambda n: (f"{n}", lambda x, y: float(n))),
    st.tuples(st.integers(1, 9), st.integers(1, 9)).map(lambda q: (f"({q[0]}/{q[1]})", lambda x, y: q[0] / q[1])),
    st.floats(0.01, 9, allow_nan=False).map(lambda a: (f"{a:.3f}", lambda x, y: float(f"{a:.3f}"))),
)
UNARY = {
    "sin({})": math.sin,
    "cos({})": math.cos,
    "atan({})": math.atan,
    "tanh({})": math.tanh,
    "asin(0.9*tanh({}))": lambda a: math.asin(0.9 * math.tanh(a)),
    "acos(0.9*tanh({}))": lambda a: math.acos(0.9 * math.tanh(a)),
    "cosh(sin({}))": lambda a: math.cosh(math.sin(a)),
    "sinh(cos({}))": lambda a: math.sinh(math.cos(a)),
    "exp(sin({}))": lambda a: math.exp(math.sin(a)),
    "log(1 + abs({}))": lambda a: math.log(1 + abs(a)),
    "sqrt(abs({}))": lambda a: math.sqrt(abs(apart(a))),
    "abs({})": abs,
    "sign({})": lambda a: sign(apart(a)),
    "floor({})": floor,
    "heaviside({})": lambda a: heaviside(apart(a)),
    "erf({})": math.erf,
    "bessel_j(1, {})": lambda a: float(scipy.special.jv(1, a)),
    "-({})": lambda a: -a,
    "({})**2": lambda a: a**2,
    "(1/10 + ({})**2)**(-1)": lambda a: 1 / (0.1 + a**2),
}
BINARY = {
    "({}) + ({})": lambda a, b: a + b,
    "({}) - ({})": lambda a, b: a - b,
    "({}) * ({})": lambda a, b: a * b,
    "({})/(1 + ({})**2)": lambda a, b: a / (1 + b**2),
    "max({}, {})": max,
    "min({}, {})": min,
}


def composed(inner: st.SearchStrategy) -> st.SearchStrategy:
    def unary(item):
        (form, f), (text, g) = item
        return form.format(text), lambda x, y: f(g(x, y))

    def binary(item):
        (form, f), (left, g), (right, h) = item
        return form.format(left, right), lambda x, y: f(g(x, y), h(x, y))

    def angle(item):
        (left, f), (right, g) = item
        return f"atan2(2 + x + sin({left}), {right})", lambda x, y: math.atan2(2 + x + math.sin(f(x, y)), g(x, y))

    def choice(item):
        (left, f), (right, g), (yes, h), (no, k) = item
        return (
            f"where({left} < {right}, {yes}, {no})",
            lambda x, y: h(x, y) if apart(f(x, y) - g(x, y)) < 0 else k(x, y),
        )

    return st.one_of(
        st.tuples(st.sampled_from(sorted(UNARY.items())), inner).map(unary),
        st.tuples(st.sampled_from(sorted(BINARY.items())), inner, inner).map(binary),
        st.tuples(inner, inner).map(angle),
        st.tuples(inner, inner, inner, inner).map(choice),
    )


@settings(max_examples=150, deadline=None)
@given(st.recursive(LEAVES, composed, max_leaves=8))
def test_whatever_is_composed_of_them_is_what_python_says(pair):
    text, by_python = pair
    (found,) = evaluate(text)
    for place, value in zip(PLACES, found.tolist(), strict=True):
        try:
            true = by_python(*place)
        except Tie:
            continue
        assert value == pytest.approx(true, rel=1e-8, abs=1e-8), place
