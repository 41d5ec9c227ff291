"""What is known of unknown parameters before the data: rows in which nothing but they stand."""

from __future__ import annotations

import torch
from torch import Tensor

from pinnsolve.assembly.row_source import RowBlock, RowSource, State


class ParameterRows(RowSource):
    """L theta should be zero, as far as the data let it: `matrix` (K, P), with rows over their standard deviations."""

    kind = "regularization"

    def __init__(self, name: str, matrix: Tensor, columns: int):
        """`columns`: of a cell, U n."""
        self.name, self.matrix, self.columns = name, matrix, columns
        self.cells = [torch.zeros(1, dtype=torch.long, device=matrix.device)]
        self.row_count = len(matrix)

    def rows(self, state: State, matrix: bool = True) -> RowBlock:
        r = (self.matrix @ state.parameters)[None]
        if not matrix:
            return RowBlock(self.name, r)
        nothing = self.matrix.new_zeros(1, self.row_count, self.columns)
        return RowBlock(self.name, r, [(self.cells[0], nothing)], self.matrix[None])

    @property
    def holds_parameters(self) -> bool:
        return True
