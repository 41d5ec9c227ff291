"""A partition of a box, or of a shape in it, into smaller boxes: the cells, who touches whom, splitting and merging.

All cells are boxes with edges along the axes; a cell may have several smaller neighbours across one face. Of a shape,
cells that its boundary cuts hold the part inside (see `cut_cells`). Values are immutable. No equations here.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING
from weakref import WeakValueDictionary

import torch
from torch import Tensor

from pinnsolve.bases.piecewise.point_location import NEAR, SMALLEST, Lookup

if TYPE_CHECKING:
    from pinnsolve.bases.piecewise.cut_cells import Within


@dataclass(frozen=True, eq=False)
class Parts:
    """The parts of the cells that lie in a shape, `within`.

    `lower`, `upper`: (C, d) corners of their frames, the smallest boxes round what lies inside; `share`: (C,) of the
    volume that does; `cut`: (C,) bool, whether the boundary goes through; `material`: (C,) its number: where materials
    meet, a box has a cell of each.
    """

    within: Within
    lower: Tensor
    upper: Tensor
    share: Tensor
    cut: Tensor
    material: Tensor


@dataclass(frozen=True, eq=False)
class Cells:
    """`lower`, `upper`: (C, d) float64 corners of the cells; `parts`: what of them counts, where they cover a shape.

    Reference coordinates in [-1, 1] are those of the frames, which are the cells themselves unless they are cut.
    """

    lower: Tensor
    upper: Tensor
    parts: Parts | None = None

    @cached_property
    def metrics(self) -> WeakValueDictionary:
        """Changes of basis that spaces on these cells have made, by what their functions are."""
        return WeakValueDictionary()

    @property
    def count(self) -> int:
        return self.lower.shape[0]

    @property
    def centres(self) -> Tensor:
        """(C, d)"""
        return 0.5 * (self.lower + self.upper)

    @property
    def dimension(self) -> int:
        return self.lower.shape[1]

    @property
    def frame(self) -> tuple[Tensor, Tensor]:
        """(C, d) lower and upper corners of the frames."""
        return (self.lower, self.upper) if self.parts is None else (self.parts.lower, self.parts.upper)

    @property
    def size(self) -> Tensor:
        """(C, d) edge lengths of the frames."""
        lower, upper = self.frame
        return upper - lower

    @property
    def volume(self) -> Tensor:
        """(C,) of what counts."""
        box = (self.upper - self.lower).prod(dim=1)
        return box if self.parts is None else box * self.parts.share

    @property
    def material(self) -> Tensor:
        """(C,) long."""
        return torch.zeros(self.count, dtype=torch.long) if self.parts is None else self.parts.material

    @property
    def cut(self) -> Tensor:
        """(C,) bool: whether a boundary goes through the cell."""
        return torch.zeros(self.count, dtype=torch.bool) if self.parts is None else self.parts.cut

    @property
    def box(self) -> tuple[Tensor, Tensor]:
        """(d,) corners of the whole."""
        return self.lower.min(dim=0).values, self.upper.max(dim=0).values

    def physical(self, reference: Tensor, cells: Tensor | slice = slice(None)) -> Tensor:
        """(G, m, d) coordinates of reference points (G or 1, m, d) in the cells chosen."""
        lower, upper = (corner[cells][:, None] for corner in self.frame)
        return 0.5 * ((1 - reference) * lower + (1 + reference) * upper)

    def reference(self, x: Tensor, cells: Tensor) -> Tensor:
        """(G, m, d) reference coordinates of points x (G, m, d) in the cells (G,)."""
        lower, upper = (corner[cells][:, None] for corner in self.frame)
        return (2 * x - lower - upper) / (upper - lower)

    def locate(self, x: Tensor) -> Tensor:
        """(N,) the cell that holds each point (N, d), of its material; points just outside count to the nearest."""
        materials = None if self.parts is None else self.parts.within.materials
        if materials is None:
            return self._found(x, 0)
        material = materials(x)
        found = torch.zeros(len(x), dtype=torch.long)
        for number in torch.unique(material).tolist():
            here = (material == number).nonzero()[:, 0]
            found[here] = self._found(x[here], number)
        return found

    def _found(self, x: Tensor, material: int) -> Tensor:
        among = self.of_material(material)
        if material not in self._lookups:
            self._lookups[material] = Lookup(self.lower[among], self.upper[among])
        return among[self._lookups[material].nearest(x)]

    @cached_property
    def _lookups(self) -> dict[int, Lookup]:
        return {}

    def of_material(self, number: int) -> Tensor:
        """The cells of a material; all, if it has none."""
        chosen = (self.material == number).nonzero()[:, 0]
        return chosen if len(chosen) else torch.arange(self.count)

    @cached_property
    def _near(self) -> Tensor:
        """(d,) edges closer than this are the same: a share of the whole, if no cell is so small."""
        low, high = self.box
        return torch.minimum(NEAR * (high - low), SMALLEST * (self.upper - self.lower).amin(dim=0))

    def touching(self, axis: int, value: float) -> Tensor:
        """The cells whose closed interval holds `axis = value`; of two that share the face, the upper one."""
        high, near = self.box[1], float(self._near[axis])
        inside = (self.lower[:, axis] <= value + near) & (self.upper[:, axis] > value + near)
        if value >= float(high[axis]) - near:
            inside = (self.upper[:, axis] - value).abs() <= near
        return inside.nonzero()[:, 0]

    def contacts(
        self, axis: int, below: Tensor, above: Tensor, shift: float = 0.0, across: bool = False
    ) -> tuple[Tensor, Tensor]:
        """Pairs (i, j) of `below` x `above` whose faces upper_i + shift = lower_j overlap, as cell numbers.

        Of one material, unless `across` materials.
        """
        near = self._near
        # only what begins where another one ends can meet it, which is found by its place in order
        begins, order = torch.sort(self.lower[above][:, axis])
        ends = self.upper[below][:, axis] + shift
        first = torch.searchsorted(begins, ends - near[axis])
        count = torch.searchsorted(begins, ends + near[axis], right=True) - first
        i = torch.arange(len(below)).repeat_interleave(count)
        j = order[torch.arange(len(i)) + (first - count.cumsum(0) + count)[i]]
        order = torch.argsort(i * len(above) + j)
        i, j = below[i[order]], above[j[order]]
        overlap = torch.minimum(self.upper[i], self.upper[j]) - torch.maximum(self.lower[i], self.lower[j])
        overlap[:, axis] = math.inf  # where they meet
        meets = (overlap > near).all(dim=1)
        if not across:
            meets &= self.material[i] == self.material[j]
        return i[meets], j[meets]

    def split(self, marked: Tensor, axes: Tensor) -> Cells:
        """Halves the cells `marked` (C,) bool along the axes (C, d) bool, or as often as they say as numbers."""
        lower, upper, material = self.lower, self.upper, self.material
        times = torch.where(marked[:, None], axes.long(), 0)
        for axis in range(self.dimension):
            while bool((times[:, axis] > 0).any()):
                now = times[:, axis] > 0
                times[now, axis] -= 1
                middle = 0.5 * (lower[now, axis] + upper[now, axis])
                first_upper, second_lower = upper[now].clone(), lower[now].clone()
                first_upper[:, axis] = second_lower[:, axis] = middle
                lower, upper = (
                    torch.cat([lower[~now], lower[now], second_lower]),
                    torch.cat([upper[~now], first_upper, upper[now]]),
                )
                times, material = (torch.cat([t[~now], t[now], t[now]]) for t in (times, material))
        return self.like(lower, upper, material)

    def like(self, lower: Tensor, upper: Tensor, material: Tensor) -> Cells:
        """Boxes (C, d) as cells of the same domain: of a shape, those that hold some of it; see `in_order`."""
        order = in_order(lower)
        lower, upper, material = lower[order], upper[order], material[order]
        return Cells(lower, upper) if self.parts is None else self.parts.within.cells(lower, upper, material)

    def chosen(self, index: Tensor) -> Cells:
        """Some of the cells, by their numbers."""
        parts = self.parts
        if parts is not None:
            names = ("lower", "upper", "share", "cut", "material")
            parts = Parts(parts.within, *(getattr(parts, name)[index] for name in names))
        return Cells(self.lower[index], self.upper[index], parts)

    def siblings(self, axis: int, root: tuple[float, float]) -> list[tuple[int, int]]:
        """Pairs of equal cells that fill one cell of twice their size along the axis, counted from `root`'s start."""
        start = root[0]
        keys = {}
        for i, (low, high) in enumerate(zip(self.lower.tolist(), self.upper.tolist(), strict=True)):
            size = high[axis] - low[axis]
            index = round((low[axis] - start) / size)
            others = tuple(round(v, 9) for a in range(self.dimension) if a != axis for v in (low[a], high[a]))
            keys[(round(size / (root[1] - root[0]), 12), index, (int(self.material[i]), *others))] = i
        pairs = [
            (i, keys[(size, index + 1, others)])
            for (size, index, others), i in keys.items()
            if index % 2 == 0 and (size, index + 1, others) in keys
        ]
        near = NEAR * (root[1] - root[0])  # roots that are not equal may leave a gap
        return [(i, j) for i, j in pairs if abs(float(self.upper[i, axis] - self.lower[j, axis])) <= near]

    def merged(self, pairs: Sequence[tuple[int, int]]) -> Cells:
        """The cells with each pair replaced by the box of both."""
        gone = torch.zeros(self.count, dtype=torch.bool)
        lower, upper = [], []
        for i, j in pairs:
            gone[i] = gone[j] = True
            lower.append(torch.minimum(self.lower[i], self.lower[j]))
            upper.append(torch.maximum(self.upper[i], self.upper[j]))
        if not pairs:
            return self
        material = torch.cat([self.material[~gone], self.material[[i for i, _ in pairs]]])
        lower, upper = (
            torch.cat([old[~gone], torch.stack(new)]) for old, new in ((self.lower, lower), (self.upper, upper))
        )
        return self.like(lower, upper, material)

    def extruded(self, axis: int, low: float, high: float) -> Cells:
        """These cells times an interval of another coordinate, number `axis` of the result."""

        def grown(corner: Tensor, value: float) -> Tensor:
            column = torch.full((corner.shape[0], 1), value, dtype=corner.dtype)
            return torch.cat([corner[:, :axis], column, corner[:, axis:]], dim=1)

        parts = self.parts
        if parts is not None:
            frame = grown(parts.lower, low), grown(parts.upper, high)
            parts = replace(parts, within=parts.within.extruded(axis), lower=frame[0], upper=frame[1])
        return Cells(grown(self.lower, low), grown(self.upper, high), parts)

    def moved(self, axis: int, low: float, high: float) -> Cells:
        """The cells with another interval along an axis, the same for all."""

        def put(corner: Tensor, value: float) -> Tensor:
            corner = corner.clone()
            corner[:, axis] = value
            return corner

        parts = self.parts
        if parts is not None:
            parts = replace(parts, lower=put(parts.lower, low), upper=put(parts.upper, high))
        return Cells(put(self.lower, low), put(self.upper, high), parts)


def joined(several: Sequence[Cells]) -> Cells:
    """Cells of several partitions, side by side."""
    parts = None
    if several[0].parts is not None:
        names = ("lower", "upper", "share", "cut", "material")
        parts = Parts(
            several[0].parts.within, *(torch.cat([getattr(cells.parts, name) for cells in several]) for name in names)
        )
    return Cells(torch.cat([cells.lower for cells in several]), torch.cat([cells.upper for cells in several]), parts)


def in_order(lower: Tensor) -> Tensor:
    """(C,) the order of lower corners (C, d): a stable numbering for whatever is printed or saved."""
    keys = lower.round(decimals=12)
    order = torch.arange(len(lower))
    for axis in reversed(range(lower.shape[1])):
        order = order[torch.sort(keys[order, axis], stable=True).indices]
    return order


def tensor_cells(edges: Sequence[Tensor]) -> Cells:
    """The cells of a tensor grid from its edges per axis (increasing, (k + 1,) each)."""
    from pinnsolve.bases.legendre import tensor_points

    return Cells(tensor_points([e[:-1] for e in edges]), tensor_points([e[1:] for e in edges]))


def uniform_cells(lower: Tensor, upper: Tensor, counts: Sequence[int]) -> Cells:
    """Equal cells, so many per axis, of the box."""
    edges = [
        float(a) + (float(b) - float(a)) * torch.linspace(0, 1, n + 1, dtype=torch.float64)
        for a, b, n in zip(lower, upper, counts, strict=True)
    ]
    return tensor_cells(edges)
