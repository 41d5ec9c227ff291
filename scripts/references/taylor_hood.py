"""Flow by Taylor-Hood elements: velocities one degree above the pressure, by Newton's method.

Used by the references of flows in the plane, on curved triangles, and by a specialist, on squares; scikit-fem and Gmsh
are in the extra `dev`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
from elements import ELEMENTS, Places
from scipy.sparse import bmat
from scipy.sparse.linalg import spsolve
from skfem import Basis, BilinearForm, ElementVector, LinearForm
from skfem.helpers import ddot, div, dot, grad, mul


@BilinearForm
def viscous(u, v, w):
    return ddot(grad(u), grad(v))


@BilinearForm
def divergence(u, q, w):
    return -div(u) * q


@BilinearForm
def carried(u, v, w):
    return dot(mul(grad(w["flow"]), u) + mul(grad(u), w["flow"]), v)


@LinearForm
def carrying(v, w):
    return dot(mul(grad(w["flow"]), w["flow"]), v)


class TaylorHood:
    """Velocities of a `degree` and pressures of one less on a mesh; `state`: coefficients of both, velocities first.

    `elements`: what makes the element of a degree; `along_x`: which coefficients of the velocities are those of the
    first component.
    """

    def __init__(self, mesh, degree: int, intorder: int | None = None, elements: Mapping[int, Callable] = ELEMENTS):
        self.basis = Basis(mesh, ElementVector(elements[degree]()), intorder=intorder)
        self.pressure = self.basis.with_element(elements[degree - 1]())
        self.count = self.basis.N
        self.along_x = np.zeros(self.count, bool)
        for names in (self.basis.nodal_dofs, self.basis.facet_dofs, self.basis.interior_dofs):
            self.along_x[names[0::2].ravel()] = True
        self.state = np.zeros(self.count + self.pressure.N)
        self.gradient = divergence.assemble(self.basis, self.pressure)

    def momentum(self, stiffness) -> np.ndarray:
        """The residual of the momentum, of every velocity; `stiffness`: the matrix of the friction."""
        flow = self.basis.interpolate(self.state[: self.count])
        velocities, pressures = self.state[: self.count], self.state[self.count :]
        return stiffness @ velocities + self.gradient.T @ pressures + carrying.assemble(self.basis, flow=flow)

    def newton_step(self, stiffness, free: np.ndarray, told: bool = True) -> np.ndarray:
        """Moves the coefficients `free` by a step of Newton's method, and returns it; says so if it is to be `told`."""
        flow = self.basis.interpolate(self.state[: self.count])
        block = stiffness + carried.assemble(self.basis, flow=flow)
        matrix = bmat([[block, self.gradient.T], [self.gradient, None]], "csr")
        residual = np.concatenate([self.momentum(stiffness), self.gradient @ self.state[: self.count]])
        step = spsolve(matrix[free][:, free].tocsc(), -residual[free])
        self.state[free] += step
        if told:
            print(f"  {len(free)} coefficients: step {np.abs(step).max():.1e}", flush=True)
        return step

    def at(self, points: np.ndarray) -> dict[str, np.ndarray]:
        """u, v, p at points (N, 2)."""
        u, v = Places(self.basis, points).values(self.basis, self.state[: self.count])
        return {"u": u, "v": v, "p": Places(self.pressure, points).values(self.pressure, self.state[self.count :])}
