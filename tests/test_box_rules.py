"""Quadrature of what of boxes is inside a shape, and of its boundary: to many digits, also where surfaces meet."""

from __future__ import annotations

import math

import pytest
import torch

from pinnsolve.assembly.box_rules import boundary_rule, inside_rule
from pinnsolve.assembly.cut_pieces import outward_normals
from pinnsolve.bases.piecewise.mesh import uniform_cells
from pinnsolve.geometry.factory import make_shape
from pinnsolve.geometry.level_sets import beside_plane, in_pieces
from pinnsolve.geometry.shapes import Ball, Box, Cylinder, Difference, HalfPlane, Intersection, Union

BALL = Ball((0.05, -0.05, 0.08), 0.9)
BORED = Difference(Box((-1.0, -1.0, -1.0), (1.0, 1.0, 1.0)), (Cylinder((0.1, 0.2, -2.0), (0.1, 0.2, 2.0), 0.4),))
CAP = Intersection((Ball((0.0, 0.0, 0.0), 0.8), HalfPlane((0.0, 0.0, 0.3), (0.6, 0.0, 0.8))))
LID = 0.8 * 0.3  # the distance of its plane from the center
PAIR = Union((Ball((0.0, 0.0, 0.0), 0.6), Ball((0.5, 0.1, 0.2), 0.4)))
APART = math.hypot(0.5, 0.1, 0.2)
PLANE = (APART**2 + 0.6**2 - 0.4**2) / (2 * APART)  # from the first center to the plane of the edge
CUT = (0.6 - PLANE, 0.4 - APART + PLANE)  # the heights of the caps that are lost
CASES = [
    (BALL, 4 / 3 * math.pi * 0.9**3, 4 * math.pi * 0.9**2, 1e-7),
    (BORED, 8 - 0.32 * math.pi, 2 * 0.8 * math.pi, 1e-8),
    (CAP, math.pi * (2 / 3 * 0.8**3 + 0.8**2 * LID - LID**3 / 3),
     2 * math.pi * 0.8 * (0.8 + LID) + math.pi * (0.8**2 - LID**2), 1e-6),
    (PAIR, math.pi * sum(4 / 3 * r**3 - h**2 * (r - h / 3) for r, h in zip((0.6, 0.4), CUT, strict=True)),
     2 * math.pi * sum(2 * r**2 - r * h for r, h in zip((0.6, 0.4), CUT, strict=True)), 1e-7),
]  # fmt: skip


def boxes(counts=(3, 4, 3)):
    corner = torch.ones(3, dtype=torch.float64)
    return uniform_cells(-corner, corner, counts)


@pytest.mark.parametrize("tree, volume, area, near", CASES, ids=["ball", "bored box", "cap", "pair of balls"])
def test_volumes_and_areas_of_shapes(tree, volume, area, near):
    shape, cells = make_shape(tree), boxes()
    level = in_pieces(tree, shape.level)
    inside = inside_rule(level, cells.lower, cells.upper, [0, 1, 2], 7)
    assert bool((inside.weights > 0).all()) and bool((shape.level(inside.x) < 1e-12).all())
    assert float(inside.weights.sum()) == pytest.approx(volume, rel=near)
    found = 0.0
    for axis in range(3):
        rule = boundary_rule(level, cells.lower, cells.upper, axis, 7)
        found += float((rule.weights * outward_normals(level, rule.x, shape.size)[:, axis].abs()).sum())
    assert found == pytest.approx(area, rel=10 * near)


def test_what_flows_out_of_every_box_is_what_its_inside_makes():
    tree, cells = CASES[0][0], boxes()
    shape = make_shape(tree)
    level = in_pieces(tree, shape.level)
    inside = inside_rule(level, cells.lower, cells.upper, [0, 1, 2], 7)
    made = torch.zeros(cells.count).double().index_add_(0, inside.box, inside.weights * inside.x[:, 1])
    flow = torch.zeros_like(made)  # of (x y, 0, 0)
    for axis in range(3):
        rule = boundary_rule(level, cells.lower, cells.upper, axis, 7)
        normals = outward_normals(level, rule.x, shape.size)
        flow.index_add_(
            0, rule.box, rule.weights * normals[:, axis].abs() * rule.x[:, 0] * rule.x[:, 1] * normals[:, 0]
        )
    for sign, corner in ((-1.0, cells.lower), (1.0, cells.upper)):
        lower, upper = cells.lower.clone(), cells.upper.clone()
        lower[:, 0] = upper[:, 0] = corner[:, 0]
        face = inside_rule(level, lower, upper, [1, 2], 7)
        flow.index_add_(0, face.box, sign * face.weights * face.x[:, 0] * face.x[:, 1])
    torch.testing.assert_close(flow, made, rtol=0, atol=1e-8)


def test_a_face_of_the_shape_in_a_plane_is_no_zero_beside_it():
    inside, outside = (beside_plane(BORED, 2, 1.0, side, 1e-9) for side in (-1, 1))
    x = torch.tensor([[0.1, 0.2, 1.0], [0.8, 0.8, 1.0]], dtype=torch.float64)
    assert (inside(x) < 0).tolist() == [False, True] and (outside(x) < 0).tolist() == [False, False]
    assert float(inside(x)[1]) < -0.1


def test_boxes_beside_a_shape_have_no_points():
    shape, cells = make_shape(BALL), boxes((1, 1, 1))
    rule = inside_rule(shape.level, cells.lower + 5.0, cells.upper + 5.0, [0, 1, 2], 4)
    assert len(rule.x) == 0
    assert len(inside_rule(shape.level, cells.lower[:0], cells.upper[:0], [0, 1, 2], 4).x) == 0
