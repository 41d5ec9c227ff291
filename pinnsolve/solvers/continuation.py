"""Where Newton's method fails by itself: the same equations by way of others that are easier.

Smooth solutions come first: with the seminorm of second derivatives as further rows, whose weight falls to nothing,
what is not yet resolved cannot lead astray. If that fails the residual of the start is taken away little by little.
"""

from __future__ import annotations

import torch
from torch import Tensor

from pinnsolve.assembly.regularization import SmoothnessGroup
from pinnsolve.assembly.system import Solved, System, solve

SMOOTHNESS = (1e-3, 1e-4, 1e-5)  # of second derivatives along the unit box, relative to equations
FIRST_STEP, SMALLEST_STEP, LOOSE = 0.2, 1e-3, 1e-2  # of the residual, and how well what lies on the way is solved
MOST_CONTINUED = 2000  # coefficients per unknown up to which many small steps are affordable


def by_continuation(system: System, start: Tensor, accuracy: float) -> Solved | None:
    """A solution from a start where Newton's method does not converge; None where there is no way to one either."""
    found = smoothed(system, start, accuracy)
    if found is None and system.space.cells.count * system.space.functions <= MOST_CONTINUED:
        found = continued(system, start, accuracy)
    return found


def smoothed(system: System, c: Tensor, accuracy: float) -> Solved | None:
    """Newton's method by way of solutions that are kept smooth (Tikhonov regularization that is taken away)."""
    groups = [SmoothnessGroup("smoothness", system.space, u, system.unknowns, 2) for u in range(system.unknowns)]
    for weight in SMOOTHNESS:
        for group in groups:
            group.weight = weight**2
        way = System(system.space, [*system.groups, *groups], system.unknowns, system.parameters, system.check)
        found = solve(way, c, False, LOOSE, damped=True)
        if not bool(torch.isfinite(found.c).all()):
            return None
        c = found.c
    found = solve(system, c, False, accuracy, damped=True)
    return found if found.converged else None


def continued(system: System, c: Tensor, accuracy: float) -> Solved | None:
    """Newton's method by continuation from c, for where it fails by itself: r(c') = (1 - s) r(c), s from 0 to 1.

    (Allgower & Georg, Introduction to Numerical Continuation Methods, section 1.1: the global homotopy.) None where the
    steps in s become tiny.
    """
    residuals = [group.r for group in system.rows(c, with_matrix=False)]
    s, step, found = 0.0, FIRST_STEP, None
    while s < 1.0 and step > SMALLEST_STEP:
        aim = min(1.0, s + step)
        system.offset = [(1.0 - aim) * r for r in residuals] if aim < 1.0 else None
        trial = solve(system, c, False, accuracy if aim == 1.0 else LOOSE, damped=True)
        if trial.converged:
            c, s, step, found = trial.c, aim, 2.0 * step, trial
        else:
            step *= 0.25
    system.offset = None
    return found if s >= 1.0 else None
