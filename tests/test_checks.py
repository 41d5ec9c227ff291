"""Checks that need mathematics: every mistake is noticed, and problems without it are left in peace."""

from __future__ import annotations

import math
import time

import pytest

from pinnsolve.compiler.compiler import compile_problem
from pinnsolve.errors import Diagnostic, ProblemError
from pinnsolve.language import operators
from pinnsolve.problem.build import build_problem
from pinnsolve.problem.checks import check_problem, undetermined_constants
from pinnsolve.problem.checks.neumann import fluxes
from pinnsolve.problem.problem import Problem
from pinnsolve.spec.spec import load_spec, spec_from_dict

LINE = {"x": [0, 1]}
SQUARE = {"x": [0, 1], "y": [0, 1]}
STRIP = {"t": [0, 1], "x": [0, 1]}
HEAT, WAVE, LAPLACE = "D(u, t) = D(u, x, x)", "D(u, t, t) = D(u, x, x)", "laplacian(u) = 0"
ZERO_WALLS = {"on": "boundary", "equation": "u = 0"}
ZERO_START = {"on": "t = 0", "equation": "u = 0"}
FLUX_WALLS = {"on": "boundary", "equation": "Dn(u) = 0"}


def stated(coordinates: dict, equations=None, conditions: dict | None = None, **keys) -> Problem:
    """A problem of one unknown u, unless told otherwise; `equations` may be a single text."""
    equations = {"e": equations} if isinstance(equations, str) else equations
    parts = {"equations": equations, "conditions": conditions}
    whole = {"name": "test", "unknowns": "u", "coordinates": coordinates, **parts, **keys}
    return build_problem(spec_from_dict({key: value for key, value in whole.items() if value}))


def warned(*arguments, **keys) -> list[Diagnostic]:
    warnings = list(stated(*arguments, **keys).warnings)
    assert all(w.severity == "warning" and w.hint for w in warnings)
    return warnings


def only_warning(*arguments, **keys) -> str:
    (warning,) = warned(*arguments, **keys)
    return warning.message


def errors(*arguments, **keys) -> dict[str, str]:
    with pytest.raises(ProblemError) as caught:
        stated(*arguments, **keys)
    return {d.key: d.message for d in caught.value.diagnostics}


# -- unknowns and equations ---------------------------------------------------------------------------------


def test_an_unknown_that_nothing_holds_is_an_error():
    assert "`v`" in errors(SQUARE, LAPLACE, {"w": ZERO_WALLS}, unknowns=["u", "v"])["unknowns"]


@pytest.mark.parametrize(
    ("equation", "wall", "key", "words"),
    [
        ("1 = 2", ZERO_WALLS, "equations.e", "`e` holds no unknown"),
        ("a*laplacian(u) = -1", ZERO_WALLS, "equations.e", "`e` holds no unknown where `a` = 0"),
        (LAPLACE, {"on": "boundary", "equation": "a*u = 1"}, "conditions.w", "`w` holds no unknown where `a` = 0"),
    ],
)
def test_a_statement_without_an_unknown_is_an_error(equation, wall, key, words):
    conditions = {"w": wall, "spot": {"at": {"x": 0.5, "y": 0.5}, "equation": "u = 0"}}
    assert errors(SQUARE, equation, conditions, parameters={"a": 0})[key] == words
    assert stated(SQUARE, "laplacian(u) + a*D(u, x) = 0", {"w": ZERO_WALLS}, parameters={"a": 0})


def test_a_periodic_pair_alone_holds_nothing():
    assert "nothing to solve" in errors(SQUARE, None, {"ring": {"periodic": "x"}})[""]
    conditions = {"w": {"on": ["y=0", "y=1"], "equation": "u = 0"}, "r": {"periodic": "x"}}
    assert "`v`" in errors(SQUARE, LAPLACE, conditions, unknowns=["u", "v"])["unknowns"]


def test_an_unknown_without_an_equation():
    walls = {"on": "boundary", "equations": ["u = 0", "v = 0"]}
    messages = [w.message for w in warned(SQUARE, LAPLACE, {"w": walls}, unknowns=["u", "v"])]
    assert messages == ["no equation contains `v`", "1 equation for 2 unknowns (`u`, `v`)"]


def test_more_equations_than_unknowns():
    message = only_warning(SQUARE, {"a": LAPLACE, "b": "D(u, x) = 0"}, {"w": ZERO_WALLS})
    assert message == "2 equations for 1 unknown (`u`)"


def test_equations_that_share_the_domain_count_as_one():
    left = {"equation": LAPLACE, "where": "x < 0.5"}
    right = {"equation": "laplacian(u) = 1", "where": "x >= 0.5"}
    assert not warned(SQUARE, {"left": left, "right": right}, {"w": ZERO_WALLS})
    assert "no equation holds at x = " in only_warning(SQUARE, {"left": left}, {"w": ZERO_WALLS})


def test_data_stand_in_for_an_equation(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "d.csv").write_text("x,y,a\n0,0,1\n", encoding="utf-8")
    data = {"d": {"file": "d.csv", "equation": "u = a"}}
    assert not warned(SQUARE, "laplacian(u) = v", None, unknowns=["u", "v"], data=data)
    assert not warned(SQUARE, LAPLACE, None, data=data)
    fitted = {"fit": {"on": "domain", "equation": "u = sin(x)"}}
    assert not warned(SQUARE, LAPLACE, fitted)


def test_an_exact_solution_in_part():
    walls = {"on": "boundary", "equations": ["u = 0", "v = 0"]}
    equations = {"a": LAPLACE, "b": "laplacian(v) = u"}
    message = only_warning(SQUARE, equations, {"w": walls}, unknowns=["u", "v"], exact={"u": "0"})
    assert message == "the exact solution of `v` is missing"


# -- smoothness ---------------------------------------------------------------------------------------------

RELU = {"basis": {"activation": "relu"}}


@pytest.fixture
def curvature():
    operators.operator("curvature", order=2)(lambda basis, points: None)
    yield
    del operators.OPERATORS["curvature"]


def test_relu_where_second_derivatives_are_needed(curvature):
    found = errors(SQUARE, LAPLACE, {"w": ZERO_WALLS}, solve=RELU)
    assert "`e` needs u_yy" in found["solve.basis.activation"]
    conditions = {"s": {"on": "x = 0", "equation": "D(u, y, y) = 0"}}
    assert "`s` needs" in errors(SQUARE, "D(u, x) = 0", conditions, solve=RELU)["solve.basis.activation"]
    assert "curvature(u)" in errors(LINE, "u + curvature(u) = 0", None, solve=RELU)["solve.basis.activation"]


def test_relu_where_first_derivatives_will_do():
    transport = {"s": ZERO_START, "in": {"on": "x = 0", "equation": "u = 0"}}
    assert not warned(STRIP, "D(u, t) + D(u, x) = 0", transport, solve=RELU)


# -- conditions on faces ------------------------------------------------------------------------------------


def test_a_wall_without_a_condition_is_named():
    message = only_warning(STRIP, HEAT, {"s": ZERO_START, "w": {"on": "x = 0", "equation": "u = 0"}})
    assert "on the face x = 1 there is no condition, and the equations need 1;" in message


def test_both_conditions_on_one_wall_are_enough():
    cauchy = {"on": "x = 0", "equations": ["u = 0", "Dn(u) = 0"]}
    assert not warned(STRIP, HEAT, {"s": ZERO_START, "w": cauchy})


def test_the_same_condition_twice_counts_once():
    twice = {"a": {"on": "x = 0", "equation": "u = 0"}, "b": {"on": "x = 0", "equation": "2*u = 0"}, "s": ZERO_START}
    assert "on the face x = 1 there is no condition" in only_warning(STRIP, HEAT, twice)
    assert "has 1 condition " in only_warning(STRIP, "D(u, t) + D(u, x, 3) = 0", {**twice, "c": twice["a"]})


def test_part_of_a_wall_without_a_condition():
    part = {"on": "y = 1", "where": "x < 0.5", "equation": "u = 1"}
    rest = {"on": ["x = 0", "x = 1", "y = 0"], "equation": "Dn(u) = 0"}
    assert only_warning(SQUARE, LAPLACE, {"part": part, "rest": rest}).startswith(
        "too few conditions: on the part of the face y = 1 around x = 0.7"
    )
    other = {"on": "y = 1", "where": "x >= 0.5", "equation": "Dn(u) = 1"}
    assert not warned(SQUARE, LAPLACE, {"part": part, "rest": rest, "other": other})


def test_the_start():
    walls = {"w": ZERO_WALLS}
    assert "no condition on the face t = 0 and needs 1" in only_warning(STRIP, HEAT, walls)
    assert "1 condition on the face t = 0 and needs 2" in only_warning(STRIP, WAVE, {**walls, "s": ZERO_START})
    still = {"on": "t = 0", "equations": ["u = 0", "D(u, t) = 0"]}
    assert not warned(STRIP, WAVE, {**walls, "s": still})


def test_time_backward():
    end = {"on": "t = 1", "equation": "u = 0"}
    assert "forward from t = 0" in only_warning(STRIP, HEAT, {"w": ZERO_WALLS, "end": end})
    assert not warned(STRIP, "D(u, t) + D(u, x, x) = u", {"w": ZERO_WALLS, "end": end})
    assert "t = 0" in only_warning(STRIP, WAVE, {"w": ZERO_WALLS, "end": end})


def test_periodic_faces_need_nothing_else():
    assert not warned(STRIP, "D(u, t) + D(u, x, 3) = 0", {"s": ZERO_START, "ring": {"periodic": "x"}})


def test_slices_and_points_inside_do_not_count():
    inside = {"on": "x = 0.5", "equation": "u = 0"}
    messages = [w.message for w in warned(STRIP, HEAT, {"s": ZERO_START, "i": inside})]
    assert len(messages) == 1 and "the faces x = 0 and x = 1" in messages[0]


def test_transport_needs_its_condition_where_signals_enter():
    sides = {side: {"s": ZERO_START, "w": {"on": f"x = {side}", "equation": "u = 0"}} for side in (0, 1)}
    assert not warned(STRIP, "D(u, t) + D(u, x) = 0", sides[0])
    assert "face x = 0, where signals enter" in only_warning(STRIP, "D(u, t) + D(u, x) = 0", sides[1])
    assert "face x = 1, where signals enter" in only_warning(STRIP, "D(u, t) = 2*D(u, x)", sides[0])
    assert not warned(STRIP, "D(u, t) + sin(2*pi*x)*D(u, x) = 0", {"s": ZERO_START})  # the walls stand still
    both = warned(STRIP, "D(u, t) + (1 - 2*x)*D(u, x) = 0", {"s": ZERO_START})
    assert [m.message.partition(" on the ")[2][:10] for m in both] == ["face x = 0", "face x = 1"]


def test_a_first_order_equation_whose_speed_is_not_known_needs_either_wall():
    burgers = "D(u, t) + u*D(u, x) = 0"
    assert "nor on x = 1" in only_warning(STRIP, burgers, {"s": ZERO_START})
    assert not warned(STRIP, burgers, {"s": ZERO_START, "w": {"on": "x = 1", "equation": "u = 0"}})
    steady = {"w": {"on": "x = 0", "equation": "u = y"}}
    assert "face y = 0 nor on y = 1" in only_warning(SQUARE, "D(u, x) + D(u, y) = 0", steady)


def test_a_pressure_needs_no_condition_on_a_wall():
    equations = {
        "x": "D(p, x) = laplacian(u)",
        "y": "D(p, y) = laplacian(v)",
        "mass": "D(u, x) + D(v, y) = 0",
    }
    walls = {"on": "boundary", "equations": ["u = 0", "v = 0"]}
    level = {"at": {"x": 0, "y": 0}, "equation": "p = 0"}
    assert not warned(SQUARE, equations, {"walls": walls, "level": level}, unknowns=["u", "v", "p"])
    message = only_warning(SQUARE, equations, {"walls": walls}, unknowns=["u", "v", "p"])
    assert message == "`p` is determined only up to a constant: only its derivatives occur"


def test_ordinary_differential_equations_count_conditions_wherever_they_are():
    second = "D(u, x, x) = u"
    assert not warned(LINE, second, {"c": {"at": [{"x": 0}, {"x": 0.5}], "equation": "u = 0"}})
    assert not warned(LINE, second, {"c": {"at": [{"x": 0}, {"x": 1}], "equation": "Dn(u) = 1"}})
    message = only_warning(LINE, second, {"c": {"at": {"x": 0}, "equation": "u = 0"}})
    assert "1 condition and needs 2" in message and message.endswith("the face x = 1")
    assert "say at t = 0" in only_warning({"t": [0, 1]}, "D(u, t) = u")


# -- contradictions -----------------------------------------------------------------------------------------

CAVITY = {
    "x": "u*D(u, x) + v*D(u, y) + D(p, x) = laplacian(u)",
    "y": "u*D(v, x) + v*D(v, y) + D(p, y) = laplacian(v)",
    "mass": "D(u, x) + D(v, y) = 0",
}
NO_SLIP = {"on": ["x = 0", "x = 1", "y = 0"], "equations": ["u = 0", "v = 0"]}
LEVEL = {"at": {"x": 0, "y": 0}, "equation": "p = 0"}


@pytest.mark.parametrize("lid, contradicts", [("1", True), ("4*x*(1 - x)", False), ("sin(7*pi*x)", False)])
def test_the_lid_driven_cavity(lid, contradicts):
    conditions = {"lid": {"on": "y = 1", "equations": [f"u = {lid}", "v = 0"]}, "no_slip": NO_SLIP, "level": LEVEL}
    found = warned(SQUARE, CAVITY, conditions, unknowns=["u", "v", "p"])
    if not contradicts:
        assert not found
        return
    (warning,) = found
    assert warning.key == "conditions.no_slip"
    assert warning.message == "contradicts `lid` at x = 0, y = 1: there u = 1, here u = 0"


def test_a_where_that_leaves_the_corner_out():
    lid = {"on": "y = 1", "where": "x > 0 and x < 1", "equation": "u = 1"}
    others = {"on": ["x = 0", "x = 1", "y = 0"], "equation": "u = 0"}
    assert not warned(SQUARE, LAPLACE, {"lid": lid, "others": others})
    touching = {**lid, "where": "x > 0"}
    assert "at x = 1, y = 1" in only_warning(SQUARE, LAPLACE, {"lid": touching, "others": others})


def test_a_start_that_does_not_meet_the_walls():
    start = {"on": "t = 0", "equation": "3*u = 3*cos(a*x)"}
    message = only_warning(STRIP, HEAT, {"walls": ZERO_WALLS, "start": start}, parameters={"a": "pi"})
    assert message == "contradicts `walls` at t = 0, x = 0: there u = 0, here u = 1"
    assert not warned(STRIP, HEAT, {"walls": ZERO_WALLS, "start": {"on": "t = 0", "equation": "u = 1e6*sin(9*pi*x)"}})


@pytest.mark.parametrize("value, contradicts", [("y", False), ("y + 1e-7", True), ("sin(pi*y)", True), ("y**1", False)])
def test_a_face_given_twice(value, contradicts):
    conditions = {"all": {"on": "boundary", "equation": "u = y"}, "left": {"on": "x = 0", "equation": f"u = {value}"}}
    found = warned(SQUARE, LAPLACE, conditions)
    assert bool(found) == contradicts
    assert all("`all` at x = 0, y = " in w.message for w in found)


def test_a_condition_that_contradicts_itself():
    walls = {"on": "boundary", "equations": ["u = 0", "u = 1"]}
    assert only_warning(SQUARE, LAPLACE, {"w": walls}).startswith("`w` contradicts itself at ")


def test_values_that_normals_hold_are_those_of_the_face():
    walls = {"on": ["x = 0", "x = 1"], "equation": "u = n_x"}
    ends = {"on": ["y = 0", "y = 1"], "equation": "u = 2*x - 1"}
    assert not warned(SQUARE, LAPLACE, {"walls": walls, "ends": ends})
    ends = {"on": ["y = 0", "y = 1"], "equation": "u = x"}
    assert "x = 0, y = 0: there u = -1, here u = 0" in only_warning(SQUARE, LAPLACE, {"walls": walls, "ends": ends})


def test_derivatives_and_nonlinear_conditions_are_not_compared():
    robin = {"on": ["y = 0", "y = 1"], "equation": "Dn(u) + u = 5"}
    square = {"on": ["x = 0", "x = 1"], "equation": "u**2 = 1"}
    assert not warned(SQUARE, LAPLACE, {"a": robin, "b": square})


def test_a_start_that_is_not_periodic():
    conditions = {"start": {"on": "t = 0", "equation": "u = x**2"}, "ring": {"periodic": "x"}}
    assert "u = 0 at x = 0, u = 1 at x = 1" in only_warning(STRIP, HEAT, conditions)
    conditions["start"]["equation"] = "u = sin(2*pi*x)"
    assert not warned(STRIP, HEAT, conditions)


# -- up to a constant ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "equation, flux, source_integral, flux_integral",
    [
        ("laplacian(u) = 4", "2*x*n_x + 2*y*n_y", 4, 4),
        ("-laplacian(u) = 2*pi**2*cos(pi*x)*cos(pi*y)", "0", 0, 0),
        ("-3*laplacian(u) = 1", "0", 1, 0),
        ("k*laplacian(u) = exp(x)", "1", math.e - 1, 8),
        ("laplacian(u) = 1", "where(y < 1/2, 1/2, 0)", 1, 1),
    ],
)
def test_pure_neumann_data_are_integrated(equation, flux, source_integral, flux_integral):
    walls = {"on": "boundary", "equation": f"Dn(u) = {flux}"}
    problem = stated(SQUARE, equation, {"w": walls}, parameters={"k": 2})
    source, through = fluxes(problem)
    assert source.value == pytest.approx(source_integral, abs=1e-12)
    assert through.value == pytest.approx(flux_integral, abs=1e-12)
    (warning,) = problem.warnings
    assert "`u` is determined only up to a constant" in warning.message
    fits = math.isclose(source_integral, flux_integral, abs_tol=1e-9)
    assert ("the data are compatible" in warning.message) == fits
    assert ("not compatible" in warning.message) == (not fits)
    numbers = f"integrates to {source_integral:.6g}, the flux through the boundary to {flux_integral:.6g}"
    assert numbers in warning.message


def test_compatibility_in_one_and_many_coordinates():
    ends = {"a": {"on": "x = 1", "equation": "Dn(u) = 1"}, "b": {"on": "x = 0", "equation": "D(u, x) = 0"}}
    assert "are compatible" in only_warning(LINE, "D(u, x, x) = 2*x", ends)
    box = {f"x{i}": [0, 2] for i in range(1, 5)}
    walls = {"on": "boundary", "equation": "Dn(u) = n_x1*x1"}
    assert "are compatible" in only_warning(box, "laplacian(u) = 1", {"w": walls})
    assert "not compatible" in only_warning(box, "laplacian(u) = 1.01", {"w": walls})


def test_compatibility_with_periodic_faces():
    conditions = {"w": {"on": ["y = 0", "y = 1"], "equation": "Dn(u) = 0"}, "ring": {"periodic": "x"}}
    assert "are compatible" in only_warning(SQUARE, "laplacian(u) = sin(2*pi*x)", conditions)
    assert "not compatible" in only_warning(SQUARE, "laplacian(u) = 1 + sin(2*pi*x)", conditions)


def test_data_with_a_jump_are_not_judged_finer_than_quadrature_can_see():
    walls = {"on": "boundary", "equation": "Dn(u) = 0.26/4"}
    message = only_warning(SQUARE, "laplacian(u) = sign(x - 0.37)", {"w": walls})
    assert "compatible as far as quadrature can tell" in message
    walls["equation"] = "Dn(u) = 0.3/4"
    assert "not compatible" in only_warning(SQUARE, "laplacian(u) = sign(x - 0.37)", {"w": walls})


DISK = {"disk": {"center": [1, 0], "radius": 2}}
RING = {"difference": [DISK | {"boundary": "outer"}, {"disk": {"center": [1, 1], "radius": 0.5}, "boundary": "inner"}]}


@pytest.mark.parametrize(
    ("equation", "flux", "fits"),
    [
        ("laplacian(u) = 3", "3", True),
        ("laplacian(u) = 3", "2.9", False),
        ("k*laplacian(u) = (x - 1)**2", "1/2", True),  # the integral is 4 pi, and the rim 4 pi long
        ("k*laplacian(u) = (x - 1)**2", "0.6", False),
        ("laplacian(u) = where(x < 1, 1, -1)", "y", True),
    ],
)
def test_fluxes_round_a_shape_are_integrated(equation, flux, fits):
    rim = {"on": "boundary", "equation": f"Dn(u) = {flux}"}
    message = only_warning(None, equation, {"rim": rim}, domain=DISK, parameters={"k": 2})
    assert ("the data are compatible" in message) == fits
    assert ("not compatible" in message) == (not fits)


def test_fluxes_through_parts_of_a_boundary():
    conditions = {
        "out": {"on": "outer", "equation": "n_x*D(u, x) + n_y*D(u, y) = 1"},
        "in": {"on": "inner", "equation": "Dn(u) = where(x < 1, -8, 0)"},
    }
    assert "are compatible" in only_warning(None, LAPLACE, conditions, domain=RING)
    conditions["in"]["where"] = "x < 1"
    message = only_warning(None, LAPLACE, conditions, domain=RING)
    assert "compatible" not in message  # nothing is said of the rest


@pytest.mark.parametrize(("source", "found"), [("1", 1), ("2 - 4*x", 0)])
def test_a_point_lets_no_flux_through(source, found):
    conditions = {"walls": FLUX_WALLS, "level": {"at": {"x": 0, "y": 0}, "equation": "u = 0"}}
    told = [w.message for w in warned(SQUARE, f"laplacian(u) = {source}", conditions) if "not compatible" in w.message]
    assert len(told) == found
    ends = {"ends": FLUX_WALLS, "level": {"at": {"x": 0.3}, "equation": "u = 0"}}
    assert not [w for w in stated(LINE, "D(u, x, x) = 1", ends).warnings if "not compatible" in w.message]


@pytest.mark.parametrize("equation", ["div([(1 + x)*D(u, x), D(u, y)]) = 0", "laplacian(u) + D(u, x) = 0"])
def test_no_verdict_where_the_divergence_theorem_does_not_say(equation):
    message = only_warning(SQUARE, equation, {"w": FLUX_WALLS})
    assert message == "`u` is determined only up to a constant: only its derivatives occur"


def test_what_pins_an_unknown_down(curvature):
    point = {"at": {"x": 0, "y": 0}, "equation": "u = 0"}
    assert not warned(SQUARE, LAPLACE, {"w": FLUX_WALLS, "p": point})
    assert not warned(SQUARE, "laplacian(u) = u", {"w": FLUX_WALLS})
    assert not warned(LINE, "D(u, x, x) + curvature(u) = 1", {"w": FLUX_WALLS})


def test_undetermined_constants_of_statements_and_of_compiled_terms():
    equations = {"a": "D(u, t) = D(p, x)", "b": "D(p, x, x) = u"}
    conditions = {"ring": {"periodic": "x"}, "s": ZERO_START}
    problem = stated(STRIP, equations, conditions, unknowns=["u", "p"])
    assert undetermined_constants(problem.statements) == ("p",)
    assert compile_problem(problem).undetermined_constants == ("p",)


# -- all together -------------------------------------------------------------------------------------------


def test_a_warning_has_its_place_in_the_file(tmp_path):
    file = tmp_path / "p.yaml"
    file.write_text(
        "name: p\nunknowns: u\ncoordinates: {x: [0, 1], y: [0, 1]}\nequations:\n  e: laplacian(u) = 0\n"
        'conditions:\n  a: {on: "x = 0", equation: "u = 0"}\n  b: {on: boundary, equation: "u = 1"}\n',
        encoding="utf-8",
    )
    (warning,) = build_problem(load_spec(file)).warnings
    assert (warning.file, warning.line, warning.key) == (str(file), 8, "conditions.b")


def test_six_coordinates_take_no_time():
    box = {f"x{i}": [0, 1] for i in range(1, 7)}
    value = "sin(x1 + x2)*exp(x3*x4) + x5*x6"
    faces = {f"f{i}{j}": {"on": f"x{i} = {j}", "equation": f"u = {value}"} for i in range(1, 7) for j in (0, 1)}
    dirichlet = stated(box, f"laplacian(u) = {value}", {**faces, "all": {"on": "boundary", "equation": f"u = {value}"}})
    neumann = stated(box, f"laplacian(u) = {value}", {"w": {"on": "boundary", "equation": f"Dn(u) = {value}"}})
    for problem in (dirichlet, neumann):
        started = time.process_time()
        check_problem(problem)
        assert time.process_time() - started < 0.7


def test_ends_where_an_equation_degenerates_need_no_condition():
    """Legendre's equation at both ends: solutions that stay finite are one for each value at an end."""
    spec = {
        "name": "singular",
        "coordinates": {"x": [-1, 1]},
        "unknowns": "u",
        "equations": {"e": "D((1 - x**2)*D(u, x), x) + 6*u = 0"},
        "conditions": {"end": {"on": "x = 1", "equation": "u = 1"}},
    }
    assert not build_problem(spec_from_dict(spec)).warnings
    regular = {**spec, "equations": {"e": "D((2 - x**2)*D(u, x), x) + 6*u = 0"}}
    assert "too few conditions" in str(build_problem(spec_from_dict(regular)).warnings)


@pytest.mark.parametrize("reach, found", [(1.01, True), (1.0000001, False)])
def test_a_where_that_reaches_into_the_place_of_another_condition(reach, found):
    """Round the hole of a quarter of a plate, and on the first bit of its sides of symmetry, too."""
    quarter = {
        "difference": [{"box": {"x": [0, 3], "y": [0, 3]}}, {"disk": {"center": [0, 0], "radius": 1}}],
    }
    conditions = {
        "hole": {"on": "boundary", "where": f"x**2 + y**2 < {reach}", "equation": "u = 1"},
        "symmetry": {"on": ["x = 0", "y = 0"], "equation": "Dn(u) = 0"},
        "far": {"on": ["x = 3", "y = 3"], "equation": "u = 0"},
    }
    problem = stated(["x", "y"], LAPLACE, conditions, domain=quarter)
    messages = [warning.message for warning in problem.warnings if "a bit of the place" in warning.message]
    assert bool(messages) == found
    if found:
        assert "`symmetry`" in messages[0] and "near x = " in messages[0]
