"""Reference for problems/poisson-3d-cavities.yaml: curved tetrahedra whose faces lie on the plane where k2 jumps.

The source oscillates fastest along y, so they are made in coordinates stretched along y and z. The accuracy comes from
two meshes.

`python scripts/references/poisson_3d_cavities.py` writes problems/references/poisson_3d_cavities.npz (extra `dev`).
"""

from __future__ import annotations

from functools import partial

import numpy as np
from scatter import even_points, finer_of_two, write_reference
from tetrahedra import Ball, Tetrahedra, elevated, meshed

BALLS = [(0.4, 0.3, 0.6, 0.2), (0.6, 0.7, 0.6, 0.2), (0.2, 0.8, 0.7, 0.1), (0.6, 0.2, 0.3, 0.1)]
PLANE, BELOW, ABOVE = 0.5, 64.0, 100.0  # where k2 jumps, and its values
STRETCH = (1.0, 3.0, 1.5)
COUNT = 2200
ACCURACY = 2e-5  # two meshes agree better than this
MESHES = ((0.12, 12, 5), (0.1, 12, 5))  # size, sides along a circle, degree; the last two are compared


def source(x: np.ndarray) -> np.ndarray:
    """At points (..., 3)."""
    square = np.sum(x**2, axis=-1)
    a, b, c = np.moveaxis(np.sin(np.pi * x * (1, 10, 5)), -1, 0)
    return 20 * np.exp(a + b + c) * (square - 1) / (square + 1) + 100 * a * b * c


def draw(gmsh) -> None:
    cad = gmsh.model.occ
    halves = [(3, cad.addBox(0, 0, z, 1, 1, height)) for z, height in ((0, PLANE), (PLANE, 1 - PLANE))]
    halves, _ = cad.cut(halves, [(3, cad.addSphere(*ball)) for ball in BALLS])
    halves, _ = cad.fragment(halves, [])
    cad.dilate(halves, 0, 0, 0, *STRETCH)
    cad.synchronize()


def mesh(size: float, along_circle: int, degree: int) -> Tetrahedra:
    balls = [Ball(ball[:3], ball[3], PLANE) for ball in BALLS]
    return elevated(*meshed(draw, size, along_circle, STRETCH), degree, balls)


def solve(points: np.ndarray, size: float, along_circle: int, degree: int) -> np.ndarray:
    """u at points (N, 3)."""
    domain = mesh(size, along_circle, degree)
    u = domain.solve(np.where(domain.middles()[:, 2] < PLANE, BELOW, ABOVE), source)
    return domain.at(points, STRETCH)(u)


def points_inside(count: int) -> np.ndarray:
    x = even_points(count, [(0, 1)] * 3)
    return x[np.all([np.linalg.norm(x - ball[:3], axis=1) >= ball[3] for ball in BALLS], axis=0)]


def main() -> None:
    points = points_inside(COUNT)
    x, y, z = points.T
    u = finer_of_two(partial(solve, points), MESHES, ACCURACY)
    write_reference("poisson_3d_cavities.npz", ACCURACY, x=x, y=y, z=z, u=u)


if __name__ == "__main__":
    main()
