"""Integrals of residuals over cells: what is missing of the flux through their faces.

Where a solution is right they are small, though its second derivatives may be as wrong as they like in cells at a
singularity. Input: a compiled problem, a solution on cells. Output: numbers per residual of its terms.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator, Mapping
from dataclasses import replace
from functools import partial

import torch
from torch import Tensor

from pinnsolve.assembly.cell_rows import CellTerm
from pinnsolve.assembly.row_source import State
from pinnsolve.assembly.term_rows import table_orders, term_rows
from pinnsolve.bases.piecewise.basis import PouCells
from pinnsolve.bases.piecewise.space import Space
from pinnsolve.compiler.terms import CompiledProblem
from pinnsolve.estimate.defect_correction import Approximation

DIVIDED = 0.2  # of the largest table, at most, is that of cells that are halved
FINER = 3  # degrees beyond those of the solution, whose points are those of the integrals
FEW_CELLS, MOST_NUMBERS = 5, 1e8  # cells per axis at least; of tables of functions at the points, at most


def balances(
    problem: CompiledProblem, solution: Approximation, wanted: Collection[str]
) -> Mapping[tuple[str, int], float]:
    """Of residuals of the terms `wanted`: the mean over the cells of the absolute value of their integrals, by cell.

    Empty where functions do not stand on cells, or on too many. Points are others than those of the solve.
    """
    sums: dict[tuple[str, int], list[float]] = {}
    for rows, number, integrals, whole in _integrals(problem, solution, wanted):
        entry = sums.setdefault((rows.name, number), [0.0, 0.0])
        entry[0] += float(integrals.abs().sum())
        entry[1] += whole
    return {key: total / max(whole, 1e-300) for key, (total, whole) in sums.items()}


def lost_until(problem: CompiledProblem, solution: Approximation, name: str) -> float:
    """Of the first residual of an equation, per volume of space: the largest of the integrals over all that is before a
    time at which cells end. 0 where functions do not stand on cells, or on too many."""
    axis = problem.coordinates.index(problem.time)
    found = [(rows, part) for rows, number, part, _ in _integrals(problem, solution, [name]) if number == 0]
    if not found:
        return 0.0
    ends = torch.cat([rows.space.cells.upper[rows.cells[0], axis] for rows, _ in found])
    parts = torch.cat([part for _, part in found])
    times, which = torch.unique(ends, return_inverse=True)
    until = torch.zeros(len(times), dtype=parts.dtype).index_add_(0, which, parts).cumsum(0)
    low, high = problem.intervals[axis]
    return (high - low) * float(until.abs().max())


def _integrals(
    problem: CompiledProblem, solution: Approximation, wanted: Collection[str]
) -> Iterator[tuple[CellTerm, int, Tensor, float]]:
    """Of residuals of the terms `wanted`: rows, the number of a residual, its integrals (G,) over the cells, each by
    the whole volume, and the share of that which they fill."""
    if not isinstance(solution.basis, PouCells):
        return
    space, c = _divided(solution.basis, solution.state.coefficients)
    extra = tuple(p + FINER for p in space.degrees)
    fine = replace(space, degrees=extra, orders=tuple(table_orders(problem)))
    if _numbers(fine) > MOST_NUMBERS:
        return
    some = tuple(term for term in problem.terms if term.name in wanted)
    state = State(space.widened(c, fine), solution.state.parameters)
    for rows in term_rows(replace(problem, terms=some), fine, {}):
        fills = rows.at.points.normals is None
        share = rows.at.share if fills else rows.at.share ** (1 - 1 / len(extra))  # about the area of a face
        weights = rows.at.quadrature.expand(rows.members, -1)
        if rows.at.keep is not None:
            weights = torch.where(rows.at.keep, weights, 0.0)
        for number, r in enumerate(rows.residuals(state)):
            known = torch.nan_to_num(r, nan=0.0, posinf=0.0, neginf=0.0)
            yield rows, number, (share[:, None] * weights * known).sum(dim=1), float((share[:, None] * weights).sum())


def _numbers(space: Space) -> float:
    """The size of a table of the functions at the points of all cells."""
    points = math.prod(space.points_per_axis(a) for a in range(len(space.degrees)))
    return float(space.cells.count * points * space.functions)


def _divided(basis: PouCells, c: Tensor) -> tuple[Space, Tensor]:
    """A solution (U, W) as (C, U, n) on cells that are halved until there are some along every axis."""
    space = basis.space
    c = c.reshape(len(c), space.cells.count, -1).transpose(0, 1)
    d, zero = len(space.degrees), (0,) * len(space.degrees)
    while space.cells.count < FEW_CELLS**d and space.cells.parts is None and space.apart is None:
        if 2**d * _numbers(space) > DIVIDED * MOST_NUMBERS:
            break
        everywhere = torch.ones(space.cells.count, d, dtype=torch.bool)
        finer = Space(space.cells.split(everywhere[:, 0], everywhere), space.degrees, space.orders)
        c = finer.project(partial(space.values, c, alpha=zero), c.shape[1])
        space = finer
    return space, c
