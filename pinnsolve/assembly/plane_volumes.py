"""The faces and insides of the cells of shapes and materials in the plane, with the boundary as exact arcs.

Arcs are cut at the lines of all boxes, so each piece lies in one box; the straight faces are cut where arcs cross them.
So the faces of a cell close. What is left of a boundary's box that is too small for a cell of its own belongs to the
cell nearest to it, as in the solve. Integrals over a cell are those along its boundary of what is integrated upwards to
it (Green's theorem): F_y = f, so the integral of f is that of F n_y.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache

import torch
from torch import Tensor

from pinnsolve.assembly.control_volumes import MORE, Rule, Volumes, distinct, lines_of
from pinnsolve.bases.legendre import gauss_rule, tensor_points
from pinnsolve.bases.piecewise.cut_cells import spacing_of
from pinnsolve.bases.piecewise.mesh import Cells
from pinnsolve.geometry.arc_pieces import ArcPieces, arc_pieces
from pinnsolve.geometry.regions import Intervals
from pinnsolve.geometry.shapes import INTERFACE

SEGMENTS = 3.0  # of arcs per edge of a box
ASIDE = 1e-8  # relative to the size: how far from an arc its two sides are looked at
SAME = 1e-11  # relative to the size: places that are one
FLAT = 1e-9  # of a normal: how far it may be from an axis

Pieces = tuple[Tensor, Tensor]  # the owners (P,) of boxes and the corners (P, 2, 2) of these


@dataclass(frozen=True)
class PlaneVolumes:
    """The volumes of `cells` in the plane, all of whose `coordinates` are those of the shape, within these `intervals`;
    `degree`: of functions."""

    coordinates: tuple[str, ...]
    intervals: Intervals
    cells: Cells
    degree: int

    def volumes(self) -> Volumes:
        """Faces and insides of all cells."""
        inner, outer = [], {}
        for material, arcs in enumerate(self._arcs):
            inner += self._straight(material)
            for place, rule in self._outer(material, arcs):
                outer.setdefault(place, []).append(rule)
            inner += self._interfaces(material, arcs)
        places = [(place, rule) for place, rules in outer.items() for rule in rules]
        faces = [(1.0, one) for one, _ in inner] + [(-1.0, two) for _, two in inner] + [(1.0, r) for _, r in places]
        return Volumes(inner, places, [self._upwards(sign, rule) for sign, rule in faces])

    # -- arcs and boxes -----------------------------------------------------------------------------------------------

    @property
    def _shapes(self) -> Sequence:
        return self.cells.parts.within.shapes

    @property
    def _size(self) -> float:
        low, high = self.cells.box
        return float((high - low).max())

    @cached_property
    def _rule(self) -> tuple[Tensor, Tensor]:
        return gauss_rule(self.degree + MORE)

    @cached_property
    def _lines(self) -> list[Tensor]:
        """The lines of all boxes, per axis."""
        return lines_of(self.cells, SAME * self._size)

    @cached_property
    def _arcs(self) -> list[ArcPieces]:
        """The pieces of the boundary of every material; of interfaces, those of the one with the lower number."""
        found = []
        for number, shape in enumerate(self._shapes):
            mine = (self.cells.material == number).nonzero()[:, 0]
            boxes = Cells(self.cells.lower[mine], self.cells.upper[mine])
            if not len(mine):
                boxes = Cells(self.cells.lower, self.cells.upper)
            pieces = arc_pieces(shape, self._lines, spacing_of(boxes, SEGMENTS), self._rule)
            beyond = self._beyond(number, pieces)
            found.append(pieces.select((beyond < 0) | (beyond > number)))
        return found

    def _beyond(self, number: int, pieces: ArcPieces) -> Tensor:
        """(S,) the material on the other side of pieces of an interface, -1 for the boundary of the domain."""
        parts = self._shapes[number].parts
        beyond = torch.full((len(pieces.middle),), -1)
        if INTERFACE in parts:
            between = pieces.part == parts.index(INTERFACE)
            places = pieces.middle + ASIDE * self._size * pieces.normal
            beyond[between] = self.cells.parts.within.materials(places[between]).long()
        return beyond

    def _owner(self, material: int, places: Tensor) -> Tensor:
        """(N,) the cell of a material that places (N, 2) belong to; outside of all cells, the one nearest to the middle
        of the lines round it, so that what lies between these has one owner."""
        among = (self.cells.material == material).nonzero()[:, 0]
        boxes = Cells(self.cells.lower[among], self.cells.upper[among])
        found = boxes.locate(places)
        beside = ~((places > boxes.lower[found]) & (places < boxes.upper[found])).all(dim=1)
        number, middles = self._between(places[beside]), []
        for line, at in zip(self._lines, number, strict=True):
            middles.append(0.5 * (line[at] + line[at + 1]))
        found[beside] = boxes.locate(torch.stack(middles, dim=1))
        return among[found]

    def _between(self, places: Tensor) -> list[Tensor]:
        """Per axis, the numbers (N,) of the lines before places (N, 2)."""
        return [
            (torch.searchsorted(line, places[:, a].contiguous()) - 1).clamp(0, len(line) - 2)
            for a, line in enumerate(self._lines)
        ]

    @cached_property
    def _ends(self) -> Tensor:
        """(E, 2) where pieces of arcs end."""
        return torch.cat([arcs.ends.flatten(0, 1) for arcs in self._arcs])

    # -- faces --------------------------------------------------------------------------------------------------------

    def _outer(self, material: int, arcs: ArcPieces) -> list[tuple[str, Rule]]:
        """Pieces of the boundary of the domain, by its parts."""
        arcs = arcs.select(self._beyond(material, arcs) < 0)
        cells = self._owner(material, arcs.middle - ASIDE * self._size * arcs.normal)
        places = [
            self._place(material, *item) for item in zip(arcs.middle, arcs.normal, arcs.part.tolist(), strict=True)
        ]
        found = []
        for place in dict.fromkeys(places):
            here = torch.tensor([one == place for one in places])
            found.append((place, Rule(cells[here], arcs.x[here], arcs.weights[here], arcs.normals[here])))
        return found

    def _place(self, material: int, middle: Tensor, normal: Tensor, part: int) -> str:
        """The name of a part of the boundary, or the plane that it lies in."""
        name = self._shapes[material].parts[part]
        if name:
            return name
        for axis, coordinate in enumerate(self.coordinates):
            for end in self.intervals[axis]:
                near = abs(float(middle[axis]) - end) < SAME * self._size
                if near and abs(float(normal[axis])) > 1 - FLAT:
                    return f"{coordinate} = {end:.6g}"
        return "boundary"

    def _interfaces(self, material: int, arcs: ArcPieces) -> list[tuple[Rule, Rule]]:
        """Pieces between this material and those with higher numbers."""
        beyond, found = self._beyond(material, arcs), []
        for other in torch.unique(beyond[beyond >= 0]).tolist():
            some = arcs.select(beyond == other)
            step = ASIDE * self._size * some.normal
            sides = self._owner(material, some.middle - step), self._owner(other, some.middle + step)
            found.append(tuple(Rule(cells, some.x, some.weights, some.normals) for cells in sides))
        return found

    def _straight(self, material: int) -> list[tuple[Rule, Rule]]:
        """Where the boxes of a material meet, inside of it."""
        owner, lower, upper = self._boxes(material)
        boxes, every = Cells(lower, upper), torch.arange(len(lower))
        found = []
        for axis in (0, 1):
            i, j = boxes.contacts(axis, every, every)
            apart = owner[i] != owner[j]
            i, j = i[apart], j[apart]
            other = 1 - axis
            low = torch.maximum(lower[i, other], lower[j, other])
            high = torch.minimum(upper[i, other], upper[j, other])
            which, start, end = self._inside(material, axis, upper[i, axis], low, high)
            if not len(which):
                continue
            unit, share = self._rule
            x = torch.zeros(len(which), len(unit), 2, dtype=torch.float64)
            x[..., axis] = upper[i[which], axis][:, None]
            x[..., other] = start[:, None] + (end - start)[:, None] * unit
            weights, normals = (end - start)[:, None] * share, torch.zeros_like(x)
            normals[..., axis] = 1.0
            found.append(tuple(Rule(owner[k[which]], x, weights, normals) for k in (i, j)))
        return found

    def _boxes(self, material: int) -> tuple[Tensor, Tensor, Tensor]:
        """The owners (P,) and corners (P, 2) of boxes that cover a material: its cells, and what is beside them."""
        cells = (self.cells.material == material).nonzero()[:, 0]
        lower, upper = self.cells.lower[cells], self.cells.upper[cells]
        corners = [tensor_points([part(line) for line in self._lines]) for part in (lambda v: v[:-1], lambda v: v[1:])]
        middle = 0.5 * (corners[0] + corners[1])
        nearest = Cells(lower, upper).locate(middle)
        covered = ((middle > lower[nearest]) & (middle < upper[nearest])).all(dim=1)
        places = torch.cat([self._sides(material), middle[~covered]])
        held = self._shapes[material].level(places) < 0
        held[: len(places) - int((~covered).sum())] = True  # where an arc is, there is something
        rows, columns = self._between(places[held])
        numbers = torch.unique(rows * (len(self._lines[1]) - 1) + columns)
        left = numbers[~covered[numbers]]
        owner = torch.cat([cells, self._owner(material, middle[left])])
        return owner, torch.cat([lower, corners[0][left]]), torch.cat([upper, corners[1][left]])

    def _sides(self, material: int) -> Tensor:
        """(S, 2) places in a material, one beside every arc of it."""
        step = ASIDE * self._size
        arcs = self._arcs[material]
        found = [arcs.middle - step * arcs.normal]
        for number, others in enumerate(self._arcs[:material]):
            here = self._beyond(number, others) == material
            found.append((others.middle + step * others.normal)[here])
        return torch.cat(found)

    def _inside(
        self, material: int, axis: int, value: Tensor, low: Tensor, high: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        """What of faces at `value` (F,) from `low` to `high` is inside of a material: the numbers of the faces, starts
        and ends (K,)."""
        other, near = 1 - axis, SAME * self._size
        which, starts, ends = [], [], []
        for face, (v, a, b) in enumerate(zip(value.tolist(), low.tolist(), high.tolist(), strict=True)):
            on = self._ends[(self._ends[:, axis] - v).abs() <= near, other]
            between = on[(on > a + near) & (on < b - near)]
            cuts = distinct(torch.cat([between.new_tensor([a]), between, between.new_tensor([b])]), near)
            which += [face] * (len(cuts) - 1)
            starts.append(cuts[:-1])
            ends.append(cuts[1:])
        if not which:
            return torch.zeros(0, dtype=torch.long), low[:0], low[:0]
        number, start, end = torch.tensor(which), torch.cat(starts), torch.cat(ends)
        middle = torch.zeros(len(number), 2, dtype=torch.float64)
        middle[:, axis], middle[:, other] = value[number], 0.5 * (start + end)
        inside = self._shapes[material].level(middle) < 0
        return number[inside], start[inside], end[inside]

    def _upwards(self, sign: float, rule: Rule) -> Rule:
        """Points between the lower end of the cell and its face, by which a function of the cell is integrated."""
        low = self.cells.lower[rule.cells, 1][:, None]
        unit, share = self._rule
        height = rule.x[..., 1] - low
        x = rule.x[:, :, None].repeat(1, 1, len(unit), 1)
        x[..., 1] = low[..., None] + height[..., None] * unit
        weights = sign * (rule.weights * rule.normals[..., 1] * height)[..., None] * share
        return Rule(rule.cells, x.flatten(1, 2), weights.flatten(1, 2))


@lru_cache(maxsize=4)  # they are asked for before a solve, in it and after it
def plane_volumes(coordinates: tuple[str, ...], intervals: Intervals, cells: Cells, degree: int) -> Volumes:
    """See `PlaneVolumes`."""
    return PlaneVolumes(coordinates, intervals, cells, degree).volumes()
