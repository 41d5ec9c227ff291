"""Finite elements by scikit-fem (extra `dev`): Taylor-Hood elements of degrees 3 and 2 for the lid-driven cavity.

Squares are graded towards the walls; Newton's method starts from rest and solves with SuperLU. The pressure, which has
a logarithm in two corners, is left out of the comparison.
"""

from __future__ import annotations

import logging

import numpy as np

from specialists import Field, Specialist

RE = 100.0


def cavity() -> Specialist:
    import skfem  # noqa: F401  what is missing is said before anything is timed

    return Specialist("scikit-fem, Q3-Q2 elements", (6, 8, 12, 16, 20, 24, 32), solve_cavity, unknowns=("u", "v"))


def solve_cavity(cells: int, times: np.ndarray) -> Field:
    from scipy.sparse import bmat
    from scipy.sparse.linalg import spsolve
    from skfem import Basis, BilinearForm, ElementQuadP, ElementVector, FacetBasis, LinearForm, MeshQuad
    from skfem.helpers import ddot, div, dot, grad, mul

    logging.getLogger("skfem").setLevel(logging.ERROR)
    line = (1 - np.cos(np.pi * np.arange(cells + 1) / cells)) / 2
    mesh = MeshQuad.init_tensor(line, line)
    element = ElementVector(ElementQuadP(3))
    basis = Basis(mesh, element)
    pressure = basis.with_element(ElementQuadP(2))

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

    def on_lid(x):
        return np.isclose(x[1], 1)

    lid = FacetBasis(mesh, element, facets=mesh.facets_satisfying(on_lid, boundaries_only=True))
    moving = basis.get_dofs(on_lid).flatten()
    count = basis.N
    state = np.zeros(count + pressure.N)
    state[moving] = lid.project(lambda x: np.array([4 * x[0] * (1 - x[0]), 0 * x[0]]))[moving]
    pinned = count + pressure.nodal_dofs[0, np.argmin(mesh.p.sum(axis=0))]
    fixed = np.append(basis.get_dofs().flatten(), pinned)
    free = np.setdiff1d(np.arange(len(state)), fixed)

    stiffness, gradient = viscous.assemble(basis), divergence.assemble(basis, pressure)
    for _ in range(12):
        flow = basis.interpolate(state[:count])
        matrix = bmat([[stiffness + carried.assemble(basis, flow=flow), gradient.T], [gradient, None]], "csr")
        momentum = stiffness @ state[:count] + gradient.T @ state[count:] + carrying.assemble(basis, flow=flow)
        residual = np.concatenate([momentum, gradient @ state[:count]])
        step = spsolve(matrix[free][:, free].tocsc(), -residual[free])
        state[free] += step
        if np.abs(step).max() < 1e-8:
            break

    def at(points: np.ndarray) -> dict[str, np.ndarray]:
        u, v = (basis.probes(points.T) @ state[:count]).reshape(2, -1)
        return {"u": u, "v": v}

    return at
