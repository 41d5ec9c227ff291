"""Shapes as points: what is inside, the boundary with normals and quadrature weights, corners, measure.

The interface that `line_shapes`, `plane_shapes`, `solid_shapes` and `meshes` fill in; float64 tensors on the CPU.
Boundaries are used as they are, so points lie on them to rounding.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from pinnsolve.geometry import shapes as tree
from pinnsolve.geometry.shapes import Bounds, ShapeTree

Spacing = float | Callable[[Tensor], Tensor]  # or a function of points (N, d) that gives the spacing wanted there (N,)
INSIDE = 1e-12  # relative to the size: a level this small counts as inside
IN_PLANE = 1e-9  # relative to the size: how far from a plane boundary counts as in it


@dataclass(frozen=True)
class Boundary:
    """Points of quadrature on a boundary.

    `x`: (N, d); `normals`: (N, d), outward, of unit length; `weights`: (N,), which sum to the length or area; `part`:
    (N,) indices into the parts of the shape; `piece`: (N,) which smooth curve or patch.
    """

    x: Tensor
    normals: Tensor
    weights: Tensor
    part: Tensor
    piece: Tensor


class Spread(NamedTuple):
    """Points `x` (M, d) and their outward `normals` (M, d); `chosen` (M,): the rows of the unit points they are for."""

    x: Tensor
    normals: Tensor
    chosen: Tensor


@dataclass(frozen=True)
class Corner:
    """A corner of a plane shape: `point` (2,), the angle inside (radians), the names of the parts that meet."""

    point: Tensor
    angle: float
    parts: tuple[str, str]


class Shape(ABC):
    """A closed bounded set.

    `dimension`: of space; `lower`, `upper`: (d,) a box around it; `size`: the box's diagonal; `parts`: the names of the
    parts of its boundary, "" for what has none; `regions`: levels of the groups of cells of a mesh; `level`: of the
    shape itself, see `level_sets`.
    """

    dimension: int
    lower: Tensor
    upper: Tensor
    size: float
    parts: tuple[str, ...]
    regions: Mapping[str, Callable[[Tensor], Tensor]]
    level: Callable[[Tensor], Tensor]

    def _bounded(self, shape: ShapeTree) -> Bounds:
        """Sets the box around the tree of the shape, and returns its corners."""
        low, high = tree.bounds(shape)
        self.lower, self.upper = (torch.tensor(v, dtype=torch.float64) for v in (low, high))
        self.size = float((self.upper - self.lower).norm())
        return low, high

    def inside(self, x: Tensor) -> Tensor:
        """Mark the points (N, d) that lie in the shape or, up to rounding, on its boundary: (N,) bool."""
        return self.level(x) <= INSIDE * self.size

    @abstractmethod
    def boundary(self, spacing: Spacing) -> Boundary:
        """Points of Gauss quadrature on parts of the boundary no longer than `spacing`, four (3 x 3) on each."""

    @abstractmethod
    def spread(self, unit: Tensor, part: str = "", plane: tuple[int, float] | None = None) -> Spread:
        """Points of the boundary, spread by length or area.

        `unit`: (N, 1) coordinates in the unit interval that tell where along the boundary of a plane shape, (N, 3) in
        space: where on a patch, and on which. `part`: of that name only; `plane` (axis, value): only what lies in it.
        """

    @abstractmethod
    def corners(self) -> tuple[Corner, ...]:
        """The points of a plane shape where two arcs of its boundary meet at an angle."""

    @abstractmethod
    def measure(self) -> float:
        """Area or volume."""

    def in_region(self, x: Tensor, name: str) -> Tensor:
        """Mark the points (N, d) in a group of cells of a mesh: (N,) bool. Raises KeyError for an unknown group."""
        return self.regions[name](x) <= INSIDE * self.size

    def in_plane(self, x: Tensor, normals: Tensor, axis: int, value: float) -> Tensor:
        """Mark the points of the boundary that lie in the plane and face along its axis: (N,) bool."""
        near = (x[:, axis] - value).abs() <= IN_PLANE * self.size
        return near & (normals[:, axis].abs() >= 1 - IN_PLANE)
