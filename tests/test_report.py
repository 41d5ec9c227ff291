"""What is said on the terminal: reports, progress, numbers and times."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from rich.console import Console

import pinnsolve as ps
from pinnsolve.files.text import duration, printable, scientific
from pinnsolve.output.progress import Outlook, Progress, display
from pinnsolve.output.terminal import report

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


# -- how long it takes ------------------------------------------------------------------------------------------------


def outlook(levels, **limits):
    found = Outlook(**limits)
    for seconds, estimate in levels:
        found.seen({"seconds": seconds, "estimate": estimate})
    return found


def test_what_a_solve_says_itself_comes_first():
    found = outlook([(1, 1e-1), (2, 1e-2)], tolerance=1e-4)
    assert found.left({"seconds": 2, "time_left": 7.0}) == 7
    assert found.left({"seconds": 2, "step": 1, "steps": 5}) == 8


def test_a_refinement_goes_on_as_it_did():
    assert outlook([(1, 1e-1), (2, 1e-2)], tolerance=1e-4).left({"seconds": 2}) == 2  # two levels of a second
    growing = outlook([(1, 1e-1), (3, 1e-2), (7, 1e-3)], tolerance=1e-5)
    assert growing.left({"seconds": 7}) == 8 + 16
    assert outlook([(1, 1e-1), (2, 1e-5)], tolerance=1e-4).left({"seconds": 2}) == 0


def test_levels_that_did_not_help_are_passed_over():
    assert outlook([(1, 1e-1), (2, 3e-1), (3, 1e-2)], tolerance=1e-3).left({"seconds": 3}) == pytest.approx(4)


@pytest.mark.parametrize("levels", [[], [(1, 1e-1)], [(1, 1e-1), (2, 0.9999e-1)], [(1, None), (2, float("nan"))]])
def test_where_nobody_knows(levels):
    assert outlook(levels, tolerance=1e-6).left({"seconds": 2}) is None
    assert outlook(levels).left({"seconds": 2}) is None


def test_a_time_limit_is_not_exceeded():
    assert outlook([], limit=10).left({"seconds": 4}) == 6
    assert outlook([(1, 1e-1), (9, 1e-2)], tolerance=1e-9, limit=10).left({"seconds": 9}) == 1
    assert outlook([], limit=10).left({"seconds": 11}) == 0


def test_a_fit_to_data_tells_its_errors_level_by_level():
    records = []
    ps.solve(ps.load("find-the-diffusivity"), tolerance=1e-3, progress=records.append)
    assert records and all(record["estimate"] > 0 for record in records)
