"""Inverse problems that march: Gauss-Newton over the parameters alone, the solution a function of them.

Where equations and conditions determine the solution once the parameters are given, marching in time gives it for a
fraction of the work that a least squares over all of space and time takes. The derivatives of the solution by the
parameters are carried from slab to slab by the linearized equations (forward sensitivities: Dickinson & Gelinas, J.
Comput. Phys. 21 (1976) 123-143), and steps are kept in a box that grows and shrinks with how well the data's residual
was foretold (trust regions: Conn, Gould & Toint, Trust-Region Methods, 2000, chapter 6).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from pinnsolve.bases.cells import joined
from pinnsolve.bases.space import Space
from pinnsolve.grid.answer import NEGLIGIBLE, Answer, fit_of, residuals_of
from pinnsolve.grid.border import Bounds, Linearization
from pinnsolve.grid.data import WEIGHT, DataGroup
from pinnsolve.grid.first_cells import space_cells
from pinnsolve.grid.groups import highest_orders, table_orders
from pinnsolve.grid.inverse import Statement
from pinnsolve.grid.march import March, can_march, march
from pinnsolve.grid.slab import Slab, SlabSolver
from pinnsolve.grid.strategy import FIRST_CELLS, FIRST_SLAB, degrees_for
from pinnsolve.grid.system import BLOCK_THREADS
from pinnsolve.terms import CompiledProblem, features_of
from pinnsolve.threads import threads_for

LOOSE = 1e-3  # local error of the first marches
FIRST_RADIUS, LARGEST_RADIUS, SMALLEST_RADIUS = 0.5, 10.0, 1e-6  # of steps, relative to the parameters
FORETOLD = (0.25, 0.75)  # share of the foretold decrease from which on a step was not too long, or too short
MOST_STEPS = 60
ROUNDING = 1e-12  # of parameters: smaller steps are none
UNDETERMINED = 0.5  # degrees of freedom of the data that a solution may take whose parameters are given
LARGER = 8.0  # times the coefficients of the march before, a march is given up
BELOW = 0.1  # of the step that is left is what errors of discretization should be
SHARPENED = (1e-4, 0.3)  # factors by which the tolerance of a march falls


def marching_axis(statement: Statement) -> int | None:
    """The axis of time, if equations and conditions seem to give the solution for given parameters by a march."""
    if not statement.problem.unknown_parameters or statement.smoothness:
        return None
    problem = statement.exact
    axis = can_march(problem)
    if axis is None:
        return None
    low = problem.intervals[axis][0]
    starts = [t for t in problem.terms if any(dict(p.fixed).get(axis) == low for p in t.region.pieces)]
    wanted = sum(order[axis] for order in highest_orders(problem))
    return axis if sum(len(t.residuals) for t in starts) >= wanted else None


def at_given_parameters(problem: CompiledProblem) -> CompiledProblem:
    """The problem as one for the unknowns alone: its terms are linear where no unknown is in their linearizations."""

    def linear(term) -> bool:
        return not any(features_of(e) for one in term.linearizations for _, e in one.features)

    return replace(problem, terms=tuple(replace(t, linear=linear(t)) for t in problem.terms))


@dataclass(frozen=True)
class Marched:
    """The march at some parameters, and the residuals of the data there, (M,) in standard deviations.

    `space` is that of all slabs, in the degrees of their corrections; `moved` (M,) is by how much these correct the
    residuals.
    """

    parameters: Tensor
    slabs: list[Slab]
    solver: SlabSolver
    tolerance: float
    space: Space
    groups: list[DataGroup]
    r: Tensor
    moved: Tensor

    @property
    def size(self) -> int:
        return sum(slab.c.numel() for slab in self.slabs)

    @property
    def off(self) -> float:
        """By how much the root of the loss may be wrong."""
        return float(self.moved.norm())


class Marches:
    """The solution of a statement as a function of its parameters."""

    def __init__(self, statement: Statement, axis: int, memory: float, expired: Callable[[], bool]):
        self.statement, self.axis, self.memory, self.expired = statement, axis, memory, expired
        self.problem = at_given_parameters(statement.exact)
        self.low, self.high = self.problem.intervals[axis]
        orders = highest_orders(self.problem)
        self.order = max((k for ks in orders for a, k in enumerate(ks) if a != axis), default=0)
        self.length = FIRST_SLAB * (self.high - self.low)

    def at(self, parameters: Tensor, tolerance: float, most: float = math.inf) -> Marched | None:
        """The march at these parameters; None where it does not reach the end with `most` coefficients."""

        def interrupt(march: March) -> str | None:
            size = sum(slab.c.numel() for slab in march.slabs)
            return "stalled" if size > most or self.expired() else None

        dimension, weights = len(self.problem.coordinates), self.statement.weights
        degrees = degrees_for(tolerance, dimension, self.axis, self.order)
        cells = space_cells(self.problem, self.axis, FIRST_CELLS.get(dimension, 1))
        try:
            found = march(
                self.problem, self.axis, cells, degrees, tolerance, weights, self.length, self.memory,
                interrupt=interrupt, parameters=parameters,
            )  # fmt: skip
        except ArithmeticError:
            return None
        if found.status != "finished" or not found.slabs:
            return None
        solver = SlabSolver(self.problem, self.axis, degrees, weights, self.memory, parameters)
        return self._measured(parameters, found.slabs, solver, tolerance)

    def _measured(self, parameters: Tensor, slabs: list[Slab], solver: SlabSolver, tolerance: float) -> Marched:
        cells = joined([slab.space.cells for slab in slabs])
        space = Space(cells, slabs[0].fine.degrees, table_orders(self.statement.problem))
        coarse = Space(cells, slabs[0].space.degrees, space.orders)
        c = coarse.widened(torch.cat([slab.c for slab in slabs]), space)
        w = torch.cat([slab.w for slab in slabs])
        measurements = self.statement.measurements
        measurements.weight = WEIGHT
        groups = measurements.groups(self.statement.problem, space)
        if measurements.robust:
            measurements.weigh(groups, c, parameters)
        unit = measurements.unit(groups)
        one, two = (torch.cat([g.rows(v, parameters, False).r.flatten() for g in groups]) / unit for v in (c, w))
        return Marched(parameters, slabs, solver, tolerance, space, groups, one, two - one)

    def linearized(self, at: Marched) -> tuple[Tensor, Tensor]:
        """The derivatives by the parameters: of the data's residuals, (M, P), and of the solution, (P, C, U, n)."""
        sensitivity = torch.cat(list(_sensitivities(at.solver, at.slabs)), dim=1)
        cells = at.space.cells
        coarse = Space(cells, at.slabs[0].space.degrees, at.space.orders)
        c = coarse.widened(torch.cat([slab.c for slab in at.slabs]), at.space)
        du = torch.stack([coarse.widened(one, at.space) for one in sensitivity])
        du = du.permute(1, 2, 3, 0).flatten(1, 2)  # (C, U n, P)
        J = []
        for group in at.groups:
            rows = group.rows(c, at.parameters)
            column = sum(A @ du[index] for index, A in rows.sides)
            J.append((column if rows.border is None else column + rows.border).flatten(0, 1))
        return torch.cat(J) / self.statement.measurements.unit(at.groups), sensitivity

    def freedom(self, at: Marched) -> float:
        """How many degrees of freedom of the data the solution would take, weighed as they are, beside the parameters:
        next to none, unless equations and conditions leave some of it open."""
        measurements, c = self.statement.measurements, torch.cat([slab.c for slab in at.slabs])
        space = Space(at.space.cells, at.slabs[0].space.degrees, at.space.orders)
        generator = torch.Generator().manual_seed(0)
        g = c.new_zeros(len(c), c[0].numel(), 1)
        for group in measurements.groups(self.statement.problem, space):
            sign = torch.randint(0, 2, group.keep.shape, generator=generator).double() * 2.0 - 1.0
            for index, A in group.rows(c, at.parameters).sides:
                A = A if space.metric is None else space.metric.matrix(index, A, c.shape[1])
                g.index_add_(0, index, A.mT @ (sign * group.keep)[:, :, None])
        total, before, first = 0.0, None, 0
        for slab in at.slabs:
            system, _ = at.solver.system(slab.space, before)
            mine = g[first : first + len(slab.c)]
            with threads_for(BLOCK_THREADS * system.columns):
                total += float((mine * system.factorize(system.rows(slab.c)).solve(mine)).sum())
            before, first = slab, first + len(slab.c)
        return total


def _sensitivities(solver: SlabSolver, slabs: list[Slab]) -> Iterator[Tensor]:
    """Slab by slab, (P, C, U, n): the derivatives of the solution by the parameters."""
    before, carried = None, None
    for slab in slabs:
        system, start = solver.system(slab.space, before)
        with threads_for(BLOCK_THREADS * system.columns):
            rows = system.rows(slab.c)
            for k, group in enumerate(start, len(rows) - len(start)):
                rows[k] = replace(rows[k], border=_taken_over(group, before, carried, slab))
            linearization = Linearization(system, rows, len(solver.parameters))
        X = linearization.X.reshape(*slab.c.shape, -1).permute(3, 0, 1, 2)
        before, carried = slab, torch.stack([-slab.space.back(x) for x in X])
        yield carried


def _taken_over(group, before: Slab, carried: Tensor, slab: Slab) -> Tensor:
    """(G, M, P): what the derivatives in the slab before are to the rows of the start of this one."""
    columns = []
    for one in carried:
        group.aim(lambda x, alpha, one=one: before.space.values(one, x, alpha))
        columns.append(group.rows(torch.zeros_like(slab.c), torch.zeros(0), with_matrix=False).r)
    return torch.stack(columns, dim=2)


# -- Gauss-Newton ---------------------------------------------------------------------------------------------------


def steps(
    marches: Marches, guesses: Sequence[Tensor], tolerance: float, refinements: int | None = None
) -> Iterator[Answer]:
    """Answers from the best of the guesses on, until errors of discretization are below the tolerance, or far below
    what noise causes, or marches were made more accurate `refinements` times. Ends early where nothing is better."""
    statement = marches.statement
    bounds, radius, left = statement.bounds, FIRST_RADIUS, math.inf if refinements is None else refinements
    here = _best([marches.at(guess, LOOSE) for guess in guesses])
    for number in range(MOST_STEPS):
        if here is None or (number == 0 and marches.freedom(here) > UNDETERMINED):
            return
        J, sensitivity = marches.linearized(here)
        S, gradient = J.T @ J, J.T @ here.r
        step = bounds.step(here.parameters, S, gradient)
        corrected = bounds.step(here.parameters, S, gradient + J.T @ here.moved)
        answer = _answer(statement, here, S, sensitivity, step, corrected, tolerance, number)
        yield answer
        factor = _sharper(answer, step, corrected - step, tolerance) if left > 0 else 1.0
        left -= factor < 1.0
        if factor == 1.0 and bool((step.abs() <= ROUNDING * answer.parameters.abs()).all()):
            return
        here, radius = _next(marches, here, S, gradient, radius, here.tolerance * factor)


def _best(marched: Sequence[Marched | None]) -> Marched | None:
    return min((one for one in marched if one is not None), key=lambda one: float(one.r.norm()), default=None)


def _sharper(answer: Answer, step: Tensor, off: Tensor, tolerance: float) -> float:
    """The factor of the tolerance of the next march: errors should be below the step there is still to go then."""
    p = answer.parameters.abs()
    wanted = torch.maximum(tolerance * p, NEGLIGIBLE * answer.fit.standard_errors)
    left = torch.maximum(BELOW * step.abs(), 0.3 * wanted)
    factor = float((left / off.abs().clamp_min(1e-300)).min())
    done = bool((step.abs() <= wanted).all())  # then the solution has to be good enough, too
    if done and answer.worst > tolerance:
        factor = min(factor, 0.3 * tolerance / answer.worst)
    return min(max(factor, SHARPENED[0]), SHARPENED[1] if done else 1.0)


def _next(
    marches: Marches, here: Marched, S: Tensor, gradient: Tensor, radius: float, tolerance: float
) -> tuple[Marched | None, float]:
    """The march at the next parameters, and the radius of the next step; None where nothing is better."""
    bounds, p = marches.statement.bounds, here.parameters
    scale = torch.maximum(p.abs(), 0.1 * bounds.size)
    loss = float(here.r @ here.r)
    while radius > SMALLEST_RADIUS:
        low, high = torch.maximum(bounds.low, p - radius * scale), torch.minimum(bounds.high, p + radius * scale)
        step = Bounds(low, high, bounds.size).step(p, S, gradient)
        length = float((step.abs() / scale).max())
        foretold = -float(2.0 * gradient @ step + step @ S @ step)
        there = marches.at(p + step, tolerance, LARGER * here.size)
        if there is not None and float(there.r.norm()) <= math.sqrt(loss) * (1 + 1e-9) + here.off + there.off:
            share = (loss - float(there.r @ there.r)) / max(foretold, 1e-300)
            if share < FORETOLD[0]:
                radius = max(0.5 * length, SMALLEST_RADIUS)
            elif share > FORETOLD[1]:
                radius = min(max(radius, 2.0 * length), LARGEST_RADIUS)
            return there, radius
        if marches.expired():
            break
        radius = 0.25 * length
    return None, radius


def _answer(
    statement: Statement, at: Marched, S: Tensor, sensitivity: Tensor, step: Tensor, corrected: Tensor,
    tolerance: float, number: int,
) -> Answer:  # fmt: skip
    """The answer at a march; `step` is what is left to go, which counts as error, and `corrected` the same from the
    corrected solution."""
    slabs, groups, p = at.slabs, at.groups, at.parameters
    count = sum(group.count for group in groups)
    fit = fit_of(statement.measurements, statement.bounds, float(at.r @ at.r), count, S, 1.0, 0.0)
    space = Space(at.space.cells, slabs[0].space.degrees, slabs[0].space.orders)
    volume = torch.stack([slab.space.cells.volume.sum() for slab in slabs])[:, None]
    error, size = (
        torch.sqrt((torch.stack(part) ** 2 * volume).sum(dim=0) / volume.sum())
        for part in ([slab.error for slab in slabs], [slab.size for slab in slabs])
    )
    points = {group.name: group.points for group in groups}
    for name, value in [item for slab in slabs for item in slab.points.items()]:
        points[name] = points.get(name, 0) + value
    parts = at.r.split([group.keep.numel() for group in groups])
    nothing = sensitivity.new_zeros(0, *sensitivity.shape[1:])
    near = torch.maximum(BELOW * tolerance * p.abs(), NEGLIGIBLE * fit.standard_errors)
    return Answer(
        space=space,
        c=torch.cat([slab.c for slab in slabs]),
        error=error + space.rms(torch.einsum("p,pcun->cun", corrected, sensitivity)),
        size=size,
        parameters=p,
        parameter_error=(corrected - step).abs() + step.abs(),
        fit=fit,
        data=groups,
        data_moved=float(at.moved.norm()) / math.sqrt(count),
        residuals=residuals_of(statement.problem, groups, parts),
        left=max(slab.left for slab in slabs),
        sensitivity=sensitivity,
        drawn=lambda seed: (nothing, 0.0),  # the data say nothing of the solution but by way of the parameters
        converged=bool((step.abs() <= near).all()),
        loss=float(at.r @ at.r) / count,
        terms={group.name: float(part @ part) / group.count for group, part in zip(groups, parts, strict=True)},
        rank=slabs[-1].rank,
        points=points,
        weights=slabs[0].weights,
        method="Gauss-Newton over parameters, time slabs, least_squares",
        phase=f"step {number}: {len(slabs)} slabs",
        slabs=len(slabs),
    )
