"""The cross: sin(2 pi x_1), sin(2 pi x_2) on the two axes of [-1, 1]^2, by POUnets of Gaussians and plain networks.

501 points on each axis; errors are relative, at those points and at the 500 between them on each axis. POUnets of 1, 2,
4, 8 and 16 partitions and degree 0 to 4 start with centres uniform in the box and shapes one (the talk, "Smooth
example"). They are adapted by LSGD and, from the same start, by varpro (Levenberg-Marquardt). Plain networks of two
hidden layers of tanh have about as many parameters, hidden ones and coefficients together, and are adapted by LSGD and
by gradient descent on everything.
"""

from __future__ import annotations

import math
import time
from pathlib import Path

import numpy as np
import torch
from common import SEEDS, figure, main, regression, relative_error, save, solve, write_table
from torch import Tensor

from pinnsolve.bases import make_basis
from pinnsolve.solvers import GD, LSGD, LeastSquares, VarPro

BOX = ([-1.0, -1.0], [1.0, 1.0])
PARTITIONS, DEGREES = (1, 2, 4, 8, 16), (0, 1, 2, 3, 4)
RATE = 0.01
POINTS = 501


def cross(s: Tensor) -> tuple[Tensor, Tensor]:
    """Points (2N, 2) and values (2N,) at the positions s (N,) of both axes."""
    zero = torch.zeros_like(s)
    x = torch.cat([torch.stack([s, zero], dim=1), torch.stack([zero, s], dim=1)])
    return x, torch.sin(2 * math.pi * s).repeat(2)


def pounet(partitions: int, degree: int) -> tuple[dict, int]:
    """Settings, and the number of parameters: centres, shapes and coefficients."""
    settings = {"kind": "pou_rbf", "partitions": partitions, "degree": degree}
    return settings, partitions * (3 + math.comb(degree + 2, 2))


def network(parameters: int) -> dict:
    """Two hidden layers of width W have 3 W + W (W + 1) hidden parameters and W coefficients."""
    width = max(1, round(-2.5 + math.sqrt(6.25 + parameters)))
    return {"kind": "mlp", "width": width, "depth": 2, "activation": "tanh"}


def compute(quick: bool, folder: Path) -> list[dict]:
    s = torch.linspace(-1, 1, 101 if quick else POINTS, dtype=torch.float64)
    points, between = cross(s), cross(0.5 * (s[1:] + s[:-1]))
    fit = regression(*points, *BOX)
    few = 20 if quick else 100
    pounets = {
        "start": LeastSquares(),
        "LSGD": LSGD(steps=few, learning_rate=RATE),
        "varpro": VarPro(steps=10 if quick else 40),
    }
    networks = {
        "network, LSGD": LSGD(steps=few, learning_rate=RATE),
        "network, GD": GD(steps=10 * few, learning_rate=RATE),
    }
    rows = []
    for partitions in (2, 4) if quick else PARTITIONS:
        for degree in (0, 2, 4) if quick else DEGREES:
            settings, parameters = pounet(partitions, degree)
            cases = [(settings, way, solver) for way, solver in pounets.items()]
            cases += [(network(parameters), way, solver) for way, solver in networks.items()]
            for settings, way, solver in cases:
                for seed in range(1 if quick else seeds_of(way, partitions, degree)):
                    start = time.perf_counter()
                    best = solve(solver, fit, make_basis(settings, *BOX, seed)).best
                    rows.append({
                        "partitions": partitions, "degree": degree, "parameters": parameters, "way": way, "seed": seed,
                        "error_on_points": relative_error(best.basis, best.state, *points),
                        "error_between": relative_error(best.basis, best.state, *between),
                        "seconds": time.perf_counter() - start,
                    })  # fmt: skip
        write_table(folder / "cross.csv", rows)
    draw(rows, folder / "cross.png")
    return summary(rows)


def seeds_of(way: str, partitions: int, degree: int) -> int:
    """More where it costs little or matters most."""
    largest = (partitions, degree) == (PARTITIONS[-1], DEGREES[-1])
    return {"start": SEEDS, "varpro": SEEDS if largest else 3, "LSGD": 3 if largest else 1}.get(way, 1)


def summary(rows: list[dict]) -> list[dict]:
    """Medians and ranges over seeds, one row per partitions, degree and way."""
    result = []
    for case in dict.fromkeys((r["partitions"], r["degree"], r["parameters"], r["way"]) for r in rows):
        chosen = [r for r in rows if (r["partitions"], r["degree"], r["parameters"], r["way"]) == case]
        row = dict(zip(("partitions", "degree", "parameters", "way"), case, strict=True))
        for key in ("error_on_points", "error_between"):
            numbers = [r[key] for r in chosen]
            row |= {key: float(np.median(numbers)), f"most_{key}": max(numbers)}
        result.append({**row, "seeds": len(chosen), "seconds": float(np.mean([r["seconds"] for r in chosen]))})
    return result


def draw(rows: list[dict], path: Path) -> None:
    """Median error between the points against the degree, per number of partitions; networks beside them."""
    medians = summary(rows)
    ways = list(dict.fromkeys(row["way"] for row in medians))
    drawn, axes = figure(1, len(ways), 2.9, 3.2)
    for axis, way in zip(axes[0], ways, strict=True):
        for partitions in dict.fromkeys(row["partitions"] for row in medians):
            line = [r for r in medians if (r["way"], r["partitions"]) == (way, partitions)]
            axis.semilogy([r["degree"] for r in line], [r["error_between"] for r in line], "o-", label=str(partitions))
        axis.set_title(way if way.startswith("network") else f"POUnet, {way}", fontsize=9)
        axis.set_xlabel("degree" if not way.startswith("network") else "degree of the POUnet with as many parameters")
        axis.set_ylim(1e-13, 3)
        axis.xaxis.label.set_size(8)
    axes[0, 0].set_ylabel("relative error between the points")
    axes[0, 0].legend(title="partitions", fontsize=7)
    save(drawn, path)


if __name__ == "__main__":
    main(__doc__, compute)
