"""Domains that are shapes, for tests of what is drawn and written: problems, and solutions known in closed form."""

from __future__ import annotations

import numpy as np
from sine_basis import LOWER, UPPER, solution_of

from pinnsolve.problem.build import build_problem
from pinnsolve.problem.problem import Problem
from pinnsolve.spec.spec import spec_from_dict

# within the box of the sine basis, [0, 1] x [-1, 2]: a disk of radius 0.5 around (0.5, 0.5), less one of radius 0.2
CENTER, OUTER, INNER = np.array([0.5, 0.5]), 0.5, 0.2
RING = {
    "difference": [
        {"disk": {"center": [0.5, 0.5], "radius": OUTER}, "boundary": "rim"},
        {"disk": {"center": [0.5, 0.5], "radius": INNER}, "boundary": "hole"},
    ]
}
RING_AREA = np.pi * (OUTER**2 - INNER**2)


def ring_problem(time: bool = False, **conditions) -> Problem:
    """The Laplace or heat equation on the ring; without conditions given, u = x on its rim and 0 at the hole."""
    stated = {"rim": {"on": "rim", "equation": "u = x"}, "hole": {"on": "hole", "equation": "u = 0"}}
    start = {"start": {"on": "t = 0", "equation": "u = y"}} if time else {}
    data = {
        "name": "ring",
        "domain": RING,
        "unknowns": "u",
        "equations": {"inside": "D(u, t) = laplacian(u)" if time else "laplacian(u) = 0"},
        "conditions": {**start, **(conditions or stated)},
        **({"time": {"t": [LOWER[0], UPPER[0]]}} if time else {}),
    }
    return build_problem(spec_from_dict(data))


def ring_solution(time: bool = False, **fields):
    """Plane waves on the ring; with time, over [0, 1]."""
    problem = ring_problem(time)
    solution = solution_of(problem.coordinates, time=problem.time, name="ring", shape=problem.shape, **fields)
    given = {"intervals": problem.intervals, "problem_text": problem.spec.to_yaml(), "unknowns": solution.unknowns}
    for name, value in given.items():
        object.__setattr__(solution, name, value)
    return solution


def radius(points: np.ndarray) -> np.ndarray:
    """Distances of points (N, 2 or more) of the plane from the centre of the ring."""
    return np.linalg.norm(points[:, :2] - CENTER, axis=1)
