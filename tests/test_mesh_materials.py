"""Groups of cells of a mesh as materials: what they are, what holds between them, and solutions with kinks there."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import sympy as sp
import torch

import pinnsolve as ps
from pinnsolve.bases.piecewise.initial_mesh import first_cells
from pinnsolve.compiler.applicability import why_not_cells
from pinnsolve.compiler.compiler import compile_problem
from pinnsolve.errors import ProblemError
from pinnsolve.files.mesh_file import read_mesh
from pinnsolve.geometry.factory import make_shape
from pinnsolve.geometry.mesh_groups import only, told_apart
from pinnsolve.geometry.shapes import INTERFACE
from pinnsolve.problem.build import build_problem
from pinnsolve.spec.spec import spec_from_dict

ROOT = Path(__file__).resolve().parents[1]
CORE = ROOT / "problems" / "meshes" / "core.msh"
TWO = {
    "name": "two",
    "domain": {"mesh": "core.msh"},
    "unknowns": "u",
    "definitions": {
        "r2": "x**2 + y**2",
        "true": "where(r2 < 0.25, 0.25 - r2, -0.5*log(sqrt(r2)/0.5)/100)",
    },
    "equations": {
        "core": {"on": "core", "equation": "-laplacian(u) = 4"},
        "shell": {"on": "shell", "equation": "100*laplacian(u) = 0"},
    },
    "conditions": {"walls": {"on": "walls", "equation": "u = true"}},
    "exact": {"u": "true"},
}


def problem(**changes):
    return build_problem(spec_from_dict({**TWO, **changes}, CORE.parent))


def test_groups_of_a_mesh_share_their_boundary():
    mesh = read_mesh(CORE)
    found = told_apart(mesh, ["core", "shell"])
    assert sorted(found) == [(("core",), ("shell",)), (("shell",), ("core",))]
    core, shell = (only(mesh, groups) for groups in sorted(found))
    assert set(core.side_parts) == {INTERFACE} and set(shell.side_parts) == {INTERFACE, "walls"}
    turned = {side[1::-1] + side[2:] for side in core.sides}
    assert turned == {s for s, p in zip(shell.sides, shell.side_parts, strict=True) if p == INTERFACE}
    assert mesh.inner == ("contact",) and mesh.parts == ("walls",)


def test_groups_are_materials_with_fluxes_of_their_own_equations():
    compiled = compile_problem(problem())
    assert [m.within for m in compiled.materials] == [("core",), ("shell",)]
    (interface,) = compiled.interfaces
    _, flux = interface.term.residuals
    by_normal = {s.name: 1 if s.name == "n_x" else 0 for s in flux.free_symbols if s.name.startswith("n_")}
    here = {s: by_normal[s.name] for s in flux.free_symbols if s.name in by_normal}
    factors = {str(s.feature.side): flux.xreplace(here).coeff(s) for s in flux.free_symbols if hasattr(s, "feature")
               and s.feature.alpha == (1, 0)}  # fmt: skip
    assert factors["1"] == -100 * factors["0"]  # one equation has the minus on the left, the other has none
    cells = first_cells(compiled)
    x = torch.tensor([[0.0, 0.1], [0.4, 0.4], [0.3, 0.3], [-0.9, 0.9]], dtype=torch.float64)
    assert cells.parts.within.materials(x).tolist() == [0, 1, 0, 1]
    assert set(cells.material.tolist()) == {0, 1}


def test_a_group_that_is_all_of_the_mesh_is_no_material():
    stated = {
        **TWO, "domain": {"mesh": "four-holes.msh"}, "definitions": {}, "exact": {"u": "x"},
        "equations": {"e": {"on": "plate", "equation": "laplacian(u) = 0"}},
        "conditions": {"rim": {"on": "boundary", "equation": "u = x"}},
    }  # fmt: skip
    compiled = compile_problem(build_problem(spec_from_dict(stated, CORE.parent)))
    assert compiled.materials == () and why_not_cells(compiled) is None
    assert [p.region for t in compiled.terms for p in t.region.pieces] == [None, None]


def test_a_line_between_groups_is_no_place_for_a_condition():
    with pytest.raises(ProblemError, match="`contact` lies inside the mesh"):
        problem(conditions={"walls": {"on": "contact", "equation": "u = 0"}})


def test_where_and_groups_together():
    """The shell has another source on its right: the two comparisons make materials of each group."""
    compiled = compile_problem(problem(equations={
        "core": {"on": "core", "equation": "-laplacian(u) = 4"},
        "shell": {"on": "shell", "equation": "-100*laplacian(u) = where(x < 0.75, 0, 1)"},
    }))  # fmt: skip
    assert len(compiled.materials) == 4
    cells = first_cells(compiled)
    assert sorted(set(cells.material.tolist())) == [0, 2, 3]  # the core does not reach that far
    areas = [make_shape(m.shape).measure() for m in compiled.materials if m.within == ("shell",)]
    assert sum(areas) == pytest.approx(4 - np.pi / 4, abs=1e-5) and areas[1] == pytest.approx(0.5, abs=1e-9)
    assert all(sp.sympify(r).free_symbols for i in compiled.interfaces for r in i.term.residuals)


def test_two_groups_with_a_kink_between_them(tmp_path):
    solution = ps.solve(problem(), tolerance=1e-4)
    result = solution.result
    assert result["status"] == "converged" and result["relative_l2_error"]["u"] < 3e-5
    solution.save(tmp_path)
    x = np.array([0.1, 0.49, 0.51, 0.9])
    np.testing.assert_array_equal(ps.load_solution(tmp_path)(x=x, y=0 * x), solution(x=x, y=0 * x))
    inner, outer = (solution.derivative("u", "x")(x=x, y=0.0) for x in (0.4999, 0.5001))
    assert inner / outer == pytest.approx(100, rel=0.01)


def test_heat_in_two_groups():
    """The same decaying in time, with the sources that this asks for."""
    heat = problem(
        time={"t": [0, 0.1]},
        definitions={**TWO["definitions"], "decaying": "exp(-t)*true"},
        equations={
            "core": {"on": "core", "equation": "D(u, t) = laplacian(u) + exp(-t)*(4 - (0.25 - r2))"},
            "shell": {"on": "shell", "equation": "D(u, t) - 100*laplacian(u) = exp(-t)*0.5*log(sqrt(r2)/0.5)/100"},
        },
        conditions={
            "start": {"on": "t = 0", "equation": "u = decaying"},
            "walls": {"on": "walls", "equation": "u = decaying"},
        },
        exact={"u": "decaying"},
    )
    result = ps.solve(heat, tolerance=1e-3).result
    assert result["status"] == "converged" and result["relative_l2_error"]["u"] < 1e-3
