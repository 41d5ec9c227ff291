"""Who solves the members of a problem with ranges: this process, or several beside it once that pays."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack

from pinnsolve import extensions
from pinnsolve.language import operators
from pinnsolve.process import processors
from pinnsolve.processes.workers import Processes
from pinnsolve.ranges.member import MemberTask, SolvedMember, collect, lost_member, solve_here, solve_there

WORTH_STARTING = 0.3  # seconds a member takes, from which on processes, which take seconds to start, save time
MOST_PROCESSES = 16


class Team:
    """Solves members, several at a time where they take long; `with Team() as team`.

    What is registered in this process is unknown in others, so that problems may depend on it are solved here.
    """

    def __init__(self) -> None:
        self._ends = ExitStack()
        self._processes: Processes | None = None
        self._seconds: list[float] = []
        known = (*extensions.BUILT_IN_BASES, *extensions.BUILT_IN_SOLVERS)
        added = {*extensions.BASES, *extensions.SOLVERS}.difference(known)
        self.count = 1 if operators.OPERATORS or added else min(processors(), MOST_PROCESSES)

    def __enter__(self) -> Team:
        return self

    def __exit__(self, *ended: object) -> None:
        self._ends.close()

    def solved(self, tasks: Sequence[MemberTask], check: Callable[[], None]) -> Iterator[SolvedMember]:
        """The members, in any order; `check` is called between them, and may end it all."""
        if self._processes is None and self.count > 1 and self._takes_long() and len(tasks) > 1:
            self._processes = self._ends.enter_context(Processes(self.count, solve_there))
        if self._processes is not None:
            for found in self._processes.results(tasks, lost_member):
                yield collect(found)
                check()
            return
        for task in tasks:
            begun = time.perf_counter()
            yield solve_here(task)
            self._seconds.append(time.perf_counter() - begun)
            check()

    def _takes_long(self) -> bool:
        return bool(self._seconds) and sum(self._seconds) / len(self._seconds) > WORTH_STARTING
