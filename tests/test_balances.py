"""Equations that every cell balances: divergence forms, faces that close, balances to rounding at any tolerance."""

from __future__ import annotations

import math

import pytest
import sympy as sp
import torch

import pinnsolve as ps
from pinnsolve.adapt.hp_refinement import first_space
from pinnsolve.assembly.control_volumes import rules_of
from pinnsolve.assembly.exactness import volumes_of
from pinnsolve.compiler.compiler import compile_problem
from pinnsolve.problem.build import build_problem
from pinnsolve.spec.spec import spec_from_dict

ROUNDING = 1e-12  # relative to what flows through
SQUARE = {
    "name": "square",
    "coordinates": {"x": [0, 1], "y": [0, 1]},
    "unknowns": "u",
    "conditions": {"walls": {"on": "boundary", "equation": "u = y"}},
    "solve": {"tolerance": 1e-2},
}
HOLES = {
    "difference": [
        {"box": {"x": [-0.5, 0.5], "y": [-0.5, 0.5]}, "boundary": "outer"},
        {"disk": {"center": [0.1, 0.05], "radius": 0.2}, "boundary": "hole"},
        {"polygon": [[-0.4, -0.4], [-0.2, -0.35], [-0.3, -0.1]], "boundary": "wedge"},
    ]
}
DISK = "where((x - 0.5)**2 + (y - 0.5)**2 < 0.0625, 2, 1)"
BURGERS = {
    "name": "burgers",
    "coordinates": {"t": [0, 0.5], "x": [0, 1]},
    "unknowns": "u",
    "equations": {"mass": {"equation": "D(u, t) + u*D(u, x) = 0.05*D(u, x, x) + sin(3*t)", "conservative": True}},
    "conditions": {
        "start": {"on": "t = 0", "equation": "u = sin(2*pi*x)**2"},
        "around": {"periodic": "x"},
    },
    "solve": {"tolerance": 1e-2},
}


def stated(equation: str, **more):
    equations = {"mass": {"equation": equation, "conservative": True}}
    return build_problem(spec_from_dict({**SQUARE, "equations": equations, **more}))


def on_shape(shape: dict, equation: str):
    more = {key: value for key, value in SQUARE.items() if key != "coordinates"}
    equations = {"mass": {"equation": equation, "conservative": True}}
    return build_problem(spec_from_dict({**more, "domain": shape, "equations": equations}))


def balance(solution) -> dict:
    return solution.result["balances"]["mass"]


# -- divergence forms -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("equation", "flux", "source"),
    [
        ("-laplacian(u) = 2 + u", ("-u_x", "-u_y"), "-u - 2"),
        ("div([(1 + x)*D(u, x), x*D(u, y)]) = 0", ("u_x*(x + 1)", "u_y*x"), "0"),
        ("(1 + x**2)*D(u, x, x) + 2*x*D(u, x) + D(u, y, y) = 0", ("u_x*(x**2 + 1)", "u_y"), "0"),
        ("u*D(u, x) + u**2*D(u, y) = 0", ("u**2/2", "u**3/3"), "0"),
        ("y*D(u, x) - x*D(u, y) = exp(-1000*(x - 0.3)**2)", ("u*y", "-u*x"), "-exp(-1000*(x - 3/10)**2)"),
    ],
)
def test_divergence_forms(equation, flux, source):
    (form,) = stated(equation).statements[0].balances
    labels = {}
    for expression in (*form.flux, form.source):
        for symbol in expression.free_symbols:
            feature = getattr(symbol, "feature", None)
            labels[symbol] = symbol if feature is None else sp.Symbol(feature.label(("x", "y")), real=True)
    assert tuple(str(part.xreplace(labels)) for part in form.flux) == flux
    assert str(form.source.xreplace(labels)) == source


@pytest.mark.parametrize("equation", ["D(u, x)**2 = laplacian(u)", "sin(u)*D(u, x) = laplacian(u)"])
def test_what_has_none_is_refused(equation):
    with pytest.raises(ps.ProblemError, match="has no divergence form") as caught:
        stated(equation)
    assert caught.value.diagnostics[0].key == "equations.mass.conservative"


def test_where_faces_are_not_known_is_refused():
    inside = {"solve": {"basis": {"kind": "mlp", "width": 20}}}
    with pytest.raises(ps.ProblemError, match="can hold exactly on cells alone"):
        compile_problem(stated("laplacian(u) = 0", **inside))
    ball = {"ball": {"center": [0, 0, 0], "radius": 1}}
    with pytest.raises(ps.ProblemError, match="known in the plane alone"):
        compile_problem(on_shape(ball, "laplacian(u) = 0"))
    with pytest.raises(ps.ProblemError, match="only where it holds in all of them"):
        equations = {"mass": {"equation": "laplacian(u) = 0", "where": "x < 0.5", "conservative": True}}
        build_problem(spec_from_dict({**SQUARE, "equations": equations}))


# -- faces ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "problem",
    [
        stated("laplacian(u) = 0"),
        stated(f"div([{DISK}*D(u, x), {DISK}*D(u, y)]) = 0"),
        stated("div([where(x < 0.3, 2, 1)*D(u, x), where(x < 0.3, 2, 1)*D(u, y)]) = 0"),
        on_shape(HOLES, "laplacian(u) = 0"),
    ],
    ids=["box", "disk", "strips", "holes"],
)
def test_faces_close(problem):
    """The normals of a cell add up to nothing, its parts to the measure of the domain."""
    compiled = compile_problem(problem)
    space = first_space(compiled)
    volumes = volumes_of(compiled, space)
    normals = torch.zeros(space.cells.count, 2, dtype=torch.float64)
    areas = torch.zeros(space.cells.count, dtype=torch.float64)
    for sign, rule in rules_of(volumes):
        normals.index_add_(0, rule.cells, sign * (rule.weights[..., None] * rule.normals).sum(dim=1))
    for rule in volumes.inside:
        areas.index_add_(0, rule.cells, rule.weights.sum(dim=1))
    assert float(normals.abs().max()) < 1e-13
    parts = space.cells.parts
    whole = 1.0 if parts is None else sum(shape.measure() for shape in parts.within.shapes)
    assert abs(float(areas.sum()) - whole) < 1e-12
    assert float(areas.min()) > 0.0


# -- solutions --------------------------------------------------------------------------------------------------------


def test_a_disk_that_conducts_better():
    solution = ps.solve(ps.load("darcy-disk"))
    found, through = balance(solution), balance(solution)["boundaries"]
    assert solution.result["status"] == "converged"
    assert found["worst_cell"] < ROUNDING
    assert solution.result["relative_l2_error"]["p"] < 1e-2
    assert abs(sum(through.values())) < ROUNDING * found["through_flow"]
    along = 1 + 0.25**2 / (3 * 0.5)  # the integral of 1 + a^2 (x^2 - y^2)/(3 r^4) over the side x = 1/2
    assert abs(through["x = 0.5"] - along) < 1e-4


def test_without_being_asked_cells_do_not_balance():
    """The same problem by least squares alone, whose fluxes are as good as its solution."""
    plain = {"mass": "div([(1 + u**2)*D(u, x), (1 + u**2)*D(u, y)]) = -20*exp(-50*(x - 0.3)**2)"}
    asked = {"mass": {"equation": plain["mass"], "conservative": True}}
    for equations in (plain, asked):
        problem = build_problem(spec_from_dict({**SQUARE, "equations": equations}))
        solution = ps.solve(problem)
        assert ("balances" in solution.result) == (equations is asked)
    assert balance(solution)["worst_cell"] < ROUNDING
    assert abs(balance(solution)["sum"]) < ROUNDING


def test_sources_of_cut_cells():
    """Poisson's equation on a disk: what flows out is the area, times the source."""
    solution = ps.solve(on_shape({"disk": {"center": [0, 0], "radius": 1}, "boundary": "rim"}, "-laplacian(u) = 3"))
    found = balance(solution)
    assert found["worst_cell"] < ROUNDING
    assert abs(found["boundaries"]["rim"] - 3 * math.pi) < 1e-10


def test_slabs_hand_on_what_flows():
    solution = ps.solve(build_problem(spec_from_dict(BURGERS)))
    found = balance(solution)
    assert solution.basis.slabs > 1
    assert found["worst_cell"] < ROUNDING
    gained = (1 - math.cos(1.5)) / 3
    lost = sum(found["boundaries"].values())  # what is there at the end, less the start
    assert abs(lost - gained) < 1e-11


def test_slabs_whose_cells_merge():
    heat = {"mass": {"equation": "D(u, t) = D((0.1 + x**2)*D(u, x), x) - u", "conservative": True}}
    ends = {"start": BURGERS["conditions"]["start"], "ends": {"on": "boundary", "equation": "Dn(u) = 0"}}
    problem = build_problem(spec_from_dict({**BURGERS, "equations": heat, "conditions": ends}))
    assert balance(ps.solve(problem))["worst_cell"] < ROUNDING


def test_layers_that_cool():
    """Materials on a line, in slabs: the flux between them is one, and what is lost has gone through the ends."""
    k = "where(x < 0.3, 1, 4)"
    heat = {"mass": {"equation": f"D(u, t) = D({k}*D(u, x), x)", "conservative": True}}
    ends = {
        "start": {"on": "t = 0", "equation": "u = x*(1 - x)"},
        "ends": {"on": "boundary", "equation": "u = 0"},
    }
    times = {"t": [0, 0.05], "x": [0, 1]}
    problem = build_problem(spec_from_dict({**BURGERS, "coordinates": times, "equations": heat, "conditions": ends}))
    solution = ps.solve(problem, tolerance=5e-2)
    assert solution.basis.slabs > 1 and len(torch.unique(solution.basis.space.cells.material)) == 2
    assert balance(solution)["worst_cell"] < ROUNDING


def test_periodic_faces_are_no_boundary():
    conditions = {"around": {"periodic": "y"}, "ends": {"on": ["x = 0", "x = 1"], "equation": "u = 0"}}
    solution = ps.solve(stated("-laplacian(u) + 3*D(u, y) = sin(2*pi*y)*x + 5", conditions=conditions))
    assert set(balance(solution)["boundaries"]) == {"x = 0", "x = 1"}
    assert balance(solution)["worst_cell"] < ROUNDING
    assert abs(sum(balance(solution)["boundaries"].values()) - 5) < 1e-11


def test_reports_and_checks_say_so():
    from rich.console import Console

    from pinnsolve.output.check import summary
    from pinnsolve.output.terminal import report

    console = Console(width=100, record=True, file=open("/dev/null", "w"))  # noqa: SIM115
    problem = stated("laplacian(u) = 1")
    console.print(summary(problem))
    console.print(report(ps.solve(problem).result))
    text = console.export_text()
    assert "mass in every cell" in text
    assert "worst cell, of the flow" in text and "x = 0" in text


def test_the_file_keeps_it():
    assert "conservative: true" in stated("laplacian(u) = 1").spec.to_yaml()


def test_vectors_and_other_coordinates():
    """The components of an equation between vectors balance one by one; measures of polar coordinates are not known."""
    both = stated("grad(u) = [1 + x, y]", conditions={"corner": {"at": {"x": 0, "y": 0}, "equation": "u = 0"}})
    names = [one.name for one in compile_problem(both).balances]
    assert len(names) == 2 and len(set(names)) == 2
    polar = {"r": [0.5, 1], "theta": [0, 1], "system": "polar"}
    with pytest.raises(ps.ProblemError, match="polar coordinates") as caught:
        stated("laplacian(u) = 0", coordinates=polar, conditions={"rim": {"on": "boundary", "equation": "u = 1"}})
    assert any(d.key == "equations.mass.conservative" for d in caught.value.diagnostics)
