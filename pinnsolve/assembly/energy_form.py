"""What the parts of an energy on cells have in common: functions at points, fluxes through faces, quadrature."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

import torch
from torch import Tensor

from pinnsolve.assembly.row_source import State
from pinnsolve.assembly.rows import TermRows
from pinnsolve.bases.legendre import gauss_rule, tensor_points
from pinnsolve.bases.piecewise.space import Space, chain_factors
from pinnsolve.compiler.energy_parts import Energy
from pinnsolve.compiler.terms import CompiledProblem, Term
from pinnsolve.geometry.sampling import Points
from pinnsolve.language.symbols import Feature, MultiIndex
from pinnsolve.least_squares.products import times

PENALTY = 4.0  # times (p + 1)^2 / h and the coefficient of the flux: what keeps the energy positive, in three axes
MORE = 2  # points of Gauss's rule per axis beyond the degree: for coefficients that vary
AT_ONCE = 2e7  # numbers of the rows made at a time

Coefficients = list[dict[Feature, Tensor | float]]  # per residual: (G, m), or a number


class Tables(Protocol):
    """What functions and their derivatives are at points."""

    def table(self, alpha: MultiIndex) -> Tensor:
        """(G or 1, m, n) in reference coordinates."""
        ...


@dataclass(frozen=True)
class Trace:
    """Functions of cells (G,), all of the material of one `energy`, at m points: `tables`, the points `x` (G, m, d),
    `weights` (G, m), the shares of the volume that they stand for, or areas over it."""

    energy: Energy
    space: Space
    cells: Tensor
    tables: Tables
    x: Tensor
    weights: Tensor

    def table(self, alpha: MultiIndex) -> Tensor:
        """(G or 1, m, n) in reference coordinates."""
        return self.tables.table(alpha)

    def chain(self, alpha: MultiIndex) -> Tensor:
        """(G,)"""
        return chain_factors(self.space.cells, self.cells, alpha)

    def derivative(self, alpha: MultiIndex) -> Tensor:
        """(G, m, n)"""
        return self.table(alpha) * self.chain(alpha)[:, None, None]


@dataclass(frozen=True)
class EnergyForm:
    """What the parts of the energies of all materials on a space have in common."""

    energies: tuple[Energy, ...]
    problem: CompiledProblem
    space: Space

    @property
    def unknowns(self) -> tuple[str, ...]:
        return self.problem.unknowns

    @property
    def whole(self) -> Tensor:
        return self.space.cells.volume.sum()

    @property
    def materials(self) -> Sequence[tuple[int, Energy]]:
        """The number and the energy of each."""
        return list(enumerate(self.energies))

    def among(self, cells: Tensor, material: int) -> Tensor:
        """Those of a material, of cells (G,)."""
        return cells[self.space.cells.material[cells] == material]

    def divided(self, chosen: Tensor, points: int = 0) -> Sequence[Tensor]:
        """Members in parts whose rows, or tables at so many points, are made at once."""
        n = len(self.unknowns) * self.space.functions
        return chosen.split(max(1, int(AT_ONCE // max(n**2, 4 * points * n)))) if len(chosen) else ()

    def rule(self, held: int | None = None) -> tuple[Tensor, Tensor]:
        """Points (m, d) of Gauss's rule and weights (m,), one in all; on an axis that is held, one point at zero."""
        axes = [gauss_rule(p + MORE) for p in self.space.degrees]
        axes = [(x.new_full((1,), 0.5), x.new_ones(1)) if a == held else (x, w) for a, (x, w) in enumerate(axes)]
        return 2.0 * tensor_points([x for x, _ in axes]) - 1.0, tensor_points([w for _, w in axes]).prod(dim=1)

    def evaluated(self, term: Term, x: Tensor, normals: Tensor | None = None) -> tuple[Tensor, Coefficients]:
        """The residuals (count, G, m) of a term where all functions are zero, and its coefficients, at points (G, m, d)
        with normals (G, m, d)."""
        G, m = x.shape[:2]
        flat = None if normals is None else normals.flatten(0, 1)
        rows = TermRows(term, Points(x.flatten(0, 1)[None], flat, {}), self.problem, 1.0)
        zero = dict.fromkeys(rows.features, x.new_zeros(G * m))
        residuals, found = rows.linearized(zero, State(None, x.new_zeros(0)))
        shaped = [
            {f: v.reshape(G, m) if isinstance(v, Tensor) and v.ndim else float(v) for f, v in one.items()}
            for one in found
        ]
        return residuals.reshape(len(term.residuals), G, m), shaped

    def tested(
        self, energy: Energy, x: Tensor
    ) -> Iterator[tuple[int, MultiIndex, float, Tensor, dict[Feature, Tensor | float]]]:
        """What stands inside cells, at points (G, m, d): the unknown by whose functions it is tested, which derivative
        of these, its sign, what it is (G, m) where all functions are zero, and its coefficients."""
        d, every = self.space.cells.dimension, range(len(self.unknowns))
        slopes = [tuple(int(a == i) for a in range(d)) for i in range(d)]
        tested = [(a, alpha, 1.0) for a in every for alpha in slopes] + [(a, (0,) * d, -1.0) for a in every]
        parts = [self.evaluated(term, x) for term in (energy.fluxes, energy.sources)]
        constant, coefficients = torch.cat([part[0] for part in parts]), [item for part in parts for item in part[1]]
        for one, given, item in zip(tested, constant, coefficients, strict=True):
            yield *one, given, item

    def along(self, energy: Energy, axis: int) -> Term:
        """The fluxes of all unknowns along an axis."""
        d, fluxes = self.space.cells.dimension, energy.fluxes
        return replace(fluxes, residuals=fluxes.residuals[axis::d], linearizations=fluxes.linearizations[axis::d])

    def fluxes(self, at: Trace, axis: int) -> tuple[list[dict[int, Tensor]], Tensor]:
        """The flux of every unknown along an axis: per unknown that it holds (G, m, n) by its functions; and (G,) the
        weight g."""
        found = []
        items = self.evaluated(self.along(at.energy, axis), at.x)[1]
        for item in items:
            parts: dict[int, Tensor] = {}
            for f, value in item.items():
                b = self.unknowns.index(f.unknown)
                part = at.derivative(f.alpha) * (value[..., None] if isinstance(value, Tensor) else value)
                parts[b] = parts[b] + part if b in parts else part
            found.append(parts)
        return found, self._weight(items, axis, at.cells, at.weights).amax(dim=1)

    def weight(self, energy: Energy, axis: int, x: Tensor, cells: Tensor) -> Tensor:
        """(N,): the weight g of values at points (N, d) on faces along an axis of cells (N,)."""
        items = self.evaluated(self.along(energy, axis), x[:, None])[1]
        return self._weight(items, axis, cells, x.new_zeros(len(x), 1))[:, 0]

    def _weight(self, items: Coefficients, axis: int, cells: Tensor, like: Tensor) -> Tensor:
        """(G, m): g, of the coefficients of fluxes."""
        largest = [torch.zeros_like(like) + value for a, item in enumerate(items) for f, value in item.items()
                   if self.unknowns.index(f.unknown) == a and f.alpha[axis]]  # fmt: skip
        p, h = self.space.degrees[axis], self.space.cells.size[cells, axis]
        return torch.stack(largest).amax(dim=0) * (PENALTY * (p + 1) ** 2 / h)[:, None]


def product(left: Tensor, weights: Tensor, right: Tensor) -> Tensor:
    """(G, n, n): left^T (weights) right of (G or 1, m, n) tables."""
    return times((left * weights[..., None]).mT, right)
