"""Groups of rows -> normal equations in blocks, their factorization, and corrections by it.

Corrections solve A^T A delta = -A^T r with the residuals r taken row by row at the current state, and are repeated with
the same factorization while they shrink: so the squared condition number costs steps, not accuracy (iterative
refinement of the normal equations; Bjorck, Numerical Methods for Least Squares Problems, section 2.9).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from pinnsolve.assembly.cell_rows import Rows, TermGroup
from pinnsolve.bases.piecewise.space import Space
from pinnsolve.least_squares.block_cholesky import BlockCholesky, BlockMatrix, Front, fronts


class System:
    """The least squares of one space: all groups of rows, and how their cells hang together.

    States are (C, U, n) coefficients; matrices, right-hand sides and factors are for `Space.orthonormal` ones.
    `check()` is called now and then while these are computed, and may end that by an exception.
    """

    def __init__(
        self,
        space: Space,
        groups: Sequence,
        unknowns: int,
        parameters: Tensor,
        check: Callable[[], None] = lambda: None,
    ):
        self.space, self.groups, self.unknowns, self.parameters = space, list(groups), unknowns, parameters
        self.check = check
        self.columns = unknowns * space.functions
        self.operator: list[Rows] | None = None  # of a linear problem, its matrices, where they are known
        self._constant: list[Rows] | None = None
        self.offset: list[Tensor] | None = None  # of the residuals, by group; see `continuation`
        pairs = set()
        for group in self.groups:
            sides = group.cells_of_sides
            if len(sides) == 2:
                pairs |= {
                    (min(i, j), max(i, j)) for i, j in zip(sides[0].tolist(), sides[1].tolist(), strict=True) if i != j
                }
        self.pairs = sorted(pairs)
        self._number = {pair: k for k, pair in enumerate(self.pairs)}
        self._tree: tuple[Front, ...] | None = None

    @property
    def coefficients(self) -> int:
        return self.space.cells.count * self.columns

    @property
    def width(self) -> int:
        """Columns of the largest front, roughly: a plane of cells separates the others."""
        lower = self.space.cells.lower
        axes = sum(bool((lower[:, a] > lower[:, a].min()).any()) for a in range(lower.shape[1]))
        return round(self.columns * len(lower) ** ((axes - 1) / axes)) if axes else self.columns

    @property
    def tree(self) -> tuple[Front, ...]:
        if self._tree is None:
            cells = self.space.cells
            self._tree = fronts(0.5 * (cells.lower + cells.upper), self.pairs, self.columns)
        return self._tree

    def rows(self, c: Tensor, with_matrix: bool = True) -> list[Rows]:
        """All rows at a state, the residuals less `offset`, if there is one."""
        if self.operator is not None and not with_matrix:
            return self._from_operator(c)
        rows = self.rows_of(self.groups, c, with_matrix)
        if self.offset is None:
            return rows
        return [replace(group, r=group.r - part) for group, part in zip(rows, self.offset, strict=True)]

    def _from_operator(self, c: Tensor) -> list[Rows]:
        """The residuals A z + r(0), which needs no tables."""
        if self._constant is None:
            self._constant = self.rows_of(self.groups, None, with_matrix=False)
        z = self.space.orthonormal(c).flatten(1)
        return [
            replace(rows, r=rows.r + matrix.times(z))
            for rows, matrix in zip(self._constant, self.operator, strict=True)
        ]

    def rows_of(self, groups: Sequence, c: Tensor | None, with_matrix: bool = True) -> list[Rows]:
        """The rows of some of the groups."""
        found = []
        for group in groups:
            self.check()
            rows = group.rows(c, self.parameters, with_matrix)
            self.check()
            found.append(self._orthonormal(rows))
        return found

    def _orthonormal(self, rows: Rows) -> Rows:
        """The matrices of rows for functions that are orthonormal on cut cells, too."""
        metric = self.space.metric
        if metric is None or not rows.sides:
            return rows
        return replace(rows, sides=[(cells, metric.matrix(cells, A, self.unknowns)) for cells, A in rows.sides])

    def step(self, factor: BlockCholesky, rows: Sequence[Rows], matrices: Sequence[Rows]) -> Tensor:
        """The correction (C, U, n) of the state that left these residuals."""
        z = -factor.solve(self.gradient(rows, matrices)).reshape(len(self.space.cells.lower), self.unknowns, -1)
        return self.space.back(z)

    def factorize(self, rows: Sequence[Rows]) -> BlockCholesky:
        """The factorization of A^T A."""
        C, n = self.space.cells.count, self.columns
        diagonal = torch.zeros(C, n, n, dtype=torch.float64)
        blocks = torch.zeros(len(self.pairs), n, n, dtype=torch.float64)
        for group in rows:
            self.check()
            for cells, A in group.sides:
                diagonal.index_add_(0, cells, (A.mT @ A).expand(len(cells), n, n))
            if len(group.sides) == 2:
                self._couple(diagonal, blocks, *group.sides)
        return BlockCholesky(BlockMatrix(diagonal, self.pairs, blocks), self.tree, self.check)

    def _couple(self, diagonal: Tensor, blocks: Tensor, one, two) -> None:
        (i, A), (j, B) = one, two
        same, forward, backward = i == j, i < j, i > j
        product = (A.mT @ B).expand(len(i), self.columns, self.columns)
        if bool(same.any()):
            own = product[same]
            diagonal.index_add_(0, i[same], own + own.mT)
        for chosen, first, second, block in ((forward, i, j, product), (backward, j, i, product.mT)):
            if bool(chosen.any()):
                pairs = zip(first[chosen].tolist(), second[chosen].tolist(), strict=True)
                blocks.index_add_(0, torch.tensor([self._number[p] for p in pairs]), block[chosen])

    def gradient(self, rows: Sequence[Rows], matrices: Sequence[Rows]) -> Tensor:
        """A^T r, (C, U n), with residuals from `rows` and matrices from `matrices`."""
        g = torch.zeros(self.space.cells.count, self.columns, dtype=torch.float64)
        for residual, matrix in zip(rows, matrices, strict=True):
            for cells, A in matrix.sides:
                g.index_add_(0, cells, residual.r @ A[0] if A.shape[0] == 1 else (residual.r[:, None] @ A)[:, 0])
        return g


def points_of(system: System) -> dict[str, int]:
    """How many points every term of the problem has."""
    counts: dict[str, int] = {}
    for group in system.groups:
        if isinstance(group, TermGroup):
            counts[group.name] = counts.get(group.name, 0) + group.points
    return counts


def weights_of(system: System) -> dict[str, float]:
    """epsilon_k of the terms: the mean of the squared scales of their rows, the largest being 1."""
    sums: dict[str, tuple[float, float]] = {}
    for group in system.groups:
        if isinstance(group, TermGroup) and group.scales is not None:
            scales = sum(float((group.share[:, None] * s**2).sum()) for s in group.scales) / len(group.scales)
            one, two = sums.get(group.name, (0.0, 0.0))
            sums[group.name] = (one + group.weight * scales, two + float(group.share.sum()))
    values = {name: one / two for name, (one, two) in sums.items()}
    largest = max(values.values(), default=1.0)
    return {name: value / largest for name, value in values.items()}


def residual_norm(rows: Sequence[Rows]) -> float:
    """The root of the loss: every row stands in the unit of the unknowns."""
    return math.sqrt(sum(float((group.r**2).sum()) for group in rows))


def units(size: Tensor, error: Tensor) -> Tensor:
    """(U,) what errors of the unknowns are relative to: their sizes (U,).

    One that is nothing but rounding is judged beside the largest, and beside 1 where all vanish.
    """
    largest = size.max()
    rounding = (size <= NOISE * largest) & (error > OF_NOISE * size)
    return torch.where(rounding | (size == 0), largest if largest > 0 else largest + 1.0, size)


@dataclass
class Solved:
    """A state, its residual, how many corrections and factorizations it took, and what they say of the matrix."""

    c: Tensor
    residual: float
    steps: int
    factorizations: int
    converged: bool
    factor: BlockCholesky
    matrices: list[Rows]
    last: float  # the last correction, relative to the solution, where it says that more was to come, else zero
    terms: dict[str, float]  # the loss by name


NOISE, OF_NOISE = 1e-12, 0.01  # size of an unknown beside the largest, and its relative error, where it is rounding
MOST_STEPS, MOST_DAMPED = 30, 16
CHORD = 0.2  # a correction that is not this much smaller than the one before calls for a new factorization
STAGNANT = 1e-9  # corrections of a linear problem that no longer shrink are rounding below this, and an error above
ROUNDING = 3e-15  # corrections below this, relative to the solution, are rounding


def solve(
    system: System, c: Tensor, linear: bool, accuracy: float, known: tuple | None = None, damped: bool = False
) -> Solved:
    """Newton's method from the state c until corrections fall below `accuracy`, relative to the solution.

    `known`: (factor, matrices) of the same operator, to start with. For linear problems the factorization is kept and
    corrections are repeated while they shrink by half.
    """
    rms = system.space.rms
    factor, matrices = known if known is not None else (None, None)
    latest = factor
    before, factorizations, converged = math.inf, 0, False
    rows = system.rows(c, with_matrix=factor is None)
    loss = residual_norm(rows)
    if not math.isfinite(loss):
        lost = next(group.name for group in rows if not bool(torch.isfinite(group.r).all()))
        raise ArithmeticError(f"term `{lost}` is not finite")
    steps, size = 0, math.inf
    while steps < (MOST_DAMPED if damped else MOST_STEPS):
        if factor is None:
            matrices = rows if rows[0].sides else system.rows(c)
            factor = latest = system.factorize(matrices)
            factorizations += 1
            fresh = True
        else:
            fresh = False
        delta = system.step(factor, rows, matrices)
        moved = rms(delta)
        size = float((moved / units(rms(c + delta), moved)).max())
        if not math.isfinite(size):
            break
        if not fresh and not linear and size > CHORD * before:
            factor, before = None, math.inf  # the chord step is not good enough: take it from a new factorization
            rows = system.rows(c)
            continue
        length = 1.0
        trial = c + delta
        trial_rows = system.rows(trial, with_matrix=False)
        if damped and not linear:
            trial, trial_rows, length = _damp(system, c, delta, loss, trial, trial_rows)
        if linear and steps and residual_norm(trial_rows) > loss * (1 + 1e-12) and size > 0.5 * before:
            converged = True
            break
        c, rows, loss = trial, trial_rows, residual_norm(trial_rows)
        steps += 1
        if size * length <= max(accuracy, ROUNDING) or (linear and steps > 1 and size > 0.5 * before):
            converged = True
            break
        if length < 1.0 or (not linear and size > CHORD * before):
            factor = None
            rows = system.rows(c)
        before = size if not linear or size < before else before
    terms: dict[str, float] = {}
    for group in rows:
        terms[group.name] = terms.get(group.name, 0.0) + float((group.r**2).sum())
    last = 0.0 if converged and size <= max(accuracy, STAGNANT) else size
    return Solved(c, loss, steps, factorizations, converged, latest, matrices, last, terms)


def _damp(system: System, c: Tensor, delta: Tensor, loss: float, trial: Tensor, rows):
    """Halves a step until the loss does not rise much."""
    length = 1.0
    while length > 2.0**-10:
        now = residual_norm(rows)
        if math.isfinite(now) and now <= 1.5 * loss:
            return trial, rows, length
        length *= 0.5
        trial = c + length * delta
        rows = system.rows(trial, with_matrix=False)
    return trial, rows, length
