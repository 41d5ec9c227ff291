"""Derivatives by subscripts: `u_xx` is `D(u, x, x)` where no name of the file says otherwise.

Input: a name, what may be differentiated, and the names of the coordinates. Output: the tree of the derivative, or
None. Standard library only.
"""

from __future__ import annotations

from collections.abc import Container, Sequence
from functools import lru_cache

from pinnsolve.language.syntax import Call, Name

MAX_LETTERS = 60  # of a subscript


def derivative_of(name: str, quantities: Container[str], coordinates: Sequence[str], offset: int) -> Call | None:
    """The call of `D` that a name with a subscript stands for; None where it is no derivative.

    `u_xt` is split at its last `_`, so that the derivative of `v_x` by y is `v_x_y`.
    """
    head, mark, letters = name.rpartition("_")
    if not mark or head not in quantities:
        return None
    directions = directions_in(letters, tuple(coordinates))
    if not directions:
        return None
    return Call("D", tuple(Name(part, offset) for part in (head, *directions)), offset)


@lru_cache(maxsize=4096)
def directions_in(letters: str, coordinates: tuple[str, ...]) -> tuple[str, ...]:
    """The coordinates whose names, one after the other, are the letters; none where that can be read in two ways."""
    found = _readings(letters, coordinates) if len(letters) <= MAX_LETTERS else []
    return found[0] if len(found) == 1 else ()


def _readings(letters: str, coordinates: tuple[str, ...]) -> list[tuple[str, ...]]:
    """The first two ways to read letters as names of coordinates."""
    ways: list[list[tuple[str, ...]]] = [[()]]  # of the first letters, by how many these are
    for end in range(1, len(letters) + 1):
        here = ((c, end - len(c)) for c in dict.fromkeys(coordinates) if letters[:end].endswith(c) and len(c) <= end)
        ways.append([(*before, c) for c, start in here for before in ways[start]][:2])
    return ways[-1]
