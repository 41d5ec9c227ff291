"""One slab in time: its least squares, its correction, and how the error of the slab before goes on in it.

The correction (see `enriched_space`) starts from the solution before, and so is the error of this slab alone. With the
same factorization the difference of the two solutions before is carried through the slab by the linearized equations,
which gives the error so far. Where the operator does not change in time, slabs of equal length and equal cells share
factorizations.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import torch
from torch import Tensor

from pinnsolve.adapt.error_propagation import fading, lasting, size_at_end
from pinnsolve.adapt.first_guess import solves
from pinnsolve.adapt.slab_starts import along_branches, has_branches, is_defined
from pinnsolve.adapt.time_problem import TimeProblem, continued, end_of, resolved_start
from pinnsolve.assembly.balance_rows import start_fluxes
from pinnsolve.assembly.continuity import ContinuityRows
from pinnsolve.assembly.evolving import orders_along
from pinnsolve.assembly.evolving_rows import evolving_continuity, evolving_starts
from pinnsolve.assembly.exactness import with_exact_rows
from pinnsolve.assembly.faces import continuity_rows, start_rows
from pinnsolve.assembly.integrals import Integrals
from pinnsolve.assembly.schur_complement import BlockFactorization
from pinnsolve.assembly.system import CellSystem, points_of, shared, units, weights_of
from pinnsolve.assembly.term_rows import highest_orders, interface_rows, table_orders, term_rows
from pinnsolve.bases.piecewise.initial_mesh import detail_mesh
from pinnsolve.bases.piecewise.mesh import Cells
from pinnsolve.bases.piecewise.space import Space
from pinnsolve.compiler.terms import CompiledProblem
from pinnsolve.estimate.enriched_space import Correction, blame, correct, enriched_space
from pinnsolve.runtime import go_on
from pinnsolve.solvers.gauss_newton import Iterate, Iteration, gauss_newton
from pinnsolve.solvers.memory import check_memory

LOCAL = 0.3  # of the tolerance of a march is what a slab's own error may reach
BUDGET, PORTION = 0.8, 0.5  # of the tolerance, and of the square of what is left of it: for a slab where errors fade
LEAST = 0.15  # of the tolerance is what a slab may always take
LOWER, ROUGH = 3, 0.01  # degrees less for a first look at the whole time, and how well it is solved
FADING = 0.9  # factor from slab to slab
CARRIED_AGAIN = 2  # refinements of carried errors on a line, where equations may be stiff and time costs little


@dataclass(frozen=True)
class Slab:
    """One slab: the solution c (C, U, n) on its space, and the corrected one, w on `fine`."""

    space: Space
    c: Tensor
    fine: Space
    w: Tensor
    error: Tensor  # (U,) rms of the carried correction
    size: Tensor  # (U,) rms of the solution
    left: float
    loss: float
    terms: dict[str, float]
    points: dict[str, int]
    weights: dict[str, float]
    rank: dict[str, float | int]
    doubts: tuple[str, ...] = ()  # sentences on whether it is the solution that is meant

    def length(self, axis: int) -> float:
        return float(self.space.cells.size[0, axis])


@dataclass(frozen=True)
class Local:
    """The error of a slab alone, relative to the solution: all of it, what time is to blame for, and (C, d - 1) what
    every cell and axis of space is. `left`: the share of the residual that its correction left."""

    total: float
    in_time: float
    in_space: Tensor
    left: float

    def at_least(self, missed: float) -> Local:
        """With an error that time alone is to blame for."""
        return replace(self, total=max(self.total, missed), in_time=max(self.in_time, missed))


@dataclass(frozen=True)
class _Known:
    """What slabs of one length on one partition share, where the operator does not change: spaces, factorizations of
    either, and how errors fade."""

    space: Space
    fine: Space
    coarse_reduced: BlockFactorization
    fine_reduced: BlockFactorization
    ratios: Sequence[float]


class SlabSolver:
    """Builds and solves slabs; keeps systems whose operator does not change."""

    def __init__(
        self, stated: TimeProblem, degrees: tuple[int, ...], memory: float = math.inf,
        check: Callable[[], None] = go_on,
    ):  # fmt: skip
        self.stated, self.degrees = stated, degrees
        problem, axis = self.problem, self.axis = stated.problem, stated.axis
        self.check = check  # called now and then, and may end the work on a slab by an exception
        self.memory = memory  # bytes that may be taken
        self.orders = table_orders(problem)
        self.details = detail_mesh(problem, axis)
        self.unknowns = len(problem.unknowns)
        self.inside = [order[axis] for order in highest_orders(problem)]  # the orders in time of the equations
        self.evolving = orders_along(problem, axis)  # of all
        self.branches = not problem.linear and has_branches(problem, axis)
        self.steady = problem.linear and not _depends_on(problem, axis)  # factorizations can be used again
        in_space = max((k for ks in highest_orders(problem) for a, k in enumerate(ks) if a != axis), default=0)
        # where kinks may travel unchanged, nothing that goes wrong at first is forgotten
        self.settles = self.steady and max(self.evolving) == 1 and in_space >= 2
        self.start: Callable[[Tensor], Tensor] | None = None  # (N, d) -> (unknowns, N), what the start says
        self.size: Tensor | None = None  # (U,) largest rms so far
        self._known: dict[object, _Known] = {}  # of the last slab
        self._foreseen: Tensor | None = None  # (U,) rms over the whole time, roughly
        self._ratios: Sequence[float] = ()  # how errors of the last slab fade
        self._past = self._later = torch.zeros(self.unknowns, dtype=torch.float64)  # (U,) squared errors, times time
        self._pending = self._past, self._later

    def allowed(self, tolerance: float) -> float:
        """What the error of the next slab may be, so that that of the whole march stays below the tolerance.

        Where a steady operator lets errors fade, the error so far and what will become of it are known.
        """
        if not self.settles:
            return LOCAL * tolerance
        error = torch.sqrt((self._past + self._later) / self._whole)
        spent = 0.0 if self.size is None else float((error / self._units(error)).max()) ** 2
        return math.sqrt(max(PORTION * ((BUDGET * tolerance) ** 2 - spent), (LEAST * tolerance) ** 2))

    def accept(self) -> None:
        """The slab attempted last is part of the march."""
        past, self._later = self._pending
        self._past = self._past + past

    def standing(self) -> dict[str, Any]:
        """What the attempts so far leave behind, the factorizations aside."""
        return {"size": self.size, "ratios": list(self._ratios), "pending": list(self._pending)}

    def stand(self, standing: Mapping[str, Any]) -> None:
        """As after an attempt that left this."""
        self.size, self._ratios, self._pending = standing["size"], standing["ratios"], tuple(standing["pending"])

    def knows(self, cells: Cells, time: float, dt: float, before: Slab | None) -> bool:
        """Whether the factorizations of such a slab are there from the attempt before."""
        space = Space(cells.extruded(self.axis, time, time + dt), self.degrees, self.orders)
        return self._key(space, before) in self._known

    def foresee(self, cells: Cells) -> None:
        """Solves for the whole time at once, in low degrees: even a poor solution tells how large it becomes.

        Where errors fade, later slabs take no harm from errors that are large beside what there is at first.
        """
        low, high = self.problem.intervals[self.axis]
        degrees = tuple(max(p - LOWER, k + 1) for p, k in zip(self.degrees, self.orders, strict=True))
        space = Space(cells.extruded(self.axis, low, high), degrees, self.orders)
        system, _ = self.system(space, None)
        check_memory(system, self.memory)
        solved = gauss_newton(system, self.stated.state(system.zero()), Iteration(ROUGH))
        self._foreseen = shared(space.rms(solved.state.coefficients), self.problem.groups)

    def _units(self, error: Tensor) -> Tensor:
        """(U,) what errors are relative to: the solution so far, or the whole one where errors fade."""
        fades = len(self._ratios) == 2 and self._ratios[1] < FADING * self._ratios[0]
        size = torch.maximum(self.size, self._foreseen) if fades and self._foreseen is not None else self.size
        return units(size, error) / error.new_tensor(self.problem.unknown_counts)  # infinite of what does not count

    @property
    def _whole(self) -> float:
        low, high = self.problem.intervals[self.axis]
        return high - low

    def attempt(
        self, cells: Cells, time: float, dt: float, before: Slab | None, tolerance: float
    ) -> tuple[Slab, Local] | tuple[None, None]:
        """The slab from `time` on, `dt` long, on cells in space; (None, None) where Newton's method fails.

        Raises ResourceError for one that needs too much memory.
        """
        space = Space(cells.extruded(self.axis, time, time + dt), self.degrees, self.orders)
        key, fine = self._key(space, before), enriched_space(space)
        known = self._known.get(key)
        if known is not None:
            space, fine = known.space.moved(space.cells), known.fine.moved(space.cells)
        system, start = self.system(space, before)
        fine_system, fine_start = self.system(fine, before)
        if known is not None:
            system = system.with_operator(known.coarse_reduced.matrices)
            fine_system = fine_system.with_operator(known.fine_reduced.matrices)
        else:
            check_memory(fine_system, self.memory)
        how = Iteration(0.03 * tolerance, strict=self.problem.linear)
        solved = self._solved(system, start, before, how, known and known.coarse_reduced)
        if not solved.converged:
            return None, None
        c = solved.state.coefficients
        state = self.stated.state(space.widened(c, fine))
        corrected = correct(fine_system.scaled_at(state), state, known and known.fine_reduced)
        carried = torch.zeros_like(corrected.delta)
        if before is not None:
            carried = self._carried(fine_system, fine_start, corrected, before)
        size = shared(space.rms(c), self.problem.groups)
        self.size = size if self.size is None else torch.maximum(self.size, size)
        ratios: Sequence[float] = ()
        if self.steady:
            if self.settles:
                ratios = known.ratios if known is not None else self._fading(fine_system, corrected)
            self._known = {key: _Known(space, fine, solved.reduced, corrected.reduced, ratios)}
        self._ratios = ratios
        slab = Slab(
            space, c, fine, corrected.c + carried, corrected.error(carried), size, corrected.left, solved.loss,
            solved.terms, points_of(system), weights_of(solved.system), solved.reduced.rank_info(), solved.doubts,
        )  # fmt: skip
        if self.settles:
            left = size_at_end(slab.w - space.widened(slab.c, fine), fine, self.axis, self.evolving)
            self._pending = slab.error**2 * dt, left**2 * self._after(fine, ratios)
        local = self._local(corrected, space, ratios).at_least(self._missed(solved))
        if not self.problem.linear and local.total <= tolerance and not solves(solved):  # a stationary point
            return None, None
        return slab, local

    def _solved(
        self, system: CellSystem, start: Sequence[ContinuityRows], before: Slab | None, how: Iteration,
        known: BlockFactorization | None,
    ) -> Iterate:  # fmt: skip
        """What Newton's method ends with in a slab."""
        if self.branches and before is None and self.start is not None and self.stated.guess is None:
            ends = (self.axis, self.problem.intervals[self.axis][0], self._whole)
            found = along_branches(system, self.start, ends, how)
            if found is not None:
                return found
        state = self.stated.state(self._first_guess(system, start, before))
        return gauss_newton(system.scaled_at(state), state, how, None, known)

    def _first_guess(self, system: CellSystem, start: Sequence[ContinuityRows], before: Slab | None) -> Tensor:
        """(C, U, n) where Newton's method starts; of linear problems, the solution does not depend on it."""
        space = system.space
        begin = self.stated.guess or self.start
        if self.problem.linear or (before is None and begin is None):
            return system.zero()
        if before is None:
            return space.project(begin, self.unknowns)
        guess = continued(self.stated, space, start, before.fine, before.w)
        if is_defined(system, guess, self.stated.parameters):
            return guess
        return space.project(end_of(before.fine, before.w, self.axis), self.unknowns)

    def _missed(self, solved: Iterate) -> float:
        """On a line, how far a slab begins from where it should, relative to the unknowns; 0 elsewhere.

        A layer far thinner than the slab is seen by no polynomial of moderate degree, and least squares give up the
        start for it.
        """
        system: CellSystem = solved.system
        if system.space.cells.dimension > 1:
            return 0.0
        unit, low, missed = self._units(self.size), float(system.space.cells.box[0][self.axis]), 0.0
        for source, block in zip(system.sources, solved.rows, strict=True):
            if not source.lies_at(self.axis, low):
                continue
            if source.kind == "start":
                held = torch.repeat_interleave(unit, torch.tensor([len(alphas) for alphas in source.derivatives]))
            else:
                held = self._units_of(source.name, unit)
            missed = max(missed, float((block.r.abs().reshape(len(held), -1).amax(dim=1) / held).max()))
        return missed

    def _units_of(self, name: str, unit: Tensor) -> Tensor:
        """Of every residual of a term, the smallest unit of its unknowns."""
        (term,) = (term for term in self.problem.terms if term.name == name)
        numbers = [
            [self.problem.unknowns.index(f.unknown) for f, _ in linearization.features]
            for linearization in term.linearizations
        ]
        return torch.stack([unit[chosen].min() for chosen in numbers])

    def _fading(self, system: CellSystem, corrected: Correction) -> Sequence[float]:
        unit = units(self.size, self.size)
        return fading(system.sources, corrected.reduced, corrected.delta, unit, self.axis, self.evolving)

    def _local(self, corrected: Correction, space: Space, ratios: Sequence[float]) -> Local:
        volume = space.cells.volume
        unit = self._units(corrected.enlargement * corrected.space.rms(corrected.delta))
        scaled = corrected.enlargement * corrected.delta / unit[:, None]
        total = self._counted(scaled, corrected.space, ratios)
        parts = torch.sqrt(blame(scaled, corrected.space, self.degrees) * (volume / volume.sum())[:, None])  # (C, d)
        # what the correction does in the old degrees follows from what it lacks in the new ones
        parts *= total / max(float(parts.norm()), 1e-300)
        others = [a for a in range(space.cells.dimension) if a != self.axis]
        return Local(total, float(parts[:, self.axis].norm()), parts[:, others], corrected.left)

    def _counted(self, delta: Tensor, space: Space, ratios: Sequence[float]) -> float:
        """How much an error (C, U, n) counts.

        Where it is known how it fades: what it adds to that of the whole time.
        """
        inside = space.rms(delta)
        if not self.settles:
            return float(inside.max())
        dt = float(space.cells.size[0, self.axis])
        left = size_at_end(delta, space, self.axis, self.evolving)
        return math.sqrt(float((inside**2 * dt + left**2 * self._after(space, ratios)).max()) / self._whole)

    def _after(self, space: Space, ratios: Sequence[float]) -> float:
        """For how long, counted as if it stayed, an error at the end of a slab will be felt."""
        remaining = self.problem.intervals[self.axis][1] - float(space.cells.box[1][self.axis])
        return lasting(ratios, float(space.cells.size[0, self.axis]), max(remaining, 0.0))

    def resolving_start(self, cells: Cells, tolerance: float) -> Cells:
        """Cells on which polynomials in space hold the conditions at the start alone.

        What they say is kept: the first slab's Newton method starts from it.
        """
        cells, self.start = resolved_start(self.stated, cells, self.degrees, tolerance)
        return cells

    def system(self, space: Space, before: Slab | None) -> tuple[CellSystem, list[ContinuityRows]]:
        """The least squares on a space, and those of its rows, the last, that start from the slab before."""
        problem, start = self.problem, []
        if before is not None:
            values = partial(before.space.values, before.c)
            start = start_rows(space, self.axis, self.inside, values)
            start += evolving_starts(problem, space, self.axis, values)
            start += start_fluxes(problem, space, self.axis, before.space.cells, values)
        sources = [
            *term_rows(problem, space, self.stated.weights),
            *continuity_rows(space, problem.coordinates, highest_orders(problem)),
            *evolving_continuity(problem, space),
            *interface_rows(problem, space),
            *start,
        ]
        sources = with_exact_rows(problem, space, sources)
        start = sources[len(sources) - len(start) :]
        integrals = Integrals(problem, space) if problem.integrals else None
        return CellSystem(space, sources, self.unknowns, problem.linear, self.check, integrals), start

    def _key(self, space: Space, before: Slab | None):
        """What slabs share whose rows have the same matrices; with balances, how their cells touch those before."""
        if not self.steady:
            return object()
        several = [space.cells, before.space.cells] if before is not None and self.problem.balances else [space.cells]
        others = [a for a in range(space.cells.dimension) if a != self.axis]
        return (
            before is None,
            f"{float(space.cells.size[0, self.axis]):.12g}",
            *(tuple(cells.lower[:, others].reshape(-1).round(decimals=12).tolist()) for cells in several),
        )

    def _carried(self, system: CellSystem, start: list[ContinuityRows], corrected: Correction, before: Slab) -> Tensor:
        """What the error of the slab before, the difference of its two solutions, becomes in this one.

        By the linearization: that of a large error would otherwise look like an error of this slab.
        """
        nothing = self.stated.state(None)
        aimed = system.rows_of(start, nothing, matrix=False)
        corrected_start = [source.starting_from(partial(before.fine.values, before.w)) for source in start]
        others = system.rows_of(corrected_start, nothing, matrix=False)
        differences = [replace(a, r=a.r - b.r) for a, b in zip(aimed, others, strict=True)]
        matrices = corrected.reduced.matrices
        inside, starts = matrices[: len(matrices) - len(start)], matrices[len(matrices) - len(start) :]
        carried = -corrected.reduced.coefficients(differences, starts)
        for _ in range(CARRIED_AGAIN if system.space.cells.dimension == 1 else 0):
            z = carried.flatten(1)
            rows = [replace(block, r=block.times(z)) for block in inside]
            rows += [replace(block, r=block.times(z) - b.r) for block, b in zip(starts, differences, strict=True)]
            carried = carried + corrected.reduced.coefficients(rows)
        return carried


def _depends_on(problem: CompiledProblem, axis: int) -> bool:
    """Whether any linearization holds the coordinate, also those of integrals."""
    name = problem.coordinates[axis]
    linearizations = [l for term in problem.terms for l in term.linearizations]
    slopes = [slope for l in linearizations for _, slope in (*l.features, *l.parameters)]
    slopes += [slope for one in problem.integrals for _, slope in (*one.by_features, *one.by_integrals)]
    return any(name in {s.name for s in slope.free_symbols} for slope in slopes)
