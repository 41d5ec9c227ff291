"""Reading a compiled problem as one of a certain form: equations that give derivatives in time, and their starts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import sympy as sp
import torch
from torch import Tensor

from pinnsolve.assembly.term_rows import held_at
from pinnsolve.compiler.terms import CompiledProblem, Term
from pinnsolve.geometry.regions import Piece
from pinnsolve.language.symbols import Feature, FeatureSymbol, coordinate_symbol, features_of
from pinnsolve.language.tabulated import Tabulated
from pinnsolve.runtime import random_tensor

ROUGH = (
    sp.Piecewise,
    sp.Heaviside,
    sp.Abs,
    sp.Max,
    sp.Min,
    sp.sign,
    Tabulated,
)  # not continued beyond places
PLACES, MET = 64, 1e-9  # at which it is seen whether something holds; relative to the largest value there


class AnotherForm(Exception):
    """A problem is not of the form."""


def demand(holds: bool) -> None:
    """Raises AnotherForm where it does not hold."""
    if not holds:
        raise AnotherForm


class Reading:
    """Of a problem in a box, without anything that is sought or measured, whose coordinate `axis` is time; `orders`: by
    unknown, the highest derivative in time; `starts`: those below it."""

    def __init__(self, problem: CompiledProblem, axis: int):
        self.problem, self.axis = problem, axis
        self.dimension = len(problem.coordinates)
        self.space = tuple(a for a in range(self.dimension) if a != axis)
        self.names = [coordinate_symbol(name) for name in problem.coordinates]
        self.low = problem.intervals[axis][0]
        demand(problem.shape is None and not problem.materials and not problem.homes and not problem.exactly)
        demand(not problem.integrals and not problem.unknown_parameters and not problem.regularization)
        demand(0 < len(problem.axes.space) == len(self.space) and not problem.between)
        for term in problem.terms:
            demand(term.data_file is None and not term.robust and term.region.where is None)
            demand(all(f.operator is None for f in term.features))
        held = held_at(problem, axis, self.low)
        self.starts = self._starts(held)
        others = [term for term in problem.terms if term not in held]
        demand(all(term.kind in ("equation", "condition") for term in others))
        self.equations = [term for term in others if term.kind == "equation"]
        self.conditions = [term for term in others if term.kind == "condition"]
        demand(all(piece == Piece() for term in self.equations for piece in term.region.pieces))
        features = [f for term in self.equations for residual in term.residuals for f in features_of(residual)]
        self.orders = {u: max((f.alpha[axis] for f in features if f.unknown == u), default=0) for u in problem.unknowns}
        demand(set(self.starts) == {(u, k) for u in problem.unknowns for k in range(self.orders[u])})

    def _starts(self, terms: Sequence[Term]) -> Mapping[tuple[str, int], sp.Expr]:
        """By unknown and order of its derivative in time, what that is at the start."""
        found: dict[tuple[str, int], sp.Expr] = {}
        for residual in (one for term in terms for one in term.residuals):
            (f,) = self.only(residual, 1)
            key = f.unknown, f.alpha[self.axis]
            demand(f.order == f.alpha[self.axis] and key not in found)
            found[key] = -without(residual) / sp.diff(residual, FeatureSymbol(f))
        return found

    def only(self, residual: sp.Expr, count: int) -> Sequence[Feature]:
        """The features of a residual, so many, each times a number."""
        features = features_of(residual)
        demand(len(features) == count)
        demand(all(sp.diff(residual, FeatureSymbol(f)).is_number for f in features))
        return tuple(features)

    def leading(self, residual: sp.Expr) -> Feature | None:
        """The highest derivative in time of an unknown that an equation holds; None where it holds none."""
        found = [f for f in features_of(residual) if f.alpha[self.axis] == self.orders[f.unknown] > 0]
        demand(len(found) <= 1 and all(f.order == f.alpha[self.axis] for f in found))
        return found[0] if found else None

    def in_time(self, unknown: str, order: int) -> sp.Symbol:
        """A derivative of an unknown in time."""
        return FeatureSymbol(Feature(unknown, tuple(order if a == self.axis else 0 for a in range(self.dimension))))

    def somewhere(self, features: Sequence[Feature] = ()) -> dict[sp.Symbol, Tensor]:
        """Random places of space and time (PLACES,), and values of features from -1 to 1."""
        generator, count = torch.Generator().manual_seed(0), self.dimension + len(features)
        unit = random_tensor(torch.rand, count, PLACES, generator=generator, dtype=torch.float64)
        ends = zip(self.names, self.problem.intervals, unit, strict=False)
        values = {name: low + (high - low) * place for name, (low, high), place in ends}
        return values | {FeatureSymbol(f): 2.0 * u - 1.0 for f, u in zip(features, unit[self.dimension :], strict=True)}

    def solved(self, residual: sp.Expr, feature: Feature) -> sp.Expr:
        """What an equation says that a feature is, which it holds times a number."""
        symbol = FeatureSymbol(feature)
        factor = sp.diff(residual, symbol)
        demand(factor.is_number and factor != 0)
        return sp.expand_mul(-residual.xreplace({symbol: sp.S.Zero}) / factor, deep=False)

    def in_space(self, feature: Feature) -> tuple[int, ...]:
        """The orders of its derivatives in space."""
        return feature.alpha[: self.axis] + feature.alpha[self.axis + 1 :]

    def both_ends(self, residual: sp.Expr, piece: Piece) -> Feature:
        """What a condition says to be the same at both ends of an axis: a derivative along it."""
        axis = piece.fixed[0][0]
        one, other = sorted(self.only(residual, 2), key=lambda f: f.side)
        factors = [sp.diff(residual, FeatureSymbol(f)) for f in (one, other)]
        same = (one.unknown, one.alpha) == (other.unknown, other.alpha) and (one.side, other.side) == (0, 1)
        demand(same and sum(factors) == 0 and without(residual) == 0 and one.order == one.alpha[axis])
        return one


def without(residual: sp.Expr) -> sp.Expr:
    """What is left of a linear residual where all unknowns vanish."""
    return residual.xreplace({FeatureSymbol(f): sp.S.Zero for f in features_of(residual)})
