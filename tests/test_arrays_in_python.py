"""Arrays and data frames as data in Python, and the typed arguments of a problem."""

from __future__ import annotations

import inspect
import sys
import typing

import numpy as np
import pytest
import sympy as sp

import pinnsolve as ps
from pinnsolve.errors import ProblemError
from pinnsolve.files.tables import read_columns
from pinnsolve.problem.problem import Problem
from pinnsolve.problem.python_words import StatedInPython

x = ps.coordinates("x")
u = ps.unknown("u", x)
PLACES = np.linspace(0, 1, 9)


class Frame:
    """What a data frame offers: its columns, and each by its name as something with `to_numpy`."""

    def __init__(self, **columns):
        self.columns, self._held = list(columns), columns

    def __getitem__(self, name):
        return type("Series", (), {"to_numpy": lambda _, held=self._held[name]: held})()


def line(data: ps.Data, **keys) -> ps.Problem:
    return ps.Problem(
        name="line",
        domain=ps.Box(x=(0, 1)),
        unknowns=[u],
        equations={"straight": sp.Eq(u.diff(x, 2), 0)},
        data={"probes": data},
        **keys,
    )


@pytest.mark.parametrize(
    "columns",
    [
        {"x": PLACES, "measured": 2 * PLACES},
        {x: list(PLACES), "measured": list(2 * PLACES)},
        Frame(x=PLACES, measured=2 * PLACES),
        np.array(list(zip(PLACES, 2 * PLACES, strict=True)), dtype=[("x", float), ("measured", float)]),
    ],
    ids=["arrays", "lists by symbol", "frame", "structured"],
)
def test_columns_are_data(columns):
    problem = line(ps.Data(columns=columns, equation=sp.Eq(u, sp.Symbol("measured")), noise=0.01))
    (file,) = problem.files().values()
    assert np.array_equal(read_columns(file, "data")["measured"], 2 * PLACES)
    assert problem.of_kind("data")[0].data_file == file
    assert "pandas" not in sys.modules


def test_columns_and_files_stand_side_by_side(tmp_path):
    (tmp_path / "k.csv").write_text("x,k\n0,1\n1,2\n")
    problem = line(
        ps.Data(columns={"x": PLACES, "measured": PLACES}, equation="u = measured*k"),
        functions={"k": ps.Table(file="k.csv", of=x), "f": ps.Table(columns={"x": PLACES, "f": PLACES}, of=x)},
        folder=tmp_path,
    )
    assert sorted(problem.files()) == ["data-probes.npz", "functions-f.npz", "k.csv"]
    assert all(path.is_file() for path in problem.files().values())
    assert [path.name for path in tmp_path.iterdir()] == ["k.csv"]


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (ps.Data(columns={"x": PLACES, "m": PLACES[1:]}, equation="u = m"), "columns differ in length"),
        (ps.Data(columns={"x": PLACES, "m": ["a"] * 9}, equation="u = m"), "holds no real numbers"),
        (ps.Data(columns={"x": np.eye(3), "m": np.eye(3)}, equation="u = m"), "one number is needed for each row"),
        (ps.Data(columns=3, equation="u = m"), "a map from names to arrays"),
        (ps.Data(columns={"x": PLACES, "m": PLACES}, file="a.csv", equation="u = m"), "both a file and columns"),
        (ps.Data(columns={"y": PLACES, "m": PLACES}, equation="u = m"), "no column for the coordinate `x`"),
    ],
)
def test_what_is_wrong_with_columns_is_said(data, words):
    with pytest.raises(ProblemError, match=words):
        line(data)


def test_words_of_other_tools_are_no_keywords_and_have_their_like():
    with pytest.raises(ProblemError) as caught:
        ps.Problem(name="line", geometry=ps.Box(x=(0, 1)), unknowns=[u], bcs={"left": 0}, epochs=1000, quantites={})
    hints = {d.key: d.hint for d in caught.value.diagnostics}
    assert "domain=ps.Box" in hints["geometry"] and "domain=ps.Box" in hints["domain"]
    assert "conditions=" in hints["bcs"] and "tolerance" in hints["epochs"] and "`quantities`" in hints["quantites"]


def test_the_arguments_of_a_problem_are_typed_as_they_are_taken():
    stated = inspect.signature(StatedInPython).parameters
    typed, _ = typing.get_overloads(Problem.__init__)
    found = {name: p for name, p in inspect.signature(typed).parameters.items() if name != "self"}
    assert list(found) == list(stated) == list(inspect.signature(ps.Problem).parameters)
    for name, parameter in found.items():
        assert str(parameter.annotation).replace("words.", "") == str(stated[name].annotation), name
        assert parameter.default == stated[name].default, name
