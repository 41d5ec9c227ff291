"""Files of columns: what is read, and what is refused with its rows."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pinnsolve.errors import ProblemError
from pinnsolve.files.tables import read_columns

CSV = """\
# from the laboratory, 2024

 t, x ,measured
0,0.5,1e-3
# a comment between rows

1,.25,-2
"""


def written(folder: Path, name: str, content) -> Path:
    """A file of text, bytes, or arrays by name."""
    path = folder / name
    if isinstance(content, dict):
        np.savez(path, **content)
    else:
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def refusal(path: Path) -> str:
    with pytest.raises(ProblemError) as caught:
        read_columns(path, "data.probes")
    (diagnostic,) = caught.value.diagnostics
    assert diagnostic.key == "data.probes" and diagnostic.file == str(path)
    assert f"`{path.name}`" in diagnostic.message
    return diagnostic.message


def test_a_csv_with_comments_blanks_and_a_header(tmp_path):
    columns = read_columns(written(tmp_path, "a.csv", CSV), "data.probes")
    assert {name: list(c) for name, c in columns.items()} == {"t": [0, 1], "x": [0.5, 0.25], "measured": [1e-3, -2]}
    assert all(c.dtype == np.float64 for c in columns.values())


@pytest.mark.parametrize("text", ["\ufefft,x\n1,2\n", "t,x\r\n1,2\r\n", 't,"x"\n1,"2"\n', "t,x\n1,2"])
def test_csv_dialects(tmp_path, text):
    columns = read_columns(written(tmp_path, "a.csv", text), "data.probes")
    assert {name: c.tolist() for name, c in columns.items()} == {"t": [1.0], "x": [2.0]}


def test_npz_arrays_of_any_real_type(tmp_path):
    arrays = {
        "t": np.arange(3, dtype=np.int32),
        "x": np.array([[0.5], [1.5], [2.5]], dtype=np.float32),
        "on": np.array([True, False, True]),
        "accuracy": np.float64(1e-9),
    }
    columns = read_columns(written(tmp_path, "a.npz", arrays), "reference")
    expected = {"t": [0, 1, 2], "x": [0.5, 1.5, 2.5], "on": [1, 0, 1], "accuracy": [1e-9] * 3}
    assert {name: c.tolist() for name, c in columns.items()} == expected
    assert all(c.dtype == np.float64 for c in columns.values())


@settings(max_examples=40, deadline=None)
@given(st.lists(st.tuples(*[st.floats(allow_nan=False, allow_infinity=False)] * 2), min_size=1, max_size=20))
def test_numbers_come_back_as_they_were(tmp_path_factory, rows):
    folder = tmp_path_factory.mktemp("tables")
    text = "a,b\n" + "\n".join(f"{a!r},{b!r}" for a, b in rows)
    a, b = np.array(rows).T
    for path in (written(folder, "a.csv", text), written(folder, "a.npz", {"a": a, "b": b})):
        columns = read_columns(path, "data.probes")
        assert np.array_equal(columns["a"], a) and np.array_equal(columns["b"], b)


@pytest.mark.parametrize(
    ("text", "rows"),
    [
        ("t,x\n1,2\n2,\n3,4\n", "2"),
        ("t,x\n1,nan\n2,3\n3,inf\n", "1, 3"),
        ("t,x\n# note\n1,2\n\n2,n/a\n", "2"),
        ("t,x\n" + "1,-\n" * 20, "1, 2, 3, 4, 5, 6, 7, 8 ..."),
        ("t,x\n1,2\x00\n", "1"),
        ("t,x\n1,1e999\n", "1"),
    ],
)
def test_values_that_are_no_numbers_are_refused_with_their_rows(tmp_path, text, rows):
    message = refusal(written(tmp_path, "a.csv", text))
    assert message.endswith(f"column `x` holds no finite number in data rows {rows}")


def test_arrays_with_values_that_are_not_finite(tmp_path):
    message = refusal(written(tmp_path, "a.npz", {"t": np.array([0, np.nan, 1, np.inf])}))
    assert message.endswith("column `t` holds no finite number in data rows 2, 4")


def test_ragged_rows_are_refused_with_their_numbers(tmp_path):
    message = refusal(written(tmp_path, "a.csv", "t,x\n1,2\n1,2,3\n# note\n4\n"))
    assert "data rows [2, 3] do not have 2 cells" in message


@pytest.mark.parametrize("second", [np.ones(4), np.ones(1), np.ones(0)])
def test_arrays_of_different_length_are_refused(tmp_path, second):
    message = refusal(written(tmp_path, "a.npz", {"t": np.arange(3.0), "x": second}))
    assert "columns differ in length" in message and "'t': 3" in message


@pytest.mark.parametrize("content", ["", "# only a note\n", "t,x\n", {"t": np.zeros(0)}, {}])
def test_files_without_rows_are_refused(tmp_path, content):
    name = "a.npz" if isinstance(content, dict) else "a.csv"
    assert "no rows" in refusal(written(tmp_path, name, content))


class Trap:
    """Loading a pickle of it leaves a mark."""

    loaded = False

    def __reduce__(self):
        return setattr, (Trap, "loaded", True)


def test_pickles_are_not_loaded(tmp_path):
    path = written(tmp_path, "a.npz", {"t": np.array([Trap(), 1], dtype=object)})
    assert "cannot be read" in refusal(path)
    bare = tmp_path / "b.npz"
    with open(bare, "wb") as file:
        np.save(file, np.array([Trap()], dtype=object))
    assert "not an NPZ file" in refusal(bare)
    assert not Trap.loaded
    np.load(path, allow_pickle=True)["t"]  # the trap works
    assert Trap.loaded


@pytest.mark.parametrize(
    "array",
    [
        np.array([1j, 2]),
        np.array(["1", "2"]),
        np.array(["2020-01-01"], dtype="datetime64[D]"),
        np.zeros(2, dtype=[("a", float)]),
    ],
    ids=lambda a: str(a.dtype),
)
def test_arrays_that_hold_no_real_numbers_are_refused(tmp_path, array):
    assert "`t` holds no real numbers" in refusal(written(tmp_path, "a.npz", {"t": array}))


def corrupt(data: bytes) -> bytes:
    return data[:300] + bytes([data[300] ^ 255]) + data[301:]


def archive(**members: bytes) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as file:
        for name, content in members.items():
            file.writestr(name, content)
    return stream.getvalue()


def saved(save, *arrays) -> bytes:
    stream = io.BytesIO()
    save(stream, *arrays)
    return stream.getvalue()


@pytest.mark.parametrize(
    "content",
    [
        b"hello",
        saved(np.save, np.arange(3)),
        saved(np.savez, np.arange(1000.0))[:-30],
        corrupt(saved(np.savez, np.arange(1000.0))),
        archive(t=b"no array"),
    ],
    ids=["text", "npy", "cut", "corrupt", "foreign"],
)
def test_files_that_are_no_npz_are_refused(tmp_path, content):
    assert "cannot be read" in refusal(written(tmp_path, "a.npz", content))


@pytest.mark.parametrize("name", ["a.csv", "a.npz"])
def test_files_that_cannot_be_opened_are_refused(tmp_path, name):
    assert "cannot be read" in refusal(tmp_path / name)
    assert "cannot be read" in refusal(written(tmp_path, name, b"\xff\xfe\x00t,x\n1,2\n"))
