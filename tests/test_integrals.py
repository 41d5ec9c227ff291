"""Integrals in equations and conditions: what a file may say, rows and their derivatives, solutions that are known."""

from __future__ import annotations

import math

import pytest
import sympy as sp
import torch

import pinnsolve as ps
from pinnsolve.adapt.hp_refinement import make_system
from pinnsolve.assembly.integrals import TimeNodes
from pinnsolve.assembly.row_source import State
from pinnsolve.assembly.schur_complement import dense, gradient
from pinnsolve.bases.piecewise.mesh import uniform_cells
from pinnsolve.bases.piecewise.space import Space
from pinnsolve.compiler.compiler import compile_problem
from pinnsolve.problem.build import build_problem
from pinnsolve.spec.spec import spec_from_dict

NONE = torch.zeros(0, dtype=torch.float64)
NONLOCAL = {
    "name": "nonlocal",
    "coordinates": {"x": [0, 1]},
    "unknowns": "u",
    "equations": {"balance": "-D(u, x, x) + u*mean(u) = pi**2*sin(pi*x) + 2/pi*sin(pi*x)"},
    "conditions": {"ends": {"on": "boundary", "equation": "u = 0"}},
    "exact": {"u": "sin(pi*x)"},
    "solve": {"tolerance": 1e-8},
}
NEUMANN = {
    "name": "neumann",
    "coordinates": {"x": [0, 1], "y": [0, 1]},
    "unknowns": "u",
    "equations": {"poisson": "-laplacian(u) = 2*pi**2*cos(pi*x)*cos(pi*y)"},
    "conditions": {
        "walls": {"on": "boundary", "equation": "Dn(u) = 0"},
        "level": {"on": "domain", "mean": "u", "equals": 0.5},
    },
    "exact": {"u": "cos(pi*x)*cos(pi*y) + 0.5"},
    "solve": {"tolerance": 1e-8},
}
HEAT = {
    "name": "heat",
    "coordinates": {"t": [0, 1], "x": [0, 1]},
    "unknowns": "u",
    "equations": {"heat": "D(u, t) - D(u, x, x) + u*mean(u) = exp(-t)*sin(pi*x)*(pi**2 - 1 + 2/pi*exp(-t))"},
    "conditions": {
        "start": {"on": "t = 0", "equation": "u = sin(pi*x)"},
        "ends": {"on": "boundary", "equation": "u = 0"},
    },
    "exact": {"u": "exp(-t)*sin(pi*x)"},
}


def stated(data: dict, **more):
    return build_problem(spec_from_dict({**data, **more}))


def is_right(result: dict, tolerance: float) -> bool:
    """Whether a run converged, is as exact as asked, and does not claim to be much better than it is."""
    errors = result["relative_l2_error"].values()
    return result["status"] == "converged" and max(errors) <= tolerance


def test_the_rows_of_integrals_are_the_derivatives_of_residuals():
    """On several cells and at several times, with one integral inside another, and one over the boundary."""
    equation = "D(u, t) - D(u, x, x) = u*integral(u*mean(u**2)) + integral(x*D(u, x), boundary)"
    problem = compile_problem(stated(HEAT, equations={"heat": equation}))
    cells = uniform_cells(*(torch.tensor(ends).double() for ends in ([0.0, 0.0], [1.0, 1.0])), (2, 3))
    space = Space(cells, (2, 3), (1, 2))
    system = make_system(problem, space, {})
    c = torch.randn(cells.count, 1, space.functions, generator=torch.Generator().manual_seed(0)).double()
    system = system.scaled_at(State(c, NONE))
    rows = system.rows(State(c, NONE))
    matrix, r = dense(rows, cells.count, space.functions), torch.cat([b.r.flatten() for b in rows])
    direction = torch.randn(c.shape, generator=torch.Generator().manual_seed(1)).double()
    step = 1e-5
    both = [
        torch.cat([b.r.flatten() for b in system.rows(State(c + h * direction, NONE), False)]) for h in (step, -step)
    ]
    change = (both[0] - both[1]) / (2 * step)
    assert torch.allclose(matrix @ direction.flatten(), change, rtol=1e-6, atol=1e-7 * float(change.abs().max()))
    times = torch.cat([b.times(direction.flatten(1)).flatten() for b in rows])
    assert torch.allclose(matrix @ direction.flatten(), times)
    assert torch.allclose(matrix.T @ r, gradient(rows, rows, c.flatten(1)).flatten())
    # the factorization of low rank solves the normal equations of all rows
    x = system.factorize(rows).solve(direction.flatten(1))
    assert torch.allclose(matrix.T @ (matrix @ x.flatten()), direction.flatten(), atol=1e-6)


def test_integrals_are_polynomials_between_their_nodes():
    cells = uniform_cells(torch.tensor([0.0]).double(), torch.tensor([2.0]).double(), (4,))
    nodes = TimeNodes.of(cells, 0, 5)
    times = torch.tensor(nodes.times).double()
    x = torch.tensor([[0.0], [0.3], [times[7]], [1.99]]).double()
    first, weights = nodes.weights(x)
    values = times**4
    found = (weights * values[first[:, None] + torch.arange(5)]).sum(dim=1)
    assert torch.allclose(found, x[:, 0] ** 4)


@pytest.mark.parametrize(
    ("problem", "tolerance"),
    [(NONLOCAL, 1e-8), (NEUMANN, 1e-8), (HEAT, 1e-6)],
    ids=["a mean that multiplies", "a mean that fixes a constant", "a mean at every time"],
)
def test_solutions_are_found(problem, tolerance):
    assert is_right(ps.solve(stated(problem)).result, tolerance)


def test_integrals_may_stand_in_functions_and_in_conditions_on_the_boundary():
    problem = stated(
        NONLOCAL,
        equations={"balance": "-D(u, x, x) = pi**2*sin(pi*x)*exp(integral(u) - 2/pi) + integral(u - mean(u))"},
        conditions={
            "left": {"on": "x = 0", "equation": "u = integral(u**2) - 1/2"},
            "right": {"on": "x = 1", "equation": "u = 0"},
        },
        guess={"u": "3*x*(1 - x)"},
    )
    assert is_right(ps.solve(problem).result, 1e-8)


def test_a_flow_is_driven_by_its_rate():
    problem = {
        "name": "channel",
        "coordinates": {"x": [0, 2], "y": [0, 1]},
        "unknowns": ["u", "v", "p"],
        "equations": {
            "momentum_x": "laplacian(u) = D(p, x)",
            "momentum_y": "laplacian(v) = D(p, y)",
            "mass": "D(u, x) + D(v, y) = 0",
        },
        "conditions": {
            "walls": {"on": ["y = 0", "y = 1"], "equations": ["u = 0", "v = 0"]},
            "outlet": {"on": "x = 2", "equations": ["p = 0", "v = 0"]},
            "inlet": {"on": "x = 0", "equations": ["D(p, y) = 0", "v = 0"]},
            "rate": {"on": "x = 0", "integral": "-u*n_x", "equals": 0.3},
        },
        "exact": {"u": "1.8*y*(1 - y)", "v": 0, "p": "3.6*(2 - x)"},
    }
    result = ps.solve(stated(problem)).result
    assert result["status"] == "converged"
    assert max(result["relative_l2_error"][name] for name in "up") < 1e-9


def test_an_integral_over_a_named_part_of_a_shape():
    """In a ring, the flux through the inner circle stands in the condition on the outer one."""
    problem = {
        "name": "ring",
        "coordinates": ["x", "y"],
        "domain": {
            "difference": [
                {"disk": {"center": [0, 0], "radius": 1}, "boundary": "outer"},
                {"disk": {"center": [0, 0], "radius": 0.5}, "boundary": "inner"},
            ]
        },
        "unknowns": "u",
        "equations": {"laplace": "laplacian(u) = 0"},
        "conditions": {
            "inner": {"on": "inner", "equation": "u = 1"},
            "outer": {"on": "outer", "equation": "u = 2 + log(2)*integral(Dn(u), inner)/pi"},
        },
        # of u = 1 + a log(2 r) the flux through the inner circle, out of the ring, is -2 pi a: 3 a log(2) = 1
        "exact": {"u": "1 + log(4*(x**2 + y**2))/(6*log(2))"},
    }
    assert is_right(ps.solve(stated(problem)).result, 1e-6)


def test_integrals_in_python_are_those_of_a_file():
    (x,) = (ps.coordinates("x"),)
    u = ps.unknown("u", x)
    right = (sp.pi**2 + 2 / sp.pi) * sp.sin(sp.pi * x)
    problem = ps.Problem(
        name="nonlocal",
        domain=ps.Box(x=(0, 1)),
        unknowns=u,
        equations={"balance": sp.Eq(-sp.diff(u, x, 2) + u * ps.mean(u), right)},
        conditions={"ends": ps.Condition(on="boundary", equation=sp.Eq(u, 0))},
        exact={"u": sp.sin(sp.pi * x)},
    )
    assert "mean(u)" in problem.spec.equations["balance"].equations[0]
    assert len(problem.integrals) == 1 and is_right(ps.solve(problem).result, 1e-6)
    mass = ps.Condition(on="domain", integral=u, equals=sp.Rational(1, 2))
    again = ps.Problem(
        name="mass",
        domain=ps.Box(x=(0, 1)),
        unknowns=u,
        equations={"steady": sp.Eq(sp.diff(u, x, 2), ps.integral(u, "boundary"))},
        conditions={"start": ps.Condition(on="x = 0", equation=sp.Eq(sp.diff(u, x), 0)), "mass": mass},
    )
    assert again.spec.conditions["mass"].integral == "u"
    text = spec_from_dict({"name": "x", **_plain(again)})
    assert text.conditions == again.spec.conditions


def _plain(problem) -> dict:
    spec = problem.spec
    return {
        "coordinates": {"x": [0, 1]},
        "unknowns": "u",
        "equations": {name: item.equations[0] for name, item in spec.equations.items()},
        "conditions": {
            "start": {"on": "x = 0", "equation": spec.conditions["start"].equations[0]},
            "mass": {"on": "domain", "integral": "u", "equals": spec.conditions["mass"].equals},
        },
    }


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"equations": {"balance": "D(u, x, x) = integral(u, outlet)"}}, "over a named place"),
        ({"equations": {"balance": "D(u, x, x) = integral(u*n_x)"}}, "`n_x` exists only on a boundary"),
        ({"exact": {"u": "mean(x)"}}, "stands only in equations and conditions"),
        ({"conditions": {"a": {"on": "domain", "mean": "u"}}}, "`equals` is missing"),
        ({"conditions": {"a": {"on": "domain", "equals": 1}}}, "`integral` or `mean` is missing"),
        ({"conditions": {"a": {"at": {"x": 0}, "mean": "u", "equals": 1}}}, "an integral is taken `on` a place"),
        ({"conditions": {"a": {"on": "domain", "mean": "u", "equals": "x"}}}, "`x` cannot stand here"),
        ({"conditions": {"a": {"on": "domain", "mean": "u", "equals": 1, "equation": "u = 0"}}}, "each a condition"),
    ],
)
def test_what_is_wrong_with_an_integral_is_said(change, words):
    with pytest.raises(ps.ProblemError) as error:
        stated(NONLOCAL, **change)
    assert words in str(error.value)


def test_what_is_not_solved_with_integrals_is_refused():
    with pytest.raises(ps.PinnsolveError, match="polynomials on cells, and the file asks for another method"):
        ps.solve(stated(NONLOCAL), method="varpro")


def test_a_mean_fixes_the_constant_of_a_pressure():
    assert not any("up to a constant" in warning.message for warning in stated(NEUMANN).warnings)
    without = {"walls": NEUMANN["conditions"]["walls"]}
    assert any("up to a constant" in warning.message for warning in stated(NEUMANN, conditions=without).warnings)
    assert math.isclose(float(ps.solve(stated(NEUMANN), tolerance=1e-6)(x=0.5, y=0.5)), 0.5, abs_tol=1e-6)


def test_a_parameter_that_a_flow_rate_determines():
    problem = {
        "name": "pipe",
        "coordinates": {"y": [0, 1]},
        "unknowns": "u",
        "unknown_parameters": {"G": {"guess": 1}},
        "equations": {"momentum": "-D(u, y, y) = G"},
        "conditions": {
            "walls": {"on": "boundary", "equation": "u = 0"},
            "rate": {"on": "domain", "integral": "u", "equals": 0.3},
        },
        "exact": {"u": "1.8*y*(1 - y)"},
    }
    result = ps.solve(stated(problem)).result
    assert is_right(result, 1e-9) and result["parameters"]["G"]["value"] == pytest.approx(3.6, rel=1e-9)


def test_integrals_of_complex_unknowns_have_two_parts():
    problem = stated(
        NONLOCAL,
        unknowns={"psi": "complex"},
        equations={"balance": "-D(psi, x, x) + i*mean(psi) = (1 + i)*(pi**2*sin(pi*x) + 2*i/pi)"},
        conditions={"ends": {"on": "boundary", "equation": "psi = 0"}},
        exact={"psi": "(1 + i)*sin(pi*x)"},
        solve={"tolerance": {"psi": 1e-8}},
    )
    assert len(problem.integrals) == 2
    result = ps.solve(problem).result
    assert is_right(result, 1e-8) and "`psi`" in result["message"]
