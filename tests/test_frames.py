"""A solution as an xarray Dataset, a pandas DataFrame, and what a notebook shows of it."""

from __future__ import annotations

import base64
import re
from dataclasses import replace

import numpy as np
import pytest
from shape_problems import ring_solution
from sine_basis import solution_of

from pinnsolve.errors import SolutionError
from pinnsolve.results import frames
from pinnsolve.spec.output import Output

RESULT = {
    "status": "converged",
    "message": "the estimated error meets <everything>",
    "estimated_error": {"u": 2e-7},
    "relative_l2_error": {"u": 1e-7},
    "quantities": {"drag": {"value": 1.25, "estimated_error": 1e-5}},
    "wall_time_s": 1.5,
    "unknown_coefficients": 6,
    "basis": "waves",
}


@pytest.fixture
def complex_solution():
    fields = {"coordinates": ("x", "y"), "time": None, "unknowns": ("psi_re", "psi_im", "u")}
    return solution_of(**fields, complex_unknowns=("psi",), result=RESULT)


def test_a_dataset():
    pytest.importorskip("xarray")
    solution = solution_of(result=RESULT)
    data = solution.to_xarray(points=5, times=[0, 0.5], expressions=["D(u, x)"])
    assert dict(data.sizes) == {"t": 2, "x": 5} and data["t"].values.tolist() == [0, 0.5]
    np.testing.assert_allclose(data["u"].sel(t=0.5), solution(t=0.5, x=data["x"].values), rtol=1e-12)
    np.testing.assert_allclose(data["D(u, x)"].sel(t=0), solution.derivative("u", "x")(t=0, x=data["x"].values))
    assert data["u"].attrs == {"estimated_error": 2e-7, "relative_l2_error": 1e-7}
    assert data.attrs["problem"] == "waves" and data.attrs["status"] == "converged"


def test_a_dataset_on_the_grid_that_the_file_asks_for():
    pytest.importorskip("xarray")
    data = replace(solution_of(), output=Output((0.25,), {"x": 7})).to_xarray()
    assert dict(data.sizes) == {"t": 1, "x": 7}


def test_complex_numbers(complex_solution):
    pytest.importorskip("xarray")
    data = complex_solution.to_xarray(points=3)
    assert list(data) == ["psi", "u"] and data["psi"].dtype == complex
    x, y = np.meshgrid(data["x"], data["y"], indexing="ij")
    np.testing.assert_allclose(data["psi"], complex_solution.psi(x=x, y=y), rtol=1e-12)


def test_a_table(complex_solution):
    pytest.importorskip("pandas")
    table = complex_solution.to_dataframe(points=3)
    assert list(table) == ["x", "y", "psi_re", "psi_im", "u"] and len(table) == 9
    np.testing.assert_allclose(table["psi_im"], complex_solution.psi(x=table["x"], y=table["y"]).imag, rtol=1e-12)


def test_a_table_of_a_shape_has_the_points_inside():
    pytest.importorskip("pandas")
    solution = ring_solution()
    table = solution.to_dataframe(points=9)
    assert 0 < len(table) < 9 ** len(solution.coordinates)
    assert table.notna().all().all() and list(table.index) == list(range(len(table)))


@pytest.mark.parametrize(("package", "call"), [("xarray", "to_xarray"), ("pandas", "to_dataframe")])
def test_a_package_that_is_missing_is_named(package, call, monkeypatch):
    def missing(name):
        raise ImportError(name)

    monkeypatch.setattr(frames.importlib, "import_module", missing)
    with pytest.raises(SolutionError, match=rf"needs the package {package}.*pip install 'pinnsolve\[tables\]'"):
        getattr(solution_of(), call)()


# -- notebooks ----------------------------------------------------------------------------------------------------


def test_a_notebook_shows_status_errors_and_figure(complex_solution):
    page = complex_solution._repr_html_()
    assert "&lt;everything&gt;" in page and "<everything>" not in page
    for words in ("converged", "2.0e-07", "1.0e-07", "drag", "1.25", "1.5 s", "6 coefficients"):
        assert words in page
    (picture,) = re.findall(r'src="data:image/png;base64,([^"]+)"', page)
    assert base64.b64decode(picture).startswith(b"\x89PNG")


def test_a_notebook_does_without_a_figure(monkeypatch):
    def fail(*_):
        raise ValueError("no <picture>")

    monkeypatch.setattr("pinnsolve.figures.figures.solution_figure", fail)
    page = solution_of(result=RESULT)._repr_html_()
    assert "no &lt;picture&gt;" in page and "converged" in page


@pytest.mark.parametrize("names", ["x", "t", "tx", "xy", "txy", "xyz", "txyz", "abcdef"])
def test_every_number_of_coordinates_is_plotted(names, monkeypatch):
    monkeypatch.setattr("pinnsolve.figures.samples.PIXELS", 9)
    solution = solution_of(tuple(names), unknowns=("u", "v"), time="t" if "t" in names else None)
    figure = solution.plot()
    assert figure.axes and figure._repr_png_().startswith(b"\x89PNG")


def test_complex_unknowns_are_plotted(complex_solution, tmp_path):
    figure = complex_solution.plot(tmp_path / "psi.png")
    assert (tmp_path / "psi.png").exists()
    assert sum(axes.get_title() != "" for axes in figure.axes) == 4  # both parts, modulus and u
