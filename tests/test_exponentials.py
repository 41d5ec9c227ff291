"""Marches by exponentials: functions of exponentials, steps of fourth order, honest estimates, what is for cells."""

import math

import numpy as np
import pytest
import sympy as sp
import torch

import pinnsolve as ps
from pinnsolve.adapt import time_exponentials
from pinnsolve.adapt.exponential_march import ExponentialMarcher
from pinnsolve.adapt.exponential_pairs import ExponentialMarch, in_pair, modal
from pinnsolve.adapt.exponential_step import ExponentialStepper
from pinnsolve.adapt.march_watch import Means
from pinnsolve.adapt.modal_space import ModalSpace
from pinnsolve.adapt.pairs_in_cells import pairs_in_cells
from pinnsolve.adapt.phi_functions import phi, phi_of_matrices
from pinnsolve.adapt.semilinear import semilinear
from pinnsolve.adapt.space_state import OnGrid
from pinnsolve.adapt.time_exponentials import METHOD, exponential
from pinnsolve.bases.wall_functions import (
    COSINE,
    FREE,
    SINE,
    SLOPE,
    VALUE,
)
from pinnsolve.compiler.compiler import compile_problem

SQUARE = """
name: evolving
coordinates: {{t: [{start}, {end}], x: [0, {wide}], y: [-1, 1]}}
unknowns: {unknowns}
equations:
{laws}
conditions:
  start: {{on: "t = {start}", equations: [{starts}]}}
{walls}
{exact}
"""
ZERO = '  walls: {on: boundary, equation: "u = 0"}'
NO_FLUX = '  walls: {on: boundary, equation: "Dn(u) = 0"}'
ROUND = "  x: {periodic: x}\n  y: {periodic: y}"
BUMP = "sin(pi*x)*cos(pi*y/2)"
REACTION = "D(u, t) = laplacian(u)/10 + u - u**3"


def stated(tmp_path, laws=REACTION, walls=ZERO, starts=BUMP, exact="", **more):
    """A problem of one unknown, or more: `laws` and `starts` then are lists."""
    path = tmp_path / "evolving.yaml"
    laws, starts = ([one] if isinstance(one, str) else one for one in (laws, starts))
    names = more.get("unknowns", ["u"])
    text = SQUARE.format(
        start=more.get("start", 0), end=more.get("end", 1), wide=more.get("wide", 1),
        unknowns="[" + ", ".join(names) + "]",
        laws="\n".join(f"  law{i}: {law}" for i, law in enumerate(laws)),
        starts=", ".join(f'"{u} = {s}"' for u, s in zip(names, starts, strict=True)),
        walls=walls, exact=f'exact: {{u: "{exact}"}}' if exact else "",
    )  # fmt: skip
    path.write_text(text)
    return ps.load(str(path))


# -- functions of exponentials -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("z", [-1e6, -30.0, -1.001, -0.999, -1e-3, 0.0, 0.5, 3.0])
def test_functions_of_exponentials_are_exact(z):
    s = sp.Symbol("s")
    exact = [sp.integrate(sp.exp((1 - s) * sp.Rational(z)) * s**k / sp.factorial(k), (s, 0, 1)) for k in range(3)]
    found = phi(torch.tensor([z], dtype=torch.float64))
    for one, right in zip(found, [sp.exp(sp.Rational(z)), *exact], strict=True):
        assert float(one) == pytest.approx(float(right.evalf(30)), rel=1e-13)


@pytest.mark.parametrize("size", [1e-9, 1e-3, 1.0, 300.0])
def test_functions_of_matrices_are_those_of_their_eigenvalues(size):
    """Normal ones, and one that has no eigenvectors but one."""
    generator = torch.Generator().manual_seed(1)
    basis = torch.linalg.qr(torch.randn(3, 3, generator=generator, dtype=torch.complex128)).Q
    z = size * torch.tensor([-1.0, 1j, -1j])
    matrix = basis @ torch.diag(z.to(basis)) @ basis.mH
    for found, exact in zip(phi_of_matrices(matrix[..., None]), phi(z.to(basis)), strict=True):
        assert torch.allclose(found[..., 0], basis @ torch.diag(exact) @ basis.mH, rtol=0, atol=1e-13 * (1 + size))
    chain = torch.diag(torch.full((2,), size, dtype=torch.complex128), 1)  # its exponential ends after the square
    exponential = torch.eye(3, dtype=chain.dtype) + chain + chain @ chain / 2
    assert torch.allclose(phi_of_matrices(chain[..., None])[0][..., 0], exponential, rtol=1e-12, atol=0)


# -- steps ------------------------------------------------------------------------------------------------------------


def stepper(problem, degrees=(16, 16)):
    compiled = compile_problem(problem)
    form = semilinear(compiled, 0)
    rest, start = (OnGrid.of(compiled, 0, e) for e in (form.rest, [one for own in form.start for one in own]))
    space = ModalSpace(compiled.intervals[1:], form, rest, start, degrees)
    return ExponentialStepper(space), space.start(compiled.intervals[0][0]).state


def after(made, state, steps, end=0.5):
    point, told = made.space.at(state, 0.0), 0.0
    for k in range(steps):
        point, error = made.step(point, k * end / steps, end / steps)
        told += float(error[0])
    return point.state, told


def test_steps_are_of_fourth_order_and_tell_their_error(tmp_path):
    made, state = stepper(stated(tmp_path, "D(u, t) = laplacian(u)/10 + 4*u*(1 - u**2)*cos(t)"))
    exact, _ = after(made, state, 256)
    errors, told = zip(
        *((float(made.space.rms([a - b for a, b in zip(found, exact, strict=True)])), t)
          for found, t in (after(made, state, steps) for steps in (8, 16, 32))),
        strict=True,
    )  # fmt: skip
    orders = np.log2(np.divide(errors[:-1], errors[1:]))
    assert (orders > 3.5).all()
    assert all(error < one for error, one in zip(errors, told, strict=True))  # that of a method of third order
    assert (np.log2(np.divide(told[:-1], told[1:])) > 2.5).all()


def test_what_only_diffuses_is_exact_in_one_step(tmp_path):
    made, state = stepper(stated(tmp_path, "D(u, t) = laplacian(u)/10 - u/2"))
    (found,), told = after(made, state, 1, end=2.0)
    factor = math.exp(-2.0 * (math.pi**2 * 1.25 / 10 + 0.5))
    assert torch.allclose(found, factor * state[0], atol=1e-14) and told == 0.0


@pytest.mark.parametrize(("walls", "law"), [(ZERO, REACTION), (ROUND, "D(u, t) = laplacian(u) - D(u, x)/20 - u**3")])
def test_a_thousand_steps_do_not_grow(tmp_path, walls, law):
    made, state = stepper(stated(tmp_path, law, walls, starts="sin(2*pi*x)*cos(pi*y)"), (40, 31))
    size = float(made.space.rms(state)[0])
    found, _ = after(made, state, 1000, end=500.0)
    assert float(made.space.rms(found)[0]) < 2.0 * max(size, 1.0)


# -- which problems ---------------------------------------------------------------------------------------------------

OTHERS = {
    "wave with kinks": ("D(u, t, t) = laplacian(u) + x*u", ZERO + '\n  rest: {on: "t = 0", equation: "D(u, t) = 0"}'),
    "conductivity": ("D(u, t) = div((1 + x)*grad(u))", ZERO),
    "nonlinear diffusion": ("D(u, t) = div((1 + u)*grad(u))", ZERO),
    "across": ("D(u, t) = laplacian(u) + D(u, x, y)/2", ZERO),
    "backwards": ("D(u, t) = D(u, x, x) - D(u, y, y)", ZERO),
    "one way": ("D(u, t) = D(u, x, x) + u**2", ZERO),
    "no diffusion": ("D(u, t) + D(u, x) = -u**2", '  left: {on: "x = 0", equation: "u = 0"}'),
    "exchange": (REACTION, '  walls: {on: boundary, equation: "Dn(u) = -u"}'),
    "the end": (REACTION, ZERO + '\n  end: {on: "t = 1", equation: "u = 0"}'),
    "part of a wall": (REACTION, '  walls: {on: boundary, equation: "u = 0", where: "x < 2"}'),
    "radiation": (REACTION, '  walls: {on: boundary, equation: "Dn(u) = -u**4"}'),
    "contradicting corners": (
        REACTION,
        '  left: {on: "x = 0", equation: "u = 1"}\n  walls: {on: ["x = 1", "y = -1", "y = 1"], equation: "u = 0"}',
    ),
    "a kink on a wall": (
        REACTION,
        '  a: {on: "x = 0", equation: "u = t*max(0, 1 - 4*abs(y))"}\n'
        '  walls: {on: ["x = 1", "y = -1", "y = 1"], equation: "u = 0"}',
    ),
}


@pytest.mark.parametrize("name", OTHERS)
def test_other_problems_are_left_to_others(tmp_path, name):
    assert semilinear(compile_problem(stated(tmp_path, *OTHERS[name])), 0) is None


def test_jumps_inside_and_steady_drift_to_many_digits_are_left_to_cells(tmp_path):
    jump = compile_problem(stated(tmp_path, "D(u, t) = laplacian(u) + where(x < 1/3, 1, 0)"))
    assert exponential(jump, 0, 1e-3) is None
    drift = compile_problem(stated(tmp_path, "D(u, t) + D(u, x) = laplacian(u)"))
    assert exponential(drift, 0, 1e-3) is not None and exponential(drift, 0, 1e-8) is None


def test_the_parts_of_a_problem_are_told_apart(tmp_path):
    laws = ["2*D(u, t) = D(u, x, x) + 3*D(u, y, y) + 4*u - u*v + x", "D(v, t) = u - v"]
    form = semilinear(compile_problem(stated(tmp_path, laws, starts=[BUMP, "x"], unknowns=["u", "v"])), 0)
    assert form.diffusion == ((0.5, 1.5), (0.0, 0.0)) and form.growth == (2.0, -1.0)
    assert form.walls == (((VALUE, VALUE),) * 2, ((FREE, FREE),) * 2)


MIRRORS = {
    "odd": ("u - u**3 + x*0", ZERO, "sin(pi*x)*cos(pi*y/2)", (SINE, SINE)),
    "even": ("u*(1 - u) + cos(pi*x)", NO_FLUX, "2 + cos(pi*x)*sin(pi*y/2)", (COSINE, COSINE)),
    "even there": ("u**2", ZERO, "sin(pi*x)*cos(pi*y/2)", (VALUE, VALUE)),
    "odd there": ("-u*D(u, x)", NO_FLUX, "cos(pi*x)", (SLOPE, SLOPE)),
    "a place": ("-x*u", NO_FLUX, "1", (SLOPE, SLOPE)),
    "a start": ("-u", ZERO, "x*(1 - x)*cos(pi*y/2)", (VALUE, VALUE)),
}


@pytest.mark.parametrize("name", MIRRORS)
def test_walls_are_mirrors_where_the_same_goes_on_beyond(tmp_path, name):
    rest, walls, start, kinds = MIRRORS[name]
    law = f"D(u, t) = laplacian(u)/10 + {rest}"
    form = semilinear(compile_problem(stated(tmp_path, law, walls, start)), 0)
    assert form.walls[0][0] == kinds


def test_what_faces_ask_for_is_met(tmp_path):
    u = "exp(-t)*sin(x + 2*y) + t*x*y**2"
    walls = (
        f'  left: {{on: "x = 0", equation: "u = exp(-t)*sin(2*y)"}}\n'
        f'  right: {{on: "x = 1", equation: "D(u, x) = exp(-t)*cos(1 + 2*y) + t*y**2"}}\n'
        f'  low: {{on: "y = -1", equation: "D(u, y) = 2*exp(-t)*cos(x - 2) - 2*t*x"}}\n'
        f'  high: {{on: "y = 1", equation: "u = {u.replace("y", "1")}"}}'
    )
    (lifted,) = semilinear(compile_problem(stated(tmp_path, walls=walls, starts="sin(x + 2*y)")), 0).lifted
    symbols = {s.name: s for s in lifted.free_symbols}
    t, x, y = (symbols[name] for name in "txy")
    exact = sp.exp(-t) * sp.sin(x + 2 * y) + t * x * y**2
    at = {t: 0.3, x: 0.4, y: 0.7}
    missed = lifted - exact
    for axis, value, order in ((x, 0, 0), (x, 1, 1), (y, -1, 1), (y, 1, 0)):
        found = sp.diff(missed, axis, order) if order else missed
        assert abs(float(found.subs(axis, value).subs(at))) < 1e-12


# -- solutions --------------------------------------------------------------------------------------------------------


def source(u: str, law: str) -> tuple[str, str]:
    """A law whose solution is u, and that as a start at time zero."""
    t, x, y = sp.symbols("t x y")
    given = sp.sympify(u, {"t": t, "x": x, "y": y})
    rate = sp.diff(given, t) - sp.Rational(1, 10) * (sp.diff(given, x, 2) + sp.diff(given, y, 2))
    rest = sp.sympify(law, {"u": given, "x": x, "y": y, "t": t, "ux": sp.diff(given, x)})
    text = law.replace("ux", "D(u, x)")
    return f"D(u, t) = laplacian(u)/10 + {text} + {rate - rest}", str(given.subs(t, 0))


MANUFACTURED = {
    "one condition for all walls": (
        "exp(-t)*sin(x + 2*y) + x*t", "-u**3",
        '  walls: {on: boundary, equation: "u = exp(-t)*sin(x + 2*y) + x*t"}', 1e-6,
    ),
    "values": ("cos(3*t)*sin(pi*x)*cos(pi*y/2)", "u - u**3", ZERO, 1e-6),
    "slopes": ("2 + cos(t)*cos(pi*x)*sin(pi*y/2)", "u*(1 - u)", '  walls: {on: boundary, equation: "Dn(u) = 0"}', 1e-5),
    "periods": ("sin(2*pi*x - t)*cos(pi*y)", "-u*ux", ROUND, 1e-6),
    "mixed": (
        "exp(-t)*sin(x + 2*y) + x*t", "-u**3",
        '  left: {on: "x = 0", equation: "u = exp(-t)*sin(2*y)"}\n'
        '  right: {on: "x = 1", equation: "D(u, x) = exp(-t)*cos(1 + 2*y) + t"}\n'
        '  low: {on: "y = -1", equation: "D(u, y) = 2*exp(-t)*cos(x - 2)"}\n'
        '  high: {on: "y = 1", equation: "u = exp(-t)*sin(x + 2) + x*t"}', 1e-7,
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", MANUFACTURED)
def test_estimates_are_honest_and_tolerances_met(tmp_path, name):
    u, law, walls, tolerance = MANUFACTURED[name]
    law, start = source(u, law)
    solution = ps.solve(stated(tmp_path, law, walls, start, u, end=2), tolerance=tolerance)
    result = solution.result
    error, estimate = (result[key]["u"] for key in ("relative_l2_error", "estimated_error"))
    assert result["status"] == "converged" and result["method"] == METHOD
    assert error < tolerance and 0.9 * error < estimate < 5 * error


def test_waves_between_mirrors_are_of_second_order_in_time(tmp_path):
    """A membrane that is damped, with walls that let nothing through along x, and are held along y."""
    walls = '  x: {on: ["x = 0", "x = 1"], equation: "Dn(u) = 0"}\n  y: {on: ["y = -1", "y = 1"], equation: "u = 0"}'
    walls += '\n  rest: {on: "t = 0", equation: "D(u, t) = -sin(pi*y)"}'
    u = "exp(-t)*cos(t)*sin(pi*y)"  # u'' + 2 u' + 2 u = 0
    law = "D(u, t, t) + 2*D(u, t) = laplacian(u) + (pi**2 - 2)*u - u**3 + (exp(-t)*cos(t)*sin(pi*y))**3"
    problem = stated(tmp_path, law, walls, "sin(pi*y)", u, end=2)
    form = semilinear(compile_problem(problem), 0)
    assert form.damping == (-2.0,) and form.walls == (((COSINE, COSINE), (SINE, SINE)),)
    result = ps.solve(problem, tolerance=1e-5).result
    error, estimate = (result[key]["u"] for key in ("relative_l2_error", "estimated_error"))
    assert result["status"] == "converged" and result["method"] == METHOD
    assert error < 1e-5 and 0.9 * error < estimate < 5 * error


def test_errors_of_what_faces_ask_for_are_seen(tmp_path):
    """The solution is the function that meets the faces, of which the march has nothing left to solve."""
    u = "tanh(20*(t - 1/2))*cos(pi*x)*y"
    law, start = source(u, "u - u**3")
    walls = f'  walls: {{on: boundary, equation: "u = {u}"}}'
    result = ps.solve(stated(tmp_path, law, walls, start, u), tolerance=1e-5).result
    error, estimate = (result[key]["u"] for key in ("relative_l2_error", "estimated_error"))
    assert result["method"] == METHOD and error < 1e-5 and 0.9 * error < estimate < 5 * error


def test_growth_from_little_is_seen(tmp_path):
    """u' = u - u^3 grows by a factor of a thousand, and errors with it: u = 1 / sqrt(1 + (1 / s^2 - 1) e^(-2 t))."""
    walls = '  walls: {on: boundary, equation: "Dn(u) = 0"}'
    exact = "1/sqrt(1 + (1e6 - 1)*exp(-2*t))"
    solution = ps.solve(stated(tmp_path, starts="0.001", walls=walls, exact=exact, end=9), tolerance=1e-5)
    error, estimate = (solution.result[key]["u"] for key in ("relative_l2_error", "estimated_error"))
    assert solution.result["method"] == METHOD and error < 1e-5 and 0.9 * error < estimate < 5 * error


def test_a_short_pulse_in_a_long_time_is_seen(tmp_path):
    pulse = "exp(-((t - 0.617)/0.002)**2)"
    walls = '  walls: {on: boundary, equation: "Dn(u) = 0"}'
    law = f"D(u, t) = laplacian(u)/10 + {pulse}*cos(pi*x)"
    solution = ps.solve(stated(tmp_path, law, walls, starts="1", end=2), tolerance=1e-3)
    assert solution.result["status"] == "converged" and solution.result["method"] == METHOD
    rate, passed = math.pi**2 / 10, 2.0 - 0.617
    exact = 1.0 + 0.002 * math.sqrt(math.pi) * math.exp(-rate * passed)  # at x = y = 0
    assert float(solution.values(np.array([[2.0, 0.0, 0.0]]), "u")[0]) - 1.0 == pytest.approx(exact - 1.0, rel=0.1)


def test_what_does_not_diffuse_goes_along(tmp_path):
    laws = ["D(u, t) = laplacian(u)/10 + v - u", "D(v, t) = u - 2*v"]
    solution = ps.solve(stated(tmp_path, laws, starts=[BUMP, "0"], unknowns=["u", "v"]), tolerance=1e-4)
    assert solution.result["status"] == "converged" and solution.result["method"] == METHOD
    a = 1.25 * math.pi**2 / 10 + 1.0  # both are multiples of the bump: w' = [[-a, 1], [1, -2]] w
    rates, vectors = np.linalg.eigh(np.array([[-a, 1.0], [1.0, -2.0]]))
    exact = vectors @ (np.exp(rates) * (vectors.T @ [1.0, 0.0]))
    point = np.array([[1.0, 0.5, 0.0]])
    found = [float(solution.values(point, name)[0]) for name in ("u", "v")]
    assert found == pytest.approx(exact, rel=1e-3)


def test_in_three_coordinates_faces_are_met(tmp_path):
    path = tmp_path / "box.yaml"
    path.write_text(
        'name: box\ncoordinates: {t: [0, 1], x: [0, 1], y: [0, 1], z: [0, 1]}\nunknowns: u\n'
        'equations: {law: "D(u, t) = laplacian(u)/10 - u**2 + (1 + cos(pi*x)*cos(pi*y)*exp(-t))**2'
        ' + (pi**2/5 - 1)*cos(pi*x)*cos(pi*y)*exp(-t)"}\n'
        'conditions: {start: {on: "t = 0", equation: "u = 1 + cos(pi*x)*cos(pi*y)"},'
        ' walls: {on: boundary, equation: "Dn(u) = 0"}}\nexact: {u: "1 + cos(pi*x)*cos(pi*y)*exp(-t)"}\n'
    )  # fmt: skip
    result = ps.solve(ps.load(str(path)), tolerance=1e-5).result
    assert result["method"] == METHOD and result["status"] == "converged"
    assert result["relative_l2_error"]["u"] < 1e-5


def test_a_start_that_contradicts_its_walls_is_left_to_cells(tmp_path):
    problem = stated(tmp_path, starts="1", end=0.1)
    assert exponential(compile_problem(problem), 0, 1e-3) is not None
    found = ps.solve(problem, tolerance=1e-3, limits={"seconds": 2})
    assert found.result["method"] != METHOD


def test_what_is_stiff_beside_diffusion_is_left_to_others(tmp_path):
    walls = '  walls: {on: boundary, equation: "Dn(u) = 0"}'
    law = "D(u, t) = laplacian(u)/10 - 1e5*(u**3 - (2 + sin(t))**3) + cos(t)"
    solution = ps.solve(stated(tmp_path, law, walls, starts="2", exact="2 + sin(t)"), tolerance=1e-4)
    assert solution.result["status"] == "converged" and solution.result["method"] != METHOD
    assert solution.result["relative_l2_error"]["u"] < 1e-4


def test_a_solution_that_blows_up_is_no_answer(tmp_path):
    result = ps.solve(stated(tmp_path, "D(u, t) = laplacian(u)/10 + u**2", starts=f"9*{BUMP}"), tolerance=1e-2,
                      limits={"seconds": 3}).result  # fmt: skip
    assert result["status"] != "converged" and result["estimated_error"]["u"] > 0.5


def test_steps_without_numbers_are_not_taken(tmp_path):
    problem = compile_problem(stated(tmp_path, "D(u, t) = laplacian(u)/10 + u*exp(800*u**2)"))
    march = ExponentialMarch((16, 16))
    with torch.no_grad():
        ExponentialMarcher(problem, 0, semilinear(problem, 0), 1e-3, Means(lambda: None)).run(march, lambda march: None)
    assert march.status == "stalled" and not march.steps


def test_too_little_memory_is_said(tmp_path):
    problem = compile_problem(stated(tmp_path))
    means = Means(lambda: None, memory=1e4)
    marcher = ExponentialMarcher(problem, 0, semilinear(problem, 0), 1e-3, means)
    with pytest.raises(ps.errors.ResourceError, match="GB"):
        marcher.run(ExponentialMarch((16, 16)), lambda march: None)


def test_what_was_reached_is_the_answer_when_time_is_up(tmp_path, monkeypatch):
    def ends(watch, march):
        if march.time > 0.4:
            raise KeyboardInterrupt
        return None

    monkeypatch.setattr(time_exponentials._Watch, "__call__", ends)
    solution = ps.solve(stated(tmp_path), tolerance=1e-4)
    result = solution.result
    assert result["status"] == "interrupted" and "beyond" in result["message"] and result["method"] == METHOD
    assert result["estimated_error"]["u"] == 1.0
    points = np.array([[0.95, 0.3, 0.2], [0.99, 0.3, 0.2]])
    first, second = solution.values(points, "u")
    assert first == second != 0.0


def test_answers_in_cells_are_the_pairs(tmp_path, monkeypatch):
    monkeypatch.setattr("pinnsolve.adapt.pairs_in_cells.CELL_DEGREE", (8,))
    walls = '  low: {on: ["y = -1", "y = 1"], equation: "Dn(u) = 0"}\n  x: {periodic: x}'
    problem = compile_problem(stated(tmp_path, walls=walls, starts="sin(6*pi*x)*sin(9*pi*y/2) + 1"))
    form = semilinear(problem, 0)
    march = ExponentialMarch((24, 24))
    with torch.no_grad():
        ExponentialMarcher(problem, 0, form, 1e-3, Means(lambda: None)).run(march, lambda march: None)
    answer = pairs_in_cells(march, form, 0.1 * march.relative(), True, (2, 2))
    assert min(answer.cells) > 1 and float((answer.lost / march.relative()).max()) < 0.2
    pair = march.steps[-1]
    c = torch.tensordot(modal(), pair.values, 1)
    whole = answer.c[-math.prod(answer.cells) :]
    squares = whole.square().sum() / math.prod(answer.cells)
    assert float(squares) == pytest.approx(float(c.square().sum()), rel=1e-5)
    now = torch.tensordot(in_pair(1.0), pair.values, 1)[0]
    assert torch.allclose(now, pair.values[2], atol=1e-12)
