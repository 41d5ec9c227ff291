"""Reference for problems/dfg-cylinder.yaml: Taylor-Hood elements of degrees 4 and 3 on curved triangles.

The weak form with the whole gradient asks for no traction at the outflow by itself. Sides on the cylinder are
parabolas, so many that what they miss of the circle is less than what is stated. The accuracy of each unknown comes
from two meshes; the forces on the cylinder, by the residual of the momentum (Babuska & Miller, Int. J. Numer. Methods
Eng. 20 (1984) 1085-1109), are printed beside those that are known to ten digits.

`python scripts/references/dfg_cylinder.py` writes problems/references/dfg_cylinder.npz (extra `dev`).
"""

from __future__ import annotations

import numpy as np
from elements import Domain
from scatter import check_each, even_points, write_reference
from taylor_hood import TaylorHood, viscous

NU, HEIGHT, MEAN = 0.001, 0.41, 0.2
HOLE, LENGTH = (0.2, 0.2, 0.05), 2.2
KNOWN = {"drag": 5.57953523384, "lift": 0.010618948146}
COUNT = 4000
ACCURACY = {"u": 1e-5, "v": 1e-5, "p": 1e-5}
MESHES = ((0.035, 80), (0.026, 112))  # size of triangles, sides along the circle; the two are compared


def solve(points: np.ndarray, size: float, along_circle: int) -> dict[str, np.ndarray]:
    """u, v, p at points (N, 2), by Newton's method from rest."""
    domain = Domain((0, 0, LENGTH, HEIGHT), [HOLE], size, along_circle)
    mesh = domain.mesh
    flow = TaylorHood(mesh, 4, 12)
    basis, place = flow.basis, flow.basis.doflocs
    walls = mesh.facets_satisfying(lambda x: (abs(x[0] - LENGTH) > 1e-9) & (x[0] < 1e-9), True)
    sides = mesh.facets_satisfying(lambda x: (x[1] < 1e-9) | (x[1] > HEIGHT - 1e-9), True)
    hole = basis.get_dofs(domain.hole_facets()).flatten()
    fixed = np.unique(np.concatenate([hole, basis.get_dofs(walls).flatten(), basis.get_dofs(sides).flatten()]))
    inflow = np.flatnonzero(flow.along_x & (place[0] < 1e-9))
    flow.state[inflow] = 6 * MEAN * place[1, inflow] * (HEIGHT - place[1, inflow]) / HEIGHT**2
    free = np.setdiff1d(np.arange(len(flow.state)), fixed)
    stiffness = NU * viscous.assemble(basis)
    for _ in range(12):
        if np.abs(flow.newton_step(stiffness, free)).max() < 1e-11:
            break
    momentum = flow.momentum(stiffness)
    unit = MEAN**2 * 2 * HOLE[2] / 2
    for name, chosen in (("drag", flow.along_x[hole]), ("lift", ~flow.along_x[hole])):
        print(f"  {name}: {-momentum[hole[chosen]].sum() / unit:.9f}, known {KNOWN[name]:.9f}")
    return flow.at(points)


def main() -> None:
    points = even_points(COUNT, [(0, LENGTH), (0, HEIGHT)])
    points = points[np.hypot(points[:, 0] - HOLE[0], points[:, 1] - HOLE[1]) > 1.001 * HOLE[2]]
    coarse, fine = (solve(points, *mesh) for mesh in MESHES)
    check_each(coarse, fine, ACCURACY, "meshes", "the elements have not converged")
    write_reference("dfg_cylinder.npz", max(ACCURACY.values()), x=points[:, 0], y=points[:, 1], **fine)


if __name__ == "__main__":
    main()
