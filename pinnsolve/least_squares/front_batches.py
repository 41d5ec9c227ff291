"""Small fronts of one level of a tree that are of like size in one batch, and what factorizations do with them.

Input: fronts and pairs of neighbours. Output: batches, in an order in which each finds its children done. Blocks of
cells are put into dense fronts here, and updates handed on to parents; how a front is eliminated is for others.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import torch
from torch import Tensor

from pinnsolve.least_squares.fronts import Front

SMALL = 1024  # columns of a front that may share a batch with others
AT_ONCE, WAITING = 2**22, 2**24  # numbers of a batch of several fronts; of those whose updates wait for others
WASTE = 1.3  # times the numbers of its fronts are those of a batch, at most
KEPT = 8  # plans of batches, which steps in time and corrections ask for again and again
IN_CACHE = 2**17  # numbers of blocks that are scaled at a time
LARGE_BLOCK = 48  # columns of blocks that are worth an addition each


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


# -- blocks of fronts -----------------------------------------------------------------------------------------------


def memory_of(some: Sequence[Batch], like: Tensor) -> Tensor:
    """Memory for the fronts of any of these batches, of blocks `like` (C, n, n): fresh pages for each would take longer
    than the arithmetic."""
    return like.new_empty(max(batch.numbers for batch in some) * like.shape[1] ** 2)


def zeros(batch: Batch, n: int, memory: Tensor) -> Tensor:
    """The fronts of a batch, (K, m n, m n), in that memory."""
    count, size = len(batch.own), batch.size * n
    return memory[: count * size**2].view(count, size, size).zero_()


def put_own(F: Tensor, batch: Batch, diagonal: Tensor, scale: Tensor, shift: float) -> None:
    """Puts the scaled and shifted diagonal blocks (C, n, n) of the own cells into fronts F (K, m n, m n) of zeros, and
    ones where a front has fewer; `scale`: (C, n)."""
    n = scale.shape[1]
    target = in_blocks(F, n)
    for front, place, cell in zip(*(part.split(max(1, IN_CACHE // n**2)) for part in batch.real), strict=True):
        target[front, place, place] = scaled(diagonal[cell], scale, cell, cell)
    on_diagonal = torch.diagonal(F, dim1=1, dim2=2).unflatten(1, (-1, n))
    on_diagonal[:, : batch.own.shape[1]] += shift
    on_diagonal[batch.missing[0], batch.missing[1]] = 1.0


def scaled(blocks: Tensor, scale: Tensor, rows: Tensor, columns: Tensor) -> Tensor:
    """Blocks (N, n, n) in rows and columns of these cells (N,), in units of the scale (C, n)."""
    return scale[rows][:, :, None] * blocks * scale[columns][:, None]


def add_updates(F: Tensor, update: Tensor, children: Children, n: int, lower: bool) -> None:
    """Adds updates (K', b n, b n) of children to their parents; with `lower`, of these and of the fronts only the lower
    part need be there."""
    target, given = in_blocks(F, n), in_blocks(update, n)
    size = children.places.shape[1]
    if not lower or n < LARGE_BLOCK:
        rows, columns = children.places[:, :, None], children.places[:, None]
        target[children.into[:, None, None], rows, columns] += given[children.fronts, :size, :size]
        return
    some = (children.fronts.tolist(), children.into.tolist(), children.places.tolist())
    for front, into, places in zip(*some, strict=True):
        for a, i in enumerate(places):
            for b, j in enumerate(places[: a + 1]):
                target[into, i, j] += given[front, a, b]


def scaled_and_padded(b: Tensor, scale: Tensor) -> Tensor:
    """(C + 1, n, k): b (C, n) or (C, n, k) in units of the scale, and zeros for cells that batches have too many."""
    y = b.new_zeros(len(scale) + 1, *scale.shape[1:], b[0, 0].numel())
    torch.mul(b.reshape(*scale.shape, -1), scale[:, :, None], out=y[:-1])
    return y


def take_off_borders(y: Tensor, batch: Batch, changes: Sequence[Tensor]) -> None:
    """Takes off y (C + 1, n, columns) what parts of the fronts change in their borders, (k, b n, columns) each."""
    if batch.border.shape[1]:
        change = changes[0] if len(changes) == 1 else torch.cat(list(changes))
        y.index_add_(0, batch.border.flatten(), change.reshape(-1, *y.shape[1:]), alpha=-1)
