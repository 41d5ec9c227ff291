"""Values that a problem leaves free are left out where functions are compared: constants, or one at every time.

Along coordinates in which an unknown has no derivative, what is left out may be any function. Points that share these
coordinates are compared without their mean.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import torch
from torch import Tensor

from pinnsolve.problem.checks.neumann import HoldsResiduals, free_axes

GROUPS = 40  # of points, each with the same free coordinates
FEWEST = 8  # points in a group, on average, from which on its mean is that of the domain there


def in_groups(x: Tensor, statements: Iterable[HoldsResiduals], names: Sequence[str]) -> Tensor:
    """Points (N, d), moved so that many share the coordinates of which some of the unknowns are free functions."""
    statements = tuple(statements)
    axes = sorted({axis for name in names for axis in free_axes(statements, name)})
    if not axes or len(x) < FEWEST * GROUPS:
        return x
    x = x.clone()
    x[:, axes] = x[torch.arange(len(x)) % GROUPS][:, axes]
    return x


def less_free(values: Tensor, x: Tensor, axes: Sequence[int]) -> Tensor:
    """Values (N,) at points (N, d) without what is free: their mean, or those of groups that share the free `axes`."""
    if not axes:
        return values - values.mean()
    groups, which, counts = torch.unique(x[:, list(axes)], dim=0, return_inverse=True, return_counts=True)
    if len(x) < FEWEST * len(groups):
        return values - values.mean()
    sums = torch.zeros(len(groups), dtype=values.dtype, device=values.device).index_add_(0, which, values)
    return values - (sums / counts)[which]
