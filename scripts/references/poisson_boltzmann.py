"""Reference for problems/poisson-boltzmann.yaml: scikit-fem with triangles of degree 4, curved along the disks.

The triangles shrink towards the corners of the square, where the source does not go with the constant boundary value
and the solution has a term r**2 log r. The accuracy comes from two meshes.

`python scripts/references/poisson_boltzmann.py` writes problems/references/poisson_boltzmann.npz (extra `dev`).
"""

from __future__ import annotations

from functools import partial

import numpy as np
from elements import Domain, dirichlet_problem
from scatter import even_points, finer_of_two, write_reference

DISKS = [(0.5, 0.5, 0.2), (0.4, -0.4, 0.4), (-0.2, -0.7, 0.1), (-0.6, 0.5, 0.3)]
COUNT = 5000
ACCURACY = 1e-7  # two meshes agree better than this
MESHES = ((0.035, 96), (0.023, 144))  # size, sides along each circle; the last two are compared


def source(x: np.ndarray) -> np.ndarray:
    return 10 * (17 + x[0] ** 2) * np.sin(np.pi * x[0]) * np.sin(4 * np.pi * x[1])


def solve(points: np.ndarray, size: float, along_circle: int) -> np.ndarray:
    domain = Domain((-1, -1, 1, 1), DISKS, size, along_circle, corner_size=size / 20)
    return dirichlet_problem(domain, {"outer": 0.2, "holes": 1.0}, 4, reaction=64.0, source=source)(points)


def points_inside(count: int) -> np.ndarray:
    x = even_points(count, [(-1, 1), (-1, 1)])
    return x[np.all([np.hypot(*(x - disk[:2]).T) >= disk[2] for disk in DISKS], axis=0)]


def main() -> None:
    points = points_inside(COUNT)
    u = finer_of_two(partial(solve, points), MESHES, ACCURACY)
    write_reference("poisson_boltzmann.npz", ACCURACY, x=points[:, 0], y=points[:, 1], u=u)


if __name__ == "__main__":
    main()
