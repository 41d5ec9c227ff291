"""Advection: constant speed by GD and LSGD, speed x with the equation's weight W^-alpha.

Points are grids of 33 x 33 in the domain and 33 on each face; activations, rates and numbers of steps are the talk's
("Advection Equation with Constant Velocity", "... Nonconstant Velocity"). Errors are relative L2 norms on 101 x 101
points, of which the solves saw the corners.
"""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np
import torch
from common import (
    ROOT,
    assembled,
    figure,
    fitted_order,
    losses_of,
    main,
    relative_error,
    save,
    solve,
    write_table,
)  # fmt: skip

import pinnsolve as ps
from pinnsolve.bases import make_basis
from pinnsolve.pipeline import truth
from pinnsolve.solvers import GD, LSGD

BOX = ([0.0, 0.0], [1.0, 1.0])
GRID = (33 * 33, 33)
ALPHAS = (0.0, 0.25, 0.5, 0.75, 1.0)
ACTIVATIONS = {"relu": (0.001, 200), "tanh": (0.01, 200)}  # rate and steps


class Case:
    """A problem on the unit square of (t, x), its equation's weight set, and its error."""

    def __init__(self, name: str, weight: float = 1.0):
        self.problem = ps.load(ROOT / "problems" / f"{name}.yaml")
        self.fit = assembled(self.problem, *GRID, {"transport": weight})
        side = torch.linspace(0, 1, 101, dtype=torch.float64)
        self.x = torch.cartesian_prod(side, side)
        exact = truth(self.problem)(self.x.numpy())["u"]
        self.exact = torch.as_tensor(np.asarray(exact), dtype=torch.float64)

    def run(self, solver, activation: str, width: int, seed: int):
        settings = {"kind": "mlp", "width": width, "activation": activation}
        start = time.perf_counter()
        outcome = solve(solver, self.fit, make_basis(settings, *BOX, seed))
        error = relative_error(outcome.best.basis, outcome.best.state, self.x, self.exact)
        return outcome, error, time.perf_counter() - start


def constant(quick: bool, axes) -> list[dict]:
    """ReLU, W = 32, rate 0.005: GD 5000 steps, LSGD 500."""
    case, rows = Case("advection"), []
    for seed in range(1 if quick else 3):
        for name, make, steps in (("GD", GD, 5000), ("LSGD", LSGD, 500)):
            steps = steps // 100 if quick else steps
            outcome, error, seconds = case.run(make(steps=steps, learning_rate=0.005), "relu", 32, seed)
            rows.append({
                "speed": "1", "method": name, "activation": "relu", "alpha": 0.0, "width": 32, "seed": seed,
                "steps": outcome.history[-1]["step"], "loss": outcome.best.loss, "error": error, "seconds": seconds,
            })  # fmt: skip
            color = "tab:red" if name == "GD" else "tab:blue"
            axes[0].plot(losses_of(outcome, steps), color=color, label=name if seed == 0 else None, linewidth=1)
    axes[0].set(xlabel="step", ylabel="log10 loss", xscale="symlog")
    axes[0].set_title("speed 1, relu, W = 32", fontsize=9)
    axes[0].legend(fontsize=8)
    return rows


def variable(quick: bool, axes) -> list[dict]:
    """Error against width per alpha, with the fitted order; then GD against LSGD with tanh."""
    rows, widths = [], (8, 16) if quick else (8, 16, 32, 64, 128)
    for axis, (activation, (rate, steps)) in zip(axes[1:3], ACTIVATIONS.items(), strict=True):
        for alpha in (0.5,) if quick else ALPHAS:
            errors = []
            for width in widths:
                case, found = Case("advection-variable-speed", width**-alpha), []
                for seed in range(1 if quick else 2):
                    solver = LSGD(steps=10 if quick else steps, learning_rate=rate)
                    outcome, error, seconds = case.run(solver, activation, width, seed)
                    found.append(error)
                    rows.append({
                        "speed": "x", "method": "LSGD", "activation": activation, "alpha": alpha, "width": width,
                        "seed": seed, "steps": outcome.history[-1]["step"], "loss": outcome.best.loss, "error": error,
                        "seconds": seconds,
                    })  # fmt: skip
                errors.append(float(np.median(found)))
            order = -fitted_order(widths, errors)
            axis.loglog(widths, errors, "o-", label=f"alpha {alpha:g}: order {order:.1f}", linewidth=1, markersize=3)
        axis.set(xlabel="W", ylabel="relative L2 error")
        axis.set_title(f"speed x, {activation}, LSGD", fontsize=9)
        axis.legend(fontsize=7)
    return rows + descent(quick, axes[3])


def descent(quick: bool, axis) -> list[dict]:
    """GD and LSGD with tanh, W = 32, rate 0.01, alpha 1/2."""
    case, rows = Case("advection-variable-speed", 32**-0.5), []
    steps = 20 if quick else 1000
    for name, make, color in (("GD", GD, "tab:red"), ("LSGD", LSGD, "tab:blue")):
        outcome, error, seconds = case.run(make(steps=steps, learning_rate=0.01), "tanh", 32, 0)
        axis.plot(losses_of(outcome, steps), color=color, label=f"{name}, error {error:.0e}", linewidth=1)
        rows.append({
            "speed": "x", "method": name, "activation": "tanh", "alpha": 0.5, "width": 32, "seed": 0,
            "steps": steps, "loss": outcome.best.loss, "error": error, "seconds": seconds,
        })  # fmt: skip
    axis.set(xlabel="step", ylabel="log10 loss")
    axis.set_title("speed x, tanh, W = 32", fontsize=9)
    axis.legend(fontsize=8)
    return rows


def compute(quick: bool, folder: Path) -> list[dict]:
    drawn, axes = figure(1, 4, 3.4, 3.0)
    rows = constant(quick, axes[0]) + variable(quick, axes[0])
    write_table(folder / "advection.csv", rows)
    save(drawn, folder / "advection.png")
    return summary(rows)


def summary(rows: list[dict]) -> list[dict]:
    """Medians over seeds."""
    result, keys = [], ("speed", "method", "activation", "alpha", "width")
    for case in dict.fromkeys(tuple(row[k] for k in keys) for row in rows):
        chosen = [row for row in rows if tuple(row[k] for k in keys) == case]
        medians = {k: float(np.median([row[k] for row in chosen])) for k in ("loss", "error", "seconds")}
        result.append({**dict(zip(keys, case, strict=True)), **medians, "seeds": len(chosen)})
    return result


if __name__ == "__main__":
    main(__doc__, compute)
