"""`pinnsolve evaluate`: values in full precision, and every wrong row named."""

from __future__ import annotations

import csv
import io
from pathlib import Path

import numpy as np
import pytest
from conftest import WAVES
from sine_basis import closed_form, solution_of

# -- evaluate ---------------------------------------------------------------------------------------------------


@pytest.fixture
def saved(work):
    solution = solution_of(
        unknowns=("u", "v"), parameters={"kappa": {"value": 0.5, "standard_error": None}}, problem_text=WAVES
    )
    solution.save("run")
    Path("points.csv").write_text("x, label, t\n0.1, a, 0.2\n1.5,b,1\n-1,c,0.30000000000000004\n")
    return solution


def test_evaluate(saved, command):
    expressions = ["D(u, x)", "kappa*c*v*D(u, x, x) + twice(t)", "1"]
    options = [item for text in expressions for item in ("--derivative", text)]
    code, out, _ = command("evaluate", "run", "--at", "points.csv", *options)
    assert code == 0
    header, *rows = csv.reader(io.StringIO(out))
    assert header == ["x", "t", "u", "v", *expressions]
    assert [row[:2] for row in rows] == [["0.1", "0.2"], ["1.5", "1"], ["-1", "0.30000000000000004"]]
    at = np.array([[float(t), float(x)] for x, t, *_ in rows])
    u, v, u_x, mixed, one = np.array([[float(cell) for cell in row[2:]] for row in rows]).T
    np.testing.assert_array_equal(u, saved.columns(at)["u"])
    np.testing.assert_array_equal(v, saved.columns(at)["v"])
    np.testing.assert_allclose(u_x, closed_form(saved, 0, at, (0, 1)), rtol=1e-12)
    np.testing.assert_allclose(mixed, 0.5 * 0.25 * v * closed_form(saved, 0, at, (0, 2)) + 2 * at[:, 0], rtol=1e-12)
    np.testing.assert_array_equal(one, 1)


def test_evaluate_into_a_file(saved, command):
    code, out, _ = command("evaluate", "run", "--at", "points.csv", "--out", "values.csv")
    assert (code, out) == (0, "")
    assert Path("values.csv").read_text().splitlines()[0] == "x,t,u,v"


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("", "points.csv is empty; its first line should name the columns t, x"),
        ("t,y\n0,0\n", "line 1: there is no column x. The header has t, y"),
        ("T,x\n0,0\n", "line 1: there is no column t (but T)"),
        ("t,x,x\n0,0,0\n", "the column x is there 2 times"),
        ("t,x\n0,0\n0,abc\n", "line 3: x: 'abc' is not a number"),
        ("t,x\n0\n", "line 2: x: there is no value"),
        ("t,x\n\n0,0\n0,7\n", "line 4: x = 7.0 lies outside [-1, 2]"),
        ("t,x\nnan,0\n", "line 2: t = nan is not a finite number"),
        ("t,x\n" + "0,9\n" * 15, "and 5 more"),
    ],
)
def test_evaluate_names_the_rows_that_are_wrong(saved, command, content, words):
    Path("points.csv").write_text(content)
    code, out, err = command("evaluate", "run", "--at", "points.csv", "--out", "values.csv")
    assert (code, out) == (2, "")
    assert words in err
    assert not Path("values.csv").exists()


@pytest.mark.parametrize(
    ("text", "words"),
    [("D(w, x)", "w"), ("D(u, x", "--derivative"), ("__import__('os')", "--derivative"), ("D(u, x, 5)", "order")],
)
def test_evaluate_names_the_expression_that_is_wrong(saved, command, text, words):
    code, out, err = command("evaluate", "run", "--at", "points.csv", "--derivative", text)
    assert (code, out) == (2, "")
    assert words in err


def test_evaluate_without_a_run(work, command):
    code, _, err = command("evaluate", "nowhere", "--at", "points.csv")
    assert code == 2
    assert "nowhere is not a run folder" in err
