"""How the time of a solve grows with the number of cells, and with the time until which a problem marches.

Input: nothing; problems and degrees are fixed here. Output: rows (dicts) with what was measured at each size and the
fitted exponent. On cells it is the time of one assembly, factorization and solve at one degree, or of a step's
factorizations and of a step; until a time T that of a whole solve.
"""

from __future__ import annotations

import math
import statistics
import time
from collections.abc import Callable, Sequence
from typing import Any

from measured import measure, shown

PLANE, PLANE_DEGREE = (8, 16, 32, 64), 6
SPACE, SPACE_DEGREE = (3, 5, 8), 6
IN_TIME, STEP_DEGREE, STAGES, STEP = (4, 8, 16, 32), 6, 5, 0.05
UNTIL, UNTIL_TOLERANCE = (12.5, 25.0, 50.0, 100.0), 1e-4


def growth_rows(seed: int, limit: float | None) -> list[dict]:
    """All tables."""
    steady = [
        _table(f"{problem}, degree {degree}", "cells per axis", counts, lambda n, p=problem, q=degree: _steady(p, n, q))
        for problem, degree, counts in (("poisson-2d", PLANE_DEGREE, PLANE), ("poisson-3d", SPACE_DEGREE, SPACE))
    ]
    steps = [
        _table(f"wave-2d-long, degree {STEP_DEGREE}, {name}", "cells per axis", IN_TIME, of)
        for name, of in (("factorizations of a step", _factorized), ("a step", _step))
    ]
    until = _table("wave-2d-long, whole solve", "final time", UNTIL, lambda end: _solved(end, seed, limit))
    return [*steady, *steps, until]


def exponent(sizes: Sequence[float], seconds: Sequence[float]) -> float:
    """Of the power of the size that the seconds follow, by a line through the logarithms."""
    x, y = ([math.log(v) for v in values] for values in (sizes, seconds))
    return statistics.covariance(x, y) / statistics.variance(x)


def print_growths(rows: list[dict]) -> None:
    print("\ntime against cells at fixed degree, and against final time; the exponent is of the size named")
    for row in rows:
        found = ", ".join(f"{size:g}: {shown(s, '.3g')} s" for size, s in zip(row["sizes"], row["times"], strict=True))
        print(f"  {row['case']:48s} {row['by']:15s} {found}; exponent {row['exponent']:.2f}")


def _table(name: str, by: str, sizes: Sequence[float], seconds: Callable[[Any], float]) -> dict:
    times = [seconds(size) for size in sizes]
    return {"case": name, "by": by, "sizes": list(sizes), "times": times, "exponent": exponent(sizes, times)}


def _seconds(work: Callable[[], object]) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def _compiled(name: str):
    from pinnsolve.compiler.compiler import compile_problem
    from pinnsolve.problem.build import build_problem
    from pinnsolve.spec.spec import load_spec

    return compile_problem(build_problem(load_spec(name)))


def _space(problem, intervals, count: int, degree: int):
    """`count` equal cells along each axis."""
    import torch

    from pinnsolve.assembly.term_rows import table_orders
    from pinnsolve.bases.piecewise.mesh import uniform_cells
    from pinnsolve.bases.piecewise.space import Space

    low, high = torch.tensor(intervals, dtype=torch.float64).T
    d = len(intervals)
    return Space(uniform_cells(low, high, (count,) * d), (degree,) * d, table_orders(problem))


def _steady(name: str, count: int, degree: int) -> float:
    """Of one solve of a linear problem without time."""
    import torch

    from pinnsolve.assembly.faces import continuity_rows
    from pinnsolve.assembly.row_source import State
    from pinnsolve.assembly.system import CellSystem
    from pinnsolve.assembly.term_rows import highest_orders, term_rows

    problem = _compiled(name)

    def solve() -> None:
        space = _space(problem, problem.intervals, count, degree)
        sources = [*term_rows(problem, space, {})]
        sources += continuity_rows(space, problem.coordinates, highest_orders(problem))
        system = CellSystem(space, sources, len(problem.unknowns), True)
        start = State(system.zero(), torch.zeros(0, dtype=torch.float64))
        rows, factors = system.factorized(start, system.rows(start), False)
        factors.step(rows, start.parameters, None)

    return _seconds(solve)


def _system(count: int):
    """The stages of a step of a wave, and what a step begins from."""
    import torch

    from pinnsolve.adapt.radau import radau
    from pinnsolve.adapt.space_problem import in_space
    from pinnsolve.adapt.stage_system import StageSystem

    problem = _compiled("wave-2d-long")
    stated = in_space(problem, problem.coordinates.index(problem.time))
    space = _space(stated.problem, stated.problem.intervals, count, STEP_DEGREE)
    levels, cells = max(stated.evolving), space.cells.count
    start = torch.zeros(1, levels, cells, len(stated.evolving), space.functions, dtype=torch.float64)
    return lambda: StageSystem(stated, space, {}, radau(STAGES), STEP, lambda: None), start


def _factorized(count: int) -> float:
    return _seconds(_system(count)[0])


def _step(count: int) -> float:
    make, start = _system(count)
    system = make()
    stages = start[:, 0, None].expand(-1, STAGES, -1, -1, -1)

    def step() -> None:
        system.correction(system.residuals(stages, start, 0.0))

    step()  # what is made once
    return _seconds(step)


def _solved(until: float, seed: int, limit: float | None) -> float:
    row = measure("wave-2d-long", (f"coordinates.t=[0, {until:g}]",), limit, seed=seed, tolerance=UNTIL_TOLERANCE)
    return row["seconds"]
