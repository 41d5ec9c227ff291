"""The gradient of an energy on cells, as rows that are tested already: one for every function of a cell.

Functions on cells are not continuous. So each cell is held, by Nitsche's form (Abh. Math. Sem. Univ. Hamburg 36
(1971) 9-15), to values of their own on its faces: with the outward flux s(u), the value m on the face and a weight g
that keeps the energy positive, it gains g/2 |u - m|^2 - s(u) (u - m). Of all polynomials m on a face the best is
found in closed form, which takes |T u|^2/2 off the energy, with a few rows T for what the two cells show to the face.
So cells may be eliminated before their faces: the hybridized interior penalty method (Cockburn, Gopalakrishnan &
Lazarov, SIAM J. Numer. Anal. 47 (2009) 1319-1365). On the boundary, values that are given take the place of m, and
fluxes that are given add what they do to the functions there. All is relative to the volume of the domain.
"""

from __future__ import annotations

import itertools
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import cached_property

import torch
from torch import Tensor

from pinnsolve.assembly.energy_form import EnergyForm, Trace, product
from pinnsolve.assembly.row_source import RowBlock, RowSource, State
from pinnsolve.bases.legendre import gauss_rule, legendre
from pinnsolve.bases.piecewise.space import Space
from pinnsolve.compiler.energy_parts import Energy, Wall
from pinnsolve.compiler.terms import CompiledProblem
from pinnsolve.language.symbols import MultiIndex
from pinnsolve.least_squares.products import times
from pinnsolve.runtime import go_on


def energy_rows(
    energies: Sequence[Energy], problem: CompiledProblem, space: Space, check: Callable[[], None] = go_on
) -> list[RowSource]:
    """All of them: of cells, of the faces between cells, of the boundary of the domain. `energies`: by material;
    `check` as of `CellSystem`."""
    form = EnergyForm(tuple(energies), problem, space)
    if problem.shape is not None:
        from pinnsolve.assembly.cut_energy import cut_energy_rows  # not needed for boxes

        return cut_energy_rows(form, check)
    every = torch.arange(space.cells.count)
    found: list[RowSource] = inside_rows(form, every)
    for axis in range(space.cells.dimension):
        found += face_rows(form, axis, *space.cells.contacts(axis, every, every, across=True))
    for material, energy in form.materials:
        for wall in energy.walls:
            axis, value = wall.piece.fixed[0]
            for some in form.divided(form.among(space.cells.touching(axis, value), material)):
                found.append(_OnWall(form, energy, wall, some))
    return found


def inside_rows(form: EnergyForm, cells: Tensor) -> list[RowSource]:
    """Those of the insides of cells that are boxes."""
    return [
        _Inside(form, energy, some)
        for material, energy in form.materials
        for some in form.divided(form.among(cells, material))
    ]


def face_rows(form: EnergyForm, axis: int, i: Tensor, j: Tensor) -> list[RowSource]:
    """Those of the faces at the upper ends of cells i and the lower ends of cells j, which are boxes."""
    found: list[RowSource] = []
    material = form.space.cells.material
    for one, two in itertools.product(form.materials, repeat=2):
        chosen = ((material[i] == one[0]) & (material[j] == two[0])).nonzero()[:, 0]
        for some in form.divided(chosen):
            found += beside_and_between(_Face(form, (one[1], two[1]), axis, i[some], j[some]))
    return found


def beside_and_between(face: Face) -> list[RowSource]:
    """The rows of faces: what they add to the cells on both sides, and what the values on them take off."""
    return [BesideFace(face, 0), BesideFace(face, 1), Between(face)]


class Tested(RowSource):
    """A part of the gradient that belongs to cells (G,): `made` gives its matrix and what it is at zero."""

    kind = "term"
    tested = True
    names: tuple[str, ...] = ()
    points = 0

    def __init__(self, form: EnergyForm, name: str, cells: Tensor):
        self.form, self.name, self.cells = form, name, [cells]
        self.columns = len(form.unknowns) * form.space.functions
        self.row_count = len(cells) * self.columns

    @property
    def point_counts(self) -> dict[str, int]:
        return dict.fromkeys(self.names, self.points)

    def rows(self, state: State, matrix: bool = True) -> RowBlock:
        r, K = self.made()
        block = RowBlock(self.name, r, [(self.cells[0], K.flatten(3, 4).flatten(1, 2))], tested=True)
        return _at_state(block, self.form.space, state, matrix)

    def made(self) -> tuple[Tensor, Tensor]:
        """(G, U n) at zero, and the matrix (G, U, n, U, n)."""
        raise NotImplementedError

    def empty(self) -> Tensor:
        """(G, U, n, U, n) of zeros."""
        U, n = len(self.form.unknowns), self.form.space.functions
        return self.form.whole.new_zeros(len(self.cells[0]), U, n, U, n)


def _at_state(block: RowBlock, space: Space, state: State, matrix: bool) -> RowBlock:
    """The rows, which are those at zero, at a state; without `matrix`, only their residuals."""
    if state.coefficients is not None:
        block = replace(block, r=block.r + block.times(space.orthonormal(state.coefficients).flatten(1)))
    return block if matrix else replace(block, sides=())


class _Inside(Tested):
    """The part of cells (G,): fluxes by slopes, less the sources."""

    def __init__(self, form: EnergyForm, energy: Energy, cells: Tensor):
        super().__init__(form, energy.fluxes.name, cells)
        self.energy = energy
        self.names, self.points = energy.names, len(cells) * len(form.rule()[1])

    def made(self) -> tuple[Tensor, Tensor]:
        form, (cells,) = self.form, self.cells
        space = form.space
        points, weights = form.rule()
        share = space.cells.volume[cells] / form.whole
        tables = space.tables(points[None])
        x = space.cells.physical(points[None], cells)
        at = Trace(self.energy, space, cells, tables, x, share[:, None] * weights)
        K, r = self.empty(), at.x.new_zeros(len(cells), len(form.unknowns), space.functions)
        for a, alpha, sign, given, item in form.tested(self.energy, at.x):
            if bool(given.any()):
                r[:, a] += sign * ((given * at.weights) @ at.table(alpha)[0]) * at.chain(alpha)[:, None]
            for f, value in item.items():
                factor = sign * at.chain(alpha) * at.chain(f.alpha) * share
                K[:, a, :, form.unknowns.index(f.unknown)] += self._paired(at, alpha, f.alpha, value, factor)
        return r.flatten(1), K

    def _paired(self, at: Trace, left: MultiIndex, right: MultiIndex, value: Tensor | float, factor: Tensor) -> Tensor:
        """(G, n, n): the products of derivatives of functions in reference coordinates, with a coefficient (G, m),
        times (G,) factors; where the coefficient does not vary, products of integrals over the axes."""
        if isinstance(value, Tensor):
            _, weights = self.form.rule()
            return product(at.table(left)[0], value * weights * factor[:, None], at.table(right)[0])
        whole = factor.new_ones(1, 1)
        for axis, k in enumerate(self.form.space.exponents.unbind(dim=1)):
            points, weights = gauss_rule(self.form.space.degrees[axis] + 1)
            values = legendre(2.0 * points - 1.0, self.form.space.degrees[axis], 1)  # (2, m, p + 1)
            products = values[left[axis]].T @ (weights[:, None] * values[right[axis]])
            whole = whole * products[k][:, k]
        return (value * factor)[:, None, None] * whole


class Face(ABC):
    """Faces along an axis at the upper sides of cells i and the lower sides of cells j, all of one material each, and
    the polynomials that stand on them."""

    def __init__(self, form: EnergyForm, energies: tuple[Energy, Energy], axis: int, i: Tensor, j: Tensor):
        self.form, self.energies, self.axis, self.cells = form, energies, axis, (i, j)

    @property
    def name(self) -> str:
        return f"continuity in {self.form.problem.coordinates[self.axis]}"

    @cached_property
    def held(self) -> Tensor:
        """(l,): the functions of a cell that do not vary along the axis."""
        return (self.form.space.exponents[:, self.axis] == 0).nonzero()[:, 0]

    @abstractmethod
    def side(self, k: int) -> Trace:
        """What the cells on a side are on the faces."""

    @abstractmethod
    def functions(self) -> Tensor:
        """(G or 1, m, l): polynomials on the faces."""

    @abstractmethod
    def normalized(self, values: Tensor) -> Tensor:
        """(G, U, l, ...): what is tested by the polynomials, by as many that are orthonormal on the faces, with the
        weights of their points."""

    def forget(self) -> None:  # noqa: B027, most faces keep nothing
        """Gives up what was kept for several kinds of rows."""

    def fluxes(self, side: Trace) -> tuple[list[dict[int, Tensor]], Tensor]:
        """See `EnergyForm.fluxes`."""
        return self.form.fluxes(side, self.axis)


class _Face(Face):
    """Those between cells that are boxes."""

    @cached_property
    def _at(self) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Reference points (m, d) of the faces, the points (G, m, d), weights (m,), and shares (G,)."""
        form, axis, (i, j) = self.form, self.axis, self.cells
        cells = form.space.cells
        unit, weights = form.rule(axis)
        lower, upper = torch.maximum(cells.lower[i], cells.lower[j]), torch.minimum(cells.upper[i], cells.upper[j])
        size = upper - lower
        size[:, axis] = 1.0
        x = 0.5 * ((1 - unit) * lower[:, None] + (1 + unit) * upper[:, None])
        x[..., axis] = cells.upper[i, axis, None]
        return unit, x, weights, size.prod(dim=1) / form.whole

    def side(self, k: int) -> Trace:
        _, x, weights, share = self._at
        cell, cells = self.cells[k], self.form.space.cells
        points = cells.reference(x, cell)
        points[..., self.axis] = 1.0 - 2.0 * k
        if bool(((points - points[:1]).abs() < 1e-9).all()):
            points = points[:1]  # one table for all
        weights = share[:, None] * weights
        return Trace(self.energies[k], self.form.space, cell, self.form.space.tables(points), x, weights)

    def functions(self) -> Tensor:
        return self.form.space.tables(self._at[0][None]).table((0,) * self.form.space.cells.dimension)[..., self.held]

    def normalized(self, values: Tensor) -> Tensor:
        share = self._at[3].rsqrt()
        return values * share.reshape(-1, *[1] * (values.ndim - 1))


class BesideFace(Tested):
    """What faces add to the matrix of the cells on one side, where the values on the face are zero."""

    kind = "continuity"

    def __init__(self, face: Face, k: int):
        super().__init__(face.form, face.name, face.cells[k])
        self.face, self.k = face, k

    def made(self) -> tuple[Tensor, Tensor]:
        side = self.face.side(self.k)
        K, values = self.empty(), side.table((0,) * self.form.space.cells.dimension)
        fluxes, penalty = self.face.fluxes(side)
        for a, flux in enumerate(fluxes):
            hold(K, a, values, flux, penalty[:, None] * side.weights, (1.0 - 2.0 * self.k) * side.weights)
        return K.new_zeros(len(K), self.columns), K


class Between(RowSource):
    """The values on faces that make the energy least, as squares |T u|^2 that are taken off it."""

    kind = "continuity"
    tested = True

    def __init__(self, face: Face):
        self.face, self.name, self.cells, self.points = face, face.name, list(face.cells), 0
        self.row_count = len(face.cells[0]) * len(face.form.unknowns) * len(face.held)

    def rows(self, state: State, matrix: bool = True) -> RowBlock:
        face, form = self.face, self.face.form
        zero, U = (0,) * form.space.cells.dimension, len(form.unknowns)
        on_face, found, whole = face.functions(), [], form.whole.new_zeros(len(face.cells[0]))
        for k in range(2):
            side, sign = face.side(k), 1.0 - 2.0 * k
            fluxes, penalty = face.fluxes(side)
            values = product(on_face, penalty[:, None] * side.weights, side.table(zero))
            T = values.new_zeros(len(values), U, values.shape[1], U, values.shape[2])
            for a, flux in enumerate(fluxes):
                T[:, a, :, a] -= values
                for b, one in flux.items():
                    T[:, a, :, b] += sign * product(on_face, side.weights, one)
            found.append((side.cells, face.normalized(T).flatten(3, 4).flatten(1, 2)))
            whole += penalty
        face.forget()
        sides = [(cells, T * whole.rsqrt()[:, None, None]) for cells, T in found]
        block = RowBlock(self.name, whole.new_zeros(sides[0][1].shape[:2]), sides, tested=True)
        return _at_state(block, form.space, state, matrix)


class _OnWall(Tested):
    """The part of a face of the domain: values are held by Nitsche's form, fluxes given."""

    def __init__(self, form: EnergyForm, energy: Energy, wall: Wall, cells: Tensor):
        super().__init__(form, wall.given.name, cells)
        self.energy, self.wall = energy, wall
        (self.axis, self.value), self.sign = wall.piece.fixed[0], wall.piece.outward[1]
        self.names, self.points = wall.names, len(cells) * len(form.rule(self.axis)[1])

    def made(self) -> tuple[Tensor, Tensor]:
        form, wall, zero = self.form, self.wall, (0,) * self.form.space.cells.dimension
        at = self._trace()
        K, r = self.empty(), at.x.new_zeros(len(at.cells), len(form.unknowns), form.space.functions)
        constant, given = form.evaluated(wall.given, at.x)
        values = at.table(zero)
        fluxes, penalty = form.fluxes(at, self.axis)
        penalty = penalty[:, None] * at.weights
        for a, held in enumerate(wall.held):
            if not held:
                r[:, a] -= _tested(values, constant[a] * at.weights)
                for f, value in given[a].items():
                    b = form.unknowns.index(f.unknown)
                    K[:, a, :, b] -= product(values, value * at.weights, values)
                continue
            missing = constant[a]  # u - g, where u is zero
            r[:, a] += _tested(values, penalty * missing)
            hold(K, a, values, fluxes[a], penalty, self.sign * at.weights)
            for b, flux in fluxes[a].items():
                r[:, b] -= self.sign * _tested(flux, missing * at.weights)
        return r.flatten(1), K

    def _trace(self) -> Trace:
        form, axis, (chosen,) = self.form, self.axis, self.cells
        space, cells = form.space, form.space.cells
        points, weights = form.rule(axis)
        points = points.clone()
        points[:, axis] = self.sign
        x = cells.physical(points[None], chosen)
        x[..., axis] = self.value
        share = cells.volume[chosen] / cells.size[chosen, axis] / form.whole
        return Trace(self.energy, space, chosen, space.tables(points[None]), x, share[:, None] * weights)


def hold(K: Tensor, a: int, values: Tensor, flux: Mapping[int, Tensor], penalty: Tensor, outward: Tensor) -> None:
    """Adds to matrices (G, U, n, U, n) Nitsche's form of values of unknown `a` that are held to be zero at points,
    with its `flux` along the axis, by unknowns; `penalty`, and `outward` the sign of the normal: (G, m) with the
    weights of the points."""
    for b, one in flux.items():
        beside = outward[..., None] * -one
        if b == a:
            beside += 0.5 * penalty[..., None] * values
        beside = times(values.mT, beside)
        K[:, a, :, b] += beside
        K[:, b, :, a] += beside.mT


def _tested(values: Tensor, weights: Tensor) -> Tensor:
    """(G, n): the integrals of functions, in a table (G or 1, m, n), with (G, m) weights."""
    return weights @ values[0] if len(values) == 1 else times(values.mT, weights[..., None])[..., 0]
