"""Integrals over a part of the plane, line by line: where each line enters and leaves, and Gauss points between.

Input: a label for every point, which changes at boundaries and interfaces, and the ends of the box around. Output:
points and weights. As a function of the line, the integral has roots where the line begins to meet the boundary; the
lines are spaced by a cosine between these, which makes it smooth.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence

import numpy as np
import torch
from torch import Tensor

SAMPLES = 256  # per line, by which entries are found
BISECTIONS = 45
PANELS, ORDER = 10, 10  # of lines over the box, and of Gauss points in each
CLOSE = 1e-4  # of the height: turns of the boundary nearer than that are one


def line_rule(
    label: Callable[[Tensor], Tensor], ends: Sequence[tuple[float, float]], turns: Sequence[float], density: float
) -> tuple[Tensor, Tensor]:
    """(N, 2) points and (N,) weights of what has a label of 0 or more; `turns`: lines at which it begins or ends."""
    (left, right), _ = ends
    y, heights = _lines(ends[1], turns, density)
    starts, stops, rows = _intervals(label, y, left, right)
    panels = torch.ceil(density * PANELS * (stops - starts) / (right - left)).clamp_min(1).long()
    which = torch.repeat_interleave(torch.arange(len(starts)), panels)
    first = torch.cumsum(panels, 0) - panels
    number = torch.arange(len(which)) - first[which]
    width = ((stops - starts) / panels)[which]
    unit, share = (torch.as_tensor(a) for a in np.polynomial.legendre.leggauss(ORDER))
    x = (starts[which] + number * width)[:, None] + width[:, None] * 0.5 * (unit + 1)
    weights = heights[rows[which]][:, None] * width[:, None] * 0.5 * share
    return torch.stack([x, y[rows[which]][:, None].expand_as(x)], dim=-1).reshape(-1, 2), weights.reshape(-1)


def _lines(ends: tuple[float, float], turns: Sequence[float], density: float) -> tuple[Tensor, Tensor]:
    """Heights of the lines, and their weights."""
    low, high = ends
    breaks = [low]
    for turn in sorted(turns):
        if turn - breaks[-1] > CLOSE * (high - low) and high - turn > CLOSE * (high - low):
            breaks.append(turn)
    breaks.append(high)
    unit, share = np.polynomial.legendre.leggauss(ORDER)
    places, weights = [], []
    for a, b in itertools.pairwise(breaks):
        count = max(2, round(density * PANELS * (b - a) / (high - low)))
        edges = np.linspace(0.0, np.pi, count + 1)
        for one, two in itertools.pairwise(edges):
            angle = 0.5 * (one + two) + 0.5 * (two - one) * unit
            places.append(a + (b - a) * 0.5 * (1 - np.cos(angle)))
            weights.append((b - a) * 0.5 * np.sin(angle) * 0.5 * (two - one) * share)
    return torch.as_tensor(np.concatenate(places)), torch.as_tensor(np.concatenate(weights))


def _intervals(label, y: Tensor, left: float, right: float) -> tuple[Tensor, Tensor, Tensor]:
    """Where lines are inside: starts, ends (K,), and the numbers of the lines (K,)."""
    # not quite at the ends, where rounding decides what is inside
    x = left + (right - left) * torch.linspace(1e-9, 1 - 1e-9, SAMPLES, dtype=torch.float64)
    grid = torch.stack(torch.broadcast_tensors(x[None], y[:, None]), dim=-1)
    found = label(grid.reshape(-1, 2)).reshape(len(y), SAMPLES)
    row, column = (found[:, 1:] != found[:, :-1]).nonzero(as_tuple=True)
    low, high, before = x[column], x[column + 1], found[row, column]
    for _ in range(BISECTIONS):
        middle = 0.5 * (low + high)
        same = label(torch.stack([middle, y[row]], dim=1)) == before
        low, high = torch.where(same, middle, low), torch.where(same, high, middle)
    starts, stops, rows = [], [], []
    for line in range(len(y)):
        here = row == line
        edges = torch.cat([y.new_tensor([left]), 0.5 * (low + high)[here], y.new_tensor([right])])
        labels = torch.cat([found[line, :1], found[line, column[here] + 1]])
        for a, b, inside in zip(edges.tolist(), edges.tolist()[1:], (labels >= 0).tolist(), strict=False):
            if inside and b > a:
                starts.append(a)
                stops.append(b)
                rows.append(line)
    return torch.tensor(starts).double(), torch.tensor(stops).double(), torch.tensor(rows, dtype=torch.long)
