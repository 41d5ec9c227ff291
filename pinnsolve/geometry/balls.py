"""Balls in more than three coordinates.

Input: the tree of one ball. Output: a `Shape`. Points of quadrature on the sphere are a Sobol sequence mapped to
directions, all of the same weight: no rule of products is of use in many coordinates.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from pinnsolve.geometry import shapes as tree
from pinnsolve.geometry.sampled_shape import Boundary, Corner, Shape, Spacing, Spread
from pinnsolve.geometry.shapes import ShapeTree

QUADRATURE_POINTS = 4096  # on the sphere
INNERMOST = 1e-12  # of the unit interval at either end, where the normal quantile is infinite


class BallShape(Shape):
    """A ball. Raises ValueError for any other shape."""

    def __init__(self, shape: ShapeTree):
        if not isinstance(shape, tree.Ball):
            raise ValueError("in more than three coordinates the only shape is a ball")
        self._bounded(shape)
        self.center = torch.tensor(shape.center, dtype=torch.float64)
        self.radius, self.dimension = float(shape.radius), len(shape.center)
        self.parts, self.regions = (shape.name,), {}
        self.level = self._level

    def _level(self, x: Tensor) -> Tensor:
        return (x - self.center.to(x)).norm(dim=1) - self.radius

    def boundary(self, spacing: Spacing) -> Boundary:
        engine = torch.quasirandom.SobolEngine(self.dimension, scramble=True, seed=0)
        normals = directions(engine.draw(QUADRATURE_POINTS, dtype=torch.float64))
        nothing = torch.zeros(len(normals), dtype=torch.long)
        weights = torch.full((len(normals),), self.surface() / len(normals), dtype=torch.float64)
        return Boundary(self.center + self.radius * normals, normals, weights, nothing, nothing)

    def spread(self, unit: Tensor, part: str = "", plane: tuple[int, float] | None = None) -> Spread:
        """Points at directions uniform on the sphere; of no part of another name, and in no plane."""
        chosen = torch.arange(len(unit) if plane is None and part in ("", *self.parts) else 0)
        normals = directions(unit[chosen])
        return Spread(self.center + self.radius * normals, normals, chosen)

    def points(self, unit: Tensor, everywhere: bool = False) -> Tensor:
        """Points of the ball (N, d), uniform by volume where those of the unit box (N, d + 1) are.

        To be `everywhere`, every second one is uniform by radius: in many coordinates nearly all of the volume lies
        at the sphere, and a solution would be known there alone.
        """
        radii = unit[:, -1:] ** (1.0 / self.dimension)
        if everywhere:
            radii[1::2] = unit[1::2, -1:]
        radii = self.radius * radii
        return self.center + radii * directions(unit[:, :-1])

    def corners(self) -> tuple[Corner, ...]:
        return ()

    def measure(self) -> float:
        d = self.dimension
        return math.exp(d / 2 * math.log(math.pi) - math.lgamma(d / 2 + 1) + d * math.log(self.radius))

    def surface(self) -> float:
        """The measure of the sphere."""
        return self.measure() * self.dimension / self.radius


def directions(unit: Tensor) -> Tensor:
    """Unit vectors (N, d), uniform on the sphere where points of the unit box (N, d) are uniform.

    Normal deviates by the inverse of their distribution, divided by their length (Muller 1959).
    """
    quantiles = math.sqrt(2.0) * torch.erfinv(2.0 * unit.clamp(INNERMOST, 1.0 - INNERMOST) - 1.0)
    return quantiles / quantiles.norm(dim=1, keepdim=True).clamp_min(1e-300)
