"""Where the known functions of a problem vary within small parts of the domain: peaks, layers, jumps, narrow windows.

Sources, coefficients, conditions and starts are looked at by interval bounds (see `language.intervals`), so that no
detail is missed because it lies between the first points of a solve. What is found says where cells must be small,
where slabs of time end, and where a solution is to be looked at afterwards.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise, product

import sympy as sp
import torch
from torch import Tensor

from pinnsolve.bases.legendre import chebyshev_points, tensor_points
from pinnsolve.compiler.known_functions import Break, KnownFunction, breaks_of, known_functions, parts_of_sums
from pinnsolve.compiler.terms import CompiledProblem
from pinnsolve.geometry.regions import Intervals
from pinnsolve.geometry.zero_sets import GaveUp, halved, roots, small_parts
from pinnsolve.language.coordinates import Coordinates
from pinnsolve.language.intervals import BoundsEvaluator
from pinnsolve.language.symbols import coordinate_symbol
from pinnsolve.language.tabulated import Tabulated
from pinnsolve.runtime import cached_by_device

COARSE = 1.0 / 16  # of an interval: what varies over more is seen by the first points anyway
SLOPE = {1: 2.0, 2: 2.5, 3: 4.0}  # times the range of a function: by how much it may change in a small enough box
FLAT = 1e-3  # of the range of a function: what changes by less in a box is constant there
STEEP = 0.25  # of the range is what a function changes by along an axis in the box of a detail, at least
WIDE = 1.0 / 64  # of an interval: details that are no smaller may well be seen by the first points
SEEN = 0.7  # of the range of a function: what the first points must see of it
FIRST_POINTS = {1: 18, 2: 12, 3: 9}  # per axis, of the first cell
COMMON = 0.25  # of the domain: what varies over more of it is no detail
SAMPLES = 5  # per axis of a box
MOST_BOXES = 20_000  # looked at for one function
MOST_AXES = 3  # of a function: in more, there are too many boxes
MOST_PIECES = 256  # between jumps, to begin with
WITH = 1e-9  # of a piece: how far from jumps at its ends it is looked at
TINY = 1e-6  # of an interval: no box is halved below


@dataclass(frozen=True)
class Cut:
    """A plane `coordinate number axis = value` in which a function jumps, or has a kink, where the coordinates `fixed`
    have their values."""

    axis: int
    value: float
    jump: bool
    function: KnownFunction


@dataclass(frozen=True, eq=False)
class Details:
    """`cuts`: planes of jumps and kinks; `lower`, `upper`: (S, d) boxes in which a function varies over lengths of
    about `size` (S, d), infinite along axes that do not matter; `functions`: (S,) which; `unseen`: those that were too
    much to look at."""

    cuts: tuple[Cut, ...]
    lower: Tensor
    upper: Tensor
    size: Tensor
    functions: tuple[KnownFunction, ...]
    unseen: tuple[KnownFunction, ...] = ()

    @property
    def count(self) -> int:
        return len(self.functions)

    def places(self, axis: int, jumps: bool = False) -> list[float]:
        """The values of a coordinate at which there are cuts, in order; `jumps`: no kinks."""
        return sorted({cut.value for cut in self.cuts if cut.axis == axis and (cut.jump or not jumps)})


def details_of(problem: CompiledProblem) -> Details:
    """The details of all known functions of a problem."""
    return _details(known_functions(problem), problem.axes, problem.intervals)


@cached_by_device(32)
def _details(functions: tuple[KnownFunction, ...], axes: Coordinates, intervals: Intervals) -> Details:
    search = [_Search(function, axes, intervals) for function in functions]
    found = [spot for one in search for spot in one.spots]
    boxes = torch.tensor([spot[:3] for spot in found], dtype=torch.float64).reshape(len(found), 3, len(intervals))
    cuts = tuple(dict.fromkeys(cut for one in search for cut in one.cuts))
    unseen = tuple(one.function for one in search if one.gave_up)
    return Details(cuts, *boxes.unbind(1), tuple(spot[3] for spot in found), unseen)


class _Search:
    """The details of one function: `cuts`, and `spots` (lower, upper, size, function), lists in all coordinates."""

    def __init__(self, function: KnownFunction, axes: Coordinates, intervals: Intervals):
        self.function, self.intervals, self.space = function, intervals, axes.space_axes
        self.symbols = [coordinate_symbol(c) for c in axes.names]
        self.cuts: list[Cut] = []
        self.spots: list[tuple] = []
        self.gave_up = False
        free = function.expression.free_symbols
        self.axes = [a for a, s in enumerate(self.symbols) if s in free]
        self.others = dict.fromkeys(free - set(self.symbols), (-1.0, 1.0))  # normals, none of which is longer
        levels = breaks_of(function.expression)
        for one in levels:
            self._tried(self._cut, one)
        self._narrow_windows()
        for one in levels:
            self._tried(self._small_regions, one)
        if len(self.axes) <= MOST_AXES:
            for part in parts_of_sums(function.expression):
                self._tried(self._peaks, part)

    def _tried(self, look, what) -> None:
        try:
            look(what)
        except GaveUp:
            self.gave_up = True

    def _bounds(self, e: sp.Expr, axes: Sequence[int]) -> BoundsEvaluator:
        return BoundsEvaluator(e, [self.symbols[a] for a in axes], self.others)

    def _axes_of(self, e: sp.Expr) -> list[int]:
        return [a for a in self.axes if self.symbols[a] in e.free_symbols]

    # -- jumps and kinks ----------------------------------------------------------------------------------------------

    def _cut(self, one) -> None:
        axes = self._axes_of(one.level)
        if len(axes) != 1 or one.level.has(Tabulated):
            return
        (axis,) = axes
        pieces = list(pairwise(self._edges(axis)))
        for value in roots(self._bounds(one.level, axes), pieces):
            self.cuts.append(Cut(axis, value, one.jump, self.function))

    def _edges(self, axis: int) -> list[float]:
        low, high = self.intervals[axis]
        near = 1e-12 * (high - low)
        inner = sorted({c.value for c in self.cuts if c.axis == axis and low + near < c.value < high - near})
        return [low, *inner, high]

    def _narrow_windows(self) -> None:
        """What lies between two cuts that are near to each other."""
        for axis in self.axes:
            low, high = self.intervals[axis]
            edges = self._edges(axis)
            for a, b in pairwise(edges):
                if b - a <= COARSE * (high - low):
                    self._add({axis: (a, b)}, {axis: b - a})

    def _small_regions(self, one: Break) -> None:
        axes = self._axes_of(one.level)
        if not 2 <= len(axes) <= MOST_AXES or one.level.has(Tabulated):
            return
        lower, upper = self._box(axes)
        for low, high in zip(*small_parts(self._bounds(one.level, axes), lower, upper, COARSE), strict=True):
            if one.jump or self._changes(axes, low, high):
                self._add_box(axes, low.tolist(), high.tolist(), (high - low).tolist())

    def _changes(self, axes: Sequence[int], low: Tensor, high: Tensor) -> bool:
        """Whether the function changes in a box (k,) that holds all of a kink: as r does not at r = 0, made safe for
        its root by a `max`."""
        if len(self.axes) > MOST_AXES or self.function.expression.has(Tabulated):
            return True
        bounds, (lower, upper) = self._bounds(self.function.expression, self.axes), self._box(self.axes)
        own = torch.tensor([a in axes for a in self.axes])
        near_low, near_high = 0.5 * (lower + upper), 0.5 * (lower + upper)
        near_low[own], near_high[own] = low - (high - low), high + (high - low)
        ranges = []
        for a, b, count in ((near_low, near_high, SAMPLES), (lower, upper, 2 * SAMPLES + 1)):
            x = a + tensor_points([torch.linspace(0, 1, count, dtype=torch.float64)] * len(a)) * (b - a)
            values = bounds(x, x).low
            values = values[values.isfinite()]
            ranges.append(float(values.max() - values.min()) if len(values) else torch.inf)
        return ranges[0] > FLAT * ranges[1]

    # -- peaks and layers ---------------------------------------------------------------------------------------------

    def _peaks(self, e: sp.Expr) -> None:
        """Where a function changes by much within little.

        Boxes are halved until bounds of the slopes say that nothing hides between samples, or that the function is
        nearly constant. Of a function without bounds, as 1/r, no detail is made: it is no narrower than it is wide.
        """
        axes = self._axes_of(e)
        if not 1 <= len(axes) <= MOST_AXES or e.has(Tabulated):
            return
        bounds, (lower, upper) = self._bounds(e, axes), self._box(axes)
        span = upper - lower
        low, high = self._pieces(axes)
        leaves, looked, seen = [], 0, [torch.inf, -torch.inf]
        while len(low):
            looked += len(low)
            if looked > MOST_BOXES:
                raise GaveUp
            middle = 0.5 * (low + high)
            values = bounds(middle, middle).low
            values = values[values.isfinite()]
            if len(values):
                seen = [min(seen[0], float(values.min())), max(seen[1], float(values.max()))]
            b = bounds(low, high)
            scale = max(seen[1] - seen[0], 0.0)
            rise = torch.maximum(b.below.abs(), b.above.abs()) * (high - low)  # (N, k)
            flat = (b.high - b.low) <= FLAT * float((b.high.max() - b.low.min()).clamp(max=1e300))
            tiny = ((high - low) <= TINY * span).all(dim=1)
            ready = flat | (rise.sum(dim=1) <= SLOPE[len(axes)] * scale) | tiny
            leaves.append((low[ready & ~flat], high[ready & ~flat], rise[ready & ~flat]))
            left = ~ready
            order = torch.where(rise.isfinite(), rise, 1e300) + 1e-300 * (high - low) / span
            order = torch.where((high - low) > TINY * span, order, -1.0)
            low, high = halved(low[left], high[left], order[left])
        self._keep(bounds, axes, leaves, seen[1] - seen[0])

    def _keep(self, bounds: BoundsEvaluator, axes: Sequence[int], leaves, scale: float) -> None:
        """Those leaves that are details."""
        low, high, rise = (torch.cat(column) for column in zip(*leaves, strict=True))
        if not len(low) or not scale > 0.0 or scale == torch.inf or not bool(rise.isfinite().all()):
            return
        lower, upper = self._box(axes)
        narrow = (high - low) <= COARSE * (upper - lower)
        unit = tensor_points([torch.linspace(0, 1, SAMPLES, dtype=torch.float64)] * len(axes))
        x = low[:, None] + unit * (high - low)[:, None]  # (N, m, k)
        values = bounds(x.flatten(0, 1), x.flatten(0, 1)).low.reshape(len(low), *[SAMPLES] * len(axes))
        along = [values.amax(dim=1 + i) - values.amin(dim=1 + i) for i in range(len(axes))]
        change = torch.stack([one.reshape(len(low), -1).amax(dim=1) for one in along], dim=1)  # (N, k)
        limited = narrow & (change >= STEEP * scale)
        chosen = limited.any(dim=1)
        share = ((high - low) / (upper - lower)).prod(dim=1)[chosen].sum()
        if float(share) > COMMON or self._is_seen(bounds, axes, scale, (high - low)[chosen]):
            return
        size = torch.where(limited, high - low, torch.inf)
        for i in chosen.nonzero()[:, 0].tolist():
            self._add_box(axes, low[i].tolist(), high[i].tolist(), size[i].tolist())

    def _is_seen(self, bounds: BoundsEvaluator, axes: Sequence[int], scale: float, size: Tensor) -> bool:
        """Whether the first points of a solve see details of this size (N, k) anyway."""
        lower, upper = self._box(axes)
        if bool((size < WIDE * (upper - lower)).any()):
            return False
        unit = 0.5 + 0.5 * tensor_points([chebyshev_points(FIRST_POINTS[len(axes)])] * len(axes))
        x = lower + unit * (upper - lower)
        values = bounds(x, x).low
        return float(values.max() - values.min()) >= SEEN * scale

    def _pieces(self, axes: Sequence[int]) -> tuple[Tensor, Tensor]:
        """(N, k) corners of the boxes between jumps."""
        pieces = [list(pairwise(self._edges(axis))) for axis in axes]
        count = 1
        for one in pieces:
            count *= len(one)
        if count > MOST_PIECES:
            lower, upper = self._box(axes)
            return lower[None], upper[None]
        boxes = torch.tensor(list(product(*pieces)), dtype=torch.float64)  # (N, k, 2)
        lower, upper = self._box(axes)
        beside = WITH * (boxes[..., 1] - boxes[..., 0])
        low, high = boxes[..., 0], boxes[..., 1]
        return torch.where(low > lower, low + beside, low), torch.where(high < upper, high - beside, high)

    def _box(self, axes: Sequence[int]) -> tuple[Tensor, Tensor]:
        ends = torch.tensor([self.intervals[a] for a in axes], dtype=torch.float64)
        return ends[:, 0], ends[:, 1]

    # -- what is found ------------------------------------------------------------------------------------------------

    def _add_box(self, axes: Sequence[int], low: list[float], high: list[float], size: list[float]) -> None:
        ends = dict(zip(axes, zip(low, high, strict=True), strict=True))
        self._add(ends, dict(zip(axes, size, strict=True)))

    def _add(self, ends: dict[int, tuple[float, float]], size: dict[int, float]) -> None:
        held = {axis: (value, value) for axis, value in self.function.fixed}
        box = [ends.get(a, held.get(a, interval)) for a, interval in enumerate(self.intervals)]
        lower, upper = ([end[i] for end in box] for i in (0, 1))
        smallest = min((size[a] for a in self.space if a in size), default=torch.inf)
        size = {**size, **{a: smallest for a in held if a in self.space}}  # cells grow away from a face
        self.spots.append((lower, upper, [size.get(a, torch.inf) for a in range(len(box))], self.function))
