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

from pinnsolve.adapt.energy_levels import degree_for
from pinnsolve.adapt.first_guess import (
    MOST_TRIED,
    FirstGuesses,
    doubts_of_zero,
    from_other_starts,
    nearer_to_conditions,
    solves,
)
from pinnsolve.assembly.energy_rows import energy_rows
from pinnsolve.assembly.evolving_rows import evolving_continuity
from pinnsolve.assembly.exactness import with_exact_rows
from pinnsolve.assembly.faces import continuity_rows
from pinnsolve.assembly.integrals import FINER, Integrals
from pinnsolve.assembly.linear_system import Bounds
from pinnsolve.assembly.row_source import State, check_finite, loss_by_name
from pinnsolve.assembly.system import CellSystem, shared, units
from pinnsolve.assembly.term_rows import highest_orders, interface_rows, table_orders, term_rows
from pinnsolve.assembly.transport_units import in_transport_units
from pinnsolve.bases.piecewise.initial_mesh import first_cells
from pinnsolve.bases.piecewise.space import Space
from pinnsolve.compiler.energies import energies_to_minimize
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
SLOWEST = 0.94  # per degree: what coefficients are taken to fall by at least, in the part of an error that is not seen
UNDEFINED = "the derivatives of the equations are not finite where Newton's method starts; state a `guess`"
BLIND = 1e-3  # relative error that no solution has whose equations do not hold
KEPT = 3  # coordinates from which on rows are kept, compressed: points of a cell are many times its functions


@dataclass(frozen=True)
class Level:
    """A solution (C, U, n) on its space, its correction (None before it is corrected), and what they cost.

    `unsolved`: terms that do not hold there at all; `doubts`: sentences on the solution; `amplification`: as of
    `Iterate`; `answers_corrected`: whether the corrected solution is the answer, and the error that of this.
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
    amplification: float = 1.0
    answers_corrected: bool = False

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
    def unit(self) -> Tensor:
        """(U,) what errors are taken relative to; infinite of what does not count."""
        return units(self.size, self.error) / self.counted

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
    energies = energies_to_minimize(problem)
    if energies:
        sources = energy_rows(energies, problem, space, check)
        return CellSystem(space, sources, len(problem.unknowns), True, check).keeping_rows()
    sources = [*term_rows(problem, space, weights)]
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
    """The first cells, one where the domain is a box, of moderate degree; of an energy in a shape, whose first cells
    are many, of the degree of cells that are split. Raises what `check` does."""
    d = len(problem.intervals)
    cut = problem.shape is not None and bool(energies_to_minimize(problem))
    degree = degree_for(problem.settings.tolerance) if cut else START[d]
    return Space(first_cells(problem, check), (degree,) * d, table_orders(problem))


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
    # of shapes, rows that nothing else needs would take as long as the solve
    told = system.tested and problem.shape is None
    terms = _losses(problem, space, solved.state, weights) if told else solved.terms
    return Level(
        space, c, None, error, size, solved.converged, solved.steps, sum(terms.values()), terms,
        solved.system.without_rows(), solved.reduced.rank_info(), solved.continued, tuple(unsolved), solved.doubts,
        problem.unknown_counts, solved.state.parameters, solved.amplification,
    )  # fmt: skip


def _losses(problem: CompiledProblem, space: Space, state: State, weights: Mapping[str, float]) -> dict[str, float]:
    """By term, the loss that a least squares would have there."""
    return loss_by_name(rows.rows(state, matrix=False) for rows in term_rows(problem, space, weights))


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
    error = enlarged(correction, level.space) * correction.space.rms(correction.delta)
    return replace(level, correction=correction, error=error + level.error)


def enlarged(correction: Correction, space: Space) -> float:
    """How many times what a correction adds to a solution on a space its error is."""
    return correction.enlargement * _unseen_tail(correction, space)


def _unseen_tail(correction: Correction, space: Space) -> float:
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
    system = system if system.tested else in_transport_units(system, problem, state)
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


def lacking(level: Level) -> Tensor:
    """(C, d): what every cell and axis lacks of the corrected solution, in functions beyond its degrees."""
    volume = level.space.cells.volume
    squares = blame(level.correction.delta / level.unit[:, None], level.correction.space, level.space.degrees)
    return torch.sqrt(squares * (volume / volume.sum())[:, None])


def level_parts(level: Level) -> Tensor:
    """(C, d): what every cell and axis contributes to the relative error; their squares add up to its square."""
    parts = lacking(level)
    return parts * (level.worst / max(float(parts.norm()), 1e-300))


def carried_over(level: Level, space: Space) -> Tensor:
    """The corrected solution of a level in the next space, where Newton's method starts."""
    if space.cells is level.space.cells:
        return level.correction.space.widened(level.correction.c, space)
    zero = (0,) * len(space.degrees)
    return space.project(lambda x: level.correction.space.values(level.correction.c, x, zero), level.c.shape[1])
