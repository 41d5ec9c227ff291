"""Reference for problems/heat-many-holes.yaml: scikit-fem with curved triangles, and the inverse Laplace transform.

In space M u' + K u = g with u = 0 at the start. Its Laplace transform (s M + K)^-1 g/s is brought back to each time by
the trapezoidal rule on a parabola around the spectrum of -K, which converges like 2.85**-N in the number N of points.
The accuracy comes from two meshes.

Source of the parabola: Trefethen, Weideman, Schmelzer, Talbot quadratures and rational approximations, BIT 46 (2006)
653-670.

`python scripts/references/heat_many_holes.py` writes problems/references/heat_many_holes.npz (extra `dev`).
"""

from __future__ import annotations

import numpy as np
from elements import ELEMENTS, Domain, FacetBasis, Places
from scatter import even_points, relative_difference, write_reference
from scipy.sparse.linalg import splu
from skfem import Basis, BilinearForm, LinearForm
from skfem.helpers import dot, grad

LARGE = [(x, y, 1.0) for x, y in [(-4, -9), (4, -9), (0, -6), (-4, -3), (4, -3), (0, 0)]]
LARGE += [(x, y, 1.0) for x, y in [(-4, 3), (4, 3), (0, 6), (-4, 9), (4, 9)]]
SMALL = [(x, y, 0.4) for y in (-6, 0, 6) for x in (-3.2, 3.2)]
END, LEVELS = 3.0, 40  # the points lie on this many levels of time
COUNT = 6000
ACCURACY = 1e-5  # two meshes agree better than this
MESHES = ((0.7, 20, 2), (0.5, 28, 3))  # size, sides along each circle, degree; the last two are compared
CONTOUR = 20  # points on the parabola


@BilinearForm
def stiffness(u, v, w):
    return dot(grad(u), grad(v))


@BilinearForm
def mass(u, v, w):
    return u * v


@LinearForm
def unit(v, w):
    return v


def solve(points: np.ndarray, levels: np.ndarray, size: float, along_circle: int, degree: int) -> np.ndarray:
    """u at points (N, 2) of the plane at the middles of levels of time (N,)."""
    domain = Domain((-8, -12, 8, 12), LARGE + SMALL, size, along_circle)
    element = ELEMENTS[degree]()
    basis = Basis(domain.mesh, element, intorder=2 * degree)
    rims = {
        5.0: domain.hole_facets(lambda x, y, r: r == 1.0),
        1.0: domain.hole_facets(lambda x, y, r: r == 0.4),
        0.1: domain.outer_facets(),
    }
    K, M, g = stiffness.assemble(basis), mass.assemble(basis), np.zeros(basis.N)
    for inflow, facets in rims.items():  # Dn(u) = inflow - u
        rim = FacetBasis(domain.mesh, element, facets=facets, intorder=2 * degree)
        K, g = K + mass.assemble(rim), g + inflow * unit.assemble(rim)
    u = np.empty(len(points))
    for level in range(LEVELS):
        here = levels == level
        state = _at_time((level + 0.5) * END / LEVELS, K, M, g)
        u[here] = Places(basis, points[here]).values(basis, state)
    return u


def _at_time(t: float, K, M, g: np.ndarray) -> np.ndarray:
    """The state at a time; points of the parabola come in conjugate pairs."""
    n = CONTOUR
    total = np.zeros(len(g))
    for angle in np.pi * np.arange(1, n, 2) / n:
        s = n / t * (0.1309 - 0.1194 * angle**2 + 0.25j * angle)
        slope = n / t * (-0.2388 * angle + 0.25j)
        total += 2 * (np.exp(s * t) * slope / (1j * n) * splu((s * M + K).tocsc()).solve(g / s + 0j)).real
    return total


def points_inside(count: int) -> tuple[np.ndarray, np.ndarray]:
    """Even points of the domain, and the level of time of each."""
    x = even_points(count, [(0, LEVELS), (-8, 8), (-12, 12)])
    x = x[np.all([np.hypot(*(x[:, 1:] - hole[:2]).T) >= hole[2] for hole in LARGE + SMALL], axis=0)]
    return x[:, 1:], np.floor(x[:, 0]).astype(int)


def main() -> None:
    points, levels = points_inside(COUNT)
    coarse, fine = (solve(points, levels, *mesh) for mesh in MESHES)
    difference = relative_difference(coarse, fine)
    print(f"difference between two meshes: {difference:.1e}")
    if difference > ACCURACY:
        raise SystemExit("the elements have not converged")
    t = (levels + 0.5) * END / LEVELS
    write_reference("heat_many_holes.npz", ACCURACY, t=t, x=points[:, 0], y=points[:, 1], u=fine)


if __name__ == "__main__":
    main()
