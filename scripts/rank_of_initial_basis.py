"""The numerical rank of initial ReLU bases: Box beside He and Glorot, residual and plain networks, by depth.

Input: options on the command line. Output: a table on the terminal and, with --json, a file. The talk's setting is the
default: width 32, 256 evenly spaced points of [0, 1]. There He and Glorot, whose offsets are zero, have rank one at
every depth, as relu(w x) is a multiple of x for x >= 0; with --dimension 2 they have a rank to lose, and lose it.

    python scripts/rank_of_initial_basis.py --json ranks.json
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from statistics import median

import torch

from pinnsolve.bases import make_basis
from pinnsolve.bases.networks.initialization import NAMES, numerical_rank

KINDS = ("resnet", "mlp")
DEPTHS = (8, 32, 128)
RELATIVE_TOLERANCE = 1e-10


def initial_values(settings: dict, seed: int, points: int = 256, dimension: int = 1) -> torch.Tensor:
    """The functions of the initial basis on a grid of the unit box with about that many points: (points, W)."""
    axis = torch.linspace(0.0, 1.0, round(points ** (1 / dimension)), dtype=torch.float64)
    x = torch.cartesian_prod(*[axis] * dimension).reshape(-1, dimension)
    zero = (0,) * dimension
    return make_basis(settings, [0.0] * dimension, [1.0] * dimension, seed).derivatives(x, [zero])[zero]


def rank_row(settings: dict, seeds: int, points: int = 256, dimension: int = 1) -> dict:
    """Ranks over seeds 0, 1, ... at two tolerances, the worst condition sigma_W / sigma_1, and the largest value."""
    bases = [initial_values(settings, seed, points, dimension) for seed in range(seeds)]
    at_tolerance = [numerical_rank(values, RELATIVE_TOLERANCE) for values in bases]
    at_epsilon = [numerical_rank(values) for values in bases]
    singular = [torch.linalg.svdvals(values) for values in bases]
    return {
        **settings,
        "seeds": seeds,
        "points": points,
        "dimension": dimension,
        "relative_tolerance": RELATIVE_TOLERANCE,
        "median_rank": median(at_tolerance),
        "min_rank": min(at_tolerance),
        "median_rank_numpy": median(at_epsilon),
        "min_rank_numpy": min(at_epsilon),
        "min_relative_singular_value": min(float(s[-1] / s[0]) if s[0] > 0 else 0.0 for s in singular),
        "max_value": max(float(values.abs().max()) for values in bases),
    }


def rank_table(
    kinds=KINDS,
    initializations=tuple(NAMES),
    depths=DEPTHS,
    width=32,
    activation="relu",
    seeds=10,
    points=256,
    dimension=1,
) -> list[dict]:
    """One row of `rank_row` per kind, initialization and depth."""
    return [
        rank_row(
            {"kind": kind, "width": width, "depth": depth, "activation": activation, "initialization": initialization},
            seeds,
            points,
            dimension,
        )
        for kind in kinds
        for initialization in initializations
        for depth in depths
    ]


def print_table(rows: list[dict]) -> None:
    first = rows[0]
    where = f"{first['points']} points of [0, 1]^{first['dimension']}, {first['seeds']} seeds"
    print(f"{first['activation']}, width {first['width']}, {where}")
    print(f"{'':30s}{'rank at ' + format(RELATIVE_TOLERANCE, '.0e'):>16s}{'numpy default':>16s}")
    ranks = f"{'median':>8s}{'min':>8s}" * 2
    print(f"{'kind':8s}{'start':10s}{'depth':>8s}    {ranks}{'largest value':>16s}")
    for row in rows:
        print(
            f"{row['kind']:8s}{NAMES[row['initialization']]:10s}{row['depth']:8d}    "
            f"{row['median_rank']:8g}{row['min_rank']:8d}{row['median_rank_numpy']:8g}{row['min_rank_numpy']:8d}"
            f"{row['max_value']:16.2g}"
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write the rows to this file")
    parser.add_argument("--width", type=int, default=32)
    parser.add_argument("--depths", type=int, nargs="+", default=list(DEPTHS))
    parser.add_argument("--activation", default="relu")
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--points", type=int, default=256)
    parser.add_argument("--dimension", type=int, default=1)
    options = parser.parse_args()
    rows = rank_table(
        depths=options.depths,
        width=options.width,
        activation=options.activation,
        seeds=options.seeds,
        points=options.points,
        dimension=options.dimension,
    )
    print_table(rows)
    if options.json:
        options.json.write_text(json.dumps(rows, indent=1) + "\n")


if __name__ == "__main__":
    main()
