"""Very many measurements as few rows: the same least squares, whatever the cells and however the points lie."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from pinnsolve.assembly import reduced_data
from pinnsolve.assembly.measurements import DataRows, Measurements
from pinnsolve.assembly.reduced_data import ReducedData
from pinnsolve.assembly.row_source import State
from pinnsolve.bases.piecewise.mesh import uniform_cells
from pinnsolve.bases.piecewise.space import Space
from pinnsolve.compiler.compiler import compile_problem
from pinnsolve.problem.problem import Problem

COUNT = 600


def measured(folder, equation: str = "u = a", on_lines: bool = False, **more):
    """A problem of two unknowns with readings at random, or on two lines only, which leave functions open."""
    random = np.random.default_rng(0)
    t, x = random.random((2, COUNT))
    if on_lines:
        x = np.where(x < 0.5, 0.2, 0.7)
    table = np.column_stack([t, x, np.cos(3 * t * x) + 0.1 * random.standard_normal(COUNT)])
    np.savetxt(folder / "probes.csv", table, delimiter=",", header="t,x,a", comments="", fmt="%.17g")
    return compile_problem(
        Problem(
            name="many",
            domain={"t": (0, 1), "x": (0, 1)},
            unknowns=["u", "v"],
            equations={"heat": "D(u, t) = k*D(u, x, x) + v"},
            data={"probes": {"file": "probes.csv", "equation": equation, **more}},
            unknown_parameters={"k": {"guess": 0.7}},
            folder=folder,
        )
    )


def spaces(problem) -> list[Space]:
    low, high = (torch.tensor([ends[i] for ends in problem.intervals], dtype=torch.float64) for i in (0, 1))
    cells = uniform_cells(low, high, (2, 3))
    return [Space(cells, degrees, (1, 2)) for degrees in ((3, 2), (2, 4), (1, 1))]


def normal(block, space: Space, unknowns: int) -> torch.Tensor:
    """(C, U n + 1, U n + 1) the products of the rows and residuals of every cell."""
    ((cells, A),) = block.sides
    rows = torch.cat([A, block.r[:, :, None]], dim=2)
    size = unknowns * space.functions + 1
    return torch.zeros(space.cells.count, size, size, dtype=torch.float64).index_add_(0, cells, rows.mT @ rows)


@pytest.mark.parametrize("equation, on_lines", [("u = a", False), ("D(u, x) + 2*v = a*x", False), ("u = a", True)])
def test_reduced_rows_are_the_same_least_squares(tmp_path, monkeypatch, equation, on_lines):
    problem = measured(tmp_path, equation, on_lines)
    monkeypatch.setattr(reduced_data, "MANY", 1)
    monkeypatch.setattr(reduced_data, "NUMBERS", 2000)  # so that there are many pieces
    monkeypatch.setattr(reduced_data, "TALL", 1)
    measurements = Measurements.of(problem)
    for space in spaces(problem):  # of which the last takes its columns from the one before
        (few,) = measurements.rows(problem, space)
        many = DataRows(few.term, problem, space, measurements.unit / measurements.sigma["probes"])
        assert isinstance(few, ReducedData)
        generator = torch.Generator().manual_seed(1)
        c = torch.randn(space.cells.count, 2, space.functions, generator=generator, dtype=torch.float64)
        for coefficients in (None, c):
            state = State(coefficients, torch.tensor([0.7], dtype=torch.float64))
            one, two = (normal(rows.rows(state), space, 2) for rows in (few, many))
            torch.testing.assert_close(one, two, rtol=1e-10, atol=1e-12 * float(two.abs().max()))
            assert few.rows(state, False).loss == pytest.approx(many.rows(state).loss, rel=1e-11)
        assert few.count == many.count == COUNT
        (x, left), (y, other) = few.readings(state)[0], many.readings(state)[0]
        order, again = (torch.argsort(points[:, 0]) for points in (x, y))
        torch.testing.assert_close(left[order], other[again], rtol=1e-9, atol=1e-12)


def test_few_functions_are_taken_from_many(tmp_path, monkeypatch):
    problem = measured(tmp_path)
    monkeypatch.setattr(reduced_data, "MANY", 1)
    measurements, space = Measurements.of(problem), spaces(problem)[0]
    measurements.rows(problem, space)[0].rows(State(None, torch.tensor([0.7])))
    before = list(measurements.folded["probes"].folded)
    richer = Space(space.cells, tuple(p + reduced_data.AHEAD for p in space.degrees), space.orders)
    measurements.rows(problem, richer)[0].rows(State(None, torch.tensor([0.7])))
    after = measurements.folded["probes"].folded
    assert len(after) == len(before) == 1 and after[0] is before[0]


@pytest.mark.parametrize("equation, more", [("u**2 = a", {}), ("k*u = a", {}), ("u = a", {"loss": "huber"})])
def test_what_changes_with_the_state_is_not_reduced(tmp_path, monkeypatch, equation, more):
    monkeypatch.setattr(reduced_data, "MANY", 1)
    problem = measured(tmp_path, equation, **more)
    assert not Measurements.of(problem).folded


def test_a_reduction_ends_when_the_time_is_up(tmp_path, monkeypatch):
    monkeypatch.setattr(reduced_data, "MANY", 1)
    problem = measured(tmp_path)

    def out_of_time():
        raise TimeoutError

    (rows,) = Measurements.of(problem).rows(problem, spaces(problem)[0], out_of_time)
    with pytest.raises(TimeoutError):
        rows.rows(State(None, torch.tensor([0.7])))
