"""The judgements of `scripts/trust.py`, and a quick part of the corpus, whose verdicts must be right."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "scripts"))

import trust  # noqa: E402
import verdicts  # noqa: E402

QUICK = (
    "domain-gompertz",
    "domain-leaking-tank",
    "dynamic-lumped-mass",
    "edge-film",
    "heat-fin-robin",
    "heat-three-layers",
    "newton-two-roots",
    "ode-euler-cauchy",
    "ode-spiral",
    "ode-pendulum",
    "reaction-bratu",
    "scale-tiny-numbers",
    "singular-root-by-its-slope",
    "singular-root-of-euler",
    "torsion-ellipse",
    "weak-wave-before-it-breaks",
    "where-heated-patch",
)


@pytest.mark.parametrize("name", QUICK)
def test_a_quick_part_of_the_corpus_is_right(name):
    run, _ = trust.runs_of(trust.CORPUS, [f"corpus/{name}"])
    points = trust.points_of(run.expectation)
    row = trust.row_of(str(run.file), (), None, {"tolerance": run.tolerance, "points": points})
    row = trust.judge(run, row)
    assert (row["verdict"], row["estimate_good"]) == ("reached", True), row["message"]


def row(status="converged", error=1e-7, estimate=1e-7, message="", **more) -> dict:
    return {"status": status, "error": error, "estimated_error": estimate, "message": message, "seconds": 1.0, **more}


@pytest.mark.parametrize(
    ("found", "expectation", "verdict", "good"),
    [
        (row(), {}, "reached", True),
        (row(error=1e-8), {}, "reached", False),  # too high an estimate is no good one
        (row(error=1e-8, limited_by="noise"), {}, "reached", True),  # but of noise a lucky draw
        (row(error=2e-6, estimate=9e-7), {}, "narrow", True),
        (row(error=1e-3), {}, "FALSE", False),
        (row(error=1.0, estimate=0.0), {}, "FALSE", False),
        (row(error=1e-13, estimate=1e-11), {}, "reached", True),  # both are rounding
        (row("tolerance_not_reached", 1e-3, 1e-3), {}, "missed", True),
        (row("tolerance_not_reached", 1e-7, 1e-7), {}, "reached", True),
        (row("failed", None, None, "KeyError: 'u'"), {}, "crashed", False),
        (row("diverged", 1.0, None, "a shock needs viscosity"), {"or_refused": ["viscosity"]}, "refused", None),
        (row("diverged", 1.0, None, "not finite"), {"or_refused": ["viscosity"]}, "reason", None),
        (row(error=1e-3), {"or_refused": "viscosity"}, "FALSE", False),
        (row(error=None), {"refused": "no solution"}, "FALSE", None),
        (row("refused", None, None, "there is no solution"), {"refused": "no solution"}, "refused", None),
        (row(error=None, warnings=["u is free"]), {"warned": "free"}, "warned", None),
        (row(error=None), {"warned": "free"}, "FALSE", None),
        (row(error=1e-3, warnings=["u is free"]), {"warned": "free"}, "FALSE", False),  # fixed by chance
        (row(values=[{"u": 2.0}]), {"value": {"at": {"x": 0}, "u": 2.0}}, "reached", True),
        (row(values=[{"u": 2.1}]), {"value": {"at": {"x": 0}, "u": 2.0}}, "FALSE", False),
    ],
)
def test_a_run_is_judged_beside_the_truth(found, expectation, verdict, good):
    judged = verdicts.judged(found, expectation, 1e-6)
    assert (judged["verdict"], judged["estimate_good"]) == (verdict, good)


def test_shares_count_what_is_right_and_what_is_asked():
    rows = [
        verdicts.judged(row(), {}, 1e-6),
        verdicts.judged(row("diverged", 1.0, None, "viscosity"), {"or_refused": "viscosity"}, 1e-6),
        verdicts.judged(row(error=1e-3), {}, 1e-6),
        verdicts.judged(row("tolerance_not_reached", 1e-3, 1e-3), {}, 1e-6),
    ]
    found = verdicts.shares(rows)
    assert found["right"] == pytest.approx(2 / 4)
    assert found["estimate_good"] == pytest.approx(2 / 3)
    assert found["verdicts"] == {"reached": 1, "refused": 1, "FALSE": 1, "missed": 1}


def test_two_tolerances_and_rows_that_are_there_already(tmp_path, monkeypatch, capsys):
    folder = tmp_path / "own"
    folder.mkdir()
    (folder / "decay.yaml").write_text((trust.CORPUS / "domain-gompertz.yaml").read_text(encoding="utf-8"))
    lines, asked = tmp_path / "rows.jsonl", []

    def measured(problem, limit, make_row, tolerance, points):
        asked.append((Path(problem).stem, tolerance))
        return row(error=0.5 * tolerance, estimate=0.5 * tolerance)

    monkeypatch.setattr(trust, "measure", measured)
    command = ["trust.py", "--only", "own/", "--folder", str(folder), "--json", str(lines)]
    monkeypatch.setattr(sys, "argv", command)
    assert trust.main() == 0
    assert asked == [("decay", 1e-3), ("decay", 1e-6)]
    with lines.open("a", encoding="utf-8") as file:
        file.write('{"problem": "cut off')
    assert trust.main() == 0 and len(asked) == 2  # both stand in the file
    kept = [json.loads(line) for line in lines.read_text(encoding="utf-8").splitlines()]
    assert len(kept) == 2
    lines.write_text("".join(json.dumps({**one, "error": 1.0}) + "\n" for one in kept), encoding="utf-8")
    assert trust.main() == 1
    assert "own/decay at 1e-06" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("portion", "status", "asked_of", "words"),
    [
        ("60", "time_limit", ["first", "second"], "own/first at 1e-06, own/second at 1e-06\nleft: none"),
        (
            "0",
            "converged",
            [],
            "left: own/first at 1e-03, own/first at 1e-06, own/second at 1e-03, own/second at 1e-06",
        ),
    ],
)
def test_runs_beyond_the_time_are_skipped_or_left_for_later(
    tmp_path, monkeypatch, capsys, portion, status, asked_of, words
):
    folder = tmp_path / "own"
    folder.mkdir()
    for name in ("first", "second"):
        text = (trust.CORPUS / "domain-gompertz.yaml").read_text(encoding="utf-8")
        (folder / f"{name}.yaml").write_text(text, encoding="utf-8")
    asked = []

    def measured(problem, limit, make_row, tolerance, points):
        asked.append(Path(problem).stem)
        return row(status, error=1e-9, estimate=1e-9)

    monkeypatch.setattr(trust, "measure", measured)
    command = ["trust.py", "--only", "own/", "--folder", str(folder), "--portion", portion]
    monkeypatch.setattr(sys, "argv", command)
    assert trust.main() == 0
    assert asked == asked_of and words in capsys.readouterr().out
