"""Static condensation of a least squares on cells: cells are eliminated one by one, what is left stands on their faces.

Rows between two cells see but few functions of each, their traces: with orthonormal rows they say a + b = 0 for
a = T_i x_i and b = T_j x_j. As min over l of 2 |a - l|^2 + 2 |b + l|^2 is |a + b|^2, unknowns l on the faces take the
cells apart, and the least squares stays the same. So the global matrix has a block of 2 (p + 1) rows on a face in place
of (p + 1)^2 on a cell (in two coordinates, of second order). It is the condensation of hybridized methods (Cockburn,
Gopalakrishnan & Lazarov, SIAM J. Numer. Anal. 47 (2009) 1319-1365) for least squares.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor

from pinnsolve.least_squares.block_cholesky import LAST_SHIFT, BlockCholesky, BlockMatrix
from pinnsolve.least_squares.block_lu import TINY, BlockLU
from pinnsolve.least_squares.fronts import Front, fronts, operations
from pinnsolve.least_squares.products import times
from pinnsolve.threads import PARTS, parts, side_by_side

AT_ONCE = 1e7  # numbers of blocks of cells that are made at a time by each of a few threads
INDEPENDENT = 1e-13  # of the largest square: that of rows which others hold
NEAR = 30.0  # ratio of norms of rows that are combined with each other
SIGNED = (2.0, -2.0)  # the rows of the first and the second cell beside l
LESS = (-2.0, -2.0)  # the same where squares of rows are taken off: min over l of 4 a l + 4 l^2 is -a^2
SINGULAR = "the matrix of a cell is singular, or not finite"
SAME = 1e-9  # relative: what traces may lose where all members are taken to have the functions of the first

Sides = Sequence[tuple[Tensor, Tensor]]  # per side, the cells (G,) and a matrix (G or 1, rows, n)


def traces(sides: Sides) -> Sides:
    """Rows between two cells as few rows that say the same: (G or 1, r, n), where the rows are orthonormal combinations
    of those given.

    Rows of one size are combined with each other only: of a flux that is a million times a value, what holds the value
    would not be told from rounding.
    """
    (i, A), (j, B) = sides
    if len(A) != len(B):
        A, B = A.expand(len(i), *A.shape[1:]), B.expand(len(j), *B.shape[1:])
    parts = [_combined(A[:, rows], B[:, rows]) for rows in _of_one_size(A, B)]
    A, B = (torch.cat([part[k] for part in parts], dim=1) for k in range(2))
    return [(i, A), (j, B)]


def _of_one_size(A: Tensor, B: Tensor) -> list[Tensor]:
    """The numbers of the rows, in sets of those whose largest norms lie near each other."""
    size = torch.maximum(*(X.norm(dim=2).amax(dim=0) for X in (A, B)))
    order = size.argsort(descending=True)
    ordered = size[order]
    apart = (ordered[1:] < ordered[:-1] / NEAR).nonzero()[:, 0] + 1
    return [rows for rows in order.tensor_split(apart.cpu()) if float(size[rows[0]]) > 0.0 or len(rows) == len(size)]


def _combined(A: Tensor, B: Tensor) -> tuple[Tensor, Tensor]:
    Q = _combinations(A[:1], B[:1])
    found = [times(Q.mT, A), times(Q.mT, B)]
    lost = sum(float((whole - times(Q, part)).norm()) for whole, part in zip((A, B), found, strict=True))
    if lost > SAME * float(A.norm() + B.norm()):
        Q = _combinations(A, B)
        found = [times(Q.mT, A), times(Q.mT, B)]
    return found[0], found[1]


def unit_scale(d: Tensor, blocks: Sequence[Sides]) -> Tensor:
    """(C, n): what brings to one the diagonal `d` (C, n) of rows of one cell, with that of traces added."""
    d = d.clone()
    for sides in blocks:
        for cells, T in sides:
            d.index_add_(0, cells, (T**2).sum(dim=1).expand(len(cells), -1))
    return torch.where(d > 0, d, 1.0).rsqrt()


def traces_apart(sides: Sides) -> Sides:
    """The traces of rows with two sides where these are different cells; none where there are none."""
    if len(sides) < 2:
        return ()
    apart = sides[0][0] != sides[1][0]
    if not bool(apart.any()):
        return ()
    return traces([(cells[apart], A if len(A) == 1 else A[apart]) for cells, A in sides])


def _combinations(A: Tensor, B: Tensor) -> Tensor:
    """(G, M, r): orthonormal columns that span those of [A B]; some more where members have fewer than others."""
    values, vectors = torch.linalg.eigh(A @ A.mT + B @ B.mT)
    kept = int((values > INDEPENDENT * values[:, -1:]).sum(dim=1).max())
    return vectors[:, :, vectors.shape[2] - kept :]


@dataclass(frozen=True)
class _Alike:
    """Cells (K,) with equally many faces: `faces` (K, k); `seen` (K, k r, n) by these, signed and doubled."""

    cells: Tensor
    faces: Tensor
    seen: Tensor

    def pieces(self) -> Iterator[_Alike]:
        """Fewer cells each, as many as are worth a thread, and as fit in memory."""
        numbers = self.seen.shape[2] ** 2
        for some in parts(len(self.cells), len(self.cells) * numbers):
            whole = [x[some] for x in (self.cells, self.faces, self.seen)]
            split = (x.split(max(1, int(AT_ONCE // numbers))) for x in whole)
            yield from (_Alike(*part) for part in zip(*split, strict=True))


class FaceGraph:
    """Faces between cells `first` and `second` (F,), with so many `rows` each; `at`: per cell its faces, and which of
    the two it is. `centres`: (C, d)."""

    def __init__(self, first: Tensor, second: Tensor, centres: Tensor, rows: int):
        self.count, self.rows = len(first), rows
        self.at: list[list[tuple[int, int]]] = [[] for _ in centres]
        for k, cells in enumerate((first, second)):
            for face, cell in enumerate(cells.tolist()):
                self.at[cell].append((face, k))
        self.pairs = sorted({(a, b) for faces in self.at for a, _ in faces for b, _ in faces if a < b})
        self.tree = fronts(0.5 * (centres[first] + centres[second]), self.pairs, rows)


class Faces:
    """Faces with the rows between their cells, `blocks`: sides as from `traces` for every block of rows.

    `scale`: (C, n) of the columns; `centres`: (C, d); `less`: whether squares of rows are taken off those of the
    cells, and not added to them.
    """

    def __init__(self, blocks: Sequence[Sides], scale: Tensor, centres: Tensor, less: bool = False):
        self.less = less
        first, second = (torch.cat([sides[k][0] for sides in blocks]) for k in range(2))
        self.graph = FaceGraph(first, second, centres, max(A.shape[1] for ((_, A), _) in blocks))
        self.rows, self.count, self.scale = self.graph.rows, len(first), scale
        seen = [_padded([sides[k] for sides in blocks], self.rows) for k in range(2)]
        at = self.graph.at
        self.groups = [self._alike(at, count, seen) for count in sorted({len(faces) for faces in at})]
        self._number = torch.tensor(self.graph.pairs, dtype=torch.long).reshape(-1, 2) @ torch.tensor([self.count, 1])

    def _alike(self, at: Sequence[Sequence[tuple[int, int]]], count: int, seen: Sequence) -> _Alike:
        cells = [cell for cell, faces in enumerate(at) if len(faces) == count]
        faces = torch.tensor([[face for face, _ in at[cell]] for cell in cells], dtype=torch.long)
        parts = [(LESS if self.less else SIGNED)[side] * seen[side](face) for cell in cells for face, side in at[cell]]
        n = self.scale.shape[1]
        whole = torch.stack(parts) if parts else self.scale.new_zeros(0, self.rows, n)
        whole = whole.reshape(len(cells), count * self.rows, n) * self.scale[cells][:, None]
        return _Alike(torch.tensor(cells), faces.reshape(len(cells), count), whole)

    def zeros(self, dtype: torch.dtype) -> list[Tensor]:
        """Blocks on the diagonal, 4 times the identity, and above and below it."""
        r = self.rows
        diagonal = (4.0 * torch.eye(r, dtype=dtype)).repeat(self.count, 1, 1)
        return [diagonal, *(torch.zeros(len(self.graph.pairs), r, r, dtype=dtype) for _ in range(2))]

    def subtract(self, blocks: Sequence[Tensor], faces: Tensor, products: Tensor) -> None:
        """Takes (K, k r, k r) off the blocks of faces (K, k)."""
        diagonal, upper, lower = blocks
        k, r = faces.shape[1], self.rows
        products = products.reshape(len(faces), k, r, k, r)
        for a in range(k):
            diagonal.index_add_(0, faces[:, a], products[:, a, :, a], alpha=-1)
            for b in range(a + 1, k):
                first, second = (torch.where(faces[:, a] < faces[:, b], *ends) for ends in self._ends(faces, a, b))
                number = torch.searchsorted(self._number, first * self.count + second)
                ordered = (faces[:, a] < faces[:, b])[:, None, None]
                ab, ba = products[:, a, :, b], products[:, b, :, a]
                upper.index_add_(0, number, torch.where(ordered, ab, ba), alpha=-1)
                lower.index_add_(0, number, torch.where(ordered, ba, ab), alpha=-1)

    @staticmethod
    def _ends(faces: Tensor, a: int, b: int) -> tuple[tuple[Tensor, Tensor], tuple[Tensor, Tensor]]:
        return (faces[:, a], faces[:, b]), (faces[:, b], faces[:, a])


def _padded(sides: Sides, rows: int) -> Callable[[int], Tensor]:
    """Gives, by the number of a face, what it sees of one of its cells, (rows, n)."""
    ends = torch.tensor([len(cells) for cells, _ in sides]).cumsum(0).tolist()

    def of(face: int) -> Tensor:
        block = next(k for k, end in enumerate(ends) if face < end)
        cells, A = sides[block]
        one = A[0] if len(A) == 1 else A[face - ends[block] + len(cells)]
        return torch.cat([one, one.new_zeros(rows - len(one), one.shape[1])]) if len(one) < rows else one

    return of


@dataclass(frozen=True)
class _Inverse:
    """Of some cells: `of` gives D^-1 b for b (K, n, k), `carried` (K, n, k r) is what it makes of their faces; `pivots`
    of a Cholesky factorization."""

    cells: _Alike
    of: Callable[[Tensor], Tensor]
    carried: Tensor
    pivots: Tensor | None = None


class Condensed:
    """The factorization of the blocks `own` (C, n, n) of cells and of the rows between them, real or complex.

    `positive`: whether it is that of a least squares, symmetric and positive. Raises ArithmeticError for the matrix of
    a cell that is singular, or not finite.
    """

    def __init__(self, own: Tensor, faces: Faces, positive: bool, check: Callable[[], None] = lambda: None):
        self.faces, self._check = faces, check
        blocks = faces.zeros(own.dtype)
        self._cells: list[_Inverse] = []
        pieces = [cells for group in faces.groups for cells in group.pieces()]
        for first in range(0, len(pieces), PARTS):  # whose products wait for each other
            tasks = [partial(self._eliminated, cells, own, positive) for cells in pieces[first : first + PARTS]]
            for inverse, products in side_by_side(tasks, own.numel()):
                faces.subtract(blocks, inverse.cells.faces, products)
                self._cells.append(inverse)
            check()
        self._factor: BlockCholesky | BlockLU
        if positive:
            self._factor = BlockCholesky(BlockMatrix(blocks[0], faces.graph.pairs, blocks[1]), faces.graph.tree, check)
        else:
            ones = faces.scale.new_ones(faces.count, faces.rows)
            self._factor = BlockLU(blocks, faces.graph.pairs, ones, faces.graph.tree, check)

    def _eliminated(self, some: _Alike, own: Tensor, positive: bool) -> tuple[_Inverse, Tensor]:
        """The cells' inverses, and (K, k r, k r) what they take off their faces."""
        self._check()
        scale = self.faces.scale[some.cells]
        D = own[some.cells].mul_(scale[:, :, None]).mul_(scale[:, None])  # a copy, which is large: no other is made
        D = D if self.faces.less else D.add_(times(some.seen.mT, some.seen), alpha=0.5)
        pivots: Tensor | None = None
        if positive:
            L = _cholesky(D)
            half = torch.linalg.solve_triangular(L, some.seen.mT, upper=False)
            products = times(half.mT, half)  # not by the inverse: what is left of the faces is a small difference
            carried = torch.linalg.solve_triangular(L.mT, half, upper=True).contiguous()
            of = partial(_twice_triangular, L)  # an inverse would lose the digits of soft directions
            pivots = torch.diagonal(L, dim1=1, dim2=2).flatten()
        else:
            D.diagonal(dim1=1, dim2=2).add_(TINY)
            LU, order, info = torch.linalg.lu_factor_ex(D)
            if bool(info.any()):
                raise ArithmeticError(SINGULAR)
            of = partial(torch.linalg.lu_solve, LU, order)
            carried = of(some.seen.mT.to(own.dtype)).contiguous()
            products = _real_times(some.seen, carried)
        return _Inverse(some, of, carried, pivots), products

    def rank_info(self) -> dict[str, float | int]:
        """As of `BlockCholesky`; where what few functions of a cell leave open shows at its faces, it is told by
        these. Of least squares alone."""
        assert isinstance(self._factor, BlockCholesky)
        of_faces = self._factor.rank_info()
        pivots = torch.cat([one.pivots for one in self._cells if one.pivots is not None])
        held = pivots > 3.0 * TINY**0.5
        columns = len(pivots)
        inside = float(pivots.max() / pivots[held].min()) if bool(held.any()) else float("inf")
        rank = int(held.sum()) - (of_faces["columns"] - of_faces["rank"])
        return {"rank": rank, "columns": columns, "condition": max(inside, of_faces["condition"])}

    def solve(self, b: Tensor) -> Tensor:
        """x: (C, n) or (C, n, k) with (matrix) x = b."""
        if b.ndim == 2:
            return self.solve(b[:, :, None])[:, :, 0]
        faces, scale, k = self.faces, self.faces.scale[:, :, None], b.shape[2]
        b = b * scale
        g = b.new_zeros(faces.count, faces.rows, k)

        def inside(inverse: _Inverse) -> tuple[Tensor, Tensor]:
            y = inverse.of(b[inverse.cells.cells])
            return y, _real_times(inverse.cells.seen, y).reshape(-1, faces.rows, k)

        def whole(inverse: _Inverse, y: Tensor) -> None:
            some = inverse.cells
            x[some.cells] = y + times(inverse.carried, on_faces[some.faces].flatten(1, 2))

        numbers = len(b) * b.shape[1] ** 2
        found = side_by_side([partial(inside, inverse) for inverse in self._cells], numbers)
        for inverse, (_, seen) in zip(self._cells, found, strict=True):
            g.index_add_(0, inverse.cells.faces.flatten(), seen)
        on_faces, x = self._factor.solve(g), torch.empty_like(b)
        side_by_side([partial(whole, one, y) for one, (y, _) in zip(self._cells, found, strict=True)], numbers)
        return x * scale


def _cholesky(D: Tensor) -> Tensor:
    """L of D (K, n, n), of unit diagonal but for a factor, which is shifted, more where that does not do."""
    shift = TINY
    while shift <= LAST_SHIFT:
        D.diagonal(dim1=1, dim2=2).add_(shift)
        L, info = torch.linalg.cholesky_ex(D)
        if not bool(info.any()) and bool(torch.isfinite(L[:, -1, -1]).all()):
            return L
        shift *= 100.0
    raise ArithmeticError(SINGULAR)


def _twice_triangular(L: Tensor, b: Tensor) -> Tensor:
    """(L L^T)^-1 b"""
    return torch.linalg.solve_triangular(L.mT, torch.linalg.solve_triangular(L, b, upper=False), upper=True)


def _real_times(A: Tensor, x: Tensor) -> Tensor:
    """A x for real A (K, m, n) and x (K, n, k), complex or not."""
    if not x.is_complex():
        return times(A, x)
    return torch.view_as_complex(times(A, torch.view_as_real(x).flatten(2)).unflatten(2, (-1, 2)))


def operations_condensed(columns: int, faces: FaceGraph) -> float:
    """Multiplications of a factorization of cells with so many `columns` each, and of what is left on their faces."""
    seen = [len(at) * faces.rows for at in faces.at]
    inside = sum(columns**3 / 3 + k * columns * (columns + k) for k in seen)
    return inside + operations(faces.tree, faces.rows)


def worth_condensing(cells: Sequence[Front], columns: int, faces: FaceGraph) -> bool:
    """Whether fronts of faces take fewer operations than those of cells, with so many `columns` each."""
    return operations_condensed(columns, faces) < operations(cells, columns)
