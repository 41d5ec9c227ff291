"""Terms, cells, degrees -> groups of rows: the K-term loss on a partition, every group over few cells at a time.

A group is one term (or the continuity of one unknown, or what a slab hands to the next) on the cells where it holds,
with equally many points per cell, so that all its rows are one batched product. On every row stands the unit of the
unknown: a residual is multiplied by 1/max_f |c_f| (2/h)^alpha over the features f of its linearization, which is the
mesh-dependent weighting of least-squares methods (Aziz, Kellogg & Stephens, Math. Comp. 44 (1985) 53-70; Bochev &
Gunzburger, SIAM Review 40 (1998) 789-837), and by the root of the cell's share of the volume times the quadrature
weight of the point, so that the loss of a group is an integral.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from pinnsolve.assembly.rows import State, TermRows
from pinnsolve.bases.legendre import ReferenceTables
from pinnsolve.bases.piecewise.space import Space, chain_factors
from pinnsolve.compiler.terms import CompiledProblem, Term
from pinnsolve.geometry.sampling import Points
from pinnsolve.language.symbols import Feature, MultiIndex


@dataclass
class Side:
    """One cell of every member of a group: which (G,), and the reference tables at its points."""

    cells: Tensor
    tables: ReferenceTables

    def feature(self, space: Space, alpha: MultiIndex) -> Tensor:
        """(G, m, n), or (1, m, n) where all cells are alike up to `chain_factors`."""
        return self.tables.table(alpha)

    def values(self, space: Space, c: Tensor, alpha: MultiIndex, unknown: int) -> Tensor:
        """(G, m) of a derivative of one unknown."""
        table = self.tables.table(alpha)
        mine = c[self.cells, unknown]  # (G, n)
        values = mine @ table[0].T if table.shape[0] == 1 else torch.einsum("gmn,gn->gm", table, mine)
        return values * chain_factors(space.cells, self.cells, alpha)[:, None]


@dataclass
class Rows:
    """The rows of a group at a state: residuals `r` (G, M) and, per side, the cells (G,) and `A` (G, M, U n).

    `A` is (1, M, U n) where it is the same for all members. `border` (G, M, P): the columns of unknown parameters.
    """

    name: str
    r: Tensor
    sides: list[tuple[Tensor, Tensor]] = field(default_factory=list)
    border: Tensor | None = None

    def times(self, z: Tensor) -> Tensor:
        """(G, M): the matrix times coefficients z (C, U n)."""
        parts = [z[cells] @ A[0].T if len(A) == 1 else (A @ z[cells][..., None])[..., 0] for cells, A in self.sides]
        return parts[0] if len(parts) == 1 else parts[0] + parts[1]


class TermGroup:
    """One term on the cells where it holds.

    `points`: (G m) of them; `quadrature`: (G or 1, m) weights that add up to one in a cell; `share`: (G,) of the
    cells; `keep`: (G, m) where the term holds; `weight`: the file's epsilon_k.
    """

    def __init__(self, term: Term, problem: CompiledProblem, space: Space, sides: Sequence[Side], points: Points,
                 quadrature: Tensor, share: Tensor, keep: Tensor | None, weight: float):  # fmt: skip
        self.name, self.problem, self.space, self.sides = term.name, problem, space, sides
        self.quadrature, self.share, self.keep, self.weight = quadrature, share, keep, weight
        self.members = sides[0].cells.shape[0]
        self._rows = TermRows(term, points, problem, 1.0)
        self.x = points.x[0].reshape(self.members, -1, points.x.shape[2])  # (G, m, d)
        self.cells_of_sides = [side.cells for side in sides]
        self.row_count = points.count * len(term.residuals)
        self.points = points.count if keep is None else int(keep.sum())
        self.scales: list[Tensor] | None = None  # per residual (G, 1); see `rescale`

    def rows(self, c: Tensor | None, parameters: Tensor, with_matrix: bool = True) -> Rows:
        """The rows at a function c (C, U, n), None being that which is zero."""
        unknowns = self.problem.unknowns
        if c is None:
            zero = self.share.new_zeros(self._rows.points.count)
            values, state = dict.fromkeys(self._rows.features, zero), zero[:1].expand(len(unknowns), 1)
        else:
            values = {
                f: self.sides[f.side].values(self.space, c, f.alpha, unknowns.index(f.unknown)).reshape(-1)
                for f in self._rows.features
            }
            state = c[0, :, :1]
        residuals, linearizations = self._rows.linearized(values, State(state, parameters))
        G = self.members
        # per residual, a coefficient (G, m) or number per feature
        coefficients = [
            {f: v.reshape(G, -1) if isinstance(v, Tensor) and v.ndim else float(v) for f, v in item.items()}
            for item in linearizations
        ]
        if self.scales is None:
            self.rescale(coefficients)
        root = torch.sqrt(self.weight * self.share[:, None] * self.quadrature)
        scales = [scale * root for scale in self.scales]  # (G, m) each
        r = [self._kept(residual.reshape(G, -1)) * scale for residual, scale in zip(residuals, scales, strict=True)]
        rows = Rows(self.name, torch.cat(r, dim=1))
        if with_matrix:
            rows.sides = [
                (side.cells, self._matrix(i, side, coefficients, scales)) for i, side in enumerate(self.sides)
            ]
            if self._rows.parameter_names:
                rows.border = self._border(coefficients, scales)
        return rows

    def lies_at(self, axis: int, value: float) -> bool:
        """Whether all points have this coordinate."""
        return bool((self._rows.points.x[0][:, axis] == value).all())

    def _border(self, coefficients, scales) -> Tensor:
        """(G, M, P): the derivatives of all residuals, one after another, by the unknown parameters."""
        m = self._rows.points.count // self.members
        columns = [
            [self._factor(item.get(name, 0.0), scale.expand(-1, m)) for name in self._rows.parameter_names]
            for item, scale in zip(coefficients, scales, strict=True)
        ]
        return torch.cat([torch.stack(item, dim=2) for item in columns], dim=1)

    def rescale(self, coefficients: list[Mapping[Feature, Tensor | float]]) -> None:
        """Fix the scale of every residual from its linearization; see the head of this module."""
        self.scales = []
        for item in coefficients:
            largest = self.share.new_zeros(self.members)
            for f, value in item.items():
                if not isinstance(f, Feature):
                    continue
                size = value.abs().nan_to_num().amax(dim=1) if isinstance(value, Tensor) else abs(value)
                cells = self.sides[f.side].cells
                largest = torch.maximum(largest, size * chain_factors(self.space.cells, cells, f.alpha))
            self.scales.append(torch.where(largest > 0, 1.0 / largest, 1.0)[:, None])

    def _kept(self, values: Tensor) -> Tensor:
        return values if self.keep is None else torch.where(self.keep, values, 0.0)

    def _matrix(self, number: int, side: Side, coefficients, scales) -> Tensor:
        """(G or 1, M, U n): the rows of all residuals, one after another, on one side's cells."""
        n, m = self.space.functions, self._rows.points.count // self.members
        factors = [
            {
                f: self._factor(value, chain_factors(self.space.cells, side.cells, f.alpha)[:, None] * scale)
                for f, value in item.items()
                if isinstance(f, Feature) and f.side == number
            }
            for item, scale in zip(coefficients, scales, strict=True)
        ]
        tables = {f: side.feature(self.space, f.alpha) for item in factors for f in item}
        if all(alike(v) for item in factors for v in item.values()) and all(t.shape[0] == 1 for t in tables.values()):
            factors = [{f: v[:1] for f, v in item.items()} for item in factors]
            G = 1
        else:
            G = self.members
        parts = []
        for item in factors:
            columns = []
            for unknown in self.problem.unknowns:
                block = None
                for f, value in item.items():
                    if f.unknown != unknown:
                        continue
                    table = tables[f]
                    block = value[:, :, None] * table if block is None else block.addcmul_(value[:, :, None], table)
                if block is None:
                    block = self.share.new_zeros(G, m, n)
                elif block.shape[0] != G:
                    block = block.expand(G, m, n)
                columns.append(block)
            parts.append(torch.cat(columns, dim=2) if len(columns) > 1 else columns[0])
        return torch.cat(parts, dim=1) if len(parts) > 1 else parts[0]

    def _factor(self, value: Tensor | float, factor: Tensor) -> Tensor:
        """(G, m) or (G, 1): a feature's coefficient times what its table is multiplied by, where the term holds."""
        product = value * factor
        if self.keep is None:
            return product
        return self._kept(product.expand(self.keep.shape))


def alike(factor: Tensor) -> bool:
    """Whether the rows (G, m) are equal up to rounding."""
    return bool(((factor - factor[:1]).abs() <= 1e-12 * factor[:1].abs()).all())


class JumpGroup:
    """Continuity of the unknowns across faces normal to one axis: derivatives below the order of the equations.

    The k-th derivative is scaled by (h/2)^k, as the prototype's (h/p)^k up to a constant.
    """

    def __init__(self, name: str, space: Space, axis: int, below: Side, above: Side, orders: Sequence[int],
                 quadrature: Tensor, share: Tensor):  # fmt: skip
        self.name, self.space, self.axis, self.sides, self.orders = name, space, axis, (below, above), orders
        self.members, self.quadrature, self.share = below.cells.shape[0], quadrature, share
        h = space.cells.size[:, axis]
        self.h = torch.minimum(h[below.cells], h[above.cells])
        self.cells_of_sides = [below.cells, above.cells]
        self.row_count = self.members * sum(orders) * below.tables.points
        self._A: list[tuple[Tensor, Tensor]] | None = None

    def lies_at(self, axis: int, value: float) -> bool:
        """No face between cells is the start of anything."""
        return False

    def _alpha(self, k: int) -> MultiIndex:
        return tuple(k if a == self.axis else 0 for a in range(self.space.cells.dimension))

    def rows(self, c: Tensor | None, parameters: Tensor, with_matrix: bool = True) -> Rows:
        parts = []
        if c is None:
            count = sum(self.orders) * self.sides[0].tables.points
            return Rows(self.name, self.share.new_zeros(self.members, count))
        for unknown, order in enumerate(self.orders):
            for k in range(order):
                one, two = (side.values(self.space, c, self._alpha(k), unknown) for side in self.sides)
                parts.append((one - two) * self._scale(k))
        rows = Rows(self.name, torch.cat(parts, dim=1))
        if with_matrix:
            rows.sides = self._matrices()
        return rows

    def _scale(self, k: int) -> Tensor:
        """(G, m)"""
        return (0.5 * self.h[:, None]) ** k * torch.sqrt(self.share[:, None] * self.quadrature)

    def _matrices(self) -> list[tuple[Tensor, Tensor]]:
        if self._A is None:
            self._A = []
            n, U = self.space.functions, len(self.orders)
            shared = alike(torch.stack([self.h, self.share], dim=1)) and len(self.quadrature) == 1
            for side in self.sides:
                shared &= alike(self.space.cells.size[side.cells]) and side.tables.shared
            chosen = slice(0, 1) if shared else slice(None)
            for side, sign in zip(self.sides, (1.0, -1.0), strict=True):
                parts = []
                for unknown, order in enumerate(self.orders):
                    for k in range(order):
                        table = side.feature(self.space, self._alpha(k))
                        factor = chain_factors(self.space.cells, side.cells, self._alpha(k))[:, None]
                        factor = (sign * factor * self._scale(k))[chosen]
                        block = table.new_zeros(len(factor), table.shape[1], U * n)
                        block[:, :, unknown * n : (unknown + 1) * n] = factor[:, :, None] * table
                        parts.append(block)
                self._A.append((side.cells, torch.cat(parts, dim=1)))
        return self._A


class StartGroup:
    """What a slab takes over from the one before: values, and time derivatives below the order in time, at its start.

    `before(x (N, d), alpha) -> (unknowns, N)` is the solution so far, asked for at the start of this slab.
    """

    def __init__(self, space: Space, axis: int, side: Side, points: Tensor, orders: Sequence[int],
                 quadrature: Tensor, share: Tensor):  # fmt: skip
        self.name, self.space, self.axis, self.side, self.orders = "start of slab", space, axis, side, orders
        self.members, self.quadrature, self.share = side.cells.shape[0], quadrature, share
        self.x = space.cells.physical(points, side.cells)  # (G, m, d)
        self.h = space.cells.size[side.cells, axis]
        self.target: dict[int, Tensor] = {}
        self.cells_of_sides = [side.cells]
        self.row_count = self.members * sum(orders) * side.tables.points
        self._A: list[tuple[Tensor, Tensor]] | None = None

    def _alpha(self, k: int) -> MultiIndex:
        return tuple(k if a == self.axis else 0 for a in range(self.space.cells.dimension))

    def aim(self, before: Callable[[Tensor, MultiIndex], Tensor]) -> None:
        flat = self.x.flatten(0, 1)
        for k in range(max(self.orders)):
            self.target[k] = before(flat, self._alpha(k)).reshape(-1, *self.x.shape[:2])

    def rows(self, c: Tensor | None, parameters: Tensor, with_matrix: bool = True) -> Rows:
        r, A = [], []
        n, U = self.space.functions, len(self.orders)
        for unknown, order in enumerate(self.orders):
            for k in range(order):
                values = 0.0 if c is None else self.side.values(self.space, c, self._alpha(k), unknown)
                scale = (0.5 * self.h[:, None]) ** k * torch.sqrt(self.share[:, None] * self.quadrature)
                r.append((values - self.target[k][unknown]) * scale)
                if with_matrix and self._A is None:
                    table = self.side.feature(self.space, self._alpha(k))
                    factor = chain_factors(self.space.cells, self.side.cells, self._alpha(k))[:, None]
                    block = table.new_zeros(self.members, table.shape[1], U * n)
                    block[:, :, unknown * n : (unknown + 1) * n] = (factor * scale)[:, :, None] * table
                    A.append(block)
        rows = Rows(self.name, torch.cat(r, dim=1))
        if with_matrix:
            self._A = self._A or [(self.side.cells, torch.cat(A, dim=1))]
            rows.sides = self._A
        return rows
