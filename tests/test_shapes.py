"""Shapes of the plane and of space: points inside, normals, quadrature, corners, against formulas."""

from __future__ import annotations

import math

import pytest
import sympy as sp
import torch

from pinnsolve.geometry import shapes as st
from pinnsolve.geometry.factory import make_shape
from pinnsolve.geometry.shapes import (
    Ball,
    Box,
    Cylinder,
    Difference,
    Disk,
    Ellipse,
    HalfPlane,
    Implicit,
    Intersection,
    Polygon,
    Union,
)
from pinnsolve.language.symbols import coordinate_symbol

PI = math.pi
x, y, z = map(coordinate_symbol, "xyz")
SQUARE = Box((-1.0, -1.0), (1.0, 1.0), "side")
ELLIPSE_PERIMETER = 9.688448220547675  # of half-axes 2 and 1: 8 E(3/4)
CASSINI = (x**2 + y**2) ** 2 - sp.Rational(11, 10) * (x**2 - y**2) - sp.Rational(1, 20)


def circle_segment(r: float, d: float) -> float:
    """The area that a line at distance d cuts off a disk."""
    return r**2 * math.acos(d / r) - d * math.sqrt(r**2 - d**2)


# tree, area, perimeter (None: no formula), corners as (count, angles in units of pi)
PLANE = {
    "box": (SQUARE, 4, 8, [0.5] * 4),
    "disk": (Disk((3.0, -2.0), 0.5), PI / 4, PI, []),
    "ellipse": (Ellipse((0.3, 0.1), (2.0, 1.0), 0.7), 2 * PI, ELLIPSE_PERIMETER, []),
    "triangle": (Polygon(((0.0, 0.0), (1.0, 0.0), (0.0, 1.0))), 0.5, 2 + math.sqrt(2), [0.25, 0.25, 0.5]),
    "implicit circle": (Implicit(x**2 + y**2 - 1, (x, y), (-2.0, -2.0), (2.0, 2.0)), PI, 2 * PI, []),
    "implicit circle cut by its box": (
        Implicit(x**2 + y**2 - 1, (x, y), (-0.5, -2.0), (2.0, 2.0)),
        PI - circle_segment(1, 0.5),
        2 * PI - 2 * PI / 3 + math.sqrt(3),
        [2 / 3] * 2,
    ),
    "four holes": (
        Difference(
            Box((-0.5, -0.5), (0.5, 0.5)), tuple(Disk((i, j), 0.1, "h") for i in (-0.3, 0.3) for j in (-0.3, 0.3))
        ),
        1 - 0.04 * PI,
        4 + 0.8 * PI,
        [0.5] * 4,
    ),
    "L": (Difference(SQUARE, (Box((0.0, 0.0), (1.0, 1.0), "cut"),)), 3, 8, [0.5] * 5 + [1.5]),
    "half disk": (Intersection((Disk((0.0, 0.0), 1.0), HalfPlane((0.0, 0.0), (0.0, -1.0)))), PI / 2, 2 + PI, [0.5] * 2),
    "two boxes side by side": (Union((Box((0.0, 0.0), (1.0, 1.0)), Box((1.0, 0.0), (3.0, 1.0)))), 3, 8, [0.5] * 4),
    "overlapping disks": (
        Union((Disk((-0.5, 0.0), 1.0), Disk((0.5, 0.0), 1.0))),
        2 * PI - 2 * circle_segment(1, 0.5),
        4 * PI - 4 * PI / 3,
        [4 / 3] * 2,
    ),
    "oblique boxes that share sides": (
        Difference(
            Polygon(((0.0, 0.0), (1.0, 0.7), (0.3, 1.7), (-0.7, 1.0))),
            (Polygon(((0.5, 0.35), (1.0, 0.7), (0.3, 1.7), (-0.2, 1.35))),),
        ),
        1.49 / 2,
        3 * math.sqrt(1.49),
        [0.5] * 4,
    ),
    "disks that touch": (Union((Disk((-1.0, 0.0), 1.0), Disk((1.0, 0.0), 1.0))), 2 * PI, None, None),
    "a hole that grazes a side": (
        Difference(Box((0.0, 0.0), (1.0, 1.0)), (Disk((0.5, 1.2999), 0.3),)),
        1 - circle_segment(0.3, 0.2999),
        None,
        None,
    ),
}
SOLID = {
    "box": (Box((0.0, 0.0, 0.0), (1.0, 2.0, 3.0)), 6, 22, 1e-12),
    "ball": (Ball((1.0, 0.0, -1.0), 2.0), 32 / 3 * PI, 16 * PI, 1e-8),
    "cylinder": (Cylinder((0.0, 0.0, 0.0), (1.0, 1.0, 1.0), 0.5), PI / 4 * 3**0.5, PI / 2 + PI * 3**0.5, 1e-10),
    "hollow ball": (
        Difference(Ball((0.0, 0.0, 0.0), 1.0, "o"), (Ball((0.2, 0.1, 0.0), 0.3, "i"),)),
        4 / 3 * PI * (1 - 0.027),
        4 * PI * 1.09,
        1e-8,
    ),
    "half ball": (
        Intersection((Ball((0.0, 0.0, 0.0), 1.0), HalfPlane((0.0, 0.0, 0.0), (0.6, 0.0, 0.8)))),
        2 / 3 * PI,
        3 * PI,
        2e-5,
    ),
    "corner without a ball": (
        Difference(Box((0.0, 0.0, 0.0), (1.0, 1.0, 1.0)), (Ball((0.0, 0.0, 0.0), 0.5),)),
        1 - PI / 48,
        6 - 3 * PI / 16 + PI / 8,
        2e-5,
    ),
    "notch": (
        Difference(Box((0.0, 0.0, 0.0), (1.0, 1.0, 1.0)), (Box((0.5, 0.5, 0.0), (1.0, 1.0, 1.0)),)),
        0.75,
        5.5,
        1e-10,
    ),
    "two boxes": (Union((Box((0.0, 0.0, 0.0), (1.0, 1.0, 1.0)), Box((1.0, 0.0, 0.0), (2.0, 1.0, 1.0)))), 2, 10, 1e-8),
    "implicit ball": (
        Implicit(x**2 + y**2 + z**2 - 1, (x, y, z), (-1.2,) * 3, (1.2,) * 3),
        4 / 3 * PI,
        4 * PI,
        1e-8,
    ),
}
ALL = {**{f"plane {k}": v[0] for k, v in PLANE.items()}, **{f"solid {k}": v[0] for k, v in SOLID.items()}}


def random_points(shape, count: int) -> torch.Tensor:
    generator = torch.Generator().manual_seed(1)
    unit = torch.rand(count, shape.dimension, generator=generator, dtype=torch.float64)
    return shape.lower + unit * (shape.upper - shape.lower)


# -- what holds of every shape ----------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ALL)
def test_boundary_lies_on_the_boundary_with_normals_that_point_out(name):
    shape = make_shape(ALL[name])
    b = shape.boundary(shape.size / 8)
    torch.testing.assert_close(b.normals.norm(dim=1), torch.ones(len(b.x), dtype=torch.float64), rtol=0, atol=1e-14)
    assert float(shape.level(b.x).abs().max()) < 1e-12 * shape.size
    assert bool(shape.inside(b.x).all())
    step = 1e-5 * shape.size * b.normals
    assert float(shape.inside(b.x - step).double().mean()) > 0.999  # a step may leave a thin corner
    assert float(shape.inside(b.x + step).double().mean()) < 0.001
    assert float(b.weights.min()) > 0
    assert b.part.min() >= 0 and b.part.max() < len(shape.parts)


@pytest.mark.parametrize("name", ALL)
def test_the_divergence_theorem_holds(name):
    """A closed surface has no mean normal, and the measure is that of random points inside."""
    shape = make_shape(ALL[name])
    b = shape.boundary(shape.size / 10)
    total = (b.weights[:, None] * b.normals).sum(dim=0)
    assert float(total.norm()) < 1e-4 * float(b.weights.sum())
    share = float(shape.inside(random_points(shape, 40_000)).double().mean())
    box = float((shape.upper - shape.lower).prod())
    assert shape.measure() == pytest.approx(share * box, abs=0.01 * box)


@pytest.mark.parametrize("name", ALL)
def test_a_finer_spacing_gives_more_points_and_the_same_sum(name):
    shape = make_shape(ALL[name])
    coarse = shape.boundary(shape.size / 6)
    fine = shape.boundary(lambda x: torch.full((len(x),), shape.size / 14, dtype=torch.float64))
    assert len(fine.x) > len(coarse.x) or "implicit" in name  # these have many points in any case
    assert float(fine.weights.sum()) == pytest.approx(float(coarse.weights.sum()), rel=3e-4)


@pytest.mark.parametrize("name", ALL)
def test_spread_points_lie_on_the_boundary_in_proportion_to_its_parts(name):
    shape = make_shape(ALL[name])
    engine = torch.quasirandom.SobolEngine(3, scramble=True, seed=3)
    spread = shape.spread(engine.draw(2000, dtype=torch.float64))
    assert float(shape.level(spread.x).abs().max()) < 1e-12 * shape.size
    assert len(spread.x) == len(spread.normals) == len(spread.chosen) > 1000
    b = shape.boundary(shape.size / 10)
    middle = (b.x * b.weights[:, None]).sum(dim=0) / b.weights.sum()
    assert float((spread.x.mean(dim=0) - middle).norm()) < 0.02 * shape.size


# -- formulas ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", PLANE)
def test_plane_shapes_have_the_measures_of_formulas(name):
    tree, area, perimeter, corners = PLANE[name]
    shape = make_shape(tree)
    assert shape.measure() == pytest.approx(area, rel=1e-10)
    if perimeter is not None:
        assert float(shape.boundary(shape.size / 8).weights.sum()) == pytest.approx(perimeter, rel=1e-10)
    if corners is not None:
        assert sorted(c.angle / PI for c in shape.corners()) == pytest.approx(sorted(corners), abs=1e-6)


@pytest.mark.parametrize("name", SOLID)
def test_solid_shapes_have_the_measures_of_formulas(name):
    tree, volume, surface, tolerance = SOLID[name]
    shape = make_shape(tree)
    assert shape.measure() == pytest.approx(volume, rel=tolerance)
    assert float(shape.boundary(shape.size / 12).weights.sum()) == pytest.approx(surface, rel=30 * tolerance)
    assert shape.corners() == ()


def test_disks_that_touch_lose_no_more_than_the_touching_spot():
    weights = make_shape(PLANE["disks that touch"][0]).boundary(0.3).weights
    assert float(weights.sum()) == pytest.approx(4 * PI, rel=1e-6)


def test_smooth_primitives_have_exact_normals():
    center = torch.tensor([3.0, -2.0], dtype=torch.float64)
    b = make_shape(Disk((3.0, -2.0), 0.5)).boundary(0.1)
    torch.testing.assert_close((b.x - center) / 0.5, b.normals, rtol=0, atol=1e-14)
    b = make_shape(Implicit(x**2 + y**2 - 1, (x, y), (-2.0, -2.0), (2.0, 2.0))).boundary(0.2)
    torch.testing.assert_close(b.x, b.normals, rtol=0, atol=1e-12)
    b = make_shape(Ball((0.0, 0.0, 0.0), 2.0)).boundary(0.5)
    torch.testing.assert_close(b.x / 2, b.normals, rtol=0, atol=1e-14)


def test_weights_integrate_functions_along_curves():
    b = make_shape(Disk((0.0, 0.0), 1.0)).boundary(0.3)
    assert float((b.weights * b.x[:, 0] ** 2).sum()) == pytest.approx(PI, rel=1e-10)
    assert float((b.weights * torch.exp(b.x[:, 0])).sum()) == pytest.approx(2 * PI * 1.2660658777520084, rel=1e-10)


def test_an_implicit_curve_is_traced_where_it_is_thin():
    """An oval of Cassini with a waist."""
    shape = make_shape(Implicit(CASSINI, (x, y), (-1.5, -1.5), (1.5, 1.5), "oval"))
    b = shape.boundary(0.05)
    values = ((b.x**2).sum(dim=1)) ** 2 - 1.1 * (b.x[:, 0] ** 2 - b.x[:, 1] ** 2) - 0.05
    assert float(values.abs().max()) < 1e-13
    assert len(shape.arcs) == 1 and shape.corners() == () and shape.parts == ("oval",)


# -- parts, planes, where things coincide -----------------------------------------------------------------------


def test_parts_have_the_lengths_of_their_shapes():
    shape = make_shape(Difference(SQUARE, (Disk((1.0, 0.0), 0.5, "bite"),)))
    b = shape.boundary(0.1)
    lengths = {name: float(b.weights[b.part == i].sum()) for i, name in enumerate(shape.parts)}
    assert lengths == pytest.approx({"side": 7, "bite": PI / 2})
    assert {frozenset(c.parts) for c in shape.corners()} == {frozenset({"side"}), frozenset({"side", "bite"})}


def test_of_two_boundaries_that_coincide_the_named_one_counts():
    shape = make_shape(Union((Box((0.0, 0.0), (1.0, 1.0)), Box((0.0, 0.0), (1.0, 0.5), "low"))))
    b = shape.boundary(0.1)
    lengths = {name: float(b.weights[b.part == i].sum()) for i, name in enumerate(shape.parts)}
    assert lengths == pytest.approx({"low": 2, "": 2})


def test_a_boundary_wholly_inside_another_shape_is_gone():
    shape = make_shape(Union((Disk((0.0, 0.0), 1.0, "big"), Disk((0.1, 0.0), 0.2, "small"))))
    assert float(shape.boundary(0.1).weights.sum()) == pytest.approx(2 * PI)
    assert len(shape.spread(torch.rand(5, 1, dtype=torch.float64), "small").x) == 0


def test_spread_in_a_plane():
    shape = make_shape(PLANE["L"][0])
    unit = torch.linspace(0, 1, 50, dtype=torch.float64)[:, None]
    spread = shape.spread(unit, plane=(1, 0.0))
    assert torch.all(spread.x[:, 1] == 0) and float(spread.x[:, 0].min()) >= 0
    torch.testing.assert_close(spread.normals, torch.tensor([[0.0, 1.0]], dtype=torch.float64).expand(50, 2))
    solid = make_shape(SOLID["notch"][0])
    spread = solid.spread(torch.rand(400, 3, dtype=torch.float64), plane=(2, 0.0))
    assert torch.all(spread.x[:, 2] == 0) and torch.all(spread.normals[:, 2] == -1)
    assert bool(solid.inside(spread.x).all())


def test_pieces_number_smooth_curves():
    shape = make_shape(PLANE["four holes"][0])
    b = shape.boundary(0.1)
    assert len(b.piece.unique()) == 8
    cut = make_shape(PLANE["overlapping disks"][0])  # each circle is cut, one of them across its seam
    assert len(cut.boundary(0.1).piece.unique()) == 2


# -- trees ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ALL)
def test_bounds_hold_the_shape_and_are_tight_for_primitives(name):
    tree = ALL[name]
    shape = make_shape(tree)
    b = shape.boundary(shape.size / 20)
    slack = 1e-12 * shape.size
    assert bool((b.x >= shape.lower - slack).all() and (b.x <= shape.upper + slack).all())
    if isinstance(tree, Ellipse | Disk | Ball | Cylinder | Polygon):
        fine = shape.boundary(shape.size / 100).x
        assert float((fine.amin(dim=0) - shape.lower).max()) < 1e-2 * shape.size
        assert float((shape.upper - fine.amax(dim=0)).max()) < 1e-2 * shape.size


def test_trees_in_words():
    assert st.describe(PLANE["four holes"][0]) == "box less 4 disks"
    assert st.describe(PLANE["half disk"][0]) == "intersection of disk and half-plane"
    assert st.describe(Difference(SQUARE, (PLANE["overlapping disks"][0],))) == "box less (union of 2 disks)"
    assert st.part_names(Difference(SQUARE, (Disk((0.0, 0.0), 0.1, "h"),))) == ("side", "h")


def test_flat_faces_are_known_without_points():
    for tree, axis, value, expected in [
        (SQUARE, 0, 1.0, True),
        (SQUARE, 0, 0.5, False),
        (PLANE["L"][0], 1, 0.0, True),
        (Disk((0.0, 0.0), 1.0), 0, 1.0, False),
        (HalfPlane((0.5, 0.0), (1.0, 0.0)), 0, 0.5, True),
        (Cylinder((0.0, 0.0, 0.0), (0.0, 0.0, 2.0), 1.0), 2, 2.0, True),
        (Cylinder((0.0, 0.0, 0.0), (0.0, 1.0, 2.0), 1.0), 2, 2.0, False),
        (Polygon(((0.0, 0.0), (1.0, 0.0), (0.0, 1.0))), 1, 0.0, True),
    ]:
        assert st.may_have_face(tree, axis, value, 1e-9) is expected
