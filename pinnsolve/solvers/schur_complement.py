"""Least squares over coefficients and unknown parameters: parameter columns beside the block-sparse matrix.

With rows [C P] for coefficients and parameters, C^T C is factorized in blocks and the coefficients are eliminated:
X = C^+ P, and what is left of the parameter columns is Q = P - C X, so that S = Q^T Q is the Schur complement and
Q^T r the gradient of the reduced problem (variable projection: Golub & Pereyra, SIAM J. Numer. Anal. 10 (1973)
413-432). Q is formed row by row, which keeps the digits that P^T P - P^T C X would lose.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from pinnsolve.assembly.cell_rows import Rows
from pinnsolve.assembly.system import System, residual_norm

REFINED = 3  # times X is refined with residuals taken row by row
WEAK = 1e-12  # eigenvalues of the scaled Schur complement below this, relative to the largest, are no information
MOST_STEPS = 30
CHORD = 0.2  # a step that is not this much smaller than the one before calls for a new linearization
SHORTEST = 2.0**-12
ROUNDING = 3e-15


@dataclass(frozen=True)
class Point:
    """Coefficients c (C, U, n) and parameters (P,)."""

    c: Tensor
    parameters: Tensor


Block = list[Tensor]  # (G, M, k) per group


def applied(matrices: Sequence[Rows], x: Tensor) -> Block:
    """C x for x (C, U n, k)."""
    result = []
    for group in matrices:
        parts = [A @ x[cells] for cells, A in group.sides]
        result.append(parts[0] if len(parts) == 1 else parts[0] + parts[1])
    return result


def adjoint(matrices: Sequence[Rows], v: Block, like: Tensor) -> Tensor:
    """C^T v, (C, U n, k), for v (G, M, k) per group; `like`: (C, U n, ...)."""
    g = like.new_zeros(*like.shape[:2], v[0].shape[2])
    for group, part in zip(matrices, v, strict=True):
        for cells, A in group.sides:
            g.index_add_(0, cells, A.mT @ part)
    return g


def products(one: Block, two: Block, chosen: Sequence[bool] | None = None) -> Tensor:
    """one^T two, (k, l), over the groups chosen."""
    total = one[0].new_zeros(one[0].shape[2], two[0].shape[2])
    for i, (a, b) in enumerate(zip(one, two, strict=True)):
        if chosen is None or chosen[i]:
            total += a.flatten(0, 1).T @ b.flatten(0, 1)
    return total


def rows_at(system: System, point: Point, with_matrix: bool = True) -> list[Rows]:
    system.parameters = point.parameters
    return system.rows(point.c, with_matrix)


class Linearization:
    """The rows at a point, their factorization, `X` (C, U n, P), `Q` by group and `S` (P, P)."""

    def __init__(self, system: System, matrices: Sequence[Rows], parameters: int):
        self.matrices, self.factor, self.count = matrices, system.factorize(matrices), parameters
        cells = system.space.cells.count
        self.X = torch.zeros(cells, system.columns, parameters, dtype=torch.float64)
        self.Q = [
            group.border if group.border is not None else torch.zeros(*group.r.shape, parameters, dtype=torch.float64)
            for group in matrices
        ]
        P = self.Q
        for _ in range(REFINED if parameters else 0):
            self.X = self.X + self.factor.solve(adjoint(matrices, self.Q, self.X))
            self.Q = [p - q for p, q in zip(P, applied(matrices, self.X), strict=True)]
        self.S = products(self.Q, self.Q)

    def coefficients(self, rows: Sequence[Rows]) -> Tensor:
        """-C^+ r, (C, U n): the correction with the parameters held."""
        r = [group.r[:, :, None] for group in rows]
        return -self.factor.solve(adjoint(self.matrices, r, self.X))[:, :, 0]

    def step(self, rows: Sequence[Rows], bounded: Callable[[Tensor, Tensor], Tensor]) -> tuple[Tensor, Tensor]:
        """The corrections of coefficients (C, U n) and parameters (P,); see `Bounds.step` for `bounded`."""
        delta = self.coefficients(rows)
        if not self.count:
            return delta, self.S.new_zeros(0)
        gradient = products(self.Q, [group.r[:, :, None] for group in rows])[:, 0]
        moved = bounded(self.S, gradient)
        return delta - self.X @ moved, moved


@dataclass(frozen=True)
class Bounds:
    """`low`, `high`: (P,) what holds the parameters, and their typical `size`, to compare them with each other."""

    low: Tensor
    high: Tensor
    size: Tensor

    def step(self, at: Tensor, S: Tensor, gradient: Tensor) -> Tensor:
        """The minimizer of d^T S d / 2 + gradient^T d within the bounds, by an active set."""
        free = torch.ones_like(at, dtype=torch.bool)
        moved = torch.zeros_like(at)
        for _ in range(2 * len(at) + 1):
            rest = gradient + S @ torch.where(free, torch.zeros_like(moved), moved)
            moved = torch.where(free, self._least(S, rest, free), moved)
            outside = free & ((at + moved < self.low) | (at + moved > self.high))
            if not bool(outside.any()):
                break
            moved = torch.where(outside, (at + moved).clamp(self.low, self.high) - at, moved)
            free &= ~outside
        return moved

    def _least(self, S: Tensor, gradient: Tensor, free: Tensor) -> Tensor:
        scale = torch.where(free, self.size, 0.0)
        values, vectors = torch.linalg.eigh(scale[:, None] * S * scale)
        known = values > WEAK * values.max().clamp_min(1e-300)
        inverse = torch.where(known, 1.0 / torch.where(known, values, 1.0), 0.0)
        return -scale * (vectors @ (inverse * (vectors.T @ (scale * gradient))))


def inverse(information: Tensor, size: Tensor) -> Tensor:
    """The inverse of a Schur complement (P, P), parameters scaled by their `size` (P,); what it lacks is large."""
    if not len(size):
        return information
    values, vectors = torch.linalg.eigh(size[:, None] * information * size)
    values = values.clamp_min(max(ROUNDING * float(values.max()), 1e-300))
    return size[:, None] * (vectors / values) @ vectors.T * size


@dataclass(frozen=True)
class Found:
    """Where Gauss-Newton ended: the point, its rows' loss, the last linearization, and whether it converged."""

    point: Point
    loss: float
    linearization: Linearization
    steps: int
    converged: bool
    rows: list[Rows]


def gauss_newton(
    system: System,
    start: Point,
    bounds: Bounds,
    accuracy: float,
    reweigh: Callable[[Point], None] = lambda point: None,
    most: int = MOST_STEPS,
) -> Found:
    """Gauss-Newton from `start` until corrections fall below `accuracy`, relative to the solution.

    Steps are halved until the loss falls; where it rises because the rows curve, the coefficients are corrected with
    the parameters held before a step is refused. `reweigh` is called before every new linearization. Raises
    ArithmeticError where rows are not finite.
    """
    point, linearization, converged, size = start, None, False, math.inf
    rows = rows_at(system, point, with_matrix=False)
    _check_finite(rows)
    steps, before = 0, math.inf
    while steps < most:
        fresh = linearization is None
        if fresh:
            reweigh(point)
            rows = rows_at(system, point)
            linearization = Linearization(system, rows, len(point.parameters))
        loss = residual_norm(rows)
        delta, moved = linearization.step(rows, lambda S, g, at=point.parameters: bounds.step(at, S, g))
        size = _size(system, point, delta, moved, bounds)
        if not math.isfinite(size):
            break
        if not fresh and size > CHORD * before:
            linearization, before = None, math.inf
            continue
        trial, trial_rows, length = _descended(system, linearization, point, delta, moved, loss)
        steps += 1
        if trial is None:  # nothing lowers the loss: rounding, or lost
            converged = size <= max(accuracy, 1e-6)
            if fresh:
                break
            linearization, before = None, math.inf
            continue
        point, rows = trial, trial_rows
        if size * length <= max(accuracy, ROUNDING):
            converged = True
            break
        if length < 1.0 or size > CHORD * before:
            linearization, before = None, math.inf
        else:
            before = size
    return Found(point, residual_norm(rows) ** 2, linearization, steps, converged, rows)


def _size(system: System, point: Point, delta: Tensor, moved: Tensor, bounds: Bounds) -> float:
    """A step relative to the solution and to the parameters."""
    space = system.space
    change = space.back(delta.reshape(point.c.shape))
    whole = space.rms(point.c + change)
    parts = space.rms(change) / torch.where(whole > 0, whole, 1.0)
    size = float(parts.max())
    if len(moved):
        size = max(size, float((moved.abs() / (point.parameters + moved).abs().maximum(1e-3 * bounds.size)).max()))
    return size


def _descended(system: System, linearization: Linearization, point: Point, delta, moved, loss: float):
    """The point after the longest of the halved steps that lowers the loss, its rows and the length; or None."""
    length, shape, back = 1.0, point.c.shape, system.space.back
    while length > SHORTEST:
        trial = Point(point.c + length * back(delta.reshape(shape)), point.parameters + length * moved)
        rows = rows_at(system, trial, with_matrix=False)
        if _better(residual_norm(rows), loss):
            return trial, rows, length
        for _ in range(2):
            correction = back(linearization.coefficients(rows).reshape(shape))
            trial = Point(trial.c + correction, trial.parameters)
            rows = rows_at(system, trial, with_matrix=False)
            if _better(residual_norm(rows), loss):
                return trial, rows, length
        length *= 0.5
    return None, None, 0.0


def _better(now: float, loss: float) -> bool:
    return math.isfinite(now) and now <= loss * (1 + 1e-9)


def _check_finite(rows: Sequence[Rows]) -> None:
    for group in rows:
        if not bool(torch.isfinite(group.r).all()):
            raise ArithmeticError(f"term `{group.name}` is not finite")
