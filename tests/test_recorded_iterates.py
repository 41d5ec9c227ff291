"""A solve of a network that was ended goes on from its last iterate, with the same numbers as if it had not been."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

import pinnsolve as ps
from pinnsolve.adapt.context import SolveContext
from pinnsolve.assembly.collocation import zero_state
from pinnsolve.compiler.compiler import compile_problem
from pinnsolve.errors import OthersLost
from pinnsolve.extensions import solver_class
from pinnsolve.method import solve_context
from pinnsolve.processes.communicator import Communicator
from pinnsolve.results.checkpoints import Checkpoints
from pinnsolve.solvers import Clock, recorded
from pinnsolve.solvers.base import Iterate
from pinnsolve.solvers.follow import attempt
from pinnsolve.solvers.journal import Journal
from pinnsolve.solvers.recorded import Recorded

SOLVERS = {
    "least_squares": ("least_squares", {}),
    "lsgd": ("lsgd", {"name": "adam"}),
    "lsgd by L-BFGS": ("lsgd", {"name": "lbfgs"}),
    "gd": ("gd", {"name": "adam"}),
    "gd by L-BFGS": ("gd", {"name": "lbfgs"}),
    "gd by descent": ("gd", {"name": "sgd"}),
    "varpro": ("varpro", {}),
}


def arranged(kind: str) -> tuple[ps.Problem, SolveContext]:
    """A problem with that solver, and what its solve shares."""
    method, optimizer = SOLVERS[kind]
    problem = ps.Problem(
        name="bent",
        domain=ps.Box(x=(0, 1)),
        unknowns="u",
        equations={"e": "D(u, x, x) = u**2 - exp(x)"},
        conditions={"ends": ps.Condition(on="boundary", equation="u = 0")},
        solve={
            "method": method, "basis": {"width": 6, "activation": "tanh"},
            "optimizer": {"steps": 7, **optimizer},
        },
    )  # fmt: skip
    return problem, solve_context(problem, compile_problem(problem), None)


def driven(kind: str, journal: Journal):
    """How the solver ends, with a journal."""
    problem, context = arranged(kind)
    basis = context.basis(problem.settings.basis.settings())
    context = replace(context.weighted(basis), journal=journal)
    solver = solver_class(problem.settings.method).from_settings(problem.settings)
    assembly = context.assembly(basis.width)
    return context.drive(solver, assembly, basis, zero_state(context.problem, basis), "phase")


@pytest.fixture(autouse=True)
def every(monkeypatch):
    monkeypatch.setattr(recorded, "EVERY", 0.0)


@pytest.mark.parametrize("kind", SOLVERS)
def test_the_iterates_after_the_last_one_are_the_same(kind, tmp_path):
    kept = Checkpoints(tmp_path, print)
    whole = driven(kind, Journal(keep=kept.keep))
    kept.flush()
    pieces = list(Checkpoints(tmp_path, print).recorded())
    assert len(pieces) == len(whole.history) and pieces[-1]["values"]["finished"]
    half = len(pieces) // 2
    more: list = []
    again = driven(kind, Journal(pieces[:half], keep=more.append))
    assert [record["step"] for record in again.history] == [r["step"] for r in whole.history[half - 1 :]]
    assert [record["loss"] for record in again.history] == [r["loss"] for r in whole.history[half - 1 :]]
    for name, value in whole.best.basis.hidden.items():
        assert torch.equal(value, again.best.basis.hidden[name])
    assert torch.equal(whole.best.state.coefficients, again.best.state.coefficients)
    assert len(more) == len(pieces) - half


def test_a_phase_that_was_finished_is_not_taken_for_the_next():
    pieces: list = []
    driven("lsgd", Journal(keep=pieces.append))
    more: list = []
    journal = Journal([*pieces, *pieces], keep=more.append)
    first, second = (driven("lsgd", journal) for _ in range(2))
    assert len(first.history) == len(second.history) == 1 and not more and not journal.replays


def test_a_solver_that_cannot_say_what_it_remembers_begins_again():
    pieces: list = []
    problem, context = arranged("lsgd")
    basis = context.basis(problem.settings.basis.settings())
    solver = Recorded(Silent(), Journal(keep=pieces.append), "phase")
    solver.step(None, solver.init(None, basis, zero_state(context.problem, basis)))
    assert not pieces


class Silent(ps.Solver):
    """A solver from outside, as it may have been written before there were journals."""

    name, steps = "silent", 3

    @classmethod
    def from_settings(cls, settings):
        return cls()

    def init(self, assembly, basis, state):
        return Iterate(basis, state, 1.0)

    def step(self, assembly, iterate):
        return iterate


class Several(Communicator):
    """One of two processes that says that it cannot go on."""

    size = 2

    def abandon(self, reason):
        raise OthersLost(reason)


def test_one_of_several_processes_without_memory_ends_them_all():
    def work():
        raise MemoryError

    with pytest.raises(OthersLost, match="too little memory"):
        attempt(work, Clock(among=Several()))
