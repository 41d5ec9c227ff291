"""Where a network begins that a file asks for, of a nonlinear problem that evolves: a rough solution on cells.

From nothing, Newton's method on all of time at once may end at what the equations hold for and the start does not: the
logistic curve from 0.01 at zero, populations that grow without end. Marching cells lets the start say how it goes on.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import torch
from torch import Tensor

from pinnsolve.adapt.context import SolveContext
from pinnsolve.adapt.forward import on_cells
from pinnsolve.adapt.time_marching import can_march
from pinnsolve.compiler.applicability import why_not_cells
from pinnsolve.processes.communicator import ALONE
from pinnsolve.solvers.budget import Clock
from pinnsolve.solvers.journal import NOTHING

ROUGH, BELIEVED = 1e-2, 0.1  # tolerance of the rough solution, and the estimate up to which it is one
SHARE = 0.2  # of the time that is left
CHEAP = 2  # coordinates in which it costs next to nothing


def rough_start(context: SolveContext) -> Callable[[Tensor], Tensor] | None:
    """(N, d) -> (U, N) a rough solution; None where none is needed, or cheap, or found."""
    problem = context.problem
    if problem.linear or context.guess is not None or context.is_inverse or context.dimension > CHEAP:
        return None
    if context.among is not ALONE or context.lower.dtype != torch.float64 or context.lower.device.type != "cpu":
        return None
    if can_march(problem) is None or why_not_cells(problem) is not None or context.clock.expired():
        return None
    limit = None if context.clock.limit is None else SHARE * (context.clock.limit - context.clock.seconds())
    aside = replace(context, clock=Clock(limit), history=[], progress=None, journal=NOTHING)
    found = on_cells(aside, ROUGH, None).raised("interrupted").best
    if found is None or found.estimate is None or not found.worst <= BELIEVED:
        return None
    return found.approximation.values
