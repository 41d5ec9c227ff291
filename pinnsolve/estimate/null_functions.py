"""Functions that equations and conditions leave free: what may be added to a solution without anybody's notice.

They are the functions z with A z next to zero, for the rows A of the linearized problem. Inverse iteration with the
factorization of A^T A at hand finds them (Golub & Van Loan, Matrix Computations, section 8.2): one step already
multiplies them by the inverse of the shift. Whether A z is next to zero is then told by the rows themselves, not by
their normal equations, which know nothing below the root of rounding.

A problem that is merely ill-conditioned has such functions, too, but with an A z that no richer space makes smaller. So
those count whose A z is rounding, or grows at once where their highest degrees are cut off. And rows weigh little in
small cells: whoever calls this looks at residuals of the functions at fresh points, too.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from pinnsolve.assembly.schur_complement import BlockFactorization
from pinnsolve.bases.piecewise.space import Space
from pinnsolve.runtime import random_tensor

MOST = 3  # functions that are sought
SURELY_HELD = 1e-3  # rms of A z, for z of rms 1, above which nothing is free after the first step of the iteration
STEPS = 2
ROUNDING, GROWS = 1e-9, 10.0  # A z of what is free up to rounding; by what it grows without the highest degrees
DEPENDENT = 1e-12  # squared norm of the part of a function that others do not hold


@dataclass(frozen=True)
class _Rows:
    """The rows A of a factorization, and (C, 1, 1) the shares of the volume, for functions z (C, U n, K)."""

    reduced: BlockFactorization
    share: Tensor

    def images(self, z: Tensor) -> Tensor:
        """(rows, K): A z."""
        return torch.cat([block.times(z).flatten(0, 1) for block in self.reduced.matrices])

    def orthonormal(self, z: Tensor) -> Tensor:
        """The functions made orthonormal in the mean; those that others hold are dropped."""
        root = self.share.sqrt()
        norms = (root * z).square().sum(dim=(0, 1)).sqrt()
        z = z[..., norms > 0] / norms[norms > 0]
        flat = (root * z).flatten(0, 1)
        values, vectors = torch.linalg.eigh(flat.T @ flat)
        held = values > DEPENDENT
        return z @ (vectors[:, held] / values[held].sqrt())

    def smallest(self, z: Tensor) -> tuple[Tensor, Tensor]:
        """(K,) growing norms of A z, and the functions in their span that have them."""
        images = self.images(z)
        z = z @ torch.linalg.eigh(images.T @ images).eigenvectors
        return self.images(z).norm(dim=0), z  # roots of the eigenvalues would end at the root of rounding


def free_functions(reduced: BlockFactorization, coarse: Space, constants: Tensor, tolerance: float) -> list[Tensor]:
    """The functions (C, U, n) of rms 1 that are next to free, in the space of the factorization.

    `coarse`: the space without the highest degrees; `constants`: (U,) bool, unknowns that are known to be determined up
    to a constant, which does not count; `tolerance`: what A z may be, relative to z.
    """
    space, unknowns, n = reduced.space, reduced.unknowns, reduced.space.functions
    volume = space.cells.volume
    rows = _Rows(reduced, (volume / volume.sum())[:, None, None])
    generator = torch.Generator().manual_seed(0)
    count = min(MOST + int(constants.sum()), unknowns * n)
    z = random_tensor(torch.randn, len(volume), unknowns * n, count, generator=generator, dtype=torch.float64)
    for _ in range(STEPS):
        z = rows.orthonormal(reduced.factor.solve(rows.share * z))
        if not z.numel() or float(rows.smallest(z)[0][0]) > SURELY_HELD:
            return []
    z = rows.orthonormal(_without_constants(z, reduced, rows.share, constants))
    sizes, z = rows.smallest(z)
    result = []
    for size, one in zip(sizes.tolist(), z.unbind(dim=2), strict=True):
        function = space.back(one.reshape(len(one), unknowns, n))
        cut = space.orthonormal(coarse.widened(space.widened(function, coarse), space)).flatten(1)
        grown = float(rows.images(cut[..., None]).norm())
        if size <= ROUNDING or (size <= tolerance and grown >= GROWS * size):
            result.append(function)
    return result


def _without_constants(z: Tensor, reduced: BlockFactorization, share: Tensor, constants: Tensor) -> Tensor:
    """The functions (C, U n, K) less their means, in the unknowns chosen."""
    space, unknowns, n = reduced.space, reduced.unknowns, reduced.space.functions
    for number in constants.nonzero()[:, 0].tolist():
        one = torch.zeros(len(z), unknowns, n, dtype=z.dtype)
        one[:, number, 0] = 1.0
        flat = space.orthonormal(one).flatten(1)[..., None]
        z = z - flat * (share * flat * z).sum(dim=(0, 1)) / (share * flat * flat).sum(dim=(0, 1))
    return z
