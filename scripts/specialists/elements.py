"""Finite elements by scikit-fem (extra `dev`): Taylor-Hood elements of degrees 3 and 2 for the lid-driven cavity.

Squares are graded towards the walls; Newton's method starts from rest and solves with SuperLU. The pressure, which has
a logarithm in two corners, is left out of the comparison.
"""

from __future__ import annotations

from functools import partial

import numpy as np

from specialists import Field, Specialist

RE = 100.0


def cavity() -> Specialist:
    import taylor_hood  # noqa: F401  what is missing is said before anything is timed

    return Specialist("scikit-fem, Q3-Q2 elements", (6, 8, 12, 16, 20, 24, 32), solve_cavity, unknowns=("u", "v"))


def solve_cavity(cells: int, times: np.ndarray) -> Field:
    from skfem import ElementQuadP, FacetBasis, MeshQuad
    from taylor_hood import TaylorHood, viscous

    line = (1 - np.cos(np.pi * np.arange(cells + 1) / cells)) / 2
    mesh = MeshQuad.init_tensor(line, line)
    flow = TaylorHood(mesh, 3, elements={degree: partial(ElementQuadP, degree) for degree in (2, 3)})
    basis, state = flow.basis, flow.state

    def on_lid(x):
        return np.isclose(x[1], 1)

    lid = FacetBasis(mesh, basis.elem, facets=mesh.facets_satisfying(on_lid, boundaries_only=True))
    moving = basis.get_dofs(on_lid).flatten()
    state[moving] = lid.project(lambda x: np.array([4 * x[0] * (1 - x[0]), 0 * x[0]]))[moving]
    pinned = flow.count + flow.pressure.nodal_dofs[0, np.argmin(mesh.p.sum(axis=0))]
    fixed = np.append(basis.get_dofs().flatten(), pinned)
    free = np.setdiff1d(np.arange(len(state)), fixed)

    stiffness = viscous.assemble(basis) / RE
    for _ in range(12):
        if np.abs(flow.newton_step(stiffness, free, told=False)).max() < 1e-8:
            break

    def at(points: np.ndarray) -> dict[str, np.ndarray]:
        u, v = (basis.probes(points.T) @ state[: flow.count]).reshape(2, -1)
        return {"u": u, "v": v}

    return at
