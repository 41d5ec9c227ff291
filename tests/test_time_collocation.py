"""Time by collocation: steps do not grow, estimates are honest, solutions are functions of time."""

import math

import pytest
import torch

import pinnsolve as ps
from pinnsolve.adapt import time_collocation
from pinnsolve.adapt.aim import Aim
from pinnsolve.adapt.collocation_march import March, Marcher, _moved
from pinnsolve.adapt.collocation_step import Moment
from pinnsolve.adapt.march_watch import Means
from pinnsolve.adapt.radau import MOST_STAGES, radau
from pinnsolve.adapt.space_problem import can_collocate, in_space
from pinnsolve.adapt.stage_system import StageSystem
from pinnsolve.adapt.step_length import FIRST_PARTS
from pinnsolve.assembly.term_rows import table_orders
from pinnsolve.bases.piecewise.initial_mesh import space_cells
from pinnsolve.bases.piecewise.mesh import uniform_cells
from pinnsolve.bases.piecewise.space import Space
from pinnsolve.compiler.compiler import compile_problem
from pinnsolve.errors import ResourceError
from pinnsolve.estimate.enriched_space import enriched_space
from pinnsolve.method import solve_context
from pinnsolve.solvers.follow import Outcome

SQUARE = """
name: evolving
coordinates: {{t: [0, {end}], x: [0, 1], y: [0, 1]}}
unknowns: u
equations:
  law: {law}
conditions:
  start: {{on: "t = 0", equation: "u = {start}"}}
{more}
{exact}
"""
WALLS = '  walls: {on: boundary, equation: "u = 0"}'
REST = '  rest: {on: "t = 0", equation: "D(u, t) = 0"}\n'
ROUND = "  x: {periodic: x}\n  y: {periodic: y}"
HEAT = ("D(u, t) = D(u, x, x) + 2*D(u, y, y)", WALLS)
ADVECTION = ("D(u, t) + D(u, x) + D(u, y)/2 = 0", ROUND)
WAVE = ("D(u, t, t) = D(u, x, x) + 2*D(u, y, y)", REST + WALLS)
DT = 1.0 / FIRST_PARTS


def stated(tmp_path, law, more, start="sin(pi*x)*sin(pi*y)", end=1, exact=""):
    path = tmp_path / "evolving.yaml"
    exact = f'exact: {{u: "{exact}"}}' if exact else ""
    path.write_text(SQUARE.format(law=law, more=more, start=start, end=end, exact=exact))
    return ps.load(str(path))


@pytest.mark.parametrize("stages", [2, 3, 7, MOST_STAGES])
def test_polynomials_of_the_degree_of_the_stages_have_exact_derivatives(stages):
    method = radau(stages)
    values = method.nodes**stages
    assert torch.allclose(method.rate @ values, stages * method.nodes ** (stages - 1), atol=1e-12)
    assert float(method.weights @ method.nodes) == pytest.approx(0.5, abs=1e-14)
    assert float(method.nodes[-1]) == 1.0


@pytest.mark.parametrize("stages", [2, 5, MOST_STAGES])
def test_modes_take_stages_apart_and_together(stages):
    method = radau(stages)
    identity = sum((out[:, None] * into).real for out, into in zip(method.out_of, method.into, strict=True))
    rate = sum(
        (z * out[:, None] * into).real for z, out, into in zip(method.shifts, method.out_of, method.into, strict=True)
    )
    assert torch.allclose(identity, torch.eye(stages, dtype=torch.float64), atol=1e-9)
    assert torch.allclose(rate, method.rate, atol=1e-7)


@pytest.mark.parametrize("dt", [0.02, 0.2])
@pytest.mark.parametrize("stages", [3, 4, 5, 6, 7, MOST_STAGES])
@pytest.mark.parametrize("kind", [HEAT, ADVECTION, WAVE])
def test_a_thousand_steps_do_not_grow(tmp_path, kind, stages, dt):
    problem = compile_problem(stated(tmp_path, *kind))
    there = in_space(problem, 0)
    space = Space(space_cells(problem, 0, 2), (4, 4), table_orders(there.problem))
    with torch.no_grad():
        system = StageSystem(there, space, {}, radau(stages), dt, lambda: None)
        propagator = _propagator(system)
    powers = propagator
    for _ in range(10):  # 1024 steps
        powers = powers @ powers
    assert float(torch.linalg.matrix_norm(powers, 2)) < 100.0
    assert float(torch.linalg.eigvals(propagator).abs().max()) < 1.0 + 2e-3


def _propagator(system: StageSystem) -> torch.Tensor:
    """What a step makes of every start."""
    levels = max(system.stated.evolving)
    C, n = system.space.cells.count, system.space.functions
    columns = torch.eye(levels * C * n, dtype=torch.float64).reshape(-1, levels, C, 1, n)
    # second right-hand sides have no sources
    start = torch.cat([torch.zeros_like(columns[:1]), columns])
    stages = start[:, 0, None].expand(-1, system.method.stages, -1, -1, -1)
    for _ in range(2):
        stages = stages + system.correction(system.residuals(stages, start, 0.0))
    return system.end(stages, start)[1:].reshape(len(columns), -1).T


DRIFT = ("D(u, t) + 2*D(u, x) = laplacian(u)", WALLS)
CASES = {
    "drift": (DRIFT, "exp(x - 1 - (2*pi**2 + 1)*t)", 0.3, 1e-6),
    "wave": (WAVE, "cos(sqrt(3)*pi*t)", 4, 1e-5),
}


@pytest.mark.parametrize("name", CASES)
def test_the_estimate_is_honest_and_the_tolerance_met(tmp_path, name, monkeypatch):
    monkeypatch.setattr("pinnsolve.adapt.forward.exponential", lambda *_: None)  # which takes waves between mirrors
    kind, factor, end, tolerance = CASES[name]
    start = "sin(pi*x)*sin(pi*y)" + ("*exp(x - 1)" if name == "drift" else "")
    problem = stated(tmp_path, *kind, start=start, end=end, exact=f"sin(pi*x)*sin(pi*y)*{factor}")
    solution = ps.solve(problem, tolerance=tolerance)
    error, estimate = (solution.result[key]["u"] for key in ("relative_l2_error", "estimated_error"))
    assert solution.result["method"].startswith("collocation in time")
    assert error < tolerance
    assert error / 5 < estimate < 5 * error


def test_sources_and_walls_may_change_in_time(tmp_path):
    law = "D(u, t) = laplacian(u) + x*cos(t) + y"
    walls = '  walls: {on: boundary, equation: "u = x*sin(t) + y*t + 1"}'
    problem = stated(tmp_path, law, walls, start="1", end=2, exact="x*sin(t) + y*t + 1")
    solution = ps.solve(problem, tolerance=1e-6)
    assert solution.result["relative_l2_error"]["u"] < 1e-6
    assert float(solution.derivative("u", "t")(t=1.3, x=0.4, y=0.2)) == pytest.approx(
        0.4 * math.cos(1.3) + 0.2, abs=1e-4
    )


def test_a_solution_is_saved_and_loaded_as_a_function_of_time(tmp_path):
    problem = stated(tmp_path, *HEAT, end=0.1)
    solution = ps.solve(problem, tolerance=1e-4)
    solution.save(tmp_path / "run")
    again = ps.load_solution(tmp_path / "run")
    at = {"t": [0.013, 0.1], "x": 0.4, "y": 0.3}
    assert torch.equal(torch.as_tensor(again(**at)), torch.as_tensor(solution(**at)))


def test_what_is_not_in_the_plane_is_left_to_slabs(tmp_path):
    assert can_collocate(compile_problem(stated(tmp_path, *HEAT)), 0)
    line = compile_problem(ps.load("heat-1d"))
    assert not can_collocate(line, line.coordinates.index("t"))


def answered(kind, truth, tolerance, tmp_path):
    """The result for u = truth, which the walls and the start say, too."""
    walls = f'  walls: {{on: boundary, equation: "u = {truth}"}}'
    problem = stated(tmp_path, kind, walls, start=truth, end=0.5, exact=truth)
    result = ps.solve(problem, tolerance=tolerance).result
    assert result["method"].startswith("collocation in time") and result["status"] == "converged"
    error, estimate = (result[key]["u"] for key in ("relative_l2_error", "estimated_error"))
    return error, estimate


FRONT = "1/(1 + exp((x + y - t)/0.2))"
CHANGING = {
    "front": (f"D(u, t) + u*(D(u, x) + D(u, y)) = 0.1*(1 + u - {FRONT})*laplacian(u)", FRONT, 1e-4),
    "operator in time": ("D(u, t) = (1 + t)*laplacian(u) + 2*t - 4*(1 + t)", "x**2 + y**2 + t**2 - x", 1e-8),
}


@pytest.mark.parametrize("name", ["front", "operator in time"])
def test_operators_that_change_march_by_collocation(name, tmp_path):
    law, truth, tolerance = CHANGING[name]
    error, estimate = answered(law, truth, tolerance, tmp_path)
    assert error < tolerance
    assert error / 5 < estimate + 1e-10 and estimate < 20 * error + 1e-10


def test_where_rows_are_linearized_is_no_part_of_what_linear_ones_ask_for(tmp_path):
    problem = compile_problem(stated(tmp_path, "D(u, t) + u*D(u, x) = laplacian(u)", ROUND))
    there = in_space(problem, 0)
    space = Space(space_cells(problem, 0, 2), (4, 4), table_orders(there.problem))
    torn = space.project(lambda x: x[:, :1].T, 1)  # not periodic
    with torch.no_grad():
        system = StageSystem(there, space, {}, radau(3), 0.1, lambda: None)
        system.linearize([torn, 0 * torn], 0.0)
        stages = torn.expand(1, 3, -1, -1, -1)
        residuals = system.residuals(stages, torn[None, None], 0.0)
        none = system.residuals(0 * stages, 0 * torn[None, None], 0.0)
    for rows, r, zero in zip(system._rows, residuals, none, strict=True):
        if rows.block.name == "x":
            assert float(r.abs().max()) > 0.01
        assert float(zero.abs().max()) < 1e-14


def test_a_nonlinear_wave_marches_by_collocation(tmp_path):
    wave = ps.Problem(
        name="wave",
        domain={"t": (0, 1), "x": (0, 1), "y": (0, 1)},
        unknowns="u",
        definitions={"w": "cos(2*t + x)*exp(y)"},
        equations={"wave": "D(u, t, t) = laplacian(u) - u**3 + w**3 - 4*w"},
        conditions={
            "start": {"on": "t = 0", "equations": ["u = w", "D(u, t) = D(w, t)"]},
            "walls": {"on": "boundary", "equation": "u = w"},
        },
        exact={"u": "w"},
    )
    result = ps.solve(wave, tolerance=1e-5).result
    assert result["method"].startswith("collocation") and result["relative_l2_error"]["u"] < 1e-5


VORTEX = """
name: vortex
coordinates: {{t: [0, {end}], x: [0, 1], y: [0, 2]}}
unknowns: [v, w, q]
parameters: {{nu: {nu}}}
definitions: {{f: exp(-5*pi**2*nu*t)}}
equations:
  along: D(v, t) + v*D(v, x) + w*D(v, y) + D(q, x) = nu*laplacian(v)
  across: D(w, t) + v*D(w, x) + w*D(w, y) + D(q, y) = nu*laplacian(w)
  volume: D(v, x) + D(w, y) = 0
conditions:
  start: {{on: "t = 0", equations: ["v = cos(2*pi*x)*sin(pi*y)", "w = -2*sin(2*pi*x)*cos(pi*y)"]}}
  x: {{periodic: x}}
  y: {{periodic: y}}
exact:
  v: cos(2*pi*x)*sin(pi*y)*f
  w: -2*sin(2*pi*x)*cos(pi*y)*f
  q: -(4*cos(2*pi*y) + cos(4*pi*x))*f**2/4
"""


def test_pressures_without_derivative_in_time_follow_from_the_stages(tmp_path, monkeypatch):
    monkeypatch.setattr("pinnsolve.adapt.forward.exponential", lambda *_: None)  # which would take it wave by wave
    path = tmp_path / "vortex.yaml"
    path.write_text(VORTEX.format(end=0.2, nu=0.02))
    problem = compile_problem(ps.load(str(path)))
    assert in_space(problem, 0).free == (False, False, True)
    result = ps.solve(ps.load(str(path)), tolerance=1e-3).result
    assert result["method"].startswith("collocation") and result["status"] == "converged"
    assert max(result["relative_l2_error"].values()) < 1e-3


def test_a_march_may_be_ended_after_any_step(tmp_path):
    problem = compile_problem(stated(tmp_path, *HEAT))
    there = in_space(problem, 0)
    march = March(Space(space_cells(problem, 0, 1), (6, 6), table_orders(there.problem)), DT)
    with torch.no_grad():
        Marcher(there, (0.0, 1.0), {}, Aim(3e-3, 1e-3, 1e-2), Means(lambda: None)).run(
            march, lambda m: "enough" if len(m.steps) == 2 else None
        )
    assert march.status == "enough" and len(march.steps) == 2
    assert march.time == pytest.approx(sum(step.dt for step in march.steps))


def test_a_start_that_contradicts_the_walls_is_left_to_slabs(tmp_path):
    problem = compile_problem(stated(tmp_path, *HEAT, start="1"))
    there = in_space(problem, 0)
    march = March(Space(space_cells(problem, 0, 1), (6, 6), table_orders(there.problem)), DT)
    with torch.no_grad():
        Marcher(there, (0.0, 1.0), {}, Aim(3e-3, 1e-3, 1e-2), Means(lambda: None)).run(march, lambda m: None)
    assert march.status == "stalled" and not march.steps


def string(x, t):
    """A string between ends that move freely, at rest as x at first."""
    n = torch.arange(1, 4001, 2, dtype=torch.float64) * math.pi
    return 0.5 - 4.0 * (torch.cos(n * x[:, None]) * torch.cos(n * t[:, None]) / n**2).sum(dim=1)


def test_kinks_of_waves_are_followed_with_degrees_that_fill_a_ball(tmp_path):
    law = "D(u, t, t) = laplacian(u)"
    free = REST + '  walls: {on: boundary, equation: "Dn(u) = 0"}'
    problem = compile_problem(stated(tmp_path, law, free, start="x", end=1))
    there = in_space(problem, 0)
    march = March(Space(space_cells(problem, 0, 1), (6, 6), table_orders(there.problem)), DT)
    marcher = Marcher(there, (0.0, 1.0), {}, Aim.first(3e-2), Means(lambda: None))
    with torch.no_grad():
        marcher.run(march, lambda m: None)
    assert march.status == "finished" and march.space.ball
    x, last = torch.rand(200, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(5)), march.steps[-1]
    true = string(x[:, 0], torch.ones(200, dtype=torch.float64))
    found = enriched_space(last.space).values(last.corrected[-1], x, (0, 0))[0]
    missed = float((found - true).norm() / true.norm())
    assert missed < march.error() < 10 * missed and missed < 3e-2


def test_kinks_are_followed_from_the_start_on_the_cells_that_they_need():
    result = ps.solve(ps.load("wave-random-speed"), tolerance=5e-2).result
    assert result["status"] == "converged" and result["method"].startswith("collocation")
    assert result["relative_l2_error"]["u"] < result["estimated_error"]["u"]


def drum(points):
    """A square drum whose skin is struck everywhere at once, at points (N, 3)."""
    m = torch.arange(1, 400, 2, dtype=torch.float64) * math.pi
    rate = torch.sqrt(m[:, None] ** 2 + m**2)
    t, x, y = points.unbind(dim=1)
    waves = 16.0 / (m[:, None] * m * rate) * torch.sin(rate * t[:, None, None])
    return torch.einsum("kmn,km,kn->k", waves, torch.sin(m * x[:, None]), torch.sin(m * y[:, None]))


def test_walls_that_stop_what_moves_at_the_start_send_out_kinks(tmp_path):
    struck = '  struck: {on: "t = 0", equation: "D(u, t) = 1"}\n'
    problem = stated(tmp_path, "D(u, t, t) = laplacian(u)", struck + WALLS, start="0")
    solution = ps.solve(problem, tolerance=3e-2)
    assert solution.result["status"] == "converged"
    assert solution.result["method"].startswith("collocation")
    points = torch.rand(400, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(4))
    true, found = drum(points), torch.as_tensor(solution.columns(points.numpy())["u"])
    missed = float((found - true).norm() / true.norm())
    assert missed < 3e-2 and missed < 1.2 * solution.result["estimated_error"]["u"]


@pytest.mark.parametrize("start, moves, contradicts", [(1.0, 1.0, False), (1.0, 0.0, True)])
def test_what_leaves_through_a_wall_that_lets_it_out_contradicts_nothing(tmp_path, start, moves, contradicts):
    bump = f"{start}*exp(-20*(x - 0.8)**2)"
    more = (
        f'  moving: {{on: "t = 0", equation: "D(u, t) = {moves}*40*(x - 0.8)*{bump}"}}\n'
        '  out: {on: "x = 1", equation: "D(u, t) + D(u, x) = 0"}\n'
        '  end: {on: "x = 0", equation: "u = 0"}\n  y: {periodic: y}'
    )
    problem = compile_problem(stated(tmp_path, "D(u, t, t) = laplacian(u)", more, start=bump, end=4))
    there = in_space(problem, 0)
    marcher = Marcher(there, (0.0, 4.0), {}, Aim.first(1e-3), Means(lambda: None))
    march = March(Space(space_cells(problem, 0, 1), (9, 9), table_orders(there.problem)), DT)
    with torch.no_grad():
        at = marcher.begin(march)
        assert marcher.starts.contradicted(march.space, at, marcher.aim.inside) == contradicts


def test_kinks_that_are_odd_about_the_middle_are_seen(tmp_path):
    free = REST + '  walls: {on: boundary, equation: "Dn(u) = 0"}'
    solution = ps.solve(stated(tmp_path, "D(u, t, t) = laplacian(u)", free, start="x"), tolerance=1e-2)
    points = torch.rand(1000, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(6))
    true, found = string(points[:, 1], points[:, 0]), torch.as_tensor(solution.columns(points.numpy())["u"])
    missed = float((found - true).norm() / true.norm())
    assert missed < 1.2 * solution.result["estimated_error"]["u"] < 1.2e-2


@pytest.mark.parametrize("parts, richer", [(2, False), (16, True)])
def test_kinks_get_degrees_where_smaller_cells_would_be_too_many(tmp_path, parts, richer):
    there = in_space(compile_problem(stated(tmp_path, *WAVE)), 0)
    marcher = Marcher(there, (0.0, 1.0), {}, Aim.first(1e-3), Means(lambda: None))
    cells = uniform_cells(torch.zeros(2, dtype=torch.float64), torch.ones(2, dtype=torch.float64), [parts, parts])
    march = March(Space(cells, (9, 9), table_orders(there.problem), ball=True), DT)
    blamed = torch.ones(cells.count, 2, dtype=torch.float64)
    before = march.space
    c = before.project(lambda x: (x[:, 0] - 0.4).abs()[None], 1)
    assert marcher._refined(march, blamed, 1.5, c)
    assert march.space.ball
    assert (march.space.degrees > before.degrees) == richer == (march.space.cells is before.cells)


def test_a_start_that_polynomials_miss_by_little_contradicts_nothing(tmp_path):
    law = "D(u, t, t) + D(u, t)/10 = laplacian(u)"
    problem = compile_problem(stated(tmp_path, law, REST + ROUND, start="exp(cos(2*pi*x))*sin(2*pi*y)"))
    there = in_space(problem, 0)
    marcher = Marcher(there, (0.0, 1.0), {}, Aim.first(1e-8), Means(lambda: None))
    march = March(Space(space_cells(problem, 0, 1), (14, 14), table_orders(there.problem)), DT)
    with torch.no_grad():
        start = marcher.begin(march)
        assert marcher.starts.missed(there.problem, march.space, start.c) > 0
        assert not marcher.starts.contradicted(march.space, start, marcher.aim.inside)


def test_a_start_is_free_of_divergence_as_far_as_its_space_holds_it(tmp_path):
    path = tmp_path / "vortex.yaml"
    path.write_text(VORTEX.format(end=0.2, nu=0.02))
    problem = compile_problem(ps.load(str(path)))
    there = in_space(problem, 0)
    assert "volume" in {term.name for term in there.constraints}
    marcher = Marcher(there, (0.0, 0.2), {}, Aim.first(1e-3), Means(lambda: None))
    march = March(Space(space_cells(problem, 0, 1), (9, 11), table_orders(there.problem)), 0.2 * DT)
    with torch.no_grad():
        start = marcher.begin(march)
        x = torch.rand(50, 2, dtype=torch.float64) * torch.tensor([1.0, 2.0])
        slopes = march.space.combined(start.c[0], x, [(1, 0), (0, 1)])
    divergence = slopes[(1, 0)][0] + slopes[(0, 1)][1]
    assert float(divergence.abs().max()) < 1e-3 * float(slopes[(1, 0)][0].abs().max())


def test_functions_move_to_lower_degrees_with_what_these_lack(tmp_path):
    problem = compile_problem(stated(tmp_path, *HEAT))
    cells = space_cells(problem, 0, 1)
    old, new = (
        Space(cells, (8, 8), (2, 2)),
        Space(cells.split(torch.ones(1, dtype=torch.bool), torch.ones(1, 2, dtype=torch.bool)), (5, 5), (2, 2)),
    )
    c = old.project(lambda x: torch.sin(3 * x[:, 0] + x[:, 1])[None], 1)[None]
    e = torch.zeros(1, 1, 1, enriched_space(old).functions, dtype=torch.float64)
    moved = _moved(Moment(c, e), old, new)
    x = torch.rand(100, 2, dtype=torch.float64)
    fine = enriched_space(new)
    before = old.values(c[0], x, (0, 0))
    after = new.values(moved.c[0], x, (0, 0))
    corrected = after + fine.values(moved.e[0], x, (0, 0))
    assert float((corrected - before).abs().max()) < 0.05 * float((after - before).abs().max())


def test_memory_of_steps_is_stated_before_it_is_taken(tmp_path):
    problem = compile_problem(stated(tmp_path, *HEAT))
    there = in_space(problem, 0)
    march = March(Space(space_cells(problem, 0, 1), (6, 6), table_orders(there.problem)), DT)
    marcher = Marcher(there, (0.0, 1.0), {}, Aim(3e-3, 1e-3, 1e-2), Means(lambda: None, memory=1e3))
    with torch.no_grad(), pytest.raises(ResourceError, match=r"\d+ coefficients, needs .* GB, and 1e-06 GB may be"):
        marcher.run(march, lambda m: None)
    assert not march.steps


def test_a_problem_that_no_space_serves_at_once_is_left_to_slabs(tmp_path):
    problem = compile_problem(stated(tmp_path, *HEAT))
    there = in_space(problem, 0)
    march = March(Space(space_cells(problem, 0, 1), (6, 6), table_orders(there.problem)), DT)
    marcher = Marcher(there, (0.0, 1.0), {}, Aim(3e-3, 1e-3, 1e-2), Means(lambda: None))
    marcher._excess = lambda blame, allowed: (0.0, 100.0)  # space does not get better, however it is refined
    with torch.no_grad():
        marcher.run(march, lambda m: None)
    assert march.status == "stalled" and not march.steps and march.space.cells.count <= 4


@pytest.mark.parametrize("walls", ["u = w", "u = 0"])
def test_a_wave_that_starts_with_a_velocity(walls, monkeypatch):
    monkeypatch.setattr("pinnsolve.adapt.forward.exponential", lambda *_: None)
    shape = "sin(3*t)*sin(pi*x)*sin(pi*y)" if walls == "u = 0" else "sin(3*t + x)*cos(y - t)"
    wave = ps.Problem(
        name="wave",
        domain={"t": (0, 3), "x": (0, 1), "y": (0, 1)},
        unknowns="u",
        definitions={"w": shape},
        equations={"wave": "D(u, t, t) = 2*laplacian(u) + D(w, t, t) - 2*(D(w, x, x) + D(w, y, y))"},
        conditions={
            "start": {"on": "t = 0", "equations": ["u = w", "D(u, t) = D(w, t)"]},
            "walls": {"on": "boundary", "equation": walls},
        },
        exact={"u": "w"},
    )
    result = ps.solve(wave, tolerance=1e-4).result
    assert result["method"].startswith("collocation") and result["status"] == "converged"
    assert result["relative_l2_error"]["u"] < 1e-4
    assert 0.2 < result["effectivity"]["u"] < 5


def test_a_kink_that_sets_out_from_a_wall_is_followed(tmp_path):
    """The start is not level at the walls, which ask for it: reflected, it has a kink that travels."""
    walls = REST + '  walls: {on: boundary, equation: "Dn(u) = 0"}'
    truth = "(exp(-10*(abs(x - t) - 0.5)**2) + exp(-10*(abs(1 - x - t) - 0.5)**2))/2"
    law, start = "D(u, t, t) = laplacian(u)", "exp(-10*(x - 0.5)**2)"
    problem = stated(tmp_path, law, walls, start=start, end=0.25, exact=truth)
    result = ps.solve(problem, tolerance=1e-2).result
    assert result["method"].startswith("collocation in time") and result["status"] == "converged"
    error, estimate = (result[key]["u"] for key in ("relative_l2_error", "estimated_error"))
    assert error < 1e-2
    assert error / 5 < estimate < 5 * error


def test_less_is_allowed_of_steps_where_errors_grow_too_fast():
    aim = Aim.first(1e-2)
    assert aim.after(1e-3, 0.0, 0.0) is aim and aim.after(6e-3, 0.0, 1.0) is aim
    assert aim.after(6e-3, 5e-3, 0.5).at_end < aim.at_end
    assert aim.after(6e-3, 5e-3, 0.5).inside == aim.inside


def test_no_less_is_allowed_where_errors_shrink_and_more_again_where_they_are_forgotten():
    aim = Aim.first(1e-2)
    assert aim.after(6e-3, 7e-3, 0.5) is aim
    less = aim.after(6e-3, 5e-3, 0.5)
    assert less.after(1e-3, 2e-3, 0.5).at_end == aim.at_end
    assert less.after(1e-3, 5e-4, 0.5) is less
    again = aim.smaller(0.1)  # another march, which allows no more than it begins with
    assert again.after(1e-5, 2e-5, 0.5) is again


@pytest.mark.parametrize("first_is_cut", [False, True])
def test_what_is_repeated_is_said_of_the_answer_that_is_kept(tmp_path, monkeypatch, first_is_cut):
    problem, marches = stated(tmp_path, *HEAT), []

    def cut_short(run, clock):
        march = run.args[0]
        run()
        marches.append(march)
        if len(marches) == 1 and not first_is_cut:
            return march
        del march.steps[2:]
        return Outcome(None, "time_limit", "the time limit was reached")

    monkeypatch.setattr(time_collocation, "attempt", cut_short)
    context = solve_context(problem, compile_problem(problem), None)
    found = list(time_collocation.collocations(context, 0, 1e-2, {}, 1))
    last = next(one for one in reversed(found) if isinstance(one, Outcome))
    assert len(marches) == 2
    assert ("the last values are repeated" in last.message) == first_is_cut
