"""A solver whose iterates a journal keeps: a solve of a network that was ended goes on from the last of them."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from pinnsolve.assembly.row_source import State
from pinnsolve.assembly.rows import Assembly
from pinnsolve.bases.base import Basis
from pinnsolve.solvers.base import Iterate, Solver
from pinnsolve.solvers.journal import Journal, digest

if TYPE_CHECKING:
    from pinnsolve.spec.schema.solve import SolveSettings

KIND = "iterate"
EVERY = 5.0  # seconds from one iterate that is kept to the next


class Recorded(Solver):
    """The solver `inner`; of the phase of that name, the journal knows iterates from before, and is told of others.

    An iterate is kept every few seconds, and the last one always. Solvers that cannot say what they remember start
    afresh.
    """

    def __init__(self, inner: Solver, journal: Journal, phase: str):
        self.inner, self.name, self.steps = inner, inner.name, inner.steps
        self._journal, self._phase, self._kept = journal, phase, time.monotonic()

    @classmethod
    def from_settings(cls, settings: SolveSettings) -> Solver:
        raise NotImplementedError("a file names the solver itself")

    def init(self, assembly: Assembly, basis: Basis, state: State) -> Iterate:
        about, values = self._about(basis), None
        while (values is None or not values["finished"]) and self._journal.follows(KIND, *about):
            values = self._journal.found(KIND, *about)
        if values is not None:
            return self.inner.taken_up(assembly, _iterate(basis, values), values["memory"])
        return self._told(self.inner.init(assembly, basis, state))

    def step(self, assembly: Assembly, iterate: Iterate) -> Iterate:
        return self._told(self.inner.step(assembly, iterate))

    def most_steps(self, assembly: Assembly) -> int:
        return self.inner.most_steps(assembly)

    def finished(self, iterate: Iterate) -> bool:
        return self.inner.finished(iterate)

    def _about(self, basis: Basis) -> tuple[Any, ...]:
        return self._phase, self.name, basis.width, digest(basis.lower, basis.upper)

    def _told(self, iterate: Iterate) -> Iterate:
        if not self._journal.keeps or iterate.loss != iterate.loss:
            return iterate
        finished = self.inner.finished(iterate)
        if not finished and time.monotonic() - self._kept < EVERY:
            return iterate
        memory = self.inner.kept(iterate)
        if memory is not None:
            values = {**_values(iterate), "memory": memory, "finished": finished}
            self._journal.add(KIND, *self._about(iterate.basis), values=values)
            self._kept = time.monotonic()
        return iterate


def _values(iterate: Iterate) -> dict[str, Any]:
    state = iterate.state
    return {
        "hidden": dict(iterate.basis.hidden), "coefficients": state.coefficients, "parameters": state.parameters,
        "loss": iterate.loss, "terms": dict(iterate.terms), "step": iterate.step, "info": dict(iterate.info),
    }  # fmt: skip


def _iterate(basis: Basis, values: Mapping[str, Any]) -> Iterate:
    """Without what the solver remembers."""
    like = basis.lower
    if values["hidden"]:
        basis = basis.with_hidden({name: value.to(like) for name, value in values["hidden"].items()})
    state = State(values["coefficients"].to(like), values["parameters"].to(like))
    return Iterate(basis, state, values["loss"], values["terms"], values["step"], values["info"])
