"""A solve that was ended is taken up where it was, with the same numbers, and never makes an answer worse."""

from __future__ import annotations

import json
import signal as signals
import subprocess
import sys
from pathlib import Path

import pytest
import torch

import pinnsolve as ps
from pinnsolve.adapt import recycled_steps
from pinnsolve.results.checkpoints import Checkpoints
from pinnsolve.results.going_on import solves
from pinnsolve.results.solution import load_solution
from pinnsolve.solvers.journal import Journal

ENDS = {
    "left": ps.Condition(on="s = 0", equation="w = 0"),
    "right": ps.Condition(on="s = 2", equation="w = 0"),
    "start": ps.Condition(on="t = 0", equation="w = sin(pi*s/2)"),
}
LINE = ps.Box(t=(0, 1), s=(0, 2))
RIM = {
    "rim": ps.Condition(on="boundary", equation="w = 0"),
    "start": ps.Condition(on="t = 0", equation="w = sin(pi*a)*sin(pi*b)"),
}
SQUARE = ps.Box(t=(0, 1), a=(0, 1), b=(0, 1))
# marches of a nonlinear problem, of one whose operator is steady, by collocation, by exponentials, and levels of cells
PROBLEMS = {
    "slabs": ps.Problem(
        name="reaction",
        domain=LINE,
        unknowns="w",
        equations={"e": "D(w, t) = D(w, s, s)/5 + w*(1 - w)"},
        conditions=ENDS,
        solve={"tolerance": 1e-7},
    ),
    "steady slabs": ps.Problem(
        name="drift",
        domain=LINE,
        unknowns="w",
        equations={"e": "D(w, t) + D(w, s) = D(w, s, s)/50"},
        conditions=ENDS | {"start": ps.Condition(on="t = 0", equation="w = sin(pi*s)**2*where(s < 1, 1, 0)")},
        solve={"tolerance": 1e-5},
    ),
    "collocation": ps.Problem(
        name="plate",
        domain=SQUARE,
        unknowns="w",
        equations={"e": "D(w, t, t) = laplacian(w)/10 - a*w"},
        conditions={
            "rim": ps.Condition(on="boundary", equation="w = 0"),
            "start": ps.Condition(on="t = 0", equations=["w = sin(pi*a)*sin(2*pi*b)", "D(w, t) = 0"]),
        },
        solve={"tolerance": 1e-4},
    ),
    "nonlinear collocation": ps.Problem(
        name="growth",
        domain=SQUARE,
        unknowns="w",
        equations={"e": "D(w, t) = div((1 + w)*grad(w))/10 + 2*w - w**3"},
        conditions=RIM,
        solve={"tolerance": 1e-3},
    ),
    "steady collocation": ps.Problem(
        name="slab",
        domain=SQUARE,
        unknowns="w",
        equations={
            "e": "D(w, t) = div((1 + a)*grad(w))/10 - 9*sin(9*t)*sin(pi*a)*sin(pi*b)"
            " + cos(9*t)*pi*(2*pi*(1 + a)*sin(pi*a) - cos(pi*a))*sin(pi*b)/10"
        },
        conditions=RIM,
        solve={"tolerance": 1e-5},
    ),
    "carried": ps.Problem(
        name="carried",
        domain=SQUARE,
        unknowns="w",
        equations={"e": "D(w, t) + (1 + a)*D(w, a) = 0"},
        conditions={
            "inflow": ps.Condition(on="a = 0", equation="w = -sin(9*t)*b"),
            "start": ps.Condition(on="t = 0", equation="w = sin(9*log(1 + a))*b"),
        },
        solve={"tolerance": 1e-4},
    ),
    "exponentials": ps.Problem(
        name="front",
        domain=SQUARE,
        unknowns="w",
        equations={"e": "D(w, t) = laplacian(w)/10 + 2*w - w**3"},
        conditions=RIM,
        solve={"tolerance": 1e-3},
    ),
    "levels": ps.Problem(
        name="bowl",
        domain=ps.Box(a=(0, 1), b=(0, 1)),
        unknowns="w",
        equations={"e": "laplacian(w) = 20*exp(-w)*sin(7*a)"},
        conditions={"rim": ps.Condition(on="boundary", equation="w = b")},
        solve={"tolerance": 1e-6},
    ),
}


def without_times(solution: ps.Solution) -> dict:
    return {key: value for key, value in solution.result.items() if key not in ("wall_time_s", "date")}


@pytest.mark.parametrize("kind", PROBLEMS)
def test_a_solve_taken_up_anywhere_gives_the_same_numbers(kind, tmp_path, monkeypatch):
    monkeypatch.setattr(recycled_steps, "AFRESH", 3)
    pieces = []
    whole = ps.solve(PROBLEMS[kind], journal=Journal(keep=pieces.append))
    ways = {"levels": "level", "exponentials": "pair", "slabs": "slab", "steady slabs": "slab"}
    way = ways.get(kind, "step")
    assert pieces[0]["kind"] == way and len(pieces) > 3
    for count in (1, len(pieces) // 2, len(pieces)):
        kept = Checkpoints(tmp_path / str(count), print)
        kept.folder.mkdir()
        for piece in pieces[:count]:
            kept.keep(piece)
        kept.flush()
        more = []
        again = ps.solve(PROBLEMS[kind], journal=Journal(Checkpoints(kept.folder, print).recorded(), more.append))
        assert without_times(again) == without_times(whole)
        assert torch.equal(again.coefficients, whole.coefficients)
        assert len(more) == len(pieces) - count  # nothing is computed twice


def test_pieces_of_another_solve_are_not_taken(tmp_path):
    pieces, cut = [], []
    ps.solve(PROBLEMS["slabs"], tolerance=1e-3, journal=Journal(keep=pieces.append))
    whole = ps.solve(PROBLEMS["slabs"])
    again = ps.solve(PROBLEMS["slabs"], journal=Journal(pieces, lambda piece: None, cut.append))
    assert without_times(again) == without_times(whole) and cut == [0]


def test_checkpoints_are_read_until_one_is_damaged(tmp_path):
    kept = Checkpoints(tmp_path, print)
    pieces = [{"kind": "x", "about": [i], "values": {"a": torch.full((2,), float(i))}} for i in range(6)]
    for first in range(0, len(pieces), 2):
        for piece in pieces[first : first + 2]:
            kept.keep(piece)
        kept.flush()
    paths = sorted(tmp_path.iterdir())
    assert len(paths) == 3
    paths[1].write_bytes(b"PK nothing")
    read = list(Checkpoints(tmp_path, print).recorded())
    assert [piece["about"] for piece in read] == [[0], [1]] and torch.equal(
        read[1]["values"]["a"], torch.ones(2).double()
    )
    assert sorted(tmp_path.iterdir()) == paths[:1]
    kept = Checkpoints(tmp_path, print)
    journal = Journal(kept.recorded(), kept.keep, kept.cut)
    assert journal.found("x", 0) and journal.found("x", 7) is None  # it was asked for something else
    journal.add("x", 7, values={"a": 1})
    kept.flush()
    assert [piece["about"] for piece in Checkpoints(tmp_path, print).recorded()] == [[0], [7]]


# -- the command line -----------------------------------------------------------------------------------------------

FILE = """\
name: glow
coordinates: {t: [0, 1], s: [0, 2]}
unknowns: w
equations: {e: "D(w, t) = D(w, s, s)/5 + w*(1 - w)"}
conditions:
  ends: {on: ["s = 0", "s = 2"], equation: "w = 0"}
  start: {on: "t = 0", equation: "w = sin(pi*s/2)"}
solve: {tolerance: 1e-7}
"""
# ends itself by a signal at a record of its progress, with every piece written at once
ENDED = """
import os, signal, sys
from pinnsolve.output.progress import Progress
from pinnsolve.results import checkpoints, run_folders
from pinnsolve.cli import main
from pinnsolve.figures.drawer import Drawer
from pinnsolve.output import terminal
checkpoints.EVERY = run_folders.LOGGED = 0.0
Drawer.__init__ = lambda self: setattr(self, "_process", None)  # figures are not what this is about
terminal._figures = lambda *arguments: ((), ())
checkpoints.SHARE = 1e9
told, ending, at = [], sys.argv[1], int(sys.argv[2])
def record(self, entry):
    told.append(entry)
    if len(told) == at:
        os.kill(os.getpid(), getattr(signal, ending))
Progress.__call__ = record
sys.argv[1:] = sys.argv[3:]
main()
"""


def ended(folder: Path, signal: str, at: int, *arguments: str) -> subprocess.CompletedProcess:
    command = [sys.executable, "-c", ENDED, signal, str(at), "run", "glow.yaml", *arguments]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True)


@pytest.fixture(scope="module")
def glow(tmp_path_factory):
    """A folder with a problem file, and what a whole run of it gives."""
    folder = tmp_path_factory.mktemp("glow")
    (folder / "glow.yaml").write_text(FILE)
    assert ended(folder, "SIGKILL", 10**6, "--out", "whole").returncode == 0
    return folder, result(folder / "whole")


def result(folder: Path) -> dict:
    found = json.loads((folder / "result.json").read_text())
    return {key: value for key, value in found.items() if key not in ("wall_time_s", "date")}


@pytest.mark.skipif(sys.platform == "win32", reason="has no such signals")
def test_a_run_that_was_killed_is_resumed(glow):
    (folder, whole), at = glow, 3
    out = folder / f"killed-{at}"
    assert ended(folder, "SIGKILL", at, "--out", str(out)).returncode == -9
    assert sorted(p.name for p in out.iterdir()) == ["checkpoints", "history.jsonl", "problem.yaml"]
    assert len((out / "history.jsonl").read_text().splitlines()) == at
    done = ended(folder, "SIGKILL", 10**6, "--out", str(out), "--resume")
    assert done.returncode == 0, done.stderr
    assert result(out) == whole and not (out / "checkpoints").exists()


@pytest.mark.skipif(sys.platform == "win32", reason="has no such signals")
@pytest.mark.parametrize("signal", ["SIGTERM", "SIGHUP", "SIGINT"])
def test_signals_keep_the_answer_so_far_and_what_to_go_on_from(glow, signal):
    if signals.getsignal(getattr(signals, signal)) is signals.SIG_IGN:
        pytest.skip(f"{signal} is ignored here, as below `nohup`, and so by what is started from here")
    folder, whole = glow
    out = folder / signal
    done = ended(folder, signal, 2, "--out", str(out))
    assert done.returncode == 1 and done.stderr.startswith("stopping; the answer so far will be written")
    solution = load_solution(out)
    assert solution.result["status"] == "interrupted" and (out / "checkpoints").is_dir()
    assert abs(float(solution(t=0.0, s=1.0)) - 1) < 1e-3
    if signal == "SIGTERM":
        assert ended(folder, "SIGKILL", 10**6, "--out", str(out), "--resume").returncode == 0
        assert result(out) == whole


def test_a_run_that_was_killed_is_replaced_by_another_problem(glow):
    folder, _ = glow
    ended(folder, "SIGKILL", 2, "--out", "changed")
    done = ended(folder, "SIGKILL", 10**6, "--out", "changed", "--resume", "--set", "solve.tolerance=1e-3")
    assert done.returncode == 0 and result(folder / "changed")["tolerance"] == 1e-3
    assert result(folder / "changed")["unknown_coefficients"] < result(folder / "whole")["unknown_coefficients"]


# -- solutions to start from ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", PROBLEMS)
def test_a_start_is_never_replaced_by_something_worse(kind):
    first = ps.solve(PROBLEMS[kind])
    assert first.result["status"] == "converged"
    for tolerance in (PROBLEMS[kind].settings.tolerance, 1e-2):
        same = ps.solve(PROBLEMS[kind], start=first, tolerance=tolerance)
        assert same.result["status"] == "converged"
        assert torch.equal(same.coefficients, first.coefficients)
        assert same.result["estimated_error"] == first.result["estimated_error"]
    better = ps.solve(PROBLEMS[kind], start=first, tolerance=first.result["estimated_error"]["w"] / 2)
    assert better.result["estimated_error"]["w"] < first.result["estimated_error"]["w"]
    hurried = ps.solve(PROBLEMS[kind], start=first, tolerance=1e-15, limits={"seconds": 1e-9})
    assert hurried.result["estimated_error"]["w"] <= first.result["estimated_error"]["w"]
    points = {name: (low + high) / 3 for name, (low, high) in zip(first.coordinates, first.intervals, strict=True)}
    assert abs(float(better(**points)) - float(first(**points))) < 1e-3


def test_a_refinement_goes_on_with_the_cells_of_its_start(tmp_path):
    first = ps.solve(PROBLEMS["levels"], tolerance=1e-3)
    first.save(tmp_path)
    for start in (first, load_solution(tmp_path)):
        seen = []
        ps.solve(PROBLEMS["levels"], start=start, progress=seen.append)
        assert seen[0]["phase"].startswith("level 0") and seen[0]["estimate"] <= 1e-3


def test_the_estimate_of_another_problem_does_not_count():
    hot = ps.solve(PROBLEMS["levels"])
    changed = ps.Problem(
        name="bowl",
        domain=ps.Box(a=(0, 1), b=(0, 1)),
        unknowns="w",
        equations={"e": "laplacian(w) = 20*exp(-w)*sin(6*a)"},
        conditions={"rim": ps.Condition(on="boundary", equation="w = b")},
        solve={"tolerance": 1e-6},
    )
    started, afresh = ps.solve(changed, start=hot), ps.solve(changed)
    assert started.result["status"] == "converged"
    assert abs(float(started(a=0.3, b=0.4)) - float(afresh(a=0.3, b=0.4))) < 1e-5
    assert abs(float(started(a=0.3, b=0.4)) - float(hot(a=0.3, b=0.4))) > 1e-3


def test_numbers_do_not_depend_on_the_number_of_threads():
    solid = ps.Problem(
        name="solid",
        domain=ps.Box(a=(0, 1), b=(0, 1), c=(0, 1)),
        unknowns="w",
        equations={"e": "laplacian(w) = exp(2*a - b)*c"},
        conditions={"rim": ps.Condition(on="boundary", equation="w = 0")},
        solve={"tolerance": 1e-3},
    )
    before, found = torch.get_num_threads(), []
    try:
        for threads in (1, 2):
            torch.set_num_threads(threads)
            found.append(ps.solve(solid).coefficients)
    finally:
        torch.set_num_threads(before)
    assert torch.equal(*found)


def test_a_solution_is_one_of_the_same_problem_at_other_output_times_and_of_no_other():
    problem = PROBLEMS["collocation"]
    solution = ps.solve(problem, tolerance=1e-2)
    text = problem.spec.to_yaml()
    assert solves(solution, text + "output: {times: [0, 0.5]}\n", {})
    assert not solves(solution, text.replace("/10", "/11"), {})
