"""Classical codes: the specialists of `scripts/specialists`, and scikit-fem as its own examples use it.

A specialist climbs its ladder of resolutions for as long as the budget lasts. Where there is none and the problem is
steady, of second order and on a plane domain with given values on its boundary, scikit-fem solves it with quadratic
triangles, as its example 1 does on a mesh that Gmsh makes, refined evenly.
"""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np

from peers.stated import Judge, NotStated, Stated

Field = Callable[[np.ndarray], np.ndarray]
SIZES = (0.1, 0.05, 0.025, 0.0125, 0.00625)  # of triangles, relative to the box
DEGREE = 2


def solve(stated: Stated, budget: float, judge: Judge) -> str:
    """Solve on finer and finer meshes until the next one would not fit in; what was done, in words."""
    from compare_classical import SPECIALISTS

    name = stated.problem.name
    if name in SPECIALISTS:
        specialist = SPECIALISTS[name]()
        if set(specialist.unknowns) != set(stated.problem.unknowns):
            judge.truth = {unknown: judge.truth[unknown] for unknown in specialist.unknowns}
        return _climb(specialist.method, specialist.ladder, _specialist(specialist, stated, judge), budget, judge)
    solver = PLANE.get(name)
    if solver is None:
        raise NotStated("no classical code here is made for this problem")
    return _climb("scikit-fem, quadratic triangles", SIZES, solver, budget, judge)


def _climb(method: str, ladder, solver: Callable[..., Field], budget: float, judge: Judge) -> str:
    """Each resolution's own seconds count, as if one knew beforehand which one it takes."""
    done = 0
    for resolution in ladder:
        began = time.perf_counter()
        field = solver(resolution)
        seconds = time.perf_counter() - began
        judge(field, resolution=str(resolution))
        judge.points[-1]["seconds"] = seconds
        done += 1
        if judge.seconds + 4 * seconds > budget:
            break
    return f"{method}; {done} resolutions"


def _specialist(specialist, stated: Stated, judge: Judge) -> Callable[..., Field]:
    """Its solutions, asked for at the levels of time that it stores."""
    low, high = stated.compiled.intervals[0]
    if specialist.levels:
        steps = np.round((judge.places[:, 0] - low) / (high - low) * specialist.levels)
        judge.places[:, 0] = low + steps / specialist.levels * (high - low)
        _judge_anew(stated, judge)
    times = np.unique(judge.places[:, 0]) if specialist.levels else np.zeros(1)

    def solver(resolution) -> Field:
        field = specialist.solve(resolution, times)

        def values(places: np.ndarray) -> np.ndarray:
            known, none = field(places), np.zeros(len(places))
            return np.stack([known.get(unknown, none) for unknown in stated.problem.unknowns])

        return values

    return solver


def _judge_anew(stated: Stated, judge: Judge) -> None:
    """The truth at places that were moved to levels of time."""
    if stated.problem.exact:
        from pinnsolve.estimate.measured_errors import exact_values

        judge.truth = exact_values(stated.problem, judge.places)
    elif stated.problem.name == "burgers":
        from burgers import cole_hopf

        judge.truth = {"u": cole_hopf(*judge.places.T)}


def _four_holes(size: float) -> Field:
    from elements import Domain, dirichlet_problem
    from four_holes import HOLES, RADIUS

    domain = Domain(
        (-0.5, -0.5, 0.5, 0.5), [(hole.real, hole.imag, RADIUS) for hole in HOLES], size, max(8, round(0.6 / size))
    )
    u = dirichlet_problem(domain, {"outer": 1.0, "holes": 0.0}, DEGREE)
    return lambda places: u(places)[None]


def _boltzmann(size: float) -> Field:
    from elements import Domain, dirichlet_problem
    from poisson_boltzmann import DISKS, source

    domain = Domain((-1, -1, 1, 1), DISKS, 2 * size, max(8, round(1.2 / size)))
    u = dirichlet_problem(domain, {"outer": 0.2, "holes": 1.0}, DEGREE, 64.0, source)
    return lambda places: u(places)[None]


PLANE = {"poisson-four-holes": _four_holes, "poisson-boltzmann": _boltzmann}
