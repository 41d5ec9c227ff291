"""Semilinear problems in a box that march by exponentials: marches until the estimated error meets the tolerance.

What comes back is a function of space and time, as from all marches: one cell of high degree for every pair of steps.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial

import torch
from torch import Tensor

from pinnsolve.adapt.context import Result, SolveContext
from pinnsolve.adapt.exponential_march import FIRST_PARTS, TIMES, ExponentialMarch, ExponentialMarcher, Means, modal
from pinnsolve.adapt.march_watch import MarchWatch
from pinnsolve.adapt.modal_space import points_of
from pinnsolve.adapt.semilinear import Semilinear, semilinear
from pinnsolve.adapt.time_collocation import BEYOND
from pinnsolve.assembly.row_source import State
from pinnsolve.assembly.system import units
from pinnsolve.bases.legendre import held, tensor_points
from pinnsolve.bases.piecewise.basis import PouCells
from pinnsolve.bases.piecewise.initial_mesh import detail_mesh
from pinnsolve.bases.piecewise.mesh import joined, uniform_cells
from pinnsolve.bases.piecewise.space import Space
from pinnsolve.compiler.terms import CompiledProblem
from pinnsolve.estimate.defect_correction import Approximation, Estimate
from pinnsolve.runtime import bytes_available
from pinnsolve.solvers.follow import Outcome, attempt

AXES = (2, 3)  # of space; in one, slabs and cells that follow fronts are as fast
MOST_MARCHES = 6
FIRST_DEGREE = 16
PER_CELL = 10  # degrees that see what a cell of the first ones is made for
STALLED = "what the solution asks of functions of the whole box, or steps in time, is too much"
STAGES = 8  # evaluations of the rest in a pair
WIDER, ROUND = 1.1, 1.8  # times the degrees at once, and at most: a ball round a box is less than that
TRIMMED = 0.1  # of the error, that dropping coefficients from the answer may add
METHOD = "exponentials in time, galerkin in space"


def exponential(problem: CompiledProblem, axis: int) -> Semilinear | None:
    """The problem as it marches along `axis` by exponentials; None where it does not.

    Of its known functions, those with kinks inside are left to cells that have edges there, and narrow pulses in time
    to steps that know of them.
    """
    if len(problem.axes.space) not in AXES:
        return None
    stated = semilinear(problem, axis)
    if stated is None:
        return None
    mesh = detail_mesh(problem, axis)
    return None if mesh.in_time or mesh.has_cuts else stated


def exponentials(
    context: SolveContext, stated: Semilinear, axis: int, tolerance: float, refinements: int | None
) -> Iterator[Result | Outcome]:
    """Marches in which ever less is allowed; none of one that asks for too many functions, which cells may be for."""
    problem, interval = context.problem, context.problem.intervals[axis]
    allowed, most = tolerance, MOST_MARCHES if refinements is None else refinements + 1
    degrees, parts, whole = first_degrees(problem, axis), FIRST_PARTS, False
    for number in range(most):
        march = ExponentialMarch(degrees, parts)
        watch = MarchWatch(context, tolerance, number, interval, last=number == most - 1)
        means = Means(context.clock.check, bytes_available(context.memory_gb), context.journal)
        marcher = ExponentialMarcher(problem, axis, stated, allowed, means)
        ended = attempt(partial(marcher.run, march, watch), context.clock)
        if march.status == "stalled" and not isinstance(ended, Outcome):
            yield Outcome(None, "stalled", STALLED)
        if march.steps:
            yield march_result(context, axis, march)
            whole = whole or march.reaches(interval[1])
        if isinstance(ended, Outcome):
            beyond = "" if whole or not march.steps else BEYOND.format(time=march.time)
            yield replace(ended, message=ended.message + beyond)
        allowed *= min(max(0.3 * tolerance / watch.foreseen(march), 1e-4), 0.3)
        degrees, parts = march.degrees, march.parts


def first_degrees(problem: CompiledProblem, axis: int) -> tuple[int, ...]:
    """Per axis of space: as many as see all narrow details of what is known, at any time."""
    lower, upper = (
        torch.tensor([ends[i] for a, ends in enumerate(problem.intervals) if a != axis], dtype=torch.float64)
        for i in (0, 1)
    )
    cells = detail_mesh(problem, axis).followed(uniform_cells(lower, upper, [1] * len(lower)))
    counts = (upper - lower) / cells.size.amin(dim=0)
    return tuple(max(FIRST_DEGREE, math.ceil(PER_CELL * float(count))) for count in counts)


def march_result(context: SolveContext, axis: int, march: ExponentialMarch) -> Result:
    """The pairs of a march as one function; beyond the last one its last values are repeated."""
    problem = context.problem
    high = problem.intervals[axis][1]
    relative, complete = march.relative(), march.reaches(high)
    trimmed = Trimmed.of(march)
    degrees = (*trimmed.degrees[1:][:axis], trimmed.degrees[0], *trimmed.degrees[1:][axis:])
    lower, upper = (_without(box, axis) for box in (context.lower, context.upper))
    box = uniform_cells(lower, upper, [1] * len(lower))
    cells = [box.extruded(axis, pair.time, pair.time + pair.dt) for pair in march.steps]
    parts = [trimmed.coefficients(pair.values) for pair in march.steps]
    if not complete:
        last = torch.zeros_like(march.steps[-1].values)
        last[: len(TIMES)] = march.steps[-1].values[len(TIMES) - 1]
        parts.append(trimmed.coefficients(last))
        cells.append(box.extruded(axis, march.time, high))
    target = Space(joined(cells), degrees, degrees, axis)
    whole = torch.stack(parts).movedim(2, 2 + axis)
    basis = PouCells(target.cells, degrees, context.lower, context.upper, len(march.steps), axis)
    c = target.gather(whole).transpose(0, 1).reshape(len(problem.unknowns), -1)
    relative = torch.sqrt(relative**2 + trimmed.lost**2) if complete else torch.ones_like(relative)
    count = math.prod(points_of(p) for p in march.degrees) * STAGES * len(march.steps)
    return Result(
        Approximation(basis, State(c, torch.zeros(0, dtype=c.dtype))),
        Estimate(dict(zip(problem.unknowns, relative.tolist(), strict=True)), {}, 0.0),
        METHOD,
        dict.fromkeys((term.name for term in problem.terms), count),
        dict.fromkeys((term.name for term in problem.terms), 1.0),
    )


def _without(values: Tensor, axis: int) -> Tensor:
    return torch.cat([values[:axis], values[axis + 1 :]])


@dataclass(frozen=True)
class Trimmed:
    """The `degrees`, of time and of every axis of space, that an answer needs beside its error; `lost`: (U,) the
    relative error that the others leave."""

    degrees: tuple[int, ...]
    lost: Tensor

    @classmethod
    def of(cls, march: ExponentialMarch) -> Trimmed:
        sizes = [max(shape) for shape in zip(*(pair.values.shape[2:] for pair in march.steps), strict=True)]
        unknowns = march.steps[0].values.shape[1]
        squares = torch.zeros(unknowns, 2 * len(TIMES), *sizes, dtype=torch.float64)
        size = torch.zeros(unknowns, dtype=torch.float64)
        for pair in march.steps:
            c = torch.tensordot(modal(), pair.values, 1)
            squares[(slice(None), slice(None), *(slice(0, n) for n in c.shape[2:]))] += pair.dt * c.transpose(0, 1) ** 2
            size += pair.dt * pair.size**2
        may = (TRIMMED * march.relative()) ** 2 * units(size, size)  # (U,)
        d = squares.dim() - 1
        degrees = []
        for axis in range(d):
            along = squares.movedim(axis + 1, 1).flatten(2).sum(dim=2)
            beyond = along.flip(1).cumsum(dim=1).flip(1)  # of this degree and more
            spare = (beyond <= may[:, None] / d).all(dim=0)
            degrees.append(max(int((~spare).sum()) - 1, 1))
        most = [max(p, n - 1) for p, n in zip(degrees, squares.shape[1:], strict=True)]
        while True:
            lost = _dropped(squares, degrees)
            if bool((lost <= may).all()) or all(p > ROUND * q for p, q in zip(degrees[1:], most[1:], strict=True)):
                break
            degrees = [degrees[0], *(math.ceil(WIDER * p) for p in degrees[1:])]  # a ball holds less than its box
        return cls(tuple(degrees), torch.sqrt(lost / units(size, size)))

    def coefficients(self, values: Tensor) -> Tensor:
        """(U, q + 1, p_1 + 1, ..., p_d + 1): those of a pair, of which `values` are given, with zeros for what it does
        not hold."""
        c = torch.tensordot(modal(), values, 1).transpose(0, 1)
        result = c.new_zeros(len(c), *(p + 1 for p in self.degrees))
        common = tuple(slice(0, min(n, p + 1)) for n, p in zip(c.shape[1:], self.degrees, strict=True))
        result[(slice(None), *common)] = c[(slice(None), *common)]
        return result


def _dropped(squares: Tensor, degrees: Sequence[int]) -> Tensor:
    """(U,) those of (U, n_t, n_1, ..., n_d) that a space of the degrees in time and space does not hold."""
    grid = tensor_points([torch.arange(n) for n in squares.shape[2:]])
    outside = ~held(grid, degrees[1:]).reshape(squares.shape[2:])
    in_time = squares[:, degrees[0] + 1 :].flatten(1).sum(dim=1)
    return in_time + (squares[:, : degrees[0] + 1].sum(dim=1) * outside).flatten(1).sum(dim=1)
