"""From a problem and its settings to an approximation with its error estimated: what `method` means.

`fixed`: the basis of the file and one solver. `refined` (what `auto` does without a basis in the file): least squares
on default bases of growing width, at the scale whose residual on unseen points is smallest, until the estimated error
meets the tolerance. Weights and check points are the same for all bases of a solve, so that their residuals compare.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch

from pinnsolve import defaults
from pinnsolve.adapt.context import SEARCH_POINTS, Result, Work, point_counts
from pinnsolve.assembly.basis_system import BasisSystem
from pinnsolve.assembly.collocation import zero_state
from pinnsolve.assembly.row_source import State
from pinnsolve.assembly.rows import Assembly
from pinnsolve.bases.base import Basis
from pinnsolve.estimate.defect_correction import (
    Approximation,
    Estimate,
    doubted,
    held_out_errors,
    relative_norms,
    residual_norm,
)
from pinnsolve.least_squares import solve_dense
from pinnsolve.solvers import LeastSquares, Solver
from pinnsolve.solvers.gauss_newton import gauss_newton
from pinnsolve.solvers.least_squares import newton

BELIEVED_AT_ONCE = 0.1  # an estimate below this share of the tolerance is believed without a second level
CHEAP = 1000  # coefficients up to which a level is tried without asking whether it will do
SLOWEST = 0.95  # rate of the residual from level to level that still counts as convergence, for an error's upper bound
LINE_POINTS = 20_000  # of a line on which functions have kinks, which may hide a jump between two points of a solve
ENOUGH_HELD_OUT = 20  # rows of data that are hardly all met by chance


# -- one basis, one solver ------------------------------------------------------------------------------


def fixed(
    work: Work, basis: Basis, solver: Solver, start: Approximation | None = None, before: Solver | None = None
) -> Result:
    """Runs one solver on one basis, from where the one `before` ended if there is one.

    The error is estimated on default bases of moderate width.
    """
    work.settle_weights(basis)
    part = "kept" if work.regression else "all"
    assembly = work.assembly(basis.width, moving=not isinstance(solver, LeastSquares), part=part)
    state = zero_state(work.problem, basis) if start is None else start.state
    outcome = None if before is None else work.drive(before, assembly, basis, state, before.name)
    if outcome is not None and outcome.status == "finished":
        basis, state = outcome.best.basis, outcome.best.state
    if outcome is None or outcome.status == "finished":
        outcome = work.drive(solver, assembly, basis, state, solver.name)
    approximation = Approximation(outcome.best.basis, outcome.best.state)
    work.keep(approximation, assembly, outcome, solver.name)
    estimate = None
    if outcome.status in ("finished", "time_limit") and math.isfinite(outcome.best.loss):
        estimate = estimate_afresh(work, approximation, assembly)
    return Result(
        approximation, assembly, estimate, outcome.status, outcome.reason, solver.name, point_counts(assembly)
    )


def estimate_afresh(work: Work, approximation: Approximation, assembly: Assembly) -> Estimate:
    """The estimate for a solution of any basis: the scale is sought at a small width, then used at a larger one."""
    unknowns = len(work.problem.unknowns)
    usual = [w for w in defaults.widths(work.dimension) if w * unknowns <= defaults.MOST_COLUMNS / 4]
    # no narrower than the solution's own basis: a correction that sees less than the solution did sees no error
    width = max(usual[min(2, len(usual) - 1)], min(approximation.basis.width, defaults.MOST_COLUMNS // unknowns))
    kinked = work.dimension == 1 and approximation.basis.smoothness <= 1
    check = work.check_assembly(LINE_POINTS if kinked else SEARCH_POINTS, 1)
    estimate = work.estimate(approximation, width, defaults.scales(work.dimension)[1:-1], check)
    if work.regression:
        scales = defaults.scales(work.dimension)
        estimate = estimate.at_least(_regression_errors(work, approximation, check, width, scales))
    else:
        estimate = doubted(estimate, approximation, check)
    return work.with_noise(estimate, approximation, assembly)


# -- growing bases --------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Level:
    approximation: Approximation
    assembly: Assembly
    residual: float  # on unseen points
    width: int
    scale: float
    status: str
    message: str


def refined(work: Work, tolerance: float, asked: dict, refinements: int | None = None) -> Result:
    """Least squares on bases of growing width until the estimated error meets `tolerance`.

    `asked`: settings of the basis that the file fixes (its kind, activation, scale ...); `refinements`: how often the
    basis may grow.
    """
    columns = len(work.problem.unknowns)
    sizes = [w for w in defaults.widths(work.dimension) if w * columns <= defaults.MOST_COLUMNS] or [
        defaults.MOST_COLUMNS // columns
    ]
    sizes = sizes[: None if refinements is None else refinements + 1]
    scales = defaults.scales(work.dimension)
    if isinstance(asked.get("scale"), float):
        scales = (asked["scale"],)
    elif asked.get("activation") == "relu":
        scales = (1.0,)  # the columns are normalized, so the scale of a positively homogeneous function means nothing
    work.settle_weights(work.basis(_settings(work, asked, sizes[0], scales[len(scales) // 2])))
    check = work.check_assembly(SEARCH_POINTS)
    best: Result | None = None
    found: _Level | None = None
    previous: Estimate | None = None
    stopped: _Level | None = None
    estimates: list[float] = []
    candidates: Sequence[float] = scales
    for width in sizes:
        level = _best_scale(work, asked, width, candidates, found, check)
        if level.status != "finished" and found is None:
            found = level
        if level.status != "finished":
            stopped = level
            break
        if found is None or level.residual < found.residual:
            borne_out = tolerance if len(sizes) > 1 else math.inf
            estimate, previous = _level_estimate(work, level, found, previous, check, borne_out)
            found = level
            estimate = work.with_noise(estimate, found.approximation, found.assembly)
            if best is None or estimate.worst <= best.estimate.worst:
                best = work.best = _result(found, estimate)
        estimates.append(best.estimate.worst)
        if estimates[-1] <= tolerance or work.clock.expired() or _out_of_reach(estimates, tolerance, sizes, columns):
            break
        candidates = (found.scale, 2 * found.scale) if len(scales) > 1 else scales
    if best is None:
        return _result(found, None)
    if stopped is not None:
        return replace(best, status=stopped.status, message=stopped.message)
    if work.clock.expired() and best.estimate.worst > tolerance:
        return replace(best, status="time_limit", message=work.clock.message())
    return best


def _level_estimate(
    work: Work, found: _Level, before: _Level | None, previous: Estimate | None, check: Assembly, tolerance: float
) -> tuple[Estimate, Estimate]:
    """The defect's estimate, enlarged where the levels so far do not bear it out.

    A level's defect should foretell how far the next level moves: if that moved farther, by that factor. And a residual
    that falls only by q from level to level has the sum of a geometric series to go. On the first level nothing bears
    an estimate out, so only a small one is believed. Returns the estimate, and the defect's own.
    """
    unknowns = work.problem.unknowns
    estimate = work.estimate(found.approximation, found.width, (found.scale, 2 * found.scale))
    if work.regression:
        scales = (found.scale, 2 * found.scale)
        return estimate.at_least(_regression_errors(work, found.approximation, check, found.width, scales)), estimate
    if before is None or previous is None:
        believed = estimate.worst < BELIEVED_AT_ONCE * tolerance
        return estimate if believed else estimate.at_least(dict.fromkeys(unknowns, 1.0)), estimate
    u = found.approximation.values(work.check_points())
    moved = relative_norms(unknowns, u - before.approximation.values(work.check_points()), u)
    foretold = max(1.0, max(moved[name] / max(previous.relative[name], 1e-15) for name in unknowns))
    rate = min(found.residual / before.residual, SLOWEST) if not work.measured else 0.0
    return estimate.enlarged(foretold / (1.0 - rate)), estimate


def _regression_errors(
    work: Work, approximation: Approximation, check: Assembly, width: int, scales: Sequence[float]
) -> dict[str, float]:
    """For regression: errors where points were held out; where these are few, fits on other functions bear them out."""
    others = []
    kept = work.assembly(width, part="kept")
    for i, scale in enumerate(scales if check.row_count < ENOUGH_HELD_OUT else ()):
        basis = work.basis(work.default_settings(width, scale), work.seed + 2_000_003 + i)
        system = BasisSystem(kept, basis)
        found = gauss_newton(system, zero_state(work.problem, basis), newton(system, 1, 0.0))
        others.append(Approximation(basis, found.state))
    return held_out_errors(approximation, check, others, work.check_points())


def _out_of_reach(estimates: Sequence[float], tolerance: float, sizes: Sequence[int], unknowns: int) -> bool:
    """Whether the estimates fall too slowly for the levels that are left to make up, even at ten times the rate.

    Levels that cost next to nothing are always tried.
    """
    levels = len(sizes)
    if len(estimates) < 3 or len(estimates) == levels or sizes[len(estimates)] * unknowns <= CHEAP:
        return False
    rate = estimates[-1] / estimates[-2]
    return estimates[-1] * (0.1 * rate) ** (levels - len(estimates)) > tolerance


def _result(level: _Level, estimate: Estimate | None) -> Result:
    points = point_counts(level.assembly)
    return Result(level.approximation, level.assembly, estimate, level.status, level.message, "least_squares", points)


def _settings(work: Work, asked: dict, width: int, scale: float) -> dict:
    return {**work.default_settings(width, scale), **{k: v for k, v in asked.items() if k != "scale"}}


def _best_scale(
    work: Work, asked: dict, width: int, scales: Sequence[float], before: _Level | None, check: Assembly
) -> _Level:
    """The level of that width whose residual on unseen points is smallest.

    From the middle of `scales` outwards, on each side only as long as the residual falls: it has one valley, between
    functions too smooth for the solution and functions too wild for the points.
    """
    assembly = work.assembly(width, part="kept" if work.regression else "all")
    tried: dict[int, _Level] = {}

    def attempt(i: int) -> float:
        if 0 <= i < len(scales) and i not in tried and not _ended(tried):
            start = min(tried.values(), key=lambda level: level.residual) if tried else before
            tried[i] = _attempt(work, _settings(work, asked, width, scales[i]), scales[i], assembly, start, check)
        return tried[i].residual if i in tried else math.inf

    best = len(scales) // 2
    attempt(best)
    for direction in (1, -1):
        while attempt(best + direction) < attempt(best):
            best += direction
    found = min(tried.values(), key=lambda level: level.residual)
    last = list(tried.values())[-1]
    return found if last.status == "finished" else replace(found, status=last.status, message=last.message)


def _ended(tried: dict[int, _Level]) -> bool:
    return bool(tried) and list(tried.values())[-1].status in ("interrupted", "time_limit")


def _attempt(work: Work, settings: dict, scale: float, assembly: Assembly, start: _Level | None, check: Assembly):
    basis = work.basis(settings)
    state = projected(start.approximation, basis, assembly) if start else zero_state(work.problem, basis)
    solver = LeastSquares(memory_gb=work.memory_gb)
    outcome = work.drive(solver, assembly, basis, state, f"W = {basis.width}, scale {scale:g}")
    approximation = Approximation(basis, outcome.best.state)
    work.keep(approximation, assembly, outcome, solver.name)
    residual = residual_norm(check, approximation)
    residual = residual if math.isfinite(residual) else math.inf
    return _Level(approximation, assembly, residual, basis.width, scale, outcome.status, outcome.reason)


def projected(solution: Approximation, basis: Basis, assembly: Assembly) -> State:
    """The state of a new basis closest to a solution's values: where Newton goes on. Linear problems start at zero."""
    if assembly.problem.linear:
        return zero_state(assembly.problem, basis)
    x = max((t.points.x[0] for t in assembly.terms), key=len)
    zero = (0,) * x.shape[1]
    matrix = basis.derivatives(x, [zero])[zero]
    values = solution.values(x)
    coefficients = torch.stack([solve_dense(matrix, v, 1e-10).x for v in values])
    return State(coefficients, solution.state.parameters)
