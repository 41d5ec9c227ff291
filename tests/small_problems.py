"""Small problems of every kind, stated in Python, and what assembles them: for tests of the numerical half."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch

from pinnsolve.assembly.collocation import sample_problem, zero_state
from pinnsolve.assembly.row_source import State, stacked
from pinnsolve.assembly.rows import Assembly
from pinnsolve.bases import make_basis
from pinnsolve.bases.base import Basis
from pinnsolve.compiler.compiler import compile_problem
from pinnsolve.compiler.terms import CompiledProblem
from pinnsolve.defaults import Collocation
from pinnsolve.problem.problem import Problem

HAT = {"hat(s)": "max(0, 1 - abs(s - 0.25)/0.15)"}
STATEMENTS = {
    "poisson": {
        "domain": {"x": (0, 2), "y": (-1, 1)},
        "unknowns": "u",
        "equations": {"poisson": "laplacian(u) = sin(x)*y"},
        "conditions": {"walls": {"on": "boundary", "equation": "u = x"}},
    },
    "neumann": {
        "domain": {"t": (0, 1), "x": (0, 2)},
        "unknowns": "u",
        "equations": {"heat": "D(u, t) = (1 + x**2)*D(u, x, x) + sin(t)"},
        "conditions": {
            "start": {"on": "t = 0", "equation": "u = cos(pi*x)"},
            "flux": {"on": "boundary", "equation": "Dn(u) + 3*u = n_x", "where": "t > 0.3"},
        },
    },
    "burgers": {
        "domain": {"t": (0, 1), "x": (-1, 1)},
        "unknowns": "u",
        "equations": {"momentum": "D(u, t) + u*D(u, x) = 0.1*D(u, x, x) + exp(u)*u**2"},
        "conditions": {
            "start": {"on": "t = 0", "equation": "u = -sin(pi*x)"},
            "walls": {"on": ["x = -1", "x = 1"], "equation": "u + u**3 = 0"},
        },
    },
    "system": {
        "domain": {"t": (0, 2)},
        "unknowns": ["u", "v"],
        "equations": {"prey": "D(u, t) = u - u*v", "hunter": {"equation": "D(v, t) = u*v - v", "where": "t > 0.1"}},
        "conditions": {"start": {"on": "t = 0", "equations": ["u = 1.5", "v = 1"]}},
    },
    "periodic": {
        "domain": {"t": (0, 1), "x": (0, "2*pi")},
        "unknowns": "u",
        "equations": {"wave": "D(u, t, t) = 4*D(u, x, x)"},
        "conditions": {
            "start": {"on": "t = 0", "equations": ["u = sin(x)", "D(u, t) = 0"]},
            "ring": {"periodic": "x"},
        },
    },
    "inverse": {
        "domain": {"t": (0, 1), "x": (0, 1)},
        "unknowns": "u",
        "unknown_parameters": {"kappa": {"guess": 0.5, "bounds": [0, 10]}, "rate": {"guess": -1}},
        "equations": {"heat": "D(u, t) = kappa*D(u, x, x) + rate**2*u"},
        "conditions": {"walls": {"on": ["x = 0", "x = 1"], "equation": "u = 0"}},
        "data": {"probes": {"file": "probes.csv", "equation": "(1 + rate)*u = measured", "noise": 0.01}},
    },
}


def stated(name: str, folder: Path | None = None, **changes) -> Problem:
    """The small problem of that name; its data are written to `folder`."""
    statement = {"name": name, **STATEMENTS[name], **changes}
    if "data" in statement:
        write_probes(folder)
        statement["folder"] = folder
    return Problem(**statement)


def write_probes(folder: Path, count: int = 23) -> None:
    random = np.random.default_rng(0)
    t, x, noise = random.random(count), random.random(count), random.standard_normal(count)
    table = np.column_stack([t, x, np.exp(-t) * np.sin(np.pi * x) + 0.01 * noise])
    np.savetxt(folder / "probes.csv", table, delimiter=",", header="t,x,measured", comments="", fmt="%.17g")


def compiled(name: str, folder: Path | None = None, **changes) -> CompiledProblem:
    return compile_problem(stated(name, folder, **changes))


def box(problem: CompiledProblem, dtype=torch.float64) -> tuple[torch.Tensor, torch.Tensor]:
    return tuple(torch.tensor([ends[i] for ends in problem.intervals], dtype=dtype) for i in (0, 1))


def basis_for(problem: CompiledProblem, width=6, seed=1, dtype=torch.float64, **settings) -> Basis:
    settings = {"kind": "mlp", "width": width, "activation": "tanh", "scale": 2.0, **settings}
    return make_basis(settings, *box(problem, dtype), seed, dtype)


def assembled(problem: CompiledProblem, interior=40, boundary=9, sampling="uniform", weights=None, seed=0) -> Assembly:
    """At random points; term weights are 1 but for those given."""
    points = sample_problem(problem, Collocation(interior, boundary, sampling), seed, box(problem)[0])
    return Assembly(problem, points, {t.name: 1.0 for t in problem.terms} | (weights or {}))


def random_state(problem: CompiledProblem, basis: Basis, seed: int = 0, size: float = 0.5) -> State:
    zero = zero_state(problem, basis)
    generator = torch.Generator().manual_seed(seed)
    coefficients = size * torch.randn(zero.coefficients.shape, generator=generator, dtype=torch.float64)
    return State(coefficients.to(zero.coefficients), zero.parameters + 0.1 * (1 + seed))


def reduced(assembly: Assembly, basis, hidden=None) -> float:
    """The loss with the best coefficients, by numpy: of linear problems without unknown parameters."""
    zero = zero_state(assembly.problem, basis)
    blocks = list(assembly.blocks(basis, zero, hidden))
    A, r = (part.detach().numpy() for part in stacked(blocks))
    return float(np.square(A @ np.linalg.lstsq(A, -r)[0] + r).sum())
