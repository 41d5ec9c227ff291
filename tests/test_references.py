"""The scripts that made the reference files agree with the files, and with the equations of the problems."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import pinnsolve as ps

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture(autouse=True)
def references(monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT / "scripts" / "references"))


def columns_of(name: str) -> dict[str, np.ndarray]:
    with np.load(ps.load(name).reference) as file:
        return {key: file[key] for key in file.files}


@pytest.mark.parametrize(("name", "until"), [("kuramoto-sivashinsky", 1.0), ("kuramoto-sivashinsky-half", 0.5)])
def test_the_kuramoto_sivashinsky_references_solve_the_equation_of_the_file(name, until):
    """A march with few modes, until errors have grown; the files say the same wherever they overlap."""
    import kuramoto_sivashinsky as ks

    problem = ps.load(name)
    assert problem.parameters == pytest.approx({"alpha": ks.ALPHA, "beta": ks.BETA, "gamma": ks.GAMMA})
    assert problem.intervals[0] == (0, until)
    table = columns_of(name)
    early = table["t"] <= 0.25
    levels = np.round(table["t"][early] * ks.LEVELS).astype(int)
    np.testing.assert_allclose(levels / ks.LEVELS, table["t"][early], atol=1e-14)
    u = ks.solve(levels, table["x"][early], 256, 1 / 10_000)
    np.testing.assert_allclose(u, table["u"][early], atol=1e-5)
    at_start = table["t"] == 0
    assert at_start.any()
    np.testing.assert_allclose(table["u"][at_start], ks.start_values(table["x"][at_start]), atol=1e-12)


def test_the_flow_taken_out_of_the_cavity_is_a_stokes_flow():
    import cavity

    x, y, h = np.array([0.3, 0.7, 0.05]), np.array([0.6, 0.2, 0.9]), 1e-4

    def field(name: str, i: int = 0, j: int = 0) -> np.ndarray:
        return cavity.both_corners(x + i * h, y + j * h)[name]

    def slope(name: str, i: int, j: int) -> np.ndarray:
        return (field(name, i, j) - field(name, -i, -j)) / (2 * h)

    def laplacian(name: str) -> np.ndarray:
        return sum(field(name, i, j) - field(name) for i, j in ((1, 0), (-1, 0), (0, 1), (0, -1))) / h**2

    for name, (i, j) in {"x": (1, 0), "y": (0, 1)}.items():
        for unknown in ("u", "v"):
            np.testing.assert_allclose(slope(unknown, i, j), field(f"{unknown}_{name}"), atol=1e-5)
    np.testing.assert_allclose(field("u_x") + field("v_y"), 0, atol=1e-13)
    np.testing.assert_allclose(slope("p", 1, 0), laplacian("u") / cavity.RE, atol=1e-5)
    np.testing.assert_allclose(slope("p", 0, 1), laplacian("v") / cavity.RE, atol=1e-5)


def test_the_cavity_reference_is_the_flow_of_the_file():
    import cavity

    problem = ps.load("cavity")
    assert problem.parameters["Re"] == cavity.RE
    table = columns_of("cavity")
    flow = cavity.solve(24)
    values = flow.at(table["x"], table["y"])
    for name, bound in {"u": 1e-4, "v": 1e-4, "p": 1e-3}.items():
        error = np.linalg.norm(values[name] - table[name]) / np.linalg.norm(table[name])
        assert error < bound
    along = np.array([0.1, 0.35, 0.8])
    for x, y, u in ((along, 1, 4 * along * (1 - along)), (along, 0, 0), (0, along, 0), (1, along, 0)):
        near = [np.broadcast_to(np.clip(c, 1e-9, 1 - 1e-9), 3) for c in (x, y)]
        wall = flow.at(*near)
        np.testing.assert_allclose(wall["u"], u, atol=1e-6)
        np.testing.assert_allclose(wall["v"], 0, atol=1e-6)
    corner = flow.at(np.full(1, cavity.NEAR_CORNER), np.full(1, cavity.NEAR_CORNER))
    assert abs(corner["p"]) < 1e-14


def test_the_stiff_references_are_those_of_other_methods():
    """Radau against backward differentiation, as far as loose tolerances let them agree; the files' own equations."""
    import stiff
    from scipy.integrate import solve_ivp

    robertson, oscillator = ps.load("robertson"), ps.load("van-der-pol")
    assert tuple(robertson.parameters[name] for name in ("slow", "back", "fast")) == stiff.RATES
    assert oscillator.parameters["mu"] == stiff.MU
    assert robertson.intervals[0][1] == stiff.ENDS["robertson"]
    assert oscillator.intervals[0][1] == stiff.ENDS["van_der_pol"]
    table = columns_of("robertson")
    slow, back, fast = stiff.RATES

    def velocity(_, state):
        first, second, third = slow * state[0], back * state[1] * state[2], fast * state[1] ** 2
        return second - first, first - second - third, third

    every = slice(None, None, 100)
    found = solve_ivp(velocity, (0, 1e5), (1, 0, 0), "BDF", table["t"][every], rtol=1e-7, atol=1e-13).y
    for name, values in zip("abc", found, strict=True):
        np.testing.assert_allclose(values, table[name][every], rtol=2e-4)
    early = columns_of("van-der-pol")
    before = early["t"] < 300
    np.testing.assert_allclose(stiff.van_der_pol(early["t"][before], 1e-8)[0], early["y"][before], atol=1e-6)


@pytest.mark.parametrize(
    ("name", "modes", "steps", "until", "error"),
    [
        ("heat-2d-long", 95, 8000, 0.5, 1e-3),
        ("wave-2d-variable", 96, 500, 1.0, 5e-3),
        ("wave-random-speed", 128, 1500, 0.5, 1e-2),
    ],
)
def test_series_with_few_terms_agree_with_references_on_walled_planes(name, modes, steps, until, error):
    import walled_planes

    plane, table = walled_planes.PLANES[name.replace("-", "_")], columns_of(name)
    early = table["t"] <= until
    number = np.round(table["t"][early] / plane.until * steps).astype(int)
    places = (np.stack([table["x"], table["y"]], axis=1)[early] - plane.low) / plane.length
    found = np.empty(len(number))
    for n, c in zip(range(number.max() + 1), plane.solve(modes, steps), strict=False):
        here = number == n
        if here.any():
            x, y = (plane.functions(modes, z) for z in places[here].T)
            found[here] = np.einsum("nk,kl,nl->n", x, c, y)
    assert np.linalg.norm(found - table["u"][early]) < error * np.linalg.norm(table["u"][early])


def test_a_few_polynomials_agree_with_the_reference_of_the_channel():
    import channel_in_time as channel

    table = columns_of("channel-in-time")
    early = table["t"] < 0.4
    levels = np.floor(table["t"][early] / channel.END * channel.LEVELS).astype(int)
    np.testing.assert_allclose((levels + 0.5) * channel.END / channel.LEVELS, table["t"][early])
    found = channel.solve(np.stack([table["x"], table["y"]], axis=1)[early], levels, (5, 8), 2000)
    for name, error in {"u": 1e-2, "v": 1e-1, "p": 1e-2}.items():
        assert np.linalg.norm(found[name] - table[name][early]) < error * np.linalg.norm(table[name][early])


def test_few_layers_agree_with_the_reference_of_many_subdomains():
    import many_subdomains

    table = columns_of("poisson-many-subdomains")
    points = np.stack([table["x"], table["y"]], axis=1)
    found = many_subdomains.solve(points, 2, 3)
    assert np.linalg.norm(found - table["u"]) < 2e-3 * np.linalg.norm(table["u"])
    coarse = many_subdomains.solve(points, 1, 2)
    assert np.linalg.norm(coarse - table["u"]) > 3 * np.linalg.norm(found - table["u"])  # and layers help


def test_elements_of_low_degree_agree_with_the_reference_of_the_random_conductivity():
    pytest.importorskip("skfem")
    import random_conductivity as conductivity

    table = columns_of("heat-random-conductivity")
    some = slice(0, 600)
    levels = np.round(table["t"][some] / conductivity.END * conductivity.LEVELS).astype(int)
    found = conductivity.solve(np.stack([table["x"], table["y"]], axis=1)[some], levels, 1, 2)
    assert np.linalg.norm(found - table["u"][some]) < 5e-3 * np.linalg.norm(table["u"][some])
    assert (table["u"][table["t"] == 0] == 0).all() or np.abs(table["u"][table["t"] == 0]).max() < 1e-8
