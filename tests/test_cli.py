"""`pinnsolve run`: exit codes, what goes where, and that no result is ever lost."""

from __future__ import annotations

import json
import os
import re
import tempfile
from pathlib import Path

import pytest
from conftest import WAVES
from sine_basis import solution_of

from pinnsolve import pipeline
from pinnsolve.errors import PinnsolveError, ResourceError
from pinnsolve.figures.samples import Drawn
from pinnsolve.language import operators
from pinnsolve.results.solution import Solution, load_solution
from pinnsolve.spec import catalog
from pinnsolve.spec.spec import load_spec

FILES = ["history.jsonl", "problem.yaml", "report.html", "result.json", "solution.npz"]


# -- run --------------------------------------------------------------------------------------------------------


def test_run_writes_the_run_folder(work, solved, command):
    code, out, _ = command("run", "waves.yaml")
    assert code == 0
    folder = work / "runs" / "waves"
    assert sorted(p.name for p in folder.iterdir()) == ["figures", *FILES]
    assert [p.name for p in (folder / "figures").iterdir()] == ["solution.png"]
    assert load_spec(folder / "problem.yaml").name == "waves"
    assert "converged" in out
    assert "2.1e-07" in out
    assert re.search(r"wave +1 +400 +1\.0e-07", out)
    assert str(Path("runs") / "waves") in out
    assert "\x1b" not in out
    assert not any(line.endswith(" ") for line in out.splitlines())


@pytest.mark.parametrize(
    ("status", "code"),
    [("converged", 0), ("tolerance_not_reached", 1), ("diverged", 1), ("interrupted", 1), ("time_limit", 1)],
)
def test_exit_code_and_the_best_answer_is_written(work, solved, command, status, code):
    solved(status)
    assert command("run", "waves.yaml")[0] == code
    assert load_solution("runs/waves").result["status"] == status


def test_json_is_all_there_is_on_standard_output(work, solved, command):
    code, out, err = command("run", "waves.yaml", "--json", "--out", "here")
    assert code == 0
    result = json.loads(out, parse_constant=lambda word: pytest.fail(f"{word} is not JSON"))
    assert result == json.loads(Path("here/result.json").read_text())
    assert result["estimated_error"] == {"u": None}
    assert "wave" not in err


def test_results_are_never_lost(work, solved, command):
    for _ in range(3):
        assert command("run", "waves.yaml")[0] == 0
    assert sorted(p.name for p in Path("runs").iterdir()) == ["waves", "waves-2", "waves-3"]
    for kept in ("waves", "waves-2"):
        for path in sorted(Path("runs", kept).rglob("*"), reverse=True):
            path.rmdir() if path.is_dir() else path.unlink()
        Path("runs", kept).rmdir()
    assert command("run", "waves.yaml")[0] == 0
    assert sorted(p.name for p in Path("runs").iterdir()) == ["waves-3", "waves-4"]


def test_out_replaces_a_run_but_nothing_else(work, solved, command):
    (work / "taken").mkdir()
    (work / "taken" / "thesis.tex").write_text("years of work")
    code, _, err = command("run", "waves.yaml", "--out", "taken")
    assert (code, os.listdir("taken")) == (2, ["thesis.tex"])
    assert "neither empty nor a run folder" in err
    assert command("run", "waves.yaml", "--out", "waves.yaml")[0] == 2
    (work / "empty").mkdir()
    assert command("run", "waves.yaml", "--out", "empty")[0] == 0
    Path("empty/figures/error.png").write_text("of the run before")
    Path("empty/notes.txt").write_text("mine")
    solved("diverged")
    assert command("run", "waves.yaml", "--out", "empty")[0] == 1
    assert load_solution("empty").result["status"] == "diverged"
    assert not Path("empty/figures/error.png").exists()
    assert Path("empty/notes.txt").read_text() == "mine"


def test_data_files_go_along_so_that_the_folder_is_complete(work, solved, command):
    (work / "data").mkdir()
    Path("data/d.csv").write_text("t,x,m\n0,0,1\n")
    Path("waves.yaml").write_text(WAVES + 'data: {d: {file: data/d.csv, equation: "u = m"}}\n')
    assert command("run", "waves.yaml", "--out", "run")[0] == 0
    assert Path("run/data/d.csv").read_text() == Path("data/d.csv").read_text()
    assert load_spec("run/problem.yaml").data == load_spec("waves.yaml").data
    assert command("run", "run/problem.yaml", "--out", "run")[0] == 0


def test_the_folder_is_checked_before_the_solve(work, solved, command):
    calls = solved()
    (work / "file").write_text("")
    assert command("run", "waves.yaml", "--out", "file/below")[0] == 2
    assert calls == []


def test_resume_goes_on_from_the_last_run(work, solved, command):
    calls = solved("time_limit")
    code, _, err = command("run", "waves.yaml", "--resume")
    assert code == 2
    assert "no run to resume in runs/waves" in err
    code, _, err = command("run", "waves.yaml", "--resume", "--out", "named")  # as one that was killed at once
    assert (code, calls.pop()["start"]) == (1, None)
    assert "no run to resume in named: it begins" in err
    for _ in range(2):
        command("run", "waves.yaml")
    stranger = solution_of(name="waves-3", result={"problem": "waves-3"})
    stranger.save("runs/waves-3")  # of a problem whose name looks like a number of ours
    solved("converged")
    assert command("run", "waves.yaml", "--resume")[0] == 0
    assert [call["start"] is not None for call in calls] == [False, False, True]
    assert calls[-1]["start"].result["status"] == "time_limit"
    assert load_solution("runs/waves").result["status"] == "time_limit"
    assert load_solution("runs/waves-2").result["status"] == "converged"
    assert not Path("runs/waves-4").exists()


def test_resume_refuses_another_problem(work, solved, command):
    solution_of(coordinates=("x", "y"), time=None).save("other")
    code, _, err = command("run", "waves.yaml", "--resume", "--out", "other")
    assert code == 2
    assert "solution of another problem" in err


def test_settings_reach_the_problem(work, solved, command):
    calls = solved()
    command("run", "waves.yaml", "--set", "solve.tolerance=1e-3", "--set", "parameters.c=2")
    assert calls[0]["problem"].spec.solve.tolerance == 1e-3
    assert calls[0]["problem"].parameters["c"] == 2


def test_errors_of_the_solve_are_messages(work, monkeypatch, command):
    def solve(problem, progress=None, start=None, journal=None, among=None):
        raise ResourceError("the matrix would take 900 GB")

    monkeypatch.setattr(pipeline, "solve", solve)
    assert command("run", "waves.yaml") == (2, "", "error: the matrix would take 900 GB\n")
    assert not Path("runs").exists()


def test_interrupted_outside_the_solve(work, monkeypatch, command):
    def solve(problem, progress=None, start=None, journal=None, among=None):
        raise KeyboardInterrupt

    monkeypatch.setattr(pipeline, "solve", solve)
    assert command("run", "waves.yaml") == (130, "", "interrupted before there was an answer\n")


def test_figures_that_fail_lose_nothing(work, solved, monkeypatch, command):
    def draw(self, samples, folder):
        assert json.loads(Path("runs/waves/result.json").read_text())["status"] == "converged"  # it came first
        assert Path("runs/waves/solution.npz").is_file()
        raise RuntimeError("no ink")

    monkeypatch.setattr("pinnsolve.figures.drawer.Drawer.draw", draw)
    code, out, err = command("run", "waves.yaml")
    assert (code, err.splitlines()[-1]) == (0, "warning: No figure could be drawn: RuntimeError: no ink")
    assert "converged" in out
    assert "converged" in Path("runs/waves/report.html").read_text().lower()


def test_one_figure_that_fails_is_a_warning(work, solved, monkeypatch, command):
    failure = "The figure error.png could not be drawn: RuntimeError: no ink"
    monkeypatch.setattr("pinnsolve.figures.drawer.Drawer.draw", lambda *_: Drawn((), (failure,)))
    code, _, err = command("run", "waves.yaml")
    assert (code, err.splitlines()[-1]) == (0, f"warning: {failure}")


def test_a_disk_that_is_full(work, solved, monkeypatch, command):
    save = Solution.save

    def full(self, folder):
        if str(folder) == "runs/waves":
            raise OSError(28, "No space left on device", "runs/waves/solution.npz")
        return save(self, folder)

    monkeypatch.setattr(Solution, "save", full)
    monkeypatch.setattr(tempfile, "tempdir", str(work))
    code, _, err = command("run", "waves.yaml")
    last = err.splitlines()[-1]
    assert code == 2 and last.startswith("error: runs/waves cannot be written: No space left on device; the solution ")
    assert load_solution(last.split()[-2]).result["status"] == "converged"  # it is elsewhere instead
    monkeypatch.setattr(Solution, "save", lambda self, folder: full(self, "runs/waves"))
    assert "there is no other place" in command("run", "waves.yaml", "--out", "runs/waves")[2]


# -- operators --------------------------------------------------------------------------------------------------

OPERATOR = """
from pinnsolve.language.operators import operator

@operator("delayed", order=0)
def delayed(basis, points):
    return basis.derivatives(points, [(0, 0)])[0, 0]
"""


def test_operators_are_run_on_request_only(work, solved, command, monkeypatch):
    monkeypatch.setattr(operators, "OPERATORS", dict(operators.OPERATORS))
    Path("waves.yaml").write_text(WAVES.replace("c*D(u, x, x)", "delayed(u)"))
    Path("mine.py").write_text(OPERATOR)
    code, _, err = command("run", "waves.yaml")
    assert code == 2
    assert "delayed" in err
    assert command("run", "waves.yaml", "--operators", "mine.py")[0] == 0


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("x = 1\ny = 1/0\n", "mine.py:2: error: ZeroDivisionError: division by zero"),
        ("def f(:\n", "mine.py:1: error: SyntaxError"),
        ("import no_such_module_here\n", "mine.py:1: error: ModuleNotFoundError"),
    ],
)
def test_operators_that_fail_are_named_with_the_line(work, command, content, words):
    Path("mine.py").write_text(content)
    code, _, err = command("check", "waves.yaml", "--operators", "mine.py")
    assert code == 2
    assert words in err


def test_operators_that_come_with_the_problems():
    assert catalog.find_operators("fredholm").name == "fredholm.py"
    with pytest.raises(PinnsolveError, match="did you mean `--operators fredholm`"):
        catalog.find_operators("fredhom.py")
