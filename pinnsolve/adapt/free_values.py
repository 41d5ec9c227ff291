"""Values that a problem leaves free, as those of a pressure: on cells they are given with mean zero, at every time."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from pinnsolve.adapt.context import Result
from pinnsolve.bases.legendre import legendre
from pinnsolve.bases.piecewise.basis import PouCells
from pinnsolve.bases.piecewise.cut_quadrature import cut_points
from pinnsolve.bases.piecewise.space import Space
from pinnsolve.compiler.terms import CompiledProblem
from pinnsolve.problem.checks.neumann import free_axes


def with_mean_zero(problem: CompiledProblem, result: Result) -> Result:
    """The result with mean zero of the unknowns that are determined up to a constant, or one at every time.

    A basis without cells, or with some that do not end at the same times, stays as it is.
    """
    basis, state = result.approximation.basis, result.approximation.state
    if not isinstance(basis, PouCells):
        return result
    space, c = basis.space, state.coefficients.reshape(len(problem.unknowns), basis.space.cells.count, -1).clone()
    for name in problem.undetermined_constants:
        axes, number = free_axes(problem.terms, name), problem.unknowns.index(name)
        time = None if problem.time is None else problem.coordinates.index(problem.time)
        if not axes:
            c[number, :, 0] -= space.means(c.transpose(0, 1).contiguous())[number]
        elif axes == (time,):
            c[number] = _at_every_time(space, c[number], time)
    approximation = replace(result.approximation, state=replace(state, coefficients=c.reshape_as(state.coefficients)))
    return replace(result, approximation=approximation)


def _at_every_time(space: Space, c: Tensor, axis: int) -> Tensor:
    """(C, n) -> the same less its mean over the other axes, where cells end at the same times."""
    cells, c = space.cells, c.clone()
    ends = torch.stack([cells.lower[:, axis], cells.upper[:, axis]], dim=1)
    slabs, which = torch.unique(ends, dim=0, return_inverse=True)
    if bool((slabs[1:, 0] < slabs[:-1, 1] - 1e-9 * (slabs[-1, 1] - slabs[0, 0])).any()):
        return c
    k = space.exponents
    others = [a for a in range(k.shape[1]) if a != axis]
    alone = (k[:, others] == 0).all(dim=1).nonzero()[:, 0]  # powers of time
    parts = c[:, alone].clone()
    cut = cells.cut.nonzero()[:, 0]
    if len(cut):
        points, weights = cut_points(space, cut)
        values = torch.einsum("gmn,gn->gm", space.tables(points).table((0,) * k.shape[1]), c[cut])
        powers = legendre(points[..., axis], space.degrees[axis], 0)[0][..., k[alone, axis]]
        parts[cut] = torch.einsum("gm,gm,gmk->gk", weights, values, powers)
    volume = cells.volume[:, None]
    sums = torch.zeros(len(slabs), len(alone), dtype=c.dtype).index_add_(0, which, volume * parts)
    sizes = torch.zeros(len(slabs), 1, dtype=c.dtype).index_add_(0, which, volume)
    c[:, alone] -= (sums / sizes)[which]
    return c
