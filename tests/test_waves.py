"""Periodic problems wave by wave: which ones, waves on grids and in cells, steps, pressures, and honest estimates."""

import numpy as np
import pytest
import sympy as sp
import torch

import pinnsolve as ps
from pinnsolve.adapt.exponential_march import ExponentialMarcher
from pinnsolve.adapt.exponential_pairs import ExponentialMarch
from pinnsolve.adapt.exponential_step import ExponentialStepper
from pinnsolve.adapt.march_watch import Means
from pinnsolve.adapt.time_exponentials import METHOD, exponential
from pinnsolve.adapt.wave_form import wave_form
from pinnsolve.adapt.wave_space import WaveExpressions, WaveSpace
from pinnsolve.bases.wall_functions import PERIODIC, plain_values
from pinnsolve.compiler.compiler import compile_problem

ROUND = {name: f"  {name}: {{periodic: {name}}}" for name in "xyz"}


def stated(tmp_path, laws, starts, unknowns="u", wide="2*pi", axes="xy", end=1, level="", exact=None):
    """A problem in a periodic box of that width, from t = 0."""
    axes_given = "".join(f", {a}: [0, {wide}]" for a in axes)
    text = f"""
name: around
coordinates: {{t: [0, {end}]{axes_given}}}
unknowns: {unknowns}
equations:
{chr(10).join(f"  law{i}: {law}" for i, law in enumerate(laws))}
conditions:
  start: {{on: "t = 0", equations: [{", ".join(f'"{one}"' for one in starts)}]}}
{chr(10).join(ROUND[a] for a in axes)}
{level}
"""
    if exact:
        text += "exact:\n" + "\n".join(f'  {u}: "{e}"' for u, e in exact.items())
    path = tmp_path / "around.yaml"
    path.write_text(text)
    return ps.load(str(path))


def flow(tmp_path, starts, level="", forces=("0", "0"), **more):
    """Navier-Stokes equations in the plane, nu = 1/50."""
    laws = [
        f"D({u}, t) + u*D({u}, x) + v*D({u}, y) + D(p, {a}) = laplacian({u})/50 + {force}"
        for u, a, force in zip("uv", "xy", forces, strict=True)
    ]
    return stated(tmp_path, [*laws, "D(u, x) + D(v, y) = 0"], starts, "[u, v, p]", level=level, **more)


def space_of(problem, *degrees):
    compiled = compile_problem(problem)
    form = wave_form(compiled, 0)
    return WaveSpace(compiled.intervals[1:], form, WaveExpressions.of(compiled, 0, form), degrees)


# -- which problems ---------------------------------------------------------------------------------------------------


def test_the_parts_of_a_problem_are_told_apart(tmp_path):
    laws = ["D(u, t, t) = 4*laplacian(u) - D(u, t)/2 + v - u**3", "D(v, t) + D(v, x, 3) = laplacian(v)/10 + 2*v + u"]
    starts = ["u = sin(x)", "D(u, t) = 1", "v = cos(y)"]
    form = wave_form(compile_problem(stated(tmp_path, laws, starts, "[u, v]")), 0)
    assert form.entries == ((0, 0), (0, 1), (1, 0)) and form.groups == ((0, 1), (2,))
    assert form.linear == {
        (0, 1): {(0, 0): 1.0},
        (1, 0): {(2, 0): 4.0, (0, 2): 4.0},
        (1, 1): {(0, 0): -0.5},
        (2, 2): {(3, 0): -1.0, (2, 0): 0.1, (0, 2): 0.1, (0, 0): 2.0},
    }
    assert form.rest[0] == 0 and len(form.rest[1].args) == 2 and form.multiplier is None


def test_what_derivatives_couple_goes_together(tmp_path):
    starts = ["psi = cos(x) + i*sin(y)"]
    form = wave_form(
        compile_problem(stated(tmp_path, ["i*D(psi, t) + laplacian(psi) = 0"], starts, "{psi: complex}")), 0
    )
    assert form.groups == ((0, 1),) and form.linear[0, 1] == {(2, 0): -1.0, (0, 2): -1.0}


def test_fast_exchange_goes_together(tmp_path):
    laws = ["D(u, t) = {c}*(v - u) + D(u, x, x)", "D(v, t) = {c}*(u - v) + D(v, x, x)/10"]
    starts = ["u = sin(x)", "v = 0"]
    for c, groups in ((1000, ((0, 1),)), (1, ((0,), (1,)))):
        problem = stated(tmp_path, [law.format(c=c) for law in laws], starts, "[u, v]", axes="x")
        assert wave_form(compile_problem(problem), 0).groups == groups


def test_pressures_keep_velocities_free_of_divergence(tmp_path):
    level = '  level: {at: {x: 1, y: 2}, equation: "p = sin(t)"}'
    problem = flow(tmp_path, ["u = sin(x)*cos(y)", "v = -cos(x)*sin(y)"], level)
    multiplier = wave_form(compile_problem(problem), 0).multiplier
    assert multiplier.gradient == {0: {(1, 0): -1.0}, 1: {(0, 1): -1.0}} and multiplier.unknown == 2
    assert multiplier.divergence == {0: {(1, 0): 1.0}, 1: {(0, 1): 1.0}} and multiplier.level[0] == (1.0, 2.0)
    assert wave_form(compile_problem(flow(tmp_path, ["u = sin(x)", "v = 0"])), 0) is None  # starts with divergence


OTHERS = {
    "coefficient": "D(u, t) = D((2 + cos(x))*D(u, x), x) + D(u, y, y)",
    "nonlinear diffusion": "D(u, t) = div((1 + u**2)*grad(u))",
    "steep alone": "D(u, t) + u*D(u, x) = 0",
    "mixed": "D(u, t) - D(u, t, x, x) = -u*D(u, x)",
    "third in time": "D(u, t, 3) = D(u, x)",
}


@pytest.mark.parametrize("name", OTHERS)
def test_other_problems_are_left_to_others(tmp_path, name):
    starts = ["u = sin(x)", *(["D(u, t) = 0", "D(u, t, 2) = 0"] if name == "third in time" else [])]
    assert wave_form(compile_problem(stated(tmp_path, [OTHERS[name]], starts)), 0) is None


def test_on_a_line_many_digits_are_left_to_slabs(tmp_path):
    law = "D(u, t) + 6*u*D(u, x) + D(u, x, 3) = 0"
    compiled = compile_problem(stated(tmp_path, [law], ["u = cos(x)"], axes="x"))
    assert exponential(compiled, 0, 1e-4) is not None and exponential(compiled, 0, 1e-8) is None


# -- waves ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("axes", "degrees"), [("x", (9,)), ("xy", (8, 13)), ("xyz", (6, 4, 9))])
def test_waves_are_what_they_are_on_grids_and_in_plain_functions(tmp_path, axes, degrees):
    start = {"x": "1 + sin(3*x)", "xy": "sin(3*x - 2*y) + cos(4*y)", "xyz": "sin(3*x - 2*y + 4*z) + cos(2*x)"}[axes]
    space = space_of(stated(tmp_path, ["D(u, t) = laplacian(u)"], [f"u = {start}"], axes=axes), *degrees)
    point = space.start(0.0)
    symbols = {s.name: s for s in space.grid}
    exact = sp.sympify(start, {name: symbols[name] for name in axes})
    for order in (0, 1, 2, 3):
        values = sp.lambdify(list(space.grid), sp.diff(exact, symbols["x"], order), "numpy")
        found = space.on_grid(space.entry(point.state, 0), (order, *[0] * (len(axes) - 1)))
        right = values(*(x.numpy() for x in space.grid.values())) + np.zeros(found.shape)
        assert np.allclose(found.numpy(), right, atol=1e-11)
    c = space.plain(point)[0]
    for p in degrees:
        points = torch.linspace(-0.9, 0.9, 4, dtype=torch.float64)
        c = torch.tensordot(c, plain_values(p, PERIODIC, points)[0], ([0], [1]))
    places = np.meshgrid(*[np.pi * (points.numpy() + 1.0)] * len(axes), indexing="ij")
    assert np.allclose(c.numpy(), sp.lambdify(list(space.grid), exact, "numpy")(*places), atol=1e-11)
    rms = float(torch.linalg.vector_norm(space.plain(point)))
    assert float(space.size(point)[0]) == pytest.approx(rms, rel=1e-12)


def test_waves_go_over_to_other_degrees(tmp_path):
    problem = stated(tmp_path, ["D(u, t, t) = laplacian(u)"], ["u = sin(3*x - 2*y)", "D(u, t) = cos(x + y)"])
    small, large = space_of(problem, 8, 8), space_of(problem, 14, 20)
    there = large.at(large.from_other(small, small.start(0.0)), 0.0)
    for found, right in zip(there.state, large.start(0.0).state, strict=True):
        assert torch.allclose(found, right, atol=1e-13)
    back = small.from_other(large, there)
    assert all(torch.allclose(a, b, atol=1e-13) for a, b in zip(back, small.start(0.0).state, strict=True))


def test_steps_of_what_goes_together_are_of_fourth_order(tmp_path):
    law = "i*D(psi, t) + laplacian(psi) + abs(psi)**2*psi = 0"
    space = space_of(stated(tmp_path, [law], ["psi = cos(x) + i*sin(x + y)"], "{psi: complex}"), 16, 16)

    def after(steps):
        made, point = ExponentialStepper(space), space.start(0.0)
        for k in range(steps):
            point, _ = made.step(point, k * 0.5 / steps, 0.5 / steps)
        return point.state

    exact = after(512)
    errors = [float(space.rms([a - b for a, b in zip(after(n), exact, strict=True)]).max()) for n in (16, 32, 64)]
    assert (np.log2(np.divide(errors[:-1], errors[1:])) > 3.5).all()


@pytest.mark.parametrize(
    "law", ["D(u, t) + D(u, x) = laplacian(u)/100 + u/10 - u**3", "D(u, t, t) = laplacian(u) - u**3"]
)
def test_a_thousand_steps_do_not_grow(tmp_path, law):
    starts = ["u = sin(x)*cos(y)/2", *(["D(u, t) = 0"] if "t, t" in law else [])]
    space = space_of(stated(tmp_path, [law], starts), 16, 16)
    made, point = ExponentialStepper(space), space.start(0.0)
    for k in range(1000):
        point, _ = made.step(point, 0.1 * k, 0.1)
    assert float(space.size(point)[0]) < 1.0


# -- solutions --------------------------------------------------------------------------------------------------------

SOLVED = {
    "soliton": (
        ["D(u, t) + 6*u*D(u, x) + D(u, x, 3) = 0"], ["u = 2/cosh(x - 12)**2"],
        {"axes": "x", "wide": 40, "exact": {"u": "2/cosh(x - 12 - 4*t)**2"}}, 1e-4,
    ),
    "waves": (
        ["D(u, t, t) = laplacian(u) - u + sin(x)**2*cos(t)**2 - u**2 + sin(x)*cos(t)"],
        ["u = sin(x)", "D(u, t) = 0"], {"exact": {"u": "sin(x)*cos(t)"}, "end": 3}, 1e-4,
    ),
    "fields": (
        ["D(E, t) = D(B, y)", "D(F, t) = -D(B, x)", "D(B, t) = D(E, y) - D(F, x)"],
        ["E = 0", "F = 0", "B = cos(x)*cos(2*y)"],
        {"unknowns": "[E, F, B]", "exact": {
            "B": "cos(x)*cos(2*y)*cos(sqrt(5)*t)", "E": "-2*cos(x)*sin(2*y)*sin(sqrt(5)*t)/sqrt(5)",
            "F": "sin(x)*cos(2*y)*sin(sqrt(5)*t)/sqrt(5)"}}, 1e-5,
    ),
    "in space": (
        ["D(u, t) = laplacian(u)/9 + D(u, z)"], ["u = sin(x)*cos(2*y)*sin(2*z)"],
        {"axes": "xyz", "exact": {"u": "exp(-t)*sin(x)*cos(2*y)*sin(2*(z + t))"}}, 1e-4,
    ),
}  # fmt: skip


def assert_honest(result, tolerance):
    assert result["status"] == "converged" and result["method"] == METHOD
    for name, error in result["relative_l2_error"].items():
        estimate = result["estimated_error"][name]
        assert error < tolerance and 0.9 * error < estimate < 5 * max(error, 1e-9)


@pytest.mark.parametrize("name", SOLVED)
def test_estimates_are_honest_and_tolerances_met(tmp_path, name):
    laws, starts, more, tolerance = SOLVED[name]
    assert_honest(ps.solve(stated(tmp_path, laws, starts, **more), tolerance=tolerance).result, tolerance)


@pytest.mark.parametrize("level", ["", '  level: {at: {x: 1, y: 2}, equation: "p = sin(5*t)"}'])
def test_flows_with_forces_have_their_pressure(tmp_path, level):
    p = "exp(2*t)*(cos(2*x) + cos(2*y))/4"
    exact = {
        "u": "exp(t)*sin(x)*cos(y)", "v": "-exp(t)*cos(x)*sin(y)",
        "p": f"{p} + sin(5*t) - exp(2*t)*(cos(2) + cos(4))/4" if level else p,
    }  # fmt: skip
    forces = "26*exp(t)*sin(x)*cos(y)/25", "-26*exp(t)*cos(x)*sin(y)/25"
    problem = flow(tmp_path, ["u = sin(x)*cos(y)", "v = -cos(x)*sin(y)"], level, forces, exact=exact)
    assert_honest(ps.solve(problem, tolerance=1e-5).result, 1e-5)


def test_waves_far_beyond_those_held_are_seen(tmp_path):
    """Of waves 5 and 7 the cube makes 15, 21 and none in between that a few more waves would hold."""
    law = "D(u, t) = -7*u/10 - 2*D(u, x, 2) - D(u, x, 4) - u**3"
    compiled = compile_problem(
        stated(tmp_path, [law], ["u = (cos(x/2) + sin(7*x/10))/100"], axes="x", wide="20*pi", end=60)
    )
    form = wave_form(compiled, 0)
    found = []
    for allowed in (1.3e-4, 1e-7):
        march = ExponentialMarch((16,))
        with torch.no_grad():
            ExponentialMarcher(compiled, 0, form, allowed, Means(lambda: None)).run(march, lambda march: None)
        found.append((march.steps[-1].values[2, 0], float(march.relative()[0])))
    (coarse, told), (fine, _) = found
    count = min(len(coarse), len(fine))
    off = torch.cat([fine[:count] - coarse[:count], fine[count:], coarse[count:]])
    assert float(torch.linalg.vector_norm(off) / torch.linalg.vector_norm(fine)) < 1.5 * told


def test_high_derivatives_are_right_in_cells(tmp_path):
    """Cells of high degree would make of rounding a third derivative that jumps where the ends are one."""
    law = "D(u, t) + 6*u*D(u, x) + D(u, x, 2)/3 + D(u, x, 4)/700 = 0"
    problem = stated(tmp_path, [law], ["u = cos(x)*(1 + sin(x))"], axes="x", end=0.3)
    solution = ps.solve(problem, tolerance=1e-4)
    assert solution.result["status"] == "converged" and solution.result["method"] == METHOD
    assert solution.result["terms"]["x"]["relative_residual"] < 1e-3
