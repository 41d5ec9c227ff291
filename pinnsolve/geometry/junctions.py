"""The junctions of a boundary: points where places on it meet, and the places that reach them.

Input: a `ShapeTree` and pieces of its boundary. Output: plain values. Corners of plane shapes belong to the places on
both sides; other points of the boundary to the places they lie on.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor

from pinnsolve.geometry.factory import make_shape
from pinnsolve.geometry.regions import Piece
from pinnsolve.geometry.sampled_shape import IN_PLANE, INSIDE, Boundary, Corner, Shape
from pinnsolve.geometry.shapes import ShapeTree

FINE = 60  # parts of the box's diagonal between points of the boundary
FINEST = 800  # the same, where bits of places are looked for
MOST_POINTS = 60  # besides corners
REACH = 2.0  # distances of points within which a place still reaches a corner

Meeting = tuple[dict[int, float], tuple[Piece, ...]]  # coordinates by axis, and the places


def meetings(tree: ShapeTree, pieces: Sequence[Piece], space_axes: Sequence[int]) -> Iterator[Meeting]:
    """Points where two or more of the pieces meet, corners first, and some points where only one is."""
    shape = make_shape(tree)
    boundary = shape.boundary(shape.size / FINE)
    masks = [lies_on(shape, boundary, piece, space_axes) for piece in pieces]
    for corner in shape.corners() if shape.dimension == 2 else ():
        near = (boundary.x - corner.point).norm(dim=1) <= REACH * shape.size / FINE
        here = zip(pieces, masks, strict=True)
        found = [p for p, mask in here if bool((mask & near).any()) and _reaches(shape, corner, p, space_axes)]
        yield _at(shape, corner.point, space_axes), tuple(found)
    for k in range(0, len(boundary.x), max(1, len(boundary.x) // MOST_POINTS)):
        yield _at(shape, boundary.x[k], space_axes), tuple(p for p, m in zip(pieces, masks, strict=True) if bool(m[k]))


def places_on_boundary(
    tree: ShapeTree, pieces: Sequence[Piece], space_axes: Sequence[int]
) -> tuple[list[dict[int, float]], dict[Piece, list[int]]]:
    """Points close to each other on the boundary of a shape, and the numbers of those that lie on each piece."""
    shape = make_shape(tree)
    boundary = shape.boundary(shape.size / FINEST)
    on = {piece: lies_on(shape, boundary, piece, space_axes).nonzero()[:, 0].tolist() for piece in pieces}
    return [_at(shape, x, space_axes) for x in boundary.x], on


def _at(shape: Shape, x: Tensor, space_axes: Sequence[int]) -> dict[int, float]:
    """A point by axis; what is only rounding is zero."""
    return dict(zip(space_axes, torch.where(x.abs() > INSIDE * shape.size, x, 0.0).tolist(), strict=True))


def lies_on(shape: Shape, boundary: Boundary, piece: Piece, space_axes: Sequence[int]) -> Tensor:
    """Mark the points of the boundary that lie on a piece: (N,) bool."""
    on = torch.ones(len(boundary.x), dtype=torch.bool)
    if piece.part:
        on &= boundary.part == shape.parts.index(piece.part)
    if piece.plane is not None:
        axis, value = piece.plane
        on &= shape.in_plane(boundary.x, boundary.normals, space_axes.index(axis), value)
    return on


def _reaches(shape: Shape, corner: Corner, piece: Piece, space_axes: Sequence[int]) -> bool:
    """Tell whether a piece with points near a corner contains the corner itself."""
    if piece.part and piece.part not in corner.parts:
        return False
    if piece.plane is None:
        return True
    axis, value = piece.plane
    return abs(float(corner.point[space_axes.index(axis)]) - value) <= IN_PLANE * shape.size
