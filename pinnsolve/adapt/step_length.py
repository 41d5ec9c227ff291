"""How long steps in time are, and how many are left of them.

Of a steady operator lengths are the whole time over powers of two, so that a few factorizations serve all steps. Where
factorizations are renewed anyway, or serve any length, it is any that fits into the time that is left (Hairer & Wanner,
Solving Ordinary Differential Equations II, section IV.8: the length follows from the error and its order).
"""

from __future__ import annotations

import math

FIRST_PARTS = 16  # of the time, for the first try
MOST_PARTS, AT_ONCE = 2**20, 2**5  # of the time; of a step, at once
LESS_LIKELY = 0.5  # of what is allowed may be the error that a longer step is expected to have
SAVED, SAVED_FREE = 12, 3  # steps that longer ones must save to be worth their factorizations
SAVED_SHARED = 1  # the same where these serve any length
REFUSED_AGAIN, REFUSED_AGAIN_FREE = 32, 8  # steps before a length that was refused is tried again
NOT_FOUND, NOT_FOUND_AGAIN = 1.5, 2.0  # where Newton's method fails with a step, and others were taken before: how much
# shorter; and where it fails once more
WORTH_IT, AT_MOST = 1.5, 2.0  # times as long: the least change, and the most
BELOW_REFUSED = 0.8  # of a length that was refused lately


class StepLength:
    """`dt`, so that `left` steps of it end at `high`. `free`: whether it may be any, and not only halved or doubled;
    `order`: of the error in a step; `shared`: whether factorizations serve any length."""

    def __init__(self, low: float, high: float, dt: float, free: bool, order: int, shared: bool = False):
        self.low, self.high, self.free, self.order, self.shared = low, high, free or shared, order, shared
        self.left = max(math.ceil((high - low) / dt * (1 - 1e-9)), 1)
        self.dt = (high - low) / self.left
        self._refused: dict[float, int] = {}  # by length, how many steps there were when it was
        self._failed = False  # whether Newton's method did since the last step
        self._refused_longer = False  # whether any was
        self._before: tuple[float, int] | None = None  # while no longer step has shown whether it does

    @property
    def time(self) -> float:
        """Where the next step starts."""
        return self.high - self.left * self.dt

    @property
    def share(self) -> float:
        """Of the whole time."""
        return self.dt / (self.high - self.low)

    @property
    def done(self) -> int:
        """How many steps of this length there would have been."""
        return round((self.time - self.low) / self.dt)

    @property
    def too_short(self) -> bool:
        return self.share < 1.0 / MOST_PARTS

    def taken(self) -> None:
        """A step was."""
        self.left, self._before, self._failed = self.left - 1, None, False

    def shorten(self, ratio: float, steps: int) -> None:
        """By a ratio > 1, or the power of two above it; `steps`: how many there were."""
        self._refused[self.dt] = steps
        parts = math.ceil(self.left * ratio) if self.free else self.left * 2 ** max(math.ceil(math.log2(ratio)), 1)
        self._change(parts)

    def shorten_for(self, error: float, before: tuple[float, float] | None, steps: int) -> None:
        """So that a step will do whose error is so many times what is allowed; `before`: that of a longer step, and its
        length: errors go on falling as they did, or fall as those of smooth solutions do."""
        rate = float(self.order)
        if before is not None and error < before[0]:
            rate = min(math.log(before[0] / error) / math.log(before[1] / self.dt), rate)
        allowed = LESS_LIKELY if self.free else 1.0
        self.shorten(min(max(error / allowed, 1.0 + 1e-9) ** (1.0 / rate), AT_ONCE), steps)

    def fails(self, steps: int) -> None:
        """Shorter, since Newton's method failed."""
        again, self._failed = self._failed, True
        if not self.back(steps):
            self.shorten(NOT_FOUND if steps and not again else NOT_FOUND_AGAIN, steps)

    def lengthen(self, error: float, steps: int) -> bool:
        """Longer where that is worth it after a step with an error of so many times what is allowed; whether it is."""
        ratio = self._longer(error, steps) if self.free else self._doubled(error, steps)
        if ratio is None:
            return False
        self._before = self.dt, self.left
        self._change(max(math.ceil(self.left / ratio), 1))
        return True

    def back(self, steps: int) -> bool:
        """As before it was lengthened, where the step that does not do is the first longer one; whether it is."""
        if self._before is None:
            return False
        self._refused[self.dt], self._refused_longer = steps, True
        (self.dt, self.left), self._before = self._before, None
        return True

    def restore(self, dt: float) -> None:
        """That of an earlier try."""
        self._change(round(self.left * self.dt / dt))

    def _change(self, parts: int) -> None:
        self.dt, self.left = self.left * self.dt / parts, parts

    def _doubled(self, error: float, steps: int) -> float | None:
        if self.left % 2 or self.done % 2 or self.left / 2 < SAVED:
            return None
        last = self._refused.get(2.0 * self.dt) or None  # what a layer at the start refuses says nothing of later
        if last is not None and steps - last < REFUSED_AGAIN:
            return None
        return 2.0 if error * 2.0**self.order < LESS_LIKELY else None

    def _longer(self, error: float, steps: int) -> float | None:
        # one that is refused costs a step, and where it is not shared a factorization; layers soon take longer steps
        # than errors of that order allow
        order = self.order / 2 if self.shared and not self._refused_longer else self.order
        ratio = min((LESS_LIKELY / max(error, 1e-300)) ** (1.0 / order), AT_MOST)
        lately = [dt for dt, when in self._refused.items() if when and steps - when < REFUSED_AGAIN_FREE]
        ratio = min([ratio, *(BELOW_REFUSED * dt / self.dt for dt in lately)])
        saved = SAVED_SHARED if self.shared else SAVED_FREE
        return ratio if ratio >= WORTH_IT and self.left * (1.0 - 1.0 / ratio) >= saved else None
