"""Problem files to specs: every documented form, the files that come along, round trip, settings."""

from __future__ import annotations

import dataclasses
import os

import pytest
from heat_file import HEAT, ROOT, data_folder, heat, only_error, said

from pinnsolve import extensions
from pinnsolve.errors import ProblemError
from pinnsolve.files.yaml_reader import parse_yaml
from pinnsolve.language import operators
from pinnsolve.spec.spec import load_spec, spec_from_dict


@pytest.fixture
def folder(tmp_path):
    return data_folder(tmp_path)


# -- forms ----------------------------------------------------------------------------------------------------


def test_defaults():
    spec = spec_from_dict(HEAT)
    assert spec.time == "t"
    assert spec.coordinates == {"t": (0, 1), "x": (0, "2*pi")}
    assert spec.unknowns == ("u",)
    assert spec.equations["heat"].equations == ("D(u, t) = nu*D(u, x, x)",)
    assert spec.conditions["walls"].on == ("x = 0", "x = 2*pi")
    solve = spec.solve
    assert (solve.tolerance, solve.method, solve.term_weights) == (1e-6, "auto", "auto")
    assert (solve.seed, solve.device, solve.precision) == (0, "cpu", "float64")
    assert solve.basis is solve.collocation is solve.optimizer is solve.limits.seconds is None


def test_every_form_of_the_language(folder):
    spec = spec_from_dict(
        {
            "name": "all-of-it",
            "title": "T",
            "description": "D",
            "cite": ["one", "two"],
            "coordinates": {"t": [0, 1], "x": ["-k", "k"], "y": [0, 1e-3]},
            "time": "t",
            "unknowns": ["u", "v"],
            "parameters": {"k": 2, "nu": "k/pi", "tiny": 1e-30},
            "unknown_parameters": {"kappa": {"guess": "k/2", "bounds": [0, "2*k"]}, "q": {"guess": 1}},
            "definitions": {"hat(s, r)": "max(0, 1 - abs(s)/r)", "shape": "hat(x, 0.5)*u", "left": "x < 0"},
            "equations": {
                "a": "D(u, t) = kappa*laplacian(u)",
                "b": {"equation": "v = shape + q", "where": "left and y > 0"},
                "c": {"equations": ["D(v, x) = 0", "D(v, y) = 0"]},
            },
            "conditions": {
                "start": {"on": "t = 0", "equation": "u = exp(-x**2)"},
                "around": {"on": "boundary", "equations": ["Dn(u) = n_x*v", "v = 0"], "where": "y > nu"},
                "inside": {"on": ["domain"], "equation": "u = v"},
                "middle": {"on": "x = k/2", "equation": "u = 0"},
                "ring": {"periodic": ["x", "y"]},
                "ring2": {"periodic": "x"},
                "pin": {"at": {"x": 0, "y": "k/4000"}, "equation": "u = 0"},
                "pins": {"at": [{"x": 0}, {"x": 1}], "equation": "u = 0"},
            },
            "data": {
                "probes": {"file": "wide.csv", "equation": "u = measured*k", "noise": "1/100"},
                "more": {"file": "wide.csv", "equations": ["u = measured", "v = other"]},
            },
            "exact": {"u": "hat(x - t, 0.1)", "v": 0},
            "solve": {
                "tolerance": "1e-2*k",
                "method": "lsgd",
                "basis": {
                    "kind": "resnet",
                    "width": "2**6",
                    "depth": 3,
                    "activation": "gaussian",
                    "initialization": "he",
                },
                "collocation": {"interior": 1000, "boundary": 50, "sampling": "sobol"},
                "term_weights": {"a": 2, "start": "W**(-0.5)", "probes": "k/W"},
                "optimizer": {"name": "adam", "learning_rate": 5e-3, "steps": 500},
                "limits": {"seconds": 60, "memory_gb": 0.5, "refinements": 0},
                "seed": 3,
                "device": "cuda",
                "precision": "float32",
            },
        },
        _with(folder, "wide.csv", "t,x,y,measured,other\n"),
    )
    assert spec.cite == ("one", "two")
    assert spec.equations["b"].where == "left and y > 0"
    assert spec.equations["c"].equations == ("D(v, x) = 0", "D(v, y) = 0")
    assert spec.conditions["ring"].periodic == ("x", "y")
    assert spec.conditions["pins"].at == ({"x": 0}, {"x": 1})
    assert spec.data["more"].columns == ("t", "x", "y", "measured", "other")
    assert spec.data["probes"].noise == 0.01
    assert spec.unknown_parameters["kappa"].bounds == (0, "2*k")
    assert spec.exact == {"u": "hat(x - t, 0.1)", "v": "0"}
    assert spec.solve.tolerance == 0.02
    assert spec.solve.basis.settings() == {
        "kind": "resnet", "width": 64, "depth": 3, "activation": "gaussian", "initialization": "he",
    }  # fmt: skip
    assert spec.solve.term_weights == {"a": 2, "start": "W**(-0.5)", "probes": "k/W"}
    assert spec.solve.limits.refinements == 0
    again = spec_from_dict(parse_yaml(spec.to_yaml()).data, folder)
    assert again == spec


def _with(folder, name, text):
    (folder / name).write_text(text)
    return folder


def test_a_box_as_a_domain():
    box = {"box": {"x": [0, 1], "y": [0, 2]}}
    common = {"name": "p", "unknowns": "u", "equations": {"e": "laplacian(u) = 0"}}
    assert spec_from_dict({**common, "domain": box}).coordinates == {"x": (0, 1), "y": (0, 2)}
    timed = spec_from_dict({**common, "domain": box, "time": {"t": [0, 3]}})
    assert (timed.time, timed.coordinates) == ("t", {"t": (0, 3), "x": (0, 1), "y": (0, 2)})
    listed = spec_from_dict({**common, "domain": box, "time": {"s": [0, 3]}, "coordinates": ["y", "x", "s"]})
    assert (listed.time, list(listed.coordinates)) == ("s", ["y", "x", "s"])


def test_time_is_what_the_file_says():
    assert spec_from_dict(heat(time="x")).time == "x"
    no_time = {"name": "p", "coordinates": {"x": [0, 1]}, "unknowns": "u", "equations": {"e": "D(u, x) = 0"}}
    assert spec_from_dict(no_time).time is None


@pytest.mark.parametrize("count", [1, 6, 200])
def test_one_to_two_hundred_coordinates(count):
    box = {f"x{i}": [0, 1] for i in range(count)}
    problem = {"name": "p", "coordinates": box, "unknowns": "u", "equations": {"e": "laplacian(u) = 1"}}
    assert len(spec_from_dict(problem).coordinates) == count
    box["another"] = [0, 1]
    if count == 200:
        assert "at most 200" in only_error(problem).message


def test_a_bare_exact_solution_of_one_unknown():
    assert spec_from_dict(heat(exact="wave(x)")).exact == {"u": "wave(x)"}


def test_data_alone_are_a_problem(folder):
    data = {"probes": {"file": "below/probes.npz", "equation": "v = u"}}
    spec = spec_from_dict(heat(equations=None, conditions=None, unknowns="v", data=data), folder)
    assert spec.data["probes"].columns == ("t", "x", "u", "accuracy")


def test_keys_without_a_value_count_as_left_out():
    assert spec_from_dict({**HEAT, "exact": None, "solve": {"basis": None}}) == spec_from_dict(HEAT)


def test_a_basis_registered_from_outside_gets_its_own_settings(monkeypatch):
    monkeypatch.setitem(extensions.BASES, "fourier", object)
    basis = {"kind": "fourier", "width": 5, "activation": "mine", "modes": [1, 2]}
    assert spec_from_dict(heat(solve={"basis": basis})).solve.basis.settings() == basis


def test_a_registered_operator_is_known(monkeypatch):
    volterra = heat(equations={"e": "D(u, t) + past(u) = 0"})
    assert "--operators" in only_error(volterra).hint
    monkeypatch.setitem(operators.OPERATORS, "past", object())
    assert spec_from_dict(volterra).equations["e"].equations == ("D(u, t) + past(u) = 0",)


# -- files ----------------------------------------------------------------------------------------------------


def test_data_outside_of_the_folder_are_refused(folder):
    inner = folder / "inner"
    inner.mkdir()
    (inner / "link.csv").symlink_to(folder / "probes.csv")
    (inner / "elsewhere").symlink_to(folder / "below")
    (inner / "folder.csv").mkdir()
    os.mkfifo(inner / "pipe.csv")
    for file in ("../probes.csv", str(folder / "probes.csv"), "link.csv", "elsewhere/probes.npz", "x/../../probes.csv"):
        for key in ({"data": {"d": {"file": file, "equation": "u = 1"}}}, {"reference": {"file": file}}):
            assert "outside the problem's folder" in only_error(heat(**key), inner).message
    for file in ("folder.csv", "pipe.csv", "a\0.csv", "a" * 5000 + ".csv"):
        assert only_error(heat(data={"d": {"file": file, "equation": "u = 1"}}), inner).key == "data.d.file"


def test_problems_are_found_by_name():
    assert load_spec("burgers").name == "burgers"
    for name, words in (
        ("burgesr", "did you mean `burgers`?"),
        ("no/such.yaml", "no such file"),
        ("x\0", "name"),
    ):
        with pytest.raises(ProblemError) as caught:
            load_spec(name)
        assert words in said(caught.value.diagnostics[0])


@pytest.mark.parametrize("path", sorted((ROOT / "problems").glob("*.yaml")), ids=lambda path: path.stem)
def test_problem_files_are_read_and_written(path, monkeypatch):
    for operator in ("kernel_integral", "memory"):
        monkeypatch.setitem(operators.OPERATORS, operator, object())
    spec = load_spec(path)
    again = spec_from_dict(parse_yaml(spec.to_yaml()).data, path.parent)
    assert dataclasses.replace(again, file=path) == spec


def test_places_are_lines_of_the_file():
    spec = load_spec(ROOT / "problems" / "burgers.yaml")
    text = (ROOT / "problems" / "burgers.yaml").read_text().splitlines()
    assert "start:" in text[spec.place("conditions.start.equation") - 1]
    assert spec.place("conditions.nothing") == spec.place("conditions")
    assert spec.place("nothing") is None


# -- settings -------------------------------------------------------------------------------------------------


def test_overrides():
    settings_ = [
        "solve.tolerance=1e-8",
        "parameters.nu=0.1",
        "solve.basis.width=64",
        "unknowns=u",
        "conditions.walls.on.1=x = 1",
    ]
    path = ROOT / "problems" / "burgers.yaml"
    spec = load_spec(path, [*settings_[:4]])
    assert (spec.solve.tolerance, spec.parameters["nu"], spec.solve.basis.width) == (1e-8, 0.1, 64)
    assert load_spec(path, ["title=null"]).title is None


@pytest.mark.parametrize(
    ("setting", "words"),
    [
        ("solve.toleranc=1e-8", "did you mean `tolerance`?"),
        ("solve.tolerance=small", "unknown name `small`"),
        ("parameters.nu=1/0", "division by zero"),
        ("solve.tolerance", "not a setting"),
        ("=3", "not a setting"),
        ("solve..width=3", "not a setting"),
        ("name.x=3", "single value"),
        ("cite.7=x", "not a position"),
        ("solve.basis=[1", "not YAML"),
        ("a." * 50 + "b=1", "not a setting"),
    ],
)
def test_wrong_overrides(setting, words):
    with pytest.raises(ProblemError) as caught:
        load_spec(ROOT / "problems" / "burgers.yaml", [setting])
    (found,) = caught.value.diagnostics
    assert words in said(found)
    assert f"--set {setting}" in (found.file or "") + (found.text or "")
    assert found.line is None
