"""The command line: exit codes, what goes where, and that no result is ever lost."""

from __future__ import annotations

import csv
import io
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console
from sine_basis import SineBasis, closed_form, solution_of

from pinnsolve import catalog, pipeline, registry, run_folders
from pinnsolve.cli import main
from pinnsolve.errors import PinnsolveError, ResourceError
from pinnsolve.progress import Progress, display
from pinnsolve.report import report
from pinnsolve.solution import load_solution
from pinnsolve.spec import load_spec
from pinnsolve.wording import duration, printable, scientific

ROOT = Path(__file__).resolve().parents[1]
FILES = ["history.jsonl", "problem.yaml", "result.json", "solution.npz"]

WAVES = """\
name: waves
title: Waves for tests
coordinates: {t: [0, 1], x: [-1, 2]}
unknowns: u
parameters: {c: 1/4}
definitions: {twice(s): 2*s}
equations:
  wave: D(u, t, t) = c*D(u, x, x)
conditions:
  start: {on: "t = 0", equations: ["u = cos(2*pi*x/3)", "D(u, t) = 0"]}
  ends: {periodic: x}
"""


@pytest.fixture
def work(tmp_path, monkeypatch):
    """A folder to work in, with a problem file, and solutions of its kind readable."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setitem(registry.BASES, SineBasis.kind, SineBasis)
    Path("waves.yaml").write_text(WAVES)
    return tmp_path


@pytest.fixture
def solved(monkeypatch):
    """The solver replaced by an answer known beforehand; what it was called with is kept."""
    calls = []

    def arrange(status="converged", **fields):
        def solve(problem, progress=None, start=None):
            calls.append({"problem": problem, "start": start})
            for i in range(3):
                progress({"step": i, "steps": 3, "seconds": 0.1, "phase": "lsgd", "loss": 1.0, "terms": {"wave": 1.0}})
            result = {
                "problem": problem.name,
                "status": status,
                "message": "a sentence",
                "relative_l2_error": {"u": 2.1e-7},
                "estimated_error": {"u": float("nan")},
                "terms": {"wave": {"weight": 1.0, "points": 400, "rms_residual": 1e-7}},
                "wall_time_s": 4.2,
            }
            answer = {"name": problem.name, "result": result, "problem_text": problem.spec.to_yaml()}
            return solution_of(**{**answer, **fields})

        monkeypatch.setattr(pipeline, "solve", solve)
        return calls

    arrange()
    return arrange


def pinnsolve_(capsys, *arguments: str) -> tuple[int, str, str]:
    """Exit code, output and errors of a command run in this process."""
    with pytest.raises(SystemExit) as end:
        main(list(arguments))
    out, err = capsys.readouterr()
    assert "Traceback" not in out + err
    return end.value.code or 0, out, err


# -- run --------------------------------------------------------------------------------------------------------


def test_run_writes_the_run_folder(work, solved, capsys):
    code, out, _ = pinnsolve_(capsys, "run", "waves.yaml")
    assert code == 0
    folder = work / "runs" / "waves"
    assert sorted(p.name for p in folder.iterdir()) == ["figures", *FILES]
    assert (folder / "figures" / "solution.png").stat().st_size > 5000
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
def test_exit_code_and_the_best_answer_is_written(work, solved, capsys, status, code):
    solved(status)
    assert pinnsolve_(capsys, "run", "waves.yaml")[0] == code
    assert load_solution("runs/waves").result["status"] == status


def test_json_is_all_there_is_on_standard_output(work, solved, capsys):
    code, out, err = pinnsolve_(capsys, "run", "waves.yaml", "--json", "--out", "here")
    assert code == 0
    result = json.loads(out, parse_constant=lambda word: pytest.fail(f"{word} is not JSON"))
    assert result == json.loads(Path("here/result.json").read_text())
    assert result["estimated_error"] == {"u": None}
    assert "wave" not in err


def test_results_are_never_lost(work, solved, capsys):
    for _ in range(3):
        assert pinnsolve_(capsys, "run", "waves.yaml")[0] == 0
    assert sorted(p.name for p in Path("runs").iterdir()) == ["waves", "waves-2", "waves-3"]
    for kept in ("waves", "waves-2"):
        for path in sorted(Path("runs", kept).rglob("*"), reverse=True):
            path.rmdir() if path.is_dir() else path.unlink()
        Path("runs", kept).rmdir()
    assert pinnsolve_(capsys, "run", "waves.yaml")[0] == 0
    assert sorted(p.name for p in Path("runs").iterdir()) == ["waves-3", "waves-4"]


def test_out_replaces_a_run_but_nothing_else(work, solved, capsys):
    (work / "taken").mkdir()
    (work / "taken" / "thesis.tex").write_text("years of work")
    code, _, err = pinnsolve_(capsys, "run", "waves.yaml", "--out", "taken")
    assert (code, os.listdir("taken")) == (2, ["thesis.tex"])
    assert "neither empty nor a run folder" in err
    assert pinnsolve_(capsys, "run", "waves.yaml", "--out", "waves.yaml")[0] == 2
    (work / "empty").mkdir()
    assert pinnsolve_(capsys, "run", "waves.yaml", "--out", "empty")[0] == 0
    Path("empty/figures/error.png").write_text("of the run before")
    Path("empty/notes.txt").write_text("mine")
    solved("diverged")
    assert pinnsolve_(capsys, "run", "waves.yaml", "--out", "empty")[0] == 1
    assert load_solution("empty").result["status"] == "diverged"
    assert not Path("empty/figures/error.png").exists()
    assert Path("empty/notes.txt").read_text() == "mine"


def test_the_folder_is_checked_before_the_solve(work, solved, capsys):
    calls = solved()
    (work / "file").write_text("")
    assert pinnsolve_(capsys, "run", "waves.yaml", "--out", "file/below")[0] == 2
    assert calls == []


def test_resume_goes_on_from_the_last_run(work, solved, capsys):
    calls = solved("time_limit")
    code, _, err = pinnsolve_(capsys, "run", "waves.yaml", "--resume")
    assert code == 2
    assert "no run to resume in runs/waves" in err
    for _ in range(2):
        pinnsolve_(capsys, "run", "waves.yaml")
    stranger = solution_of(name="waves-3", result={"problem": "waves-3"})
    stranger.save("runs/waves-3")  # of a problem whose name looks like a number of ours
    solved("converged")
    assert pinnsolve_(capsys, "run", "waves.yaml", "--resume")[0] == 0
    assert [call["start"] is not None for call in calls] == [False, False, True]
    assert calls[-1]["start"].result["status"] == "time_limit"
    assert load_solution("runs/waves").result["status"] == "time_limit"
    assert load_solution("runs/waves-2").result["status"] == "converged"
    assert not Path("runs/waves-4").exists()


def test_resume_refuses_another_problem(work, solved, capsys):
    solution_of(coordinates=("x", "y"), time=None).save("other")
    code, _, err = pinnsolve_(capsys, "run", "waves.yaml", "--resume", "--out", "other")
    assert code == 2
    assert "solution of another problem" in err


def test_settings_reach_the_problem(work, solved, capsys):
    calls = solved()
    pinnsolve_(capsys, "run", "waves.yaml", "--set", "solve.tolerance=1e-3", "--set", "parameters.c=2")
    assert calls[0]["problem"].spec.solve.tolerance == 1e-3
    assert calls[0]["problem"].parameters["c"] == 2


def test_errors_of_the_solve_are_messages(work, monkeypatch, capsys):
    def solve(problem, progress=None, start=None):
        raise ResourceError("the matrix would take 900 GB")

    monkeypatch.setattr(pipeline, "solve", solve)
    assert pinnsolve_(capsys, "run", "waves.yaml") == (2, "", "error: the matrix would take 900 GB\n")
    assert not Path("runs").exists()


def test_interrupted_outside_the_solve(work, monkeypatch, capsys):
    def solve(problem, progress=None, start=None):
        raise KeyboardInterrupt

    monkeypatch.setattr(pipeline, "solve", solve)
    assert pinnsolve_(capsys, "run", "waves.yaml") == (130, "", "")


def test_a_disk_that_is_full(work, solved, monkeypatch, capsys):
    def save(self, folder):
        raise OSError(28, "No space left on device", "runs/waves/solution.npz")

    monkeypatch.setattr("pinnsolve.solution.Solution.save", save)
    code, _, err = pinnsolve_(capsys, "run", "waves.yaml")
    assert (code, err.splitlines()[-1]) == (2, "error: runs/waves/solution.npz: No space left on device")


# -- operators --------------------------------------------------------------------------------------------------

OPERATOR = """
from pinnsolve.registry import operator

@operator("delayed", order=0)
def delayed(basis, points):
    return basis.derivatives(points, [(0, 0)])[0, 0]
"""


def test_operators_are_run_on_request_only(work, solved, capsys, monkeypatch):
    monkeypatch.setattr(registry, "OPERATORS", dict(registry.OPERATORS))
    Path("waves.yaml").write_text(WAVES.replace("c*D(u, x, x)", "delayed(u)"))
    Path("mine.py").write_text(OPERATOR)
    code, _, err = pinnsolve_(capsys, "run", "waves.yaml")
    assert code == 2
    assert "delayed" in err
    assert pinnsolve_(capsys, "run", "waves.yaml", "--operators", "mine.py")[0] == 0


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("x = 1\ny = 1/0\n", "mine.py:2: error: ZeroDivisionError: division by zero"),
        ("def f(:\n", "mine.py:1: error: SyntaxError"),
        ("import no_such_module_here\n", "mine.py:1: error: ModuleNotFoundError"),
    ],
)
def test_operators_that_fail_are_named_with_the_line(work, capsys, content, words):
    Path("mine.py").write_text(content)
    code, _, err = pinnsolve_(capsys, "check", "waves.yaml", "--operators", "mine.py")
    assert code == 2
    assert words in err


def test_operators_that_come_with_the_problems():
    assert catalog.find_operators("fredholm").name == "fredholm.py"
    with pytest.raises(PinnsolveError, match="did you mean `--operators fredholm`"):
        catalog.find_operators("fredhom.py")


# -- check, list, new, schema -----------------------------------------------------------------------------------


def test_check_prints_the_compiled_terms(work, capsys):
    code, out, _ = pinnsolve_(capsys, "check", "waves.yaml")
    assert code == 0
    assert "Waves for tests" in out
    assert "t in [0, 1] (time), x in [-1, 2]" in out
    assert "c = 0.25" in out
    for term in ("wave", "start", "ends"):
        assert re.search(rf"^{term} ", out, re.MULTILINE)
    assert "D(u, t, t)" in out
    assert not Path("runs").exists()


def test_check_as_json(work, capsys):
    code, out, _ = pinnsolve_(capsys, "check", "waves.yaml", "--json")
    found = json.loads(out)
    assert (code, found["problem"], found["ok"]) == (0, "waves", True)
    assert [(row["name"], row["kind"], row["linear"]) for row in found["terms"]] == [
        ("wave", "equation", True),
        ("start", "condition", True),
        ("ends", "condition", True),
    ]


def test_all_errors_come_at_once_with_their_lines(work, capsys):
    Path("waves.yaml").write_text(WAVES.replace("cos(", "coss(").replace("c*D(u, x, x)", "c*D(v, x, x)"))
    code, out, err = pinnsolve_(capsys, "check", "waves.yaml", "--json")
    assert code == 2
    found = json.loads(out)
    assert not found["ok"]
    assert sorted(d["line"] for d in found["diagnostics"]) == [8, 10]
    assert "waves.yaml:8: error" in err
    assert "coss" in err


def test_warnings_go_to_standard_error(work, solved, capsys):
    Path("waves.yaml").write_text(WAVES.replace("  ends: {periodic: x}\n", ""))
    for command in ("check", "run"):
        code, _, err = pinnsolve_(capsys, command, "waves.yaml")
        assert code == 0
        assert "warning" in err


def test_list_shows_every_problem(capsys):
    code, out, _ = pinnsolve_(capsys, "list")
    assert code == 0
    names = [line.split()[0] for line in out.splitlines()]
    assert names == sorted(path.stem for path in (ROOT / "problems").glob("*.yaml"))
    assert "Viscous Burgers equation" in out


def test_names_that_are_not_there(work, capsys):
    code, _, err = pinnsolve_(capsys, "check", "burger")
    assert code == 2
    assert "did you mean `burgers`" in err
    assert pinnsolve_(capsys, "check", "poisson-2d")[0] == 0


def test_new_writes_a_file_once(work, capsys):
    code, out, _ = pinnsolve_(capsys, "new", "mine")
    assert code == 0
    assert "mine.yaml" in out
    text = Path("mine.yaml").read_text()
    assert pinnsolve_(capsys, "check", "mine.yaml")[0] == 0
    code, _, err = pinnsolve_(capsys, "new", "mine.yaml")
    assert (code, err) == (2, "error: mine.yaml exists already, and is left as it is\n")
    assert Path("mine.yaml").read_text() == text


@pytest.mark.parametrize("name", ["", "a b", "{x}", "..", "no/such/folder/x", "\x1b", "-"])
def test_new_refuses_what_is_no_name(work, capsys, name):
    before = os.listdir()
    assert pinnsolve_(capsys, "new", "--", name)[0] == 2
    assert os.listdir() == before


def test_schema_is_json(capsys):
    code, out, _ = pinnsolve_(capsys, "schema")
    assert code == 0
    assert {"name", "equations", "solve"} <= set(json.loads(out)["properties"])


def test_usage_errors_have_exit_code_2(capsys):
    for arguments in (["run"], ["nonsense"], ["run", "x", "--wrong"], ["evaluate", "x"]):
        code, out, err = pinnsolve_(capsys, *arguments)
        assert (code, out) == (2, "")
        assert err


# -- evaluate ---------------------------------------------------------------------------------------------------


@pytest.fixture
def saved(work):
    solution = solution_of(
        unknowns=("u", "v"), parameters={"kappa": {"value": 0.5, "standard_error": None}}, problem_text=WAVES
    )
    solution.save("run")
    Path("points.csv").write_text("x, label, t\n0.1, a, 0.2\n1.5,b,1\n-1,c,0.30000000000000004\n")
    return solution


def test_evaluate(saved, capsys):
    expressions = ["D(u, x)", "kappa*c*v*D(u, x, x) + twice(t)", "1"]
    options = [item for text in expressions for item in ("--derivative", text)]
    code, out, _ = pinnsolve_(capsys, "evaluate", "run", "--at", "points.csv", *options)
    assert code == 0
    header, *rows = csv.reader(io.StringIO(out))
    assert header == ["x", "t", "u", "v", *expressions]
    assert [row[:2] for row in rows] == [["0.1", "0.2"], ["1.5", "1"], ["-1", "0.30000000000000004"]]
    at = np.array([[float(t), float(x)] for x, t, *_ in rows])
    u, v, u_x, mixed, one = np.array([[float(cell) for cell in row[2:]] for row in rows]).T
    np.testing.assert_array_equal(u, saved.values(at, "u"))
    np.testing.assert_array_equal(v, saved.values(at, "v"))
    np.testing.assert_allclose(u_x, closed_form(saved, 0, at, (0, 1)), rtol=1e-12)
    np.testing.assert_allclose(mixed, 0.5 * 0.25 * v * closed_form(saved, 0, at, (0, 2)) + 2 * at[:, 0], rtol=1e-12)
    np.testing.assert_array_equal(one, 1)


def test_evaluate_into_a_file(saved, capsys):
    code, out, _ = pinnsolve_(capsys, "evaluate", "run", "--at", "points.csv", "--out", "values.csv")
    assert (code, out) == (0, "")
    assert Path("values.csv").read_text().splitlines()[0] == "x,t,u,v"


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("", "points.csv is empty; its first line should name the columns t, x"),
        ("t,y\n0,0\n", "line 1: there is no column x. The header has t, y"),
        ("T,x\n0,0\n", "line 1: there is no column t (but T)"),
        ("t,x,x\n0,0,0\n", "the column x is there 2 times"),
        ("t,x\n0,0\n0,abc\n", "line 3: x: 'abc' is not a number"),
        ("t,x\n0\n", "line 2: x: there is no value"),
        ("t,x\n\n0,0\n0,7\n", "line 4: x = 7.0 lies outside [-1, 2]"),
        ("t,x\nnan,0\n", "line 2: t = nan is not a finite number"),
        ("t,x\n" + "0,9\n" * 15, "and 5 more"),
    ],
)
def test_evaluate_names_the_rows_that_are_wrong(saved, capsys, content, words):
    Path("points.csv").write_text(content)
    code, out, err = pinnsolve_(capsys, "evaluate", "run", "--at", "points.csv", "--out", "values.csv")
    assert (code, out) == (2, "")
    assert words in err
    assert not Path("values.csv").exists()


@pytest.mark.parametrize(
    ("text", "words"),
    [("D(w, x)", "w"), ("D(u, x", "--derivative"), ("__import__('os')", "--derivative"), ("D(u, x, 5)", "order")],
)
def test_evaluate_names_the_expression_that_is_wrong(saved, capsys, text, words):
    code, out, err = pinnsolve_(capsys, "evaluate", "run", "--at", "points.csv", "--derivative", text)
    assert (code, out) == (2, "")
    assert words in err


def test_evaluate_without_a_run(work, capsys):
    code, _, err = pinnsolve_(capsys, "evaluate", "nowhere", "--at", "points.csv")
    assert code == 2
    assert "nowhere is not a run folder" in err


# -- words ------------------------------------------------------------------------------------------------------


def test_report_says_everything():
    result = {
        "problem": "[red]name[/red]",
        "status": "time_limit",
        "message": "stopped after 5 s\x1b[2J",
        "estimated_error": {"u": 3e-7},
        "parameters": {"kappa": {"value": 0.7312345678, "standard_error": 0.002}},
        "terms": {"walls[x]": {"weight": 0.5, "points": None, "rms_residual": None}},
        "cite": ["Someone [1999]"],
        "wall_time_s": 185.4,
    }
    console = Console(width=100, file=io.StringIO())
    console.print(report(result, Path("runs/x")))
    text = console.file.getvalue()
    for words in ("[red]name[/red] ran into its time limit", "0.7312346", "2.0e-03", "walls[x]", "Someone [1999]"):
        assert words in text
    assert "3 min 05 s" in text
    assert "\x1b" not in text


def test_progress_is_shown_on_a_terminal_only(monkeypatch):
    record = {"step": 1, "steps": 4, "seconds": 2.0, "phase": "lsgd", "loss": 1e-3, "terms": {"wave": 1e-3}}
    for terminal, quiet, shown in ((True, False, True), (True, True, False), (False, False, False)):
        console = Console(file=io.StringIO(), force_terminal=terminal, width=80)
        with Progress(console, quiet) as progress:
            progress(record)
        assert ("lsgd" in console.file.getvalue()) == shown
    console = Console(file=io.StringIO(), width=100)
    console.print(display(record))
    assert "lsgd  step 1 of 4  loss 1.0e-03  2.0 s  about 6.0 s left" in console.file.getvalue()
    console.print(display({"loss": None, "terms": None}))


def test_progress_does_not_redraw_at_every_step():
    console = Console(file=io.StringIO(), force_terminal=True, width=80)
    with Progress(console) as progress:
        for step in range(2000):
            progress({"step": step, "phase": "lsgd", "loss": 1.0, "terms": {}})
    assert console.file.getvalue().count("lsgd") < 20


def test_wording():
    assert [scientific(x) for x in (2.13e-7, None, float("nan"))] == ["2.1e-07", "–", "–"]
    assert [duration(x) for x in (0.021, 4.24, 99.96, 3599, 7800)] == [
        "0.02 s", "4.2 s", "1 min 40 s", "59 min 59 s", "2 h 10 min",
    ]  # fmt: skip
    assert printable("a\x1b[31m\tb\nc\u00a0é") == "a\N{REPLACEMENT CHARACTER}[31m b\nc é"


def test_folders_do_not_escape(work):
    assert run_folders.choose_folder("a", None, False) == Path("runs/a")


# -- as a program -----------------------------------------------------------------------------------------------


def program(*arguments: str, **options) -> subprocess.CompletedProcess:
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-m", "pinnsolve", *arguments]
    return subprocess.run(command, capture_output=True, text=True, env=environment, timeout=120, **options)


@pytest.mark.parametrize(
    "command", [["--help"], ["list"], ["schema"], ["check", "burgers"], ["run", "--help"], ["--version"]]
)
def test_quick_commands_load_nothing_heavy(command, tmp_path):
    code = (
        "import sys\nfrom pinnsolve.cli import main\n"
        "try:\n    main(sys.argv[1:])\nexcept SystemExit as end:\n    assert not end.code, end.code\n"
        "heavy = {'torch', 'matplotlib', 'scipy'} | ({'sympy'} if sys.argv[1] != 'check' else set())\n"
        "print(sorted(heavy & set(sys.modules)), file=sys.stderr)"
    )
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, "-c", code, *command], capture_output=True, text=True, env=environment, cwd=tmp_path
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr.splitlines()[-1] == "[]"


def test_interrupted_in_the_solve(work, monkeypatch, capsys):
    """With the real solver: the best answer so far is written."""
    seen = []

    def record(self, entry):
        seen.append(entry)
        if len(seen) == 5:
            raise KeyboardInterrupt

    monkeypatch.setattr(Progress, "__call__", record)
    pinnsolve_(capsys, "new", "bar")
    settings = ("solve.method=lsgd", "solve.basis={kind: mlp, width: 8, activation: tanh}")
    code, out, _ = pinnsolve_(capsys, "run", "bar.yaml", *(word for text in settings for word in ("--set", text)))
    assert code == 1
    assert "bar was interrupted" in out
    solution = load_solution("runs/bar")
    assert solution.result["status"] == "interrupted"
    assert len(solution.history) == 5
    assert np.isfinite(solution(t=0.5, x=0.5))


def test_from_a_new_file_to_values(tmp_path):
    """The whole way, with the real solver: new, run, evaluate."""
    assert program("new", "bar", cwd=tmp_path).returncode == 0
    done = program("run", "bar.yaml", "--json", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)
    assert result["status"] == "converged"
    assert result["relative_l2_error"]["u"] < 1e-6
    folder = tmp_path / "runs" / "bar"
    assert sorted(p.name for p in (folder / "figures").iterdir()) == [
        "error.png", "history.png", "residual.png", "solution.png",
    ]  # fmt: skip
    (tmp_path / "points.csv").write_text("t,x\n0.5,0.25\n")
    done = program("evaluate", str(folder), "--at", "points.csv", "--derivative", "D(u, x)", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    t, x, u, u_x = map(float, done.stdout.splitlines()[1].split(","))
    decay = np.exp(-0.1 * np.pi**2 * t)
    assert u == pytest.approx(decay * np.sin(np.pi * x), abs=1e-5)
    assert u_x == pytest.approx(decay * np.pi * np.cos(np.pi * x), abs=1e-4)
