"""Fronts of a sparse matrix of dense blocks: in which order its cells are eliminated, and which at once.

The cells of a partition are the nodes of a graph, one dense block row per cell; cells that share rows of the least
squares are neighbours. Nested dissection (George 1973) orders the cells by halving them in space; the multifrontal
method (Duff & Reid 1983) then works on dense fronts only. A chain of cells becomes a block band, a grid in two
dimensions costs O(C^{3/2}) block operations. Small fronts of one level of the tree that are of like size are taken in
one batch.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache

import torch
from torch import Tensor

LEAF_COLUMNS = 128  # of a front that is not worth cutting further
SMALL = 1024  # columns of a front that may share a batch with others
AT_ONCE, WAITING = 2**22, 2**24  # numbers of a batch of several fronts; of those whose updates wait for others
WASTE = 1.3  # times the numbers of its fronts are those of a batch, at most
KEPT = 8  # plans of batches, which steps in time and corrections ask for again and again


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


# -- batches --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Children:
    """Fronts (N,) of an earlier `batch` with borders of one size b, whose updates go into the fronts `into` (N,) of
    this one, at `places` (N, b) there, which are in ascending order."""

    batch: int
    fronts: Tensor
    into: Tensor
    places: Tensor


@dataclass(frozen=True)
class Couplings:
    """Blocks of pairs, (N,) each: the number of the pair, of the front in the batch, the places of the row and of the
    column there, and their cells."""

    pairs: Tensor
    fronts: Tensor
    rows: Tensor
    columns: Tensor
    row_cells: Tensor
    column_cells: Tensor


@dataclass(frozen=True)
class Batch:
    """Fronts of one level: `own` (K, a) and `border` (K, b), the cells, with the number of all cells where a front has
    fewer. Places count from the first own cell to the last of the border.

    `real`: (3, N) front, place and cell of those there are of the own ones; `missing`: (2, N) front and place of the
    others. `last_of`: earlier batches whose updates nobody needs after this one. `straight`, `turned`: blocks of pairs
    (i, j) that stand below the diagonal as they are given (in row i), and transposed.
    """

    own: Tensor
    border: Tensor
    real: Tensor
    missing: Tensor
    children: tuple[Children, ...]
    last_of: tuple[int, ...]
    straight: Couplings
    turned: Couplings

    @property
    def size(self) -> int:
        """Cells of a front."""
        return self.own.shape[1] + self.border.shape[1]

    @property
    def numbers(self) -> int:
        """Blocks of all fronts."""
        return len(self.own) * self.size**2


def batches(tree: Sequence[Front], pairs: Sequence[tuple[int, int]], like: Tensor) -> tuple[Batch, ...]:
    """The fronts of cells with blocks `like` (C, n, n), in an order in which all find their children done."""
    return _batches(tuple(tree), tuple(pairs), len(like), like.shape[1], like.device)


@lru_cache(maxsize=KEPT)
def _batches(
    tree: tuple[Front, ...], pairs: tuple[tuple[int, int], ...], cells: int, columns: int, device: torch.device
) -> tuple[Batch, ...]:
    rank = {cell: k for k, cell in enumerate(cell for front in tree for cell in front.own)}
    borders = [sorted(front.border, key=rank.__getitem__) for front in tree]
    groups = _groups(tree, columns)
    place_of = {front: (number, k) for number, group in enumerate(groups) for k, front in enumerate(group)}
    links: list[list[list[tuple[int, ...]]]] = [[[], []] for _ in groups]
    in_front = {cell: k for k, front in enumerate(tree) for cell in front.own}
    widths = [max(len(tree[k].own) for k in group) for group in groups]
    places = [
        {
            cell: place
            for start, some in ((0, front.own), (widths[place_of[k][0]], borders[k]))
            for place, cell in enumerate(some, start)
        }
        for k, front in enumerate(tree)
    ]
    for number, (i, j) in enumerate(pairs):
        turned = rank[i] < rank[j]  # the block in row i and column j is above the diagonal
        row, column = (j, i) if turned else (i, j)
        front = in_front[column]
        batch, k = place_of[front]
        links[batch][turned].append((number, k, places[front][row], places[front][column], row, column))
    children = [_children(group, tree, borders, place_of, places, device) for group in groups]
    last = {some.batch: number for number, sets in enumerate(children) for some in sets}
    return tuple(
        Batch(
            _padded([tree[k].own for k in group], cells).to(device),
            _padded([borders[k] for k in group], cells).to(device),
            _table([(k, p, cell) for k, f in enumerate(group) for p, cell in enumerate(tree[f].own)], 3).to(device),
            _table([(k, p) for k, f in enumerate(group) for p in range(len(tree[f].own), width)], 2).to(device),
            children[number],
            tuple(child for child, at in last.items() if at == number),
            *(Couplings(*_table(some, 6).to(device)) for some in links[number]),
        )
        for number, (group, width) in enumerate(zip(groups, widths, strict=True))
    )


def _groups(tree: Sequence[Front], columns: int) -> list[list[int]]:
    """Which fronts are taken at once. Large ones are alone, and come when what is below them is done, so that few
    updates wait; so are small ones when too many wait."""
    groups: list[list[int]] = []
    level: dict[int, int] = {}  # of small fronts that are not in a group yet
    waiting = 0

    def flush() -> None:
        for height in range(max(level.values(), default=-1) + 1):
            groups.extend(_alike([k for k, at in level.items() if at == height], tree, columns))
        level.clear()

    for k, front in enumerate(tree):
        size = (len(front.own) + len(front.border)) * columns
        if size > SMALL or waiting > WAITING:
            flush()
            waiting = 0
        if size > SMALL:
            groups.append([k])
        else:
            level[k] = 1 + max((level.get(child, -1) for child in front.children), default=-1)
            waiting += size**2
    flush()
    return groups


def _alike(level: Sequence[int], tree: Sequence[Front], columns: int) -> list[list[int]]:
    """The fronts of a level in groups that waste little where all are as large as the largest."""
    groups: list[list[int]] = []
    a = b = numbers = 0
    for k in sorted(level, key=lambda k: (len(tree[k].own), len(tree[k].border)), reverse=True):
        own, border = len(tree[k].own), len(tree[k].border)
        most, count, here = max(b, border), len(groups[-1]) + 1 if groups else 1, own * (own + border)
        wasteful = count * a * (a + most) > WASTE * (numbers + here)
        if not groups or wasteful or count * (a + most) ** 2 * columns**2 > AT_ONCE:
            groups.append([k])
            a, b, numbers = own, border, here
        else:
            groups[-1].append(k)
            b, numbers = most, numbers + here
    return groups


def _children(group, tree: Sequence[Front], borders, place_of, places, device) -> tuple[Children, ...]:
    """Those of the fronts of a group; of one front no two in the same set, for these overlap."""
    sets: dict[tuple[int, int, int], list[tuple[int, int, list[int]]]] = {}
    for k, front in enumerate(group):
        for number, child in enumerate(tree[front].children):
            if borders[child]:
                batch, which = place_of[child]
                there = [places[front][cell] for cell in borders[child]]
                sets.setdefault((batch, number, len(there)), []).append((which, k, there))
    return tuple(
        Children(batch, *(torch.tensor(part, device=device) for part in zip(*some, strict=True)))
        for (batch, _, _), some in sets.items()
    )


def _padded(rows: Sequence[Sequence[int]], filler: int) -> Tensor:
    """(K, w), as wide as the longest."""
    width = max(map(len, rows))
    return torch.tensor([[*row, *[filler] * (width - len(row))] for row in rows], dtype=torch.long)


def _table(rows: Sequence[Sequence[int]], width: int) -> Tensor:
    """(width, N)"""
    return torch.tensor(rows, dtype=torch.long).reshape(-1, width).T.contiguous()


def in_blocks(F: Tensor, n: int) -> Tensor:
    """F (K, m n, l n) as a view (K, m, l, n, n)."""
    return F.unflatten(2, (-1, n)).unflatten(1, (-1, n)).transpose(2, 3)
