"""What a least squares is made of: states, row sources, blocks of rows.

A row source is one term, the continuity of the unknowns, what a slab starts from, measurements or a regularization, on
the cells where it holds. At a state it gives residuals and the matrix of their derivatives, both scaled, so that the
loss is the sum of the squares of all residuals. A network is the case of one block.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from pinnsolve.least_squares.products import times
from pinnsolve.processes.communicator import ALONE, Communicator

if TYPE_CHECKING:
    from pinnsolve.assembly.integrals import IntegralValues
    from pinnsolve.assembly.table_matrix import TableMatrix

KINDS = ("term", "continuity", "start", "data", "regularization", "exact")


@dataclass(frozen=True)
class State:
    """Where to linearize.

    `coefficients`: (unknowns, W) of a basis or (C, unknowns, n) of functions on cells, None for the function that is
    zero; `parameters`: (P,) values of the unknown parameters; `integrals`: what integrals in equations are there, where
    that was asked for (without, they are taken to be zero).
    """

    coefficients: Tensor | None
    parameters: Tensor
    integrals: IntegralValues | None = None

    def vector(self) -> Tensor:
        """(unknowns W + P,): all of it in one row."""
        return torch.cat([self.coefficients.reshape(-1), self.parameters])

    def moved(self, delta: Tensor, step: float = 1.0) -> State:
        """The state after a step along `delta` (unknowns W + P,)."""
        split = self.coefficients.numel()
        change = delta[:split].reshape(self.coefficients.shape)
        return State(self.coefficients + step * change, self.parameters + step * delta[split:])


@dataclass(frozen=True)
class RowBlock:
    """The rows of a source at a state, for its G members (cells, or pairs of cells) with M rows each.

    `r`: (G, M) residuals; `sides`: per side, the blocks (G,) and the matrix A (G, M, U n), which is (1, M, U n) where
    it is the same for all members; `parameters`: (G, M, P), the derivatives by the unknown parameters, if there are
    any. `by_integrals`: (G, M, K), those by the integrals that the rows hold, None where they hold none;
    `functionals`: (C, K, U n), the derivatives of these. The matrix is then that of the sides and the product of the
    two. `exact`: whether these rows are to vanish to rounding, and the others are what least squares are taken of.
    `tested`: whether they are parts of the gradient of an energy, which need not vanish one by one. Those of one side
    are (G, U n), the derivatives by the functions of the cells, and their matrix is symmetric; of two sides, the
    squares of the rows are taken off the energy. `among`: the processes that divide the rows; a block holds those of
    this one, and every process has a block for the same rows.
    """

    name: str
    r: Tensor
    sides: Sequence[tuple[Tensor, Tensor]] = ()
    parameters: Tensor | None = None
    by_integrals: Tensor | None = None
    functionals: Tensor | None = None
    exact: bool = False
    tested: bool = False
    among: Communicator = ALONE

    def times(self, z: Tensor) -> Tensor:
        """(G, M) or (G, M, k): the matrix times coefficients z (C, U n) or (C, U n, k)."""
        if z.ndim == 3:
            parts = [times(A, z[cells]) for cells, A in self.sides]
        else:
            parts = [
                z[cells] @ A[0].T if len(A) == 1 else times(A, z[cells][..., None])[..., 0] for cells, A in self.sides
            ]
        product = parts[0] if len(parts) == 1 else parts[0] + parts[1]
        if self.by_integrals is None:
            return product
        change = torch.einsum("cku,cu...->k...", self.functionals, z)
        return product + self.by_integrals @ change

    @property
    def A(self) -> Tensor:
        """(G M, U n + P): the whole matrix of rows on one block, the case of a network."""
        ((_, A),) = self.sides
        A = A.flatten(0, 1)
        return A if self.parameters is None else torch.cat([A, self.parameters.flatten(0, 1)], dim=1)

    @property
    def loss(self) -> float:
        """The sum of the squares of the residuals, of all processes; zero of rows that are tested, which need not
        vanish one by one."""
        return 0.0 if self.tested else self.among.total(float((self.r**2).sum()))

    @property
    def finite(self) -> bool:
        """Whether all residuals are finite, of all processes."""
        return self.among.all(bool(torch.isfinite(self.r).all()))


class RowSource(ABC):
    """Rows that belong together.

    `name`: as reports have it; `kind`: one of `KINDS`; `cells`: per side, the blocks (G,) that the rows touch;
    `row_count`: how many rows there are. A source is a value: the same state gives the same rows, whatever was asked
    before. Rows outside a term's `where` vanish.
    """

    name: str
    kind: str
    cells: Sequence[Tensor]
    row_count: int
    points: int
    tested = False  # see `RowBlock`

    @abstractmethod
    def rows(self, state: State, matrix: bool = True) -> RowBlock:
        """Residuals at the state and, with `matrix`, their derivatives by coefficients and unknown parameters."""

    def by_tables(self, state: State) -> TableMatrix | None:
        """The matrix of the rows at a state, to be applied; None where cells do not share what it is made of."""
        return None

    def scaled_at(self, state: State) -> RowSource:
        """The same rows in units that the linearization at this state gives them; itself where units are given."""
        return self

    def multiplied(self, factor: Tensor) -> RowSource:
        """The same rows multiplied by what the factors (C,) are in their cells; itself where rows have no cells."""
        return self

    def reweighed(self, state: State) -> RowSource:
        """The same rows with the weights that a robust loss gives them at a state; itself where weights are given."""
        return self

    def forget_tables(self) -> None:  # noqa: B027, most sources keep nothing
        """Gives up what was kept to make rows faster the next time."""

    @property
    def point_counts(self) -> dict[str, int]:
        """How many points the terms of the problem have in it, by their names."""
        return {self.name: self.points} if self.kind in ("term", "data") else {}

    @property
    def holds_parameters(self) -> bool:
        """Whether unknown parameters stand in the rows."""
        return False

    def lies_at(self, axis: int, value: float) -> bool:
        """Whether all its points have this coordinate."""
        return False


def stacked(blocks: Iterable[RowBlock]) -> tuple[Tensor, Tensor]:
    """The matrix (rows, U n + P) and the residuals (rows,) of rows on one block, one term after another."""
    blocks = list(blocks)
    return torch.cat([block.A for block in blocks]), torch.cat([block.r.flatten() for block in blocks])


def residual_norm(rows: Iterable[RowBlock]) -> float:
    """The root of the loss: every row stands in the unit of the unknowns."""
    return math.sqrt(sum(block.loss for block in rows))


def loss_by_name(rows: Iterable[RowBlock]) -> dict[str, float]:
    """The loss of every term."""
    terms: dict[str, float] = {}
    for block in rows:
        terms[block.name] = terms.get(block.name, 0.0) + block.loss
    return terms


def check_finite(rows: Iterable[RowBlock]) -> None:
    """Raises ArithmeticError, which names the term, where a residual is not finite."""
    for block in rows:
        if not block.finite:
            raise ArithmeticError(f"term `{block.name}` is not finite")
