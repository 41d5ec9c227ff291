"""What the error of a step in time may be, so that those of all steps together meet a tolerance."""

from __future__ import annotations

from dataclasses import dataclass, replace

LEAST_AT_END = 1e-3  # of the error inside steps: where their ends alone are to blame no longer
INSIDE = 0.3  # of the tolerance, that the error inside a step alone may be
AT_END = 0.3  # of the tolerance, that the end of a step may add at first: how ends add up is seen as it goes
CARRIED = 0.3  # of the tolerance, that errors carried on may take up at first; all of it at the end
PACE = 0.7  # of that, from which on less is allowed
EASY = 0.3  # of that, below which more is allowed again, where the error carried on shrinks
TIGHTER = 0.5  # what is allowed of a step then, of what was
LEAST_SHARE = 0.05  # of the tolerance, below which steps get no less while they go on


@dataclass(frozen=True)
class Aim:
    """What the error of a step alone, relative to the solution, may be: `inside` it, and what is left `at_end`, `most`
    of which was allowed at first; and of the `whole` time."""

    inside: float
    at_end: float
    whole: float
    most: float = 0.0

    @classmethod
    def first(cls, tolerance: float) -> Aim:
        return cls(INSIDE * tolerance, AT_END * tolerance, tolerance, AT_END * tolerance)

    def smaller(self, factor: float) -> Aim:
        """After a march whose error grew beyond the tolerance: by what steps hand on, at first."""
        at_end = self.at_end * factor
        inside = self.inside if at_end > LEAST_AT_END * self.inside else self.inside * factor
        return replace(self, at_end=at_end, inside=inside, most=at_end)

    def after(self, carried: float, before: float, passed: float) -> Aim:
        """Less where the error that is carried on, relative, grows and uses up what is allowed of the whole time before
        its end; more again, up to what was allowed at first, where solutions forget it.

        `before`: what it was some steps ago; `passed`: the share of the time. Better to see it now than to march again.
        """
        budget = self.whole * (CARRIED + (1.0 - CARRIED) * passed)
        if carried > before:
            spare = self.at_end > LEAST_SHARE * self.whole
            return replace(self.smaller(TIGHTER), most=self.most) if spare and carried > PACE * budget else self
        more = min(self.at_end / TIGHTER, self.most)
        return replace(self, at_end=more) if carried < EASY * budget and more > self.at_end else self
