"""Materials in one space dimension: shapes of the line, cells that end at jumps, steady and in time."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

import pinnsolve as ps
from pinnsolve.bases.piecewise.initial_mesh import first_cells
from pinnsolve.compiler.compiler import compile_problem
from pinnsolve.geometry.factory import make_shape
from pinnsolve.geometry.shapes import Box, Difference, Implicit, Intersection
from pinnsolve.language.symbols import coordinate_symbol
from pinnsolve.language.to_sympy import Scope, boolean
from pinnsolve.problem.build import build_problem
from pinnsolve.spec.spec import spec_from_dict


def where(text: str) -> Implicit:
    relation = boolean(text, Scope(coordinates=("x",)))
    return Implicit(relation.lhs - relation.rhs, (coordinate_symbol("x"),), (-0.5,), (1.5,), "jump")


def layered(equation: str | dict, definitions: dict, **changes):
    stated = {
        "name": "layers", "coordinates": {"x": [0, 1]}, "unknowns": "u", "definitions": definitions,
        "equations": equation if isinstance(equation, dict) else {"e": equation},
        "conditions": {"left": {"on": "x = 0", "equation": "u = 0"}, "right": {"on": "x = 1", "equation": "u = 1"}},
        **changes,
    }  # fmt: skip
    return build_problem(spec_from_dict(stated))


def held(start: str, ends: str) -> dict:
    conditions = {"start": {"on": "t = 0", "equation": f"u = {start}"}}
    return {**conditions, "ends": {"on": "boundary", "equation": f"u = {ends}"}}


def test_intervals_have_ends_with_names_and_directions():
    shape = make_shape(Difference(Box((0.0,), (1.0,), "ends"), (where("sin(10*x) < 0"),)))
    b = shape.boundary(0.1)
    assert b.x[:, 0].tolist() == pytest.approx([0, 0.1 * math.pi, 0.2 * math.pi, 0.3 * math.pi], abs=1e-14)
    assert b.normals[:, 0].tolist() == [-1, 1, -1, 1]
    assert [shape.parts[p] for p in b.part.tolist()] == ["ends", "jump", "jump", "jump"]
    assert shape.measure() == pytest.approx(0.2 * math.pi)
    assert shape.inside(torch.tensor([[0.1], [0.5], [0.7], [0.99]], dtype=torch.float64)).tolist() == [
        True, False, True, False]  # fmt: skip
    left = make_shape(Intersection((Box((0.0,), (1.0,), "ends"), where("x < 0.25"))))
    assert left.measure() == pytest.approx(0.25, abs=1e-14)
    spread = left.spread(torch.rand(9, 1, dtype=torch.float64), "jump")
    assert set(spread.x[:, 0].tolist()) == {0.25} and set(spread.normals[:, 0].tolist()) == {1.0}


def test_cells_end_at_jumps_however_close():
    problem = layered("D(k*D(u, x), x) = 0", {"k": "where(x < 0.3, 1, where(x < 0.301, 0.001, 50))"})
    cells = first_cells(compile_problem(problem))
    order = cells.lower[:, 0].argsort()
    np.testing.assert_allclose(cells.lower[order, 0], [0, 0.3, 0.301, 0.6505], atol=1e-12)
    assert not bool(cells.cut.any())
    solution = ps.solve(problem, tolerance=1e-9)
    flux = 1 / (0.3 + 1 + 0.699 / 50)  # resistances one after another
    true = [0.3 * flux, 1.3 * flux, 1 - 0.4 * flux / 50]
    assert solution.result["status"] == "converged"
    np.testing.assert_allclose(solution(x=np.array([0.3, 0.301, 0.6])), true, atol=1e-10)


def test_a_conductivity_that_depends_on_the_solution():
    problem = layered("D(k*D(u, x), x) = 0", {"k": "where(x < 0.3, 1 + u**2, 10)"})
    found = ps.solve(problem, tolerance=1e-8)
    u = float(found(x=0.3))
    flux = (u + u**3 / 3) / 0.3  # by Kirchhoff's transformation, the same on either side
    assert flux == pytest.approx((1 - u) * 10 / 0.7, rel=1e-7)


def test_equations_of_their_own_in_layers():
    found = ps.solve(layered({
        "one": {"where": "x < 0.3", "equation": "D(u, x, x) = 0"},
        "two": {"where": "x >= 0.3", "equation": "-100*D(u, x, x) = 0"},
    }, {}), tolerance=1e-9)  # fmt: skip
    flux = 1 / (0.3 + 0.7 / 100)
    np.testing.assert_allclose(found(x=np.array([0.3, 0.6])), [0.3 * flux, 1 - 0.4 * flux / 100], atol=1e-10)


def test_heat_in_layers_with_sources_and_capacities():
    heat = layered(
        "c*D(u, t) = D(k*D(u, x), x) + 2*c*t*phi + (1 + t**2)*where(x < 0.3, 4*sin(2*x), 4*cos(0.6)*sin(2*x - 0.6))",
        {
            "k": "where(x < 0.3, 1, 0.02)",
            "c": "where(x < 0.3, 1, 3)",
            "phi": "where(x < 0.3, sin(2*x), sin(0.6) + 50*cos(0.6)*sin(2*x - 0.6))",
            "true": "(1 + t**2)*phi",
        },
        coordinates={"x": [0, 1], "t": [0, 1]},
        time="t",
        conditions=held("phi", "true"),
        exact={"u": "true"},
    )
    result = ps.solve(heat, tolerance=1e-8).result
    assert result["status"] == "converged" and result["relative_l2_error"]["u"] < 1e-8


def test_layers_cool_down_by_their_slowest_mode():
    """At a rate that the continuity of temperature and flux determines."""
    result = ps.solve(ps.load("layered-wall"), tolerance=1e-7).result
    assert result["status"] == "converged" and result["relative_l2_error"]["u"] < 1e-7


@pytest.mark.parametrize("peak", [0.2, 0.7])
def test_a_pulse_spreads_into_the_other_layer_as_finite_volumes_say(peak):
    k1, k2, jump, end = 1.0, 10.0, 0.4, 0.02
    start = f"exp(-200*(x - {peak})**2)*x*(1 - x)"
    problem = layered(
        "D(u, t) = D(k*D(u, x), x)", {"k": f"where(x < {jump}, {k1}, {k2})"},
        coordinates={"x": [0, 1], "t": [0, end]}, time="t",
        conditions=held(start, "0"),
    )  # fmt: skip
    solution = ps.solve(problem, tolerance=1e-6)
    x = np.array([0.1, 0.35, 0.45, 0.8])
    coarse, fine = (volumes(n, k1, k2, jump, end, peak, x) for n in (500, 1000))
    reference = fine + (fine - coarse) / 3  # of second order
    assert solution.result["status"] == "converged"
    np.testing.assert_allclose(solution(x=x, t=end), reference, atol=2e-6 * np.abs(reference).max() + 2e-7)


def volumes(n: int, k1: float, k2: float, jump: float, end: float, peak: float, x: np.ndarray) -> np.ndarray:
    """The same by finite volumes (n cells, a face at the jump, harmonic means) and the exact exponential in time."""
    h = 1 / n
    centers = (np.arange(n) + 0.5) * h
    k = np.where(centers < jump, k1, k2)
    between = 2 * k[1:] * k[:-1] / (k[1:] + k[:-1]) / h**2
    sides = np.concatenate([[2 * k[0] / h**2], between, [2 * k[-1] / h**2]])
    A = np.diag(-(sides[:-1] + sides[1:])) + np.diag(between, 1) + np.diag(between, -1)
    values, vectors = np.linalg.eigh(A)
    u = np.exp(-200 * (centers - peak) ** 2) * centers * (1 - centers)
    u = vectors @ (np.exp(values * end) * (vectors.T @ u))
    # through values at centers by quadratics on either side of the jump
    found = []
    for place in x:
        side = np.nonzero((centers < jump) == (place < jump))[0]
        near = side[np.argsort(np.abs(centers[side] - place))[:3]]
        found.append(np.polyval(np.polyfit(centers[near] - place, u[near], 2), 0.0))
    return np.array(found)


def test_periodic_layers_hand_on_their_flux_where_the_ends_meet():
    """One period of a laminate, with coefficients that vary in its layers, too."""
    problem = layered(
        "u - D(k*D(u, x), x) = where(x < 0.3, 1, 0)", {"k": "where(x < 0.3, 1 + x, 5 + x)"},
        conditions={"period": {"periodic": "x"}},
    )  # fmt: skip
    solution = ps.solve(problem, tolerance=1e-8)
    x = np.array([0, 1, 0.3 - 1e-12, 0.3 + 1e-12])
    u, slope = solution(x=x), solution.derivative("u", "x")(x=x)
    assert solution.result["status"] == "converged"
    assert u[0] == pytest.approx(u[1], abs=1e-10)
    flux = slope * [1, 6, 1.3, 5.3]
    assert flux[0] == pytest.approx(flux[1], abs=1e-9) and flux[2] == pytest.approx(flux[3], abs=1e-9)
    assert flux[2] - flux[0] == pytest.approx(
        -0.3 + _integral(solution, 0, 0.3), abs=1e-9
    )  # what the first layer makes


def _integral(solution, low: float, high: float) -> float:
    """The integral of the solution, by Gauss's rule."""
    s, w = np.polynomial.legendre.leggauss(20)
    return float((high - low) / 2 * w @ solution(x=(low + high) / 2 + (high - low) / 2 * s))


IN_TIME = {"coordinates": {"x": [0, 1], "t": [0, 0.5]}, "time": "t"}
WAVES = {
    "what flows on is continuous, and its density jumps": {
        "unknowns": "u",
        "definitions": {
            "c": "where(x < 0.3, 1, 2)",
            "late": "where(x < 0.3, x, 0.3 + (x - 0.3)/2)",
            "true": "sin(5*(t - late))/c",
        },
        "equations": {"flow": "D(u, t) + D(c*u, x) = 0"},
        "conditions": {**held("true", "true"), "ends": {"on": "x = 0", "equation": "u = true"}},
        "exact": {"u": "true"},
    },
    "sound is reflected and goes on": {  # by the impedances 1 and 2: a third of the pressure comes back
        "unknowns": ["p", "v"],
        "definitions": {
            "K": "where(x < 0.3, 1, 4)",
            "there": "sin(5*(t - x))",
            "back": "sin(5*(t + x - 0.6))/3",
            "on": "4/3*sin(5*(t - 0.3 - (x - 0.3)/2))",
            "pressure": "where(x < 0.3, there + back, on)",
            "speed": "where(x < 0.3, there - back, on/2)",
        },
        "equations": {"gas": "D(p, t) + K*D(v, x) = 0", "motion": "D(v, t) + D(p, x) = 0"},
        "conditions": {
            "start": {"on": "t = 0", "equations": ["p = pressure", "v = speed"]},
            "left": {"on": "x = 0", "equation": "p = pressure"},
            "right": {"on": "x = 1", "equation": "p = 2*v"},
        },
        "exact": {"p": "pressure", "v": "speed"},
    },
    "nothing goes on where nothing flows": {
        "unknowns": "u",
        "definitions": {"a": "where(x < 0.3, 1, 2)"},
        "equations": {"decay": "D(u, t) = -a*u"},
        "conditions": {"start": {"on": "t = 0", "equation": "u = 1 + x"}},
        "exact": {"u": "exp(-a*t)*(1 + x)"},
    },
}


@pytest.mark.parametrize("name", WAVES)
def test_layers_with_first_derivatives_alone(name):
    result = ps.solve(build_problem(spec_from_dict({"name": "waves", **IN_TIME, **WAVES[name]})), tolerance=1e-7).result
    assert result["status"] == "converged" and max(result["relative_l2_error"].values()) < 1e-7
