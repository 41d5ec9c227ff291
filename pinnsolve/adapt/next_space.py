"""Where a refinement of a whole problem goes from a level whose error is too large: degrees are raised or cells split.

Where the coefficients along an axis fall fast, its degree is raised; where they do not, or where only few cells are to
blame, those are split along that axis (hp-refinement by the decay of Legendre coefficients: Mavriplis, Comput. Methods
Appl. Mech. Engrg. 116 (1994) 77-86).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from pinnsolve.adapt.energy_levels import calls_for_cells, split_by_energy
from pinnsolve.adapt.hp_refinement import Level, carried_over, lacking, level_parts
from pinnsolve.adapt.space_changes import to_blame
from pinnsolve.bases.piecewise.initial_mesh import graded
from pinnsolve.bases.piecewise.mesh import NEAR, Cells
from pinnsolve.bases.piecewise.space import Space
from pinnsolve.estimate.enriched_space import decay_rates

HIGHEST = {1: 24, 2: 20, 3: 12, 4: 8}
ANALYTIC, HIGHEST_ANALYTIC = 0.4, {3: 18}  # coefficients that fall faster per degree may have higher degrees still,
EXPLAINED = 0.5  # where a correction leaves less of the residual: what it does not see falls slowly
SPLIT = {1: 16, 2: 8, 3: 7, 4: 5}  # degree to which cells fall that are split, where that holds the solution
FAST_DECAY = 0.7  # per degree: coefficients that fall faster call for a higher degree
DEAR, BULK = 3, 0.03  # coordinates from which on a level is dear, and the share of the error that is left there
MOST_RAISED, MOST_RAISED_ANALYTIC = 6, 8  # degrees at a time
LOST, UNEXPLAINED = 0.5, 0.9  # relative error, and share of the residual left, of what is no solution yet
HELD = 0.3  # of what a level lacks: what the next one may lack of it where degrees fall
SWIFT = 0.1  # a fall of the error by one halving that leaves nothing to foresee
MOST_GRADED = 5  # halvings towards a corner that are foreseen
MARKED = 0.1  # of the largest error of a cell, from which on others are split with it
SOLVED = 1e-6  # share of the loss in cells that need no splitting
GROWTH = {1: 1.0, 2: 1.5, 3: 2.0, 4: 2.3}  # of the work of a factorization, with the number of cells


def next_space(level: Level, tolerance: float, before: Level | None = None) -> Space:
    """Where to go from a level whose error is too large; `before`: the level before it, if there was one.

    Along axes on which coefficients do not fall fast cells are split. Where they fall fast on all axes to blame,
    degrees are raised or cells split, whichever is foreseen to take less work until the tolerance is met.
    """
    if level.system.tested and calls_for_cells(level, ANALYTIC):
        return split_by_energy(level, tolerance, before)
    space, d = level.space, len(level.space.degrees)
    parts = level_parts(level)  # (C, d)
    totals = parts.norm(dim=0)
    blamed = totals >= max(0.1 * float(totals.max()), min(0.3 * tolerance, float(totals.max())))
    axes = blamed.nonzero()[:, 0].tolist()
    rates = decay_rates(level.correction.c, level.correction.space)
    rate = {a: float(rates[parts[:, a].argmax(), a]) for a in axes}
    wanted = {a: _degrees_wanted(float(totals[a]), rate[a], tolerance) for a in axes}
    analytic = {a: rate[a] < ANALYTIC and level.correction.left < EXPLAINED for a in axes}
    highest = {a: HIGHEST_ANALYTIC.get(d, HIGHEST[d]) if analytic[a] else HIGHEST[d] for a in axes}
    most = {a: MOST_RAISED_ANALYTIC if analytic[a] else MOST_RAISED for a in axes}
    room = {a: max(highest[a] - space.degrees[a], 0) for a in axes}
    fast = [a for a in axes if rate[a] < FAST_DECAY and room[a] >= min(2, wanted[a])]
    raised = {a: min(most[a], room[a], max(2, math.ceil(wanted[a]))) for a in fast}
    if len(fast) == len(axes) and _work_of_splitting(space, parts, rate, tolerance) < _work_of_raising(space, raised):
        fast = []
    C = len(parts)
    lost = level.worst > LOST and level.correction.left > UNEXPLAINED
    if C > 1 and (lost or (level.unsolved and level.worst > tolerance)):  # neither rates nor blame mean anything
        chosen = _unsolved_cells(level)
        cells = space.cells.split(chosen, chosen[:, None].expand(-1, d))
        return Space(cells, tuple(min(p, SPLIT[d]) for p in space.degrees), space.orders)
    degrees, halvings = list(space.degrees), torch.zeros_like(parts, dtype=torch.long)
    for a in axes:
        if a in fast:
            degrees[a] += raised[a]
        else:
            least = SPLIT[d]
            if d >= DEAR and rate[a] < FAST_DECAY and room[a] < min(2, wanted[a]):
                least = max(least, _degree_after_halving(float(totals[a]), rate[a], degrees[a], tolerance))
            degrees[a] = min(degrees[a], least)
            halvings[:, a] = _halvings(parts[:, a], tolerance, degrees[a], d)
    if not bool(halvings.any()):
        return Space(space.cells, tuple(degrees), space.orders)
    cells = space.cells.split(halvings.any(dim=1), halvings)
    if d < DEAR:
        corners, more = _corners_to_come(level, before, halvings.all(dim=1), tolerance)
        cells = graded(cells, [corners] * more)
        degrees = _degrees_that_hold(level, cells, degrees, tolerance)
    return Space(cells, tuple(degrees), space.orders)


def _corners_to_come(level: Level, before: Level | None, marked: Tensor, tolerance: float) -> tuple[Tensor, int]:
    """Corners (K, d) towards which cells will go on to be halved, and how often beyond the next time.

    They are those of cells that are `marked` (C,) though they were halved just now; and errors are taken to go on to
    fall as they did by that.
    """
    cells = level.space.cells
    none = cells.lower[:0]
    if before is None or before.space.cells is cells or before.space.degrees != level.space.degrees:
        return none, 0
    fell = level.worst / max(before.worst, 1e-300)
    if not SWIFT < fell < 1.0 or level.worst <= tolerance:
        return none, 0
    parents = before.space.cells
    at = parents.locate(cells.centres)
    halved = (cells.upper - cells.lower).prod(dim=1) < 0.75 * (parents.upper - parents.lower).prod(dim=1)[at]
    corners = singular_corners(cells, marked & halved)
    times = min(math.floor(math.log(tolerance / level.worst) / math.log(fell)), MOST_GRADED)
    return corners, times if len(corners) else 0


def singular_corners(cells: Cells, marked: Tensor) -> Tensor:
    """(K, d): corners at which all cells are `marked` (C,), the only such ones of each of them.

    Where cells are halved for the sake of one point, it is there; where for the sake of a line, there are several.
    """
    marked = marked & ~cells.cut
    ends = torch.stack([cells.lower[marked], cells.upper[marked]])  # (2, M, d)
    which = torch.cartesian_prod(*[torch.arange(2)] * cells.dimension).reshape(-1, cells.dimension)
    places = torch.stack([ends[:, :, a][which[:, a]] for a in range(cells.dimension)], dim=2)  # (2^d, M, d)
    near = NEAR * (cells.upper - cells.lower)
    low = (cells.lower - near <= places[:, :, None]).all(dim=3)
    alone = ~(low & (places[:, :, None] <= cells.upper + near).all(dim=3) & ~marked).any(dim=2)  # (2^d, M)
    only = alone & (alone.sum(dim=0) == 1)
    return torch.unique(places[only], dim=0)


def _degrees_that_hold(level: Level, cells: Cells, degrees: Sequence[int], tolerance: float) -> Sequence[int]:
    """The least degrees, from these on to those of the level, at which other cells hold what is known of the solution.

    What they lack of it is to be less than what the level lacked, in the functions beyond its degrees. What that makes
    of an error depends on the equations, for both alike.
    """
    most = tuple(max(p, q) for p, q in zip(degrees, level.space.degrees, strict=True))
    known = Space(cells, most, level.space.orders)
    squares = (known.orthonormal(carried_over(level, known) / level.unit[:, None]) ** 2).sum(dim=1)
    energy = (squares * (cells.volume / cells.volume.sum())[:, None]).sum(dim=0)
    k, allowed = known.exponents, HELD * float(lacking(level).norm()) * max(1.0, tolerance / max(level.worst, 1e-300))
    for more in range(max(most)):
        tried = [min(p + more, q) for p, q in zip(degrees, most, strict=True)]
        outside = (k > torch.tensor(tried)).any(dim=1)
        if math.sqrt(float(energy[outside].sum())) <= allowed:
            return tried
    return most


def _unsolved_cells(level: Level) -> Tensor:
    """(C,) bool: the cells that hold all of the residual but for a small share."""
    loss = torch.zeros(level.space.cells.count, dtype=torch.float64)
    for block in level.correction.first:
        for cells, _ in block.sides:
            loss.index_add_(0, cells, (block.r**2).sum(dim=1) / len(block.sides))
    order = loss.argsort(descending=True)
    before = loss[order].cumsum(dim=0) - loss[order]
    chosen = torch.ones_like(loss, dtype=torch.bool)
    chosen[order] = before < (1.0 - SOLVED) * loss.sum()
    return chosen


def _halvings(error: Tensor, tolerance: float, degree: int, dimension: int) -> Tensor:
    """(C,) how often cells are halved along an axis that contributes these errors (C,).

    Those with the largest are. Where a level is dear, all but those that together hold a small share of the error, or
    half of what may be left, and twice at once where not even a smooth function would come near the tolerance by one
    halving.
    """
    largest = float(error.max())
    target = min(0.3 * tolerance / math.sqrt(len(error)), largest)
    if dimension < DEAR:
        return (error >= max(MARKED * largest, target)).long()
    once = to_blame(error, max(BULK * float(error.norm()), 0.5 * tolerance))
    once[error.argmax()] = True
    return once.long() + (once & (error > 2.0 ** (degree + 1) * target)).long()


def _degrees_wanted(error: float, rate: float, tolerance: float) -> float:
    return math.log(0.3 * tolerance / max(error, 1e-300)) / math.log(rate) if rate < 1 else math.inf


def _degree_after_halving(error: float, rate: float, degree: int, tolerance: float) -> int:
    """The degree that a smooth function calls for on cells half as long, where coefficients fall twice as fast."""
    return math.ceil((math.log(max(0.3 * tolerance, 1e-300) / error) + degree * math.log(rate)) / math.log(0.5 * rate))


def _work_of_raising(space: Space, raised: Mapping[int, int]) -> float:
    """Of a factorization, relative to the one of this level: the cube of the functions of a cell."""
    return math.prod(((p + 1 + raised.get(a, 0)) / (p + 1)) ** 3 for a, p in enumerate(space.degrees))


def _work_of_splitting(space: Space, parts: Tensor, rate: Mapping[int, float], tolerance: float) -> float:
    """The same for the last of the levels that halve cells, and a share for those before.

    Halving a cell along an axis makes its error smaller by 2^(p + 1), if its function is smooth; lowering its degree,
    as splitting does, larger by the `rate` of its coefficients.
    """
    d = len(space.degrees)
    target = 0.3 * tolerance / math.sqrt(len(parts))
    count, most = torch.ones(len(parts), dtype=torch.float64), 0.0
    for a, r in rate.items():
        p = min(space.degrees[a], SPLIT[d])
        error = parts[:, a] * r ** (p - space.degrees[a])
        halvings = torch.ceil(torch.log2(error / target).clamp(min=0.0) / (p + 1))
        count, most = count * 2.0**halvings, max(most, float(halvings.max()))
    smaller = math.prod(((min(p, SPLIT[d]) + 1) / (p + 1)) ** 3 for p in space.degrees)
    return smaller * (float(count.sum()) / len(parts)) ** GROWTH[d] * (1.0 + 0.5 * max(most - 1.0, 0.0))
