"""All rows that are to hold exactly: of conditions, and of the balances of cells."""

from __future__ import annotations

from collections.abc import Sequence

from pinnsolve.assembly.balance_rows import balance_rows
from pinnsolve.assembly.cell_rows import CellTerm
from pinnsolve.assembly.cell_weights import balanced
from pinnsolve.assembly.control_volumes import Volumes, box_volumes
from pinnsolve.assembly.exact_rows import ExactRows
from pinnsolve.assembly.plane_volumes import plane_volumes
from pinnsolve.assembly.row_source import RowSource
from pinnsolve.bases.piecewise.space import Space
from pinnsolve.compiler.terms import CompiledProblem


def with_exact_rows(problem: CompiledProblem, space: Space, sources: Sequence[RowSource]) -> list[RowSource]:
    """The sources, `balanced`, after the rows that are to hold exactly: of the conditions among them that the file asks
    this of, and of the balances of cells."""
    if problem.balances:
        sources = [*balance_rows(problem, space, volumes_of(problem, space)), *sources]
    sources = balanced(problem, space, sources)
    exact = (ExactRows(source) for source in sources if isinstance(source, CellTerm) and source.term.exactly)
    return [*exact, *sources]


def volumes_of(problem: CompiledProblem, space: Space) -> Volumes:
    """The faces and insides of the cells of a space."""
    if space.cells.parts is not None and len(problem.axes.space) == 2:
        return plane_volumes(problem.coordinates, problem.intervals, space.cells, max(space.degrees))
    return box_volumes(problem, space.cells, space.degrees)
