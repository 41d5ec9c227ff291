"""Reference for problems/backward-step.yaml: Taylor-Hood elements of degrees 3 and 2 on triangles graded to the corner.

At the corner of the step the velocity grows like r**0.54 and the pressure like r**-0.46, so the triangles shrink towards
it, and towards the other corners. At the outflow v = 0 is imposed; the weak form adds u_x/Re - p = 0, and since
u_x = -v_y vanishes there, p = 0. The accuracy of each unknown comes from two meshes; the file states that of the
pressure.

`python scripts/references/backward_step.py` writes problems/references/backward_step.npz (extra `dev`).
"""

from __future__ import annotations

import numpy as np
from elements import ELEMENTS, Places, polygon_mesh
from scatter import even_points, relative_difference, write_reference
from scipy.sparse import bmat
from scipy.sparse.linalg import spsolve
from skfem import Basis, BilinearForm, ElementVector, LinearForm
from skfem.helpers import ddot, div, dot, grad, mul

RE = 100.0
CORNERS = [(0, 0), (4, 0), (4, 2), (2, 2), (2, 1), (0, 1)]
COUNT = 5000
ACCURACY = {"u": 1e-5, "v": 1e-5, "p": 1e-4}
MESHES = ((0.12, 1e-4), (0.08, 1e-5))  # size far from the corners and at that of the step; the last two are compared


@BilinearForm
def viscous(u, v, w):
    return ddot(grad(u), grad(v)) / RE


@BilinearForm
def divergence(u, q, w):
    return -div(u) * q


@BilinearForm
def carried(u, v, w):
    return dot(mul(grad(w["flow"]), u) + mul(grad(u), w["flow"]), v)


@LinearForm
def carrying(v, w):
    return dot(mul(grad(w["flow"]), w["flow"]), v)


def solve(points: np.ndarray, size: float, at_step: float) -> dict[str, np.ndarray]:
    """u, v, p at points (N, 2), by Newton's method from rest."""
    mesh = polygon_mesh(CORNERS, [size / 8 if c != (2, 1) else at_step for c in CORNERS], size)
    basis = Basis(mesh, ElementVector(ELEMENTS[3]()), intorder=8)
    pressure = basis.with_element(ELEMENTS[2]())
    place = basis.doflocs
    along_x = np.zeros(basis.N, bool)  # which coefficients are those of u
    for names in (basis.nodal_dofs, basis.facet_dofs, basis.interior_dofs):
        along_x[names[0::2].ravel()] = True

    def on(x: np.ndarray) -> np.ndarray:
        return abs(x[0] - 4) > 1e-9

    rest = basis.get_dofs(mesh.facets_satisfying(on, True)).flatten()
    outflow = basis.get_dofs(mesh.facets_satisfying(lambda x: abs(x[0] - 4) < 1e-9, True)).flatten()
    fixed = np.union1d(rest, outflow[~along_x[outflow]])
    state = np.zeros(basis.N + pressure.N)
    inflow = np.flatnonzero(along_x & (place[0] < 1e-9))
    state[inflow] = 4 * place[1, inflow] * (1 - place[1, inflow])
    free = np.setdiff1d(np.arange(len(state)), fixed)
    stiffness, gradient, count = viscous.assemble(basis), divergence.assemble(basis, pressure), basis.N
    for _ in range(15):
        flow = basis.interpolate(state[:count])
        matrix = bmat([[stiffness + carried.assemble(basis, flow=flow), gradient.T], [gradient, None]], "csr")
        momentum = stiffness @ state[:count] + gradient.T @ state[count:] + carrying.assemble(basis, flow=flow)
        residual = np.concatenate([momentum, gradient @ state[:count]])
        step = spsolve(matrix[free][:, free].tocsc(), -residual[free])
        state[free] += step
        print(f"  {len(free)} coefficients: step {np.abs(step).max():.1e}", flush=True)
        if np.abs(step[: np.searchsorted(free, count)]).max() < 1e-10:
            break
    u, v = Places(basis, points).values(basis, state[:count])
    return {"u": u, "v": v, "p": Places(pressure, points).values(pressure, state[count:])}


def points_inside(count: int) -> np.ndarray:
    x = even_points(count, [(0, 4), (0, 2)])
    return x[(x[:, 0] > 2) | (x[:, 1] < 1)]


def main() -> None:
    points = points_inside(COUNT)
    coarse, fine = (solve(points, *mesh) for mesh in MESHES)
    for name, accuracy in ACCURACY.items():
        difference = relative_difference(coarse[name], fine[name])
        print(f"{name}: difference between two meshes: {difference:.1e}")
        if difference > accuracy:
            raise SystemExit("the elements have not converged")
    write_reference("backward_step.npz", max(ACCURACY.values()), x=points[:, 0], y=points[:, 1], **fine)


if __name__ == "__main__":
    main()
