"""Problems with data solved from end to end: inverse problems, regression, references."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import pinnsolve as ps
from pinnsolve.errors import ProblemError

KNOWN = {
    "domain": ps.Box(t=(0, 5)),
    "unknowns": "u",
    "equations": {"growth": "D(u, t) = u*(1 - u)"},
    "conditions": {"start": ps.Condition(on="t = 0", equation="u = 0.1")},
    "exact": {"u": "1/(1 + 9*exp(-t))"},
}


def logistic(**changes) -> ps.Problem:
    return ps.Problem(**{"name": "logistic", **KNOWN, **changes})


def test_the_diffusivity_is_found():
    solution = ps.solve(ps.load("find-the-diffusivity"))
    kappa = solution.result["parameters"]["kappa"]
    assert solution.parameters["kappa"] == kappa
    assert 1e-4 < kappa["standard_error"] < 1e-2
    assert abs(kappa["value"] - 0.3) < 3 * kappa["standard_error"]
    assert solution.result["status"] == "converged"
    assert solution.result["relative_l2_error"]["u"] < solution.result["estimated_error"]["u"]


def written(folder: Path, **columns) -> Path:
    table = np.column_stack(list(columns.values()))
    np.savetxt(folder / "data.csv", table, delimiter=",", header=",".join(columns), comments="", fmt="%.17g")
    return folder


def test_regression_is_a_problem_without_equations(tmp_path):
    x = np.random.default_rng(0).random(200)
    settings = {"equations": None, "conditions": None, "exact": {"u": "sin(5*x)"}, "domain": ps.Box(x=(0, 1))}
    data = {"points": ps.Data(file="data.csv", equation="u = measured")}
    folder = written(tmp_path, x=x, measured=np.sin(5 * x))
    solution = ps.solve(logistic(**settings, data=data, folder=folder))
    assert solution.result["status"] == "converged"
    assert solution.result["relative_l2_error"]["u"] < 1e-6
    noisy = written(tmp_path, x=x, measured=np.sin(5 * x) + 0.1 * np.random.default_rng(1).standard_normal(200))
    solution = ps.solve(logistic(**settings, data=data, folder=noisy))
    assert solution.result["status"] == "tolerance_not_reached"
    assert 0.02 < solution.result["estimated_error"]["u"] < 1


FITS = {
    "auto": {},
    "lsgd": {"method": "lsgd", "basis": {"width": 16, "activation": "relu"}, "optimizer": {"steps": 50}},
    "least_squares": {"method": "least_squares", "basis": {"width": 40, "activation": "tanh"}},
}


@pytest.mark.parametrize("rows", [2, 5, 8])
@pytest.mark.parametrize("method", FITS)
def test_a_few_rows_are_met_by_any_fit_and_prove_nothing(rows, method, tmp_path):
    x = np.random.default_rng(rows).random(rows)
    settings = {"equations": None, "conditions": None, "exact": {"u": "1"}, "domain": ps.Box(x=(0, 1))}
    folder = written(tmp_path, x=x, measured=np.ones(rows))
    data = {"points": ps.Data(file="data.csv", equation="u = measured")}
    result = ps.solve(logistic(**settings, data=data, folder=folder), **FITS[method]).result
    assert result["status"] == "tolerance_not_reached"
    assert result["estimated_error"]["u"] > result["relative_l2_error"]["u"] / 5


def test_one_row_is_refused_for_a_fit(tmp_path):
    settings = {"equations": None, "conditions": None, "exact": None}
    data = {"points": ps.Data(file="data.csv", equation="u = m")}
    with pytest.raises(ProblemError, match=r"data.points.*`data.csv` has 1 row"):
        ps.solve(logistic(**settings, data=data, folder=written(tmp_path, t=[0.3], m=[2.0])))
    alone = logistic(data=data, folder=written(tmp_path, t=[0.0], m=[0.1]), conditions=None)
    assert ps.solve(alone).result["status"] == "converged"  # with an equation it may be all that is needed


@pytest.mark.parametrize(
    ("columns", "words"),
    [
        ({"t": [0.1, 7.0], "m": [1, 2]}, "`t` lies outside [0, 5] in data rows 2"),
        ({"t": [0.1, np.nan], "m": [1, 2]}, "column `t` holds no finite number in data rows 2"),
        ({"t": [0.1, 0.2], "m": [np.nan, 2]}, "column `m` holds no finite number in data rows 1"),
    ],
)
def test_data_that_cannot_be_used_are_refused_with_their_rows(tmp_path, columns, words):
    data = {"probes": ps.Data(file="data.csv", equation="u = m")}
    with pytest.raises(ProblemError) as caught:
        ps.solve(logistic(data=data, folder=written(tmp_path, **columns)))
    assert words in str(caught.value) and "data.probes" in str(caught.value)


def test_a_reference_states_the_error_when_nothing_is_known_exactly(tmp_path):
    t = np.linspace(0, 5, 77)
    true = 1 / (1 + 9 * np.exp(-t))
    np.savez(tmp_path / "reference.npz", t=t, u=1.01 * true, accuracy=1e-12)
    changes = {"exact": None, "reference": "reference.npz", "folder": tmp_path}
    solution = ps.solve(logistic(**changes))
    assert solution.result["relative_l2_error"]["u"] == pytest.approx(0.01 / 1.01, rel=1e-4)
    assert solution.result["reference"] == "reference reference.npz"
    np.savez(tmp_path / "reference.npz", t=t, v=true)
    with pytest.raises(ProblemError, match="reference"):
        ps.solve(logistic(**changes))
