"""Fluxes given all round a shape, and the source inside: the integrals that the divergence theorem asks to be equal.

Input: a shape in coordinates of space, sympy expressions of these, of the normal and of known constants. Output:
integrals as `Sums`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import sympy as sp
import torch
from torch import Tensor

from pinnsolve.geometry.integrals import Sums, over_boundary, over_shape
from pinnsolve.geometry.regions import Region
from pinnsolve.geometry.shapes import ShapeTree
from pinnsolve.language.symbols import coordinate_symbol
from pinnsolve.language.to_torch import Evaluator

PARALLEL = 1e-9  # how far coefficients are from a multiple of the normal, relative to their size


@dataclass(frozen=True)
class GivenFlux:
    """A condition: the `factors` of the first derivatives by every coordinate, and the `rest`, sum to zero there."""

    region: Region
    factors: tuple[sp.Expr, ...]
    rest: sp.Expr


@dataclass(frozen=True)
class InShape:
    """A shape, the names of its coordinates, and the values of other symbols."""

    tree: ShapeTree
    coordinates: tuple[str, ...]
    known: Mapping[sp.Symbol, float]

    def source(self, expression: sp.Expr) -> Sums:
        """The integral of a source over the shape."""
        evaluator = Evaluator([expression])
        varies = expression.free_symbols & {coordinate_symbol(c) for c in self.coordinates}
        return over_shape(self.tree, lambda x: _filled(evaluator(self._values(x))[0], x), not varies)

    def flux(self, given: Sequence[GivenFlux]) -> Sums:
        """The integral of the outward derivative over the boundary, from the conditions that give it.

        Its value is NaN where some part of the boundary has none.
        """
        derivatives = [self._derivative(one) for one in given]
        pieces = [piece for one in given for piece in one.region.pieces]

        def derivative(x: Tensor, normals: Tensor, on: Tensor) -> Tensor:
            found, first = torch.full_like(x[:, 0], torch.nan), 0
            for one, of_normal in zip(given, derivatives, strict=True):
                last = first + len(one.region.pieces)
                here = on[:, first:last].any(dim=1) & found.isnan()
                found, first = torch.where(here, of_normal(x, normals), found), last
            return found

        return over_boundary(self.tree, pieces, range(len(self.coordinates)), derivative)

    def _derivative(self, given: GivenFlux):
        """A function of points and normals (N, d): the rest over the multiple of the normal that the factors are, with
        the sign changed; NaN where they are none, and where the condition does not hold."""
        where = given.region.where if given.region.where is not None else sp.true
        evaluator = Evaluator([*given.factors, given.rest, where])

        def derivative(x: Tensor, normals: Tensor) -> Tensor:
            *factors, rest, holds = (_filled(v, x) for v in evaluator(self._values(x, normals)))
            vector = torch.stack(factors, dim=1)
            along = (vector * normals).sum(dim=1)
            off = (vector - along[:, None] * normals).norm(dim=1)
            known = holds.bool() & (off <= PARALLEL * vector.norm(dim=1))
            return torch.where(known, -rest / along, torch.nan)

        return derivative

    def _values(self, x: Tensor, normals: Tensor | None = None) -> dict[sp.Symbol, Tensor | float]:
        values: dict[sp.Symbol, Tensor | float] = dict(self.known)
        values |= {coordinate_symbol(c): x[:, i] for i, c in enumerate(self.coordinates)}
        if normals is not None:
            values |= {coordinate_symbol(f"n_{c}"): normals[:, i] for i, c in enumerate(self.coordinates)}
        return values


def _filled(value: Tensor | float | bool, x: Tensor) -> Tensor:
    return torch.as_tensor(value, dtype=x.dtype).expand(len(x))
