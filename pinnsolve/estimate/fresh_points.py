"""Fresh points for the look at a solution after the solve: in every cell, and on the faces between cells."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from pinnsolve.assembly.collocation import space_of
from pinnsolve.bases.base import Basis
from pinnsolve.bases.piecewise.basis import PouCells
from pinnsolve.compiler.terms import CompiledProblem, Term
from pinnsolve.geometry.sampling import Points
from pinnsolve.geometry.subdomains import where_function
from pinnsolve.runtime import random_tensor

NUMBERS = 5e5  # of a table of functions at fresh points: bounds what the look takes
FEWEST, MOST = 300, 2000  # points of a term, or on faces, unless there are more cells
MOST_CELLS = 8000  # that are looked into; of more, so many drawn at random
MOST_PAIRS = 4e6  # of cells among which neighbours are sought
SEED = 40_000_003  # far from those of solves and of check points


def count_for(basis: Basis) -> int:
    """How many points a term is looked at in."""
    return int(min(max(NUMBERS / basis.active, FEWEST), MOST))


def points_in_cells(basis: PouCells, term: Term, problem: CompiledProblem) -> tuple[Points, Tensor]:
    """Random points of a term in every cell, and (N,) the shares of the volume that they stand for."""
    cells, generator = basis.space.cells, torch.Generator().manual_seed(SEED)
    chosen = torch.arange(cells.count)
    if cells.count > MOST_CELLS:
        chosen = random_tensor(torch.randperm, cells.count, generator=generator)[:MOST_CELLS]
    each = math.ceil(count_for(basis) / len(chosen))
    unit = random_tensor(torch.rand, len(chosen), each, cells.dimension, generator=generator, dtype=torch.float64)
    lower, upper = (corner[chosen][:, None] for corner in cells.frame)
    x = (lower + unit * (upper - lower)).flatten(0, 1)
    weights = (upper - lower).prod(dim=2).expand(-1, each).reshape(-1)
    keep = cells.locate(x) == chosen.repeat_interleave(each)  # cells of two materials may share a box
    tests = [where_function(term.region.where, problem.coordinates)]
    space = space_of(problem)
    tests += [] if space is None else [space.test(piece) for piece in term.region.pieces]
    for test in tests:
        if test is not None:
            keep &= test(x, None)
    weights = weights[keep]
    return Points(x[keep][None]), weights / weights.sum().clamp_min(1e-300)


@dataclass(frozen=True)
class FacePoints:
    """Points x (N, d) of faces between cells `below` and `above` (N,), and the areas (N,) that they stand for."""

    below: Tensor
    above: Tensor
    x: Tensor
    area: Tensor


def points_on_faces(basis: PouCells, axis: int, problem: CompiledProblem) -> FacePoints | None:
    """Random points of the faces across an axis between cells of one material; None where there are no faces."""
    cells, generator = basis.space.cells, torch.Generator().manual_seed(SEED + axis)
    everything, share = torch.arange(cells.count), 1.0
    below = everything
    if cells.count**2 > MOST_PAIRS:
        below = random_tensor(torch.randperm, cells.count, generator=generator)[: max(1, int(MOST_PAIRS / cells.count))]
        share = len(below) / cells.count
    i, j = cells.contacts(axis, below, everything)
    if not len(i):
        return None
    each = math.ceil(count_for(basis) / len(i))
    i, j = i.repeat_interleave(each), j.repeat_interleave(each)
    lower, upper = torch.maximum(cells.lower[i], cells.lower[j]), torch.minimum(cells.upper[i], cells.upper[j])
    unit = random_tensor(torch.rand, len(i), cells.dimension, generator=generator, dtype=torch.float64)
    x = lower + unit * (upper - lower)
    x[:, axis] = cells.upper[i, axis]
    others = [a for a in range(cells.dimension) if a != axis]
    area = (upper - lower)[:, others].prod(dim=1) / (each * share)
    keep = torch.ones(len(x), dtype=torch.bool)
    if (space := space_of(problem)) is not None:
        keep &= space.inside(x)
    if cells.parts is not None and (materials := cells.parts.within.materials) is not None:
        keep &= materials(x) == cells.material[i]
    return FacePoints(i[keep], j[keep], x[keep], area[keep]) if bool(keep.any()) else None
