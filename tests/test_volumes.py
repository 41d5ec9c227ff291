"""Views in space: what they show, and what happens where pyvista is not installed."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from sine_basis import solution_of

import pinnsolve as ps
from pinnsolve.errors import SolutionError
from pinnsolve.figures import volumes
from pinnsolve.results import frames


@pytest.fixture(autouse=True)
def coarse(monkeypatch):
    monkeypatch.setattr(volumes, "POINTS", 7)
    monkeypatch.setattr(volumes, "CELLS", 6)


def space(**fields):
    return solution_of(**{"coordinates": ("x", "y", "z"), "time": None, **fields})


def test_values_on_a_grid_whose_first_axis_runs_fastest():
    solution = space()
    found = volumes.volume_of(solution, "u", None)
    assert found.shape == (7, 7, 7) and found.cells is None
    assert (np.diff(found.points[:7, 0]) > 0).all() and np.ptp(found.points[:7, 1:]) >= 0
    np.testing.assert_array_equal(found.values, solution.values(found.points, "u"))


def test_the_last_time_or_another():
    solution = space(coordinates=("t", "x", "y", "z"), time="t")
    for time, at in ((None, 1.0), (0.25, 0.25)):
        found = volumes.volume_of(solution, "u", time)
        points = np.concatenate([np.full((343, 1), at), found.points], axis=1)
        np.testing.assert_array_equal(found.values, solution.values(points, "u"))


def test_a_shape_is_filled_up_to_its_boundary():
    ball = ps.Problem(
        name="ball",
        domain=ps.Shape({"ball": {"center": [0.5, 0.5, 0.5], "radius": 0.5}}, "x y z"),
        unknowns="u",
        equations={"a": "laplacian(u) = 6"},
        conditions={"b": ps.Condition(on="boundary", equation="u = 1")},
    )
    found = volumes.volume_of(space(shape=ball.shape), "u", None)
    radius = np.linalg.norm(found.points - 0.5, axis=1)
    assert found.cells.shape[1] == 4 and radius.max() == pytest.approx(0.5, abs=1e-6)
    assert np.isfinite(found.values).all()


def test_solutions_of_the_plane_have_no_such_view(tmp_path):
    with pytest.raises(SolutionError, match="three coordinates of space"):
        solution_of().plot_volume(tmp_path / "view.png")
    with pytest.raises(SolutionError, match="surfaces or planes"):
        space().plot_volume(tmp_path / "view.png", kind="clouds")


def test_without_pyvista(work, command, monkeypatch):
    monkeypatch.setattr(frames, "has_views", lambda: False)
    monkeypatch.setattr("pinnsolve.output.export.has_views", lambda: False)
    monkeypatch.setattr("pinnsolve.figures.samples.PIXELS", 11)

    def missing(name):
        raise ImportError(name)

    space().save("run")
    code, out, _ = command("export", "run", "--to", "view.png")
    assert code == 0 and "the figure of a run; with `pip install pyvista`" in out and Path("view.png").exists()
    monkeypatch.setattr(frames.importlib, "import_module", missing)
    with pytest.raises(SolutionError, match=r"needs the package pyvista.*pinnsolve\[views\]"):
        space().plot_volume("view.png")


@pytest.mark.parametrize("values", [np.linspace(-1, 1, 5), np.linspace(0, 1, 5), np.ones(5), np.full(5, np.nan)])
def test_colours_follow_the_sign(values):
    low, high, colours = volumes._limits(values)
    assert low < high and (colours == volumes.SIGNED) == (values.min() < 0)


class Plotter:
    """Keeps what is asked of it."""

    def __init__(self, **_):
        self.meshes, self.closed = [], False

    def __getattr__(self, name):
        return lambda *args, **kwargs: None

    def add_mesh(self, mesh, **look):
        self.meshes.append((mesh, look))

    def screenshot(self, path):
        Path(path).write_bytes(b"drawn")

    def close(self):
        self.closed = True


@pytest.mark.parametrize("kind", volumes.KINDS)
def test_what_pyvista_is_asked_for(kind, tmp_path):
    plotter = Plotter()
    mesh = SimpleNamespace(
        point_data={}, slice_orthogonal=lambda: "planes", outline=lambda: "outline",
        contour=lambda levels, scalars: SimpleNamespace(n_points=len(levels), levels=levels),
    )  # fmt: skip
    fake = SimpleNamespace(ImageData=lambda **_: mesh, Plotter=lambda **_: plotter)
    volume = volumes.volume_of(space(), "u", None)
    assert volumes.draw_volume(fake, volume, tmp_path / "a" / "view.png", kind).exists()
    first = plotter.meshes[0][0]
    low, high = plotter.meshes[0][1]["clim"]
    if kind == "planes":
        assert first == "planes"
    else:
        assert len(first.levels) == volumes.SURFACES and low < first.levels[0] < first.levels[-1] < high
    np.testing.assert_array_equal(mesh.point_data["u"], volume.values)
    assert plotter.closed


def test_a_picture_by_pyvista_itself(tmp_path):
    pyvista = pytest.importorskip("pyvista")
    path = volumes.draw_volume(pyvista, volumes.volume_of(space(), "u", None), tmp_path / "view.png", "planes")
    assert path.read_bytes().startswith(b"\x89PNG")
