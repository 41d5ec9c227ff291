"""A shape's cells as pieces: boxes each of which belongs to a cell, and rules for what of them is inside the shape.

What is left of a box that is too small for a cell of its own belongs to the cell nearest to it, as in least squares.
So the pieces of a cell, their faces and the boundary in them close, and what flows through them can be summed.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache, partial

import torch
from torch import Tensor

from pinnsolve.assembly.box_rules import BoxRule, boundary_rule, inside_rule
from pinnsolve.assembly.control_volumes import lines_of
from pinnsolve.assembly.cut_rows import packed
from pinnsolve.bases.legendre import tensor_points
from pinnsolve.bases.piecewise.mesh import Cells
from pinnsolve.geometry import shapes as tree
from pinnsolve.geometry.factory import make_shape
from pinnsolve.geometry.level_sets import Pieces, beside_plane, in_pieces
from pinnsolve.geometry.shapes import ShapeTree, with_boxes
from pinnsolve.runtime import go_on

APART = 1e-6  # relative to the size: how far from a point levels are compared for its normal
ASIDE = 1e-9  # the same, for which of its sides is outside
PLACES = 8  # per axis of a cell, at which it is looked whether surfaces meet
AT_ONCE = 64  # pieces whose rules are made together
SAME = 1e-11  # relative to the size: lines that are one
BEYOND = 1.5  # times half the diagonal of a box: a level larger than that in its middle is beside the boundary


@dataclass(frozen=True)
class OnCells:
    """Points `x` (N, d) with `weights` (N,), in order of the cells (G,): of cell g those from `starts[g]` on, until the
    next begin. `line`: so many points after one another differ in the last coordinate alone; `normals` (N, d) of
    boundaries, and the numbers (N,) of the parts of the boundary that points lie in."""

    cells: Tensor
    starts: Sequence[int]
    x: Tensor
    weights: Tensor
    line: int = 1
    normals: Tensor | None = None
    part: Tensor | None = None

    @classmethod
    def of(cls, owner: Tensor, x: Tensor, weights: Tensor, line: int = 1, normals=None, part=None) -> OnCells:
        """Points of these cells (N,), put in order."""
        order = torch.sort(owner, stable=True).indices
        cells, counts = torch.unique_consecutive(owner[order], return_counts=True)
        starts = [0, *counts.cumsum(0).tolist()]
        others = (None if v is None else v[order] for v in (normals, part))
        return cls(cells, starts, x[order], weights[order], line, *others)

    @property
    def owner(self) -> Tensor:
        """(N,): the cell of every point."""
        return self.cells.repeat_interleave(torch.diff(torch.tensor(self.starts)))

    def chosen(self, members: Sequence[int]) -> tuple[OnCells, Tensor]:
        """Some of the cells, as numbers of members, and which of the points they have."""
        index = torch.cat([torch.arange(self.starts[g], self.starts[g + 1]) for g in members])
        return self.at(index), index

    def at(self, index: Tensor) -> OnCells:
        """Some of the points, whole lines of them."""
        others = (None if v is None else v[index] for v in (self.normals, self.part))
        return OnCells.of(self.owner[index], self.x[index], self.weights[index], self.line, *others)


@dataclass(frozen=True)
class BetweenCells:
    """Faces along an axis of cells `below` and `above` (G,), with points (G, m, d) and weights (G, m)."""

    axis: int
    below: Tensor
    above: Tensor
    x: Tensor
    weights: Tensor


@lru_cache(maxsize=2)  # asked for before a solve, whether it fits, and in it
def _kept(cells: Cells, shape: ShapeTree, count: int) -> CutPieces:
    return CutPieces(cells, shape, count)


def cut_pieces(cells: Cells, shape: ShapeTree, count: int, check: Callable[[], None]) -> CutPieces:
    """See `CutPieces`; `check()` is called now and then while rules are made, and may end that by an exception."""
    found = _kept(cells, shape, count)
    found.check = check
    return found


class CutPieces:
    """The pieces of `cells` of a `shape`; `count`: Gauss points per axis and smooth part."""

    def __init__(self, cells: Cells, shape: ShapeTree, count: int):
        self.cells, self.tree, self.shape, self.count = cells, with_boxes(shape), make_shape(shape), count
        self.check: Callable[[], None] = go_on
        self.level = in_pieces(self.tree, self.shape.level)
        lower, upper, owner = self._left_over()
        self.boxes = Cells(torch.cat([cells.lower, lower]), torch.cat([cells.upper, upper]))
        self.owner = torch.cat([torch.arange(cells.count), owner])
        self.cut = cells.cut.clone()  # of cells: those whose integrals are not those of a box
        self.cut[owner] = True

    @cached_property
    def inside(self) -> OnCells:
        """What is inside of the cells that are cut."""
        pieces = self.cut[self.owner].nonzero()[:, 0]
        axes = list(range(self.cells.dimension))
        rule = self._in_parts(pieces, partial(self._inside_of, axes))
        return OnCells.of(self.owner[pieces][rule.box], rule.x, rule.weights, self.count)

    @cached_property
    def between(self) -> Sequence[BetweenCells]:
        """The faces between cells one of which is cut, as far as they are inside."""
        found = []
        for axis in range(self.cells.dimension):
            i, j = self._contacts(axis)
            chosen = self.cut[self.owner[i]] | self.cut[self.owner[j]]
            lower, upper = self._common(axis, i[chosen], j[chosen])
            rule = self._in_planes(axis, lower, upper, lambda sides: torch.maximum(*sides))
            if not len(rule.box):
                continue
            one, two = self.owner[i[chosen]], self.owner[j[chosen]]
            pairs, index, keep = packed(torch.stack([one, two], dim=1)[rule.box])
            weights = torch.where(keep, rule.weights[index], 0.0)
            found.append(BetweenCells(axis, pairs[:, 0], pairs[:, 1], rule.x[index], weights))
        return found

    def whole_contacts(self, axis: int) -> tuple[Tensor, Tensor]:
        """Pairs of cells neither of which is cut that touch along an axis."""
        i, j = self._contacts(axis)
        one, two = self.owner[i], self.owner[j]
        whole = ~(self.cut[one] | self.cut[two])
        return one[whole], two[whole]

    @cached_property
    def boundary(self) -> OnCells:
        """All of the boundary of the shape: what lies within the pieces, and their faces in it."""
        pieces = self.cut[self.owner].nonzero()[:, 0]
        owner, x, normals, weights = [], [], [], []
        for axis in range(self.cells.dimension):
            rule = self._in_parts(pieces, partial(self._boundary_along, axis))
            normal = outward_normals(self.level, rule.x, self.shape.size)
            owner.append(self.owner[pieces][rule.box])
            x.append(rule.x)
            normals.append(normal)
            weights.append(rule.weights * normal[:, axis].abs())
        for axis in range(self.cells.dimension):
            for sign in (-1.0, 1.0):
                piece, rule = self._flat(axis, sign)
                owner.append(self.owner[piece][rule.box])
                x.append(rule.x)
                normal = torch.zeros_like(rule.x)
                normal[:, axis] = sign
                normals.append(normal)
                weights.append(rule.weights)
        owner, x, normals, weights = (torch.cat(v) for v in (owner, x, normals, weights))
        kept = weights > 0
        owner, x, normals, weights = owner[kept], x[kept], normals[kept], weights[kept]
        return OnCells.of(owner, x, weights, 1, normals, self.shape.labels(x))

    def _inside_of(self, axes: Sequence[int], some: Tensor) -> BoxRule:
        return inside_rule(self.level, self.boxes.lower[some], self.boxes.upper[some], axes, self.count)

    def _boundary_along(self, axis: int, some: Tensor) -> BoxRule:
        return boundary_rule(self.level, self.boxes.lower[some], self.boxes.upper[some], axis, self.count)

    def _in_parts(self, pieces: Tensor, rule: Callable[[Tensor], BoxRule]) -> BoxRule:
        """The rules of some pieces at a time, as that of all."""
        parts, first = [], 0
        for some in pieces.split(AT_ONCE):
            self.check()
            part = rule(some)
            parts.append(replace(part, box=part.box + first))
            first += len(some)
        return _joined(parts, self.boxes.lower)

    # -- pieces -------------------------------------------------------------------------------------------------------

    @property
    def _size(self) -> float:
        low, high = self.cells.box
        return float((high - low).max())

    def _left_over(self) -> tuple[Tensor, Tensor, Tensor]:
        """Boxes that hold some of the shape and are in no cell, and the cells nearest to them."""
        lines = lines_of(self.cells, SAME * self._size)
        lower, upper = tensor_points([v[:-1] for v in lines]), tensor_points([v[1:] for v in lines])
        middle, half = 0.5 * (lower + upper), 0.5 * (upper - lower).norm(dim=1)
        near = (self.shape.level(middle).abs() <= BEYOND * half).nonzero()[:, 0]
        lower, upper, middle = lower[near], upper[near], middle[near]
        nearest = self.cells.locate(middle)
        covered = ((middle > self.cells.lower[nearest]) & (middle < self.cells.upper[nearest])).all(dim=1)
        lower, upper = lower[~covered], upper[~covered]
        rule = inside_rule(self.level, lower, upper, list(range(self.cells.dimension)), 2)
        some = torch.unique(rule.box)
        # of the same material, the cell that is nearest to the middle of what is inside
        inside = torch.zeros(len(lower), dtype=torch.float64).index_add_(0, rule.box, rule.weights)
        middle = torch.zeros_like(lower).index_add_(0, rule.box, rule.weights[:, None] * rule.x)
        middle = (middle / inside.clamp_min(1e-300)[:, None])[some, None]
        away = torch.maximum(self.cells.lower - middle, middle - self.cells.upper).clamp_min(0.0).norm(dim=2)
        maps = None if self.cells.parts is None else self.cells.parts.within.materials
        if maps is not None and len(some):
            away[self.cells.material != maps(middle[:, 0])[:, None]] = torch.inf
        return lower[some], upper[some], away.argmin(dim=1) if len(some) else some

    def _contacts(self, axis: int) -> tuple[Tensor, Tensor]:
        """Pairs of pieces of different cells that touch along an axis."""
        every = torch.arange(self.boxes.count)
        i, j = self.boxes.contacts(axis, every, every)
        apart = self.owner[i] != self.owner[j]
        return i[apart], j[apart]

    def _common(self, axis: int, i: Tensor, j: Tensor) -> tuple[Tensor, Tensor]:
        """Corners of the common parts of upper faces of pieces i and lower faces of pieces j."""
        boxes = self.boxes
        lower, upper = torch.maximum(boxes.lower[i], boxes.lower[j]), torch.minimum(boxes.upper[i], boxes.upper[j])
        lower[:, axis] = upper[:, axis] = boxes.upper[i, axis]
        return lower, upper

    def _flat(self, axis: int, sign: float) -> tuple[Tensor, BoxRule]:
        """Faces of pieces in which the shape ends, with points on them."""
        boxes = self.boxes
        at = (boxes.upper if sign > 0 else boxes.lower)[:, axis]
        lower, upper = boxes.lower.clone(), boxes.upper.clone()
        lower[:, axis] = upper[:, axis] = at
        pieces = torch.arange(boxes.count)
        flat = [tree.may_have_face(self.tree, axis, v, SAME * self._size) for v in at.tolist()]
        pieces, lower, upper = (v[torch.tensor(flat)] for v in (pieces, lower, upper))

        def ends(sides: Sequence[Tensor]) -> Tensor:
            below, above = sides
            return torch.maximum(below, -above) if sign > 0 else torch.maximum(above, -below)

        return pieces, self._in_planes(axis, lower, upper, ends)

    def _in_planes(self, axis: int, lower: Tensor, upper: Tensor, combined: Callable) -> BoxRule:
        """Rules on faces (F, d) along an axis, of a level that is combined of those just below and above them."""
        others = [a for a in range(self.cells.dimension) if a != axis]
        near, parts = SAME * self._size, []
        for value in torch.unique(lower[:, axis]).tolist():
            here = (lower[:, axis] == value).nonzero()[:, 0]
            sides = [beside_plane(self.tree, axis, value, side, near) for side in (-1, 1)]
            level = replace(self.level, level=partial(_combined, combined, sides))
            self.check()
            rule = inside_rule(level, lower[here], upper[here], others, self.count)
            parts.append(replace(rule, box=here[rule.box]))
        return _joined(parts, lower)


def outward_normals(level: Pieces, x: Tensor, size: float) -> Tensor:
    """(N, d): normals at points (N, d) on the boundary of a shape of this size, of the surface that each lies on, so
    that they are right beside edges, too."""
    on = torch.stack([surface(x).abs() for surface in level.surfaces]).argmin(dim=0)
    slopes, step = torch.zeros_like(x), APART * size
    for number in torch.unique(on).tolist():
        here, surface = (on == number).nonzero()[:, 0], level.surfaces[number]
        for axis in range(x.shape[1]):
            ahead, behind = x[here], x[here]
            ahead[:, axis] += step
            behind[:, axis] -= step
            slopes[here, axis] = surface(ahead) - surface(behind)
    normals = slopes / slopes.norm(dim=1, keepdim=True).clamp_min(1e-300)
    aside = ASIDE * size * normals
    return torch.where((level(x + aside) < level(x - aside))[:, None], -normals, normals)


def _joined(parts: Sequence[BoxRule], like: Tensor) -> BoxRule:
    if not parts:
        return BoxRule(torch.zeros(0, dtype=torch.long), like[:0], like[:0, 0])
    return BoxRule(*(torch.cat([getattr(part, name) for part in parts]) for name in ("box", "x", "weights")))


@lru_cache(maxsize=2)  # asked for as often as rules are
def surfaces_meet(cells: Cells, shape: ShapeTree) -> bool:
    """Whether two surfaces of a shape may meet in one of the cells: both are near to the same place in it."""
    shape = with_boxes(shape)
    level = in_pieces(shape, make_shape(shape).level)
    cut = cells.cut.nonzero()[:, 0]
    unit = 2.0 * (torch.arange(PLACES, dtype=torch.float64) + 0.5) / PLACES - 1.0
    x = cells.physical(tensor_points([unit] * cells.dimension)[None], cut)
    size = cells.size[cut].amax(dim=1)[:, None]
    near = torch.zeros(x.shape[:2], dtype=torch.long)
    for surface in level.surfaces:
        near += surface(x.flatten(0, 1)).abs().reshape(near.shape) <= size / PLACES
    return bool((near > 1).any())


def _combined(how: Callable, sides: Sequence[Callable], x: Tensor) -> Tensor:
    return how([level(x) for level in sides])
