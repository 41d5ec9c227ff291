"""sympy -> bounds: what an expression can be in a box, and what its slopes can be, by interval arithmetic.

Input: an expression of coordinates, and boxes. Output: numbers between which its values and partial derivatives lie in
every box (Moore, Kearfott & Cloud, Introduction to Interval Analysis, SIAM 2009, chapters 5 and 6). Samples can miss
what happens between them; bounds cannot. Rounding is not followed: bounds are for looking, not for proofs.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import reduce
from operator import add, mul

import sympy as sp
import torch
from sympy.core.relational import Relational
from torch import Tensor

INF = math.inf


@dataclass(frozen=True)
class Bounds:
    """`low`, `high`: (N,) of the values in N boxes; `below`, `above`: (N, d) of the slopes, jumps left out."""

    low: Tensor
    high: Tensor
    below: Tensor
    above: Tensor

    def __add__(self, other: Bounds) -> Bounds:
        low, high = _sum(self.low, other.low, -INF), _sum(self.high, other.high, INF)
        return Bounds(low, high, _sum(self.below, other.below, -INF), _sum(self.above, other.above, INF))

    def __mul__(self, other: Bounds) -> Bounds:
        one = _product(self.below, self.above, other.low[:, None], other.high[:, None])
        two = _product(other.below, other.above, self.low[:, None], self.high[:, None])
        slopes = (_sum(a, b, inf) for a, b, inf in zip(one, two, (-INF, INF), strict=True))
        return Bounds(*_product(self.low, self.high, other.low, other.high), *slopes)

    def chained(self, low: Tensor, high: Tensor, slope: tuple[Tensor, Tensor]) -> Bounds:
        """Of a function of this, whose values and slope lie between these."""
        slope = _ordered(*slope)
        return Bounds(*_ordered(low, high), *_product(self.below, self.above, slope[0][:, None], slope[1][:, None]))

    def hull(self, other: Bounds, where: Tensor) -> Bounds:
        """Round both in the boxes `where` (N,); this one elsewhere."""
        return Bounds(
            torch.where(where, torch.minimum(self.low, other.low), self.low),
            torch.where(where, torch.maximum(self.high, other.high), self.high),
            torch.where(where[:, None], torch.minimum(self.below, other.below), self.below),
            torch.where(where[:, None], torch.maximum(self.above, other.above), self.above),
        )

    def instead(self, other: Bounds, where: Tensor) -> Bounds:
        """The other one in the boxes `where` (N,)."""
        pairs = [(self.low, other.low, where), (self.high, other.high, where)]
        pairs += [(self.below, other.below, where[:, None]), (self.above, other.above, where[:, None])]
        return Bounds(*(torch.where(there, b, a) for a, b, there in pairs))


def _ordered(low: Tensor, high: Tensor) -> tuple[Tensor, Tensor]:
    """What is no number is between infinities."""
    return torch.nan_to_num(low, -INF, INF, -INF), torch.nan_to_num(high, INF, INF, -INF)


def _sum(a: Tensor, b: Tensor, undecided: float) -> Tensor:
    return torch.nan_to_num(a + b, undecided, INF, -INF)


def _product(a: Tensor, b: Tensor, c: Tensor, d: Tensor) -> tuple[Tensor, Tensor]:
    """[a, b] [c, d]; nothing times infinity is nothing."""
    every = torch.nan_to_num(torch.stack([a * c, a * d, b * c, b * d]), 0.0, INF, -INF)
    low, high = torch.aminmax(every, dim=0)
    return low, high


class BoundsEvaluator:
    """The bounds of an expression: `evaluator(lower (N, d), upper (N, d))`, d coordinates in the order of `symbols`.

    `given`: bounds of other symbols, numbers. What is not known to it lies between infinities.
    """

    def __init__(self, expression: sp.Expr, symbols: Sequence[sp.Symbol], given=None):
        self.expression, self.symbols, self.given = expression, tuple(symbols), dict(given or {})

    def __call__(self, lower: Tensor, upper: Tensor) -> Bounds:
        return _Walk(self, lower, upper).bounds(self.expression)


class _Walk:
    """One evaluation: bounds of the parts of an expression, each once."""

    def __init__(self, evaluator: BoundsEvaluator, lower: Tensor, upper: Tensor):
        self.like = lower[:, 0] if lower.shape[1] else lower.new_zeros(len(lower))
        self.flat = torch.zeros_like(lower)
        self.known: dict[sp.Basic, Bounds] = {}
        for i, symbol in enumerate(evaluator.symbols):
            slope = self.flat.clone()
            slope[:, i] = 1.0
            self.known[symbol] = Bounds(lower[:, i], upper[:, i], slope, slope)
        for symbol, (low, high) in evaluator.given.items():
            self.known[symbol] = self.between(low, high)

    def between(self, low: float, high: float) -> Bounds:
        """Values between two numbers, without slope."""
        return Bounds(torch.full_like(self.like, low), torch.full_like(self.like, high), self.flat, self.flat)

    def anything(self) -> Bounds:
        return Bounds(
            torch.full_like(self.like, -INF), torch.full_like(self.like, INF),
            torch.full_like(self.flat, -INF), torch.full_like(self.flat, INF),
        )  # fmt: skip

    def bounds(self, e: sp.Expr) -> Bounds:
        found = self.known.get(e)
        if found is None:
            found = self.known[e] = self._bounds(e)
        return found

    def _bounds(self, e: sp.Expr) -> Bounds:
        if e.is_number:
            value = float(e) if e.is_real else INF
            return self.between(value, value) if math.isfinite(value) else self.anything()
        if isinstance(e, sp.Add | sp.Mul):
            first, *others = map(self.bounds, e.args)
            return reduce(add if isinstance(e, sp.Add) else mul, others, first)
        if isinstance(e, sp.Pow):
            return self._power(*e.args)
        if isinstance(e, sp.Max | sp.Min):
            return self._extremum(e)
        if isinstance(e, sp.Piecewise):
            return self._piecewise(e)
        if isinstance(e, sp.atan2):
            return self._angle(*map(self.bounds, e.args))
        if isinstance(e, sp.besselj):
            one = torch.ones_like(self.like)
            return self.bounds(e.args[1]).chained(-one, one, (-one, one))
        other = _BY_OTHERS.get(type(e))
        if other is not None:
            return self.bounds(other(e.args[0]))
        function = _FUNCTIONS.get(type(e))
        return self.anything() if function is None else function(self.bounds(e.args[0]))

    def _power(self, base: sp.Expr, exponent: sp.Expr) -> Bounds:
        if not exponent.is_number:
            return self.bounds(sp.exp(exponent * sp.log(base), evaluate=False))
        a, p = self.bounds(base), float(exponent)
        if base == sp.E:
            return _FUNCTIONS[sp.exp](self.bounds(exponent))
        if not exponent.is_Integer:
            a = Bounds(a.low.clamp_min(0.0), a.high.clamp_min(0.0), a.below, a.above)
        low, high = _powers(a.low, a.high, p)
        least, most = _powers(a.low, a.high, p - 1.0)
        return a.chained(low, high, (p * least, p * most) if p > 0 else (p * most, p * least))

    def _extremum(self, e: sp.Expr) -> Bounds:
        sign = 1.0 if isinstance(e, sp.Max) else -1.0
        unit = self.between(sign, sign)
        result = self.bounds(e.args[0]) * unit
        for part in e.args[1:]:
            other = self.bounds(part) * unit
            both = result.hull(other, (result.high > other.low) & (other.high > result.low))
            slopes = both.instead(other, other.low >= result.high)
            result = Bounds(torch.maximum(result.low, other.low), torch.maximum(result.high, other.high),
                            slopes.below, slopes.above)  # fmt: skip
        return result * unit

    def _piecewise(self, e: sp.Piecewise) -> Bounds:
        reached = torch.ones_like(self.like, dtype=torch.bool)  # boxes where no condition before holds everywhere
        taken = torch.zeros_like(reached)
        result = None
        for value, condition in e.args:
            always, sometimes = self.truth(condition)
            here, now = self.bounds(value), reached & sometimes
            result = here if result is None else result.hull(here, now & taken).instead(here, now & ~taken)
            taken, reached = taken | now, reached & ~always
        return result

    def _angle(self, y: Bounds, x: Bounds) -> Bounds:
        corners = torch.stack([torch.atan2(b, a) for b in (y.low, y.high) for a in (x.low, x.high)])
        cut = (y.low <= 0) & (y.high >= 0) & (x.low <= 0)
        low = torch.where(cut, -math.pi, corners.amin(dim=0))
        high = torch.where(cut, math.pi, corners.amax(dim=0))
        square = _inverse(x * x + y * y)
        minus = self.between(-1.0, -1.0)
        slope_y = (x * square, y * square * minus)
        flat = [
            _product(b.below, b.above, s.low[:, None], s.high[:, None]) for b, s in zip((y, x), slope_y, strict=True)
        ]
        return Bounds(low, high, _sum(flat[0][0], flat[1][0], -INF), _sum(flat[0][1], flat[1][1], INF))

    def truth(self, condition: sp.Basic) -> tuple[Tensor, Tensor]:
        """(N,) bool twice: where a condition holds everywhere in a box, and where it may hold somewhere."""
        if condition in (sp.true, sp.false):
            known = torch.full_like(self.like, condition == sp.true, dtype=torch.bool)
            return known, known
        if isinstance(condition, sp.Not):
            always, sometimes = self.truth(condition.args[0])
            return ~sometimes, ~always
        if isinstance(condition, sp.ITE):
            test, yes, no = condition.args
            return self.truth(sp.Or(sp.And(test, yes), sp.And(sp.Not(test), no)))
        if isinstance(condition, sp.And | sp.Or):
            pairs = [self.truth(part) for part in condition.args]
            join = torch.all if isinstance(condition, sp.And) else torch.any
            always, sometimes = (join(torch.stack([pair[i] for pair in pairs]), dim=0) for i in (0, 1))
            return always, sometimes
        if isinstance(condition, Relational):
            return _compared(condition, self.bounds(condition.lhs - condition.rhs))
        unknown = torch.zeros_like(self.like, dtype=torch.bool)
        return unknown, ~unknown


def _compared(relation: Relational, d: Bounds) -> tuple[Tensor, Tensor]:
    match relation:
        case sp.Lt():
            return d.high < 0, d.low < 0
        case sp.Le():
            return d.high <= 0, d.low <= 0
        case sp.Gt():
            return d.low > 0, d.high > 0
        case sp.Ge():
            return d.low >= 0, d.high >= 0
    equal = (d.low == 0) & (d.high == 0), (d.low <= 0) & (d.high >= 0)
    return equal if isinstance(relation, sp.Eq) else (~equal[1], ~equal[0])


# -- functions of one argument --------------------------------------------------------------------------------------


def _powers(low: Tensor, high: Tensor, p: float) -> tuple[Tensor, Tensor]:
    """The range of x**p, x in [low, high]; of a fractional p, x is not negative."""
    if p == 0:
        return torch.ones_like(low), torch.ones_like(high)
    a, b = low**p, high**p
    even = p % 2 == 0
    crosses = (low < 0) & (high > 0)
    smallest, largest = torch.minimum(a, b), torch.maximum(a, b)
    if p < 0:
        pole = (low <= 0) & (high >= 0)
        smallest = torch.where(pole, 0.0 * low if even else -INF, smallest)
        return torch.where((low >= 0) & pole, torch.nan_to_num(b, 0.0), smallest), torch.where(pole, INF, largest)
    return (torch.where(crosses, 0.0, smallest) if even else smallest), largest


def _inverse(a: Bounds) -> Bounds:
    low, high = _powers(a.low, a.high, -1.0)
    two = _powers(a.low, a.high, -2.0)
    return a.chained(low, high, (-two[1], -two[0]))


def _monotone(value: Callable, slope: Callable) -> Callable[[Bounds], Bounds]:
    """A growing function; `slope(low, high)`: the range of its derivative."""
    return lambda a: a.chained(value(a.low), value(a.high), slope(a.low, a.high))


def _bell(value: Callable) -> Callable:
    """The range of an even function that falls with the distance from zero."""

    def range_of(low: Tensor, high: Tensor) -> tuple[Tensor, Tensor]:
        near = torch.where((low <= 0) & (high >= 0), 0.0, torch.minimum(low.abs(), high.abs()))
        return value(torch.maximum(low.abs(), high.abs())), value(near)

    return range_of


def _waves(low: Tensor, high: Tensor, top: float) -> tuple[Tensor, Tensor]:
    """The range of a cosine whose tops are at `top` + 2 pi k."""

    def holds(place: float) -> Tensor:  # place + 2 pi k for some k
        return torch.floor((high - place) / (2 * math.pi)) >= torch.ceil((low - place) / (2 * math.pi))

    a, b = torch.cos(low - top), torch.cos(high - top)
    wide = ~((high - low) < 2 * math.pi)
    return (
        torch.where(wide | holds(top + math.pi), -1.0, torch.minimum(a, b)),
        torch.where(wide | holds(top), 1.0, torch.maximum(a, b)),
    )


def _sine(a: Bounds) -> Bounds:
    return a.chained(*_waves(a.low, a.high, math.pi / 2), _waves(a.low, a.high, 0.0))


def _cosine(a: Bounds) -> Bounds:
    return a.chained(*_waves(a.low, a.high, 0.0), _waves(a.low, a.high, -math.pi / 2))


def _tangent(a: Bounds) -> Bounds:
    pole = torch.floor(a.low / math.pi + 0.5) != torch.floor(a.high / math.pi + 0.5)
    low = torch.where(pole, -INF, torch.tan(a.low))
    high = torch.where(pole, INF, torch.tan(a.high))
    squares = _powers(low, high, 2.0)
    return a.chained(low, high, (1.0 + squares[0], 1.0 + squares[1]))


def _cosh(a: Bounds) -> Bounds:
    far, near = _bell(lambda x: x)(a.low, a.high)
    return a.chained(torch.cosh(near), torch.cosh(far), (torch.sinh(a.low), torch.sinh(a.high)))


def _absolute(a: Bounds) -> Bounds:
    far, near = _bell(lambda x: x)(a.low, a.high)
    return a.chained(near, far, (torch.where(a.low >= 0, 1.0, -1.0), torch.where(a.high <= 0, -1.0, 1.0)))


def _stepping(value: Callable) -> Callable[[Bounds], Bounds]:
    """A function that is constant between its jumps."""

    def bounds(a: Bounds) -> Bounds:
        flat = torch.zeros_like(a.below)
        return Bounds(value(a.low), value(a.high), flat, flat)

    return bounds


def _arcs(value: Callable, sign: float) -> Callable[[Bounds], Bounds]:
    def bounds(a: Bounds) -> Bounds:
        low, high = a.low.clamp(-1.0, 1.0), a.high.clamp(-1.0, 1.0)
        least, most = _bell(lambda x: torch.sqrt((1.0 - x * x).clamp_min(0.0)))(low, high)
        ends = (value(low), value(high)) if sign > 0 else (value(high), value(low))
        slope = (1.0 / most, 1.0 / least)
        return a.chained(*ends, slope if sign > 0 else (-slope[1], -slope[0]))

    return bounds


def _positive(x: Tensor) -> Tensor:
    return x.clamp_min(0.0)


_FUNCTIONS: dict[type, Callable[[Bounds], Bounds]] = {
    sp.exp: _monotone(torch.exp, lambda a, b: (torch.exp(a), torch.exp(b))),
    sp.log: _monotone(lambda x: torch.log(_positive(x)), lambda a, b: (1.0 / _positive(b), 1.0 / _positive(a))),
    sp.tanh: _monotone(torch.tanh, _bell(lambda x: 1.0 / torch.cosh(x) ** 2)),
    sp.erf: _monotone(torch.erf, _bell(lambda x: 2.0 / math.sqrt(math.pi) * torch.exp(-x * x))),
    sp.atan: _monotone(torch.atan, _bell(lambda x: 1.0 / (1.0 + x * x))),
    sp.sinh: _monotone(torch.sinh, lambda a, b: _bell(lambda x: torch.cosh(x))(a, b)[::-1]),
    sp.asinh: _monotone(torch.asinh, _bell(lambda x: 1.0 / torch.sqrt(1.0 + x * x))),
    sp.sin: _sine,
    sp.cos: _cosine,
    sp.tan: _tangent,
    sp.cosh: _cosh,
    sp.Abs: _absolute,
    sp.asin: _arcs(torch.asin, 1.0),
    sp.acos: _arcs(torch.acos, -1.0),
    sp.sign: _stepping(torch.sign),
    sp.floor: _stepping(torch.floor),
    sp.Heaviside: _stepping(lambda x: torch.heaviside(x, torch.full_like(x, 0.5))),
}  # fmt: skip
# functions that sympy's own rules can bring in
_BY_OTHERS: dict[type, Callable[[sp.Expr], sp.Expr]] = {
    sp.cot: lambda a: 1 / sp.tan(a),
    sp.sec: lambda a: 1 / sp.cos(a),
    sp.csc: lambda a: 1 / sp.sin(a),
    sp.coth: lambda a: 1 / sp.tanh(a),
    sp.sech: lambda a: 1 / sp.cosh(a),
    sp.csch: lambda a: 1 / sp.sinh(a),
    sp.erfc: lambda a: 1 - sp.erf(a),
}
