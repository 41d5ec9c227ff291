"""The gradient of an energy on the cells of a shape, some of which its boundary cuts.

What cut cells add is integrated over what of them is inside (see `cut_pieces`), with polynomials on their frames. How
large the weight g of values on the faces and the boundary of a cut cell must be depends on the form of what is inside,
and is found cell by cell: the energy of a function is to be more than what its fluxes may take off it, so g is a few
times the largest ratio of |s(u)|^2 on all of its faces to its energy (Embar, Dolbow & Harari, Int. J. Numer. Methods
Eng. 83 (2010) 877-898). Elsewhere all is as in boxes.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import cached_property, partial

import torch
from torch import Tensor

from pinnsolve.assembly.cut_moments import Product, products, scattered_table, sums
from pinnsolve.assembly.cut_pieces import BetweenCells, CutPieces, OnCells, cut_pieces, surfaces_meet
from pinnsolve.assembly.energy_form import EnergyForm, Trace, product
from pinnsolve.assembly.energy_rows import Face, Tested, beside_and_between, face_rows, inside_rows
from pinnsolve.assembly.row_source import RowSource
from pinnsolve.bases.piecewise.space import Space
from pinnsolve.compiler.energy_parts import Energy, Wall
from pinnsolve.geometry.sampled_shape import IN_PLANE
from pinnsolve.language.symbols import MultiIndex
from pinnsolve.least_squares.products import times
from pinnsolve.threads import side_by_side

MORE = 2  # Gauss points on a line through a cut cell than the degree
ABOVE = 3.0  # times the least g that keeps the energy positive
STEPS, STARTS = 24, 3  # of the power method by which that is found, and from how many functions at once
KNOWN = 1e-10  # relative: energies below are rounding
DEPENDENT = 1e-10  # of the largest square: polynomials on a face that others hold
SEED = 7


def cut_energy_rows(form: EnergyForm, check: Callable[[], None]) -> list[RowSource]:
    """All rows of a problem in a shape; `check()` is called now and then, and may end that by an exception."""
    cells = form.space.cells
    # Gauss points on a line: where surfaces meet, others of a richer space, so that corrections hold what rules leave
    # out; elsewhere rules have more digits than solutions, and both spaces mostly share one
    degree = max(form.space.degrees)
    count = degree + MORE if surfaces_meet(cells, form.problem.shape) else 2 * math.ceil((degree + 1) / 2)
    pieces = cut_pieces(cells, form.problem.shape, count, check)
    cut = _CutCells(form, pieces)
    found: list[RowSource] = inside_rows(form, (~pieces.cut).nonzero()[:, 0])
    found += cut.inside
    for axis in range(cells.dimension):
        found += face_rows(form, axis, *pieces.whole_contacts(axis))
    for face in cut.faces:
        found += beside_and_between(face)
    return found + cut.walls


class _CutCells:
    """The rows of the cut cells: of their insides, their faces, and all of the boundary."""

    def __init__(self, form: EnergyForm, pieces: CutPieces):
        self.form, self.pieces = form, pieces
        self.inside = [_CutInside(form, energy, some) for energy, some in self._by_material(pieces.inside)]
        self.faces = list(self._faces())
        self.walls = [
            _OnCutWall(form, energy, wall, here, self)
            for energy, some in (self._by_material(pieces.boundary) if any(map(_acts, form.energies)) else ())
            for wall in energy.walls
            if (here := self._on(some, wall)) is not None
        ]

    def _by_material(self, on: OnCells) -> list[tuple[Energy, OnCells]]:
        material = self.form.space.cells.material[on.cells]
        found = []
        for number, energy in self.form.materials:
            mine = (material == number).nonzero()[:, 0].tolist()
            if mine:
                found.append((energy, on.chosen(mine)[0]))
        return found

    def _on(self, on: OnCells, wall: Wall) -> OnCells | None:
        """The points that lie in the piece of a wall."""
        piece, shape = wall.piece, self.pieces.shape
        if piece.plane is not None:
            axis, value = piece.plane
            flat = on.normals[:, axis].abs() > 1.0 - IN_PLANE
            here = (flat & ((on.x[:, axis] - value).abs() <= IN_PLANE * shape.size)).nonzero()[:, 0]
        elif piece.part:
            here = (on.part == shape.parts.index(piece.part)).nonzero()[:, 0]
        else:
            return on
        return on.at(here) if len(here) else None

    def _faces(self) -> Sequence[Face]:
        form, material = self.form, self.form.space.cells.material
        for between in self.pieces.between:
            for one, first in form.materials:
                for two, second in form.materials:
                    here = (material[between.below] == one) & (material[between.above] == two)
                    for some in form.divided(here.nonzero()[:, 0], between.x.shape[1]):
                        yield _CutFace(form, (first, second), between, some, self)

    @cached_property
    def weights(self) -> Tensor:
        """(C,): g of cut cells, not a number of others."""
        form = self.form
        cut = self.pieces.cut.nonzero()[:, 0]
        place = torch.full((form.space.cells.count,), -1)
        place[cut] = torch.arange(len(cut))
        n = len(form.unknowns) * form.space.functions
        energy, fluxes = form.whole.new_zeros(len(cut), n, n), form.whole.new_zeros(len(cut), n, n)
        for part in self.inside:
            energy[place[part.cells[0]]] += part.of_slopes.flatten(3, 4).flatten(1, 2)
            part.known = True
        for face in self.faces:
            self.pieces.check()
            for k in range(2):
                here = (place[face.cells[k]] >= 0).nonzero()[:, 0]
                side = face.side(k)
                found = _squares(form, form.fluxes(side, face.axis)[0], side.weights)
                fluxes.index_add_(0, place[face.cells[k][here]], found[here])
            face.forget()
        for wall in self.walls:
            for number, found in wall.squares():
                if place[number] >= 0:
                    fluxes[place[number]] += found
        found = form.whole.new_full((form.space.cells.count,), torch.nan)
        found[cut] = ABOVE * _largest_ratio(fluxes, energy)
        return found


def _acts(energy: Energy) -> bool:
    """Whether anything is held or flows through the boundary anywhere."""
    return any(any(wall.held) or any(r != 0 for r in wall.given.residuals) for wall in energy.walls)


def _squares(form: EnergyForm, fluxes: Sequence[dict[int, Tensor]], weights: Tensor) -> Tensor:
    """(G, U n, U n): the integrals of |s(u)|^2, all unknowns together."""
    n, U = form.space.functions, len(form.unknowns)
    found = weights.new_zeros(len(weights), U, n, U, n)
    for flux in fluxes:
        for b, one in flux.items():
            for c, two in flux.items():
                found[:, b, :, c] += product(one, weights, two)
    return found.flatten(3, 4).flatten(1, 2)


def _largest_ratio(B: Tensor, A: Tensor) -> Tensor:
    """(K,): the largest ratio x^T B x / x^T A x of symmetric positive matrices (K, n, n), with what A does not see of x
    left out, by the power method."""
    scale = torch.diagonal(A, dim1=1, dim2=2).mean(dim=1)[:, None, None]
    factor = torch.linalg.cholesky(A + KNOWN * scale * torch.eye(A.shape[1], dtype=A.dtype))
    made = torch.Generator().manual_seed(SEED)
    x = torch.randn(len(A), A.shape[1], STARTS, dtype=A.dtype, generator=made)
    ratio = A.new_zeros(len(A))
    for _ in range(STEPS):
        x = torch.cholesky_solve(B @ x, factor)
        x = x / x.norm(dim=1, keepdim=True).clamp_min(1e-300)
        above = (x * (B @ x)).sum(dim=1) / (x * (A @ x + KNOWN * scale * x)).sum(dim=1)
        ratio = torch.maximum(ratio, above.amax(dim=1))
    return ratio


class _CutInside(Tested):
    """The part of the insides of cut cells: fluxes by slopes, less the sources."""

    def __init__(self, form: EnergyForm, energy: Energy, on: OnCells):
        super().__init__(form, energy.fluxes.name, on.cells)
        self.energy, self.on = energy, on
        silent = () if _acts(energy) else tuple(name for wall in energy.walls for name in wall.names)
        self.names, self.points = (*energy.names, *silent), len(on.x)  # nothing is added where nothing flows
        self.known = False  # whether nothing else will be asked for than rows

    @cached_property
    def _found(self) -> tuple[Tensor, Tensor, Tensor]:
        """(G, U n) at zero, and the matrix (G, U, n, U, n), of slopes alone and of values alone."""
        form, on, space = self.form, self.on, self.form.space
        weights = on.weights / form.whole
        slopes, values = [], []
        r = weights.new_zeros(len(on.cells), len(form.unknowns), space.functions)
        for a, alpha, sign, given, item in form.tested(self.energy, on.x[None]):
            if bool(given.any()):
                r[:, a] += sign * sums(space, on, weights * given[0], alpha)
            for f, value in item.items():
                factor = sign * (value[0] if isinstance(value, Tensor) else value)
                one = Product(a, alpha, form.unknowns.index(f.unknown), f.alpha, factor)
                (slopes if any(alpha) and any(f.alpha) else values).append(one)
        found = [products(space, on, weights, wanted, len(form.unknowns)) for wanted in (slopes, values)]
        return r.flatten(1), *found

    @property
    def of_slopes(self) -> Tensor:
        """(G, U, n, U, n): twice the energy of slopes."""
        return self._found[1]

    def made(self) -> tuple[Tensor, Tensor]:
        r, slopes, values = self._found
        return r, slopes + values

    def forget_tables(self) -> None:
        if self.known:
            self.__dict__.pop("_found", None)


class _CutFace(Face):
    """Faces between cells at least one of which is cut."""

    def __init__(self, form: EnergyForm, energies, between: BetweenCells, chosen: Tensor, all_cut: _CutCells):
        super().__init__(form, energies, between.axis, between.below[chosen], between.above[chosen])
        self._x, self._weights, self._all = between.x[chosen], between.weights[chosen] / form.whole, all_cut
        self._sides: dict[int, Trace] = {}  # kept for all rows of the faces

    def side(self, k: int) -> Trace:
        if k not in self._sides:
            space, cell = self.form.space, self.cells[k]
            tables = _Orthonormal(space, cell, self._x)
            self._sides[k] = Trace(self.energies[k], space, cell, tables, self._x, self._weights)
        return self._sides[k]

    def forget(self) -> None:
        self._sides.clear()

    def fluxes(self, side: Trace) -> tuple[list[dict[int, Tensor]], Tensor]:
        found, weight = self.form.fluxes(side, self.axis)
        own = self._all.weights[side.cells]
        return found, torch.where(own.isnan(), weight, own)

    def functions(self) -> Tensor:
        """Those of a box round the points of each face."""
        there = (self._weights > 0)[..., None]
        lower = torch.where(there, self._x, torch.inf).amin(dim=1, keepdim=True)
        upper = torch.where(there, self._x, -torch.inf).amax(dim=1, keepdim=True)
        size = torch.where(upper > lower, upper - lower, 1.0)
        tables = self.form.space.tables((2 * self._x - lower - upper) / size)
        return tables.table((0,) * self.form.space.cells.dimension)[..., self.held]

    @cached_property
    def _root(self) -> Tensor:
        """(G, l, l): the inverse root of the products of the functions; of those that others hold, zero."""
        on_face = self.functions()
        e, V = torch.linalg.eigh(product(on_face, self._weights, on_face))
        inverse = torch.where(e > DEPENDENT * e[:, -1:], e.clamp_min(1e-300).rsqrt(), 0.0)
        return inverse[..., None] * V.mT

    def normalized(self, values: Tensor) -> Tensor:
        G, U, l = values.shape[:3]
        found = self._root[:, None] @ values.reshape(G, U, l, -1)
        return found.reshape(values.shape)


class _OnCutWall(Tested):
    """The part of a piece of a shape's boundary: values are held by Nitsche's form, fluxes given."""

    def __init__(self, form: EnergyForm, energy: Energy, wall: Wall, on: OnCells, all_cut: _CutCells):
        super().__init__(form, wall.given.name, on.cells)
        self.energy, self.wall, self.on, self._all = energy, wall, on, all_cut
        self.names, self.points = wall.names, len(on.x)

    def squares(self) -> list[tuple[int, Tensor]]:
        """By cell, the integrals (U n, U n) of |s(u)|^2 of those fluxes that belong to values that are held."""
        form, on = self.form, self.on
        if not any(self.wall.held):
            return []
        fluxes = self._fluxes()

        def of_cell(g: int) -> tuple[int, Tensor]:
            part = slice(on.starts[g], on.starts[g + 1])
            cell, x = on.cells[g : g + 1], on.x[part][None]
            tables = _Orthonormal(form.space, cell, x)
            at = Trace(self.energy, form.space, cell, tables, x, on.weights[part][None] / form.whole)
            by_unknown = []
            for a, flux in enumerate(fluxes):
                parts: dict[int, Tensor] = {}
                for b, alpha, value in flux if self.wall.held[a] else ():
                    one = at.derivative(alpha) * value[part][None, :, None]
                    parts[b] = parts[b] + one if b in parts else one
                by_unknown.append(parts)
            return int(on.cells[g]), _squares(form, by_unknown, at.weights)[0]

        return side_by_side([partial(of_cell, g) for g in range(len(on.cells))], len(on.x) * form.space.functions)

    def _fluxes(self) -> list[list[tuple[int, MultiIndex, Tensor]]]:
        """By unknown its outward flux: of which unknown, which derivative, and how much of it (N,) at the points."""
        form, on = self.form, self.on
        found: list[list[tuple[int, MultiIndex, Tensor]]] = [[] for _ in form.unknowns]
        for axis in range(form.space.cells.dimension):
            items = form.evaluated(form.along(self.energy, axis), on.x[None])[1]
            for a, item in enumerate(items):
                for f, value in item.items():
                    value = value[0] if isinstance(value, Tensor) else value
                    found[a].append((form.unknowns.index(f.unknown), f.alpha, on.normals[:, axis] * value))
        return found

    @property
    def _weight(self) -> Tensor:
        """(N,): g at the points."""
        on, cells = self.on, self.form.space.cells
        own = self._all.weights[on.owner]
        if not bool(own.isnan().any()):
            return own
        usual = torch.zeros_like(own)
        for axis in range(cells.dimension):  # whole cells have flat faces
            here = on.normals[:, axis].abs() > 0.5
            usual[here] = self.form.weight(self.energy, axis, on.x[here], on.owner[here])
        return torch.where(own.isnan(), usual, own)

    def made(self) -> tuple[Tensor, Tensor]:
        form, wall, on, space = self.form, self.wall, self.on, self.form.space
        zero, every = (0,) * space.cells.dimension, len(form.unknowns)
        weights = on.weights / form.whole
        r = weights.new_zeros(len(on.cells), every, space.functions)
        constant, given = form.evaluated(wall.given, on.x[None], on.normals[None])
        fluxes, weight = (self._fluxes(), self._weight) if any(wall.held) else ([], None)
        alone, beside = [], []
        for a, held in enumerate(wall.held):
            at_zero = constant[a, 0]
            if not held:
                if bool(at_zero.any()):
                    r[:, a] -= sums(space, on, weights * at_zero, zero)
                for f, value in given[a].items():
                    factor = -(value[0] if isinstance(value, Tensor) else value)
                    alone.append(Product(a, zero, form.unknowns.index(f.unknown), zero, factor))
                continue
            alone.append(Product(a, zero, a, zero, weight))
            r[:, a] += sums(space, on, weights * weight * at_zero, zero)
            for b, alpha, value in fluxes[a]:
                beside.append(Product(a, zero, b, alpha, -value))
                r[:, b] -= sums(space, on, weights * value * at_zero, alpha)
        K = products(space, on, weights, alone, every)
        if beside:
            half = products(space, on, weights, beside, every)
            K += half + half.permute(0, 3, 4, 1, 2)
        return r.flatten(1), K


class _Orthonormal:
    """Tables at points (G, m, d) of cells (G,), of functions that are orthonormal on those that are cut."""

    def __init__(self, space: Space, cells: Tensor, x: Tensor):
        self._points = space.cells.reference(x, cells)
        self._change = None if space.metric is None else space.metric.change(cells)
        self._space, self._known = space, {}

    def table(self, alpha: MultiIndex) -> Tensor:
        """(G, m, n)"""
        if alpha not in self._known:
            found = scattered_table(self._space, self._points, alpha)
            self._known[alpha] = found if self._change is None else times(found, self._change)
        return self._known[alpha]
