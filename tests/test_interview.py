"""`pinnsolve new --interactive`: its questions, and the files that answers make."""

from __future__ import annotations

from pathlib import Path

import pytest
import typer

import pinnsolve as ps
from pinnsolve.spec.interview import KINDS, interview


def answered(monkeypatch, *answers):
    """Answers in order; an empty one, and all that are left, take the default."""
    left = list(answers)

    def prompt(text, default):
        answer = left.pop(0) if left else ""
        return answer or default

    monkeypatch.setattr(typer, "prompt", prompt)
    return left


def test_enter_all_the_way_makes_a_problem_that_is_solved(work, command, monkeypatch):
    answered(monkeypatch)
    code, out, _ = command("new", "mine", "--interactive")
    assert code == 0 and "wrote mine.yaml" in out
    solution = ps.solve(ps.load("mine.yaml"))
    assert solution.result["status"] == "converged"
    assert solution(x=0.5, y=0.5) == pytest.approx(0.07367135, rel=1e-3)  # of a pressed membrane


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "own"])
@pytest.mark.parametrize("count", ["1", "2", "3"])
@pytest.mark.parametrize("walls", ["value", "insulated", "periodic"])
def test_every_answer_makes_a_file_that_is_right(kind, count, walls, work, command, monkeypatch):
    if kind == "poisson" and walls != "value":
        pytest.skip("there is no such solution: the source goes nowhere")
    middle = [""] * (2 * int(count) + (0 if kind == "poisson" else 2))  # intervals
    rest = {"poisson": ["1"], "diffusion": ["0.1", ""], "wave": ["2", "", ""]}[kind]
    left = answered(monkeypatch, kind, count, *middle, *rest, walls)
    assert command("new", "mine", "-i")[0] == 0
    assert not left
    problem = ps.load("mine.yaml")
    assert len(problem.coordinates) == int(count) + (kind != "poisson")


def test_an_equation_of_ones_own(work, command, monkeypatch):
    answered(monkeypatch, "own", "0", "1", "", "3", "y", "D(y, t) = -2*y", "4", "1e-6")
    assert command("new", "decay", "-i")[0] == 0
    text = Path("decay.yaml").read_text()
    assert "D(y, t) = -2*y" in text and "y = 4" in text
    assert ps.load("decay.yaml").intervals == ((0.0, 3.0),)


def test_time_may_start_anywhere(work, command, monkeypatch):
    answered(monkeypatch, "diffusion", "1", "-1", "2")
    assert command("new", "mine", "-i")[0] == 0
    assert "t = -1" in Path("mine.yaml").read_text() and ps.load("mine.yaml").intervals[0] == (-1.0, 2.0)


def test_wrong_answers_are_told_and_asked_again(work, command, monkeypatch):
    wrong = [
        "heat",
        "poisson",
        "5",
        "1",
        "zero",
        "0",
        "-1",
        "2*pi",
        "sin(",
        "sin(x)",
        "glue",
        "value",
        "0",
        "-3",
        "1e-3",
    ]
    left = answered(monkeypatch, *wrong)
    code, _, err = command("new", "mine", "-i")
    assert code == 0 and not left
    for words in ("answer one of poisson", "answer one of 1, 2, 3", "a number is expected", "must lie above 0",
                  "answer one of value", "must be positive"):  # fmt: skip
        assert words in err
    assert "sin(x)" in Path("mine.yaml").read_text()


def test_a_file_that_is_there_is_left_before_anything_is_asked(work, command, monkeypatch):
    Path("mine.yaml").write_text("mine")
    monkeypatch.setattr(typer, "prompt", None)
    code, _, err = command("new", "mine", "--interactive")
    assert code == 2 and "exists already" in err and Path("mine.yaml").read_text() == "mine"


def test_answers_are_asked_for_in_words():
    asked = []

    def ask(question):
        asked.append(question.text)
        return question.default

    assert interview("mine", ask)["unknowns"] == "u"
    assert len(asked) == len(set(asked)) == 10
