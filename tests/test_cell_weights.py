"""Weights of cells by their size: what passes through small ones counts, so that nothing infinite is nearly free."""

from __future__ import annotations

import pytest
import torch

import pinnsolve as ps
from pinnsolve.assembly.cell_weights import balanced, balanced_by_materials
from pinnsolve.assembly.row_source import State
from pinnsolve.assembly.term_rows import table_orders, term_rows
from pinnsolve.bases.piecewise.mesh import uniform_cells
from pinnsolve.bases.piecewise.space import Space
from pinnsolve.compiler.compiler import compile_problem

NONE = torch.zeros(0, dtype=torch.float64)


def ratios(equation, **coordinates):
    """By how much the rows of an equation are multiplied in each cell, where one cell of two per axis is halved."""
    problem = ps.Problem(name="w", domain=ps.Box(**coordinates), unknowns="u", equations={"e": equation})
    compiled = compile_problem(problem)
    low, high = (torch.tensor(ends, dtype=torch.float64) for ends in zip(*compiled.intervals, strict=True))
    cells = uniform_cells(low, high, (2,) * len(low))
    halved = torch.zeros(cells.count, len(low), dtype=torch.bool)
    halved[0] = True
    space = Space(cells.split(halved[:, 0], halved), (5,) * len(low), table_orders(compiled))
    plain = term_rows(compiled, space, {})
    c = torch.ones(space.cells.count, 1, space.functions, dtype=torch.float64)
    found = []
    for one, other in zip(plain, balanced(compiled, space, plain), strict=True):
        before, after = one.rows(State(c, NONE)).r, other.rows(State(c, NONE)).r
        found += (after.norm(dim=1) / before.norm(dim=1)).tolist()
        (again,) = balanced_by_materials(compiled, space, [other])
        torch.testing.assert_close(again.rows(State(c, NONE)).r, before)
    return sorted(found)


@pytest.mark.parametrize(
    ("equation", "most"),
    [("laplacian(u) = 1", 2), ("laplacian(laplacian(u)) = 1", 4), ("D(u, x) + D(u, y) = 1", 1)],
)
def test_small_cells_of_the_plane_weigh_more(equation, most):
    assert ratios(equation, x=(0, 1), y=(0, 1)) == pytest.approx([1.0] * 3 + [most] * 4)


def test_on_a_line_all_cells_weigh_the_same():
    assert ratios("D(u, x, x) = 1", x=(0, 1)) == pytest.approx([1.0] * 3)


def test_a_corner_whose_data_are_singular_is_solved():
    """Beside the corner, (2/3)(r^-1/3) is infinite; r^(-2/3) sin(2 angle/3) must not be mixed in."""
    angle = "where(y < 0, atan2(y, x) + 2*pi, atan2(y, x))"
    truth = f"(x**2 + y**2)**(1/3)*sin(2/3*{angle})"
    shape = {"polygon": [[0, 0], [1, 0], [1, 1], [-1, 1], [-1, -1], [0, -1]]}
    problem = ps.Problem(
        name="corner", domain=ps.Shape(shape, coordinates="x y"), unknowns="u", equations={"e": "laplacian(u) = 0"},
        conditions={"rim": ps.Condition(on="boundary", equation=f"u = {truth}")}, exact={"u": truth},
    )  # fmt: skip
    result = ps.solve(problem, tolerance=1e-3).result
    assert result["status"] == "converged", result["message"]
    assert result["relative_l2_error"]["u"] < 5 * result["estimated_error"]["u"] < 5e-3


def test_a_clamped_plate_bends_as_elements_say():
    """At the ends of the clamped side stresses are infinite, and the plate bends by much for little energy.

    The displacement of the tip is that of elements of fourth degree on graded meshes (scikit-fem: 6.3063003 and
    6.3063005 on two of them).
    """
    stress = {
        "sxx": "(D(u, x) + nu*D(v, y))/(1 - nu**2)", "syy": "(D(v, y) + nu*D(u, x))/(1 - nu**2)",
        "sxy": "(D(u, y) + D(v, x))/(2*(1 + nu))",
    }  # fmt: skip
    conditions = {
        "clamped": ps.Condition(on="x = 0", equations=["u = 0", "v = 0"]),
        "pulled": ps.Condition(on="x = 2", equations=["sxx = 0", "sxy = y*(1 - y)"]),
        "free": ps.Condition(on=["y = 0", "y = 1"], equations=["syy = 0", "sxy = 0"]),
    }
    problem = ps.Problem(
        name="plate", domain=ps.Box(x=(0, 2), y=(0, 1)), unknowns=["u", "v"], parameters={"nu": 0.3},
        definitions=stress,
        equations={"along": "D(sxx, x) + D(sxy, y) = 0", "across": "D(sxy, x) + D(syy, y) = 0"}, conditions=conditions,
    )  # fmt: skip
    solution = ps.solve(problem, tolerance=3e-3)
    assert solution.result["status"] == "converged", solution.result["message"]
    tip = float(solution(x=2.0, y=0.5)["v"])
    assert abs(tip / 6.3063 - 1) < 5 * solution.result["estimated_error"]["v"] < 1.5e-2
