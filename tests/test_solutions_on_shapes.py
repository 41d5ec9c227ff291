"""Points of problems on shapes, and networks that solve on them: values outside are no numbers, runs are read back."""

from __future__ import annotations

import json
import math
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from typer.testing import CliRunner

import pinnsolve as ps
from pinnsolve.assembly.collocation import sample_problem, space_of
from pinnsolve.cli import app
from pinnsolve.compiler.compiler import compile_problem
from pinnsolve.defaults import Collocation
from pinnsolve.errors import ProblemError
from pinnsolve.geometry.serialization import from_plain, to_plain
from pinnsolve.problem.build import build_problem
from pinnsolve.spec.spec import spec_from_dict

MESHES = Path(__file__).parent / "meshes"
LIKE = torch.zeros(1, dtype=torch.float64)
RING = {
    "difference": [
        {"disk": {"center": [0, 0], "radius": 2}, "boundary": "outer"},
        {"disk": {"center": [0, 0], "radius": 1}, "boundary": "inner"},
    ]
}
STATED = {
    "name": "ring",
    "domain": RING,
    "unknowns": "u",
    "equations": {"laplace": "laplacian(u) = 0"},
    "conditions": {
        "outer": {"on": "outer", "equation": "Dn(u) + u = 1/2 + log(2)"},
        "inner": {"on": "inner", "equation": "Dn(u) = -1"},
    },
    "exact": {"u": "log(x**2 + y**2)/2"},
    "solve": {"method": "least_squares", "basis": {"kind": "mlp", "activation": "sin"}, "tolerance": 1e-6},
}
HEAT = {
    **STATED,
    "time": {"t": [0, 3]},
    "equations": {"heat": "D(u, t) = laplacian(u)"},
    "conditions": {
        **STATED["conditions"],
        "start": {"on": "t = 0", "equation": "u = 0"},
        "right": {"on": "boundary", "where": "x > 0", "equation": "u = 0"},
    },
    "exact": {"u": "0"},
}


def built(data: dict):
    problem = build_problem(spec_from_dict(data, MESHES))
    return problem, compile_problem(problem)


# -- points -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("sampling", ["grid", "sobol", "uniform", "chebyshev"])
@pytest.mark.parametrize("data", [STATED, HEAT], ids=["steady", "in time"])
def test_points_lie_in_the_shape_and_on_its_parts(data, sampling):
    _, compiled = built(data)
    points = sample_problem(compiled, Collocation(600, 90, sampling), 3, LIKE)
    space = space_of(compiled)
    equation = next(iter(data["equations"]))
    assert 0.6 * 600 < points[equation].count < 1.6 * 600
    r = {name: p.x[0][:, list(space.axes)].norm(dim=1) for name, p in points.items()}
    assert bool(space.inside(points[equation].x[0]).all())
    assert float((r["outer"] - 2).abs().max()) < 1e-12 and float((r["inner"] - 1).abs().max()) < 1e-12
    for name, radius, sign in (("outer", 2, 1), ("inner", 1, -1)):
        x, n = points[name].x[0], points[name].normals
        torch.testing.assert_close(sign * radius * n[:, list(space.axes)], x[:, list(space.axes)])
        assert 0.5 * 90 < points[name].count < 2 * 90
    if "time" in data:
        assert torch.all(points["start"].x[0][:, 0] == 0) and bool(space.inside(points["start"].x[0]).all())
        assert float(points["right"].x[0][:, 1].min()) > 0
        assert float(points["outer"].x[0][:, 0].max() - points["outer"].x[0][:, 0].min()) > 2.5 and torch.all(
            points["outer"].normals[:, 0] == 0
        )


def test_interior_points_neither_clump_nor_leave_gaps():
    _, compiled = built(STATED)
    x = sample_problem(compiled, Collocation(1000, 90, "sobol"), 0, LIKE)["laplace"].x[0]
    angle, r = torch.atan2(x[:, 1], x[:, 0]), x.norm(dim=1)
    counts, _, _ = np.histogram2d(angle, r**2, [12, 4], [(-math.pi, math.pi), (1, 4)])
    assert counts.min() > 0.6 * counts.mean() and counts.max() < 1.5 * counts.mean()


def test_a_place_without_points_is_told():
    _, compiled = built({**STATED, "conditions": {"pin": {"at": {"x": 0, "y": 0}, "equation": "u = 0"}}})
    with pytest.raises(ProblemError, match="no point of `x = 0, y = 0` found"):
        sample_problem(compiled, Collocation(100, 20, "sobol"), 0, LIKE)


def test_points_of_an_equation_lie_in_its_region():
    data = {
        "name": "two", "domain": {"mesh": "inclusion.msh"}, "unknowns": "u",
        "equations": {"core": {"on": "copper", "equation": "laplacian(u) = 0"},
                      "rest": {"on": "resin", "equation": "laplacian(u) = 1"}},
        "conditions": {"walls": {"on": "walls", "equation": "u = 0"}},
    }  # fmt: skip
    _, compiled = built(data)
    points = sample_problem(compiled, Collocation(300, 40, "sobol"), 0, LIKE)
    assert float(points["core"].x[0].norm(dim=1).max()) <= 0.5
    assert float(points["rest"].x[0].norm(dim=1).min()) > 0.45
    assert min(points[name].count for name in ("core", "rest")) > 200


# -- solutions --------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def solution():
    return ps.solve(build_problem(spec_from_dict(STATED)))


def test_a_network_solves_on_a_ring(solution):
    assert solution.result["relative_l2_error"]["u"] < 1e-6
    angle = np.linspace(0, 6, 7)
    np.testing.assert_allclose(solution(x=1.5 * np.cos(angle), y=1.5 * np.sin(angle)), math.log(1.5), atol=1e-5)


def test_partitions_that_a_file_asks_for_overlap_on_a_shape():
    basis = {"kind": "pou_grid", "partitions": 3, "degree": 6}
    result = ps.solve(build_problem(spec_from_dict(STATED)), basis=basis).result
    assert result["relative_l2_error"]["u"] < 0.05
    with pytest.raises(ps.PinnsolveError, match="sharp partitions are for equations on a box"):
        ps.solve(build_problem(spec_from_dict(STATED)), basis={**basis, "overlap": 0})


def test_outside_the_shape_there_are_no_values(solution):
    values = solution(x=[0.0, 1.5, 1.9], y=[0.0, 0.0, 1.9])
    assert np.isnan(values).tolist() == [True, False, True]
    assert np.isnan(solution.derivative("u", "x")(x=0.0, y=0.0))
    assert np.isfinite(solution(x=2.0, y=0.0)) and np.isfinite(solution(x=0.0, y=1.0))  # the boundary belongs to it
    assert solution.in_domain(np.array([[0.0, 0.0], [1.5, 0.0]])).tolist() == [False, True]
    with pytest.raises(ps.SolutionError, match="lies outside"):
        solution(x=2.5, y=0.0)


def test_a_run_folder_holds_the_shape(solution, tmp_path):
    again = ps.load_solution(solution.save(tmp_path / "run"))
    assert again.shape == solution.shape
    x, y = np.linspace(-2, 2, 21), np.linspace(-1.9, 1.7, 21)
    np.testing.assert_array_equal(again(x=x, y=y), solution(x=x, y=y))


def test_a_run_folder_holds_the_mesh(tmp_path):
    shutil.copy(MESHES / "disk-2.msh", tmp_path / "disk.msh")
    data = {**STATED, "domain": {"mesh": "disk.msh"}, "conditions": {"rim": {"on": "rim", "equation": "u = x"}}}
    data |= {"exact": {"u": "x"}, "solve": {**STATED["solve"], "limits": {"refinements": 0}}}
    solution = ps.solve(build_problem(spec_from_dict(data, tmp_path)))
    solution.save(tmp_path / "run")
    (tmp_path / "disk.msh").unlink()
    again = ps.load_solution(tmp_path / "run")
    assert again(x=0.5, y=0.5) == solution(x=0.5, y=0.5) == pytest.approx(0.5, abs=1e-4)
    assert np.isnan(again(x=0.9, y=0.9))


@pytest.mark.parametrize("domain, more", [
    (RING, {}),
    ({"implicit": "x**2 + sin(y)**2/3 < 1"}, {"coordinates": {"x": [-2, 2], "y": [-1, 1]}}),
    ({"union": [RING, {"polygon": [[0, 0], [1, 0], [0, 1]]}]}, {}),
    ({"intersection": [RING, {"half_plane": {"point": [0, 0], "normal": [1, 1]}}]}, {}),
])  # fmt: skip
def test_shapes_are_plain_values_and_back(domain, more):
    data = {**STATED, "domain": domain, "conditions": {"a": {"on": "boundary", "equation": "u = 0"}}, **more}
    shape = built(data)[0].shape
    assert from_plain(json.loads(json.dumps(to_plain(shape))), Path()) == shape


def test_check_tells_of_the_domain(tmp_path):
    path = tmp_path / "ring.yaml"
    path.write_text(spec_from_dict(STATED).to_yaml(), encoding="utf-8")
    text = CliRunner().invoke(app, ["check", str(path)]).output
    for words in ("disk less disk", "9.42478", "18.8496", "outer (12.5664)", "inner (6.28319)"):
        assert words in text
    found = json.loads(CliRunner().invoke(app, ["check", str(path), "--json"]).output)["domain"]
    assert found["measure"] == pytest.approx(3 * math.pi) and found["corners"] == []
