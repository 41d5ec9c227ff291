"""Problems that march by exponentials: in a box, with constant coefficients of the second derivatives in space.

D(u, t) = sum_a d_a D(u, a, a) + c u + N(x, t, u, grad u), where every face has a condition of the value or of the
slope, or is periodic. What the faces ask for is met by a known function, and the solution is that and one of which
faces ask for nothing; what is left is exact but for N. Or D(u, t, 2) = sum_a d_a D(u, a, a) + c u + b D(u, t) + N,
where all walls are mirrors, so that no kinks come from them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import chain

import sympy as sp
import torch

from pinnsolve.adapt.evolving_form import MET, ROUGH, AnotherForm, Reading, demand, without
from pinnsolve.bases.wall_functions import COSINE, FREE, PERIODIC, PLAIN, SINE, SLOPE, VALUE, Walls
from pinnsolve.compiler.terms import CompiledProblem, Term
from pinnsolve.geometry.regions import Piece
from pinnsolve.language.symbols import Feature, FeatureSymbol, coordinate_symbol, features_of
from pinnsolve.language.to_torch import Evaluator


@dataclass(frozen=True)
class Semilinear:
    """By unknown: the `diffusion` (d_a) along every axis of space, the `growth` c and, of second order in time, the
    `damping` b, else none; the `walls` of every axis, the `lifted` function, which the faces ask for, the `rest` N with
    what that adds to it, and the `start` less it, of the unknown and, of second order, of its derivative.

    Of expressions, features and coordinates are those of the problem.
    """

    diffusion: tuple[tuple[float, ...], ...]
    growth: tuple[float, ...]
    damping: tuple[float | None, ...]
    walls: tuple[tuple[Walls, ...], ...]
    rest: tuple[sp.Expr, ...]
    start: tuple[tuple[sp.Expr, ...], ...]
    lifted: tuple[sp.Expr, ...]

    @property
    def plain(self) -> tuple[str, ...]:
        """Which functions are plain along every axis, for all unknowns: see `wall_functions`."""
        return tuple(walls[0] if walls[0] in PLAIN else FREE for walls in self.walls[0])


def semilinear(problem: CompiledProblem, axis: int) -> Semilinear | None:
    """The problem that marches along `axis` in that form; None of any other."""
    try:
        return _Reading(problem, axis).read()
    except AnotherForm:
        return None


@dataclass(frozen=True)
class _Condition:
    """On a face: what of the unknown is given there, VALUE, SLOPE or PERIODIC; and what it is."""

    kind: str
    given: sp.Expr = sp.S.Zero


class _Reading(Reading):
    def read(self) -> Semilinear:
        problem = self.problem
        demand(set(self.orders.values()) <= {1, 2})
        rates, conditions = self._rates(self.equations), self._conditions(self.conditions)
        parted = (self._parted(u, rates[u]) for u in problem.unknowns)
        rest, diffusion, growth, damping = zip(*parted, strict=True)
        walls = self._together(
            [self._walls(u, d, conditions) for u, d in zip(problem.unknowns, diffusion, strict=True)]
        )
        first = {f.unknown for e in rest for f in features_of(e) if any(self.in_space(f))}
        demand(not any(w[0] == FREE for u, ws in zip(problem.unknowns, walls, strict=True) if u in first for w in ws))
        lifted = {u: self._lifted(u, conditions) for u in problem.unknowns}
        moved = self._moved(rest, diffusion, growth, lifted)
        now = {self.names[self.axis]: sp.Float(self.low)}
        start = tuple(
            (self.starts[u, 0] - lifted[u].xreplace(now), *([self.starts[u, 1]] if self.orders[u] == 2 else []))
            for u in problem.unknowns
        )
        if all(one == 0 for one in lifted.values()):
            walls = self._mirrored(walls, (*moved, *chain.from_iterable(start)))
        smooth = all(kind in PLAIN for of_unknown in walls for kind, _ in of_unknown)
        demand(smooth or max(self.orders.values()) == 1)
        return Semilinear(diffusion, growth, damping, walls, moved, start, tuple(lifted[u] for u in problem.unknowns))

    # -- terms ---------------------------------------------------------------------------------------------------------

    def _rates(self, terms: Sequence[Term]) -> Mapping[str, sp.Expr]:
        """By unknown, what the equations say that its derivative in time is."""
        found: dict[str, sp.Expr] = {}
        for term in terms:
            for residual in term.residuals:
                leading = self.leading(residual)
                if leading is None or leading.unknown in found:
                    raise AnotherForm
                found[leading.unknown] = self.solved(residual, leading)
        demand(set(found) == set(self.problem.unknowns))
        return found

    def _parted(self, unknown: str, rate: sp.Expr) -> tuple[sp.Expr, tuple[float, ...], float, float | None]:
        """What is left of a derivative in time without diffusion, growth and damping, and these."""
        diffusion = [0.0] * len(self.space)
        for f in features_of(rate):
            demand(not f.alpha[self.axis] or f.order == 1)
            if f.order < 2:
                continue
            factor = sp.diff(rate, FeatureSymbol(f))
            demand(f.unknown == unknown and f.order == 2 == max(f.alpha))
            demand(factor.is_number and bool(factor > 0))
            diffusion[self.space.index(f.alpha.index(2))] = float(factor)
        rate = rate.xreplace({FeatureSymbol(f): sp.S.Zero for f in features_of(rate) if f.order == 2})
        demand(all(diffusion) or not any(diffusion))
        rate, growth = _less(rate, self.in_time(unknown, 0))
        damping = None
        if self.orders[unknown] == 2:
            demand(any(diffusion))
            rate, damping = _less(rate, self.in_time(unknown, 1))
        return rate, tuple(diffusion), growth, damping

    def _conditions(self, terms: Sequence[Term]) -> Mapping[tuple[str, int, int], list[_Condition]]:
        """By unknown, axis of space and side, -1 or 1: what holds there."""
        found: dict[tuple[str, int, int], list[_Condition]] = {}
        for term, piece in ((one, place) for one in terms for place in one.region.pieces):
            demand(term.linear and len(piece.fixed) == 1 and piece.part is None)
            demand(piece.fixed[0][0] != self.axis)  # the end of the time is none of its faces
            for residual in term.residuals:
                for sides, unknown, condition in self._on_face(residual, piece):
                    for side in sides:
                        found.setdefault((unknown, piece.fixed[0][0], side), []).append(condition)
        return found

    def _on_face(self, residual: sp.Expr, piece: Piece):
        axis = piece.fixed[0][0]
        slope = tuple(int(a == axis) for a in range(self.dimension))
        if piece.partner is None:
            demand(piece.outward is not None)
            normals = {
                coordinate_symbol(f"n_{name}"): sp.Integer(piece.outward[1] if a == axis else 0)
                for a, name in enumerate(self.problem.coordinates)
            }
            residual = residual.xreplace(normals)
            (f,) = self.only(residual, 1)
            demand(not f.order or f.alpha == slope)
            given = -without(residual) / sp.diff(residual, FeatureSymbol(f))
            given = given.xreplace({self.names[axis]: sp.Float(piece.fixed[0][1])})
            yield (piece.outward[1],), f.unknown, _Condition(SLOPE if f.order else VALUE, given)
            return
        one = self.both_ends(residual, piece)
        demand(one.order <= 1)
        yield (-1, 1), one.unknown, _Condition(PERIODIC, sp.Integer(one.order))

    def _walls(self, unknown: str, diffusion: Sequence[float], conditions) -> tuple[Walls, ...]:
        walls = []
        for axis, d in zip(self.space, diffusion, strict=True):
            ends = [conditions.get((unknown, axis, side), []) for side in (-1, 1)]
            kinds = [sorted(one.kind for one in end) for end in ends]
            if not d:
                periodic = [one.given for one in ends[0]] == [0]  # of what does not diffuse, and may well be so
                demand((not ends[0] and not ends[1]) or (periodic and kinds[0] == [PERIODIC]))
                walls.append((FREE, FREE))
            elif kinds[0] == [PERIODIC, PERIODIC]:
                demand({int(one.given) for one in ends[0]} == {0, 1})
                walls.append((PERIODIC, PERIODIC))
            else:
                demand(all(len(kind) == 1 and kind[0] != PERIODIC for kind in kinds))
                walls.append((kinds[0][0], kinds[1][0]))
        return tuple(walls)

    def _together(self, walls: Sequence[tuple[Walls, ...]]) -> tuple[tuple[Walls, ...], ...]:
        """Where the ends of an axis are one for some unknowns, they are for all; what does not diffuse follows."""
        along = []
        for of_axis in zip(*walls, strict=True):
            if (PERIODIC, PERIODIC) in of_axis:
                demand(all(one[0] in (PERIODIC, FREE) for one in of_axis))
                of_axis = ((PERIODIC, PERIODIC),) * len(of_axis)
            along.append(of_axis)
        return tuple(zip(*along, strict=True))

    def _mirrored(
        self, walls: tuple[tuple[Walls, ...], ...], expressions: Sequence[sp.Expr]
    ) -> tuple[tuple[Walls, ...], ...]:
        """The walls, some as mirrors, where the same goes on beyond them, odd or even: there, sines or cosines hold a
        solution as well as polynomials do, with two for a wave where these take more than three."""
        along = []
        for axis, of_axis in zip(self.space, zip(*walls, strict=True), strict=True):
            (kind, *others) = {one for one in of_axis if one != (FREE, FREE)} or {(FREE, FREE)}
            found = {(VALUE, VALUE): (SINE, -1), (SLOPE, SLOPE): (COSINE, 1)}.get(kind)
            if found and not others and self._goes_on(axis, found[1], expressions):
                of_axis = ((found[0], found[0]),) * len(of_axis)
            along.append(of_axis)
        return tuple(zip(*along, strict=True))

    def _goes_on(self, axis: int, sign: int, expressions: Sequence[sp.Expr]) -> bool:
        """Whether expressions change sign, or do not, where the coordinate and all unknowns are mirrored at each end
        of an axis, as far as points tell."""
        if any(one.has(kind) for one in expressions for kind in ROUGH):
            return False
        features = sorted({f for one in expressions for f in features_of(one)}, key=Feature.sort_key)
        values = self.somewhere(features)
        flipped = {FeatureSymbol(f): sign * (-1) ** f.alpha[axis] * FeatureSymbol(f) for f in features}
        for end in self.problem.intervals[axis]:
            beyond = {self.names[axis]: 2 * sp.Float(end) - self.names[axis], **flipped}
            both = [part for one in expressions for part in (one - sign * one.xreplace(beyond), one)]
            for missed, own in zip(*[iter(Evaluator(both)(values))] * 2, strict=True):
                found, size = (torch.as_tensor(v, dtype=torch.float64).abs().max() for v in (missed, own))
                if not float(found) <= MET * float(size):
                    return False
        return True

    # -- what faces ask for --------------------------------------------------------------------------------------------

    def _lifted(self, unknown: str, conditions) -> sp.Expr:
        """A function that meets what the faces ask for: axis after axis, what is still missed is added (Gordon & Hall,
        Transfinite element methods, Numer. Math. 21 (1973) 109-129). Faces that contradict each other where they meet
        are no such problem."""
        lifted = sp.S.Zero
        for axis in self.space:
            here = {}
            for side in (-1, 1):
                (condition, *_) = conditions.get((unknown, axis, side), [_Condition(PERIODIC)])
                if condition.kind != PERIODIC:
                    here[side] = condition
            if all(one.given == 0 for one in here.values()) and lifted == 0:
                continue
            add = sp.S.Zero
            for side, shape in self._shapes(axis, [one.kind for one in here.values()]) if here else ():
                add += shape * (here[side].given - self._on(lifted, axis, side, here[side].kind))
            lifted += add
        demand(not any(lifted.has(kind) for kind in ROUGH))
        if lifted != 0:
            demand(self._meets(lifted, [(a, s, c) for (u, a, s), (c, *_) in conditions.items() if u == unknown]))
        return lifted

    def _shapes(self, axis: int, kinds: Sequence[str]) -> list[tuple[int, sp.Expr]]:
        """By side, a polynomial of which the condition there is 1, and that at the other end 0."""
        low, high = (sp.Float(end) for end in self.problem.intervals[axis])
        length = high - low
        s = (self.names[axis] - low) / length
        shapes = {
            (VALUE, VALUE): (1 - s, s),
            (VALUE, SLOPE): (sp.S.One, s * length),
            (SLOPE, VALUE): ((s - 1) * length, sp.S.One),
            (SLOPE, SLOPE): ((s - s**2 / 2) * length, s**2 / 2 * length),
        }
        return list(zip((-1, 1), shapes[tuple(kinds)], strict=True))

    def _on(self, expression: sp.Expr, axis: int, side: int, kind: str) -> sp.Expr:
        """Its value or slope on a face."""
        taken = sp.diff(expression, self.names[axis]) if kind == SLOPE else expression
        return taken.xreplace({self.names[axis]: sp.Float(self.problem.intervals[axis][(side + 1) // 2])})

    def _meets(self, lifted: sp.Expr, faces: Sequence[tuple[int, int, _Condition]]) -> bool:
        """Whether it meets what faces ask for everywhere on them, periodic ones included, as far as points tell."""
        values = self.somewhere()
        for axis, side, condition in faces:
            if condition.kind == PERIODIC:
                kind = SLOPE if condition.given else VALUE
                missed = self._on(lifted, axis, 1, kind) - self._on(lifted, axis, -1, kind)
                unit = lifted
            else:
                missed = self._on(lifted, axis, side, condition.kind) - condition.given
                unit = sp.Max(sp.Abs(condition.given), sp.Abs(self._on(lifted, axis, side, VALUE)))
            found, size = (torch.as_tensor(v, dtype=torch.float64) for v in Evaluator([missed, unit])(values))
            if not float(found.abs().max()) <= MET * max(float(size.abs().max()), 1e-300):
                return False
        return True

    def _moved(self, rest, diffusion, growth, lifted: Mapping[str, sp.Expr]) -> tuple[sp.Expr, ...]:
        """The rest, of the difference between the solution and the lifted function."""
        if all(one == 0 for one in lifted.values()):
            return rest
        replaced = {
            FeatureSymbol(f): FeatureSymbol(f) + self._derivative(lifted[f.unknown], f.alpha)
            for f in set(chain.from_iterable(features_of(e) for e in rest))
        }
        result = []
        for unknown, one, ds, c in zip(self.problem.unknowns, rest, diffusion, growth, strict=True):
            own = lifted[unknown]
            diffused = sum(sp.Float(d) * sp.diff(own, self.names[a], 2) for a, d in zip(self.space, ds, strict=True))
            grown = diffused + sp.Float(c) * own - sp.diff(own, self.names[self.axis])
            result.append(one.xreplace(replaced) + grown)
        return tuple(result)

    def _derivative(self, expression: sp.Expr, alpha: Sequence[int]) -> sp.Expr:
        for name, k in zip(self.names, alpha, strict=True):
            expression = sp.diff(expression, name, k) if k else expression
        return expression


def _less(rate: sp.Expr, symbol: sp.Symbol) -> tuple[sp.Expr, float]:
    """What is left without a number of times a symbol, and that number."""
    factors = [summand / symbol for summand in sp.Add.make_args(rate)]
    times = sum((f for f in factors if f.is_number), sp.S.Zero)
    return rate - times * symbol, float(times)
