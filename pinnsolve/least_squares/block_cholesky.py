"""Cholesky factorization of a sparse matrix of dense blocks, front by front along a tree of separators.

The cells of a partition are the nodes of a graph, one dense block row per cell; cells that share rows of the least
squares are neighbours. Nested dissection (George 1973) orders the cells by halving them in space; the multifrontal
method (Duff & Reid 1983) then works on dense fronts only. A chain of cells becomes a block band, a grid in two
dimensions costs O(C^{3/2}) block operations.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

LEAF_COLUMNS = 128  # of a front that is not worth cutting further
SMALL_BLOCK = 48  # columns of blocks that are not worth an addition each where there are many
UPDATE_COLUMNS = 512  # of a front's update made at a time
FIRST_SHIFT, LAST_SHIFT = 1e-14, 1e-8  # added to the unit diagonal, so that dependent columns stay bounded


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


class BlockMatrix:
    """A symmetric matrix of (C, n, n) diagonal blocks and (P, n, n) blocks for pairs (i, j) of neighbours."""

    def __init__(self, diagonal: Tensor, pairs: Sequence[tuple[int, int]], blocks: Tensor):
        self.diagonal, self.pairs, self.blocks = diagonal, tuple(pairs), blocks


class BlockCholesky:
    """The factorization of a `BlockMatrix`, scaled to unit diagonal and shifted by `shift`.

    `check()` is called several times per front, and ends the factorization by raising what it likes.
    """

    def __init__(self, matrix: BlockMatrix, tree: Sequence[Front], check: Callable[[], None] = lambda: None):
        d = torch.diagonal(matrix.diagonal, dim1=1, dim2=2)
        self.scale = torch.where(d > 0, d, 1.0).rsqrt()  # (C, n)
        self.tree, self.n = tree, matrix.diagonal.shape[1]
        shift = FIRST_SHIFT
        while not self._factorize(matrix, shift, check):
            shift *= 100.0
            if shift > LAST_SHIFT:
                raise ArithmeticError("the matrix of the least squares is not finite, or far from positive")
        self.shift = shift

    def _factorize(self, matrix: BlockMatrix, shift: float, check: Callable[[], None]) -> bool:
        n = self.n
        coupling: dict[int, list[tuple[int, Tensor]]] = {}
        for k, (i, j) in enumerate(matrix.pairs):
            coupling.setdefault(i, []).append((j, matrix.blocks[k]))
            coupling.setdefault(j, []).append((i, matrix.blocks[k].T))
        self.factors: list[tuple[Tensor, Tensor | None]] = []
        self._indices: list[tuple[Tensor, Tensor]] = []
        updates: list[Tensor | None] = []
        largest = max(len(f.own) + len(f.border) for f in self.tree) * n
        # one piece of memory for all fronts: fresh pages for each would take longer than the arithmetic
        memory = matrix.diagonal.new_empty(largest * largest)
        for front in self.tree:
            check()
            own, size = len(front.own) * n, (len(front.own) + len(front.border)) * n
            F = memory[: size * size].view(size, size).zero_()
            self._fill(F, front, matrix.diagonal, coupling, shift)
            position = {cell: k for k, cell in enumerate(front.own + front.border)}
            for child in front.children:
                _extend(F, updates[child], [position[cell] for cell in self.tree[child].border], n)
                updates[child] = None
            L, info = torch.linalg.cholesky_ex(F[:own, :own])
            if int(info) or not bool(torch.isfinite(L[-1, -1])):
                return False
            below = update = None
            if size > own:
                check()
                below = torch.linalg.solve_triangular(L, F[own:, :own].T, upper=False)  # (own, border)
                check()
                update = _lower_update(F[own:, own:], below)
            updates.append(update)
            self.factors.append((L, below))
            self._indices.append((_columns(front.own, n), _columns(front.border, n)))
        return True

    def _fill(self, F: Tensor, front: Front, diagonal: Tensor, coupling, shift: float) -> None:
        """The front's own columns of the scaled matrix, on and below the diagonal."""
        n, scale = self.n, self.scale
        position = {cell: k for k, cell in enumerate(front.own + front.border)}
        for cell in front.own:
            k = position[cell] * n
            here = F[k : k + n, k : k + n]
            torch.mul(diagonal[cell], scale[cell][:, None], out=here)
            here.mul_(scale[cell])
            here.diagonal().add_(shift)
            for other, block in coupling.get(cell, ()):
                m = position.get(other, -1) * n
                if m > k:  # each pair once, below the diagonal; those above it stand where the other cell is `cell`
                    torch.mul(block.T, scale[other][:, None], out=F[m : m + n, k : k + n])
                    F[m : m + n, k : k + n].mul_(scale[cell])

    @property
    def pivots(self) -> Tensor:
        """Diagonal of the factor; small where columns are nearly dependent (1 is an independent column)."""
        return torch.cat([torch.diagonal(L) for L, _ in self.factors])

    def rank_info(self) -> dict[str, float | int]:
        """`rank`, `columns` and `condition`, the last from the pivots, an estimate from below.

        A pivot is the share of a column that the columns before do not hold; in the matrix A^T A, the smallest that can
        be told from zero is the root of the shift.
        """
        pivots = self.pivots
        held = pivots > 3.0 * self.shift**0.5
        return {
            "rank": int(held.sum()),
            "columns": len(pivots),
            "condition": float(pivots.max() / pivots[held].min()) if bool(held.any()) else float("inf"),
        }

    def solve(self, b: Tensor) -> Tensor:
        """x: (C, n) or (C, n, k) with (matrix) x = b."""
        shape = b.shape
        scale = self.scale.reshape(-1, 1)
        y = b.reshape(scale.shape[0], -1) * scale
        for (L, below), (own, border) in zip(self.factors, self._indices, strict=True):
            part = torch.linalg.solve_triangular(L, y[own], upper=False)
            y[own] = part
            if below is not None:
                y[border] -= below.T @ part
        for (L, below), (own, border) in zip(reversed(self.factors), reversed(self._indices), strict=True):
            part = y[own] if below is None else y[own] - below @ y[border]
            y[own] = torch.linalg.solve_triangular(L.T, part, upper=True)
        return (y * scale).reshape(shape)


def _lower_update(F: Tensor, below: Tensor) -> Tensor:
    """below^T below - F, (B, B), on and below the diagonal alone, but for whole blocks of columns."""
    update = torch.empty_like(F, memory_format=torch.contiguous_format)
    for j in range(0, len(F), UPDATE_COLUMNS):
        columns = slice(j, j + UPDATE_COLUMNS)
        torch.addmm(F[j:, columns], below[:, j:].T, below[:, columns], beta=-1.0, out=update[j:, columns])
    return update


def _extend(F: Tensor, update: Tensor | None, places: Sequence[int], n: int) -> None:
    """Subtracts a child's update, whose cells stand at `places` of the front; of both only the lower part is there."""
    if update is None:
        return
    if len(places) > 16 and n < SMALL_BLOCK:
        index = _columns(places, n)
        F[index[:, None], index] -= torch.tril(update) + torch.tril(update, -1).T
        return
    for a, i in enumerate(places):
        for b, j in enumerate(places[: a + 1]):
            block = update[a * n : a * n + n, b * n : b * n + n]
            if i >= j:
                F[i * n : i * n + n, j * n : j * n + n] -= block
            else:  # the two cells stand in the other order here
                F[j * n : j * n + n, i * n : i * n + n] -= block.T


def _columns(cells: Sequence[int], n: int) -> Tensor:
    """The columns of these block rows, (len(cells) * n,)."""
    start = torch.as_tensor(cells, dtype=torch.long) * n
    return (start[:, None] + torch.arange(n)).reshape(-1)
