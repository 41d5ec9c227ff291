"""Where the energy of a correction will be once cells are halved, and how often they are halved for it.

Solutions of elliptic problems in boxes are infinitely steep at edges and corners of these. What cells there lack of the
energy falls by the same factor with every halving towards the edge, as two levels tell, and is handed on to those of
the new cells that are still at the edge. So levels that would only confirm this are left out.
"""

from __future__ import annotations

import torch
from torch import Tensor

from pinnsolve.bases.piecewise.mesh import NEAR, Cells

ALIKE = 0.9  # of the least energy that is marked, from which on others are, too: so that cells stay symmetric
TWICE = 16.0  # times the least energy that is marked, from which on cells are halved twice at once
LEAST, MARKED = 0.3, 0.8  # share of the energy that cells hold which are halved, at least and at most
FALLS = 0.6  # share that halving takes of the energy at an edge, where levels do not tell
AT_EDGES = 0.25  # share that halving leaves at least of what is at edges
FEWEST = 0.1  # share that halving leaves at least, as far as it is foreseen
GENERATIONS = 3  # of cells that are foreseen at most


def halvings(energy: Tensor, share: float) -> Tensor:
    """(C, d): how often cells are halved along every axis, so that they hold a share of these energies (C, d)."""
    ordered = energy.flatten().sort(descending=True).values
    count = int((ordered.cumsum(dim=0) - ordered < share * ordered.sum()).sum())
    least = ALIKE * ordered[max(count, 1) - 1]
    return (energy >= least).long() + (energy > TWICE * least).long()


def split_for(cells: Cells, energy: Tensor, goal: float, left: float | None) -> Cells:
    """The cells with energies (C, d), halved where most of it is, and again where that is foreseen to leave less than
    the share `goal` of all; once where that is too far off, or where nothing is known of what halving has `left`."""
    boxes = Cells(cells.lower, cells.upper)
    finer = _boxes_for(boxes, energy, goal, left)
    if cells.parts is None:
        return finer
    # what of them is in a shape is found once
    return cells.like(finer.lower, finer.upper, cells.material[boxes.locate(finer.centres)])


def _boxes_for(cells: Cells, energy: Tensor, goal: float, left: float | None) -> Cells:
    finer, foreseen = _next(cells, energy, goal, 1.0 - FALLS if left is None else left)
    if left is None or left < AT_EDGES:  # what falls faster is not at edges, and nothing is known of where it will be
        return finer
    last, whole = finer, float(energy.sum())
    for _ in range(GENERATIONS - 1):
        reached = float(foreseen.sum()) / whole
        if reached <= goal:
            return last
        last, foreseen = _next(last, foreseen, goal / reached, left)
    return last if float(foreseen.sum()) <= goal * whole else finer


def left_by_halving(cells: Cells, energy: Tensor, finer: Cells, found: Tensor) -> float | None:
    """The share of the energies (C, d) of `cells` along axes that were halved which is `found` (C', d) there; None
    where none were, or it did not fall."""
    parents = cells.locate(finer.centres)
    halved = 1.5 * finer.size < cells.size[parents]
    given = torch.zeros_like(energy, dtype=torch.bool).index_put_((parents,), halved)
    before, others = float(energy[given].sum()), float(energy[~given].sum())
    if not before > 0.0:
        return None
    share = (float(found.sum()) - others) / before
    return max(share, FEWEST) if share < 1.0 else None


def _next(cells: Cells, energy: Tensor, goal: float, left: float) -> tuple[Cells, Tensor]:
    """Cells halved where most of the energy is, or so much of it that no more than `goal` of it will be left."""
    times = halvings(energy, min(max((1.0 - goal) / (1.0 - left), LEAST), MARKED))
    while bool(times.any()):
        now = times > 0
        finer = cells.split(now.any(dim=1), now)
        parents = cells.locate(finer.centres)
        energy, times = _handed_on(cells, energy, now, finer, parents, left), (times - now.long())[parents]
        cells = finer
    return cells, energy


def _handed_on(cells: Cells, energy: Tensor, halved: Tensor, finer: Cells, parents: Tensor, left: float) -> Tensor:
    """(C', d): the energy that is left in cells after some were `halved` (C, d).

    What is at an edge of the box counts to the axes across it. So of a cell at a corner, the edge along an axis has the
    energy of the other axes less that of its own. It is halved with the edge, and only cells at the edge have it.
    """
    low, high = cells.box
    near = NEAR * (high - low)
    at_end, still = (((one.lower <= low + near) ^ (one.upper >= high - near)) for one in (cells, finer))
    away = (halved & at_end)[parents] & ~still  # from the only end of the box that the parent was at
    edges = (energy.sum(dim=1, keepdim=True) - 2.0 * energy).clamp_min(1e-9 * float(energy.sum()))
    here = torch.where(halved & at_end, 0.5, 1.0)[parents] * edges[parents]
    count = away.sum(dim=1)
    part = torch.where(count == 0, here.sum(dim=1), torch.where(count == 1, (here * away).sum(dim=1), 0.0))
    parts = part[:, None] * torch.where(away, 0.0, energy[parents])
    parts = parts / parts.sum(dim=1, keepdim=True).clamp_min(1e-300) * part[:, None]
    whole = torch.zeros(cells.count, dtype=part.dtype).index_add_(0, parents, part)
    parts = parts * (energy.sum(dim=1) / whole)[parents, None]
    return torch.where(halved[parents], left, 1.0) * parts
