"""Fixtures of the tests of the command line: a folder to work in, a solver whose answer is known, a way to call."""

from __future__ import annotations

from pathlib import Path

import pytest
from sine_basis import SineBasis, solution_of

from pinnsolve import extensions, pipeline
from pinnsolve.cli import main
from pinnsolve.figures.drawer import Drawer
from pinnsolve.figures.samples import Drawn

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
    monkeypatch.setitem(extensions.BASES, SineBasis.kind, SineBasis)
    Path("waves.yaml").write_text(WAVES)
    return tmp_path


@pytest.fixture
def solved(monkeypatch):
    """The solver replaced by an answer known beforehand, and no figures; what it was called with is kept."""
    calls = []

    def arrange(status="converged", **fields):
        def solve(problem, progress=None, start=None, journal=None, among=None):
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

    def draw(self, samples, folder):
        folder.mkdir(exist_ok=True)
        (folder / "solution.png").write_bytes(b"drawn")
        return Drawn((folder / "solution.png",))

    monkeypatch.setattr(Drawer, "draw", draw)
    arrange()
    return arrange


@pytest.fixture
def command(capsys):
    """Run a command in this process: exit code, output and errors."""

    def call(*arguments: str) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as end:
            main(list(arguments))
        out, err = capsys.readouterr()
        assert "Traceback" not in out + err
        return end.value.code or 0, out, err

    return call
