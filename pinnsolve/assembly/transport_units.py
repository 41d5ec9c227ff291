"""Rows in units in which what transport carries counts as much as where it comes to.

Rows are scaled with the size of their cells, so that a residual counts by the error that it makes in its cell. Where
first derivatives dominate, a residual is carried on through the whole domain: one that sends a layer out of a tiny cell
in a wrong direction weighs next to nothing there, and moves the layer everywhere. In such problems, the error is sought
with equations in units of the domain, and with jumps and conditions by the area of their faces, in place of energies.
"""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from pinnsolve.assembly.cell_rows import CellTerm
from pinnsolve.assembly.cell_weights import balanced_by_materials
from pinnsolve.assembly.row_source import RowBlock, RowSource, State
from pinnsolve.assembly.system import CellSystem
from pinnsolve.compiler.terms import CompiledProblem

DOMINATES = 10.0  # times what higher derivatives count, for the lengths of the domain, do first ones at least


class Reweighted(RowSource):
    """The rows of a source times (G,) factors."""

    def __init__(self, source: RowSource, factors: Tensor):
        self.source, self.factors = source, factors
        self.name, self.kind, self.cells, self.row_count = source.name, source.kind, source.cells, source.row_count

    def rows(self, state: State, matrix: bool = True) -> RowBlock:
        block, f = self.source.rows(state, matrix), self.factors
        sides = [(cells, A * f[:, None, None]) for cells, A in block.sides]
        held = None if block.by_integrals is None else block.by_integrals * f[:, None, None]
        return replace(block, r=block.r * f[:, None], sides=sides, by_integrals=held)

    def scaled_at(self, state: State) -> RowSource:
        return Reweighted(self.source.scaled_at(state), self.factors)


def in_transport_units(system: CellSystem, problem: CompiledProblem, state: State) -> CellSystem:
    """The system with factors on its rows where first derivatives dominate every equation at a state; else as it is."""
    lengths = torch.tensor([high - low for low, high in problem.intervals], dtype=torch.float64)
    size = system.space.cells.size
    # from the volume of cells to the area of their faces
    faces = torch.sqrt((lengths / size).amin(dim=1).clamp_min(1.0))
    sources: list[RowSource] = []
    for source in balanced_by_materials(problem, system.space, system.sources):
        factors: Tensor | None = faces[source.cells[0]]
        if isinstance(source, CellTerm) and source.term.kind == "equation":
            factors = _of_equation(source, lengths, state)
            if factors is None:
                return system
        sources.append(Reweighted(source, factors))
    return system.with_sources(sources)


def _of_equation(source: CellTerm, lengths: Tensor, state: State) -> Tensor | None:
    """(G,): from units of cells to those of the domain; None where first derivatives do not dominate."""
    cells, domain = source.sizes_at(state, source.space.cells.size), source.sizes_at(state, lengths[None])
    first = max((float(v.max()) for order, v in domain if order == 1), default=0.0)
    higher = max((float(v.max()) for order, v in domain if order > 1), default=0.0)
    if not first > DOMINATES * higher:
        return None
    here = torch.stack([v for _, v in cells]).amax(dim=0)
    return here / max(first, max(float(v.max()) for _, v in domain))
