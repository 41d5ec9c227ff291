"""The contract of row sources, one test for all of them: what any row of the least squares promises."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from test_grid_rows import MORE, NAMES, compiled, continuity, dense, random_state, space_on, start
from torch import Tensor

from pinnsolve.assembly.measurements import Measurements
from pinnsolve.assembly.regularization import RegularizationRows
from pinnsolve.assembly.row_source import KINDS, RowSource, State
from pinnsolve.assembly.term_rows import term_rows
from pinnsolve.bases.piecewise.mesh import Cells
from pinnsolve.bases.piecewise.space import Space
from pinnsolve.compiler.compiler import compile_problem
from pinnsolve.problem.problem import Problem

NONE = torch.zeros(0, dtype=torch.float64)
H = 1e-5  # of differences


def sources_of(name: str) -> tuple[Space, int, list[RowSource]]:
    """Those of a forward problem: terms, continuity, the start of a slab."""
    problem = compiled(name)
    space, U = space_on(problem), len(problem.unknowns)
    sources = [*term_rows(problem, space, {}), *continuity(problem, space)]
    if problem.time:
        sources.append(start(problem, space, lambda x, alpha: torch.sin(x.sum(dim=1)).expand(U, -1)))
    return space, U, sources


def fit_of(folder, robust: bool) -> tuple[Space, int, list[RowSource]]:
    """Those of an inverse problem: a parameter, data, a regularization."""
    random = np.random.default_rng(0)
    x = random.random(40)
    table = np.column_stack([x, np.exp(-x) + 0.1 * random.standard_normal(40)])
    np.savetxt(folder / "probes.csv", table, delimiter=",", header="x,a", comments="", fmt="%.17g")
    loss = {"loss": "huber"} if robust else {}
    problem = compile_problem(
        Problem(
            name="fit",
            domain={"x": (0, 1)},
            unknowns="u",
            equations={"decay": {"equation": "D(u, x) = -k*u**2", "where": "x > 0.4"}},
            data={"probes": {"file": "probes.csv", "equation": "k*u = a", **loss}},
            unknown_parameters={"k": {"guess": 0.7}},
            folder=folder,
        )
    )
    space = space_on(problem)
    data = Measurements.of(problem).rows(problem, space)
    exact = [rows for rows in term_rows(problem, space, {}) if rows.name != "probes"]
    return space, 1, [*exact, *data, RegularizationRows("smooth", space, 0, 1, 1, 0.3)]


@pytest.fixture(params=[*NAMES, "fit", "robust fit"])
def case(request, tmp_path) -> tuple[Space, int, list[RowSource], Tensor]:
    if request.param.endswith("fit"):
        return *fit_of(tmp_path, request.param.startswith("robust")), torch.tensor([0.7], dtype=torch.float64)
    return *sources_of(request.param), NONE


def test_a_matrix_is_the_derivative_of_its_residual(case):
    space, U, sources, parameters = case
    c, direction = (random_state(space, U, seed) for seed in (1, 2))
    state = State(c, parameters)
    for source in (s.reweighed(state) for s in sources):
        block = source.rows(state)
        assert source.kind in KINDS and source.row_count == block.r.numel()
        assert [len(cells) for cells in source.cells] == [len(cells) for cells, _ in block.sides]

        def difference(dc: Tensor, dp: Tensor, source=source) -> Tensor:
            up, down = (
                source.rows(State(c + s * H * dc, parameters + s * H * dp), matrix=False).r.reshape(-1) for s in (1, -1)
            )
            return (up - down) / (2 * H)

        assert_same(dense(block, c.shape) @ direction.reshape(-1), difference(direction, 0 * parameters), block, source)
        assert_same(block.times(direction.flatten(1)).reshape(-1), difference(direction, 0 * parameters), block, source)
        if len(parameters) and source.kind in ("term", "data"):
            assert_same(block.parameters[..., 0].reshape(-1), difference(0 * c, torch.ones(1)), block, source)


def assert_same(found: Tensor, expected: Tensor, block, source: RowSource) -> None:
    size = 1e-7 * float(expected.abs().max() + block.r.abs().max() + 1)
    torch.testing.assert_close(found, expected, rtol=0, atol=size, msg=source.name)


def test_the_same_state_gives_the_same_rows_whatever_was_asked_before(case):
    """Units of rows come from the state that a source was made for, never from the first call."""
    space, U, sources, parameters = case
    one, two = (State(random_state(space, U, seed), parameters) for seed in (1, 2))
    for source in sources:
        first, second = source.scaled_at(one), source.scaled_at(one)
        second.rows(two)  # another state first
        assert torch.equal(first.rows(two).r, second.rows(two).r), source.name
        assert torch.equal(first.rows(one).r, second.rows(one, matrix=False).r), source.name
        plain = source.rows(two).r
        source.rows(one)
        assert torch.equal(source.rows(two).r, plain), source.name


def test_without_coefficients_rows_are_those_of_zero(case):
    space, U, sources, parameters = case
    zero = torch.zeros(space.cells.count, U, space.functions, dtype=torch.float64)
    for source in sources:
        torch.testing.assert_close(
            source.rows(State(None, parameters), matrix=False).r,
            source.rows(State(zero, parameters)).r,
            msg=source.name,
        )


def outside(name: str) -> Callable[[Tensor], Tensor] | None:
    """Where a term of these problems does not hold."""
    return {"mass": lambda x: x.sum(dim=-1) <= 0.2, "decay": lambda x: x[..., 0] <= 0.4}.get(name)


def test_rows_outside_of_a_where_vanish(case):
    space, U, sources, parameters = case
    state = State(random_state(space, U, 3), parameters)
    for source in sources:
        gone = outside(source.name)
        if gone is None:
            continue
        block, away = source.rows(state), gone(source.x)
        assert bool(away.any()) and not block.r[away].any() and bool(block.r[~away].all())
        for _, A in block.sides:
            assert not A.expand(*block.r.shape, -1)[away].any()
        if block.parameters is not None:
            assert not block.parameters[away].any()


def test_some_of_these_problems_have_a_where():
    assert "where" in MORE["flow"]["equations"]["mass"]


def test_a_seminorm_is_the_integral_of_all_derivatives_of_an_order():
    """Along the unit box: of x^3 y on it, (6 x y)^2 + 2 (3 x^2)^2 + 0 for the second one; whatever the cells."""
    lower = torch.tensor([[0.0, 0.0], [1.0, 0.0], [1.0, 2.0]], dtype=torch.float64)
    upper = torch.tensor([[1.0, 5.0], [2.0, 2.0], [2.0, 5.0]], dtype=torch.float64)
    space = Space(Cells(lower, upper), (4, 3), (2, 2))
    function = space.project(lambda x: ((x[:, 0] / 2) ** 3 * x[:, 1] / 5)[None], 1)
    rows = RegularizationRows("smooth", space, 0, 1, 2, 0.5).rows(State(function, NONE))
    assert rows.loss == pytest.approx(0.5 * (36 / 9 + 2 * 9 / 5))
    assert rows.r.shape[1] == space.functions
