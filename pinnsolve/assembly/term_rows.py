"""CompiledProblem, cells -> the rows of every term: where it meets the partition."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from pinnsolve.assembly.cell_rows import CellPoints, CellTerm, Side
from pinnsolve.assembly.collocation import measured_points
from pinnsolve.assembly.cut_rows import OnBoundary, boundary_in_cells, interface_in_cells, packed, periodic_cut_sides
from pinnsolve.assembly.faces import contact_sides
from pinnsolve.assembly.integrals import TimeNodes
from pinnsolve.bases.legendre import gauss_rule
from pinnsolve.bases.piecewise.cut_quadrature import cut_points
from pinnsolve.bases.piecewise.mesh import Cells
from pinnsolve.bases.piecewise.space import Space
from pinnsolve.compiler.terms import CompiledProblem, Term
from pinnsolve.geometry.regions import Piece
from pinnsolve.geometry.sampling import Points
from pinnsolve.geometry.subdomains import where_function

TABLE_NUMBERS, DENSE = (
    1e7,
    1.3,
)  # of a table of a source on cut cells; points per axis there, times those of a whole one

Placed = tuple[Side, Tensor]  # with the reference points (G or 1, m, d) of its cells


def highest_orders(problem: CompiledProblem) -> list[tuple[int, ...]]:
    """Per unknown and axis, the highest order of derivative in the equations: continuity holds below it."""
    result = []
    for unknown in problem.unknowns:
        alphas = [
            f.alpha for term in problem.terms if term.kind == "equation" for f in term.features if f.unknown == unknown
        ]
        result.append(tuple(max((a[i] for a in alphas), default=0) for i in range(len(problem.coordinates))))
    return result


def table_orders(problem: CompiledProblem) -> tuple[int, ...]:
    """Per axis, the highest derivative that any term or integral asks for."""
    features = [f for term in problem.terms for f in term.features]
    features += [f for integral in problem.integrals for f, _ in integral.by_features]
    return tuple(max((f.alpha[i] for f in features), default=0) for i in range(len(problem.coordinates)))


def held_at(problem: CompiledProblem, axis: int, value: float) -> tuple[Term, ...]:
    """The terms that hold where this coordinate has this value: of time and its beginning, those of the start."""
    return tuple(t for t in problem.terms if any(dict(p.fixed).get(axis) == value for p in t.region.pieces))


def term_rows(problem: CompiledProblem, space: Space, weights: Mapping[str, float]) -> list[CellTerm]:
    """The rows of every term that holds somewhere on these cells; `weights`: the file's epsilon_k by term."""
    return [
        rows for term in problem.terms for rows in _OnCells(term, problem, space, weights.get(term.name, 1.0)).rows()
    ]


def interface_rows(problem: CompiledProblem, space: Space) -> list[CellTerm]:
    """What holds between materials."""
    result = []
    inner = [i for i in problem.interfaces if i.axis is None]
    for interface in inner if space.cells.parts is not None else ():
        found = interface_in_cells(space, interface.sides)
        if found is not None:
            result += _OnCells(interface.term, problem, space, 1.0).on_boundary(*found)
    return result


def measured_rows(term: Term, problem: CompiledProblem, space: Space, points: Points) -> CellTerm:
    """The rows of a term of data at some of its points, without regard to their units."""
    (rows,) = _OnCells(term, problem, space, 1.0).on_data(points)
    one = torch.ones(rows.members, 1, dtype=torch.float64)
    return CellTerm(term, problem, space, rows.at, 1.0, [one] * len(term.residuals))


@dataclass(frozen=True)
class _OnCells:
    """One term and the cells it is to be put on; `weight`: its epsilon_k."""

    term: Term
    problem: CompiledProblem
    space: Space
    weight: float

    def rows(self) -> Iterator[CellTerm]:
        if self.term.data_file is not None:
            yield from self.on_data(measured_points(self.term, self.problem))
            return
        if self.term.integrals and not self.term.features:
            yield self._once()
            return
        for piece in self.term.region.pieces:
            if piece.partner is not None:
                yield from self._on_partners(piece)
            elif piece.part is not None:
                for on in boundary_in_cells(self.space, piece):
                    yield from self.on_boundary(on)
            else:
                yield from self._inside(piece)

    def _once(self) -> CellTerm:
        """What holds between integrals alone, and so everywhere in space: in one cell, at the nodes of its time."""
        cells, axis = self.space.cells, self.problem.axes.time_axis
        nodes = TimeNodes.of(cells, axis, 1 if axis is None else self.space.points_per_axis(axis))
        starts, ends = nodes.edges[:-1], nodes.edges[1:]
        share = torch.ones(1, dtype=torch.float64) if axis is None else (ends - starts) / (ends - starts).sum()
        chosen = torch.zeros(1, dtype=torch.long)
        if axis is not None:
            middle = 0.5 * (starts + ends)[:, None]
            holds = (cells.lower[None, :, axis] <= middle) & (middle <= cells.upper[None, :, axis])
            chosen = holds.double().argmax(dim=1)
        m = len(nodes.unit)
        x = cells.physical(torch.zeros(len(chosen), m, cells.dimension, dtype=torch.float64), chosen)
        weights = torch.ones(1, 1, dtype=torch.float64)
        if axis is not None:
            x[:, :, axis] = torch.tensor(nodes.times).double().reshape(len(chosen), m)
            weights = gauss_rule(m)[1][None]
        side = Side(chosen, self.space.tables(cells.reference(x, chosen)))
        at = CellPoints((side,), weights, share, Points(x.reshape(1, -1, cells.dimension), None, {}))
        return CellTerm(self.term, self.problem, self.space, at, self.weight)

    def _inside(self, piece: Piece) -> Iterator[CellTerm]:
        """A piece that lies along the axes: on whole cells, and on what is inside of those that a boundary cuts."""
        cells = self.space.cells
        chosen = self._in_group(piece.region, _holding(cells, piece.fixed))
        cut = cells.cut[chosen]
        groups = [(chosen[~cut], self._whole)]
        groups += [(some, self._cut) for some in chosen[cut].split(self._at_once(piece.fixed))]
        for some, points_of in groups:
            if len(some):
                side, x, quadrature = points_of(some, dict(piece.fixed))
                for axis, value in piece.fixed:
                    x[..., axis] = value
                yield from self._where([x], CellPoints((side,), quadrature, self._share(some)), piece)

    def _at_once(self, fixed: Sequence) -> int:
        """How many cut cells a source has: tables of points of their own are large, and made source by source."""
        space = self.space
        held = {axis for axis, _ in fixed}
        points = math.prod(DENSE * space.points_per_axis(a) for a in range(space.cells.dimension) if a not in held)
        return max(1, int(TABLE_NUMBERS // (points * space.functions)))

    def _whole(self, chosen: Tensor, fixed: Mapping[int, float]) -> tuple[Side, Tensor, Tensor]:
        space, cells = self.space, self.space.cells
        axes = [
            _end(cells, chosen, a, fixed[a]) if a in fixed else space.points_per_axis(a) for a in range(cells.dimension)
        ]
        if None not in axes:
            points, weights, tables = space.shared(axes)
        else:  # a plane inside the cells, at a place of its own in each
            points, weights = _inner_points(space, chosen, fixed)
            tables = space.tables(points)
        return Side(chosen, tables), cells.physical(points, chosen), weights

    def _cut(self, chosen: Tensor, fixed: Mapping[int, float]) -> tuple[Side, Tensor, Tensor]:
        points, weights = cut_points(self.space, chosen, fixed)
        return Side(chosen, self.space.tables(points)), self.space.cells.physical(points, chosen), weights

    def on_boundary(self, *on: OnBoundary) -> Iterator[CellTerm]:
        """Points on a part of a shape's boundary, cell by cell, at every time or at the one that is fixed.

        Of an interface, `on` has two sides.
        """
        members, points = on[0].weights.shape
        most = max(1, int(TABLE_NUMBERS // (points * self.space.functions)))
        for some in torch.arange(members).split(most):
            part = [one.select(some) for one in on]
            sides = tuple(Side(one.cells, self.space.tables(one.reference)) for one in part)
            at = CellPoints(sides, part[0].weights, self._share(part[0].cells))
            yield from self._where([one.x for one in part], at, normals=part[0].normals)

    def _where(
        self, x: Sequence[Tensor], at: CellPoints, piece: Piece | None = None, normals: Tensor | None = None
    ) -> Iterator[CellTerm]:
        """The rows at points x (G, m, d) of every side, with the term's `where` taken care of; none without a point."""
        flat = torch.stack([part.flatten(0, 1) for part in x])
        keep = None
        if piece is not None and piece.outward is not None:
            normals = torch.zeros_like(flat[0])
            normals[:, piece.outward[0]] = piece.outward[1]
        inside = where_function(self.term.region.where, self.problem.coordinates)
        if inside is not None:
            keep = inside(flat[0], normals).reshape(x[0].shape[:2])
            if not bool(keep.any()):
                return
        at = replace(at, points=Points(flat, normals, {}), keep=keep)
        yield CellTerm(self.term, self.problem, self.space, at, self.weight)

    def _share(self, chosen: Tensor) -> Tensor:
        volume = self.space.cells.volume
        return volume[chosen] / volume.sum()

    def _in_group(self, name: str | None, chosen: Tensor) -> Tensor:
        """Those cells chosen whose material lies in a group of a mesh."""
        if name is None:
            return chosen
        holds = torch.tensor([name in material.within for material in self.problem.materials])
        return chosen[holds[self.space.cells.material[chosen]]]

    def _on_partners(self, piece: Piece) -> Iterator[CellTerm]:
        """A periodic pair: side 0 at the fixed face, side 1 at the partner.

        Different materials meet as at an interface.
        """
        cells = self.space.cells
        (axis, value), (_, partner) = piece.fixed[0], piece.partner
        first, second = cells.touching(axis, value), cells.touching(axis, partner)
        if not len(first) or not len(second):
            return
        j, i = first, second  # the face at the lower end of j meets that at the upper end of i
        low, high = (value, partner) if value < partner else (partner, value)
        if value > partner:
            i, j = j, i
        i, j = cells.contacts(axis, i, j, shift=low - high, across=True)
        pairs = torch.stack([cells.material[i], cells.material[j]], dim=1)
        same = pairs[:, 0] == pairs[:, 1]
        if bool(same.any()):
            yield from self._on_pairs(piece, i[same], j[same])
        for seam in (s for s in self.problem.interfaces if s.axis == axis):
            here = (pairs == torch.tensor(seam.sides)).all(dim=1)
            if bool(here.any()):
                ends = Piece(((axis, high),), (axis, 1), (axis, low))
                named = replace(self, term=replace(seam.term, name=self.term.name))
                yield from named._on_pairs(ends, i[here], j[here])

    def _on_pairs(self, piece: Piece, i: Tensor, j: Tensor) -> Iterator[CellTerm]:
        """The upper ends of cells i and the lower ends of cells j, at the fixed face and its partner."""
        cut = self.space.cells.cut[i] | self.space.cells.cut[j]
        for some, sides_of in ((~cut, contact_sides), (cut, periodic_cut_sides)):
            found = sides_of(self.space, piece.fixed[0][0], i[some], j[some]) if bool(some.any()) else None
            if found is not None:
                yield from self._on_sides(piece, *found)

    def _on_sides(self, piece: Piece, above: Placed, below: Placed, weights: Tensor) -> Iterator[CellTerm]:
        """The upper ends of some cells, `above`, and the lower ends of others, each with its reference points."""
        cells = self.space.cells
        (axis, value), (_, partner) = piece.fixed[0], piece.partner
        pair = [below, above]
        if value > partner:
            pair.reverse()
        x = []
        for (side, points), fixed in zip(pair, (value, partner), strict=True):
            here = cells.physical(points, side.cells)
            here[..., axis] = fixed
            x.append(here)
        sides = tuple(side for side, _ in pair)
        yield from self._where(x, CellPoints(sides, weights, self._share(sides[0].cells)), piece)

    def on_data(self, points: Points) -> Iterator[CellTerm]:
        """Measured points, cell by cell; those of a cell with fewer are filled up with points that do not count."""
        cells = self.space.cells
        x = points.x[0]
        low, high = cells.box
        inside = ((x >= low - 1e-9 * (high - low)) & (x <= high + 1e-9 * (high - low))).all(dim=1)
        if not bool(inside.any()):
            return
        points = points.select(inside.nonzero()[:, 0])
        chosen, index, keep = packed(cells.locate(points.x[0])[:, None])
        chosen, most, count = chosen[:, 0], index.shape[1], points.count
        points = points.select(index.reshape(-1))
        reference = cells.reference(points.x[0].reshape(len(chosen), most, -1), chosen)
        even = torch.full((1, most), 1.0 / most, dtype=torch.float64)
        # every measurement counts the same, however many share its cell
        share = torch.full((len(chosen),), most / count, dtype=torch.float64)
        at = CellPoints((Side(chosen, self.space.tables(reference)),), even, share, points, keep)
        yield CellTerm(self.term, self.problem, self.space, at, self.weight)


def _holding(cells: Cells, fixed) -> Tensor:
    """The cells that hold a piece."""
    chosen = torch.ones(cells.count, dtype=torch.bool)
    for axis, value in fixed:
        here = torch.zeros_like(chosen)
        here[cells.touching(axis, value)] = True
        chosen &= here
    return chosen.nonzero()[:, 0]


def _end(cells: Cells, chosen: Tensor, axis: int, value: float) -> float | None:
    """-1 or 1 where the value is the lower or upper end of every cell chosen, else None."""
    s = _reference(cells, chosen, axis, value)
    for end in (-1.0, 1.0):
        if float((s - end).abs().max()) < 1e-9:
            return end
    return None


def _reference(cells: Cells, chosen: Tensor, axis: int, value: float) -> Tensor:
    lower, upper = (corner[chosen, axis] for corner in cells.frame)
    return (2 * value - lower - upper) / (upper - lower)


def _inner_points(space: Space, chosen: Tensor, fixed: Mapping[int, float]) -> tuple[Tensor, Tensor]:
    """Points (G, m, d) of a plane inside the cells, and quadrature weights (1, m)."""
    axes = [0.0 if a in fixed else space.points_per_axis(a) for a in range(space.cells.dimension)]
    points, weights, _ = space.shared(axes)
    points = points.repeat(len(chosen), 1, 1)
    for axis, value in fixed.items():
        points[:, :, axis] = _reference(space.cells, chosen, axis, value)[:, None]
    return points, weights
