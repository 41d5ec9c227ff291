"""The domain of a problem -> the cells that its refinement begins with.

A box is one cell, or a few in space where slabs march. The boxes round a shape follow its flat sides, where these lie
along the axes, and are halved until the boundary is simple in each.
"""

from __future__ import annotations

import math
from itertools import pairwise
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from pinnsolve.bases.cells import Cells, tensor_cells, uniform_cells
from pinnsolve.bases.within import Within, spacing_of
from pinnsolve.terms import CompiledProblem

if TYPE_CHECKING:
    from pinnsolve.geometry.shapes import Shape

FLAT = 1e-9  # deviation of a normal from an axis; also of places, relative to the shape, that are the same
CLOSEST = 1.0 / 24  # of the shape: flat sides nearer to each other do not both get an edge
COARSEST = 0.5  # edge of a cell, relative to the longest side
ANGLE = math.cos(1.1)  # between normals of one smooth piece of boundary in a cell
MOST_PIECES = 2  # of boundary in a cell: a corner has two
HALVINGS = {2: 6, 3: 2}  # of the first boxes
MOST_FIRST = {2: 4000, 3: 300}


def first_cells(problem: CompiledProblem) -> Cells:
    """The cells of the first level of a whole problem."""
    if problem.shape is None:
        lower, upper = (torch.tensor([ends[i] for ends in problem.intervals], dtype=torch.float64) for i in (0, 1))
        return uniform_cells(lower, upper, [1] * len(problem.intervals))
    if problem.time is None:
        return _of_shape(_shape(problem))
    axis = problem.coordinates.index(problem.time)
    return _of_shape(_shape(problem)).extruded(axis, *problem.intervals[axis])


def space_cells(problem: CompiledProblem, axis: int, count: int) -> Cells:
    """The first cells in space of a problem that marches along `axis`, `count` per axis of a box."""
    if problem.shape is not None:
        return _of_shape(_shape(problem))
    others = [interval for a, interval in enumerate(problem.intervals) if a != axis]
    lower = torch.tensor([low for low, _ in others], dtype=torch.float64)
    upper = torch.tensor([high for _, high in others], dtype=torch.float64)
    return uniform_cells(lower, upper, [count] * len(others))


def _shape(problem: CompiledProblem) -> Shape:
    from pinnsolve.geometry.shapes import make_shape  # not needed for boxes

    return make_shape(problem.shape)


def _of_shape(shape: Shape) -> Cells:
    within = Within(shape, tuple(range(shape.dimension)))
    boxes = tensor_cells(_edges(shape))
    cells = within.cells(boxes.lower, boxes.upper)
    for _ in range(HALVINGS[shape.dimension]):
        marked = _tangled(shape, cells)
        if not bool(marked.any()) or cells.count + 2**shape.dimension * int(marked.sum()) > MOST_FIRST[shape.dimension]:
            break
        cells = cells.split(marked, marked[:, None].expand(-1, shape.dimension))
    return cells


def _edges(shape: Shape) -> list[Tensor]:
    """Edges per axis: at flat sides along the axes, and between them so that no cell is large or long."""
    size = shape.upper - shape.lower
    boundary = shape.boundary(float(size.max()) / 64)
    result = []
    for axis in range(shape.dimension):
        flat = boundary.normals[:, axis].abs() > 1 - FLAT
        low, high = float(shape.lower[axis]), float(shape.upper[axis])
        places = [low, high]
        for value in torch.unique(boundary.x[flat, axis].round(decimals=12)).tolist():
            if all(abs(value - other) > CLOSEST * float(size.max()) for other in places):
                places.append(value)
        edges: list[float] = []
        places.sort()
        for one, two in pairwise(places):
            count = math.ceil((two - one) / (COARSEST * float(size.max())) - 1e-9)
            edges += [one + (two - one) * k / count for k in range(count)]
        result.append(torch.tensor([*edges, high], dtype=torch.float64))
    return result


def _tangled(shape: Shape, cells: Cells) -> Tensor:
    """(C,) bool: in which cells the boundary turns far, or has many pieces."""
    boundary = shape.boundary(spacing_of(cells, 6))
    cell = cells.locate(boundary.x)
    marked = torch.zeros(cells.count, dtype=torch.bool)
    for c in torch.unique(cell[cells.cut[cell]]).tolist():
        here = cell == c
        pieces = torch.unique(boundary.piece[here])
        if len(pieces) > MOST_PIECES:
            marked[c] = True
            continue
        for piece in pieces.tolist():
            normals = boundary.normals[here & (boundary.piece == piece)]
            marked[c] |= bool((normals @ normals[0] < ANGLE).any()) or bool((normals @ normals[-1] < ANGLE).any())
    return marked
