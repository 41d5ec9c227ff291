"""Hostile problem files: an answer within 200 MB, exit code 2, no traceback, and nothing written."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from pinnsolve.cli import main

ROOT = Path(__file__).resolve().parents[1]
MEGABYTES = 200

# A small process in between: what a process has in memory counts for those it starts, and pytest holds a lot.
LAUNCHER = """
import json, subprocess, sys
done = subprocess.run(sys.argv[1:], capture_output=True, text=True, errors="replace", timeout=60)
try:
    import resource
    memory = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / (2**20 if sys.platform == "darwin" else 2**10)
except ImportError:  # on Windows, where nothing tells
    memory = 0
print(json.dumps([done.returncode, done.stdout, done.stderr, memory]))
"""

PLAIN = """\
name: plain
coordinates: {t: [0, 1], x: [0, 1]}
unknowns: u
equations:
  heat: EQUATION
conditions:
  start: {on: "t = 0", equation: "u = sin(pi*x)"}
  walls: {on: ["x = 0", "x = 1"], equation: "u = 0"}
"""


def with_equation(text: str) -> str:
    return PLAIN.replace("EQUATION", json.dumps(text))


GOOD = with_equation("D(u, t) = D(u, x, x)")
ALIASES = "\n".join(
    f"  a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 9)}]" if i else "  a0: &a0 [u, u, u, u, u, u, u, u, u]"
    for i in range(12)
)
DOUBLING = "\n".join(f"  d{i}(s): d{i - 1}(s) + d{i - 1}(s)*s" if i else "  d0(s): s" for i in range(60))

HOSTILE = {
    "import": with_equation("D(u, t) = __import__('os').system('touch pwned')"),
    "import without quotes": with_equation("D(u, t) = __import__(os)"),
    "attribute access": with_equation("D(u, t) = u.__class__.__mro__"),
    "attribute of a number": with_equation("D(u, t) = (1).real*u"),
    "subscript": with_equation("D(u, t) = u[0]"),
    "lambda": with_equation("D(u, t) = (lambda: u)()"),
    "comprehension": with_equation("D(u, t) = [u for u in x]"),
    "assignment": with_equation("D(u, t) = (x := 3)*u"),
    "f-string": with_equation("D(u, t) = f'{u}'"),
    "eval": with_equation("D(u, t) = eval(u)"),
    "sympy function": with_equation("D(u, t) = Symbol(u)"),
    "tower of powers": with_equation("D(u, t) = 9**9**9**9*u"),
    "tower of powers in a parameter": GOOD + "parameters: {a: 9**9**9**9}\n",
    "tower of powers of negative base": with_equation("D(u, t) = (-9)**9**9**9*u"),
    "power of a sum": with_equation("D(u, t) = (x + t + 1)**1000000000*u"),
    "ten thousand parentheses": with_equation("D(u, t) = " + "(" * 10_000 + "u" + ")" * 10_000),
    "ten thousand calls": with_equation("D(u, t) = " + "sin(" * 10_000 + "u" + ")" * 10_000),
    "ten thousand signs": with_equation("D(u, t) = " + "-" * 10_000 + "u"),
    "ten thousand brackets": with_equation("D(u, t) = div(" + "[" * 10_000 + "]" * 10_000 + ")"),
    "hundred thousand terms": with_equation("D(u, t) = " + " + ".join(["sin(x)*u"] * 20_000)),
    "a number of many digits": with_equation("D(u, t) = " + "9" * 100_000 + "*u"),
    "a huge exponent": with_equation("D(u, t) = 1e999999999*u"),
    "many derivatives": with_equation("D(u, t) = " + "D(" * 60 + "u**60" + ", x)" * 60),
    "derivative of large order": with_equation("D(u, t) = D(u, x, 1000000000)"),
    "definitions that double": GOOD + f"definitions:\n{DOUBLING}\n  bomb: d59(x)\nexact: {{u: bomb}}\n",
    "definition of itself": GOOD + "definitions: {a: b + 1, b: a + 1}\nexact: {u: a}\n",
    "alias bomb": GOOD + f"definitions:\n{ALIASES}\n",
    "alias to itself": GOOD + "definitions: &a {b: *a}\n",
    "python tag": GOOD + "title: !!python/object/apply:os.system ['touch pwned']\n",
    "nested maps": GOOD + "definitions: " + "{a: " * 10_000 + "1" + "}" * 10_000 + "\n",
    "nested lists": GOOD + "cite: " + "[" * 10_000 + "]" * 10_000 + "\n",
    "file outside": GOOD + 'data: {d: {file: ../secret.csv, equation: "u = measured"}}\n',
    "file at an absolute path": GOOD + 'data: {d: {file: /etc/passwd, equation: "u = measured"}}\n',
    "file through a link": GOOD + 'data: {d: {file: link.csv, equation: "u = measured"}}\n',
    "reference outside": GOOD + "reference: {file: ../secret.csv}\n",
    "a device": GOOD + 'data: {d: {file: /dev/zero, equation: "u = measured"}}\n',
    "NaN parameter": GOOD + "parameters: {a: .nan}\n",
    "NaN in an interval": GOOD.replace("x: [0, 1]", "x: [0, .nan]"),
    "infinite parameter": GOOD + "parameters: {a: .inf}\n",
    "division by zero": GOOD + "parameters: {a: 1/0}\n",
    "root of a negative number": GOOD + "parameters: {a: sqrt(-1)}\n",
    "overflow": GOOD + "parameters: {a: exp(1e9)}\n",
    "control characters": with_equation("D(u, t) = u\x1b[2J\x07"),
    "name that is a path": GOOD.replace("name: plain", "name: ../../plain"),
    "not text": "name: \x00\x01\x02",
    "empty": "",
    "a list": "- 1\n- 2\n",
    "huge": "# " + "x" * 5_000_000,
    "nested dashes": GOOD + "cite:\n  " + "- " * 20_000 + "x\n",
    "an alias many times": GOOD
    + "definitions:\n  a: &a ["
    + ",".join(["u"] * 3000)
    + "]\n"
    + "\n".join(f"  b{i}: *a" for i in range(3000))
    + "\n",
    "merge key": GOOD + "definitions:\n  a: &a {q: 1}\n  b:\n    <<: [*a, *a]\n",
    "power of powers": with_equation("D(u, t) = 10**10**10*u"),
    "power of a fraction": with_equation("D(u, t) = (1/3)**(10**9)*u"),
    "exponentials": with_equation("D(u, t) = exp(exp(exp(exp(exp(9)))))*u"),
    "product that grows": with_equation("D(u, t) = D(" + "*".join(f"(u + {i}*x)" for i in range(60)) + ", x, x)"),
    "quotients": with_equation("D(u, t) = u/" + "(1/" * 300 + "x" + ")" * 300),
    "huge count": GOOD.replace("x: [0, 1]", "x: {count: 10**10**10, interval: [0, 1]}"),
    "many coordinates": GOOD.replace("x: [0, 1]", ", ".join(f"x{i}: [0, 1]" for i in range(5000))),
    "million terms": with_equation("D(u, t) = " + "+".join(["u"] * 1_000_000)),
    "letters that look alike": with_equation("D(u, t) = D(u, x, \u0445)"),
    "letters of full width": with_equation("\uff24(u, t) = __import__(u)"),
    "text from right to left": with_equation("D(u, t) = \u202eu\u202c"),
    "no width": with_equation("D(u\u200b, t) = u"),
    "NUL": GOOD.replace('"u = 0"', '"u = 0\\0"'),
    "half a letter": GOOD.replace("name: plain", 'name: "\\ud800"'),
    "definition without end": GOOD + "definitions: {f(s): f(s - 1)}\nexact: {u: f(x)}\n",
    "address": GOOD + 'data: {d: {file: "http://127.0.0.1/x.csv", equation: "u = measured"}}\n',
    "NUL in a file name": GOOD + 'data: {d: {file: "a\\0.csv", equation: "u = measured"}}\n',
    "long file name": GOOD + f'data: {{d: {{file: {"a" * 5000}.csv, equation: "u = measured"}}}}\n',
    "memory of a process": GOOD + 'data: {d: {file: /proc/self/mem, equation: "u = measured"}}\n',
    "guess outside": GOOD + "guess: {run: ../..}\n",
    "huge integer": GOOD + "solve: {seed: " + "9" * 5000 + "}\n",
    "huge width": GOOD + "solve: {basis: {kind: mlp, width: 1000000000000}}\n",
}


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "secret.csv").write_text("t,x,measured\n0,0,0\n")
    work = tmp_path / "work"
    work.mkdir()
    (work / "link.csv").symlink_to(tmp_path / "secret.csv")
    return work


def launch(folder: Path, *arguments: str) -> tuple[int, str, str, float]:
    """Exit code, output, errors, megabytes."""
    command = [sys.executable, "-m", "pinnsolve", *arguments]
    done = subprocess.run(
        [sys.executable, "-S", "-c", LAUNCHER, *command],
        capture_output=True,
        text=True,
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        check=True,
    )
    return tuple(json.loads(done.stdout))


def assert_refused(folder: Path, *arguments: str) -> str:
    """Returns what was said."""
    before = sorted(folder.parent.rglob("*"))
    code, out, err, megabytes = launch(folder, *arguments)
    assert code == 2, (code, out, err)
    assert "Traceback" not in out + err
    assert out == ""
    assert err.strip()
    assert megabytes < MEGABYTES
    assert sorted(folder.parent.rglob("*")) == before
    return err


# those the project promises something about, and those that could take time or memory; the rest runs in this process
IN_A_PROCESS = (
    "import",
    "attribute access",
    "tower of powers",
    "ten thousand parentheses",
    "hundred thousand terms",
    "many derivatives",
    "definitions that double",
    "alias bomb",
    "python tag",
    "file outside",
    "a device",
    "NaN parameter",
    "huge",
)


@pytest.mark.parametrize("case", IN_A_PROCESS)
def test_hostile_file_in_a_process_of_its_own(case, folder):
    (folder / "problem.yaml").write_text(HOSTILE[case], encoding="utf-8")
    said = assert_refused(folder, "check", "problem.yaml")
    assert len(said) < 10_000


def refused_here(folder: Path, capsys, *arguments: str) -> str:
    """Like `assert_refused`, without the cost of a process and without a look at the memory."""
    before = sorted(folder.parent.rglob("*"))
    with pytest.raises(SystemExit) as end:
        main(list(arguments))
    out, err = capsys.readouterr()
    assert end.value.code == 2, (out, err)
    assert out == ""
    assert err.strip()
    assert "Traceback" not in err
    assert "\x1b" not in err
    assert len(err) < 10_000
    assert sorted(folder.parent.rglob("*")) == before
    return err


@pytest.mark.parametrize("case", [case for case in HOSTILE if case not in IN_A_PROCESS])
def test_hostile_file(case, folder, capsys, monkeypatch):
    monkeypatch.chdir(folder)
    (folder / "problem.yaml").write_text(HOSTILE[case], encoding="utf-8")
    refused_here(folder, capsys, "check", "problem.yaml")


def array(shape: str, kind: str = "<f8", content: bytes = b"\0" * 8) -> bytes:
    """A file of numpy with that header, whatever follows it."""
    header = f"{{'descr': '{kind}', 'fortran_order': False, 'shape': {shape}, }}\n".encode()
    return b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header + content


ZEROS = array("(10000000,)", content=b"\0" * 80_000_000)
ARRAYS = {  # and what is said of them
    "packed zeros": (ZEROS, "too tightly"),
    "header that lies": (array("(1000000000000,)"), "does not hold"),
    "header that computes": (array("(10**10**10,)"), "no array"),
    "header that is nested": (array("(" * 5000), "no array"),
    "pickle": (array("(1,)", "|O", b"cos\nsystem\n(S'touch pwned'\ntR."), "Object arrays"),
    "no header": (b"\0" * 100, "no array"),
}


@pytest.mark.parametrize("case", ARRAYS)
def test_hostile_arrays(case, folder, capsys, monkeypatch):
    monkeypatch.chdir(folder)
    content, said = ARRAYS[case]
    with zipfile.ZipFile(folder / "late.npz", "w", zipfile.ZIP_DEFLATED) as archive:
        for name in ("t", "x"):
            archive.writestr(f"{name}.npy", array("(1,)"))
        archive.writestr("measured.npy", content)
    (folder / "problem.yaml").write_text(GOOD + 'data: {d: {file: late.npz, equation: "u = measured"}}\n')
    assert said in refused_here(folder, capsys, "check", "problem.yaml")


TABLES = {
    "words": "0.1,0.5,one\n",
    "not a number": "0.1,0.5,nan\n",
    "ragged": "0.1,0.5\n0.2,0.3,1\n",
    "no rows": "",
    "outside": "0.1,1.5,1\n",
    "NUL": "0.1,0.5,\0\n",
    "digits": "0.1,0.5," + "9" * 200_000 + "\n",
}


@pytest.mark.parametrize("case", TABLES)
@pytest.mark.parametrize("command", ["check", "run"])
def test_check_finds_in_data_what_run_finds(case, command, folder, capsys, monkeypatch):
    monkeypatch.chdir(folder)
    (folder / "late.csv").write_text("t,x,measured\n" + TABLES[case])
    (folder / "problem.yaml").write_text(GOOD + 'data: {d: {file: late.csv, equation: "u = measured"}}\n')
    assert "late.csv" in refused_here(folder, capsys, command, "problem.yaml")


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="there are no pipes with names")
@pytest.mark.parametrize("use", ["data", "functions", "mesh", "problem"])
def test_pipes_and_folders_are_no_files(use, folder, capsys, monkeypatch):
    monkeypatch.chdir(folder)
    name = {"mesh": "p.msh", "problem": "p.yaml"}.get(use, "p.csv")
    os.mkfifo(folder / name)
    text = {
        "data": GOOD + 'data: {d: {file: p.csv, equation: "u = measured"}}\n',
        "functions": GOOD + "functions: {k: {file: p.csv, of: x}}\n",
        "mesh": GOOD.replace("coordinates: {t: [0, 1], x: [0, 1]}", "domain: {mesh: p.msh}\ntime: {t: [0, 1]}"),
    }
    (folder / "problem.yaml").write_text(text.get(use, ""))
    said = refused_here(folder, capsys, "check", "p.yaml" if use == "problem" else "problem.yaml")
    assert "not a file" in said


@pytest.mark.parametrize("case", ["import", "alias bomb", "NaN parameter"])
def test_run_refuses_as_check_does(case, folder):
    (folder / "problem.yaml").write_text(HOSTILE[case], encoding="utf-8")
    assert_refused(folder, "run", "problem.yaml")


@pytest.mark.parametrize(
    "override", ["equations.heat=u = __import__('os')", "solve.tolerance=.nan", "solve.seed=9**9**9**9", "a.b.c=1", "x"]
)
def test_hostile_override(override, folder, capsys, monkeypatch):
    monkeypatch.chdir(folder)
    (folder / "problem.yaml").write_text(GOOD)
    refused_here(folder, capsys, "run", "problem.yaml", "--set", override)


@pytest.mark.parametrize("name", ["/dev/zero", ".", "\x1b[2J", "x" * 5000, "nowhere.yaml", "burger", ""])
def test_hostile_file_name(name, folder, capsys, monkeypatch):
    monkeypatch.chdir(folder)
    refused_here(folder, capsys, "run", name)


def test_the_good_file_is_good(folder):
    """What makes the files above bad is the hostile part of each."""
    (folder / "problem.yaml").write_text(GOOD)
    code, out, err, megabytes = launch(folder, "check", "problem.yaml")
    assert code == 0, err
    assert "heat" in out
    assert megabytes < MEGABYTES
