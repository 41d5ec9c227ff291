"""Eigenvalues beside those that are known, their functions, and problems that have none."""

from __future__ import annotations

import numpy as np
import pytest
import sympy as sp
from scipy.special import jn_zeros

import pinnsolve as ps
from pinnsolve.errors import ProblemError
from pinnsolve.problem.build import build_problem
from pinnsolve.spec.spec import spec_from_dict

STRING = {
    "name": "string",
    "coordinates": {"x": [0, 1]},
    "unknowns": "u",
    "eigenvalues": {"name": "lam", "count": 4},
    "equations": {"wave": "-D(u, x, x) = lam*u"},
    "conditions": {"ends": {"on": "boundary", "equation": "u = 0"}},
    "solve": {"tolerance": 1e-8},
}


def solved(**changes):
    return ps.solve(build_problem(spec_from_dict({**STRING, **changes})))


def values(solution):
    found = [e["value"] for e in solution.result["eigenvalues"]]
    return np.array([complex(v["re"], v["im"]) if isinstance(v, dict) else v for v in found])


def holds(solution, truth, relative=1e-7):
    """Every eigenvalue is near to the truth, and no farther than a few estimates."""
    truth = np.asarray(truth)
    errors = np.array([e["estimated_error"] for e in solution.result["eigenvalues"]])
    off = np.abs(values(solution) - truth)
    assert solution.result["status"] == "converged"
    assert (off <= relative * np.maximum(np.abs(truth), 1)).all()
    assert (off <= 10 * errors + 1e-10 * np.abs(truth).max()).all()


def test_a_string_and_its_functions(tmp_path):
    solution = solved()
    holds(solution, (np.pi * np.arange(1, 5)) ** 2)
    x = np.linspace(0, 1, 7)
    for mode in (1, 2):
        u = solution(mode=mode, x=x)
        np.testing.assert_allclose(np.abs(u), np.sqrt(2) * np.abs(np.sin(mode * np.pi * x)), atol=1e-6)
    assert solution(x=0.5) == pytest.approx(np.sqrt(2), abs=1e-6)
    solution.save(tmp_path)
    np.testing.assert_array_equal(ps.load_solution(tmp_path)(mode=2, x=x), solution(mode=2, x=x))
    with pytest.raises(ps.SolutionError, match="modes 1 to 4"):
        solution(mode=5, x=0.5)


def test_a_double_eigenvalue_of_a_square():
    solution = solved(
        coordinates={"x": [0, 1], "y": [0, 1]},
        equations={"membrane": "-laplacian(u) = lam*u"},
        eigenvalues={"name": "lam", "count": 2},
    )
    holds(solution, np.pi**2 * np.array([2, 5]))


def test_eigenvalues_in_the_middle():
    solution = solved(eigenvalues={"name": "lam", "count": 3, "near": "16*pi**2"})
    holds(solution, (np.pi * np.array([4, 3, 5])) ** 2)


def test_zero_may_be_an_eigenvalue():
    solution = solved(conditions={"ends": {"on": "boundary", "equation": "Dn(u) = 0"}})
    holds(solution, (np.pi * np.arange(4)) ** 2)


def test_an_eigenvalue_in_a_condition():
    """u'' = 0 with u(0) = 0 and u'(1) = lam u(1): the one eigenvalue is 1."""
    solution = solved(
        equations={"straight": "D(u, x, x) = 0"},
        conditions={
            "left": {"on": "x = 0", "equation": "u = 0"},
            "right": {"on": "x = 1", "equation": "D(u, x) = lam*u"},
        },
        eigenvalues={"name": "lam", "count": 1},
    )
    holds(solution, [1])


def test_a_square_of_the_eigenvalue_gives_complex_pairs():
    solution = solved(equations={"damped": "lam**2*u + 2*lam*u = D(u, x, x)"}, eigenvalues={"name": "lam", "count": 2})
    assert sorted(values(solution).imag) == pytest.approx([-np.sqrt(np.pi**2 - 1), np.sqrt(np.pi**2 - 1)])
    np.testing.assert_allclose(values(solution).real, -1, atol=1e-9)
    assert set(solution.result["eigenvalues"][0]["value"]) == {"re", "im"}


def test_a_system_of_first_order():
    solution = solved(
        unknowns=["u", "v"],
        equations={"one": "D(u, x) = v", "two": "-D(v, x) = lam*u"},
        eigenvalues={"name": "lam", "count": 2},
    )
    holds(solution, (np.pi * np.array([1, 2])) ** 2)


def test_a_disk():
    solution = solved(
        coordinates=None,
        domain={"disk": {"center": [0, 0], "radius": 1}},
        equations={"membrane": "-laplacian(u) = lam*u"},
        eigenvalues={"name": "lam", "count": 3},
        solve={"tolerance": 1e-6},
    )
    holds(solution, [jn_zeros(0, 1)[0] ** 2, jn_zeros(1, 1)[0] ** 2, jn_zeros(1, 1)[0] ** 2], 1e-6)


def test_a_clamped_beam_in_python():
    x, lam = ps.coordinates("x"), sp.Symbol("lam")
    w = ps.unknown("w", x)
    problem = ps.Problem(
        name="beam",
        domain=ps.Box(x=(0, 1)),
        unknowns=w,
        eigenvalues=ps.eigenvalues(lam, count=1),
        equations={"bending": sp.Eq(sp.diff(w, x, 4), lam * w)},
        conditions={"ends": ps.Condition(on="boundary", equations=[sp.Eq(w, 0), sp.Eq(sp.diff(w, x), 0)])},
    )
    holds(ps.solve(problem, tolerance=1e-7), [4.730040744862704**4], 1e-7)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"equations": {"wave": "-D(u, x, x) = lam*u + 1"}}, "has no sources"),
        ({"equations": {"wave": "-D(u, x, x) = lam*u**2"}}, "linear in its unknowns"),
        ({"equations": {"wave": "-D(u, x, x) = u"}}, "no equation and no condition holds `lam`"),
        ({"equations": {"wave": "-D(u, x, x) = sin(lam)*u"}}, "only in powers up to 2"),
        ({"eigenvalues": {"name": "u"}}, "`u` is an unknown already"),
        ({"eigenvalues": {"name": "lam", "count": 1000}}, "at most 100"),
    ],
)
def test_what_is_no_eigenvalue_problem_is_told(changes, words):
    with pytest.raises(ProblemError, match=words):
        build_problem(spec_from_dict({**STRING, **changes}))
