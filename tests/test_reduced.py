"""Inverse problems that march: derivatives by parameters, what noise leaves open, and when marching is not enough."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

import pinnsolve as ps
from pinnsolve.assembly.linear_system import Bounds
from pinnsolve.assembly.measurements import Measurements
from pinnsolve.compiler.compiler import compile_problem
from pinnsolve.inverse import strategy
from pinnsolve.inverse.fit import is_explained
from pinnsolve.inverse.reduced_space import steps
from pinnsolve.inverse.sensitivities import Marches, marching_axis
from pinnsolve.inverse.statement import InverseProblem
from pinnsolve.problem.build import build_problem
from pinnsolve.problem.problem import Problem
from pinnsolve.solvers import Clock
from pinnsolve.spec.spec import spec_from_dict

KAPPA = 0.3
START = {"on": "t = 0", "equation": "u = sin(pi*x)"}
WALLS = {"on": ["x = 0", "x = 1"], "equation": "u = 0"}


def written(folder: Path, **columns) -> Path:
    table = np.column_stack(list(columns.values()))
    np.savetxt(folder / "data.csv", table, delimiter=",", header=",".join(columns), comments="", fmt="%.17g")
    return folder


def places(count: int, seed: int = 0, **intervals) -> dict[str, np.ndarray]:
    random = np.random.default_rng(seed)
    return {name: random.uniform(*ends, count) for name, ends in intervals.items()}


def problem(folder: Path, equation: str, unknown_parameters: dict, conditions: dict, noise=None, **changes) -> Problem:
    data = {"file": "data.csv", "equation": "u = m", **({"noise": noise} if noise else {})}
    statement = {
        "name": "sought", "coordinates": {"t": [0, 1], "x": [0, 1]}, "unknowns": "u",
        "equations": {"inside": equation}, "unknown_parameters": unknown_parameters, "conditions": conditions,
        "data": {"readings": data}, **changes,
    }  # fmt: skip
    return build_problem(spec_from_dict(statement, folder))


def heat(folder: Path, bounds=(0, 10), conditions=None, **changes) -> Problem:
    sought = {"kappa": {"guess": 1, "bounds": list(bounds)}}
    return problem(
        folder, "D(u, t) = kappa*D(u, x, x)", sought, conditions or {"start": START, "walls": WALLS}, **changes
    )


def cooling(kappa: float, t: np.ndarray, x: np.ndarray) -> np.ndarray:
    return np.exp(-kappa * np.pi**2 * t) * np.sin(np.pi * x)


def heat_readings(noise: float, count: int = 200) -> dict[str, np.ndarray]:
    at = places(count, t=(0, 1), x=(0, 1))
    return {**at, "m": cooling(KAPPA, **at) + noise * np.random.default_rng(1).standard_normal(count)}


def marches_of(stated: Problem) -> Marches:
    compiled = compile_problem(stated)
    statement = InverseProblem(compiled, {}, Measurements.of(compiled), Bounds.of(compiled))
    return Marches(statement, marching_axis(statement), 4e9, Clock())


def last_answer(stated: Problem, tolerance: float):
    """Of Gauss-Newton over the parameters of marches, and of nothing else."""
    marches = marches_of(stated)
    with torch.no_grad():
        for answer in steps(marches, [marches.statement.guess], tolerance):
            if answer.finished(tolerance):
                break
    return answer


def test_derivatives_by_parameters_are_those_of_differences(tmp_path):
    """Of a parameter of the equation and one of the start, through several slabs, nonlinear."""
    sought = {"nu": {"guess": 0.05}, "height": {"guess": 0.7}}
    start = {"on": "t = 0", "equation": "u = height*sin(2*pi*x)"}
    at = places(50, t=(0, 1), x=(0, 1))
    stated = problem(
        written(tmp_path, **at, m=0 * at["t"]), "D(u, t) + u*D(u, x) = nu*D(u, x, x)", sought,
        {"start": start, "walls": WALLS},
    )  # fmt: skip
    marches = marches_of(stated)
    p, h = marches.statement.guess, 3e-4

    def in_order(at, values):
        """Per reading, along x; cells of different marches hold different readings."""
        (group,) = at.groups
        return values.reshape(*group.keep.shape, -1)[group.keep][group.x[group.keep][:, 1].argsort()].squeeze(1)

    with torch.no_grad():
        here = marches.at(p, 1e-9)
        J = in_order(here, marches.linearized(here)[0])
        for i in range(2):
            d = torch.zeros(2, dtype=torch.float64)
            d[i] = h
            above, below = (in_order(one, one.r) for one in (marches.at(p + d, 1e-9), marches.at(p - d, 1e-9)))
            difference = (above - below) / (2 * h)
            assert float((J[:, i] - difference).norm()) < 1e-4 * float(difference.norm())
    assert len(here.slabs) > 1


def test_exact_data_give_exact_parameters(tmp_path):
    """A shock that travels: u = (c - a tanh(a (x - c t) / (2 nu))) / speed."""
    speed, c, a, nu = 1.5, 0.6, 0.5, 0.02
    at = places(200, t=(0, 1), x=(0, 1))
    wave = f"({c} - {a}*tanh({a}*(x - 0.2 - {c}*t)/(2*{nu})))/{speed}"
    m = (c - a * np.tanh(a * (at["x"] - 0.2 - c * at["t"]) / (2 * nu))) / speed
    stated = problem(
        written(tmp_path, **at, m=m), "D(u, t) + speed*u*D(u, x) = nu*D(u, x, x)",
        {"nu": {"guess": 0.1, "bounds": [1e-4, 1]}, "speed": {"guess": 1, "bounds": [-5, 5]}},
        {"start": {"on": "t = 0", "equation": f"u = {wave}"}, "walls": {**WALLS, "equation": f"u = {wave}"}},
        exact={"u": wave},
    )  # fmt: skip
    solution = ps.solve(stated, tolerance=1e-6)
    assert solution.result["status"] == "converged"
    assert "time slabs" in solution.result["method"]
    for name, true in (("nu", nu), ("speed", speed)):
        found = solution.parameters[name]
        assert found["value"] == pytest.approx(true, rel=1e-6)
        assert found["discretization_error"] > 0.2 * abs(found["value"] - true)
    assert solution.result["relative_l2_error"]["u"] < 1e-6


def test_standard_errors_are_those_of_the_classical_fit(tmp_path):
    data = heat_readings(noise=0.05)
    at, kappa = {name: data[name] for name in ("t", "x")}, KAPPA
    for _ in range(20):
        f = cooling(kappa, **at)
        J = -(np.pi**2) * at["t"] * f
        kappa += J @ (data["m"] - f) / (J @ J)
    sigma = np.sqrt(((data["m"] - f) ** 2).sum() / (len(f) - 1))
    error = sigma / np.sqrt(J @ J)
    answer = last_answer(heat(written(tmp_path, **data)), 1e-2)
    assert abs(float(answer.parameters[0]) - kappa) < 0.2 * error
    assert float(answer.fit.standard_errors[0]) == pytest.approx(error, rel=0.02)
    assert is_explained(answer, marches_of(heat(tmp_path)).statement.measurements, 1e-2)


def test_parameters_stay_within_their_bounds(tmp_path):
    answer = last_answer(heat(written(tmp_path, **heat_readings(0.01)), bounds=(0.5, 10)), 1e-2)
    assert float(answer.parameters[0]) == 0.5


def test_what_conditions_leave_open_is_not_for_a_march(tmp_path):
    """A wall of which nothing is said; a second unknown without a start."""
    folder = written(tmp_path, **heat_readings(0.01))
    with torch.no_grad():
        for walls, determined in ((["x = 0", "x = 1"], True), (["x = 0"], False)):
            marches = marches_of(heat(folder, conditions={"start": START, "walls": {**WALLS, "on": walls}}))
            freedom = marches.freedom(marches.at(marches.statement.guess, 1e-3))
            assert (freedom < 0.1) == determined
            assert (freedom > 1.0) != determined
    open_system = problem(
        folder, "D(u, t) = -v", {"k": {"guess": 1}}, {"start": {"on": "t = 0", "equation": "u = 1"}},
        unknowns=["u", "v"], coordinates={"t": [0, 1]}, equations={"one": "D(u, t) = -v", "two": "D(v, t) = k*u"},
    )  # fmt: skip
    compiled = compile_problem(open_system)
    assert marching_axis(InverseProblem(compiled, {}, Measurements.of(compiled), Bounds.of(compiled))) is None


def oscillator(folder: Path, m: np.ndarray, t: np.ndarray) -> Problem:
    start = {"start": {"on": "t = 0", "equations": ["u = 1", "D(u, t) = 0"]}}
    return problem(
        written(folder, t=t, m=m), "D(u, t, t) = -k*u", {"k": {"guess": 4, "bounds": [0, 100]}}, start,
        coordinates={"t": [0, 20]},
    )  # fmt: skip


def test_where_marches_end_beside_the_data_another_way_is_tried(tmp_path):
    """From k = 4 marches cannot come to k = 9: the residual has valleys for every period more or less."""
    t = np.linspace(0, 20, 300)
    stated = oscillator(tmp_path, np.cos(3 * t) + 0.01 * np.random.default_rng(0).standard_normal(300), t)
    answer = last_answer(stated, 1e-2)
    assert abs(float(answer.parameters[0]) - 9) > 0.5
    assert not is_explained(answer, Measurements.of(compile_problem(stated)), 1e-2)
    result = ps.solve(stated, tolerance=1e-2).result
    assert result["parameters"]["k"]["value"] == pytest.approx(9, rel=1e-3)
    assert result["warnings"] == []


def test_a_residual_that_is_no_noise_is_said(tmp_path):
    """Values of cos(3 t) + t / 4, which the equation does not allow."""
    t = np.linspace(0, 20, 300)
    result = ps.solve(oscillator(tmp_path, np.cos(3 * t) + t / 4, t), tolerance=1e-2).result
    assert any("alike at neighbouring points" in text for text in result["warnings"])


def test_outliers_count_less_with_a_robust_loss(tmp_path):
    data = heat_readings(0.01)
    data["m"][::10] += 0.5
    folder, off = written(tmp_path, **data), {}
    for loss in ("squares", "huber"):
        readings = {"file": "data.csv", "equation": "u = m", "noise": 0.01, "loss": loss}
        answer = last_answer(heat(folder, data={"readings": readings}), 1e-2)
        off[loss] = abs(float(answer.parameters[0]) - KAPPA)
    assert off["huber"] < 0.2 * off["squares"]


def test_an_interrupt_keeps_the_parameters_so_far(tmp_path):
    t = np.linspace(0, 20, 300)
    seen = []

    def progress(record):
        if record["phase"].startswith("step"):
            seen.append(record["parameters"]["k"])
        if len(seen) == 3:
            raise KeyboardInterrupt

    solution = ps.solve(oscillator(tmp_path, np.cos(2.1 * t), t), progress=progress)
    assert solution.result["status"] == "interrupted"
    assert solution.parameters["k"]["value"] == seen[-2]  # of the last one nobody was told all


def test_deviations_hold_on_cells_that_a_boundary_cuts(tmp_path):
    """-laplacian(u) = k on the unit disk: u = k (1 - r^2) / 4, so its deviation is that of k times (1 - r^2) / 4."""
    random = np.random.default_rng(0)
    r, angle = np.sqrt(random.random(60)), 2 * np.pi * random.random(60)
    x, y = r * np.cos(angle), r * np.sin(angle)
    statement = {
        "name": "disk", "domain": {"disk": {"center": [0, 0], "radius": 1}}, "unknowns": "u",
        "equations": {"poisson": "-laplacian(u) = k"}, "conditions": {"rim": {"on": "boundary", "equation": "u = 0"}},
        "unknown_parameters": {"k": {"guess": 1, "bounds": [0, 50]}},
        "data": {"readings": {"file": "data.csv", "equation": "u = m"}},
    }  # fmt: skip
    folder = written(tmp_path, x=x, y=y, m=3 * (1 - r**2) / 4 + 0.01 * random.standard_normal(60))
    solution = ps.solve(build_problem(spec_from_dict(statement, folder)), tolerance=1e-2)
    inside = {"x": np.array([0.0, 0.3, 0.6, -0.7, 0.9]), "y": np.array([0.0, 0.2, -0.6, 0.5, 0.3])}
    expected = solution.parameters["k"]["standard_error"] * (1 - inside["x"] ** 2 - inside["y"] ** 2) / 4
    np.testing.assert_allclose(solution.standard_deviation("u")(**inside), expected, rtol=1e-2)


def test_what_ended_a_refinement_is_told(monkeypatch):
    monkeypatch.setattr(strategy, "MOST_OPERATIONS", 1e6)
    result = ps.solve(ps.load("find-lorenz")).result
    assert result["status"] == "tolerance_not_reached"
    assert "would take very long" in result["message"]
