"""Shape trees -> shapes: which class answers for which tree.

Input: a `ShapeTree`. Output: a `Shape`, the same one for the same tree.
"""

from __future__ import annotations

from collections.abc import Callable

from pinnsolve.geometry.balls import BallShape
from pinnsolve.geometry.line_shapes import LineShape
from pinnsolve.geometry.plane_shapes import PlaneShape
from pinnsolve.geometry.sampled_shape import Boundary, Corner, Shape
from pinnsolve.geometry.shapes import ShapeTree, dimension
from pinnsolve.geometry.solid_shapes import SolidShape
from pinnsolve.runtime import cached_by_device

__all__ = ["Boundary", "Corner", "Shape", "make_shape"]


@cached_by_device(32)
def make_shape(tree: ShapeTree) -> Shape:
    """The shape of a tree. Raises ValueError for one without points."""
    kinds: dict[int, Callable[[ShapeTree], Shape]] = {1: LineShape, 2: PlaneShape, 3: SolidShape}
    return kinds.get(dimension(tree), BallShape)(tree)
