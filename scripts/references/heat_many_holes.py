"""Reference for problems/heat-many-holes.yaml: scikit-fem with curved triangles, and the inverse Laplace transform.

In space M u' + K u = g with u = 0 at the start. Its Laplace transform (s M + K)^-1 g/s is brought back to windows of
time by the trapezoidal rule on a hyperbola around the spectrum of -K, which converges exponentially in the number of
points. The accuracy comes from two meshes.

Source of the hyperbola: Weideman, Trefethen, Parabolic and hyperbolic contours for computing the Bromwich integral,
Math. Comp. 76 (2007) 1341-1356.

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
MESHES = ((0.6, 28, 3), (0.45, 36, 3))  # size, sides along each circle, degree; the last two are compared
CONTOUR, ANGLE = 18, 1.05  # pairs of points on the hyperbola, and its shape
WINDOWS = ((0, 4), (4, LEVELS))  # levels of time that share a hyperbola


@BilinearForm
def stiffness(u, v, w):
    return dot(grad(u), grad(v))


@BilinearForm
def mass(u, v, w):
    return u * v


@LinearForm
def unit(v, w):
    return v


def assembled(size: float, along_circle: int, degree: int):
    """A basis, K, M and g on a mesh of that size with so many sides along each circle."""
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
    return basis, K, M, g


def solve(points: np.ndarray, levels: np.ndarray, size: float, along_circle: int, degree: int) -> np.ndarray:
    """u at points (N, 2) of the plane at the middles of levels of time (N,)."""
    basis, K, M, g = assembled(size, along_circle, degree)
    u = np.empty(len(points))
    times = (np.arange(LEVELS) + 0.5) * END / LEVELS
    for first, last in WINDOWS:
        states = _at_times(times[first:last], K, M, g)
        for level in range(first, last):
            here = levels == level
            u[here] = Places(basis, points[here]).values(basis, states[level - first])
    return u


def _at_times(times: np.ndarray, K, M, g: np.ndarray) -> np.ndarray:
    """The states (times, N); points of the hyperbola come in conjugate pairs."""
    spread, n = times[-1] / times[0], CONTOUR
    a = np.arccosh(((np.pi - 2 * ANGLE) * spread + 4 * ANGLE - np.pi) / ((4 * ANGLE - np.pi) * np.sin(ANGLE)))
    scale = (4 * np.pi * ANGLE - np.pi**2) / a * n / times[-1]
    total = np.zeros((len(times), len(g)))
    for w in (np.arange(n) + 0.5) * a / n:
        s, slope = scale * (1 + np.sin(1j * w - ANGLE)), scale * 1j * np.cos(1j * w - ANGLE)
        state = splu((s * M + K).tocsc()).solve(g / s + 0j)
        total += (a / n / np.pi) * (np.exp(s * times)[:, None] * slope * state).imag
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
