"""Polynomials on cells of a given size, on one device: what `scale.py` measures.

    scripts/scale_cells.py poisson|navier-stokes cpu|cuda THREADS OUT [CELLS]

`poisson`: Poisson's equation in a cube, 6 x 6 x 6 cells of degree 9 and 104,976 coefficients, or so many cells per
axis: one least squares, its factorization and the correction. `navier-stokes`: the vortices of Taylor and Green in the
plane, marched in time to a tolerance. Output: OUT.json with seconds after a first, small solve, in which libraries are
loaded; the error against the exact solution; most memory.
"""

from __future__ import annotations

import json
import resource
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from unittest import mock

import torch

from pinnsolve import pipeline
from pinnsolve.adapt.devices import PROCESSOR, moved, solved_there
from pinnsolve.adapt.forward import on_cells
from pinnsolve.adapt.hp_refinement import newton, solve_level
from pinnsolve.assembly.system import CellSystem
from pinnsolve.assembly.term_rows import table_orders
from pinnsolve.bases.piecewise.basis import PouCells
from pinnsolve.bases.piecewise.mesh import uniform_cells
from pinnsolve.bases.piecewise.space import Space
from pinnsolve.compiler.compiler import compile_problem
from pinnsolve.estimate.measured_errors import exact_values, true_error
from pinnsolve.method import solve_context
from pinnsolve.problem.build import with_settings
from pinnsolve.runtime import on_device
from pinnsolve.solvers.memory import operations

CELLS, DEGREE = 6, 9  # per axis
TOLERANCE = 1e-4  # of the flow


@contextmanager
def counted() -> Iterator[list[float]]:
    """The multiplications of every factorization that is made meanwhile, as the solver itself foretells them."""
    found: list[float] = []
    factorize = CellSystem.factorize

    def counting(self: CellSystem, rows):
        found.append(operations(self))
        return factorize(self, rows)

    with mock.patch.object(CellSystem, "factorize", counting):
        yield found


def poisson(device: torch.device, cells: int, degree: int) -> dict:
    """One least squares on equal cells, and how far from the truth it is."""
    problem = pipeline.load("poisson-3d")
    compiled = compile_problem(problem)
    begun, begun_work = time.perf_counter(), time.process_time()
    with torch.no_grad(), on_device(device), counted() as multiplications:
        low, high = (torch.tensor([ends[i] for ends in compiled.intervals], dtype=torch.float64) for i in (0, 1))
        space = Space(uniform_cells(low, high, (cells,) * 3), (degree,) * 3, table_orders(compiled))
        c = torch.zeros(space.cells.count, 1, space.functions, dtype=torch.float64)
        level = solve_level(compiled, space, c, {}, newton(1e-8))
        basis = PouCells(space.cells, space.degrees, low, high)
    if device.type == "cuda":
        torch.cuda.synchronize()
    seconds, processor = time.perf_counter() - begun, time.process_time() - begun_work
    basis, c = moved(basis, PROCESSOR), level.c.to(PROCESSOR)
    x = torch.rand(2000, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    zero = (0, 0, 0)
    u = basis.combined(x, [zero], c.transpose(0, 1).reshape(1, -1))[zero][0]
    truth = torch.as_tensor(exact_values(problem, x)["u"])
    return {
        "seconds": seconds, "processor_seconds": processor, "coefficients": c.numel(),
        "multiplications": sum(multiplications), "error": float((u - truth).norm() / truth.norm()),
    }  # fmt: skip


def navier_stokes(device: torch.device, tolerance: float) -> dict:
    """The flow to a tolerance, by whatever way the solver takes."""
    problem = with_settings(pipeline.load("taylor-green"), {"tolerance": tolerance, "device": device.type})
    compiled = compile_problem(problem)
    context = solve_context(problem, compiled, None)
    begun = time.perf_counter()
    best = solved_there(context, lambda there: on_cells(there, tolerance, None)).best
    seconds = time.perf_counter() - begun
    with torch.no_grad():
        errors, _ = true_error(problem, best.approximation, context.check_points(), compiled.undetermined_constants)
    numbers = best.approximation.state.coefficients.numel()
    return {"seconds": seconds, "coefficients": numbers, "error": max(errors.values()), "estimate": best.worst}


def main(kind: str, place: str, threads: str, out: str, cells: str = str(CELLS)) -> None:
    torch.set_num_threads(int(threads))
    device = torch.device(place)
    if kind == "poisson":
        poisson(device, 2, 4)
        found = poisson(device, int(cells), DEGREE)
    else:
        navier_stokes(device, 0.3)
        found = navier_stokes(device, TOLERANCE)
    if device.type == "cuda":
        memory, found["device"] = torch.cuda.max_memory_allocated() / 1e9, torch.cuda.get_device_name()
    else:
        memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e9
    Path(f"{out}.json").write_text(json.dumps({**found, "memory_gb": memory, "threads": int(threads)}))


if __name__ == "__main__":
    main(*sys.argv[1:])
