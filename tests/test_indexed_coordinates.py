"""Indexed coordinates and balls in any number of them: in files, in Python, in errors."""

from __future__ import annotations

import math
from itertools import pairwise

import pytest
import sympy as sp
import torch

import pinnsolve as ps
from pinnsolve.compiler.compiler import compile_problem
from pinnsolve.errors import ExpressionError, ProblemError
from pinnsolve.files.yaml_reader import parse_yaml
from pinnsolve.geometry.balls import BallShape
from pinnsolve.geometry.shapes import Ball
from pinnsolve.language.parsed_texts import ParsedTexts
from pinnsolve.language.to_sympy import Scope, expression, from_tree
from pinnsolve.problem.build import build_problem
from pinnsolve.spec.spec import spec_from_dict

SCOPE = Scope(coordinates=tuple(f"x{k}" for k in range(1, 5)))


def read(text: str) -> sp.Expr:
    return from_tree(ParsedTexts({"x": 4}).expression(text), SCOPE)


def stated(**keys) -> dict:
    box = {"x": {"count": 8, "interval": [-1, 1]}}
    equations = {"poisson": "laplacian(u) = sum(k, x[k]*x[k + 1])"}
    walls = {"walls": {"on": "boundary", "equation": "u = product(k, x[k])"}}
    whole = {"name": "many", "coordinates": box, "unknowns": "u", "equations": equations, "conditions": walls}
    return {key: value for key, value in {**whole, **keys}.items() if value is not None}


def errors(**keys) -> str:
    with pytest.raises(ProblemError) as caught:
        build_problem(spec_from_dict(stated(**keys)))
    return str(caught.value)


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ("x[3]", "x3"),
        ("sum(k, x[k]**2)", "x1**2 + x2**2 + x3**2 + x4**2"),
        ("sum(k, x[k]*x[k + 1])", "x1*x2 + x2*x3 + x3*x4"),
        ("sum(k, k*(x[k + 1] - x[k - 1]))", "2*(x3 - x1) + 3*(x4 - x2)"),
        ("product(j, x[j])", "x1*x2*x3*x4"),
        ("sum(i, sum(j, where(i < j, x[i]*x[j]/j, 0)))", "x1*x2/2 + (x1 + x2)*x3/3 + (x1 + x2 + x3)*x4/4"),
        ("sum(i, sum(j, x[i + j]))", "x2 + 2*x3 + 3*x4"),
        ("product(k, x[2*k] - x[2*k - 1])", "(x2 - x1)*(x4 - x3)"),
    ],
)
def test_sums_are_written_out(text, written):
    assert sp.expand(read(text) - expression(written, SCOPE)) == 0


@pytest.mark.parametrize(
    ("text", "offset", "words"),
    [
        ("x[5]", 0, "components 1 to 4"),
        ("1 + y[1]", 4, "`y` has no components"),
        ("x[x1]", 2, "not a whole number"),
        ("1 + sum(k, x[k + 4])", 4, "goes over nothing"),
        ("sum(k, k)", 0, "components of a coordinate"),
        ("sum(k, sum(k, x[k]))", 11, "`k` is taken"),
        ("sum(x[1])", 0, "takes a letter"),
        (
            "sum(i, sum(j, sum(k, sum(l, sum(m, sum(n, sum(o, x[i]*x[j]*x[k]*x[l]*x[m]*x[n]*x[o])))))))",
            None,
            "too large",
        ),
    ],
)
def test_wrong_indices(text, offset, words):
    with pytest.raises(ExpressionError, match=words) as caught:
        ParsedTexts({"x": 4}).expression(text)
    assert offset is None or caught.value.offset == offset


def test_coordinates_of_a_file_come_back_as_they_were_written():
    spec = spec_from_dict(stated())
    assert [*spec.coordinates] == [f"x{k}" for k in range(1, 9)]
    again = spec_from_dict(parse_yaml(spec.to_yaml()).data)
    assert again == spec and "count: 8" in spec.to_yaml()


def test_a_ball_with_time_comes_back_too():
    keys = {"coordinates": {"x": {"count": 5}}, "domain": {"ball": {"center": 0, "radius": 2}}, "time": {"t": [0, 3]}}
    spec = spec_from_dict(stated(**keys))
    again = spec_from_dict(parse_yaml(spec.to_yaml()).data)
    assert again == spec
    problem = build_problem(spec)
    assert problem.coordinates == ("t", "x1", "x2", "x3", "x4", "x5")
    assert problem.shape == Ball((0.0,) * 5, 2.0, "") and problem.intervals[1] == (-2.0, 2.0)


@pytest.mark.parametrize(
    ("keys", "words"),
    [
        ({"coordinates": {"x": {"count": 0, "interval": [0, 1]}}}, "a `count` from 1 to 200"),
        ({"coordinates": {"x": {"count": 8}}}, "the interval of `x` is missing"),
        ({"coordinates": {"x": {"count": 8, "interval": [0, 1], "step": 1}}}, "`step` is not a key here"),
        (
            {"coordinates": {"x": {"count": 8, "interval": [0, 1]}}, "domain": {"ball": {"center": 0, "radius": 1}}},
            "shape",
        ),
        ({"coordinates": {"x": {"count": 8}}, "domain": {"ball": {"center": [0, 0, 0], "radius": 1}}}, "3 components"),
        ({"coordinates": {"x": {"count": 8}}, "domain": {"disk": {"center": [0, 0], "radius": 1}}}, "in any number"),
        ({"parameters": {"sum": 1}}, "`sum` is taken"),
    ],
)
def test_wrong_coordinates(keys, words):
    assert words in errors(**keys)


def test_the_laplacian_has_a_term_for_every_component():
    (poisson, _) = compile_problem(build_problem(spec_from_dict(stated()))).terms
    assert len(poisson.features) == 8 and poisson.linear


def test_python_states_the_same():
    x = ps.coordinates("x", count=8)
    u = ps.unknown("u", *x)
    problem = ps.Problem(
        name="many",
        domain=ps.Box(x={"count": 8, "interval": (-1, 1)}),
        unknowns=[u],
        equations={"poisson": sp.Eq(sum(u.diff(s, 2) for s in x), sum(a * b for a, b in pairwise(x)))},
        conditions={"walls": ps.Condition(on="boundary", equation="u = product(k, x[k])")},
    )
    from_file = build_problem(spec_from_dict(stated()))
    assert problem.statements[0].residuals == from_file.statements[0].residuals
    assert problem.statements[1].residuals == from_file.statements[1].residuals


def test_ball_of_seven_coordinates():
    ball = BallShape(Ball((1.0,) * 7, 2.0, "rim"))
    boundary = ball.boundary(0.1)
    assert torch.allclose((boundary.x - 1).norm(dim=1), torch.full((len(boundary.x),), 2.0, dtype=torch.float64))
    assert torch.allclose(boundary.x, 1 + 2 * boundary.normals)
    assert math.isclose(ball.measure(), math.pi**3 * 16 / 105 * 2**7, rel_tol=1e-12)
    assert math.isclose(float(boundary.weights.sum()), 7 / 2 * ball.measure(), rel_tol=1e-12)
    unit = torch.rand(4000, 8, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    inside = ball.points(unit)
    assert bool(ball.inside(inside).all())
    # the mean of |x - c|^2 over a ball is d R^2 / (d + 2)
    assert math.isclose(float((inside - 1).square().sum(dim=1).mean()), 4 * 7 / 9, rel_tol=0.02)
    assert len(ball.spread(unit[:, 1:], "rim").x) == 4000 and len(ball.spread(unit[:, 1:], "other").x) == 0
