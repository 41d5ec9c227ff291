"""Inverse problems that march: Gauss-Newton over the parameters alone, the solution a function of them.

Where equations and conditions determine the solution once the parameters are given, marching in time gives it for a
fraction of the work that a least squares over all of space and time takes. Steps are kept in a box that grows and
shrinks with how well the data's residual was foretold (trust regions: Conn, Gould & Toint, Trust-Region Methods, 2000,
chapter 6).
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from pinnsolve.assembly.linear_system import Bounds
from pinnsolve.inverse.fit import NEGLIGIBLE, Answer, fit_of, residuals_of
from pinnsolve.inverse.sensitivities import Marched, Marches
from pinnsolve.inverse.statement import InverseProblem

LOOSE = 3e-3  # error of the first marches
FIRST_RADIUS, LARGEST_RADIUS, SMALLEST_RADIUS = 0.5, 10.0, 1e-6  # of steps, relative to the parameters
FORETOLD = (0.25, 0.75)  # share of the foretold decrease from which on a step was not too long, or too short
MOST_STEPS = 60
ROUNDING = 1e-12  # of parameters: smaller steps are none
UNDETERMINED = 0.5  # degrees of freedom of the data that a solution may take whose parameters are given
LARGER = 8.0  # times the coefficients of the march before, a march is given up
BELOW = 0.1  # of the step that is left is what errors of discretization should be
SHARPENED = (1e-4, 0.3)  # factors by which the tolerance of a march falls


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
        answer = _answer(statement, here, _Step(S, sensitivity, step, corrected), tolerance, number)
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
        there = marches.at(p + step, tolerance, LARGER * here.c.numel())
        if there is not None and float(there.r.norm()) <= math.sqrt(loss) * (1 + 1e-9) + here.off + there.off:
            share = (loss - float(there.r @ there.r)) / max(foretold, 1e-300)
            if share < FORETOLD[0]:
                radius = max(0.5 * length, SMALLEST_RADIUS)
            elif share > FORETOLD[1]:
                radius = min(max(radius, 2.0 * length), LARGEST_RADIUS)
            return there, radius
        if marches.clock.expired():
            break
        radius = 0.25 * length
    return None, radius


@dataclass(frozen=True)
class _Step:
    """What a march leaves to go: `S` (P, P) and `sensitivity` (P, C, U, n) of its linearization, `whole` (P,) the step,
    which counts as error, and `corrected` the same from the corrected solution."""

    S: Tensor
    sensitivity: Tensor
    whole: Tensor
    corrected: Tensor


def _answer(statement: InverseProblem, at: Marched, left: _Step, tolerance: float, number: int) -> Answer:
    """The answer at a march."""
    sensitivity, step, corrected = left.sensitivity, left.whole, left.corrected
    slabs, groups, p = at.slabs, at.groups, at.parameters
    count = statement.measurements.count
    fit = fit_of(statement.measurements, statement.bounds, float(at.r @ at.r), left.S)
    space = at.coarse
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
        c=at.c,
        error=error + space.rms(torch.einsum("p,pcun->cun", corrected, sensitivity)),
        size=size,
        parameters=p,
        parameter_error=(corrected - step).abs() + step.abs(),
        fit=fit,
        data=groups,
        smoothness=(),
        data_moved=float(at.moved.norm()) / math.sqrt(count),
        residuals=lambda: residuals_of(statement.problem, groups, at.state),
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
