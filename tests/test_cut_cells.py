"""Cells that the boundary of a shape cuts: where their points are, what is orthonormal, how errors fall."""

from __future__ import annotations

import math

import pytest
import torch

import pinnsolve as ps
from pinnsolve.adapt.hp_refinement import corrected, newton, solve_level
from pinnsolve.assembly.faces import continuity_rows
from pinnsolve.assembly.row_source import State
from pinnsolve.assembly.term_rows import highest_orders, table_orders, term_rows
from pinnsolve.bases.piecewise.cut_cells import Within
from pinnsolve.bases.piecewise.cut_quadrature import cut_points
from pinnsolve.bases.piecewise.initial_mesh import first_cells
from pinnsolve.bases.piecewise.mesh import uniform_cells
from pinnsolve.bases.piecewise.space import Space
from pinnsolve.compiler.compiler import compile_problem
from pinnsolve.geometry.factory import make_shape
from pinnsolve.geometry.shapes import Box, Difference, Disk

HOLE = Disk((0.1, -0.05), 0.6, "rim")
PLATE = Difference(Box((-1.0, -1.0), (1.0, 1.0), "outer"), (HOLE,))
AREA = 4 - math.pi * 0.36
NONE = torch.zeros(0, dtype=torch.float64)


def cells_of(tree=PLATE, count: int = 5):
    shape = make_shape(tree)
    boxes = uniform_cells(shape.lower, shape.upper, [count] * 2)
    return Within((shape,), (0, 1)).cells(boxes.lower, boxes.upper, boxes.material)


def space_of(degree: int = 5, count: int = 5) -> Space:
    return Space(cells_of(count=count), (degree, degree), (2, 2))


def inside(x: torch.Tensor) -> torch.Tensor:
    return ((x - torch.tensor(HOLE.center)) ** 2).sum(dim=-1) >= HOLE.radius**2 - 1e-12


def smooth(x: torch.Tensor) -> torch.Tensor:
    return torch.exp(x[:, 0]) * torch.sin(2 * x[:, 1])


def test_boxes_in_the_hole_are_left_out_and_the_rest_covers_the_shape():
    cells = cells_of(count=8)
    assert cells.count < 64 and bool(cells.cut.any()) and not bool(cells.cut.all())
    assert float(cells.volume.sum()) == pytest.approx(AREA, rel=0.01)
    lower, upper = cells.frame
    assert bool((lower >= cells.lower - 1e-9).all() and (upper <= cells.upper + 1e-9).all() and (upper > lower).all())
    whole = ~cells.cut
    assert torch.equal(lower[whole], cells.lower[whole]) and torch.equal(upper[whole], cells.upper[whole])


def test_points_of_cut_cells_are_inside_and_their_weights_are_a_mean():
    space = space_of()
    cut = space.cells.cut.nonzero()[:, 0]
    points, weights = cut_points(space, cut)
    x = space.cells.physical(points, cut)
    assert bool(inside(x[weights > 0]).all())
    assert float((weights.sum(dim=1) - 1).abs().max()) < 1e-12
    assert int((weights > 0).sum(dim=1).min()) > space.functions


def test_functions_of_cut_cells_become_orthonormal():
    space = space_of()
    cut = space.cells.cut.nonzero()[:, 0]
    points, weights = cut_points(space, cut)
    zero = torch.eye(space.functions, dtype=torch.float64)
    table = space.tables(points).table((0, 0))  # (K, m, n)
    z = zero.expand(space.cells.count, -1, -1)
    c = torch.stack([space.back(z[:, k : k + 1])[cut, 0] for k in range(space.functions)], dim=2)  # (K, n, n)
    values = table @ c
    gram = values.mT @ (weights[..., None] * values)
    assert float((gram - zero).abs().max()) < 1e-6
    assert torch.allclose(space.orthonormal(space.back(z)), z, atol=1e-8)


def test_projection_reproduces_polynomials():
    space = space_of(degree=4)
    c = space.project(lambda x: (x[:, 0] ** 3 * x[:, 1] - x[:, 1] ** 4)[None], 1)
    x = 2 * torch.rand(500, 2, generator=torch.Generator().manual_seed(3), dtype=torch.float64) - 1
    x = x[inside(x)]
    assert torch.allclose(space.values(c, x, (0, 0))[0], x[:, 0] ** 3 * x[:, 1] - x[:, 1] ** 4, atol=1e-9)
    assert float(space.rms(c)[0]) == pytest.approx(float((space.values(c, x, (0, 0)) ** 2).mean().sqrt()), rel=0.1)


PROBLEM = {
    "name": "plate",
    "unknowns": "u",
    "domain": {
        "difference": [
            {"box": {"x": [-1, 1], "y": [-1, 1]}, "boundary": "outer"},
            {"disk": {"center": list(HOLE.center), "radius": HOLE.radius}, "boundary": "rim"},
        ]
    },
    "equations": {"poisson": "laplacian(u) = -3*exp(x)*sin(2*y)"},
    "conditions": {
        "outer": {"on": "outer", "equation": "u = exp(x)*sin(2*y)"},
        "rim": {"on": "rim", "equation": "Dn(u) = exp(x)*(n_x*sin(2*y) + 2*n_y*cos(2*y))"},
    },
    "exact": {"u": "exp(x)*sin(2*y)"},
}


def plate():
    from pinnsolve.problem.build import build_problem
    from pinnsolve.spec.spec import spec_from_dict

    return build_problem(spec_from_dict(PROBLEM))


def test_rows_vanish_for_a_polynomial_that_solves_the_problem():
    compiled = compile_problem(plate())
    space = Space(cells_of(), (8, 8), table_orders(compiled))
    c = space.project(lambda x: smooth(x)[None], 1)
    continuity = continuity_rows(space, compiled.coordinates, highest_orders(compiled))
    for group in [*term_rows(compiled, space, {}), *continuity]:
        assert float(group.rows(State(c, NONE)).r.abs().max()) < 1e-4, group.name


@pytest.mark.parametrize("degree", [3, 5])
def test_the_order_of_convergence_does_not_suffer_from_cuts(degree):
    compiled = compile_problem(plate())
    x = 2 * torch.rand(4000, 2, generator=torch.Generator().manual_seed(8), dtype=torch.float64) - 1
    x = x[inside(x)]
    errors = []
    for count in (4, 8, 16):
        space = Space(cells_of(count=count), (degree,) * 2, table_orders(compiled))
        zero = torch.zeros(space.cells.count, 1, space.functions, dtype=torch.float64)
        level = corrected(solve_level(compiled, space, zero, {}, newton(1e-12)), compiled, {})
        error = float((space.values(level.c, x, (0, 0))[0] - smooth(x)).norm() / smooth(x).norm())
        assert 0.2 * error < level.worst < 5 * error
        errors.append(error)
    assert math.log2(errors[0] / errors[2]) / 2 > degree - 0.5


def test_the_first_cells_follow_flat_sides_and_curved_ones():
    cells = first_cells(compile_problem(plate()))
    assert bool(cells.cut.any()) and cells.count < 120
    corner = {
        **PROBLEM,
        "domain": {"difference": [{"box": {"x": [0, 4], "y": [0, 2]}}, {"box": {"x": [0, 1], "y": [1, 2]}}]},
    }
    corner |= {"conditions": {"all": {"on": "boundary", "equation": "u = 0"}}}
    corner.pop("exact")
    from pinnsolve.problem.build import build_problem
    from pinnsolve.spec.spec import spec_from_dict

    cells = first_cells(compile_problem(build_problem(spec_from_dict(corner))))
    assert not bool(cells.cut.any())
    assert float(cells.volume.sum()) == pytest.approx(7.0, abs=1e-12)
    smallest = cells.size.amin(dim=1).argmin()
    centre = 0.5 * (cells.lower + cells.upper)[smallest]
    assert float((centre - torch.tensor([1.0, 1.0])).norm()) < 0.5  # graded towards the re-entrant corner


def test_a_problem_on_a_shape_reaches_its_tolerance(tmp_path):
    solution = ps.solve(plate(), tolerance=1e-7)
    result = solution.result
    assert result["status"] == "converged" and result["basis"].startswith("pou_grid")
    assert result["relative_l2_error"]["u"] < 1e-7
    assert result["estimated_error"]["u"] > 0.2 * result["relative_l2_error"]["u"]
    solution.save(tmp_path)
    loaded = ps.load_solution(tmp_path)
    at = {"x": [-0.9, 0.8, 0.1], "y": [0.3, 0.7, 0.0]}
    assert loaded(**at)[:2].tolist() == solution(**at)[:2].tolist()
    assert math.isnan(loaded(**at)[2])  # in the hole


def test_heat_in_a_ring_marches():
    heat = {
        "name": "ring",
        "time": {"t": [0, 0.2]},
        "unknowns": "u",
        "domain": {
            "difference": [{"disk": {"center": [0, 0], "radius": 1}}, {"disk": {"center": [0, 0], "radius": 0.4}}]
        },
        "equations": {"heat": "D(u, t) = laplacian(u)"},
        "conditions": {
            "start": {"on": "t = 0", "equation": "u = exp(x)*sin(2*y)"},
            "rims": {"on": "boundary", "equation": "u = exp(-3*t)*exp(x)*sin(2*y)"},
        },
        "exact": {"u": "exp(-3*t)*exp(x)*sin(2*y)"},
    }
    from pinnsolve.problem.build import build_problem
    from pinnsolve.spec.spec import spec_from_dict

    result = ps.solve(build_problem(spec_from_dict(heat)), tolerance=1e-2).result
    assert result["status"] == "converged" and "slab" in result["basis"]
    assert result["relative_l2_error"]["u"] < 1e-2


@pytest.mark.parametrize(("tolerance", "halvings"), [(1e-3, 3), (1e-6, 7), (1e-8, 12)])
def test_cells_are_halved_to_a_corner_as_the_tolerance_asks(tolerance, halvings):
    """Of the L with sides of 2, whose first cells are halves."""
    problem = ps.load("l-shape", [f"solve.tolerance={tolerance}"])
    cells = first_cells(compile_problem(problem))
    smallest = (cells.upper - cells.lower).amin(dim=1)
    assert float(smallest.min()) == pytest.approx(2.0**-halvings)
    touching = (cells.lower <= 1e-12).all(dim=1) & (cells.upper >= -1e-12).all(dim=1)
    assert int(touching.sum()) == 3
    assert float(smallest[touching].max()) == pytest.approx(2.0**-halvings)
