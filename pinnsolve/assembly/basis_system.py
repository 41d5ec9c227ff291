"""The least squares of one basis at the points of an assembly: the case of one block, whose rows are dense.

A step solves min ||A c - (A c_0 - r)|| for the state c itself, and moves along c - c_0. Where A has dependent columns
the solution is the one of least norm, so whatever a starting state holds in directions that A does not see is left
behind; a correction of least norm would keep it, and its rounding with it.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from pinnsolve.assembly.linear_system import Bounds, Factorization, LinearSystem
from pinnsolve.assembly.row_source import RowBlock, State, stacked
from pinnsolve.assembly.rows import Assembly, points_at_once
from pinnsolve.bases.base import Basis
from pinnsolve.errors import ResourceError
from pinnsolve.least_squares import Solved, StreamingQR, solve_dense
from pinnsolve.least_squares.streaming import FOLDED
from pinnsolve.processes.communicator import Communicator
from pinnsolve.runtime import bytes_available

DENSE_BYTES = 4e9  # of rows that are factorized at once, at most
COPIES, TRIANGLES = 4, 2 * FOLDED + 3  # of the rows, and of the triangle of a stream, that are there at a time
PENALTY = "penalty"  # the name of its rows


@dataclass(frozen=True)
class BasisSystem(LinearSystem):
    """`memory_gb`: what may be taken, else most of what is free; `tables`: per term what the basis answers at its
    points, where that is known; `penalty`: lambda of lambda |c|^2, which is added to the loss."""

    assembly: Assembly
    basis: Basis
    memory_gb: float | None = None
    tables: Sequence[Mapping] | None = None
    penalty: float = 0.0

    @property
    def linear(self) -> bool:
        return self.assembly.problem.linear

    @property
    def among(self) -> Communicator:
        """The processes that divide the rows."""
        return self.assembly.among

    @property
    def bounds(self) -> Bounds:
        """Of the unknown parameters."""
        return Bounds.of(self.assembly.problem, self.basis.lower)

    def rows(self, state: State, matrix: bool = True) -> list[RowBlock]:
        """With matrices only where there is room for all of them."""
        matrix = matrix and self._fits(state)
        return [*self._blocks(state, matrix), *self._penalized(state, matrix)]

    def _blocks(self, state: State, matrix: bool) -> Iterator[RowBlock]:
        for i, term in enumerate(self.assembly.terms):
            tables = None if self.tables is None else self.tables[i]
            if matrix:
                yield term.gathered(self.basis, state) if tables is None else term.rows(tables, state)
                continue
            if tables is None:
                r = term.residuals_of(self.basis, state)
            else:
                r = term.residuals(term.values(tables, state), state)
            yield RowBlock(term.term.name, (r * term.scale).reshape(1, -1), among=self.among)

    def _penalized(self, state: State, matrix: bool) -> list[RowBlock]:
        """sqrt(lambda) c, which are rows of the first process; unknown parameters are not penalized."""
        if self.penalty == 0.0:
            return []
        c, root = state.coefficients.reshape(1, -1), math.sqrt(self.penalty)
        held = slice(None if self.among.first else 0)
        r = (root * c)[:, held]
        if not matrix:
            return [RowBlock(PENALTY, r, among=self.among)]
        own = root * torch.eye(c.shape[1], dtype=c.dtype, device=c.device)[None, held]
        nothing = c.new_zeros(1, r.shape[1], len(state.parameters)) if len(state.parameters) else None
        sides = [(torch.zeros(1, dtype=torch.long, device=c.device), own)]
        return [RowBlock(PENALTY, r, sides, nothing, among=self.among)]

    def factorized(
        self, state: State, rows: Sequence[RowBlock], parameters: bool
    ) -> tuple[list[RowBlock], Factorization]:
        if not self._fits(state):
            self._check_stream(state)
        elif not any(block.sides for block in rows):
            rows = self.rows(state)
        rows = list(rows) or self.rows(state)
        A = stacked(rows)[0] if any(block.sides for block in rows) else None
        rows = [replace(block, sides=()) for block in rows]  # of the matrices, one copy is enough
        return rows, DenseFactorization(self, state, rows, A, parameters and bool(len(state.parameters)))

    def relative_size(self, c: Tensor, change: Tensor) -> float:
        size = (c + change).norm()
        return float(change.norm() / size) if bool(size > 0) else float(change.norm())

    def _fits(self, state: State) -> bool:
        item, columns = state.coefficients.element_size(), state.vector().numel()
        needed = COPIES * item * self.assembly.own_rows * columns
        return self.among.all(needed <= min(self._available, DENSE_BYTES))

    def _check_stream(self, state: State) -> None:
        columns = state.vector().numel()
        needed = TRIANGLES * state.coefficients.element_size() * columns**2
        if self.among.any(needed > self._available):
            each = f" in each of {self.among.size} processes" if self.among.size > 1 else ""
            raise ResourceError(
                f"{columns} coefficients need {needed / 1e9:.2g} GB{each}, and {self._available / 1e9:.2g} GB may be "
                "taken; lower basis.width or raise limits.memory_gb"
            )

    @property
    def _available(self) -> float:
        """Bytes that this process may take."""
        device = self.basis.lower.device
        return bytes_available(self.memory_gb, device) / self.among.sharing(device)

    def streamed(self, state: State, rows: Sequence[RowBlock]) -> Iterator[tuple[Tensor, Tensor]]:
        """Rows A (m, n) of the linearization at a state with the residuals (m,) of others, few at a time.

        Every process yields as often as the others, and may be asked to end in between.
        """
        many = points_at_once(self.basis.active)
        for term, block in zip(self.assembly.terms, rows, strict=False):
            r = block.r.reshape(len(term.term.residuals), -1)
            for start in range(0, -(-term.count // self.among.size), many):
                self.assembly.check()
                index = slice(start, start + many)
                yield (
                    term.rows_on(self.basis, state, index).A,
                    r[:, index].reshape(-1),
                )


class DenseFactorization(Factorization):
    """Rows at a state: their matrix A at once where it fits, else read again, few at a time, for every correction."""

    def __init__(self, system: BasisSystem, state: State, rows: Sequence[RowBlock], A: Tensor | None, parameters: bool):
        self.system, self.state, self.A = system, state, A
        self.split = state.coefficients.numel()
        self.here = state.vector() if parameters else state.coefficients.reshape(-1)
        self.parameters = parameters
        self._first = _residuals(rows)
        self.solved = self._solve(rows, self._first, self.here)

    def _solve(self, rows: Sequence[RowBlock], r: Tensor, here: Tensor) -> Solved:
        """The correction from `here` (n,) in the first n columns, for residuals r (m,)."""
        n = len(here)
        if self.A is not None:
            held = self.A[:, :n]
            solved = solve_dense(held, held @ here - r, among=self.system.among, check=self.system.assembly.check)
        else:
            stream = StreamingQR(n, self.system.among, self.system.assembly.check)
            for A, part in self.system.streamed(self.state, rows):
                stream.add(A[:, :n], A[:, :n] @ here - part)
            solved = stream.solve()
        return replace(solved, x=solved.x - here)

    def corrected(self, state: State, rows: Sequence[RowBlock]) -> State:
        """By the linearization there: rows may curve a lot between two values of a parameter."""
        here = self.system.factorized(state, (), parameters=False)[1]
        return State(state.coefficients + here.solved.x.reshape(state.coefficients.shape), state.parameters)

    def step(self, rows: Sequence[RowBlock], at: Tensor, bounds: Bounds | None) -> tuple[Tensor, Tensor]:
        """Where a bound holds a parameter, the coefficients are solved anew for it."""
        r = _residuals(rows)
        known = self.system.among.all(r.shape == self._first.shape and torch.equal(r, self._first))
        x = self.solved.x if known else self._solve(rows, r, self.here).x
        shape = self.state.coefficients.shape
        if not self.parameters:
            return x.reshape(shape), torch.zeros_like(at)
        moved = x[self.split :]
        held = bounds.hold(at + moved) - at
        if torch.equal(at + held, at + moved):
            return x[: self.split].reshape(shape), moved
        shifted = [
            replace(block, r=block.r + (0.0 if block.parameters is None else block.parameters @ held)) for block in rows
        ]
        x = self._solve(shifted, _residuals(shifted), self.here[: self.split]).x
        return x.reshape(shape), held

    def left(self, change: Tensor) -> Tensor:
        """(m,): what a change (n,) of the state leaves of this process's residuals, if the linearization holds."""
        return self._first + self.A[:, : len(change)] @ change

    def foretold_loss(self) -> float:
        return self.solved.residual_norm**2

    def rank_info(self) -> dict[str, float | int]:
        return {"rank": self.solved.rank, "columns": len(self.here), "condition": self.solved.condition}


def _residuals(rows: Sequence[RowBlock]) -> Tensor:
    return torch.cat([block.r.flatten() for block in rows])
