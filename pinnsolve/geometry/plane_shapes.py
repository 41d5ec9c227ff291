"""Shapes of the plane: their boundary as exact arcs, corners, quadrature.

Input: a tree of plane shapes. Output: a `Shape`. Along each curve of each primitive the spots are found where another
primitive begins or ends; between two of them, a curve bounds the whole if one of its sides is inside and the other is
not. That holds where boundaries coincide, too.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property

import torch
from torch import Tensor

from pinnsolve.geometry import shapes as tree
from pinnsolve.geometry.curves import Curve, curves_of, line_of
from pinnsolve.geometry.level_sets import Level, level_of, primitive_level
from pinnsolve.geometry.mesh_boundary import mesh_curves, mesh_level, mesh_of
from pinnsolve.geometry.sampled_shape import Boundary, Corner, Shape, Spacing, Spread
from pinnsolve.geometry.shapes import ShapeTree, with_boxes

ON = 1.5e-14  # relative to size and distance from the origin: a level this small is on the boundary
ASIDE = 1e-7  # relative to the size: how far from a curve its two sides are looked at
SHORT = 1e-9  # relative to the size: arcs shorter than this are none
TOUCHING = 1e-4  # relative to the size: arcs shorter than this only touch, they do not coincide
PER_FEATURE = 12  # points along a curve, per extent of the smallest primitive
MOST_POINTS = 20_000  # along one curve
NODES, WEIGHTS = (torch.tensor(v, dtype=torch.float64) for v in zip(*[
    (-0.8611363115940526, 0.3478548451374538), (-0.3399810435848563, 0.6521451548625461),
    (0.3399810435848563, 0.6521451548625461), (0.8611363115940526, 0.3478548451374538),
], strict=True))  # Gauss-Legendre on [-1, 1]  # fmt: skip


@dataclass(frozen=True)
class _Source:
    """A primitive with its level and its curves."""

    primitive: tree.Primitive
    level: Level
    curves: Sequence[Curve]


@dataclass(frozen=True)
class Arc:
    """A part of a curve that bounds the whole, from parameter `start` to `end`.

    `sign` is 1 where the whole lies on the left of the curve, -1 where on its right. `piece` numbers the smooth curves
    that a boundary consists of.
    """

    curve: Curve
    start: float
    end: float
    sign: int
    piece: int = 0


@dataclass(frozen=True)
class Segments:
    """Parts of arcs short enough for one rule of quadrature: `arc` (S,) indices, `a` and `b` (S,) parameters."""

    arc: Tensor
    a: Tensor
    b: Tensor
    lengths: Tensor = field(repr=False)


class PlaneShape(Shape):
    """A shape of two dimensions."""

    dimension = 2

    def __init__(self, shape: ShapeTree):
        shape = with_boxes(shape)
        low, high = self._bounded(shape)
        self.near = ON * (self.size + float(torch.maximum(self.lower.abs(), self.upper.abs()).max()))
        sources = [_source(p, low, high) for p in tree.primitives(shape)]
        levels = {id(s.primitive): s.level for s in sources}
        self.level = level_of(shape, lambda primitive: levels[id(primitive)])
        self.arcs = _numbered(self._arcs(sources))
        self.regions = {name: mesh_level(shape, name) for name in tree.region_names(shape)}
        names = tree.part_names(shape)
        self.parts = names if all(a.curve.name for a in self.arcs) else (*names, "")

    # -- which arcs bound the whole --------------------------------------------------------------------

    def _arcs(self, sources: list[_Source]) -> list[Arc]:
        sources = sorted(sources, key=lambda s: not s.primitive.name)  # where two coincide, a name goes first
        extents = [min(b - a for a, b in zip(*tree.bounds(s.primitive), strict=True)) for s in sources]
        feature = min((e for e in extents if 0 < e < math.inf), default=self.size)
        arcs = []
        for i, source in enumerate(sources):
            others = [s.level for s in sources if s is not source]
            before = [s.level for s in sources[:i]]
            for curve in source.curves:
                arcs += self._kept(curve, others, before, feature)
        return arcs

    def _kept(self, curve: Curve, others: list[Level], before: list[Level], feature: float) -> list[Arc]:
        """The arcs of one curve. `before` are levels of primitives whose own curves count where both coincide."""
        s = _fine(curve, feature / PER_FEATURE)
        spots = torch.cat([s[:1], s[-1:], *(self._changes(curve, level, s) for level in others)]).sort().values
        spots = _merged(curve, spots, SHORT * self.size)
        a, b = spots[:-1], spots[1:]
        signs = self._signs(curve, (a + b) / 2)
        for level in before:
            signs = torch.where(self._coincide(curve, level, a, b), 0, signs)
        arcs: list[Arc] = []
        for start, end, sign in zip(a.tolist(), b.tolist(), signs.tolist(), strict=True):
            if sign and arcs and arcs[-1].sign == sign and arcs[-1].end == start:
                arcs[-1] = Arc(curve, arcs[-1].start, end, sign)
            elif sign:
                arcs.append(Arc(curve, start, end, sign))
        return arcs

    def _signs(self, curve: Curve, s: Tensor) -> Tensor:
        """1 where the whole lies on the left of the curve only, -1 on the right only, 0 on both or none."""
        x, aside = curve.at(s)[0], ASIDE * self.size * curve.normals(s)
        left, right = self.level(x - aside) < 0, self.level(x + aside) < 0
        return left.long() - right.long()

    def _coincide(self, curve: Curve, level: Level, a: Tensor, b: Tensor) -> Tensor:
        """Mark the parts of a curve that lie entirely on the boundary of another primitive."""
        on = torch.ones(len(a), dtype=torch.bool)
        for share in (0.2, 0.5, 0.8):
            on &= level(curve.at(a + share * (b - a))[0]).abs() <= self.near
        far = (curve.at(a)[0] - curve.at(a + 0.5 * (b - a))[0]).norm(dim=1) > TOUCHING * self.size
        return on & far

    def _changes(self, curve: Curve, level: Level, s: Tensor) -> Tensor:
        """Parameters at which a curve enters, leaves or begins to run along another primitive's boundary."""
        near = self.near

        def state(at: Tensor) -> Tensor:
            values = level(curve.at(at)[0])
            return torch.where(values.abs() <= near, 0, values.sign().long())

        s = torch.cat([s, _grazing(curve, level, s)]).sort().values
        states = state(s)
        k = (states[:-1] != states[1:]).nonzero()[:, 0]
        if not len(k):
            return s[:0]
        a, b, first = s[k], s[k + 1], states[k]
        across = first * states[k + 1] == -1  # then the spot is where the level changes sign, not where it is small
        for _ in range(64):
            middle = (a + b) / 2
            values = level(curve.at(middle)[0])
            found = torch.where(values.abs() <= near, 0, values.sign().long())
            sides = torch.where(values < 0, -1, 1)
            same = torch.where(across, sides == first, found == first)
            a, b = torch.where(same, middle, a), torch.where(same, b, middle)
        return (a + b) / 2

    # -- quadrature ------------------------------------------------------------------------------------

    def boundary(self, spacing: Spacing) -> Boundary:
        segments = self.segments(spacing)
        half = (segments.b - segments.a) / 2
        s = ((segments.a + segments.b) / 2)[:, None] + half[:, None] * NODES.to(half)
        arc = segments.arc[:, None].expand_as(s).reshape(-1)
        x, normals, speed = self.points_at(arc, s.reshape(-1))
        return Boundary(x, normals, (half[:, None] * WEIGHTS.to(half)).reshape(-1) * speed, *self._labels(arc))

    def _labels(self, arc: Tensor) -> tuple[Tensor, Tensor]:
        parts = torch.tensor([self.parts.index(a.curve.name) for a in self.arcs], dtype=torch.long)
        pieces = torch.tensor([a.piece for a in self.arcs], dtype=torch.long)
        return parts[arc], pieces[arc]

    def points_at(self, arc: Tensor, s: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Points (N, 2), outward normals (N, 2) and speeds (N,) at parameters of arcs."""
        x, normals, speed = s.new_empty(len(s), 2), s.new_empty(len(s), 2), s.new_empty(len(s))
        for i, a in enumerate(self.arcs):
            here = (arc == i).nonzero()[:, 0]
            if len(here):
                x[here], along = a.curve.at(s[here])
                normals[here] = a.sign * a.curve.normals(s[here])
                speed[here] = along.norm(dim=1)
        return x, normals, speed

    def segments(self, spacing: Spacing) -> Segments:
        """Arcs cut at the knots of their curves, then halved until each part is no longer than the spacing there."""
        starts, ends, owners = [], [], []
        for i, a in enumerate(self.arcs):
            knots = [k for k in a.curve.knots.tolist() if a.start < k < a.end]
            ends_of = [a.start, *knots, a.end]
            starts += ends_of[:-1]
            ends += ends_of[1:]
            owners += [i] * (len(ends_of) - 1)
        a, b = (torch.tensor(v, dtype=torch.float64) for v in (starts, ends))
        arc = torch.tensor(owners, dtype=torch.long)
        done: list[tuple[Tensor, ...]] = []
        for _ in range(40):
            lengths, middles = self._measured(arc, a, b)
            wanted = spacing(middles) if callable(spacing) else torch.full_like(lengths, spacing)
            fine = lengths <= wanted * (1 + 1e-9)
            done.append((arc[fine], a[fine], b[fine], lengths[fine]))
            arc, a, b = arc[~fine], a[~fine], b[~fine]
            if not len(arc):
                break
            middle = (a + b) / 2
            arc, a, b = arc.repeat(2), torch.cat([a, middle]), torch.cat([middle, b])
        arc, a, b, lengths = (torch.cat(column) for column in zip(*done, strict=True))
        order = sorted(range(len(arc)), key=list(zip(arc.tolist(), a.tolist(), strict=True)).__getitem__)
        return Segments(arc[order], a[order], b[order], lengths[order])

    def _measured(self, arc: Tensor, a: Tensor, b: Tensor) -> tuple[Tensor, Tensor]:
        """Lengths (S,) and middles (S, 2) of parts of arcs."""
        s = ((a + b) / 2)[:, None] + ((b - a) / 2)[:, None] * NODES.to(a)
        _, _, speed = self.points_at(arc[:, None].expand_as(s).reshape(-1), s.reshape(-1))
        lengths = (speed.reshape(-1, len(NODES)) * WEIGHTS.to(a)).sum(dim=1) * (b - a) / 2
        return lengths, self.points_at(arc, (a + b) / 2)[0]

    def spread(self, unit: Tensor, part: str = "", plane: tuple[int, float] | None = None) -> Spread:
        segments = self._spreading
        chosen = self._chosen(segments, part, plane)
        if not len(chosen):
            return Spread(unit.new_zeros(0, 2), unit.new_zeros(0, 2), torch.zeros(0, dtype=torch.long))
        ends = segments.lengths[chosen].cumsum(0)
        target = unit[:, 0] * ends[-1]
        k = torch.searchsorted(ends, target).clamp(max=len(chosen) - 1)
        share = 1 - (ends[k] - target) / segments.lengths[chosen][k]
        i = chosen[k]
        s = segments.a[i] + share.clamp(0, 1) * (segments.b[i] - segments.a[i])
        x, normals, _ = self.points_at(segments.arc[i], s)
        return Spread(x, normals, torch.arange(len(x)))

    @cached_property
    def _spreading(self) -> Segments:
        return self.segments(self.size / 50)

    def _chosen(self, segments: Segments, part: str, plane: tuple[int, float] | None) -> Tensor:
        """Indices of the segments of a part, or of all, that lie in a plane."""
        names = [a.curve.name for a in self.arcs]
        keep = torch.tensor([not part or name == part for name in names], dtype=torch.bool)[segments.arc]
        if plane is not None:
            axis, value = plane
            for share in (0.0, 0.5, 1.0):
                x, normals, _ = self.points_at(segments.arc, segments.a + share * (segments.b - segments.a))
                keep &= self.in_plane(x, normals, axis, value)
        return keep.nonzero()[:, 0]

    def measure(self) -> float:
        b = self.boundary(self.size / 20)
        middle = (self.lower + self.upper) / 2
        return float((b.weights * ((b.x - middle) * b.normals).sum(dim=1)).sum() / 2)

    # -- corners ---------------------------------------------------------------------------------------

    def corners(self) -> tuple[Corner, ...]:
        ends = [self._ends(a) for a in self.arcs]
        found, taken = [], set()
        for i, (_, (p, arriving)) in enumerate(ends):
            candidates = [
                (_turn(arriving, leaving), j)
                for j, ((q, leaving), _) in enumerate(ends)
                if j not in taken and float((p - q).norm()) <= 1e3 * SHORT * self.size
            ]
            if not candidates:
                continue
            turn, j = max(candidates)  # where several arcs meet, the boundary turns left as far as it can
            taken.add(j)
            if abs(turn) > max(self.arcs[i].curve.sharp, self.arcs[j].curve.sharp):
                names = (self.arcs[i].curve.name, self.arcs[j].curve.name)
                found.append(Corner(p, math.pi - turn, names))
        return tuple(found)

    def _ends(self, arc: Arc) -> tuple[tuple[Tensor, Tensor], tuple[Tensor, Tensor]]:
        """Point and direction at the first and the last end, the whole on the left."""
        x, along = arc.curve.at(torch.tensor([arc.start, arc.end], dtype=torch.float64))
        pair = [(x[0], along[0]), (x[1], along[1])]
        return tuple(pair) if arc.sign > 0 else tuple((p, -t) for p, t in reversed(pair))


def _source(primitive: tree.Primitive, lower: tuple, upper: tuple) -> _Source:
    if isinstance(primitive, tree.HalfPlane):
        return _Source(primitive, primitive_level(primitive), [line_of(primitive, lower, upper)])
    if isinstance(primitive, tree.MeshFile):
        return _Source(primitive, mesh_level(primitive), mesh_curves(mesh_of(primitive), primitive.name))
    return _Source(primitive, primitive_level(primitive), curves_of(primitive))


def _fine(curve: Curve, step: float) -> Tensor:
    """Parameters about `step` apart along a curve, its knots among them."""
    knots = curve.knots
    middle = (knots[:-1] + knots[1:]) / 2
    lengths = curve.at(middle)[1].norm(dim=1) * (knots[1:] - knots[:-1])
    most = max(2, MOST_POINTS // len(lengths))
    counts = (lengths / step).ceil().clamp(2, most).long().tolist()
    pieces = [
        torch.linspace(a, b, n + 1, dtype=torch.float64)[:-1]
        for a, b, n in zip(knots[:-1], knots[1:], counts, strict=True)
    ]
    return torch.cat([*pieces, knots[-1:]])


def _grazing(curve: Curve, level: Level, s: Tensor) -> Tensor:
    """Parameters between the points s at which a level that has no change of sign there comes to zero, or past it."""
    values = level(curve.at(s)[0])
    size = values.abs()
    dips = (size[1:-1] <= size[:-2]) & (size[1:-1] <= size[2:]) & (values[1:-1] * values[:-2] > 0)
    k = (dips & (values[1:-1] * values[2:] > 0)).nonzero()[:, 0]
    x = curve.at(s)[0]
    reach = (x[1:] - x[:-1]).norm(dim=1)
    k = k[size[k + 1] <= 2 * torch.maximum(reach[k], reach[k + 1])]  # a level is about a distance
    if not len(k):
        return s[:0]
    a, b, sign = s[k], s[k + 2], values[k + 1].sign()
    for _ in range(80):  # ternary search for the least level
        c, d = a + (b - a) / 3, b - (b - a) / 3
        lower = sign * level(curve.at(c)[0]) < sign * level(curve.at(d)[0])
        a, b = torch.where(lower, a, c), torch.where(lower, d, b)
    return (a + b) / 2


def _merged(curve: Curve, spots: Tensor, short: float) -> Tensor:
    """Spots in order without those that follow another within a short distance; the two ends stay."""
    x = curve.at(spots)[0]
    kept = [0]
    for i in range(1, len(spots) - 1):
        apart = float((x[i] - x[kept[-1]]).norm()) > short or float(spots[i] - spots[kept[-1]]) > 0.1
        if apart and float((x[i] - x[-1]).norm()) > short:
            kept.append(i)
        elif apart and float(spots[-1] - spots[i]) > 0.5 * float(spots[-1] - spots[0]):
            continue
        elif apart:
            kept.append(i)
    return spots[[*kept, len(spots) - 1]]


def _numbered(arcs: list[Arc]) -> list[Arc]:
    """Arcs with the numbers of their pieces; two on either side of a closed curve's seam are one piece."""
    numbers: list[int] = []
    for i, arc in enumerate(arcs):
        seam = None
        if arc.curve.closed and arc.end == float(arc.curve.knots[-1]):
            start = float(arc.curve.knots[0])
            same = (j for j in range(i) if arcs[j].curve is arc.curve and arcs[j].sign == arc.sign)
            seam = next((j for j in same if arcs[j].start == start), None)
        numbers.append(numbers[seam] if seam is not None else max(numbers, default=-1) + 1)
    return [Arc(a.curve, a.start, a.end, a.sign, n) for a, n in zip(arcs, numbers, strict=True)]


def _turn(a: Tensor, b: Tensor) -> float:
    """The angle from one direction to another, left positive."""
    return math.atan2(float(a[0] * b[1] - a[1] * b[0]), float(a @ b))
