"""The zero set of an expression in space, traced by marching tetrahedra and projected onto it.

Input: values and gradients, and a box. Output: triangles with corners on the zero set (A. Doi and A. Koide, An
efficient method of triangulating equi-valued surfaces, IEICE Transactions E74 (1991) 214-224).
"""

from __future__ import annotations

import torch
from torch import Tensor

from pinnsolve.geometry import shapes as tree
from pinnsolve.geometry.level_sets import Gradient
from pinnsolve.geometry.marching_squares import BEYOND, projected

CELLS = 24  # of the grid along each axis of the box
SLIVER = 1e-10  # relative to a cell's face: triangles of less area are none

# Six tetrahedra of a cube around the diagonal from corner 0 to 7; a corner's bits are its steps along the axes.
_TETRAHEDRA = ((0, 1, 3, 7), (0, 1, 5, 7), (0, 2, 3, 7), (0, 2, 6, 7), (0, 4, 5, 7), (0, 4, 6, 7))


def traced_triangles(gradient: Gradient, shape: tree.Implicit) -> Tensor:
    """Triangles (T, 3, 3), counterclockwise seen from where the expression is positive."""
    nodes, values, step = _grid(gradient, shape)
    triangles = torch.cat([_cut(nodes[:, list(t)], values[:, list(t)]) for t in _TETRAHEDRA])
    corners = projected(gradient, triangles.reshape(-1, 3)).reshape(-1, 3, 3)
    a, b, c = corners.unbind(1)
    normal = torch.linalg.cross(b - a, c - a)
    corners, normal = (part[normal.norm(dim=1) > SLIVER * step**2] for part in (corners, normal))
    slope = gradient(corners.mean(dim=1))[1]
    backward = (normal * slope).sum(dim=1) < 0
    corners[backward] = corners[backward][:, [0, 2, 1]]
    return corners


def _grid(gradient: Gradient, shape: tree.Implicit) -> tuple[Tensor, Tensor, float]:
    """Corners (cells, 8, 3) of the cells that the surface crosses, values (cells, 8) there, and the least step."""
    axes, steps = [], []
    for low, high in zip(shape.lower, shape.upper, strict=True):
        steps.append((high - low) / CELLS)
        axes.append(low + steps[-1] * torch.arange(-BEYOND, CELLS + BEYOND + 1, dtype=torch.float64))
    grid = torch.stack(torch.meshgrid(*axes, indexing="ij"), dim=-1)
    values = gradient(grid.reshape(-1, 3))[0].reshape(grid.shape[:3])

    def corners(table: Tensor) -> Tensor:
        n = table.shape[0] - 1
        cut = [table[i : n + i, j : n + j, k : n + k] for k in (0, 1) for j in (0, 1) for i in (0, 1)]
        return torch.stack(cut, dim=3).flatten(0, 2)

    at = corners(values)
    mixed = (at < 0).any(dim=1) & (at >= 0).any(dim=1) & at.isfinite().all(dim=1)
    return corners(grid)[mixed], at[mixed], min(steps)


def _cut(nodes: Tensor, values: Tensor) -> Tensor:
    """The triangles (T, 3, 3) in which the surface cuts tetrahedra of nodes (N, 4, 3)."""
    inside = values < 0
    count = inside.sum(dim=1)
    # corners of the rarer sign first
    order = torch.argsort((inside != (count <= 2)[:, None]).long(), dim=1, stable=True)
    nodes = nodes.gather(1, order[..., None].expand_as(nodes))
    values = values.gather(1, order)

    def crossing(rows: Tensor, i: int, j: int) -> Tensor:
        a, b = values[rows, i, None], values[rows, j, None]
        return nodes[rows, i] + a / (a - b) * (nodes[rows, j] - nodes[rows, i])

    one, two = (count == 1) | (count == 3), count == 2
    single = torch.stack([crossing(one, 0, j) for j in (1, 2, 3)], dim=1)
    p, q, r, s = (crossing(two, i, j) for i, j in ((0, 2), (0, 3), (1, 3), (1, 2)))
    return torch.cat([single, torch.stack([p, q, r], dim=1), torch.stack([p, r, s], dim=1)])
