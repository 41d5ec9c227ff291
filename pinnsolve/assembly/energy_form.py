"""What the parts of an energy on cells have in common: functions at points, fluxes through faces, quadrature."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from pinnsolve.assembly.control_volumes import gauss_rule
from pinnsolve.assembly.row_source import State
from pinnsolve.assembly.rows import TermRows
from pinnsolve.bases.legendre import ReferenceTables, tensor_points
from pinnsolve.bases.piecewise.space import Space, chain_factors
from pinnsolve.compiler.energies import Energy
from pinnsolve.compiler.terms import CompiledProblem, Term
from pinnsolve.geometry.sampling import Points
from pinnsolve.language.symbols import Feature, MultiIndex

PENALTY = 4.0  # times (p + 1)^2 / h and the coefficient of the flux: what keeps the energy positive, in three axes
MORE = 2  # points of Gauss's rule per axis beyond the degree: for coefficients that vary
AT_ONCE = 2e7  # numbers of the rows made at a time

Coefficients = list[dict[Feature, Tensor | float]]  # per residual: (G, m), or a number


@dataclass(frozen=True)
class Trace:
    """Functions of cells (G,) at m points: `tables`, the points `x` (G, m, d), `weights` (G, m), the shares of the
    volume that they stand for, or areas over it."""

    space: Space
    cells: Tensor
    tables: ReferenceTables
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
    """What the parts of one energy on a space have in common."""

    energy: Energy
    problem: CompiledProblem
    space: Space

    @property
    def unknowns(self) -> tuple[str, ...]:
        return self.problem.unknowns

    @property
    def whole(self) -> Tensor:
        return self.space.cells.volume.sum()

    def divided(self, chosen: Tensor) -> Sequence[Tensor]:
        """Members in parts whose rows are made at once."""
        n = len(self.unknowns) * self.space.functions
        return chosen.split(max(1, int(AT_ONCE // n**2))) if len(chosen) else ()

    def rule(self, held: int | None = None) -> tuple[Tensor, Tensor]:
        """Points (m, d) of Gauss's rule and weights (m,), one in all; on an axis that is held, one point at zero."""
        axes = [gauss_rule(p + MORE) for p in self.space.degrees]
        axes = [(x.new_full((1,), 0.5), x.new_ones(1)) if a == held else (x, w) for a, (x, w) in enumerate(axes)]
        return 2.0 * tensor_points([x for x, _ in axes]) - 1.0, tensor_points([w for _, w in axes]).prod(dim=1)

    def evaluated(self, term: Term, at: Trace) -> tuple[Tensor, Coefficients]:
        """The residuals (count, G, m) of a term where all functions are zero, and its coefficients."""
        G, m = at.x.shape[:2]
        rows = TermRows(term, Points(at.x.flatten(0, 1)[None], None, {}), self.problem, 1.0)
        zero = dict.fromkeys(rows.features, at.x.new_zeros(G * m))
        residuals, found = rows.linearized(zero, State(None, at.x.new_zeros(0)))
        shaped = [
            {f: v.reshape(G, m) if isinstance(v, Tensor) and v.ndim else float(v) for f, v in one.items()}
            for one in found
        ]
        return residuals.reshape(-1, G, m), shaped

    def fluxes(self, at: Trace, axis: int) -> tuple[list[dict[int, Tensor]], Tensor]:
        """The flux of every unknown along an axis: per unknown that it holds (G, m, n) by its functions; and (G,) the
        weight g."""
        found, largest = [], []
        chosen = self.energy.fluxes.residuals[axis :: self.space.cells.dimension]
        lines = self.energy.fluxes.linearizations[axis :: self.space.cells.dimension]
        term = Term(self.energy.fluxes.name, "equation", self.energy.fluxes.region, chosen, lines, True)
        for a, item in enumerate(self.evaluated(term, at)[1]):
            parts: dict[int, Tensor] = {}
            for f, value in item.items():
                b = self.unknowns.index(f.unknown)
                part = at.derivative(f.alpha) * (value[..., None] if isinstance(value, Tensor) else value)
                parts[b] = parts[b] + part if b in parts else part
                if b == a and f.alpha[axis]:
                    largest.append(torch.zeros_like(at.weights) + value)
            found.append(parts)
        p, h = self.space.degrees[axis], self.space.cells.size[at.cells, axis]
        return found, PENALTY * (p + 1) ** 2 / h * torch.stack(largest).amax(dim=(0, 2))


def product(left: Tensor, weights: Tensor, right: Tensor) -> Tensor:
    """(G, n, n): left^T (weights) right of (G or 1, m, n) tables."""
    return (left * weights[..., None]).mT @ right
