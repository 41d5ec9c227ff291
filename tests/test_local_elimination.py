"""Local elimination against dense solves, and when it is chosen; compressed rows are the same least squares."""

from __future__ import annotations

import pytest
import torch

from pinnsolve.adapt.hp_refinement import make_system, state_at
from pinnsolve.assembly.compressed_rows import compressed
from pinnsolve.assembly.normal_blocks import normal_blocks
from pinnsolve.assembly.row_source import RowBlock, State
from pinnsolve.assembly.term_rows import table_orders
from pinnsolve.bases.piecewise.initial_mesh import first_cells
from pinnsolve.bases.piecewise.mesh import uniform_cells
from pinnsolve.bases.piecewise.space import Space
from pinnsolve.compiler.compiler import compile_problem
from pinnsolve.compiler.terms import CompiledProblem
from pinnsolve.least_squares import local_elimination
from pinnsolve.least_squares.block_cholesky import BlockCholesky, BlockMatrix
from pinnsolve.least_squares.fronts import fronts
from pinnsolve.least_squares.local_elimination import EXACT, LocalElimination, worth_eliminating
from pinnsolve.pipeline import solve
from pinnsolve.problem.build import build_problem
from pinnsolve.spec.spec import load_spec, spec_from_dict

CUBE = {
    "coordinates": {"x": [0, 1], "y": [0, 1], "z": [0, 1]},
    "unknowns": "u",
    "equations": {"poisson": "laplacian(u) - u = -(12.25*pi**2 + 1)*sin(2*pi*x)*sin(pi*y)*sin(2.5*pi*z)"},
    "conditions": {"walls": {"on": "boundary", "equation": "u = sin(2*pi*x)*sin(pi*y)*sin(2.5*pi*z)"}},
    "exact": {"u": "sin(2*pi*x)*sin(pi*y)*sin(2.5*pi*z)"},
    "solve": {"method": "least_squares"},  # and not by its energy
}


def cube(cells: tuple[int, ...], degree: int) -> tuple[CompiledProblem, Space]:
    problem = compile_problem(build_problem(spec_from_dict({"name": "cube", **CUBE})))
    low, high = (torch.tensor([ends[k] for ends in problem.intervals], dtype=torch.float64) for k in (0, 1))
    return problem, Space(uniform_cells(low, high, cells), (degree,) * 3, table_orders(problem))


def normal_system(cells: tuple[int, ...], degree: int):
    """The blocks of a system, those of the rows inside cells, and the centres."""
    problem, space = cube(cells, degree)
    system = make_system(problem, space, {})
    state = state_at(problem, torch.zeros(space.cells.count, 1, space.functions, dtype=torch.float64))
    system = system.scaled_at(state)
    like = system.zero().flatten(1)
    inside, diagonal, blocks = normal_blocks(system.rows(state), system.pairs, like, system.check, divided=True)
    return BlockMatrix(diagonal, system.pairs, blocks), inside, space.cells.centres


@pytest.fixture(scope="module")
def blocks():
    """Makes copies: blocks of a matrix are taken over."""
    matrix, inside, centres = normal_system((3, 2, 3), 5)
    return lambda: (BlockMatrix(matrix.diagonal.clone(), matrix.pairs, matrix.blocks.clone()), inside, centres)


@pytest.mark.parametrize("columns", [(), (3,)])
def test_solutions_are_those_of_the_whole_factorization(blocks, columns):
    matrix, inside, centres = blocks()
    C, n, _ = matrix.diagonal.shape
    b = torch.randn(C, n, *columns, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    whole = BlockCholesky(matrix, fronts(centres, matrix.pairs, n)).solve(b)
    found = LocalElimination(matrix, inside, centres, accuracy=EXACT).solve(b)
    assert found.shape == b.shape
    assert float((found - whole).norm()) < 1e-6 * float(whole.norm())


def test_a_handful_of_steps_does_and_few_functions_are_free(blocks, monkeypatch):
    matrix, inside, centres = blocks()
    C, n, _ = matrix.diagonal.shape
    b = torch.randn(C, n, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
    whole = BlockCholesky(matrix, fronts(centres, matrix.pairs, n)).solve(b)
    eliminated = LocalElimination(matrix, inside, centres)
    monkeypatch.setattr(local_elimination, "MOST_STEPS", 12)
    x = eliminated.solve(b)
    assert eliminated.free_count < 0.75 * n  # of low degrees; the share falls with the degree
    energy = float(((x - whole) * b).sum() / (whole * b).sum())
    assert abs(energy) < 1e-6


def test_a_right_hand_side_of_zero_gives_zero(blocks):
    matrix, inside, centres = blocks()
    C, n, _ = matrix.diagonal.shape
    assert not LocalElimination(matrix, inside, centres).solve(torch.zeros(C, n, 2, dtype=torch.float64)).any()


def test_rank_counts_all_functions(blocks):
    matrix, inside, centres = blocks()
    C, n, _ = matrix.diagonal.shape
    info = LocalElimination(matrix, inside, centres).rank_info()
    assert info["rank"] == info["columns"] == C * n


def test_a_factorization_can_be_ended(blocks):
    matrix, inside, centres = blocks()

    def stop() -> None:
        raise TimeoutError

    with pytest.raises(TimeoutError):
        LocalElimination(matrix, inside, centres, stop)


def test_it_is_chosen_where_fronts_are_large():
    def worth(*cells: int) -> bool:
        count = cells[0] * cells[1] * cells[2]
        space = uniform_cells(torch.zeros(3).double(), torch.ones(3).double(), cells)
        centres = 0.5 * (space.lower + space.upper)
        pairs = [
            (i, j)
            for i in range(count)
            for j in range(i + 1, count)
            if abs(float((centres[i] - centres[j]).abs().mul(torch.tensor(cells).double()).sum()) - 1.0) < 1e-9
        ]
        return worth_eliminating(fronts(centres, pairs, 200), count, len(pairs), 200)

    assert worth(6, 6, 6) and not worth(30, 1, 1)


def test_a_solution_is_the_same_either_way(monkeypatch):
    found = []
    for gain in (0.0, 1e9):
        monkeypatch.setattr(local_elimination, "GAIN", gain)
        spec = spec_from_dict(
            {
                "name": "cube",
                **CUBE,
                "solve": {"tolerance": 1e-2, "basis": {"kind": "pou_grid", "partitions": 3, "degree": 5}},
            }
        )
        found.append(solve(build_problem(spec)))
    assert [one.result["status"] for one in found] == ["converged", "converged"]
    first, second = (one.result["relative_l2_error"]["u"] for one in found)
    assert first == pytest.approx(second, rel=1e-3)


def test_compressed_rows_have_the_same_loss_and_matrix():
    generator = torch.Generator().manual_seed(3)
    A = torch.randn(4, 60, 7, generator=generator, dtype=torch.float64)
    r = torch.randn(4, 60, generator=generator, dtype=torch.float64)
    z = torch.randn(4, 7, generator=generator, dtype=torch.float64)
    cells = torch.arange(4)
    block = RowBlock("term", r, [(cells, A)])
    small = compressed(block)
    assert small.r.shape == (4, 8)
    assert small.loss == pytest.approx(block.loss, rel=1e-12)
    moved, moved_small = (float(((b.r + b.times(z)) ** 2).sum()) for b in (block, small))
    assert moved_small == pytest.approx(moved, rel=1e-12)
    gram = [b.sides[0][1].mT @ b.sides[0][1] for b in (block, small)]
    assert torch.allclose(*gram, rtol=1e-12, atol=1e-12)
    shared = RowBlock("term", r, [(cells, A[:1])])
    assert compressed(shared) is shared


def test_kept_rows_give_the_residuals_of_any_state():
    problem = compile_problem(build_problem(load_spec("hollow-ball")))
    space = Space(first_cells(problem), (3, 3, 3), table_orders(problem))
    system = make_system(problem, space, {})
    generator = torch.Generator().manual_seed(4)
    c = torch.randn(space.cells.count, 1, space.functions, generator=generator, dtype=torch.float64)
    state = State(c, torch.zeros(0, dtype=torch.float64))
    kept, fresh = system.scaled_at(state), system.without_rows().scaled_at(state)
    kept.rows(state)
    losses = [sum(block.loss for block in one.rows(state, matrix=False)) for one in (kept, fresh)]
    assert losses[0] == pytest.approx(losses[1], rel=1e-10)
    assert kept.without_rows()._operator is None
