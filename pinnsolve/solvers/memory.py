"""What a least squares on cells will take, before it is taken."""

from __future__ import annotations

import math
from collections.abc import Sequence

from pinnsolve.assembly.row_source import RowSource
from pinnsolve.assembly.system import CellSystem
from pinnsolve.bases.piecewise.mesh import Cells
from pinnsolve.errors import ResourceError
from pinnsolve.least_squares.condensation import operations_condensed, worth_condensing
from pinnsolve.least_squares.fronts import Front
from pinnsolve.least_squares.fronts import operations as operations_in_fronts
from pinnsolve.least_squares.local_elimination import SHARE, operations_eliminated

NUMBER = 8  # bytes
COMPLEX = 2  # numbers
COPIES = 3  # of the blocks: as they are summed, scaled, and while fronts are put together
SEEN = 3  # matrices of what a cell sees of its faces: as they are, and to either side of its own
AT_MOST, ACROSS = 6, 8  # blocks of a cell in rows, and in a factorization, beside those of separators; what grids that
# are refined in places have more of these
AS_MADE = 2  # copies of the rows of a cell, as they are summed and compressed


def bytes_needed(system: CellSystem) -> float:
    """Rows, blocks and factors of a system, as if no two cells were alike."""
    n = system.columns
    rows = sum(_kept_rows(source, n) if system.kept else _rows(source) for source in system.sources)
    if system.tested:  # rows of one cell are summed
        rows = n * system.space.cells.count + sum(_rows(one) for one in system.sources if len(one.cells) == 2)
    tree, cells = system.tree, system.space.cells.count
    if system.condenses:
        tree = system.faces.tree
        seen = SEEN * sum(len(at) for at in system.faces.at) * system.faces.rows * n
        blocks, n = COPIES * cells * n**2 + seen, system.faces.rows
    else:
        blocks = COPIES * (cells + len(system.pairs)) * n**2
    if system.eliminates:
        blocks += 2 * cells * n**2  # the rows inside, and what divides the functions
        n = round(SHARE * n)
    factors = sum(len(f.own) * (len(f.own) + len(f.border)) for f in tree) * n**2
    largest = max((len(f.own) + len(f.border)) ** 2 for f in tree) * n**2
    made = max((_made(source, system) for source in system.sources), default=0)
    return NUMBER * (rows * system.columns + blocks + factors + 2 * largest + made)


def _made(source: RowSource, system: CellSystem) -> float:
    """Numbers that the rows of one cell take beside themselves while they are made: a table of the functions for every
    derivative that they hold, and what they are summed and compressed in. Of one cell of high degree that is most."""
    term = getattr(source, "term", None)
    tables = len(term.features) if term is not None else 1
    rows = source.row_count / max(len(source.cells[0]), 1)
    if source.tested:  # at the points of the cell, not at its functions
        tables, rows = 1 + len(system.space.degrees), source.points / max(len(source.cells[0]), 1)
    return (tables + AS_MADE) * rows * system.space.functions


def bytes_of_modes(system: CellSystem, levels: int, modes: int) -> float:
    """What steps by collocation keep: rows with the derivatives in time of `levels` orders, and a complex triangular
    factorization to either side for every mode, or a real one of all where `modes` is 0.

    `system`: that of one order. Of cells, or of faces after cells, whichever is solved.
    """
    n, C = system.columns, system.space.cells.count
    rows = sum(_rows(source) for source in system.sources) * n * (2 * levels + 1)  # matrices, tests, as they are made
    faces = system.faces
    numbers = COMPLEX * modes if modes else 1
    if faces is not None and worth_condensing(system.tree, n, faces):
        blocks = (levels + 1 + numbers) * C * n**2
        seen = (1 + numbers) * sum(len(at) for at in faces.at) * faces.rows * n
        return NUMBER * (rows + blocks + seen + numbers * _fronts(faces.tree, modes) * faces.rows**2)
    blocks = (levels + (2 * COMPLEX if modes else 1)) * (C + 2 * len(system.pairs)) * n**2
    return NUMBER * (rows + blocks + numbers * _fronts(system.tree, modes) * n**2)


def bytes_at_most(cells: Cells, columns: int, levels: int, modes: int) -> float:
    """More than that, of cells with so many `columns` each, without knowing what they share."""
    separator = cells.count ** (1.0 - 1.0 / cells.dimension)  # cells between two halves of a grid
    each = AT_MOST * (levels + 1) + (COMPLEX * max(modes, 1)) * (AT_MOST + ACROSS * separator)
    return NUMBER * cells.count * columns**2 * each


def _fronts(tree: Sequence[Front], modes: int) -> float:
    """Blocks of a factorization, triangular or to either side, and of the largest front while it is made."""
    sizes = [(len(f.own), len(f.own) + len(f.border)) for f in tree]
    factors = sum(own * (2 * whole - own) if modes else own * whole for own, whole in sizes)
    return factors + 2 * max(whole**2 for _, whole in sizes) / max(modes, 1)


def check_work(system: CellSystem, available: float, most: float = math.inf) -> None:
    """Raises ResourceError for a system that does not fit, or whose factorization takes more than `most` operations."""
    check_memory(system, available)
    if operations(system) > most:
        raise ResourceError(
            f"the next refinement, {system.coefficients} coefficients, would take very long; "
            "set limits.seconds to let it go on, or raise the tolerance"
        )


def check_memory(system: CellSystem, available: float) -> None:
    """Raises ResourceError, with the size that would be needed, for a system that does not fit."""
    refuse_beyond(available, bytes_needed(system), system.coefficients)


def refuse_blocks(available: float, cells: int, columns: int) -> None:
    """Raises ResourceError where not even a dense block for every cell fits, before anything is made for them."""
    refuse_beyond(available, NUMBER * COPIES * float(cells) * float(columns) ** 2, cells * columns)


def refuse_beyond(available: float, needed: float, coefficients: int) -> None:
    """Raises ResourceError where more bytes are needed than may be taken."""
    if needed > available:
        raise ResourceError(
            f"the next refinement, {coefficients} coefficients, needs {needed / 1e9:.2g} GB, and "
            f"{available / 1e9:.2g} GB may be taken; raise limits.memory_gb or the tolerance"
        )


def operations(system: CellSystem) -> float:
    """Multiplications of one factorization."""
    n, cells, pairs = system.columns, system.space.cells.count, len(system.pairs)
    products = sum(_rows(source) for source in system.sources) * n**2 / 2
    if system.condenses:
        return products + operations_condensed(n, system.faces)
    if system.eliminates:
        return products + operations_eliminated(system.tree, cells, pairs, n)
    return products + operations_in_fronts(system.tree, n)


def _rows(source: RowSource) -> int:
    return source.row_count * len(source.cells)


def _kept_rows(source: RowSource, n: int) -> int:
    """Those of one cell are compressed; see `compressed`."""
    members = len(source.cells[0])
    return min(_rows(source), members * (n + 1)) if len(source.cells) == 1 else _rows(source)
