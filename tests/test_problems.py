"""The problem files: each loads, and its exact solution, reference or data agree with its equations.

Residuals are evaluated here with sympy and numpy alone, at points drawn here, so that the solver's sampling and code
generation are not judged by themselves.
"""

from __future__ import annotations

import runpy
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import sympy as sp
from exact_residuals import inside, residuals, worst

from pinnsolve.compiler.compiler import compile_problem
from pinnsolve.compiler.terms import CompiledProblem
from pinnsolve.language.operators import OPERATORS
from pinnsolve.language.symbols import coordinate_symbol
from pinnsolve.problem.build import build_problem
from pinnsolve.problem.problem import Problem
from pinnsolve.spec.spec import load_spec

PROBLEMS = Path(__file__).resolve().parents[1] / "problems"
NAMES = sorted(path.stem for path in PROBLEMS.glob("*.yaml"))
ROUNDING = 1e-10  # of a residual, next to its largest summand
TRUE_PARAMETERS = {"find-the-diffusivity": {"kappa": 0.3}, "find-the-diffusivity-probes": {"kappa": 0.3}}


def having(key: str) -> list[str]:
    return [name for name in NAMES if f"\n{key}:" in (PROBLEMS / f"{name}.yaml").read_text(encoding="utf-8")]


WITH_EXACT = having("exact")


@cache
def load(name: str) -> tuple[Problem, CompiledProblem]:
    return with_operators(name, lambda: _load(name))


def _load(name: str) -> tuple[Problem, CompiledProblem]:
    problem = build_problem(load_spec(PROBLEMS / f"{name}.yaml"))
    return problem, compile_problem(problem)


def with_operators(name: str, action):
    """What `action()` gives while the problem's custom operators are registered, and no longer."""
    before, file = dict(OPERATORS), PROBLEMS / "operators" / f"{name}.py"
    try:
        if file.exists():
            runpy.run_path(str(file))
        return action()
    finally:
        OPERATORS.clear()
        OPERATORS.update(before)


# -- residuals of the exact solution ------------------------------------------------------------------------


@pytest.mark.parametrize("name", WITH_EXACT)
def test_the_exact_solution_leaves_no_residual(name):
    problem, compiled = load(name)
    assert set(problem.exact) == set(problem.unknowns)
    found = with_operators(name, lambda: worst(problem, compiled, dict(problem.exact), TRUE_PARAMETERS.get(name, {})))
    assert {term: r for term, r in found.items() if not r < ROUNDING} == {}


@pytest.mark.parametrize("name", [n for n in WITH_EXACT if n != "regression"])
def test_a_solution_slightly_wrong_is_noticed(name):
    problem, compiled = load(name)
    wave = sum(sp.sin(coordinate_symbol(c) + 1) for c in problem.coordinates)
    for unknown in problem.unknowns:
        wrong = {**problem.exact, unknown: problem.exact[unknown] + wave / 1000}
        found = with_operators(name, lambda wrong=wrong: worst(problem, compiled, wrong, TRUE_PARAMETERS.get(name, {})))
        assert max(found.values()) > 1e-6


# -- files --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", NAMES)
def test_a_file_says_what_it_is(name):
    problem, compiled = load(name)
    spec = problem.spec
    assert spec.name == name
    assert spec.title and len(spec.title) < 80
    assert spec.description and spec.cite
    assert problem.exact or problem.reference
    assert [str(w) for w in problem.warnings] == []
    assert len({term.name for term in compiled.terms}) == len(compiled.terms)


def test_there_are_enough():
    assert len(NAMES) >= 33


@pytest.mark.parametrize("name", [n for n in NAMES if n not in WITH_EXACT])
def test_a_reference_covers_the_box(name):
    problem, _ = load(name)
    with np.load(problem.reference, allow_pickle=False) as file:
        columns = {key: file[key] for key in file.files}
    assert problem.reference.stat().st_size < 300_000
    assert 0 < columns.pop("accuracy") <= max(1e-8, problem.settings.tolerance / 100)
    assert set(columns) == {*problem.coordinates, *problem.unknowns}
    assert len({column.shape for column in columns.values()}) == 1
    assert all(np.isfinite(column).all() for column in columns.values())
    even = np.random.default_rng(0).random((200_000, len(problem.coordinates))) @ np.diag(
        np.ptp(problem.intervals, axis=1)
    )
    even += np.array(problem.intervals)[:, 0]
    if problem.shape is not None:
        assert (
            inside(problem, np.stack([columns[c] for c in problem.coordinates], axis=1)).mean() > 0.998
        )  # a mesh errs
        if len(problem.coordinates) > 6:
            return  # no set of points fills so many: the reference says where it was taken
        even = even[inside(problem, even)]
    for i, (coordinate, (low, high)) in enumerate(zip(problem.coordinates, problem.intervals, strict=True)):
        counts, _ = np.histogram(columns[coordinate], 20, (low, high))
        assert counts.sum() == len(columns[coordinate])  # all inside
        expected = np.histogram(even[:, i], 20, (low, high))[0] * len(columns[coordinate]) / len(even)
        assert np.all(counts > 0.7 * expected)  # and even


# -- data ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", [name for name in having("data") if name in WITH_EXACT])
def test_data_stray_from_the_exact_solution_by_their_noise(name):
    problem, compiled = load(name)
    for term in (t for t in compiled.terms if t.kind == "data"):
        table = np.genfromtxt(term.data_file, delimiter=",", names=True)
        values = {column: table[column] for column in table.dtype.names}
        ((residual, _),) = residuals(
            problem, dict(problem.exact), term, (values, values), TRUE_PARAMETERS.get(name, {})
        )
        rms = np.sqrt(np.mean(residual**2))
        if term.noise:
            assert 0.8 * term.noise < rms < 1.2 * term.noise
        else:
            assert rms < 1e-10


@pytest.fixture
def references(monkeypatch):
    monkeypatch.syspath_prepend(str(PROBLEMS.parent / "scripts" / "references"))


def test_the_data_files_are_those_of_the_scripts(references, monkeypatch, tmp_path):
    import discoveries
    import fisher
    import measurements
    import random_fields

    for script in (measurements, fisher, discoveries, random_fields):
        monkeypatch.setattr(script, "PROBLEMS", tmp_path)
    measurements.main()
    fisher.write_rows()
    discoveries.write_data()
    random_fields.write_fields()
    files = sorted(path.name for path in (PROBLEMS / "data").iterdir())
    assert files == sorted(path.name for path in (tmp_path / "data").iterdir())
    for file in files:
        ours, again = (np.genfromtxt(root / "data" / file, delimiter=",", names=True) for root in (PROBLEMS, tmp_path))
        assert ours.dtype.names == again.dtype.names
        for column in ours.dtype.names:
            np.testing.assert_allclose(ours[column], again[column], rtol=1e-5, atol=1e-12)


# -- references against another method ------------------------------------------------------------------------


def test_the_burgers_reference_solves_the_equation(references):
    """Cole-Hopf values against finite differences of themselves in the equation, and against the file."""
    from burgers import NU, cole_hopf

    problem, _ = load("burgers")
    assert problem.parameters["nu"] == pytest.approx(NU)
    random = np.random.default_rng(0)
    t, x = 0.1 + 0.8 * random.random(30), 0.2 * random.standard_normal(30)
    h = 1e-4

    def difference(dt: float, dx: float) -> np.ndarray:  # fourth-order first derivative
        steps = [(-2, 1 / 12), (-1, -2 / 3), (1, 2 / 3), (2, -1 / 12)]
        return sum(c * cole_hopf(t + k * dt, x + k * dx) for k, c in steps) / h

    second = [(-2, -1 / 12), (-1, 4 / 3), (0, -5 / 2), (1, 4 / 3), (2, -1 / 12)]
    u_xx = sum(c * cole_hopf(t, x + k * h) for k, c in second) / h**2
    u, u_t, u_x = cole_hopf(t, x), difference(h, 0), difference(0, h)
    np.testing.assert_allclose(u_t + u * u_x - NU * u_xx, 0, atol=1e-6 * np.abs(u_xx).max())
    with np.load(problem.reference) as file:
        np.testing.assert_allclose(cole_hopf(file["t"][:500], file["x"][:500], nodes=801), file["u"][:500], atol=1e-11)
    walls = np.array([-1.0, 1.0])
    np.testing.assert_allclose(cole_hopf(np.zeros(2), walls / 2), -np.sin(np.pi * walls / 2), atol=1e-14)
    np.testing.assert_allclose(cole_hopf(np.ones(2), walls), 0, atol=1e-12)


def test_the_allen_cahn_reference_agrees_with_finite_differences():
    """The equation as the file states it, by second-order differences and an implicit multistep method."""
    from scipy.integrate import solve_ivp
    from scipy.sparse import diags

    problem, _ = load("allen-cahn")
    n = 1200
    x = -1 + 2 * np.arange(n) / n
    ring = diags([1.0, 1.0, -2.0, 1.0, 1.0], [-n + 1, -1, 0, 1, n - 1], shape=(n, n), format="csc") * (n / 2) ** 2
    d = problem.parameters["diffusivity"]
    with np.load(problem.reference) as file:
        table = {key: file[key] for key in ("t", "x", "u")}
    times = np.array([0.1, 0.5, 1.0])
    result = solve_ivp(
        lambda t, u: d * (ring @ u) + 5 * (u - u**3),
        (0, 1),
        x**2 * np.cos(np.pi * x),
        "BDF",
        times,
        rtol=1e-6,
        atol=1e-8,
        jac=lambda t, u: d * ring + diags(5 - 15 * u**2),
    )
    for t, u in zip(times, result.y.T, strict=True):
        here = np.isclose(table["t"], t)
        assert here.sum() > 10
        np.testing.assert_allclose(np.interp(table["x"][here], x, u, period=2), table["u"][here], atol=5e-3)
