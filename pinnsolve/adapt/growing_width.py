"""From a problem and its settings to solutions with their errors estimated, on one basis or on bases that grow.

`fixed`: the basis of the file and one solver. `refined` (what `auto` does without a basis in the file): least squares
on growing bases, for networks at the scale whose residual on unseen points is smallest, until the estimated error meets
the tolerance. Weights and check points are the same for all bases of a solve, so that their residuals compare.
"""

from __future__ import annotations

import math
from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import torch
from torch import Tensor

from pinnsolve import defaults
from pinnsolve.adapt.context import NARROW, SEARCH_POINTS, Result, SolveContext, result_on
from pinnsolve.adapt.few_coordinates import FewCoordinates
from pinnsolve.assembly.basis_system import BasisSystem
from pinnsolve.assembly.collocation import zero_state
from pinnsolve.assembly.row_source import State
from pinnsolve.assembly.rows import Assembly
from pinnsolve.bases.base import Basis
from pinnsolve.bases.interactions import Interactions
from pinnsolve.estimate.defect_correction import (
    DOUBTED,
    Approximation,
    Estimate,
    doubted,
    held_out_errors,
    relative_norms,
    residual_norm,
)
from pinnsolve.estimate.held_values import missed_values
from pinnsolve.least_squares import solve_dense
from pinnsolve.processes.communicator import Communicator
from pinnsolve.solvers import LeastSquares, Outcome, Solver
from pinnsolve.solvers.budget import OutOfTime
from pinnsolve.solvers.follow import out_of_time
from pinnsolve.solvers.gauss_newton import gauss_newton
from pinnsolve.solvers.least_squares import newton

BELIEVED_AT_ONCE = 0.1  # an estimate below this share of the tolerance is believed without a second level
CHEAP = 1000  # coefficients up to which a level is tried without asking whether it will do
SLOWEST = 0.95  # rate of the residual from level to level that still counts as convergence, for an error's upper bound
LINE_POINTS = 20_000  # of a line on which functions have kinks, which may hide a jump between two points of a solve
MOST_SUCCESSORS = 30  # levels of a basis from outside
CORRECTION_SCALES = (2.0, 8.0)  # of the independent networks on which its error is sought, besides the next level
ENOUGH_HELD_OUT = 20  # rows of data that are hardly all met by chance


# -- one basis, one solver ------------------------------------------------------------------------------


def fixed(
    context: SolveContext,
    basis: Basis,
    solver: Solver,
    start: Approximation | None = None,
    before: Solver | None = None,
) -> Iterator[Result | Outcome]:
    """What one solver gives on one basis, from where the one `before` ended if there is one; then with its error.

    The error is estimated on default bases of moderate width.
    """
    context = context.weighted(basis)
    part = "kept" if context.regression else "all"
    assembly = context.assembly(basis.width, moving=not isinstance(solver, LeastSquares), part=part)
    state, outcome = _first_state(context, basis, assembly) if start is None else start.state, Outcome()
    for phase in (before, solver):
        if phase is not None and outcome.status == "finished":
            outcome = context.drive(phase, assembly, basis, state, phase.name)
            basis, state = outcome.best.basis, outcome.best.state
    approximation = Approximation(basis, state)
    result = result_on(assembly, approximation, solver.name)
    yield result
    if outcome.status in ("finished", "time_limit") and math.isfinite(outcome.best.loss):
        yield replace(result, estimate=estimate_afresh(context, approximation, assembly))
    if outcome.status != "finished":
        yield replace(outcome, best=None)


def estimate_afresh(context: SolveContext, approximation: Approximation, assembly: Assembly) -> Estimate:
    """The estimate for a solution of any basis: the scale is sought at a small width, then used at a larger one."""
    unknowns = len(context.problem.unknowns)
    usual = [w for w in defaults.widths(context.dimension) if w * unknowns <= defaults.MOST_COLUMNS / 4]
    # no narrower than the solution's own basis: a correction that sees less than the solution did sees no error
    chosen = 0 if context.clock.expired() else min(2, len(usual) - 1)  # what is left is a first look
    width = max(usual[chosen], min(approximation.basis.width, defaults.MOST_COLUMNS // unknowns))
    kinked = context.dimension == 1 and approximation.basis.smoothness <= 1
    check = context.check_assembly(LINE_POINTS if kinked else SEARCH_POINTS, 1)
    bases = context.independent(width, defaults.scales(context.dimension)[1:-1])
    estimate = context.estimate(approximation, bases, check)
    if context.regression:
        bases = context.independent(width, defaults.scales(context.dimension))
        estimate = estimate.at_least(_regression_errors(context, approximation, check, bases))
    else:
        estimate = doubted(estimate, approximation, check)
    return context.with_noise(estimate, approximation, assembly)


# -- growing bases --------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Networks:
    """Networks of the usual widths, each at several scales.

    `asked`: settings that the file fixes (kind, activation, scale ...); `refinements`: how often widths may grow.
    """

    context: SolveContext
    asked: dict
    refinements: int | None = None
    compete = False

    @property
    def sizes(self) -> tuple[int, ...]:
        """The number of functions of the levels, as far as a dense least squares goes."""
        columns = len(self.context.problem.unknowns)
        sizes = [w for w in defaults.widths(self.context.dimension) if w * columns <= defaults.MOST_COLUMNS]
        sizes = sizes or [defaults.MOST_COLUMNS // columns]
        return tuple(sizes[: None if self.refinements is None else self.refinements + 1])

    @property
    def scales(self) -> tuple[float, ...]:
        if isinstance(self.asked.get("scale"), float):
            return (self.asked["scale"],)
        if self.asked.get("activation") == "relu":
            return (1.0,)  # columns are normalized: the scale of a positively homogeneous function means nothing
        return defaults.scales(self.context.dimension)

    def at(self, number: int, before: Approximation | None) -> list[Basis]:
        """The bases to be tried on a level, from smooth to wild ones, by what was best `before`."""
        scales = self.scales
        if before is not None and len(scales) > 1:
            scale = before.basis.settings()["scale"]
            scales = (scale, 2 * scale)
        return [self._basis(self.sizes[number], scale) for scale in scales]

    def _basis(self, width: int, scale: float) -> Basis:
        asked = {k: v for k, v in self.asked.items() if k != "scale"}
        return self.context.basis({**self.context.default_settings(width, scale), **asked})

    def corrections(self, basis: Basis) -> list[Basis]:
        """Independent bases on which the error of a solution on `basis` is sought."""
        scale = basis.settings()["scale"]
        return self.context.independent(basis.width, (scale, 2 * scale))


@dataclass(frozen=True)
class Successors:
    """A basis and what it becomes by `Basis.refined`, again and again, up to so many coefficients."""

    context: SolveContext
    first: Basis
    refinements: int | None = None
    most: int = defaults.MOST_COLUMNS
    compete = False

    @cached_property
    def chain(self) -> list[Basis]:
        """The bases, of which the last is for the error of the one before alone, where there are several."""
        found, columns = [self.first], len(self.context.problem.unknowns)
        most = MOST_SUCCESSORS if self.refinements is None else self.refinements + 1
        while len(found) <= most and (finer := found[-1].refined()) is not None and finer.width * columns <= self.most:
            found.append(finer)
        return found

    @property
    def sizes(self) -> tuple[int, ...]:
        """The number of functions of the levels."""
        return tuple(basis.width for basis in self.chain[: max(1, len(self.chain) - 1)])

    def at(self, number: int, before: Approximation | None) -> list[Basis]:
        """The one basis of a level."""
        return [self.chain[number]]

    def corrections(self, basis: Basis) -> list[Basis]:
        """The next basis, and independent ones, on which the error of a solution on `basis` is sought."""
        independent = self.context.independent(max(basis.width, NARROW), CORRECTION_SCALES)
        number = self.sizes.index(basis.width)
        return [*self.chain[number + 1 : number + 2], *independent]


Family = Networks | Successors | FewCoordinates


def refined(context: SolveContext, tolerance: float, family: Family) -> Iterator[Result | Outcome]:
    """Least squares on the growing bases of a family until the estimated error meets `tolerance`."""
    sizes, columns = family.sizes, len(context.problem.unknowns)
    first = family.at(0, None)
    context = context.weighted(first[len(first) // 2])
    check = context.check_assembly(SEARCH_POINTS)
    found: Result | None = None
    before: tuple[Result, Estimate] | None = None
    estimates: list[float] = []
    for number in range(len(sizes)):
        bases = family.at(number, found.approximation if found else None)
        start = found if before is None else _begun(found, before[1], bases[0])
        level, ended = yield from _best_of(context, bases, start, check, family.compete)
        if ended.status != "finished":
            yield ended
        if found is None or level.residual < found.residual:
            borne_out = tolerance if len(sizes) > 1 else math.inf
            corrections = family.corrections(level.approximation.basis)
            estimate, own = _level_estimate(context, level, corrections, before, check, borne_out)
            if level.approximation.basis.by_operator:
                estimate = estimate.at_least(missed_values(check, level.approximation))
            before = level, own
            found = replace(level, estimate=context.with_noise(estimate, level.approximation, level.assembly))
            yield found
            estimates.append(min([found.worst, *estimates[-1:]]))
        else:
            estimates.append(estimates[-1])
        if estimates[-1] <= tolerance or _out_of_reach(estimates, tolerance, sizes, columns):
            return
        if context.clock.expired():
            yield out_of_time(context.clock)


def _level_estimate(
    context: SolveContext,
    found: Result,
    corrections: Sequence[Basis],
    before: tuple[Result, Estimate] | None,
    check: Assembly,
    tolerance: float,
) -> tuple[Estimate, Estimate]:
    """The defect's estimate, enlarged where the levels so far do not bear it out.

    A level's defect should foretell how far the next level moves: if that moved farther, by that factor. And a residual
    that falls only by q from level to level has the sum of a geometric series to go. On the first level nothing bears
    an estimate out, so only a small one is believed. `before`: the level before and its defect's own estimate. Returns
    the estimate, and the defect's own.
    """
    unknowns = context.problem.unknowns
    estimate = context.estimate(found.approximation, corrections)
    if found.approximation.basis.by_operator:  # the next degree sees nothing of an error that is odd where it is even
        estimate = doubted(estimate, found.approximation, check)
    if context.regression:
        errors = _regression_errors(context, found.approximation, check, corrections)
        return estimate.at_least(errors), estimate
    if before is None:
        believed = estimate.worst < BELIEVED_AT_ONCE * tolerance
        return estimate if believed else estimate.at_least(dict.fromkeys(unknowns, 1.0)), estimate
    level, previous = before
    u = found.approximation.values(context.check_points())
    moved = relative_norms(unknowns, u - level.approximation.values(context.check_points()), u, context.problem.groups)
    foretold = max(1.0, max(moved[name] / max(previous.relative[name], 1e-15) for name in unknowns))
    rate = min(found.residual / level.residual, SLOWEST) if not context.measured else 0.0
    return estimate.enlarged(foretold / (1.0 - rate)), estimate


def _regression_errors(
    context: SolveContext, approximation: Approximation, check: Assembly, bases: Sequence[Basis]
) -> dict[str, float]:
    """For regression: errors where points were held out; where these are few, fits on `bases` bear them out."""
    others = []
    for basis in bases if check.row_count < ENOUGH_HELD_OUT else ():
        system = BasisSystem(context.assembly(basis.width, part="kept"), basis)
        found = gauss_newton(system, zero_state(context.problem, basis), newton(system, 1, 0.0))
        others.append(Approximation(basis, found.state))
    return held_out_errors(approximation, check, others, context.check_points())


def _out_of_reach(estimates: Sequence[float], tolerance: float, sizes: Sequence[int], unknowns: int) -> bool:
    """Whether the estimates fall too slowly for the levels that are left to make up, even at ten times the rate.

    Levels that cost next to nothing are always tried.
    """
    levels = len(sizes)
    if len(estimates) < 3 or len(estimates) == levels or sizes[len(estimates)] * unknowns <= CHEAP:
        return False
    rate = estimates[-1] / estimates[-2]
    return estimates[-1] * (0.1 * rate) ** (levels - len(estimates)) > tolerance


def _best_of(
    context: SolveContext, bases: Sequence[Basis], before: Result | None, check: Assembly, compete: bool
) -> Generator[Result, None, tuple[Result, Outcome]]:
    """The solution on one of the bases whose residual on unseen points is smallest, and how the last solve ended.

    Bases that `compete` are all tried. Of others, from the middle of `bases` outwards, on each side only as long as the
    residual falls: it has one valley, between functions too smooth for the solution and too wild for the points.
    """
    most = max(basis.width for basis in bases)
    assembly = context.assembly(most, part="kept" if context.regression else "all")
    tried: dict[int, Result] = {}
    best, last = len(bases) // 2, Outcome()
    for i, basis in enumerate(bases if compete else ()):
        if not last.ends_all:
            start = min(tried.values(), key=lambda level: level.residual) if tried else before
            tried[i], last = yield from _solved_on(context, basis, assembly, start, check)
            yield tried[i]
    for direction in () if compete else (0, 1, -1):
        i = best + direction
        while 0 <= i < len(bases) and not last.ends_all:
            if i not in tried:
                start = min(tried.values(), key=lambda level: level.residual) if tried else before
                tried[i], last = yield from _solved_on(context, bases[i], assembly, start, check)
                yield tried[i]
            if not tried[i].residual < tried[best].residual:
                break
            best, i = i, i + direction
    return min(tried.values(), key=lambda level: level.residual), replace(last, best=None)


def _solved_on(
    context: SolveContext, basis: Basis, assembly: Assembly, start: Result | None, check: Assembly
) -> Generator[Result, None, tuple[Result, Outcome]]:
    """The least-squares solution on a basis, with its residual at unseen points, and how the solve ended."""
    state = projected(start.approximation, basis, assembly) if start else _first_state(context, basis, assembly)
    solver, scale = LeastSquares(memory_gb=context.memory_gb), basis.settings().get("scale")
    phase = f"W = {basis.width}" + (f", scale {scale:g}" if isinstance(scale, int | float) else "")
    outcome = context.drive(solver, assembly, basis, state, phase)
    if outcome.status == "time_limit" and not outcome.best.step:  # before there was a first step
        raise OutOfTime
    result = result_on(assembly, Approximation(basis, outcome.best.state), solver.name)
    yield result
    residual = residual_norm(check, result.approximation)
    return replace(result, residual=residual if math.isfinite(residual) else math.inf), outcome


def _begun(found: Result, estimate: Estimate, basis: Basis) -> Result:
    """The best level so far with its estimated error taken off, where that has seen most of the residual and the basis
    holds both; else itself."""
    solution, error = found.approximation, estimate.error
    if error is None or estimate.residual_left > DOUBTED:
        return found
    if not isinstance(solution.basis, Interactions) or not isinstance(error.basis, Interactions):
        return found
    coefficients, change = (one.basis.widened(one.state.coefficients, basis) for one in (solution, error))
    if coefficients is None or change is None:
        return found
    state = State(coefficients + change, solution.state.parameters + error.state.parameters)
    return replace(found, approximation=Approximation(basis, state))


def _first_state(context: SolveContext, basis: Basis, assembly: Assembly) -> State:
    """The guess that is stated, on a basis, else zero."""
    state = zero_state(context.problem, basis)
    if context.guess is None:
        return state
    x = _most_points(assembly)
    return replace(state, coefficients=_fitted(context.guess(x), basis, x, assembly.among))


def _most_points(assembly: Assembly) -> Tensor:
    """(N, d): the points of the term that has most, of equations where there are any, as conditions lie on parts of the
    domain; those of this process."""
    return max(assembly.terms, key=lambda term: (term.term.kind == "equation", term.count)).points.x[0]


def _fitted(values: Tensor, basis: Basis, x: Tensor, among: Communicator) -> Tensor:
    """(U, W): the functions of a basis that are closest to values (U, N) at points x (N, d), divided `among` some."""
    zero = (0,) * x.shape[1]
    matrix = basis.derivatives(x, [zero])[zero]
    return torch.stack([solve_dense(matrix, v.to(matrix), 1e-10, among).x for v in values])


def projected(solution: Approximation, basis: Basis, assembly: Assembly) -> State:
    """The state of a new basis closest to a solution's values: where Newton goes on. Linear problems start at zero."""
    if assembly.problem.linear:
        return zero_state(assembly.problem, basis)
    if isinstance(solution.basis, Interactions):
        wide = solution.basis.widened(solution.state.coefficients, basis)
        if wide is not None:
            return State(wide, solution.state.parameters)
    x = _most_points(assembly)
    return State(_fitted(solution.values(x), basis, x, assembly.among), solution.state.parameters)
