"""Are deviations to be believed? The start of a rod, sought from noisy temperatures at the end, by many draws of noise.

    python scripts/coverage.py [--draws 100] [--time 0.05] [--truth 1,0,0.5] [--noise 0.001] [--seed 0]

Input: the time between start and readings, the amplitudes of the modes sin(k pi x) of the true start, the noise.
Output: for each draw the share of points at which the true start lies within two standard deviations of that found,
with the estimated and the true error; then the share over all draws, and how the estimates compare. Exits with 1 where
the share is below 90 %.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

import numpy as np

ASKED = 0.90
READINGS, POINTS = 50, 99


def problem_of(folder: Path, time: float, truth: list[float], noise: float, seed: int):
    """The problem of one draw: readings at the end, the ends of the rod kept at zero, the start left open."""
    import pinnsolve as ps

    x = np.linspace(0.02, 0.98, READINGS)
    modes = range(1, len(truth) + 1)
    readings = sum(
        a * np.sin(k * np.pi * x) * np.exp(-((k * np.pi) ** 2) * time) for a, k in zip(truth, modes, strict=True)
    )
    readings = readings + noise * np.random.default_rng(seed).standard_normal(READINGS)
    table = np.column_stack([np.full(READINGS, time), x, readings])
    np.savetxt(folder / "late.csv", table, delimiter=",", header="t,x,measured", comments="", fmt="%.12g")
    exact = " + ".join(f"({a!r})*sin({k}*pi*x)*exp(-({k}*pi)**2*t)" for a, k in zip(truth, modes, strict=True))
    return ps.Problem(
        name="start-from-end",
        domain=ps.Box(t=(0, time), x=(0, 1)),
        unknowns="u",
        equations={"heat": "D(u, t) = D(u, x, x)"},
        conditions={"ends": ps.Condition(on=["x = 0", "x = 1"], equation="u = 0")},
        data={"late": ps.Data(file="late.csv", equation="u = measured", noise=noise)},
        exact={"u": exact},
        folder=folder,
    )


def draw(time: float, truth: list[float], noise: float, seed: int, tolerance: float = 0.05) -> dict:
    """One draw: the share of points whose true start is within two deviations, the errors and the status."""
    import pinnsolve as ps

    with tempfile.TemporaryDirectory() as folder:
        found = ps.solve(problem_of(Path(folder), time, truth, noise, seed), tolerance=tolerance)
    x = np.linspace(0.01, 0.99, POINTS)
    exact = sum(a * np.sin((k + 1) * np.pi * x) for k, a in enumerate(truth))
    off = np.abs(found(t=0.0, x=x) - exact)
    deviation = found.standard_deviation("u")(t=0.0, x=x)
    return {
        "inside": float(np.mean(off <= 2 * deviation)),
        "error": found.result["relative_l2_error"]["u"],
        "estimate": found.result["estimated_error"]["u"],
        "deviation": float(np.sqrt(np.mean(deviation**2))),
        "off": float(np.sqrt(np.mean(off**2))),
        "status": found.result["status"],
        "seconds": found.result["wall_time_s"],
    }


def main() -> int:
    """Runs what the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--draws", type=int, default=100)
    parser.add_argument("--time", type=float, default=0.05, help="between start and readings")
    parser.add_argument("--truth", default="1,0,0.5", help="amplitudes of the modes of the start")
    parser.add_argument("--noise", type=float, default=0.001)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    truth = [float(a) for a in arguments.truth.split(",")]
    rows = []
    for seed in range(arguments.seed, arguments.seed + arguments.draws):
        row = draw(arguments.time, truth, arguments.noise, seed)
        rows.append(row)
        print(
            f"draw {seed:3d}: {row['inside']:4.0%} inside; start off by {row['off']:.1e}, deviation "
            f"{row['deviation']:.1e}; error {row['error']:.1e}, estimated {row['estimate']:.1e}: {row['status']}, "
            f"{row['seconds']:.1f} s",
            flush=True,
        )
    inside = float(np.mean([row["inside"] for row in rows]))
    ratios = np.array([row["estimate"] / row["error"] for row in rows])
    print(f"\ntrue start within two deviations: {inside:.1%} of points (asked: {ASKED:.0%})")
    print(
        f"estimate over true error: median {np.median(ratios):.2g}, from {ratios.min():.2g} to {ratios.max():.2g}; "
        f"within a factor 5: {np.mean((ratios >= 0.2) & (ratios <= 5)):.0%}"
    )
    return 0 if inside >= ASKED else 1


if __name__ == "__main__":
    sys.exit(main())
