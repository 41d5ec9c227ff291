"""`pinnsolve check --plot`: the values that conditions ask for, where they ask, and the picture of it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from shape_problems import CENTER, INNER, OUTER, ring_problem
from test_figures import assert_well_laid_out

import pinnsolve as ps
from pinnsolve.compiler.compiler import compile_problem
from pinnsolve.figures import labels, style
from pinnsolve.figures.setup import SetupError, setup_figure
from pinnsolve.figures.setup_values import asked, fills_space, free_boundary, place, solve_points
from pinnsolve.problem.build import build_problem
from pinnsolve.spec.spec import spec_from_dict


def compiled_with(conditions: dict, **keys):
    """A Laplace equation on [0, 1] x [0, 2] with these conditions."""
    data = {
        "name": "plate",
        "coordinates": {"x": [0, 1], "y": [0, 2]},
        "unknowns": "u",
        "equations": {"laplace": "laplacian(u) = 0"},
        "conditions": conditions,
        **keys,
    }
    return compile_problem(build_problem(spec_from_dict(data)))


def asked_by(compiled, name: str):
    return asked(next(t for t in compiled.terms if t.name == name), compiled)


@pytest.mark.parametrize(
    ("equation", "label", "value"),
    [
        ("u = sin(y)", "u", lambda y: np.sin(y)),
        ("1 + y = u", "u", lambda y: 1 + y),
        ("0 = y - 3*u", "3*u", lambda y: y),
        ("Dn(u) = 5*y - u", "u + n_x*u_x + n_y*u_y", lambda y: 5 * y),
        ("D(u, x) = n_x", "u_x", lambda y: -1 + 0 * y),
    ],
)
def test_values_of_a_condition(equation, label, value):
    compiled = compiled_with(
        {"side": {"on": "x = 0", "equation": equation}, "rest": {"on": "x = 1", "equation": "u = 0"}}
    )
    (found,) = asked_by(compiled, "side")
    assert found.label == label
    assert (found.points[:, 0] == 0).all() and np.ptp(found.points[:, 1]) == 2
    np.testing.assert_allclose(found.values, value(found.points[:, 1]), atol=1e-13)


def test_what_gives_no_values():
    nonlinear = {"side": {"on": "boundary", "equation": "u**2 = 1"}}
    assert asked_by(compiled_with(nonlinear), "side") == []
    periodic = {"tied": {"periodic": "x"}, "side": {"on": "y = 0", "equation": "u = 0"}}
    assert asked_by(compiled_with(periodic), "tied") == []
    unknown = {"side": {"on": "boundary", "equation": "u = k"}}
    assert asked_by(compiled_with(unknown, unknown_parameters={"k": {"guess": 1}}), "side") == []


def test_a_condition_at_a_few_times_and_narrowed():
    compiled = compile_problem(ps.load("heat-2d-multiscale"))
    found = asked_by(compiled, "walls")
    assert {a.time for a in found} == {0.0, 2.5, 5.0}
    for a in found:
        assert (a.points[:, compiled.coordinates.index("t")] == a.time).all() and len(a.free_axes()) == 1
    narrowed = compiled_with({"side": {"on": "boundary", "equation": "u = x", "where": "x > 0.5"}})
    found = asked_by(narrowed, "side")
    assert len(found) == 3  # the face x = 0 has none of it
    assert min(a.points[:, 0].min() for a in found) > 0.5


def test_the_boundary_without_condition_is_found():
    sides = {"side": {"on": ["x = 0", "y = 0", "y = 2"], "equation": "u = 0"}}
    transport = {"laplace": "D(u, x) + D(u, y) = 0"}
    free = free_boundary(compiled_with(sides, equations=transport))
    assert free.label == "x = 1"
    assert (place(free, compiled_with(sides)).x[0, :, 0] == 1).all()
    assert free_boundary(compiled_with(sides)) is None  # there Dn(u) = 0 is assumed, and drawn by that name
    assert compiled_with(sides).terms[-1].name == "assumed on x = 1"
    assert free_boundary(compiled_with({"all": {"on": "boundary", "equation": "u = 0"}})) is None
    tied = {"tied": {"periodic": "x"}, "side": {"on": "y = 0", "equation": "u = 0"}}
    assert free_boundary(compiled_with(tied, equations=transport)).label == "y = 2"
    start = {t.name: t for t in compile_problem(ps.load("advection")).terms}["start"]
    assert fills_space(start.region, compile_problem(ps.load("advection")))


def test_the_points_are_those_of_the_solve():
    problem = ps.load("poisson-2d", ["solve.collocation.interior=300", "solve.collocation.sampling=uniform"])
    points, exactly = solve_points(problem, compile_problem(problem))
    assert exactly and points["poisson"].count == 300
    assert not solve_points(ps.load("poisson-2d"), compile_problem(ps.load("poisson-2d")))[1]


@pytest.mark.parametrize(
    "name",
    ["logistic", "burgers", "heat-robin", "wave-1d", "cavity", "laplace-mixed", "heat-2d-multiscale", "poisson-3d",
     "regression", "find-the-diffusivity", "advection"],
)  # fmt: skip
def test_every_kind_of_problem_can_be_drawn(name, monkeypatch):
    monkeypatch.setattr(style, "DOTS_PER_INCH", 50)
    figure = setup_figure(ps.load(name))
    words = {text.get_text() for axes in figure.axes if (legend := axes.get_legend()) for text in legend.get_texts()}
    for term in compile_problem(ps.load(name)).terms:
        if term.kind != "equation":
            assert any(word.startswith(labels.plain(term.name)) for word in words)
    with style.styled():
        assert_well_laid_out(figure)


def test_normals_point_out_of_the_domain():
    figure = setup_figure(ps.load("laplace-mixed"))
    arrows = [mark for mark in figure.axes[0].collections if type(mark).__name__ == "Quiver"]
    assert len(arrows) == 2
    for arrow in arrows:
        tips = arrow.XY + 0.5 * np.stack([arrow.U, arrow.V], axis=1)
        assert ((tips < 0) | (tips > 1)).any(axis=1).all()
        assert ((arrow.XY >= 0) & (arrow.XY <= 1)).all()


def test_too_many_coordinates_and_wrong_endings(tmp_path):
    with pytest.raises(SetupError, match="5 coordinates of space, but at most 3"):
        setup_figure(ps.load("poisson-5d"))


def test_the_command(work, command):
    code, out, _ = command("check", "waves.yaml", "--plot", "setup.png")
    assert code == 0 and out.splitlines()[-1] == "drew setup.png"
    assert Path("setup.png").read_bytes()[:4] == b"\x89PNG"
    code, out, _ = command("check", "waves.yaml", "--json", "--plot", "other.png")
    assert code == 0 and out.rstrip().endswith("}") and Path("other.png").exists()
    for to, words in (("setup.txt", "a picture ends in"), ("nowhere/setup.png", "there is no folder nowhere")):
        code, _, err = command("check", "waves.yaml", "--plot", to)
        assert code == 2 and words in err


# -- domains that are shapes --------------------------------------------------------------------------------------


@pytest.mark.parametrize("time", [False, True])
def test_a_shape_with_its_parts(time, monkeypatch):
    monkeypatch.setattr(style, "DOTS_PER_INCH", 50)
    problem = ring_problem(time)
    figure = setup_figure(problem)
    with style.styled():
        assert_well_laid_out(figure)
    arrows = {tuple(m.get_facecolor()[0]): m for m in figure.axes[0].collections if type(m).__name__ == "Quiver"}
    assert len(arrows) == 2
    for arrow in arrows.values():
        radii = np.linalg.norm(arrow.XY - CENTER, axis=1)
        outer = np.isclose(radii, OUTER)
        np.testing.assert_allclose(radii[~outer], INNER)
        outward = np.einsum("ij,ij->i", np.stack([arrow.U, arrow.V], axis=1), arrow.XY - CENTER)
        assert outer.all() or not outer.any()  # each condition has its own colour
        assert (np.sign(outward) == np.where(outer, 1, -1)).all()
    compiled = compile_problem(problem)
    for a in asked_by(compiled, "rim"):
        assert a.dimension == 1 and (a.time is not None) == time
        np.testing.assert_allclose(a.values, a.points[:, compiled.coordinates.index("x")], atol=1e-14)


def test_a_part_of_a_shape_without_condition():
    compiled = compile_problem(ring_problem(rim={"on": "rim", "equation": "u = 0"}))
    assert [term.name for term in compiled.terms][-1] == "assumed on hole" and free_boundary(compiled) is None
    assert free_boundary(replace(compiled, terms=compiled.terms[:-1])).label == "hole"
    everything = compile_problem(ring_problem(all={"on": "boundary", "equation": "u = 0"}))
    assert free_boundary(everything) is None
