"""Problems that march by collocation in time: marches until the estimated error meets the tolerance, and the result.

What comes back is a function of time, as from slabs: on every step the polynomial through its start and its stages.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import replace
from functools import partial

import torch
from torch import Tensor

from pinnsolve.adapt.aim import Aim
from pinnsolve.adapt.collocation_march import March, Marcher
from pinnsolve.adapt.context import Result, SolveContext
from pinnsolve.adapt.march_watch import MarchWatch, Means
from pinnsolve.adapt.radau import radau
from pinnsolve.adapt.returned_steps import returned
from pinnsolve.adapt.space_problem import SpaceProblem, in_space
from pinnsolve.adapt.step_length import FIRST_PARTS
from pinnsolve.adapt.time_slab import LOCAL
from pinnsolve.assembly.row_source import State
from pinnsolve.assembly.system import CellSystem, points_of, weights_of
from pinnsolve.assembly.term_rows import table_orders, term_rows
from pinnsolve.bases.piecewise.basis import PouCells
from pinnsolve.bases.piecewise.initial_mesh import space_cells
from pinnsolve.bases.piecewise.mesh import joined
from pinnsolve.bases.piecewise.space import Space
from pinnsolve.estimate.defect_correction import Approximation, Estimate
from pinnsolve.runtime import bytes_available
from pinnsolve.solvers.follow import Outcome, attempt

MOST_MARCHES = 6
BEYOND = "; beyond {time:.4g} the last values are repeated"
STALLED = "the march in time stalled at {time:.4g}, where steps that meet the tolerance become too short"
LEAST_DEGREE = 5  # in space, beyond the order of the equations
MANY_CELLS = 100  # that a shape calls for at first, which are smaller than the solution asks: a lower degree may do


def collocations(
    context: SolveContext, axis: int, tolerance: float, weights: Mapping[str, float], refinements: int | None
) -> Iterator[Result | Outcome]:
    """Marches of ever smaller errors.

    What a march that has stalled reached is a result where slabs, which linearize again and again, would reach less.
    """
    stated = in_space(context.problem, axis)
    interval = context.problem.intervals[axis]
    space, dt = _first_space(context, stated, axis, tolerance), (interval[1] - interval[0]) / FIRST_PARTS
    aim = Aim.first(tolerance)
    most = MOST_MARCHES if refinements is None else refinements + 1
    whole = False  # whether one has come to the end, so that what others hold beyond theirs is nobody's answer
    for number in range(most):
        march = March(space, dt)
        watch = MarchWatch(context, tolerance, number, interval, last=number == most - 1)
        means = Means(context.clock.check, bytes_available(context.memory_gb), context.journal)
        marcher = Marcher(stated, interval, weights, aim, means)
        ended = attempt(partial(marcher.run, march, watch), context.clock)
        stalled = march.status == "stalled"
        if march.steps and (stated.changing or march.status not in ("stalled", "missed")):
            yield march_result(context, stated, axis, weights, march)
            whole = whole or march.reaches(interval[1])
        beyond = "" if whole or not march.steps else BEYOND.format(time=march.time)
        if stalled:
            yield Outcome(None, "stalled", STALLED.format(time=march.time) + beyond if march.steps else "")
        if isinstance(ended, Outcome):
            yield replace(ended, message=ended.message + beyond)
        aim = marcher.aim.smaller(min(max(0.3 * tolerance / watch.foreseen(march), 1e-4), 0.3))
        space, dt = march.space, march.dt


def _first_space(context: SolveContext, stated: SpaceProblem, axis: int, tolerance: float) -> Space:
    problem = stated.problem
    d = len(problem.coordinates)
    order = max((k for ks in stated.continuous for k in ks), default=0)
    digits = -math.log10(LOCAL * tolerance)
    cells = space_cells(context.problem, axis, 1)
    degree = max(round({2: 3.5 + digits}.get(d, 3.0 + 0.8 * digits)), LEAST_DEGREE + order)
    degree = min(degree, {2: 14}.get(d, 10)) - (cells.count >= MANY_CELLS)
    return Space(cells, (degree,) * d, table_orders(problem))


def march_result(
    context: SolveContext, stated: SpaceProblem, axis: int, weights: Mapping[str, float], march: March
) -> Result:
    """The steps of a march as one function of time; beyond the last one its last values are repeated."""
    problem = context.problem
    low, high = problem.intervals[axis]
    given = returned(march.steps)
    in_space = [max(ps) for ps in zip(*(space.degrees for space, _ in given), strict=True)]
    stages = len(given[0][1]) - 1
    degrees = (*in_space[:axis], stages, *in_space[axis:])
    parts = [_dense(space, values, tuple(in_space), axis, degrees) for space, values in given]
    cells = [step.space.cells.extruded(axis, step.time, step.time + step.dt) for step in march.steps]
    complete = march.reaches(high)
    if not complete:
        space, values = given[-1]
        constant = values[-1:].expand(stages + 1, -1, -1, -1)
        parts.append(_dense(space, constant, tuple(in_space), axis, degrees))
        cells.append(space.cells.extruded(axis, march.time, high))
    basis = PouCells(joined(cells), degrees, context.lower, context.upper, len(march.steps), axis)
    c = torch.cat(parts).transpose(0, 1).reshape(len(problem.unknowns), -1)
    relative = march.relative() if complete else torch.ones_like(march.relative())  # what lies beyond is not known
    estimate = Estimate(dict(zip(problem.unknowns, relative.tolist(), strict=True)), {}, 0.0)
    state = State(None, torch.tensor([low, 1.0], dtype=torch.float64))
    sources = term_rows(stated.problem, march.space, weights) + term_rows(stated.start, march.space, weights)
    system = CellSystem(march.space, [source.scaled_at(state) for source in sources], len(stated.problem.unknowns))
    system.rows(state, matrix=False)  # for their units
    points = {name: count * len(march.steps) * stages for name, count in points_of(system).items()}
    return Result(
        Approximation(basis, State(c, torch.zeros(0, dtype=c.dtype))),
        estimate,
        "collocation in time, least_squares",
        points,
        weights_of(system),
        kinks=march.kinks,
    )


def _dense(space: Space, values: Tensor, degrees: tuple[int, ...], axis: int, whole: tuple[int, ...]) -> Tensor:
    """(C, U, n): the polynomial in time and space of a step, in the order of `exponents`, from its values
    (s + 1, C, U, n)."""
    wide = Space(space.cells, degrees, space.orders)
    values = torch.stack([space.widened(one, wide) for one in values])
    modal = torch.einsum("ij,jcun->icun", radau(len(values) - 1).modal(), values)
    spread = torch.stack([wide.spread(one) for one in modal], dim=2 + axis)
    target = Space(space.cells, whole, whole, axis)
    return target.gather(spread)
