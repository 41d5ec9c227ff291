"""What is asked for exactly holds to rounding at any tolerance, and least squares are taken of the rest."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

import pinnsolve as ps
from pinnsolve.adapt.hp_refinement import make_system
from pinnsolve.assembly.row_source import State
from pinnsolve.assembly.schur_complement import dense
from pinnsolve.bases.piecewise.mesh import uniform_cells
from pinnsolve.bases.piecewise.space import Space
from pinnsolve.compiler.compiler import compile_problem
from pinnsolve.problem.build import build_problem
from pinnsolve.solvers.gauss_newton import Iteration, gauss_newton
from pinnsolve.spec.spec import spec_from_dict

ROUNDING = 1e-11  # of residuals at fresh points, relative to what they are made of
SQUARE = {
    "name": "square",
    "coordinates": {"x": [0, 1], "y": [0, 1]},
    "unknowns": "u",
    "equations": {"poisson": "laplacian(u) = -20*exp(-10*(x - 0.3)**2 - 20*(y - 0.4)**2)"},
    "conditions": {
        "sides": {"on": ["x = 0", "x = 1"], "equation": "u = 0", "exactly": True},
        "others": {"on": ["y = 0", "y = 1"], "equation": "Dn(u) = x*(1 - x)*(1 - 2*x)", "exactly": True},
    },
    "solve": {"tolerance": 1e-2},
}


def stated(data: dict, **more):
    return build_problem(spec_from_dict({**data, **more}))


def missed(solution) -> dict[str, float]:
    return {name: term["relative_residual"] for name, term in solution.result["terms"].items()}


def refusals(data: dict) -> list[str]:
    with pytest.raises(ps.ProblemError) as caught:
        compile_problem(stated(data))
    return [d.message for d in caught.value.diagnostics]


@pytest.mark.parametrize("tolerance", [1e-1, 1e-5])
def test_faces_hold_whatever_the_tolerance(tolerance):
    solution = ps.solve(stated(SQUARE), tolerance=tolerance)
    assert solution.result["status"] == "converged"
    found = missed(solution)
    assert max(found["sides"], found["others"]) < ROUNDING < found["poisson"]


def test_the_same_least_squares_by_the_null_space():
    """Among all functions that meet the exact rows, it is the one with the least squares of the others."""
    problem = compile_problem(stated(SQUARE))
    corners = torch.tensor([[0.0, 0.0], [1.0, 1.0]], dtype=torch.float64)
    space = Space(uniform_cells(*corners, (2, 1)), (5, 4), (2, 2))
    system = make_system(problem, space, {})
    nothing = State(system.zero(), torch.zeros(0, dtype=torch.float64))
    rows = system.rows(nothing)
    blocks = [[replace(block, exact=False) for block in rows if block.exact is kind] for kind in (True, False)]
    (B, b), (A, r) = ((dense(some, 2, system.columns), torch.cat([s.r.flatten() for s in some])) for some in blocks)
    U, S, V = torch.linalg.svd(B)
    rank = int((S / S[0] > 1e-10).sum())
    particular = -V[:rank].T @ ((U.T @ b)[:rank] / S[:rank])
    free = V[rank:].T
    expected = particular - free @ torch.linalg.lstsq(A @ free, (A @ particular + r)[:, None]).solution[:, 0]
    found = gauss_newton(system, nothing, Iteration(1e-12)).state.coefficients.flatten()
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-10)


def test_values_that_are_no_polynomials_are_held_by_richer_ones():
    conditions = {
        "walls": {"on": ["x = 0", "x = 1", "y = 1"], "equation": "u = 0", "exactly": True},
        "floor": {"on": "y = 0", "equation": "u = sin(pi*x)", "exactly": True},
    }
    harmonic = stated(SQUARE, equations={"laplace": "laplacian(u) = 0"}, conditions=conditions)
    solution = ps.solve(harmonic)
    assert solution.result["status"] == "converged"
    assert max(missed(solution)[name] for name in conditions) < ROUNDING


def test_what_no_polynomial_holds_is_said():
    bent = {"walls": {"on": "boundary", "equation": "u = exp(-1000*(x - 0.4)**2)", "exactly": True}}
    problem = stated(SQUARE, equations={"laplace": "laplacian(u) = 0"}, conditions=bent)
    solution = ps.solve(problem, tolerance=0.5, limits={"refinements": 0})
    assert solution.result["status"] == "tolerance_not_reached"
    assert "`walls` is to hold exactly, and is missed by" in solution.result["message"]


def test_a_curved_boundary_holds():
    ring = {"difference": [{"disk": {"center": [0, 0], "radius": 1}, "boundary": "outer"},
                           {"disk": {"center": [0, 0], "radius": 0.5}, "boundary": "inner"}]}  # fmt: skip
    problem = ps.Problem(
        name="ring",
        domain=ps.Shape(ring, "x y"),
        unknowns="u",
        equations={"laplace": "laplacian(u) = 0"},
        conditions={
            "outer": ps.Condition(on="outer", equation="u = 0", exactly=True),
            "inner": ps.Condition(on="inner", equation="u = 1"),
        },
        solve={"tolerance": 1e-2},
    )
    solution = ps.solve(problem)
    found = missed(solution)
    assert solution.result["status"] == "converged"
    assert found["outer"] < ROUNDING < found["inner"]


def test_nonlinear_conditions_and_points():
    problem = stated(
        SQUARE,
        coordinates={"x": [0, 1]},
        equations={"balance": "D(u, x, x) = u**2 + 1"},
        conditions={
            "left": {"at": {"x": 0}, "equation": "u = 1/3", "exactly": True},
            "right": {"on": "x = 1", "equation": "D(u, x) + u**3 = 0.1", "exactly": True},
        },
    )
    solution = ps.solve(problem)
    assert solution.result["status"] == "converged"
    u, slope = solution(x=1.0), solution.derivative("u", "x")(x=1.0)
    assert abs(solution(x=0.0) - 1 / 3) < 1e-14
    assert abs(slope + u**3 - 0.1) < 1e-13


def test_starts_and_walls_of_slabs():
    problem = stated(
        SQUARE,
        coordinates={"t": [0, 1], "x": [0, 1]},
        equations={"heat": "D(u, t) = 0.1*D(u, x, x)"},
        conditions={
            "start": {"on": "t = 0", "equation": "u = 4*x*(1 - x)", "exactly": True},
            "walls": {"on": "boundary", "equation": "u = t", "exactly": True},
        },
    )
    solution = ps.solve(problem)
    assert solution.basis.slabs > 1
    found = missed(solution)
    assert max(found["start"], found["walls"]) < ROUNDING < found["heat"]


def test_periodic_faces_and_means():
    problem = stated(
        SQUARE,
        equations={"poisson": "laplacian(u) = sin(2*pi*y)*x"},
        conditions={
            "around": {"periodic": "y", "exactly": True},
            "ends": {"on": ["x = 0", "x = 1"], "equation": "Dn(u) = 0"},
            "level": {"on": "domain", "mean": "u", "equals": 1.5, "exactly": True},
        },
    )
    found = missed(ps.solve(problem))
    assert max(found["around"], found["level"]) < ROUNDING < found["ends"]


def test_the_file_keeps_it():
    assert stated(SQUARE).spec.to_yaml().count("exactly: true") == 2
    left_out = {**SQUARE["conditions"]["sides"], "exactly": False}
    assert "exactly" not in stated(SQUARE, conditions={"sides": left_out}).spec.to_yaml()


def test_what_is_refused():
    everywhere = {**SQUARE["conditions"], "fixed": {"on": "domain", "equation": "u = 0", "exactly": True}}
    assert any("everywhere in a domain exactly" in m for m in refusals({**SQUARE, "conditions": everywhere}))
    network = refusals({**SQUARE, "solve": {"basis": {"kind": "mlp", "width": 10}}})
    assert len(network) == 2
    assert all("can hold exactly on cells alone" in message for message in network)
    lid = {name: {"on": on, "equation": f"u = {value}", "exactly": True}
           for name, on, value in (("wall", "x = 0", 0), ("lid", "y = 1", 1))}  # fmt: skip
    assert any("contradicts `wall`" in message for message in refusals({**SQUARE, "conditions": lid}))
    with pytest.raises(ps.ProblemError, match="`true` or `false` is expected"):
        stated(SQUARE, conditions={"sides": {**SQUARE["conditions"]["sides"], "exactly": "yes"}})


def test_on_a_line_conditions_at_its_ends_hold_exactly():
    ends = {"at the ends": {"on": ["x = 0", "x = 1"], "equation": "u = x", "exactly": True}}
    line = {
        "name": "line",
        "coordinates": {"x": [0, 1]},
        "unknowns": "u",
        "equations": {"poisson": "D(u, x, x) = exp(3*x)"},
    }
    solution = ps.solve(stated(line, conditions=ends, solve={"tolerance": 1e-6}))
    assert solution.result["status"] == "converged"
    assert missed(solution)["at the ends"] < ROUNDING
