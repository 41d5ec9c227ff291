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

from collections.abc import Mapping
from dataclasses import replace
from functools import cached_property

import torch
from torch import Tensor

from pinnsolve.assembly.control_volumes import gauss_rule
from pinnsolve.assembly.energy_form import EnergyForm, Trace, product
from pinnsolve.assembly.row_source import RowBlock, RowSource, State
from pinnsolve.bases.legendre import exponents, legendre
from pinnsolve.bases.piecewise.space import Space
from pinnsolve.compiler.energies import Energy, Wall
from pinnsolve.compiler.terms import CompiledProblem
from pinnsolve.language.symbols import MultiIndex


def energy_rows(energy: Energy, problem: CompiledProblem, space: Space) -> list[RowSource]:
    """All of them: of cells, of the faces between cells, of the faces of the domain."""
    form = EnergyForm(energy, problem, space)
    found: list[RowSource] = [_Inside(form, some) for some in form.divided(torch.arange(space.cells.count))]
    for axis in range(space.cells.dimension):
        every = torch.arange(space.cells.count)
        i, j = space.cells.contacts(axis, every, every)
        for some in form.divided(torch.arange(len(i))):
            face = _Face(form, axis, i[some], j[some])
            found += [_BesideFace(face, 0), _BesideFace(face, 1), _Between(face)]
    for wall in energy.walls:
        for some in form.divided(space.cells.touching(wall.axis, wall.value)):
            found.append(_OnWall(form, wall, some))
    return found


class _Tested(RowSource):
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

    def _empty(self, at: Trace) -> Tensor:
        U, n = len(self.form.unknowns), self.form.space.functions
        return at.x.new_zeros(len(at.cells), U, n, U, n)


def _at_state(block: RowBlock, space: Space, state: State, matrix: bool) -> RowBlock:
    """The rows, which are those at zero, at a state; without `matrix`, only their residuals."""
    if state.coefficients is not None:
        block = replace(block, r=block.r + block.times(space.orthonormal(state.coefficients).flatten(1)))
    return block if matrix else replace(block, sides=())


class _Inside(_Tested):
    """The part of cells (G,): fluxes by slopes, less the sources."""

    def __init__(self, form: EnergyForm, cells: Tensor):
        super().__init__(form, form.energy.fluxes.name, cells)
        self.names, self.points = form.energy.names, len(cells) * len(form.rule()[1])

    def made(self) -> tuple[Tensor, Tensor]:
        form, (cells,) = self.form, self.cells
        space, d = form.space, form.space.cells.dimension
        points, weights = form.rule()
        share = space.cells.volume[cells] / form.whole
        tables = space.tables(points[None])
        at = Trace(space, cells, tables, space.cells.physical(points[None], cells), share[:, None] * weights)
        K, r = self._empty(at), at.x.new_zeros(len(cells), len(form.unknowns), space.functions)
        slopes, zero = [tuple(int(a == i) for a in range(d)) for i in range(d)], (0,) * d
        tested = [(a, alpha, 1.0) for a in range(len(form.unknowns)) for alpha in slopes]
        tested += [(a, zero, -1.0) for a in range(len(form.unknowns))]
        parts = [form.evaluated(term, at) for term in (form.energy.fluxes, form.energy.sources)]
        constant, coefficients = torch.cat([part[0] for part in parts]), [item for part in parts for item in part[1]]
        for (a, alpha, sign), given, item in zip(tested, constant, coefficients, strict=True):
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
        for axis, k in enumerate(exponents(self.form.space.degrees).unbind(dim=1)):
            points, weights = gauss_rule(self.form.space.degrees[axis] + 1)
            values = legendre(2.0 * points - 1.0, self.form.space.degrees[axis], 1)  # (2, m, p + 1)
            products = values[left[axis]].T @ (weights[:, None] * values[right[axis]])
            whole = whole * products[k][:, k]
        return (value * factor)[:, None, None] * whole


class _Face:
    """The faces at the upper ends of cells i and the lower ends of cells j, and the polynomials that stand on them."""

    def __init__(self, form: EnergyForm, axis: int, i: Tensor, j: Tensor):
        self.form, self.axis, self.cells = form, axis, (i, j)

    @property
    def name(self) -> str:
        return f"continuity in {self.form.problem.coordinates[self.axis]}"

    @cached_property
    def held(self) -> Tensor:
        """(l,): the functions of a cell that do not vary along the axis."""
        return (exponents(self.form.space.degrees)[:, self.axis] == 0).nonzero()[:, 0]

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
        return Trace(self.form.space, cell, self.form.space.tables(points), x, share[:, None] * weights)

    def functions(self) -> Tensor:
        """(m, l): polynomials on the faces, orthonormal in the mean."""
        return self.form.space.tables(self._at[0][None]).table((0,) * self.form.space.cells.dimension)[0][:, self.held]

    @property
    def share(self) -> Tensor:
        """(G,): areas over the volume of the domain."""
        return self._at[3]


class _BesideFace(_Tested):
    """What faces add to the matrix of the cells on one side, where the values on the face are zero."""

    def __init__(self, face: _Face, k: int):
        super().__init__(face.form, face.name, face.cells[k])
        self.face, self.k, self.kind = face, k, "continuity"

    def made(self) -> tuple[Tensor, Tensor]:
        side = self.face.side(self.k)
        K, values = self._empty(side), side.table((0,) * self.form.space.cells.dimension)
        fluxes, penalty = self.form.fluxes(side, self.face.axis)
        for a, flux in enumerate(fluxes):
            _hold(K, a, values, flux, penalty[:, None] * side.weights, (1.0 - 2.0 * self.k) * side.weights)
        return K.new_zeros(len(K), self.columns), K


class _Between(RowSource):
    """The values on faces that make the energy least, as squares |T u|^2 that are taken off it."""

    kind = "continuity"
    tested = True

    def __init__(self, face: _Face):
        self.face, self.name, self.cells, self.points = face, face.name, list(face.cells), 0
        self.row_count = len(face.cells[0]) * len(face.form.unknowns) * len(face.held)

    def rows(self, state: State, matrix: bool = True) -> RowBlock:
        face, form = self.face, self.face.form
        zero, U = (0,) * form.space.cells.dimension, len(form.unknowns)
        on_face, found, whole = face.functions(), [], face.share.new_zeros(len(face.share))
        for k in range(2):
            side, sign = face.side(k), 1.0 - 2.0 * k
            fluxes, penalty = form.fluxes(side, face.axis)
            values = product(on_face, penalty[:, None] * side.weights, side.table(zero))
            T = values.new_zeros(len(values), U, values.shape[1], U, values.shape[2])
            for a, flux in enumerate(fluxes):
                T[:, a, :, a] -= values
                for b, one in flux.items():
                    T[:, a, :, b] += sign * product(on_face, side.weights, one)
            found.append((side.cells, T.flatten(3, 4).flatten(1, 2)))
            whole += penalty * face.share
        sides = [(cells, T * whole.rsqrt()[:, None, None]) for cells, T in found]
        block = RowBlock(self.name, whole.new_zeros(sides[0][1].shape[:2]), sides, tested=True)
        return _at_state(block, form.space, state, matrix)


class _OnWall(_Tested):
    """The part of a face of the domain: values are held by Nitsche's form, fluxes given."""

    def __init__(self, form: EnergyForm, wall: Wall, cells: Tensor):
        super().__init__(form, wall.given.name, cells)
        self.wall = wall
        self.names, self.points = wall.names, len(cells) * len(form.rule(wall.axis)[1])

    def made(self) -> tuple[Tensor, Tensor]:
        form, wall, zero = self.form, self.wall, (0,) * self.form.space.cells.dimension
        at = self._trace()
        K, r = self._empty(at), at.x.new_zeros(len(at.cells), len(form.unknowns), form.space.functions)
        constant, given = form.evaluated(wall.given, at)
        values = at.table(zero)
        fluxes, penalty = form.fluxes(at, wall.axis)
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
            _hold(K, a, values, fluxes[a], penalty, wall.sign * at.weights)
            for b, flux in fluxes[a].items():
                r[:, b] -= wall.sign * _tested(flux, missing * at.weights)
        return r.flatten(1), K

    def _trace(self) -> Trace:
        form, axis, (chosen,) = self.form, self.wall.axis, self.cells
        space, cells = form.space, form.space.cells
        points, weights = form.rule(axis)
        points = points.clone()
        points[:, axis] = self.wall.sign
        x = cells.physical(points[None], chosen)
        x[..., axis] = self.wall.value
        share = cells.volume[chosen] / cells.size[chosen, axis] / form.whole
        return Trace(space, chosen, space.tables(points[None]), x, share[:, None] * weights)


def _hold(K: Tensor, a: int, values: Tensor, flux: Mapping[int, Tensor], penalty: Tensor, outward: Tensor) -> None:
    """Adds to matrices (G, U, n, U, n) Nitsche's form of values of unknown `a` that are held to be zero at points,
    with its `flux` along the axis, by unknowns; `penalty`, and `outward` the sign of the normal: (G, m) with the
    weights of the points."""
    for b, one in flux.items():
        beside = outward[..., None] * -one
        if b == a:
            beside += 0.5 * penalty[..., None] * values
        beside = values.mT @ beside
        K[:, a, :, b] += beside
        K[:, b, :, a] += beside.mT


def _tested(values: Tensor, weights: Tensor) -> Tensor:
    """(G, n): the integrals of functions, in a table (G or 1, m, n), with (G, m) weights."""
    return weights @ values[0] if len(values) == 1 else (values.mT @ weights[..., None])[..., 0]
