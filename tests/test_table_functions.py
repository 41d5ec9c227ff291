"""Functions from tables: what is interpolated, what is refused, and equations that use them."""

from __future__ import annotations

import numpy as np
import pytest
import sympy as sp
import torch
import yaml

import pinnsolve as ps
from pinnsolve.errors import ExpressionError, ProblemError
from pinnsolve.files.table_functions import corners, table_function
from pinnsolve.language.tabulated import tabulated
from pinnsolve.language.to_torch import Evaluator


def curve(f=np.sin, count=21, interpolation="cubic", outside="error", low=0.0, high=2.0):
    x = np.linspace(low, high, count)
    return table_function({"x": x, "f": f(x)}, ["x"], "f", interpolation, outside)


def grid(count=17, interpolation="cubic", outside="error", shuffled=True):
    x, y = np.meshgrid(np.linspace(0, 1, count), np.linspace(-1, 1, count), indexing="ij")
    columns = {"x": x.ravel(), "y": y.ravel(), "k": (np.sin(2 * x) * np.exp(y)).ravel()}
    order = np.random.default_rng(3).permutation(x.size) if shuffled else np.arange(x.size)
    return table_function({n: c[order] for n, c in columns.items()}, ["x", "y"], "k", interpolation, outside)


PLACES = np.array([0.03, 0.51, 1.37, 1.99])


@pytest.mark.parametrize(("interpolation", "error"), [("cubic", 1e-4), ("linear", 2e-3), ("nearest", 0.06)])
def test_a_curve_comes_near_to_the_function(interpolation, error):
    assert np.abs(curve(interpolation=interpolation)((0,), PLACES) - np.sin(PLACES)).max() < error


def test_the_cubic_of_smooth_rows_is_of_fourth_order():
    errors = [np.abs(curve(count=n)((0,), PLACES) - np.sin(PLACES)).max() for n in (21, 81)]
    assert errors[1] < errors[0] / 100


def test_the_cubic_keeps_to_steps_in_the_table():
    step = curve(lambda x: np.where(x < 1, 0.0, 1.0))
    values = step((0,), np.linspace(0, 2, 400))
    assert values.min() >= 0 and values.max() <= 1


@pytest.mark.parametrize("interpolation", ["cubic", "linear", "nearest"])
def test_a_grid_in_any_order_of_rows(interpolation):
    x, y = np.array([0.21, 0.77]), np.array([-0.4, 0.63])
    one, other = grid(interpolation=interpolation), grid(interpolation=interpolation, shuffled=False)
    np.testing.assert_allclose(one((0, 0), x, y), other((0, 0), x, y))
    bound = {"cubic": 1e-4, "linear": 1e-2, "nearest": 0.2}[interpolation]
    assert np.abs(one((0, 0), x, y) - np.sin(2 * x) * np.exp(y)).max() < bound


@pytest.mark.parametrize("make", [curve, grid])
def test_derivatives_are_those_of_the_function(make):
    table = make()
    places = [np.array([0.4, 0.8])] * len(table.arguments)
    h = 1e-5
    for axis in range(len(places)):
        orders = tuple(int(i == axis) for i in range(len(places)))
        up, down = ([p + s * h * (i == axis) for i, p in enumerate(places)] for s in (1, -1))
        zero = (0,) * len(places)
        np.testing.assert_allclose(table(orders, *places), (table(zero, *up) - table(zero, *down)) / (2 * h), rtol=1e-6)


def test_scattered_rows_are_interpolated():
    x, y = np.random.default_rng(5).uniform(0, 1, (2, 400))
    table = table_function({"x": x, "y": y, "k": 1 + x * y + x**2}, ["x", "y"], "k", "cubic", "error")
    assert table((0, 0), np.array([0.4]), np.array([0.6]))[0] == pytest.approx(1.4, abs=2e-3)


def test_outside_of_the_table():
    assert curve(outside="hold")((0,), np.array([3.0]))[0] == pytest.approx(np.sin(2.0))
    assert curve(outside="hold")((1,), np.array([3.0]))[0] == 0
    assert curve(outside=7.0)((0,), np.array([-1.0, 1.0]))[0] == 7
    tangent = curve()((0,), np.array([2.5]))[0]
    assert tangent == pytest.approx(np.sin(2) + 0.5 * np.cos(2), abs=1e-3)
    assert curve().beyond(np.array([1.0, 2.5]))[1] == pytest.approx(0.25)


def test_where_a_table_has_kinks_and_jumps():
    assert corners(curve(count=3, interpolation="linear")) == ((0.0, 1.0, 2.0),)
    assert corners(curve(count=3, interpolation="nearest")) == ((0.5, 1.5),)
    assert corners(curve()) == ((),)


@pytest.mark.parametrize(
    ("columns", "of", "words"),
    [
        ({"x": [1.0, 1.0], "f": [1.0, 2.0]}, ["x"], "holds one value"),
        ({"x": [0.0, 1.0, 1.0], "f": [1.0, 2.0, 3.0]}, ["x"], "data rows 2 and 3 are for the same place"),
        ({"x": [0.0, 1.0, 2.0], "y": [0.0, 1.0, 2.0], "f": [1.0, 2.0, 3.0]}, ["x", "y"], "lie on a line"),
    ],
)
def test_tables_that_tell_no_function_are_refused(columns, of, words):
    with pytest.raises(ExpressionError, match=words):
        table_function({n: np.array(c) for n, c in columns.items()}, of, "f", "cubic", "error")


def test_the_sympy_function_is_differentiated_and_evaluated():
    u = sp.Symbol("u", real=True)
    rho = tabulated("rho", 1, curve())
    evaluator = Evaluator([rho(u**2), rho(u**2).fdiff() * 2 * u, sp.diff(rho(u), u, 2)])
    x = torch.tensor([0.3, 1.1], dtype=torch.float64, requires_grad=True)
    value, slope, second = evaluator({u: x})
    torch.testing.assert_close(value, torch.sin(x**2), atol=1e-4, rtol=0)
    (gradient,) = torch.autograd.grad(value.sum(), x)
    torch.testing.assert_close(gradient, slope)
    torch.testing.assert_close(second, -torch.sin(x), atol=1e-2, rtol=0)
    assert float(rho(sp.Rational(1, 2))) == pytest.approx(np.sin(0.5), abs=1e-4)


# -- problem files ----------------------------------------------------------------------------------------------------


@pytest.fixture
def folder(tmp_path):
    x, y = np.meshgrid(np.linspace(0, 1, 33), np.linspace(0, 1, 33), indexing="ij")
    k = 1 + 0.5 * np.sin(3 * x) * np.cos(2 * y)
    np.savez(tmp_path / "k.npz", x=x.ravel(), y=y.ravel(), k=k.ravel())
    T = np.linspace(-0.5, 1.5, 40)
    rows = np.stack([T, T * (1 - T), T], axis=1)
    np.savetxt(tmp_path / "rho.csv", rows, delimiter=",", header="T,density,other", comments="")
    return tmp_path


def problem(folder, **changes):
    from pinnsolve.problem.build import build_problem
    from pinnsolve.spec.spec import spec_from_dict

    stated = {
        "name": "table",
        "coordinates": {"x": [0, 1], "y": [0, 1]},
        "unknowns": "u",
        "functions": {"k": {"file": "k.npz", "of": ["x", "y"]}},
        "definitions": {"truth": "sin(pi*x)*sin(pi*y)", "c": "1 + 0.5*sin(3*x)*cos(2*y)"},
        "equations": {
            "heat": "div([k*D(u, x), k(x, y)*D(u, y)]) = c*(D(truth, x, x) + D(truth, y, y))"
            " + D(c, x)*D(truth, x) + D(c, y)*D(truth, y)"
        },
        "conditions": {"walls": {"on": "boundary", "equation": "u = 0"}},
        "exact": {"u": "truth"},
    }
    return build_problem(spec_from_dict({**stated, **changes}, folder))


def test_heat_with_a_conductivity_from_a_table(folder):
    solution = ps.solve(problem(folder), tolerance=1e-5)
    assert solution.result["status"] == "converged"
    assert solution.result["relative_l2_error"]["u"] < 2e-5


def test_a_reaction_from_a_table_of_the_unknown(folder):
    """u' = rho(u) with the logistic rate: the table has no name for its argument in the problem."""
    stated = problem(
        folder,
        coordinates={"t": [0, 2]},
        functions={"rho": {"file": "rho.csv", "of": "T", "column": "density"}},
        definitions={},
        equations={"growth": "D(u, t) = rho(u)"},
        conditions={"start": {"on": "t = 0", "equation": "u = 1/10"}},
        exact={"u": "1/(1 + 9*exp(-t))"},
    )
    solution = ps.solve(stated, tolerance=1e-6)
    assert solution.result["status"] == "converged"
    assert solution.result["relative_l2_error"]["u"] < 2e-6


def test_a_solution_that_leaves_the_table_is_no_answer(folder):
    """u' = rho(u) + 1 goes beyond 1.5, where the table ends."""
    stated = problem(
        folder,
        coordinates={"t": [0, 3]},
        functions={"rho": {"file": "rho.csv", "of": "T", "column": "density"}},
        definitions={},
        equations={"growth": "D(u, t) = rho(u) + 1"},
        conditions={"start": {"on": "t = 0", "equation": "u = 1"}},
        exact={},
    )
    result = ps.solve(stated, tolerance=1e-4).result
    assert result["status"] != "converged"
    assert "outside of its table" in result["message"]


def test_the_same_stated_in_python(folder):
    t = ps.coordinates("t")
    u, rho = ps.unknown("u", t), sp.Function("rho")
    stated = ps.Problem(
        name="growth",
        domain=ps.Box(t=(0, 2)),
        unknowns=u,
        functions={"rho": ps.Table(file="rho.csv", of="T", column="density")},
        equations={"growth": sp.Eq(sp.diff(u, t), rho(u)), "twice": sp.Eq(sp.diff(u, t, 2), sp.Derivative(rho(u), t))},
        conditions={"start": ps.Condition(on="t = 0", equation=sp.Eq(u, sp.Rational(1, 10)))},
        folder=folder,
    )
    assert stated.spec.equations["twice"].equations == ("D(u, t, t) = D(rho(u), t)",)
    assert "rho.csv" in stated.spec.to_yaml()


def test_the_chain_rule_of_sympy_is_beyond_the_language(folder):
    t = ps.coordinates("t")
    u, rho = ps.unknown("u", t), sp.Function("rho")
    with pytest.raises(ProblemError, match="derivative of a table by its argument"):
        ps.Problem(
            name="growth",
            domain=ps.Box(t=(0, 2)),
            unknowns=u,
            functions={"rho": ps.Table(file="rho.csv", of="T", column="density")},
            equations={"twice": sp.Eq(sp.diff(u, t, 2), sp.diff(rho(u), t))},
            folder=folder,
        )


@pytest.mark.parametrize(
    ("functions", "words"),
    [
        ({"k": {"file": "none.csv", "of": ["x", "y"]}}, "there is no such file"),
        ({"k": {"file": "k.npz", "of": ["x", "z"]}}, "no column for the argument `z`"),
        ({"k": {"file": "k.npz", "of": ["x", "y"], "column": "c"}}, "no column `c`"),
        ({"k": {"file": "rho.csv", "of": "T"}}, "which one is not clear"),
        ({"k": {"file": "k.npz", "of": ["x", "y"], "interpolation": "spline"}}, "not one of cubic, linear, nearest"),
        ({"k": {"file": "k.npz", "of": ["x", "y"], "outside": "repeat"}}, "not one of error, hold"),
        ({"u": {"file": "k.npz", "of": ["x", "y"], "column": "k"}}, "an unknown already"),
    ],
)
def test_wrong_functions_are_told(folder, functions, words):
    with pytest.raises(ProblemError, match=words):
        problem(folder, functions=functions)


def test_an_argument_that_is_no_name_of_the_problem_has_to_be_given(folder):
    functions = {"k": {"file": "rho.csv", "of": "T", "column": "density"}}
    with pytest.raises(ProblemError, match="`k` takes arguments"):
        problem(folder, functions=functions, equations={"heat": "k*laplacian(u) = 1"}, exact={"u": 0})


def test_a_table_that_ends_inside_of_the_domain(folder):
    wide = {"coordinates": {"x": [0, 2], "y": [0, 1]}, "exact": {}}
    with pytest.raises(ProblemError, match="the table ends at x = 0 and 1, and the domain reaches from 0 to 2"):
        problem(folder, **wide)
    problem(folder, **wide, functions={"k": {"file": "k.npz", "of": ["x", "y"], "outside": "hold"}})


def test_a_table_with_words_in_it(folder):
    (folder / "rho.csv").write_text("T,density\n0,1\nhot,2\n")
    with pytest.raises(ProblemError, match="holds no finite number in data rows 2"):
        problem(folder, functions={"k": {"file": "rho.csv", "of": "T"}}, equations={"heat": "laplacian(u) = k(u)"})


# -- tables that jump, in fluxes --------------------------------------------------------------------------------------

LAYERS = {"x": [0.25, 0.75], "k": [1.0, 10.0]}
BAR = {
    "name": "bar",
    "coordinates": {"x": [0, 1]},
    "unknowns": "u",
    "equations": {"flow": "-div([k*D(u, x)]) = 1"},
    "conditions": {"ends": {"on": "boundary", "equation": "u = 0"}},
    "solve": {"tolerance": 1e-8},
}


def written(folder, columns, name="k.csv"):
    rows = [",".join(columns), *(",".join(map(str, row)) for row in zip(*columns.values(), strict=True))]
    (folder / name).write_text("\n".join(rows) + "\n")


def problem_in(folder, stated):
    path = folder / "problem.yaml"
    path.write_text(yaml.safe_dump(stated))
    return path


def table_of(arguments, outside="hold"):
    return {"k": {"file": "k.csv", "of": arguments, "interpolation": "nearest", "outside": outside}}


def test_a_flux_goes_on_where_a_table_jumps(tmp_path):
    """As where a `where` jumps: k u' is continuous, and u' is not."""
    written(tmp_path, LAYERS)
    by_table = ps.solve(ps.load(problem_in(tmp_path, {**BAR, "functions": table_of("x")})))
    by_where = ps.solve(ps.load(problem_in(tmp_path, {**BAR, "definitions": {"k": "where(x < 0.5, 1, 10)"}})))
    x = np.linspace(0, 1, 21)
    assert by_table.result["status"] == "converged"
    np.testing.assert_allclose(by_table(x=x), by_where(x=x), atol=1e-12)
    assert by_table(x=0.5) == pytest.approx(1 / 44)


def test_a_flux_goes_on_where_a_table_of_two_arguments_jumps(tmp_path):
    written(tmp_path, {"x": [0.25, 0.25, 0.75, 0.75], "y": [0.25, 0.75, 0.25, 0.75], "k": [1, 1, 10, 10]})
    flat = {
        "left": {"on": ["x = 0", "x = 1"], "equation": "u = 0"},
        "sides": {"on": ["y = 0", "y = 1"], "equation": "D(u, y) = 0"},
    }
    plate = {
        **BAR,
        "coordinates": {"x": [0, 1], "y": [0, 1]},
        "equations": {"flow": "-div([k*D(u, x), k*D(u, y)]) = 1"},
        "conditions": flat,
    }
    solution = ps.solve(ps.load(problem_in(tmp_path, {**plate, "functions": table_of(["x", "y"])})))
    assert solution.result["status"] == "converged"
    assert solution(x=0.5, y=0.3) == pytest.approx(1 / 44, rel=1e-6)


def test_a_number_outside_of_a_table_that_jumps_is_a_material_too(tmp_path):
    written(tmp_path, {"x": [0.25, 0.5], "k": [1.0, 1.0]})
    by_table = ps.solve(ps.load(problem_in(tmp_path, {**BAR, "functions": table_of("x", 10)})))
    stated = {"k": "where(x < 0.25, 10, where(x < 0.5, 1, 10))"}
    by_where = ps.solve(ps.load(problem_in(tmp_path, {**BAR, "definitions": stated})))
    x = np.linspace(0, 1, 21)
    np.testing.assert_allclose(by_table(x=x), by_where(x=x), atol=1e-10)


def test_a_table_that_jumps_too_often_in_a_flux_is_refused(tmp_path):
    """Nothing would see to it that the flux goes on, and the answer would be that of another problem."""
    for count in (40, 60):
        written(tmp_path, {"x": np.linspace(0, 1, count), "k": 1.0 + np.arange(count) % 2})
        with pytest.raises(ps.ProblemError) as caught:
            ps.solve(ps.load(problem_in(tmp_path, {**BAR, "functions": table_of("x")})))
        (found,) = caught.value.diagnostics
        assert found.key == "equations.flow" and "jumps in too many places" in found.message
        assert "linear" in found.hint


def test_a_table_that_jumps_often_is_allowed_beside_derivatives_of_unknowns_alone(tmp_path):
    """`k*D(u, x, x)` has no flux: the unknown is smooth whatever k is."""
    written(tmp_path, {"x": np.linspace(0, 1, 40), "k": 1.0 + np.arange(40) % 2})
    plain = {**BAR, "equations": {"flow": "-k*D(u, x, x) = k"}, "functions": table_of("x")}
    solution = ps.solve(ps.load(problem_in(tmp_path, plain)))
    assert solution(x=0.5) == pytest.approx(1 / 8, rel=1e-6)
