"""Constant sub-expressions: their value, and the refusal of those that have none.

Input: a syntax tree without definitions and the values of named constants. Output: a number, exact (a fraction) where
it can be; an `ExpressionError` for what is not a finite real number of ordinary size, found without computing it. So
`9**9**9**9`, `1/0`, `log(0)` and `sqrt(-1)` never reach exact arithmetic. Standard library only.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from fractions import Fraction

from pinnsolve.errors import ExpressionError
from pinnsolve.language.syntax import COMPARISONS, Call, Chain, Name, Node, Number, Power, Unary, children

Value = Fraction | float

MAX_BITS = 8_192  # of an exact number
MAX_POWER = 10_000  # of something that is not constant, powers of powers multiplied


def constant_problems(node: Node, values: Mapping[str, Value]) -> Iterator[ExpressionError]:
    """The problems of the constant sub-expressions and the powers of a tree; the first of each kind."""
    try:
        evaluate(node, values)
        _check_powers(node, values, 1)
    except ExpressionError as error:
        yield error


def evaluate(node: Node, values: Mapping[str, Value]) -> Value | bool | None:
    """The value of a tree, or None where it is not constant. Raises `ExpressionError` for a part without a value."""
    match node:
        case Number():
            return node.value
        case Name():
            return values.get(node.name, _CONSTANTS.get(node.name))
        case Call(name="where"):
            return _where(node, values)
        case Call() if node.name in _FUNCTIONS:
            found = [evaluate(argument, values) for argument in node.arguments]
            return None if None in found else _compute(node, _FUNCTIONS[node.name], found)
        case Power():
            found = [evaluate(node.base, values), evaluate(node.exponent, values)]
            return None if None in found else _compute(node, _power, found)
        case Unary():
            inner = evaluate(node.operand, values)
            return None if inner is None else (not inner if node.operator == "not" else -inner)
        case Chain():
            return _chain(node, values)
    for child in children(node):
        evaluate(child, values)
    return None


def _where(node: Call, values: Mapping[str, Value]) -> Value | None:
    condition = evaluate(node.arguments[0], values)
    if condition is not None:  # the branch not taken may be undefined: that is what `where` is for
        return evaluate(node.arguments[1 if condition else 2], values)
    for branch in node.arguments[1:]:
        evaluate(branch, values)
    return None


def _chain(node: Chain, values: Mapping[str, Value]) -> Value | bool | None:
    """Constant operands are put together even between others: `1/0*x` is refused."""
    found = [evaluate(operand, values) for operand in node.operands]
    if node.operators[0] in COMPARISONS:
        if None in found:
            return None
        pairs = zip(node.operators, found, found[1:], strict=False)
        return all(COMPARE[operator](a, b) for operator, a, b in pairs)
    if node.operators[0] in ("and", "or"):
        decisive = node.operators[0] == "or"
        return decisive if decisive in found else None if None in found else not decisive
    total: Value = Fraction(1 if node.operators[0] in "*/" else 0)
    for operator, value in zip((_FIRST[node.operators[0]], *node.operators), found, strict=True):
        if value is not None:
            total = _compute(node, _ARITHMETIC[operator], [total, value])
    return None if None in found else total


def _compute(node: Node, function: Callable, arguments: list) -> Value:
    """A function of numbers, with every way of having no value turned into an `ExpressionError`."""
    try:
        value = function(*arguments)
        as_float = float(value)
    except ZeroDivisionError:
        raise ExpressionError("a division by zero", node.offset) from None
    except OverflowError:
        raise ExpressionError("the number is too large", node.offset, "numbers go up to about 1e308") from None
    except (ValueError, TypeError):
        raise ExpressionError("not a real number", node.offset, "as the square root or logarithm of -1") from None
    if math.isnan(as_float) or math.isinf(as_float):
        raise ExpressionError("not a finite number", node.offset)
    if isinstance(value, Fraction) and value.numerator.bit_length() + value.denominator.bit_length() > MAX_BITS:
        raise ExpressionError("the exact number has too many digits", node.offset)
    return value


def _power(base: Value, exponent: Value) -> Value:
    if isinstance(exponent, Fraction) and exponent.denominator == 1 and isinstance(base, Fraction):
        if base in (0, 1, -1):
            return base ** int(exponent % 2 + 2 if abs(base) == 1 else exponent)
        bits = max(base.numerator.bit_length(), base.denominator.bit_length())
        if bits * abs(exponent) > MAX_BITS:
            raise OverflowError
        return base ** int(exponent)
    value = float(base) ** float(exponent)
    if isinstance(value, complex):
        raise ValueError
    return value


def _floor(value: Value) -> Fraction:
    return Fraction(math.floor(value))


def _sign(value: Value) -> Fraction:
    return Fraction((value > 0) - (value < 0))


def _heaviside(value: Value) -> Fraction:
    return Fraction(1, 2) + _sign(value) / 2


def _bessel_j(order: Value, x: Value) -> float:
    """J_n(x) = 1/pi times the integral of cos(n s - x sin s) over 0..pi (Abramowitz & Stegun 9.1.21).

    The trapezoidal rule converges geometrically once it resolves the oscillation.
    """
    if order < 0 or order > 1000 or abs(x) > 1e5:
        raise OverflowError
    n = int(order + abs(x)) + 50
    angles = (math.pi * (k + 0.5) / n for k in range(n))
    return sum(math.cos(float(order) * s - float(x) * math.sin(s)) for s in angles) / n


_CONSTANTS: dict[str, Value] = {"pi": math.pi, "e": math.e}
_FIRST = {"+": "+", "-": "+", "*": "*", "/": "*"}
_ARITHMETIC: dict[str, Callable] = {
    "+": lambda a, b: a + b,
    "-": lambda a, b: a - b,
    "*": lambda a, b: a * b,
    "/": lambda a, b: a / b,
}
COMPARE: dict[str, Callable] = {
    "<": lambda a, b: a < b,
    "<=": lambda a, b: a <= b,
    ">": lambda a, b: a > b,
    ">=": lambda a, b: a >= b,
    "==": lambda a, b: a == b,
    "!=": lambda a, b: a != b,
}
_MATH = ("sin", "cos", "tan", "asin", "acos", "atan", "atan2", "sinh", "cosh", "tanh", "exp", "log", "sqrt", "erf")
_FUNCTIONS: dict[str, Callable] = {
    **{name: getattr(math, name) for name in _MATH},
    "abs": abs,
    "sign": _sign,
    "floor": _floor,
    "heaviside": _heaviside,
    "max": max,
    "min": min,
    "bessel_j": _bessel_j,
}


def _check_powers(node: Node, values: Mapping[str, Value], outside: int | Value) -> None:
    """Refuse powers such as `(2*x)**(10**9)`, whose numerical factors no exact arithmetic can hold.

    `outside` is the product of the constant exponents around the node.
    """
    if isinstance(node, Power) and evaluate(node.base, values) is None:
        exponent = evaluate(node.exponent, values)
        factor = outside if exponent is None else outside * max(1, abs(exponent))
        if factor > MAX_POWER:
            message = f"the power is too large: at most {MAX_POWER}, powers of powers multiplied"
            raise ExpressionError(message, node.exponent.offset)
        _check_powers(node.base, values, factor)
        _check_powers(node.exponent, values, 1)
        return
    for child in children(node):
        _check_powers(child, values, outside)
