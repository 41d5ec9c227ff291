"""Slabs in time: one least squares after another, each starting from the slab before, with the error carried along.

Here is the march: which slabs are accepted, where cells are split and merged, how long the next slab is. How one slab
is solved is in `time_slab`.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from pinnsolve.adapt.crossing import MESSAGE, characteristics_of
from pinnsolve.adapt.recorded_slabs import RecordedSlabs
from pinnsolve.adapt.time_slab import LOCAL, Local, Slab, SlabSolver
from pinnsolve.assembly.evolving import orders_along
from pinnsolve.bases.piecewise.mesh import Cells
from pinnsolve.compiler.terms import CompiledProblem
from pinnsolve.solvers.follow import Outcome
from pinnsolve.solvers.journal import NOTHING, Journal


@dataclass(frozen=True)
class MarchTuning:
    """The numbers of the march.

    Where no unit is given they are factors: of errors, relative to what is allowed, or of lengths.
    """

    safety: float = 0.3  # of the tolerance is what the next slab aims at
    shortest: float = 0.2  # factor between the lengths of slabs that follow each other, at least
    longest: float = 2.0  # the same, at most: errors far from those of a slab say little of it
    longest_steady: float = 4.0  # the same where the operator does not change, and foresight is better
    keep: float = 1.25  # a slab that could be longer by no more keeps its length: guesses of the next are better
    keep_steady: float = 1.6  # the same where it keeps a factorization with it
    saved: float = 6.0  # slabs that longer ones must save to be worth a new factorization, of a steady operator
    least_trend: float = 0.03  # what the error may be expected to fall by from slab to slab
    rough: float = 0.5  # share of the residual left of a solution that is not smooth
    rough_order: float = 1.0  # in time, at which errors of such a solution fall with the length of slabs
    slowest: float = 0.5  # order at which errors fall with the length of slabs, at least
    most_cells: int = 4096  # which the memory of a machine holds a slab of
    enough: float = 0.6  # of the error allowed: what cells not split may have, where all slabs to come have them
    splits: int = 12  # of one slab before its length is halved
    alike: float = 0.4  # of the error of the worst axis of a cell: what an axis must have to be halved with it
    # Slabs refused in a row before a march has stalled. Nothing smooths the kinks of a linear equation of first order,
    # and networks hold them better than ever smaller cells.
    most_refused: int = 40
    most_refused_travelling: int = 6
    tiny: float = 1e-7  # of the time: a march whose slabs become shorter has stalled
    # On a line slabs cost little, and those of stiff equations grow over many orders of magnitude: these are shares of
    # the time that has passed, which rounding bounds, and of all of it, for the first slab.
    tiny_on_a_line: tuple[float, float] = (1e-10, 1e-16)


TUNING = MarchTuning()
STALLED = "the march in time stalled at {time:.4g}, where slabs that meet the tolerance become too short"


@dataclass(frozen=True)
class March:
    """Where a march stands: the slabs so far, and what is known for the next one.

    `time`: where it starts; `length`: what it should have; `cells`: its boxes in space. Of this slab: how often it was
    `refused` and `splits` its cells, `shortened`: its error before it was shortened, `longer`: the length and the error
    in time of one that was refused here. `accepted`: the same of the slab before.
    """

    cells: Cells
    time: float
    length: float
    slabs: tuple[Slab, ...] = ()
    refused: int = 0
    splits: int = 0
    shortened: float | None = None
    longer: tuple[float, float] | None = None
    accepted: tuple[float, float] | None = None


def march(
    solver: SlabSolver, cells: Cells, tolerance: float, length: float, journal: Journal = NOTHING
) -> Iterator[March | Outcome]:
    """Marches with an error below `tolerance`, from slab to slab; `cells`: (C, d - 1) boxes in space to begin with.

    Where the operator does not change in time, what slabs add to the error of the whole time is kept account of;
    elsewhere the error of every slab stays below a part of the tolerance, and adds up to what it will. Ends with the
    status `stalled` where slabs become tiny, and with `broken` where no smooth solution goes on.
    """
    low, high = solver.problem.intervals[solver.axis]
    characteristics = characteristics_of(solver.problem, solver.axis)
    cells = solver.resolving_start(cells, LOCAL * tolerance)
    if solver.settles:
        solver.foresee(cells)
    now, recorded = March(cells, low, length), RecordedSlabs(solver, journal)
    while now.time < high - 1e-12 * (high - low):
        solver.check()
        if _stalled(solver, now):
            yield Outcome(None, "stalled", STALLED.format(time=now.time))
        dt = _proposed(now.length, solver.details.next_end(now.time, low, high) - now.time)
        now = replace(now, cells=solver.details.followed(now.cells, now.time, now.time + dt))
        allowed = solver.allowed(tolerance)
        before = now.slabs[-1] if now.slabs else None
        slab, local = recorded.attempt(now.cells, now.time, dt, before, allowed)
        if slab is None:  # Newton's method did not converge
            now = replace(now, length=0.5 * dt)
            continue
        plan = _Plan.of(local, allowed, solver, dt)
        if local.total > allowed:
            now = _after_refusal(solver, now, plan, allowed)
            continue
        if characteristics is not None and characteristics.cross(slab):
            yield Outcome(None, "broken", MESSAGE.format(time=now.time))
        now = _after_success(solver, now, slab, plan)
        yield now


def _stalled(solver: SlabSolver, now: March) -> bool:
    low, high = solver.problem.intervals[solver.axis]
    travelling = solver.problem.linear and solver.problem.order <= 1 and now.cells.dimension > 0
    most = TUNING.most_refused_travelling if travelling else TUNING.most_refused
    tiny = TUNING.tiny * (high - low)
    if now.cells.dimension == 0:
        passed, whole = TUNING.tiny_on_a_line
        tiny = max(passed * (now.time - low), whole * (high - low))
    return now.length < tiny or now.refused > most


def _proposed(length: float, remaining: float) -> float:
    """About that length, so that equal slabs end where the time does."""
    return remaining / math.ceil(remaining / length * (1 - 1e-9))


def _after_refusal(solver: SlabSolver, now: March, plan: _Plan, allowed: float) -> March:
    """The same slab again: on split cells, or shorter, by what is to blame for its error."""
    splits = now.splits + 1
    in_vain = now.shortened is not None and plan.total > 0.5 * now.shortened
    if in_vain:  # a shorter slab was no better: it is not time after all
        plan = plan.of_space()
    split = bool(plan.marked.any()) and now.cells.count < TUNING.most_cells and splits <= TUNING.splits
    if solver.settles:  # cells stay for all slabs to come
        split &= not plan.too_long or plan.in_space > allowed
        plan = plan if in_vain else plan.of_few(allowed)
    shorter = plan.too_long or not split
    factor = plan.shortening(now.longer) if solver.settles else plan.factor
    return replace(
        now,
        refused=now.refused + 1,
        splits=splits,
        shortened=plan.total if shorter else None,
        length=plan.dt * min(factor, 0.7) if shorter else plan.dt,
        longer=None if split else (plan.dt, plan.in_time),
        cells=now.cells.split(plan.marked, plan.bad) if split else now.cells,
    )


def _after_success(solver: SlabSolver, now: March, slab: Slab, plan: _Plan) -> March:
    """With the slab, and cells and a length for the next one."""
    solver.accept()
    dt, time, high = plan.dt, now.time + plan.dt, solver.problem.intervals[solver.axis][1]
    wish = dt * max(plan.factor, 1.0)  # a slab that was good enough is no reason for shorter ones
    if solver.settles:
        wish = max(wish, dt * plan.lengthening(now.accepted))
    saved = (high - time) * (1 / dt - 1 / wish)
    most = TUNING.keep_steady if solver.steady else TUNING.keep
    keep = saved <= TUNING.saved if solver.settles else wish <= most * dt
    cells = _adapted(now.cells, plan, solver.steady)
    length = dt if keep else wish
    if dt < 0.999 * now.length:  # cut short by what the problem states: the next one need not be
        length = max(length, now.length)
    return March(cells, time, length, (*now.slabs, slab), accepted=(dt, plan.in_time))


@dataclass(frozen=True)
class _Plan:
    """What the local error of a slab says: which cells to split along which axes, and how the length should change.

    `total`: the error, `in_time` and `in_space` the shares of it; `parts` (C, d - 1): those of cells and axes; `share`:
    what a cell may have. `bad` (C, d - 1): axes to be halved, of the cells that are `marked` (C,). `factor`: by which
    the length should change to reach `wanted` of the error in time, which falls with the power `order` of the length.
    """

    space_degrees: tuple[int, ...]
    dt: float
    total: float
    in_time: float
    in_space: float
    parts: Tensor
    share: float
    rough: bool
    wanted: float
    order: int
    factor: float
    too_long: bool
    bad: Tensor
    marked: Tensor

    @classmethod
    def of(cls, local: Local, tolerance: float, solver: SlabSolver, dt: float) -> _Plan:
        """From the local error of a slab of length `dt`."""
        degrees, axis = solver.degrees, solver.axis
        share, in_space = tolerance / math.sqrt(max(len(local.in_space), 1)), float(local.in_space.norm())
        wanted, order = TUNING.safety * tolerance / max(local.in_time, 1e-300), degrees[axis] + 1
        factor = min(max(wanted ** (1.0 / order), TUNING.shortest), TUNING.longest)
        # while space is far too coarse, what the correction says of time means little
        too_long = local.in_time > max(0.5 * tolerance, 0.1 * in_space)
        space_degrees = tuple(p for a, p in enumerate(degrees) if a != axis)
        bad, marked = torch.zeros(1, 0, dtype=torch.bool), torch.zeros(1, dtype=torch.bool)
        if space_degrees:
            bad = local.in_space > (0.3 if local.total > 2.0 * tolerance else 0.7) * share
            bad &= in_space > 0.1 * local.in_time  # and the other way round
            # axes that are not to blame stay
            bad &= local.in_space > TUNING.alike * local.in_space.amax(dim=1, keepdim=True)
            marked = bad.any(dim=1)
        return cls(
            space_degrees, dt, local.total, local.in_time, in_space, local.in_space, share, local.left > TUNING.rough,
            wanted, order, factor, too_long, bad, marked,
        )  # fmt: skip

    def shortening(self, longer: tuple[float, float] | None) -> float:
        """By how much to shorten a slab that was refused, after a `longer` one: errors may fall at a lower order."""
        if longer is not None and 0 < self.in_time < longer[1]:
            order = math.log(longer[1] / self.in_time) / math.log(longer[0] / self.dt)
        elif self.rough:
            order = TUNING.rough_order
        else:
            return self.factor
        order = min(max(order, TUNING.slowest), self.order)
        return min(max(self.wanted ** (1.0 / order), TUNING.shortest**2), TUNING.longest)

    def lengthening(self, before: tuple[float, float] | None) -> float:
        """By how much the next slab may be longer if errors go on falling as from the slab `before` to this one.

        A solution that settles has smaller ones in equal slabs (the predictive controller of Gustafsson, ACM Trans.
        Math. Softw. 20 (1994) 496-517).
        """
        if before is not None:
            foreseen = before[1] * (self.dt / before[0]) ** self.order
            trend = min(max(self.in_time / max(foreseen, 1e-300), TUNING.least_trend), 1.0)
        else:
            trend = TUNING.least_trend if self.rough else 1.0  # a contradiction at the start is of the first slab alone
        return min(max((self.wanted / trend) ** (1.0 / self.order), 1.0), TUNING.longest_steady)

    def of_few(self, allowed: float) -> _Plan:
        """Of the marked cells, those alone that must be split for space to keep to its part of the error allowed."""
        square = (self.parts**2).sum(dim=1)
        order = torch.sort(square, descending=True).indices
        left = square.sum() - torch.cumsum(square[order], 0) + square[order]  # before each of them is split
        few = torch.zeros_like(self.marked)
        few[order] = left > (TUNING.enough * allowed) ** 2
        marked = self.marked & few
        return replace(self, marked=marked, bad=self.bad & marked[:, None])

    def of_space(self) -> _Plan:
        """The same error, laid upon the cells alone."""
        if not self.space_degrees:
            return self
        bad = self.parts >= 0.3 * self.parts.max()
        return replace(self, bad=bad, marked=bad.any(dim=1), too_long=False)


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
    low = problem.intervals[axis][0]
    starts = False
    if not any(orders_along(problem, axis)):
        return None
    for term in problem.terms:
        for piece in term.region.pieces:
            held = dict(piece.fixed).get(axis)
            if held is not None:
                if piece.partner is not None or abs(held - low) > 1e-12 * max(1.0, abs(low)):
                    return None
                starts = True
    return axis if starts else None
