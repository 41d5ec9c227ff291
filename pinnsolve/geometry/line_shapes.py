"""Shapes of the line: intervals, whose boundary are their ends.

Input: a tree of boxes and implicit shapes in one coordinate. Output: a `Shape`. The ends of boxes and the roots of
levels cut the line into pieces, each inside or not.
"""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import Tensor

from pinnsolve.geometry import shapes as tree
from pinnsolve.geometry.level_sets import Level, level_of, primitive_level
from pinnsolve.geometry.sampled_shape import Boundary, Corner, Shape, Spacing, Spread
from pinnsolve.geometry.shapes import ShapeTree, with_boxes

SAMPLES = 20_000  # among which levels change their signs
SHORT = 1e-12  # relative to the size: pieces shorter than this are none


class LineShape(Shape):
    """A shape of one dimension."""

    dimension = 1

    def __init__(self, shape: ShapeTree):
        shape = with_boxes(shape)
        low, high = self._bounded(shape)
        found = sorted(tree.primitives(shape), key=lambda p: not p.name)  # where two coincide, a name goes first
        levels = {id(p): primitive_level(p) for p in found}
        self.level = level_of(shape, lambda primitive: levels[id(primitive)])
        self.regions = {}
        ends = [(place, p.name) for p in found for place in _ends(p, levels[id(p)], low[0], high[0])]
        self.ends, self.signs, names = self._kept(ends)
        self.parts = tuple(dict.fromkeys([*tree.part_names(shape), *names]))
        self.part = torch.tensor([self.parts.index(name) for name in names], dtype=torch.long)

    def _kept(self, ends: list[tuple[float, str]]) -> tuple[Tensor, Tensor, list[str]]:
        """Places (E,) at which the shape begins or ends, the direction out of it (E,), and names."""
        short = SHORT * self.size
        places: list[tuple[float, str]] = []
        for place, name in sorted(ends, key=lambda end: end[0]):  # of those at one place the first, as they came
            if not places or place - places[-1][0] > short:
                places.append((place, name))
        cuts = [places[0][0] - self.size, *(place for place, _ in places), places[-1][0] + self.size]
        middles = torch.tensor([(a + b) / 2 for a, b in pairwise(cuts)], dtype=torch.float64)
        inside = (self.level(middles[:, None]) < 0).tolist()
        kept = [(p, float(a) - float(b), n) for (p, n), a, b in zip(places, inside, inside[1:], strict=False) if a != b]
        x, signs = (torch.tensor([k[i] for k in kept], dtype=torch.float64) for i in (0, 1))
        return x, signs, [name for _, _, name in kept]

    def boundary(self, spacing: Spacing) -> Boundary:
        number = torch.arange(len(self.ends))
        return Boundary(self.ends[:, None], self.signs[:, None], torch.ones_like(self.ends), self.part, number)

    def spread(self, unit: Tensor, part: str = "", plane: tuple[int, float] | None = None) -> Spread:
        kept = torch.tensor([not part or self.parts[p] == part for p in self.part.tolist()], dtype=torch.bool)
        if plane is not None:
            kept &= self.in_plane(self.ends[:, None], self.signs[:, None], *plane)
        x, normals = self.ends[kept], self.signs[kept]
        chosen = torch.arange(len(unit) if len(x) else 0)
        which = (unit[chosen, 0] * len(x)).long().clamp(max=max(len(x) - 1, 0))
        return Spread(x[which, None], normals[which, None], chosen)

    def corners(self) -> tuple[Corner, ...]:
        return ()

    def measure(self) -> float:
        return float((self.signs * self.ends).sum())


def _ends(primitive: tree.Primitive, level: Level, low: float, high: float) -> list[float]:
    """Where a primitive begins or ends, within a box and a little beyond."""
    if isinstance(primitive, tree.Box):
        return [primitive.lower[0], primitive.upper[0]]
    margin = 1e-3 * (high - low)
    x = torch.linspace(low - margin, high + margin, SAMPLES + 1, dtype=torch.float64)
    negative = level(x[:, None]) < 0
    k = (negative[1:] != negative[:-1]).nonzero()[:, 0]
    a, b, first = x[k], x[k + 1], negative[k]
    for _ in range(60 if len(k) else 0):
        middle = (a + b) / 2
        same = (level(middle[:, None]) < 0) == first
        a, b = torch.where(same, middle, a), torch.where(same, b, middle)
    return ((a + b) / 2).tolist()
