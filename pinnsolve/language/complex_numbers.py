"""The real and the imaginary part of an expression of real symbols and the imaginary unit.

Input: a sympy expression whose symbols are real (coordinates, parameters, features of real unknowns). Output: the two
real expressions. sympy's own `as_real_imag` expands products, and asks for signs, for seconds; here products and
functions go by the rules of complex arithmetic, part by part.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import sympy as sp

from pinnsolve.language.substitution import substituted

MOST_MULTIPLIED = 16  # power up to which products are formed; beyond it, by modulus and argument
MOST_NODES = 20_000  # of both parts
DIGITS, RELATIVE = 40, 1e-25  # by which zero is told
MOST_FACTORS = 8  # complex ones of a product: each doubles the length of both parts

Parts = tuple[sp.Expr, sp.Expr]


class PartsError(ValueError):
    """An expression of which the parts are not known; the message says why."""


def parts(e: sp.Expr) -> Parts:
    """The real and the imaginary part of an expression. Raises `PartsError` where no rule gives them."""
    return _Parts().of(e)


def real_part(e: sp.Expr, what: str) -> sp.Expr:
    """An expression that must be real. Raises `PartsError` with `what` it is, where it is not."""
    a, b = parts(e)
    if not vanishes(b):
        raise PartsError(f"{what} is a real number, and this has an imaginary part")
    return a


def modulus(e: sp.Expr) -> sp.Expr:
    """abs(e): the root of the sum of the squares of both parts."""
    a, b = parts(e)
    return sp.Abs(a, evaluate=bool(a.is_number)) if b == 0 else sp.sqrt(a**2 + b**2)


def conjugate(e: sp.Expr) -> sp.Expr:
    """The complex conjugate."""
    a, b = parts(e)
    return a - sp.I * b


def equations_of(e: sp.Expr, nothing: Mapping[sp.Basic, sp.Expr] | None = None) -> tuple[sp.Expr, ...]:
    """The real expressions that vanish where a complex one does: its parts, without one that is always zero.

    `nothing`: symbols in it that are zero, and are left in the parts.
    """
    a, b = parts(e)
    if b == 0:
        return (a,)
    found = tuple(part for part in (a, b) if not vanishes(substituted(part, nothing or {})))
    return found or (a,)


def vanishes(e: sp.Expr) -> bool:
    """Whether an expression of real symbols is always zero: it is at two places, to many digits.

    To expand it would tell for certain, and takes minutes for a product of powers.
    """
    if e == 0 or not e.free_symbols:
        return e == 0
    return all(_is_zero_at(e, start) for start in (0.137, 0.731))


def _is_zero_at(e: sp.Expr, start: float) -> bool:
    symbols = sorted(e.free_symbols, key=lambda s: s.name)
    place = {s: sp.Float(0.1 + (start + 0.618034 * k) % 1.0, DIGITS) for k, s in enumerate(symbols)}
    values = [part.xreplace(place) for part in sp.Add.make_args(e)]
    if not all(value.is_Float or value.is_Rational for value in values):
        return False
    return bool(abs(sum(values)) <= RELATIVE * sum(map(abs, values)))


class _Parts:
    """The parts of expressions and those inside them, each formed once, and within limits."""

    def __init__(self) -> None:
        self.known: dict[sp.Expr, Parts] = {}
        self.sizes: dict[sp.Basic, int] = {}

    def of(self, e: sp.Expr) -> Parts:
        if not e.has(sp.I):
            return e, sp.S.Zero
        if e == sp.I:
            return sp.S.Zero, sp.S.One
        if e not in self.known:
            self.known[e] = found = self._by_rule(e)
            if sum(map(self.size, found)) > MOST_NODES:
                raise PartsError("too large once real and imaginary part are told apart")
        return self.known[e]

    def size(self, e: sp.Basic) -> int:
        """How many nodes an expression has."""
        if e not in self.sizes:
            self.sizes[e] = 1 + sum(map(self.size, e.args))
        return self.sizes[e]

    def _by_rule(self, e: sp.Expr) -> Parts:
        if isinstance(e, sp.Piecewise):
            branches = [(self.of(value), condition) for value, condition in e.args]
            both = (sp.Piecewise(*((v[k], c) for v, c in branches), evaluate=False) for k in (0, 1))
            return next(both), next(both)
        found = [self.of(a) for a in e.args]
        if e.is_Add:
            return sp.Add(*(a for a, _ in found)), sp.Add(*(b for _, b in found))
        if e.is_Mul:
            return _product(found)
        if isinstance(e, sp.Pow):
            return _power(*found)
        rule = _FUNCTIONS.get(e.func)
        if rule is None:
            raise PartsError(f"`{e.func.__name__}` of a complex number is not known here")
        return rule(*found[0])


def _product(factors: Sequence[Parts]) -> Parts:
    a, b = sp.Mul(*(re for re, im in factors if im == 0)), sp.S.Zero
    truly = [(c, d) for c, d in factors if d != 0]
    if len(truly) > MOST_FACTORS:
        raise PartsError(f"a product of more than {MOST_FACTORS} complex factors is not known here")
    for c, d in truly:
        a, b = a * c - b * d, a * d + b * c
    return a, b


def _whole_power(base: Parts, n: int) -> Parts:
    """(a + i b)^n by the binomial theorem."""
    a, b = base
    found: tuple[list[sp.Expr], list[sp.Expr]] = ([], [])
    for k in range(n + 1):
        sign = -1 if k % 4 > 1 else 1
        found[k % 2].append(sign * sp.binomial(n, k) * a ** (n - k) * b**k)
    return sp.Add(*found[0]), sp.Add(*found[1])


def _quotient(one: Parts, two: Parts) -> Parts:
    (a, b), (c, d) = one, two
    size = c**2 + d**2
    return (a * c + b * d) / size, (b * c - a * d) / size


def _power(base: Parts, exponent: Parts) -> Parts:
    p, q = exponent
    if q == 0 and p.is_Integer and abs(p) <= MOST_MULTIPLIED:
        found = _whole_power(base, abs(int(p)))
        return found if p > 0 else _quotient((sp.S.One, sp.S.Zero), found)
    return _exp(*_product([exponent, _log(*base)]))


def _exp(a: sp.Expr, b: sp.Expr) -> Parts:
    return sp.exp(a) * sp.cos(b), sp.exp(a) * sp.sin(b)


def _log(a: sp.Expr, b: sp.Expr) -> Parts:
    if b == 0 and not a.is_negative:
        return sp.log(a), sp.S.Zero
    return sp.log(a**2 + b**2) / 2, sp.atan2(b, a)


def _sin(a: sp.Expr, b: sp.Expr) -> Parts:
    return sp.sin(a) * sp.cosh(b), sp.cos(a) * sp.sinh(b)


def _cos(a: sp.Expr, b: sp.Expr) -> Parts:
    return sp.cos(a) * sp.cosh(b), -sp.sin(a) * sp.sinh(b)


def _sinh(a: sp.Expr, b: sp.Expr) -> Parts:
    return sp.sinh(a) * sp.cos(b), sp.cosh(a) * sp.sin(b)


def _cosh(a: sp.Expr, b: sp.Expr) -> Parts:
    return sp.cosh(a) * sp.cos(b), sp.sinh(a) * sp.sin(b)


_FUNCTIONS: dict[type, Callable[[sp.Expr, sp.Expr], Parts]] = {
    sp.exp: _exp,
    sp.log: _log,
    sp.sin: _sin,
    sp.cos: _cos,
    sp.tan: lambda a, b: _quotient(_sin(a, b), _cos(a, b)),
    sp.sinh: _sinh,
    sp.cosh: _cosh,
    sp.tanh: lambda a, b: _quotient(_sinh(a, b), _cosh(a, b)),
}
