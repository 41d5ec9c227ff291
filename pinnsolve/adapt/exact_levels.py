"""Which cells to refine so that conditions hold exactly: those on whose faces polynomials do not meet them yet."""

from __future__ import annotations

import torch

from pinnsolve.adapt.hp_refinement import Level
from pinnsolve.adapt.next_space import HIGHEST, MOST_RAISED, SPLIT
from pinnsolve.assembly.exact_rows import name_of
from pinnsolve.bases.piecewise.space import Space
from pinnsolve.compiler.terms import CompiledProblem

FEW = 4  # cells up to which degrees are raised, and not the cells at the conditions split
MISSED = 1e-12  # norm of what is left on a cell, relative to the solution, from which on it is refined


def space_that_holds(problem: CompiledProblem, level: Level) -> Space | None:
    """The space of a corrected level, finer where it does not hold what is asked for exactly; None where it does."""
    space, d = level.space, len(level.space.degrees)
    bad = torch.zeros(space.cells.count, d, dtype=torch.bool)
    size = float(level.size.max())
    for block in level.correction.first:
        if block.exact:
            along = _axes_of(problem, block.name)
            for cells, _ in block.sides:
                missed = cells[block.r.norm(dim=1) > MISSED * size]
                bad[missed[:, None], torch.tensor(along, dtype=torch.long)] = True
    if not bool(bad.any()):
        return None
    if space.cells.count <= FEW:
        raised = [min(p + MOST_RAISED * int(bad[:, a].any()), HIGHEST[d]) for a, p in enumerate(space.degrees)]
        if tuple(raised) != space.degrees:
            return Space(space.cells, tuple(raised), space.orders)
    degrees = tuple(min(p, SPLIT[d]) for p in space.degrees)
    return Space(space.cells.split(bad.any(dim=1), bad), degrees, space.orders)


def _axes_of(problem: CompiledProblem, name: str) -> list[int]:
    """The axes along which the places of a condition extend; none of one at a point."""
    axes = {
        axis
        for term in problem.terms
        if name_of(term.name) == name
        for piece in term.region.pieces
        for axis in piece.free_axes(len(problem.coordinates))
    }
    return sorted(axes)
