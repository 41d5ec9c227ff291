"""Refinement of a whole problem: from one cell on, degrees are raised or cells split until the correction is small.

Where the coefficients along an axis fall fast, its degree is raised; where they do not, or where only few cells are to
blame, those are split along that axis (hp-refinement by the decay of Legendre coefficients: Mavriplis, Comput. Methods
Appl. Mech. Engrg. 116 (1994) 77-86).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

import torch
from torch import Tensor

from pinnsolve.adapt.first_guess import (
    MOST_TRIED,
    FirstGuesses,
    doubts_of_zero,
    from_other_starts,
    nearer_to_conditions,
    solves,
)
from pinnsolve.adapt.space_changes import to_blame
from pinnsolve.assembly.evolving_rows import evolving_continuity
from pinnsolve.assembly.exactness import with_exact_rows
from pinnsolve.assembly.faces import continuity_rows
from pinnsolve.assembly.integrals import FINER, Integrals
from pinnsolve.assembly.linear_system import Bounds
from pinnsolve.assembly.row_source import RowSource, State, check_finite
from pinnsolve.assembly.system import CellSystem, shared, units
from pinnsolve.assembly.term_rows import highest_orders, interface_rows, table_orders, term_rows
from pinnsolve.assembly.transport_units import in_transport_units
from pinnsolve.bases.piecewise.initial_mesh import first_cells
from pinnsolve.bases.piecewise.space import Space
from pinnsolve.compiler.terms import CompiledProblem
from pinnsolve.estimate.enriched_space import Correction, blame, correct, decay_rates, enriched_space
from pinnsolve.runtime import go_on
from pinnsolve.solvers.continuation import by_continuation
from pinnsolve.solvers.gauss_newton import Iterate, Iteration, gauss_newton
from pinnsolve.solvers.stationary import unsolved_terms

ACCURACY = 0.03  # of the tolerance is how well Newton's method solves
SETTLED = 0.05  # of the error of the level before: corrections below it are small beside what this one will leave
MOST_STEPS, RISE = 16, 1.5  # of Newton's method, and by what factor a step may raise the root of the loss
START = {1: 12, 2: 8, 3: 6, 4: 4}  # degree of the first level, by the number of coordinates
HIGHEST = {1: 24, 2: 20, 3: 12, 4: 8}
ANALYTIC, HIGHEST_ANALYTIC = 0.4, {3: 18}  # coefficients that fall faster per degree may have higher degrees still,
EXPLAINED = 0.5  # where a correction leaves less of the residual: what it does not see falls slowly
SPLIT = {1: 16, 2: 8, 3: 7, 4: 5}  # highest degree of cells that are split: small cells gain less from high ones
SLOWEST = 0.94  # per degree: what coefficients are taken to fall by at least, in the part of an error that is not seen
FAST_DECAY = 0.7  # per degree: coefficients that fall faster call for a higher degree
DEAR, BULK = 3, 0.03  # coordinates from which on a level is dear, and the share of the error that is left there
MOST_RAISED, MOST_RAISED_ANALYTIC = 6, 8  # degrees at a time
LOST, UNEXPLAINED = 0.5, 0.9  # relative error, and share of the residual left, of what is no solution yet
UNDEFINED = "the derivatives of the equations are not finite where Newton's method starts; state a `guess`"
MARKED = 0.1  # of the largest error of a cell, from which on others are split with it
SOLVED = 1e-6  # share of the loss in cells that need no splitting
BLIND = 1e-3  # relative error that no solution has whose equations do not hold
KEPT = 3  # coordinates from which on rows are kept, compressed: points of a cell are many times its functions
GROWTH = {1: 1.0, 2: 1.5, 3: 2.0, 4: 2.3}  # of the work of a factorization, with the number of cells


@dataclass(frozen=True)
class Level:
    """A solution (C, U, n) on its space, its correction (None before it is corrected), and what they cost.

    `unsolved`: terms that do not hold there at all; `doubts`: sentences on the solution.
    """

    space: Space
    c: Tensor
    correction: Correction | None
    error: Tensor  # (U,) rms; without a correction that of the iteration alone
    size: Tensor  # (U,) rms of the solution
    converged: bool
    steps: int
    loss: float
    terms: dict[str, float]
    system: CellSystem
    rank: dict[str, float | int]
    continued: bool
    unsolved: tuple[str, ...] = ()
    doubts: tuple[str, ...] = ()
    counts: Sequence[float] = ()  # what the errors of the unknowns count, where not all alike
    parameters: Tensor = field(default_factory=lambda: torch.zeros(0, dtype=torch.float64))  # (P,) those found

    @property
    def state(self) -> State:
        """The solution and the parameters found with it."""
        return State(self.c, self.parameters)

    def lightened(self) -> Level:
        """Without the rows and the factorization of its correction, which take most of the memory."""
        return replace(self, correction=replace(self.correction, first=(), rows=(), reduced=None))

    @property
    def relative(self) -> Tensor:
        """(U,) estimated errors relative to the unknowns; see `system.units`."""
        return self.error / units(self.size, self.error)

    @property
    def worst(self) -> float:
        """The largest relative error of an unknown, as far as it counts."""
        return float((self.relative * self.counted).max())

    @property
    def counted(self) -> Tensor:
        """(U,) what relative errors of the unknowns count."""
        return self.size.new_tensor(self.counts) if self.counts else torch.ones_like(self.size)


def make_system(
    problem: CompiledProblem, space: Space, weights: Mapping[str, float], check: Callable[[], None] = go_on,
    density: float = 1.0,
) -> CellSystem:  # fmt: skip
    """The least squares of a whole problem on a space; `check` as of `CellSystem`, `density` as of `Integrals`."""
    check()
    sources: list[RowSource] = [*term_rows(problem, space, weights)]
    check()
    sources += continuity_rows(space, problem.coordinates, highest_orders(problem))
    sources += evolving_continuity(problem, space)
    check()
    sources += interface_rows(problem, space)
    integrals = Integrals(problem, space, density) if problem.integrals else None
    sources = with_exact_rows(problem, space, sources)
    system = CellSystem(space, sources, len(problem.unknowns), problem.linear, check, integrals)
    fixed = problem.linear and not problem.unknown_parameters and integrals is None
    return system.keeping_rows() if fixed and len(space.degrees) >= KEPT else system


def without_parameters(c: Tensor) -> State:
    """The state of a problem without unknown parameters."""
    return State(c, torch.zeros(0, dtype=c.dtype))


def state_at(problem: CompiledProblem, start: Tensor | State) -> State:
    """A state; of coefficients alone, with the unknown parameters at their guesses."""
    if isinstance(start, State):
        return start
    return State(start, start.new_tensor([p.guess for p in problem.unknown_parameters]))


def bounds_of(problem: CompiledProblem) -> Bounds | None:
    """Those of the unknown parameters; None where there are none."""
    return Bounds.of(problem) if problem.unknown_parameters else None


def first_space(problem: CompiledProblem, check: Callable[[], None] = go_on) -> Space:
    """The first cells, one where the domain is a box, of moderate degree. Raises what `check` does."""
    d = len(problem.intervals)
    return Space(first_cells(problem, check), (START[d],) * d, table_orders(problem))


def newton(tolerance: float, before: float = 0.0) -> Iteration:
    """How a level is solved; `before`: the relative error of the one before, zero where there is none or where
    parameters are sought."""
    return Iteration(ACCURACY * tolerance, most=MOST_STEPS, rise=RISE, settled=SETTLED * min(before, 1.0))


def solve_level(
    problem: CompiledProblem,
    space: Space,
    start: Tensor | State,
    weights: Mapping[str, float],
    how: Iteration,
    check: Callable[[], None] = go_on,
) -> Level:
    """Newton's method, as of `newton`, on one space, not corrected yet; from a state, or from coefficients (C, U, n)
    and the guesses of the parameters. Raises what `check` does, and ArithmeticError where no start lies in the domain
    of the equations' functions."""
    system = make_system(problem, space, weights, check)
    how = replace(how, strict=problem.linear)
    solved = _solved(FirstGuesses(problem, space, weights, check), system, state_at(problem, start), how)
    check_finite(solved.rows)
    if solved.reduced is None:
        raise ArithmeticError(UNDEFINED)
    unsolved = () if problem.linear else unsolved_terms(solved.system, solved.state, solved.rows)
    c = solved.state.coefficients
    size = shared(space.rms(without_constants(c, space, problem)), problem.groups)
    # an iteration that ended early adds what it would still have moved
    error = solved.still_to_come(how.accuracy) * size
    return Level(
        space, c, None, error, size, solved.converged, solved.steps, solved.loss, solved.terms,
        solved.system.without_rows(), solved.reduced.rank_info(), solved.continued, tuple(unsolved), solved.doubts,
        problem.unknown_counts, solved.state.parameters,
    )  # fmt: skip


def _solved(guesses: FirstGuesses, system: CellSystem, state: State, how: Iteration) -> Iterate:
    """From the start; where that leads to no solution, by continuation, and from other starts.

    Unknown parameters that no data tell of have one start, their guesses.
    """
    problem = guesses.problem
    scaled = system.scaled_at(state)
    solved = gauss_newton(scaled, state, how, bounds_of(problem))
    if problem.linear or problem.unknown_parameters:
        return solved
    if solves(solved):
        if not bool(state.coefficients.any()) and len(problem.intervals) == 1:
            solved = nearer_to_conditions(guesses, system, solved, how)
        return replace(solved, doubts=doubts_of_zero(problem, scaled, solved))
    best = solved
    if not solved.converged and solved.reduced is not None:
        other = by_continuation(scaled, state, how)
        best = best if other is None else replace(other, continued=True)
        if other is not None and solves(other):
            return best
    tried = state.coefficients.numel() <= MOST_TRIED
    other = from_other_starts(guesses, system, how, solved) if tried else None
    if other is None:
        return best
    return replace(other, doubts=other.doubts or doubts_of_zero(problem, scaled, other))


def blind(level: Level, tolerance: float) -> bool:
    """Whether the correction sees no error where there is one: equations do not hold, and nothing lowers that."""
    return bool(level.unsolved) and level.worst <= max(tolerance, BLIND)


def moved_since(level: Level, before: Level) -> Tensor:
    """(U,) rms of what a level changed: of solutions whose correction leaves much of the residual, errors are no
    smaller."""
    zero = (0,) * len(level.space.degrees)
    unknowns = level.c.shape[1]
    old = level.space.project(lambda x: before.space.values(before.c, x, zero), unknowns)
    return level.space.rms(level.c - old)


def doubted(level: Level) -> Level:
    """The level of a `blind` correction: its error is taken to be all of the solution."""
    return replace(level, error=torch.maximum(level.error, torch.where(level.size > 0, level.size, 1.0)))


def corrected(
    level: Level,
    problem: CompiledProblem,
    weights: Mapping[str, float],
    check: Callable[[], None] = go_on,
) -> Level:
    """The level with its correction, and the error that this shows. Raises what `check` does."""
    correction = _correction(problem, level.space, level.state, weights, check)
    error = correction.enlargement * unseen_tail(correction, level.space) * correction.space.rms(correction.delta)
    return replace(level, correction=correction, error=error + level.error)


def unseen_tail(correction: Correction, space: Space) -> float:
    """At least 1: the error over the part of it that two degrees more can hold, where coefficients fall slowly.

    With a factor r per degree, functions beyond degree p + 2 hold r^4 of the square of what those beyond p do.
    """
    parts = blame(correction.delta, correction.space, space.degrees) * space.cells.volume[:, None]
    rates = decay_rates(correction.c, correction.space).clamp(max=SLOWEST)
    whole = float(parts.sum())
    return math.sqrt(float((parts / (1.0 - rates**4)).sum()) / whole) if whole > 0 else 1.0


def _correction(problem: CompiledProblem, space: Space, start: State, weights, check) -> Correction:
    fine = enriched_space(space)
    system = make_system(problem, fine, weights, check, FINER)
    state = State(space.widened(start.coefficients, fine), start.parameters)
    system = in_transport_units(system, problem, state)
    correction = correct(system.scaled_at(state), state, bounds=bounds_of(problem))
    return replace(correction, delta=without_constants(correction.delta, fine, problem))


def without_constants(c: Tensor, space: Space, problem: CompiledProblem) -> Tensor:
    """The function (C, U, n) less its mean, for the unknowns that are determined up to a constant."""
    if not problem.undetermined_constants:
        return c
    chosen = [u in problem.undetermined_constants for u in problem.unknowns]
    c = c.clone()
    c[:, :, 0] -= torch.where(torch.tensor(chosen), space.means(c), 0.0)
    return c


def next_space(level: Level, tolerance: float) -> Space:
    """Where to go from a level whose error is too large.

    Along axes on which coefficients do not fall fast cells are split. Where they fall fast on all axes to blame,
    degrees are raised or cells split, whichever is foreseen to take less work until the tolerance is met.
    """
    space, d = level.space, len(level.space.degrees)
    parts = level_parts(level)  # (C, d)
    totals = parts.norm(dim=0)
    blamed = totals >= max(0.1 * float(totals.max()), min(0.3 * tolerance, float(totals.max())))
    axes = blamed.nonzero()[:, 0].tolist()
    rates = decay_rates(level.correction.c, level.correction.space)
    rate = {a: float(rates[parts[:, a].argmax(), a]) for a in axes}
    wanted = {a: _degrees_wanted(float(totals[a]), rate[a], tolerance) for a in axes}
    analytic = {a: rate[a] < ANALYTIC and level.correction.left < EXPLAINED for a in axes}
    highest = {a: HIGHEST_ANALYTIC.get(d, HIGHEST[d]) if analytic[a] else HIGHEST[d] for a in axes}
    most = {a: MOST_RAISED_ANALYTIC if analytic[a] else MOST_RAISED for a in axes}
    room = {a: max(highest[a] - space.degrees[a], 0) for a in axes}
    fast = [a for a in axes if rate[a] < FAST_DECAY and room[a] >= min(2, wanted[a])]
    raised = {a: min(most[a], room[a], max(2, math.ceil(wanted[a]))) for a in fast}
    if len(fast) == len(axes) and _work_of_splitting(space, parts, rate, tolerance) < _work_of_raising(space, raised):
        fast = []
    C = len(parts)
    lost = level.worst > LOST and level.correction.left > UNEXPLAINED
    if C > 1 and (lost or (level.unsolved and level.worst > tolerance)):  # neither rates nor blame mean anything
        chosen = _unsolved_cells(level)
        cells = space.cells.split(chosen, chosen[:, None].expand(-1, d))
        return Space(cells, tuple(min(p, SPLIT[d]) for p in space.degrees), space.orders)
    degrees, halvings = list(space.degrees), torch.zeros_like(parts, dtype=torch.long)
    for a in axes:
        if a in fast:
            degrees[a] += raised[a]
        else:
            least = SPLIT[d]
            if d >= DEAR and rate[a] < FAST_DECAY and room[a] < min(2, wanted[a]):
                least = max(least, _degree_after_halving(float(totals[a]), rate[a], degrees[a], tolerance))
            degrees[a] = min(degrees[a], least)
            halvings[:, a] = _halvings(parts[:, a], tolerance, degrees[a], d)
    cells = space.cells.split(halvings.any(dim=1), halvings) if bool(halvings.any()) else space.cells
    return Space(cells, tuple(degrees), space.orders)


def _unsolved_cells(level: Level) -> Tensor:
    """(C,) bool: the cells that hold all of the residual but for a small share."""
    loss = torch.zeros(level.space.cells.count, dtype=torch.float64)
    for block in level.correction.first:
        for cells, _ in block.sides:
            loss.index_add_(0, cells, (block.r**2).sum(dim=1) / len(block.sides))
    order = loss.argsort(descending=True)
    before = loss[order].cumsum(dim=0) - loss[order]
    chosen = torch.ones_like(loss, dtype=torch.bool)
    chosen[order] = before < (1.0 - SOLVED) * loss.sum()
    return chosen


def _halvings(error: Tensor, tolerance: float, degree: int, dimension: int) -> Tensor:
    """(C,) how often cells are halved along an axis that contributes these errors (C,).

    Those with the largest are. Where a level is dear, all but those that together hold a small share of the error, or
    half of what may be left, and twice at once where not even a smooth function would come near the tolerance by one
    halving.
    """
    largest = float(error.max())
    target = min(0.3 * tolerance / math.sqrt(len(error)), largest)
    if dimension < DEAR:
        return (error >= max(MARKED * largest, target)).long()
    once = to_blame(error, max(BULK * float(error.norm()), 0.5 * tolerance))
    once[error.argmax()] = True
    return once.long() + (once & (error > 2.0 ** (degree + 1) * target)).long()


def _degrees_wanted(error: float, rate: float, tolerance: float) -> float:
    return math.log(0.3 * tolerance / max(error, 1e-300)) / math.log(rate) if rate < 1 else math.inf


def _degree_after_halving(error: float, rate: float, degree: int, tolerance: float) -> int:
    """The degree that a smooth function calls for on cells half as long, where coefficients fall twice as fast."""
    return math.ceil((math.log(max(0.3 * tolerance, 1e-300) / error) + degree * math.log(rate)) / math.log(0.5 * rate))


def _work_of_raising(space: Space, raised: Mapping[int, int]) -> float:
    """Of a factorization, relative to the one of this level: the cube of the functions of a cell."""
    return math.prod(((p + 1 + raised.get(a, 0)) / (p + 1)) ** 3 for a, p in enumerate(space.degrees))


def _work_of_splitting(space: Space, parts: Tensor, rate: Mapping[int, float], tolerance: float) -> float:
    """The same for the last of the levels that halve cells, and a share for those before.

    Halving a cell along an axis makes its error smaller by 2^(p + 1), if its function is smooth; lowering its degree,
    as splitting does, larger by the `rate` of its coefficients.
    """
    d = len(space.degrees)
    target = 0.3 * tolerance / math.sqrt(len(parts))
    count, most = torch.ones(len(parts), dtype=torch.float64), 0.0
    for a, r in rate.items():
        p = min(space.degrees[a], SPLIT[d])
        error = parts[:, a] * r ** (p - space.degrees[a])
        halvings = torch.ceil(torch.log2(error / target).clamp(min=0.0) / (p + 1))
        count, most = count * 2.0**halvings, max(most, float(halvings.max()))
    smaller = math.prod(((min(p, SPLIT[d]) + 1) / (p + 1)) ** 3 for p in space.degrees)
    return smaller * (float(count.sum()) / len(parts)) ** GROWTH[d] * (1.0 + 0.5 * max(most - 1.0, 0.0))


def level_parts(level: Level) -> Tensor:
    """(C, d): what every cell and axis contributes to the relative error; their squares add up to its square."""
    unit = (units(level.size, level.error) / level.counted)[None, :, None]  # infinite of what does not count
    volume = level.space.cells.volume
    parts = torch.sqrt(
        blame(level.correction.delta / unit, level.correction.space, level.space.degrees)
        * (volume / volume.sum())[:, None]
    )
    return parts * (level.worst / max(float(parts.norm()), 1e-300))


def carried_over(level: Level, space: Space) -> Tensor:
    """The corrected solution of a level in the next space, where Newton's method starts."""
    if space.cells is level.space.cells:
        return level.correction.space.widened(level.correction.c, space)
    zero = (0,) * len(space.degrees)
    return space.project(lambda x: level.correction.space.values(level.correction.c, x, zero), level.c.shape[1])
