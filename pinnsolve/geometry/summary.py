"""A summary of a shape for people, found from points: measure, sizes of the parts of its boundary, corners.

Input: a `ShapeTree`. Output: plain values, and the same in words.
"""

from __future__ import annotations

import math
from typing import Any

from pinnsolve.geometry.factory import make_shape
from pinnsolve.geometry.sampled_shape import Shape
from pinnsolve.geometry.shapes import ShapeTree, describe

MOST_CORNERS = 12  # that are listed one by one
FINE = 40  # parts of the box's diagonal that quadrature takes


def shape_values(tree: ShapeTree) -> dict[str, Any]:
    """`shape` in words, `measure`, `parts` (name to length or area), `corners` (point and angle in degrees)."""
    shape = make_shape(tree)
    corners = [{"at": c.point.tolist(), "degrees": math.degrees(c.angle)} for c in shape.corners()]
    return {"shape": describe(tree), "measure": shape.measure(), "parts": part_sizes(shape), "corners": corners}


def part_sizes(shape: Shape) -> dict[str, float]:
    """Length or area of each part of the boundary."""
    b = shape.boundary(shape.size / FINE)
    return {name: float(b.weights[b.part == i].sum()) for i, name in enumerate(shape.parts)}


def shape_words(tree: ShapeTree) -> dict[str, str]:
    """The same as lines of a table."""
    values = shape_values(tree)
    plane = make_shape(tree).dimension == 2
    angles = [f"{corner['degrees']:.4g}\N{DEGREE SIGN}" for corner in values["corners"]]
    listed = ", ".join(angles) if len(angles) <= MOST_CORNERS else f"{len(angles)}"
    parts = ", ".join(f"{name or 'without a name'} ({size:.6g})" for name, size in values["parts"].items())
    return {
        "domain": values["shape"],
        "area" if plane else "volume": f"{values['measure']:.6g}",
        "perimeter" if plane else "surface": f"{sum(values['parts'].values()):.6g}",
        "boundary": parts,
        **({"corners": listed} if angles else {}),
    }
