"""Points and weights by which a quantity is integrated over a region in space, at one time.

Input: a compiled problem, a region, the cells of its solution. Output: a `Rule`. Cells that are whole have Gauss points
(Davis & Rabinowitz, Methods of Numerical Integration, section 2.7), those that a boundary cuts the midpoints of many
parts, weighed so that all volumes add up to that of the domain, which its boundary tells (the divergence theorem).
Boundaries have the points and weights of the shape.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from torch import Tensor

from pinnsolve.assembly.collocation import space_of
from pinnsolve.assembly.line_quadrature import line_rule
from pinnsolve.assembly.sampled_rule import MOST_AXES, Rule, sampled_rule
from pinnsolve.bases.legendre import gauss_rule, tensor_points
from pinnsolve.bases.piecewise.mesh import Cells
from pinnsolve.compiler.terms import CompiledProblem
from pinnsolve.geometry.regions import Piece, Region
from pinnsolve.geometry.subdomains import where_function

EQUAL_CELLS = {1: 16, 2: 8, 3: 4}  # per axis, for solutions that have no cells of their own
PARTS = {1: 256, 2: 32, 3: 12}  # per axis of a cell that a boundary cuts
SEGMENTS = {1: 1.0, 2: 400.0, 3: 40.0}  # of the boundary per extent of the domain
PLANE = 1e-9  # of the extent: how near a boundary point lies to a plane that it is said to lie in
MORE = 4  # Gauss points beyond the degree of the solution


@dataclass(frozen=True, eq=False)
class Measure:
    """What rules are made from: the `problem`, the `cells` of its solution and their `degree`; `density` times more
    points per axis than are thought to do."""

    problem: CompiledProblem
    cells: Cells | None
    degree: int
    density: float = 1.0

    def rule(self, region: Region, time: float | None) -> Rule:
        """The rule of a region at a time; None where the problem has none, or the region says which."""
        if len(self.problem.axes.space_axes) > MOST_AXES:
            return sampled_rule(self.problem, region, time)
        parts = [self._in_group(part, piece.region) for piece in region.pieces for part in self._of_piece(piece, time)]
        x, weights = torch.cat([p.x for p in parts]), torch.cat([p.weights for p in parts])
        known = [p.normals for p in parts if p.normals is not None]
        normals = torch.cat(known) if len(known) == len(parts) else None
        inside = where_function(region.where, self.problem.coordinates)
        if inside is not None:
            kept = inside(x, normals)
            x, weights, normals = x[kept], weights[kept], None if normals is None else normals[kept]
        return Rule(x, weights, normals)

    def _in_group(self, rule: Rule, name: str | None) -> Rule:
        """What lies in a group of cells of a mesh, where one is named."""
        space = space_of(self.problem)
        if name is None or space is None:
            return rule
        kept = space.shape.in_region(rule.x[:, list(space.axes)], name)
        return Rule(rule.x[kept], rule.weights[kept], None if rule.normals is None else rule.normals[kept])

    def _of_piece(self, piece: Piece, time: float | None) -> Iterator[Rule]:
        fixed = dict(piece.fixed)
        axis = self.problem.axes.time_axis
        if axis is not None and time is not None and axis not in fixed:
            fixed[axis] = time
        if piece.part is not None:
            yield self._boundary(piece, fixed)
        else:
            yield from self._boxes(piece, fixed)

    # -- along the axes ---------------------------------------------------------------------------------------------

    def _boxes(self, piece: Piece, fixed: Mapping[int, float]) -> Iterator[Rule]:
        if len(fixed) == len(self.problem.coordinates):  # a point, also one on a boundary
            x = torch.tensor([[fixed[a] for a in range(len(fixed))]], dtype=torch.float64)
            yield Rule(x, torch.ones(1, dtype=torch.float64), self._face_normals(piece, 1))
            return
        if self._has_lines and all(a not in fixed for a in self.problem.axes.space_axes):
            yield self._lines(fixed)
            return
        cells = self._cells()
        chosen = torch.arange(cells.count)
        for axis, value in fixed.items():
            here = cells.touching(axis, value)
            chosen = chosen[torch.isin(chosen, here)]
        free = [a for a in range(cells.dimension) if a not in fixed]
        lower, upper = cells.lower[chosen], cells.upper[chosen]
        whole = ~self._is_cut(cells)[chosen]
        x, weights = _gauss(lower[whole], upper[whole], free, fixed, self._points())
        yield Rule(x, weights, self._face_normals(piece, len(x)))
        if not bool(whole.all()):
            cut = chosen[~whole]
            x, weights = self._cut(cells, cut, free, fixed)
            if len(free) == len(self.problem.axes.space_axes):
                weights = weights * self._correction(float(weights.sum()), _volume(lower[whole], upper[whole], free))
            yield Rule(x, weights, self._face_normals(piece, len(x)))

    # -- along lines in the plane -----------------------------------------------------------------------------------

    @property
    def _has_lines(self) -> bool:
        parts = self.cells is not None and self.cells.parts is not None
        return len(self.problem.axes.space_axes) == 2 and (parts or self.problem.shape is not None)

    def _lines(self, fixed: Mapping[int, float]) -> Rule:
        """All of the domain, from line to line."""
        axes = list(self.problem.axes.space_axes)
        if self.density not in self._found:
            self._found[self.density] = line_rule(self._label(fixed), self._ends(), self._turns(), self.density)
        places, weights = self._found[self.density]
        x = torch.zeros(len(places), len(self.problem.coordinates), dtype=torch.float64)
        for axis, value in fixed.items():
            x[:, axis] = value
        x[:, axes] = places
        return Rule(x, weights)

    @cached_property
    def _found(self) -> dict[float, tuple[Tensor, Tensor]]:
        return {}

    def _label(self, fixed: Mapping[int, float]) -> Callable[[Tensor], Tensor]:
        """(N, 2) -> (N,): the number of the material at points of the plane, -1 outside."""
        axes, space = list(self.problem.axes.space_axes), space_of(self.problem)
        materials = None if self.cells is None or self.cells.parts is None else self.cells.parts.within.materials

        def label(places: Tensor) -> Tensor:
            found = torch.zeros(len(places), dtype=torch.long)
            if materials is not None:
                x = torch.zeros(len(places), len(self.problem.coordinates), dtype=torch.float64)
                for axis, value in fixed.items():
                    x[:, axis] = value
                x[:, axes] = places
                found = materials(x).long()
            return found if space is None else torch.where(space.shape.inside(places), found, -1)

        return label

    def _ends(self) -> list[tuple[float, float]]:
        return [self.problem.intervals[a] for a in self.problem.axes.space_axes]

    def _turns(self) -> list[float]:
        """Where lines begin or cease to meet the boundary: it has corners there, or runs along them."""
        if self.problem.shape is None:
            return []
        boundary = self._whole_boundary
        low, high = self._ends()[1]
        y, n = boundary.x[:, 1], boundary.normals[:, 0]
        after = torch.roll(torch.arange(len(y)), -1)
        near = (boundary.x[after] - boundary.x).norm(dim=1) < 4 * (high - low) / SEGMENTS[2]
        same = near & (boundary.piece[after] == boundary.piece)
        turned = same & (n * n[after] <= 0)
        share = (n / (n - n[after]).where(n != n[after], torch.ones_like(n))).clamp(0, 1)
        corners = near & (boundary.piece[after] != boundary.piece)
        found = torch.cat([(y + share * (y[after] - y))[turned], y[corners], y[after][corners]])
        return found.tolist()

    def _points(self) -> int:
        return max(2, round(self.density * (self.degree + MORE)))

    def _face_normals(self, piece: Piece, count: int) -> Tensor | None:
        if piece.outward is None:
            return None
        normals = torch.zeros(count, len(self.problem.coordinates), dtype=torch.float64)
        normals[:, piece.outward[0]] = piece.outward[1]
        return normals

    def _cells(self) -> Cells:
        if self.cells is not None:
            return self.cells
        intervals = self.problem.intervals
        count = EQUAL_CELLS.get(len(self.problem.axes.space_axes), 2)
        counts = [1 if a == self.problem.axes.time_axis else count for a in range(len(intervals))]
        edges = [np.linspace(low, high, n + 1) for n, (low, high) in zip(counts, intervals, strict=True)]
        lower, upper = (
            torch.as_tensor(np.stack([g.ravel() for g in np.meshgrid(*(part(e) for e in edges), indexing="ij")], 1))
            for part in (lambda e: e[:-1], lambda e: e[1:])
        )
        return Cells(lower, upper)

    def _is_cut(self, cells: Cells) -> Tensor:
        if cells.parts is None and self.problem.shape is not None:
            return torch.ones(cells.count, dtype=torch.bool)
        return cells.cut

    def _cut(self, cells: Cells, chosen: Tensor, free, fixed) -> tuple[Tensor, Tensor]:
        """Midpoints of equal parts of the boxes that lie inside."""
        space = self.problem.axes.space_axes
        parts = round(self.density * PARTS[len(space)])
        lower, upper = cells.lower[chosen], cells.upper[chosen]
        unit = (torch.arange(parts, dtype=torch.float64) + 0.5) / parts
        x, weights = _tensor(lower, upper, free, fixed, unit, torch.full_like(unit, 1.0 / parts))
        m = len(x) // max(len(chosen), 1)
        if cells.parts is not None:
            inside = cells.parts.within.inside(x.reshape(-1, m, cells.dimension), cells.material[chosen]).reshape(-1)
        else:
            inside = space_of(self.problem).shape.inside(x[:, list(space)])
        return x[inside], weights[inside]

    def _correction(self, cut: float, whole: float) -> float:
        """By what the volume of the parts of cells is too small."""
        if self.problem.shape is None or cut <= 0:
            return 1.0
        boundary = self._whole_boundary
        volume = float((boundary.x[:, 0] * boundary.normals[:, 0] * boundary.weights).sum())
        return max(volume - whole, 0.0) / cut

    # -- on the boundary of a shape -----------------------------------------------------------------------------------

    @cached_property
    def _whole_boundary(self):
        shape = space_of(self.problem).shape
        spacing = float((shape.upper - shape.lower).max()) / (SEGMENTS[len(shape.lower)] * self.density)
        return shape.boundary(lambda x: torch.full((len(x),), spacing, dtype=torch.float64))

    def _boundary(self, piece: Piece, fixed: Mapping[int, float]) -> Rule:
        space = space_of(self.problem)
        shape, boundary, axes = space.shape, self._whole_boundary, list(space.axes)
        here = torch.ones(len(boundary.x), dtype=torch.bool)
        if piece.part:
            here = boundary.part == (shape.parts.index(piece.part) if piece.part in shape.parts else -1)
        if piece.plane is not None:
            axis, value = axes.index(piece.plane[0]), piece.plane[1]
            near = PLANE * float((shape.upper - shape.lower).max())
            here &= (boundary.x[:, axis] - value).abs() <= near
            here &= boundary.normals[:, axis].abs() > 1 - PLANE
        x = torch.zeros(int(here.sum()), len(self.problem.coordinates), dtype=torch.float64)
        normals = torch.zeros_like(x)
        for axis, value in fixed.items():
            x[:, axis] = value
        x[:, axes], normals[:, axes] = boundary.x[here], boundary.normals[here]
        return Rule(x, boundary.weights[here], normals)


def _gauss(lower: Tensor, upper: Tensor, free, fixed, count: int) -> tuple[Tensor, Tensor]:
    return _tensor(lower, upper, free, fixed, *gauss_rule(count))


def _tensor(lower: Tensor, upper: Tensor, free, fixed, unit: Tensor, share: Tensor) -> tuple[Tensor, Tensor]:
    """Points (C m, d) and weights (C m,) of boxes (C, d): tensor products of `unit` in [0, 1] on the free axes."""
    d = lower.shape[1]
    one = torch.zeros(1, dtype=torch.float64)
    points = tensor_points([unit if a in free else one for a in range(d)])
    weights = tensor_points([share if a in free else one + 1 for a in range(d)]).prod(dim=1)
    size = upper - lower
    x = lower[:, None] + points[None] * size[:, None]
    for axis, value in fixed.items():
        x[..., axis] = value
    volume = size[:, list(free)].prod(dim=1) if free else torch.ones(len(size), dtype=torch.float64)
    return x.reshape(-1, d), (volume[:, None] * weights[None]).reshape(-1)


def _volume(lower: Tensor, upper: Tensor, free) -> float:
    return float((upper - lower)[:, list(free)].prod(dim=1).sum())
