"""Does the `where` of a condition reach a little into the place of another one?

`x**2 + y**2 < 1.01` on the boundary of a quarter of a plate is meant to be its hole, and holds on the first bit of the
sides of symmetry, too, where other conditions hold as well. The two contradict each other there without a word. What
two conditions share on purpose is more than a bit.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import combinations
from typing import TYPE_CHECKING

from pinnsolve.errors import Diagnostic
from pinnsolve.language.symbols import coordinate_symbol, features_of
from pinnsolve.problem.checks.faces import where_on
from pinnsolve.problem.checks.findings import constants, point_text, warning
from pinnsolve.problem.checks.pointwise import holds_at

if TYPE_CHECKING:
    from pinnsolve.problem.stated import StatedProblem, StatedTerm

BIT = 0.1  # of the smaller place, is the most that two conditions share by accident
HINT = "one condition is enough there; let the `where` hold in one place alone, or name the parts of the boundary"


def overlaps(problem: StatedProblem) -> Iterator[Diagnostic]:
    """Warnings, one per pair of conditions on the boundary of a plane shape, with a point where both hold."""
    stated = [s for s in problem.of_kind("condition") if all(p.part is not None for p in s.region.pieces)]
    known = {coordinate_symbol(c) for c in problem.coordinates}
    narrowed = [s for s in stated if s.region.where is not None and s.region.where.free_symbols <= known]
    if problem.shape is None or len(problem.space_axes) != 2 or not narrowed or problem.time is not None:
        return
    from pinnsolve.geometry.junctions import places_on_boundary  # samples the boundary, for which torch is loaded

    whole = [s for s in stated if s.region.where is None]
    held = {s.name: frozenset(f.unknown for r in s.residuals for f in features_of(r)) for s in stated}
    pieces = tuple(dict.fromkeys(p for s in (*narrowed, *whole) for p in s.region.pieces))
    points, on = places_on_boundary(problem.shape, pieces, problem.space_axes)
    places = {s.name: _place(problem, s, points, on) for s in (*narrowed, *whole)}
    for a, b in combinations((*narrowed, *whole), 2):
        both = places[a.name] & places[b.name]
        least = min(len(places[a.name]), len(places[b.name]))
        if a.region.where is not None and held[a.name] & held[b.name] and 0 < len(both) <= BIT * least:
            message = (
                f"it holds on a bit of the place of `{b.name}`, too, near {point_text(problem, points[min(both)])}"
            )
            yield warning(problem, a.key, message, HINT)


def _place(problem: StatedProblem, statement: StatedTerm, points, on) -> set[int]:
    """The numbers of the points at which a condition holds."""
    found, fixed = set(), constants(problem)
    for piece in statement.region.pieces:
        where = where_on(piece, statement, problem)
        for k in on[piece]:
            at = fixed | {coordinate_symbol(problem.coordinates[axis]): x for axis, x in points[k].items()}
            if holds_at(where, at):
                found.add(k)
    return found
