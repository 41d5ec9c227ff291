"""The bound of the talk, equation (20): the error of a fit against the largest diameter of a window's support.

Windows of compact support and random sizes (`pou_grid` with overlap) times polynomials of degree m are fitted to
sin(2 pi x) + exp(x) at 4001 points of [0, 1]; the root mean square of the error should fall like diam^(m+1).
"""

from __future__ import annotations

import math
import time
from pathlib import Path

import torch
from common import figure, fitted_order, main, regression, save, solve, write_table

from pinnsolve.bases import make_basis
from pinnsolve.solvers import LeastSquares

OVERLAP = 0.25
ROUNDING = 1e-12  # errors below are rounding, and no order is fitted to them


def widest(basis) -> float:
    """The largest diameter of a window: its partition and what it reaches into the neighbours."""
    sizes = torch.diff(basis.edges(0))
    reach = OVERLAP * torch.minimum(sizes[1:], sizes[:-1])
    zero = reach.new_zeros(1)
    return float((sizes + torch.cat([zero, reach]) + torch.cat([reach, zero])).max())


def compute(quick: bool, folder: Path) -> list[dict]:
    x = torch.linspace(0, 1, 501 if quick else 4001, dtype=torch.float64)[:, None]
    fit = regression(x, torch.sin(2 * math.pi * x[:, 0]) + torch.exp(x[:, 0]), [0.0], [1.0])
    rows, summary = [], []
    drawn, axes = figure(1, 1, 4.6, 3.6)
    for degree in (0, 2) if quick else (0, 1, 2, 3, 4):
        diameters, errors, start = [], [], time.perf_counter()
        for count in (4, 8, 16) if quick else (4, 6, 8, 12, 16, 24, 32, 48, 64):
            for seed in range(1 if quick else 4):
                settings = {"kind": "pou_grid", "partitions": count, "degree": degree, "overlap": OVERLAP}
                basis = make_basis(settings, [0.0], [1.0])
                drawn_sizes = torch.randn(count, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
                basis = basis.with_hidden({"sizes0": 0.25 * drawn_sizes})
                error = solve(LeastSquares(), fit, basis).best.loss ** 0.5
                rows.append({
                    "degree": degree, "partitions": count, "seed": seed, "diameter": widest(basis), "error": error,
                })  # fmt: skip
                diameters.append(rows[-1]["diameter"])
                errors.append(error)
        kept = [(d, e) for d, e in zip(diameters, errors, strict=True) if e > ROUNDING]
        order = fitted_order(*zip(*kept, strict=True))
        seconds = time.perf_counter() - start
        summary.append({"degree": degree, "order": order, "expected": degree + 1, "seconds": seconds})
        axes[0, 0].loglog(diameters, errors, "o", markersize=3, label=f"m = {degree}: order {order:.2f}")
    axes[0, 0].set(xlabel="largest diameter of a support", ylabel="root mean square of the error")
    axes[0, 0].set_xticks([0.03, 0.1, 0.3], labels=["0.03", "0.1", "0.3"])
    axes[0, 0].tick_params(axis="x", which="minor", labelbottom=False)
    axes[0, 0].legend(fontsize=8)
    write_table(folder / "bound.csv", rows)
    save(drawn, folder / "bound.png")
    return summary


if __name__ == "__main__":
    main(__doc__, compute)
