"""sympy to text of our language, so that what a text means can be written down and read again.

Input: an expression of feature symbols, coordinates and the functions of the language. Output: text that parses back to
an equal expression; a function that the language lacks raises `ExpressionError`.
"""

from __future__ import annotations

import sympy as sp
from sympy.printing.precedence import PRECEDENCE, precedence
from sympy.printing.str import StrPrinter

from pinnsolve.errors import ExpressionError
from pinnsolve.language.symbols import FeatureSymbol, IntegralSymbol
from pinnsolve.language.tabulated import Tabulated


def to_text(expression: sp.Basic, coordinates: tuple[str, ...], imaginary: bool = False) -> str:
    """The expression in the language of problem files: `u`, `D(u, x, x)`, `where(x < 1, a, b)`.

    `imaginary`: whether there is an imaginary unit, `i`. Raises `ExpressionError` for what the language cannot say.
    """
    return _Printer(coordinates, imaginary).doprint(expression)


_NAMES = {
    sp.Abs: "abs",
    sp.re: "re",
    sp.im: "im",
    sp.conjugate: "conj",
    sp.Max: "max",
    sp.Min: "min",
    sp.besselj: "bessel_j",
    **{getattr(sp, name): name for name in ("sin", "cos", "tan", "asin", "acos", "atan", "atan2")},
    **{getattr(sp, name): name for name in ("sinh", "cosh", "tanh", "exp", "log", "sign", "floor", "erf")},
}
# functions that sympy's own rules can bring in, by those that the language has
_BY_OTHERS = {
    sp.cot: "(1/tan({}))",
    sp.sec: "(1/cos({}))",
    sp.csc: "(1/sin({}))",
    sp.coth: "(1/tanh({}))",
    sp.sech: "(1/cosh({}))",
    sp.csch: "(1/sinh({}))",
    sp.acot: "atan(1/({}))",
    sp.asinh: "log(({0}) + sqrt(({0})**2 + 1))",
    sp.acosh: "log(({0}) + sqrt(({0})**2 - 1))",
    sp.atanh: "(log((1 + ({0}))/(1 - ({0})))/2)",
    sp.erfc: "(1 - erf({}))",
}


class _Printer(StrPrinter):
    def __init__(self, coordinates: tuple[str, ...], imaginary: bool = False):
        super().__init__({"full_prec": True})
        self.coordinates, self.imaginary = coordinates, imaginary

    def _print_Symbol(self, symbol: sp.Symbol) -> str:
        if isinstance(symbol, IntegralSymbol):
            place = f", {symbol.place}" if symbol.place else ""
            return f"{symbol.kind}({self._print(symbol.integrand)}{place})"
        if not isinstance(symbol, FeatureSymbol):
            return symbol.name
        feature = symbol.feature
        if feature.operator is not None:
            return f"{feature.operator}({feature.unknown})"
        letters = [c for c, count in zip(self.coordinates, feature.alpha, strict=True) for _ in range(count)]
        return f"D({', '.join([feature.unknown, *letters])})" if letters else feature.unknown

    _print_FeatureSymbol = _print_Symbol

    def _print_Function(self, f: sp.Function) -> str:
        arguments = ", ".join(map(self._print, f.args))
        if isinstance(f, Tabulated):
            return self._table(f, arguments)
        if isinstance(f, sp.Heaviside):
            return f"heaviside({self._print(f.args[0])})"
        if isinstance(f, sp.ceiling):
            return f"(-floor(-({arguments})))"
        for kind, name in _NAMES.items():
            if isinstance(f, kind):
                return f"{name}({arguments})"
        for kind, form in _BY_OTHERS.items():
            if isinstance(f, kind):
                return form.format(arguments)
        raise ExpressionError(f"the language has no function `{f.func.__name__}`")

    def _table(self, f: Tabulated, arguments: str) -> str:
        letters = [s.name for s, order in zip(f.args, f.orders, strict=True) for _ in range(order) if s.is_Symbol]
        if len(letters) < sum(f.orders) or not set(letters) <= set(self.coordinates) or len(set(f.args)) < len(f.args):
            raise ExpressionError(f"a derivative of `{f.table_name}` by its argument alone")
        call = f"{f.table_name}({arguments})"
        return f"D({', '.join([call, *letters])})" if letters else call

    _print_Heaviside = _print_besselj = _print_LatticeOp = _print_Function

    def _print_Piecewise(self, f: sp.Piecewise) -> str:
        *branches, (last, condition) = f.args
        if condition != sp.true:
            raise ExpressionError("a piecewise expression without a value everywhere")
        text = self._print(last)
        for value, condition in reversed(branches):
            text = f"where({self._print(condition)}, {self._print(value)}, {text})"
        return text

    def _print_Relational(self, relation: sp.core.relational.Relational) -> str:
        sides = (self.parenthesize(side, PRECEDENCE["Relational"] + 1) for side in relation.args)
        return f" {relation.rel_op} ".join(sides)

    def _print_And(self, f: sp.And) -> str:
        return self._joined(f, " and ")

    def _print_Or(self, f: sp.Or) -> str:
        return self._joined(f, " or ")

    def _joined(self, f: sp.Basic, word: str) -> str:
        return word.join(f"({self._print(a)})" for a in sorted(f.args, key=str))

    def _print_Not(self, f: sp.Not) -> str:
        return f"not ({self._print(f.args[0])})"

    def _print_ITE(self, f: sp.ITE) -> str:
        condition, a, b = (self._print(part) for part in f.args)
        return f"(({condition}) and ({a})) or (not ({condition}) and ({b}))"

    def _print_BooleanTrue(self, f: sp.Basic) -> str:
        return "0 < 1"

    def _print_BooleanFalse(self, f: sp.Basic) -> str:
        return "1 < 0"

    def _print_Exp1(self, f: sp.Basic) -> str:
        return "e"

    def _print_ImaginaryUnit(self, f: sp.Basic) -> str:
        return "i" if self.imaginary else self._no_number(f)

    def _print_Float(self, f: sp.Float) -> str:
        text = repr(float(f))
        return f"({text})" if precedence(f) < PRECEDENCE["Atom"] and text.startswith("-") else text

    def _print_Derivative(self, f: sp.Derivative) -> str:
        raise ExpressionError("a derivative of something that is no unknown")

    _print_Subs = _print_Integral = _print_Derivative

    def emptyPrinter(self, f: sp.Basic) -> str:
        raise ExpressionError(f"the language has no `{type(f).__name__}`")

    _print_Basic = emptyPrinter

    def _no_number(self, f: sp.Basic) -> str:
        raise ExpressionError(f"`{f}` is not a finite real number")

    _print_Infinity = _print_NegativeInfinity = _print_ComplexInfinity = _print_NaN = _no_number
