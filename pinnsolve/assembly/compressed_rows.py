"""Rows of one cell, compressed: as many as the cell has functions, and one more, whatever points they stand at.

With the QR factorization [A r] = Q [R q; 0 rho], the residual A z + r is Q (R z + q, rho): the same least squares, with
the same loss, whose rows take as much memory as the normal matrix and lose no digits (the sequential QR of least
squares: Lawson & Hanson, Solving Least Squares Problems, chapter 27).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import torch

from pinnsolve.assembly.row_source import RowBlock

WORTH = 1.3  # as many rows as functions, from which on they are compressed


def compressed(block: RowBlock) -> RowBlock:
    """Equivalent rows (G, n + 1) of a block (G, M) on one cell each; the block itself where that is no gain, where its
    members share a matrix, and where rows hold parameters or integrals."""
    if block.tested or len(block.sides) != 1 or block.parameters is not None or block.by_integrals is not None:
        return block
    ((cells, A),) = block.sides
    if len(A) == 1 or A.shape[1] < WORTH * A.shape[2]:
        return block
    R = torch.linalg.qr(torch.cat([A, block.r[..., None]], dim=2), mode="r").R
    return replace(block, r=R[:, :, -1].contiguous(), sides=[(cells, R[:, :, :-1])])


def summed(blocks: Sequence[RowBlock], cells: int) -> list[RowBlock]:
    """The blocks with all rows that are tested by functions of one cell summed, in the first of them, which is written
    over once it holds all `cells`."""
    first, *others = blocks
    if not others or not all(len(block.sides) == 1 and block.tested for block in (first, others[-1])):
        return list(blocks)
    ((chosen, A),), ((more, B),) = first.sides, others[-1].sides
    if len(chosen) < cells:  # the parts of the inside of cells come first, and one after another
        chosen, A, r = torch.cat([chosen, more]), torch.cat([A, B]), torch.cat([first.r, others[-1].r])
        if len(chosen) == cells and bool((torch.diff(chosen) < 0).any()):  # by number, as what follows is added
            order = torch.argsort(chosen)
            chosen, A, r = chosen[order], A[order], r[order]
    else:
        A.index_add_(0, more, B)
        r = first.r.index_add(0, more, others[-1].r)
    return [replace(first, r=r, sides=[(chosen, A)]), *others[:-1]]
