"""Sweeps: which members there are, what their folder holds, and that nothing is lost or solved twice."""

from __future__ import annotations

import csv
import json
import os
import signal
import time
from fractions import Fraction

import numpy as np
import pytest

import pinnsolve as ps
from pinnsolve.processes import workers
from pinnsolve.sweeps.member import Task, failed, solve_member
from pinnsolve.sweeps.plan import SweepError, make_plan
from pinnsolve.sweeps.sweep import points_of

VALUES = {"k": Fraction(2), "a": Fraction(1)}
PROBLEM = """\
name: decay
coordinates: {t: [0, 1]}
unknowns: u
parameters: {k: 2, a: 1}
equations: {decay: "D(u, t) = -k*u"}
conditions: {start: {on: "t = 0", equation: "u = a"}}
exact: {u: a*exp(-k*t)}
"""


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "decay.yaml"
    path.write_text(PROBLEM)
    return path


def rows_of(folder):
    with open(folder / "sweep.csv", newline="") as stream:
        return list(csv.DictReader(stream))


# -- the plan ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("k=1,2,4", [1, 2, 4]),
        ("k=0:1:3", [0, 0.5, 1]),
        ("k=1:100:3log", [1, 10, 100]),
        ("k = a/2 : 2*a : 4", [0.5, 1, 1.5, 2]),
        ("k=3:5:1", [3]),
    ],
)
def test_values_of_a_parameter(text, values):
    plan = make_plan([text], None, VALUES)
    assert plan.names == ("k",)
    np.testing.assert_allclose([member[0] for member in plan.members], values)


def test_every_combination_and_every_draw(tmp_path):
    (tmp_path / "draws.csv").write_text("k\n5\n7\n")
    assert make_plan(["k=1,2", "a=3,4"], None, VALUES).members == ((1, 3), (1, 4), (2, 3), (2, 4))
    plan = make_plan(["a=3,4"], tmp_path / "draws.csv", VALUES)
    assert plan.names == ("k", "a")
    assert plan.members == ((5, 3), (5, 4), (7, 3), (7, 4))
    assert plan.overrides(plan.members[0]) == ("parameters.k=5", "parameters.a=3")


@pytest.mark.parametrize(
    ("over", "words"),
    [
        ([], "nothing to sweep over"),
        (["k"], "not of the form"),
        (["k=1:2"], "--over k=1:2"),
        (["k=-1:2:3log"], "both ends are positive"),
        (["kk=1,2"], "did you mean `k`"),
        (["k=1", "k=2"], "twice"),
        (["k=1:2:200000"], "from 1 to 100000"),
        (["k=1:2:1000", "a=1:2:1000"], "1000000 members"),
        (["k=1,b"], "unknown name `b`"),
    ],
)
def test_wrong_plans_are_told(over, words):
    with pytest.raises(SweepError, match=words):
        make_plan(over, None, VALUES)


def test_points_of_a_grid(file):
    problem = ps.load(file)
    np.testing.assert_allclose(points_of(problem, None, "5", 1)[:, 0], np.linspace(0, 1, 5))
    with pytest.raises(SweepError, match="as in `--grid 64`"):
        points_of(problem, None, "5x5", 1)


# -- sweeps -----------------------------------------------------------------------------------------------------------


def test_a_sweep_and_the_same_again(file, tmp_path):
    swept = ps.sweep(file, out=tmp_path / "out", over={"k": [1, 2, 3]}, workers=2, grid="5")
    assert swept.all_converged
    rows = rows_of(tmp_path / "out")
    assert [row["k"] for row in rows] == ["1.0", "2.0", "3.0"]
    assert all(float(row["error_u"]) < 1e-6 for row in rows)
    with np.load(tmp_path / "out" / "solutions.npz") as arrays:
        np.testing.assert_allclose(arrays["u"], np.exp(-np.outer([1, 2, 3], arrays["t"])), atol=1e-5)
        assert arrays["k"].tolist() == [1, 2, 3]
    one = tmp_path / "out" / "members" / "00002" / "result.json"
    before = one.stat().st_mtime_ns
    (tmp_path / "out" / "members" / "00003" / "result.json").unlink()  # as if it had been cut off
    assert ps.sweep(file, out=tmp_path / "out", over={"k": [1, 2, 3]}, workers=1, grid="5").all_converged
    assert one.stat().st_mtime_ns == before
    with pytest.raises(SweepError, match="holds another sweep"):
        ps.sweep(file, out=tmp_path / "out", over={"k": [1, 2]}, workers=1)
    assert ps.load_solution(one.parent)(t=0.5) == pytest.approx(np.exp(-1), abs=1e-5)


def test_a_member_that_cannot_be_solved_is_a_row(tmp_path):
    path = tmp_path / "root.yaml"
    path.write_text(PROBLEM.replace("-k*u", "-log(k)*u").replace("exact: {u: a*exp(-k*t)}\n", ""))
    swept = ps.sweep(path, out=tmp_path / "out", over=["k=1,-1,2"], workers=1)
    assert [row["status"] for row in swept.rows] == ["converged", "failed", "converged"]
    assert "-1" in swept.rows[1]["message"] or "real" in swept.rows[1]["message"]
    assert not swept.all_converged


def test_what_a_sweep_in_python_goes_over(file, tmp_path):
    assert len(ps.sweep(file, out=tmp_path / "text", over="k=1:2:2", workers=1).rows) == 2
    assert len(ps.sweep(file, out=tmp_path / "one", over={"k": 2}, workers=1).rows) == 1
    with pytest.raises(SweepError, match="no values for `k`"):
        ps.sweep(file, out=tmp_path / "none", over={"k": []})
    with pytest.raises(SweepError, match="takes a problem file"):
        ps.sweep(ps.load(file), out=tmp_path / "problem", over={"k": [1]})


def _ends_once(task: Task) -> dict:
    """A member whose process is killed the first time, as for want of memory."""
    mark = f"{task.folder}.{task.number}"
    if task.number == 2 and not os.path.exists(mark):
        open(mark, "w").close()
        os.kill(os.getpid(), signal.SIGKILL)
    return {"member": task.number, "status": "converged", "seconds": 0.0, "message": ""}


def _always_ends(task: Task) -> dict:
    if task.number == 2:
        os.kill(os.getpid(), signal.SIGKILL)
    return {"member": task.number, "status": "converged", "seconds": 0.0, "message": ""}


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="processes end otherwise here")
@pytest.mark.parametrize(("work", "status"), [(_ends_once, "converged"), (_always_ends, "failed")])
def test_a_process_that_ends_loses_nothing(tmp_path, work, status):
    tasks = [Task(number, "", (), (), str(tmp_path / "x")) for number in range(1, 6)]
    rows = {row["member"]: row for row in workers.in_processes(tasks, 2, work, failed)}
    assert sorted(rows) == [1, 2, 3, 4, 5]
    assert rows.pop(2)["status"] == status
    assert all(row["status"] == "converged" for row in rows.values())


def _sees(task: Task) -> str | None:
    time.sleep(0.2)  # so that another process takes the next
    return os.environ.get("CUDA_VISIBLE_DEVICES")


def test_every_process_has_a_card_of_its_own(monkeypatch, tmp_path):
    tasks = [Task(number, "", (), (), "") for number in range(4)]
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "2, 5")
    assert workers.cards() == ["2", "5"]
    assert set(workers.in_processes(tasks, 2, _sees, failed)) == {"2", "5"}
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES")
    monkeypatch.setattr(workers, "CARDS", tmp_path)
    assert workers.cards() == []
    (tmp_path / "0000:17:00.0").mkdir()
    assert workers.cards() == ["0"]


def test_a_cluster_of_two_workers(file, tmp_path):
    distributed = pytest.importorskip("distributed")
    with distributed.LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None) as cluster:
        swept = ps.sweep(file, out=tmp_path / "out", over=["k=1:4:4"], cluster=cluster.scheduler_address)
    assert swept.all_converged
    assert [float(row["k"]) for row in rows_of(tmp_path / "out")] == [1, 2, 3, 4]


def _solves_or_ends_once(task: Task) -> dict:
    """A member as it is; the first time that the second is to be solved, its worker is killed."""
    mark = f"{task.folder}.mark"
    if task.number == 2 and not os.path.exists(mark):
        open(mark, "w").close()
        os.kill(os.getpid(), signal.SIGKILL)
    return solve_member(task)


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="processes end otherwise here")
def test_a_worker_of_the_cluster_that_is_killed_loses_no_member(file, tmp_path):
    distributed = pytest.importorskip("distributed")
    tasks = [Task(n, str(file), (f"parameters.k={n}",), (), str(tmp_path / "members" / str(n))) for n in range(1, 7)]
    (tmp_path / "members").mkdir()
    with distributed.LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None) as cluster:
        first = {worker["id"]: worker["pid"] for worker in _pids(cluster)}
        found = list(workers.on_cluster(tasks, cluster.scheduler_address, _solves_or_ends_once, failed))
        then = {worker["id"]: worker["pid"] for worker in _pids(cluster)}
    assert (tmp_path / "members" / "2.mark").exists() and first != then
    assert sorted(row["member"] for row in found) == [1, 2, 3, 4, 5, 6]
    assert all(row["status"] == "converged" for row in found)
    assert all((tmp_path / "members" / str(n) / "result.json").exists() for n in range(1, 7))


def _pids(cluster) -> list[dict]:
    """The workers of a local cluster with the numbers of their processes."""
    return [{"id": name, "pid": nanny.pid} for name, nanny in cluster.workers.items()]


def test_the_command_line(file, tmp_path, capsys):
    from pinnsolve.cli import main

    with pytest.raises(SystemExit) as ended:
        main(["sweep", str(file), "--over", "k=1,2", "--workers", "1", "--out", str(tmp_path / "out")])
    assert ended.value.code == 0
    assert "2 members: 2 converged" in capsys.readouterr().out
    with pytest.raises(SystemExit) as ended:
        main(["sweep", str(file), "--over", "c=1,2", "--out", str(tmp_path / "other")])
    assert ended.value.code == 2
    assert "not a parameter" in capsys.readouterr().err
    assert json.loads((tmp_path / "out" / "plan.json").read_text())["names"] == ["k"]
