"""What is known of a march that did not take any step: the start, whose values are repeated at all times."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import torch

from pinnsolve.adapt.aim import Aim
from pinnsolve.adapt.collocation_march import March, Marcher
from pinnsolve.adapt.collocation_step import Step
from pinnsolve.adapt.context import Result, SolveContext
from pinnsolve.adapt.march_watch import Means
from pinnsolve.adapt.space_problem import in_space
from pinnsolve.adapt.time_collocation import march_result
from pinnsolve.assembly.term_rows import table_orders
from pinnsolve.bases.piecewise.initial_mesh import space_cells
from pinnsolve.bases.piecewise.space import Space
from pinnsolve.estimate.defect_correction import Estimate
from pinnsolve.estimate.enriched_space import enriched_space
from pinnsolve.runtime import go_on

DEGREE, ACCURACY = 6, 0.3  # of the start on the first cells
REPEATED = "no step of time was finished: the values at the start are repeated"


def start_alone(context: SolveContext, axis: int, weights: Mapping[str, float]) -> Result | None:
    """The start at all times, with an error of all of it; None where it is not one of functions of space."""
    problem = context.problem
    if not problem.axes.space or any(f.operator is not None for term in problem.terms for f in term.features):
        return None
    stated, (low, high) = in_space(problem, axis), problem.intervals[axis]
    space = Space(space_cells(problem, axis, 1), (DEGREE,) * len(problem.axes.space), table_orders(stated.problem))
    march = March(space, high - low)
    marcher = Marcher(stated, (low, high), weights, Aim.first(ACCURACY), Means(go_on))
    start = marcher.begin(march)
    c, fine, size = start.c[0], enriched_space(march.space), march.space.rms(start.c[0])
    values, corrected = (torch.stack([one, one]) for one in (c, march.space.widened(c, fine) + start.e[0]))
    step = Step(march.space, low, high - low, values, corrected, size, size, 0.0, start)
    result = march_result(context, stated, axis, weights, replace(march, steps=[step]))
    lost = Estimate(dict.fromkeys(problem.unknowns, 1.0), {}, 1.0)
    return replace(result, estimate=lost, method="the start alone", note=REPEATED)
