"""Starts that only later readings tell of: deviations hold what has faded, whatever the noise and the cells."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

import pinnsolve as ps
from pinnsolve.inverse import statement

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "scripts"))

import coverage

TIME, TRUTH, NOISE = 0.05, [1.0, 0.0, 0.5], 1e-3


def test_noise_that_the_first_cell_does_not_hold_makes_no_other_start():
    """With this noise the first fit is so rough at the start that one cell does not hold its equation; cells were split
    until nothing saw what the data hardly determine, and a start that was wrong by its own size was converged."""
    row = coverage.draw(TIME, TRUTH, NOISE, 47)
    assert row["inside"] >= coverage.ASKED
    assert row["error"] < 0.1 and row["error"] < row["estimate"]


def test_cells_too_many_for_qr_know_no_more_of_a_start_than_fewer_did(tmp_path, monkeypatch):
    problem = coverage.problem_of(tmp_path, TIME, TRUTH, NOISE, 3)
    few = ps.solve(problem, tolerance=0.02)
    monkeypatch.setattr(statement, "MOST_DENSE", 300)
    many = ps.solve(problem, tolerance=1e-4, limits={"refinements": 2})
    assert 300 < many.result["unknown_coefficients"] < few.result["unknown_coefficients"]
    x = np.linspace(0.05, 0.95, 19)
    here, there = (np.sqrt(np.mean(one.standard_deviation("u")(t=0.0, x=x) ** 2)) for one in (many, few))
    assert here == pytest.approx(there, rel=0.3)


def test_without_time_all_of_a_first_answer_may_be_wrong(tmp_path):
    """Its correction is left out, which would take longer than the answer."""
    problem = coverage.problem_of(tmp_path, TIME, TRUTH, NOISE, 3)
    result = ps.solve(problem, limits={"seconds": 1e-9}).result
    assert result["status"] == "time_limit" and result["estimated_error"]["u"] >= 1
