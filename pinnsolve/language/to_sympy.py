"""Text to sympy, and back.

Input: the text of an expression, equation or condition, or its checked tree, and the `Scope` of names it may use.
Output: sympy expressions in which unknowns and their derivatives are feature symbols (see `symbols`), everything else a
real symbol. A text is parsed by our grammar, checked against a list of known names, and built node by node; nothing in
it is ever executed.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import sympy as sp

from pinnsolve.errors import ExpressionError
from pinnsolve.language.complex_numbers import (
    PartsError,
    conjugate,
    equations_of,
    modulus,
    parts,
    real_part,
)
from pinnsolve.language.components import component_names
from pinnsolve.language.derivatives import SizeError, partial_derivative
from pinnsolve.language.expansion import constant_value, directions_of, resolve
from pinnsolve.language.from_sympy import to_text
from pinnsolve.language.substitution import substituted
from pinnsolve.language.symbols import (
    DerivativeError,
    IntegralSymbol,
    coordinate_symbol,
    feature_symbol,
    total_derivative,
)
from pinnsolve.language.syntax import Call, Chain, Name, Node, Number, Power, Unary, Vector, parse, parse_equation
from pinnsolve.language.vocabulary import INTEGRALS, Scope

Fluxes = tuple[tuple[int, sp.Expr, sp.Expr], ...]
Mark = tuple[sp.Symbol, int, sp.Expr]  # a symbol, the axis of the derivative it marks, what is differentiated

__all__ = [
    "Fluxes",
    "Scope",
    "boolean",
    "constant_value",
    "equation",
    "equation_sides",
    "expression",
    "fluxes",
    "from_tree",
    "real_from_tree",
    "residuals",
    "to_text",
]


def expression(text: str, scope: Scope) -> sp.Expr:
    """The expression of a text, complex where `scope` lets it be. Raises `ExpressionError` with the offset."""
    return from_tree(_resolved(parse(text), scope), scope)


def equation(text: str, scope: Scope) -> sp.Expr:
    """The residual, left side minus right side, of an equation. Raises `ExpressionError`."""
    left, right = equation_sides(text, scope)
    return left - right


def equation_sides(text: str, scope: Scope) -> tuple[sp.Expr, sp.Expr]:
    """Both sides of an equation, which has exactly one `=`. Raises `ExpressionError`."""
    left, right = (from_tree(_resolved(side, scope), scope) for side in parse_equation(text))
    return left, right


def boolean(text: str, scope: Scope) -> sp.Basic:
    """The condition of a `where:` key: a sympy relational or a combination of them. Raises `ExpressionError`."""
    return from_tree(_resolved(parse(text), scope, "boolean"), scope)


def _resolved(tree: Node, scope: Scope, kind: str = "number") -> Node:
    node, problems = resolve(tree, scope, kind)
    if problems:
        raise problems[0]
    return node


# -- trees ----------------------------------------------------------------------------------------------------


def from_tree(tree: Node, scope: Scope, marks: list[Mark] | None = None) -> sp.Basic:
    """The expression of a checked tree without definitions. Raises `ExpressionError` where it has no finite value.

    With `marks`, every derivative has a symbol added that tells its place, noted there; see `fluxes`.
    """
    result = _Builder(scope, marks).build(tree)
    never = (sp.nan, sp.zoo, sp.oo, -sp.oo) if scope.complex_unknowns else (sp.nan, sp.zoo, sp.oo, -sp.oo, sp.I)
    if isinstance(result, sp.Expr) and result.has(*never):
        found = "a division by zero" if scope.complex_unknowns or not result.has(sp.I) else "a complex number"
        raise ExpressionError(f"the expression holds {found}", tree.offset)
    return result


def real_from_tree(tree: Node, scope: Scope, what: str) -> sp.Basic:
    """The same for `what` must be real, or a comparison. Raises `ExpressionError`."""
    found = from_tree(tree, scope)
    try:
        return real_part(found, what) if isinstance(found, sp.Expr) else found
    except PartsError as error:
        raise ExpressionError(str(error), tree.offset, "take `re(...)`, `im(...)` or `abs(...)` of it") from None


def residuals(sides: tuple[Node, Node], scope: Scope) -> tuple[sp.Expr, ...]:
    """Left side minus right side of an equation whose sides are checked trees.

    One residual as a rule, and two of a complex equation: its real and its imaginary part. Raises `ExpressionError`.
    """
    left, right = (from_tree(side, scope) for side in sides)
    return _real_residuals(left - right, sides[0].offset)


def _real_residuals(
    residual: sp.Expr, offset: int, nothing: dict[sp.Symbol, sp.Expr] | None = None
) -> tuple[sp.Expr, ...]:
    try:
        return equations_of(residual, nothing)
    except PartsError as error:
        raise ExpressionError(str(error), offset) from None


def fluxes(sides: tuple[Node, Node], scope: Scope) -> tuple[Fluxes, ...]:
    """By residual, the derivatives in it as (axis, coefficient, differentiated expression), in the order of its text.

    `k*D(k*D(u, x), x)` has (0, k, k u_x): where a material ends, k u_x goes on, whatever becomes of k. Raises
    `ExpressionError`.
    """
    marks: list[Mark] = []
    left, right = (from_tree(side, scope, marks) for side in sides)
    nothing = {mark: sp.S.Zero for mark, _, _ in marks}
    found = _real_residuals(left - right, sides[0].offset, nothing)
    return tuple(_fluxes(r, marks, nothing) for r in found)


def _fluxes(residual: sp.Expr, marks: list[Mark], nothing: dict[sp.Symbol, sp.Expr]) -> Fluxes:
    found = []
    for mark, axis, inner in marks:
        coefficient = partial_derivative(residual, mark)
        if coefficient != 0:
            found.append((axis, substituted(coefficient, nothing), substituted(inner, nothing)))
    return tuple(found)


class _Builder:
    """Builds the sympy expression of a tree node by node; see `from_tree`."""

    def __init__(self, scope: Scope, marks: list[Mark] | None = None):
        self.scope, self.marks = scope, marks
        self.zero = (0,) * len(scope.coordinates)

    def build(self, node: Node) -> sp.Basic:
        try:
            return self.dispatch(node)
        except (DerivativeError, SizeError, PartsError) as error:
            raise ExpressionError(str(error), node.offset) from None
        except RecursionError:
            raise ExpressionError("nested too deeply", node.offset) from None
        except (ValueError, TypeError, ArithmeticError, AttributeError, NotImplementedError):
            # what sympy says of, for instance, a comparison of complex numbers
            raise ExpressionError("this has no real value", node.offset) from None

    def dispatch(self, node: Node) -> sp.Basic:
        match node:
            case Number():
                return sp.Rational(node.value.numerator, node.value.denominator)
            case Name():
                return self.name(node.name)
            case Call():
                return self.call(node)
            case Chain():
                operands = [self.build(operand) for operand in node.operands]
                if node.operators[0] in _RELATIONS:
                    operands = [self.real(a, "what is compared") for a in operands]
                return _CHAINS[node.operators[0]](node.operators, operands)
            case Power():
                return sp.Pow(self.build(node.base), self.build(node.exponent))
            case Unary():
                inner = self.build(node.operand)
                return sp.Not(inner) if node.operator == "not" else -inner
        raise ExpressionError("a vector `[...]` stands only in `div` and `advect`", node.offset)

    def name(self, name: str) -> sp.Expr:
        if name in self.scope.complex_unknowns:
            one, two = (feature_symbol(component, self.zero) for component in component_names(name))
            return one + sp.I * two
        if name in self.scope.unknowns:
            return feature_symbol(name, self.zero)
        if name in self.scope.complex_parameters:
            one, two = map(coordinate_symbol, component_names(name))
            return one + sp.I * two
        if name in self.scope.symbols:
            return coordinate_symbol(name)
        if name in self.scope.functions:
            known = self.scope.functions[name]
            return known.function(*map(self.name, known.arguments))
        return {"pi": sp.pi, "e": sp.E, "i": sp.I}[name]

    def real(self, a: sp.Expr, what: str) -> sp.Expr:
        return real_part(a, what) if self.scope.complex_unknowns else a

    def call(self, node: Call) -> sp.Expr:
        name = node.name
        if name in self.scope.operators:
            return self.operated(name, node.arguments[0].name)
        if name in INTEGRALS:
            return self.integral(node)
        if name in _DERIVATIVES:
            return _DERIVATIVES[name](self, node)
        arguments = [self.build(argument) for argument in node.arguments]
        if self.scope.complex_unknowns and name in _OF_COMPLEX:
            return _OF_COMPLEX[name](arguments[0])
        if name in self.scope.functions or name in _OF_REALS:
            arguments = [self.real(a, f"the argument of `{name}`") for a in arguments]
        if name in self.scope.functions:
            return self.scope.functions[name].function(*arguments)
        return _FUNCTIONS[name](*arguments)

    def operated(self, operator: str, unknown: str) -> sp.Expr:
        """A custom operator of an unknown; of a complex one, being linear, of both parts."""
        if unknown not in self.scope.complex_unknowns:
            return feature_symbol(unknown, self.zero, operator=operator)
        one, two = (feature_symbol(c, self.zero, operator=operator) for c in component_names(unknown))
        return one + sp.I * two

    def integral(self, node: Call) -> sp.Expr:
        """The symbol of an integral; derivatives inside are not those of the equation, and get no marks."""
        place = node.arguments[1].name if len(node.arguments) > 1 else ""
        # on a boundary there are normals, wherever the integral stands
        integrand = _Builder(replace(self.scope, normals=True)).build(node.arguments[0])
        one, two = parts(integrand) if self.scope.complex_unknowns else (integrand, sp.S.Zero)
        over = "" if place == "domain" else place, self.scope.space
        real, imaginary = (sp.S.Zero if a == 0 else IntegralSymbol(node.name, a, *over) for a in (one, two))
        return real + sp.I * imaginary if imaginary != 0 else real

    # -- derivatives --

    def derivative(self, a: sp.Expr, coordinate: str) -> sp.Expr:
        axis = self.scope.coordinates.index(coordinate)
        result = total_derivative(a, axis, self.scope.coordinates)
        if self.marks is None:
            return result
        for factor, part in zip((sp.S.One, sp.I), parts(a), strict=True):
            if part != 0:
                mark = sp.Symbol(f"derivative {len(self.marks)}", real=True)
                self.marks.append((mark, axis, part))
                result += factor * mark
        return result

    def d(self, node: Call) -> sp.Expr:
        result = self.build(node.arguments[0])
        for coordinate in directions_of(node, self.scope.coordinates):
            result = self.derivative(result, coordinate)
        return result

    def laplacian(self, node: Call) -> sp.Expr:
        a = self.build(node.arguments[0])
        return sp.Add(*(self.derivative(self.derivative(a, x), x) for x in self.scope.space))

    def grad_dot(self, node: Call) -> sp.Expr:
        a, b = (self.build(argument) for argument in node.arguments)
        return sp.Add(*(self.derivative(a, x) * self.derivative(b, x) for x in self.scope.space))

    def div(self, node: Call) -> sp.Expr:
        parts = self.vector(node.arguments[0])
        return sp.Add(*(self.derivative(a, x) for a, x in zip(parts, self.scope.space, strict=True)))

    def advect(self, node: Call) -> sp.Expr:
        parts, w = self.vector(node.arguments[0]), self.build(node.arguments[1])
        return sp.Add(*(a * self.derivative(w, x) for a, x in zip(parts, self.scope.space, strict=True)))

    def normal(self, node: Call) -> sp.Expr:
        a = self.build(node.arguments[0])
        return sp.Add(*(coordinate_symbol(f"n_{x}") * self.derivative(a, x) for x in self.scope.space))

    def vector(self, node: Node) -> list[sp.Expr]:
        assert isinstance(node, Vector)  # the check of names has seen to that
        return [self.build(item) for item in node.items]


_DERIVATIVES: dict[str, Callable[[_Builder, Call], sp.Expr]] = {
    "D": _Builder.d,
    "laplacian": _Builder.laplacian,
    "grad_dot": _Builder.grad_dot,
    "div": _Builder.div,
    "advect": _Builder.advect,
    "Dn": _Builder.normal,
}


# -- operators and functions --------------------------------------------------------------------------------


def _sum(operators: tuple[str, ...], operands: list[sp.Expr]) -> sp.Expr:
    signs = ("+", *operators)
    return sp.Add(*(a if sign == "+" else -a for sign, a in zip(signs, operands, strict=True)))


def _product(operators: tuple[str, ...], operands: list[sp.Expr]) -> sp.Expr:
    signs = ("*", *operators)
    return sp.Mul(*(a if sign == "*" else 1 / a for sign, a in zip(signs, operands, strict=True)))


_RELATIONS = {"<": sp.Lt, "<=": sp.Le, ">": sp.Gt, ">=": sp.Ge, "==": sp.Eq, "!=": sp.Ne}


def _comparison(operators: tuple[str, ...], operands: list[sp.Expr]) -> sp.Basic:
    pairs = zip(operators, operands, operands[1:], strict=False)
    return sp.And(*(_relation(operator, a, b) for operator, a, b in pairs))


def _relation(operator: str, a: sp.Expr, b: sp.Expr) -> sp.Basic:
    # evaluating a relation of symbols asks for the sign of the difference, which can take sympy seconds
    return _RELATIONS[operator](a, b, evaluate=bool(a.is_number and b.is_number))


_CHAINS: dict[str, Callable] = {
    **dict.fromkeys(("+", "-"), _sum),
    **dict.fromkeys(("*", "/"), _product),
    **dict.fromkeys(_RELATIONS, _comparison),
    "and": lambda operators, operands: sp.And(*operands),
    "or": lambda operators, operands: sp.Or(*operands),
}


def _extremum(function: type) -> Callable[..., sp.Expr]:
    def build(*arguments: sp.Expr) -> sp.Expr:
        different = tuple(dict.fromkeys(arguments))
        if len(different) == 1:
            return different[0]
        try:
            # evaluating compares every pair by its assumptions, which can take sympy seconds
            return function(*different, evaluate=all(a.is_number for a in different))
        except ValueError:  # numbers that sympy cannot tell apart
            return function(*different, evaluate=False)

    return build


def _where(condition: sp.Basic, a: sp.Expr, b: sp.Expr) -> sp.Expr:
    if condition in (sp.true, sp.false):
        return a if condition == sp.true else b
    return sp.Piecewise((a, condition), (b, True), evaluate=False)


_OF_COMPLEX: dict[str, Callable[[sp.Expr], sp.Expr]] = {
    "re": lambda a: parts(a)[0],
    "im": lambda a: parts(a)[1],
    "conj": conjugate,
    "abs": modulus,
}
_OF_REALS = ("asin", "acos", "atan", "atan2", "sign", "max", "min", "floor", "erf", "bessel_j", "heaviside")
_FUNCTIONS: dict[str, Callable[..., sp.Expr]] = {
    "sin": sp.sin,
    "cos": sp.cos,
    "tan": sp.tan,
    "asin": sp.asin,
    "acos": sp.acos,
    "atan": sp.atan,
    "atan2": sp.atan2,
    "sinh": sp.sinh,
    "cosh": sp.cosh,
    "tanh": sp.tanh,
    "exp": sp.exp,
    "log": sp.log,
    "sqrt": sp.sqrt,
    "abs": lambda a: sp.Abs(a, evaluate=bool(a.is_number)),  # sympy simplifies signs of nested max for seconds
    "sign": sp.sign,
    "max": _extremum(sp.Max),
    "min": _extremum(sp.Min),
    "floor": sp.floor,
    "erf": sp.erf,
    "bessel_j": sp.besselj,
    "heaviside": sp.Heaviside,
    "where": _where,
}
