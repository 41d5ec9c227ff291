"""The commented problem file that `pinnsolve new NAME` writes: it solves as it stands, and shows what to change.

Input: a name. Output: the text of a problem file.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

from pinnsolve.errors import PinnsolveError

# a name that needs no quotes in YAML and is a good file name; the language allows a few more
_NAME = re.compile(r"[A-Za-z_](?:[A-Za-z0-9_.-]{0,78}[A-Za-z0-9_])?")
_TEXT = """\
# A problem for pinnsolve: heat in a bar, to be changed into yours.
#
#   pinnsolve check {name}.yaml     what the file says, term by term
#   pinnsolve run {name}.yaml       solves it; files and figures go to runs/{name}

name: {name}
title: Heat conduction in a bar with cold ends

# The box: each coordinate with its interval. A coordinate called t is time, unless `time:` names another.
coordinates: {{t: [0, 1], x: [0, 1]}}

# The functions to find: a name, or a list such as [u, v, p].
unknowns: u

# Named constants: numbers, or expressions of those above.
parameters:
  kappa: 0.1

# Named expressions, with or without arguments, to be used in all others.
definitions:
  bump(s): sin(pi*s)

# What holds inside. D(u, t) is the derivative of u by t, D(u, x, x) the second one by x; there are also
# laplacian(u), grad_dot(a, b), div([a, b]), advect([u, v], w). Every entry needs a name, which reports use.
equations:
  heat: D(u, t) = kappa*D(u, x, x)

# What holds elsewhere. Places: a face ("x = 0"), a list of faces, boundary (all faces in space), domain;
# or `at: {{x: 0}}` for a point; or `periodic: x`. On a face, Dn(u) is the derivative along the outward normal.
conditions:
  start: {{on: "t = 0", equation: "u = bump(x)"}}
  ends:  {{on: ["x = 0", "x = 1"], equation: "u = 0"}}

# Measured values, from a CSV file beside this one with columns t, x and others of any name:
# data:
#   probes: {{file: probes.csv, equation: "u = measured", noise: 0.01}}

# A constant to find from them (take it out of `parameters` then):
# unknown_parameters:
#   kappa: {{guess: 1, bounds: [0, 10]}}

# The exact solution, when it is known: the report then states the true error beside the estimate.
exact:
  u: exp(-kappa*pi**2*t)*bump(x)

# How to solve. Everything here has a default; `pinnsolve schema` lists all there is.
solve:
  tolerance: 1e-6      # the relative L2 error to reach
  # method: auto       # or least_squares, lsgd, varpro, gd
  # basis: {{kind: mlp, width: 200, activation: tanh}}
  # limits: {{seconds: 60}}
"""


def starting_file(name: str) -> str:
    """The text for a problem of that name."""
    return _TEXT.format(name=name)


def write_starting_file(target: str, text_of: Callable[[str], str] = starting_file) -> Path:
    """Write NAME.yaml for `NAME`, `NAME.yaml` or a path like that. Never replaces a file; raises `PinnsolveError`.

    `text_of` makes the content from the name.
    """
    path = Path(target)
    name = path.stem if path.suffix in (".yaml", ".yml") else path.name
    if not _NAME.fullmatch(name):
        raise PinnsolveError(f"{name!r} is no name: letters, digits and `_ - .`, beginning with a letter")
    path = path.with_name(path.name if path.name != name else f"{name}.yaml")
    if path.exists():
        raise PinnsolveError(f"{path} exists already, and is left as it is")
    text = text_of(name)
    try:
        with path.open("x", encoding="utf-8") as file:
            file.write(text)
    except FileExistsError:
        raise PinnsolveError(f"{path} exists already, and is left as it is") from None
    return path
