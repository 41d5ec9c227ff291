"""The largest eigenvalues of a linear operator, by Arnoldi's method with blocks of vectors.

A block finds all functions of a multiple eigenvalue, may start from functions that are nearly known, and costs little
more than a single vector where the operator is a solve with a sparse factorization (Saad, Numerical Methods for Large
Eigenvalue Problems, 2nd edition, 2011, sections 6.3 and 7.1: block Arnoldi, with explicit restarts).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

MOST_STEPS = 12  # blocks until a restart
MOST_RESTARTS = 12
ACCURACY = 1e-13  # residual relative to the largest eigenvalue; rounding of the operator is about as large
EQUAL = 1e-3  # relative: eigenvalues as near to each other may be one, found several times
GOOD = 1e-7  # the same, of eigenvalues that are worth it when nothing comes closer

Operator = Callable[[Tensor], Tensor]  # (N, b) -> (N, b)


@dataclass(frozen=True)
class Aim:
    """How many eigenvalues must be found, and how well: residuals relative to the largest.

    Those whose reciprocals are in modulus at most `apart` larger than that of the last of them are needed, too.
    """

    needed: int
    accuracy: float = ACCURACY
    apart: float = 0.0

    def holds(self, values: Tensor, errors: Tensor) -> bool:
        """Whether eigenvalues (K,), the largest first, are found with these residual norms (K,)."""
        return self.worst(values, errors) <= self.accuracy

    def worst(self, values: Tensor, errors: Tensor) -> float:
        """The largest residual of those needed, relative to the largest eigenvalue."""
        sizes = values.abs()
        far = (1.0 + EQUAL) / sizes[min(self.needed, len(sizes)) - 1] + self.apart
        return float((errors / sizes.amax())[1.0 / sizes <= far].max())


def largest_eigenvalues(operator: Operator, start: Tensor, aim: Aim) -> tuple[Tensor, Tensor]:
    """(K,) complex eigenvalues of largest modulus, and their eigenvectors (N, K), K at most b.

    `start`: (N, b), real or complex as the operator is. Raises ArithmeticError where none is found.
    """
    block, before = _orthonormal(start), math.inf
    best: tuple[Tensor, Tensor] | None = None
    for _ in range(MOST_RESTARTS):
        values, vectors, errors = _expanded(operator, block, start.shape[1], aim)
        good = errors <= torch.clamp(GOOD * values.abs(), min=aim.accuracy * float(values.abs().amax()))
        if bool(good.any()):
            best = values[good], vectors[:, good]
        worst = aim.worst(values, errors)
        if worst <= aim.accuracy or (worst <= GOOD and worst > 0.5 * before):  # as near as rounding lets it come
            break
        block, before = _span(vectors, block), worst
    if best is None:
        raise ArithmeticError("Arnoldi's method found no eigenvalue")
    return best


def _expanded(operator: Operator, block: Tensor, count: int, aim: Aim) -> tuple[Tensor, Tensor, Tensor]:
    """Ritz values, vectors and residual norms (K,) of a space that grows until these are accurate, or it is large."""
    basis, images = block, block.new_zeros(len(block), 0)
    most = min(MOST_STEPS, max(len(block) // block.shape[1], 1))
    for step in range(most):  # the last of them breaks
        image = operator(block)
        if not bool(torch.isfinite(image).all()):
            raise ArithmeticError("the operator of Arnoldi's method is not finite")
        images = torch.cat([images, image], dim=1)
        values, coefficients = torch.linalg.eig(basis.mH @ images)
        order = torch.argsort(values.abs(), descending=True)[:count]
        values, coefficients = values[order], coefficients[:, order]
        vectors = basis.to(coefficients) @ coefficients
        found = images.to(coefficients) @ coefficients
        errors = (found - vectors * values).norm(dim=0)
        if step == most - 1 or aim.holds(values, errors):
            break
        block = _orthonormal(images[:, -block.shape[1] :], basis)
        if not block.shape[1]:  # the space is invariant
            break
        basis = torch.cat([basis, block], dim=1)
    return values, found / values, errors  # an application more makes the vectors better


def _orthonormal(block: Tensor, basis: Tensor | None = None) -> Tensor:
    """Orthonormal columns for the span of a block (N, b), orthogonal to a basis; fewer where it depends on that."""
    size = block.norm(dim=0)
    block = block[:, size > 0] / size[size > 0]
    for _ in range(2):  # twice is enough
        if basis is not None:
            block = block - basis @ (basis.mH @ block)
        left, singular, _ = torch.linalg.svd(block, full_matrices=False)
        block = left[:, singular > 1e-12]
    return block


def _span(vectors: Tensor, like: Tensor) -> Tensor:
    """Orthonormal columns, b at most, for the span of complex vectors; real ones where `like` (N, b) is real."""
    parts = vectors if like.is_complex() else torch.cat([vectors.real, vectors.imag], dim=1)
    left, singular, _ = torch.linalg.svd(parts, full_matrices=False)
    kept = left[:, singular > 1e-10 * singular[0]]
    return kept[:, : like.shape[1]]
