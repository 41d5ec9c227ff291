"""The groups of cells of a mesh as meshes of their own: which there are, and the boundary of each.

Input: a `Mesh`. Output: meshes of the cells that are in some groups and not in others. No array library.
"""

from __future__ import annotations

from collections.abc import Collection

from pinnsolve.files.mesh_file import Mesh, boundary_of
from pinnsolve.geometry.shapes import INTERFACE

Groups = tuple[tuple[str, ...], tuple[str, ...]]  # the groups that cells are in, and those that they are not in


def told_apart(mesh: Mesh, names: Collection[str]) -> tuple[Groups, ...]:
    """The parts of a mesh that some of its groups tell apart, in the order in which its cells come."""
    sets = dict.fromkeys(tuple(n for n in names if n in groups) for _, _, groups in mesh.cells)
    return tuple((within, tuple(n for n in names if n not in within)) for within in sets)


def only(mesh: Mesh, groups: Groups) -> Mesh:
    """The cells in these groups and not in those. Where they meet others, their boundary is called `INTERFACE`."""
    within, without = (set(names) for names in groups)
    cells = [cell for cell in mesh.cells if within <= set(cell[2]) and not without & set(cell[2])]
    names = dict(zip(mesh.sides, mesh.side_parts, strict=True))
    sides = boundary_of(cells)
    return Mesh(mesh.dimension, mesh.points, sides, [names.get(side, INTERFACE) for side in sides], {}, cells)
