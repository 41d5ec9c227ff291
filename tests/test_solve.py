"""Problems solved from end to end: what comes out is right, says how right it is, and comes out the same again."""

from __future__ import annotations

import json
import math
from functools import cache

import numpy as np
import pytest
import sympy as sp
import torch

import pinnsolve as ps
from pinnsolve.errors import ProblemError

KNOWN = {
    "poisson": {
        "domain": ps.Box(x=(0, 1), y=(0, 1)),
        "unknowns": "u",
        "equations": {"poisson": "laplacian(u) = -2*pi**2*sin(pi*x)*sin(pi*y)"},
        "conditions": {"walls": ps.Condition(on="boundary", equation="u = 0")},
        "exact": {"u": "sin(pi*x)*sin(pi*y)"},
    },
    "logistic": {
        "domain": ps.Box(t=(0, 5)),
        "unknowns": "u",
        "equations": {"growth": "D(u, t) = u*(1 - u)"},
        "conditions": {"start": ps.Condition(on="t = 0", equation="u = 0.1")},
        "exact": {"u": "1/(1 + 9*exp(-t))"},
    },
    "rotation": {
        "domain": ps.Box(t=(0, 6)),
        "unknowns": ["u", "v"],
        "equations": {"a": "D(u, t) = v", "b": "D(v, t) = -u"},
        "conditions": {"start": ps.Condition(on="t = 0", equations=["u = 0", "v = 1"])},
        "exact": {"u": "sin(t)", "v": "cos(t)"},
    },
    "ring": {
        "domain": ps.Box(t=(0, 1), x=(0, 2 * sp.pi)),
        "unknowns": "u",
        "equations": {"transport": "D(u, t) + D(u, x) = 0"},
        "conditions": {
            "start": ps.Condition(on="t = 0", equation="u = sin(x)"),
            "ring": ps.Condition(periodic="x"),
        },
        "exact": {"u": "sin(x - t)"},
    },
}
TRUTH = {
    "poisson": {"u": lambda x, y: np.sin(np.pi * x) * np.sin(np.pi * y)},
    "logistic": {"u": lambda t: 1 / (1 + 9 * np.exp(-t))},
    "rotation": {"u": np.sin, "v": np.cos},
    "ring": {"u": lambda t, x: np.sin(x - t)},
}
names = pytest.mark.parametrize("name", KNOWN)
SMALL = {"basis": {"width": 12, "activation": "tanh"}, "method": "varpro", "optimizer": {"steps": 6}}


def problem(name: str, **changes) -> ps.Problem:
    return ps.Problem(**{"name": name, "cite": ["A book"], **KNOWN[name], **changes})


@cache
def solved(name: str, precision: str = "float64") -> ps.Solution:
    return ps.solve(problem(name), tolerance=1e-9 if precision == "float64" else 1e-3, precision=precision)


@cache
def small(name: str = "logistic") -> ps.Solution:
    """A coarse solution, of an error well above rounding."""
    return ps.solve(problem(name), **SMALL)


def measured(solution: ps.Solution, count: int = 4000) -> dict[str, float]:
    """Relative L2 errors on points of our own, by calling the solution."""
    random = np.random.default_rng(12)
    points = {
        c: low + (high - low) * random.random(count)
        for c, (low, high) in zip(solution.coordinates, solution.intervals, strict=True)
    }
    values = solution(**points)
    found = {}
    for unknown, truth in TRUTH[solution.name].items():
        true = truth(**points) if len(points) > 1 else truth(points[solution.coordinates[0]])
        mine = values[unknown] if isinstance(values, dict) else values
        found[unknown] = float(np.linalg.norm(mine - true) / np.linalg.norm(true))
    return found


# -- the answer and its error -------------------------------------------------------------------------------


@names
def test_a_problem_is_solved_to_its_tolerance(name):
    solution = solved(name)
    result = solution.result
    assert result["status"] == "converged" and "meets the tolerance" in result["message"]
    assert max(measured(solution).values()) < 1e-9
    assert max(result["estimated_error"].values()) <= 1e-9
    assert result["reference"] == "exact"


@names
@pytest.mark.parametrize("which", ["default", "coarse"])
def test_the_error_reported_is_that_of_the_solution(name, which):
    """On unseen points of the solve's own, so equal to ours up to sampling."""
    solution = solved(name) if which == "default" else small(name)
    found, reported = measured(solution), solution.result["relative_l2_error"]
    assert set(found) == set(reported)
    for unknown, error in found.items():
        assert reported[unknown] == pytest.approx(error, rel=0.3)


@names
def test_the_error_estimated_is_near_the_true_one(name):
    solution = ps.solve(problem(name), method="least_squares", basis={"width": 30, "activation": "sin", "scale": 3.0})
    true, estimated = solution.result["relative_l2_error"], solution.result["estimated_error"]
    for unknown, error in true.items():
        assert estimated[unknown] == pytest.approx(error, rel=1.0) or error < 1e-12


@names
def test_single_precision(name):
    solution = solved(name, "float32")
    assert solution.coefficients.dtype == torch.float32
    assert solution.result["status"] == "converged"
    assert 1e-9 < max(measured(solution).values()) < 1e-3


def test_from_a_file(tmp_path):
    text = """\
        name: file
        coordinates: {x: [0, 1]}
        unknowns: u
        equations: {bend: "D(u, x, x) = where(x < 0.5, 1, 1)*exp(x)"}
        conditions: {ends: {on: ["x = 0", "x = 1"], equation: "u = exp(x)"}}
        solve: {tolerance: 1e-7, seed: 3}
        """
    (tmp_path / "file.yaml").write_text("\n".join(line[8:] for line in text.splitlines()))
    solution = ps.solve(ps.load(tmp_path / "file.yaml", ["solve.tolerance=1e-8"]))
    x = np.linspace(0, 1, 30)
    np.testing.assert_allclose(solution(x=x), np.exp(x), rtol=1e-8)
    np.testing.assert_allclose(solution.derivative("u", "x")(x=x), np.exp(x), rtol=1e-6)
    assert (solution.result["tolerance"], solution.result["seed"]) == (1e-8, 3)
    assert "relative_l2_error" not in solution.result and "reference" not in solution.result


def test_a_tolerance_out_of_reach_is_said_to_be():
    kinked = problem("poisson", equations={"poisson": "laplacian(u) = abs(x - 0.3)"}, exact=None)
    solution = ps.solve(kinked, tolerance=1e-12, limits={"refinements": 0})
    assert solution.result["status"] == "tolerance_not_reached"
    message = solution.result["message"]
    assert "above the tolerance 1e-12" in message and ("`poisson`" in message or "`walls`" in message)


@names
def test_too_few_points_are_no_convergence(name):
    """Three points can be met exactly by any number of functions, and say nothing."""
    solution = ps.solve(problem(name), collocation={"interior": 3, "boundary": 1})
    assert max(measured(solution).values()) > 0.1
    assert solution.result["status"] == "tolerance_not_reached"
    assert max(solution.result["estimated_error"].values()) > 0.1


# -- what is reported ---------------------------------------------------------------------------------------

KEYS = {
    "problem", "status", "message", "relative_l2_error", "reference", "estimated_error", "wall_time_s",
    "unknown_coefficients", "terms", "parameters", "method", "basis", "seed", "version", "cite",
}  # fmt: skip


@names
def test_the_result_has_every_key_of_the_language(name, tmp_path):
    solution = solved(name)
    assert set(solution.result) >= KEYS
    solution.save(tmp_path)

    def refuse(constant):
        raise AssertionError(f"{constant} is no JSON")

    result = json.loads((tmp_path / "result.json").read_text(), parse_constant=refuse)
    assert set(result) >= KEYS
    assert result == json.loads(json.dumps(solution.result, allow_nan=False))
    assert (result["problem"], result["cite"], result["version"]) == (name, ["A book"], ps.__version__)
    assert result["wall_time_s"] > 0
    assert result["unknown_coefficients"] == solution.coefficients.numel()
    assert set(result["terms"]) == {s.name for s in problem(name).statements}
    for term in result["terms"].values():
        assert term["weight"] > 0 and term["points"] >= 1 and 0 <= term["rms_residual"] < 1e-5
    assert result["basis"] == solution.basis.describe() and "least_squares" in result["method"]
    assert solution.history and all(math.isfinite(r["loss"]) for r in solution.history)
    again = ps.load_solution(tmp_path)
    assert torch.equal(again.coefficients, solution.coefficients)


def test_the_residuals_reported_are_those_of_the_solution():
    solution = small()
    t = np.linspace(0, 5, 4001)
    u, rate = solution(t=t), solution.derivative("u", "t")(t=t)
    rms = np.sqrt(np.mean((rate - u * (1 - u)) ** 2))
    assert solution.result["terms"]["growth"]["rms_residual"] == pytest.approx(rms, rel=0.1)
    start = abs(float(solution(t=0.0)) - 0.1)
    assert solution.result["terms"]["start"]["rms_residual"] == pytest.approx(start, rel=1e-6)


def test_term_weights_may_depend_on_the_width():
    weighted = ps.solve(problem("logistic"), **SMALL | {"term_weights": {"growth": "W**(-0.5)/3"}})
    terms = weighted.result["terms"]
    assert terms["growth"]["weight"] == pytest.approx(12**-0.5 / 3)
    assert terms["start"]["weight"] == 1.0
    heavy = ps.solve(problem("logistic"), **SMALL | {"term_weights": {"start": 1e6, "growth": 1e-6}})
    terms = heavy.result["terms"]
    assert terms["start"]["rms_residual"] < 1e-6 * terms["growth"]["rms_residual"]


# -- settings -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"toleranse": 1e-3}, "did you mean `tolerance`"),
        ({"tolerance": -1}, "solve.tolerance"),
        ({"method": "lsdg"}, "did you mean `lsgd`"),
        ({"basis": {"kind": "nope"}}, "unknown kind of basis"),
        ({"basis": {"width": 0}}, "solve.basis.width"),
        ({"term_weights": {"nope": 1}}, "no term `nope`"),
        ({"term_weights": {"growth": "W*("}}, "solve.term_weights.growth"),
        ({"limits": {"seconds": -1}}, "solve.limits.seconds"),
        ({"optimizer": {"name": "adamm"}}, "did you mean `adam`"),
        ({"precision": "float16"}, "solve.precision"),
        ({"seed": 1.5}, "solve.seed"),
        ({"collocation": {"interior": 0}}, "solve.collocation.interior"),
    ],
)
def test_settings_that_are_wrong_are_refused(settings, words):
    with pytest.raises(ProblemError, match="solve") as caught:
        ps.solve(problem("logistic"), **settings)
    assert words in str(caught.value)


def test_all_that_is_wrong_is_said_at_once():
    with pytest.raises(ProblemError) as caught:
        ps.solve(problem("logistic"), tolerance=0, method="no", seed="no")
    assert {d.key for d in caught.value.diagnostics} >= {"solve.tolerance", "solve.method"}


def test_relu_is_refused_where_second_derivatives_are_needed():
    with pytest.raises(ProblemError, match=r"`relu` has no second derivatives"):
        ps.solve(problem("poisson"), basis={"activation": "relu"})


def test_memory_that_would_not_do_is_refused():
    with pytest.raises(ps.ResourceError, match=r"GB.*limits.memory_gb"):
        ps.solve(problem("logistic"), limits={"memory_gb": 1e-6})


def test_solving_leaves_the_problem_as_it_was():
    p = problem("logistic")
    before = p.spec
    ps.solve(p, **SMALL)
    assert p.spec == before and p.spec.solve.basis is None


# -- the same again -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("method", ["least_squares", "lsgd", "varpro", "gd"])
def test_the_seed_decides_bit_for_bit(method):
    settings = {**SMALL, "method": method}
    first, again, other = (ps.solve(problem("rotation"), **settings, seed=seed) for seed in (5, 5, 6))
    assert torch.equal(first.coefficients, again.coefficients)
    assert all(torch.equal(first.basis.hidden[n], again.basis.hidden[n]) for n in first.basis.hidden)
    assert [r["loss"] for r in first.history] == [r["loss"] for r in again.history]
    clock = {"wall_time_s": 0, "date": ""}
    assert {**first.result, **clock} == {**again.result, **clock}
    assert not torch.equal(first.coefficients, other.coefficients)
    assert first.result["seed"] == 5


def test_a_default_solve_is_the_same_again():
    first, again = ps.solve(problem("ring")), ps.solve(problem("ring"))
    assert torch.equal(first.coefficients, again.coefficients)


# -- stopping and going on ----------------------------------------------------------------------------------


def test_without_any_answer_in_time_the_error_says_so():
    with pytest.raises(ps.PinnsolveError, match="before there was any answer"):
        ps.solve("poisson-many-subdomains", limits={"seconds": 0.01})


def test_the_time_limit_stops_a_long_solve():
    settings = {"method": "gd", "basis": {"width": 10, "activation": "tanh"}, "optimizer": {"steps": 1_000_000}}
    solution = ps.solve(problem("logistic"), **settings, limits={"seconds": 0.3})
    result = solution.result
    assert result["status"] == "time_limit" and "0.3 s" in result["message"]
    assert solution.history[-1]["seconds"] >= 0.3
    assert 0 < solution.history[-1]["step"] < 1_000_000


class Interrupted:
    """A progress callback that presses Ctrl-C at the n-th record."""

    def __init__(self, at: int):
        self.left = at

    def __call__(self, record: dict) -> None:
        self.left -= 1
        if self.left == 0:
            raise KeyboardInterrupt


GROWING = {"method": "least_squares", "tolerance": 1e-14}


@pytest.mark.parametrize("settings", [GROWING, SMALL, {**SMALL, "method": "lsgd"}], ids=["growing", "varpro", "lsgd"])
@pytest.mark.parametrize("at", [1, 2, 6])
def test_an_interrupt_keeps_what_there_is(settings, at):
    solution = ps.solve(problem("logistic"), progress=Interrupted(at), **settings)
    assert solution.result["status"] == "interrupted" and "interrupted" in solution.result["message"]
    assert len(solution.history) == at
    best = min(r["loss"] for r in solution.history)
    assert np.isfinite(solution(t=np.linspace(0, 5, 9))).all()
    if "basis" in settings:
        assert best < 0.1 and max(measured(solution).values()) < 1


def test_progress_is_told_every_record():
    told = []
    solution = ps.solve(problem("logistic"), progress=told.append, **SMALL)
    assert tuple(told) == solution.history


def test_a_start_is_gone_on_from():
    first = ps.solve(problem("logistic"), **SMALL | {"optimizer": {"steps": 2}})
    second = ps.solve(problem("logistic"), start=first, **SMALL | {"optimizer": {"steps": 30}})
    assert second.history[0]["loss"] <= 1.001 * first.history[-1]["loss"]
    assert second.history[-1]["loss"] < 0.1 * first.history[-1]["loss"]
    assert second.basis.describe() == first.basis.describe()
    assert max(measured(second).values()) < max(measured(first).values())


def test_a_solution_that_was_saved_is_gone_on_from(tmp_path):
    small().save(tmp_path)
    settings = SMALL | {"optimizer": {"steps": 3}}
    from_disk = ps.solve(problem("logistic"), start=ps.load_solution(tmp_path), **settings)
    assert torch.equal(from_disk.coefficients, ps.solve(problem("logistic"), start=small(), **settings).coefficients)


# -- what cannot be solved ----------------------------------------------------------------------------------


@pytest.mark.parametrize("method", ["auto", "least_squares", "lsgd", "varpro", "gd"])
def test_a_term_that_is_not_finite_is_named(method, tmp_path):
    changes = {"equations": {"growth": "D(u, t) = log(t - 9)"}, "exact": None}
    solution = ps.solve(problem("logistic", **changes), **SMALL | {"method": method} if method != "auto" else {})
    assert solution.result["status"] == "diverged"
    assert "term `growth` is not finite" in solution.result["message"]
    solution.save(tmp_path)
    json.loads((tmp_path / "result.json").read_text(), parse_constant=pytest.fail)


def test_a_condition_narrowed_to_nothing_is_named():
    nowhere = {"start": ps.Condition(on="t = 0", equation="u = 0.1", where="t > 1")}
    result = ps.solve(problem("logistic", conditions=nowhere)).result
    assert result["status"] != "converged"
    assert "no point of the solve lies where `start` holds" in result["message"]


def test_what_a_march_reached_is_the_answer_and_not_a_network_on_all_of_the_time():
    """u = 1/(1 - t) leaves all bounds at t = 1."""
    problem = ps.Problem(
        name="blowup",
        domain=ps.Box(t=(0, 1.5)),
        unknowns="u",
        equations={"growth": "D(u, t) = u**2"},
        conditions={"start": ps.Condition(on="t = 0", equation="u = 1")},
    )
    solution = ps.solve(problem, tolerance=1e-6, limits={"refinements": 0})
    assert solution.result["status"] == "tolerance_not_reached" and "time slabs" in solution.result["method"]
    assert "stalled at 1," in solution.result["message"] and "last values are repeated" in solution.result["message"]
    assert float(solution(t=0.5)) == pytest.approx(2.0, rel=1e-5) and solution.result["estimated_error"]["u"] == 1.0
