"""Very many measurements as few rows: in every cell the triangle of a QR factorization of their rows.

Rows of data that are linear in the unknowns are A c + b, and |A c + b|^2 = |R c + d|^2 with [R, d] the triangle of
[A, b]: solutions, losses and likelihoods are the same, with as many rows as a cell has functions, and one more. The
rows are made and folded in a few at a time (sequential TSQR; Demmel, Grigori, Hoemmen & Langou, SIAM J. Sci. Comput. 34
(2012) A206-A239), so that memory does not grow with the number of measurements. What is less rich on the same cells
takes its columns from what was folded before.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from functools import cached_property

import torch
from torch import Tensor

from pinnsolve.assembly.cell_rows import CellTerm
from pinnsolve.assembly.row_source import RowBlock, RowSource, State
from pinnsolve.assembly.term_rows import measured_rows
from pinnsolve.bases.piecewise.mesh import Cells
from pinnsolve.bases.piecewise.space import Space
from pinnsolve.compiler.terms import CompiledProblem, Term
from pinnsolve.geometry.sampling import Points

MANY = 20_000  # measurements from which on they are reduced
NUMBERS = 2e6  # of the rows that are made at a time
TALL = 8  # times as many rows as columns are factorized at once, which stays in fast memory
AHEAD = 2  # degrees more than asked for, because errors are estimated with them


def is_reducible(term: Term, count: int) -> bool:
    """Whether the rows of data are many, and the same at every state."""
    fixed = all(not one.parameters for one in term.linearizations)
    return count >= MANY and term.linear and fixed and not term.robust


@dataclass
class FoldedData:
    """The measurements of a term, and the triangles of the last spaces, which all weights of the data share.

    `placed`: cells, the order of points by cell, and which cells hold any.
    """

    term: Term
    problem: CompiledProblem
    points: Points
    placed: tuple[Cells, Tensor, Tensor] | None = None
    folded: list[tuple[Space, Tensor]] = field(default_factory=list)

    def on(self, cells: Cells) -> tuple[Tensor, Tensor]:
        """The measurements inside of the box of the cells, sorted by cell, and the cells (G,) that hold any."""
        if self.placed is None or self.placed[0] is not cells:
            x, (low, high) = self.points.x[0], cells.box
            inside = ((x >= low - 1e-9 * (high - low)) & (x <= high + 1e-9 * (high - low))).all(dim=1).nonzero()[:, 0]
            where, order = torch.sort(cells.locate(x[inside]), stable=True)
            self.placed = cells, inside[order], torch.unique_consecutive(where)
        return self.placed[1], self.placed[2]

    def pieces(self, space: Space) -> Iterator[CellTerm]:
        """The rows, a few at a time."""
        many = max(1, int(NUMBERS // (len(self.problem.unknowns) * space.functions + 1)))
        for index in self.on(space.cells)[0].split(many):
            yield measured_rows(self.term, self.problem, space, self.points.select(index))

    def triangles(self, space: Space, check: Callable[[], None]) -> Tensor:
        """(G, K, k + 1): the triangles [R, d] of the cells that hold measurements, by the columns of `place`."""
        for known, triangles in self.folded:
            if known.cells is space.cells and known.apart == space.apart:
                columns = self._columns(space, known)
                if columns is not None:
                    return triangles[:, :, columns]
        richer = _richer(space)
        self.folded = [(richer, self._folded(richer, check)), *self.folded[:1]]
        return self.triangles(space, check)

    def _columns(self, space: Space, known: Space) -> Tensor | None:
        """Which columns of a known space are those of the space, the right-hand side last; None where some lack."""
        place = {tuple(k): i for i, k in enumerate(known.exponents.tolist())}
        mine = [place.get(tuple(k)) for k in space.exponents.tolist()]
        if None in mine:
            return None
        count, n = len(self.present), known.functions
        return torch.tensor([u * n + i for u in range(count) for i in mine] + [count * n])

    @cached_property
    def present(self) -> list[int]:
        """The numbers of the unknowns that were measured; the rows have nothing to do with the others."""
        names = {feature.unknown for feature in self.term.features}
        return [i for i, name in enumerate(self.problem.unknowns) if name in names]

    def place(self, space: Space) -> Tensor:
        """Where the columns of those unknowns stand among those of all."""
        n = space.functions
        return torch.cat([torch.arange(u * n, (u + 1) * n) for u in self.present])

    def _folded(self, space: Space, check: Callable[[], None]) -> Tensor:
        """The `triangles` of a space, from the measurements."""
        holding = self.on(space.cells)[1]
        here, columns = self.place(space), len(self.present) * space.functions + 1
        result = torch.zeros(len(holding), columns, columns, dtype=torch.float64)
        nowhere = State(None, torch.tensor([p.guess for p in self.problem.unknown_parameters], dtype=torch.float64))
        for piece in self.pieces(space):
            check()
            block = piece.rows(nowhere)
            ((cells, A),) = block.sides
            # the rows of a term are of a mean
            rows = torch.cat([A[:, :, here], block.r[:, :, None]], dim=2) * piece.points**0.5
            mine = torch.searchsorted(holding, cells)
            result[mine] = torch.linalg.qr(torch.cat([result[mine], _shortened(rows)], dim=1), mode="r")[1]
        return result


def _richer(space: Space) -> Space:
    """The space that measurements are folded for, if none is known that holds the one asked for."""
    return replace(space, degrees=tuple(p + AHEAD for p in space.degrees))


def _shortened(rows: Tensor) -> Tensor:
    """(G, m, k) with the same products A^T A, and fewer rows where there are many."""
    G, m, k = rows.shape
    parts = m // (TALL * k)
    if parts < 2:
        return rows
    rows = torch.cat([rows, rows.new_zeros(G, -m % parts, k)], dim=1)
    return torch.linalg.qr(rows.reshape(G * parts, -1, k), mode="r")[1].reshape(G, -1, k)


class ReducedData(RowSource):
    """The rows of very many measurements on the cells of a space, all multiplied by `factor`; see `DataRows`.

    `check()` is called now and then while they are made, and may end that by an exception.
    """

    kind = "data"

    def __init__(self, folded: FoldedData, space: Space, factor: float, check: Callable[[], None]):
        self.name, self.term, self._check = folded.term.name, folded.term, check
        self._folded, self._space, self._factor = folded, space, factor
        index, self._holding = folded.on(space.cells)
        self.cells = [self._holding]
        self.points = len(index)
        self.count = len(index) * len(folded.term.residuals)
        rows = len(folded.present) * _richer(space).functions + 1
        self.row_count = len(self._holding) * rows

    @property
    def keep(self) -> Tensor:
        """(G, K) which rows count: all of them."""
        G, K, _ = self._folded.triangles(self._space, self._check).shape
        return torch.ones(G, K, dtype=torch.bool)

    def rows(self, state: State, matrix: bool = True) -> RowBlock:
        triangles = self._folded.triangles(self._space, self._check) * self._factor
        unknowns, r = len(self._folded.problem.unknowns), triangles[:, :, -1]
        A = triangles.new_zeros(*r.shape, unknowns * self._space.functions)
        A[:, :, self._folded.place(self._space)] = triangles[:, :, :-1]
        if state.coefficients is not None:
            r = r + (A @ state.coefficients[self._holding].flatten(1)[:, :, None])[:, :, 0]
        return RowBlock(self.name, r, [(self._holding, A)] if matrix else ())

    def readings(self, state: State) -> list[tuple[Tensor, Tensor]]:
        """Per residual, the points (N, d) of all measurements and what is left of them (N,)."""
        parts: list[list[tuple[Tensor, Tensor]]] = [[] for _ in self.term.residuals]
        for piece in self._folded.pieces(self._space):
            keep = piece.at.keep
            for found, values in zip(parts, piece.residuals(state), strict=True):
                found.append((piece.x[keep], values[keep]))
        return [(torch.cat([x for x, _ in found]), torch.cat([r for _, r in found])) for found in parts]
