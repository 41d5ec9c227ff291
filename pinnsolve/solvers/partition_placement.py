"""Placing the partitions of a POUnet by values: cells on which polynomials fit best, then a partition that has them.

The points are put into many small cells, and neighbouring cells are merged where one polynomial of degree m serves both
best, until as many are left as there are partitions: a bottom-up relative of regression trees with polynomial leaves.
Networks are good at classification, so the hidden parameters are then moved to tell the cells apart (cross-entropy).

Input: a basis with a partition, points, values. Output: the basis with other hidden parameters.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from pinnsolve.bases.pou.partition import polynomials
from pinnsolve.bases.pou.pou_rbf import PouRBF
from pinnsolve.bases.pou.pou_resnet import PouResNet
from pinnsolve.solvers.optimizers import as_leaf, make_optimizer

CELLS_PER_PARTITION = 16  # small cells that merging begins with
CLASSIFIED = 0.05  # mean cross-entropy from which on it is asked whether every point is in its own cell


def placed(
    basis: PouRBF | PouResNet, points: Tensor, values: Tensor, steps: int = 2000, learning_rate: float = 0.005
) -> PouRBF | PouResNet:
    """The basis with its partitions where polynomials of its degree fit the values best.

    `points`: (N, d); `values`: (N,) or (N, unknowns).
    """
    labels = merged_cells(basis, points, values.reshape(len(points), -1))
    hidden = as_leaf(basis.hidden)
    optimizer = make_optimizer("adam", list(hidden.values()), learning_rate)
    for _ in range(steps):
        optimizer.zero_grad(set_to_none=True)
        logits = basis.logits(points, hidden)
        entropy = torch.nn.functional.cross_entropy(logits, labels)
        if float(entropy.detach()) <= CLASSIFIED and bool((logits.argmax(dim=1) == labels).all()):
            break
        entropy.backward()
        optimizer.step()
    return basis.with_hidden({name: value.detach().clone() for name, value in hidden.items()})


def merged_cells(basis: PouRBF | PouResNet, points: Tensor, values: Tensor) -> Tensor:
    """(N,) the number, below `basis.partitions`, of the cell that each point lies in. `values`: (N, unknowns)."""
    rates = 2.0 / (basis.upper - basis.lower)
    z = (points - basis.lower) * rates - 1.0
    zero = (0,) * basis.dimension
    rows = torch.cat([polynomials(z, rates, basis.degree, [zero])[zero], values], dim=1)
    functions = rows.shape[1] - values.shape[1]
    size = max(2, math.ceil(len(points) / (CELLS_PER_PARTITION * basis.partitions)))
    cells = _small_cells(z, size)
    triangles = {i: _triangle(rows[index]) for i, (index, _, _) in enumerate(cells)}
    members = {i: index for i, (index, _, _) in enumerate(cells)}
    costs = {pair: _cost(pair, triangles, members, functions) for pair in _neighbours(cells)}
    while len(members) > basis.partitions and costs:
        kept, gone = min(costs, key=costs.__getitem__)
        triangles[kept] = _triangle(torch.cat([triangles[kept], triangles.pop(gone)]))
        members[kept] = torch.cat([members[kept], members.pop(gone)])
        touched = {pair for pair in costs if kept in pair or gone in pair}
        for pair in touched:
            del costs[pair]
        for other in {i for pair in touched for i in pair} - {kept, gone}:
            pair = (min(kept, other), max(kept, other))
            costs[pair] = _cost(pair, triangles, members, functions)
    labels = torch.zeros(len(points), dtype=torch.long)
    for number, index in enumerate(members.values()):
        labels[index] = number
    return labels


def _triangle(rows: Tensor) -> Tensor:
    return torch.linalg.qr(rows, mode="r")[1]


def _left_over(triangle: Tensor, functions: int) -> float:
    """The sum of squares that polynomials leave of the values, from the triangle of [polynomials, values]."""
    return float(triangle[functions:, functions:].square().sum())


def _cost(pair, triangles: dict, members: dict, functions: int) -> tuple[float, int]:
    """By how much merging two cells raises the sum of squares; of equal pairs, the smaller is merged first."""
    both = _triangle(torch.cat([triangles[i] for i in pair]))
    size = float(both[:, functions:].square().sum())
    rise = _left_over(both, functions) - sum(_left_over(triangles[i], functions) for i in pair)
    negligible = rise <= 1e-24 * size
    return 0.0 if negligible else rise, sum(len(members[i]) for i in pair)


def _small_cells(z: Tensor, size: int) -> list[tuple[Tensor, Tensor, Tensor]]:
    """Boxes of about equally many points, halved along their longest side: (index of points, lower, upper)."""
    ends = z.new_full((z.shape[1],), 1.0)
    pending, cells = [(torch.arange(len(z)), -ends, ends)], []
    while pending:
        index, low, high = pending.pop()
        if len(index) < 2 * size:
            cells.append((index, low, high))
            continue
        axis = int((z[index].amax(dim=0) - z[index].amin(dim=0)).argmax())
        order = index[z[index, axis].argsort(stable=True)]
        half = len(order) // 2
        edge = 0.5 * (z[order[half - 1], axis] + z[order[half], axis])
        middle_high, middle_low = high.clone(), low.clone()
        middle_high[axis] = middle_low[axis] = edge
        pending += [(order[:half], low, middle_high), (order[half:], middle_low, high)]
    return cells


def _neighbours(cells: list) -> list[tuple[int, int]]:
    """Pairs of cells whose boxes have a face in common, or part of one."""
    low, high = (torch.stack([cell[k] for cell in cells]) for k in (1, 2))
    shared = torch.minimum(high[:, None], high[None]) - torch.maximum(low[:, None], low[None])  # (C, C, d)
    touching = (shared >= -1e-12).all(dim=2) & ((shared > 1e-12).sum(dim=2) >= shared.shape[2] - 1)
    return [(i, j) for i, j in touching.nonzero().tolist() if i < j]
