"""The ladder and the guard: rows, verdicts and pages, judged on figures that are made up, and one small solve."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

import pinnsolve as ps
from pinnsolve.spec.source import bundled_problems

SCRIPTS = Path(__file__).resolve().parents[1] / "scripts"


@pytest.fixture(autouse=True)
def scripts(monkeypatch):
    monkeypatch.syspath_prepend(str(SCRIPTS / "references"))
    monkeypatch.syspath_prepend(str(SCRIPTS))


def solve(tolerance, error, seconds=1.0, status="converged"):
    known = {"tolerance": tolerance, "error": error, "estimated_error": error, "seconds": seconds, "status": status}
    return {**known, "message": "as it came out", "memory_mb": 100.0}


def row_of(*solves, asked=1e-3, accuracy=1e-6, **peers):
    from ladder import judged

    points = {name: {"points": [{"seconds": s, "error": e} for s, e in found]} for name, found in peers.items()}
    row = {"name": "Burgers1d", "problem": "burgers", "published": {"paper": 1e-2}, "asked": asked}
    return judged({**row, "accuracy": accuracy, "ours": list(solves), "peers": points})


# -- the table of published figures -------------------------------------------------------------------------------


def test_the_collection_has_twenty_two_problems_each_with_a_file_or_a_reason_why_not():
    from published import RUNGS

    assert len({rung.name for rung in RUNGS}) == len({rung.problem for rung in RUNGS}) == len(RUNGS) == 22
    assert {rung.problem for rung in RUNGS if not rung.missing} <= set(bundled_problems())
    assert not {rung.problem for rung in RUNGS if rung.missing} & set(bundled_problems())


def test_what_is_asked_is_a_tenth_of_the_papers_figure_and_of_a_smaller_one():
    from ladder import tolerances
    from published import Figure, Rung

    plain = Rung("A", "burgers", 0.2, "PINN")
    assert tolerances(plain) == (0.2, pytest.approx(0.02)) and plain.best.error == 0.2
    ahead = Rung("A", "burgers", 0.2, "PINN", Figure(1e-5, "elsewhere"))
    assert tolerances(ahead)[2] == pytest.approx(1e-6) and ahead.best.source == "elsewhere"
    behind = Rung("A", "burgers", 0.2, "PINN", Figure(0.5, "elsewhere"))
    assert len(tolerances(behind)) == 2 and behind.best.error == 0.2


# -- verdicts ------------------------------------------------------------------------------------------------------


def test_a_row_is_met_by_error_and_time():
    assert row_of(solve(1e-2, 5e-3), solve(1e-3, 9e-4))["met"]
    assert not row_of(solve(1e-2, 5e-3), solve(1e-3, 2e-3, status="time_limit"))["met"]
    assert not row_of(solve(1e-3, 9e-4, seconds=181.0))["met"]
    assert row_of(solve(1e-3, 2e-3, status="time_limit"), asked=1e-3, accuracy=3e-3)["met"]  # the reference's accuracy


def test_a_solve_that_is_sure_and_wrong_spoils_its_row():
    assert row_of(solve(1e-2, 5e-4), solve(1e-4, 3e-4), asked=1e-3)[
        "honest"
    ]  # narrow: within what estimates may err by
    row = row_of(solve(1e-2, 5e-4), solve(1e-5, 1e-4), asked=1e-3)
    assert not row["met"] and not row["honest"]
    assert row_of(solve(1e-2, 5e-4), solve(1e-5, 1e-4, status="time_limit"))["honest"]


def test_how_much_earlier_we_reach_what_a_peer_ends_with():
    row = row_of(
        solve(1e-2, 5e-3, 0.5), solve(1e-3, 9e-4, 2.0), deepxde=[(10.0, 0.3), (60.0, 6e-3)], classical=[(60, 1e-9)]
    )
    assert row["ahead"] == {"deepxde": pytest.approx(120.0), "classical": None}


# -- files ---------------------------------------------------------------------------------------------------------


def test_rows_of_a_later_run_replace_their_own_and_keep_the_others(tmp_path, monkeypatch):
    import ladder

    path = tmp_path / "ladder.json"
    kept = {**row_of(solve(1e-3, 9e-4)), "name": "KS", "problem": "kuramoto-sivashinsky"}
    ladder.write_rows(path, {"KS": kept})
    monkeypatch.setattr(ladder, "our_solves", lambda *_: [solve(1.43e-3, 1e-4)])
    monkeypatch.setattr(ladder, "installed", lambda peer: peer == "deepxde")
    points = [{"seconds": 4.0, "error": 0.3}, {"seconds": 9.0, "error": 0.4}]  # the error that it ends with counts
    monkeypatch.setattr(ladder, "run_peer", lambda *_: {"points": points, "message": ""})
    monkeypatch.setattr(ladder, "_solve", lambda _, tolerance, *__: solve(tolerance, 0.35, seconds=0.05))
    assert ladder.run_ladder(["burgers1d"], ["deepxde", "classical"], 1.0, 0, path)
    rows = ladder.read_rows(path)
    assert list(rows) == ["Burgers1d", "KS"] and rows["KS"] == kept
    assert set(rows["Burgers1d"]["peers"]) == {"deepxde"} and rows["Burgers1d"]["ahead"]["deepxde"] == 180.0
    assert [one["tolerance"] for one in rows["Burgers1d"]["ours"]] == [0.4, 1.43e-3]
    with pytest.raises(SystemExit, match="pinna"):
        ladder.run_ladder([], ["pinna"], 1.0, 0, path)


def test_the_page_has_every_row_and_says_where_we_are_behind(tmp_path, monkeypatch):
    import ladder
    import ladder_page
    from published import RUNGS

    path = tmp_path / "ladder.json"
    row = row_of(solve(1e-3, 2e-3, 180.0, "time_limit"), deepxde=[(60.0, 1e-3)])
    ladder.write_rows(path, {"Burgers1d": row})
    monkeypatch.setattr(ladder_page, "PAGE", tmp_path / "benchmarks.md")
    monkeypatch.setattr(ladder_page, "PICTURE", tmp_path / "ladder.png")
    assert ladder_page.write_page(path) == 0
    text = (tmp_path / "benchmarks.md").read_text()
    assert all(f"| {rung.name}" in text for rung in RUNGS)
    assert "**missed**" in text and "as it came out" in text and "smaller error than we asked for" in text
    assert (tmp_path / "ladder.png").stat().st_size > 1000
    assert ladder_page.write_page(tmp_path / "none.json") == 2


# -- peers ---------------------------------------------------------------------------------------------------------


def test_a_problem_is_stated_to_peers_by_its_residuals():
    """The exact solution leaves none, whatever gives the derivatives."""
    import torch
    from peers.stated import state_problem

    stated = state_problem("wave-1d")
    points = stated.sampled(50, 20)

    def value(x, shift_t, shift_x):  # derivatives of each mode turn its phase
        t, x, pi = x[:, 0], x[:, 1], torch.pi
        parts = [(1.0, pi, 2 * pi), (0.5, 4 * pi, 8 * pi)]
        turn = pi / 2
        return sum(
            a * k**shift_x * w**shift_t * torch.sin(k * x + shift_x * turn) * torch.cos(w * t + shift_t * turn)
            for a, k, w in parts
        )

    for term in (*stated.equations, *stated.conditions):
        at = points[term.name]
        found = stated.residuals(term, at, lambda feature, at=at: value(at.x[feature.side], *feature.alpha))
        assert all(float(r.abs().max()) < 1e-8 for r in found)
        wrong = stated.residuals(term, at, lambda feature, at=at: 1 + value(at.x[feature.side], *feature.alpha))
        assert any(float(r.abs().max()) > 1e-2 for r in wrong)


def test_a_judge_notes_errors_and_stops_its_clock():
    from peers.stated import Judge, state_problem

    judge = Judge(state_problem("poisson-2d"))
    truth = judge.truth["u"]
    assert judge(lambda places: truth[None]) == 0.0
    assert judge(lambda places: 1.1 * truth[None], resolution="8") == pytest.approx(0.1)
    assert judge.points[1]["resolution"] == "8" and judge.points[0]["seconds"] <= judge.points[1]["seconds"]


def test_a_peer_that_does_not_take_a_problem_says_so():
    from peers.stated import NotStated, state_problem

    for name in ("fredholm", "find-lorenz"):
        with pytest.raises((NotStated, ps.PinnsolveError)):
            state_problem(name)


def test_peers_that_are_not_installed_are_rows_without_points(monkeypatch):
    import peers

    monkeypatch.setitem(peers.PEERS, "absent", ("no_such_module_here", "Absent"))
    row = peers.run_peer("absent", "burgers", 1.0)
    assert row["points"] == [] and row["message"] == "not installed"


@pytest.mark.parametrize("peer", ["deepxde", "pina"])
def test_a_network_trains_for_its_budget_in_a_process_of_its_own(peer):
    import peers

    if not peers.installed(peer):
        pytest.skip(f"{peer} is not installed")
    row = peers.run_peer(peer, "wave-1d", 2.0)
    assert len(row["points"]) > 1 and row["points"][-1]["seconds"] > 1.0, row["message"]
    assert all(np.isfinite(point["error"]) for point in row["points"])


def test_a_classical_code_climbs_in_a_process_of_its_own():
    pytest.importorskip("skfem")
    import peers

    row = peers.run_peer("classical", "wave-1d", 1.0)
    errors = [point["error"] for point in row["points"]]  # how many there are is a matter of the machine
    assert errors[-1] <= errors[0] < 1e-2, row["message"]
    refused = peers.run_peer("classical", "poisson-5d", 1.0)
    assert refused["points"] == [] and "no classical code" in refused["message"]


# -- the guard -----------------------------------------------------------------------------------------------------


def test_the_guard_sees_what_became_worse():
    from guard import faults

    stored = {"error": 1e-8, "status": "converged", "units": 10.0}
    assert faults(stored, stored) == [] and faults(stored, None) == []
    assert faults({**stored, "error": 9e-8, "units": 14.9}, stored) == []
    assert "error of 1.1e-07" in faults({**stored, "error": 1.1e-7}, stored)[0]
    assert "16 yardsticks" in faults({**stored, "units": 15.6}, stored)[0]
    assert "time_limit" in faults({**stored, "status": "time_limit"}, stored)[0]
    assert len(faults({"error": None, "status": "failed"}, stored)) == 2
    rounding = {**stored, "error": 1e-15}
    assert faults({**stored, "error": 5e-12}, rounding) == [] and faults({**stored, "error": 2e-11}, rounding)


def test_the_guard_fails_where_there_is_nothing_to_compare_with(tmp_path):
    from guard import run_guard

    assert not run_guard(tmp_path / "none.json", False, 0)


def test_the_guard_stores_and_compares(tmp_path, monkeypatch):
    import guard

    monkeypatch.setattr(guard, "CASES", (guard.Quick("logistic", 1e-6),))
    path = tmp_path / "quick.json"
    assert guard.run_guard(path, True, 0)
    stored = json.loads(path.read_text())
    (row,) = stored["cases"].values()
    assert row["status"] == "converged" and row["units"] > 0 and row["memory_mb"] > 50
    row["error"] = 1e-30
    row["units"] = 1e9  # times are for the guard to judge, not for a test
    monkeypatch.setattr(guard, "EXACT", 0.0)
    path.write_text(json.dumps(stored))
    assert not guard.run_guard(path, False, 0)


def test_every_case_of_the_guard_is_a_problem_with_stored_figures():
    from guard import CASES, STORED

    stored = json.loads(STORED.read_text(encoding="utf-8"))["cases"]
    assert set(stored) == {case.name for case in CASES}
    assert {case.problem for case in CASES} <= set(bundled_problems())
    assert all(row["status"] == "converged" and row["error"] is not None for row in stored.values())


# -- random fields -------------------------------------------------------------------------------------------------


def test_the_random_fields_are_of_the_kinds_that_the_collection_states():
    import random_fields

    k, c, (a, _, _) = random_fields.conductivity(), random_fields.squared_speed(), random_fields.subdomains()
    assert np.allclose(k[0], k[-1]) and np.allclose(k[:, 0], k[:, -1])  # periodic, as a Fourier sum is
    inner = np.log(k[:-1, :-1])
    assert abs(inner.mean()) < 1e-12 and np.mean(inner**2) == pytest.approx(1.0)
    assert set(np.unique(c)) == {1.0, 12.0}
    assert a.shape == (5, 5) and a.min() >= 1e-2 and a.max() <= 1e3
