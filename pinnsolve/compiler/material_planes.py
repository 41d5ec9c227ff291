"""Materials that planes along the axes tell apart: which there are, and which of them meet.

Input: the levels whose signs tell materials apart. Output: combinations of signs that leave room, and pairs that touch.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence

import sympy as sp

from pinnsolve.compiler.terms import CompiledProblem, Material
from pinnsolve.language.symbols import coordinate_symbol

MOST_LEVELS = 10  # that tell materials apart, each doubling how many combinations of their signs are looked through
FEW_LEVELS = 3  # whose combinations are all kept
SHORT = 1e-12  # relative to where it lies: what is left between two planes is nothing
NEAR = 1e-9  # places along an axis that are the same


def possible_signs(levels: Sequence[sp.Expr], problem: CompiledProblem) -> list[tuple[bool, ...]]:
    """Which levels may be negative together: of planes along the axes, not those that leave nothing between them.

    Nothing where they are too many.
    """
    if len(levels) <= FEW_LEVELS:
        return list(itertools.product((True, False), repeat=len(levels)))
    planes, found = _planes(levels, problem), [()]
    for number in range(len(levels)):
        known = {i: plane for i, plane in planes.items() if i <= number}
        more = ((*signs, negative) for signs in found for negative in (True, False))
        found = [signs for signs in more if _leaves_room(_room(signs, known))]
        if len(found) > 2**MOST_LEVELS:
            return []
    return found


def _planes(levels: Sequence[sp.Expr], problem: CompiledProblem) -> dict[int, tuple]:
    """The levels that are planes along an axis, by number: coordinate, slope, where it is zero, ends of the domain."""
    planes = {}
    for i, level in enumerate(levels):
        for x, ends in zip(map(coordinate_symbol, problem.coordinates), problem.intervals, strict=True):
            if level.free_symbols == {x} and level.is_polynomial(x) and sp.degree(level, x) == 1:
                slope = level.coeff(x) if level.is_Add or level.is_Mul or level == x else level.diff(x)
                planes[i] = (x, float(slope), float(-level.subs(x, 0) / slope), ends)
    return planes


def _room(signs: Sequence[bool], planes: Mapping[int, tuple]) -> dict[sp.Symbol, tuple[float, float]]:
    """Between which values of the coordinates the signs of planes leave room."""
    room: dict[sp.Symbol, tuple[float, float]] = {}
    for i, (x, slope, root, ends) in planes.items():
        low, high = room.get(x, ends)
        below = signs[i] == (slope > 0)
        room[x] = (low, min(high, root)) if below else (max(low, root), high)
    return room


def _leaves_room(room: Mapping[sp.Symbol, tuple[float, float]]) -> bool:
    return all(high - low > SHORT * (abs(high) + abs(low)) for low, high in room.values())


def neighbours(
    problem: CompiledProblem, levels: Sequence[sp.Expr], materials: Sequence[Material]
) -> Iterator[tuple[int, int]]:
    """The pairs of materials between which there is no room along any axis."""
    planes = _planes(levels, problem)
    rooms = [_room([negative for _, negative in m.signs], planes) for m in materials]
    for i, j in itertools.combinations(range(len(materials)), 2):
        gaps = (max(rooms[i][x][0], rooms[j][x][0]) - min(rooms[i][x][1], rooms[j][x][1]) for x in rooms[i])
        if all(gap <= NEAR for gap in gaps):
            yield i, j


def bounding_levels(problem: CompiledProblem, levels: Sequence[sp.Expr], signs: Sequence[bool]) -> list[int]:
    """The numbers of the levels that bound where they have these signs: of planes along an axis, the nearest ones."""
    if len(levels) <= FEW_LEVELS:
        return list(range(len(levels)))
    planes = _planes(levels, problem)
    room = _room(signs, planes)
    return [i for i in range(len(levels)) if i not in planes or planes[i][2] in room[planes[i][0]]]
