"""Integrals over a shape and over its boundary, of functions of points: before anything is solved, and without cells.

Input: a `ShapeTree`, functions of points as tensors. Output: numbers, each with the doubt about it, which is the
difference to a coarser rule, and the integral of the absolute value.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from pinnsolve.geometry.factory import make_shape
from pinnsolve.geometry.junctions import lies_on
from pinnsolve.geometry.regions import Piece
from pinnsolve.geometry.shapes import ShapeTree

PER_AXIS = {1: 20_000, 2: 400, 3: 64}  # midpoints of a grid round a shape
ON_GRID = 2e-4  # of the absolute value, at least, is the doubt about an integral by midpoints, some beside the boundary
FINE = {1: 1000, 2: 300, 3: 24}  # parts of the box's diagonal between points of the boundary
ON_BOUNDARY = 1e-6  # the same of one over the boundary, whose curves are chords
COARSER = 0.7

Sums = tuple[float, float, float]  # the integral, the doubt, the integral of the absolute value


def over_shape(tree: ShapeTree, function: Callable[[Tensor], Tensor], constant: bool = False) -> Sums:
    """The integral of a function of points (N, d) -> (N,); by the measure of the shape where that is `constant`."""
    shape = make_shape(tree)
    if constant:
        whole = float(function(shape.lower[None])[0]) * shape.measure()
        return whole, ON_BOUNDARY * abs(whole), abs(whole)
    fine, size = _by_midpoints(tree, function, PER_AXIS[shape.dimension])
    coarse = _by_midpoints(tree, function, int(COARSER * PER_AXIS[shape.dimension]))[0]
    return fine, max(abs(fine - coarse), ON_GRID * size), size


def _by_midpoints(tree: ShapeTree, function: Callable[[Tensor], Tensor], count: int) -> tuple[float, float]:
    """The integrals of a function and of its absolute value."""
    shape = make_shape(tree)
    axes = [
        low + (high - low) * (torch.arange(count, dtype=torch.float64) + 0.5) / count
        for low, high in zip(shape.lower.tolist(), shape.upper.tolist(), strict=True)
    ]
    x = torch.cartesian_prod(*axes).reshape(-1, shape.dimension)
    values = function(x[shape.inside(x)])
    volume = float(((shape.upper - shape.lower) / count).prod())
    return volume * float(values.sum()), volume * float(values.abs().sum())


def over_boundary(
    tree: ShapeTree,
    pieces: Sequence[Piece],
    space_axes: Sequence[int],
    function: Callable[[Tensor, Tensor, Tensor], Tensor],
) -> Sums:
    """The integral of a function of points (N, d), their normals (N, d), and which of the `pieces` they lie on.

    The last is (N, number of pieces) bool. NaN where the function has no value.
    """
    shape = make_shape(tree)

    def sums(parts: float) -> tuple[float, float]:
        boundary = shape.boundary(shape.size / parts)
        on = torch.stack([lies_on(shape, boundary, piece, space_axes) for piece in pieces], dim=1)
        values = function(boundary.x, boundary.normals, on)
        return float((boundary.weights * values).sum()), float((boundary.weights * values.abs()).sum())

    fine, size = sums(FINE[shape.dimension])
    coarse = sums(COARSER * FINE[shape.dimension])[0]
    return fine, max(abs(fine - coarse), ON_BOUNDARY * size), size
