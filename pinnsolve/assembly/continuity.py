"""Continuity between cells as rows: derivatives are the same on both sides of faces, or those a slab starts from."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from copy import copy
from functools import cached_property

import torch
from torch import Tensor

from pinnsolve.assembly.cell_rows import CellPoints
from pinnsolve.assembly.row_source import RowBlock, RowSource, State
from pinnsolve.assembly.table_matrix import alike, joined
from pinnsolve.bases.piecewise.space import Space, chain_factors
from pinnsolve.language.symbols import MultiIndex


class ContinuityRows(RowSource):
    """Some derivatives of the unknowns are the same on both sides of faces.

    `derivatives`: the multi-indices of each unknown. With one side they equal a `target`: so a slab starts where the
    one before ends. Derivatives by an axis are multiplied by h/2 each, which makes them differences of values.
    """

    def __init__(self, name: str, space: Space, derivatives: Sequence[Sequence[MultiIndex]], at: CellPoints):
        self.name, self.space, self.at = name, space, at
        self.derivatives = [tuple(alphas) for alphas in derivatives]
        self.kind = "continuity" if len(at.sides) == 2 else "start"
        self.cells = [side.cells for side in at.sides]
        self.row_count = at.members * sum(map(len, self.derivatives)) * at.sides[0].tables.points
        h = space.cells.size
        self._h = h[self.cells[0]] if len(at.sides) == 1 else torch.minimum(h[self.cells[0]], h[self.cells[1]])
        self._factor: Tensor | None = None  # (G, 1), see `multiplied`
        self._target: dict[MultiIndex, Tensor] | None = None  # (unknowns, G, m) each

    def starting_from(self, before: Callable[[Tensor, MultiIndex], Tensor]) -> ContinuityRows:
        """The rows whose target is a function: `before(x (N, d), alpha) -> (unknowns, N)`."""
        other = copy(self)
        x, G = self.at.points.x[0], self.at.members
        wanted = dict.fromkeys(alpha for alphas in self.derivatives for alpha in alphas)
        other._target = {alpha: before(x, alpha).reshape(-1, G, len(x) // G) for alpha in wanted}
        return other

    def multiplied(self, factor: Tensor) -> ContinuityRows:
        """With rows multiplied by what the factors (C,) are in the cells, by the smaller one of two."""
        other = copy(self)
        other._factor = torch.stack([factor[cells] for cells in self.cells]).amin(dim=0)[:, None]
        return other

    def forget_tables(self) -> None:
        self.at.forget_tables()

    def lies_at(self, axis: int, value: float) -> bool:
        return self.kind == "start"  # no face between cells is the start of anything

    def rows(self, state: State, matrix: bool = True) -> RowBlock:
        c, parts = state.coefficients, []
        for unknown, alphas in enumerate(self.derivatives):
            for alpha in alphas:
                value = 0.0 if self._target is None else -self._target[alpha][unknown]
                if c is not None:
                    one, *two = (side.values(self.space, c, alpha, unknown) for side in self.at.sides)
                    value = (one - two[0] if two else one) + value
                parts.append(value * self._scale(alpha))
        r = joined(parts, 1)
        return RowBlock(self.name, r, self._matrices if matrix else ())

    def _scale(self, alpha: MultiIndex) -> Tensor:
        """(G, m)"""
        steps = (0.5 * self._h) ** torch.tensor(alpha, dtype=self._h.dtype)
        scale = steps.prod(dim=1, keepdim=True) * self.at.root
        return scale if self._factor is None else scale * self._factor

    @cached_property
    def _matrices(self) -> list[tuple[Tensor, Tensor]]:
        cells, U, n = self.space.cells, len(self.derivatives), self.space.functions
        shared = alike(torch.cat([self._h, self.at.share[:, None]], dim=1)) and len(self.at.quadrature) == 1
        shared &= self._factor is None or alike(self._factor)
        for side in self.at.sides:
            shared &= alike(cells.size[side.cells]) and side.tables.shared
        chosen = slice(0, 1) if shared else slice(None)
        result = []
        for side, sign in zip(self.at.sides, (1.0, -1.0), strict=False):
            parts = []
            for unknown, alphas in enumerate(self.derivatives):
                for alpha in alphas:
                    table = side.tables.table(alpha)
                    factor = chain_factors(cells, side.cells, alpha)[:, None]
                    factor = (sign * factor * self._scale(alpha))[chosen]
                    block = table.new_zeros(len(factor), table.shape[1], U * n)
                    block[:, :, unknown * n : (unknown + 1) * n] = factor[:, :, None] * table
                    parts.append(block)
            result.append((side.cells, joined(parts, 1)))
        return result
