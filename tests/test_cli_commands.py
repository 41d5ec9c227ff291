"""The other commands, and the program as a whole with the real solver."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from conftest import WAVES

from pinnsolve import cli
from pinnsolve.output.progress import Progress
from pinnsolve.results.solution import load_solution

ROOT = Path(__file__).resolve().parents[1]


# -- check, list, new, schema -----------------------------------------------------------------------------------


def test_check_prints_the_compiled_terms(work, command):
    code, out, _ = command("check", "waves.yaml")
    assert code == 0
    assert "Waves for tests" in out
    assert "t in [0, 1] (time), x in [-1, 2]" in out
    assert "c = 0.25" in out
    for term in ("wave", "start", "ends"):
        assert re.search(rf"^{term} ", out, re.MULTILINE)
    assert re.search(r"^wave +equation +u_tt - c\*u_xx +domain +by cell +auto +yes$", out, re.MULTILINE)
    assert not Path("runs").exists()


def test_check_as_json(work, command):
    code, out, _ = command("check", "waves.yaml", "--json")
    found = json.loads(out)
    assert (code, found["problem"], found["ok"]) == (0, "waves", True)
    assert [(row["name"], row["kind"], row["linear"]) for row in found["terms"]] == [
        ("wave", "equation", True),
        ("start", "condition", True),
        ("ends", "condition", True),
    ]


def test_all_errors_come_at_once_with_their_lines(work, command):
    Path("waves.yaml").write_text(WAVES.replace("cos(", "coss(").replace("c*D(u, x, x)", "c*D(v, x, x)"))
    code, out, err = command("check", "waves.yaml", "--json")
    assert code == 2
    found = json.loads(out)
    assert not found["ok"]
    assert sorted(d["line"] for d in found["diagnostics"]) == [8, 10]
    assert "waves.yaml:8: error" in err
    assert "coss" in err


def test_warnings_go_to_standard_error(work, solved, command):
    Path("waves.yaml").write_text(WAVES.replace("  ends: {periodic: x}\n", ""))
    for name in ("check", "run"):
        code, _, err = command(name, "waves.yaml")
        assert code == 0
        assert "warning" in err


def test_list_shows_every_problem(command):
    code, out, _ = command("list")
    assert code == 0
    names = [line.split()[0] for line in out.splitlines()]
    assert names == sorted(path.stem for path in (ROOT / "problems").glob("*.yaml"))
    assert "Viscous Burgers equation" in out


def test_names_that_are_not_there(work, command):
    code, _, err = command("check", "burger")
    assert code == 2
    assert "did you mean `burgers`" in err
    assert command("check", "poisson-2d")[0] == 0


def test_new_writes_a_file_once(work, command):
    code, out, _ = command("new", "mine")
    assert code == 0
    assert "mine.yaml" in out
    text = Path("mine.yaml").read_text()
    assert command("check", "mine.yaml")[0] == 0
    code, _, err = command("new", "mine.yaml")
    assert (code, err) == (2, "error: mine.yaml exists already, and is left as it is\n")
    assert Path("mine.yaml").read_text() == text


@pytest.mark.parametrize("name", ["", "a b", "{x}", "..", "no/such/folder/x", "\x1b", "-"])
def test_new_refuses_what_is_no_name(work, command, name):
    before = os.listdir()
    assert command("new", "--", name)[0] == 2
    assert os.listdir() == before


def test_schema_is_json(command):
    code, out, _ = command("schema")
    assert code == 0
    assert {"name", "equations", "solve"} <= set(json.loads(out)["properties"])


def test_usage_errors_have_exit_code_2(command):
    for arguments in (["run"], ["nonsense"], ["run", "x", "--wrong"], ["evaluate", "x"]):
        code, out, err = command(*arguments)
        assert (code, out) == (2, "")
        assert err


# -- as a program -----------------------------------------------------------------------------------------------


def program(*arguments: str, variables: dict | None = None, **options) -> subprocess.CompletedProcess:
    environment = {**os.environ, "PYTHONPATH": str(ROOT), **(variables or {})}
    command = [sys.executable, "-m", "pinnsolve", *arguments]
    return subprocess.run(command, capture_output=True, text=True, env=environment, timeout=120, **options)


@pytest.mark.parametrize(
    "command",
    [["--help"], ["list"], ["schema"], ["check", "burgers"], ["explain", "burgers"], ["run", "--help"], ["--version"]],
)
def test_quick_commands_load_nothing_heavy(command, tmp_path):
    code = (
        "import sys\nfrom pinnsolve.cli import main\n"
        "try:\n    main(sys.argv[1:])\nexcept SystemExit as end:\n    assert not end.code, end.code\n"
        "heavy = {'torch', 'matplotlib', 'scipy'} | ({'sympy'} if sys.argv[1] not in ('check', 'explain') else set())\n"
        "print(sorted(heavy & set(sys.modules)), file=sys.stderr)"
    )
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, "-c", code, *command], capture_output=True, text=True, env=environment, cwd=tmp_path
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr.splitlines()[-1] == "[]"


# what a plain run need not load, beyond what torch and sympy load by themselves
UNUSED = {
    "matplotlib", "PIL", "scipy", "meshio", "h5py", "pandas", "xarray", "torch._dynamo", "torch._inductor",
    "pinnsolve.inverse.strategy", "pinnsolve.eigen.eigenvalues", "pinnsolve.ranges.solve",
}  # fmt: skip


def test_a_run_loads_what_it_uses_and_leaves_matplotlib_to_another_process(work):
    code = (
        "import sys\nfrom pinnsolve.cli import main\n"
        "try:\n    main(['run', 'poisson-2d'])\nexcept SystemExit as end:\n    assert not end.code, end.code\n"
        f"print(sorted({UNUSED!r} & set(sys.modules)), file=sys.stderr)"
    )
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment)
    assert done.returncode == 0, done.stderr
    assert done.stderr.splitlines()[-1] == "[]"
    assert len(list(Path("runs/poisson-2d/figures").glob("*.png"))) == 5


def test_a_terminal_without_our_letters(work):
    Path("waves.yaml").write_text(WAVES.replace("Waves for tests", "x → y"), encoding="utf-8")
    done = program("check", "waves.yaml", variables={"PYTHONIOENCODING": "latin-1"})
    assert done.returncode == 0, done.stderr
    assert "waves  x ? y" in done.stdout


def test_interrupted_in_the_solve(work, monkeypatch, command):
    """With the real solver: the best answer so far is written."""
    seen = []

    def record(self, entry):
        seen.append(entry)
        if len(seen) == 5:
            raise KeyboardInterrupt

    monkeypatch.setattr(Progress, "__call__", record)
    command("new", "bar")
    settings = ("solve.method=lsgd", "solve.basis={kind: mlp, width: 8, activation: tanh}")
    code, out, _ = command("run", "bar.yaml", *(word for text in settings for word in ("--set", text)))
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
        "error.png", "estimated.png", "history.png", "residual.png", "solution.png",
    ]  # fmt: skip
    (tmp_path / "points.csv").write_text("t,x\n0.5,0.25\n")
    done = program("evaluate", str(folder), "--at", "points.csv", "--derivative", "D(u, x)", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    t, x, u, u_x = map(float, done.stdout.splitlines()[1].split(","))
    decay = np.exp(-0.1 * np.pi**2 * t)
    assert u == pytest.approx(decay * np.sin(np.pi * x), abs=1e-5)
    assert u_x == pytest.approx(decay * np.pi * np.cos(np.pi * x), abs=1e-4)


def test_a_word_of_other_tools_for_a_command_is_answered_with_the_line_to_type(command):
    code, _, said = command("solve", "a file.yaml", "--quiet")
    assert code == cli.WRONG and "write `pinnsolve run 'a file.yaml' --quiet`" in said
    known = {one.name or one.callback.__name__.strip("_") for one in cli.app.registered_commands}
    assert set(cli.MEANT.values()) <= known and not known & set(cli.MEANT)
