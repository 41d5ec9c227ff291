"""Gauss-Newton: the one loop that solves for coefficients and unknown parameters, and how its steps are shortened.

A step solves the linearized least squares. The factorization is kept while corrections shrink fast (chord steps:
Kelley, Iterative Methods for Linear and Nonlinear Equations, section 5.4); of linear problems, for as long as they
shrink, which refines the solution. A step that raises the loss too much is halved (Bjorck, Numerical Methods for Least
Squares Problems, section 9.2); before that, coefficients are corrected with the parameters held, where the rows curve.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

from torch import Tensor

from pinnsolve.assembly.linear_system import Bounds, Factorization, LinearSystem
from pinnsolve.assembly.row_source import RowBlock, State, check_finite, loss_by_name, residual_norm

CHORD = 0.2  # a correction that is not this much smaller than the one before calls for a new factorization,
FEW = 6  # unless, shrinking as they do, so few more will do: a factorization is as dear as many of them
SLOWEST = 0.98  # ratio of corrections that is believed
SMALL = 0.1  # relative to the solution: a step that hardly changes what residuals can reach
STILL = 0.01  # share of the loss: a step that takes no more of it away leaves the loss where it is
SHRINKS = 0.5  # corrections of a linear problem are repeated while each is this much smaller than the one before
STAGNANT = 1e-9  # corrections of a linear problem that no longer shrink are rounding below this, and an error above
ROUNDING = 3e-15  # corrections below this, relative to the solution, are rounding
LOWEST = 1e-6  # correction, relative to the solution, at which a loss that no step lowers is at its minimum
SHORTEST = 2.0**-12  # step
MOST_RESTORED, RESTORED = 12, 0.3  # steps that bring exact rows to rounding, while each leaves so much at most


@dataclass(frozen=True)
class Iteration:
    """How Gauss-Newton goes on and when it ends.

    `accuracy`: of corrections relative to the solution, at which it has converged; `stagnation`: share of the loss that
    a whole step must take away, else it has; `most`: steps; `rise`: the factor by which a step may raise the root of
    the loss, infinite for steps that are never shortened; `leaves`: the first step is never shortened, since a start
    may be a guess whose loss is small for the wrong reason; `corrections`: of the coefficients with the parameters
    held, before a step is shortened; `chord`: a correction that is not this much smaller than the one before calls for
    a new factorization, as every step does at zero; `strict`: rows that are not finite, or a matrix that is not, are an
    error, and not the end of an iteration that did not converge; `settled`: size of corrections below which a loss that
    stands still is not worth a new factorization: what is left is no matter of the iteration; `foretold`: share of the
    loss up to which a small whole step may leave another one than its linearization foretells, where that is known, to
    be the last: the next one has only to take away what the rows curve. Nor is a step taken that foretells no less than
    there is.
    """

    accuracy: float = 0.0
    stagnation: float = 0.0
    most: int = 30
    rise: float = math.inf
    leaves: bool = False
    corrections: int = 0
    chord: float = CHORD
    strict: bool = True
    settled: float = 0.0
    foretold: float = 0.0

    def is_slow(self, size: float, before: float) -> bool:
        """Whether corrections shrink too slowly for the factorization to be kept."""
        if size <= self.chord * before:
            return False
        few = 0.0 < self.accuracy < size < before and self.chord > 0.0
        return not few or math.log(self.accuracy / size) < FEW * math.log(size / before)


@dataclass(frozen=True)
class Iterate:
    """A state on the way, and at the end.

    `rows`: there; `system`: with the weights of the rows there; `reduced`: the last factorization, which `fresh` steps
    do not use; `size`: of the last correction, relative to the solution; `before`: of the one before it; `length`: of
    the last step; `ended`: whether it goes on, and `converged`, whether that is because corrections are small enough;
    `continued`: whether it was reached by way of easier equations; `doubts`: sentences on it; `still`: whether the last
    step left the loss where it was; `ratio`: of the last two corrections, where both were steps that were taken whole.
    """

    system: LinearSystem
    state: State
    rows: Sequence[RowBlock]
    reduced: Factorization | None
    fresh: bool = True
    steps: int = 0
    factorizations: int = 0
    size: float = math.inf
    before: float = math.inf
    length: float = 1.0
    ended: bool = False
    converged: bool = False
    continued: bool = False
    doubts: tuple[str, ...] = ()
    still: bool = False
    ratio: float = 0.0

    @property
    def loss(self) -> float:
        return residual_norm(self.rows) ** 2

    @property
    def terms(self) -> dict[str, float]:
        """The loss by name."""
        return loss_by_name(self.rows)

    def still_to_come(self, accuracy: float) -> float:
        """What all corrections to come add up to, where the last one says that there are some, else zero."""
        if self.converged:
            return 0.0 if self.size <= max(accuracy, STAGNANT) else self.size
        return self.size * self.amplification

    @property
    def amplification(self) -> float:
        """How many times the last correction all of those to come are, where the iteration has not converged."""
        return 1.0 if self.converged else _series(self.ratio)

    def linearized(self) -> Iterate:
        """With the factorization at the state itself, or that of the last steps, which were short."""
        if not self.fresh:
            return self
        rows, reduced = self.system.factorized(self.state, self.rows, parameters=True)
        return replace(self, rows=rows, reduced=reduced, fresh=False)


def gauss_newton(
    system: LinearSystem,
    start: State,
    how: Iteration,
    bounds: Bounds | None = None,
    known: Factorization | None = None,
) -> Iterate:
    """From `start` until corrections are small enough, or nothing lowers the loss.

    `bounds`: of the unknown parameters, None where they are held; `known`: the factorization of the same operator, to
    start with. Raises ArithmeticError where the rows at the start or their matrices are not finite, if that is
    `strict`.
    """
    at = first_iterate(system, start, known)
    if how.strict:
        check_finite(at.rows)
    while at.steps < how.most and not at.ended:
        try:
            at = next_iterate(at, how, bounds)
        except ArithmeticError:  # a derivative that is not finite, as that of a root at zero
            if how.strict:
                raise
            at = replace(at, ended=True, size=math.inf)
    return restored(at)


def restored(at: Iterate) -> Iterate:
    """The iterate with its exact rows brought to rounding, by steps that are as small as they can be; itself where no
    rows are exact."""
    for _ in range(MOST_RESTORED):
        missed = _missed_exactly(at.rows)
        if not missed > 0.0 or at.reduced is None:
            return at
        state = at.reduced.restored(at.state, at.rows)
        rows = at.system.rows(state, matrix=False)
        left = _missed_exactly(rows)
        at = replace(at, state=state, rows=rows) if left < missed else at
        if not left < RESTORED * missed:
            return at
    return at


def _missed_exactly(rows: Sequence[RowBlock]) -> float:
    """The norm of the residuals that are to vanish exactly."""
    return residual_norm([block for block in rows if block.exact])


def first_iterate(system: LinearSystem, start: State, known: Factorization | None = None) -> Iterate:
    """Where `next_iterate` goes on; see `gauss_newton`."""
    return Iterate(system, start, system.rows(start, matrix=known is None), known, fresh=known is None)


def next_iterate(at: Iterate, how: Iteration, bounds: Bounds | None) -> Iterate:
    """The iterate after a step, or the same one when it takes a new factorization to go on."""
    fresh, linear = at.fresh, at.system.linear
    if fresh:
        at = _factorized(at, bounds)
    delta, moved = at.reduced.step(at.rows, at.state.parameters, bounds)
    size = _size(at, delta, moved, bounds)
    if not math.isfinite(size):
        return replace(at, ended=True, size=size)
    if not fresh and not linear and how.is_slow(size, at.before):
        if at.still and size <= how.settled:
            return replace(at, size=_to_come(size, at.size), ended=True, converged=True)
        return replace(at, fresh=True, before=math.inf)
    if at.steps > 0 and _is_foretold(at, at.rows, how):
        return replace(at, steps=at.steps + 1, size=size, length=0.0, ended=True, converged=True)
    state, rows, length = _shortened(at, delta, moved, how)
    if state is None:
        if not fresh:
            return replace(at, fresh=True, before=math.inf)
        lowest = size <= max(how.accuracy, LOWEST)
        return replace(at, steps=at.steps + 1, size=size, length=0.0, ended=True, converged=lowest)
    stagnates = linear and at.steps > 0 and size > SHRINKS * at.before
    if stagnates and residual_norm(rows) > residual_norm(at.rows) * (1 + 1e-12):
        return replace(at, size=size, ended=True, converged=True)
    small = size * length <= max(how.accuracy, ROUNDING) or _stands_still(at, rows, length, how)
    small = small or (size <= SMALL and length == 1.0 and _is_foretold(at, rows, how))
    slow = length < 1.0 or (not linear and how.is_slow(size, at.before))
    still = not linear and length == 1.0 and not residual_norm(rows) ** 2 < (1 - STILL) * at.loss
    settled = slow and still and size <= how.settled
    before = at.before if linear and size >= at.before else size
    ratio = size / at.size if min(length, at.length) == 1.0 and at.size > 0.0 else 0.0
    size = _to_come(size, at.size) if settled else size
    return replace(
        at, state=state, rows=rows, fresh=slow, steps=at.steps + 1, size=size, before=before, length=length,
        ended=small or stagnates or settled, converged=small or stagnates or settled, still=still,
        ratio=ratio,
    )  # fmt: skip


def _to_come(size: float, before: float) -> float:
    """The sum of all corrections to come, which shrink as the last two did."""
    return size * _series(size / before) if before > 0.0 else size


def _series(ratio: float) -> float:
    """The sum of a geometric series that begins with one."""
    return 1.0 / (1.0 - min(ratio, SLOWEST))


def _stands_still(at: Iterate, rows: Sequence[RowBlock], length: float, how: Iteration) -> bool:
    """Whether a step took too little of the loss away. Leaving a guess counts as progress."""
    if not how.stagnation or at.system.linear or (how.leaves and at.steps == 0):
        return False
    return not residual_norm(rows) ** 2 < (1 - how.stagnation * length) * at.loss


def _is_foretold(at: Iterate, rows: Sequence[RowBlock], how: Iteration) -> bool:
    """Whether rows have the loss that the linearization foretold for the end of a step: they need not take it."""
    if not how.foretold or at.system.linear:
        return False
    loss = residual_norm(rows) ** 2
    return abs(loss - at.reduced.foretold_loss()) <= how.foretold * loss


def _factorized(at: Iterate, bounds: Bounds | None) -> Iterate:
    system = at.system.reweighed(at.state)
    rows = at.rows if system is at.system else ()
    rows, reduced = system.factorized(at.state, rows, bounds is not None)
    return replace(at, system=system, rows=rows, reduced=reduced, fresh=False, factorizations=at.factorizations + 1)


def _size(at: Iterate, delta: Tensor, moved: Tensor, bounds: Bounds | None) -> float:
    """A step relative to the solution and to the parameters."""
    size = at.system.relative_size(at.state.coefficients, delta)
    if bounds is not None and len(moved):
        whole = (at.state.parameters + moved).abs().maximum(1e-3 * bounds.size)
        size = max(size, float((moved.abs() / whole).max()))
    return size


def _shortened(at: Iterate, delta: Tensor, moved: Tensor, how: Iteration) -> tuple[State | None, list[RowBlock], float]:
    """The state after the longest of the halved steps that does not raise the loss too much, its rows and the length;
    None where there is no such step. Of linear problems, all steps are taken whole; of others, none leads to where a
    root, a logarithm or a quotient is not defined."""
    whole = at.system.linear or (how.leaves and at.steps == 0)
    allowed = math.inf if whole else residual_norm(at.rows) * how.rise
    length = 1.0
    while length > SHORTEST:
        trial = State(at.state.coefficients + length * delta, at.state.parameters + length * moved)
        for number in range(how.corrections + 1):
            rows = at.system.rows(trial, matrix=False)
            now = residual_norm(rows)
            if at.system.linear or (math.isfinite(now) and now <= allowed):
                return trial, rows, length
            if number < how.corrections:
                trial = at.reduced.corrected(trial, rows)
        length *= 0.5
    return None, [], 0.0
