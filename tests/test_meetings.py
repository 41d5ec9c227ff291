"""Where places on the boundary of a shape meet, and conditions that contradict each other there."""

from __future__ import annotations

import pytest
from typer.testing import CliRunner

from pinnsolve.cli import app
from pinnsolve.geometry.junctions import meetings
from pinnsolve.geometry.regions import Piece
from pinnsolve.problem.build import build_problem
from pinnsolve.problem.problem import Problem
from pinnsolve.spec.spec import spec_from_dict

ELL = {"difference": [{"box": {"x": [0, 2], "y": [0, 2]}}, {"box": {"x": [1, 2], "y": [1, 2]}}]}
QUARTER = {"intersection": [{"disk": {"center": [0, 0], "radius": 1}, "boundary": "arc"},
                            {"box": {"x": [0, 1], "y": [0, 1]}, "boundary": "sides"}]}  # fmt: skip


def stated(domain, conditions: dict, **keys) -> Problem:
    equations = {"e": "laplacian(u) = 0"}
    whole = {"name": "test", "domain": domain, "unknowns": "u", "equations": equations, "conditions": conditions}
    return build_problem(spec_from_dict(whole | keys))


def contradictions(problem: Problem) -> list[str]:
    return [d.message for d in problem.warnings if "contradicts" in d.message]


def test_the_places_that_meet_at_corners():
    left, top, inner = (Piece(part="", plane=plane) for plane in ((0, 0.0), (1, 2.0), (1, 1.0)))
    problem = stated(ELL, {"all": {"on": "boundary", "equation": "u = 0"}})
    found = [(at, p) for at, p in meetings(problem.shape, [left, top, inner, Piece(part="")], (0, 1)) if len(p) > 2]
    corners = {tuple(round(v, 12) for v in at.values()): set(pieces) for at, pieces in found}
    assert corners == {(0.0, 2.0): {left, top, Piece(part="")}}


@pytest.mark.parametrize("value, message", [
    ("u = 1", ["contradicts `left` at x = 0, y = 2: there u = 0, here u = 1"]),
    ("u = x", []),
    ("u = x*(2 - y)", []),
    ("Dn(u) = 1", []),
])  # fmt: skip
def test_planes_of_a_shape(value, message):
    rest = {"on": ["y = 0", "y = 1", "y = 2", "x = 1", "x = 2"], "equation": value}
    assert contradictions(stated(ELL, {"left": {"on": "x = 0", "equation": "u = 0"}, "rest": rest}))[:1] == message


def test_parts_with_names():
    conditions = {"arc": {"on": "arc", "equation": "u = 1"}, "sides": {"on": "sides", "equation": "u = x + y"}}
    assert not contradictions(stated(QUARTER, conditions))
    conditions["sides"]["equation"] = "u = x"
    assert contradictions(stated(QUARTER, conditions)) == ["contradicts `arc` at x = 0, y = 1: there u = 1, here u = 0"]
    conditions["sides"] |= {"where": "y < 0.9"}
    assert not contradictions(stated(QUARTER, conditions))


def test_a_place_given_twice_and_a_start():
    keys = {"time": {"t": [0, 1]}, "equations": {"e": "D(u, t) = laplacian(u)"}}
    start, walls = {"on": "t = 0", "equation": "u = x*y"}, {"on": "boundary", "equation": "u = x*y*exp(-t)"}
    assert not contradictions(stated(QUARTER, {"start": start, "walls": walls}, **keys))
    (message,) = contradictions(stated(QUARTER, {"start": {**start, "equation": "u = 2"}, "walls": walls}, **keys))
    assert message.startswith("contradicts `start` at t = 0, x = 0, y = 1:") and message.endswith(
        "there u = 2, here u = 0"
    )
    (message,) = contradictions(stated(QUARTER, {"walls": walls, "arc": {"on": "arc", "equation": "u = 5"}}, **keys))
    assert message.startswith("contradicts `walls` at ")


def test_check_warns(tmp_path):
    file = tmp_path / "ell.yaml"
    conditions = {"left": {"on": "x = 0", "equation": "u = 1"},
                  "rest": {"on": ["x = 1", "x = 2", "y = 0", "y = 1", "y = 2"], "equation": "u = 0"}}  # fmt: skip
    file.write_text(stated(ELL, conditions).spec.to_yaml(), encoding="utf-8")
    result = CliRunner().invoke(app, ["check", str(file)])
    assert result.exit_code == 0 and "contradicts `left`" in result.output
