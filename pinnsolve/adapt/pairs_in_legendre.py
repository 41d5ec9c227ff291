"""The pairs of a march by exponentials as polynomials of one degree per axis, no more than their error is worth.

Of every axis the highest plain functions are left out as far as they are small beside the error. What then no longer
meets the walls is replaced by the nearest polynomial of the degree that does.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from pinnsolve.adapt.exponential_march import TIMES, ExponentialMarch, modal
from pinnsolve.adapt.modal_space import applied
from pinnsolve.adapt.semilinear import Semilinear
from pinnsolve.assembly.system import units
from pinnsolve.bases.wall_functions import FREE, PERIODIC, Walls, wall_functions, waves_in_legendre

LEAST_DEGREE = 3
ROUND = {2: 1.0, 3: 1.35}  # times the degrees, by axes: of a ball that holds what counts of a box


@dataclass(frozen=True)
class PairsInLegendre:
    """`c`: (C, U, k + 1, p_1 + 1, ..., p_d + 1), of the `degrees` k, p_1, ..., p_d; one more than there are pairs, the
    last values again, where the march did not reach the end. `lost`: (U,) what was left out, relative to the rms of the
    solution; `unit`: (U,) that, times the root of the time."""

    c: Tensor
    degrees: tuple[int, ...]
    lost: Tensor
    unit: Tensor


def pairs_in_legendre(march: ExponentialMarch, stated: Semilinear, most: Tensor, complete: bool) -> PairsInLegendre:
    """Of a march of some pairs; `most`: (U,) relative, what may be left out."""
    size = sum(pair.dt * pair.size**2 for pair in march.steps)
    unit = units(torch.sqrt(size), torch.sqrt(size))
    counts = _counts(march, most * unit)
    out = _Out(stated, counts[1:])
    c = torch.zeros(len(march.steps) + (not complete), len(unit), counts[0], *(p + 1 for p in out.degrees))
    c, lost = c.to(unit), torch.zeros_like(unit)
    for number, pair in enumerate(march.steps):
        parts = [(pair.values, out.within)] + ([] if pair.lifted is None else [(pair.lifted, out.beside)])
        for values, matrices in parts:
            whole = torch.tensordot(modal(), values, 1).transpose(0, 1)  # (U, 6, q_1, ...)
            kept = torch.stack([_changed(own, matrices[u]) for u, own in enumerate(whole[:, : counts[0]])])
            c[number] += kept
            lost += pair.dt * (whole.square().flatten(1).sum(dim=1) - kept.square().flatten(1).sum(dim=1)).clamp_min(
                0.0
            )
    if not complete:
        norms = torch.sqrt(2.0 * torch.arange(counts[0]).to(unit) + 1.0)  # of Legendre polynomials at their ends
        c[-1, :, 0] = torch.tensordot(norms, c[-2].movedim(1, 0), 1)
    return PairsInLegendre(c, (counts[0] - 1, *out.degrees), torch.sqrt(lost) / unit, unit)


def _counts(march: ExponentialMarch, most: Tensor) -> tuple[int, ...]:
    """How many functions of time and of every axis of space are kept, so that no more than `most` (U,) is left out."""
    whole = [max(sizes) for sizes in zip(*(pair.values.shape[2:] for pair in march.steps), strict=True)]
    squares = torch.zeros(len(most), 2 * len(TIMES), *whole).to(most)
    for pair in march.steps:
        values = pair.values if pair.lifted is None else pair.values + pair.lifted
        c = torch.tensordot(modal(), values, 1).transpose(0, 1)
        squares[(..., *(slice(0, n) for n in c.shape[2:]))] += pair.dt * c**2
    counts = []
    for axis, least in enumerate([1, *(LEAST_DEGREE for _ in whole)]):
        along = squares.movedim(axis + 1, 1).flatten(2).sum(dim=2)
        from_here = along.flip(1).cumsum(dim=1).flip(1)
        spare = (from_here <= most[:, None] ** 2 / (squares.dim() - 1)).all(dim=0)
        counts.append(max(int((~spare).sum()), least + 1))
    return tuple(counts)


class _Out:
    """By unknown and axis, what makes Legendre polynomials up to the `degrees` of so many plain functions: `within`, of
    what meets the walls, `beside`, of what is lifted."""

    def __init__(self, stated: Semilinear, counts: Sequence[int]):
        stretch = ROUND[len(counts)]
        changes = {
            (axis, walls): _matrix(count, walls)
            for axis, count in enumerate(counts)
            for walls in {of_unknown[axis] for of_unknown in stated.walls} | {_beside(stated, axis)}
        }
        self.degrees = tuple(
            math.ceil(stretch * (len(changes[axis, _beside(stated, axis)]) - 1)) for axis in range(len(counts))
        )
        padded = {}
        for (axis, walls), matrix in changes.items():
            padded[axis, walls] = matrix.new_zeros(self.degrees[axis] + 1, matrix.shape[1])
            padded[axis, walls][: len(matrix)] = matrix
        self.within = [[padded[axis, walls] for axis, walls in enumerate(one)] for one in stated.walls]
        self.beside = [[padded[axis, _beside(stated, axis)] for axis in range(len(counts))] for _ in stated.walls]


def _beside(stated: Semilinear, axis: int) -> Walls:
    kind = PERIODIC if stated.periodic[axis] else FREE
    return (kind, kind)


def _matrix(count: int, walls: Walls) -> Tensor:
    """(p + 1, q): of the first `count` plain functions, one more where waves come in pairs."""
    if walls[0] == PERIODIC:
        return waves_in_legendre(count)
    functions = wall_functions(count - 1, walls).plain
    return functions.mT @ functions  # the nearest one that meets the walls


def _changed(c: Tensor, matrices: Sequence[Tensor]) -> Tensor:
    """Coefficients (k + 1, q_1, ..., q_d) by a matrix of every axis, as far as there are both."""
    common = [min(n, matrix.shape[1]) for n, matrix in zip(c.shape[1:], matrices, strict=True)]
    cut = [matrix[:, :n] for n, matrix in zip(common, matrices, strict=True)]
    return applied(cut, c[(slice(None), *(slice(0, n) for n in common))])
