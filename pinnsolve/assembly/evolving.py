"""What the conditions of a problem evolve by themselves, along the boundary or in time.

Equations keep unknowns continuous below their own order. A condition may take higher derivatives along its piece of the
boundary: of a tank's level by time, of a potential on a free surface twice by time, of what lives on an edge along it.
There, and there alone, unknowns must be continuous below the order of the condition, too.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass

import sympy as sp

from pinnsolve.assembly.term_rows import highest_orders
from pinnsolve.compiler.terms import CompiledProblem, Term
from pinnsolve.geometry.regions import Piece
from pinnsolve.language.symbols import Feature, MultiIndex


@dataclass(frozen=True)
class Evolving:
    """Derivatives that are continuous along `axis` on a piece, narrowed by `where`; per unknown their multi-indices."""

    piece: Piece
    where: sp.Basic | None
    axis: int
    derivatives: tuple[tuple[MultiIndex, ...], ...]


def evolving(problem: CompiledProblem) -> tuple[Evolving, ...]:
    """What conditions evolve beyond the equations, by piece and axis."""
    orders = dict(zip(problem.unknowns, highest_orders(problem), strict=True))
    found: dict[tuple, dict[str, dict[MultiIndex, None]]] = {}
    for term in problem.terms:
        for piece, axis, unknown, alpha in _raised(term, orders):
            of_unknowns = found.setdefault((piece, term.region.where, axis), {})
            of_unknowns.setdefault(unknown, {})[alpha] = None
    return tuple(
        Evolving(piece, where, axis, tuple(tuple(alphas.get(u, ())) for u in problem.unknowns))
        for (piece, where, axis), alphas in found.items()
    )


def orders_along(problem: CompiledProblem, axis: int) -> list[int]:
    """Per unknown, the order below which derivatives along an axis are continuous, if only on the boundary."""
    result = [order[axis] for order in highest_orders(problem)]
    for one in evolving(problem):
        if one.axis == axis:
            raised = [max((alpha[axis] + 1 for alpha in alphas), default=0) for alphas in one.derivatives]
            result = [max(pair) for pair in zip(result, raised, strict=True)]
    return result


def _raised(term: Term, orders: dict[str, Sequence[int]]) -> Iterator[tuple[Piece, int, str, MultiIndex]]:
    """The pieces and axes of a condition with the derivatives that must be continuous there, and of what unknown."""
    if term.kind != "condition":
        return
    for piece in term.region.pieces:
        if piece.partner is not None:
            continue
        held = {axis for axis, _ in (*piece.fixed, *([piece.plane] if piece.plane is not None else []))}
        for f in term.features:
            for axis in (a for a in range(len(f.alpha)) if a not in held):
                for k in range(orders[f.unknown][axis], f.alpha[axis]):
                    yield piece, axis, f.unknown, _lower(f, held, piece.part is not None and not held, axis, k)


def _lower(f: Feature, held: Collection[int], curved: bool, axis: int, order: int) -> MultiIndex:
    """The derivative whose next one along the axis is in the condition: across the piece as there, along it none.

    A `curved` piece has normals in all directions: slopes are kept whatever their direction.
    """
    others = [k for a, k in enumerate(f.alpha) if a != axis]
    across = range(len(f.alpha)) if curved and sum(others) == 1 else held
    return tuple(order if a == axis else k if a in across else 0 for a, k in enumerate(f.alpha))
