"""A solution is a function: values and derivatives against closed forms, and the run folder bit for bit."""

import json
import math
import os
import pickle

import numpy as np
import pytest
import torch
from shape_problems import CENTER, INNER, OUTER, radius, ring_solution
from sine_basis import SineBasis, closed_form, solution_of

from pinnsolve import extensions
from pinnsolve.errors import SolutionError
from pinnsolve.results import storage
from pinnsolve.results.solution import load_solution

RNG = np.random.default_rng(0)


@pytest.fixture
def registered(monkeypatch):
    monkeypatch.setitem(extensions.BASES, SineBasis.kind, SineBasis)


def points(count: int) -> np.ndarray:
    return np.array([0.0, -1.0]) + np.array([1.0, 3.0]) * RNG.random((count, 2))


# -- values -----------------------------------------------------------------------------------------------------


def test_call_broadcasts_and_agrees_with_the_closed_form():
    solution = solution_of()
    x = np.linspace(-1, 2, 5)
    values = solution(t=0.5, x=x)
    assert values.shape == (5,)
    np.testing.assert_allclose(values, closed_form(solution, 0, np.stack([np.full(5, 0.5), x], 1), (0, 0)), rtol=1e-13)
    assert solution(t=0.5, x=0.1).shape == ()
    assert solution(t=[[0.1], [0.2]], x=[0.1, 0.2, 0.3]).shape == (2, 3)
    assert solution(t=[], x=[]).shape == (0,)


def test_several_unknowns_come_by_name():
    solution = solution_of(unknowns=("u", "v"))
    values = solution(t=[0.1, 0.2], x=0.3)
    assert list(values) == ["u", "v"]
    at = np.array([[0.1, 0.3], [0.2, 0.3]])
    for row, name in enumerate(values):
        np.testing.assert_allclose(values[name], closed_form(solution, row, at, (0, 0)), rtol=1e-13)


@pytest.mark.parametrize(
    ("by", "alpha"),
    [(("x",), (0, 1)), (("x", 2), (0, 2)), (("x", "x"), (0, 2)), (("t", "x", "x"), (1, 2)), (("t", 2, "x"), (2, 1))],
)
def test_derivatives(by, alpha):
    solution = solution_of(unknowns=("u", "v"))
    at = points(7)
    found = solution.derivative("v", *by)(t=at[:, 0], x=at[:, 1])
    np.testing.assert_allclose(found, closed_form(solution, 1, at, alpha), rtol=1e-12)
    np.testing.assert_array_equal(found, solution.values(at, "v", alpha))


def test_values_come_in_blocks(monkeypatch):
    solution = solution_of()
    at = points(1000)
    whole = solution.values(at, "u", (0, 1))
    seen = []
    derivatives = SineBasis.derivatives

    def counting(self, x, alphas, hidden=None):
        seen.append(len(x))
        return derivatives(self, x, alphas)

    monkeypatch.setattr(SineBasis, "derivatives", counting)
    of_64_points = 4 * 2 * 3 * 8 * 64  # of this basis, with jets
    monkeypatch.setattr("pinnsolve.results.solution.BLOCK_BYTES", of_64_points)
    np.testing.assert_allclose(solution.values(at, "u", (0, 1)), whole, rtol=1e-14)
    assert max(seen) <= 64
    assert sum(seen) == 1000


def test_gradients_are_not_kept():
    solution = solution_of()
    solution.basis.hidden["w"].requires_grad_()
    assert isinstance(solution(t=0.5, x=0.5), np.ndarray)


# -- what is refused --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"t": 0.5}, "missing x"),
        ({"t": 0.5, "y": 0.1}, "there is no coordinate 'y'"),
        ({"t": 0.5, "X": 0.1}, "did you mean 'x'"),
        ({"t": 0.5, "x": 2.5}, r"x = 2.5 lies outside \[-1, 2\]"),
        ({"t": 0.5, "x": [0.1, math.nan]}, "x = nan is not a finite number"),
        ({"t": 0.5, "x": "here"}, "needs numbers, not 'here'"),
        ({"t": [1, 2, 3], "x": [1, 2]}, "do not fit together"),
    ],
)
def test_bad_coordinates(arguments, words):
    with pytest.raises(SolutionError, match=words):
        solution_of()(**arguments)


def test_the_box_has_room_for_rounding():
    solution = solution_of()
    just_outside = solution(t=1 + 1e-10, x=2 + 1e-10)
    assert just_outside == solution(t=1.0, x=2.0)
    with pytest.raises(SolutionError, match="outside"):
        solution(t=1 + 1e-7, x=2.0)


@pytest.mark.parametrize(
    ("unknown", "by", "words"),
    [
        ("w", ("x",), "there is no unknown 'w'"),
        ("u", ("z",), "there is no coordinate 'z'"),
        ("u", (2,), "as coordinate names"),
        ("u", ("x", 0), "as coordinate names"),
        ("u", ("x", True), "as coordinate names"),
        ("u", ("x", 3), "up to order 2, not 3"),
        ("u", ("x", 5), "up to order 4, not 5"),
    ],
)
def test_bad_derivatives(unknown, by, words):
    with pytest.raises(SolutionError, match=words):
        solution_of(smoothness=2).derivative(unknown, *by)


def test_bad_points():
    with pytest.raises(SolutionError, match="shape"):
        solution_of().values(np.zeros((3, 1)), "u")
    with pytest.raises(SolutionError, match="multi-index"):
        solution_of().values(np.zeros((3, 2)), "u", (1,))


# -- the run folder ---------------------------------------------------------------------------------------------


def full_solution():
    return solution_of(
        unknowns=("u", "v"),
        parameters={"kappa": {"value": 0.1 + 0.2, "standard_error": None}},
        result={"problem": "waves", "status": "converged", "relative_l2_error": {"u": 1e-7, "v": math.nan}},
        history=({"step": 0, "loss": 1.0, "terms": {"a": 1.0}}, {"step": 1, "loss": math.inf}),
        problem_text="name: wäves\n",
        diagnostics={"points": {"a/b": np.eye(2)}, "residuals": {"a/b": torch.ones(2)}, "words": "left out"},
    )


def test_saved_and_loaded_bit_for_bit(tmp_path, registered):
    solution = full_solution()
    loaded = load_solution(solution.save(tmp_path / "runs" / "waves"))
    for name in ("name", "coordinates", "intervals", "time", "unknowns", "parameters", "problem_text"):
        assert getattr(loaded, name) == getattr(solution, name)
    assert torch.equal(loaded.coefficients, solution.coefficients)
    for name, value in solution.basis.hidden.items():
        assert torch.equal(loaded.basis.hidden[name], value)
    at = points(50)
    for alpha in ((0, 0), (1, 2)):
        np.testing.assert_array_equal(loaded.values(at, "v", alpha), solution.values(at, "v", alpha))
    np.testing.assert_array_equal(loaded.diagnostics["points"]["a/b"], np.eye(2))
    np.testing.assert_array_equal(loaded.diagnostics["residuals"]["a/b"], np.ones(2))
    assert "words" not in loaded.diagnostics
    assert loaded.history[1] == {"step": 1, "loss": None}


def test_single_precision_stays(tmp_path, registered):
    solution = solution_of()
    object.__setattr__(solution, "coefficients", solution.coefficients.float())
    assert load_solution(solution.save(tmp_path)).coefficients.dtype == torch.float32


def test_result_is_strict_json(tmp_path):
    full_solution().save(tmp_path)

    def refuse(word):
        raise AssertionError(f"{word} is not JSON")

    result = json.loads((tmp_path / "result.json").read_text(), parse_constant=refuse)
    assert result["relative_l2_error"] == {"u": 1e-7, "v": None}
    for line in (tmp_path / "history.jsonl").read_text().splitlines():
        json.loads(line, parse_constant=refuse)
    assert sorted(p.name for p in tmp_path.iterdir()) == [
        "history.jsonl",
        "problem.yaml",
        "result.json",
        "solution.npz",
    ]


def test_json_of_everything_numerical():
    value = {"a": np.float64("nan"), "b": np.arange(2), "c": (np.int64(3), True), "d": torch.tensor(0.5), 5: "x"}
    assert json.loads(storage.to_json(value)) == {"a": None, "b": [0, 1], "c": [3, True], "d": 0.5, "5": "x"}


def test_a_write_that_fails_leaves_the_old_file(tmp_path):
    path = tmp_path / "file"
    path.write_text("old")

    def write(stream):
        stream.write(b"half")
        raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"):
        storage.replace_file(path, write)
    assert path.read_text() == "old"
    assert os.listdir(tmp_path) == ["file"]


def test_no_solution_there(tmp_path):
    with pytest.raises(SolutionError, match=r"not a run folder: it has no solution\.npz"):
        load_solution(tmp_path)
    with pytest.raises(SolutionError, match="not a run folder"):
        load_solution(tmp_path / "nowhere")


@pytest.mark.parametrize("name", ["result.json", "history.jsonl", "problem.yaml"])
def test_a_missing_or_damaged_text_is_named(tmp_path, registered, name):
    full_solution().save(tmp_path)
    (tmp_path / name).write_bytes(b"{\xff")
    with pytest.raises(SolutionError, match="damaged"):
        load_solution(tmp_path)
    (tmp_path / name).unlink()
    with pytest.raises(SolutionError, match=name):
        load_solution(tmp_path)


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 torn", b"hello", pickle.dumps({"a": 1})])
def test_a_damaged_archive(tmp_path, registered, content):
    full_solution().save(tmp_path)
    (tmp_path / "solution.npz").write_bytes(content)
    with pytest.raises(SolutionError, match=r"solution\.npz is damaged"):
        load_solution(tmp_path)


def test_a_torn_archive(tmp_path, registered):
    path = full_solution().save(tmp_path) / "solution.npz"
    whole = path.read_bytes()
    for end in (100, len(whole) // 2, len(whole) - 1):
        path.write_bytes(whole[:end])
        with pytest.raises(SolutionError, match="damaged"):
            load_solution(tmp_path)


def rewrite(folder, **changes):
    """Change metadata or arrays of a saved solution."""
    arrays, metadata, _ = storage.read_run(folder)
    metadata.update({key: value for key, value in changes.items() if not isinstance(value, np.ndarray)})
    arrays.update({key: value for key, value in changes.items() if isinstance(value, np.ndarray)})
    np.savez(folder / "solution.npz", metadata=np.array(json.dumps(metadata)), **arrays)


def test_pickled_objects_are_not_loaded(tmp_path, registered):
    full_solution().save(tmp_path)

    class Bomb:
        def __reduce__(self):
            return (pytest.fail, ("a pickle was executed",))

    np.savez(tmp_path / "solution.npz", metadata=np.array([Bomb()], dtype=object))
    with pytest.raises(SolutionError, match="damaged"):
        load_solution(tmp_path)


def test_another_format(tmp_path, registered):
    full_solution().save(tmp_path)
    rewrite(tmp_path, format=99)
    with pytest.raises(SolutionError, match="has format 99; this version of pinnsolve reads format 1"):
        load_solution(tmp_path)


def test_shapes_that_do_not_fit(tmp_path, registered):
    full_solution().save(tmp_path)
    rewrite(tmp_path, coefficients=np.ones((1, 3)))
    with pytest.raises(SolutionError, match=r"damaged.*coefficients of shape \(1, 3\)"):
        load_solution(tmp_path)


def test_a_basis_that_is_not_registered(tmp_path):
    full_solution().save(tmp_path)
    with pytest.raises(SolutionError, match="'sine_for_tests', which is not registered here; import the module"):
        load_solution(tmp_path)


def test_repr_is_short():
    assert repr(full_solution()) == "<Solution of 'waves': u(t, x), v(t, x); converged>"


# -- domains that are shapes --------------------------------------------------------------------------------------


def test_values_outside_of_a_shape_are_nan():
    solution = ring_solution()
    points = RNG_POINTS
    values, within = solution.values(points, "u"), solution.in_domain(points)
    np.testing.assert_array_equal(within, (radius(points) <= OUTER) & (radius(points) >= INNER))
    np.testing.assert_array_equal(np.isnan(values), ~within)
    np.testing.assert_allclose(values[within], closed_form(solution, 0, points[within], (0, 0)), rtol=1e-12)
    assert np.isnan(solution(x=0.5, y=0.5)) and np.isnan(solution.derivative("u", "x")(x=0.5, y=0.5))
    with pytest.raises(SolutionError, match="outside"):
        solution(x=5.0, y=0.5)


def test_nodes_of_a_mesh_on_the_boundary_are_of_the_domain():
    angles = np.linspace(0, 2 * np.pi, 1000)
    circle = np.stack([np.cos(angles), np.sin(angles)], axis=1)
    for size in (OUTER, INNER):
        nodes = (CENTER + size * circle).astype(np.float32)  # as STL and many VTU files hold them
        assert ring_solution().in_domain(nodes).all()
    assert not ring_solution().in_domain(CENTER + (OUTER + 1e-4) * circle).any()


def test_a_shape_is_restored_from_a_run_folder(tmp_path, registered):
    solution = ring_solution(time=True)
    again = load_solution(solution.save(tmp_path))
    assert again.shape == solution.shape is not None
    points = np.column_stack([np.full(len(RNG_POINTS), 0.3), RNG_POINTS])
    np.testing.assert_array_equal(again.in_domain(points), solution.in_domain(points))
    assert load_solution(solution_of().save(tmp_path / "box")).shape is None


RNG_POINTS = np.random.default_rng(3).random((500, 2))  # of the unit square around the ring


def test_columns_are_the_values_of_each_unknown():
    solution = solution_of(unknowns=("u", "v", "w"))
    points = np.random.default_rng(0).uniform(*np.transpose(solution.intervals), (50, 2))
    found = solution.columns(points)
    assert list(found) == ["u", "v", "w"]
    for name, values in found.items():
        np.testing.assert_allclose(values, solution.values(points, name), rtol=1e-13)
    assert list(solution.columns(points, ["w", "u"])) == ["w", "u"]
    np.testing.assert_allclose(solution.columns(points, ["w"])["w"], found["w"], rtol=1e-13)
    nowhere = solution.columns(points, inside=np.arange(50) < 25)
    assert np.isnan(nowhere["v"][25:]).all() and np.isfinite(nowhere["v"][:25]).all()
    with pytest.raises(SolutionError, match="no unknown 'z'"):
        solution.columns(points, ["z"])
