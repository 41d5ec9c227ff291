"""How long a solve may take: a clock with a limit, and the sentences for the ways in which a solve ends."""

from __future__ import annotations

import time

from pinnsolve.processes.communicator import ALONE, Communicator

# what a status says; the names in braces are filled in by `sentence`
SENTENCES = {
    "converged": "the estimated error {estimate:.1e} meets the tolerance {tolerance:g}",
    "tolerance_not_reached": "the estimated error {estimate:.1e} is above the tolerance {tolerance:g}",
    "diverged": "no usable solution was found; check the problem's conditions and coefficients",
    "interrupted": "interrupted by the user; the best answer so far was kept",
    "time_limit": "the time limit of {limit:g} s was reached; the best answer so far was kept",
    "no_memory": "{event}",
    "failed": "{event}; the best answer before is kept",
}


def sentence(status: str, **values: object) -> str:
    """The sentence for a status; empty for one without, which needs no explanation."""
    return SENTENCES.get(status, "").format(**values)


LATE, GRACE = 0.1, 0.6  # share of the limit, and seconds beside it, that a first answer may still take
NO_ANSWER = "the time limit of {limit:g} s ended the solve before there was any answer; raise limits.seconds"


class OutOfTime(Exception):
    """Ends a computation in the middle because the time limit has passed; whoever began it has the answer before."""


class Clock:
    """Seconds since the solve began, and whether its limit has passed.

    Of a solve that is divided `among` processes, the clock of the first decides for all.
    """

    def __init__(self, limit: float | None = None, among: Communicator = ALONE):
        self.start, self.limit, self.among = time.perf_counter(), limit, among

    def seconds(self) -> float:
        return time.perf_counter() - self.start

    def expired(self) -> bool:
        """Raises KeyboardInterrupt where one of several processes is asked to end."""
        self.among.check()
        return self.limit is not None and self.among.any(self.among.first and self.seconds() >= self.limit)

    def check(self) -> None:
        """Raises OutOfTime once the limit has passed."""
        if self.expired():
            raise OutOfTime

    def check_late(self) -> None:
        """The same a little later: without any answer, what is worth waiting for."""
        self.among.check()
        if self.limit is None:
            return
        late = self.seconds() >= (1.0 + LATE) * self.limit + GRACE
        if self.among.any(self.among.first and late):
            raise OutOfTime
