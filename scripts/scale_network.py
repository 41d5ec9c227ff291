"""One least squares on a wide network, by however many processes this is started in: what `scale.py` measures.

    [torchrun --nproc-per-node N] scripts/scale_network.py WIDTH POINTS THREADS OUT [--device cuda]

Poisson's equation in a cube, with sines whose slopes are wide enough that the rows determine every coefficient. Output:
OUT.json with seconds from when all processes are ready to when all have the solution, seconds of the processor
and memory of the process that takes most, rank and condition; OUT.npy with the coefficients.
"""

from __future__ import annotations

import argparse
import json
import resource
import sys
import time

import numpy as np
import torch

import pinnsolve as ps
from pinnsolve.assembly.collocation import zero_state
from pinnsolve.compiler.compiler import compile_problem
from pinnsolve.method import solve_context
from pinnsolve.processes import launch
from pinnsolve.processes.communicator import ALONE
from pinnsolve.solvers import LeastSquares

SCALE = 32.0  # of the slopes: condition numbers stay below 1e6 up to 4000 functions
BOUNDARY = 0.1  # of the points, which lie on the six sides


def stated(width: int, points: int, device: str) -> ps.Problem:
    """The problem with so many rows in all."""
    sides = max(1, round(BOUNDARY * points / 6))
    return ps.Problem(
        name="cube",
        domain=ps.Box(x=(0, 1), y=(0, 1), z=(0, 1)),
        unknowns="u",
        equations={"e": "laplacian(u) = -sin(3*x)*exp(y)*z"},
        conditions={"walls": ps.Condition(on="boundary", equation="u = x*y*z")},
        solve={
            "method": "least_squares", "device": device,
            "basis": {"kind": "mlp", "width": width, "activation": "sin", "scale": SCALE},
            "collocation": {"interior": points - 6 * sides, "boundary": sides},
        },
    )  # fmt: skip


def main(arguments: list[str]) -> None:
    parser = argparse.ArgumentParser()
    for name in ("width", "points", "threads"):
        parser.add_argument(name, type=int)
    parser.add_argument("out")
    parser.add_argument("--device", default="cpu")
    asked = parser.parse_args(arguments)
    torch.set_num_threads(asked.threads)
    among = launch.join(lambda: False, lambda: None) if launch.size() > 1 else ALONE
    problem = stated(asked.width, asked.points, asked.device)
    context = solve_context(problem, compile_problem(problem), None, among)
    basis = context.basis(problem.settings.basis.settings())
    context = context.weighted(basis)
    among.any(False)  # all are ready
    begun, worked = time.perf_counter(), time.process_time()
    assembly = context.assembly(basis.width)
    outcome = context.drive(LeastSquares(), assembly, basis, zero_state(context.problem, basis), "solve")
    among.any(False)
    found = {
        "width": asked.width,
        "rows": assembly.row_count,
        "processes": among.size,
        "threads": asked.threads,
        "seconds": time.perf_counter() - begun,
        "processor_seconds": max(among.told_all(time.process_time() - worked)),
        "memory_gb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e9,
        **{name: outcome.history[-1][name] for name in ("rank", "condition", "loss")},
    }
    if among.first:
        np.save(f"{asked.out}.npy", outcome.best.state.coefficients.cpu().numpy())
        with open(f"{asked.out}.json", "w", encoding="utf-8") as file:
            json.dump(found, file)
    if among.size > 1:
        launch.part()


if __name__ == "__main__":
    main(sys.argv[1:])
