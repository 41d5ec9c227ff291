"""Integrals of products of functions on parts of cells, for functions that are orthonormal on cut cells.

A product of two Legendre polynomials, or of their derivatives, is a sum of Legendre polynomials of twice the degree. So
all integrals of products with one weight come from the moments of that weight: a cell's points are gone through once,
and not once for every pair of functions. Where the functions that are orthonormal on a cell are far from Legendre
polynomials, that loses twice as many digits as these have in common, and products are summed point by point.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial

import torch
from torch import Tensor

from pinnsolve.assembly.cut_pieces import OnCells
from pinnsolve.bases.legendre import gauss_rule, legendre, legendre_rows
from pinnsolve.bases.piecewise.space import Space, chain_factors
from pinnsolve.language.symbols import MultiIndex
from pinnsolve.runtime import cached_by_device
from pinnsolve.threads import FAST, in_parts, side_by_side

FAR = 5e5  # coefficients of orthonormal functions, from which on products are summed point by point
POINTS_AT_ONCE = 2048
AT_ONCE = 4096  # lines of points whose products are made together


@dataclass(frozen=True)
class Product:
    """A derivative `left` of functions of unknown number `a`, times a derivative `right` of those of unknown number
    `b`, times a `factor` (N,) at points, or one for all."""

    a: int
    left: MultiIndex
    b: int
    right: MultiIndex
    factor: Tensor | float

    def at(self, index: Tensor | slice) -> Product:
        """The same at some of the points."""
        return replace(self, factor=self.factor[index]) if isinstance(self.factor, Tensor) else self


def products(space: Space, on: OnCells, weights: Tensor, wanted: Sequence[Product], unknowns: int) -> Tensor:
    """(G, U, n, U, n): the sums of products with weights (N,) at points of cells (G,)."""
    n = space.functions
    K = weights.new_zeros(len(on.cells), unknowns, n, unknowns, n)
    far = _far(space, on.cells)
    near = (~far).nonzero()[:, 0]

    def by_moments(part: slice) -> None:
        some, index = on.chosen(near[part].tolist())
        here = [one.at(index) for one in wanted]
        K[near[part]] = _by_moments(space, some, weights[index], here, unknowns)

    def by_points(g: int) -> None:
        part = slice(on.starts[g], on.starts[g + 1])
        here = [one.at(part) for one in wanted]
        K[g] = _by_points(space, on.cells[g : g + 1], on.x[part], weights[part], here, unknowns)

    if len(near):
        in_parts(by_moments, len(near), len(near) * (unknowns * n) ** 2 * n / FAST)
    side_by_side([partial(by_points, g) for g in far.nonzero()[:, 0].tolist()], len(weights) * n * n / FAST)
    return K


def sums(space: Space, on: OnCells, weights: Tensor, alpha: MultiIndex) -> Tensor:
    """(G, n): the integrals of a derivative of functions, with weights (N,)."""
    found = _integrals(space, on.cells, moments(space, on, weights, space.degrees), alpha)
    return found if space.metric is None else space.metric.matrix(on.cells, found[:, None], 1)[:, 0]


def _far(space: Space, cells: Tensor) -> Tensor:
    """(G,): cells whose orthonormal functions are large multiples of Legendre polynomials that cancel each other."""
    metric = space.metric
    far = torch.zeros(len(cells), dtype=torch.bool)
    if metric is not None:
        place = metric.place[cells]
        cut = place >= 0
        far[cut] = metric.stretch[place[cut]] > FAR
    return far


def _by_moments(space: Space, on: OnCells, weights: Tensor, wanted: Sequence[Product], unknowns: int) -> Tensor:
    twice = [2 * p for p in space.degrees]
    n, metric, whole = space.functions, space.metric, None
    K = weights.new_zeros(len(on.cells), unknowns, n, unknowns, n)
    for one in wanted:
        if isinstance(one.factor, Tensor):
            found = moments(space, on, weights * one.factor, twice)
        else:
            whole = moments(space, on, weights, twice) if whole is None else whole
            found = one.factor * whole
        K[:, one.a, :, one.b] += _paired(space, on.cells, found, one.left, one.right)
    if metric is None:
        return K
    for a, b in itertools.product(range(unknowns), repeat=2):
        half = metric.matrix(on.cells, K[:, a, :, b], 1)
        K[:, a, :, b] = metric.matrix(on.cells, half.mT, 1).mT
    return K


def _by_points(
    space: Space, cell: Tensor, x: Tensor, weights: Tensor, wanted: Sequence[Product], unknowns: int
) -> Tensor:
    """(U, n, U, n) of one cell."""
    n = space.functions
    K, change = weights.new_zeros(unknowns, n, unknowns, n), space.metric.change(cell)[0]
    for here in torch.arange(len(x)).split(POINTS_AT_ONCE):
        reference = space.cells.reference(x[here][None], cell)
        known: dict[MultiIndex, Tensor] = {}
        for alpha in {alpha for one in wanted for alpha in (one.left, one.right)}:
            table = scattered_table(space, reference, alpha)[0] * chain_factors(space.cells, cell, alpha)
            known[alpha] = table @ change
        for one in wanted:
            w = weights[here] * one.at(here).factor
            K[one.a, :, one.b] += known[one.left].T @ (w[:, None] * known[one.right])
    return K


def scattered_table(space: Space, reference: Tensor, alpha: MultiIndex) -> Tensor:
    """(G, m, n): a derivative of the functions at reference points (G, m, d), one function after another in memory."""
    e, result = space.exponents, None
    for axis, k in enumerate(alpha):
        of_axis = legendre_rows(reference[..., axis].flatten(), space.degrees[axis], k)[e[:, axis]]  # (n, G m)
        result = of_axis if result is None else result.mul_(of_axis)
    return result.reshape(-1, *reference.shape[:2]).permute(1, 2, 0)


def moments(space: Space, on: OnCells, weights: Tensor, degrees: Sequence[int]) -> Tensor:
    """(G, k_1 + 1, ..., k_d + 1): the integrals of products of Legendre polynomials of the reference coordinates of
    cells, with weights (N,) at their points."""
    lower, upper = (corner[on.owner] for corner in space.cells.frame)
    reference = (2 * on.x - lower - upper) / (upper - lower)
    lines = reference[:: on.line, :-1]
    along = legendre(reference[:, -1].contiguous(), degrees[-1], 0)[0] * weights[:, None]
    along = along.reshape(-1, on.line, along.shape[1]).sum(dim=1)  # (L, k_d + 1)
    across = [legendre(lines[:, a].contiguous(), k, 0)[0] for a, k in enumerate(degrees[:-1])]
    starts = [start // on.line for start in on.starts]
    found = along.new_zeros(len(on.cells), *(k + 1 for k in degrees))
    for g, (first, last) in enumerate(itertools.pairwise(starts)):
        for here in range(first, last, AT_ONCE):
            part = slice(here, min(here + AT_ONCE, last))
            products = along.new_ones(part.stop - part.start, 1)
            for axis in across:
                products = (products[:, :, None] * axis[part, None, :]).flatten(1)
            found[g] += (products.T @ along[part]).reshape(found.shape[1:])
    return found


def _integrals(space: Space, cells: Tensor, found: Tensor, alpha: MultiIndex) -> Tensor:
    """(G, n): integrals of derivatives of the functions of cells (G,), of moments."""
    for axis, k in enumerate(alpha):
        p = space.degrees[axis]
        found = _along(found, axis, _linear(p, k, found.shape[axis + 1] - 1))
    e = space.exponents
    return found[(slice(None), *e.unbind(dim=1))] * chain_factors(space.cells, cells, alpha)[:, None]


def _paired(space: Space, cells: Tensor, found: Tensor, left: MultiIndex, right: MultiIndex) -> Tensor:
    """(G, n, n): integrals of products of derivatives of the functions of cells (G,), of moments to twice the
    degrees."""
    e = space.exponents
    for axis, (a, b) in enumerate(zip(left, right, strict=True)):
        found = _along(found, axis, _products(space.degrees[axis], a, b))
    index = [k[:, None] * (p + 1) + k[None] for k, p in zip(e.unbind(dim=1), space.degrees, strict=True)]
    factor = chain_factors(space.cells, cells, left) * chain_factors(space.cells, cells, right)
    return found[(slice(None), *index)] * factor[:, None, None]


def _along(found: Tensor, axis: int, factors: Tensor) -> Tensor:
    """Factors (q, k + 1) applied along one axis of (G, ..., k + 1, ...)."""
    return (found.movedim(axis + 1, -1) @ factors.T).movedim(-1, axis + 1)


@cached_by_device(64)
def _products(p: int, a: int, b: int) -> Tensor:
    """((p + 1)^2, 2 p + 1): the coefficients of products of derivatives a and b of Legendre polynomials."""
    points, weights = gauss_rule(2 * p + 1)
    values = legendre(2.0 * points - 1.0, 2 * p, max(a, b))
    pairs = values[a][:, : p + 1, None] * values[b][:, None, : p + 1]
    return (pairs.flatten(1) * weights[:, None]).T @ values[0]


@cached_by_device(64)
def _linear(p: int, a: int, most: int) -> Tensor:
    """(p + 1, most + 1): the coefficients of derivatives of Legendre polynomials."""
    points, weights = gauss_rule(max(p, most) + 1)
    values = legendre(2.0 * points - 1.0, max(p, most), a)
    return (values[a][:, : p + 1] * weights[:, None]).T @ values[0][:, : most + 1]
