"""Quantities: integrals, means, extrema and values of a solution, with errors that hold, and what is refused."""

from __future__ import annotations

import csv
import math

import numpy as np
import pytest
import sympy as sp
import torch

import pinnsolve as ps
from pinnsolve.assembly.line_quadrature import line_rule
from pinnsolve.assembly.quadrature import Measure
from pinnsolve.compiler.compiler import compile_problem
from pinnsolve.errors import ProblemError
from pinnsolve.files.yaml_reader import parse_yaml
from pinnsolve.geometry import regions
from pinnsolve.problem.build import build_problem
from pinnsolve.spec.spec import spec_from_dict

MEMBRANE = {
    "name": "membrane",
    "coordinates": {"x": [0, 1], "y": [0, 2]},
    "unknowns": "u",
    "equations": {"balance": "-laplacian(u) = 5*pi**2/4*sin(pi*x)*sin(pi*y/2)"},
    "conditions": {"rim": {"on": "boundary", "equation": "u = 0"}},
    "solve": {"tolerance": 1e-5},
}


def problem(quantities, **changes):
    return build_problem(spec_from_dict({**MEMBRANE, **changes, "quantities": quantities}))


def found(quantities, **changes):
    return ps.solve(problem(quantities, **changes)).result["quantities"]


def holds(quantity, truth, error=1e-4):
    """The value is near to the truth, and the estimate within a factor 10 of how near, or both are rounding."""
    off = abs(quantity["value"] - truth)
    assert off < error * max(abs(truth), 1)
    assert off <= 10 * quantity["estimated_error"] + 1e-11


def test_quantities_on_a_box():
    q = found(
        {
            "all": {"integral": "u"},
            "part": {"on": "domain", "integral": "u", "where": "x < 1/2"},
            "mean": {"mean": "u**2"},
            "flux": {"on": "x = 1", "integral": "-Dn(u)"},
            "rim": {"on": "boundary", "integral": "-Dn(u)"},
            "peak": {"maximum": "u"},
            "least": {"on": "domain", "minimum": "D(u, x)"},
            "probe": {"at": {"x": 0.5, "y": 1}, "value": "u*D(u, y, y)"},
        }
    )
    pi = np.pi
    truths = {"all": 8 / pi**2, "part": 4 / pi**2, "mean": 0.25, "flux": 4, "rim": 10, "peak": 1, "least": -pi}
    for name, truth in {**truths, "probe": -(pi**2) / 4}.items():
        holds(q[name], truth)


def test_quantities_of_a_shape():
    q = found(
        {
            "all": {"integral": "u"},
            "hole": {"on": "hole", "integral": "Dn(u)"},
            "length": {"on": "hole", "integral": "1"},
            "peak": {"maximum": "u"},
        },
        coordinates=None,
        domain={
            "difference": [
                {"disk": {"center": [0, 0], "radius": 1}},
                {"disk": {"center": [0, 0], "radius": 0.5}, "boundary": "hole"},
            ]
        },
        equations={"balance": "laplacian(u) = 4"},
        conditions={"rim": {"on": "boundary", "equation": "u = x**2 + y**2"}},
    )
    for name, truth in {"all": np.pi / 2 * (1 - 1 / 16), "hole": -np.pi, "length": np.pi, "peak": 1}.items():
        holds(q[name], truth, 1e-6)


def test_a_quantity_made_of_others():
    q = found(
        {
            "double": {"value": "2*all/(peak + all - all)"},
            "all": {"integral": "u"},
            "peak": {"maximum": "u"},
        }
    )
    holds(q["double"], 2 * q["all"]["value"] / q["peak"]["value"], 1e-12)
    assert q["double"]["estimated_error"] >= 2 * q["all"]["estimated_error"] / q["peak"]["value"]


def test_series_in_time(tmp_path):
    stated = problem(
        {
            "energy": {"integral": "u**2/2"},
            "loss": {"on": "x = 1", "integral": "-Dn(u)"},
            "end": {"on": "t = 1", "integral": "u"},
            "probe": {"at": {"x": 0.5}, "value": "u"},
            "share": {"value": "4*energy/probe**2 + t"},
        },
        coordinates={"t": [0, 1], "x": [0, 1]},
        equations={"heat": "D(u, t) = D(u, x, x)/10"},
        conditions={
            "start": {"on": "t = 0", "equation": "u = sin(pi*x)"},
            "rim": {"on": "boundary", "equation": "u = 0"},
        },
    )
    solution = ps.solve(stated)
    q, decay = solution.result["quantities"], np.exp(-(np.pi**2) / 10)
    for name, truth in {
        "energy": decay**2 / 4,
        "loss": np.pi * decay,
        "end": 2 / np.pi * decay,
        "probe": decay,
        "share": 2,
    }.items():
        holds(q[name], truth)
    solution.save(tmp_path)
    with open(tmp_path / "quantities.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    names = ("energy", "loss", "probe", "share")
    assert list(rows[0]) == ["t", *(column for name in names for column in (name, f"{name}_error"))]
    t, energy = (np.array([float(row[c]) for row in rows]) for c in ("t", "energy"))
    np.testing.assert_allclose(energy, np.exp(-(np.pi**2) / 5 * t) / 4, atol=1e-5)


def test_integrals_stand_in_quantities():
    q = found(
        {
            "variance": {"mean": "(u - mean(u))**2"},
            "most": {"maximum": "u/mean(u + a)"},
            "out": {"on": "x = 1", "integral": "Dn(u) - integral(u, boundary)*mean(u*mean(u))"},
        },
        coordinates={"x": [0, 1]},
        parameters={"a": 2},
        equations={"given": "u = x*(1 + x)"},
        conditions=None,
    )
    mean = 5 / 6
    holds(q["variance"], 31 / 30 - mean**2)
    holds(q["most"], 2 / (mean + 2))
    holds(q["out"], 3 - 2 * mean**2)


def test_quantities_in_a_ball_of_many_coordinates():
    q = found(
        {"all": {"integral": "u"}, "flux": {"on": "boundary", "mean": "Dn(u)"}, "top": {"maximum": "u"}},
        coordinates={"x": {"count": 7}},
        domain={"ball": {"center": 0, "radius": 1}},
        equations={"balance": "laplacian(u) = -14"},
    )
    holds(q["all"], 16 * math.pi**3 / 105 * (1 - 7 / 9))
    holds(q["flux"], -2)
    holds(q["top"], 1)


def test_a_maximum_inside_a_step_of_the_points():
    q = found(
        {"peak": {"maximum": "u"}, "edge": {"minimum": "u"}},
        coordinates={"x": [0, 1]},
        equations={"given": "u = exp(-(x - 0.3217)**2)"},
        conditions=None,
    )
    holds(q["peak"], 1, 1e-6)
    holds(q["edge"], np.exp(-(0.6783**2)), 1e-6)


def test_the_solution_of_a_network_has_quantities():
    q = found({"all": {"integral": "u"}}, solve={"method": "least_squares", "basis": {"width": 300}})
    holds(q["all"], 8 / np.pi**2, 1e-3)


@pytest.mark.parametrize(
    ("quantity", "words"),
    [
        ({"on": "x = 1"}, "one of integral, mean, maximum, minimum, value, and none is given"),
        ({"integral": "u", "mean": "u"}, "integral and mean is given"),
        ({"on": "x = 1", "value": "u"}, "taken `at` one point"),
        ({"at": {"x": 1}, "integral": "u"}, "taken `at` one point"),
        ({"value": "u"}, "made of other quantities, and this is neither"),
        ({"integral": "Dn(u)"}, "need a boundary in space"),
        ({"on": "wall", "integral": "u"}, "is not a place"),
        ({"integral": "w"}, "unknown name `w`"),
        ({"at": {"x": 3, "y": 0}, "value": "u"}, "outside its interval"),
    ],
)
def test_wrong_quantities_are_told(quantity, words):
    with pytest.raises(ProblemError, match=words):
        problem({"q": quantity})


def test_the_file_is_written_as_it_was_read():
    given = {"flux": {"on": "x = 1", "integral": "-Dn(u)"}, "probe": {"at": {"x": 0.5, "y": 1}, "value": "u"}}
    spec = problem(given).spec
    assert "integral: -Dn(u)" in spec.to_yaml()
    assert "value: u" in spec.to_yaml()


def test_the_same_stated_in_python():
    x, y = ps.coordinates("x y")
    u = ps.unknown("u", x, y)
    stated = ps.Problem(
        name="membrane",
        domain=ps.Box(x=(0, 1), y=(0, 1)),
        unknowns=u,
        equations={"balance": sp.Eq(sp.diff(u, x, 2) + sp.diff(u, y, 2), -1)},
        conditions={"rim": ps.Condition(on="boundary", equation=sp.Eq(u, 0))},
        quantities={
            "flux": ps.quantity(on="x = 1", integral=-sp.diff(u, x)),
            "probe": ps.quantity(at={x: 0.5, y: 0.5}, value=u**2),
        },
    )
    assert stated.spec.quantities["flux"].expression == "-D(u, x)"
    assert stated.spec.quantities["probe"].at == ({"x": 0.5, "y": 0.5},)


# -- quadrature -------------------------------------------------------------------------------------------------------


def test_lines_across_a_ring():
    def label(x):
        r = x.norm(dim=1)
        return torch.where((r < 1) & (r > 0.5), 0, -1)

    x, weights = line_rule(label, [(-1.0, 1.0), (-1.0, 1.0)], [-0.5, 0.5], 1.0)
    assert float(weights.sum()) == pytest.approx(np.pi * 0.75, abs=1e-8)
    assert float(weights @ x[:, 0] ** 2) == pytest.approx(np.pi / 4 * (1 - 1 / 16), abs=1e-8)


def test_the_volume_of_a_ball_is_that_of_its_boundary():
    stated = build_problem(
        spec_from_dict(
            {
                "name": "ball",
                "domain": {"ball": {"center": [0, 0, 0], "radius": 1}},
                "unknowns": "u",
                "equations": {"balance": "laplacian(u) = 1"},
                "conditions": {"rim": {"on": "boundary", "equation": "u = 0"}},
            }
        )
    )
    rule = Measure(compile_problem(stated), None, 4).rule(regions.domain(), None)
    assert float(rule.weights.sum()) == pytest.approx(4 * np.pi / 3, rel=2e-3)
    assert float(rule.weights @ rule.x.square().sum(dim=1)) == pytest.approx(4 * np.pi / 5, rel=5e-3)


def test_quantities_of_a_group_of_cells_are_those_of_its_part_alone():
    """The core of the two regions is half as wide as the shell: its area is pi/4 in a square of area 4."""
    stated = ps.load("two-regions")
    data = parse_yaml(stated.spec.to_yaml()).data
    data["quantities"] = {"inside": {"on": "core", "integral": "1"}, "all": {"on": "domain", "integral": "1"}}
    found = ps.solve(build_problem(spec_from_dict(data, stated.spec.folder)), tolerance=1e-2).result["quantities"]
    assert found["inside"]["value"] == pytest.approx(math.pi / 4, rel=2e-3)
    assert found["all"]["value"] > 2 * found["inside"]["value"]


def test_while_a_nonlinear_problem_is_far_off_its_quantities_are_in_doubt():
    stated = ps.load("bratu")
    data = parse_yaml(stated.spec.to_yaml()).data
    data["quantities"] = {"mean": {"on": "domain", "mean": stated.unknowns[0]}}
    asked = build_problem(spec_from_dict(data, stated.spec.folder))
    rough = {"kind": "pou_grid", "partitions": 1, "degree": 2}
    result = ps.solve(asked, method="least_squares", basis=rough).result
    worst = max(result["estimated_error"].values())
    found = result["quantities"]["mean"]
    assert found["estimated_error"] >= 0.99 * worst**2 * abs(found["value"])
