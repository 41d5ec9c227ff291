"""Radau IIA: where a step in time is collocated, and its stages apart from each other.

The collocation polynomial of a step takes the value at the start and satisfies the equations at the nodes, of which the
last is the end. The eigenvectors of the Butcher matrix separate the stages of a linear steady problem (Hairer & Wanner,
Solving Ordinary Differential Equations II, sections IV.5 and IV.8).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.polynomial import legendre as series
from torch import Tensor

from pinnsolve.runtime import cached_by_device

MOST_STAGES = 8  # eigenvectors of more are so close to dependent that too many digits are lost


@dataclass(frozen=True)
class Radau:
    """`nodes`: (s,) in (0, 1]; `weights`: (s,) of quadrature; `rate`: (s, s), the inverse of the Butcher matrix: times
    values less that at the start, the derivatives of the collocation polynomial.

    `shifts`, `into`, `out_of`: per mode its eigenvalue, (s,) the row that takes stages into the mode, and (s,) the
    column that takes it back. Of a pair of conjugate ones there is one, whose column counts twice.
    """

    nodes: Tensor
    weights: Tensor
    rate: Tensor
    shifts: tuple[complex, ...]
    into: tuple[Tensor, ...]
    out_of: tuple[Tensor, ...]

    @property
    def stages(self) -> int:
        return len(self.nodes)

    def at(self, places: Tensor) -> Tensor:
        """(k, s + 1): the values at `places` (k,) of polynomials given by those at the start and at the nodes."""
        return lagrange(torch.cat([torch.zeros(1, dtype=torch.float64), self.nodes]), places)

    def modal(self) -> Tensor:
        """(s + 1, s + 1): orthonormal Legendre coefficients in time from the values at the start and at the nodes."""
        s = self.stages
        places = 2.0 * np.concatenate([[0.0], self.nodes.cpu().numpy()]) - 1.0
        table = series.legvander(places, s) * np.sqrt(2 * np.arange(s + 1) + 1)
        return torch.as_tensor(np.linalg.inv(table))


@cached_by_device(8)
def radau(stages: int) -> Radau:
    """The method of order 2 s - 1."""
    last = np.zeros(stages + 1)
    last[stages], last[stages - 1] = 1.0, -1.0
    nodes = np.sort(0.5 * (series.legroots(last).real + 1.0))
    nodes[-1] = 1.0
    points, weights = series.leggauss(stages + 1)
    points, weights = 0.5 * (points + 1.0), 0.5 * weights
    at = torch.as_tensor(nodes)
    butcher = np.stack([c * weights @ lagrange(at, torch.as_tensor(c * points)).cpu().numpy() for c in nodes])
    rate = np.linalg.inv(butcher)
    values, vectors = np.linalg.eig(rate)
    inverse = np.linalg.inv(vectors)
    shifts, into, out_of = [], [], []
    for m, value in enumerate(values):
        if value.imag < -1e-9 * abs(value):
            continue
        paired = value.imag > 1e-9 * abs(value)
        shifts.append(complex(value) if paired else complex(value.real))
        into.append(torch.as_tensor(inverse[m].astype(complex)))
        out_of.append(torch.as_tensor(vectors[:, m].astype(complex) * (2.0 if paired else 1.0)))
    return Radau(at, torch.as_tensor(butcher[-1]), torch.as_tensor(rate), tuple(shifts), tuple(into), tuple(out_of))


def lagrange(nodes: Tensor, places: Tensor) -> Tensor:
    """(k, n): the polynomials that are 1 at one of the nodes (n,) and 0 at the others, at places (k,)."""
    columns = []
    for j in range(len(nodes)):
        others = torch.cat([nodes[:j], nodes[j + 1 :]])
        columns.append(((places[:, None] - others) / (nodes[j] - others)).prod(dim=1))
    return torch.stack(columns, dim=1)
