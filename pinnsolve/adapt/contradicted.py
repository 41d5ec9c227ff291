"""Do residuals at fresh points contradict a level that meets its tolerance? Asked while it may still be refined.

Where a solution has infinite derivatives, the first cells may hold it to the tolerance in the mean and still miss what
passes through them by far. Finer cells mend that; what no function solves they do not mend.

At a loose tolerance a compromise between conditions that contradict each other misses no more than a coarse solution
does. But a richer space takes nothing of what it misses away, and neither does the next level.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from pinnsolve.adapt.context import Result, SolveContext
from pinnsolve.adapt.verdict import STUCK, beyond_estimate, contradicting, left_of
from pinnsolve.estimate.integrals import with_integrals
from pinnsolve.estimate.missed_exactly import missed_exactly

STAYS = 0.3  # of the residual is what a richer space leaves, at least, where it may be that of a compromise
FADES = 0.75  # of what a suspect missed is the most that a finer level of a solution misses
FALLS = 0.5  # of what was missed is the most that a finer level may miss, if still finer ones are to help
MOST = 4  # levels that are looked at


@dataclass(frozen=True)
class Shares:
    """`contradicting`: the largest share that a result misses of an equation, a condition or its continuity where that
    contradicts its estimate, or of what is to hold exactly; 0 if none does. `beyond`: the shares that are above its
    estimate, by name and number of the residual, and `all` of them; `left`: of the residual by a richer space.
    """

    contradicting: float
    beyond: Mapping[tuple[str, int], float]
    all: Mapping[tuple[str, int], float]
    left: float

    @property
    def largest(self) -> float:
        return max(self.all.values(), default=0.0)

    @property
    def is_suspect(self) -> bool:
        """Whether it may be a compromise between conditions that contradict each other."""
        return bool(self.beyond) and self.left > STAYS

    def lasts(self, suspect: Shares) -> bool:
        """Whether one of the residuals of a coarser level that was suspicious has not become smaller, or none has."""
        if self.beyond and self.left > STUCK:
            return True
        return any(not self.all.get(one, 0.0) <= FADES * share for one, share in suspect.beyond.items())


def shares_missed(context: SolveContext, result: Result, tolerance: float) -> Shares:
    """By how much a result that meets the tolerance misses what it should solve."""
    result = replace(result, approximation=with_integrals(context.problem, result.approximation))
    looked = context.looked_at(result.approximation).seen
    missed = contradicting(context.problem, result, looked, tolerance) or missed_exactly(context.problem, looked)
    beyond = {(one.name, one.number): one.share for one in beyond_estimate(context.problem, result, looked)}
    everything = {(one.name, one.number): one.share for one in looked} | beyond
    return Shares(missed[0].share if missed else 0.0, beyond, everything, left_of(result))


@dataclass
class Suspicions:
    """What speaks against results that meet the tolerance, one after another.

    `missed`: by those whose estimates that contradicts; `suspects`: among the others, which may be compromises.
    """

    context: SolveContext
    tolerance: float
    missed: list[float] = field(default_factory=list)
    suspects: list[Shares] = field(default_factory=list)

    def missed_by(self, result: Result) -> float:
        """By what residuals speak against a result; a suspect does until a finer one misses less."""
        shares = shares_missed(self.context, result, self.tolerance)
        if shares.contradicting:
            self.missed.append(shares.contradicting)
            return shares.contradicting
        if shares.lasts(self.suspects[0]) if self.suspects else shares.is_suspect:
            self.suspects.append(shares)
            return shares.largest
        return 0.0

    @property
    def confirmed(self) -> bool:
        """Whether finer results are in vain."""
        return is_in_vain(self.missed) or len(self.missed) + len(self.suspects) >= MOST


def is_in_vain(missed: Sequence[float]) -> bool:
    """Whether finer levels will miss as much; `missed`: by those that met the tolerance, one after another."""
    if len(missed) < 2:
        return False
    return len(missed) >= MOST or not missed[-1] <= FALLS * missed[-2]
