"""Time by collocation on cut cells, from rest, and with constraints: nothing grows, errors are as estimated."""

import math

import numpy as np
import pytest
import torch

import pinnsolve as ps
from pinnsolve.adapt.radau import radau
from pinnsolve.adapt.space_problem import can_collocate, in_space
from pinnsolve.adapt.stage_system import StageSystem
from pinnsolve.assembly.term_rows import table_orders
from pinnsolve.bases.piecewise.initial_mesh import space_cells
from pinnsolve.bases.piecewise.space import Space
from pinnsolve.compiler.compiler import compile_problem

RING = ps.Shape(
    {
        "difference": [
            {"disk": {"center": [0, 0], "radius": 1}, "boundary": "outer"},
            {"disk": {"center": [0.2, 0], "radius": 0.3}, "boundary": "inner"},
        ]
    },
    coordinates="x y",
    time={"t": (0, 1)},
)
SQUARE = {"t": (0, 1), "x": (0, 1), "y": (0, 1)}


def ring(inner: str, outer: str, start: str, law: str = "D(u, t) = laplacian(u)", **more) -> ps.Problem:
    return ps.Problem(
        name="ring",
        domain=RING,
        unknowns="u",
        equations={"heat": law},
        conditions={
            "start": ps.Condition(on="t = 0", equation=f"u = {start}"),
            "inner": ps.Condition(on="inner", equation=inner),
            "outer": ps.Condition(on="outer", equation=outer),
        },
        **more,
    )


def stokes(more: dict) -> ps.Problem:
    return ps.Problem(
        name="stokes",
        domain=SQUARE,
        unknowns=["u", "v", "p"],
        equations={
            "along": "D(u, t) + D(p, x) = laplacian(u)",
            "across": "D(v, t) + D(p, y) = laplacian(v)",
            "volume": "D(u, x) + D(v, y) = 0",
        },
        conditions={"start": ps.Condition(on="t = 0", equations=["u = 0", "v = 0"]), **more},
    )


BOX = {"walls": ps.Condition(on="boundary", equations=["u = 0", "v = 0"])}
CHANNEL = {
    "walls": ps.Condition(on=["x = 0", "y = 0", "y = 1"], equations=["u = 0", "v = 0"]),
    "outflow": ps.Condition(on="x = 1", equations=["p = 0", "Dn(v) = 0"]),
}


def propagator(problem: ps.Problem, degree: int, stages: int, dt: float) -> torch.Tensor:
    """What a step makes of every start."""
    compiled = compile_problem(problem)
    axis = compiled.coordinates.index("t")
    assert can_collocate(compiled, axis)
    stated = in_space(compiled, axis)
    space = Space(space_cells(compiled, axis, 2), (degree, degree), table_orders(stated.problem))
    with torch.no_grad():
        system = StageSystem(stated, space, {}, radau(stages), dt, lambda: None)
        C, U, n = space.cells.count, system.unknowns, space.functions
        columns = changed(space.back, torch.eye(C * U * n, dtype=torch.float64).reshape(-1, C, U, n))[:, None]
        start = torch.cat([torch.zeros_like(columns[:1]), columns])
        values = start[:, 0, None].expand(-1, stages, -1, -1, -1)
        for _ in range(2):
            values = values + system.correction(system.residuals(values, start, 0.0))
        return changed(space.orthonormal, system.end(values, start)[1:, 0]).reshape(C * U * n, -1).T


def changed(basis, functions: torch.Tensor) -> torch.Tensor:
    """Functions (N, C, U, n) in another basis of every cell."""
    N, C, U, n = functions.shape
    return basis(functions.movedim(1, 0).reshape(C, N * U, n)).reshape(C, N, U, n).movedim(0, 1)


def grows(step: torch.Tensor) -> float:
    """The norm of 1024 steps."""
    for _ in range(10):
        step = step @ step
    return float(torch.linalg.matrix_norm(step, 2))


@pytest.mark.parametrize("stages", [3, 4, 5, 6, 7, 8])
@pytest.mark.parametrize("held", [BOX, CHANNEL], ids=["box", "channel"])
def test_a_thousand_steps_of_a_flow_do_not_grow(held, stages):
    assert grows(propagator(stokes(held), 4, stages, 0.02)) < 100.0


@pytest.mark.parametrize("stages", [4, 7])
@pytest.mark.parametrize("dt", [0.01, 0.1])
def test_a_thousand_steps_on_cut_cells_do_not_grow(stages, dt):
    assert grows(propagator(ring("Dn(u) = -u", "u = 0", "0"), 3, stages, dt)) < 100.0


def test_an_evolving_problem_on_a_shape_marches_by_collocation():
    problem = ring(
        "Dn(u) + u = Dn(w) + w", "u = w", "w", "D(u, t) = laplacian(u) + D(w, t) - D(w, x, x) - D(w, y, y)",
        definitions={"w": "cos(3*t + 2*x)*exp(y)"}, exact={"u": "w"},
    )  # fmt: skip
    result = ps.solve(problem, tolerance=1e-3).result
    assert result["method"].startswith("collocation") and result["status"] == "converged"
    error, estimate = (result[key]["u"] for key in ("relative_l2_error", "estimated_error"))
    assert error < 1e-3 and error / 5 < estimate


def test_layers_that_begin_at_nothing_march_from_rest():
    slab = ps.Problem(
        name="slab",
        domain=SQUARE,
        unknowns="u",
        equations={"heat": "D(u, t) = laplacian(u)"},
        conditions={
            "start": ps.Condition(on="t = 0", equation="u = 0"),
            "heated": ps.Condition(on="x = 0", equation="Dn(u) = 1"),
            "others": ps.Condition(on=["x = 1", "y = 0", "y = 1"], equation="Dn(u) = 0"),
        },
    )
    solution = ps.solve(slab, tolerance=1e-3)
    assert solution.result["method"].startswith("collocation") and solution.result["status"] == "converged"
    t, x = (part.ravel() for part in np.meshgrid(np.linspace(0.005, 1, 60), np.linspace(0, 1, 40)))
    n = np.arange(1, 80)[:, None]
    modes = (-1.0) ** n / n**2 * np.cos(n * math.pi * (1 - x)) * np.exp(-((n * math.pi) ** 2) * t)
    truth = t + (1 - x) ** 2 / 2 - 1 / 6 - 2 / math.pi**2 * modes.sum(axis=0)
    found = np.asarray(solution(t=t, x=x, y=0.3 + 0 * x))
    assert np.linalg.norm(found - truth) < 1.5e-3 * np.linalg.norm(truth)


@pytest.mark.parametrize("limits", [{"seconds": 1e-3}, {"memory_gb": 1e-6}])
def test_a_march_without_any_step_ends_with_its_start_and_no_network(limits):
    problem = ring("Dn(u) = -u", "u = 0", "1 - x**2 - y**2")
    solution = ps.solve(problem, tolerance=1e-6, limits=limits)
    assert solution.result["status"] not in ("converged", "diverged")
    assert solution.result["method"] == "the start alone" and "mlp" not in solution.result["basis"]
    assert solution.result["estimated_error"]["u"] >= 1.0
    assert float(solution(t=0.9, x=-0.5, y=0.1)) == pytest.approx(1 - 0.26, abs=1e-6)


def test_stages_of_what_is_carried_along_are_solved_apart():
    u = "exp(-10*((x - 0.4*cos(t))**2 + (y - 0.4*sin(t))**2))"
    disk = ps.Shape({"disk": {"center": [0, 0], "radius": 1}}, coordinates="x y", time={"t": (0, 1)})
    problem = ps.Problem(
        name="carried",
        domain=disk,
        unknowns="u",
        equations={"carried": "D(u, t) = y*D(u, x) - x*D(u, y)"},
        conditions={"start": ps.Condition(on="t = 0", equation=f"u = {u.replace('(t)', '(0)')}")},
        exact={"u": u},
    )
    result = ps.solve(problem, tolerance=1e-3).result
    assert result["status"] == "converged" and result["method"].startswith("collocation")
    assert result["relative_l2_error"]["u"] < 1e-3
    assert 0.4 < result["estimated_error"]["u"] / result["relative_l2_error"]["u"] < 3.0
