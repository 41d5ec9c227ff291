"""Polynomials on cells that the boundary of a shape cuts: points inside, and coordinates in which they are orthonormal.

On a part of its frame Legendre polynomials are badly conditioned. The QR factorization of their values at quadrature
points of the part gives functions that are orthonormal there, and the triangular factor carries coefficients over
(Vandermonde with Arnoldi has the same aim: Brubeck, Nakatsukasa & Trefethen, SIAM Review 63 (2021) 405-415).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from pinnsolve.bases.legendre import chebyshev_points, chebyshev_weights, tensor_points
from pinnsolve.least_squares.products import solved_triangular, times
from pinnsolve.threads import PARTS, in_parts

if TYPE_CHECKING:
    from pinnsolve.bases.piecewise.space import Space

DENSER = {1: 1.0, 2: 1.15, 3: 1.0}  # points per axis of a cut cell, times those of a whole one
DENSEST = 3.0
UNSEEN = 1e-9  # how large a function must be on the part, against its coefficients, to count
CACHED_NUMBERS = 2e5  # of rows that are carried over at a time: what lies between stays in the cache
BATCH_NUMBERS = 2e7  # of tables made at a time
STRETCHED_AT_ONCE = 16  # cells


def cut_points(space: Space, chosen: Tensor, fixed: Mapping[int, float] | None = None) -> tuple[Tensor, Tensor]:
    """Reference points (G, m, d) inside the cut cells chosen, and quadrature weights (G, m), one in all of a cell.

    Where a cell has fewer points, others stand with weight zero. `fixed`: coordinates that are held at a value.
    """
    fixed = fixed or {}
    cells, d = space.cells, space.cells.dimension
    axes = [a for a in cells.parts.within.axes if a not in fixed]
    lower, upper = cells.frame
    ratio = ((cells.upper - cells.lower) / (upper - lower))[chosen].prod(dim=1)
    filled = (cells.parts.share[chosen] * ratio).clamp(0.05, 1.0)
    factor = (DENSER[max(len(axes), 1)] * filled ** (-1.0 / max(len(axes), 1))).clamp(max=DENSEST)
    steps = torch.ceil(4 * factor).long()  # quarters, so that there are few different grids
    groups = []
    for step in torch.unique(steps).tolist():
        members = (steps == step).nonzero()[:, 0]
        for part in members.split(max(1, int(BATCH_NUMBERS / (100 * step**2 * space.functions)))):
            groups.append((part, *_inside_points(space, chosen[part], axes, 0.25 * step, fixed)))
    most = max(points.shape[1] for _, points, _ in groups)
    points = torch.zeros(len(chosen), most, d, dtype=torch.float64)
    weights = torch.zeros(len(chosen), most, dtype=torch.float64)
    for part, some, w in groups:
        count = some.shape[1]
        points[part, :count], weights[part, :count] = some, w
        points[part, count:] = some[:, :1]
    return points, weights


def _inside_points(space: Space, chosen: Tensor, axes, factor: float, fixed) -> tuple[Tensor, Tensor]:
    cells = space.cells
    counts = {a: math.ceil(factor * space.points_per_axis(a)) for a in axes}
    counts |= {a: space.points_per_axis(a) for a in range(cells.dimension) if a not in axes and a not in fixed}
    grid = [chebyshev_points(counts[a]) if a in counts else torch.zeros(1).double() for a in range(cells.dimension)]
    weight = [chebyshev_weights(counts[a]) if a in counts else torch.ones(1).double() for a in range(cells.dimension)]
    points = tensor_points(grid)[None].repeat(len(chosen), 1, 1)
    for axis, value in fixed.items():
        lower, upper = (corner[chosen, axis] for corner in cells.frame)
        points[:, :, axis] = ((2 * value - lower - upper) / (upper - lower))[:, None]
    weights = tensor_points(weight).prod(dim=1)
    x = cells.physical(points, chosen)
    inside = cells.parts.within.inside(x, cells.material[chosen]) & _own(x, cells, chosen)
    if fixed:  # a plane need not meet the part at all
        inside[~inside.any(dim=1)] = False
    order = torch.argsort((~inside).to(torch.int8), dim=1, stable=True)[:, : max(int(inside.sum(dim=1).max()), 1)]
    points = points.gather(1, order[..., None].expand(*order.shape, cells.dimension))
    weights = weights.expand(inside.shape).gather(1, order) * inside.gather(1, order)
    return points, weights / weights.sum(dim=1, keepdim=True).clamp_min(1e-300)


def _own(x: Tensor, cells, chosen: Tensor) -> Tensor:
    """(G, m): whether points of the frames belong to the cell, not to one that its frame reaches into."""
    box = (x >= cells.lower[chosen][:, None]) & (x <= cells.upper[chosen][:, None])
    own = box.all(dim=2)
    if not bool(own.all()):
        g, m = (~own).nonzero(as_tuple=True)
        own[g, m] = cells.locate(x[g, m]) == chosen[g]
    return own


@dataclass(frozen=True, eq=False)
class Metric:
    """Coefficients of cut cells in functions orthonormal on their parts: z = R c in `order` of the functions.

    `cut`: (K,) cells; `place`: (C,) their position or -1; `R`: (K, n, n) upper triangular; `order`: (n,) of growing
    degree, so that a function holds none of those after it.
    """

    cut: Tensor
    place: Tensor
    R: Tensor
    order: Tensor

    @cached_property
    def stretch(self) -> Tensor:
        """(K,): how large the coefficients of orthonormal functions are."""
        return torch.cat([self.change(some).norm(dim=(1, 2)) for some in self.cut.split(STRETCHED_AT_ONCE)])

    def change(self, cells: Tensor) -> Tensor:
        """(G, n, n): what tables of functions of the cells (G,) are multiplied by for orthonormal ones."""
        n, place = len(self.order), self.place[cells]
        found = torch.eye(n, dtype=self.R.dtype).repeat(len(cells), 1, 1)
        here = (place >= 0).nonzero()[:, 0]
        inverse = solved_triangular(self.R[place[here]], found[here], upper=True)
        back = torch.argsort(self.order)
        found[here] = inverse[:, back][:, :, back]
        return found

    def orthonormal(self, c: Tensor) -> Tensor:
        """(C, U, n) -> the same in orthonormal functions; whole cells stay as they are."""
        z = c.clone()
        part = times(self.R, c[self.cut][..., self.order].mT).mT
        z[self.cut.unsqueeze(1).unsqueeze(2), torch.arange(c.shape[1])[None, :, None], self.order] = part
        return z

    def back(self, z: Tensor) -> Tensor:
        """The inverse of `orthonormal`."""
        c = z.clone()
        part = torch.linalg.solve_triangular(self.R, z[self.cut][..., self.order].mT, upper=True).mT
        c[self.cut.unsqueeze(1).unsqueeze(2), torch.arange(z.shape[1])[None, :, None], self.order] = part
        return c

    def matrix(self, cells: Tensor, A: Tensor, unknowns: int) -> Tensor:
        """Rows A (G or 1, M, U n) of the cells (G,) for orthonormal functions."""
        place = self.place[cells]
        here = (place >= 0).nonzero()[:, 0]
        if not len(here):
            return A
        A = A.expand(len(cells), *A.shape[1:])
        result = A.clone() if len(here) < len(A) else torch.empty_like(A)
        n, back = len(self.order), torch.argsort(self.order)
        for some in here.split(max(1, int(CACHED_NUMBERS // (A.shape[1] * A.shape[2])))):
            part = A[some].reshape(len(some), -1, n).index_select(2, self.order)  # (K, M U, n)
            part = solved_triangular(self.R[place[some]], part, upper=True, left=False)
            result[some] = part.index_select(2, back).reshape(len(some), A.shape[1], unknowns * n)
        return result


def metric_of(space: Space) -> Metric | None:
    """None where no cell is cut."""
    cut = space.cells.cut.nonzero()[:, 0]
    if not len(cut):
        return None
    k = space.exponents
    degrees = torch.tensor([max(p, 1) for p in space.degrees])
    order = torch.argsort((k / degrees).amax(dim=1) + 1e-3 * (k / degrees).sum(dim=1), stable=True)
    points, weights = cut_points(space, cut)
    n, zero = space.functions, (0,) * len(space.degrees)

    def factors(some: slice) -> list[Tensor]:
        found = []
        at_once = max(1, int(BATCH_NUMBERS // (PARTS * points.shape[1] * n)))
        for x, w in zip(points[some].split(at_once), weights[some].split(at_once), strict=True):
            V = torch.sqrt(w)[..., None] * space.tables(x).table(zero)[..., order]
            floor = (UNSEEN * torch.eye(n, dtype=V.dtype)).expand(len(V), n, n)
            R = torch.linalg.qr(torch.cat([V, floor], dim=1), mode="r").R
            found.append(R * torch.sign(torch.diagonal(R, dim1=1, dim2=2))[..., None])
        return found

    place = torch.full((space.cells.count,), -1)
    place[cut] = torch.arange(len(cut))
    found = in_parts(factors, len(cut), weights.numel() * n)
    return Metric(cut, place, torch.cat([R for some in found for R in some]), order)
