"""Rows of cells -> the blocks of their normal equations, whole or with what cells see of their faces.

A row is of one cell, or says something between two. The blocks of A^T A are those of cells and of pairs of cells; or,
where cells are to be eliminated before their faces, those of the rows of one cell alone, and the traces of the others.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import torch
from torch import Tensor

from pinnsolve.assembly.row_source import RowBlock, RowSource
from pinnsolve.bases.piecewise.space import Space
from pinnsolve.least_squares.condensation import FaceGraph, Faces, Sides, traces_apart, unit_scale
from pinnsolve.least_squares.products import times

PANEL = 256  # columns of a product at a time


def face_graph(space: Space, sources: Sequence[RowSource]) -> FaceGraph | None:
    """The faces between cells, with as many rows as their traces will have, as far as that is known before rows are
    made; None where no rows are between two cells."""
    between = [source for source in sources if len(source.cells) == 2]
    if not between:
        return None
    first, second = (torch.cat([source.cells[k] for source in between]) for k in range(2))
    apart = first != second
    if not bool(apart.any()):
        return None
    d = len(space.degrees)
    if between[0].tested:
        most = max(source.row_count // len(source.cells[0]) for source in between)
        return FaceGraph(first[apart], second[apart], space.cells.centres, most)
    oversampling = sum(space.points_per_axis(a) / (space.degrees[a] + 1) for a in range(d)) / d
    most = max(source.row_count / max(len(source.cells[0]), 1) for source in between)
    rows = max(1, round(most / oversampling ** (d - 1)))
    return FaceGraph(first[apart], second[apart], space.cells.centres, rows)


def gram(A: Tensor) -> Tensor:
    """A^T A (G, n, n) of A (G, M, n): where there are many columns, half of it and its mirror image."""
    n = A.shape[2]
    if n < 2 * PANEL:
        return times(A.mT, A)
    product = A.new_empty(len(A), n, n)
    for j in range(0, n, PANEL):
        panel = times(A[:, :, j:].mT, A[:, :, j : j + PANEL])
        product[:, j:, j : j + PANEL] = panel
        product[:, j : j + PANEL, j + PANEL :] = panel[:, PANEL:].mT
    return product


def normal_blocks(
    rows: Sequence[RowBlock], pairs: Sequence[tuple[int, int]], like: Tensor, check: Callable[[], None], divided: bool
) -> tuple[Tensor, Tensor, Tensor]:
    """A^T A: (C, n, n) the part of the rows of one cell, all of the diagonal blocks, and (P, n, n) of pairs of cells.

    `like`: (C, n). Unless they are `divided`, the part and the whole share their memory, and the part is lost."""
    C, n = like.shape
    number = {pair: k for k, pair in enumerate(pairs)}
    inside, blocks = like.new_zeros(C, n, n), like.new_zeros(len(number), n, n)
    for block in rows:
        check()
        if len(block.sides) == 1:
            ((cells, A),) = block.sides
            inside.index_add_(0, cells, A if block.tested else gram(A).expand(len(cells), n, n))
    diagonal = inside.clone() if divided else inside
    for block in rows:
        check()
        if len(block.sides) == 2 and block.tested:
            for cells, A in block.sides:
                diagonal.index_add_(0, cells, gram(A), alpha=-1)
            (i, A), (j, B) = block.sides
            _add_couplings(diagonal, blocks, number, i, j, -(A.mT @ B))
        elif len(block.sides) == 2:
            for cells, A in block.sides:
                diagonal.index_add_(0, cells, gram(A).expand(len(cells), n, n))
            _couple(diagonal, blocks, number, *block.sides)
    return inside, diagonal, blocks


def _couple(diagonal: Tensor, blocks: Tensor, number: dict[tuple[int, int], int], one, two) -> None:
    """Adds what rows with two sides couple."""
    (i, A), (j, B) = one, two
    n = diagonal.shape[1]
    _add_couplings(diagonal, blocks, number, i, j, (A.mT @ B).expand(len(i), n, n))


def _add_couplings(
    diagonal: Tensor, blocks: Tensor, number: dict[tuple[int, int], int], i: Tensor, j: Tensor, product: Tensor
) -> None:
    """Adds the blocks (G, n, n) of cells i and j, to those of pairs or, where both are the same, to the diagonal."""
    same, forward, backward = i == j, i < j, i > j
    if bool(same.any()):
        own = product[same]
        diagonal.index_add_(0, i[same], own + own.mT)
    for chosen, first, second, block in ((forward, i, j, product), (backward, j, i, product.mT)):
        if bool(chosen.any()):
            pairs = zip(first[chosen].tolist(), second[chosen].tolist(), strict=True)
            blocks.index_add_(0, torch.tensor([number[p] for p in pairs]), block[chosen])


def of_one_cell(sides: Sides) -> Iterator[tuple[Tensor, Tensor]]:
    """Cells (G,) and the matrices of rows that are of one cell alone, if only because it meets itself."""
    if len(sides) == 1:
        yield sides[0]
        return
    same = sides[0][0] == sides[1][0]
    if bool(same.any()):
        yield sides[0][0][same], sum(A.expand(len(cells), *A.shape[1:])[same] for cells, A in sides)


def condensable(
    rows: Sequence[RowBlock], centres: Tensor, like: Tensor, check: Callable[[], None]
) -> tuple[Tensor, Faces | None]:
    """The blocks (C, n, n) of rows of one cell, and the faces with the traces of the others, None where there are none;
    `centres`: (C, d) of the cells, `like`: (C, n)."""
    C, n = like.shape
    own, between = like.new_zeros(C, n, n), []
    for block in rows:
        check()
        if not block.sides:
            continue
        for cells, A in of_one_cell(block.sides):
            own.index_add_(0, cells, A if block.tested else gram(A).expand(len(cells), n, n))
        if block.tested and len(block.sides) == 2:
            between.append(block.sides)
            continue
        found = traces_apart(block.sides)
        if found:
            between.append(found)
    if not between:
        return own, None
    less = any(block.tested for block in rows)
    d = torch.diagonal(own, dim1=1, dim2=2)
    return own, Faces(between, unit_scale(d, () if less else between), centres, less)
