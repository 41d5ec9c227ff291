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
import scipy.special
import sympy as sp

from pinnsolve.compiler.compiler import compile_problem
from pinnsolve.compiler.terms import CompiledProblem, Term
from pinnsolve.geometry.factory import make_shape
from pinnsolve.language.operators import OPERATORS
from pinnsolve.language.symbols import coordinate_symbol, features_of
from pinnsolve.problem.build import build_problem
from pinnsolve.problem.problem import Problem
from pinnsolve.spec.spec import load_spec

PROBLEMS = Path(__file__).resolve().parents[1] / "problems"
NAMES = sorted(path.stem for path in PROBLEMS.glob("*.yaml"))
POINTS = 40
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


def evaluate(expression: sp.Expr, values: dict[str, np.ndarray]) -> np.ndarray:
    """An expression of coordinates, normals, columns and parameters at points: each value (N,) -> (N,)."""
    symbols = [coordinate_symbol(name) for name in values]
    function = sp.lambdify(symbols, expression, [{"besselj": scipy.special.jv}, "scipy", "numpy"])
    return np.broadcast_to(function(*values.values()), np.shape(next(iter(values.values())))).astype(float)


def derivative(expression: sp.Expr, coordinates: tuple[str, ...], alpha: tuple[int, ...]) -> sp.Expr:
    for coordinate, order in zip(coordinates, alpha, strict=True):
        if order:
            expression = expression.diff(coordinate_symbol(coordinate), order)
    return expression


class ExactBasis:
    """A basis of one function, the exact solution of one unknown in one coordinate: custom operators take bases."""

    def __init__(self, coordinate: str, exact: sp.Expr):
        self.coordinate, self.exact = coordinate, exact

    def derivatives(self, points, alphas):
        import torch

        at = {self.coordinate: points[:, 0].numpy()}
        by_order = {a: derivative(self.exact, (self.coordinate,), a) for a in alphas}
        return {a: torch.from_numpy(evaluate(e, at))[:, None] for a, e in by_order.items()}


def feature_values(problem: Problem, exact: dict[str, sp.Expr], feature, at: dict[str, np.ndarray]) -> np.ndarray:
    if feature.operator is None:
        return evaluate(derivative(exact[feature.unknown], problem.coordinates, feature.alpha), at)
    import torch

    (coordinate,) = problem.coordinates
    basis = ExactBasis(coordinate, exact[feature.unknown])
    return OPERATORS[feature.operator].apply(basis, torch.from_numpy(at[coordinate])[:, None])[:, 0].numpy()


def residuals(problem: Problem, exact: dict[str, sp.Expr], term: Term, places) -> list[tuple[np.ndarray, np.ndarray]]:
    """Per residual of the term: its values and its scale, the size of its largest summand, at `places`.

    `places` are (values, partner values): names to (N,), the partner's on the far side of a periodic pair.
    """
    here, there = places
    known = {**here, **{k: np.array(v) for k, v in TRUE_PARAMETERS.get(problem.name, {}).items()}}
    found = []
    for residual in term.residuals:
        names, values = {}, dict(known)
        for i, f in enumerate(features_of(residual)):
            symbol = next(s for s in residual.free_symbols if getattr(s, "feature", None) == f)
            names[symbol] = coordinate_symbol(f"feature{i}")
            at = {c: (there if f.side else here)[c] for c in problem.coordinates}
            values[f"feature{i}"] = feature_values(problem, exact, f, at)
        values = {k: np.broadcast_to(v, here[problem.coordinates[0]].shape) for k, v in values.items()}
        plain = sp.expand(residual).xreplace(names)
        summands = [np.abs(evaluate(part, values)) for part in sp.Add.make_args(plain)]
        found.append((evaluate(plain, values), 1 + np.max(summands, axis=0)))
    return found


def places_of(problem: Problem, term: Term):
    """Random points on each piece of the term's region, its normals, and the partner points of a periodic pair."""
    random = np.random.default_rng(0)
    lower, upper = np.array(problem.intervals).T
    for piece in term.region.pieces:
        points = lower + (upper - lower) * random.random((POINTS if problem.shape is None else 4 * POINTS, len(lower)))
        normals = None
        if piece.part is not None:
            points, normals = on_the_boundary(problem, piece, points, random)
        for axis, value in piece.fixed:
            points[:, axis] = value
        if problem.shape is not None:
            points = points[inside(problem, points, piece.region)] if normals is None else points
        values = dict(zip(problem.coordinates, points.T, strict=True))
        if term.region.where is not None:
            kept = evaluate(sp.Piecewise((1, term.region.where), (0, True)), values) > 0
            values = {name: column[kept] for name, column in values.items()}
            if not kept.any():
                continue
        partner = dict(values)
        if piece.partner is not None:
            axis, value = piece.partner
            partner[problem.coordinates[axis]] = np.full_like(values[problem.coordinates[axis]], value)
        if piece.outward is not None:
            for i in problem.space_axes:
                n = piece.outward[1] if i == piece.outward[0] else 0
                values[f"n_{problem.coordinates[i]}"] = np.full_like(values[problem.coordinates[0]], n)
        if normals is not None:
            assert term.region.where is None
            values |= {f"n_{problem.coordinates[i]}": n for i, n in zip(problem.space_axes, normals.T, strict=True)}
        yield values, partner


def inside(problem: Problem, points: np.ndarray, region: str | None = None) -> np.ndarray:
    import torch

    shape, x = make_shape(problem.shape), torch.from_numpy(points[:, problem.space_axes])
    return (shape.inside(x) if region is None else shape.in_region(x, region)).numpy()


def on_the_boundary(problem: Problem, piece, points: np.ndarray, random) -> tuple[np.ndarray, np.ndarray]:
    """The points moved to a part of the boundary of a shape, as many as remain, and the normals there."""
    import torch

    axes = list(problem.space_axes)
    plane = None if piece.plane is None else (axes.index(piece.plane[0]), piece.plane[1])
    unit = torch.from_numpy(random.random((len(points), 3)))
    found = make_shape(problem.shape).spread(unit, piece.part, plane)
    points = points[found.chosen.numpy()]
    points[:, axes] = found.x.numpy()
    return points, found.normals.numpy()


def worst(problem: Problem, compiled: CompiledProblem, exact: dict[str, sp.Expr]) -> dict[str, float]:
    """Per equation and condition, the largest residual next to its scale."""
    found = {}
    for term in compiled.terms:
        if term.kind == "data":
            continue
        per_place = [residuals(problem, exact, term, places) for places in places_of(problem, term)]
        assert per_place, f"no points on {term.name}"
        found[term.name] = max(np.max(np.abs(r) / scale) for place in per_place for r, scale in place)
    return found


@pytest.mark.parametrize("name", WITH_EXACT)
def test_the_exact_solution_leaves_no_residual(name):
    problem, compiled = load(name)
    assert set(problem.exact) == set(problem.unknowns)
    found = with_operators(name, lambda: worst(problem, compiled, dict(problem.exact)))
    assert {term: r for term, r in found.items() if not r < ROUNDING} == {}


@pytest.mark.parametrize("name", [n for n in WITH_EXACT if n != "regression"])
def test_a_solution_slightly_wrong_is_noticed(name):
    problem, compiled = load(name)
    wave = sum(sp.sin(coordinate_symbol(c) + 1) for c in problem.coordinates)
    for unknown in problem.unknowns:
        wrong = {**problem.exact, unknown: problem.exact[unknown] + wave / 1000}
        found = with_operators(name, lambda wrong=wrong: worst(problem, compiled, wrong))
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
        ((residual, _),) = residuals(problem, dict(problem.exact), term, (values, values))
        rms = np.sqrt(np.mean(residual**2))
        if term.noise:
            assert 0.8 * term.noise < rms < 1.2 * term.noise
        else:
            assert rms < 1e-10


@pytest.fixture
def references(monkeypatch):
    monkeypatch.syspath_prepend(str(PROBLEMS.parent / "scripts" / "references"))


def test_the_data_files_are_those_of_the_script(references, monkeypatch, tmp_path):
    import measurements

    monkeypatch.setattr(measurements, "PROBLEMS", tmp_path)
    measurements.main()
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
