"""Problem -> CompiledProblem: residuals, linearizations by multi-index, linearity; and the plan that `check` prints."""

from __future__ import annotations

import math
import time

import pytest
import sympy as sp

from pinnsolve.compiler.compiler import compile_problem
from pinnsolve.compiler.term_table import plan
from pinnsolve.compiler.terms import CompiledProblem, Term
from pinnsolve.errors import ProblemError
from pinnsolve.language import operators
from pinnsolve.language.substitution import substituted
from pinnsolve.language.symbols import Feature, FeatureSymbol, coordinate_symbol, feature_symbol, features_of
from pinnsolve.problem.build import build_problem
from pinnsolve.problem.checks.pointwise import function_of
from pinnsolve.problem.problem import Problem
from pinnsolve.spec.spec import spec_from_dict

x, y, t = (coordinate_symbol(c) for c in "xyt")
STRIP = {"t": [0, 1], "x": [0, 1]}
SQUARE = {"x": [0, 1], "y": [0, 1]}


def problem(coordinates: dict, **keys) -> Problem:
    return build_problem(spec_from_dict({"name": "test", "unknowns": "u", "coordinates": coordinates, **keys}))


def compiled(coordinates: dict, **keys) -> CompiledProblem:
    return compile_problem(problem(coordinates, **keys))


def term(text: str, coordinates: dict = STRIP, **keys) -> Term:
    """The only term of a problem of one equation."""
    (found,) = compiled(coordinates, equations={"e": text}, **keys).terms
    return found


def coefficients(found: Term) -> dict[str, sp.Expr]:
    """Of the only residual, by readable feature and parameter."""
    (linearization,) = found.linearizations
    names = ("t", "x") if len(found.features[0].alpha) == 2 else ("x",)
    return {f.label(names): c for f, c in linearization.features} | dict(linearization.parameters)


def f(name: str, *alpha: int) -> FeatureSymbol:
    return feature_symbol(name, alpha)


def equal(a: sp.Expr, b: sp.Expr) -> bool:
    return sp.simplify(a - b) == 0


# -- linearization ------------------------------------------------------------------------------------------


def test_a_linear_term_has_coefficients_of_coordinates():
    found = term("D(u, t) + x**2*D(u, x) = 3*D(u, x, x) + sin(t)")
    assert found.linear and found.order == 2
    assert coefficients(found) == {"u_t": 1, "u_x": x**2, "u_xx": -3}
    rest = found.residuals[0].xreplace(dict.fromkeys(found.residuals[0].atoms(FeatureSymbol), sp.S.Zero))
    assert rest == -sp.sin(t)


def test_a_nonlinear_term_has_coefficients_of_the_solution():
    found = term("D(u, t) + u*D(u, x) = u**3")
    assert not found.linear
    u, u_x = f("u", 0, 0), f("u", 0, 1)
    expected = {"u": u_x - 3 * u**2, "u_t": 1, "u_x": u}
    assert all(equal(c, expected[name]) for name, c in coefficients(found).items())


def test_a_system_is_linearized_in_every_unknown():
    equations = {"a": "D(u, t) = u*v", "b": "D(v, t) = x*u"}
    whole = compiled(STRIP, unknowns=["u", "v"], equations=equations)
    a, b = whole.terms
    assert (a.linear, b.linear, whole.linear) == (False, True, False)
    assert dict(a.linearizations[0].features) == {
        Feature("u", (0, 0)): -f("v", 0, 0),
        Feature("u", (1, 0)): 1,
        Feature("v", (0, 0)): -f("u", 0, 0),
    }
    assert dict(b.linearizations[0].features) == {Feature("u", (0, 0)): -x, Feature("v", (1, 0)): 1}


def test_unknown_parameters_are_linearized_like_unknowns():
    keys = {"unknown_parameters": {"k": {"guess": 1}, "c": {"guess": 0}}}
    found = term("D(u, t) = k**2*D(u, x, x) + c*x", **keys)
    k, u_xx = coordinate_symbol("k"), f("u", 0, 2)
    assert coefficients(found) == {"u_t": 1, "u_xx": -(k**2), "k": -2 * k * u_xx, "c": -x}
    assert not found.linear
    assert term("u = c + k*sin(x)", **keys).linear  # nothing unknown is multiplied


def test_several_residuals_of_one_term():
    start = {"start": {"on": "t = 0", "equations": ["u = sin(x)", "D(u, t)**2 = 1"]}}
    (found,) = compiled(STRIP, conditions=start).terms
    assert len(found.residuals) == len(found.linearizations) == 2 and not found.linear
    assert found.linearizations[1].features == ((Feature("u", (1, 0)), 2 * f("u", 1, 0)),)


def test_known_parameters_are_folded_and_whole_numbers_stay_exact():
    found = term("D(u, t) = nu*u**n", parameters={"nu": "1/4", "n": 2})
    assert found.residuals[0] == f("u", 1, 0) - 0.25 * f("u", 0, 0) ** 2
    assert term("D(u, t) + nu*u*D(u, x) = 0", parameters={"nu": 0}).linear
    assert not term("D(u, t) + nu*u*D(u, x) = 0", parameters={"nu": 1e-12}).linear


@pytest.mark.parametrize(
    "text, linear",
    [
        ("sin(x)*u/(1 + x**2) = exp(x)", True),
        ("where(x < 0.5, u, 2*D(u, x)) = 0", True),
        ("D((1 + x**2)*D(u, x), x) = 0", True),
        ("D(u, x, x) + u - (u + 1) = 0", True),
        ("exp(u) = 1", False),
        ("x/u = 1", False),
        ("abs(u) = x", False),
        ("max(u, x) = 1", False),
        ("D(u, x)**2 = 1", False),
        ("where(u > 0, u, 2*u) = 1", False),
        ("where(u > 0, 1, 0) = D(u, x)", False),
        ("sign(u) + u = 1", False),  # the derivative of a step is 0 almost everywhere, and a step is not linear
        ("floor(u) + u = 1", False),
        ("heaviside(u - x)*x = D(u, x)", False),
    ],
)
def test_linear_is_decided_by_structure(text, linear):
    assert term(text).linear == linear


@pytest.mark.parametrize(
    "text, expected",
    [
        ("D(x*u**2, x) = 0", lambda u, u_x: u**2 + 2 * x * u * u_x),
        ("D(sin(u*t), x) = 0", lambda u, u_x: t * sp.cos(t * u) * u_x),
        ("D(abs(u), x) = 0", lambda u, u_x: sp.sign(u) * u_x),
        ("D(abs(x - 1/2), x)*u = 0", lambda u, u_x: sp.sign(x - sp.Rational(1, 2)) * u),
        ("div([x*D(u, x)]) = 0", lambda u, u_x: u_x + x * f("u", 0, 2)),
    ],
)
def test_derivatives_of_whole_expressions(text, expected):
    residual = term(text).residuals[0]
    assert equal(residual, expected(f("u", 0, 0), f("u", 0, 1)))


def values_of(residual: sp.Expr, shift: float = 0.0) -> dict[sp.Symbol, float]:
    """Some value for each symbol of an expression."""
    symbols = sorted(residual.free_symbols, key=lambda s: s.name)
    return {s: 0.3 + 0.17 * i + shift for i, s in enumerate(symbols)}


@pytest.mark.parametrize(
    "text",
    [
        "D(u, t) + u*D(u, x) = k*D(u, x, x) - u**3*sin(u*x)",
        "D(abs(u)*u, x) = max(u, D(u, x)) - min(u, k*x, D(u, t))",
        "D((1 + u**2)**(-1/2)*D(u, x), x) = atan2(u, k) + bessel_j(1, u)",
        "where(u > 0.1, u**2, -u)*D(u, x) + sign(u)*k**2 + heaviside(u)*u + floor(u) = erf(u)/k",
        "tanh(u)*D(u, t)/(1 + exp(k*u)) = log(1 + u**2)*sqrt(2 + u)",
    ],
)
def test_linearizations_agree_with_differences(text):
    found = term(text, unknown_parameters={"k": {"guess": 1}})
    residual, (linearization,) = found.residuals[0], found.linearizations
    assert not any(c.has(sp.DiracDelta, sp.Derivative, sp.Subs) for _, c in linearization.features)
    function, at, h = function_of(residual), values_of(residual), 1e-6
    symbols = {s.feature: s for s in residual.atoms(FeatureSymbol)}
    assert set(symbols) == {feature for feature, _ in linearization.features} == set(features_of(residual))
    wanted = [(symbols[feature], c) for feature, c in linearization.features]
    wanted += [(coordinate_symbol(name), c) for name, c in linearization.parameters]
    for symbol, coefficient in wanted:
        difference = (function({**at, symbol: at[symbol] + h}) - function({**at, symbol: at[symbol] - h})) / (2 * h)
        assert function_of(coefficient)(at) == pytest.approx(difference, rel=1e-7, abs=1e-8)


# -- regions and the rest of a term -------------------------------------------------------------------------


def test_a_term_keeps_its_region_and_data(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "d.csv").write_text("t,x,a\n0,0,1\n", encoding="utf-8")
    whole = compiled(
        STRIP,
        equations={"e": {"equation": "D(u, t) = 0", "where": "x < 0.5"}},
        conditions={"w": {"on": "x = 1", "equation": "Dn(u) = t"}},
        data={"d": {"file": "d.csv", "equation": "u = a", "noise": 0.1}},
    )
    equation, wall, data = whole.terms
    assert [term.kind for term in whole.terms] == ["equation", "condition", "data"]
    assert equation.region.where == sp.Lt(x, sp.Rational(1, 2), evaluate=False)
    assert wall.residuals == (coordinate_symbol("n_x") * f("u", 0, 1) - t,)
    assert wall.linearizations[0].features == ((Feature("u", (0, 1)), coordinate_symbol("n_x")),)
    assert data.data_file.name == "d.csv" and data.noise == 0.1 and wall.noise is None


def test_a_periodic_pair_ties_both_sides():
    whole = compiled(STRIP, equations={"e": "D(u, t) = D(u, x, x)"}, conditions={"ring": {"periodic": "x"}})
    ring = whole.terms[1]
    assert [dict(part.features) for part in ring.linearizations] == [
        {Feature("u", (0, 0)): 1, Feature("u", (0, 0), side=1): -1},
        {Feature("u", (0, 1)): 1, Feature("u", (0, 1), side=1): -1},
    ]
    assert ring.linear and whole.order == 2


def test_custom_operators_are_features():
    operators.operator("memory")(lambda basis, points: None)
    try:
        found = term("D(u, t) + x*memory(u) = u**2")
    finally:
        del operators.OPERATORS["memory"]
    assert coefficients(found)["memory(u)"] == x
    assert Feature("u", (0, 0), operator="memory") in found.features


def test_a_linearization_too_large_is_an_error_with_its_place(monkeypatch):
    stated = problem(STRIP, equations={"e": "D(u, t) = sin(u*exp(u))*cos(u)*u"})
    monkeypatch.setattr("pinnsolve.language.derivatives.MAX_SIZE", 10)
    with pytest.raises(ProblemError) as caught:
        compile_problem(stated)
    assert [d.key for d in caught.value.diagnostics] == ["equations.e"]


def test_parameters_are_folded_into_nested_extrema_in_no_time():
    """sympy would ask of every `max` of symbols which is the larger, again and again."""
    s, b, a = feature_symbol("u", (0, 0)), coordinate_symbol("b"), coordinate_symbol("a")
    for _ in range(4):
        least = sp.Min(s, b, a * s + 1, evaluate=False)
        s = sp.Max(a * s, 1 - sp.Abs(s - b, evaluate=False), least, evaluate=False)
    started = time.process_time()
    folded = substituted(s, {a: sp.Float(0.3), b: sp.Integer(2)})
    assert time.process_time() - started < 1
    at = {feature_symbol("u", (0, 0)): 0.7}
    assert function_of(folded)(at) == function_of(s)({**at, a: 0.3, b: 2.0})


@pytest.mark.parametrize(
    "expression, value",
    [
        (sp.Max(x, y), x),  # of two that become the same
        (sp.Max(y, 3), sp.Max(x, 3)),
        (sp.Min(y, 2 * y), sp.Min(x, 2 * x)),
        (sp.Piecewise((1, t < 3), (y, True)), 1),  # t becomes 2
        (sp.Piecewise((1, t > 3), (y, True)), x),
        (sp.Piecewise((1, t > y), (y, True)), sp.Piecewise((1, x < 2), (x, True))),
        (sp.Abs(y - t) + sp.sin(t), sp.Abs(x - 2) + sp.sin(2)),
    ],
)
def test_values_in_the_place_of_symbols(expression, value):
    found = substituted(expression, {y: x, t: sp.Integer(2)})
    assert sp.simplify(found.doit() - value) == 0


# -- the plan -----------------------------------------------------------------------------------------------

BURGERS = {
    "parameters": {"nu": "0.01/pi"},
    "equations": {"momentum": "D(u, t) + u*D(u, x) = nu*D(u, x, x) + 0.123456789*x"},
    "conditions": {
        "start": {"on": "t = 0", "equation": "u = -sin(pi*x)"},
        "walls": {"on": ["x = 0", "x = 1"], "equation": "u = 0"},
    },
}


def rows(coordinates: dict, **keys) -> dict[str, dict]:
    stated = problem(coordinates, **keys)
    return {row["name"]: row for row in plan(stated, compile_problem(stated))}


def test_the_plan_says_what_is_solved():
    assert rows(STRIP, **BURGERS)["momentum"]["points"] == "by cell"  # of cells that the solve chooses
    found = rows(STRIP, **BURGERS, solve={"method": "least_squares"})
    assert found["momentum"] == {
        "name": "momentum",
        "kind": "equation",
        "operator": "u_t + u*u_x - nu*u_xx - 0.123457*x",
        "region": "domain",
        "points": found["momentum"]["points"],
        "weight": "auto",
        "linear": False,
    }
    assert found["start"]["operator"] == "u + sin(pi*x)" and found["start"]["linear"]
    assert found["walls"]["region"] == "x = 0, x = 1"
    assert found["walls"]["points"] == 2 * found["start"]["points"]


def test_points_and_weights_are_those_of_the_file():
    solve = {
        "collocation": {"interior": 1000, "boundary": 50, "sampling": "grid"},
        "term_weights": {"momentum": "W**(-0.5)", "walls": 10},
    }
    found = rows(STRIP, **BURGERS, solve=solve)
    assert [found[name]["points"] for name in BURGERS["conditions"]] == [50, 100]
    assert found["momentum"]["points"] == round(math.sqrt(1000)) ** 2
    assert [row["weight"] for row in found.values()] == ["W**(-0.5)", 1, 10]


def test_points_follow_the_width_of_the_basis():
    def interior(**solve) -> int:
        return rows(STRIP, **BURGERS, solve=solve)["momentum"]["points"]

    assert interior(basis={"width": 2000}) == 2 * interior(basis={"width": 1000})
    assert interior(basis={"width": 10}, method="lsgd") > interior(basis={"width": 10}, method="least_squares")
    assert interior(basis={"width": 10}) == interior(basis={"width": 10}, method="varpro")


def test_points_of_a_point_a_file_and_a_periodic_name(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "d.csv").write_text("x,y,a\n0,0,1\n", encoding="utf-8")
    found = rows(
        SQUARE,
        equations={"e": "laplacian(u) = 1/3"},
        conditions={
            "p": {"at": [{"x": 0, "y": 0}, {"x": 1, "y": 1}], "equation": "u = 0"},
            "r": {"periodic": ["x", "y"]},
        },
        data={"d": {"file": "d.csv", "equation": "u = a"}},
        solve={"term_weights": {"r": 3}, "method": "least_squares"},
    )
    assert found["p"]["points"] == 2 and found["d"]["points"] == "d.csv"
    assert found["e"]["operator"] == "u_xx + u_yy - 1/3"
    assert found["r_x"]["operator"] == "u - u', u_x - u_x'"
    assert found["r_x"]["weight"] == found["r_y"]["weight"] == 3


def test_a_long_operator_is_cut():
    long = " + ".join(f"sin({k}*x)*cos({k}*y)" for k in range(1, 40))
    text = rows(SQUARE, equations={"e": f"u = {long}"})["e"]["operator"]
    assert text.startswith("u - ") and text.endswith(" ...") and len(text) < 300
