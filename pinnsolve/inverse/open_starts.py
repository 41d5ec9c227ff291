"""Starts that no condition gives, which only later data tell of: how much of them the data leave open.

What has faded when it was measured, data do not see, and smoothness alone bounds it. Cells that are coarse suppress it,
and so do normal equations, which hold singular values down to the root of rounding only: on either, a start looks more
certain than it is. So richer spaces are asked before a level is the last, and where cells have become too many for QR,
what they leave open is what fewer of them did.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial

import torch
from torch import Tensor

from pinnsolve.assembly.row_source import State
from pinnsolve.bases.piecewise.space import Space
from pinnsolve.inverse.fit import Answer
from pinnsolve.inverse.statement import InverseProblem, leaves_start_open
from pinnsolve.inverse.uncertainty import drawn

RESOLVED = 0.3  # weight of the data below which cells are fine enough for the data to choose weights
RICHER, GROWN = 6, 1.2  # degrees more, in which the data may leave so many times as much open where a level is the last


@dataclass
class OpenStart:
    """What is known from level to level; `open`: whether there is such a start.

    `widest`: the answer that leaves most open, of those whose cells are few enough for QR; None before the first.
    """

    open: bool
    widest: Answer | None = None

    @classmethod
    def of(cls, statement: InverseProblem) -> OpenStart:
        """Before the first level."""
        return cls(bool(statement.smoothness) and leaves_start_open(statement.problem))

    def tells_weights(self, statement: InverseProblem, space: Space) -> bool:
        """Whether weights of smoothness chosen on these cells are no worse than those at hand."""
        return self.widest is None or statement.is_dense(space)

    def judged(self, statement: InverseProblem, answer: Answer, tolerance: float) -> tuple[Answer, Space | None]:
        """The answer of a level with all that is left open, not settled where a richer space leaves more open; and that
        space."""
        if not self.open:
            return answer, None
        if statement.is_dense(answer.space):
            self.widest = _wider(self.widest, answer) if statement.measurements.weight <= RESOLVED else None
        if self.widest is not None and self.widest is not answer:
            answer = replace(answer, drawn=partial(_drawn_on, self.widest, answer.space))
        richer = _more_left_open(statement, answer) if answer.finished(tolerance, True) else None
        return (answer, None) if richer is None else (replace(answer, settled=False), richer)


def _more_left_open(statement: InverseProblem, answer: Answer) -> Space | None:
    """A richer space on which the data leave more open than on that of the answer; None where there is no such space,
    or only systems too large to look at."""
    space = answer.space
    richer = Space(space.cells, tuple(p + RICHER for p in space.degrees), space.orders)
    if not statement.is_dense(richer):
        return None
    state = State(space.widened(answer.c, richer), answer.parameters)
    here, there = (
        _spread_of(f, s) for f, s in ((answer.drawn(0)[0], space), (loosely(statement, richer, state, 0), richer))
    )
    return richer if bool((there > GROWN * here).any()) else None


def _wider(before: Answer | None, now: Answer) -> Answer:
    """The one that leaves more open, the later one of such as are about equal."""
    if before is None:
        return now
    there, here = (_spread_of(one.drawn(0)[0], one.space) for one in (before, now))
    return before if bool((there > GROWN * here).any()) else now


def _drawn_on(seen: Answer, space: Space, seed: int) -> tuple[Tensor, float]:
    """The `drawn` of an answer on other cells."""
    functions, freedom = seen.drawn(seed)
    zero, unknowns = (0,) * len(space.degrees), functions.shape[2]
    values = [partial(seen.space.values, one, alpha=zero) for one in functions]
    return torch.stack([space.project(one, unknowns) for one in values]), freedom


def loosely(statement: InverseProblem, space: Space, state: State, seed: int) -> Tensor:
    """(K, C, U, n): what noise, and smoothness as loose as the data allow, leave open at a state."""
    loose = replace(statement, smoothness=tuple(one.loosened for one in statement.smoothness))
    system = loose.system(space).scaled_at(state).reweighed(state)
    _, reduced = system.factorized(state, (), parameters=False)
    suppressed = leaves_start_open(statement.problem)
    return drawn(system, reduced, statement.measurements.unit, seed, suppressed)[0]


def _spread_of(functions: Tensor, space: Space) -> Tensor:
    """(U,) the root of the sum of the mean squares of functions (K, C, U, n)."""
    return sum(space.rms(one) ** 2 for one in functions).sqrt()
