"""What `auto` does on cells, from end to end: errors on points that no solve used, estimates, and how solves end."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest
import sympy as sp
import torch

import pinnsolve as ps
from pinnsolve.adapt.hp_refinement import corrected, newton, solve_level
from pinnsolve.adapt.time_marching import can_march
from pinnsolve.assembly.term_rows import table_orders
from pinnsolve.bases.piecewise.mesh import uniform_cells
from pinnsolve.bases.piecewise.space import Space
from pinnsolve.compiler.compiler import compile_problem

FACTOR = 5.0  # within which the estimate is of the true error
ROUNDING = 1e-12
WHOLE, IN_SLABS = "least_squares", "time slabs, least_squares"
IN_STEPS = "exponentials in time, galerkin in space"  # of diffusion in a box, and of waves that are periodic


def start(*equations: str) -> ps.Condition:
    return ps.Condition(on="t = 0", equations=list(equations))


def wall(*equations: str) -> ps.Condition:
    return ps.Condition(on="boundary", equations=list(equations))


KNOWN = {
    "poisson": {
        "domain": ps.Box(x=(0, 1), y=(0, 1)),
        "equations": {"poisson": "laplacian(u) = -5*pi**2*sin(pi*x)*sin(2*pi*y)"},
        "conditions": {"walls": wall("u = 0")},
        "exact": {"u": "sin(pi*x)*sin(2*pi*y)"},
    },
    "helmholtz": {
        "domain": ps.Box(x=(-1, 1), y=(-1, 1)),
        "equations": {"helmholtz": "laplacian(u) + 9*u = -sin(3*x)*cos(y)"},
        "conditions": {"walls": wall("u = sin(3*x)*cos(y)")},
        "exact": {"u": "sin(3*x)*cos(y)"},
    },
    "wave": {
        "domain": ps.Box(t=(0, 1), x=(0, 1)),
        "equations": {"wave": "D(u, t, t) = 4*D(u, x, x)"},
        "conditions": {"start": start("u = sin(pi*x)", "D(u, t) = 0"), "walls": wall("u = 0")},
        "exact": {"u": "sin(pi*x)*cos(2*pi*t)"},
    },
    "burgers": {  # a front of width 0.04 that travels
        "domain": ps.Box(t=(0, 1), x=(-1, 1)),
        "parameters": {"nu": 0.02},
        "definitions": {"front": "1/2 - tanh((x - t/2 + 1/2)/(4*nu))/2"},
        "equations": {"momentum": "D(u, t) + u*D(u, x) = nu*D(u, x, x)"},
        "conditions": {"start": start("u = front"), "walls": wall("u = front")},
        "exact": {"u": "front"},
    },
    "ring": {
        "domain": ps.Box(t=(0, 1), x=(0, "2*pi")),
        "equations": {"transport": "D(u, t) + 2*D(u, x) = 0"},
        "conditions": {"start": start("u = exp(sin(x))"), "ring": ps.Condition(periodic="x")},
        "exact": {"u": "exp(sin(x - 2*t))"},
    },
    "heat": {  # in a plane, insulated
        "domain": ps.Box(t=(0, 1), x=(0, 1), y=(0, 1)),
        "equations": {"heat": "D(u, t) = laplacian(u)/20"},
        "conditions": {"start": start("u = 2 + cos(pi*x)*cos(pi*y)"), "walls": wall("Dn(u) = 0")},
        "exact": {"u": "2 + exp(-pi**2*t/10)*cos(pi*x)*cos(pi*y)"},
    },
    "oscillator": {
        "domain": ps.Box(t=(0, 20)),
        "unknowns": ["u", "v"],
        "equations": {"position": "D(u, t) = v", "speed": "D(v, t) = -u"},
        "conditions": {"start": start("u = 0", "v = 1")},
        "exact": {"u": "sin(t)", "v": "cos(t)"},
    },
    "kovasznay": {
        "domain": ps.Box(x=(-0.5, 1), y=(-0.5, 1.5)),
        "unknowns": ["u", "v", "p"],
        "parameters": {"k": "10 - sqrt(100 + 4*pi**2)"},
        "definitions": {"f": "exp(k*x)"},
        "equations": {
            "momentum_x": "advect([u, v], u) + D(p, x) = laplacian(u)/20",
            "momentum_y": "advect([u, v], v) + D(p, y) = laplacian(v)/20",
            "mass": "D(u, x) + D(v, y) = 0",
        },
        "conditions": {"walls": wall("u = 1 - f*cos(2*pi*y)", "v = k*f*sin(2*pi*y)/(2*pi)", "p = (1 - f**2)/2")},
        "exact": {"u": "1 - f*cos(2*pi*y)", "v": "k*f*sin(2*pi*y)/(2*pi)", "p": "(1 - f**2)/2"},
    },
    "cube": {
        "domain": ps.Box(x=(0, 1), y=(0, 1), z=(0, 1)),
        "equations": {"poisson": "laplacian(u) = 3*exp(x + y + z)"},
        "conditions": {"walls": wall("u = exp(x + y + z)")},
        "exact": {"u": "exp(x + y + z)"},
    },
    "kink": {  # of the solution inside a cell, where only smaller cells help (a comparison would make materials)
        "domain": ps.Box(x=(0, 1)),
        "equations": {"bend": "D(u, x, x) = heaviside(0.3 - x)"},
        "conditions": {"ends": wall("u = where(x < 0.3, x**2/2, 0.3*x - 0.045)")},
        "exact": {"u": "where(x < 0.3, x**2/2, 0.3*x - 0.045)"},
    },
    "insulated": {  # determined up to a constant
        "domain": ps.Box(x=(0, 1), y=(0, 2)),
        "equations": {"poisson": "laplacian(u) = -2*pi**2*cos(pi*x)*cos(pi*y)"},
        "conditions": {"walls": wall("Dn(u) = 0")},
        "exact": {"u": "cos(pi*x)*cos(pi*y)"},
    },
    "torus": {
        "domain": ps.Box(x=(0, 1), y=(0, 1)),
        "equations": {"poisson": "laplacian(u) = -8*pi**2*sin(2*pi*x)*cos(2*pi*y)"},
        "conditions": {"around": ps.Condition(periodic=["x", "y"])},
        "exact": {"u": "sin(2*pi*x)*cos(2*pi*y)"},
    },
}
FLOATING = ("insulated", "torus")


def problem(name: str, **changes) -> ps.Problem:
    return ps.Problem(**{"name": name, "unknowns": "u", **KNOWN[name], **changes})


@cache
def solved(name: str, tolerance: float = 1e-5) -> ps.Solution:
    return ps.solve(problem(name), tolerance=tolerance)


def measured(solution: ps.Solution, count: int = 3000) -> dict[str, float]:
    """Relative L2 errors on random points of our own."""
    random = np.random.default_rng(77)
    points = {
        c: low + (high - low) * random.random(count)
        for c, (low, high) in zip(solution.coordinates, solution.intervals, strict=True)
    }
    values = solution(**points)
    values = values if isinstance(values, dict) else {"u": values}
    found = {}
    for unknown, expression in problem(solution.name).exact.items():
        symbols = {s.name: s for s in expression.free_symbols}
        given = [symbols[c] for c in points if c in symbols]
        true = sp.lambdify(given, expression, "numpy")(*(points[s.name] for s in given)) + np.zeros(count)
        wrong = values[unknown] - true
        if solution.name in FLOATING:
            wrong -= wrong.mean()
        found[unknown] = float(np.linalg.norm(wrong) / np.linalg.norm(true))
    return found


# -- the answer and its error -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", KNOWN)
@pytest.mark.parametrize("tolerance", [1e-3, 1e-5])
def test_the_tolerance_is_met_and_the_estimate_is_right(name, tolerance):
    solution = solved(name, tolerance)
    result = solution.result
    assert result["status"] == "converged", result["message"]
    errors = measured(solution)
    assert set(errors) == set(result["estimated_error"])
    for unknown, error in errors.items():
        estimate = result["estimated_error"][unknown]
        assert estimate <= tolerance and error <= tolerance
        assert error / FACTOR - ROUNDING <= estimate <= FACTOR * error + ROUNDING
        assert result["relative_l2_error"][unknown] == pytest.approx(error, rel=0.3, abs=ROUNDING)


@pytest.mark.parametrize("name", ["poisson", "wave", "burgers", "oscillator"])
def test_many_digits_are_reached(name):
    assert max(measured(solved(name, 1e-10)).values()) <= 1e-10


@pytest.mark.parametrize("name", KNOWN)
def test_the_result_says_which_way_was_taken(name):
    result = solved(name).result
    assert "cells" in result["why"] and result["basis"].startswith("pou_grid: ")
    marched = IN_STEPS if name in ("heat", "ring") else IN_SLABS
    at_once = "least energy" if name == "cube" else WHOLE
    assert result["method"] == (marched if "start" in KNOWN[name]["conditions"] else at_once)
    assert ("slabs" in result["basis"]) == ("start" in KNOWN[name]["conditions"])
    assert result["unknown_coefficients"] == solved(name).coefficients.numel()
    assert all(term["points"] > 0 and term["weight"] > 0 for term in result["terms"].values())


@pytest.mark.parametrize(
    ("changes", "settings", "words"),
    [
        ({}, {"precision": "float32", "tolerance": 1e-3}, "double precision"),
    ],
)
def test_the_result_says_why_it_was_a_network(changes, settings, words):
    statement = {
        "name": "decay", "domain": ps.Box(t=(0, 1)), "unknowns": "u", "equations": {"e": "D(u, t) = -u"},
        "conditions": {"start": start("u = 1"), "later": ps.Condition(at={"t": 0.5}, equation="u = exp(-1/2)")},
    }  # fmt: skip
    result = ps.solve(ps.Problem(**{**statement, **changes}), **settings).result
    assert "network" in result["why"] and words in result["why"]
    assert result["basis"].startswith("mlp")


def test_a_file_that_asks_for_a_basis_or_a_method_gets_it():
    for settings in ({"method": "least_squares"}, {"basis": {"activation": "tanh"}}):
        result = ps.solve(problem("poisson"), tolerance=1e-3, **settings).result
        assert result["basis"].startswith("mlp") and "why" not in result


def test_solutions_are_smooth_to_the_order_of_the_equation():
    """Jumps between cells and slabs are of the size of the error."""
    solution = solved("burgers", 1e-5)
    cells = solution.basis.space.cells
    t, x = (np.unique(cells.upper[:, a].numpy())[:-1] for a in (0, 1))
    s = np.linspace(0.01, 0.99, 23)
    for by in ((), ("x",)):
        f = solution.derivative("u", *by)
        for edge in x:
            below, above = f(t=s, x=edge - 1e-9), f(t=s, x=edge + 1e-9)
            assert np.abs(below - above).max() < (2e-4 if not by else 2e-2)
    for edge in t:
        assert np.abs(solution(t=edge - 1e-9, x=2 * s - 1) - solution(t=edge + 1e-9, x=2 * s - 1)).max() < 2e-4


def test_the_same_again_bit_for_bit_and_through_a_file(tmp_path):
    first = solved("burgers")
    again = ps.solve(problem("burgers"), tolerance=1e-5)
    assert torch.equal(first.coefficients, again.coefficients)
    first.save(tmp_path)
    loaded = ps.load_solution(tmp_path)
    x = np.linspace(-1, 1, 50)
    assert (loaded(t=0.3, x=x) == first(t=0.3, x=x)).all()
    assert loaded.result == first.result


# -- orders of convergence --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("degree", [3, 5])
def test_the_order_of_convergence_in_the_size_of_cells(degree):
    """p + 1, the best that polynomials do: rows are weighted by quadrature, so that the loss is an integral."""
    compiled = compile_problem(problem("poisson"))
    lower, upper = torch.zeros(2, dtype=torch.float64), torch.ones(2, dtype=torch.float64)
    x = torch.rand(4000, 2, generator=torch.Generator().manual_seed(8), dtype=torch.float64)
    true = torch.sin(torch.pi * x[:, 0]) * torch.sin(2 * torch.pi * x[:, 1])
    errors = []
    for count in (2, 4, 8):
        space = Space(uniform_cells(lower, upper, [count] * 2), (degree,) * 2, table_orders(compiled))
        zero = torch.zeros(space.cells.count, 1, space.functions, dtype=torch.float64)
        level = corrected(solve_level(compiled, space, zero, {}, newton(1e-12)), compiled, {})
        error = float((space.values(level.c, x, (0, 0))[0] - true).norm() / true.norm())
        assert level.worst == pytest.approx(error, rel=0.8)
        errors.append(error)
    assert np.log2(errors[0] / errors[1]) > degree - 0.2 and np.log2(errors[1] / errors[2]) > degree + 0.8


def test_cells_end_at_a_stated_jump_and_smooth_solutions_get_high_degrees():
    kink, smooth = solved("kink").basis.space, solved("poisson").basis.space
    assert kink.cells.count == 2 and smooth.cells.count == 1 and max(smooth.degrees) > 8
    assert float(kink.cells.upper[:, 0].min()) == pytest.approx(0.3, abs=1e-12)


def test_a_front_gets_the_cells():
    cells = solved("burgers", 1e-5).basis.space.cells
    first = cells.lower[:, 0] == 0
    centre, size = 0.5 * (cells.lower + cells.upper)[first, 1], cells.size[first, 1]
    assert abs(float(centre[size.argmin()]) + 0.5) < 0.3 and float(size.max()) >= 4 * float(size.min())


# -- which problems march ---------------------------------------------------------------------------------------------


def axis_of(**statement) -> int | None:
    statement = {"name": "p", "unknowns": "u", "equations": {"e": "D(u, t) = D(u, x, x)"}, **statement}
    statement.setdefault("domain", ps.Box(t=(0, 1), x=(0, 1)))
    return can_march(compile_problem(ps.Problem(**statement)))


def test_problems_that_are_given_at_the_start_march():
    at_start = {"start": start("u = x")}
    assert axis_of(conditions=at_start) == 0
    assert axis_of(conditions=at_start, domain=ps.Box(x=(0, 1), t=(0, 1))) == 1
    assert axis_of(conditions={"end": ps.Condition(on="t = 1", equation="u = x")}) is None
    assert axis_of(conditions={**at_start, "end": ps.Condition(on="t = 1", equation="u = x")}) is None
    assert axis_of(conditions={"around": ps.Condition(periodic="t")}) is None
    assert axis_of(conditions={"walls": wall("u = 0")}) is None
    inside = {**at_start, "inside": ps.Condition(at={"t": 0.5}, equation="u = x")}
    assert axis_of(conditions=inside) is None
    assert axis_of(conditions=at_start, equations={"e": "D(u, x, x) = t"}) is None
    steady = {"domain": ps.Box(x=(0, 1)), "equations": {"e": "D(u, x) = u"}}
    assert axis_of(**steady, conditions={"left": ps.Condition(on="x = 0", equation="u = 1")}) is None


def test_a_problem_held_at_its_end_is_solved_as_a_whole():
    bridge = {
        "start": start("u = 0"), "end": ps.Condition(on="t = 20", equations=["u = sin(20)", "v = cos(20)"]),
    }  # fmt: skip
    result = ps.solve(problem("oscillator", conditions=bridge)).result
    assert result["status"] == "converged" and result["method"] == WHOLE
    assert max(result["relative_l2_error"].values()) < 1e-5


# -- stopping ---------------------------------------------------------------------------------------------------------

LONG = {"domain": ps.Box(t=(0, 5000))}


def assert_kept_so_far(solution: ps.Solution, status: str) -> None:
    """The slabs that were solved are right, what follows is constant, and nothing is claimed of it."""
    result = solution.result
    assert result["status"] == status
    assert "the last values are repeated" in result["message"]
    assert set(result["estimated_error"].values()) == {1.0}
    reached = float(result["message"].split("beyond ")[1].split(" ")[0])
    assert 0 < reached < 5000
    t = np.linspace(0, 0.99 * reached, 500)
    np.testing.assert_allclose(solution(t=t)["u"], np.sin(t), atol=1e-4)
    later = solution(t=np.linspace(1.01 * reached, 5000, 9))["u"]
    np.testing.assert_allclose(later, later[0], atol=1e-10)


def test_the_time_limit_keeps_the_slabs_so_far():
    solution = ps.solve(problem("oscillator", **LONG), limits={"seconds": 2})
    assert_kept_so_far(solution, "time_limit")
    assert "limit of 2 s" in solution.result["message"]


@pytest.mark.parametrize("at", [1, 2, 6])
def test_an_interrupt_keeps_the_slabs_so_far(at):
    records = []

    def progress(record: dict) -> None:
        records.append(record)
        if len(records) == at:
            raise KeyboardInterrupt

    solution = ps.solve(problem("oscillator", **LONG), progress=progress)
    assert_kept_so_far(solution, "interrupted")
    assert len(solution.history) == at and solution.basis.slabs == at


def test_an_interrupt_keeps_the_best_level():
    def progress(record: dict) -> None:
        if record["step"] == 1:
            raise KeyboardInterrupt

    solution = ps.solve(problem("helmholtz"), tolerance=1e-12, progress=progress)
    assert solution.result["status"] == "interrupted" and len(solution.history) == 2
    assert max(measured(solution).values()) < 1e-3


def test_records_are_complete():
    for name in ("burgers", "kovasznay"):
        solution = solved(name)
        assert solution.history
        seen = set().union(*(record["terms"] for record in solution.history))
        assert seen >= set(solution.result["terms"])  # later slabs have no term for the start of all
        for record in solution.history:
            assert {"step", "seconds", "phase", "loss", "terms"} <= set(record)
            assert sum(record["terms"].values()) == pytest.approx(record["loss"])


@pytest.mark.parametrize("name", ["poisson", "burgers"])
def test_memory_that_would_not_do_is_refused_and_the_best_answer_kept(name):
    result = ps.solve(problem(name), tolerance=1e-13, limits={"memory_gb": 2e-3}).result
    assert result["status"] == "tolerance_not_reached"
    assert "GB" in result["message"] and "limits.memory_gb" in result["message"]
    assert result["basis"].startswith("pou_grid")


# -- what cannot be solved --------------------------------------------------------------------------------------------


def test_a_term_that_is_not_finite_is_named():
    changes = {"equations": {"position": "D(u, t) = v", "speed": "D(v, t) = log(t - 99)"}, "exact": None}
    result = ps.solve(problem("oscillator", **changes)).result
    assert result["status"] == "diverged" and "term `speed` is not finite" in result["message"]
    assert "network" in result["why"]  # which was tried last


def test_an_unknown_that_vanishes():
    changes = {"equations": {"a": "D(u, t) = -u/9", "b": "D(v, t) = u*v"}, "exact": None}
    changes["conditions"] = {"start": start("u = 1", "v = 0")}
    solution = ps.solve(problem("oscillator", **changes))
    assert solution.result["status"] == "converged"
    assert np.abs(solution(t=np.linspace(0, 20, 50))["v"]).max() < 1e-12


def test_scales_of_coordinates_do_not_matter():
    statement = {
        "domain": ps.Box(t=(0, "1e6"), x=(0, "1e-3")),
        "equations": {"heat": "D(u, t) = 1e-13*D(u, x, x)"},
        "conditions": {"start": start("u = 1e9*sin(1000*pi*x)"), "walls": wall("u = 0")},
        "exact": {"u": "1e9*exp(-pi**2*t/1e7)*sin(1000*pi*x)"},
    }
    result = ps.solve(ps.Problem(name="scales", unknowns="u", **statement)).result
    assert result["status"] == "converged" and result["relative_l2_error"]["u"] < 1e-6
