"""Where Newton's method fails by itself: the same equations by way of others that are easier.

Smooth solutions come first: with the seminorm of second derivatives as further rows, whose weight falls to nothing,
what is not yet resolved cannot lead astray. If that fails the residual of the start is taken away little by little.
"""

from __future__ import annotations

from dataclasses import replace

import torch

from pinnsolve.assembly.regularization import RegularizationRows
from pinnsolve.assembly.row_source import State
from pinnsolve.assembly.system import CellSystem
from pinnsolve.solvers.gauss_newton import Iterate, Iteration, gauss_newton

SMOOTHNESS = (1e-3, 1e-4, 1e-5)  # of second derivatives along the unit box, relative to equations
FIRST_STEP, SMALLEST_STEP, LOOSE = 0.2, 1e-3, 1e-2  # of the residual, and how well what lies on the way is solved
MOST_CONTINUED = 2000  # coefficients per unknown up to which many small steps are affordable


def by_continuation(system: CellSystem, start: State, how: Iteration) -> Iterate | None:
    """A solution from a start where Newton's method does not converge; None where there is no way to one either."""
    found = smoothed(system, start, how)
    if found is None and system.space.cells.count * system.space.functions <= MOST_CONTINUED:
        found = continued(system, start, how)
    return found


def smoothed(system: CellSystem, start: State, how: Iteration) -> Iterate | None:
    """Newton's method by way of solutions that are kept smooth (Tikhonov regularization that is taken away)."""
    state, space, U = start, system.space, system.unknowns
    for weight in SMOOTHNESS:
        smooth = [RegularizationRows("smoothness", space, u, U, 2, weight**2) for u in range(U)]
        way = system.with_sources([*system.sources, *smooth])
        state = gauss_newton(way, state, replace(how, accuracy=LOOSE)).state
        if not bool(torch.isfinite(state.coefficients).all()):
            return None
    found = gauss_newton(system, state, how)
    return found if found.converged else None


def continued(system: CellSystem, start: State, how: Iteration) -> Iterate | None:
    """Newton's method by continuation from the start, for where it fails by itself: r(c') = (1 - s) r(c), s from 0 to
    1.

    (Allgower & Georg, Introduction to Numerical Continuation Methods, section 1.1: the global homotopy.) None where the
    steps in s become tiny.
    """
    residuals = [block.r for block in system.rows(start, matrix=False)]
    state, s, step, found = start, 0.0, FIRST_STEP, None
    while s < 1.0 and step > SMALLEST_STEP:
        aim = min(1.0, s + step)
        last = aim == 1.0
        way = system if last else system.less([(1.0 - aim) * r for r in residuals])
        trial = gauss_newton(way, state, how if last else replace(how, accuracy=LOOSE))
        if trial.converged:
            state, s, step, found = trial.state, aim, 2.0 * step, trial
        else:
            step *= 0.25
    return found if s >= 1.0 else None
