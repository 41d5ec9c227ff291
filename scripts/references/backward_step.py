"""Reference for problems/backward-step.yaml: Taylor-Hood elements of degrees 3 and 2 on triangles graded to the corner.

At the corner of the step the velocity grows like r**0.54 and the pressure like r**-0.46, so the triangles shrink
towards it, and towards the other corners. At the outflow the weak form asks for v_x = 0 by itself; it would ask for
u_x/Re = p, too, and with the integral of u_x/Re taken away asks for p = 0. The accuracy of each unknown comes from two
meshes.

`python scripts/references/backward_step.py` writes problems/references/backward_step.npz (extra `dev`).
"""

from __future__ import annotations

import numpy as np
from elements import FacetBasis, polygon_mesh
from scatter import check_each, even_points, write_reference
from skfem import BilinearForm
from skfem.helpers import grad
from taylor_hood import TaylorHood, viscous

RE = 100.0
ON_THE_WAY = (10.0, 30.0, 60.0)  # Reynolds numbers from which Newton's method goes on
CORNERS = [(0, 0), (4, 0), (4, 2), (2, 2), (2, 1), (0, 1)]
COUNT = 5000
ACCURACY = {"u": 1e-4, "v": 1e-4, "p": 1e-4}
# size far from the corners and at that of the step, growth of the triangles from it; the last two are compared
MESHES = ((0.1, 1e-5, 0.2), (0.07, 1e-5, 0.14))


@BilinearForm
def pull(u, v, w):
    """At the outflow, where u_x = -v_y."""
    return -grad(u)[1, 1] * v[0]


def solve(points: np.ndarray, size: float, at_step: float, growth: float) -> dict[str, np.ndarray]:
    """u, v, p at points (N, 2), by Newton's method from rest and rising Reynolds numbers."""
    mesh = polygon_mesh(CORNERS, [size / 40 if c != (2, 1) else at_step for c in CORNERS], size, growth)
    flow = TaylorHood(mesh, 3, 8)
    basis, place = flow.basis, flow.basis.doflocs
    fixed = basis.get_dofs(mesh.facets_satisfying(lambda x: abs(x[0] - 4) > 1e-9, True)).flatten()
    end = FacetBasis(mesh, basis.elem, facets=mesh.facets_satisfying(lambda x: abs(x[0] - 4) < 1e-9, True), intorder=8)
    inflow = np.flatnonzero(flow.along_x & (place[0] < 1e-9))
    flow.state[inflow] = 4 * place[1, inflow] * (1 - place[1, inflow])
    free = np.setdiff1d(np.arange(len(flow.state)), fixed)
    friction = viscous.assemble(basis) - pull.assemble(end)
    for re in [*(re for re in ON_THE_WAY for _ in range(3)), *[RE] * 12]:
        step = flow.newton_step(friction / re, free)
        if re == RE and np.abs(step[: np.searchsorted(free, flow.count)]).max() < 1e-9:
            break
    return flow.at(points)


def points_inside(count: int) -> np.ndarray:
    x = even_points(count, [(0, 4), (0, 2)])
    return x[(x[:, 0] > 2) | (x[:, 1] < 1)]


def main() -> None:
    points = points_inside(COUNT)
    coarse, fine = (solve(points, *mesh) for mesh in MESHES)
    check_each(coarse, fine, ACCURACY, "meshes", "the elements have not converged")
    write_reference("backward_step.npz", max(ACCURACY.values()), x=points[:, 0], y=points[:, 1], **fine)


if __name__ == "__main__":
    main()
