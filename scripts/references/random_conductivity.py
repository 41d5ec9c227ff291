"""Reference for problems/heat-random-conductivity.yaml: finite elements, and a contour integral in time.

In space M u' + K u = g sin(pi t) with u = 0 at the start. The part that swings for ever is Im(exp(i pi t) w) with
(K + i pi M) w = g; what is left decays, exp(-t M^-1 K) of its start, and is the integral of a resolvent along a
parabola around the spectrum, the same for every step of time. The accuracy is that of two degrees of elements. The
conductivity is the bicubic spline of the table, by scipy's `RectBivariateSpline`.

Source of the parabola: Trefethen, Weideman, Schmelzer, Talbot quadratures and rational approximations, BIT 46 (2006)
653-670, equation (3.2) and section 4.

`python scripts/references/random_conductivity.py` writes problems/references/random_conductivity.npz (extra `dev`).
"""

from __future__ import annotations

import logging
from collections.abc import Callable

import numpy as np
from random_fields import NODES
from scatter import PROBLEMS, even_points, finer_of_two, write_reference
from scipy.interpolate import RectBivariateSpline
from scipy.sparse.linalg import splu
from skfem import Basis, BilinearForm, ElementQuadP, LinearForm, MeshQuad
from skfem.helpers import dot, grad

logging.getLogger("skfem").setLevel(logging.ERROR)
END, LEVELS, COUNT = 5.0, 50, 6000
MESHES = ((1, 3), (1, 4))  # cells between two rows of the table, and degree
ACCURACY = 1e-4  # two degrees agree better than this
CONTOUR = 24  # points on the parabola: an error of 3**-24


def table() -> RectBivariateSpline:
    rows = np.genfromtxt(PROBLEMS / "data" / "random_conductivity.csv", delimiter=",", names=True)
    z = np.linspace(0.0, 1.0, NODES)
    return RectBivariateSpline(z, z, rows["k"].reshape(NODES, NODES))


def solve(points: np.ndarray, levels: np.ndarray, cells: int, degree: int) -> np.ndarray:
    """u at points (N, 2) of the square and levels of time (N,)."""
    conductivity, sides = table(), np.linspace(0.0, 1.0, cells * (NODES - 1) + 1)
    basis = Basis(MeshQuad.init_tensor(sides, sides), ElementQuadP(degree), intorder=2 * degree + 2)

    @BilinearForm
    def stiffness(u, v, w):
        return conductivity.ev(w.x[0], w.x[1]) * dot(grad(u), grad(v))

    @BilinearForm
    def mass(u, v, w):
        return u * v

    @LinearForm
    def source(v, w):
        return 200 * np.sin(np.pi * w.x[0]) * np.sin(5 * np.pi * w.x[1]) * v

    inside = basis.complement_dofs(basis.get_dofs())
    K, M = (form.assemble(basis)[inside][:, inside].tocsc() for form in (stiffness, mass))
    swing = splu(K + 1j * np.pi * M).solve(source.assemble(basis)[inside].astype(complex))
    decay = one_step(K, M, END / LEVELS)
    result, at = np.empty(len(points)), basis.probes(points.T).tocsr()[:, inside]
    decaying = -swing.imag
    for level in range(LEVELS + 1):
        here = levels == level
        u = (np.exp(1j * np.pi * level * END / LEVELS) * swing).imag + decaying
        result[here] = at[here] @ u
        decaying = decay(decaying)
    return result


def one_step(K, M, time: float) -> Callable[[np.ndarray], np.ndarray]:
    """u -> exp(-time M^-1 K) u, with factors that are made once."""
    theta = np.pi * np.arange(1, CONTOUR, 2) / CONTOUR
    places = CONTOUR * (0.1309 - 0.1194 * theta**2 + 0.25j * theta) / time
    slopes = CONTOUR * (-0.2388 * theta + 0.25j) / time
    weights = -2j / CONTOUR * np.exp(places * time) * slopes
    factors = [splu((place * M + K).tocsc()) for place in places]

    def step(u: np.ndarray) -> np.ndarray:
        load = (M @ u).astype(complex)
        return sum((w * factor.solve(load)).real for w, factor in zip(weights, factors, strict=True))

    return step


def main() -> None:
    t, *places = even_points(COUNT, [(0.0, 1.0)] * 3).T
    levels, points = np.round(t * LEVELS).astype(int), np.stack(places, axis=1)
    u = finer_of_two(lambda *mesh: solve(points, levels, *mesh), MESHES, ACCURACY)
    write_reference("random_conductivity.npz", ACCURACY, t=levels / LEVELS * END, x=points[:, 0], y=points[:, 1], u=u)


if __name__ == "__main__":
    main()
