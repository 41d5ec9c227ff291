"""Writes the small meshes in problems/meshes and tests/meshes with Gmsh, which is a development dependency.

    python scripts/make_meshes.py

Input: none. Output: mesh files with named groups, linear and quadratic, of both formats that Gmsh writes. The files are
stored, so that nobody needs Gmsh to use or test them; making them again with another version of Gmsh moves nodes.
"""

from __future__ import annotations

import math
from pathlib import Path

import gmsh

ROOT = Path(__file__).resolve().parents[1]
PROBLEMS, TESTS = ROOT / "problems" / "meshes", ROOT / "tests" / "meshes"


def four_holes() -> None:
    """A square of side 1 with four round holes of radius 0.1: quadratic triangles, fine on the circles."""
    cad = gmsh.model.occ
    square = cad.addRectangle(-0.5, -0.5, 0, 1, 1)
    disks = [(2, cad.addDisk(x, y, 0, 0.1, 0.1)) for x in (-0.3, 0.3) for y in (-0.3, 0.3)]
    cad.cut([(2, square)], disks)
    cad.synchronize()
    sides, circles = _split(lambda x, y: max(abs(x), abs(y)) > 0.5 - 1e-6)
    gmsh.model.addPhysicalGroup(1, sides, name="outer")
    gmsh.model.addPhysicalGroup(1, circles, name="holes")
    gmsh.model.addPhysicalGroup(2, [tag for _, tag in gmsh.model.getEntities(2)], name="plate")
    for circle in circles:
        gmsh.model.mesh.setTransfiniteCurve(circle, 25)
    _write(PROBLEMS / "four-holes.msh", size=0.2, order=2, version=4.1)


def _disk_in_square(inside: str, outside: str) -> list[int]:
    """Two named regions and the `walls` around them; the curves between the two."""
    cad = gmsh.model.occ
    square, disk = cad.addRectangle(-1, -1, 0, 2, 2), cad.addDisk(0, 0, 0, 0.5, 0.5)
    cad.fragment([(2, square)], [(2, disk)])
    cad.synchronize()
    areas = sorted((cad.getMass(2, tag), tag) for _, tag in gmsh.model.getEntities(2))
    gmsh.model.addPhysicalGroup(2, [areas[0][1]], name=inside)
    gmsh.model.addPhysicalGroup(2, [areas[1][1]], name=outside)
    sides, circle = _split(lambda x, y: max(abs(x), abs(y)) > 1 - 1e-6)
    gmsh.model.addPhysicalGroup(1, sides, name="walls")
    return circle


def inclusion() -> None:
    """A square with a disk of another material inside: two named regions, linear triangles, format 2.2."""
    _disk_in_square(inside="copper", outside="resin")
    _write(TESTS / "inclusion.msh", size=0.3, order=1, version=2.2)


def core() -> None:
    """A square with a disk of another material inside: two named regions and the line between them, quadratic."""
    circle = _disk_in_square(inside="core", outside="shell")
    gmsh.model.addPhysicalGroup(1, circle, name="contact")
    for curve in circle:
        gmsh.model.mesh.setTransfiniteCurve(curve, 33)
    _write(PROBLEMS / "core.msh", size=0.5, order=2, version=4.1)


def disk(order: int, version: float) -> None:
    """The unit disk, its boundary named."""
    gmsh.model.occ.addDisk(0, 0, 0, 1, 1)
    gmsh.model.occ.synchronize()
    gmsh.model.addPhysicalGroup(1, [tag for _, tag in gmsh.model.getEntities(1)], name="rim")
    gmsh.model.addPhysicalGroup(2, [tag for _, tag in gmsh.model.getEntities(2)], name="inside")
    _write(TESTS / f"disk-{order}.msh", size=0.35, order=order, version=version)


def without_groups() -> None:
    """A triangle that names nothing."""
    cad = gmsh.model.occ
    cad.addRectangle(0, 0, 0, 1, 1)
    cad.synchronize()
    _write(TESTS / "without-groups.msh", size=0.5, order=1, version=4.1)


def shell(order: int) -> None:
    """A ball of radius 1 without one of radius 0.5 around its center: tetrahedra."""
    cad = gmsh.model.occ
    cad.cut([(3, cad.addSphere(0, 0, 0, 1))], [(3, cad.addSphere(0, 0, 0, 0.5))])
    cad.synchronize()
    outer, inner = [], []
    for _, tag in gmsh.model.getEntities(2):
        (outer if gmsh.model.occ.getMass(2, tag) > 2 * math.pi else inner).append(tag)
    gmsh.model.addPhysicalGroup(2, outer, name="outer")
    gmsh.model.addPhysicalGroup(2, inner, name="inner")
    gmsh.model.addPhysicalGroup(3, [tag for _, tag in gmsh.model.getEntities(3)], name="shell")
    _write(TESTS / f"shell-{order}.msh", size=0.5, order=order, version=4.1)


def cube_surface() -> None:
    """The surface of a cube, as STL."""
    gmsh.model.occ.addBox(0, 0, 0, 1, 1, 1)
    gmsh.model.occ.synchronize()
    gmsh.option.setNumber("Mesh.MeshSizeMin", 0.5)
    gmsh.option.setNumber("Mesh.MeshSizeMax", 0.5)
    gmsh.model.mesh.generate(2)
    gmsh.write(str(TESTS / "cube.stl"))


def _split(condition) -> tuple[list[int], list[int]]:
    """Curves whose middle satisfies a condition, and the others."""
    found: tuple[list[int], list[int]] = ([], [])
    for _, tag in gmsh.model.getEntities(1):
        low, high = gmsh.model.getParametrizationBounds(1, tag)
        x, y, _ = gmsh.model.getValue(1, tag, [(low[0] + high[0]) / 2])
        found[0 if condition(x, y) else 1].append(tag)
    return found


def _write(path: Path, size: float, order: int, version: float) -> None:
    gmsh.option.setNumber("Mesh.MeshSizeMin", size)
    gmsh.option.setNumber("Mesh.MeshSizeMax", size)
    gmsh.option.setNumber("Mesh.MshFileVersion", version)
    gmsh.model.mesh.generate(gmsh.model.getDimension())
    gmsh.model.mesh.setOrder(order)
    gmsh.write(str(path))


def main() -> None:
    for folder in (PROBLEMS, TESTS):
        folder.mkdir(exist_ok=True)
    makers = [four_holes, inclusion, core, without_groups, cube_surface]
    makers += [lambda: disk(1, 2.2), lambda: disk(2, 4.1), lambda: shell(1), lambda: shell(2)]
    gmsh.initialize()
    gmsh.option.setNumber("General.Terminal", 0)
    for make in makers:
        gmsh.model.add("mesh")
        make()
        gmsh.model.remove()
    gmsh.finalize()


if __name__ == "__main__":
    main()
