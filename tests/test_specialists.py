"""The classical methods that pinnsolve is compared with reach their own errors, and the page says what was measured."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import pinnsolve as ps

ROOT = Path(__file__).resolve().parents[1]
# problem -> a resolution, and what its error is at most
RUNGS = {
    "poisson-2d": (14, 1e-12),
    "helmholtz-2d": (32, 1e-9),
    "helmholtz-4pi": (24, 1e-11),
    "poisson-3d": (14, 1e-11),
    "wave-1d": (24, 1e-11),
    "heat-2d-multiscale": (60, 1e-10),
    "sine-gordon": ((48, 1e-8), 1e-6),
    "klein-gordon": ((8, 1e-9), 1e-7),
    "advection-speed-40": (8, 1e-13),
    "burgers": ((1024, 800), 1e-5),
    "allen-cahn": ((512, 200), 1e-5),
    "kdv-two-solitons": ((384, 1600), 1e-6),
    "kuramoto-sivashinsky-half": ((256, 8), 1e-6),
    "kuramoto-sivashinsky": ((192, 4), 1e-3),
    "schroedinger-soliton": ((256, 400), 1e-6),
    "cavity": (8, 5e-3),
    "taylor-green": ((8, 50), 1e-13),
    "shear-layer": ((64, 50), 1e-4),
    "burgers-2d": ((80, 50), 1e-4),
    "gray-scott": ((192, 150), 1e-2),
    "heat-2d-long": ((71, 2000), 5e-3),
    "wave-2d-variable": ((96, 500), 1e-3),
    "heat-2d-multiscale, elements": ((48, 4, 50), 1e-4),
    "wave-2d-long": ((6, 1000), 1e-3),
    "wave-2d-variable, elements": ((16, 100), 5e-3),
    "heat-many-holes": ((2.0, 10, 3, 80), 1e-3),
    "channel-in-time": ((9, 5, 1200), 1e-2),
}
BY_ELEMENTS = {"cavity", "wave-2d-long", "heat-many-holes", "channel-in-time"}


@pytest.fixture(autouse=True)
def scripts(monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT / "scripts" / "references"))
    monkeypatch.syspath_prepend(str(ROOT / "scripts"))


def test_every_specialist_is_tried_here():
    import compare_classical

    assert set(RUNGS) == set(compare_classical.SPECIALISTS)


@pytest.mark.parametrize("name", RUNGS)
def test_a_specialist_solves_the_problem_of_the_file(name):
    import compare_classical

    if name in BY_ELEMENTS or "elements" in name:
        pytest.importorskip("skfem")
    if name == "heat-many-holes":
        pytest.importorskip("gmsh")
    specialist = compare_classical.SPECIALISTS[name]()
    points, truth = compare_classical.truth_of(ps.load(compare_classical.problem_of(name)), specialist)
    resolution, bound = RUNGS[name]
    assert resolution in specialist.ladder
    times = np.unique(points[:, 0]) if specialist.levels else np.zeros(1)
    values = specialist.solve(resolution, times)(points)
    assert compare_classical.error_of(values, truth, specialist.unknowns) < bound


def test_no_problem_is_compared_twice_at_a_tolerance():
    from compare_classical import SPECIALISTS, compared

    assert len(compared()) == len(set(compared()))
    assert {name for name, _ in compared()} == set(SPECIALISTS)


def test_the_ladder_ends_where_the_error_is_that_asked_for():
    import compare_classical

    specialist = compare_classical.SPECIALISTS["poisson-2d"]()
    points, truth = compare_classical.truth_of(ps.load("poisson-2d"), specialist)
    rungs = compare_classical.climb(specialist, points, truth, 1e-6)
    assert [rung["resolution"] for rung in rungs] == [6, 8]
    assert rungs[-1]["error"] <= 1e-6 < rungs[0]["error"]


def test_the_page_says_what_was_measured():
    from compare_classical import page_text

    row = {
        "problem": "burgers",
        "tolerance": 1e-7,
        "method": "Fourier",
        "ours": {"error": 2e-8, "seconds": 2.0, "status": "converged"},
        "theirs": {"error": 3e-8, "seconds": 0.05, "resolution": 8},
        "ratio": 40.0,
    }
    page = page_text([row, {"problem": "cavity", "tolerance": 1e-4, "method": "", "failure": "MemoryError: 900 GB"}])
    assert "burgers.yaml) to 1e-07 | 2.0e-08 | 2 s | Fourier | 3.0e-08 * | 50 ms | 40 |" in page
    assert "Errors marked *" in page
    assert "cavity.yaml) to 1e-04 | MemoryError: 900 GB |" in page
