"""Reference for problems/l-shape.yaml: functions that know the corners, fitted to the boundary.

The corner at 0 has the angle 3 pi/2. With -laplacian(u) = 1 and u = 0 on its sides,

    u = r**2 (cos 2t - 1)/4 - (r**2 log r sin 2t + r**2 t cos 2t)/(3 pi) + sum of a_k r**(2k/3) sin(2kt/3)

near it, t being the angle from the side along x. At the other corners, of angle pi/2, u has a term r**2 log r too, and
nothing else that is not smooth. So u is the function above without its sum, plus a harmonic function, which is fitted
as a sum of the r**(2k/3) sin(2kt/3), of Im(w**2 log w) around each of the other corners, and of a polynomial. By the
maximum principle its error is at most the misfit on the boundary.

`python scripts/references/l_shape.py` writes problems/references/l_shape.npz; with `--verify` it also solves the
problem by scikit-fem with elements of degree 6 graded towards the corners (extra `dev`), and prints the difference,
which is 6e-8 and falls as they are graded further.
"""

from __future__ import annotations

import numpy as np
from scatter import even_points
from series import PowersOf, both_parts, fit, reference_of

CORNERS = [0, 1, 1 + 1j, -1 + 1j, -1 - 1j, -1j]
COUNT = 4000
ACCURACY = 1e-10
LEVELS = ((60, 40), (80, 50))  # functions of the corner, degree of the polynomial; the last two are compared


def boundary(count: int, shift: float = 0.0) -> np.ndarray:
    """Points on the sides, dense towards the corners."""
    s = (1 - np.cos(np.pi * (np.arange(count) + 0.5 + shift / 2) / count)) / 2
    s = s**2 * (3 - 2 * s)  # once more, for the corner inside
    return np.concatenate([a + s * (b - a) for a, b in zip(CORNERS, [*CORNERS[1:], CORNERS[0]], strict=True)])


def angle(z: np.ndarray) -> np.ndarray:
    """From the side along x, between 0 and 3 pi/2."""
    t = np.angle(z)
    return np.where(t < -0.25 * np.pi, t + 2 * np.pi, t)


def loaded(z: np.ndarray) -> np.ndarray:
    """A function with -laplacian = 1 that vanishes on the sides of the corner inside."""
    r, t = np.abs(z), angle(z)
    resonant = np.log(np.where(r > 0, r, 1)) * np.sin(2 * t) + t * np.cos(2 * t)
    return r**2 * ((np.cos(2 * t) - 1) / 4 - resonant / (3 * np.pi))


class Series:
    """The fitted sum."""

    def __init__(self, functions: int, degree: int):
        z = boundary(8 * (functions + degree))
        self.orders = 2 / 3 * np.arange(1, functions + 1)
        self.polynomial = PowersOf(z, degree)
        self.coefficients = fit(self._table(z, self.polynomial.on_fit), -loaded(z))

    def _table(self, z: np.ndarray, polynomial: np.ndarray) -> np.ndarray:
        r, t = np.abs(z)[:, None], angle(z)[:, None]
        columns = [polynomial.real, polynomial.imag[:, 1:], (r / 1.5) ** self.orders * np.sin(self.orders * t)]
        for corner, inward in zip(CORNERS[1:], (-1 + 1j, -1 - 1j, 1 - 1j, 1 + 1j, -1 + 1j), strict=True):
            w = (z - corner) / inward  # inside has positive real part, and the cut of the logarithm lies outside
            columns.append(both_parts(np.where(w == 0, 0, w**2 * np.log(np.where(w == 0, 1, w)))[:, None]))
        return np.concatenate(columns, axis=1)

    def __call__(self, z: np.ndarray) -> np.ndarray:
        return loaded(z) + self._table(z, self.polynomial.at(z)) @ self.coefficients

    def misfit(self) -> float:
        """The largest on the boundary, between the points of the fit."""
        return float(np.abs(self(boundary(1999, 0.37))).max())


def points_inside(count: int) -> np.ndarray:
    z = even_points(count, [(-1, 1)] * 2) @ np.array([1, 1j])
    return z[(z.real < 0) | (z.imag > 0)]


def finite_elements(z: np.ndarray) -> np.ndarray:
    """As `Series`, by rectangles of degree 6 that shrink towards the lines through the corners."""
    from skfem import Basis, ElementQuadP, MeshQuad, condense, solve
    from skfem.models.poisson import laplace, unit_load

    toward = np.concatenate([[0], 0.5 ** np.arange(22, -1, -1.0)]) / 2  # dense at 0
    line = np.unique(np.concatenate([toward, [0.75, 0.93, 0.99, 1]]))
    line = np.unique(np.concatenate([-line, line]))
    mesh = MeshQuad.init_tensor(line, line)
    middle = mesh.p[:, mesh.t].mean(axis=1)
    mesh = mesh.remove_elements(np.flatnonzero((middle[0] > 0) & (middle[1] < 0)))
    basis = Basis(mesh, ElementQuadP(6))
    u = solve(*condense(laplace.assemble(basis), unit_load.assemble(basis), D=basis.get_dofs()))
    return basis.probes(np.stack([z.real, z.imag])) @ u


def main() -> None:
    sums = tuple(Series(*level) for level in LEVELS)
    reference_of("l_shape.npz", sums, points_inside(COUNT), ACCURACY, finite_elements)


if __name__ == "__main__":
    main()
