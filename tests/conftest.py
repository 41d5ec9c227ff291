"""Fixtures of the tests of the command line: a folder to work in, a solver whose answer is known, a way to call.

`pytest --device cuda` solves on a card whatever the tests solve on cells and a card takes; `--device second` on the
second device of `second_device`, slowly.
"""

from __future__ import annotations

from contextlib import contextmanager
from pathlib import Path

import pytest
import torch
from second_device import ELSEWHERE, SecondDevice
from sine_basis import SineBasis, solution_of

from pinnsolve import extensions, method, pipeline
from pinnsolve.adapt import devices
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


def pytest_addoption(parser):
    parser.addoption("--device", choices=("cpu", "cuda", "second"), default="cpu", help="where cells are solved")


@pytest.fixture(autouse=True, scope="session")
def where_cells_are_solved(request):
    """On the device that `--device` names, where a test does not say; on another than the processor, cells alone."""
    asked = request.config.getoption("--device")
    if asked == "cuda" and not torch.cuda.is_available():
        pytest.skip("there is no card here")
    with pytest.MonkeyPatch.context() as patch:
        if asked != "cpu":
            there = ELSEWHERE if asked == "second" else torch.device("cuda", torch.cuda.current_device())

            def device_for(device, problem, on_cells, width):
                takes = device == "cpu" and on_cells and devices.why_not_on_card(problem) is None
                return there if takes else devices.device_for(device, problem, on_cells, width)

            patch.setattr(method, "device_for", device_for)
        if asked == "second":
            on_device = devices.on_device

            @contextmanager
            def elsewhere(device):
                with SecondDevice(), on_device(device):
                    yield

            patch.setattr(devices, "on_device", elsewhere)
        yield


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
