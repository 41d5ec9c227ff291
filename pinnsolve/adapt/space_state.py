"""What marches by exponentials step on: the state of a solution in a space, and expressions on its grid."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import sympy as sp
import torch
from torch import Tensor

from pinnsolve.adapt.axis_matrices import along
from pinnsolve.compiler.terms import CompiledProblem
from pinnsolve.language.symbols import Feature, FeatureSymbol, MultiIndex, coordinate_symbol, features_of
from pinnsolve.language.to_torch import Evaluator

State = list[Tensor]  # by part, coefficients (n_1, ..., n_d), or (b, n_1, ..., n_d) of several that evolve together


@dataclass(frozen=True)
class Point:
    """A state, what the rest adds to its derivative in time, and the coefficients (n_1, ..., n_d) of the `others`,
    unknowns that no derivative in time is taken of."""

    state: State
    rest: State
    others: Sequence[Tensor] = ()


@dataclass(frozen=True)
class OnGrid:
    """Expressions as functions of what they hold on a tensor grid in space; `features`: their symbols, by the number of
    the unknown, its derivatives in space, and the order of that in time."""

    space: tuple[sp.Symbol, ...]
    time: sp.Symbol
    features: Mapping[tuple[int, MultiIndex, int], sp.Symbol]
    evaluator: Evaluator

    @classmethod
    def of(cls, problem: CompiledProblem, axis: int, expressions: Sequence[sp.Expr]) -> OnGrid:
        """Expressions of a problem whose coordinate `axis` is time."""
        names = [coordinate_symbol(name) for name in problem.coordinates]
        time = names.pop(axis)
        features = sorted({f for e in expressions for f in features_of(e)}, key=Feature.sort_key)
        symbols = {
            (problem.unknowns.index(f.unknown), f.alpha[:axis] + f.alpha[axis + 1 :], f.alpha[axis]): FeatureSymbol(f)
            for f in features
        }
        return cls(tuple(names), time, symbols, Evaluator(expressions))

    def at(self, points: Sequence[Tensor]) -> dict[sp.Symbol, Tensor]:
        """The coordinates at a tensor grid of points (m_a,) per axis, each along its own."""
        return {name: along(x, a, len(points)) for a, (name, x) in enumerate(zip(self.space, points, strict=True))}

    def __call__(self, known: Mapping[sp.Symbol, Tensor], time: float) -> list:
        """A number or a tensor that broadcasts over the grid, per expression."""
        return self.evaluator({**known, self.time: time})


def swings_of(back: Tensor) -> Tensor:
    """How far what is pulled back by `back` times itself swings if it moves at 1: that over its frequency; where it has
    none, over the least of others."""
    back = back.abs()
    some = back[back > 0]
    return torch.rsqrt(back.clamp_min(float(some.min()) if len(some) else 1.0))


def is_zero(values: Tensor | float) -> bool:
    """Whether an expression that holds nothing is zero."""
    return isinstance(values, int | float) and values == 0
