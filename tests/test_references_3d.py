"""The references in three coordinates: elements against known solutions, files against coarse elements."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture(autouse=True)
def references(monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT / "scripts" / "references"))


def columns_of(name: str) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """Points (N, 3) and the rest of a file."""
    with np.load(ROOT / "problems" / "references" / f"{name}.npz") as file:
        columns = {key: file[key] for key in file.files}
    return np.stack([columns.pop(c) for c in "xyz"], axis=1), columns


def test_tetrahedra_of_degree_4_converge_with_their_order():
    skfem = pytest.importorskip("skfem")
    from tetrahedra import elevated

    def u(x: np.ndarray) -> np.ndarray:
        return np.cos(np.pi * x).prod(axis=-1)

    def error(count: int) -> float:
        line = np.linspace(0, 1, count)
        mesh = skfem.MeshTet.init_tensor(line, line, line)
        points, corners = mesh.p.T, mesh.t.T.copy()
        edges = points[corners[:, 1:]] - points[corners[:, :1]]
        turned = np.linalg.det(edges) < 0
        corners[turned, :2] = corners[turned, 1::-1]
        cells = elevated(points, corners, 4, [])
        assert cells.volume() == pytest.approx(1, abs=1e-12)
        found = cells.solve(np.full(len(corners), 5.0), lambda x: (3 * np.pi**2 + 5) * u(x))
        places = np.random.default_rng(0).random((50, 3))
        return np.abs(cells.at(places, (1, 1, 1))(found) - u(places)).max()

    coarse, fine = error(3), error(5)
    assert fine < 1e-3
    assert fine < coarse / 2**4


def test_sides_bent_onto_a_ball_lie_on_it_and_stay_in_a_plane():
    pytest.importorskip("skfem")
    from tetrahedra import Ball

    ball = Ball((0.4, 0.3, 0.6), 0.2, 0.5)
    way = np.random.default_rng(0).standard_normal((200, 3))
    # the first 50 are points of the circle at z = 1/2
    way[:50, 2] = -0.1 / 0.2 * np.linalg.norm(way[:50, :2], axis=1) / np.sqrt(1 - 0.25)
    on = np.array(ball.center) + 0.2 * way / np.linalg.norm(way, axis=1)[:, None]
    near = np.array(ball.center) + 0.99 * (on - ball.center)
    near[:50, 2] = 0.5
    moved = ball.onto(near)
    assert ball.touches(moved).all()
    assert np.abs(moved - near).max() < 0.004
    np.testing.assert_allclose(moved[:50, 2], 0.5, atol=1e-15)
    np.testing.assert_allclose(ball.onto(on), on, atol=1e-14)


def test_the_cavities_reference_agrees_with_coarse_tetrahedra():
    pytest.importorskip("gmsh")
    import poisson_3d_cavities as cavities

    points, table = columns_of("poisson_3d_cavities")
    holes = [np.linalg.norm(points - ball[:3], axis=1) - ball[3] for ball in cavities.BALLS]
    assert np.min(holes) > 0
    size, along_circle, degree = 0.35, 8, 2
    whole = 1 - 4 / 3 * np.pi * sum(ball[3] ** 3 for ball in cavities.BALLS)
    assert cavities.mesh(size, along_circle, degree).volume() == pytest.approx(whole, rel=1e-4)
    found = cavities.solve(points, size, along_circle, degree)
    assert np.linalg.norm(found - table["u"]) < 0.04 * np.linalg.norm(table["u"])


def test_the_beam_reference_is_a_displacement_in_balance():
    """Coarse elements agree with the file and, by differences of them, with the equations and conditions."""
    import elastic_beam as beam

    points, table = columns_of("elastic_beam")
    coarse = beam.Beam(5, 3)
    for name, values in coarse(points).items():
        assert np.linalg.norm(values - table[name]) < 5e-3 * np.linalg.norm(table[name])
    h = 0.02

    def field(x: np.ndarray) -> np.ndarray:
        return np.stack(list(coarse(x).values()))  # (3, N)

    def gradient(x: np.ndarray) -> np.ndarray:
        """(3, 3, N): of component i along j."""
        return np.stack([(field(x + e) - field(x - e)) / (2 * h) for e in h * np.eye(3)], axis=1)

    def stress(x: np.ndarray) -> np.ndarray:
        g = gradient(x)
        return beam.LAME * np.einsum("kkn->n", g) * np.eye(3)[:, :, None] + beam.SHEAR * (g + g.transpose(1, 0, 2))

    inside = np.array([[1.5, 0.8, 0.6], [2.5, 0.3, 0.4], [3.4, 0.6, 0.5]])
    force = sum((stress(inside + e)[:, j] - stress(inside - e)[:, j]) / (2 * h) for j, e in enumerate(h * np.eye(3)))
    np.testing.assert_allclose(force, [[0] * 3, [0] * 3, [1] * 3], atol=0.05)
    top = np.array([[2.5, 0.4, 1 - h]])
    assert np.abs(stress(top)[2]).max() < 0.02 * np.abs(stress(top)[0, 0]).max()
    np.testing.assert_allclose(field(np.array([[0, 0.3, 0.7]])), 0, atol=1e-14)
