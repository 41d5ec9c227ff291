"""Find the box that contains a point, among many, by a table over the grid of all their edges."""

from __future__ import annotations

import math

import torch
from torch import Tensor

NEAR = 1e-9  # relative to the whole: edges closer than this are the same
SMALLEST = 0.25  # of the smallest box: edges as far apart as that are different, however small it is
MOST_ENTRIES = 4e6  # of the table
FEW = 1e5  # comparisons of points with boxes that are quicker than a table
BLOCK_NUMBERS = 2e7  # of distances at a time


class Lookup:
    """`lower`, `upper`: (C, d) corners of boxes that do not overlap, but need not fill anything."""

    def __init__(self, lower: Tensor, upper: Tensor):
        self.lower, self.upper = lower, upper
        self._table: Tensor | None = None
        self._edges: list[Tensor] = []

    def nearest(self, x: Tensor) -> Tensor:
        """(N,) the box that holds each point (N, d); of points outside all, the nearest in units of the boxes."""
        if len(x) * len(self.lower) <= FEW or not self._made():
            return self._compared(x)
        place = 0
        for axis, edges in enumerate(self._edges):
            count = len(edges) - 1
            index = torch.searchsorted(edges, x[:, axis].contiguous(), right=True) - 1
            place = place * count + index.clamp(0, count - 1)
        found = self._table[place]
        lost = (found < 0).nonzero()[:, 0]
        if len(lost):
            found[lost] = self._compared(x[lost])
        return found

    def _compared(self, x: Tensor) -> Tensor:
        centre, half = 0.5 * (self.lower + self.upper), 0.5 * (self.upper - self.lower)
        found = []
        for block in x.split(max(1, int(BLOCK_NUMBERS // self.lower.numel()))):
            away = ((block[:, None] - centre).abs() / half).amax(dim=2)  # (N, C), at most 1 inside
            found.append(away.argmin(dim=1))
        return torch.cat(found) if found else torch.zeros(0, dtype=torch.long)

    def _made(self) -> bool:
        """Makes the table, unless it would be too large."""
        if self._edges:
            return self._table is not None
        ranges = []
        for axis in range(self.lower.shape[1]):
            low, high = self.lower[:, axis], self.upper[:, axis]
            near = min(NEAR * float(high.max() - low.min()), SMALLEST * float((high - low).min()))
            edges = torch.unique(torch.cat([low, high]))
            edges = edges[torch.cat([torch.ones(1, dtype=torch.bool), torch.diff(edges) > near])]
            self._edges.append(edges.contiguous())
            # of edges that are the same up to rounding, the first stands for all
            ranges += [torch.searchsorted(edges, (end + near).contiguous(), right=True) - 1 for end in (low, high)]
        shape = [len(edges) - 1 for edges in self._edges]
        if math.prod(shape) > MOST_ENTRIES:
            return False
        table = torch.full(shape, -1)
        for cell, corners in enumerate(zip(*(r.tolist() for r in ranges), strict=True)):
            table[tuple(slice(a, b) for a, b in zip(corners[::2], corners[1::2], strict=True))] = cell
        self._table = table.reshape(-1)
        return True
