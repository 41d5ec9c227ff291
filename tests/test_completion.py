"""How many conditions elliptic systems need on the boundary, and what is assumed where there are fewer."""

from __future__ import annotations

import pytest

import pinnsolve as ps
from pinnsolve.compiler.compiler import compile_problem
from pinnsolve.problem.build import build_problem
from pinnsolve.problem.checks.missing_conditions import _Counter
from pinnsolve.problem.problem import Problem
from pinnsolve.spec.spec import spec_from_dict

SQUARE = {"x": [0, 1], "y": [0, 1]}
FLOW = {
    "x": "advect([u, v], u) + D(p, x) = laplacian(u)/Re",
    "y": "advect([u, v], v) + D(p, y) = laplacian(v)/Re",
    "mass": "D(u, x) + D(v, y) = 0",
}
STOKES_3D = {
    **{c: f"D(p, {c}) = laplacian({w})" for c, w in zip("xyz", "uvw", strict=True)},
    "mass": "D(u, x) + D(v, y) + D(w, z) = 0",
}
ELASTIC = {
    "a": "D(3*D(u, x) + D(v, y), x) + D(D(u, y) + D(v, x), y) = 0",
    "b": "D(3*D(v, y) + D(u, x), y) + D(D(u, y) + D(v, x), x) = 0",
}
INFLOW = {"on": "x = 0", "equations": ["u = 4*y*(1 - y)", "v = 0"]}
WALLS = {"on": ["y = 0", "y = 1"], "equations": ["u = 0", "v = 0"]}
OUTFLOW = {"on": "x = 1", "equation": "p = 0"}


def stated(equations, conditions: dict | None, unknowns="u", coordinates=SQUARE, **keys) -> Problem:
    equations = equations if isinstance(equations, dict) else {"e": equations}
    whole = {"name": "test", "unknowns": unknowns, "coordinates": coordinates, "equations": equations, **keys}
    return build_problem(spec_from_dict(whole | ({"conditions": conditions} if conditions else {})))


def channel(coordinates=SQUARE, **changes) -> Problem:
    """A flow through a channel with p = 0 alone where it leaves."""
    conditions = {"inflow": INFLOW, "walls": WALLS, "outflow": OUTFLOW, **changes}
    conditions = {name: value for name, value in conditions.items() if value}
    return stated(FLOW, conditions, ["u", "v", "p"], coordinates, parameters={"Re": 10})


def assumed(problem: Problem) -> list[str]:
    """What is assumed, in words, one per warning."""
    messages = [w.message for w in problem.warnings]
    assert all(m.startswith("too few conditions: ") for m in messages)
    return [m.partition("; ")[2] for m in messages]


# -- how many are needed ------------------------------------------------------------------------------------------


def needed(equations, unknowns, coordinates, **keys) -> int | None:
    walls = {"on": "boundary", "equations": [f"{name} = 0" for name in unknowns]}
    counter = _Counter(stated(equations, {"walls": walls}, unknowns, coordinates, **keys))
    principal = counter.equations.principal_at(counter.points[0])
    return principal and principal.degree // 2


BOX = {**SQUARE, "z": [0, 1]}
IN_TIME = {"t": [0, 1], **SQUARE}


@pytest.mark.parametrize(
    "equations, unknowns, coordinates, count",
    [
        ("laplacian(u) = u", ["u"], SQUARE, 1),
        ("D(u, x, x) + D(u, x, y) + D(u, y, y) = 0", ["u"], SQUARE, 1),
        ("1e-3*D(u, x, x) + D(u, y, y) + D(u, x) = 0", ["u"], SQUARE, 1),
        ("div([(1 + u**2)*D(u, x), (1 + u**2)*D(u, y)]) = 1", ["u"], SQUARE, 1),
        ("laplacian(laplacian(u)) = 0", ["u"], SQUARE, 2),
        ({"a": "laplacian(u) = w", "b": "laplacian(w) = 1"}, ["u", "w"], SQUARE, 2),
        ({"a": "D(u, x) + D(v, y) = 0", "b": "D(u, y) = D(v, x)"}, ["u", "v"], SQUARE, 1),
        (ELASTIC, ["u", "v"], SQUARE, 2),
        (FLOW, ["u", "v", "p"], SQUARE, 2),
        (STOKES_3D, ["u", "v", "w", "p"], BOX, 3),
        ("D(u, t) = laplacian(u)", ["u"], IN_TIME, 1),
        ("D(u, t, t) = laplacian(u)", ["u"], IN_TIME, 1),
        ({"a": "D(u, t) = v", "b": "D(v, t) = laplacian(u)"}, ["u", "v"], IN_TIME, 1),
        ("D(u, t) + u*D(u, x) = D(u, x, x)", ["u"], {"t": [0, 1], "x": [0, 1]}, 1),
        # where it cannot be told
        ("D(u, x) + D(u, y) = 0", ["u"], SQUARE, None),
        ("D(u, x, x) = D(u, y, y)", ["u"], SQUARE, None),
        ("D(u, y) = D(u, x, x)", ["u"], SQUARE, None),
        ("D(u, x, x) + 2*D(u, x, y) + D(u, y, y) = 0", ["u"], SQUARE, None),
        ("D(u, x, x) + D(u, y, y) + D(u, x) = 0", ["u"], BOX, None),
        ("D(u, t) + D(u, x, 3) = 0", ["u"], {"t": [0, 1], "x": [0, 1]}, None),
        ({"a": "D(u, t) = D(v, x)", "b": "D(v, t) = D(u, x)"}, ["u", "v"], {"t": [0, 1], "x": [0, 1]}, None),
        ("D(u, t) = D(u, t, x, x) + D(u, x)", ["u"], {"t": [0, 1], "x": [0, 1]}, None),
    ],
)
def test_how_many_conditions_a_system_needs(equations, unknowns, coordinates, count):
    assert needed(equations, unknowns, coordinates, parameters={"Re": 10}) == count


# -- what is assumed ----------------------------------------------------------------------------------------------


def test_a_channel_with_a_pressure_alone_where_it_ends():
    problem = channel()
    (warning,) = problem.warnings
    assert warning.message == (
        "too few conditions: on the face x = 1 there is 1 condition (`outflow`), and the equations need 2; "
        "`Dn(v) = 0` is assumed there"
    )
    assert warning.hint == "state it, or what holds instead"
    assert [term.name for term in compile_problem(problem).terms][-1] == "assumed on x = 1"
    complete = channel(outflow={"on": "x = 1", "equations": ["p = 0", "Dn(v) = 0"]})
    assert not complete.warnings and len(complete.statements) == len(problem.statements) - 1
    assert complete.statements[-1].residuals[1:] == problem.statements[-1].residuals


@pytest.mark.parametrize(
    "changes, words",
    [
        ({"outflow": None}, ["`-Dn(u)/Re + p = 0` and `Dn(v) = 0` are assumed there"]),
        ({"outflow": {"on": "x = 1", "equation": "u = 0"}, "level": {"at": {"x": 0, "y": 0}, "equation": "p = 0"}},
         ["`Dn(v) = 0` is assumed there"]),
        ({"outflow": {"on": "x = 1", "equation": "v = 0"}}, ["`-Dn(u)/Re + p = 0` is assumed there"]),
        ({"inflow": {"on": "x = 0", "equation": "p = 1"}}, ["`Dn(v) = 0` is assumed there"] * 2),
    ],
)  # fmt: skip
def test_what_is_assumed_of_a_flow(changes, words):
    """Nothing else is warned of: with what is assumed, the pressure is determined."""
    assert assumed(channel(**changes)) == words


def test_what_is_assumed_in_space():
    box = {"on": ["x = 0", "y = 0", "y = 1", "z = 0", "z = 1"], "equations": ["u = 0", "v = 0", "w = 0"]}
    found = stated(STOKES_3D, {"walls": box, "outflow": OUTFLOW}, ["u", "v", "w", "p"], BOX)
    assert assumed(found) == ["`Dn(v) = 0` and `Dn(w) = 0` are assumed there"]


def test_the_side_of_a_body_is_free_of_traction():
    ends = {"on": ["x = 0", "x = 1"], "equations": ["u = 0", "v = y"]}
    found = stated(ELASTIC, {"ends": ends, "floor": {"on": "y = 0", "equation": "v = 0"}}, ["u", "v"])
    assert assumed(found) == [
        "`-D(v, x) + Dn(u) = 0` is assumed there",
        "`D(v, x) + Dn(u) = 0` and `D(u, x) + 3*Dn(v) = 0` are assumed there",
    ]


@pytest.mark.parametrize(
    "given, words",
    [
        ("u = 0", "`Dn(Dn(u)) = 0` is"),
        ("Dn(u) = 0", "`Dn(Dn(Dn(u))) = 0` is"),
        ("Dn(Dn(u)) = 0", "`Dn(Dn(Dn(u))) = 0` is"),
    ],
)
def test_what_is_assumed_of_a_plate(given, words):
    walls = {"on": ["x = 0", "x = 1", "y = 0"], "equations": ["u = 0", "Dn(u) = 0"]}
    conditions = {"walls": walls, "rest": {"on": "y = 1", "equation": given}}
    assert assumed(stated("laplacian(laplacian(u)) = 1", conditions)) == [f"{words} assumed there"]


def test_sides_without_conditions_are_told_together():
    found = stated("laplacian(u) = 1", {"wall": {"on": "x = 0", "equation": "u = 0"}})
    assert [w.message for w in found.warnings] == [
        "too few conditions: on the faces x = 1, y = 0 and y = 1 there is no condition, and the equations need 1; "
        "`Dn(u) = 0` is assumed there"
    ]


def test_the_rest_of_a_side_that_where_leaves():
    conditions = {
        "rest": {"on": ["x = 0", "x = 1", "y = 0"], "equation": "u = 0"},
        "part": {"on": "y = 1", "where": "x < 0.5", "equation": "u = 0"},
    }
    (*_, added) = stated("laplacian(u) = 1", conditions).statements
    assert str(added.region.where) == "x >= 1/2" and added.region.pieces[0].fixed == ((1, 1.0),)


# -- where nothing is assumed -------------------------------------------------------------------------------------


def test_where_conditions_may_stand_in_for_others():
    cauchy = {"on": "y = 0", "equations": ["u = 0", "Dn(u) = 1"]}
    sides = {"on": ["x = 0", "x = 1"], "equation": "u = 0"}
    inside = {"on": "y = 0.5", "equation": "u = 0"}
    for conditions in ({"cauchy": cauchy, "sides": sides}, {"inside": inside, "sides": sides}):
        assert not any("assumed" in s.name for s in stated("laplacian(u) = 0", conditions).statements)


def test_unknowns_of_their_own_are_counted_by_themselves():
    """Two conditions of u do not make up for none of v, and the older count says so."""
    walls = {"on": ["x = 0", "x = 1", "y = 0"], "equations": ["u = 0", "v = 0"]}
    conditions = {"walls": walls, "top": {"on": "y = 1", "equations": ["u = 0", "Dn(u) = 0"]}}
    (warning,) = stated({"a": "laplacian(u) = v", "b": "laplacian(v) = u"}, conditions, ["u", "v"]).warnings
    assert "`v` has 1 condition on the faces y = 0 and y = 1 together and needs 2" in warning.message


def test_without_any_condition_the_solution_is_just_not_unique():
    points = {"points": {"at": [{"x": 0.3, "y": 0.3}, {"x": 0, "y": 0.7}], "equation": "u = 1"}}
    for conditions in (None, points):
        (warning,) = stated("laplacian(u) = 0", conditions).warnings
        assert warning.message.endswith("there is no condition, and the equations need 1")
        assert warning.hint == "the solution is not unique: say what holds there"


def test_coefficients_that_vanish_or_are_infinite_on_a_face_need_nothing_there():
    walls = {"on": ["x = 1", "y = 0", "y = 1"], "equation": "u = 0"}
    for equation in ("D(u, x, x) + D(u, x)/x + D(u, y, y) = 1", "x*D(u, x, x) + D(u, x) + x*D(u, y, y) = x"):
        problem = stated(equation, {"walls": walls})
        assert not any("assumed" in s.name for s in problem.statements)


# -- shapes -------------------------------------------------------------------------------------------------------

STEP = {"difference": [{"box": {"x": [0, 2], "y": [0, 1]}}, {"box": {"x": [0, 1], "y": [0.5, 1]}}]}
ROUND = {"difference": [{"box": {"x": [0, 2], "y": [0, 1]}},
                        {"disk": {"center": [0.5, 0.5], "radius": 0.1}, "boundary": "body"}]}  # fmt: skip


def on_shape(domain, conditions) -> Problem:
    whole = {"name": "test", "domain": domain, "unknowns": ["u", "v", "p"], "equations": FLOW, "parameters": {"Re": 10}}
    return build_problem(spec_from_dict({**whole, "conditions": conditions}))


def still(*places: str) -> dict:
    return {"on": list(places), "equations": ["u = 0", "v = 0"]}


def test_a_plane_of_a_shape():
    walls, out = still("x = 0", "y = 0", "y = 0.5", "x = 1", "y = 1"), {"on": "x = 2", "equation": "p = 0"}
    assert assumed(on_shape(STEP, {"walls": walls, "out": out})) == ["`Dn(v) = 0` is assumed there"]
    (warning,) = on_shape(STEP, {"walls": walls}).warnings  # which says nothing of where it ends
    assert "on the boundary x = 2 there is no condition" in warning.message and "n_x*p" in warning.message
    whole = {"walls": still("x = 0", "y = 0", "y = 1", "body"), "out": out}
    assert assumed(on_shape(ROUND, whole)) == ["`Dn(v) = 0` is assumed there"]


def test_walls_that_where_keeps_from_the_ends():
    walls = {**still("boundary"), "where": "x > 0 and x < 2"}
    ends = {"into": still("x = 0"), "out": {"on": "x = 2", "equation": "p = 0"}}
    assert assumed(on_shape(STEP, {"walls": walls, **ends})) == ["`Dn(v) = 0` is assumed there"]
    box = channel(walls={**WALLS, "on": "boundary", "where": "x > 0 and x < 1"})
    (warning,) = box.warnings
    assert "on the face x = 1 there is" in warning.message


def test_a_curved_part_of_a_boundary():
    """Beside p = 0, what does not change across it is the velocity along it."""
    conditions = {"walls": still("x = 0", "x = 2", "y = 0", "y = 1"), "body": {"on": "body", "equation": "p = 0"}}
    assert assumed(on_shape(ROUND, conditions)) == ["`-Dn(u)*n_y + Dn(v)*n_x = 0` is assumed there"]


def test_places_that_may_meet_others_are_left_alone():
    named = {"difference": [{**STEP["difference"][0], "boundary": "outer"}, STEP["difference"][1]]}
    conditions = {"walls": still("outer"), "out": {"on": "x = 2", "equation": "p = 0"}}
    assert not on_shape(named, conditions).warnings


# -- solved -------------------------------------------------------------------------------------------------------


def test_a_channel_is_solved_to_rounding():
    """Its v vanishes, and is judged beside u."""
    conditions = {"inflow": INFLOW, "walls": WALLS, "outflow": OUTFLOW}
    exact = {"u": "4*y*(1 - y)", "v": "0", "p": "0.8*(1 - x)"}
    problem = stated(FLOW, conditions, ["u", "v", "p"], parameters={"Re": 10}, exact=exact)
    solution = ps.solve(problem)
    assert solution.result["status"] == "converged" and max(solution.result["relative_l2_error"].values()) < 1e-9
    assert solution.result["unknown_coefficients"] < 500


def test_a_forgotten_side_is_insulated():
    conditions = {"walls": {"on": ["x = 0", "y = 0", "y = 1"], "equation": "u = 0"}}
    equation = "laplacian(u) = -1.25*pi**2*sin(pi*x/2)*sin(pi*y)"
    problem = stated(equation, conditions, exact={"u": "sin(pi*x/2)*sin(pi*y)"}, solve={"tolerance": 1e-8})
    assert ps.solve(problem).result["relative_l2_error"]["u"] < 1e-8
