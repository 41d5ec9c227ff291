"""`pinnsolve export`: each format read back holds the values of the solution."""

from __future__ import annotations

import csv
from pathlib import Path
from xml.etree import ElementTree

import meshio
import numpy as np
import pytest
from meshio.xdmf import TimeSeriesReader
from shape_problems import ring_solution
from sine_basis import solution_of

from pinnsolve.output import export
from pinnsolve.results import expressions, grids
from pinnsolve.results.mesh_values import with_time
from pinnsolve.results.solution import Solution

CASES = {
    "evolving": {"unknowns": ("u", "v")},
    "steady": {"coordinates": ("x", "y"), "time": None, "unknowns": ("u", "file")},
    "steady 3-d": {"coordinates": ("x", "y", "z"), "time": None},
    "time last": {"coordinates": ("x", "y", "t")},
    "time only": {"coordinates": ("t",)},
}
MESHES = [case for case in CASES if case != "time only"]


@pytest.fixture
def saved(work):
    def save(case):
        solution = solution_of(**CASES[case])
        solution.save("run")
        return solution

    return save


def assert_frame(solution, points, data, time=None):
    """The unknowns `data` at mesh points (N, 3) are the solution's, at that time if there is one."""
    names = [name for name in solution.coordinates if name != solution.time]
    at = dict(zip(names, points.T, strict=False))
    np.testing.assert_array_equal(points[:, len(names) :], 0)
    if solution.time is not None:
        at[solution.time] = time
    stacked = np.stack(np.broadcast_arrays(*(at[name] for name in solution.coordinates)), axis=1)
    assert set(data) == set(solution.unknowns)
    for unknown in solution.unknowns:
        np.testing.assert_allclose(data[unknown], solution.values(stacked, unknown), rtol=1e-12, atol=1e-13)


def assert_cells(cells, points, dimension, count):
    """As many cells as the grid has, each of positive measure."""
    (block,) = cells
    assert (block.type, len(block.data)) == (export.CELLS[dimension], (count - 1) ** dimension)
    corners = points[block.data]
    edges = corners[:, [1, 3, 4][:dimension], :dimension] - corners[:, [0], :dimension]
    assert (np.linalg.det(edges) > 0).all()


@pytest.mark.parametrize("case", CASES)
def test_csv(saved, command, case):
    solution = saved(case)
    code, out, _ = command("export", "run", "--to", "values.csv", "--points", "4")
    assert code == 0 and out.startswith("wrote values.csv: ")
    with open("values.csv", newline="") as file:
        header, *rows = csv.reader(file)
    assert header == [*solution.coordinates, *solution.unknowns]
    table = np.array(rows, dtype=float)
    d = len(solution.coordinates)
    assert len(table) == np.prod([len(axis) for axis in grids.axes_of(solution, 4).values()])
    for i, unknown in enumerate(solution.unknowns):
        np.testing.assert_allclose(table[:, d + i], solution.values(table[:, :d], unknown), rtol=1e-12, atol=1e-13)


@pytest.mark.parametrize("case", CASES)
def test_npz(saved, command, case):
    solution = saved(case)
    assert command("export", "run", "--to", "values.npz", "--points", "4")[0] == 0
    with np.load("values.npz", allow_pickle=False) as archive:
        arrays = dict(archive)
    assert list(arrays) == [*solution.coordinates, *solution.unknowns]
    for name, interval in zip(solution.coordinates, solution.intervals, strict=True):
        assert (arrays[name][0], arrays[name][-1]) == interval
    meshes = np.meshgrid(*(arrays[name] for name in solution.coordinates), indexing="ij")
    points = np.stack([mesh.ravel() for mesh in meshes], axis=1)
    for unknown in solution.unknowns:
        expected = solution.values(points, unknown).reshape(meshes[0].shape)
        np.testing.assert_allclose(arrays[unknown], expected, rtol=1e-12, atol=1e-13)


@pytest.mark.parametrize("case", MESHES)
def test_vtu(saved, command, case):
    solution = saved(case)
    code, out, _ = command("export", "run", "--to", "values.vtu", "--points", "4")
    assert code == 0
    assert ("; at t = 1 (a .pvd" in out) == (solution.time is not None)
    mesh = meshio.read("values.vtu")
    time = None if solution.time is None else solution.intervals[solution.coordinates.index("t")][1]
    assert_frame(solution, mesh.points, mesh.point_data, time)
    assert_cells(mesh.cells, mesh.points, len(solution.coordinates) - (time is not None), 4)


@pytest.mark.parametrize("case", MESHES)
def test_pvd(saved, command, case):
    solution = saved(case)
    assert command("export", "run", "--to", "values.pvd", "--points", "3")[0] == 0
    frames = ElementTree.parse("values.pvd").getroot().findall("Collection/DataSet")
    assert len(frames) == (1 if solution.time is None else grids.TIME_LEVELS)
    for frame in frames[:: max(1, len(frames) - 1)]:
        mesh = meshio.read(frame.get("file"))
        assert_frame(solution, mesh.points, mesh.point_data, float(frame.get("timestep")))


@pytest.mark.parametrize("case", MESHES)
def test_xdmf(saved, command, case):
    solution = saved(case)
    assert command("export", "run", "--to", "values.xdmf", "--points", "3")[0] == 0
    with TimeSeriesReader("values.xdmf") as reader:
        points, cells = reader.read_points_cells()
        assert_cells(cells, points, len(solution.coordinates) - (solution.time is not None), 3)
        assert reader.num_steps == (1 if solution.time is None else grids.TIME_LEVELS)
        for step in (0, reader.num_steps - 1):
            time, data, _ = reader.read_data(step)
            assert_frame(solution, points, data, time)


@pytest.mark.parametrize(
    ("fields", "to", "words"),
    [
        (
            {},
            "values.vtk",
            "ends in '.vtk'; the ending says the format: .csv, .npz, .vtu, .pvd, .xdmf, .gif, .mp4, .png",
        ),
        ({}, "values", "has no ending"),
        ({}, "nowhere/values.csv", "there is no folder nowhere"),
        ({"coordinates": ("t",)}, "values.vtu", "it depends on time only; use .csv or .npz"),
        ({"coordinates": ("t",)}, "values.pvd", "it depends on time only"),
        ({"coordinates": tuple("abcd"), "time": None}, "values.xdmf", "it has 4 space dimensions; use .csv or .npz"),
    ],
)
def test_refusals(work, command, fields, to, words):
    solution_of(**fields).save("run")
    code, _, err = command("export", "run", "--to", to)
    assert code == 2 and words in err
    assert not Path(to).exists()


def test_wrong_numbers_of_points(saved, command):
    saved("steady 3-d")
    assert command("export", "run", "--to", "values.npz", "--points", "1")[0] == 2
    code, _, err = command("export", "run", "--to", "values.npz", "--points", "1000")
    assert code == 2 and "use fewer --points" in err
    assert command("export", "elsewhere", "--to", "values.npz")[0] == 2


@pytest.mark.parametrize(
    ("coordinates", "shape"),
    [("x", (100,)), ("xy", (100, 100)), ("xyz", (40,) * 3), ("t", (51,)), ("txyz", (51, 33, 33, 33))],
)
def test_the_grid_without_points(coordinates, shape):
    solution = solution_of(tuple(coordinates), time="t" if "t" in coordinates else None)
    assert tuple(map(len, grids.axes_of(solution).values())) == shape


# -- nothing is done twice ------------------------------------------------------------------------------------


def test_a_frame_evaluates_the_basis_once_and_reads_no_expression(monkeypatch):
    solution = solution_of(**CASES["evolving"])
    passes, read = [], []
    combined = type(solution.basis).combined
    monkeypatch.setattr(
        type(solution.basis), "combined", lambda self, x, *rest: passes.append(len(x)) or combined(self, x, *rest)
    )
    expression = expressions.expression
    monkeypatch.setattr(expressions, "expression", lambda text, scope: read.append(text) or expression(text, scope))
    axes = grids.axes_of(solution, 5, (0, 0.5, 1))
    frames = list(export.frames(solution, export.places_of(solution, axes), ["u + v"]))
    assert len(frames) == 3 and read == ["u + v"]
    assert len(passes) == 3 * 3  # for both unknowns, and for each of those that the expression holds
    for _, data in frames:
        np.testing.assert_allclose(data["u + v"], data["u"] + data["v"], rtol=1e-14)


def test_the_domain_is_looked_for_once(monkeypatch):
    solution = ring_solution(time=True)
    looked = []
    in_domain = Solution.in_domain
    monkeypatch.setattr(Solution, "in_domain", lambda self, x: looked.append(len(x)) or in_domain(self, x))
    axes = grids.axes_of(solution, 9, (0, 0.5, 1))
    frames = [data for _, data in export.frames(solution, export.places_of(solution, axes))]
    assert len(frames) == 3 and len(looked) == 1
    (name,) = solution.unknowns
    places = export.places_of(solution, axes)
    whole = with_time(solution, places.points[:, :2], 0.5)
    np.testing.assert_array_equal(frames[1][name], solution.columns(whole)[name])
