"""A basis registered from outside is refined to a tolerance, used in an inverse problem, and marched in time."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

import pinnsolve as ps
from pinnsolve import extensions
from pinnsolve.adapt import basis_slabs
from pinnsolve.bases.base import Basis, check_alphas
from pinnsolve.bases.time_slabs import TimeSlabs
from pinnsolve.solvers.budget import OutOfTime

KIND = "tensor_chebyshev"


class TensorChebyshev(Basis):
    """Products of Chebyshev polynomials up to a degree in every coordinate."""

    kind = KIND
    smoothness = 4

    def __init__(self, lower, upper, degree):
        self.lower, self.upper, self.degree, self.hidden = lower, upper, degree, {}
        self.width = (degree + 1) ** len(lower)

    def derivatives(self, points, alphas, hidden=None):
        check_alphas(tuple(alphas), self.dimension, self.smoothness, "this basis")
        return {alpha: self._table(points, alpha) for alpha in alphas}

    def _table(self, points, alpha):
        table = points.new_ones(len(points), 1)
        for a, order in enumerate(alpha):
            half = 0.5 * (self.upper[a] - self.lower[a])
            s = (points[:, a] - self.lower[a]) / half - 1
            rows = [torch.ones_like(s), s]
            for _ in range(self.degree - 1):
                rows.append(2 * s * rows[-1] - rows[-2])
            values = torch.stack(rows[: self.degree + 1], dim=1)
            for _ in range(order):
                values = values @ self._differentiation().to(values) / half
            table = (table[:, :, None] * values[:, None, :]).flatten(1)
        return table

    def _differentiation(self):
        """(n, n): T_j' is the sum over i of D[i, j] T_i."""
        columns = [np.polynomial.chebyshev.chebder(np.eye(self.degree + 1)[j]) for j in range(self.degree + 1)]
        D = np.zeros((self.degree + 1, self.degree + 1))
        for j, column in enumerate(columns):
            D[: len(column), j] = column
        return torch.from_numpy(D)

    def refined(self):
        return TensorChebyshev(self.lower, self.upper, self.degree + 3)

    def settings(self):
        return {"kind": KIND, "degree": self.degree}

    def describe(self):
        return f"Chebyshev polynomials of degree {self.degree}"

    @classmethod
    def create(cls, settings, lower, upper, seed):
        return cls(lower, upper, settings.get("degree") or 4)

    @classmethod
    def restore(cls, settings, hidden, lower, upper):
        return cls(lower, upper, settings["degree"])


@pytest.fixture(autouse=True)
def registered(monkeypatch):
    monkeypatch.setitem(extensions.BASES, KIND, TensorChebyshev)


def solved(statement: dict, tolerance: float, **settings) -> ps.Solution:
    problem = ps.Problem(**statement, solve={"basis": {"kind": KIND}, "collocation": {"sampling": "chebyshev"}})
    return ps.solve(problem, tolerance=tolerance, **settings)


def check_errors(solution: ps.Solution, tolerance: float, factor: float) -> None:
    """The tolerance is met in truth, and the estimate is within a factor of the truth."""
    result = solution.result
    assert result["status"] == "converged", result["message"]
    for name, true in result["relative_l2_error"].items():
        assert true <= tolerance
        assert true / factor <= result["estimated_error"][name] <= max(factor * true, tolerance)


POISSON = {
    "name": "poisson",
    "domain": ps.Box(x=(0, 1), y=(0, 1)),
    "unknowns": "u",
    "equations": {"e": "laplacian(u) = -5*pi**2*sin(pi*x)*sin(2*pi*y)"},
    "conditions": {"walls": ps.Condition(on="boundary", equation="u = 0")},
    "exact": {"u": "sin(pi*x)*sin(2*pi*y)"},
}


@pytest.mark.parametrize("tolerance", [1e-3, 1e-6])
def test_it_is_refined_to_a_tolerance(tolerance):
    solution = solved(POISSON, tolerance)
    check_errors(solution, tolerance, 5)
    assert solution.basis.kind == KIND and solution.basis.degree > 4


def test_refinements_are_counted_and_the_estimate_of_what_is_reached_is_honest():
    result = solved(POISSON, 1e-9, limits={"refinements": 1}).result
    assert result["status"] == "tolerance_not_reached"
    assert result["estimated_error"]["u"] >= 0.3 * result["relative_l2_error"]["u"]


ADVECTION = {
    "name": "advection",
    "domain": ps.Box(t=(0, 6), x=(-1, 1)),
    "unknowns": "u",
    "equations": {"e": "D(u, t) + D(u, x) = 0"},
    "conditions": {
        "start": ps.Condition(on="t = 0", equation="u = sin(5*x)"),
        "inflow": ps.Condition(on="x = -1", equation="u = sin(5*(-1 - t))"),
    },
    "exact": {"u": "sin(5*(x - t))"},
}
WAVE = {
    "name": "wave",
    "domain": ps.Box(t=(0, 8), x=(0, 1)),
    "unknowns": "u",
    "equations": {"e": "D(u, t, t) = D(u, x, x)"},
    "conditions": {
        "start": ps.Condition(on="t = 0", equation="u = sin(pi*x)"),
        "rate": ps.Condition(on="t = 0", equation="D(u, t) = 0"),
        "ends": ps.Condition(on="boundary", equation="u = 0"),
    },
    "exact": {"u": "sin(pi*x)*cos(pi*t)"},
}


@pytest.mark.parametrize("statement", [ADVECTION, WAVE], ids=["advection", "wave"])
def test_it_marches_where_one_over_the_whole_time_does_not_do(statement, tmp_path):
    solution = solved(statement, 1e-6)
    check_errors(solution, 1e-6, 8)
    assert "time slabs" in solution.result["method"] and "time slabs" in solution.result["basis"]
    solution.save(tmp_path / "run")
    again = ps.load_solution(tmp_path / "run")
    t = np.linspace(*solution.intervals[0], 41)
    x = np.full_like(t, 0.3)
    assert np.array_equal(again(t=t, x=x), solution(t=t, x=x))
    rate = solution.derivative("u", "t")(t=t, x=x)
    exact = -5 * np.cos(5 * (x - t)) if statement is ADVECTION else -math.pi * np.sin(math.pi * x) * np.sin(math.pi * t)
    assert np.abs(rate - exact).max() < 1e-3
    jumps = [np.diff(solution(t=[end - 1e-9, end + 1e-9], x=0.3)) for end in solution.basis.ends.tolist()[:-1]]
    assert np.abs(jumps).max() < 1e-5


def test_it_finds_an_unknown_parameter_from_data(tmp_path):
    random = np.random.default_rng(2)
    x = random.uniform(0, 1, 60)
    kappa, noise = 0.7, 1e-3
    m = np.sin(np.pi * x) / kappa + noise * random.standard_normal(60)
    np.savetxt(tmp_path / "data.csv", np.stack([x, m], axis=1), delimiter=",", header="x,m", comments="")
    problem = ps.Problem(
        name="sought",
        domain=ps.Box(x=(0, 1)),
        unknowns="u",
        equations={"e": "kappa*D(u, x, x) = -pi**2*sin(pi*x)"},
        conditions={"ends": ps.Condition(on="boundary", equation="u = 0")},
        unknown_parameters={"kappa": {"guess": 1.0, "bounds": [0.1, 10]}},
        data={"readings": {"file": "data.csv", "equation": "u = m", "noise": noise}},
        exact={"u": f"sin(pi*x)/{kappa}"},
        folder=tmp_path,
        solve={"basis": {"kind": KIND}},
    )
    solution = ps.solve(problem, tolerance=1e-2)
    found = solution.result["parameters"]["kappa"]
    assert solution.basis.kind == KIND
    assert 0 < found["standard_error"] < 1e-3
    assert abs(found["value"] - kappa) < 4 * found["standard_error"]
    true, estimated = (solution.result[key]["u"] for key in ("relative_l2_error", "estimated_error"))
    assert solution.result["status"] == "converged" and true < 1e-2 and estimated > true / 4


def test_a_march_that_runs_out_of_time_is_honest_of_what_there_is(monkeypatch):
    whole = basis_slabs._corrected

    def once(inside, family, result, length):
        if inside.problem.intervals[0][0] > 0:
            raise OutOfTime
        return whole(inside, family, result, length)

    monkeypatch.setattr(basis_slabs, "_corrected", once)
    solution = solved({**WAVE, "domain": ps.Box(t=(0, 12), x=(0, 1))}, 1e-8, limits={"seconds": 1000})
    true, estimated = (solution.result[key]["u"] for key in ("relative_l2_error", "estimated_error"))
    assert solution.result["status"] == "time_limit" and estimated > true / 4


def test_slabs_are_one_function_of_all_of_the_time():
    low, high = torch.tensor([0.0, -1.0]).double(), torch.tensor([3.0, 1.0]).double()
    ends = [(0.0, 1.0), (1.0, 2.0)]
    boxes = [(torch.tensor([a, -1.0]).double(), torch.tensor([b, 1.0]).double()) for a, b in ends]
    basis = TimeSlabs([TensorChebyshev(*box, 3) for box in boxes], 0, low, high)
    generator = torch.Generator().manual_seed(0)
    c = torch.randn(2, basis.width, generator=generator, dtype=torch.float64)
    x = torch.rand(200, 2, generator=generator, dtype=torch.float64) * (high - low) + low
    alphas = [(0, 0), (1, 0), (0, 2)]
    combined, tables = basis.combined(x, alphas, c), basis.derivatives(x, alphas)
    again = TimeSlabs.restore(basis.settings(), basis.hidden, low, high)
    for alpha in alphas:
        assert torch.allclose(combined[alpha], c @ tables[alpha].T, rtol=1e-12, atol=1e-12)
        assert torch.equal(again.combined(x, alphas, c)[alpha], combined[alpha])
    beyond, at_end = x[x[:, 0] > 2], x[x[:, 0] > 2].clone()
    at_end[:, 0] = 2.0
    assert torch.equal(basis.combined(beyond, [(0, 0)], c)[(0, 0)], basis.combined(at_end, [(0, 0)], c)[(0, 0)])
    assert not basis.combined(beyond, [(1, 0)], c)[(1, 0)].any()
