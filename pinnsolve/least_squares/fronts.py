"""Fronts of a sparse matrix of dense blocks: in which order its cells are eliminated.

The cells of a partition are the nodes of a graph, one dense block row per cell; cells that share rows of the least
squares are neighbours. Nested dissection (George 1973) orders the cells by halving them in space; the multifrontal
method (Duff & Reid 1983) then works on dense fronts only. A chain of cells becomes a block band, a grid in two
dimensions costs O(C^{3/2}) block operations.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache

import torch
from torch import Tensor

LEAF_COLUMNS = 128  # of a front that is not worth cutting further
WORTH_CARE = 3e7  # multiplications per cell, from which on a careful dissection takes less than it spares
CUTS = (0.35, 0.42, 0.5, 0.58, 0.65)  # shares of cells to one side, that are tried
UNEVEN = (0.25, 0.1)  # what a cell more on one side than on the other counts, beside one between the parts; if careful
NEAR = 1e-9  # of the width of all: places that are the same
KEPT = 8  # orders of elimination: a march factorizes on the same cells again and again
PERIPHERAL = 2  # times a cell farther away is looked for


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
    return _ordered(tuple(map(tuple, centres.tolist())), tuple(map(tuple, pairs)), columns)


@lru_cache(KEPT)
def _ordered(places: Sequence[Sequence[float]], pairs: Sequence[tuple[int, int]], columns: int) -> tuple[Front, ...]:
    """The same, kept for the next factorizations on the same cells."""
    centres, count = torch.tensor(places, dtype=torch.float64, device="cpu"), len(places)
    neighbours: list[set[int]] = [set() for _ in range(count)]
    for i, j in pairs:
        neighbours[i].add(j)
        neighbours[j].add(i)
    leaf = max(1, LEAF_COLUMNS // columns)
    candidates: list[Sequence[Front]] = [_dissected(centres, neighbours, leaf, careful=False)]
    for axis in range(centres.shape[1]):
        order = torch.sort(centres[:, axis], stable=True).indices.tolist()
        candidates.append(_sweep(order, neighbours, leaf))
    if min(operations(tree, columns) for tree in candidates) > WORTH_CARE * count:
        candidates.append(_dissected(centres, neighbours, leaf, careful=True))
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


def _dissected(centres: Tensor, neighbours, leaf: int, careful: bool) -> list[Front]:
    """The fronts of nested dissection, of no more than `leaf` cells where that is enough; see `_cut`."""
    result: list[Front] = []
    _dissect(list(range(len(centres))), centres, neighbours, leaf, careful, set(), result)
    return result


def _dissect(cells, centres, neighbours, leaf: int, careful: bool, done: set[int], result: list[Front]) -> list[int]:
    """Appends the fronts of these cells; returns the numbers of those that have no parent yet."""
    if not cells:
        return []
    children: list[int] = []
    own = cells
    if len(cells) > leaf:
        left, right, own = _cut(cells, centres, neighbours, careful)
        children += _dissect(left, centres, neighbours, leaf, careful, done, result)
        children += _dissect(right, centres, neighbours, leaf, careful, done, result)
        if not own:  # two parts that do not touch
            return children
    own_set = set(own)
    border = set().union(*(neighbours[i] for i in own), *(result[c].border for c in children)) - own_set - done
    done |= own_set
    result.append(Front(tuple(own), tuple(sorted(border)), tuple(children)))
    return [len(result) - 1]


def _cut(cells, centres, neighbours, careful: bool) -> tuple[list[int], list[int], list[int]]:
    """Divides the cells, where fewest stand between two parts of like size: (left, right, separator).

    They are cut across an axis, at its median. If `careful`, at other places, too, with the smallest separator that
    there is, and also across the distance, in steps from neighbour to neighbour, from a cell that is as far as any from
    others: of cells of very different sizes the cut that crosses fewest may lie anywhere.
    """
    best = None
    within = set(cells)
    here = centres[cells]
    low, high = here.min(dim=0).values, here.max(dim=0).values
    alike = torch.round((here - low) / (high - low).clamp_min(1e-300) / NEAR)  # but for rounding
    places = alike.T.tolist()
    if careful:
        places.append(_distances(cells, within, neighbours))
    for values in places:
        for cut in _middles(values, CUTS if careful else (0.5,)):
            left = {cell for cell, value in zip(cells, values, strict=True) if value < cut}
            separator = (_smallest if careful else _one_side)(left, within, neighbours)
            parts = left - separator, within - left - separator
            if best is not None and not all(parts):
                continue
            quality = len(separator) + UNEVEN[careful] * abs(2 * len(left) - len(cells))
            if best is None or quality < best[0]:
                best = (quality, *parts, separator)
    if best is None:
        return [], [], list(cells)
    return sorted(best[1]), sorted(best[2]), sorted(best[3])


def _middles(values: Sequence[float], shares: Sequence[float]) -> list[float]:
    """Values below which there are about such shares of all, and some: where to cut."""
    different = sorted(set(values))[1:]
    ordered = sorted(values)
    wanted = [ordered[int(share * len(ordered))] for share in shares]
    return sorted({min(different, key=lambda value: abs(value - one)) for one in wanted}) if different else []


def _distances(cells: Sequence[int], within: set[int], neighbours: Sequence[set[int]]) -> list[float]:
    """How many steps every cell is from one at an end; infinite where there is no way."""
    start = cells[0]
    for _ in range(PERIPHERAL):
        depth, steps, layer = 0.0, {start: 0.0}, [start]
        while layer:
            layer = list({j for i in layer for j in neighbours[i] if j in within and j not in steps})
            steps.update(dict.fromkeys(layer, depth := depth + 1.0))
        start = max(steps, key=lambda cell: (steps[cell], -cell))
    return [steps.get(cell, math.inf) for cell in cells]


def _one_side(left: set[int], within: set[int], neighbours: Sequence[set[int]]) -> set[int]:
    """The cells on one side of a cut that have neighbours on the other, of the side where they are fewer."""
    right = within - left
    first, second = {i for i in left if neighbours[i] & right}, {j for j in right if neighbours[j] & left}
    return first if len(first) <= len(second) else second


def _smallest(left: set[int], within: set[int], neighbours: Sequence[set[int]]) -> set[int]:
    """The fewest cells without which no cell on the left has a neighbour on the right: the smallest cover of the pairs
    across the cut, from a largest matching (Koenig's theorem: Duff, Erisman & Reid, Direct Methods for Sparse Matrices,
    2nd ed., section 9.4)."""
    from scipy.sparse import csr_matrix  # slow to import, and only large factorizations need it
    from scipy.sparse.csgraph import maximum_bipartite_matching

    first = [i for i in sorted(left) if neighbours[i] & within - left]
    second = sorted(set().union(*(neighbours[i] & within - left for i in first)))
    if not first:
        return set()
    number = {j: k for k, j in enumerate(second)}
    edges = [(k, number[j]) for k, i in enumerate(first) for j in neighbours[i] if j in number]
    rows, columns = (list(part) for part in zip(*edges, strict=True))
    graph = csr_matrix(([1] * len(rows), (rows, columns)), (len(first), len(second)))
    partner = maximum_bipartite_matching(graph, perm_type="column").tolist()  # of the first ones
    of_second = {j: i for i, j in enumerate(partner) if j >= 0}
    reached, layer = {i for i, j in enumerate(partner) if j < 0}, [i for i, j in enumerate(partner) if j < 0]
    covered: set[int] = set()
    while layer:
        i = layer.pop()
        for j in graph.indices[graph.indptr[i] : graph.indptr[i + 1]].tolist():
            if j not in covered:
                covered.add(j)
                back = of_second[j]
                if back not in reached:
                    reached.add(back)
                    layer.append(back)
    return {first[i] for i in range(len(first)) if i not in reached} | {second[j] for j in covered}
