"""Energies on shapes in space: cells that the boundary cuts, materials, and what is refused."""

from __future__ import annotations

import pytest
import torch

import pinnsolve as ps
from pinnsolve.adapt.hp_refinement import first_space, make_system, newton, solve_level
from pinnsolve.assembly.box_rules import inside_rule
from pinnsolve.assembly.cut_moments import FAR, Product, products
from pinnsolve.assembly.cut_pieces import CutPieces, surfaces_meet
from pinnsolve.assembly.row_source import State
from pinnsolve.bases.piecewise.space import Space, chain_factors
from pinnsolve.compiler.compiler import compile_problem
from pinnsolve.compiler.energies import energies_of, energies_to_minimize
from pinnsolve.geometry.factory import make_shape
from pinnsolve.geometry.level_sets import in_pieces
from pinnsolve.problem.build import build_problem
from pinnsolve.spec.spec import spec_from_dict

NOTHING = torch.zeros(0, dtype=torch.float64)
HOLLOW = {"difference": [
    {"ball": {"center": [0, 0, 0], "radius": 1}, "boundary": "outer"},
    {"ball": {"center": [0.2, 0.1, 0], "radius": 0.3}, "boundary": "hollow"},
]}  # fmt: skip
BORED = {"difference": [
    {"box": {"x": [0, 2], "y": [0, 1], "z": [0, 1]}},
    {"cylinder": {"ends": [[0.9, 0.45, -0.2], [0.9, 0.45, 1.2]], "radius": 0.25}, "boundary": "bore"},
]}  # fmt: skip


def built(domain, conditions, equation="-laplacian(u) = f", unknowns="u", **more):
    spec = {"name": "shape", "domain": domain, "unknowns": unknowns, "equations": {"balance": equation}}
    return build_problem(spec_from_dict({**spec, "conditions": conditions, **more}))


def hollow_ball():
    flux = "n_x*(2*x*y - y*z) + n_y*(x**2 - x*z) + n_z*(3*z**2 - x*y)"
    conditions = {
        "outer": {"on": "outer", "equation": "u = w"},
        "hollow": {"on": "hollow", "equation": f"Dn(u) + 2*u = {flux} + 2*w"},
    }
    return built(HOLLOW, conditions, definitions={"w": "x**2*y + z**3 - x*y*z", "f": "-2*y - 6*z"})


def exact(x):
    a, b, c = x.T
    return a**2 * b + c**3 - a * b * c


def solved(problem, degree, cells=None):
    space = first_space(problem)
    space = Space(space.cells if cells is None else cells, (degree,) * 3, space.orders)
    start = State(torch.zeros(space.cells.count, len(problem.unknowns), space.functions).double(), NOTHING)
    return space, solve_level(problem, space, start, {}, newton(1e-10))


def points_inside(problem, count=2000):
    cells = first_space(problem).cells
    low, high = cells.box
    x = low + (high - low) * torch.rand(count, 3, generator=torch.Generator().manual_seed(3), dtype=torch.float64)
    return x[cells.parts.within.shapes[0].inside(x)]


def test_polynomials_are_solutions_in_a_shape():
    problem = compile_problem(hollow_ball())
    space, level = solved(problem, 4)
    x = points_inside(problem)
    assert int(space.cells.cut.sum()) > 10
    found = space.values(level.c, x, (0, 0, 0))[0]
    assert float((found - exact(x)).norm() / exact(x).norm()) < 1e-6


@pytest.mark.parametrize("second, meet", [([0.2, 0.1, 0], False), ([0.8, 0.1, 0], True)])
def test_surfaces_that_meet_are_seen(second, meet):
    balls = [{"ball": {"center": center, "radius": r}} for center, r in (([0, 0, 0], 1), (second, 0.3))]
    problem = compile_problem(
        built({"difference": balls}, {"walls": {"on": "boundary", "equation": "u = 0"}}, "-laplacian(u) = 1")
    )
    assert surfaces_meet(first_space(problem).cells, problem.shape) == meet


TWO_BALLS = {"union": [
    {"ball": {"center": [0, 0, 0], "radius": 0.5}},
    {"ball": {"center": [0.55, 0.21, 0.33], "radius": 0.4}},
]}  # fmt: skip


@pytest.mark.parametrize("domain, most", [(BORED, 1e-7), (TWO_BALLS, 6e-8)])
def test_cells_that_are_cut_close(domain, most):
    problem = compile_problem(built(domain, {"walls": {"on": "boundary", "equation": "u = 0"}}, "-laplacian(u) = 1"))
    cells = first_space(problem).cells
    pieces = CutPieces(cells, problem.shape, 8)
    boundary = pieces.boundary
    for axis in range(3):
        out = torch.zeros(cells.count).double()
        out.index_add_(0, boundary.owner, boundary.weights * boundary.normals[:, axis])
        for between in (one for one in pieces.between if one.axis == axis):
            out.index_add_(0, between.below, between.weights.sum(dim=1))
            out.index_add_(0, between.above, -between.weights.sum(dim=1))
        assert float(out[pieces.cut].abs().max()) < most
    if domain is BORED:
        bore = pieces.shape.parts.index("bore")
        area = float(boundary.weights[boundary.part == bore].sum())
        assert area == pytest.approx(2 * torch.pi * 0.25, rel=1e-7)


def test_products_by_moments_are_those_point_by_point(monkeypatch):
    problem = compile_problem(hollow_ball())
    space = Space(first_space(problem).cells, (4, 4, 4), (2, 2, 2))
    inside = CutPieces(space.cells, problem.shape, 6).inside
    wanted = [
        Product(0, (1, 0, 0), 0, (0, 1, 0), 1.0 + inside.x[:, 2] ** 2),
        Product(0, (0, 0, 0), 0, (0, 0, 1), -2.0),
    ]
    assert float(space.metric.stretch.max()) < FAR
    one = products(space, inside, inside.weights, wanted, 1)
    monkeypatch.setattr("pinnsolve.assembly.cut_moments.FAR", 0.0)
    two = products(space, inside, inside.weights, wanted, 1)
    torch.testing.assert_close(one, two, rtol=0, atol=1e-6 * float(two.abs().max()))
    # and by tables of all functions
    g, part = 3, slice(inside.starts[3], inside.starts[4])
    cell, x = inside.cells[g : g + 1], inside.x[part][None]
    tables = space.tables(space.cells.reference(x, cell))
    rows = [tables.table(a) * chain_factors(space.cells, cell, a) for a in ((1, 0, 0), (0, 1, 0), (0, 0, 0), (0, 0, 1))]
    left, right, value, slope = (space.metric.matrix(cell, row, 1)[0] for row in rows)
    w = inside.weights[part][:, None]
    expected = left.T @ (w * (1.0 + x[0, :, 2:] ** 2) * right) - 2.0 * value.T @ (w * slope)
    torch.testing.assert_close(two[g, 0, :, 0], expected, rtol=0, atol=1e-9 * float(expected.abs().max()))


def test_small_pieces_at_the_end_of_a_slice_are_found():
    problem = compile_problem(built(TWO_BALLS, {"walls": {"on": "boundary", "equation": "u = 0"}}, "-laplacian(u) = 1"))
    level = in_pieces(problem.shape, make_shape(problem.shape).level)
    lower = torch.tensor([[-0.4985, -0.5, -0.5]], dtype=torch.float64)  # a disk round the origin, of a tenth of a slice
    upper = torch.tensor([[-0.4985, 0.055, 0.115]], dtype=torch.float64)
    rule = inside_rule(level, lower, upper, [1, 2], 10)
    assert float(rule.weights.sum()) == pytest.approx(torch.pi * (0.25 - 0.4985**2), rel=1e-9)


FACES = ["x = 2", "y = 0", "y = 1", "z = 0", "z = 1"]


def bored_block(free=(*FACES, "bore")):
    stress = [
        f"lame*div(u)*n_{c} + shear*(Dn(u_{c}) + " + " + ".join(f"D(u_{d}, {c})*n_{d}" for d in "xyz") + ") = 0"
        for c in "xyz"
    ]
    conditions = {
        "clamped": {"on": "x = 0", "equation": "u = [0, 0, 0]"},
        "free": {"on": list(free), "equations": stress},
    }
    equation = "(lame + shear)*grad(div(u)) + shear*laplacian(u) = [0, 0, 1]"
    return compile_problem(built(BORED, conditions, equation, {"u": "vector"}, parameters={"lame": 1.5, "shear": 1}))


def test_a_bored_elastic_block_has_a_positive_energy():
    problem = bored_block()
    (energy,) = energies_to_minimize(problem)
    assert sorted(all(wall.held) for wall in energy.walls) == [False] * 6 + [True]
    cells = first_space(problem).cells
    for axis in (0, 1, 0):  # so that some at the walls are whole
        cells = cells.split(torch.ones(cells.count, dtype=torch.bool), torch.tensor([i == axis for i in range(3)])
                            .expand(cells.count, 3))  # fmt: skip
    assert bool(cells.cut.any()) and not bool(cells.cut.all())
    space, level = solved(problem, 3, cells)  # the factorization is one of positive matrices
    ends = [space.values(level.c, torch.tensor([[x, 0.9, 0.5]], dtype=torch.float64), (0, 0, 0))[2] for x in (0.0, 2.0)]
    assert abs(float(ends[0])) < 0.05 < -float(ends[1])  # bends towards its load, and is held at one end
    whole = sum(float(source.on.weights.sum()) for source in make_system(problem, space, {}).sources
                if type(source).__name__ == "_OnCutWall")  # fmt: skip
    area = 2 * (1 + 2 * (2 - torch.pi / 16) / 2 + 2) + torch.pi / 2
    assert whole == pytest.approx(area, rel=1e-6)  # every place is in one piece


@pytest.mark.parametrize("free", [FACES, (*FACES[1:], "bore")])
def test_a_block_with_a_face_that_nothing_is_said_of_has_none(free):
    assert energies_of(bored_block(free)) == ()


def test_materials_that_planes_part_have_an_energy_each():
    spec = {
        "name": "layers", "coordinates": {c: [0, 1] for c in "xyz"}, "unknowns": "u",
        "definitions": {"k": "where(z < 0.43, 1, 4)"}, "equations": {"heat": "div(k*grad(u)) = 0"},
        "conditions": {
            "low": {"on": "z = 0", "equation": "u = 0"}, "high": {"on": "z = 1", "equation": "k*D(u, z) = 1"},
            "sides": {"on": ["x = 0", "x = 1", "y = 0", "y = 1"], "equation": "Dn(u) = 0"},
        },
    }  # fmt: skip
    problem = build_problem(spec_from_dict(spec))
    assert len(energies_of(compile_problem(problem))) == 2
    solution = ps.solve(problem, tolerance=1e-8)
    assert solution.result["method"] == "least energy" and solution.result["status"] == "converged"
    z = torch.linspace(0.02, 0.98, 25, dtype=torch.float64)
    found = torch.as_tensor(solution(x=0 * z.numpy() + 0.3, y=0 * z.numpy() + 0.6, z=z.numpy()))
    torch.testing.assert_close(found, torch.where(z < 0.43, z, 0.43 + (z - 0.43) / 4), rtol=0, atol=1e-8)


@pytest.mark.parametrize("k", ["where(x**2 + y**2 + z**2 < 0.5, 1, 4)", "where(x + z < 0.7, 1, 4)"])
def test_materials_that_no_plane_across_an_axis_parts_have_none(k):
    spec = {
        "name": "parts", "coordinates": {c: [0, 1] for c in "xyz"}, "unknowns": "u", "definitions": {"k": k},
        "equations": {"heat": "div(k*grad(u)) = 0"}, "conditions": {"walls": {"on": "boundary", "equation": "u = x"}},
    }  # fmt: skip
    assert energies_of(compile_problem(build_problem(spec_from_dict(spec)))) == ()


@pytest.mark.parametrize(
    "conditions",
    [
        {"walls": {"on": "boundary", "equation": "Dn(u) + D(u, x) = 0"}},  # oblique
        {"bore": {"on": "bore", "equation": "Dn(u) = u"}},  # gains what leaves
        {"walls": {"on": "boundary", "where": "x < 1", "equation": "u = 0"},
         "rest": {"on": "boundary", "where": "x >= 1", "equation": "Dn(u) = 0"}},
    ],
)  # fmt: skip
def test_boundaries_that_are_not_told_part_by_part_have_none(conditions):
    problem = compile_problem(built(BORED, conditions, "-laplacian(u) + u = 1"))
    assert energies_of(problem) == ()


def test_rows_count_the_points_of_every_term_also_where_nothing_flows():
    problem = compile_problem(
        built(BORED, {"walls": {"on": "boundary", "equation": "Dn(u) = 0"}}, "u - laplacian(u) = x")
    )
    counts: dict[str, int] = {}
    for source in make_system(problem, first_space(problem), {}).sources:
        for name, count in source.point_counts.items():
            counts[name] = counts.get(name, 0) + count
    assert set(counts) == {"balance", "walls"} and min(counts.values()) > 0
