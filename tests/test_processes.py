"""Several processes divide the rows of a network: the same result as one, and what happens when one of them ends."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import pytest
import torch

from pinnsolve.results.solution import load_solution

HERE = Path(__file__).resolve().parent
NETWORK = """\
name: net
coordinates: {x: [0, 1], y: [0, 1]}
unknowns: u
equations: {e: "laplacian(u) = -sin(3*x)*exp(y)"}
conditions: {walls: {on: boundary, equation: "u = x*y"}}
solve:
  method: lsgd
  basis: {width: 6, activation: tanh}
  optimizer: {steps: 12}
  tolerance: 0.9
"""

pytestmark = pytest.mark.skipif(
    sys.platform != "linux" or not torch.distributed.is_available(), reason="torch starts no processes here"
)


def environment(**more: str) -> dict[str, str]:
    paths = [str(HERE.parent), *filter(None, [os.environ.get("PYTHONPATH")])]
    return {**os.environ, "PYTHONPATH": os.pathsep.join(paths), "OMP_NUM_THREADS": "1", **more}


@dataclass(frozen=True)
class Done:
    """What processes of one command said, all together, and how the first of them ended."""

    returncode: int
    stdout: str
    stderr: str


def torchrun(count: int, folder: Path, *arguments: str, **more: str) -> Done:
    """What a script of this folder does in so many processes; `more` is added to the environment."""
    command = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", str(count)]
    command += [str(HERE / arguments[0]), *arguments[1:]]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, env=environment(**more), timeout=300)
    return Done(done.returncode, done.stdout, done.stderr)


def launched(count: int, folder: Path, *arguments: str, **more: str) -> Done:
    """The same without what `torchrun` adds: processes that know of each other, which start sooner."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        place = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(free.getsockname()[1]), "WORLD_SIZE": str(count)}
    command = [sys.executable, str(HERE / arguments[0]), *arguments[1:]]
    running = [
        subprocess.Popen(
            command, cwd=folder, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
            env=environment(**place, RANK=str(rank), LOCAL_WORLD_SIZE=str(count), **more),
        )
        for rank in range(count)
    ]  # fmt: skip
    said = [process.communicate(timeout=300) for process in running]
    return Done(running[0].returncode, "".join(out for out, _ in said), "".join(err for _, err in said))


@pytest.fixture(scope="module")
def together(tmp_path_factory):
    """By process, how far results of two are from those of one."""
    done = launched(2, tmp_path_factory.mktemp("together"), "solved_together.py")
    lines = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
    assert len(lines) == 2, done.stderr
    return lines


MOVING = ("varpro", "nonlinear varpro", "many hidden")  # whose hidden parameters follow from nearly dependent columns


def test_two_processes_give_what_one_does(together):
    for found in together:
        estimated = {name: found.pop(name) for name in ("parameter, standard_error", "estimate")}
        moving = {name: found.pop(name) for name in MOVING}
        assert max(estimated.values()) < 1e-5 and max(moving.values()) < 1e-8
        assert {name: value for name, value in found.items() if value > 1e-10} == {}


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "net.yaml").write_text(NETWORK)
    return tmp_path


RUN = ("ended_together.py", "run", "net.yaml", "--no-figures", "--out", "out")


def test_a_process_is_killed_and_fewer_go_on(folder):
    begun = time.monotonic()
    lost = torchrun(3, folder, *RUN, ENDING="SIGKILL", AT="5", IN="1")
    assert time.monotonic() - begun < 60.0  # starting takes most of it
    assert lost.returncode != 0
    said = lost.stderr + lost.stdout
    assert "another process has ended" in said or "the other processes did not answer" in said
    assert "--resume goes on from there" in said
    assert list((folder / "out" / "checkpoints").glob("*.npz"))
    again = launched(2, folder, *RUN, "--resume")
    assert again.returncode == 0, again.stderr
    records = [json.loads(line) for line in (folder / "out" / "history.jsonl").read_text().splitlines()]
    assert 0 < records[0]["step"] <= 5 and records[-1]["step"] == 12
    assert not (folder / "out" / "checkpoints").exists()
    command = [sys.executable, *map(str, (HERE / RUN[0], *RUN[1:-1])), "alone"]
    assert subprocess.run(command, cwd=folder, env=environment(), capture_output=True).returncode == 0
    one, other = load_solution(folder / "out"), load_solution(folder / "alone")
    assert float((one.coefficients - other.coefficients).norm() / other.coefficients.norm()) < 1e-8


def test_ctrl_c_ends_all_at_the_same_step(folder):
    done = launched(2, folder, *RUN, ENDING="SIGINT", AT="4", IN="1")  # of which the first process hears by the other
    result = json.loads((folder / "out" / "result.json").read_text())
    assert result["status"] == "interrupted", done.stderr
    assert "Traceback" not in done.stdout and done.stdout.count("net was interrupted") == 1


def test_cells_are_solved_by_one_process(folder):
    text = NETWORK[: NETWORK.index("solve:")] + "solve: {tolerance: 1e-3}\n"
    (folder / "net.yaml").write_text(text)
    done = launched(2, folder, *RUN)
    assert done.returncode == 0, done.stderr
    assert "polynomials on cells are not divided among processes" in done.stderr
    assert done.stdout.count("converged") == 1


def test_mistakes_are_said_once(folder):
    (folder / "net.yaml").write_text(NETWORK.replace("laplacian(u)", "laplacian(w)"))
    done = launched(2, folder, *RUN)
    assert done.returncode == 2 and done.stderr.count("`w`") == 1


def test_commands_that_are_not_divided_are_of_one_process(folder):
    done = launched(2, folder, "ended_together.py", "explain", "net.yaml")
    assert done.returncode == 0 and done.stdout.count("minimized over u") == 1


UNHEARD = """
import os, signal, time
from pinnsolve import process
process.UNHEARD = 0.2
with process.Interrupts(several=True, speaks=False) as interrupts:
    os.kill(os.getpid(), signal.SIGTERM)
    assert interrupts.asked()  # and nothing was raised
    {then}
    time.sleep(1.0)
print("went on")
"""


@pytest.mark.parametrize(("then", "code", "goes_on"), [("pass", 130, False), ("interrupts.hear()", 0, True)])
def test_a_process_that_the_others_do_not_hear_ends_itself(then, code, goes_on):
    command = [sys.executable, "-c", UNHEARD.replace("{then}", then)]
    done = subprocess.run(command, capture_output=True, text=True, env=environment())
    assert done.returncode == code and ("went on" in done.stdout) == goes_on
    assert ("the other processes did not answer" in done.stderr) != goes_on
