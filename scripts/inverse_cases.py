"""Inverse problems, measured: errors of what was sought, and how often standard errors cover the truth."""

from __future__ import annotations

import tempfile
import time
from pathlib import Path

import numpy as np
from measured import say, shown

PROBES, READINGS, KAPPA, NOISE = (0.1, 0.3, 0.5, 0.7, 0.9), 40, 0.3, 0.01
DRAWS, ENOUGH, SECONDS = 100, 90, 120


def run_sought(name: str, problem: str, sought, error: float, seconds: float, seed: int, limit: float | None) -> dict:
    """Solves one problem; the largest relative error of its parameters, or that of the unknown sought."""
    import pinnsolve as ps

    start = time.perf_counter()
    solution = ps.solve(ps.load(problem), seed=seed, **({"limits": {"seconds": limit}} if limit else {}))
    took, result = time.perf_counter() - start, solution.result
    if isinstance(sought, str):
        found, scores = result["relative_l2_error"][sought], {}
    else:
        found = max(abs(result["parameters"][p]["value"] / true - 1) for p, true in sought.items())
        scores = {
            p: (result["parameters"][p]["value"] - true) / max(result["parameters"][p]["standard_error"], 1e-300)
            for p, true in sought.items()
        }
    say(f"  {name}: {shown(found)} in {took:.1f} s")
    met = found <= error and took <= seconds
    return {
        "case": name, "error": found, "error_asked": error, "seconds": took, "seconds_asked": seconds,
        "standard_errors_away": scores, "met": met, "status": result["status"],
    }  # fmt: skip


def run_coverage(seed: int) -> dict:
    """The diffusivity of a bar from five probes, by many draws of the noise: how often two standard errors hold it."""
    import pinnsolve as ps

    random = np.random.default_rng(seed)
    t, x = np.tile(np.linspace(0.025, 1, READINGS), len(PROBES)), np.repeat(PROBES, READINGS)
    true = np.exp(-KAPPA * np.pi**2 * t) * np.sin(np.pi * x)
    scores, start = [], time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        for _ in range(DRAWS):
            table = np.column_stack([t, x, true + NOISE * random.standard_normal(len(t))])
            np.savetxt(Path(folder) / "probes.csv", table, delimiter=",", header="t,x,measured", comments="")
            problem = ps.Problem(
                name="probes", domain=ps.Box(t=(0, 1), x=(0, 1)), unknowns="u", folder=folder,
                unknown_parameters={"kappa": {"guess": 1, "bounds": [0, 10]}},
                equations={"heat": "D(u, t) = kappa*D(u, x, x)"},
                conditions={
                    "start": ps.Condition(on="t = 0", equation="u = sin(pi*x)"),
                    "walls": ps.Condition(on=["x = 0", "x = 1"], equation="u = 0"),
                },
                data={"probes": ps.Data(file="probes.csv", equation="u = measured", noise=NOISE)},
                solve={"tolerance": 1e-2},
            )  # fmt: skip
            kappa = ps.solve(problem).parameters["kappa"]
            scores.append((kappa["value"] - KAPPA) / kappa["standard_error"])
    took, within = time.perf_counter() - start, int((np.abs(scores) < 2).sum())
    say(f"  coverage: {within} of {DRAWS} in {took:.1f} s, scores {np.mean(scores):.2f} +- {np.std(scores):.2f}")
    return {
        "case": f"heat, within two standard errors of {DRAWS}", "error": within, "error_asked": ENOUGH,
        "seconds": took, "seconds_asked": SECONDS, "met": within >= ENOUGH and took <= SECONDS,
        "scores": {"mean": float(np.mean(scores)), "spread": float(np.std(scores))},
    }  # fmt: skip


def print_sought(rows: list[dict]) -> None:
    """The table."""
    print(f"\n{'inverse problem':44}{'found':>10}{'asked':>10}{'seconds':>9}{'asked':>7}")
    for row in rows:
        mark = "" if row["met"] else "   missed"
        print(
            f"{row['case']:44}{row['error']:10.2g}{row['error_asked']:10.2g}{row['seconds']:9.1f}"
            f"{row['seconds_asked']:7.0f}{mark}"
        )
