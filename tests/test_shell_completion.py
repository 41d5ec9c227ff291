"""What a shell is told to complete a command line with."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from pinnsolve.spec.catalog import completions

ROOT = Path(__file__).resolve().parents[1]


def test_names_of_problems_and_files(work):
    Path("burger-bar.yaml").write_text("")
    Path("burgundy").mkdir()
    Path("burger.txt").write_text("")
    assert completions("burg") == ["burgers", "burgers-2d", "burger-bar.yaml", "burgundy/"]
    Path("burgundy/mine.yml").write_text("")
    assert completions("burgundy/") == ["burgundy/mine.yml"]
    assert completions("nowhere/at-all") == []


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("pinnsolve run kova", ["kovasznay"]),
        ("pinnsolve exp", ["explain", "export"]),
        ("pinnsolve run --no", ["--no-figures"]),
    ],
)
def test_a_shell_asks_and_is_answered(words, expected, tmp_path):
    environment = {
        **os.environ,
        "PYTHONPATH": str(ROOT),
        "_PINNSOLVE_COMPLETE": "complete_bash",
        "COMP_WORDS": words,
        "COMP_CWORD": str(words.count(" ")),
    }
    code = "from pinnsolve.cli import main; main()"
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, cwd=tmp_path, check=False
    )
    assert done.stdout.split() == expected and done.stderr == ""


def test_a_script_for_the_shell(command, monkeypatch):
    monkeypatch.setattr("shellingham.detect_shell", lambda: ("bash", "/bin/bash"))
    code, out, _ = command("--show-completion")
    assert code == 0 and "_PINNSOLVE_COMPLETE=complete_bash" in out
