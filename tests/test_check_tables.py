"""`check` finds what `run` would stop at in data files, and does so without solving."""

from __future__ import annotations

from pathlib import Path

import pytest

FILE = """\
name: probe
coordinates: {t: [0, 1], s: [0, 2]}
unknowns: w
equations: {e: "D(w, t) = D(w, s, s)"}
conditions: {ends: {on: ["s = 0", "s = 2"], equation: "w = 0"}}
data: {d: {file: d.csv, equation: "w = m"}}
"""
WRONG = {
    "words": ("t,s,m\n0,1,low\n", "holds no finite number in data rows 1"),
    "not a number": ("t,s,m\n0,1,2\n0,1,nan\n", "holds no finite number in data rows 2"),
    "infinite": ("t,s,m\n0,1,inf\n", "holds no finite number in data rows 1"),
    "ragged": ("t,s,m\n0,1,2\n0,1\n", "data rows [2] do not have 3 cells"),
    "longer": ("t,s,m\n0,1,2\n0,1,2,3\n0,1,2\n", "data rows [2] do not have 3 cells"),
    "empty": ("t,s,m\n", "has no rows of data"),
    "an empty cell": ("t,s,m\n0,,2\n", "column `s` holds no finite number"),
    "outside": ("t,s,m\n0,1,2\n0.5,2.5,1\n", "`s` lies outside [0, 2] in data rows 2"),
    "before the start": ("t,s,m\n-1,1,2\n", "`t` lies outside [0, 1] in data rows 1"),
    "another coordinate": ("t,y,m\n0,1,2\n", "no column for the coordinate `s`"),
}


@pytest.mark.parametrize("what", WRONG)
def test_check_and_run_say_the_same(what, work, command):
    text, message = WRONG[what]
    Path("probe.yaml").write_text(FILE)
    Path("d.csv").write_text(text)
    checked = command("check", "probe.yaml")
    assert checked[0] == 2 and message in checked[2]
    ran = command("run", "probe.yaml")
    assert ran[0] == 2 and message in ran[2]
    assert not Path("runs").exists()


def test_all_files_are_read(work, command):
    more = 'f: {file: f.csv, equation: "w = m"}}\nreference: {file: r.csv}\n'
    Path("probe.yaml").write_text(FILE.removesuffix("}\n") + ", " + more)
    Path("d.csv").write_text("t,s,m\n0,1,a\n")
    Path("f.csv").write_text("t,s,m\n0,3,1\n")
    Path("r.csv").write_text("t,s,w\n0,1,b\n")
    code, out, _ = command("check", "probe.yaml", "--json")
    assert code == 2 and all(name in out for name in ("d.csv", "f.csv", "r.csv"))
    Path("d.csv").write_text("t,s,m\n0,1,0.5\n")
    Path("f.csv").write_text('t,s,m\n"0.5","1","0.25"\n# as of May\n\n')
    Path("r.csv").write_text("t,s,w\n0,1,0.5\n")
    assert command("check", "probe.yaml")[0] == 0
