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
from dataclasses import dataclass, field

import torch
from torch import Tensor

from pinnsolve.adapt.exponential_step import ORDER, ExponentialStepper, Point
from pinnsolve.adapt.modal_space import Lifted, ModalSpace, OnGrid, State, rms
from pinnsolve.adapt.semilinear import Semilinear
from pinnsolve.assembly.system import shared, units
from pinnsolve.bases.legendre import legendre
from pinnsolve.compiler.terms import CompiledProblem
from pinnsolve.runtime import cached_by_device
from pinnsolve.solvers.journal import NOTHING, Journal
from pinnsolve.solvers.memory import refuse_beyond

IN_STEPS, BETWEEN = 0.3, 0.3  # of what is allowed: the error of a step alone, of the polynomial between steps
LAST, IN_LAST = 0.12, 0.5  # share of the degrees of an axis that are its last ones; of what is allowed, their size
GROWS, GROWS_AT_FIRST = 1.2, 1.5  # times the degrees, where they are too few
RICHER = 1.15  # times the degrees, those of the other solution
MOST_DEGREE = {2: 400, 3: 80}  # by axes of space; solutions that ask for more have fronts, for which cells are
EASY = 0.5 / 2**ORDER  # of what is allowed, the error of a pair after which one twice as long is tried
FIRST_PARTS = 64  # of the time, the first pair is one
MOST_PARTS = 2**24
MOST_SHORTER = 16  # times as short may the next pair be
OF_STEPS = 1.0 / (2**ORDER - 1)  # of the error of steps is what steps half as long leave
CRUDE, CRUDE_DEGREE, CRUDE_PARTS = 0.1, 24, 512  # relative error, degree, and shortest part of the time of a first look
NUMBER = 8  # bytes
STATES = 40  # that a pair and the factors of its steps take, per unknown, in the richer space
JOINED = 3  # times the pairs: what they and the answer made of them take
TIMES = (0.0, 0.5, 1.0)  # of a pair, where its values and derivatives are known
QUARTERS = (7.0 / 90, 32.0 / 90, 12.0 / 90, 32.0 / 90, 7.0 / 90)  # weights of Boole's rule
THIRDS = (1.0 / 6, 4.0 / 6, 1.0 / 6)  # those of Simpson's


@dataclass(frozen=True)
class Pair:
    """Two steps from `time` on, `dt` both: `values` (6, U, q_1, ..., q_d) in plain functions of space, at `TIMES`, then
    `dt` times the derivatives; of the `lifted` function, too, where there is one.

    `error`, `size`: (U,) rms of the difference to the other solution, and of this one. `added`, `last`: (U,) squares of
    what the other one has in the degrees that this one lacks, and this one in as many before. `loss`: that of step.
    """

    time: float
    dt: float
    values: Tensor
    lifted: Tensor | None
    error: Tensor
    size: Tensor
    added: Tensor
    last: Tensor
    loss: float


@dataclass(frozen=True)
class Attempt:
    """A pair of steps tried: where both solutions end; `values`, `lifted` and `size` as of `Pair`; `gaps`: (5, U) rms
    of their difference at all quarters; `excess`: the error of a step, over what is allowed; beyond 1, nothing else.
    """

    ends: tuple[Point, ...]
    values: Tensor
    lifted: Tensor | None
    gaps: Tensor
    size: Tensor
    excess: float


@dataclass
class _Side:
    """One of the two solutions: where it is."""

    stepper: ExponentialStepper
    point: Point

    @property
    def space(self) -> ModalSpace:
        return self.stepper.space


@dataclass
class ExponentialMarch:
    """What was reached, in `steps`, and how it went: see `collocation_march.March`. `degrees` to begin with, and of how
    many `parts` of the time the first pair is one."""

    degrees: tuple[int, ...]
    parts: int = FIRST_PARTS
    steps: list[Pair] = field(default_factory=list)
    status: str = "finished"
    foreseen: Tensor | None = None

    @property
    def time(self) -> float:
        """Where it has come to."""
        return self.steps[-1].time + self.steps[-1].dt

    def reaches(self, high: float) -> bool:
        """Whether its steps, of which there are some, end there."""
        return self.time >= high - 1e-9 * (high - self.steps[0].time)

    def error(self) -> float:
        """The estimated relative error over the time so far."""
        return float(self.relative().max())

    def relative(self) -> Tensor:
        """(U,): the difference of the two solutions, and what the other one lacks itself: of steps half as long, and of
        degrees beyond its own. Coefficients of these fall on by the ratio by which they fell before."""
        squares = [self._summed(torch.stack([getattr(s, name) ** 2 for s in self.steps])) for name in ("error", "size")]
        error, size = (torch.sqrt(one) for one in squares)
        added, last = (torch.sqrt(self._summed(torch.stack([getattr(s, name) for s in self.steps])))
                       for name in ("added", "last"))  # fmt: skip
        ratio = (added / units(last, added)).clamp_max(0.9)
        beyond = added * ratio / (1.0 - ratio)
        return ((1.0 + OF_STEPS) * error + beyond) / units(size, error)

    def _summed(self, values: Tensor) -> Tensor:
        dt = torch.tensor([s.dt for s in self.steps], dtype=values.dtype, device=values.device)
        return torch.tensordot(dt, values, 1)


@dataclass(frozen=True)
class Means:
    """What a march may take: `check` raises once there is no time left; bytes of memory; who keeps its pairs."""

    check: Callable[[], None]
    memory: float = math.inf
    journal: Journal = NOTHING


class ExponentialMarcher:
    """Marches from the start to the end of the time; what is `allowed` of errors is relative to the solution."""

    def __init__(self, problem: CompiledProblem, axis: int, stated: Semilinear, allowed: float, means: Means):
        self.problem, self.stated, self.allowed, self.means = problem, stated, allowed, means
        self.low, self.high = problem.intervals[axis]
        self.intervals = problem.intervals[:axis] + problem.intervals[axis + 1 :]
        self._rest, self._start = (OnGrid.of(problem, axis, e) for e in (stated.rest, stated.start))
        self._lifted = Lifted.of(problem, axis, stated)

    def run(self, march: ExponentialMarch, watch: Callable[[ExponentialMarch], str | None]) -> None:
        """Adds pairs to the march; `watch(march)` is asked after each, and ends it by answering a status."""
        march.status = "stalled"
        degrees = self._resolving(march.degrees)
        if degrees is None:
            return
        march.degrees = degrees
        sides = self._begun(degrees)
        size = march.foreseen = self._foreseen(sides[0])
        number, parts = 0, march.parts
        while number < parts:
            self.means.check()
            time, dt = self.low + number * (self.high - self.low) / parts, (self.high - self.low) / parts
            attempt = self._attempt(sides, time, dt, size)
            if attempt.excess > 1.0 or not math.isfinite(attempt.excess):
                if parts >= MOST_PARTS:
                    return
                shorter = _shorter(attempt.excess)
                number, parts = shorter * number, shorter * parts
                continue
            grown = self._grown(sides[0].space, attempt, size)
            if grown is not None:
                if max(grown) > MOST_DEGREE[len(grown)]:
                    return
                if march.steps:
                    sides = self._widened(sides, grown, time)
                else:
                    march.degrees, sides = grown, self._begun(grown)
                continue
            march.steps.append(self._pair(sides, attempt, time, dt))
            self._check_memory(march)
            now = march.steps[-1].size
            size = now if size is None else torch.maximum(size, now)
            sides = tuple(_Side(side.stepper, end) for side, end in zip(sides, attempt.ends, strict=True))
            status = watch(march)
            if status is not None:
                march.status = status
                return
            number += 1
            if len(march.steps) == 1:
                march.parts = parts  # of a march in which less is allowed, too
            if attempt.excess < EASY and number % 2 == 0:
                number, parts = number // 2, parts // 2
        march.status = "finished"

    # -- steps ---------------------------------------------------------------------------------------------------------

    def _attempt(self, sides: tuple[_Side, _Side], time: float, dt: float, size: Tensor | None) -> Attempt:
        """A pair of steps, unless the journal knows it."""
        about = (time, dt, self.allowed, list(sides[0].space.degrees))
        known = self.means.journal.found("pair", *about)
        if known is not None:
            both = zip(sides, known["ends"], strict=False)  # none of a pair that was too long
            return Attempt(**{**known, "ends": tuple(side.stepper.at(end, time + dt) for side, end in both)})
        attempt = self._taken(sides, time, dt, size)
        values = {name: getattr(attempt, name) for name in ("values", "lifted", "gaps", "size", "excess")}
        self.means.journal.add("pair", *about, values={**values, "ends": [end.state for end in attempt.ends]})
        return attempt

    def _taken(self, sides: tuple[_Side, _Side], time: float, dt: float, size: Tensor | None) -> Attempt:
        coarse, fine = sides
        points, excess, unit = [coarse.point], 0.0, size
        for half in range(2):
            end, error = coarse.stepper.step(points[-1], time + 0.5 * half * dt, 0.5 * dt)
            points.append(end)
            now = self._size(coarse.space, end.state, time + 0.5 * (half + 1) * dt)
            unit = now if unit is None else torch.maximum(unit, now)
            excess = max(excess, _largest(error / units(unit, error)) / (IN_STEPS * self.allowed))
            if not excess <= 1.0:  # the other solution need not follow
                nothing = torch.zeros(0, dtype=unit.dtype)
                return Attempt((), nothing, None, nothing, nothing, excess)
        others = [fine.point]
        for quarter in range(4):
            end, _ = fine.stepper.step(others[-1], time + 0.25 * quarter * dt, 0.25 * dt)
            others.append(end)
        space = coarse.space
        at = [space.plain(p.state) for p in points]
        rates = [dt * space.plain(space.derivative(p.state, p.rest)) for p in points]
        between = torch.tensordot(in_pair(0.25, 0.75), torch.stack(at + rates), 1)
        compared = [at[0], between[0], at[1], between[1], at[2]]
        gaps = torch.stack(
            [
                rms([a - b for a, b in zip(fine.space.nearest(c), p.state, strict=True)])
                for c, p in zip(compared, others, strict=True)
            ]
        )
        own = torch.stack([gaps[i] - torch.maximum(gaps[i - 1], gaps[i + 1]) for i in (1, 3)]).amax(dim=0)
        excess = max(excess, _largest(own / units(unit, own)) / (BETWEEN * self.allowed))
        sizes = torch.stack(
            [self._size(space, p.state, time + place * dt) for place, p in zip(TIMES, points, strict=True)]
        )
        lifted = self._lifted_over(space, time, dt)
        return Attempt(
            (points[-1], others[-1]), torch.stack(at + rates), lifted, gaps, _over_time(sizes, THIRDS), excess
        )

    def _lifted_over(self, space: ModalSpace, time: float, dt: float) -> Tensor | None:
        """What is lifted, as of `Pair`."""
        found = [self._lifted.at(space, time + place * dt) for place in TIMES]
        if found[0] is None:
            return None
        return torch.stack([values for values, _ in found] + [dt * rates for _, rates in found])

    def _pair(self, sides: tuple[_Side, _Side], attempt: Attempt, time: float, dt: float) -> Pair:
        fine = sides[1].space
        end = attempt.values[len(TIMES) - 1]
        added = _beyond(fine.plain(attempt.ends[1].state), end.shape[1:])
        last = _beyond(end, [math.floor(n / RICHER) for n in end.shape[1:]])
        error = self._shared(_over_time(attempt.gaps, QUARTERS))
        loss = float((error / units(attempt.size, error)).max()) ** 2
        return Pair(time, dt, attempt.values, attempt.lifted, error, attempt.size, added, last, loss)

    def _size(self, space: ModalSpace, state: State, time: float) -> Tensor:
        """(U,) rms of the solution that a state is a part of."""
        lifted = self._lifted.at(space, time)
        if lifted is None:
            return self._shared(rms(state))
        return self._shared(torch.linalg.vector_norm((space.plain(state) + lifted[0]).flatten(1), dim=1))

    def _shared(self, size: Tensor) -> Tensor:
        return shared(size, self.problem.groups)

    # -- degrees -------------------------------------------------------------------------------------------------------

    def _space(self, degrees: Sequence[int]) -> ModalSpace:
        return ModalSpace(self.intervals, self.stated, self._rest, degrees)

    def _started(self, degrees: Sequence[int]) -> _Side:
        stepper = ExponentialStepper(self._space(degrees))
        space = stepper.space
        values = self._start(self._start.at(space.points), self.low)
        state = [space.tested(u, value) for u, value in enumerate(values)]
        return _Side(stepper, stepper.at(state, self.low))

    def _begun(self, degrees: Sequence[int]) -> tuple[_Side, _Side]:
        return self._started(degrees), self._started(_richer(degrees))

    def _widened(self, sides: tuple[_Side, _Side], degrees: Sequence[int], time: float) -> tuple[_Side, _Side]:
        """The same states in functions of other degrees."""
        found = []
        for side, own in zip(sides, (degrees, _richer(degrees)), strict=True):
            stepper = ExponentialStepper(self._space(own))
            found.append(_Side(stepper, stepper.at(stepper.space.nearest(side.space.plain(side.point.state)), time)))
        return found[0], found[1]

    def _resolving(self, degrees: Sequence[int]) -> tuple[int, ...] | None:
        """Degrees of the start, from these on; None where there would be too many."""
        while max(degrees) <= MOST_DEGREE[len(degrees)]:
            self.means.check()
            side = self._started(degrees)
            c = side.space.plain(side.point.state)
            short = self._short(c, self._size(side.space, side.point.state, self.low))
            if not any(short):
                return tuple(degrees)
            degrees = _more(degrees, short, GROWS_AT_FIRST)
        return None

    def _grown(self, space: ModalSpace, attempt: Attempt, size: Tensor | None) -> tuple[int, ...] | None:
        """The degrees that the end of a pair asks for; None where they are enough."""
        unit = attempt.size if size is None else torch.maximum(size, attempt.size)
        last = len(TIMES) - 1
        end = attempt.values[last] if attempt.lifted is None else attempt.values[last] + attempt.lifted[last]
        short = self._short(end, unit)
        return _more(space.degrees, short, GROWS) if any(short) else None

    def _short(self, c: Tensor, size: Tensor) -> list[bool]:
        """Per axis, whether the last coefficients of functions (U, q_1, ...) are too large for what is allowed."""
        found = []
        for axis in range(c.dim() - 1):
            count = math.ceil(LAST * c.shape[axis + 1])
            last = c.narrow(axis + 1, c.shape[axis + 1] - count, count).flatten(1)
            tail = torch.linalg.vector_norm(last, dim=1)
            found.append(bool((tail > IN_LAST * self.allowed * units(size, tail)).any()))
        return found

    # -- what is foreseen ----------------------------------------------------------------------------------------------

    def _foreseen(self, side: _Side) -> Tensor | None:
        """(U,) the size of a solution that may grow from less, by a march of few degrees and long steps; None where it
        does not grow, or such steps are no good.

        What short steps have seen so far would make them, and degrees, finer than the whole solution is worth.
        """
        first = self._size(side.space, side.point.state, self.low)
        grown = (self.high - self.low) * rms(side.point.rest)
        if bool((grown < first).all()):
            return None
        crude = self._started([min(p, CRUDE_DEGREE) for p in side.space.degrees])
        number, parts, size = 0, FIRST_PARTS, first
        while number < parts:
            self.means.check()
            dt = (self.high - self.low) / parts
            end, error = crude.stepper.step(crude.point, self.low + number * dt, dt)
            now = torch.maximum(size, self._size(crude.space, end.state, self.low + (number + 1) * dt))
            off = _largest(error / units(now, error))
            if not off <= CRUDE:
                number, parts = 2 * number, 2 * parts
                if parts > CRUDE_PARTS:
                    return None
                continue
            crude, size, number = _Side(crude.stepper, end), now, number + 1
        return size

    def _check_memory(self, march: ExponentialMarch) -> None:
        """Raises ResourceError where what is to come does not fit beside what there is."""
        taken = sum(pair.values.numel() * (1 if pair.lifted is None else 2) for pair in march.steps)
        richer = math.prod(_richer(march.steps[-1].values.shape[2:]))
        needed = NUMBER * (JOINED * taken + STATES * len(self.problem.unknowns) * richer)
        refuse_beyond(self.means.memory, needed, taken)


def _shorter(excess: float) -> int:
    """How many times as many parts the time gets."""
    if not math.isfinite(excess):
        return MOST_SHORTER
    return min(2 ** math.ceil(math.log2(excess) / ORDER), MOST_SHORTER)


def _more(degrees: Sequence[int], short: Sequence[bool], times: float) -> tuple[int, ...]:
    return tuple(math.ceil(times * p) if few else p for p, few in zip(degrees, short, strict=True))


def _richer(degrees: Sequence[int]) -> tuple[int, ...]:
    return tuple(math.ceil(RICHER * p) + 1 for p in degrees)


def _largest(values: Tensor) -> float:
    """Not a number where one of them is none."""
    return float(values.max()) if bool(values.isfinite().all()) else math.nan


def _over_time(values: Tensor, weights: Sequence[float]) -> Tensor:
    """(U,) root mean squares over a pair of values (K, U) at equal times."""
    return torch.sqrt(torch.tensordot(torch.tensor(weights, dtype=values.dtype, device=values.device), values**2, 1))


def _beyond(c: Tensor, counts: Sequence[int]) -> Tensor:
    """(U,) squares of coefficients (U, ...) beyond so many per axis."""
    squares = c**2
    squares[(slice(None), *(slice(0, n) for n in counts))] = 0.0
    return squares.flatten(1).sum(dim=1)


def in_pair(*places: float) -> Tensor:
    """(N, 6): what makes the values of a pair those at places of it, from 0 to 1: of Hermite's polynomial."""
    at = torch.tensor(places, dtype=torch.float64)
    return legendre(2.0 * at - 1.0, 2 * len(TIMES) - 1, 0)[0] @ modal()


@cached_by_device(1)
def modal() -> Tensor:
    """(6, 6): the values of a pair -> Legendre coefficients in time."""
    values, slopes = legendre(2.0 * torch.tensor(TIMES, dtype=torch.float64) - 1.0, 2 * len(TIMES) - 1, 1)
    return torch.linalg.inv(torch.cat([values, 2.0 * slopes]))
