"""A problem with ranges of parameters -> a solution that is a function of them, too.

Members are solved at nested points of the ranges, chosen one round after the other where the estimate says that the
interpolant is worst, until the error of the members and that of the interpolation together meet the tolerance.
"""

from __future__ import annotations

import math
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from pinnsolve import defaults
from pinnsolve.adapt.context import SolveContext
from pinnsolve.bases.newton import Index, neighbours_below, points_of
from pinnsolve.compiler.terms import CompiledProblem
from pinnsolve.errors import PinnsolveError
from pinnsolve.files.data_files import digests
from pinnsolve.method import solve_context
from pinnsolve.problem.problem import Problem
from pinnsolve.ranges.fit import SEED, Fit, first_indices
from pinnsolve.ranges.member import MemberTask, SolvedMember, make_task
from pinnsolve.ranges.solution import MOST_COMMON, range_solution
from pinnsolve.ranges.team import Team
from pinnsolve.results.going_on import solves
from pinnsolve.results.solution import Solution
from pinnsolve.runtime import memory_available
from pinnsolve.solvers.follow import Outcome, follow
from pinnsolve.threads import one_thread_each

MEMBER_SHARE = 0.2  # of the tolerance, for each member
ROUND = 4  # members of a round; it does not depend on the processes, so that results do not
HELD_OUT = {1: 4, 2: 6, 3: 8}  # members that check the interpolation, by the number of ranges
NEAR = 30.0  # times what is aimed at: an estimate from which on it is checked
MOST_MEMBERS = 400
MOST_ROUNDS = 200
SLOW_ROUNDS, SLOW = 5, 0.7  # rounds after which the estimate should have fallen by that factor


def solve_over_ranges(
    problem: Problem, compiled: CompiledProblem, progress: Callable[[dict], None] | None, start: Solution | None = None
) -> Solution:
    """The solution over the ranges; `start` is kept where it is one of the same problem and better.

    Raises `PinnsolveError` where not even the first member has one.
    """
    before = start if start is not None and solves(start, problem.spec.to_yaml(), digests(problem.files())) else None
    done = before is not None and before.result.get("status") == "converged"
    if before is not None and done and _worst_of(before) <= problem.settings.tolerance:
        return before
    context = solve_context(problem, compiled, progress)
    with tempfile.TemporaryDirectory(prefix="pinnsolve-") as folder, Team() as team, torch.no_grad(), one_thread_each():
        over = _OverRanges(problem, context, team, Path(folder))
        outcome = follow(over.fits(), context.clock, over.latest, over.meets)
        if outcome.best is None:
            outcome.raised(outcome.status)
            raise PinnsolveError(over.failed[0] if over.failed else outcome.message)
        found = range_solution(problem, context, outcome, over.failed)
    return before if before is not None and _worst_of(before) < _worst_of(found) else found


def _worst_of(solution: Solution) -> float:
    """The largest estimated error of an unknown that a solution reports."""
    found = solution.result.get("estimated_error") or {}
    return max((math.inf if value is None else float(value) for value in found.values()), default=math.inf)


class _OverRanges:
    """One solve: what asks for members, and what is made of them."""

    def __init__(self, problem: Problem, context: SolveContext, team: Team, folder: Path):
        self.problem, self.context, self.team, self.folder = problem, context, team, folder
        self.points, self.text = context.check_points(), problem.spec.to_yaml()
        self.aim = (1 - MOST_COMMON) * problem.settings.tolerance
        self.failed: list[str] = []
        self.solved = 0

    def fits(self) -> Iterator[Fit | Outcome]:
        """Fits of more and more members."""
        fit, indices = Fit(groups=self.context.problem.groups), first_indices(len(self.problem.ranges))
        most = self.problem.settings.limits.refinements
        history: list[float] = []
        for _ in range(MOST_ROUNDS if most is None else most + 1):
            for grown in self._grown(fit, indices):
                fit = grown
                yield fit
            if not fit.indices:
                return
            # of several ranges, what is foreseen is far above what comes
            near = self.aim if len(self.problem.ranges) == 1 else NEAR * self.aim
            if self.worst(fit) <= near and not fit.held_out:
                fit = self._checked(fit)
                yield fit
            history.append(self.worst(fit))
            indices = fit.next_indices(ROUND)
            if not indices:
                yield Outcome(None, "stalled", "members failed on all sides of those that are solved")
            if len(fit.indices) >= MOST_MEMBERS or _slow(history):
                yield Outcome(None, "stalled", SLOWLY.format(count=len(fit.indices)))

    def latest(self, fit: Fit) -> int:
        """By which the best fit is that of most members; an estimate from few of them may be small by chance."""
        return -len(fit.indices) - len(fit.held_out)

    def worst(self, fit: Fit) -> float:
        """The largest estimated error of an unknown."""
        worst = float(fit.estimate.max())
        return worst if math.isfinite(worst) else math.inf

    def meets(self, fit: Fit) -> bool:
        return bool(fit.held_out) and self.worst(fit) <= self.aim

    def _grown(self, fit: Fit, indices: Sequence[Index]) -> Iterator[Fit]:
        """The fit with the members of these indices, as they come and where those below them are there."""
        tasks = [self._task(tuple(place)) for place in points_of(indices).tolist()]
        names = {task.place: index for task, index in zip(tasks, indices, strict=True)}
        found: dict[Index, SolvedMember] = {}
        waiting = list(indices)
        for member in self.team.solved(tasks, self.context.clock.check):
            index = names[member.task.place]
            found[index] = member
            self._tell(member, fit)
            if member.solution is None:
                fit = replace(fit, blocked=fit.blocked | {index})
            ready = _ready(waiting, found, fit)
            for index in ready:
                waiting.remove(index)
                fit = fit.with_member(index, found[index], self._values(found[index]))
            if ready:
                yield fit

    def _checked(self, fit: Fit) -> Fit:
        """The fit with members at places that are drawn, which are not interpolated."""
        r = len(self.problem.ranges)
        engine = torch.Generator().manual_seed(SEED + self.problem.settings.seed)
        drawn = (2 * torch.rand(HELD_OUT.get(r, max(HELD_OUT.values())), r, generator=engine) - 1).double()
        tasks = [self._task(tuple(place)) for place in drawn.tolist()]
        for member in self.team.solved(tasks, self.context.clock.check):
            self._tell(member, fit)
            if member.solution is not None:
                fit = replace(fit, held_out=(*fit.held_out, (member, self._values(member))))
        return fit

    def _task(self, place: tuple[float, ...]) -> MemberTask:
        """The member at a place, asked for a share of the tolerance, and for what is left of the limits."""
        settings, limits = self.problem.settings, self.problem.settings.limits
        seconds = None if limits.seconds is None else max(limits.seconds - self.context.clock.seconds(), 1.0)
        memory = limits.memory_gb or memory_available() / 1e9
        asked: dict[str, Any] = {"memory_gb": memory / self.team.count}
        if seconds is not None:
            asked["seconds"] = seconds
        own = {"tolerance": max(MEMBER_SHARE * settings.tolerance, defaults.LEAST_TOLERANCE), "limits": asked}
        folder = self.folder / "_".join(f"{y:.15g}" for y in place)
        return make_task(self.problem, self.text, place, folder, own)

    def _values(self, member: SolvedMember) -> Tensor:
        """(U, N) at the points where norms are taken."""
        solution, zero = member.solution, (0,) * self.points.shape[1]
        x = self.points.to(solution.coefficients)
        return solution.basis.combined(x, [zero], solution.coefficients)[zero].double().cpu()

    def _tell(self, member: SolvedMember, fit: Fit) -> None:
        """Records a member that was solved, or that failed."""
        self.solved += 1
        words = _words(member.task.values)
        if member.solution is None:
            self.failed.append(f"the member at {words} has no solution: {member.message}")
            return
        terms = member.solution.result.get("terms") or {}
        losses = {name: (term.get("rms_residual") or 0.0) ** 2 for name, term in terms.items()}
        estimate = self.worst(fit) if fit.indices else None
        phase, loss = f"members, the last at {words}", sum(losses.values())
        self.context.record(phase, self.solved, loss, losses, estimate=estimate)


SLOWLY = (
    "the interpolation gains too little by more members ({count} so far): the solution may have a kink or a fold in a "
    "parameter; give a smaller range, or another spacing"
)


def _slow(worst: Sequence[float]) -> bool:
    """Whether the estimates of the last rounds have hardly become smaller."""
    if len(worst) <= 2 * SLOW_ROUNDS:
        return False
    return min(worst[-SLOW_ROUNDS:]) > SLOW * min(worst[:-SLOW_ROUNDS])


def _ready(waiting: Sequence[Index], found: Mapping[Index, SolvedMember], fit: Fit) -> list[Index]:
    """The indices with a solution, in order, below which nothing is missing."""
    present, ready = set(fit.indices), []
    for index in waiting:
        solved = index in found and found[index].solution is not None
        if solved and all(below in present for below in neighbours_below(index)):
            present.add(index)
            ready.append(index)
    return ready


def _words(values: Mapping[str, float]) -> str:
    return ", ".join(f"{name} = {value:.4g}" for name, value in values.items())
