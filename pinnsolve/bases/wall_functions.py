"""Functions of one coordinate that meet what holds at both ends, and are eigenfunctions of its second derivative.

Combinations of three Legendre polynomials each meet homogeneous conditions of values and slopes, or are periodic (Shen,
Efficient spectral-Galerkin method I, SIAM J. Sci. Comput. 15 (1994) 1489-1505). Among all of a degree there are those
whose second derivative is, tested with all of them, a multiple of themselves: in them diffusion is diagonal.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from pinnsolve.runtime import cached_by_device

VALUE, SLOPE, PERIODIC, FREE = "value", "slope", "periodic", "free"
Walls = tuple[str, str]  # what vanishes at the lower and the upper end; nothing where they are free


@dataclass(frozen=True)
class WallFunctions:
    """`rates` (n,): minus the eigenvalues of the second derivative on [-1, 1], ascending; `legendre` (n, degree + 1):
    the functions in Legendre polynomials, both orthonormal in the mean."""

    rates: Tensor
    legendre: Tensor


@cached_by_device(32)
def wall_functions(degree: int, walls: Walls) -> WallFunctions:
    """Those of a degree, of at least 3; where the ends are free, all polynomials, as of what does not diffuse."""
    k = torch.arange(degree + 1, dtype=torch.float64)
    if walls[0] == FREE:
        return WallFunctions(torch.zeros_like(k), torch.eye(degree + 1, dtype=torch.float64))
    basis = _meeting(walls, k)
    least = torch.minimum(k[:, None], k)
    even = (k[:, None] + k) % 2 == 0
    norms = torch.sqrt(2.0 * k + 1.0)
    # the mean of products of slopes; that of P_i' P_j' is m (m + 1) / 2, m the lesser of i and j, if i + j is even
    energy = torch.where(even, norms[:, None] * norms * least * (least + 1.0) / 2.0, 0.0)
    mass = basis @ basis.T
    both = basis @ energy @ basis.T + mass
    # With the sum scaled to be almost the identity, low rates are as exact as numbers are, however high the degree
    scale = torch.rsqrt(both.diagonal())
    mass, both = (scale[:, None] * one * scale for one in (mass, both))
    L = torch.linalg.cholesky(both)
    half = torch.linalg.solve_triangular(L, mass, upper=False)
    shares, y = torch.linalg.eigh(torch.linalg.solve_triangular(L, half.mT, upper=False))
    shares, y = shares.flip(0), y.flip(1)  # 1 / (1 + rate), descending
    found = (scale[:, None] * torch.linalg.solve_triangular(L.mT, y, upper=True)).mT @ basis
    q, r = torch.linalg.qr(found.mT)  # the first ones stay as they are
    return WallFunctions((1.0 / shares - 1.0).clamp_min(0.0), (q * torch.sign(r.diagonal())).mT.contiguous())


def _meeting(walls: Walls, k: Tensor) -> Tensor:
    """(n, degree + 1): combinations of three neighbours each that meet both conditions."""
    norms, sign = torch.sqrt(2.0 * k + 1.0), 1.0 - 2.0 * (k % 2)
    value = {-1: sign * norms, 1: norms}
    slope = {-1: -sign * norms * k * (k + 1.0) / 2.0, 1: norms * k * (k + 1.0) / 2.0}
    if walls[0] == PERIODIC:
        rows = [value[1] - value[-1], slope[1] - slope[-1]]
    else:
        rows = [{VALUE: value, SLOPE: slope}[wall][side] for wall, side in zip(walls, (-1, 1), strict=True)]
    first, second = (torch.stack([row[:-2], row[1:-1], row[2:]], dim=1) for row in rows)
    across = torch.linalg.cross(first, second)
    across = across / torch.linalg.vector_norm(across, dim=1, keepdim=True)
    basis = k.new_zeros(len(across), len(k))
    at = torch.arange(len(across))
    for i in range(3):
        basis[at, at + i] = across[:, i]
    return basis
