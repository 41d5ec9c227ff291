"""Box initialization against He and Glorot: images of the unit square, initial bases, adaptation of deep networks.

- Images of the unit square under L initialized layers of width 2, plain and residual.
- The 8 functions of plain and residual networks of depth 8 on [0, 1].
- sin(2 pi x) at 256 points by residual ReLU networks of width 32 and depth L = 2^k, LSGD at rate 2^-(k+3).
(The talk, "The Box initialization for ReLU DNNs".)
"""

from __future__ import annotations

import math
import time
from pathlib import Path

import torch
from common import figure, losses_of, main, regression, save, solve, write_table
from torch import Tensor

from pinnsolve.bases import make_basis
from pinnsolve.bases.networks.initialization import numerical_rank
from pinnsolve.solvers import LSGD

STARTS = ("glorot", "he", "box")
KINDS = ("mlp", "resnet")
COLORS = ("tab:green", "tab:red", "tab:blue")


def initial(kind: str, start: str, width: int, depth: int, x: Tensor, seed: int) -> Tensor:
    """The functions of a ReLU network at its start: (N, W) at points (N, d) of the unit box."""
    settings = {"kind": kind, "width": width, "depth": depth, "activation": "relu", "initialization": start}
    zero = (0,) * x.shape[1]
    return make_basis(settings, [0.0] * x.shape[1], [1.0] * x.shape[1], seed).derivatives(x, [zero])[zero]


def draw_images(path: Path) -> None:
    """The unit square after 1, 4, 16 and 64 layers, coloured by where its points come from."""
    depths = (1, 4, 16, 64)
    drawn, axes = figure(len(KINDS) * len(STARTS), len(depths), 1.7, 1.5)
    side = torch.linspace(0, 1, 40, dtype=torch.float64)
    x = torch.cartesian_prod(side, side)
    for row, (kind, start) in enumerate((k, s) for k in KINDS for s in STARTS):
        for column, depth in enumerate(depths):
            image = initial(kind, start, 2, depth, x, 0)
            axes[row, column].scatter(image[:, 0], image[:, 1], c=x[:, 0], s=0.5, cmap="viridis")
            axes[row, column].tick_params(labelsize=6)
        axes[row, 0].set_ylabel(f"{kind}, {start}", fontsize=8)
    for axis, depth in zip(axes[0], depths, strict=True):
        axis.set_title(f"L = {depth}", fontsize=9)
    save(drawn, path)


def draw_bases(path: Path) -> None:
    """The functions of width 8, each over its largest value."""
    drawn, axes = figure(len(KINDS), len(STARTS), 3.0, 2.0)
    x = torch.linspace(0, 1, 400, dtype=torch.float64)[:, None]
    for row, kind in enumerate(KINDS):
        for column, start in enumerate(STARTS):
            table = initial(kind, start, 8, 8, x, 0)
            axes[row, column].plot(x[:, 0], table / table.abs().amax(dim=0).clamp_min(1e-300), linewidth=1)
            axes[row, column].set_title(f"{kind}, {start}: rank {numerical_rank(table, 1e-8)} of 8", fontsize=9)
    save(drawn, path)


def compute(quick: bool, folder: Path) -> list[dict]:
    draw_images(folder / "box-images.png")
    draw_bases(folder / "box-bases.png")
    x = torch.linspace(0, 1, 256, dtype=torch.float64)[:, None]
    fit = regression(x, torch.sin(2 * math.pi * x[:, 0]), [0.0], [1.0])
    steps, runs = (5, 1) if quick else (50, 4)
    exponents = (3,) if quick else (3, 4, 5, 6, 7)
    drawn, axes = figure(1, len(exponents), 2.6, 2.6)
    rows = []
    for axis, k in zip(axes[0], exponents, strict=True):
        for start, color in zip(STARTS, COLORS, strict=True):
            begun, losses, ranks = time.perf_counter(), [], []
            for seed in range(runs):
                settings = {"kind": "resnet", "width": 32, "depth": 2**k, "activation": "relu"}
                basis = make_basis({**settings, "initialization": start}, [0.0], [1.0], seed)
                ranks.append(numerical_rank(initial("resnet", start, 32, 2**k, x, seed), 1e-8))
                outcome = solve(LSGD(steps=steps, learning_rate=2.0 ** -(k + 3)), fit, basis)
                losses.append(torch.from_numpy(losses_of(outcome, steps)))
            mean = torch.stack(losses).mean(dim=0)
            axis.plot(mean, color=color, label=start)
            rows.append({
                "start": start, "depth": 2**k, "rate": 2.0 ** -(k + 3), "runs": runs, "steps": steps,
                "rank_at_start": sorted(ranks)[len(ranks) // 2], "log10_loss_at_start": float(mean[0]),
                "log10_loss_mean": float(mean[-1]),
                "deviation": float(torch.stack(losses)[:, -1].std(correction=0)),
                "seconds_per_run": (time.perf_counter() - begun) / runs,
            })  # fmt: skip
            print(rows[-1], flush=True)
        axis.set_title(f"L = {2**k}", fontsize=9)
        axis.set_xlabel("step")
        write_table(folder / "box.csv", rows)
    axes[0, 0].set_ylabel("mean of log10 loss")
    axes[0, 0].legend(fontsize=8)
    save(drawn, folder / "box.png")
    return rows


if __name__ == "__main__":
    main(__doc__, compute)
