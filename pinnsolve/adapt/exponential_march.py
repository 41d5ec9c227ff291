"""Marches by exponentials: two solutions side by side, whose difference is the error of the coarser one.

The solution takes pairs of equal steps; the other one, in functions of higher degrees, takes four meanwhile. A pair is
one polynomial in time, by values and derivatives at its three times, and is compared with the other solution between
these, too. A pair that misses what is allowed is halved in time; one that does so by far less is followed by one twice
as long. All lengths are the time by a power of two, so that factors serve again. Degrees grow where the last
coefficients are too large.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor

from pinnsolve.adapt.exponential_degrees import MOST_DEGREE, RICHER, Degrees, beyond, difference, richer
from pinnsolve.adapt.exponential_pairs import FIRST_PARTS, TIMES, ExponentialMarch, Pair, in_pair
from pinnsolve.adapt.exponential_step import ORDER, ExponentialStepper, Space
from pinnsolve.adapt.march_watch import Means
from pinnsolve.adapt.modal_space import Lifted, ModalSpace
from pinnsolve.adapt.semilinear import Semilinear
from pinnsolve.adapt.space_state import OnGrid, Point
from pinnsolve.adapt.wave_form import WaveForm
from pinnsolve.adapt.wave_space import WaveExpressions, WaveSpace
from pinnsolve.assembly.system import shared, units
from pinnsolve.compiler.terms import CompiledProblem
from pinnsolve.solvers.memory import refuse_beyond

IN_STEPS, BETWEEN = 0.3, 0.3  # of what is allowed: the error of a step alone, of the polynomial between steps
EASY = 0.5 / 2**ORDER  # of what is allowed, the error of a pair after which one twice as long is tried
MOST_PARTS = 2**24
MANY_LEFT, PATIENCE = 2**13, 64  # pairs that are too many, where so many have been no longer: other things are stiff
SEES = 2.0  # times the width of what happens: how long a pair may be that is to see it
MOST_SHORTER = 16  # times as short may the next pair be
CRUDE, CRUDE_DEGREE, CRUDE_PARTS = 0.1, 24, 512  # relative error, degree, and shortest part of the time of a first look
NUMBER = 8  # bytes
STATES = 40  # that a pair and the factors of its steps take, per unknown, in the richer space
JOINED = 3  # times the pairs: what they and the answer made of them take
QUARTERS = (7.0 / 90, 32.0 / 90, 12.0 / 90, 32.0 / 90, 7.0 / 90)  # weights of Boole's rule
THIRDS = (1.0 / 6, 4.0 / 6, 1.0 / 6)  # those of Simpson's
Stated = Semilinear | WaveForm


@dataclass(frozen=True)
class Attempt:
    """A pair of steps tried: where both solutions end; `values`, `lifted` and `size` as of `Pair`; `gaps`: (5, U) rms
    of their difference at all quarters; `added`: (d + 1, U) squares of what the other one has at the end in degrees
    that this one lacks along each axis, and along any; `excess`: the error of a step, over what is allowed; beyond 1,
    nothing else.
    """

    ends: tuple[Point, ...]
    values: Tensor
    lifted: Tensor | None
    gaps: Tensor
    added: Tensor
    size: Tensor
    excess: float


@dataclass
class _Side:
    """One of the two solutions: where it is."""

    stepper: ExponentialStepper
    point: Point

    @property
    def space(self) -> Space:
        return self.stepper.space


@dataclass
class _Progress:
    """Between two pairs: the two solutions, and that the next one is number `number` of equal `parts` of the time;
    `size`: (U,) of the solution, so far or foreseen; `short`: how many have been too short, one after another."""

    sides: tuple[_Side, _Side]
    parts: int
    number: int = 0
    size: Tensor | None = None
    short: int = 0

    def passed(self) -> None:
        """After a pair."""
        self.short = self.short + 1 if self.parts - self.number > MANY_LEFT else 0
        self.number += 1

    def shorten(self, times: int) -> None:
        self.number, self.parts = times * self.number, times * self.parts

    def lengthen(self) -> None:
        """Where two such parts are one of half as many."""
        if self.number % 2 == 0 and self.parts > 1:
            self.number, self.parts = self.number // 2, self.parts // 2


class ExponentialMarcher:
    """Marches from the start to the end of the time; what is `allowed` of errors is relative to the solution."""

    def __init__(self, problem: CompiledProblem, axis: int, stated: Stated, allowed: float, means: Means):
        self.problem, self.allowed, self.means = problem, allowed, means
        self.low, self.high = problem.intervals[axis]
        intervals = problem.intervals[:axis] + problem.intervals[axis + 1 :]
        self._space: Callable[[Sequence[int]], Space]
        if isinstance(stated, WaveForm):
            self._space = partial(WaveSpace, intervals, stated, WaveExpressions.of(problem, axis, stated))
            self._lifted = Lifted.nothing(len(problem.unknowns))
        else:
            given = [one for of_unknown in stated.start for one in of_unknown]
            rest, start = (OnGrid.of(problem, axis, e) for e in (stated.rest, given))
            self._space = partial(ModalSpace, intervals, stated, rest, start)
            self._lifted = Lifted.of(problem, axis, stated)
        self._degrees = Degrees(self._space, allowed)

    def run(self, march: ExponentialMarch, watch: Callable[[ExponentialMarch], str | None]) -> None:
        """Adds pairs to the march; `watch(march)` is asked after each, and ends it by answering a status."""
        march.status = "stalled"
        degrees = self._resolving(march.degrees)
        if degrees is None:
            return
        march.degrees = degrees
        at = _Progress(self._begun(degrees), march.parts)
        at.size = march.foreseen = self._foreseen(at.sides[0])
        ended = None
        while ended is None and at.number < at.parts:
            self.means.check()
            ended = self._next(march, at, watch)
        march.status = ended or "finished"

    def _next(self, march: ExponentialMarch, at: _Progress, watch: Callable) -> str | None:
        """Takes a pair, or changes what it was tried with; the status, where the march ends."""
        dt = (self.high - self.low) / at.parts
        time = self.low + at.number * dt
        if dt > SEES * self.means.narrowest(time, time + dt) and at.parts <= MOST_PARTS:
            at.shorten(2)
            return None
        attempt = self._attempt(at.sides, time, dt, at.size)
        if not attempt.excess <= 1.0:
            at.shorten(_shorter(attempt.excess))
            return "stalled" if at.parts > MOST_PARTS else None
        degrees = self._asked(at, attempt, time + dt, dt)
        if degrees is None:
            return self._take(march, at, attempt, watch)
        if max(degrees) > MOST_DEGREE[len(degrees)]:
            return "stalled"
        if march.steps:
            at.sides = self._widened(at.sides, degrees, time)
        else:
            march.degrees, at.sides = degrees, self._begun(degrees)
        return None

    def _take(self, march: ExponentialMarch, at: _Progress, attempt: Attempt, watch: Callable) -> str | None:
        dt = (self.high - self.low) / at.parts
        pair = self._pair(attempt, self.low + at.number * dt, dt)
        march.steps.append(pair)
        if len(march.steps) == 1:
            march.parts = at.parts  # of a march in which less is allowed, too
        at.size = _larger(at.size, pair.size)
        coarse, fine = (_Side(side.stepper, end) for side, end in zip(at.sides, attempt.ends, strict=True))
        at.sides = coarse, fine
        at.passed()
        self._degrees.passed()
        self._check_memory(march)
        if attempt.excess < EASY:
            at.lengthen()
        return watch(march) or ("stalled" if at.short > PATIENCE else None)

    # -- steps ---------------------------------------------------------------------------------------------------------

    def _attempt(self, sides: tuple[_Side, _Side], time: float, dt: float, size: Tensor | None) -> Attempt:
        """A pair of steps, unless the journal knows it."""
        about = (time, dt, self.allowed, list(sides[0].space.degrees))
        known = self.means.journal.found("pair", *about)
        if known is not None:
            both = zip(sides, known["ends"], strict=False)  # none of a pair that was too long
            return Attempt(**{**known, "ends": tuple(side.space.at(end, time + dt) for side, end in both)})
        attempt = self._taken(sides, time, dt, size)
        values = {name: getattr(attempt, name) for name in ("values", "lifted", "gaps", "added", "size", "excess")}
        self.means.journal.add("pair", *about, values={**values, "ends": [end.state for end in attempt.ends]})
        return attempt

    def _taken(self, sides: tuple[_Side, _Side], time: float, dt: float, size: Tensor | None) -> Attempt:
        coarse, fine = sides
        points, excess, unit = [coarse.point], 0.0, size
        sizes = [self._size(coarse.space, coarse.point, time)]
        for half in range(2):
            end, error = coarse.stepper.step(points[-1], time + 0.5 * half * dt, 0.5 * dt)
            points.append(end)
            now = self._size(coarse.space, end, time + 0.5 * (half + 1) * dt)
            sizes.append(now)
            unit = _larger(unit, now)
            excess = _worst(excess, self._excess(error, unit, IN_STEPS))
            if not excess <= 1.0:  # the other solution need not follow
                nothing = torch.zeros(0, dtype=unit.dtype)
                return Attempt((), nothing, None, nothing, nothing, nothing, excess)
        others = [fine.point]
        for quarter in range(4):
            end, _ = fine.stepper.step(others[-1], time + 0.25 * quarter * dt, 0.25 * dt)
            others.append(end)
        space = coarse.space
        at = [space.plain(p) for p in points]
        rates = [dt * space.plain_rates(p, time + place * dt) for p, place in zip(points, TIMES, strict=True)]
        values, lifted = torch.stack(at + rates), self._lifted_over(space, time, dt)
        compared = torch.tensordot(in_pair(0.0, 0.25, 0.5, 0.75, 1.0), values if lifted is None else values + lifted, 1)
        plain = [fine.space.plain(p) for p in others]
        both = enumerate(zip(compared, plain, strict=True))
        gaps = torch.stack([self._gap(c, fine.space, other, time + 0.25 * k * dt) for k, (c, other) in both])
        own = torch.stack([gaps[i] - torch.maximum(gaps[i - 1], gaps[i + 1]) for i in (1, 3)]).amax(dim=0)
        in_time = fine.stepper.in_time(others, 0.25 * dt)
        excess = _worst(excess, self._excess(own, unit, BETWEEN), self._excess(in_time, unit, IN_STEPS))
        size, added = _over_time(torch.stack(sizes), THIRDS), beyond(plain[-1], values.shape[2:])
        return Attempt((points[-1], others[-1]), values, lifted, gaps, added, size, excess)

    def _excess(self, error: Tensor, unit: Tensor, share: float) -> float:
        """An error (U,) over a share of what is allowed."""
        return _largest(error, unit) / (share * self.allowed)

    def _lifted_over(self, space: Space, time: float, dt: float) -> Tensor | None:
        """What is lifted, as of `Pair`."""
        found = [self._lifted.at(space, time + place * dt) for place in TIMES]
        if found[0] is None:
            return None
        return torch.stack([values for values, _ in found] + [dt * rates for _, rates in found])

    def _gap(self, c: Tensor, space: Space, other: Tensor, time: float) -> Tensor:
        """(U,) rms of the difference between a solution and another one, of which `other` is what is in a richer space,
        both in plain functions."""
        lifted = self._lifted.at(space, time)
        off = difference(c, other if lifted is None else other + lifted[0])
        return torch.linalg.vector_norm(off.flatten(1), dim=1)

    def _pair(self, attempt: Attempt, time: float, dt: float) -> Pair:
        end = attempt.values[len(TIMES) - 1]
        last = beyond(end, [math.floor(n / RICHER) for n in end.shape[1:]])[-1]
        error = self._shared(_over_time(attempt.gaps, QUARTERS))
        loss = float((error / units(attempt.size, error)).max()) ** 2
        return Pair(time, dt, attempt.values, attempt.lifted, error, attempt.size, attempt.added[-1], last, loss)

    def _size(self, space: Space, point: Point, time: float) -> Tensor:
        """(U,) rms of the solution that a point is a part of."""
        lifted = self._lifted.at(space, time)
        if lifted is None:
            return self._shared(space.size(point))
        return self._shared(torch.linalg.vector_norm((space.plain(point) + lifted[0]).flatten(1), dim=1))

    def _shared(self, size: Tensor) -> Tensor:
        return shared(size, self.problem.groups)

    # -- degrees -------------------------------------------------------------------------------------------------------

    def _started(self, degrees: Sequence[int]) -> _Side:
        stepper = ExponentialStepper(self._space(degrees))
        return _Side(stepper, stepper.space.start(self.low))

    def _begun(self, degrees: Sequence[int]) -> tuple[_Side, _Side]:
        return self._started(degrees), self._started(richer(degrees))

    def _widened(self, sides: tuple[_Side, _Side], degrees: Sequence[int], time: float) -> tuple[_Side, _Side]:
        """The same states in functions of other degrees."""
        found = []
        for side, own in zip(sides, (degrees, richer(degrees)), strict=True):
            stepper = ExponentialStepper(self._space(own))
            found.append(_Side(stepper, stepper.space.at(stepper.space.from_other(side.space, side.point), time)))
        return found[0], found[1]

    def _resolving(self, degrees: Sequence[int]) -> tuple[int, ...] | None:
        """Degrees of the start, from these on; None where there would be too many."""
        while max(degrees) <= MOST_DEGREE[len(degrees)]:
            self.means.check()
            side = self._started(degrees)
            size = self._size(side.space, side.point, self.low)
            more = self._degrees.of_start(side.space, side.point, size, self.low)
            if more is None:
                return tuple(degrees)
            degrees = more
        return None

    def _asked(self, at: _Progress, attempt: Attempt, time: float, dt: float) -> tuple[int, ...] | None:
        """The degrees that the end of a pair asks for, at that time; None where there are enough."""
        (side, _), last = at.sides, len(TIMES) - 1
        end = attempt.values[last] if attempt.lifted is None else attempt.values[last] + attempt.lifted[last]
        size = _larger(at.size, attempt.size)
        degrees = self._degrees.of_end(side.space, end, attempt.added[:-1], size)
        return degrees or self._degrees.overlooked(side.stepper, attempt.ends[0], size, time, dt)

    # -- what is foreseen ----------------------------------------------------------------------------------------------

    def _foreseen(self, side: _Side) -> Tensor | None:
        """(U,) the size of a solution that may grow from less, by a march of few degrees and long steps; None where it
        does not grow, or such steps are no good.

        What short steps have seen so far would make them, and degrees, finer than the whole solution is worth.
        """
        first = self._size(side.space, side.point, self.low)
        grown = (self.high - self.low) * side.space.rms(side.point.rest)
        if bool((grown <= first).all()):
            return None
        crude = self._started([min(p, CRUDE_DEGREE) for p in side.space.degrees])
        number, parts, size = 0, FIRST_PARTS, first
        while number < parts:
            self.means.check()
            dt = (self.high - self.low) / parts
            end, error = crude.stepper.step(crude.point, self.low + number * dt, dt)
            now = torch.maximum(size, self._size(crude.space, end, self.low + (number + 1) * dt))
            if not _largest(error, now) <= CRUDE:
                number, parts = 2 * number, 2 * parts
                if parts > CRUDE_PARTS:
                    return None
                continue
            crude, size, number = _Side(crude.stepper, end), now, number + 1
        return size

    def _check_memory(self, march: ExponentialMarch) -> None:
        """Raises ResourceError where what is to come does not fit beside what there is."""
        taken = sum(pair.values.numel() * (1 if pair.lifted is None else 2) for pair in march.steps)
        functions = math.prod(richer(march.steps[-1].values.shape[2:]))
        needed = NUMBER * (JOINED * taken + STATES * len(self.problem.unknowns) * functions)
        refuse_beyond(self.means.memory, needed, taken)


def _shorter(excess: float) -> int:
    """How many times as many parts the time gets."""
    if not math.isfinite(excess):
        return MOST_SHORTER
    return min(2 ** math.ceil(math.log2(excess) / ORDER), MOST_SHORTER)


def _largest(error: Tensor, unit: Tensor) -> float:
    """Of errors (U,) relative to the solution; not a number where one of them is none."""
    relative = error / units(unit, error)
    return float(relative.max()) if bool(relative.isfinite().all()) else math.nan


def _worst(*values: float) -> float:
    """The largest; not a number where one of them is none, which `max` may drop."""
    return math.nan if any(math.isnan(value) for value in values) else max(values)


def _larger(size: Tensor | None, now: Tensor) -> Tensor:
    """(U,) the size of a solution so far, if there is one, and now."""
    return now if size is None else torch.maximum(size, now)


def _over_time(values: Tensor, weights: Sequence[float]) -> Tensor:
    """(U,) root mean squares over a pair of values (K, U) at equal times."""
    return torch.sqrt(torch.tensordot(torch.tensor(weights, dtype=values.dtype, device=values.device), values**2, 1))
