"""`pinnsolve diff`: what differs between two runs, and whether their solutions agree up to their errors."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
from conftest import WAVES
from shape_problems import ring_solution
from sine_basis import solution_of

from pinnsolve.output.difference import difference

RESULT = {"status": "converged", "estimated_error": {"u": 1e-3}, "wall_time_s": 1.0, "method": "least_squares"}


def run(folder=None, factor=1.0, result=None, **fields):
    made = solution_of(result={**RESULT, **(result or {})}, problem_text=WAVES, **fields)
    made = replace(made, coefficients=made.coefficients * factor)
    if folder:
        made.save(folder)
    return made


def test_a_run_agrees_with_itself(work, command):
    run("one")
    code, out, _ = command("diff", "one", "one")
    assert code == 0
    assert "problem file: no difference" in out and "report: no difference" in out and "agree up to" in out


def test_solutions_that_differ_by_no_more_than_their_errors(work, command):
    run("one")
    run("other", factor=1.001)
    code, out, _ = command("diff", "one", "other")
    assert code == 0 and "agree up to their estimated errors" in out and "1.0e-03" in out and "2.0e-03" in out


def test_solutions_that_differ(work, command):
    one, _ = run("one"), run("other", factor=1.1, result={"status": "time_limit", "wall_time_s": 2.0})
    code, out, _ = command("diff", "one", "other", "--json")
    found = json.loads(out)
    assert code == 1 and not found["agrees"]
    assert ["status", "converged", "time_limit"] in found["report"]
    assert ["wall_time_s", 1.0, 2.0] in found["report"]
    (u,) = found["unknowns"]
    assert u["relative_rms"] == pytest.approx(0.1, rel=1e-9)
    value = one(**u["at"])
    assert u["largest"] == pytest.approx(0.1 * abs(value), rel=1e-9)
    everywhere = np.abs(one(t=np.linspace(0, 1, 99)[:, None], x=np.linspace(-1, 2, 99)))
    assert u["largest"] == pytest.approx(0.1 * everywhere.max(), rel=0.02)
    code, out, _ = command("diff", "one", "other")
    assert code == 1 and "the solutions differ: u by 1.0e-01 in the root mean square" in out


def test_problem_files_are_compared_by_key():
    one, other = run(), run()
    text = WAVES.replace("c: 1/4", "c: 1/2").replace("  ends: {periodic: x}\n", "") + "solve: {seed: 3}\n"
    found = difference(one, replace(other, problem_text=text)).problem
    assert found == (
        ("parameters.c", "1/4", "1/2"),
        ("conditions.ends.periodic", "x", "\N{EN DASH}"),
        ("solve.seed", "\N{EN DASH}", 3),
    )


def test_the_common_part_of_two_domains_is_compared():
    one = run()
    shorter = replace(one, intervals=((0.0, 0.5), (-1.0, 0.0)))
    (found,) = difference(one, shorter).unknowns
    assert found.rms == 0 and found.agrees and found.at["t"] <= 0.5 and found.at["x"] <= 0


def test_points_outside_of_a_shape_do_not_count():
    ring = ring_solution()
    (found, *_) = difference(ring, ring).unknowns
    assert found.rms == 0


def test_coordinates_in_another_order():
    (found,) = difference(run(), run(coordinates=("x", "t"))).unknowns
    assert found.rms > 0  # another function, at the same places


@pytest.mark.parametrize(
    ("other", "words"),
    [
        ({"coordinates": ("t", "y")}, "one depends on t, x, the other on t, y"),
        ({"unknowns": ("w",)}, "one has the unknowns u, the other w"),
    ],
)
def test_what_cannot_be_compared(other, words, work, command):
    run("one")
    run("other", **other)
    code, out, _ = command("diff", "one", "other")
    assert code == 1 and f"cannot be compared: {words}" in out


def test_intervals_without_common_part():
    one = run()
    found = difference(one, replace(one, intervals=((2.0, 3.0), (-1.0, 2.0))))
    assert found.incomparable == "their intervals of t have nothing in common" and not found.agrees


def test_without_an_estimate_there_is_no_agreement():
    one = run(result={"estimated_error": None})
    assert difference(one, one).agrees  # not the least difference
    assert not difference(one, run(factor=1 + 1e-12)).agrees


def test_a_folder_without_a_run(work, command):
    run("one")
    code, _, err = command("diff", "one", "elsewhere")
    assert code == 2 and "elsewhere is not a run folder" in err
