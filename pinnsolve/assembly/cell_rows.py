"""Terms on cells as rows: the K-term loss on a partition, every source over few cells at a time.

A source is one term on the cells where it holds, with equally many points per cell, so that all its rows are one
batched product. On every row stands the unit of the unknown: a residual is multiplied by 1/max_f |c_f| (2/h)^alpha over
the features f of its linearization, which is the mesh-dependent weighting of least-squares methods (Aziz, Kellogg &
Stephens, Math. Comp. 44 (1985) 53-70; Bochev & Gunzburger, SIAM Review 40 (1998) 789-837), and by the root of the
cell's share of the volume times the quadrature weight of the point, so that the loss of a source is an integral.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from copy import copy
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from pinnsolve.assembly.row_source import RowBlock, RowSource, State
from pinnsolve.assembly.rows import TermRows
from pinnsolve.assembly.table_matrix import Entry, TableMatrix, alike, joined
from pinnsolve.bases.legendre import ReferenceTables
from pinnsolve.bases.piecewise.space import Space, chain_factors
from pinnsolve.compiler.terms import CompiledProblem, Term
from pinnsolve.geometry.sampling import Points
from pinnsolve.language.symbols import Feature, MultiIndex, coordinate_symbol, features_of


@dataclass(frozen=True)
class Side:
    """One cell of every member of a source: which (G,), and the reference tables at its points."""

    cells: Tensor
    tables: ReferenceTables

    def values(self, space: Space, c: Tensor, alpha: MultiIndex, unknown: int) -> Tensor:
        """(G, m) of a derivative of one unknown."""
        table = self.tables.table(alpha)  # (G, m, n), or (1, m, n) where all cells are alike up to `chain_factors`
        mine = c[self.cells, unknown]  # (G, n)
        values = mine @ table[0].T if table.shape[0] == 1 else torch.einsum("gmn,gn->gm", table, mine)
        return values * chain_factors(space.cells, self.cells, alpha)[:, None]


@dataclass(frozen=True)
class CellPoints:
    """Where the rows of a source stand: m points in every one of its G members.

    `sides`: one, or two of a face; `quadrature`: (G or 1, m) weights that add up to one in a cell; `share`: (G,) of
    the volume; `points`: (sides, G m, d) with normals and columns, where a term holds; `keep`: (G, m) where it does.
    """

    sides: tuple[Side, ...]
    quadrature: Tensor
    share: Tensor
    points: Points | None = None
    keep: Tensor | None = None

    @property
    def members(self) -> int:
        return self.sides[0].cells.shape[0]

    def forget_tables(self) -> None:
        for side in self.sides:
            side.tables.forget()

    @cached_property
    def root(self) -> Tensor:
        """(G, m): the roots of the weights of the points."""
        return torch.sqrt(self.share[:, None] * self.quadrature)


class CellTerm(RowSource):
    """One term on the cells where it holds; `weight`: the file's epsilon_k.

    `scales`: per residual (G, 1), where they are not those of the linearization at `unit`, a state; the zero function
    by default.
    """

    kind = "term"

    def __init__(
        self, term: Term, problem: CompiledProblem, space: Space, at: CellPoints, weight: float,
        scales: Sequence[Tensor] | None = None,
    ):  # fmt: skip
        self.name, self.problem, self.space, self.at, self.weight = term.name, problem, space, at, weight
        self.members = at.members
        self.cells = [side.cells for side in at.sides]
        self.row_count = at.points.count * len(term.residuals)
        self.points = at.points.count if at.keep is None else int(at.keep.sum())
        self.term = term
        self._rows = TermRows(term, at.points, problem, 1.0)
        self._scales, self._unit = scales, None
        self._factors: Sequence[Tensor] | None = None  # (G, 1) per residual, see `multiplied`

    @property
    def x(self) -> Tensor:
        """(G, m, d)"""
        return self.at.points.x[0].reshape(self.members, -1, self.at.points.x.shape[2])

    def scaled_at(self, state: State) -> CellTerm:
        if self._scales is not None and self._unit is None:  # given
            return self
        other = copy(self)
        other._scales, other._unit = None, state
        return other

    def rows(self, state: State, matrix: bool = True) -> RowBlock:
        residuals, coefficients = self._linearized(state)
        scales = self._scales_at(state, coefficients)
        G = self.members
        r = [self._kept(residual.reshape(G, -1)) * scale for residual, scale in zip(residuals, scales, strict=True)]
        r = joined(r, 1)
        if not matrix:
            return RowBlock(self.name, r)
        sides = [(side.cells, self._matrix(i, side, coefficients, scales)) for i, side in enumerate(self.at.sides)]
        parameters = self._by(self._rows.parameter_names, coefficients, scales) if self._rows.parameter_names else None
        return RowBlock(self.name, r, sides, parameters, self._by_integrals(state, coefficients, scales))

    def _scales_at(self, state: State, coefficients: list[dict]) -> list[Tensor]:
        """(G, m) per residual: what its rows are multiplied by."""
        root = self.at.root * self.weight**0.5
        scales = [scale * root for scale in self._scaled(state, coefficients)]
        if self._factors is not None:
            scales = [scale * factor for scale, factor in zip(scales, self._factors, strict=True)]
        return scales

    def by_tables(self, state: State) -> TableMatrix | None:
        side, *others = self.at.sides
        if others or not side.tables.shared or self._rows.integral_names:
            return None
        _, coefficients = self._linearized(state)
        residuals = []
        for item, scale in zip(coefficients, self._scales_at(state, coefficients), strict=True):
            found = []
            for f, value in item.items():
                if isinstance(f, Feature):
                    factor = self._factor(value, chain_factors(self.space.cells, side.cells, f.alpha)[:, None] * scale)
                    found.append(Entry(self.problem.unknowns.index(f.unknown), factor, side.tables.table(f.alpha)[0]))
            residuals.append(found)
        return TableMatrix(side.cells, len(self.problem.unknowns), residuals) if all(residuals) else None

    def forget_tables(self) -> None:
        self.at.forget_tables()

    def residuals(self, state: State) -> Tensor:
        """(residual count, G, m), as the term states them: without scales and quadrature weights."""
        return self._linearized(state)[0].reshape(-1, self.members, self.at.points.count // self.members)

    @property
    def holds_parameters(self) -> bool:
        sought = {coordinate_symbol(name) for name in self._rows.parameter_names}
        return any(sought & residual.free_symbols for residual in self._rows.term.residuals)

    def lies_at(self, axis: int, value: float) -> bool:
        return bool((self.at.points.x[0][:, axis] == value).all())

    @property
    def is_equation(self) -> bool:
        return self._rows.term.kind == "equation"

    def largest_coefficients(self, order: int) -> Tensor:
        """(G,) the largest size of a coefficient of derivatives of that order at zero, whatever the residual."""
        nothing = self.at.share.new_tensor([p.guess for p in self.problem.unknown_parameters])
        largest = self.at.share.new_zeros(self.members)
        for item in self._linearized(State(None, nothing))[1]:
            for f, value in item.items():
                if isinstance(f, Feature) and f.order == order:
                    largest = torch.maximum(largest, _largest(value, self.members))
        return largest

    def multiplied(self, factor: Tensor) -> CellTerm:
        """With rows multiplied by what the factors (C,) are in their cells: between two cells values by the smaller,
        what has derivatives by the larger one."""
        several = torch.stack([factor[side.cells] for side in self.at.sides])
        small, large = several.amin(dim=0)[:, None], several.amax(dim=0)[:, None]
        other = copy(self)
        other._factors = [large if any(f.order for f in features_of(r)) else small for r in self._rows.term.residuals]
        return other

    def imbalance(self, state: State) -> float:
        """The largest residual relative to its parts, rms over all points: 0 where the equation holds, 1 where nothing
        in it cancels. The parts are those of the linearization, c_f times the feature f, and the residual itself."""
        values = self._values(state)
        residuals, linearizations = self._rows.linearized(values, state)
        known: dict = {**values, **self._rows.integrals(state)}
        worst = 0.0
        for r, item in zip(residuals, linearizations, strict=True):
            parts = r.abs()
            for f, coefficient in item.items():
                if f in known:
                    parts = parts + torch.nan_to_num(coefficient * known[f], nan=0.0).abs()
            norms = [self._rms(part) for part in (r, parts)]
            worst = max(worst, norms[0] / norms[1] if norms[1] > 0 else 0.0)
        return worst

    def _rms(self, values: Tensor) -> float:
        return float((self._kept(values.reshape(self.members, -1)) * self.at.root).norm())

    def _values(self, state: State) -> dict[Feature, Tensor]:
        """The features (G m,) at a state."""
        c, unknowns = state.coefficients, self.problem.unknowns
        if c is None:
            return dict.fromkeys(self._rows.features, self.at.share.new_zeros(self._rows.points.count))
        return {
            f: self.at.sides[f.side].values(self.space, c, f.alpha, unknowns.index(f.unknown)).reshape(-1)
            for f in self._rows.features
        }

    def _linearized(self, state: State) -> tuple[Tensor, list[dict]]:
        """Unscaled residuals, and per residual a coefficient (G, m) or number per feature and parameter."""
        residuals, linearizations = self._rows.linearized(self._values(state), state)
        G = self.members
        coefficients = [
            {f: v.reshape(G, -1) if isinstance(v, Tensor) and v.ndim else float(v) for f, v in item.items()}
            for item in linearizations
        ]
        return residuals, coefficients

    def _scaled(self, state: State, coefficients: list[dict]) -> Sequence[Tensor]:
        """(G, 1) per residual: its scale, from the linearization at the state that gives the unit.

        That of a linear term is the same everywhere.
        """
        if self._scales is None:
            unit = self._unit if self._unit is not None else State(None, state.parameters)
            here = self._rows.term.linear or unit is state
            self._scales = self._scales_of(coefficients if here else self._linearized(unit)[1], state.integrals)
            self._unit = unit
        return self._scales

    def _scales_of(self, coefficients: list[Mapping], integrals) -> list[Tensor]:
        scales = []
        for item in coefficients:
            largest = self.at.share.new_zeros(self.members)
            for f, value in item.items():
                if not isinstance(f, Feature):
                    continue
                cells = self.at.sides[f.side].cells
                size = _largest(value, self.members)
                largest = torch.maximum(largest, size * chain_factors(self.space.cells, cells, f.alpha))
            if integrals is not None and not any(isinstance(f, Feature) for f in item):
                held = (n for n in self._rows.integral_names if n in item)
                largest = sum((_largest(item[n], self.members) * integrals.measures[n] for n in held), largest)
            scales.append(torch.where(largest > 0, 1.0 / largest, 1.0)[:, None])
        return scales

    def sizes_at(self, state: State, lengths: Tensor) -> list[tuple[int, Tensor]]:
        """Order and size (G,), the largest in a cell, of every part of the linearization at a state.

        Derivatives are by halves of the `lengths` (C, d) or (1, d).
        """
        result = []
        cells = self.at.sides[0].cells if len(lengths) > 1 else torch.zeros_like(self.at.sides[0].cells)
        for item in self._linearized(state)[1]:
            for f, value in item.items():
                if isinstance(f, Feature):
                    size = value.abs().nan_to_num().amax(dim=1) if isinstance(value, Tensor) else abs(value)
                    alpha = torch.tensor(f.alpha, dtype=lengths.dtype)
                    result.append((sum(f.alpha), size * ((2.0 / lengths[cells]) ** alpha).prod(dim=1)))
        return result

    @property
    def term_weight(self) -> tuple[float, float]:
        """The squared scales of its rows, and the cells' shares, both summed: their ratio is the term's epsilon_k."""
        share = self.at.share
        scales = self._scales or [torch.ones(self.members, 1, dtype=share.dtype)]
        squares = sum(float((share[:, None] * s**2).sum()) for s in scales) / len(scales)
        return self.weight * squares, float(share.sum())

    def _by_integrals(self, state: State, coefficients, scales) -> Tensor | None:
        """(G, M, K): the derivatives by the integrals at their nodes in time; None of a term without integrals."""
        names = self._rows.integral_names
        if not names or state.integrals is None:
            return None
        nodes, known = state.integrals.nodes, list(state.integrals.values)
        found = self._by(names, coefficients, scales)  # (G, M, I)
        first, weights = nodes.weights(self.at.points.x[0])
        G, M, T = *found.shape[:2], len(nodes.times)
        index = (first[:, None] + torch.arange(weights.shape[1])).reshape(G, -1, weights.shape[1])
        repeated = [part.repeat(1, M // part.shape[1], 1) for part in (index, weights.reshape(index.shape))]
        result = found.new_zeros(G, M, len(known) * T)
        for number, name in enumerate(names):
            values = repeated[1] * found[..., number, None]
            result.scatter_add_(2, known.index(name) * T + repeated[0], values)
        return result

    def _by(self, names: Sequence[str], coefficients, scales) -> Tensor:
        """(G, M, P): the derivatives of all residuals, one after another, by parameters or integrals."""
        m = self._rows.points.count // self.members
        columns = [
            [self._factor(item.get(name, 0.0), scale.expand(-1, m)) for name in names]
            for item, scale in zip(coefficients, scales, strict=True)
        ]
        return torch.cat([torch.stack(item, dim=2) for item in columns], dim=1)

    def _kept(self, values: Tensor) -> Tensor:
        return values if self.at.keep is None else torch.where(self.at.keep, values, 0.0)

    def _matrix(self, number: int, side: Side, coefficients, scales) -> Tensor:
        """(G or 1, M, U n): the rows of all residuals, one after another, on one side's cells."""
        factors = [
            {
                f: self._factor(value, chain_factors(self.space.cells, side.cells, f.alpha)[:, None] * scale)
                for f, value in item.items()
                if isinstance(f, Feature) and f.side == number
            }
            for item, scale in zip(coefficients, scales, strict=True)
        ]
        tables = {f: side.tables.table(f.alpha) for item in factors for f in item}
        G = self.members
        if all(alike(v) for item in factors for v in item.values()) and all(t.shape[0] == 1 for t in tables.values()):
            factors = [{f: v[:1] for f, v in item.items()} for item in factors]
            G = 1
        parts = [joined([self._block(item, tables, u, G) for u in self.problem.unknowns], 2) for item in factors]
        return joined(parts, 1)

    def _block(self, factors: Mapping[Feature, Tensor], tables: Mapping, unknown: str, G: int) -> Tensor:
        """(G, m, n): the columns of one unknown in the rows of one residual."""
        block = None
        for f, value in factors.items():
            if f.unknown == unknown:
                table = tables[f]
                block = value[:, :, None] * table if block is None else block.addcmul_(value[:, :, None], table)
        if block is None:
            return self.at.share.new_zeros(G, self._rows.points.count // self.members, self.space.functions)
        return block if block.shape[0] == G else block.expand(G, *block.shape[1:])

    def _factor(self, value: Tensor | float, factor: Tensor) -> Tensor:
        """(G, m) or (G, 1): a feature's coefficient times what its table is multiplied by, where the term holds."""
        product = value * factor
        if self.at.keep is None:
            return product
        return self._kept(product.expand(self.at.keep.shape))


def _largest(value: Tensor | float, members: int) -> Tensor:
    """(G,) the largest size of a coefficient (G, m), or of a number."""
    if isinstance(value, Tensor):
        return value.abs().nan_to_num().amax(dim=1)
    return torch.full((members,), abs(float(value)), dtype=torch.float64)
