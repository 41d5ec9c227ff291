"""Reference for problems/poisson-four-holes.yaml and poisson-mesh.yaml: poles in the holes and a polynomial.

u = Re(sum of c log(z - z_j) + sum of powers of 1/(z - z_j) + a polynomial). Beside the holes, z_j runs over their
images behind the sides: u - 1 continues across a side as an odd function, so its next singularities lie in there, and
only the polynomial has to do with those beyond. All is fitted to the values on sides and circles (see `series`).

`python scripts/references/four_holes.py` writes problems/references/four_holes.npz; with `--verify` it also solves the
problem by scikit-fem with curved elements of degree 4 (extra `dev`, needs Gmsh for the triangles) and prints the
difference, which is 6e-8.
"""

from __future__ import annotations

import numpy as np
from scatter import even_points
from series import PowersOf, both_parts, fit, reference_of

HALF, CENTER, RADIUS = 0.5, 0.3, 0.1
COUNT = 4000
ACCURACY = 1e-10  # the misfit on the boundary between the points of the fit is smaller
LEVELS = ((30, 70), (36, 80))  # powers of poles, degree of the polynomial; the last two are compared

HOLES = [complex(x, y) for x in (-CENTER, CENTER) for y in (-CENTER, CENTER)]
BEYOND = 2 * HALF - CENTER
IMAGES = [complex(x, y) for x in (-BEYOND, -CENTER, CENTER, BEYOND) for y in (-BEYOND, -CENTER, CENTER, BEYOND)]


def boundary(count: int, shift: float = 0.0) -> tuple[np.ndarray, np.ndarray]:
    """Points on sides (dense towards corners) and circles, and u there."""
    s = HALF * np.cos(np.pi * (np.arange(count) + 0.5 + shift / 2) / count)
    sides = np.concatenate([s - 1j * HALF, s + 1j * HALF, HALF + 1j * s, -HALF + 1j * s])
    angle = 2 * np.pi * (np.arange(count) + shift) / count
    circles = np.concatenate([hole + RADIUS * np.exp(1j * angle) for hole in HOLES])
    return np.concatenate([sides, circles]), np.concatenate([np.ones(len(sides)), np.zeros(len(circles))])


class Series:
    """The fitted sum."""

    def __init__(self, powers: int, degree: int):
        z, values = boundary(6 * (powers + degree))
        self.powers = powers
        self.polynomial = PowersOf(z, degree)
        self.coefficients = fit(self._table(z, self.polynomial.on_fit), values)

    def _table(self, z: np.ndarray, polynomial: np.ndarray) -> np.ndarray:
        columns = [polynomial.real, polynomial.imag[:, 1:]]
        for pole in {*HOLES, *IMAGES}:
            w = RADIUS / (z - pole)
            columns.append(-np.log(np.abs(w))[:, None])
            columns.append(both_parts(w[:, None] ** np.arange(1, self.powers + 1)))
        return np.concatenate(columns, axis=1)

    def __call__(self, z: np.ndarray) -> np.ndarray:
        return self._table(z, self.polynomial.at(z)) @ self.coefficients

    def misfit(self) -> float:
        """The largest on the boundary, between the points of the fit."""
        z, values = boundary(1999, 0.37)
        return float(np.abs(self(z) - values).max())


def points_inside(count: int) -> np.ndarray:
    """Even points of the domain, as complex numbers."""
    z = even_points(count, [(-HALF, HALF)] * 2) @ np.array([1, 1j])
    return z[np.all([np.abs(z - hole) >= RADIUS for hole in HOLES], axis=0)]


def finite_elements(z: np.ndarray) -> np.ndarray:
    """As `Series`, by curved triangles of degree 4."""
    from elements import Domain, dirichlet_problem

    holes = [(hole.real, hole.imag, RADIUS) for hole in HOLES]
    domain = Domain((-HALF, -HALF, HALF, HALF), holes, size=0.03, along_circle=72)
    values = {"outer": 1.0, "holes": 0.0}
    return dirichlet_problem(domain, values, degree=4)(np.stack([z.real, z.imag], axis=1))


def main() -> None:
    sums = tuple(Series(*level) for level in LEVELS)
    reference_of("four_holes.npz", sums, points_inside(COUNT), ACCURACY, finite_elements)


if __name__ == "__main__":
    main()
