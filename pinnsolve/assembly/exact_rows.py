"""Rows that are to vanish to rounding, beside those whose squares are least.

They enter the least squares with a weight that makes them nearly vanish, and are then brought to rounding by the
factorization that is at hand (`schur_complement.held_exactly`): so nothing of the blocks changes, no multipliers stand
beside the coefficients, and rows that repeat others do no harm.
"""

from __future__ import annotations

from dataclasses import replace

from pinnsolve.assembly.row_source import RowBlock, RowSource, State

WEIGHT = 100.0  # of the rows; its square, beside the rows of the equations, is the factor by which each step gains


def name_of(term: str) -> str:
    """The name of the exact rows of a term."""
    return f"{term}, exactly"


class ExactRows(RowSource):
    """The rows of a source, to hold exactly."""

    kind = "exact"

    def __init__(self, source: RowSource):
        self.source, self.name = source, name_of(source.name)
        self.cells, self.row_count = source.cells, source.row_count

    def rows(self, state: State, matrix: bool = True) -> RowBlock:
        block = self.source.rows(state, matrix)
        sides = [(cells, WEIGHT * A) for cells, A in block.sides]
        more = {
            name: WEIGHT * value
            for name in ("parameters", "by_integrals")
            if (value := getattr(block, name)) is not None
        }
        return replace(block, name=self.name, r=WEIGHT * block.r, sides=sides, exact=True, **more)

    def scaled_at(self, state: State) -> ExactRows:
        return ExactRows(self.source.scaled_at(state))

    @property
    def holds_parameters(self) -> bool:
        return self.source.holds_parameters
