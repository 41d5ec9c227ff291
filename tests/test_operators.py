"""What is registered from outside: linear operators (integral equations) and a basis, in Python and in files."""

from __future__ import annotations

import math
import subprocess
import sys

import numpy as np
import pytest
import torch

import pinnsolve as ps
from pinnsolve import registry
from pinnsolve.errors import PinnsolveError
from pinnsolve.jets import closure


@pytest.fixture
def clean_registry(monkeypatch):
    """Whatever a test registers is gone after it."""
    monkeypatch.setattr(registry, "OPERATORS", dict(registry.OPERATORS))
    monkeypatch.setattr(registry, "BASES", dict(registry.BASES))


def volterra(basis, points):
    """Integral of u from 0 to x, by 20 Gauss-Legendre points."""
    nodes, weights = np.polynomial.legendre.leggauss(20)
    x = points[:, :1] * torch.as_tensor((nodes + 1) / 2).to(points)  # (N, 20)
    values = basis.derivatives(x.reshape(-1, 1), [(0,)])[(0,)].reshape(*x.shape, basis.width)
    return points * torch.einsum("nqw,q->nw", values, torch.as_tensor(weights / 2).to(points))


@pytest.mark.usefixtures("clean_registry")
def test_a_volterra_equation_in_python():
    """u = 1 - int_0^x u has the solution exp(-x)."""
    memory = ps.operator("memory", order=0)(volterra)
    (x,) = (ps.coordinates("x"),)
    u = ps.unknown("u", x)
    import sympy as sp

    problem = ps.Problem(
        name="volterra", domain=ps.Box(x=(0, 2)), unknowns=[u],
        equations={"balance": sp.Eq(u, 1 - memory(u))}, exact={"u": sp.exp(-x)},
    )  # fmt: skip
    solution = ps.solve(problem)
    assert solution.result["status"] == "converged"
    assert solution.result["relative_l2_error"]["u"] < 1e-8
    assert solution(x=1.3) == pytest.approx(math.exp(-1.3), abs=1e-8)


@pytest.mark.usefixtures("clean_registry")
def test_an_operator_of_the_wrong_shape_is_refused():
    @ps.operator("wrong")
    def wrong(basis, points):
        return torch.zeros(3, 2)

    problem = ps.Problem(name="wrong", domain=ps.Box(x=(0, 1)), unknowns="u", equations={"e": "u = wrong(u)"})
    with pytest.raises(PinnsolveError, match=r"`wrong` must return .*\(points, width\)"):
        ps.solve(problem)


@pytest.mark.parametrize("name", ["fredholm", "volterra"])
def test_integral_equations_that_come_with_pinnsolve(name, tmp_path):
    command = [sys.executable, "-m", "pinnsolve", "run", name, "--operators", name, "--json", "--out", "run"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    import json

    result = json.loads(done.stdout)
    assert result["status"] == "converged"
    assert max(result["relative_l2_error"].values()) < 1e-6


class Chebyshev(ps.Basis):
    """T_0 ... T_{W-1} of one coordinate: no hidden parameters, derivatives by numpy."""

    kind = "chebyshev"
    hidden: dict = {}  # noqa: RUF012

    def __init__(self, width, lower, upper):
        self.width, self.lower, self.upper = width, lower, upper

    def derivatives(self, points, alphas, hidden=None):
        half = float(self.upper[0] - self.lower[0]) / 2
        y = ((points[:, 0] - self.lower[0]) / half - 1).numpy()
        tables = {}
        for alpha in closure(tuple(alphas)):
            columns = [np.polynomial.chebyshev.chebder(row, alpha[0]) for row in np.eye(self.width)]
            values = [np.polynomial.chebyshev.chebval(y, c) / half ** alpha[0] for c in columns]
            tables[alpha] = torch.as_tensor(np.stack(values, axis=1))
        return {alpha: tables[alpha] for alpha in alphas}

    def settings(self):
        return {"kind": self.kind, "width": self.width}

    def describe(self):
        return f"Chebyshev polynomials, width {self.width}"

    @classmethod
    def create(cls, settings, lower, upper, seed):
        return cls(settings["width"], lower, upper)

    @classmethod
    def restore(cls, settings, hidden, lower, upper):
        return cls(settings["width"], lower, upper)


@pytest.mark.usefixtures("clean_registry")
def test_a_basis_from_outside_solves_and_is_saved(tmp_path):
    ps.register_basis("chebyshev", Chebyshev)
    problem = ps.load("logistic")
    solution = ps.solve(problem, basis={"kind": "chebyshev", "width": 40})
    assert solution.result["basis"].startswith("Chebyshev")
    assert solution.result["relative_l2_error"]["u"] < 1e-8
    solution.save(tmp_path / "run")
    again = ps.load_solution(tmp_path / "run")
    at = np.linspace(*problem.intervals[0], 7)
    name = problem.coordinates[0]
    assert np.array_equal(again(**{name: at}), solution(**{name: at}))
