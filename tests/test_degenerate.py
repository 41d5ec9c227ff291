"""Diffusion that vanishes with the solution: what is lost at the front is seen."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

import pinnsolve as ps
from pinnsolve import method
from pinnsolve.assembly.row_source import State
from pinnsolve.assembly.term_rows import table_orders
from pinnsolve.bases.piecewise.basis import PouCells
from pinnsolve.bases.piecewise.mesh import uniform_cells
from pinnsolve.bases.piecewise.space import Space
from pinnsolve.compiler.compiler import compile_problem
from pinnsolve.estimate.balances import lost_until
from pinnsolve.estimate.defect_correction import Approximation
from pinnsolve.estimate.degenerate import lost_totals

LOWER, UPPER = torch.tensor([1.0, 0.0], dtype=torch.float64), torch.tensor([2.0, 4.0], dtype=torch.float64)


@pytest.fixture(scope="module")
def porous():
    return ps.Problem(
        name="porous",
        domain=ps.Box(t=(1, 2), x=(0, 4)),
        unknowns="u",
        equations={"flow": "D(u, t) = D(u**2, x, x)"},
        conditions={"start": ps.Condition(on="t = 1", equation="u = max(0, 1 - x)**2")},
    )


def of_function(problem: ps.Problem, ground: float) -> Approximation:
    """t (1 - x)^2 up to x = 1, beyond which there is nothing but the ground, on which all of it stands."""
    compiled = compile_problem(problem)
    space = Space(uniform_cells(LOWER, UPPER, [2, 4]), (4, 4), table_orders(compiled))
    c = space.project(lambda x: (ground + x[:, 0] * (1 - x[:, 1]).clamp_min(0.0) ** 2)[None], 1)
    basis = PouCells(space.cells, space.degrees, LOWER, UPPER)
    return Approximation(basis, State(c.transpose(0, 1).reshape(1, -1), torch.zeros(0, dtype=torch.float64)))


def test_residuals_are_added_up_over_the_domain_and_the_time(porous):
    # (1 - x)^2 (1 - 12 t^2), over the length of 4
    assert lost_until(compile_problem(porous), of_function(porous, 0.0), "flow") == pytest.approx(2.25, rel=1e-9)


@pytest.mark.parametrize(("ground", "seen"), [(0.0, True), (1.0, False)])
def test_what_is_lost_counts_where_diffusion_vanishes(porous, ground, seen):
    compiled = compile_problem(porous)
    check = method.solve_context(porous, compiled, None)
    check = replace(check, term_weights={"flow": 1.0, "start": 1.0}).check_assembly(300)
    found = list(lost_totals(compiled, of_function(porous, ground), {"u": 1e-3}, check))
    assert [one.unknown for one in found] == ["u"] * seen
    assert all("degenerate" in one.sentence and one.share > 1.0 for one in found)
