"""Problems stated with sympy: the same as those of a file, and refused in words where they say what a file cannot."""

from __future__ import annotations

from dataclasses import replace

import pytest
import sympy as sp

import pinnsolve as ps
from pinnsolve.compiler.compiler import compile_problem
from pinnsolve.errors import PinnsolveError, ProblemError
from pinnsolve.language import operators
from pinnsolve.problem.build import build_problem
from pinnsolve.spec.spec import spec_from_dict

x, y = ps.coordinates("x y")
u = ps.unknown("u", x, y)
BOX = ps.Box(x=(0, 1), y=(0, 2 * sp.pi))
WALLS = {"walls": ps.Condition(on="boundary", equation=sp.Eq(u, 0))}


def stated(**keys) -> ps.Problem:
    """Laplace's equation on a box, unless told otherwise."""
    laplace = {"e": sp.Eq(u.diff(x, 2) + u.diff(y, 2), 0)}
    parts = {"name": "test", "domain": BOX, "unknowns": [u], "equations": laplace, "conditions": WALLS}
    return ps.Problem(**{**parts, **keys})


def written(**keys) -> ps.Problem:
    """The same by the texts of a problem file."""
    parts = {
        "name": "test",
        "coordinates": {"x": [0, 1], "y": [0, "2*pi"]},
        "unknowns": "u",
        "equations": {"e": "laplacian(u) = 0"},
        "conditions": {"walls": {"on": "boundary", "equation": "u = 0"}},
    }
    return build_problem(spec_from_dict({**parts, **keys}))


def same(one: ps.Problem, other: ps.Problem) -> bool:
    """The same mathematics, whatever the texts."""
    spec = other.spec
    return replace(one, spec=spec) == replace(other, spec=spec)


def refused(**keys) -> dict[str, object]:
    with pytest.raises(ProblemError) as caught:
        stated(**keys)
    return {d.key: d for d in caught.value.diagnostics}


# -- the same either way ------------------------------------------------------------------------------------


def test_the_example_of_the_language():
    problem = ps.Problem(
        name="poisson",
        domain=ps.Box(x=(0, 1), y=(0, 1)),
        unknowns=[u],
        equations={"poisson": sp.Eq(u.diff(x, 2) + u.diff(y, 2), -sp.sin(x))},
        conditions={"walls": ps.Condition(on="boundary", equation=sp.Eq(u, 0))},
    )
    assert isinstance(problem, ps.Problem) and problem.warnings == ()
    assert "laplacian" not in problem.spec.equations["poisson"].equations[0]
    again = ps.Problem(
        name="poisson",
        domain={"x": (0, 1), "y": (0, 1)},
        unknowns="u",
        equations={"poisson": "laplacian(u) = -sin(x)"},
        conditions={"walls": {"on": "boundary", "equation": "u = 0"}},
    )
    assert same(problem, again)
    assert compile_problem(problem) == compile_problem(again)


def test_a_problem_of_python_is_a_problem_of_a_file(tmp_path):
    problem = stated(exact={u: sp.exp(x) * sp.sin(y)}, title="Laplace", cite="Evans")
    file = tmp_path / "test.yaml"
    file.write_text(problem.spec.to_yaml(), encoding="utf-8")
    loaded = ps.load(file)
    assert isinstance(loaded, ps.Problem) and same(loaded, problem)
    assert (loaded.spec.title, loaded.spec.cite) == ("Laplace", ("Evans",))


@pytest.mark.parametrize(
    "equation, text",
    [
        (sp.Eq(u.diff(x, y) * sp.Symbol("x") + u**3 / 3, sp.Float(0.25)), "x*D(u, x, y) + u**3/3 = 0.25"),
        (sp.Eq(sp.Derivative(x * u * u.diff(x), x), 0), "D(x*u*D(u, x), x) = 0"),
        (sp.Eq(sp.Derivative(sp.Abs(u) + sp.Max(u, x), x), 1), "D(abs(u) + max(u, x), x) = 1"),
        (sp.Eq(sp.Max(u, 0).diff(x, 2) + u, 1), "heaviside(u)*D(u, x, x) + u = 1"),
        (sp.Eq(sp.Piecewise((u, x < y), (0, True)), sp.sign(x)), "where(x < y, u, 0) = sign(x)"),
        (sp.Eq(sp.besselj(0, x) * u, sp.atan2(y, x) + sp.E), "bessel_j(0, x)*u = atan2(y, x) + e"),
        (sp.Eq(u.diff((x, 2), (y, 2)), sp.sqrt(x)), "D(u, x, x, y, y) = sqrt(x)"),
        ("laplacian(u) = x", "laplacian(u) = x"),
        ({"equation": sp.Eq(u, x), "where": (x < y) & (y > 1)}, {"equation": "u = x", "where": "(x < y) and (y > 1)"}),
    ],
)
def test_equations(equation, text):
    assert same(stated(equations={"e": equation}, conditions=None), written(equations={"e": text}, conditions={}))


@pytest.mark.parametrize(
    "condition, text",
    [
        (ps.Condition(on=sp.Eq(x, 1), equation=sp.Eq(u, y)), {"on": "x = 1", "equation": "u = y"}),
        (
            ps.Condition(on=[sp.Eq(y, 2 * sp.pi), "x = 0"], equation="u = 1"),
            {"on": ["y = 2*pi", "x = 0"], "equation": "u = 1"},
        ),
        (ps.Condition(on="boundary", equation="Dn(u) = n_x"), {"on": "boundary", "equation": "Dn(u) = n_x"}),
        (
            ps.Condition(on="x = 0", equation=sp.Eq(sp.Symbol("n_x") * u.diff(x), u)),
            {"on": "x = 0", "equation": "n_x*D(u, x) = u"},
        ),
        (ps.Condition(periodic=y), {"periodic": "y"}),
        (ps.Condition(periodic=[x, "y"]), {"periodic": ["x", "y"]}),
        (
            ps.Condition(at={x: sp.Rational(1, 3), "y": 0}, equation=sp.Eq(u, 1)),
            {"at": {"x": "1/3", "y": 0}, "equation": "u = 1"},
        ),
        (ps.Condition(at=[{x: 0}, {x: 1}], equations=[sp.Eq(u, 1)]), {"at": [{"x": 0}, {"x": 1}], "equation": "u = 1"}),
        (
            ps.Condition(on="x = 0", where=y < 1, equations=[sp.Eq(u, 1), "D(u, x) = 0"]),
            {"on": "x = 0", "where": "y < 1", "equations": ["u = 1", "D(u, x) = 0"]},
        ),
    ],
)
def test_conditions(condition, text):
    assert same(stated(conditions={"c": condition}), written(conditions={"c": text}))


def test_parameters_time_and_settings():
    t, k, c = sp.Symbol("t"), sp.Symbol("k", positive=True), sp.Symbol("c")
    v = ps.unknown("v", t, x)
    problem = ps.Problem(
        name="heat",
        domain=ps.Box(t=(0, 1), x=(0, k)),
        unknowns=[v],
        equations={"heat": sp.Eq(v.diff(t), k * c * v.diff(x, 2))},
        parameters={k: sp.pi / 4, "half": "k/2"},
        unknown_parameters={c: {"guess": 1, "bounds": (0, 2 * sp.pi)}},
        definitions={"wave(s)": "sin(half*s)"},
        conditions={
            "s": ps.Condition(on="t = 0", equation=sp.Eq(v, 0)),
            "w": {"on": "boundary", "equation": "v = wave(0)"},
        },
        time=t,
        solve={"tolerance": 1e-4, "basis": {"activation": "tanh"}},
    )
    assert problem.parameters == pytest.approx({"k": 0.7853981633974483, "half": 0.39269908169872414})
    assert problem.unknown_parameters[0].bounds == (0, pytest.approx(6.283185307179586))
    assert problem.intervals[1][1] == problem.parameters["k"] and problem.time == "t"
    assert problem.settings.tolerance == 1e-4 and problem.settings.basis.activation == "tanh"


def test_data_and_references_lie_in_the_folder(tmp_path):
    (tmp_path / "d.csv").write_text("x,y,measured\n0,0,1\n", encoding="utf-8")
    (tmp_path / "r.csv").write_text("x,y,u\n0,0,1\n", encoding="utf-8")
    data = {"d": ps.Data(file="d.csv", equation=sp.Eq(u, sp.Symbol("measured")), noise=0.1)}
    problem = stated(data=data, reference="r.csv", folder=tmp_path)
    (term,) = problem.of_kind("data")
    assert term.data_file == tmp_path / "d.csv" and term.noise == 0.1 and problem.reference == tmp_path / "r.csv"


def test_unknowns_may_be_functions_and_names():
    for unknowns in ("u", ["u"], u, sp.Function("u")):
        assert same(stated(unknowns=unknowns), stated())
    w = sp.Function("w")(x, y)  # not declared real, as sympy's functions are
    equations = {"a": sp.Eq(u.diff(x), w), "b": sp.Eq(w.diff(y), u)}
    problem = stated(unknowns=[u, w], equations=equations, conditions=None)
    assert problem.unknowns == ("u", "w")


# -- operators ----------------------------------------------------------------------------------------------


@pytest.fixture
def memory():
    @ps.operator("memory", order=0)
    def memory(basis, points):
        return basis * points

    yield memory
    del operators.OPERATORS["memory"]


def test_an_operator_is_applied_to_unknowns_and_to_bases(memory):
    assert memory(6, 7) == 42 and operators.OPERATORS["memory"] is memory
    problem = stated(equations={"e": sp.Eq(u.diff(x) + x * memory(u), 1)})
    assert same(problem, written(equations={"e": "D(u, x) + x*memory(u) = 1"}))


@pytest.mark.parametrize("argument, derived", [(u**2, False), (u, True), (x, False)])
def test_an_operator_of_anything_else_is_refused(memory, argument, derived):
    applied = memory(argument)
    message = refused(equations={"e": sp.Eq(applied.diff(x) if derived else applied, 1)})["equations.e"].message
    assert "`memory`" in message and ("are not known" in message) == derived


@pytest.mark.parametrize("name, order", [("sin", 0), ("D", 0), ("two words", 0), ("m", -1), ("m", 0.5), ("m", True)])
def test_an_operator_without_a_proper_name_or_order(name, order):
    with pytest.raises(PinnsolveError):
        ps.operator(name, order=order)
    assert name not in operators.OPERATORS


# -- what is refused ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "equation, words",
    [
        (sp.Eq(u.subs(x, 0), 1), "`u(0, y)` is an unknown at another place"),
        (sp.Eq(u.diff(x).subs(x, 0), 1), "at another place"),
        (sp.Eq(ps.unknown("u", y, x), 1), "at another place"),
        (sp.Eq(ps.unknown("v", x, y), 1), "unknown function `v`"),
        (sp.Eq(sp.Symbol("u"), 1), "`u` is a symbol here, and an unknown"),
        (sp.Eq(u * sp.Symbol("e"), 1), "`e` is part of the language"),
        (sp.Eq(u * sp.Symbol("k_{0}"), 1), "`k_{0}` is no name"),
        (sp.Eq(u * sp.Symbol("nu"), 1), "unknown name `nu`"),
        (sp.Eq(sp.gamma(u), 1), "no function `gamma`"),
        (sp.Eq(sp.Integral(u, (x, 0, 1)), 1), ""),
        (sp.Eq(sp.I * sp.Function("u")(x, y), 1), "not a finite real number"),
        (sp.Eq(u.diff(x, 5), 1), "beyond order 4"),
        (sp.Eq(u, sp.Piecewise((1, x < y))), "without a value everywhere"),
        (u.diff(x), "an equation is expected"),
        (sp.Eq(u, u), "always holds"),
        (False, "never holds"),
        (3, "is expected"),
        ("u = ", ""),
    ],
)
def test_equations_that_a_file_cannot_say(equation, words):
    (found,) = refused(equations={"e": equation}).values()
    assert found.key == "equations.e" and words in found.message


def test_everything_wrong_is_said_at_once():
    found = refused(
        equations={"a": sp.Eq(sp.gamma(u), 1)},
        conditions={"c": ps.Condition(on="boundary", equation=u)},
        exact={u: sp.zeta(x)},
        condition={},
    )
    assert set(found) == {"equations.a", "conditions.c.equation", "exact.u", "condition"}
    assert found["condition"].hint == "did you mean `conditions`?"
    assert found["conditions.c.equation"].hint == "write `sp.Eq(expression, 0)`"


def test_what_a_file_could_not_say_hides_nothing_that_is_wrong_besides():
    found = refused(
        equations={"a": sp.Eq(sp.gamma(u), 1), "b": sp.Eq(u * sp.Symbol("nu"), 1), "c": "D(u, z) = 0"},
        conditions={"c": ps.Condition(equation=sp.Eq(u, 0)), "d": ps.Condition(on="x = 0", equation=u)},
        parameters={"a": "b"},
        solve={"tolerance": -1},
    )
    assert set(found) == {
        "equations.a", "equations.b", "equations.c", "conditions.c", "conditions.d.equation", "parameters.a",
        "solve.tolerance",
    }  # fmt: skip


@pytest.mark.parametrize(
    "keys, key",
    [
        ({"domain": 3}, "domain"),
        ({"domain": ps.Box()}, "unknowns"),
        ({"domain": ps.Box(x=(0, 1))}, "unknowns"),
        ({"domain": ps.Box(x=(1, 0), y=(0, 1))}, "coordinates.x"),
        ({"conditions": {"c": ps.Condition(equation=sp.Eq(u, 0))}}, "conditions.c"),
        ({"conditions": {"c": ps.Condition(on="x = 3", equation=sp.Eq(u, 0))}}, "conditions.c.on"),
        ({"conditions": {"c": {"onn": "boundary", "equation": "u = 0"}}}, "conditions.c.onn"),
        ({"equations": sp.Eq(u, 0)}, "equations"),
        ({"parameters": {"a": "b"}}, "parameters.a"),
        ({"data": {"d": ps.Data(file="nowhere.csv", equation="u = 1")}}, "data.d.file"),
        ({"solve": {"tolerance": -1}}, "solve.tolerance"),
    ],
)
def test_other_mistakes_have_their_key(keys, key):
    assert key in refused(**keys)


@pytest.mark.parametrize("name", ["e", "sin", "x+1", "", "2x"])
def test_names_that_cannot_be(name):
    with pytest.raises(ProblemError):
        ps.coordinates(name)
    with pytest.raises(ProblemError):
        ps.unknown(name, x)


def test_coordinates_are_real_symbols():
    assert ps.coordinates("x, y  z") == sp.symbols("x y z", real=True)
    assert ps.coordinates("x") == x and x.is_real and u.is_real


def test_a_problem_file_is_solved_by_its_path(tmp_path):
    path = tmp_path / "decay.yaml"
    path.write_text("name: decay\ndomain: {box: {t: [0, 1]}}\nunknowns: u\nequations: {decay: 'D(u, t) = -u'}\n"
                    "conditions: {start: {on: t = 0, equation: u = 1}}\n")  # fmt: skip
    for one in (path, str(path)):
        assert ps.solve(one, tolerance=1e-4)(t=1.0) == pytest.approx(0.367879, abs=1e-4)
    with pytest.raises(ProblemError, match="no such file"):
        ps.solve(tmp_path / "nothing.yaml")
    with pytest.raises(PinnsolveError, match="not dict"):
        ps.solve({"name": "decay"})
