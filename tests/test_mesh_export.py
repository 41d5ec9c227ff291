"""Solutions on meshes: cells that fill a shape, files that other programs open, values at the nodes of a given mesh."""

from __future__ import annotations

import csv
import math
from xml.etree import ElementTree

import meshio
import numpy as np
import pytest
import torch
from meshio.xdmf import TimeSeriesReader
from scipy.spatial import cKDTree
from shape_problems import INNER, OUTER, RING_AREA, radius, ring_solution
from sine_basis import LOWER, UPPER, closed_form, solution_of

from pinnsolve.errors import SolutionError
from pinnsolve.geometry import shapes as tree
from pinnsolve.geometry.factory import make_shape
from pinnsolve.geometry.triangulation import mesh_of_shape
from pinnsolve.results import grids

BOX = tree.Box((-0.5, -0.5), (0.5, 0.5), "walls")
SHAPES = {  # with the share of the measure that cells of straight edges may miss
    "L": (tree.Polygon(((-1.0, -1.0), (1.0, -1.0), (1.0, 1.0), (0.0, 1.0), (0.0, 0.0), (-1.0, 0.0)), "walls"), 1e-12),
    "ring": (tree.Difference(tree.Disk((0.0, 0.0), 1.0), (tree.Disk((0.2, 0.0), 0.4),)), 1e-3),
    "small": (tree.Difference(BOX, (tree.Disk((0.1, 0.1), 0.004), tree.Ellipse((-0.2, 0.1), (0.2, 0.01), 0.5))), 1e-4),
    "two pieces": (tree.Union((tree.Disk((0.0, 0.0), 0.5), tree.Disk((2.0, 0.0), 0.5))), 2e-2),
    "hollow ball": (tree.Difference(tree.Ball((0.0, 0.0, 0.0), 1.0), (tree.Ball((0.2, 0.0, 0.0), 0.4),)), 2e-2),
}  # fmt: skip


def volumes(points: np.ndarray, cells: np.ndarray) -> np.ndarray:
    """Of simplices (M, d + 1), with their sign."""
    d = cells.shape[1] - 1
    return np.linalg.det(points[cells[:, 1:], :d] - points[cells[:, :1], :d]) / math.factorial(d)


def boundary_faces(cells: np.ndarray) -> np.ndarray:
    """Those that belong to one cell only."""
    d = cells.shape[1] - 1
    faces = np.sort(np.concatenate([np.delete(cells, i, axis=1) for i in range(d + 1)]), axis=1)
    unique, counts = np.unique(faces, axis=0, return_counts=True)
    assert counts.max() <= 2, "a face between three cells"
    return unique[counts == 1]


@pytest.mark.parametrize("name", SHAPES)
def test_cells_fill_the_shape(name):
    given, missed = SHAPES[name]
    shape = make_shape(given)
    count = 40 if shape.dimension == 2 else 14
    points, cells = mesh_of_shape(shape, ((shape.upper - shape.lower) / count).numpy())
    assert (volumes(points, cells) > 0).all()
    assert abs(volumes(points, cells).sum() / shape.measure() - 1) < missed
    assert shape.inside(torch.from_numpy(points)).all()
    assert shape.inside(torch.from_numpy(points[cells].mean(axis=1))).all()
    if shape.dimension == 2:  # the outermost edges follow the boundary: their middles are as near as chords are
        edges = points[boundary_faces(cells)]
        chords = np.linalg.norm(edges[:, 1] - edges[:, 0], axis=1)
        nearest, _ = cKDTree(shape.boundary(float(chords.min())).x).query(edges.mean(axis=1))
        assert (nearest < 0.5 * chords).all()


def test_cells_of_a_ring_have_one_hole():
    points, cells = mesh_of_shape(make_shape(SHAPES["ring"][0]), np.array([0.05, 0.05]))
    edges = len(boundary_faces(cells)), 3 * len(cells)
    inner = (edges[1] - edges[0]) // 2
    assert len(points) - (inner + edges[0]) + len(cells) == 0  # Euler's characteristic


# -- files --------------------------------------------------------------------------------------------------------


@pytest.fixture
def ring(work):
    def save(time=False):
        solution = ring_solution(time)
        solution.save("run")
        return solution

    return save


def assert_ring(solution, points, data, time=None):
    """Points (N, 3) of the ring with the solution's values there."""
    places = points[:, :2] if time is None else np.column_stack([np.full(len(points), time), points[:, :2]])
    r = radius(points)
    assert (r > INNER - 1e-9).all() and (r < OUTER + 1e-9).all()
    np.testing.assert_array_equal(points[:, 2], 0)
    assert set(data) == set(solution.unknowns)
    zero = (0,) * len(solution.coordinates)
    np.testing.assert_allclose(data["u"], closed_form(solution, 0, places, zero), rtol=1e-12, atol=1e-13)


def test_vtu_of_a_shape(ring, command):
    solution = ring()
    code, out, _ = command("export", "run", "--to", "ring.vtu", "--points", "40")
    mesh = meshio.read("ring.vtu")
    (cells,) = mesh.cells
    assert code == 0 and f"{len(mesh.points)} points and {len(cells.data)} cells (triangle)" in out
    assert_ring(solution, mesh.points, mesh.point_data)
    assert abs(volumes(mesh.points, cells.data).sum() / RING_AREA - 1) < 2e-3


def test_series_of_a_shape(ring, command):
    solution = ring(time=True)
    assert command("export", "run", "--to", "ring.pvd", "--points", "12")[0] == 0
    sets = ElementTree.parse("ring.pvd").getroot().findall("Collection/DataSet")
    assert len(sets) == grids.TIME_LEVELS
    for entry in sets[:: grids.TIME_LEVELS - 1]:
        mesh = meshio.read(entry.get("file"))
        assert_ring(solution, mesh.points, mesh.point_data, float(entry.get("timestep")))
    assert command("export", "run", "--to", "ring.xdmf", "--points", "12")[0] == 0
    with TimeSeriesReader("ring.xdmf") as reader:
        points, (cells,) = reader.read_points_cells()
        assert cells.type == "triangle" and reader.num_steps == grids.TIME_LEVELS
        time, data, _ = reader.read_data(7)
        assert_ring(solution, points, data, time)


def test_tables_of_a_shape(ring, command):
    solution = ring()
    code, out, _ = command("export", "run", "--to", "ring.csv", "--points", "21")
    with open("ring.csv", newline="") as file:
        table = np.array(list(csv.reader(file))[1:], dtype=float)
    assert code == 0 and f"21 x 21 points in x, y, of which {len(table)} are in the domain" in out
    assert_ring(solution, np.column_stack([table[:, :2], np.zeros(len(table))]), {"u": table[:, 2]})
    assert command("export", "run", "--to", "ring.npz", "--points", "21")[0] == 0
    with np.load("ring.npz") as archive:
        assert np.count_nonzero(~np.isnan(archive["u"])) == len(table) < 441


@pytest.mark.parametrize("kind", ["shape", "box", "solid"])
def test_vtk_opens_what_is_written(ring, command, kind):
    readers = pytest.importorskip("vtkmodules.vtkIOXML", reason="vtk is not installed")
    from vtkmodules.util.numpy_support import vtk_to_numpy

    solution = ring() if kind == "shape" else solution_of(("x", "y", "z")[: 2 if kind == "box" else 3], time=None)
    solution.save("run")
    assert command("export", "run", "--to", "values.vtu", "--points", "6")[0] == 0
    reader = readers.vtkXMLUnstructuredGridReader()
    reader.SetFileName("values.vtu")
    reader.Update()
    grid, written = reader.GetOutput(), meshio.read("values.vtu")
    np.testing.assert_array_equal(vtk_to_numpy(grid.GetPoints().GetData()), written.points)
    np.testing.assert_array_equal(vtk_to_numpy(grid.GetPointData().GetArray("u")), written.point_data["u"])
    assert grid.GetNumberOfCells() == len(written.cells[0].data)
    assert np.isfinite(written.point_data["u"]).all()


def test_vtk_opens_a_series(ring, command):
    readers = pytest.importorskip("vtkmodules.vtkIOXdmf2", reason="vtk is not installed")
    from vtkmodules.util.numpy_support import vtk_to_numpy
    from vtkmodules.vtkCommonExecutionModel import vtkStreamingDemandDrivenPipeline as Pipeline

    solution = ring(time=True)
    assert command("export", "run", "--to", "ring.xdmf", "--points", "8")[0] == 0
    reader = readers.vtkXdmfReader()
    reader.SetFileName("ring.xdmf")
    reader.UpdateInformation()
    times = reader.GetOutputInformation(0).Get(Pipeline.TIME_STEPS())
    assert len(times) == grids.TIME_LEVELS
    for t in (times[0], times[-1]):
        reader.UpdateTimeStep(t)
        grid = reader.GetOutputDataObject(0)
        while grid.IsA("vtkMultiBlockDataSet"):
            grid = grid.GetBlock(0)
        values = vtk_to_numpy(grid.GetPointData().GetArray("u"))
        assert_ring(solution, vtk_to_numpy(grid.GetPoints().GetData()), {"u": values}, t)


# -- values at the nodes of a given mesh --------------------------------------------------------------------------


def triangles(*corners) -> meshio.Mesh:
    """One triangle, with data of its own."""
    return meshio.Mesh(np.array(corners, dtype=float), [("triangle", [[0, 1, 2]])], point_data={"age": np.arange(3.0)},
                       cell_data={"material": [np.array([7])]})  # fmt: skip


def test_on_a_mesh(tmp_path):
    solution = solution_of(("x", "y"), ("u", "v"), time=None)
    mesh = triangles((0.1, 0.2, 0.0), (0.9, -0.5, 0.0), (0.4, 1.5, 0.0))
    found = solution.on(mesh)
    for i, name in enumerate("uv"):
        np.testing.assert_allclose(found.point_data[name], closed_form(solution, i, mesh.points[:, :2], (0, 0)))
    assert found.point_data["age"].tolist() == [0, 1, 2] and found.cell_data["material"][0].tolist() == [7]
    assert set(mesh.point_data) == {"age"}  # the one given stays as it was
    found.write(tmp_path / "values.vtu")
    again = solution.on(str(tmp_path / "values.vtu"))
    np.testing.assert_array_equal(again.point_data["u"], found.point_data["u"])
    flat = solution.on(meshio.Mesh(mesh.points[:, :2], mesh.cells))
    np.testing.assert_array_equal(flat.point_data["u"], found.point_data["u"])


def test_on_a_mesh_at_a_time():
    solution = solution_of(("x", "t", "y"))
    mesh = triangles((0.1, 0.2), (0.9, 0.5), (0.4, 0.9))
    places = np.column_stack([mesh.points[:, 0], np.full(3, 0.25), mesh.points[:, 1]])
    expected = closed_form(solution, 0, places, (0, 0, 0))
    np.testing.assert_allclose(solution.on(mesh, t=0.25).point_data["u"], expected)


def test_nodes_outside_of_the_domain_are_nan():
    corners = ((0.5, 0.5), (0.5, 0.8), (0.5, 1.1))  # in the hole, in the ring, beyond its rim
    values = ring_solution().on(triangles(*corners)).point_data["u"]
    assert np.isnan(values).tolist() == [True, False, True]
    beyond = solution_of(("x", "y"), time=None).on(triangles((LOWER[0], LOWER[1]), UPPER, (0.5, 99)))
    assert np.isnan(beyond.point_data["u"]).tolist() == [False, False, True]


@pytest.mark.parametrize(
    ("coordinates", "mesh", "time", "words"),
    [
        (("t", "x", "y"), triangles((0, 0), (1, 0), (0, 1)), {}, "Give the time"),
        (("t", "x", "y"), triangles((0, 0), (1, 0), (0, 1)), {"t": 7}, "lies outside"),
        (("t", "x", "y"), triangles((0, 0), (1, 0), (0, 1)), {"t": "now"}, "must be a number"),
        (("x", "y"), triangles((0, 0), (1, 0), (0, 1)), {"t": 0}, "remove the argument t"),
        (("x", "y"), triangles((0, 0, 0), (1, 0, 0), (0, 1, 1)), {}, "extends beyond"),
        (("x", "y", "z"), triangles((0, 0), (1, 0), (0, 1)), {}, "The mesh has 2 coordinates"),
        (("x", "y"), "nowhere.msh", {}, "There is no mesh file nowhere.msh"),
        (("x", "y"), __file__, {}, "cannot be read as a mesh"),
    ],
)
def test_meshes_that_do_not_fit(coordinates, mesh, time, words):
    solution = solution_of(coordinates, time="t" if "t" in coordinates else None)
    with pytest.raises(SolutionError, match=words):
        solution.on(mesh, **time)
