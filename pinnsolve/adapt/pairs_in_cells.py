"""The pairs of a march by exponentials as polynomials on equal cells, of degrees that their error is worth.

Of every axis the highest plain functions are left out as far as they are small beside the error. What then no longer
meets the walls is replaced by the nearest polynomial of the degree that does. Where that is very high, it is cut into
cells, almost exactly: one cell holds the same in less, but at a point all its functions count.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from pinnsolve.adapt.axis_matrices import applied
from pinnsolve.adapt.exponential_pairs import TIMES, ExponentialMarch, Pair, modal
from pinnsolve.adapt.semilinear import Semilinear
from pinnsolve.assembly.system import units
from pinnsolve.bases.legendre import gauss_rule, legendre
from pinnsolve.bases.wall_functions import FREE, PERIODIC, Walls, plain_values, wall_functions

LEAST_DEGREE = 3
CELL_DEGREE = 150  # about that of a cell, if the whole has a much higher one
BY_CELLS = 0.01  # of what may be left out: what degrees of cells may; slopes feel them more
AIRY = 10.0  # times the cube root of the wave number of a cell: degrees beyond it, where coefficients are nothing
ROUND = {2: 1.0, 3: 1.35}  # times the degrees, by axes: of a ball that holds what counts of a box


@dataclass(frozen=True)
class PairsInCells:
    """`c`: (C, U, k + 1, p_1 + 1, ..., p_d + 1), of the `degrees` k, p_1, ..., p_d, of the cells of one pair after
    another, `cells` along every axis of space, the last fastest. One pair more, the last values again, where the march
    did not reach the end. `lost`: (U,) what was left out, relative to the rms of the solution; `unit`: (U,) that, times
    the root of the time."""

    c: Tensor
    cells: tuple[int, ...]
    degrees: tuple[int, ...]
    lost: Tensor
    unit: Tensor


def pairs_in_cells(march: ExponentialMarch, stated: Semilinear, most: Tensor, complete: bool) -> PairsInCells:
    """Of a march of some pairs; `most`: (U,) relative, what may be left out."""
    size = torch.sqrt(sum(pair.dt * pair.size**2 for pair in march.steps))
    unit = units(size, size)
    share = most * unit / math.sqrt(march.steps[0].values.dim() - 1)  # of every axis and of time
    squares = _squares(march)
    counts = [_count(own, share, least) for own, least in zip(squares, _least(squares), strict=True)]
    axes = [
        _Axis.of(stated, axis, (own[:, :count] / share[:, None] ** 2).amax(dim=0), ROUND[len(counts) - 1])
        for axis, (own, count) in enumerate(zip(squares[1:], counts[1:], strict=True))
    ]
    cells, degrees = tuple(one.cells for one in axes), tuple(one.degree for one in axes)
    whole = math.prod(cells)
    shape = (len(unit), counts[0], *(p + 1 for p in degrees))
    c = unit.new_empty((len(march.steps) + (not complete)) * whole, *shape)
    lost = torch.zeros_like(unit)
    for number, pair in enumerate(march.steps):
        kept, left_out = _kept(pair, counts[0], stated, axes)
        c[number * whole : (number + 1) * whole] = kept
        lost += left_out
    if not complete:
        norms = torch.sqrt(2.0 * torch.arange(counts[0]).to(unit) + 1.0)  # of Legendre polynomials at their ends
        c[-whole:] = 0.0
        c[-whole:, :, 0] = torch.tensordot(norms, c[-2 * whole : -whole].movedim(2, 0), 1)
    return PairsInCells(c, cells, (counts[0] - 1, *degrees), torch.sqrt(lost) / unit, unit)


def _kept(pair: Pair, count: int, stated: Semilinear, axes: Sequence[_Axis]) -> tuple[Tensor, Tensor]:
    """(C, U, k + 1, p_1 + 1, ...) a pair in its cells, and (U,) the squares of what is left out, times its time."""
    beside = [tuple(one.beside for one in axes)] * len(stated.walls)
    parts = [(pair.values, stated.walls)] + ([] if pair.lifted is None else [(pair.lifted, beside)])
    total, lost = 0.0, 0.0
    for values, walls in parts:
        whole = torch.tensordot(modal(), values, 1).transpose(0, 1)  # (U, 6, q_1, ...)
        found = [
            _changed(own, [axis.matrices[kind] for axis, kind in zip(axes, kinds, strict=True)])
            for own, kinds in zip(whole[:, :count], walls, strict=True)
        ]
        kept = torch.stack(found)  # (U, k + 1, C_1 (p_1 + 1), ...)
        before, after = (one.square().flatten(1).sum(dim=1) for one in (whole, kept))
        lost = lost + pair.dt * (before - after / math.prod(axis.cells for axis in axes)).clamp_min(0.0)
        total = total + kept
    d = len(axes)
    split = total.reshape(*total.shape[:2], *(n for axis in axes for n in (axis.cells, axis.degree + 1)))
    order = [*range(2, 2 + 2 * d, 2), 0, 1, *range(3, 3 + 2 * d, 2)]
    return split.permute(order).flatten(0, d - 1), lost


def _squares(march: ExponentialMarch) -> list[Tensor]:
    """Per axis, of time and of space, (U, q): squares over all others, times the time."""
    sizes = [2 * len(TIMES), *(max(own) for own in zip(*(p.values.shape[2:] for p in march.steps), strict=True))]
    found = [torch.zeros(march.steps[0].values.shape[1], size, dtype=torch.float64) for size in sizes]
    for pair in march.steps:
        values = pair.values if pair.lifted is None else pair.values + pair.lifted
        squares = pair.dt * torch.tensordot(modal(), values, 1).transpose(0, 1) ** 2
        for axis, one in enumerate(found):
            one[:, : squares.shape[axis + 1]] += squares.movedim(axis + 1, 1).flatten(2).sum(dim=2)
    return found


def _least(squares: Sequence[Tensor]) -> list[int]:
    return [2, *(min(LEAST_DEGREE + 1, own.shape[1]) for own in squares[1:])]


def _count(squares: Tensor, share: Tensor, least: int) -> int:
    """How many functions are kept, so that no more than a share (U,) is left out."""
    from_here = squares.flip(1).cumsum(dim=1).flip(1)
    return max(int((from_here > share[:, None] ** 2).any(dim=0).sum()), least)


@dataclass(frozen=True)
class _Axis:
    """By walls, what makes Legendre polynomials (cells (degree + 1), q) of plain functions; `beside`: the walls of what
    is lifted, which holds without them."""

    cells: int
    degree: int
    matrices: dict[Walls, Tensor]
    beside: Walls

    @classmethod
    def of(cls, stated: Semilinear, axis: int, squares: Tensor, stretch: float) -> _Axis:
        """Of the first functions, of which there are `squares` (q,), in the unit of what may be left out."""
        periodic, count = stated.periodic[axis], len(squares)
        beside = (PERIODIC, PERIODIC) if periodic else (FREE, FREE)
        matrix, cells = _in_cells(count, periodic)
        if cells > 1 or periodic:
            tail = matrix.square().flip(1).cumsum(dim=1).flip(1).mean(dim=0) @ squares  # of this degree and more
            matrix = matrix[:, : max(int((tail > BY_CELLS**2).sum()), LEAST_DEGREE + 1)]
        degree = math.ceil(stretch * (matrix.shape[1] - 1))
        padded = matrix.new_zeros(cells, degree + 1, count)
        padded[:, : matrix.shape[1]] = matrix
        flat = padded.flatten(0, 1)
        matrices = {beside: flat}
        for walls in {of_unknown[axis] for of_unknown in stated.walls} - {beside}:
            functions = wall_functions(count - 1, walls).plain
            matrices[walls] = flat @ (functions.mT @ functions)  # the nearest one that meets the walls
        return cls(cells, degree, matrices, beside)


def _in_cells(count: int, periodic: bool) -> tuple[Tensor, int]:
    """(cells, p + 1, q): plain functions in Legendre polynomials of so many cells, of all degrees that count."""
    highest = math.pi * (count // 2) if periodic else count - 1  # what a polynomial for all cells has about
    cells = max(1, round(highest / CELL_DEGREE))
    if cells == 1 and not periodic:
        return torch.eye(count, dtype=torch.float64)[None], 1
    least = highest / cells
    degree = math.ceil(least * (1.0 if periodic else 0.5 * math.pi) + AIRY * max(least, 1.0) ** (1.0 / 3.0))
    points, weights = gauss_rule(degree + math.ceil(least) + 8)
    tests = weights[:, None] * legendre(2.0 * points - 1.0, degree, 0)[0]
    starts = torch.arange(cells, dtype=torch.float64)
    places = 2.0 * (starts[:, None] + points) / cells - 1.0
    # one more than there is, since waves come in pairs
    values = plain_values(count, periodic, places.flatten())[0].reshape(cells, len(points), -1)[..., :count]
    return tests.mT @ values, cells


def _changed(c: Tensor, matrices: Sequence[Tensor]) -> Tensor:
    """Coefficients (k + 1, q_1, ..., q_d) by a matrix of every axis, as far as there are both."""
    common = [min(n, matrix.shape[1]) for n, matrix in zip(c.shape[1:], matrices, strict=True)]
    cut = [matrix[:, :n] for n, matrix in zip(common, matrices, strict=True)]
    return applied(cut, c[(slice(None), *(slice(0, n) for n in common))])
