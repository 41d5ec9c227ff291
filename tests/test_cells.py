"""Cells: a partition of a box stays one whatever is split and merged, and knows who touches whom."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from pinnsolve.bases.piecewise.mesh import Cells, tensor_cells, uniform_cells

LOWER, UPPER = [-1.0, 0.5, 2.0], [3.0, 1.0, 2.7]


def box(dimension: int) -> tuple[Tensor, Tensor]:
    return torch.tensor(LOWER[:dimension], dtype=torch.float64), torch.tensor(UPPER[:dimension], dtype=torch.float64)


def split_at_random(dimension: int, seed: int, times: int) -> Cells:
    """Cells of many sizes: a few, each halved or not along each axis, again and again."""
    generator = torch.Generator().manual_seed(seed)
    cells = uniform_cells(*box(dimension), [1 + (seed + a) % 2 for a in range(dimension)])
    for _ in range(times):
        marked = torch.rand(cells.count, generator=generator) < 0.4
        axes = torch.rand(cells.count, dimension, generator=generator) < 0.6
        cells = cells.split(marked, axes)
    return cells


def points_in(dimension: int, count: int = 400, seed: int = 3) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    lower, upper = box(dimension)
    return lower + (upper - lower) * torch.rand(count, dimension, generator=generator, dtype=torch.float64)


def holds(cells: Cells, x: Tensor) -> Tensor:
    """(N, C): whether a closed cell holds a point."""
    return ((cells.lower <= x[:, None]) & (x[:, None] <= cells.upper)).all(dim=2)


def assert_partition(cells: Cells, dimension: int) -> None:
    lower, upper = box(dimension)
    assert (cells.size > 0).all()
    assert torch.equal(cells.box[0], lower) and torch.equal(cells.box[1], upper)
    assert float(cells.volume.sum()) == pytest.approx(float((upper - lower).prod()), rel=1e-13)
    assert (holds(cells, points_in(dimension)).sum(dim=1) == 1).all()  # none overlap


any_cells = st.tuples(st.integers(1, 3), st.integers(0, 10_000), st.integers(0, 4))
quickly = settings(max_examples=25, deadline=None)


# -- making them ------------------------------------------------------------------------------------------------------


def test_uniform_cells_run_fastest_along_the_last_axis():
    cells = uniform_cells(*box(2), [2, 3])
    assert cells.count == 6 and cells.dimension == 2
    assert_partition(cells, 2)
    torch.testing.assert_close(cells.size, torch.tensor([[2.0, 0.5 / 3]], dtype=torch.float64).expand(6, 2))
    assert cells.lower[0].tolist() == [-1.0, 0.5] and cells.lower[1].tolist() == [-1.0, 0.5 + 0.5 / 3]


def test_tensor_cells_have_the_edges_given():
    edges = [torch.tensor(e, dtype=torch.float64) for e in ([0.0, 0.1, 2.0], [-1.0, 0.0, 0.5, 3.0])]
    cells = tensor_cells(edges)
    assert cells.count == 6
    assert sorted({float(v) for v in cells.lower[:, 1]}) == [-1.0, 0.0, 0.5]
    assert float(cells.volume.sum()) == pytest.approx(8.0)


def test_reference_coordinates_and_back():
    cells = split_at_random(2, 1, 3)
    chosen = torch.tensor([0, cells.count - 1, 2])
    generator = torch.Generator().manual_seed(0)
    s = 2 * torch.rand(3, 5, 2, generator=generator, dtype=torch.float64) - 1
    x = cells.physical(s, chosen)
    torch.testing.assert_close(cells.reference(x, chosen), s)
    ends = cells.physical(torch.tensor([[[-1.0, -1.0], [1.0, 1.0]]], dtype=torch.float64))
    assert torch.equal(ends[:, 0], cells.lower) and torch.equal(ends[:, 1], cells.upper)


# -- splitting and merging --------------------------------------------------------------------------------------------


@quickly
@given(any_cells)
def test_splitting_leaves_a_partition(which):
    assert_partition(split_at_random(*which), which[0])


def test_split_halves_what_is_marked_along_the_axes_that_are():
    cells = uniform_cells(*box(2), [2, 1])
    marked = torch.tensor([True, False])
    axes = torch.tensor([[False, True], [True, True]])
    halved = cells.split(marked, axes)
    assert sorted(halved.size.tolist()) == [[2.0, 0.25], [2.0, 0.25], [2.0, 0.5]]
    assert cells.split(marked, torch.ones(2, 2, dtype=torch.bool)).count == 5
    assert cells.split(~marked & marked, axes).count == 2
    assert cells.count == 2  # as it was


@quickly
@given(any_cells)
def test_cells_are_numbered_by_their_corners_however_they_were_made(which):
    cells = split_at_random(*which)
    order = torch.randperm(cells.count, generator=torch.Generator().manual_seed(which[1]))
    again = cells.like(cells.lower[order], cells.upper[order], cells.material)
    there = cells.like(cells.lower, cells.upper, cells.material)
    corners = there.lower.tolist()
    assert corners == sorted(corners)
    assert torch.equal(again.lower, there.lower) and torch.equal(again.upper, there.upper)


@quickly
@given(any_cells)
def test_siblings_fill_a_box_and_merging_keeps_a_partition(which):
    cells = split_at_random(*which)
    for axis in range(which[0]):
        ends = (LOWER[axis], UPPER[axis])
        pairs, taken = [], set()
        for i, j in cells.siblings(axis, ends):
            assert float(cells.upper[i, axis]) == pytest.approx(float(cells.lower[j, axis]))
            assert float(cells.size[i, axis]) == pytest.approx(float(cells.size[j, axis]))
            others = [a for a in range(which[0]) if a != axis]
            assert torch.allclose(cells.lower[i, others], cells.lower[j, others])
            assert torch.allclose(cells.upper[i, others], cells.upper[j, others])
            if i not in taken and j not in taken:
                pairs.append((i, j))
                taken |= {i, j}
        merged = cells.merged(pairs)
        assert merged.count == cells.count - len(pairs)
        assert_partition(merged, which[0])


def test_cells_are_halved_as_often_as_numbers_say():
    cells = uniform_cells(*box(2), (2, 1))
    times = torch.tensor([[2, 1], [0, 0]])
    finer = cells.split(times.any(dim=1), times)
    assert finer.count == 9
    assert_partition(finer, 2)
    once = torch.tensor([[True, True], [False, False]])
    steps = cells.split(once.any(dim=1), once)
    left = steps.upper[:, 0] <= 0.5 * (cells.lower[0, 0] + cells.upper[1, 0]) + 1e-12
    again = torch.stack([left, torch.zeros_like(left)], dim=1)
    twice = steps.split(left, again)
    assert torch.equal(twice.lower, finer.lower) and torch.equal(twice.upper, finer.upper)


@pytest.mark.parametrize("axis", [0, 1])
def test_merging_all_siblings_undoes_a_split(axis):
    cells = uniform_cells(*box(2), [2, 2])
    axes = torch.zeros(4, 2, dtype=torch.bool)
    axes[:, axis] = True
    halved = cells.split(torch.tensor([True, False, True, True]), axes)
    ends = (LOWER[axis], UPPER[axis])
    # only halves of one cell are siblings at the smaller size
    small = [(i, j) for i, j in halved.siblings(axis, ends) if float(halved.size[i, axis]) < float(cells.size[0, axis])]
    assert len(small) == 3
    again = halved.merged(small)
    torch.testing.assert_close(again.lower, cells.lower)
    torch.testing.assert_close(again.upper, cells.upper)


def test_neighbours_of_equal_size_that_are_no_halves_of_one_cell_are_no_siblings():
    cells = uniform_cells(*box(1), [4])
    assert sorted(cells.siblings(0, (LOWER[0], UPPER[0]))) == [(0, 1), (2, 3)]


# -- who is where -----------------------------------------------------------------------------------------------------


@quickly
@given(any_cells)
def test_a_point_is_located_in_the_cell_that_holds_it(which):
    cells = split_at_random(*which)
    x = points_in(which[0], seed=which[1])
    assert holds(cells, x)[torch.arange(len(x)), cells.locate(x)].all()


def test_points_on_edges_and_just_outside_are_located():
    cells = split_at_random(2, 5, 4)
    corners = torch.cat([cells.lower, cells.upper])
    assert holds(cells, corners)[torch.arange(len(corners)), cells.locate(corners)].all()
    lower, upper = cells.box
    outside = torch.stack([lower - 1e-12, upper + 1e-12])
    assert cells.locate(outside).tolist() == cells.locate(torch.stack([lower, upper])).tolist()
    assert cells.locate(corners[:0]).shape == (0,)


def test_many_points_are_located_block_by_block():
    cells = uniform_cells(*box(1), [2000])
    x = points_in(1, 12_000)
    assert holds(cells, x)[torch.arange(len(x)), cells.locate(x)].all()


@quickly
@given(any_cells, st.floats(0.0, 1.0))
def test_a_plane_is_held_once_everywhere(which, share):
    """Of cells that share a face on it, only one takes it."""
    cells, d = split_at_random(*which), which[0]
    for axis in range(d):
        low, high = LOWER[axis], UPPER[axis]
        for value in (low, high, low + 0.5 * (high - low), low + share * (high - low)):
            chosen = cells.touching(axis, value)
            others = [a for a in range(d) if a != axis]
            area = float(cells.size[chosen][:, others].prod(dim=1).sum())
            whole = 1.0
            for a in others:
                whole *= UPPER[a] - LOWER[a]
            assert area == pytest.approx(whole, rel=1e-12)


def face_area(cells: Cells, axis: int, i: Tensor, j: Tensor) -> float:
    """Of what is common to the faces of pairs of cells."""
    others = [a for a in range(cells.dimension) if a != axis]
    low = torch.maximum(cells.lower[i], cells.lower[j])[:, others]
    high = torch.minimum(cells.upper[i], cells.upper[j])[:, others]
    return float((high - low).prod(dim=1).sum())


@quickly
@given(any_cells)
def test_contacts_cover_every_inner_face_once(which):
    cells, d = split_at_random(*which), which[0]
    everything = torch.arange(cells.count)
    for axis in range(d):
        i, j = cells.contacts(axis, everything, everything)
        assert len(set(zip(i.tolist(), j.tolist(), strict=True))) == len(i)
        assert torch.allclose(cells.upper[i, axis], cells.lower[j, axis])
        inner = (cells.upper[:, axis] - UPPER[axis]).abs() > 1e-9
        others = [a for a in range(d) if a != axis]
        faces = float(cells.size[inner][:, others].prod(dim=1).sum())
        assert face_area(cells, axis, i, j) == pytest.approx(faces, rel=1e-12, abs=1e-15)


def test_a_large_cell_touches_all_small_ones_across_a_face():
    cells = uniform_cells(*box(2), [2, 1]).split(torch.tensor([False, True]), torch.tensor([[False, True]] * 2))
    everything = torch.arange(3)
    i, j = cells.contacts(0, everything, everything)
    assert sorted(zip(i.tolist(), j.tolist(), strict=True)) == [(0, 1), (0, 2)]
    i, j = cells.contacts(1, everything, everything)
    assert list(zip(i.tolist(), j.tolist(), strict=True)) == [(1, 2)]


@quickly
@given(any_cells)
def test_periodic_faces_meet_across_the_box(which):
    cells, d = split_at_random(*which), which[0]
    for axis in range(d):
        low, high = LOWER[axis], UPPER[axis]
        first, last = cells.touching(axis, low), cells.touching(axis, high)
        i, j = cells.contacts(axis, last, first, shift=low - high)
        assert set(i.tolist()) == set(last.tolist()) and set(j.tolist()) == set(first.tolist())
        others = [a for a in range(d) if a != axis]
        area = float(cells.size[first][:, others].prod(dim=1).sum())
        assert face_area(cells, axis, i, j) == pytest.approx(area, rel=1e-12)
