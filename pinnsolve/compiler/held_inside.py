"""Conditions on planes, or at points of a line, inside the domain: where the equation cannot hold, and what jumps.

A beam on a support in its middle, a string that is held at a point: what holds it enters the equation as a force in one
place, and the derivative that the force balances jumps. Of a condition on the k-th derivative of an unknown whose
equation is of order n across the plane that is the one of order n - 1 - k: of w the shear, of its slope the moment.
Where the faces of the domain have fewer conditions than the equations need, those inside take their place, and nothing
jumps.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from pinnsolve.compiler.terms import CompiledProblem, Term
from pinnsolve.geometry.regions import Piece


@dataclass(frozen=True)
class HeldPlane:
    """A plane inside where coordinate number `axis` has a `value`; `jumping`: pairs of an unknown and the order of its
    derivative across the plane that jumps there."""

    axis: int
    value: float
    jumping: frozenset[tuple[str, int]]


def orders_across(problem: CompiledProblem, axis: int) -> dict[str, int]:
    """By unknown, the highest order of its derivatives along an axis in the equations."""
    orders = dict.fromkeys(problem.unknowns, 0)
    for term in problem.terms:
        for f in term.features if term.kind == "equation" else ():
            orders[f.unknown] = max(orders[f.unknown], f.alpha[axis])
    return orders


def held_planes(problem: CompiledProblem) -> list[HeldPlane]:
    """The planes inside whose conditions come on top of all that the equations need on the faces of a box."""
    if problem.shape is not None:
        return []
    found: dict[tuple[int, float], set[tuple[str, int]]] = {}
    for axis in problem.axes.space_axes:
        orders = orders_across(problem, axis)
        if _given_on_faces(problem, axis, sum(orders.values())) < sum(orders.values()):
            continue
        for term in problem.terms:
            for value in (_inside(piece, axis, problem) for piece in term.region.pieces):
                jumping = set() if value is None else _jumping(term, axis, orders)
                if jumping:
                    found.setdefault((axis, value), set()).update(jumping)
    return [HeldPlane(axis, value, frozenset(jumping)) for (axis, value), jumping in sorted(found.items())]


def _given_on_faces(problem: CompiledProblem, axis: int, needed: int) -> int:
    """How many conditions there are on both faces across an axis; those of periodic faces are all that is needed."""
    count = 0
    for term in problem.terms:
        for piece in term.region.pieces if term.kind == "condition" and term.region.where is None else ():
            if piece.partner is not None and piece.partner[0] == axis:
                return needed
            if len(piece.fixed) == 1 and piece.fixed[0][0] == axis and piece.fixed[0][1] in problem.intervals[axis]:
                count += len(term.residuals)
    return count


def _inside(piece: Piece, axis: int, problem: CompiledProblem) -> float | None:
    """Where a piece is a plane across the axis, inside the domain."""
    if len(piece.fixed) != 1 or piece.partner is not None or piece.fixed[0][0] != axis:
        return None
    (low, high), value = problem.intervals[axis], piece.fixed[0][1]
    return value if low < value < high else None


def _jumping(term: Term, axis: int, orders: Mapping[str, int]) -> set[tuple[str, int]]:
    """What jumps by the residuals of a condition: those that give one derivative of one unknown, and of low order."""
    found = set()
    for linearization in term.linearizations if term.kind == "condition" and term.region.where is None else ():
        if len(linearization.features) != 1:
            continue
        ((f, _),) = linearization.features
        opposite = orders[f.unknown] - 1 - f.alpha[axis]
        if f.operator is None and f.order == f.alpha[axis] and opposite > f.alpha[axis]:
            found.add((f.unknown, opposite))
    return found
