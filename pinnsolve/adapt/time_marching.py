"""Slabs in time: one least squares after another, each starting from the slab before, with the error carried along.

Here is the march: which slabs are accepted, where cells are split and merged, how long the next slab is. How one slab
is solved is in `time_slab`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from copy import copy
from dataclasses import dataclass, field

import torch
from torch import Tensor

from pinnsolve.adapt.time_slab import LOCAL, Local, Slab, SlabSolver
from pinnsolve.assembly.term_rows import highest_orders
from pinnsolve.bases.piecewise.mesh import Cells
from pinnsolve.compiler.terms import CompiledProblem

SAFETY = 0.3  # of the tolerance is what the next slab aims at
SHORTEST, LONGEST = 0.2, 2.0  # factors between the lengths of slabs that follow each other
KEEP, KEEP_STEADY = 1.25, 1.6  # a slab that could be longer by no more keeps its length, and with it a factorization
SAVED = 6  # slabs that longer ones must save to be worth a new factorization, where the operator does not change
LONGEST_STEADY, LEAST_TREND = 4.0, 0.03  # of them; what the error may be expected to fall by from slab to slab
ROUGH, ROUGH_ORDER = 0.5, 1.0  # share of the residual left of a solution that is not smooth, and its order in time
SLOWEST = 0.5  # order at which errors fall with the length of slabs, at least
MOST_CELLS = 4096
ENOUGH = 0.6  # of the error allowed: what cells that are not split may have, where all slabs to come have them
SPLITS = 12  # of one slab before its length is halved
ALIKE = 0.4  # of the error of the worst axis of a cell: what an axis must have to be halved with it
# Slabs refused in a row before a march has stalled. Nothing smooths the kinks of a linear equation of first order, and
# networks hold them better than ever smaller cells.
MOST_REFUSED, MOST_REFUSED_OF_FIRST_ORDER = 40, 6
TINY = 1e-7  # of the time: a march whose slabs become shorter has stalled


@dataclass
class March:
    """What a march gives: the slabs, and how it went.

    `status`: `finished`, `stopped` by its watch, `stalled` where slabs became tiny, or what `interrupt` said.
    """

    slabs: list[Slab] = field(default_factory=list)
    rejected: int = 0
    status: str = "finished"


def march(
    problem: CompiledProblem,
    axis: int,
    cells: Cells,
    degrees: tuple[int, ...],
    tolerance: float,
    weights: Mapping[str, float],
    length: float,
    memory: float = math.inf,
    watch: Callable[[March, float], bool] = lambda march, time: True,
    interrupt: Callable[[March], str | None] = lambda march: None,
    check: Callable[[], None] = lambda: None,
    parameters: Tensor | None = None,
) -> March:
    """Marches along `axis` with an error below `tolerance`; `cells`: (C, d - 1) boxes in space to begin with.

    Where the operator does not change in time, what slabs add to the error of the whole time is kept account of;
    elsewhere the error of every slab stays below a part of the tolerance, and adds up to what it will.
    `interrupt(march)` is asked before every slab, and ends the march with the status it answers; `watch(march, time)`
    after every slab, and stops the march by answering False. `check()` may raise while a slab is solved. `parameters`
    (P,): the values of the unknown ones.
    """
    low, high = problem.intervals[axis]
    time, result = low, March()
    refused, splits, shortened = 0, 0, None  # of this slab: refusals, splits, its error before it was shortened
    longer: tuple[float, float] | None = None  # a slab refused here: its length, and its error in time
    accepted: tuple[float, float] | None = None  # the same of the slab before
    kinks_travel = problem.linear and problem.order <= 1 and cells.dimension > 0
    most_refused = MOST_REFUSED_OF_FIRST_ORDER if kinks_travel else MOST_REFUSED
    solver = SlabSolver(problem, axis, degrees, weights, memory, check, parameters)
    cells = solver.resolving_start(cells, LOCAL * tolerance)
    if solver.settles:
        solver.foresee(cells)
    while time < high - 1e-12 * (high - low):
        status = interrupt(result)
        if status is None and (length < TINY * (high - low) or refused > most_refused):
            status = "stalled"
        if status is not None:
            result.status = status
            return result
        remaining = high - time
        dt = remaining / math.ceil(remaining / length * (1 - 1e-9))
        before = result.slabs[-1] if result.slabs else None
        allowed = solver.allowed(tolerance)
        slab, local = solver.attempt(cells, time, dt, before, allowed)
        if slab is None:  # Newton's method did not converge
            result.rejected += 1
            length = 0.5 * dt
            continue
        plan = _Plan(local, allowed, degrees, axis, dt)
        if local.total > allowed:
            result.rejected += 1
            refused += 1
            splits += 1
            if shortened is not None and local.total > 0.5 * shortened:
                plan = plan.of_space()  # a shorter slab was no better: it is not time after all
            split = bool(plan.marked.any()) and cells.count < MOST_CELLS and splits <= SPLITS
            if solver.settles:  # cells stay for all slabs to come
                split &= not plan.too_long or plan.in_space > allowed
                plan = plan.of_few(allowed)
            shortened = local.total if plan.too_long or not split else None
            factor = plan.shortening(longer) if solver.settles else plan.factor
            length = dt if shortened is None else dt * min(factor, 0.7)
            longer = None if split else (dt, local.in_time)
            cells = cells.split(plan.marked, plan.bad) if split else cells
            continue
        splits, shortened, refused, longer = 0, None, 0, None
        result.slabs.append(slab)
        solver.accept()
        time += dt
        if not watch(result, time):
            result.status = "stopped"
            return result
        wish = dt * max(plan.factor, 1.0)  # a slab that was good enough is no reason for shorter ones
        if solver.settles:
            wish = max(wish, dt * plan.lengthening(accepted))
        accepted = (dt, local.in_time)
        saved = (high - time) * (1 / dt - 1 / wish)
        keep = saved <= SAVED if solver.settles else wish <= (KEEP_STEADY if solver.steady else KEEP) * dt
        length = dt if keep else wish
        cells = _adapted(cells, plan, solver.steady)
    return result


class _Plan:
    """What the local error of a slab says: which cells to split along which axes, and how the length should change."""

    def __init__(self, local: Local, tolerance: float, degrees: tuple[int, ...], axis: int, dt: float):
        self.space_degrees = [p for a, p in enumerate(degrees) if a != axis]
        self.parts = local.in_space
        self.share = tolerance / math.sqrt(max(len(local.in_space), 1))  # of a cell
        self.rough = local.left > ROUGH
        self.dt, self.in_time, self.in_space = dt, local.in_time, float(local.in_space.norm())
        self.wanted, self.order = SAFETY * tolerance / max(local.in_time, 1e-300), degrees[axis] + 1
        self.factor = min(max(self.wanted ** (1.0 / self.order), SHORTEST), LONGEST)
        # while space is far too coarse, what the correction says of time means little
        self.too_long = local.in_time > max(0.5 * tolerance, 0.1 * float(local.in_space.norm()))
        if not self.space_degrees:
            self.bad = torch.zeros(1, 0, dtype=torch.bool)
            self.marked = torch.zeros(1, dtype=torch.bool)
            return
        bad = self.parts > (0.3 if local.total > 2.0 * tolerance else 0.7) * self.share
        bad &= float(self.parts.norm()) > 0.1 * local.in_time  # and the other way round
        self.bad = bad & (self.parts > ALIKE * self.parts.amax(dim=1, keepdim=True))  # axes that are not to blame stay
        self.marked = self.bad.any(dim=1)

    def shortening(self, longer: tuple[float, float] | None) -> float:
        """By how much to shorten a slab that was refused, after a `longer` one: errors may fall at a lower order."""
        if longer is not None and 0 < self.in_time < longer[1]:
            order = math.log(longer[1] / self.in_time) / math.log(longer[0] / self.dt)
        elif self.rough:
            order = ROUGH_ORDER
        else:
            return self.factor
        order = min(max(order, SLOWEST), self.order)
        return min(max(self.wanted ** (1.0 / order), SHORTEST**2), LONGEST)

    def lengthening(self, before: tuple[float, float] | None) -> float:
        """By how much the next slab may be longer if errors go on falling as from the slab `before` to this one.

        A solution that settles has smaller ones in equal slabs (the predictive controller of Gustafsson, ACM Trans.
        Math. Softw. 20 (1994) 496-517).
        """
        if before is not None:
            foreseen = before[1] * (self.dt / before[0]) ** self.order
            trend = min(max(self.in_time / max(foreseen, 1e-300), LEAST_TREND), 1.0)
        else:
            trend = LEAST_TREND if self.rough else 1.0  # a contradiction at the start is of the first slab alone
        return min(max((self.wanted / trend) ** (1.0 / self.order), 1.0), LONGEST_STEADY)

    def of_few(self, allowed: float) -> _Plan:
        """Of the marked cells, those alone that must be split for space to keep to its part of the error allowed."""
        square = (self.parts**2).sum(dim=1)
        order = torch.sort(square, descending=True).indices
        left = square.sum() - torch.cumsum(square[order], 0) + square[order]  # before each of them is split
        other = copy(self)
        few = torch.zeros_like(self.marked)
        few[order] = left > (ENOUGH * allowed) ** 2
        other.marked = self.marked & few
        other.bad = self.bad & other.marked[:, None]
        return other

    def of_space(self) -> _Plan:
        """The same error, laid upon the cells alone."""
        other = copy(self)
        if self.space_degrees:
            other.bad = self.parts >= 0.3 * self.parts.max()
            other.marked, other.too_long = other.bad.any(dim=1), False
        return other


def _adapted(cells: Cells, plan: _Plan, steady: bool) -> Cells:
    """The cells of the next slab: some split, or pairs merged whose error would stay far below their share.

    Where the operator does not change in time, neither foresight nor a few cells less pay for a new factorization.
    """
    if bool(plan.marked.any()):
        return cells if steady else cells.split(plan.marked, plan.bad)
    low, high = cells.box
    pairs, taken = [], set()
    for a, p in enumerate(plan.space_degrees):
        growth = 2.0 ** (p + 1)
        for i, j in cells.siblings(a, (float(low[a]), float(high[a]))):
            small = float(torch.maximum(plan.parts[i, a], plan.parts[j, a])) * growth < 0.1 * plan.share
            if small and i not in taken and j not in taken:
                pairs.append((i, j))
                taken |= {i, j}
    return cells if steady and len(pairs) < 0.25 * cells.count else cells.merged(pairs)


def can_march(problem: CompiledProblem) -> int | None:
    """The axis of time along which slabs follow each other, or None.

    They do where every unknown that evolves is given at the start, and nothing is held at later times alone.
    """
    if problem.time is None:
        return None
    axis = problem.coordinates.index(problem.time)
    evolving = [order[axis] for order in highest_orders(problem)]
    low = problem.intervals[axis][0]
    starts = False
    if not any(evolving):
        return None
    for term in problem.terms:
        for piece in term.region.pieces:
            held = dict(piece.fixed).get(axis)
            if held is not None:
                if piece.partner is not None or abs(held - low) > 1e-12 * max(1.0, abs(low)):
                    return None
                starts = True
    return axis if starts else None
