"""A mesh of a shape for pictures and files: cells that fill it, with nodes on its boundary.

Input: a `Shape` and a spacing. Output: points and simplices: the Delaunay triangulation of a grid inside and of points
of the exact boundary, without what lies outside. It conforms to the boundary; nothing is solved on it.
"""

from __future__ import annotations

import numpy as np
import torch
from scipy.spatial import Delaunay, cKDTree

from pinnsolve.geometry.sampled_shape import Shape

TURN = 0.35  # radians that a normal may turn from one point of the boundary to the next
MOST_FINER = 6  # times that the spacing is halved to follow a curve
PER_SEGMENT = 2.5  # spacings per segment of the boundary, which has four points along it
CLEAR, AROUND = 0.5, 3.0  # spacings that grid points keep from the boundary; how far out they are needed
SHAKEN = 0.1  # of a spacing, in space: of points on regular places the triangulation is not unique, and slow
FLAT = 1e-9  # of spacing**d: cells of less are none


def mesh_of_shape(shape: Shape, spacing: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Points (N, d) and simplices (M, d + 1), positively oriented; `spacing` (d,) of the grid inside.

    Nodes at the boundary lie on it, and cells between them leave out what is curved: about (spacing)^2 of the measure.
    """
    boundary = _boundary_points(shape, float(spacing.max()))
    grid, inside = _grid(shape, spacing, boundary)
    points = np.concatenate([grid, boundary])
    ours = np.concatenate([inside, np.ones(len(boundary), dtype=bool)])
    cells = Delaunay(points).simplices
    cells = cells[ours[cells].all(axis=1)]
    volumes = np.linalg.det(points[cells[:, 1:]] - points[cells[:, :1]])
    middles = points[cells].mean(axis=1)
    kept = (np.abs(volumes) > FLAT * spacing.prod()) & shape.inside(torch.as_tensor(middles)).cpu().numpy()
    cells, volumes = cells[kept], volumes[kept]
    backward = volumes < 0
    cells[backward] = cells[backward][:, [1, 0, *range(2, cells.shape[1])]]
    return _used(points, cells)


def _boundary_points(shape: Shape, spacing: float) -> np.ndarray:
    """Points (N, d) of the boundary, closer where it is curved, and its corners."""
    step, found, done = PER_SEGMENT * spacing, [shape.lower.new_zeros(0, shape.dimension)], set()
    for _ in range(MOST_FINER):
        b = shape.boundary(step)
        for piece in map(int, b.piece.unique()):
            here = b.piece == piece
            if piece not in done and (_is_smooth(b.x[here].cpu().numpy(), b.normals[here].cpu().numpy())):
                found.append(b.x[here])
                done.add(piece)
        open_pieces = [piece for piece in map(int, b.piece.unique()) if piece not in done]
        if not open_pieces:
            break
        step /= 2
    else:
        found += [b.x[b.piece == piece] for piece in open_pieces]
    corners = [corner.point[None] for corner in shape.corners()]
    points = torch.cat([*found, *corners]).cpu().numpy()
    return _apart(points, 1e-6 * spacing)


def _is_smooth(x: np.ndarray, normals: np.ndarray) -> bool:
    """Tell whether the normals of neighbours on one curve or patch hardly differ, so that its cells look like it."""
    if len(x) < 3:
        return False
    _, nearest = cKDTree(x).query(x, k=3)
    cosines = np.einsum("ij,ikj->ik", normals, normals[nearest[:, 1:]])
    return bool(cosines.min() > np.cos(TURN))


def _apart(points: np.ndarray, distance: float) -> np.ndarray:
    """Without all but one of the points that are at one place."""
    pairs = cKDTree(points).query_pairs(distance, output_type="ndarray")
    return np.delete(points, np.unique(pairs[:, 1]), axis=0) if len(pairs) else points


def _grid(shape: Shape, spacing: np.ndarray, boundary: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Grid points (N, d) clear of the boundary, and which of them are inside.

    Some outside are among them, so that cells end at the boundary on its other side, too: a hole with nothing in it
    would be one cell of a thousand corners.
    """
    sides = []
    for low, high, h in zip(shape.lower.tolist(), shape.upper.tolist(), spacing, strict=True):
        count = max(2, round((high - low) / h) + 1)
        sides.append(np.linspace(low - h, high + h, count + 2))
    grid = np.stack([m.ravel() for m in np.meshgrid(*sides, indexing="ij")], axis=1)
    if shape.dimension > 2:
        grid += SHAKEN * spacing * np.random.default_rng(0).uniform(-1, 1, grid.shape)
    inside = shape.inside(torch.as_tensor(grid)).cpu().numpy()
    distance, _ = cKDTree(boundary).query(grid)
    clear, near = distance > CLEAR * spacing.max(), distance < AROUND * spacing.max()
    kept = clear & (inside | near)
    return grid[kept], inside[kept]


def _used(points: np.ndarray, cells: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Without points that no cell has."""
    used, numbers = np.unique(cells, return_inverse=True)
    return points[used], numbers.reshape(cells.shape)
