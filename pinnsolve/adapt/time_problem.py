"""A problem that is marched in time by slabs: where it starts, and how a slab goes on from the one before.

Input: cells in space, or the solution w (C, U, n) of the slab before on its space. Output: coefficients (C, U, n) and
functions of points, from which Newton's method starts.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial

import torch
from torch import Tensor

from pinnsolve.assembly.continuity import ContinuityRows
from pinnsolve.assembly.row_source import State
from pinnsolve.assembly.system import CellSystem, shared
from pinnsolve.assembly.term_rows import held_at, highest_orders, table_orders, term_rows
from pinnsolve.bases.piecewise.mesh import Cells
from pinnsolve.bases.piecewise.space import Space
from pinnsolve.compiler.terms import CompiledProblem
from pinnsolve.estimate.enriched_space import EXTRA_DEGREES, blame, correct
from pinnsolve.solvers.gauss_newton import Iteration, gauss_newton

START_SPLITS = 12  # how often cells are halved so that they hold the conditions at the start
MOST_START_CELLS = 1024

Values = Callable[[Tensor], Tensor]  # of points (N, d): (unknowns, N)


@dataclass(frozen=True)
class TimeProblem:
    """A problem whose coordinate number `axis` is time.

    `weights`: the file's epsilon_k by term; `parameters`: (P,) values of the unknown parameters, which are held;
    `guess`: where the first slab starts, if one is stated.
    """

    problem: CompiledProblem
    axis: int
    weights: Mapping[str, float]
    parameters: Tensor = field(default_factory=lambda: torch.zeros(0, dtype=torch.float64))
    guess: Values | None = None

    def state(self, c: Tensor | None) -> State:
        """Coefficients with the values of the unknown parameters."""
        return State(c, self.parameters)


# -- the start of time ---------------------------------------------------------------------------------------------


def resolved_start(
    stated: TimeProblem, cells: Cells, degrees: Sequence[int], tolerance: float
) -> tuple[Cells, Values | None]:
    """Cells on which polynomials in space hold the conditions at the start alone, and what these say."""
    problem, axis = stated.problem, stated.axis
    low, high = problem.intervals[axis]
    held = held_at(problem, axis, low)
    in_time = max(t_alpha[axis] for term in held for t_alpha in [f.alpha for f in term.features])
    degrees = tuple(in_time if a == axis else p for a, p in enumerate(degrees))
    start, orders, values = replace(problem, terms=held), table_orders(problem), None
    for _ in range(START_SPLITS):
        space = Space(cells.extruded(axis, low, low + (high - low)), degrees, orders)
        system = CellSystem(space, term_rows(start, space, stated.weights), len(problem.unknowns), start.linear)
        if not system.sources:  # narrowed to nothing by its `where`
            return cells, values
        c = gauss_newton(system, stated.state(system.zero()), Iteration(1e-12)).state.coefficients
        values = partial(_value, space, c)
        if cells.dimension == 0:
            return cells, values
        bad = _missed(stated, start, space, c, tolerance)
        if not bool(bad.any()) or cells.count >= MOST_START_CELLS:
            break
        cells = cells.split(bad.any(dim=1), bad)
    return cells, values


def _missed(stated: TimeProblem, start: CompiledProblem, space: Space, c: Tensor, tolerance: float) -> Tensor:
    """(C, axes of space) bool: where the cells are too coarse for the conditions at the start, and along which axes."""
    problem, axis, degrees = stated.problem, stated.axis, space.degrees
    richer = tuple(p + EXTRA_DEGREES * (a != axis) for a, p in enumerate(degrees))
    fine = Space(space.cells, richer, space.orders)
    fine_system = CellSystem(fine, term_rows(start, fine, stated.weights), len(problem.unknowns), start.linear)
    state = stated.state(space.widened(c, fine))
    correction = correct(fine_system.scaled_at(state), state)
    volume = space.cells.volume
    counts = torch.tensor(problem.unknown_counts, dtype=torch.float64)
    size = shared(fine.rms(correction.c), problem.groups).clamp_min(1e-300)
    unit = (size / counts)[None, :, None]
    parts = torch.sqrt(blame(correction.delta / unit, fine, degrees) * (volume / volume.sum())[:, None])
    in_space = parts[:, [a for a in range(len(degrees)) if a != axis]]
    bad = in_space > 0.3 * tolerance / math.sqrt(len(in_space))
    return bad & (in_space > 0.4 * in_space.amax(dim=1, keepdim=True))


# -- the start of a slab -------------------------------------------------------------------------------------------


def end_of(space: Space, w: Tensor, axis: int) -> Values:
    """The values at the end of a slab, at all times."""

    def values(x: Tensor) -> Tensor:
        x = x.clone()
        x[:, axis] = space.cells.box[1][axis]
        return _value(space, w, x)

    return values


def continued(stated: TimeProblem, space: Space, sources: Sequence[ContinuityRows], before: Space, w: Tensor) -> Tensor:
    """u(t0) + (t - t0) u_t(t0), cell by cell, where t0 is the end of the solution w on the space `before`.

    `sources`: the rows of the slab that start from it.
    """
    axis, d, U = stated.axis, space.cells.dimension, len(stated.problem.unknowns)
    if space.metric is not None or not any(order[axis] for order in highest_orders(stated.problem)):
        return space.project(partial(_extrapolated, axis, before, w), U)
    start = sources[0]  # of all cells, which are whole
    k = space.exponents
    constant, linear = k[:, axis] == 0, k[:, axis] == 1
    # (m, n) at the start, where P~_k in time are (-1)^k sqrt(2k + 1)
    table = start.at.sides[0].tables.table((0,) * d)[0]
    inverse = torch.linalg.pinv(table[:, constant])
    x = start.at.points.x[0]
    C, half = space.cells.count, 0.5 * float(space.cells.size[0, axis])
    c = table.new_zeros(C, U, len(k))

    def projected(alpha) -> Tensor:
        values = before.values(w, x, alpha).reshape(U, C, -1)
        return (values @ inverse.T).permute(1, 0, 2)

    c[..., constant] = projected((0,) * d)
    if space.orders[axis] and bool(linear.any()):
        rate = half * projected(tuple(int(a == axis) for a in range(d)))
        c[..., constant] += rate
        # the functions linear in time are fewer: those of the constant ones that they share
        held = _positions(k[constant], k[linear], axis)
        c[..., linear] = rate[..., held] / math.sqrt(3.0)
    return c


def _extrapolated(axis: int, before: Space, w: Tensor, x: Tensor) -> Tensor:
    value, rate = ((0,) * x.shape[1], tuple(int(a == axis) for a in range(x.shape[1])))
    start = x.clone()
    start[:, axis] = before.cells.box[1][axis]
    found = before.combined(w, start, [value, rate])
    return found[value] + (x - start)[:, axis] * found[rate]


def _value(space: Space, c: Tensor, x: Tensor) -> Tensor:
    return space.values(c, x, (0,) * x.shape[1])


def _positions(all_exponents: Tensor, wanted: Tensor, axis: int) -> Tensor:
    """Where the exponents `wanted` (k, d) stand among all (n, d), whatever the power of the axis."""
    others = [a for a in range(wanted.shape[1]) if a != axis]
    index = {tuple(row): i for i, row in enumerate(all_exponents[:, others].tolist())}
    return torch.tensor([index[tuple(row)] for row in wanted[:, others].tolist()])
