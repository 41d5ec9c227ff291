"""Gaussians that turn and stretch against round ones, on layers that cross a square at 45 degrees.

The Poisson equation with the solution `front` (a tanh across the line) or `ridge` (a Gaussian of the distance to it),
a tenth of the square thick; POUnets of Gaussians times polynomials of degree 4, moved by varpro. What
polynomials on cells take for the same error stands beside them. Errors are relative L2 norms at points no solve saw.
"""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np
from common import figure, main, median_and_range, save, write_table

import pinnsolve as ps

DISTANCE = "((x + y - 1)/sqrt(2) - 0.05)"
SOLUTIONS = {"front": f"tanh(20*{DISTANCE})", "ridge": f"exp(-(20*{DISTANCE})**2)"}
COUNTS = {True: (2, 5), False: (5, 10, 25)}
SEEDS = 4


def layer(solution: str, **settings) -> ps.Problem:
    """The problem whose solution that is."""
    return ps.Problem(
        name="layer", domain=ps.Box(x=(0, 1), y=(0, 1)), unknowns="u", definitions={"layer": SOLUTIONS[solution]},
        equations={"poisson": "-laplacian(u) = -laplacian(layer)"},
        conditions={"walls": ps.Condition(on="boundary", equation="u = layer")}, exact={"u": "layer"}, solve=settings,
    )  # fmt: skip


def solved(solution: str, **settings) -> dict:
    """Error and time."""
    problem, start = layer(solution, **settings), time.process_time()
    error = ps.solve(problem).result["relative_l2_error"]["u"]
    return {"solution": solution, "error": error, "seconds": time.process_time() - start}


def compute(quick: bool, folder: Path) -> list[dict]:
    rows = []
    for solution in ("ridge",) if quick else SOLUTIONS:
        for turned, counts in COUNTS.items():
            for partitions in counts[:1] if quick else counts:
                for seed in range(1 if quick else SEEDS):
                    basis = {
                        "kind": "pou_rbf",
                        "partitions": partitions,
                        "degree": 4,
                        "scale": 4,
                        "anisotropic": turned,
                    }
                    steps = {"optimizer": {"steps": 5}} if quick else {}
                    found = solved(solution, method="varpro", basis=basis, seed=seed, tolerance=1e-12, **steps)
                    way = "turned" if turned else "round"
                    rows.append({"way": way, "partitions": partitions, "seed": seed, **found})
                    print(rows[-1], flush=True)
        for tolerance in (1e-3,) if quick else (1e-3, 1e-6, 1e-9):
            rows.append({"way": "cells", "partitions": 0, "seed": 0, **solved(solution, tolerance=tolerance)})
    write_table(folder / "turned-layer.csv", rows)
    draw(rows, folder / "turned-layer.png")
    return summary(rows)


def summary(rows: list[dict]) -> list[dict]:
    """Median and range over seeds."""
    found = []
    for key in dict.fromkeys((r["solution"], r["way"], r["partitions"]) for r in rows):
        mine = [r for r in rows if (r["solution"], r["way"], r["partitions"]) == key]
        errors, seconds = [r["error"] for r in mine], float(np.median([r["seconds"] for r in mine]))
        names = dict(zip(("solution", "way", "partitions"), key, strict=True))
        found.append({**names, "error": median_and_range(errors), "seconds": seconds})
    return found


def draw(rows: list[dict], path: Path) -> None:
    """Error against time, a mark for each solve."""
    names = list(dict.fromkeys(r["solution"] for r in rows))
    drawn, axes = figure(1, len(names), 4.4, 3.4)
    for axis, name in zip(axes[0], names, strict=True):
        for way, marker in (("turned", "^"), ("round", "o"), ("cells", "s")):
            mine = [r for r in rows if (r["solution"], r["way"]) == (name, way)]
            axis.loglog([r["seconds"] for r in mine], [r["error"] for r in mine], marker, label=way)
        axis.set(title=name, xlabel="seconds", ylabel="error")
        axis.legend(fontsize=8)
    save(drawn, path)


if __name__ == "__main__":
    main(__doc__, compute)
