"""Reference for problems/hamilton-jacobi-bellman-10d.yaml: Cole-Hopf and quadrature, on all of space.

With v = exp(-u) the equation is v_t + laplacian(v) = 0, so u(x, t) = -log E[2/(1 + |x + sqrt(2 (1 - t)) Z|^2)] with Z
normal. Along x, Z is one normal deviate (Gauss-Hermite); across, its square is that of nine (generalized
Gauss-Laguerre). The accuracy is the difference between two numbers of nodes.

`python scripts/references/hamilton_jacobi_bellman.py` writes problems/references/hamilton_jacobi_bellman.npz: values at
the start at 1000 normal points.
"""

from __future__ import annotations

import numpy as np
from scatter import relative_difference, write_reference
from scipy.special import roots_genlaguerre

DIMENSION = 10
COUNT, SEED = 1000, 0
NODES = (90, 120)
ACCURACY = 1e-10


def solution(r: np.ndarray, t: np.ndarray, nodes: int) -> np.ndarray:
    """u (N,) at distances r (N,) from the middle and times t (N,)."""
    z, w = np.polynomial.hermite_e.hermegauss(nodes)
    y, v = roots_genlaguerre(nodes, (DIMENSION - 1) / 2 - 1)
    spread = np.sqrt(2 * (1 - t))[:, None]
    along = (r[:, None] + spread * z) ** 2
    square = along[:, :, None] + 2 * spread[:, :, None] ** 2 * y
    return -np.log(np.einsum("nij,i,j->n", 2 / (1 + square), w / w.sum(), v / v.sum()))


def columns() -> dict[str, np.ndarray]:
    """The columns of the reference."""
    x = np.random.default_rng(SEED).normal(size=(COUNT, DIMENSION))
    t = np.zeros(COUNT)
    r = np.linalg.norm(x, axis=1)
    coarse, fine = (solution(r, t, nodes) for nodes in NODES)
    assert relative_difference(coarse, fine) < ACCURACY
    return {"t": t, **{f"x{k + 1}": x[:, k] for k in range(DIMENSION)}, "u": fine}


if __name__ == "__main__":
    write_reference("hamilton_jacobi_bellman.npz", ACCURACY, **columns())
