"""Vectors in expressions and among unknowns: what they are in components, and what is refused."""

from __future__ import annotations

from dataclasses import replace

import pytest

import pinnsolve as ps
from pinnsolve.errors import ProblemError
from pinnsolve.language import to_mathml
from pinnsolve.language.expansion import resolve
from pinnsolve.language.syntax import Vector, parse
from pinnsolve.language.to_sympy import Scope, expression, from_tree
from pinnsolve.problem.build import build_problem
from pinnsolve.spec.spec import Spec, load_spec, spec_from_dict

PLANE = Scope(
    coordinates=("t", "x", "y"),
    time="t",
    unknowns=("p", "v_x", "v_y"),
    vectors=("v",),
    parameters=("nu",),
    normals=True,
    places=("domain", "boundary"),
    definitions={"flux": "nu*grad(p)", "along(a)": "dot(a, [1, 2])"},
)
SPACE = Scope(coordinates=("x", "y", "z"), unknowns=("p", "v_x", "v_y", "v_z"), vectors=("v",))


def components(text: str, scope: Scope) -> list:
    """The expressions of the components of a text, one of a number."""
    node, problems = resolve(parse(text), scope, "any")
    assert not problems, problems[0].message
    return [from_tree(item, scope) for item in (node.items if isinstance(node, Vector) else (node,))]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("v", ["v_x", "v_y"]),
        ("grad(p)", ["D(p, x)", "D(p, y)"]),
        ("div(v)", ["D(v_x, x) + D(v_y, y)"]),
        ("div(flux)", ["nu*D(p, x, x) + nu*D(p, y, y)"]),
        ("along(v)", ["v_x + 2*v_y"]),
        ("laplacian(v)/nu", ["laplacian(v_x)/nu", "laplacian(v_y)/nu"]),
        ("D(v, t) - 2*v", ["D(v_x, t) - 2*v_x", "D(v_y, t) - 2*v_y"]),
        ("dot(v, n)", ["v_x*n_x + v_y*n_y"]),
        ("dot(v, grad(v))", ["advect([v_x, v_y], v_x)", "advect([v_x, v_y], v_y)"]),
        ("dot(v, grad(p))", ["advect([v_x, v_y], p)"]),
        ("cross(v, [1, 0])", ["-v_y"]),
        ("curl(v)", ["D(v_y, x) - D(v_x, y)"]),
        ("curl(p)", ["D(p, y)", "-D(p, x)"]),
        ("Dn(v)", ["Dn(v_x)", "Dn(v_y)"]),
        ("grad_dot(v, v)", ["grad_dot(v_x, v_x) + grad_dot(v_y, v_y)"]),
        ("where(x > 0, v, 0)", ["where(x > 0, v_x, 0)", "where(x > 0, v_y, 0)"]),
        ("v_x_y", ["D(v_x, y)"]),
    ],
)
def test_in_components(text, expected):
    found = components(text, PLANE)
    assert [a - expression(b, PLANE) for a, b in zip(found, expected, strict=True)] == [0] * len(expected)


def test_the_normal_is_n_where_nothing_else_is():
    equations = Scope(
        coordinates=("x", "y"), unknowns=("p", "v_x", "v_y"), vectors=("v",), places=("domain", "boundary")
    )
    (flow,) = components("integral(dot(v, n), boundary)", equations)
    assert flow.integrand == expression("v_x*n_x + v_y*n_y", replace(equations, normals=True))
    numbered = Scope(coordinates=("x",), unknowns=("u",), parameters=("n",), normals=True, places=("boundary",))
    (value,) = components("integral(n*u, boundary) + n", numbered)
    assert value.has(expression("n", numbered))


def test_curl_in_space():
    found = components("curl(v)", SPACE)
    expected = ["D(v_z, y) - D(v_y, z)", "D(v_x, z) - D(v_z, x)", "D(v_y, x) - D(v_x, y)"]
    assert found == [expression(text, SPACE) for text in expected]
    assert components("div(curl(v))", SPACE) == [0]
    assert components("curl(grad(p))", SPACE) == [0, 0, 0]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("v*v", "a product of vectors"),
        ("v + 1", "a number is added to a vector"),
        ("sin(v)", "`sin` is of numbers"),
        ("v**2", "no powers"),
        ("1/v", "divided by a vector"),
        ("[1, 2, 3]", "the vector has 3 components, space has 2"),
        ("grad(v)", "a gradient is that of a number"),
        ("div(p)", "`div` takes a vector"),
        ("where(dot(v, v) > v, 1, 0)", "vectors are not compared"),
        ("grad_dot(v, p)", "of two numbers or of two vectors"),
    ],
)
def test_what_vectors_cannot_do(text, words):
    (error,) = resolve(parse(text), PLANE, "any")[1]
    assert words in error.message


CAVITY = {
    "name": "cavity",
    "coordinates": {"x": [0, 1], "y": [0, 1]},
    "unknowns": {"v": "vector", "p": "real"},
    "equations": {"momentum": "advect(v, v) + grad(p) = laplacian(v)/10", "mass": "div(v) = 0"},
    "conditions": {
        "lid": {"on": "y = 1", "equation": "v = [x*(1 - x), 0]"},
        "rest": {"on": ["x = 0", "x = 1", "y = 0"], "equation": "v = 0"},
        "pressure": {"at": {"x": 0, "y": 0}, "equation": "p = 0"},
    },
    "solve": {"term_weights": {"momentum_x": 2}},
}
BY_HAND = {
    **CAVITY,
    "unknowns": ["v_x", "v_y", "p"],
    "equations": {
        "momentum_x": "v_x*D(v_x, x) + v_y*D(v_x, y) + D(p, x) = laplacian(v_x)/10",
        "momentum_y": "v_x*D(v_y, x) + v_y*D(v_y, y) + D(p, y) = laplacian(v_y)/10",
        "mass": "D(v_x, x) + D(v_y, y) = 0",
    },
    "conditions": {
        **CAVITY["conditions"],
        "lid": {"on": "y = 1", "equations": ["v_x = x*(1 - x)", "v_y = 0"]},
        "rest": {"on": ["x = 0", "x = 1", "y = 0"], "equations": ["v_x = 0", "v_y = 0"]},
    },
}


def terms(spec: Spec) -> list:
    return [(s.name, s.residuals, s.region) for s in build_problem(spec).statements]


def test_a_file_with_vectors_is_the_file_in_components(tmp_path):
    spec = spec_from_dict(CAVITY)
    assert spec.unknowns == ("v_x", "v_y", "p") and spec.vectors == ("v",)
    assert terms(spec) == terms(spec_from_dict(BY_HAND))
    file = tmp_path / "cavity.yaml"
    file.write_text(spec.to_yaml())
    again = load_spec(file)
    assert terms(again) == terms(spec) and again.vectors == ("v",)


def test_vectors_in_python_by_texts():
    problem = ps.Problem(
        name="cavity",
        domain=ps.Box(x=(0, 1), y=(0, 1)),
        unknowns={"v": "vector", "p": "real"},
        equations=CAVITY["equations"],
        conditions={name: ps.Condition(**item) for name, item in CAVITY["conditions"].items()},
    )
    assert [(s.name, s.residuals) for s in problem.statements] == [t[:2] for t in terms(spec_from_dict(BY_HAND))]


def test_formulas_of_vectors():
    formula = to_mathml.equation("dot(v, grad(v)) + grad(p) = curl(cross(v, n))")
    assert formula.count("<mo>∇</mo>") == 3 and formula.count("<mo>×</mo>") == 2


def test_what_is_said_of_vectors_by_unknown():
    spec = spec_from_dict(
        {**CAVITY, "exact": {"v": ["sin(y)", 0]}, "guess": {"v": 0}, "solve": {"tolerance": {"v": 0.1}}}
    )
    assert spec.exact == {"v_x": "sin(y)", "v_y": "0"} and spec.guess == {"v_x": "0", "v_y": "0"}
    assert dict(spec.solve.tolerance.by_name) == {"v_x": 0.1, "v_y": 0.1}


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"equations": {"momentum": "grad(p) = 1"}}, "a number on one side and a vector on the other"),
        ({"exact": {"v": [1, 2, 3]}}, "the vector has 3 components, space has 2"),
        ({"parameters": {"v": 1}}, "`v` is a vector already"),
        ({"equations": {"e": "v = 0", "e_x": "p = 0"}, "solve": {}}, "has the name of another term"),
        ({"quantities": {"speed": {"maximum": "v"}}}, "a vector where a number is expected"),
    ],
)
def test_what_is_wrong_with_vectors_is_said(changes, words):
    with pytest.raises(ProblemError, match=words):
        spec_from_dict({**CAVITY, **changes})


@pytest.mark.parametrize("inner", ["curl({})", "dot(v, grad({}))", "cross({}, v)"])
def test_vectors_inside_one_another_are_refused_before_they_are_large(inner):
    text = "v"
    for _ in range(40):
        text = inner.format(text)
    tree = parse(text)
    found, problems = resolve(tree, SPACE, "any")
    assert "too large" in problems[0].message and found is tree
