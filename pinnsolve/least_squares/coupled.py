"""A sparse matrix in blocks plus one of low rank: solved by the factorization of the first (Woodbury's formula).

Rows A + Q g^T, with few columns in Q and g, have the normal equations

    A^T A + g Q^T Q g^T + (A^T Q) g^T + g (A^T Q)^T = B + V D V^T,   V = [g, A^T Q, E],

where B = A^T A + E E^T. The rows of A alone may leave functions free that the integrals hold, as a mean fixes the
constant of a Neumann problem: so B has the part E of g in a single cell added, which holds them nearly as well, and D
takes it off again (Golub & Van Loan, Matrix Computations, section 2.1.4, with the inverse of D in the place of D).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor


class Coupled:
    """The factorization of B + V D V^T.

    `diagonal`: (C, n, n) of A^T A, to which E E^T is added; `functionals`: (C, n, K), g; `projected`: (C, n, K), A^T Q;
    `gram`: (K, K), Q^T Q. `factorized` makes the factorization of B of its diagonal blocks.
    """

    def __init__(
        self, diagonal: Tensor, functionals: Tensor, projected: Tensor, gram: Tensor,
        factorized: Callable[[Tensor], Any],
    ):  # fmt: skip
        size = torch.diagonal(gram).clamp_min(0.0).sqrt()
        unit = torch.where(size > 0, size, 1.0)
        g, AQ, QQ = functionals * size, projected / unit, gram / unit / unit[:, None]
        E, cells, e = _anchors(g)
        self.base = factorized(diagonal.index_add(0, cells, e[:, :, None] * e[:, None, :]))
        self.V = torch.cat([g, AQ, E], dim=2)
        one = torch.eye(len(size)).to(gram)
        nothing = torch.zeros_like(one)
        inverse = torch.cat([
            torch.cat([nothing, one, nothing], dim=1), torch.cat([one, -QQ, nothing], dim=1),
            torch.cat([nothing, nothing, -one], dim=1),
        ])  # fmt: skip
        self.Z = self.base.solve(self.V)
        self.small = torch.linalg.lu_factor(inverse + self.V.flatten(0, 1).T @ self.Z.flatten(0, 1))

    def solve(self, b: Tensor) -> Tensor:
        """x: (C, n) or (C, n, k) with (matrix) x = b."""
        whole = b if b.ndim == 3 else b[..., None]
        x = self.base.solve(whole)
        right = torch.einsum("cnk,cnl->kl", self.V, x)
        x = x - torch.einsum("cnk,kl->cnl", self.Z, torch.linalg.lu_solve(*self.small, right))
        return x if b.ndim == 3 else x[..., 0]

    def rank_info(self) -> dict[str, float | int]:
        """That of the sparse part."""
        return self.base.rank_info()


def _anchors(g: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """The part of every functional (C, n, K) in the cell where it is largest; (K,) that cell; (K, n) the part alone."""
    cells = g.square().sum(dim=1).argmax(dim=0)
    E, number = torch.zeros_like(g), torch.arange(g.shape[2])
    e = g[cells, :, number]
    E[cells, :, number] = e
    return E, cells, e
