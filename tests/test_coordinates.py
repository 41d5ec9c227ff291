"""The roles of coordinates, and who asks for them."""

from __future__ import annotations

import pinnsolve as ps
from pinnsolve.compiler.compiler import compile_problem
from pinnsolve.language.coordinates import PARAMETER, TIME, Coordinate, Coordinates


def test_roles_tell_space_from_time_and_parameters():
    several = Coordinates((Coordinate("mu", PARAMETER), Coordinate("x"), Coordinate("t", TIME), Coordinate("y")))
    assert several.names == ("mu", "x", "t", "y")
    assert (several.space, several.space_axes) == (("x", "y"), (1, 3))
    assert (several.time, several.time_axis) == ("t", 2)
    steady = Coordinates.of(("x", "t"), None)
    assert (steady.space, steady.time, steady.time_axis) == (("x", "t"), None, None)


def test_a_problem_and_what_it_compiles_to_share_them():
    problem = ps.load("heat-1d")
    compiled = compile_problem(problem)
    assert compiled.axes is problem.axes is problem.spec.axes
    assert isinstance(problem, ps.Problem)
    assert (compiled.coordinates, compiled.time) == (("t", "x"), "t") == (problem.coordinates, problem.time)
    assert problem.space_axes == (1,)
