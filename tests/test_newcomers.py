"""First tries by people who have not read the manual: every message holds the line to write.

Each file of `tests/newcomers` begins with comments: what a message must hold, one a line. A comment that begins with a
capital letter says where the file is from.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from pinnsolve.errors import ProblemError
from pinnsolve.spec.spec import load_spec

RATE = """\
name: rate
coordinates: {t: [0, 1]}
unknowns: {u: {}, f: {of: [u]}}
equations: {rate: "f(u) = D(u, t)"}
conditions: {start: {on: "t = 0", equation: "u = 1"}}
data: {values: {file: values.csv, equation: u = seen}}
"""
FILES = sorted((Path(__file__).parent / "newcomers").glob("*.yaml"))


def expected(file: Path) -> list[str]:
    """The lines that the messages about a file must hold."""
    comments = [text[2:] for text in file.read_text(encoding="utf-8").splitlines() if text.startswith("# ")]
    return [text for text in comments if text[0].islower()]


def test_there_are_twenty():
    assert len(FILES) >= 20
    assert all(expected(file) for file in FILES)


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_the_messages_hold_the_lines_to_write(file):
    with pytest.raises(ProblemError) as caught:
        load_spec(file)
    found = caught.value.diagnostics
    said = "\n".join(str(d) for d in found)
    assert all(d.file == str(file) for d in found)
    assert [words for words in expected(file) if words not in said] == [], said


def test_a_function_of_the_state_is_no_unknown_at_a_place(tmp_path):
    path = tmp_path / "rate.yaml"
    path.write_text(RATE)
    (tmp_path / "values.csv").write_text("t,seen\n0,1\n1,2\n")
    assert load_spec(path).name == "rate"
