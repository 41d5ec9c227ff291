"""Mesh files as domains: what is read, groups, straight and curved sides, what is said of files that will not do."""

from __future__ import annotations

import math
import shutil
from pathlib import Path

import meshio
import numpy as np
import pytest
import torch

from pinnsolve.errors import ProblemError
from pinnsolve.files.data_files import DataFileError
from pinnsolve.files.mesh_file import read_mesh
from pinnsolve.geometry.factory import make_shape
from pinnsolve.geometry.regions import Piece
from pinnsolve.geometry.shapes import Box, Difference, Disk, MeshFile
from pinnsolve.problem.build import build_problem
from pinnsolve.spec.spec import spec_from_dict

MESHES = Path(__file__).parent / "meshes"
FOUR_HOLES = Path(__file__).resolve().parents[1] / "problems" / "meshes" / "four-holes.msh"
PI = math.pi
SQUARE = [[0.0, 0, 0], [1, 0, 0], [1, 1, 0], [0, 1, 0]]
CUBE = [*SQUARE, *([x, y, 1.0] for x, y, _ in SQUARE)]

# file, measure, boundary, relative deviation of both from the round shape, parts, regions
FILES = {
    "disk-1.msh": (PI, 2 * PI, 3e-2, {"rim"}, {"inside"}),
    "disk-2.msh": (PI, 2 * PI, 5e-5, {"rim"}, {"inside"}),
    "inclusion.msh": (4, 8, 1e-12, {"walls"}, {"copper", "resin"}),
    "without-groups.msh": (1, 4, 1e-12, set(), set()),
    "cube.stl": (1, 6, 1e-12, set(), set()),
    "shell-1.msh": (7 / 6 * PI, 5 * PI, 8e-2, {"inner", "outer"}, {"shell"}),
    "shell-2.msh": (7 / 6 * PI, 5 * PI, 3e-3, {"inner", "outer"}, {"shell"}),
}


def tree_of(path: Path) -> MeshFile:
    mesh = read_mesh(path)
    return MeshFile(path, mesh.lower, mesh.upper, mesh.parts, tuple(mesh.regions))


@pytest.fixture
def square(tmp_path):
    """Writes a mesh of the unit square, or others of its nodes, and gives the path."""

    def write(cells, points=SQUARE, name="mesh.vtu", **options) -> Path:
        meshio.write(tmp_path / name, meshio.Mesh(points, cells, **options))
        return tmp_path / name

    return write


# -- stored files -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", FILES)
def test_meshes_have_the_measures_of_what_they_approximate(name):
    measure, boundary, deviation, parts, regions = FILES[name]
    shape = make_shape(tree_of(MESHES / name))
    assert shape.measure() == pytest.approx(measure, rel=deviation)
    assert float(shape.boundary(shape.size / 10).weights.sum()) == pytest.approx(boundary, rel=deviation)
    assert set(shape.parts) == (parts or {""})
    assert set(shape.regions) == regions


@pytest.mark.parametrize("name", FILES)
def test_points_on_and_beside_the_boundary_of_a_mesh(name):
    shape = make_shape(tree_of(MESHES / name))
    b = shape.boundary(shape.size / 10)
    torch.testing.assert_close(b.normals.norm(dim=1), torch.ones(len(b.x), dtype=torch.float64), rtol=0, atol=1e-14)
    step = 1e-6 * b.normals
    assert bool(shape.inside(b.x).all()) and bool(shape.inside(b.x - step).all())
    assert not bool(shape.inside(b.x + step).any())
    total = (b.weights[:, None] * b.normals).sum(dim=0)
    assert float(total.norm()) < 1e-5 * float(b.weights.sum())
    spread = shape.spread(torch.rand(300, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(0)))
    assert len(spread.x) == 300 and float(shape.level(spread.x).abs().max()) < 1e-7


@pytest.mark.parametrize("name", FILES)
def test_inside_agrees_with_the_measure(name):
    shape = make_shape(tree_of(MESHES / name))
    unit = torch.rand(20_000, shape.dimension, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    box = shape.upper - shape.lower
    share = float(shape.inside(shape.lower + unit * box).double().mean())
    assert share * float(box.prod()) == pytest.approx(shape.measure(), abs=0.02 * float(box.prod()))


def test_curved_sides_have_curved_normals():
    """The normals of parabolas through three points of a circle are those of the circle, to the square of the step."""
    straight, curved = (make_shape(tree_of(MESHES / f"disk-{k}.msh")).boundary(0.1) for k in (1, 2))
    errors = [float((b.normals - b.x / b.x.norm(dim=1, keepdim=True)).norm(dim=1).max()) for b in (straight, curved)]
    assert errors[1] < 0.02 < 0.1 < errors[0]


def test_corners_of_a_mesh_are_those_of_its_shape():
    found = make_shape(tree_of(FOUR_HOLES)).corners()
    assert [c.angle for c in found] == pytest.approx([PI / 2] * 4)
    assert make_shape(tree_of(MESHES / "disk-2.msh")).corners() == ()


def test_regions_fill_the_mesh_without_overlap():
    shape = make_shape(tree_of(MESHES / "inclusion.msh"))
    x = 2 * torch.rand(5000, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(0)) - 1
    copper, resin = (shape.in_region(x, name) for name in ("copper", "resin"))
    assert bool((copper ^ resin).all())
    r = x.norm(dim=1)
    assert bool(copper[r < 0.45].all()) and not bool(copper[r > 0.5].any())
    with pytest.raises(KeyError):
        shape.in_region(x, "gold")


def test_a_mesh_less_a_disk():
    tree = Difference(tree_of(MESHES / "inclusion.msh"), (Disk((1.0, 0.0), 0.5, "bite"),))
    shape = make_shape(tree)
    assert shape.measure() == pytest.approx(4 - PI / 8)
    assert set(shape.parts) == {"walls", "bite"}
    assert len(shape.corners()) == 6


# -- other formats and cells ------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["mesh.vtu", "mesh.vtk", "mesh.msh", "mesh.mesh", "mesh.su2", "mesh.off", "mesh.xdmf"])
def test_formats(name, square, tmp_path):
    cells = [("triangle", np.array([[0, 1, 2], [0, 2, 3]]))]
    if name == "mesh.xdmf":
        path = tmp_path / name
        meshio.xdmf.write(path, meshio.Mesh(SQUARE, cells), data_format="XML")
    else:
        path = square(cells, np.array(SQUARE)[:, :2] if name == "mesh.su2" else SQUARE, name)
    found = make_shape(tree_of(path))
    assert found.dimension == 2 and found.measure() == pytest.approx(1)


def test_groups_of_other_formats_are_numbered(square):
    cells = [("triangle", [[0, 1, 2], [0, 2, 3]]), ("line", [[0, 1], [1, 2]])]
    data = {"medit:ref": [np.array([1, 2]), np.array([7, 0])]}
    mesh = read_mesh(square(cells, name="mesh.mesh", cell_data=data))
    assert set(mesh.regions) == {"group 1", "group 2"}
    assert mesh.parts == ("group 7",)


@pytest.mark.parametrize("kind, nodes, points", [
    ("quad", [[0, 1, 2, 3]], SQUARE),
    ("quad", [[0, 3, 2, 1]], SQUARE),
    ("quad8", [list(range(8))], [*SQUARE, [0.5, 0, 0], [1, 0.5, 0], [0.5, 1, 0], [0, 0.5, 0]]),
    ("triangle", [[0, 2, 1], [0, 3, 2]], SQUARE),
    ("hexahedron", [list(range(8))], CUBE),
    ("tetra", [[0, 1, 3, 4], [1, 2, 3, 6], [1, 6, 4, 5], [3, 4, 6, 7], [1, 3, 4, 6]], CUBE),
    ("tetra", [[0, 3, 1, 4], [1, 3, 2, 6], [1, 4, 6, 5], [3, 6, 4, 7], [1, 4, 3, 6]], CUBE),
])  # fmt: skip
def test_kinds_of_cells_and_both_orders_of_rotation(kind, nodes, points, square):
    shape = make_shape(tree_of(square([(kind, nodes)], points)))
    assert shape.measure() == pytest.approx(1)
    assert float(shape.boundary(0.3).weights.sum()) == pytest.approx(4 if shape.dimension == 2 else 6)


def test_curved_tetrahedra_and_triangles_are_mirrored(square):
    """The same quadratic cell in the other order of rotation bounds the same set."""
    points = [[0, 0, 0], [1, 0, 0], [0, 1, 0], [0.5, -0.1, 0], [0.6, 0.6, 0], [-0.1, 0.5, 0]]
    one = make_shape(tree_of(square([("triangle6", [[0, 1, 2, 3, 4, 5]])], points, "a.vtu")))
    two = make_shape(tree_of(square([("triangle6", [[0, 2, 1, 5, 4, 3]])], points, "b.vtu")))
    assert one.measure() == pytest.approx(two.measure()) and one.measure() > 0.6
    corners = np.array([[0, 0, 0], [1, 0, 0], [0, 1, 0], [0, 0, 1.0]])
    middles = [(corners[i] + corners[j]) / 2 for i, j in ((0, 1), (1, 2), (0, 2), (0, 3), (1, 3), (2, 3))]
    nodes = np.vstack([corners, middles])
    nodes[5] += 0.1
    one = make_shape(tree_of(square([("tetra10", [list(range(10))])], nodes, "c.vtu")))
    two = make_shape(tree_of(square([("tetra10", [[0, 2, 1, 3, 6, 5, 4, 7, 9, 8]])], nodes, "d.vtu")))
    assert one.measure() == pytest.approx(two.measure()) and one.measure() > 1 / 6


# -- what will not do -------------------------------------------------------------------------------------------

TWO = [("triangle", [[0, 1, 2], [0, 2, 3]])]
REFUSED = {
    "inverted": ([("triangle", [[0, 1, 2], [0, 3, 2], [2, 1, 4]])], [*SQUARE, [2, 1, 0]], "inverted cells: 2"),
    "degenerate": ([("triangle", [[0, 1, 2], [0, 4, 1]])], [*SQUARE, [0.5, 0, 0]], "degenerate or folded cells: 2"),
    "overlapping": ([("triangle", [[0, 1, 2], [0, 1, 3]])], SQUARE, "cells that overlap"),
    "three at a side": ([("triangle", [[0, 1, 2], [0, 1, 3], [1, 0, 4]])], [*SQUARE, [0, -1, 0]], "overlap"),
    "folded": (
        [("triangle6", [[0, 1, 2, 4, 5, 6]])],
        [*SQUARE, [0.9, 0.4, 0], [1, 0.5, 0], [0.5, 0.5, 0]],
        "degenerate or folded",
    ),
    "standing": (TWO, [[x, z, y] for x, y, z in SQUARE], "the plane of constant y"),
    "bent": (TWO, [[x, y, x + y * y] for x, y, _ in SQUARE], "is not closed: 4 edges"),
    "lines": ([("line", [[0, 1], [1, 2]])], SQUARE, "no triangles or other cells"),
    "wedge": ([("wedge", [[0, 1, 2, 4, 5, 6]])], CUBE, "`wedge`, which are not supported"),
    "not a number": (TWO, [[math.nan, 0, 0], *SQUARE[1:]], "no finite number"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_meshes_that_are_no_domain_are_refused_with_the_reason(name, square):
    cells, points, words = REFUSED[name]
    with pytest.raises(DataFileError, match=words):
        read_mesh(square(cells, points))


XDMF = """<Xdmf Version="3.0"><Domain><Grid Name="Grid">
<Geometry GeometryType="XY">
<DataItem DataType="Float" Dimensions="3 2" Format="{}" Precision="8">{}</DataItem>
</Geometry><Topology TopologyType="Triangle" NumberOfElements="1">
<DataItem DataType="Int" Dimensions="1 3" Format="XML" Precision="8">0 1 2</DataItem>
</Topology></Grid></Domain></Xdmf>"""


@pytest.mark.parametrize("name, content, words", [
    ("a.msh", "hello", "damaged"),
    ("a.msh", "", "cannot be read"),
    ("a.vtu", "<VTKFile>", "cannot be read"),
    ("a.msh", "$MeshFormat\n4.1 0 8\n$EndMeshFormat\n$Nodes\n1 99999999999999 1 1\n", "cannot be read"),
    ("a.stl", "solid\nfacet", "cannot be read|no triangles"),
    ("a.xdmf", XDMF.format("HDF", "secret.h5:/x"), "keeps its numbers in another file"),
    ("a.xdmf", XDMF.format("&#66;inary", "/etc/passwd"), "keeps its numbers in another file"),
])  # fmt: skip
def test_damaged_and_hostile_files(name, content, words, tmp_path, capsys):
    (tmp_path / name).write_text(content)
    with pytest.raises(DataFileError, match=words):
        read_mesh(tmp_path / name)
    assert capsys.readouterr() == ("", "")


def test_large_files_are_not_read(tmp_path, monkeypatch):
    monkeypatch.setattr("pinnsolve.files.mesh_file.MAX_BYTES", 100)
    shutil.copy(MESHES / "disk-1.msh", tmp_path / "large.msh")
    with pytest.raises(DataFileError, match="too large"):
        read_mesh(tmp_path / "large.msh")


# -- problems on meshes -----------------------------------------------------------------------------------------


def problem(name: str, **changes):
    stated = {
        "name": "on-a-mesh", "domain": {"mesh": name}, "unknowns": "u", "equations": {"e": "laplacian(u) = 0"},
        "conditions": {"walls": {"on": "boundary", "equation": "u = 0"}}, **changes,
    }  # fmt: skip
    return build_problem(spec_from_dict(stated, MESHES))


def test_groups_are_places():
    found = problem(
        "inclusion.msh",
        equations={
            "one": {"on": "copper", "equation": "2*laplacian(u) = 0"},
            "two": {"on": "resin", "equation": "laplacian(u) = 1"},
        },
        conditions={"walls": {"on": "walls", "equation": "u = 0"}},
    )
    assert [s.region.pieces for s in found.statements] == [
        (Piece(region="copper"),),
        (Piece(region="resin"),),
        (Piece(part="walls"),),
    ]
    assert found.warnings == ()
    assert found.intervals == ((-1, 1), (-1, 1))


def test_a_region_without_an_equation_is_told():
    found = problem("inclusion.msh", equations={"one": {"on": "copper", "equation": "laplacian(u) = 0"}})
    assert any("in `resin`" in str(w) for w in found.warnings)


def test_a_mesh_in_space_gives_three_coordinates():
    assert problem("shell-1.msh").coordinates == ("x", "y", "z")


@pytest.mark.parametrize("name, changes, words", [
    ("disk-2.msh", {"conditions": {"a": {"on": "rin", "equation": "u = 0"}}}, "did you mean `rim`?"),
    ("without-groups.msh", {"conditions": {"a": {"on": "rim", "equation": "u = 0"}}}, "the mesh has no groups"),
    ("inclusion.msh", {"equations": {"e": {"on": "coper", "equation": "laplacian(u) = 0"}}}, "did you mean `copper`?"),
    ("inclusion.msh", {"equations": {"e": {"on": "walls", "equation": "laplacian(u) = 0"}}}, "no region in which"),
    ("inclusion.msh", {"coordinates": ["x", "y", "z"]}, "the mesh lies in 2 dimensions"),
])  # fmt: skip
def test_names_that_a_mesh_does_not_have(name, changes, words):
    with pytest.raises(ProblemError, match=words.replace("?", "\\?")):
        problem(name, **changes)


def test_a_box_and_a_mesh_agree():
    """The same square, once from its numbers and once from a mesh."""
    box, mesh = make_shape(Box((-1.0, -1.0), (1.0, 1.0))), make_shape(tree_of(MESHES / "inclusion.msh"))
    x = 3 * torch.rand(2000, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(0)) - 1.5
    assert bool((box.inside(x) == mesh.inside(x)).all())
    torch.testing.assert_close(box.level(x).clamp(max=0), mesh.level(x).clamp(max=0), rtol=0, atol=1e-12)
