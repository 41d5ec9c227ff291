"""Unknowns that live in regions, and conditions where regions meet."""

from __future__ import annotations

import numpy as np
import pytest
import sympy as sp

import pinnsolve as ps
from pinnsolve.compiler.compiler import compile_problem
from pinnsolve.errors import ProblemError
from pinnsolve.geometry.comparisons import as_comparison, canonical, within_box
from pinnsolve.geometry.shapes import Box, Difference, Disk, Ellipse, HalfPlane, Polygon
from pinnsolve.problem.build import build_problem
from pinnsolve.spec.spec import spec_from_dict

ROD = {
    "name": "rod",
    "coordinates": {"x": [0, 2]},
    "regions": {"left": {"box": {"x": [0, 1]}}, "right": {"where": "x > 1"}},
    "unknowns": {"a": {"in": "left"}, "b": {"in": "right"}},
    "equations": {"a": "D(a, x, x) = 0", "b": "D(b, x, x) = 2"},
    "conditions": {
        "end": {"on": "x = 0", "equation": "a = 0"},
        "far": {"on": "x = 2", "equation": "D(b, x) = 0"},
        "touch": {"on": "right/left", "equations": ["Dn(a) = 2*Dn(b)", "a = b + 1"]},
    },
    "exact": {"a": "-4*x", "b": "(x - 2)**2 - 6"},
}


def problem(**changed):
    return build_problem(spec_from_dict({**ROD, **changed}))


def messages(**changed) -> str:
    with pytest.raises(ProblemError) as found:
        compile_problem(problem(**changed))
    return "\n".join(str(d) for d in found.value.diagnostics)


def test_unknowns_of_two_regions_are_found_with_the_conditions_between_them():
    solution = ps.solve(problem())
    assert solution.result["status"] == "converged"
    assert max(solution.result["relative_l2_error"].values()) < 1e-12


def test_values_end_where_an_unknown_does_and_both_sides_of_an_interface_have_one(tmp_path):
    solution = ps.solve(problem())
    restored = ps.load_solution(solution.save(tmp_path / "run"))
    for one in (solution, restored):
        values = one(x=np.array([0.5, 1.0, 1.5]))
        np.testing.assert_allclose(values["a"], [-2, -4, np.nan], atol=1e-11)
        np.testing.assert_allclose(values["b"], [np.nan, -5, -5.75], atol=1e-11)
        np.testing.assert_allclose(one.derivative("b", "x")(x=[0.2, 1.0]), [np.nan, -2], atol=1e-10)


def test_equations_of_one_condition_hold_where_the_unknowns_of_each_live():
    conditions = {
        "start": {"on": "t = 0", "equations": ["a = 1 - x", "D(a, x) = -1", "b = 0"]},
        "ends": {"on": ["x = 0", "x = 2"], "equations": ["a = 1", "b = 0"]},
    }
    equations = {"a": "D(a, t) = D(a, x, x)", "b": "D(b, t) = D(b, x, x)"}
    found = {s.name: s for s in problem(coordinates={"t": [0, 1], "x": [0, 2]}, equations=equations,
                                        conditions=conditions, exact={}).statements}  # fmt: skip
    assert len(found["start"].residuals) == 2 and len(found["start of b"].residuals) == 1
    assert found["ends"].region.where != found["ends of b"].region.where


def test_of_two_regions_that_overlap_the_later_has_what_they_share():
    found = problem(regions={"left": {"box": {"x": [0, 2]}}, "right": {"where": "x > 1"}})
    assert "what they share is `right`" in str(found.warnings)
    assert found.homes["a"].holds == problem().homes["a"].holds
    solution = ps.solve(found)
    assert max(solution.result["relative_l2_error"].values()) < 1e-12


def test_normals_point_out_of_the_region_named_first():
    touch = {"on": "left/right", "equations": ["Dn(a) = 2*Dn(b) + 1", "a = b + 1"]}
    solution = ps.solve(problem(conditions={**ROD["conditions"], "touch": touch}, exact={}))
    assert solution.derivative("a", "x")(x=0.5) == pytest.approx(-3, abs=1e-10)  # a' = 2 b' + 1, b'(1) = -2
    other = {"on": "right/left", "equations": ["Dn(a) = 2*Dn(b) + 1", "a = b + 1"]}
    solution = ps.solve(problem(conditions={**ROD["conditions"], "touch": other}, exact={}))
    assert solution.derivative("a", "x")(x=0.5) == pytest.approx(-5, abs=1e-10)


def test_an_unknown_that_lives_everywhere_goes_on_smoothly_where_another_ends():
    solution = ps.solve(
        problem(
            unknowns={"u": {}, "b": {"in": "right"}},
            equations={"u": "D(u, x, x) = 2", "b": "D(b, x, x) = u"},
            conditions={
                "ends": {"on": ["x = 0", "x = 2"], "equation": "u = 0"},
                "far": {"on": "x = 2", "equation": "b = 0"},
                "touch": {"on": "left/right", "equation": "b = D(u, x) + 1"},
            },
            exact={"u": "x*(x - 2)"},
        )
    )
    assert solution.result["status"] == "converged"
    assert solution.result["relative_l2_error"]["u"] < 1e-12
    x = np.linspace(1, 2, 9)
    second = solution.derivative("b", "x", 2)(x=x)
    np.testing.assert_allclose(second, x * (x - 2), atol=1e-8)
    assert solution(x=1.0)["b"] == pytest.approx(1, abs=1e-10)


def test_a_layer_that_resists_between_two_regions_in_time():
    solution = ps.solve(
        build_problem(
            spec_from_dict(
                {
                    "name": "two-in-time",
                    "coordinates": {"x": [0, 2], "t": [0, 0.2]},
                    "regions": ROD["regions"],
                    "unknowns": ROD["unknowns"],
                    "equations": {"a": "D(a, t) = D(a, x, x)", "b": "D(b, t) = D(b, x, x)"},
                    "conditions": {
                        "start a": {"on": "t = 0", "equation": "a = cos(pi*x/2)"},
                        "start b": {"on": "t = 0", "equation": "b = cos(pi*x/2) + 2*x - 2"},
                        "end": {"on": "x = 0", "equation": "D(a, x) = 0"},
                        "far": {"on": "x = 2", "equation": "D(b, x) = 2"},
                        "touch": {"on": "left/right", "equations": ["Dn(a) = Dn(b) - 2", "b - a = 0"]},
                    },
                    "exact": {"a": "cos(pi*x/2)*exp(-(pi/2)**2*t)", "b": "cos(pi*x/2)*exp(-(pi/2)**2*t) + 2*x - 2"},
                }
            )
        )
    )
    assert solution.result["status"] == "converged"
    assert max(solution.result["relative_l2_error"].values()) < 1e-6
    assert not solution.result["warnings"]


def test_a_complex_unknown_may_live_in_a_region():
    solution = ps.solve(
        problem(
            unknowns={"a": {"in": "left", "values": "complex"}, "b": {"in": "right", "values": "complex"}},
            equations={"a": "D(a, x, x) + 4*a = 0", "b": "D(b, x, x) + 4*b = 0"},
            conditions={
                "in": {"on": "x = 0", "equation": "D(a, x) + 2*i*a = 4*i"},
                "out": {"on": "x = 2", "equation": "D(b, x) - 2*i*b = 0"},
                "touch": {"on": "left/right", "equations": ["a = b/i", "Dn(a) = Dn(b)/i"]},
            },
            exact={"a": "exp(2*i*x)", "b": "i*exp(2*i*x)"},
        )
    )
    assert solution.result["status"] == "converged"
    assert solution.b(x=1.5) == pytest.approx(1j * np.exp(3j), abs=1e-6)
    assert np.isnan(solution.b(x=0.5))


def test_python_states_regions_and_homes():
    x, y = ps.coordinates("x y")
    v, u = ps.unknown("v", x, y), ps.unknown("u", x, y)
    stated = ps.Problem(
        name="python",
        domain=ps.Box(x=(0, 1), y=(0, 1)),
        regions={"a": x < sp.Rational(1, 2), "b": {"box": {"x": [0.5, 1], "y": [0, 1]}}},
        unknowns={v: "a", u: ["b"]},
        equations={"v": sp.Eq(sp.diff(v, x, 2) + sp.diff(v, y, 2), 0), "u": "laplacian(u) = 0"},
        conditions={
            "left": ps.Condition(on="boundary", equation=sp.Eq(v, x)),
            "right": ps.Condition(on="boundary", equation=sp.Eq(u, 2 * x)),
            "touch": ps.Condition(on="a/b", equations=["2*v = u", "2*Dn(v) = Dn(u)"]),
        },
        exact={v: x, u: 2 * x},
    )
    solution = ps.solve(stated)
    assert solution.result["status"] == "converged"
    assert max(solution.result["relative_l2_error"].values()) < 1e-10
    assert "in: a" in stated.spec.to_yaml()


def test_the_file_of_a_spec_states_the_same():
    spec = spec_from_dict(ROD)
    assert "where: x > 1" in spec.to_yaml()
    assert problem().homes["a"].label == "left"


def test_groups_of_a_mesh_are_regions(tmp_path):
    mesh = ps.load("two-regions").spec.folder / "meshes" / "core.msh"
    (tmp_path / "core.msh").write_bytes(mesh.read_bytes())
    stated = build_problem(
        spec_from_dict(
            {
                "name": "groups",
                "domain": {"mesh": "core.msh"},
                "unknowns": {"v": {"in": "core"}, "u": {"in": "shell"}},
                "equations": {"core": "laplacian(v) = 0", "shell": "laplacian(u) = 0"},
                "conditions": {
                    "walls": {"on": "walls", "equation": "u = x"},
                    "touch": {"on": "core/shell", "equations": ["u = v", "Dn(u) = Dn(v)"]},
                },
            },
            tmp_path,
        )
    )
    compiled = compile_problem(stated)
    assert [i.term.residuals for i in compiled.interfaces if len(i.term.residuals) == 2]
    assert {t.name: [p.region for p in t.region.pieces] for t in compiled.terms}["v elsewhere"] == ["shell"]


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"unknowns": {"a": {"in": "lef"}, "b": {"in": "right"}}}, "did you mean `left`"),
        ({"unknowns": {"a": {"in": "left", "where": "x < 1"}, "b": {"in": "right"}}}, "both `in` and `where`"),
        ({"regions": {**ROD["regions"], "right": {"where": "x > 1.5"}}}, "do not meet"),
        ({"regions": {**ROD["regions"], "right": {"where": "x < 1.5"}}}, "is no part of the domain"),
        ({"regions": {**ROD["regions"], "right": {"where": "x > 3"}}}, "no part of the domain"),
        ({"conditions": {**ROD["conditions"], "touch": {"on": "right/lef", "equation": "a = b"}}}, "two regions meet"),
        (
            {"conditions": {**ROD["conditions"], "end": {"on": "x = 0", "equation": "a = b"}}},
            "live in different places",
        ),
        ({"solve": {"method": "lsgd"}}, "need cells of each region"),
        ({"unknowns": {}}, "there are no unknowns"),
    ],
)
def test_what_cannot_be_is_said(changed, said):
    assert said in messages(**changed)


def test_shapes_are_comparisons_that_hold_inside():
    x, y = sp.symbols("x y", real=True)
    concave = Polygon(((0, 0), (2, 0), (2, 2), (1, 0.5), (0, 2)))
    shapes = {
        Box((0, 0), (1, 2)): [((0.5, 1), True), ((1.5, 1), False)],
        Disk((1, 1), 0.5): [((1.2, 1.2), True), ((1.5, 1.5), False)],
        Ellipse((0, 0), (2, 1), np.pi / 2): [((0, 1.5), True), ((1.5, 0), False)],
        HalfPlane((1, 0), (1, 0)): [((0, 5), True), ((2, 0), False)],
        concave: [((1, 0.2), True), ((1, 1), False), ((0.2, 1.2), True), ((1.9, 1.6), True), ((3, 1), False)],
        Difference(Box((0, 0), (1, 1)), (Disk((0, 0), 0.5),)): [((0.1, 0.1), False), ((0.9, 0.9), True)],
    }
    for shape, points in shapes.items():
        holds = canonical(as_comparison(shape, (x, y)))
        assert [bool(holds.subs({x: a, y: b})) for (a, b), _ in points] == [inside for _, inside in points]


def test_comparisons_that_the_domain_decides_are_left_out():
    x, y = sp.symbols("x y", real=True)
    holds = as_comparison(Box((0, 0), (1, 1)), (x, y))
    assert within_box(holds, {x: (0.0, 2.0), y: (0.0, 1.0)}) == (x < 1)
    assert within_box(x < 0, {x: (0.0, 1.0)}) == sp.false
    assert sp.And(canonical(x < 0.25), canonical(x > sp.Rational(1, 4))) == sp.false
