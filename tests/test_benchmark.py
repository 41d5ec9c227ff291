"""The scripts that measure: what they leave out, how they judge, and that a solve which fails is a row like others."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from pinnsolve.language.operators import OPERATORS

SCRIPTS = Path(__file__).resolve().parents[1] / "scripts"


@pytest.fixture(autouse=True)
def scripts(monkeypatch):
    monkeypatch.syspath_prepend(str(SCRIPTS))
    before = dict(OPERATORS)
    yield
    OPERATORS.clear()
    OPERATORS.update(before)


def test_cases_name_problems_that_are_there():
    import benchmark

    problems = {path.stem for path in benchmark.Path(SCRIPTS.parent / "problems").glob("*.yaml")}
    assert {case.problem for case in benchmark.CASES} <= problems
    assert len({case.name for case in benchmark.CASES}) == len(benchmark.CASES)
    assert all(case.settings == {"tolerance": case.error} for case in benchmark.FAST)


def test_whole_processes_are_measured():
    import start_time

    row = start_time.run_start("poisson-2d", 600.0, runs=1)
    assert 0 < row["seconds"] == row["median"] < 600
    assert row["met"]


def test_the_sweep_takes_every_problem_with_a_known_truth():
    import sweep

    chosen, left_out = sweep.runs()
    names = {path.stem for path in sweep.PROBLEMS.glob("*.yaml")}
    assert {name for name, _ in chosen} | set(left_out) >= names
    assert ("burgers", 1e-7) in chosen
    assert "oscillator" in left_out
    assert ("cavity", 1e-5) in chosen and "cavity at 1e-07" in left_out


def test_a_run_is_judged_by_its_true_error():
    import sweep

    def row(error, estimate, status="converged"):
        known = {"error": error, "estimated_error": estimate, "status": status, "seconds": 1.0}
        return sweep.judged({**known, "tolerance": 1e-5})

    rows = [row(1e-6, 3e-6), row(2e-5, 1e-6), row(1e-7, 1e-6), row(None, None, "failed")]
    assert [r["reached"] for r in rows] == [True, False, True, False]
    assert [r["estimate_within_factor"] for r in rows] == [True, False, False, False]
    found = sweep.shares(rows)
    assert (found["reached"], found["estimate_within_factor"]) == (0.5, 0.25)
    assert (found["estimates_too_low"], found["estimates_too_high"]) == (1, 1)
    assert (found["said_converged_but_are_not"], found["failed"]) == (1, 1)


def test_a_solve_that_fails_is_a_row():
    from measured import measure

    row = measure("logistic", tolerance=-1)
    assert row["status"] == "failed"
    assert row["error"] is None
    assert "ProblemError" in row["message"]


def die(*_):
    os._exit(7)


def test_a_process_that_dies_is_a_row():
    from measured import measure

    assert measure("logistic", make_row=die)["message"] == "the process ended with status 7"


def test_a_solve_is_a_row():
    from measured import effectivity, measure

    row = measure("logistic", limit=60, tolerance=1e-6, seed=0)
    assert row["status"] == "converged"
    assert row["error"] < 1e-6
    assert effectivity(row) == row["estimated_error"] / row["error"]


def test_a_limit_of_time_ends_what_does_not_end_itself():
    from measured import OverTime, at_most

    with pytest.raises(OverTime), at_most(0.05):
        time.sleep(5)
    with at_most(None), at_most(5):
        time.sleep(0.01)
