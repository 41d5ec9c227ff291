"""How long a solve may take: a clock with a limit, and what is said when it has passed."""

from __future__ import annotations

import time

INTERRUPTED = "interrupted by the user; the best answer so far was kept"


class OutOfTime(Exception):
    """Ends a computation in the middle because the time limit has passed; whoever began it has the answer before."""


class Clock:
    """Seconds since the solve began, and whether its limit has passed."""

    def __init__(self, limit: float | None = None):
        self.start, self.limit = time.perf_counter(), limit

    def seconds(self) -> float:
        return time.perf_counter() - self.start

    def expired(self) -> bool:
        return self.limit is not None and self.seconds() >= self.limit

    def check(self) -> None:
        """Raises OutOfTime once the limit has passed."""
        if self.expired():
            raise OutOfTime

    def message(self) -> str:
        """For a solve that ended because the limit passed."""
        return f"the time limit of {self.limit:g} s was reached; the best answer so far was kept"
