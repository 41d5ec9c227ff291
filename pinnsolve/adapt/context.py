"""What all parts of one solve share, and the results that its strategies give."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from torch import Tensor

from pinnsolve import defaults
from pinnsolve.assembly.collocation import sample_problem, space_of, term_weights
from pinnsolve.assembly.row_source import State
from pinnsolve.assembly.rows import Assembly
from pinnsolve.bases import make_basis
from pinnsolve.bases.base import Basis
from pinnsolve.compiler.terms import CompiledProblem
from pinnsolve.estimate.defect_correction import (
    Approximation,
    Estimate,
    estimate_error,
    noise_spread,
)
from pinnsolve.estimate.looks import Looked, Looks
from pinnsolve.geometry.balls import BallShape
from pinnsolve.geometry.regions import domain
from pinnsolve.geometry.sampling import Narrowing, Points, sample_region
from pinnsolve.processes.communicator import Communicator
from pinnsolve.runtime import bytes_available
from pinnsolve.solvers import Clock, Iterate, Outcome, Solver, drive
from pinnsolve.solvers.base import Progress
from pinnsolve.solvers.journal import NOTHING, Journal
from pinnsolve.solvers.recorded import Recorded

SEARCH_POINTS = 1500  # unseen points on which scales are compared
LOOK_SEED = 2  # of the points at which solutions are looked at, that others do not see
NARROW = 32  # width up to which the error of a basis on a line is sought among twice as many functions


@dataclass(frozen=True)
class SolveContext:
    """What all parts of one solve share: the problem, its box, weights, check points and the clock.

    `history` is a log that `record` and `drive` add to.
    """

    problem: CompiledProblem
    lower: Tensor
    upper: Tensor
    seed: int
    clock: Clock
    progress: Progress | None
    collocation: object  # what the file says of points, or None
    weights_at: Callable[[int], dict[str, float] | None]  # what the file asks for at a width, by term; None for auto
    memory_gb: float | None = None
    term_weights: Mapping[str, float] = field(default_factory=dict)
    guess: Callable[[Tensor], Tensor] | None = None  # (N, d) -> (unknowns, N), where the file states one
    history: list[dict] = field(default_factory=list)
    columns: Mapping[str, Callable[[Tensor], Tensor]] = field(default_factory=dict)  # values that terms name, at points
    journal: Journal = NOTHING  # what was solved before, and who is told of what is solved now
    looks: Looks = field(default_factory=Looks)
    cells_on: torch.device | None = None  # where cells are solved, where that is not the device of the box
    per_function: tuple[float, float] = (defaults.POINTS_PER_FUNCTION,) * 2  # usual points, inside and on the boundary

    @property
    def among(self) -> Communicator:
        """The processes that divide the rows of this solve."""
        return self.clock.among

    @property
    def dimension(self) -> int:
        return len(self.problem.coordinates)

    @property
    def regression(self) -> bool:
        """Nothing but data: no equation tells how good a solution is between the points."""
        return all(term.data_file is not None for term in self.problem.terms)

    @property
    def measured(self) -> bool:
        return any(term.data_file is not None for term in self.problem.terms)

    @property
    def is_inverse(self) -> bool:
        """Whether parameters are unknown or values were measured."""
        return self.measured or bool(self.problem.unknown_parameters)

    def record(self, phase: str, step: int, loss: float, terms: Mapping[str, float], **more: Any) -> None:
        """Adds to the history what a step gave, and tells who follows the progress."""
        seconds = self.clock.seconds()
        entry = {"step": step, "seconds": seconds, "phase": phase, "loss": loss, "terms": dict(terms), **more}
        self.history.append(entry)
        if self.progress is not None:
            self.progress(entry)

    def basis(self, settings: dict, seed: int | None = None) -> Basis:
        return make_basis(
            settings, self.lower, self.upper, self.seed if seed is None else seed, self.lower.dtype, self.lower.device
        )

    def default_settings(self, width: int, scale: float) -> dict:
        return {"kind": "mlp", "width": width, "depth": 1, "activation": defaults.ACTIVATION, "scale": scale}

    def weighted(self, basis: Basis) -> SolveContext:
        """With term weights, the same for all bases that follow, so that their residuals compare.

        Where the file's depend on `W`, they are those of this basis: of growing ones, the first.
        """
        if self.term_weights:
            return self
        points = self._sampled(self.counts(basis.width, False), self.seed)
        return replace(self, term_weights=term_weights(self.problem, self.weights_at(basis.width), points, basis))

    def counts(self, width: int, moving: bool) -> defaults.Collocation:
        return defaults.collocation(self.collocation, self.dimension, width, moving, self.per_function)

    def _sampled(
        self, counts: defaults.Collocation, seed: int, part: str = "all", lenient: bool = False
    ) -> dict[str, Points]:
        """Points of every term, with the columns that it names; `part` and `lenient` as in `sample_problem`."""
        result = sample_problem(self.problem, counts, seed, self.lower, part, lenient)
        for term in self.problem.terms if self.columns else ():
            named = {symbol.name for residual in term.residuals for symbol in residual.free_symbols}
            points = result[term.name]
            own = {name: column(points.x[0]) for name, column in self.columns.items() if name in named}
            result[term.name] = replace(points, columns={**points.columns, **own})
        return result

    def assembly(self, width: int, moving: bool = False, seed: int | None = None, part: str = "all") -> Assembly:
        """Points for a basis of that width, with the weights of this solve; `part` as in `sample_problem`."""
        seed = self.seed if seed is None else seed
        points = self._sampled(self.counts(width, moving), seed, part)
        return Assembly(self.problem, points, self.term_weights, self.among, self.clock.check_late)

    def check_assembly(self, count: int, seed: int = 0) -> Assembly:
        """Random points that no solve sees; a term that holds nearly nowhere may have none.

        They are few, and every process has all of them.
        """
        least = min(64, defaults.MANY_FACES // self.dimension)
        counts = defaults.Collocation(count, max(least, count // (2 * self.dimension)), "uniform")
        part = "held_out" if self.regression else "all"
        points = self._sampled(counts, defaults.CHECK_SEED + self.seed + seed, part, lenient=True)
        # on cells a term without points has no weight
        weights = {term.name: self.term_weights.get(term.name, 1.0) for term in self.problem.terms}
        return Assembly(self.problem, points, weights)

    def look_assembly(self) -> Assembly:
        """The terms at points of which some serve to look at solutions, and all to report residuals."""
        return self.check_assembly(defaults.CHECK_POINTS, LOOK_SEED)

    def check_points(self) -> Tensor:
        """(N, d) points of the domain at which norms are taken.

        In a ball of many coordinates, half of them are even in radius: nearly all of its volume lies at the sphere, and
        errors in the middle would not count.
        """
        space = space_of(self.problem)
        sampling = "sobol" if space is not None and isinstance(space.shape, BallShape) else "uniform"
        points = sample_region(
            domain(),
            self.problem.intervals,
            defaults.CHECK_POINTS,
            sampling,
            defaults.CHECK_SEED + self.seed,
            Narrowing(space=space),
        )
        return points.x[0].to(self.lower)

    def looked_at(self, solution: Approximation) -> Looked:
        """What a solution misses at points that no solve sees, which is what its report says as well."""

        def points() -> tuple[Assembly, Tensor]:
            return self.look_assembly(), self.check_points()

        return self.looks.at(self.problem, solution, points)

    def drive(self, solver: Solver, assembly: Assembly, basis: Basis, state: State, phase: str) -> Outcome[Iterate]:
        """The solver's outcome, from the last iterate that the journal knows of it."""
        recorded = Recorded(solver, self.journal, phase)
        outcome = drive(recorded, assembly, Iterate(basis, state), self.clock, self.progress, phase)
        self.history.extend(outcome.history)
        return outcome

    def independent(self, width: int, scales: Sequence[float]) -> list[Basis]:
        """Default bases that no solve uses, on which errors are sought."""
        if self.dimension == 1 and width <= NARROW:  # few functions see little of what as few others lack
            width *= 2
        return [self.basis(self.default_settings(width, s), self.seed + 1_000_003 + i) for i, s in enumerate(scales)]

    def estimate(self, solution: Approximation, bases: Sequence[Basis], check: Assembly | None = None) -> Estimate:
        """The error of a solution, from corrections on other bases and points, noise of data left out."""
        width = max(basis.width for basis in bases)
        # the points that are usual for the width at least: those of the file may be too few to tell
        usual = defaults.collocation(None, self.dimension, width, False, self.per_function)
        asked = self.counts(width, False)
        counts = replace(
            usual, interior=max(usual.interior, asked.interior), boundary=max(usual.boundary, asked.boundary)
        )
        points = self._sampled(counts, self.seed + 500_009)
        solve = Assembly(self.problem, points, self.term_weights, self.among, self.clock.check_late)
        check = check or self.check_assembly(SEARCH_POINTS, 1)
        available = bytes_available(self.memory_gb, self.lower.device) / self.among.sharing(self.lower.device)
        found = estimate_error(solution, bases, solve, check, self.check_points(), available)
        return replace(found, counts=self.problem.counts)

    def with_noise(self, estimate: Estimate, solution: Approximation, solved: Assembly) -> Estimate:
        """The estimate with what noise of the data adds; `solved` is the assembly that gave the solution."""
        if not self.measured:
            return estimate
        return estimate.with_noise(*noise_spread(solution, solved, self.check_points(), self.seed))


@dataclass(frozen=True)
class Freedom:
    """The `unknowns` to which functions may be added, and a sentence; both empty where the solution is the only one.

    `harmless`: whether what is asked for does not depend on these functions.
    """

    unknowns: tuple[str, ...] = ()
    sentence: str = ""
    harmless: bool = False


@dataclass(frozen=True)
class Result:
    """A solution with what is known of it: a level of any refinement.

    `points`: how many each term had; `assembly`: the rows behind the solution, None where there is no single one;
    `estimate`: None where the error was not estimated; `residual`: at unseen points, as far as it was measured.
    """

    approximation: Approximation
    estimate: Estimate | None
    method: str
    points: Mapping[str, int]
    term_weights: Mapping[str, float]
    assembly: Assembly | None = None
    residual: float = math.inf
    note: str = ""  # what the solver says of this solution
    doubts: tuple[str, ...] = ()  # sentences on whether it is the one that is meant: warnings of the report
    why: str = ""  # which way `auto` went, in words
    solved: CompiledProblem | None = None  # the problem that it solves, where that was found, too
    inverse: Mapping | None = None  # what was found of unknown parameters and noise: entries of the report
    freedom: Freedom = field(default_factory=Freedom)
    missed: float = 0.0  # by so large a share residuals at fresh points speak against it, where that was asked
    deviations: Tensor | None = None  # (K, unknowns, W): functions whose squares add up to the variance of the solution
    modes: Tensor | None = None  # (K, unknowns, W) complex coefficients of the modes of eigenvalues
    corrected: Approximation | None = None  # the solution and its estimated error, where that is at hand
    kinks: bool = False  # whether conditions that contradict each other where they meet send some through the solution

    @property
    def worst(self) -> float:
        """The largest estimated error of an unknown, infinite where there is no estimate."""
        worst = math.inf if self.estimate is None else self.estimate.worst
        return worst if math.isfinite(worst) else math.inf

    def meets(self, tolerance: float) -> bool:
        """Whether the estimated errors are below the tolerance."""
        return self.worst <= tolerance


def least_error(result: Result) -> tuple[float, float]:
    """By which results are compared: the estimated error, and without estimates the residual at unseen points."""
    return result.worst, result.residual


def result_on(assembly: Assembly, approximation: Approximation, method: str, **more: Any) -> Result:
    """A result from the rows of an assembly, its error not estimated yet."""
    return Result(approximation, None, method, point_counts(assembly), assembly.term_weights, assembly, **more)


def point_counts(assembly: Assembly) -> dict[str, int]:
    """The number of points of each term."""
    return {t.term.name: t.count for t in assembly.terms}
