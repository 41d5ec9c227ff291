"""Fronts of a sparse matrix of dense blocks: in which order its cells are eliminated.

The cells of a partition are the nodes of a graph, one dense block row per cell; cells that share rows of the least
squares are neighbours. Nested dissection (George 1973) orders the cells by halving them in space; the multifrontal
method (Duff & Reid 1983) then works on dense fronts only. A chain of cells becomes a block band, a grid in two
dimensions costs O(C^{3/2}) block operations.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

LEAF_COLUMNS = 128  # of a front that is not worth cutting further


@dataclass(frozen=True)
class Front:
    """`own`: cells eliminated here; `border`: cells they touch that are eliminated later; `children`: fronts before."""

    own: tuple[int, ...]
    border: tuple[int, ...]
    children: tuple[int, ...]


def fronts(centres: Tensor, pairs: Sequence[tuple[int, int]], columns: int) -> tuple[Front, ...]:
    """The fronts in order of elimination, for cells at `centres` (C, d), neighbours `pairs` and block size `columns`.

    Nested dissection, or a sweep along one axis where that takes fewer operations (chains).
    """
    count = centres.shape[0]
    neighbours: list[set[int]] = [set() for _ in range(count)]
    for i, j in pairs:
        neighbours[i].add(j)
        neighbours[j].add(i)
    dissected: list[Front] = []
    _dissect(list(range(count)), centres, neighbours, max(1, LEAF_COLUMNS // columns), set(), dissected)
    candidates: list[Sequence[Front]] = [dissected]
    for axis in range(centres.shape[1]):
        order = torch.sort(centres[:, axis], stable=True).indices.tolist()
        swept = _sweep(order, neighbours, max(1, LEAF_COLUMNS // columns))
        candidates.append(swept)
    return tuple(min(candidates, key=operations))


def operations(tree: Iterable[Front], n: int = 1) -> float:
    """Multiplications of a factorization in fronts of blocks of n columns."""
    own = [(len(front.own), len(front.border)) for front in tree]
    return sum(a**3 / 6 + a**2 * b / 2 + a * b**2 for a, b in own) * float(n) ** 3


def _sweep(order: Sequence[int], neighbours, at_once: int) -> list[Front]:
    """Cells one after another, or so many at once; every front has the one before as its child."""
    result: list[Front] = []
    done: set[int] = set()
    for start in range(0, len(order), at_once):
        own = order[start : start + at_once]
        child = (len(result) - 1,) if result else ()
        border = set().union(*(neighbours[i] for i in own), *(result[c].border for c in child)) - set(own) - done
        done |= set(own)
        result.append(Front(tuple(own), tuple(sorted(border)), child))
    return result


def _dissect(cells, centres, neighbours, leaf: int, done: set[int], result: list[Front]) -> list[int]:
    """Appends the fronts of these cells; returns the numbers of those that have no parent yet."""
    if not cells:
        return []
    children: list[int] = []
    own = cells
    if len(cells) > leaf:
        left, right, own = _cut(cells, centres, neighbours)
        children += _dissect(left, centres, neighbours, leaf, done, result)
        children += _dissect(right, centres, neighbours, leaf, done, result)
        if not own:  # two parts that do not touch
            return children
    own_set = set(own)
    border = set().union(*(neighbours[i] for i in own), *(result[c].border for c in children)) - own_set - done
    done |= own_set
    result.append(Front(tuple(own), tuple(sorted(border)), tuple(children)))
    return [len(result) - 1]


def _cut(cells, centres, neighbours) -> tuple[list[int], list[int], list[int]]:
    """Halves the cells across the axis with the smallest separator: (left, right, separator)."""
    best = None
    here = centres[cells]
    for axis in range(centres.shape[1]):
        order = torch.sort(here[:, axis], stable=True)
        values = order.values
        if float(values[-1] - values[0]) <= 0:
            continue
        cut = float(values[len(cells) // 2])
        left = {cells[i] for i, v in enumerate(here[:, axis].tolist()) if v < cut - 1e-12 * abs(cut)}
        if not left:  # the median is the least: cut above it instead
            left = {cells[i] for i, v in enumerate(here[:, axis].tolist()) if v <= cut + 1e-12 * abs(cut)}
        right = set(cells) - left
        if not right:
            continue
        first = {i for i in left if neighbours[i] & right}
        second = {i for i in right if neighbours[i] & left}
        separator = first if len(first) <= len(second) else second
        quality = (len(separator) + 0.25 * abs(len(left) - len(right)), axis)
        if best is None or quality < best[0]:
            best = (quality, left - separator, right - separator, separator)
    if best is None:
        return [], [], list(cells)
    return sorted(best[1]), sorted(best[2]), sorted(best[3])
