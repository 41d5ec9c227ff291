"""POUnets on differential equations: what adapting the partition gains over leaving it at its start.

- `layer`: the Poisson equation of `problems/inner-layer.yaml`, Gaussians, least squares against LSGD and varpro;
- `front`: a viscous Burgers front that travels, Gaussians in space and time, the same ways;
- `hat`: advection of a hat, whose kinks travel, on a residual network's partition (relu, degree 1).

Errors are relative L2 norms at random points that no solve saw.
"""

from __future__ import annotations

import tempfile
import time
from pathlib import Path

import numpy as np
import torch
from common import ROOT, SEEDS, figure, main, median_and_range, save, write_table

import pinnsolve as ps

FRONT = """
name: front
coordinates: {t: [0, 1], x: [-1, 1]}
unknowns: u
parameters: {nu: 0.1}
equations:
  momentum: D(u, t) + u*D(u, x) = nu*D(u, x, x)
conditions:
  start: {on: "t = 0", equation: "u = wave(0, x)"}
  walls: {on: boundary, equation: "u = wave(t, x)"}
definitions:
  wave(t, x): 0.5 - 0.5*tanh((x - 0.5*t)/(4*nu))
exact: {u: "wave(t, x)"}
solve: {basis: {kind: pou_rbf, partitions: 8, degree: 4, scale: 2}}
"""
HAT = """
name: hat
coordinates: {t: [0, 0.4], x: [0, 1]}
unknowns: u
equations:
  transport: D(u, t) + D(u, x) = 0
conditions:
  start: {on: "t = 0", equation: "u = hat(x)"}
  inflow: {on: "x = 0", equation: "u = 0"}
definitions:
  hat(s): max(0, 0.25 - abs(s - 0.35))
exact: {u: "hat(x - t)"}
solve: {basis: {kind: pou_resnet, partitions: 6, degree: 1, width: 16, depth: 3}}
"""
CASES = {
    "layer": ("least_squares", "lsgd", "varpro"),
    "front": ("least_squares", "varpro"),
    "hat": ("least_squares", "lsgd"),
}


def problem_of(case: str, folder: Path):
    """The problem, from its file; those that are only of this experiment are written to one."""
    if case == "layer":
        return ps.load(ROOT / "problems" / "inner-layer.yaml")
    path = folder / f"{case}.yaml"
    path.write_text({"front": FRONT, "hat": HAT}[case], encoding="utf-8")
    return ps.load(path)


def compute(quick: bool, folder: Path) -> list[dict]:
    rows, shown = [], {}
    with tempfile.TemporaryDirectory() as files:
        for case, methods in CASES.items():
            if quick and case == "front":
                continue
            problem = problem_of(case, Path(files))
            for seed in range(1 if quick else SEEDS if case == "layer" else 3):
                for method in methods:
                    steps = {"optimizer": {"steps": 20}} if quick and method != "least_squares" else {}
                    start = time.perf_counter()
                    solution = ps.solve(problem, method=method, seed=seed, **steps)
                    error = solution.result["relative_l2_error"]["u"]
                    seconds = time.perf_counter() - start
                    rows.append({"case": case, "method": method, "seed": seed, "error": error, "seconds": seconds})
                    if seed == 0:
                        shown[case, method] = solution
                    print(case, method, seed, f"{error:.1e} {seconds:.0f} s", flush=True)
    write_table(folder / "pou-pde.csv", rows)
    draw(shown, folder / "pou-pde.png")
    return summary(rows)


def summary(rows: list[dict]) -> list[dict]:
    """Median and range over seeds, and the factor gained by adapting: the median of each seed's own."""
    result = []
    for case, method in dict.fromkeys((r["case"], r["method"]) for r in rows):
        errors = [r["error"] for r in rows if (r["case"], r["method"]) == (case, method)]
        starts = [r["error"] for r in rows if (r["case"], r["method"]) == (case, "least_squares")]
        gained = float(np.median([a / b for a, b in zip(starts, errors, strict=True)]))
        result.append({"case": case, "method": method, "error": median_and_range(errors), "gained": gained})
    return result


def draw(shown: dict, path: Path) -> None:
    """Partitions before and after: the layer's windows with its solution, and the largest window of the others."""
    drawn, axes = figure(2, 3, 3.6, 2.4)
    x = torch.linspace(0, 1, 2000, dtype=torch.float64)[:, None]
    for column, (case, methods) in enumerate(CASES.items()):
        for row, method in enumerate((methods[0], methods[-1])):
            axis, solution = axes[row, column], shown.get((case, method))
            if solution is None:  # left out of a quick run
                continue
            error = solution.result["relative_l2_error"]["u"]
            axis.set_title(f"{case} {('before', 'after')[row]}: error {error:.0e}", fontsize=9)
            if case == "layer":
                axis.plot(x[:, 0], solution.basis.partition(x), linewidth=1)
                axis.plot(x[:, 0], solution.values(x.numpy(), "u") / 2, color="black", linewidth=1, linestyle="--")
            else:
                _draw_largest(axis, solution)
    save(drawn, path)


def _draw_largest(axis, solution) -> None:
    """Which window is the largest, over space and time."""
    (t0, t1), (x0, x1) = solution.intervals
    t, x = torch.meshgrid(torch.linspace(t0, t1, 200), torch.linspace(x0, x1, 200), indexing="ij")
    points = torch.stack([t.reshape(-1), x.reshape(-1)], dim=1).double()
    largest = solution.basis.partition(points).argmax(dim=1).reshape(t.shape)
    axis.pcolormesh(x[0], t[:, 0], largest, cmap="tab10", vmin=0, vmax=9, shading="nearest", rasterized=True)
    axis.set(xlabel="x", ylabel="t")


if __name__ == "__main__":
    main(__doc__, compute)
