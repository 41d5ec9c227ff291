"""Reference for problems/clamped-plate.yaml: elements of degree 4 on meshes graded towards the clamped corners.

Stresses are infinite at both ends of the clamped side, where the displacement goes like r**0.76. Cells shrink towards
the side, and towards its ends along it, like the third power of their number. The accuracy comes from two meshes.

`python scripts/references/clamped_plate.py` writes problems/references/clamped_plate.npz (extra `dev`).
"""

from __future__ import annotations

import numpy as np
from scatter import even_points, finer_of_two, write_reference
from skfem import (
    Basis,
    BilinearForm,
    ElementQuadP,
    ElementVector,
    FacetBasis,
    LinearForm,
    MeshQuad,
    condense,
    solve,
)
from skfem.helpers import sym_grad

LENGTH, HEIGHT, POISSON = 2.0, 1.0, 0.3
DEGREE, GRADING = 4, 3
COUNT, ACCURACY = 3000, 1e-7
MESHES = ((16,), (24,))  # layers along half of the clamped side; twice as many along the plate


@BilinearForm
def energy(u, v, w):
    """Plane stress with Young's modulus 1."""
    a, b = sym_grad(u), sym_grad(v)
    trace = (a[0, 0] + a[1, 1]) * (b[0, 0] + b[1, 1])
    shear = sum(a[i, j] * b[i, j] for i in range(2) for j in range(2))
    return (POISSON * trace + (1 - POISSON) * shear) / (1 - POISSON**2)


@LinearForm
def pull(v, w):
    return w.x[1] * (HEIGHT - w.x[1]) * v[1]


def displacement(points: np.ndarray, layers: int) -> np.ndarray:
    """(2, N) at points (N, 2)."""
    x = LENGTH * np.linspace(0, 1, 2 * layers + 1) ** GRADING
    half = HEIGHT / 2 * np.linspace(0, 1, layers + 1) ** GRADING
    mesh = MeshQuad.init_tensor(x, np.concatenate([half, HEIGHT - half[-2::-1]]))
    basis = Basis(mesh, ElementVector(ElementQuadP(DEGREE)), intorder=2 * DEGREE)
    end = FacetBasis(
        mesh, basis.elem, facets=mesh.facets_satisfying(lambda x: np.isclose(x[0], LENGTH)), intorder=2 * DEGREE
    )
    clamped = basis.get_dofs(lambda x: np.isclose(x[0], 0.0)).all()
    found = solve(*condense(energy.assemble(basis), pull.assemble(end), D=clamped))
    return (basis.probes(points.T) @ found).reshape(2, -1)


def main() -> None:
    points = even_points(COUNT, [(0.0, LENGTH), (0.0, HEIGHT)])
    u, v = finer_of_two(lambda layers: displacement(points, layers), MESHES, ACCURACY)
    write_reference("clamped_plate.npz", ACCURACY, x=points[:, 0], y=points[:, 1], u=u, v=v)


if __name__ == "__main__":
    main()
