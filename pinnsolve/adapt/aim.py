"""What the error of a step in time may be, so that those of all steps together meet a tolerance."""

from __future__ import annotations

from dataclasses import dataclass, replace

LEAST_AT_END = 1e-3  # of the error inside steps: where their ends alone are to blame no longer
INSIDE = 0.3  # of the tolerance, that the error inside a step alone may be
AT_END = 0.3  # of the tolerance, that the end of a step may add at first: how ends add up is seen as it goes
CARRIED = 0.3  # of the tolerance, that errors carried on may take up at first; all of it at the end
PACE = 0.7  # of that, from which on less is allowed
TIGHTER = 0.5  # what is allowed of a step then, of what was
LEAST_SHARE = 0.05  # of the tolerance, below which steps get no less while they go on


@dataclass(frozen=True)
class Aim:
    """What the error of a step alone, relative to the solution, may be: `inside` it, and what is left `at_end`; and of
    the `whole` time."""

    inside: float
    at_end: float
    whole: float

    @classmethod
    def first(cls, tolerance: float) -> Aim:
        return cls(INSIDE * tolerance, AT_END * tolerance, tolerance)

    def smaller(self, factor: float) -> Aim:
        """After a march whose error grew beyond the tolerance: by what steps hand on, at first."""
        at_end = self.at_end * factor
        inside = self.inside if at_end > LEAST_AT_END * self.inside else self.inside * factor
        return replace(self, at_end=at_end, inside=inside)

    def after(self, carried: float, passed: float) -> Aim:
        """Where the error that is carried on, relative, uses up what is allowed of the whole time before its end: less.

        `passed`: the share of the time. Better to see it now than to march again.
        """
        budget = self.whole * (CARRIED + (1.0 - CARRIED) * passed)
        spare = self.at_end > LEAST_SHARE * self.whole
        return self.smaller(TIGHTER) if spare and carried > PACE * budget else self
