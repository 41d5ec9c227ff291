"""The integral operator of problems/fredholm.yaml.

(K u)(x) = integral from 0 to 1 of exp(x s) u(s) ds, by Gauss-Legendre quadrature: with 32 nodes it is exact to rounding
for integrands as smooth as this kernel. Called with a basis and points, it answers for every basis function at once.
"""

import numpy as np
import torch

import pinnsolve as ps

NODES = 32


@ps.operator("kernel_integral", order=0)
def kernel_integral(basis, points):
    """K applied to each basis function: points (N, 1) -> (N, W)."""
    nodes, quadrature_weights = np.polynomial.legendre.leggauss(NODES)
    s = torch.as_tensor((nodes + 1) / 2, dtype=points.dtype, device=points.device)[:, None]
    ds = torch.as_tensor(quadrature_weights / 2, dtype=points.dtype, device=points.device)[:, None]
    values = basis.derivatives(s, [(0,)])[(0,)]  # (NODES, W)
    return torch.exp(points @ s.T) @ (ds * values)
