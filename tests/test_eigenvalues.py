"""Eigenvalues beside those that are known, their functions, and problems that have none."""

from __future__ import annotations

import numpy as np
import pytest
import sympy as sp
from scipy.special import jn_zeros

import pinnsolve as ps
from pinnsolve.errors import ProblemError
from pinnsolve.figures.figures import solution_figure
from pinnsolve.figures.samples import sample
from pinnsolve.problem.build import build_problem
from pinnsolve.results.evaluation import PointsError, evaluate_csv
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
    slope = solution.derivative("u", "x")
    assert slope(mode=2, x=0.25) == pytest.approx(0, abs=1e-5)
    assert slope(x=x) == pytest.approx(slope(mode=1, x=x))
    solution.save(tmp_path)
    np.testing.assert_array_equal(ps.load_solution(tmp_path)(mode=2, x=x), solution(mode=2, x=x))
    points = tmp_path / "points.csv"
    points.write_text("mode,x\n2,0.1\n1,0.5\n2,0.2\n")
    header, *rows = [line.split(",") for line in evaluate_csv(solution, points).splitlines()]
    assert header == ["mode", "x", "u"]
    np.testing.assert_array_equal([float(r[2]) for r in rows], [solution(mode=int(m), x=float(s)) for m, s, _ in rows])
    points.write_text("mode,x\n2,0.1\n7,0.5\n")
    with pytest.raises(PointsError, match="line 3: there is no mode '7'"):
        evaluate_csv(solution, points)
    assert list(sample(solution).values) == [f"u, mode {k}" for k in (1, 2, 3, 4)]
    assert len(solution_figure(sample(solution)).axes) == 4
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


@pytest.mark.parametrize("power", [3, 4])
def test_higher_powers_of_the_eigenvalue(power):
    """lam^power = (k pi)^2, whose roots near to 2 + 0.1 i are real and complex."""
    solution = solved(
        equations={"wave": f"-D(u, x, x) = lam**{power}*u"},
        eigenvalues={"name": "lam", "count": 2, "near": "2 + 0.1*i"},
    )
    roots = [(k * np.pi) ** (2 / power) * np.exp(2j * np.pi * j / power) for k in (1, 2, 3) for j in range(power)]
    holds(solution, sorted(roots, key=lambda root: abs(root - (2 + 0.1j)))[:2])


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
        ({"equations": {"wave": "-D(u, x, x) = sin(lam)*u"}}, "only in powers up to 4"),
        ({"equations": {"wave": "-D(u, x, x) = lam**5*u"}}, "only in powers up to 4"),
        ({"eigenvalues": {"name": "u"}}, "`u` is an unknown already"),
        ({"eigenvalues": {"name": "lam", "count": 1000}}, "at most 100"),
    ],
)
def test_what_is_no_eigenvalue_problem_is_told(changes, words):
    with pytest.raises(ProblemError, match=words):
        build_problem(spec_from_dict({**STRING, **changes}))


# -- complex numbers --------------------------------------------------------------------------------------------

ORR_SOMMERFELD = {
    "name": "orr-sommerfeld",
    "coordinates": {"y": [-1, 1]},
    "unknowns": {"phi": "complex"},
    "parameters": {"Re": 10000, "a": 1},
    "definitions": {"U": "1 - y**2", "vorticity": "D(phi, y, y) - a**2*phi"},
    "equations": {
        "stability": "D(phi, y, 4) - 2*a**2*D(phi, y, y) + a**4*phi = i*a*Re*((U - c)*vorticity + 2*phi)",
    },
    "conditions": {"walls": {"on": "boundary", "equations": ["phi = 0", "D(phi, y) = 0"]}},
    "eigenvalues": {"name": "c", "count": 1, "near": "0.24 + 0.004*i"},
    "solve": {"tolerance": 1e-7},
}


def test_the_unstable_mode_of_the_channel():
    """Orszag, J. Fluid Mech. 50 (1971) 689-703: 0.23752649 + 0.00373967 i."""
    solution = ps.solve(build_problem(spec_from_dict(ORR_SOMMERFELD)))
    assert solution.result["status"] == "converged"
    assert values(solution)[0] == pytest.approx(0.23752648882 + 0.00373967062j, abs=2e-9)
    y = np.linspace(-1, 1, 401)
    phi = solution(mode=1, y=y)
    assert np.iscomplexobj(phi)
    assert np.trapezoid(np.abs(phi) ** 2, y) / 2 == pytest.approx(1, abs=1e-3)
    largest = phi[np.abs(phi).argmax()]
    assert largest.real > 0
    assert abs(largest.imag) < 1e-2 * largest.real


def test_a_complex_number_near_makes_unknowns_complex():
    """u'' + a u' = lam u with u = 0 at both ends has only real eigenvalues; with u(1) = 2i u'(1) they are complex."""
    solution = solved(
        equations={"wave": "-D(u, x, x) = lam*u"},
        conditions={
            "ends": {"on": "x = 0", "equation": "u = 0"},
            "right": {"on": "x = 1", "equation": "D(u, x) = 2*i*u"},
        },
        eigenvalues={"name": "lam", "count": 2, "near": "3 - 3*i"},
    )
    k = np.sqrt(values(solution))
    assert np.abs(k * np.cos(k) - 2j * np.sin(k)).max() < 1e-6
    assert solution.complex_unknowns == ("u",)
    assert (np.abs(values(solution).imag) > 0.1).all()


def test_first_order_and_quadratic_over_complex_numbers():
    """u' = i v, v' = i lam^2 u with u = 0 at both ends: lam is a multiple of pi."""
    solution = solved(
        unknowns={"u": "complex", "v": "complex"},
        equations={"one": "D(u, x) = i*v", "two": "D(v, x) = i*lam**2*u"},
        eigenvalues={"name": "lam", "count": 2, "near": "4 + 0.1*i"},
    )
    holds(solution, [np.pi, 2 * np.pi])
    assert set(solution(mode=2, x=0.3)) == {"u", "v"}


def test_complex_numbers_in_python():
    x, lam = ps.coordinates("x"), sp.Symbol("lam")
    u = ps.unknown("u", x, complex=True)
    problem = ps.Problem(
        name="momentum",
        domain=ps.Box(x=(0, 1)),
        unknowns=u,
        eigenvalues=ps.eigenvalues(lam, count=3, near=1 + 0.5j),
        equations={"momentum": sp.Eq(-sp.I * sp.diff(u, x), lam * u)},
        conditions={"around": ps.Condition(periodic=x)},
    )
    holds(ps.solve(problem, tolerance=1e-8), 2 * np.pi * np.array([0, 1, -1]), 1e-7)


@pytest.mark.parametrize(
    ("equation", "near", "words"),
    [
        ("D(phi, y, 4) = c*conj(phi)", "i", "is linear over them"),
        ("D(phi, y, 4) = re(c)*phi", "i", "is linear over them"),
        ("D(phi, y, 4) = c*phi", "i**2", "not of the form"),
    ],
)
def test_what_is_not_linear_over_complex_numbers_is_told(equation, near, words):
    changes = {"equations": {"e": equation}, "eigenvalues": {"name": "c", "near": near}}
    with pytest.raises(ProblemError, match=words):
        build_problem(spec_from_dict({**ORR_SOMMERFELD, **changes}))
