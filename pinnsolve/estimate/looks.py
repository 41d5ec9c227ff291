"""The looks at the solutions of a solve: what was seen last is kept, since results are looked at before they are
accepted, and then reported."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from torch import Tensor

from pinnsolve.assembly.rows import Assembly
from pinnsolve.compiler.terms import CompiledProblem
from pinnsolve.estimate.defect_correction import Approximation
from pinnsolve.estimate.independent_look import Look, Missed
from pinnsolve.estimate.jumps import all_missed


@dataclass(frozen=True)
class Looked:
    """A look, and what it has `seen`."""

    look: Look
    seen: tuple[Missed, ...]


class Looks:
    """Of one solve: its points are the same for every solution of a problem."""

    def __init__(self) -> None:
        self._last: Looked | None = None

    def at(
        self, problem: CompiledProblem, solution: Approximation, points: Callable[[], tuple[Assembly, Tensor]]
    ) -> Looked:
        """What a solution misses; `points()`: the terms at points of theirs, and points (N, d) of the domain."""
        last = self._last
        if last is None or last.look.problem is not problem or last.look.solution is not solution:
            check, x = points()
            look = Look(problem, solution, x)
            self._last = last = Looked(look, tuple(all_missed(look, check)))
        return last
