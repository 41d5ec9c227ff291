"""The stages of one step in time as problems in space: one per mode of the method, factorized once for all steps.

With D_k the k-th derivatives in time of the collocation polynomial at the nodes, rows say sum_k M_k D_k + g = 0. The
modes of the inverse Butcher matrix turn D_k into powers of one number lambda / dt per mode, real or complex: rows
A_m = sum_k (lambda / dt)^k M_k. With the least squares of each, A_m^* A_m, every mode would see a spatial operator of
its own, and what the stages have in common would not cancel: steps grow. So all are tested with the rows of one real
shift of typical size, W^T A_m, which are the least squares of that shift and one fixed operator in space. Residuals are
taken row by row at the stages as they are, so what steps repeat is a correction.

Where rows change with time or with the solution, they are linearized at one state and time, and corrections are steps
of the simplified Newton method (Hairer & Wanner, Solving Ordinary Differential Equations II, section IV.8).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from copy import copy
from dataclasses import dataclass, replace
from functools import partial

import torch
from torch import Tensor

from pinnsolve.adapt.radau import Radau
from pinnsolve.adapt.space_problem import SpaceProblem
from pinnsolve.adapt.stage_blocks import add_coupled, add_products, add_table_products, of_mode
from pinnsolve.assembly.faces import continuity_rows
from pinnsolve.assembly.normal_blocks import of_one_cell
from pinnsolve.assembly.row_source import RowBlock, RowSource, State
from pinnsolve.assembly.schur_complement import adjoint
from pinnsolve.assembly.system import CellSystem
from pinnsolve.assembly.table_matrix import TableMatrix
from pinnsolve.assembly.term_rows import interface_rows, term_rows
from pinnsolve.bases.piecewise.space import Space
from pinnsolve.least_squares.block_cholesky import BlockCholesky, BlockMatrix
from pinnsolve.least_squares.block_lu import BlockLU
from pinnsolve.least_squares.condensation import Condensed, Faces, Sides, traces_apart, unit_scale, worth_condensing
from pinnsolve.least_squares.separate_modes import SeparateModes
from pinnsolve.least_squares.stages_together import REDUCED, Shifted, SparseBlocks, StagesTogether
from pinnsolve.threads import all_at_each

WORTH_MORE = 5e-3  # of residuals may be left where factorizations of all modes would leave nothing
HELD = 30.0  # what rows of conditions and continuity count beside those of equations


@dataclass(frozen=True)
class _Rows:
    """One block of rows in units of the typical shift.

    `block`: its matrices hold the orders in time `levels` alone; `tests`: their sum, W; `still`: (G, M) what the rows
    are without a state, None where that changes in time; `held`: what they count; `source`: what gives them.
    `changing`: whether their matrices do, with the solution or with time; `block` then serves the factorization only.
    `between`: of rows between two cells, their traces. `by_tables`: what gives both, which then have no sides.
    """

    block: RowBlock
    tests: RowBlock
    levels: tuple[int, ...]
    still: Tensor | None
    held: float
    source: RowSource
    changing: bool
    between: Sides = ()
    by_tables: tuple[TableMatrix, TableMatrix] | None = None

    def times(self, z: Tensor) -> Tensor:
        """(G, M, k) of coefficients (C, levels, U n, k)."""
        if self.by_tables is None:
            return self.block.times(z[:, list(self.levels)].flatten(1, 2))
        return self.by_tables[0].times(z.reshape(len(z), self.by_tables[0].unknowns, -1, z.shape[3]))

    def factorized(self) -> _Rows:
        """Without what serves the factorization only."""
        return replace(self, block=replace(self.block, sides=())) if self.changing else self

    def forced(self, states: Sequence[State]) -> Tensor:
        """(G, M, s): what rows are without a state at the times of the stages."""
        return torch.stack([self.source.rows(state, matrix=False).r for state in states], dim=2)


class NotTogether(ArithmeticError):
    """The factorization of one shift does not serve the modes of a steady operator: they need their own."""


class StageSystem:
    """Steps of length `dt` by a method on one space; `apart`: with a factorization for every mode.

    Stage values are (R, s, C, U, n) for R right-hand sides. Of a linear problem whose operator is steady, the first has
    the sources of the equations and the others none: differences of solutions. Of others all are solutions. What a step
    starts from is (R, L, C, U, n): values and, of second order, derivatives.
    """

    def __init__(
        self, stated: SpaceProblem, space: Space, weights: Mapping[str, float], method: Radau, dt: float,
        check: Callable[[], None], apart: bool = False,
    ):  # fmt: skip
        self.stated, self.space, self.method, self.dt, self._check = stated, space, method, dt, check
        self._shares_factors = stated.shares_factors and not apart
        problem = stated.problem
        self.unknowns = len(stated.evolving)
        self._typical = math.exp(sum(math.log(abs(shift)) for shift in method.shifts) / len(method.shifts)) / dt
        self._sources = [
            *term_rows(problem, space, weights),
            *continuity_rows(space, problem.coordinates, stated.continuous),
            *interface_rows(problem, space),
        ]
        self._equations = {term.name for term in problem.terms if term.kind == "equation"}
        narrow = CellSystem(space, self._sources, self.unknowns, True, check)
        self._pairs, self._tree = narrow.pairs, narrow.tree
        self._steady: dict[int, _Rows] = {}  # by number of the source, those that never change
        self._rows: list[_Rows] = []
        self._factors: StagesTogether | SeparateModes | None = None
        self.remains = 0.0  # of the last residuals, relative
        if not stated.changing:
            self.linearize(None, 0.0)

    @property
    def _rates(self) -> Tensor:
        """The inverse of the Butcher matrix in units of the typical shift."""
        return self.method.rate / (self._typical * self.dt)

    def of_length(self, dt: float) -> StageSystem:
        """The same for steps of another length, of a steady operator whose stages are solved together."""
        assert isinstance(self._factors, StagesTogether)
        other = copy(self)
        other.dt = dt
        other._factors = StagesTogether(other._rates, self._factors.shifted)
        return other

    def begin_afresh(self) -> None:
        """Forgets what solves so far have found."""
        if isinstance(self._factors, StagesTogether):
            self._factors.shifted.begin_afresh()

    @property
    def linearized(self) -> bool:
        """Whether there is a factorization, of whatever state."""
        return self._factors is not None

    def linearize(self, z: Sequence[Tensor] | None, time: float) -> None:
        """Takes rows and factorizations at a state: its derivatives in time of order 0, 1, ..., (C, U, n) each."""
        self._factors = None  # memory for the new ones
        state = self._at(time, None if z is None else [d / self._typical**k for k, d in enumerate(z)])
        wide = CellSystem(self.space, self._sources, self.stated.levels * self.unknowns, True, self._check)
        self._rows = []
        for number, source in enumerate(self._sources):
            rows = self._steady.get(number)
            if rows is None:
                scaled = source.scaled_at(state)
                matrix = self._by_tables(scaled, state)
                (block,) = wide.rows_of([scaled], state, matrix is None)
                rows = self._kept(block, scaled, matrix)
                if not rows.changing:
                    self._steady[number] = rows
            self._rows.append(rows)
        self._factors = self._factorized()
        self._rows = [rows.factorized() for rows in self._rows]
        if not self.stated.changing:  # this was the only one
            self._steady.clear()

    def _at(self, time: float, z: Sequence[Tensor] | None = None) -> State:
        """In units of the typical shift."""
        c = None if z is None else torch.cat(list(z), dim=1)
        return State(c, torch.tensor([time, self._typical], dtype=torch.float64))

    def _by_tables(self, source: RowSource, state: State) -> TableMatrix | None:
        """The matrix of an equation on many cells, where tables give it."""
        if self.space.metric is not None or source.name not in self._equations:
            return None
        matrix = source.by_tables(state)
        return None if matrix is None or matrix.alike else matrix

    def _kept(self, block: RowBlock, source: RowSource, matrix: TableMatrix | None) -> _Rows:
        held = 1.0 if source.name in self._equations else HELD
        whole = [(cells, A if held == 1.0 else held * A) for cells, A in block.sides]
        parts = [(cells, A.unflatten(2, (self.stated.levels, -1)).unbind(2)) for cells, A in whole]
        changing = block.name in self.stated.changing
        levels = list(range(self.stated.levels))
        if not changing:  # what vanishes now may not later, and copies are for rows that are kept
            levels = [k for k in levels if any(bool((A[k] != 0).any()) for _, A in parts)]
        sides = whole
        if len(levels) < self.stated.levels:
            sides = [(cells, torch.cat([A[k] for k in levels], dim=2)) for cells, A in parts]
        tests = [(cells, sum(A[k] for k in levels[1:]) + A[levels[0]]) for cells, A in parts]
        still = None
        if not changing and block.name not in self.stated.moving:
            still = held * source.rows(self._at(0.0), matrix=False).r  # of no state: the block's are of this one
        return _Rows(
            RowBlock(block.name, block.r, sides), RowBlock(block.name, block.r, tests), tuple(levels), still, held,
            source, changing, traces_apart(tests), None if matrix is None else (matrix, matrix.of_tests(self.unknowns)),
        )  # fmt: skip

    def _factorized(self) -> StagesTogether | SeparateModes:
        """W^T A_m of every mode; where all are solved with the factorization of one shift, W^T W alone."""
        own = self._inside_cells()
        blocks = [rows.between for rows in self._rows if rows.between]
        scale = unit_scale(torch.diagonal(own, dim1=2, dim2=3).sum(dim=0), blocks)
        faces = self._faces(blocks, scale) if blocks else None
        if faces is not None and worth_condensing(self._tree, own.shape[2], faces.graph):
            if self._shares_factors:
                return self._together(Condensed(own.sum(dim=0), faces, True, self._check), SparseBlocks(own[1]))
            return self._apart(lambda z: Condensed(of_mode(own, z), faces, False, self._check))
        parts = self._between_cells(own)
        if self._shares_factors:  # not worth a complex factorization of every mode
            diagonal, upper, _ = (blocks.sum(dim=0) for blocks in parts)
            cholesky = BlockCholesky(BlockMatrix(diagonal, self._pairs, upper), self._tree, self._check)
            return self._together(cholesky, SparseBlocks(*(blocks[1] for blocks in parts), self._pairs))
        return self._apart(
            lambda z: BlockLU([of_mode(blocks, z) for blocks in parts], self._pairs, scale, self._tree, self._check)
        )

    def _together(self, factor: Condensed | BlockCholesky, moved: SparseBlocks) -> StagesTogether:
        return StagesTogether(self._rates, Shifted(factor, moved, self.unknowns, self._check))

    def _apart(self, factor: Callable[[complex | float], Condensed | BlockLU]) -> SeparateModes:
        """With factorizations of the modes, made from their shifts in units of the typical one."""
        method = self.method
        paired = [shift.imag != 0 for shift in method.shifts]
        shifts = [
            (z if pair else z.real) / (self._typical * self.dt) for z, pair in zip(method.shifts, paired, strict=True)
        ]
        factors = all_at_each([partial(factor, z) for z in shifts])
        return SeparateModes(factors, paired, method.into, method.out_of)

    def _inside_cells(self) -> Tensor:
        """(levels, C, n, n): W^T A of rows that are of one cell alone; of two levels the first one by W^T W and the
        other, which takes fewer products."""
        U, C, n = self.unknowns, self.space.cells.count, self.space.functions
        own = torch.zeros(self.stated.levels, U, U, C, n, n, dtype=torch.float64)  # by unknowns of rows and columns
        for rows in self._rows:
            self._check()
            if rows.by_tables is not None:
                add_table_products(own, *rows.by_tables)
                continue
            both = zip(of_one_cell(rows.tests.sides), of_one_cell(rows.block.sides), strict=True)
            for (cells, W), (_, A) in both:
                add_products(own, cells, W.chunk(U, dim=2), A.chunk(U * len(rows.levels), dim=2), rows.levels)
        if len(own) == 2:
            for u in range(U):
                for v in range(u):
                    own[0, u, v] = own[0, v, u].mT
            own[0] -= own[1]
        return own.permute(0, 3, 1, 4, 2, 5).reshape(-1, C, U * n, U * n)

    def _between_cells(self, own: Tensor) -> list[Tensor]:
        """The blocks of all rows, (levels, ...) each: on the diagonal, above and below it."""
        number = {pair: k for k, pair in enumerate(self._pairs)}
        upper, lower = (own.new_zeros(len(own), len(number), *own.shape[2:]) for _ in range(2))
        for rows in self._rows:
            for i, T in rows.between:
                for j, S in rows.between:
                    product = (T.mT @ S).expand(len(i), *own.shape[2:])
                    add_coupled(own[0], upper[0], lower[0], number, (i, j, product))
        return [own, upper, lower]

    def _faces(self, blocks: Sequence[Sides], scale: Tensor) -> Faces:
        return Faces(blocks, scale, self.space.cells.centres)

    # -- one step -----------------------------------------------------------------------------------------------------

    def derivatives(self, stages: Tensor, start: Tensor) -> list[Tensor]:
        """The derivatives in time, of order 0, 1, ..., at the stages."""
        result = [stages]
        for k in range(self.stated.levels - 1):
            change = result[-1] - start[:, k, None]
            result.append(torch.einsum("ij,rjcun->ricun", self.method.rate, change) / self.dt)
        return result

    def end(self, stages: Tensor, start: Tensor) -> Tensor:
        """(R, L, C, U, n): what the next step starts from."""
        return torch.stack([d[:, -1] for d in self.derivatives(stages, start)[: start.shape[1]]], dim=1)

    def residuals(self, stages: Tensor, start: Tensor, time: float) -> list[Tensor]:
        """(G, M, R, s) per block of rows."""
        d = torch.stack([d / self._typical**k for k, d in enumerate(self.derivatives(stages, start))])
        K, R, s, C, U, n = d.shape
        z = d.permute(3, 0, 1, 2, 4, 5)  # (C, K, R, s, U, n)
        if self.space.metric is not None:
            z = self.space.orthonormal(z.reshape(C, -1, n)).reshape(z.shape)
        z = z.permute(0, 1, 4, 5, 2, 3).reshape(C, K, U * n, R * s)
        times = (time + self.dt * self.method.nodes).tolist()
        solutions = slice(None) if self.stated.changing else slice(0, 1)
        result = []
        for rows in self._rows:
            self._check()
            if rows.changing:
                result.append(self._changing(rows, d, times))
                continue
            r = rows.times(z).unflatten(2, (R, s))
            still = rows.still
            forced = rows.held * rows.forced([self._at(t) for t in times]) if still is None else still[..., None]
            r[:, :, solutions] += forced[:, :, None]
            result.append(r)
        return result

    def _changing(self, rows: _Rows, d: Tensor, times: Sequence[float]) -> Tensor:
        """(G, M, R, s): of rows that must be taken anew at every stage; `d`: (K, R, s, C, U, n)."""
        result = [
            [rows.source.rows(self._at(t, d[:, r, i]), matrix=False).r for i, t in enumerate(times)]
            for r in range(d.shape[1])
        ]
        return rows.held * torch.stack([torch.stack(one, dim=2) for one in result], dim=2)

    def correction(self, residuals: Sequence[Tensor], left: float = REDUCED) -> Tensor:
        """(R, s, C, U, n): what to add to stages that leave these residuals; so much may be `left` of it, relative.

        Raises NotTogether where much more is."""
        C, (R, s) = self.space.cells.count, residuals[0].shape[2:]
        like = residuals[0].new_zeros(C, self.unknowns * self.space.functions)
        g = adjoint([rows.tests for rows in self._rows], [r.flatten(2) for r in residuals], like)
        for rows, r in zip(self._rows, residuals, strict=True):
            if rows.by_tables is not None:
                tests = rows.by_tables[1]
                g.index_add_(0, tests.cells, tests.adjoint(r.flatten(2)).reshape(-1, *g.shape[1:]))
        g = g.reshape(C, -1, R, s)
        total = -self._factors.solve(g, left)
        self.remains = self._factors.remains if isinstance(self._factors, StagesTogether) else 0.0
        if not self.stated.changing and self.remains > max(left, WORTH_MORE):
            raise NotTogether
        total = total.permute(0, 2, 3, 1).reshape(C, R, s, self.unknowns, -1)
        if self.space.metric is not None:
            total = self.space.back(total.flatten(1, 3)).reshape(total.shape)
        return self._without_constants(total.movedim(0, 2))

    def _without_constants(self, stages: Tensor) -> Tensor:
        """Stages less the means of the unknowns that are free up to a constant at every time."""
        free = [u for u, loose in enumerate(self.stated.free) if loose]
        if free:
            means = torch.stack([self.space.means(one) for one in stages.flatten(0, 1)]).unflatten(0, stages.shape[:2])
            stages[:, :, :, free, 0] -= means[:, :, None, free]
        return stages


def norms(residuals: Sequence[Tensor]) -> Tensor:
    """(R,): the roots of the sums of squares of residuals, per right-hand side."""
    return torch.sqrt(sum((r**2).sum(dim=(0, 1, 3)) for r in residuals))
