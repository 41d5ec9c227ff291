"""Semilinear problems in a box that march by exponentials: marches until the estimated error meets the tolerance.

What comes back is a function of space and time, as from all marches: the same cells for every pair of steps.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace
from functools import partial

import torch
from torch import Tensor

from pinnsolve.adapt.context import Result, SolveContext
from pinnsolve.adapt.exponential_march import ExponentialMarcher, Stated
from pinnsolve.adapt.exponential_pairs import FIRST_PARTS, ExponentialMarch
from pinnsolve.adapt.march_watch import MarchWatch, Means
from pinnsolve.adapt.pairs_in_cells import pairs_in_cells
from pinnsolve.adapt.semilinear import semilinear
from pinnsolve.adapt.space_problem import in_space
from pinnsolve.adapt.time_collocation import BEYOND
from pinnsolve.adapt.wave_form import wave_form
from pinnsolve.assembly.row_source import State
from pinnsolve.assembly.system import units
from pinnsolve.assembly.term_rows import table_orders
from pinnsolve.bases.piecewise.basis import PouCells
from pinnsolve.bases.piecewise.initial_mesh import detail_mesh
from pinnsolve.bases.piecewise.mesh import joined, uniform_cells
from pinnsolve.bases.piecewise.space import Space
from pinnsolve.compiler.terms import CompiledProblem
from pinnsolve.estimate.defect_correction import Approximation, Estimate
from pinnsolve.language.symbols import features_of
from pinnsolve.runtime import bytes_available
from pinnsolve.solvers.follow import Outcome, attempt

AXES = (2, 3)  # of space; in one, slabs and cells that follow fronts are as fast
IN_ONE = 1e-5  # tolerance, from which on waves of one coordinate are faster than slabs, which are of higher order
MOST_MARCHES = 6
LOOSE = 1e-4  # tolerance, from which on fourth order is enough for what could be solved at any
FIRST_DEGREE = 16
PER_CELL = 10  # degrees that see what a cell of the first ones is made for
EARLY, GROWN = 0.3, 2.0  # share of the time that is early, and how much larger errors of then may become
AIM = 0.3  # of the tolerance, the error that the next march is to have
STALLED = "the march in time stalled at {time:.4g}: it asks for too many functions of all the box, or too short steps"
STAGES = 8  # evaluations of the rest in a pair
TRIMMED = 0.1  # of the error, that dropping coefficients from the answer may add
METHOD = "exponentials in time, galerkin in space"


def exponential(problem: CompiledProblem, axis: int, tolerance: float) -> Stated | None:
    """The problem as it marches along `axis` by exponentials; None where it does not.

    Those whose known functions have jumps or kinks are left to cells and slabs that have edges there. Where few errors
    are allowed, what is linear and steady beside diffusion is left to steps of higher order, which have it factorized
    once.
    """
    several = len(problem.axes.space) in AXES
    stated: Stated | None = wave_form(problem, axis) if several or tolerance >= IN_ONE else None
    if stated is None and several:
        stated = semilinear(problem, axis)
    if stated is None:
        return None
    moves = any(features_of(one) for one in stated.rest)
    if moves and problem.linear and tolerance < LOOSE and not in_space(problem, axis).changing:
        return None
    mesh = detail_mesh(problem, axis)
    return None if mesh.cut_in_time or mesh.has_cuts else stated


def exponentials(
    context: SolveContext, stated: Stated, axis: int, tolerance: float, refinements: int | None
) -> Iterator[Result | Outcome]:
    """Marches in which ever less is allowed; none of one that asks for too many functions, which cells may be for."""
    problem, interval = context.problem, context.problem.intervals[axis]
    allowed, most = tolerance, MOST_MARCHES if refinements is None else refinements + 1
    degrees, parts, whole = first_degrees(problem, axis), FIRST_PARTS, False
    for number in range(most):
        march = ExponentialMarch(degrees, parts)
        watch = _Watch(context, tolerance, number, interval, last=number == most - 1)
        memory, narrowest = bytes_available(context.memory_gb), detail_mesh(problem, axis).narrowest
        means = Means(context.clock.check, memory, context.journal, narrowest)
        marcher = ExponentialMarcher(problem, axis, stated, allowed, means)
        ended = attempt(partial(marcher.run, march, watch), context.clock)
        if march.steps and march.status != "missed":
            yield march_result(context, stated, axis, march)
            whole = whole or march.reaches(interval[1])
        beyond = "" if whole or not march.steps else BEYOND.format(time=march.time)
        if isinstance(ended, Outcome):
            yield replace(ended, message=ended.message + beyond)
        if march.status == "stalled":
            yield Outcome(None, "stalled", STALLED.format(time=march.time) + beyond if march.steps else "")
        allowed *= min(max(AIM * tolerance / watch.foreseen(march), 1e-4), AIM)
        degrees, parts = march.degrees, march.parts


class _Watch(MarchWatch):
    """Of a march that is begun again at once where the errors of early times are as large as all may be: most grow."""

    _early = 0.0  # relative error over the time so far, as long as it is early

    def __call__(self, march: ExponentialMarch) -> str | None:
        status = super().__call__(march)
        early = march.time < self.low + EARLY * (self.high - self.low) and not self.last
        error = torch.sqrt(self._errors / (march.time - self.low))
        self._early = float((error / units(self._sizes, error)).max()) if early else 0.0
        return "missed" if status is None and self._early > self.tolerance else status

    def foreseen(self, march: ExponentialMarch) -> float:
        return GROWN * self._early if self._early > self.tolerance else super().foreseen(march)


def first_degrees(problem: CompiledProblem, axis: int) -> tuple[int, ...]:
    """Per axis of space: as many as see all narrow details of what is known, at any time."""
    lower, upper = (
        torch.tensor([ends[i] for a, ends in enumerate(problem.intervals) if a != axis], dtype=torch.float64)
        for i in (0, 1)
    )
    cells = detail_mesh(problem, axis).followed(uniform_cells(lower, upper, [1] * len(lower)))
    counts = (upper - lower) / cells.size.amin(dim=0)
    return tuple(max(FIRST_DEGREE, math.ceil(PER_CELL * float(count))) for count in counts)


def march_result(context: SolveContext, stated: Stated, axis: int, march: ExponentialMarch) -> Result:
    """The pairs of a march as one function; beyond the last one its last values are repeated."""
    problem = context.problem
    relative, complete = march.relative(), march.reaches(problem.intervals[axis][1])
    orders = table_orders(problem)
    answer = pairs_in_cells(march, stated, TRIMMED * relative, complete, orders[:axis] + orders[axis + 1 :])
    in_time, *in_space = answer.degrees
    degrees = (*in_space[:axis], in_time, *in_space[axis:])
    box = uniform_cells(_without(context.lower, axis), _without(context.upper, axis), answer.cells)
    times = [(pair.time, pair.time + pair.dt) for pair in march.steps]
    times += [] if complete else [(march.time, problem.intervals[axis][1])]
    space = Space(joined([box.extruded(axis, *ends) for ends in times]), degrees, degrees, axis)
    whole = answer.c.movedim(2, 2 + axis).contiguous()
    c = space.gather(whole)
    if complete:
        lost = space.dropped(whole)
        dt = lost.new_tensor([pair.dt for pair in march.steps]).repeat_interleave(box.count) / box.count
        lost = answer.lost + torch.sqrt(dt @ lost) / answer.unit
        relative = torch.sqrt(relative**2 + lost**2)
    else:
        relative = torch.ones_like(relative)  # what lies beyond is not known
    basis = PouCells(space.cells, degrees, context.lower, context.upper, len(march.steps), axis)
    c = c.transpose(0, 1).reshape(len(problem.unknowns), -1)
    count = STAGES * sum(pair.values[0, 0].numel() for pair in march.steps)
    return Result(
        Approximation(basis, State(c, torch.zeros(0, dtype=c.dtype))),
        Estimate(dict(zip(problem.unknowns, relative.tolist(), strict=True)), {}, 0.0),
        METHOD,
        dict.fromkeys((term.name for term in problem.terms), count),
        dict.fromkeys((term.name for term in problem.terms), 1.0),
    )


def _without(values: Tensor, axis: int) -> Tensor:
    return torch.cat([values[:axis], values[axis + 1 :]])
