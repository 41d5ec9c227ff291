"""Follows a sequence of ever better answers to its end: the one place that knows how a computation may end early.

Input: an iterator of levels (iterates of a solver, bases of growing width, refined cells, slabs of a march, answers to
an inverse problem). Output: the best of them, with a status and a sentence. What computes the levels simply raises: the
time limit, too little memory, Ctrl-C and arithmetic failure are turned into a status here and nowhere else.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from typing import Generic, TypeVar

from pinnsolve.errors import ResourceError
from pinnsolve.runtime import lacks_memory
from pinnsolve.solvers.budget import Clock, OutOfTime, sentence

T = TypeVar("T")
# event -> status; the first that fits
EVENTS = {
    KeyboardInterrupt: "interrupted",
    OutOfTime: "time_limit",
    ResourceError: "no_memory",
    ArithmeticError: "failed",
}
ENDS_ALL = ("interrupted", "time_limit", "stationary")  # statuses after which nothing else is tried


@dataclass(frozen=True)
class Outcome(Generic[T]):
    """The best level of a sequence, None where there was none, and how the sequence ended.

    `status`: `finished`; one of `EVENTS`, with the `event` itself; or what the sequence says by an outcome as its last
    element (`diverged`, `stalled`, `stationary`). `message`: the sentence for it. `history`: the records of a solver's
    steps.
    """

    best: T | None = None
    status: str = "finished"
    message: str = ""
    event: BaseException | None = None
    history: tuple[dict, ...] = ()

    @property
    def ends_all(self) -> bool:
        """Whether nothing else may be tried after this."""
        return self.status in ENDS_ALL

    def raised(self, *statuses: str) -> Outcome[T]:
        """This outcome; raises its event again where it ended by one of the statuses, for whoever follows outside."""
        if self.event is not None and self.status in statuses:
            raise self.event
        return self


def out_of_time(clock: Clock) -> Outcome:
    """How a sequence ends whose time is up between two levels."""
    return _ended(OutOfTime(), clock)


def _ended(event: BaseException, clock: Clock) -> Outcome:
    status = next(status for kind, status in EVENTS.items() if isinstance(event, kind))
    return Outcome(None, status, sentence(status, event=event, limit=clock.limit or math.inf), event)


def attempt(work: Callable[[], T], clock: Clock) -> T | Outcome:
    """What `work` returns, or how it ended early."""
    try:
        return work()
    except tuple(EVENTS) as event:
        return _ended(event, clock)
    except (MemoryError, RuntimeError) as error:
        if not lacks_memory(error):
            raise
        clock.among.abandon("the machine has too little memory")
        return _ended(ResourceError("the machine has too little memory for the next refinement"), clock)


def unless_late(work: Callable[[], T], late: Callable[[], T]) -> T:
    """What `work` returns, or what `late` does where the time limit has ended it: for parts of a level that can be done
    without, or by less work."""
    try:
        return work()
    except OutOfTime:
        return late()


def follow(
    levels: Iterator[T | Outcome],
    clock: Clock,
    rank: Callable[[T], object],
    enough: Callable[[T], bool] = lambda level: False,
) -> Outcome[T]:
    """Takes levels until one is good enough, or they end; the best has the smallest `rank`, the last of equal ones.

    `enough` may tell whoever follows the progress, and may be interrupted there.
    """
    best: T | None = None
    try:
        while True:
            level = attempt(partial(next, levels, Outcome()), clock)
            if isinstance(level, Outcome):
                return replace(level, best=best)
            if best is None or rank(level) <= rank(best):
                best = level
            done = attempt(partial(enough, level), clock)
            if done:
                return replace(done, best=best) if isinstance(done, Outcome) else Outcome(level)
    except KeyboardInterrupt as event:  # between the two: what is best is not to be lost
        return replace(_ended(event, clock), best=best)
