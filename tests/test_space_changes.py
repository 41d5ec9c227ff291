"""Cells merged between steps: where nothing is lost, and nowhere else."""

from functools import partial

import pytest
import torch

from pinnsolve.adapt.space_changes import adapted, to_blame, with_merged_cells
from pinnsolve.bases.piecewise.mesh import uniform_cells
from pinnsolve.bases.piecewise.space import Space

ONE = torch.ones(1, dtype=torch.float64)


def space(count, degree=4):
    low, high = torch.zeros(2, dtype=torch.float64), torch.tensor([2.0, 1.0], dtype=torch.float64)
    return Space(uniform_cells(low, high, (count, count)), (degree, degree), (2, 2))


def front(x):
    return torch.tanh(40 * (x[:, 0] - 0.3))[None]


def test_a_polynomial_needs_one_cell():
    fine = space(2)
    c = fine.project(lambda x: (x[:, 0] ** 3 * x[:, 1] ** 4 - x[:, 1])[None], 1)
    assert with_merged_cells(fine, c, ONE, 1e-6).cells.count == 1


def test_cells_stay_where_the_front_is_and_no_more_is_lost_than_allowed():
    fine = space(16)
    c = fine.project(front, 1)
    coarse = with_merged_cells(fine, c, ONE, 1e-3)
    assert coarse.cells.count < 0.6 * fine.cells.count
    small = coarse.cells.size[:, 0] < 0.2
    middle = 0.5 * (coarse.cells.lower + coarse.cells.upper)[:, 0]
    assert bool(small[(middle - 0.3).abs() < 0.06].all())
    kept = coarse.project(partial(fine.values, c, alpha=(0, 0)), 1)
    lost = fine.project(partial(coarse.values, kept, alpha=(0, 0)), 1) - c
    assert float(fine.rms(lost)) < 1.1e-3


@pytest.mark.parametrize("allowed", [0.0, 1e-9])
def test_nothing_is_merged_where_everything_is_needed(allowed):
    fine = space(4)
    c = torch.randn(
        fine.cells.count, 1, fine.functions, generator=torch.Generator().manual_seed(0), dtype=torch.float64
    )
    assert with_merged_cells(fine, c, ONE, allowed) is fine


def test_the_fewest_parts_are_to_blame():
    parts = torch.tensor([[3.0, 0.1], [0.2, 4.0]], dtype=torch.float64)
    assert to_blame(parts, 3.1).tolist() == [[False, False], [False, True]]
    assert to_blame(parts, 0.3).tolist() == [[True, False], [False, True]]
    assert not bool(to_blame(parts, torch.inf).any())


def test_cells_are_halved_where_they_are_to_blame_and_merged_elsewhere():
    fine = space(8)
    c = fine.project(front, 1)
    middle = 0.5 * (fine.cells.lower + fine.cells.upper)[:, 0]
    bad = torch.stack([(middle - 0.3).abs() < 0.2, torch.zeros(fine.cells.count, dtype=torch.bool)], dim=1)
    new = adapted(fine, c, ONE, 1e-3, bad)
    width, at = new.cells.size[:, 0], 0.5 * (new.cells.lower + new.cells.upper)[:, 0]
    assert bool((width[(at - 0.3).abs() < 0.1] == 0.125).all())
    assert float(width[at > 1.0].min()) > 0.25
