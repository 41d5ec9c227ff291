"""The boundaries of primitives in space as parametrized patches, with normals out of the primitive.

Input: a primitive. Output: a `Surface`: patches over the unit square, each smooth.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod

import torch
from torch import Tensor

from pinnsolve.geometry import shapes as tree
from pinnsolve.geometry.level_sets import Gradient
from pinnsolve.geometry.marching_tetrahedra import traced_triangles


class Surface(ABC):
    """`count` patches; `least`: into how many parts per side quadrature cuts each at least.

    `name(k)`: the part of the boundary of patches k.
    """

    count: int
    least: int
    name: str

    @abstractmethod
    def at(self, k: Tensor, u: Tensor, v: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Points (N, 3) of patches k (N,) at u, v (N,) in [0, 1], and their derivatives (N, 3) by u and by v."""

    def normals(self, k: Tensor, u: Tensor, v: Tensor) -> Tensor:
        """Outward unit normals (N, 3): by default along the product of the derivatives by u and by v."""
        _, by_u, by_v = self.at(k, u, v)
        return unit_vectors(torch.linalg.cross(by_u, by_v))

    def names(self) -> list[str]:
        """The part of the boundary that each patch belongs to."""
        return [self.name] * self.count


class Parallelograms(Surface):
    """origin + u a + v b, with a x b outward; arguments (K, 3)."""

    least = 1

    def __init__(self, origin: Tensor, a: Tensor, b: Tensor, name: str):
        self.origin, self.a, self.b, self.name, self.count = origin, a, b, name, len(origin)

    def at(self, k: Tensor, u: Tensor, v: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        a, b = self.a[k], self.b[k]
        return self.origin[k] + u[:, None] * a + v[:, None] * b, a, b


class Sphere(Surface):
    """The six faces of a cube projected onto the sphere, by the angles from a face's center (equiangular)."""

    count, least = 6, 4

    def __init__(self, center, radius: float, name: str):
        self.center, self.radius, self.name = torch.tensor(center, dtype=torch.float64), radius, name
        eye = torch.eye(3, dtype=torch.float64)
        # outward, and two directions across it whose product is outward
        self.frames = torch.stack(
            [
                torch.stack([sign * eye[i], eye[(i + 1) % 3], sign * eye[(i + 2) % 3]])
                for i in range(3)
                for sign in (1.0, -1.0)
            ]
        )

    def at(self, k: Tensor, u: Tensor, v: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        out, right, up = self.frames[k].unbind(1)
        a, b = (torch.tan(math.pi / 4 * (2 * w - 1))[:, None] for w in (u, v))
        rate_a, rate_b = (math.pi / 2 * (1 + w * w) for w in (a, b))
        q = out + a * right + b * up
        length = q.norm(dim=1, keepdim=True)
        unit = q / length

        def along(direction: Tensor, rate: Tensor) -> Tensor:
            change = rate * direction / length
            return self.radius * (change - unit * (unit * change).sum(dim=1, keepdim=True))

        return self.center + self.radius * unit, along(right, rate_a), along(up, rate_b)

    def normals(self, k: Tensor, u: Tensor, v: Tensor) -> Tensor:
        return unit_vectors(self.at(k, u, v)[0] - self.center)


class CylinderSurface(Surface):
    """Four quarters of the mantle (patches 0 to 3), of the lower end (4 to 7) and of the upper end (8 to 11)."""

    count, least = 12, 4

    def __init__(self, shape: tree.Cylinder):
        self.start, self.end = (torch.tensor(v, dtype=torch.float64) for v in (shape.start, shape.end))
        self.radius, self.name = shape.radius, shape.name
        self.axis = unit_vectors((self.end - self.start)[None])[0]
        across = torch.eye(3, dtype=torch.float64)[self.axis.abs().argmin()]
        self.right = unit_vectors(torch.linalg.cross(self.axis, across)[None])[0]
        self.up = torch.linalg.cross(self.axis, self.right)

    def at(self, k: Tensor, u: Tensor, v: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        angle = math.pi / 2 * (k % 4 + u)
        out = torch.cos(angle)[:, None] * self.right + torch.sin(angle)[:, None] * self.up
        turn = math.pi / 2 * (-torch.sin(angle)[:, None] * self.right + torch.cos(angle)[:, None] * self.up)
        length, mantle = self.end - self.start, (k < 4)[:, None]
        reach = self.radius * torch.where(mantle[:, 0], 1.0, v)[:, None]
        base = torch.where((k < 8)[:, None], self.start, self.end)
        x = base + torch.where(mantle, v[:, None] * length, 0.0) + reach * out
        # of the lower end the angle runs the other way round, so that the product points down
        by_v = torch.where(mantle, length.expand_as(out), self.radius * out)
        return x, reach * turn, by_v

    def normals(self, k: Tensor, u: Tensor, v: Tensor) -> Tensor:
        angle = math.pi / 2 * (k % 4 + u)
        out = torch.cos(angle)[:, None] * self.right + torch.sin(angle)[:, None] * self.up
        flat = torch.where((k < 8)[:, None], -self.axis, self.axis)
        return torch.where((k < 4)[:, None], out, flat)


class Triangles(Surface):
    """Flat triangles of corners (T, 3, 3), counterclockwise seen from outside; each has the name of its part."""

    least = 1

    def __init__(self, corners: Tensor, names: list[str]):
        self.corners, self.part_names, self.count = corners, names, len(corners)

    def names(self) -> list[str]:
        return self.part_names

    def at(self, k: Tensor, u: Tensor, v: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        return _folded(self.corners[k], u, v)

    def normals(self, k: Tensor, u: Tensor, v: Tensor) -> Tensor:
        a, b, c = self.corners[k].unbind(1)
        return unit_vectors(torch.linalg.cross(b - a, c - a))


class ImplicitSurface(Triangles):
    """Triangles with corners on the zero set, over which it is a graph: x = flat + h m, where h solves g = 0.

    The direction m runs from the normal at one corner to those at the others, so that neighbours meet without gaps.
    """

    def __init__(self, gradient: Gradient, corners: Tensor, name: str):
        super().__init__(corners, [name] * len(corners))
        self.gradient = gradient
        self.across = unit_vectors(gradient(corners.reshape(-1, 3))[1]).reshape(-1, 3, 3)

    def at(self, k: Tensor, u: Tensor, v: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        flat, by_u, by_v = _folded(self.corners[k], u, v)
        m, m_by_u, m_by_v = _folded(self.across[k], u, v)
        h = flat.new_zeros(len(flat), 1)
        for _ in range(8):
            g, slope = self.gradient(flat + h * m)
            h = h - g[:, None] / (slope * m).sum(dim=1, keepdim=True)
        x = flat + h * m
        slope = self.gradient(x)[1]
        steep = (slope * m).sum(dim=1, keepdim=True)

        def along(change: Tensor) -> Tensor:
            return change - (slope * change).sum(dim=1, keepdim=True) / steep * m

        return x, along(by_u + h * m_by_u), along(by_v + h * m_by_v)

    def normals(self, k: Tensor, u: Tensor, v: Tensor) -> Tensor:
        return unit_vectors(self.gradient(self.at(k, u, v)[0])[1])


def surface_of(shape: tree.Primitive, lower: tuple, upper: tuple) -> Surface:
    """The boundary of a primitive in space; of a half-space, what a box can meet of its plane."""
    match shape:
        case tree.Box():
            return _box(shape)
        case tree.Ball(center, radius, name):
            return Sphere(center, radius, name)
        case tree.Cylinder():
            return CylinderSurface(shape)
        case tree.HalfPlane():
            return _plane(shape, lower, upper)
        case tree.Implicit():
            gradient = Gradient(shape)
            return ImplicitSurface(gradient, traced_triangles(gradient, shape), shape.name)
    raise TypeError(shape)


def _box(shape: tree.Box) -> Surface:
    lower, upper = (torch.tensor(v, dtype=torch.float64) for v in (shape.lower, shape.upper))
    sides = torch.diag(upper - lower)
    faces = []
    for i in range(3):
        a, b = sides[(i + 1) % 3], sides[(i + 2) % 3]
        faces += [(lower + sides[i], a, b), (lower, b, a)]
    return Parallelograms(*(torch.stack(column) for column in zip(*faces, strict=True)), shape.name)


def _plane(shape: tree.HalfPlane, lower: tuple, upper: tuple) -> Surface:
    low, high, point, normal = (torch.tensor(v, dtype=torch.float64) for v in (lower, upper, shape.point, shape.normal))
    reach = float((high - low).norm())
    middle = (low + high) / 2
    foot = middle - ((middle - point) @ normal) * normal
    across = torch.eye(3, dtype=torch.float64)[normal.abs().argmin()]
    right = unit_vectors(torch.linalg.cross(across, normal)[None])[0]
    up = torch.linalg.cross(normal, right)
    a, b = 2 * reach * right, 2 * reach * up
    return Parallelograms((foot - a / 2 - b / 2)[None], a[None], b[None], shape.name)


def _folded(corners: Tensor, u: Tensor, v: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """The square folded onto triangles (N, 3, 3), a + u (b - a) + u v (c - b), and its derivatives."""
    a, b, c = corners.unbind(1)
    u, v = u[:, None], v[:, None]
    return a + u * (b - a) + u * v * (c - b), b - a + v * (c - b), u * (c - b)


def unit_vectors(vectors: Tensor) -> Tensor:
    """Vectors (N, d) of length 1."""
    return vectors / vectors.norm(dim=1, keepdim=True)
