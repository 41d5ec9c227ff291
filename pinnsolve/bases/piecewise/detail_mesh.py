"""Cells and slabs of time that see the details of known functions: small where these are narrow, cut where they jump.

Cells are halved until the points of one are about as dense as a detail is wide: what the functions do there is seen
then, and the refinement of a solve goes on from it. At planes in which functions jump, cells end.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from pinnsolve.bases.piecewise.details import Cut, Details
from pinnsolve.bases.piecewise.mesh import Cells

SEES = {1: 8.0, 2: 8.0, 3: 4.0}  # times the width of a detail: how large a cell may be that holds it
INNER = 0.1  # of a cell: cuts nearer to its ends wait until it is halved
MOST_CELLS = {1: 4000, 2: 1500, 3: 300}  # that details are followed to
NEAR = 1e-9  # of a cell
ROUND = 8.0  # widths of a detail in time: how far before it slabs end, and where nothing is left of its tails


@dataclass(frozen=True)
class DetailMesh:
    """The `details` of a problem for cells in the coordinates `axes`; `time`: the axis of time, if any."""

    details: Details
    axes: tuple[int, ...]
    time: int | None = None

    def followed(self, cells: Cells, start: float | None = None, end: float | None = None, cut: bool = True) -> Cells:
        """The cells, those halved that are too large for a detail between the times `start` and `end`, if given.

        `cut`: also cut where functions jump.
        """
        lower, upper, size = self._boxes(start, end)
        cuts = self._cuts() if cut else []
        if not len(lower) and not cuts:
            return cells
        low, high, material = cells.lower, cells.upper, cells.material
        most, changed = MOST_CELLS.get(len(self.axes), min(MOST_CELLS.values())), False
        while len(low) < most:
            place, axis = self._worst(low, high, (lower, upper, size), cuts)
            if not bool((axis >= 0).any()):
                break
            low, high, material = _split(low, high, material, axis, place)
            changed = True
        return cells.like(low, high, material) if changed else cells

    def _boxes(self, start: float | None, end: float | None) -> tuple[Tensor, Tensor, Tensor]:
        """(S, k) corners of details and their widths, alive between these times."""
        details, axes = self.details, list(self.axes)
        alive = torch.ones(details.count, dtype=torch.bool)
        if self.time is not None and start is not None and end is not None:
            width = details.size[:, self.time]
            reach = torch.where(width.isfinite(), ROUND * width, 0.0)
            alive = (details.lower[:, self.time] - reach <= end) & (details.upper[:, self.time] + reach >= start)
        size = details.size[alive][:, axes]
        alive = alive.nonzero()[:, 0][size.isfinite().any(dim=1)]
        return details.lower[alive][:, axes], details.upper[alive][:, axes], details.size[alive][:, axes]

    @property
    def has_cuts(self) -> bool:
        """Whether cells must have edges inside."""
        return bool(self._cuts())

    def _cuts(self) -> list[Cut]:
        """Jumps and kinks of what holds inside, or on the boundary; those of starts only if they are narrow."""
        result = []
        for cut in self.details.cuts:
            started = any(axis == self.time for axis, _ in cut.function.fixed)
            if cut.axis in self.axes and (not started or self._bounds_a_window(cut)):
                result.append(cut)
        return result

    def _bounds_a_window(self, cut: Cut) -> bool:
        ends = torch.stack([self.details.lower[:, cut.axis], self.details.upper[:, cut.axis]])
        return bool((ends == cut.value).any())

    def _worst(self, low: Tensor, high: Tensor, boxes, cuts: Sequence[Cut]) -> tuple[Tensor, Tensor]:
        """(C,) where to split every cell, and along which axis, -1 where it may stay."""
        lower, upper, size = boxes
        extent = high - low
        allowed = torch.full_like(low, torch.inf)
        near = NEAR * extent
        if len(lower):
            meets = (low[:, None] < upper - near[:, None]) & (high[:, None] > lower + near[:, None])
            touches = (low[:, None] - near[:, None] <= upper) & (high[:, None] + near[:, None] >= lower)
            flat = (lower == upper)[None]
            meets = (meets | (touches & flat)).all(dim=2)  # (C, S)
            meets |= self._on_faces(lower, upper)[None] & touches.all(dim=2)
            sees = SEES.get(len(self.axes), min(SEES.values()))
            for axis in range(low.shape[1]):
                widths = torch.where(meets, sees * size[None, :, axis], torch.inf)
                allowed[:, axis] = widths.amin(dim=1)
        ratio = extent / allowed
        axis = torch.where(ratio.amax(dim=1) > 1.0, ratio.argmax(dim=1), -1)
        place = 0.5 * (low + high)
        for cut in cuts:
            self._add_cut(cut, low, high, axis, place)
        chosen = axis.clamp_min(0)[:, None]
        return place.gather(1, chosen)[:, 0], axis

    def _on_faces(self, lower: Tensor, upper: Tensor) -> Tensor:
        """(S,) bool: the details that lie on the boundary. Where a condition changes, slopes are infinite on both
        sides, so that cells beside the detail are to be small, too."""
        space = [i for i, axis in enumerate(self.axes) if axis != self.time]
        return (lower == upper)[:, space].any(dim=1)

    def _add_cut(self, cut: Cut, low: Tensor, high: Tensor, axis: Tensor, place: Tensor) -> None:
        """Cells that a plane goes through are to be split at it, or halved where it is near to an end."""
        a = self.axes.index(cut.axis)
        share = (cut.value - low[:, a]) / (high[:, a] - low[:, a])
        through = (share > NEAR) & (share < 1.0 - NEAR)
        for fixed, value in cut.function.fixed:
            if fixed in self.axes:
                b = self.axes.index(fixed)
                near = NEAR * (high[:, b] - low[:, b])
                through &= (low[:, b] <= value + near) & (high[:, b] >= value - near)
        inner = through & (share >= INNER) & (share <= 1.0 - INNER)
        place[inner, a] = cut.value
        axis[through & (axis < 0)] = a

    # -- time ---------------------------------------------------------------------------------------------------------

    @property
    def in_time(self) -> bool:
        """Whether there are jumps, kinks or narrow details in time, which equal steps would miss."""
        return bool(self.details.places(self.time)) or bool(self.details.size[:, self.time].isfinite().any())

    @property
    def cut_in_time(self) -> bool:
        """Whether there are jumps or kinks in time."""
        return bool(self.details.places(self.time))

    def narrowest(self, start: float, end: float) -> float:
        """The least width in time of the details that are there between two times; infinite where there are none."""
        width = self.details.size[:, self.time]
        reach = torch.where(width.isfinite(), ROUND * width, 0.0)
        there = (self.details.lower[:, self.time] - reach < end) & (self.details.upper[:, self.time] + reach > start)
        return float(width[there].min()) if bool(there.any()) else math.inf

    def next_end(self, now: float, low: float, high: float) -> float:
        """Where a slab that starts at the time `now` must end at the latest: at a jump or kink, before a detail, or
        where its points would be too far apart to see the one that it is in."""
        short = 1e-9 * (high - low)
        ends = [high, *(t for t in self.details.places(self.time) if t > now + short)]
        width = self.details.size[:, self.time]
        narrow = width.isfinite()
        first = self.details.lower[narrow, self.time] - ROUND * width[narrow]
        last = self.details.upper[narrow, self.time] + ROUND * width[narrow]
        alive = (first <= now + short) & (last > now + short)
        ends += first[first > now + short].tolist()
        ends += (now + SEES[1] * width[narrow][alive]).tolist()
        return min(ends)


def _split(low: Tensor, high: Tensor, material: Tensor, axis: Tensor, place: Tensor):
    """The cells with those of an axis (C,) of no less than zero split there at a place (C,)."""
    here = axis >= 0
    a, value = axis[here][:, None], place[here][:, None]
    first_high, second_low = high[here].scatter(1, a, value), low[here].scatter(1, a, value)
    low = torch.cat([low[~here], low[here], second_low])
    high = torch.cat([high[~here], first_high, high[here]])
    return low, high, torch.cat([material[~here], material[here], material[here]])
