"""The memory operator of problems/volterra.yaml.

(M u)(t) = integral from 0 to t of u(s) ds. Each point has an interval of its own, so the Gauss-Legendre nodes are
scaled to it: s = t (1 + node)/2.
"""

import numpy as np
import torch

import pinnsolve as ps

NODES = 40


@ps.operator("memory", order=0)
def memory(basis, points):
    """M applied to each basis function: points (N, 1) -> (N, W)."""
    nodes, quadrature_weights = np.polynomial.legendre.leggauss(NODES)
    share = torch.as_tensor((nodes + 1) / 2, dtype=points.dtype, device=points.device)
    ds = torch.as_tensor(quadrature_weights / 2, dtype=points.dtype, device=points.device)
    s = points * share  # (N, NODES)
    values = basis.derivatives(s.reshape(-1, 1), [(0,)])[(0,)]  # (N*NODES, W)
    return points * torch.einsum("q,nqw->nw", ds, values.reshape(len(points), NODES, -1))
