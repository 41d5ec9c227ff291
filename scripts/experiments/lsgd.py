"""LSGD against gradient descent: sin(2 pi x) on [0, 1] at 256 points, mean and deviation of log10 loss over runs.

Plain ReLU networks with Box initialization; Adam moves the hidden parameters of LSGD, and all parameters of GD, at one
rate (the talk, "Hybrid Least Squares/Gradient Descent").
"""

from __future__ import annotations

import math
import time
from pathlib import Path

import torch
from common import figure, losses_of, main, regression, save, solve, write_table

from pinnsolve.bases import make_basis
from pinnsolve.solvers import GD, LSGD

SHAPES = ((8, 1), (16, 1), (32, 1), (32, 4))  # width, depth
RATE = 0.005


def compute(quick: bool, folder: Path) -> list[dict]:
    x = torch.linspace(0, 1, 256, dtype=torch.float64)[:, None]
    fit = regression(x, torch.sin(2 * math.pi * x[:, 0]), [0.0], [1.0])
    steps, runs = (20, 2) if quick else (200, 16)
    shapes = SHAPES[:1] if quick else SHAPES
    rows, drawn = [], figure(1, len(shapes), 2.7, 2.8)
    for axis, (width, depth) in zip(drawn[1][0], shapes, strict=True):
        for name, make, color in (("GD", GD, "tab:red"), ("LSGD", LSGD, "tab:blue")):
            start, losses = time.perf_counter(), []
            for seed in range(runs):
                settings = {"kind": "mlp", "width": width, "depth": depth, "activation": "relu"}
                outcome = solve(make(steps=steps, learning_rate=RATE), fit, make_basis(settings, [0.0], [1.0], seed))
                losses.append(torch.from_numpy(losses_of(outcome, steps)))
            table = torch.stack(losses)
            mean, deviation = table.mean(dim=0), table.std(dim=0)
            axis.plot(mean, color=color, label=name)
            axis.fill_between(
                range(steps + 1), mean - deviation, mean + deviation, color=color, alpha=0.25, linewidth=0
            )
            rows.append({
                "width": width, "depth": depth, "method": name, "steps": steps, "runs": runs,
                "log10_loss_mean": float(mean[-1]), "deviation": float(deviation[-1]),
                "seconds_per_run": (time.perf_counter() - start) / runs,
            })  # fmt: skip
        axis.set_title(f"width {width}, depth {depth}", fontsize=9)
        axis.set_xlabel("step")
    drawn[1][0, 0].set_ylabel("log10 loss")
    drawn[1][0, 0].legend(fontsize=8)
    write_table(folder / "lsgd.csv", rows)
    save(drawn[0], folder / "lsgd.png")
    return rows


if __name__ == "__main__":
    main(__doc__, compute)
