"""Marching in time: the basis of slabs, the problem of one slab, and a layer that a march resolves."""

from __future__ import annotations

import math

import pytest
import torch

import pinnsolve as ps
from pinnsolve import marching
from pinnsolve.bases import make_basis, restore_basis
from pinnsolve.bases.slabs import TimeSlabs
from pinnsolve.compiler import compile_problem
from pinnsolve.errors import PinnsolveError

ALPHAS = [(0, 0), (1, 0), (0, 1), (0, 2)]


def box(*ends: float) -> torch.Tensor:
    return torch.tensor(ends, dtype=torch.float64)


@pytest.fixture
def slabs() -> TimeSlabs:
    settings = {"kind": "mlp", "activation": "tanh"}
    first = make_basis({**settings, "width": 5}, box(0, -1), box(0.25, 1), 1)
    second = make_basis({**settings, "width": 7}, box(0.25, -1), box(1, 1), 2)
    return TimeSlabs(0, (0.0, 0.25, 1.0), (first, second), box(0, -1), box(1, 1))


def test_each_slab_has_its_own_functions(slabs):
    points = box(0.1, 0.3, 0.25, 0.7, 1.0, -0.2).reshape(3, 2)
    tables = slabs.derivatives(points, ALPHAS)
    for alpha in ALPHAS:
        assert tables[alpha].shape == (3, 12)
        assert torch.equal(tables[alpha][0, :5], slabs.parts[0].derivatives(points[:1], [alpha])[alpha][0])
        assert not tables[alpha][0, 5:].any()
        assert torch.equal(tables[alpha][1:, 5:], slabs.parts[1].derivatives(points[1:], [alpha])[alpha])
        assert not tables[alpha][1:, :5].any()


def test_slabs_are_restored(slabs):
    again = restore_basis(slabs.settings(), slabs.hidden, slabs.lower, slabs.upper)
    points = torch.rand(20, 2, dtype=torch.float64)
    for alpha in ALPHAS:
        assert torch.equal(again.derivatives(points, [alpha])[alpha], slabs.derivatives(points, [alpha])[alpha])


def test_slabs_need_an_edge_more_than_parts(slabs):
    with pytest.raises(PinnsolveError, match="edges"):
        TimeSlabs(0, (0.0, 1.0), slabs.parts, slabs.lower, slabs.upper)


def burgers(nu: float = 0.02, **conditions) -> ps.Problem:
    return ps.Problem(
        name="layer",
        domain=ps.Box(t=(0, 0.5), x=(-1, 1)),
        time="t",
        unknowns="u",
        equations={"momentum": f"D(u, t) + u*D(u, x) = {nu}*D(u, x, x)"},
        conditions={
            "start": ps.Condition(on="t = 0", equation="u = -sin(pi*x)"),
            "walls": ps.Condition(on=["x = -1", "x = 1"], equation="u = 0"),
            **conditions,
        },
        solve={"tolerance": 0.01},
    )


def test_the_problem_of_a_later_slab_starts_where_the_one_before_ends():
    compiled = compile_problem(burgers())
    later = marching.slab_problem(compiled, 0.2, 0.3, first=False)
    assert later.intervals == ((0.2, 0.3), (-1.0, 1.0))
    assert [term.name for term in later.terms] == ["momentum", "walls", "start"]
    (piece,) = later.terms[-1].region.pieces
    assert piece.fixed == ((0, 0.2),)
    assert marching.slab_problem(compiled, 0.0, 0.1, first=True).terms == compiled.terms


def test_second_order_in_time_hands_over_value_and_velocity():
    problem = compile_problem(ps.load("sine-gordon"))
    handover = marching.slab_problem(problem, 0.1, 0.2, first=False).terms[-1]
    axis = problem.coordinates.index(problem.time)
    assert sorted(f.alpha[axis] for f in handover.features) == [0, 1]


def test_what_looks_ahead_cannot_be_marched():
    assert marching.can_march(compile_problem(burgers()))
    ahead = burgers(end=ps.Condition(on="t = 0.5", equation="u = 0"))
    assert not marching.can_march(compile_problem(ahead))
    assert not marching.can_march(compile_problem(ps.load("poisson-2d")))
    assert not marching.can_march(compile_problem(ps.load("find-the-diffusivity")))


def test_a_march_resolves_a_layer(monkeypatch):
    """Against the same problem solved on one large basis, which can still do it at this viscosity."""
    from pinnsolve.solvers import Clock
    from pinnsolve.solving import _work
    from pinnsolve.strategies import Result

    problem = burgers(nu=0.1)
    reference = ps.solve(problem, tolerance=1e-4, method="least_squares")
    assert reference.result["status"] == "converged"
    monkeypatch.setattr(marching, "WIDTHS", {2: (150, 200)})
    monkeypatch.setattr(marching, "BUDGETS", (0.1, 0.05))
    monkeypatch.setattr(marching, "SHORTEST", 1 / 40)
    monkeypatch.setattr(marching, "CHECK", 1000)
    work = _work(problem, compile_problem(problem), None)
    work.clock = Clock()
    nothing = Result(None, None, None, "finished", "", "none", {})
    result = marching.marched(work, 0.01, nothing)
    assert result.status == "finished"
    x = work.check_points()
    u = result.approximation.values(x)[0]
    v = torch.from_numpy(reference.values(x.numpy(), "u"))
    error = float((u - v).norm() / v.norm())
    assert error < 1e-3
    assert error < 2 * result.estimate.worst
    assert math.isfinite(result.estimate.worst)
