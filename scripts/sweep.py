"""The sweep of the benchmark: all problems with a known truth at several tolerances, nothing else set.

Input: tolerances, a limit of seconds for each solve. Output: rows of time, error and estimate, and two shares: how
many runs have a true error within their tolerance, and how many estimates are within a factor 5 of the true error. A
run that fails counts as neither.
"""

from __future__ import annotations

from pathlib import Path

from measured import FACTOR, PROBLEMS, effectivity, measure, register_operators, say, shown, write_json

TOLERANCES = (1e-3, 1e-5, 1e-7)
REACHED_ASKED, WITHIN_ASKED = 0.95, 0.90
BEYOND = 10  # a truth known to `accuracy` judges errors down to this many times that


def runs(tolerances=TOLERANCES) -> tuple[list[tuple[str, float]], dict[str, str]]:
    """Problems with their tolerances, and what is left out with the reason."""
    import numpy as np

    import pinnsolve as ps

    chosen, left_out = [], {}
    for path in sorted(PROBLEMS.glob("*.yaml")):
        name = path.stem
        register_operators(name)
        problem = ps.load(name)
        if problem.of_kind("data"):
            left_out[name] = "its data do not determine the solution to the tolerance"
            continue
        accuracy = 0.0
        if not problem.exact:
            if problem.reference is None:
                left_out[name] = "no truth is known"
                continue
            with np.load(problem.reference) as file:
                accuracy = float(file["accuracy"])
        if max(tolerances) < BEYOND * accuracy:
            left_out[name] = f"its reference is good to {accuracy:.0e}"
            continue
        for tolerance in tolerances:
            if tolerance >= BEYOND * accuracy:
                chosen.append((name, tolerance))
            else:
                left_out[f"{name} at {tolerance:.0e}"] = f"its reference is good to {accuracy:.0e}"
    return chosen, left_out


def judged(row: dict) -> dict:
    """A row with what is asked of it."""
    ratio = effectivity(row)
    reached = row["error"] is not None and row["error"] <= row["tolerance"]
    within = ratio is not None and 1 / FACTOR <= ratio <= FACTOR
    return {**row, "effectivity": ratio, "reached": reached, "estimate_within_factor": within}


def shares(rows: list[dict]) -> dict:
    """The two figures, and how the others fail."""
    count = len(rows) or 1
    ratios = [row["effectivity"] for row in rows if row["effectivity"] is not None]
    said = [row for row in rows if row["status"] == "converged"]
    return {
        "runs": len(rows),
        "reached": sum(row["reached"] for row in rows) / count,
        "reached_asked": REACHED_ASKED,
        "estimate_within_factor": sum(row["estimate_within_factor"] for row in rows) / count,
        "estimate_within_factor_asked": WITHIN_ASKED,
        "estimate_within_factor_if_converged": sum(row["estimate_within_factor"] for row in said) / (len(said) or 1),
        "estimates_too_low": sum(ratio < 1 / FACTOR for ratio in ratios),
        "estimates_too_high": sum(ratio > FACTOR for ratio in ratios),
        "said_converged_but_are_not": sum(not row["reached"] for row in said),
        "failed": sum(row["status"] == "failed" for row in rows),
        "seconds": sum(row["seconds"] for row in rows),
    }


def run_sweep(only, seed: int, limit: float | None, json_file: Path | None, figures: dict) -> bool:
    """Runs, prints and writes what the words `only` choose; true if both shares are what is asked."""
    chosen, left_out = runs()
    chosen = [(name, tolerance) for name, tolerance in chosen if not only or any(word in name for word in only)]
    rows: list[dict] = []
    figures["sweep"] = {"rows": rows, "left_out": left_out, "limit_s": limit}
    for name, tolerance in chosen:
        row = judged({**measure(name, limit=limit, seed=seed, tolerance=tolerance), "tolerance": tolerance})
        rows.append(row)
        say(f"  {name} to {tolerance:.0e}: {row['status']}, error {shown(row['error'])} in {row['seconds']:.1f} s")
        figures["sweep"]["shares"] = shares(rows)
        write_json(json_file, figures)
    print_sweep(rows, left_out)
    found = shares(rows)
    return found["reached"] >= REACHED_ASKED and found["estimate_within_factor"] >= WITHIN_ASKED


def print_sweep(rows: list[dict], left_out: dict[str, str]) -> None:
    print(
        f"{'problem':26s} {'tolerance':>9s} {'error':>8s} {'estimate':>8s} {'ratio':>8s} {'seconds':>8s}  "
        "reached  estimate  status"
    )
    last = None
    for row in rows:
        name = "" if row["problem"] == last else row["problem"]
        last = row["problem"]
        print(
            f"{name:26s} {row['tolerance']:9.0e} {shown(row['error']):>8s} {shown(row['estimated_error']):>8s} "
            f"{shown(row['effectivity'], '.2g'):>8s} {row['seconds']:8.2f}  {'yes' if row['reached'] else 'NO':7s}  "
            f"{'good' if row['estimate_within_factor'] else 'OFF':8s}  {row['status']}: {row['method']}"
        )
        if row["status"] == "failed":
            print(f"{'':26s} {row['message']}")
    found = shares(rows)
    print(f"\n{found['runs']} runs in {found['seconds']:.0f} s")
    print(f"true error within the tolerance: {found['reached']:.0%} (asked: {REACHED_ASKED:.0%})")
    print(
        f"estimate within a factor {FACTOR} of the true error: {found['estimate_within_factor']:.0%} "
        f"(asked: {WITHIN_ASKED:.0%}; of those that converged: {found['estimate_within_factor_if_converged']:.0%}); "
        f"too low {found['estimates_too_low']}, too high {found['estimates_too_high']}"
    )
    print(f"converged by their own account, but not in truth: {found['said_converged_but_are_not']}")
    for name, reason in left_out.items():
        print(f"left out: {name}: {reason}")
