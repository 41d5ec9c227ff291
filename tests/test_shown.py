"""What figures and reports show besides a solution: velocities, measured values, uncertainty, the estimated error."""

from __future__ import annotations

import math
from dataclasses import replace
from datetime import datetime

import numpy as np
import pytest
import sympy as sp
import torch
from matplotlib.collections import FillBetweenPolyCollection, LineCollection
from matplotlib.quiver import Quiver
from sine_basis import solution_of

import pinnsolve as ps
from pinnsolve.assembly.row_source import State
from pinnsolve.estimate.defect_correction import Approximation, Estimate
from pinnsolve.figures import figures
from pinnsolve.figures import samples as sampling
from pinnsolve.figures.samples import sample
from pinnsolve.output.html import report
from pinnsolve.version import machine, versions

SQUARE = {"coordinates": ("x", "y"), "time": None}


@pytest.fixture(autouse=True)
def coarse(monkeypatch):
    monkeypatch.setattr(sampling, "PIXELS", 31)


def panels(figure):
    """The panels by their labels, without colour bars."""
    return [axes for axes in figure.axes if axes.images or axes.lines]


def of_kind(axes, kind):
    return [one for one in axes.get_children() if isinstance(one, kind)]


# -- velocities -----------------------------------------------------------------------------------------------------


def test_a_steady_velocity_has_streamlines_over_its_speed():
    flow = solution_of(**SQUARE, unknowns=("u", "v", "p"), vectors={"velocity": ("u", "v")})
    found = sample(flow)
    assert list(found.values) == ["|velocity|", "u", "v", "p"]
    np.testing.assert_allclose(found.values["|velocity|"][0], np.hypot(found.values["u"][0], found.values["v"][0]))
    speed, *others = panels(figures.solution_figure(found))
    assert of_kind(speed, LineCollection) and speed.get_title() == "|velocity|"
    assert not any(of_kind(axes, LineCollection) for axes in others)


def test_a_velocity_at_several_times_has_arrows_that_point_along_it():
    flow = solution_of(("t", "x", "y"), unknowns=("u", "v"), vectors={"velocity": ("u", "v")})
    found = sample(flow)
    arrows = [one for axes in panels(figures.solution_figure(found)) for one in of_kind(axes, Quiver)]
    assert len(arrows) == len(found.views)
    first = arrows[0]
    x, y = first.XY.T
    expected = flow(t=np.zeros_like(x), x=x, y=y)
    np.testing.assert_allclose(first.U, expected["u"], rtol=1e-9)
    np.testing.assert_allclose(first.V, expected["v"], rtol=1e-9)


def test_a_slice_across_another_direction_takes_the_components_in_it(monkeypatch):
    vectors = {"velocity": ("u", "v", "w")}
    flow = solution_of(("x", "y", "z"), time=None, unknowns=("u", "v", "w"), vectors=vectors)
    drawn = []
    monkeypatch.setattr(figures.style, "flow", lambda axes, extent, along, lines: drawn.append(along))
    found = sample(flow)
    figures.solution_figure(found)
    for view, along in zip(found.views, drawn, strict=True):
        for axis, part in zip(view.axes, along, strict=True):
            np.testing.assert_array_equal(part, found.values["uvw"[axis]][found.views.index(view)])


def test_a_velocity_has_no_error_of_its_own():
    flow = solution_of(**SQUARE, unknowns=("u", "v"), vectors={"velocity": ("u", "v")})
    found = sample(flow, lambda points: {name: flow.values(points, name) + 1 for name in ("u", "v")})
    assert len(panels(figures.error_figure(found))) == 2


# -- the estimated error --------------------------------------------------------------------------------------------


def test_the_estimated_error_is_shown_where_it_is(tmp_path):
    problem = ps.load("poisson-2d")
    solution = ps.solve(problem, tolerance=1e-3)
    found = sample(solution)
    (field,) = found.estimated["u"]
    assert field.shape == (sampling.ERROR_PIXELS,) * 2
    points = found.views[0].grid(solution, sampling.ERROR_PIXELS)
    truth = np.sin(np.pi * points).prod(axis=1)
    error = np.abs(solution.values(points, "u") - truth).reshape(field.shape)
    assert 0.3 < np.sqrt(np.mean(field**2)) / np.sqrt(np.mean(error**2)) < 3
    assert np.corrcoef(field.ravel(), error.ravel())[0, 1] > 0.8  # large in the same places
    figure = figures.estimated_figure(found)
    assert "estimated error of" in figure.texts[0].get_text() and "L²" not in figure.texts[0].get_text()
    again = ps.load_solution(solution.save(tmp_path / "run"))
    np.testing.assert_array_equal(sample(again).estimated["u"][0], field)


def test_the_estimated_error_of_a_network_is_its_defect():
    network = {"width": 24, "activation": "tanh", "scale": 4}
    solution = ps.solve(ps.load("bratu"), method="least_squares", basis=network, tolerance=1e-2)
    found = sample(solution)
    (field,) = found.estimated["u"]
    x = found.views[0].grid(solution, len(field))
    error = np.abs(solution.values(x, "u") - truth_of_bratu(x[:, 0]))
    assert 0.2 < np.sqrt(np.mean(field**2)) / np.sqrt(np.mean(error**2)) < 5
    stated = solution.result["estimated_error"]["u"] * np.sqrt(np.mean(solution.values(x, "u") ** 2))
    assert 0.5 < np.sqrt(np.mean(field**2)) / stated < 2


def test_the_estimated_error_of_a_fit_holds_what_noise_adds():
    solution = ps.solve(ps.load("find-the-diffusivity"))
    found = sample(solution)
    (field,), view = found.estimated["u"], found.views[0]
    points = view.grid(solution, sampling.ERROR_PIXELS)
    deviation = solution.standard_deviation("u")(**dict(zip(solution.coordinates, points.T, strict=True)))
    assert (field.ravel() >= 1.999 * deviation).all()
    size = np.sqrt(np.mean(solution.values(points, "u") ** 2))
    assert 0.5 < np.sqrt(np.mean(field**2)) / size / solution.result["estimated_error"]["u"] < 2


def truth_of_bratu(x):
    """The lower solution; see problems/bratu.yaml."""
    exact = ps.load("bratu").exact["u"]
    (symbol,) = exact.free_symbols
    return sp.lambdify(symbol, exact)(x)


def test_an_estimate_enlarged_beyond_all_measure_has_no_picture():
    error = Approximation(None, State(torch.ones(2, 3), torch.zeros(0)))
    estimate = Estimate({"u": 1e-3, "v": 1e-2}, {}, 0.1, error)
    larger = estimate.at_least({"u": 2e-3})
    assert torch.equal(larger.error.state.coefficients[:, 0], torch.tensor([2.0, 1.0]))
    assert estimate.enlarged(3.0).error.state.coefficients.eq(3.0).all()
    assert estimate.at_least({"u": 1.0}).error is None and larger.enlarged(math.inf).error is None


def test_without_an_estimate_there_is_no_such_figure():
    found = sample(solution_of(**SQUARE))
    assert figures.estimated_figure(found) is None and figures.uncertainty_figure(found) is None


# -- measured values and uncertainty --------------------------------------------------------------------------------

DECAY = {
    "name": "decay",
    "coordinates": {"t": [0, 2]},
    "unknowns": "u",
    "unknown_parameters": {"k": {"guess": 1, "bounds": [0, 5]}},
    "equations": {"decay": "D(u, t) = -k*u"},
    "conditions": {"start": {"on": "t = 0", "equation": "u = 1"}},
    "data": {"probe": {"file": "probe.csv", "equation": "2*u = double", "noise": 0.02}},
    "solve": {"tolerance": 1e-2},
}


@pytest.fixture(scope="module")
def inverse(tmp_path_factory):
    from pinnsolve.pipeline import build_problem
    from pinnsolve.spec.spec import spec_from_dict

    folder = tmp_path_factory.mktemp("decay")
    t = np.linspace(0.1, 2, 20)
    values = 2 * np.exp(-0.7 * t) + 0.02 * np.random.default_rng(1).standard_normal(20)
    lines = [f"{a!r},{b!r}" for a, b in zip(t.tolist(), values.tolist(), strict=True)]
    (folder / "probe.csv").write_text("\n".join(["t,double", *lines]) + "\n")
    problem = build_problem(spec_from_dict(DECAY, folder))
    return problem, ps.solve(problem), t, values / 2


def test_measured_values_are_those_of_the_file(inverse):
    _, solution, t, values = inverse
    table = sample(solution).measured["u"]
    np.testing.assert_allclose(table, np.stack([t, values], axis=1), rtol=1e-9)


def test_a_line_has_its_data_and_a_band(inverse):
    _, solution, t, _ = inverse
    found = sample(solution)
    (axes,) = panels(figures.solution_figure(found))
    (marks,) = [line for line in axes.lines if line.get_label() == "measured"]
    np.testing.assert_allclose(marks.get_xdata(), t)
    (band,) = of_kind(axes, FillBetweenPolyCollection)
    deviation = solution.standard_deviation("u")(t=1.0)
    at = band.get_paths()[0].vertices
    width = np.ptp(at[np.abs(at[:, 0] - 1.0) < 2e-3][:, 1])
    assert width == pytest.approx(4 * deviation, rel=0.05) and deviation > 0
    assert {"measured", "± 2 standard deviations"} <= {text.get_text() for text in axes.get_legend().get_texts()}


def test_places_of_data_in_an_image():
    image = solution_of(**SQUARE)
    table = np.array([[0.1, 0.2, 1.0], [0.5, 1.5, 2.0]])
    found = replace(sample(image), measured={"u": table})
    (axes,) = panels(figures.solution_figure(found))
    (marks,) = [line for line in axes.lines if line.get_marker() == "o"]
    np.testing.assert_array_equal(marks.get_xydata(), table[:, :2])


def test_a_report_says_machine_date_and_versions(inverse, tmp_path):
    problem, solution, _, _ = inverse
    result = solution.result
    assert result["machine"] == machine() and result["versions"] == versions()
    assert datetime.fromisoformat(result["date"]).tzinfo is not None
    assert {"python", "torch", "numpy"} <= set(result["versions"])
    page = report.report_page(solution, problem)
    for words in (result["machine"], result["date"], f"torch {result['versions']['torch']}"):
        assert report.html.text(words) in page
