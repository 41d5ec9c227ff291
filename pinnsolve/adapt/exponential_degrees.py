"""Degrees of marches by exponentials: whether they hold a solution, and what neither of two solutions would see."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from pinnsolve.adapt.exponential_step import ExponentialStepper, Space
from pinnsolve.adapt.space_state import Point
from pinnsolve.assembly.system import units

LAST, IN_LAST = 0.12, 0.5  # share of the degrees of an axis that are its last ones; of what is allowed, their size
GROWS, GROWS_AT_FIRST = 1.2, 1.5  # times the degrees, where they are too few
RICHER = 1.15  # times the degrees, those of the other solution
MOST_DEGREE = {1: 4000, 2: 400, 3: 80}  # by axes of space; solutions that ask for more have fronts, for which cells are
WIDER, WIDE = 3, {1: 2000, 2: 192, 3: 48}  # times the degrees, up to these, or half as much again: see `overlooked`
SEEN_EVERY, SEEN_GROWN, PART = 4, 1.25, 0.3  # pairs, growth of the solution, part of what is missed: see there
IN_REST = 0.3  # of what is allowed, what the rest may make in degrees that there are not


class Degrees:
    """Of one march, in which `allowed` is allowed of errors; `space`: makes that of some degrees."""

    def __init__(self, space: Callable[[Sequence[int]], Space], allowed: float):
        self._space, self._allowed = space, allowed
        self._wide: ExponentialStepper | None = None
        self._seen: tuple[tuple[int, ...], Tensor] | None = None  # degrees and size where `overlooked` last saw
        self._since = 0  # pairs since then

    def passed(self) -> None:
        """After a pair."""
        self._since += 1

    def of_start(self, space: Space, start: Point, size: Tensor, time: float) -> tuple[int, ...] | None:
        """The degrees that a start asks for, whose size is (U,); None where those of the space are enough."""
        own = space.plain(start)
        short = self._short(own, size)
        if not any(short):  # unless a grid takes a wave for another one
            wide = self._wider(space.degrees).space
            short = lacking(own, wide.plain(wide.start(time)), IN_LAST * self._allowed, size)
        return _more(space.degrees, short, GROWS_AT_FIRST) if any(short) else None

    def of_end(self, space: Space, end: Tensor, added: Tensor, size: Tensor) -> tuple[int, ...] | None:
        """The degrees that the end of a pair asks for, (U, q_1, ...) in plain functions, of which the other solution
        has `added` squares (d, U) along each axis; None where they are enough.

        Of a solution whose waves have a gap in between, the last ones may be nothing while others are missing: the
        other solution has some of those.
        """
        most = (IN_LAST * self._allowed * units(size, size)) ** 2
        missing = (added > most).any(dim=1).tolist()
        short = [few or lacks for few, lacks in zip(self._short(end, size), missing, strict=True)]
        return _more(space.degrees, short, GROWS) if any(short) else None

    def overlooked(
        self, stepper: ExponentialStepper, end: Point, size: Tensor, time: float, dt: float
    ) -> tuple[int, ...] | None:
        """The degrees asked for by what the rest makes over `dt` in far higher ones, at the end of a pair; None where
        these do not matter, or that was seen of late.

        Powers of waves are waves of many times their number, and of none in between, so that neither of the two
        solutions may see any of them.
        """
        space = stepper.space
        known = self._seen is not None and self._seen[0] == space.degrees and self._since < SEEN_EVERY
        if known and bool((size <= SEEN_GROWN * self._seen[1]).all()):
            return None
        self._seen, self._since = (space.degrees, size), 0
        wide = self._wider(space.degrees)
        point = wide.space.at(wide.space.from_other(space, end), time)
        moved = wide.space.plain_state(wide.moved(point, dt))
        short = lacking(space.plain_state(stepper.moved(end, dt)), moved, IN_REST * self._allowed, size)
        return _more(space.degrees, short, GROWS) if any(short) else None

    def _wider(self, degrees: tuple[int, ...]) -> ExponentialStepper:
        """In far higher degrees."""
        most = WIDE[len(degrees)]
        wider = tuple(min(WIDER * p, max(most, math.ceil(GROWS_AT_FIRST * p))) for p in degrees)
        if self._wide is None or self._wide.space.degrees != wider:
            self._wide = ExponentialStepper(self._space(wider))
        return self._wide

    def _short(self, c: Tensor, size: Tensor) -> list[bool]:
        """Per axis, whether the last coefficients of functions (U, q_1, ...) are too large for what is allowed."""
        found = []
        for axis in range(c.dim() - 1):
            count = math.ceil(LAST * c.shape[axis + 1])
            last = c.narrow(axis + 1, c.shape[axis + 1] - count, count).flatten(1)
            tail = torch.linalg.vector_norm(last, dim=1)
            found.append(bool((tail > IN_LAST * self._allowed * units(size, tail)).any()))
        return found


def richer(degrees: Sequence[int]) -> tuple[int, ...]:
    """Those of the other solution."""
    return tuple(math.ceil(RICHER * p) + 1 for p in degrees)


def difference(c: Tensor, wide: Tensor) -> Tensor:
    """(U, Q_1, ...): of functions (U, q_1, ...) to others in higher degrees."""
    wide = wide.clone()
    wide[(slice(None), *(slice(0, n) for n in c.shape[1:]))] -= c
    return wide


def beyond(c: Tensor, counts: Sequence[int]) -> Tensor:
    """(d + 1, U) squares of coefficients (U, ...) beyond so many per axis: along each one, and along any of them."""
    squares, found = c**2, []
    for axis, count in enumerate(counts, start=1):
        found.append(squares.narrow(axis, count, squares.shape[axis] - count).flatten(1).sum(dim=1))
    squares[(slice(None), *(slice(0, n) for n in counts))] = 0.0
    return torch.stack([*found, squares.flatten(1).sum(dim=1)])


def lacking(c: Tensor, wide: Tensor, allowed: float, size: Tensor) -> list[bool]:
    """Per axis, whether functions (U, q_1, ...) lack of others in higher degrees more than is allowed, relative to the
    solution; all of them, if it is none that they do not have."""
    missed = difference(c, wide)
    off = torch.linalg.vector_norm(missed.flatten(1), dim=1)
    if not bool((off > allowed * units(size, off)).any()):
        return [False] * (c.dim() - 1)
    *along, _ = beyond(missed, c.shape[1:])
    short = [bool((one > (PART * off) ** 2).any()) for one in along]
    return short if any(short) else [True] * len(short)


def _more(degrees: Sequence[int], short: Sequence[bool], times: float) -> tuple[int, ...]:
    return tuple(math.ceil(times * p) if few else p for p, few in zip(degrees, short, strict=True))
