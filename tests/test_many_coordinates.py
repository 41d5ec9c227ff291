"""Sums of functions of few coordinates: derivatives, the conditions they meet, and what a solve says of its error."""

from __future__ import annotations

import itertools

import pytest
import torch
from small_problems import assembled
from torch.func import hessian, jacrev, vmap

import pinnsolve as ps
from pinnsolve.adapt import few_coordinates
from pinnsolve.adapt.few_coordinates import has_many_coordinates, vanishes_on_sphere
from pinnsolve.adapt.growing_width import projected
from pinnsolve.assembly.row_source import State
from pinnsolve.bases import make_basis
from pinnsolve.bases.gegenbauer import orthonormal
from pinnsolve.compiler.compiler import compile_problem
from pinnsolve.errors import PinnsolveError
from pinnsolve.estimate.defect_correction import Approximation
from pinnsolve.problem.build import build_problem
from pinnsolve.spec.spec import spec_from_dict

BALL = {"ball": {"center": 0, "radius": 1}}


def posed(exact: str, count: int, ball: bool = False, tolerance: float = 1e-3, **keys):
    """-laplacian(u) as that of a known solution, which is given on the boundary."""
    place = {"coordinates": {"x": {"count": count}}, "domain": BALL}
    if not ball:
        place = {"coordinates": {"x": {"count": count, "interval": [-1, 1]}}}
    whole = {
        "name": "many",
        **place,
        "unknowns": "u",
        "definitions": {"w": exact},
        "equations": {"poisson": "laplacian(u) = laplacian(w)"},
        "conditions": {"walls": {"on": "boundary", "equation": "u = w"}},
        "exact": {"u": "w"},
        "solve": {"tolerance": tolerance},
    }
    return build_problem(spec_from_dict({**whole, **keys}))


@pytest.mark.parametrize(
    "settings",
    [
        {"degree": 3, "pairs": "all", "radial": 3, "ball": True, "vanishing": True, "time": 0},
        {"degree": 2, "pairs": "none", "radial": 4, "length": 0.3, "time": 2},
        {"degree": 4, "pairs": [[0, 2]], "radial": 2, "ball": True, "vanishing": True},
    ],
)
def test_derivatives_by_structure_are_those_of_autograd(settings):
    basis = make_basis({"kind": "interactions", **settings}, [-2.0] * 4, [2.0] * 4)
    generator = torch.Generator().manual_seed(0)
    x = (torch.rand(5, 4, generator=generator, dtype=torch.float64) - 0.5) * 1.8
    c = torch.randn(2, basis.width, generator=generator, dtype=torch.float64)
    zero = (0,) * 4

    def at(point):
        return basis.derivatives(point[None], [zero])[zero][0]

    first, second = vmap(jacrev(at))(x), vmap(hessian(at))(x)
    expected = {zero: basis.derivatives(x, [zero])[zero]}
    for i, j in itertools.product(range(4), repeat=2):
        expected[tuple(int(k == i) for k in range(4))] = first[:, :, i]
        expected[tuple(int(k == i) + int(k == j) for k in range(4))] = second[:, :, i, j]
    combined = basis.combined(x, [*expected], c)
    for alpha, table in expected.items():
        torch.testing.assert_close(basis.derivatives(x, [alpha])[alpha], table, rtol=1e-10, atol=1e-10)
        torch.testing.assert_close(combined[alpha], c @ table.T, rtol=1e-10, atol=1e-10)
    coefficients = {alpha: torch.randn(5, generator=generator, dtype=torch.float64) for alpha in expected}
    whole = sum(coefficients[alpha][:, None] * table for alpha, table in expected.items())
    torch.testing.assert_close(basis.applied(x, coefficients), whole, rtol=1e-10, atol=1e-10)


def test_polynomials_are_orthonormal_in_a_ball():
    """By Gauss-Chebyshev quadrature of the weight (1 - z^2)^(lambda - 1/2), here of nine coordinates."""
    angle = torch.linspace(0, torch.pi, 400, dtype=torch.float64)[1:-1]
    z, weight = torch.cos(angle), torch.sin(angle) ** 9
    p = orthonormal(z[None], torch.tensor([4.5], dtype=torch.float64), 6)[0, 0].T
    gram = p.T @ (weight[:, None] * p) / weight.sum()
    torch.testing.assert_close(gram, torch.eye(7, dtype=torch.float64), rtol=0, atol=1e-10)


def test_functions_vanish_where_the_sphere_holds_zero():
    zero = {"walls": {"on": "boundary", "equation": "2*u = 0"}}
    some = {"walls": {"on": "boundary", "equation": "u = x[1]"}}
    half = {"walls": {"on": "boundary", "equation": "u = 0", "where": "x1 > 0"}}
    flux = {"walls": {"on": "boundary", "equation": "Dn(u) = 0"}}
    for conditions, expected in ((zero, True), (some, False), (half, False), (flux, False)):
        compiled = compile_problem(posed("x[1]", 5, ball=True, conditions=conditions))
        assert vanishes_on_sphere(compiled) is expected and has_many_coordinates(compiled)
    assert not has_many_coordinates(compile_problem(posed("x[1]", 5)))
    fourth = {"plate": "laplacian(laplacian(u)) = 0"}
    assert not has_many_coordinates(compile_problem(posed("x[1]", 8, equations=fourth)))


def solved(problem, **settings) -> dict:
    result = ps.solve(problem, **settings).result
    error, estimate = result["relative_l2_error"]["u"], result["estimated_error"]["u"]
    assert error <= 3 * estimate or result["status"] != "converged", (error, estimate)
    return result


def test_functions_go_on_in_richer_bases():
    lower, upper = -torch.ones(5, dtype=torch.float64), torch.ones(5, dtype=torch.float64)
    few, many, other = (
        make_basis({"kind": "interactions", "degree": p, "radial": 2, "pairs": pairs}, lower, upper, 0)
        for p, pairs in ((2, "neighbours"), (3, "all"), (3, "none"))
    )
    c = torch.arange(1.0, few.width + 1, dtype=torch.float64)[None]
    x, zero = torch.linspace(-0.9, 0.9, 35, dtype=torch.float64).reshape(7, 5), (0,) * 5
    wide = few.widened(c, many)
    torch.testing.assert_close(many.combined(x, [zero], wide)[zero], few.combined(x, [zero], c)[zero])
    assert few.widened(c, other) is None


def test_pairs_of_neighbours_are_found():
    result = solved(posed("sum(k, sin(x[k]*x[k + 1]))", 7, tolerance=1e-2))
    assert result["status"] == "converged" and result["relative_l2_error"]["u"] < 1e-2
    assert "neighbours" in result["basis"] and "few coordinates" in result["why"]


def test_radial_functions_are_found_in_a_ball_of_twelve_coordinates():
    result = solved(posed("exp(-2*sum(k, x[k]**2))", 12, ball=True))
    assert result["status"] == "converged" and "radial" in result["basis"]


def test_three_coordinates_together_are_never_taken_for_solved():
    """A harmonic product of three is in none of the bases and in no residual inside: the faces tell."""
    result = solved(posed("sum(k, x[k]) + 3*x[1]*x[4]*x[7]", 7, tolerance=1e-2))
    assert result["status"] == "tolerance_not_reached" and result["estimated_error"]["u"] > 1e-2


def test_a_nonlinear_problem_with_time():
    exact = "exp(t + sum(k, x[k]**2)/2)/8"
    problem = posed(
        exact,
        5,
        ball=True,
        time={"t": [0, 1]},
        equations={"heat": "D(u, t) - laplacian(u) + u**2 = D(w, t) - laplacian(w) + w**2"},
        conditions={
            "start": {"on": "t = 0", "equation": "u = w"},
            "sphere": {"on": "boundary", "equation": "Dn(u) = w"},
        },
    )
    assert solved(problem)["status"] == "converged"


def test_what_cannot_be_done_in_many_coordinates_is_refused():
    fourth = {"plate": "laplacian(laplacian(u)) = 0"}
    with pytest.raises(PinnsolveError, match="up to order two"):
        ps.solve(posed("x[1]", 7, equations=fourth))


def test_a_basis_that_the_file_asks_for():
    asked = {"kind": "interactions", "degree": 2, "pairs": "none"}
    result = solved(posed("sum(k, x[k]**2)", 7), basis=asked)
    assert result["status"] == "converged" and "degree 2, no pairs" in result["basis"]


def test_settings_that_make_no_sense():
    wrong = (({"pairs": "some"}, "one of none"), ({"degree": 0}, "degree of 1"), ({"depth": 2}, "depth"))
    for settings, words in wrong:
        with pytest.raises(PinnsolveError, match=words):
            make_basis({"kind": "interactions", **settings}, [-1.0] * 3, [1.0] * 3)


def test_a_pair_far_apart_is_found_by_the_residual(monkeypatch):
    """Where all pairs are too many to try, here because the limit is low."""
    monkeypatch.setattr(few_coordinates, "FIRST", 150)
    problem = posed("sum(k, x[k]**2)/9 + x[2]*x[11] + x[5]**2*x[8]", 12, tolerance=1e-2)
    result = solved(problem)
    assert result["status"] == "converged" and "2 pairs" in result["basis"]


def test_levels_start_from_functions_fitted_at_all_times():
    """Conditions, of which a ball has more points than inside, lie at its sphere or at one time."""
    time = {"time": {"t": [0, 1]}, "equations": {"heat": "D(u, t) = laplacian(u) - u**2"}}
    start = {"start": {"on": "t = 0", "equation": "u = 1"}, "sphere": {"on": "boundary", "equation": "Dn(u) = 0"}}
    assembly = assembled(compile_problem(posed("x[1]", 5, True, **time, conditions=start)), 60, 90, "uniform")
    lower, upper = -torch.ones(6, dtype=torch.float64), torch.ones(6, dtype=torch.float64)
    lower[0] = 0.0
    place = {"kind": "interactions", "pairs": "none", "radial": 2, "ball": True, "time": 0}
    few, other = (make_basis({**place, "degree": 2, "length": length}, lower, upper, 0) for length in (1.0, 0.5))
    c = torch.arange(1.0, few.width + 1, dtype=torch.float64)[None]
    solution = Approximation(few, State(c, torch.zeros(0, dtype=torch.float64)))
    x = assembly.terms[0].points.x[0]
    fitted = Approximation(other, projected(solution, other, assembly))
    assert float((fitted.values(x) - solution.values(x)).norm() / solution.values(x).norm()) < 0.1
