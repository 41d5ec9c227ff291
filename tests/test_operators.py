"""What is added from outside: custom linear operators and custom bases, from Python and on the command line."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import sympy as sp
import torch

import pinnsolve as ps
from pinnsolve import extensions
from pinnsolve.errors import PinnsolveError, ProblemError
from pinnsolve.figures.drawer import Drawer
from pinnsolve.figures.samples import Drawn
from pinnsolve.language import operators

PROBLEMS = Path(__file__).resolve().parents[1] / "problems"


@pytest.fixture(autouse=True)
def registries():
    """Both registries as they were, after every test."""
    before = dict(operators.OPERATORS), dict(extensions.BASES)
    yield
    for now, then in zip((operators.OPERATORS, extensions.BASES), before, strict=True):
        now.clear()
        now.update(then)


def quadrature(count: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Gauss-Legendre nodes and weights on [0, 1]."""
    nodes, shares = np.polynomial.legendre.leggauss(count)
    return torch.from_numpy((nodes + 1) / 2), torch.from_numpy(shares / 2)


def values(basis, points):
    return basis.derivatives(points, [(0,)])[(0,)]


def register_mean():
    @ps.operator("average")
    def mean(basis, points):
        """The integral over [0, 1], the same at every point."""
        s, ds = quadrature(24)
        return (ds @ values(basis, s.to(points)[:, None]).double()).expand(len(points), -1)

    return mean


def register_memory():
    @ps.operator("memory")
    def memory(basis, points):
        """The integral from 0 to t."""
        s, ds = quadrature(24)
        at = (points * s.to(points)).reshape(-1, 1)
        return points * torch.einsum("q,nqw->nw", ds.to(points), values(basis, at).reshape(len(points), len(s), -1))

    return memory


def fredholm(**changes) -> ps.Problem:
    """u = x + lambda * integral of u: with lambda = 1/2, u = x + 1/2."""
    statement = {
        "name": "fredholm",
        "domain": ps.Box(x=(0, 1)),
        "unknowns": "u",
        "equations": {"e": "u = x + average(u)/2"},
        "exact": {"u": "x + 1/2"},
    }
    return ps.Problem(**{**statement, **changes})


def volterra(equation="u = 1 + memory(u)", exact="exp(t)", **changes) -> ps.Problem:
    return ps.Problem(
        name="volterra",
        domain=ps.Box(t=(0, 2)),
        unknowns="u",
        equations={"e": equation},
        exact={"u": exact},
        **changes,
    )


def error(solution: ps.Solution, truth) -> float:
    low, high = solution.intervals[0]
    x = np.linspace(low, high, 501)
    true = truth(x)
    return float(np.linalg.norm(solution(**{solution.coordinates[0]: x}) - true) / np.linalg.norm(true))


# -- operators ----------------------------------------------------------------------------------------------


def test_a_fredholm_equation_in_python():
    register_mean()
    solution = ps.solve(fredholm())
    assert solution.result["status"] == "converged"
    assert error(solution, lambda x: x + 0.5) < 1e-10


def test_a_volterra_equation_in_python():
    register_memory()
    solution = ps.solve(volterra())
    assert solution.result["status"] == "converged"
    assert error(solution, np.exp) < 1e-10


def test_an_operator_is_called_like_a_function_of_sympy():
    memory = register_memory()
    t = ps.coordinates("t")
    u = ps.unknown("u", t)
    equation = sp.Eq(u.diff(t) + 4 * memory(u), 0)
    start = {"start": ps.Condition(on=sp.Eq(t, 0), equation=sp.Eq(u, 1))}
    domain = ps.Box(t=(0, 2))
    problem = ps.Problem(name="p", domain=domain, unknowns=[u], equations={"e": equation}, conditions=start)
    assert error(ps.solve(problem), lambda t: np.cos(2 * t)) < 1e-9


def test_a_nonlinear_equation_with_an_operator():
    """u + memory(u)**2 = exp(t) + (exp(t) - 1)**2 has the solution exp(t)."""
    register_memory()
    solution = ps.solve(volterra("u + memory(u)**2 = exp(t) + (exp(t) - 1)**2"))
    assert solution.result["status"] == "converged"
    assert error(solution, np.exp) < 1e-8


@pytest.mark.parametrize("method", ["lsgd", "varpro", "gd"])
def test_hidden_parameters_move_under_an_operator(method):
    register_memory()
    settings = {"method": method, "basis": {"width": 6, "activation": "tanh"}, "optimizer": {"steps": 12}}
    solution = ps.solve(volterra(), **settings)
    losses = [record["loss"] for record in solution.history]
    assert min(losses) < 0.9 * losses[0]
    if method != "gd":
        assert error(solution, np.exp) < 1e-2


def test_an_operator_in_single_precision():
    register_mean()  # which answers in double precision
    solution = ps.solve(fredholm(), precision="float32", tolerance=1e-4)
    assert solution.coefficients.dtype == torch.float32
    assert error(solution, lambda x: x + 0.5) < 1e-4


WRONG = {
    "transposed": (lambda basis, x: values(basis, x).T, r"\(points, width\) = \(\d+, 64\), got \(64, \d+\)"),
    "one column": (lambda basis, x: values(basis, x)[:, 0], r"got \(\d+,\)"),
    "one row": (lambda basis, x: values(basis, x)[:1], r"got \(1, 64\)"),
    "numpy": (lambda basis, x: values(basis, x).numpy(), "got ndarray"),
    "nothing": (lambda basis, x: None, "got NoneType"),
}


@pytest.mark.parametrize(("apply", "words"), WRONG.values(), ids=WRONG)
def test_a_wrong_shape_is_named(apply, words):
    ps.operator("average")(apply)
    with pytest.raises(PinnsolveError, match=f"operator `average` must return a tensor of shape .*{words}"):
        ps.solve(fredholm())


@pytest.mark.parametrize("equation", ["u = x + average(2*u)", "u = x + average(D(u, x))", "u = x + D(average(u), x)"])
def test_what_an_operator_cannot_be_asked_is_refused(equation):
    register_mean()
    with pytest.raises(ProblemError, match="average"):
        fredholm(equations={"e": equation})


def test_an_operator_nobody_registered_is_refused():
    with pytest.raises(ProblemError, match=r"(?s)`average`.*--operators"):
        fredholm()


@pytest.mark.parametrize("name", ["sin", "D", "2x", "a b", "", None])
def test_names_that_cannot_be_called_are_refused(name):
    with pytest.raises(PinnsolveError, match="name"):
        ps.operator(name)
    assert name not in operators.OPERATORS


def test_relu_is_refused_where_an_operator_takes_second_derivatives():
    ps.operator("bend", order=2)(lambda basis, x: basis.derivatives(x, [(2,)])[(2,)])
    problem = fredholm(equations={"e": "u + bend(u) = x"})
    with pytest.raises(ProblemError, match=r"`relu` has no second derivatives, and `e` needs bend\(u\)"):
        ps.solve(problem, basis={"activation": "relu"})


@pytest.mark.parametrize("method", ["auto", "lsgd", "varpro"])
def test_a_smooth_activation_is_chosen_where_an_operator_takes_second_derivatives(method):
    ps.operator("bend", order=2)(lambda basis, x: basis.derivatives(x, [(2,)])[(2,)])
    problem = fredholm(equations={"e": "u + bend(u) = x"}, exact=None)
    solution = ps.solve(problem, method=method, basis={"kind": "mlp", "width": 10}, optimizer={"steps": 2})
    assert "tanh" in solution.result["basis"]


# -- on the command line ------------------------------------------------------------------------------------


@pytest.fixture
def quick_figures(monkeypatch):
    monkeypatch.setattr(Drawer, "draw", lambda self, samples, folder: Drawn())


@pytest.mark.parametrize(("name", "truth"), [("fredholm", np.exp), ("volterra", np.sin)])
def test_a_problem_file_with_operators(name, truth, command, tmp_path, quick_figures):
    run = tmp_path / "run"
    file, module = PROBLEMS / f"{name}.yaml", PROBLEMS / "operators" / f"{name}.py"
    code, out, _ = command("run", str(file), "--operators", str(module), "--out", str(run), "--json")
    result = json.loads(out)
    assert code == 0 and result["status"] == "converged"
    assert result["relative_l2_error"]["u"] < 1e-10
    operators.OPERATORS.clear()  # a solution needs none of them
    assert error(ps.load_solution(run), truth) < 1e-10


def test_a_problem_file_without_its_operators_is_refused(command):
    code, _, err = command("run", str(PROBLEMS / "fredholm.yaml"))
    assert code == 2 and "kernel_integral" in err and "--operators" in err


def test_an_operator_of_a_wrong_shape_ends_in_a_sentence(command, tmp_path, quick_figures):
    operators = tmp_path / "mine.py"
    operators.write_text("import pinnsolve as ps\n@ps.operator('kernel_integral')\ndef k(basis, x):\n    return x\n")
    file = PROBLEMS / "fredholm.yaml"
    code, _, err = command("run", str(file), "--operators", str(operators), "--out", str(tmp_path / "run"))
    assert code != 0
    assert "kernel_integral" in err and "(points, width)" in " ".join(err.split())


# -- bases --------------------------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class Chebyshev(ps.Basis):
    """T_0 .. T_{W-1} on an interval; derivatives by those of the polynomials."""

    kind = "chebyshev"
    lower: torch.Tensor
    upper: torch.Tensor
    width: int
    hidden: Mapping[str, torch.Tensor]
    smoothness: int = 4

    def derivatives(self, points: torch.Tensor, alphas: Sequence, hidden=None) -> dict:
        span = self.upper - self.lower
        s = (2 * (points - self.lower) / span - 1)[:, 0]
        found = {}
        for alpha in alphas:
            series = np.polynomial.chebyshev.chebder(np.eye(self.width), alpha[0], axis=0)
            powers = [torch.ones_like(s), s]
            for _ in range(2, len(series)):
                powers.append(2 * s * powers[-1] - powers[-2])
            table = torch.stack(powers[: len(series)], dim=1)
            found[alpha] = table @ torch.as_tensor(series).to(table) * (2 / span[0]) ** alpha[0]
        return found

    def settings(self) -> dict:
        return {"kind": self.kind, "width": self.width}

    def describe(self) -> str:
        return f"Chebyshev polynomials up to degree {self.width - 1}"

    @classmethod
    def create(cls, settings, lower, upper, seed):
        return cls(lower, upper, settings["width"], {})

    @classmethod
    def restore(cls, settings, hidden, lower, upper):
        return cls(lower, upper, settings["width"], {})


@dataclass(frozen=True, eq=False)
class Waves(ps.Basis):
    """sin(k_j x + b_j), in one coordinate, with hidden parameters that can move and a setting of its own."""

    kind = "waves"
    lower: torch.Tensor
    upper: torch.Tensor
    width: int
    hidden: Mapping[str, torch.Tensor]
    highest: float = 3.0
    smoothness: int = 4

    def derivatives(self, points: torch.Tensor, alphas: Sequence, hidden=None) -> dict:
        hidden = self.hidden if hidden is None else hidden
        phase = points * hidden["k"] + hidden["b"]
        return {a: torch.sin(phase + math.pi / 2 * a[0]) * hidden["k"] ** a[0] for a in alphas}

    def settings(self) -> dict:
        return {"kind": self.kind, "width": self.width, "highest": self.highest}

    def describe(self) -> str:
        return f"{self.width} waves"

    @classmethod
    def create(cls, settings, lower, upper, seed):
        generator = torch.Generator().manual_seed(seed)
        random = torch.rand(2, settings["width"], generator=generator, dtype=torch.float64).to(lower)
        hidden = {"k": settings["highest"] * random[0], "b": 2 * math.pi * random[1]}
        return cls(lower, upper, settings["width"], hidden, settings["highest"])

    @classmethod
    def restore(cls, settings, hidden, lower, upper):
        return cls(lower, upper, settings["width"], hidden, settings["highest"])


def beam(basis: dict, **solve) -> ps.Problem:
    """u'' = -u with cos(x) the solution."""
    return ps.Problem(
        name="beam",
        domain=ps.Box(x=(-1, 2)),
        unknowns="u",
        equations={"e": "D(u, x, x) = -u"},
        conditions={"ends": ps.Condition(on="boundary", equation="u = cos(x)")},
        exact={"u": "cos(x)"},
        solve={"basis": basis, **solve},
    )


def test_a_basis_from_outside_solves_a_problem():
    ps.register_basis("chebyshev", Chebyshev)
    solution = ps.solve(beam({"kind": "chebyshev", "width": 24}))
    assert solution.result["status"] == "converged" and solution.result["method"] == "least_squares"
    assert solution.result["basis"] == "Chebyshev polynomials up to degree 23"
    assert error(solution, np.cos) < 1e-12
    x = np.linspace(-1, 2, 50)
    np.testing.assert_allclose(solution.derivative("u", "x", "x")(x=x), -np.cos(x), atol=1e-9)


def test_the_estimate_holds_for_a_basis_from_outside():
    ps.register_basis("chebyshev", Chebyshev)
    result = ps.solve(beam({"kind": "chebyshev", "width": 7})).result
    assert 1e-7 < result["relative_l2_error"]["u"] < 1e-2
    assert result["estimated_error"]["u"] == pytest.approx(result["relative_l2_error"]["u"], rel=0.5)


def test_its_solution_is_saved_and_loaded(tmp_path):
    ps.register_basis("waves", Waves)
    solution = ps.solve(beam({"kind": "waves", "width": 12, "highest": 2.5}, method="least_squares"))
    solution.save(tmp_path / "run")
    again = ps.load_solution(tmp_path / "run")
    x = np.linspace(-1, 2, 30)
    assert np.array_equal(again(x=x), solution(x=x))
    assert isinstance(again.basis, Waves) and again.basis.highest == 2.5
    assert torch.equal(again.basis.hidden["k"], solution.basis.hidden["k"])
    resumed = ps.solve(beam({"kind": "waves", "width": 12, "highest": 2.5}, method="least_squares"), start=again)
    assert error(resumed, np.cos) < 1e-6
    del extensions.BASES["waves"]
    with pytest.raises(PinnsolveError, match="waves"):
        ps.load_solution(tmp_path / "run")(x=x)


@pytest.mark.parametrize("method", ["lsgd", "varpro", "gd"])
def test_hidden_parameters_of_a_basis_from_outside_move(method):
    ps.register_basis("waves", Waves)
    basis = {"kind": "waves", "width": 3, "highest": 5.0}
    solution = ps.solve(beam(basis, method=method, optimizer={"steps": 10}))
    losses = [record["loss"] for record in solution.history]
    assert min(losses) < losses[0] or losses[0] < 1e-20
    start = Waves.create(basis, solution.basis.lower, solution.basis.upper, 0)
    assert not torch.equal(solution.basis.hidden["k"], start.hidden["k"])


def test_a_basis_without_hidden_parameters_cannot_be_moved():
    ps.register_basis("chebyshev", Chebyshev)
    with pytest.raises(PinnsolveError, match="no hidden parameters to move; use method: least_squares"):
        ps.solve(beam({"kind": "chebyshev", "width": 9}, method="lsgd"))


def test_a_kind_nobody_registered_is_refused():
    with pytest.raises(ProblemError, match=r"(?s)unknown kind of basis `chebyshev`.*there are mlp, resnet"):
        beam({"kind": "chebyshev", "width": 9})
