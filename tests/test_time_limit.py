"""A time limit ends a level or a slab in its middle, and the answer before is kept."""

from __future__ import annotations

import pytest
import torch

import pinnsolve as ps
from pinnsolve.adapt.hp_refinement import corrected, newton, solve_level
from pinnsolve.assembly.term_rows import table_orders
from pinnsolve.bases.piecewise.initial_mesh import first_cells
from pinnsolve.bases.piecewise.space import Space
from pinnsolve.compiler.compiler import compile_problem
from pinnsolve.solvers.budget import Clock, OutOfTime

WAVES = ps.Problem(
    name="waves",
    domain=ps.Box(x=(0, 1), y=(0, 1)),
    unknowns="u",
    equations={"e": "laplacian(u) = -162*sin(9*x)*sin(9*y)"},
    conditions={"rim": ps.Condition(on="boundary", equation="u = sin(9*x)*sin(9*y)")},
    exact={"u": "sin(9*x)*sin(9*y)"},
)
HEAT = ps.Problem(
    name="heat",
    domain=ps.Box(t=(0, 1), x=(0, 1)),
    unknowns="u",
    equations={"e": "D(u, t) = D(u, x, x) + u**2 - exp(-2*t)*sin(x)**2"},
    conditions={
        "start": ps.Condition(on="t = 0", equation="u = sin(x)"),
        "ends": ps.Condition(on="boundary", equation="u = exp(-t)*sin(x)"),
    },
    exact={"u": "exp(-t)*sin(x)"},
)


def run_out(monkeypatch, asked: int) -> None:
    """The limit passes when the clock has been asked so many times."""
    left = iter(range(asked))
    monkeypatch.setattr(Clock, "expired", lambda clock: next(left, None) is None)


def test_a_level_stops_where_it_is_told_to():
    compiled = compile_problem(WAVES)
    space = Space(first_cells(compiled), (8, 8), table_orders(compiled))
    zero = torch.zeros(1, 1, space.functions, dtype=torch.float64)
    calls = []

    def check(after: int) -> None:
        calls.append(after)
        if len(calls) > after:
            raise OutOfTime

    def level(after: int):
        solved = solve_level(compiled, space, zero, {}, newton(1e-8), check=lambda: check(after))
        return corrected(solved, compiled, {}, check=lambda: check(after))

    level(10**9)
    total = len(calls)
    assert total > 20
    for after in (0, total // 4, total // 2, total - 1):
        calls.clear()
        with pytest.raises(OutOfTime):
            level(after)
        assert len(calls) == after + 1  # nothing is computed once it was told


def test_without_time_the_first_level_is_solved_and_says_that_its_error_is_not_known():
    result = ps.solve(WAVES, tolerance=1e-9, limits={"seconds": 1e-9}).result
    assert result["status"] == "time_limit" and "not estimated" in result["message"]
    assert result["estimated_error"] is None and result["relative_l2_error"]["u"] < 1


def test_a_limit_within_a_later_level_keeps_the_level_before(monkeypatch):
    run_out(monkeypatch, 60)
    solution = ps.solve(WAVES, tolerance=1e-12, limits={"seconds": 1000})
    levels = [entry for entry in solution.history if entry["phase"].startswith("level")]
    assert solution.result["status"] == "time_limit" and levels
    assert solution.result["estimated_error"]["u"] == pytest.approx(min(entry["estimate"] for entry in levels))


def test_a_limit_within_a_slab_keeps_the_slabs_before(monkeypatch):
    run_out(monkeypatch, 150)
    result = ps.solve(HEAT, tolerance=1e-9, limits={"seconds": 1000}).result
    assert result["status"] == "time_limit" and "the last values are repeated" in result["message"]
