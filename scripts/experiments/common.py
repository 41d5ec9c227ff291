"""What the experiments share: regression problems, solvers run on them, errors, tables, figures, command line.

Input: points and values. Output: assemblies that the library's solvers take; CSV files and PNG figures.
"""

from __future__ import annotations

import argparse
import csv
import math
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

import pinnsolve as ps
from pinnsolve.assembly.collocation import measured_points, sample_problem, zero_state
from pinnsolve.assembly.row_source import State
from pinnsolve.assembly.rows import Assembly
from pinnsolve.bases import Basis
from pinnsolve.compiler.compiler import compile_problem
from pinnsolve.defaults import Collocation
from pinnsolve.solvers import Clock, Iterate, Outcome, Solver, drive

ROOT = Path(__file__).resolve().parents[2]
FIGURES = ROOT / "docs" / "figures"
SEEDS = 8


def regression(x: Tensor, values: Tensor, lower: Sequence[float], upper: Sequence[float]) -> Assembly:
    """The loss mean |u(x_i) - y_i|^2 as an assembly. `x`: (N, d); `values`: (N,)."""
    names = [f"x{i + 1}" for i in range(x.shape[1])]
    with tempfile.TemporaryDirectory() as folder:
        table = np.column_stack([x.numpy(), values.numpy()])
        header = ",".join([*names, "value"])
        np.savetxt(Path(folder) / "samples.csv", table, delimiter=",", header=header, comments="", fmt="%.17g")
        problem = ps.Problem(
            name="regression",
            domain=dict(zip(names, zip(lower, upper, strict=True), strict=True)),
            unknowns="u",
            data={"samples": {"file": "samples.csv", "equation": "u = value"}},
            folder=Path(folder),
        )
        compiled = compile_problem(problem)
        points = {term.name: measured_points(term, compiled) for term in compiled.terms}
    return Assembly(compiled, points, {term.name: 1.0 for term in compiled.terms})


def assembled(problem: ps.Problem, interior: int, boundary: int, weights: dict[str, float] | None = None) -> Assembly:
    """The loss of a problem on grids of about so many points; term weights are 1 but for those given."""
    compiled = compile_problem(problem)
    counts = Collocation(interior, boundary, "grid")
    points = sample_problem(compiled, counts, 0, torch.zeros(1, dtype=torch.float64))
    return Assembly(compiled, points, {term.name: 1.0 for term in compiled.terms} | (weights or {}))


def solve(solver: Solver, assembly: Assembly, basis: Basis, state: State | None = None) -> Outcome:
    """The solver's outcome from a basis; without a state, from zero coefficients."""
    start = zero_state(assembly.problem, basis) if state is None else state
    return drive(solver, assembly, Iterate(basis, start), Clock())


def values(basis: Basis, state: State, x: Tensor) -> Tensor:
    """The solution (N,) at points (N, d)."""
    zero = (0,) * x.shape[1]
    with torch.no_grad():
        return torch.cat([basis.combined(part, [zero], state.coefficients)[zero][0] for part in x.split(4096)])


def relative_error(basis: Basis, state: State, x: Tensor, exact: Tensor) -> float:
    """Relative L2 error at points (N, d)."""
    return float(torch.linalg.vector_norm(values(basis, state, x) - exact) / torch.linalg.vector_norm(exact))


def fitted_order(sizes: Sequence[float], errors: Sequence[float]) -> float:
    """The slope of log error over log size."""
    return float(np.polyfit(np.log(sizes), np.log(errors), 1)[0])


def losses_of(outcome: Outcome, steps: int) -> np.ndarray:
    """(steps + 1,) log10 of the loss after each step; what ended early keeps its last."""
    found = [math.log10(max(record["loss"], 1e-32)) for record in outcome.history]
    return np.array((found + [found[-1]] * steps)[: steps + 1])


def median_and_range(numbers: Sequence[float]) -> str:
    """`2.1e-05 (1.0e-06 to 3.0e-04)`."""
    return f"{np.median(numbers):.1e} ({min(numbers):.1e} to {max(numbers):.1e})"


def write_table(path: Path, rows: Sequence[dict]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows({k: f"{v:.6g}" if isinstance(v, float) else v for k, v in row.items()} for row in rows)


def figure(rows: int, columns: int, width: float = 4.0, height: float = 3.0):
    """A matplotlib figure and its axes (rows, columns), without a display."""
    from matplotlib.figure import Figure

    drawn = Figure(figsize=(width * columns, height * rows), layout="constrained")
    return drawn, drawn.subplots(rows, columns, squeeze=False)


def save(drawn, path: Path) -> None:
    """As a PNG with a palette, which is small."""
    from PIL import Image

    path.parent.mkdir(parents=True, exist_ok=True)
    drawn.savefig(path, dpi=80, metadata={"Software": None})
    with Image.open(path) as image:
        image.convert("RGB").quantize(256, dither=Image.Dither.NONE).save(path, optimize=True)


def main(doc: str, run: Callable[..., list[dict]]) -> None:
    """The command line of an experiment: `run(quick, folder)` computes rows and draws; the rows are printed."""
    parser = argparse.ArgumentParser(description=doc.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="a few seconds' worth, to see that it works")
    parser.add_argument("--out", type=Path, default=FIGURES, help="where tables and figures go")
    options = parser.parse_args()
    torch.set_num_threads(1)
    start = time.perf_counter()
    for row in run(options.quick, options.out):
        print("  ".join(f"{k} {v:.3g}" if isinstance(v, float) else f"{k} {v}" for k, v in row.items()))
    print(f"{time.perf_counter() - start:.0f} s")
