"""The `domain` of a problem file: what it may say, what it means, and what is said of a wrong one."""

from __future__ import annotations

import math

import pytest
import sympy as sp

from pinnsolve.compiler.compiler import compile_problem
from pinnsolve.compiler.term_table import plan
from pinnsolve.errors import ProblemError
from pinnsolve.geometry.regions import Piece
from pinnsolve.geometry.shapes import (
    Ball,
    Box,
    Cylinder,
    Difference,
    Disk,
    Ellipse,
    HalfPlane,
    Implicit,
    Intersection,
    Polygon,
    Union,
)
from pinnsolve.problem.build import build_problem
from pinnsolve.problem.problem import Problem
from pinnsolve.spec.spec import load_spec, spec_from_dict

DISK = {"disk": {"center": [0, 0], "radius": 1}, "boundary": "rim"}
HOLES = {"difference": [{"box": {"x": [0, 1], "y": [0, 2]}, "boundary": "outer"}, DISK]}


def stated(domain, **changes) -> dict:
    conditions = {"walls": {"on": "boundary", "equation": "u = 0"}}
    return {
        "name": "shaped", "domain": domain, "unknowns": "u", "equations": {"e": "laplacian(u) = 0"},
        "conditions": conditions, **changes,
    }  # fmt: skip


def problem(domain, **changes) -> Problem:
    return build_problem(spec_from_dict(stated(domain, **changes)))


def pieces(found: Problem, name: str) -> tuple[Piece, ...]:
    return next(s for s in found.statements if s.name == name).region.pieces


def messages(data: dict) -> list[str]:
    with pytest.raises(ProblemError) as caught:
        build_problem(spec_from_dict(data))
    return [str(d) for d in caught.value.diagnostics]


# -- trees ------------------------------------------------------------------------------------------------------

TREES = {
    "disk": (DISK, Disk((0, 0), 1, "rim")),
    "ellipse": ({"ellipse": {"center": [1, 0], "radii": [2, 1], "angle": "pi/2"}}, None),
    "polygon, clockwise and closed": (
        {"polygon": [[0, 0], [0, 1], [1, 0], [0, 0]], "boundary": "p"},
        Polygon(((1, 0), (0, 1), (0, 0)), "p"),
    ),
    "ball": ({"ball": {"center": [0, 0, 1], "radius": "1/2"}}, Ball((0, 0, 1), 0.5)),
    "cylinder": (
        {"cylinder": {"ends": [[0, 0, 0], [0, 0, 2]], "radius": 1}},
        Cylinder((0, 0, 0), (0, 0, 2), 1),
    ),
    "half disk": (
        {"intersection": [DISK, {"half_plane": {"point": [0, 0], "normal": [0, -2]}, "boundary": "cut"}]},
        Intersection((Disk((0, 0), 1, "rim"), HalfPlane((0, 0), (0, -1), "cut"))),
    ),
    "a shape around names those inside": (
        {"union": [{"disk": {"center": [0, 0], "radius": 1}}, DISK], "boundary": "all"},
        Union((Disk((0, 0), 1, "all"), Disk((0, 0), 1, "rim"))),
    ),
    "a union of one": ({"union": [DISK]}, Disk((0, 0), 1, "rim")),
}


@pytest.mark.parametrize("name", TREES)
def test_shapes_are_read(name):
    plain, expected = TREES[name]
    found = problem(plain)
    if expected is not None:
        assert found.shape == expected
        assert hash(found.shape) == hash(expected)
    assert compile_problem(found).shape == found.shape


def test_numbers_may_be_expressions_of_parameters():
    found = problem({"disk": {"center": ["c", 0], "radius": "2*c"}}, parameters={"c": 0.25})
    assert found.shape == Disk((0.25, 0), 0.5)
    assert found.intervals == ((-0.25, 0.75), (-0.5, 0.5))


def test_an_ellipse_turned_by_a_right_angle_has_its_axes_exchanged():
    found = problem(TREES["ellipse"][0])
    assert found.shape == Ellipse((1, 0), (2, 1), math.pi / 2)
    assert found.intervals[0] == pytest.approx((0, 2)) and found.intervals[1] == pytest.approx((-2, 2))


def test_an_implicit_shape_takes_its_box_from_the_coordinates():
    data = {"x": [-1, 1], "y": [-2, 2]}
    found = problem({"implicit": "r2 <= s", "boundary": "edge"}, coordinates=data, parameters={"s": 2},
                    definitions={"r2": "x**2 + y**2"})  # fmt: skip
    x, y = sp.symbols("x y", real=True)
    assert found.shape == Implicit(x**2 + y**2 - 2, (x, y), (-1, -2), (1, 2), "edge")
    turned = problem({"implicit": "2 > x**2 + y**2"}, coordinates=data)
    assert sp.expand(turned.shape.level - found.shape.level) == 0


def test_the_example_of_the_language_is_a_box_less_four_disks():
    from pinnsolve import load

    found = load("poisson-four-holes")
    assert isinstance(found.shape, Difference) and len(found.shape.others) == 4
    assert pieces(found, "holes") == (Piece(part="holes"),)
    assert found.warnings == ()


# -- coordinates and time ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "coordinates"),
    [
        ({}, ("x", "y")),
        ({"time": {"t": [0, 3]}}, ("t", "x", "y")),
        ({"time": {"t": [0, 3]}, "coordinates": ["a", "t", "b"]}, ("a", "t", "b")),
        ({"coordinates": ["r", "s"]}, ("r", "s")),
    ],
)
def test_coordinates_of_a_shape(changes, coordinates):
    equation = f"D(u, {coordinates[-1]}, 2) = 0"
    found = problem(DISK, equations={"e": equation}, **changes)
    assert found.coordinates == coordinates
    by_name = dict(zip(coordinates, found.intervals, strict=True))
    assert {by_name.pop("t", (0, 3))} == {(0, 3)}
    assert set(by_name.values()) == {(-1, 1)}


def test_a_box_that_is_all_of_the_domain_stays_a_box():
    found = problem({"box": {"x": [0, 1], "y": [0, 2]}, "boundary": "rim"},
                    conditions={"walls": {"on": "rim", "equation": "u = 0"}})  # fmt: skip
    assert found.shape is None and len(pieces(found, "walls")) == 4
    assert all(piece.outward for piece in pieces(found, "walls"))


def test_a_box_in_a_tree_names_the_coordinates():
    boxes = [{"box": {"r": [0, 1], "s": [0, 1]}}, {"box": {"r": [0.5, 1], "s": [0.5, 1]}}]
    assert problem({"difference": boxes}, equations={"e": "laplacian(u) = 0"}).coordinates == ("r", "s")


# -- places -----------------------------------------------------------------------------------------------------


def test_places_on_a_shape():
    found = problem(HOLES, time={"t": [0, 3]}, equations={"e": "D(u, t) = laplacian(u)"}, conditions={
        "start": {"on": "t = 0", "equation": "u = 0"},
        "rim": {"on": "rim", "equation": "Dn(u) = n_x"},
        "low": {"on": ["y = 2", "x = 1"], "equation": "Dn(u) = 0"},
        "slice": {"on": "y = 1.5", "equation": "u = 1"},
        "all": {"on": "boundary", "equation": "u = 0"},
        "pin": {"at": {"t": 1, "x": 0.9, "y": 1}, "equation": "u = 0"},
    })  # fmt: skip
    assert dict(pieces(found, "start")[0].fixed) == {0: 0}
    assert pieces(found, "rim") == (Piece(part="rim"),)
    assert pieces(found, "low") == (Piece(part="", plane=(2, 2.0)), Piece(part="", plane=(1, 1.0)))
    assert pieces(found, "slice") == (Piece(fixed=((2, 1.5),)),)
    assert pieces(found, "all") == (Piece(part=""),)
    assert dict(pieces(found, "pin")[0].fixed) == {0: 1, 1: 0.9, 2: 1}
    assert [row["region"] for row in plan(found, compile_problem(found))][2] == "rim"


def test_parts_without_a_condition_are_told():
    found = problem(HOLES, conditions={"walls": {"on": "outer", "equation": "u = 0"}})
    assert ["`rim`" in str(w) for w in found.warnings] == [True]
    assert problem(HOLES).warnings == ()


# -- out and in -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", [*TREES, "holes", "implicit", "named box"])
def test_a_resolved_file_is_the_same_problem(name, tmp_path):
    if name == "implicit":
        data = stated({"implicit": "x**2 + y**2 < 1"}, coordinates={"x": [-1, 1], "y": [-1, 1], "t": [0, 1]})
    elif name == "named box":
        data = stated({"box": {"x": [0, 1], "y": [0, 1]}, "boundary": "rim"}, time={"t": [0, 1]})
    else:
        data = stated(HOLES if name == "holes" else TREES[name][0], time={"t": [0, "2*pi"]})
    spec = spec_from_dict(data)
    path = tmp_path / "again.yaml"
    path.write_text(spec.to_yaml(), encoding="utf-8")
    again = load_spec(path)
    assert (again.domain, again.coordinates, again.time) == (spec.domain, spec.coordinates, spec.time)
    first, second = build_problem(spec), build_problem(again)
    assert (first.shape, first.intervals) == (second.shape, second.intervals)


# -- wrong ones -------------------------------------------------------------------------------------------------

WRONG = [
    ({"dsik": {"center": [0, 0], "radius": 1}}, "domain.dsik", "did you mean `disk`?"),
    ({"disk": {"centre": [0, 0], "radius": 1}}, "domain.disk.centre", "did you mean `center`?"),
    ({"disk": {"center": [0, 0]}}, "domain.disk.radius", "the key is missing"),
    ({"disk": {"center": [0], "radius": 1}}, "domain.disk.center", "2 numbers are expected, not 1"),
    ({"disk": {"center": [0, 0], "radius": -1}}, "domain.disk.radius", "positive number"),
    ({"disk": {"center": [0, 0], "radius": "1/0"}}, "domain.disk.radius", "division by zero"),
    ({"disk": {"center": [0, "nu"], "radius": 1}}, "domain.disk.center", "unknown name `nu`"),
    ({"disk": 5}, "domain.disk", "a map is expected"),
    ({}, "domain", "the shape is missing"),
    ([], "domain", "a shape is expected, not a list"),
    ({"disk": DISK["disk"], "box": {"x": [0, 1], "y": [0, 1]}}, "domain", "both `box` and `disk` are given"),
    ({"boundary": "a"}, "domain", "the shape is missing"),
    ({**DISK, "boundary": "domain"}, "domain.boundary", "is taken"),
    ({**DISK, "boundary": "a = 1"}, "domain.boundary", "cannot be the name of a boundary"),
    ({"union": []}, "domain.union", "1 to 200 shapes are expected, not 0"),
    ({"union": DISK}, "domain.union", "a list of shapes is expected"),
    ({"unoin": [DISK]}, "domain.unoin", "did you mean `union`?"),
    ({"union": [DISK, {"disk": {"center": [0, 0], "raduis": 1}}]}, "domain.union.1.disk.raduis", "`radius`"),
    ({"difference": [DISK, {"ball": {"center": [0, 0, 0], "radius": 1}}]}, "ball", "3 components"),
    (
        {"difference": [{"box": {"x": [0, 1], "y": [0, 1]}}, {"box": {"x": [0, 1], "y": [0, 1], "w": [0, 1]}}]},
        "box.w",
        "not a coordinate",
    ),
    ({"difference": [DISK, {"box": {"x": [0, 1]}}]}, "domain.difference.1.box", "the interval of `y` is missing"),
    ({"difference": [DISK, {"box": {"x": [1, 0], "y": [0, 1]}}]}, "box.x", "the interval is empty"),
    ({"half_plane": {"point": [0, 0], "normal": [1, 0]}}, "domain", "has no end in x"),
    ({"half_plane": {"point": [0, 0], "normal": [0, 0]}}, "domain.half_plane", "the normal is zero"),
    ({"polygon": [[0, 0], [1, 0]]}, "domain.polygon", "3 to 200 points"),
    ({"polygon": [[0, 0], [1, 1], [1, 0], [0, 1]]}, "domain.polygon", "sides 1 and 3 of the polygon meet"),
    ({"polygon": [[0, 0], [1, 0], [1, 0], [0, 1]]}, "domain.polygon", "a point is given twice"),
    ({"polygon": [[0, 0], [1, 1], [2, 2]]}, "domain.polygon", "no area"),
    ({"cylinder": {"ends": [[0, 0, 0], [0, 0, 0]], "radius": 1}}, "domain.cylinder", "the same point"),
    ({"implicit": "x**2 < 1"}, "coordinates", "needs the intervals of a box around it"),
    ({"mesh": "gone.msh"}, "domain.mesh", "there is no such file"),
    ({"mesh": "../secret.msh"}, "domain.mesh", "outside the problem's folder"),
    ({"mesh": "/etc/passwd"}, "domain.mesh", "outside the problem's folder"),
    ({"mesh": "a.h5m"}, "domain.mesh", "not a mesh file"),
    (
        {"intersection": [DISK, {"disk": {"center": [5, 0], "radius": 1}}]},
        "domain",
        "empty: its shapes have no x in common",
    ),
]


@pytest.mark.parametrize(("domain", "key", "words"), WRONG, ids=[str(w[0])[:70] for w in WRONG])
def test_what_is_wrong_with_a_shape_is_said_where_it_is(domain, key, words):
    found = messages(stated(domain))
    assert len(found) == 1, found
    assert key in found[0] and words in found[0]


@pytest.mark.parametrize(
    ("expression", "words"),
    [
        ("x**2 + y**2", "comparison is expected"),
        ("x < 1 and y < 1", "one comparison"),
        ("0 < x < 1", "one comparison"),
        ("x**2 + u < 1", "`u` cannot stand here"),
        ("x**2 + t < 1", "`t`"),
        ("q < 1", "unknown name `q`"),
        ("x == 1", "one comparison"),
        ("1 < 2", "the same everywhere"),
    ],
)
def test_what_is_wrong_with_an_implicit_shape(expression, words):
    data = stated({"implicit": expression}, coordinates={"t": [0, 1], "x": [-1, 1], "y": [-1, 1]})
    found = messages(data)
    assert len(found) == 1 and "domain.implicit" in found[0] and words in found[0], found


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"conditions": {"a": {"on": "otuer", "equation": "u = 0"}}}, "did you mean `outer`?"),
        ({"conditions": {"a": {"on": "nowhere", "equation": "u = 0"}}}, "`boundary`, `domain`, `outer`, `rim`"),
        ({"conditions": {"a": {"on": "x = 7", "equation": "u = 0"}}}, "outside"),
        ({"conditions": {"a": {"periodic": "x"}}}, "periodic coordinates of space need a box"),
        ({"conditions": {"a": {"at": {"x": 9, "y": 0}, "equation": "u = 0"}}}, "lies outside"),
        ({"conditions": {"a": {"on": ["outer", "domain"], "equation": "u = 0"}}}, "places of different dimension"),
        ({"conditions": {"a": {"on": "domain", "equation": "Dn(u) = 0"}}}, "need a boundary in space"),
        ({"coordinates": ["x", "y", "z"]}, "shapes lie in two or three|the interval of `z` is missing"),
        ({"coordinates": ["t", "x", "y"]}, "`t` has no interval"),
        ({"coordinates": {"x": [0, 1], "y": [0, 1]}}, "both `coordinates` with intervals and `domain`"),
        ({"equations": {"e": {"on": "outer", "equation": "laplacian(u) = 0"}}}, "no region in which an equation"),
        ({"time": "t"}, "with `domain`, give its interval"),
    ],
)
def test_what_is_wrong_around_a_shape(changes, words):
    found = messages(stated(HOLES, **changes))
    assert any(word in message for message in found for word in words.split("|")), found


def test_all_that_is_wrong_with_shapes_is_said_at_once():
    shapes = [{"disk": {"center": [0, 0], "radius": -1}}, {"dsik": 1}, {"box": {"x": [0, 1], "y": [2, 1]}}]
    found = messages(stated({"union": shapes}, unknwons="v"))
    for words in ("positive number", "did you mean `disk`?", "the interval is empty", "did you mean `unknowns`?"):
        assert any(words in message for message in found), (words, found)


def test_hostile_trees_are_refused_at_once():
    deep: dict = DISK
    for _ in range(60):
        deep = {"union": [deep]}
    assert any("nested too deeply" in m for m in messages(stated(deep)))
    wide = {"union": [{"union": [DISK] * 150}] * 150}
    assert any("too many shapes" in m for m in messages(stated(wide)))
    many = {"union": [DISK] * 1000}
    assert any("too many" in m or "1 to 200 shapes" in m for m in messages(stated(many)))


def test_an_implicit_shape_runs_no_code():
    text = "__import__('os').system('true') < 1"
    data = stated({"implicit": text}, coordinates={"x": [-1, 1], "y": [-1, 1]})
    assert len(messages(data)) == 1


def test_boxes_of_one_coordinate_need_no_shape():
    found = build_problem(
        spec_from_dict(
            stated({"box": {"x": [0, 1]}, "boundary": "ends"}, equations={"e": "D(u, x, x) = 0"},
                   conditions={"a": {"on": "ends", "equation": "u = 0"}})
        )
    )  # fmt: skip
    assert found.shape is None and len(pieces(found, "a")) == 2
    assert Box((0,), (1,)).name == ""


# -- in Python --------------------------------------------------------------------------------------------------


def test_a_shape_stated_in_python_is_that_of_the_file():
    import pinnsolve as ps

    t, a, b = ps.coordinates("t a b")
    u = ps.unknown("u", t, a, b)
    tree = {"difference": [{"disk": {"center": [0, 0], "radius": sp.sqrt(2)}, "boundary": "rim"}, {"implicit": a < b}]}
    domain = ps.Shape(tree, {a: (-2, 2), b: (-2, 2)}, time={t: (0, sp.pi)})
    found = ps.Problem(
        name="in-python",
        domain=domain,
        unknowns=[u],
        equations={"heat": sp.Eq(u.diff(t), u.diff(a, 2) + u.diff(b, 2))},
        conditions={
            "rim": ps.Condition(on="rim", equation=sp.Eq(u, 0)),
            "start": ps.Condition(on=sp.Eq(t, 0), equation=sp.Eq(u, 1)),
        },
    )
    assert (found.coordinates, found.time) == (("t", "a", "b"), "t")
    assert isinstance(found.shape, Difference) and found.shape.first == Disk((0, 0), math.sqrt(2), "rim")
    assert isinstance(found.shape.others[0], Implicit)
    assert found.intervals[0] == (0, math.pi)


def test_a_shape_in_python_needs_only_the_names_of_its_coordinates():
    import pinnsolve as ps

    x, y = ps.coordinates("x y")
    u = ps.unknown("u", x, y)
    conditions = {"rim": ps.Condition(on="boundary", equation=sp.Eq(u, 0))}
    equations = {"e": sp.Eq(u.diff(x, 2) + u.diff(y, 2), 1)}
    stated = {"name": "disk", "unknowns": [u], "equations": equations, "conditions": conditions}
    assert ps.Problem(domain=ps.Shape(DISK, "x y"), **stated).shape == Disk((0, 0), 1, "rim")
    with pytest.raises(ps.ProblemError, match="did you mean `disk`"):
        ps.Problem(domain=ps.Shape({"dsik": DISK["disk"]}, "x y"), **stated)
