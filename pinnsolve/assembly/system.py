"""Row sources -> the least squares of one space: rows at a state, their normal equations in blocks, corrections.

Corrections solve A^T A delta = -A^T r with the residuals r taken row by row at the current state, and are repeated with
the same factorization while they shrink: so the squared condition number costs steps, not accuracy (iterative
refinement of the normal equations; Bjorck, Numerical Methods for Least Squares Problems, section 2.9).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from copy import copy
from dataclasses import replace
from functools import cached_property, partial

import torch
from torch import Tensor

from pinnsolve.assembly.cell_rows import CellTerm
from pinnsolve.assembly.compressed_rows import compressed, summed
from pinnsolve.assembly.integrals import Integrals
from pinnsolve.assembly.linear_system import LinearSystem
from pinnsolve.assembly.normal_blocks import condensable, face_graph, normal_blocks
from pinnsolve.assembly.row_source import RowBlock, RowSource, State
from pinnsolve.assembly.schur_complement import BlockFactorization, Factor, adjoint, dense, products
from pinnsolve.bases.piecewise.space import Space
from pinnsolve.least_squares.block_cholesky import BlockCholesky, BlockMatrix
from pinnsolve.least_squares.condensation import Condensed, FaceGraph, Faces, operations_condensed, worth_condensing
from pinnsolve.least_squares.coupled import Coupled
from pinnsolve.least_squares.dense_qr import DenseQR
from pinnsolve.least_squares.fronts import Front, fronts
from pinnsolve.least_squares.local_elimination import (
    ACCURACY,
    EXACT,
    LocalElimination,
    operations_eliminated,
    worth_eliminating,
)
from pinnsolve.least_squares.one_block import OneBlock
from pinnsolve.runtime import go_on

NOISE, OF_NOISE = 1e-12, 0.01  # size of an unknown beside the largest, and its relative error, where it is rounding


class CellSystem(LinearSystem):
    """The least squares of one space: all row sources, and how their cells hang together.

    States hold (C, U, n) coefficients; matrices, right-hand sides and factors are for `Space.orthonormal` ones.
    `check()` is called now and then while these are computed, and may end that by an exception. `linear`: whether
    residuals are linear in the state; `integrals`: those that the rows hold, None where they hold none.
    """

    def __init__(
        self,
        space: Space,
        sources: Sequence[RowSource],
        unknowns: int,
        linear: bool = False,
        check: Callable[[], None] = go_on,
        integrals: Integrals | None = None,
    ):
        self.space, self.sources, self.unknowns, self.linear = space, tuple(sources), unknowns, linear
        self.check, self.integrals = check, integrals
        self.columns = unknowns * space.functions
        self.kept = False  # whether rows are made once, compressed, and kept
        self.dense = 0  # coefficients up to which weak directions are worth a factorization of all rows at once
        self._operator: Sequence[RowBlock] | None = None  # of a linear problem, its matrices, where they are known
        self._constant: list[RowBlock] | None = None
        self._less: Sequence[Tensor] | None = None  # taken off the residuals, by source

    # -- other systems ------------------------------------------------------------------------------------------------

    def with_sources(self, sources: Sequence[RowSource]) -> CellSystem:
        """The same space with other rows."""
        return CellSystem(self.space, sources, self.unknowns, self.linear, self.check, self.integrals)

    def dense_up_to(self, coefficients: int) -> CellSystem:
        """The same, factorized by QR as long as there are no more coefficients."""
        return self._changed(dense=coefficients)

    def scaled_at(self, state: State) -> CellSystem:
        """With rows in units that the linearization at this state gives them."""
        state = self.with_integrals(state)
        return self._changed(sources=tuple(source.scaled_at(state) for source in self.sources))

    def reweighed(self, state: State) -> CellSystem:
        """With the weights that robust losses give at a state; itself where there are none."""
        sources = tuple(source.reweighed(state) for source in self.sources)
        same = all(a is b for a, b in zip(sources, self.sources, strict=True))
        return self if same else self._changed(sources=sources)

    def with_operator(self, matrices: Sequence[RowBlock]) -> CellSystem:
        """Of a linear problem: the same rows, whose matrices are known from another one."""
        return self._changed(_operator=matrices)

    def keeping_rows(self) -> CellSystem:
        """Of a linear problem without parameters and integrals: rows are made once, for the function that is zero, and
        kept, compressed where there are more than the functions of their cell."""
        return self._changed(kept=True)

    def without_rows(self) -> CellSystem:
        """The same, which keeps no rows."""
        return self._changed(kept=False, _operator=None, _constant=None)

    def less(self, residuals: Sequence[Tensor] | None) -> CellSystem:
        """With these (G, M) taken off the residuals, by source; see `continuation`."""
        return self._changed(_less=residuals)

    def _changed(self, **attributes) -> CellSystem:
        other = copy(self)
        if self.kept and "sources" in attributes:
            other._operator = other._constant = None
        vars(other).update(attributes)
        return other

    # -- how cells hang together --------------------------------------------------------------------------------------

    @cached_property
    def pairs(self) -> list[tuple[int, int]]:
        """The cells that share rows."""
        pairs = set()
        for source in self.sources:
            if len(source.cells) == 2:
                i, j = (cells.tolist() for cells in source.cells)
                pairs |= {(min(a, b), max(a, b)) for a, b in zip(i, j, strict=True) if a != b}
        return sorted(pairs)

    @property
    def coefficients(self) -> int:
        return self.space.cells.count * self.columns

    @cached_property
    def tree(self) -> tuple[Front, ...]:
        cells = self.space.cells
        return fronts(cells.centres, self.pairs, self.columns)

    # -- rows ---------------------------------------------------------------------------------------------------------

    def zero(self) -> Tensor:
        """(C, U, n): the coefficients of the function that is zero."""
        return torch.zeros(self.space.cells.count, self.unknowns, self.space.functions, dtype=torch.float64)

    def rows(self, state: State, matrix: bool = True) -> list[RowBlock]:
        """All rows at a state."""
        if self.kept and self._operator is None and matrix:
            self._operator = self.rows_of(self.sources, State(None, state.parameters))
            self._constant = [replace(block, sides=()) for block in self._operator]
        if self._operator is not None and (self.kept or not matrix):
            return self._from_operator(state, matrix)
        rows = self.rows_of(self.sources, state, matrix)
        if self._less is None:
            return rows
        return [replace(block, r=block.r - part) for block, part in zip(rows, self._less, strict=True)]

    def _from_operator(self, state: State, matrix: bool) -> list[RowBlock]:
        """The residuals A z + r(0), which needs no tables."""
        if self._constant is None:
            self._constant = self.rows_of(self.sources, State(None, state.parameters), matrix=False)
        blocks = list(zip(self._constant, self._operator, strict=True))
        if state.coefficients is None:
            return [replace(known if matrix else block, r=block.r) for block, known in blocks]
        z = self.space.orthonormal(state.coefficients).flatten(1)
        return [replace(known if matrix else block, r=block.r + known.times(z)) for block, known in blocks]

    def rows_of(self, sources: Sequence[RowSource], state: State, matrix: bool = True) -> list[RowBlock]:
        """The rows of some of the sources."""
        found, functionals = [], None
        if self.integrals is not None and matrix:
            state, functionals = self.integrals.linearized(state)
            if self.space.metric is not None:
                everywhere = torch.arange(self.space.cells.count)
                functionals = self.space.metric.matrix(everywhere, functionals, self.unknowns)
        elif self.integrals is not None:
            state = self.integrals.at(state)
        for source in sources:
            self.check()
            block = source.rows(state, matrix)
            self.check()
            if block.by_integrals is not None:
                block = replace(block, functionals=functionals)
            if self.kept and matrix:
                block = compressed(block)
                source.forget_tables()
            found.append(self._orthonormal(block))
            if block.tested and matrix:
                found = summed(found, self.space.cells.count)
        return found

    def with_integrals(self, state: State) -> State:
        """The state with the values of all integrals there."""
        return state if self.integrals is None else self.integrals.at(state)

    def _orthonormal(self, block: RowBlock) -> RowBlock:
        """The matrices of rows for functions that are orthonormal on cut cells, too; those that are tested are."""
        metric = self.space.metric
        if metric is None or not block.sides or block.tested:
            return block
        return replace(block, sides=[(cells, metric.matrix(cells, A, self.unknowns)) for cells, A in block.sides])

    # -- corrections --------------------------------------------------------------------------------------------------

    def relative_size(self, c: Tensor, change: Tensor) -> float:
        """The largest rms of a change (C, U, n), relative to that of its unknown in c after it; see `units`."""
        moved = self.space.rms(change)
        return float((moved / units(self.space.rms(c + change), moved)).max())

    def factorized(
        self, state: State, rows: Sequence[RowBlock], parameters: bool
    ) -> tuple[list[RowBlock], BlockFactorization]:
        if not any(block.sides for block in rows):
            rows = self.rows(state)
        count = len(state.parameters) if parameters else 0
        return list(rows), BlockFactorization(self.space, self.unknowns, self.factorize(rows), rows, count)

    def factorize(self, rows: Sequence[RowBlock]) -> Factor:
        """The factorization of A^T A; where systems of that size are `dense`, or there is one cell on a line, by the
        rows, which keeps twice the digits."""
        C, n = self.space.cells.count, self.columns
        if C * n <= self.dense:
            return DenseQR(dense(rows, C, n), C)
        if C == 1 and self.space.cells.dimension == 1 and rows:
            whole = OneBlock(torch.cat([_summed(block) for block in rows if block.sides]))
            if whole.determines_all:
                return whole
        held = [block for block in rows if block.by_integrals is not None]
        if self.condenses:
            like = self.zero().flatten(1)
            own, faces = condensable(rows, self.space.cells.centres, like, self.check)
            diagonal, factorized = own, partial(self._condensed, faces)
        else:
            inside, diagonal, blocks = normal_blocks(
                rows, self.pairs, self.zero().flatten(1), self.check, self.eliminates
            )
            exact = bool(held) or any(block.exact for block in rows)
            factorized = partial(self._in_fronts, inside, blocks, EXACT if exact else ACCURACY)
        if not held:
            return factorized(diagonal)
        columns = [block.by_integrals for block in held]
        projected = adjoint([replace(block, by_integrals=None) for block in held], columns, diagonal)
        return Coupled(diagonal, held[0].functionals.mT, projected, products(columns, columns), factorized)

    def _condensed(self, faces: Faces | None, own: Tensor) -> BlockCholesky | Condensed:
        if faces is None:
            return BlockCholesky(BlockMatrix(own, (), own[:0]), self.tree, self.check)
        return Condensed(own, faces, True, self.check)

    def _in_fronts(
        self, inside: Tensor, blocks: Tensor, accuracy: float, diagonal: Tensor
    ) -> BlockCholesky | LocalElimination:
        matrix = BlockMatrix(diagonal, self.pairs, blocks)
        if self.eliminates:
            return LocalElimination(matrix, inside, self.space.cells.centres, self.check, accuracy)
        return BlockCholesky(matrix, self.tree, self.check)

    @property
    def tested(self) -> bool:
        """Whether it is the gradient of an energy, and no least squares."""
        return any(source.tested for source in self.sources)

    @cached_property
    def faces(self) -> FaceGraph | None:
        """The faces between cells, as far as they are known before rows are made."""
        return face_graph(self.space, self.sources)

    @cached_property
    def condenses(self) -> bool:
        """Whether cells are eliminated before their faces, which takes fewer operations than all at once."""
        if self.faces is None or not worth_condensing(self.tree, self.columns, self.faces):
            return False
        if self.tested:  # local elimination divides rows, and an energy has none
            return True
        cells, n = self.space.cells.count, self.columns
        other = operations_eliminated(self.tree, cells, len(self.pairs), n)
        return operations_condensed(n, self.faces) < other

    @cached_property
    def eliminates(self) -> bool:
        """Whether what the rows inside a cell determine is eliminated there, and only the rest coupled."""
        if self.tested or self.condenses:
            return False
        return worth_eliminating(self.tree, self.space.cells.count, len(self.pairs), self.columns)


def _summed(block: RowBlock) -> Tensor:
    """(G M, n): the matrix of rows whose sides are all of one cell."""
    parts = [A.expand(len(cells), *A.shape[1:]).flatten(0, 1) for cells, A in block.sides]
    if block.by_integrals is not None:
        parts.append(block.by_integrals.flatten(0, 1) @ block.functionals[0])
    return parts[0] if len(parts) == 1 else torch.stack(parts).sum(dim=0)


def points_of(system: CellSystem) -> dict[str, int]:
    """How many points every term of the problem has."""
    counts: dict[str, int] = {}
    for source in system.sources:
        for name, count in source.point_counts.items():
            counts[name] = counts.get(name, 0) + count
    return counts


def weights_of(system: CellSystem) -> dict[str, float]:
    """epsilon_k of the terms: the mean of the squared scales of their rows, the largest being 1, as all are of an
    energy."""
    if system.tested:
        return dict.fromkeys(points_of(system), 1.0)
    sums: dict[str, tuple[float, float]] = {}
    for source in system.sources:
        if isinstance(source, CellTerm):
            one, two = sums.get(source.name, (0.0, 0.0))
            squares, shares = source.term_weight
            sums[source.name] = (one + squares, two + shares)
    values = {name: one / two for name, (one, two) in sums.items()}
    largest = max(values.values(), default=1.0)
    return {name: value / largest for name, value in values.items()}


def shared(size: Tensor, groups: Sequence[tuple[int, ...]]) -> Tensor:
    """(U,) sizes of unknowns, in which those of a group have the size of all of it, over the root of how many they are.

    Groups are the parts of complex unknowns and the components of vectors: an error of a part counts as much as it
    adds to that of the whole, however small the part is.
    """
    size = size.clone()
    for group in groups:
        size[list(group)] = size[list(group)].square().mean().sqrt()
    return size


def units(size: Tensor, error: Tensor) -> Tensor:
    """(U,) what errors of the unknowns are relative to: their sizes (U,).

    One that is nothing but rounding is judged beside the largest, and beside 1 where all vanish.
    """
    largest = size.max()
    rounding = (size <= NOISE * largest) & (error > OF_NOISE * size)
    return torch.where(rounding | (size == 0), largest if largest > 0 else largest + 1.0, size)
