"""Rows of one cell, compressed: as many as the cell has functions, and one more, whatever points they stand at.

With the QR factorization [A r] = Q [R q; 0 rho], the residual A z + r is Q (R z + q, rho): the same least squares, with
the same loss, whose rows take as much memory as the normal matrix and lose no digits (the sequential QR of least
squares: Lawson & Hanson, Solving Least Squares Problems, chapter 27).
"""

from __future__ import annotations

from dataclasses import replace

import torch

from pinnsolve.assembly.row_source import RowBlock

WORTH = 1.3  # as many rows as functions, from which on they are compressed


def compressed(block: RowBlock) -> RowBlock:
    """Equivalent rows (G, n + 1) of a block (G, M) on one cell each; the block itself where that is no gain, where its
    members share a matrix, and where rows hold parameters or integrals."""
    if len(block.sides) != 1 or block.parameters is not None or block.by_integrals is not None:
        return block
    ((cells, A),) = block.sides
    if len(A) == 1 or A.shape[1] < WORTH * A.shape[2]:
        return block
    R = torch.linalg.qr(torch.cat([A, block.r[..., None]], dim=2), mode="r").R
    return replace(block, r=R[:, :, -1].contiguous(), sides=[(cells, R[:, :, :-1])])
