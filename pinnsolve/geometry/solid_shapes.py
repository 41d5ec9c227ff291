"""Shapes in space: their boundary as patches, trimmed where primitives meet.

Input: a tree of shapes in space. Output: a `Shape`. As in the plane, a point of a primitive's surface bounds the whole
if one of its sides is inside and the other is not. Patches are cut into cells; in a cell through which the rim of a
trimmed surface runs, quadrature goes along lines up to the rim (R. Saye, High-order quadrature methods for implicitly
defined surfaces and volumes in hyperrectangles, SIAM J. Sci. Comput. 37 (2015) A993).
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from pinnsolve.geometry import shapes as tree
from pinnsolve.geometry.level_sets import Level, level_of, primitive_level
from pinnsolve.geometry.mesh_boundary import mesh_level, mesh_of, mesh_surface
from pinnsolve.geometry.sampled_shape import Boundary, Corner, Shape, Spacing, Spread
from pinnsolve.geometry.shapes import ShapeTree, with_boxes
from pinnsolve.geometry.surfaces import Surface, surface_of

ASIDE = 1e-7  # relative to the size: how far from a surface its two sides are looked at
ON = 1e-13  # relative to the size: a level this small is on the surface
ON_SURFACE = 1e-10  # relative to the size: how much farther a surface may be than the nearest to coincide with it
FINER = 2  # halvings of a cell with a rim beyond the spacing asked for
SAMPLES = 9  # along a line through a cell with a rim
NODES = torch.tensor([-0.7745966692414834, 0.0, 0.7745966692414834], dtype=torch.float64)  # Gauss-Legendre on [-1, 1]
WEIGHTS = torch.tensor([5 / 9, 8 / 9, 5 / 9], dtype=torch.float64)


@dataclass(frozen=True)
class _Cells:
    """Rectangles of patches: `surface`, `patch` (C,) indices; `low`, `high` (C, 2) parameters; `rim` (C,) bool."""

    surface: Tensor
    patch: Tensor
    low: Tensor
    high: Tensor
    rim: Tensor

    def select(self, keep: Tensor) -> _Cells:
        return _Cells(*(getattr(self, f)[keep] for f in self.__dataclass_fields__))

    def halved(self) -> _Cells:
        """Four of each."""
        middle = (self.low + self.high) / 2
        low, high = torch.cat([self.low] * 4), torch.cat([self.high] * 4)
        n = len(middle)
        for quarter in range(4):
            for axis in (0, 1):
                side = low if quarter >> axis & 1 else high
                side[quarter * n : (quarter + 1) * n, axis] = middle[:, axis]
        return replace(self, low=low, high=high, **{f: getattr(self, f).repeat(4) for f in ("surface", "patch", "rim")})


def _joined(parts: list[_Cells]) -> _Cells:
    return _Cells(*(torch.cat([getattr(p, f) for p in parts]) for f in _Cells.__dataclass_fields__))


class SolidShape(Shape):
    """A shape of three dimensions."""

    dimension = 3

    def __init__(self, shape: ShapeTree):
        shape = with_boxes(shape)
        low, high = self._bounded(shape)
        found = sorted(tree.primitives(shape), key=lambda p: not p.name)  # where two coincide, a name goes first
        self.levels: list[Level] = [_level(p) for p in found]
        self.names = [p.name for p in found]
        self.surfaces: list[Surface] = [_surface(p, low, high) for p in found]
        self.regions = {name: mesh_level(shape, name) for name in tree.region_names(shape)}
        by_primitive = {id(p): level for p, level in zip(found, self.levels, strict=True)}
        self.level = level_of(shape, lambda primitive: by_primitive[id(primitive)])
        names = tree.part_names(shape)
        self.parts = (*names, "") if any("" in s.names() for s in self.surfaces) else names

    def corners(self) -> tuple[Corner, ...]:
        return ()

    def measure(self) -> float:
        b = self.boundary(self.size / 24)
        middle = (self.lower + self.upper) / 2
        return float((b.weights * ((b.x - middle) * b.normals).sum(dim=1)).sum() / 3)

    def labels(self, x: Tensor) -> Tensor:
        """(N,): the numbers of the parts of the boundary that points (N, 3) on it lie in; of surfaces that coincide
        the first counts."""
        away = torch.stack([level(x).abs() for level in self.levels])
        nearest = torch.where(away <= away.amin(dim=0) + ON_SURFACE * self.size, 1, 0).argmax(dim=0)
        return torch.tensor([self.parts.index(name) for name in self.names])[nearest]

    # -- points of surfaces ----------------------------------------------------------------------------

    def _at(self, surface: Tensor, patch: Tensor, uv: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Points (N, 3), normals (N, 3) out of the primitives, and area elements (N,)."""
        x, normals, area = uv.new_empty(len(uv), 3), uv.new_empty(len(uv), 3), uv.new_empty(len(uv))
        for i, s in enumerate(self.surfaces):
            here = (surface == i).nonzero()[:, 0]
            if len(here):
                k, u, v = patch[here], uv[here, 0], uv[here, 1]
                x[here], by_u, by_v = s.at(k, u, v)
                normals[here] = s.normals(k, u, v)
                area[here] = torch.linalg.cross(by_u, by_v).norm(dim=1)
        return x, normals, area

    def _signs(self, surface: Tensor, x: Tensor, normals: Tensor) -> Tensor:
        """1 where only the inner side of a surface is in the whole, -1 where only the outer is, 0 elsewhere.

        Where surfaces coincide, the first of them counts.
        """
        if len(self.levels) == 1:
            return torch.ones_like(surface)
        aside = ASIDE * self.size * normals
        signs = (self.level(x - aside) < 0).long() - (self.level(x + aside) < 0).long()
        for i, level in enumerate(self.levels[:-1]):
            later = (surface > i).nonzero()[:, 0]
            later = later[level(x[later]).abs() <= ON * self.size]
            if len(later):
                p, n = x[later], normals[later]
                # to tell a surface that coincides from one that only meets it here
                around = [level(p + 1e-5 * self.size * d).abs() <= 1e-8 * self.size for d in _across(n)]
                signs[later] = torch.where(torch.stack(around).all(dim=0), 0, signs[later])
        return signs

    def _is_trimmed(self, cells: _Cells) -> Tensor:
        """Mark the cells that the surface of another primitive may cross: (C,) bool. In doubt, a cell is marked."""
        middle = (cells.low + cells.high) / 2
        x, _, _ = self._at(cells.surface, cells.patch, middle)
        reach = torch.zeros(len(x), dtype=torch.float64)
        for share in ((0.0, 0.0), (0.0, 1.0), (1.0, 0.0), (1.0, 1.0)):
            uv = cells.low + torch.tensor(share, dtype=torch.float64) * (cells.high - cells.low)
            reach = torch.maximum(reach, (self._at(cells.surface, cells.patch, uv)[0] - x).norm(dim=1))
        trimmed = torch.zeros(len(x), dtype=torch.bool)
        for i, level in enumerate(self.levels):
            trimmed |= (cells.surface != i) & (level(x).abs() <= 1.1 * reach)
        return trimmed

    # -- cells -----------------------------------------------------------------------------------------

    def _cells(self, spacing: Spacing, finer: int = FINER) -> _Cells:
        """Cells no larger than the spacing; those that may hold a rim are halved `finer` times more."""
        waiting, done = self._first_cells(), []
        for _ in range(30):
            wanted_rim = waiting.rim
            middle = (waiting.low + waiting.high) / 2
            x, _, area = self._at(waiting.surface, waiting.patch, middle)
            size = (area * (waiting.high - waiting.low).prod(dim=1)).sqrt()
            wanted = spacing(x) if callable(spacing) else torch.full_like(size, spacing)
            fine = size <= wanted * (1 + 1e-9)
            rim = wanted_rim & self._is_trimmed(waiting)
            waiting = replace(waiting, rim=rim)
            finest = size <= wanted / 2**finer * (1 + 1e-9)
            ready = fine & (~rim | finest)
            done.append(waiting.select(ready))
            waiting = waiting.select(~ready)
            if not len(waiting.patch):
                break
            waiting = waiting.halved()
        cells = _joined(done)
        x, normals, _ = self._at(cells.surface, cells.patch, (cells.low + cells.high) / 2)
        return cells.select(cells.rim | (self._signs(cells.surface, x, normals) != 0))

    def _first_cells(self) -> _Cells:
        parts = []
        for i, s in enumerate(self.surfaces):
            ends = torch.linspace(0.0, 1.0, s.least + 1, dtype=torch.float64)
            k, a, b = torch.meshgrid(torch.arange(s.count), torch.arange(s.least), torch.arange(s.least), indexing="ij")
            k, a, b = k.reshape(-1), a.reshape(-1), b.reshape(-1)
            low, high = torch.stack([ends[a], ends[b]], dim=1), torch.stack([ends[a + 1], ends[b + 1]], dim=1)
            parts.append(_Cells(torch.full_like(k, i), k, low, high, torch.ones_like(k, dtype=torch.bool)))
        return _joined(parts)

    # -- quadrature ------------------------------------------------------------------------------------

    def boundary(self, spacing: Spacing) -> Boundary:
        cells = self._cells(spacing)
        whole, cut = cells.select(~cells.rim), cells.select(cells.rim)
        half, middle = (whole.high - whole.low) / 2, (whole.high + whole.low) / 2
        grid = torch.cartesian_prod(*[NODES.to(half)] * 2)
        uv = middle[:, None] + half[:, None] * grid
        weights = half.prod(dim=1)[:, None] * torch.outer(*[WEIGHTS.to(half)] * 2).reshape(-1)
        rows = torch.arange(len(whole.patch))[:, None].expand(-1, len(grid)).reshape(-1)
        parts = [(whole.surface[rows], whole.patch[rows], uv.reshape(-1, 2), weights.reshape(-1))]
        if len(cut.patch):
            parts.append(self._up_to_rims(cut))
        surface, patch, uv, weights = (torch.cat(column) for column in zip(*parts, strict=True))
        x, normals, area = self._at(surface, patch, uv)
        signs = self._signs(surface, x, normals)
        keep = signs != 0
        surface, patch = surface[keep], patch[keep]
        part, piece = self._labels(surface, patch)
        return Boundary(x[keep], signs[keep, None] * normals[keep], (weights * area)[keep], part, piece)

    def _labels(self, surface: Tensor, patch: Tensor) -> tuple[Tensor, Tensor]:
        parts, first, offsets = [], 0, []
        for s in self.surfaces:
            offsets.append(first)
            parts += [self.parts.index(name) for name in s.names()]
            first += s.count
        piece = torch.tensor(offsets)[surface] + patch
        return torch.tensor(parts, dtype=torch.long)[piece], piece

    def _up_to_rims(self, cells: _Cells) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Surface, patch, parameters and weights (without area) of points along lines through cells with rims."""
        axis = self._line_axis(cells)
        half, middle = (cells.high - cells.low) / 2, (cells.high + cells.low) / 2
        rows = torch.arange(len(axis)).repeat_interleave(3)  # three lines in each cell
        across = (middle.gather(1, 1 - axis[:, None]) + half.gather(1, 1 - axis[:, None]) * NODES.to(half)).reshape(-1)
        lines = _Lines(rows, axis[rows], across, cells)
        owner, low, high, kept = self._runs(lines)
        owner, low, high = owner[kept], low[kept], high[kept]
        t = ((low + high) / 2)[:, None] + ((high - low) / 2)[:, None] * NODES.to(low)
        weight_across = (half.gather(1, 1 - axis[:, None]) * WEIGHTS.to(half)).reshape(-1)[owner]
        weights = (weight_across * (high - low) / 2)[:, None] * WEIGHTS.to(low)
        owner = owner[:, None].expand_as(t).reshape(-1)
        at = lines.rows[owner]
        return cells.surface[at], cells.patch[at], lines.points(owner, t.reshape(-1)), weights.reshape(-1)

    def _line_axis(self, cells: _Cells) -> Tensor:
        """The axis of the square, per cell, along which the nearest other surface is crossed most steeply."""
        middle, step = (cells.low + cells.high) / 2, (cells.high - cells.low) / 8
        nearest, change = torch.full((len(middle),), torch.inf, dtype=torch.float64), torch.zeros_like(middle)
        shifted = [step * torch.tensor(s, dtype=torch.float64) for s in ((0.0, 0.0), (1.0, 0.0), (0.0, 1.0))]
        x, right, up = (self._at(cells.surface, cells.patch, middle + s)[0] for s in shifted)
        for i, level in enumerate(self.levels):
            at = level(x)
            closer = (cells.surface != i) & (at.abs() < nearest)
            both = torch.stack([level(right) - at, level(up) - at], dim=1).abs()
            nearest = torch.where(closer, at.abs(), nearest)
            change = torch.where(closer[:, None], both, change)
        return (change[:, 1] > change[:, 0]).long()

    def _runs(self, lines: _Lines) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Lines cut where what bounds the whole begins or ends: line, low, high, and whether it bounds (runs,)."""
        count = len(lines.rows)
        low, high = lines.ends()
        share = torch.linspace(0.0, 1.0, SAMPLES, dtype=torch.float64)
        t = low[:, None] + share * (high - low)[:, None]
        owner = torch.arange(count)[:, None].expand_as(t)
        signs = self._signs_on(lines, owner.reshape(-1), t.reshape(-1)).reshape(t.shape)
        line, k = (signs[:, 1:] != signs[:, :-1]).nonzero().T
        a, b, first = t[line, k], t[line, k + 1], signs[line, k]
        for _ in range(45 if len(line) else 0):
            middle = (a + b) / 2
            same = self._signs_on(lines, line, middle) == first
            a, b = torch.where(same, middle, a), torch.where(same, b, middle)
        starts = torch.cat([low, b])
        owners = torch.cat([torch.arange(count), line])
        kept = torch.cat([signs[:, 0], signs[line, k + 1]]) != 0
        order = torch.argsort(starts, stable=True)
        order = order[torch.argsort(owners[order], stable=True)]
        owners, starts, kept = owners[order], starts[order], kept[order]
        last = torch.ones_like(kept)
        last[:-1] = owners[1:] != owners[:-1]
        ends = torch.where(last, high[owners], torch.cat([starts[1:], starts[:1]]))
        return owners, starts, ends, kept & (ends > starts)

    def _signs_on(self, lines: _Lines, owner: Tensor, t: Tensor) -> Tensor:
        at = lines.rows[owner]
        surface, patch = lines.cells.surface[at], lines.cells.patch[at]
        x, normals, _ = self._at(surface, patch, lines.points(owner, t))
        return self._signs(surface, x, normals)

    # -- spread ----------------------------------------------------------------------------------------

    def spread(self, unit: Tensor, part: str = "", plane: tuple[int, float] | None = None) -> Spread:
        cells = self._spreading
        labels, _ = self._labels(cells.surface, cells.patch)
        if part:
            cells = cells.select(labels == self.parts.index(part))
        middle, sides = (cells.low + cells.high) / 2, cells.high - cells.low
        x, normals, area = self._at(cells.surface, cells.patch, middle)
        if plane is not None:
            flat = self.in_plane(x, normals, *plane)
            cells, sides, area = cells.select(flat), sides[flat], area[flat]
        if not len(cells.patch):
            return Spread(unit.new_zeros(0, 3), unit.new_zeros(0, 3), torch.zeros(0, dtype=torch.long))
        ends = (area * sides.prod(dim=1)).cumsum(0)
        k = torch.searchsorted(ends, unit[:, 2] * ends[-1]).clamp(max=len(ends) - 1)
        uv = cells.low[k] + unit[:, :2] * sides[k]
        x, normals, _ = self._at(cells.surface[k], cells.patch[k], uv)
        signs = self._signs(cells.surface[k], x, normals)
        chosen = (signs != 0).nonzero()[:, 0]
        return Spread(x[chosen], signs[chosen, None] * normals[chosen], chosen)

    @property
    def _spreading(self) -> _Cells:
        if not hasattr(self, "_spread_cells"):
            self._spread_cells = self._cells(self.size / 24, finer=0)
        return self._spread_cells


@dataclass(frozen=True)
class _Lines:
    """Lines through cells, along one axis of their squares: `rows` (L,) cells, `axis` (L,), `across` (L,) the other
    parameter."""

    rows: Tensor
    axis: Tensor
    across: Tensor
    cells: _Cells

    def ends(self) -> tuple[Tensor, Tensor]:
        pick = self.axis[:, None]
        return self.cells.low[self.rows].gather(1, pick)[:, 0], self.cells.high[self.rows].gather(1, pick)[:, 0]

    def points(self, owner: Tensor, t: Tensor) -> Tensor:
        """Parameters (N, 2) on lines `owner` (N,) at t (N,)."""
        along_u = self.axis[owner] == 0
        other = self.across[owner]
        return torch.stack([torch.where(along_u, t, other), torch.where(along_u, other, t)], dim=1)


def _level(primitive: tree.Primitive) -> Level:
    return mesh_level(primitive) if isinstance(primitive, tree.MeshFile) else primitive_level(primitive)


def _surface(primitive: tree.Primitive, lower: tuple, upper: tuple) -> Surface:
    if isinstance(primitive, tree.MeshFile):
        return mesh_surface(mesh_of(primitive), primitive.name)
    return surface_of(primitive, lower, upper)


def _across(normals: Tensor) -> tuple[Tensor, Tensor]:
    """Two unit vectors across each normal (N, 3)."""
    helper = torch.eye(3, dtype=torch.float64)[normals.abs().argmin(dim=1)]
    right = torch.linalg.cross(normals, helper)
    right = right / right.norm(dim=1, keepdim=True)
    return right, torch.linalg.cross(normals, right)
