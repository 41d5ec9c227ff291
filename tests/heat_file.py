"""A problem that is right, to be changed in one place; and what was said about the change."""

from __future__ import annotations

import copy
import os
import zipfile
from pathlib import Path

import pytest

from pinnsolve.errors import ProblemError
from pinnsolve.spec.spec import spec_from_dict

ROOT = Path(__file__).resolve().parents[1]
ENVIRONMENT = {**os.environ, "PYTHONPATH": str(ROOT)}
HEAT = {
    "name": "heat",
    "coordinates": {"t": [0, 1], "x": [0, "2*pi"]},
    "unknowns": "u",
    "parameters": {"nu": "0.01/pi"},
    "definitions": {"wave(s)": "sin(s)"},
    "equations": {"heat": "D(u, t) = nu*D(u, x, x)"},
    "conditions": {
        "start": {"on": "t = 0", "equation": "u = wave(x)"},
        "walls": {"on": ["x = 0", "x = 2*pi"], "equation": "u = 0"},
    },
}


def heat(**changes):
    """The heat equation with keys replaced, or left out where they are None."""
    data = copy.deepcopy(HEAT)
    for key, value in changes.items():
        data[key] = value
    return {key: value for key, value in data.items() if value is not None}


def errors(data, folder=None):
    with pytest.raises(ProblemError) as caught:
        spec_from_dict(data, folder)
    return caught.value.diagnostics


def only_error(data, folder=None):
    (found,) = errors(data, folder)
    return found


def said(diagnostic) -> str:
    return f"{diagnostic.key}: {diagnostic.message} / {diagnostic.hint}"


def data_folder(path: Path) -> Path:
    """A folder with a CSV and an NPZ file, of which only the names of the columns matter."""
    (path / "probes.csv").write_text("# from the laboratory\nt, x, measured\n0,0,1\n")
    (path / "below").mkdir()
    with zipfile.ZipFile(path / "below" / "probes.npz", "w") as archive:
        for name in ("t", "x", "u", "accuracy"):
            archive.writestr(f"{name}.npy", b"")
    return path


MANY = """\
name: many
coordinates: {t: [0, 1], x: [0, 1]}
unknowns: u
parameters: {nu: 0.01/pie}

equation:
  heat: D(u, t) = niu*D(u, x, x)

conditions:
  start: {on: "t = 0", equation: "u = sin(x"}
  walls:
    on: ["x = 0", "x = 2"]
    equation: >
      u == 0
  start: {on: "t = 1", equation: "u = 0"}

solve: {basis: {widht: 3},
        method: lsdg}
"""
