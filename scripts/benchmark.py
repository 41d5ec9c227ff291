"""Measures speed and accuracy: solves a list of cases, prints a table, writes JSON.

    python scripts/benchmark.py [--only NAME ...] [--json FILE] [--seed 0]

Each case names a problem file that comes with pinnsolve, settings put over it, the error and the time asked for. Times
are those of `solve` after import; errors are against exact solutions or references at points the solver never used. The
rank table of initial bases and the order of convergence in width are printed below. Exits with 1 when a figure is
missed.
"""

from __future__ import annotations

import argparse
import json
import math
import statistics
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))

GRID = {"interior": 1089, "boundary": 33, "sampling": "grid"}  # the talk's 33 x 33 points
VARIABLE_SPEED_WEIGHTS = {"transport": "W**(-0.5)"}


@dataclass(frozen=True)
class Case:
    """A problem, the settings it is solved with (empty: defaults), and what is asked of it."""

    name: str
    problem: str
    error: float
    seconds: float
    settings: dict = field(default_factory=dict)


def network(width: int, activation: str) -> dict:
    """The talk's shallow network."""
    return {"kind": "mlp", "width": width, "depth": 1, "activation": activation, "initialization": "box"}


CASES = (
    Case(
        "advection, hat, relu lsgd",
        "advection",
        1e-8,
        10,
        {
            "method": "lsgd",
            "basis": network(32, "relu"),
            "collocation": GRID,
            "term_weights": {"transport": 1},
            "optimizer": {"name": "adam", "learning_rate": 0.005, "steps": 500},
        },
    ),
    Case(
        "advection, speed x, tanh lsgd",
        "advection-variable-speed",
        1e-5,
        10,
        {
            "method": "lsgd",
            "basis": network(128, "tanh"),
            "collocation": GRID,
            "term_weights": VARIABLE_SPEED_WEIGHTS,
            "optimizer": {"name": "adam", "learning_rate": 0.01, "steps": 500},
        },
    ),
    Case("Poisson 2-d, defaults", "poisson-2d", 1e-6, 30),
    Case("Helmholtz (1,4), defaults", "helmholtz-2d", 1e-6, 30),
    Case("wave 1-d, defaults", "wave-1d", 1e-6, 30),
    Case("Poisson 5-d, defaults", "poisson-5d", 1e-6, 60),
    Case("Burgers, as in its file", "burgers", 1e-3, 120),
)


def run_case(case: Case, seed: int) -> dict:
    """Solves one case; the row of the table."""
    import pinnsolve as ps

    problem = ps.load(case.problem)
    began = time.perf_counter()
    solution = ps.solve(problem, seed=seed, **case.settings)
    seconds = time.perf_counter() - began
    result = solution.result
    error = max(result["relative_l2_error"].values())
    estimate = result["estimated_error"]
    return {
        "case": case.name,
        "error": error,
        "error_asked": case.error,
        "seconds": seconds,
        "seconds_asked": case.seconds,
        "estimated_error": max(estimate.values()) if estimate else None,
        "status": result["status"],
        "method": result["method"],
        "basis": result["basis"],
        "coefficients": result["unknown_coefficients"],
        "met": error <= case.error and seconds <= case.seconds,
    }


def gradient_descent_row(lsgd: dict, seed: int) -> dict:
    """The baseline on the hat: 5000 joint steps must be at least 1e4 times worse than LSGD's 500."""
    from dataclasses import replace

    settings = {
        **CASES[0].settings,
        "method": "gd",
        "optimizer": {"name": "adam", "learning_rate": 0.005, "steps": 5000},
    }
    row = run_case(replace(CASES[0], name="advection, hat, relu gd 5000", settings=settings), seed)
    ratio = row["error"] / lsgd["error"]
    return {**row, "error_asked": None, "seconds_asked": None, "worse_by": ratio, "met": ratio >= 1e4}


def relu_order(seeds: int = 8) -> dict:
    """Variable-speed advection with relu: median error over seeds for W = 8..128, and the fitted order in W."""
    import pinnsolve as ps

    problem = ps.load("advection-variable-speed")
    widths = (8, 16, 32, 64, 128)
    table = {}
    for width in widths:
        errors = []
        for seed in range(seeds):
            solution = ps.solve(
                problem,
                method="lsgd",
                seed=seed,
                basis={"kind": "mlp", "width": width, "activation": "relu"},
                collocation=GRID,
                term_weights=VARIABLE_SPEED_WEIGHTS,
                optimizer={"name": "adam", "learning_rate": 0.001, "steps": 500},
            )
            errors.append(solution.result["relative_l2_error"]["u"])
        table[width] = {"median": statistics.median(errors), "least": min(errors), "most": max(errors)}
    x = [math.log(w) for w in widths]
    y = [math.log(table[w]["median"]) for w in widths]
    order = -statistics.covariance(x, y) / statistics.variance(x)
    return {"widths": table, "order": order, "order_asked": 0.5, "met": order >= 0.5}


def print_table(rows: list[dict]) -> None:
    """Rows under a header, aligned."""
    print(f"{'case':34s} {'error':>9s} {'asked':>7s} {'estimate':>9s} {'seconds':>8s} {'asked':>6s}  met  how")
    for row in rows:
        estimate = "-" if row["estimated_error"] is None else f"{row['estimated_error']:.1e}"
        asked = f"{row['error_asked']:.0e}" if row["error_asked"] else f"x{row['worse_by']:.0e}"
        limit = f"{row['seconds_asked']:.0f}" if row["seconds_asked"] else "-"
        met = "yes" if row["met"] else "NO"
        print(
            f"{row['case']:34s} {row['error']:9.1e} {asked:>7s} {estimate:>9s} {row['seconds']:8.2f} {limit:>6s}  "
            f"{met:3s}  {row['method']}: {row['basis']}",
            flush=True,
        )


def main() -> int:
    """Runs what the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", nargs="*", default=[], help="cases whose name holds one of these words")
    parser.add_argument("--json", type=Path, help="where to write the figures")
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()

    def chosen(name: str) -> bool:
        return not arguments.only or any(word.lower() in name.lower() for word in arguments.only)

    rows = []
    for case in CASES:
        if chosen(case.name):
            rows.append(run_case(case, arguments.seed))
            print(f"  {rows[-1]['case']}: {rows[-1]['error']:.1e} in {rows[-1]['seconds']:.1f} s", file=sys.stderr)
            if case is CASES[0]:
                rows.append(gradient_descent_row(rows[-1], arguments.seed))
    print_table(rows)
    figures: dict = {"seed": arguments.seed, "cases": rows}
    if chosen("order"):
        figures["relu_order"] = relu_order()
        print(
            f"\nadvection, speed x, relu: median error over 8 seeds, order {figures['relu_order']['order']:.2f} "
            "(asked: 0.5)"
        )
        for width, row in figures["relu_order"]["widths"].items():
            print(f"  W = {width:4d}: {row['median']:.1e}  ({row['least']:.1e} to {row['most']:.1e})")
    if chosen("rank"):
        from rank_of_initial_basis import print_table as print_ranks
        from rank_of_initial_basis import rank_table

        print("\nnumerical rank of the initial basis, W = 32, sin(2 pi x) at 256 points")
        figures["rank"] = rank_table()
        print_ranks(figures["rank"])
    if arguments.json:
        arguments.json.write_text(json.dumps(figures, indent=2), encoding="utf-8")
    ok = all(row["met"] for row in rows) and figures.get("relu_order", {"met": True})["met"]
    return 0 if ok else 1


if __name__ == "__main__":
    sys.exit(main())
