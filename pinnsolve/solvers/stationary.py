"""Whether what Newton's method ends with is a solution: a stationary point of the least squares need not be one.

Where the linearization is singular, no correction lowers the residual, and none shows how wrong the state is: what
tells is the residual beside the parts of its equation, which cancel in a solution.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch

from pinnsolve.assembly.cell_rows import CellTerm
from pinnsolve.assembly.row_source import RowBlock, State
from pinnsolve.assembly.system import CellSystem

UNSOLVED = 0.3  # residual beside its parts, at which an equation does not hold at all
FELT = 0.01  # residual in the unit of the unknowns, relative to them, that is more than rounding of what vanishes


def unsolved_terms(system: CellSystem, state: State, rows: Sequence[RowBlock]) -> list[str]:
    """The names of the terms that do not hold at a state, whose residuals are `rows`, those with most left first."""
    size = float(system.space.rms(state.coefficients).max())
    if not math.isfinite(size):
        return [source.name for source in system.sources if isinstance(source, CellTerm)]
    found: dict[str, float] = {}
    with torch.no_grad():
        for source, block in zip(system.sources, rows, strict=True):
            if isinstance(source, CellTerm) and not math.sqrt(block.loss) <= FELT * size:
                left = source.imbalance(state)
                if not left <= UNSOLVED:
                    found[source.name] = max(left, found.get(source.name, 0.0))
    return sorted(found, key=lambda name: -found[name])
