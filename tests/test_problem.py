"""Spec -> Problem: what the forms of the language mean, and what is refused, all at once and with its place."""

from __future__ import annotations

import copy
from dataclasses import replace
from pathlib import Path

import pytest
import sympy as sp

import pinnsolve as ps
from pinnsolve.errors import ProblemError
from pinnsolve.geometry.regions import Piece
from pinnsolve.language.symbols import coordinate_symbol, feature_symbol
from pinnsolve.problem.build import build_problem
from pinnsolve.problem.problem import Problem
from pinnsolve.spec.spec import load_spec

HEADER = "name: test\ncoordinates: {t: [0, 1], x: [-1, 1], y: [0, 2]}\nunknowns: u\n"
t, x, y = (coordinate_symbol(c) for c in "txy")


def built(tmp_path: Path, text: str, header: str = HEADER) -> Problem:
    file = tmp_path / "problem.yaml"
    file.write_text(header + text, encoding="utf-8")
    return build_problem(load_spec(file))


def refused(tmp_path: Path, text: str, header: str = HEADER) -> dict:
    """What is found wrong, by key."""
    with pytest.raises(ProblemError) as caught:
        built(tmp_path, text, header)
    return {d.key: d for d in caught.value.diagnostics}


def u(*alpha: int, side: int = 0) -> sp.Symbol:
    return feature_symbol("u", alpha or (0, 0, 0), side=side)


def statement(problem: Problem, name: str):
    return next(s for s in problem.statements if s.name == name)


def test_a_problem_is_shown_in_one_line(tmp_path):
    problem = built(tmp_path, 'equations: {heat: "D(u, t) = x"}\nconditions: {c: {on: "t = 0", equation: "u = 0"}}\n')
    assert repr(problem) == "<Problem 'test': u(t, x, y); heat, c>"


# -- what the forms mean ------------------------------------------------------------------------------------


def test_an_equation_is_its_left_side_minus_its_right(tmp_path):
    problem = built(tmp_path, 'parameters: {nu: 0.5}\nequations: {heat: "D(u, t) = nu*laplacian(u) + x"}\n')
    (heat,) = problem.of_kind("equation")
    nu = coordinate_symbol("nu")
    assert sp.expand(heat.residuals[0] - (u(1, 0, 0) - nu * (u(0, 2, 0) + u(0, 0, 2)) - x)) == 0
    assert heat.region.pieces == (Piece(),) and heat.key == "equations.heat"


def test_parameters_are_numbers_and_may_use_those_before(tmp_path):
    problem = built(tmp_path, 'parameters: {a: 1/3, b: 3*a + pi}\nequations: {e: "u = b"}\n')
    assert problem.parameters == pytest.approx({"a": 1 / 3, "b": 1 + 3.141592653589793}, abs=1e-15)


def test_a_box_with_expressions_and_a_box_of_a_domain(tmp_path):
    header = "name: test\nparameters: {L: 2}\ncoordinates: {x: [-L, L*pi]}\nunknowns: u\n"
    assert built(tmp_path, 'equations: {e: "u = 0"}\n', header).intervals[0] == pytest.approx((-2, 6.283185307179586))
    header = "name: test\ndomain: {box: {x: [0, 1], y: [0, 2]}}\ntime: {t: [0, 3]}\nunknowns: u\n"
    problem = built(tmp_path, 'equations: {e: "u = 0"}\n', header)
    assert problem.coordinates == ("t", "x", "y") and problem.intervals[0] == (0, 3)
    assert problem.time == "t" and problem.space_axes == (1, 2)


def test_where_restricts_an_equation(tmp_path):
    problem = built(tmp_path, 'parameters: {h: 0.5}\nequations: {e: {equation: "u = 1", where: "x < h and y > 1"}}\n')
    region = statement(problem, "e").region
    assert region.where == sp.And(sp.Lt(x, sp.Rational(1, 2), evaluate=False), sp.Gt(y, 1, evaluate=False))
    assert "where x < h and y > 1" in str(region)


@pytest.mark.parametrize(
    "place, pieces",
    [
        ('on: "x = -1"', [Piece(((1, -1.0),), (1, -1))]),
        ('on: "y = 2"', [Piece(((2, 2.0),), (2, 1))]),
        ('on: "y = 1/2"', [Piece(((2, 0.5),))]),
        ('on: "t = 0"', [Piece(((0, 0.0),), (0, -1))]),
        ('on: ["x = -1", "x = 1"]', [Piece(((1, -1.0),), (1, -1)), Piece(((1, 1.0),), (1, 1))]),
        ("on: domain", [Piece()]),
        ("at: {t: 0, x: 0.5, y: 1}", [Piece(((0, 0.0), (1, 0.5), (2, 1.0)))]),
        ("at: {x: 0, y: 1}", [Piece(((1, 0.0), (2, 1.0)))]),
        ("at: [{x: 0, y: 1}, {x: 1, y: 1}]", [Piece(((1, 0.0), (2, 1.0))), Piece(((1, 1.0), (2, 1.0)))]),
        ("at: {y: 2}", [Piece(((2, 2.0),), (2, 1))]),  # the same place as `on: "y = 2"`
    ],
)
def test_places(tmp_path, place, pieces):
    problem = built(tmp_path, f'conditions: {{c: {{{place}, equation: "u = 1"}}}}\n')
    (condition,) = problem.of_kind("condition")
    assert list(condition.region.pieces) == pieces


def test_the_boundary_is_that_of_space(tmp_path):
    problem = built(tmp_path, 'conditions: {c: {on: boundary, equation: "u = 1"}}\n')
    pieces = statement(problem, "c").region.pieces
    assert [p.fixed[0][0] for p in pieces] == [1, 1, 2, 2]


def test_the_normal_derivative_holds_the_normal_of_space_only(tmp_path):
    problem = built(tmp_path, 'conditions: {c: {on: boundary, equation: "Dn(u) = n_x"}}\n')
    n_x, n_y = coordinate_symbol("n_x"), coordinate_symbol("n_y")
    (residual,) = statement(problem, "c").residuals
    assert sp.expand(residual - (n_x * u(0, 1, 0) + n_y * u(0, 0, 1) - n_x)) == 0


def test_a_periodic_pair_ties_as_many_derivatives_as_the_equations_have(tmp_path):
    equation = 'equations: {e: "D(u, t) + D(u, x, 3) = D(u, y, y)"}\n'
    problem = built(tmp_path, equation + "conditions: {ring: {periodic: [x, y]}}\n")
    in_x, in_y = (statement(problem, f"ring_{c}") for c in "xy")
    assert in_x.residuals == tuple(u(0, k, 0) - u(0, k, 0, side=1) for k in range(3))
    assert in_y.residuals == tuple(u(0, 0, k) - u(0, 0, k, side=1) for k in range(2))
    assert in_x.region.pieces[0].partner == (1, 1.0) and in_x.region.pieces[0].fixed == ((1, -1.0),)
    assert in_x.key == in_y.key == "conditions.ring"


def test_data_bring_their_columns(tmp_path):
    (tmp_path / "probes.csv").write_text("t,x,y,measured\n0,0,0,1\n", encoding="utf-8")
    problem = built(tmp_path, 'data: {probes: {file: probes.csv, equation: "2*u = measured", noise: 0.1}}\n')
    probes = statement(problem, "probes")
    assert probes.residuals == (2 * u() - coordinate_symbol("measured"),)
    assert probes.data_file == tmp_path / "probes.csv" and probes.noise == 0.1 and probes.region.pieces == ()


def test_unknown_parameters_have_a_guess_and_bounds(tmp_path):
    text = 'unknown_parameters: {k: {guess: 1/4, bounds: [0, pi]}, c: {guess: 2}}\nequations: {e: "k*u = c"}\n'
    k, c = built(tmp_path, text).unknown_parameters
    assert (k.name, k.guess, k.bounds) == ("k", 0.25, (0, pytest.approx(3.141592653589793)))
    assert c.bounds == (float("-inf"), float("inf"))


def test_exact_is_in_coordinates_alone(tmp_path):
    text = 'parameters: {a: 3}\ndefinitions: {wave(s): "sin(a*s)"}\nequations: {e: "u = 0"}\nexact: {u: wave(x) + t}\n'
    assert built(tmp_path, text).exact == {"u": sp.sin(3 * x) + t}


def test_a_reference_lies_beside_the_file(tmp_path):
    (tmp_path / "truth.csv").write_text("t,x,y,u\n0,0,0,1\n", encoding="utf-8")
    problem = built(tmp_path, 'equations: {e: "u = 0"}\nreference: {file: truth.csv}\n')
    assert problem.reference == tmp_path / "truth.csv"


# -- what is refused ----------------------------------------------------------------------------------------


def test_everything_wrong_is_said_at_once_with_line_and_key(tmp_path):
    found = refused(
        tmp_path,
        "unknown_parameters: {k: {guess: 5, bounds: [0, 1]}}\n"
        'equations: {heat: "D(u, t) = kapa*laplacian(u)"}\n'
        "conditions:\n"
        '  face: {on: "x = 3", equation: "u = 0"}\n'
        '  place: {on: boundry, equation: "u = 0"}\n'
        '  point: {at: {x: 0, y: 5}, equation: "u = 0"}\n',
    )
    assert {key: d.line for key, d in found.items()} == {
        "unknown_parameters.k": 4,
        "equations.heat": 5,
        "conditions.face.on": 7,
        "conditions.place.on": 8,
        "conditions.point.at.y": 9,
    }
    assert "outside" in found["conditions.face.on"].message
    assert found["conditions.place.on"].hint == "did you mean `boundary`?"
    assert "[0, 2]" in found["conditions.point.at.y"].message
    assert "outside the bounds [0, 1]" in found["unknown_parameters.k"].message
    assert "`kapa`" in found["equations.heat"].message
    assert all(d.file == str(tmp_path / "problem.yaml") for d in found.values())


def test_an_empty_interval(tmp_path):
    found = refused(tmp_path, 'equations: {e: "u = 0"}\n', "name: test\nunknowns: u\ncoordinates:\n  x: [1, 1]\n")
    assert found["coordinates.x"].line == 4 and "empty" in found["coordinates.x"].message


@pytest.mark.parametrize("place", ['on: "t = 0"', 'on: "y = 1"', "at: {x: 0, y: 0}", "on: domain"])
def test_a_normal_needs_a_boundary_in_space(tmp_path, place):
    found = refused(tmp_path, f'conditions: {{c: {{{place}, equation: "u + Dn(u) = 0"}}}}\n')
    assert "boundary in space" in found["conditions.c"].message


def test_places_of_different_dimension_need_conditions_of_their_own(tmp_path):
    found = refused(tmp_path, 'conditions: {c: {on: [domain, "x = 1"], equation: "u = 0"}}\n')
    assert "dimension" in found["conditions.c"].message


def test_errors_of_the_checks_stop_a_problem_and_warnings_stay_with_it(tmp_path):
    header = HEADER.replace("unknowns: u", "unknowns: [u, v]")
    equation = 'equations: {e: "D(u, t) = laplacian(u)"}\n'
    assert "`v`" in refused(tmp_path, equation, header)["unknowns"].message
    problem = built(tmp_path, equation)
    assert problem.warnings and all(w.severity == "warning" and w.file and w.line for w in problem.warnings)


# -- the value itself ---------------------------------------------------------------------------------------


def test_a_problem_is_a_value(tmp_path):
    problem = built(tmp_path, 'equations: {e: "D(u, x) = 0"}\n')
    assert isinstance(problem, ps.Problem)
    assert copy.deepcopy(problem) == problem
    renamed = replace(problem, name="other")
    assert (renamed.name, problem.name) == ("other", "test") and renamed.warnings == problem.warnings
    with pytest.raises(AttributeError):
        problem.name = "other"


def test_a_resolved_file_is_the_same_problem(tmp_path):
    text = (
        'parameters: {nu: 1/3}\nequations: {e: {equation: "D(u, t) = nu*laplacian(u)", where: "x < y"}}\n'
        'conditions: {c: {on: boundary, equations: ["u = sin(x)", "Dn(u) = 0"]}, r: {periodic: x}}\nexact: {u: x*t}\n'
    )
    problem = built(tmp_path, text)
    again = built(tmp_path, problem.spec.to_yaml(), "")
    assert replace(again, spec=problem.spec) == problem
