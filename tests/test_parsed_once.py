"""A text is parsed once, from the file to the problem, and settings given later read nothing but themselves."""

from __future__ import annotations

from collections import Counter

import pytest

import pinnsolve as ps
from pinnsolve.compiler.compiler import compile_problem
from pinnsolve.errors import ExpressionError
from pinnsolve.language import syntax
from pinnsolve.language.parsed_texts import ParsedTexts
from pinnsolve.problem import build
from pinnsolve.spec.source import bundled_problems
from pinnsolve.spec.spec import spec_with_settings


@pytest.fixture
def parsed(monkeypatch) -> Counter:
    """How often each text was parsed."""
    counts, read = Counter(), syntax._tokens

    def counted(text: str):
        counts[text] += 1
        return read(text)

    monkeypatch.setattr(syntax, "_tokens", counted)
    return counts


WITHOUT_OPERATORS = [
    name
    for name, path in bundled_problems().items()
    if not (path.parent / "operators" / f"{name}.py").exists()
    and "range:" not in path.read_text(encoding="utf-8")  # each member is a problem of its own
]


@pytest.mark.parametrize("name", WITHOUT_OPERATORS)
def test_each_text_of_a_file_is_parsed_once(name, parsed):
    compile_problem(ps.load(name))
    assert parsed and set(parsed.values()) == {1}, {text: n for text, n in parsed.items() if n > 1}


def test_settings_are_read_by_themselves(parsed, monkeypatch):
    problem = ps.load("burgers")
    parsed.clear()
    monkeypatch.setattr(build, "build_problem", None)  # the problem is not made again
    weights = {"start": "W**(-0.5)", "momentum": "2*nu"}
    changed = build.with_settings(problem, {"tolerance": "1e-3", "term_weights": weights, "basis": {"width": 64}})
    assert set(parsed) == {"1e-3", "W**(-0.5)", "2*nu", "64"} | {str(n) for n in _numbers(problem.settings)}
    assert changed.statements is problem.statements
    assert (changed.settings.tolerance, changed.settings.basis.width) == (1e-3, 64)
    assert problem.settings.tolerance != 1e-3 and problem.settings.basis is None
    compiled = compile_problem(changed)
    assert compiled.settings is changed.settings
    assert compiled.weights_at(4) == {"start": 0.5, "momentum": pytest.approx(0.02 / 3.141592653589793)}


def _numbers(settings) -> list:
    return [settings.starts, settings.seed]


@pytest.mark.parametrize(
    ("settings", "key", "message", "hint"),
    [
        ({"tolerence": 1}, "solve.tolerence", "unknown key", "did you mean `tolerance`?"),
        ({"tolerance": -1}, "solve.tolerance", "a positive number is expected, not `-1`", None),
        ({"basis": {"kind": "mpl"}}, "solve.basis.kind", "unknown kind of basis `mpl`", "did you mean `mlp`?"),
        ({"term_weights": {"mometum": 1}}, "solve.term_weights.mometum", "there is no term", "`momentum`?"),
        ({"term_weights": {"start": "u"}}, "solve.term_weights.start", "`u` cannot stand here", "known here: nu"),
        ({"term_weights": {"start": "1 - W"}}, "solve.term_weights.start", "a term weight is positive", "W = 1"),
        ({"basis": {"activation": "relu"}}, "solve.basis.activation", "`relu` has no second derivatives", "choose"),
    ],
    ids=["key", "number", "word", "term", "name", "positive", "too rough"],
)
def test_wrong_settings_are_located(settings, key, message, hint):
    with pytest.raises(ps.ProblemError) as caught:
        ps.solve(ps.load("burgers"), **settings)
    (found,) = caught.value.diagnostics
    assert found.key == key and message in found.message and (hint or "") in (found.hint or "")


def test_all_wrong_settings_come_at_once():
    with pytest.raises(ps.ProblemError) as caught:
        spec_with_settings(ps.load("burgers").spec, {"tolerance": 0, "term_weights": {"start": "W*("}, "seeds": 1})
    assert sorted(d.key for d in caught.value.diagnostics) == [
        "solve.seeds",
        "solve.term_weights.start",
        "solve.tolerance",
    ]


def test_a_wrong_text_gives_its_error_each_time(parsed):
    texts = ParsedTexts()
    for _ in range(2):
        with pytest.raises(ExpressionError, match="a product needs"):
            texts.expression("2x")
    assert parsed["2x"] == 1
