"""A partition of unity on a grid: smooth windows that overlap, or sharp cells, times Legendre polynomials.

Per axis the windows are differences of steps across the edges between partitions, so they add up to one whatever the
edges; in several coordinates they are products. The sizes of the partitions are the hidden parameters: solvers that
move hidden parameters move the edges. Steps are integrals of (1 - z^2)^8, of degree 17, with eight continuous
derivatives (POUnets: Lee, Trask, Patel, Gulian, Cyr, arXiv:2101.11256, with a grid for the network).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, final

import numpy as np
import torch
from torch import Tensor

from pinnsolve.bases.base import Basis, check_alphas
from pinnsolve.bases.legendre import legendre
from pinnsolve.errors import PinnsolveError, ResourceError
from pinnsolve.language.symbols import MAX_ORDER, MultiIndex

STEP = np.polynomial.Polynomial([1.0, 0.0, -1.0]) ** 8
STEP = STEP.integ() / (STEP.integ()(1.0) - STEP.integ()(-1.0))
STEP = STEP - STEP(-1.0)  # from 0 at -1 to 1 at 1
MOST_FUNCTIONS = 20_000
MOST_AXES = 4


@final
@dataclass(frozen=True, eq=False)
class PouGrid(Basis):
    """`partitions` and `degrees` per axis; `overlap`: how far a window reaches into its neighbours, in parts of the
    smaller of the two (0: sharp, at most 0.5).

    Hidden parameters: `sizes0`, `sizes1`, ... per axis, (partitions,) logarithms of the sizes up to a common factor.
    The functions of an axis run faster over degrees than over partitions, and the last axis fastest.
    """

    kind = "pou_grid"
    partitions: tuple[int, ...]
    degrees: tuple[int, ...]
    overlap: float
    lower: Tensor
    upper: Tensor
    hidden: Mapping[str, Tensor]
    smoothness: int = MAX_ORDER

    @property
    def width(self) -> int:
        return math.prod(n * (p + 1) for n, p in zip(self.partitions, self.degrees, strict=True))

    def derivatives(
        self, points: Tensor, alphas: Sequence[MultiIndex], hidden: Mapping[str, Tensor] | None = None
    ) -> dict[MultiIndex, Tensor]:
        alphas = tuple(alphas)
        check_alphas(alphas, self.dimension, self.smoothness, "a grid of windows")
        hidden = self.hidden if hidden is None else hidden
        axes = [
            self._axis(points[:, a], a, hidden[f"sizes{a}"], max((alpha[a] for alpha in alphas), default=0))
            for a in range(self.dimension)
        ]
        result = {}
        for alpha in alphas:
            table = axes[0][alpha[0]]
            for a in range(1, self.dimension):
                table = (table[:, :, None] * axes[a][alpha[a]][:, None]).flatten(1)
            result[alpha] = table
        return result

    def windows(self, x: Tensor, axis: int, orders: int = 0) -> list[Tensor]:
        """The windows (N, partitions) of an axis at x (N,), and their derivatives up to `orders`."""
        return self._windows(x, self.edges(axis), orders)

    def edges(self, axis: int, sizes: Tensor | None = None) -> Tensor:
        """(partitions + 1,) ends of the partitions of an axis."""
        sizes = self.hidden[f"sizes{axis}"] if sizes is None else sizes
        inner = torch.cumsum(torch.softmax(sizes, dim=0), dim=0)[:-1]
        lower, upper = self.lower[axis], self.upper[axis]
        return torch.cat([lower[None], lower + (upper - lower) * inner, upper[None]])

    def _windows(self, x: Tensor, edges: Tensor, orders: int) -> list[Tensor]:
        steps = [[] for _ in range(orders + 1)]
        for i in range(1, len(edges) - 1):
            reach = self.overlap * torch.minimum(edges[i] - edges[i - 1], edges[i + 1] - edges[i])
            for k, values in enumerate(_step(x, edges[i], reach, orders)):
                steps[k].append(values)
        result = []
        for k in range(orders + 1):
            first = torch.ones_like(x) if k == 0 else torch.zeros_like(x)
            rising = torch.stack([first, *steps[k], torch.zeros_like(x)], dim=1)  # (N, partitions + 1)
            result.append(rising[:, :-1] - rising[:, 1:])
        return result

    def _axis(self, x: Tensor, axis: int, sizes: Tensor, orders: int) -> list[Tensor]:
        """(N, partitions (degree + 1)) windows times polynomials, and their derivatives up to `orders`."""
        edges = self.edges(axis, sizes)
        windows = self._windows(x, edges, orders)
        half = 0.5 * (edges[1:] - edges[:-1]) * (1.0 + 2.0 * self.overlap)
        s = (x[:, None] - 0.5 * (edges[1:] + edges[:-1])) / half
        inside = (windows[0] > 0) | (s.abs() <= 1)
        # far outside its window a polynomial is huge and multiplied by zero
        polynomials = legendre(torch.where(inside, s, torch.zeros_like(s)), self.degrees[axis], orders)
        result = []
        for k in range(orders + 1):
            table = 0.0
            for j in range(k + 1):  # Leibniz
                derivative = polynomials[j] / half[:, None] ** j
                table = table + math.comb(k, j) * windows[k - j][:, :, None] * derivative
            result.append(table.flatten(1))
        return result

    def settings(self) -> dict[str, Any]:
        return {
            "kind": self.kind,
            "partitions": list(self.partitions),
            "degree": list(self.degrees),
            "overlap": self.overlap,
        }

    def describe(self) -> str:
        partitions = " x ".join(map(str, self.partitions))
        degrees = " x ".join(map(str, self.degrees))
        edge = f"overlap {self.overlap:g}" if self.overlap else "sharp"
        return f"pou_grid, {partitions} partitions, {edge}, Legendre polynomials of degree {degrees}"

    @classmethod
    def create(cls, settings: Mapping[str, Any], lower: Tensor, upper: Tensor, seed: int) -> PouGrid:
        """Equal partitions; the seed means nothing."""
        partitions, degrees, overlap = read_settings(settings, len(lower))
        hidden = {f"sizes{a}": lower.new_zeros(n) for a, n in enumerate(partitions)}
        return cls(partitions, degrees, overlap, lower, upper, hidden)

    @classmethod
    def restore(
        cls, settings: Mapping[str, Any], hidden: Mapping[str, Tensor], lower: Tensor, upper: Tensor
    ) -> PouGrid:
        partitions, degrees, overlap = read_settings(settings, len(lower))
        expected = {f"sizes{a}": (n,) for a, n in enumerate(partitions)}
        if {name: tuple(value.shape) for name, value in hidden.items()} != expected:
            raise PinnsolveError(f"hidden parameters do not match {partitions} partitions")
        return cls(partitions, degrees, overlap, lower, upper, dict(hidden))


def read_settings(settings: Mapping[str, Any], dimension: int) -> tuple[tuple[int, ...], tuple[int, ...], float]:
    """(partitions per axis, degree per axis, overlap); a number stands for all axes.

    Raises PinnsolveError for what makes no sense, ResourceError for a grid that is far too large.
    """
    if dimension > MOST_AXES:
        raise PinnsolveError(f"a grid of partitions takes up to {MOST_AXES} coordinates, not {dimension}")
    unknown = set(settings) - {"kind", "partitions", "degree", "overlap"}
    if unknown:
        raise PinnsolveError(f"a basis of kind 'pou_grid' has no setting {sorted(unknown)[0]!r}")
    partitions = _per_axis("partitions", settings.get("partitions", 4), dimension, 1)
    degrees = _per_axis("degree", settings.get("degree", 6), dimension, 0)
    overlap = settings.get("overlap", 0.0)
    if isinstance(overlap, bool) or not isinstance(overlap, int | float) or not 0 <= overlap <= 0.5:
        raise PinnsolveError(f"basis setting 'overlap' must lie between 0 (sharp) and 0.5, not {overlap!r}")
    width = math.prod(n * (p + 1) for n, p in zip(partitions, degrees, strict=True))
    if width > MOST_FUNCTIONS and overlap:
        raise ResourceError(f"{width} functions with overlapping windows; at most {MOST_FUNCTIONS} are allowed")
    return partitions, degrees, float(overlap)


def _per_axis(name: str, value: Any, dimension: int, least: int) -> tuple[int, ...]:
    values = [value] * dimension if isinstance(value, int) and not isinstance(value, bool) else value
    wrong = not isinstance(values, Sequence) or isinstance(values, str) or len(values) != dimension
    if wrong or any(isinstance(v, bool) or not isinstance(v, int) or v < least for v in values):
        raise PinnsolveError(
            f"basis setting {name!r} is a whole number of at least {least}, or one for each of the {dimension} "
            f"coordinates, not {value!r}"
        )
    return tuple(values)


def _step(x: Tensor, edge: Tensor, reach: Tensor, orders: int) -> list[Tensor]:
    """A step from 0 to 1 across `edge`, `reach` to either side, and its derivatives, (N,) each."""
    if float(reach.detach()) == 0.0:
        return [(x >= edge).to(x), *[torch.zeros_like(x)] * orders]
    z = ((x - edge) / reach).clamp(-1.0, 1.0)
    result, polynomial = [], STEP
    for k in range(orders + 1):
        value = torch.full_like(z, float(polynomial.coef[-1]))
        for c in polynomial.coef[-2::-1]:
            value = value * z + float(c)
        value = value.clamp(0.0, 1.0) if k == 0 else value  # rounding
        result.append(value / reach**k)  # the derivatives of the step vanish at both ends
        polynomial = polynomial.deriv()
    return result
