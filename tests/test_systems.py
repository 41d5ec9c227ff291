"""Polar, cylindrical and spherical coordinates: operators against those of space, what a file says, what is refused."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
import sympy as sp

import pinnsolve as ps
from pinnsolve.errors import ProblemError
from pinnsolve.language.expansion import resolve
from pinnsolve.language.symbols import FeatureSymbol
from pinnsolve.language.syntax import Vector, parse
from pinnsolve.language.to_sympy import Scope, from_tree
from pinnsolve.problem.build import build_problem
from pinnsolve.spec.spec import load_spec, spec_from_dict

r, a, z = sp.symbols("r a z", positive=True)
# by system: coordinates, where they are in space, and the unit vectors along them
SPHERE = sp.Matrix([r * sp.sin(a) * sp.cos(z), r * sp.sin(a) * sp.sin(z), r * sp.cos(a)])
CASES = {
    "polar": ((r, a), sp.Matrix([r * sp.cos(a), r * sp.sin(a)])),
    "cylindrical": ((r, a, z), sp.Matrix([r * sp.cos(a), r * sp.sin(a), z])),
    "spherical": ((r, a, z), SPHERE),
}
PLACE = {r: sp.Rational(7, 5), a: sp.Rational(3, 5), z: sp.Rational(1, 3)}
SPACE = sp.symbols("X Y Z", real=True)


def in_system(text: str, kind: str, functions: dict) -> list:
    """The components of a text at a place, with functions of the coordinates for unknowns."""
    coordinates = tuple(c.name for c in CASES[kind][0])
    components = tuple(f"v_{c}" for c in coordinates)
    scope = Scope(coordinates=coordinates, unknowns=("u", *components), vectors=("v",), system=kind)
    node, problems = resolve(parse(text), scope, "any")
    assert not problems, problems[0].message
    items = node.items if isinstance(node, Vector) else (node,)
    return [float(with_functions(from_tree(item, scope), functions, coordinates)) for item in items]


def with_functions(e: sp.Expr, functions: dict, coordinates: tuple[str, ...]) -> sp.Expr:
    values = {}
    for symbol in e.free_symbols:
        if isinstance(symbol, FeatureSymbol):
            value = functions[symbol.feature.unknown]
            for name, order in zip(coordinates, symbol.feature.alpha, strict=True):
                value = value.diff(sp.Symbol(name, positive=True), order) if order else value
            values[symbol] = value
        else:
            values[symbol] = sp.Symbol(symbol.name, positive=True)
    return sp.N(e.xreplace(values).subs(PLACE))


def cartesian(kind: str):
    """A number and a vector of space, written in the coordinates, and unit vectors; all as functions."""
    coordinates, place = CASES[kind]
    n = len(coordinates)
    number = sp.exp(SPACE[0]) * SPACE[1] ** 2 + sum(SPACE[:n]) ** 3
    vector = sp.Matrix([SPACE[0] * SPACE[1] ** 2, sp.sin(SPACE[0]) + SPACE[1] ** 3, SPACE[n - 1] ** 2 * SPACE[0]][:n])
    there = dict(zip(SPACE, place, strict=False))
    units = [place.diff(c) / sp.sqrt(sp.simplify(place.diff(c).dot(place.diff(c)))) for c in coordinates]
    functions = {"u": number.subs(there)}
    functions |= {f"v_{c}": vector.subs(there).dot(e) for c, e in zip(coordinates, units, strict=True)}
    return number, vector, there, units, functions


def at_place(value: sp.Expr, there: dict) -> float:
    return float(sp.N(value.subs(there).subs(PLACE)))


@pytest.mark.parametrize("kind", CASES)
def test_operators_are_those_of_space(kind):
    number, vector, there, units, functions = cartesian(kind)
    axes = SPACE[: len(units)]

    def along(v: sp.Matrix) -> list[float]:
        return [at_place(v.subs(there).dot(e), there) for e in units]

    gradient = sp.Matrix([number.diff(x) for x in axes])
    advected = sp.Matrix([sum(vector[j] * vector[i].diff(x) for j, x in enumerate(axes)) for i in range(len(axes))])
    expected = {
        "laplacian(u)": [at_place(sum(number.diff(x, 2) for x in axes), there)],
        "grad(u)": along(gradient),
        "div(v)": [at_place(sum(vector[i].diff(x) for i, x in enumerate(axes)), there)],
        "laplacian(v)": along(sp.Matrix([sum(c.diff(x, 2) for x in axes) for c in vector])),
        "advect(v, v)": along(advected),
        "advect(v, u)": [at_place(vector.dot(gradient), there)],
        "grad_dot(u, u)": [at_place(gradient.dot(gradient), there)],
    }
    if len(axes) == 3:
        x, y, w = axes
        turned = [vector[2].diff(y) - vector[1].diff(w), vector[0].diff(w) - vector[2].diff(x)]
        expected["curl(v)"] = along(sp.Matrix([*turned, vector[1].diff(x) - vector[0].diff(y)]))
    else:
        expected["curl(v)"] = [at_place(vector[1].diff(axes[0]) - vector[0].diff(axes[1]), there)]
        expected["curl(u)"] = along(sp.Matrix([gradient[1], -gradient[0]]))
    for text, values in expected.items():
        assert in_system(text, kind, functions) == pytest.approx(values, abs=1e-9), text


def heat(**changes) -> dict:
    keys = {
        "name": "disk",
        "coordinates": {"t": [0, 1], "r": [0, 1], "system": "polar"},
        "unknowns": "u",
        "equations": {"heat": "D(u, t) = laplacian(u)"},
        "conditions": {
            "start": {"on": "t = 0", "equation": "u = 1 - r**2"},
            "rim": {"on": "r = 1", "equation": "u = 0"},
        },
    }
    return {**keys, **changes}


def test_the_axis_needs_no_condition_and_equations_are_finite_there(tmp_path):
    problem = build_problem(spec_from_dict(heat()))
    assert problem.warnings == ()
    (residual,) = problem.of_kind("equation")[0].residuals
    assert all(sp.limit(residual.diff(s), sp.Symbol("r", real=True), 0).is_finite for s in residual.free_symbols)
    ring = heat(coordinates={"t": [0, 1], "r": [1, 2], "system": "polar"}, conditions=heat()["conditions"])
    assert any("r = 2" in w.message for w in build_problem(spec_from_dict(ring)).warnings)
    file = tmp_path / "disk.yaml"
    file.write_text(problem.spec.to_yaml())
    assert build_problem(load_spec(file)).statements == problem.statements


def test_integrals_have_the_size_of_space():
    keys = heat(
        coordinates={"r": [0, 2], "z": [0, 1], "system": "cylindrical"},
        equations={"e": "laplacian(u) = integral(u)"},
        conditions={"walls": {"on": "boundary", "equation": "u = 0"}},
        quantities={"whole": {"integral": "u"}, "lid": {"on": "z = 1", "integral": "u"}},
    )
    problem = build_problem(spec_from_dict(keys))
    radius = sp.Symbol("r", real=True)
    whole, lid = (q.expression for q in problem.quantities)
    value = next(s for s in whole.free_symbols if isinstance(s, FeatureSymbol))
    assert whole == 2 * sp.pi * radius * value
    normals = {sp.Symbol("n_r", real=True): 0, sp.Symbol("n_z", real=True): 1}
    assert lid.subs(normals) == 2 * sp.pi * radius * value
    (integral,) = problem.integrals
    assert integral.integrand == 2 * sp.pi * radius * value


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"coordinates": {"r": [0, 1], "system": "polr"}}, "did you mean `polar`"),
        ({"coordinates": {"x": [0, 1], "y": [0, 1], "z": [0, 1], "system": "polar"}}, "there are no polar coordinates"),
        ({"coordinates": {"t": [0, 1], "r": [-1, 1], "system": "polar"}}, "a radius is not below 0"),
        ({"quantities": {"m": {"mean": "u"}}}, "means are not known in polar coordinates"),
        (
            {
                "coordinates": {"r": None, "theta": None, "system": "polar"},
                "domain": {"disk": {"center": [0.5, 1], "radius": 0.1}},
                "time": {"t": [0, 1]},
            },
            "where a coordinate is an angle",
        ),
    ],
)
def test_what_is_wrong_with_a_system_is_said(changes, words):
    with pytest.raises(ProblemError, match=words):
        spec_from_dict(heat(**changes))


def test_the_polar_angle_ends_on_the_axis():
    spec = spec_from_dict(
        heat(
            coordinates={"r": [1, 2], "theta": [0, "pi"], "system": "spherical"},
            equations={"e": "laplacian(u) = 0"},
            conditions={"walls": {"on": ["r = 1", "r = 2"], "equation": "u = cos(theta)"}},
        )
    )
    problem = build_problem(spec)
    assert problem.warnings == () and problem.intervals[1][1] == pytest.approx(math.pi)


@pytest.mark.parametrize("names", [{}, {"r": None, "z": None}])
def test_a_shape_beside_the_axis(names, tmp_path):
    box = {"box": {"r": [0, 1], "z": [-1, 1]}, "boundary": "outer"}
    keys = heat(
        coordinates={**names, "system": "cylindrical"},
        domain={"difference": [box, {"disk": {"center": [0, 0], "radius": 0.5}, "boundary": "ball"}]},
        equations={"e": "laplacian(u) = 0"},
        conditions={
            "outer": {"on": ["r = 1", "z = -1", "z = 1"], "equation": "u = 1"},
            "ball": {"on": "ball", "equation": "u = 2"},
        },
        quantities={"charge": {"on": "ball", "integral": "Dn(u)"}},
    )
    problem = build_problem(spec_from_dict(keys))
    assert problem.coordinates == ("r", "z") and problem.warnings == ()
    file = tmp_path / "shape.yaml"
    file.write_text(problem.spec.to_yaml())
    assert build_problem(load_spec(file)).statements == problem.statements


def test_a_system_in_python():
    radius, time = ps.coordinates("r t")
    u = ps.unknown("u", time, radius)
    keys = {
        "name": "disk",
        "domain": ps.Box(t=(0, 1), r=(0, 1), system="polar"),
        "unknowns": [u],
        "conditions": {
            "start": ps.Condition(on="t = 0", equation=sp.Eq(u, 1 - radius**2)),
            "rim": ps.Condition(on="r = 1", equation="u = 0"),
        },
    }
    by_text = ps.Problem(**keys, equations={"heat": "u_t = laplacian(u)"})
    by_hand = sp.Eq(u.diff(time), u.diff(radius, 2) + u.diff(radius) / radius)
    assert by_text.statements == build_problem(spec_from_dict(heat())).statements
    (one,), (two,) = (
        p.of_kind("equation")[0].residuals for p in (by_text, ps.Problem(**keys, equations={"heat": by_hand}))
    )
    assert sp.expand(one - two) == 0


# -- solved ---------------------------------------------------------------------------------------------------

ROOT = Path(__file__).resolve().parents[1]
EXACT = {"disk-cooling": 0.42664425692249906, "pipe-flow": math.pi / 2}  # of the quantity, by hand


@pytest.mark.parametrize("name", EXACT)
def test_problems_on_the_axis_are_solved_as_well_as_estimated(name):
    solution = ps.solve(ps.load(ROOT / "problems" / f"{name}.yaml"))
    result = solution.result
    assert result["status"] == "converged"
    for unknown, error in result["relative_l2_error"].items():
        assert error <= max(3 * result["estimated_error"][unknown], 1e-12), unknown
    (quantity,) = result["quantities"].values()
    assert quantity["value"] == pytest.approx(EXACT[name], rel=1e-8)


def test_states_of_hydrogen():
    keys = {
        "name": "hydrogen",
        "coordinates": {"r": [0, 60], "system": "spherical"},
        "unknowns": "psi",
        "eigenvalues": {"name": "E", "count": 3, "near": -0.6},
        "equations": {"schroedinger": "-laplacian(psi)/2 - psi/r = E*psi"},
        "conditions": {"far": {"on": "r = 60", "equation": "psi = 0"}},
    }
    solution = ps.solve(build_problem(spec_from_dict(keys)))
    assert solution.result["status"] == "converged"
    found = [item["value"] for item in solution.result["eigenvalues"]]
    assert found == pytest.approx([-1 / 2, -1 / 8, -1 / 18], abs=1e-7)


def test_a_vector_turns_with_its_unit_vectors():
    keys = {
        "name": "couette",
        "coordinates": {"r": [1, 2], "theta": [0, "2*pi"], "system": "polar"},
        "unknowns": {"v": "vector", "p": "real"},
        "equations": {"momentum": "advect(v, v) + grad(p) = laplacian(v)/10", "mass": "div(v) = 0"},
        "conditions": {
            "inner": {"on": "r = 1", "equation": "v = [0, 1]"},
            "outer": {"on": "r = 2", "equation": "v = 0"},
            "around": {"periodic": "theta"},
            "pressure": {"at": {"r": 1, "theta": 0}, "equation": "p = 0"},
        },
        "exact": {"v": [0, "(4/r - r)/3"], "p": "(7.5 + r**2/2 - 8/r**2 - 8*log(r))/9"},
    }
    problem = build_problem(spec_from_dict(keys))
    for statement in problem.of_kind("equation"):
        for residual in statement.residuals:
            functions = {u: problem.exact[u] for u in problem.unknowns}
            assert sp.simplify(real_functions(residual, functions, problem.coordinates)) == 0


def real_functions(e: sp.Expr, functions: dict, coordinates: tuple[str, ...]) -> sp.Expr:
    values = {}
    for symbol in e.free_symbols:
        if isinstance(symbol, FeatureSymbol):
            value = functions[symbol.feature.unknown]
            for name, order in zip(coordinates, symbol.feature.alpha, strict=True):
                value = value.diff(sp.Symbol(name, real=True), order) if order else value
            values[symbol] = value
    return sp.nsimplify(e.xreplace(values), rational=True)
