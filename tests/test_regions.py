"""Places in a box: faces, slices, points, periodic pairs."""

from __future__ import annotations

import math

import sympy as sp

from pinnsolve.geometry import regions
from pinnsolve.geometry.regions import Piece

BOX = ((0.0, 1.0), (-2.0, 2.0), (0.0, math.pi))


def test_the_domain_is_free_in_every_coordinate():
    (piece,) = regions.domain().pieces
    assert piece.free_axes(3) == (0, 1, 2)
    assert piece.outward is None and piece.partner is None


def test_a_plane_at_an_end_is_a_face_with_its_outward_normal():
    for value, sign in ((-2, -1), (2, 1)):
        region = regions.plane(1, value, BOX, "y = ...")
        assert region.pieces == (Piece(((1, value),), (1, sign)),)
        assert region.pieces[0].free_axes(3) == (0, 2)


def test_a_plane_that_misses_the_end_by_rounding_is_moved_there():
    (piece,) = regions.plane(2, 3 * (math.pi / 3) * (1 + 1e-15), BOX, "z = pi").pieces
    assert piece.fixed == ((2, math.pi),) and piece.outward == (2, 1)
    assert regions.plane(2, math.pi + 1e-9, BOX, "z = 3.15") is None


def test_a_plane_inside_is_a_slice_without_a_normal():
    (piece,) = regions.plane(1, 0.5, BOX, "y = 0.5").pieces
    assert piece.fixed == ((1, 0.5),) and piece.outward is None


def test_a_plane_outside_is_none():
    assert regions.plane(0, 1.5, BOX, "x = 1.5") is None
    assert regions.plane(0, -1e-6, BOX, "x = -1e-6") is None


def test_the_whole_boundary_has_two_faces_for_each_axis_of_space():
    boundary = regions.whole_boundary(BOX, (1, 2))
    assert [(p.fixed[0], p.outward) for p in boundary.pieces] == [
        ((1, -2.0), (1, -1)),
        ((1, 2.0), (1, 1)),
        ((2, 0.0), (2, -1)),
        ((2, math.pi), (2, 1)),
    ]


def test_a_point_may_leave_coordinates_free():
    (piece,) = regions.point({2: 1.0, 0: 0.5}, "z = 1, x = 0.5").pieces
    assert piece.fixed == ((0, 0.5), (2, 1.0))
    assert piece.free_axes(3) == (1,)


def test_a_periodic_pair_is_a_face_and_its_partner():
    (piece,) = regions.periodic_pair(1, BOX, "periodic in y").pieces
    assert piece.fixed == ((1, -2.0),) and piece.partner == (1, 2.0) and piece.outward is None


def test_a_union_keeps_every_piece_and_says_what_it_is():
    left, right = (regions.plane(0, v, BOX, f"x = {v}") for v in (0, 1))
    both = regions.union([left, right])
    assert both.pieces == left.pieces + right.pieces
    assert str(both) == "x = 0, x = 1"
    assert regions.union([left]) is left


def test_where_narrows_a_region_and_shows_in_its_label():
    x = sp.Symbol("x", real=True)
    narrowed = regions.domain().narrowed(x < 1, "x < 1")
    assert narrowed.where == (x < 1) and str(narrowed) == "domain where x < 1"
    assert regions.domain().narrowed(None, "") == regions.domain()
