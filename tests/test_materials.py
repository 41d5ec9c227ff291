"""Coefficients that jump: what tells materials apart, what holds between them, and solutions with kinks there."""

from __future__ import annotations

import numpy as np
import pytest
import sympy as sp
import torch

import pinnsolve as ps
from pinnsolve.assembly.row_source import State
from pinnsolve.assembly.term_rows import interface_rows, table_orders
from pinnsolve.bases.piecewise.basis import PouCells
from pinnsolve.bases.piecewise.initial_mesh import first_cells
from pinnsolve.bases.piecewise.space import Space
from pinnsolve.compiler.compiler import compile_problem
from pinnsolve.estimate.defect_correction import Approximation
from pinnsolve.estimate.independent_look import Look
from pinnsolve.estimate.interfaces import between_materials
from pinnsolve.geometry.factory import make_shape
from pinnsolve.geometry.shapes import INTERFACE, HalfPlane, primitives
from pinnsolve.language.expansion import resolve
from pinnsolve.language.symbols import feature_symbol, features_of
from pinnsolve.language.syntax import parse_equation
from pinnsolve.language.to_sympy import Fluxes, Scope, fluxes
from pinnsolve.problem.build import build_problem
from pinnsolve.spec.spec import spec_from_dict

SCOPE = Scope(coordinates=("x", "y"), unknowns=("u",), definitions={"k": "where(x < 0, 1, 7)"})
U_X, U_Y = feature_symbol("u", (1, 0)), feature_symbol("u", (0, 1))
DISK = {
    "name": "two",
    "coordinates": {"x": [-1, 1], "y": [-1, 1]},
    "unknowns": "u",
    "definitions": {
        "r2": "x**2 + y**2",
        "k": "where(r2 < 0.25, 1, 100)",
        "true": "where(r2 < 0.25, 0.25 - r2, -0.5*log(sqrt(r2)/0.5)/100)",
    },
    "equations": {"diffusion": "-div([k*D(u, x), k*D(u, y)]) = where(r2 < 0.25, 4, 0)"},
    "conditions": {"walls": {"on": "boundary", "equation": "u = true"}},
    "exact": {"u": "true"},
}


def fluxes_of(text: str) -> Fluxes:
    left, right = (resolve(side, SCOPE)[0] for side in parse_equation(text))
    return fluxes((left, right), SCOPE)[0]


def problem(**changes):
    return build_problem(spec_from_dict({**DISK, **changes}))


def test_fluxes_are_what_derivatives_are_taken_of():
    found = fluxes_of("-div([k*D(u, x), k*D(u, y)]) = 1")
    outer = [(axis, c, f) for axis, c, f in found if f.has(sp.Piecewise)]
    assert [(axis, c) for axis, c, _ in outer] == [(0, -1), (1, -1)]
    assert sp.simplify(outer[0][2] / U_X).is_Piecewise and outer[1][2].has(U_Y)
    assert fluxes_of("u = x") == ()
    second = fluxes_of("3*laplacian(u) = 0")
    assert [(axis, c, f) for axis, c, f in second] == [(0, 3, U_X), (1, 3, U_Y)]


@pytest.mark.parametrize("where", ["x < 0.25", "x + 2*y < 0.5"])
def test_planes_between_materials_are_half_planes(where):
    stated = {
        "definitions": {"k": f"where({where}, 1, 7)"},
        "equations": {"diffusion": "-div([k*D(u, x), k*D(u, y)]) = 1"},
        "conditions": {"walls": {"on": "boundary", "equation": "u = 0"}},
        "exact": None,
    }
    compiled = compile_problem(problem(**stated))
    x = torch.tensor([[0.2, 0.1], [0.3, 0.4], [-0.9, 0.9], [0.9, -0.9]], dtype=torch.float64)
    holds = [bool(sp.sympify(where).subs({"x": a, "y": b})) for a, b in x.tolist()]
    parts = [part for material in compiled.materials for part in primitives(material.shape)]
    assert sum(isinstance(part, HalfPlane) for part in parts) == 2
    inside = [make_shape(material.shape).inside(x).tolist() for material in compiled.materials]
    assert holds in inside and [not one for one in holds] in inside


def test_materials_are_told_apart_by_comparisons_in_space():
    compiled = compile_problem(problem())
    assert len(compiled.materials) == 2 and len(compiled.interfaces) == 1
    residuals = compiled.interfaces[0].term.residuals
    assert len(residuals) == 2  # the unknown, and its flux
    assert {f.side for f in compiled.interfaces[0].term.features} == {0, 1}
    assert compile_problem(problem(equations={"e": "laplacian(u) = 1"}, exact={"u": "x"})).materials == ()
    moving = problem(
        coordinates={"t": [0, 1], "x": [-1, 1], "y": [-1, 1]},
        equations={"e": "D(u, t) = where(x < t, 1, 2)*laplacian(u)"},
        conditions={"start": {"on": "t = 0", "equation": "u = 0"}, "walls": {"on": "boundary", "equation": "u = 0"}},
        definitions={},
        exact={},
    )
    assert compile_problem(moving).materials == ()  # they move: not known how to follow


def test_equations_of_their_own_make_materials_too():
    split = {
        "inner": {"equation": "-laplacian(u) = 4", "where": "r2 < 0.25"},
        "outer": {"equation": "-100*laplacian(u) = 0", "where": "r2 >= 0.25"},
    }
    one, two = compile_problem(problem()), compile_problem(problem(equations=split))
    value, flux = one.interfaces[0].term.residuals
    assert two.interfaces[0].term.residuals == (value, -flux)  # each side's own, whatever sign it is stated with


def test_a_solution_with_a_kink_meets_what_holds_at_the_interface():
    compiled = compile_problem(problem())
    cells = first_cells(compiled)
    assert set(cells.material.tolist()) == {0, 1}
    space = Space(cells, (10, 10), table_orders(compiled))

    def true(x: torch.Tensor) -> torch.Tensor:
        r2 = (x**2).sum(dim=1)
        return torch.where(r2 < 0.25, 0.25 - r2, -0.25 * torch.log(r2 / 0.25) / 100)[None]

    # from each side's own formula, also at points of a frame beyond the interface
    c = space.project(true, 1)
    (group,) = interface_rows(compiled, space)
    none = torch.zeros(0, dtype=torch.float64)
    assert float(group.rows(State(c, none)).r.abs().max()) < 1e-5
    other = space.project(lambda x: true(x) + x[:, :1].T ** 2 * (x[:, 0] > 0.4), 1)
    assert float(group.rows(State(other, none)).r.abs().max()) > 1e-3


@pytest.mark.parametrize("inside", [1, 1000])
def test_two_materials_across_a_circle(inside, tmp_path):
    definitions = {
        **DISK["definitions"],
        "k": f"where(r2 < 0.25, {inside}, 100)",
        "true": f"where(r2 < 0.25, (0.25 - r2)/{inside}, -0.5*log(sqrt(r2)/0.5)/100)",
    }
    solution = ps.solve(problem(definitions=definitions), tolerance=1e-6)
    result = solution.result
    assert result["status"] == "converged" and result["relative_l2_error"]["u"] < 1e-6
    solution.save(tmp_path)
    x = np.array([0.1, 0.49, 0.51, 0.9])
    np.testing.assert_array_equal(ps.load_solution(tmp_path)(x=x, y=0 * x), solution(x=x, y=0 * x))


def test_layers_along_the_axes_need_no_cuts():
    layers = problem(
        definitions={"k": "where(x < 0.3, 2, 5)", "true": "where(x < 0.3, (x - 0.3)/2, (x - 0.3)/5)*(1 + 0*y)"},
        equations={"e": "D(k*D(u, x), x) + D(k*D(u, y), y) = 0"},
    )
    assert not bool(first_cells(compile_problem(layers)).cut.any())
    result = ps.solve(layers, tolerance=1e-8).result
    assert result["status"] == "converged" and result["relative_l2_error"]["u"] < 1e-8


def test_smooth_bases_say_that_they_miss_fluxes():
    network = {"basis": {"kind": "mlp", "width": 20}, "method": "least_squares"}
    assert "fluxes are wrong" in ps.solve(problem(), **network).result["message"]
    same = compile_problem(problem(definitions={**DISK["definitions"], "k": "1"}))  # only the source jumps
    assert [i.kinks for i in same.interfaces] == [False] and compile_problem(problem()).interfaces[0].kinks


MIXED = {
    "unknowns": ["u", "p", "q"],
    "equations": {
        "law": {"equations": ["p + k*D(u, x) = 0", "q + k*D(u, y) = 0"]},
        "balance": "D(p, x) + D(q, y) = 0",
    },
}


def test_of_first_derivatives_what_they_are_taken_of_is_continuous():
    """A cylinder in a uniform field: the flux along the circle jumps, across it it does not."""
    stated = problem(
        **MIXED,
        definitions={
            "r2": "x**2 + y**2",
            "k": "where(r2 < 0.25, 1, 10)",
            "true": "where(r2 < 0.25, 20/11*x, x + 9/44*x/r2)",
        },
        exact={"u": "true", "p": "-k*D(true, x)", "q": "-k*D(true, y)"},
    )
    residuals = compile_problem(stated).interfaces[0].term.residuals
    assert len(residuals) == 3 and [len({f.unknown for f in features_of(r)}) for r in residuals] == [1, 1, 2]
    result = ps.solve(stated, tolerance=1e-3).result
    assert result["status"] == "converged" and max(result["relative_l2_error"].values()) < 1e-3


def test_coefficients_of_either_sign_stay_as_they_are():
    signs = compile_problem(problem(definitions={**DISK["definitions"], "k": "where(r2 < 0.25, -1, 2)"}))
    flux = signs.interfaces[0].term.residuals[1]
    by_side = {s.feature.side: flux.coeff(s) for s in flux.free_symbols if str(s).startswith("u{1,0")}
    assert by_side[0] / by_side[1] == sp.Rational(1, 2)  # -1 (n u_x) against -(2 n u_x)


def test_sides_of_the_domain_are_no_interfaces():
    """Though they lie in the box in which the jump is traced."""
    plate = {"difference": [{"box": {"x": [-1, 1], "y": [-1, 1]}}, {"disk": {"center": [0.5, 0], "radius": 0.2}}]}
    stated = {k: v for k, v in DISK.items() if k != "coordinates"} | {"domain": plate}
    compiled = compile_problem(build_problem(spec_from_dict(stated)))
    lengths = []
    for material in compiled.materials:
        shape = make_shape(material.shape)
        boundary = shape.boundary(0.1)
        lengths.append(float(boundary.weights[boundary.part != shape.parts.index(INTERFACE)].sum()))
    assert sum(lengths) == pytest.approx(8 + 0.4 * np.pi)


@pytest.mark.parametrize(
    ("conductivity", "resistance"),
    [
        ("where(x < 0.2, 1, where(x < 0.4, 5, where(x < 0.6, 0.5, where(x < 0.8, 20, 2))))", 0.75),
        ("1 + 9*heaviside(x - 0.41)", 0.41 + 0.059),
        ("3 - 2*sign(0.7 - x)", 0.7 + 0.06),
    ],
)
def test_fluxes_are_continuous_across_many_layers_and_across_steps(conductivity, resistance):
    """The first two tenths conduct with 1: there the slope is the flux."""
    wall = ps.Problem(
        name="wall", domain=ps.Box(x=(0, 1)), unknowns="u", definitions={"k": conductivity},
        equations={"heat": "D(k*D(u, x), x) = 0"},
        conditions={
            "cold": ps.Condition(on="x = 0", equation="u = 0"),
            "warm": ps.Condition(on="x = 1", equation="u = 1"),
        },
    )  # fmt: skip
    solution = ps.solve(wall)
    assert solution.result["status"] == "converged"
    assert float(solution(x=0.2)) == pytest.approx(0.2 / resistance, rel=1e-9)


@pytest.mark.parametrize("place", [(1.31, 0.43), (1.0, 0.52), (0.24, 0.76), (1.997, 0.5)])
def test_no_piece_of_a_small_material_is_left_out_as_a_sliver(place):
    x, y = place
    dot = spec_from_dict(
        {
            "name": "dot",
            "coordinates": {"x": [0, 2], "y": [0, 1]},
            "unknowns": "u",
            "equations": {"heat": f"-laplacian(u) = where((x - {x})**2 + (y - {y})**2 < 0.01**2, 1, 0)"},
            "conditions": {"rim": {"on": "boundary", "equation": "u = 0"}},
        }
    )
    cells = first_cells(compile_problem(build_problem(dot)))
    held = cells.volume[cells.material == 0].sum()
    points = torch.rand(200_000, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    points = torch.tensor([x, y]) + 0.02 * (points - 0.5)
    inside = ((points - torch.tensor([x, y])).square().sum(dim=1) < 1e-4) & (points[:, 0] < 2)
    assert float(held) == pytest.approx(4e-4 * float(inside.double().mean()), rel=0.05)


def test_a_function_of_one_material_alone_is_missed_where_it_ends():
    compiled = compile_problem(problem())
    space = Space(first_cells(compiled), (4, 4), table_orders(compiled))
    c = torch.zeros(space.cells.count, 1, space.functions, dtype=torch.float64)
    c[space.cells.material == 0, 0, 0] = 1.0  # one in the disk, zero around it
    basis = PouCells(space.cells, space.degrees, *torch.tensor([[-1.0, -1.0], [1.0, 1.0]]).double())
    function = Approximation(basis, State(c.transpose(0, 1).reshape(1, -1), torch.zeros(0, dtype=torch.float64)))
    look = Look(compiled, function, 2 * torch.rand(500, 2, dtype=torch.float64) - 1)
    values, flux = between_materials(look, basis)
    assert values.share > 0.3 and flux.share < 1e-12
