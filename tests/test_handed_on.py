"""What slabs of a steady operator hand on: how errors fade and what that counts; where points lie, found by a table."""

from __future__ import annotations

import math

import pytest
import torch

import pinnsolve as ps
from pinnsolve.adapt.error_propagation import fading, handed_on, lasting, size_at_end
from pinnsolve.adapt.time_problem import TimeProblem
from pinnsolve.adapt.time_slab import SlabSolver
from pinnsolve.bases.piecewise.mesh import uniform_cells
from pinnsolve.bases.piecewise.point_location import Lookup
from pinnsolve.bases.piecewise.space import Space
from pinnsolve.compiler.compiler import compile_problem
from pinnsolve.problem.problem import Problem

SPACE = Space(
    uniform_cells(torch.tensor([0.0, 0.0]).double(), torch.tensor([0.5, 1.0]).double(), [1, 2]), (4, 5), (2, 2)
)


def fitted(function) -> torch.Tensor:
    return SPACE.project(lambda x: function(x[:, 0], x[:, 1])[None], 1)


@pytest.mark.parametrize("order", [1, 2])
def test_what_is_handed_on_starts_with_the_values_and_slopes_at_the_end(order):
    c = fitted(lambda t, x: (1 + t + t**3) * torch.sin(x))
    after = handed_on(c, SPACE, 0, [order])
    x = torch.linspace(0.05, 0.95, 7).double()
    start, end = (torch.stack([torch.full_like(x, t), x], dim=1) for t in (0.0, 0.5))
    for k in range(order):
        there, here = SPACE.values(c, end, (k, 0)), SPACE.values(after, start, (k, 0))
        assert torch.allclose(here, there, atol=1e-10)
    if order == 1:
        assert float(SPACE.values(after, start, (1, 0)).abs().max()) < 1e-10  # and stays


def test_size_at_the_end_is_the_rms_there():
    c = fitted(lambda t, x: (1 + 4 * t) * torch.ones_like(x))
    assert float(size_at_end(c, SPACE, 0, [1])) == pytest.approx(3.0)
    assert float(size_at_end(c, SPACE, 0, [2])) == pytest.approx(math.hypot(3.0, 4.0 * 0.25))  # slope per half a slab


def test_an_error_lasts_as_long_as_it_fades():
    assert lasting([], 0.1, 2.0) == 2.0  # nothing is known: it stays
    ratios, dt = [0.5, 0.25], 0.1
    series = sum(dt * (0.5 * 0.5**k) ** 2 for k in range(20))
    assert lasting(ratios, dt, 20 * dt) == pytest.approx(series)
    assert lasting([1.0, 1.0], dt, 1.0) == pytest.approx(1.0)
    assert lasting([0.8, 0.9], dt, 1.0) == pytest.approx(dt * (0.64 + 9 * 0.81))  # growth is not foreseen
    assert lasting([0.5, 0.0], dt, 1.0) == pytest.approx(dt * 0.25)
    assert lasting(ratios, dt, 0.05) == pytest.approx(0.05 * 0.25)


@pytest.mark.parametrize("wave_number", [1, 3])
def test_errors_fade_as_the_heat_equation_has_it(wave_number):
    """The error of sin(k pi x) is carried on as exp(-(k pi)^2 t)."""
    problem = compile_problem(
        Problem(
            name="fading",
            domain={"t": (0, 1), "x": (0, 1)},
            unknowns="u",
            equations={"heat": "D(u, t) = laplacian(u)"},
            conditions={
                "start": {"on": "t = 0", "equation": f"u = sin({wave_number}*pi*x)"},
                "ends": {"on": ["x = 0", "x = 1"], "equation": "u = 0"},
            },
        )
    )
    solver = SlabSolver(TimeProblem(problem, 0, {}), (5, 10))
    cells = uniform_cells(torch.zeros(1).double(), torch.ones(1).double(), [2])
    dt, rate = 0.02, (wave_number * math.pi) ** 2
    slab, _ = solver.attempt(cells, 0.0, dt, None, 1e-6)
    (known,) = solver._known.values()
    system, _ = solver.system(known.fine, None)
    error = known.fine.project(lambda x: 1e-3 * torch.sin(wave_number * math.pi * x[:, 1])[None], 1)
    one, two = fading(system.sources, known.fine_reduced, error, torch.ones(1).double(), 0, [1])
    assert one == pytest.approx(math.sqrt(-math.expm1(-2 * rate * dt) / (2 * rate * dt)), rel=1e-3)
    assert two / one == pytest.approx(math.exp(-rate * dt), rel=1e-3)
    again, _ = solver.attempt(cells, dt, dt, slab, 1e-6)
    (second,) = solver._known.values()
    third, _ = solver.attempt(cells, 2 * dt, dt, again, 1e-6)  # with the matrices of the second
    (now,) = solver._known.values()
    assert now.coarse_reduced is second.coarse_reduced
    x = torch.stack([torch.full((9,), 2.5 * dt), torch.linspace(0.1, 0.9, 9)], dim=1).double()
    exact = torch.exp(-rate * x[:, 0]) * torch.sin(wave_number * math.pi * x[:, 1])
    assert float((third.space.values(third.c, x, (0, 0))[0] - exact).abs().max()) < 1e-6


def test_a_start_that_contradicts_the_ends_costs_no_more_than_it_matters():
    """A rod at 1 whose ends are held at 0 from the start on: the solution jumps there."""
    solution = ps.solve(
        Problem(
            name="quench",
            domain={"t": (0, 1), "x": (0, 1)},
            unknowns="u",
            equations={"heat": "D(u, t) = laplacian(u)"},
            conditions={
                "start": {"on": "t = 0", "equation": "u = 1"},
                "ends": {"on": ["x = 0", "x = 1"], "equation": "u = 0"},
            },
            solve={"tolerance": 1e-3},
        )
    )
    t, x = torch.rand(2, 4000, generator=torch.Generator().manual_seed(0)).double()
    k = math.pi * torch.arange(1, 600, 2).double()[:, None]
    exact = (4 / k * torch.sin(k * x) * torch.exp(-(k**2) * t)).sum(dim=0)
    error = torch.as_tensor(solution(t=t.numpy(), x=x.numpy())) - exact
    relative = float(error.norm() / exact.norm())
    assert solution.result["status"] == "converged"
    assert relative < solution.result["estimated_error"]["u"] <= 1e-3


def test_the_table_finds_what_comparing_finds():
    cells = uniform_cells(torch.zeros(2).double(), torch.tensor([2.0, 3.0]).double(), [4, 5])
    generator = torch.Generator().manual_seed(0)
    for _ in range(3):
        marked = torch.rand(cells.count, generator=generator) < 0.4
        cells = cells.split(marked, torch.rand(cells.count, 2, generator=generator) < 0.7)
    kept = torch.rand(cells.count, generator=generator) < 0.8  # with holes
    lookup = Lookup(cells.lower[kept], cells.upper[kept])
    x = torch.rand(20_000, 2, generator=generator).double() * torch.tensor([2.4, 3.4]) - 0.2
    found = lookup.nearest(x)
    inside = ((x >= lookup.lower[found]) & (x <= lookup.upper[found])).all(dim=1)
    compared = lookup._compared(x)
    holds = ((x >= lookup.lower[compared]) & (x <= lookup.upper[compared])).all(dim=1)
    assert torch.equal(inside, holds) and torch.equal(found[holds], compared[holds])
    assert 0.5 < float(holds.double().mean()) < 0.9
