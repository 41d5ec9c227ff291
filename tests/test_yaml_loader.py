"""YAML by the core schema of YAML 1.2: values, lines, duplicate keys, limits; and writing that reads back the same."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pinnsolve.errors import ProblemError
from pinnsolve.files.yaml_reader import load_yaml, parse_value, parse_yaml, scalar
from pinnsolve.files.yaml_writer import write_yaml


@pytest.mark.parametrize(
    "word", ["on", "off", "yes", "no", "y", "n", "On", "NO", "1_000", "12:30", "2001-01-01", "0b1", "="]
)
def test_words_of_yaml_1_1_are_texts(word):
    assert parse_yaml(f"a: {word}").data == {"a": word}


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1e-6", 1e-6),
        ("1E3", 1000.0),
        ("+.5", 0.5),
        ("5.", 5.0),
        ("-3", -3),
        ("010", 10),
        ("0o17", 15),
        ("0xff", 255),
        ("true", True),
        ("False", False),
        ("~", None),
        ("null", None),
        ("", None),
        ("-.inf", -math.inf),
        ("0.01/pi", "0.01/pi"),
        ("1e999999999", "1e999999999"),
        ("1e-999", "1e-999"),
        ("0e-999", 0.0),
        ("9" * 400, "9" * 400),
    ],
)
def test_plain_scalars(text, value):
    found = scalar(text)
    assert (found, type(found)) == (value, type(value))


def test_not_a_number_is_one_of_yaml_s_numbers():
    assert math.isnan(parse_value(".nan"))


def test_quoted_scalars_are_texts():
    assert parse_yaml("{a: '1', b: \"true\", 'on': x}").data == {"a": "1", "b": "true", "on": "x"}


def test_keys_are_texts_and_keep_their_order():
    assert list(parse_yaml("true: 1\n1: 2\non: 3").data) == ["true", "1", "on"]


def test_lines_of_keys():
    document = parse_yaml("a: 1\nb:\n  c: {d: 2,\n      e: [3,\n 4]}\n  f: >\n    folded\n    text\n  g:\n    below\n")
    lines = {".".join(map(str, path)): line for path, line in document.lines.items()}
    assert lines["a"] == 1
    assert lines["b"] == 2
    assert lines["b.c.d"] == 3
    assert lines["b.c.e.1"] == 5
    assert lines["b.f"] == 6
    assert lines["b.g"] == 10
    assert document.line(("b", "c", "unknown", 7)) == 3
    assert document.line(("unknown",)) is None


def test_a_key_given_twice_is_an_error_with_both_lines():
    document = parse_yaml("a: 1\nb: {c: 1, c: 2}\na: [1, {d: 5}]\n", "f.yaml")
    assert document.data == {"a": 1, "b": {"c": 1}}
    assert [(p.key, p.line, p.hint) for p in document.problems] == [
        ("b.c", 2, "it is first given in line 2"),
        ("a", 3, "it is first given in line 1"),
    ]


def test_aliases_stand_for_what_they_name():
    assert parse_yaml("a: &x {k: [1, 2]}\nb: *x\nc: &y 3\nd: *y").data == {
        "a": {"k": [1, 2]},
        "b": {"k": [1, 2]},
        "c": 3,
        "d": 3,
    }


BOMB = "a: &a [x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"{new}: &{new} [{', '.join([f'*{old}'] * 9)}]\n" for old, new in zip("abcdefgh", "bcdefghi", strict=True)
)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (BOMB, "aliases counted"),
        ("a: &a [*a]", "stands for nothing"),
        ("a: *b", "stands for nothing"),
        ("a: !!python/object/apply:os.system [ls]", "tag"),
        ("a: !!float 1", "tag"),
        ("a: !mine 1", "tag"),
        ("a: " + "[" * 100_000, "too deep"),
        ("a: " + "{b: " * 50, "too deep"),
        ("- " * 100_000, "too deep"),
        ("".join(f"k{i}: {i}\n" for i in range(15_000)), "too large"),
        ("x" * 300_000, "too large"),
        ("a: 1\n---\nb: 2", "second document"),
        ("[1, 2]: 3", "key is a word"),
        ("? {a: 1}\n: 2", "key is a word"),
        ("[1, 2]", "map"),
        ("just words", "map"),
        ("", "empty"),
        ("# only a comment\n", "empty"),
        ("a: [1, 2\nb: 3", "not YAML"),
        ("a: u: 1", "not YAML"),
        ("a: 'open", "not YAML"),
        ("\ta: 1", "tabs"),
        ("a: \x00", "not YAML"),
        ("a: @b", "not YAML"),
    ],
)
def test_what_is_refused_and_how(text, words):
    with pytest.raises(ProblemError) as caught:
        parse_yaml(text, "f.yaml")
    (found,) = caught.value.diagnostics
    assert words in f"{found.message} {found.hint}"
    assert found.file == "f.yaml"


def test_an_error_of_yaml_has_line_and_caret():
    with pytest.raises(ProblemError) as caught:
        parse_yaml("a: 1\nb: u: 1\n", "f.yaml")
    (found,) = caught.value.diagnostics
    assert (found.line, found.text, found.offset) == (2, "b: u: 1", 4)


def test_files_that_cannot_be_read(tmp_path):
    latin = tmp_path / "latin.yaml"
    latin.write_bytes(b"name: x\ntitle: caf\xe9\n")
    large = tmp_path / "large.yaml"
    large.write_bytes(b"#" * 10_000_000)
    for path, words in ((latin, "UTF-8"), (large, "too large"), (tmp_path, "not a file"), (tmp_path / "no", "No such")):
        with pytest.raises(ProblemError, match=words):
            load_yaml(path)


def test_a_byte_order_mark_is_no_part_of_the_first_key(tmp_path):
    path = tmp_path / "bom.yaml"
    path.write_bytes(b"\xef\xbb\xbfname: x\r\nunknowns: u\r\n")
    assert load_yaml(path).data == {"name": "x", "unknowns": "u"}


@given(
    st.one_of(
        st.text(max_size=200), st.lists(st.sampled_from("ab:-?[]{},&*!|>'\"%@`#~ \n\t1."), max_size=80).map("".join)
    )
)
def test_any_text_is_read_or_refused(text):
    try:
        assert isinstance(parse_yaml(text).data, dict)
    except ProblemError as error:
        assert error.diagnostics


words = st.one_of(
    st.text(max_size=20).filter(lambda s: all(c.isprintable() or c == "\n" for c in s)),
    st.sampled_from(
        ["on", "1e-6", "true", "null", "~", "", " ", "a: b", "- x", "#", "u = 0", ".nan", "0o7", "*a", "&a", "|"]
    ),
)
values = st.recursive(
    st.one_of(words, st.integers(), st.booleans(), st.none(), st.floats(allow_nan=False)),
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(words, inner, max_size=4)),
    max_leaves=12,
)


@given(st.dictionaries(words, values, min_size=1, max_size=4))
def test_what_is_written_is_read_back(data):
    assert parse_yaml(write_yaml(data)).data == data


def test_keys_such_as_on_are_written_bare():
    assert write_yaml({"on": "x = 0"}) == "on: x = 0\n"
