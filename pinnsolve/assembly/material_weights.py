"""Weights of the rows of materials that conduct differently: fluxes count the same on both sides of an interface.

Rows are brought to the unit of the unknown, whatever the coefficient before its second derivatives. In a material that
conducts a thousand times better, what is then a small residual is a large flux, which its neighbours feel: an inclusion
that conducts well would float at any value. So all rows of a cell are multiplied by its coefficient relative to the
smallest, as in a balance of fluxes.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from pinnsolve.assembly.cell_rows import CellTerm, ContinuityRows
from pinnsolve.assembly.row_source import RowSource
from pinnsolve.bases.piecewise.space import Space
from pinnsolve.compiler.terms import CompiledProblem

ALIKE = 1.5  # factor between coefficients that need no balance
MOST = 1e6  # by which rows are multiplied


def balanced(problem: CompiledProblem, space: Space, sources: Sequence[RowSource]) -> list[RowSource]:
    """The sources, their rows multiplied by what the materials of their cells conduct, relative to the least."""
    sources = list(sources)
    if not problem.materials or space.cells.parts is None:
        return sources
    conducts = _conductivity(space, sources)
    least = float(conducts.min())
    if not least > 0.0 or not float(conducts.max()) > ALIKE * least:
        return sources
    factor = (conducts / least).clamp(max=MOST)
    return [s.multiplied(factor) if isinstance(s, CellTerm | ContinuityRows) else s for s in sources]


def _conductivity(space: Space, sources: Sequence[RowSource]) -> Tensor:
    """(C,) the largest coefficient of a second derivative in the equations of a cell, at zero; 0 without any."""
    result = torch.zeros(space.cells.count, dtype=torch.float64)
    for source in sources:
        if isinstance(source, CellTerm) and source.is_equation:
            size = source.largest_coefficients(2)
            result.scatter_reduce_(0, source.cells[0], size, "amax")
    return result
