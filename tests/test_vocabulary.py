"""Names, definitions and constants of expressions: what is known where, what is refused, how fast."""

from __future__ import annotations

from fractions import Fraction

import pytest

from pinnsolve.errors import ExpressionError
from pinnsolve.language.constants import evaluate
from pinnsolve.language.expansion import Budget, constant_value, resolve
from pinnsolve.language.syntax import parse
from pinnsolve.language.vocabulary import Scope, close_match, signature

SCOPE = Scope(
    coordinates=("t", "x", "y"),
    time="t",
    unknowns=("u", "v"),
    parameters=("nu",),
    definitions={"hat(s)": "max(0, 1 - abs(s))", "bump": "hat(x)*u", "inside": "x < 0.5"},
    operators=("memory",),
)


def problems(text: str, scope: Scope = SCOPE, **options) -> list[ExpressionError]:
    return resolve(parse(text), scope, **options)[1]


# -- names ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "offset", "words"),
    [
        ("niu*u", 0, "did you mean `nu`?"),
        ("2*Pi", 2, "did you mean `pi`?"),
        ("sinn(x)", 0, "did you mean `sin`?"),
        ("ln(x)", 0, "`log`"),
        ("pow(x, 2)", 0, "`a**b`"),
        ("q", 0, "known here: t, x, y, nu"),
        ("u(t, x)", 0, "write `u`"),
        ("-u(t - 1)", 1, "at another time or place (a delay, a value elsewhere) cannot be stated"),
        ("v(0, x, y)", 0, "at another time or place"),
        ("D(u, x, 0.5)", 8, "a derivative of fractional order cannot be stated"),
        ("x(1)", 0, "`x*(...)`"),
        ("sin", 0, "`sin(...)`"),
        ("sin(x, y)", 0, "takes 1 argument, not 2"),
        ("atan2(x)", 0, "takes 2 arguments, not 1"),
        ("hat", 0, "`hat(s)`"),
        ("hat(1, 2)", 0, "takes 1 argument, not 2"),
        ("bump(x)", 0, "takes no arguments"),
        ("D(u)", 0, "`D(u, x)`"),
        ("D(u, z)", 5, "the coordinates are t, x, y"),
        ("D(u, u)", 5, "`u` is not a coordinate"),
        ("D(u, 2)", 5, "not a coordinate"),
        ("D(u, x, 2, 2)", 11, "not a coordinate"),
        ("D(u, x, 5)", 0, "beyond order 4"),
        ("D(D(u, x, 3), t, t)", 2, "beyond order 4"),
        ("laplacian(laplacian(D(u, x)))", 20, "beyond order 4"),
        ("D(memory(u), x)", 2, "not known"),
        ("memory(u + v)", 7, "an unknown itself"),
        ("where(x, 1, 2)", 6, "comparison is expected"),
        ("where(x < 1, 1)", 0, "takes 3 arguments"),
        ("x < 1", 0, "`where(comparison, a, b)`"),
        ("1 + (x < 1)", 5, "`where(comparison, a, b)`"),
        ("inside + 1", 0, "comparison where a number"),
        ("[u, v]", 0, "a vector where a number is expected"),
        ("div(u)", 4, "`div([a, b])`"),
        ("div([u, v, u])", 4, "3 components, space has 2"),
        ("bessel_j(x, x)", 9, "whole number"),
        ("W", 0, "term_weights"),
        ("n_x", 0, "only on a boundary"),
        ("Dn(u)", 0, "only on a boundary"),
    ],
)
def test_wrong_names(text, offset, words):
    (error,) = problems(text)
    assert error.offset == offset
    assert words in f"{error.message} {error.hint}"


def test_all_wrong_names_come_at_once():
    assert [e.offset for e in problems("aa + sin(bb)*D(cc, zz)")] == [0, 9, 15, 19]


def test_names_of_other_places():
    assert problems("W**(-1/2)", Scope(width=True)) == []
    assert problems("n_x*Dn(u)", Scope(("x",), None, ("u",), normals=True)) == []
    assert "n_t" in problems("n_t", Scope(("t", "x"), "t", normals=True))[0].message
    assert "cannot stand here" in problems("u", Scope(("x",), elsewhere=("u",)))[0].message


def test_where_keys_take_comparisons():
    assert problems("inside and not (x > 2 or y == 1)", kind="boolean") == []
    assert problems("0 < x < 1", kind="boolean") == []
    assert problems("x + 1", kind="boolean")


def test_close_match_ignores_case():
    assert close_match("RE", ("Re", "nu")) == "Re"
    assert close_match("zzz", ("Re", "nu")) is None


# -- definitions ----------------------------------------------------------------------------------------------


def test_signatures():
    assert signature("hat(s, r)") == ("hat", ("s", "r"))
    assert signature(" hat ") == ("hat", None)
    for wrong in ("hat(", "2hat", "hat()", "hat(s, s)", "hat(1)", "a b", "", "f(g(x))", "é"):
        with pytest.raises(ExpressionError):
            signature(wrong)


def test_definitions_are_put_in():
    node, found = resolve(parse("hat(t + 1)"), SCOPE)
    assert found == []
    assert evaluate(node, {"t": Fraction(-1, 2)}) == Fraction(1, 2)


def test_arguments_shadow_other_names():
    scope = Scope(coordinates=("x",), definitions={"f(x)": "x + 1", "g(s)": "f(s)*f(2*s)", "s": "100"})
    node, found = resolve(parse("g(x)"), scope)
    assert found == []
    assert evaluate(node, {"x": Fraction(3)}) == 4 * 7


def test_a_definition_may_differentiate_by_its_argument():
    scope = Scope(coordinates=("t", "x"), unknowns=("u",), definitions={"flux(s)": "D(u**2, s)"})
    assert problems("flux(x)", scope) == []
    assert "by coordinates" in problems("flux(x + t)", scope)[0].message


def test_recursion_is_refused():
    assert "uses itself" in problems("f(x)", Scope(("x",), definitions={"f(s)": "f(s - 1)"}))[0].message
    loop = {"a": "b + 1", "b": "c + 1", "c": "a + 1"}
    assert "a -> b -> c -> a" in problems("a", Scope(definitions=loop))[0].message


def test_growth_is_refused():
    towers = {f"a{i + 1}": f"a{i}*a{i}" for i in range(30)} | {"a0": "x + x"}
    assert "too large" in problems("a30", Scope(("x",), definitions=towers))[0].message
    nested = Scope(("x",), definitions={"f(s)": "s*s + s"})
    assert "too large" in problems("f(" * 30 + "x" + ")" * 30, nested)[0].message


def test_what_a_definition_uses_must_be_known_where_it_is_used():
    scope = Scope(("x",), None, ("u",), definitions={"flux": "n_x*D(u, x)"})
    assert "n_x" in problems("1 + flux", scope)[0].message


def test_derivatives_of_large_products_are_refused():
    product = "*".join(f"(u + {i})" for i in range(100))
    assert "too large" in problems(f"D({product}, x, 2)")[0].message
    budget = Budget(100)
    assert problems("D(u*v, x)", budget=budget) == []
    assert "too large" in problems("D((u + 1)*(v + 2)*(u + 3), x, x)", budget=budget)[0].message


# -- constants ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text",
    [
        "9**9**9**9",
        "2**(10**9)",
        "1.0000001**(10**9)",
        "1/0",
        "0**-1",
        "log(0)",
        "sqrt(-1)",
        "(-8)**(1/3)",
        "exp(1000)",
        "1e300*1e300",
        "asin(2)",
        "x*(1/0)",
        "x + 0*log(0)",
        "where(x < 1, 1/0, x)",
        "nan",
        "inf",
        "bessel_j(0, 1e9)",
    ],
)
def test_constants_without_a_value(text):
    assert problems(text)


@pytest.mark.parametrize("text", ["(2*x)**(10**9)", "(1 + x)**100000", "((2*x)**1000)**1000", "x**(-1e6)", "x**nu"])
def test_powers_that_exact_arithmetic_cannot_hold(text):
    assert "power is too large" in problems(text, values={"nu": Fraction(10**9)})[0].message


def test_constant_functions():
    assert constant_value("where(1 < 2, 3, 1/0)") == 3
    assert constant_value("max(1, 2, 3) + min(1, 2) + floor(-1.5) + sign(-3) + heaviside(0)") == 1.5
    assert constant_value("bessel_j(0, 2.404825557695773)") == pytest.approx(0, abs=1e-14)
    assert constant_value("bessel_j(3, 5)") == pytest.approx(0.3648312306136669)
    assert constant_value("2*k", {"k": Fraction(1, 3)}) == pytest.approx(2 / 3)
    assert constant_value(1e-6) == 1e-6
    for wrong in ("x", float("nan"), float("inf"), "1 < 2"):
        with pytest.raises(ExpressionError):
            constant_value(wrong)
