"""`output` of a problem file: the times and the grid of tables, figures and exports."""

from __future__ import annotations

import csv
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from conftest import WAVES
from sine_basis import solution_of

import pinnsolve as ps
from pinnsolve.errors import ProblemError
from pinnsolve.figures.samples import sample
from pinnsolve.files.yaml_reader import parse_yaml
from pinnsolve.results.solution import load_solution
from pinnsolve.spec.output import Output
from pinnsolve.spec.spec import load_spec, spec_from_dict

HEAT = {
    "name": "heat",
    "coordinates": {"t": [0, "T"], "x": [0, 1]},
    "unknowns": "u",
    "parameters": {"T": 0.5},
    "equations": {"heat": "D(u, t) = D(u, x, x)"},
    "conditions": {
        "start": {"on": "t = 0", "equation": "u = sin(pi*x)"},
        "ends": {"on": "boundary", "equation": "u = 0"},
    },
    "quantities": {"energy": {"integral": "u**2"}},
}


def stated(output) -> Output:
    return spec_from_dict({**HEAT, "output": output}).parsed.output


def test_times_and_grid_are_read():
    assert stated({"times": [0, "T/3", "T"], "grid": {"x": "2**4"}}) == Output((0.0, 0.5 / 3, 0.5), {"x": 16}, None)
    assert stated({"times": 11, "grid": 64}) == Output(11, {}, 64)
    assert not stated(None).is_stated


def test_a_last_time_up_to_rounding_is_the_end():
    assert stated({"times": ["0.1 + 0.2", 0.5 + 1e-14]}).times[-1] == 0.5


def test_the_text_of_a_spec_has_it():
    spec = spec_from_dict({**HEAT, "output": {"times": [0, "T"], "grid": {"x": 5}}})
    assert spec_from_dict(parse_yaml(spec.to_yaml()).data).output == spec.output
    assert "T" in spec.to_yaml().partition("output:")[2] and spec.output.times == (0, "T")


def test_everything_wrong_with_it_is_said_at_once(tmp_path):
    file = tmp_path / "waves.yaml"
    lines = "output:\n  times: [0, 0.5, 3, 0.25, two]\n  grid: {y: 3, t: 4, x: 1}\n  tmies: 3\n"
    file.write_text(WAVES + lines)
    with pytest.raises(ProblemError) as caught:
        load_spec(file)
    said = {d.key: d for d in caught.value.diagnostics}
    keys = ("times.2", "times.3", "times.4", "grid.y", "grid.t", "grid.x", "tmies")
    assert set(said) == {f"output.{key}" for key in keys}
    assert "lies outside [0, 1]" in said["output.times.2"].message
    assert "0.25 follows 0.5" in said["output.times.3"].message
    assert said["output.tmies"].hint == "did you mean `times`?"
    first = WAVES.count("\n") + 1
    assert {d.line for d in said.values()} == {first + 1, first + 2, first + 3}


@pytest.mark.parametrize(
    ("changes", "output", "words"),
    [
        ({"coordinates": {"x": [0, 1], "y": [0, 1]}, "equations": {"a": "laplacian(u) = 0"}}, {"times": 3}, "on time"),
        ({"coordinates": {"t": [0, 1]}, "equations": {"a": "D(u, t) = 1"}}, {"grid": 3}, "no coordinate of space"),
        ({}, {"times": []}, "the list of times is empty"),
        ({}, {"times": {"from": 0}}, "how many times, or a list"),
        ({}, {"grid": [3, 4]}, "points per axis"),
        ({}, {"times": 1}, "at least 2"),
        ({}, 3, "a map is expected"),
    ],
)
def test_what_cannot_be(changes, output, words):
    conditions = {"conditions": {"start": {"on": "boundary", "equation": "u = 0"}}, "quantities": {}} if changes else {}
    with pytest.raises(ProblemError) as caught:
        spec_from_dict({**HEAT, **conditions, **changes, "output": output})
    assert any(words in d.message for d in caught.value.diagnostics)


# -- obeyed -------------------------------------------------------------------------------------------------------


@pytest.fixture
def saved(work):
    solution = replace(solution_of(), output=Output((0.0, 0.25, 1.0), {"x": 4}))
    solution.save("run")
    return solution


def test_it_is_saved_with_a_solution(saved):
    assert load_solution("run").output == saved.output


def test_an_export_has_these_times_and_points(saved, command):
    assert command("export", "run", "--to", "values.npz")[0] == 0
    with np.load("values.npz") as found:
        assert found["t"].tolist() == [0, 0.25, 1] and len(found["x"]) == 4 and found["u"].shape == (3, 4)


def test_an_export_may_ask_for_others(saved, command):
    assert command("export", "run", "--to", "values.npz", "--times", "0.5,0.75", "--points", "3")[0] == 0
    with np.load("values.npz") as found:
        assert found["t"].tolist() == [0.5, 0.75] and found["u"].shape == (2, 3)
    code, _, err = command("export", "run", "--to", "values.npz", "--times", "0,2")
    assert code == 2 and "t = 2.0 lies outside [0, 1]" in err
    code, _, err = command("export", "run", "--to", "values.npz", "--times", "0;2")
    assert code == 2 and "numbers with commas" in err


def test_a_steady_solution_has_no_times(work, command):
    solution_of(coordinates=("x", "y"), time=None).save("run")
    code, _, err = command("export", "run", "--to", "values.npz", "--times", "0")
    assert code == 2 and "does not depend on time" in err


def test_figures_show_these_times():
    image = sample(replace(solution_of(), output=Output((0.0, 0.25, 1.0))))
    assert [dict(view.held)[0] for view in image.profiles] == [0, 0.25, 1]
    solution = replace(solution_of(("t", "x", "y")), output=Output((0.5,)))
    assert [dict(view.held)[0] for view in sample(solution).views] == [0.5]
    many = sample(replace(solution, output=Output(101))).views
    assert 4 <= len(many) <= 6 and dict(many[0].held)[0] == 0 and dict(many[-1].held)[0] == 1


def test_a_run_writes_a_table_of_values(work, solved, command):
    solved(output=Output((0.0, 1.0), {"x": 3}))
    assert command("run", "waves.yaml", "--out", "run")[0] == 0
    header, *rows = csv.reader(Path("run/values.csv").read_text().splitlines())
    assert header == ["t", "x", "u"]
    assert [row[:2] for row in rows] == [["0.0", "-1.0"], ["0.0", "0.5"], ["0.0", "2.0"]] + [
        ["1.0", x] for x in ("-1.0", "0.5", "2.0")
    ]
    solved()  # the same folder, and nothing asked for
    assert command("run", "waves.yaml", "--out", "run")[0] == 0
    assert not Path("run/values.csv").exists()


def test_a_table_too_long_for_people_is_left_out(work, solved, command):
    solved(output=Output(1001, {"x": 1000}))
    code, _, err = command("run", "waves.yaml", "--out", "run")
    assert code == 0 and "values.csv would have 1001 x 1000 points in t, x" in err
    assert not Path("run/values.csv").exists()


def test_series_have_these_times_and_a_solve_is_the_same():
    problem = {**HEAT, "parameters": {"T": 0.1}, "solve": {"tolerance": 1e-4}}
    found = ps.solve(ps.pipeline.build_problem(spec_from_dict({**problem, "output": {"times": [0, "T/3", "T"]}})))
    header, rows = found.series
    assert header[0] == "t" and rows[:, 0].tolist() == [0.0, 0.1 / 3, 0.1]
    expected = 0.5 * np.exp(-2 * np.pi**2 * rows[:, 0])
    np.testing.assert_allclose(rows[:, 1], expected, rtol=1e-3)
    plain = ps.solve(ps.pipeline.build_problem(spec_from_dict(problem)))
    assert plain.result["quantities"]["energy"]["value"] == found.result["quantities"]["energy"]["value"]


# -- without figures, with derivatives and operators ------------------------------------------------------------------


def test_without_figures(work, solved, command, monkeypatch):
    monkeypatch.setattr("pinnsolve.figures.drawer.Drawer.__init__", None)  # not even another process
    assert command("run", "waves.yaml", "--out", "run", "--no-figures")[0] == 0
    assert Path("run/report.html").exists() and not Path("run/figures").exists()


@pytest.mark.parametrize("ending", ["npz", "csv", "vtu"])
def test_derivatives_in_exports(saved, command, ending):
    options = ("--derivative", "D(u, x)", "--derivative", "u**2")
    assert command("export", "run", "--to", f"values.{ending}", "--times", "0.5", *options)[0] == 0
    x = np.linspace(-1, 2, 4)
    expected = saved.derivative("u", "x")(t=0.5, x=x)
    if ending == "npz":
        with np.load("values.npz") as found:
            slope, square, u = found["D(u, x)"][0], found["u**2"][0], found["u"][0]
    elif ending == "csv":
        rows = csv.DictReader(Path("values.csv").read_text().splitlines())
        slope, square, u = np.array([[float(row[k]) for k in ("D(u, x)", "u**2", "u")] for row in rows]).T
    else:
        import meshio

        data = meshio.read("values.vtu").point_data
        slope, square, u = data["D(u, x)"], data["u**2"], data["u"]
    np.testing.assert_allclose(slope, expected, rtol=1e-12)
    np.testing.assert_allclose(square, u**2, rtol=1e-12)


OPERATOR = '''
import pinnsolve as ps

@ps.operator("twice_slope", order=1)
def twice_slope(basis, points):
    """Twice the slope along x."""
    return 2*basis.derivatives(points, [(0, 1)])[(0, 1)]
'''


def test_operators_in_evaluate_and_export(saved, command, monkeypatch):
    from pinnsolve.language import operators

    monkeypatch.setattr(operators, "OPERATORS", operators.OPERATORS)
    Path("mine.py").write_text(OPERATOR)
    Path("points.csv").write_text("t,x\n0.5,0.1\n1,1.5\n")
    options = ("--operators", "mine.py", "--derivative", "twice_slope(u) + 1")
    try:
        code, out, _ = command("evaluate", "run", "--at", "points.csv", *options)
        assert code == 0
        found = np.array([float(row.split(",")[-1]) for row in out.splitlines()[1:]])
        expected = 2 * saved.derivative("u", "x")(t=[0.5, 1], x=[0.1, 1.5]) + 1
        np.testing.assert_allclose(found, expected, rtol=1e-12)
        assert command("export", "run", "--to", "values.npz", *options)[0] == 0
        with np.load("values.npz") as values:
            assert values["twice_slope(u) + 1"].shape == (3, 4)
    finally:
        operators.OPERATORS.pop("twice_slope", None)


# -- vectors ----------------------------------------------------------------------------------------------------------

SQUARE = {"x": [0, 1], "y": [0, 1]}
FLOW = {"a": "laplacian(u) = D(p, x)", "b": "laplacian(v) = D(p, y)", "c": "2*D(u, x) + 2*D(v, y) = x"}


@pytest.mark.parametrize(
    ("unknowns", "equations", "vectors"),
    [
        (["u", "v", "p"], FLOW, {"velocity": ("u", "v")}),
        (["q1", "q2"], {"a": "D(q1, x) + D(q2, y) = 1", "b": "D(q1, y) = D(q2, x)"}, {"q": ("q1", "q2")}),
        (["v_y", "v_x"], {"a": "laplacian(v_x) = 1", "b": "laplacian(v_y) = 1"}, {"v": ("v_x", "v_y")}),
        (["u", "v"], {"a": "laplacian(u) = v", "b": "laplacian(v) = D(u, x)"}, {}),
        (["u", "v"], {"a": "D(u, x) + 2*D(v, y) = 0", "b": "D(u, y) = 3*D(v, x)"}, {}),
        (["u", "v"], {"a": "u*D(u, x) + v*D(u, y) = 0", "b": "laplacian(v) = 0"}, {}),
    ],
)
def test_which_unknowns_are_vectors(unknowns, equations, vectors):
    from pinnsolve.problem.vectors import vectors_of

    walls = {"walls": {"on": "boundary", "equations": [f"{name} = 0" for name in unknowns]}}
    keys = {"name": "v", "coordinates": SQUARE, "unknowns": unknowns, "equations": equations, "conditions": walls}
    assert vectors_of(ps.pipeline.build_problem(spec_from_dict(keys))) == vectors


def test_curved_coordinates_have_no_arrows():
    from pinnsolve.problem.vectors import vectors_of

    polar = {"r": [1, 2], "theta": [0, 1], "system": "polar"}
    keys = {"name": "v", "unknowns": {"v": "vector"}, "equations": {"a": "laplacian(v) = 0"}}
    keys["conditions"] = {"walls": {"on": "boundary", "equation": "v = 0"}}
    found = [ps.pipeline.build_problem(spec_from_dict({**keys, "coordinates": c})) for c in (SQUARE, polar)]
    assert [vectors_of(problem) for problem in found] == [{"v": ("v_x", "v_y")}, {}]


def test_vectors_are_written_as_vectors(work, command):
    import meshio

    fields = {"coordinates": ("x", "y"), "time": None, "unknowns": ("u", "v", "p")}
    solution_of(**fields, vectors={"velocity": ("u", "v")}).save("run")
    assert load_solution("run").vectors == {"velocity": ("u", "v")}
    assert command("export", "run", "--to", "flow.vtu", "--points", "3")[0] == 0
    data = meshio.read("flow.vtu").point_data
    assert data["velocity"].shape == (9, 3) and not data["velocity"][:, 2].any()
    np.testing.assert_array_equal(data["velocity"][:, 1], data["v"])
