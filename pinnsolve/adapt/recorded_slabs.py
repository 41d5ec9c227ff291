"""Attempts at slabs that a journal knows from before, which are not solved again.

Where the operator does not change in time, a slab uses the factorizations of an earlier one. After slabs that were
found in the journal, those are made again, by the attempt that made them.
"""

from __future__ import annotations

from dataclasses import fields
from typing import Any

import torch
from torch import Tensor

from pinnsolve.adapt.time_slab import Local, Slab, SlabSolver
from pinnsolve.bases.piecewise.mesh import Cells
from pinnsolve.bases.piecewise.space import Space
from pinnsolve.estimate.enriched_space import enriched_space
from pinnsolve.solvers.journal import Journal, Values, digest

LOCAL_FIELDS = tuple(f.name for f in fields(Local))
SLAB_FIELDS = tuple(f.name for f in fields(Slab) if f.name not in ("space", "fine"))


class RecordedSlabs:
    """`attempt` as of the solver, with the journal asked first."""

    def __init__(self, solver: SlabSolver, journal: Journal):
        self.solver, self.journal = solver, journal
        self._maker: tuple[Any, ...] | None = None  # the attempt whose factorizations the last recorded one used

    def attempt(
        self, cells: Cells, time: float, dt: float, before: Slab | None, tolerance: float
    ) -> tuple[Slab, Local] | tuple[None, None]:
        """See `SlabSolver.attempt`."""
        asked = (cells, time, dt, before, tolerance)
        about = (time, dt, tolerance, list(self.solver.degrees), digest(cells.lower, cells.upper))
        values = self.journal.found("slab", *about)
        if values is not None:
            return self._restored(values, asked)
        if self._maker is not None:
            self._make_again()
        afresh = not self.solver.knows(cells, time, dt, before)
        slab, local = self.solver.attempt(*asked)
        if self.journal.keeps:
            self.journal.add("slab", *about, values=self._values(slab, local, tolerance, afresh))
        return slab, local

    def _values(self, slab: Slab | None, local: Local | None, tolerance: float, afresh: bool) -> Values:
        """What the march will want to know: of a slab that it refuses, only how wrong it is."""
        if slab is None:
            return {"solved": False}
        values = {"solved": True, "afresh": afresh, "solver": self.solver.standing()}
        values["local"] = {name: getattr(local, name) for name in LOCAL_FIELDS}
        if local.total <= tolerance:
            values["slab"] = {name: getattr(slab, name) for name in SLAB_FIELDS}
        return values

    def _restored(self, values: Values, asked: tuple) -> tuple[Slab, Local] | tuple[None, None]:
        if not values["solved"]:
            return None, None
        solver, (cells, time, dt, _, _) = self.solver, asked
        solver.stand(values["solver"])
        if values["afresh"] and solver.steady:
            self._maker = asked
        local, kept = Local(**values["local"]), values.get("slab")
        space = Space(cells.extruded(solver.axis, time, time + dt), solver.degrees, solver.orders)
        if kept is None:  # refused: the march looks at its error alone
            nothing = torch.zeros(0, dtype=torch.float64)
            return _slab(space, dict.fromkeys(SLAB_FIELDS, nothing)), local
        return _slab(space, kept), local

    def _make_again(self) -> None:
        """The factorizations that the next attempt may use, everything else as it is."""
        standing = self.solver.standing()
        self.solver.attempt(*self._maker)
        self.solver.stand(standing)
        self._maker = None


def _slab(space: Space, values: dict[str, Tensor | Any]) -> Slab:
    return Slab(space=space, fine=enriched_space(space), **values)
