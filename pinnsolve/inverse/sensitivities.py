"""The solution of an inverse problem as a function of its parameters, by marching: what the data say of it, and its
derivatives.

The derivatives of the solution by the parameters are carried from slab to slab by the linearized equations (forward
sensitivities: Dickinson & Gelinas, J. Comput. Phys. 21 (1976) 123-143).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial

import torch
from torch import Tensor

from pinnsolve.adapt.forward import FIRST_CELLS, FIRST_SLAB, MANY_CELLS, degrees_for
from pinnsolve.adapt.time_marching import March, can_march, march
from pinnsolve.adapt.time_problem import TimeProblem
from pinnsolve.adapt.time_slab import LOCAL, Slab, SlabSolver
from pinnsolve.assembly.continuity import ContinuityRows
from pinnsolve.assembly.measurements import DataRows
from pinnsolve.assembly.reduced_data import ReducedData
from pinnsolve.assembly.row_source import State
from pinnsolve.assembly.term_rows import held_at, highest_orders, table_orders
from pinnsolve.bases.piecewise.initial_mesh import space_cells
from pinnsolve.bases.piecewise.mesh import joined
from pinnsolve.bases.piecewise.space import Space
from pinnsolve.compiler.terms import CompiledProblem
from pinnsolve.inverse.statement import InverseProblem
from pinnsolve.language.symbols import features_of
from pinnsolve.runtime import go_on, random_tensor
from pinnsolve.solvers.budget import Clock
from pinnsolve.solvers.follow import follow


def marching_axis(statement: InverseProblem) -> int | None:
    """The axis of time, if equations and conditions seem to give the solution for given parameters by a march."""
    if not statement.problem.unknown_parameters or statement.smoothness:
        return None
    problem = statement.exact
    axis = can_march(problem)
    if axis is None:
        return None
    low = problem.intervals[axis][0]
    wanted = sum(order[axis] for order in highest_orders(problem))
    return axis if sum(len(t.residuals) for t in held_at(problem, axis, low)) >= wanted else None


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
    groups: list[DataRows | ReducedData]
    r: Tensor
    moved: Tensor

    @property
    def c(self) -> Tensor:
        """(C, U, n) on `coarse`, of all slabs."""
        return torch.cat([slab.c for slab in self.slabs])

    @property
    def coarse(self) -> Space:
        """The space of the solution itself, with what derivatives the data ask for."""
        return Space(self.space.cells, self.slabs[0].space.degrees, self.space.orders)

    @property
    def state(self) -> State:
        """On `space`."""
        return State(self.coarse.widened(self.c, self.space), self.parameters)

    @property
    def off(self) -> float:
        """By how much the root of the loss may be wrong."""
        return float(self.moved.norm())


class Marches:
    """The solution of a statement as a function of its parameters."""

    def __init__(self, statement: InverseProblem, axis: int, memory: float, clock: Clock):
        self.statement, self.axis, self.memory, self.clock = statement, axis, memory, clock
        self.problem = at_given_parameters(statement.exact)
        low, high = self.problem.intervals[axis]
        orders = highest_orders(self.problem)
        self.order = max((k for ks in orders for a, k in enumerate(ks) if a != axis), default=0)
        self.length = (1.0 if self.problem.linear else FIRST_SLAB) * (high - low)

    def at(self, parameters: Tensor, tolerance: float, most: float = math.inf) -> Marched | None:
        """The march at these parameters; None where it does not reach the end with `most` coefficients."""
        dimension = len(self.problem.coordinates)
        cells = space_cells(self.problem, self.axis, FIRST_CELLS.get(dimension, 1))
        degrees = degrees_for(LOCAL * tolerance, dimension, self.axis, self.order, cells.count >= MANY_CELLS)
        slabs = march(self._solver(degrees, parameters, self.clock.check), cells, tolerance, self.length)

        def too_large(one: March) -> bool:
            size = sum(slab.c.numel() for slab in one.slabs)
            return size > most and not self._complete(one)

        found = follow(slabs, self.clock, lambda one: -len(one.slabs), too_large).raised("interrupted", "no_memory")
        if found.best is None or found.status != "finished" or not self._complete(found.best):
            return None
        return self._measured(parameters, list(found.best.slabs), self._solver(degrees, parameters), tolerance)

    def _solver(self, degrees: tuple[int, ...], parameters: Tensor, check: Callable[[], None] = go_on) -> SlabSolver:
        stated = TimeProblem(self.problem, self.axis, self.statement.weights, parameters)
        return SlabSolver(stated, degrees, self.memory, check)

    def _complete(self, one: March) -> bool:
        low, high = self.problem.intervals[self.axis]
        return one.time >= high - 1e-12 * (high - low)

    def _measured(self, parameters: Tensor, slabs: list[Slab], solver: SlabSolver, tolerance: float) -> Marched:
        cells = joined([slab.space.cells for slab in slabs])
        space = Space(cells, slabs[0].fine.degrees, table_orders(self.statement.problem))
        coarse = Space(cells, slabs[0].space.degrees, space.orders)
        c = coarse.widened(torch.cat([slab.c for slab in slabs]), space)
        w = torch.cat([slab.w for slab in slabs])
        measurements = self.statement.measurements
        state = State(c, parameters)
        groups = [rows.reweighed(state) for rows in measurements.rows(self.statement.problem, space, self.clock.check)]
        one, two = (
            torch.cat([g.rows(s, False).r.flatten() for g in groups]) / measurements.unit
            for s in (state, State(w, parameters))
        )
        return Marched(parameters, slabs, solver, tolerance, space, groups, one, two - one)

    def linearized(self, at: Marched) -> tuple[Tensor, Tensor]:
        """The derivatives by the parameters: of the data's residuals, (M, P), and of the solution, (P, C, U, n)."""
        sensitivity = torch.cat(list(_sensitivities(at.solver, at.slabs)), dim=1)
        c = at.coarse.widened(at.c, at.space)
        du = torch.stack([at.coarse.widened(one, at.space) for one in sensitivity])
        du = du.permute(1, 2, 3, 0).flatten(1, 2)  # (C, U n, P)
        J = []
        for group in at.groups:
            block = group.rows(State(c, at.parameters))
            column = block.times(du)
            J.append((column if block.parameters is None else column + block.parameters).flatten(0, 1))
        return torch.cat(J) / self.statement.measurements.unit, sensitivity

    def freedom(self, at: Marched) -> float:
        """How many degrees of freedom of the data the solution would take, weighed as they are, beside the parameters:
        next to none, unless equations and conditions leave some of it open."""
        measurements, c, space = self.statement.measurements, at.c, at.coarse
        generator = torch.Generator().manual_seed(0)
        g = c.new_zeros(len(c), c[0].numel(), 1)
        for group in measurements.rows(self.statement.problem, space):
            sign = random_tensor(torch.randint, 0, 2, group.keep.shape, generator=generator).double() * 2.0 - 1.0
            for index, A in group.rows(State(c, at.parameters)).sides:
                A = A if space.metric is None else space.metric.matrix(index, A, c.shape[1])
                g.index_add_(0, index, A.mT @ (sign * group.keep)[:, :, None])
        total, before, first = 0.0, None, 0
        for slab in at.slabs:
            system, _ = at.solver.system(slab.space, before)
            mine = g[first : first + len(slab.c)]
            rows = system.rows(State(slab.c, at.parameters))
            total += float((mine * system.factorize(rows).solve(mine)).sum())
            before, first = slab, first + len(slab.c)
        return total


def _sensitivities(solver: SlabSolver, slabs: list[Slab]) -> Iterator[Tensor]:
    """Slab by slab, (P, C, U, n): the derivatives of the solution by the parameters."""
    before, carried = None, None
    for slab in slabs:
        system, start = solver.system(slab.space, before)
        state = State(slab.c, solver.stated.parameters)
        rows = system.rows(state)
        for k, source in enumerate(start, len(rows) - len(start)):
            rows[k] = replace(rows[k], parameters=_taken_over(source, before, carried))
        _, reduced = system.factorized(state, rows, parameters=True)
        before, carried = slab, reduced.sensitivity()
        yield carried


def _taken_over(source: ContinuityRows, before: Slab, carried: Tensor) -> Tensor:
    """(G, M, P): what the derivatives in the slab before are to the rows of the start of this one."""
    nothing = State(None, torch.zeros(0, dtype=carried.dtype))
    columns = [source.starting_from(partial(before.space.values, one)).rows(nothing, False).r for one in carried]
    return torch.stack(columns, dim=2)
