"""Wrong and hostile problem files: every error at once with its place and what would be right, quickly."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest
from heat_file import ENVIRONMENT, HEAT, MANY, data_folder, errors, heat, said
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pinnsolve.errors import ProblemError
from pinnsolve.spec.schema.schema import ProblemFile
from pinnsolve.spec.spec import load_spec, spec_from_dict


@pytest.fixture
def folder(tmp_path):
    return data_folder(tmp_path)


# -- commas ---------------------------------------------------------------------------------------------------

CUT = [
    (
        "equations:\n  e: {equation: D(u, x) = 0}",
        "equations.e.equation",
        'the equation in quotes: `equation: "D(u, x) = 0"`',
    ),
    ("equations: {e: D(u, t) + D(u, x) = 0, f: u = 0}", "equations.e", '`e: "D(u, t) + D(u, x) = 0"`'),
    ("equations:\n  e: {equation: D(u, x, x, x) = D(u, t), where: x < 0.5}", "equations.e.equation", '"D(u, ..."`'),
    ("equations: {e: D(u, x) = 0, f: D(v, x) = 0}", ["equations.e", "equations.f"], '"D(v, ..."`'),
    ("equations: {e: {equations: [D(u, x) = 0, u = 1]}}", "equations.e.equations.0", 'quotes: `"D(u, x) = 0"`'),
    ("equations: {e: u = 0}\nparameters: {a: max(1, 2)}", "parameters.a", 'the expression in quotes: `a: "max(1, 2)"`'),
    ("equations: {e: u = 0}\ndefinitions: {g(s): max(s, 2)}", "definitions.g(s)", '`g(s): "max(s, 2)"`'),
    ("equations: {e: u = 0}\ndefinitions: {g(a, b): a + b}", "definitions", 'quotes: `"g(a, b)"`'),
]


@pytest.mark.parametrize(("text", "keys", "words"), CUT)
def test_a_text_without_quotes_is_cut_at_a_comma_and_that_is_all_that_is_said(text, keys, words, tmp_path):
    file = tmp_path / "cut.yaml"
    file.write_text("name: cut\ncoordinates: {t: [0, 1], x: [0, 1]}\nunknowns: [u, v]\n" + text + "\n")
    with pytest.raises(ProblemError) as caught:
        load_spec(file)
    found = caught.value.diagnostics
    assert [d.key for d in found] == ([keys] if isinstance(keys, str) else keys)
    assert all(d.message == "the text is cut at a comma" and d.line >= 4 for d in found)
    assert words in found[-1].hint


def test_parentheses_in_words_may_stay_open():
    cite = ["A (first", "B) second"]
    assert spec_from_dict({**HEAT, "cite": cite}).cite == tuple(cite)


def test_what_is_wrong_inside_a_text_that_was_cut_is_said_too(tmp_path):
    file = tmp_path / "cut.yaml"
    file.write_text("name: cut\ncoordinates: {x: [0, 1]}\nunknowns: u\nequations: {e: D(u, z) = 0}\n")
    with pytest.raises(ProblemError) as caught:
        load_spec(file)
    assert [d.key for d in caught.value.diagnostics] == ["equations.e"] * 2
    assert "cut at a comma" in str(caught.value) and "the coordinates are x" in str(caught.value)


# -- errors ---------------------------------------------------------------------------------------------------

WRONG = [
    ({"name": None}, "name: the key is missing"),
    ({"name": "../up"}, "run folder"),
    ({"name": 3}, "text is expected"),
    ({"unknowns": None}, "unknowns: the key is missing"),
    ({"coordinates": None}, "the key `coordinates` is missing"),
    ({"coordinates": ["t", "x"]}, "no intervals"),
    ({"coordinates": {"t": [0, 1], "x": [1, 0]}}, "coordinates.x: the interval is empty"),
    ({"coordinates": {"t": [0, 1], "x": 3}}, "an interval is expected"),
    ({"coordinates": {"t": [0, 1], "x": [0, "2*pii"]}}, "did you mean `pi`?"),
    ({"coordinates": {"t": [0, 1], "x": [0, float("nan")]}}, "not a finite number"),
    ({"time": "z"}, "`z` is not a coordinate"),
    (
        {"domain": {"disk": {"center": [0, 0], "radius": -1}}, "coordinates": None, "time": {"t": [0, 1]}},
        "positive number",
    ),
    ({"condition": {}}, "did you mean `conditions`?"),
    ({"titel": "x"}, "did you mean `title`?"),
    ({"parameters": {"nu": float("nan")}}, "parameters.nu: not a finite number"),
    ({"parameters": {"nu": "1/0"}}, "division by zero"),
    ({"parameters": {"nu": "2*k", "k": 1}}, "`k` is given below; move it up"),
    ({"parameters": {"nu": "nu"}}, "cannot be given by itself"),
    ({"parameters": {"nu": True}}, "number is expected, not true"),
    ({"parameters": {"nu": 1, "e": 2}}, "Euler"),
    ({"parameters": {"nu": 1, "x": 2}}, "`x` is a coordinate already"),
    ({"parameters": {"nu": 1, "u": 2}}, "`u` is an unknown already"),
    ({"parameters": {"nu": 1, "wave": 2}}, "`wave` is a parameter already"),
    ({"parameters": {"nu": 1, "n_x": 2}}, "the normal in direction x"),
    ({"parameters": {"nu": 1, "a b": 2}}, "cannot be a name"),
    ({"unknowns": ["u", "u"]}, "given twice"),
    ({"definitions": {"wave(s)": "sin(s", "other": "zz + 1"}}, None),
    ({"definitions": {"wave(s": "1"}}, None),
    ({"definitions": {"wave(x, pi)": "x", "wave2": "wave(x, 1)"}}, None),
    ({"equations": {"heat": "D(u, t) = niu*D(u, x, x)"}}, "did you mean `nu`?"),
    ({"equations": {"heat": "D(u, t) = nu*D(u, z)"}}, "the coordinates are t, x"),
    ({"equations": {"heat": "u == 1"}}, "write `u = 1`"),
    ({"equations": {"heat": 1}}, "map is expected"),
    ({"equations": {"heat": {"equation": "u = 1", "equations": ["u = 2"]}}}, "both `equation` and `equations`"),
    ({"equations": {"heat": {"where": "x < 1"}}}, "the equation is missing"),
    ({"equations": {"heat": {"equation": "u = 1", "where": "x"}}}, "comparison is expected"),
    ({"equations": {"heat": {"equation": "u = 1", "where": "u < 1"}}}, "`u` cannot stand here"),
    ({"equations": {"heat": {"equation": "u = 1", "wher": "x < 1"}}}, "did you mean `where`?"),
    ({"equations": {"walls": "D(u, t) = 0"}}, "there is a term `walls` in `equations` already"),
    ({"equations": {"a.b": "D(u, t) = 0"}}, "name of a term"),
    ({"equations": {"heat": "Dn(u) = n_x"}}, None),
    ({"equations": ["D(u, t) = 0"]}, "equations: {equation:"),
    ({"conditions": {"a": {"equation": "u = 0"}}}, "the place is missing"),
    ({"conditions": {"a": {"on": "t = 0"}}}, "the equation is missing"),
    ({"conditions": {"a": {"on": "t = 0", "at": {"x": 0}, "equation": "u = 0"}}}, "both `on` and `at`"),
    ({"conditions": {"a": {"periodic": "x", "equation": "u = 0"}}}, "periodic condition has no equation"),
    ({"conditions": {"a": {"periodic": "z"}}}, "`z` is not a coordinate"),
    ({"conditions": {"a": {"on": "boundry", "equation": "u = 0"}}}, "did you mean `boundary`?"),
    ({"conditions": {"a": {"on": "outer", "equation": "u = 0"}}}, "a place is `boundary`, `domain`, or a face"),
    ({"conditions": {"a": {"on": "z = 0", "equation": "u = 0"}}}, "z is not a coordinate"),
    ({"conditions": {"a": {"on": "x = 7", "equation": "u = 0"}}}, "outside its interval"),
    ({"conditions": {"a": {"on": "x = t", "equation": "u = 0"}}}, "unknown name `t`"),
    ({"conditions": {"a": {"at": {"z": 0}, "equation": "u = 0"}}}, "`z` is not a coordinate"),
    ({"conditions": {"a": {"at": {"x": -1}, "equation": "u = 0"}}}, "outside its interval"),
    ({"conditions": {"a": {"at": [], "equation": "u = 0"}}}, "list is empty"),
    ({"data": {"d": {"file": "gone.csv", "equation": "u = 1"}}}, "no such file"),
    ({"data": {"d": {"equation": "u = 1"}}}, "data.d.file: the key is missing"),
    ({"data": {"d": {"file": "probes.csv", "equation": "u = mesured"}}}, "did you mean `measured`?"),
    ({"data": {"d": {"file": "probes.csv", "equation": "u = measured", "noise": 0}}}, "positive number"),
    ({"data": {"d": {"file": "narrow.csv", "equation": "u = measured"}}}, "no column for the coordinate `t`"),
    ({"data": {"d": {"file": "taken.csv", "equation": "u = 1"}}}, "the column `u` has the name"),
    ({"data": {"d": {"file": "bare.csv", "equation": "u = 1"}}}, "does not name the columns"),
    ({"data": {"d": {"file": "empty.csv", "equation": "u = 1"}}}, "the file is empty"),
    ({"data": {"d": {"file": "twice.csv", "equation": "u = 1"}}}, "two columns are named `x`"),
    ({"data": {"d": {"file": "notes.txt", "equation": "u = 1"}}}, "not a CSV or NPZ"),
    ({"data": {"d": {"file": "broken.npz", "equation": "u = 1"}}}, "not an NPZ"),
    ({"reference": {"file": "probes.csv"}}, "no column for the coordinate or unknown `u`"),
    ({"unknown_parameters": {"k": {"bounds": [0, 1]}}}, "unknown_parameters.k.guess: the key is missing"),
    ({"unknown_parameters": {"k": {"guess": 3, "bounds": [0, 1]}}}, "outside the bounds"),
    ({"unknown_parameters": {"k": 3}}, "map is expected"),
    ({"exact": {"w": "x"}}, "`w` is not an unknown"),
    ({"exact": {"u": "u + x"}}, "`u` cannot stand here"),
    ({"unknowns": ["u", "v"], "exact": "x"}, "there are several unknowns"),
    ({"equations": None, "conditions": None}, "nothing to solve"),
    ({"solve": {"toleranc": 1e-3}}, "did you mean `tolerance`?"),
    ({"solve": {"tolerance": -1}}, "positive number"),
    ({"solve": {"tolerance": "small"}}, "unknown name `small`"),
    ({"solve": {"method": "lsg"}}, "did you mean `lsgd`?"),
    ({"solve": {"seed": -1}}, "whole number"),
    ({"solve": {"seed": 1.5}}, "whole number"),
    ({"solve": {"device": "tpu"}}, "cpu, cuda"),
    ({"solve": {"basis": {"kind": "mpl"}}}, "did you mean `mlp`?"),
    ({"solve": {"basis": {"kind": "pou_rbf", "partitions": 0}}}, "positive whole number"),
    ({"solve": {"basis": {"kind": "pou_rbf", "partitions": 4, "degree": -1}}}, "at least 0"),
    ({"solve": {"basis": {"kind": "pou_rbf", "partitions": [4, 4]}}}, "is a number, not a list"),
    ({"solve": {"basis": {"kind": "pou_rbf", "depth": 2}}}, "`depth` belongs to the kinds `mlp`, `resnet`"),
    ({"solve": {"basis": {"kind": "pou_resnet", "overlap": 0.1}}}, "`overlap` belongs to the kind `pou_grid`"),
    ({"solve": {"method": "lsgd", "optimizer": {"first_phase": {"factor": 1}}}}, "between 0 and 1"),
    ({"solve": {"method": "lsgd", "optimizer": {"first_phase": {"steps": 5, "stagnation": 6}}}}, "never comes"),
    ({"solve": {"method": "lsgd", "optimizer": {"first_phase": {"penalty": 0}}}}, "positive number"),
    ({"solve": {"method": "lsgd", "optimizer": {"first_phase": {"penlty": 1}}}}, "did you mean `penalty`?"),
    ({"solve": {"method": "gd", "optimizer": {"first_phase": {}}}}, "is for the methods `lsgd` and `varpro`, not `gd`"),
    ({"solve": {"basis": {"kind": "mlp", "widht": 3}}}, "did you mean `width`?"),
    ({"solve": {"basis": {"width": 0}}}, "positive whole number"),
    ({"solve": {"basis": {"width": 1e30}}}, "too large"),
    ({"solve": {"basis": {"scale": 0}}}, "positive number or `auto`"),
    ({"solve": {"basis": {"activation": "relux"}}}, "did you mean `relu`?"),
    ({"solve": {"collocation": {"sampling": "random"}}}, "is not one of grid"),
    ({"solve": {"optimizer": {"steps": 0}}}, "positive whole number"),
    ({"solve": {"limits": {"seconds": 0}}}, "positive number"),
    ({"solve": {"term_weights": {"strat": 1}}}, "did you mean `start`?"),
    ({"solve": {"term_weights": {"start": "W*q"}}}, "unknown name `q`"),
    ({"solve": {"term_weights": {"start": 0}}}, "term weight is positive"),
    ({"solve": {"term_weights": {"start": "x"}}}, "`x` cannot stand here"),
    ({"solve": {"term_weights": 3}}, "map or `auto`"),
    ({"solve": 3}, "map is expected"),
]


@pytest.mark.parametrize(("changes", "words"), WRONG, ids=[json.dumps(change)[:70] for change, _ in WRONG])
def test_what_is_wrong_is_said(changes, words, folder):
    for name, text in {
        "narrow.csv": "x,measured\n",
        "taken.csv": "t,x,u\n",
        "bare.csv": "0,0,1\n",
        "empty.csv": "\n",
        "twice.csv": "t,x,x\n",
        "notes.txt": "t,x\n",
        "broken.npz": "PK",
    }.items():
        (folder / name).write_text(text)
    found = errors({**HEAT, **changes} if "name" in changes else heat(**changes), folder)
    if words is not None:  # one mistake, one message
        assert len(found) == 1, [str(d) for d in found]
        assert words in said(found[0])


def test_all_errors_come_at_once_with_their_lines(tmp_path):
    path = tmp_path / "many.yaml"
    path.write_text(MANY)
    with pytest.raises(ProblemError) as caught:
        load_spec(path)
    assert [(d.line, d.key) for d in caught.value.diagnostics] == [
        (4, "parameters.nu"),
        (6, "equation"),
        (7, "equation.heat"),
        (10, "conditions.start.equation"),
        (12, "conditions.walls.on.1"),
        (13, "conditions.walls.equation"),
        (15, "conditions.start"),
        (17, "solve.basis.widht"),
        (18, "solve.method"),
    ]
    assert all(d.file == str(path) and d.severity == "error" for d in caught.value.diagnostics)
    first = caught.value.diagnostics[0]
    assert (first.text, first.offset) == ("0.01/pie", 5)
    assert (
        str(first)
        == f"{path}:4: error: `parameters.nu`: unknown name `pie`\n    0.01/pie\n         ^\n    did you mean `pi`?"
    )


def test_a_wrong_part_brings_no_others():
    found = errors(heat(unknowns=3, equations={"heat": "D(u, t) = w"}))
    assert [d.key for d in found] == ["unknowns"]
    found = errors(heat(coordinates={"t": [0, 1], "x": [1, 0]}, conditions={"a": {"on": "x = 5", "equation": "u = x"}}))
    assert [d.key for d in found] == ["coordinates.x"]
    found = errors(heat(definitions={"wave(s)": "zz*s"}))
    assert [d.key for d in found] == ["definitions.wave(s)"]
    found = errors(heat(parameters={"nu": "1/0"}, coordinates={"t": [0, 1], "x": ["nu", 1]}, conditions=None))
    assert [d.key for d in found] == ["parameters.nu"]


def test_an_error_behind_a_misspelt_key_is_found_too():
    found = errors({**heat(conditions=None), "condtions": {"a": {"on": "t = 0", "equaton": "u = zz"}}})
    assert [d.key for d in found] == ["condtions", "condtions.a.equaton", "condtions.a.equaton"]


def test_control_characters_do_not_reach_the_terminal():
    found = errors({**HEAT, "ti\x1b[2Jtle": "x", "exact": {"u": "x\x1b[31m"}})
    assert "\x1b" not in "".join(map(str, found))


# -- hostile --------------------------------------------------------------------------------------------------

GROWTH = {f"a{i + 1}": f"a{i}*a{i}" for i in range(100)} | {"a0": "x + x"}
HOSTILE = {
    "macros": heat(definitions={**GROWTH, "wave(s)": "a100"}),
    "nested macros": heat(definitions={"wave(s)": "s*s + s"}, exact="wave(" * 60 + "x" + ")" * 60),
    "recursion": heat(definitions={"wave(s)": "wave(s - 1)"}),
    "tower": heat(exact="9**9**9**9"),
    "power": heat(exact="(1 + x)**100000"),
    "parameter power": heat(parameters={"nu": "10**9"}, exact="(2*x)**nu"),
    "derivatives": heat(equations={"e": "D(u, t) = D(" + "*".join(f"(u + {i})" for i in range(400)) + ", x, 4)"}),
    "many derivatives": heat(
        definitions={"wave(s)": "*".join(f"(u + sin({i}*s))" for i in range(10))},
        equations={f"e{i}": "D(wave(x), x, x) = 0" for i in range(200)},
    ),
    "wide": heat(parameters={f"p{i}": i for i in range(10_000)}),
    "wrong everywhere": heat(
        parameters={"nu": 1, **{f"parameter_number_{i}": 1 for i in range(199)}},
        equations={
            f"e{i}": "D(u, t) = " + "+".join(f"parameter_numbr_{i}_{k}" for k in range(100)) for i in range(200)
        },
    ),
    "long": heat(exact="x" * 1_000_000),
    "keys": {**heat(), **{f"key{i}" * 1000: 1 for i in range(100)}},
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_files_are_answered(name):
    found = errors(HOSTILE[name])
    assert len(found) <= 101


def test_a_wrong_file_is_answered_without_sympy_or_torch(tmp_path):
    (tmp_path / "wrong.yaml").write_text(MANY)
    code = (
        "import sys, resource\nfrom pinnsolve.errors import ProblemError\nfrom pinnsolve.spec.spec import load_spec\n"
        "try:\n    load_spec(sys.argv[1])\nexcept ProblemError:\n    pass\n"
        "loaded = {'sympy', 'torch', 'numpy'} & set(sys.modules)\nprint(sorted(loaded))\n"
    )
    command = [sys.executable, "-c", code, str(tmp_path / "wrong.yaml")]
    done = subprocess.run(command, capture_output=True, text=True, env=ENVIRONMENT, timeout=20, check=True)
    assert done.stdout.strip() == "[]"


json_values = st.recursive(
    st.one_of(
        st.none(),
        st.booleans(),
        st.integers(-3, 3),
        st.floats(),
        st.text(max_size=8),
        st.sampled_from(["u", "x = 0", "u = 0", "D(u, t) = 0", "auto", "mlp", "x", "probes.csv", "W", "hat(s)"]),
    ),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.dictionaries(
            st.sampled_from(["x", "u", "on", "at", "equation", "where", "box", "guess", "kind", "walls"]), inner
        ),
    ),
    max_leaves=6,
)
KEYS = (*ProblemFile.model_fields, "solv", "other")


@settings(max_examples=150, suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(st.dictionaries(st.sampled_from(KEYS), json_values, max_size=4))
def test_any_values_are_read_or_refused(changes):
    try:
        spec_from_dict({**HEAT, **changes})
    except ProblemError as error:
        assert all(str(diagnostic) for diagnostic in error.diagnostics)


@settings(max_examples=100, suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(
    st.sampled_from(sorted({"basis", "collocation", "term_weights", "optimizer", "limits", "tolerance"})), json_values
)
def test_any_settings_are_read_or_refused(key, value):
    try:
        spec_from_dict({**HEAT, "solve": {key: value}})
    except ProblemError as error:
        assert all(str(diagnostic) for diagnostic in error.diagnostics)


@pytest.mark.parametrize(
    ("before", "after", "path", "hint"),
    [
        ("unknowns: u", "unknowns: {u: {inn: solid}}", "unknowns.u.inn", "did you mean `in`?"),
        ("unknowns: u", "unknowns: u\nquantities: {q: {flux: u}}", "quantities.q.flux", "the keys here are on, at"),
        ("unknowns: u", "unknowns: u\neigenvalues: {name: lam, cout: 4}", "eigenvalues.cout", "did you mean `count`?"),
        ("unknowns: u", "unknowns: u\nfunctions: {k: {fil: a.csv, of: x}}", "functions.k.fil", "did you mean `file`?"),
    ],
)  # fmt: skip
def test_unknown_keys_are_answered_with_those_there_are(before, after, path, hint, tmp_path):
    file = tmp_path / "keys.yaml"
    text = 'name: keys\ncoordinates: {x: [0, 1]}\nunknowns: u\nequations: {e: "D(u, x, x) = 1"}\n'
    file.write_text(text.replace(before, after))
    with pytest.raises(ProblemError) as caught:
        load_spec(file)
    (found,) = [d for d in caught.value.diagnostics if d.key == path and d.message == "unknown key"]
    assert hint in found.hint
