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

from pinnsolve.adapt.axis_matrices import product
from pinnsolve.adapt.exponential_march import Stated
from pinnsolve.adapt.exponential_pairs import TIMES, ExponentialMarch, Pair, modal
from pinnsolve.assembly.system import units
from pinnsolve.bases.legendre import gauss_rule, legendre
from pinnsolve.bases.wall_functions import FREE, PERIODIC, PLAIN, Walls, plain_values, wall_functions

LEAST_DEGREE = 3
CELL_DEGREE = 150, 150, 150, 60, 30  # by the highest derivative, about that of a cell, if the whole has a higher one
BY_CELLS = 0.01  # of what may be left out: what degrees of cells may; slopes feel them more
AIRY = 10.0  # times the cube root of the wave number of a cell: degrees beyond it, where coefficients are nothing
ROUND = {1: 1.0, 2: 1.0, 3: 1.35}  # times the degrees, by axes: of a ball that holds what counts of a box


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


def pairs_in_cells(
    march: ExponentialMarch, stated: Stated, most: Tensor, complete: bool, orders: Sequence[int]
) -> PairsInCells:
    """Of a march of some pairs; `most`: (U,) relative, what may be left out; `orders`: per axis of space, the highest
    derivative that is looked at."""
    size = torch.sqrt(sum(pair.dt * pair.size**2 for pair in march.steps))
    unit = units(size, size)
    share = most * unit / math.sqrt(march.steps[0].values.dim() - 1)  # of every axis and of time
    squares = _squares(march)
    counts = [_count(own, share, least) for own, least in zip(squares, _least(squares), strict=True)]
    lost = sum(own[:, count:].sum(dim=1) for own, count in zip(squares, counts, strict=True))
    lost = lost + (len(counts) - 1) * (BY_CELLS * share) ** 2
    axes = [
        _Axis.of(stated, axis, (own[:, :count] / share[:, None] ** 2).amax(dim=0), ROUND[len(counts) - 1], orders[axis])
        for axis, (own, count) in enumerate(zip(squares[1:], counts[1:], strict=True))
    ]
    cells, degrees = tuple(one.cells for one in axes), tuple(one.degree for one in axes)
    whole = math.prod(cells)
    shape = (len(unit), counts[0], *(p + 1 for p in degrees))
    c = unit.new_empty((len(march.steps) + (not complete)) * whole, *shape)
    for number, pair in enumerate(march.steps):
        kept, left_out = _kept(pair, counts[0], stated, axes)
        c[number * whole : (number + 1) * whole] = kept
        lost = lost + left_out
    if not complete:
        norms = torch.sqrt(2.0 * torch.arange(counts[0]).to(unit) + 1.0)  # of Legendre polynomials at their ends
        c[-whole:] = 0.0
        c[-whole:, :, 0] = torch.tensordot(norms, c[-2 * whole : -whole].movedim(2, 0), 1)
    return PairsInCells(c, cells, (counts[0] - 1, *degrees), torch.sqrt(lost) / unit, unit)


def _kept(pair: Pair, count: int, stated: Stated, axes: Sequence[_Axis]) -> tuple[Tensor, Tensor]:
    """(C, U, k + 1, p_1 + 1, ...) a pair in its cells, and (U,) the squares of what walls take away, times its time."""
    whole = _first(pair.values, count, axes)
    lost = torch.zeros(len(whole), dtype=whole.dtype)
    meeting = []
    for u, (own, kinds) in enumerate(zip(whole, stated.walls, strict=True)):
        nearest = [axis.nearest.get(kind) for axis, kind in zip(axes, kinds, strict=True)]
        met = _changed(own, nearest)
        if met is not own:
            lost[u] = pair.dt * (own - met).square().sum()
        meeting.append(met)
    total = torch.stack(meeting)
    if pair.lifted is not None:
        total = total + _first(pair.lifted, count, axes)
    total = _changed(total, [axis.in_cells for axis in axes])  # (U, k + 1, C_1 (p_1 + 1), ...)
    d = len(axes)
    split = total.reshape(*total.shape[:2], *(n for axis in axes for n in (axis.cells, axis.degree + 1)))
    order = [*range(2, 2 + 2 * d, 2), 0, 1, *range(3, 3 + 2 * d, 2)]
    return split.permute(order).flatten(0, d - 1), lost


def _first(values: Tensor, count: int, axes: Sequence[_Axis]) -> Tensor:
    """(U, count, q_1, ...): the values of a pair in the first functions of time and of every axis of space."""
    own = torch.tensordot(modal()[:count], values, 1).transpose(0, 1)
    if own.shape[2:] == tuple(axis.count for axis in axes):
        return own
    found = own.new_zeros(*own.shape[:2], *(axis.count for axis in axes))
    common = (..., *(slice(0, min(axis.count, n)) for axis, n in zip(axes, own.shape[2:], strict=True)))
    found[common] = own[common]
    return found


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
    """`in_cells`: (cells (degree + 1), count), what makes Legendre polynomials of the first `count` plain functions; by
    walls, where there are any, what makes the `nearest` functions of those that meet them, (count, count)."""

    cells: int
    degree: int
    count: int
    in_cells: Tensor
    nearest: dict[Walls, Tensor]

    @classmethod
    def of(cls, stated: Stated, axis: int, squares: Tensor, stretch: float, order: int) -> _Axis:
        """Of the first functions, of which there are `squares` (q,), in the unit of what may be left out."""
        kind, count = stated.plain[axis], len(squares)
        matrix, cells = _in_cells(count, kind, CELL_DEGREE[min(order, len(CELL_DEGREE) - 1)])
        if cells > 1 or kind in PLAIN:
            degrees = torch.arange(matrix.shape[1]).to(matrix)
            felt = (degrees**2 / degrees[-1]).clamp_min(1.0) ** max(order - 1, 0)  # more in derivatives, at ends
            tail = (matrix * felt[:, None]).square().flip(1).cumsum(dim=1).flip(1).mean(dim=0) @ squares
            matrix = matrix[:, : max(int((tail > BY_CELLS**2).sum()), LEAST_DEGREE + 1)]
        degree = math.ceil(stretch * (matrix.shape[1] - 1))
        padded = matrix.new_zeros(cells, degree + 1, count)
        padded[:, : matrix.shape[1]] = matrix
        nearest = {}
        for walls in {of_unknown[axis] for of_unknown in stated.walls if of_unknown[axis][0] not in (FREE, *PLAIN)}:
            functions = wall_functions(count - 1, walls).plain
            nearest[walls] = functions.mT @ functions
        return cls(cells, degree, count, padded.flatten(0, 1), nearest)


def _in_cells(count: int, kind: str, about: int) -> tuple[Tensor, int]:
    """(cells, p + 1, q): plain functions in polynomials of all degrees that count, `about` so many, of every cell."""
    # what a polynomial for all cells has about
    highest = {PERIODIC: math.pi * (count // 2), FREE: count - 1}.get(kind, 0.5 * math.pi * count)
    cells = max(1, round(highest / about))
    if cells == 1 and kind == FREE:
        return torch.eye(count, dtype=torch.float64)[None], 1
    least = highest / cells
    degree = math.ceil(least * (0.5 * math.pi if kind == FREE else 1.0) + AIRY * max(least, 1.0) ** (1.0 / 3.0))
    points, weights = gauss_rule(degree + math.ceil(least) + 8)
    tests = weights[:, None] * legendre(2.0 * points - 1.0, degree, 0)[0]
    starts = torch.arange(cells, dtype=torch.float64)
    places = 2.0 * (starts[:, None] + points) / cells - 1.0
    # one more than there is, since waves come in pairs
    values = plain_values(count, kind, places.flatten())[0].reshape(cells, len(points), -1)[..., :count]
    return tests.mT @ values, cells


def _changed(c: Tensor, matrices: Sequence[Tensor | None]) -> Tensor:
    """Coefficients (..., q_1, ..., q_d) by the matrix of every axis that has one."""
    for axis, matrix in enumerate(matrices, start=c.dim() - len(matrices)):
        if matrix is not None:
            c = product(matrix, c, axis)
    return c
