"""The zero set of an expression in the plane, traced by marching squares and projected onto it.

Input: values and gradients, and a box. Output: chains of points on the zero set, what is negative on their left.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from pinnsolve.geometry import shapes as tree
from pinnsolve.geometry.level_sets import Gradient
from pinnsolve.geometry.zero_sets import GaveUp, small_parts
from pinnsolve.language.intervals import BoundsEvaluator

CELLS = 256  # of the grid along each axis of the box
BEYOND = 2  # rows of cells around the box, so that the box can cut the curve
SMALL = 8.0  # cells of the grid: smaller parts of the curve get lines of their own
FINE_LINES, MOST_PARTS = 25, 64
SAME = 1e-9  # of the box: lines nearer to each other are one
NEWTON = 30
MOST_TURN = 0.2  # radians between two points of a chain
MOST_JOINED = 12  # links of a chain that one chord replaces

# The four sides of a cell: from corner to corner, corners counterclockwise from the lower left.
_SIDES = ((0, 1), (1, 2), (2, 3), (3, 0))


def traced_chains(gradient: Gradient, shape: tree.Implicit) -> list[tuple[Tensor, bool]]:
    """Chains (n, 2) of points, and whether each is closed (its last point then is its first)."""
    x, y, values = _grid(gradient, shape)
    crossings = _crossings(values)
    place = {edge: i for i, edge in enumerate(dict.fromkeys(e for pair in crossings for e in pair))}
    points = projected(gradient, _interpolated(list(place), x, y, values))
    following = {place[a]: place[b] for a, b in crossings}
    if not len(points):
        return []
    slope = gradient(points)[1]
    angle = torch.atan2(slope[:, 1], slope[:, 0]).tolist()
    return [(points[_thinned(chain, angle)], closed) for chain, closed in _chains(following)]


def _grid(gradient: Gradient, shape: tree.Implicit) -> tuple[Tensor, Tensor, Tensor]:
    axes = []
    fine = _small_parts(shape)
    for axis, (low, high) in enumerate(zip(shape.lower, shape.upper, strict=True)):
        step = (high - low) / CELLS
        even = low + step * torch.arange(-BEYOND, CELLS + BEYOND + 1, dtype=torch.float64)
        lines = torch.sort(torch.cat([even, *(part[axis] for part in fine)])).values
        apart = torch.ones(len(lines), dtype=torch.bool)
        apart[1:] = lines[1:] - lines[:-1] > SAME * (high - low)
        axes.append(lines[apart])
    nodes = torch.stack(torch.meshgrid(*axes, indexing="ij"), dim=-1).reshape(-1, 2)
    values = gradient(nodes)[0].reshape(len(axes[0]), len(axes[1]))
    return axes[0], axes[1], values


def _small_parts(shape: tree.Implicit) -> list[list[Tensor]]:
    """Per small part of the curve, which the even grid may miss, lines for either axis."""
    lower, upper = (torch.tensor(corner, dtype=torch.float64) for corner in (shape.lower, shape.upper))
    level = BoundsEvaluator(shape.level, shape.symbols)
    try:
        low, high = small_parts(level, lower, upper, SMALL / CELLS)
    except GaveUp:
        return []
    if len(low) > MOST_PARTS:  # a thin one, along which such lines would be everywhere
        return []
    along = torch.linspace(-1.0, 1.0, FINE_LINES, dtype=torch.float64)
    return [
        [0.5 * (a + b) + 1.5 * (b - a) * along for a, b in zip(*ends, strict=True)]
        for ends in zip(low, high, strict=True)
    ]


def _crossings(values: Tensor) -> list[tuple]:
    """Pairs of grid edges that the curve joins through a cell, entered and left with the negative side on its left."""
    inside = values < 0
    corners = torch.stack([values[:-1, :-1], values[1:, :-1], values[1:, 1:], values[:-1, 1:]])
    signs = torch.stack([inside[:-1, :-1], inside[1:, :-1], inside[1:, 1:], inside[:-1, 1:]])
    mixed = signs.any(dim=0) & ~signs.all(dim=0) & corners.isfinite().all(dim=0)
    pairs = []
    for i, j in mixed.nonzero().tolist():
        sign, middle = signs[:, i, j].tolist(), float(corners[:, i, j].sum()) < 0
        # going round counterclockwise, the curve enters where inside is left behind, and leaves where it begins
        enters = [k for k, (a, b) in enumerate(_SIDES) if sign[a] and not sign[b]]
        leaves = [k for k, (a, b) in enumerate(_SIDES) if not sign[a] and sign[b]]
        if len(enters) == 2 and middle:
            leaves.reverse()
        # of two pairs, those that are neighbours around an outside corner, or around an inside one
        for enter in enters:
            leave = _partner(enter, leaves, middle)
            pairs.append((_edge(i, j, enter), _edge(i, j, leave)))
    return pairs


def _partner(enter: int, leaves: list[int], middle_inside: bool) -> int:
    """The side by which the curve leaves a cell; where four sides are crossed, the middle decides."""
    if len(leaves) == 1:
        return leaves[0]
    # after the side `enter` comes an outside corner, before it an inside one
    step = 1 if middle_inside else -1
    return (enter + step) % 4


def _edge(i: int, j: int, side: int) -> tuple[int, int, int]:
    """A name that a grid edge has in both of its cells: lower node and axis."""
    return ((i, j, 0), (i + 1, j, 1), (i, j + 1, 0), (i, j, 1))[side]


def _interpolated(edges: list[tuple[int, int, int]], x: Tensor, y: Tensor, values: Tensor) -> Tensor:
    if not edges:
        return torch.zeros(0, 2, dtype=torch.float64)
    i, j, axis = torch.tensor(edges).T
    k, m = i + (axis == 0).long(), j + (axis == 1).long()
    a, b = values[i, j], values[k, m]
    share = (a / (a - b)).nan_to_num(0.5).clamp(0.0, 1.0)
    low, high = torch.stack([x[i], y[j]], dim=1), torch.stack([x[k], y[m]], dim=1)
    return low + share[:, None] * (high - low)


def projected(gradient: Gradient, points: Tensor) -> Tensor:
    """Points moved along the gradient until the expression vanishes to rounding."""
    for _ in range(NEWTON if len(points) else 0):
        g, slope = gradient(points)
        step = (g / (slope * slope).sum(dim=1).clamp_min(1e-300))[:, None] * slope
        points = points - torch.where(step.isfinite(), step, 0.0)
    return points


def _thinned(chain: list[int], angle: list[float]) -> list[int]:
    """Enough of a chain that the curve turns little between two points, in few chords and none too short."""
    kept = [0]
    for k in range(1, len(chain) - 1):
        turn = abs(math.remainder(angle[chain[k + 1]] - angle[chain[kept[-1]]], 2 * math.pi))
        if turn > MOST_TURN or k + 1 - kept[-1] > MOST_JOINED:
            kept.append(k)
    return [chain[k] for k in (*kept, len(chain) - 1)]


def _chains(following: dict[int, int]) -> list[tuple[list[int], bool]]:
    """Links put together: open chains from where they begin, then closed ones."""
    chains, left = [], dict(following)
    for start in [*(set(following) - set(following.values())), *following]:
        if start not in left:
            continue
        chain = [start]
        while chain[-1] in left:
            chain.append(left.pop(chain[-1]))
            if chain[-1] == start:
                break
        chains.append((chain, chain[-1] == start))
    return chains
