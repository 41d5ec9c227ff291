"""What a solve takes is known before it is taken, and stays within `limits.memory_gb`."""

from __future__ import annotations

import math

import pytest
import torch
from small_problems import assembled, basis_for, random_state

import pinnsolve as ps
from pinnsolve.adapt.hp_refinement import make_system
from pinnsolve.assembly.basis_system import BasisSystem
from pinnsolve.assembly.rows import points_at_once
from pinnsolve.assembly.term_rows import table_orders
from pinnsolve.bases.piecewise.initial_mesh import first_cells
from pinnsolve.bases.piecewise.space import Space
from pinnsolve.compiler.compiler import compile_problem
from pinnsolve.errors import ResourceError
from pinnsolve.least_squares import solve_dense
from pinnsolve.runtime import lacks_memory
from pinnsolve.solvers import Clock
from pinnsolve.solvers.follow import attempt
from pinnsolve.solvers.memory import bytes_needed, refuse_blocks


def test_points_at_once_bound_a_table():
    for functions in (1, 100, 3000, 10_000):
        assert points_at_once(functions) * functions <= 1e6 or points_at_once(functions) == 64


@pytest.mark.parametrize("basis", [{"partitions": [10**6, 10**6]}, {"partitions": [2, 2], "degree": 10**6}])
def test_partitions_beyond_all_memory_are_refused_before_they_are_made(basis):
    problem = ps.Problem(
        name="huge",
        domain=ps.Box(x=(0, 1), y=(0, 1)),
        unknowns="u",
        equations={"e": "laplacian(u) = 1"},
        conditions={"b": ps.Condition(on="boundary", equation="u = 0")},
        solve={"basis": {"kind": "pou_grid", **basis}},
    )
    with pytest.raises(ResourceError, match="GB may be taken"):
        ps.solve(problem)


def test_blocks_are_refused_where_they_do_not_fit():
    refuse_blocks(1e9, 10, 100)
    with pytest.raises(ResourceError, match="needs"):
        refuse_blocks(1e9, 10_000, 1000)


@pytest.mark.parametrize(
    "error, lacking",
    [
        (MemoryError(), True),
        (RuntimeError("DefaultCPUAllocator: can't allocate memory"), True),
        (RuntimeError(), False),
    ],
)
def test_a_lack_of_memory_ends_a_level_and_keeps_the_one_before(error, lacking):
    def work():
        raise error

    assert lacks_memory(error) == lacking
    if lacking:
        assert attempt(work, Clock()).status == "no_memory"
    else:
        with pytest.raises(RuntimeError):
            attempt(work, Clock())


@pytest.mark.parametrize("rank, rows", [(20, 50), (13, 50), (10, 10), (7, 12), (1, 3)])
def test_least_norm_of_a_deficient_matrix(rank, rows):
    generator = torch.Generator().manual_seed(0)
    left, right = (
        torch.randn(*shape, generator=generator, dtype=torch.float64) for shape in ((rows, rank), (rank, 20))
    )
    A, b = left @ right, torch.randn(rows, generator=generator, dtype=torch.float64)
    norms = A.norm(dim=0)
    expected = torch.linalg.pinv(A / norms, rtol=1e-12) @ b / norms
    found = solve_dense(A, b)
    assert found.rank == rank
    torch.testing.assert_close(found.x, expected, rtol=1e-9, atol=1e-11)
    assert found.residual_norm == pytest.approx(float((A @ expected - b).norm()), abs=1e-12)


def test_rows_gathered_in_pieces_are_those_made_at_once(monkeypatch):
    """Of terms with two residuals, too, whose rows stand one after another."""
    problem = ps.Problem(
        name="two",
        domain=ps.Box(x=(0, 1), y=(0, 1)),
        unknowns=["u", "v"],
        equations={"e": "laplacian(u) = v", "f": "D(v, x) + k*u**2 = 1"},
        conditions={"b": ps.Condition(on="boundary", equations=["u = x", "v = y"])},
        unknown_parameters={"k": {"guess": 2.0}},
    )
    compiled = compile_problem(problem)
    assembly, basis = assembled(compiled), basis_for(compiled)
    state = random_state(compiled, basis)
    whole = BasisSystem(assembly, basis).rows(state)
    monkeypatch.setattr("pinnsolve.assembly.rows.points_at_once", lambda functions: 7)
    pieces = BasisSystem(assembly, basis).rows(state)
    without = BasisSystem(assembly, basis).rows(state, matrix=False)
    for one, two, three in zip(whole, pieces, without, strict=True):
        torch.testing.assert_close(one.A, two.A, rtol=1e-12, atol=1e-12)
        torch.testing.assert_close(one.r, two.r, rtol=1e-12, atol=1e-12)
        torch.testing.assert_close(one.r, three.r, rtol=1e-11, atol=1e-12)


def test_one_cell_of_high_degree_takes_its_tables_beside_its_rows():
    """A derivative along each axis: three tables, and the rows that are their sum."""
    box, flat = ps.Box(x=(0, 1), y=(0, 1), z=(0, 1)), {"b": ps.Condition(on="boundary", equation="u = 0")}
    stated = ps.Problem(name="cube", domain=box, unknowns="u", equations={"e": "laplacian(u) = 1"}, conditions=flat)
    compiled = compile_problem(stated)
    space = Space(first_cells(compiled), (10, 10, 10), table_orders(compiled))
    points = math.prod(space.points_per_axis(a) for a in range(3))
    system = make_system(compiled, space, {})
    assert bytes_needed(system) > 4 * 8 * points * space.functions
    assert bytes_needed(system.keeping_rows()) > 4 * 8 * points * space.functions


def test_a_cell_gets_as_many_degrees_as_fit():
    """One of as many as the tolerance asks for would need several times the memory."""
    cube = ps.Box(x=(0, 1), y=(0, 1), z=(0, 1))
    truth = "sin(pi*x)*sin(pi*y)*sin(pi*z)*exp(x*y*z)"
    problem = ps.Problem(
        name="cube", domain=cube, unknowns="u", equations={"e": f"laplacian(u) = laplacian({truth})"},
        conditions={"walls": ps.Condition(on="boundary", equation="u = 0")}, exact={"u": truth},
    )  # fmt: skip
    result = ps.solve(problem, tolerance=1e-12, limits={"memory_gb": 0.15}).result
    assert result["status"] == "tolerance_not_reached" and "GB may be taken" in result["message"]
    assert result["relative_l2_error"]["u"] < 1e-5
