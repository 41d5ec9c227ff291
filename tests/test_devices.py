"""Cells on another device than the processor: nothing is hard-wired, and the numbers are the same."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pytest
import torch
from second_device import ELSEWHERE, SecondDevice, There

import pinnsolve as ps
from pinnsolve.adapt import devices
from pinnsolve.adapt.context import Result, SolveContext
from pinnsolve.adapt.devices import device_for, moved, solved_there
from pinnsolve.bases.legendre import exponents
from pinnsolve.compiler.compiler import compile_problem
from pinnsolve.errors import PinnsolveError
from pinnsolve.method import _results, solve_context
from pinnsolve.runtime import cached_by_device, on_device, random_tensor
from pinnsolve.solvers.follow import follow
from pinnsolve.threads import one_thread_each

LINE, SQUARE = ps.Box(x=(0, 1)), ps.Box(x=(0, 1), y=(0, 1))
ROD, PLATE = ps.Box(t=(0, 0.3), x=(0, 1)), ps.Box(t=(0, 0.1), x=(0, 1), y=(0, 1))
PLACES = np.linspace(0.1, 0.9, 9)


def on(place: str, *equations: str, **more) -> ps.Condition:
    return ps.Condition(on=place, equations=list(equations), **more)


def stated(name: str, domain, equation: str, conditions: dict, **more) -> ps.Problem:
    """A problem for `u`, solved to few digits."""
    solve = {"tolerance": 1e-2, "limits": {"refinements": 1}, **more.pop("solve", {})}
    return ps.Problem(
        name=name, domain=domain, unknowns="u", equations={"e": equation}, conditions=conditions, solve=solve, **more
    )  # fmt: skip


ENDS = {"ends": on("boundary", "u = 0")}
START = {"ends": on("x = 0", "u = 0"), "other": on("x = 1", "u = 0"), "start": on("t = 0", "u = sin(pi*x)")}
PROBLEMS = {
    "levels": stated("levels", SQUARE, "laplacian(u) = -sin(3*x)*exp(y)", ENDS),
    "newton": stated("newton", LINE, "D(u, x, x) = u**2 - 1", ENDS),
    "slabs": stated("slabs", ROD, "D(u, t) = D(u, x, x)/5 + u*(1 - u)", START),
    "collocation": stated(
        "collocation", PLATE, "D(u, t) = laplacian(u)",
        {"rim": on("boundary", "u = 0"), "start": on("t = 0", "u = sin(pi*x)*sin(pi*y)")},
        solve={"tolerance": 1e-1},
    ),
    "integrals": stated("integrals", LINE, "D(u, x, x) = integral(u) - 1", ENDS),
    "exactly": stated("exactly", SQUARE, "laplacian(u) = -1", {"ends": on("boundary", "u = x*y", exactly=True)}),
    "partitions": stated(
        "partitions", LINE, "D(u, x, x) = -1", ENDS,
        solve={"basis": {"kind": "pou_grid", "partitions": 3, "degree": 5, "overlap": 0}},
    ),
    "eigenvalues": stated(
        "eigenvalues", LINE, "D(u, x, x) + lam*u = 0", ENDS, eigenvalues={"name": "lam", "count": 2}
    ),
    "fitted": stated(
        "fitted", LINE, "k*D(u, x, x) = -1", ENDS, unknown_parameters={"k": {"guess": 1.0}},
        data={"probes": ps.Data(columns={"x": PLACES, "v": PLACES * (1 - PLACES)}, equation="u = v")},
    ),
}  # fmt: skip


@pytest.fixture(autouse=True)
def one():
    with one_thread_each():
        yield


def best(problem: ps.Problem, device: torch.device | None):
    """The best result of a solve whose cells are on a device, or where everything is."""
    context = replace(solve_context(problem, compile_problem(problem), None), cells_on=device)
    return follow(_results(problem, context, None), context.clock, lambda result: -result.worst).best


@pytest.mark.parametrize("kind", PROBLEMS)
def test_cells_hold_no_device_of_their_own(kind):
    there, moves = [], devices.moved
    with SecondDevice(), pytest.MonkeyPatch.context() as patch:

        def watched(value, device):
            if isinstance(value, Result):
                there.append(value.approximation.state.coefficients)
            return moves(value, device)

        patch.setattr(devices, "moved", watched)
        found = best(PROBLEMS[kind], ELSEWHERE)
    assert isinstance(there[0], There)
    c, expected = found.approximation.state.coefficients, best(PROBLEMS[kind], None)
    assert not isinstance(c, There) and c.shape == expected.approximation.state.coefficients.shape
    assert float((c - expected.approximation.state.coefficients).norm() / c.norm()) < 1e-9
    assert abs(found.worst - expected.worst) <= 1e-6 * expected.worst + 1e-16  # which is rounding


def test_what_is_on_the_processor_is_found():
    with SecondDevice(), on_device(ELSEWHERE):
        there = torch.ones(3, dtype=torch.float64)
        assert isinstance(there, There) and there.tolist() == [1.0, 1.0, 1.0]
        assert isinstance(there[[0, 2]], There) and float(there[[0, 2]].sum()) == 2.0
        with pytest.raises(RuntimeError, match="same device"):
            there + torch.zeros(3, dtype=torch.float64, device="cpu")
        with pytest.raises(TypeError, match=r"\.cpu\(\)"):
            there.numpy()
        with pytest.raises(RuntimeError, match="generator"):
            torch.rand(3, generator=torch.Generator().manual_seed(0))


def test_tables_and_random_numbers_are_the_same_on_every_device():
    here = exponents((3, 4)), random_tensor(torch.rand, 4, generator=torch.Generator().manual_seed(3))
    with SecondDevice(), on_device(ELSEWHERE):
        elsewhere = exponents((3, 4)), random_tensor(torch.rand, 4, generator=torch.Generator().manual_seed(3))
        assert all(isinstance(one, There) for one in elsewhere)
        assert [one.tolist() for one in elsewhere] == [one.tolist() for one in here]
    assert not isinstance(exponents((3, 4)), There)


def test_what_is_kept_is_kept_by_device():
    calls = []

    @cached_by_device(4)
    def counted(count: int) -> torch.Tensor:
        calls.append(count)
        return torch.arange(count)

    assert counted(3) is counted(3) and calls == [3]
    with SecondDevice(), on_device(ELSEWHERE):
        assert isinstance(counted(3), There)
    assert calls == [3, 3]


@dataclass(frozen=True)
class Held:
    """Something with a tensor deep inside."""

    parts: tuple
    name: str = "held"


def test_values_are_moved_with_all_that_they_hold():
    with SecondDevice():
        value = moved(Held(({"a": torch.ones(2)}, [torch.zeros(1), None])), ELSEWHERE)
        assert isinstance(value.parts[0]["a"], There) and isinstance(value.parts[1][0], There)
        back = moved(value, torch.device("cpu"))
    assert back.parts[0]["a"].tolist() == [1.0, 1.0] and back.parts[1][1] is None and back.name == "held"


def test_a_card_that_is_not_there_is_refused_and_auto_does_without(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    problem = compile_problem(PROBLEMS["levels"])
    with pytest.raises(PinnsolveError, match="no CUDA device"):
        device_for("cuda", problem, True, 100)
    assert device_for("auto", problem, True, 100) == torch.device("cpu")


def test_which_problems_a_card_is_taken_for(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "current_device", lambda: 0)
    flat, cube = (compile_problem(PROBLEMS[name]) for name in ("levels", "collocation"))
    disk = compile_problem(
        stated("disk", ps.Shape({"disk": {"center": [0, 0], "radius": 1}}, coordinates="x y"), "laplacian(u) = 1", ENDS)
    )
    kinds = [device_for(*asked).type for asked in (
        ("auto", flat, True, 128), ("auto", cube, True, 128), ("cuda", flat, True, 128), ("cpu", cube, True, 128),
        ("auto", flat, False, 128), ("auto", flat, False, 4000), ("cuda", disk, True, 128), ("cuda", disk, False, 128),
    )]  # fmt: skip
    assert kinds == ["cpu", "cuda", "cuda", "cpu", "cpu", "cuda", "cpu", "cuda"]


@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no card here")
@pytest.mark.parametrize("kind", PROBLEMS)
def test_a_card_gives_what_the_processor_does(kind):
    card = torch.device("cuda", torch.cuda.current_device())
    found, expected = best(PROBLEMS[kind], card), best(PROBLEMS[kind], None)
    c, other = found.approximation.state.coefficients, expected.approximation.state.coefficients
    assert c.device.type == "cpu" and float((c - other).norm() / other.norm()) < 1e-8
    assert found.worst <= 1.01 * expected.worst


def test_without_another_device_nothing_is_moved():
    context = solve_context(PROBLEMS["levels"], compile_problem(PROBLEMS["levels"]), None)
    seen: list[SolveContext] = []
    solved_there(context, lambda there: seen.append(there))
    assert seen[0] is context
