"""The grammar: what is read, what is refused, where the caret goes, and that hostile text is refused in no time."""

from __future__ import annotations

import math
from fractions import Fraction

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from pinnsolve.errors import ExpressionError
from pinnsolve.language.constants import evaluate
from pinnsolve.language.expansion import constant_value, exact_value, resolve
from pinnsolve.language.syntax import MAX_DEPTH, Call, Chain, Name, Number, Power, Unary, parse, parse_equation
from pinnsolve.language.vocabulary import CALLABLE, Scope, name_problems

SCOPE = Scope(
    coordinates=("t", "x", "y"),
    time="t",
    unknowns=("u", "v"),
    parameters=("nu",),
    definitions={"hat(s)": "max(0, 1 - abs(s))", "bump": "hat(x)*u", "inside": "x < 0.5"},
    operators=("memory",),
)


# -- reading --------------------------------------------------------------------------------------------------


def test_precedence_and_associativity():
    assert exact_value("2 + 3*4 - 10/4") == Fraction(23, 2)
    assert exact_value("-2**2") == -4
    assert exact_value("2**-1") == Fraction(1, 2)
    assert exact_value("2**3**2") == 512
    assert exact_value("8/4/2") == 1
    assert exact_value("8 - 4 - 2") == 2
    assert exact_value("--3") == 3
    assert exact_value("2*-3") == -6
    assert exact_value("+3") == 3


def test_numbers_are_exact():
    assert exact_value("0.1 + 0.2") == Fraction(3, 10)
    assert exact_value("1e-3") == Fraction(1, 1000)
    assert exact_value(".5") == exact_value("5.e-1") == Fraction(1, 2)
    assert exact_value("1/3 + 1/6") == Fraction(1, 2)


def test_e_is_a_number_and_a_name():
    assert constant_value("e") == pytest.approx(math.e)
    assert constant_value("1e3 + e") == pytest.approx(1000 + math.e)


def test_tree_keeps_offsets():
    tree = parse("u + sin(2*x)**2")
    assert tree == Chain(
        ("+",),
        (
            Name("u", 0),
            Power(
                Call("sin", (Chain(("*",), (Number(Fraction(2), 8), Name("x", 10)), 8),), 4),
                Number(Fraction(2), 14),
                4,
            ),
        ),
        0,
    )
    assert parse("not x < 1 and y > 2").operators == ("and",)
    assert parse("not x < 1").operand == Chain(("<",), (Name("x", 4), Number(Fraction(1), 8)), 4)
    assert isinstance(parse("- x"), Unary)


def test_white_space_and_line_breaks_do_not_matter():
    assert name_problems(parse("\n  u\n + \t v\n"), SCOPE) == []


def test_an_equation_has_one_equals_sign():
    left, right = parse_equation("u = where(x == 0, 1, 2)")
    assert left == Name("u", 0)
    assert right.name == "where"


@pytest.mark.parametrize(
    ("text", "offset", "words"),
    [
        ("u", None, "no `=`"),
        ("u == 1", 0, "single `=`"),
        ("u = v = 1", 6, "second `=`"),
        ("x < 0.5", 0, "comparison where an equation"),
        ("u = x < 0.5", 4, "comparison where an equation"),
        ("u = ", 3, "ends where a value"),
        ("= 1", 0, "`=` where a value"),
        ("where(x = 0, 1, 2) = 1", 8, "a comparison is `==`"),
    ],
)
def test_wrong_equations(text, offset, words):
    with pytest.raises(ExpressionError) as caught:
        parse_equation(text)
    assert caught.value.offset == offset
    assert words in f"{caught.value.message} {caught.value.hint}"


@pytest.mark.parametrize(
    ("text", "offset", "words"),
    [
        ("2x", 1, "`2*x`"),
        ("x y", 2, "`x*y`"),
        ("(x)(y)", 3, "`*`"),
        ("2(x)", 1, "`*`"),
        ("1 2", 2, "two numbers"),
        ("x^2", 1, "`**`"),
        ("'x'", 0, "quotes"),
        ("__import__('os')", 11, "quotes"),
        ("x.real", 1, "attributes"),
        ("sin(x", 3, "not closed"),
        ("sin(x))", 6, "closes nothing"),
        ("(x, y)", 2, "`)` is expected"),
        ("x +", 3, "ends where a value"),
        ("", 0, "empty"),
        ("x // y", 3, "a quotient is written `/`"),
        ("x; y", 1, "not part"),
        ("x − 1", 2, "minus `-`"),
        ("π*x", 0, "`pi`"),
        ("х + 1", 0, "U+0445"),
        ("x\x00", 1, "control character"),
        ("1e999999999", 0, "out of range"),
        ("9" * 5000, 0, "too many digits"),
        ("x" * 100_000, 0, "too long"),
        ("lambda: 1", 6, "not part"),
        ("x if x else y", 2, "`*`"),
    ],
)
def test_wrong_texts(text, offset, words):
    with pytest.raises(ExpressionError) as caught:
        parse(text)
    assert caught.value.offset == offset
    assert words in f"{caught.value.message} {caught.value.hint}"


@pytest.mark.parametrize(
    "text", ["(" * 9_000 + "x" + ")" * 9_000, "-" * 9_000 + "x", "not " * 4_000 + "x", "x**" * 5_000]
)
def test_deep_nesting_is_refused(text):
    with pytest.raises(ExpressionError, match="too deep"):
        parse(text)


def test_a_long_sum_is_no_deep_tree():
    assert len(parse("+".join(["x"] * 1000)).operands) == 1000
    assert parse("(" * (MAX_DEPTH - 2) + "x" + ")" * (MAX_DEPTH - 2)) == Name("x", MAX_DEPTH - 2)


# -- properties -----------------------------------------------------------------------------------------------

ATOM, POWER, SIGN, PRODUCT, SUM = 5, 4, 3, 2, 1


def _wrapped(part, least):
    text, strength, value = part
    return (text if strength >= least else f"({text})"), value


@st.composite
def _combined(draw, parts):
    """Two or one smaller (text, strength, value) put together with as few parentheses as the grammar allows."""
    kind = draw(st.sampled_from("+-*/^nsc"))
    left, right = draw(parts), draw(parts)
    if kind in "+-":
        (a, f), (b, g) = _wrapped(left, SUM), _wrapped(right, PRODUCT)
        return f"{a} {kind} {b}", SUM, lambda x: f(x) + g(x) if kind == "+" else f(x) - g(x)
    if kind in "*/":
        (a, f), (b, g) = _wrapped(left, PRODUCT), _wrapped(right, SIGN)
        return f"{a}{kind}{b}", PRODUCT, lambda x: f(x) * g(x) if kind == "*" else f(x) / g(x)
    if kind == "^":
        (a, f), (b, g) = _wrapped(left, ATOM), _wrapped(draw(st.sampled_from(_SMALL)), SIGN)
        return f"{a}**{b}", POWER, lambda x: f(x) ** g(x)
    if kind == "n":
        a, f = _wrapped(left, POWER)
        return f"-{a}", SIGN, lambda x: -f(x)
    a, f = left[0], left[2]
    function = {"s": math.sin, "c": math.cosh}[kind]
    return f"{function.__name__}({a})", ATOM, lambda x: function(f(x))


_SMALL = [
    ("2", ATOM, lambda x: 2.0),
    ("-1", SIGN, lambda x: -1.0),
    ("3", ATOM, lambda x: 3.0),
    ("0.5", ATOM, lambda x: 0.5),
]
_LEAVES = [
    ("x", ATOM, lambda x: x),
    ("1.5", ATOM, lambda x: 1.5),
    ("7", ATOM, lambda x: 7.0),
    ("e", ATOM, lambda x: math.e),
]
trees = st.recursive(st.sampled_from(_LEAVES), _combined, max_leaves=25)


@given(trees)
def test_a_tree_written_as_text_is_read_with_the_same_value(tree):
    text, _, value = tree
    try:
        expected = value(0.7)
        assume(not isinstance(expected, complex) and 1e-3 < abs(expected) < 1e6)
    except (ArithmeticError, ValueError, TypeError):  # the last for the sine of a complex number
        assume(False)
    node = parse(text)
    try:
        found = evaluate(node, {"x": 0.7})
    except ExpressionError:  # an intermediate result that is complex, or too large
        assume(False)
    assert float(found) == pytest.approx(expected, rel=1e-6)


PIECES = (
    *CALLABLE,
    *("u", "x", "t", "nu", "W", "e", "pi", "n_x", "hat", "memory", "and", "or", "not", "1", "0", "9", "2.5e3", "1e400"),
    *"+-*/()[],=<>!^.'\"_ \n",
    *("**", "==", "<=", "__import__", "os", "é", "\x00", "\U0001f600", "lambda", ":", "{", "}"),
)
garbage = st.one_of(st.text(max_size=200), st.lists(st.sampled_from(PIECES), max_size=60).map("".join))


@given(garbage)
def test_garbage_is_refused_politely(text):
    for read in (parse, parse_equation):
        try:
            parsed = read(text)
        except ExpressionError:
            continue
        for node in parsed if isinstance(parsed, tuple) else (parsed,):
            for kind in ("number", "boolean"):
                found, errors = resolve(node, SCOPE, kind)
                assert errors or found is not None
