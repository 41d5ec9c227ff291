"""The boundaries of plane primitives as parametrized curves, each with its primitive on the left.

Input: a primitive. Output: `Curve`s that give points and derivatives at any parameter, smooth between their knots, so
that Gauss quadrature on them is as good as exact.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod

import torch
from torch import Tensor

from pinnsolve.geometry import shapes as tree
from pinnsolve.geometry.level_sets import Gradient, rotation
from pinnsolve.geometry.marching_squares import traced_chains

AROUND = 16  # segments of a full circle that quadrature takes at least, of an ellipse twice as many


class Curve(ABC):
    """`knots` (K+1,): increasing parameters, between which the curve is smooth; `closed`: its end is its start.

    `name`: that of the part of the boundary; `sharp`: radians from which a turn at its ends is a corner.
    """

    sharp = 1e-6
    knots: Tensor
    closed: bool
    name: str

    @abstractmethod
    def at(self, s: Tensor) -> tuple[Tensor, Tensor]:
        """Points (N, 2) and their derivatives (N, 2) by the parameter s (N,)."""

    def normals(self, s: Tensor) -> Tensor:
        """Unit normals (N, 2) out of the primitive."""
        _, along = self.at(s)
        return torch.stack([along[:, 1], -along[:, 0]], dim=1) / along.norm(dim=1, keepdim=True)


class Segment(Curve):
    """The straight line from a to b."""

    closed = False

    def __init__(self, a, b, name: str):
        self.a, self.b = (torch.as_tensor(p, dtype=torch.float64) for p in (a, b))
        self.name, self.knots = name, torch.tensor([0.0, 1.0], dtype=torch.float64)

    def at(self, s: Tensor) -> tuple[Tensor, Tensor]:
        s = s[:, None]
        return (1 - s) * self.a + s * self.b, (self.b - self.a).expand(len(s), 2)


class EllipseCurve(Curve):
    """A full ellipse, by the angle in its own axes."""

    closed = True

    def __init__(self, center, radii, angle: float, name: str):
        self.center, self.radii = (torch.tensor(v, dtype=torch.float64) for v in (center, radii))
        self.turn, self.name = rotation(angle), name
        count = AROUND if radii[0] == radii[1] else 2 * AROUND
        self.knots = torch.linspace(0.0, 2 * math.pi, count + 1, dtype=torch.float64)

    def at(self, s: Tensor) -> tuple[Tensor, Tensor]:
        c, r = torch.cos(s), torch.sin(s)
        place = torch.stack([c, r], dim=1) * self.radii
        along = torch.stack([-r, c], dim=1) * self.radii
        return self.center + place @ self.turn.T, along @ self.turn.T

    def normals(self, s: Tensor) -> Tensor:
        n = torch.stack([torch.cos(s), torch.sin(s)], dim=1) / self.radii
        return (n / n.norm(dim=1, keepdim=True)) @ self.turn.T


class ImplicitCurve(Curve):
    """A chain of points on the zero set of an expression, between which it is a graph over the chord.

    Over the chord from a to b with unit normal m it is a + s (b - a) + h m, and h solves g = 0 by Newton's method.
    """

    def __init__(self, gradient: Gradient, chain: Tensor, closed: bool, name: str):
        self.gradient, self.chain, self.closed, self.name = gradient, chain, closed, name
        self.knots = torch.arange(len(chain), dtype=torch.float64)

    def at(self, s: Tensor) -> tuple[Tensor, Tensor]:
        i = s.floor().long().clamp(0, len(self.chain) - 2)
        a, b = self.chain[i], self.chain[i + 1]
        chord = b - a
        across = torch.stack([chord[:, 1], -chord[:, 0]], dim=1) / chord.norm(dim=1, keepdim=True)
        flat = a + (s - i)[:, None] * chord
        h = torch.zeros(len(s), dtype=torch.float64)
        for _ in range(8):
            g, slope = self.gradient(flat + h[:, None] * across)
            h = h - g / (slope * across).sum(dim=1)
        x = flat + h[:, None] * across
        _, slope = self.gradient(x)
        rate = -(slope * chord).sum(dim=1) / (slope * across).sum(dim=1)
        return x, chord + rate[:, None] * across

    def normals(self, s: Tensor) -> Tensor:
        _, slope = self.gradient(self.at(s)[0])
        return slope / slope.norm(dim=1, keepdim=True)


def curves_of(shape: tree.Primitive) -> list[Curve]:
    """The boundary of a primitive of the plane, with the primitive on the left; none for a half-plane's end."""
    match shape:
        case tree.Box((a, c), (b, d), name):
            corners = [(a, c), (b, c), (b, d), (a, d)]
        case tree.Polygon(points, name):
            corners = list(points)
        case tree.Disk(center, radius, name):
            return [EllipseCurve(center, (radius, radius), 0.0, name)]
        case tree.Ellipse(center, radii, angle, name):
            return [EllipseCurve(center, radii, angle, name)]
        case tree.Implicit():
            gradient = Gradient(shape)
            return [ImplicitCurve(gradient, c, closed, shape.name) for c, closed in traced_chains(gradient, shape)]
        case _:
            raise TypeError(shape)
    return [Segment(a, b, name) for a, b in zip(corners, [*corners[1:], corners[0]], strict=True)]


def line_of(shape: tree.HalfPlane, lower: tuple, upper: tuple) -> Curve:
    """The part of a half-plane's line that a box can meet, with the half-plane on the left."""
    middle = [(a + b) / 2 for a, b in zip(lower, upper, strict=True)]
    reach = math.dist(lower, upper)
    (nx, ny), along = shape.normal, (-shape.normal[1], shape.normal[0])
    apart = (middle[0] - shape.point[0]) * nx + (middle[1] - shape.point[1]) * ny
    foot = (middle[0] - apart * nx, middle[1] - apart * ny)
    ends = [tuple(f + sign * reach * t for f, t in zip(foot, along, strict=True)) for sign in (-1, 1)]
    return Segment(*ends, shape.name)
