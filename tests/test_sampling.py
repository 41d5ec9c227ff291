"""Points on regions: inside, on their faces, with normals and partners, as many as asked, decided by the seed."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st

from pinnsolve.geometry import regions
from pinnsolve.geometry.sampling import SAMPLINGS, Narrowing, Points, sample_region

BOX = ((0.0, 1.0), (-2.0, 3.0), (10.0, 10.5))
GRIDS = ("grid", "chebyshev")
samplings = pytest.mark.parametrize("sampling", SAMPLINGS)

ends = st.tuples(
    st.floats(-1e3, 1e3, allow_subnormal=False), st.floats(1e-3, 1e3), st.sampled_from([1e-6, 1.0, 1e6])
).map(lambda t: (t[0] * t[2], (t[0] + t[1]) * t[2]))
boxes = st.lists(ends.filter(lambda e: e[0] < e[1]), min_size=1, max_size=3).map(tuple)


def inside(x: torch.Tensor, box) -> bool:
    lower, upper = torch.tensor(box, dtype=torch.float64).T
    return bool(((x >= lower) & (x <= upper)).all())


@settings(max_examples=150, deadline=None)
@given(boxes, st.sampled_from(SAMPLINGS), st.integers(1, 40), st.integers(0, 2**31))
@example(((-5.3e-05, 0.000184),), "grid", 2, 0)  # low + (high - low) is above high
def test_points_of_the_domain_lie_inside(box, sampling, count, seed):
    points = sample_region(regions.domain(), box, count, sampling, seed)
    assert points.x.shape == (1, points.count, len(box)) and points.x.dtype == torch.float64
    assert points.normals is None and points.columns == {}
    assert inside(points.x, box)
    if sampling in GRIDS:
        for i, (low, high) in enumerate(box):
            assert points.x[..., i].min() == low and points.x[..., i].max() == high


@settings(max_examples=150, deadline=None)
@given(boxes, st.sampled_from(SAMPLINGS), st.integers(1, 40), st.integers(0, 2**31), st.data())
def test_points_of_a_face_lie_on_it_with_its_normal(box, sampling, count, seed, data):
    axis = data.draw(st.integers(0, len(box) - 1))
    side = data.draw(st.integers(0, 1))
    region = regions.plane(axis, box[axis][side], box, "face")
    points = sample_region(region, box, count, sampling, seed)
    assert (points.x[..., axis] == box[axis][side]).all()
    assert inside(points.x, box)
    outward = torch.zeros(len(box), dtype=torch.float64)
    outward[axis] = -1.0 if side == 0 else 1.0
    assert (points.normals == outward).all()
    assert points.normals.shape == (points.count, len(box))


@samplings
def test_normals_of_the_boundary_point_out_of_the_box(sampling):
    points = sample_region(regions.whole_boundary(BOX, (0, 1, 2)), BOX, 20, sampling, 3)
    x, n = points.x[0], points.normals
    torch.testing.assert_close(n.norm(dim=1), torch.ones(points.count, dtype=torch.float64), rtol=0, atol=0)
    for step, expected in ((1e-3, False), (-1e-3, True)):
        moved = x + step * n
        assert [inside(m, BOX) for m in moved] == [expected] * points.count
    faces = {tuple(v) for v in n.tolist()}
    assert len(faces) == 6


@samplings
def test_a_slice_inside_the_box_has_no_normal(sampling):
    points = sample_region(regions.plane(1, 0.5, BOX, "y = 0.5"), BOX, 20, sampling, 0)
    assert points.normals is None
    assert (points.x[..., 1] == 0.5).all() and inside(points.x, BOX)


@samplings
def test_a_periodic_pair_has_twins_that_differ_in_one_coordinate(sampling):
    points = sample_region(regions.periodic_pair(1, BOX, "periodic y"), BOX, 20, sampling, 0)
    here, there = points.x
    assert points.x.shape == (2, points.count, 3)
    assert (here[:, 1] == -2.0).all() and (there[:, 1] == 3.0).all()
    assert torch.equal(here[:, [0, 2]], there[:, [0, 2]])
    assert here[:, 0].unique().numel() > 2


@samplings
def test_a_single_point(sampling):
    points = sample_region(regions.point({0: 0.25, 1: 0.0, 2: 10.1}, "point"), BOX, 500, sampling, 0)
    assert points.x.tolist() == [[[0.25, 0.0, 10.1]]]
    ends = regions.whole_boundary(((0.0, 2.0),), (0,))
    both = sample_region(ends, ((0.0, 2.0),), 500, sampling, 0)
    assert both.x.tolist() == [[[0.0], [2.0]]] and both.normals.tolist() == [[-1.0], [1.0]]


@samplings
def test_a_point_held_for_all_times(sampling):
    points = sample_region(regions.point({1: 0.0, 2: 10.1}, "line"), BOX, 16, sampling, 0)
    assert points.count == 16
    assert (points.x[0, :, 1:] == torch.tensor([0.0, 10.1], dtype=torch.float64)).all()
    assert points.x[0, :, 0].unique().numel() == 16


# -- how many -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("sampling", ["sobol", "uniform"])
@pytest.mark.parametrize("count", [1, 2, 7, 100])
def test_random_points_are_as_many_as_asked(sampling, count):
    assert sample_region(regions.domain(), BOX, count, sampling, 0).count == count
    assert sample_region(regions.whole_boundary(BOX, (0, 2)), BOX, count, sampling, 0).count == 4 * count


@pytest.mark.parametrize("sampling", GRIDS)
@pytest.mark.parametrize(("count", "per_axis"), [(8, 2), (27, 3), (30, 3), (1000, 10), (1, 2)])
def test_a_grid_takes_the_nearest_number_per_axis(sampling, count, per_axis):
    points = sample_region(regions.domain(), BOX, count, sampling, 0)
    assert points.count == per_axis**3
    for axis, (low, high) in enumerate(BOX):
        values = points.x[0, :, axis].unique()
        assert values.numel() == per_axis and values[0] == low and values[-1] == high


def test_a_grid_is_even_and_a_chebyshev_grid_dense_at_the_ends():
    even = sample_region(regions.domain(), ((2.0, 4.0),), 5, "grid", 0).x.flatten()
    assert even.tolist() == [2.0, 2.5, 3.0, 3.5, 4.0]
    dense = sample_region(regions.domain(), ((-1.0, 1.0),), 9, "chebyshev", 0).x.flatten()
    expected = [-math.cos(math.pi * k / 8) for k in range(9)]
    torch.testing.assert_close(dense, torch.tensor(expected, dtype=torch.float64), rtol=0, atol=1e-15)


NARROW = {
    "half": (0.5, lambda x, normals=None: x[:, 0] < 0.5),
    "a tenth": (0.1, lambda x, normals=None: x[:, 0] > 0.9),
    "a hundredth": (0.01, lambda x, normals=None: (x[:, 0] < 0.1) & (x[:, 1] < -1.5)),
    "all": (1.0, lambda x, normals=None: x[:, 0] > -1),
}


@samplings
@pytest.mark.parametrize("name", NARROW)
@pytest.mark.parametrize("count", [50, 1500])
def test_a_narrowed_region_gets_about_as_many_points_as_asked(sampling, name, count):
    _, where = NARROW[name]
    points = sample_region(regions.domain(), BOX[:2], count, sampling, 5, Narrowing(where))
    assert 0.6 * count <= points.count <= 2.5 * count
    assert where(points.x[0]).all() and inside(points.x, BOX[:2])


@samplings
def test_a_narrowed_boundary_keeps_points_and_normals_together(sampling):
    region = regions.whole_boundary(BOX[:2], (0, 1))
    points = sample_region(region, BOX[:2], 50, sampling, 5, Narrowing(lambda x, normals: x[:, 0] > 0.5))
    assert 0.6 * 200 <= points.count <= 1.8 * 200
    for x, n in zip(points.x[0], points.normals, strict=True):
        assert x[0] > 0.5
        axis = int(n.abs().argmax())
        assert x[axis] == BOX[axis][0 if n[axis] < 0 else 1]


@samplings
def test_a_region_without_points_is_refused_in_words(sampling):
    region = regions.domain()
    with pytest.raises(ValueError, match="no point of `domain`"):
        sample_region(region, BOX[:2], 20, sampling, 0, Narrowing(lambda x, normals: x[:, 0] > 2))
    with pytest.raises(ValueError, match="no point of `here`"):
        sample_region(
            regions.point({0: 0.5, 1: 0.0}, "here"),
            BOX[:2],
            20,
            sampling,
            0,
            Narrowing(lambda x, normals: x[:, 0] > 0.6),
        )


# -- seeds --------------------------------------------------------------------------------------------------


@samplings
def test_the_seed_decides(sampling):
    def draw(seed: int) -> Points:
        return sample_region(regions.whole_boundary(BOX, (0, 1, 2)), BOX, 16, sampling, seed)

    state = torch.get_rng_state()
    first, again, other = draw(4), draw(4), draw(5)
    assert torch.equal(first.x, again.x)
    assert torch.equal(first.x, other.x) == (sampling in GRIDS)
    assert torch.equal(torch.get_rng_state(), state)  # nobody else's random numbers are touched


@pytest.mark.parametrize("sampling", ["sobol", "uniform"])
def test_faces_are_drawn_independently(sampling):
    points = sample_region(regions.whole_boundary(BOX, (0,)), BOX, 16, sampling, 0)
    left, right = points.x[0, :16, 1:], points.x[0, 16:, 1:]
    assert not torch.equal(left, right)


def test_sobol_points_fill_the_box_more_evenly_than_random_ones():
    def emptiest(sampling: str) -> float:
        x = sample_region(regions.domain(), ((0.0, 1.0), (0.0, 1.0)), 256, sampling, 0).x[0]
        counts = torch.histogramdd(x, [8, 8], range=[0.0, 1.0, 0.0, 1.0]).hist
        return float(counts.min())

    assert emptiest("sobol") == 4.0 > emptiest("uniform")


def test_points_are_selected_with_what_belongs_to_them():
    x = torch.arange(12.0).reshape(2, 3, 2)
    points = Points(x, torch.arange(6.0).reshape(3, 2), {"measured": torch.tensor([5.0, 6.0, 7.0])})
    some = points.select(torch.tensor([2, 0]))
    assert some.count == 2
    assert some.x.tolist() == x[:, [2, 0]].tolist()
    assert some.normals.tolist() == [[4.0, 5.0], [0.0, 1.0]]
    assert some.columns["measured"].tolist() == [7.0, 5.0]
